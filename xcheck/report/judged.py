"""What every report is: one of three verdicts, and no truth value."""

from __future__ import annotations

from typing import NoReturn, Protocol

from xcheck.verdict import Verdict


class HasVerdict(Protocol):
    """Anything with a verdict."""

    @property
    def verdict(self) -> Verdict:
        """The verdict."""


class Judged:
    """The face that reports share; they have a `verdict`."""

    @property
    def ok(self: HasVerdict) -> bool:
        """Whether the verdict is AGREE."""
        return self.verdict is Verdict.AGREE

    def __bool__(self) -> NoReturn:
        """Refuse: a verdict has three values.

        Raises:
            TypeError: always.
        """
        raise TypeError("a report has three verdicts and no truth value; use report.ok, or report.verdict")
