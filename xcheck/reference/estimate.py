"""From a ladder of difference quotients to a derivative, its error bar and its status."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from xcheck.protocol import RealArray
from xcheck.reference.grid import Rows
from xcheck.reference.noise import ladder_noise
from xcheck.reference.status import Status
from xcheck.reference.windows import (
    Ladder,
    Mask,
    Rules,
    central_sequence,
    central_windows,
    one_sided_sequence,
    select,
    three_levels,
)


@dataclass
class Estimate:
    """Measured derivatives with their error bars; all arrays have one shape.

    Attributes:
        value, bar: the derivative and its error bar; NaN and inf where there is none.
        noise: the noise part of the bar.
        status: a `Status` for every entry.
        left, right: one-sided derivatives where the status is KINK or EDGE.
        left_bar, right_bar: their error bars.
        noisy: whether the values carry noise well above rounding.
    """

    value: RealArray
    bar: RealArray
    noise: RealArray
    status: NDArray[np.int8]
    left: RealArray
    right: RealArray
    left_bar: RealArray
    right_bar: RealArray
    noisy: Mask

    @classmethod
    def unknown(cls, shape: tuple[int, ...]) -> Estimate:
        """Return an estimate that knows nothing."""
        nan, inf = np.full(shape, np.nan), np.full(shape, np.inf)
        status = np.full(shape, Status.UNRESOLVED, np.int8)
        return cls(
            nan.copy(),
            inf.copy(),
            inf.copy(),
            status,
            nan.copy(),
            nan.copy(),
            inf.copy(),
            inf.copy(),
            np.zeros(shape, bool),
        )

    def holds_between_slopes(self, c: RealArray, rounding: RealArray) -> Mask:
        """Tell where `c` lies between the one-sided slopes, give or take their bars and the claim's own rounding."""
        low, high = np.fmin(self.left, self.right), np.fmax(self.left, self.right)
        widest = np.fmax(self.left_bar, self.right_bar) + rounding
        return np.asarray((c >= low - widest) & (c <= high + widest))

    def put(self, where: object, other: Estimate) -> None:
        """Overwrite entries with those of `other`."""
        for field in fields(self):
            getattr(self, field.name)[where] = getattr(other, field.name)

    def at(self, where: object) -> Estimate:
        """Select entries."""
        return Estimate(*(getattr(self, field.name)[where] for field in fields(self)))

    def scaled(self, factor: RealArray) -> Estimate:
        """Multiply every derivative and bar."""
        keep = ("status", "noisy")
        return Estimate(
            *(getattr(self, f.name) if f.name in keep else getattr(self, f.name) * factor for f in fields(self))
        )


def read(ladder: Ladder, rules: Rules) -> Estimate:
    """Estimate every pair of a ladder, and say of those without a derivative what they are."""
    result = estimate(ladder, rules)
    explain(ladder, rules, result)
    return result


def read_still(h: RealArray, reach: RealArray, row: Rows, quantum: RealArray, rules: Rules) -> Estimate:
    """Read pairs that have not moved at any level: they are flat, or too close to the point to tell.

    That is what `read` says of them, in fewer steps: they may be nearly all of a Jacobian.

    Args:
        h: mean displacements of every direction, coarse to fine, shape (L, d).
        reach: the largest steps that are allowed, shape (d,).
        row: the pairs' directions, shape (P,).
        quantum: what the values are rounded to, shape (P,).
        rules: as for `read`.
    """
    farthest = np.max(np.where(h <= 1.04 * reach, h, 0.0), axis=0)
    far = _is_far(farthest, reach, rules)
    result = Estimate.unknown(row.shape)
    bar = rules.z * quantum / np.where(far, farthest, h[0])[row]
    known = np.isfinite(bar)
    result.value[known] = 0.0
    result.bar[known] = result.noise[known] = bar[known]
    result.status[known] = np.where(far[row], Status.FLAT, Status.SATURATED)[known]
    return result


