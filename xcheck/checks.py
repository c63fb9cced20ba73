"""The verbs: `check` a function's derivatives, or just measure them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache, partial
from math import inf
from os import PathLike
from time import perf_counter
from typing import Any

import numpy as np

from xcheck.baselines.archive import read_baseline
from xcheck.baselines.baseline import Baseline, Recorded
from xcheck.baselines.golden import hold_against
from xcheck.baselines.matching import Matched, match
from xcheck.baselines.recording import Pull, make_baseline
from xcheck.budget import MANY, SECONDS, Budget, Plan, plan, read_budget
from xcheck.call import Call, Wrt, read_call
from xcheck.causes import Rerun, explained
from xcheck.claim import Claim
from xcheck.comparison import Comparison, compare
from xcheck.consistency import Modes, Undecided, judge_modes, neighbours, summarise_modes
from xcheck.contract import Contract, examine_contract, owes_contract, raised
from xcheck.derivatives import Forward, Reverse, forward_jacobian, is_linear, quantity_of, reduced, reverse_jacobian
from xcheck.gauges.recognition import compared, free_phases
from xcheck.given import Given, given_diagonal, given_gradient, given_jacobian, given_jvp, given_vjp
from xcheck.high_precision import long_double, read_witness
from xcheck.ignored import is_ignored
from xcheck.judgement import AGREE, DISAGREE, INCONCLUSIVE, Judgement, judge
from xcheck.kernel import compare_values, judge_kernel, note_reference, with_ulps
from xcheck.planting import Planted, Plants, Product, plant
from xcheck.probing import (
    Arena,
    Products,
    PulledRows,
    compare_diagonal,
    forward_products,
    input_probes,
    judge_diagonal,
    judge_products,
    own_error,
    pulled_rows,
    pushes,
    reverse_products,
    summarise_products,
)
from xcheck.problem import Problem
from xcheck.protocol import Backend, RealArray, supports_jvp, supports_vjp
from xcheck.raised import first_line
from xcheck.randomness import pinned
from xcheck.reference.grid import Coordinates
from xcheck.reference.witness import Witness
from xcheck.report import Power, Report, require_agreement
from xcheck.rules import (
    compare_again,
    compare_value,
    examine_forward,
    examine_products,
    examine_reverse,
    repeats_itself,
    scales,
)
from xcheck.second_order import (
    compare_linearity,
    gradient_arena,
    mirror,
    nothing_compared,
    pushed_arena,
    summarise,
)
from xcheck.smooth import at_smooth_point
from xcheck.trials import Bed, bed_of_entries, bed_of_products, run_trials, worst_code
from xcheck.twins import Twins
from xcheck.verdict import Verdict
from xcheck.wirtinger import convention, holomorphy

FORWARD_COLUMNS = 8
"""Up to this many inputs the whole forward-mode Jacobian is compared with the reference; beyond, three products with
the reverse-mode Jacobian stand for it, and the whole follows only if they differ."""

DIAGONAL_FROM = 8
"""Diagonals of more inputs than this are first compared by products with probes."""

SETTLED = 64
"""Inputs whose open entries are looked at in long double; it has no fast matrix products."""

FEW = 4
"""So many of them first."""

Derivative = Callable[..., Any]


def check(
    f: Callable[..., Any],
    *inputs: Any,
    backend: str | Backend | None = None,
    gradient: Derivative | None = None,
    jacobian: Derivative | None = None,
    diagonal: Derivative | None = None,
    vjp: Derivative | None = None,
    jvp: Derivative | None = None,
    has_gradient: bool = False,
    kwargs: Mapping[str, Any] | None = None,
    wrt: Wrt = None,
    order: int = 1,
    witness: Callable[..., Any] | None = None,
    reference: Derivative | None = None,
    budget: float | int | None = None,
    smooth_points: bool = False,
    baseline: str | PathLike[str] | Baseline | None = None,
    contract: bool | None = None,
    raises: bool = True,
    seed: int = 0,
) -> Report:
    """Check a function's derivatives against finite differences that carry an error bar.

    Without a hand-written derivative, the backend's own reverse and forward mode are checked, against the reference
    and against each other. With one or more, those are checked. Costs about four evaluations for every input, in few
    batched calls where the backend can; a problem too large for its whole Jacobian is checked by random probes.

    Args:
        f: the function, called as `f(*inputs, **kwargs)`. It may take and return any pytree of arrays. Modules of the
            backend are checked with respect to their named parameters as well.
        *inputs: the point. Floating-point and complex arrays vary; everything else is held constant and reported.
        backend: "numpy", "torch", "jax", "tensorflow", another registered name, or a backend object. None means the
            framework of the inputs; give one to check a framework's function at NumPy inputs.
        gradient: hand-written `gradient(*inputs)` of a function with one number as output.
        jacobian: hand-written `jacobian(*inputs)`: shape (m, n), or `output.shape + input.shape`.
        diagonal: hand-written `diagonal(*inputs)`: d out_i / d x_i, the shape of the input.
        vjp: hand-written backward pass `vjp(*inputs, cotangent)`.
        jvp: hand-written forward derivative `jvp(*inputs, *tangents)`.
        has_gradient: `f` returns `(value, gradient)`, SciPy's `jac=True` convention.
        kwargs: keyword arguments for `f`, and for those given derivatives that accept them.
        wrt: which inputs vary: positions or names; all that can if None.
        order: 2 checks the derivative of the gradient through the rule as well, against differences of the gradient:
            double backward, and forward mode over reverse mode. It costs about four gradients more for every input and
            output.
        witness: the same function in higher precision, called with the same arguments as mpmath numbers (arrays of
            them as NumPy object arrays, of 50 digits or more) or, if it does not accept those, as `np.longdouble`. The
            reference is then measured on it, which settles what float64 values cannot: tails, cancellation.
        reference: an implementation of the same function for float64, called as `f` is with the same inputs in 64
            bits, for kernels that exist only in lower precision. The finite differences are made of it, its values are
            compared with the kernel's first, and the report compares the kernel's derivative with its own, in ulps.
        budget: what the check may cost: seconds as a float, function evaluations as an int; about a second if None. If
            all entries of the Jacobian cost more, products with random probes are compared, and the report says so.
        smooth_points: where the point has no derivative, check at a point nearby that has one, and say so.
        baseline: a file that `Report.save_baseline` wrote at this point, in whatever framework, or what `load_baseline`
            read from it. The value, and then every first derivative, is compared with it, to rounding and error bars.
        contract: look at what a derivative rule owes beyond right values as well: the same gradient for cotangents in
            any memory, for one output or one input alone, after a call with other data, twice in one graph, under
            vmap and compiled; zero for zero; the inputs, what the forward saved and the cotangent unchanged; the
            input's dtype. A broken one disagrees, what is not supported is noted. None does so if the function has a
            rule that is no part of the framework: a `torch.autograd.Function`, a `torch.library` operator or a C++
            one on torch's tape; a `jax.custom_vjp` or `custom_jvp` in the jaxpr; a `tf.custom_gradient` that is
            reached when the function is traced. What hides from tape and trace is not told. It takes at most twice the
            check's own time or a second, or the seconds of `budget`; `torch.compile` runs only if `budget` is given and
            has the seconds for it.
        raises: raise on anything but agreement.
        seed: chooses the steps and pins every random generator; the same seed gives the same report.

    Returns:
        The report. It has no truth value; use `.ok` or `.verdict`.

    Raises:
        DerivativeError: a derivative is wrong, and `raises`.
        InconclusiveError: a derivative could not be decided, and `raises`.
        FileNotFoundError: there is no file `baseline`.
        TypeError: something cannot be checked at all, such as integer inputs or a function that returns None.
        ValueError: an argument does not fit the function, such as a gradient of the wrong shape, a witness that
            computes something else, or a baseline of another point.
    """
    __tracebackhide__ = True
    given = {"gradient": gradient, "jacobian": jacobian, "diagonal": diagonal, "vjp": vjp, "jvp": jvp}
    derivatives = {name: _require_derivative(name, g) for name, g in given.items() if g is not None}
    if contract is not None and not isinstance(contract, bool):
        raise TypeError(f"contract= must be True, False or None; given: {type(contract).__name__}.")
    _require_order(order, [*derivatives, *(["has_gradient"] if has_gradient else [])])
    if order == 2 and reference is not None:
        raise ValueError("order=2 takes no reference=: it differentiates the function's own rule. Accepted: order=1.")
    if witness is not None and reference is not None:
        raise ValueError("give witness= or reference=, not both: the finite differences are made of one function.")
    if baseline is not None and smooth_points:
        raise ValueError("baseline= holds one point, and smooth_points=True may leave it; give one of them.")
    fixed, planned = dict(kwargs or {}), read_budget(budget)
    saved = None if baseline is None else read_baseline(baseline)
    pair = f if has_gradient else None
    call = read_call(_value_only(f) if has_gradient else f, inputs, fixed, backend, wrt)

    def examine(call: Call) -> tuple[Report, Problem]:
        start = perf_counter()
        with prepared(call, seed, witness, planned, reference) as arena:
            matched = None if saved is None else match(arena.problem, saved)
            found = _examine(arena, derivatives, pair, fixed, order, contract)
            if matched is not None:
                found.hold_against(arena.problem, matched)
            again = partial(test_power, call, arena.plan)
            return _report(arena, found, bool(derivatives) or has_gradient, start, again), arena.problem

    def test_power(call: Call, plan: Plan, report: Report, trials: int, entries: int) -> Power:
        with prepared(call, seed, witness, planned, reference, plan) as arena:
            found = _examine(arena, derivatives, pair, fixed, order, contract)
            again = _report(arena, found, bool(derivatives) or has_gradient, perf_counter())
            for problem in found.problems:
                problem.remember()
            tested = run_trials(report, again, found.beds, trials, entries)
            return replace(tested, evaluations=_evaluations(found))

    report = at_smooth_point(call, examine, seed) if smooth_points else examine(call)[0]
    if raises:
        require_agreement(report)
    return report


def examine_call(
    call: Call,
    derivatives: Mapping[str, Derivative],
    seed: int = 0,
    witness: Callable[..., Any] | None = None,
    budget: Budget = None,
) -> Examined:
    """Check one call, and keep what every entry was found to be.

    Args:
        call: the function and its inputs.
        derivatives: those given by hand, by the names of the arguments of `check`; the backend's own if there are none.
        seed: chooses the steps and pins every random generator.
        witness: the same function in higher precision.
        budget: what it may cost.

    Raises:
        ValueError: there is no derivative to check, or one does not fit.
    """
    start = perf_counter()
    with prepared(call, seed, witness, budget) as arena:
        found = _examine(arena, dict(derivatives), None, {}, 1)
        report = _report(arena, found, bool(derivatives), start)
        return Examined(report, arena.problem, arena.reference, tuple(found.evidence))


@dataclass(frozen=True)
class Evidence:
    """A derivative with the judgement of every entry.

    Attributes:
        claim: whose it is, and in which precision.
        claimed: its entries, inputs first, shape (n, m), user units.
        judgement: what was found of them.
        derive: makes such entries at another point.
    """

    claim: Claim
    claimed: RealArray
    judgement: Judgement
    derive: Callable[[Problem], RealArray]

    def recorded(self) -> Recorded:
        """Return what a baseline keeps of it."""
        return Recorded.of(self.claim, self.claimed, self.judgement)


@dataclass(frozen=True)
class Examined:
    """A report with what it was made of.

    Attributes:
        report: the report.
        problem: the function at its point.
        reference: the problem that finite differences were made of.
        evidence: every derivative that was compared entry by entry.
    """

    report: Report
    problem: Problem
    reference: Problem
    evidence: tuple[Evidence, ...]


@dataclass
class _Findings:
    """What was found so far, and where errors can be planted: a bed for each comparison, or None."""

    comparisons: list[Comparison] = field(default_factory=list)
    evidence: list[Evidence] = field(default_factory=list)
    beds: list[Bed | None] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    pull: Pull | None = None
    owes: bool = False

    def hold_to(self, contract: Contract) -> None:
        self.add_all(contract.comparisons)
        self.notes += contract.notes
        self.unchecked += contract.unchecked

    def hold_against(self, problem: Problem, matched: Matched) -> None:
        own = [(one.recorded(), one.derive) for one in self.evidence]
        comparisons, unchecked = hold_against(problem, matched, own, self.pull, self.comparisons)
        self.add_all(comparisons)
        self.unchecked += unchecked
        self.notes += matched.notes

    def keep(self, call: Call, seed: int) -> Callable[[Report], Baseline]:
        """Return what makes a baseline of the report; it holds the entries and the call, and not the problem."""
        records, pull = [one.recorded() for one in self.evidence], self.pull

        def make(report: Report) -> Baseline:
            with pinned(call.backend, seed) as rewind, np.errstate(all="ignore"):
                return make_baseline(Problem.at(call, rewind), records, pull, report.comparisons)

        return make

    def add(self, comparison: Comparison, bed: Bed | None = None) -> None:
        self.comparisons.append(comparison)
        self.beds.append(bed)

    def add_all(self, comparisons: Sequence[Comparison]) -> None:
        for comparison in comparisons:
            self.add(comparison)


def _examine(
    arena: Arena,
    derivatives: dict[str, Derivative],
    value_and_gradient: Derivative | None,
    kwargs: dict[str, Any],
    order: int,
    contract: bool | None = False,
) -> _Findings:
    start = perf_counter()
    call, written = arena.problem.call, bool(derivatives) or value_and_gradient is not None
    found = _Findings(unchecked=[*call.unchecked(), *arena.problem.output.unchecked], problems=_distinct(arena))
    other = compare_values(arena.twins) if arena.twins else None
    if arena.problem.n == 0 or arena.problem.m == 0:
        found.notes.append("there is nothing to compare: the input or the output is empty")
    elif other is not None:
        found.add(other)
        found.unchecked.append("all derivatives: reference= has to be the same function first")
    elif written:
        _check_given(arena, derivatives, value_and_gradient, kwargs, found)
        if contract:
            found.unchecked.append("contract: a derivative was given, so the backend's own rule was not looked at")
    else:
        found.owes = owes_contract(arena.problem, contract)
        _check_backend(arena, found)
        if order == 2:
            _check_second_order(arena, found)
        if found.owes:
            forward = not any(line.startswith(f"{call.backend.name}/jvp: ") for line in found.unchecked)
            broken = any(c.verdict is Verdict.DISAGREE and c.reason for c in found.comparisons)
            found.hold_to(examine_contract(arena.problem, arena.budget, perf_counter() - start, broken, forward))
    return found


def _report(
    arena: Arena, found: _Findings, written: bool, start: float, plant: Callable[..., Power] | None = None
) -> Report:
    call = arena.problem.call
    _note_problem(arena, found)
    found.notes += convention(arena.problem, written)
    dtypes = " ".join(dict.fromkeys(block.dtype.name for block in arena.problem.inputs.blocks))
    return Report(
        call.title,
        f"{call.backend.name} {dtypes}",
        tuple(found.comparisons),
        _point(arena.problem),
        tuple(found.unchecked),
        tuple(found.notes),
        _evaluations(found),
        perf_counter() - start,
        plant,
        found.keep(call, arena.seed),
    )


def _distinct(arena: Arena) -> list[Problem]:
    return list({id(p): p for p in arena.problems}.values())


def _evaluations(found: _Findings) -> int:
    return sum(p.evaluations for p in found.problems)


@contextmanager
def prepared(
    call: Call,
    seed: int,
    witness: Callable[..., Any] | None = None,
    budget: Budget = None,
    reference: Derivative | None = None,
    chosen: Plan | None = None,
) -> Iterator[Arena]:
    """Pin the random generators, evaluate the point, and find the problem that the reference is measured on.

    What to compare is planned, unless it is `chosen` already.
    """
    with pinned(call.backend, seed) as rewind, np.errstate(all="ignore"):
        problem = Problem.at(call, rewind)
        if reference is not None:
            twins = Twins.of(problem, reference, seed)
            planned = chosen or plan(problem, twins.reference, budget)
            yield Arena(problem, twins.reference, seed, problem, planned, budget, twins)
            return
        wide = problem.in_float64() or problem
        measured = wide if witness is None else read_witness(problem, witness)
        yield Arena(problem, measured, seed, wide, chosen or plan(problem, measured, budget), budget)


def _check_given(
    arena: Arena,
    given: Mapping[str, Derivative],
    value_and_gradient: Derivative | None,
    kwargs: dict[str, Any],
    found: _Findings,
) -> None:
    readers: dict[str, Callable[[Problem, Derivative, Mapping[str, Any]], Given]] = {
        "gradient": given_gradient,
        "jacobian": given_jacobian,
        "diagonal": given_diagonal,
        "vjp": given_vjp,
        "jvp": given_jvp,
    }
    problem = arena.problem
    whole = arena.plan.whole
    read: dict[str, Callable[[Problem], Given]] = {
        f"{name}=": lambda p, name=name, g=g: readers[name](p, g, kwargs)  # type: ignore[misc]
        for name, g in given.items()
    }
    if value_and_gradient is not None:
        pair = value_and_gradient
        read["has_gradient="] = lambda p: given_gradient(p, lambda *a, **k: pair(*a, **k)[1], kwargs, "has_gradient=")
    start = perf_counter()
    claims = [reader(problem) for reader in read.values()]
    seconds = perf_counter() - start
    rows = [claim for claim in claims if not whole and claim.claim.value.shape == (1, problem.n)]
    rest = [claim for claim in claims if not any(claim is row for row in rows)]
    for claim in rows:
        found.add(*_probe_given(arena, claim))
        found.pull = Pull(claim.claim.source, claim.claim.precision, _row_of(read[claim.claim.source]))
    diagonals = [claim for claim in rest if _is_long_diagonal(problem, claim)]
    rest = [claim for claim in rest if not any(claim is long for long in diagonals)]
    for claim in diagonals:
        found.add(*_probe_diagonal(arena, claim))
        found.pull = Pull(claim.claim.source, claim.claim.precision, _diagonal_of(read[claim.claim.source]))
    if rest:
        witness = Witness(arena.reference, seed=arena.seed)
        for claim in rest:
            reader = read[claim.claim.source]
            comparison, bed, judgement = _compare_given(arena, witness, claim, reader)
            entries, rerun = _by_inputs(claim.claim), _rerun(arena, _entries_of(reader))
            found.add(explained(comparison, entries, judgement, arena.reference, arena.seed, rerun), bed)
            found.evidence.append(Evidence(claim.claim, _by_inputs(claim.claim), judgement, _entries_of(reader)))
        _note_ignored(arena, witness, found)
        found.notes += holomorphy(problem, witness)
    if seconds <= (arena.budget if isinstance(arena.budget, float) else SECONDS):
        for claim in claims:
            source = claim.claim.source
            _examine_given(arena, claim, read[source], given.get(source[:-1]), kwargs, found)
    found.unchecked += [line for claim in claims for line in claim.unchecked]
    modes = {"vjp": supports_vjp(problem.backend), "jvp": supports_jvp(problem.backend)}
    for mode in (mode for mode, there in modes.items() if there):
        found.unchecked.append(f"{problem.backend.name}/{mode}: a derivative was given, so that one was checked")


Reader = Callable[[Problem], Given]
"""Asks a given derivative at a problem's point."""


