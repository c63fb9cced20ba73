"""A function held against a baseline: the same point, then the same values, then the same derivatives.

Entries that agree with the slopes of their own values, here and when the baseline was saved, may differ by the sum of
both tolerances; beyond that, values of one function cannot have both slopes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from xcheck.agreement import CLOSE, LESS_ACCURATE, ROUNDED
from xcheck.baseline import Baseline, Pulled, Recorded
from xcheck.comparison import WORST, Comparison, Entry, Source
from xcheck.judgement import AGREE, DISAGREE, INCONCLUSIVE, SKIPPED
from xcheck.problem import Problem
from xcheck.protocol import RealArray
from xcheck.reference.grid import signed_probes
from xcheck.rounding import UNITS, beside, rounding_of
from xcheck.space import Block, Space
from xcheck.verdict import Verdict
from xcheck.versions import versions_behind

SOURCE = "baseline"
"""What reports call a baseline."""

ANOTHER = "the value is that of another function than the baseline's"
SLOPES = "each is right for its own values: another function than the baseline's, with the same value at this point"
CHANGED = "finite differences exclude the derivative that is claimed here, and the baseline's agreed with its own"
PRODUCT = "this product with the derivative is another one than the baseline's"
LESS = "they agree to fewer digits than rounding explains: another algorithm, or a function that changed by very little"
NO_VALUE = "neither is a number: the function has no value there, and the baseline follows another convention"
OVERFLOWN = "one is not finite, and they were computed in different dtypes: the coarser one may overflow on the way"
INSIDE = "rounding a value of size one inside the function, in the coarser dtype, explains as much"
CONVENTION = "the function has no derivative there, and the baseline follows another convention"
UNSETTLED = "values do not settle it, here or where the baseline was saved"
SAVED_WRONG = "the baseline's own derivative was found wrong when it was saved"
RANDOM = "the function draws random numbers, and other generators draw other ones"

SUMMED = 8.0
"""Units of roundoff of the largest number by which products with a derivative may differ: they are sums."""

DOUBTED = 4.0
"""Values that are so many tolerances apart, and not only one, are those of other functions."""

Derive = Callable[[Problem], RealArray]
"""Makes a derivative anew at another point, entries (n, m)."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Pull:
    """A derivative that is not at hand entry by entry.

    Attributes:
        source: whose it is.
        precision: significand bits of its arithmetic.
        product: pulls a cotangent (m,) back to (n,), at the problem's point.
    """

    source: str
    precision: int
    product: Callable[[Problem, RealArray], RealArray]


# Saving


def make_baseline(
    problem: Problem, derivatives: Sequence[Recorded], pull: Pull | None, comparisons: Sequence[Comparison]
) -> Baseline:
    """Collect what a baseline holds of a check.

    Costs four evaluations; without entries, three products with the derivative.

    Args:
        problem: the function at its point, random generators pinned.
        derivatives: those that were judged entry by entry.
        pull: what stands for them where there are none.
        comparisons: what the check found.
    """
    pulled = None
    if not derivatives and pull is not None:
        cotangent = signed_probes(np.random.default_rng(17), 1, problem.m)[0]
        pulled = _pull(problem, pull, cotangent, comparisons)
    return Baseline(
        problem.call.title,
        problem.backend.name,
        versions_behind(problem.backend.name),
        problem.inputs,
        problem.outputs,
        problem.x,
        problem.y,
        _value_rounding(problem),
        tuple(derivatives),
        pulled,
        problem.random,
        Verdict.worst(c.verdict for c in comparisons),
        parameters=problem.call.parameters(),
    )


def _value_rounding(problem: Problem) -> RealArray:
    return rounding_of(problem, problem.y, lambda p: problem.values_quietly(p.x[None])[0], 4)


def _pull(problem: Problem, pull: Pull, cotangent: RealArray, comparisons: Sequence[Comparison]) -> Pulled:
    """Pull a cotangent back, and measure what a few ulps of the inputs do to the result."""
    value = pull.product(problem, cotangent)
    largest = problem.inputs.largest(np.where(np.isfinite(value), np.abs(value), 0.0))
    allowed = rounding_of(problem, value, lambda p: pull.product(p, cotangent), 2)
    allowed += SUMMED * 2.0**-pull.precision * largest
    own = [c for c in comparisons if c.claim.source == pull.source]
    limits = [c.detection_limit for c in own if np.isfinite(c.detection_limit)]
    verdict, limit = Verdict.worst(c.verdict for c in own), max(limits, default=float("inf"))
    return Pulled(pull.source, pull.precision, cotangent, value, allowed, verdict, limit)


