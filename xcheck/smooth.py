"""Away from a point that has no derivative: the same check at points nearby, until one of them has a derivative."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from xcheck.call import Call
from xcheck.problem import Problem
from xcheck.protocol import RealArray
from xcheck.report import Report
from xcheck.verdict import Verdict

TRIES = 6
"""Points that are tried, each of them twice as far away as the one before."""

NEAREST = 2.0**-10
"""How far the first one is, in scales of every input; at least eight units of roundoff of the input's dtype."""

Examine = Callable[[Call], tuple[Report, Problem]]


def at_smooth_point(call: Call, examine: Examine, seed: int) -> Report:
    """Check at the point; if the function has no derivative there, at points nearby until it has one.

    Every input that varies is moved by about the same share of its scale, in random directions at first and then all
    upwards and all downwards, which leads away from the edge of a domain. A claim that is wrong at the point, outside
    the slopes of a kink, is reported as that.

    Args:
        call: the function and the point.
        examine: checks at a point; returns the report and the problem.
        seed: chooses the points.
    """
    first, problem = examine(call)
    if first.verdict is Verdict.DISAGREE or not _lacks_derivative(first):
        return first
    rng = np.random.default_rng((seed, 10))
    evaluations, seconds, farthest = first.evaluations, first.seconds, 0.0
    for k in range(TRIES):
        farthest = max(NEAREST, 2.0 ** (3 - problem.precision)) * 2.0**k
        arrays = problem.inputs.unpack(_displaced(problem, farthest, k, rng))
        try:
            report, there = examine(call.at(arrays))
        except Exception:
            continue  # outside the function's domain
        evaluations, seconds = evaluations + report.evaluations, seconds + report.seconds
        if not _lacks_derivative(report):
            note = f"the point was moved, {_how_far(problem, there, farthest)}, because of {_why(first)}"
            return replace(report, notes=(note, *report.notes), evaluations=evaluations, seconds=seconds)
    note = f"no smooth point was found in {TRIES} tries, up to {farthest:.2g} of every input's scale away"
    return replace(first, notes=(*first.notes, note), evaluations=evaluations, seconds=seconds)


def _lacks_derivative(report: Report) -> bool:
    return any(comparison.without_derivative for comparison in report.comparisons)


def _displaced(problem: Problem, share: float, k: int, rng: np.random.Generator) -> RealArray:
    signs = (rng.choice([-1.0, 1.0], size=problem.n), 1.0, -1.0)[k % 3]
    return np.asarray(problem.x + signs * share * rng.uniform(0.5, 1.0, problem.n) * problem.scale)


def _how_far(problem: Problem, there: Problem, share: float) -> str:
    change = np.abs(there.x - problem.x)
    j = int(np.argmax(change))
    moved = f"{problem.inputs.entry(j)} from {problem.x[j]:.6g} to {there.x[j]:.6g}"
    return f"every input by up to {share:.2g} of its scale (farthest {moved})"


def _why(report: Report) -> str:
    lacking = [comparison for comparison in report.comparisons if comparison.without_derivative]
    entry = next((entry.name for entry in lacking[0].worst if entry.reason), "")
    return "what was found at the point given: " + (f"{entry}: " if entry else "") + lacking[0].reason
