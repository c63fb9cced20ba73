"""A witness of the second order: derivatives over mpmath's numbers, by differences in three times the digits.

With steps of 10^-d in arithmetic of 3d digits, truncation and rounding of a central difference are both about 10^-2d:
as a function of d digits the derivative is exact, and can be differenced once more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xcheck.high_precision import HighPrecision, Multiprecision, read_witness
from xcheck.problem import Problem
from xcheck.protocol import RealArray

MANY = 8
"""Up to this many inputs the gradient is taken: each costs two evaluations of the function at every point."""

PULLBACK = "witness= is not used for second derivatives through reverse mode"

PUSHFORWARD = "witness= is not used for second derivatives through forward mode"


def gradient_witness(problem: Problem, primal: Problem) -> HighPrecision | str:
    """Return `G(x, g) = J(x)^T g` of the witness, or why there is none; costs 2 n evaluations of it at a point.

    Args:
        problem: `G` in the framework's arithmetic.
        primal: the witness of the function.
    """
    if primal.n > MANY:
        return f"{PULLBACK}: its gradient by {primal.n} inputs costs too much (accepted: up to {MANY})"
    return _witness(problem, primal, _gradient_of, PULLBACK)


def push_witness(problem: Problem, primal: Problem) -> HighPrecision | str:
    """Return `P(x) = J(x) v` of the witness, or why there is none; costs two evaluations of it at a point.

    Args:
        problem: `P` in the framework's arithmetic.
        primal: the witness of the function.
    """
    return _witness(problem, primal, _push_of, PUSHFORWARD)


def _witness(
    problem: Problem, primal: Problem, derive: Callable[[HighPrecision], Callable[..., Any]], title: str
) -> HighPrecision | str:
    if not isinstance(primal, HighPrecision) or not isinstance(primal.arithmetic, Multiprecision):
        return f"{title}: it takes long doubles, which are too short to be differenced twice (mpmath numbers are not)"
    if any(block.is_complex for block in (*primal.inputs.blocks, *primal.outputs.blocks)):
        return f"{title}: inputs or outputs are complex"
    try:
        return read_witness(problem, derive(primal))
    except ValueError:  # the first order compares them, and says so
        return f"{title}: its derivative is another one than that of {primal.call.title}"
    except TypeError:
        return f"{title}: its derivative is not finite, or its numbers do not follow mpmath's precision"


def _gradient_of(primal: HighPrecision) -> Callable[..., Any]:
    count = len(primal.inputs.blocks)

    def gradient(*numbers: Any) -> Any:
        xs, cotangents = _arrays(numbers[:count]), _arrays(numbers[count:])
        steps = iter(primal.scale)
        found = []
        for place, x in enumerate(xs):
            partial = np.empty(x.shape, object)
            for index in np.ndindex(x.shape):
                tangents = [np.zeros(a.shape, object) for a in xs]
                tangents[place][index] = _number(next(steps))
                slopes = _slope(primal, xs, tangents)
                total = sum(np.sum(g * dy) for g, dy in zip(cotangents, slopes, strict=True))
                partial[index] = total / tangents[place][index]
            found.append(partial)
        return tuple(found)

    return gradient


def _push_of(primal: HighPrecision) -> Callable[..., Any]:
    count = len(primal.inputs.blocks)

    def push(*numbers: Any) -> Any:
        return tuple(_slope(primal, _arrays(numbers[:count]), _arrays(numbers[count:])))

    return push


def _slope(primal: HighPrecision, xs: Sequence[NDArray[Any]], tangents: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    """Return the derivative along `tangents`, by a central difference in three times the digits that are set."""
    import mpmath

    digits = mpmath.mp.dps
    with mpmath.workdps(3 * digits):
        step = mpmath.mpf(10) ** -digits
        ends = [
            primal.outputs_of([_scalar(x + sign * step * t) for x, t in zip(xs, tangents, strict=True)])
            for sign in (1, -1)
        ]
        return [np.asarray((above - below) / (2 * step), object) for above, below in zip(*ends, strict=True)]


def _number(value: RealArray) -> Any:
    import mpmath

    return mpmath.mpf(float(value))


def _arrays(numbers: Sequence[Any]) -> list[NDArray[Any]]:
    return [np.asarray(x, object) for x in numbers]


def _scalar(x: Any) -> Any:
    """Return a 0-d array as one number, as witnesses are given it."""
    array = np.asarray(x, object)
    return array if array.ndim else array[()]
