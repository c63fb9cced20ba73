"""Columns (or rows) of a sparse Jacobian in groups that share no row: one product per group reads off all of them.

Curtis, Powell & Reid (1974) put columns together greedily; Coleman & Moré (1983) saw the colouring of a graph in it and
compared orders; Gebremedhin, Manne & Pothen (2005, "What color is your Jacobian?") give the distance-2 formulation that
needs no intersection graph, and the bidirectional one. Stripes, which are periodic groups, are best for bands.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Literal, TypeAlias

import numpy as np
from scipy.sparse import csr_array

from xcheck.strategies.tables import Indices

Mode: TypeAlias = Literal["jvp", "vjp"]

STRIPES = 3
"""Stripes are tried up to that many times the lower bound."""

SKEWED = 32
"""Stripes of up to that period are tried with the rows of a grid shifted against each other."""

SAMPLED = 32
"""Rows on which stripes are tried first."""

MOST_BINS = 64
"""Counters for trying stripes, by the number of entries."""

PASSES = (2, 24)
"""Times that a colouring is done again, group by group, which never takes more groups: for many entries and for few."""

EFFORT = 2**18
"""Entries that are looked at in doing so, where there are more times than the fewest."""

REMOVALS = 2**21
"""Steps that ordering by smallest degree last may take, each some tenths of a microsecond."""

SHARE = 0.5
"""Products with few dense rows apart are taken if they are no more than this share of those without."""


@dataclass(frozen=True, slots=True)
class Groups:
    """Columns in groups, no two columns of one sharing a row.

    Attributes:
        colour: the group of each column, shape (n,); -1 for a column without entries.
        count: the number of groups.
        least: no valid grouping has fewer: the largest number of entries in a row.
        order: where it comes from: "stripes", "natural", "largest first" or "smallest last".
    """

    colour: Indices
    count: int
    least: int
    order: str


@dataclass(frozen=True, slots=True)
class Colouring:
    """The products that determine all entries of a pattern.

    Attributes:
        mode: "jvp": groups of columns; "vjp": groups of rows.
        groups: of the columns or rows.
        apart: rows (of mode "jvp") or columns ("vjp") that are too dense, each fetched by a product of the other mode.
    """

    mode: Mode
    groups: Groups
    apart: Indices

    @property
    def products(self) -> int:
        """The number of products of both modes."""
        return self.groups.count + len(self.apart)


def colour_jacobian(pattern: csr_array, *, modes: Collection[Mode] = ("jvp", "vjp"), mixed: bool = True) -> Colouring:
    """Choose the groups of columns or rows that take the fewest products; of equals, the earlier mode.

    Args:
        pattern: sparse (m, n) with one stored entry for each that may be non-zero.
        modes: the products that there are.
        mixed: whether dense rows may be fetched by the other mode, where both are there and it halves the products.
    """
    order = list(modes)
    turned = {mode: pattern if mode == "jvp" else csr_array(pattern.T) for mode in order}
    best: Colouring | None = None
    for mode in sorted(order, key=lambda mode: least_groups(turned[mode])):
        if best is None or least_groups(turned[mode]) <= best.products:
            one = Colouring(mode, group_columns(turned[mode]), np.zeros(0, dtype=np.intp))
            best = one if best is None else min(one, best, key=lambda one: (one.products, order.index(one.mode)))
    if best is None:
        raise ValueError("modes is empty; give 'jvp', 'vjp' or both")
    if not mixed or len(turned) < 2:
        return best
    enough = SHARE * best.products
    for mode, matrix in turned.items():
        dense = dense_rows(matrix)
        rest = without(matrix, dense)
        if len(dense) and len(dense) + least_groups(rest) <= enough:
            one = Colouring(mode, group_columns(rest), dense)
            best = one if one.products <= enough and one.products < best.products else best
    return best


def least_groups(pattern: csr_array) -> int:
    """Return the largest number of entries in a row: no grouping of the columns has fewer groups."""
    return int(np.max(np.diff(pattern.indptr), initial=0))


def dense_rows(pattern: csr_array) -> Indices:
    """Return the densest rows, as many as make their number plus the entries of the densest other row the smallest."""
    counts = np.diff(pattern.indptr)
    order = np.argsort(-counts, kind="stable")
    cost = np.arange(len(counts) + 1) + np.append(counts[order], 0)
    return np.sort(order[: int(np.argmin(cost))])


def without(pattern: csr_array, rows: Indices) -> csr_array:
    """Return a pattern with these rows emptied."""
    kept = np.ones(pattern.shape[0], dtype=np.bool_)
    kept[rows] = False
    counts = np.diff(pattern.indptr)
    indptr = np.concatenate([[0], np.cumsum(counts * kept)])
    indices = pattern.indices[np.repeat(kept, counts)]
    return csr_array((np.ones(len(indices), dtype=np.bool_), indices, indptr), shape=pattern.shape)


def group_columns(pattern: csr_array) -> Groups:
    """Put columns into few groups so that no two of a group share a row.

    Stripes first, as they are cheap and the best there is for bands; then greedily in the columns' own order, then by
    degree, each improved by going over its groups again; it stops at the lower bound. About a second for 10^5 columns
    of five entries, in memory O(nnz).

    Args:
        pattern: sparse (m, n) with one stored entry for each that may be non-zero, no duplicates.
    """
    least = least_groups(pattern)
    best = _stripes(pattern, least)
    if best is not None and best.count == least:
        return best
    neighbours = _Neighbours(pattern)
    orders: list[tuple[str, Callable[[], Indices | None]]] = [
        ("natural", neighbours.natural),
        ("largest first", neighbours.largest_first),
        ("smallest last", neighbours.smallest_last),
    ]
    for name, find in orders:
        order = find()
        if order is None:
            continue
        colour = neighbours.improved(neighbours.greedy(order), least)
        count = int(np.max(colour, initial=-1)) + 1
        if best is None or count < best.count:
            best = Groups(colour, count, least, name)
        if best.count == least:
            break
    assert best is not None
    return best


def _stripes(pattern: csr_array, least: int) -> Groups | None:
    """Group columns periodically with the smallest period for which that is valid; None if no small one is.

    Column c has colour (c + s_1 (c // w_1) + s_2 (c // w_2)) mod p. The widths w are guessed from the distances
    between entries of a row: they are those of the grid if the pattern is a stencil on one. s = 0 is tried first.
    """
    m, n = pattern.shape
    if not pattern.nnz:
        return Groups(np.full(n, -1), 0, 0, "stripes")
    sample = pattern[_densest(pattern)]
    widths = _widths(sample)
    columns = np.arange(n)
    for period in range(least, min(STRIPES * least + 1, n) + 1):
        if period * m > MOST_BINS * (pattern.nnz + 1024):
            return None
        for shifts in product(range(period), repeat=len(widths) if period <= SKEWED else 0):
            if _apart(sample, _skewed(sample.indices, widths, shifts, period), period):
                colour = _skewed(columns, widths, shifts, period)
                if _apart(pattern, colour[pattern.indices], period):
                    return _without_empty(pattern, colour, least)
    return None


def _skewed(columns: Indices, widths: Sequence[int], shifts: Sequence[int], period: int) -> Indices:
    colour = columns.astype(np.intp)
    for width, shift in zip(widths, shifts, strict=False):
        if shift:
            colour = colour + shift * (columns // width)
    return colour % period


def _apart(pattern: csr_array, colours: Indices, count: int) -> bool:
    """Tell whether no row has two entries of one colour, given the colour of each entry."""
    rows = np.repeat(np.arange(pattern.shape[0]), np.diff(pattern.indptr))
    return not np.any(np.bincount(rows * count + colours) > 1)


def _densest(pattern: csr_array) -> Indices:
    """Return some of the rows with the most entries, spread over all of them."""
    counts = np.diff(pattern.indptr)
    rows = np.flatnonzero(counts == np.max(counts))
    return rows[np.linspace(0, len(rows) - 1, min(len(rows), SAMPLED)).astype(np.intp)]


def _widths(sample: csr_array) -> list[int]:
    """Guess the widths of a grid, two at most, from the distances between entries of a row.

    Those of a stencil lie around sums of multiples of the widths. The nearest such cluster is at the smaller width, and
    the one with the most pairs of those beyond twice of it at the larger.
    """
    if sample.nnz > SKEWED * sample.shape[0]:
        return []
    lines = sample.indices.reshape(sample.shape[0], -1)
    distances, pairs = np.unique(np.abs(lines[:, :, None] - lines[:, None, :]), return_counts=True)
    starts = np.flatnonzero(np.diff(distances, prepend=-3) > 2)
    ends = np.append(starts[1:], len(distances)) - 1
    centres, total = (distances[starts] + distances[ends]) // 2, np.add.reduceat(pairs, starts)
    centres, total = centres[total >= 2 * len(lines)], total[total >= 2 * len(lines)]
    centres, total = centres[centres > 2], total[centres > 2]
    if not len(centres):
        return []
    nearest = int(centres[0])
    far = np.flatnonzero(centres > 2.5 * nearest)
    return [nearest, int(centres[far[np.argmax(total[far])]])] if len(far) else [nearest]


def _without_empty(pattern: csr_array, colour: Indices, least: int) -> Groups:
    filled = np.zeros(len(colour), dtype=np.bool_)
    filled[pattern.indices] = True
    used = np.unique(colour[filled])
    return Groups(np.where(filled, np.searchsorted(used, colour), -1), len(used), least, "stripes")


def is_valid(pattern: csr_array, colour: Indices) -> bool:
    """Tell whether every column with an entry has a colour, and no row two columns of the same."""
    found = colour[pattern.indices]
    return not np.any(found < 0) and _apart(pattern, found, int(np.max(found, initial=0)) + 1)


class _Neighbours:
    """The columns of a pattern and who shares rows with whom, in plain lists, which Python loops over fastest."""

    def __init__(self, pattern: csr_array) -> None:
        self.m, self.n = pattern.shape
        turned = csr_array(pattern.T)
        self.counts = np.diff(pattern.indptr)
        self.filled = np.flatnonzero(np.diff(turned.indptr))
        self.degrees = np.zeros(self.n, dtype=np.intp)
        starts = turned.indptr[:-1][self.filled]
        if len(self.filled):
            self.degrees[self.filled] = np.add.reduceat(self.counts[turned.indices] - 1, starts)
        indices, indptr = turned.indices.tolist(), turned.indptr.tolist()
        self.rows_of: list[list[int]] = [indices[i:j] for i, j in pairwise(indptr)]
        self._pattern = pattern

    def natural(self) -> Indices:
        return self.filled

    def largest_first(self) -> Indices:
        """Order by how many entries the column's rows have; of equals, by the column."""
        return self.filled[np.argsort(-self.degrees[self.filled], kind="stable")]

    def smallest_last(self) -> Indices | None:
        """Order so that each column has the fewest neighbours among those before it; None if that takes too long."""
        if float(np.sum(self.counts.astype(np.float64) ** 2)) > REMOVALS:
            return None
        indices, indptr = self._pattern.indices.tolist(), self._pattern.indptr.tolist()
        columns_of = [set(indices[i:j]) for i, j in pairwise(indptr)]
        degree = self.degrees.tolist()
        buckets: list[list[int]] = [[] for _ in range(max(degree, default=0) + 1)]
        for c in self.filled[::-1].tolist():
            buckets[degree[c]].append(c)
        taken: set[int] = set()
        order: list[int] = []
        low = 0
        while len(order) < len(self.filled):
            while not buckets[low]:
                low += 1
            c = buckets[low].pop()
            if c in taken or degree[c] != low:
                continue
            taken.add(c)
            order.append(c)
            for row in self.rows_of[c]:
                columns_of[row].discard(c)
                for other in columns_of[row]:
                    degree[other] -= 1
                    buckets[degree[other]].append(other)
                    low = min(low, degree[other])
        return np.array(order[::-1], dtype=np.intp)

    def greedy(self, order: Indices) -> Indices:
        """Give each column the first group that none of its rows has yet; a row's groups are the bits of a number."""
        colour = [-1] * self.n
        taken = [0] * self.m
        rows_of = self.rows_of
        for c in order.tolist():
            forbidden = 0
            for row in rows_of[c]:
                forbidden |= taken[row]
            free = ~forbidden & (forbidden + 1)
            for row in rows_of[c]:
                taken[row] |= free
            colour[c] = free.bit_length() - 1
        return np.array(colour, dtype=np.intp)

    def improved(self, colour: Indices, least: int) -> Indices:
        """Colour again, group by group in other orders (Culberson 1992): each group stays one, and some dissolve.

        In turn the last group first, the largest first, and any order.
        """
        rng = np.random.default_rng(0)
        entries = len(self._pattern.indices) + self.n
        for turn in range(int(np.clip(EFFORT // entries, *PASSES))):
            count = int(np.max(colour, initial=-1)) + 1
            if count <= least:
                break
            found = colour[self.filled]
            orders = [np.arange(count)[::-1], np.argsort(-np.bincount(found), kind="stable"), rng.permutation(count)]
            rank = np.argsort(orders[turn % len(orders)])
            colour = self.greedy(self.filled[np.argsort(rank[found], kind="stable")])
        return colour
