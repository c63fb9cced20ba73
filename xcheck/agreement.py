"""Which implementations of one function agree with each other, entry by entry; it knows numbers and names only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from xcheck.judgement import AGREE, DISAGREE, INCONCLUSIVE, Judgement
from xcheck.protocol import RealArray

Mask = NDArray[np.bool_]

CLOSE = 2.0**-40
"""Entries without an error bar are the same if they differ by at most this share of themselves."""

ROUNDED = 2.0**-50
"""Or of the largest of their output, by which sums of several terms are rounded."""

LESS_ACCURATE = 2.0**-20
"""Values, or derivatives that are right for their own, that differ by more of the largest are of other functions."""

MOST_DIGITS = 17.0
"""Digits of agreement of numbers that are the same."""


class Cause(Enum):
    """Why implementations differ."""

    FUNCTION = "another function"
    WRONG = "wrong"
    CONVENTION = "convention"
    NOT_FINITE = "no derivative"
    UNSETTLED = "values cannot settle it"


@dataclass(frozen=True)
class Party:
    """One implementation's derivative.

    Attributes:
        label: whose it is.
        claimed: its entries, inputs first, shape (n, m).
        judgement: what its own values say of them.
    """

    label: str
    claimed: RealArray
    judgement: Judgement


@dataclass(frozen=True)
class Difference:
    """One place where implementations differ.

    Attributes:
        cause: why.
        place: the entry, (input, output); (output,) for a value.
        groups: the labels that agree with each other, the largest group first.
        numbers: what each label gives.
        blamed: the labels that are wrong.
        slopes: the one-sided slopes there, if any implementation's values have them.
        measured: the slope of the blamed one's own values, with its error bar.
        symmetric: whether it is by symmetric changes of a matrix that the claims are right.
        count: how many entries differ for this cause.
    """

    cause: Cause
    place: tuple[int, ...]
    groups: tuple[tuple[str, ...], ...]
    numbers: dict[str, float]
    blamed: tuple[str, ...] = ()
    slopes: tuple[float, float] | None = None
    measured: tuple[float, float] | None = None
    symmetric: bool = False
    count: int = field(default=1)


def digits(a: RealArray, b: RealArray) -> float:
    """Return to how many decimal digits two arrays agree, next to the largest number of both; NaN agrees with NaN."""
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    if np.all(same):
        return MOST_DIGITS
    finite = np.isfinite(a) & np.isfinite(b)
    if np.any(~finite & ~same):
        return 0.0
    size = max(float(np.max(np.abs(x), initial=0.0, where=finite)) for x in (a, b))
    gap = float(np.max(np.abs(a - b), initial=0.0, where=finite & ~same))
    return float(np.clip(-np.log10(gap / size), 0.0, MOST_DIGITS))


def group(labels: Sequence[str], same: NDArray[np.bool_]) -> tuple[tuple[str, ...], ...]:
    """Return the groups of labels that are the same, largest first; `same` is symmetric, shape (k, k)."""
    left, found = list(range(len(labels))), []
    while left:
        first = max(left, key=lambda i: sum(bool(same[i, j]) for j in left))
        members = [j for j in left if same[first, j]]
        found.append(tuple(labels[j] for j in members))
        left = [j for j in left if j not in members]
    return tuple(sorted(found, key=len, reverse=True))


def differing_values(labels: Sequence[str], values: RealArray, allowed: RealArray) -> Difference | None:
    """Find the output by which implementations differ most, beyond what rounding explains.

    Args:
        labels: the implementations.
        values: theirs, shape (k, m).
        allowed: how far rounding may take each, shape (k, m).
    """
    same = _same(values, allowed)
    off = ~np.all(same, axis=(0, 1))
    if not np.any(off):
        return None
    with np.errstate(invalid="ignore"):
        spread = np.nanmax(values, axis=0) - np.nanmin(values, axis=0)
        excess = np.where(off, spread / np.maximum(np.max(allowed, axis=0), np.finfo(np.float64).tiny), -1.0)
    at = int(np.argmax(np.where(np.isnan(excess), np.inf, excess)))
    groups = group(labels, same[:, :, at])
    numbers = {label: float(v) for label, v in zip(labels, values[:, at], strict=True)}
    blamed = tuple(label for g in groups[1:] for label in g) if len(groups[0]) > len(groups[1]) else ()
    return Difference(Cause.FUNCTION, (at,), groups, numbers, blamed, count=int(np.count_nonzero(off)))


def differing_derivatives(parties: Sequence[Party]) -> list[Difference]:
    """Find where derivatives differ, or are wrong; one place for every cause and set of groups, the worst first."""
    labels = [party.label for party in parties]
    claimed = np.array([party.claimed for party in parties])
    same = _same(claimed, np.array([_allowed(party) for party in parties]))
    causes = _causes(parties, claimed, ~np.all(same, axis=(0, 1)))
    found: dict[object, Difference] = {}
    places = np.argwhere(causes != None)  # noqa: E711
    order = np.argsort(-_excess(claimed, parties)[tuple(places.T)], kind="stable")
    for row, output in places[order].tolist():
        groups = group(labels, same[:, :, row, output])
        blamed = tuple(party.label for party in parties if party.judgement.verdict[row, output] == DISAGREE)
        key = (causes[row, output], groups, blamed)
        if key in found:
            found[key] = replace(found[key], count=found[key].count + 1)
        else:
            found[key] = _difference(causes[row, output], (row, output), groups, blamed, parties)
    return list(found.values())


def _causes(parties: Sequence[Party], claimed: RealArray, apart: Mask) -> NDArray[np.object_]:
    """Return why every entry is one to speak of, or None, shape (n, m)."""
    codes = np.array([party.judgement.verdict for party in parties])
    open_ = np.any(codes == INCONCLUSIVE, axis=0)
    missing = np.any([party.judgement.missing() | party.judgement.symmetric() for party in parties], axis=0)
    lost = np.any(~np.isfinite(claimed), axis=0)
    result = np.full(apart.shape, None)
    rules = (
        (open_, Cause.UNSETTLED),
        (open_ & missing, Cause.CONVENTION),
        (apart & _far_apart(claimed) & ~open_, Cause.FUNCTION),
        (apart & lost, Cause.NOT_FINITE),
        (np.any(codes == DISAGREE, axis=0), Cause.WRONG),
    )
    for where, cause in rules:  # the last one counts
        result[where] = cause
    return result


def _far_apart(claimed: RealArray) -> Mask:
    """Tell which entries differ by more than functions do whose values agree to half of their digits; (n, m)."""
    finite = np.where(np.isfinite(claimed), claimed, 0.0)
    largest = np.max(np.abs(finite), axis=(0, 1))
    return np.asarray(np.max(finite, axis=0) - np.min(finite, axis=0) > LESS_ACCURATE * largest)


def _difference(
    cause: Cause,
    place: tuple[int, int],
    groups: tuple[tuple[str, ...], ...],
    blamed: tuple[str, ...],
    parties: Sequence[Party],
) -> Difference:
    numbers = {party.label: float(party.claimed[place]) for party in parties}
    slopes = next((p.judgement.slopes[place] for p in parties if place in p.judgement.slopes), None)
    own = next((p.judgement for p in parties if p.label in blamed), None)
    measured = None if own is None else (float(own.value[place]), float(own.bar[place]))
    symmetric = cause is Cause.CONVENTION and any(p.judgement.symmetric()[place] for p in parties)
    return Difference(cause, place, groups, numbers, blamed, slopes, measured, symmetric)


def _allowed(party: Party) -> RealArray:
    """Return how far an entry may be from others: what its own values do not resolve, or rounding where they do not."""
    size = np.where(np.isfinite(party.claimed), np.abs(party.claimed), 0.0)
    largest = np.max(size, axis=0, initial=0.0, keepdims=True)
    agreed = (party.judgement.verdict == AGREE) & np.isfinite(party.judgement.tolerance)
    return np.where(agreed, party.judgement.tolerance, np.maximum(CLOSE * size, ROUNDED * largest))


def _same(numbers: RealArray, allowed: RealArray) -> Mask:
    """Tell which of k arrays are the same where, shape (k, k, ...); pair by pair, for they may be large."""
    k = len(numbers)
    result = np.ones((k, k, *numbers.shape[1:]), bool)
    for i, j in combinations(range(k), 2):
        a, b = numbers[i], numbers[j]
        with np.errstate(invalid="ignore"):
            close = np.abs(a - b) <= allowed[i] + allowed[j]
        result[i, j] = result[j, i] = close | (a == b) | (np.isnan(a) & np.isnan(b))
    return result


def _excess(claimed: RealArray, parties: Sequence[Party]) -> RealArray:
    """Return how far claims are from each other or from their values, next to the largest of their output; (n, m)."""
    finite = np.where(np.isfinite(claimed), claimed, 0.0)
    size = np.maximum(np.max(np.abs(finite), axis=(0, 1), keepdims=True)[0], np.finfo(np.float64).tiny)
    gaps = [np.abs(p.claimed - p.judgement.value) for p in parties]
    spread = np.max(finite, axis=0) - np.min(finite, axis=0)
    own = np.max(np.nan_to_num(np.array(gaps), nan=0.0, posinf=0.0), axis=0)
    lost = np.any(~np.isfinite(claimed), axis=0)
    return np.asarray(np.where(lost, np.inf, np.maximum(spread, own) / size))
