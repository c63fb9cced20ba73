"""Where the cases come from, in chunks that one process can run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from itertools import islice
from typing import Any

from cases.case import Case

GROUPS = ("wrong", "right", "planted", "operators")
FRAMEWORKS = ("torch", "jax", "tensorflow", "numpy")
WITH_OPERATORS = FRAMEWORKS[:3]
KNOWN_WRONG = {
    "torch": ("wrong",),
    "jax": ("known_wrong", "unresolved"),
    "tensorflow": ("known_wrong", "unresolved"),
}
"""What yields the wrong derivatives that each framework ships."""


@dataclass(frozen=True)
class Chunk:
    """Cases of one group that one process runs; it can be sent to that process.

    Attributes:
        group: "wrong", "right", "planted" or "operators".
        framework: which framework has to be there; empty if the cases choose among those that are.
        source: `module:function` that yields them.
        arguments: what it is called with; the same arguments yield the same cases in every process.
        most: how many cases at most; 0 for all.
    """

    group: str
    framework: str
    source: str
    arguments: tuple[Any, ...]
    most: int = 0

    def cases(self) -> Iterator[Case]:
        """Yield the cases."""
        module, _, function = self.source.partition(":")
        yield from islice(getattr(import_module(module), function)(*self.arguments), self.most or None)


def chunks(groups: list[str], seed: int, points: int, most: int = 0) -> tuple[list[Chunk], list[str]]:
    """Return the chunks of the `groups` whose modules and frameworks are there, and a line for each that is not."""
    found, missing = [], []
    for chunk in _all(seed, points, most):
        module = chunk.source.partition(":")[0]
        if chunk.group not in groups:
            continue
        if chunk.framework and find_spec(chunk.framework) is None:
            missing.append(f"{chunk.group}: {chunk.framework} is not installed")
        elif find_spec(module) is None:
            missing.append(f"{chunk.group}: there is no {module}")
        else:
            found.append(chunk)
    return found, missing


def _all(seed: int, points: int, most: int) -> Iterator[Chunk]:
    for group in ("wrong", "right"):
        for framework in FRAMEWORKS:
            yield Chunk(group, framework, f"cases.{group}:{group}", ((framework,),), most)
    for framework in WITH_OPERATORS:
        for source in KNOWN_WRONG[framework]:
            yield Chunk("wrong", framework, f"cases.{framework}_wrong:{source}", (seed,), most)
        yield Chunk("right", framework, f"cases.{framework}_tricky:tricky", (seed,), most)
    yield Chunk("planted", "", "cases.planted:planted", (seed,), most)
    for framework in WITH_OPERATORS:
        yield Chunk("operators", framework, f"cases.{framework}_operators:operators", (seed, points), most)
