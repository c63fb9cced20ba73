"""A finer ladder at the coarse end: more digits where steps may be large, against rounding and noise.

Where a function is smooth over a good part of its input's scale, central differences at large steps lose fewest digits
to rounding, and extrapolation to step zero removes their truncation (Richardson; Neville's scheme in the squares of the
steps, Bulirsch and Stoer 1966). What a row of the scheme differs from the rows it was made of bounds what is left.
"""

from __future__ import annotations

import numpy as np

from xcheck.protocol import RealArray
from xcheck.reference.estimate import Estimate
from xcheck.reference.grid import Rows
from xcheck.reference.status import Status
from xcheck.reference.windows import KAPPA, Ladder, Mask, central_sequence
from xcheck.reference.witness import Witness

LEVELS = tuple(range(2, 14))
"""Steps from a quarter of the scale downwards, halved from level to level."""

LONGEST = 8
"""Levels in the longest row."""

SAFETY = 2.0
"""On what is left of the truncation."""


def polish(witness: Witness, rows: Rows, wanted: Mask, found: Estimate) -> None:
    """Narrow the bars of measured entries where extrapolation from large steps allows it.

    Costs 24 evaluations a direction. Nothing is taken that the first measurement contradicts.

    Args:
        witness: evaluates.
        rows: directions, r of them.
        wanted: entries to polish, shape (r, m); those without a measured slope are left alone.
        found: their estimates, narrowed in place.
    """
    wanted = wanted & ((found.status == Status.OK) | (found.status == Status.NOISY))
    some = np.flatnonzero(np.any(wanted, axis=1))
    groups: dict[tuple[int, ...], list[int]] = {}
    for place in some:
        levels = witness.reachable(LEVELS, int(rows[place]))
        if len(levels) > 2:
            groups.setdefault(levels, []).append(int(place))
    for levels, places in groups.items():
        keep = wanted[places]
        ladder, _ = witness.ladder(levels, rows[places], keep)
        row, output = np.nonzero(keep)
        where = (np.array(places)[row], output)
        first = found.at(where)
        value, bar, noise = _extrapolate(ladder, witness.z, witness.grid.unit, first)
        better = bar < first.bar
        first.value = np.where(better, value, first.value)
        first.noise = np.where(better, noise, first.noise)
        first.bar = np.where(better, bar, first.bar)
        found.put(where, first)


def _extrapolate(ladder: Ladder, z: float, unit: float, first: Estimate) -> tuple[RealArray, RealArray, RealArray]:
    """Return the best row's value, bar and noise for every pair; the bar is inf where no row will do."""
    sequence, tau, sigma = central_sequence(ladder)
    best, best_bar, best_noise = (np.full(sequence.shape[1], v) for v in (np.nan, np.inf, np.inf))
    older = list(sequence)
    for length in range(2, min(LONGEST, len(sequence)) + 1):
        newer = []
        for i in range(len(older) - 1):
            last = i + length - 1
            weight = tau[last] / (tau[i] - tau[last])
            value = older[i + 1] + (older[i + 1] - older[i]) * weight
            newer.append(value)
            if length < 3:
                continue
            left = np.maximum(np.abs(value - older[i]), np.abs(value - older[i + 1]))
            noise = z * _noise_of(tau[i : last + 1], sigma[i : last + 1])
            bar = SAFETY * left + noise + 4 * unit * np.abs(value)
            bar = np.where(_holds(value, bar, last, sequence, tau, z * sigma, first), bar, np.inf)
            bar = np.where(ladder.flat[last], np.inf, bar)  # values that do not move are rounded more coarsely
            better = bar < best_bar
            best, best_bar = np.where(better, value, best), np.where(better, bar, best_bar)
            best_noise = np.where(better, noise, best_noise)
        older = newer
    return best, best_bar, best_noise


def _noise_of(tau: RealArray, sigma: RealArray) -> RealArray:
    """Return the noise of a row: that of its values by their Lagrange weights at step zero."""
    total = np.zeros(tau.shape[1])
    for k in range(len(tau)):
        others = np.delete(tau, k, axis=0)
        total += (np.prod(others / (others - tau[k]), axis=0) * sigma[k]) ** 2
    return np.asarray(np.sqrt(total))


def _holds(
    value: RealArray, bar: RealArray, last: int, sequence: RealArray, tau: RealArray, noise: RealArray, first: Estimate
) -> Mask:
    """A row must explain every finer level (Lepski's principle) and lie in the first measurement's bar."""
    holds = np.isfinite(value) & np.isfinite(bar) & (np.abs(value - first.value) <= first.bar + bar)
    off = KAPPA * np.abs(sequence[last] - value) / tau[last]
    for j in range(last + 1, len(sequence)):
        holds &= np.abs(sequence[j] - value) <= bar + noise[j] + off * tau[j]
    return np.asarray(holds)
