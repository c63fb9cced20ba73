"""Finding the wrong entries of a large Jacobian: group testing on the inputs, then on the outputs.

Every suspicious stretch of inputs is cut into pieces, each piece is compared by itself, and the worst go on: k wrong
inputs of n are found in about `16 k log4 n` evaluations. A claim is linear, so a shorter piece may be stretched to the
length of the whole, which keeps a single error above the function's noise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xcheck.problem import Problem
from xcheck.protocol import RealArray
from xcheck.reference.grid import Stretches, probe_shrink
from xcheck.reference.screen import screen
from xcheck.reference.witness import Witness

PIECES = 4
"""Into how many pieces a stretch is cut."""

KEPT = 8
"""Stretches that are followed; more are wrong in too many places to name all."""

EXAMPLES = 2
"""Stretches that are followed from then on."""

Span = tuple[int, int]
"""The inputs from the first to before the second."""


@dataclass(frozen=True)
class Suspect:
    """One product whose claim is wrong.

    Attributes:
        reference: what differences are made of.
        vector: the probe, shape (n,).
        project: the weights of the outputs, shape (m, 1).
        claimed: the claim's product with a part of the probe: from a vector (n,) that is zero outside the span, and
            the span.
        unit: unit roundoff of the claim.
        allowance: rounding that the product is allowed, in user units.
        noise: the function's noise as measured, shape (1,), in user units.
        seed: chooses the steps.
        longer: how many times longer they are than the usual ones.
    """

    reference: Problem
    vector: RealArray
    project: RealArray
    claimed: Callable[[RealArray, Span], float]
    unit: float
    allowance: float
    noise: RealArray
    seed: int
    longer: float = 1.0


def wrong_inputs(suspect: Suspect) -> tuple[list[int], bool]:
    """Find inputs whose part of the product is wrong.

    Returns:
        The inputs, the worst first, at most `KEPT`, of more than that `EXAMPLES`; and whether there are, or may be,
        more.
    """
    spans, more = [(0, len(suspect.vector))], False
    while any(b - a > 1 for a, b in spans):
        pieces = [piece for span in spans for piece in _cut(span)]
        gap, wrong = _compare(suspect, pieces)
        order = [i for i in np.argsort(-gap, kind="stable") if wrong[i]]
        more |= len(order) > KEPT
        spans = [pieces[i] for i in order[: EXAMPLES if more else KEPT]]
    return [a for a, _ in spans], more


def wrong_outputs(weight: RealArray, is_wrong: Callable[[RealArray], bool]) -> list[int]:
    """Find outputs whose part of `weight` alone is wrong, by halving; at most `KEPT`."""
    spans = [(0, len(weight))]
    while spans and any(b - a > 1 for a, b in spans):
        halves = [half for a, b in spans for half in ((a, (a + b) // 2), ((a + b) // 2, b)) if half[0] < half[1]]
        spans = [span for span in halves if is_wrong(_part(weight, span))][:KEPT]
    return [a for a, _ in spans]


def _cut(span: Span) -> list[Span]:
    a, b = span
    edges = np.unique(np.linspace(a, b, min(PIECES, b - a) + 1).astype(int))
    return list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))


def _compare(suspect: Suspect, spans: list[Span]) -> tuple[RealArray, NDArray[np.bool_]]:
    """Screen the claim's product with every piece; returns the gaps, in user units, and which of them fail."""
    n = len(suspect.vector)
    stretch = suspect.longer * np.array([probe_shrink(b - a) / probe_shrink(n) for a, b in spans])
    directions = Stretches(suspect.reference, suspect.vector, np.array(spans, dtype=np.intp), stretch)
    witness = Witness(suspect.reference, directions, suspect.seed, suspect.project, entries=n, noise=suspect.noise)
    claimed = np.array(
        [[suspect.claimed(_part(suspect.vector, s) * k, s)] for s, k in zip(spans, stretch, strict=True)]
    )
    units = witness.units
    found = screen(witness, claimed / units, suspect.unit, np.array([suspect.allowance]) / units[0])
    gap = np.where(np.isfinite(claimed), np.abs(claimed - found.value * units), np.inf)[:, 0] / stretch
    return gap, ~found.passed[:, 0]


def _part(vector: RealArray, span: Span) -> RealArray:
    piece = np.zeros_like(vector)
    piece[slice(*span)] = vector[slice(*span)]
    return piece
