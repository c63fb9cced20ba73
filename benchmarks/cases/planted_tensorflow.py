"""Planting in TensorFlow: `tf.custom_gradient` around the operator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from cases.planted import Flaw, Function


class Tools:
    """TensorFlow as `planted` needs it."""

    modes = ("vjp",)

    def constant(self, array: np.ndarray, like: Any) -> Any:
        """Return `array` in the dtype of `like`."""
        return tf.constant(np.asarray(array).astype(like.dtype.as_numpy_dtype))

    def total(self, array: Any) -> Any:
        """Add up all numbers."""
        return tf.reduce_sum(array)

    def pull(self, f: Function, inputs: tuple[Any, ...], cotangent: Callable[[Any], np.ndarray]) -> list[Any]:
        """Evaluate `f` and pull a cotangent back; empty where not all is floating-point and the output one tensor."""
        if not all(tf.is_tensor(x) and (x.dtype.is_floating or x.dtype.is_complex) for x in inputs):
            return []
        with tf.GradientTape() as tape:
            for x in inputs:
                tape.watch(x)
            y = f(*inputs)
        if not tf.is_tensor(y) or not (y.dtype.is_floating or y.dtype.is_complex) or not np.prod(y.shape):
            return []
        weight = self.constant(cotangent(y), y)
        return [None if g is None else _dense(g).numpy() for g in tape.gradient(y, inputs, output_gradients=weight)]

    def flawed(self, f: Function, flaw: Flaw, inputs: tuple[Any, ...]) -> Function:  # noqa: ARG002
        """Wrap `f`."""
        tools = self

        @tf.custom_gradient
        def rule(*inputs: Any) -> Any:
            def pull(cotangent: Any) -> list[Any]:
                with tf.GradientTape() as tape:
                    for x in inputs:
                        tape.watch(x)
                    again = f(*inputs)
                found = tape.gradient(again, inputs, output_gradients=cotangent)
                return [tf.zeros_like(x) if g is None else _dense(g) for x, g in zip(inputs, found, strict=True)]

            return f(*inputs), lambda cotangent: tuple(flaw.pulled(pull, cotangent, tools))

        def wrong(*inputs: Any) -> Any:
            return rule(*inputs)

        wrong.__name__ = getattr(f, "__name__", "f").strip("<>")
        return wrong


def _dense(gradient: Any) -> Any:
    return tf.convert_to_tensor(gradient)  # gathers hand out IndexedSlices
