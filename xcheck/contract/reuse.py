"""Uses of a rule one after the other, and several in one graph."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from xcheck.comparison import Comparison
from xcheck.contract.subject import Subject, gather
from xcheck.derivatives import Reverse
from xcheck.problem import Problem
from xcheck.protocol import Native, RealArray, supports_vjp
from xcheck.rules import NOT_REPEATABLE

SAVED = "the backward changes what the forward saved: the second one through the same graph gives other values"
INPUT = "the backward changes {name} in place, which the function was given"
STALE = "the rule keeps state between calls: after a call with other data, it gives other values for the first ones"
BACK = "the rule keeps state between calls: back at the first data, it gives other values than before"
TWICE = "used twice in one graph, the rule gives other values than each use gives alone"
CHAINED = "applied to its own result, the rule gives other values than both uses give one after the other"


def repeats(subject: Subject) -> Iterator[Comparison | str]:
    """Pull the same cotangent back through one graph twice, through another one, and see what became of the inputs."""
    problem, weights = subject.problem, subject.weights[0]
    kept: list[Sequence[Native]] = []

    def keep(xs: Sequence[Native]) -> list[Native]:
        kept.append(xs)
        return problem.flat(xs)

    assert supports_vjp(problem.backend)
    problem.pin()
    _, pullback = problem.backend.vjp(keep, problem.to_native(problem.x))
    before = _read(problem, kept[-1])
    first = gather(problem, list(pullback(subject.reverse.cotangents(weights))))
    yield from _same(subject, first, subject.plain[0], NOT_REPEATABLE.format(vector="cotangent"), "by another graph")
    after = _read(problem, kept[-1])
    if before is not None and after is not None and not np.array_equal(before, after, equal_nan=True):
        changed = before != after
        block = next(b for b in problem.inputs.blocks if np.any(changed[b.slice]))
        reason, how = INPUT.format(name=block.name), "after the backward"
        found = subject.compare(lambda _: (after, before), reason, how, "itself, before", quantity="input")
        if found is not None:
            yield found
    try:
        again = gather(problem, list(pullback(subject.reverse.cotangents(weights))))
    except Exception as error:
        yield subject.refused(error, "the backward runs once only, even where its graph is kept", "a second time")
        return
    yield from _same(subject, again, first, SAVED, "a second time")


def _same(subject: Subject, found: RealArray, expected: RealArray, reason: str, how: str) -> Iterator[Comparison]:
    def use(problem: Problem) -> tuple[RealArray, RealArray]:
        return (found, expected) if problem is subject.problem else (found, subject.pulled(problem))

    finding = subject.compare(use, reason, f"pulled back {how}")
    if finding is not None:
        yield finding


def _read(problem: Problem, xs: Sequence[Native]) -> RealArray | None:
    """Copy what a function was given; None where that is no number, or nobody can write to it."""
    if not all(callable(getattr(x, "stride", None)) for x in xs):
        return None
    try:
        return np.array(problem.inputs.pack([problem.backend.to_numpy(x) for x in xs]))
    except Exception:  # a tracer
        return None


def other_data(subject: Subject) -> Iterator[Comparison | str]:
    """Call the function with other data between forward and backward, and go back to the first data afterwards."""
    if subject.elsewhere is None:
        yield "contract: there are no other data for which the function runs; its uses one after the other are untested"
        return
    other = subject.elsewhere[0].problem

    def late(problem: Problem) -> tuple[RealArray, RealArray]:
        if problem is subject.problem:  # the other data came after its graph
            return subject.reverse.pull(subject.weights[0]), subject.plain[0]
        return subject.plain[0], subject.pulled(problem)

    def back(problem: Problem) -> tuple[RealArray, RealArray]:
        if problem is subject.problem:
            return Reverse(problem).pull(subject.weights[0]), subject.plain[0]
        return subject.plain[0], subject.pulled(problem)

    def first(problem: Problem) -> tuple[RealArray, RealArray]:
        if problem is other:  # its graph came before the others
            return subject.elsewhere[0].pull(subject.weights[1]), subject.pulled(other, 1)  # type: ignore[index]
        return subject.pulled(other, 1), Reverse(problem).pull(subject.weights[1])

    how = "pulled back after a call with other data"
    for use, reason, at in ((late, STALE, None), (back, BACK, None), (first, STALE, other)):
        found = subject.compare(use, reason, how, "itself, before that", at=at)
        if found is not None:
            yield found


def two_uses(subject: Subject) -> Iterator[Comparison | str]:
    """Use the function three times in one graph, twice at the same point, and on its own result."""
    if not subject.repeatable:
        return
    how, count = "pulled back from f(x1), f(x1) and f(x2) in one graph", 1 if subject.other is None else 2
    try:
        found = subject.compare(
            lambda p: _together(subject, p), TWICE, how, "each use alone", copies=(subject.problem.inputs,) * count
        )
    except Exception as error:
        found = subject.refused(error, "the rule cannot be used twice in one graph", how)
    if found is not None:
        yield found
    if _chains(subject.problem):
        try:
            found = subject.compare(lambda p: _chained(subject, p), CHAINED, "pulled back from f(f(x))")
        except Exception:  # f(x) need not be in the domain of f
            return
        if found is not None:
            yield found


def _together(subject: Subject, problem: Problem) -> tuple[RealArray, RealArray]:
    backend, n, other = problem.backend, len(problem.inputs.blocks), subject.other
    assert supports_vjp(backend)
    problem.pin()
    xs = problem.to_native(problem.x) + ([] if other is None else other.to_native(other.x))

    def uses(xs: Sequence[Native]) -> list[Native]:
        first, second = xs[:n], xs[n:]
        return [*problem.flat(first), *problem.flat(first), *(problem.flat(second) if second else ())]

    _, pullback = backend.vjp(uses, xs)
    w, v = (subject.reverse.cotangents(weights) for weights in subject.weights)
    gradients = list(pullback([*w, *v, *(() if other is None else subject.reverse.cotangents(subject.weights[1]))]))
    parts = [gradients[:n], gradients[n:]][: 1 if other is None else 2]
    alone = [
        subject.pulled(problem) + subject.pulled(problem, 1),
        *([] if other is None else [subject.pulled(other, 1)]),
    ]
    return np.concatenate([gather(problem, part) for part in parts]), np.concatenate(alone)


def _chains(problem: Problem) -> bool:
    """Tell whether the function takes what it returns."""
    inputs, outputs = ([(b.shape, b.dtype) for b in s.blocks] for s in (problem.inputs, problem.outputs))
    return inputs == outputs and bool(np.all(np.isfinite(problem.y)))


def _chained(subject: Subject, problem: Problem) -> tuple[RealArray, RealArray]:
    backend, w = problem.backend, subject.weights[0]
    assert supports_vjp(backend)
    problem.pin()
    _, pullback = backend.vjp(lambda xs: problem.flat(problem.flat(xs)), problem.to_native(problem.x))
    graph = Reverse(problem)
    inner = Reverse(replace(problem, x=graph.outputs)).pull(w)
    return gather(problem, list(pullback(graph.cotangents(w)))), graph.pull(inner)
