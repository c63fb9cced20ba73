"""Wrong hand-written derivatives of NumPy functions, and those of HIPS autograd, by their names in `cases.wrong`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np

from cases.case import Case, Truth
from cases.scales import FACTORS
from cases.witnesses import expm1

WRONG, CONVENTION = Truth.WRONG, Truth.CONVENTION
POINT = np.array([0.4, -1.3, 0.9])


def wrong() -> Iterator[Case]:
    """Yield the cases."""
    yield from gradients()
    yield from jacobians()
    yield from references()
    if find_spec("autograd"):
        yield from hips()


def _gradient(name: str, f: Callable[..., Any], gradient: Callable[..., Any], x: Any, about: str) -> Case:
    return Case(name, "numpy", f, (np.asarray(x, float),), WRONG, options={"gradient": gradient}, about=about)


def gradients() -> Iterator[Case]:
    """Yield wrong gradients of scalar functions."""

    def complex_step(x: np.ndarray) -> np.ndarray:
        return np.array([np.abs(v + 1e-40j).imag / 1e-40 for v in x])

    about = "the complex step through np.abs, which is no analytic function"
    yield _gradient("P17", lambda x: np.sum(np.abs(x)), complex_step, POINT, about)
    yield _gradient("P20/numpy", lambda x: 2.24e-4 * x, lambda _: 4.84e-5, 1.7, "4.84e-5 instead of 2.24e-4")
    yield _gradient("P21", lambda x: 1e-9 * np.sin(x), lambda _: 0.0, 0.6, "0 for the gradient of 1e-9 sin(x)")
    about = "at 0 the curvature is large and the gradient is "
    yield _gradient("P22/0.9", lambda x: 1e3 * x**2 + x, lambda _: 0.9, 0.0, about + "10 % too small")
    yield _gradient("P22/sign", lambda x: 1e5 * x**2 + x, lambda _: -1.0, 0.0, about + "of the wrong sign")
    yield _gradient("P24/nan", np.sum, lambda _: np.array([np.nan, 1, 1]), POINT, "NaN instead of 1")
    slope = np.array([1e-5, 1.0, 1.0])
    claimed = np.array([9e-5, 1.0, 1.0])
    yield _gradient("P24/small", lambda x: slope @ x, lambda _: claimed, POINT, "9e-5 instead of 1e-5, beside 1")
    for c, s in FACTORS:
        yield _gradient(
            f"P25/c={c:g},s={s:g}",
            lambda x, c=c, s=s: c * np.sum(np.sin(x / s)),
            np.zeros_like,
            s * POINT,
            "the gradient of c sin(x / s) is zero",
        )
    noisy = lambda x: float(np.round(872.68 * x, 4))  # noqa: E731
    yield _gradient("P29", noisy, lambda _: 860.83, 1.0, "860.83 instead of 872.68, values rounded to four decimals")


def jacobians() -> Iterator[Case]:
    """Yield wrong Jacobians and diagonals."""

    def totals(x: Any, y: Any) -> dict[str, Any]:
        return {"first": x**2 + y, "second": y**3}

    def claimed(x: Any, _: Any) -> dict[str, Any]:
        return {"first": (2 * x, np.float64(1)), "second": (np.float64(0), np.float64(300))}

    point, options = (np.float64(2), np.float64(3)), {"jacobian": claimed}
    about = "the second of two totals: 300 instead of 27"
    yield Case("P16", "numpy", totals, point, WRONG, options=options, about=about)

    scales = np.diag([1e4, 1.0, 1.0])
    flipped = {"jacobian": lambda _: np.diag([1e4, -1.0, 1.0])}
    about = "the sign of an entry 1 beside 1e4"
    yield Case("P23", "numpy", lambda x: scales @ x, (POINT,), WRONG, options=flipped, about=about)

    about = "row sums of the Jacobian of cumsum, taken for its diagonal"
    sums = {"diagonal": lambda _: np.arange(1.0, 4.0)}
    yield Case("P27/rows", "numpy", np.cumsum, (POINT,), WRONG, options=sums, about=about)

    weights = np.array([[1.0, 0.5, 0.2], [0.3, 5e-8, 0.1]])
    dropped = {"jacobian": lambda _: np.where(weights < 1e-7, 0, weights)}
    about = "entries below 1e-7 were dropped"
    yield Case("P31", "numpy", lambda x: weights @ x, (POINT,), WRONG, options=dropped, about=about)


def references() -> Iterator[Case]:
    """Yield what finite-difference libraries gave with a small error estimate; it is claimed here."""
    yield _gradient(
        "P28/oscillation",
        lambda x: np.sin(1000 * x),
        lambda _: -2.986,
        1.0,
        "numdifftools: -2.986 ± 0.003 instead of 562.38",
    )
    yield _gradient(
        "P28/kink near",
        lambda x: np.abs(x - 1.001),
        lambda _: -0.0153,
        1.0,
        "jacobi: -0.0153 ± 0.0026 instead of -1, a kink 0.001 away",
    )
    yield _gradient("P28/far out", np.sin, lambda _: -9e-11, 1e10, "jacobi: -9e-11 ± 4e-10 instead of 0.873")


def hips() -> Iterator[Case]:
    """Yield derivatives that HIPS autograd computes."""
    import autograd
    import autograd.numpy as anp

    for c, s in FACTORS:
        primitive = autograd.extend.primitive(lambda x, c=c, s=s: c * x / s)
        autograd.extend.defvjp(primitive, lambda *_: np.zeros_like)
        total = lambda x, primitive=primitive: anp.sum(primitive(x))  # noqa: E731
        yield _gradient(
            f"P26/c={c:g},s={s:g}", total, autograd.grad(total), s * POINT, "the gradient of c x / s is zero"
        )

    about = "elementwise_grad gives column sums where the function is not elementwise"
    columns = {"diagonal": autograd.elementwise_grad(anp.cumsum)}
    yield Case("P27/columns", "numpy", anp.cumsum, (POINT,), WRONG, options=columns, about=about)
    yield _gradient("P36", anp.prod, autograd.grad(anp.prod), [0.0, 3, 4], "the product at 0: NaN instead of 12")
    about = "sinc at 0: NaN instead of 0"
    yield _gradient("E/sinc,autograd", lambda x: anp.sum(anp.sinc(x)), autograd.grad(anp.sinc), 0.0, about)

    about = "exp(-40) is claimed to be 0; in float64 the function is -1 all around"
    slope, tail = {"gradient": autograd.grad(anp.expm1)}, (np.float64(-40.0),)
    unknown = about + ", so values cannot tell"
    yield Case("P37/autograd", "numpy", anp.expm1, tail, CONVENTION, options=slope, about=unknown)
    witnessed = slope | {"witness": expm1}
    yield Case("P37/autograd,witness", "numpy", anp.expm1, tail, WRONG, options=witnessed, about=about)
