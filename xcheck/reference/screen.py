"""The cheap test that right claims pass: with a claim, two step sizes are enough.

If the claim is right, `D(h) - claim` shrinks like h^2 between the two steps, and so does the even part. This is a
Taylor-remainder test with a measured noise floor; a wrong claim cannot pass it by accident.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from xcheck.protocol import RealArray
from xcheck.reference.grid import Rows
from xcheck.reference.noise import rounding_floor
from xcheck.reference.sampler import Samples
from xcheck.reference.windows import KAPPA, Mask
from xcheck.reference.witness import Witness

TINY = float(np.finfo(np.float64).tiny)

SPARSE, MANY = 0.25, 2**10
"""Of more entries than `MANY`, of which no larger share is claimed not to be zero, what moves is screened alone."""

BLOCK = 2**15
"""Entries screened at once: few enough to stay in the processor's cache."""


@dataclass
class Screening:
    """What the screen found; arrays are (directions, outputs), normalised.

    Attributes:
        passed: the claim agrees with both steps within their bars.
        value, bar: the estimate of the finer step, improved by the coarser, and its error bar.
        rounding: the rounding error that the claim itself is allowed.
        excess: |D - claim| over the allowed difference.
        smooth: whether the even part contracts; where it does not, only the full ladder can judge.
        scale: the largest slope of every output that both steps show alike, or that is seen beside a stationary
            point, shape (m,).
        slope: the same per unit of the inputs, shape (m,).
    """

    passed: Mask
    value: RealArray
    bar: RealArray
    rounding: RealArray
    excess: RealArray
    smooth: Mask
    scale: RealArray
    slope: RealArray

    def at(self, rows: Rows) -> Screening:
        """Select directions."""
        parts = {f.name: getattr(self, f.name)[rows] for f in fields(self) if f.name not in ("scale", "slope")}
        return Screening(**parts, scale=self.scale, slope=self.slope)


