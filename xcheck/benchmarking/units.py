"""Times, memory and ratios as people read them."""

from __future__ import annotations

import math

TIMES = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))

MEMORY = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))

LEAST_MEMORY = 1_000_000
"""Bytes below which resident memory says little: the system hands it out and counts it in pages."""


def seconds_text(seconds: float) -> str:
    """Write seconds with three digits and their unit, such as "532 µs"."""
    scale, unit = _scale(seconds)
    return f"{_three(seconds / scale)} {unit}"


def interval_text(median: float, interval: tuple[float, float] | None, samples: int) -> str:
    """Write a median with its interval in one unit, such as "532 µs [529, 540]"; few samples have none."""
    if interval is None:
        return f"{seconds_text(median)} ({samples} run{'s' * (samples != 1)})"
    scale, _ = _scale(median)
    low, high = (_three(bound / scale) for bound in interval)
    return f"{seconds_text(median)} [{low}, {high}]"


def memory_text(amount: int | None) -> str:
    """Write bytes with two digits and their unit, such as "1.3 GB"."""
    if amount is None:
        return "not known"
    if amount < LEAST_MEMORY:
        return "< 1 MB"
    scale, unit = next((scale, unit) for scale, unit in MEMORY if amount >= scale)
    value = amount / scale
    return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"


def ratio_text(ratio: float, sure: bool = True) -> str:
    """Write a ratio with two digits, such as "45×", or "~45×" where it is not sure."""
    about = "" if sure else "~"
    digits = 1 - math.floor(math.log10(abs(ratio)))
    rounded = round(ratio, digits)
    return f"{about}{rounded:.{max(0, 1 - math.floor(math.log10(abs(rounded))))}f}×"


def _scale(seconds: float) -> tuple[float, str]:
    return next(((scale, unit) for scale, unit in TIMES if seconds >= 0.9995 * scale), TIMES[-1])


def _three(value: float) -> str:
    """Write a number with three digits, without an exponent."""
    if value <= 0:
        return "0"
    return f"{value:.{max(0, 2 - math.floor(math.log10(value) + 1e-4))}f}"
