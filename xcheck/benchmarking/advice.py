"""The closing sentences: what to call, how much faster that is, and what was refused or wrong."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from xcheck.benchmarking.names import listed
from xcheck.benchmarking.ranking import Block
from xcheck.benchmarking.row import Outcome, Row
from xcheck.benchmarking.units import ratio_text

NAMED = {
    Outcome.WRONG: "Wrong, do not use",
    Outcome.NOT_VALID: "Not valid for this function",
    Outcome.REFUSED: "Refused",
}
"""Those that have no place, in the closing sentences."""

MOST = 4
"""Names in one sentence."""


def advise(found: Sequence[Block]) -> tuple[str, ...]:
    """Return one sentence for every backend, more where the fastest changes with the size; then who has no place."""
    lines: list[str] = []
    for backend, group in groupby(found, key=lambda block: block.backend):
        lines += _of_backend(backend, list(group))
    lines += _across(found)
    for outcome, word in NAMED.items():
        names = _names(found, outcome)
        lines += [f"{word}: {listed(names)}."] if names else []
    return tuple(lines)


def _of_backend(backend: str, group: list[Block]) -> list[str]:
    open_ = [block for block in group if block.fastest is None]
    lines = []
    if open_:
        sizes = ", ".join(str(block.inputs) for block in open_)
        lines.append(f"{backend}: nothing to recommend at n = {sizes}: no strategy was found right there.")
    segments = _segments([block for block in group if block.fastest is not None])
    for segment in segments:
        last = segment[-1]
        row = _common(segment)
        where = "" if len(group) == 1 else f" {_range(segment, len(segment) == len(group))}"
        lines.append(f"{backend}{where}: {_gain(last, row, len(segment) > 1)}{_others(last, row)}.")
    return lines


def _segments(group: list[Block]) -> list[list[Block]]:
    """Split sizes where no strategy is among the fastest of both sides."""
    segments: list[list[Block]] = []
    for block in group:
        if segments and _shared([*segments[-1], block]):
            segments[-1].append(block)
        else:
            segments.append([block])
    return segments


def _shared(segment: Sequence[Block]) -> set[str]:
    return set.intersection(*({row.strategy for row in block.tied} for block in segment))


def _common(segment: Sequence[Block]) -> Row:
    """Choose the strategy that is among the fastest everywhere, by its place at the largest size."""
    shared = _shared(segment)
    return next(row for row in segment[-1].tied if row.strategy in shared)


def _range(segment: Sequence[Block], everywhere: bool) -> str:
    sizes = [block.inputs for block in segment]
    if everywhere:
        return "at every size"
    return f"at n = {sizes[0]}" if len(sizes) == 1 else f"from n = {sizes[0]} to {sizes[-1]}"


def _gain(block: Block, row: Row, name_size: bool) -> str:
    """Say what to call, and what is gained over the naive loop and over the framework's default."""
    gains = []
    for over, name in ((block.naive, "the naive loop"), (block.default, "the framework's own default")):
        gain = None if over is None else block.speed_up(row, over)
        if over is None or gain is None or _in(over, block.tied):
            continue
        label = name if over.naive else f"{name}, {over.strategy}"
        gains.append(f"{ratio_text(gain, block.sure(row, over))} faster than {label}")
    own = " (the framework's own default)" if row.default else " (the naive loop itself)" if row.naive else ""
    size = f"; at n = {block.inputs} it is " if name_size else ", "
    return f"use {row.how}{own}{size}{_join(gains)}" if gains else f"use {row.how}{own}"


def _others(block: Block, row: Row) -> str:
    """Name what cannot be told from the fastest."""
    others = [other.label for other in block.tied if other is not row]
    if len(others) > MOST:
        others = [*others[: MOST - 1], f"{len(others) - MOST + 1} others"]
    if not others:
        return ""
    return f"; {_join(others)} cannot be told from it"


def _in(row: Row, rows: Sequence[Row]) -> bool:
    return any([row is other for other in rows])


def _across(found: Sequence[Block]) -> list[str]:
    """Compare the backends at the largest size that all have."""
    backends = list(dict.fromkeys(block.backend for block in found))
    able = [block for block in found if block.fastest is not None]
    sizes = {(b.inputs, b.outputs) for b in able}
    shared = [size for size in sizes if {b.backend for b in able if (b.inputs, b.outputs) == size} == set(backends)]
    if len(backends) < 2 or not shared:
        return []
    size = max(shared)
    bests = [block.fastest for block in able if (block.inputs, block.outputs) == size]
    first, *rest = sorted((row for row in bests if row is not None), key=lambda row: row.median or 0.0)
    told = [
        f"{ratio_text(row.median / first.median)} faster than {row.backend}'s best"
        for row in rest
        if row.median and first.median
    ]
    return [f"Of the frameworks at n = {size[0]}: {first.backend}, {_join(told)}."]


def _names(found: Sequence[Block], outcome: Outcome) -> list[str]:
    """Name the strategies with an outcome, each once, and where, unless it is so everywhere."""
    named: dict[str, list[tuple[str, int]]] = {}
    tried: dict[str, list[tuple[str, int]]] = {}
    for row in (row for block in found for row in block.rows):
        tried.setdefault(row.strategy, []).append((row.backend, row.inputs))
        if row.outcome is outcome:
            named.setdefault(row.strategy, []).append((row.backend, row.inputs))
    several = len({block.backend for block in found}) > 1
    ran = {row.strategy for block in found for row in block.tried if row.outcome is not Outcome.REFUSED}
    if len(named) > 2 and set(named) == ran:
        return ["every strategy that ran"]
    return [f"{name}{_where(places, tried[name], several)}" for name, places in named.items()]


def _where(places: Sequence[tuple[str, int]], tried: Sequence[tuple[str, int]], several: bool) -> str:
    told = []
    for backend in dict.fromkeys(backend for backend, _ in places):
        sizes = [size for other, size in places if other == backend]
        everywhere = len(sizes) == sum(other == backend for other, _ in tried)
        at = "" if everywhere else f"n = {', '.join(map(str, sizes))}"
        told.append(" at ".join(filter(None, (backend if several else "", at))))
    return f" ({('; ' if any([' at ' in place for place in told]) else ', ').join(told)})" if any(told) else ""


def _join(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1]))) if parts else ""
