"""The verbs: `check` a function's derivatives, or just measure them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike
from time import perf_counter
from typing import Any

from xcheck.baselines.archive import read_baseline
from xcheck.baselines.baseline import Baseline
from xcheck.baselines.matching import match
from xcheck.budget import Budget, Plan, read_budget
from xcheck.call import Call, Wrt, read_call
from xcheck.checking.automatic import check_backend
from xcheck.checking.findings import Evidence, Findings, prepared
from xcheck.checking.handwritten import check_given
from xcheck.checking.remarks import describe_point, note_problem
from xcheck.checking.twice import check_second_order
from xcheck.contract import examine_contract, owes_contract
from xcheck.kernel import compare_values
from xcheck.probing import (
    Arena,
)
from xcheck.problem import Problem
from xcheck.protocol import Backend
from xcheck.report import Power, Report, require_agreement
from xcheck.smooth import at_smooth_point
from xcheck.trials import run_trials
from xcheck.verdict import Verdict
from xcheck.wirtinger import convention

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


def _examine(
    arena: Arena,
    derivatives: dict[str, Derivative],
    value_and_gradient: Derivative | None,
    kwargs: dict[str, Any],
    order: int,
    contract: bool | None = False,
) -> Findings:
    start = perf_counter()
    call, written = arena.problem.call, bool(derivatives) or value_and_gradient is not None
    found = Findings(unchecked=[*call.unchecked(), *arena.problem.output.unchecked], problems=_distinct(arena))
    other = compare_values(arena.twins) if arena.twins else None
    if arena.problem.n == 0 or arena.problem.m == 0:
        found.notes.append("there is nothing to compare: the input or the output is empty")
    elif other is not None:
        found.add(other)
        found.unchecked.append("all derivatives: reference= has to be the same function first")
    elif written:
        check_given(arena, derivatives, value_and_gradient, kwargs, found)
        if contract:
            found.unchecked.append("contract: a derivative was given, so the backend's own rule was not looked at")
    else:
        found.owes = owes_contract(arena.problem, contract)
        check_backend(arena, found)
        if order == 2:
            check_second_order(arena, found)
        if found.owes:
            forward = not any(line.startswith(f"{call.backend.name}/jvp: ") for line in found.unchecked)
            broken = any(c.verdict is Verdict.DISAGREE and c.reason for c in found.comparisons)
            found.hold_to(examine_contract(arena.problem, arena.budget, perf_counter() - start, broken, forward))
    return found


def _report(
    arena: Arena, found: Findings, written: bool, start: float, plant: Callable[..., Power] | None = None
) -> Report:
    call = arena.problem.call
    note_problem(arena, found)
    found.notes += convention(arena.problem, written)
    dtypes = " ".join(dict.fromkeys(block.dtype.name for block in arena.problem.inputs.blocks))
    return Report(
        call.title,
        f"{call.backend.name} {dtypes}",
        tuple(found.comparisons),
        describe_point(arena.problem),
        tuple(found.unchecked),
        tuple(found.notes),
        _evaluations(found),
        perf_counter() - start,
        plant,
        found.keep(call, arena.seed),
    )


def _distinct(arena: Arena) -> list[Problem]:
    return list({id(p): p for p in arena.problems}.values())


def _evaluations(found: Findings) -> int:
    return sum(p.evaluations for p in found.problems)


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
