"""The array-API names over TensorFlow: a thin shim, for functions that are written once for any namespace.

What `tf.experimental.numpy` calls as the standard does is taken from there as it is, with its promotion of dtypes and
its default one, float64; then from `tf.math`; then from `tf`. The modules beside this one hold what TensorFlow calls,
or does, otherwise. Derivatives are TensorFlow's own throughout.

Tensors keep their operators (`x @ y`, `x[0]`, `x**2`) and get no methods: `x.T` and `x.sum()` would need
`experimental_enable_numpy_behavior`, which changes the whole process and is not called here.
"""

from __future__ import annotations

from math import e, inf, nan, pi
from typing import Any

import tensorflow as tf

from xcheck_backends.tensorflow_namespace import fft, linalg
from xcheck_backends.tensorflow_namespace.dtypes import astype, can_cast, finfo, iinfo, isdtype
from xcheck_backends.tensorflow_namespace.elementwise import (
    bitwise_left_shift,
    bitwise_right_shift,
    ceil,
    clip,
    copysign,
    floor,
    hypot,
    isfinite,
    isinf,
    isnan,
    logaddexp,
    round,
    trunc,
)
from xcheck_backends.tensorflow_namespace.lacking import lacking
from xcheck_backends.tensorflow_namespace.linalg import matrix_transpose, vecdot
from xcheck_backends.tensorflow_namespace.manipulation import (
    broadcast_shapes,
    concat,
    flip,
    linspace,
    permute_dims,
    reshape,
    unstack,
)
from xcheck_backends.tensorflow_namespace.reductions import (
    all,
    any,
    argmax,
    argmin,
    argsort,
    count_nonzero,
    cumulative_prod,
    cumulative_sum,
    max,
    mean,
    min,
    prod,
    sort,
    std,
    sum,
    var,
)

__all__ = [
    "all",
    "any",
    "argmax",
    "argmin",
    "argsort",
    "astype",
    "bitwise_left_shift",
    "bitwise_right_shift",
    "broadcast_shapes",
    "can_cast",
    "ceil",
    "clip",
    "concat",
    "copysign",
    "count_nonzero",
    "cumulative_prod",
    "cumulative_sum",
    "e",
    "fft",
    "finfo",
    "flip",
    "floor",
    "hypot",
    "iinfo",
    "inf",
    "isdtype",
    "isfinite",
    "isinf",
    "isnan",
    "linalg",
    "linspace",
    "logaddexp",
    "matrix_transpose",
    "max",
    "mean",
    "min",
    "nan",
    "newaxis",
    "permute_dims",
    "pi",
    "prod",
    "reshape",
    "round",
    "sort",
    "std",
    "sum",
    "trunc",
    "unstack",
    "var",
    "vecdot",
]

newaxis = None

DTYPES = ("bool", *(f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64)), "float32", "float64")
DTYPES += ("complex64", "complex128")
"""Taken from `tf`, as `x.dtype` is one of those; `tf.experimental.numpy` has NumPy's."""

ALIASES = {
    "acos": "arccos",
    "acosh": "arccosh",
    "asin": "arcsin",
    "asinh": "arcsinh",
    "atan": "arctan",
    "atan2": "arctan2",
    "atanh": "arctanh",
    "bitwise_invert": "bitwise_not",
    "pow": "power",
}
"""What `tf.experimental.numpy` calls otherwise, and that alone."""

LOOKED_UP = (tf.experimental.numpy, tf.math, tf)


def __getattr__(name: str) -> Any:
    """Find a name that TensorFlow has under the standard's."""
    if name in DTYPES:
        return getattr(tf, name)
    for module in LOOKED_UP:
        found = getattr(module, ALIASES.get(name, name), None)
        if found is not None:
            return found
    raise lacking(name)
