"""Is a kernel of low precision right, and how many ulps is it off? With the evidence that a float64 twin gives.

The finite differences are made of the twin, the claim is the kernel's own. What rounding does to the claim is taken
from evidence: from what the framework's own rule for the twin loses in the kernel's dtype, and, before anything is
called wrong, from how the claim's error scatters at points a few ulps away.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from xcheck.claim import Claim
from xcheck.comparison import Comparison, Entry, Source
from xcheck.derivatives import first_claim
from xcheck.judgement import AGREE, BELOW_INNER, DISAGREE, SUBNORMAL, Judgement, Rounding, judge
from xcheck.problem import Problem
from xcheck.protocol import RealArray
from xcheck.reference.extrapolate import two_levels
from xcheck.reference.windows import Mask
from xcheck.reference.witness import Witness
from xcheck.twins import Twins
from xcheck.ulps import figure, measure_ulps, sharpest
from xcheck.verdict import Verdict

ROUNDINGS = 4.0
"""Units of roundoff that every value and every entry is allowed: the last operation's and a few before it."""

OWN = 2.0
"""A right kernel may lose this many times what the framework's own rule loses, beside its `ROUNDINGS`."""

SPREAD = 2.0
"""A kernel is off by rounding if it is off by at most this many times the range of its error over the neighbours."""

CONDITION = 8.0
"""Allowed error of a value, in changes of the function when every input moves by one unit of roundoff."""

NAMED = 10
"""How many values that differ are named."""

POOLED = 4
"""At least this many entries have to show a common factor before it is called one."""

COARSE = 11
"""Significand bits up to which a common factor is looked for: finer dtypes show a real mistake in single entries."""

SOLID = 12.0
"""Entries that are allowed at most this many units of roundoff take part in the search for a common factor."""

FACTOR = 4.0
"""A common factor is a mistake if it is off by more units of roundoff: constants are rounded once or twice."""

TINY = 4.0
"""Slopes of at most this many units of roundoff of the output array, per scale of the input, may drown in rounding."""

FEWEST = 4
"""At so many points at least a common factor has to show."""

Derive = Callable[[Problem], RealArray]
"""Computes the claim at another point, shape (n, m), inputs first."""


def compare_values(twins: Twins) -> Comparison | None:
    """Tell that kernel and twin are not the same function; None if rounding explains how far apart they are.

    Costs nothing where the values are close, five evaluations of the twin and six of the kernel otherwise.
    """
    y, exact = twins.kernel.y, twins.reference.y
    gap = _gap(y, exact)
    allowed = ROUNDINGS * twins.unit * np.abs(exact) + 4 * SUBNORMAL[twins.kernel.precision]
    for explain in (_condition, _own_error, _scatter_of_values):
        if np.all(gap <= allowed):
            return None
        allowed = allowed + explain(twins)
    apart = ~(gap <= allowed) & (gap > 0)
    if not np.any(apart):
        return None
    excess = np.where(apart, gap / allowed, -1.0)
    order = np.argsort(-np.nan_to_num(excess, nan=np.inf), kind="stable")[: min(NAMED, int(np.count_nonzero(apart)))]
    name = twins.kernel.outputs.entry
    entries = [
        Entry(name(i), float(y[i]), float(exact[i]), float(allowed[i]), Verdict.INCONCLUSIVE) for i in order.tolist()
    ]
    return Comparison(
        Source(twins.kernel.call.title),
        Source("reference="),
        "value",
        Verdict.INCONCLUSIVE,
        _not_the_same(twins, int(order[0]), float(allowed[order[0]])),
        tuple(entries),
        0,
        int(np.count_nonzero(apart)),
        int(y.size),
        float("inf"),
        float("inf"),
    )


def _not_the_same(twins: Twins, i: int, allowed: float) -> str:
    title, y, exact = twins.kernel.call.title, twins.kernel.y[i], twins.reference.y[i]
    text = (
        f"{title} and reference= are not the same function: {twins.kernel.outputs.entry(i)} is {y:.9g} by {title} and "
        f"{exact:.9g} by reference="
    )
    if not (np.isfinite(y) and np.isfinite(exact)):
        return f"{text}, unless {twins.dtype} overflows inside {title}"
    if abs(y - exact) <= ROUNDINGS * twins.unit:
        return f"{text}, unless {twins.dtype} rounds a value of size one inside {title}"
    return f"{text}; rounding in {twins.dtype} explains a difference of {allowed:.2g} at most"


def _condition(twins: Twins) -> RealArray:
    """Measure what one unit of roundoff in every input does to the values."""
    reference = twins.reference
    signs = np.random.default_rng((twins.seed, 8)).choice([-1.0, 1.0], size=(4, reference.n))
    moved = reference.values(reference.x * (1 + twins.unit * signs))
    return np.asarray(CONDITION * np.max(_finite(np.abs(moved - reference.y)), axis=0, initial=0.0))


