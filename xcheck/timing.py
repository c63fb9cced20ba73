"""How long runs take: interleaved, in blocks, with medians and their intervals."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import repeat
from statistics import median
from time import get_clock_info, perf_counter
from typing import Any

import numpy as np

Run = Callable[[], Any]
"""Makes the result and waits until it is ready."""

Clock = Callable[[], float]
"""Seconds since some moment."""

BLOCK = 1e-4
"""Seconds that a sample takes at least: shorter runs are timed many at once."""

OVERHEAD = 100
"""A sample takes at least this multiple of what reading the clock costs."""

MOST_RUNS = 100_000
"""Runs in one sample, whatever the clock says."""

ROUNDS = 200
"""Samples of one run, at most."""

LEAST_ROUNDS = 8
"""Samples before intervals may be called narrow."""

NARROW = 0.01
"""Half width of an interval, relative to its median, from which on more samples tell nothing that matters."""

SLOW = 30.0
"""A run that takes this multiple of the fastest one's time is out of the race."""


RESAMPLES = 1000
"""Bootstrap samples."""

ENOUGH = 6
"""Samples from which on an interval of 95 % exists: all of n lie on one side of the median in 1 of 2^(n-1) cases."""

FEW = ENOUGH
"""Samples of a run that is out of the race, as far as half the time allows, or what the others leave."""

NOTCH = 1.57
"""Half width of a median's 95 % interval in units of the interquartile range over the root of n."""


@dataclass(frozen=True)
class Timing:
    """What was measured of one run.

    Attributes:
        median: seconds of one run; inf if the run failed.
        samples: seconds of one run, in the order in which they were measured.
        block: how many runs were timed at once for each sample.
        error: what the run raised when it was repeated, if it did; it was not run again.
    """

    median: float
    samples: tuple[float, ...]
    block: int = 1
    error: Exception | None = field(default=None, compare=False)

    @cached_property
    def interval(self) -> tuple[float, float] | None:
        """The bootstrap interval of 95 % of the median; None below `ENOUGH` samples, which cannot give one."""
        return median_interval(self.samples)

    @property
    def range(self) -> tuple[float, float]:
        """The interval, or the extremes of the samples where there is none."""
        return self.interval or (min(self.samples, default=math.inf), max(self.samples, default=math.inf))


def interleave(
    runs: Mapping[str, Run], seconds: float, seed: int = 0, *, clock: Clock = perf_counter,
    narrow: float = NARROW, advance: Callable[[float], None] | None = None,
) -> dict[str, Timing]:  # fmt: skip
    """Time runs against each other: in every round each is timed once, in an order that is shuffled anew.

    Each run must have been called once before: compiling is not steady state. Each is then run once, whatever that
    takes, and `seconds` are for the rounds that follow. They end early once all intervals are narrow. A run `SLOW`
    times slower than the fastest gets `FEW` rounds, one that takes more than `seconds` none. Garbage is collected
    between samples only; thread pools and everything else are left as they are. A run that raises drops out. How slow
    one is is judged by its fastest sample, since what disturbs only makes slower.

    Args:
        runs: by name.
        seconds: for all of them together.
        seed: of the order.
        clock: returns seconds.
        narrow: relative half width of an interval that is narrow enough.
        advance: called after every round with the share of the time that is used up.

    Raises:
        ValueError: `seconds` is not positive.
    """
    if not seconds > 0:
        raise ValueError(f"seconds= must be positive; given: {seconds}.")
    generator = np.random.default_rng(seed)
    least = max(BLOCK, OVERHEAD * clock_cost(clock))
    lanes = [_Lane(name, run, clock) for name, run in runs.items()]
    for lane in _shuffled(lanes, generator):
        lane.open(least)
    start = clock()
    for count in range(1, ROUNDS + 1):
        if not _round(_shuffled(_racing(lanes, seconds, narrow), generator), start + seconds):
            break
        if advance is not None:
            advance(min(1.0, (clock() - start) / seconds))
        if count >= LEAST_ROUNDS and all([lane.width() <= narrow for lane in _racing(lanes, seconds, narrow)]):
            break
    return {lane.name: lane.timing() for lane in lanes}


