"""Values that move in steps: an inner number has few digits left, and what is computed from it is smooth in between.

`x * (1 + erf(x / sqrt(2)))` at -8: 1 + erf is a few units of 1e-16, so the function is a staircase times x. Between two
steps it is a clean straight line whose slope has nothing to do with the function's, and no noise shows. Read as noise
of the size of a step, the same values give an honest slope from larger distances, or none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from xcheck.protocol import RealArray
from xcheck.reference.far import COARSE, TABLE, blocks_moved, far_points
from xcheck.reference.grid import Coordinates, Rows
from xcheck.reference.screen import BLOCK
from xcheck.reference.windows import Mask
from xcheck.reference.witness import Witness
from xcheck.space import combined

POINTS = 64
"""Points on a line through x, half of them on either side."""

SPANS = 4.0 ** np.arange(10)
"""How far the points reach, in units of the step at which the values leave the line: the point may be close to one."""

ABRUPT = 2048.0
"""The remainder of a smooth function falls by 64 or 512 from one level to the next; one that falls by this leapt."""

LOUD = 2.0**10
"""A leap is this many times larger than what noise could do."""

CLOSE = 2.0**-7
"""Slopes along the line are measured over this share of the distance of its points."""

OUTLYING = 32.0
"""What the slopes do not explain in a leap is this many times larger than between most points."""

WIDEST = 4.0
"""How far the widest line reaches, in units of the largest input of the same block."""

SMALL = 2**18
"""Numbers in the points of one line and their values, at most, for all distances to be looked at."""

QUICK = 1e-3
"""Seconds that one evaluation may take for that."""

DIGITS = 64
"""Significand bits of hardware's numbers; a witness in more has as many as its outputs need to move."""

STEPS = 3
"""So many leaps in different places make a staircase; a kink or a jump makes one."""

PARTS, KEPT = 16, 2.0
"""A gap is cut in so many parts, and one of them again; a kink leaves a sixteenth of what it did before, a step all."""

ALIKE = 4.0
"""Steps of a rounded number are about as high as each other; those of a table are not."""

FAR = (2, 5, 8)
"""Levels at which a line is looked for leaps."""

LOOKED = 16
"""Directions of wrong claims that are looked at one by one, at most."""

DOUBTED = 4
"""Directions of right claims that are, at most."""


Line = tuple[float, RealArray, RealArray, RealArray]
"""How far a line reaches; the places on it, the values there, and the slopes over a small part of the gaps."""


@dataclass
class Stairs:
    """The steps that values move in, shape (d, m), normalised, 0 where they do not.

    Attributes:
        height: how high they are.
        slope: the slope that they may hide: their height over their distance.
    """

    height: RealArray
    slope: RealArray


def find_stairs(witness: Witness, wanted: Mask, value: RealArray, most: int = LOOKED) -> Stairs:
    """Look for steps that the values of wanted entries move in.

    Costs 6 evaluations a direction, and 195 for every distance that is looked at: up to ten where values leave the
    measured line abruptly, and for wrong claims all of them where points are small.

    Args:
        witness: has measured the entries.
        wanted: which entries to look at, shape (d, m).
        value: the measured slopes, shape (d, m), normalised.
        most: how many directions; fewer than `LOOKED` for claims that agree.
    """
    result = Stairs(np.zeros(wanted.shape), np.zeros(wanted.shape))
    if not applies(witness):
        return result
    rows = np.flatnonzero(np.any(wanted, axis=1))[:most]
    _evaluate_far(witness, rows)
    small = (witness.problem.n + witness.problem.m) * 3 * POINTS <= SMALL and witness.problem.seconds <= QUICK
    for row in rows:
        outputs = np.flatnonzero(wanted[row] & np.isfinite(value[row]))
        leap = _leap(witness, int(row), outputs, value[row, outputs])
        for k in np.unique(leap):
            which = outputs[leap == k]
            reaches = np.minimum(SPANS[SPANS * k < 2.0] * k, 0.5) if k > 0 else np.zeros(0)
            if small and most == LOOKED:
                reaches = np.unique(np.append(reaches, _wide(witness, int(row))))
            for some in [reaches] if small and len(reaches) else reaches[:, None]:
                for line in _lines(witness, int(row), which, some):
                    found = _steps(witness, int(row), which, value[row, which], line, most < LOOKED)
                    new = result.height[row, which] == 0  # what the closest line shows
                    result.height[row, which[new]], result.slope[row, which[new]] = found[0][new], found[1][new]
    return result


def _wide(witness: Witness, row: int) -> RealArray:
    """Return distances up to a few times the largest input of the same block, in the input's scale."""
    directions, problem = witness.directions, witness.problem
    assert isinstance(directions, Coordinates)
    at = int(directions.index[row])
    block = next(b for b in problem.inputs.blocks if b.start <= at < b.start + b.size)
    largest = float(np.max(np.abs(problem.x[block.slice])))
    top = np.log2(np.maximum(WIDEST * largest / directions.scale[row], 1.0))
    return np.asarray(0.5 * 2.0 ** np.arange(0.0, min(top, 60.0) + 1, 2.0))


