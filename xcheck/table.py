"""Numbers here beside numbers in a baseline, with a verdict about each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from xcheck.agreement import LESS_ACCURATE
from xcheck.comparison import WORST, Comparison, Entry, Source, tally
from xcheck.judgement import AGREE, DISAGREE, INCONCLUSIVE
from xcheck.protocol import RealArray
from xcheck.verdict import Verdict

SOURCE = "baseline"
"""What reports call a baseline."""

CONVENTION = "the function has no derivative there, and the baseline follows another convention"
"""Why numbers differ where there is no derivative."""

Mask = NDArray[np.bool_]


def unexplained_share(*precisions: int) -> float:
    """Return the share of the largest number beyond which rounding is no explanation of a difference."""
    return max(LESS_ACCURATE, float(2.0 ** (-min(precisions) / 2)))


@dataclass
class Table:
    """Numbers here and in a baseline, and what is found of each; they agree until something else is marked.

    Attributes:
        here: the numbers here, any shape.
        saved: those of the baseline, same shape.
        allowed: how far they may be apart, same shape.
        name: names a place when flattened.
    """

    here: RealArray
    saved: RealArray
    allowed: RealArray
    name: Callable[[int], str]

    @cached_property
    def codes(self) -> NDArray[np.int8]:
        """The verdicts, codes of `xcheck.judgement`."""
        return np.full(self.here.shape, AGREE, np.int8)

    @cached_property
    def reasons(self) -> NDArray[np.object_]:
        """Why a number does not agree."""
        return np.full(self.here.shape, "", object)

    @cached_property
    def apart(self) -> Mask:
        """Where numbers differ by more than is allowed; equal infinities do not, nor do two NaN."""
        a, b = self.here, self.saved
        with np.errstate(invalid="ignore"):
            close = np.abs(a - b) <= self.allowed
        return np.asarray(~((close & np.isfinite(a) & np.isfinite(b)) | (a == b) | (np.isnan(a) & np.isnan(b))))

    @property
    def size(self) -> RealArray:
        """The larger absolute value of each pair, 0 for those that are not finite."""
        sizes = [np.where(np.isfinite(v), np.abs(v), 0.0) for v in (self.here, self.saved)]
        return np.asarray(np.maximum(*sizes))

    def farther(self, least: RealArray) -> Mask:
        """Tell where numbers are apart, and by more than `least`."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.apart & ~(np.abs(self.here - self.saved) <= least))

    def mark(self, where: Mask, code: int, reason: str) -> None:
        """Give numbers a verdict, in place of the one that they had."""
        self.codes[where], self.reasons[where] = code, reason

    def comparison(self, claim: str, quantity: str, method: str = "every entry") -> Comparison:
        """Summarise the verdicts.

        Args:
            claim: whose numbers these are.
            quantity: what they are, such as value or Jacobian.
            method: how they were reached.
        """
        verdict, wrong, open_, total = tally(self.codes)
        limit, relative = self._limits()
        return Comparison(
            Source(claim),
            Source(SOURCE),
            quantity,
            verdict,
            self._reason(verdict, total),
            self._worst(verdict),
            wrong,
            open_,
            total,
            limit,
            relative,
            method=method,
            without_derivative=int(np.count_nonzero((self.codes == INCONCLUSIVE) & (self.reasons == CONVENTION))),
        )

    def _gap(self) -> RealArray:
        with np.errstate(invalid="ignore"):
            gap = np.abs(self.here - self.saved)
        return np.where(np.isnan(gap) & ~(np.isnan(self.here) & np.isnan(self.saved)), np.inf, np.nan_to_num(gap))

    def _limits(self) -> tuple[float, float]:
        agreed = (self.codes == AGREE) & np.isfinite(self.here)
        if not np.any(agreed):
            return float("inf"), float("inf")
        seen = np.where(agreed, self.allowed + np.where(agreed, self._gap(), 0.0), 0.0)
        size = np.where(agreed, np.abs(self.here), 0.0)
        largest = np.max(size, axis=0, initial=0.0)
        most = np.max(seen, axis=0, initial=0.0)
        shares = np.divide(most, largest, out=np.zeros_like(most), where=np.asarray(largest > 0))
        return float(np.max(seen)), float(np.max(shares))

    def _reason(self, verdict: Verdict, total: int) -> str:
        if not total:
            return "there was nothing to compare"
        code = {Verdict.DISAGREE: DISAGREE, Verdict.INCONCLUSIVE: INCONCLUSIVE}.get(verdict)
        counts = Counter(self.reasons[self.codes == code].tolist()) if code is not None else Counter()
        return "; ".join(reason for reason, _ in counts.most_common(2))

    def _worst(self, verdict: Verdict) -> tuple[Entry, ...]:
        code = {Verdict.DISAGREE: DISAGREE, Verdict.INCONCLUSIVE: INCONCLUSIVE}.get(verdict, AGREE)
        places = np.flatnonzero(self.codes == code)
        excess = self._gap().ravel()[places] / np.maximum(self.allowed.ravel()[places], np.finfo(np.float64).tiny)
        order = np.argsort(-excess, kind="stable")[: 1 if verdict is Verdict.AGREE else WORST]
        word = {DISAGREE: Verdict.DISAGREE, INCONCLUSIVE: Verdict.INCONCLUSIVE}.get(code, Verdict.AGREE)
        return tuple(self._entry(int(k), word) for k in places[order])

    def _entry(self, k: int, verdict: Verdict) -> Entry:
        here, saved, allowed = (float(a.ravel()[k]) for a in (self.here, self.saved, self.allowed))
        return Entry(self.name(k), here, saved, allowed, verdict, str(self.reasons.ravel()[k]))
