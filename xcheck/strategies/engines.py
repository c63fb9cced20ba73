"""Engines that every backend has, made of its `vjp`, `jvp` and `batch`; an adapter's own come beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from xcheck.protocol import (
    Backend,
    Engine,
    Finish,
    FlatMap,
    Native,
    supports_batch,
    supports_engines,
    supports_jvp,
    supports_vjp,
)

Run = Callable[[Sequence[Native], Sequence[Native]], Sequence[Native]]
"""Takes the inputs and what is held constant; returns flat native arrays."""


@dataclass(frozen=True)
class DerivedEngine:
    """An engine that is made of the protocol's products; see `xcheck.protocol.Engine`."""

    name: str
    mode: str
    backend: Any
    loops: bool
    pays_from: int
    compiles: bool = False
    slow_to_compile: bool = False

    def prepare(
        self, f: FlatMap, xs: Sequence[Native], held: Sequence[Native], seeds: Sequence[Native], finish: Finish, /
    ) -> Run:
        """Return `run(xs, held)`; nothing is compiled by itself."""
        del xs, held
        products = self._looped if self.loops else self._batched
        one = _pulled if self.mode == "vjp" else _pushed

        def run(xs: Sequence[Native], held: Sequence[Native]) -> Sequence[Native]:
            def whole(xs: Sequence[Native]) -> Sequence[Native]:
                return finish(products(one(self.backend, lambda inputs: f(inputs, held), xs), seeds), seeds)

            found: Sequence[Native] = self.backend.value(whole, xs)  # under the framework's settings
            return found

        return run

    def _looped(self, product: Callable[..., list[Native]], seeds: Sequence[Native]) -> list[Native]:
        xp = self.backend.namespace()
        found = [product([s[k] for s in seeds]) for k in range(len(seeds[0]))]
        return [xp.stack(parts) for parts in zip(*found, strict=True)]

    def _batched(self, product: Callable[..., list[Native]], seeds: Sequence[Native]) -> list[Native]:
        return list(self.backend.batch(product)(seeds))


def engines_of(backend: Backend) -> list[Engine]:
    """Return the adapter's engines, and derived ones in the modes in which it offers no loop."""
    own = list(backend.engines()) if supports_engines(backend) else []
    looping = {engine.mode for engine in own if engine.loops}
    return [*own, *(engine for engine in _derived(backend) if engine.mode not in looping)]


def _derived(backend: Backend) -> list[Engine]:
    modes = [("vjp", supports_vjp(backend)), ("jvp", supports_jvp(backend))]
    found: list[Engine] = []
    for mode in [mode for mode, there in modes if there]:
        found.append(DerivedEngine(f"{mode} loop", mode, backend, loops=True, pays_from=1))
        if supports_batch(backend):
            pays_from = getattr(backend, "batch_from", 2)
            found.append(DerivedEngine(f"batched {mode}", mode, backend, loops=False, pays_from=pays_from))
    return found


def _pulled(backend: Any, f: Callable[..., Any], xs: Sequence[Native]) -> Callable[[Sequence[Native]], list[Native]]:
    _, pullback = backend.vjp(f, xs)
    xp = backend.namespace()

    def pull(cotangents: Sequence[Native]) -> list[Native]:
        return [xp.zeros_like(x) if g is None else g for x, g in zip(xs, pullback(cotangents), strict=True)]

    return pull


def _pushed(backend: Any, f: Callable[..., Any], xs: Sequence[Native]) -> Callable[[Sequence[Native]], list[Native]]:
    xp = backend.namespace()

    def push(tangents: Sequence[Native]) -> list[Native]:
        ys, found = backend.jvp(f, xs, tangents)
        return [xp.zeros_like(y) if t is None else t for y, t in zip(ys, found, strict=True)]

    return push
