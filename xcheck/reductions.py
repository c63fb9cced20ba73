"""Numbers that no choice of gauge changes, computed from decompositions in their own framework.

Derivatives follow, as the arithmetic is the framework's own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xcheck.protocol import Native, supports_conjugate, supports_transpose
from xcheck.registry import owner


def eigh(values: Native, vectors: Native) -> dict[str, Native]:
    """Return the eigenvalues (..., k) and the projectors v vᴴ onto the eigenvectors (..., k, m, m)."""
    values = operations_of(values).cast(values, vectors)  # TensorFlow's are complex where the vectors are
    return {"values": values, "projectors": projectors(vectors)}


def eig(values: Native, vectors: Native) -> dict[str, Any]:
    """Return power sums of eigenvalues (..., n), and Σ wʲ v vᴴ / vᴴv for j = 0 to n - 1, each (..., n, n)."""
    values = _complex(values)
    vectors = operations_of(vectors).cast(vectors, values)
    weight = 1 / operations_of(vectors).cast(_norms(_swapped(vectors)), values)
    found = []
    for _ in range(shape_of(values)[-1]):
        found.append((vectors * weight[..., None, :]) @ adjoint(vectors))
        weight = weight * values
    return {"power sums": power_sums(values), "projectors": tuple(found)}


def svd(u: Native, s: Native, vh: Native) -> dict[str, Any]:
    """Return the singular values (..., k), the products s u vᴴ (..., k, m, n), and s uᴴu and s vᴴv (..., k)."""
    k = shape_of(s)[-1]
    left, right = _swapped(u)[..., :k, :], vh[..., :k, :]
    scale = operations_of(s).cast(s, left)
    norms = {"u": scale * _norms(left), "v": scale * _norms(right)}
    return {"values": s, "products": _dyads(scale[..., None] * left, right), "norms": norms}


def qr(q: Native, r: Native) -> dict[str, Native]:
    """Return the products of columns of Q with rows of R (..., k, m, n), and the squared norms of those rows."""
    k = min(shape_of(q)[-2], shape_of(r)[-1])
    rows = r[..., :k, :]
    return {"products": _dyads(_swapped(q)[..., :k, :], rows), "norms": _norms(rows)}


def projectors(vectors: Native) -> Native:
    """Return v vᴴ of every column, (..., k, m, m)."""
    columns = _swapped(vectors)
    return _dyads(columns, operations_of(columns).conjugate(columns))


def row_projectors(rows: Native) -> Native:
    """Return vᴴ times v of every row, (..., k, n, n)."""
    return _dyads(operations_of(rows).conjugate(rows), rows)


def projector(vectors: Native) -> Native:
    """Return V Vᴴ of columns V, (..., m, m)."""
    return vectors @ adjoint(vectors)


def eigvals(values: Native) -> tuple[Native, ...]:
    """Return the power sums of eigenvalues (..., n), as complex numbers."""
    return power_sums(_complex(values))


def _complex(values: Native) -> Native:
    """Return eigenvalues as complex numbers: NumPy's are real where all of them are, and other libraries' never."""
    return values * (1 + 0j)


def power_sums(values: Native) -> tuple[Native, ...]:
    """Return Σ wʲ for j = 1 to n, an array each, so that large powers do not hide small ones."""
    found, power = [], values * 0 + 1
    for _ in range(shape_of(values)[-1]):
        found.append((values[..., None, :] @ power[..., :, None])[..., 0, 0])
        power = power * values
    return tuple(found)


def _dyads(left: Native, right: Native) -> Native:
    """Multiply the rows of two arrays with each other, (..., k, m) and (..., k, n), to matrices (..., k, m, n)."""
    return left[..., :, None] * right[..., None, :]


def _norms(rows: Native) -> Native:
    """Return the squared norm of every row, shape (..., k)."""
    conjugate = operations_of(rows).conjugate(rows)
    return (rows[..., None, :] @ conjugate[..., :, None])[..., 0, 0]


def adjoint(matrix: Native) -> Native:
    """Return the conjugate transpose of matrices (..., m, n)."""
    return operations_of(matrix).conjugate(_swapped(matrix))


def _swapped(matrix: Native) -> Native:
    """Transpose the last two axes."""
    axes = [*range(len(shape_of(matrix)))]
    return operations_of(matrix).transpose(matrix, [*axes[:-2], axes[-1], axes[-2]])


def operations_of(x: Native) -> Any:
    """Return the backend of an array, which transposes, conjugates and casts it.

    Raises:
        TypeError: it is no array, or its backend does not.
    """
    backend = owner(x)
    if backend is None:
        raise TypeError(f"a {type(x).__name__} is no array, and invariants are made of arrays.")
    if not (supports_transpose(backend) and supports_conjugate(backend)):
        raise TypeError(
            f"the backend {backend.name!r} lacks one of the methods transpose, conjugate, cast, which invariants need."
        )
    return backend


def shape_of(x: Native) -> tuple[int, ...]:
    """Return the shape of an array of any framework."""
    return tuple(np.shape(x))
