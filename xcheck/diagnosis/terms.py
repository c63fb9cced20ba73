"""Claims that miss a term, or that belong to another point or to a function applied twice."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from xcheck.diagnosis.explanation import Explanation
from xcheck.diagnosis.region import Mask, Region
from xcheck.protocol import RealArray

ENOUGH = 3
"""So many entries have to lie on a line before it is one."""

TINY = float(np.finfo(np.float64).tiny)


def additive(region: Region) -> Iterator[Explanation]:
    """Recognise a difference that is proportional to the input, to its sign, or constant: a term left out.

    Evidence: one number for every output is read off at one input, which then is worth nothing; at two other inputs at
    least the same number has to fit, to all digits.
    """
    if region.is_complex:
        return
    gap = np.where(region.known, region.claimed - region.measured, np.nan)
    shapes = (
        (region.x, "x", "the input"),
        (np.sign(region.x), "sign", "the sign of the input"),
        (np.ones(len(region.x)), "one", ""),
    )
    for vector, kind, name in shapes:
        moving = vector != 0
        telling = region if region.again is None else region.again  # values that are typed are equal more often
        sizes = _distinct(telling.x if kind != "one" else telling.measured)
        if np.count_nonzero(moving) < ENOUGH or sizes < ENOUGH:
            continue
        k, spent = _slope(gap, vector, region.tolerance)
        with np.errstate(invalid="ignore"):
            fitting = region.fits(region.measured + np.outer(vector, k), region.tolerance, spent)
        if fitting:
            yield _term(k, kind, name)
            return


def _distinct(values: RealArray) -> int:
    """Count sizes that differ: where inputs are all the same, a term and a factor are the same numbers."""
    known = np.abs(values[np.isfinite(values) & (values != 0)])
    return len(np.unique(known.astype(np.float32)))


def skipped(region: Region) -> Iterator[Explanation]:
    """Recognise a multiple of the identity that is missing: a connection around a layer.

    Evidence: everything off the diagonal is right; of the diagonal one entry gives the number, and the others have to
    have it. A difference of exactly 1 or -1 needs no other.
    """
    a, b = region.source, region.target
    if a is None or b is None or a.shape != b.shape or a.size < 2 or region.is_complex:
        return
    diagonal = np.diagonal(region.claimed - region.measured)
    bars = np.diagonal(region.tolerance)
    at = int(np.argmin(np.where(np.isfinite(diagonal), bars, np.inf)))
    k = float(diagonal[at])
    whole = round(k) in (1, -1) and abs(k - round(k)) <= 2 * bars[at]
    k = float(round(k)) if whole else k
    spent = np.zeros(region.claimed.shape, bool)
    spent[at, at] = not whole
    eye = np.eye(a.size)
    if not k or np.any(np.diagonal(region.measured) == 0) or not np.any(region.significant & (eye == 0)):
        return
    if region.fits(region.measured + k * eye, region.tolerance, spent):
        verb, size = "lacks" if k < 0 else "has too much of", abs(k)
        yield Explanation(
            "skip connection",
            f"the claim {verb} the identity{'' if whole else f' times {size:.4g}'}: what goes straight from {a.name} "
            f"to {b.name}, around the layer",
        )


def _slope(gap: RealArray, vector: RealArray, tolerance: RealArray) -> tuple[RealArray, Mask]:
    """Return the factor of every output, by the input at which the term weighs most, and those places."""
    weight = np.where(np.isfinite(gap), np.abs(vector)[:, None] / np.maximum(tolerance, TINY), -1.0)
    at = np.argmax(weight, axis=0)
    columns = np.arange(gap.shape[1])
    with np.errstate(invalid="ignore", divide="ignore"):
        k = gap[at, columns] / vector[at]
        known = np.any(np.abs(gap) > tolerance, axis=0)
    spent = np.zeros(gap.shape, bool)
    spent[at, columns] = True
    return np.where(known, k, 0.0), spent


def _term(k: RealArray, kind: str, name: str) -> Explanation:
    own = k[k != 0]
    alike = np.allclose(own, own[0], rtol=1e-4)
    if kind == "one":
        size = f"{own[0]:+.4g}" if alike else "a constant"
        return Explanation("constant term", f"the claim is off by the same number everywhere, {size}: a linear term")
    size = f"{abs(own[0]):.4g} times {name}" if alike else f"a multiple of {name}"
    term = "a regulariser" if kind == "x" else "an L1 penalty"
    verb = "lacks the term" if own[0] < 0 else "has a term too many,"
    return Explanation("additive term", f"the claim {verb} {size}, as {term} gives it")


def one_sample(region: Region) -> Iterator[Explanation]:
    """Recognise the gradient of one sample of a batch, where all of them have to be added up.

    Evidence: the gradient of that sample alone is measured, and the claim is that, to all digits.
    """
    for which, count, what, slopes, bars in region.laboratory.samples(region) if region.laboratory else ():
        for share, mean in ((1.0, ""), (1.0 / count, f", over {count}")):
            if region.fits(share * slopes, share * bars):
                yield Explanation(
                    "one sample",
                    f"the claim is the gradient of the {which} of the {count} samples ({what}) alone{mean}: gradients "
                    "are assigned (=) where they have to be accumulated (+=)",
                )
                return


def applied_twice(region: Region) -> Iterator[Explanation]:
    """Recognise the derivative at f(x) in place of x, and that of f(f(x)): functions applied twice.

    Evidence: the derivative there is measured, and the claim is that, to all digits; nothing is chosen.
    """
    a, b, laboratory = region.source, region.target, region.laboratory
    if a is None or b is None or a.shape != b.shape or a.is_complex or b.is_complex or laboratory is None:
        return
    if not np.all(np.isfinite(region.y)) or np.array_equal(region.x, region.y):
        return
    found = laboratory.slopes(region)(region.y)
    if found is None:
        return
    there, bars = found
    if region.fits(there, bars):
        yield Explanation(
            "applied twice",
            "the claim is the derivative at f(x) and not at x: the function was applied before it was differentiated, "
            "once too often",
        )
        return
    chain = region.measured @ there
    bars = np.abs(region.measured) @ bars + region.tolerance @ np.abs(there)
    if region.fits(chain, bars):
        yield Explanation(
            "applied twice", "the claim is the derivative of f(f(x)): the function is applied twice in it"
        )
