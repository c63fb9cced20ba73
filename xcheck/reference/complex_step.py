"""The complex step, a second witness for functions written in NumPy.

`Im f(x + i h e_j) / h` is the derivative of an analytic f without any difference (Squire and Trapp, SIAM Rev. 40, 1998;
Martins, Sturdza and Alonso, ACM TOMS 29, 2003). With h = 1e-30 nothing cancels and nothing is truncated. It is wrong
wherever f is not written in analytic operations, so the operations are traced while f runs.

It is a second opinion only. A claim may itself be a complex step, and two complex steps share their errors; the claim
is then still held against differences of f's values: no complex step counts that lies outside their bars, and none
makes a claim wrong.
"""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xcheck.problem import OutputChanged, Problem
from xcheck.protocol import RealArray
from xcheck.pytree import flatten
from xcheck.raised import first_line
from xcheck.reference.grid import Coordinates, Rows
from xcheck.reference.noise import rounding_floor
from xcheck.reference.tracing import TOO_MANY, Number, TooLarge, Trace, parts, place, wrapped
from xcheck.reference.windows import Mask
from xcheck.reference.witness import Witness

STEP = 1e-30
"""The step, in units of the input's scale: its square is below the smallest relative rounding."""

PERTURBED = 6
"""Runs with every rounded result moved at random by an ulp, which show how rounding spreads."""

SPREAD = 8.0
"""The bar in units of the largest departure that these runs show."""

LEAST = 2.0**-46
"""The least relative bar, 1.4e-14: a few ulps for every function that NumPy computes in complex arithmetic."""

BUDGET = 2**20
"""Numbers that are traced at most, over all directions: about a second or two."""

ALONG_ONE = 2**18
"""And along one direction, its seven runs together: one direction has no more evidence than others, and may not take
longer than finding it."""

NOISY = 64.0
"""Values noisier than this many times their rounding are no analytic function's."""


@dataclass(frozen=True)
class ComplexStep:
    """Derivatives by the complex step; arrays are (directions, outputs), in user units.

    Attributes:
        value: `Im f(x + i h e_j) / h`; NaN where the function raised.
        bar: what rounding in the function's own operations may do to it; inf where the value cannot be trusted.
        valid: where it can be trusted.
        causes: for every direction, why it cannot, one sentence a cause.
    """

    value: RealArray
    bar: RealArray
    valid: Mask
    causes: tuple[tuple[str, ...], ...]


def complex_step(problem: Problem, rows: Rows | None = None, seed: int = 0) -> ComplexStep:
    """Differentiate by the complex step along some inputs, and say where that cannot be trusted.

    Costs seven evaluations a direction, on numbers that are traced: about half a millisecond each, and a microsecond
    or two for every number in them. A function of so many numbers that this would take half a second for one direction
    is not asked, or only once. The function runs on stand-ins for its inputs, which it may keep as it may keep them;
    nothing that it raises passes through.

    The bar is measured and not assumed: six more runs move every rounded result by an ulp at random (Monte Carlo
    arithmetic, Parker 1997; Vignes, Math. Comput. Simul. 35, 1993), so that cancellation inside the function shows.

    Comparisons count as invalid although the branch may be the right one, since no step tells how near the other is.

    Args:
        problem: a function of real float64 inputs on the NumPy backend.
        rows: the inputs to differentiate with respect to; all of them if None.
        seed: chooses the perturbations.
    """
    rows = np.arange(problem.n) if rows is None else rows
    value, bar = np.full((len(rows), problem.m), np.nan), np.full((len(rows), problem.m), np.inf)
    refused = _refused(problem)
    if not refused and (1 + PERTURBED) * problem.n > ALONG_ONE:
        refused = f"the function {TOO_MANY}"
    if refused:
        return ComplexStep(value, bar, np.zeros(value.shape, bool), ((refused,),) * len(rows))
    scale = Coordinates(problem).scale
    causes: list[tuple[str, ...]] = []
    made = 0
    for row, j in enumerate(rows.tolist()):
        if made > BUDGET:
            causes.append((f"the function {TOO_MANY}",))
            continue
        found = _along(problem, j, STEP * scale[j], np.random.default_rng((seed, 8, j)))
        value[row], bar[row], made = found.value, found.bar, made + found.made
        causes.append(found.causes)
    return ComplexStep(value, bar, np.isfinite(bar), tuple(causes))


def held(witness: Witness, found: ComplexStep, value: RealArray, bar: RealArray) -> Mask:
    """Tell which complex steps count as a second opinion.

    Those that finite differences hold, of functions whose values are not noisier than their rounding. An exact zero
    is no evidence: it is also what remains where the imaginary part was lost.

    Args:
        witness: finite differences along coordinates.
        found: complex steps along some of them.
        value, bar: what finite differences measured there, in user units; they must be of entries with
            a two-sided slope, or saturated ones.
    """
    with np.errstate(invalid="ignore"):
        inside = np.abs(found.value - value) <= bar
    return np.asarray(found.valid & inside & (found.value != 0) & np.isfinite(bar) & quiet(witness))


def quiet(witness: Witness) -> NDArray[np.bool_]:
    """Tell which outputs' values carry no noise beyond `NOISY` times their rounding, shape (m,)."""
    scale = witness.value_scale()
    floor = rounding_floor(witness.grid, scale, scale, scale, np.zeros_like(scale))
    return np.asarray((witness.noise() <= NOISY * floor) & witness.sampler.repeatable)


