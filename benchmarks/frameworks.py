"""Compare functions that torch, JAX and TensorFlow have in common; write docs/frameworks.md.

Every function at ordinary points, at kinks, ties and degenerate places, and far out. What differs is listed with its
cause, as `crosscheck` names it, and with an explanation from `common/explanations.py`; a difference without one fails.

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
from common.algebra import algebra
from common.arrays import arrays
from common.explanations import explain
from common.function import Common, drawn
from common.layers import layers
from common.losses import losses
from common.pointwise import pointwise
from rich.console import Console

import xcheck
from xcheck.verdict import Verdict


@dataclass(frozen=True)
class Finding:
    """What came of one function at one point.

    Attributes:
        name, point: which.
        report: what crosscheck says.
        seconds: what it took; `single`: what checks of each alone took.
    """

    name: str
    point: str
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
        yield Finding(common.name, name, report, perf_counter() - start)


@click.command()
@click.option("--only", default="", help="Names of functions that begin so.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder of frameworks.md; none else.")
def main(only: str, out: Path | None) -> None:
    """Compare, print what differs, and write the page."""
    console = Console(width=150, highlight=False)
    found: list[Finding] = []
    for common in functions():
        if common.name.startswith(only):
            for finding in compare(common):
                found.append(finding)
                if finding.report.verdict is not Verdict.AGREE:
                    console.print(f"[bold]{finding.name}[/], {finding.point}: {finding.report.verdict}")
                    for line in (*finding.report.findings, *finding.report.notes):
                        console.print(f"    {line}")
                    console.print(f"    [dim]{explain(finding.name, finding.point) or 'UNEXPLAINED'}[/]")
    text = page(found)
    unexplained = [f for f in found if _differs(f) and not explain(f.name, f.point)]
    console.print(text.split("\n\n")[2])
    if out is not None:
        (out / "frameworks.md").write_text(text)
    if unexplained:
        console.print(f"unexplained: {', '.join(f'{f.name} ({f.point})' for f in unexplained)}")
        sys.exit(1)


def _differs(finding: Finding) -> bool:
    return finding.report.verdict is not Verdict.AGREE


def page(found: list[Finding]) -> str:
    """Write the page."""
    names = {f.name for f in found}
    counts = {v: sum(f.report.verdict is v for f in found) for v in Verdict}
    cost = sum(f.seconds for f in found) / max(sum(f.single for f in found), 1e-9)
    summary = (
        f"{len(names)} functions at {len(found)} points: {counts[Verdict.AGREE]} agree in torch, JAX and TensorFlow, "
        f"{counts[Verdict.DISAGREE]} disagree, {counts[Verdict.INCONCLUSIVE]} have no derivative there, or values that "
        f"settle nothing. A comparison took {cost:.2f} times as long as the single checks in it."
    )
    lines = [
        "# Where the frameworks differ",
        "Written by `python benchmarks/frameworks.py --out docs`; do not edit.",
        summary,
        "| function | at | verdict | what differs | why |\n| --- | --- | --- | --- | --- |",
    ]
    rows = []
    for f in found:
        if _differs(f):
            said = "<br>".join((*f.report.findings, *f.report.notes)).replace("|", "\\|")
            rows.append(f"| {f.name} | {f.point} | {f.report.verdict} | {said} | {explain(f.name, f.point)} |")
    return "\n\n".join(lines) + "\n" + "\n".join(rows) + "\n"


if __name__ == "__main__":
    main()
