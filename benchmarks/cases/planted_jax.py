"""Planting in JAX: `custom_vjp` around the operator, or `custom_jvp`, from which reverse mode follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cases.planted import Flaw, Function


class Tools:
    """JAX as `planted` needs it."""

    modes = ("vjp", "jvp")

    def constant(self, array: np.ndarray, like: Any) -> Any:
        """Return `array` in the dtype of `like`."""
        return jnp.asarray(array, dtype=like.dtype)

    def total(self, array: Any) -> Any:
        """Add up all numbers."""
        return jnp.sum(array)

    def pull(self, f: Function, inputs: tuple[Any, ...], cotangent: Callable[[Any], np.ndarray]) -> list[Any]:
        """Evaluate `f` and pull a cotangent back; empty where not all is floating-point and the output one array."""
        if not all(isinstance(x, (jax.Array, np.ndarray)) and jnp.issubdtype(x.dtype, jnp.inexact) for x in inputs):
            return []
        with jax.enable_x64(True):
            y, pull = jax.vjp(f, *map(jnp.asarray, inputs))
            if not isinstance(y, jax.Array) or not jnp.issubdtype(y.dtype, jnp.inexact) or not y.size:
                return []
            return [np.asarray(g) for g in pull(self.constant(cotangent(y), y))]

    def flawed(self, f: Function, flaw: Flaw, inputs: tuple[Any, ...]) -> Function:  # noqa: ARG002
        """Wrap `f`."""

        def value(*inputs: Any) -> Any:
            return f(*inputs)

        rule: Any = jax.custom_vjp(value) if flaw.mode == "vjp" else jax.custom_jvp(value)
        if flaw.mode == "vjp":
            rule.defvjp(
                lambda *inputs: (f(*inputs), inputs),
                lambda inputs, g: tuple(flaw.pulled(jax.vjp(f, *inputs)[1], g, self)),
            )
        else:
            rule.defjvp(lambda x, t: (f(*x), flaw.pushed(lambda tangents: jax.jvp(f, x, tuple(tangents))[1], t, self)))

        def wrong(*inputs: Any) -> Any:
            return rule(*inputs)

        wrong.__name__ = getattr(f, "__name__", "f").strip("<>")
        return wrong
