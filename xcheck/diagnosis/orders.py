"""Claims that hold the right numbers in the wrong places."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial as bound
from itertools import permutations

import numpy as np

from xcheck.diagnosis.explanation import Explanation
from xcheck.diagnosis.region import BITS, LEAST, Region
from xcheck.protocol import RealArray
from xcheck.space import Block

AXES = 4
"""Arrays of more axes are not permuted: there are too many ways."""

Move = Callable[[RealArray], RealArray]


def transposed(region: Region) -> Iterator[Explanation]:
    """Recognise a Jacobian with inputs and outputs exchanged.

    Evidence: every wrong entry is another measured one, to all digits; of a 2x2 Jacobian there are two.
    """
    n, m = region.measured.shape
    if n == m > 1 and region.fits(region.measured.T, region.tolerance.T, bits=LEAST):
        yield Explanation("transposed", "the claim is the transpose of the Jacobian: outputs and inputs are exchanged")


def weights_transposed(region: Region) -> Iterator[Explanation]:
    """Recognise a square matrix that is transposed inside of a layer: `D W^T` for the Jacobian `D W`, D diagonal.

    Evidence: the claim is the transpose of the Jacobian, with rows and columns scaled by the same numbers and one over
    them. The numbers are read off in one row, which is worth nothing then; all other rows have to fit.
    """
    r, c = region.measured, region.claimed
    n, m = r.shape
    if n != m or n < 2 or region.is_complex or not np.all(region.significant) or not np.all(c):
        return
    share = region.tolerance / np.abs(r)
    k = int(np.argmin(share.max(axis=0)))
    scale, unsure = c[k] / r[:, k], share[:, k] + region.tolerance[k] / np.abs(c[k])
    predicted = r.T * scale / scale[:, None]
    bars = np.abs(predicted) * (share.T + unsure + unsure[:, None])
    spent = np.zeros((n, m), bool)
    spent[k] = True
    if region.fits(predicted, bars, spent):
        yield Explanation(
            "transposed",
            "the claim has a matrix of weights transposed, beside the derivative of an activation that is right: "
            "W @ g in the place of W.T @ g, or the other way round",
        )


def permuted(region: Region) -> Iterator[Explanation]:
    """Recognise an array whose axes are in another order, or that was reshaped where it had to be transposed.

    Evidence: as for a transpose. Of d axes there are d! orders, 24 at most: 5 of the bits.
    """
    for block, along in ((region.source, 0), (region.target, 1)):
        if block is None or not 2 <= len(block.shape) <= AXES:
            continue
        axes = range(len(block.shape))
        for order in permutations(axes):
            if order == tuple(axes):
                continue
            if _moved_fits(region, block, along, bound(_transposed, order), LEAST if len(order) == 2 else BITS):
                yield _permutation(block, order, along)
                return


def _transposed(order: tuple[int, ...], array: RealArray) -> RealArray:
    return np.transpose(array, (*order, *range(len(order), array.ndim)))


def _permutation(block: Block, order: tuple[int, ...], along: int) -> Explanation:
    what = f"d {block.name}" if along == 0 else block.name
    moved = tuple(block.shape[k] for k in order)
    if len(order) == 2 and moved == block.shape:
        return Explanation("transposed", f"the claim holds the transpose of what belongs to {what}")
    if moved == block.shape:
        return Explanation("permuted", f"the axes of {what} are in the order {order}")
    return Explanation(
        "permuted",
        f"the numbers of {what} are laid out as if its shape were {moved}: reshaped where it had to be transposed",
    )


def shifted(region: Region) -> Iterator[Explanation]:
    """Recognise entries that are one place off, or in reverse order, along an axis.

    Evidence: as for a transpose, with five ways for every axis.
    """
    for block, along in ((region.source, 0), (region.target, 1)):
        if block is None:
            continue
        for axis, length in enumerate(block.shape):
            for kind, move in _moves(axis) if length > 2 else ():
                if _moved_fits(region, block, along, move):
                    what = block.name if len(block.shape) == 1 else f"axis {axis} of {block.name}"
                    yield Explanation(*_shift(kind, what))
                    return


def turned(region: Region) -> Iterator[Explanation]:
    """Recognise a kernel that was not turned: inputs and outputs in reverse order, along the same last axes.

    Evidence: as for a transpose, with three ways.
    """
    a, b = region.source, region.target
    if a is None or b is None or region.is_complex:
        return
    for count in range(1, min(len(a.shape), len(b.shape), 3) + 1):
        measured, tolerance = region.measured, region.tolerance
        for block, along in ((a, 0), (b, 1)):
            axes = tuple(range(len(block.shape) - count, len(block.shape)))
            turn = bound(np.flip, axis=axes)
            measured, tolerance = (_moved(entries, block, along, turn) for entries in (measured, tolerance))
        if region.fits(measured, tolerance):
            yield Explanation(
                "turned",
                "the claim has inputs and outputs in reverse order: a kernel is turned around where it should not be, "
                "or the other way round (convolution and correlation)",
            )
            return


def _moves(axis: int) -> Iterator[tuple[str, Move]]:
    for step in (1, -1):
        yield f"{step}", bound(np.roll, shift=step, axis=axis)
        yield f"{step}", bound(_pushed, step=step, axis=axis)
    yield "reversed", bound(np.flip, axis=axis)


def _pushed(array: RealArray, step: int, axis: int) -> RealArray:
    """Move entries by one place, and fill the place at the end with zeros."""
    moved = np.moveaxis(np.roll(array, step, axis).copy(), axis, 0)
    moved[0 if step > 0 else -1] = 0.0
    return np.moveaxis(moved, 0, axis)


def _shift(kind: str, what: str) -> tuple[str, str]:
    if kind == "reversed":
        return "reversed", f"the claim is in reverse order along {what}"
    direction = "late" if kind == "1" else "early"
    return "shifted", f"the claim is shifted by one along {what}: every entry comes one place too {direction}"


def _moved_fits(region: Region, block: Block, along: int, move: Move, bits: float = BITS) -> bool:
    measured, tolerance = (_moved(a, block, along, move) for a in (region.measured, region.tolerance))
    return region.fits(measured, tolerance, bits=bits)


def _moved(entries: RealArray, block: Block, along: int, move: Move) -> RealArray:
    """Rearrange inputs (along 0) or outputs (along 1) as a rearrangement of the block's array does."""
    own = entries if along == 0 else entries.T
    pairs = (2,) if block.is_complex else ()
    tensor = own.reshape((*block.shape, *pairs, own.shape[1]))
    result = np.ascontiguousarray(move(tensor)).reshape(own.shape)
    return result if along == 0 else np.ascontiguousarray(result.T)
