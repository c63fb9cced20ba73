"""Forward mode against reverse mode: `<w, J v> = <J^T w, v>` needs no differences and holds to rounding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from xcheck.claim import Claim
from xcheck.comparison import Comparison, Entry, Source
from xcheck.derivatives import Forward, Reverse, quantity_of
from xcheck.problem import Problem
from xcheck.protocol import RealArray
from xcheck.verdict import Verdict

PROBES = 3
"""Random vectors in the test; a single wrong entry cannot hide from one of them."""

ROUNDING = {53: 256.0, 24: 256.0, 11: 32.0, 8: 32.0}
"""Allowed difference in units of roundoff times the sum of magnitudes; 15 models needed 27 at most."""

Product = Callable[[Problem, RealArray], RealArray]


@dataclass(frozen=True)
class _Side:
    """Two ways to the same numbers, with the sums of magnitudes that rounding is measured by."""

    forward: RealArray
    reverse: RealArray
    magnitude: RealArray
    smallest: float


def compare_modes(problem: Problem, reverse: Claim | None, forward: Claim | None, seed: int) -> Comparison:
    """Compare a backend's jvp with its vjp on random probes.

    Costs three pushforwards or pullbacks, fewer where a whole Jacobian is at hand already.

    Args:
        problem: the function.
        reverse: the Jacobian from pullbacks, if it is at hand.
        forward: the Jacobian from pushforwards, if it is at hand.
        seed: chooses the probes.

    Raises:
        NotImplementedError: one of the modes has no rule for this function.
    """
    rng = np.random.default_rng((seed, 2))
    v, w = signed_probes(rng, PROBES, problem.n), signed_probes(rng, PROBES, problem.m)
    side = _measure(problem, reverse, forward, v, w)
    unit = ROUNDING[problem.precision] * 2.0**-problem.precision
    apart = np.abs(side.forward - side.reverse)
    allowed = unit * side.magnitude
    if not np.all(apart <= allowed):
        allowed = allowed + 8 * _own_noise(problem, reverse, forward, v, w, side)
    wrong = ~(apart <= allowed) & ~(np.isnan(side.forward) & np.isnan(side.reverse))
    verdict = Verdict.DISAGREE if np.any(wrong) else Verdict.AGREE
    limit = float(np.max(allowed, initial=0.0)) / side.smallest
    return Comparison(
        Source(f"{problem.backend.name}/jvp"),
        Source(f"{problem.backend.name}/vjp"),
        quantity_of(problem),
        verdict,
        "",
        _entries(problem, side, allowed, wrong),
        int(np.count_nonzero(wrong)),
        0,
        int(wrong.size),
        limit,
        float(np.max(allowed / np.maximum(side.magnitude, np.finfo(np.float64).tiny), initial=0.0)),
        (),
        f"inner products with {PROBES} probes",
    )


def signed_probes(rng: np.random.Generator, count: int, size: int) -> RealArray:
    """Draw vectors of entries `±(1 + i/64)`, i in 0..63: few bits, and none near zero."""
    return rng.choice([-1.0, 1.0], size=(count, size)) * (1 + rng.integers(0, 64, size=(count, size)) / 64)


def _measure(problem: Problem, reverse: Claim | None, forward: Claim | None, v: RealArray, w: RealArray) -> _Side:
    if reverse is not None:
        push = Forward(problem).push
        pushed = v @ forward.value.T if forward is not None else np.array([push(x) for x in v])
        magnitude = (np.abs(reverse.value) @ np.abs(v).T).T + np.abs(pushed)
        return _Side(pushed, (reverse.value @ v.T).T, magnitude, 1.0)
    pull = Reverse(problem).pull
    pulled = np.array([pull(x) for x in w])
    if forward is not None:
        magnitude = np.abs(w) @ np.abs(forward.value) + np.abs(pulled)
        return _Side(w @ forward.value, pulled, magnitude, 1.0)
    push = Forward(problem).push
    pushed = np.array([push(x) for x in v])
    magnitude = np.abs(w * pushed).sum(axis=1) + np.abs(v * pulled).sum(axis=1)
    return _Side((w * pushed).sum(axis=1), (v * pulled).sum(axis=1), magnitude, 1.0)


def _own_noise(
    problem: Problem, reverse: Claim | None, forward: Claim | None, v: RealArray, w: RealArray, side: _Side
) -> RealArray:
    """Measure how the products themselves jitter when the input moves by an ulp: cancellation inside the rules."""
    noise = np.zeros_like(side.forward)
    for sign in (1.0, -1.0, 2.0):
        moved = problem.beside(sign)
        again = _measure(moved, None, None, v, w) if reverse is None and forward is None else None
        if again is not None:
            parts = (again.forward - side.forward, again.reverse - side.reverse)
        elif reverse is not None:
            push = Forward(moved).push
            parts = (np.array([push(x) for x in v]) - side.forward,)
        else:
            pull = Reverse(moved).pull
            parts = (np.array([pull(x) for x in w]) - side.reverse,)
        for part in parts:
            noise = np.fmax(noise, np.abs(np.where(np.isfinite(part), part, 0.0)))
    return noise


def _entries(problem: Problem, side: _Side, allowed: RealArray, wrong: RealArray) -> tuple[Entry, ...]:
    entries = []
    for index in np.argwhere(wrong)[:3]:
        at = tuple(index)
        where = ""
        if len(at) == 2:
            space = problem.outputs if side.forward.shape[1] == problem.m else problem.inputs
            where = f" at {space.entry(at[1])}"
        name = f"product with probe {at[0]}{where}"
        entries.append(
            Entry(name, float(side.forward[at]), float(side.reverse[at]), float(allowed[at]), Verdict.DISAGREE)
        )
    return tuple(entries)
