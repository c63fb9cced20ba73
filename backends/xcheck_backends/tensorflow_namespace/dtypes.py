"""Dtypes: casts, and questions about them."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import tensorflow as tf


def astype(x: Any, dtype: Any, /, *, copy: bool = True) -> Any:
    """Cast a tensor; there is nothing to copy, since tensors do not change."""
    return tf.cast(x, dtype)


def can_cast(from_: Any, to: Any, /) -> bool:
    """Tell whether a tensor, or a dtype, can be cast without loss by the rules of promotion."""
    return np.can_cast(_numpy(getattr(from_, "dtype", from_)), _numpy(to))


def finfo(type: Any, /) -> Any:
    """Return the limits of a floating-point dtype, or of a tensor's."""
    return ml_dtypes.finfo(_numpy(getattr(type, "dtype", type)))


def iinfo(type: Any, /) -> Any:
    """Return the limits of an integer dtype, or of a tensor's."""
    return ml_dtypes.iinfo(_numpy(getattr(type, "dtype", type)))


def isdtype(dtype: Any, kind: Any) -> bool:
    """Tell whether a dtype is another, or of a kind such as "real floating", or one of several."""
    kinds = kind if isinstance(kind, tuple) else (kind,)
    return np.isdtype(_numpy(dtype), tuple(k if _is_kind(k) else _numpy(k) for k in kinds))


KINDS = ("bool", "signed integer", "unsigned integer", "integral", "real floating", "complex floating", "numeric")


def _is_kind(kind: Any) -> bool:
    return isinstance(kind, str) and kind in KINDS


def _numpy(dtype: Any) -> Any:
    return np.dtype(tf.as_dtype(dtype).as_numpy_dtype)
