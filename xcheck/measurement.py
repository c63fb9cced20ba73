"""Derivatives for use, not for judgement, by plain products or by measuring: gradients, differences with bars."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xcheck.call import Wrt, read_call
from xcheck.checking.findings import prepared
from xcheck.claim import Claim
from xcheck.derivatives import Reverse, forward_jacobian, quantity_of, reverse_jacobian
from xcheck.nesting import Wrap, nest_bars, nest_inputs, nest_jacobian
from xcheck.probing import Arena
from xcheck.problem import CHUNK, Problem
from xcheck.protocol import Backend, RealArray, SupportsJVP, SupportsVJP
from xcheck.pytree import descend
from xcheck.reference.grid import signed_probes
from xcheck.reference.polish import polish
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
        return nest_inputs(problem, plain_jacobian(arena)[0], native_wrap(problem))


def finite_difference(
    f: Callable[..., Any],
    *inputs: Any,
    backend: str | Backend | None = None,
    kwargs: Mapping[str, Any] | None = None,
    wrt: Wrt = None,
    precise: bool = False,
    seed: int = 0,
) -> Measured:
    """Measure the derivative by differences of values, with an error bar for every entry.

    No automatic derivative is used. Costs 6 evaluations for every input of an easy function, more where values are
    noisy or curved. The bar covers truncation and noise; at kinks, jumps and edges of the domain there is no slope,
    and the value is NaN with an infinite bar.

    Args:
        f: the function, called as `f(*inputs, **kwargs)`.
        *inputs: the point.
        backend: as in `check`.
        kwargs: keyword arguments for `f`.
        wrt: which inputs vary.
        precise: extrapolate from large steps as well: bars near 1e-12 instead of 1e-10, for 24 evaluations more for
            every input.
        seed: chooses the steps and pins the random generators.

    Returns:
        `(value, error_bar)`, NumPy arrays of the shapes that `gradient` or `jacobian` return.
    """
    with prepared(read_call(f, inputs, kwargs, backend, wrt), seed) as arena:
        problem = arena.problem
        value, bar, _ = _measure(arena, np.ones((problem.m, problem.n), bool), precise)
        if quantity_of(problem) == "gradient" and not problem.outputs.blocks[0].is_complex:
            return Measured(nest_inputs(problem, value[0], _plain), _nest_gradient_bars(problem, bar))
        return Measured(nest_jacobian(problem, value, _plain, bar), nest_bars(problem, bar, _plain))


def _nest_gradient_bars(problem: Problem, bar: RealArray) -> Any:
    """Cut the bars like a gradient: what `nest_bars` gives for the one 0-d output."""
    return descend(nest_bars(problem, bar, _plain), problem.output.paths[0])


def _measure(
    arena: Arena, wanted: NDArray[np.bool_], precise: bool = False
) -> tuple[RealArray, RealArray, NDArray[Any]]:
    """Measure the wanted entries, shape (m, n); returns values, bars and statuses of that shape."""
    witness = Witness(arena.reference, seed=arena.seed)
    rows, entries = np.arange(arena.problem.n), np.ascontiguousarray(wanted.T)
    found = witness.measure(rows, entries)
    if precise:
        polish(witness, rows, entries, found)
    found = found.scaled(witness.units)
    known = found.status <= Status.FLAT
    value, bar = np.where(known, found.value, np.nan), np.where(known, found.bar, np.inf)
    return value.T, bar.T, found.status.T


def _measure_all(arena: Arena, wanted: NDArray[np.bool_]) -> RealArray:
    """Measure the wanted entries for a backend without derivatives; the others hold NaN.

    Raises:
        ValueError: one of them could not be measured.
    """
    problem = arena.problem
    value, _, status = _measure(arena, wanted)
    missing = np.argwhere(wanted & (status > Status.FLAT))
    if len(missing):
        i, j = missing[0]
        raise ValueError(
            f"d {problem.outputs.entry(i)} / d {problem.inputs.entry(j)} could not be measured: "
            f"{REASONS[Status(int(status[i, j]))]}. xcheck.finite_difference returns what could be."
        )
    return value


def plain_jacobian(arena: Arena) -> RealArray:
    """Compute the (m, n) Jacobian by plain products, or measure it for a backend without derivatives.

    Raises:
        ValueError: an entry could not be measured.
    """
    problem = arena.problem
    backend = problem.backend
    modes: list[Callable[[Problem], Claim]] = []
    if isinstance(backend, SupportsVJP):
        modes.append(reverse_jacobian)
    if isinstance(backend, SupportsJVP):
        modes.insert(0 if problem.m > problem.n else 1, forward_jacobian)
    if not modes:
        return _measure_all(arena, np.ones((problem.m, problem.n), bool))
    claim = _first_claim(problem, modes)
    if claim.unconnected:
        _warn_unconnected(problem, claim.unconnected, depth=4)
    return claim.value


def _first_claim(problem: Problem, modes: list[Callable[[Problem], Claim]]) -> Claim:
    for mode in modes[:-1]:
        try:
            return mode(problem)
        except NotImplementedError:  # no rule in this mode; the other one may have it
            continue
    return modes[-1](problem)


def _warn_unconnected(problem: Problem, names: tuple[str, ...], depth: int) -> None:
    warnings.warn(
        f"{problem.backend.name} returned None for {', '.join(names)}: as far as it sees, nothing connects inputs and "
        f"output of {problem.call.title} there. Zeros are returned; xcheck.check tells whether they are right.",
        stacklevel=depth,
    )


def plain_diagonal(arena: Arena) -> RealArray:
    """Compute the diagonal (n,) of a square Jacobian by plain products, or measure it.

    Raises:
        ValueError: an entry could not be measured.
    """
    problem = arena.problem
    if not isinstance(problem.backend, (SupportsVJP, SupportsJVP)):
        return np.diag(_measure_all(arena, np.eye(problem.n, dtype=bool))).copy()
    try:
        reverse = Reverse(problem)
        probed = _probed_diagonal(problem, reverse, arena.seed)
        return _diagonal_by_rows(problem, reverse) if probed is None else probed
    except NotImplementedError:
        return np.diag(plain_jacobian(arena)).copy()


def _probed_diagonal(problem: Problem, reverse: Reverse, seed: int) -> RealArray | None:
    """Read the diagonal off a few products; None where they show that something lies beside it."""
    if problem.precision < 24:  # rounding would hide too much
        return None
    probes = signed_probes(np.random.default_rng((seed, 5)), 4, problem.n)
    found = np.array([reverse.pull(v) / v for v in probes])
    spread = np.max(found, axis=0) - np.min(found, axis=0)
    if reverse.unconnected:
        _warn_unconnected(problem, reverse.unconnected, depth=5)
    same = spread <= 2.0 ** (4 - problem.precision) * np.max(np.abs(found), axis=0)
    return found[0] + 0.0 if np.all(same) else None  # 0.0 for -0.0


def _diagonal_by_rows(problem: Problem, reverse: Reverse) -> RealArray:
    step = max(1, CHUNK // problem.n)
    parts = []
    for start in range(0, problem.n, step):
        part = np.arange(start, min(start + step, problem.n))
        units = np.zeros((len(part), problem.n))
        units[np.arange(len(part)), part] = 1.0
        parts.append(reverse.pull_rows(units)[np.arange(len(part)), part])
    return np.concatenate(parts)


def native_wrap(problem: Problem) -> Wrap:
    """Return what turns a NumPy array for the k-th varying input into one of the backend, like that input."""

    def wrap(array: NDArray[Any], k: int) -> Any:
        dtype = problem.inputs.blocks[k].dtype
        if array.dtype.kind == "c" and dtype.kind != "c":  # a complex output of a real input
            dtype = np.dtype(np.complex128 if dtype == np.float64 else np.complex64)
        return problem.backend.from_numpy(array.astype(dtype), like=problem.call.varying[k].value)

    return wrap


def _plain(array: NDArray[Any], k: int) -> Any:
    del k
    return array[()] if array.ndim == 0 else array
