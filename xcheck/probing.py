"""Problems too large for a whole Jacobian: products with random probes, and bisection to the wrong entry.

A probe's entries are `±s_j (1 + i_j/64)`. No single wrong entry can hide from it, since every entry takes part with at
least its own scale, and a pattern of errors cancels with probability 1/128 at most per probe.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from xcheck.claim import Claim
from xcheck.comparison import Comparison, Entry, compare
from xcheck.derivatives import Forward, Reverse, quantity_of
from xcheck.judgement import DISAGREE, Judgement, judge
from xcheck.problem import Problem
from xcheck.protocol import RealArray
from xcheck.reference.grid import Coordinates, Probes, probe_shrink, signed_probes
from xcheck.reference.witness import Witness
from xcheck.verdict import Verdict

PROBES = 3

FAIR_BITS = 35
"""A claim is not called wrong for errors of less than 2^-32 of it, even if the reference is known to more digits:
rounding inside a rule may well add up to that."""

FLATTEST = 2.0**-4
"""No input takes part in a probe with less than this share of the typical scale: nothing hides at a tiny input."""


@dataclass(frozen=True)
class Arena:
    """A function, the problem that its reference is measured on, and the one in whose precision a rule may be rerun.

    The reference is measured on the function itself, on its float64 shadow, or on a witness in higher precision.
    """

    problem: Problem
    reference: Problem
    seed: int
    wide: Problem

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All problems whose evaluations count."""
        return (self.problem, self.wide, self.reference)

    @property
    def precision(self) -> int:
        """Significand bits that a claim is held to: its arithmetic's, and no more than it is fair to ask for."""
        return min(self.problem.precision, FAIR_BITS) if self.reference.relative else self.problem.precision

    def shift(self, outputs: RealArray | None) -> RealArray | None:
        """Return how far a claim's forward value is from the reference's."""
        return None if outputs is None or self.reference is self.problem else outputs - self.reference.y


def input_probes(problem: Problem, seed: int) -> RealArray:
    """Draw probes on the inputs' own scales, none far below the typical one, about as long as the input together."""
    rng = np.random.default_rng((seed, 3))
    scale = Coordinates(problem).scale
    scale = np.maximum(scale, FLATTEST * float(np.median(scale)))
    return np.asarray(signed_probes(rng, PROBES, problem.n) * scale * probe_shrink(problem.n))


def probe_forward(arena: Arena) -> Comparison:
    """Compare `J v` with differences along v, for three probes; on a mismatch find the entry.

    Costs three pushforwards and about 25 evaluations; a wrong entry costs about `10 log2 n` evaluations more.

    Raises:
        NotImplementedError: there is no forward rule.
    """
    problem, reference = arena.problem, arena.reference
    forward = Forward(problem)
    vectors = input_probes(problem, arena.seed)
    claimed = np.array([forward.push(v) for v in vectors])
    allowance = _rounding_of_pushes(arena, claimed, forward.outputs)
    witness = Witness(reference, Probes(reference, vectors), arena.seed)

    def exact() -> RealArray:
        better = Forward(arena.wide)
        return np.array([better.push(v) for v in vectors])

    found = judge(witness, claimed, arena.precision, exact=exact, allowance=allowance)
    found.require_resolution(np.max(np.abs(claimed), axis=0) / np.sqrt(problem.n))
    result = _summary(arena, f"{problem.backend.name}/jvp", claimed, found, vectors, forward.unconnected)
    if result.verdict is not Verdict.DISAGREE:
        return result
    row, output = _worst_of(found, claimed)

    def is_wrong(vector: RealArray) -> bool:
        probe, pick = Probes(reference, vector[None]), _unit(problem.m, output)[:, None]
        one = Witness(reference, probe, arena.seed, project=pick, entries=problem.n)
        values = forward.push(vector)[None, output : output + 1]
        allowed = allowance[output : output + 1]
        return bool(judge(one, values, arena.precision, allowance=allowed).verdict[0, 0] == DISAGREE)

    j = bisect(vectors[row], is_wrong)
    return result if j is None else _with_entry(arena, result, j, output, forward.push(_unit(problem.n, j)))


