"""Random functions of one variable with derivatives to thirty digits: expression trees on dual numbers over mpmath."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mpmath as mp
import numpy as np

UNARY = {
    "sin": (np.sin, mp.sin, mp.cos),
    "cos": (np.cos, mp.cos, lambda x: -mp.sin(x)),
    "exp": (lambda x: np.exp(x / 4), lambda x: mp.exp(x / 4), lambda x: mp.exp(x / 4) / 4),
    "tanh": (np.tanh, mp.tanh, lambda x: 1 - mp.tanh(x) ** 2),
    "atan": (np.arctan, mp.atan, lambda x: 1 / (1 + x * x)),
    "log1p2": (lambda x: np.log(1 + x * x), lambda x: mp.log(1 + x * x), lambda x: 2 * x / (1 + x * x)),
    "sqrt1": (lambda x: np.sqrt(1 + x * x), lambda x: mp.sqrt(1 + x * x), lambda x: x / mp.sqrt(1 + x * x)),
    "square": (lambda x: x * x, lambda x: x * x, lambda x: 2 * x),
    "inverse": (lambda x: 1 / (2 + x * x), lambda x: 1 / (2 + x * x), lambda x: -2 * x / (2 + x * x) ** 2),
}
KINKS = {
    "abs": (np.abs, abs, lambda x: mp.sign(x)),
    "relu": (lambda x: np.maximum(x, 0), lambda x: x if x > 0 else mp.mpf(0), lambda x: mp.mpf(1 if x > 0 else 0)),
}


@dataclass(frozen=True)
class Expression:
    """A tree of operations; `constant` scales the argument of a leaf."""

    operation: str
    children: tuple[Expression, ...] = ()
    constant: float = 1.0

    def __call__(self, x: Any) -> Any:
        """Evaluate with NumPy."""
        if self.operation == "x":
            return self.constant * x
        values = [child(x) for child in self.children]
        if self.operation in ("+", "*"):
            return values[0] + values[1] if self.operation == "+" else values[0] * values[1]
        return {**UNARY, **KINKS}[self.operation][0](values[0])

    def dual(self, x: mp.mpf) -> tuple[mp.mpf, mp.mpf]:
        """Evaluate value and derivative with mpmath."""
        if self.operation == "x":
            return mp.mpf(self.constant) * x, mp.mpf(self.constant)
        parts = [child.dual(x) for child in self.children]
        if self.operation == "+":
            return parts[0][0] + parts[1][0], parts[0][1] + parts[1][1]
        (a, da) = parts[0]
        if self.operation == "*":
            (b, db) = parts[1]
            return a * b, a * db + da * b
        _, value, slope = {**UNARY, **KINKS}[self.operation]
        return value(a), slope(a) * da


def random_expression(rng: np.random.Generator, depth: int, kinks: bool = False) -> Expression:
    """Draw a tree of at most `depth` levels."""
    if depth == 0 or rng.random() < 0.1:
        return Expression("x", constant=float(np.round(rng.uniform(0.3, 3), 3)))
    if rng.random() < 0.4:
        children = (random_expression(rng, depth - 1, kinks), random_expression(rng, depth - 1, kinks))
        return Expression(str(rng.choice(["+", "*"])), children)
    names = [*UNARY, *(KINKS if kinks else ())]
    return Expression(str(rng.choice(names)), (random_expression(rng, depth - 1, kinks),))


def random_point(rng: np.random.Generator) -> float:
    """Draw a point: mostly of size one, sometimes tiny or large."""
    scale = rng.choice([1.0, 1.0, 1.0, 1e-3, 1e-6, 30.0])
    return float(rng.choice([-1.0, 1.0]) * rng.uniform(0.1, 2.0) * scale)
