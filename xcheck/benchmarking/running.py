"""From a function and its points to a report: where strategies become contenders."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from xcheck.benchmarking.report import BenchmarkReport

QUANTITIES = ("jacobian", "diagonal", "batch", "hessian")
"""What can be made."""


@dataclass(frozen=True)
class Point:
    """Inputs of one size.

    Attributes:
        args: positional inputs.
        kwargs: keyword arguments.
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)


def run_benchmark(
    function: Callable[..., Any], points: Sequence[Point], quantity: str = "jacobian", *,
    backends: Sequence[str] | None = None, seconds: float = 1.0, seed: int = 0, progress: bool | None = None,
) -> BenchmarkReport:  # fmt: skip
    """Verify and time every strategy for a function, at every point.

    Args:
        function: whose derivative is made.
        points: its inputs, one of each size.
        quantity: one of `QUANTITIES`.
        backends: names of frameworks; None for the one that the inputs tell.
        seconds: for timing the strategies of one backend at one size.
        seed: of everything that is drawn.
        progress: show a bar on standard error; None for only on a terminal.
    """
    raise NotImplementedError("the strategies are not there yet")
