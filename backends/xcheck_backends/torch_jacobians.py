"""Whole Jacobians, diagonals and Hessians by PyTorch's own calls."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from xcheck_backends.offers import OwnCall, Run
from xcheck_backends.torch_mapping import Mapper
from xcheck_backends.torch_products import (
    Arrays,
    Copies,
    FlatMap,
    compiled,
    copying,
    first_of,
    pulling,
    recorded,
    unpacked,
    with_forward_rules,
)
from xcheck_backends.torch_tape import as_tensors, forward_mode, missing_rules, recording, unrecorded

CHUNK = 64
"""How many rows `jacrev` makes at once where it is asked to save memory."""


def own_calls(quantity: str) -> list[OwnCall]:
    """Return torch's own calls for "jacobian", "diagonal", "batch" or "hessian"; none for anything else."""
    found: dict[str, Callable[[], list[OwnCall]]] = {
        "jacobian": _jacobian_calls,
        "diagonal": _diagonal_calls,
        "batch": _batch_calls,
        "hessian": _hessian_calls,
    }
    return found[quantity]() if quantity in found else []


# Torch's own calls


def _jacobian_calls() -> list[OwnCall]:
    functional = "torch.autograd.functional.jacobian"
    forward = {"strategy": "forward-mode", "vectorize": True}
    rev, fwd = partial(_whole, "jacrev", {}), partial(_whole, "jacfwd", {})
    chunked = partial(_whole, "jacrev", {"chunk_size": CHUNK})
    return [
        OwnCall(functional, "vjp", partial(_functional, {}), default=True),
        OwnCall(f"{functional}(vectorize=True)", "vjp", partial(_functional, {"vectorize": True})),
        OwnCall(f'{functional}(strategy="forward-mode")', "jvp", partial(_functional, forward)),
        OwnCall("torch.func.jacrev", "vjp", partial(_func, rev)),
        OwnCall(f"torch.func.jacrev(chunk_size={CHUNK})", "vjp", partial(_func, chunked)),
        OwnCall("torch.func.jacfwd", "jvp", partial(_func_forward, fwd)),
        _slow("torch.compile of torch.func.jacrev", "vjp", partial(_func_compiled, rev)),
        _slow("torch.compile of torch.func.jacfwd", "jvp", partial(_func_forward_compiled, fwd)),
    ]


def _diagonal_calls() -> list[OwnCall]:
    return [
        OwnCall("torch.autograd.functional.jacobian + torch.diagonal", "vjp", _diagonal_of_whole, default=True),
        OwnCall("torch.autograd.grad of every output", "vjp", _diagonal_loop),
    ]


def _batch_calls() -> list[OwnCall]:
    rev, fwd = partial(_by_sample, "jacrev"), partial(_by_sample, "jacfwd")
    name = "torch.func.vmap of torch.func."
    alone = {"samples_alone": True}
    return [
        OwnCall("torch.autograd.functional.jacobian + torch.diagonal", "vjp", _blocks_of_whole, default=True),
        OwnCall(f"{name}jacrev", "vjp", partial(_func, rev), **alone),
        OwnCall(f"{name}jacfwd", "jvp", partial(_func_forward, fwd), **alone),
        _slow(f"torch.compile of {name}jacrev", "vjp", partial(_func_compiled, rev), **alone),
        _slow(f"torch.compile of {name}jacfwd", "jvp", partial(_func_forward_compiled, fwd), **alone),
    ]


def _hessian_calls() -> list[OwnCall]:
    functional = "torch.autograd.functional.hessian"
    twice = partial(_twice, "hessian")
    return [
        OwnCall(functional, "vjp", partial(_functional_hessian, {}), default=True),
        OwnCall(f"{functional}(vectorize=True)", "vjp", partial(_functional_hessian, {"vectorize": True})),
        OwnCall("torch.func.hessian", "jvp", partial(_func_forward, twice)),
        OwnCall("torch.func.jacrev of torch.func.grad", "vjp", partial(_func, partial(_twice, "jacrev"))),
        _slow("torch.compile of torch.func.hessian", "jvp", partial(_func_forward_compiled, twice)),
    ]


def _slow(name: str, mode: str, prepare: Callable[..., Run], **more: bool) -> OwnCall:
    return OwnCall(name, mode, prepare, compiles=True, slow_to_compile=True, **more)


Whole = Callable[[FlatMap, Arrays, Arrays], list[Any]]


def _func(make: Whole, f: FlatMap, _xs: Arrays, _held: Arrays) -> Run:
    whole, mapper = Copies(make, f), Mapper()

    def run(xs: Arrays, held: Arrays) -> list[Any]:
        with unrecorded(), missing_rules():
            return list(mapper(whole, xs, held))

    return run


def _func_forward(make: Whole, f: FlatMap, xs: Arrays, held: Arrays) -> Run:
    forward_mode()
    return with_forward_rules(f, _func(make, copying(f), xs, held))