# The point


@dataclass(frozen=True)
class Matched:
    """A baseline whose inputs are those of a problem.

    Attributes:
        baseline: the baseline, with its inputs in the problem's order.
        exact: whether the point is the same to the last bit; if not, it is when rounded to the problem's dtypes.
        notes: what to say about it.
    """

    baseline: Baseline
    exact: bool
    notes: tuple[str, ...]


def match(problem: Problem, baseline: Baseline) -> Matched:
    """Find a problem's inputs among a baseline's.

    Parameters are paired by their names. Inputs are paired by theirs if those are the same, else in their order.

    Raises:
        ValueError: parameters have other names; inputs have other shapes or are at another point; or outputs have
            other shapes.
    """
    given = _given(baseline)
    order = _paired(problem, baseline, given)
    theirs = [baseline.input_space.blocks[k] for k in order]
    _require_shapes("inputs", problem.inputs.blocks, theirs, given)
    _require_shapes("outputs", problem.outputs.blocks, baseline.output_space.blocks, given)
    places = np.concatenate([np.arange(b.start, b.start + b.size) for b in theirs] or [np.zeros(0, int)])
    ordered = _reordered(baseline, places, problem.inputs)
    exact = np.array_equal(ordered.x, problem.x, equal_nan=True)
    if not exact:
        _require_point(problem, ordered, given)
    return Matched(ordered, exact, _notes(problem, baseline, theirs, exact))


def _paired(problem: Problem, baseline: Baseline, given: str) -> list[int]:
    """Return, for every input of the problem, its place among the baseline's."""
    mine, theirs = (space.blocks for space in (problem.inputs, baseline.input_space))
    names = [block.name for block in theirs]
    if sorted(names) == sorted(block.name for block in mine):
        return [names.index(block.name) for block in mine]
    own = problem.call.parameters()
    _require_parameters(problem, baseline, given)
    known = {parameter: names.index(name) for name, parameter in baseline.parameters.items()}
    rest = [k for k, name in enumerate(names) if name not in baseline.parameters]
    inputs = [block.name for block in mine if block.name not in own]
    if sorted(inputs) == sorted(names[k] for k in rest):
        rest = [names.index(name) for name in inputs]
    following = iter(rest)
    found = [known[own[b.name]] if b.name in own else next(following, -1) for b in mine]
    return [*(k for k in found if k >= 0), *following]


def _require_parameters(problem: Problem, baseline: Baseline, given: str) -> None:
    own, saved = (set(names.values()) for names in (problem.call.parameters(), baseline.parameters))
    constant = {str(leaf.path[0]) for leaf in problem.call.constant if leaf.is_parameter}
    for name in sorted(own ^ saved):
        who, other = (given, problem.call.title) if name in saved else (problem.call.title, given)
        why = "it is held constant here" if name in constant else f"{other} has none of that name"
        raise ValueError(
            f"{who} has the parameter {name!r}, and {why}. Parameters in the baseline: {_listed(saved)}; here: "
            f"{_listed(own)}. Accepted: the same names. xcheck.layout(f, names={{name in the baseline: name here}}) "
            "gives others, and its parameters=tree makes parameters of a tree."
        )


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _require_shapes(what: str, mine: Sequence[Block], theirs: Sequence[Block], given: str) -> None:
    if len(mine) == len(theirs):
        pairs = zip(mine, theirs, strict=True)
        apart = [(a, b) for a, b in pairs if (a.shape, a.is_complex) != (b.shape, b.is_complex)]
        mine, theirs = [a for a, _ in apart], [b for _, b in apart]
    if mine or theirs:
        raise ValueError(f"{given} has other {what}: {_shapes(theirs)}. Here they are {_shapes(mine)}.")


def _shapes(blocks: Sequence[Block]) -> str:
    return ", ".join(f"{b.name} of shape {b.shape}{' (complex)' * b.is_complex}" for b in blocks) or "none"


