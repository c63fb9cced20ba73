"""A contest: contenders are made ready, verified, and only then timed in turns."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from time import perf_counter
from typing import Any

from xcheck.benchmarking.contender import Contender, NotTried
from xcheck.benchmarking.memory import peak_memory
from xcheck.benchmarking.progress import Progress, show_progress
from xcheck.benchmarking.row import Outcome, Row
from xcheck.raised import first_line
from xcheck.timing import Clock, Run, Timing, interleave

SECONDS = 0.25
"""For timing, for every contender: those of one backend and size share what they have, after each was run twice."""

LONGEST = 30.0
"""Seconds of a single run: what would take longer at a size, judged by a smaller one, is left out."""

TIMED = (Outcome.RIGHT, Outcome.INCONCLUSIVE)
"""Those that have no place are timed after those that have one, and take no time from them."""

EXHAUSTED = ("out of memory", "resource_exhausted", "resource exhausted", "not enough memory", "unable to allocate")
"""What frameworks say, in lower case, when memory does not suffice."""


def run_contest(
    contenders: Sequence[Contender], seconds: float = SECONDS, seed: int = 0, *, longest: float = LONGEST,
    progress: bool | None = None, clock: Clock = perf_counter,
) -> tuple[Row, ...]:  # fmt: skip
    """Run contenders, small sizes first, those of one backend and size against each other.

    Each is prepared and run once, and its result verified. What raises is refused, what is wrong or refused is not
    timed, and the others go on. After the timed runs one more is made for its memory, and its result is verified too:
    what is timed is what is right. No setting of threads or frameworks is touched.

    Args:
        contenders: of any backends and sizes.
        seconds: for timing, for every contender; those of one backend and size share it, as in `interleave`.
        seed: of the order in the rounds.
        longest: seconds of a single run beyond which a strategy is left out; judged by what it took at a smaller size,
            growing as the number of inputs.
        progress: show a bar on standard error; None for only on a terminal.
        clock: returns seconds.

    Returns:
        One row for every contender, by backend and size, each in the order given.

    Raises:
        ValueError: `seconds` or `longest` is not positive.
    """
    for name, value in (("seconds", seconds), ("longest", longest)):
        if not value > 0:
            raise ValueError(f"{name}= must be positive; given: {value}.")
    names = list(dict.fromkeys(c.backend for c in contenders))
    ordered = sorted(contenders, key=lambda c: (names.index(c.backend), c.inputs, c.outputs))
    rows: list[Row] = []
    with show_progress(2 * len(ordered), progress) as bar:
        for _, group in groupby(ordered, key=lambda c: (c.backend, c.inputs, c.outputs)):
            rows += _run_group(list(group), rows, seconds, seed, longest, clock, bar)
    return tuple(rows)


@dataclass
class _Entrant:
    """A contender on its way."""

    contender: Contender
    row: Row
    run: Run | None = None


def _run_group(
    group: list[Contender], before: Sequence[Row], seconds: float, seed: int, longest: float, clock: Clock,
    bar: Progress,
) -> list[Row]:  # fmt: skip
    where = f"{group[0].backend}, n = {group[0].inputs}"
    entrants = []
    for contender in group:
        bar.say(f"{where}: verifying {contender.strategy}")
        too_long = _too_long(contender, before, longest)
        entrants.append(
            _Entrant(contender, _row(contender, Outcome.NOT_TRIED, too_long)) if too_long else _enter(contender, clock)
        )
        bar.advance()
    for outcome in TIMED:
        heat = {str(i): entrant for i, entrant in enumerate(entrants) if entrant.row.outcome is outcome}
        if not heat:
            continue
        bar.say(f"{where}: timing {len(heat)} strategies")
        runs = {key: entrant.run for key, entrant in heat.items() if entrant.run is not None}
        timings = interleave(runs, seconds * len(runs), seed, clock=clock, advance=lambda _: bar.refresh())
        gc.collect()  # once: that takes longer than most runs
        for key, timing in timings.items():
            entrant = heat[key]
            bar.say(f"{where}: memory of {entrant.contender.strategy}")
            entrant.row, entrant.run = _finish(entrant, timing), None
    bar.advance(len(group))
    return [entrant.row for entrant in entrants]


def _enter(contender: Contender, clock: Clock) -> _Entrant:
    """Prepare, run once, and verify; a run is kept of what may be timed."""
    counted = _counter(contender)
    before = counted()
    try:
        start = clock()
        run = contender.prepare()
        prepared = clock()
        result = run()
        done = clock()
    except NotTried as refusal:
        return _Entrant(contender, _row(contender, Outcome.NOT_TRIED, str(refusal)))
    except Exception as error:
        return _Entrant(contender, _row(contender, Outcome.REFUSED, _why(error)))
    outcome, reason = _verified(contender, result)
    row = replace(_row(contender, outcome, reason), products=contender.products())
    row = replace(row, prepare_seconds=prepared - start, first_seconds=done - prepared)
    row = replace(row, first_calls=_difference(before, counted()))
    return _Entrant(contender, row, run if outcome in TIMED else None)


def _finish(entrant: _Entrant, timing: Timing) -> Row:
    """Add the timing, and what one more run tells: its memory, its calls, and whether it is still right."""
    contender, row, run = entrant.contender, entrant.row, entrant.run
    assert run is not None
    if timing.error is not None:
        return replace(row, outcome=Outcome.REFUSED, reason=f"when it was run again: {_why(timing.error)}")
    counted = _counter(contender)
    before = counted()
    try:
        result, peak = peak_memory(run)
    except Exception as error:
        return replace(row, outcome=Outcome.REFUSED, reason=f"when it was run again: {_why(error)}")
    row = replace(row, calls=_difference(before, counted()), memory=peak.additional, memory_method=peak.method)
    outcome, reason = _verified(contender, result)
    if outcome not in TIMED:
        return replace(row, outcome=outcome, reason=f"when it was run again: {reason}")
    return replace(row, timing=timing)


def _verified(contender: Contender, result: Any) -> tuple[Outcome, str]:
    try:
        return contender.verify(result)
    except Exception as error:
        return Outcome.INCONCLUSIVE, f"could not be verified: {_why(error)}"


def _too_long(contender: Contender, before: Sequence[Row], longest: float) -> str:
    """Tell why a strategy is not tried at this size; empty if it is."""
    known = [r for r in before if (r.strategy, r.backend) == (contender.strategy, contender.backend)]
    for row in reversed(known):
        if row.median is not None and row.inputs < contender.inputs:
            expected = row.median * contender.inputs / row.inputs
            if expected > longest:
                return (
                    f"it took {row.median:.2g} s at n = {row.inputs}, so {expected:.2g} s or more here, "
                    f"and {longest:g} s are allowed"
                )
            return ""
        if row.outcome is Outcome.NOT_TRIED and row.inputs < contender.inputs:
            return row.reason
    return ""


def _row(contender: Contender, outcome: Outcome, reason: str) -> Row:
    c = contender
    return Row(
        c.strategy, c.backend, c.inputs, c.outputs, outcome, reason,
        call=c.call, naive=c.naive, default=c.default,
    )  # fmt: skip


def _why(error: Exception) -> str:
    """Return the first line of what was raised; what is about memory says so."""
    line = first_line(error)
    known = f"{type(error).__name__}: {error}".lower()
    if isinstance(error, MemoryError) or any([words in known for words in EXHAUSTED]):
        return line if line.lower().startswith("out of memory") else f"out of memory: {line}"
    return line


def _counter(contender: Contender) -> Callable[[], int | None]:
    return contender.calls or (lambda: None)


def _difference(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else after - before
