"""A derivative that somebody asserts, with what is needed to judge it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from xcheck.protocol import RealArray

Quantity = Literal["gradient", "Jacobian", "Jacobian diagonal", "Hessian", "second derivative"]


@dataclass(frozen=True)
class Claim:
    """A derivative and where it comes from.

    Attributes:
        quantity: what it is a value of.
        value: shape (m, n), output first; (n,) for a Jacobian diagonal.
        source: who says so, such as "torch/vjp" or "gradient=".
        precision: significand bits of the arithmetic that it was computed in; its rounding error follows from them.
        outputs: the function's value as computed along with it, shape (m,); None if it came without one.
        unconnected: inputs for which the framework returned None; their entries hold 0 and were never computed.
        doubtful: whether products with it showed something that products with a matrix do not.
    """

    quantity: Quantity
    value: RealArray
    source: str
    precision: int = 53
    outputs: RealArray | None = None
    unconnected: tuple[str, ...] = ()
    doubtful: bool = False
