"""A quick look at a result: one product along a random vector.

It costs a fraction of a whole proof, so that it can be made at every call. What it finds is proven before it is said;
what is less than some units of roundoff of the largest terms, it leaves to the whole proof.
Where a compiler has frozen what the function reads, a compiled product has frozen it too: a plain one has not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xcheck.protocol import Engine, Native, RealArray, supports_jvp, supports_vjp
from xcheck.reference.grid import signed_probes
from xcheck.strategies.certificate import FLOOR, UNITS, by_differences
from xcheck.strategies.engines import Run, engines_of
from xcheck.strategies.primal import Primal
from xcheck.strategies.quantities import Quantity
from xcheck.strategies.strategy import Strategy

VECTORS = 3
"""Vectors that are taken in turns."""


@dataclass
class Probe:
    """Products along random vectors, prepared; one vector after the other.

    Attributes:
        mode: "vjp" or "jvp".
        looks: the vectors, (m,) or (n,), each with what makes the product.
        unit: the unit roundoff of the engine.
        made: how many products were made.
    """

    mode: str
    looks: list[tuple[RealArray, Run]]
    unit: float
    made: int = 0

    @staticmethod
    def of(primal: Primal, strategy: Strategy, seed: int, plain: bool = False) -> Probe | None:
        """Prepare products by the engine of a strategy, or one like it; None where there is none.

        Args:
            primal: the function.
            strategy: what is looked at.
            seed: draws the vectors.
            plain: whether the products are made by a loop that is not compiled, and so sees the function as it is.
        """
        engine = _plain(primal, strategy) if plain else strategy.engine or _like(primal, strategy)
        if engine is None:
            return None
        space = primal.outputs if engine.mode == "vjp" else primal.inputs
        looks = []
        for vector in signed_probes(np.random.default_rng((seed, 29)), VECTORS, space.size):
            seeds = primal.seed([array[None] for array in space.unpack(vector)], engine.mode)
            run = engine.prepare(primal.f, primal.xs, primal.held, seeds, lambda products, _: list(products))
            looks.append((vector, run))
        differs = engine.loops and not (supports_vjp(primal.backend) or supports_jvp(primal.backend))
        return Probe(engine.mode, looks, by_differences(primal.precision) if differs else 2.0**-primal.precision)

    def doubts(
        self, quantity: Quantity, result: Sequence[Native], xs: Sequence[Native], held: Sequence[Native]
    ) -> bool:
        """Tell whether a result at a point differs from a product there by more than rounding."""
        to_numpy = quantity.primal.backend.to_numpy
        vector, run = self.looks[self.made % len(self.looks)]
        self.made += 1
        with np.errstate(all="ignore"):
            parts = [np.asarray(to_numpy(part), np.float64).reshape(-1) for part in run(xs, held)]
            expected, (value, terms) = np.concatenate(parts), quantity.product(result, vector, self.mode)
            same = (value == expected) | (np.isnan(value) & np.isnan(expected))
            largest = np.max(terms, initial=0.0, where=np.isfinite(terms))
            bound = self.unit * np.maximum(UNITS * terms, FLOOR * largest)
            return not bool(np.all(same | (np.abs(value - expected) <= bound)))


def _plain(primal: Primal, strategy: Strategy) -> Engine | None:
    loops = [e for e in engines_of(primal.backend) if e.loops and not e.compiles]
    return next(iter(sorted(loops, key=lambda e: e.mode != strategy.mode)), None)


def _like(primal: Primal, strategy: Strategy) -> Engine | None:
    engines = [e for e in engines_of(primal.backend) if e.mode == strategy.mode]
    alike = [e for e in engines if e.compiles == strategy.compiles and not e.slow_to_compile]
    return next(iter([*alike, *(e for e in engines if e.loops)]), None)
