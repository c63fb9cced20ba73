"""Inputs that no value depends on: unused arguments, detached or overwritten ones."""

from __future__ import annotations

import numpy as np

from xcheck.problem import Problem
from xcheck.space import Block

STEP = 0.25
"""How far the point is moved, next to every input's scale."""


def is_ignored(problem: Problem, block: Block, seed: int = 0) -> bool:
    """Tell whether an input of which no value depends at the point is ignored elsewhere too.

    At a point where another input is zero, a product does not depend on this one. So both are moved: once with this
    input, once without. Costs two evaluations.
    """
    rng = np.random.default_rng((seed, 11))
    both = problem.x + STEP * problem.scale * rng.uniform(-1, 1, problem.n)
    rest = both.copy()
    rest[block.slice] = problem.x[block.slice]
    with np.errstate(all="ignore"):
        a, b = problem.values_quietly(np.array([both, rest]))
    return bool(np.array_equal(a, b, equal_nan=True))
