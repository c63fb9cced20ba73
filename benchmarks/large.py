"""Time checks of large problems: what they cost beside one gradient, what a failing one tells, how cost grows.

Three tables. A right loss of 10^3 to 10^7 parameters in torch, each size in a process of its own, so that its peak of
memory is seen: the check's time and memory against one gradient and one copy of the parameters. Wrong gradients of
120,000 inputs and a wrong elementwise operator: how long until the index is named. Checks of every entry for 50 to 2000
inputs: the time for one direction. Processor time is what to rely on where others use the machine; medians.

    python benchmarks/large.py [--repeats 3] [--largest 10000000] [--gradcheck 10000]
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import click
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import xcheck

BATCH = 64
WRONG = 0.5
"""What the wrong entry of a gradient is multiplied by."""

ONE_THREAD = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

Loss = Callable[..., torch.Tensor]


def timed(run: Callable[[], Any], repeats: int) -> tuple[float, float, Any]:
    """Return median processor seconds, median wall seconds, and the last result."""
    cpu, wall, result = [], [], None
    for _ in range(repeats):
        start = process_time(), perf_counter()
        result = run()
        cpu.append(process_time() - start[0])
        wall.append(perf_counter() - start[1])
    return median(cpu), median(wall), result


def network(parameters: int) -> tuple[Loss, list[torch.Tensor]]:
    """Return the mean squared error of a tanh network with about that many parameters, and the parameters."""
    torch.manual_seed(0)
    width = max(2, round((parameters / 2.5) ** 0.5))
    hidden = round(1.25 * width)
    net = torch.nn.Sequential(torch.nn.Linear(width, hidden), torch.nn.Tanh(), torch.nn.Linear(hidden, width)).double()
    inputs, targets = (torch.randn(BATCH, width, dtype=torch.float64) for _ in range(2))

    def loss(w1: torch.Tensor, b1: torch.Tensor, w2: torch.Tensor, b2: torch.Tensor) -> torch.Tensor:
        return ((torch.tanh(inputs @ w1.T + b1) @ w2.T + b2 - targets) ** 2).mean()

    return loss, [p.detach().clone() for p in net.parameters()]


def gradient_of(loss: Loss, parameters: list[torch.Tensor]) -> Callable[[], Any]:
    """Prepare one gradient in torch."""
    leaves = [p.clone().requires_grad_() for p in parameters]
    return lambda: torch.autograd.grad(loss(*leaves), leaves)


def resident() -> int:
    """Return the bytes that the process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1]) if sys.platform == "linux" else 0
    return pages * resource.getpagesize()


def measure_network(parameters: int, repeats: int) -> dict[str, Any]:
    """Check a network in this process; the first check of that size tells the memory."""
    torch.set_num_threads(1)
    small, few = network(10)
    xcheck.check(small, *few, budget=8)  # imports, and what torch compiles for forward mode
    loss, point = network(parameters)
    count = sum(p.numel() for p in point)
    before = resident()
    xcheck.check(loss, *point)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    gradient = gradient_of(loss, point)
    gradient()
    one = timed(gradient, 2 * repeats + 1)
    whole = timed(lambda: xcheck.check(loss, *point), repeats)
    return {
        "parameters": count,
        "gradient": one[:2],
        "check": whole[:2],
        "evaluations": whole[2].evaluations,
        "copies": (peak - before) / (8 * count) if before else float("nan"),
        "method": whole[2].comparisons[0].method,
    }


def networks(console: Console, largest: int, repeats: int) -> None:
    """Print what right checks cost."""
    table = Table(title="right gradients: a tanh network in torch, float64, one thread")
    for column in ("parameters", "gradient, ms", "check, ms", "ratio", "wall", "evaluations", "peak, copies", "by"):
        table.add_column(column, justify="right")
    size = 1000
    while size <= largest:
        command = [sys.executable, __file__, "--alone", str(size), "--repeats", str(repeats)]
        row = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=ONE_THREAD).stdout)
        (cpu, wall), (check_cpu, check_wall) = row["gradient"], row["check"]
        cells = (f"{1e3 * cpu:.2f}", f"{1e3 * check_cpu:.1f}", f"{check_cpu / cpu:.1f}", f"{check_wall / wall:.1f}")
        copies = f"{row['copies']:.1f}" if row["parameters"] >= 100_000 else "-"
        table.add_row(f"{row['parameters']:,}", *cells, str(row["evaluations"]), copies, row["method"])
        size *= 10
    console.print(table)


