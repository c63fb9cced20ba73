"""One workload at one size in one framework: every way verified, then timed in turns."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf, prod
from statistics import median
from time import perf_counter
from typing import Any

import psutil
from scipy.sparse import issparse

import xcheck
from workloads.cell import LEFT_OUT, REFUSED, RIGHT, TRIAL, WRONG, Cell, Line
from workloads.frameworks import framework
from workloads.other_tools import others
from workloads.reading import of_result
from workloads.workload import EXACT, MEASURED, Way, Workload, relative_error
from xcheck.benchmarking.memory import peak_memory
from xcheck.raised import first_line
from xcheck.timing import Timing, interleave

LONGEST = 2.0
"""Seconds of one run: what is expected to take longer is left out."""

RACED = 3.0
"""Ways within so many times the fastest are timed in turns; so are those that ratios are made of."""

SLOWEST = 1.0
"""Seconds of one run from which on its first two do."""

HEADS = 4
"""Strategies that are timed in turns, the fastest first."""

SHARE = 0.25
"""The share of the memory that one run may take."""

UNTRIED = "not tried"

SLOW = 10.0
"""Strategies that took so many times the best in xcheck's own trial are run at the smallest size only."""

BYTES = 1e8
"""Bytes of a whole Jacobian that are made in a second, about: what is large is slow whatever it takes to compute."""

ROUNDS = 4
"""Rounds of the naive loop that tell how long the whole takes."""


@dataclass
class Options:
    """How it is measured.

    Attributes:
        seconds: for the runs in turns of one workload at one size.
        longest: seconds of one run: what is expected to take longer is left out.
        compiled: what `xcheck.jacobian_function` gets.
        every: whether strategies that are slow in its trial are run as well.
        seed: of the order.
    """

    seconds: float = 1.0
    longest: float = LONGEST
    compiled: bool | None = None
    every: bool = True
    seed: int = 0


@dataclass
class _Entrant:
    way: Way
    line: Line
    run: Callable[[], Any] | None = None
    times: list[float] = field(default_factory=list)


def measure(workload: Workload, size: Any, name: str, options: Options) -> tuple[Cell, Callable[[], None]]:
    """Measure one cell.

    Returns:
        The cell, and a function that times again, alone, what its ratios are made of.
    """
    there = framework(name)
    function = workload.of(there, size)
    f, x = function.make(), there.native(function.point)
    y = f(x)
    shapes = tuple(x.shape), tuple(y.shape)
    cell = Cell(
        workload.letter, workload.title, workload.quantity, size_text(size), name, prod(shapes[0]), prod(shapes[1])
    )
    truth = function.truth()
    cell.entries = int(truth.nnz if workload.quantity == "sparse" else truth.size)
    read = of_result(workload.quantity, there.numpy, *shapes)
    ways = _xcheck(cell, there, f, x, read, options)
    ways += there.ways(function, f, x, y, workload.quantity)
    ways += others(name, function, f, x, y, workload.quantity)
    entrants = _entered(cell, ways, there, f, x, truth, options)
    _race(entrants, options)
    _memory(cell, entrants)

    def again() -> None:
        chosen = [e for e in entrants if e.run is not None and e.line in _compared(cell)]
        _take(chosen, interleave(_runs(chosen), 2 * options.seconds, options.seed + 1))

    return cell, again


def size_text(size: Any) -> str:
    """Write a size."""
    return " × ".join(map(str, size)) if isinstance(size, tuple) else f"{size:,}".replace(",", " ")


def _xcheck(cell: Cell, there: Any, f: Any, x: Any, read: Any, options: Options) -> list[Way]:
    """Prepare what xcheck chooses, and every strategy that it knows."""
    start = perf_counter()
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            chosen = xcheck.jacobian_function(f, x, quantity=cell.quantity, compiled=options.compiled)
    except Exception as error:
        cell.lines.append(Line("xcheck", "auto", REFUSED, f"{type(error).__name__}: {first_line(error)}"))
        return []
    cell.setup, cell.chosen = perf_counter() - start, chosen.strategy
    cell.notes = [*map(str, chosen.plan.notes), *(str(w.message).splitlines()[0] for w in caught)]
    finish = _finish(cell.quantity, chosen._ready[0].quantity, there)
    run = chosen._ready[0].run  # what its calls do, without what is around it
    ways = [Way("xcheck", "auto", lambda: lambda: _waited(there, chosen(x)), read)]
    ways.append(Way(chosen.strategy, "native", lambda: lambda: finish(run([x], [])), read))
    best = chosen.plan.candidates[0].seconds
    for candidate in chosen.plan.candidates[1:]:
        strategy, untried = candidate.strategy, candidate.status == UNTRIED
        if candidate.status in ("refused", "not valid") or (strategy.slow_to_compile and untried):
            outcome = LEFT_OUT if untried else REFUSED
            cell.lines.append(Line(strategy.name, "strategy", outcome, candidate.reason))
            continue
        if not options.every and not candidate.seconds <= SLOW * best:
            seen = LEFT_OUT if untried else TRIAL
            cell.lines.append(Line(strategy.name, "strategy", seen, candidate.reason, candidate.seconds))
            continue
        by_loop = strategy.loops and not strategy.compiles
        way = Way(
            strategy.name, "strategy", _prepared(strategy, finish, x), read, _tolerance(strategy.name),
            rounds=strategy.products * by_loop, products=strategy.products * untried,
            room=float(strategy.bytes_needed),
        )  # fmt: skip
        ways.append(way)
    return ways


