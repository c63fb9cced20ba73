"""A function at a point between flat native arrays: what strategies differentiate, with its plain products.

Everything here stays in the framework's own arrays, but for the plain products, which are what results are held
against.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from xcheck.call import Call
from xcheck.problem import Problem
from xcheck.protocol import Backend, FlatMap, Native, RealArray, supports_jvp, supports_vjp
from xcheck.pytree import Structure, flatten
from xcheck.space import Block, Space


class StructureChanged(ValueError):
    """The function returned something of another structure than where it was prepared."""


@dataclass(frozen=True)
class CalledFlat:
    """The user's function between flat native arrays.

    Attributes:
        call: the function and the structure of its inputs.
        held: which of the constant leaves are arrays of the backend, and passed along.
        structure: of what it returned at the point.
        varying: which of the leaves of that have derivatives.
        constants: copies of the values of all constant leaves.
    """

    call: Call
    held: tuple[int, ...]
    structure: Structure
    varying: tuple[int, ...]
    constants: tuple[Any, ...] = field(repr=False)

    def __call__(self, xs: Sequence[Native], held: Sequence[Native]) -> list[Native]:
        """Call the function; returns the outputs that have derivatives."""
        constants: Sequence[Any] = self.constants
        if held:
            constants = list(constants)
            for place, value in zip(self.held, held, strict=True):
                constants[place] = value
        tree = self.call(xs, constants)
        if self._is_bare and self.call.backend.owns(tree):
            return [tree]
        leaves, structure = flatten(tree)
        if not structure.same_as(self.structure):
            raise StructureChanged(
                f"{self.call.title} returned {self.structure} at the point that was given and {structure} now, where * "
                "is an array."
            )
        return [leaves[i] for i in self.varying]

    @cached_property
    def _is_bare(self) -> bool:
        return len(self.structure) == 1 and str(self.structure) == "*"


@dataclass(frozen=True)
class Primal:
    """A function R^n -> R^m at a point, flat and native.

    Attributes:
        f: the function.
        xs: the point.
        held: arrays that are held constant.
        inputs: the named space R^n.
        outputs: the named space R^m.
        backend: the framework.
        title: what the function is called.
        problem: what it was made of; a gradient's is that of the function.
    """

    f: FlatMap
    xs: list[Native]
    held: list[Native]
    inputs: Space
    outputs: Space
    backend: Backend
    title: str
    problem: Problem = field(repr=False)

    @classmethod
    def of(cls, problem: Problem) -> Self:
        """Take over the function and the point of a problem."""
        call, backend = problem.call, problem.backend
        held = [i for i, leaf in enumerate(call.constant) if backend.owns(leaf.value)]
        constants = call.constants()  # copies: a function that changes them changes no user's array
        f = CalledFlat(call, tuple(held), problem.output.structure, problem.output.varying, tuple(constants))
        values = [constants[i] for i in held]
        xs = problem.to_native(problem.x)
        return cls(f, xs, values, problem.inputs, problem.outputs, backend, call.title, problem)

    @property
    def n(self) -> int:
        """The number of inputs."""
        return self.inputs.size

    @property
    def m(self) -> int:
        """The number of outputs."""
        return self.outputs.size

    @cached_property
    def precision(self) -> int:
        """Significand bits of the coarsest dtype among inputs and outputs."""
        return min(self.inputs.precision, self.outputs.precision)

    @cached_property
    def itemsize(self) -> int:
        """Bytes of the widest entry of a result."""
        return max(block.dtype.itemsize for block in self.outputs.blocks)

    def at(self, xs: Sequence[Native], held: Sequence[Native]) -> Primal:
        """Return the same function at another point of the same shapes."""
        return replace(self, xs=list(xs), held=list(held))

    def closed(self) -> Callable[[Sequence[Native]], Sequence[Native]]:
        """Return the function of the varying arrays alone."""
        return lambda xs: self.f(xs, self.held)

    # Plain products, as the framework makes any

    @property
    def has_pullback(self) -> bool:
        """Whether the backend has reverse mode."""
        return supports_vjp(self.backend)

    def pullback(self) -> Callable[[RealArray], RealArray]:
        """Evaluate once and return `w -> w^T J`, between vectors (m,) and (n,).

        Raises:
            NotImplementedError: there is no reverse mode, or no rule.
        """
        if not supports_vjp(self.backend):
            raise NotImplementedError(f"{self.backend.name} has no reverse mode")
        ys, native = self.backend.vjp(self.closed(), self.xs)

        def pull(w: RealArray) -> RealArray:
            cotangents = [self.backend.from_numpy(a, like=y) for a, y in zip(self.outputs.unpack(w), ys, strict=True)]
            return self._packed(native(cotangents), self.inputs)

        return pull

    def push(self, v: RealArray) -> RealArray:
        """Return `J v` for a tangent (n,).

        Raises:
            NotImplementedError: there is no forward mode, or no rule.
        """
        if not supports_jvp(self.backend):
            raise NotImplementedError(f"{self.backend.name} has no forward mode")
        _, found = self.backend.jvp(self.closed(), self.xs, self.to_native(v))
        return self._packed(found, self.outputs)

    def to_native(self, v: RealArray) -> list[Native]:
        """Turn a vector (n,) into arrays like the inputs."""
        arrays = self.inputs.unpack(v)
        return [self.backend.from_numpy(a, like=x) for a, x in zip(arrays, self.xs, strict=True)]

    def seed(self, arrays: Sequence[NDArray[Any]], mode: str) -> list[Native]:
        """Turn seeds, one array for every output (vjp) or input (jvp), into native ones of the right dtypes."""
        blocks = self.outputs.blocks if mode == "vjp" else self.inputs.blocks
        likes = self.xs if mode == "jvp" else [self.xs[0]] * len(blocks)
        return [
            self.backend.from_numpy(np.asarray(a, dtype=b.dtype), like=x)
            for a, b, x in zip(arrays, blocks, likes, strict=True)
        ]

    def _packed(self, found: Sequence[Native | None], space: Space) -> RealArray:
        result = np.zeros(space.size)
        for array, block in zip(found, space.blocks, strict=True):
            if array is not None:
                result[block.slice] = _checked(self.backend.to_numpy(array), block, self.title)
        return result


def _checked(array: NDArray[Any], block: Block, title: str) -> RealArray:
    if array.shape != block.shape:
        raise ValueError(
            f"a derivative rule of {title} returned shape {array.shape} for {block.name}, whose shape is {block.shape}."
        )
    return np.asarray(array, dtype=np.float64).reshape(-1)
