"""Claims that belong to another product: entry by entry in place of a matrix product, or the other way round."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from xcheck.diagnosis.explanation import Explanation
from xcheck.diagnosis.region import Region
from xcheck.protocol import RealArray


def other_product(region: Region) -> Iterator[Explanation]:
    """Recognise the derivative of `a * b` where the function has `a @ b`, or the reverse.

    What is predicted are the values of the other factor, in n m entries; nothing is fitted.
    """
    a, out = region.source, region.target
    if a is None or out is None or region.is_complex:
        return
    for name, values in region.others.items():
        if name == a.name or values.dtype.kind != "f":
            continue
        factor = np.asarray(values, np.float64)
        for wrong, right in (("*", "@"), ("@", "*")):
            for left in (True, False):
                claimed = _derivative(a.shape, factor, out.shape, wrong, left)
                if claimed is None or not region.fits(claimed, np.zeros_like(claimed)):
                    continue
                side = _side(region, factor, right)
                if side is not None:
                    yield Explanation(
                        "other product",
                        f"the claim is the derivative of {_written(region, name, wrong, left)}, {SAID[wrong]}; the "
                        f"function has {_written(region, name, right, side)}, {SAID[right]}",
                    )
                    return


def slopes_as_matrix(region: Region) -> Iterator[Explanation]:
    """Recognise slopes of an elementwise function that a cotangent was multiplied with as matrices, `g @ slope`.

    What is predicted are n m entries out of n measured slopes; nothing is fitted.
    """
    a, out = region.source, region.target
    n, m = region.measured.shape
    if a is None or out is None or a.shape != out.shape or len(a.shape) != 2 or region.is_complex:
        return
    if n != m or np.any(region.significant & ~np.eye(n, dtype=bool)):
        return
    slopes, bars = (np.diag(entries).reshape(a.shape) for entries in (region.measured, region.tolerance))
    for left, text in ((True, "g @ slope"), (False, "slope @ g")):
        predicted, tolerance = (_derivative(a.shape, x, out.shape, "@", left) for x in (slopes, bars))
        if predicted is not None and tolerance is not None and region.fits(predicted.T, tolerance.T):
            yield Explanation(
                "slopes as a matrix",
                f"the claim multiplies the cotangent with the slopes as matrices, {text}; of an elementwise function "
                "it is g * slope, entry by entry (of np.matrix, `*` is the matrix product)",
            )
            return


SAID = {"*": "the product entry by entry", "@": "the matrix product"}


def _written(region: Region, other: str, symbol: str, left: bool) -> str:
    """Write a product; factors that may be exchanged stand in the order of the arguments."""
    own = region.sources[0].name
    names = list(region.others)
    first = names.index(own) < names.index(other) if symbol == "*" else left
    return f"{own} {symbol} {other}" if first else f"{other} {symbol} {own}"


def _side(region: Region, values: NDArray[np.float64], symbol: str) -> bool | None:
    """Tell on which side of the other product the measured Jacobian has its input; None if it is not of that."""
    source, target = region.sources[0], region.targets[0]
    for left in (True, False):
        expected = _derivative(source.shape, values, target.shape, symbol, left)
        if expected is not None and np.all((np.abs(region.measured - expected) <= 2 * region.tolerance)[region.known]):
            return left
    return None


def _derivative(
    shape: tuple[int, ...], values: NDArray[np.float64], out: tuple[int, ...], symbol: str, left: bool
) -> RealArray | None:
    """Return the Jacobian of a product by one factor, inputs first; None where the shapes do not go together."""
    count = int(np.prod(shape))
    basis = np.eye(count).reshape((count, *shape))
    try:
        if symbol == "*":
            result = np.array([b * values for b in basis])
        else:
            result = np.array([b @ values if left else values @ b for b in basis])
    except ValueError:
        return None
    return result.reshape(count, -1) if result.shape[1:] == out else None
