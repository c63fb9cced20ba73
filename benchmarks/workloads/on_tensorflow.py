"""TensorFlow: what the workloads are written with, and the ways that its users write."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workloads.reading import of_colours, of_result, of_whole, seeds_of
from workloads.workload import Function, Way


class Tensorflow:
    """Arrays, operators and ways of TensorFlow."""

    name = "tensorflow"

    @cached_property
    def xp(self) -> Any:
        """The module with tanh, exp and sin."""
        import tensorflow as tf

        return tf

    def native(self, array: NDArray[Any]) -> Any:
        """Copy an array."""
        return self.xp.constant(array)

    def numpy(self, array: Any) -> NDArray[Any]:
        """Return the numbers."""
        return np.asarray(array.numpy())

    def wait(self, result: Any) -> Any:
        """Return the result; on the CPU it is there."""
        return result

    def pad(self, x: Any) -> Any:
        """Put a zero at both ends of every axis."""
        return self.xp.pad(x, [[1, 1]] * len(x.shape))

    def times(self, x: Any, w: Any) -> Any:
        """Multiply from the right."""
        if len(x.shape) == 1:
            return self.xp.linalg.matvec(w, x, transpose_a=True)
        return x @ w

    def softmax(self, x: Any) -> Any:
        """Take the softmax of rows."""
        return self.xp.nn.softmax(x)

    def convolutions(self, first: Any, second: Any, dense: Any) -> Callable[[], Callable[[Any], Any]]:
        """Return what makes the network of convolutions; kernels are (out, in, 3, 3), and channels come last here."""
        tf = self.xp
        one, two = (self.native(k.transpose(2, 3, 1, 0)) for k in (first, second))
        last = self.native(dense.transpose(1, 2, 0, 3).reshape(-1, dense.shape[-1]))

        def make() -> Callable[[Any], Any]:
            def network(x: Any) -> Any:
                a = tf.tanh(tf.nn.conv2d(x[..., None], one, 1, "VALID"))
                b = tf.tanh(tf.nn.conv2d(a, two, 1, "VALID"))
                return tf.reshape(b, [b.shape[0], -1]) @ last

            return network

        return make

    def total(self, x: Any) -> Any:
        """Add all entries."""
        return self.xp.reduce_sum(x)

    def gradient(self, f: Any, x: Any) -> Callable[[], Any]:
        """Prepare the gradient of the sum of all outputs."""
        tf = self.xp

        @tf.function
        def compiled(x: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = f(x)
            return tape.gradient(y, x)

        return lambda: compiled(x)

    def naive(self, f: Any, x: Any, most: int | None = None) -> Callable[[], Any]:
        """Prepare the loop that people write, or the first rounds of it: one `tape.gradient` for every output."""
        tf = self.xp

        def run() -> Any:
            with tf.GradientTape(persistent=True) as tape:
                tape.watch(x)
                flat = tf.reshape(f(x), [-1])
                outputs = [flat[k] for k in range(most or flat.shape[0])]
            return tf.stack([tf.reshape(tape.gradient(y, x), [-1]) for y in outputs])

        return run

    def naive_hessian(self, f: Any, x: Any) -> Callable[[], Any]:
        """Prepare the loop over the entries of the gradient."""
        tf = self.xp

        def run() -> Any:
            with tf.GradientTape(persistent=True) as outer:
                outer.watch(x)
                with tf.GradientTape() as inner:
                    inner.watch(x)
                    y = f(x)
                gradient = inner.gradient(y, x)
                slopes = [gradient[k] for k in range(gradient.shape[0])]
            return tf.stack([outer.gradient(g, x) for g in slopes])

        return run

    def ways(self, function: Function, f: Any, x: Any, y: Any, quantity: str) -> list[Way]:
        """Return the loop, the default and what people write by hand."""
        tf, shapes = self.xp, (tuple(x.shape), tuple(y.shape))
        whole, exact = of_whole(quantity, self.numpy, *shapes), of_result(quantity, self.numpy, *shapes)
        outputs, room = prod(y.shape), 16.0 * prod(x.shape) * prod(y.shape)
        batch = quantity == "batch"
        name = "tape.batch_jacobian" if batch else "tape.jacobian" + " + diagonal" * (quantity == "diagonal")
        read = exact if batch else whole

        def call(x: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = f(x)
            return tape.batch_jacobian(y, x) if batch else tape.jacobian(y, x)

        graph = tf.function(call)
        more = {} if batch else {"products": outputs, "room": room}
        found = [
            Way("loop over outputs", "naive", lambda: self.naive(f, x), whole, rounds=outputs, room=room),
            Way(name, "default", lambda: lambda: call(x), read, **more),
            Way(f"tf.function({name})", "yardstick", lambda: lambda: graph(x), read, **more),
        ]
        if quantity == "diagonal":
            found.append(Way("one gradient, tf.function", "yardstick", lambda: self.gradient(f, x), exact))
        if quantity == "sparse" and function.colours is not None:
            seeds = [self.native(s) for s in seeds_of(function.colours, shapes[0])]
            for mode, prepare in (("pullback", self._pulled), ("pushforward", self._pushed)):
                place = of_colours(self.numpy, function.truth(), function.colours, by_rows=mode == "pullback")
                label = f"{len(seeds)} {mode}s coloured by hand, tf.function"
                found.append(Way(label, "yardstick", lambda prepare=prepare: prepare(f, x, seeds), place))
        return found

    def _pulled(self, f: Any, x: Any, seeds: list[Any]) -> Callable[[], Any]:
        tf = self.xp

        @tf.function
        def products(x: Any) -> Any:
            with tf.GradientTape(persistent=True) as tape:
                tape.watch(x)
                y = f(x)
            return [tape.gradient(y, x, seed) for seed in seeds]

        return lambda: products(x)

    def _pushed(self, f: Any, x: Any, seeds: list[Any]) -> Callable[[], Any]:
        tf = self.xp

        def push(x: Any, seed: Any) -> Any:
            with tf.autodiff.ForwardAccumulator(x, seed) as accumulator:
                y = f(x)
            return accumulator.jvp(y)

        products = tf.function(lambda x: [push(x, seed) for seed in seeds])
        return lambda: products(x)
