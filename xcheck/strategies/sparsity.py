"""Sparse Jacobians: where their entries are, and the few products that have all of them.

A pattern is given by the user, read off the program where the framework shows it, or found by products. Whichever it
is, the values are proven against plain products before they are returned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from xcheck.protocol import Engine, Native, RealArray, supports_structure
from xcheck.reference.grid import signed_probes
from xcheck.strategies.certificate import Plain, engine_push
from xcheck.strategies.colouring import Mode, colour_jacobian
from xcheck.strategies.compression import Compression, as_pattern
from xcheck.strategies.engines import Run, engines_of
from xcheck.strategies.primal import Primal
from xcheck.strategies.quantities import Entries
from xcheck.strategies.recipes import PATTERN, Recipe, as_places, sparse_recipe
from xcheck.strategies.recovery import recover_pattern
from xcheck.strategies.strategy import Strategy, of_recipes

WORSE = 1.5
"""A colouring for the other mode is offered as well if it takes no more than so many times the products."""


@dataclass(frozen=True)
class Pattern:
    """Where the entries of a Jacobian may be.

    Attributes:
        matrix: boolean, (m, n), canonical.
        source: "given", "structural" or "found".
        said: where it comes from, for plans.
    """

    matrix: csr_array
    source: str
    said: str


def given_pattern(primal: Primal, pattern: object) -> Pattern:
    """Take over a user's pattern.

    Raises:
        TypeError: it is no array.
        ValueError: it has another shape than the Jacobian, or NaN in it.
    """
    matrix = as_pattern(pattern, (primal.m, primal.n))
    return Pattern(matrix, "given", f"pattern given, {matrix.nnz} entries")


def structural_pattern(primal: Primal) -> Pattern | None:
    """Read the pattern off the program; None where that cannot be done."""
    if not supports_structure(primal.backend):
        return None
    try:
        found = primal.backend.structure(primal.closed(), primal.xs)
    except Exception:  # what reads it knows not every operator
        return None
    if found is None:
        return None
    rows, columns = found
    entries = (np.ones(len(rows), np.bool_), (np.asarray(rows), np.asarray(columns)))
    matrix = csr_array(coo_array(entries, shape=(primal.m, primal.n)))
    matrix.sum_duplicates()
    return Pattern(matrix, "structural", f"pattern read off the program, {matrix.nnz} entries, valid at every point")


def found_pattern(points: Sequence[Primal], seed: int, limit: int | None = None) -> Pattern:
    """Find the pattern by products at every point, in float64 where the function allows it.

    Args:
        points: the function at the points.
        seed: of the vectors.
        limit: products at one point that are still worth it; half of the smaller side if None.

    Raises:
        RecoveryError: the Jacobian is too dense for that to pay.
    """
    wide = [_in_float64(point) for point in points]
    shape = (wide[0].m, wide[0].n)
    pushes, pulls = [_many(point, "jvp") for point in wide], [_many(point, "vjp") for point in wide]
    precision = 53 if wide[0].precision == 53 else 24
    options: dict[str, Any] = {"precision": precision, "seed": seed, "limit": limit}
    if all(pushes):
        helping = _all(pulls) if all(pulls) else ()
        found = recover_pattern(_all(pushes), shape, pulls=helping, **options)
        matrix = found.pattern
    else:
        found = recover_pattern(_all(pulls), shape[::-1], **options)
        matrix = csr_array(found.pattern.T)
    matrix.sum_duplicates()
    products = found.products + found.transposed
    return Pattern(matrix, "found", f"pattern found by {products} products, {matrix.nnz} entries")


def whole_pattern(points: Sequence[Primal]) -> Pattern:
    """Take every product of the smaller side, at every point, and see where entries are."""
    pattern: Any = None
    products = 0
    for point in map(_in_float64, points):
        mode = "vjp" if point.m <= point.n else "jvp"
        product = _many(point, mode)
        if product is None:
            mode = "jvp" if mode == "vjp" else "vjp"
            product = _many(point, mode)
        assert product is not None
        found = product(np.eye(point.m if mode == "vjp" else point.n))
        products += len(found)
        matrix = csr_array((found if mode == "vjp" else found.T) != 0)
        pattern = matrix if pattern is None else csr_array(pattern + matrix)
    return Pattern(pattern, "found", f"pattern found by all {products} products, {pattern.nnz} entries")


def entries_of(primal: Primal, pattern: Pattern) -> Entries:
    """Make the entries of a pattern something to compute: colours for the modes that pay."""
    return Entries(primal, pattern.matrix, _Recipes(primal, pattern.matrix).of)


def sparse_strategies(quantity: Entries, limit: int) -> list[Strategy]:
    """List the strategies for the entries of a pattern, those for dense rows or columns beside it included."""
    found = of_recipes(quantity, [r for mode in ("jvp", "vjp") for r in quantity.recipes(mode)], limit)
    mixed = _Recipes(quantity.primal, quantity.pattern).mixed
    return found if mixed is None else [*found, *_mixed_strategies(quantity, mixed)]


@dataclass(frozen=True)
class _Recipes:
    """Colourings of a pattern for both modes, with and without dense rows or columns apart."""

    primal: Primal
    pattern: csr_array

    @cached_property
    def modes(self) -> list[Mode]:
        known = {engine.mode for engine in engines_of(self.primal.backend)}
        modes: tuple[Mode, Mode] = ("jvp", "vjp")
        return [mode for mode in modes if mode in known]

    @cached_property
    def single(self) -> dict[Mode, Compression]:
        found = {mode: _coloured(self.pattern, (mode,), False) for mode in self.modes}
        least = min(c.colouring.products for c in found.values())
        return {mode: c for mode, c in found.items() if c.colouring.products <= WORSE * max(least, 1)}

    @cached_property
    def mixed(self) -> Compression | None:
        if len(self.modes) < 2:
            return None
        found = _coloured(self.pattern, self.modes, True)
        return found if len(found.colouring.apart) else None

    def of(self, mode: str) -> list[Recipe]:
        """Return the recipes of a mode."""
        return [
            sparse_recipe(self.primal, own, compression.seeds(own), compression.gather, "colours")
            for own, compression in self.single.items()
            if own == mode
        ]


def _coloured(pattern: csr_array, modes: Sequence[Mode], mixed: bool) -> Compression:
    return Compression(pattern, colour_jacobian(pattern, modes=modes, mixed=mixed))


def _mixed_strategies(quantity: Entries, compression: Compression) -> list[Strategy]:
    """Join engines of both modes: one has the groups, the other the rows or columns that are too dense."""
    engines = [e for e in engines_of(quantity.primal.backend) if not e.slow_to_compile]
    kinds = {
        "loops": {e.mode: e for e in engines if e.loops and not e.compiles},
        "compiled": {e.mode: e for e in reversed(engines) if e.compiles and not e.loops},
    }
    primal, count = quantity.primal, compression.colouring.products
    size, mode = 4 * count * (primal.n + primal.m) * primal.itemsize, compression.colouring.mode
    return [
        Strategy(
            f"colours and dense rows apart: {kind}", mode, count, partial(_mixed, primal, compression, pair), size,
            PATTERN, compiles=kind == "compiled", loops=kind == "loops", engine=pair[mode],
        )
        for kind, pair in kinds.items()
        if set(pair) == {"jvp", "vjp"}
    ]  # fmt: skip


def _mixed(primal: Primal, compression: Compression, engines: Mapping[str, Engine]) -> Run:
    xp: Any = primal.backend.namespace()  # type: ignore[attr-defined]
    places = primal.backend.from_numpy(as_places(compression.gather), like=primal.xs[0])
    runs = []
    modes: tuple[Mode, Mode] = ("jvp", "vjp")
    for mode in modes:
        space = primal.inputs if mode == "jvp" else primal.outputs
        seeds = compression.seeds(mode)
        arrays = [seeds[:, block.slice].reshape(len(seeds), *block.shape) for block in space.blocks]
        seed = primal.seed(arrays, mode)
        runs.append(engines[mode].prepare(primal.f, primal.xs, primal.held, seed, lambda found, _: found))

    def run(xs: Sequence[Native], held: Sequence[Native]) -> Sequence[Native]:
        parts = [[xp.reshape(p, (p.shape[0], -1)) for p in one(xs, held)] for one in runs]
        flat = [xp.reshape(p[0] if len(p) == 1 else xp.concat(p, axis=1), (-1,)) for p in parts]
        return [xp.take(xp.concat(flat, axis=0), places, axis=0)]

    return lambda xs, held: primal.backend.value(lambda inputs: run(inputs, held), xs)


def _in_float64(primal: Primal) -> Primal:
    if primal.precision == 53:
        return primal
    shadow = primal.problem.in_float64()
    same = shadow is not None and shadow.m == primal.m and shadow.n == primal.n
    if shadow is None or not same:
        return primal
    wide = Primal.of(shadow)
    return wide.at(wide.to_native(_point(primal)), wide.held)


def _point(primal: Primal) -> RealArray:
    return primal.inputs.pack([primal.backend.to_numpy(x) for x in primal.xs])


def _many(primal: Primal, mode: str) -> Callable[[RealArray], RealArray] | None:
    """Return products of many vectors, one by one; None if there is no rule for the mode."""
    try:
        plain = Plain.of(primal, mode)
    except NotImplementedError:
        return None
    if plain.mode != mode:
        return None
    if plain.unit > 2.0**-primal.precision:
        return _exact(primal, plain) or (lambda vectors: np.array([plain.product(v) for v in vectors]))
    return lambda vectors: np.array([plain.product(v) for v in vectors])


def _exact(primal: Primal, plain: Plain) -> Callable[[RealArray], RealArray] | None:
    """Return products by an engine that is more exact than differences, such as complex steps, if one agrees."""
    v = signed_probes(np.random.default_rng(0), 1, primal.n)
    for engine in engines_of(primal.backend):
        if engine.mode == "jvp" and not engine.loops and not engine.compiles:
            push = engine_push(primal, engine)
            try:
                found, expected = push(v[0]), plain.product(v[0])
            except Exception:
                continue
            if np.allclose(found, expected, rtol=1e-6, atol=1e-6 * np.max(np.abs(expected), initial=0.0)):
                return lambda vectors, push=push: np.array([push(v) for v in vectors])  # type: ignore[misc]
    return None


def _all(found: Sequence[Callable[[RealArray], RealArray] | None]) -> list[Callable[[RealArray], NDArray[Any]]]:
    return [product for product in found if product is not None]
