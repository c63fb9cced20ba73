"""What every call into JAX needs: 64 bits where the inputs have them, arrays, and missing rules told as such."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

WIDE = {"float64", "complex128", "int64", "uint64"}
"""The dtypes that exist only in JAX's 64-bit mode."""

NO_RULE = (
    "can't apply forward-mode",  # custom_vjp under jvp
    "Reverse-mode differentiation does not work",  # while_loop
    "Linearization failed to produce known values",  # reduce_window with an operator of one's own
    "do not support JVP",  # pure_callback, io_callback
    "cannot be differentiated",  # ffi_call
    "gradient with respect to",  # betainc by a and b
    "No JVP defined",
    "No VJP defined",
)
"""What TypeErrors, ValueErrors and AttributeErrors of JAX say when they mean that a rule is missing."""


def is_wide(arrays: Sequence[Any]) -> bool:
    """Tell whether any of the arrays has a dtype of JAX's 64-bit mode."""
    return any(str(getattr(a, "dtype", "")) in WIDE for a in arrays)


def wide_scope() -> AbstractContextManager[Any]:
    """Switch JAX's 64-bit mode on for this thread; costs a microsecond."""
    import jax

    if hasattr(jax, "enable_x64"):
        scope: AbstractContextManager[Any] = jax.enable_x64(True)
        return scope
    from jax.experimental import enable_x64  # before JAX 0.8

    old: AbstractContextManager[Any] = enable_x64()
    return old


def scope_of(arrays: Sequence[Any]) -> AbstractContextManager[Any]:
    """Switch JAX's 64-bit mode on where an array needs it; else the caller's setting holds."""
    return wide_scope() if is_wide(arrays) else nullcontext()


@contextmanager
def missing_rules() -> Iterator[None]:
    """Raise NotImplementedError for what JAX raises where a rule is missing."""
    try:
        yield
    except (TypeError, ValueError, AttributeError) as error:
        if not is_missing_rule(error):
            raise
        raise NotImplementedError(str(error)) from error


def is_missing_rule(error: Exception) -> bool:
    """Tell whether JAX raised an error because a rule is missing."""
    return any(text in str(error) for text in NO_RULE)


def as_arrays(ys: Sequence[Any]) -> list[Any]:
    """Make JAX arrays of a function's outputs, which may be numbers."""
    import jax.numpy as jnp

    return [jnp.asarray(y) for y in ys]
