"""What the README prints is what a user gets."""

from __future__ import annotations

import contextlib
import io
import itertools
import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def blocks() -> list[tuple[str, str]]:
    return re.findall(r"^```(\w*)\n(.*?)^```", README.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def without_cost(text: str) -> list[str]:
    return [line for line in text.strip().splitlines() if not line.startswith("  cost")]


def test_examples_print_what_stands_below_them(torch, jax) -> None:
    found, namespace, compared = blocks(), {}, 0
    for (language, code), (following, expected) in itertools.pairwise(found):
        if language != "python":
            continue
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(code, str(README), "exec"), namespace)  # the snippets are ours
        if printed.getvalue():
            assert not following, f"nothing shows what is printed by {code}"
            assert without_cost(printed.getvalue()) == without_cost(expected)
            compared += 1
    assert compared > 1


def test_the_commands_are_targets_of_the_makefile() -> None:
    makefile = (README.parent / "Makefile").read_text(encoding="utf-8")
    commands = [line for language, text in blocks() if not language for line in text.splitlines() if "make " in line]
    assert commands == ["make demo", "make test"]
    for command in commands:
        assert f"\n{command.removeprefix('make ')}:" in makefile
