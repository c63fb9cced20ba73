"""Values that move in steps: an inner number has few digits left, and what is computed from it is smooth in between.

`x * (1 + erf(x / sqrt(2)))` at -8: 1 + erf is a few units of 1e-16, so the function is a staircase times x. Between two
steps it is a clean straight line whose slope has nothing to do with the function's. No noise shows, and a derivative
that follows the trend of the steps seems wrong.
"""

from __future__ import annotations

import numpy as np

from xcheck.protocol import RealArray
from xcheck.reference.grid import Coordinates, Rows
from xcheck.reference.windows import Mask
from xcheck.reference.witness import Witness

POINTS = 64
"""Points on a line through x, half of them on either side."""

SPANS = (4.0, 16.0, 64.0, 1.0)
"""How far the points reach, in units of the step at which the values leave the line."""

ABRUPT = 512.0
"""The remainder of a smooth function falls by 64 from one level to the next; one that falls by this has leapt."""

LOUD = 2.0**10
"""A leap is this many times larger than what noise could do."""

STEPS = 3
"""So many leaps in different places make a staircase; a kink or a jump makes one."""


def follow_steps(witness: Witness, wanted: Mask, value: RealArray, claimed: RealArray) -> Mask:
    """Tell which claims follow the trend of a staircase, where the values cannot settle them.

    Costs nothing unless the values leave the measured line abruptly, and up to 260 evaluations a direction then.

    Args:
        witness: has measured the entries.
        wanted: which entries to look at, shape (d, m).
        value, claimed: the measured slopes and the claims, shape (d, m), normalised.
    """
    result = np.zeros(wanted.shape, bool)
    if not isinstance(witness.directions, Coordinates) or witness.grid.precision < 53:
        return result
    for row in np.flatnonzero(np.any(wanted, axis=1)):
        outputs = np.flatnonzero(wanted[row])
        leap = _leap(witness, int(row), outputs, value[row, outputs])
        for k in np.unique(leap[leap > 0]):
            which = outputs[leap == k]
            for span in SPANS:
                if not np.all(result[row, which]):
                    result[row, which] |= _is_trend(witness, int(row), which, span * k, claimed[row, which])
    return result


def _leap(witness: Witness, row: int, outputs: Rows, value: RealArray) -> RealArray:
    """Return the smallest step at which values leave the line abruptly; 0 where there is none."""
    levels = witness.levels_known(row)
    samples = witness.sampler.take(levels, np.array([row]))
    above, below, center = samples.above[:, 0, outputs], samples.below[:, 0, outputs], samples.center[outputs]
    plus, minus = samples.plus[:, 0, None], samples.minus[:, 0, None]
    rest = np.maximum(np.abs(above - center - value * plus), np.abs(center - below - value * minus))
    size = np.maximum(np.maximum(np.abs(above), np.abs(below)), np.abs(center))
    quiet = witness.z * np.maximum(witness.noise()[outputs], witness.grid.unit * size)
    result = np.zeros(len(outputs))
    for k in range(len(levels) - 1):  # the finest leap is the last to be written
        with np.errstate(invalid="ignore"):
            leaps = (rest[k] > LOUD * quiet[k]) & (rest[k + 1] <= rest[k] / ABRUPT)
        near = (plus[k] + minus[k])[0] / 2 <= samples.reach[0]
        result = np.where(leaps & near, (plus[k] + minus[k])[0] / 2, result)
    return result


def _is_trend(witness: Witness, row: int, outputs: Rows, reach: float, claimed: RealArray) -> Mask:
    directions, sampler = witness.directions, witness.sampler
    assert isinstance(directions, Coordinates)
    steps = np.arange(-POINTS // 2, POINTS // 2 + 1)
    t = steps * (min(reach, 0.5) * 2 / POINTS)
    points = np.repeat(witness.problem.x[None], len(t), axis=0)
    points[:, directions.index[row]] += t * directions.scale[row]
    values = sampler.seen(witness.problem.values(points))[:, outputs] / sampler.size[outputs]
    with np.errstate(invalid="ignore"):
        bent = np.abs(values[:-2] - 2 * values[1:-1] + values[2:])
        size = np.max(np.abs(values), axis=0)
        quiet = witness.z * np.maximum(witness.noise()[outputs], witness.grid.unit * size)
        leaps = bent > LOUD * quiet
        places = np.sum(leaps[1:] & ~leaps[:-1], axis=0) + leaps[0]
        stairs = (places >= STEPS) & (np.median(bent, axis=0) <= quiet) & np.all(np.isfinite(values), axis=0)
        far = np.abs(steps) >= POINTS // 8
        secants = (values[far] - values[POINTS // 2]) / t[far, None]
    low, high = np.min(secants, axis=0), np.max(secants, axis=0)
    slack = (high - low) / 2
    return np.asarray(stairs & (claimed >= low - slack) & (claimed <= high + slack))
