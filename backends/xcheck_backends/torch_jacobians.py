"""Jacobians with PyTorch: ways to make many products, and torch's own calls.

The tape takes every function that torch can differentiate. What rests on `torch.func` refuses an `autograd.Function` of
the older style, and what is mapped refuses what `torch.vmap` does. Both run with recording switched off outside of
their own levels: parameters that a function closes over would be recorded for nothing. Functions may change their
inputs in place; they are given copies.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from xcheck_backends.offers import Engine, OwnCall, Run
from xcheck_backends.torch_tape import (
    NO_RULE,
    as_tensors,
    call_mapped,
    default_generators,
    detached,
    draws_put_back,
    forward_mode,
    generated_operators,
    missing_rules,
    not_leaf,
    pushed,
    quiet,
    recording,
    variable,
)

FlatMap = Callable[[Sequence[Any], Sequence[Any]], Sequence[Any]]
Arrays = Sequence[Any]
Products = Callable[[FlatMap, Arrays, Arrays, Arrays], list[Any]]

CHUNK = 64
"""How many rows `jacrev` makes at once where it is asked to save memory."""


def engines() -> list[Engine]:
    """Return torch's ways to make many products."""
    return [
        Engine("tape loop", "vjp", _tape_loop, loops=True, pays_from=1),
        Engine("tape, batched", "vjp", _tape_batched, pays_from=2),
        Engine("func.vjp, vmapped", "vjp", partial(_mapped, _reverse), pays_from=2),
        Engine("compiled vjp", "vjp", partial(_compiled_products, _reverse), compiles=True, slow_to_compile=True),
        Engine("dual loop", "jvp", _dual_loop, loops=True, pays_from=1),
        Engine("func.jvp, vmapped", "jvp", _jvp_mapped, pays_from=2),
        Engine("compiled jvp", "jvp", _jvp_compiled, compiles=True, slow_to_compile=True),
    ]


def own_calls(quantity: str) -> list[OwnCall]:
    """Return torch's own calls for "jacobian", "diagonal", "batch" or "hessian"; none for anything else."""
    found: dict[str, Callable[[], list[OwnCall]]] = {
        "jacobian": _jacobian_calls,
        "diagonal": _diagonal_calls,
        "batch": _batch_calls,
        "hessian": _hessian_calls,
    }
    return found[quantity]() if quantity in found else []


def wait(arrays: Arrays) -> None:
    """Return when the CUDA devices of `arrays` have done all their work."""
    import torch

    for device in {a.device for a in arrays if isinstance(a, torch.Tensor) and a.is_cuda}:
        torch.cuda.synchronize(device)


# Products of the tape


def _tape_loop(f: FlatMap, _xs: Arrays, _held: Arrays, seeds: Arrays, finish: Any) -> Run:
    """One evaluation, and a backward pass for every seed."""
    seeds, rows = _rows(seeds)

    def run(xs: Arrays, held: Arrays) -> list[Any]:
        with recording(), missing_rules():
            leaves, ys = _recorded(f, xs, held)
            found = [_pulled(ys, leaves, row, last=i == len(rows)) for i, row in enumerate(rows, 1)]
            return list(finish(_stacked(found, leaves), seeds))

    return run


def _tape_batched(f: FlatMap, _xs: Arrays, _held: Arrays, seeds: Arrays, finish: Any) -> Run:
    """One evaluation, and one backward pass that `vmap` takes with all seeds."""
    seeds, rows = _rows(seeds)
    if len(rows) < 2:
        return _tape_loop(f, _xs, _held, seeds, finish)

    def run(xs: Arrays, held: Arrays) -> list[Any]:
        with recording(), missing_rules():
            leaves, ys = _recorded(f, xs, held)
            found = call_mapped(lambda: _pulled(ys, leaves, seeds, batched=True))
            products = [_zeros(x, len(rows)) if p is None else p for p, x in zip(found, leaves, strict=True)]
            return list(finish(products, seeds))

    return run


