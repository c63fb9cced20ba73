"""The whole contract, family by family, within what it may cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from time import perf_counter

import numpy as np

from xcheck.budget import SECONDS, Budget
from xcheck.comparison import Comparison
from xcheck.contract import cotangents, gradients, reuse, transforms
from xcheck.contract.subject import Subject, first_line
from xcheck.derivatives import Reverse
from xcheck.problem import Problem
from xcheck.protocol import supports_custom_rules, supports_vjp
from xcheck.rules import disagreement

RAISES = "differentiating {title} raises {kind}: {line}"

ONCE = "the backward of {title} runs once through a graph that is kept, and then raises {kind}: {line}"

TIMES = 2.0
"""How many times what the check took before the contract may take besides, and no less than `LEAST`."""

LEAST = 0.25
"""Seconds that the contract may take in any case: what a compiler needs for a small function."""

Rule = Callable[[Subject], Iterator[Comparison | str]]

FAMILIES: dict[str, tuple[Rule, ...]] = {
    "repeated backward": (reuse.repeats,),
    "layouts of the cotangent": (cotangents.layouts,),
    "zero": (cotangents.zero,),
    "one output alone": (cotangents.one_output,),
    "dtype and device": (gradients.kinds,),
    "one input alone": (gradients.one_input,),
    "other data in between, two uses": (reuse.other_data, reuse.two_uses),
    "vmap": (transforms.mapped,),
    "compiled": (transforms.compiled,),
}
"""What is looked at, in this order; of a family, the first broken rule is told."""


@dataclass
class Contract:
    """What came of it.

    Attributes:
        comparisons: broken rules.
        notes: what is not supported, and which rules hold.
        unchecked: what was not looked at, and why.
    """

    comparisons: list[Comparison] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)


def owes_contract(problem: Problem, asked: bool | None) -> bool:
    """Tell whether the contract is to be examined: if asked for, or if a rule of the user's own is in the function.

    Costs one recorded evaluation, or one trace, unless that is clear.
    """
    if asked is not None:
        return asked
    backend = problem.backend
    if not supports_custom_rules(backend) or problem.n == 0 or problem.m == 0:
        return False
    try:
        problem.pin()
        return bool(backend.custom_rules(problem.flat, problem.to_native(problem.x)))
    except Exception:  # what cannot be recorded or traced has no rule that we could name
        return False


def examine_contract(problem: Problem, budget: Budget, spent: float, wrong: bool) -> Contract:
    """Examine what a reverse rule owes.

    Costs about twenty evaluations in reverse mode and thirty pullbacks, and for JAX and TensorFlow one compilation.

    Args:
        problem: the function.
        budget: of the check.
        spent: seconds that the check took before.
        wrong: whether the rule was found to be no rule, such as one that is not linear: everything else would be
            judged by it. Wrong values do not matter, since a rule is held against itself.
    """
    found = Contract()
    allowed = max(TIMES * spent, budget if isinstance(budget, float) else 0.0)
    limit = budget if isinstance(budget, float) else SECONDS
    once = problem.seconds or problem.first_seconds
    if wrong:
        found.unchecked.append("contract: a rule is broken as it is, and nothing else was asked of it")
    elif not supports_vjp(problem.backend):
        found.unchecked.append(f"contract: {problem.backend.name} has no reverse mode")
    elif once > limit:
        found.unchecked.append(f"contract: one evaluation takes {once:.2g} s, and the budget is {limit:g} s")
    else:
        _examine(problem, found, allowed)
    return found


def _examine(problem: Problem, found: Contract, allowed: float) -> None:
    start = perf_counter()
    held, left = [], []
    with np.errstate(all="ignore"):
        try:
            subject = Subject(problem)
        except Exception as error:
            found.unchecked.append(f"contract: no reverse rule ({type(error).__name__}: {first_line(error)})")
            return
        for name, rules in FAMILIES.items():
            compiles = name == "compiled" and hasattr(problem.backend, "compile_seconds")
            needed = problem.backend.compile_seconds if compiles else 0.0  # type: ignore[attr-defined]
            least = 0.0 if compiles else LEAST
            if perf_counter() - start + needed > max(allowed, least):
                left.append(name)
            elif _holds(subject, name, rules, found):
                held.append(name)
    if held:
        found.notes.append(f"contract: {'; '.join(held)}: as it should be")
    found.unchecked += [f"contract, {name}: more than {allowed:.2g} s; a larger budget= allows it" for name in left]


def _holds(subject: Subject, name: str, rules: tuple[Rule, ...], found: Contract) -> bool:
    """Examine a family; tells whether nothing was found and nothing was in the way."""
    clean = True
    try:
        for rule in rules:
            for item in rule(subject):
                clean = False
                if isinstance(item, Comparison):
                    found.comparisons.append(item)
                    return False
                found.notes.append(item)
    except Exception as error:  # nothing of a check may end it
        found.unchecked.append(f"contract, {name}: raised {type(error).__name__} ({first_line(error)})")
        return False
    return clean


def raised(problem: Problem, source: str, error: Exception) -> Comparison:
    """Make a finding of a rule that raises as it is; there are no numbers to show."""
    line = first_line(error)
    words = {"title": problem.call.title, "kind": type(error).__name__, "line": line}
    reason = line if line.startswith(f"{problem.backend.name}'s ") else RAISES.format(**words)
    if _runs_once(problem):
        reason = ONCE.format(**words)
    one, none = np.ones(1, bool), np.full(1, np.nan)
    found = disagreement((source, "a derivative"), "derivative", one, none, none, none, reason, lambda _: "")
    return replace(found, worst=())


def _runs_once(problem: Problem) -> bool:
    try:
        Reverse(problem).pull(np.ones(problem.m))
    except Exception:
        return False
    return True
