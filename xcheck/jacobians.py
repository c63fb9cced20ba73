"""Whole derivatives for use: Jacobians, their diagonals, those of batches, Hessians; chosen, or by a named strategy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from xcheck.call import Wrt, read_call
from xcheck.checking.findings import prepared
from xcheck.measurement import native_wrap, plain_diagonal, plain_jacobian
from xcheck.nesting import nest_diagonal, nest_inputs, nest_jacobian
from xcheck.problem import Problem
from xcheck.protocol import Backend
from xcheck.randomness import pinned
from xcheck.strategies.computing import (
    compute,
    compute_quantity,
    quantity_of,
    sparse_quantity,
    why_no_strategy,
    why_plain,
)
from xcheck.strategies.memory import memory_limit, require_fits
from xcheck.strategies.plans import Plan
from xcheck.strategies.prepared import Options
from xcheck.strategies.primal import Primal
from xcheck.strategies.repeated import JacobianFunction


def jacobian(
    f: Callable[..., Any],
    *inputs: Any,
    strategy: str = "auto",
    memory: float | None = None,
    backend: str | Backend | None = None,
    kwargs: Mapping[str, Any] | None = None,
    wrt: Wrt = None,
    seed: int = 0,
) -> Any:
    """Compute the Jacobian.

    Costs the smaller of m pullbacks and n pushforwards, batched where that pays; what was batched is held against a
    plain product before it is returned. Nothing is compiled: `jacobian_function` is for repeated use. A backend without
    automatic derivatives measures it by finite differences.

    Args:
        f: the function, called as `f(*inputs, **kwargs)`.
        *inputs: the point.
        strategy: "auto", or the name of one; a name that does not exist raises an error that lists those that do.
        memory: bytes that may be used; half of what is free if None.
        backend: the framework; that of the inputs if None.
        kwargs: keyword arguments for `f`.
        wrt: which inputs vary: positions or names; all that can if None.
        seed: pins the random generators, and draws the vectors of proofs.

    Returns:
        A native array of shape `output.shape + input.shape`; for several outputs or inputs, the structure of the
        output around that of the inputs.

    Raises:
        ValueError: no strategy has that name, finite differences could not measure an entry, or no complex Jacobian
            exists.
        MemoryError: it does not fit; the message has the number of bytes.
        AssumptionError: the strategy that was asked for is not valid for this function.
    """
    with opened(f, inputs, backend, kwargs, wrt, seed) as problem:
        reason = why_plain(problem, "jacobian", strategy)
        if not reason:
            return compute("jacobian", problem, strategy, memory, seed)
        require_fits(quantity_of("jacobian", problem), memory_limit(memory))
    with prepared(problem.call, seed) as arena:
        return nest_jacobian(arena.problem, plain_jacobian(arena), native_wrap(arena.problem))


def jacobian_diagonal(
    f: Callable[..., Any],
    *inputs: Any,
    strategy: str = "auto",
    memory: float | None = None,
    backend: str | Backend | None = None,
    kwargs: Mapping[str, Any] | None = None,
    wrt: Wrt = None,
    seed: int = 0,
) -> Any:
    """Compute the diagonal of the Jacobian, d out_i / d x_i, of a function with as many outputs as inputs.

    Costs one product and a proof, of two more, where nothing lies beside the diagonal. Where little does, and n is
    large, it costs a search for its places and a product for each of a few groups of columns; else n products.

    Args:
        f: the function.
        *inputs: the point.
        strategy: "auto", or the name of one.
        memory: bytes that may be used; half of what is free if None.
        backend: as in `jacobian`.
        kwargs: keyword arguments for `f`.
        wrt: which inputs vary.
        seed: as in `jacobian`.

    Returns:
        Native arrays in the structure of the inputs.

    Raises:
        ValueError: the numbers of inputs and outputs differ, or a complex function is not holomorphic.
        AssumptionError: the strategy that was asked for relies on outputs that depend on their own input alone.
    """
    with opened(f, inputs, backend, kwargs, wrt, seed) as problem:
        if problem.m != problem.n:
            raise ValueError(
                f"jacobian_diagonal needs as many outputs as inputs, but {problem.call.title} maps {problem.n} numbers "
                f"to {problem.m}. Name the one input that is meant in wrt=."
            )
        reason = why_plain(problem, "diagonal", strategy)
        if not reason:
            return compute("diagonal", problem, strategy, memory, seed)
    with prepared(problem.call, seed) as arena:
        problem = arena.problem
        if any(block.is_complex for block in (*problem.inputs.blocks, *problem.outputs.blocks)):
            return nest_diagonal(problem, plain_jacobian(arena), native_wrap(problem))
        return nest_inputs(problem, plain_diagonal(arena), native_wrap(problem))


def batch_jacobian(
    f: Callable[..., Any],
    *inputs: Any,
    strategy: str = "auto",
    memory: float | None = None,
    backend: str | Backend | None = None,
    kwargs: Mapping[str, Any] | None = None,
    wrt: Wrt = None,
    seed: int = 0,
) -> Any:
    """Compute the Jacobian of every sample, d out[b] / d x[b], of a function of batches.

    Costs as many products as one sample has outputs, or inputs, and a proof that samples do not mix. Where they do
    (batch normalisation in training, attention across samples), a warning names two that do, and the Jacobians are
    taken row by row. So they are, and nothing is said, where that takes no more products than the proof.

    Args:
        f: the function; the first axis of its inputs and outputs is that of the samples.
        *inputs: the point. Inputs that all samples share are left out by `wrt=`.
        strategy: "auto", or the name of one.
        memory: bytes that may be used; half of what is free if None.
        backend: as in `jacobian`.
        kwargs: keyword arguments for `f`.
        wrt: which inputs vary.
        seed: as in `jacobian`.

    Returns:
        A native array of shape `(B, *output.shape[1:], *input.shape[1:])`; for several outputs or inputs, the structure
        of the output around that of the inputs.

    Raises:
        ValueError: inputs and outputs have first axes of different lengths.
        AssumptionError: the strategy that was asked for relies on samples that do not mix, and these do.
        NotImplementedError: complex functions, functions that draw random numbers.
    """
    with opened(f, inputs, backend, kwargs, wrt, seed) as problem:
        require_strategies(problem, "batch")
        return compute("batch", problem, strategy, memory, seed, warns=True)


def hessian(
    f: Callable[..., Any],
    *inputs: Any,
    strategy: str = "auto",
    memory: float | None = None,
    backend: str | Backend | None = None,
    kwargs: Mapping[str, Any] | None = None,
    wrt: Wrt = None,
    seed: int = 0,
) -> Any:
    """Compute the Hessian of a function with one real number as output.

    Costs n products with the gradient's derivative, forward over reverse or reverse over reverse.

    Args:
        f: the function.
        *inputs: the point.
        strategy: "auto", or the name of one.
        memory: bytes that may be used; half of what is free if None.
        backend: as in `jacobian`.
        kwargs: keyword arguments for `f`.
        wrt: which inputs vary.
        seed: as in `jacobian`.

    Returns:
        A native array of shape `input.shape + input.shape`; for several inputs, their structure around itself.

    Raises:
        ValueError: the output is not a single real number.
        NotImplementedError: the backend has no second derivatives, or no rule for this function.
    """
    with opened(f, inputs, backend, kwargs, wrt, seed) as problem:
        require_strategies(problem, "hessian")
        return compute("hessian", problem, strategy, memory, seed)


def sparse_jacobian(
    f: Callable[..., Any],
    *inputs: Any,
    pattern: Any = None,
    form: str = "scipy",
    strategy: str = "auto",
    memory: float | None = None,
    backend: str | Backend | None = None,
    kwargs: Mapping[str, Any] | None = None,
    wrt: Wrt = None,
    seed: int = 0,
) -> Any:
    """Compute a sparse Jacobian from a few products with groups of its columns or rows.

    Where its entries are is read off the program (JAX, with asdex), or found by products: about 70 for a tridiagonal
    one of 1000 columns, 170 for 10^5. Then a product is taken for each group of columns (or rows) that share no row
    (Curtis, Powell and Reid 1974). The result is proven by random products before it is returned.

    Args:
        f: the function; inputs and outputs are laid end to end.
        *inputs: the point.
        pattern: where entries may be: an (m, n) array, or a matrix of scipy.sparse; looked for if None.
        form: "scipy" for a `scipy.sparse.csr_array`, "native" for a sparse matrix of the framework.
        strategy: "auto", or the name of one.
        memory: bytes that may be used; half of what is free if None.
        backend: as in `jacobian`.
        kwargs: keyword arguments for `f`.
        wrt: which inputs vary.
        seed: as in `jacobian`.

    Returns:
        A sparse matrix of shape (m, n). Entries that are zero at this point may be stored.

    Raises:
        AssumptionError: the pattern lacks an entry, which is named.
        ValueError: the pattern has another shape, or the Jacobian is too dense for one to pay.
    """
    with opened(f, inputs, backend, kwargs, wrt, seed) as problem:
        require_strategies(problem, "sparse")
        primal = Primal.of(problem)
        quantity, _ = sparse_quantity(primal, pattern, form, [primal], seed)
        return compute_quantity(quantity, strategy, memory, seed)


def jacobian_function(
    f: Callable[..., Any],
    *inputs: Any,
    quantity: str = "jacobian",
    pattern: Any = None,
    form: str = "scipy",
    strategy: str = "auto",
    compiled: bool | None = None,
    recheck: str = "doubling",
    budget: float = 20.0,
    memory: float | None = None,
    backend: str | Backend | None = None,
    kwargs: Mapping[str, Any] | None = None,
    wrt: Wrt = None,
    seed: int = 0,
) -> JacobianFunction:
    """Prepare a derivative for repeated use: choose by a timed trial, prove, and compile, once.

    What it returns is called as `f` is and returns the derivative there, in native arrays. Arrays of other shapes are
    prepared for when they first come. What the function reads besides its arguments is frozen where the strategy
    compiles, as in `jax.jit`.

    What a strategy relies on is proven here and at three points around, and again at the calls 2, 4, 8, ...; where the
    program lets values decide what an output depends on (`where`, sorting, a branch), at every call.

    Args:
        f: the function.
        *inputs: arrays of the shapes and dtypes that it will be called with, at an ordinary point.
        quantity: "jacobian", "diagonal", "batch", "hessian" or "sparse".
        pattern: where entries may be (sparse); looked for if None.
        form: "scipy" or "native" (sparse).
        strategy: "auto", or the name of one.
        compiled: whether to try strategies that compile: those that take a moment if None (JAX, TensorFlow), all of
            them if True (`torch.compile` takes from seconds to minutes), none if False.
        recheck: "doubling", "always" or "never": when what a strategy relies on is proven again.
        budget: seconds after which no other strategy is begun.
        memory: bytes that may be used; half of what is free if None.
        backend: as in `jacobian`.
        kwargs: keyword arguments for `f`.
        wrt: which inputs vary.
        seed: as in `jacobian`.

    Returns:
        A callable; its attributes `strategy` and `plan` tell what was chosen, and why.

    Raises:
        ValueError: an argument is none of those that are accepted.
        MemoryError: the result does not fit.
        AssumptionError: the strategy that was asked for is not valid for this function.
    """
    options = Options(quantity, strategy, compiled, recheck, budget, memory, seed, pattern, form)
    function = JacobianFunction(f, backend, wrt, options)
    function.prepare(inputs, dict(kwargs or {}))
    return function


def plan(
    f: Callable[..., Any],
    *inputs: Any,
    quantity: str = "jacobian",
    pattern: Any = None,
    compiled: bool | None = None,
    budget: float = 20.0,
    memory: float | None = None,
    backend: str | Backend | None = None,
    kwargs: Mapping[str, Any] | None = None,
    wrt: Wrt = None,
    seed: int = 0,
) -> Plan:
    """Tell how a derivative is best computed, and why: every strategy, what it costs, what it relies on.

    Costs what `jacobian_function` costs. `jacobian` and its like remember which strategies were the fastest for the
    function and its shapes.

    Returns:
        A plan, to be printed; its attribute `strategy` is the name of the one to take.
    """
    return jacobian_function(
        f, *inputs, quantity=quantity, pattern=pattern, compiled=compiled, budget=budget, memory=memory,
        backend=backend, kwargs=kwargs, wrt=wrt, seed=seed,
    ).plan  # fmt: skip


@contextmanager
def opened(
    f: Callable[..., Any],
    inputs: tuple[Any, ...],
    backend: str | Backend | None,
    kwargs: Mapping[str, Any] | None,
    wrt: Wrt,
    seed: int,
) -> Iterator[Problem]:
    """Pin the random generators and evaluate the function at the point, inside the context."""
    call = read_call(f, inputs, kwargs, backend, wrt)
    with pinned(call.backend, seed) as rewind, np.errstate(all="ignore"):
        yield Problem.at(call, rewind)


def require_strategies(problem: Problem, quantity: str) -> None:
    """Refuse a function that no strategy takes.

    Raises:
        NotImplementedError: it is complex, draws random numbers, or the backend has nothing to offer.
    """
    reason = why_no_strategy(problem, quantity)
    if reason:
        raise NotImplementedError(f"no strategy takes {problem.call.title}, for quantity {quantity!r}: {reason}.")
