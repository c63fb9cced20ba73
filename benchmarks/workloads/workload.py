"""What is measured: a function at a size, its derivative worked out by hand, and ways to make it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

EXACT = 1e-9
"""What derivatives by rules, or by complex steps, may be off, of the largest entry."""

MEASURED = 1e-4
"""What derivatives by differences of values may be off."""


@dataclass(frozen=True)
class Function:
    """A function in one framework, at its point.

    Attributes:
        make: returns a new function object, of one array of the framework.
        point: where, in NumPy.
        truth: returns the derivative, worked out by hand, in NumPy: (m, n) for "jacobian", (B, m, n) for "batch", (n,)
            for "diagonal", a `scipy.sparse` array for "sparse".
        colours: for every input its colour, where there is a pattern: inputs of one colour share no output.
    """

    make: Callable[[], Callable[[Any], Any]]
    point: NDArray[np.float64]
    truth: Callable[[], Any]
    colours: NDArray[np.intp] | None = None


@dataclass(frozen=True)
class Workload:
    """A function at several sizes.

    Attributes:
        letter: "a" to "h".
        title: what it is.
        quantity: what is made of it.
        sizes: small ones first.
        of: returns the function of a framework at a size.
        by: what the sizes count, for tables.
    """

    letter: str
    title: str
    quantity: str
    sizes: tuple[Any, ...]
    of: Callable[[Any, Any], Function] = field(repr=False)
    by: str = "n"


@dataclass
class Way:
    """One way to make a derivative.

    Attributes:
        name: what tables call it.
        role: "auto", "native", "strategy", "default", "naive", "yardstick" or "peer".
        prepare: returns `run()`, which returns the result and waits for it.
        numbers: brings a result into the shape of the truth.
        tolerance: what it may be off, of the largest entry.
        rounds: how many rounds of the naive loop it takes; 0 if nobody can tell.
        products: how many gradients, mapped or compiled.
        values: how many values of the function.
        room: bytes that a run works in, as far as anybody can tell before.
    """

    name: str
    role: str
    prepare: Callable[[], Callable[[], Any]] = field(repr=False)
    numbers: Callable[[Any], Any] = field(repr=False)
    tolerance: float = EXACT
    rounds: int = 0
    products: int = 0
    values: int = 0
    room: float = 0.0


def relative_error(found: Any, truth: Any) -> float:
    """Return the largest difference of two arrays, dense or sparse, over the truth's largest entry; inf if unlike."""
    if found.shape != truth.shape:
        return float("inf")
    gap, scale = abs(found - truth), abs(truth)
    largest = float(gap.max())
    return largest / float(scale.max()) if np.isfinite(largest) else float("inf")
