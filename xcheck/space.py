"""A named R^n: arrays of several shapes and dtypes laid end to end, complex numbers as pairs of reals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xcheck.protocol import RealArray

PRECISION = {"float64": 53, "float32": 24, "float16": 11, "bfloat16": 8, "complex128": 53, "complex64": 24}
"""Significand bits of every dtype that can be differentiated, by NumPy's name for it."""


SMALLEST = {"float32": 2.0**-110, "complex64": 2.0**-110, "float16": 2.0**-12, "bfloat16": 2.0**-110}
"""The smallest scale of an input, by dtype; 2^-1000 in 64 bits."""

EXPONENT = 0x7FF0_0000_0000_0000
"""Where a 64-bit number keeps its exponent."""

LONG = 2**20
"""From this many numbers on, memory is spared."""

BLOCK = 2**16
"""Numbers in one step of a pass over a long vector."""

SAMPLED = 2**16
"""Numbers that a median is taken of; of more, every so-manieth."""


def floor_power(values: RealArray) -> RealArray:
    """Return the largest power of two not above each positive value."""
    mantissa, exponent = np.frexp(values)
    exponent -= 1
    return np.asarray(np.ldexp(1.0, exponent, out=mantissa))


def stretches(size: int, start: int = 0) -> Iterator[slice]:
    """Cut a long vector into parts that stay in the processor's cache."""
    return (slice(k, min(k + BLOCK, start + size)) for k in range(start, start + size, BLOCK))


def combined(weights: RealArray, rows: RealArray) -> RealArray:
    """Return `weights @ rows` of weights (..., k) and rows (k, j), by no more than the calling thread.

    Those of a matrix product go on waiting for work after it.
    """
    return np.asarray(np.einsum("...k,kj->...j", weights, rows))


