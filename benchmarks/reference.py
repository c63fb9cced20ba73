"""Calibrate the reference: do its error bars hold, how tight are they, what do they cost, next to other libraries?

Every run draws other functions and points, several hundred with exact derivatives, unless a seed is given. All methods
measure the same pairs. Then `xcheck.check` judges right derivatives, derivatives with planted errors, and
conventions at points without a derivative.

    python benchmarks/reference.py [--seed 1] [--dtype both] [--markdown calibration.md]
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from calibration import PER_FAMILY, RULES, Kind, Pair, draw
from calibration.methods import Outcome, measure, own, peers
from calibration.verdicts import PLANTED, Rough, Trial, judge_planted, judge_right, judge_rough
from rich.console import Console
from rich.progress import track
from rich.table import Table

import xcheck

AGREE, DISAGREE, INCONCLUSIVE = xcheck.Verdict.AGREE, xcheck.Verdict.DISAGREE, xcheck.Verdict.INCONCLUSIVE

Results = dict[str, list[tuple[Pair, Outcome]]]


class Report:
    """Prints tables and keeps them as markdown."""

    def __init__(self) -> None:
        """Start an empty report."""
        self.console = Console()
        self.console.width = max(self.console.width, 120)
        self.parts: list[str] = []

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Add a table; the first column is text, the others are numbers."""
        rows = list(rows)
        shown = Table(title=title)
        for i, column in enumerate(columns):
            shown.add_column(column, justify="right" if i else "left")
        for row in rows:
            shown.add_row(*row)
        self.console.print(shown)
        lines = [" | ".join(columns), " | ".join("---:" if i else "---" for i in range(len(columns)))]
        lines += [" | ".join(row) for row in rows]
        self.parts.append(f"### {title}\n\n" + "\n".join(f"| {line} |" for line in lines))

    def lines(self, title: str, lines: Sequence[str]) -> None:
        """Add a list; nothing if it is empty."""
        if lines:
            self.console.print(f"[bold]{title}[/bold]")
            for line in lines:
                self.console.print("  " + line, markup=False, highlight=False, soft_wrap=True)
            self.parts.append(f"### {title}\n\n" + "\n".join(f"* `{line}`" for line in lines))


def misses(pair: Pair, outcome: Outcome) -> Any:
    """Tell which entries' bars do not hold the truth."""
    return np.isfinite(outcome.bar) & ~(pair.errors(outcome.value) <= outcome.bar)


def summary(name: str, found: list[tuple[Pair, Outcome]]) -> list[str]:
    """Summarise a method over pairs with a derivative: of the bars that claim something, how many hold?

    A pair with many entries counts once: by its median entry, and as missed if any of its bars does not hold.
    """
    claims = [(pair, outcome) for pair, outcome in found if np.any(np.isfinite(outcome.bar))]
    missed = sum(bool(np.any(misses(*claim))) for claim in claims)
    none = np.mean([np.mean(~np.isfinite(outcome.bar)) for _, outcome in found])
    errors, bars, ratios = [], [], []
    for pair, outcome in claims:
        error, size, bar = pair.errors(outcome.value), np.abs(pair.exact), outcome.bar
        sloped, off = np.isfinite(bar) & (size > 0), np.isfinite(bar) & (error > 0)
        errors += [np.median(error[sloped] / size[sloped])] if np.any(sloped) else []
        bars += [np.median(bar[sloped] / size[sloped])] if np.any(sloped) else []
        ratios += [np.median(bar[off] / error[off])] if np.any(off) else []
    return [
        name,
        f"{len(found)}",
        f"{100 * (1 - missed / len(claims)):.2f} %" if claims else "",
        f"{missed}",
        f"{100 * none:.1f} %",
        *(f"{np.median(part):.1e}" if part else "" for part in (errors, bars)),
        f"{np.median(ratios):.2g}" if ratios else "",
        f"{np.median([outcome.evaluations / max(1, np.size(pair.x)) for pair, outcome in found]):.1f}",
        f"{1e3 * np.median([outcome.seconds for _, outcome in found]):.2f}",
    ]


