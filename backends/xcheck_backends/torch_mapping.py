"""Many points at once with PyTorch: `torch.vmap` without what opens trees of arguments, and what it cannot map."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from typing import Any

from xcheck_backends.torch_tape import as_tensors

Function = Callable[[Sequence[Any]], Sequence[Any]]

NOT_MAPPED = re.compile(r"Batching rule not implemented for aten::(\w+)(?:\.(\w+))?")
"""What a RuntimeError says of an operator that `vmap` cannot map, with the names of the operator and its overload."""

SLOWLY_MAPPED = "There is a performance drop because we have not yet implemented the batching rule"


def map_flat(f: Function, xs: Sequence[Any]) -> list[Any]:
    """Map `f` over the first axis of all of `xs`; random numbers are the same for all."""
    import torch

    bare = _bare_vmap()
    if bare is None:
        return list(torch.func.vmap(lambda *inputs: tuple(as_tensors(f(inputs))), randomness="same")(*xs))
    enter, leave, add, remove = bare
    size = len(xs[0])
    level = enter(size, "same")
    try:
        ys = as_tensors(f([add(x, 0, level) for x in xs]))
        return [remove(y, level, size, 0) for y in ys]
    finally:
        leave()


@cache
def _bare_vmap() -> Any:
    """Return the four functions that `torch.func.vmap` is made of, or None where torch has them no more.

    What it does besides, opening trees of arguments, takes longer than mapping a small operator.
    """
    try:
        import_module("torch._functorch.vmap").lazy_load_decompositions()
        functorch = import_module("torch._C._functorch")
        names = "_vmap_increment_nesting", "_vmap_decrement_nesting", "_add_batch_dim", "_remove_batch_dim"
        return tuple(getattr(functorch, name) for name in names)
    except (ImportError, AttributeError):
        return None


class Mapper:
    """Calls what uses `vmap`; operators that it cannot map are taken apart where torch makes them of others.

    Torch warns of operators that it cannot map fast. That is no concern of who checks them, and not passed on. Whether
    any of this is needed is found out at the first call.
    """

    def __init__(self) -> None:
        """Know nothing yet."""
        self._easy = False

    def __call__(self, call: Callable[..., Any], *args: Any) -> Any:
        """Return `call(*args)`."""
        if self._easy:
            return call(*args)
        with warnings.catch_warnings(record=True) as caught:
            warnings.filterwarnings("always", SLOWLY_MAPPED)
            result, apart = _call_or_take_apart(call, args)
        others = [w for w in caught if not str(w.message).startswith(SLOWLY_MAPPED)]
        self._easy = not apart and len(others) == len(caught)
        for w in others:
            warnings.warn_explicit(w.message, w.category, w.filename, w.lineno)
        return result


def _call_or_take_apart(call: Callable[..., Any], args: Sequence[Any]) -> tuple[Any, bool]:
    try:
        return call(*args), False
    except RuntimeError as error:
        if NOT_MAPPED.search(str(error)) is None:
            raise
    with _taken_apart()():
        return call(*args), True


@cache
def _taken_apart() -> Any:
    from torch.overrides import TorchFunctionMode

    class TakenApart(TorchFunctionMode):  # type: ignore[misc]
        """Inside, operators without a batching rule are run as the others that torch makes them of."""

        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            del types
            try:
                return func(*args, **(kwargs or {}))
            except RuntimeError as error:
                missing = NOT_MAPPED.search(str(error))
                if missing is None:
                    raise
                done = _operator(*missing.groups()).decompose(*args, **(kwargs or {}))
                if done is NotImplemented:
                    raise
                return done

    return TakenApart


def _operator(name: str, overload: str | None) -> Any:
    import torch

    return getattr(getattr(torch.ops.aten, name), overload or "default")