def _is_far(farthest: RealArray, reach: RealArray, rules: Rules) -> Mask:
    """Tell where a coarser group than that of the farthest step would be out of reach."""
    return np.asarray((farthest > 0.1) & (farthest * rules.group > 0.4 * reach))


def estimate(ladder: Ladder, rules: Rules) -> Estimate:
    """Estimate every pair of a ladder from its smooth two-sided windows alone."""
    windows = central_windows(ladder, rules.z, rules.unit)
    sequence, tau, noise = central_sequence(ladder)
    value, bar, chosen = select(windows, ladder, sequence, tau, noise, rules)
    pairs = np.arange(len(value))
    result = Estimate.unknown(value.shape)
    result.value, result.bar = value, bar
    result.noise = np.where(chosen >= 0, windows.noise[chosen, pairs], np.inf)
    result.status = np.where(chosen >= 0, Status.OK, Status.UNRESOLVED).astype(np.int8)
    result.noisy = np.any(ladder.sigma > 64 * rules.floor, axis=0)
    return result


def explain(ladder: Ladder, rules: Rules, result: Estimate) -> None:
    """Say of pairs without a window what they are: flat, noisy, a jump, a kink, the edge of the domain, saturated."""
    hidden = _mark_flat(ladder, rules, result)
    jump = _jumps(ladder, rules) & (result.status == Status.UNRESOLVED)
    result.status[jump] = Status.JUMP
    _read_noise(ladder, rules, result)
    _read_quantum(ladder, rules, result)
    _read_sides(ladder, rules, result)
    _mark_saturated(hidden, result)


JITTER = 8.0
"""Changes of at most this many ulps, however large the step, are rounding and no slope."""

SPREAD, GROWN, SUMMED = 2.0**6, 16.0, 2.0**6
"""Over steps that differ by so much, changes that grow by no more than this are rounding, up to so many ulps."""

STAIRCASE = 2.0**20
"""Changes of more than this many ulps beside a flat stretch are the steps of a staircase."""

CLEARLY = 0.125
"""One-sided slopes with bars of at most this share of their distance are the slopes of a kink; beside a cusp, where
slopes grow without bound, a piece between two roundings may look like a limit with a wide bar."""


LEAST_FLAT = 3
"""A function is flat near the point if it does not move at this many levels."""

CLIMB = 4.0
"""A staircase to both sides that climbs by this many of the changes nearest to the point may be a slope with values
rounded to fewer bits: its bar holds the slope of its steps as well."""


def _mark_flat(ladder: Ladder, rules: Rules, result: Estimate) -> RealArray:
    """Give functions that are constant around the point a zero slope, and tell saturated ones from them.

    Both are flat near the point. Flat as far as steps may reach, but for jitter, or up to a step as large as a
    staircase's, is a zero slope. Flat near the point with changes that grow farther away is a slope that the values'
    rounding hides.

    Returns:
        For the latter, what slope may be hidden; inf elsewhere.
    """
    open_ = (result.status == Status.UNRESOLVED) | (result.value == 0)
    steps, beside = _flat_stretch(ladder)
    reach = ladder.h[np.minimum(len(ladder.h) - steps, len(ladder.h) - 1), np.arange(len(steps))]
    change = np.fmax(np.abs(ladder.above), np.abs(ladder.below))
    near = (ladder.h <= 1.04 * ladder.reach) & np.isfinite(change)
    farthest = np.max(np.where(near, ladder.h, 0.0), axis=0)
    jitter = np.max(np.where(near, change, 0.0), axis=0)
    quantum = rules.unit * ladder.inner
    changed = [np.where(near & (c != 0), np.abs(c), np.inf) for c in (ladder.above, ladder.below)]
    least = np.min(changed, axis=(0, 1))  # rounding does not grow with the step, whatever the size of inner values
    edge = np.any(~np.isfinite(change) & (ladder.h <= ladder.reach * 1.04), axis=0)  # no step may be larger
    far = _is_far(farthest, ladder.reach, rules)
    far |= edge & (farthest > 0) & (steps >= LEAST_FLAT)
    constant = (open_ | (np.abs(result.value) <= result.bar)) & far
    constant &= (jitter <= JITTER * np.minimum(quantum, least)) | _stays(
        ladder, np.where(near, change, 0.0), farthest, quantum
    )
    staircase = open_ & ~constant & far & (steps >= LEAST_FLAT) & (beside > STAIRCASE * quantum)
    sides = [np.max(np.where(near, np.abs(change), 0.0), axis=0) for change in (ladder.above, ladder.below)]
    climbs = staircase & (jitter >= CLIMB * beside) & (np.minimum(*sides) > 0)
    bar = np.where(constant, (rules.z * quantum + jitter) / farthest, rules.z * quantum / reach)
    bar = np.where(climbs, 2 * beside / reach, bar)
    zero = constant | staircase
    result.value[zero] = 0.0
    result.bar[zero] = result.noise[zero] = bar[zero]
    result.status[zero] = Status.FLAT
    return np.where(open_ & (steps >= LEAST_FLAT) & ~zero, (rules.z * quantum + 2 * beside) / reach, np.inf)


