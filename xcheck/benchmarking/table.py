"""Tables of a benchmark: the same cells as text, Markdown and HTML."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from html import escape
from io import StringIO
from itertools import groupby

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from xcheck.benchmarking.names import listed
from xcheck.benchmarking.ranking import Block
from xcheck.benchmarking.row import Outcome, Row
from xcheck.benchmarking.scaling import Growth
from xcheck.benchmarking.units import interval_text, memory_text, ratio_text, seconds_text

WIDTH = 240
"""Columns that the text may take; it takes what it needs."""

HEADER = ("", "strategy", "verdict", "first call", "median [95 %]", "vs naive", "memory", "one run")
OPTIONAL = ("vs naive", "memory")

GROWS = "grows as"

LEFT = ("", "strategy", "verdict", "one run", GROWS)
"""Columns that are flush left; numbers are flush right."""

FASTEST, TIED = "*", "="

LEGEND = (
    f"{FASTEST} fastest right one   {TIED} cannot be told from it   ~ few runs or wide intervals   "
    "memory: beyond what the process already has"
)


@dataclass(frozen=True)
class Table:
    """Cells under a title.

    Attributes:
        title: which.
        header: the names of the columns.
        lines: the cells.
        remarks: why a row is not right: its verdict, and a sentence.
    """

    title: str
    header: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    remarks: tuple[tuple[str, str], ...]


def tabulate(found: Sequence[Block], power: Callable[[str, str], Growth]) -> list[Table]:
    """Write blocks as cells: all sizes of a backend in one table, and what there is to say at its largest.

    A reason that a backend gives at several sizes is told once.

    Args:
        found: the blocks.
        power: tells how the time of a backend's strategy grows.
    """
    groups = [list(group) for _, group in groupby(found, key=lambda block: block.backend)]
    closely = _without_empty([_tabulate(group[-1]) for group in groups])
    tables = []
    for group, table in zip(groups, closely, strict=True):
        tables += [_by_size(group, table, power)] if len(group) > 1 else []
        tables.append(table)
    return tables


def _by_size(group: Sequence[Block], last: Table, power: Callable[[str, str], Growth]) -> Table:
    """Write the medians of a backend at all sizes, the strategies in the order of the largest size."""
    names = list(dict.fromkeys(row.strategy for block in reversed(group) for row in block.tried))
    known = {name: power(group[0].backend, name) for name in names}
    told = {sentence for _, sentence in last.remarks}
    remarks: dict[tuple[str, str], list[int]] = {}
    for block in group[:-1]:
        for word, sentence in _remarks(block):
            if sentence not in told:
                remarks.setdefault((word, sentence), []).append(block.inputs)
    header = ("strategy", *(f"n = {block.inputs}" for block in group), GROWS)
    grows = any([growth.exponent is not None for growth in known.values()])
    lines = [
        (_label(group, name), *(_median(block, name) for block in group), *([_power(known[name])] if grows else []))
        for name in names
    ]
    return Table(
        f"{group[0].backend}, medians",
        header if grows else header[:-1],
        tuple(lines),
        tuple((word, f"{sentence} (n = {', '.join(map(str, ns))})") for (word, sentence), ns in remarks.items()),
    )


def _label(group: Sequence[Block], name: str) -> str:
    return next(row.label for block in reversed(group) for row in block.rows if row.strategy == name)


def _median(block: Block, name: str) -> str:
    row = next((row for row in block.rows if row.strategy == name), None)
    if row is None:
        return ""
    mark = _mark(block, row)
    if row.median is None or row.outcome is not Outcome.RIGHT:
        return row.outcome.value
    return f"{mark} {seconds_text(row.median)}".strip()


def _power(growth: Growth) -> str:
    return str(growth) if growth.is_known else "" if growth.exponent is None else "unclear"


def _without_empty(tables: Sequence[Table]) -> list[Table]:
    """Leave out the columns that may be, where they tell nothing in any table."""
    lines = [line for table in tables for line in table.lines]
    kept = [
        place
        for place, name in enumerate(HEADER)
        if name not in OPTIONAL or {line[place] for line in lines} - {"", memory_text(0)}
    ]
    return [
        replace(
            table,
            header=tuple(HEADER[place] for place in kept),
            lines=tuple(tuple(line[place] for place in kept) for line in table.lines),
        )
        for table in tables
    ]


def _tabulate(block: Block) -> Table:
    title = f"{block.backend}, {_count(block.inputs, 'input')}, {_count(block.outputs, 'output')}"
    lines = tuple(_cells(block, row) for row in block.tried)
    return Table(title, HEADER, lines, _remarks(block))


def _remarks(block: Block) -> tuple[tuple[str, str], ...]:
    """Tell why rows are not right, those with the same reason together."""
    names: dict[tuple[str, str], list[str]] = {}
    for row in block.rows:
        if row.reason:
            names.setdefault((row.outcome.value, row.reason), []).append(row.strategy)
    return tuple((word, f"{listed(who)}: {reason}") for (word, reason), who in names.items())


def as_text(table: Table) -> list[str]:
    """Draw a table as lines of plain text."""
    drawn = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in table.header:
        drawn.add_column(Text(name), justify="left" if name in LEFT else "right", no_wrap=True)
    for line in table.lines:
        drawn.add_row(*map(Text, line))
    text = StringIO()
    Console(file=text, width=WIDTH, no_color=True, highlight=False).print(drawn)
    lines = [f"  {table.title}", *(f"  {line}".rstrip() for line in text.getvalue().splitlines())]
    return lines + [f"  {word:<12}  {sentence}" for word, sentence in table.remarks]


def as_markdown(table: Table) -> list[str]:
    """Draw a table as lines of Markdown."""
    rule = [":--" if name in LEFT else "--:" for name in table.header]
    lines = [f"**{escape_markdown(table.title)}**", "", _markdown_row(table.header), _markdown_row(rule)]
    lines += [_markdown_row([escape_markdown(cell) for cell in line]) for line in table.lines]
    if table.remarks:
        lines += ["", *(f"- {word}: {escape_markdown(sentence)}" for word, sentence in table.remarks)]
    return lines


def as_html(table: Table) -> str:
    """Draw a table as HTML, without styles of its own but the alignment."""
    head = "".join(_cell("th", name, name in LEFT) for name in table.header)
    body = "".join(
        "<tr>"
        + "".join(_cell("td", cell, name in LEFT) for name, cell in zip(table.header, line, strict=True))
        + "</tr>"
        for line in table.lines
    )
    remarks = "".join(f"<li>{escape(word)}: {escape(sentence)}</li>" for word, sentence in table.remarks)
    listed = f"<ul>{remarks}</ul>" if remarks else ""
    caption = f'<caption style="text-align: left">{escape(table.title)}</caption>'
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{listed}"


def _cells(block: Block, row: Row) -> tuple[str, ...]:
    timing, first = row.timing, row.until_first
    timed = timing is not None
    speed_up = block.speed_up(row)
    return (
        _mark(block, row),
        row.label,
        row.outcome.value,
        "" if first is None else seconds_text(first),
        interval_text(timing.median, timing.interval, len(timing.samples)) if timing is not None else "",
        "" if speed_up is None else ratio_text(speed_up, block.sure(row)),
        memory_text(row.memory) if timed else "",
        _work(row),
    )


def _mark(block: Block, row: Row) -> str:
    if row is block.fastest:
        return FASTEST
    return TIED if any([row is other for other in block.tied]) else ""


def _work(row: Row) -> str:
    """Write what one run takes: products with the derivative, and evaluations of the function."""
    if row.outcome is Outcome.REFUSED:
        return ""
    if row.calls == 0 and row.first_calls:
        calls = f"compiled from {_count(row.first_calls, 'call')}"
    else:
        calls = "" if row.calls is None else _count(row.calls, "call")
    return ", ".join(filter(None, (row.products, calls)))


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def escape_markdown(text: str) -> str:
    """Escape what Markdown reads as its own."""
    for sign in "\\`*_|<~":
        text = text.replace(sign, f"\\{sign}")
    return text


def _cell(tag: str, text: str, left: bool) -> str:
    return f'<{tag} style="text-align: {"left" if left else "right"}">{escape(text)}</{tag}>'
