"""What a check has found so far, and how its numbers are laid out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from xcheck.baselines.baseline import Baseline, Recorded
from xcheck.baselines.golden import hold_against
from xcheck.baselines.matching import Matched
from xcheck.baselines.recording import Pull, make_baseline
from xcheck.budget import Budget, Plan, plan
from xcheck.call import Call
from xcheck.causes import Rerun
from xcheck.claim import Claim
from xcheck.comparison import Comparison
from xcheck.contract import Contract
from xcheck.high_precision import read_witness
from xcheck.judgement import Judgement
from xcheck.probing import (
    Arena,
)
from xcheck.problem import Problem
from xcheck.protocol import RealArray, supports_jvp, supports_vjp
from xcheck.randomness import pinned
from xcheck.report import Report
from xcheck.trials import Bed
from xcheck.twins import Twins


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


@dataclass
class Findings:
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
        """Take over what came of a rule's contract."""
        self.add_all(contract.comparisons)
        self.notes += contract.notes
        self.unchecked += contract.unchecked

    def hold_against(self, problem: Problem, matched: Matched) -> None:
        """Hold what was found against a baseline."""
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
        """Add a comparison, with the bed for errors to be planted in it."""
        self.comparisons.append(comparison)
        self.beds.append(bed)

    def add_all(self, comparisons: Sequence[Comparison]) -> None:
        """Add comparisons in which nothing can be planted."""
        for comparison in comparisons:
            self.add(comparison)


@contextmanager
def prepared(
    call: Call,
    seed: int,
    witness: Callable[..., Any] | None = None,
    budget: Budget = None,
    reference: Callable[..., Any] | None = None,
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


def by_inputs(claim: Claim) -> RealArray:
    """Lay a claim out with inputs first, shape (n, m)."""
    return np.diag(claim.value) if claim.value.ndim == 1 else np.ascontiguousarray(claim.value.T)


def namer(problem: Problem) -> Callable[[int, int], str]:
    """Return what names the entry at (direction, output)."""
    return lambda j, i: problem.entry(i, j)


def make_rerun(arena: Arena, derive: Callable[[Problem], RealArray]) -> Rerun | None:
    """Return what makes a claim again at another point; None where it has a twin, which lives at this one."""
    return None if arena.twins else Rerun(arena.problem, derive)


def has_both(problem: Problem) -> bool:
    """Tell whether the framework has both modes."""
    return supports_vjp(problem.backend) and supports_jvp(problem.backend)
