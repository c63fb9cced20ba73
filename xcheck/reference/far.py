"""Points farther off than steps: in all inputs at once, they show what steps along single inputs cannot."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from xcheck.problem import Problem
from xcheck.protocol import RealArray, supports_batch
from xcheck.reference.grid import KEPT, Coordinates, Directions, Grid
from xcheck.space import LONG, Block

FAR = 2.0**-5
"""How far the inputs of a block move at most, in units of their scales."""

RAY = 27
"""Places on the ray through the origin and x at which values are compared."""

CLOSE = np.array([0.0, 3.0, 7.0, 12.0])
"""Points close to each place, far closer than the next one."""

APART = (0.4, 0.75)
"""How close, as a share of the digits: what is rough is so at both distances."""

TABLE = 2.0**-10
"""Steps higher than this, in user units, are those of a table (round, floor, a quantiser), and not of rounding."""

COARSE = 2.0**-20
"""Nor are those that are higher than this share of the values."""

DISTINCT = 3
"""So many different values at flat or noisy places make a staircase; a step function or a clipped one has two."""

INWARD = 2.0 ** -(np.arange(1, 41) / 8)
"""Multiples of x at which a value is asked that does not move beside x: does it come to that gradually?"""

ULPS = 0.4
"""So many of the digits are few: gradual is to leave a value by these last ones first."""

GRADUAL = 2
"""So many different values have to be there that are off by few of the last digits."""

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
        draw = _known_shares if block.size <= KEPT else _shares
        moved = draw(grid.seed, block.start, block.size) * scale[block.slice]
        points[2 * k, block.slice] += moved
        points[2 * k + 1, block.slice] -= moved
    return points


def _shares(seed: int, start: int, size: int) -> RealArray:
    """Draw how far the inputs of a block move, in their scales."""
    rng = np.random.default_rng((seed, 8, start))
    shares = rng.choice([-FAR, FAR], size) * rng.uniform(0.7, 1.0, size)
    shares.flags.writeable = False
    return shares


_known_shares = lru_cache(maxsize=64)(_shares)


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


def hidden_slopes(problem: Problem) -> tuple[RealArray, NDArray[np.bool_]]:
    """Return what slopes rounding may hide where values do not move: times x, shape (m,), 0 where nothing says so.

    And which outputs move by rounding wherever they are looked at, `cosh(x)**2 - sinh(x)**2`: those are constant.

    A function may be flat because it is constant, as a dead ReLU is, or since it is computed from numbers that are too
    large to show so small a change: `1 / tanh(x) - 1 / x` at 1e-8. Farther off the latter moves in steps: it is flat
    between them, or noisy, as well. Costs 108 evaluations, and as many again where steps are seen.
    """
    largest = float(np.max(np.abs(problem.x), initial=0.0))
    if problem.n >= LONG or largest == 0 or not np.isfinite(largest):
        return np.zeros(problem.m), np.zeros(problem.m, bool)
    outward = float(np.clip(2 - np.log2(largest), 2, 60))
    times = 2.0 ** np.unique(np.round(np.append(np.linspace(1, outward, RAY - 3), (-3, -2, -1))))
    with np.errstate(invalid="ignore", over="ignore"):
        values, rough = _along_ray(problem, times, APART[0])
        if not np.any(_small_steps(values, rough)):
            return np.zeros(problem.m), np.zeros(problem.m, bool)
        rough &= _along_ray(problem, times, APART[1])[1]  # what oscillates fast is smooth at closer points
        center = 0.0 if problem.relative else problem.y
        change = np.where(rough, np.abs(values - center), 0.0)
        slope = np.max(change / np.abs(times - 1)[:, None], axis=0)
        first = np.min(np.where(change > 0, change, np.inf), axis=0)  # within |x|, values may have changed by as much
        hidden = np.where(_small_steps(values, rough), 2 * np.maximum(slope, first), 0.0)
        return np.asarray(hidden), np.asarray(np.all(rough | ~np.isfinite(values), axis=0))


def leaves_gradually(problem: Problem, moved: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell which values that do not move beside x change little by little towards the origin, shape (m,).

    `tanh` at 25 is 1, and 1 - 2^-50 at 18: its slope at 25 is not zero, but too small for its values. What is constant
    from a kink, a jump or a step on (`clip`, `round`) has changed by much as soon as it has at all. So has what is
    fitted smoothly to a constant, which keeps to its last digits over a far shorter way. Costs 40 evaluations.

    Args:
        problem: the function.
        moved: the inputs to move, shape (n,).
    """
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        values = problem.values_quietly(problem.x * np.where(moved, INWARD[:, None], 1.0))
        change = values if problem.relative else values - problem.y
        ulps = np.abs(change) / (2.0**-problem.value_bits * np.abs(problem.y))
    few = 2.0 ** (ULPS * problem.value_bits)
    beyond = np.argmax(~(ulps <= few), axis=0)  # the first place that is far off, or not finite
    result = np.zeros(problem.m, bool)
    for i in np.flatnonzero((problem.y != 0) & np.isfinite(problem.y) & (beyond > 1)):
        way = np.append(ulps[: beyond[i], i], few)
        result[i] = np.all(np.diff(way) >= 0) and np.count_nonzero(np.diff(way[way > 0])) >= GRADUAL
    return result


def _along_ray(problem: Problem, times: RealArray, apart: float) -> tuple[RealArray, NDArray[np.bool_]]:
    """Evaluate at multiples of x; returns the values, and where values at points close to them are rough, (k, m)."""
    places = np.outer(times, 1 + CLOSE * 2.0 ** -np.round(apart * problem.precision)).ravel()
    found = problem.values_quietly(places[:, None] * problem.x).reshape(len(times), len(CLOSE), -1)
    return found[:, 0], _rough(found)


def _small_steps(values: RealArray, rough: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell for which outputs the values (k, m) at rough places are those of a staircase, and not of a table."""
    seen = np.sort(np.where(rough, values, np.inf), axis=0)
    apart = np.diff(seen, axis=0)
    apart = np.where(np.isfinite(apart) & (apart > 0), apart, np.inf)
    stairs = np.sum(np.isfinite(apart), axis=0) >= DISTINCT - 1
    size = np.max(np.where(rough, np.abs(values), 0.0), axis=0)
    return np.asarray(stairs & (np.min(apart, axis=0) <= np.maximum(TABLE, COARSE * size)))


def _rough(values: RealArray) -> NDArray[np.bool_]:
    """Tell where values at close points (k, c, m) are finite and no smooth function's: flat or noisy; shape (k, m)."""
    slopes = np.diff(values, axis=1) / np.diff(CLOSE)[:, None]
    low, high = np.min(slopes, axis=1), np.max(slopes, axis=1)
    smooth = (low * high > 0) & (np.maximum(np.abs(low), np.abs(high)) <= 4 * np.minimum(np.abs(low), np.abs(high)))
    return np.asarray(np.all(np.isfinite(values), axis=1) & ~smooth)
