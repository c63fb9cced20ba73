"""Values that move in steps: an inner number has few digits left, and what is computed from it is smooth in between.

`x * (1 + erf(x / sqrt(2)))` at -8: 1 + erf is a few units of 1e-16, so the function is a staircase times x. Between two
steps it is a clean straight line whose slope has nothing to do with the function's, and no noise shows. Read as noise
of the size of a step, the same values give an honest slope from larger distances, or none.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from xcheck.protocol import RealArray
from xcheck.reference.far import blocks_moved, far_points
from xcheck.reference.grid import Coordinates, Rows
from xcheck.reference.screen import BLOCK
from xcheck.reference.windows import Mask
from xcheck.reference.witness import Witness

POINTS = 64
"""Points on a line through x, half of them on either side."""

SPANS = 4.0 ** np.arange(10)
"""How far the points reach, in units of the step at which the values leave the line: the point may be close to one."""

ABRUPT = 2048.0
"""The remainder of a smooth function falls by 64 or 512 from one level to the next; one that falls by this leapt."""

LOUD = 2.0**10
"""A leap is this many times larger than what noise could do."""

STEPS = 3
"""So many leaps in different places make a staircase; a kink or a jump makes one."""

ALIKE = 4.0
"""Steps of a rounded number are about as high as each other; those of a table are not."""

FAR = (2, 5, 8)
"""Levels at which a line is looked for leaps."""

LOOKED = 16
"""Directions of wrong claims that are looked at one by one, at most."""

DOUBTED = 4
"""Directions of right claims that are, at most."""


def step_sizes(witness: Witness, wanted: Mask, value: RealArray, most: int = LOOKED) -> RealArray:
    """Return how high the steps are that the values of wanted entries move in, 0 where they do not, shape (d, m).

    Costs 6 evaluations a direction, and up to 650 more where values leave the measured line abruptly.

    Args:
        witness: has measured the entries.
        wanted: which entries to look at, shape (d, m).
        value: the measured slopes, shape (d, m), normalised.
        most: how many directions.
    """
    result = np.zeros(wanted.shape)
    if not applies(witness):
        return result
    rows = np.flatnonzero(np.any(wanted, axis=1))[:most]
    _evaluate_far(witness, rows)
    for row in rows:
        outputs = np.flatnonzero(wanted[row] & np.isfinite(value[row]))
        leap = _leap(witness, int(row), outputs, value[row, outputs])
        for k in np.unique(leap[leap > 0]):
            which = outputs[leap == k]
            for reach in np.minimum(SPANS[SPANS * k < 2.0] * k, 0.5):
                if not np.all(result[row, which]):
                    result[row, which] = np.maximum(
                        result[row, which], _steps(witness, int(row), which, value[row, which], reach, most < LOOKED)
                    )
    return result


def applies(witness: Witness) -> bool:
    """Tell whether steps can be told from noise: float64 values along coordinates, read as they are."""
    plain = isinstance(witness.directions, Coordinates) and witness.grid.precision == 53
    return plain and not witness.problem.relative and not witness.stepped and witness.sampler.repeatable


def suspicious_lines(witness: Witness, passed: Mask, value: RealArray, bar: RealArray) -> Mask:
    """Tell which entries look exactly linear near the point and do not farther off, shape (d, m).

    Linear functions do near and far, smooth ones not even near. All inputs of a block are moved at once (`far_points`);
    costs two evaluations a block.

    Args:
        witness: has evaluated the base levels.
        passed: entries that agree so far.
        value, bar: their slopes and error bars, normalised.
    """
    result = np.zeros(passed.shape, bool)
    if not applies(witness) or len(witness.directions.scale) != witness.problem.n:
        return result
    problem, sampler = witness.problem, witness.sampler
    blocks = blocks_moved(problem)
    asked = [(k, b, _linear_outputs(witness, passed, b.slice)) for k, b in enumerate(blocks)]
    asked = [(k, block, outputs) for k, block, outputs in asked if len(outputs)]
    if not asked:
        return result
    points = far_points(problem, witness.grid, witness.directions.scale, blocks)
    places = np.array([[2 * k, 2 * k + 1] for k, _, _ in asked])
    found = problem.values(points[places.ravel()]) if sampler.far is None else sampler.far[places.ravel()]
    found = sampler.seen(found).reshape(*places.shape, -1)
    for values, place, (_, block, outputs) in zip(found, places, asked, strict=True):
        part = block.slice
        moved = points[place, part] - problem.x[part]
        values = values[:, outputs] / sampler.size[outputs]
        center = sampler.center[outputs] / sampler.size[outputs]
        steps = moved / witness.directions.scale[part]
        slopes, bars = (x[part] if len(outputs) == x.shape[1] else x[part][:, outputs] for x in (value, bar))
        off = np.abs(values - center - steps @ slopes)
        inputs = np.max(witness.directions.offset[part, None] * np.abs(slopes), axis=0)
        size = np.abs(values) + np.abs(center) + inputs + np.abs(steps) @ np.abs(slopes)
        quiet = LOUD * np.maximum(witness.grid.unit * size, witness.noise()[outputs]) + np.abs(steps) @ bars
        result[part, outputs[np.any(off > quiet, axis=0)]] = True
    return result


def _linear_outputs(witness: Witness, passed: Mask, part: slice) -> Rows:
    """Return the outputs that agree along all inputs of a block, and are linear along each of them."""
    linear = np.all(passed[part], axis=0)
    step = max(1, BLOCK // max(1, len(linear)))
    for start in range(part.start, part.stop, step):
        if not np.any(linear):
            break
        linear &= np.all(_linear_nearby(witness, np.arange(start, min(start + step, part.stop))), axis=0)
    return np.flatnonzero(linear)


def _linear_nearby(witness: Witness, rows: Rows) -> Mask:
    """Tell which entries show no curvature at all at the finer base level, not even that of a smooth function."""
    _, _, fine = witness.grid.group(0)
    samples = witness.sampler.take((fine,), rows)
    up, down = samples.above[0] - samples.center, samples.center - samples.below[0]
    even = up - down - (up + down) * ((samples.plus - samples.minus) / (samples.plus + samples.minus))[0][:, None]
    size = np.abs(samples.center) + np.abs(up) + np.abs(down)
    return np.asarray(np.abs(even) <= 8 * witness.grid.unit * size)


def _evaluate_far(witness: Witness, rows: Rows) -> None:
    """Evaluate the far levels of all rows that reach as far in one batch."""
    alike: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for row in rows.tolist():
        alike[witness.reachable(FAR, row)].append(row)
    for levels, members in alike.items():
        witness.sampler.ensure(levels, np.array(members, dtype=np.intp))


def _leap(witness: Witness, row: int, outputs: Rows, value: RealArray) -> RealArray:
    """Return the smallest step at which values leave the line abruptly; 0 where there is none."""
    levels = tuple(sorted({*witness.levels_known(row), *witness.reachable(FAR, row)}))
    samples = witness.sampler.take(levels, np.array([row]))
    above, below, center = samples.above[:, 0, outputs], samples.below[:, 0, outputs], samples.center[outputs]
    plus, minus = samples.plus[:, 0, None], samples.minus[:, 0, None]
    rest = np.maximum(np.abs(above - center - value * plus), np.abs(center - below - value * minus))
    size = np.maximum(np.maximum(np.abs(above), np.abs(below)), np.abs(center))
    size = np.maximum(size, witness.directions.offset[row] * np.abs(value))  # the input is rounded as well
    quiet = witness.z * np.maximum(witness.noise()[outputs], witness.grid.unit * size)
    result = np.zeros(len(outputs))
    for k in range(len(levels) - 1):  # the finest leap is the last to be written
        with np.errstate(invalid="ignore"):
            leaps = (rest[k] > LOUD * quiet[k]) & (rest[k + 1] <= rest[k] / ABRUPT)
        near = (plus[k] + minus[k])[0] / 2 <= samples.reach[0]
        result = np.where(leaps & near, (plus[k] + minus[k])[0] / 2, result)
    return result


def _steps(witness: Witness, row: int, outputs: Rows, value: RealArray, reach: float, strict: bool) -> RealArray:
    """Return how far values leap at most between neighbouring points of a line, where they leap in many places.

    With `strict`, their leaps have to be alike: those of a table, which a right claim may well be made for, are not.
    """
    directions, sampler = witness.directions, witness.sampler
    assert isinstance(directions, Coordinates)
    inputs = directions.offset[row] * np.abs(value)
    t = np.arange(-POINTS // 2, POINTS // 2 + 1) * (reach * 2 / POINTS)
    points = np.repeat(witness.problem.x[None], len(t), axis=0)
    points[:, directions.index[row]] += t * directions.scale[row]
    values = sampler.seen(witness.problem.values(points))[:, outputs] / sampler.size[outputs]
    with np.errstate(invalid="ignore"):
        bent = np.abs(values[:-2] - 2 * values[1:-1] + values[2:])
        size = np.maximum(np.max(np.abs(values), axis=0), inputs)
        quiet = witness.z * np.maximum(witness.noise()[outputs], witness.grid.unit * size)
        leaps = bent > LOUD * quiet
        places = np.sum(leaps[1:] & ~leaps[:-1], axis=0) + leaps[0]
        stairs = (places >= STEPS) & (np.median(bent, axis=0) <= quiet) & np.all(np.isfinite(values), axis=0)
        near = bent[POINTS // 4 : -POINTS // 4]  # steps may grow along the line
        some = np.where(np.any(near > LOUD * quiet, axis=0), near, bent[: len(near)])
        height = np.max(some, axis=0)
        alike = (not strict) | (height <= ALIKE * np.min(np.where(some > LOUD * quiet, some, np.inf), axis=0))
    return np.where(stairs & alike, height, 0.0)
