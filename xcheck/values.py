"""The values of implementations: which of them are one function's, how precise they are, and in which dtype."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from xcheck.agreement import LESS_ACCURATE, Difference, differing_values, digits, group
from xcheck.protocol import RealArray
from xcheck.runs import Run


def compare_values(runs: Sequence[Run], rounding: Mapping[str, RealArray]) -> Difference | None:
    """Find the output by which values differ most, beyond rounding and beyond half of their digits; None if none do.

    Args:
        runs: implementations with outputs of the same shapes.
        rounding: how far rounding takes the values of each, by label, shape (m,).
    """
    problems = [run.problem for run in runs if run.problem is not None]
    if len(problems) < 2:
        return None
    values = np.array([problem.y for problem in problems])
    allowed = np.array([rounding[run.label] for run in runs if run.problem is not None])
    size = problems[0].outputs.largest(np.max(np.abs(values), axis=0, initial=0.0, where=np.isfinite(values)))
    rounded = np.maximum(allowed, LESS_ACCURATE / 2 * size)
    return differing_values([run.label for run in runs], values, rounded)


def lower_dtypes(runs: Sequence[Run]) -> list[str]:
    """Say which implementation returns, or computes in, a lower precision than its inputs have."""
    lines = []
    for run in runs:
        assert run.problem is not None
        given = min(block.precision for block in run.problem.inputs.blocks)
        for block in run.problem.outputs.blocks:
            y = run.problem.y[block.slice]
            names = [b.dtype.name for b in run.problem.inputs.blocks]
            if block.precision < given:
                lines.append(f"{run.label}: {block.name} is {block.dtype.name}, though its inputs are {names[0]}")
            elif given == 53 and len(y) > 3 and np.any(y != np.round(y)) and np.array_equal(y, np.float32(y)):
                lines.append(f"{run.label}: every number of {block.name} is one of float32: it is computed in that")
    return lines


def fewer_digits(runs: Sequence[Run], values: Difference | None, rounding: Mapping[str, RealArray]) -> list[str]:
    """Say where values of one function agree to fewer digits than rounding explains."""
    groups = [tuple(run.label for run in runs)] if values is None else values.groups
    lines = []
    for labels in groups:
        problems = [run.problem for run in runs if run.label in labels and run.problem is not None]
        y, allowed = (
            np.array([p.y for p in problems]),
            np.array([rounding[run.label] for run in runs if run.label in labels and run.problem is not None]),
        )
        far = np.any(np.abs(y[:, None] - y[None]) > allowed[:, None] + allowed[None], axis=-1)
        if np.any(far):
            parts = group(labels, ~far)
            least = min(digits(y[i], y[j]) for i, j in np.argwhere(far))
            who = " and those of ".join(", ".join(part) for part in parts)
            lines.append(f"the values of {who} agree to {least:.0f} digits only, fewer than rounding explains")
    return lines
