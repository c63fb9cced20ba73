"""Right derivatives in JAX that some checker has called wrong, by their names in `cases.right`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cases.case import Case, Truth

RIGHT, CONVENTION = Truth.RIGHT, Truth.CONVENTION


def _array(values: Any, dtype: Any = np.float64) -> jax.Array:
    with jax.enable_x64(True):
        return jnp.asarray(np.asarray(values)).astype(dtype)


def _normal(*shape: int, dtype: Any = np.float64) -> jax.Array:
    return _array(np.random.default_rng(0).normal(size=shape), dtype)


def right() -> Iterator[Case]:
    """Yield the cases."""
    yield from kinks()
    yield from scales()
    yield from precisions()


def kinks() -> Iterator[Case]:
    """Yield points without a derivative, where the framework has a convention."""
    table: dict[str, tuple[Any, list[float]]] = {
        "A1/relu": (jax.nn.relu, [1.0, 0.0, -1.0]),
        "A1/abs": (jnp.abs, [0.0, 2.0]),
        "A1/clip": (lambda x: jnp.clip(x, 0, 1), [0.0, 1.0, 0.5]),
        "A1/maximum": (lambda x: jnp.maximum(x, 0), [0.0, 1.0]),
        "A1/leaky_relu": (jax.nn.leaky_relu, [0.0, 1.0]),
        "A1/max": (jnp.max, [2.0, 2.0, 1.0]),
        "A27/norm": (jnp.linalg.norm, [0.0, 0.0]),
        "A27/std": (jnp.std, [1.0, 1.0, 1.0]),
        "E/power": (lambda x: x**x, [0.0, 1.5]),
        "E/where": (lambda x: jnp.where(x > 0, jnp.log(x), 0.0), [0.0, 1.5]),
        "E/atan2": (lambda x: jnp.arctan2(x, x), [0.0, 1.5]),
        "E/xlogy": (lambda x: jax.scipy.special.xlogy(x, x), [0.0, 1.5]),
    }
    for name, (f, x) in table.items():
        yield Case(f"{name},jax", "jax", f, (_array(x),), CONVENTION, about="no derivative exists at this point")
    about = "repeated eigenvalues have no derivative"
    yield Case("A10/eigvalsh,jax", "jax", jnp.linalg.eigvalsh, (_array(np.eye(3)),), CONVENTION, about=about)


def scales() -> Iterator[Case]:
    """Yield arguments and values of unusual size, and a long sum."""
    table: dict[str, tuple[Any, list[float]]] = {
        "A2/log": (jnp.log, [1e-5, 1e8]),
        "A2/sqrt": (jnp.sqrt, [1e-7, 1e10]),
        "A2/sin": (jnp.sin, [1e10]),
        "A2/exp": (jnp.exp, [700.0]),
        "A2/square": (jnp.square, [1e8]),
        "A16/constant": (lambda x: 0 * x + 3.0, [0.7, 0.0]),
        "A19/linear": (lambda x: 3 * x - 1, [0.7, 0.0]),
        "E/prod": (jnp.prod, [0.0, 3.0, 4.0]),
        "E/cumprod": (jnp.cumprod, [0.0, 3.0, 4.0]),
        "E/sinc": (jnp.sinc, [0.0, 0.5]),
        "P14/right": (jax.nn.log_sigmoid, [0.7, 0.0, -1.3]),
    }
    for name, (f, x) in table.items():
        yield Case(f"{name},jax", "jax", f, (_array(x),), RIGHT, about="unusual sizes or zeros")
    for n in (1000, 100_000):
        total = lambda x: jnp.sum(x**2)  # noqa: E731
        about = "a sum of squares in float32"
        yield Case(f"A13/{n}", "jax", total, (_normal(n, dtype=np.float32),), RIGHT, smooth=True, about=about)


def precisions() -> Iterator[Case]:
    """Yield operators in low precision."""
    ops = {"sin": jnp.sin, "exp": jnp.exp, "tanh": jnp.tanh, "softmax": jax.nn.softmax}
    for dtype in (jnp.float32, jnp.float16, jnp.bfloat16):
        for name, f in ops.items():
            x, word = (_normal(5, dtype=dtype),), jnp.dtype(dtype).name
            yield Case(f"A12/{name},{word}", "jax", f, x, RIGHT, smooth=True, about="low precision")
        pair = (_normal(3, 4, dtype=dtype), _normal(4, 2, dtype=dtype))
        yield Case(f"A12/matmul,{word}", "jax", jnp.matmul, pair, RIGHT, smooth=True, about="low precision")
    about = "second derivative"
    swish = lambda x: jnp.sum(jax.nn.silu(x) * x)  # noqa: E731
    yield Case("A9/silu,jax", "jax", swish, (_normal(4),), RIGHT, order=2, smooth=True, about=about)
