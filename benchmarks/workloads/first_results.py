"""What a first result costs: a new function every time, nothing prepared, against one naive evaluation."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from math import prod
from typing import Any

import numpy as np

import xcheck
from workloads.cell import First
from workloads.frameworks import framework
from workloads.functions import batch_network, elementwise, softmax, square_network
from workloads.reading import of_result, of_whole
from workloads.workload import relative_error
from xcheck.raised import first_line
from xcheck.timing import interleave

Pair = tuple[str, str, Callable[[], Any], Callable[[], Any], Callable[[Any], Any], Callable[[Any], Any]]
"""Verb, problem, the first result, a naive evaluation, and how each is read."""

VERBS: dict[str, Callable[..., Any]] = {
    "batch": xcheck.batch_jacobian,
    "jacobian": xcheck.jacobian,
    "diagonal": xcheck.jacobian_diagonal,
}


def first_results(name: str, seconds: float, seed: int) -> Iterator[First]:
    """Measure the verbs on small problems in one framework."""
    for verb, problem, auto, naive, read, read_naive in _pairs(name):
        found = First(name, verb, problem)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found.error = relative_error(read(auto()), read_naive(naive()))
                timings = interleave({"auto": auto, "naive": naive}, seconds, seed)
            found.auto, found.naive = timings["auto"].median, timings["naive"].median
        except Exception as error:
            found.reason = f"{type(error).__name__}: {first_line(error)}"
        yield found


def _pairs(name: str) -> Iterator[Pair]:
    there = framework(name)
    small = (
        ("batch", "tanh network 1 → 20 → 20 → 4, 10 samples", batch_network(there, 10)),
        ("batch", "softmax of 4 rows of 3", softmax(there, (4, 3))),
        ("jacobian", "tanh network 16 → 16 → 16", square_network(there, 16)),
        ("jacobian", "tanh network 64 → 64 → 64", square_network(there, 64)),
        ("diagonal", "elementwise, 50 inputs", elementwise(there, 50)),
    )
    for quantity, problem, function in small:
        x = there.native(function.point)
        shapes = tuple(x.shape), tuple(function.make()(x).shape)
        auto, naive = _fresh(VERBS[quantity], function.make, x), _fresh(_called(there.naive), function.make, x)
        readers = (kind(quantity, there.numpy, *shapes) for kind in (of_result, of_whole))
        yield f"xcheck.{VERBS[quantity].__name__}", problem, auto, naive, *readers
    if name != "numpy":  # it has no second derivatives
        yield _hessian(there)


def _hessian(there: Any) -> Pair:
    x = there.native(np.linspace(-1.0, 1.0, 10))
    sin = there.xp.sin

    def make() -> Callable[[Any], Any]:
        def energy(x: Any) -> Any:
            y = x * sin(x[::-1] if there.name != "torch" else x.flip(0)) + x**4
            return there.total(y)

        return energy

    def read(result: Any) -> Any:
        array = there.numpy(result)
        return array.reshape(prod(array.shape[: array.ndim // 2]), -1)

    auto, naive = _fresh(xcheck.hessian, make, x), _fresh(_called(there.naive_hessian), make, x)
    return "xcheck.hessian", "Σ x sin(reversed x) + x⁴, 10 inputs", auto, naive, read, read


def _fresh(verb: Callable[..., Any], make: Callable[[], Any], x: Any) -> Callable[[], Any]:
    return lambda: verb(make(), x)


def _called(naive: Callable[..., Any]) -> Callable[..., Any]:
    return lambda f, x: naive(f, x)()
