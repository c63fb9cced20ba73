"""The sparsity pattern of a matrix that is known by its products alone, and a certificate of a sparse matrix.

The pattern costs O(k log n) products for k non-zeros a row (tables.py has the method), and nothing has to be known
beforehand: tables are added, wider and wider, until nothing is left of any row but rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from xcheck.protocol import RealArray
from xcheck.strategies.tables import BLOCK, MASKED, SLACK, TINY, Code, Indices, Product, Table, code_for, random_signs

NARROWEST = 4
"""Buckets of the first table."""

GROWTH = 1.25
"""Factor between the sizes of tables, where the last one showed that rows are not much denser."""

SWEEPS = 64
"""Rounds of reading off after which the next table has to help."""

PATIENCE = 3
"""Tables in a row in which no more than rounding of the whole row is left, after which that is what it was."""

MOST_NUMBERS = 2**27
"""Numbers in all tables at once."""

COARSEST = 2.0**-10
"""Products that are less exact are no base for anything."""

NOISE_BITS = 16
"""Bits of the weights of probes, which are tripled to see the rounding."""

CERTAIN = 30
"""A certificate overlooks a wrong row with probability 2^-30 at most, if the error is larger than its bound."""

SAMPLES = 8
"""Vectors by which the rounding of single rows is seen, where it has to be."""

SEEN = 16.0
"""The largest of these roundings may be smaller than another one by that."""

LATE = 4
"""After so many tables the rounding of rows that are still open is measured."""

COMPUTED = 64.0
"""Units of roundoff of its terms by which two correct computations of a product may differ."""


Entries: TypeAlias = tuple[Indices, Indices, RealArray, RealArray]
"""Rows, columns, values, and the terms that each value was made of."""

NOTHING: Entries = (np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp), np.zeros(0), np.zeros(0))


class RecoveryError(Exception):
    """Raised where the matrix is too dense for its pattern to pay, or cannot be found by products.

    Attributes:
        nonzeros: about how many non-zeros the matrix has; None if nothing is known.
        products: how many products were spent.
    """

    def __init__(self, message: str, nonzeros: int | None = None, products: int = 0) -> None:
        """Keep what is known beside the message."""
        super().__init__(message)
        self.nonzeros, self.products = nonzeros, products


@dataclass(frozen=True, slots=True)
class Recovered:
    """A pattern that was found by products.

    Attributes:
        pattern: boolean csr_array (m, n); may have a few entries too many.
        bound: every entry (i, j) with |J_ij| > bound[i] at one of the points was found, shape (m,). What is smaller is
            found too unless it shares its bucket with a larger one in all tables. About 1e-13 of the row's sizes in
            double precision and 1e-4 in single.
        products: how many products with the matrix were spent, at all points.
        transposed: how many products with its transpose.
        unit: the relative rounding of products that was seen, no less than the unit of roundoff.
    """

    pattern: csr_array
    bound: RealArray
    products: int
    transposed: int
    unit: float


def recover_pattern(
    pushes: Sequence[Product],
    shape: tuple[int, int],
    *,
    pulls: Sequence[Product] = (),
    precision: int = 53,
    limit: int | None = None,
    seed: int = 0,
) -> Recovered:
    """Find the sparsity pattern of a matrix from products: the union over points, as an entry may vanish at one.

    For products with the transpose alone, exchange the roles: `recover_pattern(pulls, (n, m), pulls=pushes)` finds
    the transposed pattern.

    Args:
        pushes: for each point, the products `J @ v` of a batch of vectors, (k, n) to (k, m).
        shape: m and n.
        pulls: for each point, the products `J.T @ w`, (k, m) to (k, n); they fetch rows that are dense. May be empty.
        precision: significand bits of the products' arithmetic, 53 or 24. Vectors are exact in it.
        limit: the number of products at each point, of both kinds together, that is still worth it; half of the
            smaller side by default, but at least 16.
        seed: of the random weights.

    Raises:
        RecoveryError: the limit was reached, or is sure to be; or products are not finite or not linear to rounding,
            and there are no pulls that could do without them.
        ValueError: there is no point, or not as many pulls as pushes.
    """
    if not pushes or (pulls and len(pulls) != len(pushes)):
        raise ValueError(
            f"as many pulls as pushes are needed, or none; got {len(pushes)} pushes and {len(pulls)} pulls"
        )
    found = [
        _Recovery(push, pulls[i] if pulls else None, shape, precision, limit, np.random.default_rng((seed, i))).run()
        for i, push in enumerate(pushes)
    ]
    pattern = found[0].pattern
    for other in found[1:]:
        pattern = pattern + other.pattern
    return Recovered(
        csr_array(pattern, dtype=np.bool_),
        np.max([one.bound for one in found], axis=0),
        sum(one.products for one in found),
        sum(one.transposed for one in found),
        max(one.unit for one in found),
    )


class _Recovery:
    """The recovery at one point: rows that are still open, the tables for them, and the entries found."""

    def __init__(
        self,
        push: Product,
        pull: Product | None,
        shape: tuple[int, int],
        precision: int,
        limit: int | None,
        rng: np.random.Generator,
    ) -> None:
        self.push, self.pull, self.precision, self.rng = push, pull, precision, rng
        self.m, self.n = shape
        self.limit = max(min(shape) // 2, 16) if limit is None else limit
        self.open: Indices = np.arange(self.m)
        self.tables: list[Table] = []
        self.patience: Indices = np.zeros(self.m, dtype=np.intp)
        self.bound = np.zeros(self.m)
        self.rounding = np.zeros(self.m)
        self.products = self.transposed = 0
        self.unit = 2.0**-precision
        self.rows: list[Indices] = []
        self.columns: list[Indices] = []
        self.values: list[RealArray] = []

    def run(self) -> Recovered:
        """Find the pattern, in the cheapest way that is left at each step."""
        least = 2 * NARROWEST + 2
        if self.pull is not None and self.m <= min(least, self.limit):
            self._fetch_rows()
        elif self.n <= min(least, self.limit):
            self._fetch_all()
        else:
            self._add_tables()
        return Recovered(self._pattern(), self.bound, self.products, self.transposed, self.unit)

    def _pattern(self) -> csr_array:
        rows, columns = np.concatenate([*self.rows, []]), np.concatenate([*self.columns, []])
        where = (rows.astype(np.intp), columns.astype(np.intp))
        values = np.concatenate([*self.values, []])
        total = csr_array(coo_array((values, where), shape=(self.m, self.n)))
        terms = csr_array(coo_array((np.abs(values), where), shape=(self.m, self.n)))
        for matrix in (total, terms):
            matrix.sum_duplicates()
        with np.errstate(invalid="ignore"):
            taken_back = np.abs(total.data) <= SLACK * self.unit * (terms.data - np.abs(total.data))
        pattern = csr_array((~taken_back, total.indices, total.indptr), shape=(self.m, self.n))
        pattern.eliminate_zeros()
        return pattern

    def _note(self, rows: Indices, columns: Indices, values: RealArray) -> None:
        self.rows.append(rows)
        self.columns.append(columns)
        self.values.append(values)

    def _fetch_all(self) -> None:
        """Take one product per column."""
        products = np.asarray(self.push(np.eye(self.n)), dtype=np.float64)
        self.products += self.n
        columns, rows = np.nonzero(products)
        self._note(rows, columns, products[columns, rows])

    def _fetch_rows(self, which: NDArray[np.bool_] | None = None) -> None:
        """Take one product with the transpose for each of these open rows, all by default, and close them."""
        assert self.pull is not None
        wanted = np.ones(len(self.open), dtype=np.bool_) if which is None else which
        fetched = self.open[wanted]
        step = max(1, BLOCK // max(self.m, self.n))
        for start in range(0, len(fetched), step):
            rows = fetched[start : start + step]
            vectors = np.zeros((len(rows), self.m))
            vectors[np.arange(len(rows)), rows] = 1
            products = np.asarray(self.pull(vectors), dtype=np.float64)
            self.transposed += len(rows)
            lines, columns = np.nonzero(products)
            self._note(rows[lines], columns, products[lines, columns])
        self._keep(~wanted)

    def _add_tables(self) -> None:
        self.code = self._code()
        size = NARROWEST
        while len(self.open):
            table = Table(size, self.n, self.code, self.rng)
            if self.pull is not None and self._rather_fetch(table):
                self._fetch_rows()
                return
            if self._too_much(table):
                raise self._too_dense()
            table.fill(self.push, self.m, self.open)
            self.products += table.cost
            self.tables.append(table)
            self._drop_broken(table)
            self._close(self._peel())
            if len(self.open):
                size = self._next_size()

    def _left(self) -> int:
        return self.limit - self.products - self.transposed

    def _code(self) -> Code:
        """See how exact products are, and choose the code for it."""
        noise = Noise(self.push, self.n, self.rng)
        self.products += 2
        self.unit = noise.unit(self.precision)
        code = code_for(self.n, self.precision, self.unit)
        if code is None or self.unit > COARSEST:
            raise RecoveryError(
                f"products are linear to {self.unit:.1g} of themselves only, which is too coarse to find a pattern of "
                f"{self.n} columns",
                products=self.products,
            )
        return code

    def _rather_fetch(self, table: Table) -> bool:
        """Tell whether products with the transpose cost no more than the next table, or are all that is left to do."""
        if not self.tables or len(self.open) > self._left():
            return False
        return len(self.open) <= table.cost or self._too_much(table)

    def _too_much(self, table: Table) -> bool:
        """Tell whether a table is beyond the limits, or sure not to be enough."""
        left = self._left()
        numbers = 2 * len(table.weights) * len(self.open) * (table.size + sum(t.size for t in self.tables))
        if table.cost > left or numbers > MOST_NUMBERS:
            return True
        buckets = left / len(table.weights) + sum(t.size for t in self.tables)
        return bool(self.tables) and float(np.max(self._densities())) > buckets

    def _too_dense(self) -> RecoveryError:
        nonzeros = self._estimate() if self.tables else None
        about = "" if nonzeros is None else f"it has about {nonzeros} non-zeros or more; "
        products = self.products + self.transposed
        return RecoveryError(
            f"the pattern of a {self.m} by {self.n} matrix would take more than {self.limit} products: {about}"
            f"{len(self.open)} rows are open after {products}",
            nonzeros,
            products,
        )

    def _estimate(self) -> int:
        return int(np.sum(self._densities())) + sum(len(rows) for rows in self.rows)

    def _densities(self) -> RealArray:
        """Return about how many more non-zeros each open row has, by how many buckets are taken."""
        table = max(self.tables, key=lambda table: table.size)
        empty = np.maximum(table.size - table.occupied(), 0.5) / table.size
        return np.asarray(np.log(empty) / np.log1p(-1 / table.size))

    def _next_size(self) -> int:
        """Return the size of the next table, coprime to the others: wider if rows are clearly denser than the last."""
        last = self.tables[-1].size
        size = int(min(max(GROWTH * last, 0.75 * np.median(self._densities())), 4 * last))
        while any(gcd(size, table.size) > 1 for table in self.tables):
            size += 1
        return size

    def _drop_broken(self, table: Table) -> None:
        """Fetch rows with an infinity or NaN by products with the transpose, as no sum says anything about them."""
        broken = ~table.finite()
        if not np.any(broken):
            return
        count = int(np.count_nonzero(broken))
        if self.pull is None or count > self._left():
            first = int(self.open[np.flatnonzero(broken)[0]])
            raise RecoveryError(f"products are not finite in {count} rows, as in row {first}", None, self.products)
        self._fetch_rows(broken)

    def _keep(self, kept: NDArray[np.bool_]) -> None:
        self.open, self.patience = self.open[kept], self.patience[kept]
        for table in self.tables:
            table.keep(kept)

    def _peel(self) -> Entries:
        """Read off, widest table first, until no table has a column alone; rows are places in `open`.

        It starts afresh with every table, so that what was read wrongly before is not there to be put right.
        """
        read: list[Entries] = []
        for table in self.tables:
            table.restart()
        for _ in range(SWEEPS):
            before = len(read)
            for table in reversed(self.tables):
                entries = table.singles()
                if len(entries[0]):
                    read.append(entries)
                    for other in self.tables:
                        other.subtract(*entries)
            if len(read) == before:
                break
        return _joined(read) if read else NOTHING

    def _close(self, read: Entries) -> None:
        """Close the rows of which nothing is left in two tables or more, or only rounding of the row for a while."""
        if len(self.tables) < 2:
            return
        floor = self._floor()
        vanished = np.all([table.vanished() for table in self.tables], axis=0)
        self.patience = np.where(np.all([table.vanished(floor) for table in self.tables], axis=0), self.patience + 1, 0)
        closed = vanished | (self.patience >= PATIENCE)
        hidden = np.min([table.hidden() for table in self.tables], axis=0)
        self.bound[self.open[closed]] = np.where(vanished, hidden, MASKED * floor)[closed]
        rows, columns, values, _ = read
        done = closed[rows]
        self._note(self.open[rows[done]], columns[done], values[done])
        self._keep(~closed)

    def _floor(self) -> RealArray:
        """Return what rounding of each open row as a whole may leave in a bucket that has little of it.

        A row's products may be made of terms that cancel, as in a softmax near one; then it is more than the row tells.
        Late rows are measured, once.
        """
        floor = self.code.tolerance(np.max([np.sum(table.terms, axis=0) for table in self.tables], axis=0))
        if len(self.tables) == LATE and self._left() >= 2 * SAMPLES:
            self.rounding = rounding_of_rows(self.push, self.n, self.rng)
            self.products += 2 * SAMPLES
        return np.maximum(floor, SEEN * self.rounding[self.open])


def rounding_of_rows(push: Product, n: int, rng: np.random.Generator) -> RealArray:
    """Return the largest rounding of each row's products seen with some vectors v and 3 v; costs 16 products."""
    vectors = random_signs((SAMPLES, n), NOISE_BITS, rng)
    found = np.asarray(push(np.concatenate([vectors, 3 * vectors])), dtype=np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        gaps = np.max(np.abs(found[SAMPLES:] / 3 - found[:SAMPLES]), axis=0)
        return np.asarray(np.where(np.isfinite(gaps), gaps, 0.0))


def _joined(parts: Sequence[Entries]) -> Entries:
    rows, columns, values, terms = (np.concatenate(part) for part in zip(*parts, strict=True))
    return rows, columns, values, terms


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
