"""What is raised where a function is not what a strategy relies on."""

from __future__ import annotations

from xcheck.strategies.certificate import Violation


class AssumptionError(ValueError):
    """A strategy relies on something that the function does not keep to; the message names the entries.

    Attributes:
        strategy: the strategy's name; empty if it is all of them.
        assumption: what it relies on.
        entry: the entry that shows otherwise, as users write it.
        value: its value by plain products.
    """

    def __init__(self, title: str, strategy: str, assumption: str, violation: Violation, advice: str) -> None:
        """Put the message together."""
        self.strategy, self.assumption = strategy, assumption
        self.entry, self.value = violation.entry, violation.found
        who = f"the strategy {strategy!r}" if strategy else "every strategy for it"
        relied = f"relies on this: {assumption}" if assumption else "gave something else than plain products do"
        super().__init__(f"{title}: {who} {relied}. But {violation}. {advice}".rstrip())
