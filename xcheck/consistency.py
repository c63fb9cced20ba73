"""Forward mode against reverse mode: `<w, J v> = <J^T w, v>` needs no differences and holds to rounding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xcheck.claim import Claim
from xcheck.comparison import Comparison, Entry, Source
from xcheck.derivatives import Forward, Reverse, quantity_of
from xcheck.problem import Problem
from xcheck.protocol import RealArray
from xcheck.reference.grid import signed_probes
from xcheck.space import stretches
from xcheck.verdict import Verdict

PROBES = 3
"""Random vectors of few bits in the test; a single wrong entry cannot hide from one of them."""

ONE_IS_ENOUGH = 24
"""From this many significant bits on, one probe with random digits all the way is asked first. A single wrong entry
cannot hide from it; several errors cancel in it with a chance of about rounding over their size, and in a probe of few
bits once in 128 times."""

ROUNDING = {53: 256.0, 24: 256.0, 11: 32.0, 8: 32.0}
"""Allowed difference in units of roundoff times the sum of magnitudes; 15 models needed 27 at most."""

SPLITS = 2
"""How often the rounding of products is measured."""

NONLINEAR = 1e-3
"""A product that misses the sum of two halves by more than this share is not linear, whatever its rounding."""

NO_DERIVATIVE = "the modes differ where the point has no derivative, or where one of them is not finite"


@dataclass(frozen=True)
class _Side:
    """Two ways to the same numbers, with the sums of magnitudes that rounding is measured by."""

    forward: RealArray
    reverse: RealArray
    magnitude: RealArray
    along: str = "outputs"
    bilinear: bool = False


def compare_modes(
    problem: Problem,
    reverse: Claim | None,
    forward: Claim | None,
    seed: int,
    undecided: Undecided | None = None,
    vectors: RealArray | None = None,
) -> Comparison:
    """Compare a backend's jvp with its vjp on random probes.

    Costs one pushforward or pullback beside a Jacobian at hand; nine more where the first answer is no. Where there is
    no Jacobian or the precision is low, three at first.

    Args:
        problem: the function.
        reverse: the Jacobian from pullbacks, if it is at hand.
        forward: the Jacobian from pushforwards, if it is at hand.
        seed: chooses the probes.
        undecided: where the point has no derivative, so that the modes may follow different conventions.
        vectors: probes of the inputs to use, shape (k, n); drawn if None.

    Raises:
        NotImplementedError: one of the modes has no rule for this function.
    """
    rng = np.random.default_rng((seed, 2))
    single = vectors is None and (reverse is None) != (forward is None) and problem.precision >= ONE_IS_ENOUGH
    if single:
        v, w = (_probe_of_all_digits(rng, size, problem.precision) for size in (problem.n, problem.m))
        v *= problem.scale
        side = _measure(problem, reverse, forward, v, w)
    else:
        v, w = _probes(problem, rng, vectors)
        side = _from_matrices(reverse, forward, v) or _measure(problem, reverse, forward, v, w)
    allowed = ROUNDING[problem.precision] * 2.0**-problem.precision * side.magnitude
    if not np.all(np.abs(side.forward - side.reverse) <= allowed):
        if single:
            v, w = _probes(problem, rng, None)
        side = _measure(problem, reverse, forward, v, w)
        allowed = _allowed(problem, reverse, forward, v, w, side)
    apart = np.abs(side.forward - side.reverse)
    equal = (side.forward == side.reverse) | (np.isnan(side.forward) & np.isnan(side.reverse))
    differ = ~((apart <= allowed) & np.isfinite(apart)) & ~equal  # next to an infinite entry anything is allowed
    excused = differ & (_excused(side, undecided) | ~np.isfinite(apart))
    wrong = differ & ~excused
    codes = Verdict.DISAGREE if np.any(wrong) else Verdict.INCONCLUSIVE if np.any(excused) else Verdict.AGREE
    same = ~differ
    limit = float(np.max(allowed, initial=0.0, where=same)) if np.any(same) else float("inf")
    size = np.maximum(side.magnitude, np.finfo(np.float64).tiny)
    return Comparison(
        Source(f"{problem.backend.name}/jvp"),
        Source(f"{problem.backend.name}/vjp"),
        quantity_of(problem),
        codes,
        NO_DERIVATIVE if codes is Verdict.INCONCLUSIVE else "",
        _entries(problem, side, allowed, wrong if np.any(wrong) else excused, codes),
        int(np.count_nonzero(wrong)),
        int(np.count_nonzero(excused)),
        int(differ.size),
        limit,
        float(np.max(allowed / size, initial=0.0, where=same)),
        (),
        f"inner products with {len(v)} probe{'s' * (len(v) > 1)}",
    )


@dataclass(frozen=True)
class Undecided:
    """Which outputs and inputs have an entry without a derivative."""

    outputs: NDArray[np.bool_]
    inputs: NDArray[np.bool_]


def _excused(side: _Side, undecided: Undecided | None) -> NDArray[np.bool_]:
    if undecided is None:
        return np.zeros(side.forward.shape, bool)
    if side.bilinear:
        return np.full(side.forward.shape, bool(np.any(undecided.outputs)))
    places = undecided.outputs if side.along == "outputs" else undecided.inputs
    return np.broadcast_to(places, side.forward.shape)


def _allowed(
    problem: Problem, reverse: Claim | None, forward: Claim | None, v: RealArray, w: RealArray, side: _Side
) -> RealArray:
    """Return how far rounding may take the two products apart, measuring it where magnitudes alone do not explain."""
    unit = ROUNDING[problem.precision] * 2.0**-problem.precision
    allowed = unit * side.magnitude
    noise = _linearity_noise(problem, reverse, forward, v, w, side)
    finite = np.abs(np.where(np.isfinite(side.forward), side.forward, 0.0))
    largest = np.max(finite, axis=-1, keepdims=True, initial=0.0)
    behind = np.abs(problem.y) if problem.inner is None else np.maximum(np.abs(problem.y), problem.inner)
    values = np.max(behind, initial=0.0, where=np.isfinite(behind))
    cap = NONLINEAR * np.maximum(side.magnitude, largest)
    return np.asarray(allowed + np.minimum(8 * noise, cap) + unit / 8 * (largest + values))


def _probes(problem: Problem, rng: np.random.Generator, vectors: RealArray | None) -> tuple[RealArray, RealArray]:
    """Draw probes of few bits of the inputs, unless they are given, and of the outputs."""
    v = signed_probes(rng, PROBES, problem.n) * problem.scale if vectors is None else vectors
    return v, signed_probes(rng, len(v), problem.m)


def _probe_of_all_digits(rng: np.random.Generator, size: int, precision: int) -> RealArray:
    """Draw one vector, shape (1, size), of entries between 1 and 2 in magnitude with all of `precision` bits."""
    steps = 2.0 ** (precision - 1)
    drawn = rng.uniform(-1.0, 1.0, (1, size))
    return np.asarray(np.copysign(np.floor((1.0 + np.abs(drawn)) * steps) / steps, drawn))


def _from_matrices(reverse: Claim | None, forward: Claim | None, v: RealArray) -> _Side | None:
    if reverse is None or forward is None:
        return None
    magnitude = np.abs(v) @ (np.abs(reverse.value) + np.abs(forward.value)).T
    return _Side(v @ forward.value.T, v @ reverse.value.T, magnitude)


def _measure(problem: Problem, reverse: Claim | None, forward: Claim | None, v: RealArray, w: RealArray) -> _Side:
    if reverse is not None:
        push = Forward(problem).push
        pushed = np.array([push(x) for x in v])
        magnitude = _magnitudes(reverse.value, v) + np.abs(pushed)
        return _Side(pushed, (reverse.value @ v.T).T, magnitude)
    pull = Reverse(problem).pull
    pulled = np.array([pull(x) for x in w])
    if forward is not None:
        magnitude = np.abs(w) @ np.abs(forward.value) + np.abs(pulled)
        return _Side(w @ forward.value, pulled, magnitude, along="inputs")
    push = Forward(problem).push
    pushed = np.array([push(x) for x in v])
    magnitude = np.abs(w * pushed).sum(axis=1) + np.abs(v * pulled).sum(axis=1)
    return _Side((w * pushed).sum(axis=1), (v * pulled).sum(axis=1), magnitude, bilinear=True)


def _magnitudes(matrix: RealArray, vectors: RealArray) -> RealArray:
    """Return the sums of the terms' magnitudes in the products of a matrix with vectors (k, n), shape (k, m)."""
    if len(matrix) > 1:
        return np.asarray(np.abs(vectors) @ np.abs(matrix).T)
    parts = (np.sum(np.abs(vectors[:, part] * matrix[:, part]), axis=1) for part in stretches(vectors.shape[1]))
    return np.asarray(sum(parts, np.zeros(len(vectors)))[:, None])  # threads of a matrix product would wait long


