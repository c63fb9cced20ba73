"""Torch's public differentiable functions at random points where they are smooth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Any
from zlib import crc32

import numpy as np
import torch

from cases.case import Case, Truth
from cases.torch_algebra import ALGEBRA
from cases.torch_arrays import ARRAYS
from cases.torch_layers import LAYERS
from cases.torch_points import Rule
from cases.torch_pointwise import POINTWISE
from cases.torch_tricky import tricky

__all__ = ["operators", "public_names", "table", "tricky"]

Function = Callable[..., Any]


def operators(seed: int, points: int) -> Iterator[Case]:
    """Yield every operator of the tables at `points` points of its own; the same seed gives the same points.

    A point depends on the seed, the operator's name and its number alone, so that a longer table moves no other point.
    """
    for name, function, rule in table():
        for point in range(points):
            rng = np.random.default_rng([seed, crc32(name.encode()), point])
            yield Case(f"{name}/{point}", "torch", function, rule(rng), Truth.RIGHT, smooth=True)


def table() -> list[tuple[str, Function, Rule]]:
    """Return every operator with its name and the rule for its inputs; names that come again get a number."""
    seen: dict[str, int] = {}
    rows = []
    for rule, members in [*POINTWISE, *ARRAYS, *ALGEBRA, *LAYERS]:
        for name, function in _members(members):
            seen[name] = seen.get(name, 0) + 1
            rows.append((name if seen[name] == 1 else f"{name}[{seen[name]}]", function, rule))
    return rows


def public_names() -> set[str]:
    """Return the public functions of torch that the tables reach, without their variants."""
    return {name.partition("[")[0] for name, _, _ in table()}


def _members(members: str | dict[str, Function]) -> list[tuple[str, Function]]:
    if isinstance(members, dict):
        return list(members.items())
    module, _, names = members.partition(": ")
    return [_parsed(module, word) for word in names.split()]


def _parsed(module: str, word: str) -> tuple[str, Function]:
    name, *numbers = word.split(":")
    path = f"{module}.{name}"
    function = attrgetter(path.removeprefix("torch."))(torch)
    arguments = [float(n) if "." in n else int(n) for n in numbers]
    if not arguments:
        return path, function
    return f"{path}[{','.join(numbers)}]", lambda *inputs: function(*inputs, *arguments)
