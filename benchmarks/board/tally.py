"""The sums behind the tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import median

from peers import Answer

from board.worker import Row


@dataclass(frozen=True)
class Tally:
    """One checker on one group of cases.

    Attributes:
        wrong, right, convention: how many cases of each truth it ran on; what was not applicable is not among them.
        caught, false_passes, wrong_open, wrong_errors: what it said of the wrong ones.
        above_limit: false passes whose error exceeds the limit stated; a checker that states none means all sizes.
        passes, right_open: what it said of the right ones.
        right_errors: how often it gave no answer on right ones and conventions.
        false_alarms: how many right ones and conventions it called wrong.
        alarms_convention: how many of those are conventions.
        seconds, typical: total and median time.
        evaluations: median calls of the function.
    """

    wrong: int
    right: int
    convention: int
    caught: int
    false_passes: int
    above_limit: int
    wrong_open: int
    wrong_errors: int
    passes: int
    false_alarms: int
    alarms_convention: int
    right_open: int
    right_errors: int
    seconds: float
    typical: float
    evaluations: float


def asked(rows: Iterable[Row]) -> list[Row]:
    """Leave out what was not applicable."""
    return [row for row in rows if row.outcome.answer is not Answer.NOT_APPLICABLE]


def tally(rows: Iterable[Row]) -> Tally | None:
    """Sum up the rows of one checker; None if there are none that apply."""
    kept = asked(rows)
    if not kept:
        return None

    def count(truth: str, *answers: Answer) -> int:
        return sum(row.truth == truth and (not answers or row.outcome.answer in answers) for row in kept)

    alarms = count("convention", Answer.DISAGREE)
    return Tally(
        wrong=count("wrong"),
        right=count("right"),
        convention=count("convention"),
        caught=count("wrong", Answer.DISAGREE),
        false_passes=count("wrong", Answer.AGREE),
        above_limit=sum(is_above_limit(row) for row in kept),
        wrong_open=count("wrong", Answer.INCONCLUSIVE),
        wrong_errors=count("wrong", Answer.ERROR),
        passes=count("right", Answer.AGREE),
        false_alarms=count("right", Answer.DISAGREE) + alarms,
        alarms_convention=alarms,
        right_open=count("right", Answer.INCONCLUSIVE),
        right_errors=count("right", Answer.ERROR) + count("convention", Answer.ERROR),
        seconds=sum(row.outcome.seconds for row in kept),
        typical=median(row.outcome.seconds for row in kept),
        evaluations=median(row.outcome.evaluations for row in kept),
    )


def is_above_limit(row: Row) -> bool:
    """Tell whether this is a false pass that the checker's own stated limit does not excuse."""
    if row.truth != "wrong" or row.outcome.answer is not Answer.AGREE:
        return False
    return not row.outcome.error <= row.outcome.limit  # NaN, no limit stated, excuses nothing


def is_amiss(row: Row) -> bool:
    """Tell whether a verdict is one to work on: false, or no answer at all."""
    answer, wrong = row.outcome.answer, row.truth == "wrong"
    return answer is Answer.ERROR or (wrong and answer is Answer.AGREE) or (not wrong and answer is Answer.DISAGREE)


def of(rows: Iterable[Row], checker: str, keep: Callable[[Row], bool] = lambda _: True) -> list[Row]:
    """Select the rows of a checker."""
    return [row for row in rows if row.checker == checker and keep(row)]


def side_by_side(rows: list[Row], peer: str, own: str) -> tuple[list[Row], list[Row]]:
    """Select the rows of two checkers on the cases that both could be asked about."""
    first, second = asked(of(rows, peer)), asked(of(rows, own))
    shared = {(r.group, r.name) for r in first} & {(r.group, r.name) for r in second}
    return [r for r in first if (r.group, r.name) in shared], [r for r in second if (r.group, r.name) in shared]


def detection(rows: list[Row], checker: str) -> dict[float, tuple[int, int]]:
    """Return, for each planted size, how many errors were called wrong, and of how many."""
    sizes: dict[float, tuple[int, int]] = {}
    for row in asked(of(rows, checker)):
        if row.planted:
            seen, total = sizes.get(row.planted, (0, 0))
            sizes[row.planted] = (seen + (row.outcome.answer is Answer.DISAGREE), total + 1)
    return dict(sorted(sizes.items(), reverse=True))
