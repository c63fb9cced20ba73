"""Which implementations of one function agree with each other, entry by entry; it knows numbers and names only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from xcheck.judgement import AGREE, DISAGREE, INCONCLUSIVE, NAN_BESIDE, SENTENCES, SKIPPED, Judgement
from xcheck.protocol import RealArray
from xcheck.reference.status import REASONS, Status

Mask = NDArray[np.bool_]

UNRESOLVED = SENTENCES.index(REASONS[Status.UNRESOLVED])
"""The reason that says only that no slope could be measured."""

SPREADING = (SENTENCES.index(NAN_BESIDE), UNRESOLVED)
"""Reasons that say nothing of the derivative itself, but of another one beside it."""

CLOSE = {53: 2.0**-40, 24: 2.0**-18, 11: 2.0**-8, 8: 2.0**-5}
"""Entries without an error bar are the same if they differ by at most this share of themselves, by significand bits."""

ROUNDED = {53: 2.0**-50, 24: 2.0**-21, 11: 2.0**-9, 8: 2.0**-6}
"""Or of the largest of their output, by which sums of several terms are rounded."""

LESS_ACCURATE = 2.0**-20
"""Values, or derivatives that are right for their own, that differ by more of the largest are of other functions; and
where values settle nothing, derivatives that differ by less are the same."""

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
        precision: significand bits of its arithmetic.
        measured: whether these are slopes of its values, and nothing that it claims.
    """

    label: str
    claimed: RealArray
    judgement: Judgement
    precision: int = 53
    measured: bool = False

    @cached_property
    def given(self) -> Mask:
        """Tell which entries there are: a gradient by hand may leave inputs out, and some slopes cannot be measured."""
        if self.measured:
            return np.isfinite(self.claimed)
        return np.asarray(self.judgement.verdict != SKIPPED)


@dataclass(frozen=True)
class Difference:
    """One place where implementations differ.

    Attributes:
        cause: why.
        place: the entry, (input, output); (output,) for a value; empty for what has a name only.
        groups: the labels that agree with each other, the largest group first.
        numbers: what each label gives.
        blamed: the labels that are wrong.
        slopes: the one-sided slopes there, if any implementation's values have them.
        measured: the slope of the blamed one's own values, with its error bar; where none is, that of any.
        exists: whether nothing says that the function has no derivative there.
        symmetric: whether it is by symmetric changes of a matrix that the claims are right.
        count: how many entries differ for this cause.
        name: the place as the user would write it.
        source: which derivative it is about, if it is not the one that stands for the implementation.
    """

    cause: Cause
    place: tuple[int, ...]
    groups: tuple[tuple[str, ...], ...]
    numbers: dict[str, float]
    blamed: tuple[str, ...] = ()
    slopes: tuple[float, float] | None = None
    measured: tuple[float, float] | None = None
    exists: bool = False
    symmetric: bool = False
    count: int = field(default=1)
    name: str = ""
    source: str = ""

    def separates(self, one: str, other: str) -> bool:
        """Tell whether it lies between two implementations."""
        if (one in self.blamed) != (other in self.blamed) and not self.place:
            return True
        both = {one, other} <= self.numbers.keys()
        return both and not any(one in labels and other in labels for labels in self.groups)


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
    """Return the groups of labels of which all are the same, largest first; `same` is symmetric, shape (k, k)."""
    left, found = list(range(len(labels))), []
    while left:
        first = max(left, key=lambda i: sum(bool(same[i, j]) for j in left))
        members = [first]
        for j in left:
            if j != first and all(same[i, j] for i in members):
                members.append(j)
        found.append(tuple(labels[j] for j in sorted(members)))
        left = [j for j in left if j not in members]
    return tuple(sorted(found, key=len, reverse=True))


