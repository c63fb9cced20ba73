"""Hash tables of the columns of an unknown matrix, filled by products with it: a column alone in a bucket is read off.

Every bucket holds one sum with random weights and one per digit of the column's index. If one column of a row is alone
in its bucket, the ratios of the sums spell its index; else they are no whole numbers, but by chance. What was read off
is subtracted from the other tables, where more columns are then alone. This is the invertible Bloom lookup table of
Goodrich & Mitzenmacher (2011, https://arxiv.org/abs/1101.2245), one for each row of the matrix, all filled at once.

Buckets are residues: column c is in bucket c mod B. If all B are coprime, two columns of n share the bucket in fewer
than log n / log B + 1 of the tables, and neighbours are apart in nearly all of them (Cormode & Muthukrishnan 2006,
combinatorial group testing by the Chinese remainder theorem). So a band or a stencil is read off at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from xcheck.protocol import RealArray

Product: TypeAlias = Callable[[RealArray], RealArray]
"""A batch of products with a matrix (m, n): vectors (k, n) to (k, m)."""

Indices: TypeAlias = NDArray[np.intp]

SLACK = 16.0
"""Units of roundoff, of the terms of a sum, by which rounding may move it."""

READING = 16.0
"""The same of a ratio that is read; with more, columns would be read that are not there."""

MASKED = 16.0
"""Tolerances up to which an entry may hide behind the error of a large one that shares its buckets."""

CHANCE = 12
"""A mixed bucket may pass for that of one column with probability 2^-12 at most; later tables put it right."""

BLOCK = 2**22
"""Numbers in one batch of vectors, or of products."""

TINY = {53: 2.0**-1020, 24: 2.0**-124}
"""Smaller numbers may be subnormal, which has no relative precision."""


@dataclass(frozen=True, slots=True)
class Code:
    """How the index of a column is written: digits of some bits each.

    Attributes:
        precision: significand bits of the numbers that are passed to products.
        unit: the relative rounding of a product; no less than the unit of roundoff.
        digits: the number of digits.
        bits: bits of each digit.
        farthest: a ratio may be that far from a whole number.
    """

    precision: int
    unit: float
    digits: int
    bits: int
    farthest: float

    @property
    def tiny(self) -> float:
        """Return the size below which a sum says nothing."""
        return TINY[self.precision]

    def tolerance(self, terms: RealArray) -> RealArray:
        """Return what rounding may leave of sums whose terms add up to `terms` in absolute value."""
        return np.asarray(SLACK * self.unit * terms + self.tiny)

    def weights(self, n: int, rng: np.random.Generator) -> RealArray:
        """Return the weights of n columns in the sums, (1 + digits, n), all in ±[1, 4) and exact in the precision."""
        plain = random_signs(n, min(20, self.precision - 2 - self.bits), rng)
        shifts = self.bits * np.arange(self.digits)[:, None]
        digits = (np.arange(n) >> shifts) & (2**self.bits - 1)
        return np.concatenate([plain[None], plain * (1 + digits / 2.0**self.bits)])


def code_for(n: int, precision: int, unit: float) -> Code | None:
    """Return the code with the fewest digits that tells n columns apart in spite of rounding; None if there is none."""
    for digits in range(1, 9):
        bits = max(1, -(-max(n - 1, 1).bit_length() // digits))
        farthest = 2.0 ** (-CHANCE / digits - 1)
        if 2.0**bits * READING * unit <= farthest / 4 and 2 * bits <= precision - 4:
            return Code(precision, unit, digits, bits, farthest)
    return None


def random_signs(shape: int | tuple[int, ...], bits: int, rng: np.random.Generator) -> RealArray:
    """Return random numbers in ±[1, 2) with so many bits after the point."""
    sizes = 1 + rng.integers(0, 2**bits, size=shape) / 2.0**bits
    return np.asarray(np.where(rng.integers(0, 2, size=shape) == 1, sizes, -sizes))


class Table:
    """The sums of one table for the rows that are not yet known.

    Attributes:
        size: the number of buckets.
        sums: what is left of the sums, shape (1 + digits, size, rows).
        terms: the terms that were subtracted from each bucket, added up in absolute value, shape (size, rows).
        noise: the rounding that was seen in each row, where entries are made of terms that cancel, shape (rows,).
    """

    def __init__(self, size: int, n: int, code: Code, rng: np.random.Generator) -> None:
        """Draw the weights of a table with so many buckets for n columns."""
        self.size, self.code, self.n = size, code, n
        self.weights = code.weights(n, rng)
        self._measured = np.empty((1 + code.digits, size, 0))
        self.noise = np.zeros(0)
        self.restart()

    @property
    def cost(self) -> int:
        """The number of products that fill it."""
        return len(self.weights) * self.size

    def fill(self, push: Product, m: int, rows: Indices) -> None:
        """Measure the sums of these rows; costs `cost` products, some at a time."""
        measured = np.empty((self.cost, len(rows)))
        step = max(1, BLOCK // max(self.n, m))
        for start in range(0, self.cost, step):
            stop = min(start + step, self.cost)
            products = np.asarray(push(self._vectors(start, stop)))
            measured[start:stop] = products if len(rows) == m else products[:, rows]
        self._measured = measured.reshape(len(self.weights), self.size, len(rows))
        self.noise = np.zeros(len(rows))

    def restart(self) -> None:
        """Forget what was subtracted."""
        self.sums = self._measured.copy()
        self.terms = np.zeros(self.sums.shape[1:])
        self._touched = self.sums[0] != 0
        self._read = np.full(self.terms.shape, -1, dtype=np.int32)

    def _vectors(self, start: int, stop: int) -> RealArray:
        vectors = np.zeros((stop - start, self.n))
        for vector, number in zip(vectors, range(start, stop), strict=True):
            kind, bucket = divmod(number, self.size)
            vector[bucket :: self.size] = self.weights[kind, bucket :: self.size]
        return vectors

    def keep(self, kept: NDArray[np.bool_]) -> None:
        """Drop all other rows, until the restart that has to follow."""
        self._measured = np.ascontiguousarray(self._measured[:, :, kept])
        self.noise = self.noise[kept]

    def finite(self) -> NDArray[np.bool_]:
        """Tell of each row whether no sum is infinite or NaN."""
        return np.asarray(np.all(np.isfinite(self._measured), axis=(0, 1)))

    def vanished(self, floor: RealArray | None = None) -> NDArray[np.bool_]:
        """Tell of each row whether nothing is left of it but rounding, or no more than a floor, shape (rows,)."""
        allowed = self.code.tolerance(self.terms)
        if floor is not None:
            allowed = np.maximum(allowed, floor)
        return np.asarray(np.all(np.abs(self.sums) <= allowed, axis=(0, 1)))

    def hidden(self) -> RealArray:
        """Return what an entry of each row may at most be if it hides in the rounding of this table."""
        return MASKED * self.code.tolerance(np.max(self.terms, axis=0, initial=0.0))

    def occupied(self) -> NDArray[np.intp]:
        """Return the number of buckets in which something is left, by row."""
        return np.asarray(np.sum(np.abs(self.sums[0]) > self.code.tolerance(self.terms), axis=0))

    def singles(self) -> tuple[Indices, Indices, RealArray, RealArray]:
        """Read off what is alone in its bucket, where the bucket changed since the last time.

        A bucket is not read as the same column twice in a row: what was taken back elsewhere was a mistake.

        Returns:
            Rows, columns, values, and for each value the terms it was made of, which say how exact it is.
        """
        cells = np.flatnonzero(self._touched)
        self._touched.reshape(-1)[cells] = False
        sums, terms = self.sums.reshape(len(self.sums), -1)[:, cells], self.terms.reshape(-1)[cells]
        terms = terms + self.noise[cells % self.terms.shape[1]] / self.code.unit
        there = np.abs(sums[0]) > self.code.tolerance(terms)
        cells, sums, terms = cells[there], sums[:, there], terms[there]
        columns, alone = self._decode(sums, terms)
        buckets, rows = np.divmod(cells, self.terms.shape[1])
        alone &= (columns % self.size == buckets) & (columns != self._read.reshape(-1)[cells])
        self._read.reshape(-1)[cells[alone]] = columns[alone]
        rows, columns, sums, terms = rows[alone], columns[alone], sums[0, alone], terms[alone]
        weights = self.weights[0, columns]
        return rows, columns, sums / weights, (terms + np.abs(sums)) / np.abs(weights)

    def _decode(self, sums: RealArray, terms: RealArray) -> tuple[Indices, NDArray[np.bool_]]:
        """Return the columns that the ratios of the sums spell, and whether they spell one at all."""
        code, scale = self.code, 2.0**self.code.bits
        rounding = scale * READING * code.unit * (1 + 2 * terms / np.abs(sums[0]))
        alone, columns = rounding <= code.farthest, np.zeros(len(terms), dtype=np.intp)
        for digit, weighted in enumerate(sums[1:]):
            with np.errstate(over="ignore", invalid="ignore"):
                spelled = (weighted / sums[0] - 1) * scale
            alone &= (spelled > -0.5) & (spelled < scale - 0.5)
            spelled = np.where(alone, spelled, 0.0)
            whole = np.rint(spelled)
            alone &= np.abs(spelled - whole) <= rounding
            columns += whole.astype(np.intp) << (digit * code.bits)
        alone &= columns < self.n
        return np.where(alone, columns, 0), alone

    def subtract(self, rows: Indices, columns: Indices, values: RealArray, terms: RealArray) -> None:
        """Take entries out of the sums; `terms` says what their values were made of."""
        cells = (columns % self.size) * self.terms.shape[1] + rows
        for sums, weights in zip(self.sums, self.weights, strict=True):
            np.subtract.at(sums.reshape(-1), cells, values * weights[columns])
        np.add.at(self.terms.reshape(-1), cells, terms * np.abs(self.weights[0, columns]))
        self._touched.reshape(-1)[cells] = True
