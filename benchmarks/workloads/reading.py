"""Results brought into one shape, to be held against each other."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse

Shape = tuple[int, ...]


def of_result(quantity: str, numpy: Callable[[Any], NDArray[Any]], x: Shape, y: Shape) -> Callable[[Any], Any]:
    """Read what xcheck, and calls that make just what is asked for, return."""

    def read(result: Any) -> Any:
        if quantity == "sparse":
            return csr_array(result)
        array = numpy(result)
        if quantity == "batch":
            return array.reshape(x[0], prod(y[1:]), prod(x[1:]))
        return array.reshape(-1) if quantity == "diagonal" else array.reshape(prod(y), prod(x))

    return read


def of_whole(quantity: str, numpy: Callable[[Any], NDArray[Any]], x: Shape, y: Shape) -> Callable[[Any], Any]:
    """Read what is asked for from a whole Jacobian, (m, n) or `y + x`."""

    def read(result: Any) -> Any:
        whole = result if issparse(result) else numpy(result).reshape(prod(y), prod(x))
        if quantity == "batch":
            cube = whole.reshape(y[0], prod(y[1:]), x[0], prod(x[1:]))
            return cube[np.arange(x[0]), :, np.arange(x[0]), :]
        if quantity == "diagonal":
            return whole.diagonal()
        return csr_array(whole) if quantity == "sparse" else whole

    return read


def of_columns(numpy: Callable[[Any], NDArray[Any]], x: Shape, y: Shape) -> Callable[[Any], Any]:
    """Read the Jacobians of samples from one gradient of the batch for every output of a sample."""

    def read(columns: Any) -> Any:
        stacked = np.stack([numpy(c).reshape(x[0], prod(x[1:])) for c in columns], axis=1)
        return stacked.reshape(x[0], prod(y[1:]), prod(x[1:]))

    return read


def of_colours(
    numpy: Callable[[Any], NDArray[Any]], pattern: Any, colours: NDArray[np.intp], by_rows: bool = False
) -> Callable[[Any], Any]:
    """Read a sparse Jacobian from its products with the sums of the unit vectors of every colour."""

    def read(products: Any) -> Any:
        rows = np.stack([numpy(p).reshape(-1) for p in products])
        i, j = pattern.nonzero()
        values = rows[colours[i], j] if by_rows else rows[colours[j], i]
        return csr_array((values, (i, j)), shape=pattern.shape)

    return read


def seeds_of(colours: NDArray[np.intp], shape: Shape) -> list[NDArray[np.float64]]:
    """Return the sum of the unit vectors of every colour."""
    return [np.where(colours == c, 1.0, 0.0).reshape(shape) for c in range(int(colours.max()) + 1)]
