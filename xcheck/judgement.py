"""A claim against the witness, entry by entry.

The order is cheap acceptance, expensive rejection: the screen, the ladder, and for what still disagrees a second
measurement at fresh points. All arrays are (directions, outputs); each stage looks only
at the directions in which something is still open.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from xcheck.protocol import RealArray
from xcheck.reference.coarse import coarse_slopes
from xcheck.reference.complex_step import applies, complex_step, held
from xcheck.reference.confirm import NO_DERIVATIVE, STEPPED, VETOES, adds_up, confirm
from xcheck.reference.estimate import Estimate
from xcheck.reference.grid import Coordinates, Rows, mirrored
from xcheck.reference.polish import polish
from xcheck.reference.screen import Screening, screen
from xcheck.reference.stairs import DOUBTED, find_stairs, suspicious_lines
from xcheck.reference.status import REASONS, Status
from xcheck.reference.tolerance import find_tolerance
from xcheck.reference.wider import wider_scales
from xcheck.reference.windows import Mask
from xcheck.reference.witness import Witness

AGREE, DISAGREE, INCONCLUSIVE, SKIPPED = 0, 1, 2, 3
"""Codes of `Judgement.verdict`; SKIPPED entries were not asked for."""

RETESTED = 16
"""Directions that are measured a second time, the worst ones."""

CLOSELY = 2**15
"""At most this many plainly wrong entries are looked at closely; they stand for the others."""

WIDENED = 8
"""At most this many directions are looked at with larger steps."""

NARROW = 1024.0
"""Where steps may not be that much larger than the input anyway."""

POLISHED = 256
"""Directions that may be given 24 evaluations more each where their bars are too wide."""

ADDED = 32
"""At most this many outputs are tested for slopes that do not add up; they stand for the others."""

POOR = (
    "the function's values cannot settle it: the error bar is too wide next to the entry and its output's other slopes "
    "(a witness= in higher precision could)"
)
INSIDE_KINK = "a kink at the point; the claim lies between the slopes to its two sides, a valid generalised derivative"
NAN_AT_KINK = "a kink at the point: no derivative exists there, and the claim is not finite"
NAN_AT_EDGE = "the edge of the function's domain: no derivative exists there, and the claim is not finite"
NAN_BESIDE = (
    "the claim is not finite; the same output along other inputs, or other outputs along the same input, have a kink, "
    "a jump or no finite value, and zero times infinity is NaN"
)
ONE_TRIANGLE = (
    "the input is a symmetric matrix of which the function reads one triangle; the claim is right for symmetric "
    "changes of it, which is a convention and not the derivative by single entries"
)
ONE_OF_MANY = "rounding in the products with probes is larger than what a single entry contributes to them"
OWN_ROUNDING = "the same rule is right in float64; in its own precision, rounding moves it by as much as it is worth"
SCATTERED = "at points nearby the claim's error scatters by as much as it is off: rounding in its own arithmetic"
BELOW_INNER = (
    "the slope is smaller than the rounding of values as large as the output's, inside a kernel of this precision"
)
ILL_CONDITIONED = "rounding inside the function moves its derivative by more than the claim is off"
CONTRADICTED = "finite differences exclude the claim, but the complex step, valid for this function, gives just that"
TOLERANCE = (
    "the function's values jump by little nearby, as those of a solver that stops at a tolerance do: the derivative of "
    "what is computed may differ from that of what is meant by as much as the error bar (tighten the tolerance, or "
    "give witness=)"
)
SENTENCES = (
    "",
    POOR,
    INSIDE_KINK,
    NAN_AT_KINK,
    NAN_AT_EDGE,
    NAN_BESIDE,
    ONE_TRIANGLE,
    NO_DERIVATIVE,
    OWN_ROUNDING,
    SCATTERED,
    BELOW_INNER,
    ONE_OF_MANY,
    CONTRADICTED,
    ILL_CONDITIONED,
    TOLERANCE,
    *VETOES[1:],
    *REASONS.values(),
)


IMPRECISE = (POOR, REASONS[Status.SATURATED], *VETOES[1:])
"""Reasons for which a second opinion helps: the values show a slope, or may hide one, and are not precise enough."""

ASKED, ASKED_WRONG = 32, 2
"""Directions in which the complex step is asked about open entries, and at first about wrong ones."""

HALF = 2.0**-26
"""A claim agrees with a complex step to half of its digits at least, or it stays open."""

NEGLIGIBLE = 8.0
"""A claim of at most this many ulps of the largest beside it is as good as zero where the function is flat."""

SINGLE_SHARE = 0.25
"""A product with a probe is sharp if an error of this share of a typical entry would have been seen in it."""

LAST_DIGITS = 2.0
"""A claim that is right to so many of its own units agrees, whatever rounding it would have been allowed."""

LOOSE = 4.0
"""A claim that is off by more of its own units than this agrees only if the same rule does in float64."""

GROSS = 2.0**12
"""A claim that is off by more units than this, of its output's value or largest slope, is not off by rounding."""

MOVED = 64.0
"""Nor one that is off by less than this many times what rounding moves the value."""

PAIRED = 4.0
"""Pairs of entries may be off by so many square roots of the claim's roundoff: close eigenvalues amplify rounding."""

SCATTERS = 2.0**-30
"""A claim that is off by at most this share of the output's largest slope may be off by rounding in its arithmetic."""

BY_LITTLE = 2.0**-6
"""Solvers that stop at a tolerance are no excuse for a claim that is off by more of itself or its output's slopes."""

ROUGH = (Status.KINK, Status.JUMP, Status.EDGE, Status.NONFINITE, Status.UNRESOLVED)
"""What an output without a derivative looks like along an input."""


