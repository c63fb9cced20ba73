"""Scales for inputs whose own size says nothing: `sinc` at 1e-12 moves at steps near 1, not near 1e-12."""

from __future__ import annotations

import numpy as np

from xcheck.protocol import RealArray
from xcheck.reference.grid import Coordinates, Rows
from xcheck.reference.windows import Mask
from xcheck.reference.witness import Witness

DOUBLINGS = tuple(range(3, 61, 3))
"""Steps that are tried, as powers of two of the input's scale."""

MOVED = 2.0**-10
"""A value has moved that has changed by this share of itself."""

LEAST = 4
"""A scale is called too small if nothing moves within this many doublings of it."""


def wider_scales(witness: Witness, rows: Rows, wanted: Mask) -> RealArray:
    """Return by how much the scales of directions may grow until a wanted output moves, powers of two, 1 for not.

    Costs 40 evaluations a direction.

    Args:
        witness: has coordinates as directions.
        rows: some of them, r.
        wanted: which outputs matter, shape (r, m).
    """
    directions, sampler = witness.directions, witness.sampler
    assert isinstance(directions, Coordinates)
    steps = np.array([sign * 2.0**k for k in DOUBLINGS for sign in (1.0, -1.0)])
    result = np.ones(len(rows))
    for place, row in enumerate(rows):
        points = np.repeat(witness.problem.x[None], len(steps), axis=0)
        points[:, directions.index[row]] += steps * directions.scale[row]
        values = sampler.seen(witness.problem.values(points))[:, wanted[place]]
        center = sampler.center[wanted[place]]
        with np.errstate(invalid="ignore", over="ignore"):
            still = np.all(np.abs(values - center) <= MOVED * np.fmax(np.abs(values), np.abs(center)), axis=1)
        beyond = np.flatnonzero(~(still[::2] & still[1::2]))
        if beyond.size and beyond[0] > 0 and DOUBLINGS[beyond[0] - 1] >= LEAST:
            result[place] = 2.0 ** DOUBLINGS[beyond[0] - 1]
    return result
