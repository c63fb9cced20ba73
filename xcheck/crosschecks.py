"""The verb `crosscheck`: the same function in several frameworks, and which of them is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import permutations
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xcheck.agreement import (
    LESS_ACCURATE,
    Cause,
    Difference,
    Party,
    differing_derivatives,
    differing_values,
    digits,
    group,
)
from xcheck.budget import read_budget
from xcheck.call import Call, Wrt, read_call
from xcheck.checks import Evidence, Examined, examine_call, prepared
from xcheck.derivatives import Reverse
from xcheck.gauges import compared, free_phases, likely_gauge, suggested
from xcheck.implementation import Implementation, Missing, as_numpy, read_implementations
from xcheck.judgement import AGREE, DISAGREE, Judgement, judge
from xcheck.parameters import Bound, bind_parameters
from xcheck.problem import OutputChanged, Problem
from xcheck.protocol import RealArray, supports_jvp, supports_vjp
from xcheck.randomness import pinned
from xcheck.reference.grid import signed_probes
from xcheck.reference.witness import Witness
from xcheck.report import CrossReport, Row, require_agreement
from xcheck.report.sentences import describe
from xcheck.rounding import value_rounding
from xcheck.verdict import Verdict


@dataclass
class _Run:
    """One implementation, and what came of it."""

    given: Implementation
    call: Call
    problem: Problem | None = None
    examined: Examined | None = None
    failure: str = ""

    @property
    def label(self) -> str:
        return self.given.label

    @cached_property
    def evidence(self) -> Evidence | None:
        """The derivative that stands for it: reverse mode, or what was given by hand."""
        found = self.examined.evidence if self.examined else ()
        return found[0] if found else None


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
    runs, ported = _read_runs(found, arrays, fixed, wrt)
    for run in runs:
        _run(run, seed, witness, planned)
    report = _compare(runs, missing, ported, seed, witness is not None, perf_counter() - start)
    if raises:
        require_agreement(report)
    return report


def _read_runs(
    found: Sequence[Implementation], arrays: tuple[Any, ...], kwargs: dict[str, Any], wrt: Wrt
) -> tuple[list[_Run], list[str]]:
    """Open the calls, at the first implementation's parameters where there are any; says whose own ones are others.

    Raises:
        ValueError: some have parameters and some have none, or they are not the same by name and shape.
    """
    bound = {given.label: bind_parameters(given) for given in found}
    first = next((b for b in bound.values() if b is not None), None)
    if first is None:
        return [_Run(g, read_call(g.function, arrays, kwargs, g.backend, wrt)) for g in found], []
    runs, ported = [], []
    for given in found:
        own = bound[given.label]
        _require_the_same(found[0].label, first, given.label, own)
        assert own is not None
        runs.append(_Run(given, read_call(given.function, arrays, kwargs, given.backend, wrt, first.values)))
        ported += _other_parameters(found[0].label, first.values, given.label, own.values)
    return runs, ported


def _require_the_same(label: str, first: Bound, other: str, own: Bound | None) -> None:
    if own is None:
        raise ValueError(
            f"{label!r} has parameters and {other!r} has none; give them with "
            "xcheck.layout(f, parameters=tree, names={...})."
        )
    shapes, others = ({name: v.shape for name, v in b.values.items()} for b in (first, own))
    for name in (*shapes, *others):
        if shapes.get(name) != others.get(name):
            raise ValueError(
                f"the parameter {name!r} has shape {shapes.get(name, 'none')} in {label!r} and "
                f"{others.get(name, 'none')} in {other!r}. Map names and axes with xcheck.layout(f, names={{common: "
                "(own, 'OI->IO')})."
            )


def _other_parameters(
    label: str, values: Mapping[str, NDArray[Any]], other: str, own: Mapping[str, NDArray[Any]]
) -> list[str]:
    """Say which parameters were not ported as they are; all are compared at the first implementation's."""
    lines = []
    for name, value in values.items():
        gap = np.abs(np.asarray(own[name], np.complex128) - value)
        coarse = max(np.finfo(x.dtype).eps if x.dtype.kind in "fc" else 2.0**-7 for x in (value, own[name]))
        if np.any(gap > coarse * np.abs(value)):
            at = np.unravel_index(int(np.argmax(gap)), gap.shape)
            place = f"{name}[{', '.join(map(str, at))}]" if at else name
            lines.append(
                f"{other}'s parameters are others: {place} is {own[name][at]:.6g} in it and {value[at]:.6g} in "
                f"{label}. All were compared at {label}'s."
            )
    return lines


