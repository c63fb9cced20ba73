"""The page: tables in Markdown."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version

from peers import Answer
from peers.running import CHECKERS, XCHECK

from board.sources import GROUPS
from board.tally import Tally, asked, detection, is_above_limit, is_amiss, of, side_by_side, tally
from board.worker import Row

TITLES = {
    "wrong": "(a) Wrong derivatives that some checker has passed",
    "right": "(b) Right derivatives that some checker has failed",
    "planted": "(c) Errors planted in the frameworks' operators",
    "operators": "(d) The frameworks' operators, right",
}

COLUMNS = """
What the columns say:

- **cases**: how many the checker could be asked about (wrong + right + at kinks). The rest was not applicable: another
  framework, no second order, a rule that the operator does not have.
- **false passes**: wrong derivatives called right.
- **above limit**: those among them whose error is larger than the detection limit that the checker stated for it.
  Only xcheck states one; for the others every false pass counts.
- **false alarms**: right derivatives called wrong, and conventions at points without a derivative (kinks, jumps, edges;
  in brackets: how many of the alarms) called wrong.
- **open**: called inconclusive: of the wrong ones, of the right ones. At a kink "inconclusive" is the right answer, so
  those are not counted.
- **no answer**: exceptions, timeouts, crashes, or NaN where the checker had to judge: of wrong ones, of the others.
- **total s, median ms**: wall time, one process, the checkers in turn on every case, in an order that changes from case
  to case; each warmed up once for every framework, and what torch imports late imported before.
- **evals**: calls of the function in the median; a batched call of k points counts k for xcheck. Gradients are calls
  for the checkers that are given NumPy functions, and part of the framework's work for the others.
