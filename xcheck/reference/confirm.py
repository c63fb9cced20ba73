"""Nothing is called wrong before fresh points at other steps have excluded it too, in every reading of the data."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xcheck.protocol import RealArray
from xcheck.reference.estimate import Estimate
from xcheck.reference.grid import Coordinates, Probes, Rows, probe_shrink, signed_probes
from xcheck.reference.noise import ladder_noise, quiet_below
from xcheck.reference.stairs import find_stairs, on_line
from xcheck.reference.status import Status
from xcheck.reference.windows import KAPPA, Ladder, Mask, Windows, central_sequence, central_windows
from xcheck.reference.witness import Witness

NOISY_FACTOR = 8.0
"""How many bars away a claim must be where the values are noisy: small structure can hide in real noise."""

TINY = 2.0**-30
"""Differences of this share of the output's size may come from whatever else moves it: step control of a solver."""

TINY_FACTOR = 2.0
"""How many bars away a claim must be by then."""

NO_DERIVATIVE = "no derivative exists here: the slopes along the inputs do not add up to the slope along their sum"

VETOES = (
    "",
    "a second measurement at fresh points allows the claim",
    "a second measurement at fresh points gives another slope",
    "read as noise, the differences allow the claim",
    "some step sizes support the claim and others do not",
    "the difference is small and only one range of step sizes shows it",
    "the difference is small enough to come from rounding inside the function",
    "the function has structure finer than its floating-point inputs",
    "the function's values move in steps here, since a number inside it is rounded (a witness= could settle it)",
)
"""Why a suspected entry is not called wrong, by code; 0 is no veto."""

FINER = 7
"""The code of structure finer than the floats."""

STEPPED = 8
"""The code of values that move in steps."""

NEIGHBOURS = (-2.0, -1.0, 1.0, 2.0)
"""Floats beside the point, in ulps."""

HIDES = 4.0
"""Steps may hide so many times the slope of their height over their distance, and of what is seen between them."""

BESIDE = np.array([-1.0, -0.7, -0.3, 0.3, 0.7, 1.0]) * 2.0**-34
"""Where a claim of zero may be right for a function that is constant piece by piece, in units of the scale."""

SHOWS = 2.0**10
"""A slope would have shown there that moves values by more than this many units of rounding."""

NEARLY_ZERO = 2.0**-10
"""What share of the measured slope counts as a claim of zero."""


def confirm(
    fresh: Witness, claimed: RealArray, first: Estimate, rounding: RealArray, wanted: Mask, groups: tuple[int, ...]
) -> tuple[Estimate, NDArray[np.int8]]:
    """Measure suspected entries again and look for any reading that allows the claim.

    Args:
        fresh: a witness with another seed on the suspected directions.
        claimed, rounding: the claim and its own rounding, shape (d, m), normalised by `fresh`.
        first: what was measured first, normalised by `fresh`.
        wanted: the suspected entries.
        groups: the groups of levels that the first measurement took.

    Returns:
        The second estimate and, for each entry, an index into `VETOES`.
    """
    second = fresh.measure(np.arange(len(wanted)), wanted, groups=tuple({-1, 0, 1, *groups}), rounds=2)
    veto = np.zeros(wanted.shape, np.int8)
    for row in np.flatnonzero(np.any(wanted, axis=1)):
        keep = wanted[row : row + 1]
        rows = np.array([row], dtype=np.intp)
        levels = fresh.levels_known(int(row))
        ladder, floor = fresh.ladder(levels, rows, keep, behind=True)
        where = (row, keep[0])
        size = fresh.sampler.magnitude[keep[0]]
        one, two = first.at(where), second.at(where)
        veto[where] = _vetoes(fresh, ladder, floor, claimed[where], rounding[where], one, two, size)
    for row in np.flatnonzero(np.any(veto == FINER, axis=1)):
        finer = np.flatnonzero(veto[row] == FINER)
        veto[row, finer[_differs_by_ulps(fresh, int(row), finer)]] = 0
    open_ = wanted & (veto == 0) & np.isfinite(claimed) & np.isfinite(second.value)
    zero = open_ & (np.abs(claimed) <= NEARLY_ZERO * np.abs(second.value))
    for row in np.flatnonzero(np.any(zero, axis=1)):
        outputs = np.flatnonzero(zero[row])
        veto[row, outputs[_still_beside(fresh, int(row), outputs, second.value[row, outputs])]] = STEPPED
    open_ &= veto == 0
    hidden = find_stairs(fresh, open_, second.value).slope
    hidden = np.where(hidden > 0, HIDES * (hidden + np.abs(second.value)), 0.0)
    veto[open_ & (np.abs(claimed - second.value) <= hidden)] = STEPPED
    return second, veto