def _stays(ladder: Ladder, change: RealArray, farthest: RealArray, quantum: RealArray) -> Mask:
    """Tell what jitters farther out as it does over the finest half of the levels: sums of several rounded numbers do.

    Changes by a slope would be far smaller at those levels, and whatever slope is left lies within the bar, which holds
    all jitter.
    """
    half = len(ladder.h) // 2
    most, fine = np.max(change, axis=0, initial=0.0), np.max(change[half:], axis=0, initial=0.0)
    apart = np.max(ladder.h[half:], axis=0, initial=0.0) * SPREAD <= farthest
    return np.asarray((half >= LEAST_FLAT) & apart & (most <= GROWN * fine) & (most <= SUMMED * quantum))


def _flat_stretch(ladder: Ladder) -> tuple[NDArray[np.int64], RealArray]:
    """Return how many of the finest levels are flat, and how far values have moved at the level next to them."""
    steps = np.sum(np.logical_and.accumulate(ladder.flat[::-1], axis=0), axis=0)
    at = np.maximum(len(ladder.h) - 1 - steps, 0), np.arange(len(steps))
    return steps, np.fmax(np.abs(ladder.above[at]), np.abs(ladder.below[at]))


def _mark_saturated(hidden: RealArray, result: Estimate) -> None:
    """What is flat near the point and has shown no slope by any other reading is saturated."""
    where = np.isfinite(hidden) & ((result.status == Status.UNRESOLVED) | (result.value == 0))
    where &= result.status != Status.FLAT
    result.value[where] = 0.0
    result.bar[where] = result.noise[where] = hidden[where]
    result.status[where] = Status.SATURATED


def _jumps(ladder: Ladder, rules: Rules) -> Mask:
    """On one side at least, the change over the finest levels is one constant."""
    result = np.zeros(ladder.plus.shape[1], bool)
    for change in (ladder.above[-4:], ladder.below[-4:]):
        if len(change) >= 3:
            size = np.min(np.abs(change), axis=0)
            constant = np.max(change, axis=0) - np.min(change, axis=0) <= 0.05 * size
            result |= constant & (size > 16 * rules.z * np.min(ladder.sigma[-4:], axis=0))
    return result


def _read_noise(ladder: Ladder, rules: Rules, result: Estimate) -> None:
    """Second reading: take what smoothness does not explain for noise."""
    open_ = result.status == Status.UNRESOLVED
    if not np.any(open_):
        return
    part = ladder.pairs(open_)
    sigma = ladder_noise(part.central, part.even, part.h, part.flat)
    again = sigma > np.min(part.sigma, axis=0)
    if not np.any(again):
        return
    second = estimate(part.pairs(again).with_noise(sigma[again]), _rules_for(rules, _both(open_, again)))
    second.status[second.status == Status.OK] = Status.NOISY
    second.noisy[:] = True
    result.put(_both(open_, again), second)