"""

PEERS = """
How the checkers were run: as their users run them, with defaults. `compute_gradient` returns two Jacobians and passes
here if no entry differs by more than 1e-4, which its users usually assert. `scipy check_grad` returns a norm and passes
up to 1e-5 (SciPy states no threshold). HIPS autograd's `check_grads` gets a primitive with the claimed vjp.
`numdifftools` is its Jacobian against the claimed one, within ten of its own error estimates. `Taylor rate` passes if
all rates of the remainder exceed 1.9. These four know no framework: they see NumPy functions for value and vjp of the
case, in float64 only, SciPy and Taylor of a random projection of the outputs. `gradcheck` checks forward mode as well
where an error was planted in forward mode.
"""


def page(rows: list[Row], command: str, seed: int, points: int, remarks: Sequence[str]) -> str:
    """Write the whole page.

    Args:
        rows: every checker on every case.
        command: what reproduces it.
        seed: the seed of all draws.
        points: how many points every operator was checked at.
        remarks: what was left out, and why.
    """
    parts = [
        "# Scoreboard",
        "Derivative checkers on derivatives whose truth is known. Written by a program; do not edit.",
        f"```\n{command}\n```",
        f"Seed {seed}, {points} point{'s' * (points != 1)} for every operator. {_versions()}.",
        "![Scoreboard](scoreboard.svg)",
    ]
    parts += [_group(rows, group) for group in GROUPS if any(row.group == group for row in rows)]
    parts += [COLUMNS.strip(), PEERS.strip(), _pairs(rows), _detection(rows), _list(rows)]
    if remarks:
        parts.append("## Left out\n\n" + "\n".join(f"- {line}" for line in remarks))
    return "\n\n".join(part for part in parts if part) + "\n"


def _versions() -> str:
    found = []
    for name in ("torch", "jax", "tensorflow-cpu", "numpy", "scipy", "autograd", "numdifftools"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"{name} absent")
    return f"Python {platform.python_version()}, {platform.machine()}, " + ", ".join(found)


def _table(header: Iterable[str], lines: Iterable[Iterable[object]]) -> str:
    header = list(header)
    rule = "| --- " + "| ---: " * (len(header) - 1) + "|"
    body = [f"| {' | '.join(str(cell) for cell in line)} |" for line in lines]
    return "\n".join([f"| {' | '.join(header)} |", rule, *body])


def _group(rows: list[Row], group: str) -> str:
    mine = [row for row in rows if row.group == group]
    header = (
        "checker",
        "cases",
        "false passes",
        "above limit",
        "false alarms",
        "open",
        "no answer",
        "total s",
        "median ms",
        "evals",
    )
    lines = [_line(checker, found) for checker in CHECKERS if (found := tally(of(mine, checker)))]
    intro = ""
    if group == "operators":
        names = {framework: set[str]() for framework in ("torch", "jax", "tensorflow")}
        for row in mine:
            names.setdefault(row.framework, set()).add(row.name.rpartition("/")[0])
        intro = "Operators: " + ", ".join(f"{len(v)} of {k}" for k, v in names.items()) + ".\n\n" + _smooth(mine)
    return f"## {TITLES[group]}\n\n{intro}{_table(header, lines)}"


def _smooth(rows: list[Row]) -> str:
    kept = asked(of(rows, XCHECK, lambda row: row.smooth and row.truth == "right"))
    if not kept:
        return ""
    open_ = sum(row.outcome.answer is Answer.INCONCLUSIVE for row in kept)
    return f"xcheck was inconclusive on {open_} of {len(kept)} ({100 * open_ / len(kept):.2f} %).\n\n"


def _line(checker: str, t: Tally) -> list[object]:
    alarms = f"{t.false_alarms} ({t.alarms_convention})" if t.convention else t.false_alarms
    return [
        checker,
        f"{t.wrong} + {t.right} + {t.convention}",
        t.false_passes,
        t.above_limit,
        alarms,
        f"{t.wrong_open}, {t.right_open}",
        f"{t.wrong_errors}, {t.right_errors}",
        f"{t.seconds:.1f}",
        f"{1e3 * t.typical:.1f}",
        f"{t.evaluations:g}",
    ]


def _pairs(rows: list[Row]) -> str:
    lines = []
    for checker in CHECKERS:
        for group in GROUPS:
            theirs, ours = side_by_side([row for row in rows if row.group == group], checker, XCHECK)
            them, us = tally(theirs), tally(ours)
            if checker == XCHECK or them is None or us is None:
                continue
            lines.append(
                [
                    f"{checker}, ({'abcd'[GROUPS.index(group)]})",
                    len(theirs),
                    f"{them.false_passes} : {us.above_limit}",
                    f"{them.false_alarms} : {us.false_alarms}",
                    f"{them.seconds:.1f} : {us.seconds:.1f}",
                    f"{us.seconds / them.seconds:.2f}" if them.seconds else "-",
                ]
            )
    if not lines:
        return ""
    header = ("on the same cases", "cases", "false passes", "false alarms", "total s", "xcheck / peer")
    text = "Checker : xcheck, on those cases that both could be asked about; xcheck's false passes above its limit."
    return f"## Side by side\n\n{text}\n\n{_table(header, lines)}"


def _detection(rows: list[Row]) -> str:
    planted = [row for row in rows if row.group == "planted"]
    found = {checker: detection(planted, checker) for checker in CHECKERS}
    sizes = sorted({size for counts in found.values() for size in counts}, reverse=True)
    if not sizes:
        return ""
    lines = [
        [checker, *(f"{counts[s][0]}/{counts[s][1]}" if s in counts else "" for s in sizes)]
        for checker, counts in found.items()
        if counts
    ]
    text = "Planted errors called wrong, by their size relative to the right entry."
    return f"## Detection\n\n{text}\n\n{_table(('checker', *(f'{s:.0e}' for s in sizes)), lines)}"


def _list(rows: list[Row]) -> str:
    own = of(rows, XCHECK)
    amiss = [row for row in own if is_amiss(row)]
    below = [row for row in amiss if row.outcome.answer is Answer.AGREE and not is_above_limit(row)]
    listed = [row for row in amiss if not any(row is other for other in below)]
    text = f"## xcheck's false verdicts, by name\n\n{len(listed)} in all."
    if below:
        text += f" {len(below)} planted errors lie below the limit that the report stated and are not among them."
    for row in listed:
        text += (
            f"\n\n`{row.name}` ({row.group}, {row.framework}, {row.truth}; {row.about or 'no remark'})\n\n"
            f"```\n{row.outcome.detail}\n```"
        )
    return text
