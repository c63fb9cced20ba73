"""What a check found, recorded as a baseline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from xcheck.baseline import Baseline, Pulled, Recorded
from xcheck.comparison import Comparison
from xcheck.problem import Problem
from xcheck.protocol import RealArray
from xcheck.reference.grid import signed_probes
from xcheck.rounding import rounding_of
from xcheck.verdict import Verdict
from xcheck.versions import versions_behind

SUMMED = 8.0
"""Units of roundoff of the largest number by which products with a derivative may differ: they are sums."""


@dataclass(frozen=True)
class Pull:
    """A derivative that is not at hand entry by entry.

    Attributes:
        source: whose it is.
        precision: significand bits of its arithmetic.
        product: pulls a cotangent (m,) back to (n,), at the problem's point.
    """

    source: str
    precision: int
    product: Callable[[Problem, RealArray], RealArray]


def make_baseline(
    problem: Problem, derivatives: Sequence[Recorded], pull: Pull | None, comparisons: Sequence[Comparison]
) -> Baseline:
    """Collect what a baseline holds of a check.

    Costs four evaluations; without entries, three products with the derivative.

    Args:
        problem: the function at its point, random generators pinned.
        derivatives: those that were judged entry by entry.
        pull: what stands for them where there are none.
        comparisons: what the check found.
    """
    pulled = None
    if not derivatives and pull is not None:
        cotangent = signed_probes(np.random.default_rng(17), 1, problem.m)[0]
        pulled = pull_back(problem, pull, cotangent, comparisons)
    return Baseline(
        problem.call.title,
        problem.backend.name,
        versions_behind(problem.backend.name),
        problem.inputs,
        problem.outputs,
        problem.x,
        problem.y,
        value_spread(problem),
        tuple(derivatives),
        pulled,
        problem.random,
        Verdict.worst(c.verdict for c in comparisons),
        parameters=problem.call.parameters(),
    )


def value_spread(problem: Problem) -> RealArray:
    """Measure how far rounding, and a few ulps of the inputs, take the value, shape (m,).

    Costs four evaluations.
    """
    return rounding_of(problem, problem.y, lambda p: problem.values_quietly(p.x[None])[0], 4)


def pull_back(problem: Problem, pull: Pull, cotangent: RealArray, comparisons: Sequence[Comparison]) -> Pulled:
    """Pull a cotangent (m,) back, and measure what a few ulps of the inputs do to the result.

    Costs three products.
    """
    value = pull.product(problem, cotangent)
    largest = problem.inputs.largest(np.where(np.isfinite(value), np.abs(value), 0.0))
    allowed = rounding_of(problem, value, lambda p: pull.product(p, cotangent), 2)
    allowed += SUMMED * 2.0**-pull.precision * largest
    own = [c for c in comparisons if c.claim.source == pull.source]
    limits = [c.detection_limit for c in own if np.isfinite(c.detection_limit)]
    verdict, limit = Verdict.worst(c.verdict for c in own), max(limits, default=float("inf"))
    return Pulled(pull.source, pull.precision, cotangent, value, allowed, verdict, limit)
