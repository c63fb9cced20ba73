"""Wrong derivatives in JAX, by their names in `cases.wrong`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cases.case import Case, Truth
from cases.scales import FACTORS, SWEEP
from cases.witnesses import expm1

WRONG, CONVENTION = Truth.WRONG, Truth.CONVENTION


def array(values: Any, dtype: Any = np.float64) -> jax.Array:
    """Make an array of exactly this dtype, whatever the setting."""
    with jax.enable_x64(True):
        return jnp.asarray(np.asarray(values, dtype))


def normal(*shape: int, dtype: Any = np.float64) -> jax.Array:
    """Draw an array."""
    return array(np.random.default_rng(0).normal(size=shape), dtype)


def forward_rule(value: Callable[..., Any], tangent: Callable[..., Any]) -> Callable[..., Any]:
    """Make an operator with a forward rule of its own, called as `tangent(x, dx)`."""
    rule = jax.custom_jvp(value)
    rule.defjvp(lambda primals, tangents: (value(*primals), tangent(*primals, *tangents)))
    return rule


def backward_rule(value: Callable[..., Any], cotangent: Callable[..., Any]) -> Callable[..., Any]:
    """Make an operator with a backward rule of its own, called as `cotangent(x, g)`."""
    rule = jax.custom_vjp(value)
    rule.defvjp(lambda x: (value(x), x), lambda x, g: (cotangent(x, g),))
    return rule


def wrong() -> Iterator[Case]:
    """Yield the cases."""
    yield from zero_rules()
    yield from formulas()
    yield from frameworks_own()


def zero_rules() -> Iterator[Case]:
    """Yield rules that return nothing but zeros, at every size and scale."""
    about = "the forward rule of c 2 x returns zeros"
    for n, dtype in ((10, np.float32), (1000, np.float32), (100_000, np.float32), (100_000, np.float64)):
        double = forward_rule(lambda x: 2 * x, lambda _, t: 0 * t)
        yield Case(f"P12/{n},{dtype.__name__}", "jax", double, (normal(n, dtype=dtype),), WRONG, about=about)
    for c, s in SWEEP:
        scaled = forward_rule(_times(2 * c / s), lambda _, t: 0 * t)
        point = (array(s * np.asarray(normal(500)), np.float32),)
        yield Case(f"P12/c={c:g},s={s:g}", "jax", scaled, point, WRONG, about=about)
    about = "the backward rule of c x returns zeros"
    for c, s in FACTORS:
        small = backward_rule(_times(c / s), lambda _, g: jnp.zeros_like(g))
        point = (array(s * np.asarray(normal(4)), np.float32),)
        yield Case(f"P13/c={c:g},s={s:g}", "jax", small, point, WRONG, about=about)


def _times(factor: float) -> Callable[[Any], Any]:
    return lambda x: factor * x


def formulas() -> Iterator[Case]:
    """Yield rules with a mistake in their formula."""
    sigmoid = forward_rule(jax.nn.log_sigmoid, lambda x, t: jnp.where(x == 0, 0.0, jax.nn.sigmoid(-x)) * t)
    about = "log_sigmoid: 0 instead of 1/2, at 0 only"
    yield Case("P14", "jax", sigmoid, (array([0.7, 0.0, -1.3]),), WRONG, about=about)

    def wrong_sign(x: Any, g: Any) -> Any:
        slope = 2 * (x[1:] - x[:-1]) * g
        return jnp.zeros_like(x).at[1:].add(slope).at[:-1].add(slope)

    chain = backward_rule(lambda x: (x[1:] - x[:-1]) ** 2, wrong_sign)
    about = "sparse differences; the backward rule forgets a sign, and a check against the rule itself passes it"
    yield Case("P32", "jax", chain, (normal(20),), WRONG, about=about)


def frameworks_own() -> Iterator[Case]:
    """Yield what JAX itself gets wrong."""
    about = "exp(-40) is claimed to be 0; in float64 the function is -1 all around"
    tail = (array([-40.0, -50.0]),)
    yield Case("P37/jax", "jax", jnp.expm1, tail, CONVENTION, about=about + ", so values cannot tell")
    yield Case("P37/jax,witness", "jax", jnp.expm1, tail, WRONG, options={"witness": expm1}, about=about)
    about = "x ** 0.0 is 1 everywhere, at 0 as well; NaN is claimed there"
    yield Case("E/power 0,jax", "jax", lambda x: x**0.0, (array([0.0, 2.0]),), WRONG, about=about)
