"""The diagonal of a sparse Jacobian from a few coloured products, where nothing simpler is valid.

The pattern is read off or found when the strategy is prepared. Since a diagonal says nothing of what lies beside it,
the strategy proves its pattern by itself, by one more product at every call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from xcheck.protocol import Engine, Native
from xcheck.strategies.assumptions import AssumptionError
from xcheck.strategies.certificate import find_violation
from xcheck.strategies.engines import Run, engines_of
from xcheck.strategies.primal import Primal
from xcheck.strategies.probe import Probe
from xcheck.strategies.quantities import Diagonal, Entries
from xcheck.strategies.recipes import PATTERN, as_places
from xcheck.strategies.recovery import RecoveryError
from xcheck.strategies.sparsity import entries_of, found_pattern, structural_pattern
from xcheck.strategies.strategy import Strategy, of_recipes

LARGE = 256
"""Inputs from which on looking for a pattern may pay."""

LOOKED_FOR = 48
"""About how many products finding a pattern of a few entries a row takes."""

SHARE = 8
"""The pattern is given up after one product for so many inputs."""


def banded_strategies(quantity: Diagonal, limit: int, seed: int = 0) -> list[Strategy]:
    """List the strategies that read a diagonal off coloured products; none for few inputs."""
    primal = quantity.primal
    if primal.n < LARGE:
        return []
    engines = [engine for engine in engines_of(primal.backend) if not engine.slow_to_compile]
    return [_strategy(primal, engine, limit, seed) for engine in engines]


def _strategy(primal: Primal, engine: Engine, limit: int, seed: int) -> Strategy:
    size = 4 * (primal.n + primal.m) * primal.itemsize * 8
    return Strategy(
        f"colours: {engine.name}",
        engine.mode,
        LOOKED_FOR,
        lambda: _prepared(primal, engine, limit, seed),
        size,
        compiles=engine.compiles,
        pays_from=engine.pays_from,
    )


def _prepared(primal: Primal, engine: Engine, limit: int, seed: int) -> Run:
    try:
        pattern = structural_pattern(primal) or found_pattern([primal], seed, primal.n // SHARE)
    except RecoveryError as error:
        raise ValueError(f"no pattern was found: {error}") from None
    entries = entries_of(primal, pattern)
    chosen = next(iter(of_recipes(entries, entries.recipes(engine.mode), limit, [engine])), None)
    if chosen is None:
        raise ValueError(f"the colouring takes fewer products of the other mode than {engine.mode}")
    probe = Probe.of(primal, chosen, seed)
    assert probe is not None
    return _proven(primal, entries, chosen.prepare(), probe, f"colours: {engine.name}")


def _proven(primal: Primal, entries: Entries, values: Run, probe: Probe, name: str) -> Run:
    xp: Any = primal.backend.namespace()  # type: ignore[attr-defined]
    places = primal.backend.from_numpy(as_places(_diagonal_places(entries)), like=primal.xs[0])
    blocks = primal.inputs.blocks

    def run(xs: Sequence[Native], held: Sequence[Native]) -> Sequence[Native]:
        found = values(xs, held)
        if probe.doubts(entries, found, xs, held):
            moved = primal.at(xs, held)
            violation = find_violation(moved, replace(entries, primal=moved), found, mode=probe.mode)
            if violation is not None:
                raise AssumptionError(primal.title, name, PATTERN, violation, "")
        padded = xp.concat([found[0], xp.zeros_like(found[0][:1])], axis=0)
        diagonal = xp.take(padded, places, axis=0)
        return [xp.reshape(diagonal[block.slice], block.shape) for block in blocks]

    return lambda xs, held: primal.backend.value(lambda inputs: run(inputs, held), xs)


def _diagonal_places(entries: Entries) -> Any:
    """Return where the diagonal's entries are among the values; behind the last for those that are not there."""
    pattern = entries.pattern
    rows = np.repeat(np.arange(pattern.shape[0]), np.diff(pattern.indptr))
    on = np.flatnonzero(rows == pattern.indices)
    places = np.full(pattern.shape[0], pattern.nnz)
    places[rows[on]] = on
    return places