MISSING = (INSIDE_KINK, NAN_AT_KINK, NAN_AT_EDGE, NAN_BESIDE, NO_DERIVATIVE, *(REASONS[s] for s in ROUGH))
"""The sentences that say that the function has no derivative at the point."""

SUBNORMAL = {53: 2.0**-1074, 24: 2.0**-149, 11: 2.0**-24, 8: 2.0**-133}
"""The smallest positive number, by significand bits of the dtype."""


Sides = dict[tuple[int, int], tuple[float, float]]
"""Numbers for the left and for the right of single entries (direction, output)."""

Places = tuple[Rows, Rows]
"""Directions and outputs of entries."""


@dataclass
class Judgement:
    """Verdicts with the numbers they rest on, in user units.

    Attributes:
        verdict: AGREE, DISAGREE, INCONCLUSIVE or SKIPPED for every entry.
        reason: an index into `SENTENCES`, 0 for none.
        value, bar: the reference and its error bar; NaN and inf where there is none.
        rounding: the rounding error that the claim itself is allowed.
        retested: which entries were measured twice.
        second_opinion: which entries the complex step decided, inside the bars of finite differences.
        slopes: the slopes to the left and to the right, where the point is a kink or an edge.
        slope_bars: their error bars.
    """

    verdict: NDArray[np.int8]
    reason: NDArray[np.int8]
    value: RealArray
    bar: RealArray
    rounding: RealArray
    retested: Mask
    second_opinion: Mask
    slopes: Sides = field(default_factory=dict)
    slope_bars: Sides = field(default_factory=dict)

    @property
    def tolerance(self) -> RealArray:
        """The largest difference between claim and reference that is allowed."""
        return self.bar + self.rounding

    @property
    def resolution(self) -> RealArray:
        """An error at least this large could not have been called agree."""
        return 2 * self.bar + self.rounding

    def without_derivative(self) -> Mask:
        """Tell which entries are inconclusive because the point has no derivative, and not for want of precision."""
        poor = (self.reason == SENTENCES.index(POOR)) | (self.reason == 0)
        return np.asarray((self.verdict == INCONCLUSIVE) & ~poor)

    def missing(self) -> Mask:
        """Tell which entries are inconclusive because the function has no derivative there."""
        open_ = self.verdict == INCONCLUSIVE
        if open_.any():
            open_ &= np.isin(self.reason, [SENTENCES.index(sentence) for sentence in MISSING])
        return np.asarray(open_)

    def symmetric(self) -> Mask:
        """Tell which entries are right for symmetric changes of a matrix of which one triangle is read."""
        return np.asarray((self.verdict == INCONCLUSIVE) & (self.reason == SENTENCES.index(ONE_TRIANGLE)))

    def suspected(self) -> Mask:
        """Tell which entries disagree, or would if a second reading had not allowed them."""
        vetoed = (self.verdict == INCONCLUSIVE) & np.isin(self.reason, [SENTENCES.index(v) for v in VETOES[1:]])
        return np.asarray((self.verdict == DISAGREE) | (vetoed & np.isfinite(self.bar)))

    def undecided(self) -> Mask:
        """Tell which entries a function with more digits might still decide."""
        blunt = [POOR, REASONS[Status.SATURATED], REASONS[Status.UNRESOLVED], *VETOES[1:]]
        codes = [SENTENCES.index(sentence) for sentence in blunt]
        return np.asarray((self.verdict == INCONCLUSIVE) & np.isin(self.reason, codes))

    def take(self, where: Places, other: Judgement, there: Places) -> None:
        """Take entries `there` of another judgement over into the entries `where` of this one."""
        for name in ("verdict", "reason", "value", "bar", "rounding", "retested", "second_opinion"):
            getattr(self, name)[where] = getattr(other, name)[there]
        for mine, others in ((self.slopes, other.slopes), (self.slope_bars, other.slope_bars)):
            for here, place in zip(_pairs(where), _pairs(there), strict=True) if mine or others else ():
                mine.pop(here, None)
                if place in others:
                    mine[here] = others[place]

    def take_over(self, other: Judgement, wanted: Mask) -> None:
        """Take the wanted entries (d, m) of another judgement, one for every d, into this one's single row."""
        row, output = np.nonzero(wanted)
        self.take((np.zeros_like(row), output), other, (row, output))

    def overrule(self, rows: Rows, better: Judgement) -> int:
        """Take over what another reference decided for the directions `rows`, and saw as sharply; returns how many."""
        agreed = (better.verdict == AGREE) & (better.bar <= self.bar[rows])
        row, output = np.nonzero(agreed | (better.verdict == DISAGREE))
        self.take((rows[row], output), better, (row, output))
        return len(row)

    def rescale(self, units: RealArray) -> None:
        """Multiply every number by its unit, shape (d, m)."""
        for array in (self.value, self.bar, self.rounding):
            array *= units
        self.slopes, self.slope_bars = _scaled(self.slopes, units), _scaled(self.slope_bars, units)

    def give_reason(self, where: Mask, rows: Rows, reason: str) -> None:
        """Call the entries `where` of `rows` inconclusive."""
        row, output = np.nonzero(where)
        self.verdict[rows[row], output] = INCONCLUSIVE
        self.reason[rows[row], output] = SENTENCES.index(reason)


@dataclass(frozen=True)
class Rounding:
    """What rounding does to a claim of low precision, from evidence instead of from magnitudes.

    Attributes:
        allowed: the rounding that every entry is allowed, shape (d, m), user units.
        scatter: measures how far rounding moves the claim, shape (d, m), user units; called only where something seems
            wrong.
    """

    allowed: RealArray
    scatter: Callable[[], RealArray]


