"""Right derivatives that some checker has called wrong, at the points where it did and at a few more of the kind.

A1 to A27 are their names; P... and E/... are right partners of wrong derivatives and of points where the frameworks'
conventions differ. At a kink, a jump or the edge of a domain there is nothing to be right about (truth CONVENTION):
there only "wrong" is an error.

| left out | because |
| --- | --- |
| A6 | a straight-through estimator is no derivative of its function; it is among the wrong ones |

A17 to A22 and A25 stem from tools that are not run here; the nearest function that can be written down stands for each.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from importlib import import_module
from importlib.util import find_spec

from cases.case import Case

FRAMEWORKS = ("torch", "jax", "tensorflow", "numpy")


def right(frameworks: Collection[str] = FRAMEWORKS) -> Iterator[Case]:
    """Yield the cases of those `frameworks` that are installed."""
    for name in FRAMEWORKS:
        if name in frameworks and find_spec(name):
            yield from import_module(f"cases.right_{name}").right()