def _reordered(baseline: Baseline, places: NDArray[np.intp], space: Space) -> Baseline:
    """Bring the inputs into the order of `space`; their dtypes stay in the numbers."""
    if np.array_equal(places, np.arange(len(places))):
        return baseline
    records = tuple(
        replace(d, **{name: getattr(d, name)[places] for name in ("claimed", "tolerance", "verdict", "missing")})
        for d in baseline.derivatives
    )
    old = baseline.pulled
    pulled = old and replace(old, value=old.value[places], allowed=old.allowed[places])
    return replace(baseline, input_space=space, x=baseline.x[places], derivatives=records, pulled=pulled)


def _require_point(problem: Problem, baseline: Baseline, given: str) -> None:
    arrays = problem.inputs.unpack(baseline.x)  # rounded to the dtypes here
    rounded = problem.inputs.pack(arrays)
    apart = ~((rounded == problem.x) | (np.isnan(rounded) & np.isnan(problem.x)))
    if not np.any(apart):
        return
    with np.errstate(invalid="ignore"):
        gap = np.where(apart, np.abs(rounded - problem.x), -1.0)
    worst = int(np.argmax(np.where(np.isnan(gap), np.inf, gap)))
    names = [f"inputs[{block.name!r}]" for block in problem.inputs.blocks]
    raise ValueError(
        f"{given} was saved at another point: {problem.inputs.entry(worst)} is {baseline.x[worst]:.17g} in it and "
        f"{problem.x[worst]:.17g} here, the farthest of {np.count_nonzero(apart)} of {problem.n} numbers that differ. "
        f"Check at its point: inputs = xcheck.load_baseline(path).inputs has it as NumPy arrays, {', '.join(names[:4])}"
        f"{', ...' if len(names) > 4 else ''}."
    )


def _given(baseline: Baseline) -> str:
    return f"baseline={baseline.path!r}" if baseline.path else "baseline"


def _notes(problem: Problem, baseline: Baseline, theirs: Sequence[Block], exact: bool) -> tuple[str, ...]:
    versions = ", ".join(f"{name} {number}" for name, number in baseline.versions.items())
    dtypes = " ".join(dict.fromkeys(block.dtype.name for block in theirs))
    lines = [f"the baseline is of {baseline.function}, {baseline.backend} {dtypes} ({versions})"]
    if baseline.verdict is not Verdict.AGREE:
        lines[0] += f"; the check that saved it was {baseline.verdict}"
    pairs = [(b.name, t.name) for b, t in zip(problem.inputs.blocks, theirs, strict=True) if b.name != t.name]
    if pairs:
        shown = ", ".join(f"{mine} is {other}" for mine, other in pairs[:3]) + (", ..." if len(pairs) > 3 else "")
        lines.append(f"inputs have other names in the baseline, and were taken in their order: {shown}")
    if not exact:
        lines.append("the baseline's point was rounded to the dtypes here")
    return tuple(lines)


# Comparing


def hold_against(
    problem: Problem,
    matched: Matched,
    own: Sequence[tuple[Recorded, Derive]],
    pull: Pull | None,
    comparisons: Sequence[Comparison],
) -> tuple[list[Comparison], list[str]]:
    """Compare the value, and then every derivative; returns comparisons, and what could not be compared.

    Costs four evaluations. Where the point was rounded, each derivative is made four times more; where one product
    stands for all entries, that product is made three times.

    Args:
        problem: the function at its point, random generators pinned.
        matched: the baseline.
        own: the derivatives that were judged entry by entry here, with what makes them at other points.
        pull: what makes products where there are none.
        comparisons: what the check found.
    """
    baseline = matched.baseline
    value = _compare_value(problem, baseline)
    if value.verdict is Verdict.DISAGREE:
        return [value], [f"derivatives vs {SOURCE}: the values are those of another function"]
    saved = _best(baseline.derivatives)
    if own and saved is not None:
        found = [_compare_entries(problem, record, saved, derive, matched) for record, derive in own]
        return [value, *found], []
    mine, theirs = _products(problem, baseline, own, pull, comparisons)
    if mine is None or theirs is None:
        where = "in this check" if theirs is not None else "in the baseline"
        return [value], [f"derivatives vs {SOURCE}: there is none {where} that they could be compared with"]
    return [value, _compare_pulled(problem, mine, theirs, baseline.random or problem.random)], []