@dataclass
class _Case:
    """What is judged, normalised; `smooth` marks the entries in which finite differences saw no noise and no kink."""

    witness: Witness
    claimed: RealArray
    unit: float
    informative: float
    result: Judgement
    smooth: Mask
    precision: int

    def sharp(self, rows: Rows | slice, bar: RealArray, rounding: RealArray, c: RealArray) -> Mask:
        """Tell where a bar is narrow enough that agreement means something.

        The bar is held to the stricter size; the claim's own rounding, which nothing can narrow, to the output's.
        """
        scale = self.witness.directions.scale[rows]
        resolved = self.resolved(rows, bar, rounding)
        least = np.minimum(self.witness.row_scale, self.witness.slope_scale * np.min(scale, initial=np.inf))
        sharp = 2 * bar + rounding <= self.informative * least
        row, output = np.nonzero(~sharp)  # few, as a rule: the sizes of entries matter for these alone
        bar, rounding, c = bar[row, output], rounding[row, output], np.abs(c[row, output])
        size = np.fmax(c, self.witness.row_scale[output])
        strict = np.fmin(size, np.fmax(c, self.witness.slope_scale[output] * scale[row]))
        sharp[row, output] = (2 * bar <= self.informative * strict) & (2 * bar + rounding <= self.informative * size)
        return np.asarray(sharp & resolved)

    def resolved(self, rows: Rows | slice, bar: RealArray, rounding: RealArray) -> Mask | bool:
        """Tell where a bar is narrow enough for what a single entry contributes to a product."""
        return True if self.witness.ceiling is None else 2 * bar + rounding <= self.witness.ceiling[rows]


def judge(
    witness: Witness,
    claimed: RealArray,
    precision: int,
    wanted: Mask | None = None,
    shift: RealArray | None = None,
    exact: Callable[[], RealArray] | None = None,
    allowance: RealArray | None = None,
    share: RealArray | None = None,
    evidence: Rounding | None = None,
    wider: bool = True,
    scatter: Callable[[], RealArray] | None = None,
) -> Judgement:
    """Judge a claim entry by entry.

    Args:
        witness: the reference.
        claimed: shape (d, m), user units, directions first.
        precision: significand bits of the claim's arithmetic.
        wanted: the entries to judge; all if None.
        shift: how far the function's value as the claim's arithmetic computed it is from the reference's, shape (m,).
        exact: computes the same claim in the reference's precision, shape (d, m), user units; called only where a claim
            of lower precision seems wrong by little.
        allowance: the rounding that a claim of lower precision is allowed, shape (m,), user units; estimated if None.
        share: what a typical entry contributes to every product, shape (d, m), user units, if the claims are products:
            an error of `SINGLE_SHARE` of it has to be seen.
        evidence: what is known about the claim's rounding; stands for every estimate of it.
        wider: whether to look again at larger steps where the scale of an input says nothing.
        scatter: measures how far the claim moves from float to float, shape (d, m), user units; called only where it
            is off by very little of its output's largest slope.
    """
    with np.errstate(all="ignore"):
        units = witness.units
        if share is not None:
            witness.ceiling = np.where(share > 0, SINGLE_SHARE * share / units, np.inf)
        scaled = np.where(claimed == 0, 0.0, claimed / units)  # units may underflow
        case, found = _screened(witness, scaled, precision, shift, allowance, evidence)
        open_ = case.result.verdict != AGREE
        passed = ~open_ if wanted is None else ~open_ & wanted
        doubtful = suspicious_lines(witness, passed, case.result.value, case.result.bar)
        if wanted is not None:
            open_ &= wanted
            case.result.verdict[~wanted], case.result.reason[~wanted] = SKIPPED, 0
        rows = np.flatnonzero(np.any(open_, axis=1))
        if len(rows):
            _investigate(case, rows, open_[rows], found.at(rows))
            _forgive_one_triangle(case)
        _reread_steps(case, doubtful, precision, shift)
        if exact is not None and precision < witness.grid.precision:
            if _could_be_rounding(case, shift):
                _forgive_own_rounding(case, exact() / units)
            _doubt_loose(case, exact, units)
        if scatter is not None and precision >= witness.grid.precision:
            _forgive_tiny_scatter(case, scatter, units)
        if evidence is not None and np.any(case.result.suspected()):
            _forgive_scatter(case, evidence.scatter() / units)
        if witness.problem.inner is not None:
            _settle_missing(case)
        if len(rows) and applies(witness):
            _ask_complex_step(case)
        _forgive_tolerance(case)
        result = case.result
        result.rescale(units)
        beyond = result.verdict == DISAGREE
        if beyond.any():  # slopes that under- or overflow, as the claim does
            beyond &= (result.value == claimed) & ~(np.isfinite(claimed) & (claimed != 0))
            result.verdict[beyond] = AGREE
        if wider and evidence is None:
            _look_wider(witness, result, claimed, precision, shift)
        return result


