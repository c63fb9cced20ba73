"""What was considered, what was measured, and why one strategy was taken: for people to read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any

from xcheck.strategies.memory import show_bytes
from xcheck.strategies.strategy import Strategy

CHOSEN, SLOWER, SKIPPED, REFUSED, INVALID = "chosen", "slower", "not tried", "refused", "not valid"


@dataclass
class Candidate:
    """A strategy and what came of it.

    Attributes:
        strategy: which one.
        status: "chosen", "slower", "not tried", "refused" or "not valid".
        seconds: of one call, prepared; inf if that was not measured.
        first_seconds: of preparing and the first call; inf if it was not run.
        reason: why it was not tried, refused or not valid.
    """

    strategy: Strategy
    status: str = SKIPPED
    seconds: float = inf
    first_seconds: float = inf
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain numbers and strings; what was not measured is None."""
        known = {"seconds": self.seconds, "first_seconds": self.first_seconds}
        return {
            "strategy": self.strategy.name,
            "status": self.status,
            **{name: value if value < inf else None for name, value in known.items()},
            "products": self.strategy.cost,
            "bytes": self.strategy.bytes_needed,
            "assumes": self.strategy.assumes,
            "reason": self.reason,
        }


@dataclass(frozen=True)
class Plan:
    """How a derivative is computed, and why so.

    Attributes:
        title: what the function is called.
        quantity: "jacobian", "diagonal", "batch", "hessian" or "sparse".
        backend: the framework.
        n: the number of inputs.
        m: the number of outputs.
        candidates: all strategies, the chosen one first, then by time.
        notes: what else was found out.
        limit: bytes that strategies may work in.
    """

    title: str
    quantity: str
    backend: str
    n: int
    m: int
    candidates: Sequence[Candidate]
    notes: Sequence[str] = field(default_factory=tuple)
    limit: int = 0

    @property
    def strategy(self) -> str:
        """The name of the chosen strategy."""
        return self.candidates[0].strategy.name

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain numbers and strings."""
        return {
            "function": self.title,
            "quantity": self.quantity,
            "backend": self.backend,
            "inputs": self.n,
            "outputs": self.m,
            "strategy": self.strategy,
            "candidates": [candidate.to_dict() for candidate in self.candidates],
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        """Lay it out as a table, and say why."""
        rows: list[tuple[str, ...]] = [("strategy", "one call", "first call", "products", "memory", "")]
        rows += [_row(candidate) for candidate in self.candidates]
        widths = [max(len(row[i]) for row in rows) for i in range(5)]
        lines = [f"{self.title}, {self.backend}: {self.quantity}, {self.n} inputs, {self.m} outputs"]
        for row in rows:
            cells = [row[0].ljust(widths[0]), *(row[i].rjust(widths[i]) for i in range(1, 5)), row[5]]
            lines.append("  " + "  ".join(cells).rstrip())
        lines += [f"  why   {self._why()}"]
        lines += [f"  note  {note}" for note in self.notes]
        return "\n".join(lines)

    __repr__ = __str__

    def _why(self) -> str:
        first = self.candidates[0]
        measured = [c for c in self.candidates[1:] if c.status == SLOWER]
        if not measured:
            return f"{first.strategy.name} is the only strategy that works and is valid here"
        naive = next((c for c in measured if c.strategy.naive), None)
        default = next((c for c in measured if c.strategy.default), None)
        beside = [(naive, "the loop"), (default, "the framework's default")]
        more = [f"{c.seconds / first.seconds:.3g} times as fast as {what}" for c, what in beside if c is not None]
        speed = f", {' and '.join(more)}" if more else ""
        return f"{first.strategy.name} was the fastest of {len(measured) + 1} that are valid and were timed{speed}"


def _row(candidate: Candidate) -> tuple[str, ...]:
    strategy = candidate.strategy
    said = candidate.status if not candidate.reason else f"{candidate.status}: {candidate.reason}"
    default = " (the framework's default)" if strategy.default else ""
    return (
        strategy.name,
        show_seconds(candidate.seconds),
        show_seconds(candidate.first_seconds),
        strategy.cost,
        show_bytes(strategy.bytes_needed),
        said + default,
    )


def show_seconds(seconds: float) -> str:
    """Write a time in the unit that a person reads; a dash for one that was not measured."""
    if not seconds < inf:
        return "-"
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"