def _own_error(twins: Twins) -> RealArray:
    if twins.native is None:
        return np.zeros(twins.kernel.m)
    return OWN * _finite(_gap(twins.native.y, twins.reference.y))


def _scatter_of_values(twins: Twins) -> RealArray:
    pairs = [(twins.kernel, twins.reference), *twins.neighbours]
    return SPREAD * _range([here.y - there.y for here, there in pairs])


def judge_kernel(
    twins: Twins, witness: Witness, claimed: RealArray, precision: int, derive: Derive, wanted: Mask | None = None
) -> tuple[Judgement, tuple[str, ...]]:
    """Judge a kernel's derivative by its twin's values, with its rounding known from evidence.

    Args:
        twins: the kernel and its twin.
        witness: measures the twin.
        claimed: the kernel's Jacobian, inputs first, shape (n, m).
        precision: significand bits of its arithmetic.
        derive: computes it at another point.
        wanted: the entries to judge; all if None.

    Returns:
        The judgement, and remarks for the report.
    """
    evidence = rounding_of(twins, witness, claimed, derive)
    found = judge(witness, claimed, precision, wanted, evidence=evidence)
    _excuse_tiny(twins, witness, found)
    if precision > COARSE or np.any(found.verdict == DISAGREE):
        return found, ()
    return found, _reject_common_factor(twins, witness, claimed, derive, evidence, found)


def _excuse_tiny(twins: Twins, witness: Witness, found: Judgement) -> None:
    """Leave open what is smaller than the rounding of a larger value inside the kernel, as in `1 - tanh(x)**2`.

    What is large is told by the values and slopes of the same output array, so that no scale of the function matters.
    """
    scale = witness.directions.scale[:, None]
    with np.errstate(invalid="ignore"):
        slopes = np.max(_finite(np.abs(found.value)) * scale, axis=0, initial=0.0)
    size = twins.reference.outputs.largest(np.maximum(slopes, np.abs(_finite(twins.reference.y))))
    tiny = (found.verdict == DISAGREE) & (np.abs(found.value) <= TINY * twins.unit * size / scale)
    found.give_reason(tiny, np.arange(len(tiny)), BELOW_INNER)


def _reject_common_factor(
    twins: Twins, witness: Witness, claimed: RealArray, derive: Derive, evidence: Rounding, found: Judgement
) -> tuple[str, ...]:
    """Call wrong what is off by one factor everywhere, though by no more than rounding could be in any single entry.

    Rounding makes no common factor: its errors differ from entry to entry and from point to point. Where they do not,
    a rounded value of the function that stays the same may be the reason, so what it may hand on, averaged over the
    points as well, is subtracted. Entries near cancellation are not asked.
    """
    unit = twins.unit
    value, bar = (x * witness.units for x in two_levels(witness))
    solid = (found.verdict == AGREE) & (claimed != 0) & (bar <= 0.1 * unit * np.abs(value))
    solid &= evidence.allowed - _of_value(twins, witness) <= SOLID * unit * np.abs(value)
    if np.count_nonzero(solid) < POOLED:
        return ()
    factor = _typical(claimed / value - 1, solid)
    if not abs(factor) > FACTOR * unit:
        return ()
    shares, shifts = [], []
    for here, there in [(twins.kernel, twins.reference), *twins.neighbours]:
        claim, exact = (claimed, value) if here is twins.kernel else (derive(here), _exact(there))
        if exact is None:
            continue
        shares.append(np.sign(factor) * (claim / exact - 1))
        shifts.append(2 * _finite(here.y - there.y) / (witness.directions.scale[:, None] * np.abs(exact)))
        if not _typical(shares[-1], solid) > FACTOR / 2 * unit:
            return ()
    clearly = np.mean(shares, axis=0) - np.abs(np.mean(shifts, axis=0))
    if len(shares) < FEWEST or not _typical(clearly, solid) > FACTOR * unit:
        return ()
    wrong = solid & (np.abs(claimed / value - 1) > unit)
    found.verdict[wrong], found.reason[wrong], found.retested[wrong] = DISAGREE, 0, True
    count = np.count_nonzero(solid)
    note = f"the claim is {1 + factor:.3g} times the reference in the median of {count} entries"
    return (f"{note}, and so it is at {len(shares) - 1} points nearby: rounding has no common factor",)


def _exact(twin: Problem) -> RealArray | None:
    claim = first_claim(twin)
    return None if claim is None else claim.value.T


def _typical(shares: RealArray, solid: Mask) -> float:
    """Return by what share of itself a typical entry is off."""
    return float(np.median(_finite(shares[solid])))


def _of_value(twins: Twins, witness: Witness) -> RealArray:
    """Return what the error of the kernel's value may do to a derivative that is made of it, shape (n, m)."""
    return 2 * _finite(_gap(twins.kernel.y, twins.reference.y)) / witness.directions.scale[:, None]


