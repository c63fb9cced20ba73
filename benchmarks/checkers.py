"""Time xcheck against the frameworks' own gradient checkers, in one run, interleaved, medians.

Two problems: an MLP R^1000 -> R^1000, where every one of the 10^6 entries is to be judged, and a function of ten
parameters, where fixed costs count. Ratios are what to rely on; absolute times depend on the machine.

    python benchmarks/checkers.py [--repeats 5]
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import perf_counter

import click
import torch
from rich.console import Console
from rich.table import Table

import xcheck

Run = Callable[[], object]


def mlp() -> tuple[Callable[[torch.Tensor], torch.Tensor], torch.Tensor]:
    """Return a tanh network R^1000 -> R^1000 in float64 and a point."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(1000, 1000), torch.nn.Tanh(), torch.nn.Linear(1000, 1000)).double()
    net.requires_grad_(False)
    return lambda x: net(x), torch.randn(1000, dtype=torch.float64)


def ten_parameters() -> tuple[Callable[[torch.Tensor], torch.Tensor], torch.Tensor]:
    """Return a smooth function R^10 -> R in float64 and a point."""
    torch.manual_seed(0)
    matrix = torch.randn(10, 10, dtype=torch.float64)
    return lambda x: torch.tanh(matrix @ x).sum(), torch.randn(10, dtype=torch.float64)


def gradcheck(f: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor, fast: bool = False) -> Run:
    """Prepare torch.autograd.gradcheck."""
    return lambda: torch.autograd.gradcheck(f, x.clone().requires_grad_(), fast_mode=fast)


def time_interleaved(runs: dict[str, Run], repeats: int) -> dict[str, float]:
    """Run A B A B ... after one warm-up each; returns median seconds."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(repeats):
        for name, run in runs.items():
            start = perf_counter()
            run()
            times[name].append(perf_counter() - start)
    return {name: median(values) for name, values in times.items()}


@click.command()
@click.option("--repeats", default=5, show_default=True, help="Timed runs of each checker.")
def main(repeats: int) -> None:
    """Print both tables."""
    console = Console()
    for title, (f, x), count in (
        ("MLP R^1000 -> R^1000, float64, 10^6 entries", mlp(), repeats),
        ("ten parameters, R^10 -> R, float64", ten_parameters(), 20 * repeats),
    ):
        report = xcheck.check(f, x)
        runs: dict[str, Run] = {
            "xcheck.check": lambda f=f, x=x: xcheck.check(f, x),
            "gradcheck": gradcheck(f, x),
            "gradcheck, fast mode": gradcheck(f, x, fast=True),
        }
        times = time_interleaved(runs, count)
        table = Table(title=title)
        for column in ("checker", "median, ms", "of gradcheck", "what it tells"):
            table.add_column(column, justify="left" if column in ("checker", "what it tells") else "right")
        first = report.comparisons[0]
        told = {
            "xcheck.check": f"{first.total} entries, each with an error bar; limit {first.detection_limit:.1g}",
            "gradcheck": "yes or no, atol 1e-5, rtol 1e-3",
            "gradcheck, fast mode": "yes or no, one random product",
        }
        for name, seconds in times.items():
            table.add_row(name, f"{1e3 * seconds:.1f}", f"{seconds / times['gradcheck']:.2f}", told[name])
        console.print(table)
        ratio, extra = times["gradcheck"] / times["xcheck.check"], times["xcheck.check"] - times["gradcheck"]
        console.print(f"gradcheck / xcheck = {ratio:.1f}; xcheck - gradcheck = {1e3 * extra:.1f} ms\n")


if __name__ == "__main__":
    main()
