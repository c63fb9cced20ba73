"""Judgements with names: one claim against one reference, as a report shows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from xcheck.claim import Claim
from xcheck.diagnosis import Explanation
from xcheck.judgement import AGREE, DISAGREE, INCONCLUSIVE, SENTENCES, SKIPPED, Judgement
from xcheck.protocol import RealArray
from xcheck.ulps import Ulps
from xcheck.verdict import Verdict

WORST = 10
"""How many entries a comparison names."""


@dataclass(frozen=True)
class Source:
    """Where a derivative comes from."""

    source: str


@dataclass(frozen=True)
class Entry:
    """One entry of a derivative, named as the user would write it.

    Attributes:
        name: such as `d out[0] / d x[2]`.
        claimed: the claim's value.
        measured: the reference's value; NaN where it has none.
        error_bar: the reference's error bar; inf where it has none.
        verdict: about this entry alone.
        reason: why it is inconclusive.
        slopes: the one-sided derivatives, left and right, at a kink or at the edge of a domain; NaN where one side has
            none.
        slope_bars: their error bars; inf where one side has none.
        retested: whether it was measured a second time, at fresh points.
    """

    name: str
    claimed: float
    measured: float
    error_bar: float
    verdict: Verdict
    reason: str = ""
    slopes: tuple[float, float] | None = None
    retested: bool = False
    slope_bars: tuple[float, float] | None = None

    @property
    def ratio(self) -> float:
        """Claimed over measured; NaN where that means nothing."""
        known = np.isfinite(self.claimed) and np.isfinite(self.measured) and self.measured != 0
        return self.claimed / self.measured if known and abs(self.measured) > self.error_bar else float("nan")


@dataclass(frozen=True)
class Comparison:
    """A claim against a reference.

    Attributes:
        claim: the derivative that was checked; `.source` says whose it is.
        reference: what it was checked against; `.source` says what that is.
        quantity: gradient, Jacobian or Jacobian diagonal.
        verdict: DISAGREE if any entry disagrees, else INCONCLUSIVE if any is, else AGREE.
        reason: why it is inconclusive; empty otherwise.
        worst: the entries that matter most, worst first.
        wrong: how many entries disagree.
        inconclusive: how many entries could not be decided.
        total: how many entries were compared.
        detection_limit: an error of this size in any entry called agree would have been seen.
        relative_limit: the same relative to the entry, or to the largest of its output if that is larger.
        notes: remarks, such as inputs that the framework calls unconnected.
        method: how the entries were reached: all of them, or products with probes.
        without_derivative: how many of the inconclusive entries are so because the function has no derivative there.
        causes: why entries are wrong; empty if nothing fits.
        unexplained: how many wrong entries no cause is about.
        ulps: how far a claim of lower precision than float64 is from the reference, in units of its last place.
    """

    claim: Source
    reference: Source
    quantity: str
    verdict: Verdict
    reason: str
    worst: tuple[Entry, ...]
    wrong: int
    inconclusive: int
    total: int
    detection_limit: float
    relative_limit: float
    notes: tuple[str, ...] = field(default=())
    method: str = "every entry"
    without_derivative: int = 0
    ulps: Ulps | None = None
    causes: tuple[Explanation, ...] = ()
    unexplained: int = 0


Namer = Callable[[int, int], str]
"""Names the entry at (direction, output)."""


def compare(
    claim: Claim,
    claimed: RealArray,
    judgement: Judgement,
    name: Namer,
    reference: str,
    notes: tuple[str, ...] = (),
    method: str = "every entry",
) -> Comparison:
    """Summarise a judgement.

    Args:
        claim: whose derivative it is.
        claimed: the values that were judged, (directions, outputs), user units.
        judgement: the verdicts.
        name: names an entry.
        reference: what the reference is called.
        notes: remarks to carry along.
        method: how the entries were reached.
    """
    verdict, wrong, open_, total = tally(judgement.verdict)
    limit, relative = _limits(claimed, judgement)
    return Comparison(
        Source(claim.source),
        Source(reference),
        claim.quantity,
        verdict,
        _reason(judgement, total) if verdict is Verdict.INCONCLUSIVE else "",
        _worst(claimed, judgement, name, verdict),
        wrong,
        open_,
        total,
        limit,
        relative,
        (*notes, *_second_opinions(judgement)),
        method,
        int(np.count_nonzero(judgement.missing())),
    )


def tally(codes: NDArray[np.int8]) -> tuple[Verdict, int, int, int]:
    """Return the verdict about all entries, and how many are wrong, how many open, and how many were compared."""
    wrong, open_ = int(np.count_nonzero(codes == DISAGREE)), int(np.count_nonzero(codes == INCONCLUSIVE))
    total = int(codes.size - np.count_nonzero(codes == SKIPPED))
    verdict = Verdict.DISAGREE if wrong else Verdict.INCONCLUSIVE if open_ or not total else Verdict.AGREE
    return verdict, wrong, open_, total


def _second_opinions(judgement: Judgement) -> tuple[str, ...]:
    count = int(np.count_nonzero(judgement.second_opinion))
    return (f"the complex step settled {count}, within bars of finite differences that were too wide",) if count else ()


def _limits(claimed: RealArray, judgement: Judgement) -> tuple[float, float]:
    agreed = judgement.verdict == AGREE
    if not agreed.any():
        return float("inf"), float("inf")
    resolution, sizes = judgement.resolution, np.abs(claimed)
    finite = sizes < np.inf
    sizes = sizes if finite.all() else np.where(finite, sizes, 0.0)
    largest = sizes.max(axis=0, initial=0.0)
    resolution = resolution if agreed.all() else np.where(agreed, resolution, 0.0)
    known = np.where(resolution <= largest, resolution, 0.0).max(axis=0)
    moves = largest > 0  # of an output that is constant there is no such size
    return float(resolution.max()), float((known[moves] / largest[moves]).max(initial=0.0))


def _reason(judgement: Judgement, total: int) -> str:
    if not total:
        return "there was nothing to compare"
    codes = judgement.reason[judgement.verdict == INCONCLUSIVE]
    counts = Counter(int(code) for code in codes)
    parts = [SENTENCES[code] for code, _ in counts.most_common(2) if code]
    return "; ".join(parts) or "not decided"


def _worst(claimed: RealArray, judgement: Judgement, name: Namer, verdict: Verdict) -> tuple[Entry, ...]:
    if verdict is Verdict.AGREE:
        return _largest(claimed, judgement, name)
    row, output = np.nonzero(judgement.verdict == (DISAGREE if verdict is Verdict.DISAGREE else INCONCLUSIVE))
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.abs(claimed[row, output] - judgement.value[row, output])
    weight = np.where(np.isfinite(claimed[row, output]), np.nan_to_num(gap, nan=0.0, posinf=1e300), np.inf)
    order = np.argsort(-_rounded(weight), kind="stable")[:WORST]
    return tuple(_entry(claimed, judgement, name, int(row[i]), int(output[i])) for i in order)


def _rounded(weight: RealArray) -> RealArray:
    """Round sizes to a quarter of their binary order: what differs by less keeps its place on every machine."""
    with np.errstate(divide="ignore"):
        return np.where(np.isfinite(weight), np.round(4 * np.log2(weight)), np.inf)


def _largest(claimed: RealArray, judgement: Judgement, name: Namer) -> tuple[Entry, ...]:
    """Return the entry that agrees with the largest difference."""
    if not claimed.size:
        return ()
    gap = np.abs(claimed - judgement.value) / np.maximum(judgement.tolerance, np.finfo(np.float64).tiny)
    agreed = judgement.verdict == AGREE
    row, output = divmod(int(np.argmax(gap if agreed.all() else np.where(agreed, gap, -1.0))), claimed.shape[1])
    return (_entry(claimed, judgement, name, row, output),)


def _entry(claimed: RealArray, judgement: Judgement, name: Namer, row: int, output: int) -> Entry:
    where = (row, output)
    return Entry(
        name(row, output),
        float(claimed[where]),
        float(judgement.value[where]),
        float(judgement.bar[where]),
        {AGREE: Verdict.AGREE, DISAGREE: Verdict.DISAGREE}.get(int(judgement.verdict[where]), Verdict.INCONCLUSIVE),
        SENTENCES[int(judgement.reason[where])],
        judgement.slopes.get(where),
        bool(judgement.retested[where]),
        judgement.slope_bars.get(where),
    )
