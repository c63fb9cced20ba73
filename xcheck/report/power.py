"""`Power`: at which size errors planted in a claim are seen. It computes nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from xcheck.report.plain import plain


@dataclass(frozen=True)
class Size:
    """What became of the errors of one size.

    Attributes:
        multiple: the size in detection limits.
        error: the size, user units; the largest of them where every entry has its own.
        relative: the largest error next to the entry that it was planted in; inf where that is zero, NaN for products.
        seen: how many were called wrong.
        left_open: how many were called inconclusive.
        passed: how many were called right.
    """

    multiple: float
    error: float
    relative: float
    seen: int
    left_open: int
    passed: int


@dataclass(frozen=True)
class ClaimPower:
    """How well errors in one claim are seen.

    Attributes:
        claim, reference: whose claim was compared with what.
        quantity: gradient, Jacobian or Jacobian diagonal.
        method: how the entries were reached.
        limit: the detection limit that the report states.
        sizes: errors in multiples of that limit, the smallest first.
        by_entry: errors in multiples of the limit of the entry itself; empty where products stand for entries.
        passed: errors at or above a limit that were called right, in words.
    """

    claim: str
    reference: str
    quantity: str
    method: str
    limit: float
    sizes: tuple[Size, ...]
    by_entry: tuple[Size, ...] = ()
    passed: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether no error at or above the stated limit was called right."""
        return not any(size.passed for size in self.sizes if size.multiple >= 1)

    @property
    def holds_by_entry(self) -> bool:
        """Whether no error at or above the limit of its own entry was called right."""
        return not any(size.passed for size in self.by_entry if size.multiple >= 1)

    @property
    def smallest_seen(self) -> float:
        """The least size from which on no error was called right; inf if there is none."""
        found = math.inf
        for size in reversed(self.sizes):
            if size.passed:
                break
            found = size.error
        return found


@dataclass(frozen=True)
class Power:
    """At which size planted errors are seen, for every comparison of a report that agreed somewhere.

    Attributes:
        function: how the function is called.
        backend: the framework and the dtypes of the inputs.
        claims: one for every comparison that could be tested.
        left_out: the comparisons that were not, and why.
        trials: how many errors of every size were planted in every claim.
        evaluations: how often the function was evaluated.
    """

    function: str
    backend: str
    claims: tuple[ClaimPower, ...]
    left_out: tuple[str, ...] = ()
    trials: int = 0
    evaluations: int = 0

    @property
    def holds(self) -> bool:
        """Whether no error at or above a stated limit was called right."""
        return all(claim.holds for claim in self.claims)

    def __str__(self) -> str:
        """Return tables of what was seen as plain text."""
        verdict = "the stated limits hold" if self.holds else "A STATED LIMIT DOES NOT HOLD"
        lines = [f"{self.function}, {self.backend}: {verdict}, {self.trials} planted errors of every size"]
        for claim in self.claims:
            lines += _claim(claim)
        lines += [f"  left out  {line}" for line in self.left_out]
        lines.append(f"  cost      {self.evaluations} evaluations")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain dictionaries, lists, strings and numbers, ready for JSON.

        Infinities and NaN become the strings "inf", "-inf" and "nan", which strict JSON can hold.
        """
        result: dict[str, Any] = plain(self)
        for claim, told in zip(self.claims, result["claims"], strict=True):
            seen = plain(claim.smallest_seen)
            told |= {"holds": claim.holds, "holds_by_entry": claim.holds_by_entry, "smallest_seen": seen}
        return {"holds": self.holds, **result}


def _claim(c: ClaimPower) -> list[str]:
    held = "holds" if c.holds else "DOES NOT HOLD"
    lines = [f"  {c.claim} vs {c.reference}, {c.quantity} ({c.method}): the limit of {c.limit:.2g} {held}"]
    lines.append(f"    smallest error from which on none is called right: {c.smallest_seen:.2g}")
    if c.by_entry and not c.holds_by_entry:
        lines.append("    the limits of single entries, which the report does not state, DO NOT HOLD")
    lines += [f"    called right: {line}" for line in c.passed]
    lines += _table("error / limit", c.sizes)
    if c.by_entry and not c.holds_by_entry:
        lines += _table("error / entry's limit", c.by_entry)
    return lines


def _table(what: str, sizes: tuple[Size, ...]) -> list[str]:
    lines = [f"    {what:>21} {'error':>9} {'of entry':>9} {'wrong':>6} {'open':>6} {'right':>6}"]
    for s in sizes:
        share = "" if math.isnan(s.relative) else f"{s.relative:.1g}"
        row = f"    {_multiple(s.multiple):>21} {s.error:>9.1g} {share:>9} {s.seen:>6} {s.left_open:>6} {s.passed:>6}"
        lines.append(row)
    return lines


def _multiple(multiple: float) -> str:
    return f"{multiple:g}" if multiple >= 1 else f"1/{1 / multiple:g}"
