"""A derivative that is computed over and over: chosen, proven and compiled once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xcheck.protocol import Native, supports_choices
from xcheck.pytree import Structure
from xcheck.strategies.assumptions import AssumptionError
from xcheck.strategies.certificate import Violation
from xcheck.strategies.engines import Run
from xcheck.strategies.once import prove
from xcheck.strategies.plans import Plan
from xcheck.strategies.primal import Primal
from xcheck.strategies.probe import Probe
from xcheck.strategies.quantities import Quantity
from xcheck.strategies.strategy import Strategy

FLAT = "(flat pieces)"
"""What `choices` adds to functions of which nothing but a piece of slope zero may hide something."""

SCATTERED = 3
"""Points around the given one at which an assumption is proven as well."""

REDRAWN = 2
"""Times that what is held constant is given other values, to see whether an assumption rests on them."""

RECHECKS = ("doubling", "always", "never")


@dataclass(frozen=True)
class Options:
    """What was asked for, as `xcheck.jacobian_function` describes it.

    Raises:
        ValueError: one of them is none of those that are accepted.
    """

    quantity: str
    strategy: str
    compiled: bool | None
    recheck: str
    budget: float
    memory: float | None
    seed: int
    pattern: object = None
    form: str = "scipy"

    def __post_init__(self) -> None:
        """Look at them."""
        if self.recheck not in RECHECKS:
            raise ValueError(f"recheck={self.recheck!r}. Accepted: {', '.join(map(repr, RECHECKS))}.")
        if self.compiled not in (None, True, False):
            raise ValueError(f"compiled={self.compiled!r}. Accepted: None, True, False.")
        if not self.budget > 0:
            raise ValueError(f"budget is a positive number of seconds; given: {self.budget!r}.")


@dataclass
class Prepared:
    """A strategy, prepared for arrays of certain shapes.

    Attributes:
        quantity: what it computes, at the point where it was prepared.
        strategy: how.
        run: the prepared strategy.
        plan: why.
        recheck: when it is proven again: at the calls 2, 4, 8, ... ("doubling"), at every one, or never.
        structure: of the inputs.
        varying: which of the leaves vary.
        held: which of them are arrays that are held constant.
        statics: the other constants, with their places.
        calls: how often it was run, the first time at the point where it was prepared.
        seed: draws the vectors of proofs.
        plain: whether quick looks are made by products that are not compiled.
        looked: whether it is known if there is a probe.
        probe: a quick look.
        shapes: the shapes and dtypes of the arrays, with their places.
    """

    quantity: Quantity
    strategy: Strategy
    run: Run
    plan: Plan
    recheck: str
    structure: Structure
    varying: tuple[int, ...]
    held: tuple[int, ...]
    statics: tuple[tuple[int, Any], ...]
    calls: int = 1
    seed: int = 0
    plain: bool = False
    looked: bool = False
    probe: Probe | None = None
    shapes: tuple[tuple[int, Any, Any, Any], ...] = field(default=())

    def __post_init__(self) -> None:
        """Note what the arrays look like."""
        natives = [
            *zip(self.varying, self.quantity.primal.xs, strict=True),
            *zip(self.held, self.quantity.primal.held, strict=True),
        ]
        self.shapes = tuple((place, array.shape, array.dtype, _device(array)) for place, array in natives)
        self.kind = type(self.quantity.primal.xs[0])
        primal = self.quantity.primal
        self.bare = (
            len(self.varying) == 1 and not self.held and not self.statics and str(self.structure) == "((*,), {})"
        )
        self.single = (
            len(primal.inputs.blocks) == 1
            and str(primal.problem.output.structure) == "*"
            and self.quantity.name != "sparse"
        )

    def is_like(self, x: Any) -> bool:
        """Tell whether an array is like the one input that it was prepared for."""
        _, shape, dtype, device = self.shapes[0]
        return type(x) is self.kind and x.shape == shape and x.dtype == dtype and _device(x) == device

    def fits(self, leaves: Sequence[Any]) -> bool:
        """Tell whether leaves are arrays of the shapes and dtypes that it was prepared for, and the same constants."""
        return self.fits_arrays(leaves) and all(_same(leaves[place], value) for place, value in self.statics)

    def fits_arrays(self, leaves: Sequence[Any]) -> bool:
        """Tell so of the arrays alone, whatever the constants that are none."""
        owns = self.quantity.primal.backend.owns
        for place, shape, dtype, device in self.shapes:
            leaf = leaves[place]
            if not owns(leaf) or leaf.shape != shape or leaf.dtype != dtype or _device(leaf) != device:
                return False
        return True

    def with_numbers(self, leaves: Sequence[Any]) -> Sequence[Any]:
        """Turn plain numbers where arrays vary into arrays, as they were turned when it was prepared."""
        backend = self.quantity.primal.backend
        plain = [i for i in self.varying if isinstance(leaves[i], (float, np.floating)) and not backend.owns(leaves[i])]
        if not plain:
            return leaves
        given = list(leaves)
        for i in plain:
            given[i] = backend.from_numpy(np.asarray(given[i]))
        return given

    def compute(self, xs: Sequence[Native], held: Sequence[Native]) -> Sequence[Native]:
        """Run it, and prove it again where that is due.

        Raises:
            AssumptionError: it is valid no more.
        """
        result = self.run(xs, held)
        self.calls += 1
        if self.due and (self.whole or self.doubts(xs, held, result)):
            violation = self.violation(xs, held, result)
            if violation is not None:
                self.recheck, self.plain, self.looked = "always", True, False  # from now on, nothing is believed
                raise AssumptionError(
                    self.quantity.primal.title,
                    self.strategy.name,
                    self.strategy.assumes,
                    violation,
                    _advice(self.calls, self.recheck),
                )
        return result

    @property
    def whole(self) -> bool:
        """Whether this call is one at which all of the proof is made, and not a quick look first."""
        return self.calls & (self.calls - 1) == 0

    def doubts(self, xs: Sequence[Native], held: Sequence[Native], result: Sequence[Native]) -> bool:
        """Take a quick look at a result; whether it has to be proven."""
        if not self.looked:
            self.probe = Probe.of(self.quantity.primal, self.strategy, self.seed, plain=self.plain)
            self.looked = True
        return self.probe is None or self.probe.doubts(self.quantity, result, xs, held)

    @property
    def due(self) -> bool:
        """Whether this call is one at which the result is proven."""
        if self.recheck == "doubling":
            return self.whole and bool(self.strategy.assumes or self.strategy.compiles)
        return self.recheck == "always"

    def violation(self, xs: Sequence[Native], held: Sequence[Native], result: Sequence[Native]) -> Violation | None:
        """Hold a result at another point against plain products."""
        return prove(at(self.quantity, xs, held), self.strategy, result, self.seed + self.calls)


def at(quantity: Quantity, xs: Sequence[Native], held: Sequence[Native]) -> Quantity:
    """Return the same quantity at another point of the same shapes."""
    return replace(quantity, primal=quantity.primal.at(xs, held))


def choices_of(quantity: Quantity) -> tuple[str, ...]:
    """Name what in the function lets values decide which inputs an output depends on; "opaque" if nobody can tell."""
    backend = quantity.primal.backend
    if not supports_choices(backend):
        return (f"opaque: {backend.name} has no program to look through",)
    try:
        return tuple(backend.choices(quantity.primal.closed(), quantity.primal.xs))
    except Exception as error:
        return (f"opaque: {type(error).__name__}",)


def scattered_violation(quantity: Quantity, strategy: Strategy, run: Run, seed: int) -> Violation | None:
    """Prove an assumption at points around the given one too, where other pieces of the function are active.

    Points at which the function raises, or is not finite, say nothing.
    """
    primal = quantity.primal
    for point in scattered(primal, SCATTERED, seed):
        try:
            result = run(point.xs, primal.held)
            violation = prove(replace(quantity, primal=point), strategy, result, seed)
        except Exception:
            continue
        if violation is not None and np.isfinite(violation.found):
            return violation
    return None


def scattered(primal: Primal, count: int, seed: int) -> list[Primal]:
    """Return points around the given one, where signs and sizes of the inputs are others."""
    rng = np.random.default_rng((seed, 19))
    point = primal.inputs.pack([primal.backend.to_numpy(x) for x in primal.xs])
    typical, points = primal.inputs.typical(point), []
    for _ in range(count):
        moved = point * rng.choice([-1.0, 0.5, 1.0, 2.0], len(point)) + typical * rng.uniform(-0.5, 0.5, len(point))
        points.append(primal.at(primal.to_native(moved), primal.held))
    return points


def held_violation(quantity: Quantity, strategy: Strategy, run: Run, seed: int) -> Violation | None:
    """Prove an assumption with other values of what is held constant: a mask, an index, weights.

    Values at which the function raises, or is not finite, say nothing.
    """
    primal = quantity.primal
    rng = np.random.default_rng((seed, 20))
    for _ in range(REDRAWN if primal.held else 0):
        try:
            held = [primal.backend.from_numpy(_redrawn(primal.backend.to_numpy(h), rng), like=h) for h in primal.held]
            violation = prove(at(quantity, primal.xs, held), strategy, run(primal.xs, held), seed)
        except Exception:
            continue
        if violation is not None and np.isfinite(violation.found):
            return violation
    return None


def _redrawn(array: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """Return other values of the kind that an array has: integers of its own, so that indices stay in range."""
    if array.dtype.kind == "b":
        return np.asarray(rng.integers(0, 2, array.shape) == 1)
    if array.dtype.kind not in "fcV" or not array.size:
        return np.asarray(rng.choice(array.reshape(-1), array.shape)) if array.size else array
    sizes = np.abs(array.astype(np.float64))
    typical = float(np.median(sizes[sizes > 0])) if np.any(sizes > 0) else 1.0
    moved = array * rng.choice([0.5, 1.0, 2.0], array.shape) + typical * rng.uniform(-0.5, 0.5, array.shape)
    return np.asarray(moved).astype(array.dtype)


def _device(array: Any) -> Any:
    return getattr(array, "device", None)


def _same(value: Any, other: Any) -> bool:
    if value is other:
        return True
    if type(value) is not type(other):
        return False
    if isinstance(value, np.ndarray):
        return np.array_equal(value, other)
    return bool(value == other)


def _advice(calls: int, recheck: str) -> str:
    since = f" Results since call {calls // 2} may be wrong as well." if recheck == "doubling" else ""
    return f"It was valid when it was prepared.{since} strategy='auto' with recheck='always' takes what is valid."
