"""TensorFlow: the gradient tape for reverse mode, `ForwardAccumulator` for forward mode.

TensorFlow's convention for complex cotangents is the protocol's own. What its forward mode does with a
`tf.custom_gradient` is measured: where the operators inside pass tangents on, those count and the rule is not
consulted; where they do not (a body in NumPy), the rule is transposed; and where the rule itself computes in NumPy,
the tangent is dropped without a word, beside other terms even unnoticed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from traceback import extract_tb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xcheck_backends import tensorflow_choices, tensorflow_jacobians
from xcheck_backends.keras_layers import bind_layer, global_seed_generator
from xcheck_backends.offers import Engine, OwnCall
from xcheck_backends.tensorflow_calls import (
    as_tensors,
    has_derivative,
    is_custom,
    pushed,
    recorded,
    without_messages,
)

Function = Callable[[Sequence[Any]], Sequence[Any]]

ALIGNED = 64
"""Bytes to multiples of which TensorFlow aligns memory, at most."""

LONG = 2**20
"""Bytes from which on a second copy is spared."""

PLAIN = frozenset(np.dtype(name) for name in ("float64", "float32", "complex128", "complex64"))
"""Dtypes, in the machine's byte order, of arrays whose memory TensorFlow can use."""


class TensorflowBackend:
    """Tensors and variables of `tensorflow`, in eager mode."""

    name = "tensorflow"
    complex_convention = "TensorFlow's gradient is dL/dRe + i dL/dIm"
    batch_from = 64
    """From this many points on, tracing the mapped function pays: measured, 90 for values and 30 for pullbacks."""

    def owns(self, leaf: object, /) -> bool:
        """Tell whether `leaf` is a tensor, a variable or a sparse gradient."""
        tf = sys.modules.get("tensorflow")
        kinds = [getattr(tf, kind, None) for kind in ("Tensor", "Variable", "IndexedSlices")]
        return isinstance(leaf, tuple(kind for kind in kinds if kind is not None))

    def from_numpy(self, array: NDArray[Any], /, like: Any = None) -> Any:
        """Copy `array` into a tensor of the same dtype, on the device of `like`.

        `tf.constant` copies once, and once more what is not aligned as it wants; long arrays are spared that.
        """
        import tensorflow as tf

        device = getattr(like, "device", None) if self.owns(like) else None
        if array.nbytes >= LONG and array.dtype in PLAIN and _on_cpu(device):
            return tf.experimental.dlpack.from_dlpack(_copied_aligned(array).__dlpack__())
        with tf.device(device or None):
            return tf.constant(np.asarray(array, order="C"), dtype=tf.as_dtype(array.dtype))

    def to_numpy(self, array: Any, /) -> NDArray[Any]:
        """Copy a tensor, a variable, a sparse gradient or a number."""
        import tensorflow as tf

        return np.asarray(tf.convert_to_tensor(array).numpy())  # which is a copy

    def view(self, array: Any, /) -> NDArray[Any]:
        """Return the memory of a tensor or variable on the CPU as a NumPy array.

        Raises:
            BufferError: it is on another device, or DLPack and NumPy have no such dtype.
        """
        import tensorflow as tf

        tensor = tf.convert_to_tensor(array)
        if not tensor.device.endswith("CPU:0"):
            raise BufferError(f"a tensor on {tensor.device} shares no memory with NumPy")
        try:
            return np.from_dlpack(tensor)
        except (RuntimeError, tf.errors.OpError) as error:
            raise BufferError(str(error)) from error

    def describe(self) -> dict[str, str]:
        """Tell the devices, and the settings that numbers depend on."""
        import tensorflow as tf

        devices = tf.config.list_physical_devices()
        return {
            "devices": ", ".join(device.name.removeprefix("/physical_device:") for device in devices),
            "tensor_float_32_execution_enabled": str(tf.config.experimental.tensor_float_32_execution_enabled()),
            "keras floatx": tf.keras.backend.floatx(),
        }

    def transpose(self, array: Any, axes: Sequence[int], /) -> Any:
        """Transpose a tensor."""
        import tensorflow as tf

        return tf.transpose(array, axes)

    def namespace(self) -> Any:
        """Return TensorFlow's functions under the names of the array-API standard."""
        return import_module("xcheck_backends.tensorflow_namespace")

    def conjugate(self, array: Any, /) -> Any:
        """Conjugate a tensor."""
        import tensorflow as tf

        return tf.math.conj(array)

    def cast(self, array: Any, like: Any, /) -> Any:
        """Convert a tensor to the dtype of another."""
        import tensorflow as tf

        return tf.cast(array, like.dtype)

    def value(self, f: Function, xs: Sequence[Any], /) -> list[Any]:
        """Evaluate `f(xs)` eagerly."""
        return as_tensors(f(list(xs)))

    def vjp(self, f: Function, xs: Sequence[Any], /) -> tuple[list[Any], Callable[[Sequence[Any]], list[Any]]]:
        """Record `f(xs)` on a persistent tape.

        Raises:
            NotImplementedError: something in `f` has no gradient. TensorFlow tells so when the pullback is called.
        """
        return recorded(f, xs)

    def jvp(self, f: Function, xs: Sequence[Any], tangents: Sequence[Any], /) -> tuple[list[Any], list[Any]]:
        """Push `tangents` forward with a `ForwardAccumulator`.

        Raises:
            NotImplementedError: something in `f` has no forward rule.
        """
        import tensorflow as tf

        return pushed(f, [tf.identity(x) if has_derivative(x) else x for x in xs], tangents)

    def pull(self, f: Function, xs: Sequence[Any], cotangents: Sequence[Any], /) -> list[Any]:
        """Pull `cotangents` back on a tape of its own; tapes and accumulators around it record the backward pass.

        Raises:
            NotImplementedError: something in `f` has no gradient.
        """
        _, pullback = self.vjp(f, xs)
        return pullback(cotangents)

    def push(self, f: Function, xs: Sequence[Any], tangents: Sequence[Any], /) -> list[Any]:
        """Push `tangents` forward with an accumulator of its own; tapes and accumulators around it record that.

        It watches `xs` themselves: TensorFlow 2.21 differentiates forward over forward wrongly what is computed from
        intermediate values, and a copy of an input would be one.

        Raises:
            NotImplementedError: something in `f` has no forward rule.
        """
        return pushed(f, xs, tangents)[1]

    def batch(self, f: Function, /) -> Function:
        """Map `f` with `tf.vectorized_map`, which traces it at every call; pullbacks may be mapped too."""
        import tensorflow as tf

        def mapped(xs: list[Any]) -> Any:
            return tf.vectorized_map(lambda rows: as_tensors(f(rows)), xs, fallback_to_while_loop=False)

        # Without autograph, a function with `if x > 0` raises here, and its points are evaluated one by one.
        traced = tf.function(mapped, autograph=False)
        traced._omit_frequent_tracing_warning = True  # one trace for each f is what is meant

        def quiet(xs: list[Any]) -> list[Any]:
            with without_messages():
                return list(traced(list(xs)))

        return quiet

    def compiled(self, f: Function, /) -> Callable[[Sequence[Any], Sequence[Any]], tuple[list[Any], list[Any]]]:
        """Compile `f` and its pullback together by `tf.function`, without autograph: `f` may be anybody's."""
        import tensorflow as tf

        def both(xs: list[Any], cotangents: list[Any]) -> tuple[list[Any], list[Any]]:
            ys, pullback = self.vjp(f, xs)
            return ys, pullback(cotangents)

        traced = tf.function(both, autograph=False)
        traced._omit_frequent_tracing_warning = True

        def run(xs: Sequence[Any], cotangents: Sequence[Any]) -> tuple[list[Any], list[Any]]:
            ys, gradients = traced(list(xs), list(cotangents))
            return list(ys), list(gradients)

        return run

    def custom_rules(self, f: Function, xs: Sequence[Any], /) -> tuple[str, ...]:
        """Tell whether a `tf.custom_gradient` is called that TensorFlow and Keras did not write.

        The graph that tracing makes tells, and where something cannot be traced, such as a body in NumPy, where it
        raises: behind that, nothing is told.
        """
        import tensorflow as tf

        found = []
        graph = tf.__internal__.FuncGraph("custom_rules")
        with graph.as_default():
            inputs = [tf.compat.v1.placeholder(x.dtype, x.shape) for x in xs]
            try:
                as_tensors(f(inputs))
            except Exception as error:
                found.append([(frame.filename, frame.name) for frame in extract_tb(error.__traceback__)])
        applied = [op.traceback for op in graph.get_operations() if op.type == "IdentityN"]
        found += [[(frame.filename, frame.name) for frame in traceback] for traceback in applied]
        return ("tf.custom_gradient",) if any(map(is_custom, found)) else ()

    def engines(self) -> tuple[Engine, ...]:
        """Return ways to make many products: looped, by pfor, in graphs and by XLA."""
        return tensorflow_jacobians.engines()

    def own_calls(self, quantity: str, /) -> tuple[OwnCall, ...]:
        """Return TensorFlow's calls for "jacobian", "diagonal", "batch" or "hessian", such as `tape.jacobian`."""
        return tensorflow_jacobians.own_calls(quantity)

    def wait(self, arrays: Sequence[Any], /) -> None:
        """Return when all tensors have been computed."""
        tensorflow_jacobians.wait(arrays)

    def sparse(self, rows: Any, columns: Any, shape: tuple[int, int], like: Any, /) -> Callable[[Any], Any]:
        """Return what makes a `tf.SparseTensor` of values."""
        import tensorflow as tf

        del like
        places = tf.constant(np.stack([rows, columns], axis=1), dtype=tf.int64)
        return lambda values: tf.SparseTensor(places, values, shape)

    def choices(self, f: Function, xs: Sequence[Any], /) -> tuple[str, ...]:
        """Name what in `f`'s graph lets values decide which inputs an output depends on, each once."""
        return tensorflow_choices.choices(f, xs)

    @contextmanager
    def random_state(self, seed: int, /) -> Iterator[Callable[[], bool]]:
        """Pin the global seed, the global generator and the seed generator of Keras.

        Kernels with a seed of their own (`tf.random.normal(..., seed=1)`, or any random operator inside a
        `tf.function`) keep counters that only clearing all kernels resets, which makes the next evaluation some
        twenty times slower: that happens on entering and after draws that can be seen, and theirs cannot.
        """
        if "tensorflow" not in sys.modules:
            yield lambda: False
            return
        with _global_generators(seed) as states:
            pins = [_pin_global_seed(seed), *(_pin_variable(state) for state in states)]
            try:
                yield lambda: any([rewind() for rewind, _ in pins])
            finally:
                for _, restore in pins:
                    restore()

    def bind(self, f: object, /) -> tuple[Callable[..., Any], dict[str, Any]] | None:
        """Split a built Keras layer or model into a function of its trainable variables, and their values.

        Raises:
            ValueError: the layer has not been built, and so has no variables yet.
        """
        return bind_layer(f, self.name)


