"""PyTorch: what the workloads are written with, and the ways that its users write."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workloads.reading import of_colours, of_columns, of_result, of_whole, seeds_of
from workloads.workload import Function, Way


class Torch:
    """Arrays, operators and ways of PyTorch."""

    name = "torch"

    @cached_property
    def xp(self) -> Any:
        """The module with tanh, exp and sin."""
        import torch

        return torch

    def native(self, array: NDArray[Any]) -> Any:
        """Copy an array."""
        return self.xp.from_numpy(np.array(array))

    def numpy(self, array: Any) -> NDArray[Any]:
        """Return the numbers."""
        return np.asarray(array.detach())

    def wait(self, result: Any) -> Any:
        """Return the result; on the CPU it is there."""
        return result

    def pad(self, x: Any) -> Any:
        """Put a zero at both ends of every axis."""
        return self.xp.nn.functional.pad(x, (1, 1) * x.ndim)

    def times(self, x: Any, w: Any) -> Any:
        """Multiply from the right."""
        return x @ w

    def softmax(self, x: Any) -> Any:
        """Take the softmax of rows."""
        return self.xp.softmax(x, dim=-1)

    def convolutions(self, first: Any, second: Any, dense: Any) -> Callable[[], Callable[[Any], Any]]:
        """Return what makes the network of convolutions; kernels are (out, in, 3, 3)."""
        torch = self.xp
        one, two, last = self.native(first), self.native(second), self.native(dense.reshape(-1, dense.shape[-1]))
        convolve = torch.nn.functional.conv2d

        def make() -> Callable[[Any], Any]:
            def network(x: Any) -> Any:
                a = torch.tanh(convolve(x[:, None], one))
                b = torch.tanh(convolve(a, two))
                return b.flatten(1) @ last

            return network

        return make

    def total(self, x: Any) -> Any:
        """Add all entries."""
        return x.sum()

    def gradient(self, f: Any, x: Any) -> Callable[[], Any]:
        """Prepare the gradient of the sum of all outputs."""
        torch = self.xp

        def run() -> Any:
            leaf = x.detach().requires_grad_()
            return torch.autograd.grad(f(leaf).sum(), leaf)[0]

        return run

    def naive(self, f: Any, x: Any, most: int | None = None) -> Callable[[], Any]:
        """Prepare the loop that people write, or the first rounds of it: one `grad` for every output."""
        torch = self.xp

        def run() -> Any:
            leaf = x.detach().requires_grad_()
            outputs = f(leaf).reshape(-1)
            rows = (torch.autograd.grad(outputs[k], leaf, retain_graph=True)[0] for k in range(most or len(outputs)))
            return torch.stack([row.reshape(-1) for row in rows])

        return run

    def naive_hessian(self, f: Any, x: Any) -> Callable[[], Any]:
        """Prepare the loop over the entries of the gradient."""
        torch = self.xp

        def run() -> Any:
            leaf = x.detach().requires_grad_()
            (slopes,) = torch.autograd.grad(f(leaf), leaf, create_graph=True)
            rows = (torch.autograd.grad(slopes[k], leaf, retain_graph=True)[0] for k in range(len(slopes)))
            return torch.stack([row.reshape(-1) for row in rows])

        return run

    def ways(self, function: Function, f: Any, x: Any, y: Any, quantity: str) -> list[Way]:
        """Return the loop, the default and what people write by hand."""
        torch, shapes = self.xp, (tuple(x.shape), tuple(y.shape))
        whole = of_whole(quantity, self.numpy, *shapes)
        outputs, room = prod(y.shape), 16.0 * prod(x.shape) * prod(y.shape)
        diagonal = "" if quantity in ("jacobian", "sparse") else " + diagonal"
        found = [
            Way("loop over outputs", "naive", lambda: self.naive(f, x), whole, rounds=outputs, room=room),
            Way(
                f"torch.autograd.functional.jacobian{diagonal}", "default",
                lambda: lambda: torch.autograd.functional.jacobian(f, x), whole, rounds=outputs, room=room,
            ),
        ]  # fmt: skip
        if quantity == "batch":
            read = of_columns(self.numpy, *shapes)
            found.append(Way("grad(y[:, k].sum()) per column", "yardstick", lambda: self._columns(f, x), read))
        if quantity == "diagonal":
            read = of_result(quantity, self.numpy, *shapes)
            found.append(Way("one gradient", "yardstick", lambda: self.gradient(f, x), read))
        if quantity == "sparse" and function.colours is not None:
            seeds = [self.native(s) for s in seeds_of(function.colours, shapes[0])]
            for mode, prepare in (("pullback", self._pulled), ("pushforward", self._pushed)):
                read = of_colours(self.numpy, function.truth(), function.colours, by_rows=mode == "pullback")
                name = f"{len(seeds)} {mode}s coloured by hand"
                found.append(Way(name, "yardstick", lambda prepare=prepare: prepare(f, x, seeds), read))
        return found

    def _columns(self, f: Any, x: Any) -> Callable[[], Any]:
        torch = self.xp

        def run() -> Any:
            leaf = x.detach().requires_grad_()
            y = f(leaf).flatten(1)
            return [torch.autograd.grad(y[:, k].sum(), leaf, retain_graph=True)[0] for k in range(y.shape[1])]

        return run

    def _pulled(self, f: Any, x: Any, seeds: list[Any]) -> Callable[[], Any]:
        torch = self.xp

        def run() -> Any:
            leaf = x.detach().requires_grad_()
            y = f(leaf)
            return [torch.autograd.grad(y, leaf, seed, retain_graph=True)[0] for seed in seeds]

        return run

    def _pushed(self, f: Any, x: Any, seeds: list[Any]) -> Callable[[], Any]:
        torch = self.xp
        return lambda: [torch.func.jvp(f, (x,), (seed,))[1] for seed in seeds]
