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
from xcheck.reference.windows import KAPPA, Mask
from xcheck.reference.witness import Witness

TINY = float(np.finfo(np.float64).tiny)

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
    c, rows = claimed[part], np.arange(part.start, part.stop)
    samples = witness.sampler.take((coarse, fine), rows)
    f0 = samples.center
    plus, minus = samples.plus[:, :, None], samples.minus[:, :, None]
    ha, hb = (plus + minus) / 2
    with np.errstate(invalid="ignore", over="ignore"):
        central = (samples.above - samples.below) / (plus + minus)
        even = (samples.above - f0) - (f0 - samples.below)
        even -= central * (plus - minus)
        np.abs(even, out=even)
        da, db = central
        size, fine, off = np.abs(c), np.abs(db), np.abs(da - c)
        q = (hb / ha) ** 2
        offset = samples.offset[:, None]
        sigma = rounding_floor(witness.grid, witness.value_scale(), samples.above[1], samples.below[1], offset * fine)
        np.maximum(sigma, witness.noise(), out=sigma)
        rounding = unit * (8 * size + 2 * offset * even[0] / ha**2) + allowance[part]
        bound = KAPPA * q * off + (witness.z / np.sqrt(2)) * sigma / hb + 4 * witness.grid.unit * size
        apart = np.abs(db - c)
        smooth = even[1] <= KAPPA * q * even[0] + (witness.z * np.sqrt(6)) * sigma
        smooth &= (db != 0) | (da == 0) | (samples.above[1] != f0)  # flat beside the point and not farther off
        allowed = bound + rounding
        result.passed[part] = (size < np.inf) & (apart <= allowed) & smooth
        change = db - da
        result.value[part] = db + change * (q / (1 - q))
        result.bar[part] = bound + apart
        result.rounding[part] = rounding
        result.excess[part] = apart / np.maximum(allowed, TINY, out=allowed)
        result.smooth[part] = smooth
        steady = smooth & (np.abs(change, out=change) <= 0.25 * fine)
        nearby = np.maximum(np.abs(da), even[0] / (2 * ha))  # the scale beside a stationary point
        seen = smooth & (nearby * ha > 16 * witness.z * sigma)
        slopes = np.where(steady, fine, 0.0)
        np.maximum(slopes, nearby, out=slopes, where=seen)
        np.maximum(result.scale, np.max(slopes, axis=0, initial=0.0), out=result.scale)
        slopes /= witness.directions.scale[rows, None]
        np.maximum(result.slope, np.max(slopes, axis=0, initial=0.0), out=result.slope)
