"""A comparison that disagrees, with its causes: the diagnosis of what a check knows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from xcheck.comparison import Comparison
from xcheck.diagnosis import Region, diagnose, whole
from xcheck.diagnosis.terms import Slopes
from xcheck.judgement import DISAGREE, Judgement, judge
from xcheck.problem import Problem
from xcheck.protocol import RealArray
from xcheck.reference.witness import Witness
from xcheck.verdict import Verdict

AGAIN = 2**14
"""Jacobians of more entries are not measured at another point."""


def explained(
    comparison: Comparison, claimed: RealArray, judgement: Judgement, reference: Problem, seed: int
) -> Comparison:
    """Add the causes of what is wrong to a comparison of a whole Jacobian; others are returned as they are.

    Costs nothing for what agrees; for what is wrong, a measurement at one more point where outputs and inputs have the
    same shape and nothing simpler fits.
    """
    if comparison.verdict is not Verdict.DISAGREE:
        return comparison
    spaces = reference.inputs.blocks, reference.outputs.blocks
    wrong = judgement.verdict == DISAGREE
    region = whole(claimed, judgement.value, judgement.tolerance, wrong, (reference.x, reference.y), spaces)
    with np.errstate(all="ignore"):
        found = diagnose(region, lambda part: _slopes(part, reference, seed))
    return replace(comparison, causes=found.explanations, unexplained=found.unexplained)


def _slopes(region: Region, reference: Problem, seed: int) -> Slopes:
    """Return what measures the slopes of a part at other values of its input."""

    def measure(value: RealArray) -> tuple[RealArray, RealArray] | None:
        if region.claimed.size > AGAIN or region.source is None or region.target is None:
            return None
        x = reference.x.copy()
        x[region.source.slice] = value
        try:
            there = _at(reference, x)
            claim = np.zeros((there.n, there.m))
            claim[region.source.slice, region.target.slice] = region.claimed
            judged = judge(Witness(there, seed=seed), claim, there.precision)
        except Exception:  # the function may not be defined there
            return None
        part = region.source.slice, region.target.slice
        return judged.value[part], judged.tolerance[part]

    return measure


def _at(problem: Problem, x: RealArray) -> Problem:
    return replace(problem, x=x, y=problem.values(x[None])[0])
