"""The workloads: each function once for all frameworks, with its derivative worked out by hand in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, diags_array, eye_array, kron

from workloads.workload import Function, Workload

Array = NDArray[np.float64]

SEED = 5

MESH = 0.5
"""Mesh width of the differential equations: of size one, so that their reaction is seen beside their diffusion."""

CHANNELS = 2, 3
IMAGE = 6
CLASSES = 4


def workloads() -> tuple[Workload, ...]:
    """Return all of them, at the sizes of the page."""
    return (
        Workload("a", "tanh network 1 → 20 → 20 → 4 on a batch", "batch", (10, 100, 1000), batch_network, "samples"),
        Workload("b", "tanh network n → n → n", "jacobian", (64, 256, 1024), square_network),
        Workload("c", "wide and tall tanh networks", "jacobian", ((1000, 10), (10, 1000)), network_between, "n → m"),
        Workload("d", "Bratu residual, tridiagonal", "sparse", (1_000, 10_000, 100_000), bratu),
        Workload("e", "elementwise x sin x + exp(-x²)", "diagonal", (1_000, 100_000), elementwise),
        Workload("f", "softmax of rows", "batch", ((4, 3), (64, 16), (512, 64)), softmax, "rows × columns"),
        Workload("g", "reaction and diffusion, five-point stencil", "sparse", (32, 100), stencil, "points a side"),
        Workload("h", "two convolutions and a dense layer on a batch of images", "batch", (8, 64), images, "images"),
    )


QUICK: dict[str, tuple[Any, ...]] = {
    "a": (10,),
    "b": (8, 16),
    "c": ((20, 5), (5, 20)),
    "d": (50,),
    "e": (100,),
    "f": ((4, 3),),
    "g": (12,),
    "h": (3,),
}
"""Sizes for a first look."""


def _generator(*key: int) -> np.random.Generator:
    return np.random.default_rng((SEED, *key))


def _layers(*widths: int) -> list[tuple[Array, Array]]:
    rng = _generator(*widths)
    return [(rng.normal(size=(n, m)) / np.sqrt(n), 0.1 * rng.normal(size=m)) for n, m in pairwise(widths)]


def _network(framework: Any, layers: Sequence[tuple[Array, Array]]) -> Callable[[], Callable[[Any], Any]]:
    """Return what makes a network of tanh layers, the last one linear."""
    given = [(framework.native(w), framework.native(b)) for w, b in layers]
    tanh = framework.xp.tanh

    def make() -> Callable[[Any], Any]:
        def network(x: Any) -> Any:
            for w, b in given[:-1]:
                x = tanh(framework.times(x, w) + b)
            w, b = given[-1]
            return framework.times(x, w) + b

        return network

    return make


def _network_jacobians(layers: Sequence[tuple[Array, Array]], x: Array) -> Array:
    """Return (B, m, n) for samples (B, n), layer by layer."""
    found = np.broadcast_to(np.eye(x.shape[1]), (len(x), x.shape[1], x.shape[1]))
    for place, (w, b) in enumerate(layers):
        x = x @ w + b
        found = w.T @ found
        if place < len(layers) - 1:
            x = np.tanh(x)
            found = (1 - x**2)[:, :, None] * found
    return np.asarray(found)


def batch_network(framework: Any, samples: int) -> Function:
    """Return (a)."""
    layers = _layers(1, 20, 20, 4)
    x = _generator(samples).uniform(-2, 2, (samples, 1))
    return Function(_network(framework, layers), x, lambda: _network_jacobians(layers, x))


def square_network(framework: Any, n: int) -> Function:
    """Return (b)."""
    return _between(framework, n, n, n)


def network_between(framework: Any, size: tuple[int, int]) -> Function:
    """Return (c)."""
    return _between(framework, size[0], 64, size[1])


def _between(framework: Any, *widths: int) -> Function:
    layers = _layers(*widths)
    x = _generator(widths[0]).uniform(-1, 1, widths[0])
    return Function(_network(framework, layers), x, lambda: _network_jacobians(layers, x[None])[0])


def bratu(framework: Any, n: int) -> Function:
    """Return (d): second differences plus exp, zero at both ends."""
    x = _generator(n).uniform(-1, 1, n)
    exp, pad = framework.xp.exp, framework.pad

    def make() -> Callable[[Any], Any]:
        def residual(x: Any) -> Any:
            u = pad(x)
            return u[:-2] - 2 * u[1:-1] + u[2:] + MESH**2 * exp(x)

        return residual

    def truth() -> Any:
        sides = np.ones(n - 1)
        return csr_array(diags_array([sides, MESH**2 * np.exp(x) - 2, sides], offsets=[-1, 0, 1], shape=(n, n)))

    return Function(make, x, truth, np.arange(n) % 3)


def elementwise(framework: Any, n: int) -> Function:
    """Return (e)."""
    x = _generator(n).uniform(-2, 2, n)
    sin, exp = framework.xp.sin, framework.xp.exp

    def make() -> Callable[[Any], Any]:
        def bumps(x: Any) -> Any:
            return x * sin(x) + exp(-x * x)

        return bumps

    return Function(make, x, lambda: np.sin(x) + x * np.cos(x) - 2 * x * np.exp(-x * x), np.zeros(n, np.intp))


def softmax(framework: Any, shape: tuple[int, int]) -> Function:
    """Return (f)."""
    x = _generator(*shape).normal(size=shape)

    def make() -> Callable[[Any], Any]:
        def rows(x: Any) -> Any:
            return framework.softmax(x)

        return rows

    def truth() -> Array:
        p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
        return np.asarray(p[:, :, None] * np.eye(shape[1]) - p[:, :, None] * p[:, None, :])

    return Function(make, x, truth)


def stencil(framework: Any, side: int) -> Function:
    """Return (g): the five-point Laplacian plus exp on a square, zero on its edge."""
    x = _generator(side).uniform(-1, 1, (side, side))
    exp, pad = framework.xp.exp, framework.pad

    def make() -> Callable[[Any], Any]:
        def residual(x: Any) -> Any:
            u = pad(x)
            around = u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:]
            return around - 4 * x + MESH**2 * exp(x)

        return residual

    def truth() -> Any:
        line = diags_array([1.0, -2.0, 1.0], offsets=[-1, 0, 1], shape=(side, side))
        unit = eye_array(side)
        return csr_array(kron(line, unit) + kron(unit, line) + diags_array(MESH**2 * np.exp(x.reshape(-1))))

    i, j = np.divmod(np.arange(side * side), side)
    return Function(make, x, truth, (i + 2 * j) % 5)


def images(framework: Any, count: int) -> Function:
    """Return (h): two convolutions of 3 × 3 without padding, tanh after each, and a dense layer."""
    rng = _generator(count)
    first = rng.normal(size=(CHANNELS[0], 1, 3, 3)) / 3
    second = rng.normal(size=(CHANNELS[1], CHANNELS[0], 3, 3)) / np.sqrt(9 * CHANNELS[0])
    left = (CHANNELS[1], IMAGE - 4, IMAGE - 4)
    dense = rng.normal(size=(*left, CLASSES)) / np.sqrt(prod(left))
    x = rng.uniform(-1, 1, (count, IMAGE, IMAGE))
    make = framework.convolutions(first, second, dense)

    def truth() -> Array:
        one, two = _as_matrix(first, IMAGE), _as_matrix(second, IMAGE - 2)
        a = np.tanh(x.reshape(count, -1) @ one.T)
        b = np.tanh(a @ two.T)
        inner = (1 - a**2)[:, :, None] * one
        return dense.reshape(-1, CLASSES).T @ ((1 - b**2)[:, :, None] * (two @ inner))

    return Function(make, x, truth)


def _as_matrix(kernel: Array, side: int) -> Array:
    """Write a convolution (out, in, 3, 3) of images (in, side, side) as a matrix."""
    out, into, high, wide = kernel.shape
    small = side - 2
    matrix = np.zeros((out, small, small, into, side, side))
    for i in range(small):
        for j in range(small):
            matrix[:, i, j, :, i : i + high, j : j + wide] = kernel
    return matrix.reshape(out * small * small, into * side * side)