def _on_cpu(device: str | None) -> bool:
    """Tell whether a tensor would come to lie in the CPU's memory; without a device, where there is no other one."""
    import tensorflow as tf

    return device.endswith("CPU:0") if device else not tf.config.list_physical_devices("GPU")


def _copied_aligned(array: NDArray[Any]) -> NDArray[Any]:
    """Copy an array to memory that TensorFlow takes over; it ends the process at what is not aligned so."""
    memory = np.empty(array.nbytes + ALIGNED, np.uint8)
    start = -memory.ctypes.data % ALIGNED
    copy: NDArray[Any] = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


Pin = tuple[Callable[[], bool], Callable[[], None]]
"""How to rewind a generator, telling whether it had been drawn from, and how to put it back as it was found."""


def _pin_global_seed(seed: int) -> Pin:
    import tensorflow as tf
    from tensorflow.python.eager import context  # the seed can be set through tf.random, but not read

    state = context.context()
    seed_before, draws_before = state._seed, getattr(state, "_rng", None)
    tf.random.set_seed(seed)
    start = state._rng.getstate()

    def rewind() -> bool:
        used = bool(state._rng.getstate() != start)
        if used:
            tf.random.set_seed(seed)
        return used

    def restore() -> None:
        state._seed = seed_before
        if draws_before is not None:
            state._rng = draws_before

    return rewind, restore


