"""JAX: `jax.vjp` and `jax.jvp`, in 64 bits exactly where the inputs are.

JAX's 64-bit mode is a global setting. Inputs of a 64-bit dtype switch it on around every call that touches them, the
pullback included; otherwise the caller's setting holds, since functions may create arrays of the default dtype.
JAX pairs cotangents without conjugation; complex ones are conjugated on the way in and out.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xcheck_backends.keras_layers import bind_layer

Function = Callable[[Sequence[Any]], Sequence[Any]]

WIDE = {"float64", "complex128", "int64", "uint64"}
"""The dtypes that exist only in JAX's 64-bit mode."""

ALIGNED = 64
"""Bytes to multiples of which JAX aligns memory."""

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


class JaxBackend:
    """Arrays of `jax`, on any device."""

    name = "jax"
    complex_convention = "JAX's gradient is dL/dRe - i dL/dIm, conjugated here"
    batch_from = 256
    """From this many points on, compiling the mapped function pays: measured, 500 for values and 80 for pullbacks."""

    def owns(self, leaf: object, /) -> bool:
        """Tell whether `leaf` is a `jax.Array`."""
        return isinstance(leaf, getattr(sys.modules.get("jax"), "Array", ()))

    def from_numpy(self, array: NDArray[Any], /, like: Any = None) -> Any:
        """Copy `array` into a JAX array of the same dtype, on the device of `like` if that is a single one.

        Raises:
            TypeError: JAX has no such dtype.
        """
        import jax

        array = _copied_aligned(np.asarray(array, dtype=array.dtype.newbyteorder("=")))
        with _scope([array]):
            native = jax.device_put(array)
            devices = like.devices() if isinstance(like, jax.Array) else set()
            if len(devices) == 1 and native.devices() != devices:  # a needless transfer takes longer than the copy
                native = jax.device_put(native, next(iter(devices)))
        if native.dtype != array.dtype:
            raise TypeError(f"jax turned an array of {array.dtype} into {native.dtype}")
        return native

    def to_numpy(self, array: Any, /) -> NDArray[Any]:
        """Copy an array, a number or a nested list of numbers; waits for the device."""
        return np.array(array)

    def view(self, array: Any, /) -> NDArray[Any]:
        """Return the memory of an array on the CPU as a NumPy array.

        Raises:
            BufferError: it is on another device, or DLPack and NumPy have no such dtype.
        """
        try:
            return np.from_dlpack(array)
        except (RuntimeError, TypeError, ValueError) as error:
            raise BufferError(str(error)) from error

    def describe(self) -> dict[str, str]:
        """Tell the devices, and the settings that numbers depend on."""
        import jax

        return {
            "devices": ", ".join(f"{device} ({device.device_kind})" for device in jax.devices()),
            "jax_enable_x64": str(jax.config.jax_enable_x64),
            "jax_default_matmul_precision": str(jax.config.jax_default_matmul_precision),
        }

    def transpose(self, array: Any, axes: Sequence[int], /) -> Any:
        """Transpose an array, or a tracer of one."""
        return array.transpose(*axes)

    def namespace(self) -> Any:
        """Return `jax.numpy`, which has the names of the array-API standard."""
        import jax.numpy as jnp

        return jnp

    def conjugate(self, array: Any, /) -> Any:
        """Conjugate an array, or a tracer of one."""
        return array.conj()

    def cast(self, array: Any, like: Any, /) -> Any:
        """Convert an array, or a tracer of one, to the dtype of another."""
        return array.astype(like.dtype)

    def value(self, f: Function, xs: Sequence[Any], /) -> list[Any]:
        """Evaluate `f(xs)`, operator by operator."""
        with _scope(xs):
            return _arrays(f(list(xs)))

    def vjp(self, f: Function, xs: Sequence[Any], /) -> tuple[list[Any], Callable[[Sequence[Any]], list[Any]]]:
        """Linearise `f` at `xs`. JAX fills in zeros for unconnected inputs; None marks integer inputs.

        Raises:
            NotImplementedError: something in `f` has no reverse rule.
        """
        import jax

        with _scope(xs), _missing_rules():
            ys, transpose = jax.vjp(lambda *inputs: _arrays(f(list(inputs))), *xs)

        def pullback(cotangents: Sequence[Any]) -> list[Any]:
            with _scope([*xs, *ys]), _missing_rules():
                gradients = transpose([_dual(y, g, conjugate=True) for y, g in zip(ys, cotangents, strict=True)])
                return [_from_dual(g, conjugate=True) for g in gradients]

        return list(ys), pullback

    def jvp(self, f: Function, xs: Sequence[Any], tangents: Sequence[Any], /) -> tuple[list[Any], list[Any]]:
        """Push `tangents` forward. JAX fills in zeros for unconnected outputs; None marks integer outputs.

        Raises:
            NotImplementedError: something in `f` has no forward rule.
        """
        import jax

        with _scope([*xs, *tangents]), _missing_rules():
            duals = tuple(_dual(x, t) for x, t in zip(xs, tangents, strict=True))
            ys, dys = jax.jvp(lambda *inputs: _arrays(f(list(inputs))), tuple(xs), duals)
        return list(ys), [_from_dual(dy) for dy in dys]

    def pull(self, f: Function, xs: Sequence[Any], cotangents: Sequence[Any], /) -> list[Any]:
        """Pull `cotangents` back by `jax.vjp`, which JAX can differentiate as it can any function.

        Raises:
            NotImplementedError: something in `f` has no reverse rule.
        """
        _, pullback = self.vjp(f, xs)
        return pullback(cotangents)

    def push(self, f: Function, xs: Sequence[Any], tangents: Sequence[Any], /) -> list[Any]:
        """Push `tangents` forward by `jax.jvp`, which JAX can differentiate as it can any function.

        Raises:
            NotImplementedError: something in `f` has no forward rule.
        """
        return self.jvp(f, xs, tangents)[1]

    def batch(self, f: Function, /) -> Function:
        """Map `f` with `jax.vmap` and compile it.

        Measured: uncompiled, every operator is compiled by itself for every new number of points, four times as long.
        """
        import jax

        mapped = jax.jit(jax.vmap(lambda xs: _arrays(f(xs))))

        def call(xs: Sequence[Any]) -> list[Any]:
            with _scope(xs):
                return list(mapped(list(xs)))

        return call

    def mapped(self, f: Function, /) -> Function:
        """Map `f` with `jax.vmap`, operator by operator: for three points that takes a fiftieth of compiling it."""
        import jax

        mapped = jax.vmap(lambda xs: _arrays(f(xs)))

        def call(xs: Sequence[Any]) -> list[Any]:
            with _scope(xs):
                return list(mapped(list(xs)))

        return call

    def compiled(self, f: Function, /) -> Callable[[Sequence[Any], Sequence[Any]], tuple[list[Any], list[Any]]]:
        """Trace `f` and its pullback together, once, as `jax.jit` does, and run the jaxpr operator by operator.

        What tracing captures is what counts: XLA's compiler takes thirty times as long for a small function, and has
        compiled its operators already.
        """
        import jax

        kept: list[Any] = []

        def both(xs: list[Any], cotangents: list[Any]) -> tuple[list[Any], list[Any]]:
            ys, pullback = self.vjp(f, xs)
            return ys, pullback(cotangents)

        def run(xs: Sequence[Any], cotangents: Sequence[Any]) -> tuple[list[Any], list[Any]]:
            given = list(xs), list(cotangents)
            with _scope([*xs, *cotangents]):
                if not kept:
                    kept.extend(jax.make_jaxpr(both, return_shape=True)(*given))
                closed, shapes = kept
                found = jax.core.eval_jaxpr(closed.jaxpr, closed.consts, *jax.tree.leaves(given))
                ys, gradients = jax.tree.unflatten(jax.tree.structure(shapes), found)
                return ys, gradients

        return run

    def custom_rules(self, f: Function, xs: Sequence[Any], /) -> tuple[str, ...]:
        """Name the `jax.custom_vjp`, `jax.custom_jvp` and so on in `f`'s jaxpr that are not all JAX's own code.

        The files where function and rule were written tell.
        """
        import jax

        with _scope(xs):
            closed = jax.make_jaxpr(lambda *inputs: _arrays(f(list(inputs))))(*xs)
        return tuple(dict.fromkeys(_custom_names(closed.jaxpr)))

    def bind(self, f: object, /) -> tuple[Callable[..., Any], dict[str, Any]] | None:
        """Split a built Keras layer that runs on JAX into a function of its trainable variables, and their values.

        Raises:
            ValueError: the layer has not been built, and so has no variables yet.
        """
        return bind_layer(f, self.name)


