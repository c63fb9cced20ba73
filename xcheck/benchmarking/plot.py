"""Pictures of a benchmark: time against n, and speed-ups. Matplotlib is imported here only, when something is drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, Protocol

from xcheck.benchmarking.ranking import Block
from xcheck.benchmarking.row import Outcome, Row
from xcheck.benchmarking.scaling import Growth
from xcheck.benchmarking.units import ratio_text, seconds_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KINDS = ("scaling", "speedup")

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F6000")
"""Told apart by the colour-blind (after Okabe and Ito); marks and dashes tell them apart without any colour."""

INK, FAINT, NAIVE = "#333333", "#8A8A8A", "#555555"
BEST, OTHER, DEFAULT = "#0072B2", "#A9CCE3", "#E69F00"
MARKS = "osD^vP*Xhp<>"
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1, 1.2)), (0, (4, 1, 1, 1)))
WIDEST = 0.7
"""Inches from one bar to the next."""

LABEL = 92.0
"""Points that the text beside a bar takes."""

BARS, LINES = 28, 12
"""In one picture: what people know and the fastest are drawn, and not what lies between, where there are more."""

LEAST_EACH = 4
"""Of every framework, whatever that makes together."""

SMALL = 8.0
"""Points of the labels."""


class Drawn(Protocol):
    """What is drawn: a report."""

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The rows by backend and size, ranked."""

    @property
    def function(self) -> str:
        """How the function is called."""

    @property
    def quantity(self) -> str:
        """Jacobian, diagonal, batch or Hessian."""

    def growth(self, backend: str, strategy: str) -> Growth:
        """Return how the time of a strategy grows."""


def draw(report: Drawn, kind: str | None, axes: Axes | None) -> Axes:
    """Draw one picture, into `axes` or a new figure; see `BenchmarkReport.plot`."""
    if kind not in (None, *KINDS):
        raise ValueError(f"kind={kind!r} is no picture of a benchmark. Accepted: {', '.join(map(repr, KINDS))}, None.")
    _require_right(report)
    kind = kind or ("scaling" if _several_sizes(report) else "speedup")
    if axes is None:
        _require_matplotlib()
        import matplotlib.pyplot as plt

        size = (9.0, 4.6) if kind == "scaling" else (9.0, _height(report))
        axes = plt.subplots(figsize=size, layout="constrained")[1]
    (_scaling if kind == "scaling" else _speed_ups)(report, axes)
    return axes


def save(report: Drawn, path: str | PathLike[str]) -> None:
    """Draw what there is into a file; see `BenchmarkReport.save_plot`."""
    _require_right(report)
    _require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    both = _several_sizes(report)
    figure = Figure(figsize=(15.0 if both else 9.0, max(_height(report), 4.8 if both else 0.0)), layout="constrained")
    FigureCanvasAgg(figure)  # Matplotlib chooses the one that the suffix asks for when it saves
    panels = figure.subplots(1, 2 if both else 1, squeeze=False)[0]
    if both:
        _scaling(report, panels[0])
    _speed_ups(report, panels[-1])
    figure.savefig(fspath(path), dpi=150)


