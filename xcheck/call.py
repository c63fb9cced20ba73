"""One call of the user's function, opened: which inputs vary, which are held constant and why.

`read_call` is the only place that looks at what the user passed. Behind it there are flat sequences of native arrays.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xcheck.protocol import Backend, Native, SupportsModules
from xcheck.pytree import Structure, flatten, leaf_names
from xcheck.registry import infer, module_owner, owner, resolve
from xcheck.space import PRECISION, is_differentiable

Wrt = int | str | Sequence[int | str] | None


@dataclass(frozen=True)
class Leaf:
    """One leaf of the inputs."""

    name: str
    argument: str
    position: int | None
    value: Any
    array: NDArray[Any] | None = None
    constant: str = ""

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
        is_module: whether the first argument is the dictionary of a module's parameters.
    """

    function: Callable[..., Any]
    backend: Backend
    structure: Structure
    leaves: tuple[Leaf, ...]
    title: str
    is_module: bool = False

    @property
    def varying(self) -> list[Leaf]:
        """The leaves that derivatives are taken with respect to."""
        return [leaf for leaf in self.leaves if leaf.varies]

    def arguments(self, xs: Sequence[Native]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Rebuild the positional and keyword arguments around the varying leaves `xs`."""
        values = iter(xs)
        args, kwargs = self.structure.unflatten([next(values) if x.varies else x.value for x in self.leaves])
        return args, kwargs

    def positional(self, xs: Sequence[Native]) -> tuple[Any, ...]:
        """Rebuild the positional arguments as the user gave them, without the parameters of a module."""
        args, _ = self.arguments(xs)
        return args[1:] if self.is_module else args

    def __call__(self, xs: Sequence[Native]) -> Any:
        """Call the function with `xs` in place of the varying leaves."""
        args, kwargs = self.arguments(xs)
        return self.function(*args, **kwargs)

    def unchecked(self) -> list[str]:
        """Say of every input that is held constant that it is, and why."""
        return [f"{leaf.name}: {leaf.constant}" for leaf in self.leaves if leaf.constant and leaf.array is not None]


def read_call(
    function: Callable[..., Any],
    inputs: Sequence[Any],
    kwargs: Mapping[str, Any] | None = None,
    backend: str | Backend | None = None,
    wrt: Wrt = None,
) -> Call:
    """Open a call: find the backend, name the leaves, and decide which of them vary.

    Floating-point and complex arrays vary, and so do positional Python floats of NumPy functions. Integers, booleans,
    strings and keyword floats are held constant. A module of the backend brings its named parameters along.

    Raises:
        TypeError: `function` is not callable, an input is an `np.matrix`, two frameworks are mixed.
        ValueError: nothing varies, `wrt` names nothing, the backend is unknown.
    """
    _require_callable(function)
    tree = (tuple(inputs), dict(kwargs or {}))
    values, _ = flatten(tree)
    arguments = _argument_names(function, tree[0])
    named = _named_leaves(tree, arguments)
    for leaf, value in zip(named, values, strict=True):
        _refuse(leaf.name, value)
    chosen = _choose_backend(function, backend, [(x.name, v) for x, v in zip(named, values, strict=True)])
    title = _title(function)
    bound = chosen.bind(function) if isinstance(chosen, SupportsModules) else None
    if bound is not None:
        function, parameters = bound
        tree = ((parameters, *tree[0]), tree[1])
        head = [Leaf(name, name, None, None) for name in parameters]
        named = [*sorted(head, key=lambda leaf: leaf.name), *named]
    values, structure = flatten(tree)
    leaves = tuple(_classify(leaf, value, chosen) for leaf, value in zip(named, values, strict=True))
    call = Call(function, chosen, structure, _select(leaves, wrt), title, bound is not None)
    _require_something(call)
    return call


def _require_callable(function: Any) -> None:
    if callable(function):
        return
    shape = getattr(function, "shape", None)
    what = type(function).__name__ + (f" of shape {tuple(shape)}" if shape is not None else "")
    raise TypeError(f"function must be callable; given: {what}. Pass the function itself: check(f, x), not check(f(x), x).")


def _argument_names(function: Any, args: tuple[Any, ...]) -> list[str]:
    parameters = _parameters(function)
    names: list[str] = []
    for parameter in parameters:
        if parameter.kind is parameter.VAR_POSITIONAL:
            names += [f"{parameter.name}[{i}]" for i in range(max(0, len(args) - len(names)))]
        elif parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            names.append(parameter.name)
    if len(names) < len(args):
        names = ["x"] if len(args) == 1 else [f"x{i}" for i in range(len(args))]
    return names[: len(args)]


def _parameters(function: Any) -> list[inspect.Parameter]:
    """Return the parameters of a function, of a module's forward pass, or of the rule behind `Op.apply`."""
    rule = _rule_owner(function)
    target = getattr(rule or function, "forward", None) or getattr(function, "call", None) or function
    try:
        parameters = list(inspect.signature(target).parameters.values())
    except (TypeError, ValueError):  # builtins and ufuncs have no signature
        return []
    return parameters[1:] if rule is not None and parameters and parameters[0].name == "ctx" else parameters


def _rule_owner(function: Any) -> type | None:
    owner = getattr(function, "__self__", None)
    return owner if isinstance(owner, type) and hasattr(owner, "forward") else None


def _named_leaves(tree: tuple[tuple[Any, ...], dict[str, Any]], arguments: list[str]) -> list[Leaf]:
    args, kwargs = tree
    named = []
    for position, (argument, value) in enumerate(zip(arguments, args, strict=True)):
        named += [Leaf(name, argument, position, None) for name in leaf_names(value, argument)]
    for argument in sorted(kwargs):  # the order in which dictionaries are flattened
        named += [Leaf(name, argument, None, None) for name in leaf_names(kwargs[argument], argument)]
    return named


def _refuse(name: str, value: Any) -> None:
    if isinstance(value, np.matrix):
        raise TypeError(
            f"{name} is an np.matrix: its * is the matrix product, its slices stay 2-d, and its derivatives are not "
            f"those of the same code on arrays. Pass np.asarray({name}), and write @ where a matrix product is meant."
        )
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array; pass {name}.filled(...) or the part of it that is valid.")


def _choose_backend(function: Any, backend: str | Backend | None, named: list[tuple[str, Any]]) -> Backend:
    inferred = infer(named)
    if backend is None:
        return inferred if inferred.name != "numpy" else (module_owner(function) or inferred)
    chosen = resolve(backend)
    if inferred.name not in ("numpy", chosen.name):
        argument = next(name for name, value in named if (b := owner(value)) is not None and b.name == inferred.name)
        raise TypeError(f"backend={chosen.name!r} was asked for, but {argument} is an array of {inferred.name}.")
    return chosen


def _classify(leaf: Leaf, value: Any, backend: Backend) -> Leaf:
    if isinstance(value, np.ndarray) and not backend.owns(value):
        value = backend.from_numpy(value)
    array, constant = _read_array(leaf, value, backend)
    return Leaf(leaf.name, leaf.argument, leaf.position, value, array, constant)


def _read_array(leaf: Leaf, value: Any, backend: Backend) -> tuple[NDArray[Any] | None, str]:
    if isinstance(value, (bool, np.bool_, int, str, bytes)):
        array = None if isinstance(value, (str, bytes)) else np.asarray(value)
        return array, f"held constant, a Python {type(value).__name__}"
    if isinstance(value, (float, complex)) and not backend.owns(value):
        return np.asarray(value), _scalar_constant(leaf, backend)
    if isinstance(value, list):
        return _list_array(leaf, value), "" if backend.name == "numpy" else "held constant, a list of Python numbers"
    if not backend.owns(value):
        return None, f"held constant, a {type(value).__name__}"
    array = backend.to_numpy(value)
    if is_differentiable(array.dtype):
        return array, ""
    return array, f"held constant, its dtype is {array.dtype}"


def _list_array(leaf: Leaf, value: list[Any]) -> NDArray[Any]:
    try:
        return np.array(value)
    except ValueError as error:
        raise TypeError(f"{leaf.name} is a ragged list of numbers ({error}); pass an array, or a tuple of arrays.") from None


def _scalar_constant(leaf: Leaf, backend: Backend) -> str:
    if leaf.position is None:
        return "held constant, a keyword number (name it in wrt= to check it)"
    if backend.name == "numpy":
        return ""
    return f"held constant, a Python number in a {backend.name} function (pass it as an array to check it)"


def _select(leaves: tuple[Leaf, ...], wrt: Wrt) -> tuple[Leaf, ...]:
    if wrt is None:
        return leaves
    wanted = list(wrt) if isinstance(wrt, (list, tuple, set, frozenset)) else [wrt]
    chosen: set[str] = set()
    for item in wanted:
        hits = {x.name for x in leaves if item in (x.name, x.argument) or _is_position(item, x.position)}
        if not hits:
            known = ", ".join(dict.fromkeys(x.argument for x in leaves))
            raise ValueError(f"wrt={item!r} names no input. Accepted: positions from 0, and the names {known}.")
        chosen |= hits
    return tuple(_with_wrt(leaf, leaf.name in chosen) for leaf in leaves)


def _is_position(item: Any, position: int | None) -> bool:
    return isinstance(item, int) and not isinstance(item, bool) and item == position


def _with_wrt(leaf: Leaf, chosen: bool) -> Leaf:
    constant = leaf.constant
    if chosen and leaf.array is not None and is_differentiable(leaf.array.dtype):
        constant = ""
    elif not chosen and leaf.varies:
        constant = "held constant, not named in wrt="
    elif chosen and leaf.constant:
        raise ValueError(f"wrt={leaf.name!r} cannot vary: {leaf.constant}. Accepted: floating-point or complex arrays.")
    return Leaf(leaf.name, leaf.argument, leaf.position, leaf.value, leaf.array, constant)


def _require_something(call: Call) -> None:
    if call.varying:
        return
    if not call.leaves:
        raise ValueError(f"{call.title} was given no inputs; pass the point at which to check it: check(f, x).")
    why = "; ".join(f"{leaf.name}: {leaf.constant}" for leaf in call.leaves)
    raise TypeError(
        f"Nothing to differentiate: {why}. Pass floating-point inputs (one of {', '.join(PRECISION)}), for example "
        "x.astype(float) or np.zeros(3) instead of np.zeros(3, dtype=int)."
    )


def _title(function: Any) -> str:
    rule = _rule_owner(function)
    if rule is not None:
        return rule.__name__
    name = getattr(function, "__name__", None)
    return str(name) if name and name != "<lambda>" else ("f" if name else type(function).__name__)
