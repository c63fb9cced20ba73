"""Diagonals and traces from products with random signs, with the standard error of the estimate.

For a vector w of independent random signs, `w * (J^T w)` has the diagonal of J as its mean (Bekas, Kokiopoulou and Saad
2007), and its sum has the trace (Hutchinson 1990). Entries beside the diagonal are what scatters it: where there are
none, one vector is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xcheck.protocol import Native
from xcheck.strategies.primal import Primal
from xcheck.strategies.recipes import Recipe


class Estimate(NamedTuple):
    """A mean over random vectors.

    Attributes:
        value: the estimate.
        standard_error: of the value, the same structure; how far off it is, in the mean over random vectors.
    """

    value: Any
    standard_error: Any


def diagonal_estimate(primal: Primal, mode: str, samples: int, seed: int) -> Recipe:
    """Average over the products with random signs; the result is the means like the inputs, then the errors."""
    xp: Any = primal.backend.namespace()  # type: ignore[attr-defined]
    blocks = primal.inputs.blocks

    def reduce(products: Sequence[Native], seeds: Sequence[Native]) -> list[Native]:
        pairs = zip(products, seeds, blocks, strict=True)
        return [xp.reshape(p, (p.shape[0], *b.shape)) * xp.reshape(s, (p.shape[0], *b.shape)) for p, s, b in pairs]

    def finish(parts: Sequence[Native]) -> list[Native]:
        return [xp.mean(part, axis=0) for part in parts] + [_error(xp, part) for part in parts]

    return Recipe("random signs", mode, samples, _signs(primal, mode, samples, seed), reduce, finish)


def trace_estimate(primal: Primal, mode: str, samples: int, seed: int) -> Recipe:
    """Average the sums of the products with random signs; the result is the mean, then its error."""
    xp: Any = primal.backend.namespace()  # type: ignore[attr-defined]

    def reduce(products: Sequence[Native], seeds: Sequence[Native]) -> list[Native]:
        pairs = [
            (xp.reshape(p, (p.shape[0], -1)), xp.reshape(s, (p.shape[0], -1)))
            for p, s in zip(products, seeds, strict=True)
        ]
        sums = [xp.sum(p * s, axis=1) for p, s in pairs]
        return [sum(sums[1:], sums[0])]

    def finish(parts: Sequence[Native]) -> list[Native]:
        return [xp.mean(parts[0], axis=0), _error(xp, parts[0])]

    return Recipe("random signs", mode, samples, _signs(primal, mode, samples, seed), reduce, finish)


def _error(xp: Any, part: Native) -> Native:
    return xp.std(part, axis=0, correction=1) / part.shape[0] ** 0.5


def _signs(primal: Primal, mode: str, samples: int, seed: int) -> Any:
    space = primal.outputs if mode == "vjp" else primal.inputs
    signs = np.random.default_rng((seed, 23)).choice(np.array([-1.0, 1.0]), (samples, space.size))

    def seeds(start: int, stop: int) -> list[NDArray[Any]]:
        return [signs[start:stop, block.slice].reshape(stop - start, *block.shape) for block in space.blocks]

    return seeds
