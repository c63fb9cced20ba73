"""A function held against a baseline: at the same point the same values, and then the same derivatives.

Entries that agree with the slopes of their own values, here and when the baseline was saved, may differ by the sum of
both tolerances; beyond that, values of one function cannot have both slopes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from xcheck.agreement import CLOSE, ROUNDED
from xcheck.baseline import Baseline, Pulled, Recorded
from xcheck.comparison import Comparison
from xcheck.judgement import AGREE, DISAGREE, INCONCLUSIVE, SKIPPED
from xcheck.matching import Matched
from xcheck.problem import Problem
from xcheck.protocol import RealArray
from xcheck.recording import Pull, pull_back, value_spread
from xcheck.reference.grid import signed_probes
from xcheck.rounding import UNITS, beside
from xcheck.table import CONVENTION, SOURCE, Table, unexplained_share
from xcheck.verdict import Verdict

ANOTHER = "the value is that of another function than the baseline's"
SLOPES = "each is right for its own values: another function than the baseline's, with the same value at this point"
CHANGED = "finite differences exclude the derivative that is claimed here, and the baseline's agreed with its own"
PRODUCT = "this product with the derivative is another one than the baseline's"
LESS = "they agree to fewer digits than rounding explains: another algorithm, or a function that changed by very little"
NO_VALUE = "neither is a number: the function has no value there, and the baseline follows another convention"
OVERFLOWN = "one is not finite, and they were computed in different dtypes: the coarser one may overflow on the way"
INSIDE = "rounding a value of size one inside the function, in the coarser dtype, explains as much"
UNSETTLED = "values do not settle it, here or where the baseline was saved"
SAVED_WRONG = "the baseline's own derivative was found wrong when it was saved"
RANDOM = "the function draws random numbers, and other generators draw other ones"

DOUBTED = 4.0
"""Values that are so many tolerances apart, and not only one, are those of other functions."""

Derive = Callable[[Problem], RealArray]
"""Makes a derivative anew at another point, entries (n, m)."""


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
    table = Table(y, saved, value_spread(problem) + baseline.allowed, problem.outputs.entry)
    theirs = min(baseline.input_space.precision, baseline.output_space.precision)
    share, finite = unexplained_share(problem.precision, theirs), (np.isfinite(y), np.isfinite(saved))
    least = np.maximum(share * problem.outputs.largest(table.size), DOUBTED * table.allowed)
    far = table.farther(least)
    table.mark(table.apart, INCONCLUSIVE, LESS)
    table.mark(far, DISAGREE, ANOTHER)
    one = UNITS[min(problem.precision, theirs)] * 2.0 ** -min(problem.precision, theirs)
    table.mark(far & ~table.farther(np.full_like(y, one)), INCONCLUSIVE, INSIDE)
    table.mark(table.apart & ~finite[0] & ~finite[1], INCONCLUSIVE, NO_VALUE)
    if problem.precision != theirs:
        table.mark(finite[0] != finite[1], INCONCLUSIVE, OVERFLOWN)
    if problem.random or baseline.random:
        table.mark(table.apart, INCONCLUSIVE, RANDOM)
    return table.comparison(problem.call.title, "value")


def _compare_entries(problem: Problem, here: Recorded, saved: Recorded, derive: Derive, matched: Matched) -> Comparison:
    random = problem.random or matched.baseline.random
    moved = 0.0 if matched.exact else _moved(problem, here.claimed, derive)
    allowed = _tolerance(here) + _tolerance(saved) + (0.0 if moved is None else moved)
    name = lambda k: problem.entry(*reversed(divmod(k, problem.m)))  # noqa: E731
    table = Table(here.claimed, saved.claimed, allowed, name)
    share, apart = unexplained_share(here.precision, saved.precision), table.apart
    far = table.farther(share * np.max(table.size, axis=0, initial=0.0))
    open_ = (here.verdict == INCONCLUSIVE) | (saved.verdict == INCONCLUSIVE)
    rules = (
        (apart, INCONCLUSIVE, LESS),
        (far, DISAGREE, SLOPES),
        (apart & open_, INCONCLUSIVE, UNSETTLED),
        (apart & (here.missing | saved.missing), INCONCLUSIVE, CONVENTION),
        (apart & (here.verdict == DISAGREE) & (saved.verdict == AGREE), DISAGREE, CHANGED),
        (apart & (saved.verdict == DISAGREE), INCONCLUSIVE, SAVED_WRONG),
        (apart & (moved is None), INCONCLUSIVE, UNSETTLED),
        (apart & random, INCONCLUSIVE, RANDOM),
        ((here.verdict == SKIPPED) | (saved.verdict == SKIPPED), SKIPPED, ""),
    )
    for where, code, reason in rules:  # the last one counts
        table.mark(where, code, reason)
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
    return (None if pull is None or theirs is None else pull_back(problem, pull, cotangent, comparisons)), theirs


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
    table = Table(here.value, saved.value, allowed, lambda k: f"w^T J at {problem.inputs.entry(k)}")
    # Beyond what the checks would have seen in an entry, a difference is no convention at a kink they did not see.
    unseen = 2 * sum(limit if np.isfinite(limit) else 0.0 for limit in (here.limit, saved.limit))
    share = unexplained_share(here.precision, saved.precision)
    least = np.maximum(share * problem.inputs.largest(table.size), np.maximum(unseen, DOUBTED * allowed))
    table.mark(table.apart, INCONCLUSIVE, LESS)
    table.mark(table.farther(least), DISAGREE, PRODUCT)
    if saved.verdict is not Verdict.AGREE or here.verdict is Verdict.INCONCLUSIVE:
        table.mark(table.apart, INCONCLUSIVE, SAVED_WRONG if saved.verdict is Verdict.DISAGREE else UNSETTLED)
    if random:
        table.mark(table.apart, INCONCLUSIVE, RANDOM)
    return table.comparison(here.source, "gradient" if problem.m == 1 else "Jacobian", "one random product")
