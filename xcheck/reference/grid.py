"""Where to evaluate: levels, step sizes and directions.

A step along direction j at level e is `h = s_j 2^-e mu_e`: a scale of the input, a power of two, and a multiplier in
[0.78, 1) that depends on the level alone. Powers of two by themselves resonate with the rounding grid.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from zlib import crc32

import numpy as np
from numpy.typing import DTypeLike, NDArray

from xcheck.problem import Problem, Write
from xcheck.protocol import RealArray
from xcheck.space import stretches

SPACING = {53: 3, 24: 2, 11: 1, 8: 1}
"""log2 of the ratio between neighbouring levels, by significand bits."""

COARSE = {53: 11, 24: 3, 11: 1, 8: 0}
"""The coarsest of the three base levels; the finest is near the classical optimum 2^(-p/3) of central differences."""

FINEST = 26
"""The finest base level of higher precision: half the bits of a difference are left for its digits."""

KEPT = 2**10
"""Random draws of up to this many numbers are kept for the next check."""

Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Grid:
    """The levels for a precision, and their multipliers for a seed.

    Attributes:
        precision: significand bits p of inputs and of what is kept of a value.
        seed: chooses the multipliers; another seed gives fresh points.
        value_bits: significand bits of the function's arithmetic, where that is higher; 0 for the same.
    """

    precision: int
    seed: int = 0
    value_bits: int = 0

    @property
    def unit(self) -> float:
        """The unit roundoff u = 2^-p."""
        return float(2.0**-self.precision)

    @property
    def value_unit(self) -> float:
        """The unit roundoff of the function's arithmetic."""
        return float(2.0 ** -max(self.precision, self.value_bits))

    def group(self, q: int) -> tuple[int, int, int]:
        """Return three levels: the base for q = 0, coarser ones for q > 0, finer ones for q < 0."""
        g = SPACING[self.precision]
        first = max(COARSE[self.precision], min(self.value_bits // 3, FINEST) - 2 * g) - 3 * g * q
        return (first, first + g, first + 2 * g)

    @property
    def group_bits(self) -> int:
        """log2 of the ratio of step sizes between one group and the next."""
        return 3 * SPACING[self.precision]

    @property
    def finest(self) -> int:
        """The finest base level."""
        return self.group(0)[2]

    def multiplier(self, level: int) -> float:
        """Return mu in [0.78, 1), 16 pseudo-random bits of level and seed."""
        bits = crc32(f"{self.seed}/{level}".encode()) & 0xFFFF
        return 0.78 + 0.22 * (bits + 0.5) / 2**16


class Coordinates:
    """Coordinate directions of a problem, all of them or some.

    Attributes:
        index: the coordinates, shape (d,).
        scale: s_j, see `Space.scales`, shape (d,).
        offset: |x_j| / s_j.
        reach: the largest step that is allowed, in units of s_j.
    """

    def __init__(self, problem: Problem, index: Rows | None = None, stretch: RealArray | float = 1.0) -> None:
        """Choose the scales, times `stretch`, powers of two, one for each of `index`."""
        self.problem = problem
        self.index = np.arange(problem.n) if index is None else index
        x = np.abs(problem.x[self.index])
        self.stretch = np.broadcast_to(stretch, len(self.index))
        self.scale = problem.scale[self.index] * self.stretch
        self.offset = np.where(np.isfinite(x), x, 0.0) / self.scale
        self.reach = np.maximum(1.0, problem.typical / self.scale) / 4

    @property
    def count(self) -> int:
        """The number of directions."""
        return len(self.index)

    def subset(self, rows: Rows) -> Coordinates:
        """Keep some of the directions."""
        return Coordinates(self.problem, self.index[rows], self.stretch[rows])

    def steps(self, grid: Grid, level: int, rows: Rows) -> tuple[RealArray, RealArray, RealArray, RealArray]:
        """Return the coordinates x+h and x-h as the dtype holds them, and the displacements they really are."""
        index = self.index[rows]
        x, s = self.problem.x[index], self.scale[rows]
        h = s * (grid.multiplier(level) * 2.0**-level)
        ulp = np.spacing(np.abs(x) + h)
        if self.problem.inputs.precision < 53:
            ulp *= 2.0 ** (53 - self._precision[index])
        h = np.maximum(np.rint(h / (2 * ulp)), 1.0) * 2 * ulp
        plus, minus = self._quantise(x + h, index), self._quantise(x - h, index)
        return plus, minus, (plus - x) / s, (x - minus) / s

    def write(self, points: RealArray, rows: Rows, values: RealArray) -> None:
        """Fill `points` with the displaced points."""
        points[:] = self.problem.x
        points[np.arange(len(rows)), self.index[rows]] = values

    def held(self, values: RealArray, row: int) -> RealArray:
        """Return values of one coordinate as its dtype holds them."""
        return self._quantise(values, np.full(len(values), self.index[row]))

    @cached_property
    def _precision(self) -> NDArray[np.int64]:
        blocks = self.problem.inputs.blocks
        return np.repeat(np.array([b.precision for b in blocks], int), [b.size for b in blocks])

    def _quantise(self, values: RealArray, index: Rows) -> RealArray:
        if self.problem.inputs.precision == 53:
            return values
        held = values.copy()
        for block in self.problem.inputs.blocks:
            inside = (index >= block.start) & (index < block.start + block.size)
            dtype = np.dtype(np.float32) if block.dtype.name == "complex64" else block.dtype
            if not block.is_complex or block.dtype.name == "complex64":
                held[inside] = values[inside].astype(dtype).astype(np.float64)
        return held


class Probes:
    """Vectors v as directions: derivatives along them are J v.

    Attributes:
        vectors: shape (d, n), of few significant bits, so that x + h v is exact in float64.
        reach: the largest multiple of them that is allowed.
        factor: a power of two that they are multiplied by.
    """

    def __init__(self, problem: Problem, vectors: RealArray, reach: float = 0.25, factor: float = 1.0) -> None:
        """Take the vectors as they are; their lengths are the scales."""
        self.problem = problem
        self.vectors = vectors
        self.factor = factor
        self.scale = np.ones(len(vectors))
        self.offset = np.ones(len(vectors))
        self.reach = np.full(len(vectors), reach)

    @property
    def count(self) -> int:
        """The number of directions."""
        return len(self.vectors)

    def steps(self, grid: Grid, level: int, rows: Rows) -> tuple[RealArray, RealArray, RealArray, RealArray]:
        """Return +h and -h twice: as multiples of v and as displacements."""
        h = np.full(len(rows), _few_bits(grid, level))
        return h, -h, h, h

    def write(self, points: RealArray, rows: Rows, values: RealArray) -> None:
        """Fill `points` with the displaced points."""
        for point, row, value in zip(points, rows, values, strict=True):
            self.writer(row, value)(point, slice(0, len(point)))

    def writer(self, row: int, value: float) -> Write:
        """Return what writes one displaced point."""
        return displacement(self.problem.x, value * self.factor, self.vectors[row])

    def subset(self, rows: Rows) -> Probes:
        """Keep some of the directions."""
        reach = float(self.reach[0]) if len(self.reach) else 0.25
        return Probes(self.problem, self.vectors[rows], reach, self.factor)


class Stretches:
    """Parts of one vector as directions, each a span of its entries times a factor."""

    def __init__(self, problem: Problem, vector: RealArray, spans: Rows, factors: RealArray) -> None:
        """Take spans (d, 2), from the first entry to before the second, and a power of two for each."""
        self.problem = problem
        self.vector, self.spans, self.factors = vector, spans, factors
        self.scale = np.ones(len(spans))
        self.offset = np.ones(len(spans))
        self.reach = np.full(len(spans), 0.25)

    @property
    def count(self) -> int:
        """The number of directions."""
        return len(self.spans)

    def steps(self, grid: Grid, level: int, rows: Rows) -> tuple[RealArray, RealArray, RealArray, RealArray]:
        """Return +h and -h twice: as multiples of the part and as displacements."""
        h = np.full(len(rows), _few_bits(grid, level))
        return h, -h, h, h

    def write(self, points: RealArray, rows: Rows, values: RealArray) -> None:
        """Fill `points` with the displaced points."""
        points[:] = self.problem.x
        for point, row, value in zip(points, rows, values, strict=True):
            part = slice(*self.spans[row])
            point[part] += (value * self.factors[row]) * self.vector[part]

    def subset(self, rows: Rows) -> Stretches:
        """Keep some of the directions."""
        return Stretches(self.problem, self.vector, self.spans[rows], self.factors[rows])


def displacement(x: RealArray, step: float, vector: RealArray) -> Write:
    """Return what writes `x + step * vector`."""

    def write(out: RealArray, part: slice) -> None:
        base, along = x[part], vector[part]
        for piece in stretches(len(out)):
            np.add(base[piece], along[piece] * step, out=out[piece])

    return write


def _few_bits(grid: Grid, level: int) -> float:
    """Return a step of five significant bits."""
    odd = 25 + 2 * int((grid.multiplier(level) - 0.78) / 0.22 * 4)
    return float(odd / 32 * 2.0**-level)


Directions = Coordinates | Probes | Stretches


def mirrored(problem: Problem) -> tuple[Rows, RealArray]:
    """Pair every entry of a symmetric (Hermitian) input matrix with the one across the diagonal.

    Returns:
        The partner of each input, itself where there is none, and the sign of the partner's share: -1 for imaginary
        parts.
    """
    partner, sign = np.arange(problem.n), np.ones(problem.n)
    for block in problem.inputs.blocks:
        if len(block.shape) < 2 or block.shape[-1] != block.shape[-2]:
            continue
        matrix = block.unpack(problem.x[block.slice]).astype(np.complex128)
        size = np.max(np.abs(matrix), initial=0.0)
        if not np.max(np.abs(matrix - np.conj(np.swapaxes(matrix, -1, -2))), initial=0.0) <= 1e-6 * size:
            continue
        parts = 2 if block.is_complex else 1
        index = np.arange(block.size).reshape(*block.shape, parts)
        partner[block.slice] = block.start + np.swapaxes(index, -2, -3).ravel()
        if block.is_complex:
            sign[block.slice.start + 1 : block.slice.stop : 2] = -1.0
    return partner, sign


def complex_partners(problem: Problem) -> Rows:
    """Pair the real with the imaginary part of every complex output; real outputs with themselves."""
    partner = np.arange(problem.m)
    for block in problem.outputs.blocks:
        if block.is_complex:
            partner[block.slice] = block.start + (np.arange(block.size) ^ 1)
    return partner


PROBE_ENTRIES = np.tile(np.concatenate([np.arange(64, 128), -np.arange(64, 128)]), 2).astype(np.int8).tobytes()
"""What a probe may hold, times 64, for every random byte."""


def signed_probes(
    rng: np.random.Generator, count: int, size: int, scale: RealArray | float = 1.0, dtype: DTypeLike = np.float64
) -> RealArray:
    """Draw vectors of entries `±(1 + i/64)`, i in 0..63, times powers of two: few bits, and none near zero."""
    result: RealArray = np.empty((count, size), dtype)
    shares = np.broadcast_to(np.asarray(scale), (size,))
    for row in result:
        for part in stretches(size):
            row[part] = random_bytes(rng, len(row[part]), PROBE_ENTRIES) * (shares[part] / 64)
    return result


def random_bytes(rng: np.random.Generator, size: int, table: bytes) -> NDArray[np.int8]:
    """Draw from a table of 256 small whole numbers."""
    return np.frombuffer(rng.bytes(size).translate(table), np.int8)


def probe_shrink(count: int) -> float:
    """Return the power of two that makes a probe of `count` entries about as long as one of them."""
    return float(2.0 ** -np.ceil(np.log2(max(1.0, np.sqrt(count)))))


def allowed_levels(grid: Grid, directions: Directions, row: np.intp, levels: Iterable[int]) -> tuple[int, ...]:
    """Drop levels whose step would leave the input's neighbourhood or drown in its rounding."""
    base = grid.group(0)
    bits = grid.precision - 5 + (40 if directions.offset[row] == 0 else 0)
    return tuple(e for e in sorted(set(levels)) if e in base or (2.0**-e <= directions.reach[row] and e <= bits))
