"""The derivatives of functions that some framework is called wrong about, by mpmath."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mpmath
import numpy as np

from common.function import Point

DIGITS = 600
"""Decimal digits to differentiate with; squares of 1e-170 must not be lost next to 1."""

Numbers = Sequence[Any]


def _products(x: Numbers) -> list[Any]:
    return [mpmath.fprod(x[: i + 1]) for i in range(len(x))]


def _positives(x: Numbers) -> list[Any]:
    targets = (mpmath.mpf(0), mpmath.mpf(1), mpmath.mpf("0.6"))
    each = [
        3 * t * mpmath.log1p(mpmath.exp(-a)) + (1 - t) * mpmath.log1p(mpmath.exp(a))
        for a, t in zip(x, targets, strict=True)
    ]
    return [sum(each) / 3]


TRUE: dict[tuple[str, str], Callable[..., list[Any]]] = {
    ("sinc", "kink"): lambda x: [mpmath.sinc(mpmath.pi * v) for v in x],
    ("hard_sigmoid", "ordinary"): lambda x: [min(max(v / 6 + mpmath.mpf(1) / 2, 0), 1) for v in x],
    ("logaddexp", "kink"): lambda x, y: [mpmath.log(mpmath.exp(a) + mpmath.exp(b)) for a, b in zip(x, y, strict=True)],
    ("Euclidean norm", "tail"): lambda x: [mpmath.sqrt(sum(v * v for v in x))],
    ("cumprod", "kink 0"): _products,
    ("cumprod", "kink 1"): _products,
    ("determinant", "kink 1"): lambda x: [x[0] * x[3] - x[1] * x[2]],
    ("binary cross-entropy of logits", "kink"): lambda x, t: [mpmath.log1p(mpmath.exp(x[0])) - t[0] * x[0]],
    ("binary cross-entropy with a weight of positives", "kink"): _positives,
}
"""Functions of flat lists of mpmath numbers, one for every input; they return all outputs as one list."""


def truth(name: str, point: str, inputs: Point, place: tuple[int, int]) -> float | None:
    """Differentiate one output by one number of the inputs, laid end to end; None if the function is not there."""
    function = TRUE.get((name, point))
    if function is None:
        return None
    sizes = [x.size for x in inputs]
    cuts = np.cumsum(sizes)[:-1]
    with mpmath.workdps(DIGITS):
        flat = [mpmath.mpf(float(v)) for x in inputs for v in np.ravel(x)]

        def along(v: Any) -> Any:
            moved = [*flat[: place[0]], v, *flat[place[0] + 1 :]]
            return function(*(list(part) for part in np.split(np.array(moved, dtype=object), cuts)))[place[1]]

        return float(mpmath.diff(along, flat[place[0]]))