@dataclass(frozen=True)
class PulledRows:
    """A claim that can be asked for `w^T J`: a pullback, or a gradient that is at hand.

    Attributes:
        source: whose it is.
        pull: from cotangents (m,) to (n,).
        outputs: the function's value as computed along with it, shape (m,).
        precision: significand bits of its arithmetic.
        unconnected: names of inputs that the framework returned None for.
        exact: makes the same pullback in the reference's precision.
    """

    source: str
    pull: Callable[[RealArray], RealArray]
    outputs: RealArray
    precision: int
    unconnected: Callable[[], tuple[str, ...]] = tuple
    exact: Callable[[], Callable[[RealArray], RealArray]] | None = None


def probe_reverse(arena: Arena) -> Comparison:
    """Compare a backend's reverse mode with differences on random probes; see `probe_rows`.

    Raises:
        NotImplementedError: there is no reverse rule.
    """
    reverse = Reverse(arena.problem)
    source, precision = f"{arena.problem.backend.name}/vjp", arena.problem.precision
    rows = PulledRows(
        source,
        reverse.pull,
        reverse.outputs,
        precision,
        lambda: reverse.unconnected,
        lambda: Reverse(arena.wide).pull,
    )
    return probe_rows(arena, rows)


def probe_rows(arena: Arena, rows: PulledRows) -> Comparison:
    """Compare `<J^T w, v>` with differences of `w . f` along v, for three probes each; on a mismatch find the entry.

    Costs three pullbacks and about 25 evaluations; a wrong entry costs about `10 log2 n` evaluations and `log2 m`
    pullbacks more.
    """
    problem, reference = arena.problem, arena.reference
    vectors = input_probes(problem, arena.seed)
    weights = signed_probes(np.random.default_rng((arena.seed, 4)), PROBES if problem.m > 1 else 1, problem.m)
    gradients = np.array([rows.pull(w) for w in weights])
    claimed = vectors @ gradients.T
    allowance = _rounding_of_products(arena, rows, vectors, weights, gradients)

    def judged(probes: RealArray, chosen: slice) -> Judgement:
        probe = Probes(reference, probes)
        witness = Witness(reference, probe, arena.seed, project=weights[chosen].T, entries=problem.n)
        return judge(
            witness,
            probes @ gradients[chosen].T,
            min(rows.precision, arena.precision),
            exact=exact if rows.exact and len(probes) > 1 else None,
            allowance=allowance[chosen],
        )

    def exact() -> RealArray:
        assert rows.exact is not None
        better = rows.exact()
        return np.asarray(vectors @ np.array([better(w) for w in weights]).T)

    found = judged(vectors, slice(None))
    found.require_resolution(_typical_share(vectors, gradients))
    result = _summary(arena, rows.source, claimed, found, vectors, rows.unconnected())
    if result.verdict is not Verdict.DISAGREE:
        return result
    row, k = _worst_of(found, claimed)
    j = bisect(vectors[row], lambda v: bool(judged(v[None], slice(k, k + 1)).verdict[0, 0] == DISAGREE))
    i = None if j is None else _row_of(arena, rows, weights[k], j)
    if j is None or i is None:
        return result
    claim_column = np.full(problem.m, np.nan)
    claim_column[i] = rows.pull(_unit(problem.m, i))[j]
    return _with_entry(arena, result, j, i, claim_column)


def _row_of(arena: Arena, rows: PulledRows, weight: RealArray, j: int) -> int | None:
    """Find the output whose derivative by input j is wrong, by bisection on the cotangent."""
    reference, m = arena.reference, arena.problem.m
    column = Witness(reference, Coordinates(reference, np.array([j])), arena.seed, entries=arena.problem.n)
    measured = column.measure(np.arange(1), np.ones((1, m), bool)).scaled(column.units)
    slopes, bars = np.nan_to_num(measured.value[0]), measured.bar[0]
    bars = np.where(np.isfinite(bars), bars, 0.0)

    def is_wrong(w: RealArray) -> bool:
        allowed = np.abs(w) @ (4 * bars + 256 * 2.0**-rows.precision * np.abs(slopes))
        return not abs(rows.pull(w)[j] - w @ slopes) <= allowed

    return bisect(weight, is_wrong)


def _rounding_of_pushes(arena: Arena, claimed: RealArray, outputs: RealArray) -> RealArray:
    """Allow `J v` the rounding of a forward derivative: shape (m,), user units."""
    unit = 2.0**-arena.problem.precision
    largest = np.max(np.abs(np.nan_to_num(claimed, posinf=0.0, neginf=0.0)), axis=0)
    return np.asarray(32 * unit * largest + 8 * _errors_of_values(arena, outputs, unit) * probe_shrink(arena.problem.n))


