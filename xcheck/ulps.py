"""The error of a claim in units in the last place, wherever the reference is sharp enough to tell one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xcheck.judgement import AGREE, SUBNORMAL, Judgement
from xcheck.protocol import RealArray
from xcheck.reference.extrapolate import two_levels
from xcheck.reference.witness import Witness
from xcheck.space import floor_power

TELLS = 0.25
"""A reference whose error bar is at most this share of an ulp tells how many ulps a claim is off."""


@dataclass(frozen=True)
class Ulps:
    """How far a claim is from the reference, in units in the last place of the claim's dtype at the measured entry.

    Entries in which claim and reference are both zero are not counted: they would make any median look good.

    Attributes:
        worst: the largest error of the entries that count; a bound where `resolved` is False.
        median: their median error; a bound where `resolved` is False.
        entries: how many entries count.
        total: how many entries agree and are not zero.
        resolved: whether the reference is sharp enough to tell an ulp in the entries that count.
    """

    worst: float
    median: float
    entries: int
    total: int
    resolved: bool

    def __str__(self) -> str:
        """Write the two numbers, or the bound."""
        if not self.resolved:
            return f"at most {figure(self.worst)} ulp"
        some = "" if self.entries == self.total else f" of the {self.entries} entries that the reference resolves"
        return f"{figure(self.worst)} ulp at worst, {figure(self.median)} in the median{some}"


def figure(ulps: float) -> str:
    """Write a number of ulps: two digits, and nothing below a hundredth."""
    return "0" if ulps < 0.005 else f"{ulps:.2g}" if ulps < 99.5 else f"{ulps:.0f}" if ulps < 1e6 else f"{ulps:.1g}"


@dataclass(frozen=True)
class Sharpest:
    """The reference's values with the narrowest bars that do not rest on the claim; arrays are (directions, outputs).

    Attributes:
        value, bar: the values and their error bars, user units.
        counted: the entries that agree and are not zero.
    """

    value: RealArray
    bar: RealArray
    counted: NDArray[np.bool_]


def sharpest(witness: Witness, judgement: Judgement) -> Sharpest:
    """Take the judged reference, or where it is sharper, what the screen's two levels say without the claim.

    The bar of an entry that passed the screen holds the distance to the claim, which is what is asked for here.
    Evaluates nothing new.
    """
    value, bar = judgement.value.copy(), judgement.bar.copy()
    other, own = two_levels(witness)
    other, own = other * witness.units, own * witness.units
    with np.errstate(invalid="ignore"):
        better = (own < bar) & (np.abs(other - value) <= bar)
    value[better], bar[better] = other[better], own[better]
    return Sharpest(value, bar, judgement.verdict == AGREE)


def measure_ulps(claimed: RealArray, precision: int, reference: Sharpest) -> Ulps | None:
    """Measure a claim against the sharpest reference; None if no entry counts.

    Args:
        claimed: shape (d, m), user units.
        precision: significand bits of the claim's dtype.
        reference: what `sharpest` returned.
    """
    value, bar = reference.value, reference.bar
    counted = reference.counted & ((claimed != 0) | (np.abs(value) > bar)) & np.isfinite(claimed)
    if not np.any(counted):
        return None
    claimed, value, bar = claimed[counted], value[counted], bar[counted]
    ulp = ulp_of(value, precision)
    resolved = bar <= TELLS * ulp
    error = np.abs(claimed - value) / ulp
    if np.any(resolved):
        error = error[resolved]
        return Ulps(float(np.max(error)), float(np.median(error)), len(error), len(ulp), True)
    bound = np.ceil(10 * (error + bar / ulp)) / 10
    return Ulps(float(np.max(bound)), float(np.median(bound)), len(bound), len(bound), False)


def ulp_of(values: RealArray, precision: int) -> RealArray:
    """Return the unit in the last place of every value in a dtype of `precision` significand bits."""
    size = np.maximum(np.abs(np.nan_to_num(values)), np.finfo(np.float64).tiny)
    return np.maximum(floor_power(size) * 2.0 ** (1 - precision), SUBNORMAL[precision])