def _copied_aligned(array: NDArray[Any]) -> NDArray[Any]:
    """Copy an array to memory that JAX takes over on the CPU; what is not aligned so, it copies once more."""
    memory = np.empty(array.nbytes + ALIGNED, np.uint8)
    start = -memory.ctypes.data % ALIGNED
    copy: NDArray[Any] = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


OWN = ("jax", "flax", "optax", "keras")
"""Packages whose custom rules are no user's."""


def _custom_names(jaxpr: Any) -> Iterator[str]:
    """Walk through a jaxpr and those inside of it."""
    for equation in jaxpr.eqns:
        if equation.primitive.name.startswith(("custom_vjp", "custom_jvp", "custom_transpose", "custom_lin")):
            known = [getattr(value, "debug_info", None) for value in equation.params.values()]
            users = [i for i in known if i is not None and i.func_filename and not _in_packages(i.func_filename)]
            if users:
                yield str(users[0].func_name)
        for value in equation.params.values():
            for part in value if isinstance(value, (tuple, list)) else (value,):
                inner = getattr(part, "jaxpr", part)
                if hasattr(inner, "eqns"):
                    yield from _custom_names(inner)


def _in_packages(path: str) -> bool:
    parts = path.replace("\\", "/").split("/")
    pairs = pairwise(parts)
    return any(parent.endswith("-packages") and package in OWN for parent, package in pairs)


