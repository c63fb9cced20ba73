"""Choosing for a single result: by shapes and structure, without compiling and without a trial.

What relies on something about the function is proven before it is returned, and what was mapped is held against a plain
product; where that fails, the next strategy is taken. Only failures are remembered, for the function and its shapes:
what succeeds is proven again every time.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from xcheck.protocol import Native
from xcheck.raised import first_line
from xcheck.strategies.assumptions import AssumptionError
from xcheck.strategies.certificate import Violation, find_violation, find_wrong_row
from xcheck.strategies.quantities import Entries, Quantity
from xcheck.strategies.strategy import Strategy

PROOF = 6
"""Products that a proof costs, about: what relies on something has to spare more."""

FORGOTTEN = 8
"""Failures are tried again after so many uses."""

TOGETHER = 0.25
"""What a product costs that is made together with others, where that pays."""

LEAST_PRECISION = 24
"""Significand bits from which on rounding hides little enough for a proof."""


@dataclass
class Computed:
    """A result, and how it came about.

    Attributes:
        result: the flat native result.
        strategy: what computed it.
        notes: what was tried before, and why it was given up.
        violation: an entry that showed that an assumption fails, if one does.
    """

    result: Sequence[Native]
    strategy: Strategy
    notes: list[str] = field(default_factory=list)
    violation: Violation | None = None


@dataclass
class Remembered:
    """What is known of a function at certain shapes.

    Attributes:
        failed: strategies and assumptions that failed, by name.
        uses: how often it was asked for.
        order: names of strategies that do not compile, the fastest first, as far as they were timed.
    """

    failed: set[str] = field(default_factory=set)
    uses: int = 0
    order: list[str] = field(default_factory=list)


_memory: weakref.WeakKeyDictionary[Any, dict[tuple[Any, ...], Remembered]] = weakref.WeakKeyDictionary()


def compute_once(quantity: Quantity, strategies: Sequence[Strategy], seed: int) -> Computed:
    """Compute a quantity by the first of the promising strategies that works and is proven.

    Raises:
        NotImplementedError: the framework has no rule for the function in any mode.
        AssumptionError: all strategies rely on something that is not so.
    """
    memory = Remembered() if isinstance(quantity, Entries) else remembered(quantity)
    failed = memory.failed
    memory.uses += 1
    if memory.uses % FORGOTTEN == 0:
        failed.clear()  # the function may have changed: batch normalisation was put into evaluation
    notes: list[str] = []
    shown: Violation | None = None
    missing: NotImplementedError | None = None
    for strategy in promising(quantity, strategies, memory.order):
        if strategy.name in failed or strategy.assumes in failed:
            continue
        try:
            result = strategy.prepare()(quantity.primal.xs, quantity.primal.held)
        except NotImplementedError as error:
            missing = error
            continue
        except Exception as error:
            if strategy.loops:
                raise
            failed.add(strategy.name)
            notes.append(f"{strategy.name}: refused ({type(error).__name__}: {first_line(error)})")
            continue
        violation = prove(quantity, strategy, result, seed)
        if violation is None:
            return Computed(result, strategy, notes, shown)
        shown = violation if strategy.assumes and not violation.inside else shown
        failed.add(strategy.name if violation.inside else strategy.assumes or strategy.name)
        notes.append(f"{strategy.name}: {violation}")
    if shown is not None:
        raise AssumptionError(quantity.primal.title, "", quantity.assumes, shown, "")
    raise missing or RuntimeError(
        f"no strategy could compute quantity {quantity.name!r}: {'; '.join(notes) or 'none fits'}"
    )


def first_that_runs(quantity: Quantity, strategies: Sequence[Strategy]) -> Sequence[Native]:
    """Return the result of the first promising strategy that the framework does not refuse, looped ones foremost.

    Raises:
        NotImplementedError: the framework has no rule for the function in any mode.
    """
    missing: NotImplementedError | None = None
    for strategy in sorted(promising(quantity, strategies), key=lambda s: not s.loops):
        try:
            return strategy.prepare()(quantity.primal.xs, quantity.primal.held)
        except NotImplementedError as error:
            missing = error
    raise missing or NotImplementedError(f"{quantity.primal.backend.name} has no products to offer")


def compute_by(quantity: Quantity, strategy: Strategy, seed: int) -> Computed:
    """Compute a quantity by the strategy that was asked for.

    Raises:
        AssumptionError: it is not valid for this function.
    """
    result = strategy.prepare()(quantity.primal.xs, quantity.primal.held)
    violation = prove(quantity, strategy, result, seed)
    if violation is not None:
        advice = 'strategy="auto" takes one that is valid.'
        raise AssumptionError(quantity.primal.title, strategy.name, strategy.assumes, violation, advice)
    return Computed(result, strategy)


def prove(quantity: Quantity, strategy: Strategy, result: Sequence[Native], seed: int) -> Violation | None:
    """Hold a result against plain products, unless it was made of nothing else; None if nothing is wrong.

    Raises:
        RuntimeError: a framework's own call gave arrays of other shapes.
    """
    if strategy.own:
        require_shapes(quantity, result)
    if strategy.loops and not strategy.assumes:
        return None
    if quantity.assumes and not strategy.assumes:  # entries outside of it are left out on purpose
        return find_wrong_row(quantity.primal, quantity, result, seed, mode=strategy.mode)
    return find_violation(quantity.primal, quantity, result, seed, mode=strategy.mode)


def require_shapes(quantity: Quantity, result: Sequence[Native]) -> None:
    """Refuse a result of other shapes: that of a function that makes something else of a batch of one, say.

    Raises:
        RuntimeError: with both.
    """
    found, due = [tuple(int(size) for size in block.shape) for block in result], quantity.shapes()
    if found != due:
        raise RuntimeError(f"gave shapes {', '.join(map(str, found))}, and {', '.join(map(str, due))} are due")


def promising(quantity: Quantity, strategies: Sequence[Strategy], order: Sequence[str] = ()) -> list[Strategy]:
    """Order the strategies for a single result: those that were timed before, then by the fewest products."""
    exact = quantity.primal.precision >= LEAST_PRECISION
    known = [s for s in strategies if not (s.compiles or s.own) and (exact or not s.assumes)]
    places = {name: place for place, name in enumerate(order)}
    return sorted(known, key=lambda s: (places.get(s.name, len(places)), *effort(s)))


def effort(strategy: Strategy) -> tuple[float, int, int, int]:
    """Order strategies by what products and proof cost, pullbacks first, then engines by when they pay."""
    pays = strategy.pays_from <= strategy.products
    share = TOGETHER if pays and not strategy.loops else 1.0
    proof = PROOF if strategy.assumes or not strategy.loops else 0
    cost = share * strategy.products + proof
    mode = 0 if strategy.mode == "vjp" else 1
    return cost, strategy.products, mode, -strategy.pays_from if pays else 1


def remember_order(quantity: Quantity, strategies: Sequence[Strategy]) -> None:
    """Keep which strategies were the fastest, for single results later on."""
    remembered(quantity).order[:] = [s.name for s in strategies if not (s.compiles or s.own)]


def remembered(quantity: Quantity) -> Remembered:
    """Return what is known of this function at these shapes."""
    primal = quantity.primal
    spaces = [tuple((b.shape, b.dtype.str) for b in space.blocks) for space in (primal.inputs, primal.outputs)]
    device = str(getattr(primal.xs[0], "device", ""))
    key = (quantity.name, primal.backend.name, device, *spaces)
    try:
        return _memory.setdefault(primal.problem.call.function, {}).setdefault(key, Remembered())
    except TypeError:  # nothing can be attached to it
        return Remembered()