def _best(records: Sequence[Recorded]) -> Recorded | None:
    """Return the derivative that stands for the baseline: the first in which nothing was wrong."""
    right = [record for record in records if not np.any(record.verdict == DISAGREE)]
    return next(iter([*right, *records]), None)


def _compare_value(problem: Problem, baseline: Baseline) -> Comparison:
    y, saved = problem.y, baseline.y
    allowed = _value_rounding(problem) + baseline.allowed
    size = np.maximum(*(np.where(np.isfinite(v), np.abs(v), 0.0) for v in (y, saved)))
    theirs = min(baseline.input_space.precision, baseline.output_space.precision)
    share, finite = _share(problem.precision, theirs), (np.isfinite(y), np.isfinite(saved))
    least = np.maximum(share * problem.outputs.largest(size), DOUBTED * allowed)
    same, far = _same(y, saved, allowed), _far(y, saved, least)
    codes, reasons = _agreeing(y.shape)
    _mark(codes, reasons, ~same, INCONCLUSIVE, LESS)
    _mark(codes, reasons, ~same & far, DISAGREE, ANOTHER)
    one = UNITS[min(problem.precision, theirs)] * 2.0 ** -min(problem.precision, theirs)
    _mark(codes, reasons, ~same & far & _same(y, saved, np.full_like(y, one)), INCONCLUSIVE, INSIDE)
    _mark(codes, reasons, ~same & ~finite[0] & ~finite[1], INCONCLUSIVE, NO_VALUE)
    if problem.precision != theirs:
        _mark(codes, reasons, finite[0] != finite[1], INCONCLUSIVE, OVERFLOWN)
    if problem.random or baseline.random:
        _mark(codes, reasons, ~same, INCONCLUSIVE, RANDOM)
    table = _Table(y, saved, allowed, codes, reasons, problem.outputs.entry)
    return table.comparison(problem.call.title, "value")


def _compare_entries(problem: Problem, here: Recorded, saved: Recorded, derive: Derive, matched: Matched) -> Comparison:
    random = problem.random or matched.baseline.random
    moved = 0.0 if matched.exact else _moved(problem, here.claimed, derive)
    allowed = _tolerance(here) + _tolerance(saved) + (0.0 if moved is None else moved)
    mine, theirs = here.claimed, saved.claimed
    size = np.maximum(*(np.where(np.isfinite(c), np.abs(c), 0.0) for c in (mine, theirs)))
    same = _same(mine, theirs, allowed)
    far = _far(mine, theirs, _share(here.precision, saved.precision) * np.max(size, axis=0, initial=0.0))
    open_ = (here.verdict == INCONCLUSIVE) | (saved.verdict == INCONCLUSIVE)
    codes, reasons = _agreeing(mine.shape)
    rules = (
        (~same, INCONCLUSIVE, LESS),
        (~same & far, DISAGREE, SLOPES),
        (~same & open_, INCONCLUSIVE, UNSETTLED),
        (~same & (here.missing | saved.missing), INCONCLUSIVE, CONVENTION),
        (~same & (here.verdict == DISAGREE) & (saved.verdict == AGREE), DISAGREE, CHANGED),
        (~same & (saved.verdict == DISAGREE), INCONCLUSIVE, SAVED_WRONG),
        (~same & (moved is None), INCONCLUSIVE, UNSETTLED),
        (~same & random, INCONCLUSIVE, RANDOM),
        ((here.verdict == SKIPPED) | (saved.verdict == SKIPPED), SKIPPED, ""),
    )
    for where, code, reason in rules:  # the last one counts
        _mark(codes, reasons, where, code, reason)
    table = _Table(mine, theirs, allowed, codes, reasons, lambda k: problem.entry(*reversed(divmod(k, problem.m))))
    return table.comparison(here.source, here.quantity)