def applies(witness: Witness) -> bool:
    """Tell whether steps can be told from noise: values along coordinates, of inputs with digits enough."""
    plain = isinstance(witness.directions, Coordinates) and witness.grid.precision >= 24
    rounded = witness.problem.value_bits <= DIGITS
    return plain and rounded and not witness.stepped and witness.sampler.repeatable


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
    plain = applies(witness) and witness.grid.precision == 53 and not witness.problem.relative
    if not plain or witness.directions.count != witness.problem.n:
        return result
    problem, sampler = witness.problem, witness.sampler
    blocks = blocks_moved(problem)
    asked = [(k, b, _linear_outputs(witness, passed, b.slice)) for k, b in enumerate(blocks)]
    asked = [(k, block, outputs) for k, block, outputs in asked if len(outputs)]
    if not asked:
        return result
    places = np.array([[2 * k, 2 * k + 1] for k, _, _ in asked])
    if sampler.far is None or sampler.far_points is None:
        points = far_points(problem, witness.grid, witness.directions.scale, blocks)
        found = problem.values(points[places.ravel()])
    else:
        points, found = sampler.far_points, sampler.far[places.ravel()]
    found = sampler.seen(found).reshape(*places.shape, -1)
    for values, place, (_, block, outputs) in zip(found, places, asked, strict=True):
        part = block.slice
        moved = points[place, part] - problem.x[part]
        values = values[:, outputs] / sampler.size[outputs]
        center = sampler.center[outputs] / sampler.size[outputs]
        steps = moved / witness.directions.scale[part]
        slopes, bars = (x[part] if len(outputs) == x.shape[1] else x[part][:, outputs] for x in (value, bar))
        off = np.abs(values - center - combined(steps, slopes))
        sizes, lengths = np.abs(slopes), np.abs(steps)
        inputs = np.max(witness.directions.offset[part, None] * sizes, axis=0)
        size = np.abs(values) + np.abs(center) + inputs + combined(lengths, sizes)
        quiet = LOUD * np.maximum(witness.grid.unit * size, witness.noise()[outputs]) + combined(lengths, bars)
        result[part, outputs[np.any(off > quiet, axis=0)]] = True
    return result


