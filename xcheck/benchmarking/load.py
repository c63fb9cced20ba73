"""What other programs do to the processors while something is timed."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import psutil

NOTICED = 0.25
"""Processors that others may keep busy before it is worth a word."""

Usage = Callable[[], tuple[float, float]]
"""Seconds of processor time: of all programs, of this one."""


class Load:
    """Counts from when it is made."""

    def __init__(self, usage: Usage | None = None, clock: Callable[[], float] = perf_counter) -> None:
        """Start counting; `usage` and `clock` are the system's if not given."""
        self._usage, self._clock = usage or _usage, clock
        self._start = self._read()

    def others(self) -> float | None:
        """Return how many processors other programs kept busy on average; None where the system does not tell."""
        end = self._read()
        if self._start is None or end is None or end[0] <= self._start[0]:
            return None
        wall, busy, own = (after - before for before, after in zip(self._start, end, strict=True))
        return max(0.0, (busy - own) / wall)

    def note(self) -> str:
        """Return a sentence on other programs; empty if they were quiet."""
        others = self.others()
        if others is None or others < NOTICED:
            return ""
        return (
            f"other programs kept {others:.1f} of {psutil.cpu_count() or 1} processors busy: times are too long, most "
            "of all those of strategies that use several threads"
        )

    def _read(self) -> tuple[float, float, float] | None:
        try:
            return (self._clock(), *self._usage())
        except (psutil.Error, OSError):
            return None


def _usage() -> tuple[float, float]:
    every = psutil.cpu_times()
    idle = every.idle + getattr(every, "iowait", 0.0)
    twice = getattr(every, "guest", 0.0) + getattr(every, "guest_nice", 0.0)  # counted as user time too
    own = psutil.Process().cpu_times()
    return sum(every) - idle - twice, own.user + own.system
