"""Many products with PyTorch: by the tape, by dual numbers, by `torch.func`, compiled.

The tape takes every function that torch can differentiate. What rests on `torch.func` refuses an `autograd.Function` of
the older style, and what is mapped refuses what `torch.vmap` does. Both run with recording switched off outside of
their own levels: parameters that a function closes over would be recorded for nothing. Functions may change their
inputs in place; they are given copies.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from xcheck_backends.offers import Engine, Run
from xcheck_backends.torch_mapping import Mapper, map_flat
from xcheck_backends.torch_tape import (
    NO_RULE,
    as_tensors,
    default_generators,
    detached,
    draws_put_back,
    forward_mode,
    generated_operators,
    missing_rules,
    pushed_rows,
    quiet,
    recording,
    unrecorded,
)

FlatMap = Callable[[Sequence[Any], Sequence[Any]], Sequence[Any]]
Arrays = Sequence[Any]
Products = Callable[[FlatMap, Arrays, Arrays, Arrays], list[Any]]

IN_PLACE = "in-place operation", "vmap: inplace"
"""What a RuntimeError says of a function that changes what torch differentiates by."""


def engines() -> list[Engine]:
    """Return torch's ways to make many products."""
    reverse, traceable = partial(_reverse, map_flat), partial(_reverse, _map_traceable)
    slow = {"compiles": True, "slow_to_compile": True}
    return [
        Engine("tape loop", "vjp", _tape_loop, loops=True, pays_from=1),
        Engine("tape batched", "vjp", _tape_batched, pays_from=4),
        Engine("func.vjp vmapped", "vjp", partial(_mapped, reverse), pays_from=32),
        Engine("compiled vjp", "vjp", partial(_compiled_products, traceable), **slow),
        Engine("dual loop", "jvp", _dual_loop, loops=True, pays_from=1),
        Engine("func.jvp vmapped", "jvp", _jvp_mapped, pays_from=2),
        Engine("compiled jvp", "jvp", _jvp_compiled, **slow),
    ]


def wait(arrays: Arrays) -> None:
    """Return when the CUDA devices of `arrays` have done all their work."""
    import torch

    for device in {a.device for a in arrays if isinstance(a, torch.Tensor) and a.is_cuda}:
        torch.cuda.synchronize(device)


# Products of the tape


def _tape_loop(f: FlatMap, _xs: Arrays, _held: Arrays, seeds: Arrays, finish: Any) -> Run:
    """One evaluation, and a backward pass for every seed."""
    seeds, rows = _rows(seeds)
    record = Copies(recorded, f)

    def run(xs: Arrays, held: Arrays) -> list[Any]:
        with recording(), missing_rules():
            leaves, ys = record(xs, held)
            pull = pulling(ys, leaves)
            found = [pull(row) for row in rows[:-1]] + [pull(row, retain_graph=False) for row in rows[-1:]]
            return list(finish(_stacked(found, leaves), seeds))

    return run


def _tape_batched(f: FlatMap, xs: Arrays, held: Arrays, seeds: Arrays, finish: Any) -> Run:
    """One evaluation, and one backward pass that `vmap` takes with all seeds."""
    if len(seeds[0]) < 2:
        return _tape_loop(f, xs, held, seeds, finish)
    seeds = [detached(s) for s in seeds]
    record, mapper = Copies(recorded, f), Mapper()

    def run(xs: Arrays, held: Arrays) -> list[Any]:
        with recording(), missing_rules():
            leaves, ys = record(xs, held)
            found = mapper(pulling(ys, leaves, is_grads_batched=True), seeds)
            return list(finish(_filled(found, leaves, len(seeds[0])), seeds))

    return run


def recorded(f: FlatMap, leaves: Arrays, held: Arrays) -> tuple[Arrays, list[Any]]:
    """Evaluate `f` on the tape, which starts at `leaves` themselves."""
    for x in leaves:
        if x.is_floating_point() or x.is_complex():
            x.requires_grad_()
    return leaves, as_tensors(f(list(leaves), held))


