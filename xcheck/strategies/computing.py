"""One result: a strategy taken, what is unconnected or mixes said, and the shapes that users expect."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from xcheck.problem import Problem
from xcheck.protocol import Native, supports_engines, supports_jvp, supports_namespace, supports_sparse, supports_vjp
from xcheck.strategies.banded import banded_strategies
from xcheck.strategies.gradients import gradient_of
from xcheck.strategies.memory import memory_limit, require_fits
from xcheck.strategies.once import Computed, compute_by, compute_once
from xcheck.strategies.primal import Primal
from xcheck.strategies.quantities import QUANTITIES, Batch, Diagonal, Entries, Quantity, pairs_up, quantity_named
from xcheck.strategies.recovery import RecoveryError
from xcheck.strategies.replicated import replicated_strategies
from xcheck.strategies.sparsity import (
    Pattern,
    entries_of,
    found_pattern,
    given_pattern,
    sparse_strategies,
    structural_pattern,
    whole_pattern,
)
from xcheck.strategies.strategy import Strategy, gather, of_nothing

MEASURED = 64
"""Up to this many entries of a diagonal are measured one by one where there are no derivatives; kinks are seen so."""

FORMS = ("scipy", "native")
"""What sparse matrices may be made as."""

FEW = 256
"""Up to this many rows or columns, all of them are taken where a pattern is not found by less."""

LOOKED_AT = 2**20
"""Up to this many entries, blocks of zeros are looked at for inputs that the framework calls unconnected."""


def compute(
    name: str, problem: Problem, strategy: str, memory: float | None, seed: int, warns: bool = False, depth: int = 3
) -> Any:
    """Compute a quantity at the point of a problem, in the shapes that users expect.

    Args:
        name: of the quantity.
        problem: the function at the point.
        strategy: "auto", or the name of one.
        memory: bytes that may be used; half of what is free if None.
        seed: draws the vectors of proofs.
        warns: whether to warn where an assumption that users expect to hold does not.
        depth: how far up the user's code is.
    """
    return compute_quantity(quantity_of(name, problem), strategy, memory, seed, warns, depth + 1)


def compute_quantity(
    quantity: Quantity, strategy: str, memory: float | None, seed: int, warns: bool = False, depth: int = 3
) -> Any:
    """Compute a quantity, in the shapes that users expect; the arguments are those of `compute`."""
    limit = memory_limit(memory, quantity)
    require_fits(quantity, limit)
    strategies = strategies_for(quantity, limit, single=strategy == "auto")
    if strategy == "auto":
        computed = compute_once(quantity, strategies, seed)
    else:
        computed = compute_by(quantity, find_strategy(quantity, strategies, strategy), seed)
    if warns and computed.violation is not None:
        warnings.warn(said_of_fallback(quantity, computed), stacklevel=depth)
    _warn_unconnected(quantity, computed.result, depth + 1)
    return quantity.nest(quantity.primal.problem, computed.result)


def strategies_for(quantity: Quantity, limit: int, single: bool = False) -> list[Strategy]:
    """List all strategies for a quantity; without those that are no use for a single result if that is wanted."""
    if isinstance(quantity, Entries):
        return sparse_strategies(quantity, limit)
    if not quantity.entries:
        return [of_nothing(quantity)]
    found = gather(quantity, limit, single)
    if isinstance(quantity, Batch):
        found += replicated_strategies(quantity, single)
    if isinstance(quantity, Diagonal):
        found += [s for s in banded_strategies(quantity, limit) if not (single and s.compiles)]
    return found


def sparse_quantity(
    primal: Primal, pattern: object, form: str, points: Sequence[Primal], seed: int
) -> tuple[Entries, Pattern]:
    """Open a function for the entries of a pattern: that given, or else one that is read off or found.

    Args:
        primal: the function at the point.
        pattern: the user's, or None.
        form: "scipy" or "native".
        points: where to look for entries, if the pattern is not given.
        seed: of the vectors.

    Raises:
        TypeError: the pattern is no array.
        ValueError: the pattern has another shape; there is no such form; the Jacobian is too dense for one to pay.
    """
    if form not in FORMS:
        raise ValueError(f"form={form!r}. Accepted: {', '.join(map(repr, FORMS))}.")
    if form == "native" and not supports_sparse(primal.backend):
        raise ValueError(f"form='native': {primal.backend.name} has no sparse matrices of its own here; take 'scipy'.")
    if pattern is not None:
        where = given_pattern(primal, pattern)
    else:
        where = structural_pattern(primal) or _found(points, seed)
    return replace(entries_of(primal, where), native=form == "native"), where


def _found(points: Sequence[Primal], seed: int) -> Pattern:
    try:
        return found_pattern(points, seed)
    except RecoveryError as error:
        if min(points[0].m, points[0].n) <= FEW:
            return whole_pattern(points)
        known = "" if error.nonzeros is None else f", about {error.nonzeros} of {points[0].m * points[0].n} entries"
        raise ValueError(
            f"the Jacobian of {points[0].title} is not sparse enough to pay{known} ({error}); xcheck.jacobian computes "
            "all of it, and pattern= says where its entries are."
        ) from error


def quantity_of(name: str, problem: Problem) -> Quantity:
    """Open a problem for strategies.

    Raises:
        ValueError: there is no such quantity, or none of this function.
    """
    if name not in QUANTITIES:
        raise ValueError(f"quantity={name!r} is not known. Accepted: {', '.join(map(repr, (*QUANTITIES, 'sparse')))}.")
    primal = Primal.of(problem)
    return quantity_named(name, gradient_of(primal) if name == "hessian" else primal)


def find_strategy(quantity: Quantity, strategies: Sequence[Strategy], name: str) -> Strategy:
    """Return the strategy that was asked for.

    Raises:
        ValueError: there is none of that name; the message lists those that exist for the backend.
    """
    for strategy in strategies:
        if strategy.name == name:
            return strategy
    names = ", ".join(repr(s.name) for s in strategies)
    where = f"for the {quantity.name} in {quantity.primal.backend.name}"
    raise ValueError(f"strategy={name!r} does not exist {where}. Accepted: 'auto', {names}.")


def why_plain(problem: Problem, name: str, strategy: str = "auto") -> str:
    """Tell why a function has to be differentiated by plain products, or measured; empty if it need not.

    Raises:
        ValueError: a strategy was asked for by name all the same.
    """
    reason = why_no_strategy(problem, name) or (_why_measured(problem, name) if strategy == "auto" else "")
    if reason and strategy != "auto":
        raise ValueError(f"strategy={strategy!r} cannot be used for {problem.call.title}: {reason}. Leave it away.")
    return reason


def why_no_strategy(problem: Problem, name: str) -> str:
    """Tell why no strategy takes a function; empty if some do."""
    backend, name_of = problem.backend, problem.backend.name
    if not (supports_namespace(backend) and (supports_engines(backend) or has_products(backend))):
        return f"{name_of} has no derivatives, or no array namespace"
    if any(block.is_complex for block in (*problem.inputs.blocks, *problem.outputs.blocks)):
        return "it takes or returns complex numbers, and strategies take real ones"
    if problem.random:
        return "it draws random numbers, and strategies do not seed them"
    if name == "diagonal" and problem.m == problem.n and not pairs_up(Primal.of(problem)):
        return "its inputs and outputs are cut into arrays of different sizes"
    return ""


def _why_measured(problem: Problem, name: str) -> str:
    """Tell why a derivative is rather measured with error bars, where there are none to compute."""
    if has_products(problem.backend):
        return ""
    few = problem.n <= MEASURED if name == "diagonal" else name == "jacobian"
    return f"{problem.backend.name} has no derivatives, and few enough to measure are asked for" if few else ""


def has_products(backend: object) -> bool:
    """Tell whether a backend has derivatives."""
    return supports_vjp(backend) or supports_jvp(backend)


def said_of_fallback(quantity: Quantity, computed: Computed) -> str:
    """Say that the function is not what the fast strategies rely on."""
    return (
        f"{quantity.primal.title}: {computed.violation}. So it is not true that {quantity.assumes}, and what relies on "
        f"that is not valid. {computed.strategy.name} was taken, {computed.strategy.cost}."
    )


def _warn_unconnected(quantity: Quantity, result: Sequence[Native], depth: int) -> None:
    """Say that zeros stand for what the framework calls unconnected."""
    primal, to_numpy = quantity.primal, quantity.primal.backend.to_numpy
    if not 0 < quantity.entries <= LOOKED_AT or all([np.any(to_numpy(block)) for block in result]):
        return
    if not supports_vjp(primal.backend):
        return
    try:
        _, pullback = primal.backend.vjp(primal.closed(), primal.xs)
        ones = [np.ones(block.shape) for block in primal.outputs.blocks]
        gradients = pullback(primal.seed(ones, "vjp"))
    except NotImplementedError:
        return
    names = [b.name for b, g in zip(primal.inputs.blocks, gradients, strict=True) if g is None]
    if names:
        name = primal.problem.backend.name
        warnings.warn(
            f"{name} returned None for {', '.join(names)}: as far as it sees, nothing connects inputs "
            f"and output of {primal.title} there. Zeros are returned; xcheck.check tells whether they are right.",
            stacklevel=depth,
        )