def _reread_steps(case: _Case, doubtful: Mask, precision: int, shift: RealArray | None) -> None:
    """Judge entries anew whose values move in steps, with the steps taken for noise.

    Args:
        case: what was judged.
        doubtful: entries that agree, and look exactly linear near the point and not farther off.
        precision, shift: as for `judge`.
    """
    witness, result = case.witness, case.result
    stepped = result.verdict == INCONCLUSIVE
    if stepped.any():
        stepped &= result.reason == SENTENCES.index(VETOES[STEPPED])
    if not (stepped.any() or doubtful.any()):
        return
    heights = find_stairs(witness, stepped, result.value).height
    heights = np.maximum(heights, find_stairs(witness, doubtful, result.value, DOUBTED).height)
    for row in np.flatnonzero(np.any(heights > 0, axis=1)):
        rows, wanted = np.array([row]), heights[row : row + 1] > 0
        other = witness.with_steps(rows, heights[row])
        units = witness.units[rows]
        found = judge(other, case.claimed[rows] * units, precision, wanted, shift, wider=False)
        found.rescale(1 / units)
        one, output = np.nonzero(wanted)
        result.take((rows[one], output), found, (one, output))
        poor = wanted & (found.verdict == INCONCLUSIVE)
        result.give_reason(poor, rows, VETOES[STEPPED])


def _look_wider(
    witness: Witness, result: Judgement, claimed: RealArray, precision: int, shift: RealArray | None
) -> None:
    """Measure what stays open at larger steps, where the function moves at another scale than its input's."""
    open_ = result.verdict == INCONCLUSIVE
    if not open_.any():
        return
    open_ &= np.isin(result.reason, [SENTENCES.index(reason) for reason in (POOR, REASONS[Status.SATURATED])])
    if not np.any(open_) or not isinstance(witness.directions, Coordinates) or witness.project is not None:
        return
    rows = np.flatnonzero(np.any(open_, axis=1))
    rows = rows[witness.directions.reach[rows] <= NARROW][:WIDENED]
    if not len(rows):
        return
    factors = wider_scales(witness, rows, open_[rows])
    rows, factors = rows[factors > 1], factors[factors > 1]
    if len(rows):
        directions = Coordinates(witness.problem, witness.directions.index[rows], factors)
        other = Witness(witness.problem, directions, witness.grid.seed, entries=witness.entries)
        result.overrule(rows, judge(other, claimed[rows], precision, open_[rows], shift, wider=False))


def _pairs(places: Places) -> list[tuple[int, int]]:
    return list(zip(places[0].tolist(), places[1].tolist(), strict=True))


def _scaled(sides: Sides, units: RealArray) -> Sides:
    return {at: (float(left * units[at]), float(right * units[at])) for at, (left, right) in sides.items()}


def _screened(
    witness: Witness,
    scaled: RealArray,
    precision: int,
    shift: RealArray | None,
    given: RealArray | None,
    evidence: Rounding | None,
) -> tuple[_Case, Screening]:
    """Screen the claim, with the function's noise measured: assumed rounding alone would promise too fine a limit."""
    allowance, unit = np.zeros(witness.sampler.m), 2.0**-precision
    if evidence is not None:
        allowance, unit = evidence.allowed / witness.units, 0.0
    elif precision < witness.grid.precision:
        if given is None:
            allowance = _lower_precision_allowance(witness, scaled, precision, shift)
        else:
            allowance = given / np.min(witness.units, axis=0)
    found = screen(witness, scaled, unit, allowance)
    case, open_ = _opened(witness, scaled, precision, unit, found)
    if np.any(open_) and witness.measure_noise():
        found = screen(witness, scaled, unit, allowance)
        case, open_ = _opened(witness, scaled, precision, unit, found)
    result = case.result
    result.verdict[open_], result.reason[open_] = INCONCLUSIVE, SENTENCES.index(POOR)
    return case, found


def _opened(witness: Witness, scaled: RealArray, precision: int, unit: float, found: Screening) -> tuple[_Case, Mask]:
    """Start a judgement with what the screen found; returns it and the entries that the screen leaves open."""
    informative = max(0.01, 2 * 2.0 ** (-0.3 * min(precision, witness.grid.precision)))
    witness.raise_scale(found.scale, found.slope)
    blank = np.zeros(scaled.shape, np.int8)
    rounding = found.rounding + _own_rounding(witness, unit, slice(None))  # a wrong claim would be allowed this too
    result = Judgement(blank, blank.copy(), found.value, found.bar, rounding, *np.zeros((2, *scaled.shape), bool))
    case = _Case(witness, scaled, unit, informative, result, np.zeros(scaled.shape, bool), precision)
    open_ = ~(found.passed & case.sharp(slice(None), found.bar, found.rounding, scaled))
    return case, open_ | _own_to_hidden_rounding(case, ~open_)


def _own_to_hidden_rounding(case: _Case, agreed: Mask) -> Mask:
    """Do not call a zero exact: 1 - tanh(x)^2 is zero from 19 on, by the rounding of an inner value of size 1.

    Returns:
        The entries in which rounding may hide more than that, shape (d, m).
    """
    witness, result = case.witness, case.result
    zero = agreed & (witness.sampler.center == 0)
    if zero.any():
        zero &= (result.value == 0) & (result.bar == 0)
    if zero.any():
        hidden = witness.z * witness.grid.value_unit * witness.behind() * 2.0**witness.grid.finest
        result.bar = np.where(zero, hidden, result.bar)
        zero &= witness.hides()
    return np.asarray(zero)


