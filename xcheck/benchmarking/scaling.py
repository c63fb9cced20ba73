"""How time grows with size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

KNOWN = 0.5
"""Half width of an exponent's interval from which on it says nothing."""

LEAST = 3
"""Sizes that a line with an uncertainty needs."""


@dataclass(frozen=True)
class Growth:
    """Time as a power of size.

    Attributes:
        exponent: p of n^p; None if it cannot be told.
        uncertainty: half width of its interval of 95 %, from how far the times are from a power.
        sizes: those that it was fitted to.
        reason: why it cannot be told.
    """

    exponent: float | None
    uncertainty: float | None = None
    sizes: tuple[int, ...] = ()
    reason: str = ""

    @property
    def is_known(self) -> bool:
        """Whether the exponent is known to a half."""
        return self.uncertainty is not None and self.uncertainty <= KNOWN

    def __str__(self) -> str:
        """Return the power, or why there is none."""
        if self.exponent is None or self.uncertainty is None:
            return self.reason
        decimals = 1 if self.uncertainty >= 0.095 else 2
        bar = max(self.uncertainty, 0.01)
        return f"n^{self.exponent:.{decimals}f} ± {bar:.{decimals if bar < 0.95 else 0}f}"


def growth(sizes: Sequence[int], seconds: Sequence[float]) -> Growth:
    """Fit the exponent of time against size, by least squares of the logarithms over the larger half of the sizes.

    At small sizes time is spent on what does not grow; at least `LEAST` sizes are taken all the same.

    Args:
        sizes: positive; of a size that occurs twice the faster time counts.
        seconds: positive, one for each size.
    """
    best: dict[int, float] = {}
    for size, second in zip(sizes, seconds, strict=True):
        best[size] = min(second, best.get(size, math.inf))
    if len(best) < LEAST:
        return Growth(None, reason=f"too few sizes: {len(best)}, and {LEAST} are needed")
    kept = tuple(sorted(best)[-max(LEAST, math.ceil(len(best) / 2)) :])
    x, y = np.log(kept), np.log([best[size] for size in kept])
    x = x - x.mean()
    slope = float(x @ y / (x @ x))
    residual = y - y.mean() - slope * x
    freedom = len(kept) - 2
    error = math.sqrt(float(residual @ residual) / freedom / float(x @ x))
    return Growth(slope, float(student.ppf(0.975, freedom)) * error, kept)
