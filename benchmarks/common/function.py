"""One function in three frameworks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Point = tuple[Any, ...]

KINDS = ("ordinary", "kink", "tail")
"""Kinds of points: where everything is smooth, at kinks, ties and degenerate places, and far out."""

COMPLEX = {"float64": "complex128", "float32": "complex64"}
"""The precisions that points are given in, and their complex numbers."""


@dataclass(frozen=True)
class Common:
    """A function that all three frameworks have.

    Attributes:
        name: what it is called.
        functions: its implementations, by the labels of `crosscheck`.
        points: the points to compare them at, by kind and number, such as "kink 1".
    """

    name: str
    functions: Mapping[str, Callable[..., Any]]
    points: Mapping[str, Point] = field(default_factory=dict)


def numbered(**points: Any) -> dict[str, Point]:
    """Number the points of every kind; a point of one input needs no tuple, and a list becomes an array."""
    found = {}
    for kind, given in points.items():
        if kind not in KINDS:
            raise ValueError(f"{kind!r} is no kind of point: {KINDS}")
        for number, point in enumerate(given if isinstance(given, list) else [given]):
            inputs = point if isinstance(point, tuple) else (point,)
            found[f"{kind} {number}" if isinstance(given, list) and len(given) > 1 else kind] = inputs
    return found


def vector(*numbers: float) -> np.ndarray:
    """Return a float64 vector."""
    return np.array(numbers, dtype=np.float64)


def normal(*shape: int, seed: int = 0, size: float = 1.0) -> np.ndarray:
    """Draw normal numbers."""
    return np.random.default_rng(seed).normal(size=shape) * size


def positive(*shape: int, seed: int = 0) -> np.ndarray:
    """Draw numbers between 0.2 and 3."""
    return np.random.default_rng(seed).uniform(0.2, 3.0, shape)


def symmetric(n: int, seed: int = 0) -> np.ndarray:
    """Draw a positive definite matrix."""
    a = normal(n, n, seed=seed)
    return a @ a.T + n * np.eye(n)


def drawn(common: Common, seed: int, dtype: str) -> dict[str, Point]:
    """Return a function's points in a precision; with a seed, the ordinary ones moved by up to a tenth.

    Every number is multiplied by its own factor between 0.9 and 1.1, which keeps signs, zeros and domains. Kinks and
    tails stay where they are. Inputs given in float32 stay so, and points that float32 does not hold are left out.
    """
    if dtype not in COMPLEX:
        raise ValueError(f"dtype={dtype!r} is not accepted. Accepted: {', '.join(map(repr, COMPLEX))}.")
    generator = np.random.default_rng(seed)
    found = {}
    for name, inputs in common.points.items():
        if not all(_holds(dtype, x) for x in inputs):
            continue
        moved = [_moved(x, generator) for x in inputs] if seed and name.startswith("ordinary") else inputs
        found[name] = tuple(moved) if dtype == "float64" else tuple(_converted(x, dtype) for x in moved)
    return found


def _moved(x: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    return (x * generator.uniform(0.9, 1.1, x.shape)).astype(x.dtype)


def _converted(x: np.ndarray, dtype: str) -> np.ndarray:
    return x.astype(COMPLEX[dtype] if np.iscomplexobj(x) else dtype)


def _holds(dtype: str, x: np.ndarray) -> bool:
    """Tell whether a precision has numbers of that size."""
    limits = np.finfo(dtype)
    size = np.abs(x)
    return bool(np.all((size == 0) | ((size >= limits.tiny) & (size <= limits.max))))