def _lower_precision_allowance(
    witness: Witness, scaled: RealArray, precision: int, shift: RealArray | None
) -> RealArray:
    """Allow what rounding in the claim's arithmetic does.

    That is 32 units of the output's largest slope, 2 units of its value (a derivative is computed from values of that
    size, as in `y * (1 - y)`), and 8 times the error of the forward value that was measured beyond the rounding of the
    result itself: cancellation and saturation. Nearly all of PyTorch's own float32 operators need less; for the rest,
    `_forgive_own_rounding` looks at what the same rule gives in float64.
    """
    _, _, fine = witness.grid.group(0)
    samples = witness.sampler.take((fine,), np.arange(witness.directions.count))
    slope = np.abs(samples.above[0] - samples.below[0]) / (samples.plus[0] + samples.minus[0])[:, None]
    largest = np.fmin(_row_max(slope), _row_max(np.abs(scaled)))
    unit = 2.0**-precision
    value = witness.sampler.inner
    smallest = SUBNORMAL.get(precision, SUBNORMAL[53]) / np.min(witness.units, axis=0, initial=np.inf)
    allowance = unit * 32 * largest + 2 * unit * value * (witness.problem.forgiven > 0) + 4 * smallest
    if shift is not None and witness.problem.forgiven > 0:
        off = np.abs(shift) / witness.sampler.size - 2 * unit * value
        allowance = allowance + 8 * np.where(np.isfinite(off), np.maximum(off, 0.0), 0.0)
    reach = np.maximum(1.0, 4 * witness.directions.reach[:, None])  # rounding does not grow as inputs shrink
    return np.asarray(allowance / reach)


def _row_max(values: RealArray) -> RealArray:
    return np.asarray(np.max(np.where(np.isfinite(values), values, 0.0), axis=0, initial=0.0))


def _investigate(case: _Case, rows: Rows, open_: Mask, found: Screening) -> None:
    """Measure what is open; where very many entries are plainly wrong, the worst stand for the others."""
    plain = open_ & found.smooth & (found.excess > 8)
    first = open_ & ~_can_wait(plain, found.excess)
    _measure_open(case, rows, first, found.rounding)
    rest = open_ & ~first
    if not np.any(rest):
        return
    if np.any((case.result.verdict[rows] == DISAGREE) & first):
        row, output = np.nonzero(rest)
        case.result.verdict[rows[row], output] = DISAGREE
        case.result.reason[rows[row], output] = 0
    else:
        _measure_open(case, rows, rest, found.rounding)


def _can_wait(plain: Mask, excess: RealArray) -> Mask:
    """Choose plainly wrong entries that need no close look of their own."""
    later = np.zeros(plain.shape, bool)
    suspects = np.flatnonzero(np.any(plain, axis=1))
    if len(suspects) > 2 * RETESTED:
        worst = np.max(np.where(plain[suspects], excess[suspects], 0.0), axis=1)
        later[suspects[np.argsort(-worst, kind="stable")][RETESTED:]] = True
    now = plain & ~later
    if np.count_nonzero(now) > CLOSELY:
        least = -np.partition(-excess[now], CLOSELY)[CLOSELY]
        later |= now & ~(excess > least)
    return plain & later


def _measure_open(case: _Case, rows: Rows, open_: Mask, rounding: RealArray) -> None:
    """Climb the ladder for the open entries of `rows`, then confirm those that disagree."""
    keep = np.any(open_, axis=1)
    if not np.any(keep):
        return
    rows, open_ = rows[keep], open_[keep]
    rounding = np.nan_to_num(rounding[keep], posinf=0.0) + _own_rounding(case.witness, case.unit, rows)
    result, c = case.result, case.claimed[rows]
    estimate = case.witness.measure(rows, open_)
    _sharpen(case, rows, open_, estimate, rounding)
    row, output = np.nonzero(open_)
    where = (rows[row], output)
    result.value[where], result.bar[where] = estimate.value[row, output], estimate.bar[row, output]
    result.rounding[where] = rounding[row, output]
    quiet = np.isin(estimate.status, (Status.OK, Status.SATURATED)) & ~estimate.noisy
    case.smooth[where] = quiet[row, output]
    _note_slopes(result, rows, estimate, open_)
    measured = open_ & (estimate.status <= Status.FLAT)
    inside = np.isfinite(c) & (np.abs(c - estimate.value) <= estimate.bar + rounding)
    last = np.abs(c - estimate.value) + estimate.bar <= LAST_DIGITS * case.unit * np.abs(c)
    sharp = case.sharp(rows, estimate.bar, rounding, c) | last
    sharp |= (estimate.status == Status.FLAT) & _negligible(case, rows)
    row, output = np.nonzero(measured & inside & sharp)
    result.verdict[rows[row], output], result.reason[rows[row], output] = AGREE, 0
    result.give_reason(measured & inside & ~sharp, rows, POOR)
    blunt = ~np.broadcast_to(case.resolved(rows, estimate.bar, rounding), sharp.shape)
    result.give_reason(measured & inside & blunt, rows, ONE_OF_MANY)
    for status, reason in REASONS.items():
        result.give_reason(open_ & (estimate.status == status), rows, reason)
    within = estimate.holds_between_slopes(c, rounding)
    kink, edge = estimate.status == Status.KINK, estimate.status == Status.EDGE
    result.give_reason(open_ & kink & within, rows, INSIDE_KINK)
    result.give_reason(open_ & kink & ~np.isfinite(c), rows, NAN_AT_KINK)
    result.give_reason(open_ & edge & ~np.isfinite(c), rows, NAN_AT_EDGE)
    suspects = measured & ~inside
    suspects |= open_ & (estimate.status == Status.SATURATED) & ~inside
    suspects |= open_ & kink & ~within & np.isfinite(c)
    rough = open_ & np.isin(estimate.status, ROUGH)
    beside = np.any(rough, axis=0) | np.any(rough, axis=1)[:, None]
    excused = open_ & ~np.isfinite(c) & beside
    beside |= np.any(excused, axis=0) | np.any(excused, axis=1)[:, None]  # a NaN makes others on its way
    result.give_reason(suspects & ~np.isfinite(c) & beside, rows, NAN_BESIDE)
    suspects &= np.isfinite(c) | ~beside
    if np.any(suspects):
        _confirm(case, rows, estimate, rounding, suspects)


