"""JAX: `jax.vjp` and `jax.jvp`, in 64 bits exactly where the inputs are.

JAX's 64-bit mode is a global setting. Inputs of a 64-bit dtype switch it on around every call that touches them, the
pullback included; otherwise the caller's setting holds, since functions may create arrays of the default dtype.
JAX pairs cotangents without conjugation; complex ones are conjugated on the way in and out.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xcheck_backends import jax_choices, jax_jacobians
from xcheck_backends.jax_calls import as_arrays, missing_rules, scope_of
from xcheck_backends.jax_choices import users_rules
from xcheck_backends.keras_layers import bind_layer
from xcheck_backends.offers import Engine, OwnCall

Function = Callable[[Sequence[Any]], Sequence[Any]]

ALIGNED = 64
"""Bytes to multiples of which JAX aligns memory."""


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
        with scope_of([array]):
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
        with scope_of(xs):
            return as_arrays(f(list(xs)))

    def vjp(self, f: Function, xs: Sequence[Any], /) -> tuple[list[Any], Callable[[Sequence[Any]], list[Any]]]:
        """Linearise `f` at `xs`. JAX fills in zeros for unconnected inputs; None marks integer inputs.

        Raises:
            NotImplementedError: something in `f` has no reverse rule.
        """
        import jax

        with scope_of(xs), missing_rules():
            ys, transpose = jax.vjp(lambda *inputs: as_arrays(f(list(inputs))), *xs)

        def pullback(cotangents: Sequence[Any]) -> list[Any]:
            with scope_of([*xs, *ys]), missing_rules():
                gradients = transpose([_dual(y, g, conjugate=True) for y, g in zip(ys, cotangents, strict=True)])
                return [_from_dual(g, conjugate=True) for g in gradients]

        return list(ys), pullback

    def jvp(self, f: Function, xs: Sequence[Any], tangents: Sequence[Any], /) -> tuple[list[Any], list[Any]]:
        """Push `tangents` forward. JAX fills in zeros for unconnected outputs; None marks integer outputs.

        Raises:
            NotImplementedError: something in `f` has no forward rule.
        """
        import jax

        with scope_of([*xs, *tangents]), missing_rules():
            duals = tuple(_dual(x, t) for x, t in zip(xs, tangents, strict=True))
            ys, dys = jax.jvp(lambda *inputs: as_arrays(f(list(inputs))), tuple(xs), duals)
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

        mapped = jax.jit(jax.vmap(lambda xs: as_arrays(f(xs))))

        def call(xs: Sequence[Any]) -> list[Any]:
            with scope_of(xs):
                return list(mapped(list(xs)))

        return call

    def mapped(self, f: Function, /) -> Function:
        """Map `f` with `jax.vmap`, operator by operator: for three points that takes a fiftieth of compiling it."""
        import jax

        mapped = jax.vmap(lambda xs: as_arrays(f(xs)))

        def call(xs: Sequence[Any]) -> list[Any]:
            with scope_of(xs):
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
            with scope_of([*xs, *cotangents]):
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

        with scope_of(xs):
            closed = jax.make_jaxpr(lambda *inputs: as_arrays(f(list(inputs))))(*xs)
        return tuple(dict.fromkeys(users_rules(closed.jaxpr)))

    def engines(self) -> tuple[Engine, ...]:
        """Return ways to make many products, looped, mapped and compiled."""
        return jax_jacobians.engines()

    def own_calls(self, quantity: str, /) -> tuple[OwnCall, ...]:
        """Return JAX's calls for "jacobian", "diagonal", "batch" or "hessian", such as `jax.jacrev`."""
        return jax_jacobians.own_calls(quantity)

    def wait(self, arrays: Sequence[Any], /) -> None:
        """Return when all arrays have been computed."""
        import jax

        jax.block_until_ready(list(arrays))

    def structure(self, f: Function, xs: Sequence[Any], /) -> tuple[Any, Any] | None:
        """Read the sparsity off the jaxpr, if asdex is installed; what it knows holds at every point."""
        import jax.numpy as jnp

        if find_spec("asdex") is None:
            return None
        with scope_of(xs):
            pattern = import_module("asdex").jacobian_sparsity(
                lambda *inputs: jnp.concatenate([jnp.ravel(y) for y in as_arrays(f(list(inputs)))]),
                *xs,
                argnums=tuple(range(len(xs))),
            )
        return np.asarray(pattern.rows), np.asarray(pattern.cols)

    def sparse(self, rows: Any, columns: Any, shape: tuple[int, int], like: Any, /) -> Callable[[Any], Any]:
        """Return what makes a `jax.experimental.sparse.BCOO` of values."""
        import jax.numpy as jnp

        del like
        matrix = import_module("jax.experimental.sparse").BCOO
        places = jnp.asarray(np.stack([rows, columns], axis=1).astype(np.int32))

        def make(values: Any) -> Any:
            with scope_of([values]):
                return matrix((values, places), shape=shape, indices_sorted=True, unique_indices=True)

        return make

    def choices(self, f: Function, xs: Sequence[Any], /) -> tuple[str, ...]:
        """Name what in `f`'s jaxpr lets values decide which inputs an output depends on, each once."""
        return jax_choices.choices(f, xs)

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
