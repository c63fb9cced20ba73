"""The picture: false verdicts of every checker, and which planted errors it sees."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

from peers import Answer
from peers.running import CHECKERS, XCHECK

from board.tally import asked, detection, of
from board.worker import Row

PASS, OPEN, NONE = "#b3261e", "#c3cdd8", "#5f6b76"
COLOURS = ("#4477aa", "#66ccee", "#228833", "#88bb44", "#aa7733", "#ee6677", "#aa3377", "#777777", "#bbaa44")


def draw(rows: list[Row], path: Path) -> None:
    """Draw the three panels into `path`; its suffix is the format."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams |= {"svg.hashsalt": "xcheck", "svg.fonttype": "none"}
    import matplotlib.pyplot as plt

    figure, (wrong, right, planted) = plt.subplots(1, 3, figsize=(13, 4.7), layout="constrained")
    _shares(wrong, [row for row in rows if row.group == "wrong"], rows, WRONG)
    wrong.set_title("(a) wrong derivatives", fontsize=10)
    wrong.set_xlabel("% of the cases that it can be asked about")
    _shares(right, [row for row in rows if row.group == "right"], rows, RIGHT)
    right.set_title("(b) right ones, and kinks", fontsize=10)
    right.set_xlabel("% of the cases that it can be asked about")
    right.set_yticklabels([])
    _curves(planted, [row for row in rows if row.group == "planted"])
    figure.legend(*wrong.get_legend_handles_labels(), fontsize=9, loc="outside lower left", ncols=3, frameon=False)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=110)
    plt.close(figure)


Share = tuple[str, str, Callable[[Row], bool]]

WRONG: tuple[Share, ...] = (
    ("false verdict", PASS, lambda row: row.truth == "wrong" and row.outcome.answer is Answer.AGREE),
    ("inconclusive", OPEN, lambda row: row.truth == "wrong" and row.outcome.answer is Answer.INCONCLUSIVE),
    ("no answer (crash, timeout, NaN)", NONE, lambda row: row.truth == "wrong" and row.outcome.answer is Answer.ERROR),
)
RIGHT: tuple[Share, ...] = (
    ("false verdict", PASS, lambda row: row.truth != "wrong" and row.outcome.answer is Answer.DISAGREE),
    ("inconclusive", OPEN, lambda row: row.truth == "right" and row.outcome.answer is Answer.INCONCLUSIVE),
    ("no answer (crash, timeout, NaN)", NONE, lambda row: row.truth != "wrong" and row.outcome.answer is Answer.ERROR),
)


def _shares(axes: Any, rows: list[Row], everything: list[Row], shares: tuple[Share, ...]) -> None:
    """Draw one bar for every checker, in parts; what is missing to 100 % is what it got right."""
    wrong = shares is WRONG
    names = [name for name in CHECKERS if asked(of(everything, name))][::-1]
    kept = {name: [r for r in asked(of(rows, name)) if (r.truth == "wrong") is wrong] for name in names}
    start = [0.0] * len(names)
    for label, colour, counts in shares:
        widths = [100 * sum(map(counts, kept[name])) / max(len(kept[name]), 1) for name in names]
        axes.barh(names, widths, left=start, color=colour, label=label, height=0.65)
        start = [a + b for a, b in zip(start, widths, strict=True)]
    for name, end in zip(names, start, strict=True):
        axes.annotate(f" of {len(kept[name])}", (end, name), va="center", fontsize=8, color="#444444")
    axes.set_xlim(0, 116)
    axes.set_xticks(range(0, 101, 20))
    axes.spines[["top", "right"]].set_visible(False)


def _curves(axes: Any, planted: list[Row]) -> None:
    colours, dashes = iter(COLOURS), cycle(("-", "--", ":"))
    for name in CHECKERS:
        counts = detection(planted, name)
        if not counts:
            continue
        own = name == XCHECK
        rates = [100 * seen / total for seen, total in counts.values()]
        colour = "black" if own else next(colours)
        style = {"lw": 2.6, "zorder": 3} if own else {"lw": 1.3, "ls": next(dashes)}
        axes.plot(list(counts), rates, marker="o", ms=4, color=colour, label=name, **style)
    axes.set_xscale("log")
    axes.invert_xaxis()
    axes.set_ylim(-3, 103)
    axes.set_xlabel("relative size of the error")
    axes.set_ylabel("% called wrong")
    axes.set_title("(c) planted errors: which are seen", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.lines:
        axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
