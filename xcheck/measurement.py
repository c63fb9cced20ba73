"""Derivatives for use, not for judgement: gradient, Jacobian, Jacobian diagonal, and finite differences with bars."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xcheck.call import Wrt, read_call
from xcheck.checks import prepared
from xcheck.consistency import signed_probes
from xcheck.derivatives import Reverse, forward_jacobian, quantity_of, reverse_jacobian
from xcheck.nesting import Wrap, nest_inputs, nest_jacobian
from xcheck.probing import Arena
from xcheck.problem import Problem
from xcheck.protocol import Backend, RealArray, SupportsJVP, SupportsVJP
from xcheck.reference.status import REASONS, Status
from xcheck.reference.witness import Witness


class Measured(NamedTuple):
    """A measured derivative.

    Attributes:
        value: the derivative; NaN where there is none.
        error_bar: its error bar, the same structure; inf where there is none.
    """

    value: Any
    error_bar: Any


def gradient(
    f: Callable[..., Any],
    *inputs: Any,
    backend: str | Backend | None = None,
    kwargs: Mapping[str, Any] | None = None,
    wrt: Wrt = None,
    seed: int = 0,
) -> Any:
    """Compute the gradient of a function with one number as output.

    Costs one pullback. A backend without automatic derivatives measures it by finite differences.

    Returns:
        Native arrays in the structure of the inputs: one like the input for a single input, else a tuple.

    Raises:
        ValueError: the output is not a single real number.
    """
    with prepared(read_call(f, inputs, kwargs, backend, wrt), seed) as arena:
        problem = arena.problem
        if problem.m != 1 or problem.outputs.blocks[0].is_complex:
            shapes = ", ".join(f"{b.name} of shape {b.shape} ({b.dtype})" for b in problem.outputs.blocks)
            raise ValueError(
                f"gradient needs a function with one real number as output, but {problem.call.title} returned {shapes}."
                " Use xcheck.jacobian, or xcheck.jacobian_diagonal for an elementwise function."
            )
        return nest_inputs(problem, _jacobian(arena)[0], _native(problem))


def jacobian(
    f: Callable[..., Any],
    *inputs: Any,
    backend: str | Backend | None = None,
    kwargs: Mapping[str, Any] | None = None,
    wrt: Wrt = None,
    seed: int = 0,
) -> Any:
    """Compute the Jacobian.

    Costs the smaller of m pullbacks and n pushforwards, batched where the backend can. A backend without automatic
    derivatives measures it by finite differences.

    Returns:
        A native array of shape `output.shape + input.shape`; for several outputs or inputs, the structure of the
        output around that of the inputs.

    Raises:
        ValueError: finite differences could not measure an entry, or no complex Jacobian exists.
    """
    with prepared(read_call(f, inputs, kwargs, backend, wrt), seed) as arena:
        return nest_jacobian(arena.problem, _jacobian(arena), _native(arena.problem))


def jacobian_diagonal(
    f: Callable[..., Any],
    *inputs: Any,
    backend: str | Backend | None = None,
    kwargs: Mapping[str, Any] | None = None,
    wrt: Wrt = None,
    seed: int = 0,
) -> Any:
    """Compute the diagonal of the Jacobian, d out_i / d x_i, of a function with as many outputs as inputs.

    Costs three products where the Jacobian is diagonal, which is proven and not assumed: `v * (J v)` is the same for
    all sign vectors v exactly when nothing lies off the diagonal. Otherwise costs n products.

    Returns:
        Native arrays in the structure of the inputs.

    Raises:
        ValueError: the numbers of inputs and outputs differ.
    """
    with prepared(read_call(f, inputs, kwargs, backend, wrt), seed) as arena:
        problem = arena.problem
        if problem.m != problem.n:
            raise ValueError(
                f"jacobian_diagonal needs as many outputs as inputs, but {problem.call.title} maps {problem.n} numbers "
                f"to {problem.m}. Name the one input that is meant in wrt=."
            )
        return nest_inputs(problem, _diagonal(arena), _native(problem))


def finite_difference(
    f: Callable[..., Any],
    *inputs: Any,
    backend: str | Backend | None = None,
    kwargs: Mapping[str, Any] | None = None,
    wrt: Wrt = None,
    seed: int = 0,
) -> Measured:
    """Measure the derivative by differences of values, with an error bar for every entry.

    No automatic derivative is used. Costs 6 evaluations for every input of an easy function, more where values are
    noisy or curved. The bar covers truncation and noise; at kinks, jumps and edges of the domain there is no slope,
    and the value is NaN with an infinite bar.

    Returns:
        `(value, error_bar)`, NumPy arrays of the shapes that `gradient` or `jacobian` return.
    """
    with prepared(read_call(f, inputs, kwargs, backend, wrt), seed) as arena:
        problem = arena.problem
        value, bar, _ = _measure(arena)
        scalar = quantity_of(problem) == "gradient" and not problem.outputs.blocks[0].is_complex

        def nest(matrix: RealArray) -> Any:
            return nest_inputs(problem, matrix[0], _plain) if scalar else nest_jacobian(problem, matrix, _plain)

        if any(b.is_complex for b in (*problem.inputs.blocks, *problem.outputs.blocks)):
            bar = _complex_bar(problem, bar)
        return Measured(nest(value), nest(bar))


def _measure(arena: Arena) -> tuple[RealArray, RealArray, RealArray]:
    witness = Witness(arena.reference, seed=arena.seed)
    found = witness.measure(np.arange(arena.problem.n), np.ones((arena.problem.n, arena.problem.m), bool)).scaled(witness.units)
    known = found.status <= Status.FLAT
    value, bar = np.where(known, found.value, np.nan), np.where(known, found.bar, np.inf)
    return value.T, bar.T, found.status.T


def _jacobian(arena: Arena) -> RealArray:
    problem = arena.problem
    backend = problem.backend
    reverse, forward = isinstance(backend, SupportsVJP), isinstance(backend, SupportsJVP)
    if reverse and (problem.m <= problem.n or not forward):
        return reverse_jacobian(problem).value
    if forward:
        try:
            return forward_jacobian(problem).value
        except NotImplementedError:
            if not reverse:
                raise
            return reverse_jacobian(problem).value
    value, _, status = _measure(arena)
    if np.any(status > Status.FLAT):
        i, j = np.argwhere(status > Status.FLAT)[0]
        raise ValueError(
            f"d {problem.outputs.entry(i)} / d {problem.inputs.entry(j)} could not be measured: "
            f"{REASONS[Status(int(status[i, j]))]}. xcheck.finite_difference returns what could be."
        )
    return value


def _diagonal(arena: Arena) -> RealArray:
    problem = arena.problem
    if not isinstance(problem.backend, SupportsVJP):
        return np.diag(_jacobian(arena)).copy()
    reverse = Reverse(problem)
    signs = np.sign(signed_probes(np.random.default_rng((arena.seed, 5)), 3, problem.n))
    products = np.array([v * reverse.pull(v) for v in signs])
    spread = np.max(products, axis=0) - np.min(products, axis=0)
    if np.all(spread <= 2.0 ** (4 - problem.precision) * np.max(np.abs(products), axis=0)):
        return np.asarray(products[0])
    step = max(1, 2**22 // problem.n)
    rows = np.arange(problem.n)
    parts = []
    for start in range(0, problem.n, step):
        part = rows[start : start + step]
        units = np.zeros((len(part), problem.n))
        units[np.arange(len(part)), part] = 1.0
        parts.append(reverse.pull_rows(units)[np.arange(len(part)), part])
    return np.concatenate(parts)


def _native(problem: Problem) -> Wrap:
    def wrap(array: NDArray[Any], k: int) -> Any:
        block = problem.inputs.blocks[k]
        wide = array.dtype.kind == "c" and not block.is_complex  # a complex output of a real input
        dtype = np.result_type(block.dtype, np.complex64) if wide else block.dtype
        if block.is_complex and array.dtype.kind != "c":
            dtype = np.empty(0, block.dtype).real.dtype
        return problem.backend.from_numpy(array.astype(dtype), like=problem.call.varying[k].value)

    return wrap


def _plain(array: NDArray[Any], k: int) -> Any:
    del k
    return array[()] if array.ndim == 0 else array


def _complex_bar(problem: Problem, bar: RealArray) -> RealArray:
    raise NotImplementedError
