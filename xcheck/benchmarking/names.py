"""Names of strategies in sentences."""

from __future__ import annotations

from collections.abc import Sequence


def listed(names: Sequence[str]) -> str:
    """List names, those of one family together: "ones: loop" and "ones: batched" are "ones (loop, batched)"."""
    families: dict[str, list[str]] = {}
    for name in names:
        family, colon, member = name.partition(": ")
        families.setdefault(family if colon else name, []).append(member)
    return ", ".join(_written(family, members) for family, members in families.items())


def _written(family: str, members: Sequence[str]) -> str:
    if len(members) == 1:
        return f"{family}: {members[0]}" if members[0] else family
    return f"{family} ({', '.join(members)})"