def _entries_of(reader: Reader) -> Callable[[Problem], RealArray]:
    return lambda problem: _by_inputs(reader(problem).claim)


def _rerun(arena: Arena, derive: Callable[[Problem], RealArray]) -> Rerun | None:
    return None if arena.twins else Rerun(arena.problem, derive)


def _row_of(reader: Reader) -> Callable[[Problem, RealArray], RealArray]:
    return lambda problem, w: np.asarray(w[0] * reader(problem).claim.value[0])


def _diagonal_of(reader: Reader) -> Callable[[Problem, RealArray], RealArray]:
    return lambda problem, w: w * reader(problem).claim.value


def _examine_given(
    arena: Arena,
    given: Given,
    reader: Callable[[Problem], Given],
    derivative: Derivative | None,
    kwargs: Mapping[str, Any],
    found: _Findings,
) -> None:
    """Ask a given derivative once more for the same, or with one product more whether it is linear."""
    problem, claim = arena.problem, given.claim
    diagonal = claim.value.ndim == 1

    def name(k: int) -> str:
        return problem.entry(k, k) if diagonal else problem.entry(*divmod(k, problem.n))

    if not repeats_itself(problem):
        return
    product: Product | None = None
    rows = claim.value
    if derivative is not None and claim.source in ("vjp=", "jvp="):
        read = given_vjp if claim.source == "vjp=" else given_jvp
        rows = claim.value if claim.source == "vjp=" else claim.value.T
        product = lambda v: np.ravel(read(problem, derivative, kwargs, v[None]).claim.value)  # noqa: E731
        if is_linear(problem, rows, product):
            return
    fault: Comparison | str | None
    fault = compare_again(problem, claim.value, claim.source, lambda: reader(problem).claim.value, name)
    if fault is None and product is not None:
        fault = examine_products(problem, rows, claim.source, product)
    if isinstance(fault, Comparison):
        found.add(fault)
    elif fault is not None:
        found.notes.append(fault)


