"""What is benchmarked: a function of one framework at one point."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from xcheck.call import Call, Wrt, read_call
from xcheck.protocol import Backend


@dataclass(frozen=True)
class Case:
    """A function at a point.

    Attributes:
        label: what tables call the framework, such as "torch".
        function: whose derivative is made.
        backend: the framework; that of the inputs if None.
        args: positional inputs.
        kwargs: keyword arguments.
        wrt: which inputs vary.
    """

    label: str
    function: Callable[..., Any]
    backend: Backend | None
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    wrt: Wrt = None

    def read(self) -> Call:
        """Open the call.

        Raises:
            TypeError: it is none, or nothing varies.
            ValueError: an argument names nothing.
        """
        return read_call(self.function, self.args, self.kwargs, self.backend, self.wrt)