def _negligible(case: _Case, rows: Rows) -> Mask:
    """Tell which claims are as good as zero: a few ulps of what else the same input moves in the same output array.

    A rule that adds up to zero leaves such rounding behind: the part of a triangular factor that is always zero. Where
    nothing moves the array, as `q.T @ q` of orthogonal columns, it is a few ulps of the array's largest number.
    """
    c = np.abs(np.nan_to_num(case.claimed[rows], nan=np.inf))
    beside = np.zeros_like(c)
    if case.witness.project is None:
        size, value = case.witness.sampler.size, case.witness.value_scale()  # in the units of the whole array
        for block in case.witness.problem.outputs.blocks:
            part = block.slice
            largest = np.max(np.where(np.isfinite(c[:, part]), c[:, part], 0.0) * size[part], axis=1, initial=0.0)
            number = np.max(value[part] * size[part], initial=0.0)
            beside[:, part] = np.maximum(largest[:, None], number) / size[part]
    return np.asarray(c <= NEGLIGIBLE * case.unit * beside)


def _own_rounding(witness: Witness, unit: float, rows: Rows | slice) -> RealArray:
    """Return the rounding that a claim is allowed once it is measured, beside what the screen allows: shape (r, m)."""
    value = np.fmax(witness.value_scale(), witness.sampler.inner)
    reach = np.maximum(1.0, 4 * witness.directions.reach[rows, None])
    return np.asarray(8 * unit * witness.size_beside(rows) + 4 * witness.problem.forgiven * value / reach)


def _sharpen(case: _Case, rows: Rows, open_: Mask, estimate: Estimate, rounding: RealArray) -> None:
    """Narrow bars that hold the claim and are too wide to mean something, with a finer ladder of large steps."""
    c = case.claimed[rows]
    held = open_ & (estimate.status <= Status.NOISY) & (np.abs(c - estimate.value) <= estimate.bar + rounding)
    blurred = held & ~case.sharp(rows, estimate.bar, rounding, c)
    if np.any(blurred) and np.count_nonzero(np.any(blurred, axis=1)) <= POLISHED:
        polish(case.witness, rows, blurred, estimate)


def _note_slopes(result: Judgement, rows: Rows, estimate: Estimate, open_: Mask) -> None:
    known = np.isfinite(estimate.left_bar) | np.isfinite(estimate.right_bar)
    sided = open_ & known & ((estimate.status == Status.KINK) | (estimate.status == Status.EDGE))
    for row, output in np.argwhere(sided)[:10_000]:
        at, entry = (int(rows[row]), int(output)), (row, output)
        result.slopes[at] = (float(estimate.left[entry]), float(estimate.right[entry]))
        result.slope_bars[at] = (float(estimate.left_bar[entry]), float(estimate.right_bar[entry]))


def _confirm(case: _Case, rows: Rows, estimate: Estimate, rounding: RealArray, suspects: Mask) -> None:
    """Measure the worst suspected directions again at fresh points; the worst stand for the others."""
    gap = np.abs(case.claimed[rows] - estimate.value) / np.maximum(estimate.bar + rounding, np.finfo(np.float64).tiny)
    gap = np.where(suspects, np.nan_to_num(gap, nan=np.inf), 0.0)
    order = np.argsort(-np.max(gap, axis=1), kind="stable")
    order = order[np.any(suspects[order], axis=1)]
    first, later = np.sort(order[:RETESTED]), order[RETESTED:]
    fresh = case.witness.fresh(rows[first])
    back = case.witness.units[rows[first]] / fresh.units  # from this witness' units to the fresh one's
    c, off, mask = case.claimed[rows[first]], rounding[first], suspects[first]
    groups = case.witness.groups_known(rows[first])
    second, veto = confirm(fresh, c * back, estimate.at(first).scaled(back), off * back, mask, groups)
    second = second.scaled(1 / back)
    _record_second(case, rows[first], mask, veto, second, off)
    confirmed = mask & (veto == 0) & np.isfinite(estimate.value[first])
    if np.any(confirmed):
        _require_additivity(case, rows[first], confirmed)
    if len(later):
        stands = np.any(case.result.verdict[rows[first]][mask] == DISAGREE)
        rest = np.zeros(suspects.shape, bool)
        rest[later] = suspects[later]
        row, output = np.nonzero(rest & (gap > 8) & stands)
        case.result.verdict[rows[row], output], case.result.reason[rows[row], output] = DISAGREE, 0
        case.result.give_reason(rest & ~((gap > 8) & stands), rows, VETOES[1])


def _record_second(
    case: _Case, rows: Rows, suspects: Mask, veto: NDArray[np.int8], second: Estimate, rounding: RealArray
) -> None:
    result, c = case.result, case.claimed[rows]
    row, output = np.nonzero(suspects)
    where, codes = (rows[row], output), veto[row, output]
    result.retested[where] = True
    result.verdict[where] = np.where(codes == 0, DISAGREE, INCONCLUSIVE)
    result.reason[where] = np.where(codes == 0, 0, SENTENCES.index(VETOES[1]) + codes - 1)
    inside = (second.status <= Status.FLAT) & np.isfinite(c) & (np.abs(c - second.value) <= second.bar + rounding)
    row, output = np.nonzero(suspects & inside & case.sharp(rows, second.bar, rounding, c))
    where = (rows[row], output)  # what the fresh points hold in a sharp bar agrees after all
    result.verdict[where], result.reason[where] = AGREE, 0
    result.value[where], result.bar[where] = second.value[row, output], second.bar[row, output]


