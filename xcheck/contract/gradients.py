"""What kind of thing the gradients are, and whether one of them depends on which others are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from xcheck.comparison import Comparison
from xcheck.contract.subject import Subject
from xcheck.problem import Problem
from xcheck.protocol import Native, RealArray, supports_returned, supports_vjp
from xcheck.rules import disagreement
from xcheck.space import PRECISION

KIND = "the rule returns a gradient of {what} {given} for {place}, which is of {what} {wanted}"
CONVERTED = "{rule} returns a gradient of {what} {given} for {place}, of {what} {wanted}; the framework converts it"
SUBSET = "asked for {name} alone, the rule gives other values than asked for all inputs at once"
MANY = 8
"""Inputs that are asked for alone; of more, the first."""


def kinds(subject: Subject) -> Iterator[Comparison | str]:
    """Look at dtype, shape and device of the gradients, before the framework converts them where that is possible."""
    problem = subject.problem
    cotangents = subject.reverse.cotangents(subject.weights[0])
    if supports_returned(problem.backend):
        problem.pin()
        told = problem.backend.returned(problem.flat, problem.to_native(problem.x), cotangents)
        for rule, position, what, given, wanted in told:
            place = f"input {position} of {rule}"
            words = {"what": what, "given": given, "place": place, "wanted": wanted}
            if what == "dtype" and not _loses(given, wanted):
                yield CONVERTED.format(rule=rule, **words)
            elif what != "shape":  # one that broadcasts to the input's is summed by the framework, others raise
                yield _of_kind(subject, place, KIND.format(**words), what, _bits(given), _bits(wanted))
        return
    for block, gradient in zip(problem.inputs.blocks, subject.reverse.gradients(cotangents), strict=True):
        if gradient is None:
            continue
        given = np.asarray(problem.backend.to_numpy(gradient)).dtype.name
        if given != block.dtype.name:
            reason = KIND.format(what="dtype", given=given, place=block.name, wanted=block.dtype.name)
            yield _of_kind(subject, block.name, reason, "dtype", _bits(given), _bits(block.dtype.name))


def _loses(given: str, wanted: str) -> bool:
    return PRECISION.get(given, 0) < PRECISION.get(wanted, 0)


def _bits(dtype: str) -> float:
    return float(PRECISION.get(dtype, 0))


def _of_kind(subject: Subject, place: str, reason: str, what: str, given: float, wanted: float) -> Comparison:
    names = {"dtype": "significand bits of the gradient"}
    numbers = np.array([given]), np.array([wanted])
    name = f"{names.get(what, what)} of {place}"
    sources = (subject.source, "the inputs")
    return disagreement(sources, what, np.ones(1, bool), *numbers, np.zeros(1), reason, lambda _: name)


def one_input(subject: Subject) -> Iterator[Comparison | str]:
    """Ask for the gradient by one input at a time; the others are constants then, of which none is wanted."""
    blocks = subject.problem.inputs.blocks
    if len(blocks) < 2:
        return
    for k, block in enumerate(blocks[:MANY]):
        how = "asked for alone"
        try:
            found = subject.compare(
                lambda p, k=k: _alone(subject, p, k),  # type: ignore[misc]
                SUBSET.format(name=block.name),
                how,
                "itself, asked for all",
            )
        except Exception as error:
            found = subject.refused(error, f"asked for {block.name} alone, the rule fails", how)
        if found is not None:
            yield found
    if len(blocks) > MANY:
        yield f"contract: the first {MANY} of {len(blocks)} inputs were asked for alone"


def _alone(subject: Subject, problem: Problem, k: int) -> tuple[RealArray, RealArray]:
    backend, read, block = problem.backend, problem.backend.to_numpy, problem.inputs.blocks[k]
    assert supports_vjp(backend)
    problem.pin()
    xs = problem.to_native(problem.x)

    def partial(zs: Sequence[Native]) -> list[Native]:
        return problem.flat([zs[0] if i == k else x for i, x in enumerate(xs)])

    _, pullback = backend.vjp(partial, [xs[k]])
    (gradient,) = pullback(subject.graph(problem).cotangents(subject.weights[0]))
    expected = subject.pulled(problem)
    found = expected.copy()
    found[block.slice] = 0.0 if gradient is None else block.pack(np.asarray(read(gradient)))
    return found, expected
