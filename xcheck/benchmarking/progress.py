"""A progress bar on standard error that costs nothing while something is timed: no thread draws it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as RichBar

OFTEN = 0.1
"""Seconds between two drawings."""


class Progress(Protocol):
    """Tells how far a contest is."""

    def say(self, what: str) -> None:
        """Name what is going on."""

    def advance(self, steps: int = 1) -> None:
        """Count steps that are done."""

    def refresh(self) -> None:
        """Draw, if the last drawing is some time ago."""


@contextmanager
def show_progress(steps: int, wanted: bool | None = None) -> Iterator[Progress]:
    """Show a bar of `steps` steps, and take it away in the end; where there is no terminal, lines stand for it.

    Args:
        steps: how many there are.
        wanted: True or False; None for only where standard error is a terminal.
    """
    from rich.console import Console

    console = Console(stderr=True)
    if not (console.is_terminal if wanted is None else wanted):
        yield _Silent()
        return
    if not console.is_terminal:
        yield _Lines(console, steps)
        return
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (BarColumn(), TextColumn("{task.completed:.0f}/{task.total:.0f}"), TimeElapsedColumn())
    told = TextColumn("{task.description}", markup=False)
    with Bar(*columns, told, console=console, transient=True, auto_refresh=False) as bar:
        yield _Bar(bar, steps)


class _Silent:
    def say(self, what: str) -> None:
        pass

    def advance(self, steps: int = 1) -> None:
        pass

    def refresh(self) -> None:
        pass


class _Lines(_Silent):
    def __init__(self, console: Console, steps: int) -> None:
        self._console, self._steps, self._done = console, steps, 0

    def say(self, what: str) -> None:
        self._console.print(f"{self._done}/{self._steps} {what}", markup=False, highlight=False, soft_wrap=True)

    def advance(self, steps: int = 1) -> None:
        self._done += steps


class _Bar:
    def __init__(self, bar: RichBar, steps: int) -> None:
        self._bar, self._task, self._drawn = bar, bar.add_task("", total=steps), 0.0

    def say(self, what: str) -> None:
        self._bar.update(self._task, description=what)
        self._draw()

    def advance(self, steps: int = 1) -> None:
        self._bar.update(self._task, advance=steps)
        self._draw()

    def refresh(self) -> None:
        if monotonic() - self._drawn >= OFTEN:
            self._draw()

    def _draw(self) -> None:
        self._bar.refresh()
        self._drawn = monotonic()
