"""Two arithmetics for one formula: NumPy's floats, and dual numbers over mpmath."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ml_dtypes
import mpmath as mp
import numpy as np
import scipy.special as special

DIGITS = 60
"""Decimal digits of exact values; what cancels in a formula leaves more than thirty."""

STEPS = 400
"""The most iterations of a solver."""

ELEMENTARY: Mapping[str, tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]] = {
    "sin": (np.sin, mp.sin, mp.cos),
    "cos": (np.cos, mp.cos, lambda x: -mp.sin(x)),
    "tan": (np.tan, mp.tan, lambda x: 1 / mp.cos(x) ** 2),
    "arcsin": (np.arcsin, mp.asin, lambda x: 1 / mp.sqrt(1 - x * x)),
    "arctan": (np.arctan, mp.atan, lambda x: 1 / (1 + x * x)),
    "sinh": (np.sinh, mp.sinh, mp.cosh),
    "cosh": (np.cosh, mp.cosh, mp.sinh),
    "tanh": (np.tanh, mp.tanh, lambda x: 1 / mp.cosh(x) ** 2),
    "exp": (np.exp, mp.exp, mp.exp),
    "expm1": (np.expm1, mp.expm1, mp.exp),
    "log": (np.log, mp.log, lambda x: 1 / x),
    "log1p": (np.log1p, mp.log1p, lambda x: 1 / (1 + x)),
    "sqrt": (np.sqrt, mp.sqrt, lambda x: 1 / (2 * mp.sqrt(x))),
    "erf": (special.erf, mp.erf, lambda x: 2 / mp.sqrt(mp.pi) * mp.exp(-x * x)),
    "erfc": (special.erfc, mp.erfc, lambda x: -2 / mp.sqrt(mp.pi) * mp.exp(-x * x)),
    "sigmoid": (special.expit, lambda x: 1 / (1 + mp.exp(-x)), lambda x: 1 / (2 * mp.cosh(x / 2)) ** 2),
}
"""By name: the function on NumPy arrays, on mpmath numbers, and its derivative on mpmath numbers."""


class Dual:
    """A value and its slope along one direction, or its gradient as an array of mpmath numbers.

    Comparisons look at the slope where the values are the same: a point that moves to the right by less than any number
    is to the right. That gives the one-sided derivatives of a formula with `where`, `abs` and `maximum`.
    """

    __slots__ = ("slope", "value")

    def __init__(self, value: Any, slope: Any = 0) -> None:
        """Take both as exact."""
        self.value = mp.mpf(value)
        self.slope = mp.mpf(slope) if isinstance(slope, (int, float)) else slope

    def __add__(self, other: Any) -> Dual:
        """Add."""
        other = _dual(other)
        return Dual(self.value + other.value, self.slope + other.slope)

    def __neg__(self) -> Dual:
        """Negate."""
        return Dual(-self.value, -self.slope)

    def __sub__(self, other: Any) -> Dual:
        """Subtract."""
        return self + -_dual(other)

    def __rsub__(self, other: Any) -> Dual:
        """Subtract from a number."""
        return -self + other

    def __mul__(self, other: Any) -> Dual:
        """Multiply."""
        other = _dual(other)
        return Dual(self.value * other.value, self.slope * other.value + other.slope * self.value)

    def __truediv__(self, other: Any) -> Dual:
        """Divide."""
        other = _dual(other)
        ratio = self.value / other.value
        return Dual(ratio, (self.slope - other.slope * ratio) / other.value)

    def __rtruediv__(self, other: Any) -> Dual:
        """Divide a number."""
        return _dual(other) / self

    def __pow__(self, power: float) -> Dual:
        """Raise to a constant power."""
        power = mp.mpf(power)
        return Dual(self.value**power, self.slope * (power * self.value ** (power - 1)))

    def __gt__(self, other: Any) -> bool:
        """Compare values, then slopes."""
        other = _dual(other)
        return bool(self.value > other.value or (self.value == other.value and self.slope > other.slope))

    def __lt__(self, other: Any) -> bool:
        """Compare values, then slopes."""
        return _dual(other) > self

    __radd__ = __add__
    __rmul__ = __mul__


def hashed(x: Any, key: int) -> Any:
    """Return a standard normal number for every float of `x`, the same whenever it is asked (splitmix64)."""
    bits = np.atleast_1d(np.asarray(x, dtype=np.float64)).view(np.uint64).reshape(np.shape(x))
    with np.errstate(over="ignore"):
        z = bits + np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            z = (z ^ (z >> np.uint64(shift))) * np.uint64(factor)
        z = z ^ (z >> np.uint64(31))
    return special.ndtri(((z >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53)


def _dual(x: Any) -> Dual:
    return x if isinstance(x, Dual) else Dual(x)


def _lift(value: Callable[..., Any], slope: Callable[..., Any]) -> Callable[..., Any]:
    def scalar(x: Any) -> Dual:
        x = _dual(x)
        return Dual(value(x.value), x.slope * slope(x.value))

    every = np.frompyfunc(scalar, 1, 1)
    return lambda x: every(x) if isinstance(x, np.ndarray) else scalar(x)


def _floor_exactly(x: Any) -> Dual:
    below = mp.floor(x.value)
    return Dual(below - 1 if below == x.value and x.slope < 0 else below)


def _noisy_floats(y: Any, x: Any, level: float, key: int) -> Any:
    return y * (1 + level * hashed(x, key)).astype(np.asarray(y).dtype)


def _rounded_floats(y: Any, dtype: str) -> Any:
    return np.asarray(y).astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype).astype(np.asarray(y).dtype)


def _rounded_exactly(y: Any, dtype: str) -> Dual:
    return Dual(float(_rounded_floats(np.float64(float(y.value)), dtype)))


def _iterate_floats(step: Callable[[Any], Any], start: Any, tolerance: float) -> Any:
    y, active = start, np.ones(np.shape(start), bool)
    for _ in range(STEPS):
        new = step(y)
        moving = np.abs(new - y) > tolerance * np.abs(new)
        y = np.where(active, new, y)
        active = active & moving
        if not np.any(active):
            break
    return y


def _iterate_exactly(step: Callable[[Any], Any], start: Any, tolerance: float) -> Dual:
    y = _dual(start)
    for _ in range(STEPS):
        last, y = y, _dual(step(y))
        if abs(y.value - last.value) <= tolerance * abs(y.value):
            break
    return y


def _bisect_floats(g: Callable[[Any], Any], low: float, high: float, x: Any, tolerance: float) -> Any:
    low, high = np.full_like(x, low), np.full_like(x, high)
    while np.any(high - low > tolerance):
        middle = (low + high) / 2
        above = g(middle) > 0
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return (low + high) / 2


FLOATS: dict[str, Any] = {
    **{name: f for name, (f, _, _) in ELEMENTARY.items()},
    "floor": np.floor,
    "abs": np.abs,
    "maximum": np.maximum,
    "where": np.where,
    "sum": np.sum,
    "cumsum": np.cumsum,
    "stack": lambda *parts: np.stack(np.broadcast_arrays(*parts)),
    "noisy": _noisy_floats,
    "rounded": _rounded_floats,
    "iterate": _iterate_floats,
    "bisect": _bisect_floats,
}
"""What formulas are made of, on NumPy arrays, elementwise."""

EXACT: dict[str, Any] = {
    **{name: _lift(value, slope) for name, (_, value, slope) in ELEMENTARY.items()},
    "floor": _floor_exactly,
    "abs": lambda x: -x if x < 0 else x,
    "maximum": lambda a, b: _dual(a) if _dual(a) > b else _dual(b),
    "where": lambda condition, a, b: _dual(a if condition else b),
    "sum": np.sum,
    "cumsum": np.cumsum,
    "stack": lambda *parts: np.array([_dual(part) for part in parts], dtype=object),
    "noisy": lambda y, *_: y,
    "rounded": _rounded_exactly,
    "iterate": _iterate_exactly,
}
"""The same on dual numbers, without noise; what is rounded to lower precision has the slope of a staircase, zero."""
