"""What exceptions say, for reports and errors."""

from __future__ import annotations

LONGEST = 200
"""Characters of a line."""


def first_line(error: BaseException) -> str:
    """Return the first line of what an exception says, or its type where it says nothing; long ones are cut."""
    line = str(error).strip().partition("\n")[0][:LONGEST] or type(error).__name__
    return f"{line} is missing" if isinstance(error, KeyError) else line
