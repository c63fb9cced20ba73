"""Where operators are smooth: rules that draw one input each, at ordinary points of a stated domain."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Domain = Callable[[Generator], NDArray[np.float64]]
"""Draws one float64 array."""


def draw(domains: tuple[Domain, ...], name: str, seed: int, point: int) -> list[NDArray[np.float64]]:
    """Draw one array from each domain; the draw depends on the operator's name, not on its place in a table."""
    rng = np.random.default_rng([seed, point, zlib.crc32(name.encode())])
    return [domain(rng) for domain in domains]


def real(*shape: int) -> Domain:
    """Draw from the real line, mostly in (-3, 3)."""
    return lambda rng: rng.normal(size=shape) * 1.2


def within(low: float, high: float, *shape: int) -> Domain:
    """Draw uniformly from (low, high)."""
    return lambda rng: rng.uniform(low, high, size=shape)


def positive(*shape: int) -> Domain:
    """Draw positive numbers, mostly from (0.1, 10)."""
    return lambda rng: np.exp(rng.normal(size=shape))


def above_one(*shape: int) -> Domain:
    """Draw numbers above 1.05."""
    return lambda rng: 1.05 + np.exp(rng.normal(size=shape))


def unit(*shape: int) -> Domain:
    """Draw from (-0.95, 0.95)."""
    return within(-0.95, 0.95, *shape)


def probability(*shape: int) -> Domain:
    """Draw from (0.05, 0.95)."""
    return within(0.05, 0.95, *shape)


def nonzero(*shape: int) -> Domain:
    """Draw numbers of either sign, no closer to zero than 0.1."""
    return lambda rng: rng.choice([-1.0, 1.0], size=shape) * (0.1 + np.abs(rng.normal(size=shape)))


def fraction(*shape: int) -> Domain:
    """Draw numbers at least 0.1 away from every integer and half-integer."""
    return lambda rng: rng.integers(-4, 5, size=shape) * 0.5 + rng.uniform(0.1, 0.4, size=shape)


def distinct(*shape: int) -> Domain:
    """Draw numbers of either sign that are at least 0.05 apart from each other and from zero."""

    def rule(rng: Generator) -> NDArray[np.float64]:
        count = int(np.prod(shape))
        values = (rng.permutation(count) - count // 2 + rng.uniform(0.2, 0.8, size=count)) * 0.125
        return values.reshape(shape)

    return rule


def simplex(*shape: int) -> Domain:
    """Draw probabilities that sum to 1 along the last axis, none below 0.02 of the largest."""

    def rule(rng: Generator) -> NDArray[np.float64]:
        weights = rng.uniform(0.1, 1.0, size=shape)
        return np.asarray(weights / weights.sum(axis=-1, keepdims=True))

    return rule


def zeros(*shape: int) -> Domain:
    """Return zeros: a target to which the distance is the other input."""
    return lambda _: np.zeros(shape)


def colours(*shape: int) -> Domain:
    """Draw colours (r, g, b) whose channels are at least 0.05 apart and within (0.1, 0.9)."""

    def rule(rng: Generator) -> NDArray[np.float64]:
        levels = np.array([0.15, 0.4, 0.65]) + rng.uniform(0.0, 0.2, size=(*shape, 3))
        return np.asarray(rng.permuted(levels, axis=-1))

    return rule


def square(n: int) -> Domain:
    """Draw a well-conditioned matrix: singular values from 1 to 2, all distinct."""

    def rule(rng: Generator) -> NDArray[np.float64]:
        u, v = _orthogonal(rng, n), _orthogonal(rng, n)
        return np.asarray(u * _spectrum(rng, n) @ v)

    return rule


def dominant(n: int) -> Domain:
    """Draw a matrix whose diagonal is large and whose eigenvalues are real, positive and apart."""
    return lambda rng: np.diag(2.0 + 3.0 * np.arange(n)) + 0.3 * rng.normal(size=(n, n))


def spd(n: int) -> Domain:
    """Draw a symmetric positive definite matrix with eigenvalues from 1 to 2, all distinct."""

    def rule(rng: Generator) -> NDArray[np.float64]:
        u = _orthogonal(rng, n)
        matrix = u * _spectrum(rng, n) @ u.T
        return np.asarray((matrix + matrix.T) / 2)

    return rule


def triangular(n: int) -> Domain:
    """Draw a lower triangular matrix with a positive diagonal."""
    return lambda rng: np.tril(rng.normal(size=(n, n)) * 0.5, -1) + np.diag(rng.uniform(1, 2, size=n))


def _orthogonal(rng: Generator, n: int) -> NDArray[np.float64]:
    return np.linalg.qr(rng.normal(size=(n, n)))[0]


def _spectrum(rng: Generator, n: int) -> NDArray[np.float64]:
    return 1.0 + (np.arange(n) + rng.uniform(0.2, 0.8, size=n)) / n
