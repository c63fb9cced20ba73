"""One call of the user's function, opened: which inputs vary, which are held constant and why.

`read_call` is the only place that looks at what the user passed. Behind it there are flat sequences of native arrays.
"""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MethodType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xcheck.axes import Arranged
from xcheck.binding import bind, held_tree
from xcheck.protocol import Backend, Native
from xcheck.pytree import Path, Structure, flatten, named_paths
from xcheck.registry import infer, module_owner, owner, resolve
from xcheck.space import PRECISION, is_differentiable, lay_end_to_end, widened

Wrt = int | str | Sequence[int | str] | None

INTEGERS = (
    "Integers have no derivatives: pass 3.0 for 3, x.astype(float) for an integer array, np.zeros(3) instead of "
    "np.zeros(3, dtype=int)."
)


@dataclass(frozen=True)
class Leaf:
    """One leaf of the inputs.

    Attributes:
        name: what reports call it.
        argument: the argument that it is part of.
        position: the argument's position; None for keyword arguments and parameters of modules.
        path: the keys that lead to the leaf within its argument.
        value: what the function is given, a native array unless it is held constant.
        array: the same in NumPy; None for what is no array.
        constant: why it is held constant; empty if it varies.
        is_parameter: whether it is a parameter of the function, and no input.
    """

    name: str
    argument: str
    position: int | None
    path: Path = ()
    value: Any = None
    array: NDArray[Any] | None = None
    constant: str = ""
    is_parameter: bool = False

    @property
    def varies(self) -> bool:
        """Whether derivatives are taken with respect to this leaf."""
        return not self.constant


