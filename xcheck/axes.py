"""Axes and names: one framework's order of axes, and of parameters, seen as another's.

Only the function is rearranged. Its derivatives follow, since the framework differentiates through the transposition.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xcheck.protocol import Backend, supports_transpose
from xcheck.pytree import flatten
from xcheck.registry import owner

Axes = tuple[int, ...]
Name = str | tuple[str, str]
"""What a parameter is called, or that and the order of axes, `"OI->IO"`, that turns the common one into it."""


@dataclass(frozen=True)
class Arranged:
    """A function with its axes, and the names of its parameters, rearranged.

    Attributes:
        function: the function as it is, or a module.
        inputs: the axes in which each positional input has to come, None to leave it.
        outputs: the axes in which each output is wanted.
        names: by the common name of a parameter, its own name and the axes that it has to come in.
        parameters: the tree of parameters that a plain function takes as its first argument; None for modules.
    """

    function: Callable[..., Any]
    inputs: Sequence[Axes | None] = ()
    outputs: Sequence[Axes | None] = ()
    names: Mapping[str, tuple[str, Axes | None]] = field(default_factory=dict)
    parameters: Any = None

    @property
    def __name__(self) -> str:
        """What the function is called."""
        return str(getattr(self.function, "__name__", None) or type(self.function).__name__)

    @property
    def innermost(self) -> Callable[..., Any]:
        """The function inside all that is around it."""
        return self.function.innermost if isinstance(self.function, Arranged) else self.function

    @property
    def __wrapped__(self) -> Callable[..., Any]:
        """The function as it is, whose signature names the inputs."""
        return self.function

    @property
    def compared(self) -> str:
        """What is compared instead of the outputs, if anything is."""
        return self.function.compared if isinstance(self.function, Arranged) else ""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function with its inputs in its own order of axes, and return its outputs in the wanted one."""
        return self.around(self.function, args, kwargs)

    def around(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Call another function so, such as a module with its parameters bound."""
        axes = [*self.inputs, *[None] * (len(args) - len(self.inputs))]
        value = function(*(_moved(x, a) for x, a in zip(args, axes, strict=True)), **kwargs)
        if not self.outputs:
            return value
        leaves, structure = flatten(value)
        if len(self.outputs) != len(leaves):
            raise ValueError(
                f"outputs= names {len(self.outputs)} orders of axes, and {self.__name__} returns {len(leaves)} arrays."
            )
        return structure.unflatten([_moved(x, a) for x, a in zip(leaves, self.outputs, strict=True)])


def layout(
    f: Callable[..., Any],
    inputs: str | Sequence[str | None] | None = None,
    outputs: str | Sequence[str | None] | None = None,
    names: Mapping[str, Name] | None = None,
    parameters: Any = None,
) -> Arranged:
    """Rearrange a function's axes, and the names of its parameters, so that it can be compared with another's.

    `layout(conv, inputs="NCHW->NHWC", outputs="NHWC->NCHW")` takes images as torch does, gives them to `conv` as
    TensorFlow wants them, and returns what torch would. Costs a transposition an array.

    Args:
        f: the function, in any framework, or a module of one.
        inputs: the order of axes that inputs come in, and the one that `f` takes; for the first input, or one for each,
            None for those that stay.
        outputs: the order of axes that `f` returns, and the one that is wanted; likewise.
        names: by the common name of each parameter (that of the first module of the cross-check), what it is called
            here; with an order of axes where it differs: `{"0.weight": ("conv/kernel", "OIHW->HWIO")}`.
        parameters: for plain functions `f(parameters, *inputs)`, the tree of parameters.

    Returns:
        A function for `check` and `crosscheck`.

    Raises:
        TypeError: `f` is not callable.
        ValueError: an order of axes is not of the form `"NCHW->NHWC"`, with the same letters on both sides.
    """
    if not callable(f):
        raise TypeError(f"f must be callable; given: {type(f).__name__}.")
    own = {name: _name(name, given) for name, given in (names or {}).items()}
    return Arranged(f, _all_axes("inputs", inputs), _all_axes("outputs", outputs), own, parameters)


def read_axes(argument: str, order: str) -> Axes:
    """Turn `"NCHW->NHWC"` into the axes of a transposition, `(0, 2, 3, 1)`."""
    before, arrow, after = order.replace(" ", "").partition("->")
    if not arrow or len(set(before)) != len(before) or sorted(before) != sorted(after):
        raise ValueError(
            f"{argument}={order!r} is no order of axes. Accepted: a letter for every axis before and after, as in "
            "'NCHW->NHWC'."
        )
    return tuple(before.index(letter) for letter in after)


def _all_axes(argument: str, orders: str | Sequence[str | None] | None) -> tuple[Axes | None, ...]:
    if orders is None:
        return ()
    each = [orders] if isinstance(orders, str) else orders
    return tuple(None if order is None else read_axes(argument, order) for order in each)


def _name(common: str, given: Name) -> tuple[str, Axes | None]:
    if isinstance(given, str):
        return given, None
    name, order = given
    return name, read_axes(f"names[{common!r}]", order)


def _moved(x: Any, axes: Axes | None) -> Any:
    if axes is None:
        return x
    backend = owner(x)
    if backend is None:
        raise TypeError(f"a {type(x).__name__} has no axes to be rearranged; arrays have.")
    return transposed(backend, x, axes)


def transposed(backend: Backend, x: Any, axes: Axes) -> Any:
    """Transpose a native array in operations that the backend differentiates."""
    if len(np.shape(x)) != len(axes):
        raise ValueError(f"an order of {len(axes)} axes was given for an array of shape {tuple(np.shape(x))}.")
    if not supports_transpose(backend):
        raise TypeError(f"the backend {backend.name!r} has no method transpose, which a layout needs.")
    return backend.transpose(x, axes)


def inverse(axes: Axes) -> Axes:
    """Return the transposition that undoes another."""
    return tuple(int(k) for k in np.argsort(axes))


def moved_back(array: NDArray[Any], axes: Axes | None) -> NDArray[Any]:
    """Bring a NumPy array from its own order of axes into the common one."""
    return array if axes is None else np.transpose(array, inverse(axes))