def _errors_of_values(arena: Arena, outputs: RealArray, unit: float) -> RealArray:
    """Return the errors of a claim's forward values beyond the rounding of the result, shape (m,)."""
    shift = arena.shift(outputs)
    if shift is None:
        return np.zeros(arena.problem.m)
    values = np.abs(np.nan_to_num(arena.reference.y))
    return np.asarray(np.maximum(np.abs(np.nan_to_num(shift)) - 2 * unit * values, 0.0))


def _rounding_of_products(
    arena: Arena, rows: PulledRows, vectors: RealArray, weights: RealArray, gradients: RealArray
) -> RealArray:
    """Allow `<J^T w, v>` the rounding of its terms, which add up like independent errors: shape (r,), user units."""
    unit = 2.0**-rows.precision
    terms = np.max([np.linalg.norm(gradients * v, axis=1) for v in vectors], axis=0)
    off = np.linalg.norm(weights * _errors_of_values(arena, rows.outputs, unit), axis=1)
    return np.asarray(32 * unit * terms + 8 * off * probe_shrink(arena.problem.n))


def _typical_share(vectors: RealArray, gradients: RealArray) -> RealArray:
    """Return the median share of one input in every product, shape (d, r); 0 where the gradient is zero."""
    shares = np.abs(vectors[:, None, :] * gradients[None])
    shares = np.where(shares > 0, shares, np.nan)
    some = np.any(shares > 0, axis=-1)
    return np.where(some, np.nanmedian(np.where(some[..., None], shares, 0.0), axis=-1), 0.0)


def bisect(vector: RealArray, is_wrong: Callable[[RealArray], bool]) -> int | None:
    """Find one place whose part of `vector` alone is wrong; None if the error is not in any half by itself."""
    places = np.arange(len(vector))
    while len(places) > 1:
        half = len(places) // 2
        for part in (places[:half], places[half:]):
            piece = np.zeros_like(vector)
            piece[part] = vector[part]
            if is_wrong(piece):
                places = part
                break
        else:
            return None
    return int(places[0]) if len(places) else None


def _summary(
    arena: Arena, source: str, claimed: RealArray, found: Judgement, vectors: RealArray, unconnected: tuple[str, ...]
) -> Comparison:
    problem = arena.problem
    claim = Claim(quantity_of(problem), claimed, source)

    def name(row: int, output: int) -> str:
        target = problem.outputs.entry(output) if claimed.shape[1] == problem.m else f"weighted outputs {output}"
        return f"d {target} along probe {row}"

    result = compare(claim, claimed, found, name, "finite differences", _unconnected(problem, unconnected), "probes")
    return replace(result, detection_limit=result.detection_limit / float(np.min(np.abs(vectors), initial=1.0)))


def _unconnected(problem: Problem, names: tuple[str, ...]) -> tuple[str, ...]:
    return (f"{problem.backend.name} returned None for: {', '.join(names)}",) if names else ()


def _worst_of(found: Judgement, claimed: RealArray) -> tuple[int, int]:
    gap = np.abs(claimed - found.value) / np.maximum(found.tolerance, np.finfo(np.float64).tiny)
    gap = np.where(found.verdict == DISAGREE, np.nan_to_num(gap, nan=np.inf), -1.0)
    row, output = np.unravel_index(int(np.argmax(gap)), gap.shape)
    return int(row), int(output)


def _with_entry(arena: Arena, result: Comparison, j: int, output: int, column: RealArray) -> Comparison:
    """Put the entry that bisection found in front, measured by itself."""
    reference, problem = arena.reference, arena.problem
    witness = Witness(reference, Coordinates(reference, np.array([j])), arena.seed, entries=problem.n)
    wanted = np.zeros((1, problem.m), bool)
    wanted[0, output] = True
    found = judge(witness, column[None], arena.precision, wanted)
    name = f"d {problem.outputs.entry(output)} / d {problem.inputs.entry(j)}"
    value, bar = float(found.value[0, output]), float(found.bar[0, output])
    verdict = Verdict.DISAGREE if found.verdict[0, output] == DISAGREE else Verdict.INCONCLUSIVE
    entry = Entry(name, float(column[output]), value, bar, verdict, retested=True)
    return replace(result, worst=(entry, *result.worst))


def _unit(size: int, place: int) -> RealArray:
    vector = np.zeros(size)
    vector[place] = 1.0
    return vector
