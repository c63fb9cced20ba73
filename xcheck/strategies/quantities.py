"""What can be asked for: a Jacobian, its diagonal, the Jacobians of a batch, a Hessian, the entries of a pattern.

A quantity knows its recipes, how large it is, what a computed one makes of a vector, and the shapes that users expect.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xcheck.nesting import inputs_like, outputs_like
from xcheck.problem import Problem
from xcheck.protocol import Native, RealArray
from xcheck.space import Space
from xcheck.strategies.primal import Primal
from xcheck.strategies.recipes import (
    ELEMENTWISE,
    PATTERN,
    SAMPLES,
    Recipe,
    apart_recipe,
    batch_recipe,
    diagonal_recipe,
    elementwise_recipe,
    jacobian_recipe,
)

QUANTITIES = ("jacobian", "diagonal", "batch", "hessian")
"""What strategies are asked for."""


class Product(NamedTuple):
    """What a computed derivative makes of a vector.

    Attributes:
        value: the product.
        terms: the sum of the sizes of what was added, which rounding goes by.
    """

    value: RealArray
    terms: RealArray


@dataclass(frozen=True)
class Dense:
    """The whole Jacobian: blocks of shape `out.shape + in.shape`, those of the first output first."""

    primal: Primal
    name: str = "jacobian"
    assumes: ClassVar[str] = ""

    @property
    def entries(self) -> int:
        """How many numbers it has."""
        return self.primal.m * self.primal.n

    def recipes(self, mode: str) -> list[Recipe]:
        """Return what makes it of products."""
        return [jacobian_recipe(self.primal, mode)]

    def shapes(self) -> list[tuple[int, ...]]:
        """Return the shapes of its blocks."""
        outs, ins = self.primal.outputs.blocks, self.primal.inputs.blocks
        return [(*out.shape, *x.shape) for out in outs for x in ins]

    def product(self, result: Sequence[Native], vector: RealArray, mode: str) -> Product:
        """Multiply a computed one with a vector: `w^T A` (vjp) or `A v` (jvp)."""
        outs, ins = self.primal.outputs.blocks, self.primal.inputs.blocks
        value, terms = _empty(self.primal, mode)
        blocks = iter(result)
        for out in outs:
            for x in ins:
                matrix = _numbers(self.primal, next(blocks)).reshape(out.size, x.size)
                part, into = (vector[out.slice], x.slice) if mode == "vjp" else (vector[x.slice], out.slice)
                matrix = matrix.T if mode == "vjp" else matrix
                value[into] += matrix @ part
                terms[into] += np.abs(matrix) @ np.abs(part)
        return Product(value, terms)

    def related(self, place: int, mode: str) -> NDArray[np.intp]:
        """Return the inputs that an output may depend on (vjp), or the outputs that depend on an input (jvp): all."""
        del place
        return np.arange(self.primal.n if mode == "vjp" else self.primal.m)

    def nest(self, problem: Problem, result: Sequence[Native]) -> Any:
        """Give the blocks the structure of the output around that of the inputs."""
        count = len(problem.inputs.blocks)
        rows = [inputs_like(problem, result[i : i + count]) for i in range(0, len(result), count)]
        return outputs_like(problem, rows)

    def entry(self, i: int, j: int) -> str:
        """Name an entry."""
        return _entry(self.primal, i, j)


@dataclass(frozen=True)
class Hessian(Dense):
    """The Jacobian of a gradient: blocks of shape `in.shape + in.shape`."""

    name: str = "hessian"

    def nest(self, problem: Problem, result: Sequence[Native]) -> Any:
        """Give the blocks the structure of the inputs around that of the inputs."""
        count = len(problem.inputs.blocks)
        return inputs_like(problem, [inputs_like(problem, result[i : i + count]) for i in range(0, len(result), count)])


@dataclass(frozen=True)
class Diagonal:
    """The diagonal of a square Jacobian: one array like every input."""

    primal: Primal
    name: str = "diagonal"
    assumes: ClassVar[str] = ELEMENTWISE

    @property
    def entries(self) -> int:
        """How many numbers it has."""
        return self.primal.n

    def recipes(self, mode: str) -> list[Recipe]:
        """Return what makes it of products, the one that relies on something first."""
        return [elementwise_recipe(self.primal, mode), diagonal_recipe(self.primal, mode)]

    def shapes(self) -> list[tuple[int, ...]]:
        """Return the shapes of its parts."""
        return [x.shape for x in self.primal.inputs.blocks]

    def product(self, result: Sequence[Native], vector: RealArray, mode: str) -> Product:
        """Multiply with a vector what is a whole Jacobian only if nothing lies beside the diagonal."""
        del mode
        value = np.concatenate([_numbers(self.primal, part).reshape(-1) for part in result]) * vector
        return Product(value, np.abs(value))

    def related(self, place: int, mode: str) -> NDArray[np.intp]:
        """Return the inputs that an output may depend on (vjp), or the outputs that depend on an input (jvp)."""
        del mode
        return np.array([place])

    def nest(self, problem: Problem, result: Sequence[Native]) -> Any:
        """Give the parts the structure of the inputs."""
        return inputs_like(problem, result)

    def entry(self, i: int, j: int) -> str:
        """Name an entry."""
        return _entry(self.primal, i, j)


@dataclass(frozen=True)
class Batch:
    """The Jacobians of all samples: blocks of shape `(B, *out.shape[1:], *in.shape[1:])`."""

    primal: Primal
    name: str = "batch"
    assumes: ClassVar[str] = SAMPLES

    @property
    def entries(self) -> int:
        """How many numbers it has."""
        return self.size * sum(prod(shape[1:]) for shape in self.shapes())

    @property
    def size(self) -> int:
        """The number of samples."""
        return self.primal.inputs.blocks[0].shape[0]

    def recipes(self, mode: str) -> list[Recipe]:
        """Return what makes it of products."""
        return [batch_recipe(self.primal, mode), apart_recipe(self.primal, mode)]

    def shapes(self) -> list[tuple[int, ...]]:
        """Return the shapes of its blocks."""
        outs, ins = self.primal.outputs.blocks, self.primal.inputs.blocks
        return [(self.size, *out.shape[1:], *x.shape[1:]) for out in outs for x in ins]

    def product(self, result: Sequence[Native], vector: RealArray, mode: str) -> Product:
        """Multiply with a vector what is a whole Jacobian only if samples do not mix."""
        outs, ins = self.primal.outputs.blocks, self.primal.inputs.blocks
        value, terms = _empty(self.primal, mode)
        blocks = iter(result)
        for out in outs:
            for x in ins:
                cube = _numbers(self.primal, next(blocks)).reshape(self.size, prod(out.shape[1:]), prod(x.shape[1:]))
                part, into = (out, x) if mode == "vjp" else (x, out)
                rows = vector[part.slice].reshape(self.size, -1)
                how = "bij,bi->bj" if mode == "vjp" else "bij,bj->bi"
                value[into.slice] += np.einsum(how, cube, rows).reshape(-1)
                terms[into.slice] += np.einsum(how, np.abs(cube), np.abs(rows)).reshape(-1)
        return Product(value, terms)

    def related(self, place: int, mode: str) -> NDArray[np.intp]:
        """Return the inputs that an output may depend on (vjp), or the outputs that depend on an input (jvp)."""
        of, spaces = (
            (self.primal.outputs, self.primal.inputs) if mode == "vjp" else (self.primal.inputs, self.primal.outputs)
        )
        sample, parts = _sample(of, place), []
        for block in spaces.blocks:
            each = prod(block.shape[1:])
            parts.append(np.arange(block.start + sample * each, block.start + (sample + 1) * each))
        return np.concatenate(parts)

    def nest(self, problem: Problem, result: Sequence[Native]) -> Any:
        """Give the blocks the structure of the output around that of the inputs."""
        return Dense(self.primal).nest(problem, result)

    def entry(self, i: int, j: int) -> str:
        """Name an entry, and the samples that it couples."""
        samples = [_sample(self.primal.outputs, i), _sample(self.primal.inputs, j)]
        apart = f", which couples sample {samples[0]} to sample {samples[1]}," if samples[0] != samples[1] else ""
        return _entry(self.primal, i, j) + apart


@dataclass(frozen=True)
class Entries:
    """The entries of a sparsity pattern, in the order of its rows: one array (nnz,)."""

    primal: Primal
    pattern: Any = field(repr=False)
    make: Callable[[str], list[Recipe]] = field(repr=False)
    native: bool = False
    name: str = "sparse"
    assumes: ClassVar[str] = PATTERN

    @property
    def entries(self) -> int:
        """How many numbers it has."""
        return int(self.pattern.nnz)

    def recipes(self, mode: str) -> list[Recipe]:
        """Return what makes it of products."""
        return self.make(mode)

    def shapes(self) -> list[tuple[int, ...]]:
        """Return the shape of the values."""
        return [(self.entries,)]

    def product(self, result: Sequence[Native], vector: RealArray, mode: str) -> Product:
        """Multiply the sparse matrix with a vector."""
        matrix = self.matrix(result)
        matrix = matrix.T if mode == "vjp" else matrix
        return Product(matrix @ vector, abs(matrix) @ np.abs(vector))

    def matrix(self, result: Sequence[Native]) -> Any:
        """Put the values into a `scipy.sparse.csr_array`, which shares its indices with all others made here."""
        made = copy(self._empty)
        made.data = np.asarray(self.primal.backend.to_numpy(result[0]))
        return made

    @cached_property
    def _empty(self) -> Any:
        from scipy.sparse import csr_array

        pattern = self.pattern
        indices, starts = pattern.indices.copy(), pattern.indptr.copy()
        made = csr_array((np.zeros(pattern.nnz), indices, starts), shape=pattern.shape)
        made.has_canonical_format = True
        made.indices.flags.writeable = made.indptr.flags.writeable = False
        return made

    @cached_property
    def _native_maker(self) -> Callable[[Native], Native]:
        rows = np.repeat(np.arange(self.pattern.shape[0]), np.diff(self.pattern.indptr))
        made: Callable[[Native], Native] = self.primal.backend.sparse(  # type: ignore[attr-defined]
            rows, self.pattern.indices, self.pattern.shape, self.primal.xs[0]
        )
        return made

    def related(self, place: int, mode: str) -> NDArray[np.intp]:
        """Return the inputs that an output may depend on (vjp), or the outputs that depend on an input (jvp)."""
        return np.asarray(self.pattern[[place], :].indices if mode == "vjp" else self.pattern[:, [place]].nonzero()[0])

    def nest(self, problem: Problem, result: Sequence[Native]) -> Any:
        """Return the sparse matrix, of SciPy or of the framework."""
        del problem
        return self._native_maker(result[0]) if self.native else self.matrix(result)

    def entry(self, i: int, j: int) -> str:
        """Name an entry."""
        return _entry(self.primal, i, j)


Quantity = Dense | Diagonal | Batch | Entries


def quantity_named(name: str, primal: Primal) -> Quantity:
    """Return what a quantity is of a function, after a look at whether there is such a thing.

    Raises:
        ValueError: the numbers of inputs and outputs differ (diagonal), or the batch axes do (batch).
    """
    if name == "diagonal":
        return _diagonal(primal)
    if name == "batch":
        return _batch(primal)
    return Hessian(primal) if name == "hessian" else Dense(primal)


def _diagonal(primal: Primal) -> Diagonal:
    if primal.m != primal.n:
        raise ValueError(
            f"jacobian_diagonal needs as many outputs as inputs, but {primal.title} maps {primal.n} numbers "
            f"to {primal.m}. Name the one input that is meant in wrt=."
        )
    return Diagonal(primal)


def _batch(primal: Primal) -> Batch:
    blocks = [*primal.inputs.blocks, *primal.outputs.blocks]
    sizes = {block.shape[0] if block.shape else None for block in blocks}
    if len(sizes) > 1 or None in sizes:
        shapes = ", ".join(f"{block.name} {block.shape}" for block in blocks)
        raise ValueError(
            f"batch_jacobian needs the same first axis, that of the samples, in every input and output of "
            f"{primal.title}; given: {shapes}. Inputs that all samples share are left out by wrt=, as in wrt=0."
        )
    return Batch(primal)


def pairs_up(primal: Primal) -> bool:
    """Tell whether outputs and inputs are arrays of the same sizes, in order."""
    outs, ins = primal.outputs.blocks, primal.inputs.blocks
    return [out.size for out in outs] == [x.size for x in ins]


def _sample(space: Space, place: int) -> int:
    block = space.block_of(place)
    return (place - block.start) // max(1, prod(block.shape[1:]))


def _entry(primal: Primal, i: int, j: int) -> str:
    return f"d {primal.outputs.entry(i)} / d {primal.inputs.entry(j)}"


def _empty(primal: Primal, mode: str) -> tuple[RealArray, RealArray]:
    size = primal.n if mode == "vjp" else primal.m
    return np.zeros(size), np.zeros(size)


def _numbers(primal: Primal, array: Native) -> NDArray[Any]:
    return np.asarray(primal.backend.to_numpy(array), dtype=np.float64)
