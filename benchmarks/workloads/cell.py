"""What came of one workload at one size in one framework; plain data, kept as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from math import inf
from typing import Any

RIGHT, WRONG, REFUSED, LEFT_OUT, TRIAL = "right", "wrong", "refused", "left out", "seen in the trial"


@dataclass
class Line:
    """One way.

    Attributes:
        name, role: as in `Way`.
        outcome: "right", "wrong", "refused", "left out" or "seen in the trial": by xcheck alone, which found it slow.
        reason: why it is not right.
        median: seconds of one run; inf if none was timed.
        low, high: the bootstrap interval of the median, or the extremes of few runs.
        runs: how many samples that is.
        raced: whether it was timed in turns with the others, and not alone.
        first: seconds of preparing and of the first run.
        error: largest difference to the truth, over the truth's largest entry.
        apart: the same to what xcheck's choice returned.
    """

    name: str
    role: str
    outcome: str
    reason: str = ""
    median: float = inf
    low: float = inf
    high: float = inf
    runs: int = 0
    raced: bool = False
    first: float = inf
    error: float = inf
    apart: float = inf

    @property
    def is_timed(self) -> bool:
        """Whether there is a time."""
        return self.outcome == RIGHT and self.median < inf


@dataclass
class Cell:
    """One workload at one size in one framework.

    Attributes:
        letter, title, quantity, size: which.
        framework: in which.
        inputs, outputs: n and m.
        lines: all ways.
        chosen: the strategy that xcheck chose.
        setup: seconds that `xcheck.jacobian_function` took.
        memory: bytes at the peak of one run of it, beyond what was there before; None where it is not known.
        entries: numbers in the result.
        notes: what else xcheck says.
    """

    letter: str
    title: str
    quantity: str
    size: str
    framework: str
    inputs: int
    outputs: int
    lines: list[Line] = field(default_factory=list)
    chosen: str = ""
    setup: float = inf
    memory: int | None = None
    entries: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def where(self) -> str:
        """Name it."""
        return f"({self.letter}) {self.size}, {self.framework}"

    def timed(self, *roles: str) -> list[Line]:
        """Return the right ways of some roles that have a time, the fastest first."""
        return sorted((line for line in self.lines if line.role in roles and line.is_timed), key=lambda v: v.median)

    def first(self, *roles: str) -> Line | None:
        """Return the fastest of them."""
        return next(iter(self.timed(*roles)), None)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Cell:
        """Read what `to_dict` returned."""
        return cls(**{**data, "lines": [Line(**line) for line in data["lines"]]})


@dataclass
class First:
    """The first result of a verb, for a new function every time, against a naive evaluation.

    Attributes:
        framework, verb, problem: which.
        auto, naive: median seconds.
        error: largest difference of the two, over the largest entry.
        reason: why there is none.
    """

    framework: str
    verb: str
    problem: str
    auto: float = inf
    naive: float = inf
    error: float = inf
    reason: str = ""

    @property
    def ratio(self) -> float:
        """Naive evaluations that a first result costs."""
        return self.auto / self.naive if self.naive < inf else inf