def differing_values(
    labels: Sequence[str], values: RealArray, allowed: RealArray
) -> tuple[list[Difference], tuple[tuple[str, ...], ...]]:
    """Find who computes another function: one output for every group that differs from the largest one.

    Args:
        labels: the implementations.
        values: theirs, shape (k, m).
        allowed: how far rounding may take each, shape (k, m).

    Returns:
        The differences, and the groups of labels whose values are one function's.
    """
    same = same_numbers(values, allowed)
    groups = group(labels, np.all(same, axis=2))
    usual = labels.index(groups[0][0])
    found: dict[object, Difference] = {}
    for other in groups[1:]:
        own = labels.index(other[0])
        at = _farthest(values[[usual, own]], allowed[[usual, own]], same[usual, own])
        here = group(labels, same[:, :, at])
        numbers = {label: float(v) for label, v in zip(labels, values[:, at], strict=True)}
        blamed = other if len(groups[0]) > len(groups[1]) else ()
        before = found.get((at, here))
        if before is not None:
            found[at, here] = replace(before, blamed=(*before.blamed, *blamed))
        else:
            count = int(np.count_nonzero(~same[usual, own]))
            found[at, here] = Difference(Cause.FUNCTION, (at,), here, numbers, blamed, count=count)
    return list(found.values()), groups


def _farthest(pair: RealArray, allowed: RealArray, same: Mask) -> int:
    """Return the output by which two implementations differ most, next to what is allowed."""
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.abs(pair[0] - pair[1]) / np.maximum(np.max(allowed, axis=0), np.finfo(np.float64).tiny)
    return int(np.argmax(np.where(same, -1.0, np.where(np.isnan(apart), np.inf, apart))))


def differing_derivatives(parties: Sequence[Party], natural: RealArray | float = 0.0) -> list[Difference]:
    """Find where derivatives differ, or are wrong; one place for every cause and set of groups, the worst first.

    Args:
        parties: derivatives of one function.
        natural: how large a slope is that moves an output by all of itself, shape (n, m); what differs by little next
            to that is one function's.
    """
    labels = [party.label for party in parties]
    claimed = np.array([np.where(party.given, party.claimed, 0.0) for party in parties])
    given = np.array([party.given for party in parties])
    same = same_numbers(claimed, np.array([_allowed(party) for party in parties]), given)
    far = _far_apart(claimed, given, natural)
    causes = _causes(parties, claimed, given, ~np.all(same, axis=(0, 1)), far)
    found: dict[object, Difference] = {}
    places = np.argwhere(causes != None)  # noqa: E711
    order = np.argsort(-_excess(claimed, parties)[tuple(places.T)], kind="stable")
    for row, output in places[order].tolist():
        there = [k for k in range(len(parties)) if given[k, row, output]]
        groups = group([labels[k] for k in there], same[np.ix_(there, there)][:, :, row, output])
        blamed = tuple(p.label for p in parties if p.judgement.verdict[row, output] == DISAGREE)
        if causes[row, output] is Cause.FUNCTION and len(groups) > 1 and len(groups[0]) > len(groups[1]):
            blamed = tuple(label for some in groups[1:] for label in some)
        key = (causes[row, output], groups, blamed)
        if key in found:
            found[key] = replace(found[key], count=found[key].count + 1)
        else:
            found[key] = _difference(causes[row, output], (row, output), groups, blamed, [parties[k] for k in there])
        rest = [k for k in there if labels[k] not in blamed]
        if causes[row, output] is Cause.WRONG and far[row, output] and len(rest) > 1:
            others = group([labels[k] for k in rest], same[np.ix_(rest, rest)][:, :, row, output])
            own = [parties[k] for k in rest]
            if len(others) > 1:
                found.setdefault((others,), _difference(Cause.FUNCTION, (row, output), others, (), own))
    return list(found.values())


