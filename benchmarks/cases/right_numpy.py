"""Right hand-written derivatives that some checker has called wrong, by their names in `cases.right`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy.optimize import brentq

from cases.case import Case, Truth

RIGHT, CONVENTION = Truth.RIGHT, Truth.CONVENTION


def _gradient(
    name: str, f: Callable[..., Any], gradient: Callable[..., Any], x: Any, about: str, smooth: bool = False
) -> Case:
    point = (np.asarray(x, float),)
    return Case(name, "numpy", f, point, RIGHT, options={"gradient": gradient}, smooth=smooth, about=about)


def right() -> Iterator[Case]:
    """Yield the cases."""
    yield from scales()
    yield from references()
    yield from noisy()
    yield from kinks()


def scales() -> Iterator[Case]:
    """Yield arguments, values and slopes of unusual size."""
    about = "a large argument"
    yield _gradient("A15", lambda x: np.sum(x**2), lambda x: 2 * x, [1e8, -3e8], about)
    yield _gradient("A16/constant", lambda x: 3.0 + 0 * np.sum(x), np.zeros_like, [0.7, 0.0], "a constant")
    yield _gradient("A16/log", np.log, lambda x: 1 / x, 0.1, "the domain ends closer than many a first step")
    slope = (0.1 + 0.2) - 0.3
    about = "a slope of 5.6e-17, left over where two of 0.3 cancel"
    yield _gradient("A17", lambda x: (0.1 + 0.2) * x[0] - 0.3 * x[0], lambda _: np.array([slope]), [1.0], about)
    yield _gradient(
        "A17/beside", lambda x: x[0] + 0 * x[1], lambda _: np.array([1.0, 1.4e-17]), [1.0, 2.0], "1.4e-17 instead of 0"
    )
    small = np.array([2.7e-8, 7e-8, 1.0])
    yield _gradient("A18/numpy", lambda x: small @ x, lambda _: small, [1.0, -2.0, 0.5], "slopes of 2.7e-8 beside 1")
    yield _gradient("A19/numpy", lambda x: small @ x - 1, lambda _: small, np.zeros(3), "a linear function at 0")
    for c in (1e-12, 1e-9, 1e-6, 1e6, 1e12):
        f, g = _scaled(c)
        yield _gradient(f"A25/{c:g}", f, g, [0.4, -1.3, 0.9], "an objective, scaled", smooth=True)
    about = "the curvature is large and the slope small"
    for a in (1e3, 1e5):
        f, g = _parabola(a)
        yield _gradient(f"P22/right,{a:g}", f, g, 0.0, about)


def _scaled(c: float) -> tuple[Callable[..., Any], Callable[..., Any]]:
    return lambda x: c * np.sum(np.sin(x)), lambda x: c * np.cos(x)


def _parabola(a: float) -> tuple[Callable[..., Any], Callable[..., Any]]:
    return lambda x: a * x**2 + x, lambda x: 2 * a * x + 1


def references() -> Iterator[Case]:
    """Yield functions that finite-difference libraries measure wrongly."""
    yield _gradient("P28/right,oscillation", lambda x: np.sin(1000 * x), lambda x: 1000 * np.cos(1000 * x), 1.0, "")
    yield _gradient("P28/right,kink near", lambda x: np.abs(x - 1.001), lambda x: np.sign(x - 1.001), 1.0, "")
    yield _gradient("P28/right,far out", np.sin, np.cos, 1e10, "")


def noisy() -> Iterator[Case]:
    """Yield functions whose values carry more than rounding."""
    values = lambda x: float(np.round(872.68 * x, 4))  # noqa: E731
    yield _gradient("A22", values, lambda _: 872.68, 1.0, "values rounded to four decimals")

    def root(a: float) -> float:
        return float(brentq(lambda t: t**3 + t - a, -10, 10, xtol=1e-9))

    def slope(a: float) -> float:
        return 1 / (3 * brentq(lambda t: t**3 + t - a, -10, 10, xtol=2e-12) ** 2 + 1)

    yield _gradient("A21/root", root, slope, 2.5, "a root to nine decimals, with the implicit derivative")

    single = {"diagonal": lambda x: np.exp(x)}
    x = (np.array([0.3, -1.2, 2.0], np.float32),)
    yield Case("A20", "numpy", np.exp, x, RIGHT, options=single, smooth=True, about="exp in float32")
    inside = lambda x: np.sin(x.astype(np.float32)).astype(float)  # noqa: E731
    x64 = (np.array([0.3, -1.2, 2.0]),)
    yield Case("A4/numpy", "numpy", inside, x64, RIGHT, options={"diagonal": np.cos}, about="float32 inside")


def kinks() -> Iterator[Case]:
    """Yield points without a derivative."""
    point, options = (np.array([1.0, 0.0, -2.0]),), {"diagonal": lambda x: (x > 0) * 1.0}
    yield Case("A1/numpy", "numpy", lambda x: np.maximum(x, 0), point, CONVENTION, options=options, about="relu at 0")
    options = {"diagonal": np.sign}
    yield Case("A1/abs,numpy", "numpy", np.abs, point, CONVENTION, options=options, about="|x| at 0")
