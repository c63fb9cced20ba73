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
        even = np.abs((samples.above - f0) - (f0 - samples.below) - central * (plus - minus))
        da, db = central
        q = (hb / ha) ** 2
        offset = samples.offset[:, None]
        sigma = rounding_floor(
            witness.grid, witness.value_scale(), samples.above[1], samples.below[1], offset * np.abs(db)
        )
        np.maximum(sigma, witness.noise(), out=sigma)
        rounding = unit * (8 * np.abs(c) + 2 * offset * even[0] / ha**2) + allowance[part]
        bound = KAPPA * q * np.abs(da - c) + (witness.z / np.sqrt(2)) * sigma / hb + 4 * witness.grid.unit * np.abs(c)
        apart = np.abs(db - c)
        smooth = even[1] <= KAPPA * q * even[0] + (witness.z * np.sqrt(6)) * sigma
        smooth &= (db != 0) | (da == 0) | (samples.above[1] != f0)  # flat beside the point and not farther off
        result.passed[part] = np.isfinite(c) & (apart <= bound + rounding) & smooth
        result.value[part] = db + (db - da) * (q / (1 - q))
        result.bar[part] = bound + apart
        result.rounding[part] = rounding
        result.excess[part] = apart / np.maximum(bound + rounding, np.finfo(np.float64).tiny)
        result.smooth[part] = smooth
        steady = smooth & (np.abs(da - db) <= 0.25 * np.abs(db))
        _raise(result, np.abs(db), steady, witness.directions.scale[rows])
        nearby = np.maximum(np.abs(da), even[0] / (2 * ha))  # the scale beside a stationary point
        seen = smooth & (nearby * ha > 16 * witness.z * sigma)
        _raise(result, nearby, seen, witness.directions.scale[rows])


def _raise(result: Screening, slopes: RealArray, seen: Mask, scale: RealArray) -> None:
    np.maximum(result.scale, np.max(slopes, axis=0, where=seen, initial=0.0), out=result.scale)
    per_unit = slopes / scale[:, None]
    np.maximum(result.slope, np.max(per_unit, axis=0, where=seen, initial=0.0), out=result.slope)
