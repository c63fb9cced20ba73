"""Who is fastest: blocks of one backend and size, places and speed-ups. Only what is right has a place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from xcheck.benchmarking.row import Outcome, Row

SURE = 1.25
"""Speed-ups whose bounds are farther apart than this factor are given as rough."""

TIE = 1.03
"""Medians closer than this factor are not told apart, however narrow their intervals are."""

ORDER = (Outcome.RIGHT, Outcome.INCONCLUSIVE, Outcome.NOT_VALID, Outcome.WRONG, Outcome.REFUSED, Outcome.NOT_TRIED)


@dataclass(frozen=True)
class Block:
    """The rows of one backend at one size, the fastest right one first, then those that have no place.

    Attributes:
        backend: the framework.
        inputs: n, how many numbers the function takes.
        outputs: m, how many it returns.
        rows: in the order of the ranking.
    """

    backend: str
    inputs: int
    outputs: int
    rows: tuple[Row, ...]

    @property
    def tried(self) -> tuple[Row, ...]:
        """All but those that were not tried."""
        return tuple(row for row in self.rows if row.outcome is not Outcome.NOT_TRIED)

    @property
    def ranked(self) -> tuple[Row, ...]:
        """The right ones, the fastest first."""
        return tuple(row for row in self.rows if row.outcome is Outcome.RIGHT and row.timing is not None)

    def notable(self, most: int) -> tuple[Row, ...]:
        """Return those that were tried, without those in the middle if there are more than `most`.

        Kept are the fastest, and what people know: the loop, the framework's own default, xcheck's own choice.
        """
        kept = [row for row in self.tried if row.naive or row.default or row.auto]
        for row in self.tried:
            if len(kept) < most and not any([row is other for other in kept]):
                kept.append(row)
        return tuple(row for row in self.tried if any([row is other for other in kept]))

    @property
    def fastest(self) -> Row | None:
        """The fastest right one; None if nothing is right."""
        return self.ranked[0] if self.ranked else None

    @property
    def tied(self) -> tuple[Row, ...]:
        """The fastest right one, and those that cannot be told from it."""
        return tuple(row for row in self.ranked if _close(self.ranked[0], row))

    @property
    def naive(self) -> Row | None:
        """The loop that people write by hand, if it is right."""
        return next((row for row in self.ranked if row.naive), None)

    @property
    def default(self) -> Row | None:
        """The framework's own default call, if it is right."""
        return next((row for row in self.ranked if row.default), None)

    def speed_up(self, row: Row, over: Row | None = None) -> float | None:
        """Return how many times faster `row` is than the naive loop, or than `over`; None where one was not timed."""
        over = over or self.naive
        if over is None or over.median is None or row.median is None or row.outcome is not Outcome.RIGHT:
            return None
        return over.median / row.median if row.median > 0 and over.median > 0 else None

    def sure(self, row: Row, over: Row | None = None) -> bool:
        """Tell whether a speed-up is known well: both have intervals, and those leave it within a factor `SURE`."""
        over = over or self.naive
        intervals = [r.timing.interval for r in (row, over) if r is not None and r.timing is not None]
        known = [interval for interval in intervals if interval is not None and interval[0] > 0]
        return row is over or (len(known) == 2 and math.prod(high / low for low, high in known) <= SURE)


def blocks(rows: Sequence[Row]) -> tuple[Block, ...]:
    """Sort rows into blocks; backends come in the order in which they are met, sizes from small to large."""
    names = list(dict.fromkeys(row.backend for row in rows))
    ordered = sorted(
        rows, key=lambda r: (names.index(r.backend), r.inputs, r.outputs, ORDER.index(r.outcome), _time(r))
    )
    groups = groupby(ordered, key=lambda r: (r.backend, r.inputs, r.outputs))
    return tuple(Block(*key, tuple(group)) for key, group in groups)


def _time(row: Row) -> float:
    return math.inf if row.median is None else row.median


def _close(best: Row, row: Row) -> bool:
    """Tell whether two cannot be told apart: their intervals overlap, or their medians are within `TIE`."""
    if best.timing is None or row.timing is None:
        return False
    return row.timing.range[0] <= best.timing.range[1] or row.timing.median <= TIE * best.timing.median
