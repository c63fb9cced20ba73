"""Where and when it was measured."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

import xcheck
from xcheck.benchmarking.load import Load

PACKAGES = ("torch", "jax", "tensorflow-cpu", "numpy", "scipy", "numdifftools", "jacobi", "asdex")


def conditions(frameworks: Sequence[str], load: Load, seconds: float) -> list[str]:
    """Return lines about the machine, the versions, the threads, the date and what else ran."""
    memory = psutil.virtual_memory().total / 1e9
    others = load.others()
    busy = "" if others is None else f"; other programs kept {others:.2f} of them busy on average"
    return [
        f"{_processor()}, {psutil.cpu_count()} processors, {memory:.0f} GB{busy}",
        f"Python {platform.python_version()}, {_versions()}",
        _threads(frameworks),
        f"{datetime.now(UTC):%Y-%m-%d}, {seconds:.0f} s in all",
    ]


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def _versions() -> str:
    found = [f"xcheck {xcheck.__version__}"]
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"{name} absent")
    return ", ".join(found)


def _threads(frameworks: Sequence[str]) -> str:
    parts = [f"OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'not set')}"]
    if "torch" in frameworks:
        import torch

        parts.append(f"torch uses {torch.get_num_threads()} thread{'s' * (torch.get_num_threads() != 1)}")
    if "jax" in frameworks or "tensorflow" in frameworks:
        parts.append("JAX and TensorFlow have thread pools of their own, as large as there are processors")
    return "; ".join(parts)