def _probe_given(arena: Arena, given: Given) -> tuple[Comparison, Bed]:
    """Compare a gradient of very many inputs by its products with probes."""
    claim, gradient = given.claim, np.where(given.columns, given.claim.value[0], 0.0)
    rows = PulledRows(claim.source, lambda w: w[0] * gradient, arena.problem.y, claim.precision)
    vectors = input_probes(arena.problem, arena.seed, arena.plan.probes)

    def make(planted: Plants) -> Products:
        return reverse_products(arena, rows.planted(planted), vectors)

    ((found, bed),) = _compare_products(arena, vectors, [make])
    return replace(found, notes=(*given.notes, *found.notes)), bed


def _compare_products(
    arena: Arena,
    vectors: RealArray,
    makers: Sequence[Callable[[Plants], Products]],
    made: Sequence[Products] | None = None,
) -> list[tuple[Comparison, Bed]]:
    """Compare products; returns beds besides, that make and judge them again with an error in one claim."""
    problem, claims = arena.problem, [make(()) for make in makers] if made is None else made
    judged = judge_products(arena, vectors, claims)

    def bed(k: int) -> Bed:
        def again(planted: Planted) -> int:
            others = [makers[k]((planted,)) if i == k else claim for i, claim in enumerate(claims)]
            return worst_code(judge_products(arena, vectors, others)[k].judgement.verdict)

        return bed_of_products((problem.n, problem.m), partial(own_error, judged[k], vectors), again, problem.entry)

    return [(summarise_products(arena, vectors, one), bed(k)) for k, one in enumerate(judged)]


