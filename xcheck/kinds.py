"""Kinds of outputs with a freedom: how they are recognised by their shapes, and what is compared instead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from xcheck.protocol import Native
from xcheck.reductions import (
    adjoint,
    eig,
    eigh,
    eigvals,
    operations_of,
    power_sums,
    projector,
    projectors,
    qr,
    row_projectors,
    shape_of,
    svd,
)

SIGN = "which are defined up to sign (phase)"
"""The freedom of vectors, as reports say it."""


@dataclass(frozen=True)
class Kind:
    """One kind of outputs.

    Attributes:
        told: what is compared instead of what, for reports.
        needs: what a function of this kind returns, for errors.
        read: puts the outputs in the order that `reduce` takes, or returns None if they are not of this kind.
        reduce: computes what no gauge changes.
    """

    told: str
    needs: str
    read: Callable[[Sequence[Native]], list[Native] | None]
    reduce: Callable[..., Any]

    def seen(self, name: str, leaves: Sequence[Native], place: str) -> Any:
        """Replace outputs of this kind by what no gauge changes.

        Args:
            name: what users call the kind.
            leaves: the outputs.
            place: what errors call them.

        Raises:
            TypeError: one is no array, or its backend lacks what is needed.
            ValueError: they are not of this kind.
        """
        for leaf in leaves:
            operations_of(leaf)
        found = self.read(leaves)
        if found is None:
            shapes = ", ".join(str(shape_of(leaf)) for leaf in leaves) or "nothing"
            raise ValueError(f"kind={name!r} needs {self.needs}; {place} has the shapes {shapes}.")
        return self.reduce(*found)


def _values_first(leaves: Sequence[Native]) -> list[Native] | None:
    """Put eigenvalues before eigenvectors; None if that is not what they are."""
    if len(leaves) != 2:
        return None
    values, vectors = sorted(leaves, key=lambda x: len(shape_of(x)))
    few, many = shape_of(values), shape_of(vectors)
    return [values, vectors] if len(many) >= 2 and few == (*many[:-2], many[-1]) else None


def _square(leaves: Sequence[Native]) -> list[Native] | None:
    found = _values_first(leaves)
    return found if found and shape_of(found[1])[-1] == shape_of(found[1])[-2] else None


def _usv(leaves: Sequence[Native]) -> list[Native] | None:
    """Put singular values between U and the adjoint of V; None if that is not what they are.

    TensorFlow returns the singular values first, and V itself.
    """
    if len(leaves) != 3:
        return None
    u, s, vh = leaves
    if len(shape_of(u)) < len(shape_of(s)):
        u, s, vh = s, u, leaves[2]
        vh = adjoint(vh) if len(shape_of(vh)) >= 2 else vh
    one, few, two = shape_of(u), shape_of(s), shape_of(vh)
    if len(one) < 2 or len(two) != len(one) or len(few) != len(one) - 1:
        return None
    k = min(one[-2], two[-1])
    return [u, s, vh] if few[-1] == k and one[-1] >= k and two[-2] >= k else None


def _factors(leaves: Sequence[Native]) -> list[Native] | None:
    if len(leaves) != 2:
        return None
    q, r = map(shape_of, leaves)
    return list(leaves) if len(q) == len(r) >= 2 and q[-1] == r[-2] else None


def _one_matrix(leaves: Sequence[Native]) -> list[Native] | None:
    return list(leaves) if len(leaves) == 1 and len(shape_of(leaves[0])) >= 2 else None


def _one_row(leaves: Sequence[Native]) -> list[Native] | None:
    return list(leaves) if len(leaves) == 1 and len(shape_of(leaves[0])) >= 1 else None


def _one(leaves: Sequence[Native]) -> list[Native] | None:
    return list(leaves) if len(leaves) == 1 else None


KINDS = {
    "eigh": Kind(
        f"eigenvalues, and projectors onto the eigenvectors instead of the eigenvectors, {SIGN}",
        "two arrays, eigenvalues (..., k) and eigenvectors (..., m, k)",
        _values_first,
        eigh,
    ),
    "eig": Kind(
        "power sums of the eigenvalues, and of their projectors, instead of eigenvalues and eigenvectors, which come "
        "in no order, the latter up to phase",
        "two arrays, eigenvalues (..., n) and eigenvectors (..., n, n)",
        _square,
        eig,
    ),
    "eigvals": Kind(
        "power sums of the eigenvalues instead of the eigenvalues, which come in no order",
        "one array of one dimension or more",
        _one_row,
        eigvals,
    ),
    "svd": Kind(
        f"singular values, and products s u v^H instead of the singular vectors, {SIGN}",
        "three arrays, U, S and V^H (or TensorFlow's S, U and V), with S (..., k) of one axis less",
        _usv,
        svd,
    ),
    "qr": Kind(
        f"products of the columns of Q with the rows of R instead of Q and R, {SIGN}",
        "two arrays, Q (..., m, k) and R (..., k, n)",
        _factors,
        qr,
    ),
    "columns": Kind(
        f"projectors onto the columns instead of the columns, {SIGN}",
        "one array of two dimensions or more",
        _one_matrix,
        projectors,
    ),
    "rows": Kind(
        f"projectors onto the rows instead of the rows, {SIGN}",
        "one array of two dimensions or more",
        _one_matrix,
        row_projectors,
    ),
    "projector": Kind(
        "the projector onto the span of the columns instead of the columns, which are one basis of many",
        "one array of two dimensions or more",
        _one_matrix,
        projector,
    ),
    "unordered": Kind(
        "power sums instead of the numbers themselves, which come in no order",
        "one array of one dimension or more",
        _one_row,
        power_sums,
    ),
    "absolute": Kind(
        f"absolute values instead of the numbers, {SIGN}",
        "one array",
        _one,
        abs,
    ),
}