COLUMNS = ("", "pairs", "cover", "misses", "none", "rel. error", "rel. bar", "bar/error", "evals/input", "ms")


def report_bars(report: Report, dtype: str, results: Results) -> None:
    """Tables on error bars: all methods together, xcheck by family, coverage by family, and every miss of xcheck's."""
    smooth = {name: [r for r in found if r[0].kind is Kind.SMOOTH] for name, found in results.items()}
    sound = {name: [r for r in found if not r[0].ill] for name, found in smooth.items()}
    report.table(f"{dtype}: error bars, well-computed pairs", COLUMNS, [summary(n, f) for n, f in sound.items()])
    ill = {name: [r for r in found if r[0].ill] for name, found in smooth.items()}
    if any(ill.values()):
        report.table(f"{dtype}: error bars, ill-computed pairs", COLUMNS, [summary(n, f) for n, f in ill.items()])
    families = [f for f in RULES if any(pair.family == f for pair, _ in sound["xcheck"])]
    by_family = [summary(f, [r for r in sound["xcheck"] if r[0].family == f]) for f in families]
    report.table(f"{dtype}: xcheck by family", COLUMNS, by_family)
    cover = [
        [f, *(summary("", [r for r in found if r[0].family == f])[2] for found in sound.values())] for f in families
    ]
    report.table(f"{dtype}: coverage by family", ("", *sound), cover)
    report.lines(f"{dtype}: misses of xcheck's bars", [line for n in own() for line in miss_lines(n, sound[n])])
    rough = {name: [r for r in found if r[0].kind is not Kind.SMOOTH] for name, found in results.items()}
    given = [[name, f"{len(found)}", f"{sum(is_wrong_slope(*r) for r in found)}"] for name, found in rough.items()]
    report.table(f"{dtype}: points without a derivative that got a slope", ("", "points", "slopes"), given)


def is_wrong_slope(pair: Pair, outcome: Outcome) -> bool:
    """Tell whether a slope was given where none exists; one whose bar holds both sides' slopes says as much."""
    if not np.isfinite(outcome.bar) or pair.kind is Kind.EDGE:
        return bool(np.isfinite(outcome.bar))
    low, high = sorted((float(pair.low), float(pair.high)))
    return bool(outcome.value - outcome.bar > low or outcome.value + outcome.bar < high)


def miss_lines(name: str, found: list[tuple[Pair, Outcome]]) -> list[str]:
    """Describe every pair with a bar that does not hold, by its worst entry."""
    lines = []
    for pair, outcome in found:
        missed = misses(pair, outcome)
        if np.any(missed):
            with np.errstate(divide="ignore", invalid="ignore"):
                worst = np.argmax(np.where(missed, pair.errors(outcome.value) / outcome.bar, 0.0))
            low, high, value, bar = (
                float(np.ravel(a)[worst]) for a in (pair.low, pair.high, outcome.value, outcome.bar)
            )
            truth = repr(low) if low == high else f"{low!r} to {high!r}"
            lines.append(f"{name}: {pair.text}: {value!r} ± {bar:.1e}, not {truth}; {outcome.evaluations} evaluations")
    return lines


def report_verdicts(report: Report, dtype: str, trials: list[Trial]) -> None:
    """Tables on verdicts: right claims by family, planted errors, and what went wrong."""

    def row(name: str, some: list[Trial]) -> list[str]:
        counts = [sum(t.right is verdict for t in some) for verdict in (AGREE, INCONCLUSIVE, DISAGREE)]
        return [
            name,
            f"{len(some)}",
            *(f"{c}" for c in counts),
            f"{np.median([t.evaluations / max(1, np.size(t.pair.x)) for t in some]):.1f}",
        ]

    sound, ill = [t for t in trials if not t.pair.ill], [t for t in trials if t.pair.ill]
    rows = [row(family, some) for family in RULES if (some := [t for t in sound if t.pair.family == family])]
    rows += [row("all well-computed", sound), *([row("ill-computed", ill)] if ill else [])]
    report.table(f"{dtype}: right claims", ("", "pairs", "agree", "inconclusive", "disagree", "evals/input"), rows)
    report.lines(f"{dtype}: false alarms", [t.pair.text for t in sound if t.right is DISAGREE])
    planted = []
    for size in PLANTED:
        seen = [t for t in sound if size in t.planted]
        counts = [sum(t.planted[size] is verdict for t in seen) for verdict in (DISAGREE, INCONCLUSIVE, AGREE)]
        passed = sum(size == entry[0] for t in seen for entry in t.passed)
        planted.append([f"{size:.0e}", f"{len(seen)}", *(f"{c}" for c in counts), f"{passed}"])
    columns = ("planted, relative", "claims", "disagree", "inconclusive", "agree", "agree above the limit")
    report.table(f"{dtype}: planted errors", columns, planted)
    lines = [f"{t.pair.text}: an error of {e:.2e}, limit {limit:.2e}" for t in sound for _, e, limit in t.passed]
    report.lines(f"{dtype}: false passes", lines)


