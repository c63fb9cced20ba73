"""What the screen's two levels say without any claim: an estimate of every entry whose bar rests on values alone."""

from __future__ import annotations

import numpy as np

from xcheck.protocol import RealArray
from xcheck.reference.noise import rounding_floor
from xcheck.reference.windows import KAPPA
from xcheck.reference.witness import Witness


def two_levels(witness: Witness) -> tuple[RealArray, RealArray]:
    """Extrapolate the screen's two levels; evaluates nothing new.

    The bar is made of their difference, which is the leading error of the finer one, and of the noise. It is no bar to
    call a claim wrong by: structure between the levels does not show.

    Returns:
        Values and bars, shape (d, m), normalised; the bar is inf where the even part does not contract.
    """
    coarse, _, fine = witness.grid.group(0)
    samples = witness.sampler.take((coarse, fine), np.arange(witness.directions.count))
    plus, minus = samples.plus[:, :, None], samples.minus[:, :, None]
    ha, hb = (plus + minus) / 2
    with np.errstate(invalid="ignore", over="ignore"):
        da, db = (samples.above - samples.below) / (plus + minus)
        above, below = samples.above - samples.center, samples.center - samples.below
        even = np.abs(above - below - np.stack([da, db]) * (plus - minus))
        moved = samples.offset[:, None] * np.abs(db)
        sigma = rounding_floor(witness.grid, witness.value_scale(), samples.above[1], samples.below[1], moved)
        sigma = np.maximum(sigma, witness.noise())
        q = (hb / ha) ** 2
        step = np.abs(da - db) * q / (1 - q)
        smooth = even[1] <= KAPPA * q * even[0] + witness.z * np.sqrt(6) * sigma
        value = db + (db - da) * q / (1 - q)
        bar = KAPPA * step + witness.z / np.sqrt(2) * sigma / hb + 4 * witness.grid.unit * np.abs(value)
    return value, np.where(smooth & np.isfinite(bar), bar, np.inf)