def _linearity_noise(
    problem: Problem, reverse: Claim | None, forward: Claim | None, v: RealArray, w: RealArray, side: _Side
) -> RealArray:
    """Measure the rounding inside the products: what is left when a product is the sum of two halves' products.

    Cancellation between intermediate values shows there, and in nothing that the products themselves tell.
    """
    rng = np.random.default_rng(7)
    noise = np.zeros_like(side.forward)
    for _ in range(SPLITS):
        a, b = rng.uniform(0.2, 0.8, v.shape), rng.uniform(0.2, 0.8, w.shape)
        shares = [(a, b), (1 - a, 1 - b), *([(a, 1 - b), (1 - a, b)] if side.bilinear else [])]
        parts = [_measure(problem, reverse, forward, v * share_v, w * share_w) for share_v, share_w in shares]
        for rest in (
            side.forward - sum(part.forward for part in parts),
            side.reverse - sum(part.reverse for part in parts),
        ):
            noise = np.fmax(noise, np.abs(np.where(np.isfinite(rest), rest, 0.0)))
    return np.broadcast_to(np.max(noise, axis=0), noise.shape)  # one probe's rounding may be nil by luck


def _entries(
    problem: Problem, side: _Side, allowed: RealArray, shown: NDArray[np.bool_], verdict: Verdict
) -> tuple[Entry, ...]:
    entries = []
    for index in np.argwhere(shown)[:3]:
        at = tuple(index)
        where = ""
        if len(at) == 2:
            space = problem.outputs if side.along == "outputs" else problem.inputs
            where = f" at {space.entry(at[1])}"
        name = f"product with probe {at[0]}{where}"
        entries.append(Entry(name, float(side.forward[at]), float(side.reverse[at]), float(allowed[at]), verdict))
    return tuple(entries)
