"""Rules for points at which torch's operators are smooth: each draws a tuple of float64 tensors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

Rule = Callable[[np.random.Generator], tuple[torch.Tensor, ...]]
"""Draws the inputs of one case."""


def real(*shape: int, size: float = 1.0) -> Rule:
    """Normal numbers of standard deviation `size`."""
    return lambda rng: (torch.from_numpy(rng.normal(0, size, shape)),)


def between(low: float, high: float, *shape: int) -> Rule:
    """Uniform numbers."""
    return lambda rng: (torch.from_numpy(rng.uniform(low, high, shape)),)


def positive(*shape: int) -> Rule:
    """Numbers between 0.1 and 10, uniform in their logarithm."""
    return lambda rng: (torch.from_numpy(np.exp(rng.uniform(np.log(0.1), np.log(10.0), shape))),)


def off(*places: float, gap: float = 0.05) -> Callable[..., Rule]:
    """Normal numbers at least `gap` from each of the `places`, such as the kinks of an activation."""

    def rule(*shape: int) -> Rule:
        def draw(rng: np.random.Generator) -> tuple[torch.Tensor, ...]:
            x = rng.normal(0, 1.5, shape)
            while np.any(near := np.min(np.abs(x[..., None] - np.array(places)), axis=-1) < gap):
                x[near] = rng.normal(0, 1.5, int(np.count_nonzero(near)))
            return (torch.from_numpy(x),)

        return draw

    return rule


def distinct(*shape: int) -> Rule:
    """Numbers in random order, any two of them at least 0.02 apart and each at least 0.01 from zero."""

    def draw(rng: np.random.Generator) -> tuple[torch.Tensor, ...]:
        count = int(np.prod(shape))
        spread = 0.05 * (rng.permutation(count) - count // 2 + 0.5) + rng.uniform(-0.015, 0.015, count)
        return (torch.from_numpy(spread.reshape(shape)),)

    return draw


def probabilities(*shape: int) -> Rule:
    """Positive numbers that add up to one along the last axis."""
    return lambda rng: (torch.from_numpy(rng.dirichlet(np.full(shape[-1], 2.0), shape[:-1])),)


def definite(size: int, *batch: int) -> Rule:
    """Symmetric positive definite matrices with eigenvalues between 1 and `size` or so."""

    def draw(rng: np.random.Generator) -> tuple[torch.Tensor, ...]:
        a = rng.normal(0, 1, (*batch, size, size))
        return (torch.from_numpy(a @ np.swapaxes(a, -1, -2) / size + np.eye(size)),)

    return draw


def spread(rows: int, columns: int, *batch: int) -> Rule:
    """Matrices whose singular values are 1, 2, 3, ... times a factor within 10 %."""

    def draw(rng: np.random.Generator) -> tuple[torch.Tensor, ...]:
        least = min(rows, columns)
        u = np.linalg.qr(rng.normal(0, 1, (*batch, rows, rows)))[0][..., :least]
        v = np.linalg.qr(rng.normal(0, 1, (*batch, columns, columns)))[0][..., :least]
        s = np.arange(1.0, least + 1) * rng.uniform(0.9, 1.1, (*batch, least))
        return (torch.from_numpy((u * s[..., None, :]) @ np.swapaxes(v, -1, -2)),)

    return draw


def separated(size: int, *batch: int) -> Rule:
    """Square matrices with real eigenvalues near 1, 2, 3, ..., and eigenvectors of a moderate condition."""

    def draw(rng: np.random.Generator) -> tuple[torch.Tensor, ...]:
        v = np.eye(size) + 0.3 * rng.normal(0, 1, (*batch, size, size)) / np.sqrt(size)
        s = np.arange(1.0, size + 1) * rng.uniform(0.95, 1.05, (*batch, size))
        return (torch.from_numpy((v * s[..., None, :]) @ np.linalg.inv(v)),)

    return draw


def compound(*shape: int) -> Rule:
    """Complex normal numbers."""
    return lambda rng: (torch.from_numpy(rng.normal(0, 1, shape) + 1j * rng.normal(0, 1, shape)),)


def together(*rules: Rule) -> Rule:
    """Several inputs, one rule each."""
    return lambda rng: tuple(x for rule in rules for x in rule(rng))


def twice(rule: Rule) -> Rule:
    """Two inputs of the same kind."""
    return together(rule, rule)