@dataclass(frozen=True)
class Call:
    """A function, its inputs, and the leaves that vary.

    Attributes:
        function: called as `function(*args, **kwargs)` with the rebuilt inputs.
        backend: the framework of the arrays.
        structure: rebuilds `(args, kwargs)` from the leaves.
        leaves: all leaves, in order.
        title: how reports call the function.
        is_module: whether the first argument is the dictionary of the function's parameters: those of a module, or
            of a layout.
        hidden: what the function has parameters of that were not found, such as the module behind a method; empty if
            nothing is known.
    """

    function: Callable[..., Any]
    backend: Backend
    structure: Structure
    leaves: tuple[Leaf, ...]
    title: str
    is_module: bool = False
    hidden: str = ""

    @functools.cached_property
    def varying(self) -> list[Leaf]:
        """The leaves that derivatives are taken with respect to."""
        return [leaf for leaf in self.leaves if leaf.varies]

    @functools.cached_property
    def constant(self) -> list[Leaf]:
        """The leaves that are held constant."""
        return [leaf for leaf in self.leaves if not leaf.varies]

    @functools.cached_property
    def count(self) -> int:
        """How many positional arguments the user gave."""
        args, _ = self.given([None] * len(self.varying), [None] * len(self.constant))
        return len(args)

    def constants(self) -> list[Any]:
        """Copy the values of the constant leaves, so that a function that changes them changes no user's array."""
        return [_copied(leaf, self.backend) for leaf in self.constant]

    def arguments(self, xs: Sequence[Any], constants: Sequence[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Rebuild the positional and keyword arguments around the leaves."""
        if not self.constant:
            args, kwargs = self.structure.unflatten(xs)
            return args, kwargs
        varying, rest = iter(xs), iter(constants)
        args, kwargs = self.structure.unflatten([next(varying if x.varies else rest) for x in self.leaves])
        return args, kwargs

    def given(self, xs: Sequence[Any], constants: Sequence[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Rebuild the arguments as the user gave them, without the parameters of a module."""
        args, kwargs = self.arguments(xs, constants)
        return (args[1:] if self.is_module else args), kwargs

    def __call__(self, xs: Sequence[Native], constants: Sequence[Any]) -> Any:
        """Call the function with `xs` in place of the varying leaves."""
        args, kwargs = self.arguments(xs, constants)
        return self.function(*args, **kwargs)

    def watched(self, xs: Sequence[Native], constants: Sequence[Any]) -> tuple[Any, tuple[str, ...]]:
        """Call the function; returns the value and the names of containers in which it replaced or removed leaves."""
        args, kwargs = self.arguments(xs, constants)
        given: dict[int | str, Any] = dict(enumerate(args)) | kwargs
        before = {key: flatten(value)[0] for key, value in given.items()}
        result = self.function(*args, **kwargs)
        changed = [key for key, value in given.items() if not _same_objects(before[key], flatten(value)[0])]
        return result, tuple(self._argument(key) for key in changed)

    def at(self, arrays: Sequence[NDArray[Any]]) -> Call:
        """Return the call at another point: `arrays`, of the same shapes and dtypes, for the leaves that vary."""
        fresh = iter(arrays)
        return replace(self, leaves=tuple(replace(x, array=next(fresh)) if x.varies else x for x in self.leaves))

    def in_float64(self) -> Call:
        """Return the call with its constant floating-point arrays in 64 bits, to go with 64-bit inputs."""
        return replace(self, leaves=tuple(_widened(leaf, self.backend) for leaf in self.leaves))

    def parameters(self) -> dict[str, str]:
        """Return the function's own names of its parameters that vary, by the names of the leaves."""
        return {leaf.name: str(leaf.path[0]) for leaf in self.varying if leaf.is_parameter}

    def unchecked(self) -> list[str]:
        """Say of every input that is held constant that it is, and why; and which parameters are."""
        lines = [f"{leaf.name}: {leaf.constant}" for leaf in self.constant]
        kept = f"parameters of {self.hidden}: held constant, {self.title} is no module itself (pass that, and kwargs=)"
        return [*lines, kept] if self.hidden else lines

    def _argument(self, key: int | str) -> str:
        if isinstance(key, str):
            return key
        position = key - 1 if self.is_module else key
        return next((leaf.argument for leaf in self.leaves if leaf.position == position), f"argument {position}")


def read_call(
    function: Callable[..., Any],
    inputs: Sequence[Any],
    kwargs: Mapping[str, Any] | None = None,
    backend: str | Backend | None = None,
    wrt: Wrt = None,
    parameters: Mapping[str, Any] | None = None,
) -> Call:
    """Open a call: find the backend, name the leaves, and decide which of them vary.

    Floating-point and complex arrays vary, and so do positional Python floats of NumPy functions. Integers, booleans,
    strings and keyword floats are held constant. A module of the backend brings its named parameters along, inside
    layouts and invariants too, and so does a layout with `parameters=`. NumPy arrays become arrays of the backend.

    Args:
        function: the function, or a module.
        inputs: its positional arguments.
        kwargs: its keyword arguments.
        backend: its framework; that of the inputs if None.
        wrt: which inputs vary: positions or names; all that can if None.
        parameters: values of the function's parameters by name, in place of its own.

    Raises:
        TypeError: `function` is not callable, an input is an `np.matrix`, two frameworks are mixed, nothing varies.
        ValueError: there are no inputs, `wrt` names nothing, the backend is unknown, or `names=` of a layout does not
            fit the parameters.
    """
    _require_callable(function)
    tree = (tuple(inputs), dict(kwargs or {}))
    named = _named_leaves(tree, _argument_names(function, tree[0]))
    values, structure = flatten(tree)
    for leaf, value in zip(named, values, strict=True):
        _refuse(leaf.name, value)
    title = _title(function)
    given = [(leaf.name, value) for leaf, value in zip(named, values, strict=True)]
    chosen = _choose_backend(function, backend, [*given, *_named_tree(held_tree(function))])
    bound = bind(function, chosen, title)
    if bound is not None:
        function, own = bound.function, bound.values if parameters is None else dict(parameters)
        named = [*_parameter_leaves(own, {leaf.argument for leaf in named}), *named]
        values, structure = flatten(((own, *tree[0]), tree[1]))
    leaves = tuple(_classify(leaf, value, chosen) for leaf, value in zip(named, values, strict=True))
    hidden = _hidden_module(function) if bound is None else ""
    call = Call(function, chosen, structure, _select(leaves, wrt), title, bound is not None, hidden)
    _require_something(call)
    arrays = [leaf.array for leaf in call.varying if leaf.array is not None]
    together = lay_end_to_end(arrays)
    return call if together is arrays else call.at(together)


def _require_callable(function: Any) -> None:
    if callable(function):
        return
    shape = getattr(function, "shape", None)
    what = type(function).__name__ + (f" of shape {tuple(shape)}" if shape is not None else "")
    raise TypeError(f"f must be callable; given: {what}. Pass the function itself: check(f, x), not check(f(x), x).")


# Names


def _argument_names(function: Any, args: tuple[Any, ...]) -> list[str]:
    names: list[str] = []
    parameters = _parameters(_innermost(function))
    if held_tree(function) is not None and parameters and parameters[0].kind is not inspect.Parameter.VAR_POSITIONAL:
        parameters = parameters[1:]
    for parameter in parameters:
        if parameter.kind is parameter.VAR_POSITIONAL:
            names += [f"{parameter.name}[{i}]" for i in range(max(0, len(args) - len(names)))]
        elif parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            names.append(parameter.name)
    if len(names) < len(args):
        names = ["x"] if len(args) == 1 else [f"x{i}" for i in range(len(args))]
    return names[: len(args)]


def _innermost(function: Any) -> Any:
    return function.innermost if isinstance(function, Arranged) else function


def _hidden_module(function: Any) -> str:
    """Name the type of a module behind a `functools.partial` or a method, whose parameters stay as they are."""
    inner = _innermost(function)
    behind = inner.func if isinstance(inner, functools.partial) else getattr(inner, "__self__", None)
    is_bound = isinstance(inner, (functools.partial, MethodType))
    return type(behind).__name__ if is_bound and module_owner(behind) is not None else ""


def _parameters(function: Any) -> list[inspect.Parameter]:
    """Return the parameters of a function, of a module's forward pass, or of the rule behind `Op.apply`."""
    rule = _rule_of(function)
    if rule is not None:
        parameters = _signature(rule.forward)
        return parameters if _has_own_context(rule) else parameters[1:]
    parameters = _signature(function)
    if all(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters):  # modules name them in `forward` or `call`
        inner = getattr(function, "forward", None) or getattr(function, "call", None)
        return _signature(inner) if callable(inner) else parameters
    return parameters


def _signature(function: Any) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # some builtins have none
        return []


def _rule_of(function: Any) -> Any:
    """Return the class behind the `apply` of a `torch.autograd.Function`, recognised by its shape."""
    rule = getattr(function, "__self__", None)
    is_rule = isinstance(rule, type) and hasattr(rule, "forward") and hasattr(rule, "setup_context")
    return rule if is_rule else None


def _has_own_context(rule: type) -> bool:
    """Tell whether `setup_context` is overridden; `forward` then takes no context."""
    return any("setup_context" in vars(base) and not base.__module__.startswith("torch.") for base in rule.__mro__)


def _named_leaves(tree: tuple[tuple[Any, ...], dict[str, Any]], arguments: list[str]) -> list[Leaf]:
    args, kwargs = tree
    named = []
    for position, (argument, value) in enumerate(zip(arguments, args, strict=True)):
        named += [Leaf(name, argument, position, path) for name, path in named_paths(value, argument)]
    for argument in sorted(kwargs):  # the order in which dictionaries are flattened
        named += [Leaf(name, argument, None, path) for name, path in named_paths(kwargs[argument], argument)]
    return named


def _named_tree(parameters: Any) -> list[tuple[str, Any]]:
    names = [name for name, _ in named_paths(parameters, "parameters")]
    return list(zip(names, flatten(parameters)[0], strict=True))


def _parameter_leaves(parameters: Mapping[str, Any], taken: set[str]) -> list[Leaf]:
    names = {key: f"self.{key}" if key in taken else key for key in sorted(parameters)}
    return [Leaf(name, name, None, (key,), is_parameter=True) for key, name in names.items()]


def _title(function: Any) -> str:
    function = _innermost(function)
    rule = _rule_of(function)
    if rule is not None:
        return str(rule.__name__)
    if isinstance(function, functools.partial):
        return _title(function.func)
    name = getattr(function, "__name__", None) or type(function).__name__
    return "f" if name == "<lambda>" else str(name)


# Values


def _refuse(name: str, value: Any) -> None:
    if isinstance(value, np.matrix):
        raise TypeError(
            f"{name} is an np.matrix: its * is the matrix product, its slices stay 2-d, and its derivatives are not "
            f"those of the same code on arrays. Pass np.asarray({name}), and write @ where a matrix product is meant."
        )
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(
            f"{name} is a masked array, and derivatives of masked entries are not defined. Pass {name}.filled(...) or "
            f"{name}.compressed()."
        )


def _choose_backend(function: Any, backend: str | Backend | None, named: list[tuple[str, Any]]) -> Backend:
    if backend is not None:
        return _require_own(resolve(backend), named)
    inferred, of_module = infer(named), module_owner(_innermost(function))
    if of_module is None or of_module.name == inferred.name:
        return inferred
    if inferred.name == "numpy":
        return of_module
    argument = next(name for name, value in named if inferred.owns(value))
    raise TypeError(
        f"{_title(function)} is a module of {of_module.name}, but {argument} is an array of {inferred.name}."
    )


def _require_own(chosen: Backend, named: list[tuple[str, Any]]) -> Backend:
    for name, value in named:
        other = None if chosen.owns(value) else owner(value)
        if other is not None and other.name not in ("numpy", chosen.name):
            raise TypeError(
                f"backend={chosen.name!r} was asked for, but {name} is an array of {other.name}. Pass NumPy arrays, or "
                f"leave backend= away to use {other.name}."
            )
    return chosen


def _classify(leaf: Leaf, value: Any, backend: Backend) -> Leaf:
    if isinstance(value, (np.ndarray, np.generic)) and not backend.owns(value):
        value = _converted(leaf.name, value, backend)
    array, constant = _read_array(leaf, value, backend)
    return replace(leaf, value=value, array=array, constant=constant)


def _converted(name: str, value: Any, backend: Backend) -> Any:
    is_array = isinstance(value, np.ndarray)  # an integer scalar may be an axis or a size
    if not is_differentiable(value.dtype) and not (is_array and value.dtype.kind in "biu"):
        return value
    try:
        return backend.from_numpy(np.asarray(value))
    except Exception as error:
        error.add_note(f"xcheck: raised when {name}, a NumPy array of {value.dtype}, was turned into {backend.name}'s.")
        raise


def _read_array(leaf: Leaf, value: Any, backend: Backend) -> tuple[NDArray[Any] | None, str]:
    if backend.owns(value):
        return _owned_array(value, backend)
    if isinstance(value, (bool, int)):
        return np.asarray(value), f"held constant, a Python {type(value).__name__}"
    if isinstance(value, (float, complex)):
        return np.asarray(value), _number_constant(leaf, backend, "number")
    if isinstance(value, (str, bytes)):
        return None, f"held constant, a Python {type(value).__name__}"
    if isinstance(value, list):
        array = _list_array(leaf, value)
        integers = "" if is_differentiable(array.dtype) else "held constant, a list of Python integers"
        return array, integers or _number_constant(leaf, backend, "list")
    if isinstance(value, (np.ndarray, np.generic)):
        return np.array(value), f"held constant, its dtype is {value.dtype}"
    return None, f"held constant, of type {_type_name(value)}"


def _owned_array(value: Any, backend: Backend) -> tuple[NDArray[Any] | None, str]:
    try:
        array = backend.to_numpy(value)
    except Exception:  # such as JAX's typed random keys, or quantised tensors
        return None, f"held constant, its dtype is {getattr(value, 'dtype', 'unknown')}"
    return array, "" if is_differentiable(array.dtype) else f"held constant, its dtype is {array.dtype}"


def _list_array(leaf: Leaf, value: list[Any]) -> NDArray[Any]:
    try:
        return np.array(value)
    except ValueError as error:
        raise TypeError(
            f"{leaf.name} is a ragged list of numbers ({error}); pass an array, or a tuple of arrays."
        ) from None


def _number_constant(leaf: Leaf, backend: Backend, what: str) -> str:
    if leaf.position is None and what == "number" and not leaf.is_parameter:
        return f'held constant, a keyword number (wrt="{leaf.name}" makes it vary)'
    if backend.owns(np.zeros(1)):
        return ""
    kind = "Python number" if what == "number" else "list of Python numbers"
    return f"held constant, a {kind} in a {backend.name} function (pass it as an array to make it vary)"


def _type_name(value: Any) -> str:
    kind = type(value)
    return kind.__name__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__name__}"


def _copied(leaf: Leaf, backend: Backend) -> Any:
    if leaf.array is None or not backend.owns(leaf.value):
        return copy.deepcopy(leaf.value) if isinstance(leaf.value, (list, np.ndarray)) else leaf.value
    return backend.from_numpy(leaf.array, like=leaf.value)


def _widened(leaf: Leaf, backend: Backend) -> Leaf:
    if leaf.varies or leaf.array is None or not backend.owns(leaf.value) or not is_differentiable(leaf.array.dtype):
        return leaf
    array = leaf.array.astype(widened(leaf.array.dtype))
    return replace(leaf, array=array, value=backend.from_numpy(array, like=leaf.value))


def _same_objects(before: Sequence[Any], after: Sequence[Any]) -> bool:
    return len(before) == len(after) and all(a is b for a, b in zip(before, after, strict=True))


# Choosing


def _select(leaves: tuple[Leaf, ...], wrt: Wrt) -> tuple[Leaf, ...]:
    if wrt is None:
        return leaves
    chosen: set[str] = set()
    for item in _items(wrt):
        hits = [leaf for leaf in leaves if _is_meant(item, leaf)]
        if not hits:
            names = list(dict.fromkeys(leaf.argument for leaf in leaves))
            known = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
            raise ValueError(f"wrt={item!r} names no input. Accepted: positions from 0, and the names {known}.")
        able = {leaf.name for leaf in hits if leaf.array is not None and is_differentiable(leaf.array.dtype)}
        if not able:
            raise ValueError(
                f"wrt={item!r} cannot vary: {hits[0].name} is {hits[0].constant}. Accepted: floating-point or complex "
                "arrays."
            )
        chosen |= able
    return tuple(_with_wrt(leaf, leaf.name in chosen) for leaf in leaves)


def _items(wrt: Any) -> list[int | str]:
    items = list(wrt) if isinstance(wrt, (list, tuple, set, frozenset)) else [wrt]
    if not items:
        raise ValueError("wrt= is empty: nothing would vary. Leave it away to check every input that can vary.")
    for item in items:
        if isinstance(item, bool) or not isinstance(item, (int, str)):
            raise TypeError(f"wrt= takes positions, names, or a list of them; given: {type(item).__name__}.")
    return items


def _is_meant(item: int | str, leaf: Leaf) -> bool:
    if isinstance(item, int):
        return item == leaf.position
    return item in (leaf.name, leaf.argument) or leaf.name.startswith((f"{item}[", f"{item}."))


def _with_wrt(leaf: Leaf, chosen: bool) -> Leaf:
    if chosen:
        return replace(leaf, constant="")
    return replace(leaf, constant="held constant, not named in wrt=") if leaf.varies else leaf


def _require_something(call: Call) -> None:
    if call.varying:
        return
    if not call.leaves:
        raise ValueError(f"{call.title} was given no inputs; pass the point at which to check it: check(f, x).")
    why = "; ".join(f"{leaf.name}: {leaf.constant}" for leaf in call.leaves[:5])
    arrays = [leaf.array for leaf in call.leaves if leaf.array is not None]
    hint = INTEGERS if any(array.dtype.kind in "biu" for array in arrays) else ""
    raise TypeError(
        f"Nothing to differentiate: {why}. Pass floating-point inputs (one of {', '.join(PRECISION)}). {hint}".strip()
    )
