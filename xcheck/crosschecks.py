"""The verb `crosscheck`: the same function in several frameworks, and which of them is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np

from xcheck.agreement import Cause, Difference, Party, differing_derivatives
from xcheck.budget import read_budget
from xcheck.call import Wrt
from xcheck.checks import prepared
from xcheck.fitting import of_one_shape, other_layouts
from xcheck.gauges import compared, free_phases, suggested
from xcheck.implementation import Missing, as_numpy, read_implementations
from xcheck.judgement import AGREE, DISAGREE, Judgement, judge
from xcheck.matrix import draw_up
from xcheck.porting import read_runs
from xcheck.reference.witness import Witness
from xcheck.report import CrossReport, Row, require_agreement
from xcheck.report.sentences import describe
from xcheck.runs import Run
from xcheck.values import compare_values, fewer_digits, lower_dtypes
from xcheck.verdict import Verdict


def crosscheck(
    functions: Mapping[str, Any] | Callable[..., Any],
    *inputs: Any,
    backends: Sequence[str] | None = None,
    witness: Callable[..., Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    wrt: Wrt = None,
    budget: float | int | None = None,
    raises: bool = True,
    seed: int = 0,
) -> CrossReport:
    """Compare implementations of one function in several frameworks: their values, then their derivatives.

    Every implementation is checked as `check` does, against finite differences of its own values; then all of them are
    compared with each other. So a wrong derivative, another function, and a convention at a point without a derivative
    are told apart. Costs the checks, and nine evaluations of each beside.

    Args:
        functions: implementations by label. A label begins with a backend's name: `"torch"`, `"torch, compiled"`. NumPy
            implementations may be pairs `(function, gradient)`; without a gradient, they are compared by value, and the
            others' derivatives are held against finite differences of them. Or one function written once, `f(x, xp)`,
            where `xp` is a framework's namespace of array-API names; NumPy's values and measured slopes are compared.
        *inputs: the point, given once, as NumPy arrays or those of any framework; each implementation gets its own
            copy. Python floats become arrays.
        backends: for one function `f(x, xp)`, the frameworks to run it on; all that are installed if None.
        witness: the same function over mpmath numbers or long doubles; it settles what float64 values cannot.
        kwargs: keyword arguments for all of them.
        wrt: which inputs vary: positions or names; all that can if None.
        budget: what every single check may cost, as for `check`.
        raises: raise on anything but agreement.
        seed: chooses the steps and pins every random generator.

    Returns:
        The report: a row for every implementation, how far each pair agrees, and who is wrong.

    Raises:
        DerivativeError: one is wrong, or computes another function, and `raises`.
        InconclusiveError: they follow different conventions, or values settle nothing, and `raises`.
        ModuleNotFoundError: fewer than two of the frameworks are installed.
        TypeError: an argument is of the wrong kind, or nothing varies.
        ValueError: fewer than two implementations were given, or a label begins with no backend's name.
    """
    __tracebackhide__ = True
    start = perf_counter()
    found, missing = read_implementations(functions, backends)
    arrays, fixed, planned = as_numpy(inputs), dict(kwargs or {}), read_budget(budget)
    runs, ported = read_runs(found, arrays, fixed, wrt)
    for run in runs:
        run.check(seed, witness, planned)
    report = _compare(runs, missing, ported, seed, witness is not None, perf_counter() - start)
    if raises:
        require_agreement(report)
    return report


def _compare(
    runs: Sequence[Run],
    missing: Sequence[Missing],
    ported: Sequence[str],
    seed: int,
    witness: bool,
    seconds: float,
) -> CrossReport:
    able = [run for run in runs if run.problem is not None]
    alike, shapes = of_one_shape(able)
    rounding = {run.label: run.rounding(seed) for run in alike}
    values = compare_values(alike, rounding)
    parties = _parties(alike)
    measured = _measured(alike, parties, seed)
    differences = _differences(parties, measured, values)
    unmeasured = _unmeasured(parties, measured)
    notes = [
        *(f"{run.label}: {run.failure}" for run in runs if run.failure),
        *(f"{m.label}: {m.reason}" for m in missing),
        *compared({run.label: run.given.function for run in runs}),
        *shapes,
        *(_other_layouts_or_gauges(alike, values) if values is not None else ()),
        *_free_phases(able),
        *_other_disagreements(runs, differences),
        *unmeasured,
        *lower_dtypes(alike),
        *fewer_digits(alike, values, rounding),
    ]
    known = {party.label: party.claimed for party in (*parties, *(party for party, _ in measured))}
    broken = bool(shapes or unmeasured or any(run.failure for run in runs))
    labels = [run.label for run in alike]
    causes = {run.label: run.causes for run in alike}
    sentences = [describe(d, _name(alike, d), labels, witness, causes) for d in differences]
    return CrossReport(
        _title(runs),
        (*draw_up(runs, alike, known, differences, seed), *(Row(m.label, "not installed") for m in missing)),
        (*ported, *sentences),
        tuple(differences),
        Verdict.DISAGREE if ported else _verdict(differences, alike, broken),
        tuple(notes),
        {run.label: run.examined.report for run in runs if run.examined},
        sum(run.evaluations for run in runs),
        seconds,
    )


def _differences(
    parties: Sequence[Party], measured: Sequence[tuple[Party, bool]], values: Difference | None
) -> list[Difference]:
    """Collect where values differ, where derivatives of one function do, and what measured slopes exclude."""
    found = [] if values is None else [values]
    for some in _of_one_function(parties, values):
        found += differing_derivatives(some)
    for party, excluded in measured if values is None else ():
        if excluded:
            found += [d for d in differing_derivatives([parties[0], party]) if d.cause is Cause.FUNCTION]
    return found


def _of_one_function(parties: Sequence[Party], values: Difference | None) -> list[list[Party]]:
    """Put those together whose values are those of one function."""
    groups = [tuple(party.label for party in parties)] if values is None else values.groups
    found = [[party for party in parties if party.label in labels] for labels in groups]
    return [some for some in found if some]


def _parties(runs: Sequence[Run]) -> list[Party]:
    """Return the derivatives that can be compared entry by entry: those of the shape that most have."""
    found = [Party(run.label, run.evidence.claimed, run.evidence.judgement) for run in runs if run.evidence]
    shapes = [party.claimed.shape for party in found]
    return [party for party in found if shapes and party.claimed.shape == max(shapes, key=shapes.count)]


def _measured(runs: Sequence[Run], parties: Sequence[Party], seed: int) -> list[tuple[Party, bool]]:
    """Measure the derivatives of plain NumPy functions, and tell whether that excludes what the others claim."""
    found = []
    for run in runs if parties else ():
        if run.problem is None or run.examined is not None:
            continue
        with prepared(run.call, seed) as arena:
            judged = judge(Witness(arena.reference, seed=seed), parties[0].claimed, run.problem.precision)
            run.problem.evaluations += arena.reference.evaluations
        excluded = bool(np.any((judged.verdict == DISAGREE) & (parties[0].judgement.verdict == AGREE)))
        found.append((Party(run.label, judged.value, _agreeing(judged)), excluded))
    return found


def _unmeasured(parties: Sequence[Party], measured: Sequence[tuple[Party, bool]]) -> list[str]:
    """Say how many slopes of plain functions could not be measured, where not for want of a derivative."""
    missing = np.any([party.judgement.missing() for party in parties], axis=0) if parties else False
    lines = []
    for party, _ in measured:
        lost = ~np.isfinite(party.claimed) & ~missing
        if np.any(lost):
            lines.append(f"{party.label}: {np.count_nonzero(lost)} of {lost.size} slopes could not be measured")
    return lines


def _agreeing(judgement: Judgement) -> Judgement:
    """Take measured slopes for claims that agree with themselves, to their error bars."""
    return replace(judgement, verdict=np.zeros_like(judgement.verdict))


def _verdict(differences: Sequence[Difference], alike: Sequence[Run], broken: bool) -> Verdict:
    causes = {d.cause for d in differences}
    if causes & {Cause.WRONG, Cause.FUNCTION}:
        return Verdict.DISAGREE
    own = [run.examined.report.verdict for run in alike if run.examined]
    if Verdict.DISAGREE in own:
        return Verdict.DISAGREE
    if causes or broken or len(alike) < 2:
        return Verdict.INCONCLUSIVE
    return Verdict.worst(own) if own else Verdict.INCONCLUSIVE


def _other_disagreements(runs: Sequence[Run], differences: Sequence[Difference]) -> list[str]:
    """Say what an implementation's own check calls wrong beside the entries that were compared."""
    blamed = {label for d in differences if d.cause is Cause.WRONG for label in d.blamed}
    return [
        f"{run.label}: {c.claim.source} disagrees with {c.reference.source}: {c.worst[0].name} is "
        f"{c.worst[0].claimed:.6g} against {c.worst[0].measured:.6g}"
        for run in runs
        if run.examined and run.label not in blamed
        for c in run.examined.report.comparisons
        if c.verdict is Verdict.DISAGREE and c.worst
    ]


def _title(runs: Sequence[Run]) -> str:
    titles = list(dict.fromkeys(run.call.title for run in runs))
    dtypes = list(dict.fromkeys(leaf.array.dtype.name for leaf in runs[0].call.varying if leaf.array is not None))
    return f"{titles[0] if len(titles) == 1 else 'crosscheck'}, {' '.join(dtypes)}"


def _name(runs: Sequence[Run], difference: Difference) -> str:
    problem = next(run.problem for run in runs if run.problem is not None)
    if len(difference.place) == 1:
        return problem.outputs.entry(difference.place[0])
    row, output = difference.place
    return problem.entry(output, row)


def _other_layouts_or_gauges(runs: Sequence[Run], values: Difference) -> list[str]:
    """Say what would make values fit that differ: another order of axes, or a function without a gauge."""
    outputs = {run.label: run.outputs for run in runs}
    return other_layouts(runs, values) or suggested(outputs, values.groups[0])


def _free_phases(runs: Sequence[Run]) -> list[str]:
    wrong = [run for run in runs if run.examined and run.examined.report.verdict is Verdict.DISAGREE]
    return [f"{run.label}: {line}" for run in wrong for line in free_phases(run.outputs)]