def _recorded(f: FlatMap, xs: Arrays, held: Arrays) -> tuple[list[Any], list[Any]]:
    leaves = [variable(x) for x in xs]
    return leaves, as_tensors(f([not_leaf(x) for x in leaves], [detached(h) for h in held]))


def _pulled(
    ys: Arrays, leaves: Arrays, cotangents: Arrays, *, batched: bool = False, last: bool = False
) -> list[Any | None]:
    import torch

    wanted = [x for x in leaves if x.requires_grad]
    pairs = [(y, g) for y, g in zip(ys, cotangents, strict=True) if y.requires_grad]
    if not pairs or not wanted:
        return [None] * len(leaves)
    targets, weights = [y for y, _ in pairs], [g for _, g in pairs]
    found = iter(
        torch.autograd.grad(
            targets, wanted, weights, retain_graph=not (last or batched), allow_unused=True, is_grads_batched=batched
        )
    )
    return [next(found) if x.requires_grad else None for x in leaves]


# Products of dual numbers


def _dual_loop(f: FlatMap, _xs: Arrays, _held: Arrays, seeds: Arrays, finish: Any) -> Run:
    """One evaluation on dual numbers for every seed, all with the same random draws."""
    seeds, rows = _rows(seeds)

    def run(xs: Arrays, held: Arrays) -> list[Any]:
        still = [detached(h) for h in held]
        with recording():
            ys, found = [], []
            for row in _redrawn(rows):
                ys, dys = pushed(lambda vs: f(vs, still), xs, row)
                found.append([None if t is None else t.detach() for t in dys])
            ys = ys or as_tensors(f([detached(x).clone() for x in xs], still))
            return list(finish(_stacked(found, [y.detach() for y in ys]), seeds))

    return run


def _redrawn(rows: Arrays) -> Iterator[Any]:
    """Give one after the other; before all but the first, put torch's generators back to where they were."""
    if len(rows) < 2:
        yield from rows
        return
    generators = default_generators()
    before = [g.get_state() for g in generators]
    yield rows[0]
    drawn = [(g, s) for g, s in zip(generators, before, strict=True) if not g.get_state().equal(s)]
    for row in rows[1:]:
        for generator, state in drawn:
            generator.set_state(state)
        yield row


# Products of torch.func


def _mapped(make: Products, f: FlatMap, _xs: Arrays, _held: Arrays, seeds: Arrays, finish: Any) -> Run:
    seeds = [detached(s) for s in seeds]
    if not len(seeds[0]):
        return _tape_loop(f, _xs, _held, seeds, finish)

    def run(xs: Arrays, held: Arrays) -> list[Any]:
        inputs, still = [detached(x) for x in xs], [detached(h) for h in held]
        with _unrecorded(), missing_rules():
            return list(finish(call_mapped(lambda: make(f, inputs, still, seeds)), seeds))

    return run


def _jvp_mapped(f: FlatMap, xs: Arrays, held: Arrays, seeds: Arrays, finish: Any) -> Run:
    """Dual numbers do for a single seed."""
    if len(seeds[0]) < 2:
        return _dual_loop(f, xs, held, seeds, finish)
    return _with_forward_rules(f, _mapped(_forward, f, xs, held, seeds, finish))


def _compiled_products(make: Products, f: FlatMap, _xs: Arrays, _held: Arrays, seeds: Arrays, finish: Any) -> Run:
    seeds = [detached(s) for s in seeds]

    def entry(xs: Arrays, held: Arrays, given: Arrays) -> list[Any]:
        return list(finish(make(f, xs, held, given), given))

    run = _compiled(entry)
    return lambda xs, held: run(xs, held, seeds)


def _jvp_compiled(f: FlatMap, xs: Arrays, held: Arrays, seeds: Arrays, finish: Any) -> Run:
    forward_mode()
    return _with_forward_rules(f, _compiled_products(_forward, f, xs, held, seeds, finish))


def _reverse(f: FlatMap, xs: Arrays, held: Arrays, seeds: Arrays) -> list[Any]:
    import torch

    _, pullback = torch.func.vjp(_unpacked(f, held), *xs)
    if len(seeds[0]) == 1:
        return [p.unsqueeze(0) for p in pullback(tuple(s.squeeze(0) for s in seeds))]
    return list(torch.func.vmap(pullback)(tuple(seeds)))