def median_interval(samples: Sequence[float], seed: int = 0) -> tuple[float, float] | None:
    """Return the percentile bootstrap interval of 95 % of a median; None for fewer than `ENOUGH` samples."""
    if len(samples) < ENOUGH:
        return None
    drawn = np.random.default_rng(seed).choice(np.asarray(samples), (RESAMPLES, len(samples)))
    low, high = np.quantile(np.median(drawn, axis=1), (0.025, 0.975))
    return float(low), float(high)


def clock_cost(clock: Clock = perf_counter) -> float:
    """Return what reading the clock before and after a sample adds to it, or its resolution if that is more."""
    pairs = []
    for _ in range(20):
        start = clock()
        pairs.append(clock() - start)
    resolution = get_clock_info("perf_counter").resolution if clock is perf_counter else 0.0
    return max(median(pairs), resolution)


@contextmanager
def without_collection() -> Iterator[None]:
    """Keep the garbage collector from running, and let it run again if it did before."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Lane:
    """One run and its samples."""

    def __init__(self, name: str, run: Run, clock: Clock) -> None:
        self.name = name
        self.block = 1
        self.error: Exception | None = None
        self.samples: list[float] = []
        self._run, self._clock, self._opening, self._least = run, clock, math.inf, math.inf

    def open(self, least: float) -> None:
        """Run once, and go on to find a block that takes at least `least` seconds."""
        while True:
            taken = self._take()
            if taken is None:
                return
            self._opening = taken / self.block
            if taken >= least or self.block >= MOST_RUNS:
                return
            growth = math.ceil(1.1 * least / taken) if taken > 0 else MOST_RUNS
            self.block = min(self.block * max(2, min(growth, 100)), MOST_RUNS)

    def sample(self) -> None:
        """Time one block; short runs are run once before it, untimed, since another one had the caches."""
        taken = self._take(settle=self.block > 1)
        if taken is not None:
            self.samples.append(taken / self.block)
            self._least = min(self._least, taken / self.block)

    @property
    def least(self) -> float:
        """Seconds of the fastest run so far; inf if one failed."""
        return math.inf if self.error is not None else min(self._opening, self._least)

    @property
    def cost(self) -> float:
        """Seconds that one more sample takes."""
        last = self.samples[-1] if self.samples else self._opening
        return last * (self.block + (self.block > 1))

    def width(self) -> float:
        """Half width of the median's interval relative to it, from the quartiles; inf for few samples."""
        if len(self.samples) < LEAST_ROUNDS:
            return math.inf
        first, middle, third = np.quantile(self.samples, (0.25, 0.5, 0.75))
        return float(NOTCH * (third - first) / (math.sqrt(len(self.samples)) * middle)) if middle else 0.0

    def timing(self) -> Timing:
        if self.error is not None:
            return Timing(math.inf, tuple(self.samples), self.block, self.error)
        alone = self.block == 1 and len(self.samples) < FEW
        samples = [self._opening, *self.samples] if alone or not self.samples else self.samples
        return Timing(median(samples), tuple(samples), self.block)

    def _take(self, settle: bool = False) -> float | None:
        run, clock, times = self._run, self._clock, repeat(None, self.block)
        with without_collection():
            try:
                if settle:
                    run()
                start = clock()
                for _ in times:
                    run()
                return clock() - start
            except Exception as error:
                self.error = error
                return None


def _shuffled(lanes: list[_Lane], generator: np.random.Generator) -> list[_Lane]:
    return [lanes[i] for i in generator.permutation(len(lanes))]


def _racing(lanes: list[_Lane], seconds: float, narrow: float) -> list[_Lane]:
    """Choose who takes part in the next round."""
    best = min((lane.least for lane in lanes), default=math.inf)
    able = [lane for lane in lanes if lane.error is None and lane.cost <= seconds]
    fast = [lane for lane in able if lane.least <= SLOW * best]
    slow = [lane for lane in able if lane.least > SLOW * best and len(lane.samples) < FEW]
    if slow and any([lane.width() > narrow for lane in fast]):
        share = seconds / 2 / len(slow)
        slow = [lane for lane in slow if (len(lane.samples) + 1) * lane.cost <= share]
    return fast + slow


def _round(lanes: list[_Lane], deadline: float) -> bool:
    """Take one sample of each that still fits; tell whether there was any."""
    taken = False
    for lane in lanes:
        if lane._clock() + lane.cost <= deadline:
            lane.sample()
            taken = True
    return taken
