"""Wrong derivatives of JAX's own operators, found in version 0.10.2: calling any of them right is a false pass.

Every truth is from mpmath with 40 digits or from the formula in `KNOWN_WRONG`. The values of the functions are right at
these points, and their differences show the true slope, except where `UNRESOLVED` says that float64 values cannot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy import special

from cases.case import Case, Truth

KNOWN_WRONG: dict[str, tuple[Callable[..., Any], Callable[[np.random.Generator], np.ndarray], str]] = {
    "spence above 1": (
        special.spence,
        lambda rng: rng.uniform(1.1, 3.0, size=3),
        "reverse mode is NaN, forward mode right: log(x) / (1 - x)",
    ),
    "spence at 1": (special.spence, lambda _: np.array([1.0]), "both modes are 0 where the slope is -1"),
    "erfcx far out": (
        special.erfcx,
        lambda rng: 10 ** rng.uniform(6.5, 9, size=3),
        "2 x erfcx(x) - 2 / sqrt(pi) cancels; the slope is about -1 / (sqrt(pi) x^2)",
    ),
    "dawsn far out": (
        special.dawsn,
        lambda rng: 10 ** rng.uniform(6.5, 9, size=3),
        "1 - 2 x dawsn(x) cancels; the slope is about -1 / (2 x^2)",
    ),
    "gradient of erfcx": (
        jax.grad(lambda x: jnp.sum(special.erfcx(x))),
        lambda rng: rng.uniform(1e4, 1e5, size=3),
        "the second derivative cancels already at 1e4: 2 / (sqrt(pi) x^3)",
    ),
    "arcsinh of 1e160": (jnp.arcsinh, lambda rng: rng.uniform(1e158, 1e160, size=3), "x^2 overflows; 1 / x is right"),
    "arccosh of 1e160": (jnp.arccosh, lambda rng: rng.uniform(1e158, 1e160, size=3), "x^2 overflows; 1 / x is right"),
    "sign of a complex number": (
        jnp.sign,
        lambda rng: rng.normal(size=3) + 1j * rng.normal(size=3),
        "z / |z| turns with z; the rule says 0",
    ),
    "lax.sign of a complex number": (
        lax.sign,
        lambda rng: rng.normal(size=3) + 1j * rng.normal(size=3),
        "z / |z| turns with z; the rule says 0",
    ),
    "complex arccosh on the left": (
        jnp.arccosh,
        lambda rng: -rng.uniform(0.3, 2, size=3) + 1j * rng.uniform(0.3, 2, size=3),
        "1 / sqrt(z^2 - 1) is on the wrong branch for negative real parts: the sign is wrong",
    ),
    "eigenvalues of a tridiagonal matrix": (
        lambda e: jax.scipy.linalg.eigh_tridiagonal(jnp.arange(4.0), e, eigvals_only=True),
        lambda rng: rng.uniform(0.5, 1.5, size=3),
        "forward mode differentiates a bisection and gives 0; reverse mode has no rule",
    ),
    "gradient of det at rank 2 of 4": (
        jax.grad(jnp.linalg.det),
        lambda rng: np.diag(np.append(rng.uniform(1, 2, size=2), [0.0, 0.0])),
        "the second derivative of a polynomial is NaN",
    ),
}
"""What goes wrong: the function, where, and why."""

UNRESOLVED: dict[str, tuple[Callable[..., Any], np.ndarray, str]] = {
    "expm1 at -40": (jnp.expm1, np.array([-40.0]), "0 for 4.2e-18; the value is exactly -1"),
    "tanh at 25": (jnp.tanh, np.array([25.0]), "0 for 7.7e-22; the value is exactly 1"),
    "sigmoid at 40": (jax.nn.sigmoid, np.array([40.0]), "0 for 4.2e-18; the value is exactly 1"),
    "elu at -40": (jax.nn.elu, np.array([-40.0]), "0 for 4.2e-18; the value is exactly -1"),
    "sinc at 1e-12": (jnp.sinc, np.array([1e-12]), "forward mode says -9.4e-5 for -3.3e-12; the value is exactly 1"),
}
"""Derivatives that are wrong by 100 % where float64 values near the point are all the same: agree is wrong here too."""


def known_wrong(seed: int) -> Iterator[Case]:
    """Yield wrong derivatives that the functions' values resolve."""
    rng = np.random.default_rng([seed, 3])
    for name, (f, point, about) in KNOWN_WRONG.items():
        yield Case(f"jax.wrong.{name}", "jax", f, (point(rng),), Truth.WRONG, options={"backend": "jax"}, about=about)


def unresolved(seed: int) -> Iterator[Case]:
    """Yield wrong derivatives that float64 values cannot show; `seed` changes nothing, the points are what they are."""
    del seed
    for name, (f, point, about) in UNRESOLVED.items():
        yield Case(f"jax.unresolved.{name}", "jax", f, (point,), Truth.WRONG, options={"backend": "jax"}, about=about)