@contextmanager
def _global_generators(seed: int) -> Iterator[list[Any]]:
    """Provide the states of TensorFlow's and Keras's global generators, which otherwise appear at their first use."""
    import tensorflow as tf
    from tensorflow.python.ops import stateful_random_ops as owner

    before = owner.global_generator
    owner.global_generator = before or tf.random.Generator.from_seed(seed)
    try:
        with global_seed_generator(seed) as of_keras:
            yield [owner.global_generator.state, *of_keras]
    finally:
        owner.global_generator = before


def _pin_variable(variable: Any) -> Pin:
    """Pin a generator's state where it is: any state is as good as another, as long as it is the same one."""
    read = _reader(variable)
    start = read().copy()

    def rewind() -> bool:
        used = not np.array_equal(read(), start)
        if used:
            variable.assign(start)
        return used

    return rewind, lambda: variable.assign(start)


def _reader(variable: Any) -> Callable[[], NDArray[Any]]:
    """Return a function that reads a variable, its memory at once where it is TensorFlow's: `numpy()` takes long."""
    import tensorflow as tf

    held = variable if isinstance(variable, tf.Variable) else getattr(variable, "value", None)  # Keras wraps them
    if not isinstance(held, tf.Variable):
        return lambda: np.asarray(variable.numpy())
    return lambda: np.asarray(tf.raw_ops.ReadVariableOp(resource=held.handle, dtype=held.dtype).numpy())
