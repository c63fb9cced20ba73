"""Forward mode against reverse mode: `<w, J v> = <J^T w, v>` needs no differences and holds to rounding."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from xcheck.claim import Claim
from xcheck.comparison import Comparison, Entry, Source
from xcheck.derivatives import Forward, Reverse, enlarged, quantity_of
from xcheck.judgement import AGREE, INCONCLUSIVE, SUBNORMAL, Judgement
from xcheck.planting import Plants, Product, plant, plant_in_push
from xcheck.problem import Problem
from xcheck.protocol import RealArray
from xcheck.reference.grid import KEPT, signed_probes
from xcheck.space import combined, stretches
from xcheck.verdict import Verdict

PROBES = 3
"""Random vectors of few bits in the test; a single wrong entry cannot hide from one of them."""

ONE_IS_ENOUGH = 24
"""From this many significant bits on, one probe with random digits all the way is asked first. A single wrong entry
cannot hide from it; several errors cancel in it with a chance of about rounding over their size, and in a probe of few
bits once in 128 times."""

ROUNDING = {53: 256.0, 24: 256.0, 11: 32.0, 8: 32.0}
"""Allowed difference in units of roundoff times the sum of magnitudes; 15 models needed 27 at most."""

ALLOWED = ROUNDING | {53: 2.0**17}
"""The same, for a verdict: torch's reverse rule of `logcumsumexp` loses 1e-13 of a slope of 1 at every point."""

UNRESOLVED = 2.0**-16
"""Where both modes agree with the values, what those do not resolve is allowed up to this share of a product."""

BLUNT = 2.0**-3
"""Where values settle nothing, modes that differ by less than this share are left open: `1 - p` may lose as much."""

SPLITS = 2
"""How often the rounding of products is measured."""

NONLINEAR = 1e-3
"""A product that misses the sum of two halves by more than this share is not linear, whatever its rounding."""

SCATTERS = 2.0**-30
"""Gaps of at most this share of the largest product may be rounding of intermediate values that the modes share.

So may products that values do not tell from zero.
"""

ROUNDED = 2**16
"""Entries up to which any other gap is measured so, beside the point, in float64: mistakes are the same there."""

NEIGHBOURS = 4
"""Points a few ulps away at which such gaps are measured again."""

FARTHER = 2.0**-30
"""How far, next to the inputs, other such points are: rounding of an inner 1 does not move with the ulps of 1e-4."""

NO_DERIVATIVE = "the modes differ where there is no derivative, one of them is not finite, or values settle nothing"


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
    return summarise_modes(problem, judge_modes(problem, reverse, forward, seed, undecided, vectors))


@dataclass(frozen=True)
class Modes:
    """Products by both modes, as judged.

    Attributes:
        side: the products.
        allowed: how far they may be apart.
        wrong: which of them disagree.
        excused: which of them are inconclusive.
        inputs, outputs: the probes, shapes (k, n) and (k, m).
        doubtful: whether a first, enlarged probe disagreed: one of the modes may not be linear.
    """

    side: _Side
    allowed: RealArray
    wrong: NDArray[np.bool_]
    excused: NDArray[np.bool_]
    inputs: RealArray
    outputs: RealArray
    doubtful: bool = False

    def worth(self, output: int, place: int) -> tuple[float, float]:
        """Return the most that an error of 1 in one entry is worth in a product, and how far that one is off now."""
        apart = np.abs(self.side.forward - self.side.reverse)
        if self.side.bilinear:
            share = np.abs(self.inputs[:, place] * self.outputs[:, output])
        elif self.side.along == "outputs":
            share, apart = np.abs(self.inputs[:, place]), apart[:, output]
        else:
            share, apart = np.abs(self.outputs[:, output]), apart[:, place]
        most = int(np.argmax(share))
        return float(share[most]), float(np.nan_to_num(apart[most]))


