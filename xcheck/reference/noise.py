"""How far the function's values can be trusted: rounding, measured noise, and noise read off the ladder."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from xcheck.problem import CHUNK, Problem
from xcheck.protocol import RealArray
from xcheck.reference.grid import KEPT, Coordinates, Grid, Probes, Rows, displacement, random_bytes
from xcheck.reference.sampler import Sampler
from xcheck.space import LONG, combined, stretches

STRIDES = np.array([1.0, 3.0, 5.0, 7.0, -1.0, -3.0, -5.0, -7.0])
"""Ulps that an input moves for one of the line."""

LINE_SAFETY = 1.5

SHORT_SAFETY = 4.0
"""Half the points leave two degrees of freedom, which may show a fifth of the noise once in twenty-five times."""


def rounding_floor(grid: Grid, center: RealArray, above: RealArray, below: RealArray, moved: RealArray) -> RealArray:
    """Return the least standard deviation of a value: half an ulp of the values, or of the input as seen in them.

    What is kept of a value rounds by the grid's unit, what the function computes with by its own.

    Args:
        grid: gives the precision.
        center: the size of f(x), complex values as a whole.
        above: f(x + t).
        below: f(x - t).
        moved: |x_j| times the slope, what rounding the input does to the value.
    """
    kept = np.maximum(np.abs(above), np.abs(below))
    inside = np.maximum(center, moved)
    if grid.value_unit == grid.unit:
        return np.asarray(0.5 * grid.unit * np.maximum(kept, inside))
    return np.asarray(0.5 * np.maximum(grid.unit * kept, grid.value_unit * inside))


def noise_line(sampler: Sampler) -> RealArray:
    """Measure every output's noise on eight points a few ulps away, shared by all directions.

    The idea is ECnoise's (Moré and Wild, SIAM J. Sci. Comput. 33, 2011) with random offsets and a least-squares
    quadratic for the difference table, which resonates with the rounding grid; the spacing is tiny on purpose, since
    what is smooth at 1e-14 is structure and not noise.

    Returns:
        Standard deviations, shape (m,), normalised, times a safety of 1.5.
    """
    offsets = _line_offsets(sampler.grid)
    values = _along_line(sampler, offsets)
    center = sampler.center / sampler.size
    y = np.zeros((len(offsets) + 1, len(center)))
    np.subtract(values, center, out=y[:-1])
    finite = bool(np.isfinite(y).all())
    places, *halves = _line_places(sampler.grid)
    joint = _residual(places, y, 2, 5, finite)
    sides = np.fmax(*(_residual(half, y[index], 1, 3, finite) for half, index in halves))
    bent = joint > 16 * sides  # a kink or a jump at the point, not noise
    noise = np.where(bent, sides, joint)
    return LINE_SAFETY * _or_missing(sampler, offsets, y, np.where(np.isfinite(noise), noise, 0.0))


def short_line(sampler: Sampler) -> RealArray:
    """Measure the noise on half of the points, with a safety to match; shape (m,), inf where values are missing.

    Of so many inputs that points cost, it is read off the values along probes instead.
    """
    if sampler.problem.n >= LONG and sampler.directions.count > 1 and isinstance(sampler.directions, Probes):
        return SHORT_SAFETY * _noise_along_probes(sampler)
    offsets = _line_offsets(sampler.grid)[:4]
    values = _along_line(sampler, offsets)
    center = sampler.center / sampler.size
    y = np.vstack([values - center, np.zeros_like(center)])
    noise = _residual(_scaled(np.append(offsets, 0.0)), y, 2, 5)
    return SHORT_SAFETY * _or_missing(sampler, offsets, y, np.where(np.isfinite(noise), noise, np.inf))


def _noise_along_probes(sampler: Sampler) -> RealArray:
    """Take for noise what of the finer even parts the coarser ones do not explain: no quadratic, and kinks with it."""
    coarse, _, fine = sampler.grid.group(0)
    samples = sampler.take((coarse, fine), np.arange(sampler.directions.count))
    with np.errstate(invalid="ignore", over="ignore"):
        even = (samples.above - samples.center) - (samples.center - samples.below)
        rest = even[1] - even[0] * ((samples.plus[1] / samples.plus[0]) ** 2)[:, None]
        noise = np.sqrt(np.mean(rest**2, axis=0) / 6)
    return np.asarray(np.where(np.isfinite(noise), noise, np.inf))


def _or_missing(sampler: Sampler, offsets: RealArray, y: RealArray, noise: RealArray) -> RealArray:
    """Where nothing moved on the line, take for noise how far the finest base level's slopes should have moved it.

    Inner values that are rounded more coarsely than the result stand still there: log1p(x) - x beside zero.
    """
    still = ~y.any(axis=0)
    if not still.any() or not isinstance(sampler.directions, Coordinates):
        return noise
    directions = sampler.directions
    samples = sampler.take((sampler.grid.finest,), np.arange(directions.count))
    along = _line_strides(sampler.problem, sampler.grid)[directions.index] / directions.scale
    with np.errstate(invalid="ignore", over="ignore"):
        slopes = (samples.above - samples.below)[0] / (samples.plus + samples.minus)[0][:, None]
        moved = np.abs(combined(along, slopes)) * np.max(np.abs(offsets))
    return np.where(still & np.isfinite(moved), moved, noise)


def _along_line(sampler: Sampler, offsets: RealArray) -> RealArray:
    """Evaluate what the sampler does not know yet of the line; returns normalised values, shape (len(offsets), m)."""
    known = len(sampler.line)
    if known < len(offsets):
        sampler.line += list(_evaluate_line(sampler, offsets[known:]))
    return np.array([sampler.seen(values) for values in sampler.line[: len(offsets)]]) / sampler.size


def line_points(problem: Problem, grid: Grid, short: bool) -> RealArray:
    """Return the line's points, or the first half of them, shape (8, n) or (4, n); none if they fill a batch."""
    offsets = _line_offsets(grid)
    if len(offsets) * (problem.n + problem.m) > CHUNK:
        return np.empty((0, problem.n))
    return np.asarray(problem.x + offsets[: len(offsets) // (1 + short), None] * _line_strides(problem, grid))


def _evaluate_line(sampler: Sampler, offsets: RealArray) -> RealArray:
    problem, stride = sampler.problem, _line_strides(sampler.problem, sampler.grid)
    step = max(1, CHUNK // max(1, problem.n + problem.m))
    if step == 1:
        return np.vstack([problem.value_of(displacement(problem.x, offset, stride)) for offset in offsets])
    parts = [offsets[i : i + step, None] for i in range(0, len(offsets), step)]
    return np.vstack([problem.values(problem.x + part * stride) for part in parts])


def _line_strides(problem: Problem, grid: Grid) -> RealArray:
    """Choose what one step along the line moves every input by, shape (n,)."""
    ulp = 2.0 ** (1 - grid.precision)
    if problem.n <= KEPT:
        return problem.scale * ulp * _known_multiples(grid, problem.n)
    rng, table = _multiples(grid)
    strides = problem.scale if problem.n >= LONG else problem.scale.copy()
    for part in stretches(problem.n):
        piece = strides[part]
        piece *= ulp
        piece *= random_bytes(rng, len(piece), table)
    return strides


def _multiples(grid: Grid) -> tuple[np.random.Generator, bytes]:
    """Return what the inputs' multiples of an ulp are drawn with, and what they are drawn from."""
    multiples = STRIDES if grid.precision == 53 else np.sign(STRIDES)
    table = np.tile(multiples.astype(np.int8), 256 // len(STRIDES)).tobytes()
    return np.random.default_rng((grid.seed, 1)), table


@lru_cache(maxsize=64)
def _known_multiples(grid: Grid, size: int) -> NDArray[np.int8]:
    rng, table = _multiples(grid)
    return random_bytes(rng, size, table)


def ladder_noise(d: RealArray, s: RealArray, h: RealArray, flat: NDArray[np.bool_]) -> RealArray:
    """Read a noise level off the levels themselves: what no smooth function explains.

    Noise shows the same amplitude in the odd and even parts of three consecutive levels (a plateau). A kink's
    amplitude goes like h, a smooth remainder's like h^3, and a jump is unlike in the two parts: none of them does.

    Args:
        d: central differences, shape (L, P).
        s: even parts f(x+t) + f(x-t) - 2 f(x), shape (L, P).
        h: step sizes, shape (L, P).
        flat: levels at which the function did not change at all, shape (L, P).

    Returns:
        Standard deviations, shape (P,); 0 where there is no plateau.
    """
    if len(d) < 4:
        return np.zeros(d.shape[1])
    odd = np.sqrt(2.0) * np.abs(d[:-1] - d[1:]) * h[1:]
    even = np.abs(s[1:] - s[:-1] * (h[1:] / h[:-1]) ** 2) / np.sqrt(6.0)
    odd = np.where(flat[1:], np.nan, odd)
    even = np.where(flat[1:], np.nan, even)
    best = np.zeros(d.shape[1])
    for k in range(len(odd) - 2):
        o, e = odd[k : k + 3], even[k : k + 3]
        v = np.sqrt((o**2 + e**2) / 2)
        o_rms, e_rms = np.sqrt(np.mean(o**2, axis=0)), np.sqrt(np.mean(e**2, axis=0))
        plateau = (np.max(v, axis=0) <= 16 * np.min(v, axis=0)) & (o_rms <= 8 * e_rms) & (e_rms <= 8 * o_rms)
        best = np.where(plateau, np.fmax(best, np.sqrt(np.mean(v**2, axis=0))), best)
    return LINE_SAFETY * best


@lru_cache(maxsize=64)
def _line_offsets(grid: Grid) -> RealArray:
    """Choose eight offsets in ulps; the first four and the last four have two on either side each."""
    signs = np.tile([1.0, 1.0, -1.0, -1.0], 2)
    if grid.precision == 53:
        rng = np.random.default_rng((grid.seed, 7))
        sizes = 2.0 * rng.choice(np.arange(16, 128), size=8, replace=False) + 1
    else:
        sizes = np.array([1.0, 5.0, 2.0, 3.0, 2.0, 3.0, 1.0, 5.0])
    return np.asarray(signs * sizes)


def quiet_below(sigma: RealArray, d: RealArray, s: RealArray, h: RealArray) -> NDArray[np.bool_]:
    """Tell where noise of size `sigma` is out of the question: the three finest levels would show it, and do not.

    Structure that looks like noise at large steps and is smooth at small ones, such as a sine of large arguments, is
    structure.

    Args:
        sigma: standard deviations, shape (P,).
        d, s, h: as for `ladder_noise`.
    """
    if len(d) < 4:
        return np.zeros(d.shape[1], bool)
    odd = np.sqrt(2.0) * np.abs(d[-4:-1] - d[-3:]) * h[-3:]
    even = np.abs(s[-3:] - s[-4:-1] * (h[-3:] / h[-4:-1]) ** 2) / np.sqrt(6.0)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.all(np.maximum(odd, even) <= sigma / 64, axis=0))


Places = tuple[float, ...]
"""Where values were taken, in units of the farthest place."""


@lru_cache(maxsize=64)
def _line_places(grid: Grid) -> tuple[Places, tuple[Places, Rows], tuple[Places, Rows]]:
    """Return the places on the line, the point last, and those of each side with their indices."""
    t = np.append(_line_offsets(grid), 0.0)
    ahead, behind = np.flatnonzero(t > 0), np.flatnonzero(t < 0)
    return _scaled(t), (_scaled(t[ahead]), ahead), (_scaled(t[behind]), behind)


def _scaled(t: RealArray) -> Places:
    return tuple((t / np.abs(t).max()).tolist())


def _residual(places: Places, y: RealArray, degree: int, fewest: int, is_finite: bool = False) -> RealArray:
    """Fit polynomials through every column and return the residuals' standard deviations; NaN where points lack."""
    if is_finite:
        return _fit(places, degree, y)
    finite = np.isfinite(y)
    if finite.all():
        return _fit(places, degree, y)
    whole = np.all(finite, axis=0)
    result = np.full(y.shape[1], np.nan)
    if np.any(whole):
        result[whole] = _fit(places, degree, y[:, whole])
    for i in np.flatnonzero(~whole & (np.sum(finite, axis=0) >= max(fewest, degree + 2))):
        known = tuple(place for place, there in zip(places, finite[:, i], strict=True) if there)
        result[i] = _fit(known, degree, y[finite[:, i], i : i + 1])[0]
    return result


def _fit(places: Places, degree: int, y: RealArray) -> RealArray:
    q = _polynomials(places, degree)
    rest = y - q @ (q.T @ y)
    rest *= rest
    return np.asarray(np.sqrt(rest.sum(axis=0) / (len(places) - degree - 1)))


@lru_cache(maxsize=64)
def _polynomials(places: Places, degree: int) -> RealArray:
    """Return an orthonormal basis of the polynomials at some places, shape (places, degree + 1)."""
    q, _ = np.linalg.qr(np.vander(places, degree + 1))
    return np.asarray(q)
