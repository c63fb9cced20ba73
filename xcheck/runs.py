"""One implementation in a cross-check, and what comes of checking it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xcheck.budget import Budget
from xcheck.call import Call
from xcheck.checks import Evidence, Examined, examine_call, prepared
from xcheck.derivatives import Reverse
from xcheck.implementation import Implementation
from xcheck.problem import OutputChanged, Problem
from xcheck.protocol import RealArray, supports_jvp, supports_vjp
from xcheck.randomness import pinned
from xcheck.reference.grid import signed_probes
from xcheck.rounding import value_rounding


@dataclass
class Run:
    """One implementation, and what came of it.

    Attributes:
        given: the implementation.
        call: its function with its inputs.
        problem: the function at the point; None if it raised.
        examined: what its own check found; None without a derivative, or if it raised.
        failure: what it raised.
    """

    given: Implementation
    call: Call
    problem: Problem | None = None
    examined: Examined | None = None
    failure: str = ""

    @property
    def label(self) -> str:
        """What the report calls it."""
        return self.given.label

    @cached_property
    def evidence(self) -> Evidence | None:
        """The derivative that stands for it: reverse mode, or what was given by hand."""
        found = self.examined.evidence if self.examined else ()
        return found[0] if found else None

    @property
    def causes(self) -> tuple[str, ...]:
        """Why its derivative is wrong, where that was recognised."""
        found = self.examined.report.comparisons if self.examined else ()
        return tuple(dict.fromkeys(str(cause) for c in found for cause in c.causes))

    @property
    def evaluations(self) -> int:
        """How often its function was evaluated."""
        if self.examined is not None:
            return self.examined.report.evaluations
        return self.problem.evaluations if self.problem is not None else 0

    @property
    def outputs(self) -> list[NDArray[Any]]:
        """Its values, one array per output."""
        return [] if self.problem is None else self.problem.outputs.unpack(self.problem.y)

    def check(self, seed: int, witness: Callable[..., Any] | None, budget: Budget) -> None:
        """Check it by itself; what it raises is kept, so that the others are still compared."""
        try:
            if self._has_derivative():
                self.examined = examine_call(self.call, self._by_hand(seed), seed, witness, budget)
                self.problem = self.examined.problem
            else:
                with prepared(self.call, seed, None, budget) as arena:
                    self.problem = arena.problem
        except Exception as error:
            self.failure = f"raised {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"

    def _has_derivative(self) -> bool:
        backend = self.given.backend
        return self.given.derivative is not None or supports_vjp(backend) or supports_jvp(backend)

    def _by_hand(self, seed: int) -> dict[str, Callable[..., Any]]:
        """Read a derivative by hand as a gradient or a Jacobian, by how many numbers the function returns."""
        if self.given.derivative is None:
            return {}
        with prepared(self.call, seed) as arena:
            return {"gradient" if arena.problem.m == 1 else "jacobian": self.given.derivative}

    @contextmanager
    def again(self, seed: int) -> Iterator[Problem]:
        """Pin the generators again, which the check has given back, for evaluations after it."""
        assert self.problem is not None
        with pinned(self.call.backend, seed) as rewind, np.errstate(all="ignore"):
            yield replace(self.problem, rewind=rewind)

    def rounding(self, seed: int) -> RealArray:
        """Measure how far rounding takes its values, shape (m,); zero for one that returns something else nearby."""
        with self.again(seed) as problem:
            try:
                return value_rounding(problem)
            except OutputChanged:
                return np.zeros(problem.m)

    def pulled(self, seed: int) -> RealArray | None:
        """Pull one cotangent back through its reverse rule, shape (n,); None if it has none, or the rule raises."""
        if self.problem is None or self.given.derivative is not None or not supports_vjp(self.given.backend):
            return None
        cotangent = signed_probes(np.random.default_rng(17), 1, self.problem.m)[0]
        try:
            with self.again(seed) as problem:
                return Reverse(problem).pull(cotangent)
        except Exception:  # what the rule raises stands in its own report
            return None
