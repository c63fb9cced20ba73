"""How far rounding takes a function's values, and products with its derivative, by measurement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from xcheck.problem import Problem
from xcheck.protocol import RealArray

UNITS = {53: 64.0, 24: 64.0, 11: 8.0, 8: 4.0}
"""Units of roundoff by which numbers may differ, by significand bits: frameworks sum in different ways.

In low precision 64 are no small difference.
"""

ULPS = {53: 8, 24: 8, 11: 2, 8: 2}
"""The ulps that inputs are moved by then."""

TIMES = {53: 8.0, 24: 8.0, 11: 2.0, 8: 2.0}
"""How many times what those do is allowed."""


def value_rounding(problem: Problem) -> RealArray:
    """Measure how far rounding takes values, shape (m,): some units of roundoff, and what ulps of the inputs do.

    Costs four evaluations.
    """
    return rounding_of(problem, problem.y, lambda other: problem.values_quietly(other.x[None])[0], 4)


def beside(problem: Problem, count: int = 4) -> list[Problem]:
    """Return the problem at a few points, every input moved by a few ulps of its precision, none by nothing."""
    rng, ulps = np.random.default_rng(8), ULPS[problem.precision]
    moves = [-k for k in range(1, ulps + 1)] + [*range(1, ulps + 1)]
    unit = 2.0 ** (1 - problem.precision)
    return [replace(problem, x=problem.x * (1 + unit * rng.choice(moves, problem.n))) for _ in range(count)]


def rounding_of(problem: Problem, numbers: RealArray, again: Callable[[Problem], RealArray], count: int) -> RealArray:
    """Measure how far rounding takes numbers that are computed at a point, same shape.

    Args:
        problem: the function at its point.
        numbers: what was computed there.
        again: computes the same at a point beside it.
        count: how often.
    """
    bits = problem.precision
    moved = np.array([again(other) for other in beside(problem, count)]) - numbers
    scatter = np.max(np.where(np.isfinite(moved), np.abs(moved), 0.0), axis=0, initial=0.0)
    size = np.where(np.isfinite(numbers), np.abs(numbers), 0.0)
    return np.asarray(UNITS[bits] * 2.0**-bits * size + TIMES[bits] * scatter)