def judge_modes(
    problem: Problem,
    reverse: Claim | None,
    forward: Claim | None,
    seed: int,
    undecided: Undecided | None = None,
    vectors: RealArray | None = None,
    planted: Plants = (),
) -> Modes:
    """Judge as `compare_modes` does, with the errors `planted` in forward mode."""
    if forward is not None and planted:
        forward = replace(forward, value=plant(forward.value.T, planted).T)
    ways = _Ways(problem, reverse, forward, planted)
    single = vectors is None and (reverse is None) != (forward is None) and problem.precision >= ONE_IS_ENOUGH
    if single:
        v, w = _probes_of_all_digits(seed, problem.n, problem.m, problem.precision)
        v = v * problem.scale
    else:
        v, w = _probes(problem, seed, vectors)
    known = None if single else _from_matrices(reverse, forward, v)
    side = known or _measure(replace(ways, size=-enlarged(problem)), v, w)
    least = SUBNORMAL[problem.precision] * (2 + np.abs(v).sum(axis=1).max() + np.abs(w).sum(axis=1).max())
    allowed = ALLOWED[problem.precision] * 2.0**-problem.precision * side.magnitude + least
    differ_at_once = not (np.abs(side.forward - side.reverse) <= allowed).all()
    if differ_at_once:
        if single:
            v, w = _probes(problem, seed, None)
        side = _measure(ways, v, w)
        allowed = _allowed(ways, v, w, side) + least
    apart = np.abs(side.forward - side.reverse)
    if undecided is not None:
        allowed = allowed + undecided.slack(side, v, w)
    if (apart > allowed).any():
        tiny = apart <= SCATTERS * np.max(side.magnitude, initial=0.0, where=np.isfinite(side.magnitude))
        if undecided is not None:
            tiny |= side.magnitude <= undecided.unseen(side, v, w)
        if np.any((apart > allowed) & tiny):
            allowed = allowed + np.where(tiny, _scatter(ways, v, w, side), 0.0)
        if problem.precision == 53 and problem.n * problem.m <= ROUNDED and np.any(apart > allowed):
            allowed = allowed + _scatter(ways, v, w, side, by_size=False)
    equal = (side.forward == side.reverse) | (np.isnan(side.forward) & np.isnan(side.reverse))
    differ = ~((apart <= allowed) & np.isfinite(apart)) & ~equal  # next to an infinite entry anything is allowed
    excused = differ & ~np.isfinite(apart)
    if undecided is not None and differ.any():
        excused |= differ & undecided.excuses(side)
    return Modes(side, allowed, differ & ~excused, excused, v, w, known is None and differ_at_once)


def summarise_modes(problem: Problem, found: Modes) -> Comparison:
    """Summarise products by both modes."""
    side, allowed, wrong, excused, count = found.side, found.allowed, found.wrong, found.excused, len(found.inputs)
    codes = Verdict.DISAGREE if wrong.any() else Verdict.INCONCLUSIVE if excused.any() else Verdict.AGREE
    same = ~(wrong | excused)
    limits = _limits(problem, found)
    limit = float(limits.max(initial=0.0, where=same)) if same.any() else float("inf")
    size = np.maximum(side.magnitude, np.finfo(np.float64).tiny)
    return Comparison(
        Source(f"{problem.backend.name}/jvp"),
        Source(f"{problem.backend.name}/vjp"),
        quantity_of(problem),
        codes,
        NO_DERIVATIVE if codes is Verdict.INCONCLUSIVE else "",
        () if codes is Verdict.AGREE else _entries(problem, side, allowed, wrong if wrong.any() else excused, codes),
        int(np.count_nonzero(wrong)),
        int(np.count_nonzero(excused)),
        int(wrong.size),
        limit,
        float((limits / size).max(initial=0.0, where=same)),
        (),
        f"inner products with {count} probe{'s' * (count > 1)}",
    )


@dataclass(frozen=True)
class Undecided:
    """What the function's values leave undecided, shape (n, m) each.

    Attributes:
        missing: entries without a derivative.
        blunt: entries that values do not settle.
        tolerance: how far the modes may be from the values in entries that agree, 0 elsewhere.
    """

    missing: NDArray[np.bool_]
    blunt: NDArray[np.bool_]
    tolerance: RealArray

    @classmethod
    def nothing(cls, problem: Problem) -> Undecided:
        """Begin before anything has been compared with values."""
        missing, blunt = np.zeros((2, problem.n, problem.m), bool)
        return cls(missing, blunt, np.zeros((problem.n, problem.m)))

    def after(self, judgement: Judgement) -> Undecided:
        """Add what one of the modes left undecided."""
        agree = judgement.verdict == AGREE
        missing = self.missing | judgement.without_derivative()
        blunt = self.blunt | ((judgement.verdict == INCONCLUSIVE) & ~missing)
        return Undecided(missing, blunt, np.maximum(self.tolerance, np.where(agree, judgement.tolerance, 0.0)))

    def slack(self, side: _Side, v: RealArray, w: RealArray) -> RealArray:
        """Return how far products may be apart and their modes still agree with the values."""
        return np.asarray(np.minimum(self.unseen(side, v, w), UNRESOLVED * side.magnitude))

    def unseen(self, side: _Side, v: RealArray, w: RealArray) -> RealArray:
        """Return how large products are that values do not tell from zero."""
        if side.bilinear:
            return np.asarray(np.sum(combined(np.abs(v), self.tolerance) * np.abs(w), axis=1))
        return combined(np.abs(v), self.tolerance) if side.along == "outputs" else combined(np.abs(w), self.tolerance.T)

    def excuses(self, side: _Side) -> NDArray[np.bool_]:
        """Tell which products nobody can be blamed for."""
        close = np.abs(side.forward - side.reverse) <= BLUNT * side.magnitude
        return self._touches(self.missing, side) | (self._touches(self.blunt, side) & close)

    def _touches(self, entries: NDArray[np.bool_], side: _Side) -> NDArray[np.bool_]:
        if side.bilinear:
            return np.full(side.forward.shape, bool(np.any(entries)))
        return np.broadcast_to(entries.any(axis=0 if side.along == "outputs" else 1), side.forward.shape)


