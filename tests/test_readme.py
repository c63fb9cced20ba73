"""What the README prints is what a user gets."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def blocks() -> list[tuple[str, str]]:
    return re.findall(r"^```(\w*)\n(.*?)^```", README.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def without_cost(text: str) -> list[str]:
    return [line for line in text.strip().splitlines() if not line.startswith("  cost")]


def test_the_first_example_prints_what_stands_below_it(torch) -> None:
    (language, code), (plain, expected) = blocks()[:2]
    assert (language, plain) == ("python", "")
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(code, str(README), "exec"), {})  # the snippet is ours
    assert without_cost(printed.getvalue()) == without_cost(expected)


def test_the_commands_are_targets_of_the_makefile() -> None:
    makefile = (README.parent / "Makefile").read_text(encoding="utf-8")
    commands = [line for language, text in blocks() if not language for line in text.splitlines() if "make " in line]
    assert commands == ["make demo", "make test"]
    for command in commands:
        assert f"\n{command.removeprefix('make ')}:" in makefile
