"""A framework's own derivatives: reverse and forward mode against the reference, and against each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial

import numpy as np

from xcheck.baselines.recording import Pull
from xcheck.budget import MANY
from xcheck.causes import explained
from xcheck.checking.findings import Evidence, Findings, by_inputs, has_both, make_rerun, namer
from xcheck.checking.products import compare_products
from xcheck.checking.remarks import note_ignored
from xcheck.checking.rulings import compare_given_value, examine_rule, keeps_scale
from xcheck.claim import Claim
from xcheck.comparison import Comparison, compare
from xcheck.consistency import Modes, Undecided, judge_modes, neighbours, summarise_modes
from xcheck.contract import raised
from xcheck.derivatives import Reverse, forward_jacobian, quantity_of, reverse_jacobian
from xcheck.judgement import AGREE, DISAGREE, INCONCLUSIVE, Judgement, judge
from xcheck.kernel import judge_kernel, with_ulps
from xcheck.planting import Planted, Plants, plant
from xcheck.probing import (
    Arena,
    Products,
    forward_products,
    input_probes,
    pulled_rows,
    pushes,
    reverse_products,
)
from xcheck.problem import Problem
from xcheck.protocol import RealArray, supports_jvp, supports_vjp
from xcheck.raised import first_line
from xcheck.reference.witness import Witness
from xcheck.second_order import (
    mirror,
)
from xcheck.trials import Bed, bed_of_entries, bed_of_products
from xcheck.verdict import Verdict
from xcheck.wirtinger import holomorphy

FORWARD_COLUMNS = 8
"""Up to this many inputs the whole forward-mode Jacobian is compared with the reference; beyond, three products with
the reverse-mode Jacobian stand for it, and the whole follows only if they differ."""


def check_backend(arena: Arena, found: Findings) -> None:
    """Compare what the framework derives with the reference, entry by entry or by probes.

    Raises:
        ValueError: the framework derives nothing.
    """
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


def _check_whole(arena: Arena, found: Findings) -> None:
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
            found.evidence.append(Evidence(claim, by_inputs(claim), judgement, lambda p, d=derive: by_inputs(d(p))))  # type: ignore[misc]
            faults: list[Comparison] = []
            if claim is reverse and (claim.doubtful or not keeps_scale(arena, "vjp")):
                faults = examine_rule(arena, "vjp", found, comparison)
            elif claim is forward and comparison.verdict is Verdict.AGREE and not keeps_scale(arena, "jvp", claim):
                faults = examine_rule(arena, "jvp", found, comparison)
            elif claim is forward and comparison.verdict is Verdict.DISAGREE:
                faults = examine_rule(arena, "jvp", found)
                if faults:
                    plain = partial(forward_jacobian, plain=True)
                    claim = forward = plain(problem)
                    comparison, judgement, bed = _compare_backend(arena, witness, claim, plain)
            rerun = make_rerun(arena, lambda p, d=derive: by_inputs(d(p)))  # type: ignore[misc]
            found.add(explained(comparison, by_inputs(claim), judgement, arena.reference, arena.seed, rerun), bed)
            found.add_all(faults)
            compare_given_value(arena, claim.source, claim.outputs, found)
            undecided = undecided.after(judgement)
    note_ignored(arena, witness, found)
    found.notes += holomorphy(problem, witness)
    tried = [line.partition(":")[0] for line in found.unchecked]
    if any(f"{problem.backend.name}/{mode}" in tried for mode in ("vjp", "jvp")) or not has_both(problem):
        return
    if forward is not None and arena.twins is not None:
        return  # each of them was compared with the twin, and their rounding is known only there
    modes = _modes(arena, reverse, forward, found, undecided)
    if modes is not None and modes.verdict is Verdict.DISAGREE and forward is None and problem.n <= 4096:
        claim = _claim(arena, forward_jacobian, "jvp", found)
        if claim is not None:
            comparison, _, bed = _compare_backend(arena, witness, claim, forward_jacobian)
            found.add(comparison, bed)


def _check_by_probes(arena: Arena, found: Findings) -> None:
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
    results = compare_products(arena, vectors, makers, sources) if makers else []
    for (comparison, bed), value in zip(results, values, strict=True):
        _, _, mode = comparison.claim.source.rpartition("/")
        faults: list[Comparison] = []
        if comparison.verdict is Verdict.DISAGREE or (mode == "vjp" and not keeps_scale(arena, mode)):
            faults = examine_rule(arena, mode, found, comparison)
        if faults and mode == "vjp":
            ((comparison, bed),) = compare_products(arena, vectors, [_maker(arena, mode, vectors, plain=True)[0]])
        found.add(comparison, bed)
        found.add_all(faults)
        compare_given_value(arena, comparison.claim.source, value(), found)
    reverse = next((claim for claim in sources if claim.weights is not None), None)
    if reverse is not None:
        found.pull = Pull(reverse.source, problem.precision, lambda p, w: Reverse(p).pull(w))
    if reverse is not None and (len(sources) == 2 or (problem.m == 1 and has_both(problem))):
        gradient = None
        if problem.m == 1 and reverse.gradients is not None:
            gradient = Claim(quantity_of(problem), reverse.gradients, reverse.source, problem.precision)
        few = vectors[:1] if problem.n >= MANY else vectors
        modes = _modes(arena, gradient, None, found, vectors=few)
        if modes is not None and modes.verdict is Verdict.DISAGREE and len(sources) == 1:
            for comparison, bed in compare_products(arena, vectors, [_maker(arena, "jvp", vectors)[0]]):
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
    found: Findings,
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
    if doubtful or (forward is None and not keeps_scale(arena, "jvp")):
        mode = "vjp" if reverse is None and forward is not None else "jvp"
        values = next((c for c in found.comparisons if c.verdict is Verdict.AGREE), comparison)
        found.add_all(examine_rule(arena, mode, found, values))
    return comparison


def _claim(arena: Arena, derive: Callable[[Problem], Claim], mode: str, found: Findings) -> Claim | None:
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
    claimed = by_inputs(claim)

    @cache
    def exact() -> RealArray:
        try:
            return by_inputs(derive(arena.wide))
        except Exception:  # values run in float64, the rule does not: it holds numbers of its own dtype
            return np.full(claimed.shape, np.nan)

    def scatter() -> RealArray:
        claims = np.array([claimed, *(by_inputs(derive(beside)) for beside in neighbours(problem))])
        spread = 2 * (np.max(claims, axis=0) - np.min(claims, axis=0))
        return np.where(np.isfinite(spread), spread, 0.0)

    def look(witness: Witness, planted: Plants = ()) -> tuple[Judgement, tuple[str, ...]]:
        value, precision = plant(claimed, planted), min(claim.precision, arena.precision)
        if arena.twins:
            return judge_kernel(arena.twins, witness, value, precision, lambda p: plant(by_inputs(derive(p)), planted))
        shift = arena.shift(claim.outputs)
        found = judge(witness, value, precision, shift=shift, exact=lambda: plant(exact(), planted), scatter=scatter)
        return found, ()

    before = witness.as_it_is()
    found, notes = look(witness)
    if claim.unconnected:
        notes += (f"{problem.backend.name} returned None for: {', '.join(claim.unconnected)}",)
    comparison = compare(claim, claimed, found, namer(problem), witness.source, notes)
    bed = bed_of_entries(claimed, found, lambda planted: look(before.as_it_is(), planted)[0], namer(problem))
    return with_ulps(comparison, claim, claimed, witness, found, arena.twins), found, bed