def _require_additivity(case: _Case, rows: Rows, confirmed: Mask) -> None:
    """Call nothing wrong where the function has no derivative although it has slopes along the inputs."""
    result = case.result
    suspected = np.flatnonzero(np.any(confirmed, axis=0))
    outputs = suspected[:ADDED]
    known = result.verdict[:, outputs] == AGREE
    known[rows] |= confirmed[:, outputs]
    adding = adds_up(case.witness, outputs, known, result.value[:, outputs], result.bar[:, outputs])
    for output in outputs[~adding] if np.any(adding) else suspected:
        where = np.zeros(confirmed.shape, bool)
        where[:, output] = confirmed[:, output]
        result.give_reason(where, rows, NO_DERIVATIVE)


def _forgive_one_triangle(case: _Case) -> None:
    """Tell a gradient convention for symmetric matrices from an error.

    Eigenvalues, Cholesky factors and the like read one triangle of a symmetric input, and frameworks give them the
    gradient for symmetric changes. Such a claim is wrong by single entries and right by pairs of them.
    """
    result, c = case.result, case.claimed
    rows = np.flatnonzero(np.any(result.verdict == DISAGREE, axis=1))
    if not len(rows) or not isinstance(case.witness.directions, Coordinates):
        return
    if len(case.witness.directions.index) != case.witness.problem.n:
        return
    partner, sign = mirrored(case.witness.problem)
    unread = np.all(np.abs(result.value) <= np.maximum(result.bar, 0.0), axis=1)
    wrong = result.verdict[rows] == DISAGREE
    mirror, flip = partner[rows], sign[rows][:, None]
    off = c[rows] + flip * c[mirror] - (result.value[rows] + flip * result.value[mirror])
    allowed = result.bar[rows] + result.bar[mirror] + result.rounding[rows] + result.rounding[mirror]
    allowed += PAIRED * np.sqrt(2.0**-case.precision) * (np.abs(c[rows]) + np.abs(c[mirror]))
    paired = ((mirror != rows) & (unread[rows] | unread[mirror]))[:, None] & (np.abs(off) <= allowed)
    paired |= ((mirror == rows) & (sign[rows] < 0) & unread[rows])[:, None]  # imaginary parts of a Hermitian diagonal
    result.give_reason(wrong & paired, rows, ONE_TRIANGLE)


def _could_be_rounding(case: _Case, shift: RealArray | None) -> bool:
    """Tell whether something disagrees by no more than rounding inside the claim's arithmetic could do.

    How far rounding moves a derivative shows in how far it moves the values (`shift`).
    """
    wrong = case.result.suspected()
    size = np.maximum(case.witness.row_scale, case.witness.sampler.inner)
    gap = np.abs(case.claimed - case.result.value)
    allowed = GROSS * case.unit * size
    if shift is not None:
        allowed = allowed + MOVED * np.nan_to_num(np.abs(shift)) / case.witness.sampler.size
    return bool(np.any(wrong & ((size == 0) | (gap <= allowed))))


def _forgive_own_rounding(case: _Case, exact: RealArray) -> None:
    """Call no claim wrong by what rounding in its arithmetic does: its rule is right where float64 makes it right.

    Args:
        case: what was judged.
        exact: the same claim computed in the reference's precision, normalised.
    """
    result, unit = case.result, 256 * case.witness.grid.unit
    rounding = unit * (np.abs(exact) + np.abs(case.claimed - exact) / case.unit)  # mistakes do not shrink with it
    held = result.suspected() & (np.abs(exact - result.value) <= result.bar + rounding)
    _excuse(case, held, np.abs(case.claimed - exact), OWN_ROUNDING)


def _excuse(case: _Case, held: Mask, rounding: RealArray, reason: str) -> None:
    """Allow the entries `held` more rounding: they agree if that is still sharp, and are open for that reason else."""
    result = case.result
    result.rounding[held] += rounding[held]
    sharp = held & case.sharp(slice(None), result.bar, result.rounding, case.claimed)
    result.verdict[sharp], result.reason[sharp] = AGREE, 0
    result.give_reason(held & ~sharp, np.arange(len(held)), reason)


def _doubt_loose(case: _Case, exact: Callable[[], RealArray], units: RealArray) -> None:
    """Judge the same rule in float64 where a claim agrees, and not to the last digits of its own precision.

    What rounding is allowed there may hide a factor of 1.1 in bfloat16. Rounding is gone in float64, and a factor is
    not.
    """
    result, witness = case.result, case.witness
    least = LOOSE * case.unit * np.abs(case.claimed)
    loose = (result.verdict == AGREE) & (np.abs(case.claimed - result.value) > least)
    if not np.any(loose):
        return
    claimed = exact()
    off = loose & (np.abs(claimed / units - result.value) > least)
    if np.any(off):
        again = judge(witness, claimed, witness.grid.precision, off, wider=False)
        again.verdict[again.verdict != DISAGREE] = SKIPPED
        again.value, again.bar, again.rounding = again.value / units, again.bar / units, again.rounding / units
        result.overrule(np.arange(len(off)), again)


def _settle_missing(case: _Case) -> None:
    """Look from farther off where a claim is not finite, and values too noisy near the point to tell a slope.

    Rules of second order lose their digits towards removable singularities, and noise differs from draw to draw.
    """
    witness, result = case.witness, case.result
    if not isinstance(witness.directions, Coordinates) or witness.project is not None:
        return
    missing = ~np.isfinite(case.claimed) & (result.verdict == INCONCLUSIVE)
    noise = [SENTENCES.index(reason) for reason in (REASONS[Status.UNRESOLVED], VETOES[1])]
    _call_wrong_if_smooth(case, missing & np.isin(result.reason, noise))
    rough = [SENTENCES.index(reason) for reason in MISSING if reason != NAN_BESIDE]
    if not np.any(np.isin(result.reason, rough)):  # nothing is left that could excuse a NaN beside it
        _call_wrong_if_smooth(case, missing & (result.reason == SENTENCES.index(NAN_BESIDE)))


