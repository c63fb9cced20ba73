"""The test of the test: claims that agreed are judged again with errors planted in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from xcheck.comparison import Comparison
from xcheck.judgement import AGREE, DISAGREE, INCONCLUSIVE, RETESTED, Judgement
from xcheck.planting import Planted, Plants
from xcheck.protocol import RealArray
from xcheck.report import ClaimPower, Power, Report, Size
from xcheck.verdict import Verdict

MULTIPLES = tuple(2.0**k for k in range(-6, 7))
"""Sizes of planted errors, in detection limits."""

ABOVE = 1 + 2.0**-5
"""Errors are planted that much above their nominal size. A claim is allowed a share of itself, a wrong one of its error
too (a thousandth in the screen, four units of roundoff in a kernel), and limits are stated to one digit."""

NAMED = 3
"""Errors above the limit that were called right and are told in words."""


@dataclass(frozen=True)
class Spot:
    """Where errors are planted.

    Attributes:
        output, place: the entry, or the product where products are compared.
        limit: the detection limit of this entry alone; NaN where products stand for entries.
        size: the claim's own size; NaN where it is not known.
        up, down: by how much an error of either sign has to exceed its nominal size, so that it counts from what was
            measured wherever that is farther than the claim.
        worth: what an error of 1 is worth in what the limit is about.
    """

    output: int
    place: int
    limit: float = float("nan")
    size: float = float("nan")
    up: float = 0.0
    down: float = 0.0
    worth: float = 1.0

    def planted(self, error: float, sign: float) -> Planted:
        """Return an error of the size `error`."""
        return Planted(self.output, self.place, sign * (error + (self.up if sign > 0 else self.down)) / self.worth)


@dataclass(frozen=True)
class Bed:
    """A claim that can be judged again.

    Attributes:
        draw: draws spots in entries that agreed; the first is the one with the largest limit of its own.
        judge: judges the claim with errors in it; returns a code, AGREE or other, for each of them.
        name: names a spot.
        at_once: how many errors one judgement can hold.
    """

    draw: Callable[[np.random.Generator, int], list[Spot]]
    judge: Callable[[Plants], Sequence[int]]
    name: Callable[[Spot], str]
    at_once: int = 1


def bed_of_entries(
    claimed: RealArray,
    found: Judgement,
    again: Callable[[Plants], Judgement],
    name: Callable[[int, int], str],
    diagonal: bool = False,
) -> Bed:
    """Make the bed of a claim whose entries were judged one by one.

    Args:
        claimed: the values that were judged, (directions, outputs).
        found: the verdicts.
        again: judges the claim with errors in it.
        name: names the entry at (direction, output).
        diagonal: there is one row, the diagonal of a Jacobian.
    """

    def draw(rng: np.random.Generator, count: int) -> list[Spot]:
        agreed = np.flatnonzero(found.verdict == AGREE)
        if not len(agreed):
            return []
        limits = found.resolution.ravel()
        chosen = rng.permutation(len(agreed))[:count] if len(agreed) < 2**16 else rng.integers(len(agreed), size=count)
        places = dict.fromkeys([int(agreed[np.argmax(limits[agreed])]), *agreed[chosen].tolist()])
        return [spot(*divmod(at, claimed.shape[1])) for at in list(places)[:count]]

    def spot(row: int, output: int) -> Spot:
        off = float(claimed[row, output] - found.value[row, output])
        limit, size = float(found.resolution[row, output]), float(abs(claimed[row, output]))
        return Spot(output, output if diagonal else row, limit, size, max(0.0, -off), max(0.0, off))

    def judge(planted: Plants) -> list[int]:
        codes = again(planted).verdict
        return [int(codes[0 if diagonal else p.place, p.output]) for p in planted]

    return Bed(draw, judge, lambda s: name(0 if diagonal else s.place, s.output), RETESTED)


Slack = Callable[[int, int], tuple[float, float]]
"""For the entry (output, place) of a claim compared by products: what an error of 1 is worth in what the limit is
about, and how far the claim's own product is off."""


def bed_of_products(
    shape: tuple[int, int], slack: Slack, again: Callable[[Planted], int], name: Callable[[int, int], str]
) -> Bed:
    """Make the bed of a claim that was compared by products.

    Args:
        shape: inputs and outputs, (n, m).
        slack: what an error in an entry is worth, and how far its product is off.
        again: judges the claim with an error in it; returns the worst code.
        name: names the entry (output, place).
    """
    n, m = shape

    def draw(rng: np.random.Generator, count: int) -> list[Spot]:
        spots = []
        for place, output in zip(
            rng.integers(n, size=count).tolist(), rng.integers(m, size=count).tolist(), strict=True
        ):
            worth, off = slack(output, place)
            spots.append(Spot(output, place, up=off, down=off, worth=worth))
        return spots

    return Bed(draw, lambda planted: [again(p) for p in planted], lambda s: name(s.output, s.place))


def worst_code(codes: NDArray[np.int8]) -> int:
    """Combine the codes of products: any that disagrees is enough."""
    found = {int(code) for code in np.ravel(codes)}
    return next((code for code in (DISAGREE, INCONCLUSIVE) if code in found), AGREE)


