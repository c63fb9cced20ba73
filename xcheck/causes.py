"""A comparison that disagrees, with its causes: the diagnosis of what a check knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xcheck.call import Leaf
from xcheck.comparison import Comparison
from xcheck.diagnosis import Region, diagnose, whole
from xcheck.diagnosis.terms import Sample, Slopes
from xcheck.judgement import DISAGREE, Judgement, judge
from xcheck.problem import Problem
from xcheck.protocol import RealArray
from xcheck.reference.witness import Witness
from xcheck.verdict import Verdict

AGAIN = 2**14
"""Jacobians of more entries are not measured at another point, nor for single samples."""

WIDEST = 2**10
"""A diagonal of more entries than this is not laid out as a matrix to be explained."""


def explained(
    comparison: Comparison, claimed: RealArray, judgement: Judgement, reference: Problem, seed: int
) -> Comparison:
    """Add the causes of what is wrong to a comparison of a whole Jacobian; others are returned as they are.

    Costs nothing for what agrees. For what is wrong, and where nothing simpler fits, it measures a few more Jacobians:
    at f(x), where that has the shape of x, and for the first and the last sample of a batch.

    Args:
        comparison: the comparison.
        claimed: the claim's entries, shape (n, m); or (1, n), those of a diagonal.
        judgement: what was found of them.
        reference: the problem that they were measured on.
        seed: chooses steps.
    """
    if comparison.verdict is not Verdict.DISAGREE:
        return comparison
    value, bar, wrong = judgement.value, judgement.tolerance, judgement.verdict == DISAGREE
    if claimed.shape != (reference.n, reference.m):
        if reference.n > WIDEST:
            return comparison
        claimed, value, bar, wrong = (
            _diagonal(a[0], rest) for a, rest in ((claimed, 0.0), (value, np.nan), (bar, np.inf), (wrong, False))
        )
    blocks = reference.inputs.blocks, reference.outputs.blocks
    region = whole(
        claimed, value, bar, wrong, (reference.x, reference.y), blocks, _lengths(reference), _arrays(reference)
    )
    with np.errstate(all="ignore"):
        found = diagnose(region, _Laboratory(reference, seed))
    return replace(comparison, causes=found.explanations, unexplained=found.unexplained)


def _diagonal(entries: NDArray[Any], rest: Any) -> NDArray[Any]:
    result = np.full((len(entries), len(entries)), rest, entries.dtype)
    np.fill_diagonal(result, entries)
    return result


def _lengths(problem: Problem) -> dict[int, str]:
    """Return the lengths of the leading axes of inputs that are held constant, such as data."""
    found: dict[int, str] = {}
    for leaf in problem.call.constant:
        shape = np.shape(leaf.array) if leaf.array is not None else getattr(leaf.value, "shape", ())
        if len(shape) and int(shape[0]) > 2:
            found.setdefault(
                int(shape[0]), f"axis 0 of {leaf.name}" if len(shape) > 1 else f"the length of {leaf.name}"
            )
    return found


def _arrays(problem: Problem) -> dict[str, NDArray[Any]]:
    """Return all arrays that the function is given, by name."""
    found = {leaf.name: leaf.array for leaf in problem.call.leaves if leaf.array is not None}
    return {
        **found,
        **{b.name: v for b, v in zip(problem.inputs.blocks, problem.inputs.unpack(problem.x), strict=True)},
    }


@dataclass(frozen=True)
class _Laboratory:
    """Measures Jacobians of the reference elsewhere."""

    reference: Problem
    seed: int

    def slopes(self, region: Region) -> Slopes:
        def measure(value: RealArray) -> tuple[RealArray, RealArray] | None:
            if region.claimed.size > AGAIN or region.source is None:
                return None
            x = self.reference.x.copy()
            x[region.source.slice] = value
            return self._measured(region, lambda: replace(self.reference, x=x, y=self.reference.values(x[None])[0]))

        return measure

    def samples(self, region: Region) -> Iterator[Sample]:
        problem, source = self.reference, region.source
        if type(problem) is not Problem or problem.m != 1 or source is None or region.claimed.size > AGAIN:
            return
        leaves = problem.call.leaves
        others = [leaf for leaf in leaves if leaf.name != source.name and len(_shape(leaf)) and _shape(leaf)[0] > 1]
        for count in dict.fromkeys(int(_shape(leaf)[0]) for leaf in others):
            batch = [leaf for leaf in others if _shape(leaf)[0] == count]
            what = ", ".join(leaf.name for leaf in batch)
            for which, piece in (("last", slice(-1, None)), ("first", slice(0, 1))):
                own = tuple(_cut(leaf, piece) if leaf in batch else leaf for leaf in leaves)
                moved = replace(problem.call, leaves=own)
                found = self._measured(region, partial(Problem.at, moved, problem.rewind))
                if found is not None:
                    yield (which, count, what, *found)

    def _measured(self, region: Region, make: Callable[[], Problem]) -> tuple[RealArray, RealArray] | None:
        """Measure the part of another problem's Jacobian that belongs to a region; None if that raises."""
        try:
            there = make()
            before = 0 if there.call is not self.reference.call else self.reference.evaluations
            rows = next(block.slice for block in there.inputs.blocks if block.name == region.sources[0].name)
            columns = slice(None) if region.target is None else region.target.slice
            claim = np.zeros((there.n, there.m))
            claim[rows, columns] = region.claimed
            judged = judge(Witness(there, seed=self.seed), claim, there.precision)
        except Exception:  # the function may not be defined there
            return None
        self.reference.evaluations += there.evaluations - before
        return judged.value[rows, columns], judged.tolerance[rows, columns]


def _shape(leaf: Leaf) -> tuple[int, ...]:
    array = leaf.array if leaf.array is not None else leaf.value
    return tuple(getattr(array, "shape", ()))


def _cut(leaf: Leaf, part: slice) -> Leaf:
    """Keep some samples of an array."""
    array = None if leaf.array is None else leaf.array[part]
    return replace(leaf, array=array, value=leaf.value if leaf.varies else leaf.value[part])
