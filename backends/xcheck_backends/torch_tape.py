"""Differentiating with PyTorch: what is recorded, what functions are given, dual numbers, rules that are missing.

Dual numbers do not nest: where a function differentiates forward by itself, `torch.func.jvp` does it, which does nest.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from importlib import import_module
from typing import Any

Function = Callable[[Sequence[Any]], Sequence[Any]]

NO_RULE = (
    "no autograd formula was registered",  # torch.library.custom_op without register_autograd
    "jvp is not implemented for the c++ API",  # torch::autograd::Function
    "marked with @once_differentiable",
    "must override the setup_context",  # functorch, of an autograd.Function in the older style
    "derivative for aten::",  # ... is not implemented: heaviside, nextafter
)
"""What a RuntimeError says when it means that a rule is missing; other missing rules are NotImplementedErrors."""

NESTED = "Nested forward mode AD is not supported"
"""What a RuntimeError says when forward mode is asked for inside dual numbers."""

LONG = 2**20
"""From this many numbers on, copies of an input are spared."""

OWN = ("torch.", "xcheck_backends.")
"""Modules whose subclasses of `torch.autograd.Function` are no user's."""

GENERATED = "GeneratedBackwardFor_"
"""What torch calls the subclass that it makes for an operator of `torch.library.custom_op`."""

NATIVE = "torch::autograd::CppNode<"
"""What the name of a node begins with that a `torch::autograd::Function` made."""


def default_generators() -> list[Any]:
    """Return the default generators of the CPU and, where CUDA is in use, of its devices; none before torch is used."""
    torch = sys.modules.get("torch")
    if torch is None:
        return []
    return [torch.default_generator, *(torch.cuda.default_generators if torch.cuda.is_initialized() else ())]


@contextmanager
def draws_put_back() -> Iterator[None]:
    """Put torch's generators back to where they were, on leaving."""
    generators = default_generators()
    before = [g.get_state() for g in generators]
    try:
        yield
    finally:
        for generator, state in zip(generators, before, strict=True):
            generator.set_state(state)


def recording() -> AbstractContextManager[Any]:
    """Switch every kind of recording on; leaving inference mode takes its time, and is seldom needed."""
    import torch

    plain = torch._C._is_fwd_grad_enabled() and not torch.is_inference_mode_enabled()
    if plain and torch.is_grad_enabled():
        return nullcontext()
    return torch.enable_grad() if plain else _recording_again()


def unrecorded() -> AbstractContextManager[Any]:
    """Record nothing on the tape, and make ordinary tensors."""
    import torch

    plain = torch._C._is_fwd_grad_enabled() and not torch.is_inference_mode_enabled()
    return torch.no_grad() if plain else _unrecorded_again()


@contextmanager
def _unrecorded_again() -> Iterator[None]:
    import torch

    with recording(), torch.no_grad():
        yield


@contextmanager
def _recording_again() -> Iterator[None]:
    import torch

    with torch.inference_mode(False), torch.enable_grad():
        yield


class missing_rules:
    """Turn RuntimeErrors that mean a missing rule into NotImplementedErrors."""

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Look at what was raised."""
        if not isinstance(error, RuntimeError) or isinstance(error, NotImplementedError):
            return
        if any(text in str(error) for text in NO_RULE):
            raise NotImplementedError(str(error)) from error


@contextmanager
def quiet(name: str) -> Iterator[None]:
    """Keep what a part of torch logs of its own decisions, and no errors, from the user."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def custom_nodes(ys: Sequence[Any]) -> list[tuple[str, Any]]:
    """Return the nodes of a tape that belong to users' rules, with the names of those."""
    return [(name, node) for node in _nodes(ys) if (name := _custom_name(node))]


def generated_operators(ys: Sequence[Any]) -> list[str]:
    """Name the operators of `torch.library.custom_op` on a tape."""
    rules = [(node, getattr(type(node), "_forward_cls", None)) for node in _nodes(ys)]
    return [_custom_name(n) for n, rule in rules if rule is not None and rule.__name__.startswith(GENERATED)]


def _nodes(ys: Sequence[Any]) -> list[Any]:
    """Return the nodes of a tape, outputs first."""
    todo = [y.grad_fn for y in ys if y.grad_fn is not None]
    seen, found = set(todo), []
    while todo:
        found.append(todo.pop())
        following = {n for n, _ in found[-1].next_functions if n is not None} - seen
        seen |= following
        todo += following
    return found


def _custom_name(node: Any) -> str:
    """Return the name of the user's rule behind a node; nothing if it is torch's own."""
    rule = getattr(type(node), "_forward_cls", None)
    if rule is not None:
        name = str(rule.__name__)
        if name.startswith(GENERATED):
            return name.removeprefix(GENERATED).removesuffix("_default")
        return "" if f"{rule.__module__}.".startswith(OWN) else name
    name = str(node.name())
    return name.removeprefix(NATIVE).removesuffix(">") if name.startswith(NATIVE) else ""


