"""`Report`: everything a check found out. It computes nothing."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NoReturn

from xcheck.comparison import Comparison
from xcheck.report.text import render
from xcheck.verdict import Verdict


@dataclass(frozen=True)
class Report:
    """What a check found.

    Attributes:
        function: how the function is called.
        backend: the framework and the dtypes of the inputs.
        comparisons: one for every claim and reference.
        point: where it was checked, the range of every input; nothing is said of other points.
        unchecked: every derivative that was not checked, and why.
        notes: findings beside the derivatives, such as inputs that the function changes in place.
        evaluations: how often the function was evaluated.
        seconds: wall time of the check.
    """

    function: str
    backend: str
    comparisons: tuple[Comparison, ...]
    point: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    evaluations: int = 0
    seconds: float = field(default=0.0, compare=False)

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of the comparisons; INCONCLUSIVE if there are none."""
        return Verdict.worst(c.verdict for c in self.comparisons)

    @property
    def ok(self) -> bool:
        """Whether the verdict is AGREE."""
        return self.verdict is Verdict.AGREE

    def __bool__(self) -> NoReturn:
        """Refuse: a verdict has three values.

        Raises:
            TypeError: always.
        """
        raise TypeError("a report has three verdicts and no truth value; use report.ok, or report.verdict")

    def __str__(self) -> str:
        """Return the report as plain text."""
        return render(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain dictionaries, lists, strings and numbers, ready for JSON.

        Infinities and NaN become the strings "inf", "-inf" and "nan", which strict JSON can hold.
        """
        plain: dict[str, Any] = _plain(self)
        return {"verdict": self.verdict.value, "ok": self.ok, **plain}


class DerivativeError(AssertionError):
    """A derivative is wrong.

    Attributes:
        report: the whole report.
    """

    def __init__(self, report: Report) -> None:
        """Carry `report`; its text is the message."""
        super().__init__(str(report))
        self.report = report


class InconclusiveError(AssertionError):
    """A derivative could not be decided.

    Attributes:
        report: the whole report.
    """

    def __init__(self, report: Report) -> None:
        """Carry `report`; its text is the message."""
        super().__init__(str(report))
        self.report = report


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
