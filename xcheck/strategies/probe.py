"""A quick look at a result: one product by the engine that made it, along one random vector.

It costs a fraction of a whole proof, so that it can be made at every call. What it finds is proven before it is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xcheck.protocol import Engine, Native, RealArray
from xcheck.reference.grid import signed_probes
from xcheck.strategies.certificate import UNITS
from xcheck.strategies.engines import Run, engines_of
from xcheck.strategies.primal import Primal
from xcheck.strategies.quantities import Quantity
from xcheck.strategies.strategy import Strategy


@dataclass(frozen=True)
class Probe:
    """One product along one random vector, prepared.

    Attributes:
        mode: "vjp" or "jvp".
        vector: (m,) or (n,).
        run: makes the product.
        unit: the unit roundoff of the engine.
    """

    mode: str
    vector: RealArray
    run: Run
    unit: float

    @staticmethod
    def of(primal: Primal, strategy: Strategy, seed: int) -> Probe | None:
        """Prepare the product by the engine of a strategy, or one like it; None where there is none."""
        engine = strategy.engine or _like(primal, strategy)
        if engine is None:
            return None
        space = primal.outputs if strategy.mode == "vjp" else primal.inputs
        vector = signed_probes(np.random.default_rng((seed, 29)), 1, space.size)[0]
        seeds = primal.seed([array[None] for array in space.unpack(vector)], strategy.mode)
        run = engine.prepare(primal.f, primal.xs, primal.held, seeds, lambda products, _: list(products))
        return Probe(strategy.mode, vector, run, 2.0**-primal.precision)

    def doubts(
        self, quantity: Quantity, result: Sequence[Native], xs: Sequence[Native], held: Sequence[Native]
    ) -> bool:
        """Tell whether a result at a point differs from the product there by more than rounding."""
        to_numpy = quantity.primal.backend.to_numpy
        with np.errstate(all="ignore"):
            parts = [np.asarray(to_numpy(part), np.float64).reshape(-1) for part in self.run(xs, held)]
            expected, (value, terms) = np.concatenate(parts), quantity.product(result, self.vector, self.mode)
            same = (value == expected) | (np.isnan(value) & np.isnan(expected))
            return not bool(np.all(same | (np.abs(value - expected) <= UNITS * self.unit * terms)))


def _like(primal: Primal, strategy: Strategy) -> Engine | None:
    engines = [e for e in engines_of(primal.backend) if e.mode == strategy.mode]
    alike = [e for e in engines if e.compiles == strategy.compiles and not e.slow_to_compile]
    return next(iter([*alike, *(e for e in engines if e.loops)]), None)
