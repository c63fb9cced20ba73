"""Outputs of other shapes or another order of axes, and the layout that would make them fit."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import numpy as np

from xcheck.agreement import Difference, digits
from xcheck.gauges import likely_gauge
from xcheck.problem import Problem
from xcheck.runs import Run


def of_one_shape(runs: Sequence[Run]) -> tuple[list[Run], list[str]]:
    """Return the implementations whose outputs and inputs have the shapes that most have, and what to say of others."""
    shapes = {run.label: _shapes(run.problem) for run in runs if run.problem is not None}
    if not shapes:
        return [], []
    counts = [*shapes.values()]
    usual = max(counts, key=counts.count)
    alike = [run for run in runs if shapes[run.label] == usual]
    others = [run for run in runs if shapes[run.label] != usual]
    lines = [_misfit(run, alike[0]) for run in others]
    return alike, lines


def _shapes(problem: Problem) -> tuple[Any, ...]:
    blocks = [block for space in (problem.inputs, problem.outputs) for block in space.blocks]
    return tuple((block.shape, block.is_complex) for block in blocks)


def _misfit(run: Run, usual: Run) -> str:
    assert run.problem is not None
    assert usual.problem is not None
    here = [block.shape for block in run.problem.outputs.blocks]
    there = [block.shape for block in usual.problem.outputs.blocks]
    text = f"{run.label}: returns {_listed(here)}, where {usual.label} returns {_listed(there)}; it is left out"
    inputs = [[(b.shape, b.is_complex) for b in r.problem.inputs.blocks] for r in (run, usual) if r.problem is not None]
    if len(inputs[0]) != len(inputs[1]):
        return (
            f"{run.label}: {len(inputs[0])} of its inputs vary, and {len(inputs[1])} of {usual.label}'s; it is left out"
        )
    gauge = likely_gauge(run.outputs, usual.outputs)
    if gauge:
        return f"{text}. xcheck.invariant(f, {gauge!r}) around each would make them fit"
    if [b.is_complex for b in run.problem.outputs.blocks] != [b.is_complex for b in usual.problem.outputs.blocks]:
        return f"{text} (complex numbers against real ones)"
    fit = _fitting_layout(run.problem, usual.problem)
    return f"{text}. xcheck.layout(f, outputs={fit!r}) would make them fit" if fit else text


def _listed(shapes: Sequence[tuple[int, ...]]) -> str:
    return ", ".join(str(shape) for shape in shapes)


def other_layouts(runs: Sequence[Run], values: Difference) -> list[str]:
    """Say which order of axes would make the values of other groups those of the largest."""
    usual = next(run for run in runs if run.label in values.groups[0])
    lines = []
    for run in runs:
        if run.label in values.groups[0] or run.problem is None or usual.problem is None:
            continue
        fit = _fitting_layout(run.problem, usual.problem)
        if fit:
            lines.append(f"{run.label}: xcheck.layout(f, outputs={fit!r}) would give the values of {usual.label}")
    return lines


def _fitting_layout(problem: Problem, usual: Problem) -> str:
    """Return the order of axes in which a lone output holds the same numbers as another's, or nothing."""
    if len(problem.outputs.blocks) != 1 or len(usual.outputs.blocks) != 1:
        return ""
    here, there = problem.outputs.blocks[0], usual.outputs.blocks[0]
    if len(here.shape) != len(there.shape) or len(here.shape) > 5:
        return ""
    a, b = here.unpack(problem.y), there.unpack(usual.y)
    names = "NHWC" if len(here.shape) == 4 else "ABCDE"[: len(here.shape)]
    for order in permutations(range(len(here.shape))):
        moved = np.transpose(a, order)
        if moved.shape == b.shape and digits(np.ravel(moved).real, np.ravel(b).real) > 6:
            return f"{names}->{''.join(names[k] for k in order)}"
    return ""
