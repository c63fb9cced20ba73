"""The three verdicts."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum


class Verdict(Enum):
    """What a check concludes.

    AGREE needs a reference sharp enough to have seen a meaningful error. DISAGREE needs a trusted reference, confirmed
    on fresh points. INCONCLUSIVE is everything else, with the reason.
    """

    AGREE = "agree"
    DISAGREE = "disagree"
    INCONCLUSIVE = "inconclusive"

    def __str__(self) -> str:
        """Return the word."""
        return self.value

    @staticmethod
    def worst(verdicts: Iterable[Verdict]) -> Verdict:
        """Combine verdicts: any disagreement wins, then any inconclusive one; nothing at all is inconclusive."""
        found = set(verdicts)
        if Verdict.DISAGREE in found:
            return Verdict.DISAGREE
        return Verdict.AGREE if found == {Verdict.AGREE} else Verdict.INCONCLUSIVE
