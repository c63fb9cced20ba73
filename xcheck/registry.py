"""Names and array types to backends, through entry points, loaded when first used."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import Any

from xcheck.protocol import Backend, supports_modules

GROUP = "xcheck.backends"

FRAMEWORKS = {"torch": "torch", "jax": "jax", "tensorflow": "tensorflow"}
"""The package that each built-in backend needs, as pip calls it."""


def backends() -> tuple[str, ...]:
    """List the names of the backends that are registered, whether or not their framework is installed.

    Nothing is imported. A backend that is not listed can be passed as an object: `check(f, x, backend=obj)`.

    Raises:
        RuntimeError: two distributions register the same name.
    """
    return tuple(sorted(_entries()))


def resolve(backend: str | Backend) -> Backend:
    """Turn a name or an object into a backend.

    Raises:
        ValueError: no backend has that name.
        ModuleNotFoundError: the backend's framework is not installed; the message has the pip command.
        TypeError: the object lacks a method that every backend has.
    """
    if isinstance(backend, str):
        return _load(backend)
    missing = [m for m in ("name", "owns", "from_numpy", "to_numpy", "value") if not hasattr(backend, m)]
    if missing or isinstance(backend, type):
        what = "is a class; pass an instance" if isinstance(backend, type) else f"lacks {', '.join(missing)}"
        raise TypeError(
            f"backend={backend!r} {what}. Accepted: one of {', '.join(map(repr, backends()))}, "
            "or an object with the methods of xcheck.protocol.Backend."
        )
    return backend


def owner(leaf: Any) -> Backend | None:
    """Find the backend whose array `leaf` is; None for everything else."""
    return next((b for b in _all_loaded() if b.owns(leaf)), None)


def infer(named_leaves: Iterable[tuple[str, Any]]) -> Backend:
    """Choose the backend from the inputs: the one framework among them, else NumPy.

    Raises:
        TypeError: arrays of two frameworks are mixed; the message names one argument of each.
    """
    seen: dict[str, tuple[str, Backend]] = {}
    for name, leaf in named_leaves:
        backend = owner(leaf)
        if backend is not None:
            seen.setdefault(backend.name, (name, backend))
    frameworks = {name: pair for name, pair in seen.items() if name != "numpy"}
    if len(frameworks) > 1:
        who = ", ".join(f"{argument} is {name}" for name, (argument, _) in frameworks.items())
        raise TypeError(
            f"The inputs belong to two frameworks: {who}. Give all arrays of one framework, or NumPy arrays and "
            "backend=; to compare frameworks with each other, check each by itself."
        )
    for _, backend in frameworks.values():
        return backend
    return _load("numpy")


def module_owner(function: Any) -> Backend | None:
    """Find the backend that `function` is a module of, such as torch for `torch.nn.Module`; None for others."""
    return next((backend for backend in _all_loaded() if _binds(backend, function)), None)


def _binds(backend: object, function: Any) -> bool:
    return supports_modules(backend) and backend.bind(function) is not None


@cache
def _entries() -> dict[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=GROUP):
        if entry.name in found and found[entry.name].value != entry.value:
            raise RuntimeError(
                f"two backends call themselves {entry.name!r}: {found[entry.name].value} and {entry.value}. "
                "Uninstall one of the two distributions."
            )
        found[entry.name] = entry
    return found


def _load(name: str) -> Backend:
    if name not in _entries():
        raise ValueError(f"backend={name!r} is unknown. Known: {', '.join(map(repr, backends()))}.")
    if name in FRAMEWORKS and find_spec(name) is None:
        raise ModuleNotFoundError(
            f"backend={name!r} needs {name}, which is not installed. Install it with: pip install {FRAMEWORKS[name]}"
        )
    return _adapter(name)


def _all_loaded() -> list[Backend]:
    loaded = [_adapter_or_none(name) for name in backends()]
    return [backend for backend in loaded if backend is not None]


@cache
def _adapter_or_none(name: str) -> Backend | None:
    """Load an adapter that nobody asked for by name; a broken one is reported once and left out."""
    try:
        return _adapter(name)
    except Exception as error:
        warnings.warn(
            f"the backend {name!r} ({_entries()[name].value}) cannot be loaded, so that its arrays are not recognised: "
            f"{type(error).__name__}: {error}",
            RuntimeWarning,
            stacklevel=2,
        )
        return None


@cache
def _adapter(name: str) -> Backend:
    backend: Backend = _entries()[name].load()()
    return backend
