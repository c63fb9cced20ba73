"""All columns of a batch's Jacobians from one pullback: the batch is repeated once for every output of a sample.

One evaluation of K times the batch takes the place of K pullbacks; it relies on samples that do not mix, and on a
function that takes batches of any length.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xcheck.protocol import Engine, Native
from xcheck.strategies.engines import Run, engines_of
from xcheck.strategies.primal import Primal
from xcheck.strategies.quantities import Batch
from xcheck.strategies.recipes import SAMPLES, batch_recipe
from xcheck.strategies.strategy import WORKING, Strategy

MOST = 256
"""Outputs of a sample up to which repeating the batch is tried."""


def replicated_strategies(quantity: Batch, single: bool) -> list[Strategy]:
    """List the strategies that repeat the batch; none for a single output, or for very many.

    Args:
        quantity: the Jacobians of a batch.
        single: whether to leave out compilers.
    """
    primal = quantity.primal
    columns = sum(prod(block.shape[1:]) for block in primal.outputs.blocks)
    if not 1 < columns <= MOST:
        return []
    engines = [e for e in engines_of(primal.backend) if e.mode == "vjp" and not (single and e.compiles)]
    size = (columns + 1) * WORKING * (primal.n + primal.m) * primal.itemsize
    return [
        Strategy(
            f"repeated batch: {engine.name}", "vjp", columns, partial(_prepared, primal, engine, columns),
            size, SAMPLES, engine.compiles, engine.slow_to_compile, pays_from=engine.pays_from, engine=engine,
        )
        for engine in engines
        if engine.loops
    ]  # fmt: skip


def _prepared(primal: Primal, engine: Engine, columns: int) -> Run:
    xp: Any = primal.backend.namespace()  # type: ignore[attr-defined]
    recipe, ins = batch_recipe(primal, "vjp"), primal.inputs.blocks

    def repeated(xs: Sequence[Native]) -> list[Native]:
        return [xp.concat([x] * columns, axis=0) for x in xs]

    def finish(products: Sequence[Native], seeds: Sequence[Native]) -> list[Native]:
        del seeds
        pairs = zip(products, ins, strict=True)
        return recipe.finish([xp.reshape(p, (columns, x.shape[0], *x.shape[1:])) for p, x in pairs])

    seeds = primal.seed([_laid_out(array) for array in recipe.seeds(0, columns)], "vjp")
    large = primal.backend.value(repeated, primal.xs)
    run = engine.prepare(primal.f, large, primal.held, seeds, finish)
    return lambda xs, held: run(primal.backend.value(repeated, xs), held)


def _laid_out(seeds: NDArray[Any]) -> NDArray[Any]:
    """Turn a seed for every column, (K, B, ...), into one for the repeated batch, (1, K * B, ...)."""
    return np.reshape(seeds, (1, seeds.shape[0] * seeds.shape[1], *seeds.shape[2:]))
