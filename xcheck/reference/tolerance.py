"""Values computed to a tolerance: small jumps where a solver takes another step, and wrong slopes in between.

A solver that stops at a tolerance returns f + e, with e of the size of the tolerance. Where the number of its
iterations or steps changes, e jumps; between two jumps it is smooth, and so are the values. Differences then measure
the slope of f + e faithfully, to more digits than f has. As e stays small, its slopes between jumps make up for its
jumps: the sum of the jumps over a stretch, divided by its length, is how large they are. Where nothing jumps along one
input and something does along others, e is as high as these jumps, and moves at the scale of the input.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xcheck.protocol import RealArray
from xcheck.reference.grid import Coordinates, Rows
from xcheck.reference.stairs import applies, explained
from xcheck.reference.windows import Mask
from xcheck.reference.witness import Witness

POINTS = 64
"""Gaps on a line through x, half of them on either side."""

CLOSE = 2.0**-7
"""Slopes along the line are measured over this share of a gap to either side."""

WIDEST = 2.0
"""How far the widest line reaches to either side, in units of the largest step that is allowed."""

NARROWEST, NARROWER = 2.0**-7, 2.0**-3
"""How far the narrowest one does at least, in units of the input's scale, and any one of the one before it."""

RAYS = 4
"""Lines along which all inputs move at once, at most: in proportion to themselves, and by random signs."""

AWAY = (0.97, 0.43)
"""How far they move, in units of themselves and of the largest input."""

MOST = 5
"""Lines along a direction, at most."""

LOUD = 2.0**6
"""A jump is this many times larger than what noise could do."""

LOW = 2.0**-9
"""And at most this share of the largest value: higher ones are the function's own, as those of a table are."""

LOWER = 2.0**-20
"""Roughness without jumps is at most this share: networks of relus and Huber losses are rougher by themselves."""

ALIKE = 16.0
"""What the slopes leave unexplained between two points counts as jumps if it is no less than this share of one."""

CUTS = 4
"""A gap is cut in so many parts, of which the one with the jump is cut again."""

TIMES = 7
"""So many times."""

STAYS = 0.5
"""A jump keeps this share of its height while its gap shrinks by 16; a kink keeps 1/16, an oscillation less."""

CANDIDATES = 4
"""Gaps of a line that are looked at for a jump."""

HIDES = 4.0
"""Slopes of e may be so many times larger than the sum of its jumps over their distance."""

RISES = 16.0
"""Along inputs that nothing jumps along, e may change by so many jumps seen elsewhere over the input's scale."""

DEGREE = 6
"""Of the polynomials that are fitted to all, half and a quarter of a line."""

FALLS = 2.0**4
"""Their residuals fall by 2^7 for every half with functions that are smooth there, and by no more than this with e."""

BENDS = 64.0
"""Slopes of an e without jumps may be so many times larger than that residual over the length of the line's half."""

BENT = 2.0**6
"""A kink in the second derivative falls by 16 as its gap is cut; what is smooth falls by 1024."""

SEEN = 2
"""So many cuts have to show it."""

LONG = 2**12
"""Of so many inputs all are never moved at once, and single ones along two lines: every point costs."""

LOOKED = 16
"""Directions that are looked at, at most."""

SMOOTH = 2
"""A function is taken as smooth if so many of the lines along all inputs show no jump, and one direction does not."""

PATIENCE = 1.0
"""Seconds that evaluations for that may take, beyond the first direction."""


@dataclass(frozen=True)
class _Line:
    """Where to look: displacements are t * step, with step in user units; slopes are per unit of t."""

    witness: Witness
    step: RealArray
    outputs: Rows

    def values(self, t: RealArray) -> RealArray:
        """Evaluate at x + t * step, normalised, shape (len(t), len(outputs))."""
        sampler, problem = self.witness.sampler, self.witness.problem
        found = sampler.seen(problem.values(problem.x + t[:, None] * self.step))
        return np.asarray(found[:, self.outputs] / sampler.size[self.outputs])


