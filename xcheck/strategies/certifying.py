"""A certificate of a sparse matrix: random products agree with those of the Jacobian that it should be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from xcheck.protocol import RealArray
from xcheck.strategies.noise import COARSEST, NOISE_BITS, SAMPLES, SEEN, Noise, rounding_of_rows
from xcheck.strategies.tables import TINY, Indices, Product, random_signs

CERTAIN = 30
"""A certificate overlooks a wrong row with probability 2^-30 at most, if the error is larger than its bound."""

COMPUTED = 64.0
"""Units of roundoff of its terms by which two correct computations of a product may differ."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What random probes say of a sparse matrix.

    Attributes:
        wrong: the rows in which the matrix is wrong beyond rounding.
        unjudged: the rows with an infinity or NaN, of which products say nothing; all rows, if products are not even
            linear.
        bound: a row with an entry that is wrong or missing by more than this is among the wrong ones, but for a chance
            of 2^-30, shape (m,). It is 2^(30 / probes) tolerances.
        products: how many products it cost.
    """

    wrong: Indices
    unjudged: Indices
    bound: RealArray
    products: int

    @property
    def holds(self) -> bool:
        """Tell whether the matrix was right in all rows."""
        return not len(self.wrong) and not len(self.unjudged)


def certified(matrix: csr_array, push: Product, *, precision: int = 53, probes: int = 5, seed: int = 0) -> Certificate:
    """Compare a sparse matrix with products: random vectors of entries in ±[1, 2), and one of them three times as long.

    If one entry of a row is off by e, and whatever the others are, a probe's gap is within a tolerance t for a share
    t / |e| of the values of that entry's weight at most, so k probes miss it with probability (t / |e|)^k. With ±1 it
    would be 1/2 each, for two entries that are off by the same. The tolerance is 64 units of roundoff of |A| |v|, or
    more where more rounding was seen: rows that seem wrong get 16 products to show it.

    Args:
        matrix: the matrix A with its values, (m, n).
        push: products with the matrix that it should be, (k, n) to (k, m). They should be of the mode that made the
            values: the other one rounds in other places, which products of this one do not show.
        precision: significand bits of the arithmetic that made both.
        probes: the number of vectors; costs one product more, and 16 where a row seems wrong.
        seed: of the vectors.
    """
    rng = np.random.default_rng((seed, 7))
    noise = Noise(push, matrix.shape[1], rng, probes - 1)
    allowed = _allowed(matrix, noise, noise.gap, precision)
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.abs(noise.products - _times(matrix, noise.vectors))
    finite = np.isfinite(_times(abs(matrix), np.ones((1, matrix.shape[1])))[0]) & (noise.unit(precision) <= COARSEST)
    wrong, cost = ~np.all(gap <= allowed, axis=0) & finite, probes + 1
    if np.any(wrong):
        rounding = np.where(wrong, rounding_of_rows(push, matrix.shape[1], rng), noise.gap)
        allowed = _allowed(matrix, noise, rounding, precision)
        wrong, cost = ~np.all(gap <= allowed, axis=0) & finite, cost + 2 * SAMPLES
    bound = np.where(finite, 2.0 ** (CERTAIN / probes) * np.max(allowed, axis=0), np.inf)
    return Certificate(np.flatnonzero(wrong), np.flatnonzero(~finite), bound, cost)


def _allowed(matrix: csr_array, noise: Noise, rounding: RealArray, precision: int) -> RealArray:
    """Return the tolerance of each probe and row; rounding is no excuse for more than 2^-10 of the largest row."""
    terms = _times(abs(matrix), np.abs(noise.vectors))
    unit = min(noise.unit(precision), COARSEST)
    most = COARSEST * np.max(np.where(np.isfinite(terms), terms, 0.0), initial=0.0)
    seen = np.minimum(np.where(np.isfinite(rounding), SEEN * rounding, 0.0), most)
    return np.asarray(COMPUTED * unit * terms + seen + TINY[precision])


def _times(matrix: csr_array, vectors: RealArray) -> RealArray:
    return np.asarray((matrix @ vectors.T).T, dtype=np.float64)


def wrong_column(matrix: csr_array, push: Product, row: int, *, precision: int = 53, seed: int = 0) -> int | None:
    """Find a column in which a row of a sparse matrix is wrong or lacks an entry, by halving; None if it finds none.

    Costs two products for each bit of n, and one.

    Args:
        matrix: the matrix, (m, n).
        push: products with the matrix that it should be, (k, n) to (k, m).
        row: one of the wrong rows of its certificate.
        precision: significand bits of the arithmetic that made both.
        seed: of the vectors.
    """
    n = matrix.shape[1]
    line = csr_array(matrix[[row]])
    vector = random_signs(n, NOISE_BITS, np.random.default_rng((seed, 8)))
    columns = np.arange(n)
    while True:
        halves = [half for half in np.array_split(columns, 2) if len(half)]
        vectors = np.zeros((len(halves), n))
        for one, half in zip(vectors, halves, strict=True):
            one[half] = vector[half]
        products = np.asarray(push(vectors), dtype=np.float64)[:, row]
        gap = np.abs(products - _times(line, vectors)[:, 0])
        excess = gap - COMPUTED * 2.0**-precision * _times(abs(line), np.abs(vectors))[:, 0]
        worst = int(np.argmax(np.where(np.isnan(excess), np.inf, excess)))
        if not np.nan_to_num(excess[worst], nan=np.inf) > TINY[precision]:
            return None
        columns = halves[worst]
        if len(columns) == 1:
            return int(columns[0])