def _linear_outputs(witness: Witness, passed: Mask, part: slice) -> Rows:
    """Return the outputs that agree along all inputs of a block, and are linear along each of them."""
    linear = np.all(passed[part], axis=0)
    step = max(1, BLOCK // max(1, len(linear)))
    for start in range(part.start, part.stop, step):
        if not linear.any():
            break
        linear &= _linear_nearby(witness, np.arange(start, min(start + step, part.stop))).all(axis=0)
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
    odd = np.abs(above - below - value * (plus + minus))  # beside a curve, where the other is large
    size = np.maximum(np.maximum(np.abs(above), np.abs(below)), np.abs(center))
    size = np.maximum(size, witness.directions.offset[row] * np.abs(value))  # the input is rounded as well
    quiet = witness.z * np.maximum(witness.noise()[outputs], witness.grid.unit * size)
    result = np.zeros(len(outputs))
    for k in range(len(levels) - 1):  # the finest leap is the last to be written
        with np.errstate(invalid="ignore"):
            abrupt = 4 * ((plus[k] + minus[k]) / (plus[k + 1] + minus[k + 1])) ** 3
            leaps = (rest[k] > LOUD * quiet[k]) & (rest[k + 1] <= rest[k] / ABRUPT)
            leaps |= (odd[k] > LOUD * quiet[k]) & (odd[k + 1] <= odd[k] / abrupt)
        near = (plus[k] + minus[k])[0] / 2 <= samples.reach[0]
        result = np.where(leaps & near, (plus[k] + minus[k])[0] / 2, result)
    return result


def _steps(
    witness: Witness, row: int, outputs: Rows, value: RealArray, line: Line, strict: bool
) -> tuple[RealArray, RealArray]:
    """Return how far values leap at most between neighbouring points of a line, and the slope of many such leaps.

    A leap is what the slopes around it do not explain; a staircase makes many. With `strict`, leaps have to be alike
    and lead somewhere: those of a table or a remainder, which a right claim may well be made for, do not.
    """
    reach, t, values, slopes = line
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.diff(t)[:, None]
        change = np.diff(values, axis=0)
        left = np.min([np.abs(change - slope * gap) for slope in explained(slopes)], axis=0)
        size = np.maximum(np.max(np.abs(values), axis=0), witness.directions.offset[row] * np.abs(value))
        quiet = witness.z * np.maximum(witness.noise()[outputs], witness.grid.unit * size)
        loud = np.maximum(LOUD * quiet, OUTLYING * np.median(left, axis=0))
        leaps = left > loud
        places = np.sum(leaps & (_alone(left, 1, 1) | _alone(left, 3, 3)), axis=0)
        stairs = (places >= STEPS) & np.all(np.isfinite(values), axis=0)
        near = left[POINTS // 4 : -POINTS // 4]  # steps may grow along the line
        some = np.where(np.any(near > loud, axis=0), near, left[: len(near)])
        height = np.max(some, axis=0)
        alike = height <= ALIKE * np.min(np.where(some > loud, some, np.inf), axis=0)
        alike &= ~_sawtooth(height, values, witness.sampler.size[outputs])
        alike |= not strict
        slope = height * np.sum(leaps, axis=0) / (2 * reach)
    found = stairs & alike
    for k in np.flatnonzero(found):
        found[k] = _stays(witness, row, outputs[k], t, np.where(leaps[:, k], left[:, k], 0.0))
    return np.where(found, height, 0.0), np.where(found, slope, 0.0)


def _sawtooth(height: RealArray, values: RealArray, unit: RealArray) -> Mask:
    """Tell where every leap undoes what the slope did before it, as in a remainder: half of all that values span.

    Args:
        height: of the leaps, shape (m,).
        values: along the line, shape (k, m).
        unit: of both, in the user's units, shape (m,); what is low in those is rounding.
    """
    low = np.maximum(TABLE, COARSE * unit * np.max(np.abs(values), axis=0))
    return np.asarray((2 * height >= np.ptp(values, axis=0)) & (height * unit > low))


def _stays(witness: Witness, row: int, output: int, t: RealArray, leaps: RealArray) -> bool:
    """Tell whether most of the highest leaps keep their height as their gap is cut, twice: steps do, kinks do not."""
    highest = np.argsort(-leaps)[:STEPS]
    start, width, kept = t[highest], t[highest + 1] - t[highest], []
    for _ in range(2):
        width = width / PARTS
        places = start[:, None] + width[:, None] * np.arange(PARTS + 1)
        values = on_line(witness, row, np.array([output]), places.ravel())[1].reshape(places.shape)
        change = np.diff(values, axis=1)
        apart = np.abs(change - np.median(change, axis=1, keepdims=True))
        start = places[np.arange(len(highest)), np.argmax(apart, axis=1)]
        kept.append(np.max(apart, axis=1))
    return bool(np.count_nonzero(kept[1] >= kept[0] / KEPT) > STEPS / 2)


def explained(slopes: RealArray) -> tuple[RealArray, ...]:
    """Return the mean slopes of all gaps by all rules that a step nearby does not spoil, shape (k - 1, m) each.

    Euler and Maclaurin's sum with one correction takes the slopes of two points on either side, Adams and Moulton's
    formula leaves one of them out, and where a step changes the slope at an end, the other end's has to do.
    """
    first, last, bend = slopes[:-1], slopes[1:], np.gradient(slopes, axis=0)
    before, after = np.vstack([slopes[:1], slopes[:-2]]), np.vstack([slopes[2:], slopes[-1:]])
    both = (first + last) / 2 - np.diff(bend, axis=0) / 12
    return both, (5 * last + 8 * first - before) / 12, (5 * first + 8 * last - after) / 12, last, first


def _alone(left: RealArray, quiet: int, width: int) -> Mask:
    """Tell where runs of at most `width` leaps begin, with so many quiet gaps on either side, shape (k, m).

    What is left of a smooth function changes its sign and grows along the line: beside most of it there is more.
    """
    count, margin = len(left), quiet + width
    padded = np.pad(left, ((margin, margin), (0, 0)))
    still = [padded[margin + k : margin + k + count] <= left / OUTLYING for k in range(-quiet, margin)]
    after = [np.all(still[quiet + k : 2 * quiet + k], axis=0) for k in range(1, width + 1)]
    return np.asarray(np.all(still[:quiet], axis=0) & np.any(after, axis=0))


def _lines(witness: Witness, row: int, outputs: Rows, reaches: RealArray) -> Iterator[Line]:
    """Evaluate along one coordinate to either side of x, as far as each of the reaches, all in one batch."""
    gaps = reaches[:, None, None] * 2 / POINTS
    shifts = np.array([-CLOSE, 0.0, CLOSE])[:, None]
    places = (np.arange(-POINTS // 2, POINTS // 2 + 1) + shifts) * gaps
    t, values = on_line(witness, row, outputs, places.ravel())
    parts = zip(reaches.tolist(), t.reshape(places.shape), values.reshape(*places.shape, -1), strict=True)
    for reach, (before, t, after), (below, values, above) in parts:
        yield reach, t, values, (above - below) / (after - before)[:, None]


def on_line(witness: Witness, row: int, outputs: Rows, t: RealArray) -> tuple[RealArray, RealArray]:
    """Evaluate along one coordinate at x + t as the dtype holds it.

    Returns:
        The displacements that it holds, and the values there, shape (len(t), len(outputs)), both normalised.
    """
    directions, sampler = witness.directions, witness.sampler
    assert isinstance(directions, Coordinates)
    at, scale = directions.index[row], directions.scale[row]
    points = np.repeat(witness.problem.x[None], len(t), axis=0)
    points[:, at] = directions.held(points[:, at] + t * scale, row)
    values = sampler.seen(witness.problem.values(points))[:, outputs] / sampler.size[outputs]
    return (points[:, at] - witness.problem.x[at]) / scale, np.asarray(values)
