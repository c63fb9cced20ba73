"""Where the cases come from, in chunks that one process can run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

from cases.case import Case

FRAMEWORKS = ("torch", "jax", "tensorflow", "numpy")
WITH_OPERATORS = ("torch", "jax", "tensorflow")
GROUPS = ("wrong", "right", "planted", "operators")


@dataclass(frozen=True)
class Chunk:
    """Cases of one group that one process runs; it can be sent to that process.

    Attributes:
        group: "wrong", "right", "planted" or "operators".
        framework: which framework's cases; "all" for planted errors, whose generator goes through all of them.
        seed: for those that are drawn.
        points: how many points each operator gets.
        most: how many cases at most; 0 for all.
    """

    group: str
    framework: str
    seed: int
    points: int
    most: int = 0

    def cases(self) -> Iterator[Case]:
        """Yield the cases; the same chunk yields the same ones in every process."""
        for number, case in enumerate(self._all()):
            if self.most and number >= self.most:
                return
            yield case

    def _all(self) -> Iterator[Case]:
        if self.group == "planted":
            return import_module("cases.planted").planted(self.seed)
        if self.group == "operators":
            return import_module(f"cases.{self.framework}_operators").operators(self.seed, self.points)
        listed: Callable[..., Iterator[Case]] = getattr(import_module(f"cases.{self.group}"), self.group)
        return listed([self.framework])


def chunks(groups: list[str], seed: int, points: int, most: int = 0) -> tuple[list[Chunk], list[str]]:
    """Return the chunks of the `groups` whose modules and frameworks are there, and a line for each that is not."""
    found, missing = [], []
    for group in groups:
        for framework in {"planted": ("all",), "operators": WITH_OPERATORS}.get(group, FRAMEWORKS):
            module = {"planted": "cases.planted", "operators": f"cases.{framework}_operators"}.get(group)
            if framework != "all" and find_spec(framework) is None:
                missing.append(f"{group}: {framework} is not installed")
            elif module is not None and find_spec(module) is None:
                missing.append(f"{group}: there is no {module}")
            else:
                found.append(Chunk(group, framework, seed, points, most))
    return found, missing