def applies(witness: Witness) -> bool:
    """Tell whether a witness's problem can be asked at all."""
    plain = isinstance(witness.directions, Coordinates) and witness.project is None and not witness.problem.relative
    return plain and not _refused(witness.problem)


def _refused(problem: Problem) -> str:
    if problem.backend.name != "numpy":
        return f"the function is written for {problem.backend.name}, and the complex step needs NumPy"
    if problem.precision < 53:
        return "the complex step needs inputs and outputs in float64"
    if any(block.is_complex for block in (*problem.inputs.blocks, *problem.outputs.blocks)):
        return "the complex step needs real inputs and outputs"
    return ""


@dataclass(frozen=True)
class _Direction:
    """One direction's result, shape (m,), and how many numbers it took."""

    value: RealArray
    bar: RealArray
    causes: tuple[str, ...]
    made: int


def _along(problem: Problem, j: int, h: float, rng: np.random.Generator) -> _Direction:
    nan, inf = np.full(problem.m, np.nan), np.full(problem.m, np.inf)
    trace = Trace()
    first = _run(problem, j, h, trace)
    made = (1 + PERTURBED) * trace.count
    if made > ALONG_ONE:
        trace.causes[f"the function {TOO_MANY}"] = None
    if first is None or trace.causes:
        return _Direction(nan if first is None else first[1] / h, inf, tuple(trace.causes), trace.count)
    re, im = first
    steps = h * (1 + rng.random(PERTURBED))
    others = [_run(problem, j, step, Trace(rng)) for step in steps]
    if any(other is None for other in others):
        return _Direction(im / h, inf, ("rounding decides whether the function raises",), made)
    pairs = [(other, step) for other, step in zip(others, steps, strict=True) if other is not None]
    with np.errstate(all="ignore"):
        value = im / h
        bar = LEAST * np.abs(value) + SPREAD * np.max([np.abs(o[1] / step - value) for o, step in pairs], axis=0)
        slack = 64 * 2.0**-53 * np.abs(re) + SPREAD * np.max([np.abs(o[0] - re) for o, _ in pairs], axis=0)
        same = np.abs(re - problem.y) <= slack
    bar = np.where(same & np.isfinite(value) & np.isfinite(bar), bar, np.inf)
    why = () if np.all(same) else ("the function's value is another on traced numbers than on floats",)
    return _Direction(value, bar, why, made)


def _run(problem: Problem, j: int, h: float, trace: Trace) -> tuple[RealArray, RealArray] | None:
    """Evaluate at `x + i h e_j`; returns real and imaginary parts, None where the function raised."""
    step = np.zeros(problem.n)
    step[j] = h
    problem.evaluations += 1
    problem.pin()
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            re, im = _outputs(problem, _inputs(problem, step, trace), trace)
    except TooLarge:
        return None
    except Exception as error:
        frames = reversed(traceback.extract_tb(error.__traceback__))
        where = place((frame.name, frame.filename, frame.lineno or 0) for frame in frames)
        what = f"{type(error).__name__} on complex numbers ({first_line(error)})"
        trace.causes[f"the function raises {what}: {where}"] = None
        return None
    return re, im


def _inputs(problem: Problem, step: RealArray, trace: Trace) -> list[Any]:
    xs = zip(problem.inputs.unpack(problem.x), problem.inputs.unpack(step), problem.call.varying, strict=True)
    return [_stand_in(trace, re, im, leaf.value) for re, im, leaf in xs]


def _stand_in(trace: Trace, re: NDArray[Any], im: NDArray[Any], like: Any) -> Any:
    if re.ndim or not isinstance(like, np.ndarray):
        return wrapped(trace, re, im)
    return wrapped(trace, re[None], im[None]).reshape(())


def _outputs(problem: Problem, xs: Sequence[Any], trace: Trace) -> tuple[RealArray, RealArray]:
    caught: list[Any] = []

    def run(inputs: Sequence[Any]) -> list[Any]:
        caught.append(problem.call(inputs, problem.constants))
        return []

    problem.backend.value(run, xs)
    leaves, structure = flatten(caught[0])
    split = [_split(leaf) for leaf in leaves]
    if not trace.causes and not any(im is not None for _, im in split):
        trace.causes["the function returns plain numbers, which carry no imaginary part"] = None
    real = structure.unflatten([re for re, _ in split])
    imaginary = structure.unflatten([_zeros(re) if im is None else im for re, im in split])
    return _packed(problem, real), _packed(problem, imaginary)


def _split(leaf: Any) -> tuple[Any, Any]:
    if isinstance(leaf, Number) or (isinstance(leaf, np.ndarray) and leaf.dtype == object):
        return parts(leaf)
    return leaf, None


def _zeros(leaf: Any) -> Any:
    if isinstance(leaf, list):
        return [_zeros(item) for item in leaf]
    return np.zeros_like(leaf) if isinstance(leaf, (np.ndarray, np.generic)) else type(leaf)(0)


def _packed(problem: Problem, tree: Any) -> RealArray:
    leaves, structure = flatten(tree)
    if not structure.same_as(problem.output.structure):
        raise OutputChanged(f"it returned {structure}")
    return problem.from_native([leaves[i] for i in problem.output.varying])