def _typical(x: RealArray, otherwise: float) -> float:
    sizes = np.abs(x[:: max(1, len(x) // SAMPLED)])
    positive = sizes[(sizes > 0) & (sizes < np.inf)]
    return _median(positive) if positive.size else otherwise


def _median(values: RealArray) -> float:
    """Return what `np.median` does of numbers that are not NaN, without its detours."""
    low, high = (len(values) - 1) // 2, len(values) // 2
    values.partition((low, high))
    return float(values[low]) if low == high else float((values[low] + values[high]) / 2)


def lay_end_to_end(arrays: Sequence[NDArray[Any]]) -> Sequence[NDArray[Any]]:
    """Move long float64 arrays into one vector, of which `Space.pack` then needs no copy; others are returned as is."""
    size = sum(array.size for array in arrays)
    if len(arrays) < 2 or size < LONG or any(array.dtype != np.float64 for array in arrays):
        return arrays
    whole, start, views = np.empty(size), 0, []
    for array in arrays:
        views.append(whole[start : start + array.size].reshape(array.shape))
        views[-1][...] = array
        start += array.size
    return views


def _laid_end_to_end(arrays: Sequence[NDArray[Any]]) -> RealArray | None:
    """Return the vector that `lay_end_to_end` made, None if the arrays do not come from there."""
    whole = arrays[0].base
    if whole is None or whole.shape != (sum(array.size for array in arrays),) or whole.dtype != np.float64:
        return None
    places = np.cumsum([0, *(array.nbytes for array in arrays[:-1])]) + whole.ctypes.data
    same = all(
        a.base is whole and a.flags.c_contiguous and a.ctypes.data == p for a, p in zip(arrays, places, strict=True)
    )
    return whole if same else None


def widened(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return what a differentiable dtype becomes in 64-bit arithmetic."""
    return np.dtype(np.complex128 if dtype.kind == "c" else np.float64)


@cache  # NumPy composes a dtype's name anew at every question
def significand(dtype: np.dtype[Any]) -> int | None:
    """Return the significand bits of a dtype that can be differentiated, None for any other."""
    return PRECISION.get(dtype.name)


def is_differentiable(dtype: np.dtype[Any]) -> bool:
    """Tell whether arrays of this dtype have derivatives that xcheck can measure."""
    return significand(dtype) is not None


@dataclass(frozen=True)
class Block:
    """One array's place in the vector."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    start: int

    @cached_property
    def is_complex(self) -> bool:
        """Whether every entry takes two places, real part first."""
        return self.dtype.kind == "c"

    @cached_property
    def size(self) -> int:
        """How many real numbers the array holds."""
        return prod(self.shape) * (2 if self.is_complex else 1)

    @cached_property
    def precision(self) -> int:
        """Significand bits of the dtype."""
        bits = significand(self.dtype)
        assert bits is not None
        return bits

    @property
    def slice(self) -> slice:
        """The places in the vector."""
        return slice(self.start, self.start + self.size)

    def entry(self, k: int) -> str:
        """Name the k-th real number of the block, such as `x[0, 2]` or `z[1].imag`."""
        part = ""
        if self.is_complex:
            k, odd = divmod(k, 2)
            part = ".imag" if odd else ".real"
        if not self.shape:
            return self.name + part
        index = ", ".join(str(int(i)) for i in np.unravel_index(k, self.shape))
        return f"{self.name}[{index}]{part}"

    def pack(self, array: NDArray[Any]) -> RealArray:
        """Turn arrays `(*lead, *shape)` into real vectors `(*lead, size)`.

        Raises:
            TypeError: complex numbers for a real block; their imaginary parts would be lost.
        """
        if array.dtype.kind == "c" and not self.is_complex:
            raise TypeError(f"{self.name} is real ({self.dtype}), but its new values are complex ({array.dtype})")
        lead = array.shape[: array.ndim - len(self.shape)]
        if self.is_complex:
            wide = np.ascontiguousarray(array, dtype=np.complex128)
            return wide.reshape((*lead, -1)).view(np.float64) if wide.size else np.zeros((*lead, self.size))
        return np.asarray(array, dtype=np.float64).reshape((*lead, self.size))

    def unpack(self, vectors: RealArray) -> NDArray[Any]:
        """Turn real vectors `(*lead, size)` into arrays `(*lead, *shape)` of the block's dtype, or views of them."""
        lead = vectors.shape[:-1]
        if self.is_complex and vectors.size:
            vectors = np.ascontiguousarray(vectors).view(np.complex128)
        return vectors.reshape((*lead, *self.shape)).astype(self.dtype, copy=False)


@dataclass(frozen=True)
class Space:
    """Blocks laid end to end."""

    blocks: tuple[Block, ...]

    @classmethod
    def of(cls, names: Sequence[str], arrays: Sequence[NDArray[Any]]) -> Space:
        """Lay `arrays` end to end under their names."""
        blocks: list[Block] = []
        start = 0
        for name, array in zip(names, arrays, strict=True):
            blocks.append(Block(name, array.shape, array.dtype, start))
            start += blocks[-1].size
        return cls(tuple(blocks))

    @cached_property
    def size(self) -> int:
        """The dimension n."""
        return sum(block.size for block in self.blocks)

    @cached_property
    def precision(self) -> int:
        """Significand bits of the coarsest dtype; 53 if there is no block."""
        return min((block.precision for block in self.blocks), default=53)

    def pack(self, arrays: Sequence[NDArray[Any]]) -> RealArray:
        """Join arrays, with any common leading axes, into vectors along a last axis of length n."""
        if len(self.blocks) == 1:
            return self.blocks[0].pack(arrays[0])
        whole = _laid_end_to_end(arrays) if self.size >= LONG else None
        if whole is not None:
            return whole
        return np.concatenate([b.pack(a) for b, a in zip(self.blocks, arrays, strict=True)], axis=-1)

    def unpack(self, vectors: RealArray) -> list[NDArray[Any]]:
        """Split vectors along their last axis into arrays of the blocks' shapes and dtypes."""
        return [block.unpack(vectors[..., block.slice]) for block in self.blocks]

    def largest(self, sizes: RealArray) -> RealArray:
        """Return, in every place of a vector of sizes, the largest one of its block."""
        result = np.empty_like(sizes)
        for block in self.blocks:
            result[block.slice] = np.max(sizes[block.slice], initial=0.0)
        return result

    def block_of(self, i: int) -> Block:
        """Find the block that holds place `i`."""
        return next(block for block in self.blocks if i < block.start + block.size)

    def entry(self, i: int) -> str:
        """Name place `i` as the user would write it."""
        block = self.block_of(int(i))
        return block.entry(int(i) - block.start)

    def scales(self, x: RealArray) -> tuple[RealArray, float]:
        """Return the scale of every input at `x`, and the typical size of all.

        The scale is a power of two not above |x_j|, for x_j = 0 that of the median non-zero input of its block, and
        never so small that steps would leave the dtype.
        """
        typical = self.typical(x)
        scale = np.empty(len(x))
        for block in self.blocks:
            own = None
            least = 2.0**-1000 if block.precision == 53 else SMALLEST.get(block.dtype.name, 2.0**-1000)
            for piece in stretches(block.size, block.start):
                part = np.abs(x[piece], out=scale[piece])
                usual = (part > 0) & (part < np.inf)
                if not usual.all():
                    own = _typical(x[block.slice], typical) if own is None else own
                    part[~usual] = own
                bits = part.view(np.int64)
                bits &= EXPONENT  # the power of two not above; what is subnormal becomes 0
                np.maximum(part, least, out=part)
        return scale, typical

    def typical(self, x: RealArray) -> float:
        """Return the median size of the inputs that are not zero, 1 if all are."""
        return _typical(x, 1.0)

    def in_float64(self) -> Space:
        """Return the same space in 64-bit dtypes."""
        wide = [np.zeros(b.shape, widened(b.dtype)) for b in self.blocks]
        return Space.of([b.name for b in self.blocks], wide)
