"""Which functions of NumPy the complex step passes through, which it does not, and when one of them rounds.

What is listed as analytic is known to be; all else counts as not.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

NOT_ANALYTIC = "is not analytic"
COMPARES = "compares or branches, which is right only away from where the branch changes"
NOT_KNOWN = "is not known to be analytic"

ELEMENTWISE = (
    *(np.add, np.subtract, np.multiply, np.divide, np.negative, np.positive, np.square, np.reciprocal, np.sqrt),
    *(np.exp, np.exp2, np.expm1, np.log, np.log2, np.log10, np.log1p, np.power, np.float_power),
    *(np.sin, np.cos, np.tan, np.sinh, np.cosh, np.tanh),
    *(np.arcsin, np.arccos, np.arctan, np.arcsinh, np.arccosh, np.arctanh),
)
"""Analytic ufuncs whose complex loops keep a tiny imaginary part to rounding."""

SPECIAL = ("erf", "erfc", "erfcx")
"""The same of scipy.special; its Bessel functions, for one, do not."""

COMPARISONS = (
    *(np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal, np.isclose, np.allclose),
    *(np.maximum, np.minimum, np.fmax, np.fmin, np.clip, np.max, np.min, np.ptp, np.sign, np.signbit, np.copysign),
    *(np.heaviside, np.floor, np.ceil, np.rint, np.trunc, np.round, np.fix, np.floor_divide, np.remainder, np.fmod),
    *(np.divmod, np.modf, np.frexp, np.logical_and, np.logical_or, np.logical_xor, np.logical_not, np.any, np.all),
    *(np.sort, np.argsort, np.argmax, np.argmin, np.partition, np.argpartition, np.lexsort, np.unique, np.nonzero),
    *(np.median, np.percentile, np.quantile, np.searchsorted, np.count_nonzero, np.argwhere, np.flatnonzero),
    *(np.array_equal, np.select, np.piecewise, np.where, np.digitize, np.histogram, np.interp),
)
"""Functions that are built on comparisons."""

KNOWN_BAD = (
    *(np.absolute, np.fabs, np.conjugate, np.real, np.imag, np.angle, np.vdot, np.var, np.std),
    *(np.linalg.norm, np.linalg.svd, np.linalg.eigh, np.linalg.eigvalsh, np.linalg.cholesky, np.linalg.qr),
)
"""Functions that take absolute values or conjugates."""

PREDICATES = (np.isfinite, np.isnan, np.isinf)
"""Constant around every point of a function's domain."""

SUMMING = (
    *(np.sum, np.prod, np.mean, np.cumsum, np.cumprod, np.dot, np.inner, np.outer, np.kron, np.tensordot, np.einsum),
    *(np.trace, np.diff, np.ediff1d, np.cross, np.convolve, np.average, np.polyval),
    *(np.linalg.solve, np.linalg.inv, np.linalg.matrix_power, np.linalg.multi_dot, np.linalg.outer, np.linalg.trace),
)
"""Analytic functions that add many products: their rounding is that of their inputs (backward error)."""

STRUCTURAL = (
    *(np.reshape, np.ravel, np.transpose, np.swapaxes, np.moveaxis, np.rollaxis, np.squeeze, np.expand_dims),
    *(np.broadcast_to, np.broadcast_arrays, np.concatenate, np.stack, np.vstack, np.hstack, np.dstack, np.column_stack),
    *(np.block, np.split, np.array_split, np.hsplit, np.vsplit, np.dsplit, np.tile, np.repeat, np.roll, np.flip),
    *(np.fliplr, np.flipud, np.rot90, np.take, np.take_along_axis, np.diag, np.diagonal, np.diagflat, np.tril, np.triu),
    *(np.append, np.insert, np.delete, np.atleast_1d, np.atleast_2d, np.atleast_3d, np.copy, np.meshgrid, np.resize),
    *(np.compress, np.zeros_like, np.ones_like, np.empty_like, np.full_like),
)
"""Functions that move numbers about; they run on the numbers themselves, so that views stay views."""

QUESTIONS = (
    *(np.shape, np.ndim, np.size, np.iscomplexobj, np.isrealobj, np.result_type, np.can_cast),
    *(np.shares_memory, np.may_share_memory),
)


def is_elementwise(ufunc: Any) -> bool:
    """Tell whether a ufunc is analytic in every argument, entry by entry."""
    special = sys.modules.get("scipy.special")
    return ufunc in ELEMENTWISE or ufunc in [getattr(special, name, None) for name in SPECIAL]


def objection(func: Any) -> str:
    """Say why a function that is not listed as analytic does not count."""
    if func in COMPARISONS or func.__name__ == "clip":
        return COMPARES
    return NOT_ANALYTIC if func in KNOWN_BAD else NOT_KNOWN


def is_rounded(ufunc: Any, inputs: list[Any]) -> Any:
    """Tell where the result of an operation on real numbers is not exact.

    By error-free transformations (Knuth; Dekker 1971): what is lost may be far below an ulp and yet matter, as in
    `1 + q - 1`.
    """
    if ufunc in (np.negative, np.positive):
        return False
    if any(value.dtype.kind not in "fiub" or value.dtype.itemsize > 8 for value in inputs):
        return True
    a, b = inputs[0].astype(np.float64), inputs[-1].astype(np.float64)
    if ufunc in (np.add, np.subtract):
        return _sum_error(a, b if ufunc is np.add else -b) != 0
    if ufunc in (np.multiply, np.square):
        return _product_error(a, b, a * b) != 0
    if ufunc is np.divide:
        return _product_error(a / b, b, a) != 0
    return True


def _sum_error(a: Any, b: Any) -> Any:
    total = a + b
    part = total - a
    return (a - (total - part)) + (b - part)


def _product_error(a: Any, b: Any, product: Any) -> Any:
    """Return `a b - product` where `product` is near it; NaN, which is not zero, where that may over- or underflow."""
    (high, low), (top, rest) = _halves(a), _halves(b)
    error = ((high * top - product) + high * rest + low * top) + low * rest
    size = np.abs(product)
    return np.where((size > 1e-250) & (size < 1e250), error, np.where((a == 0) | (b == 0), 0.0, np.nan))


def _halves(a: Any) -> tuple[Any, Any]:
    wide = a * 134217729.0  # 2^27 + 1
    high = wide - (wide - a)
    return high, a - high
