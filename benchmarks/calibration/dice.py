"""Random parameters that both arithmetics hold exactly."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

T = TypeVar("T")


class Dice:
    """Draws parameters, each rounded to the dtype that the function will run in.

    Attributes:
        dtype: "float64" or "float32".
        wide: whether it is float64.
    """

    def __init__(self, rng: np.random.Generator, dtype: str) -> None:
        """Draw from `rng`."""
        self.rng = rng
        self.dtype = dtype
        self.wide = dtype == "float64"

    def hold(self, value: float) -> float:
        """Round to the dtype."""
        return float(np.dtype(self.dtype).type(value))

    def number(self, low: float, high: float) -> float:
        """Draw uniformly."""
        return self.hold(self.rng.uniform(low, high))

    def signed(self, low: float, high: float) -> float:
        """Draw uniformly, with either sign."""
        return self.number(low, high) * self.pick((-1.0, 1.0))

    def power(self, low: float, high: float) -> float:
        """Draw 10 to a uniform power."""
        return self.hold(10 ** self.rng.uniform(low, high))

    def pick(self, options: tuple[T, ...]) -> T:
        """Draw one of several."""
        return options[int(self.rng.integers(len(options)))]

    def whole(self, low: int, high: int) -> int:
        """Draw an integer, both ends included."""
        return int(self.rng.integers(low, high + 1))

    def array(self, *shape: int, size: float = 1.0) -> np.ndarray:
        """Draw normal numbers."""
        return (size * self.rng.normal(size=shape)).astype(self.dtype).astype(np.float64)