def _is_long_diagonal(problem: Problem, given: Given) -> bool:
    return given.claim.quantity == "Jacobian diagonal" and problem.n > DIAGONAL_FROM


def _probe_diagonal(arena: Arena, given: Given) -> tuple[Comparison, Bed]:
    """Compare a long diagonal by products first."""
    claim, name = given.claim, arena.problem.entry
    judgement, at_once = judge_diagonal(arena, claim, given.columns)

    def again(planted: Plants) -> Judgement:
        value = claim.value.copy()
        for error in planted:
            value[error.place] += error.size
        return judge_diagonal(arena, replace(claim, value=value), given.columns)[0]

    found = compare_diagonal(arena, claim, judgement, at_once)
    found = explained(found, claim.value[None], judgement, arena.reference, arena.seed)
    bed = bed_of_entries(claim.value[None], judgement, again, lambda _, i: name(i, i), diagonal=True)
    return replace(found, notes=(*given.notes, *found.notes)), bed


def _compare_given(
    arena: Arena, witness: Witness, given: Given, reader: Callable[[Problem], Given]
) -> tuple[Comparison, Bed, Judgement]:
    problem, claim = arena.problem, given.claim
    wanted = np.repeat(given.columns[:, None], problem.m, axis=1)
    if claim.quantity == "Jacobian diagonal":
        wanted &= np.eye(problem.n, dtype=bool)
    claimed = _by_inputs(claim)

    def look(witness: Witness, planted: Plants = ()) -> tuple[Judgement, tuple[str, ...]]:
        value = plant(claimed, planted)
        if arena.twins:

            def derive(p: Problem) -> RealArray:
                return plant(_by_inputs(reader(p).claim), planted)

            return judge_kernel(arena.twins, witness, value, claim.precision, derive, wanted)
        precision = min(claim.precision, arena.precision)
        found = judge(witness, value, precision, wanted, arena.shift(problem.y))
        settled = _settle_in_long_double(arena, value, claim.precision, found)
        return found, (f"{settled} of them settled in long double",) if settled else ()

    before = witness.as_it_is()
    found, notes = look(witness)
    comparison = compare(claim, claimed, found, _namer(problem), witness.source, given.notes + notes)
    bed = bed_of_entries(claimed, found, lambda planted: look(before.as_it_is(), planted)[0], _namer(problem))
    return with_ulps(comparison, claim, claimed, witness, found, arena.twins), bed, found