def _tolerance(record: Recorded) -> RealArray:
    """Return by how much entries may be off: what their own values told, or rounding where those tell nothing."""
    coarse = 2.0 ** (53 - record.precision)
    size = np.where(np.isfinite(record.claimed), np.abs(record.claimed), 0.0)
    largest = np.max(size, axis=0, initial=0.0, keepdims=True)
    known = (record.verdict == AGREE) & np.isfinite(record.tolerance)
    return np.where(known, record.tolerance, coarse * np.maximum(CLOSE * size, ROUNDED * largest))


def _moved(problem: Problem, claimed: RealArray, derive: Derive) -> RealArray | None:
    """Measure how far the derivative moves over a few ulps; None where it cannot be made there."""
    try:
        claims = np.array([claimed, *(derive(other) for other in beside(problem))])
    except Exception:  # the edge of a domain
        return None
    spread = np.max(claims, axis=0) - np.min(claims, axis=0)
    return np.where(np.isfinite(spread), spread, 0.0)


def _products(
    problem: Problem,
    baseline: Baseline,
    own: Sequence[tuple[Recorded, Derive]],
    pull: Pull | None,
    comparisons: Sequence[Comparison],
) -> tuple[Pulled | None, Pulled | None]:
    """Return one product with each derivative, here and in the baseline; None where there is none."""
    saved = _best(baseline.derivatives)
    fresh = signed_probes(np.random.default_rng(17), 1, problem.m)[0]
    theirs = baseline.pulled if saved is None else _product_of(saved, fresh)
    cotangent = fresh if theirs is None else theirs.cotangent
    if own:
        return _product_of(own[0][0], cotangent), theirs
    return (None if pull is None or theirs is None else _pull(problem, pull, cotangent, comparisons)), theirs


def _product_of(record: Recorded, cotangent: RealArray) -> Pulled | None:
    """Multiply the entries with a cotangent; None if not all of them were judged."""
    codes = record.verdict
    if np.any(codes == SKIPPED):
        return None
    verdict = Verdict.DISAGREE if np.any(codes == DISAGREE) else Verdict.INCONCLUSIVE
    verdict = Verdict.AGREE if np.all(codes == AGREE) else verdict
    allowed = _tolerance(record) @ np.abs(cotangent)
    value = record.claimed @ cotangent
    return Pulled(record.source, record.precision, cotangent, value, allowed, verdict, 0.0)


def _compare_pulled(problem: Problem, here: Pulled, saved: Pulled, random: bool) -> Comparison:
    allowed = here.allowed + saved.allowed
    size = np.maximum(*(np.where(np.isfinite(v), np.abs(v), 0.0) for v in (here.value, saved.value)))
    largest = problem.inputs.largest(size)
    # Beyond what the checks would have seen in an entry, a difference is no convention at a kink they did not see.
    unseen = 2 * sum(limit if np.isfinite(limit) else 0.0 for limit in (here.limit, saved.limit))
    least = np.maximum(_share(here.precision, saved.precision) * largest, unseen)
    least = np.maximum(least, DOUBTED * allowed)
    same, far = _same(here.value, saved.value, allowed), _far(here.value, saved.value, least)
    codes, reasons = _agreeing(here.value.shape)
    _mark(codes, reasons, ~same, INCONCLUSIVE, LESS)
    _mark(codes, reasons, ~same & far, DISAGREE, PRODUCT)
    if saved.verdict is not Verdict.AGREE or here.verdict is Verdict.INCONCLUSIVE:
        reason = SAVED_WRONG if saved.verdict is Verdict.DISAGREE else UNSETTLED
        _mark(codes, reasons, ~same, INCONCLUSIVE, reason)
    if random:
        _mark(codes, reasons, ~same, INCONCLUSIVE, RANDOM)
    name = lambda k: f"w^T J at {problem.inputs.entry(k)}"  # noqa: E731
    table = _Table(here.value, saved.value, allowed, codes, reasons, name)
    return table.comparison(here.source, "gradient" if problem.m == 1 else "Jacobian", "one random product")


# Numbers against numbers


def _share(*precisions: int) -> float:
    """Return the share of the largest number beyond which rounding is no explanation of a difference."""
    return max(LESS_ACCURATE, float(2.0 ** (-min(precisions) / 2)))


def _same(a: RealArray, b: RealArray, allowed: RealArray) -> Mask:
    with np.errstate(invalid="ignore"):
        close = np.abs(a - b) <= allowed
    return np.asarray((close & np.isfinite(a) & np.isfinite(b)) | (a == b) | (np.isnan(a) & np.isnan(b)))


