"""Pinned generators: a function that draws random numbers sees the same ones at every evaluation."""

from __future__ import annotations

import ctypes
import pickle
import random
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

import numpy as np

from xcheck.protocol import Backend, supports_random_state

WORDS = 624
"""Numbers in the state of a Mersenne twister."""


@contextmanager
def pinned(backend: Backend, seed: int) -> Iterator[Callable[[], bool]]:
    """Seed Python's, NumPy's and the backend's global generators inside the context; restore them on leaving it.

    Yields:
        `rewind()`, which puts all of them back to the seed and tells whether any had been drawn from.
    """
    with ExitStack() as stack:
        rewinds = [stack.enter_context(_pinned_python(seed)), stack.enter_context(_pinned_numpy(seed))]
        if supports_random_state(backend):
            rewinds.append(stack.enter_context(backend.random_state(seed)))
        yield lambda: any([rewind() for rewind in rewinds])


@contextmanager
def _pinned_python(seed: int) -> Iterator[Callable[[], bool]]:
    before = random.getstate()
    random.seed(seed)
    read = _python_reader()
    untouched = read()

    def rewind() -> bool:
        used = read() != untouched
        if used:
            random.seed(seed)
        return used

    try:
        yield rewind
    finally:
        random.setstate(before)


@contextmanager
def _pinned_numpy(seed: int) -> Iterator[Callable[[], bool]]:
    generator: Any = np.random.get_bit_generator()  # type: ignore[attr-defined]  # public, and missing in the stubs
    usual = isinstance(generator, np.random.MT19937)
    before: Any = None if usual else np.random.get_state(legacy=False)

    def restart() -> None:  # of another generator, any state is as good as another if it is the same one
        if usual:
            np.random.seed(seed % 2**32)
        else:
            np.random.set_state(before)

    read = _reader(generator)
    at_first = read()
    kept = _take_kept_normal(read) if usual else None
    restart()
    untouched = read()

    def rewind() -> bool:
        used = read() != untouched
        if used:
            restart()
        return used

    try:
        yield rewind
    finally:
        rewind()
        if usual:
            ctypes.memmove(generator.ctypes.state_address, at_first, len(at_first))
        else:
            np.random.set_state(before)
        if kept is not None:
            np.random.set_state({**np.random.get_state(legacy=False), "has_gauss": 1, "gauss": kept})


def _take_kept_normal(read: Callable[[], bytes]) -> float | None:
    """Take out the normal number that NumPy's global generator has kept for its next call; None if there is none.

    Normal numbers are drawn in pairs. Asking for the state would tell as much, and take forty times as long. Where
    there is none, the generator moves on by a pair.
    """
    before = read()
    number = np.random.standard_normal()
    if read() == before:
        return number
    np.random.standard_normal()
    return None


def _python_reader() -> Callable[[], object]:
    """Return a function that reads the state of Python's generator.

    Straight from memory where that holds what `random.getstate` says, a position and 624 words: a tuple of so many
    numbers takes twenty times as long to make, which checks of small functions would notice.
    """
    address = _python_address()
    return random.getstate if address is None else lambda: ctypes.string_at(address, 4 * (1 + WORDS))


@cache
def _python_address() -> int | None:
    """Find out where Python's generator keeps its position and its words; None where that cannot be told."""
    generator = getattr(random.random, "__self__", None)
    size = 4 * (1 + WORDS)
    if sys.implementation.name != "cpython" or type(generator) is not random.Random:
        return None
    if type(generator).__basicsize__ < object.__basicsize__ + size:
        return None
    address = id(generator) + object.__basicsize__
    _, (*words, position), _ = random.getstate()
    same = ctypes.string_at(address, size) == struct.pack(f"@{1 + WORDS}I", position, *words)
    return address if same else None


def _reader(generator: Any) -> Callable[[], bytes]:
    """Return a function that reads the state of a NumPy generator.

    Straight from memory where that is the usual Mersenne twister, 624 words and a position: `np.random.get_state` takes
    fifty times as long, which checks of small functions would notice.
    """
    if isinstance(generator, np.random.MT19937):
        address = generator.ctypes.state_address
        return lambda: ctypes.string_at(address, 4 * (1 + WORDS))
    return lambda: pickle.dumps(generator.state)
