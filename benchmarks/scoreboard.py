"""Judge derivative checkers by cases whose truth is known; write docs/scoreboard.md and docs/scoreboard.svg.

    python benchmarks/scoreboard.py --seed 0 --points 2

Takes about an hour with everything: torch's slow gradcheck and numdifftools take most of it.
"""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import click
from board.page import page
from board.picture import draw
from board.sources import GROUPS, chunks
from board.tally import is_amiss, tally
from board.worker import Row, rows
from peers.running import CHECKERS, XCHECK
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table


def _chosen(what: str, text: str, known: list[str]) -> list[str]:
    names = [name.strip() for name in text.split(";" if ";" in text else ",") if name.strip()]
    matches = [k for k in known if any(k == n or k.startswith(n) for n in names)]
    unknown = [n for n in names if not any(k.startswith(n) for k in known)]
    if unknown:
        raise click.BadParameter(f"{what}: {', '.join(unknown)} is not among {'; '.join(known)}")
    return matches


@click.command()
@click.option("--seed", default=0, show_default=True, help="Seed of the operators' points and of the planted errors.")
@click.option("--points", default=2, show_default=True, help="Points for every operator.")
@click.option("--only", default=",".join(GROUPS), show_default=True, help="Groups, separated by commas.")
@click.option("--checkers", default="", help="Beginnings of checkers' names, separated by semicolons; all if empty.")
@click.option("--timeout", default=60.0, show_default=True, help="Seconds that a checker may take on a case.")
@click.option("--most", default=0, help="At most so many cases of each group and framework; 0 for all.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Folder of the page; none is written else."
)
@click.option("--keep", type=click.Path(path_type=Path, dir_okay=False), help="Also write every row as a line of JSON.")
@click.option("--again", type=click.Path(path_type=Path, exists=True), help="Run nothing; read the rows of --keep.")
def main(
    seed: int,
    points: int,
    only: str,
    checkers: str,
    timeout: float,
    most: int,
    out: Path | None,
    keep: Path | None,
    again: Path | None,
) -> None:
    """Run the checkers, print the tables, and write the page."""
    console = Console()
    names = _chosen("--checkers", checkers, list(CHECKERS)) or list(CHECKERS)
    groups = _chosen("--only", only, list(GROUPS))
    remarks: list[str] = []
    if again is not None:
        found = [Row.from_dict(json.loads(line)) for line in again.read_text().splitlines()]
    else:
        found = _run(console, groups, names, seed, points, timeout, most, keep, remarks)
    _print(console, found)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        arguments = shlex.join(["python", "benchmarks/scoreboard.py", *_without(sys.argv[1:], "--again", "--keep")])
        (out / "scoreboard.md").write_text(page(found, arguments, seed, points, remarks))
        draw(found, out / "scoreboard.svg")
        console.print(f"wrote {out / 'scoreboard.md'} and {out / 'scoreboard.svg'}")


def _run(
    console: Console,
    groups: list[str],
    names: list[str],
    seed: int,
    points: int,
    timeout: float,
    most: int,
    keep: Path | None,
    remarks: list[str],
) -> list[Row]:
    work, missing = chunks(groups, seed, points, most)
    remarks += missing
    if keep is not None:
        keep.parent.mkdir(parents=True, exist_ok=True)
    found: list[Row] = []
    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        for line in missing:
            progress.console.print(f"[yellow]left out[/] {line}")
        task = progress.add_task("", total=None)
        for chunk in work:
            for row in rows(chunk, names, timeout, lambda line: _tell(progress, remarks, line)):
                found.append(row)
                progress.update(task, description=f"{chunk.group} {row.framework}: {row.name}"[:60])
                if keep is not None:
                    with keep.open("a" if len(found) > 1 else "w") as file:
                        file.write(json.dumps(row.to_dict()) + "\n")
                if row.checker == XCHECK and is_amiss(row):
                    said = f"{row.truth}, xcheck: {row.outcome.answer.value}"
                    progress.console.print(f"[red]{row.group}[/] {row.name} ({said})", highlight=False)
    return found


def _tell(progress: Progress, remarks: list[str], line: str) -> None:
    progress.console.print(line, style="red", markup=False, highlight=False)
    remarks.append(line.strip().splitlines()[-1] if "\n" in line else line)


def _without(arguments: list[str], *options: str) -> list[str]:
    kept, skip = [], False
    for argument in arguments:
        if not skip and argument not in options:
            kept.append(argument)
        skip = not skip and argument in options
    return kept


def _print(console: Console, found: list[Row]) -> None:
    for group in GROUPS:
        mine = [row for row in found if row.group == group]
        if not mine:
            continue
        table = Table(title=group)
        header = "checker", "wrong", "false passes", "above limit", "right", "false alarms", "open", "no answer", "s"
        for column in header:
            table.add_column(column, justify="left" if column == "checker" else "right")
        for name in CHECKERS:
            t = tally(row for row in mine if row.checker == name)
            if t is not None:
                numbers = (t.wrong, t.false_passes, t.above_limit, t.right + t.convention, t.false_alarms)
                open_, errors = f"{t.wrong_open}, {t.right_open}", f"{t.wrong_errors}, {t.right_errors}"
                table.add_row(name, *map(str, numbers), open_, errors, f"{t.seconds:.1f}")
        console.print(table)


if __name__ == "__main__":
    main()
