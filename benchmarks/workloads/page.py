"""The page: what must hold at the top, then a table for every workload and framework."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from workloads.cell import LEFT_OUT, REFUSED, TRIAL, WRONG, Cell, First, Line
from workloads.ratios import Held, every, failures, wrong
from xcheck.benchmarking.units import seconds_text

STRATEGIES = 3
"""Strategies that tables show beside the chosen one, the fastest first."""

ROLES = {
    "auto": "xcheck",
    "native": "the same run, called directly",
    "strategy": "another strategy",
    "default": "the framework's default",
    "naive": "loop",
    "yardstick": "by hand",
    "peer": "another tool",
}

TEXT = """
What was measured: every function is written once for all frameworks and evaluated in float64 at drawn points with a
fixed seed. **xcheck** is what `xcheck.jacobian_function(f, x, quantity=...)` returns, called as a user calls it; its
set-up (choosing, proving, compiling) is told apart. Strategies are xcheck's own gather: products of every engine, and
every call that the framework has. Defaults, loops and what people write by hand are written without xcheck. Every
result was first held against the derivative worked out by hand; what is wrong is called so and has no time.

At the smallest size every strategy is; at the others, of those that xcheck's own trial found more than ten times slower
than the best, only that is told.

Times are medians of runs in turns (A B A B, in an order shuffled anew), in brackets times xcheck's; those in italics
are of one or two runs alone. Compiling and first calls are not in them. What is expected to take longer than the limit
is left out, with the expected time. A ratio that did not hold was measured again, alone, and the last measurement
counts. A sparse result is a `scipy.sparse.csr_array`; products coloured by hand are left as they are. NumPy has no
derivatives and no default: there, xcheck takes complex steps or differences of values.
"""


def page(
    cells: Sequence[Cell], firsts: Sequence[First], command: str, conditions: Sequence[str], pictures: Iterable[str]
) -> str:
    """Write the whole page.

    Args:
        cells: what was measured.
        firsts: what first results cost.
        command: what reproduces it.
        conditions: machine, versions, date, load.
        pictures: letters of the workloads that have one.
    """
    drawn = set(pictures)
    parts = [
        "# Strategies for Jacobians, measured",
        "Written by a program; do not edit.",
        f"```\n{command}\n```",
        "\n".join(f"- {line}" for line in conditions),
        "## What must hold",
        _summary(every(cells, firsts)),
        _failures(failures(cells, firsts)),
        _wrong_peers(cells),
        TEXT.strip(),
    ]
    for letter in dict.fromkeys(cell.letter for cell in cells):
        mine = [cell for cell in cells if cell.letter == letter]
        parts.append(f"## ({letter}) {mine[0].title}: {mine[0].quantity}")
        if letter in drawn:
            parts.append(f"![Time against size](strategies-{letter}.svg)")
        for framework in dict.fromkeys(cell.framework for cell in mine):
            parts += list(_workload([cell for cell in mine if cell.framework == framework]))
    if firsts:
        parts += ["## First results", FIRST.strip(), _firsts(firsts)]
    return "\n\n".join(part for part in parts if part) + "\n"


FIRST = """
One call of a verb on a new function object each time, so that nothing is remembered, against one evaluation of the
naive loop, both in a process in which the framework has run before.
"""


def _summary(held: Sequence[Held]) -> str:
    lines = []
    for what in dict.fromkeys(h.what for h in held):
        mine = [h for h in held if h.what == what]
        worst = min(mine, key=lambda h: h.value) if mine[0].least else max(mine, key=lambda h: h.value)
        bound = f"{'≥' if worst.least else '≤'} {worst.limit:g}{worst.unit}"
        kept = sum(h.holds for h in mine)
        value = f"{worst.value:.3g}{worst.unit}"
        lines.append((what, bound, f"{kept} of {len(mine)}", value, worst.where))
    return _table(("what", "limit", "holds", "worst", "where"), lines)


def _failures(lines: Sequence[str]) -> str:
    if not lines:
        return "Everything held, and no result was wrong."
    return "What did not hold:\n\n" + "\n".join(f"- {_plain(line)}" for line in lines)


def _wrong_peers(cells: Sequence[Cell]) -> str:
    found = [(cell, line) for cell, line in wrong(cells) if line.role == "peer"]
    if not found:
        return ""
    lines = [f"- {cell.where}: {_plain(line.name)}, {line.reason}" for cell, line in found]
    return "Other tools that were wrong, called with their defaults:\n\n" + "\n".join(lines)


def _workload(cells: Sequence[Cell]) -> Iterator[str]:
    cells = sorted(cells, key=lambda c: c.inputs * c.outputs)
    yield f"### {cells[0].framework}"
    names = dict.fromkeys(_key(line) for line in _shown(cells))
    rows = [[_label(key), *(_time(cell, key) for cell in cells)] for key in names]
    yield _table((f"({cells[0].letter})", *(cell.size for cell in cells)), rows)
    said = [f"{cell.size}: {cell.chosen}, set-up {seconds_text(cell.setup)}" for cell in cells if cell.chosen]
    if said:
        yield f"Chosen by xcheck: {'; '.join(map(_plain, said))}."
    slower = [_others(cell) for cell in cells]
    if any(slower):
        yield "\n".join(f"- {cell.size}: {_plain(line)}" for cell, line in zip(cells, slower, strict=True) if line)


def _key(line: Line) -> tuple[str, str]:
    return (line.role, line.name if line.role not in ("auto", "native") else "")


def _shown(cells: Sequence[Cell]) -> Iterator[Line]:
    """Yield what has a row, xcheck first, then by the time at the largest size that has one."""
    largest = list(reversed(cells))
    for role in ("auto", "native"):
        yield from (line for cell in largest for line in cell.lines if line.role == role)
    rest = [line for cell in largest for line in cell.timed("strategy")[:STRATEGIES]]
    rest += [line for cell in largest for line in cell.timed("default", "naive", "yardstick", "peer")]
    place = {id(line): i for i, cell in enumerate(largest) for line in cell.lines}
    yield from sorted(rest, key=lambda line: (place[id(line)], line.median))
    yield from (line for cell in largest for line in cell.lines if line.role not in ("auto", "native", "strategy"))


def _label(key: tuple[str, str]) -> str:
    role, name = key
    if role == "auto":
        return "**xcheck**"
    return ROLES[role] if role == "native" else f"{_plain(name)} ({ROLES[role]})"


def _time(cell: Cell, key: tuple[str, str]) -> str:
    line = next((line for line in cell.lines if _key(line) == key), None)
    if line is None:
        return ""
    if not line.is_timed:
        return _plain(f"{line.outcome}: {line.reason}" if line.outcome != LEFT_OUT else line.reason or line.outcome)
    auto = cell.first("auto")
    ratio = f" ({line.median / auto.median:.3g}×)" if auto is not None and line.role != "auto" else ""
    text = seconds_text(line.median) + ratio
    return f"**{text}**" if line.role == "auto" else text if line.raced else f"*{text}*"


def _others(cell: Cell) -> str:
    """Say what became of the strategies that have no row."""
    slower = [line.median for line in cell.timed("strategy")[STRATEGIES:]]
    slower += [line.median for line in cell.lines if line.outcome == TRIAL]
    parts = []
    if slower:
        parts.append(f"{len(slower)} more strategies, {seconds_text(min(slower))} to {seconds_text(max(slower))}")
    for outcome in (WRONG, REFUSED, LEFT_OUT):
        lines = [line for line in cell.lines if line.role == "strategy" and line.outcome == outcome]
        if outcome == LEFT_OUT and lines:
            parts.append(f"{len(lines)} left out ({_reasons(lines)})")
        elif lines:
            parts.append(f"{outcome}: " + ", ".join(f"{line.name} ({line.reason})" for line in lines))
    return "; ".join([*parts, *cell.notes])


def _reasons(lines: Sequence[Line]) -> str:
    counts: dict[str, int] = {}
    for line in lines:
        reason = "takes seconds to compile" if "to compile" in line.reason else "would take too long or too much memory"
        counts[reason] = counts.get(reason, 0) + 1
    return ", ".join(f"{count}: {reason}" for reason, count in counts.items())


def _firsts(firsts: Sequence[First]) -> str:
    rows = []
    for f in firsts:
        if f.reason:
            rows.append((f.framework, f.verb, f.problem, _plain(f.reason), "", ""))
        else:
            times = seconds_text(f.auto), seconds_text(f.naive), f"{f.ratio:.2g}"
            rows.append((f.framework, f.verb, f.problem, *times))
    return _table(("framework", "verb", "problem", "first result", "naive evaluation", "ratio"), rows)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    rule = "| --- " + "| ---: " * (len(header) - 1) + "|"
    return "\n".join([f"| {' | '.join(header)} |", rule, *(f"| {' | '.join(row)} |" for row in rows)])


def _plain(text: str) -> str:
    """Keep Markdown from reading anything into a text."""
    for sign in "\\|*_`<":
        text = text.replace(sign, f"\\{sign}")
    return text.replace("\n", " ")
