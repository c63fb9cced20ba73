"""The pictures: time against size, one panel for every framework, xcheck's choice in black."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

from workloads.cell import Cell, Line
from xcheck.benchmarking.units import seconds_text

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F6000")
MARKS = "sD^vP*Xph<"
PANEL = 3.3, 4.9
LEGEND = 9
"""Lines of a panel's legend at most: the slowest tools are left out."""

INK, FAINT = "#333333", "#8A8A8A"


def draw(cells: Sequence[Cell], path: Path) -> None:
    """Draw the cells of one workload into `path`; its suffix is the format. The bytes go by the numbers alone."""
    import matplotlib as mpl

    with mpl.rc_context({"svg.hashsalt": "xcheck", "svg.fonttype": "none", "font.size": 8}):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        frameworks = list(dict.fromkeys(cell.framework for cell in cells))
        figure = Figure(figsize=(PANEL[0] * len(frameworks) + 0.4, PANEL[1]), layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(1, len(frameworks), squeeze=False, sharey=True)[0]
        for axes, framework in zip(panels, frameworks, strict=True):
            _panel(axes, [cell for cell in cells if cell.framework == framework])
            axes.set_title(framework, fontsize=9, loc="left", color=INK)
        panels[0].set_ylabel("one run, median")
        figure.suptitle(f"({cells[0].letter}) {cells[0].title}: {cells[0].quantity}", fontsize=10, x=0.01, ha="left")
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=110)


def _panel(axes: Any, cells: Sequence[Cell]) -> None:
    sizes = [cell.inputs for cell in cells]
    grows = len(set(sizes)) > 1 and sizes == sorted(sizes)
    places: list[float] = [float(s) for s in sizes] if grows else [float(i + 1) for i in range(len(sizes))]
    colours, marks = cycle(COLOURS), cycle(MARKS)
    for label, times in _lines(cells):
        auto = label == "xcheck"
        style = {"color": "black", "lw": 2.6, "marker": "o", "ms": 6, "zorder": 5}
        if not auto:
            style = {"color": next(colours), "lw": 1.2, "marker": next(marks), "ms": 4}
            if label.startswith("loop"):
                style |= {"ls": "--"}
        known = [(x, t) for x, t in zip(places, times, strict=True) if t is not None]
        if known:
            axes.plot(*zip(*known, strict=True), label=label, **style)
    axes.set_yscale("log")
    if grows:
        axes.set_xscale("log")
    axes.set_xticks(places, [cell.size for cell in cells])
    axes.minorticks_off()
    axes.margins(x=0.12)
    axes.set_xlabel("size")
    axes.yaxis.set_major_formatter(lambda value, _: seconds_text(value).replace(".00", "").replace(".0", ""))
    axes.grid(True, which="major", color="#E6E6E6", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    if axes.lines:
        axes.legend(fontsize=6.5, loc="upper left", bbox_to_anchor=(-0.02, -0.16), frameon=False, handlelength=2.2)


def _lines(cells: Sequence[Cell]) -> list[tuple[str, list[float | None]]]:
    """Return xcheck, the fastest other strategy, and everything that is not a strategy, the fastest first."""
    found = [("xcheck", [_median(cell.first("auto")) for cell in cells])]
    found.append(("fastest other strategy", [_median(cell.first("strategy")) for cell in cells]))
    names = dict.fromkeys(
        (line.role, line.name) for cell in cells for line in cell.timed("default", "naive", "yardstick", "peer")
    )
    rest = []
    for role, name in names:
        times = [_median(next((v for v in c.lines if (v.role, v.name) == (role, name)), None)) for c in cells]
        rest.append((f"{name} (default)" if role == "default" else name, times))
    rest.sort(key=lambda pair: min(t for t in pair[1] if t is not None))
    return found + rest[:LEGEND]


def _median(line: Line | None) -> float | None:
    return line.median if line is not None and line.is_timed else None