def _run(run: _Run, seed: int, witness: Callable[..., Any] | None, budget: Any) -> None:
    """Check one implementation; what it raises is kept, so that the others are still compared."""
    try:
        if _has_derivative(run.given):
            run.examined = examine_call(run.call, _given(run, seed), seed, witness, budget)
            run.problem = run.examined.problem
        else:
            with prepared(run.call, seed, None, budget) as arena:
                run.problem = arena.problem
    except Exception as error:
        run.failure = f"raised {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"


def _has_derivative(given: Implementation) -> bool:
    return given.derivative is not None or supports_vjp(given.backend) or supports_jvp(given.backend)


def _given(run: _Run, seed: int) -> dict[str, Callable[..., Any]]:
    """Read a derivative by hand as a gradient or a Jacobian, by how many numbers the function returns."""
    if run.given.derivative is None:
        return {}
    with prepared(run.call, seed) as arena:
        return {"gradient" if arena.problem.m == 1 else "jacobian": run.given.derivative}


def _compare(
    runs: Sequence[_Run],
    missing: Sequence[Missing],
    ported: Sequence[str],
    seed: int,
    witness: bool,
    seconds: float,
) -> CrossReport:
    able = [run for run in runs if run.problem is not None]
    notes = [f"{run.label}: {run.failure}" for run in runs if run.failure]
    notes += [f"{m.label}: {m.reason}" for m in missing]
    notes += compared({run.label: run.given.function for run in runs})
    alike, shapes = _of_one_shape(able)
    notes += shapes
    differences: list[Difference] = []
    rounding = {run.label: _rounding(run, seed) for run in alike}
    values = _differing_values(alike, rounding)
    if values is not None:
        differences.append(values)
    parties = _parties(alike)
    pulled = _pulled(alike, seed)
    measured = _measured(alike, parties, seed)
    for some in _of_one_function(parties, values):
        differences += differing_derivatives(some)
    for party, excluded in measured if values is None else ():
        if excluded:
            differences += [d for d in differing_derivatives([parties[0], party]) if d.cause is Cause.FUNCTION]
    if values is not None:
        notes += _other_layouts(alike, values) or suggested(_outputs(alike), values.groups[0])
    wrong = [run for run in able if run.examined and run.examined.report.verdict is Verdict.DISAGREE]
    notes += [f"{label}: {line}" for label, own in _outputs(wrong).items() for line in free_phases(own)]
    notes += _other_disagreements(runs, differences)
    unmeasured = [f"{p.label}: no slope could be measured" for p, _ in measured if not np.all(np.isfinite(p.claimed))]
    notes += unmeasured
    notes += [*_dtypes(alike), *_less_accurate(alike, values, rounding)]
    entries = {party.label: party.claimed for party in (*parties, *(party for party, _ in measured))}
    rows = [_row(run, alike, entries, pulled) for run in runs] + [Row(m.label, "not installed") for m in missing]
    broken = bool(shapes or unmeasured or any(run.failure for run in runs))
    labels = [run.label for run in alike]
    sentences = [describe(d, _name(alike, d), labels, witness) for d in differences]
    return CrossReport(
        _title(runs),
        tuple(rows),
        (*ported, *sentences),
        tuple(differences),
        Verdict.DISAGREE if ported else _verdict(differences, alike, broken),
        tuple(notes),
        {run.label: run.examined.report for run in runs if run.examined},
        sum(_evaluations(run) for run in runs),
        seconds,
    )


def _verdict(differences: Sequence[Difference], alike: Sequence[_Run], broken: bool) -> Verdict:
    causes = {d.cause for d in differences}
    if causes & {Cause.WRONG, Cause.FUNCTION}:
        return Verdict.DISAGREE
    own = [run.examined.report.verdict for run in alike if run.examined]
    if Verdict.DISAGREE in own:
        return Verdict.DISAGREE
    if causes or broken or len(alike) < 2:
        return Verdict.INCONCLUSIVE
    return Verdict.worst(own) if own else Verdict.INCONCLUSIVE


def _other_disagreements(runs: Sequence[_Run], differences: Sequence[Difference]) -> list[str]:
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


def _title(runs: Sequence[_Run]) -> str:
    titles = list(dict.fromkeys(run.call.title for run in runs))
    dtypes = list(dict.fromkeys(leaf.array.dtype.name for leaf in runs[0].call.varying if leaf.array is not None))
    return f"{titles[0] if len(titles) == 1 else 'crosscheck'}, {' '.join(dtypes)}"


def _evaluations(run: _Run) -> int:
    if run.examined is not None:
        return run.examined.report.evaluations
    return run.problem.evaluations if run.problem is not None else 0


# Values


def _of_one_shape(runs: Sequence[_Run]) -> tuple[list[_Run], list[str]]:
    """Return the implementations whose outputs and inputs have the shapes that most have, and what to say of others."""
    shapes = {run.label: _shapes(run.problem) for run in runs if run.problem is not None}
    if not shapes:
        return [], []
    counts = [*shapes.values()]
    usual = max(counts, key=counts.count)
    alike = [run for run in runs if shapes[run.label] == usual]
    others = [run for run in runs if shapes[run.label] != usual]
    lines = [_misfit(run, alike[0], shapes[run.label], usual) for run in others]
    return alike, lines