def _scaling(report: Drawn, axes: Axes) -> None:
    """Draw time against n, every line labelled at its end."""
    lines = _lines(report)
    several = len({backend for backend, _ in lines}) > 1
    backends, strategies = (list(dict.fromkeys(names)) for names in zip(*lines, strict=True))
    ends: list[tuple[float, float, str, str]] = []
    for (backend, strategy), rows in lines.items():
        index = strategies.index(strategy)
        colour = COLOURS[(backends.index(backend) if several else index) % len(COLOURS)]
        if rows[0].naive and not several:
            colour = NAIVE
        sizes, medians = [row.inputs for row in rows], [row.median or math.nan for row in rows]
        bars = [_bars(row) for row in rows]
        power = report.growth(backend, strategy)
        name = f"{backend}: {rows[0].label}" if several else rows[0].label
        label = name + (f"  {_power(power)}" if power.is_known else "")
        axes.errorbar(
            sizes, medians, yerr=list(zip(*bars, strict=True)), color=colour, marker=MARKS[index % len(MARKS)],
            markersize=5.5, markeredgecolor="white", markeredgewidth=0.6, linewidth=1.6,
            linestyle=DASHES[index // (1 if several else len(COLOURS)) % len(DASHES)], capsize=2, label=label,
        )  # fmt: skip
        ends.append((sizes[-1], medians[-1], label, colour))
    axes.set_xscale("log")
    axes.set_yscale("log")
    sizes = sorted({row.inputs for rows in lines.values() for row in rows})
    _ticks_at_sizes(axes, sizes)
    axes.set_xlim(sizes[0] / 1.25, sizes[-1] * 1.25)
    _label_ends(axes, ends)
    axes.yaxis.set_major_formatter(lambda value, _: _decade(value))
    axes.set_xlabel("n, number of inputs")
    axes.set_ylabel("time of one run, median")
    axes.set_title(f"{report.function}, {report.quantity}: time against size", fontsize=10, loc="left", color=INK)
    axes.grid(True, which="major", color="#E6E6E6", linewidth=0.7)
    _plain_frame(axes)


def _speed_ups(report: Drawn, axes: Axes) -> None:
    """Draw one bar for every strategy at the largest size of its backend; what is not right is named without a bar."""
    blocks = _largest(report)
    several = len(blocks) > 1
    place, names, places, reach = 0.0, [], [], [1.0]
    for block in blocks:
        baseline = block.naive or (block.ranked[-1] if block.ranked else None)
        for row in block.notable(_most(blocks)):
            names.append(row.label)
            places.append(place)
            ratio = block.speed_up(row, baseline)
            if ratio is None or row.timing is None or baseline is None or baseline.median is None:
                word = f"{row.outcome}, not ranked"
                axes.annotate(word, (1, place), (4, 0), textcoords="offset points", va="center", color=FAINT,
                              fontsize=SMALL, style="italic")  # fmt: skip
            else:
                low, high = (baseline.median / bound for bound in reversed(row.timing.range))
                label = f"{ratio_text(ratio, block.sure(row, baseline))}   {seconds_text(row.timing.median)}"
                _bar(axes, place, ratio, (low, high), _role_colour(block, row), label)
                reach += [ratio, low, high]
            place += 1
        if several:
            place += 0.9
    axes.set_xscale("log")
    low, high = min(reach), max(reach)
    span = max(high / low, 2.0)
    room = min(0.6, LABEL / (0.7 * 72 * axes.get_window_extent().width / axes.figure.dpi))  # names take some width too
    axes.set_xlim(low / span**0.12, high * (span**1.12) ** (room / (1 - room)))
    top, bottom = (-1.1, place - 1.4) if several else (-0.6, place - 0.4)
    slots = axes.get_window_extent().height / axes.figure.dpi / WIDEST
    spare = max(0.0, slots - (bottom - top)) / 2
    axes.set_ylim(bottom + spare, top - spare)
    axes.axvline(1.0, color=NAIVE, linewidth=1.0, zorder=3)
    axes.set_yticks(places, names, fontsize=SMALL + 0.5)
    _title_blocks(axes, blocks, several)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}×")
    if span < 20:
        _few_ticks(axes, *axes.get_xlim())
    over = (
        "the naive loop's"
        if all([block.naive for block in blocks])
        else "the naive loop's, or the slowest's without it"
    )
    axes.set_xlabel(f"speed in multiples of {over}")
    axes.set_title(f"{report.function}, {report.quantity}: speed-up", fontsize=10, loc="left", color=INK)
    axes.grid(True, axis="x", which="major", color="#E6E6E6", linewidth=0.7)
    axes.tick_params(axis="y", length=0)
    axes.set_axisbelow(True)
    _plain_frame(axes)


def _bar(axes: Axes, place: float, ratio: float, interval: tuple[float, float], colour: str, label: str) -> None:
    left, right = min(1.0, ratio), max(1.0, ratio)
    axes.barh(place, right - left, left=left, height=0.68, color=colour)
    axes.plot(interval, (place, place), color=INK, linewidth=1.1, solid_capstyle="butt", zorder=4)
    at = max(right, interval[1])
    axes.annotate(label, (at, place), (5, 0), textcoords="offset points", va="center", fontsize=SMALL, color=INK)


def _title_blocks(axes: Axes, blocks: Sequence[Block], several: bool) -> None:
    """Write backend and size above the bars of each block, or once below the axis."""
    place = 0.0
    for block in blocks:
        title = f"{block.backend}, n = {block.inputs}, m = {block.outputs}"
        if several:
            axes.annotate(title, (0.0, place - 0.75), (-2, 0), xycoords=axes.get_yaxis_transform(),
                          textcoords="offset points", ha="right", va="center", fontsize=SMALL + 0.5, weight="bold",
                          color=INK)  # fmt: skip
        else:
            axes.set_title(title, fontsize=SMALL + 0.5, loc="right", color=INK)
        place += len(block.notable(_most(blocks))) + 0.9


def _role_colour(block: Block, row: Row) -> str:
    if row is block.fastest:
        return BEST
    return DEFAULT if row.default else NAIVE if row.naive else OTHER


def _lines(report: Drawn) -> dict[tuple[str, str], list[Row]]:
    """Collect the right rows of every strategy, small sizes first; those fastest at the largest size come first."""
    found: dict[tuple[str, str], list[Row]] = {}
    largest = _largest(report)
    drawn = {(row.backend, row.strategy) for block in largest for row in block.notable(_most(largest, LINES))}
    for block in report.blocks:
        for row in block.ranked:
            if (row.backend, row.strategy) in drawn:
                found.setdefault((row.backend, row.strategy), []).append(row)
    backends = list(dict.fromkeys(backend for backend, _ in found))
    order = sorted(found, key=lambda key: (backends.index(key[0]), found[key][-1].median or 0.0))
    return {key: sorted(found[key], key=lambda row: row.inputs) for key in order}


