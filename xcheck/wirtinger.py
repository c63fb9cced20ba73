"""Complex numbers in a report: whose convention is whose, and whether the function is holomorphic at the point.

A complex number is a pair of reals everywhere in xcheck. A function `f = u + iv` of `z = x + iy` is holomorphic where
the Cauchy-Riemann equations `u_x = v_y` and `u_y = -v_x` hold; then its four real derivatives are one complex number.
"""

from __future__ import annotations

import numpy as np

from xcheck.problem import Problem
from xcheck.protocol import RealArray
from xcheck.reference.extrapolate import two_levels
from xcheck.reference.witness import Witness
from xcheck.space import Block

SHARP = 1e-3
"""Derivatives whose bars are at most this share of the largest tell whether a function is holomorphic."""

CLEARLY = 8.0
"""Cauchy-Riemann equations that are off by more bars than this do not hold."""

PAIRS = 3
"""Pairs of outputs and inputs that are spoken of."""

WRITTEN = (
    "a hand-written gradient is read as dL/dRe + i dL/dIm, and a hand-written Jacobian of a complex output by a "
    "complex input as the complex derivative"
)


def convention(problem: Problem, written: bool) -> tuple[str, ...]:
    """Say how complex derivatives are counted, if there are any.

    Args:
        problem: the function.
        written: whether hand-written derivatives are checked, and not the framework's.
    """
    if not any(block.is_complex for block in (*problem.inputs.blocks, *problem.outputs.blocks)):
        return ()
    theirs = WRITTEN if written else getattr(problem.backend, "complex_convention", "")
    return ("complex: derivatives by real and imaginary parts" + (f"; {theirs}" if theirs else ""),)


def holomorphy(problem: Problem, witness: Witness) -> tuple[str, ...]:
    """Say of every complex output and input whether Cauchy-Riemann holds at the point, as measured.

    Evaluates nothing; reads the values that `witness`, on all coordinates, has taken already.
    """
    outs = [block for block in problem.outputs.blocks if block.is_complex and block.size]
    ins = [block for block in problem.inputs.blocks if block.is_complex and block.size]
    if not outs or not ins:
        return ()
    value, bar = (part * witness.units for part in two_levels(witness))
    pairs = [(out, x) for out in outs for x in ins][:PAIRS]
    return tuple(_holomorphic(out, x, value[x.slice, out.slice], bar[x.slice, out.slice]) for out, x in pairs)


def _holomorphic(out: Block, x: Block, value: RealArray, bar: RealArray) -> str:
    size = float(np.max(np.abs(value), initial=0.0, where=np.isfinite(bar)))
    off, slack = _cauchy_riemann(value, bar)
    apart = off > CLEARLY * slack
    if np.any(apart):
        excess = np.where(apart, off, -1.0)
        j, i, equation = np.unravel_index(int(np.argmax(excess)), excess.shape)
        left, right = _sides(out, x, value, int(j), int(i), int(equation))
        return f"{out.name} is not holomorphic in {x.name} at the point: {left}, but {right}"
    if np.all(off <= slack) and np.max(slack, initial=0.0) <= SHARP * size:
        return (
            f"{out.name} is holomorphic in {x.name} at the point, as measured: the real derivatives of every entry are "
            f"one complex number, to {np.max(slack, initial=0.0):.1g}"
        )
    return f"whether {out.name} is holomorphic in {x.name} at the point, the values do not tell"


def _cauchy_riemann(value: RealArray, bar: RealArray) -> tuple[RealArray, RealArray]:
    """Return how far both equations are off and the bars of that, shape (inputs, outputs, 2)."""
    first = np.abs(value[0::2, 0::2] - value[1::2, 1::2])
    second = np.abs(value[1::2, 0::2] + value[0::2, 1::2])
    slack = np.stack([bar[0::2, 0::2] + bar[1::2, 1::2], bar[1::2, 0::2] + bar[0::2, 1::2]], axis=-1)
    return np.nan_to_num(np.stack([first, second], axis=-1)), slack


def _sides(out: Block, x: Block, value: RealArray, j: int, i: int, equation: int) -> tuple[str, str]:
    places = ((2 * j, 2 * i), (2 * j + 1, 2 * i + 1)) if equation == 0 else ((2 * j + 1, 2 * i), (2 * j, 2 * i + 1))
    left, right = (f"d {out.entry(b)} / d {x.entry(a)} is {value[a, b] + 0.0:.6g}" for a, b in places)
    return left, right
