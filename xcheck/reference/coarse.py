"""Slopes from large steps alone, for functions whose values are noisy close to the point only.

The derivative of `sin(x) / x`, as rules compute it, loses its digits towards 0. A claim of NaN there asks for no sharp
bar: it is wrong if the function has a derivative at all.
"""

from __future__ import annotations

import numpy as np

from xcheck.protocol import RealArray
from xcheck.reference.grid import Rows
from xcheck.reference.stairs import on_line
from xcheck.reference.witness import Witness

STEPS = 2.0 ** -np.arange(3.0, 11.0)
"""In the input's scale."""

FALLS = 0.6
"""Halving the step has to leave less than this of what slopes differ by: smooth functions leave a half, kinks all."""

SETTLED = 2.0**-16
"""Unless they differ by less than this share of the slopes."""


def coarse_slopes(witness: Witness, row: int, outputs: Rows) -> tuple[RealArray, RealArray]:
    """Measure slopes along one coordinate by large steps; costs 16 evaluations.

    Returns:
        Slopes and error bars, shape (len(outputs),), normalised. The bar is infinite where slopes to the two sides do
        not approach each other, or slopes of smaller and smaller steps do not converge.
    """
    t, values = on_line(witness, row, outputs, np.concatenate([STEPS, -STEPS]))
    change = (values - witness.sampler.center[outputs] / witness.sampler.size[outputs]) / t[:, None]
    right, left = change[: len(STEPS)], change[len(STEPS) :]
    central, bend = (right + left) / 2, np.abs(right - left)
    least = SETTLED * np.max(np.abs(change), axis=0)
    moved = np.abs(np.diff(central, axis=0))
    smooth = np.all((bend[1:] <= FALLS * bend[:-1]) | (bend[1:] <= least), axis=0)
    smooth &= np.all((moved[1:] <= FALLS * moved[:-1]) | (moved[1:] <= least), axis=0)
    best = np.argmin(np.where(np.isfinite(moved), moved, np.inf), axis=0)
    columns = np.arange(len(outputs))
    bar = 16 * moved[best, columns] + least
    return central[best + 1, columns], np.where(smooth & np.isfinite(bar), bar, np.inf)