def _forward(f: FlatMap, xs: Arrays, held: Arrays, seeds: Arrays) -> list[Any]:
    import torch

    function = _unpacked(f, held)

    def push(*tangents: Any) -> tuple[Any, ...]:
        ys, dys = torch.func.jvp(function, tuple(xs), tangents)
        return tuple(dy.to(y.dtype) for y, dy in zip(ys, dys, strict=True))  # scalars may have widened a tangent

    if len(seeds[0]) == 1:
        return [p.unsqueeze(0) for p in push(*(s.squeeze(0) for s in seeds))]
    return list(torch.func.vmap(push, randomness="same")(*seeds))


def _unpacked(f: FlatMap, held: Arrays) -> Callable[..., tuple[Any, ...]]:
    return lambda *inputs: tuple(as_tensors(f([x.clone() for x in inputs], held)))


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
    def run(xs: Arrays, held: Arrays) -> list[Any]:
        inputs, still = [detached(x) for x in xs], [detached(h) for h in held]
        with _unrecorded(), missing_rules():
            return list(call_mapped(lambda: make(f, inputs, still)))

    return run


def _func_forward(make: Whole, f: FlatMap, xs: Arrays, held: Arrays) -> Run:
    forward_mode()
    return _with_forward_rules(f, _func(make, f, xs, held))


def _func_compiled(make: Whole, f: FlatMap, _xs: Arrays, _held: Arrays) -> Run:
    def entry(xs: Arrays, held: Arrays) -> list[Any]:
        return list(make(f, xs, held))

    return _compiled(entry)


def _func_forward_compiled(make: Whole, f: FlatMap, xs: Arrays, held: Arrays) -> Run:
    forward_mode()
    return _with_forward_rules(f, _func_compiled(make, f, xs, held))


def _whole(call: str, options: dict[str, int], f: FlatMap, xs: Arrays, held: Arrays) -> list[Any]:
    import torch

    jacobian = getattr(torch.func, call)(_unpacked(f, held), argnums=tuple(range(len(xs))), **options)
    return [block for row in jacobian(*xs) for block in row]


def _by_sample(call: str, f: FlatMap, xs: Arrays, held: Arrays) -> list[Any]:
    """Differentiate `f` of a batch of one, for every sample."""
    import torch

    def alone(*sample: Any) -> tuple[Any, ...]:
        return tuple(y[0] for y in as_tensors(f([x[None].clone() for x in sample], held)))

    jacobian = getattr(torch.func, call)(alone, argnums=tuple(range(len(xs))))
    return [block for row in torch.func.vmap(jacobian)(*xs) for block in row]


def _twice(call: str, f: FlatMap, xs: Arrays, held: Arrays) -> list[Any]:
    import torch

    every = tuple(range(len(xs)))
    scalar = _scalar(f, held)
    once = scalar if call == "hessian" else torch.func.grad(scalar, argnums=every)
    return [block for row in getattr(torch.func, call)(once, argnums=every)(*xs) for block in row]


def _scalar(f: FlatMap, held: Arrays) -> Callable[..., Any]:
    return lambda *inputs: _unpacked(f, held)(*inputs)[0]


def _functional(options: dict[str, Any], f: FlatMap, _xs: Arrays, _held: Arrays) -> Run:
    import torch

    def run(xs: Arrays, held: Arrays) -> list[Any]:
        function = _unpacked(f, [detached(h) for h in held])
        with recording(), missing_rules():
            inputs = tuple(detached(x) for x in xs)
            rows = call_mapped(lambda: torch.autograd.functional.jacobian(function, inputs, **options))
            return [block for row in rows for block in row]

    if "strategy" not in options:
        return run
    forward_mode()
    return _with_forward_rules(f, run)


