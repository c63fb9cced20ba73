"""NumPy: products by differences of values and by complex steps, since there are no derivatives to take them from."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from xcheck_backends.offers import Engine, Run

LEVELS = (4, 7, 10, 13, 16)
"""Binary orders by which the steps of central differences are smaller than the point, coarsest first."""

TINY = 2.0**-100
"""The imaginary step: so small that its square is nothing beside 1, so that nothing is cut off or rounded away."""

Product = Callable[[Callable[[Sequence[Any]], Sequence[Any]], Sequence[Any], Sequence[Any]], list[Any]]


def engines() -> list[Engine]:
    """Return "differences" and "complex step", both pushforwards made one by one."""
    return [
        Engine("differences", "jvp", lambda *given: _looped(_by_differences, *given), loops=True, pays_from=1),
        Engine("complex step", "jvp", lambda *given: _looped(_by_complex_step, *given), pays_from=2),
    ]


def _looped(product: Product, f: Any, xs: Any, held: Any, seeds: Sequence[Any], finish: Any) -> Run:
    del xs, held

    def run(xs: Sequence[Any], held: Sequence[Any]) -> Sequence[Any]:
        found = [product(lambda inputs: f(inputs, held), xs, [s[k] for s in seeds]) for k in range(len(seeds[0]))]
        return list(finish([np.stack(parts) for parts in zip(*found, strict=True)], seeds))

    return run


def _by_complex_step(f: Callable[..., Any], xs: Sequence[Any], tangents: Sequence[Any]) -> list[Any]:
    """Return `Im f(x + i h v) / h` (Squire and Trapp 1998): exact to rounding, if `f` is analytic and computed so.

    Raises:
        TypeError: `f` takes no complex numbers, or makes them real on the way.
    """
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("error", np.exceptions.ComplexWarning)  # an imaginary part that is dropped
        try:
            ys = f([x + 1j * (TINY * np.asarray(t, np.float64)) for x, t in zip(xs, tangents, strict=True)])
        except np.exceptions.ComplexWarning as warning:
            raise TypeError(f"the function makes complex numbers real on the way ({warning})") from None
    if any(not np.iscomplexobj(y) for y in ys):
        raise TypeError("the function makes complex numbers real on the way")
    dtype = np.result_type(*xs)
    return [(np.imag(y) / TINY).astype(dtype) for y in ys]


def _by_differences(f: Callable[..., Any], xs: Sequence[Any], tangents: Sequence[Any]) -> list[Any]:
    """Extrapolate central differences of five steps; every entry is taken where two successive ones differ least.

    Costs ten evaluations. Steps go by the size of the point where the tangent is not zero.
    """
    with np.errstate(all="ignore"):
        scale = _scale(xs, tangents)
        tables: list[list[Any]] = []
        for level in LEVELS:
            step = scale * 2.0**-level
            ahead, behind = (
                _values(f, [_moved(x, s * step, t) for x, t in zip(xs, tangents, strict=True)]) for s in (1, -1)
            )
            rows = [(a - b) / (2 * step) for a, b in zip(ahead, behind, strict=True)]
            tables.append(rows)
        dtypes = [np.result_type(y) for y in f([np.array(x) for x in xs])]
        return [
            _extrapolated([rows[o] for rows in tables]).astype(dtype if dtype.kind == "f" else np.float64)
            for o, dtype in enumerate(dtypes)
        ]


def _values(f: Callable[..., Any], xs: Sequence[Any]) -> list[Any]:
    return [np.array(y, dtype=np.float64) for y in f(xs)]


def _moved(x: Any, step: float, tangent: Any) -> Any:
    moved = (np.asarray(x, np.float64) + step * np.asarray(tangent, np.float64)).astype(np.result_type(x))
    return moved if np.ndim(x) else moved[()]


def _scale(xs: Sequence[Any], tangents: Sequence[Any]) -> float:
    """Return the median size of the inputs that move, over that of the tangent there; 1 where all are zero."""
    sizes = [np.abs(np.asarray(x, np.float64))[np.asarray(t) != 0] for x, t in zip(xs, tangents, strict=True)]
    moving = [np.abs(np.asarray(t, np.float64))[np.asarray(t) != 0] for t in tangents]
    point, tangent = np.concatenate(sizes or [np.ones(1)]), np.concatenate(moving or [np.ones(1)])
    point = point[(point > 0) & np.isfinite(point)]
    if not len(tangent):
        return 1.0
    return float(2.0 ** np.round(np.log2((np.median(point) if len(point) else 1.0) / np.median(tangent))))


def _extrapolated(rows: Sequence[Any]) -> Any:
    """Take two orders off the error (Richardson 1911), and choose for every entry what agrees best."""
    best, apart = rows[-1], np.full(np.shape(rows[-1]), np.inf)
    column, ratio = list(rows), 4.0 ** (LEVELS[1] - LEVELS[0])
    factor = ratio
    for _ in range(3):
        for one, other in pairwise(column):
            nearer = np.abs(other - one) < apart
            best, apart = np.where(nearer, other, best), np.where(nearer, np.abs(other - one), apart)
        column = [(factor * other - one) / (factor - 1) for one, other in pairwise(column)]
        factor *= ratio
    return best
