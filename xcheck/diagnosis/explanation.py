"""What a diagnosis says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Explanation:
    """Why entries of a derivative are wrong.

    Attributes:
        kind: a name for it that stays the same, such as "transposed".
        text: the sentence, about "the claim".
        where: the inputs and outputs that it is about; empty for all.
        remedy: what usually mends it; empty where the text says enough.
    """

    kind: str
    text: str
    where: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        """Write it as a sentence with its place before it."""
        text = f"{self.where}: {self.text}" if self.where else self.text
        return f"{text}; {self.remedy}" if self.remedy else text
