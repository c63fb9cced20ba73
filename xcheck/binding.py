"""Functions of their parameters: modules, layouts and invariants of them, and functions with a tree of parameters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from xcheck.axes import Arranged, Axes, moved_back, transposed
from xcheck.protocol import Backend, Native, supports_modules
from xcheck.pytree import flatten, named_paths
from xcheck.registry import owner

WHOLE = "parameters"
"""What a tree of parameters is called that is a single array."""


@dataclass(frozen=True)
class Bound:
    """A function of its parameters.

    Attributes:
        function: called as `function(parameters, *inputs)`, parameters by their common names.
        values: its own parameters, by common name, in the common layout, sorted; leaves of a tree as they were given.
    """

    function: Callable[..., Any]
    values: dict[str, Any]


def bind(f: Callable[..., Any], backend: Backend, label: str) -> Bound | None:
    """Split a function from its parameters, through layouts and invariants around it; None if it has none.

    Names and axes are those that a caller of `f` sees: the common ones of the outermost layout.

    Args:
        f: a module of `backend`, a layout or an invariant, around others or not; any other function has no parameters.
        backend: the framework that it is written for.
        label: what errors call it.

    Raises:
        TypeError: a parameter whose axes are to be rearranged is no array.
        ValueError: `names=` of a layout names a parameter that it does not have, or two with one name; or a layout has
            `parameters=` around a function that has its own.
    """
    if not isinstance(f, Arranged):
        bound = backend.bind(f) if supports_modules(backend) else None
        return None if bound is None else Bound(bound[0], dict(sorted(bound[1].items())))
    inner = _bound_inside(f, backend, label)
    if inner is None:
        if f.names:
            raise ValueError(
                f"names= of {label!r} speaks of {', '.join(repr(name) for name, _ in f.names.values())}; it has no "
                "parameters. Accepted: a module, or parameters= with the tree that f takes as its first argument."
            )
        return None
    names = _common_names(label, f, inner.values)

    def bound_function(parameters: Mapping[str, Native], *inputs: Any, **kwargs: Any) -> Any:
        mine = {name: _arranged(backend, parameters[common], axes) for common, (name, axes) in names.items()}
        return f.around(lambda *xs, **kw: inner.function(mine, *xs, **kw), inputs, kwargs)

    bound_function.__name__ = f.__name__
    values = {common: _common(common, inner.values[name], axes) for common, (name, axes) in sorted(names.items())}
    return Bound(bound_function, values)


def held_tree(f: Callable[..., Any]) -> Any:
    """Return the tree of parameters that a layout holds for the function inside; None if none does."""
    while isinstance(f, Arranged):
        if f.parameters is not None:
            return f.parameters
        f = f.function
    return None


def _bound_inside(f: Arranged, backend: Backend, label: str) -> Bound | None:
    inner = bind(f.function, backend, label)
    if f.parameters is None:
        return inner
    if inner is not None:
        raise ValueError(
            f"parameters= of {label!r} is for plain functions f(parameters, *inputs); {f.__name__} has parameters of "
            "its own, which are found by name. Leave parameters= away."
        )
    return _of_tree(label, f.function, f.parameters)


def _of_tree(label: str, f: Callable[..., Any], tree: Any) -> Bound:
    """Turn a function of a tree of parameters into one of a flat dictionary of its leaves, by their paths."""
    leaves, structure = flatten(tree)
    paths = ["/".join(map(str, path)) or WHOLE for _, path in named_paths(tree, WHOLE)]
    twice = [path for path, count in Counter(paths).items() if count > 1]
    if twice:
        raise ValueError(f"parameters= of {label!r} has two leaves called {twice[0]!r}. Accepted: keys without '/'.")

    def function(mine: Mapping[str, Native], *xs: Any, **kwargs: Any) -> Any:
        return f(structure.unflatten([mine[path] for path in paths]), *xs, **kwargs)

    return Bound(function, dict(sorted(zip(paths, leaves, strict=True))))


def _arranged(backend: Backend, value: Native, axes: Axes | None) -> Native:
    return value if axes is None else transposed(backend, value, axes)


def _common(name: str, value: Any, axes: Axes | None) -> Any:
    """Bring a parameter into the common layout, as an array of its own framework."""
    if axes is None:
        return value
    found = owner(value)
    if found is None:
        raise TypeError(f"names[{name!r}] has an order of axes, and a {type(value).__name__} has none; arrays have.")
    array = found.to_numpy(value)
    if array.ndim != len(axes):
        raise ValueError(f"names[{name!r}] has an order of {len(axes)} axes, for a parameter of shape {array.shape}.")
    return found.from_numpy(np.ascontiguousarray(moved_back(array, axes)), like=value)


def _common_names(label: str, f: Arranged, own: Mapping[str, Any]) -> dict[str, tuple[str, Axes | None]]:
    """Return, by common name, a parameter's own name and the axes that turn the common layout into its own."""
    found = {common: (_own_name(name, own), axes) for common, (name, axes) in f.names.items()}
    unknown = [f.names[common][0] for common, (name, _) in found.items() if not name]
    if unknown:
        raise ValueError(
            f"names= of {label!r} speaks of {', '.join(map(repr, unknown))}; its parameters are "
            f"{', '.join(map(repr, sorted(own)))}. Accepted: those, or the ends of their paths."
        )
    counts = Counter(name for name, _ in found.values())
    shared = [name for name, count in counts.items() if count > 1]
    if shared:
        both = " and ".join(repr(common) for common, (name, _) in found.items() if name == shared[0])
        raise ValueError(f"names= of {label!r} gives the parameter {shared[0]!r} to {both}. Accepted: each one once.")
    rest: dict[str, tuple[str, Axes | None]] = {name: (name, None) for name in own if name not in counts}
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