def _shapes(problem: Problem) -> tuple[Any, ...]:
    blocks = [block for space in (problem.inputs, problem.outputs) for block in space.blocks]
    return tuple((block.shape, block.is_complex) for block in blocks)


def _misfit(run: _Run, usual: _Run, own: tuple[Any, ...], others: tuple[Any, ...]) -> str:
    assert run.problem is not None
    assert usual.problem is not None
    here = [block.shape for block in run.problem.outputs.blocks]
    there = [block.shape for block in usual.problem.outputs.blocks]
    text = f"{run.label}: returns {_listed(here)}, where {usual.label} returns {_listed(there)}; it is left out"
    if len(own) != len(others):
        counts = [len(r.problem.inputs.blocks) for r in (run, usual) if r.problem is not None]
        return f"{text} ({counts[0]} of its inputs vary, against {counts[1]})"
    gauge = likely_gauge(*_outputs([run, usual]).values())
    if gauge:
        return f"{text}. xcheck.invariant(f, {gauge!r}) around each would make them fit"
    if [b.is_complex for b in run.problem.outputs.blocks] != [b.is_complex for b in usual.problem.outputs.blocks]:
        return f"{text} (complex numbers against real ones)"
    fit = _fitting_layout(run.problem, usual.problem)
    return f"{text}. xcheck.layout(f, outputs={fit!r}) would make them fit" if fit else text


def _outputs(runs: Sequence[_Run]) -> dict[str, list[NDArray[Any]]]:
    return {run.label: run.problem.outputs.unpack(run.problem.y) for run in runs if run.problem is not None}


def _listed(shapes: Sequence[tuple[int, ...]]) -> str:
    return ", ".join(str(shape) for shape in shapes)


def _other_layouts(runs: Sequence[_Run], values: Difference) -> list[str]:
    """Say which order of axes would make the values of other groups those of the largest."""
    usual = next(run for run in runs if run.label in values.groups[0])
    lines = []
    for run in runs:
        if run.label in values.groups[0] or run.problem is None or usual.problem is None:
            continue
        fit = _fitting_layout(run.problem, usual.problem)
        if fit:
            lines.append(f"{run.label}: xcheck.layout(f, outputs={fit!r}) would give the values of {usual.label}")
    return lines


def _fitting_layout(problem: Problem, usual: Problem) -> str:
    """Return the order of axes in which a lone output holds the same numbers as another's, or nothing."""
    if len(problem.outputs.blocks) != 1 or len(usual.outputs.blocks) != 1:
        return ""
    here, there = problem.outputs.blocks[0], usual.outputs.blocks[0]
    if len(here.shape) != len(there.shape) or len(here.shape) > 5:
        return ""
    a, b = here.unpack(problem.y), there.unpack(usual.y)
    names = "NHWC" if len(here.shape) == 4 else "ABCDE"[: len(here.shape)]
    for order in permutations(range(len(here.shape))):
        moved = np.transpose(a, order)
        if moved.shape == b.shape and digits(np.ravel(moved).real, np.ravel(b).real) > 6:
            return f"{names}->{''.join(names[k] for k in order)}"
    return ""


def _of_one_function(parties: Sequence[Party], values: Difference | None) -> list[list[Party]]:
    """Put those together whose values are those of one function."""
    groups = [tuple(party.label for party in parties)] if values is None else values.groups
    found = [[party for party in parties if party.label in labels] for labels in groups]
    return [some for some in found if some]


def _less_accurate(runs: Sequence[_Run], values: Difference | None, rounding: Mapping[str, RealArray]) -> list[str]:
    """Say where values of one function agree to fewer digits than rounding explains."""
    groups = [tuple(run.label for run in runs)] if values is None else values.groups
    lines = []
    for labels in groups:
        problems = [run.problem for run in runs if run.label in labels and run.problem is not None]
        y, allowed = (
            np.array([p.y for p in problems]),
            np.array([rounding[run.label] for run in runs if run.label in labels and run.problem is not None]),
        )
        far = np.any(np.abs(y[:, None] - y[None]) > allowed[:, None] + allowed[None], axis=-1)
        if np.any(far):
            parts = group(labels, ~far)
            least = min(digits(y[i], y[j]) for i, j in np.argwhere(far))
            who = " and those of ".join(", ".join(part) for part in parts)
            lines.append(f"the values of {who} agree to {least:.0f} digits only, fewer than rounding explains")
    return lines