def find_tolerance(witness: Witness, wanted: Mask, value: RealArray, gap: RealArray) -> RealArray:
    """Return how far slopes of what is computed may be from slopes of what is meant, shape (d, m), normalised.

    0 where no jump was seen. Costs up to 1,500 evaluations for every direction that is looked at.

    Args:
        witness: has measured the entries.
        wanted: which entries to look at, shape (d, m).
        value: the measured slopes, shape (d, m), normalised.
        gap: how far the claim is from them; a line that explains it is the last one.
    """
    result = np.zeros(wanted.shape)
    if not applies(witness):
        return result
    worst = np.max(np.where(wanted, gap, -1.0), axis=1, initial=-1.0)
    order = np.argsort(-worst, kind="stable")
    order = order[worst[order] >= 0]
    long = witness.problem.n >= LONG
    height = np.zeros(wanted.shape[1]) if long else _height(witness, wanted, value, gap)
    result[order] = np.where(wanted[order], RISES * height, 0.0)
    cost = 1500 * max(witness.problem.seconds, 1e-9)
    looked = int(np.clip(PATIENCE / cost, 1, LOOKED))
    for place, row in enumerate(order[:looked].tolist()):
        if place and not np.any(height > 0):
            break
        for reach in _reaches(witness, row)[: 2 if long else None]:
            outputs = np.flatnonzero(wanted[row] & ~(gap[row] <= result[row]))
            if not len(outputs):
                break
            found, slope = _jumps(_Line(witness, _input(witness, row), outputs), reach, value[row, outputs])
            result[row, outputs] = np.maximum(result[row, outputs], slope)
            height[outputs] = np.maximum(height[outputs], found)
    least = np.broadcast_to(RISES * height, result.shape).copy()
    if len(order) > looked:  # these are off by less
        least[order[looked:]] = np.maximum(RISES * height, np.max(result[order[:looked]], axis=0))
    return np.where(wanted, np.maximum(result, least), 0.0)


def _height(witness: Witness, wanted: Mask, value: RealArray, gap: RealArray) -> RealArray:
    """Return the highest jumps of the outputs as all inputs move at once, shape (m,), until they explain every gap."""
    height = np.zeros(wanted.shape[1])
    problem = witness.problem
    most = np.maximum(problem.scale, problem.typical)
    rng = np.random.default_rng((witness.grid.seed, 9))
    rays = [problem.x, *rng.choice([-1.0, 1.0], (RAYS - 1, problem.n)) * most]
    for k, step in enumerate(rays):
        outputs = np.flatnonzero(np.any(wanted & ~(gap <= RISES * height), axis=0))
        if not len(outputs) or (k >= SMOOTH and not np.any(height > 0)):
            break
        found, _ = _jumps(_Line(witness, step, outputs), AWAY[k % 2], np.max(np.abs(value[:, outputs]), axis=0))
        height[outputs] = np.maximum(height[outputs], found)
    return height


def _input(witness: Witness, row: int) -> RealArray:
    """Return one unit along a direction, in user units, shape (n,)."""
    directions = witness.directions
    assert isinstance(directions, Coordinates)
    step = np.zeros(witness.problem.n)
    step[directions.index[row]] = directions.scale[row]
    return step


def _reaches(witness: Witness, row: int) -> RealArray:
    widest = WIDEST * witness.directions.reach[row]
    count = int(np.log2(min(widest, 2.0**60) / NARROWEST) / -np.log2(NARROWER)) + 1
    return np.asarray(widest * NARROWER ** np.arange(min(count, MOST)))