def _scope(arrays: Sequence[Any]) -> AbstractContextManager[Any]:
    import jax

    if not any(str(getattr(a, "dtype", "")) in WIDE for a in arrays):
        return nullcontext()
    if hasattr(jax, "enable_x64"):
        scope: AbstractContextManager[Any] = jax.enable_x64(True)
        return scope
    from jax.experimental import enable_x64  # before JAX 0.8

    old: AbstractContextManager[Any] = enable_x64()
    return old


@contextmanager
def _missing_rules() -> Iterator[None]:
    try:
        yield
    except (TypeError, ValueError, AttributeError) as error:
        if not any(text in str(error) for text in NO_RULE):
            raise
        raise NotImplementedError(str(error)) from error


def _arrays(ys: Sequence[Any]) -> list[Any]:
    import jax.numpy as jnp

    return [jnp.asarray(y) for y in ys]


def _dual(x: Any, g: Any, conjugate: bool = False) -> Any:
    """Give a tangent or cotangent the type that JAX expects for `x`: float0 where `x` has no derivative."""
    import jax
    import jax.numpy as jnp

    if not jnp.issubdtype(x.dtype, jnp.inexact):
        return np.zeros(x.shape, jax.dtypes.float0)
    return jnp.conj(g) if conjugate and jnp.iscomplexobj(g) else g


def _from_dual(g: Any, conjugate: bool = False) -> Any:
    import jax
    import jax.numpy as jnp

    if g.dtype == jax.dtypes.float0:
        return None
    return jnp.conj(g) if conjugate and jnp.iscomplexobj(g) else g