def _by_inputs(claim: Claim) -> RealArray:
    """Lay a claim out with inputs first, shape (n, m)."""
    return np.diag(claim.value) if claim.value.ndim == 1 else np.ascontiguousarray(claim.value.T)


def _settle_in_long_double(arena: Arena, claimed: RealArray, precision: int, found: Judgement) -> int:
    """Look once more at what is open or wrong, with the eleven bits more that NumPy has for functions of its own.

    Where nothing is open, and the first few of the wrong entries stay wrong, so do the others.
    """
    open_ = found.undecided() | found.suspected()
    shadow = long_double(arena.problem) if np.any(open_) and not arena.reference.relative else None
    if shadow is None:
        return 0
    rows = np.flatnonzero(np.any(open_, axis=1))[:SETTLED]
    settled = 0
    for some in (rows[:FEW], rows[FEW:]):
        before = found.verdict.copy()
        witness = Witness(shadow, Coordinates(shadow, some), arena.seed, entries=claimed.size)
        found.overrule(some, judge(witness, claimed[some], precision, open_[some]))
        changed = int(np.count_nonzero(found.verdict != before))
        settled += changed
        if not len(rows[FEW:]) or (not changed and not np.any(found.undecided())):
            break
    arena.problem.evaluations += shadow.evaluations
    return settled


def _check_backend(arena: Arena, found: _Findings) -> None:
    problem = arena.problem
    if not (supports_vjp(problem.backend) or supports_jvp(problem.backend)):
        raise ValueError(
            f"{problem.backend.name} has no automatic derivative to check. Give one to check (gradient=, jacobian=, "
            "diagonal=, vjp=, jvp= or has_gradient=True), a backend= that the function is written for, or call "
            "xcheck.finite_difference to measure the derivative."
        )
    if arena.plan.whole:
        _check_whole(arena, found)
    else:
        _check_by_probes(arena, found)


