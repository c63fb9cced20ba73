"""Who takes part: every strategy for a function at a point, the framework's own calls, and xcheck's own choice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from time import perf_counter
from typing import Any

import numpy as np

from xcheck.benchmarking.case import Case
from xcheck.benchmarking.contender import Contender, NotTried
from xcheck.benchmarking.row import AUTO, Outcome
from xcheck.benchmarking.verification import Verification
from xcheck.jacobians import jacobian_function
from xcheck.problem import Problem
from xcheck.protocol import Backend, FlatMap, Native, supports_waiting
from xcheck.pytree import flatten
from xcheck.randomness import pinned
from xcheck.strategies.certificate import Plain
from xcheck.strategies.computing import has_products, strategies_for, why_no_strategy
from xcheck.strategies.gradients import gradient_of
from xcheck.strategies.memory import memory_limit, show_bytes
from xcheck.strategies.plans import show_seconds
from xcheck.strategies.primal import Primal
from xcheck.strategies.quantities import Quantity, quantity_named
from xcheck.strategies.repeated import JacobianFunction
from xcheck.strategies.strategy import Strategy

COPIES = 4
"""Copies of a result, in float64, that verifying it takes."""

MANY = 256
"""Up to this many products a strategy is tried without a thought."""

BATCHED = 50
"""A batched product takes at least this part of one by itself."""


@dataclass
class Counted:
    """A function that counts its evaluations and traces.

    Attributes:
        f: the function.
        count: how many there were.
    """

    f: FlatMap
    count: int = 0

    def __call__(self, xs: Sequence[Native], held: Sequence[Native]) -> Sequence[Native]:
        """Count, and call."""
        self.count += 1
        return self.f(xs, held)


@dataclass
class Lineup:
    """What takes part at one point.

    Attributes:
        case: the function at the point.
        problem: the same, opened.
        name: of the quantity.
        compiled: whether strategies that compile take part: quick ones if None, all if True, none if False.
        seed: of what is drawn.
        longest: seconds that a run may take.
        limit: bytes that it may take.
        notes: what "xcheck auto" found out about the function.
    """

    case: Case
    problem: Problem
    name: str
    compiled: bool | None
    seed: int
    longest: float
    limit: int = field(default_factory=lambda: memory_limit(None))
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, case: Case, name: str, compiled: bool | None, seed: int, longest: float) -> Lineup:
        """Evaluate the function at the point, and look at what there is.

        Raises:
            NotImplementedError: no strategy takes the function.
            ValueError: there is no such quantity of it.
        """
        call = case.read()
        with pinned(call.backend, seed) as rewind, np.errstate(all="ignore"):
            problem = Problem.at(call, rewind)
            reason = why_no_strategy(problem, name)
            if reason:
                raise NotImplementedError(f"the {name} of {call.title} has no strategy: {reason}.")
            lineup = cls(case, problem, name, compiled, seed, longest)
            lineup.quantity.shapes()
            return lineup

    @cached_property
    def quantity(self) -> Quantity:
        """What is made."""
        return self._quantity(Primal.of(self.problem))

    @cached_property
    def verification(self) -> Verification:
        """What results are held against."""
        return Verification(self.case, self.quantity, self.seed)

    def contenders(self) -> list[Contender]:
        """Return all of them."""
        primal = Primal.of(self.problem)
        counted = Counted(primal.f)
        counting = strategies_for(self._quantity(replace(primal, f=counted)), self.limit)
        plain = strategies_for(self.quantity, self.limit)
        found = []
        for one, other in zip(counting, plain, strict=True):
            # a compiler that traces Python itself would take the count for a part of the program
            found.append(self._contender(other) if one.slow_to_compile else self._contender(one, counted))
        return [*found, self._auto()]

    def _quantity(self, primal: Primal) -> Quantity:
        return quantity_named(self.name, gradient_of(primal) if self.name == "hessian" else primal)

    def _contender(self, strategy: Strategy, counted: Counted | None = None) -> Contender:
        primal = self.quantity.primal

        def prepare() -> Callable[[], Any]:
            self._admit(strategy)
            return partial(_run, strategy.prepare(), primal.backend, primal.xs, primal.held)

        return Contender(
            strategy.name, self.case.label, primal.n, primal.m, prepare,
            partial(self.verification.verify, strategy),
            lambda: strategy.cost,
            None if counted is None else lambda: counted.count,
            strategy.name if strategy.own else "",
            self._is_naive(strategy), strategy.default,
        )  # fmt: skip

    def _is_naive(self, strategy: Strategy) -> bool:
        """Tell whether a strategy is the loop that people write by hand: of differences, where there is no other."""
        if has_products(self.quantity.primal.backend):
            return strategy.naive and not strategy.compiles
        return strategy.loops and not strategy.assumes

    def _auto(self) -> Contender:
        """Return what `jacobian_function` makes, called as users call it."""
        primal, case = self.quantity.primal, self.case
        args, kwargs = self.problem.call.given(self.problem.to_native(self.problem.x), self.problem.call.constants())
        made: list[JacobianFunction] = []

        def chosen() -> Strategy:
            return made[-1].plan.candidates[0].strategy

        def prepare() -> Callable[[], Any]:
            function = jacobian_function(
                case.function, *args, quantity=self.name, compiled=self.compiled, backend=case.backend, kwargs=kwargs,
                wrt=case.wrt, seed=self.seed, memory=self.limit,
            )  # fmt: skip
            made.append(function)
            self.notes += function.plan.notes
            return partial(_called, function, primal.backend, args, kwargs)

        more = "" if self.name == "jacobian" else f', quantity="{self.name}"'
        return Contender(
            AUTO, case.label, primal.n, primal.m, prepare,
            lambda result: self._verify_auto(chosen(), result),
            lambda: f"{chosen().name}, {chosen().cost}",
            call=f"xcheck.jacobian_function(f, x{more})",
        )  # fmt: skip

    def _verify_auto(self, strategy: Strategy, result: Any) -> tuple[Outcome, str]:
        return self.verification.verify(strategy, _arrays(result, self.quantity.primal.backend))

    def _admit(self, strategy: Strategy) -> None:
        """Raise if a strategy is not to be tried.

        Raises:
            NotTried: it compiles and is not to, or takes too much time.
            MemoryError: it takes too much memory.
        """
        if strategy.compiles and self.compiled is False:
            raise NotTried("it compiles, and compiled=False")
        if strategy.slow_to_compile and self.compiled is not True:
            raise NotTried("it takes many seconds to compile; compiled=True or --compiled tries it")
        needed = max(strategy.bytes_needed, COPIES * 8 * self.quantity.entries)
        if needed > self.limit:
            raise MemoryError(
                f"with verifying it takes about {show_bytes(needed)} ({needed} bytes), and half of what is "
                f"free is {show_bytes(self.limit)}"
            )
        if strategy.products > MANY:
            expected = strategy.products * self._one / (2 if strategy.loops else BATCHED)
            if expected > self.longest:
                raise NotTried(
                    f"{strategy.products} products would take about {show_seconds(expected)}, and "
                    f"{self.longest:g} s are allowed"
                )

    @cached_property
    def _one(self) -> float:
        """Seconds of one plain product."""
        plain = Plain.of(self.quantity.primal)
        ones = np.ones(self.quantity.primal.m if plain.mode == "vjp" else self.quantity.primal.n)
        plain.product(ones)
        start = perf_counter()
        plain.product(ones)
        return perf_counter() - start


def _run(run: Any, backend: Backend, xs: Sequence[Native], held: Sequence[Native]) -> Sequence[Native]:
    result: Sequence[Native] = run(xs, held)
    if supports_waiting(backend):
        backend.wait(result)
    return result


def _called(function: JacobianFunction, backend: Backend, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    result = function(*args, **kwargs)
    if supports_waiting(backend):
        backend.wait(_arrays(result, backend))
    return result


def _arrays(result: Any, backend: Any) -> list[Native]:
    return [result] if backend.owns(result) else [leaf for leaf in flatten(result)[0] if backend.owns(leaf)]