def rounding_of(twins: Twins, witness: Witness, claimed: RealArray, derive: Derive) -> Rounding:
    """Collect what is known of the rounding in a kernel's derivative.

    Every entry is allowed four units of roundoff, twice the error of the value that the kernel computed (a derivative
    may be made of it, as in `y * (1 - y)`), and twice what the framework's own rule for the twin loses anywhere in the
    same row; where it has none, eight units of the row's largest slope. Costs one Jacobian of the twin in the kernel's
    dtype, and seven of both where the claim seems wrong.

    Args:
        twins: the kernel and its twin.
        witness: measures the twin.
        claimed: the kernel's Jacobian, inputs first, shape (n, m).
        derive: computes it at another point.
    """
    scale = witness.directions.scale[:, None]
    value, bar = (x * witness.units for x in two_levels(witness))
    own = twins.own_claim
    loss = 4 * twins.unit * np.abs(value) if own is None else np.abs(own.value.T - value) - bar
    loss = np.where(np.isfinite(bar), np.maximum(_finite(loss), 0.0), 0.0)
    in_row = np.max(loss * scale, axis=0, initial=0.0) / scale
    of_value = _of_value(twins, witness)
    of_entry = ROUNDINGS * twins.unit * _finite(np.abs(claimed)) + 4 * SUBNORMAL[twins.kernel.precision]
    return Rounding(of_entry + of_value + OWN * in_row, lambda: _scatter(twins, claimed, derive))


def _scatter(twins: Twins, claimed: RealArray, derive: Derive) -> RealArray:
    """Measure how far rounding moves the kernel's derivative: the range of its relative error over the neighbours.

    A mistake is the same at all of them, and rounding is not. Where the twin has no automatic derivative, the change
    of the claim itself has to do.
    """
    claims = [claimed, *(derive(here) for here, _ in twins.neighbours)]
    found = [_exact(problem) for problem in (twins.reference, *(there for _, there in twins.neighbours))]
    exact = [e for e in found if e is not None]
    if len(exact) < len(claims):
        return SPREAD * _range(claims)
    errors = [c - e for c, e in zip(claims, exact, strict=True)]
    shares = [d / np.abs(e) for d, e in zip(errors, exact, strict=True)]
    spread = np.where(np.all(np.array(exact) != 0, axis=0), _range(shares) * np.abs(exact[0]), _range(errors))
    size = _finite(np.abs(claimed))
    typical = float(np.median(spread[size > 0] / size[size > 0])) if np.any(size > 0) else 0.0
    return SPREAD * np.maximum(spread, typical * size)


def with_ulps(
    comparison: Comparison,
    claim: Claim,
    claimed: RealArray,
    witness: Witness,
    judgement: Judgement,
    twins: Twins | None,
) -> Comparison:
    """Add the error in ulps to the comparison of a claim of lower precision than float64; evaluates nothing new."""
    if claim.precision >= 53:
        return comparison
    reference = sharpest(witness, judgement)
    ulps = measure_ulps(claimed, claim.precision, reference)
    if ulps is None:
        return comparison
    note = f"error of {claim.source}: {ulps}"
    own = None if twins is None else twins.own_claim
    theirs = None if own is None else measure_ulps(own.value.T, claim.precision, reference)
    if twins is not None and theirs is None:
        note += f"; the reference's own rule gives nothing to compare with in {twins.dtype}"
    elif twins is not None and theirs is not None and theirs.resolved and ulps.resolved:
        note += f"; of the reference's own rule in {twins.dtype}: {figure(theirs.worst)} and {figure(theirs.median)}"
    return replace(comparison, ulps=ulps, notes=(*comparison.notes, note))


RESOLVES = {24: "0.01 %", 11: "2 %", 8: "10 %"}
"""What differences of values resolve of a slope at best, by significand bits of the values."""


def note_reference(problem: Problem, reference: Problem, twins: Twins | None) -> tuple[str, ...]:
    """Say what the finite differences were made of, where that is not the function in float64."""
    if twins is not None:
        return ("the finite differences are those of reference= in float64",)
    if problem.precision == 53:
        return ()
    if reference is not problem:
        return ("the reference was evaluated in float64",)
    how = f"whose values resolve {RESOLVES[problem.precision]} of a slope at best"
    more = "an implementation for float64 as reference= would resolve more"
    return (f"the reference was in the function's own precision, {how}; {more}",)


def _gap(a: RealArray, b: RealArray) -> RealArray:
    """Return |a - b|: 0 where both are the same infinity or NaN, inf where only one of them is finite."""
    gap = np.abs(a - b)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    return np.where(same, 0.0, np.where(np.isnan(gap), np.inf, gap))


def _finite(values: RealArray) -> RealArray:
    return np.where(np.isfinite(values), values, 0.0)


def _range(values: Sequence[RealArray]) -> RealArray:
    stacked = np.array(values)
    return _finite(np.max(stacked, axis=0) - np.min(stacked, axis=0))
