"""Parameters by name: each implementation's own ones, as NumPy arrays under common names and in a common layout."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xcheck.binding import Bound, bind
from xcheck.implementation import Implementation
from xcheck.registry import owner


def bind_parameters(given: Implementation) -> Bound | None:
    """Split an implementation from its parameters; None if it has none.

    Their values are NumPy arrays.

    Raises:
        TypeError: a parameter whose axes are to be rearranged is no array.
        ValueError: `names=` of a layout names a parameter that it does not have, or two with one name; or a layout has
            `parameters=` around a function that has its own.
    """
    found = bind(given.function, given.backend, given.label)
    if found is None or not found.values:  # a module without parameters is a function
        return None
    return Bound(found.function, {name: _as_numpy(value) for name, value in found.values.items()})


def _as_numpy(leaf: Any) -> NDArray[Any]:
    found = owner(leaf)
    return np.array(leaf) if found is None else found.to_numpy(leaf)
