"""One process at a time runs the cases, every checker in turn on each; a hang or a crash costs one row."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from cases.case import Case
from peers import Answer, Outcome, run

from board.sources import Chunk

START = 300.0
"""Seconds that importing the frameworks and making the first case may take."""


@dataclass(frozen=True)
class Row:
    """One checker on one case."""

    group: str
    framework: str
    name: str
    truth: str
    order: int
    planted: float
    smooth: bool
    about: str
    checker: str
    outcome: Outcome

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self) | {"outcome": asdict(self.outcome) | {"answer": self.outcome.answer.value}}

    @staticmethod
    def from_dict(plain: dict[str, Any]) -> Row:
        """Read what `to_dict` wrote."""
        outcome = plain["outcome"]
        return Row(**plain | {"outcome": Outcome(**outcome | {"answer": Answer(outcome["answer"])})})


Message = tuple[str, Any]


def rows(chunk: Chunk, checkers: list[str], timeout: float, tell: Callable[[str], None]) -> Iterator[Row]:
    """Run a chunk in a process of its own; start it again, behind the last case, when it hangs or dies.

    Args:
        chunk: the cases.
        checkers: which checkers.
        timeout: seconds that one checker may take on one case.
        tell: is told what went wrong outside of any checker.
    """
    done: set[tuple[str, str]] = set()
    while True:
        current: dict[str, Any] | None = None
        for kind, content in _session(chunk, checkers, done, timeout):
            if kind == "start":
                current = content
            elif kind == "row":
                done.add((content.name, content.checker))
                yield content
                current = None
            elif kind == "broken":
                tell(content)
                return
            elif kind == "finished":
                return
            elif current is None:
                tell(f"{chunk.group}, {chunk.source}: {content} between two cases; the rest was left out")
                return
            else:
                row = Row(**current, outcome=Outcome(Answer.ERROR, timeout, 0, content))
                done.add((row.name, row.checker))
                yield row


def _session(chunk: Chunk, checkers: list[str], done: set[tuple[str, str]], timeout: float) -> Iterator[Message]:
    """Yield what one process says, and at last ("lost", why) if it did not finish."""
    context = get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_serve, args=(sender, chunk, checkers, done), daemon=True)
    process.start()
    sender.close()
    patience = START
    try:
        while receiver.poll(patience):
            message: Message = receiver.recv()
            yield message
            if message[0] in ("finished", "broken"):
                return
            patience = timeout if message[0] == "start" else START
        yield "lost", f"no answer within {patience:g} s"
    except EOFError:
        process.join()
        yield "lost", f"the process died (exit code {process.exitcode})"
    finally:
        process.kill()
        process.join()
        receiver.close()


def _warm_up(case: Case, checker: str) -> None:
    """Run once what is about to be timed: what is imported and compiled once should not count."""
    if case.framework == "torch":  # torch does this at its first forward rule that is written in Python
        import_module("torch._dynamo")
    run(checker, case)


def _serve(sender: Connection, chunk: Chunk, checkers: list[str], done: set[tuple[str, str]]) -> None:
    """Run in the process: every checker on every case, in an order that changes from case to case."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        warm: set[tuple[str, str]] = set()
        for number, case in enumerate(chunk.cases()):
            shift = number % len(checkers)
            for checker in checkers[shift:] + checkers[:shift]:
                if (case.name, checker) in done:
                    continue
                about = {
                    "group": chunk.group,
                    "framework": case.framework,
                    "name": case.name,
                    "truth": case.truth.value,
                    "order": case.order,
                    "planted": case.planted,
                    "smooth": case.smooth,
                    "about": case.about,
                    "checker": checker,
                }
                sender.send(("start", about))
                if (case.framework, checker) not in warm:
                    warm.add((case.framework, checker))
                    _warm_up(case, checker)
                sender.send(("row", Row(**about, outcome=run(checker, case))))
    except Exception:
        sender.send(("broken", f"{chunk.group}, {chunk.source}:\n{traceback.format_exc()}"))
        return
    sender.send(("finished", None))
