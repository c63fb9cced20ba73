"""Claims that leave out parts of a sum, or take one where there is none."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from xcheck.diagnosis.explanation import Explanation
from xcheck.diagnosis.region import LEAST, Mask, Region
from xcheck.space import Block


def elementwise(region: Region) -> Iterator[Explanation]:
    """Recognise a Jacobian of which only the diagonal was kept, or that was replaced by its sums on a diagonal.

    Evidence: all entries off the diagonal are exactly zero, and those on it right to all digits. Sums have to be sums:
    where rows or columns have one entry each, a diagonal of them is a Jacobian in the wrong order.
    """
    n, m = region.measured.shape
    if n != m or n < 2 or region.is_complex:
        return
    eye = np.eye(n, dtype=bool)
    if not np.any(region.significant & ~eye):
        return
    r, t = region.measured, region.tolerance
    if _keeps(region, eye):
        yield Explanation(
            "diagonal only",
            "the claim has the diagonal of the Jacobian and zeros elsewhere, as of an elementwise function; here every "
            "output depends on other inputs too (as in a softmax)",
        )
        return
    for axis, kind in ((0, "row sums"), (1, "column sums")):
        several = np.any(np.count_nonzero(region.significant, axis=axis) > 1)
        if several and region.fits(np.diag(r.sum(axis)), np.diag(t.sum(axis))):
            whose = "every output's" if axis == 0 else "every input's"
            yield Explanation(
                kind, f"the claim has the {kind} of the Jacobian, {whose} derivatives added up, on its diagonal alone"
            )
            return


def without_mixing(region: Region) -> Iterator[Explanation]:
    """Recognise samples that the function mixes and the claim keeps apart.

    Evidence: entries between samples are exactly zero, and all inside of samples are right.
    """
    pair = _samples(region)
    if pair is None:
        return
    same, length = pair
    if np.any(region.significant & ~same) and _keeps(region, same):
        yield Explanation(
            "samples apart",
            f"the claim treats the {length} samples along axis 0 as independent, and the function mixes them (as a "
            "batch normalisation does)",
        )


def mixing(region: Region) -> Iterator[Explanation]:
    """Recognise samples that the claim mixes and the function keeps apart.

    Evidence: the function has exact zeros between samples and the claim has none, for every pair of them. Noise has
    that too, so that more is asked: either all inside of samples is right, or the claim mixes position by position, as
    sums and normalisations over a batch do, and has exact zeros between different positions.
    """
    pair = _samples(region)
    if pair is None:
        return
    same, length = pair
    c = region.claimed != 0
    if not np.all(region.zero | same) or not np.any(region.significant & same):
        return
    n, m = (block.size // length for block in (region.sources[0], region.targets[0]))
    between = (c & ~same).reshape(length, n, length, m)
    if not np.all(np.any(between, axis=(1, 3)) | np.eye(length, dtype=bool)):
        return
    across = between.any(axis=(0, 2))
    by_position = n == m > 1 and not np.any(across & ~np.eye(n, dtype=bool))
    if by_position or not np.any(region.wrong & same):
        yield Explanation(
            "samples mixed",
            f"the claim mixes the {length} samples along axis 0: the function keeps them apart, and the claim has "
            "entries from one to another",
            remedy="something is summed or normalised over the batch in it",
        )


def cotangent_ignored(region: Region) -> Iterator[Explanation]:
    """Recognise a pullback that gives the same for every cotangent.

    Evidence: all columns are the same sum of columns, to all digits; at least two of them have slopes.
    """
    r, t = region.measured, region.tolerance
    if r.shape[1] < 2 or np.count_nonzero(np.any(region.significant, axis=0)) < 2:
        return
    for share, kind in ((1.0, "sum"), (1.0 / r.shape[1], "mean")):
        total = share * r.sum(axis=1, keepdims=True)
        bars = share * t.sum(axis=1, keepdims=True)
        if region.fits(np.broadcast_to(total, r.shape), np.broadcast_to(bars, r.shape)):
            yield Explanation(
                "cotangent ignored",
                f"every output gets the gradient of the {kind} of all outputs: the rule ignores its cotangent",
            )
            return


def summed(region: Region) -> Iterator[Explanation]:
    """Recognise a sum or a mean over an axis of an input that should not be there.

    Evidence: every entry along the axis is the same sum of the measured ones, to all digits.
    """
    block = region.source
    if block is None or block.is_complex:
        return
    r, t = (a.reshape((*block.shape, -1)) for a in (region.measured, region.tolerance))
    axes = [(k,) for k in range(len(block.shape))]
    for over in [*axes, tuple(range(len(block.shape)))] if len(axes) > 1 else axes:
        count = int(np.prod([block.shape[k] for k in over]))
        for share, kind in ((1.0, "sum"), (1.0 / max(count, 1), "mean")) if count > 1 else ():
            total = share * r.sum(axis=over, keepdims=True)
            bars = share * t.sum(axis=over, keepdims=True)
            mean, bar = (np.broadcast_to(a, r.shape).reshape(region.measured.shape) for a in (total, bars))
            if region.fits(mean, bar):
                yield Explanation(
                    "extra sum",
                    f"every entry along {_axis(over, block)} gets the {kind} over it: a {kind} that does not belong "
                    "there",
                )
                return


def partial(region: Region) -> Iterator[Explanation]:
    """Recognise a sum over an axis of the outputs of which one term was kept.

    Evidence: one term is right to all digits and all others are exactly zero.
    """
    block = region.target
    if block is None or block.is_complex:
        return
    r = region.measured.reshape((-1, *block.shape))
    for axis, length in enumerate(block.shape):
        for index, which in ((0, "first"), (length - 1, "last")) if length > 1 else ():
            kept = np.zeros(block.shape, bool)
            np.moveaxis(kept, axis, 0)[index] = True
            mask = np.broadcast_to(kept.reshape(-1), region.measured.shape)
            several = np.any(np.count_nonzero(np.abs(r) > 0, axis=axis + 1) > 1)
            if several and _keeps(region, mask):
                yield _one_term(which, length, _axis((axis,), block))
                return
    last = _last_only(region.significant)
    if np.any(region.significant & ~last) and _keeps(region, last):
        yield Explanation(
            "assigned",
            "of several outputs that use an input, only the last one counts: its gradient is assigned (=) where it has "
            "to be accumulated (+=)",
        )


def _keeps(region: Region, mask: Mask) -> bool:
    """Tell whether the claim has the entries under a mask, and zeros elsewhere."""
    return region.fits(np.where(mask, region.measured, 0.0), np.where(mask, region.tolerance, 0.0), bits=LEAST)


def _one_term(which: str, length: int, what: str) -> Explanation:
    text = f"only the {which} of the {length} terms along {what} counts: "
    if which == "last":
        return Explanation(
            "assigned", text + "gradients are assigned (=) where they have to be accumulated (+=), or a sum is missing"
        )
    return Explanation("missing sum", text + "the sum over the broadcast axis is missing")


def _last_only(significant: Mask) -> Mask:
    """Tell which entry is the last significant one of its input."""
    m = significant.shape[1]
    last = m - 1 - np.argmax(significant[:, ::-1], axis=1)
    return np.asarray(significant & (np.arange(m) == last[:, None]))


def _axis(over: tuple[int, ...], block: Block) -> str:
    if len(block.shape) == 1 or len(over) > 1:
        return block.name
    return f"axis {over[0]} of {block.name}"


def _samples(region: Region) -> tuple[Mask, int] | None:
    """Return which entries belong to the same sample of a batch along the first axis of input and output."""
    a, b = region.source, region.target
    if a is None or b is None or not a.shape or not b.shape or a.shape[0] != b.shape[0] or a.shape[0] < 2:
        return None
    count = a.shape[0]
    if a.size == count and b.size == count:
        return None  # a plain vector: that is the elementwise case
    rows, columns = (np.arange(block.size) // (block.size // count) for block in (a, b))
    return rows[:, None] == columns[None], count


def swapped(first: Region, second: Region) -> bool:
    """Tell whether two inputs have each other's derivatives."""
    if first.measured.shape != second.measured.shape:
        return False
    return first.fits(second.measured, second.tolerance) and second.fits(first.measured, first.tolerance)
