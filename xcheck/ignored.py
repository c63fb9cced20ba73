"""Inputs that no value depends on: unused arguments, detached or overwritten ones."""

from __future__ import annotations

import numpy as np

from xcheck.problem import Problem

STEP = 0.25
"""How far the other inputs are moved, next to their scales."""

DRAWS = 3
"""So often everything is moved."""

ALL = slice(None)


def is_ignored(problem: Problem, inputs: slice, outputs: slice = ALL, seed: int = 0) -> bool | None:
    """Tell whether inputs that change nothing at the point change nothing elsewhere either; None if nobody can know.

    At a point where another input is zero, a product does not depend on this one, and a rectifier may be switched off.
    So the others are moved a little, and these far, to both sides of zero. Costs two evaluations for every draw.

    Args:
        problem: the function.
        inputs: the places of the inputs in question.
        outputs: those of the outputs.
        seed: chooses the points.
    """
    rng, n = np.random.default_rng((seed, 11)), problem.n
    rest = problem.x + STEP * problem.scale * rng.uniform(-1, 1, (DRAWS, n))
    rest[:, inputs] = problem.x[inputs]
    both, own = rest.copy(), problem.x[inputs]
    size = np.maximum(np.abs(own), problem.typical)
    both[:, inputs] = size * rng.uniform(0.3, 3.0, (DRAWS, len(own))) * rng.choice([-1.0, 1.0], (DRAWS, len(own)))
    with np.errstate(all="ignore"):
        values = problem.values_quietly(np.concatenate([rest, both]))[:, outputs]
    a, b = values[:DRAWS], values[DRAWS:]
    known = np.all(np.isfinite(a) & np.isfinite(b), axis=1)
    return bool(np.array_equal(a[known], b[known])) if known.any() else None
