"""The callable that `xcheck.jacobian_function` returns."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from xcheck.binding import bind
from xcheck.call import Wrt, read_call
from xcheck.problem import Problem
from xcheck.protocol import Backend, Native
from xcheck.pytree import flatten
from xcheck.randomness import pinned
from xcheck.space import is_differentiable
from xcheck.strategies.assumptions import AssumptionError
from xcheck.strategies.certificate import Plain
from xcheck.strategies.computing import find_strategy, quantity_of, sparse_quantity, strategies_for, why_no_strategy
from xcheck.strategies.memory import memory_limit, require_fits
from xcheck.strategies.plans import Plan
from xcheck.strategies.prepared import (
    FLAT,
    Options,
    Prepared,
    choices_of,
    held_violation,
    scattered,
    scattered_violation,
)
from xcheck.strategies.primal import Primal
from xcheck.strategies.quantities import Quantity
from xcheck.strategies.strategy import Strategy
from xcheck.strategies.trial import Trial, try_out

KEPT = 16
"""Preparations for other shapes and constants that are kept, the latest ones."""


class JacobianFunction:
    """A derivative, prepared for repeated use; see `xcheck.jacobian_function`.

    Attributes:
        plan: what was chosen, and why.
    """

    def __init__(self, f: Callable[..., Any], backend: str | Backend | None, wrt: Wrt, options: Options) -> None:
        """Keep what is needed to prepare; nothing is evaluated yet."""
        self._f, self._backend, self._wrt, self._options = f, backend, wrt, options
        self._ready: list[Prepared] = []
        self.plan: Plan

    @property
    def strategy(self) -> str:
        """The name of the strategy."""
        return self._ready[0].strategy.name

    def __repr__(self) -> str:
        """Name the function, the quantity and the strategy."""
        return f"<xcheck {self._options.quantity} of {self.plan.title} by {self.strategy}>"

    def __call__(self, *inputs: Any, **kwargs: Any) -> Any:
        """Compute the derivative at another point."""
        ready = self._ready[0]
        if ready.bare and len(inputs) == 1 and not kwargs and ready.is_like(inputs[0]):
            return self._computed(ready, inputs, ())
        return self._general(inputs, kwargs)

    def prepare(self, inputs: Sequence[Any], kwargs: dict[str, Any]) -> Prepared:
        """Choose, prove and compile for arrays of these shapes; costs a trial."""
        ready = self._kept(self._prepared(inputs, kwargs, self._options))
        self.plan = ready.plan
        return ready

    def _prepared(self, inputs: Sequence[Any], kwargs: dict[str, Any], options: Options) -> Prepared:
        call = read_call(self._f, inputs, kwargs, self._backend, self._wrt)
        with pinned(call.backend, options.seed) as rewind, np.errstate(all="ignore"):
            problem = Problem.at(call, rewind)
            reason = why_no_strategy(problem, options.quantity)
            if reason:
                raise NotImplementedError(f"{problem.call.title} cannot be prepared: {reason}.")
            return prepared_for(problem, options)

    def _kept(self, ready: Prepared) -> Prepared:
        self._ready = [ready, *self._ready[: KEPT - 1]]
        return ready

    def _general(self, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        first = self._ready[0].quantity.primal
        call = first.problem.call
        args = inputs
        if call.is_module:
            bound = bind(self._f, first.backend, call.title)
            args = inputs if bound is None else (bound.values, *inputs)
        leaves, structure = flatten((args, kwargs))
        leaves = [_converted(leaf, first.backend) for leaf in leaves]
        alike: Prepared | None = None
        for ready in self._ready:
            if not ready.structure.same_as(structure):
                continue
            given = ready.with_numbers(leaves)
            if ready.fits(given):
                return self._computed(ready, [given[i] for i in ready.varying], [given[i] for i in ready.held])
            alike = ready if alike is None and ready.fits_arrays(given) else alike
        ready = self._restated(alike, inputs, kwargs) if alike is not None else self.prepare(inputs, kwargs)
        primal = ready.quantity.primal
        return self._computed(ready, primal.xs, primal.held)

    def _restated(self, alike: Prepared, inputs: Sequence[Any], kwargs: dict[str, Any]) -> Prepared:
        """Prepare the same strategy for other constants, without a trial; choose anew if it is not valid there."""
        try:
            ready = self._prepared(inputs, kwargs, replace(self._options, strategy=alike.strategy.name))
        except Exception:
            return self.prepare(inputs, kwargs)
        return self._kept(replace(ready, plan=alike.plan))

    def _computed(self, ready: Prepared, xs: Sequence[Native], held: Sequence[Native]) -> Any:
        if ready.quantity.primal.problem.mutated and held:  # the user's arrays stay as they are
            backend = ready.quantity.primal.backend
            held = [backend.from_numpy(backend.to_numpy(h), like=h) for h in held]
        try:
            result = ready.compute(xs, held)
        except AssumptionError as error:
            if self._options.strategy != "auto":
                raise
            result = self._again(ready, xs, held, error)
            ready = self._ready[0]
        return result[0] if ready.single else ready.quantity.nest(ready.quantity.primal.problem, result)

    def _again(
        self, ready: Prepared, xs: Sequence[Native], held: Sequence[Native], error: AssumptionError
    ) -> Sequence[Native]:
        """Choose anew at a point that showed that the strategy is not valid."""
        warnings.warn(f"{error} Another strategy is chosen.", stacklevel=5)
        call = ready.quantity.primal.problem.call
        leaves = {**dict(zip(ready.varying, xs, strict=True)), **dict(zip(ready.held, held, strict=True))}
        full = [leaves.get(i, leaf.value) for i, leaf in enumerate(call.leaves)]
        args, kwargs = call.structure.unflatten(full)
        again = self.prepare(args[1:] if call.is_module else args, kwargs)
        self._ready = [other for other in self._ready if other is not ready]
        return again.run(xs, held)


def prepared_for(problem: Problem, options: Options) -> Prepared:
    """Choose, prove and compile at the point of a problem."""
    notes: list[str] = []
    if options.quantity == "sparse":
        quantity, notes = _sparse(problem, options)
    else:
        quantity = quantity_of(options.quantity, problem)
    limit = memory_limit(options.memory)
    require_fits(quantity, limit)
    strategies = strategies_for(quantity, limit)
    if options.strategy != "auto":
        strategies = [find_strategy(quantity, strategies, options.strategy)]
    return choose(quantity, strategies, limit, options, notes)


def _sparse(problem: Problem, options: Options) -> tuple[Quantity, list[str]]:
    primal = Primal.of(problem)
    points = [primal, *_regular(scattered(primal, 1, options.seed))]
    quantity, pattern = sparse_quantity(primal, options.pattern, options.form, points, options.seed)
    return quantity, [pattern.said]


def _regular(points: Sequence[Primal]) -> list[Primal]:
    """Keep the points at which the function has finite derivatives."""
    kept = []
    for point in points:
        try:
            plain = Plain.of(point, "jvp")
            if np.all(np.isfinite(plain.product(np.ones(point.n if plain.mode == "jvp" else point.m)))):
                kept.append(point)
        except Exception:
            continue
    return kept


def choose(
    quantity: Quantity, strategies: Sequence[Strategy], limit: int, options: Options, notes: list[str]
) -> Prepared:
    """Try strategies, until one is valid at points around as well."""
    compiled = True if options.strategy != "auto" else options.compiled
    while True:
        trial = try_out(quantity, strategies, limit, compiled, options.budget, options.seed)
        chosen = trial.candidates[0].strategy
        if options.strategy != "auto" and trial.violation is not None:
            raise AssumptionError(
                quantity.primal.title, options.strategy, trial.candidates[0].strategy.assumes, trial.violation, ""
            )
        recheck = options.recheck
        if not chosen.assumes:
            break
        violation = scattered_violation(quantity, chosen, trial.run, options.seed)
        if violation is None:
            recheck = _recheck(quantity, chosen, trial, options, notes)
            break
        if options.strategy != "auto":
            raise AssumptionError(quantity.primal.title, chosen.name, chosen.assumes, violation, "")
        notes.append(f"beside the point, {violation}: nothing was taken that relies on this: {chosen.assumes}")
        strategies = [s for s in strategies if s.assumes != chosen.assumes]
        if not strategies:
            raise AssumptionError(quantity.primal.title, chosen.name, chosen.assumes, violation, "")
    return _prepared(quantity, trial, recheck, limit, options, notes)


def _recheck(quantity: Quantity, chosen: Strategy, trial: Trial, options: Options, notes: list[str]) -> str:
    if options.recheck != "doubling":
        return options.recheck
    deciding = [choice for choice in choices_of(quantity) if not choice.endswith(FLAT)]
    if deciding:
        reason = f"values decide what outputs depend on ({', '.join(deciding[:3])})"
    elif violation := held_violation(quantity, chosen, trial.run, options.seed):
        reason = f"what is held constant decides what outputs depend on (of other values, {violation})"
    else:
        return options.recheck
    notes.append(f"{reason}, so that there is a quick look at every call; recheck='never' leaves it out")
    return "always"


def _prepared(
    quantity: Quantity, trial: Trial, recheck: str, limit: int, options: Options, notes: Sequence[str]
) -> Prepared:
    primal = quantity.primal
    call = primal.problem.call
    chosen = trial.candidates[0].strategy
    plan = Plan(primal.title, quantity.name, primal.backend.name, primal.n, primal.m, trial.candidates, notes, limit)
    leaves = list(enumerate(call.leaves))
    constant = [i for i, leaf in leaves if not leaf.varies]
    held = [i for i in constant if primal.backend.owns(call.leaves[i].value)]
    statics = [(i, call.leaves[i].value) for i in constant if i not in set(held)]
    return Prepared(
        quantity,
        chosen,
        trial.run,
        plan,
        recheck,
        call.structure,
        tuple(i for i, leaf in leaves if leaf.varies),
        tuple(held),
        tuple(statics),
        seed=options.seed,
        plain=options.recheck == "always",
    )


def _converted(leaf: Any, backend: Backend) -> Any:
    """Turn a NumPy array into one of the backend, as the verbs do."""
    if isinstance(leaf, np.ndarray) and not backend.owns(leaf) and is_differentiable(leaf.dtype):
        return backend.from_numpy(leaf)
    return leaf