def pushed(f: Function, xs: Sequence[Any], tangents: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Push `tangents` forward by dual numbers; by `torch.func.jvp` where those would be nested."""
    if inside_functorch():
        return _pushed_mapped(f, xs, tangents)
    generators = default_generators()
    before = [g.get_state() for g in generators]
    try:
        return pushed_dual(f, xs, tangents)
    except RuntimeError as error:
        if NESTED not in str(error):
            raise
    for generator, state in zip(generators, before, strict=True):  # what was drawn on the way is drawn again
        generator.set_state(state)
    return _pushed_mapped(f, xs, tangents)


def pushed_dual(f: Function, xs: Sequence[Any], tangents: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Push `tangents` forward by dual numbers.

    The primals are recorded on the tape as well: without it, operators made by `torch.library.custom_op` drop their
    tangents without a word, with it they say that they have no forward rule.
    """
    forward_ad = forward_mode()
    with recording(), forward_ad.dual_level(), missing_rules():
        variables = [x if x.requires_grad else variable(x) for x in xs]
        return _pushed_on(forward_ad, f, [started(x) for x in variables], tangents)


def _pushed_on(forward_ad: Any, f: Function, xs: Sequence[Any], tangents: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """What changes a dual number in place changes its tangent in place as well, so that it has to be a copy."""
    duals = [
        forward_ad.make_dual(x, t if t.requires_grad else detached(t).clone()) if x.requires_grad else x
        for x, t in zip(xs, tangents, strict=True)
    ]
    pairs = [forward_ad.unpack_dual(y) for y in as_tensors(f(duals))]
    return [y for y, _ in pairs], [t for _, t in pairs]


def pushed_rows(
    f: Function, xs: Sequence[Any], rows: Sequence[Sequence[Any]], generators: Sequence[tuple[Any, Any]]
) -> list[tuple[list[Any], list[Any]]]:
    """Push tangents forward, one row after the other, all with the same random draws.

    `generators` has torch's generators, each with its state.
    """
    try:
        return _pushed_rows_dual(f, xs, rows, generators)
    except RuntimeError as error:
        if NESTED not in str(error) and not inside_functorch():
            raise
    found = []
    for row in rows:
        _rewind(generators)
        found.append(pushed(f, xs, row))
    return found


def _pushed_rows_dual(
    f: Function, xs: Sequence[Any], rows: Sequence[Sequence[Any]], generators: Sequence[tuple[Any, Any]]
) -> list[tuple[list[Any], list[Any]]]:
    forward_ad = forward_mode()
    with recording(), forward_ad.dual_level(), missing_rules():
        variables = [variable(x) for x in xs]
        found = []
        for i, row in enumerate(rows):
            if i == 1:
                generators = [(g, s) for g, s in generators if not g.get_state().equal(s)]
            _rewind(generators if i else ())
            found.append(_pushed_on(forward_ad, f, [not_leaf(x) for x in variables], row))
    return found


def _rewind(generators: Sequence[tuple[Any, Any]]) -> None:
    for generator, state in generators:
        generator.set_state(state)


def inside_functorch() -> bool:
    """Tell whether `torch.func` or `torch.vmap` are at work, where no tape and no dual numbers can be started."""
    import torch

    return torch._C._functorch.maybe_current_level() is not None


def _pushed_mapped(f: Function, xs: Sequence[Any], tangents: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    import torch

    forward_mode()
    moving = [x.is_floating_point() or x.is_complex() for x in xs]

    def moved(*inputs: Any) -> tuple[Any, ...]:
        given = iter(inputs)
        return tuple(as_tensors(f([next(given).clone() if moves else x for x, moves in zip(xs, moving, strict=True)])))

    with recording(), missing_rules():
        pairs = [(usable(x), usable(t)) for x, t, moves in zip(xs, tangents, moving, strict=True) if moves]
        ys, dys = torch.func.jvp(moved, tuple(x for x, _ in pairs), tuple(t for _, t in pairs))
    return list(ys), [dy.to(y.dtype) for y, dy in zip(ys, dys, strict=True)]  # scalars may have widened a tangent


def forward_mode() -> Any:
    """Import forward mode; at its first use, torch compiles rules with a function that it calls deprecated itself."""
    from torch.autograd import forward_ad

    if "torch._decomp.decompositions_for_jvp" not in sys.modules:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            import_module("torch._decomp.decompositions_for_jvp")
    return forward_ad


def as_tensors(ys: Sequence[Any]) -> list[Any]:
    """Make tensors of plain numbers."""
    import torch

    return [y if isinstance(y, torch.Tensor) else torch.as_tensor(y) for y in ys]


def variable(x: Any) -> Any:
    """Start the tape at `x`; what shares its memory is a leaf, of which functions see a copy (`not_leaf`)."""
    return detached(x).requires_grad_() if x.is_floating_point() or x.is_complex() else x.detach().clone()


def detached(x: Any) -> Any:
    """Return what shares the memory of `x` and is recorded nowhere; a copy of what was made in inference mode."""
    return usable(x) if x.is_inference() else x.detach()


def usable(x: Any) -> Any:
    """What was made in inference mode cannot be recorded; a copy can."""
    return x.clone() if x.is_inference() else x


def not_leaf(x: Any) -> Any:
    """Functions may change their input in place, which torch forbids for leaves."""
    return x.clone() if x.requires_grad else x


def started(x: Any) -> Any:
    """Go on from a leaf that nobody reads again: where it is long, in its own memory."""
    return _same_memory().apply(x) if x.requires_grad and x.numel() >= LONG else not_leaf(x)


@cache
def _same_memory() -> Any:
    import torch

    class SameMemory(torch.autograd.Function):
        """The identity, neither a leaf nor a view of one, both of which may not be changed in place."""

        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            del ctx
            return x.data

        @staticmethod
        def backward(ctx: Any, cotangent: Any) -> Any:
            del ctx
            return cotangent

    return SameMemory
