"""The verb `crosscheck`: the same function in several frameworks, and which of them is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any

from xcheck.across.evidence import (
    compared_entries,
    differing_integers,
    differing_products,
    named,
    natural_slopes,
    own_disagreements,
    probed_only,
    unmeasured_slopes,
)
from xcheck.across.fitting import of_one_shape, other_layouts
from xcheck.across.matrix import draw_up
from xcheck.across.porting import read_runs
from xcheck.across.runs import Run
from xcheck.across.values import Values, compare_values, fewer_digits, lower_dtypes
from xcheck.agreement import Cause, Difference, Party, differing_derivatives
from xcheck.budget import read_budget
from xcheck.call import Wrt
from xcheck.gauges.recognition import compared, free_phases, suggested
from xcheck.implementation import Missing, as_numpy, read_implementations
from xcheck.protocol import RealArray
from xcheck.report import CrossReport, Row, require_agreement
from xcheck.report.sentences import describe
from xcheck.verdict import Verdict


def crosscheck(
    functions: Mapping[str, Any] | Callable[..., Any],
    *inputs: Any,
    backends: Sequence[str] | None = None,
    witness: Callable[..., Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    wrt: Wrt = None,
    budget: float | int | None = None,
    share: bool = False,
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
        share: read inputs of another framework than NumPy in place, through DLPack, instead of copying them once. What
            the implementations are given is a copy of their own either way.
        raises: raise on anything but agreement.
        seed: chooses the steps and pins every random generator.

    Returns:
        The report: a row for every implementation, how far each pair agrees, and who is wrong.

    Raises:
        BufferError: `share`, and an input cannot be read in place, such as one on a GPU or of bfloat16.
        DerivativeError: one is wrong, or computes another function, and `raises`.
        InconclusiveError: they follow different conventions, or values settle nothing, and `raises`.
        ModuleNotFoundError: fewer than two of the frameworks are installed.
        TypeError: an argument is of the wrong kind, or nothing varies.
        ValueError: fewer than two implementations were given, or a label begins with no backend's name.
    """
    __tracebackhide__ = True
    start = perf_counter()
    found, missing = read_implementations(functions, backends)
    arrays, fixed, planned = as_numpy(inputs, share), dict(kwargs or {}), read_budget(budget)
    runs, ported = read_runs(found, arrays, fixed, wrt)
    for run in runs:
        run.check(seed, witness, planned)
    if witness is not None:
        _require_fitting_witness(runs)
    report = _compare(runs, missing, ported, seed, witness is not None, start)
    if raises:
        require_agreement(report)
    return report


def _compare(
    runs: Sequence[Run],
    missing: Sequence[Missing],
    ported: Sequence[str],
    seed: int,
    witness: bool,
    start: float,
) -> CrossReport:
    able = [run for run in runs if run.problem is not None]
    alike, shapes = of_one_shape(able)
    rounding = {run.label: run.rounding(seed) for run in alike}
    values = compare_values(alike, rounding)
    parties = compared_entries(alike, seed)
    pulled = {run.label: product for run in alike if (product := run.pulled(seed)) is not None}
    fixed = differing_integers(alike)
    differences = [named(d, alike) for d in _differences(alike, parties, values, pulled, seed)]
    differences += own_disagreements(alike, differences)
    unmeasured = unmeasured_slopes(alike, parties)
    notes = [
        *(f"{run.label}: {run.failure}" for run in runs if run.failure),
        *(f"{m.label}: {m.reason}" for m in missing),
        *(f"{run.label}: {run.misfit}" for run in runs if run.misfit),
        *compared({run.label: run.given.function for run in runs}),
        *shapes,
        *(_other_layouts_or_gauges(alike, values) if values.differences else ()),
        *_free_phases(able),
        *unmeasured,
        *probed_only(alike),
        *lower_dtypes(alike),
        *fewer_digits(alike, values, rounding),
    ]
    entries = {party.label: party.claimed for party in parties}
    labels = [run.label for run in alike]
    causes = {run.label: run.causes for run in alike}
    broken = bool(shapes or unmeasured or fixed or any(run.failure or run.misfit for run in runs))
    return CrossReport(
        _title(runs),
        (*draw_up(runs, alike, entries, pulled, differences), *(Row(m.label, "not installed") for m in missing)),
        (*ported, *(describe(d, labels, witness, causes) for d in differences), *fixed),
        tuple(differences),
        Verdict.DISAGREE if ported else _verdict(differences, alike, broken),
        tuple(notes),
        {run.label: run.examined.report for run in runs if run.examined},
        sum(run.evaluations for run in runs),
        perf_counter() - start,
    )


def _differences(
    runs: Sequence[Run], parties: Sequence[Party], values: Values, pulled: Mapping[str, RealArray], seed: int
) -> list[Difference]:
    """Collect where values differ, and where derivatives do among those of one function."""
    found = [*values.differences, *values.unsettled]
    for labels in values.groups:
        own = [run for run in runs if run.label in labels]
        some = [party for party in parties if party.label in labels]
        if some:
            found += differing_derivatives(some, natural_slopes(own[0]))
        if len(some) < len(own):  # what is too large for all entries
            found += differing_products(own, pulled, seed)
    return found


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


def _require_fitting_witness(runs: Sequence[Run]) -> None:
    """Raise if a witness is the function of none of the implementations."""
    able = [run for run in runs if run.examined is not None]
    if able and all(run.misfit for run in able):
        raise ValueError(able[0].misfit)


def _title(runs: Sequence[Run]) -> str:
    titles = list(dict.fromkeys(run.call.title for run in runs))
    dtypes = list(dict.fromkeys(leaf.array.dtype.name for leaf in runs[0].call.varying if leaf.array is not None))
    return f"{titles[0] if len(titles) == 1 else 'crosscheck'}, {' '.join(dtypes)}"


def _other_layouts_or_gauges(runs: Sequence[Run], values: Values) -> list[str]:
    """Say what would make values fit that differ: another order of axes, or a function without a gauge."""
    outputs = {run.label: run.outputs for run in runs}
    return other_layouts(runs, values.groups[0]) or suggested(outputs, values.groups[0])


def _free_phases(runs: Sequence[Run]) -> list[str]:
    wrong = [run for run in runs if run.examined and run.examined.report.verdict is Verdict.DISAGREE]
    return [f"{run.label}: {line}" for run in wrong for line in free_phases(run.outputs)]
