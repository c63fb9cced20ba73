"""Strategies: the recipes of a quantity with every engine, and the framework's own calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from xcheck.protocol import Engine, Native, OwnCall, supports_own_calls
from xcheck.strategies.engines import Run, engines_of
from xcheck.strategies.primal import Primal
from xcheck.strategies.quantities import Quantity
from xcheck.strategies.recipes import SAMPLES, Recipe

WORKING = 4
"""Copies of inputs and outputs that a product takes while it is made: a guess for functions of a few operators."""

OWN_COPIES = 2
"""Copies of a whole Jacobian that a framework's own call makes."""


@dataclass(frozen=True)
class Strategy:
    """One way to compute a quantity.

    Attributes:
        name: what users write in `strategy=`.
        mode: "vjp" or "jvp".
        products: how many of those it takes.
        prepare: returns `run(xs, held)`, which returns the flat result.
        bytes_needed: about how much memory it works in, the result included.
        assumes: what it relies on; empty if on nothing.
        compiles: whether it compiles.
        slow_to_compile: whether that takes many seconds.
        loops: whether it makes products one by one, so that nothing but its assumption has to be proven.
        own: whether it is a call of the framework's own.
        default: whether it is what the framework's users call, given no advice.
        naive: whether it is the loop that the others are compared with.
        pays_from: the number of products from which its engine is the fastest of those that do not compile.
        engine: what makes its products; None for a call of the framework's own.
    """

    name: str
    mode: str
    products: int
    prepare: Callable[[], Run] = field(repr=False)
    bytes_needed: int
    assumes: str = ""
    compiles: bool = False
    slow_to_compile: bool = False
    loops: bool = False
    own: bool = False
    default: bool = False
    naive: bool = False
    pays_from: int = 1
    engine: Engine | None = field(default=None, repr=False)

    @property
    def cost(self) -> str:
        """Its products in words, such as "4 vjp"."""
        return f"{self.products} {self.mode}"


def gather(quantity: Quantity, limit: int, single: bool = False) -> list[Strategy]:
    """List all strategies for a quantity, in no order of merit.

    Args:
        quantity: what to compute.
        limit: bytes that a strategy may work in; eager ones keep to it by chunks.
        single: whether to leave out what is no use for a single result: compilers, and the framework's own calls.
    """
    backend = quantity.primal.backend
    engines = [engine for engine in engines_of(backend) if not (single and engine.compiles)]
    modes = {engine.mode for engine in engines}
    recipes = [r for mode in ("vjp", "jvp") if mode in modes for r in quantity.recipes(mode)]
    found = of_recipes(quantity, recipes, limit, engines)
    if supports_own_calls(backend) and not single:
        found += [_own(quantity.primal, quantity, own) for own in backend.own_calls(quantity.name)]
    return found


def of_nothing(quantity: Quantity) -> Strategy:
    """Return the strategy for a quantity without entries: that of an empty array."""
    primal = quantity.primal

    def prepare() -> Run:
        blocks = [np.zeros(shape, primal.inputs.blocks[0].dtype) for shape in quantity.shapes()]
        return lambda xs, _: [primal.backend.from_numpy(block, like=xs[0]) for block in blocks]

    return Strategy("no entries", "vjp", 0, prepare, 0, loops=True)


def of_recipes(
    quantity: Quantity, recipes: Sequence[Recipe], limit: int, engines: Sequence[Engine] | None = None
) -> list[Strategy]:
    """Join every recipe with every engine of its mode."""
    primal = quantity.primal
    engines = engines_of(primal.backend) if engines is None else engines
    return [_strategy(primal, quantity, r, e, limit) for r in recipes for e in engines if e.mode == r.mode]


def _strategy(primal: Primal, quantity: Quantity, recipe: Recipe, engine: Engine, limit: int) -> Strategy:
    one = WORKING * (primal.n + primal.m) * primal.itemsize
    result = quantity.entries * primal.itemsize
    chunk = recipe.count if engine.compiles else max(1, min(recipe.count, (limit - result) // max(1, 2 * one)))
    return Strategy(
        f"{recipe.name}: {engine.name}" if recipe.name else engine.name,
        recipe.mode,
        recipe.count,
        lambda: _prepared(primal, recipe, engine, chunk),
        (1 if engine.loops else chunk) * one + result,
        recipe.assumes,
        engine.compiles,
        engine.slow_to_compile,
        engine.loops,
        naive=engine.loops
        and not engine.compiles
        and recipe.mode == "vjp"
        and recipe.count == primal.m
        and not recipe.assumes,
        pays_from=engine.pays_from,
        engine=engine,
    )


def _prepared(primal: Primal, recipe: Recipe, engine: Engine, chunk: int) -> Run:
    if chunk >= recipe.count:
        seeds = primal.seed(recipe.seeds(0, recipe.count), recipe.mode)
        return engine.prepare(primal.f, primal.xs, primal.held, seeds, recipe.whole)
    xp: Any = primal.backend.namespace()  # type: ignore[attr-defined]

    def part(start: int, xs: Sequence[Native], held: Sequence[Native]) -> Sequence[Native]:
        seeds = primal.seed(recipe.seeds(start, min(start + chunk, recipe.count)), recipe.mode)
        return engine.prepare(primal.f, xs, held, seeds, recipe.reduce)(xs, held)

    def joined(parts: Sequence[Sequence[Native]]) -> Sequence[Native]:
        return recipe.finish([xp.concat(pieces, axis=0) for pieces in zip(*parts, strict=True)])

    def run(xs: Sequence[Native], held: Sequence[Native]) -> Sequence[Native]:
        parts = [part(start, xs, held) for start in range(0, recipe.count, chunk)]
        return primal.backend.value(lambda _: joined(parts), xs)  # under the framework's settings

    return run


def _own(primal: Primal, quantity: Quantity, own: OwnCall) -> Strategy:
    alone = own.samples_alone
    f = getattr(primal.f, "scalar", primal.f)  # own calls differentiate the function itself twice
    products = primal.m if own.mode == "vjp" else primal.n
    if alone:
        products = sum(block.size for block in (primal.outputs if own.mode == "vjp" else primal.inputs).blocks)
        products //= max(1, primal.inputs.blocks[0].shape[0])
    whole = (1 if alone else OWN_COPIES) * (quantity.entries if alone else primal.m * primal.n) * primal.itemsize
    return Strategy(
        own.name,
        own.mode,
        products,
        lambda: own.prepare(f, primal.xs, primal.held),
        whole + WORKING * (primal.n + primal.m) * primal.itemsize * (products if not alone else 1),
        SAMPLES if alone else "",
        own.compiles,
        own.slow_to_compile,
        own=True,
        default=own.default,
    )
