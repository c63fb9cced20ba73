"""How much memory a run takes at its peak, beyond what the process already has.

It is resident memory of the process: what a framework keeps on a device of its own is not seen, nor what it allocated
in advance. Small runs may fit into memory that the allocator already holds, and then show nothing.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psutil

CLEAR = Path("/proc/self/clear_refs")
STATUS = Path("/proc/self/status")

INTERVAL = 1e-3
"""Seconds between two looks of the sampling thread."""


@dataclass(frozen=True)
class Peak:
    """Memory of one run.

    Attributes:
        additional: bytes beyond what was resident before; None where it is not known.
        method: how it was measured, or why it is not known.
    """

    additional: int | None
    method: str


def peak_memory(run: Callable[[], Any]) -> tuple[Any, Peak]:
    """Run once, and return the result and the peak of the additional resident memory.

    On Linux the kernel's high-water mark is reset and read, which misses nothing; elsewhere a thread looks every
    millisecond, and misses what is shorter, or what happens while it is not let in. Whatever `run` raises passes.
    """
    gc.collect(1)  # what earlier runs left is young
    _give_back()
    if _reset():
        before = _status("VmRSS")
        result = run()
        return result, Peak(max(0, _status("VmHWM") - before), "high-water mark")
    return _sampled(run)


def _reset() -> bool:
    """Set the high-water mark to what is resident now; False where the system has none, or does not allow it."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        CLEAR.write_text("5")
        return _status("VmHWM") > 0 and _status("VmRSS") > 0
    except OSError:
        return False


def _status(name: str) -> int:
    """Read a line of the process' status, in bytes; 0 if it is not there."""
    for line in STATUS.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return 1024 * int(line.split()[1])
    return 0


def _give_back() -> None:
    """Return free memory of glibc's allocator to the system, so that a run has to ask for its own."""
    if not sys.platform.startswith("linux"):
        return
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError):  # another C library
        return


def _sampled(run: Callable[[], Any]) -> tuple[Any, Peak]:
    try:
        process = psutil.Process()
        before = process.memory_info().rss
    except psutil.Error as error:
        return run(), Peak(None, f"not known: {type(error).__name__}")
    seen, done = [before], Event()

    def look() -> None:
        while not done.wait(INTERVAL):
            seen.append(process.memory_info().rss)

    thread = Thread(target=look, daemon=True)
    thread.start()
    try:
        result = run()
    finally:
        seen.append(process.memory_info().rss)
        done.set()
        thread.join()
    return result, Peak(max(seen) - before, "sampled")