def _tolerance(name: str) -> float:
    return MEASURED if "differences" in name else EXACT


def _prepared(strategy: Any, finish: Callable[[Any], Any], x: Any) -> Callable[[], Callable[[], Any]]:
    def prepare() -> Callable[[], Any]:
        run = strategy.prepare()
        return lambda: finish(run([x], []))

    return prepare


def _finish(name: str, quantity: Any, there: Any) -> Callable[[Any], Any]:
    """Return what is done with a native result: it is waited for; a sparse one becomes a matrix."""
    if name != "sparse":
        return lambda result: there.wait(result[0])
    return lambda result: quantity.nest(quantity.primal.problem, result)


def _waited(there: Any, result: Any) -> Any:
    return result if issparse(result) else there.wait(result)


def _entered(cell: Cell, ways: list[Way], there: Any, f: Any, x: Any, truth: Any, options: Options) -> list[_Entrant]:
    """Run every way twice, unless it would take too long, and hold its result against the truth."""
    gradient = there.gradient(f, x)
    gradient()
    one = min(_seconds(gradient) for _ in range(2))
    value = min(_seconds(lambda: there.wait(f(x))) for _ in range(2))
    few = there.naive(f, x, ROUNDS)
    few()
    a_round = min(_seconds(few) for _ in range(2)) / ROUNDS
    most = SHARE * psutil.virtual_memory().available
    entrants, auto = [], None
    for way in ways:
        line = Line(way.name, way.role, LEFT_OUT)
        cell.lines.append(line)
        expected = way.rounds * a_round + way.products * one / 2 + way.values * value + way.room / BYTES
        if expected > options.longest:
            line.reason = f"would take {expected:.2g} s"
            continue
        if way.room > most:
            line.reason = f"would take {way.room / 1e9:.2g} GB"
            continue
        entrant = _Entrant(way, line)
        entrants.append(entrant)
        auto = _verify(entrant, truth, auto, options.longest)
    return entrants


def _verify(entrant: _Entrant, truth: Any, auto: Any, longest: float) -> Any:
    """Fill in the line; return what xcheck's choice returned."""
    way, line = entrant.way, entrant.line
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            start = perf_counter()
            run = way.prepare()
            result = run()
            line.first = perf_counter() - start
            found = way.numbers(result)
    except Exception as error:
        line.outcome, line.reason = REFUSED, f"{type(error).__name__}: {first_line(error)}"
        return auto
    auto = found if way.role == "auto" else auto
    line.error = relative_error(found, truth)
    line.apart = inf if auto is None else relative_error(found, auto)
    if not line.error <= way.tolerance:
        line.outcome, line.reason = WRONG, f"off by {line.error:.2g} of the largest entry"
        return auto
    line.outcome, entrant.run = RIGHT, run
    entrant.times = [line.first]
    if line.first < longest:
        entrant.times = [_seconds(run)]
        if entrant.times[0] < SLOWEST:
            entrant.times.append(_seconds(run))
    line.median, line.low, line.high = median(entrant.times), min(entrant.times), max(entrant.times)
    line.runs = len(entrant.times)
    return auto


def _race(entrants: list[_Entrant], options: Options) -> None:
    """Time in turns what is near the fastest, and what ratios are made of."""
    able = [e for e in entrants if e.run is not None]
    best = min((min(e.times) for e in able), default=0.0)
    near = [e for e in able if min(e.times) <= RACED * best or e.way.role in ("auto", "native")]
    strategies = sorted((e for e in able if e.way.role == "strategy"), key=lambda e: min(e.times))[:HEADS]
    rest = [e for e in able if e.way.role in ("default", "yardstick", "naive", "peer") and min(e.times) < SLOWEST]
    chosen = [e for e in able if (e in near and e.way.role != "strategy") or e in strategies or e in rest]
    if chosen:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _take(chosen, interleave(_runs(chosen), options.seconds, options.seed))


def _runs(entrants: Sequence[_Entrant]) -> dict[str, Callable[[], Any]]:
    return {f"{e.way.role} {e.way.name}": e.run for e in entrants if e.run is not None}


def _take(entrants: Sequence[_Entrant], timings: dict[str, Timing]) -> None:
    for entrant in entrants:
        timing, line = timings[f"{entrant.way.role} {entrant.way.name}"], entrant.line
        if timing.error is not None:
            line.outcome, line.reason = REFUSED, f"when it was run again: {first_line(timing.error)}"
            line.median = inf
            continue
        line.median, (line.low, line.high) = timing.median, timing.range
        line.runs, line.raced = len(timing.samples), True


def _compared(cell: Cell) -> list[Line]:
    """Return the lines that ratios are made of."""
    picked = [cell.first(role) for role in ("auto", "native", "strategy", "default", "yardstick")]
    return [line for line in picked if line is not None]


def _memory(cell: Cell, entrants: Sequence[_Entrant]) -> None:
    run = next((e.run for e in entrants if e.way.role == "auto"), None)
    if run is not None:
        _, peak = peak_memory(run)
        cell.memory = peak.additional


def _seconds(run: Callable[[], Any]) -> float:
    start = perf_counter()
    run()
    return perf_counter() - start
