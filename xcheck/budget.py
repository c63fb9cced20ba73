"""How much a check may cost, and whether all entries of the Jacobian can be compared for that."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

import numpy as np

from xcheck.problem import Problem

SECONDS = 1.0
"""What a check may take by default."""

LENIENCE = 2.0
"""By default all entries are compared up to this multiple of it, since they tell more than probes do."""

FULL_ENTRIES = 4_000_000
"""Jacobians of at most this many entries are compared entry by entry, whatever the budget."""

FULL_NUMBERS = 400_000_000
"""And only while the displaced points and their values hold at most this many numbers."""

PROBES = 3
"""Random vectors in place of all inputs, where a Jacobian is too large; two from `MANY` inputs on."""

MANY = 2**20
"""So many inputs make every pass over them cost."""

PER_DIRECTION = 4
"""Evaluations for every direction whose claim is right."""

FIXED = 6
"""Evaluations besides."""

PER_ENTRY = 5e-7
"""Seconds that comparing one entry takes, as measured on a Jacobian of a million."""

PER_NUMBER = 1e-9
"""Seconds that putting down one number of a point takes, in a batch too."""

TIMED = 16
"""Points in a batched call that is timed."""

Budget = float | int | None
"""Seconds as a float, evaluations as an int, None for about a second."""


@dataclass(frozen=True)
class Plan:
    """What to compare.

    Attributes:
        whole: every entry of the Jacobian, or products with probes.
        probes: how many of them.
        reason: why not every entry; empty if `whole`.
    """

    whole: bool
    probes: int = PROBES
    reason: str = ""


def read_budget(budget: Budget) -> Budget:
    """Check the argument `budget=`.

    Raises:
        TypeError: it is neither a number nor None.
        ValueError: it is not positive.
    """
    if budget is None:
        return None
    accepted = "Accepted: seconds as a float (2.0), function evaluations as an int (5000), or None for about a second."
    if isinstance(budget, (bool, np.bool_)) or not isinstance(budget, (int, float, np.integer, np.floating)):
        raise TypeError(f"budget= must be a number; given: {type(budget).__name__}. {accepted}")
    if not budget > 0:
        raise ValueError(f"budget= must be positive; given: {budget}. {accepted}")
    return int(budget) if isinstance(budget, (int, np.integer)) else float(budget)


def plan(problem: Problem, reference: Problem, budget: Budget) -> Plan:
    """Choose between all entries and probes.

    Args:
        problem: whose derivative is checked.
        reference: what the differences are made of.
        budget: see `Budget`.
    """
    n, m = problem.n, problem.m
    usual = PROBES if n < MANY else 2
    evaluations = PER_DIRECTION * n + FIXED
    if isinstance(budget, int):
        if evaluations > budget:
            probes = int(np.clip((budget - FIXED) // PER_DIRECTION, 1, usual))
            return Plan(False, probes, f"all entries take about {evaluations} evaluations, and budget={budget}")
    elif n > PROBES:
        limit = SECONDS * LENIENCE if budget is None else budget
        seconds = _seconds(problem, reference, evaluations, limit)
        if seconds > limit:
            given = f"the default budget is {SECONDS:g} s" if budget is None else f"budget={budget:g} s"
            return Plan(False, usual, f"all entries would take about {seconds:.2g} s, and {given}")
    if n * m > FULL_ENTRIES or PER_DIRECTION * n * (n + m) > FULL_NUMBERS:
        return Plan(False, usual, f"the Jacobian has {n * m:.2g} entries, too many to compare one by one")
    return Plan(True)


def _seconds(problem: Problem, reference: Problem, evaluations: int, limit: float) -> float:
    """Predict how long all entries take; a batched call is timed only where single evaluations would be too slow.

    A pullback or pushforward is taken to cost three evaluations, of which there are as many as outputs or inputs.
    """
    entries = PER_ENTRY * problem.n * problem.m
    calls = evaluations + 3 * min(problem.n, problem.m)
    if calls * reference.first_seconds + entries <= limit or entries > limit:
        return calls * reference.first_seconds + entries
    reference.values(reference.x[None])
    if calls * reference.seconds + entries <= limit or evaluations * (problem.n + problem.m) * PER_NUMBER > limit:
        return calls * reference.seconds + entries
    points = np.repeat(reference.x[None], TIMED, axis=0)
    reference.values(points)  # the first call may compile, and verifies the batch
    start = perf_counter()
    reference.values(points)
    return calls * (perf_counter() - start) / TIMED + entries
