"""A comparison that disagrees, with its causes: the diagnosis of what a check knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xcheck.call import Call, Leaf
from xcheck.comparison import Comparison
from xcheck.diagnosis import Region, Sample, Slopes, diagnose
from xcheck.ignored import is_ignored
from xcheck.judgement import AGREE, DISAGREE, SKIPPED, Judgement, judge
from xcheck.problem import Problem
from xcheck.protocol import RealArray
from xcheck.reference.status import Status
from xcheck.reference.witness import Witness
from xcheck.verdict import Verdict

AGAIN = 2**14
"""Jacobians of more entries are not measured at another point, nor for single samples."""

SEVERAL = 2**20
"""Nor are larger ones measured once more at the point."""

BLUNT = 2.0**-12
"""A bar that is a larger share of the error than this says little of what would be right."""

SECONDS = 2.0
"""A Jacobian is not measured once more if one evaluation for every input takes longer than this."""

WIDEST = 2**10
"""A diagonal of more entries than this is not laid out as a matrix to be explained."""


def explained(
    comparison: Comparison,
    claimed: RealArray,
    judgement: Judgement,
    reference: Problem,
    seed: int,
    claim: Rerun | None = None,
) -> Comparison:
    """Add the causes of what is wrong to a comparison of a whole Jacobian; others are returned as they are.

    Costs nothing for what agrees. For what is wrong, claim and Jacobian are looked at once more at another point, the
    Jacobian is measured again where bars are wide, and others are where nothing simpler fits: at f(x), where that has
    the shape of x, and for the first and the last sample of a batch.

    Args:
        comparison: the comparison.
        claimed: the claim's entries, shape (n, m); or (1, n), those of a diagonal.
        judgement: what was found of them.
        reference: the problem that they were measured on.
        seed: chooses steps.
        claim: makes the claim at another point; None if it cannot be made, or belongs to another function.
    """
    if comparison.verdict is not Verdict.DISAGREE or (claimed.shape[0] != reference.n and reference.n > WIDEST):
        return comparison
    with np.errstate(all="ignore"):
        region = _region(claimed, judgement, reference, seed)
        found = diagnose(replace(region, again=_elsewhere(region, judgement, reference, seed, claim)))
    return replace(comparison, causes=found.explanations, unexplained=found.unexplained)


@dataclass(frozen=True)
class Rerun:
    """A claim that can be made again at another point.

    Attributes:
        problem: the function as the claim knows it.
        derive: makes the claim for the same function at another point, shape (n, m).
    """

    problem: Problem
    derive: Callable[[Problem], RealArray]


def _region(claimed: RealArray, judgement: Judgement, reference: Problem, seed: int) -> Region:
    """Lay claim and reference out side by side."""
    wrong, value, rounding = judgement.verdict == DISAGREE, judgement.value, judgement.rounding
    bar = judgement.bar
    if claimed.shape != (reference.n, reference.m):
        parts = (claimed, 0.0), (value, np.nan), (bar, np.inf), (rounding, 0.0), (wrong, False)
        claimed, value, bar, rounding, wrong = (_diagonal(own[0], rest) for own, rest in parts)
    else:
        value = np.where(judgement.verdict == SKIPPED, np.nan, value)  # what is not claimed is not compared
    blunt = wrong & np.isfinite(value) & (bar > BLUNT * np.abs(claimed - value))
    if blunt.any() and claimed.size <= SEVERAL and not _is_slow(reference):
        value, bar = _sharper(value, bar, blunt, reference, seed)
    return _laid_out(claimed, (value, bar + rounding, wrong), reference, seed)


def _laid_out(
    claimed: RealArray, measured: tuple[RealArray, RealArray, NDArray[np.bool_]], reference: Problem, seed: int
) -> Region:
    return Region(
        claimed,
        *measured,
        reference.x,
        reference.y,
        tuple(reference.inputs.blocks),
        tuple(reference.outputs.blocks),
        _lengths(reference),
        _others(reference),
        _Laboratory(reference, seed),
    )


def _jacobian(problem: Problem, seed: int, wanted: NDArray[np.bool_]) -> tuple[RealArray, RealArray]:
    """Measure the wanted entries, inputs first, with their bars; NaN and inf where there is no slope."""
    witness = Witness(problem, seed=seed)
    found = witness.measure(np.arange(problem.n), wanted).scaled(witness.units)
    known = wanted & (
        (found.status <= Status.FLAT) | (found.status == Status.SATURATED)
    )  # whose bars hold all the same
    return np.where(known, found.value, np.nan), np.where(known, found.bar, np.inf)


def _elsewhere(
    region: Region, judgement: Judgement, reference: Problem, seed: int, claim: Rerun | None
) -> Region | None:
    """Make the claim at another point, and measure there; None if that raises, or costs too much."""
    if (
        claim is None
        or type(reference) is not Problem
        or region.claimed.size > AGAIN
        or _is_slow(reference)
        or judgement.verdict.shape != region.claimed.shape
    ):
        return None
    x = _moved(region.x, claim.problem.precision, seed)
    problem, there = (replace(p, x=x, evaluations=0) for p in (claim.problem, reference))
    try:
        there.y = there.values(x[None])[0]
        claimed = claim.derive(problem)
        value, bar = _jacobian(there, seed, judgement.verdict != SKIPPED)
        bar += judgement.rounding
        wrong = np.isfinite(value) & ~(np.abs(claimed - value) <= bar)
        found = _laid_out(claimed, (value, bar, wrong), there, seed)
    except Exception:  # the function may not be defined there
        return None
    reference.evaluations += there.evaluations + problem.evaluations
    return found if np.all(np.isfinite(there.y)) else None


def _moved(x: RealArray, precision: int, seed: int) -> RealArray:
    """Return a point some percent away, in so many bits; zeros stay, unless there is nothing else."""
    share = np.random.default_rng((seed, 21)).uniform(0.02, 0.12, x.shape)
    mantissa, exponent = np.frexp(x * (1 + share) if np.any(x) else share)
    return np.asarray(np.ldexp(np.round(mantissa * 2.0**precision), exponent - precision))


def _sharper(
    value: RealArray, bar: RealArray, blunt: NDArray[np.bool_], reference: Problem, seed: int
) -> tuple[RealArray, RealArray]:
    """Return measured values and bars; measured once more where they are just good enough to call a claim wrong.

    A claim that is far off is excluded by a wide bar, which says little of what would be right. What was measured is
    judged in its place: it agrees with itself, and its bar is narrow then.
    """
    own = judge(Witness(reference, seed=seed), np.where(blunt, value, 0.0), reference.precision, blunt)
    better = blunt & (own.verdict == AGREE) & (own.bar < bar)
    return np.where(better, own.value, value), np.where(better, own.bar, bar)


def _is_slow(problem: Problem) -> bool:
    """Tell whether measuring the Jacobian once more takes too long to be worth a name."""
    return problem.seconds * problem.n > SECONDS


def _diagonal(entries: NDArray[Any], rest: Any) -> NDArray[Any]:
    result = np.full((len(entries), len(entries)), rest, entries.dtype)
    np.fill_diagonal(result, entries)
    return result


def _lengths(problem: Problem) -> dict[int, str]:
    """Return the lengths of the leading axes of inputs that are held constant, such as data."""
    found: dict[int, str] = {}
    for leaf in problem.call.constant:
        shape = _shape(leaf)
        if len(shape) and int(shape[0]) > 2:
            found.setdefault(
                int(shape[0]), f"axis 0 of {leaf.name}" if len(shape) > 1 else f"the length of {leaf.name}"
            )
    return found


def _others(problem: Problem) -> dict[str, NDArray[np.generic]]:
    """Return the inputs of few entries, those that are held constant too."""
    found: dict[str, NDArray[np.generic]] = {}
    varying = zip(problem.inputs.blocks, problem.inputs.unpack(problem.x), strict=True)
    found.update({block.name: value for block, value in varying if 0 < value.size <= AGAIN and block.shape})
    for leaf in problem.call.constant:
        if 0 < np.prod(_shape(leaf), initial=1.0) <= AGAIN and _shape(leaf):
            try:
                found[leaf.name] = problem.as_array(leaf.value) if leaf.array is None else leaf.array
            except Exception:  # not every constant is an array
                continue
    return found


@dataclass(frozen=True)
class _Laboratory:
    """Measures Jacobians of the reference elsewhere."""

    reference: Problem
    seed: int

    def slopes(self, region: Region) -> Slopes:
        def measure(value: RealArray) -> tuple[RealArray, RealArray] | None:
            if type(self.reference) is not Problem or region.claimed.size > AGAIN or region.source is None:
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
                found = self._measured(region, partial(self._at_the_point, moved, [leaf.name for leaf in batch], piece))
                if found is not None:
                    yield (which, count, what, *found)

    def _at_the_point(self, call: Call, batch: Sequence[str], piece: slice) -> Problem:
        """Evaluate another call where the reference is, with a piece of every array of the batch."""
        there = Problem.at(call, self.reference.rewind)
        parts = []
        for block, own in zip(self.reference.inputs.blocks, there.inputs.blocks, strict=True):
            whole = self.reference.x[block.slice].reshape((block.shape[0] if block.shape else 1, -1))
            parts.append((whole[piece] if own.name in batch else whole).reshape(-1))
        x = np.concatenate(parts)
        return replace(there, x=x, y=there.values(x[None])[0])

    def moves(self, region: Region) -> bool | None:
        rows = slice(region.sources[0].start, region.sources[-1].start + region.sources[-1].size)
        columns = slice(region.targets[0].start, region.targets[-1].start + region.targets[-1].size)
        ignored = is_ignored(self.reference, rows, columns, self.seed)
        return None if ignored is None else not ignored

    def _measured(self, region: Region, make: Callable[[], Problem]) -> tuple[RealArray, RealArray] | None:
        """Measure the part of another problem's Jacobian that belongs to a region; None if that raises."""
        if _is_slow(self.reference):
            return None
        try:
            there = make()
            before = 0 if there.call is not self.reference.call else self.reference.evaluations
            rows = next(block.slice for block in there.inputs.blocks if block.name == region.sources[0].name)
            columns = slice(None) if region.target is None else region.target.slice
            wanted = np.zeros((there.n, there.m), bool)
            wanted[rows, columns] = True
            value, bar = _jacobian(there, self.seed, wanted)
        except Exception:  # the function may not be defined there
            return None
        self.reference.evaluations += there.evaluations - before
        return value[rows, columns], bar[rows, columns]


def _shape(leaf: Leaf) -> tuple[int, ...]:
    array = leaf.array if leaf.array is not None else leaf.value
    return tuple(getattr(array, "shape", ()))


def _cut(leaf: Leaf, part: slice) -> Leaf:
    """Keep some samples of an array."""
    array = None if leaf.array is None else leaf.array[part]
    return replace(leaf, array=array, value=leaf.value if leaf.varies else leaf.value[part])
