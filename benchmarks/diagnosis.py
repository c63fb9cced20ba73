"""How often the cause of a planted mistake is named: the table of `docs/diagnosis.md`.

Run it with `python benchmarks/diagnosis.py [--seed N] [--count N] [--write]`. Mistakes, shapes and values are drawn
fresh; a seed, which is printed, draws them again.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

PAGE = ROOT / "docs" / "diagnosis.md"
BEGIN, END = "<!-- table -->", "<!-- end of table -->"
STATUSES = ("right", "silent", "place", "wrong", "missed")


def table(tally: dict[str, Counter[str]], backends: dict[str, set[str]], seed: int) -> str:
    """Lay counts out, a row for every label."""
    lines = [
        "| mistake | drawn | named | nothing named | only its place | wrong name | backends |",
        "| --- | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for label, counts in sorted(tally.items()):
        lines.append(_row(label, counts, ", ".join(sorted(backends[label]))))
    total = sum(tally.values(), Counter[str]())
    lines += [_row("**all**", total, ""), "", f"Drawn with seed {seed}."]
    return "\n".join(lines)


def _row(label: str, counts: Counter[str], backends: str) -> str:
    drawn = counts.total()
    numbers = [counts["silent"] + counts["missed"], counts["place"], counts["wrong"]]
    return (
        f"| {label} | {drawn} | {counts['right'] / max(1, drawn):.1%} | {' | '.join(map(str, numbers))} | {backends} |"
    )


def _others(unknown: Counter[str], right: Counter[str]) -> str:
    return (
        f"Of {unknown.total()} errors that no cause explains, {unknown['wrong']} were given one and {unknown['place']} "
        f"only the place where they are; {right['passed']} of {right.total()} right derivatives agreed, so that none "
        "was given a cause."
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw, check, print; returns 1 if a name was wrong or too few were right."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=int(np.random.default_rng().integers(2**31)))
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--unknown", type=int, default=50, help="errors that no cause explains")
    parser.add_argument("--backends", default="", help="names, separated by commas; all that are installed if empty")
    parser.add_argument("--write", action="store_true", help="put the table into docs/diagnosis.md")
    given = parser.parse_args(arguments)
    warnings.simplefilter("ignore")

    import mistaken_calls
    import mistaken_layers
    from mistakes import BACKENDS, MISTAKES, RIGHT, UNKNOWN, drawn

    assert mistaken_calls
    assert mistaken_layers
    names = given.backends.split(",") if given.backends else [b for b in BACKENDS if b == "numpy" or find_spec(b)]
    tally: dict[str, Counter[str]] = {}
    backends: dict[str, set[str]] = {}
    for kinds, count in ((MISTAKES, given.count), (UNKNOWN, given.unknown), (RIGHT, given.unknown // 3)):
        for outcome in drawn(kinds, given.seed, count, names):
            label = outcome.mistake.label
            tally.setdefault(label, Counter())[outcome.status] += 1
            backends.setdefault(label, set()).add(outcome.backend.partition(",")[0])
            if outcome.status in ("silent", "place", "wrong", "missed") and (outcome.mistake.kinds or outcome.causes):
                print(outcome, flush=True)
    others = {label: tally.pop(label, Counter()) for label in ("no cause", "right")}
    text = table(tally, backends, given.seed)
    unknown, right = others["no cause"], others["right"]
    text += f" {_others(unknown, right)}"
    print(text)
    if given.write:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    total = sum(tally.values(), Counter[str]())
    return int(total["right"] < 0.95 * total.total() or total["wrong"] > 0 or unknown["wrong"] > 0)


if __name__ == "__main__":
    raise SystemExit(main())
