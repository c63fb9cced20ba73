"""One case: a function, a point, and what is true of its derivative there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Truth(Enum):
    """What is true of the derivative that a case carries."""

    RIGHT = "right"
    """Calling it wrong is a false alarm."""

    WRONG = "wrong"
    """Calling it right is a false pass."""

    CONVENTION = "convention"
    """No derivative exists at the point, or its rounding cannot tell; calling it wrong is a false alarm."""


@dataclass(frozen=True)
class Case:
    """A function at a point with a derivative of known truth.

    Attributes:
        name: unique, such as `P2` or `torch.special.erfcx/1`.
        framework: "torch", "jax", "tensorflow" or "numpy".
        f: the function, called as `f(*inputs)`.
        inputs: native arrays of the framework.
        truth: what is true of its derivative.
        order: 1 for the first derivative, 2 if only the second one is at stake.
        options: further arguments of `xcheck.check`: `gradient=`, `wrt=`, `witness=` and so on.
        planted: relative size of a planted error; 0 if none was planted.
        smooth: whether the point is an ordinary interior one of a smooth operator.
        about: one sentence, or where the case comes from.
    """

    name: str
    framework: str
    f: Callable[..., Any]
    inputs: tuple[Any, ...]
    truth: Truth
    order: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)
    planted: float = 0.0
    smooth: bool = False
    about: str = ""