def _check_whole(arena: Arena, found: _Findings) -> None:
    problem = arena.problem
    witness = Witness(arena.reference, seed=arena.seed)
    tall = problem.m > 64 * max(problem.n, 64)
    reverse = None if tall else _claim(arena, reverse_jacobian, "vjp", found)
    wide = problem.n > FORWARD_COLUMNS and reverse is not None and arena.twins is None
    forward = None if wide else _claim(arena, forward_jacobian, "jvp", found)
    undecided = Undecided.nothing(problem)
    for claim, derive in ((reverse, reverse_jacobian), (forward, forward_jacobian)):
        if claim is not None:
            comparison, judgement, bed = _compare_backend(arena, witness, claim, derive)
            found.evidence.append(Evidence(claim, _by_inputs(claim), judgement, lambda p, d=derive: _by_inputs(d(p))))  # type: ignore[misc]
            faults: list[Comparison] = []
            if claim is reverse and (claim.doubtful or not _scales(arena, "vjp")):
                faults = _examine_rule(arena, "vjp", found, comparison)
            elif claim is forward and comparison.verdict is Verdict.AGREE and not _scales(arena, "jvp", claim):
                faults = _examine_rule(arena, "jvp", found, comparison)
            elif claim is forward and comparison.verdict is Verdict.DISAGREE:
                faults = _examine_rule(arena, "jvp", found)
                if faults:
                    plain = partial(forward_jacobian, plain=True)
                    claim = forward = plain(problem)
                    comparison, judgement, bed = _compare_backend(arena, witness, claim, plain)
            rerun = _rerun(arena, lambda p, d=derive: _by_inputs(d(p)))  # type: ignore[misc]
            found.add(explained(comparison, _by_inputs(claim), judgement, arena.reference, arena.seed, rerun), bed)
            found.add_all(faults)
            _compare_value(arena, claim.source, claim.outputs, found)
            undecided = undecided.after(judgement)
    _note_ignored(arena, witness, found)
    found.notes += holomorphy(problem, witness)
    tried = [line.partition(":")[0] for line in found.unchecked]
    if any(f"{problem.backend.name}/{mode}" in tried for mode in ("vjp", "jvp")) or not _has_both(problem):
        return
    if forward is not None and arena.twins is not None:
        return  # each of them was compared with the twin, and their rounding is known only there
    modes = _modes(arena, reverse, forward, found, undecided)
    if modes is not None and modes.verdict is Verdict.DISAGREE and forward is None and problem.n <= 4096:
        claim = _claim(arena, forward_jacobian, "jvp", found)
        if claim is not None:
            comparison, _, bed = _compare_backend(arena, witness, claim, forward_jacobian)
            found.add(comparison, bed)


def _scales(arena: Arena, mode: str, claim: Claim | None = None) -> bool:
    """Tell whether a rule gives the same for small vectors as for large ones.

    In float64, a pullback was asked as it was made, and a pushforward only where its Jacobian, a `claim`, is known.
    """
    problem = arena.problem
    if problem.random or problem.n >= MANY:
        return True
    if problem.precision < 53:
        return scales(arena.wide, mode)
    if mode == "vjp" or claim is None:
        return True
    return is_linear(problem, claim.value.T, Forward(problem).push, reduced(problem) * problem.scale)


def _examine_rule(arena: Arena, mode: str, found: _Findings, values: Comparison | None = None) -> list[Comparison]:
    """Look at a rule that showed something no linear map does, knowing what was found of its `values`, if anything.

    Where that was nothing but an exception, note it.
    """
    examine = examine_reverse if mode == "vjp" else examine_forward
    source = f"{arena.problem.backend.name}/{mode}"
    limit = values.relative_limit if values is not None and values.verdict is Verdict.AGREE else inf
    try:
        faults, notes = examine(arena.problem, arena.wide, limit)
    except Exception as error:
        found.notes.append(f"{source} raises {type(error).__name__} for some vectors: {first_line(error)}")
        return []
    found.notes += notes
    return faults


def _compare_value(arena: Arena, source: str, outputs: RealArray | None, found: _Findings) -> None:
    """Compare the value that a derivative came with; once for what both modes say."""
    problem = arena.problem
    if outputs is None:
        return

    def again(problem: Problem) -> RealArray:
        if source.endswith("/vjp"):
            return Reverse(problem).outputs
        forward = Forward(problem)
        forward.push(np.zeros(problem.n))
        return forward.outputs

    comparison = compare_value(problem, outputs, source, again, arena.wide if problem.n < MANY else None)
    if comparison is not None:
        found.add(comparison)


def _check_by_probes(arena: Arena, found: _Findings) -> None:
    """Compare reverse mode with the reference, and forward mode with reverse mode, or with the reference as well."""
    problem = arena.problem
    vectors = input_probes(problem, arena.seed, arena.plan.probes)
    if problem.order == 2:
        vectors = mirror(problem, vectors)
    makers: list[Callable[[Plants], Products]] = []
    sources: list[Products] = []
    values: list[Callable[[], RealArray]] = []
    for mode in ("vjp", "jvp"):
        if mode == "jvp" and makers and problem.m == 1:
            continue  # with one output, inner products with reverse mode tell as much
        try:
            make, value = _maker(arena, mode, vectors)
            sources.append(make(()))
            makers.append(make)
            values.append(value)
        except NotImplementedError as error:
            found.unchecked.append(f"{problem.backend.name}/{mode}: no rule ({first_line(error)})")
        except Exception as error:
            if problem.order == 1 and not found.owes:
                raise
            if found.owes and mode == "vjp":
                found.add(raised(problem, f"{problem.backend.name}/vjp", error))
            found.unchecked.append(
                f"{problem.backend.name}/{mode}: raised {type(error).__name__} ({first_line(error)})"
            )
    results = _compare_products(arena, vectors, makers, sources) if makers else []
    for (comparison, bed), value in zip(results, values, strict=True):
        _, _, mode = comparison.claim.source.rpartition("/")
        faults: list[Comparison] = []
        if comparison.verdict is Verdict.DISAGREE or (mode == "vjp" and not _scales(arena, mode)):
            faults = _examine_rule(arena, mode, found, comparison)
        if faults and mode == "vjp":
            ((comparison, bed),) = _compare_products(arena, vectors, [_maker(arena, mode, vectors, plain=True)[0]])
        found.add(comparison, bed)
        found.add_all(faults)
        _compare_value(arena, comparison.claim.source, value(), found)
    reverse = next((claim for claim in sources if claim.weights is not None), None)
    if reverse is not None:
        found.pull = Pull(reverse.source, problem.precision, lambda p, w: Reverse(p).pull(w))
    if reverse is not None and (len(sources) == 2 or (problem.m == 1 and _has_both(problem))):
        gradient = None
        if problem.m == 1 and reverse.gradients is not None:
            gradient = Claim(quantity_of(problem), reverse.gradients, reverse.source, problem.precision)
        few = vectors[:1] if problem.n >= MANY else vectors
        modes = _modes(arena, gradient, None, found, vectors=few)
        if modes is not None and modes.verdict is Verdict.DISAGREE and len(sources) == 1:
            for comparison, bed in _compare_products(arena, vectors, [_maker(arena, "jvp", vectors)[0]]):
                found.add(comparison, bed)


