"""Rules that are not linear in the vector they are given, and how they depend on it."""

from __future__ import annotations

import numpy as np

from xcheck.diagnosis.explanation import Explanation
from xcheck.protocol import RealArray

CLOSE = 2.0**-12
"""Ratios that differ by this share of themselves are the same."""


def nonlinear(scaled: RealArray, product: RealArray, factor: float, vector: str) -> tuple[Explanation, ...]:
    """Say how a rule depends on its vector, from a product and that of a multiple of the vector.

    Evidence: the ratio is one of three numbers, the same in every entry that is not zero.

    Args:
        scaled: the product of `factor` times the vector, divided by the factor.
        product: the product of the vector itself.
        factor: neither 1 nor -1.
        vector: "cotangent" or "tangent".
    """
    some = product != 0
    if not some.any() or not np.all(np.isfinite(scaled[some] / product[some])):
        return ()
    ratio = scaled[some] / product[some]

    def is_all(value: float) -> bool:
        return bool(np.all(np.abs(ratio - value) <= CLOSE * abs(value)))

    if is_all(1 / factor):
        return (
            Explanation(
                f"{vector} ignored",
                f"the rule gives the same for every {vector}: it is right for one of size 1 alone, as of a loss that "
                "nothing comes after",
                remedy=f"multiply by the {vector}",
            ),
        )
    if is_all(factor):
        return (Explanation(f"{vector} squared", f"the rule multiplies by its {vector} twice"),)
    if factor < 0 and is_all(-1.0):
        return (Explanation(f"{vector} without sign", f"the rule takes the size of its {vector} and drops the sign"),)
    return ()
