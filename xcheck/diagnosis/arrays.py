"""Claims that come out of a wrong use of arrays: whole numbers, differences of a table, one product for another."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from xcheck.diagnosis.explanation import Explanation
from xcheck.diagnosis.region import Mask, Region
from xcheck.protocol import RealArray

ROUNDING = 2.0**-48
"""Differences of outputs are known to this share of the largest."""

ALIKE = 2.0**-10
"""Slopes of chords that are alike to this share are a line's, which many mistakes give."""

FEWEST = 4
"""Points of a table that make its differences more than a coincidence."""


def truncated(region: Region) -> Iterator[Explanation]:
    """Recognise derivatives that were stored in an array of integers.

    Evidence: a number between two whole ones is predicted exactly, for two whole numbers that are not zero; those
    that are whole anyway are worth nothing.
    """
    c, r = region.claimed, region.measured
    if not np.all(np.isfinite(c)) or np.any(c != np.round(c)):
        return
    for whole, how in ((np.trunc, "cut off at the decimal point"), (np.round, "rounded to whole numbers")):
        plain = np.abs(r - np.round(r)) <= 2 * region.tolerance
        predicted = np.where(region.known & ~plain, whole(r), np.where(plain, np.round(r), np.nan))
        telling = region.wrong & (predicted != 0)  # zeros have other reasons
        if len(np.unique(predicted[telling])) < 2:
            continue
        if region.fits(predicted, np.zeros_like(predicted), ~telling):
            yield Explanation("truncated", f"the claim is the derivative {how}: an array of integers holds it")
            return


def differences(region: Region) -> Iterator[Explanation]:
    """Recognise differences of neighbouring outputs (`np.diff`, `np.gradient`) in place of slopes.

    Evidence: every entry but those at the ends is predicted to rounding from inputs and outputs.
    """
    a, b = region.source, region.target
    if a is None or b is None or a.shape != b.shape or len(a.shape) != 1 or len(region.x) < FEWEST or region.is_complex:
        return
    if np.any(np.diff(region.x) == 0) or not np.all(np.isfinite(region.y)):
        return
    for values, ends, text in _tables(region.x, region.y, b.name):
        inner = values[~ends]  # all alike, they are those of a straight line
        if np.ptp(inner) > ALIKE * np.max(np.abs(inner)) and _fits_diagonal(region, values, ends):
            yield Explanation("differences", text)
            return


def _tables(x: RealArray, y: RealArray, out: str) -> Iterator[tuple[RealArray, Mask, str]]:
    last, first, both = (np.zeros(len(x), bool) for _ in range(3))
    last[-1] = first[0] = both[0] = both[-1] = True
    plain = f"the claim is the difference of neighbouring outputs, {out}[i + 1] - {out}[i] (np.diff)"
    halves = f"the claim is the difference of neighbouring outputs, {out}[i + 1] / 2 - {out}[i - 1] / 2 (np.gradient)"
    undivided = ", not divided by a step"
    chord = (
        f"the claim is the slope of a chord, the difference of {out} at two points over that of the inputs (np.diff, "
        "np.gradient); it comes near the derivative where points are close"
    )
    rise, run = np.diff(y), np.diff(x)
    for values, text in ((rise, plain + undivided), (rise / run, chord)):
        yield np.append(values, 0.0), last, text
        yield np.append(0.0, values), first, text
    yield np.gradient(y), both, halves + undivided
    yield np.gradient(y, x), both, chord


def _fits_diagonal(region: Region, values: RealArray, ends: Mask) -> bool:
    """Tell whether a diagonal is the claim's, but for the ends, for which there are many customs."""
    own = np.where(ends, np.diag(region.claimed), values)
    predicted = np.where(region.known, 0.0, np.nan)
    np.fill_diagonal(predicted, own)
    tolerance = np.full(predicted.shape, ROUNDING * float(np.max(np.abs(values))))
    return region.fits(predicted, tolerance, np.diag(ends))


def sum_of_outputs(region: Region) -> Iterator[Explanation]:
    """Recognise a diagonal that is that of the gradient of the sum of all outputs; costs one Jacobian.

    Evidence: as many sums as there are wrong entries, and nothing fitted.
    """
    n, m = region.claimed.shape
    eye = np.eye(n, m, dtype=bool)
    if n != m or n < 2 or region.laboratory is None or np.any(region.known & ~eye) or region.is_complex:
        return
    found = region.laboratory.slopes(region)(region.x)
    if found is None or not np.any(np.abs(found[0])[~eye] > 4 * found[1][~eye]):
        return
    for axis, kind in ((1, "sum of outputs"), (0, "row sums")):
        predicted, tolerance = (np.where(eye, a.sum(axis)[:, None], np.nan) for a in found)
        if region.fits(predicted, tolerance):
            own, other = (region.targets[0].name, region.sources[0].name)
            text = (
                f"the claim is the gradient of the sum of all outputs, d {own}[0] / d {other}[i] + d {own}[1] / d "
                f"{other}[i] + ...; outputs depend on other inputs too (as behind a batch normalisation)"
                if axis == 1
                else f"the claim adds up the derivatives of {own}[i] by all inputs, and the diagonal has one of them"
            )
            yield Explanation(kind, text)
            return
