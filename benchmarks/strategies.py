"""Time every way to a Jacobian on eight workloads, in every framework; write docs/strategies.md and its pictures.

Each way is first held against the derivative worked out by hand; then all are timed in turns. It fails, with exit
status 1, where a result is wrong or a ratio that must hold does not.

    python benchmarks/strategies.py --write
    python benchmarks/strategies.py --only a,e --backend torch --quick
"""

from __future__ import annotations

import json
import logging
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported: one thread, as in the tests
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow is

import click
from rich.console import Console
from workloads.cell import Cell, First, Line
from workloads.conditions import conditions
from workloads.first_results import first_results
from workloads.frameworks import FRAMEWORKS, is_there
from workloads.functions import QUICK, workloads
from workloads.measuring import LONGEST, Options, measure, size_text
from workloads.page import page
from workloads.picture import draw
from workloads.ratios import failures, measured_again
from workloads.workload import Workload

from xcheck.benchmarking.load import Load
from xcheck.benchmarking.units import seconds_text

DOCS = Path(__file__).parents[1] / "docs"


@click.command()
@click.option("--only", default="", help="Letters of workloads, separated by commas; all if empty.")
@click.option("--backend", default="", help="Frameworks, separated by commas; all that are installed if empty.")
@click.option("--seconds", default=1.0, show_default=True, help="For timing in turns one size in one framework.")
@click.option("--longest", default=LONGEST, show_default=True, help="Seconds of one run; longer ones are left out.")
@click.option("--quick", is_flag=True, help="Small sizes.")
@click.option("--compiled", is_flag=True, help="Try compilers that take long, too: torch.compile.")
@click.option("--seed", default=0, show_default=True, help="Of the order of runs.")
@click.option("--write", is_flag=True, help="Write the page and its pictures.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=DOCS, help="Where to; docs if not given."
)
@click.option("--keep", type=click.Path(path_type=Path, dir_okay=False), help="Also write everything as JSON.")
@click.option("--again", type=click.Path(path_type=Path, exists=True), help="Measure nothing; read what --keep wrote.")
def main(
    only: str, backend: str, seconds: float, longest: float, quick: bool, compiled: bool, seed: int, write: bool,
    out: Path, keep: Path | None, again: Path | None,
) -> None:  # fmt: skip
    """Measure, print what came of it, and write the page."""
    console = Console(width=160, highlight=False)
    if again is not None:
        kept = json.loads(again.read_text())
        cells, firsts = [Cell.from_dict(c) for c in kept["cells"]], [First(**f) for f in kept["firsts"]]
        command, around = kept["command"], kept["conditions"]
    else:
        names = _chosen("--backend", backend, [name for name in FRAMEWORKS if is_there(name)])
        if "tensorflow" in names:  # it warns of functions that are traced anew, which is what is meant here
            logging.getLogger("tensorflow").setLevel(logging.ERROR)
        letters = _chosen("--only", only, list(QUICK))
        options = Options(seconds, longest, True if compiled else None, seed=seed)
        start, load = perf_counter(), Load()
        cells = run(console, letters, names, quick, options)
        firsts = [first for name in names for first in first_results(name, seconds, seed)]
        command = shlex.join(["python", "benchmarks/strategies.py", *sys.argv[1:]])
        around = conditions(names, load, perf_counter() - start)
    if keep is not None:
        data = {"cells": [c.to_dict() for c in cells], "firsts": [vars(f) for f in firsts]}
        keep.write_text(json.dumps(data | {"command": command, "conditions": around}))
    if write:
        written(cells, firsts, command, around, out)
    wrong = failures(cells, firsts)
    for line in wrong:
        console.print(line, style="red", markup=False)
    if wrong:
        sys.exit(1)


def run(console: Console, letters: Sequence[str], names: Sequence[str], quick: bool, options: Options) -> list[Cell]:
    """Measure the workloads at all their sizes, framework by framework."""
    cells = [
        _measured(console, workload, size, name, replace(options, every=place == 0))
        for name in names
        for workload in workloads()
        if workload.letter in letters
        for place, size in enumerate(QUICK[workload.letter] if quick else workload.sizes)
    ]
    order = {letter: i for i, letter in enumerate(QUICK)}
    return sorted(cells, key=lambda cell: order[cell.letter])


def written(
    cells: Sequence[Cell], firsts: Sequence[First], command: str, around: Sequence[str], out: Path
) -> list[Path]:
    """Write the page and the pictures; return where."""
    out.mkdir(parents=True, exist_ok=True)
    paths = [out / "strategies.md"]
    letters = list(dict.fromkeys(cell.letter for cell in cells))
    for letter in letters:
        paths.append(out / f"strategies-{letter}.svg")
        draw([cell for cell in cells if cell.letter == letter], paths[-1])
    paths[0].write_text(page(cells, firsts, command, around, letters))
    return paths


def _measured(console: Console, workload: Workload, size: object, name: str, options: Options) -> Cell:
    start = perf_counter()
    cell, again = measure(workload, size, name, options)
    measured_again(cell, again)
    auto, default, strategy = (_time(cell.first(role)) for role in ("auto", "default", "strategy"))
    console.print(
        f"({workload.letter}) {size_text(size):>12} {name:10} {auto:>8}  default {default:>8}  next {strategy:>8}  "
        f"set-up {seconds_text(cell.setup) if cell.chosen else '-':>8}  {cell.chosen}  "
        f"[dim]{perf_counter() - start:.0f} s[/]",
        soft_wrap=True,
    )
    return cell


def _time(line: Line | None) -> str:
    return "-" if line is None else seconds_text(line.median)


def _chosen(what: str, text: str, known: list[str]) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise click.BadParameter(f"{what}: {', '.join(unknown)} is not among {', '.join(known)}")
    return [name for name in known if name in names] if names else known


if __name__ == "__main__":
    main()