@dataclass(frozen=True)
class _Ways:
    """Where products come from: Jacobians that are at hand, or the problem's two modes.

    Vectors are scaled by `size`, a power of two, and products back, which changes nothing unless a mode is not linear.
    """

    problem: Problem
    reverse: Claim | None
    forward: Claim | None
    planted: Plants = ()
    size: float = 1.0

    def pusher(self) -> Product:
        return plant_in_push(self._scaled(Forward(self.problem).push), self.planted)

    def puller(self) -> Product:
        return self._scaled(Reverse(self.problem).pull)

    def _scaled(self, product: Product) -> Product:
        return product if self.size == 1.0 else lambda vector: product(vector * self.size) / self.size


def _allowed(ways: _Ways, v: RealArray, w: RealArray, side: _Side) -> RealArray:
    """Return how far rounding may take the two products apart, measuring it where magnitudes alone do not explain."""
    problem = ways.problem
    unit = ROUNDING[problem.precision] * 2.0**-problem.precision
    allowed = unit * side.magnitude
    noise = _linearity_noise(ways, v, w, side)
    finite = np.abs(np.where(np.isfinite(side.forward), side.forward, 0.0))
    largest = np.max(finite, axis=-1, keepdims=True, initial=0.0)
    cap = NONLINEAR * np.maximum(side.magnitude, largest)
    return np.asarray(allowed + np.minimum(8 * noise, cap) + _inner_rounding(problem, side))


def _inner_rounding(problem: Problem, side: _Side) -> RealArray:
    """Return what rounding of values and of a probe's largest product may do to any other."""
    finite = np.abs(np.where(np.isfinite(side.forward), side.forward, 0.0))
    largest = np.max(finite, axis=-1, keepdims=True, initial=0.0)
    behind = np.abs(problem.y) if problem.inner is None else np.maximum(np.abs(problem.y), problem.inner)
    values = np.max(behind, initial=0.0, where=np.isfinite(behind))
    unit = ROUNDING[problem.precision] * 2.0**-problem.precision
    return np.asarray(unit / 8 * (largest + values))


def _limits(problem: Problem, found: Modes) -> RealArray:
    """Return the errors that would have been seen, next to what is allowed once two products are found to differ.

    Where they do not, their rounding is not measured; a quarter more than the magnitudes allow stands for it.
    """
    return np.asarray(1.25 * found.allowed + _inner_rounding(problem, found.side))


def _probes(problem: Problem, seed: int, vectors: RealArray | None) -> tuple[RealArray, RealArray]:
    """Draw probes of few bits of the inputs, unless they are given, and of the outputs."""
    rng = np.random.default_rng((seed, 2))
    v = signed_probes(rng, PROBES, problem.n) * problem.scale if vectors is None else vectors
    return v, signed_probes(rng, len(v), problem.m)


def _probes_of_all_digits(seed: int, n: int, m: int, precision: int) -> tuple[RealArray, RealArray]:
    """Draw one vector of the inputs and one of the outputs, of the size of 1 and with all of `precision` bits."""
    draw = _known_probes if n + m <= KEPT else _drawn
    return draw(seed, n, m, precision)


def _drawn(seed: int, n: int, m: int, precision: int) -> tuple[RealArray, RealArray]:
    """Draw entries between 1 and 2 in magnitude, shapes (1, n) and (1, m)."""
    rng, steps = np.random.default_rng((seed, 2)), 2.0 ** (precision - 1)
    drawn = (rng.uniform(-1.0, 1.0, (1, size)) for size in (n, m))
    v, w = (np.copysign(np.floor((1.0 + np.abs(x)) * steps) / steps, x) for x in drawn)
    v.flags.writeable = w.flags.writeable = False
    return v, w


_known_probes = lru_cache(maxsize=64)(_drawn)