def _functional_hessian(options: dict[str, Any], f: FlatMap, _xs: Arrays, _held: Arrays) -> Run:
    import torch

    def run(xs: Arrays, held: Arrays) -> list[Any]:
        function = _scalar(f, [detached(h) for h in held])
        with recording(), missing_rules():
            inputs = tuple(detached(x) for x in xs)
            rows = call_mapped(lambda: torch.autograd.functional.hessian(function, inputs, **options))
            return [block for row in rows for block in row]

    return run


def _diagonal_of_whole(f: FlatMap, xs: Arrays, held: Arrays) -> Run:
    whole = _functional({}, f, xs, held)

    def run(xs: Arrays, held: Arrays) -> list[Any]:
        blocks = whole(xs, held)[:: len(xs) + 1]
        return [b.reshape(x.numel(), x.numel()).diagonal().reshape(x.shape) for b, x in zip(blocks, xs, strict=True)]

    return run


def _diagonal_loop(f: FlatMap, _xs: Arrays, _held: Arrays) -> Run:
    import torch

    def run(xs: Arrays, held: Arrays) -> list[Any]:
        found = []
        with recording(), missing_rules():
            leaves, ys = _recorded(f, xs, held)
            for x, y in zip(leaves, ys, strict=True):
                rows = [_pulled([entry], [x], [None])[0] for entry in y.reshape(-1)]
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


# What they share


@contextmanager
def _unrecorded() -> Iterator[None]:
    """Record nothing on the tape, and make ordinary tensors."""
    import torch

    with recording(), torch.no_grad():
        yield


def _compiled(entry: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    """Compile a function of lists of tensors, whole or not at all.

    It is given code of its own, so that no other one's compilations count towards a limit.
    """
    import torch

    entry.__code__ = entry.__code__.replace(co_name="compiled")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.compile(entry, dynamic=False, fullgraph=True)
    call = partial(_first_call, traced)

    def run(*lists: Arrays) -> list[Any]:
        nonlocal call
        given = [[detached(x) for x in arrays] for arrays in lists]
        with _unrecorded():
            results = call(*given)
        call = traced
        return list(results)

    return run


def _first_call(traced: Callable[..., Any], *lists: Arrays) -> Any:
    with warnings.catch_warnings(), quiet("torch._dynamo"), quiet("torch._inductor"):
        warnings.simplefilter("ignore")  # of what is inside torch
        try:
            return traced(*lists)
        except Exception as error:
            text = str(error)
            kind = NotImplementedError if any(reason in text for reason in NO_RULE) else RuntimeError
            raise kind(f"torch.compile refuses the function: {_first_line(text) or type(error).__name__}") from error


def _first_line(text: str) -> str:
    """Return it, with the next one where it ends in a colon."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines[: 2 if lines and lines[0].endswith(":") else 1])


def _with_forward_rules(f: FlatMap, run: Run) -> Run:
    """Look, before the first run, for operators whose tangents `torch.func.jvp` drops without a word."""
    known = False

    def checked(xs: Arrays, held: Arrays) -> Sequence[Any]:
        nonlocal known
        if not known:
            _require_forward_rules(f, xs, held)
            known = True
        return run(xs, held)

    return checked


def _require_forward_rules(f: FlatMap, xs: Arrays, held: Arrays) -> None:
    with recording(), draws_put_back():
        _, ys = _recorded(f, xs, held)
    if names := generated_operators(ys):
        raise NotImplementedError(f"operators of torch.library have no forward rules, such as {names[0]}")


def _rows(seeds: Arrays) -> tuple[list[Any], list[Any]]:
    """Return detached seeds, and the same one by one."""
    seeds = [detached(s) for s in seeds]
    return seeds, list(zip(*(s.unbind() for s in seeds), strict=True))


def _stacked(found: Sequence[Sequence[Any | None]], like: Arrays) -> list[Any]:
    """Stack products of the same array; None stands for zeros."""
    import torch

    stacks = []
    for i, x in enumerate(like):
        products = [product[i] for product in found]
        if all(p is None for p in products):
            stacks.append(_zeros(x, len(found)))
        else:
            stacks.append(torch.stack([torch.zeros_like(x) if p is None else p for p in products]))
    return stacks


def _zeros(x: Any, k: int) -> Any:
    return x.new_zeros((k, *x.shape))
