"""A baseline's inputs found among a problem's: parameters by name, the same shapes, the same point."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from xcheck.baseline import Baseline
from xcheck.problem import Problem
from xcheck.space import Block, Space
from xcheck.verdict import Verdict


@dataclass(frozen=True)
class Matched:
    """A baseline whose inputs are those of a problem.

    Attributes:
        baseline: the baseline, with its inputs in the problem's order.
        exact: whether the point is the same to the last bit; if not, it is when rounded to the problem's dtypes.
        notes: what to say about it.
    """

    baseline: Baseline
    exact: bool
    notes: tuple[str, ...]


def match(problem: Problem, baseline: Baseline) -> Matched:
    """Find a problem's inputs among a baseline's.

    Parameters are paired by their names. Inputs are paired by theirs if those are the same, else in their order.

    Raises:
        ValueError: parameters have other names; inputs have other shapes or are at another point; or outputs have
            other shapes.
    """
    given = _given(baseline)
    order = _paired(problem, baseline, given)
    theirs = [baseline.input_space.blocks[k] for k in order]
    _require_shapes("inputs", problem.inputs.blocks, theirs, given)
    _require_shapes("outputs", problem.outputs.blocks, baseline.output_space.blocks, given)
    places = np.concatenate([np.arange(b.start, b.start + b.size) for b in theirs] or [np.zeros(0, int)])
    ordered = _reordered(baseline, places, problem.inputs)
    exact = np.array_equal(ordered.x, problem.x, equal_nan=True)
    if not exact:
        _require_point(problem, ordered, given)
    return Matched(ordered, exact, _notes(problem, baseline, theirs, exact))


def _paired(problem: Problem, baseline: Baseline, given: str) -> list[int]:
    """Return, for every input of the problem, its place among the baseline's."""
    mine, theirs = (space.blocks for space in (problem.inputs, baseline.input_space))
    names = [block.name for block in theirs]
    if sorted(names) == sorted(block.name for block in mine):
        return [names.index(block.name) for block in mine]
    own = problem.call.parameters()
    _require_parameters(problem, baseline, given)
    known = {parameter: names.index(name) for name, parameter in baseline.parameters.items()}
    rest = [k for k, name in enumerate(names) if name not in baseline.parameters]
    inputs = [block.name for block in mine if block.name not in own]
    if sorted(inputs) == sorted(names[k] for k in rest):
        rest = [names.index(name) for name in inputs]
    following = iter(rest)
    found = [known[own[b.name]] if b.name in own else next(following, -1) for b in mine]
    return [*(k for k in found if k >= 0), *following]


def _require_parameters(problem: Problem, baseline: Baseline, given: str) -> None:
    own, saved = (set(names.values()) for names in (problem.call.parameters(), baseline.parameters))
    constant = {str(leaf.path[0]) for leaf in problem.call.constant if leaf.is_parameter}
    for name in sorted(own ^ saved):
        who, other = (given, problem.call.title) if name in saved else (problem.call.title, given)
        why = "it is held constant here" if name in constant else f"{other} has none of that name"
        raise ValueError(
            f"{who} has the parameter {name!r}, and {why}. Parameters in the baseline: {_listed(saved)}; here: "
            f"{_listed(own)}. Accepted: the same names. xcheck.layout(f, names={{name in the baseline: name here}}) "
            "gives others, and its parameters=tree makes parameters of a tree."
        )


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _require_shapes(what: str, mine: Sequence[Block], theirs: Sequence[Block], given: str) -> None:
    if len(mine) == len(theirs):
        pairs = zip(mine, theirs, strict=True)
        apart = [(a, b) for a, b in pairs if (a.shape, a.is_complex) != (b.shape, b.is_complex)]
        mine, theirs = [a for a, _ in apart], [b for _, b in apart]
    if mine or theirs:
        raise ValueError(f"{given} has other {what}: {_shapes(theirs)}. Here they are {_shapes(mine)}.")


def _shapes(blocks: Sequence[Block]) -> str:
    return ", ".join(f"{b.name} of shape {b.shape}{' (complex)' * b.is_complex}" for b in blocks) or "none"


def _reordered(baseline: Baseline, places: NDArray[np.intp], space: Space) -> Baseline:
    """Bring the inputs into the order of `space`; their dtypes stay in the numbers."""
    if np.array_equal(places, np.arange(len(places))):
        return baseline
    records = tuple(
        replace(d, **{name: getattr(d, name)[places] for name in ("claimed", "tolerance", "verdict", "missing")})
        for d in baseline.derivatives
    )
    old = baseline.pulled
    pulled = old and replace(old, value=old.value[places], allowed=old.allowed[places])
    return replace(baseline, input_space=space, x=baseline.x[places], derivatives=records, pulled=pulled)


def _require_point(problem: Problem, baseline: Baseline, given: str) -> None:
    arrays = problem.inputs.unpack(baseline.x)  # rounded to the dtypes here
    rounded = problem.inputs.pack(arrays)
    apart = ~((rounded == problem.x) | (np.isnan(rounded) & np.isnan(problem.x)))
    if not np.any(apart):
        return
    with np.errstate(invalid="ignore"):
        gap = np.where(apart, np.abs(rounded - problem.x), -1.0)
    worst = int(np.argmax(np.where(np.isnan(gap), np.inf, gap)))
    names = [f"inputs[{block.name!r}]" for block in problem.inputs.blocks]
    raise ValueError(
        f"{given} was saved at another point: {problem.inputs.entry(worst)} is {baseline.x[worst]:.17g} in it and "
        f"{problem.x[worst]:.17g} here, the farthest of {np.count_nonzero(apart)} of {problem.n} numbers that differ. "
        f"Check at its point: inputs = xcheck.load_baseline(path).inputs has it as NumPy arrays, {', '.join(names[:4])}"
        f"{', ...' if len(names) > 4 else ''}."
    )


def _given(baseline: Baseline) -> str:
    return f"baseline={baseline.path!r}" if baseline.path else "baseline"


def _notes(problem: Problem, baseline: Baseline, theirs: Sequence[Block], exact: bool) -> tuple[str, ...]:
    versions = ", ".join(f"{name} {number}" for name, number in baseline.versions.items())
    dtypes = " ".join(dict.fromkeys(block.dtype.name for block in theirs))
    lines = [f"the baseline is of {baseline.function}, {baseline.backend} {dtypes} ({versions})"]
    if baseline.verdict is not Verdict.AGREE:
        lines[0] += f"; the check that saved it was {baseline.verdict}"
    pairs = [(b.name, t.name) for b, t in zip(problem.inputs.blocks, theirs, strict=True) if b.name != t.name]
    if pairs:
        shown = ", ".join(f"{mine} is {other}" for mine, other in pairs[:3]) + (", ..." if len(pairs) > 3 else "")
        lines.append(f"inputs have other names in the baseline, and were taken in their order: {shown}")
    if not exact:
        lines.append("the baseline's point was rounded to the dtypes here")
    return tuple(lines)
