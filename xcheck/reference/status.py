"""What became of an entry of the reference."""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    """Why an entry has, or lacks, a measured derivative."""

    OK = 0
    NOISY = 1
    FLAT = 2
    KINK = 3
    JUMP = 4
    EDGE = 5
    NONFINITE = 6
    NONDETERMINISTIC = 7
    SATURATED = 8
    UNRESOLVED = 9

    @property
    def measured(self) -> bool:
        """Whether the entry has a two-sided derivative with a finite error bar."""
        return self <= Status.FLAT


REASONS = {
    Status.KINK: "a kink at the point: the slopes to its two sides differ",
    Status.JUMP: "the function jumps at the point",
    Status.EDGE: "the point is on the edge of the function's domain: one side is not finite",
    Status.NONFINITE: "the function's value at the point is not finite (NaN or infinity)",
    Status.NONDETERMINISTIC: "the function is random or keeps a state: it gives different values at the same point",
    Status.SATURATED: (
        "the function's values are flat to rounding here, so they cannot settle a slope this small (a witness= in "
        "higher precision could)"
    ),
    Status.UNRESOLVED: "differences of the function's values do not converge to a slope",
}
"""One sentence for every status that leaves an entry without a derivative."""
