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
from xcheck.checking.findings import Evidence, prepared
from xcheck.checks import Examined, examine_call
from xcheck.derivatives import Reverse
from xcheck.high_precision import OtherFunction
from xcheck.implementation import Implementation
from xcheck.problem import OutputChanged, Problem
from xcheck.protocol import RealArray, supports_jvp, supports_vjp
from xcheck.pytree import flatten, named_paths
from xcheck.raised import first_line
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
        misfit: how its values differ from those of the witness.
    """

    given: Implementation
    call: Call
    problem: Problem | None = None
    examined: Examined | None = None
    failure: str = ""
    misfit: str = ""

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
        """Why its derivative is wrong, where that was recognised; once for every kind and place."""
        found = self.examined.report.comparisons if self.examined else ()
        first = {(cause.kind, cause.where): cause for c in reversed(found) for cause in reversed(c.causes)}
        return tuple(str(cause) for cause in reversed(first.values()))

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
        """Check it by itself; what it raises is kept, so that the others are still compared.

        Of one whose derivative raises, values are compared; so are those of one that a witness does not fit, and it is
        checked without.
        """
        try:
            if self._has_derivative():
                self._examine(seed, witness, budget)
                return
        except Exception as error:
            self.failure = f"raised {type(error).__name__} in its derivative: {first_line(error)}"
        try:
            with prepared(self.call, seed, None, budget) as arena:
                self.problem = arena.problem
        except Exception as error:
            self.failure = f"raised {type(error).__name__}: {first_line(error)}"

    def _examine(self, seed: int, witness: Callable[..., Any] | None, budget: Budget) -> None:
        try:
            self.examined = examine_call(self.call, self._by_hand(seed), seed, witness, budget)
        except OtherFunction as error:
            self.misfit = first_line(error)
            self.examined = examine_call(self.call, self._by_hand(seed), seed, None, budget)
        self.problem = self.examined.problem

    def _has_derivative(self) -> bool:
        backend = self.given.backend
        return self.given.derivative is not None or supports_vjp(backend) or supports_jvp(backend)

    def _by_hand(self, seed: int) -> dict[str, Callable[..., Any]]:
        """Read a derivative by hand as a gradient or a Jacobian, by how many numbers the function returns."""
        if self.given.derivative is None:
            return {}
        with prepared(self.call, seed) as arena:
            return {"gradient" if arena.problem.m == 1 else "jacobian": self.given.derivative}

    @property
    def fixed_outputs(self) -> dict[str, NDArray[Any]]:
        """Its outputs without derivatives, integers and booleans, by name."""
        if self.problem is None:
            return {}
        leaves, _ = flatten(self.problem.native_value)
        names = [name for name, _ in named_paths(self.problem.native_value, "out")]
        rest = [k for k in range(len(leaves)) if k not in self.problem.output.varying]
        arrays = {names[k]: _as_array(self.problem, leaves[k]) for k in rest}
        return {name: array for name, array in arrays.items() if array is not None}

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
        try:
            with self.again(seed) as problem:
                return Reverse(problem).pull(cotangent(problem))
        except Exception:  # what the rule raises stands in its own report
            return None


def cotangent(problem: Problem) -> RealArray:
    """Return the cotangent that is pulled back through all implementations, shape (m,)."""
    return np.asarray(signed_probes(np.random.default_rng(17), 1, problem.m)[0])


def _as_array(problem: Problem, leaf: Any) -> NDArray[Any] | None:
    try:
        array = problem.as_array(leaf)
    except Exception:  # strings, None, objects
        return None
    return array if array.dtype.kind in "iub" else None
