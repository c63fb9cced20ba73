"""What times rest on: versions, the processor, threads."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import psutil

from xcheck.versions import versions_behind

CPUINFO = Path("/proc/cpuinfo")


def surroundings(backends: Sequence[str]) -> dict[str, str]:
    """Describe where backends ran: the versions behind them, the processor, how many of it, how many threads."""
    found: dict[str, str] = {}
    for backend in backends:
        found |= versions_behind(backend)
    found["on"] = f"{platform.system()}, {_processor()}, {_count(usable(), 'processor')}"
    threads = _threads()
    return found | ({"threads": threads} if threads else {})


def usable() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return psutil.cpu_count() or 1


def _processor() -> str:
    """Name the processor; the architecture where the system does not tell."""
    try:
        for line in CPUINFO.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _threads() -> str:
    """Count the threads of what is loaded, such as "openblas 2, openmp 1"; empty without threadpoolctl."""
    try:
        pools = import_module("threadpoolctl").threadpool_info()
    except ImportError:
        return ""
    return ", ".join(dict.fromkeys(f"{pool['internal_api']} {pool['num_threads']}" for pool in pools))


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