def _maker(
    arena: Arena, mode: str, vectors: RealArray, plain: bool = False
) -> tuple[Callable[[Plants], Products], Callable[[], RealArray]]:
    """Return what makes the products of a mode with the probes, with errors in them where some are planted.

    Besides, what tells the function's value as computed along with them.
    """
    if mode == "vjp":
        rows = pulled_rows(arena, plain)
        kept = rows.remembered()
        return (
            lambda planted: reverse_products(arena, kept.planted(planted) if planted else rows, vectors),
            lambda: rows.outputs,
        )
    columns = pushes(arena)
    known = columns.remembered()
    return (
        lambda planted: forward_products(arena, known.planted(planted) if planted else columns, vectors),
        lambda: columns.forward.outputs,
    )


def _modes(
    arena: Arena,
    reverse: Claim | None,
    forward: Claim | None,
    found: _Findings,
    undecided: Undecided | None = None,
    vectors: RealArray | None = None,
) -> Comparison | None:
    problem = arena.problem

    def look(planted: Plants = ()) -> tuple[Problem, Modes]:
        first = judge_modes(problem, reverse, forward, arena.seed, undecided, vectors, planted)
        if not np.any(first.wrong) or problem is arena.wide:
            return problem, first
        try:
            exact = judge_modes(arena.wide, None, None, arena.seed, undecided, vectors, planted)
        except Exception:  # no such rule in float64
            return problem, first
        return (problem, first) if np.any(exact.wrong | exact.excused) else (arena.wide, exact)

    try:
        which, modes = look()
    except NotImplementedError as error:
        found.unchecked.append(f"{problem.backend.name}/jvp: no rule ({first_line(error)})")
        return None
    except Exception as error:
        if problem.order == 1 and reverse is None:  # the pullback was asked here, not before
            raise
        found.unchecked.append(f"{problem.backend.name}/jvp: raised {type(error).__name__} ({first_line(error)})")
        return None
    comparison = summarise_modes(which, modes)
    if which is not problem:  # what was left is rounding in the modes' own arithmetic
        comparison = replace(
            comparison, notes=("compared in float64: in their own precision, rounding parts the modes",)
        )

    def again(planted: Planted) -> int:
        _, modes = look((planted,))
        return DISAGREE if np.any(modes.wrong) else INCONCLUSIVE if np.any(modes.excused) else AGREE

    found.add(comparison, bed_of_products((problem.n, problem.m), modes.worth, again, problem.entry))
    doubtful = modes.doubtful or (which is not problem and bool(np.any(modes.wrong)))
    if doubtful or (forward is None and not _scales(arena, "jvp")):
        mode = "vjp" if reverse is None and forward is not None else "jvp"
        values = next((c for c in found.comparisons if c.verdict is Verdict.AGREE), comparison)
        found.add_all(_examine_rule(arena, mode, found, values))
    return comparison


def _claim(arena: Arena, derive: Callable[[Problem], Claim], mode: str, found: _Findings) -> Claim | None:
    problem = arena.problem
    source = f"{problem.backend.name}/{mode}"
    try:
        return derive(problem)
    except NotImplementedError as error:
        found.unchecked.append(f"{source}: no rule ({first_line(error)})")
    except Exception as error:
        if mode == "vjp" and found.owes:
            found.add(raised(problem, source, error))
        elif mode == "vjp" and problem.order == 1:
            error.add_note(
                f"xcheck: raised by {source} of {problem.call.title}. If an input is not meant to be differentiated, "
                f"name the others in wrt=; those that vary are {', '.join(b.name for b in problem.inputs.blocks)}."
            )
            raise
        found.unchecked.append(f"{source}: raised {type(error).__name__} ({first_line(error)})")
    return None


def _compare_backend(
    arena: Arena, witness: Witness, claim: Claim, derive: Callable[[Problem], Claim]
) -> tuple[Comparison, Judgement, Bed]:
    problem = arena.problem
    claimed = _by_inputs(claim)

    @cache
    def exact() -> RealArray:
        try:
            return _by_inputs(derive(arena.wide))
        except Exception:  # values run in float64, the rule does not: it holds numbers of its own dtype
            return np.full(claimed.shape, np.nan)

    def scatter() -> RealArray:
        claims = np.array([claimed, *(_by_inputs(derive(beside)) for beside in neighbours(problem))])
        spread = 2 * (np.max(claims, axis=0) - np.min(claims, axis=0))
        return np.where(np.isfinite(spread), spread, 0.0)

    def look(witness: Witness, planted: Plants = ()) -> tuple[Judgement, tuple[str, ...]]:
        value, precision = plant(claimed, planted), min(claim.precision, arena.precision)
        if arena.twins:
            return judge_kernel(arena.twins, witness, value, precision, lambda p: plant(_by_inputs(derive(p)), planted))
        shift = arena.shift(claim.outputs)
        found = judge(witness, value, precision, shift=shift, exact=lambda: plant(exact(), planted), scatter=scatter)
        return found, ()

    before = witness.as_it_is()
    found, notes = look(witness)
    if claim.unconnected:
        notes += (f"{problem.backend.name} returned None for: {', '.join(claim.unconnected)}",)
    comparison = compare(claim, claimed, found, _namer(problem), witness.source, notes)
    bed = bed_of_entries(claimed, found, lambda planted: look(before.as_it_is(), planted)[0], _namer(problem))
    return with_ulps(comparison, claim, claimed, witness, found, arena.twins), found, bed


def _namer(problem: Problem) -> Callable[[int, int], str]:
    return lambda j, i: problem.entry(i, j)


