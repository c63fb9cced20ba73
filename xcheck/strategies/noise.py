"""How exact products with a Jacobian are: what a vector and three times that vector give should differ by a factor."""

from __future__ import annotations

import numpy as np

from xcheck.protocol import RealArray
from xcheck.strategies.tables import TINY, Product, random_signs

COARSEST = 2.0**-10
"""Products that are less exact are no base for anything."""

NOISE_BITS = 16
"""Bits of the weights of probes, which are tripled to see the rounding."""

SAMPLES = 8
"""Vectors by which the rounding of single rows is seen, where it has to be."""

SEEN = 16.0
"""The largest of these roundings may be smaller than another one by that."""


class Noise:
    """The rounding of products, seen by a vector v and by 3 v; costs two products.

    Attributes:
        products: J @ v.
        gap: |J @ (3 v) - 3 (J @ v)| / 3.
    """

    def __init__(self, push: Product, n: int, rng: np.random.Generator, others: int = 0) -> None:
        """Measure it by a random vector, and measure others without."""
        self.vectors = random_signs((1 + others, n), NOISE_BITS, rng)
        found = np.asarray(push(np.concatenate([self.vectors, 3 * self.vectors[:1]])), dtype=np.float64)
        self.products = found[:-1]
        with np.errstate(invalid="ignore", over="ignore"):
            self.gap = np.abs(found[-1] / 3 - found[0])

    def unit(self, precision: int) -> float:
        """Return the relative rounding of products as it is in nine of ten rows, no less than a unit of roundoff."""
        size = np.abs(self.products[0])
        there = (size > TINY[precision]) & np.isfinite(size) & np.isfinite(self.gap)
        share = float(np.quantile(self.gap[there] / size[there], 0.9)) if np.any(there) else 0.0
        return max(2.0**-precision, share / 2)


def rounding_of_rows(push: Product, n: int, rng: np.random.Generator) -> RealArray:
    """Return the largest rounding of each row's products seen with some vectors v and 3 v; costs 16 products."""
    vectors = random_signs((SAMPLES, n), NOISE_BITS, rng)
    found = np.asarray(push(np.concatenate([vectors, 3 * vectors])), dtype=np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        gaps = np.max(np.abs(found[SAMPLES:] / 3 - found[:SAMPLES]), axis=0)
        return np.asarray(np.where(np.isfinite(gaps), gaps, 0.0))
