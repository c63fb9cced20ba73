"""Outputs of other shapes or another order of axes, and the layout that would make them fit."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import numpy as np

from xcheck.agreement import digits
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
    return alike, [*(_misfit(run, alike[0]) for run in others), *_other_names(alike)]


def _shapes(problem: Problem) -> tuple[Any, ...]:
    inputs, outputs = ([(b.shape, b.is_complex) for b in space.blocks] for space in (problem.inputs, problem.outputs))
    return inputs, outputs


def _misfit(run: Run, usual: Run) -> str:
    assert run.problem is not None
    assert usual.problem is not None
    own, others = (len(r.problem.inputs.blocks) for r in (run, usual) if r.problem is not None)
    if own != others:
        return f"{run.label}: {own} of its inputs vary, and {others} of {usual.label}'s; it is left out"
    own, others = (len(r.problem.outputs.blocks) for r in (run, usual) if r.problem is not None)
    if own != others:
        return f"{run.label}: returns {own} array{'s'[: own > 1]}, and {usual.label} {others}; it is left out"
    here, there = (_listed(problem) for problem in (run.problem, usual.problem))
    text = f"{run.label}: returns {here}, where {usual.label} returns {there}; it is left out"
    if [b.is_complex for b in run.problem.outputs.blocks] != [b.is_complex for b in usual.problem.outputs.blocks]:
        return f"{text} (complex numbers against real ones)"
    gauge = likely_gauge(run.outputs, usual.outputs)
    if gauge:
        return f"{text}. xcheck.invariant(f, {gauge!r}) around each would make them fit"
    fit = _fitting_layout(run.problem, usual.problem)
    if fit:
        return f"{text}. xcheck.layout(f, outputs={fit!r}) would make them fit"
    y, other = run.problem.y, usual.problem.y
    same = len(y) == len(other) and digits(y, other) > 6
    return f"{text} (the same numbers in another shape: reshape one of them)" if same else text


def _other_names(runs: Sequence[Run]) -> list[str]:
    """Say where outputs of other names are paired, in their order."""
    lines = []
    for run in runs[1:]:
        assert runs[0].problem is not None
        assert run.problem is not None
        for path, own in zip(runs[0].problem.output.paths, run.problem.output.paths, strict=True):
            if path != own and path and own and all(isinstance(key, str) for key in (path[-1], own[-1])):
                pair = f"{own[-1]!r} of {run.label} with {path[-1]!r} of {runs[0].label}"
                lines.append(f"outputs are paired in their order: {pair}")
    return lines


def _listed(problem: Problem) -> str:
    """List the shapes of the outputs, with the dtypes that are not the usual one."""
    return ", ".join(f"{b.shape}{' complex' if b.is_complex else ''}" for b in problem.outputs.blocks)


def other_layouts(runs: Sequence[Run], usually: Sequence[str]) -> list[str]:
    """Say which order of axes would make the values of others those of the largest group."""
    usual = next(run for run in runs if run.label in usually)
    lines = []
    for run in runs:
        if run.label in usually or run.problem is None or usual.problem is None:
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
