"""Linear algebra under the standard's names, on `tf.linalg`."""

from __future__ import annotations

from math import inf
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from xcheck_backends.tensorflow_namespace.lacking import lacking

tnp = tf.experimental.numpy
cross, matmul, outer, tensordot = tnp.cross, tnp.matmul, tnp.outer, tnp.tensordot
det, inv, matrix_transpose = tf.linalg.det, tf.linalg.inv, tf.linalg.matrix_transpose
eigvalsh, pinv = tf.linalg.eigvalsh, tf.linalg.pinv


class EighResult(NamedTuple):
    """Eigenvalues in ascending order, and eigenvectors as columns."""

    eigenvalues: Any
    eigenvectors: Any


class QRResult(NamedTuple):
    """An orthonormal factor, and a triangular one."""

    Q: Any
    R: Any


class SlogdetResult(NamedTuple):
    """The sign of a determinant, and the logarithm of its absolute value."""

    sign: Any
    logabsdet: Any


class SVDResult(NamedTuple):
    """Left singular vectors, singular values in descending order, and right singular vectors as rows."""

    U: Any
    S: Any
    Vh: Any


def cholesky(x: Any, /, *, upper: bool = False) -> Any:
    """Return the lower triangular factor, or the upper one."""
    factor = tf.linalg.cholesky(x)
    return tf.linalg.adjoint(factor) if upper else factor


def diagonal(x: Any, /, *, offset: int = 0) -> Any:
    """Return the diagonals of the last two axes."""
    return tnp.diagonal(x, offset, -2, -1)


def eigh(x: Any, /) -> EighResult:
    """Diagonalise Hermitian matrices."""
    return EighResult(*tf.linalg.eigh(x))


def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    """Return the norms of matrices: "fro", "nuc", 1, -1, 2, -2, inf or -inf."""
    if ord in ("nuc", 2, -2):
        values = svdvals(x)
        pick = {"nuc": tf.reduce_sum, 2: tf.reduce_max, -2: tf.reduce_min}[ord]
        norm = pick(values, axis=-1)
        return norm[..., None, None] if keepdims else norm
    if ord in (-1, -inf):
        norm = tf.reduce_min(tf.reduce_sum(tf.abs(x), axis=-2 if ord == -1 else -1), axis=-1)
        return norm[..., None, None] if keepdims else norm
    if ord == "fro":
        return vector_norm(x, axis=(-2, -1), keepdims=keepdims)
    return tf.norm(x, ord, axis=[-2, -1], keepdims=keepdims)


def matrix_power(x: Any, n: int, /) -> Any:
    """Multiply matrices by themselves, or their inverses."""
    base = tf.linalg.inv(x) if n < 0 else x
    result = tf.eye(x.shape[-1], batch_shape=x.shape[:-2], dtype=x.dtype)
    for _ in range(abs(n)):
        result = result @ base
    return result


def matrix_rank(x: Any, /, *, rtol: Any = None) -> Any:
    """Count the singular values above `rtol` times the largest; rtol is the longer side times epsilon if None."""
    values = svdvals(x)
    least = max(x.shape[-2:]) * tnp.finfo(values.dtype.as_numpy_dtype).eps if rtol is None else rtol
    return tf.math.count_nonzero(values > least * tf.reduce_max(values, axis=-1, keepdims=True), axis=-1)


def qr(x: Any, /, *, mode: str = "reduced") -> QRResult:
    """Factorise into an orthonormal and a triangular matrix; mode is "reduced" or "complete"."""
    if mode not in ("reduced", "complete"):
        raise ValueError(f"mode={mode!r} is unknown. Accepted: 'reduced', 'complete'.")
    return QRResult(*tf.linalg.qr(x, full_matrices=mode == "complete"))


def slogdet(x: Any, /) -> SlogdetResult:
    """Return the sign and the logarithm of determinants."""
    return SlogdetResult(*tf.linalg.slogdet(x))


def solve(x1: Any, x2: Any, /) -> Any:
    """Solve `x1 @ y = x2`, where `x2` is a vector if it has one axis, else matrices."""
    if len(x2.shape) == 1:
        return solve(x1, x2[:, None])[..., 0]
    batch = np.broadcast_shapes(tuple(x1.shape[:-2]), tuple(x2.shape[:-2]))
    return tf.linalg.solve(*(tf.broadcast_to(x, (*batch, *x.shape[-2:])) for x in (x1, x2)))


def svd(x: Any, /, *, full_matrices: bool = True) -> SVDResult:
    """Factorise as `U @ diag(S) @ Vh`."""
    s, u, v = tf.linalg.svd(x, full_matrices=full_matrices)
    return SVDResult(u, s, tf.linalg.adjoint(v))


def svdvals(x: Any, /) -> Any:
    """Return singular values in descending order."""
    return tf.linalg.svd(x, compute_uv=False)


def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    """Sum the diagonals of the last two axes."""
    diagonals = diagonal(x, offset=offset)
    return tf.reduce_sum(diagonals if dtype is None else tf.cast(diagonals, dtype), axis=-1)


def vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """Return the products of vectors along an axis, `x1` conjugated."""
    return tf.reduce_sum(tnp.multiply(tf.math.conj(x1), x2), axis=axis)


def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: float = 2) -> Any:
    """Return the norms of vectors along one axis, several, or all."""
    axes = list(range(len(x.shape))) if axis is None else list(axis) if isinstance(axis, tuple) else [axis]
    size = tf.abs(x)
    if ord == 0:
        return tf.reduce_sum(tf.cast(size != 0, size.dtype), axis=axes, keepdims=keepdims)
    if ord in (inf, -inf):
        return (tf.reduce_max if ord > 0 else tf.reduce_min)(size, axis=axes, keepdims=keepdims)
    if ord == 1:
        return tf.reduce_sum(size, axis=axes, keepdims=keepdims)
    if ord == 2:
        return tf.math.real(tf.sqrt(tf.reduce_sum(x * tf.math.conj(x), axis=axes, keepdims=keepdims)))
    return tf.reduce_sum(size**ord, axis=axes, keepdims=keepdims) ** (1 / ord)


def __getattr__(name: str) -> Any:
    raise lacking(f"linalg.{name}")
