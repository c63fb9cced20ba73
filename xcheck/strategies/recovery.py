"""The sparsity pattern of a matrix that is known by its products alone.

The pattern costs O(k log n) products for k non-zeros a row (tables.py has the method), and nothing has to be known
beforehand: tables are added, wider and wider, until nothing is left of any row but rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import gcd
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from xcheck.protocol import RealArray
from xcheck.strategies.noise import COARSEST, SAMPLES, SEEN, Noise, rounding_of_rows
from xcheck.strategies.tables import BLOCK, MASKED, SLACK, Code, Indices, Product, Table, code_for

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

SINGLE = 24
"""Significand bits of single precision."""

CANCELLED = 24
"""Bits that entries may lose to cancellation and still be read off late tables."""

LATE = 6
"""After so many tables the rounding of rows that are still open is measured."""

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
            if self.precision > SINGLE:  # in single precision it would hide what is there
                table.noise = SEEN * self.rounding[self.open]
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
            coarse = code_for(self.n, self.precision, self.unit * 2.0**CANCELLED)
            widest = self.tables[-1]
            sparse = bool(np.max(widest.occupied()) <= widest.size // 2)
            if coarse is not None and sparse and self.precision > SINGLE:
                # rows that are not dense: more digits for entries that are small beside what they are made of
                self.code = replace(coarse, unit=self.unit)
        return np.maximum(floor, SEEN * self.rounding[self.open])


def _joined(parts: Sequence[Entries]) -> Entries:
    rows, columns, values, terms = (np.concatenate(part) for part in zip(*parts, strict=True))
    return rows, columns, values, terms
