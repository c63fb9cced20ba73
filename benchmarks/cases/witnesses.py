"""Functions over mpmath numbers, for cases that float64 values cannot settle."""

from __future__ import annotations

from typing import Any

import numpy as np


def expm1(x: Any) -> Any:
    """Return exp(x) - 1 of an object array, entry by entry."""
    import mpmath

    return np.array([mpmath.expm1(v) for v in np.ravel(x)], dtype=object).reshape(np.shape(x))
