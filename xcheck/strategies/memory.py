"""How much memory a result may take."""

from __future__ import annotations

from xcheck.strategies.quantities import Quantity

SHARE = 0.5
"""The share of the memory that is free which strategies may work in, unless told otherwise."""

UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")


SMALL = 2**12
"""Numbers in a result up to which nobody asks how much memory is free."""

MODEST = 2**28
"""Bytes that may be used for those."""


def memory_limit(memory: float | None, quantity: Quantity | None = None) -> int:
    """Return the bytes that strategies may work in: those given, or half of what is free.

    Args:
        memory: bytes, or None.
        quantity: what is computed, if that is known; asking takes longer than to compute a small one.

    Raises:
        ValueError: `memory` is not a positive number.
    """
    if memory is None and quantity is not None and quantity.entries + quantity.primal.n <= SMALL:
        return MODEST
    if memory is None:
        import psutil

        return int(SHARE * psutil.virtual_memory().available)
    if isinstance(memory, bool) or not isinstance(memory, (int, float)) or not memory > 0:
        raise ValueError(f"memory is the number of bytes that may be used, such as 2e9; given: {memory!r}.")
    return int(min(memory, 2.0**62))


def require_fits(quantity: Quantity, limit: int) -> None:
    """Refuse a result that does not fit.

    Raises:
        MemoryError: with the number of bytes, and what would take less.
    """
    primal, size = quantity.primal, quantity.entries * quantity.primal.itemsize
    if size <= limit:
        return
    rows, columns = (primal.n, primal.n) if quantity.name == "hessian" else (primal.m, primal.n)
    less = {
        "jacobian": "jacobian_diagonal, batch_jacobian or sparse_jacobian may hold what is needed of it",
        "hessian": "sparse_jacobian of the gradient may hold what is needed of it",
    }.get(quantity.name, "take fewer samples or inputs at a time")
    raise MemoryError(
        f"the {quantity.name} of {primal.title} ({rows} x {columns}) takes {show_bytes(size)} ({size} bytes), and "
        f"{show_bytes(limit)} may be used (memory= sets the limit); {less}."
    )


def show_bytes(count: float) -> str:
    """Write a number of bytes in the unit that a person reads."""
    unit = 0
    while count >= 1000 and unit < len(UNITS) - 1:
        count, unit = count / 1000, unit + 1
    return f"{count:.3g} {UNITS[unit]}"