def run_trials(report: Report, again: Report, beds: Sequence[Bed | None], count: int, seed: int) -> Power:
    """Plant errors in every claim of a report that agreed.

    Args:
        report: states the limits.
        again: the same check made again.
        beds: one for each of its comparisons; None where there is nothing to plant in.
        count: how many errors of every size.
        seed: chooses the entries.

    Raises:
        ValueError: nothing agreed.
    """
    claims, left_out = [], []
    for k, comparison in enumerate(report.comparisons):
        source = f"{comparison.claim.source} vs {comparison.reference.source}, {comparison.quantity}"
        if not np.isfinite(comparison.detection_limit):
            left_out.append(f"{source}: {comparison.verdict}, nothing agreed")
            continue
        if comparison.verdict is not Verdict.AGREE and comparison.method != "every entry":
            left_out.append(f"{source}: {comparison.verdict}, and products have no entries that agree by themselves")
            continue
        if comparison.reference.source == "baseline":
            left_out.append(f"{source}: numbers from a file, held against others by their tolerances")
            continue
        bed = beds[k] if k < len(beds) and _same(comparison, again.comparisons[k]) else None
        spots = bed.draw(np.random.default_rng((seed, k, 11)), count) if bed is not None else []
        if bed is None or not spots:
            left_out.append(f"{source}: made again, the check compares something else; its values are not repeatable")
            continue
        claims.append(_try_out(comparison, bed, spots, count))
    if not claims:
        why = "; ".join(left_out) or "nothing was compared"
        raise ValueError(f"power() plants errors in claims that agreed, and none did in this report: {why}.")
    return Power(report.function, report.backend, tuple(claims), tuple(left_out), count)


def _same(one: Comparison, other: Comparison) -> bool:
    keys = [(c.claim, c.reference, c.quantity, c.method, c.total) for c in (one, other)]
    return keys[0] == keys[1]


@dataclass
class _Tally:
    counts: Counter[int] = field(default_factory=Counter)
    error: float = 0.0
    share: float = 0.0

    def size(self, multiple: float) -> Size:
        counts = self.counts
        return Size(multiple, self.error, self.share, counts[DISAGREE], counts[INCONCLUSIVE], counts[AGREE])


def _try_out(comparison: Comparison, bed: Bed, spots: list[Spot], count: int) -> ClaimPower:
    spots = [spots[i % len(spots)] for i in range(count)]
    signs = [(-1.0) ** (i % len(set(spots)) + i // len(set(spots))) for i in range(count)]
    stated = comparison.detection_limit
    limits = [stated or _least(spot) for spot in spots]
    own = [spot.limit or _least(spot) for spot in spots]
    passed: list[str] = []
    sizes = _table(bed, spots, signs, limits, passed)
    by_entry: tuple[Size, ...] = ()
    if comparison.total > 1 and not any(np.isnan(limit) for limit in own):
        by_entry = _table(bed, spots, signs, own)
    named = tuple(dict.fromkeys(passed))
    more = (f"and {len(named) - NAMED} more",) if len(named) > NAMED else ()
    return ClaimPower(
        comparison.claim.source,
        comparison.reference.source,
        comparison.quantity,
        comparison.method,
        stated,
        sizes,
        by_entry,
        named[:NAMED] + more,
    )


def _least(spot: Spot) -> float:
    """Return the error to begin with where any is promised to be seen: one that changes the claim at all."""
    return 64 * float(np.spacing(spot.size)) if spot.size > 0 else float(np.finfo(np.float64).tiny)


_Trial = tuple[Spot, float, float]
"""Where, of which sign, and what is multiplied."""


def _table(
    bed: Bed, spots: list[Spot], signs: list[float], limits: list[float], passed: list[str] | None = None
) -> tuple[Size, ...]:
    """Judge every error once; one that is drawn again, where there are few entries, counts again."""
    table, times = [], Counter(zip(spots, signs, limits, strict=True))
    for multiple in MULTIPLES:
        tally = _Tally(share=float("nan") if np.isnan(spots[0].size) else 0.0)
        for group in _groups(list(times), bed.at_once):
            planted = [spot.planted(ABOVE * multiple * limit, sign) for spot, sign, limit in group]
            for (spot, sign, limit), error, code in zip(group, planted, bed.judge(planted), strict=True):
                tally.counts[code] += times[spot, sign, limit]
                size = multiple * limit
                tally.error = max(tally.error, size)
                if spot.size >= 0:
                    tally.share = max(tally.share, size / spot.size if spot.size else float("inf"))
                if passed is not None and code == AGREE and multiple >= 1:
                    passed.append(f"an error of {error.size:+.3g} in {bed.name(spot)}")
        table.append(tally.size(multiple))
    return tuple(table)


def _groups(trials: Sequence[_Trial], at_once: int) -> list[list[_Trial]]:
    """Put errors into one judgement that cannot influence each other: in other outputs, along other inputs."""
    groups: list[list[_Trial]] = []
    for trial in trials:
        spot = trial[0]
        for group in groups:
            apart = all(other.output != spot.output and other.place != spot.place for other, _, _ in group)
            if apart and len(group) < at_once:
                group.append(trial)
                break
        else:
            groups.append([trial])
    return groups
