"""A kernel beside an implementation of the same function in float64, at the point and at points nearby."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from xcheck.binding import bind
from xcheck.claim import Claim
from xcheck.derivatives import first_claim
from xcheck.problem import Problem
from xcheck.protocol import RealArray
from xcheck.space import PRECISION

NEIGHBOURS = 8
"""Points at which a kernel's rounding is measured."""

STEPS = (1, 2, 3, 5)
"""How many ulps of its own dtype every input of the nearest neighbours is away."""

FARTHEST = 2.0**-5
"""How far the farthest neighbours are, next to the input: rounding inside a kernel may not change any nearer."""


@dataclass
class Twins:
    """A kernel and the float64 implementation of the same function.

    Attributes:
        kernel: the kernel at the point.
        reference: the implementation there, in float64.
        seed: chooses the neighbours.
    """

    kernel: Problem
    reference: Problem
    seed: int

    @classmethod
    def of(cls, kernel: Problem, implementation: object, seed: int) -> Twins:
        """Evaluate `implementation` in float64 at the kernel's inputs.

        Raises:
            TypeError: it is no function; or the kernel is a module and it is none.
            ValueError: it returns something else than the kernel, or a lower precision than float64.
        """
        call = replace(kernel.call, function=_bound(kernel, implementation), title="reference=")
        try:
            reference = Problem.at(call.in_float64(), kernel.rewind, kernel.inputs.in_float64())
        except Exception as error:
            error.add_note(
                f"xcheck: reference= is called exactly as {kernel.call.title} is, with every floating-point input in "
                "64 bits."
            )
            raise
        _require_same_kind(kernel, reference)
        return cls(kernel, reference, seed)

    @cached_property
    def dtype(self) -> str:
        """The kernel's coarsest dtype."""
        blocks = (*self.kernel.inputs.blocks, *self.kernel.outputs.blocks)
        return min((block.dtype.name for block in blocks), key=PRECISION.__getitem__)

    @cached_property
    def unit(self) -> float:
        """The unit roundoff of the kernel's dtype."""
        return float(2.0**-self.kernel.precision)

    @cached_property
    def native(self) -> Problem | None:
        """The implementation evaluated in the kernel's own dtypes; None where it does not run in them."""
        try:
            native = Problem.at(replace(self.kernel.call, function=self.reference.call.function), self.kernel.rewind)
        except Exception:
            return None
        self.reference.evaluations += 1
        ours, theirs = self.kernel.outputs.blocks, native.outputs.blocks
        return native if [(b.shape, b.dtype) for b in ours] == [(b.shape, b.dtype) for b in theirs] else None

    @cached_property
    def own_claim(self) -> Claim | None:
        """The framework's own derivative of the implementation in the kernel's dtypes; None where there is none."""
        return None if self.native is None else first_claim(self.native)

    @cached_property
    def neighbours(self) -> list[tuple[Problem, Problem]]:
        """Kernel and implementation at points nearby, from a few ulps away to 3 %; those where both can be had."""
        kernel, found = self.kernel, []
        for x in self._displaced():
            arrays = kernel.inputs.unpack(x)
            try:
                here = Problem.at(kernel.call.at(arrays), kernel.rewind)
                there = Problem.at(self.reference.call.at(arrays), kernel.rewind, self.reference.inputs)
            except Exception:
                continue  # beyond the edge of the domain
            kernel.evaluations += 1
            self.reference.evaluations += 1
            if here.y.shape == kernel.y.shape == there.y.shape:
                found.append((here, there))
        return found

    def _displaced(self) -> RealArray:
        x, rng = self.kernel.x, np.random.default_rng((self.seed, 9))
        bits = np.concatenate([np.full(b.size, PRECISION[b.dtype.name]) for b in self.kernel.inputs.blocks])
        ulp = np.where(x == 0, 0.0, np.spacing(np.abs(x)) * 2.0 ** (53 - bits))
        size = (NEIGHBOURS, len(x))
        steps = rng.choice(STEPS, size=size) * rng.choice([-1.0, 1.0], size=size) * ulp
        most = np.maximum(1.0, FARTHEST * np.abs(x) / np.maximum(5 * ulp, np.finfo(np.float64).tiny))
        return np.asarray(x + steps * most ** np.linspace(0.0, 1.0, NEIGHBOURS)[:, None])


def _bound(kernel: Problem, implementation: object) -> Callable[..., Any]:
    title = kernel.call.title
    if not callable(implementation):
        shape = getattr(implementation, "shape", None)
        what = type(implementation).__name__ + (f" of shape {tuple(shape)}" if shape is not None else "")
        raise TypeError(
            f"reference= must be a function: an implementation of {title} that takes the same inputs in float64; "
            f"given: {what}."
        )
    if not kernel.call.is_module:
        return implementation
    split = bind(implementation, kernel.backend, "reference=")
    if split is None:
        raise TypeError(
            f"{title} is a module, so reference= must be a module with the same parameters; given: "
            f"{type(implementation).__name__}."
        )
    parameters = split.values
    expected = {str(leaf.path[0]) for leaf in kernel.call.leaves if leaf.is_parameter}
    if set(parameters) != expected:
        raise ValueError(
            f"reference= must be a module with the parameters of {title}, {', '.join(sorted(expected))}; given: "
            f"{', '.join(sorted(parameters)) or 'none'}."
        )
    return split.function


def _require_same_kind(kernel: Problem, reference: Problem) -> None:
    ours, theirs = kernel.outputs.blocks, reference.outputs.blocks
    if [(b.shape, b.is_complex) for b in ours] != [(b.shape, b.is_complex) for b in theirs]:
        expected, given = (", ".join(f"{b.name} of shape {b.shape} ({b.dtype})" for b in x) for x in (ours, theirs))
        raise ValueError(f"reference= must return what {kernel.call.title} returns: {expected}; given: {given}.")
    low = [b for b in theirs if PRECISION[b.dtype.name] < 53]
    if low:
        raise ValueError(
            f"reference= must compute in float64, but for float64 inputs it returned {low[0].name} of dtype "
            f"{low[0].dtype}. It casts its inputs, or mixes them with constants of that dtype."
        )
