"""Pinned generators: a function that draws random numbers sees the same ones at every evaluation."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from xcheck.protocol import Backend, SupportsRandomState


@contextmanager
def pinned(backend: Backend, seed: int) -> Iterator[Callable[[], bool]]:
    """Seed Python's, NumPy's and the backend's global generators inside the context; restore them on leaving it.

    Yields:
        `rewind()`, which puts all of them back to the seed and tells whether any had been drawn from.
    """
    with ExitStack() as stack:
        rewinds = [stack.enter_context(_pinned_python(seed)), stack.enter_context(_pinned_numpy(seed))]
        if isinstance(backend, SupportsRandomState):
            rewinds.append(stack.enter_context(backend.random_state(seed)))
        yield lambda: any([rewind() for rewind in rewinds])


@contextmanager
def _pinned_python(seed: int) -> Iterator[Callable[[], bool]]:
    before = random.getstate()
    random.seed(seed)
    start = random.getstate()

    def rewind() -> bool:
        used = random.getstate() != start
        if used:
            random.setstate(start)
        return used

    try:
        yield rewind
    finally:
        random.setstate(before)


@contextmanager
def _pinned_numpy(seed: int) -> Iterator[Callable[[], bool]]:
    before = np.random.get_state()
    np.random.seed(seed % 2**32)
    start: Any = np.random.get_state()

    def rewind() -> bool:
        now: Any = np.random.get_state()
        used = now[2:] != start[2:] or not np.array_equal(now[1], start[1])
        if used:
            np.random.set_state(start)
        return used

    try:
        yield rewind
    finally:
        np.random.set_state(before)
