"""Errors of known size, planted in a claim to see whether they are found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from xcheck.protocol import RealArray

Product = Callable[[RealArray], RealArray]


@dataclass(frozen=True)
class Planted:
    """An error in one entry of a claimed Jacobian.

    Attributes:
        output: the entry's output, a place in R^m.
        place: the entry's input, a place in R^n.
        size: what is added to the claim, user units.
    """

    output: int
    place: int
    size: float


Plants = Sequence[Planted]


def plant(claimed: RealArray, planted: Plants) -> RealArray:
    """Return a claim, inputs first, shape (n, m), with the errors in it; the claim itself if there are none."""
    if not planted:
        return claimed
    result = claimed.copy()
    for error in planted:
        result[error.place, error.output] += error.size
    return result


def plant_in_pull(pull: Product, planted: Plants) -> Product:
    """Return the pullback `w -> w^T J` of a Jacobian with the errors in it."""

    def pulled(w: RealArray) -> RealArray:
        result = pull(w).copy()
        for error in planted:
            result[error.place] += w[error.output] * error.size
        return result

    return pulled if planted else pull


def plant_in_push(push: Product, planted: Plants) -> Product:
    """Return the pushforward `v -> J v` of a Jacobian with the errors in it."""

    def pushed(v: RealArray) -> RealArray:
        result = push(v).copy()
        for error in planted:
            result[error.output] += v[error.place] * error.size
        return result

    return pushed if planted else push


def remembering(product: Product) -> Product:
    """Return a product that is made once for every vector."""
    known: dict[bytes, RealArray] = {}

    def remembered(vector: RealArray) -> RealArray:
        key = vector.tobytes()
        if key not in known:
            known[key] = product(vector)
        return known[key]

    return remembered