def pulling(ys: Arrays, leaves: Arrays, **options: bool) -> Callable[..., Sequence[Any | None]]:
    """Return `pull(cotangents)`; the tape is kept unless it is told otherwise."""
    import torch

    targets, wanted = [y for y in ys if y.requires_grad], [x for x in leaves if x.requires_grad]
    every = len(targets) == len(ys) and len(wanted) == len(leaves)
    options = {"retain_graph": True, "allow_unused": True, **options}
    grad = torch.autograd.grad

    def pull(cotangents: Arrays, **more: bool) -> Sequence[Any | None]:
        if every:
            return grad(targets, wanted, cotangents, **{**options, **more})
        if not targets or not wanted:
            return [None] * len(leaves)
        weights = [g for y, g in zip(ys, cotangents, strict=True) if y.requires_grad]
        found = iter(grad(targets, wanted, weights, **{**options, **more}))
        return [next(found) if x.requires_grad else None for x in leaves]

    return pull


# Products of dual numbers


def _dual_loop(f: FlatMap, _xs: Arrays, _held: Arrays, seeds: Arrays, finish: Any) -> Run:
    """One evaluation on dual numbers for every seed, all with the same random draws."""
    seeds, rows = _rows(seeds)

    def run(xs: Arrays, held: Arrays) -> list[Any]:
        still = _still(held)
        with recording():
            if not rows:
                ys = as_tensors(f([detached(x).clone() for x in xs], still))
                return list(finish(_stacked([], ys), seeds))
            generators = default_generators()
            before = [g.get_state() for g in generators]
            pairs = pushed_rows(lambda vs: f(vs, still), xs, rows, list(zip(generators, before, strict=True)))
            found = [[None if t is None else t.detach() for t in tangents] for _, tangents in pairs]
            return list(finish(_stacked(found, [y.detach() for y in pairs[0][0]]), seeds))

    return run


# Products of torch.func


def _mapped(make: Products, f: FlatMap, xs: Arrays, held: Arrays, seeds: Arrays, finish: Any) -> Run:
    seeds = [detached(s) for s in seeds]
    if not len(seeds[0]):
        return _tape_loop(f, xs, held, seeds, finish)
    products, mapper = Copies(make, f), Mapper()

    def run(xs: Arrays, held: Arrays) -> list[Any]:
        with unrecorded(), missing_rules():
            return list(finish(mapper(products, xs, held, seeds), seeds))

    return run


def _jvp_mapped(f: FlatMap, xs: Arrays, held: Arrays, seeds: Arrays, finish: Any) -> Run:
    """Dual numbers do for a single seed."""
    if len(seeds[0]) < 2:
        return _dual_loop(f, xs, held, seeds, finish)
    forward_mode()
    return with_forward_rules(f, _mapped(partial(_forward, map_flat), copying(f), xs, held, seeds, finish))


def _compiled_products(make: Products, f: FlatMap, _xs: Arrays, _held: Arrays, seeds: Arrays, finish: Any) -> Run:
    seeds = [detached(s) for s in seeds]

    def entry(xs: Arrays, held: Arrays, given: Arrays) -> list[Any]:
        return list(finish(make(copying(f), xs, held, given), given))

    run = compiled(entry)
    return lambda xs, held: run(xs, held, seeds)


def _jvp_compiled(f: FlatMap, xs: Arrays, held: Arrays, seeds: Arrays, finish: Any) -> Run:
    forward_mode()
    return with_forward_rules(f, _compiled_products(partial(_forward, _map_traceable), f, xs, held, seeds, finish))


def _reverse(mapping: Any, f: FlatMap, xs: Arrays, held: Arrays, seeds: Arrays) -> list[Any]:
    import torch

    if len(seeds) == 1:
        _, single = torch.func.vjp(first_of(f, held), *xs)

        def pullback(cotangents: Arrays) -> Arrays:
            return single(cotangents[0])
    else:
        _, several = torch.func.vjp(unpacked(f, held), *xs)

        def pullback(cotangents: Arrays) -> Arrays:
            return several(tuple(cotangents))

    return _taken_of_all(mapping, pullback, seeds)


