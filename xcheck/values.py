"""The values of implementations: which of them are one function's, how precise they are, and in which dtype."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from xcheck.agreement import LESS_ACCURATE, Cause, Difference, differing_values, digits, group, same_numbers
from xcheck.protocol import RealArray
from xcheck.runs import Run
from xcheck.space import Block, Space

TINY = {53: 2.0**-1022, 24: 2.0**-126, 11: 2.0**-14, 8: 2.0**-126}
"""The smallest normal numbers, by significand bits."""

FEWER = 16
"""Numbers of more significant bits than this that are such of float32 are no coincidence."""


@dataclass(frozen=True)
class Values:
    """How values of several implementations compare.

    Attributes:
        differences: who computes another function.
        groups: the labels whose values are one function's.
        unsettled: places where values of one function differ by much, and ulps of the inputs explain it.
    """

    differences: tuple[Difference, ...]
    groups: tuple[tuple[str, ...], ...]
    unsettled: tuple[Difference, ...]


def compare_values(runs: Sequence[Run], rounding: Mapping[str, RealArray]) -> Values:
    """Compare values: beyond rounding, and beyond half of their digits, they are of other functions.

    Args:
        runs: implementations with outputs of the same shapes.
        rounding: how far rounding takes the values of each, by label, shape (m,).
    """
    labels = [run.label for run in runs]
    problems = [run.problem for run in runs if run.problem is not None]
    if len(problems) < 2:
        return Values((), (tuple(labels),) if labels else (), ())
    values = np.array([problem.y for problem in problems])
    outputs = problems[0].outputs
    size = outputs.largest(np.max(np.abs(values), axis=0, initial=0.0, where=np.isfinite(values)))
    least = np.maximum(LESS_ACCURATE / 2 * size, _smallest(outputs))
    allowed = np.maximum(np.array([rounding[label] for label in labels]), least)
    found, groups = differing_values(labels, values, allowed)
    coarse, _ = differing_values(labels, values, np.broadcast_to(least, values.shape))
    steps = [replace(d, cause=Cause.UNSETTLED, blamed=()) for d in coarse if _of_one_function(d, groups)]
    return Values(tuple(found), groups, tuple(steps))


def _smallest(outputs: Space) -> RealArray:
    """Return the smallest normal number of every output: smaller ones are flushed to zero by some frameworks."""
    result = np.empty(outputs.size)
    for block in outputs.blocks:
        result[block.slice] = TINY[block.precision]
    return result


def _of_one_function(difference: Difference, groups: Sequence[tuple[str, ...]]) -> bool:
    """Tell whether some whose numbers differ here were put together all the same."""
    return any(difference.separates(a, b) for labels in groups for a, b in combinations(labels, 2))


def lower_dtypes(runs: Sequence[Run]) -> list[str]:
    """Say which implementation returns, or computes in, a lower precision than its inputs have."""
    lines = []
    for run in runs:
        assert run.problem is not None
        given = min(block.precision for block in run.problem.inputs.blocks)
        for block in run.problem.outputs.blocks:
            own, others = _numbers(run, block), [_numbers(other, block) for other in runs]
            names = [b.dtype.name for b in run.problem.inputs.blocks]
            if block.precision < given:
                lines.append(f"{run.label}: {block.name} is {block.dtype.name}, though its inputs are {names[0]}")
            elif given == 53 and _is_narrow(own) and not all(map(_is_narrow, others)):
                lines.append(f"{run.label}: every number of {block.name} is one of float32: it is computed in that")
    return lines


def _is_narrow(y: RealArray) -> bool:
    """Tell whether all numbers are such of float32, and some use most of its digits."""
    with np.errstate(over="ignore"):
        narrow = np.array_equal(y, np.float32(y), equal_nan=True)
        mantissa = np.frexp(y[np.isfinite(y)])[0]
    return narrow and bool(np.any(mantissa * 2**FEWER != np.round(mantissa * 2**FEWER)))


def _numbers(run: Run, block: Block) -> RealArray:
    """Return the values of an output, and its derivatives where they are known."""
    assert run.problem is not None
    y = run.problem.y[block.slice]
    return y if run.evidence is None else np.concatenate([y, np.ravel(run.evidence.claimed[:, block.slice])])


def fewer_digits(runs: Sequence[Run], values: Values, rounding: Mapping[str, RealArray]) -> list[str]:
    """Say where values of one function agree to fewer digits than rounding explains."""
    lines = []
    for labels in values.groups:
        own = [run for run in runs if run.label in labels and run.problem is not None]
        y = np.array([run.problem.y for run in own if run.problem is not None])
        least = _smallest(own[0].problem.outputs) if own and own[0].problem is not None else 0.0
        allowed = np.array([np.maximum(rounding[run.label], least) for run in own])
        far = ~np.all(same_numbers(y, allowed), axis=2) if len(own) > 1 else np.zeros((1, 1), bool)
        if np.any(far):
            parts = group([run.label for run in own], ~far)
            fewest = min(digits(y[i], y[j]) for i, j in np.argwhere(far))
            who = " and those of ".join(", ".join(part) for part in parts)
            lines.append(f"the values of {who} agree to {int(fewest)} digits only, fewer than rounding explains")
    return lines