def _largest(report: Drawn) -> list[Block]:
    """Choose the largest size of every backend at which something is right."""
    last = {block.backend: block for block in report.blocks if block.ranked}
    return list(last.values())


def _most(blocks: Sequence[Block], together: int = BARS) -> int:
    """Return how many strategies of each block fit into a picture."""
    return max(LEAST_EACH, together // max(1, len(blocks)))


def _label_ends(axes: Axes, ends: Sequence[tuple[float, float, str, str]]) -> None:
    """Write every label to the right of the axes, at the height of its line's end, spread so that none overlap."""
    from matplotlib.transforms import blended_transform_factory

    low, high = (math.log(bound) for bound in axes.get_ylim())
    heights = sorted(((math.log(y) - low) / (high - low), x, y, label, colour) for x, y, label, colour in ends)
    points = 72 * axes.get_window_extent().height / axes.figure.dpi
    gap = min(1.6 * SMALL / points, 1.0 / max(len(heights) - 1, 1))
    places = _spread([height for height, *_ in heights], gap)
    beside = blended_transform_factory(axes.transAxes, axes.transAxes)
    for place, (_, x, y, label, colour) in zip(places, heights, strict=True):
        axes.annotate(label, (x, y), (1.03, place), textcoords=beside, va="center", fontsize=SMALL, color=_dark(colour),
                      annotation_clip=False, arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.6,
                      "alpha": 0.6, "shrinkA": 1, "shrinkB": 4, "relpos": (0, 0.5)})  # fmt: skip


def _spread(heights: Sequence[float], gap: float) -> list[float]:
    """Move ascending heights apart by at least `gap`, as little as that takes, and within 0 and 1 where they fit."""
    groups: list[tuple[float, int]] = []  # middle, members
    for height in heights:
        middle, members = height, 1
        while groups and middle - (members - 1) * gap / 2 < groups[-1][0] + (groups[-1][1] + 1) * gap / 2:
            other, count = groups.pop()
            middle = (middle * members + other * count) / (members + count)
            members += count
        groups.append((middle, members))
    placed = [middle + (i - (members - 1) / 2) * gap for middle, members in groups for i in range(members)]
    last = len(placed) - 1
    capped = [min(place, 1.0 - (last - i) * gap) for i, place in enumerate(placed)]
    return [max(place, i * gap) for i, place in enumerate(capped)]


def _ticks_at_sizes(axes: Axes, sizes: Sequence[int]) -> None:
    from matplotlib.ticker import NullLocator

    axes.set_xticks(sizes, [f"{size:,}".replace(",", " ") for size in sizes])
    axes.xaxis.set_minor_locator(NullLocator())


def _few_ticks(axes: Axes, low: float, high: float) -> None:
    """Put ticks at 1, 2 and 5, or at equal distances, where a decade or so is all there is."""
    from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator, NullFormatter, NullLocator

    even = [float(tick) for tick in MaxNLocator(7).tick_values(low, high) if low <= tick <= high]
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)) if high / low > 4 else FixedLocator(even))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())


def _plain_frame(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(which="both", color=FAINT, labelcolor=INK, labelsize=SMALL + 0.5)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(color=INK, fontsize=SMALL + 1)


def _bars(row: Row) -> tuple[float, float]:
    """Return the error bar below and above the median."""
    if row.timing is None:
        return 0.0, 0.0
    low, high = row.timing.range
    return max(0.0, row.timing.median - low), max(0.0, high - row.timing.median)


def _power(power: Growth) -> str:
    return f"$n^{{{str(power).removeprefix('n^')}}}$".replace("±", r"\pm")


def _decade(value: float) -> str:
    """Write a time on an axis: 1 ms, 10 µs."""
    return "" if value <= 0 else seconds_text(value).replace(".00", "").replace(".0", "")


def _dark(colour: str) -> str:
    """Darken a colour so that small letters can be read in it."""
    parts = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return "#" + "".join(f"{int(0.75 * part):02x}" for part in parts)


def _height(report: Drawn) -> float:
    blocks = _largest(report)
    return 1.3 + 0.26 * sum(len(block.notable(_most(blocks))) + 0.9 for block in blocks)


def _several_sizes(report: Drawn) -> bool:
    return len({block.inputs for block in report.blocks if block.ranked}) > 1


def _require_right(report: Drawn) -> None:
    if not any([row.outcome is Outcome.RIGHT for block in report.blocks for row in block.ranked]):
        raise ValueError("there is nothing to draw: no strategy was found right; the report says why.")


def _require_matplotlib() -> None:
    try:
        import matplotlib as mpl  # noqa: F401  # only whether it is there
    except ImportError as error:
        raise ImportError("a plot needs matplotlib, which is not installed: pip install matplotlib") from error
