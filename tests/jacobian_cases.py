"""Functions with Jacobians worked out by hand, for what adapters offer for whole Jacobians."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

FlatMap = Callable[[Sequence[Any], Sequence[Any]], Sequence[Any]]


@dataclass(frozen=True)
class Case:
    """A function of the adapter's arrays, where it is differentiated, and the blocks of the result, flat."""

    f: FlatMap
    xs: list[np.ndarray]
    held: list[np.ndarray]
    blocks: list[np.ndarray]

    def outputs(self) -> int:
        return len(self.blocks) // len(self.xs)

    def shapes(self) -> list[tuple[int, ...]]:
        """Return the shapes of the outputs."""
        n = len(self.xs)
        return [self.blocks[i * n].shape[: self.blocks[i * n].ndim - self.xs[0].ndim] for i in range(self.outputs())]

    def matrix(self) -> np.ndarray:
        n, rows = len(self.xs), [int(np.prod(shape)) for shape in self.shapes()]
        return np.block(
            [[self.blocks[i * n + j].reshape(m, self.xs[j].size) for j in range(n)] for i, m in enumerate(rows)]
        )


A = np.array([[0.3, -0.7, 1.1], [0.2, 0.9, -1.3]])
B = np.array(1.7)
W = np.array([2, -1, 3])


def several(xp: Any, dtype: str) -> Case:
    """Two inputs and three outputs of various shapes, pairs that are not connected, integers held."""

    def f(xs: Sequence[Any], held: Sequence[Any]) -> list[Any]:
        a, b = xs
        return [xp.sin(a) * b, xp.sum(a), b * xp.astype(held[0], b.dtype)]

    unit = np.eye(6).reshape(2, 3, 2, 3)
    blocks = [unit * np.cos(A) * B, np.sin(A), np.ones((2, 3)), np.zeros(()), np.zeros((3, 2, 3)), 1.0 * W]
    return Case(f, [A.astype(dtype), B.astype(dtype)], [W], blocks)


def numbers(xp: Any, dtype: str) -> Case:
    """An output that is a plain number, and one that is an input."""
    blocks = [np.zeros(3), np.eye(3)]
    return Case(lambda xs, held: [2.0, xs[0]], [W.astype(dtype)], [], blocks)


def gradient(backend: Any, dtype: str) -> Case:
    """The gradient of b * sum(a ** 2), as the adapter pulls it back: symmetric blocks, and a zero one."""

    def f(xs: Sequence[Any], held: Sequence[Any]) -> list[Any]:
        one = backend.from_numpy(np.ones((), dtype))
        return list(backend.pull(lambda v: [v[1] * backend.namespace().sum(v[0] ** 2)], xs, [one]))

    blocks = [np.eye(6).reshape(2, 3, 2, 3) * 2 * B, 2 * A, 2 * A, np.zeros(())]
    return Case(f, [A.astype(dtype), B.astype(dtype)], [], blocks)


def scalar(xp: Any, dtype: str) -> Case:
    """The same scalar itself, with its Hessian."""
    blocks = [np.eye(6).reshape(2, 3, 2, 3) * 2 * B, 2 * A, 2 * A, np.zeros(())]
    xs = [A.astype(dtype), B.astype(dtype)]
    return Case(lambda xs, held: [xs[1] * xp.sum(xs[0] ** 2)], xs, [], blocks)


def batch(xp: Any, dtype: str) -> Case:
    """Samples that do not mix: two inputs and two outputs, one of each of rank one, and one pair unconnected."""
    c = np.array([0.5, -2.0])

    def f(xs: Sequence[Any], held: Sequence[Any]) -> list[Any]:
        a, c = xs
        return [xp.sin(a) * c[:, None] * held[0], xp.sum(a**2, axis=1)]

    two = np.array(2.0)
    blocks = [2 * (np.cos(A) * c[:, None])[:, :, None] * np.eye(3), 2 * np.sin(A), 2 * A, np.zeros(2)]
    return Case(f, [A.astype(dtype), c.astype(dtype)], [two.astype(dtype)], blocks)


def diagonal(xp: Any, dtype: str) -> Case:
    """Two outputs like the two inputs, which mix."""

    def f(xs: Sequence[Any], held: Sequence[Any]) -> list[Any]:
        a, c = xs
        return [a**3 + xp.sum(a) + c[0], c * xp.sum(a)]

    c = np.array([0.5, -2.0])
    return Case(f, [A.astype(dtype), c.astype(dtype)], [], [3 * A**2 + 1, np.full(2, A.sum())])


def native(backend: Any, arrays: Sequence[np.ndarray]) -> list[Any]:
    return [backend.from_numpy(array) for array in arrays]


def products(case: Case, mode: str, k: int, dtype: str) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Draw seeds, and make their products from the blocks."""
    rng = np.random.default_rng(k)
    ins, outs, matrix = [x.shape for x in case.xs], case.shapes(), case.matrix()
    given, wanted = (outs, ins) if mode == "vjp" else (ins, outs)
    seeds = [np.asarray(rng.normal(size=(k, *shape))).astype(dtype) for shape in given]
    flat = np.concatenate([seed.reshape(k, -1) for seed in seeds], axis=1)
    found = flat @ (matrix if mode == "vjp" else matrix.T)
    parts = np.split(found, np.cumsum([int(np.prod(shape)) for shape in wanted])[:-1], axis=1)
    return seeds, [part.reshape(k, *shape) for part, shape in zip(parts, wanted, strict=True)]


def assert_engine(backend: Any, engine: Any, case: Case, k: int, dtype: str) -> None:
    """Hold an engine to the products, at two points in turn, and to what `finish` is given."""
    seeds, expected = products(case, engine.mode, k, dtype)
    xs, held, given = native(backend, case.xs), native(backend, case.held), native(backend, seeds)
    run = engine.prepare(case.f, xs, held, given, lambda found, used: [*found, *used])
    run(native(backend, [x + 1 for x in case.xs]), held)
    assert_equal(backend, run(xs, held), [*expected, *seeds], dtype)


def assert_call(backend: Any, call: Any, case: Case, dtype: str) -> None:
    """Hold a framework's own call to the blocks, at two points in turn."""
    xs, held = native(backend, case.xs), native(backend, case.held)
    run = call.prepare(case.f, xs, held)
    run(native(backend, [x + 1 for x in case.xs]), held)
    assert_equal(backend, run(xs, held), case.blocks, dtype)


def assert_equal(backend: Any, found: Sequence[Any], expected: Sequence[np.ndarray], dtype: str) -> None:
    backend.wait(found)
    arrays = [backend.to_numpy(array) for array in found]
    assert [array.shape for array in arrays] == [array.shape for array in expected]
    assert {str(array.dtype) for array in arrays} == {dtype}
    for one, other in zip(arrays, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5 if dtype == "float32" else 1e-12, atol=1e-6)