class WrongTanh(torch.autograd.Function):
    """An elementwise operator whose backward pass is wrong in one entry, the last but one."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        """Compute tanh."""
        result = torch.tanh(x)
        ctx.save_for_backward(result)
        return result

    @staticmethod
    def backward(ctx: Any, cotangent: torch.Tensor) -> torch.Tensor:
        """Pull back."""
        (y,) = ctx.saved_tensors
        gradient = cotangent * (1 - y**2)
        gradient[..., -2] *= WRONG
        return gradient


def spoiled(gradient: np.ndarray[Any, Any], place: int) -> np.ndarray[Any, Any]:
    """Spoil one entry."""
    gradient[place] *= WRONG
    return gradient


def failing(console: Console, repeats: int, gradcheck: int) -> None:
    """Print how long it takes to name a wrong entry."""
    n, place = 120_000, 77_777
    x = np.random.default_rng(0).uniform(0.5, 2.0, n)
    t = torch.randn(3000, dtype=torch.float64)
    runs: dict[str, tuple[Callable[[], Any], str]] = {
        "mean, 120,000 inputs": (
            lambda: xcheck.check(
                lambda x: np.mean(x), x, gradient=lambda x: spoiled(np.full(x.shape, 1 / n), place), raises=False
            ),
            f"[{place}]",
        ),
        "sum of squares, 120,000 inputs": (
            lambda: xcheck.check(lambda x: x @ x, x, gradient=lambda x: spoiled(2 * x, place), raises=False),
            f"[{place}]",
        ),
        "elementwise in torch, 3,000 inputs": (lambda: xcheck.check(WrongTanh.apply, t, raises=False), "[2998]"),
    }
    table = Table(title="wrong in one entry")
    for column in ("problem", "processor, s", "wall, s", "verdict", "names", "evaluations"):
        table.add_column(column, justify="left" if column in ("problem", "names") else "right")
    for title, (run, index) in runs.items():
        run()
        cpu, wall, report = timed(run, repeats)
        entry = next((e.name for c in report.comparisons for e in c.worst), "nothing")
        right = " (right)" if entry.endswith(index) else " (wrong index)"
        table.add_row(
            title, f"{cpu:.2f}", f"{wall:.2f}", report.verdict.name.lower(), entry + right, str(report.evaluations)
        )
    if gradcheck:
        wrong = torch.randn(gradcheck, dtype=torch.float64, requires_grad=True)
        cpu, wall, verdict = timed(lambda: ask_gradcheck(wrong), 1)
        table.add_row(
            f"torch's gradcheck, fast mode, {gradcheck:,} inputs", f"{cpu:.2f}", f"{wall:.2f}", verdict, "-", "-"
        )
    console.print(table)


def ask_gradcheck(x: torch.Tensor) -> str:
    """Ask torch's own checker, in its fast mode, about the wrong operator."""
    right = torch.autograd.gradcheck(WrongTanh.apply, x, fast_mode=True, raise_exception=False)
    return "agree" if right else "disagree"


def growth(console: Console, repeats: int) -> None:
    """Print the cost of one direction where every entry is compared."""
    table = Table(title="every entry: R^n -> R^20 in torch, float64")
    for column in ("inputs", "processor, ms", "wall, ms", "evaluations", "processor per direction, µs"):
        table.add_column(column, justify="right")
    for n in (50, 100, 200, 500, 1000, 2000):
        torch.manual_seed(0)
        matrix, x = torch.randn(20, n, dtype=torch.float64) / n**0.5, torch.randn(n, dtype=torch.float64)
        run = lambda matrix=matrix, x=x: xcheck.check(lambda x: torch.tanh(matrix @ x), x, budget=60.0)  # noqa: E731
        run()
        cpu, wall, report = timed(run, repeats)
        table.add_row(str(n), f"{1e3 * cpu:.1f}", f"{1e3 * wall:.1f}", str(report.evaluations), f"{1e6 * cpu / n:.0f}")
    console.print(table)


@click.command()
@click.option("--repeats", default=3, show_default=True, help="Timed runs of each check.")
@click.option("--largest", default=10_000_000, show_default=True, help="Parameters of the largest network.")
@click.option("--gradcheck", default=0, show_default=True, help="Inputs to give torch's gradcheck; 0 leaves it out.")
@click.option("--alone", default=0, hidden=True, help="Measure one network and print JSON.")
def main(repeats: int, largest: int, gradcheck: int, alone: int) -> None:
    """Print all tables."""
    if alone:
        print(json.dumps(measure_network(alone, repeats)))
        return
    torch.set_num_threads(1)
    console = Console(width=140)
    networks(console, largest, repeats)
    failing(console, repeats, gradcheck)
    growth(console, repeats)


if __name__ == "__main__":
    main()
