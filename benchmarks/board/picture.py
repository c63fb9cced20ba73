"""The picture: false verdicts of every checker, and which planted errors it sees."""

from __future__ import annotations

from pathlib import Path

from peers import Answer
from peers.running import CHECKERS, XCHECK

from board.tally import asked, detection, is_above_limit, of
from board.worker import Row

PASS, ALARM, OPEN, NONE = "#b3261e", "#e8a33d", "#b9c4d0", "#5f6b76"
COLOURS = ("#4477aa", "#66ccee", "#228833", "#88bb44", "#aa7733", "#ee6677", "#aa3377", "#777777", "#bbaa44")


def draw(rows: list[Row], path: Path) -> None:
    """Draw both panels into `path`; its suffix is the format."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "xcheck"
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained", width_ratios=[1.15, 1])
    _verdicts(left, rows)
    _curves(right, rows)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=110)
    plt.close(figure)


def _verdicts(axes: object, rows: list[Row]) -> None:
    kept = {name: asked(of(rows, name, lambda row: row.group in ("wrong", "right", "operators"))) for name in CHECKERS}
    names = [name for name in kept if kept[name]][::-1]
    shares = {
        "wrong called right": (PASS, lambda r: is_above_limit(r)),
        "right or kink called wrong": (ALARM, lambda r: r.truth != "wrong" and r.outcome.answer is Answer.DISAGREE),
        "inconclusive (not at kinks)": (
            OPEN,
            lambda r: r.truth != "convention" and r.outcome.answer is Answer.INCONCLUSIVE,
        ),
        "no answer (crash, NaN)": (NONE, lambda r: r.outcome.answer is Answer.ERROR),
    }
    start = [0.0] * len(names)
    for label, (colour, counts) in shares.items():
        widths = [100 * sum(map(counts, kept[name])) / len(kept[name]) for name in names]
        axes.barh(names, widths, left=start, color=colour, label=label, height=0.65)
        start = [a + b for a, b in zip(start, widths, strict=True)]
    for name, end in zip(names, start, strict=True):
        axes.annotate(f" of {len(kept[name])}", (end, name), va="center", fontsize=8, color="#444444")
    axes.set_xlabel("% of the cases that the checker could be asked about, groups (a), (b), (d)")
    axes.set_xlim(0, max([*start, 1.0]) * 1.12)
    axes.legend(fontsize=8, loc="upper right", frameon=False)
    axes.set_title("False verdicts and no verdicts", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)


def _curves(axes: object, rows: list[Row]) -> None:
    planted = [row for row in rows if row.group == "planted"]
    colours = iter(COLOURS)
    for name in CHECKERS:
        counts = detection(planted, name)
        if not counts:
            continue
        own = name == XCHECK
        rates = [100 * seen / total for seen, total in counts.values()]
        colour = "black" if own else next(colours)
        axes.plot(list(counts), rates, "o-", ms=4, lw=2.6 if own else 1.3, color=colour, label=name, zorder=2 + own)
    axes.set_xscale("log")
    axes.invert_xaxis()
    axes.set_ylim(-3, 103)
    axes.set_xlabel("relative size of the planted error, group (c)")
    axes.set_ylabel("% called wrong")
    axes.set_title("Which planted errors are seen", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.lines:
        axes.legend(fontsize=8, frameon=False, loc="lower left")