def _func_compiled(make: Whole, f: FlatMap, _xs: Arrays, _held: Arrays) -> Run:
    def entry(xs: Arrays, held: Arrays) -> list[Any]:
        return list(make(copying(f), xs, held))

    return compiled(entry)


def _func_forward_compiled(make: Whole, f: FlatMap, xs: Arrays, held: Arrays) -> Run:
    forward_mode()
    return with_forward_rules(f, _func_compiled(make, f, xs, held))


def _whole(call: str, options: dict[str, int], f: FlatMap, xs: Arrays, held: Arrays) -> list[Any]:
    import torch

    jacobian = getattr(torch.func, call)(unpacked(f, held), argnums=tuple(range(len(xs))), **options)
    return [block for row in jacobian(*xs) for block in row]


def _by_sample(call: str, f: FlatMap, xs: Arrays, held: Arrays) -> list[Any]:
    """Differentiate `f` of a batch of one, for every sample."""
    import torch

    def alone(*sample: Any) -> tuple[Any, ...]:
        return tuple(y[0] for y in as_tensors(f([x[None] for x in sample], held)))

    jacobian = getattr(torch.func, call)(alone, argnums=tuple(range(len(xs))))
    return [block for row in torch.func.vmap(jacobian)(*xs) for block in row]


def _twice(call: str, f: FlatMap, xs: Arrays, held: Arrays) -> list[Any]:
    import torch

    every = tuple(range(len(xs)))
    scalar = first_of(f, held)
    once = scalar if call == "hessian" else torch.func.grad(scalar, argnums=every)
    return [block for row in getattr(torch.func, call)(once, argnums=every)(*xs) for block in row]


def _functional(options: dict[str, Any], f: FlatMap, _xs: Arrays, _held: Arrays) -> Run:
    forward = "strategy" in options
    whole, mapper = Copies(partial(_functional_jacobian, options), copying(f) if forward else f), Mapper()

    def run(xs: Arrays, held: Arrays) -> list[Any]:
        with recording(), missing_rules():
            return [block.detach() for block in mapper(whole, xs, held)]  # parameters of a closure record tangents

    if not forward:
        return run
    forward_mode()
    return with_forward_rules(f, run)


def _functional_jacobian(options: dict[str, Any], f: FlatMap, xs: Arrays, held: Arrays) -> list[Any]:
    import torch

    rows = torch.autograd.functional.jacobian(unpacked(f, held), tuple(xs), **options)
    return [block for row in rows for block in row]


def _functional_hessian(options: dict[str, Any], f: FlatMap, _xs: Arrays, _held: Arrays) -> Run:
    import torch

    def make(f: FlatMap, xs: Arrays, held: Arrays) -> list[Any]:
        rows = torch.autograd.functional.hessian(first_of(f, held), tuple(xs), **options)
        return [block for row in rows for block in row]

    whole, mapper = Copies(make, f), Mapper()

    def run(xs: Arrays, held: Arrays) -> list[Any]:
        with recording(), missing_rules():
            return list(mapper(whole, xs, held))

    return run


def _diagonal_of_whole(f: FlatMap, xs: Arrays, held: Arrays) -> Run:
    whole = _functional({}, f, xs, held)

    def run(xs: Arrays, held: Arrays) -> list[Any]:
        blocks = whole(xs, held)[:: len(xs) + 1]
        return [b.reshape(x.numel(), x.numel()).diagonal().reshape(x.shape) for b, x in zip(blocks, xs, strict=True)]

    return run


def _diagonal_loop(f: FlatMap, _xs: Arrays, _held: Arrays) -> Run:
    import torch

    record = Copies(recorded, f)

    def run(xs: Arrays, held: Arrays) -> list[Any]:
        found = []
        with recording(), missing_rules():
            leaves, ys = record(xs, held)
            for x, y in zip(leaves, ys, strict=True):
                rows = [pulling([entry], [x])([None])[0] for entry in y.reshape(-1)]
                zero = x.new_zeros(())
                entries = [zero if r is None else r.reshape(-1)[i] for i, r in enumerate(rows)]
                found.append(torch.stack(entries or [zero])[: len(entries)].reshape(x.shape))
        return [d.detach() for d in found]

    return run


def _blocks_of_whole(f: FlatMap, xs: Arrays, held: Arrays) -> Run:
    """The blocks are copied, so that nothing keeps the whole Jacobian."""
    whole = _functional({}, f, xs, held)

    def run(xs: Arrays, held: Arrays) -> list[Any]:
        blocks = whole(xs, held)
        sample = [xs[i % len(xs)].ndim for i in range(len(blocks))]
        diagonals = [b.diagonal(dim1=0, dim2=b.ndim - n) for b, n in zip(blocks, sample, strict=True)]
        return [d.movedim(-1, 0).contiguous() for d in diagonals]

    return run
