"""A pullback that is used in other ways than usual, and held against its plain use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xcheck.comparison import Comparison
from xcheck.consistency import FARTHER, neighbours
from xcheck.derivatives import LEAST, Reverse, unit_cotangent
from xcheck.problem import Problem
from xcheck.protocol import Native, RealArray
from xcheck.raised import first_line
from xcheck.reference.grid import signed_probes
from xcheck.rules import disagreement
from xcheck.space import Space

SAME = {53: 2.0**-18, 24: 2.0**-10, 11: 2.0**-5, 8: 2.0**-3}
"""By which share of the largest number of its array a product may differ from the same one made in another way, by
significand bits: other orders of a sum, other kernels, and float32 somewhere inside of a float64 function."""

SCATTER = 16.0
"""Times what points some ulps away do to a product that its rounding may take it off."""

MOVED = 1.125
"""How much larger the other data are."""

Use = Callable[[Problem], tuple[RealArray, RealArray]]
"""Makes a product of a problem in a way that is tried out, and plainly."""


class Subject:
    """The reverse rule of a problem at its point, as it is with a fresh graph and contiguous cotangents.

    Attributes:
        problem: the function.
        source: whose rule it is.
        reverse: a graph.
        weights: cotangents of random signs, shape (2, m).
        plain: what the graph pulls them back to, shape (2, n).
        forward: whether there is a forward rule as well.
    """

    def __init__(self, problem: Problem, forward: bool = True) -> None:
        """Run the function in reverse mode, and pull two cotangents back.

        Raises:
            NotImplementedError: there is no reverse rule.
        """
        self.problem = problem
        self.forward = forward
        self.source = f"{problem.backend.name}/vjp"
        self.reverse = Reverse(problem)
        self.weights = signed_probes(np.random.default_rng(17), 2, problem.m) * unit_cotangent(problem)
        self.plain = np.array([self.reverse.pull(w) for w in self.weights])

    def graph(self, problem: Problem) -> Reverse:
        """Return a graph of the problem, or of the same one at a neighbouring point."""
        return self.reverse if problem is self.problem else Reverse(problem)

    def pulled(self, problem: Problem, k: int = 0) -> RealArray:
        """Pull the k-th cotangent back plainly; that of the point itself is known."""
        if problem is self.problem:
            return np.asarray(self.plain[k])
        if k == 1 and self.elsewhere is not None and problem is self.elsewhere[0].problem:
            return self.elsewhere[1]
        return Reverse(problem).pull(self.weights[k])

    @cached_property
    def elsewhere(self) -> tuple[Reverse, RealArray] | None:
        """A graph at other data, for which the function and its rule run, and its second pullback; None if none run.

        The entries of every array go one place on and grow by an eighth, or just grow where that is no point of the
        domain.
        """
        rolled = np.concatenate(
            [np.roll(self.problem.x[b.slice], 1 + b.is_complex) for b in self.problem.inputs.blocks]
        )
        for x in (MOVED * rolled, MOVED * self.problem.x):
            try:
                graph = Reverse(replace(self.problem, x=x))
                gradient = graph.pull(self.weights[1])
            except Exception:  # outside of the domain, or of another shape there
                continue
            finite = np.all(np.isfinite(graph.outputs)) and np.all(np.isfinite(gradient))
            if finite and not np.array_equal(x, self.problem.x):
                graph.problem.y = graph.outputs
                return graph, gradient
        return None

    @property
    def other(self) -> Problem | None:
        """The problem at those data."""
        return None if self.elsewhere is None else self.elsewhere[0].problem

    @property
    def repeatable(self) -> bool:
        """Whether using the function twice in one evaluation means using the same function."""
        return not self.problem.random and not self.problem.mutated

    def compare(
        self,
        use: Use,
        reason: str,
        how: str,
        against: str = "itself, plainly",
        quantity: str = "pullback",
        copies: Sequence[Space] = (),
        at: Problem | None = None,
    ) -> Comparison | None:
        """Hold a product that is made in another way against the plain one; None if they are the same.

        Where they differ, points some ulps away tell how much of that is rounding: a few evaluations more.

        Args:
            use: makes both, shape (k,).
            reason: what it means if they differ.
            how: the way that is tried out, as it follows the name of a place.
            against: what the plain way is called.
            quantity: what is compared.
            copies: what the places of the product are, laid end to end; the inputs if left out.
            at: the problem at the point where it is made; that of the rule if left out.
        """
        spaces, problem = copies or (self.problem.inputs,), at or self.problem
        found, expected = use(problem)
        bars = self._bars(expected, spaces, quantity)
        wrong = _differ(found, expected, bars)
        if not np.any(wrong):
            return None
        others = [use(p)[1] for far in (0.0, FARTHER) for p in neighbours(problem, far)]
        spread = np.ptp([expected, *others], axis=0)
        bars = bars + SCATTER * np.where(np.isfinite(spread), spread, np.inf)
        wrong &= _differ(found, expected, bars)
        if not np.any(wrong):
            return None

        def name(i: int) -> str:
            starts = np.cumsum([0, *(space.size for space in spaces)])
            which = int(np.searchsorted(starts, i, side="right")) - 1
            return f"{spaces[which].entry(i - int(starts[which]))} {how}"

        return disagreement((self.source, against), quantity, wrong, found, expected, bars, reason, name)

    def refused(self, error: Exception, reason: str, how: str) -> Comparison:
        """Make a finding of an exception: what the rule should have given, and that it gave nothing."""
        sizes = np.where(np.isfinite(self.plain[0]), np.abs(self.plain[0]), 0.0)
        worst = int(np.argmax(sizes)) if sizes.size else 0
        expected = self.plain[0][worst : worst + 1]
        told = f"{reason}: it raises {type(error).__name__} ({first_line(error)})"
        place, none = self.problem.inputs.entry(worst), np.full(expected.size, np.nan)
        wrong, bars = np.ones(expected.size, bool), np.zeros(expected.size)
        sources = (self.source, "itself, plainly")
        return disagreement(sources, "pullback", wrong, none, expected, bars, told, lambda _: f"{place} {how}")

    def _bars(self, expected: RealArray, spaces: Sequence[Space], quantity: str) -> RealArray:
        problem, bars, start = self.problem, np.empty(expected.size), 0
        share, least = SAME[problem.precision], LEAST[problem.precision] * 2.0**problem.precision
        for space in spaces:
            for block in space.blocks:
                part = slice(start, start + block.size)
                largest = _largest(expected[part])
                if quantity == "pullback":
                    largest = max(largest, _largest(self.plain[:, block.slice]))
                bars[part], start = share * largest + least, part.stop
        return bars


def gather(problem: Problem, gradients: Sequence[Native | None]) -> RealArray:
    """Lay gradients of all inputs end to end; those of unconnected ones are 0.

    Raises:
        ValueError: one is of another shape than its input.
    """
    result = np.zeros(problem.n)
    for block, gradient in zip(problem.inputs.blocks, gradients, strict=True):
        if gradient is None:
            continue
        array: NDArray[Any] = np.asarray(problem.backend.to_numpy(gradient))
        if array.shape != block.shape:
            raise ValueError(f"a gradient of shape {array.shape} for {block.name}, whose shape is {block.shape}")
        result[block.slice] = block.pack(array)
    return result


def _differ(found: RealArray, expected: RealArray, bars: RealArray) -> NDArray[np.bool_]:
    """Tell where a product is another one, or none, where the plain one is finite."""
    return np.isfinite(expected) & ~(np.abs(found - expected) <= bars)


def _largest(values: RealArray) -> float:
    return float(np.max(np.abs(values), initial=0.0, where=np.isfinite(values)))
