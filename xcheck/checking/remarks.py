"""What a report says beside its comparisons: the point, and what the function does with its inputs."""

from __future__ import annotations

import numpy as np

from xcheck.checking.findings import Findings
from xcheck.gauges.recognition import compared, free_phases
from xcheck.ignored import is_ignored
from xcheck.kernel import note_reference
from xcheck.probing import (
    Arena,
)
from xcheck.problem import Problem
from xcheck.reference.witness import Witness
from xcheck.verdict import Verdict


def note_problem(arena: Arena, found: Findings) -> None:
    """Note what the function does beside returning a value: it draws, writes to its inputs, raises nearby."""
    problem = arena.problem
    if arena.plan.reason and any(c.method == "probes" for c in found.comparisons):
        found.notes.append(f"random probes stand for the entries: {arena.plan.reason}")
    found.notes += compared({problem.call.title: problem.call.function})
    if any(c.verdict is Verdict.DISAGREE for c in found.comparisons):
        found.notes += free_phases(problem.outputs.unpack(problem.y))
    if problem.mutated:
        found.notes.append(f"{problem.call.title} changes its input in place: {', '.join(problem.mutated)}")
    if problem.random or arena.reference.random:
        found.notes.append("the function draws random numbers; the generators were pinned to the same seed throughout")
    for failure in (problem.failures or arena.reference.failures)[:1]:
        found.notes.append(f"{problem.call.title} {failure}")
    if not arena.reference.relative:
        found.notes += note_reference(problem, arena.reference, arena.twins)


def describe_point(problem: Problem) -> tuple[str, ...]:
    """Say where the function was checked: the value of a single number, the range of an array."""
    parts = []
    for block in problem.inputs.blocks:
        values = problem.x[block.slice]
        if values.size == 1:
            parts.append(f"{block.name} = {values[0]:.4g}")
        elif values.size:
            parts.append(f"{block.name} in [{values.min():.4g}, {values.max():.4g}]")
    return tuple(parts)


def note_ignored(arena: Arena, witness: Witness, found: Findings) -> None:
    """Say which inputs no value depends on: unused arguments, detached or overwritten inputs."""
    for block in arena.problem.inputs.blocks:
        inputs = np.arange(block.start, block.start + block.size)
        if block.size and witness.ignores(inputs) and is_ignored(arena.reference, block.slice, seed=arena.seed):
            title = arena.problem.call.title
            found.notes.append(
                f"{title} does not depend on {block.name}: its value is the same at every point evaluated"
            )