def screen(witness: Witness, claimed: RealArray, unit: float, allowance: RealArray) -> Screening:
    """Screen every entry of a claim, with the function's noise as measured.

    Args:
        witness: the reference.
        claimed: shape (d, m), normalised.
        unit: unit roundoff of the claim's arithmetic.
        allowance: further rounding that the claim is allowed, per output, shape (m,), or per entry, shape (d, m);
            normalised.
    """
    d, m = claimed.shape
    passed, smooth = np.zeros((d, m), bool), np.zeros((d, m), bool)
    value, bar, rounding, excess = (np.empty((d, m)) for _ in range(4))
    result = Screening(passed, value, bar, rounding, excess, smooth, np.zeros(m), np.zeros(m))
    allowance = np.broadcast_to(allowance, (d, m))
    step = max(1, BLOCK // max(1, m))
    for start in range(0, d, step):
        _screen_rows(witness, claimed, unit, allowance, slice(start, min(d, start + step)), result)
    return result


def _screen_rows(
    witness: Witness, claimed: RealArray, unit: float, allowance: RealArray, part: slice, result: Screening
) -> None:
    coarse, _, fine = witness.grid.group(0)
    samples = witness.sampler.take((coarse, fine), np.arange(part.start, part.stop))
    entries = _Entries.all(witness, samples, claimed[part], allowance[part])
    with np.errstate(invalid="ignore", over="ignore"):
        size = entries.claimed.size
        if size <= MANY or np.count_nonzero(entries.claimed) > SPARSE * size:
            slopes = _screen_entries(witness, entries, unit, part, result)
            np.maximum(result.scale, np.max(slopes, axis=0, initial=0.0), out=result.scale)
            slopes /= witness.directions.scale[part, None]
            np.maximum(result.slope, np.max(slopes, axis=0, initial=0.0), out=result.slope)
            return
        _pass_still(witness, entries, part, result)
        row, output = np.nonzero(entries.moved())
        at = part.start + row
        slopes = _screen_entries(witness, entries.some(row, output), unit, (at, output), result)
        np.maximum.at(result.scale, output, slopes)
        np.maximum.at(result.slope, output, slopes / witness.directions.scale[at])


@dataclass(frozen=True)
class _Entries:
    """What is known of all entries of a block of directions, or of some of them: arrays that broadcast to one shape.

    Attributes:
        claimed, allowance: what is claimed and how much rounding is allowed.
        plus, minus, above, below: displacements and values, the coarse level before the fine one.
        center, size, noise: f(x), its size, and its noise.
        offset: |x_j| / s_j.
    """

    claimed: RealArray
    allowance: RealArray
    plus: RealArray
    minus: RealArray
    above: RealArray
    below: RealArray
    center: RealArray
    size: RealArray
    noise: RealArray
    offset: RealArray

    @classmethod
    def all(cls, witness: Witness, samples: Samples, claimed: RealArray, allowance: RealArray) -> _Entries:
        """Take all entries of a block, shape (d, m)."""
        plus, minus, offset = samples.plus[:, :, None], samples.minus[:, :, None], samples.offset[:, None]
        values = samples.above, samples.below, samples.center, witness.value_scale(), witness.noise()
        return cls(claimed, allowance, plus, minus, *values, offset)

    def some(self, row: Rows, output: Rows) -> _Entries:
        """Select entries of a block, shape (r,)."""
        return _Entries(
            self.claimed[row, output],
            self.allowance[row, output],
            self.plus[:, row, 0],
            self.minus[:, row, 0],
            self.above[:, row, output],
            self.below[:, row, output],
            self.center[output],
            self.size[output],
            self.noise[output],
            self.offset[row, 0],
        )

    def moved(self) -> Mask:
        """Tell where something is claimed or has moved, shape (d, m)."""
        moved = (self.claimed != 0) | ~np.isfinite(self.center)
        for values in (*self.above, *self.below):
            moved |= values != self.center
        return np.asarray(moved)


def _pass_still(witness: Witness, entries: _Entries, part: slice, result: Screening) -> None:
    """Write down what `_screen_entries` says where nothing is claimed and nothing moves; other entries follow."""
    still = np.abs(entries.center)
    sigma = np.maximum(rounding_floor(witness.grid, entries.size, still, still, np.zeros(1)), entries.noise)
    _, step = (entries.plus + entries.minus) / 2
    bound = (witness.z / np.sqrt(2)) * sigma / step
    result.passed[part] = bound + entries.allowance >= 0
    result.value[part], result.excess[part], result.smooth[part] = 0.0, 0.0, sigma >= 0
    result.bar[part], result.rounding[part] = bound, entries.allowance


def _screen_entries(
    witness: Witness, entries: _Entries, unit: float, where: slice | tuple[Rows, Rows], result: Screening
) -> RealArray:
    """Screen entries and write down what is found; returns the slopes that tell the output's scale."""
    c, f0, plus, minus = entries.claimed, entries.center, entries.plus, entries.minus
    ha, hb = (plus + minus) / 2
    central = (entries.above - entries.below) / (plus + minus)
    even = (entries.above - f0) - (f0 - entries.below)
    even -= central * (plus - minus)
    np.abs(even, out=even)
    da, db = central
    size, fine, off = np.abs(c), np.abs(db), np.abs(da - c)
    q = (hb / ha) ** 2
    sigma = rounding_floor(witness.grid, entries.size, entries.above[1], entries.below[1], entries.offset * fine)
    np.maximum(sigma, entries.noise, out=sigma)
    rounding = unit * (8 * size + 2 * entries.offset * even[0] / ha**2) + entries.allowance
    bound = KAPPA * q * off + (witness.z / np.sqrt(2)) * sigma / hb + 4 * witness.grid.unit * size
    apart = np.abs(db - c)
    smooth = even[1] <= KAPPA * q * even[0] + (witness.z * np.sqrt(6)) * sigma
    smooth &= (db != 0) | (da == 0) | (entries.above[1] != f0)  # flat beside the point and not farther off
    allowed = bound + rounding
    result.passed[where] = (size < np.inf) & (apart <= allowed) & smooth
    change = db - da
    result.value[where] = db + change * (q / (1 - q))
    result.bar[where] = bound + apart
    result.rounding[where] = rounding
    result.excess[where] = apart / np.maximum(allowed, TINY, out=allowed)
    result.smooth[where] = smooth
    steady = smooth & (np.abs(change, out=change) <= 0.25 * fine)
    nearby = np.maximum(np.abs(da), even[0] / (2 * ha))  # the scale beside a stationary point
    seen = smooth & (nearby * ha > 16 * witness.z * sigma)
    slopes = np.where(steady, fine, 0.0)
    np.maximum(slopes, nearby, out=slopes, where=seen)
    return slopes
