"""A claimed and a measured Jacobian side by side, in the part that is to be explained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xcheck.protocol import RealArray
from xcheck.space import Block

Mask = NDArray[np.bool_]

SLACK = 2.0
"""A prediction fits if it is off by this many tolerances at most: those of the claim's entry and of its own sources."""

SHARP = 0.1
"""And says something about a wrong entry only if the tolerances are this share of the error at most."""

EQUAL = 2.0**-44
"""Entries of a claim that differ by this share of themselves are the same number."""


@dataclass(frozen=True)
class Region:
    """Some inputs against some outputs.

    Attributes:
        claimed: entries of the claim, shape (n, m), inputs first.
        measured: those of the reference; NaN where unknown.
        tolerance: how far they may be apart; inf where unknown.
        wrong: which entries disagree.
        x: the inputs.
        y: the outputs.
        sources: the blocks of the inputs, one after the other.
        targets: the blocks of the outputs.
        lengths: lengths of other arrays that a sum or a mean may have run over, and whose they are.
        others: the values of all arrays that the function is given, by name.
    """

    claimed: RealArray
    measured: RealArray
    tolerance: RealArray
    wrong: Mask
    x: RealArray
    y: RealArray
    sources: tuple[Block, ...]
    targets: tuple[Block, ...]
    lengths: Mapping[int, str] = field(default_factory=dict)
    others: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    @cached_property
    def known(self) -> Mask:
        """Tell which entries have a measured value."""
        return np.asarray(np.isfinite(self.measured) & np.isfinite(self.tolerance))

    @cached_property
    def source(self) -> Block | None:
        """The only input block, if there is one."""
        return self.sources[0] if len(self.sources) == 1 else None

    @cached_property
    def target(self) -> Block | None:
        """The only output block, if there is one."""
        return self.targets[0] if len(self.targets) == 1 else None

    @property
    def is_complex(self) -> bool:
        """Whether any number in it is half of a complex one."""
        return any(block.is_complex for block in (*self.sources, *self.targets))

    @cached_property
    def significant(self) -> Mask:
        """Tell which entries are measured to be different from zero."""
        return np.asarray(self.known & (np.abs(self.measured) > 4 * self.tolerance))

    @cached_property
    def zero(self) -> Mask:
        """Tell which entries are measured to be zero."""
        return np.asarray(self.known & (np.abs(self.measured) <= self.tolerance))

    def fits(self, predicted: RealArray, tolerance: RealArray | None = None) -> bool:
        """Tell whether the claim is what is predicted, in all entries that are known and at least in all wrong ones.

        Args:
            predicted: shape (n, m); NaN where nothing is predicted.
            tolerance: how far the prediction may be off; that of the entries themselves if None.
        """
        own = self.tolerance if tolerance is None else tolerance
        with np.errstate(invalid="ignore", over="ignore"):
            allowed = SLACK * (np.where(self.known, self.tolerance, 0.0) + own) + EQUAL * np.abs(predicted)
            gap = np.abs(self.claimed - predicted)
            told = np.isfinite(predicted) & np.isfinite(own)
            error = np.abs(self.claimed - self.measured)
            sharp = np.isnan(error) | (allowed <= SHARP * error)
        if np.any(self.wrong & ~(told & sharp)):
            return False
        return not np.any(told & ~(gap <= allowed))


def whole(
    claimed: RealArray,
    measured: RealArray,
    tolerance: RealArray,
    wrong: Mask,
    point: tuple[RealArray, RealArray],
    blocks: tuple[Sequence[Block], Sequence[Block]],
    lengths: Mapping[int, str],
    others: Mapping[str, NDArray[Any]],
) -> Region:
    """Return the region of all entries; `point` are inputs and outputs, `blocks` theirs."""
    return Region(claimed, measured, tolerance, wrong, *point, tuple(blocks[0]), tuple(blocks[1]), lengths, others)


def part(region: Region, source: Block | None = None, target: Block | None = None) -> Region:
    """Cut a region of all entries down to one input block, one output block, or both."""
    rows = slice(None) if source is None else source.slice
    columns = slice(None) if target is None else target.slice
    return Region(
        region.claimed[rows, columns],
        region.measured[rows, columns],
        region.tolerance[rows, columns],
        region.wrong[rows, columns],
        region.x[rows],
        region.y[columns],
        region.sources if source is None else (source,),
        region.targets if target is None else (target,),
        region.lengths,
        region.others,
    )


def masked(region: Region, mask: Mask) -> Region:
    """Keep the entries under a mask; of the others nothing is known, and the claim counts as zero."""
    return replace(
        region,
        claimed=np.where(mask, region.claimed, 0.0),
        measured=np.where(mask, region.measured, np.nan),
        tolerance=np.where(mask, region.tolerance, np.inf),
        wrong=region.wrong & mask,
    )
