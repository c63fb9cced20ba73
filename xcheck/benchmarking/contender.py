"""What takes part in a contest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from xcheck.benchmarking.row import Outcome


class NotTried(Exception):
    """What `prepare` raises where there is a reason not to try; the message is the reason."""


@dataclass(frozen=True)
class Contender:
    """One strategy of one backend at one point.

    Attributes:
        strategy: what it is called.
        backend: the framework.
        inputs: n, how many numbers the function takes.
        outputs: m, how many it returns.
        prepare: makes ready for runs, which may compile, and returns the run: it makes the derivative and waits until
            that is ready. Whatever it raises is a reason to refuse.
        verify: compares a result with the reference: what it is, and the reason where it is not RIGHT.
        products: tells what one run takes in products with the derivative, such as "4 vjp"; asked once it is prepared.
        calls: how often the function has been evaluated or traced so far; None where nobody counts.
        call: how a user asks for it, such as "torch.func.jacrev(f)(x)"; `strategy="name"` if empty.
        naive: it is the loop that people write by hand.
        default: it is the framework's own default call.
    """

    strategy: str
    backend: str
    inputs: int
    outputs: int
    prepare: Callable[[], Callable[[], Any]]
    verify: Callable[[Any], tuple[Outcome, str]]
    products: Callable[[], str] = str
    calls: Callable[[], int] | None = None
    call: str = ""
    naive: bool = False
    default: bool = False
