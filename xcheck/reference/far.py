"""Points farther off than steps: in all inputs at once, they show what steps along single inputs cannot."""

from __future__ import annotations

import numpy as np

from xcheck.problem import Problem
from xcheck.protocol import RealArray, supports_batch
from xcheck.reference.grid import Coordinates, Directions, Grid
from xcheck.space import LONG, Block

FAR = 2.0**-5
"""How far the inputs of a block move at most, in units of their scales."""

PLACES = (-1.0, -0.5)
"""How far all inputs move to see how large values get, in units of themselves: to 0 and x/2; exp grows beyond."""


def blocks_moved(problem: Problem) -> list[Block]:
    """Return the blocks of inputs that are not empty."""
    return [block for block in problem.inputs.blocks if block.size]


def far_points(problem: Problem, grid: Grid, scale: RealArray, blocks: list[Block]) -> RealArray:
    """Return two points for every block of inputs, to either side of x; shape (2 k, n) for k blocks.

    Args:
        problem: the function.
        grid: its seed chooses the points.
        scale: the inputs' scales, shape (n,).
        blocks: which of them to move.
    """
    points = np.repeat(problem.x[None], 2 * len(blocks), axis=0)
    for k, block in enumerate(blocks):
        rng = np.random.default_rng((grid.seed, 8, block.start))
        share = rng.choice([-FAR, FAR], block.size) * rng.uniform(0.7, 1.0, block.size)
        points[2 * k : 2 * k + 2, block.slice] += np.outer([1.0, -1.0], share * scale[block.slice])
    return points


def far_at_once(problem: Problem, directions: Directions, grid: Grid) -> RealArray:
    """Return the far points of all blocks where they cost next to nothing: as part of a batch; none elsewhere."""
    mapped = problem.batched and not problem.random and supports_batch(problem.backend)
    plain = isinstance(directions, Coordinates) and directions.count == problem.n and grid.precision == 53
    if not (mapped and plain) or problem.relative:
        return np.empty((0, problem.n))
    return far_points(problem, grid, directions.scale, blocks_moved(problem))


def largest_values(problem: Problem) -> RealArray:
    """Return how large every output gets halfway to the origin and there, 0 where it is not finite, shape (m,).

    A function that is flat where it was asked says nothing of the size of the numbers inside it: `1 - tanh(x)**2` is 0
    from 19 on, and 1 at 0. Costs 2 evaluations.
    """
    scale = problem.scale
    away = np.where(problem.x != 0, problem.x, scale)
    with np.errstate(invalid="ignore", over="ignore"):
        if problem.n >= LONG:
            found = np.vstack([problem.values_quietly((problem.x + p * away)[None]) for p in PLACES])
        else:
            found = problem.values_quietly(problem.x + np.outer(PLACES, away))
    return np.asarray(np.max(np.where(np.isfinite(found), np.abs(found), 0.0), axis=0, initial=0.0))