def report_rough(report: Report, dtype: str, rough: list[Rough]) -> None:
    """Verdicts where no derivative exists."""
    rows = []
    for kind in (Kind.KINK, Kind.JUMP, Kind.EDGE):
        some = [r for r in rough if r.pair.kind is kind]
        called = [verdict for r in some for verdict in r.called]
        counts = [sum(v is verdict for v in called) for verdict in (INCONCLUSIVE, AGREE, DISAGREE)]
        row = [kind.value, len(some), sum(r.named for r in some), "", *counts, "", ""]
        if kind is Kind.KINK:
            row[3] = sum(r.right_slopes for r in some)
            row[-2:] = [sum(r.outside is verdict for r in some) for verdict in (DISAGREE, AGREE)]
        rows.append([str(cell) for cell in row])
    conventions = ("conventions inconclusive", "agree", "disagree")
    columns = ("", "points", "named", "slopes right", *conventions, "outside disagree", "agree")
    report.table(f"{dtype}: points without a derivative", columns, rows)
    lines = [f"{r.pair.text}: {r.reason or 'agree'}" for r in rough if not r.named or DISAGREE in r.called]
    report.lines(f"{dtype}: not named, or a convention called wrong", lines)


def run(report: Report, seed: int, dtype: str, per_family: int, verdicts: bool) -> None:
    """Measure and judge one draw."""
    pairs = draw(seed, dtype, per_family)
    results: Results = {}
    for name, method in {**own(), **peers()}.items():
        watched = track(pairs, f"{dtype} {name}", console=report.console, transient=True)
        results[name] = [(pair, measure(name, method, pair)) for pair in watched]
    report_bars(report, dtype, results)
    if verdicts:
        trials = []
        watched = track(pairs, f"{dtype} verdicts", console=report.console, transient=True)
        for pair in (pair for pair in watched if pair.kind is Kind.SMOOTH):
            trials.append(judge_right(pair))
            judge_planted(trials[-1])
        report_verdicts(report, dtype, trials)
        report_rough(report, dtype, [judge_rough(pair) for pair in pairs if pair.kind is not Kind.SMOOTH])


@click.command()
@click.option("--seed", type=int, help="Draw these functions again; a fresh draw without it.")
@click.option("--dtype", type=click.Choice(["float64", "float32", "both"]), default="both", show_default=True)
@click.option("--per-family", default=PER_FAMILY, show_default=True, help=f"Pairs from each of {len(RULES)} families.")
@click.option("--verdicts/--no-verdicts", default=True, help="Judge claims as well, which takes minutes.")
@click.option("--markdown", type=click.Path(path_type=Path), help="Write the tables to this file as well.")
def main(seed: int | None, dtype: str, per_family: int, verdicts: bool, markdown: Path | None) -> None:
    """Print all tables."""
    seed = secrets.randbelow(2**31) if seed is None else seed
    report = Report()
    report.console.print(f"seed {seed}, {per_family * len(RULES)} pairs of each dtype")
    for name in ("float64", "float32") if dtype == "both" else (dtype,):
        run(report, seed, name, per_family, verdicts)
    if markdown:
        title = f"## Calibration, seed {seed}, {per_family * len(RULES)} pairs of each dtype"
        markdown.write_text("\n\n".join([title, *report.parts]) + "\n")


if __name__ == "__main__":
    main()
