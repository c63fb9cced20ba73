"""The factors by which a case is scaled: no verdict may depend on them."""

from __future__ import annotations

from itertools import product

SWEEP = tuple((c, s) for c, s in product((1e-8, 1.0, 1e8), repeat=2) if (c, s) != (1.0, 1.0))
"""Pairs (c, s): the function becomes c f(x / s), the point s x."""

SIZES = (1e-12, 1e-6, 1.0, 1e12)
"""Factors on the function alone, wider."""

FACTORS = (*((c, 1.0) for c in SIZES), *SWEEP)
"""Both, the plain case among them."""