def _jumps(line: _Line, reach: float, value: RealArray) -> tuple[RealArray, RealArray]:
    """Return the highest jump on a line, and the slope that all of them together may hide, shape (m,) each."""
    witness, outputs = line.witness, line.outputs
    gap = 2 * reach / POINTS
    places: RealArray = np.arange(-POINTS // 2, POINTS // 2 + 1).astype(np.float64) * gap
    found = line.values((places + np.array([-CLOSE, 0.0, CLOSE])[:, None] * gap).ravel())
    below, values, above = found.reshape(3, len(places), -1)
    none = np.zeros(len(outputs))
    if not np.all(np.isfinite(found)):
        return none, none
    left = _unexplained(values, (above - below) / (2 * CLOSE))
    size = np.maximum(np.max(np.abs(values), axis=0), witness.sampler.magnitude[outputs])
    quiet = LOUD * witness.z * np.maximum(witness.noise()[outputs], witness.grid.unit * (size + np.abs(value)))
    loud = np.max(left / quiet, axis=1)
    if not np.any(loud > 1):
        return none, none
    height, kinked = _followed(line, places, gap, np.argsort(-loud)[:CANDIDATES], quiet)
    height = np.where(height <= LOW * size, height, 0.0)
    rough = _roughness(values, quiet)
    rough = np.where(kinked & (rough <= LOWER * size), rough, 0.0)
    counted = np.where(left >= height / ALIKE, left, 0.0)
    hidden = np.where(height > 0, HIDES * np.sum(counted, axis=0) / (2 * reach), 0.0)
    return np.maximum(height, rough), np.maximum(hidden, BENDS * rough / reach)


def _roughness(values: RealArray, quiet: RealArray) -> RealArray:
    """Return how far values (k, m) on a line are from a polynomial, shape (m,); 0 where they come closer on less of it.

    An e without jumps has kinks where a solver chooses another step, and is as rough on a quarter of the line.
    """
    middle = len(values) // 2
    whole, half, quarter = (_misfit(values[middle - middle // k : middle + middle // k + 1]) for k in (1, 2, 4))
    least = np.minimum(_misfit(values[: middle + 1]), _misfit(values[middle:]))  # one kink is on one side
    rough = (half >= whole / FALLS) & (quarter >= half / FALLS) & (np.minimum(quarter, least) > quiet)
    return np.asarray(np.where(rough, whole, 0.0))


def _misfit(values: RealArray) -> RealArray:
    """Return how far values (k, m) at even distances are from the best polynomial of low degree, shape (m,)."""
    basis = np.polynomial.chebyshev.chebvander(np.linspace(-1.0, 1.0, len(values)), DEGREE)
    return np.asarray(np.max(np.abs(values - basis @ np.linalg.lstsq(basis, values, rcond=None)[0]), axis=0))


def _unexplained(values: RealArray, slopes: RealArray) -> RealArray:
    """Return how far values (k, m) change over each gap beyond what their slopes, per gap, explain; (k - 1, m).

    What is left of a smooth function changes smoothly along the line, so that the gaps beside it foretell it.
    """
    change = np.diff(values, axis=0)
    left = change - np.stack(explained(slopes))
    both, least = left[0], np.min(np.abs(left), axis=0)
    alone = np.zeros_like(both)
    alone[2:-2] = _beside_others(both, 0)
    return np.asarray(np.minimum(alone, least))


def _beside_others(change: RealArray, axis: int) -> RealArray:
    """Return how far every change is from what two on either side foretell; the outermost two have no such."""
    return np.asarray(np.abs(np.diff(change, 4, axis=axis)) / 6)


def _followed(
    line: _Line, places: RealArray, width: float, gaps: Rows, quiet: RealArray
) -> tuple[RealArray, NDArray[np.bool_]]:
    """Follow what is left in each gap to smaller and smaller ones; returns the highest jump, 0 for none, and kinks.

    What is left is the change over a gap less what those over the gaps beside it foretell. It falls with the fifth
    power of the width for smooth functions and with the first for kinks; jumps keep their height.
    """
    start = places[gaps]
    heights = []
    for _ in range(TIMES):
        width = width / CUTS
        t = start[:, None] + np.arange(-2, CUTS + 3) * width
        change = np.diff(line.values(t.ravel()).reshape(*t.shape, -1), axis=1)
        left = _beside_others(change, 1)  # (gaps, cuts, m)
        where = np.argmax(np.max(left / quiet, axis=2), axis=1)
        heights.append(left[np.arange(len(gaps)), where])
        start = start + where * width
    before, after = heights[-3], heights[-1]
    jump = np.isfinite(before) & (after >= STAYS * before) & (after > quiet)
    found = np.array(heights)
    falls = (found[1:] > quiet) & (found[1:] < found[:-1] / BENT)
    seen = np.sum(found[1:] > quiet, axis=0)
    kinked = (seen >= SEEN) & ~np.any(falls, axis=0)
    return np.max(np.where(jump, after, 0.0), axis=0, initial=0.0), np.any(kinked, axis=0)
