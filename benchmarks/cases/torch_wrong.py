"""Operators of torch 2.13 whose own derivatives are wrong, or inaccurate far beyond rounding; found by the tables.

They are no part of `operators`. Each row says what is true of it, from mpmath or from the formula.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from cases.case import Case, Truth
from cases.torch_points import between, definite, off, positive, real, together

PLACES = torch.tensor([[0, 2, 1, 3, 4, 0], [3, 1, 0, 2, 2, 4], [1, 1, 4, 0, 3, 2]])


def wrong(seed: int) -> Iterator[Case]:
    """Yield what torch itself gets wrong; `planted` is the size of the error relative to the entry, as measured."""
    for number, (name, rule, f, size, about) in enumerate(ROWS):
        inputs = rule(np.random.default_rng([seed, number]))
        truth = Truth.WRONG if size else Truth.CONVENTION
        yield Case(f"wrong:{name}", "torch", f, inputs, truth, planted=size, about=about)


def _spread_out(rng: np.random.Generator) -> tuple[torch.Tensor, ...]:
    return (torch.from_numpy(np.concatenate([rng.uniform(-45, -40, 3), rng.uniform(-1, 1, 3)])),)


ROWS = [
    (
        "torch.ldexp[negative integer]",
        real(4, 3),
        lambda x: torch.ldexp(x, torch.tensor([1, -2, -1])),
        1.0,
        "the gradient is multiplied by an integer power, which is 0 for a negative exponent",
    ),
    (
        "torch.cholesky_inverse",
        definite(4),
        lambda x: torch.cholesky_inverse(torch.linalg.cholesky((x + x.mT) / 2)),
        1.0,
        "forward mode gives another matrix than reverse mode and differences, also for lower triangular tangents",
    ),
    (
        "torch.scatter_reduce[prod]",
        together(real(5, 6), real(3, 6)),
        lambda x, y: torch.scatter_reduce(x, 0, PLACES, y, "prod"),
        1.0,
        "forward mode drops the tangent without a word",
    ),
    (
        "torch.logcumsumexp",
        _spread_out,
        lambda x: torch.logcumsumexp(x, 0),
        1.0,
        "forward mode adds 1e-13 to the sum of exponentials, relative to the largest of the whole axis",
    ),
    (
        "torch.logcumsumexp[mild]",
        real(4, 6),
        lambda x: torch.logcumsumexp(x, 1),
        1e-13,
        "the same where it makes 1e-13 to 1e-12 of the derivative",
    ),
    (
        "torch.nn.functional.celu[1.3]",
        between(-2.0, -0.1, 12),
        lambda x: torch.celu(x, 1.3),
        2.4e-8,
        "the backward rounds 1 / alpha to float32",
    ),
    (
        "torch.nn.functional.hardsigmoid",
        off(-3.0, 3.0)(12),
        torch.nn.functional.hardsigmoid,
        3e-8,
        "the backward rounds 1 / 6 to float32",
    ),
    (
        "torch.digamma",
        positive(12),
        torch.digamma,
        4e-10,
        "the trigamma function of the backward is accurate to 5e-10 only",
    ),
    (
        "torch.polygamma[1]",
        positive(12),
        lambda x: torch.polygamma(1, x),
        0.0,
        "the derivative is right, the values are those of a trigamma function accurate to 5e-10 only",
    ),
]
