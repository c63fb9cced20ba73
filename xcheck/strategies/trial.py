"""Choosing for repeated use: strategies are prepared, proven and timed against each other."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from math import inf
from time import perf_counter
from typing import Any

import numpy as np

from xcheck.protocol import Native, supports_waiting
from xcheck.raised import first_line
from xcheck.strategies.assumptions import AssumptionError
from xcheck.strategies.certificate import Plain, Violation
from xcheck.strategies.engines import Run
from xcheck.strategies.memory import show_bytes
from xcheck.strategies.once import LEAST_PRECISION, effort, prove, remember_order
from xcheck.strategies.plans import CHOSEN, INVALID, REFUSED, SLOWER, Candidate, show_seconds
from xcheck.strategies.quantities import Quantity
from xcheck.strategies.strategy import Strategy
from xcheck.timing import interleave

HOPELESS = 10.0
"""How many times the best time a loop has to be expected to take for it not to be tried."""

MANY = 100
"""How many times the products of a strategy that is valid another one may take and still be tried."""

WORTH = 2e4
"""Calls of the best strategy so far, the time of which may be spent on looking for a better one."""

FEW = 4
"""Strategies that are tried whatever they take."""

FASTEST_MEMORY = 2e10
"""Bytes a second that no strategy writes and reads faster."""

PATIENT = 1.0
"""Seconds of a first run up to which there is a second one: frameworks compile operator by operator."""

CLOSE = 3.0
"""Those within so many times the best single run are timed against each other."""

RACE = 0.3
"""Seconds of timing for each of those."""

SHARE = 0.5
"""The share of the budget that timing may take."""


@dataclass
class Trial:
    """What was tried.

    Attributes:
        candidates: all strategies, the chosen one first.
        runs: the prepared ones, by name.
        violation: an entry that showed that an assumption fails, if one does.
    """

    candidates: list[Candidate]
    runs: dict[str, Run] = field(default_factory=dict)
    violation: Violation | None = None

    @property
    def run(self) -> Run:
        """The chosen strategy, prepared."""
        return self.runs[self.candidates[0].strategy.name]


def try_out(
    quantity: Quantity, strategies: Sequence[Strategy], limit: int, compiled: bool | None, budget: float, seed: int
) -> Trial:
    """Prepare, prove and time strategies, those of the fewest products first.

    Args:
        quantity: what to compute.
        strategies: the candidates.
        limit: bytes that they may work in.
        compiled: whether to try compilers: all of them if True, those that are quick if None.
        budget: seconds from which on no other strategy is begun.
        seed: draws the vectors of the proofs.

    Raises:
        NotImplementedError: the framework has no rule for the function in any mode.
        AssumptionError: all strategies rely on something that is not so.
        RuntimeError: nothing worked; the message has every reason.
    """
    contest = _Contest(quantity, limit, compiled, budget, seed)
    for strategy in sorted(strategies, key=_order):
        contest.enter(strategy)
    return contest.finish()


def _order(strategy: Strategy) -> tuple[Any, ...]:
    """Try what compiles quickly first, where there is such a thing, then the fewest products, loops last."""
    return strategy.slow_to_compile, not strategy.compiles, *effort(strategy)


@contextmanager
def _unwarned(strategy: Strategy) -> Iterator[None]:
    """Keep back what the function warns of where it is given a batch of one, which is no user's doing."""
    if not (strategy.own and strategy.assumes):
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@dataclass
class _Contest:
    quantity: Quantity
    limit: int
    compiled: bool | None
    budget: float
    seed: int
    candidates: list[Candidate] = field(default_factory=list)
    runs: dict[str, Run] = field(default_factory=dict)
    failed: dict[tuple[str, bool], Violation] = field(default_factory=dict)
    """By what does not hold, and whether it was seen by an own call: that may treat a batch of one otherwise."""
    missing: NotImplementedError | None = None

    def __post_init__(self) -> None:
        self.started = perf_counter()
        self._seconds_of_one: dict[str, float] = {}

    def one(self, mode: str) -> float:
        """Return what a plain product of a mode takes, measured when it is first asked for; 0 if there is none."""
        if mode not in self._seconds_of_one:
            try:
                plain = Plain.of(self.quantity.primal, mode)
                ones = np.ones(self.quantity.primal.m if plain.mode == "vjp" else self.quantity.primal.n)
                plain.product(ones)
                start = perf_counter()
                plain.product(ones)
                self._seconds_of_one[mode] = perf_counter() - start if plain.mode == mode else 0.0
            except NotImplementedError:
                self._seconds_of_one[mode] = 0.0
        return self._seconds_of_one[mode]

    @property
    def best(self) -> float:
        return min((c.seconds for c in self.candidates), default=inf)

    def enter(self, strategy: Strategy) -> None:
        candidate = Candidate(strategy)
        self.candidates.append(candidate)
        candidate.reason = self._why_not(strategy)
        if candidate.reason:
            return
        try:
            self._run(candidate)
        except NotImplementedError as error:
            candidate.status, candidate.reason, self.missing = REFUSED, f"no rule ({first_line(error)})", error
        except Exception as error:
            candidate.status, candidate.reason = REFUSED, f"{type(error).__name__}: {first_line(error)}"

    def _why_not(self, strategy: Strategy) -> str:
        if strategy.compiles and self.compiled is False:
            return "compiled=False"
        if strategy.slow_to_compile and self.compiled is not True:
            return "takes seconds to compile; compiled=True tries it"
        if strategy.bytes_needed > self.limit:
            return f"needs about {show_bytes(strategy.bytes_needed)}, more than {show_bytes(self.limit)}"
        if strategy.assumes and self.quantity.primal.precision < LEAST_PRECISION:
            return f"cannot be proven in a precision of {self.quantity.primal.precision} bits: {strategy.assumes}"
        if {(strategy.assumes, False), (strategy.assumes, strategy.own)} & self.failed.keys():
            return f"relies on the same: {strategy.assumes}"
        if not strategy.compiles and self.best < inf:
            expected = (strategy.products if strategy.loops else 1) * self.one(strategy.mode) / 2  # conversions count
        else:
            expected = 0.0
        if expected > HOPELESS * self.best:
            one_by_one = " one by one" if strategy.loops and strategy.products > 1 else ""
            return f"{strategy.cost}{one_by_one} would take about {show_seconds(expected)}"
        fewest = min((c.strategy.products for c in self.candidates if c.status == SLOWER), default=strategy.products)
        if strategy.products > MANY * fewest and not strategy.default:
            return f"{strategy.cost}, where {fewest} products are enough"
        if strategy.bytes_needed / FASTEST_MEMORY > HOPELESS * self.best:
            return f"it works in {show_bytes(strategy.bytes_needed)}, too much to be as fast"
        spent = perf_counter() - self.started
        if len(self.runs) >= FEW and spent > WORTH * self.best and not strategy.slow_to_compile:
            return f"{show_seconds(self.best)} is found already, and {show_seconds(spent)} were spent"
        if self.runs and spent > self.budget:
            return f"the budget of {self.budget:g} s was spent"
        return ""

    def _run(self, candidate: Candidate) -> None:
        strategy, primal = candidate.strategy, self.quantity.primal
        start = perf_counter()
        run = strategy.prepare()
        with _unwarned(strategy):
            result = self._ready(run(primal.xs, primal.held))
        candidate.first_seconds = perf_counter() - start
        violation = prove(self.quantity, strategy, result, self.seed)
        if violation is not None:
            candidate.status, candidate.reason = INVALID, str(violation)
            if strategy.assumes and not violation.inside:
                self.failed[strategy.assumes, strategy.own] = violation
            return
        del result
        candidate.status, candidate.seconds = SLOWER, candidate.first_seconds
        if candidate.first_seconds < max(HOPELESS * self.best, PATIENT) or strategy.compiles:
            start = perf_counter()
            self._ready(run(primal.xs, primal.held))
            candidate.seconds = min(candidate.seconds, perf_counter() - start)
        self.runs[strategy.name] = run

    def _ready(self, result: Sequence[Native]) -> Sequence[Native]:
        backend = self.quantity.primal.backend
        if supports_waiting(backend):
            backend.wait(result)
        return result

    def finish(self) -> Trial:
        timed = [c for c in self.candidates if c.status == SLOWER]
        if not timed:
            self._raise()
        close = [c for c in timed if c.seconds <= CLOSE * self.best]
        if len(close) > 1:
            runs = {c.strategy.name: partial(self._once, self.runs[c.strategy.name]) for c in close}
            seconds = max(0.05, min(RACE * len(close), SHARE * self.budget))
            for name, timing in interleave(runs, seconds, self.seed).items():
                next(c for c in close if c.strategy.name == name).seconds = timing.median
        self.candidates.sort(key=lambda c: (c.status != SLOWER, c.seconds))
        self.candidates[0].status = CHOSEN
        remember_order(self.quantity, [c.strategy for c in self.candidates if c.status in (CHOSEN, SLOWER)])
        return Trial(self.candidates, self.runs, next(iter(self.failed.values()), None))

    def _once(self, run: Run) -> None:
        self._ready(run(self.quantity.primal.xs, self.quantity.primal.held))

    def _raise(self) -> None:
        reasons = "; ".join(f"{c.strategy.name}: {c.status}, {c.reason}" for c in self.candidates)
        if self.missing is not None and all(c.status == REFUSED for c in self.candidates if c.strategy.loops):
            raise self.missing
        if self.failed:
            (assumption, _), violation = next(iter(self.failed.items()))
            raise AssumptionError(self.quantity.primal.title, "", assumption, violation, "")
        raise RuntimeError(
            f"no strategy could compute the {self.quantity.name} of {self.quantity.primal.title}: {reasons or 'none'}"
        )
