"""Products that are measured, for frameworks without derivatives: what results are held against there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from xcheck.measurement import finite_difference
from xcheck.protocol import Finish, FlatMap, Native, RealArray
from xcheck.strategies.certificate import UNITS, by_differences
from xcheck.strategies.engines import Run


@dataclass(frozen=True)
class Measuring:
    """A backend whose one engine measures products by finite differences with error bars.

    Attributes:
        backend: the backend, which has no derivatives.
        seed: chooses the steps.
    """

    backend: Any
    seed: int = 0

    def __getattr__(self, name: str) -> Any:
        """Take all else from the backend."""
        return getattr(self.backend, name)

    def engines(self) -> list[MeasuringEngine]:
        """Return the engine."""
        return [MeasuringEngine(self.backend, self.seed)]


@dataclass(frozen=True)
class MeasuringEngine:
    """An engine as `xcheck.protocol.Engine` describes it: of `t -> f(x + t v)`, the slope at t = 0."""

    backend: Any
    seed: int
    name: str = "measured"
    mode: str = "jvp"
    compiles: bool = False
    slow_to_compile: bool = False
    loops: bool = True
    pays_from: int = 1

    def prepare(
        self, f: FlatMap, xs: Sequence[Native], held: Sequence[Native], seeds: Sequence[Native], finish: Finish, /
    ) -> Run:
        """Return `run(xs, held)`."""
        del xs, held

        def run(xs: Sequence[Native], held: Sequence[Native]) -> Sequence[Native]:
            count = len(seeds[0])
            found = [self._product(f, xs, held, [self.backend.to_numpy(s[k]) for s in seeds]) for k in range(count)]
            xp = self.backend.namespace()
            return finish([xp.stack(parts) for parts in zip(*found, strict=True)], seeds)

        return run

    def _product(
        self, f: FlatMap, xs: Sequence[Native], held: Sequence[Native], tangents: Sequence[RealArray]
    ) -> list[Native]:
        """Measure one product, in float64.

        Raises:
            ValueError: it cannot be measured, or not well enough to hold anything against it.
        """
        points = [np.asarray(self.backend.to_numpy(x)) for x in xs]
        step = _step(points, tangents)
        values = [self.backend.to_numpy(y) for y in f(xs, held)]

        def along(t: Any) -> RealArray:
            moved = [
                self.backend.from_numpy(p + float(t) * step * np.asarray(v, np.float64), like=x)
                for p, v, x in zip(points, tangents, xs, strict=True)
            ]
            return _joined([self.backend.to_numpy(y) for y in f(moved, held)])

        found = finite_difference(along, 0.0, backend="numpy", precise=True, seed=self.seed)
        value, bar = (np.reshape(part, -1) for part in found)
        largest, noise = _largest(value), 2.0**-53 * _largest(_joined(values))
        if not np.all(bar <= UNITS * max(by_differences(53) / 2 * largest, noise)):
            raise ValueError("slopes could not be measured well enough to hold a result against them")
        ends = np.cumsum([y.size for y in values])
        parts = np.split(value / step, ends[:-1])
        return [self.backend.from_numpy(p.reshape(y.shape), like=xs[0]) for p, y in zip(parts, values, strict=True)]


def _step(points: Sequence[RealArray], tangents: Sequence[RealArray]) -> float:
    """Return by how much of the tangent the point moves as far as it is large."""
    tangent = float(np.max(np.abs(_joined(tangents)), initial=0.0))
    return _size(points) / tangent if tangent else 1.0


def _size(points: Sequence[RealArray]) -> float:
    sizes = np.abs(_joined(points))
    known = sizes[np.isfinite(sizes) & (sizes > 0)]
    return float(np.median(known)) if len(known) else 1.0


def _largest(array: RealArray) -> float:
    return float(np.max(np.abs(array), initial=0.0, where=np.isfinite(array)))


def _joined(arrays: Sequence[RealArray]) -> RealArray:
    return np.concatenate([np.asarray(array, np.float64).reshape(-1) for array in arrays])
