"""Other tools for whole Jacobians: those of differences, on NumPy's functions, and asdex, on JAX's."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from workloads.reading import of_whole
from workloads.workload import MEASURED, Function, Way

NUMDIFFTOOLS = 30
"""Values that numdifftools takes for an input."""

JACOBI = 20
"""Values that jacobi takes for an input."""

DIFFERENTIATE = 50
"""Values that scipy.differentiate takes for an input, one by one."""


def others(name: str, function: Function, f: Any, x: Any, y: Any, quantity: str) -> list[Way]:
    """Return the ways of other tools that take functions of a framework."""
    if name == "numpy":
        return list(_of_values(function, f, x, y, quantity))
    if name == "jax" and quantity in ("sparse", "diagonal") and find_spec("asdex") is not None:
        return [_asdex(f, x)]
    return []


def _of_values(function: Function, f: Any, x: Any, y: Any, quantity: str) -> list[Way]:
    from scipy.differentiate import jacobian
    from scipy.optimize import approx_fprime
    from scipy.optimize._numdiff import approx_derivative

    n, shapes, point = x.size, (x.shape, y.shape), x.reshape(-1)
    read = of_whole(quantity, np.asarray, *shapes)
    room = 16.0 * prod(x.shape) * prod(y.shape)

    def flat(v: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(f(v.reshape(x.shape)).reshape(-1))

    def columns(v: NDArray[Any]) -> NDArray[Any]:
        """Take points along all axes but the first, as scipy.differentiate asks for."""
        points = np.moveaxis(v, 0, -1)
        values = np.stack([flat(p) for p in points.reshape(-1, n)])
        return np.moveaxis(values.reshape(*points.shape[:-1], -1), -1, 0)

    def way(label: str, run: Callable[[], Any], values: int, copies: float = 1.0) -> Way:
        return Way(label, "peer", lambda: run, read, MEASURED, values=values, room=copies * room)

    found = [
        way("scipy approx_fprime", lambda: approx_fprime(point, flat), n + 1),
        way("scipy approx_derivative, 3-point", lambda: approx_derivative(flat, point), 2 * n),
        way("scipy approx_derivative, cs", lambda: approx_derivative(flat, point, method="cs"), n),
        way("scipy.differentiate.jacobian", lambda: jacobian(columns, point).df, DIFFERENTIATE * n, 30.0),
    ]
    if function.colours is not None and quantity == "sparse":
        sparsity = csr_array(abs(function.truth()) > 0, dtype=np.int64), function.colours
        given = 2 * (int(function.colours.max()) + 1)
        sparse = Way(
            "scipy approx_derivative, 3-point, pattern and colours given", "peer",
            lambda: lambda: approx_derivative(flat, point, sparsity=sparsity), csr_array, MEASURED, values=given,
        )  # fmt: skip
        found.append(sparse)
    if find_spec("numdifftools") is not None:
        from numdifftools import Jacobian

        found.append(way("numdifftools.Jacobian", lambda: Jacobian(flat)(point), NUMDIFFTOOLS * n, NUMDIFFTOOLS))
    if find_spec("jacobi") is not None:
        from jacobi import jacobi

        found.append(way("jacobi", lambda: jacobi(flat, point)[0], JACOBI * n))
        if quantity == "diagonal":
            label, values = "jacobi, diagonal=True", JACOBI
            run = lambda: jacobi(flat, point, diagonal=True)[0]  # noqa: E731
            found.append(Way(label, "peer", lambda: run, np.asarray, MEASURED, values=values))
    return found


def _asdex(f: Any, x: Any) -> Way:
    """Prepare asdex as its documentation advises for repeated use: pattern and colours once, and a compiled call."""

    def prepare() -> Callable[[], Any]:
        import asdex
        import jax

        shape = x.shape
        coloring = asdex.jacobian_coloring(lambda v: f(v.reshape(shape)).reshape(-1), x.reshape(-1))
        compute = jax.jit(asdex.jacobian_from_coloring(lambda v: f(v.reshape(shape)).reshape(-1), coloring))
        return lambda: jax.block_until_ready(compute(x.reshape(-1)))

    def read(result: Any) -> Any:
        indices = np.asarray(result.indices)
        matrix = csr_array((np.asarray(result.data), (indices[:, 0], indices[:, 1])), shape=result.shape)
        return matrix.diagonal() if len(x.shape) == 1 and matrix.nnz == x.size else matrix

    return Way("asdex, jit", "peer", prepare, read)
