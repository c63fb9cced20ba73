"""Where a claim is wrong, if the places have something in common, and what it is there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import NDArray

from xcheck.diagnosis.explanation import Explanation
from xcheck.diagnosis.factors import factor, missing
from xcheck.diagnosis.region import Mask, Region, masked
from xcheck.protocol import RealArray
from xcheck.space import Block

Rows = NDArray[np.intp]

FEW, SOME, UNLIKELY, VERY_UNLIKELY = 3, 20, 50, 200
"""Wrong places that a condition picks out mean something if it had so many choices: few for exact zeros, which are rare
by themselves, some for signs, on which branches usually depend, and many for thresholds, of which there are many."""


def not_finite(region: Region) -> Iterator[Explanation]:
    """Recognise NaN and infinity where the derivative exists.

    Evidence: the derivative was measured there, twice; nothing is inferred.
    """
    lost = ~np.isfinite(region.claimed) & region.wrong
    if not lost.any() or np.any(region.wrong & ~lost):
        return
    rows = np.flatnonzero(lost.any(axis=1))
    if np.all(region.x[rows] == 0):
        yield Explanation(
            "not finite",
            f"the claim is not finite at {_places(region, rows)}, where the input is zero and the derivative is finite",
            remedy="a norm, square root, logarithm or quotient at zero on the way: select a safe argument first "
            "(where(x > 0, x, 1) inside as well as outside), or add a small constant under the root",
        )
    else:
        yield Explanation(
            "not finite",
            f"the claim is not finite at {_places(region, rows)}, and the derivative is",
            remedy="on the way is a norm, square root, logarithm or quotient at zero, whose infinite slope times zero "
            "is NaN, or a value that overflows: select a safe argument first (where(x > 0, x, 1) inside as well as "
            "outside)",
        )


def where_a_mask_holds(region: Region) -> Iterator[Explanation]:
    """Recognise claims that are wrong exactly where inputs, or outputs, are negative, positive, zero or tied.

    Another input of the same shape, or of its first axes, may be the mask as well. Entries that are right by
    coincidence are told by the other point. That the claim is wrong there and
    nowhere else is a fact. Evidence that it is no coincidence: there are `comb(total, count)` choices of as many
    places, and a condition is named if that is well above the number of conditions tried.
    """
    again = region.again
    for here, there in zip(_sides(region), _sides(region if again is None else again), strict=True):
        for (mask, what, least), (beyond, *_) in zip(_masks(here.values), _masks(there.values), strict=True):
            held = mask & here.active
            count, total = int(np.count_nonzero(held)), int(np.count_nonzero(here.active))
            exact = np.array_equal(held, here.wrong) or (
                np.array_equal(beyond & there.active, there.wrong) and not np.any(here.wrong & ~held)
            )
            if not exact or count in (0, total) or comb(total, count) < least:
                continue
            yield Explanation(
                f"wrong where {what}",
                f"wrong exactly where {here.name} is {what} ({count} of {total} entries of {here.block.name})"
                f"{_content(region)}",
            )
            return


@dataclass(frozen=True)
class _Side:
    """Inputs or outputs, by values that may tell where a claim is wrong.

    Attributes:
        values: one number for every place.
        wrong: places where something is wrong.
        active: places where there is a derivative, or a claim.
        block: whose places they are.
        name: whose values.
    """

    values: RealArray
    wrong: Mask
    active: Mask
    block: Block
    name: str


def _sides(region: Region) -> Iterator[_Side]:
    for block, own, axis in ((region.source, region.x, 1), (region.target, region.y, 0)):
        if block is None or block.is_complex:
            continue
        active = np.any(region.significant | (region.claimed != 0), axis=axis)
        wrong = np.any(region.wrong, axis=axis)
        yield _Side(own, wrong, active, block, block.name)
        for name, array in region.others.items():
            spread = _spread(np.asarray(array), block.shape)
            if spread is not None and name != block.name:
                yield _Side(spread, wrong, active, block, name)


def _spread(array: NDArray[np.generic], shape: tuple[int, ...]) -> RealArray | None:
    """Repeat an array over the last axes of a block of which it has the first; None if it has not."""
    if array.dtype.kind not in "biuf" or not array.ndim or array.shape != shape[: array.ndim]:
        return None
    own = array.astype(np.float64).reshape(array.shape + (1,) * (len(shape) - array.ndim))
    return np.ascontiguousarray(np.broadcast_to(own, shape)).reshape(-1)


def _masks(values: RealArray) -> Iterator[tuple[Mask, str, int]]:
    """Return conditions with how unlikely they have to be."""
    yield values < 0, "negative", SOME
    yield values > 0, "positive", SOME
    yield values == 0, "zero", FEW
    yield values != 0, "not zero", UNLIKELY
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    yield counts[inverse] > 1, "tied with another entry", UNLIKELY
    sizes = np.abs(values)
    for limit in (1.0, 6.0, 3.0, 0.5, 2.0):
        yield sizes > limit, f"larger than {limit:g} in size", VERY_UNLIKELY
        yield values > limit, f"larger than {limit:g}", VERY_UNLIKELY
        yield sizes < limit, f"smaller than {limit:g} in size", VERY_UNLIKELY


def at_one_place(region: Region) -> Iterator[Explanation]:
    """Say so where one entry, one input, one output or the ends of an axis are wrong.

    A fact, and no guess: what is said of the numbers there has the evidence of `factor`.
    """
    rows, columns = (np.flatnonzero(region.wrong.any(axis=axis)) for axis in (1, 0))
    n, m = region.wrong.shape
    ever = region.wrong if region.again is None else region.wrong | region.again.wrong
    if region.source is not None and n > 2:
        ends = _ends(region.source, np.flatnonzero(ever.any(axis=1)))
        if ends:
            yield Explanation("boundary", f"wrong only at {ends}{_content(region)}")
            return
    if region.target is not None and m > 2:
        ends = _ends(region.target, np.flatnonzero(ever.any(axis=0)))
        if ends:
            yield Explanation("boundary", f"wrong only at {ends}{_content(region)}")
            return
    content = _content(region)
    if n * m > 1 and len(rows) == 1 and len(columns) == 1:
        name = f"d {_output(region, columns[0])} / d {_input(region, rows[0])}"
        yield Explanation("one entry", f"wrong in one entry only, {name}{content}")
    elif n > 1 and len(rows) == 1:
        yield Explanation("one input", f"wrong only for the input {_input(region, rows[0])}{content}")
    elif m > 1 and len(columns) == 1:
        yield Explanation("one output", f"wrong only for the output {_output(region, columns[0])}{content}")
    else:
        yield from _one_index(region, rows, columns, content)


def _one_index(region: Region, rows: Rows, columns: Rows, content: str) -> Iterator[Explanation]:
    """Say so where one index of an axis holds all that is wrong."""
    for block, own in ((region.source, rows), (region.target, columns)):
        if block is None or len(block.shape) < 2 or block.is_complex:
            continue
        places = np.array(np.unravel_index(own.astype(int), block.shape))
        for axis, index in enumerate(places):
            if len(set(index.tolist())) == 1 and block.shape[axis] > 1:
                slot = ", ".join(str(int(index[0])) if k == axis else ":" for k in range(len(block.shape)))
                yield Explanation("one index", f"wrong only in {block.name}[{slot}]{content}")
                return


def _ends(block: Block, places: Rows) -> str:
    """Name both ends of an axis, if these are the places, or the whole rim of an array."""
    if block.is_complex or not len(places):
        return ""
    index = np.unravel_index(np.asarray(places, int), block.shape)
    for axis, length in enumerate(block.shape):
        own = set(index[axis].tolist())
        if length > 2 and own == {0, length - 1}:
            return (
                f"both ends of {block.name}" if len(block.shape) == 1 else f"both ends of axis {axis} of {block.name}"
            )
    rim = np.ones(block.shape, bool)
    if len(block.shape) > 1 and min(block.shape) > 2:
        rim[tuple(slice(1, -1) for _ in block.shape)] = False
        if np.array_equal(np.flatnonzero(rim), np.sort(places)):
            return f"the rim of {block.name}"
    return ""


def _content(region: Region) -> str:
    """Say what the claim is in the wrong places: zero, or the derivative times something."""
    inside = masked(region, region.wrong)
    for explanation in (*missing(inside), *factor(inside)):
        if explanation.kind == "zero":
            return ": the claim is zero there"
        if explanation.kind == "factor":
            return f": {explanation.text.removesuffix(', in every entry')} there"
    return ""


def _places(region: Region, rows: Rows) -> str:
    names = [_input(region, int(k)) for k in rows[:3]]
    more = f" and {len(rows) - 3} more" if len(rows) > 3 else ""
    return ", ".join(names) + more


def _input(region: Region, k: int) -> str:
    return _named(region.sources, k)


def _output(region: Region, k: int) -> str:
    return _named(region.targets, k)


def _named(blocks: tuple[Block, ...], k: int) -> str:
    place = k + blocks[0].start
    block = next(b for b in blocks if place < b.start + b.size)
    return block.entry(place - block.start)
