"""Functions written once: `def f(x, xp)`, where `xp` is a framework's namespace of array-API names."""

from __future__ import annotations

import functools
import inspect
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from xcheck.protocol import Backend, supports_namespace
from xcheck.registry import backends as registered
from xcheck.registry import resolve

NAMESPACE = "xp"
"""The parameter that takes the namespace."""

WORDS = {1: "one", 2: "two"}


def namespace(backend: str | Backend) -> Any:
    """Return a framework's functions under the names of the array-API standard.

    Imports the framework. NumPy's and torch's are those of array-api-compat, JAX's is `jax.numpy`, and TensorFlow's a
    thin shim over `tf.experimental.numpy`.

    Raises:
        ModuleNotFoundError: the framework is not installed; the message has the pip command.
        ValueError: no backend has that name, or it has no such namespace.
    """
    found = resolve(backend)
    if not supports_namespace(found):
        raise ValueError(f"the backend {found.name!r} has no array namespace: its adapter has no method `namespace`.")
    return found.namespace()


def is_written_for_namespaces(function: Any) -> bool:
    """Tell whether a function takes a namespace."""
    return callable(function) and NAMESPACE in _parameters(function)


def each_framework(
    function: Callable[..., Any], backends: Sequence[str] | None, least: int = 2
) -> dict[str, Callable[..., Any]]:
    """Turn a function that is written once into one for each framework, by the backend's name.

    Args:
        function: called with the inputs, and the namespace as its parameter `xp`, wherever that stands.
        backends: names of backends; all that are registered, installed and have a namespace if None.
        least: how many there have to be.

    Raises:
        TypeError: the function has no parameter `xp`, or `backends` is no sequence of names.
        ValueError: a name is unknown, given twice or without a namespace; or there are too few.
    """
    _require_namespace_parameter(function)
    chosen = _installed() if backends is None else _read_names(backends)
    if len(chosen) < least:
        raise ValueError(
            f"backends must name at least {WORDS[least]} of {_quoted(registered())}; "
            + (f"given: {_quoted(chosen) or 'none'}." if backends is not None else f"installed: {_quoted(chosen)}.")
        )
    return {name: _written_for(name, function) for name in chosen}


def _require_namespace_parameter(function: Any) -> None:
    if not callable(function):
        raise TypeError(
            "functions must map labels to functions, as in {'torch': f, 'jax': g}, or be one function f(x, xp) "
            f"written for any array namespace; given: {type(function).__name__}."
        )
    if NAMESPACE not in _parameters(function):
        own = ", ".join(_parameters(function)) or "none that can be read"
        raise TypeError(
            f"functions must map labels to functions, as in {{'torch': f, 'jax': g}}, or be one function with a "
            f"parameter `{NAMESPACE}`, as in def f(x, {NAMESPACE}): return {NAMESPACE}.sin(x). The parameters of "
            f"{_name(function)} are: {own}."
        )


def _parameters(function: Any) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):  # some builtins have none
        return {}


def _installed() -> list[str]:
    return [name for name in registered() if supports_namespace(_or_none(name))]


def _or_none(name: str) -> Backend | None:
    try:
        return resolve(name)
    except ModuleNotFoundError:
        return None


def _read_names(backends: Any) -> list[str]:
    if isinstance(backends, str) or not isinstance(backends, Sequence):
        raise TypeError(f"backends must be a list of names, as in ['torch', 'jax']; given: {backends!r}.")
    for name in backends:
        if not isinstance(name, str):
            raise TypeError(f"backends must be names of backends; given: {name!r}.")
        if name not in registered():
            raise ValueError(f"backends names {name!r}, which is unknown. Accepted: {_quoted(registered())}.")
        found = _or_none(name)
        if found is not None and not supports_namespace(found):
            raise ValueError(f"backends names {name!r}, which has no array namespace: give it a function of its own.")
    twice = next((name for name in backends if list(backends).count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"backends names {twice!r} twice.")
    return list(backends)


def _written_for(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function with one framework's namespace in it, under its own name and without the parameter."""
    whole = inspect.signature(function)
    rest = whole.replace(parameters=[p for p in whole.parameters.values() if p.name != NAMESPACE])
    imported = functools.cache(functools.partial(namespace, name))

    @functools.wraps(function, updated=())
    def written(*args: Any, **kwargs: Any) -> Any:
        given = rest.bind(*args, **kwargs)
        given.apply_defaults()
        full = inspect.BoundArguments(whole, OrderedDict(given.arguments, **{NAMESPACE: imported()}))
        try:
            return function(*full.args, **full.kwargs)
        except AttributeError as error:
            _explain_methods(name, error)
            raise

    written.__name__ = _name(function)
    vars(written)["__signature__"] = rest
    return written


def _explain_methods(backend: str, error: AttributeError) -> None:
    """Raise what a method that arrays do not have means: only functions of the namespace are the same everywhere.

    Raises:
        AttributeError: the error is about an attribute of an array.
    """
    if getattr(error, "name", None) and resolve(backend).owns(error.obj):
        raise AttributeError(
            f"arrays of {backend} have no {error.name!r}; call functions of {NAMESPACE} in place of methods, as in "
            f"{NAMESPACE}.sum(x) and {NAMESPACE}.matrix_transpose(x)",
            name=error.name,
            obj=error.obj,
        ) from error


def _name(function: Any) -> str:
    inner = function.func if isinstance(function, functools.partial) else function
    return str(getattr(inner, "__name__", None) or type(inner).__name__)


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))
