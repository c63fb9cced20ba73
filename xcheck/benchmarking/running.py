"""From a function and its points to a report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from xcheck.benchmarking.case import Case
from xcheck.benchmarking.contest import LONGEST, SECONDS, run_contest
from xcheck.benchmarking.environment import surroundings
from xcheck.benchmarking.lineup import Lineup
from xcheck.benchmarking.load import Load
from xcheck.benchmarking.report import BenchmarkReport
from xcheck.benchmarking.row import AUTO
from xcheck.call import Wrt
from xcheck.implementation import Implementation, as_numpy, read_implementations
from xcheck.namespaces import is_written_for_namespaces
from xcheck.raised import first_line
from xcheck.registry import resolve
from xcheck.strategies.quantities import QUANTITIES

Functions = Callable[..., Any] | Mapping[str, Any]


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
    function: Functions, points: Sequence[Point], quantity: str = "jacobian", *,
    backends: Sequence[str] | None = None, compiled: bool | None = None, seconds: float = SECONDS,
    longest: float = LONGEST, wrt: Wrt = None, seed: int = 0, progress: bool | None = None,
) -> BenchmarkReport:  # fmt: skip
    """Verify and time every strategy for a function, at every point; see `xcheck.benchmark`.

    What a framework cannot do at all is noted, and the others go on; if nothing can be done, the first error is raised.

    Args:
        function: whose derivative is made, or functions by label.
        points: its inputs, one of each size.
        quantity: one of `QUANTITIES`.
        backends: names of frameworks; None for the one that the inputs tell.
        compiled: whether strategies that compile take part.
        seconds: for timing, for every strategy.
        longest: seconds that a single run may take.
        wrt: which inputs vary.
        seed: of everything that is drawn.
        progress: show a bar on standard error; None for only on a terminal.
    """
    if quantity not in QUANTITIES:
        raise ValueError(f"quantity={quantity!r} is not known. Accepted: {', '.join(map(repr, QUANTITIES))}.")
    if compiled not in (None, True, False):
        raise ValueError(f"compiled={compiled!r}. Accepted: None, True, False.")
    load, start = Load(), perf_counter()
    cases, notes = _cases(function, points, backends, wrt)
    lineups: list[Lineup] = []
    errors: list[Exception] = []
    for case in cases:
        try:
            lineups.append(Lineup.of(case, quantity, compiled, seed, longest))
        except Exception as error:
            errors.append(error)
            notes.append(f"{case.label}: {_told(error)}")
    if not lineups and errors:
        raise errors[0]
    contenders = [contender for lineup in lineups for contender in lineup.contenders()]
    rows = run_contest(contenders, seconds, seed, longest=longest, progress=progress)
    notes = [*_checked(lineups), *_of_auto(lineups), *dict.fromkeys(notes), *filter(None, [load.note()])]
    names = list(dict.fromkeys(lineup.problem.backend.name for lineup in lineups))
    title = lineups[0].problem.call.title
    return BenchmarkReport(
        title, quantity, rows, tuple(notes), surroundings(names), seconds=perf_counter() - start
    )  # fmt: skip


def _cases(
    function: Functions, points: Sequence[Point], backends: Sequence[str] | None, wrt: Wrt
) -> tuple[list[Case], list[str]]:
    """Join functions and points, backend by backend; also name what is not installed."""
    if isinstance(function, Mapping) or is_written_for_namespaces(function):
        found, missing = read_implementations(function, backends, least=1)
        for implementation in found:
            _require_no_derivative(implementation)
        several = [
            Case(one.label, one.function, one.backend, as_numpy(point.args), point.kwargs, wrt)
            for one in found
            for point in points
        ]
        return several, [f"{m.label}: {m.reason}" for m in missing]
    if backends is not None and len(backends) > 1:
        raise TypeError(
            f"backends= names {len(backends)} frameworks, and the function is written for one. Accepted: one name; a "
            "function f(x, xp) that calls the functions of xp; or a mapping such as {'torch': f, 'jax': g}."
        )
    chosen = resolve(backends[0]) if backends else None
    single = [Case("", function, chosen, point.args, point.kwargs, wrt) for point in points]
    return [_labelled(case) for case in single], []


def _labelled(case: Case) -> Case:
    """Call a case by the framework of its inputs."""
    return Case(case.read().backend.name, case.function, case.backend, case.args, case.kwargs, case.wrt)


def _require_no_derivative(implementation: Implementation) -> None:
    if implementation.derivative is not None:
        raise TypeError(
            f"{implementation.label!r} is given with a derivative by hand; a benchmark takes functions alone, and "
            "xcheck.check checks derivatives by hand."
        )


def _told(error: Exception) -> str:
    if isinstance(error, (NotImplementedError, ValueError)):
        return first_line(error)
    return f"raised {type(error).__name__}: {first_line(error)}"


def _checked(lineups: Sequence[Lineup]) -> list[str]:
    """Say what the checks found."""
    return _by_size([(lineup, lineup.verification.said()) for lineup in lineups])


def _of_auto(lineups: Sequence[Lineup]) -> list[str]:
    """Say what xcheck's own choice found out."""
    return _by_size([(lineup, f"{AUTO}: {note}") for lineup in lineups for note in lineup.notes])


def _by_size(told: Sequence[tuple[Lineup, str]]) -> list[str]:
    """Write sentences, each once for all sizes at which it is the same."""
    found: dict[tuple[str, str], list[int]] = {}
    for lineup, said in told:
        if said:
            found.setdefault((lineup.case.label, said), []).append(lineup.problem.n)
    several = {label for label, _ in found if sum(label == other for other, _ in found) > 1}
    return [f"{_where(label, ns if label in several else [])}: {said}" for (label, said), ns in found.items()]


def _where(label: str, sizes: Sequence[int]) -> str:
    return f"{label} at n = {', '.join(map(str, sizes))}" if sizes else label
