"""The gradient of a function as a function of its own: what Hessians are the Jacobian of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from xcheck.protocol import FlatMap, Native
from xcheck.space import Space
from xcheck.strategies.primal import Primal


@dataclass(frozen=True)
class GradientMap:
    """The pullback of 1 through a function with one real number as output, between flat native arrays."""

    scalar: FlatMap
    backend: Any
    one: Native

    def __call__(self, xs: Sequence[Native], held: Sequence[Native]) -> list[Native]:
        """Return one array like every input."""
        xp = self.backend.namespace()
        found = self.backend.pull(lambda inputs: self.scalar(inputs, held), xs, [self.one])
        return [xp.zeros_like(x) if g is None else g for x, g in zip(xs, found, strict=True)]


def gradient_of(primal: Primal) -> Primal:
    """Return the gradient of a function at the same point.

    Raises:
        ValueError: the function has not one real number as output.
        NotImplementedError: the backend's reverse mode cannot be differentiated.
    """
    if primal.m != 1:
        shapes = ", ".join(f"{b.name} of shape {b.shape}" for b in primal.outputs.blocks)
        raise ValueError(
            f"hessian needs a function with one real number as output, but {primal.title} returned {shapes}."
        )
    if not callable(getattr(primal.backend, "pull", None)):
        raise NotImplementedError(
            f"{primal.backend.name} has no reverse mode that can be differentiated; xcheck.jacobian of a gradient "
            "written by hand is its Hessian."
        )
    output = primal.outputs.blocks[0]
    one = primal.backend.from_numpy(np.ones(output.shape, output.dtype), like=primal.xs[0])
    blocks = tuple(replace(b, name=f"(d {output.name} / d {b.name})") for b in primal.inputs.blocks)
    space = Space(blocks)
    return replace(primal, f=GradientMap(primal.f, primal.backend, one), outputs=space)
