"""The rule mapped over points and compiled: values and gradients as one by one and uncompiled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from xcheck.comparison import Comparison
from xcheck.contract.subject import Subject
from xcheck.problem import Problem
from xcheck.protocol import (
    Function,
    Native,
    RealArray,
    SupportsCompiled,
    supports_batch,
    supports_compiled,
    supports_mapped,
)
from xcheck.raised import first_line

VALUES = "{how}, the function gives other values"
GRADIENTS = "{how}, the rule gives other gradients: the values are the same"
MAPPED, COMPILED = "mapped over points", "compiled"
PLAIN = "one by one and uncompiled"

REFUSAL = 72
"""Characters of what a framework says where it refuses."""


def mapped(subject: Subject) -> Iterator[Comparison | str]:
    """Map the function and its pullback over two points, and hold them against one point after the other."""
    problem, backend = subject.problem, subject.problem.backend
    if not supports_batch(backend) or not subject.repeatable:
        return
    mapping: Callable[[Function], Function] = backend.mapped if supports_mapped(backend) else backend.batch
    points = [problem, subject.other or problem]
    weights = subject.weights
    name = f"{problem.backend.name}/vmap"
    try:
        values, gradients = _mapped(mapping, problem, np.array([p.x for p in points]), weights, subject)
    except Exception as error:
        try:
            values = _mapped_values(mapping, problem, np.array([p.x for p in points]))
        except Exception:
            yield f"{name}: not supported ({_refusal(error)})"
            return
        gradients = None
        yield f"{name} of the rule: not supported ({_refusal(error)})"
    yield from _hold(subject, points, values, gradients, MAPPED, f"by {name}")


def _mapped(
    mapping: Callable[[Function], Function], problem: Problem, points: RealArray, weights: RealArray, subject: Subject
) -> tuple[RealArray, RealArray | None]:
    backend: Any = problem.backend
    blocks = problem.inputs.blocks
    if not callable(getattr(backend, "pull", None)):
        return _mapped_values(mapping, problem, points), None
    connected = [i for i, b in enumerate(blocks) if b.name not in subject.reverse.unconnected]

    def both(arrays: Sequence[Native]) -> list[Native]:
        xs, ws = arrays[: len(blocks)], arrays[len(blocks) :]
        gradients = backend.pull(problem.flat, xs, ws)
        return [*problem.flat(xs), *(gradients[i] for i in connected)]

    problem.pin()
    arrays = [*problem.to_native(points), *subject.reverse.cotangents(weights)]
    found = list(mapping(both)(arrays))
    count = len(problem.outputs.blocks)
    gradients = np.zeros((len(points), problem.n))
    for i, gradient in zip(connected, found[count:], strict=True):
        array = np.asarray(backend.to_numpy(gradient))
        gradients[:, blocks[i].slice] = blocks[i].pack(array.reshape((len(points), *blocks[i].shape)))
    return problem.from_native(found[:count], lead=1), gradients


def _mapped_values(mapping: Callable[[Function], Function], problem: Problem, points: RealArray) -> RealArray:
    problem.pin()
    run = mapping(problem.flat)
    return problem.from_native(problem.backend.value(run, problem.to_native(points)), lead=1)


def _hold(
    subject: Subject,
    points: Sequence[Problem],
    values: RealArray,
    gradients: RealArray | None,
    how: str,
    by: str,
) -> Iterator[Comparison]:
    """Hold values and gradients of several points against those of one after the other, values first."""
    for problem, value in zip(points, values, strict=True):

        def evaluate(p: Problem, found: RealArray = value, at: Problem = problem) -> tuple[RealArray, RealArray]:
            return found, p.y if p is at else p.values(p.x[None])[0]

        outputs = (problem.outputs,)
        wrong = subject.compare(evaluate, VALUES.format(how=how), by, PLAIN, "value", outputs, problem)
        if wrong is not None:
            yield wrong
            return
    for k, (problem, gradient) in enumerate(zip(points, () if gradients is None else gradients, strict=False)):

        def pull(p: Problem, k: int = k, found: RealArray = gradient) -> tuple[RealArray, RealArray]:
            return found, subject.pulled(p, k)

        wrong = subject.compare(pull, GRADIENTS.format(how=how), f"pulled back {by}", PLAIN, at=problem)
        if wrong is not None:
            yield wrong
            return


def compiled(subject: Subject) -> Iterator[Comparison | str]:
    """Compile the function with its pullback, and run it at two points: what was baked in shows at the second."""
    problem, backend = subject.problem, subject.problem.backend
    if not supports_compiled(backend) or not subject.repeatable:
        return
    points = [problem, subject.other or problem]
    try:
        values, gradients = _compiled(backend, subject, points)
    except Exception as error:
        yield f"{problem.backend.name}, compiled: not supported ({_refusal(error)})"
        return
    yield from _hold(subject, points, values, gradients, COMPILED, "compiled")


def _compiled(backend: SupportsCompiled, subject: Subject, points: Sequence[Problem]) -> tuple[RealArray, RealArray]:
    problem = subject.problem
    blocks = problem.inputs.blocks
    problem.pin()
    run = backend.compiled(problem.flat)
    values, pulled = [], np.zeros((len(points), problem.n))
    for row, point, weight in zip(pulled, points, subject.weights, strict=True):
        ys, gradients = run(problem.to_native(point.x), subject.reverse.cotangents(weight))
        values.append(problem.from_native(ys))
        for block, gradient in zip(blocks, gradients, strict=True):
            if gradient is not None:
                row[block.slice] = block.pack(np.asarray(problem.backend.to_numpy(gradient)).reshape(block.shape))
    return np.array(values), pulled


def _refusal(error: Exception) -> str:
    """Return what a framework refuses with, cut to fit a line."""
    line = first_line(error)
    return (
        f"{type(error).__name__}: {line[:REFUSAL].rstrip()}..."
        if len(line) > REFUSAL
        else f"{type(error).__name__}: {line}"
    )
