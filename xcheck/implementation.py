"""What a cross-check is given: implementations of one function, each in a framework of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xcheck.namespaces import WORDS, each_framework
from xcheck.protocol import Backend, supports_view
from xcheck.pytree import flatten, named_paths
from xcheck.raised import first_line
from xcheck.registry import backends as registered
from xcheck.registry import owner, resolve

Function = Callable[..., Any]


@dataclass(frozen=True)
class Implementation:
    """One implementation.

    Attributes:
        label: what the report calls it, such as "torch" or "torch, compiled".
        backend: the framework that it is written for.
        function: called with arrays of that framework.
        derivative: its derivative by hand, `derivative(*inputs)`: a gradient, or a Jacobian where the function has more
            outputs than one; None for the framework's own.
    """

    label: str
    backend: Backend
    function: Function
    derivative: Function | None = None


@dataclass(frozen=True)
class Missing:
    """An implementation whose framework is not installed.

    Attributes:
        label: what the report calls it.
        reason: what is missing, and the command that installs it.
    """

    label: str
    reason: str


def read_implementations(
    functions: Mapping[str, Any] | Function, backends: Sequence[str] | None = None, least: int = 2
) -> tuple[list[Implementation], list[Missing]]:
    """Read `{"torch": f, "numpy": (g, gradient)}`, or one function `f(x, xp)` and the backends to run it on.

    A label begins with the name of a backend; what follows, after a comma, a slash, a colon or a space, tells several
    implementations in one framework apart.

    Returns:
        The implementations, and those whose framework is not installed.

    Raises:
        TypeError: `functions` is no mapping of strings to functions or pairs of them, and no function with a parameter
            `xp`; or `backends` is given with a mapping.
        ValueError: a label begins with no backend's name, or there are fewer than `least`.
    """
    if not isinstance(functions, Mapping):
        functions = each_framework(functions, backends, least)
    elif backends is not None:
        raise TypeError(
            "backends= goes with a single function f(x, xp); a mapping names its own by its labels: "
            f"{', '.join(map(repr, functions))}."
        )
    if len(functions) < least:
        raise ValueError(
            f"this takes at least {WORDS[least]} implementations; given: {len(functions)} "
            f"({', '.join(map(repr, functions)) or 'none'}). xcheck.check checks a single one."
        )
    found: list[Implementation] = []
    missing: list[Missing] = []
    for label, given in functions.items():
        name = _backend_name(label)
        function, derivative = _parts(label, given)
        try:
            found.append(Implementation(label, resolve(name), function, derivative))
        except ModuleNotFoundError as error:
            missing.append(Missing(label, str(error)))
    if len(found) < least:
        raise ModuleNotFoundError(
            f"this takes at least {WORDS[least]} implementations, and fewer can run here: "
            + "; ".join(m.reason for m in missing)
        )
    return found, missing


def _backend_name(label: Any) -> str:
    if not isinstance(label, str):
        raise TypeError(f"labels must be strings such as 'torch'; given: {label!r}.")
    known = registered()
    name = next((n for n in known if label == n or (label.startswith(n) and label[len(n)] in ",/: ")), None)
    if name is None:
        raise ValueError(
            f"the label {label!r} begins with no backend's name. Known: {', '.join(map(repr, known))}; several "
            "implementations in one are told apart by what follows, as in 'torch, compiled'."
        )
    return name


def _parts(label: str, given: Any) -> tuple[Function, Function | None]:
    if isinstance(given, tuple):
        if len(given) != 2 or not all(map(callable, given)):
            raise TypeError(f"{label!r} must be a function, or a pair (function, derivative); given: {given!r}.")
        return given[0], given[1]
    if not callable(given):
        raise TypeError(f"{label!r} must be callable; given: {type(given).__name__}. Pass the function itself.")
    return given, None


def as_numpy(inputs: Sequence[Any], share: bool = False) -> tuple[Any, ...]:
    """Turn arrays of any framework, and Python floats, into NumPy arrays; all else is kept.

    NumPy arrays are kept too: whoever evaluates at them copies them.

    Args:
        inputs: the arguments, any pytrees.
        share: read the memory of other frameworks' arrays in place, through DLPack, instead of copying it; the results
            cannot be written to.

    Raises:
        BufferError: `share`, and an array's memory cannot be read in place.
    """
    leaves, structure = flatten(tuple(inputs))
    names = [name for i, tree in enumerate(inputs) for name, _ in named_paths(tree, f"inputs[{i}]")]
    read = [_numpy(name, leaf, share) for name, leaf in zip(names, leaves, strict=True)]
    result: tuple[Any, ...] = structure.unflatten(read)
    return result


def _numpy(name: str, leaf: Any, share: bool) -> Any:
    if isinstance(leaf, (float, complex)) and not isinstance(leaf, np.generic):
        return np.asarray(leaf)
    found = owner(leaf)
    if found is None or found.name == "numpy":
        return leaf
    return _shared(name, leaf, found) if share else found.to_numpy(leaf)


def _shared(name: str, leaf: Any, backend: Backend) -> NDArray[Any]:
    try:
        if not supports_view(backend):
            raise BufferError(f"the backend {backend.name!r} has no method view")
        array = backend.view(leaf)
    except BufferError as error:
        raise BufferError(
            f"share=True, and {name}, of {backend.name} and dtype {leaf.dtype}, cannot be read in place: "
            f"{first_line(error)}. Accepted: arrays in the CPU's memory, of dtypes that NumPy has itself; or "
            "share=False, which copies."
        ) from error
    array = array.view()
    array.flags.writeable = False
    return array
