"""Claims that are the measured derivative times something, or nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from xcheck.diagnosis.explanation import Explanation
from xcheck.diagnosis.region import BITS, LEAST, Region
from xcheck.protocol import RealArray
from xcheck.space import Block

NAMED = {
    math.pi: "pi",
    2 * math.pi: "2 pi",
    180 / math.pi: "180/pi (degrees for radians)",
    math.log(2): "ln 2",
    math.log(10): "ln 10",
    math.sqrt(2): "the square root of 2",
    math.sqrt(2 * math.pi): "the square root of 2 pi",
}
"""Constants that get lost, or come in twice."""

ROUGHLY = 2.0**-4
"""The share to which a factor has to be known to be called 2, 1/2 or -1; bfloat16 has no more."""

LIKELY = {2.0: "twice", 0.5: "half"}
"""Factors that need little evidence, as a changed sign does."""

FEW, MANY = 2.0**-12, 2.0**-BITS
"""Shares to which a ratio has to be known to be called one of few numbers, such as a length, or one of very many."""

LARGE, BY_CHANCE = 2**20, 1e-3
"""Whole numbers, and one over them, are recognised up to here, unless so many would fit by chance."""

SMALL = 12
"""Whole numbers up to this one are recognised as such."""


def missing(region: Region) -> Iterator[Explanation]:
    """Recognise a part of the Jacobian that is zero in the claim, and not in the function.

    Evidence: the zeros are exact, and slopes were measured; nothing is inferred.
    """
    if not region.claimed.any() and region.significant.any():
        yield Explanation(
            "zero",
            "the claim is zero throughout, and the function depends on it",
            remedy="it is cut off (detach, stop_gradient, .numpy(), a constant copy), or the rule leaves it out",
        )


def ignored(region: Region) -> Iterator[Explanation]:
    """Recognise an input that the function ignores, and the claim does not.

    Evidence: a slope of zero is not enough, since even functions and dead units have it; the values are the same, to
    the last bit, at other values of the input, far from the point.
    """
    if not np.all(region.measured == 0) or not region.wrong.any() or region.laboratory is None:
        return
    if region.laboratory.moves(region) is False:
        yield Explanation(
            "ignored",
            "the function ignores this input: its values do not change with it, while the claim is not zero",
            remedy="it uses another variable in its place, such as a global or captured one, or a stale copy",
        )


def factor(region: Region, named: bool | None = None) -> Iterator[Explanation]:
    """Recognise a constant factor: one that means something if `named`, any other if not, both if None.

    Evidence: some hundred numbers mean something, so the ratio has to be one of them to 16 bits, to 8 for -1, 2 and
    1/2. For any other number three entries have to share it; that is then a fact, and no guess.
    """
    k = _ratio(region)
    if k is None or not region.fits(k * region.measured, abs(k) * region.tolerance, bits=LEAST):
        return
    name = _name(k, region)
    if name and named is not False:
        yield Explanation("factor", f"the claim is {name} the derivative")
    elif not name and named is not True and np.count_nonzero(region.significant) > 2:
        digits = min(5, max(2, math.floor(-math.log10(_sharpness(region)))))
        yield Explanation("factor", f"the claim is {k:.{digits}g} times the derivative, in every entry")


def conjugated(region: Region) -> Iterator[Explanation]:
    """Recognise a complex conjugate: imaginary parts of inputs, of outputs or of both with the other sign.

    Evidence: half of the entries with their sign changed, each to all its digits; no number is chosen.
    """
    if not region.is_complex:
        return
    for rows, columns in ((True, False), (False, True), (True, True)):
        sign = np.ones((region.claimed.shape[0], 1)), np.ones((1, region.claimed.shape[1]))
        if rows:
            sign[0][_imaginary(region.sources)] = -1.0
        if columns:
            sign[1][0, _imaginary(region.targets)] = -1.0
        if region.fits(sign[0] * region.measured * sign[1], bits=LEAST):
            yield Explanation("conjugated", "the claim is the complex conjugate of the derivative")
            return


def _imaginary(blocks: tuple[Block, ...]) -> list[int]:
    start = blocks[0].start
    found: list[int] = []
    for block in blocks:
        if block.is_complex:
            found += range(block.start - start + 1, block.start - start + block.size, 2)
    return found


def _ratio(region: Region) -> float | None:
    """Return the factor by the entry that is known best, None if the claim has no such."""
    sizes = np.where(region.significant & np.isfinite(region.claimed), np.abs(region.measured), 0.0)
    if not sizes.any():
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        sharpness = np.where(sizes > 0, sizes / np.maximum(region.tolerance, 2.0**-52 * sizes), 0.0)
    at = np.unravel_index(int(np.argmax(sharpness)), sharpness.shape)
    k = float(region.claimed[at] / region.measured[at])
    return k if k and math.isfinite(k) else None


def _name(k: float, region: Region) -> str:
    """Name a factor that means something; fractions that small numbers give by chance have to be exact."""
    close = max(1e-9, _sharpness(region))
    if close > ROUGHLY:
        return ""
    if math.isclose(k, -1.0, rel_tol=close):
        return "minus one times"
    sign, size = ("minus " if k < 0 else ""), abs(k)
    for value, name in LIKELY.items():
        if math.isclose(size, value, rel_tol=close):
            return f"{sign}{name}"
    lengths = _lengths(region)
    for value, name, needed in _candidates(lengths):
        if close <= needed and math.isclose(size, value, rel_tol=close):
            return f"{sign}{name}"
    for value, name in ((size, "{} times"), (1 / size, "1/{} times")):
        if 1 < value < LARGE and value * close < BY_CHANCE and math.isclose(value, round(value), rel_tol=close):
            return f"{sign}{name.format(round(value))}"
    return ""


def _candidates(lengths: dict[int, str]) -> Iterator[tuple[float, str, float]]:
    """Return numbers that mean something, what they are called, and how well the ratio has to be known for them."""
    for value, name in (*_counts(lengths), *_constants()):
        yield value, name, FEW
    for value, name in _shares(lengths):
        yield value, name, MANY


def _counts(lengths: dict[int, str]) -> Iterator[tuple[float, str]]:
    for n, what in lengths.items():
        yield float(n), f"{n} times ({what})"
        yield 1.0 / n, f"1/{n} times ({what})"
    for n in range(3, SMALL + 1):
        yield float(n), f"{n} times"
        yield 1.0 / n, f"1/{n} times"


def _constants() -> Iterator[tuple[float, str]]:
    for value, name in NAMED.items():
        yield value, f"{name} times"
        yield 1 / value, f"one over {name} times"


def _shares(lengths: dict[int, str]) -> Iterator[tuple[float, str]]:
    for n, what in lengths.items():
        yield math.sqrt(n), f"the square root of {n} times ({what})"
        yield 1 / math.sqrt(n), f"one over the square root of {n} times ({what})"
        if n > 2:
            yield 2.0 / n, f"2/{n} times ({what})"
            yield n / 2.0, f"{n}/2 times ({what})"
            yield n / (n - 1), f"{n}/{n - 1} times ({what})"
            yield (n - 1) / n, f"{n - 1}/{n} times ({what})"
    yield 1.5, "3/2 times"
    yield 2 / 3, "2/3 of"


def _lengths(region: Region) -> dict[int, str]:
    """Return the lengths that a mean or a sum may have run over, and whose they are."""
    found: dict[int, str] = {}
    for block in (*region.targets, *region.sources):
        for axis, length in enumerate(block.shape):
            if length > 2:
                what = f"the length of {block.name}" if len(block.shape) == 1 else f"axis {axis} of {block.name}"
                found.setdefault(length, what)
        size = math.prod(block.shape)
        if size > 2:
            found.setdefault(size, f"the size of {block.name}")
    return {**region.lengths, **found}


def _sharpness(region: Region) -> float:
    """Return to which share the best entry is known."""
    sizes = np.where(region.significant, np.abs(region.measured), 0.0)
    shares: RealArray = region.tolerance[sizes > 0] / sizes[sizes > 0]
    return 4 * float(np.min(shares, initial=1.0))
