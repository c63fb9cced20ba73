"""A framework's own rules, held to what rules owe: linear, repeatable, without effects on the value."""

from __future__ import annotations

from math import inf

import numpy as np

from xcheck.budget import MANY
from xcheck.checking.findings import Findings
from xcheck.claim import Claim
from xcheck.comparison import Comparison
from xcheck.derivatives import Forward, Reverse, is_linear, reduced
from xcheck.probing import (
    Arena,
)
from xcheck.problem import Problem
from xcheck.protocol import RealArray
from xcheck.raised import first_line
from xcheck.rules import (
    compare_value,
    examine_forward,
    examine_reverse,
    scales,
)
from xcheck.verdict import Verdict


def keeps_scale(arena: Arena, mode: str, claim: Claim | None = None) -> bool:
    """Tell whether a rule gives the same for small vectors as for large ones.

    In float64, a pullback was asked as it was made, and a pushforward only where its Jacobian, a `claim`, is known.
    """
    problem = arena.problem
    if problem.random or problem.n >= MANY:
        return True
    if problem.precision < 53:
        return scales(arena.wide, mode)
    if mode == "vjp" or claim is None:
        return True
    return is_linear(problem, claim.value.T, Forward(problem).push, reduced(problem) * problem.scale)


def examine_rule(arena: Arena, mode: str, found: Findings, values: Comparison | None = None) -> list[Comparison]:
    """Look at a rule that showed something no linear map does, knowing what was found of its `values`, if anything.

    Where that was nothing but an exception, note it.
    """
    examine = examine_reverse if mode == "vjp" else examine_forward
    source = f"{arena.problem.backend.name}/{mode}"
    limit = values.relative_limit if values is not None and values.verdict is Verdict.AGREE else inf
    try:
        faults, notes = examine(arena.problem, arena.wide, limit)
    except Exception as error:
        found.notes.append(f"{source} raises {type(error).__name__} for some vectors: {first_line(error)}")
        return []
    found.notes += notes
    return faults


def compare_given_value(arena: Arena, source: str, outputs: RealArray | None, found: Findings) -> None:
    """Compare the value that a derivative came with; once for what both modes say."""
    problem = arena.problem
    if outputs is None:
        return

    def again(problem: Problem) -> RealArray:
        if source.endswith("/vjp"):
            return Reverse(problem).outputs
        forward = Forward(problem)
        forward.push(np.zeros(problem.n))
        return forward.outputs

    comparison = compare_value(problem, outputs, source, again, arena.wide if problem.n < MANY else None)
    if comparison is not None:
        found.add(comparison)