def _far(a: RealArray, b: RealArray, least: RealArray) -> Mask:
    with np.errstate(invalid="ignore"):
        return np.asarray(~(np.abs(a - b) <= least))


def _agreeing(shape: tuple[int, ...]) -> tuple[NDArray[np.int8], NDArray[np.object_]]:
    return np.full(shape, AGREE, np.int8), np.full(shape, "", object)


def _mark(codes: NDArray[np.int8], reasons: NDArray[np.object_], where: Mask, code: int, reason: str) -> None:
    codes[where], reasons[where] = code, reason


@dataclass(frozen=True)
class _Table:
    """Numbers here and in a baseline, with a verdict about each, any shape; `name` names a place when flattened."""

    here: RealArray
    saved: RealArray
    allowed: RealArray
    codes: NDArray[np.int8]
    reasons: NDArray[np.object_]
    name: Callable[[int], str]

    def comparison(self, claim: str, quantity: str, method: str = "every entry") -> Comparison:
        wrong, open_ = (int(np.count_nonzero(self.codes == code)) for code in (DISAGREE, INCONCLUSIVE))
        total = int(self.codes.size - np.count_nonzero(self.codes == SKIPPED))
        verdict = Verdict.DISAGREE if wrong else Verdict.INCONCLUSIVE if open_ or not total else Verdict.AGREE
        limit, relative = self._limits()
        return Comparison(
            Source(claim),
            Source(SOURCE),
            quantity,
            verdict,
            self._reason(verdict, total),
            self._worst(verdict),
            wrong,
            open_,
            total,
            limit,
            relative,
            method=method,
            without_derivative=int(np.count_nonzero((self.codes == INCONCLUSIVE) & (self.reasons == CONVENTION))),
        )

    def _gap(self) -> RealArray:
        with np.errstate(invalid="ignore"):
            gap = np.abs(self.here - self.saved)
        return np.where(np.isnan(gap) & ~(np.isnan(self.here) & np.isnan(self.saved)), np.inf, np.nan_to_num(gap))

    def _limits(self) -> tuple[float, float]:
        agreed = (self.codes == AGREE) & np.isfinite(self.here)
        if not np.any(agreed):
            return float("inf"), float("inf")
        seen = np.where(agreed, self.allowed + np.where(agreed, self._gap(), 0.0), 0.0)
        size = np.where(agreed, np.abs(self.here), 0.0)
        largest = np.max(size, axis=0, initial=0.0)
        most = np.max(seen, axis=0, initial=0.0)
        shares = np.divide(most, largest, out=np.zeros_like(most), where=np.asarray(largest > 0))
        return float(np.max(seen)), float(np.max(shares))

    def _reason(self, verdict: Verdict, total: int) -> str:
        if not total:
            return "there was nothing to compare"
        code = {Verdict.DISAGREE: DISAGREE, Verdict.INCONCLUSIVE: INCONCLUSIVE}.get(verdict)
        counts = Counter(self.reasons[self.codes == code].tolist()) if code is not None else Counter()
        return "; ".join(reason for reason, _ in counts.most_common(2))

    def _worst(self, verdict: Verdict) -> tuple[Entry, ...]:
        code = {Verdict.DISAGREE: DISAGREE, Verdict.INCONCLUSIVE: INCONCLUSIVE}.get(verdict, AGREE)
        places = np.flatnonzero(self.codes == code)
        excess = self._gap().ravel()[places] / np.maximum(self.allowed.ravel()[places], np.finfo(np.float64).tiny)
        order = np.argsort(-excess, kind="stable")[: 1 if verdict is Verdict.AGREE else WORST]
        word = {DISAGREE: Verdict.DISAGREE, INCONCLUSIVE: Verdict.INCONCLUSIVE}.get(code, Verdict.AGREE)
        return tuple(self._entry(int(k), word) for k in places[order])

    def _entry(self, k: int, verdict: Verdict) -> Entry:
        here, saved, allowed = (float(a.ravel()[k]) for a in (self.here, self.saved, self.allowed))
        return Entry(self.name(k), here, saved, allowed, verdict, str(self.reasons.ravel()[k]))
