"""A claimed and a measured Jacobian side by side, in the part that is to be explained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from xcheck.protocol import RealArray
from xcheck.space import Block

Mask = NDArray[np.bool_]

SLACK = 2.0
"""A prediction fits if it is off by this many tolerances at most: those of the claim's entry and of its own sources."""

BITS = 16.0
"""What a prediction has to be worth: one that is right by chance once in 2^16 is, with some hundred rules tried, named
wrongly once in several hundred claims that nothing explains."""

LEAST = 8.0
"""What the likeliest mistakes need, that leave no choice: a factor of 2, 1/2 or -1, a transpose, a conjugate, zeros."""

ALIKE = 2.0**-16
"""Ratios of claim to reference that differ by this share of themselves are one piece of evidence, not two."""

BLUNT = 0.1
"""At most this share of the wrong entries may be so nearly right that a prediction says nothing about them."""

EQUAL = 2.0**-44
"""Entries of a claim that differ by this share of themselves are the same number."""


Slopes = Callable[[RealArray], tuple[RealArray, RealArray] | None]
"""Measures the Jacobian at another point, inputs first, with its error bars; None where that does not work."""

Sample = tuple[str, int, str, RealArray, RealArray]
"""Which sample, of how many, along what, its Jacobian and the error bars of that."""


class Laboratory(Protocol):
    """Makes the measurements that a diagnosis asks for beyond the point itself."""

    def slopes(self, region: Region) -> Slopes:
        """Return what measures the Jacobian of a part at other values of its input."""
        ...

    def samples(self, region: Region) -> Iterator[Sample]:
        """Measure the Jacobian of a part for single samples of a batch."""
        ...

    def moves(self, region: Region) -> bool | None:
        """Tell whether the values change with the inputs of a part; None if that cannot be told."""
        ...


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
        others: the other inputs by name, varying or not: what an entry is wrong by may be a mask.
        laboratory: measures more; None if nothing more can be measured.
        again: the same part at another point, where a cause has to show too; None if the claim is not known there.
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
    others: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)
    laboratory: Laboratory | None = None
    again: Region | None = None

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

    def fits(
        self,
        predicted: RealArray,
        tolerance: RealArray | None = None,
        spent: Mask | None = None,
        bits: float = BITS,
    ) -> bool:
        """Tell whether the claim is what is predicted, in all entries that are known and at least in all wrong ones.

        A wrong entry that is predicted to a share `s` of its error is worth `log2(1/s)` bits: by chance, a number lies
        so near to another once in `1/s`. Entries that are off by the same ratio count once, since whatever spoiled one
        of them spoiled them all: a scalar factor is no better known from a thousand entries than from the best.

        Args:
            predicted: shape (n, m); NaN where nothing is predicted.
            tolerance: how far the prediction may be off; that of the entries themselves if None.
            spent: entries that the prediction was made from: they fit in any case, and are worth nothing.
            bits: what all wrong entries together have to be worth.
        """
        own = self.tolerance if tolerance is None else tolerance
        with np.errstate(invalid="ignore", over="ignore"):
            allowed = SLACK * (np.where(self.known, self.tolerance, 0.0) + own) + EQUAL * np.abs(predicted)
            told = np.isfinite(predicted) & np.isfinite(own)
            if np.any(self.wrong & ~told) or np.any(told & ~(np.abs(self.claimed - predicted) <= allowed)):
                return False
        return self._worth(allowed, self.wrong if spent is None else self.wrong & ~spent) >= bits

    def _worth(self, allowed: RealArray, counted: Mask) -> float:
        """Return the evidence in bits; none if too many of the wrong entries say nothing."""
        claimed, measured = self.claimed[counted], self.measured[counted]
        with np.errstate(all="ignore"):
            share = np.abs(claimed - measured) / allowed[counted]
            worth = np.log2(np.where(np.isnan(share), 1.0, np.clip(share, 1.0, 1 / EQUAL)))
            ratio = claimed / measured
        if np.count_nonzero(worth < 1) > BLUNT * len(worth):
            return 0.0
        order = np.argsort(ratio, kind="stable")
        ratio, worth = ratio[order], worth[order]
        apart = np.abs(np.diff(ratio, prepend=np.nan)) <= ALIKE * np.abs(ratio)
        groups = np.cumsum(~apart)
        best = np.zeros(len(worth) + 1)
        np.maximum.at(best, groups, worth)
        return float(best.sum())


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
        region.laboratory,
        None if region.again is None else part(region.again, source, target),
    )


def masked(region: Region, mask: Mask) -> Region:
    """Keep the entries under a mask; of the others nothing is known, and the claim counts as zero."""
    return replace(
        region,
        claimed=np.where(mask, region.claimed, 0.0),
        measured=np.where(mask, region.measured, np.nan),
        tolerance=np.where(mask, region.tolerance, np.inf),
        wrong=region.wrong & mask,
        again=None,
    )
