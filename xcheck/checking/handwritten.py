"""Derivatives that were given by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np

from xcheck.baselines.recording import Pull
from xcheck.budget import SECONDS
from xcheck.causes import explained
from xcheck.checking.findings import Evidence, Findings, by_inputs, make_rerun, namer
from xcheck.checking.products import compare_products
from xcheck.checking.remarks import note_ignored
from xcheck.comparison import Comparison, compare
from xcheck.derivatives import is_linear
from xcheck.given import Given, given_diagonal, given_gradient, given_jacobian, given_jvp, given_vjp
from xcheck.high_precision import long_double
from xcheck.judgement import Judgement, judge
from xcheck.kernel import judge_kernel, with_ulps
from xcheck.planting import Plants, Product, plant
from xcheck.probing import (
    Arena,
    Products,
    PulledRows,
    compare_diagonal,
    input_probes,
    judge_diagonal,
    reverse_products,
)
from xcheck.problem import Problem
from xcheck.protocol import RealArray, supports_jvp, supports_vjp
from xcheck.reference.grid import Coordinates
from xcheck.reference.witness import Witness
from xcheck.rules import (
    compare_again,
    examine_products,
    repeats_itself,
)
from xcheck.trials import Bed, bed_of_entries
from xcheck.wirtinger import holomorphy

DIAGONAL_FROM = 8
"""Diagonals of more inputs than this are first compared by products with probes."""

SETTLED = 64
"""Inputs whose open entries are looked at in long double; it has no fast matrix products."""

FEW = 4
"""So many of them first."""

Derivative = Callable[..., Any]

Reader = Callable[[Problem], Given]
"""Asks a given derivative at a problem's point."""


def check_given(
    arena: Arena,
    given: Mapping[str, Derivative],
    value_and_gradient: Derivative | None,
    kwargs: dict[str, Any],
    found: Findings,
) -> None:
    """Compare every derivative that was given with the reference, and ask each twice."""
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
            entries, rerun = by_inputs(claim.claim), make_rerun(arena, _entries_of(reader))
            found.add(explained(comparison, entries, judgement, arena.reference, arena.seed, rerun), bed)
            found.evidence.append(Evidence(claim.claim, by_inputs(claim.claim), judgement, _entries_of(reader)))
        note_ignored(arena, witness, found)
        found.notes += holomorphy(problem, witness)
    if seconds <= (arena.budget if isinstance(arena.budget, float) else SECONDS):
        for claim in claims:
            source = claim.claim.source
            _examine_given(arena, claim, read[source], given.get(source[:-1]), kwargs, found)
    found.unchecked += [line for claim in claims for line in claim.unchecked]
    modes = {"vjp": supports_vjp(problem.backend), "jvp": supports_jvp(problem.backend)}
    for mode in (mode for mode, there in modes.items() if there):
        found.unchecked.append(f"{problem.backend.name}/{mode}: a derivative was given, so that one was checked")


def _entries_of(reader: Reader) -> Callable[[Problem], RealArray]:
    return lambda problem: by_inputs(reader(problem).claim)


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
    found: Findings,
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

    ((found, bed),) = compare_products(arena, vectors, [make])
    return replace(found, notes=(*given.notes, *found.notes)), bed


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
    claimed = by_inputs(claim)

    def look(witness: Witness, planted: Plants = ()) -> tuple[Judgement, tuple[str, ...]]:
        value = plant(claimed, planted)
        if arena.twins:

            def derive(p: Problem) -> RealArray:
                return plant(by_inputs(reader(p).claim), planted)

            return judge_kernel(arena.twins, witness, value, claim.precision, derive, wanted)
        precision = min(claim.precision, arena.precision)
        found = judge(witness, value, precision, wanted, arena.shift(problem.y))
        settled = _settle_in_long_double(arena, value, claim.precision, found)
        return found, (f"{settled} of them settled in long double",) if settled else ()

    before = witness.as_it_is()
    found, notes = look(witness)
    comparison = compare(claim, claimed, found, namer(problem), witness.source, given.notes + notes)
    bed = bed_of_entries(claimed, found, lambda planted: look(before.as_it_is(), planted)[0], namer(problem))
    return with_ulps(comparison, claim, claimed, witness, found, arena.twins), bed, found


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
