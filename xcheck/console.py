"""Reports on a terminal."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from xcheck.report import Power
    from xcheck.report.judged import HasVerdict

COLORS = {"agree": "green", "disagree": "red", "inconclusive": "yellow"}

QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"}
"""Keeps TensorFlow from announcing itself on a terminal."""


def quieten_frameworks() -> None:
    """Ask frameworks that are not yet imported for silence; what is set already stays."""
    for variable, value in QUIET.items():
        os.environ.setdefault(variable, value)


def print_line(console: Console, line: str, style: str = "") -> None:
    """Print `line` as it is: no markup, no highlighting, no wrapping."""
    console.print(Text(line, style=style), soft_wrap=True)


def print_report(console: Console, report: HasVerdict) -> None:
    """Print `str(report)`, its first line in the colour of the verdict."""
    first, _, rest = str(report).partition("\n")
    print_line(console, first, COLORS[str(report.verdict)])
    if rest:
        print_line(console, rest)


def print_power(console: Console, power: Power) -> None:
    """Print `str(power)` below a report, its first line in the colour of whether the limits hold."""
    first, _, rest = str(power).partition("\n")
    print_line(console, first, "green" if power.holds else "red")
    print_line(console, rest)


def print_error(console: Console, error: BaseException) -> None:
    """Print an exception with its notes, which name the point."""
    print_line(console, f"{type(error).__name__}: {error}", "red")
    for note in getattr(error, "__notes__", ()):
        print_line(console, str(note))
