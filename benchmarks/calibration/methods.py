"""Ways of measuring a derivative with an error bar, and what each of them gives for a pair."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import scipy.differentiate

import xcheck
from calibration.pair import Pair


class Counted:
    """A pair's function that counts the points it is asked for; casts to the dtype that it exists in, if told to."""

    def __init__(self, pair: Pair, cast: bool = False) -> None:
        """Wrap the function of a pair."""
        self.f = pair.f
        self.dtype = (pair.only or "float64") if cast else ""
        self.size = max(1, np.size(pair.x))
        self.count = 0
        self.__name__ = pair.f.__name__

    def __call__(self, x: Any) -> Any:
        """Evaluate."""
        self.count += max(1, np.size(x) // self.size)
        if not self.dtype:
            return self.f(x)
        value = self.f(np.asarray(x, dtype=self.dtype)[()])
        return np.asarray(value, dtype=np.float64)[()]


@dataclass(frozen=True)
class Outcome:
    """What a method said of one pair.

    Attributes:
        value, bar: arrays of the derivative's shape; a bar that is not finite claims nothing.
        evaluations: points at which the function was evaluated.
        seconds: wall time.
    """

    value: Any
    bar: Any
    evaluations: int
    seconds: float


Method = Callable[[Counted, Any], tuple[Any, Any]]


def central(f: Counted, x: Any) -> tuple[Any, Any]:
    """Central differences with h = u^(1/3) max(|x|, 1); the usual bar is the change when h is halved."""
    step = (np.finfo(f.dtype).eps ** (1 / 3)) * np.maximum(np.abs(x), 1.0)

    def slope(h: Any) -> Any:
        if np.ndim(x) == 0:
            return (f(x + h) - f(x - h)) / (2 * h)
        columns = [(f(x + e) - f(x - e)) / (2 * h[j]) for j, e in enumerate(np.diag(h))]
        return np.stack(columns, axis=-1)

    value = slope(step)
    return value, np.abs(value - slope(step / 2))


def numdifftools_(f: Counted, x: Any) -> tuple[Any, Any]:
    """Derivative or Jacobian of numdifftools, with its error estimate."""
    import numdifftools

    method = numdifftools.Derivative if np.ndim(x) == 0 else numdifftools.Jacobian
    result = method(f, full_output=True)(x)
    return result.estimate, result.error_estimate


def jacobi_(f: Counted, x: Any) -> tuple[Any, Any]:
    """What jacobi.jacobi gives."""
    import jacobi

    return jacobi.jacobi(f, x)


def scipy_(f: Counted, x: Any) -> tuple[Any, Any]:
    """Derivative or Jacobian of scipy.differentiate; no claim where it reports no success."""
    if np.ndim(x) == 0:
        result = scipy.differentiate.derivative(f, x)
    else:
        result = scipy.differentiate.jacobian(lambda points: np.apply_along_axis(f, 0, points), x)
    return result.df, np.where(result.success, result.error, np.inf)


def peers() -> dict[str, Method]:
    """Return the methods that xcheck is measured against."""
    return {
        "numdifftools": numdifftools_,
        "jacobi": jacobi_,
        "scipy.differentiate": scipy_,
        "central differences": central,
    }


def own() -> dict[str, Method]:
    """Return xcheck's methods; `precise=True` only where this version has it."""
    methods: dict[str, Method] = {"xcheck": xcheck.finite_difference}
    if "precise" in inspect.signature(xcheck.finite_difference).parameters:
        methods["xcheck, precise"] = lambda f, x: xcheck.finite_difference(f, x, precise=True)
    return methods


def measure(name: str, method: Method, pair: Pair) -> Outcome:
    """Run one method on one pair; a peer that fails claims nothing."""
    f = Counted(pair, cast=name in peers())
    x = pair.x if name not in peers() else np.asarray(pair.x, dtype=np.float64)[()]
    shape = np.shape(pair.low)
    start = perf_counter()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            value, bar = method(f, x)
        except (ArithmeticError, ValueError, np.linalg.LinAlgError):
            if name not in peers():
                raise
            value, bar = np.full(shape, np.nan), np.full(shape, np.inf)
    seconds = perf_counter() - start
    value, bar = (np.reshape(np.asarray(part, dtype=np.float64), shape) for part in (value, bar))
    return Outcome(value, np.where(np.isfinite(value) & np.isfinite(bar), bar, np.inf), f.count, seconds)
