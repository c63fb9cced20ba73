"""The frameworks, by name; each is imported when something of it is first used."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from workloads.on_jax import Jax
from workloads.on_numpy import Numpy
from workloads.on_tensorflow import Tensorflow
from workloads.on_torch import Torch

FRAMEWORKS = ("numpy", "torch", "jax", "tensorflow")

_KINDS: dict[str, Any] = {"numpy": Numpy, "torch": Torch, "jax": Jax, "tensorflow": Tensorflow}


def framework(name: str) -> Any:
    """Return a framework's arrays, operators and ways."""
    return _KINDS[name]()


def is_there(name: str) -> bool:
    """Tell whether a framework is installed."""
    return find_spec(name) is not None