def _differs_by_ulps(fresh: Witness, row: int, outputs: Rows) -> Mask:
    """Tell which outputs change from float to float as much as over many: noise, and no structure of a finer scale."""
    if not isinstance(fresh.directions, Coordinates):
        return np.zeros(len(outputs), bool)
    x = fresh.problem.x[fresh.directions.index[row]]
    t = np.array(NEIGHBOURS) * np.spacing(np.abs(x)) * 2.0 ** (53 - fresh.grid.precision)
    _, values = on_line(fresh, row, outputs, t / fresh.directions.scale[row])
    change = values - _center(fresh, outputs)
    return np.asarray(np.sqrt(np.mean(change**2, axis=0)) > fresh.noise()[outputs] / 8)


def _still_beside(fresh: Witness, row: int, outputs: Rows, value: RealArray) -> Mask:
    """Tell which outputs do not move at all over a stretch in which the measured slope would have shown."""
    if not isinstance(fresh.directions, Coordinates):
        return np.zeros(len(outputs), bool)
    _, values = on_line(fresh, row, outputs, BESIDE)
    change = values - _center(fresh, outputs)
    size = np.maximum(fresh.sampler.magnitude[outputs], fresh.directions.offset[row] * np.abs(value))
    shows = np.abs(value) * np.min(np.abs(BESIDE)) > SHOWS * fresh.grid.value_unit * size
    return np.asarray(np.all(change == 0, axis=0) & shows)


def _center(fresh: Witness, outputs: Rows) -> RealArray:
    return np.asarray(fresh.sampler.center[outputs] / fresh.sampler.size[outputs])


def adds_up(witness: Witness, outputs: Rows, known: Mask, value: RealArray, bar: RealArray) -> Mask:
    """Tell for which outputs the slopes along inputs add up to the slope along a random combination of the inputs.

    A function may have a slope along every input and yet no derivative: sorted eigenvalues where two coincide, the
    square root of |x y| at the origin.

    Args:
        witness: measured the slopes.
        outputs: k of its outputs.
        known: which directions have a trusted slope for these outputs, shape (d, k).
        value, bar: the slopes, shape (d, k), normalised.
    """
    if not isinstance(witness.directions, Coordinates):
        return np.ones(len(outputs), bool)
    directions, problem = witness.directions, witness.problem
    rng = np.random.default_rng((witness.grid.seed, 6))
    signs = signed_probes(rng, *known.shape) * probe_shrink(directions.count)
    steps = np.where(known, signs * directions.scale[:, None], 0.0)
    vectors = np.zeros((len(outputs), problem.n))
    vectors[:, directions.index] = steps.T
    along = Witness(problem, Probes(problem, vectors), witness.grid.seed + 2, witness.project, witness.entries)
    wanted = np.zeros((len(outputs), along.sampler.m), bool)
    wanted[np.arange(len(outputs)), outputs] = True
    found = along.measure(np.arange(len(outputs)), wanted).scaled(along.units).at((np.arange(len(outputs)), outputs))
    size = witness.sampler.size[outputs]
    share = np.where(known, signs, 0.0) * size
    expected = np.sum(np.where(known, value, 0.0) * share, axis=0)
    slack = 2 * np.sum(np.where(known, bar, 0.0) * np.abs(share), axis=0) + found.bar
    apart = (found.status <= Status.FLAT) & (np.abs(found.value - expected) > slack)
    without = np.isin(found.status, (Status.KINK, Status.JUMP, Status.EDGE, Status.UNRESOLVED))
    return np.asarray(~(apart | without))


