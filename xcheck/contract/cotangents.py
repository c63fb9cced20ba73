"""Cotangents as they come in use: in any memory, zero, or for one output out of several."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from xcheck.comparison import Comparison
from xcheck.contract.subject import Subject, gather
from xcheck.derivatives import Forward, Reverse, unit_cotangent
from xcheck.problem import Problem
from xcheck.protocol import Native, RealArray, supports_jvp, supports_layouts, supports_vjp
from xcheck.raised import first_line
from xcheck.rules import disagreement, in_place

LAYOUT = "the rule depends on how the cotangent lies in memory: {layout}, it gives other values than contiguous"
ZERO = "a {vector} of zero has to give zero, and does not: the product goes on into others, and spoils them"
ALONE = "with {name} used and the other outputs not, the rule gives other values than with cotangents of zero for those"
EXPANDED = "expanded"
"""The layout of stride 0, which only a cotangent of equal entries has."""

MANY = 8
"""Outputs that are used alone; of more, the first."""


def layouts(subject: Subject) -> Iterator[Comparison | str]:
    """Pull back the same cotangent in all kinds of memory; look whether one is written to."""
    changed = in_place(subject.problem, subject.reverse, subject.weights[0])
    if changed is not None:
        yield changed
    if not supports_layouts(subject.problem.backend):
        return
    first, equal = subject.weights[0], np.full(subject.problem.m, unit_cotangent(subject.problem))
    yield from _laid_out(
        subject, first, subject.plain[0], [name for name in _names(subject, first) if name != EXPANDED]
    )
    if EXPANDED in _names(subject, equal):
        yield from _laid_out(subject, equal, subject.reverse.pull(equal), [EXPANDED])


def _laid_out(subject: Subject, cotangent: RealArray, plain: RealArray, names: list[str]) -> Iterator[Comparison | str]:
    for layout in names:

        def use(problem: Problem, layout: str = layout) -> tuple[RealArray, RealArray]:
            if problem is not subject.problem:
                return plain, Reverse(problem).pull(cotangent)
            return subject.reverse.pull_native(_in_memory(subject, cotangent, layout)), plain

        reason, how = LAYOUT.format(layout=layout), f"pulled back from a cotangent that is {layout}"
        try:
            found = subject.compare(use, reason, how, "itself, contiguous")
        except Exception as error:
            kind, line = type(error).__name__, first_line(error)
            yield f"{subject.source} raises {kind} for a cotangent that is {layout}: {line}"
            continue
        if found is not None:
            yield found


def _names(subject: Subject, cotangent: RealArray) -> list[str]:
    backend = subject.problem.backend
    assert supports_layouts(backend)
    arrays = subject.problem.outputs.unpack(cotangent)
    return list(dict.fromkeys(name for array in arrays for name in backend.layouts(array)))


def _in_memory(subject: Subject, cotangent: RealArray, layout: str) -> list[Native]:
    backend, arrays = subject.problem.backend, subject.problem.outputs.unpack(cotangent)
    assert supports_layouts(backend)
    plain = subject.reverse.cotangents(cotangent)
    return [backend.layouts(a, like=g).get(layout, g) for a, g in zip(arrays, plain, strict=True)]


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
    if subject.forward and supports_jvp(problem.backend):
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
