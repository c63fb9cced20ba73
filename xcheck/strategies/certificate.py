"""A computed derivative, held against plain products before it is trusted.

For a random vector w of signs, `w^T A` of what was computed and the framework's own pullback `w^T J` are the same to
rounding exactly when A is the Jacobian: whatever lies outside of an assumed pattern, whatever couples samples, and
whatever a mapped rule did otherwise shows in the difference. The entries of w are `±(1 + i/64)`, so that two entries
cancel with probability 1/128 at most, in each of the probes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from xcheck.protocol import Engine, Native, RealArray, supports_engines
from xcheck.reference.grid import signed_probes
from xcheck.strategies.engines import engines_of
from xcheck.strategies.primal import Primal
from xcheck.strategies.quantities import Quantity

UNITS = 256.0
"""Units of roundoff, next to the terms of a product, by which two computations of it may differ."""

MEASURED = 16.0
"""How many times the measured rounding of plain products they may differ by, where that is more."""

SAMPLES = 8
"""Products that show the rounding of one that seems to differ."""

FLOOR = 16.0
"""Units of roundoff of the largest terms by which any place may differ: a function that saturates, such as tanh, has
slopes that are rounded like its values. What is excused by this alone must not come from beside what is assumed."""

ROWS = 8
"""Rows of a result that leaves entries out which are held against plain products."""

ISOLATIONS = 8
"""Products that tell so: one that comes from beside is overlooked by each with probability 1/2 at most."""

ISOLATED = 256
"""How many places are looked at so, those of the largest share of their own terms first."""

LOST = 3
"""Differences of values are exact to half of the significand bits and so many more: extrapolation wins those."""

Linear = Callable[[RealArray], RealArray]

Places = NDArray[np.intp]


@dataclass(frozen=True)
class Violation:
    """An entry that is not what a computed derivative says.

    Attributes:
        entry: its name.
        claimed: what the result has there, or has it for.
        found: what plain products say.
        inside: whether it is one that the result has, so that it is computed wrongly, whatever was assumed.
    """

    entry: str
    claimed: float
    found: float
    inside: bool = False

    def __str__(self) -> str:
        """Say it in half a sentence."""
        return f"{self.entry} is {self.found:.6g} and not {self.claimed:.6g}"


@dataclass(frozen=True)
class Plain:
    """The plain products of a function at its point.

    Attributes:
        mode: "vjp" or "jvp".
        product: the linear map.
        unit: the unit roundoff.
    """

    mode: str
    product: Linear
    unit: float

    @staticmethod
    def of(primal: Primal, mode: str = "vjp") -> Plain:
        """Take products of one mode, or of the other where there is no rule for that.

        Both modes round in different places: results are held against products of the mode that made them.
        """
        makers = {"vjp": _pullback_of, "jvp": _pushforward_of}
        missing: NotImplementedError | None = None
        for tried in (mode, _opposite(mode)):
            try:
                return makers[tried](primal)
            except NotImplementedError as error:
                missing = error
        if supports_engines(primal.backend):
            return Plain("jvp", _looped_push(primal), by_differences(primal.precision))
        raise missing or NotImplementedError(f"{primal.backend.name} has no derivatives")


def by_differences(precision: int) -> float:
    """Return what takes the place of the unit roundoff where products are differences of values."""
    return float(2.0 ** -(precision / 2 + LOST))


def _pullback_of(primal: Primal) -> Plain:
    pull = primal.pullback()
    pull(np.zeros(primal.m))
    return Plain("vjp", pull, 2.0**-primal.precision)


def _pushforward_of(primal: Primal) -> Plain:
    primal.push(np.zeros(primal.n))
    return Plain("jvp", primal.push, 2.0**-primal.precision)


def _looped_push(primal: Primal) -> Linear:
    """Return products by the first engine that makes them one by one."""
    return engine_push(primal, next(e for e in engines_of(primal.backend) if e.mode == "jvp" and e.loops))


def engine_push(primal: Primal, engine: Engine) -> Linear:
    """Return `v -> J v` by an engine, one at a time."""

    def push(v: RealArray) -> RealArray:
        seeds = primal.seed([array[None] for array in primal.inputs.unpack(v)], "jvp")
        products = engine.prepare(primal.f, primal.xs, primal.held, seeds, lambda products, _: products)
        parts = [primal.backend.to_numpy(part) for part in products(primal.xs, primal.held)]
        return np.concatenate([np.asarray(part, np.float64).reshape(-1) for part in parts])

    return push


def find_violation(
    primal: Primal,
    quantity: Quantity,
    result: Sequence[Native],
    seed: int = 0,
    probes: int = 2,
    mode: str = "vjp",
) -> Violation | None:
    """Hold a result against plain products; None if they are the same.

    Costs one evaluation and `probes` products; a violation costs about log2(m) more, to find the entry.

    Args:
        primal: the function at the point.
        quantity: what the result is of it.
        result: what was computed.
        seed: draws the vectors.
        probes: how many.
        mode: of the products that it was made of.
    """
    plain = Plain.of(primal, mode)
    size = primal.m if plain.mode == "vjp" else primal.n
    for vector in signed_probes(np.random.default_rng((seed, 17)), probes, size):
        wrong = _wrong_places(quantity, result, plain, vector)
        if len(wrong):
            return _locate(quantity, result, plain, vector, int(wrong[0]))
    return None


def find_wrong_row(
    primal: Primal, quantity: Quantity, result: Sequence[Native], seed: int = 0, rows: int = ROWS, mode: str = "vjp"
) -> Violation | None:
    """Hold some rows (vjp) or columns (jvp) of a result, in the places that it has, against plain products.

    For a result that leaves entries out, so that it is not the matrix to multiply with. Costs `rows` products.
    """
    plain = Plain.of(primal, mode)
    size = primal.m if plain.mode == "vjp" else primal.n
    for i in np.random.default_rng((seed, 18)).integers(0, size, rows):
        one = _unit(size, int(i))
        places = quantity.related(int(i), plain.mode)
        expected, (value, terms) = plain.product(one), quantity.product(result, one, plain.mode)
        largest = np.max(np.abs(expected[places]), initial=0.0)
        bound = UNITS * plain.unit * np.maximum(terms, largest)
        wrong = _apart(value, expected, bound, places)
        if len(wrong):
            bound = np.maximum(bound, MEASURED * _rounding(plain, one, expected))
            wrong = _apart(value, expected, bound, places)
        if len(wrong):
            return _violation(quantity, result, plain, int(i), int(wrong[0]))
    return None


def _apart(value: RealArray, expected: RealArray, bound: RealArray, places: Places) -> Places:
    """Return those of the places in which two products differ by more than the bound."""
    with np.errstate(invalid="ignore"):
        same = (np.abs(value - expected) <= bound) | (value == expected) | (np.isnan(value) & np.isnan(expected))
    wrong: Places = places[~same[places]]
    return wrong


def _wrong_places(quantity: Quantity, result: Sequence[Native], plain: Plain, vector: RealArray) -> Places:
    """Return the places of the product that differ, the one that differs most first."""
    with np.errstate(all="ignore"):
        expected, (value, terms) = plain.product(vector), quantity.product(result, vector, plain.mode)
        apart = np.abs(value - expected)
        same = (value == expected) | (np.isnan(value) & np.isnan(expected))
        bound = UNITS * plain.unit * terms
        if np.all(same | (apart <= bound)):
            return np.zeros(0, np.intp)
        bound = np.maximum(bound, MEASURED * _rounding(plain, vector, expected))
        floor = FLOOR * plain.unit * np.max(terms, initial=0.0, where=np.isfinite(terms))
        excess = np.where(same | (apart <= np.maximum(bound, floor)), 0.0, np.where(np.isfinite(apart), apart, np.inf))
        if quantity.assumes and not np.any(excess):
            share = np.where(same | (apart <= bound), 0.0, apart / np.maximum(bound, np.finfo(float).tiny))
            excused = np.argsort(-share, kind="stable")[: min(ISOLATED, np.count_nonzero(share))]
            return _from_beside(quantity, plain, vector, bound, excused)
    order = np.argsort(-excess, kind="stable")
    return order[excess[order] > 0]


def _from_beside(quantity: Quantity, plain: Plain, vector: RealArray, bound: RealArray, places: Places) -> Places:
    """Return those of the places that get something from entries of the vector that they should not depend on.

    Each product leaves out what a random half of the places may depend on, and should be zero at those.
    """
    found = np.zeros(len(bound))
    rng = np.random.default_rng(len(places))
    for _ in range(ISOLATIONS if len(places) else 0):
        half = rng.permutation(places)[: (len(places) + 1) // 2]
        alone = vector.copy()
        for place in half:
            alone[quantity.related(int(place), _opposite(plain.mode))] = 0.0
        found[half] = np.fmax(found[half], np.abs(plain.product(alone)[half]))
    wrong: Places = places[found[places] > bound[places]]
    return wrong[np.argsort(-found[wrong], kind="stable")]


def _rounding(plain: Plain, vector: RealArray, expected: RealArray) -> RealArray:
    """Measure how far the plain product is from linear: what its own rounding does."""
    found = np.zeros(len(expected))
    for factor in np.random.default_rng(0).uniform(1.0, 2.0, SAMPLES):
        found = np.fmax(found, np.abs(plain.product(factor * vector) / factor - expected))
    return found


def _locate(quantity: Quantity, result: Sequence[Native], plain: Plain, vector: RealArray, place: int) -> Violation:
    """Find an entry that differs; where something is assumed of others, one of those."""
    other = _halved(quantity, result, plain, vector, place, np.arange(len(vector)))
    if not quantity.assumes:
        return _violation(quantity, result, plain, other, place)
    across = plain.product(_unit(len(vector), other))  # the row (vjp) or column (jvp) of the entry that was found
    outside = np.ones(len(across), bool)
    outside[quantity.related(other, plain.mode)] = False
    if np.any(across[outside] != 0):
        beside = int(np.flatnonzero(outside)[np.argmax(np.abs(across[outside]))])
        return _violation(quantity, result, plain, other, beside)
    suspects = np.setdiff1d(np.arange(len(vector)), quantity.related(place, _opposite(plain.mode)))
    if len(suspects):
        suspect = _halved(quantity, result, plain, vector, place, suspects)
        shown = _violation(quantity, result, plain, suspect, place)
        if shown.found != shown.claimed:
            return shown
    return replace(_violation(quantity, result, plain, other, place), inside=True)


def _halved(
    quantity: Quantity, result: Sequence[Native], plain: Plain, vector: RealArray, place: int, suspects: Places
) -> int:
    """Halve the vector until one of its entries makes the difference at `place` of the product."""

    def difference(w: RealArray) -> float:
        found = float(plain.product(w)[place] - quantity.product(result, w, plain.mode).value[place])
        return abs(found) if np.isfinite(found) else np.inf

    while len(suspects) > 1:
        halves = suspects[: len(suspects) // 2], suspects[len(suspects) // 2 :]
        sizes = [difference(_only(vector, half)) for half in halves]
        suspects = halves[0] if sizes[0] >= sizes[1] else halves[1]
    return int(suspects[0])


def _violation(quantity: Quantity, result: Sequence[Native], plain: Plain, other: int, place: int) -> Violation:
    one = _unit(quantity.primal.m if plain.mode == "vjp" else quantity.primal.n, other)
    claimed = float(quantity.product(result, one, plain.mode).value[place])
    i, j = (other, place) if plain.mode == "vjp" else (place, other)
    return Violation(quantity.entry(i, j), claimed, float(plain.product(one)[place]))


def _opposite(mode: str) -> str:
    return "jvp" if mode == "vjp" else "vjp"


def _unit(size: int, place: int) -> RealArray:
    return _only(np.ones(size), np.array([place]))


def _only(vector: RealArray, places: Places) -> RealArray:
    kept = np.zeros(len(vector))
    kept[places] = vector[places]
    return kept
