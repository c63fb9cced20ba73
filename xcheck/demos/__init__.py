"""What `xcheck demo` checks: users' code, one file for each framework.

The files here are the only ones in xcheck that import a framework. They are loaded by name, and only where their
framework is installed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Case:
    """One check of the demo.

    Attributes:
        title: what is checked, in a few words.
        look: what to look at in the report.
        expected: the verdict that it has to get.
        function: passed to `xcheck.check`.
        inputs: passed to it as well.
        options: keyword arguments of `xcheck.check`.
    """

    title: str
    look: str
    expected: Literal["agree", "disagree", "inconclusive"]
    function: Callable[..., Any]
    inputs: tuple[Any, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
