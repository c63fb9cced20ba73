"""Rules that are differentiated once more."""

from __future__ import annotations

from xcheck.checking.automatic import check_backend
from xcheck.checking.findings import Findings
from xcheck.probing import (
    Arena,
)
from xcheck.raised import first_line
from xcheck.second_order import (
    compare_linearity,
    gradient_arena,
    nothing_compared,
    pushed_arena,
    summarise,
)
from xcheck.trials import bed_of_entries
from xcheck.verdict import Verdict


def check_second_order(arena: Arena, found: Findings) -> None:
    """Differentiate pullback and pushforward once more, and compare that with slopes of what they give."""
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


def _check_pushed(arena: Arena, found: Findings, jvp_is_wrong: bool) -> bool:
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


def _check_derived(derived: Arena, found: Findings, first_is_wrong: bool) -> bool:
    """Check a derivative's own derivative; returns whether anything was compared with the reference."""
    linear = compare_linearity(derived)
    found.add(linear.comparison, bed_of_entries(linear.claimed, linear.judgement, linear.again, linear.name))
    second = Findings()
    check_backend(derived, second)
    comparisons, unchecked = summarise(derived, second.comparisons, second.unchecked, first_is_wrong)
    found.comparisons += comparisons
    found.beds += second.beds or [None] * len(comparisons)
    found.unchecked += unchecked
    found.notes += [note for note in second.notes if note not in found.notes]
    found.problems += list({id(p): p for p in (derived.problem, derived.reference)}.values())
    return bool(second.comparisons)