@contextmanager
def _again(run: _Run, seed: int) -> Iterator[Problem]:
    """Pin the generators again, which the check has given back, for evaluations after it."""
    assert run.problem is not None
    with pinned(run.call.backend, seed) as rewind, np.errstate(all="ignore"):
        yield replace(run.problem, rewind=rewind)


def _rounding(run: _Run, seed: int) -> RealArray:
    """Measure how far rounding takes values; of a function that returns something else nearby, nothing is measured."""
    with _again(run, seed) as problem:
        try:
            return value_rounding(problem)
        except OutputChanged:
            return np.zeros(problem.m)


def _differing_values(runs: Sequence[_Run], rounding: Mapping[str, RealArray]) -> Difference | None:
    problems = [run.problem for run in runs if run.problem is not None]
    if len(problems) < 2:
        return None
    values = np.array([problem.y for problem in problems])
    allowed = np.array([rounding[run.label] for run in runs if run.problem is not None])
    size = problems[0].outputs.largest(np.max(np.abs(values), axis=0, initial=0.0, where=np.isfinite(values)))
    rounded = np.maximum(allowed, LESS_ACCURATE / 2 * size)
    return differing_values([run.label for run in runs], values, rounded)


def _dtypes(runs: Sequence[_Run]) -> list[str]:
    """Say which implementation returns, or computes in, a lower precision than its inputs have."""
    lines = []
    for run in runs:
        assert run.problem is not None
        given = min(block.precision for block in run.problem.inputs.blocks)
        for block in run.problem.outputs.blocks:
            y = run.problem.y[block.slice]
            names = [b.dtype.name for b in run.problem.inputs.blocks]
            if block.precision < given:
                lines.append(f"{run.label}: {block.name} is {block.dtype.name}, though its inputs are {names[0]}")
            elif given == 53 and len(y) > 3 and np.any(y != np.round(y)) and np.array_equal(y, np.float32(y)):
                lines.append(f"{run.label}: every number of {block.name} is one of float32: it is computed in that")
    return lines


# Derivatives


def _parties(runs: Sequence[_Run]) -> list[Party]:
    """Return the derivatives that can be compared entry by entry: those of the shape that most have."""
    found = [Party(run.label, run.evidence.claimed, run.evidence.judgement) for run in runs if run.evidence]
    shapes = [party.claimed.shape for party in found]
    return [party for party in found if shapes and party.claimed.shape == max(shapes, key=shapes.count)]


def _measured(runs: Sequence[_Run], parties: Sequence[Party], seed: int) -> list[tuple[Party, bool]]:
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


def _agreeing(judgement: Judgement) -> Judgement:
    """Take measured slopes for claims that agree with themselves, to their error bars."""
    return replace(judgement, verdict=np.zeros_like(judgement.verdict))


def _pulled(runs: Sequence[_Run], seed: int) -> dict[str, RealArray]:
    """Pull one cotangent back through every implementation that has a reverse rule; by label, shape (n,)."""
    found = {}
    for run in runs:
        if run.problem is None or run.given.derivative is not None or not supports_vjp(run.given.backend):
            continue
        cotangent = signed_probes(np.random.default_rng(17), 1, run.problem.m)[0]
        with suppress(Exception), _again(run, seed) as problem:  # what the rule raises is in its own report
            found[run.label] = Reverse(problem).pull(cotangent)
    return found


def _row(run: _Run, runs: Sequence[_Run], entries: Mapping[str, RealArray], pulled: Mapping[str, RealArray]) -> Row:
    """Summarise one implementation; derivatives that were not compared entry by entry are by one product of each."""
    if run.problem is None:
        return Row(run.label, run.failure)
    if all(run is not other for other in runs):
        return Row(run.label, "another shape")
    values: dict[str, float] = {}
    derivatives: dict[str, float] = {}
    for other in runs:
        if other is run or other.problem is None:
            continue
        values[other.label] = digits(run.problem.y, other.problem.y)
        for known in (entries, pulled):
            if run.label in known and other.label in known:
                derivatives.setdefault(other.label, digits(known[run.label], known[other.label]))
    if run.examined is None:
        return Row(run.label, "values only", "", {}, values, derivatives)
    report = run.examined.report
    quantity = report.comparisons[0].quantity if report.comparisons else ""
    verdicts = {_what(c.claim.source, c.reference.source): c.verdict for c in report.comparisons}
    return Row(run.label, str(report.verdict), quantity, verdicts, values, derivatives)


def _what(claim: str, reference: str) -> str:
    return f"{claim.rpartition('/')[2]} vs {reference.rpartition('/')[2]}"


def _name(runs: Sequence[_Run], difference: Difference) -> str:
    problem = next(run.problem for run in runs if run.problem is not None)
    if len(difference.place) == 1:
        return problem.outputs.entry(difference.place[0])
    row, output = difference.place
    return problem.entry(output, row)
