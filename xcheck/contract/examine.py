"""The whole contract, family by family, within what it may cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from time import perf_counter

import numpy as np

from xcheck.budget import SECONDS, Budget
from xcheck.comparison import Comparison
from xcheck.contract import cotangents, gradients, reuse, transforms
from xcheck.contract.subject import Subject
from xcheck.derivatives import Reverse
from xcheck.problem import Problem
from xcheck.protocol import supports_custom_rules, supports_vjp
from xcheck.raised import first_line
from xcheck.rules import disagreement

RAISES = "differentiating {title} raises {kind}: {line}"

ONCE = "the backward of {title} runs once through a graph that is kept, and then raises {kind}: {line}"

TIMES = 2.0
"""How many times what the check took before the contract may take besides, and no less than `LEAST`."""

LEAST = SECONDS
"""Seconds that the contract may take in any case: frameworks compile operators at their first use."""

Rule = Callable[[Subject], Iterator[Comparison | str]]

REPEATED = "repeated backward"

FAMILIES: dict[str, tuple[Rule, ...]] = {
    REPEATED: (reuse.repeats,),
    "layouts of the cotangent": (cotangents.layouts,),
    "zero": (cotangents.zero,),
    "one output alone": (cotangents.one_output,),
    "dtype and device": (gradients.kinds,),
    "one input alone": (gradients.one_input,),
    "other data in between and two uses": (reuse.other_data, reuse.two_uses),
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


def examine_contract(
    problem: Problem, budget: Budget, spent: float, broken: bool = False, forward: bool = True
) -> Contract:
    """Examine what a reverse rule owes.

    Costs about twenty evaluations in reverse mode and thirty pullbacks, and for JAX and TensorFlow one compilation.

    Args:
        problem: the function.
        budget: of the check.
        spent: seconds that the check took before.
        broken: whether the rule was found to be no linear map, or not to repeat itself: only the latter is looked at
            then, since everything else would be judged by it. Wrong values do not matter: it is held against itself.
        forward: whether there is a forward rule.
    """
    found = Contract()
    given = budget if isinstance(budget, float) else None
    limit = SECONDS if given is None else given
    once = problem.seconds or problem.first_seconds
    if not supports_vjp(problem.backend):
        found.unchecked.append(f"contract: {problem.backend.name} has no reverse mode")
        return found
    if once > limit:
        found.unchecked.append(f"contract: one evaluation takes {once:.2g} s, and the budget is {limit:g} s")
        return found
    with np.errstate(all="ignore"):
        try:
            subject = Subject(problem, forward)
        except NotImplementedError as error:
            found.unchecked.append(f"contract: no reverse rule ({first_line(error)})")
        except Exception as error:
            found.unchecked.append(f"contract: the rule raises {type(error).__name__} ({first_line(error)})")
        else:
            _examine(subject, found, max(TIMES * spent, given or 0.0), given or 0.0, broken)
    return found


def _examine(subject: Subject, found: Contract, allowed: float, given: float, broken: bool) -> None:
    start = perf_counter()
    held, left = [], []
    compiling = float(getattr(subject.problem.backend, "compile_seconds", 0.0))
    for name, rules in FAMILIES.items():
        taken = perf_counter() - start
        if broken and name != REPEATED:
            left.append(name)
        elif name == "compiled" and compiling and 2 * compiling > given:
            found.unchecked.append(
                f"contract, compiled: takes {compiling:g} s or more; with budget={2 * compiling:g} it is done"
            )
        elif taken > max(allowed, LEAST):
            left.append(name)
        elif _holds(subject, name, rules, found):
            held.append(name)
    if held:
        found.notes.append(f"contract kept: {', '.join(held)}")
    if left:
        why = (
            "the rule is broken as it is"
            if broken
            else f"it took more than {max(allowed, LEAST):.2g} s; budget= allows more"
        )
        found.unchecked.append(f"contract, {'; '.join(left)}: {why}")


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