def _check_second_order(arena: Arena, found: _Findings) -> None:
    backend = arena.problem.backend.name
    wrong = [c.claim.source for c in found.comparisons if c.verdict is Verdict.DISAGREE]
    without_reverse = ""
    try:
        gradient, notes = gradient_arena(arena)
    except NotImplementedError as error:
        without_reverse = f"there is no reverse rule ({first_line(error)})"
    else:
        found.notes += notes
        _check_derived(gradient, found, bool(wrong))
    compared = _check_pushed(arena, found, f"{backend}/jvp" in wrong)
    if without_reverse and compared:
        found.unchecked.append(f"{backend}/vjp of vjp, {backend}/jvp of vjp: {without_reverse}")
    elif without_reverse:
        found.add(nothing_compared(backend, without_reverse))


def _check_pushed(arena: Arena, found: _Findings, jvp_is_wrong: bool) -> bool:
    """Check the derivative of forward mode; returns whether anything was compared with the reference."""
    backend = arena.problem.backend.name
    try:
        pushed, notes = pushed_arena(arena)
    except Exception as error:
        why = "no rule" if isinstance(error, NotImplementedError) else f"raised {type(error).__name__}"
        found.unchecked.append(f"{backend}/jvp of jvp, {backend}/vjp of jvp: {why} ({first_line(error)})")
        return False
    found.notes += [note for note in notes if note not in found.notes]
    return _check_derived(pushed, found, jvp_is_wrong)


def _check_derived(derived: Arena, found: _Findings, first_is_wrong: bool) -> bool:
    """Check a derivative's own derivative; returns whether anything was compared with the reference."""
    linear = compare_linearity(derived)
    found.add(linear.comparison, bed_of_entries(linear.claimed, linear.judgement, linear.again, linear.name))
    second = _Findings()
    _check_backend(derived, second)
    comparisons, unchecked = summarise(derived, second.comparisons, second.unchecked, first_is_wrong)
    found.comparisons += comparisons
    found.beds += second.beds or [None] * len(comparisons)
    found.unchecked += unchecked
    found.notes += [note for note in second.notes if note not in found.notes]
    found.problems += list({id(p): p for p in (derived.problem, derived.reference)}.values())
    return bool(second.comparisons)


def _has_both(problem: Problem) -> bool:
    return supports_vjp(problem.backend) and supports_jvp(problem.backend)


def _note_problem(arena: Arena, found: _Findings) -> None:
    problem = arena.problem
    if arena.plan.reason and any(c.method == "probes" for c in found.comparisons):
        found.notes.append(f"random probes stand for the entries: {arena.plan.reason}")
    found.notes += compared({problem.call.title: problem.call.function})
    if any(c.verdict is Verdict.DISAGREE for c in found.comparisons):
        found.notes += free_phases(problem.outputs.unpack(problem.y))
    if problem.mutated:
        found.notes.append(f"{problem.call.title} changes its input in place: {', '.join(problem.mutated)}")
    if problem.random or arena.reference.random:
        found.notes.append("the function draws random numbers; the generators were pinned to the same seed throughout")
    for failure in (problem.failures or arena.reference.failures)[:1]:
        found.notes.append(f"{problem.call.title} {failure}")
    if not arena.reference.relative:
        found.notes += note_reference(problem, arena.reference, arena.twins)


def _point(problem: Problem) -> tuple[str, ...]:
    """Say where the function was checked: the value of a single number, the range of an array."""
    parts = []
    for block in problem.inputs.blocks:
        values = problem.x[block.slice]
        if values.size == 1:
            parts.append(f"{block.name} = {values[0]:.4g}")
        elif values.size:
            parts.append(f"{block.name} in [{values.min():.4g}, {values.max():.4g}]")
    return tuple(parts)


def _note_ignored(arena: Arena, witness: Witness, found: _Findings) -> None:
    """Say which inputs no value depends on: unused arguments, detached or overwritten inputs."""
    for block in arena.problem.inputs.blocks:
        inputs = np.arange(block.start, block.start + block.size)
        if block.size and witness.ignores(inputs) and is_ignored(arena.reference, block.slice, seed=arena.seed):
            title = arena.problem.call.title
            found.notes.append(
                f"{title} does not depend on {block.name}: its value is the same at every point evaluated"
            )


def _require_derivative(name: str, derivative: object) -> Derivative:
    if callable(derivative):
        return derivative
    kind = type(derivative).__name__
    raise TypeError(
        f"{name}= must be a function that returns the derivative at the inputs; given: {kind}. For an array that is "
        f"already computed, pass {name}=lambda *inputs: array."
    )


def _require_order(order: object, given: Sequence[str]) -> None:
    if isinstance(order, bool) or order not in (1, 2):
        raise ValueError(f"order must be 1 or 2; given: {order!r}.")
    if order == 2 and given:
        raise ValueError(
            f"order=2 differentiates the backend's own rule once more; with {given[0]}= given there is nothing to "
            "differentiate. Accepted: order=1 with a hand-written derivative, order=2 without one."
        )


def _value_only(f: Any) -> Any:
    if not callable(f):
        return f  # read_call says what is wrong with it

    def value(*args: Any, **kwargs: Any) -> Any:
        returned = f(*args, **kwargs)
        if not isinstance(returned, (tuple, list)) or len(returned) != 2:
            raise TypeError(
                f"has_gradient=True needs a function that returns (value, gradient); {value.__name__} returned "
                f"{type(returned).__name__}"
                + (f" of length {len(returned)}" if hasattr(returned, "__len__") else "")
                + "."
            )
        return returned[0]

    value.__name__ = getattr(f, "__name__", type(f).__name__)
    value.__wrapped__ = f  # type: ignore[attr-defined]  # inspect.signature follows it to the argument names
    return value
