"""Compare functions that torch, JAX and TensorFlow have in common; write docs/frameworks.md.

Every function at ordinary points, at kinks, ties and degenerate places, and far out. What differs is listed with its
cause, as `crosscheck` names it, and with an explanation from `common/explanations.py`. It fails, with exit status 1,
where a difference has no explanation, an explanation no difference, or blame no number of mpmath's behind it.

    python benchmarks/frameworks.py [--only NAME] [--out docs]
    python benchmarks/frameworks.py --seed 7 --dtype float32
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import click
import numpy as np
from common.algebra import algebra
from common.arrays import arrays
from common.explanations import WHY, explain, key_of
from common.found import FOUND
from common.function import COMPLEX, Common, Point, drawn
from common.layers import layers
from common.losses import losses
from common.pointwise import pointwise
from common.truths import truth
from rich.console import Console

import xcheck
from xcheck.agreement import Cause
from xcheck.verdict import Verdict


@dataclass(frozen=True)
class Finding:
    """What came of one function at one point.

    Attributes:
        name, point: which.
        inputs: the numbers at the point.
        report: what crosscheck says.
        seconds: what it took; `single`: what checks of each alone took.
    """

    name: str
    point: str
    inputs: Point
    report: xcheck.CrossReport
    seconds: float

    @property
    def single(self) -> float:
        """Seconds that the single checks took."""
        return sum(report.seconds for report in self.report.reports.values())


def functions() -> Iterator[Common]:
    """Yield every function that the three frameworks have in common."""
    yield from pointwise()
    yield from arrays()
    yield from algebra()
    yield from layers()
    yield from losses()


def compare(common: Common, seed: int = 0, dtype: str = "float64") -> Iterator[Finding]:
    """Cross-check one function at its points; with a seed, at ordinary points drawn near them, and by other steps."""
    for name, inputs in drawn(common, seed, dtype).items():
        start = perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            report = xcheck.crosscheck(common.functions, *inputs, raises=False, seed=seed)
        yield Finding(common.name, name, inputs, report, perf_counter() - start)


@click.command()
@click.option("--only", default="", help="Names of functions that begin so.")
@click.option(
    "--seed", default=0, help="Draw ordinary points near the listed ones, and other steps; 0 for those listed."
)
@click.option("--dtype", default="float64", type=click.Choice(list(COMPLEX)), help="Precision of all inputs.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder of frameworks.md; none else.")
def main(only: str, seed: int, dtype: str, out: Path | None) -> None:
    """Compare, print what differs, and write the page."""
    listed = not only and not seed and dtype == "float64"
    if out is not None and not listed:
        raise click.UsageError("--out writes the page of all functions at the listed points in float64 only.")
    console = Console(width=150, highlight=False)
    found: list[Finding] = []
    for common in functions():
        if common.name.startswith(only):
            for finding in compare(common, seed, dtype):
                found.append(finding)
                if differs(finding):
                    console.print(f"[bold]{finding.name}[/], {finding.point}: {finding.report.verdict}")
                    for line in said(finding):
                        console.print(f"    {line}", markup=False)
                    console.print(f"    [dim]{explain(finding.name, finding.point) or 'UNEXPLAINED'}[/]")
    console.print(summary(found))
    if out is not None:
        (out / "frameworks.md").write_text(page(found))
    wrong = problems(found, whole=listed)
    for line in wrong:
        console.print(line, markup=False)
    if wrong:
        sys.exit(1)


def differs(finding: Finding) -> bool:
    """Tell whether there is something to explain."""
    return finding.report.verdict is not Verdict.AGREE


def said(finding: Finding) -> list[str]:
    """Return what the report says: findings, notes, and what was not checked if there is nothing else."""
    lines = [*finding.report.findings, *finding.report.notes]
    if lines:
        return lines
    return list(dict.fromkeys(f"unchecked {line}" for r in finding.report.reports.values() for line in r.unchecked))


def problems(found: list[Finding], whole: bool = False) -> list[str]:
    """Say what is unexplained, what explains nothing, and who was blamed without reason.

    Args:
        found: what came of the comparisons.
        whole: whether those are all functions at their listed points, so that every explanation has to fit one.
    """
    unexplained = [f for f in found if differs(f) and not explain(f.name, f.point)]
    lines = [f"unexplained: {f.name} ({f.point})" for f in unexplained]
    if whole:
        used = {key_of(f.name, f.point) for f in found if differs(f)}
        lines += [f"explains nothing any more: {name} ({point})" for name, point in WHY if (name, point) not in used]
        lines += [f"is right now: {entry.framework}, {entry.what}" for entry in FOUND if not entry.reproduces()]
    return lines + [line for f in found for line in unfounded(f)]


def unfounded(finding: Finding) -> Iterator[str]:
    """Say which implementations are called wrong that mpmath finds right, or that nothing was held against."""
    for difference in finding.report.differences:
        if difference.cause is not Cause.WRONG:
            continue
        where = f"{finding.name} ({finding.point}), entry {difference.place}"
        if len(difference.place) < 2:
            continue  # a mode, or a value, and no entry of the Jacobian
        exact = truth(finding.name, finding.point, finding.inputs, (difference.place[0], difference.place[1]))
        if exact is None:
            yield f"blamed without a true value: {where}"
            continue
        close = 1e-9 * max(1.0, abs(exact))
        for label in difference.blamed:
            if abs(difference.numbers[label] - exact) <= close:
                yield f"blamed though it is right: {label}, {where}: {difference.numbers[label]} for {exact}"
        if difference.measured is not None and not _covers(*difference.measured, exact):
            yield f"measured wrong: {where}: {difference.measured} for {exact}"


def _covers(value: float, bar: float, exact: float) -> bool:
    return bool(abs(value - exact) <= bar + 4 * np.spacing(abs(exact)))


def summary(found: list[Finding]) -> str:
    """Count what agrees and what does not."""
    names = {f.name for f in found}
    counts = {v: sum(f.report.verdict is v for f in found) for v in Verdict}
    cost = sum(f.seconds for f in found) / max(sum(f.single for f in found), 1e-9)
    return (
        f"{len(names)} functions at {len(found)} points: {counts[Verdict.AGREE]} agree in torch, JAX and TensorFlow, "
        f"{counts[Verdict.DISAGREE]} disagree, {counts[Verdict.INCONCLUSIVE]} have no derivative there, or values that "
        f"settle nothing. A comparison took {cost:.2f} times as long as the single checks in it."
    )


def page(found: list[Finding]) -> str:
    """Write the page."""
    lines = [
        "# Where the frameworks differ",
        "Written by `python benchmarks/frameworks.py --out docs`; do not edit.",
        summary(found),
        "## What we found in the frameworks",
        "Derivatives that are wrong, beside the truth from mpmath or worked out by hand; computed anew for this page.",
        "\n".join(entry.line() for entry in FOUND),
        "## All differences",
        "| function | at | verdict | what differs | why |\n| --- | --- | --- | --- | --- |",
    ]
    rows = []
    for f in found:
        if differs(f):
            what, why = ("<br>".join(t).replace("|", "\\|") for t in (said(f), [explain(f.name, f.point)]))
            rows.append(f"| {f.name} | {f.point} | {f.report.verdict} | {what} | {why} |")
    return "\n\n".join(lines) + "\n" + "\n".join(rows) + "\n"


if __name__ == "__main__":
    main()
