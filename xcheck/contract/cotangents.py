"""Cotangents as they come in use: in any memory, zero, or for one output out of several."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from xcheck.comparison import Comparison
from xcheck.contract.subject import Subject, first_line, gather
from xcheck.derivatives import Forward, Reverse, unit_cotangent
from xcheck.problem import Problem
from xcheck.protocol import Native, RealArray, SupportsLayouts, supports_jvp, supports_layouts, supports_vjp
from xcheck.rules import disagreement, in_place

LAYOUT = "the rule depends on how the cotangent lies in memory: {layout}, it gives other values than contiguous"
ZERO = "a {vector} of zero has to give zero, and does not: the product goes on into others, and spoils them"
ALONE = "with {name} used and the other outputs not, the rule gives other values than with cotangents of zero for those"
MANY = 8
"""Outputs that are used alone; of more, the first."""


def layouts(subject: Subject) -> Iterator[Comparison | str]:
    """Pull back the same cotangent in all kinds of memory; look whether one is written to."""
    changed = in_place(subject.problem, subject.reverse, subject.weights[0])
    if changed is not None:
        yield changed
    backend = subject.problem.backend
    if not supports_layouts(backend):
        return
    equal = np.full(subject.problem.m, unit_cotangent(subject.problem))
    first = subject.weights[0]
    for cotangent in (first, equal):
        for layout in _names(subject, backend, cotangent):
            if (layout == "expanded") is not (cotangent is equal):
                continue
            how = f"pulled back from a cotangent that is {layout}"
            try:
                found = subject.compare(
                    lambda p, w=cotangent, k=layout: _in_memory(subject, backend, p, w, k, w is first),  # type: ignore[misc]
                    LAYOUT.format(layout=layout),
                    how,
                    "itself, contiguous",
                )
            except Exception as error:
                kind, line = type(error).__name__, first_line(error)
                yield f"{subject.source} raises {kind} for a cotangent that is {layout}: {line}"
                continue
            if found is not None:
                yield found


def _names(subject: Subject, backend: SupportsLayouts, cotangent: RealArray) -> list[str]:
    arrays = subject.problem.outputs.unpack(cotangent)
    return list(dict.fromkeys(name for array in arrays for name in backend.layouts(array)))


def _in_memory(
    subject: Subject, backend: SupportsLayouts, problem: Problem, cotangent: RealArray, layout: str, known: bool
) -> tuple[RealArray, RealArray]:
    graph = subject.graph(problem)
    natives: list[Native] = []
    for plain, array in zip(graph.cotangents(cotangent), problem.outputs.unpack(cotangent), strict=True):
        natives.append(backend.layouts(array, like=plain).get(layout, plain))
    return graph.pull_native(natives), subject.pulled(problem) if known else graph.pull(cotangent)


def zero(subject: Subject) -> Iterator[Comparison | str]:
    """Pull back zero, and push zero forward."""
    problem = subject.problem

    def pull(p: Problem) -> tuple[RealArray, RealArray]:
        found = subject.graph(p).pull(np.zeros(p.m))
        return found, np.where(np.all(np.isfinite(subject.plain), axis=0), 0.0, np.nan)

    try:
        found = subject.compare(pull, ZERO.format(vector="cotangent"), "pulled back from zero", "zero")
    except Exception as error:
        found = subject.refused(error, "the rule has to take a cotangent of zero", "pulled back from zero")
    if found is not None:
        yield found
    if supports_jvp(problem.backend):
        pushed = _push_zero(subject)
        if pushed is not None:
            yield pushed


def _push_zero(subject: Subject) -> Comparison | None:
    problem = subject.problem
    try:
        found = Forward(problem).push(np.zeros(problem.n))
        if not np.any(found):
            return None
        other = Forward(problem).push(problem.scale)
    except Exception:  # which the check of forward mode tells
        return None
    wrong = np.isfinite(other) & np.isfinite(problem.y) & (found != 0)
    if not np.any(wrong):
        return None

    def name(i: int) -> str:
        return f"{problem.outputs.entry(i)} pushed forward from zero"

    none = np.zeros(problem.m)
    sources, reason = (f"{problem.backend.name}/jvp", "zero"), ZERO.format(vector="tangent")
    return disagreement(sources, "pushforward", wrong, found, none, none, reason, name)


def one_output(subject: Subject) -> Iterator[Comparison | str]:
    """Use one output at a time; the others then have no cotangent, where the framework makes none up."""
    problem = subject.problem
    blocks = problem.outputs.blocks
    if len(blocks) < 2:
        return
    for k, block in enumerate(blocks[:MANY]):
        how = f"pulled back from {block.name} alone"
        reason = ALONE.format(name=block.name)
        try:
            found = subject.compare(lambda p, k=k: _alone(subject, p, k), reason, how, "itself, with zeros")  # type: ignore[misc]
        except Exception as error:
            found = subject.refused(error, f"with {block.name} used alone, the rule fails", how)
        if found is not None:
            yield found
    if len(blocks) > MANY:
        yield f"contract: the first {MANY} of {len(blocks)} outputs were used alone"


def _alone(subject: Subject, problem: Problem, k: int) -> tuple[RealArray, RealArray]:
    backend, part = problem.backend, problem.outputs.blocks[k].slice
    assert supports_vjp(backend)
    problem.pin()
    _, pullback = backend.vjp(lambda xs: [problem.flat(xs)[k]], problem.to_native(problem.x))
    weights = np.zeros(problem.m)
    weights[part] = subject.weights[0][part]
    graph = Reverse(problem)
    cotangent = graph.cotangents(weights)[k]
    return gather(problem, list(pullback([cotangent]))), graph.pull(weights)
