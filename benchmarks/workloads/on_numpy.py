"""NumPy: what the workloads are written with, and the ways that its users write."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.special import softmax

from workloads.reading import of_colours, of_result, of_whole, seeds_of
from workloads.workload import MEASURED, Function, Way

STEP = 2.0**-26
"""Of one-sided differences."""

TINY = 2.0**-100
"""Of complex steps."""


class Numpy:
    """Arrays, operators and ways of NumPy."""

    name = "numpy"
    xp = np

    def native(self, array: NDArray[Any]) -> Any:
        """Copy an array."""
        return np.array(array)

    def numpy(self, array: Any) -> NDArray[Any]:
        """Return the numbers."""
        return np.asarray(array)

    def wait(self, result: Any) -> Any:
        """Return the result."""
        return result

    def pad(self, x: Any) -> Any:
        """Put a zero at both ends of every axis."""
        return np.pad(x, 1)

    def times(self, x: Any, w: Any) -> Any:
        """Multiply from the right."""
        return x @ w

    def softmax(self, x: Any) -> Any:
        """Take the softmax of rows."""
        return softmax(x, axis=-1)

    def convolutions(self, first: Any, second: Any, dense: Any) -> Callable[[], Callable[[Any], Any]]:
        """Return what makes the network of convolutions; kernels are (out, in, 3, 3)."""
        last = dense.reshape(-1, dense.shape[-1])

        def convolve(x: Any, kernel: Any) -> Any:
            windows = sliding_window_view(x, (3, 3), axis=(2, 3))
            return np.einsum("bihwkl,oikl->bohw", windows, kernel, optimize=True)

        def make() -> Callable[[Any], Any]:
            def network(x: Any) -> Any:
                a = np.tanh(convolve(x[:, None], first))
                b = np.tanh(convolve(a, second))
                return b.reshape(len(b), -1) @ last

            return network

        return make

    def total(self, x: Any) -> Any:
        """Add all entries."""
        return x.sum()

    def gradient(self, f: Any, x: Any) -> Callable[[], Any]:
        """Prepare what takes the place of one gradient: the complex step of all inputs at once."""
        return lambda: np.imag(f(x + 1j * TINY)) / TINY

    def naive(self, f: Any, x: Any, most: int | None = None) -> Callable[[], Any]:
        """Prepare the loop that people write, or the first rounds of it: a one-sided difference for every input."""

        def run() -> Any:
            here, columns = f(x).reshape(-1), []
            for place in range(most or x.size):
                moved = x.copy()
                moved.flat[place] += STEP
                columns.append((f(moved).reshape(-1) - here) / STEP)
            return np.stack(columns, axis=1)

        return run

    def ways(self, function: Function, f: Any, x: Any, y: Any, quantity: str) -> list[Way]:
        """Return the loop and what people write by hand; NumPy has no default."""
        shapes = (x.shape, y.shape)
        whole, exact = of_whole(quantity, self.numpy, *shapes), of_result(quantity, self.numpy, *shapes)
        room = 16.0 * prod(x.shape) * prod(y.shape)
        naive = Way("loop over inputs", "naive", lambda: self.naive(f, x), whole, MEASURED, rounds=x.size, room=room)
        found = [naive]
        if quantity == "diagonal":
            found.append(Way("one complex step", "yardstick", lambda: self.gradient(f, x), exact))
        if quantity == "sparse" and function.colours is not None:
            seeds = seeds_of(function.colours, x.shape)
            read = of_colours(self.numpy, function.truth(), function.colours)
            name = f"{len(seeds)} complex steps coloured by hand"
            found.append(Way(name, "yardstick", lambda: self._stepped(f, x, seeds), read))
        return found

    def _stepped(self, f: Any, x: Any, seeds: list[Any]) -> Callable[[], Any]:
        return lambda: [np.imag(f(x + 1j * TINY * seed)) / TINY for seed in seeds]
