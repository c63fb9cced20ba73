"""What became of one contender."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from xcheck.timing import Timing

AUTO = "xcheck auto"
"""What tables call the strategy that `xcheck.jacobian_function` chooses."""


class Outcome(Enum):
    """What a contender is: only those that are right are ranked.

    NOT_VALID is one that relies on something that this function does not keep to.
    """

    RIGHT = "right"
    INCONCLUSIVE = "inconclusive"
    NOT_VALID = "not valid"
    WRONG = "wrong"
    REFUSED = "refused"
    NOT_TRIED = "not tried"

    def __str__(self) -> str:
        """Return the word."""
        return self.value


@dataclass(frozen=True)
class Row:
    """One strategy of one backend at one size.

    Attributes:
        strategy: what it is called.
        backend: the framework.
        inputs: n, how many numbers the function takes.
        outputs: m, how many it returns.
        outcome: right, wrong, inconclusive, or refused: it raised.
        reason: why it is not right.
        prepare_seconds: what preparing took; None if it failed.
        first_seconds: what the first run took, which may compile.
        timing: the runs that followed; None for one that is wrong or refused.
        memory: peak resident memory of one run beyond what was there before, bytes; None where it is not known.
        memory_method: how that was measured, or why it is not known.
        products: what one run takes in products with the derivative.
        calls: evaluations of the function in one run, once compiled; None where nobody counts.
        first_calls: evaluations or tracings while it was prepared and run first.
        call: how a user asks for it.
        naive: it is the loop that people write by hand.
        default: it is the framework's own default call.
    """

    strategy: str
    backend: str
    inputs: int
    outputs: int
    outcome: Outcome
    reason: str = ""
    prepare_seconds: float | None = None
    first_seconds: float | None = None
    timing: Timing | None = None
    memory: int | None = None
    memory_method: str = ""
    products: str = ""
    calls: int | None = None
    first_calls: int | None = None
    call: str = ""
    naive: bool = False
    default: bool = False

    @property
    def auto(self) -> bool:
        """Whether it is what xcheck chooses."""
        return self.strategy == AUTO

    @property
    def median(self) -> float | None:
        """Seconds of one run; None if it was not timed."""
        return None if self.timing is None else self.timing.median

    @property
    def until_first(self) -> float | None:
        """Seconds until the first result: preparing and the first run; None if it never came."""
        if self.prepare_seconds is None or self.first_seconds is None:
            return None
        return self.prepare_seconds + self.first_seconds

    @property
    def label(self) -> str:
        """The strategy, and what it is to people: "func.jacrev (default)"."""
        roles = [word for word, has in (("naive", self.naive), ("default", self.default)) if has]
        return f"{self.strategy} ({', '.join(roles)})" if roles else self.strategy

    @property
    def how(self) -> str:
        """How a user asks for it."""
        return self.call or f'strategy="{self.strategy}"'