def _from_matrices(reverse: Claim | None, forward: Claim | None, v: RealArray) -> _Side | None:
    if reverse is None or forward is None:
        return None
    magnitude = np.abs(v) @ (np.abs(reverse.value) + np.abs(forward.value)).T
    return _Side(v @ forward.value.T, v @ reverse.value.T, magnitude)


def _measure(ways: _Ways, v: RealArray, w: RealArray) -> _Side:
    reverse, forward = ways.reverse, ways.forward
    if reverse is not None:
        push = ways.pusher()
        pushed = np.array([push(x) for x in v])
        pulled, magnitude = _products(reverse.value, v)
        return _Side(pushed, pulled, magnitude + np.abs(pushed))
    pull = ways.puller()
    pulled = np.array([pull(x) for x in w])
    if forward is not None:
        pushed, magnitude = _products(forward.value.T, w)
        return _Side(pushed, pulled, magnitude + np.abs(pulled), along="inputs")
    push = ways.pusher()
    pushed = np.array([push(x) for x in v])
    magnitude = np.abs(w * pushed).sum(axis=1) + np.abs(v * pulled).sum(axis=1)
    return _Side((w * pushed).sum(axis=1), (v * pulled).sum(axis=1), magnitude, bilinear=True)


def _products(matrix: RealArray, vectors: RealArray) -> tuple[RealArray, RealArray]:
    """Return the products of a matrix with vectors (k, n), and the sums of their terms' magnitudes, (k, m) each."""
    if len(matrix) > 1:
        return combined(vectors, matrix.T), combined(np.abs(vectors), np.abs(matrix).T)
    products, magnitudes = np.zeros((2, len(vectors), 1))
    for part in stretches(vectors.shape[1]):
        terms = vectors[:, part] * matrix[:, part]
        products[:, 0] += np.sum(terms, axis=1)
        magnitudes[:, 0] += np.sum(np.abs(terms, out=terms), axis=1)
    return products, magnitudes


def _scatter(ways: _Ways, v: RealArray, w: RealArray, side: _Side, by_size: bool = True) -> RealArray:
    """Measure how the gap between the modes changes beside the point, and with the size of the vectors.

    A mistake stays, rounding does not: some rules sum other terms for larger vectors, or round numbers that only a
    larger change of the input moves.
    """
    problem, size = ways.problem, enlarged(ways.problem)
    others = [replace(ways, problem=p) for p in (*neighbours(problem), *neighbours(problem, FARTHER))]
    others += [replace(ways, size=s) for s in (size, 1 / size) if by_size]
    gaps = [side.forward - side.reverse, *(_gap(other, v, w) for other in others)]
    spread = np.max(gaps, axis=0) - np.min(gaps, axis=0)
    spread = np.where(np.isfinite(spread), spread, 0.0)
    return np.broadcast_to(2 * np.max(spread, axis=0), spread.shape)


def _gap(ways: _Ways, v: RealArray, w: RealArray) -> RealArray:
    """Return how far the modes are apart, with the Jacobian that was at hand made anew."""
    problem, size = ways.problem, ways.size
    if ways.reverse is not None:
        rows = Reverse(problem).pull_rows(size * np.eye(problem.m)) / size
        ways = replace(ways, reverse=replace(ways.reverse, value=rows), forward=None)
    elif ways.forward is not None:
        columns = Forward(problem).push_rows(size * np.eye(problem.n)) / size
        ways = replace(ways, forward=replace(ways.forward, value=columns.T))
    there = _measure(ways, v, w)
    return there.forward - there.reverse


def neighbours(problem: Problem, farthest: float = 0.0) -> list[Problem]:
    """Return the problem at a few points that are some ulps away, or a share of every input up to `farthest`."""
    rng = np.random.default_rng(8)
    steps = rng.integers(-8, 9, (NEIGHBOURS, problem.n)) * max(2.0 ** (1 - problem.precision), farthest / 8)
    return [replace(problem, x=x) for x in problem.x * (1 + steps)]


def _linearity_noise(ways: _Ways, v: RealArray, w: RealArray, side: _Side) -> RealArray:
    """Measure the rounding inside the products: what is left when a product is the sum of two halves' products.

    Cancellation between intermediate values shows there, and in nothing that the products themselves tell.
    """
    rng = np.random.default_rng(7)
    noise = np.zeros_like(side.forward)
    for _ in range(SPLITS):
        a, b = rng.uniform(0.2, 0.8, v.shape), rng.uniform(0.2, 0.8, w.shape)
        shares = [(a, b), (1 - a, 1 - b), *([(a, 1 - b), (1 - a, b)] if side.bilinear else [])]
        parts = [_measure(ways, v * share_v, w * share_w) for share_v, share_w in shares]
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
