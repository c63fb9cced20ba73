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
from xcheck.consistency import signed_probes
from xcheck.derivatives import Forward, Reverse, quantity_of
from xcheck.judgement import DISAGREE, Judgement, judge
from xcheck.problem import Problem
from xcheck.protocol import RealArray
from xcheck.reference.grid import Coordinates, Probes
from xcheck.reference.witness import Witness
from xcheck.verdict import Verdict

PROBES = 3


@dataclass(frozen=True)
class Arena:
    """A function and the problem that its reference is measured on: itself, or its float64 shadow."""

    problem: Problem
    reference: Problem
    seed: int

    def shift(self, outputs: RealArray | None) -> RealArray | None:
        """Return how far a claim's forward value is from the reference's."""
        return None if outputs is None or self.reference is self.problem else outputs - self.reference.y


def input_probes(problem: Problem, seed: int) -> RealArray:
    """Draw probes on the inputs' own scales, shortened so that a probe is about as long as the input."""
    rng = np.random.default_rng((seed, 3))
    scale = Coordinates(problem).scale
    shrink = 2.0 ** -np.ceil(np.log2(max(1.0, np.sqrt(problem.n))))
    return np.asarray(signed_probes(rng, PROBES, problem.n) * scale * shrink)


def probe_forward(arena: Arena) -> Comparison:
    """Compare `J v` with differences along v, for three probes; on a mismatch find the entry.

    Costs three pushforwards and about 25 evaluations; a wrong entry costs about `10 log2 n` evaluations more.

    Raises:
        NotImplementedError: there is no forward rule.
    """
    forward = Forward(arena.problem)
    vectors = input_probes(arena.problem, arena.seed)
    claimed = np.array([forward.push(v) for v in vectors])
    source = f"{arena.problem.backend.name}/jvp"

    witness = Witness(arena.reference, Probes(arena.reference, vectors), arena.seed)
    found = judge(witness, claimed, arena.problem.precision, shift=arena.shift(forward.outputs))
    result = _summary(arena, source, claimed, found, vectors, forward.unconnected)
    if result.verdict is not Verdict.DISAGREE:
        return result
    row, output = _worst_of(found, claimed)

    pick = _unit(arena.problem.m, output)[:, None]
    shift = arena.shift(forward.outputs)

    def is_wrong(vector: RealArray) -> bool:
        probe = Probes(arena.reference, vector[None])
        one = Witness(arena.reference, probe, arena.seed, project=pick, entries=arena.problem.n)
        values = forward.push(vector)[None, output : output + 1]
        off = None if shift is None else shift[output : output + 1]
        return bool(judge(one, values, arena.problem.precision, shift=off).verdict[0, 0] == DISAGREE)

    j = bisect(vectors[row], is_wrong)
    return result if j is None else _with_entry(arena, result, j, output, forward.push(_unit(arena.problem.n, j)))


def probe_reverse(arena: Arena) -> Comparison:
    """Compare `<J^T w, v>` with differences of `w . f` along v, for three probes each; on a mismatch find the entry.

    Costs three pullbacks and about 25 evaluations; a wrong entry costs about `10 log2 n` evaluations and `log2 m`
    pullbacks more.

    Raises:
        NotImplementedError: there is no reverse rule.
    """
    problem, reference = arena.problem, arena.reference
    reverse = Reverse(problem)
    vectors = input_probes(problem, arena.seed)
    weights = signed_probes(np.random.default_rng((arena.seed, 4)), PROBES if problem.m > 1 else 1, problem.m)
    gradients = np.array([reverse.pull(w) for w in weights])
    claimed = vectors @ gradients.T
    witness = Witness(reference, Probes(reference, vectors), arena.seed, project=weights.T)
    shift = arena.shift(reverse.outputs)
    projected = None if shift is None else np.abs(shift) @ np.abs(weights.T)
    found = judge(witness, claimed, problem.precision, shift=projected)
    result = _summary(arena, f"{problem.backend.name}/vjp", claimed, found, vectors, reverse.unconnected)
    if result.verdict is not Verdict.DISAGREE:
        return result
    row, k = _worst_of(found, claimed)

    def is_wrong(vector: RealArray) -> bool:
        one = Witness(
            reference, Probes(reference, vector[None]), arena.seed, project=weights[k][:, None], entries=problem.n
        )
        values = np.array([[vector @ gradients[k]]])
        off = None if projected is None else projected[k : k + 1]
        return bool(judge(one, values, problem.precision, shift=off).verdict[0, 0] == DISAGREE)

    j = bisect(vectors[row], is_wrong)
    if j is None:
        return result
    column = Witness(reference, Coordinates(reference, np.array([j])), arena.seed, entries=problem.n)
    measured = column.measure(np.arange(1), np.ones((1, problem.m), bool)).scaled(column.units)
    slopes, bars = measured.value[0], measured.bar[0]

    def row_is_wrong(weight: RealArray) -> bool:
        used = weight != 0
        allowed = np.abs(weight[used]) @ np.where(np.isfinite(bars), bars, 0.0)[used]
        rounding = 256 * 2.0**-problem.precision * (np.abs(weight[used]) @ np.nan_to_num(np.abs(slopes[used])))
        return bool(abs(reverse.pull(weight)[j] - weight[used] @ np.nan_to_num(slopes[used])) > 4 * allowed + rounding)

    i = bisect(weights[k], row_is_wrong)
    if i is None:
        return result
    claim_column = np.full(problem.m, np.nan)
    claim_column[i] = reverse.pull(_unit(problem.m, i))[j]
    return _with_entry(arena, result, j, i, claim_column)


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
    found = judge(witness, column[None], problem.precision, wanted)
    name = f"d {problem.outputs.entry(output)} / d {problem.inputs.entry(j)}"
    value, bar = float(found.value[0, output]), float(found.bar[0, output])
    verdict = Verdict.DISAGREE if found.verdict[0, output] == DISAGREE else Verdict.INCONCLUSIVE
    entry = Entry(name, float(column[output]), value, bar, verdict, retested=True)
    return replace(result, worst=(entry, *result.worst))


def _unit(size: int, place: int) -> RealArray:
    vector = np.zeros(size)
    vector[place] = 1.0
    return vector
