"""Traces of Jacobians (divergences), exact and estimated, and estimated diagonals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from xcheck.call import Wrt
from xcheck.jacobians import jacobian_diagonal, opened, require_strategies
from xcheck.nesting import inputs_like
from xcheck.problem import Problem
from xcheck.protocol import Backend, Native
from xcheck.pytree import flatten
from xcheck.strategies.estimation import Estimate, diagonal_estimate, trace_estimate
from xcheck.strategies.memory import memory_limit
from xcheck.strategies.once import first_that_runs
from xcheck.strategies.primal import Primal
from xcheck.strategies.quantities import quantity_named
from xcheck.strategies.recipes import Recipe
from xcheck.strategies.strategy import of_recipes

FEWEST = 2
"""Random vectors that scatter can be told from."""


def jacobian_trace(
    f: Callable[..., Any],
    *inputs: Any,
    strategy: str = "auto",
    memory: float | None = None,
    backend: str | Backend | None = None,
    kwargs: Mapping[str, Any] | None = None,
    wrt: Wrt = None,
    seed: int = 0,
) -> float:
    """Compute the trace of the Jacobian: the divergence of a vector field.

    Costs what `jacobian_diagonal` costs: one product and a proof where nothing lies beside the diagonal, else n.

    Args:
        f: the function, with as many outputs as inputs.
        *inputs: the point.
        strategy: "auto", or the name of one for the diagonal.
        memory: bytes that may be used; half of what is free if None.
        backend: as in `jacobian`.
        kwargs: keyword arguments for `f`.
        wrt: which inputs vary.
        seed: as in `jacobian`.

    Raises:
        ValueError: the numbers of inputs and outputs differ.
        AssumptionError: the strategy that was asked for is not valid for this function.
    """
    diagonal = jacobian_diagonal(
        f, *inputs, strategy=strategy, memory=memory, backend=backend, kwargs=kwargs, wrt=wrt, seed=seed
    )
    with opened(f, inputs, backend, kwargs, wrt, seed) as problem:
        parts = [problem.as_array(part) for part in flatten(diagonal)[0]]
    return float(sum(part.sum(dtype=float) for part in parts))


def estimate_trace(
    f: Callable[..., Any],
    *inputs: Any,
    samples: int = 64,
    memory: float | None = None,
    backend: str | Backend | None = None,
    kwargs: Mapping[str, Any] | None = None,
    wrt: Wrt = None,
    seed: int = 0,
) -> Estimate:
    """Estimate the trace of the Jacobian from products with random signs (Hutchinson 1990).

    Costs `samples` products, whatever n is. The error falls with the root of their number.

    Args:
        f: the function, with as many outputs as inputs.
        *inputs: the point.
        samples: how many random vectors.
        memory: bytes that may be used; half of what is free if None.
        backend: as in `jacobian`.
        kwargs: keyword arguments for `f`.
        wrt: which inputs vary.
        seed: draws the vectors.

    Returns:
        `(value, standard_error)`, two native numbers.

    Raises:
        ValueError: the numbers of inputs and outputs differ, or `samples` is not at least 2.
    """
    with opened(f, inputs, backend, kwargs, wrt, seed) as problem:
        return Estimate(*_estimated(problem, trace_estimate, samples, memory, seed))


def estimate_diagonal(
    f: Callable[..., Any],
    *inputs: Any,
    samples: int = 64,
    memory: float | None = None,
    backend: str | Backend | None = None,
    kwargs: Mapping[str, Any] | None = None,
    wrt: Wrt = None,
    seed: int = 0,
) -> Estimate:
    """Estimate the diagonal of the Jacobian from products with random signs (Bekas, Kokiopoulou and Saad 2007).

    Costs `samples` products, whatever n is. The error of an entry is the size of its row beside the diagonal, over the
    root of their number; `jacobian_diagonal` has it exactly, for n products at most.

    Args:
        f: the function, with as many outputs as inputs.
        *inputs: the point.
        samples: how many random vectors.
        memory: bytes that may be used; half of what is free if None.
        backend: as in `jacobian`.
        kwargs: keyword arguments for `f`.
        wrt: which inputs vary.
        seed: draws the vectors.

    Returns:
        `(value, standard_error)`, each in the structure of the inputs.

    Raises:
        ValueError: the numbers of inputs and outputs differ, or `samples` is not at least 2.
    """
    with opened(f, inputs, backend, kwargs, wrt, seed) as problem:
        found = _estimated(problem, diagonal_estimate, samples, memory, seed)
        count = len(found) // 2
        return Estimate(inputs_like(problem, found[:count]), inputs_like(problem, found[count:]))


def _estimated(
    problem: Problem, recipe: Callable[[Primal, str, int, int], Recipe], samples: int, memory: float | None, seed: int
) -> Sequence[Native]:
    if isinstance(samples, bool) or not isinstance(samples, int) or samples < FEWEST:
        raise ValueError(
            f"samples is a whole number of at least {FEWEST}, since an error is wanted; given: {samples!r}."
        )
    require_strategies(problem, "diagonal")
    quantity = quantity_named("diagonal", Primal.of(problem))
    recipes = [recipe(quantity.primal, mode, samples, seed) for mode in ("vjp", "jvp")]
    return first_that_runs(quantity, of_recipes(quantity, recipes, memory_limit(memory)))