def _vetoes(
    fresh: Witness,
    ladder: Ladder,
    floor: RealArray,
    c: RealArray,
    rounding: RealArray,
    first: Estimate,
    second: Estimate,
    magnitude: RealArray,
) -> NDArray[np.int8]:
    unit, p = fresh.grid.unit, fresh.grid.precision
    value, bar = second.value, second.bar
    gap = np.abs(c - value)
    rules = fresh.rules(floor)
    windows = central_windows(ladder, rules.z, rules.unit)
    tiny = gap <= TINY * magnitude
    factor = np.where(second.noisy | (second.status == Status.NOISY), NOISY_FACTOR, np.where(tiny, TINY_FACTOR, 1.0))
    allowed = ~(gap > factor * bar + rounding)
    both = np.isfinite(first.bar) & (np.abs(first.value - value) > first.bar + bar)
    small = gap <= 2.0 ** (-p / 3) * np.abs(value)
    inner = 8 * unit * ladder.inner
    hidden = ladder.flat[-1] & (0.25 * np.abs(c) <= 2 * inner)
    inner = np.minimum(inner, 256 * np.min(ladder.sigma, axis=0))  # rounding of inner values shows as noise
    checks = [
        allowed,
        both,
        _noise_reading_allows(ladder, rules.z, unit, c, rounding),
        _some_scale_allows(ladder, windows, c, value, gap, rules.z),
        small & ~_two_ranges_exclude(ladder, windows, c, rounding, fresh),
        ((gap <= inner) & (gap <= 0.01 * np.abs(c))) | hidden,
        _finer_than_floats(ladder, floor, gap, unit, p),
    ]
    claimless = ~np.isfinite(c)  # NaN where the function has a slope needs no second reading
    kink = (first.status == Status.KINK) & (second.status == Status.KINK)
    result = np.select(checks, np.arange(1, len(checks) + 1), 0).astype(np.int8)
    result[claimless & (second.status <= Status.FLAT)] = 0
    result[kink] = np.where(second.holds_between_slopes(c, rounding) | np.isnan(c), 1, 0)[kink]
    return result


def _noise_reading_allows(ladder: Ladder, z: float, unit: float, c: RealArray, rounding: RealArray) -> Mask:
    sigma = ladder_noise(ladder.central, ladder.even, ladder.h, ladder.flat)
    matters = sigma > 2 * np.min(ladder.sigma, axis=0)
    matters &= ~quiet_below(sigma, ladder.central, ladder.even, ladder.h)
    if not np.any(matters):
        return np.asarray(matters)
    windows = central_windows(ladder.with_noise(sigma), z, unit)
    inside = np.any(windows.accepted & (np.abs(windows.estimate - c) <= windows.bar + rounding), axis=0)
    excluded = np.any(windows.accepted & ~(np.abs(windows.estimate - c) <= windows.bar + rounding), axis=0)
    return np.asarray(matters & inside & ~excluded)


def _some_scale_allows(
    ladder: Ladder, windows: Windows, c: RealArray, value: RealArray, gap: RealArray, z: float
) -> Mask:
    """Look for a window, or two neighbouring levels, that support the claim and are those of a smooth function.

    Steps far beyond the period of an oscillation give slopes near zero; their even parts do not shrink.
    """
    holds_claim = np.abs(windows.estimate - c) <= windows.bar
    holds_value = np.abs(windows.estimate - value) <= windows.bar
    contrary = np.any(windows.accepted & (windows.bar < gap / 2) & holds_claim & ~holds_value, axis=0)
    sequence, _, noise = central_sequence(ladder)
    near = (np.abs(sequence - c) <= 0.3 * gap) & (noise <= 0.3 * gap) & (ladder.h <= 0.25)
    ratio = (ladder.h[1:] / ladder.h[:-1]) ** 2
    smooth = np.abs(ladder.even[1:]) <= KAPPA * ratio * np.abs(ladder.even[:-1]) + z * np.sqrt(6) * ladder.sigma[1:]
    return np.asarray(contrary | np.any(near[1:] & near[:-1] & smooth, axis=0))


def _two_ranges_exclude(ladder: Ladder, windows: Windows, c: RealArray, rounding: RealArray, fresh: Witness) -> Mask:
    excludes = windows.accepted & (np.abs(windows.estimate - c) > windows.bar + rounding)
    coarse = fresh.grid.group(0)[0]
    apart = 3 if fresh.grid.precision == 53 else 2
    result = np.zeros(excludes.shape[1], bool)
    for w in range(len(excludes)):
        if ladder.levels[w + 2] <= coarse:
            result |= excludes[w] & np.any(excludes[w + apart :], axis=0)
    return result


def _finer_than_floats(ladder: Ladder, floor: RealArray, gap: RealArray, unit: float, p: int) -> Mask:
    sigma, loud = np.min(ladder.sigma, axis=0), np.all(ladder.sigma > 2.0 ** (p / 5) * floor, axis=0)
    loud &= np.any(ladder.central != 0, axis=0) | np.any(ladder.even != 0, axis=0)  # what stands still has no structure
    width = 2 * 7 * 255 * unit if p == 53 else 10 * unit
    return np.asarray(loud & (gap * width > sigma / 8))