def _call_wrong_if_smooth(case: _Case, missing: Mask) -> None:
    result = case.result
    for row in np.flatnonzero(np.any(missing, axis=1))[:RETESTED]:
        outputs = np.flatnonzero(missing[row])
        value, bar = coarse_slopes(case.witness, int(row), outputs)
        smooth = np.isfinite(bar)
        where = (row, outputs[smooth])
        result.verdict[where], result.reason[where], result.retested[where] = DISAGREE, 0, True
        result.value[where], result.bar[where] = value[smooth], bar[smooth]


def _forgive_scatter(case: _Case, scatter: RealArray) -> None:
    """Call no claim wrong that scatters, from point to point, by as much as it is off."""
    result = case.result
    gap = np.abs(case.claimed - result.value)
    held = result.suspected() & (gap <= result.bar + result.rounding + scatter)
    _excuse(case, held, scatter, SCATTERED)


def _forgive_tiny_scatter(case: _Case, scatter: Callable[[], RealArray], units: RealArray) -> None:
    """Ask neighbouring points about claims that are off by very little of their output's largest slope."""
    result = case.result
    tiny = result.verdict == DISAGREE
    if tiny.any():
        tiny &= np.abs(case.claimed - result.value) <= SCATTERS * case.witness.row_scale
    if tiny.any():
        _forgive_scatter(case, np.where(tiny, scatter() / units, 0.0))


def _forgive_tolerance(case: _Case) -> None:
    """Call no claim wrong by what a solver's tolerance explains: `find_tolerance`."""
    result = case.result
    wrong = result.verdict == DISAGREE
    if not wrong.any():
        return
    gap = np.abs(case.claimed - result.value)
    size = np.fmax(np.fmax(np.abs(result.value), np.abs(case.claimed)), case.witness.size_beside(slice(None)))
    wrong &= gap <= BY_LITTLE * size
    if wrong.any():
        hidden = find_tolerance(case.witness, wrong, result.value, gap)
        held = wrong & (gap <= result.bar + result.rounding + hidden) & (hidden > 0)
        result.bar[held] += hidden[held]
        result.give_reason(held, np.arange(len(held)), TOLERANCE)


def _ask_complex_step(case: _Case) -> None:
    """Ask the complex step about what finite differences could not decide, and about what they call wrong.

    It may settle what they left open for want of precision, never call anything wrong, and what it contradicts is left
    open.
    """
    result = case.result
    reasons = [SENTENCES.index(reason) for reason in IMPRECISE]
    open_ = case.smooth & (result.verdict == INCONCLUSIVE) & np.isin(result.reason, reasons)
    rows = np.flatnonzero(np.any(open_ & np.isfinite(case.claimed), axis=1))[:ASKED]
    wrong = _worst_first(result, case.claimed)
    contradicted = _hear_complex_step(case, np.union1d(rows, wrong[:ASKED_WRONG]), open_)
    if not contradicted:
        return
    _hear_complex_step(case, wrong[ASKED_WRONG:ASKED], open_)
    if not np.any(result.verdict[wrong[:ASKED]] == DISAGREE):  # they stand for the others
        result.give_reason(result.verdict == DISAGREE, np.arange(len(result.verdict)), CONTRADICTED)


def _worst_first(result: Judgement, claimed: RealArray) -> Rows:
    """Return the directions in which something disagrees, the largest difference first."""
    gap = np.where(result.verdict == DISAGREE, np.nan_to_num(np.abs(claimed - result.value), nan=np.inf), -1.0)
    worst = np.max(gap, axis=1, initial=-1.0)
    order = np.argsort(-worst, kind="stable")
    return np.asarray(order[worst[order] >= 0])


def _hear_complex_step(case: _Case, rows: Rows, open_: Mask) -> bool:
    """Compare claims with the complex step along `rows`; returns whether it contradicts a verdict."""
    directions, result = case.witness.directions, case.result
    if not len(rows) or not isinstance(directions, Coordinates):
        return False
    units, c = case.witness.units[rows], case.claimed[rows]
    found = complex_step(case.witness.problem, directions.index[rows], case.witness.grid.seed)
    value, bar = found.value / units, found.bar / units
    rounding = np.fmin(result.rounding[rows], max(HALF, 4 * case.unit) * np.abs(value))
    same = found.valid & (np.abs(c - value) <= bar + rounding)
    sharp = case.sharp(rows, bar, rounding, c)
    counts = held(case.witness, found, result.value[rows] * units, result.bar[rows] * units)
    row, output = np.nonzero(open_[rows] & counts & same & sharp)
    where = (rows[row], output)
    result.verdict[where], result.reason[where] = AGREE, 0
    result.value[where], result.bar[where] = value[row, output], bar[row, output]
    result.rounding[where], result.second_opinion[where] = rounding[row, output], True
    contradicted = (result.verdict[rows] == DISAGREE) & same
    exact = bar <= 2.0**-20 * np.abs(value)
    result.give_reason(contradicted & exact, rows, CONTRADICTED)
    result.give_reason(contradicted & ~exact & case.smooth[rows], rows, ILL_CONDITIONED)
    return bool(np.any(contradicted))
