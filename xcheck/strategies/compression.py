"""From a sparsity pattern and its colouring to the vectors of the products, and back to the entries of the Jacobian."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array, issparse

from xcheck.protocol import RealArray
from xcheck.strategies.colouring import Colouring, Mode, is_valid
from xcheck.strategies.tables import Indices

NAMED = 3
"""Places that an error names."""


@dataclass(frozen=True)
class Compression:
    """Which products to make, and where in their results each entry of the Jacobian is.

    A caller makes the products `seeds(mode)` of both modes, lays those of the jvps, (k, m), and of the vjps, (l, n),
    flat end to end, and takes the entries `gather` from it: they are the values of the pattern in CSR order.

    Attributes:
        pattern: sparse (m, n), canonical, one stored entry for each that may be non-zero.
        colouring: its groups.
    """

    pattern: csr_array
    colouring: Colouring

    def __post_init__(self) -> None:
        """Refuse a colouring that does not fit the pattern."""
        rows, columns = self._places
        main = self._by_group
        turned = self.pattern if self.colouring.mode == "jvp" else csr_array(self.pattern.T)
        kept = csr_array(
            coo_array(
                (np.ones(np.count_nonzero(main)), _turned(rows, columns, self.colouring.mode, main)), turned.shape
            )
        )
        if len(self.colouring.groups.colour) != turned.shape[1] or not is_valid(kept, self.colouring.groups.colour):
            raise ValueError(f"colouring does not fit the pattern of shape {self.pattern.shape}")

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of rows and columns of the Jacobian."""
        m, n = self.pattern.shape
        return int(m), int(n)

    @cached_property
    def _places(self) -> tuple[Indices, Indices]:
        rows = np.repeat(np.arange(self.shape[0]), np.diff(self.pattern.indptr))
        return rows, self.pattern.indices.astype(np.intp)

    @cached_property
    def _by_group(self) -> NDArray[np.bool_]:
        """Tell of each entry whether a group has it, and not a row or column that is fetched apart."""
        rows, columns = self._places
        return ~np.isin(rows if self.colouring.mode == "jvp" else columns, self.colouring.apart)

    def count(self, mode: Mode) -> int:
        """Return the number of products of a mode."""
        return self.colouring.groups.count if mode == self.colouring.mode else len(self.colouring.apart)

    def seeds(self, mode: Mode, dtype: Any = np.float64) -> NDArray[Any]:
        """Return the vectors of the products of a mode: zeros and ones, (k, n) for "jvp" and (l, m) for "vjp"."""
        length = self.shape[1 if mode == "jvp" else 0]
        seeds = np.zeros((self.count(mode), length), dtype=dtype)
        if mode == self.colouring.mode:
            colour = self.colouring.groups.colour
            filled = np.flatnonzero(colour >= 0)
            seeds[colour[filled], filled] = 1
        else:
            seeds[np.arange(len(seeds)), self.colouring.apart] = 1
        return seeds

    @cached_property
    def gather(self) -> Indices:
        """Where each stored entry is in the products: those of the jvps laid flat, then those of the vjps; (nnz,)."""
        m, n = self.shape
        rows, columns = self._places
        main, colour, apart = self._by_group, self.colouring.groups.colour, self.colouring.apart
        if self.colouring.mode == "jvp":
            alone = self.count("jvp") * m + np.searchsorted(apart, rows) * n + columns
            return np.where(main, colour[columns] * m + rows, alone)
        alone = np.searchsorted(apart, columns) * m + rows
        return np.where(main, self.count("jvp") * m + colour[rows] * n + columns, alone)

    def decompress(self, jvps: RealArray | None = None, vjps: RealArray | None = None) -> csr_array:
        """Return the Jacobian from the products with `seeds("jvp")`, (k, m), and with `seeds("vjp")`, (l, n)."""
        parts = [np.ravel(part) for part in (jvps, vjps) if part is not None]
        values = np.concatenate([*parts, np.zeros(0)])[self.gather]
        return csr_array((values, self.pattern.indices, self.pattern.indptr), shape=self.shape)


def _turned(rows: Indices, columns: Indices, mode: Mode, kept: NDArray[np.bool_]) -> tuple[Indices, Indices]:
    return (rows[kept], columns[kept]) if mode == "jvp" else (columns[kept], rows[kept])


def as_pattern(pattern: object, shape: tuple[int, int]) -> csr_array:
    """Return a user's sparsity pattern as a canonical boolean CSR array; the pattern itself is not touched.

    Args:
        pattern: scipy.sparse of any format, where each stored entry counts whatever its value; or anything that NumPy
            makes an array of, where each entry that is not zero counts.
        shape: the numbers of rows and columns that it has to have.

    Raises:
        TypeError: it is not an array of numbers or booleans.
        ValueError: it has another shape, or a NaN.
    """
    if issparse(pattern):
        matrix = coo_array(pattern)
        rows, columns, values = matrix.row, matrix.col, matrix.data
        found: tuple[int, ...] = matrix.shape
    else:
        dense = _dense(pattern)
        found = dense.shape
        rows, columns = np.nonzero(dense) if dense.ndim == 2 else (np.zeros(0), np.zeros(0))
        values = dense[rows, columns] if dense.ndim == 2 else dense
    if found != tuple(shape):
        hint = "; this is its transpose" if found == tuple(shape)[::-1] else ""
        raise ValueError(
            f"pattern has to have the Jacobian's shape {tuple(shape)}, outputs by inputs; got {found}{hint}"
        )
    _refuse(values, rows, columns)
    result = csr_array((np.ones(len(rows), dtype=np.bool_), (rows, columns)), shape=shape, dtype=np.bool_)
    result.sum_duplicates()
    return result


def _dense(pattern: object) -> NDArray[Any]:
    accepted = "pattern has to be a scipy.sparse array, or an array of booleans or numbers"
    try:
        dense = np.asarray(pattern)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"{accepted}; got {type(pattern).__name__}: {error}") from error
    if dense.dtype.kind not in "biufc":
        raise TypeError(f"{accepted}; got {type(pattern).__name__} of dtype {dense.dtype}")
    return dense


def _refuse(values: NDArray[Any], rows: Indices, columns: Indices) -> None:
    """Refuse a pattern with NaN, of which nobody knows what was meant."""
    if values.dtype.kind not in "biufc":
        raise TypeError(f"pattern has to have booleans or numbers; got dtype {values.dtype}")
    bad = np.flatnonzero(np.isnan(values)) if values.dtype.kind in "fc" else np.zeros(0, dtype=np.intp)
    if len(bad):
        places = ", ".join(f"[{rows[k]}, {columns[k]}]" for k in bad[:NAMED])
        raise ValueError(
            f"pattern has NaN at {places}{', ...' if len(bad) > NAMED else ''}; non-zero or zero is accepted"
        )
