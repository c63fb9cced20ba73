"""Parameters by name: each implementation's own tree of them, seen under common names and in a common layout."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xcheck.axes import Arranged, Axes, moved_back, transposed
from xcheck.implementation import Implementation
from xcheck.protocol import Native, supports_modules
from xcheck.pytree import flatten, named_paths
from xcheck.registry import owner


@dataclass(frozen=True)
class Bound:
    """An implementation as a function of its parameters.

    Attributes:
        function: called as `function(parameters, *inputs)`, parameters by their common names.
        values: its own parameters, by common name, in the common layout.
    """

    function: Callable[..., Any]
    values: dict[str, NDArray[Any]]


def bind_parameters(given: Implementation) -> Bound | None:
    """Split an implementation from its parameters; None if it has none.

    Raises:
        ValueError: `names=` of its layout names a parameter that it does not have, or leaves one out that another
            name stands for.
    """
    f = given.function if isinstance(given.function, Arranged) else Arranged(given.function)
    found = _own_parameters(given, f)
    if found is None or not found[1]:  # a module without parameters is a function
        return None
    function, own = found
    names = _common_names(given.label, f, own)

    def bound(parameters: Mapping[str, Native], *inputs: Any, **kwargs: Any) -> Any:
        mine = {}
        for common, (name, axes) in names.items():
            value = parameters[common]
            mine[name] = value if axes is None else transposed(given.backend, value, axes)
        return f.around(lambda *xs, **kw: function(mine, *xs, **kw), inputs, kwargs)

    bound.__name__ = f.__name__
    return Bound(bound, {common: moved_back(own[name], axes) for common, (name, axes) in sorted(names.items())})


def _own_parameters(given: Implementation, f: Arranged) -> tuple[Callable[..., Any], dict[str, NDArray[Any]]] | None:
    """Return a function of a flat dictionary of parameters, and their values in NumPy."""
    if f.parameters is not None:
        leaves, structure = flatten(f.parameters)
        paths = ["/".join(map(str, path)) for _, path in named_paths(f.parameters, "parameters")]

        def function(mine: Mapping[str, Native], *xs: Any, **kwargs: Any) -> Any:
            return f.function(structure.unflatten([mine[path] for path in paths]), *xs, **kwargs)

        return function, {path: _as_numpy(leaf) for path, leaf in zip(paths, leaves, strict=True)}
    bound = given.backend.bind(f.function) if supports_modules(given.backend) else None
    if bound is None:
        return None
    function, parameters = bound
    return function, {name: given.backend.to_numpy(value) for name, value in parameters.items()}


def _as_numpy(leaf: Any) -> NDArray[Any]:
    found = owner(leaf)
    return np.array(leaf) if found is None else found.to_numpy(leaf)


def _common_names(label: str, f: Arranged, own: Mapping[str, Any]) -> dict[str, tuple[str, Axes | None]]:
    """Return, by common name, a parameter's own name and the axes that turn the common layout into its own."""
    found = {common: (_own_name(name, own), axes) for common, (name, axes) in f.names.items()}
    unknown = [f.names[common][0] for common, (name, _) in found.items() if not name]
    if unknown:
        raise ValueError(
            f"names= of {label!r} speaks of {', '.join(map(repr, unknown))}; its parameters are "
            f"{', '.join(map(repr, sorted(own)))}. Accepted: those, or the ends of their paths."
        )
    named = {name for name, _ in found.values()}
    rest: dict[str, tuple[str, Axes | None]] = {name: (name, None) for name in own if name not in named}
    twice = sorted(set(rest) & set(found))
    if twice:
        raise ValueError(
            f"names= of {label!r} gives {twice[0]!r} to another parameter, and one is called that already."
        )
    return {**found, **rest}


def _own_name(name: str, own: Mapping[str, Any]) -> str:
    """Find a parameter by its name, or by the end of its path where only one ends so; an empty string if none does."""
    ends = [path for path in own if path.endswith(f"/{name}")]
    return name if name in own else ends[0] if len(ends) == 1 else ""