def _forward(mapping: Any, f: FlatMap, xs: Arrays, held: Arrays, seeds: Arrays) -> list[Any]:
    import torch

    function = unpacked(f, held)

    def push(tangents: Arrays) -> Arrays:
        ys, dys = torch.func.jvp(function, tuple(xs), tuple(tangents))
        # scalars may have widened a tangent
        return tuple(dy if dy.dtype == y.dtype else dy.to(y.dtype) for y, dy in zip(ys, dys, strict=True))

    return _taken_of_all(mapping, push, seeds)


def _taken_of_all(mapping: Any, product: Callable[[Arrays], Arrays], seeds: Arrays) -> list[Any]:
    if len(seeds[0]) == 1:
        return [p.unsqueeze(0) for p in product([s.squeeze(0) for s in seeds])]
    return mapping(product, seeds)


def _map_traceable(f: Callable[[Arrays], Arrays], xs: Arrays) -> list[Any]:
    """Map as `map_flat` does, by what `torch.compile` knows."""
    import torch

    return list(torch.func.vmap(lambda *inputs: tuple(f(inputs)), randomness="same")(*xs))


def first_of(f: FlatMap, held: Arrays) -> Callable[..., Any]:
    """Return the first output of `f` as a function of arguments."""
    return lambda *inputs: as_tensors(f(list(inputs), held))[0]


def unpacked(f: FlatMap, held: Arrays) -> Callable[..., tuple[Any, ...]]:
    """Return `f` as a function of arguments that returns a tuple."""
    return lambda *inputs: tuple(as_tensors(f(list(inputs), held)))


# What they share


class Copies:
    """Gives what differentiates a function copies of its inputs, which the function may change in place.

    Reverse mode refuses to change what it differentiates by. Only functions that try are given copies that are
    recorded. Forward mode does not refuse, and changes tangents in place as well, so all are given such copies.
    """

    def __init__(self, make: Callable[..., Any], f: FlatMap) -> None:
        """Take `make(f, xs, held, ...)` and `f`."""
        self._make, self._f = make, f
        self._tried = False

    def __call__(self, xs: Arrays, held: Arrays, *more: Any) -> Any:
        """Return `make(f, copies of xs, held, *more)`, where nothing of `held` is recorded."""
        still = _still(held)
        if self._tried:
            return self._make(self._f, _private(xs), still, *more)
        self._tried = True
        generators = default_generators()
        before = [g.get_state() for g in generators]
        try:
            return self._make(self._f, _private(xs), still, *more)
        except RuntimeError as error:
            if not any(text in str(error) for text in IN_PLACE):
                raise
        for generator, state in zip(generators, before, strict=True):  # what was drawn on the way is drawn again
            generator.set_state(state)
        self._f = copying(self._f)
        return self._make(self._f, _private(xs), still, *more)


def _private(xs: Arrays) -> list[Any]:
    return [x.detach().clone() for x in xs]


def _still(held: Arrays) -> list[Any]:
    return [detached(h) if h.requires_grad or h.is_inference() else h for h in held]


def copying(f: FlatMap) -> FlatMap:
    """Give `f` copies of its inputs that are recorded, which it may change in place."""
    return lambda xs, held: f([x.clone() for x in xs], held)


def compiled(entry: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
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
        with unrecorded():
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


def with_forward_rules(f: FlatMap, run: Run) -> Run:
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
        _, ys = recorded(copying(f), _private(xs), _still(held))
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
        present = [p for p in products if p is not None]
        if len(present) < len(products):
            products = [torch.zeros_like(x) if p is None else p for p in products]
        stacks.append(torch.stack(products) if present else _zeros(x, len(found)))
    return stacks


def _filled(found: Sequence[Any | None], like: Arrays, k: int) -> list[Any]:
    return [_zeros(x, k) if p is None else p for p, x in zip(found, like, strict=True)]


def _zeros(x: Any, k: int) -> Any:
    return x.new_zeros((k, *x.shape))
