"""JAX: what the workloads are written with, and the ways that its users write."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workloads.reading import of_colours, of_result, of_whole, seeds_of
from workloads.workload import Function, Way


class Jax:
    """Arrays, operators and ways of JAX."""

    name = "jax"

    @cached_property
    def xp(self) -> Any:
        """The module with tanh, exp and sin; 64 bits are switched on, as JAX's users do."""
        import jax

        jax.config.update("jax_enable_x64", True)
        return jax.numpy

    def native(self, array: NDArray[Any]) -> Any:
        """Copy an array."""
        return self.xp.asarray(array)

    def numpy(self, array: Any) -> NDArray[Any]:
        """Return the numbers."""
        return np.asarray(array)

    def wait(self, result: Any) -> Any:
        """Return the result when it is there."""
        import jax

        return jax.block_until_ready(result)

    def pad(self, x: Any) -> Any:
        """Put a zero at both ends of every axis."""
        return self.xp.pad(x, 1)

    def times(self, x: Any, w: Any) -> Any:
        """Multiply from the right."""
        return x @ w

    def softmax(self, x: Any) -> Any:
        """Take the softmax of rows."""
        import jax

        return jax.nn.softmax(x, axis=-1)

    def convolutions(self, first: Any, second: Any, dense: Any) -> Callable[[], Callable[[Any], Any]]:
        """Return what makes the network of convolutions; kernels are (out, in, 3, 3)."""
        import jax

        tanh = self.xp.tanh
        one, two, last = self.native(first), self.native(second), self.native(dense.reshape(-1, dense.shape[-1]))

        def convolve(x: Any, kernel: Any) -> Any:
            return jax.lax.conv(x, kernel, (1, 1), "VALID")

        def make() -> Callable[[Any], Any]:
            def network(x: Any) -> Any:
                a = tanh(convolve(x[:, None], one))
                b = tanh(convolve(a, two))
                return b.reshape(len(b), -1) @ last

            return network

        return make

    def total(self, x: Any) -> Any:
        """Add all entries."""
        return x.sum()

    def gradient(self, f: Any, x: Any) -> Callable[[], Any]:
        """Prepare the gradient of the sum of all outputs."""
        import jax

        compiled = jax.jit(jax.grad(lambda x: f(x).sum()))
        return lambda: self.wait(compiled(x))

    def naive(self, f: Any, x: Any, most: int | None = None) -> Callable[[], Any]:
        """Prepare the loop that people write, or the first rounds of it: a pullback for every output, eager."""
        import jax

        def run() -> Any:
            y, pull = jax.vjp(f, x)
            units = self.xp.eye(most or y.size, y.size, dtype=y.dtype)
            return self.wait(self.xp.stack([pull(unit.reshape(y.shape))[0].reshape(-1) for unit in units]))

        return run

    def naive_hessian(self, f: Any, x: Any) -> Callable[[], Any]:
        """Prepare the loop over the entries of the gradient."""
        import jax

        return lambda: self.naive(jax.grad(f), x)()

    def ways(self, function: Function, f: Any, x: Any, y: Any, quantity: str) -> list[Way]:
        """Return the loop, the default and what people write by hand."""
        import jax

        shapes = (tuple(x.shape), tuple(y.shape))
        whole, exact = of_whole(quantity, self.numpy, *shapes), of_result(quantity, self.numpy, *shapes)
        outputs, room = prod(y.shape), 16.0 * prod(x.shape) * prod(y.shape)
        found = [Way("loop over outputs", "naive", lambda: self.naive(f, x), whole, rounds=outputs, room=room)]
        if quantity == "batch":

            def alone(sample: Any) -> Any:
                return f(sample[None])[0]

            eager, forward = jax.vmap(jax.jacrev(alone)), jax.jit(jax.vmap(jax.jacfwd(alone)))
            reverse = jax.jit(eager)
            found += [
                Way("vmap(jacrev)", "default", lambda: lambda: self.wait(eager(x)), exact),
                Way("jit(vmap(jacfwd))", "yardstick", lambda: lambda: self.wait(forward(x)), exact),
                Way("jit(vmap(jacrev))", "yardstick", lambda: lambda: self.wait(reverse(x)), exact),
            ]
        else:
            name = "jacrev + diagonal" if quantity == "diagonal" else "jacrev"
            call, quick = jax.jacrev(f), jax.jit(jax.jacrev(f))
            found += [
                Way(name, "default", lambda: lambda: self.wait(call(x)), whole, products=outputs, room=room),
                Way(
                    f"jit({name})", "yardstick", lambda: lambda: self.wait(quick(x)), whole, products=outputs, room=room
                ),
            ]
        if quantity == "diagonal":
            found.append(Way("one gradient, jit", "yardstick", lambda: self.gradient(f, x), exact))
        if quantity == "sparse" and function.colours is not None:
            seeds = [self.native(s) for s in seeds_of(function.colours, shapes[0])]
            for mode, prepare in (("pullback", self._pulled), ("pushforward", self._pushed)):
                read = of_colours(self.numpy, function.truth(), function.colours, by_rows=mode == "pullback")
                name = f"{len(seeds)} {mode}s coloured by hand, jit"
                found.append(Way(name, "yardstick", lambda prepare=prepare: prepare(f, x, seeds), read))
        return found

    def _pulled(self, f: Any, x: Any, seeds: list[Any]) -> Callable[[], Any]:
        import jax

        @jax.jit
        def products(x: Any) -> Any:
            _, pull = jax.vjp(f, x)
            return [pull(seed)[0] for seed in seeds]

        return lambda: self.wait(products(x))

    def _pushed(self, f: Any, x: Any, seeds: list[Any]) -> Callable[[], Any]:
        import jax

        products = jax.jit(lambda x: [jax.jvp(f, (x,), (seed,))[1] for seed in seeds])
        return lambda: self.wait(products(x))
