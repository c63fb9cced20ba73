"""What a checker said of a case, and what it cost."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Answer(Enum):
    """What a checker said."""

    AGREE = "agree"
    DISAGREE = "disagree"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"
    """It raised something else than its verdict, hung, crashed, or had nothing but NaN to judge by."""
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True)
class Outcome:
    """One checker on one case.

    Attributes:
        answer: what it said.
        seconds: wall time.
        evaluations: calls of the function; a batched call of k points counts k for xcheck.
        detail: the message or the report.
        limit: the detection limit that xcheck states for the place of a planted error; NaN elsewhere.
        error: the size of that planted error, in the units of the limit; NaN elsewhere.
    """

    answer: Answer
    seconds: float = 0.0
    evaluations: int = 0
    detail: str = ""
    limit: float = float("nan")
    error: float = float("nan")


class NotApplicable(Exception):
    """The checker cannot be asked about this case."""
