"""Time xcheck against the frameworks' own gradient checkers, in one run, interleaved, medians.

Two problems: an MLP R^1000 -> R^1000, where every one of the 10^6 entries is to be judged, and a function of ten
parameters, where fixed costs count. Then the whole corpus of torch's operators, 6 to 148 inputs each, on one thread:
totals over all of them. Ratios are what to rely on; absolute times depend on the machine, and on a busy one the
processor time tells more than the clock.

    python benchmarks/checkers.py [--repeats 5] [--every 1] [--only-operators]
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from statistics import median
from time import perf_counter, process_time
from typing import Any

import click
import torch
from cases.torch_operators import operators
from rich.console import Console
from rich.table import Table

import xcheck

Run = Callable[[], object]

CLOCKS = {"processor": process_time, "wall": perf_counter}


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


Times = dict[str, list[float]]
"""Seconds by clock, one median for every operator."""


def time_operators(seed: int, points: int, every: int, repeats: int) -> tuple[dict[str, Times], dict[str, int]]:
    """Time both checkers on the corpus of operators, operator by operator, A B A B ... after one warm-up each.

    Returns:
        The times of each checker, and of how many operators it says that they are right.
    """
    times: dict[str, Times] = {name: {clock: [] for clock in CLOCKS} for name in ("xcheck.check", "gradcheck")}
    right = dict.fromkeys(times, 0)
    for case in list(operators(seed, points))[::every]:
        runs: dict[str, Callable[[], bool]] = {
            "xcheck.check": lambda case=case: xcheck.check(case.f, *case.inputs, raises=False).ok,
            "gradcheck": slow_gradcheck(case.f, case.inputs),
        }
        for name, run in runs.items():
            right[name] += run()
        measured: dict[str, Times] = {name: {clock: [] for clock in CLOCKS} for name in runs}
        for _ in range(repeats):
            for name, run in runs.items():
                start = {clock: read() for clock, read in CLOCKS.items()}
                run()
                for clock, read in CLOCKS.items():
                    measured[name][clock].append(read() - start[clock])
        for name, clocks in measured.items():
            for clock, values in clocks.items():
                times[name][clock].append(median(values))
    return times, right


def slow_gradcheck(f: Callable[..., Any], inputs: Sequence[Any]) -> Callable[[], bool]:
    """Prepare torch.autograd.gradcheck with its defaults, by all inputs that have derivatives."""
    leaves = [x.detach().clone().requires_grad_(x.is_floating_point() or x.is_complex()) for x in inputs]
    return lambda: torch.autograd.gradcheck(f, leaves, raise_exception=False)


def show_operators(console: Console, seed: int, points: int, every: int, repeats: int) -> None:
    """Print the totals over the corpus of operators."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch calls some of its own functions deprecated
            times, right = time_operators(seed, points, every, repeats)
    finally:
        torch.set_num_threads(threads)
    count = len(times["gradcheck"]["wall"])
    table = Table(title=f"torch's operators, {count} points of seed {seed}, one thread, medians of {repeats}")
    for column in ("checker", "clock", "total, s", "of gradcheck", "median, ms", "right"):
        table.add_column(column, justify="left" if column in ("checker", "clock") else "right")
    for name, clocks in times.items():
        for clock, values in clocks.items():
            share = sum(values) / sum(times["gradcheck"][clock])
            cells = [f"{sum(values):.2f}", f"{share:.2f}", f"{1e3 * median(values):.1f}", f"{right[name]} of {count}"]
            table.add_row(name, clock, *cells)
    console.print(table)


@click.command()
@click.option("--repeats", default=5, show_default=True, help="Timed runs of each checker.")
@click.option("--seed", default=3, show_default=True, help="Chooses the operators' points.")
@click.option("--points", default=1, show_default=True, help="Points of each operator.")
@click.option("--every", default=1, show_default=True, help="Only every so-manieth operator.")
@click.option("--only-operators", is_flag=True, help="Leave the two single problems out.")
def main(repeats: int, seed: int, points: int, every: int, only_operators: bool) -> None:
    """Print the tables."""
    console = Console()
    if not only_operators:
        show_problems(console, repeats)
    show_operators(console, seed, points, every, repeats)


def show_problems(console: Console, repeats: int) -> None:
    """Print a table for each of the two single problems."""
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
