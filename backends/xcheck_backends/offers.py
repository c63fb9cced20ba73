"""What an adapter offers for Jacobians: ways to make many products, and the framework's own calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Run = Callable[[Sequence[Any], Sequence[Any]], Sequence[Any]]
"""Takes the inputs and what is held constant; returns flat native arrays."""


@dataclass(frozen=True)
class Engine:
    """A way to make many products at once, as `xcheck.protocol.Engine` describes it.

    Attributes:
        name: what tables call it.
        mode: "vjp" or "jvp".
        prepare: takes `(f, xs, held, seeds, finish)` and returns `run(xs, held)`.
        compiles: whether it compiles.
        slow_to_compile: whether that takes many seconds for a small function.
        loops: whether products are made one by one.
        pays_from: the number of products from which it is the fastest of those that do not compile.
    """

    name: str
    mode: str
    prepare: Callable[..., Run]
    compiles: bool = False
    slow_to_compile: bool = False
    loops: bool = False
    pays_from: int = 2


@dataclass(frozen=True)
class OwnCall:
    """A framework's own call for a whole derivative, as `xcheck.protocol.OwnCall` describes it.

    Attributes:
        name: what users write.
        mode: "vjp" or "jvp".
        prepare: takes `(f, xs, held)` and returns `run(xs, held)`.
        compiles: whether it compiles.
        slow_to_compile: whether that takes many seconds for a small function.
        default: whether it is what the framework's users call, given no advice.
        samples_alone: whether it relies on samples of a batch that do not mix.
    """

    name: str
    mode: str
    prepare: Callable[..., Run]
    compiles: bool = False
    slow_to_compile: bool = False
    default: bool = False
    samples_alone: bool = False
