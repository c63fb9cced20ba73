"""What must hold, as ratios of medians of one run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from workloads.cell import WRONG, Cell, First, Line

FASTEST = 1.15
"""xcheck's choice, over the fastest strategy of the framework."""

OVERHEAD = 30e-6
"""Seconds that a call takes beyond the native run that it makes."""

DEFAULT = 1.0
"""xcheck's choice, over the framework's default."""

TIMES_FASTER = 500.0
"""(a) at 1000 samples in torch: the default over xcheck's choice, at least."""

GRADIENTS = 1.3
"""(e): over one gradient."""

COLOURED = 1.5
"""(d) at 100 000 inputs: over three products coloured by hand."""

SETUP = 10.0
"""(d): seconds of set-up."""

BYTES = 200.0
"""(d): bytes for every nonzero entry at the peak of a call."""

NAIVE = 3.0
"""Naive evaluations that a first result may cost."""


@dataclass(frozen=True)
class Held:
    """One thing that must hold.

    Attributes:
        what: in words.
        where: on which workload.
        value: what was measured.
        limit: what it may be at most.
        unit: of both.
        least: whether the limit is the least that it may be.
    """

    what: str
    where: str
    value: float
    limit: float
    unit: str = ""
    least: bool = False

    @property
    def holds(self) -> bool:
        """Whether it does."""
        return self.value >= self.limit if self.least else self.value <= self.limit


def of_cell(cell: Cell) -> Iterator[Held]:
    """Yield what must hold of one workload."""
    auto, native = cell.first("auto"), cell.first("native")
    if auto is None or native is None:
        return
    fastest = min(native.median, *(line.median for line in cell.timed("strategy")[:1]), native.median)
    yield Held(  # what a call adds is judged by itself, below
        "choice: the chosen strategy over the fastest", cell.where, native.median / fastest, FASTEST
    )
    allowed = FASTEST * fastest + OVERHEAD
    yield Held("call: xcheck over 1.15 × the fastest strategy + 30 µs", cell.where, auto.median / allowed, 1.0)
    spread = (auto.high - auto.low + native.high - native.low) / 2
    if spread < OVERHEAD:  # a difference of long runs says nothing about microseconds
        yield Held("overhead of a call", cell.where, 1e6 * (auto.median - native.median), 1e6 * OVERHEAD, " µs")
    default = cell.first("default")
    if default is not None:
        yield Held("xcheck over the framework's default", cell.where, auto.median / default.median, DEFAULT)
    yield from _of_one(cell, auto.median)


def _of_one(cell: Cell, auto: float) -> Iterator[Held]:
    default, yardstick = cell.first("default"), cell.first("yardstick")
    if (cell.letter, cell.framework, cell.size) == ("a", "torch", "1 000") and default is not None:
        what = "torch.autograd.functional.jacobian + diagonal over xcheck"
        yield Held(what, cell.where, default.median / auto, TIMES_FASTER, least=True)
    if cell.letter == "e" and cell.inputs == 100_000:
        gradient = next((line for line in cell.timed("yardstick") if line.name.startswith("one ")), None)
        if gradient is not None:
            yield Held("xcheck over one gradient", cell.where, auto / gradient.median, GRADIENTS)
    if cell.letter == "d" and cell.inputs == 100_000:
        yield Held("set-up", cell.where, cell.setup, SETUP, " s")
        if yardstick is not None:
            yield Held("xcheck over three products coloured by hand", cell.where, auto / yardstick.median, COLOURED)
        if cell.memory is not None:
            yield Held("peak memory for a nonzero entry", cell.where, cell.memory / cell.entries, BYTES, " bytes")


def of_first(first: First) -> Iterator[Held]:
    """Yield what must hold of a first result."""
    if not first.reason:
        where = f"{first.verb}, {first.problem}, {first.framework}"
        yield Held("first result over one naive evaluation", where, first.ratio, NAIVE)


def failures(cells: Sequence[Cell], firsts: Sequence[First]) -> list[str]:
    """Say what is wrong, what was refused and what does not hold."""
    mine = ((cell, line) for cell, line in wrong(cells) if line.role != "peer")
    lines = [f"{cell.where}: {line.role} {line.name} is WRONG: {line.reason}" for cell, line in mine]
    for cell in cells:
        auto = next((line for line in cell.lines if line.role == "auto"), None)
        if auto is None or not auto.is_timed:
            lines.append(f"{cell.where}: xcheck has no result: {auto.reason if auto else 'not measured'}")
    lines += [f"{first.framework}, {first.verb}, {first.problem}: {first.reason}" for first in firsts if first.reason]
    return lines + [said(held) for held in every(cells, firsts) if not held.holds]


def every(cells: Sequence[Cell], firsts: Sequence[First]) -> list[Held]:
    """Return all that must hold."""
    return [held for cell in cells for held in of_cell(cell)] + [held for first in firsts for held in of_first(first)]


def said(held: Held) -> str:
    """Say one in a line."""
    bound = "at least" if held.least else "at most"
    return f"{held.where}: {held.what}: {held.value:.3g}{held.unit}, {bound} {held.limit:g}{held.unit}"


def measured_again(cell: Cell, again: Callable[[], None], attempts: int = 2) -> None:
    """Time again, alone, what a ratio that does not hold is made of: noise does not come back."""
    for _ in range(attempts):
        if all([held.holds for held in of_cell(cell)]):
            return
        again()


def wrong(cells: Sequence[Cell]) -> Iterator[tuple[Cell, Line]]:
    """Yield what is wrong; other tools are listed, but they are no failure of xcheck's."""
    for cell in cells:
        for line in cell.lines:
            if line.outcome == WRONG:
                yield cell, line