def _read_quantum(ladder: Ladder, rules: Rules, result: Estimate) -> None:
    """Third reading: flat next to the point and moving beyond, the first change is what values are rounded to."""
    open_ = result.status == Status.UNRESOLVED
    steps, beside = _flat_stretch(ladder)
    again = open_ & (steps >= LEAST_FLAT) & (steps < len(ladder.h)) & np.isfinite(beside)
    if not np.any(again):
        return
    found = estimate(ladder.pairs(again).with_noise(beside[again]), _rules_for(rules, again))
    sure = (found.status == Status.OK) & (found.bar < np.abs(found.value))
    found.status[sure] = Status.NOISY
    found.noisy[:] = True
    result.put(_both(again, sure), found.at(sure))


def _read_sides(ladder: Ladder, rules: Rules, result: Estimate) -> None:
    """Two one-sided limits that differ are a kink; one that exists alone is an edge; two that agree are a slope.

    A kink may also hide in a two-sided bar so wide that it covers both of its slopes.
    """
    vague = (result.status <= Status.NOISY) & (result.bar > 2 * rules.unit**0.4 * np.abs(result.value))
    open_ = (result.status == Status.UNRESOLVED) | vague
    if not np.any(open_):
        return
    part, part_rules = ladder.pairs(open_), _rules_for(rules, open_)
    right, right_bar, right_noise, right_seen = _side(part, "right", part_rules)
    left, left_bar, left_noise, left_seen = _side(part, "left", part_rules)
    both = np.isfinite(right_bar) & np.isfinite(left_bar)
    apart = both & (np.abs(right - left) > right_bar + left_bar)
    kink = apart & (np.maximum(right_bar, left_bar) <= CLEARLY * np.abs(right - left))
    sharper = kink & (np.maximum(right_bar, left_bar) < result.bar[open_] / 4)
    sub = result.at(open_)
    instead = (sub.status == Status.UNRESOLVED) | sharper
    missing = [~np.any(np.isfinite(change[-3:]), axis=0) for change in (part.above, part.below)]
    same = both & ~apart & (right_seen | left_seen)
    status = np.select([missing[0] | missing[1], kink, same], [Status.EDGE, Status.KINK, Status.OK], Status.UNRESOLVED)
    sub.status = np.where(instead, status, sub.status).astype(np.int8)
    sub.right, sub.left, sub.right_bar, sub.left_bar = right, left, right_bar, left_bar
    slope = sub.status == Status.OK
    low, high = np.minimum(right - right_bar, left - left_bar), np.maximum(right + right_bar, left + left_bar)
    sub.value = np.where(instead, np.where(slope, (low + high) / 2, np.nan), sub.value)
    sub.bar = np.where(instead, np.where(slope, (high - low) / 2, np.inf), sub.bar)
    sub.noise = np.where(instead, np.where(slope, np.maximum(right_noise, left_noise), np.inf), sub.noise)
    result.put(open_, sub)


def _side(ladder: Ladder, side: str, rules: Rules) -> tuple[RealArray, RealArray, RealArray, Mask]:
    """Return one side's limit, its bar, the noise in it, and whether it was seen and not only assumed.

    Seen is a limit from the base or coarser levels, or one whose contraction stands above the noise: finer levels
    alone may lie between two roundings, on both sides of the point.
    """
    sequence, tau, noise = one_sided_sequence(ladder, side)
    windows = three_levels(sequence, tau, noise, rules.z, rules.unit)
    plain = replace(rules, need_evidence=False)
    value, bar, chosen = select(windows, ladder, sequence, tau, noise, plain)
    pairs = np.arange(len(value))
    seen = windows.contracts[chosen, pairs] | (ladder.levels[chosen + 2] <= rules.finest_base)
    return value, bar, np.where(chosen >= 0, windows.noise[chosen, pairs], np.inf), (chosen >= 0) & seen


def _rules_for(rules: Rules, keep: Mask) -> Rules:
    return replace(rules, floor=rules.floor[:, keep])


def _both(outer: Mask, inner: Mask) -> Mask:
    result = outer.copy()
    result[outer] = inner
    return result
