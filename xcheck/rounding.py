"""How far rounding takes a function's values, and products with its derivative, by measurement."""

from __future__ import annotations

import numpy as np

from xcheck.consistency import neighbours
from xcheck.problem import Problem
from xcheck.protocol import RealArray

VALUE_UNITS = 64.0
"""Units of roundoff by which values may differ: frameworks sum, and approximate, in different ways."""

CONDITION = 8.0
"""And so many times what a few ulps of the inputs do to them."""


def value_rounding(problem: Problem) -> RealArray:
    """Measure how far rounding takes values, shape (m,): some units of roundoff, and what ulps of the inputs do.

    Costs four evaluations.
    """
    points = np.array([p.x for p in neighbours(problem)])
    moved = problem.values_quietly(points) - problem.y
    scatter = np.max(np.where(np.isfinite(moved), np.abs(moved), 0.0), axis=0, initial=0.0)
    size = np.where(np.isfinite(problem.y), np.abs(problem.y), 0.0)
    return np.asarray(VALUE_UNITS * 2.0**-problem.precision * size + CONDITION * scatter)