def _causes(parties: Sequence[Party], claimed: RealArray, given: Mask, apart: Mask, far: Mask) -> NDArray[np.object_]:
    """Return why every entry is one to speak of, or None, shape (n, m)."""
    codes = np.array([party.judgement.verdict for party in parties])
    open_ = np.any((codes == INCONCLUSIVE) & given, axis=0)
    missing = np.any([_has_none(p.judgement) | p.judgement.symmetric() for p in parties], axis=0)
    lost = np.any(~np.isfinite(claimed), axis=0)
    result = np.full(apart.shape, None)
    rules = (
        (open_, Cause.UNSETTLED),
        (open_ & missing, Cause.CONVENTION),
        (apart & far & ~open_, Cause.FUNCTION),
        (apart & lost, Cause.NOT_FINITE),
        (np.any(codes == DISAGREE, axis=0), Cause.WRONG),
    )
    for where, cause in rules:  # the last one counts
        result[where] = cause
    return result


def _has_none(judgement: Judgement) -> Mask:
    """Tell where the function has no derivative, and not only none that could be measured."""
    return np.asarray(judgement.missing() & (judgement.reason != UNRESOLVED))


def _far_apart(claimed: RealArray, given: Mask, natural: RealArray | float) -> Mask:
    """Tell which entries differ by more than functions do whose values agree to half of their digits; (n, m)."""
    known = given & np.isfinite(claimed)
    largest = np.maximum(np.max(np.abs(claimed), axis=(0, 1), initial=0.0, where=known), natural)
    low = np.min(claimed, axis=0, initial=np.inf, where=known)
    high = np.max(claimed, axis=0, initial=-np.inf, where=known)
    return np.asarray(high - low > LESS_ACCURATE * largest)


def _difference(
    cause: Cause,
    place: tuple[int, int],
    groups: tuple[tuple[str, ...], ...],
    blamed: tuple[str, ...],
    parties: Sequence[Party],
) -> Difference:
    numbers = {party.label: float(party.claimed[place]) for party in parties}
    slopes = next((p.judgement.slopes[place] for p in parties if place in p.judgement.slopes), None)
    own = [p.judgement for p in parties if p.label in blamed]
    own += [p.judgement for p in parties if np.isfinite(p.judgement.value[place])]
    measured = (float(own[0].value[place]), float(own[0].bar[place])) if own else None
    exists = not any(p.judgement.missing()[place] and p.judgement.reason[place] not in SPREADING for p in parties)
    symmetric = cause is Cause.CONVENTION and any(p.judgement.symmetric()[place] for p in parties)
    return Difference(cause, place, groups, numbers, blamed, slopes, measured, exists, symmetric)


def _allowed(party: Party) -> RealArray:
    """Return how far an entry may be from others: what its own values do not resolve, or rounding where they do not."""
    size = np.where(np.isfinite(party.claimed), np.abs(party.claimed), 0.0)
    largest = np.max(size, axis=0, initial=0.0, keepdims=True)
    agreed = (party.judgement.verdict == AGREE) & np.isfinite(party.judgement.tolerance)
    share = np.where(party.judgement.verdict == DISAGREE, 0.0, LESS_ACCURATE) + CLOSE[party.precision]
    return np.where(agreed, party.judgement.tolerance, np.maximum(share * size, ROUNDED[party.precision] * largest))


def same_numbers(numbers: RealArray, allowed: RealArray, given: Mask | None = None) -> Mask:
    """Tell which of k arrays are the same where, shape (k, k, ...); pair by pair, for they may be large.

    What is not given is the same as everything.
    """
    k = len(numbers)
    result = np.ones((k, k, *numbers.shape[1:]), bool)
    for i, j in combinations(range(k), 2):
        a, b = numbers[i], numbers[j]
        with np.errstate(invalid="ignore"):
            close = np.abs(a - b) <= allowed[i] + allowed[j]
        close |= (a == b) | (np.isnan(a) & np.isnan(b))
        result[i, j] = result[j, i] = close if given is None else close | ~given[i] | ~given[j]
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
