"""Wrong derivatives of TensorFlow's own operators, found in version 2.21: calling any of them right is a false pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from cases.case import Case, Truth

CONJUGATE = "a conjugate is missing in the rule"


def _with_zero(rng: np.random.Generator) -> np.ndarray:
    return np.append(0.0, rng.uniform(2, 4, size=2))


def _complex(*shape: int) -> Callable[[np.random.Generator], np.ndarray]:
    return lambda rng: rng.normal(size=shape) + 1j * rng.normal(size=shape)


def _dominant(rng: np.random.Generator) -> np.ndarray:
    return _complex(3, 3)(rng) + 5 * np.eye(3)


def _by_half(x: Any) -> Any:
    return tf.fill(x.shape, tf.constant(0.5 + 0.8j, x.dtype))


KNOWN_WRONG: dict[str, tuple[Callable[..., Any], Callable[[np.random.Generator], np.ndarray], str]] = {
    "cumprod with a zero": (tf.math.cumprod, _with_zero, "the rule divides by x: 0 instead of the product of the rest"),
    "xlogy at x = 0": (
        lambda x: tf.math.xlogy(x, tf.constant([0.3, 0.3, 0.3], x.dtype)),
        _with_zero,
        "linear in x with slope log y; the rule says 0 at x = 0",
    ),
    "xlog1py at x = 0": (
        lambda x: tf.math.xlog1py(x, tf.constant([0.3, 0.3, 0.3], x.dtype)),
        _with_zero,
        "linear in x with slope log1p y; the rule says 0 at x = 0",
    ),
    "xdivy at x = 0": (
        lambda x: tf.math.xdivy(x, tf.constant([0.3, 0.3, 0.3], x.dtype)),
        _with_zero,
        "linear in x with slope 1 / y; the rule says 0 at x = 0",
    ),
    "hsv_to_rgb": (
        tf.image.hsv_to_rgb,
        lambda rng: rng.uniform(0.18, 0.32, size=(2, 2, 3)),
        "registered as not differentiable: the gradient is None although the function is smooth here",
    ),
    "cumprod, exclusive, with a zero": (
        lambda x: tf.math.cumprod(x, exclusive=True),
        _with_zero,
        "the rule divides by x: 0 instead of the product of the rest",
    ),
    "betainc by a": (
        lambda a: tf.math.betainc(a, tf.constant([1.3] * 3, a.dtype), tf.constant([0.4] * 3, a.dtype)),
        lambda rng: rng.uniform(0.5, 2, size=3),
        "the gradient is None, which says that nothing depends on a",
    ),
    "zeta by x": (
        lambda x: tf.math.zeta(x, tf.constant([1.3] * 3, x.dtype)),
        lambda rng: rng.uniform(1.5, 3, size=3),
        "the gradient is None, which says that nothing depends on x",
    ),
    "atan2 of 1e200": (
        lambda x: tf.atan2(x, x[::-1]),
        lambda rng: rng.uniform(1e199, 1e200, size=2),
        "x^2 + y^2 overflows; the slopes are about 1e-200",
    ),
    "complex cumprod": (tf.math.cumprod, _complex(4), CONJUGATE),
    "complex multiply_no_nan": (lambda x: tf.math.multiply_no_nan(x, _by_half(x)), _complex(4), CONJUGATE),
    "complex xlogy": (lambda x: tf.math.xlogy(x, _by_half(x)), _complex(4), CONJUGATE),
    "complex xlog1py": (lambda x: tf.math.xlog1py(_by_half(x), x), _complex(4), CONJUGATE),
    "complex xdivy": (lambda x: tf.math.xdivy(_by_half(x), x), _complex(4), CONJUGATE),
    "complex silu": (tf.nn.silu, _complex(4), CONJUGATE),
    "complex sqrtm": (tf.linalg.sqrtm, _dominant, CONJUGATE),
    "complex tridiagonal_solve": (
        lambda x: tf.linalg.tridiagonal_solve(x + tf.constant([[0], [9], [0]], x.dtype), x[0], "compact"),
        _complex(3, 4),
        CONJUGATE,
    ),
    "complex squared_difference": (
        lambda x: (1 + 2j) * tf.math.squared_difference(x, _by_half(x)),
        _complex(4),
        "|x - y|^2 is real; the rule is that of (x - y)^2 and wrong for cotangents that are not real",
    ),
    "complex det": (
        tf.linalg.det,
        lambda rng: rng.normal(size=(3, 3)) + 1j * rng.normal(size=(3, 3)),
        "the rule multiplies by the determinant where its conjugate belongs",
    ),
}
"""What goes wrong: the function, where, and why."""

UNRESOLVED: dict[str, tuple[Callable[..., Any], np.ndarray, str]] = {
    "tanh at 25": (tf.tanh, np.array([25.0]), "0 for 7.7e-22; the value is exactly 1"),
    "sigmoid at 40": (tf.sigmoid, np.array([40.0]), "0 for 4.2e-18; the value is exactly 1"),
    "elu at -40": (tf.nn.elu, np.array([-40.0]), "0 for 4.2e-18; the value is exactly -1"),
}
"""Derivatives that are wrong by 100 % where float64 values near the point are all the same: agree is wrong here too."""


def known_wrong(seed: int) -> Iterator[Case]:
    """Yield wrong derivatives that the functions' values resolve."""
    rng = np.random.default_rng([seed, 4])
    for name, (f, point, about) in KNOWN_WRONG.items():
        yield Case(f"tf.wrong.{name}", "tensorflow", f, (tf.constant(point(rng)),), Truth.WRONG, about=about)


def unresolved(seed: int) -> Iterator[Case]:
    """Yield wrong derivatives that float64 values cannot show; `seed` changes nothing, the points are what they are."""
    del seed
    for name, (f, point, about) in UNRESOLVED.items():
        yield Case(f"tf.unresolved.{name}", "tensorflow", f, (tf.constant(point),), Truth.WRONG, about=about)
