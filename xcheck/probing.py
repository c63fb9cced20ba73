"""Problems too large for a whole Jacobian: products with random probes, and group testing to the wrong entries.

A probe's entries are `±s_j (1 + i_j/64)`. No single wrong entry can hide from it, since every entry takes part with at
least its own scale, and a pattern of errors cancels with probability 1/128 at most per probe.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from xcheck.budget import FIXED, MANY, PER_DIRECTION, Budget, Plan
from xcheck.claim import Claim
from xcheck.comparison import WORST, Comparison, compare
from xcheck.derivatives import Forward, Reverse, quantity_of
from xcheck.judgement import AGREE, DISAGREE, INCONCLUSIVE, SINGLE_SHARE, SKIPPED, Judgement, judge
from xcheck.localisation import Span, Suspect, wrong_inputs, wrong_outputs
from xcheck.planting import Plants, Product, plant_in_pull, plant_in_push, remembering
from xcheck.problem import Problem
from xcheck.protocol import RealArray
from xcheck.reference.grid import Coordinates, Grid, Probes, probe_shrink, signed_probes
from xcheck.reference.witness import Witness
from xcheck.sharpening import cost, sharpen
from xcheck.space import LONG, floor_power, stretches
from xcheck.twins import Twins
from xcheck.verdict import Verdict

FAIR_BITS = 35
"""A claim is not called wrong for errors of less than 2^-32 of it, even if the reference is known to more digits:
rounding inside a rule may well add up to that."""

FLATTEST = 2.0**-2
"""No input takes part in a probe with less than this share of the typical scale: nothing hides at a tiny input."""

MARGIN = 64.0
"""How far below a single entry's share of a product the rounding of values should be."""

SAMPLED = 10_000
"""Entries from which the typical share is read off."""

LONGER = 2.0**9
"""How many times longer the steps of group testing are for errors that only longer steps along the probes show."""

FARTHEST = 2.0**8
"""But a single input at the end moves by no more than about an eighth of its scale."""

RANGE = 60
"""Powers of two up to which probes, and their products with steps, stay exact in single precision."""

NAMED = 5
"""Inputs that a note names."""


@dataclass(frozen=True)
class Arena:
    """A function, the problem that its reference is measured on, and the one in whose precision a rule may be rerun.

    The reference is measured on the function itself, on its float64 shadow, on a witness in higher precision, or on a
    float64 twin; then `twins` holds both.
    """

    problem: Problem
    reference: Problem
    seed: int
    wide: Problem
    plan: Plan = field(default_factory=lambda: Plan(whole=True))
    budget: Budget = None
    twins: Twins | None = None

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


def input_probes(problem: Problem, seed: int, count: int) -> RealArray:
    """Draw probes on the inputs' own scales, none far below the typical one, shape (count, n).

    Very long ones are held in single precision if that loses nothing: their entries have seven bits.
    """
    rng = np.random.default_rng((seed, 3))
    long = problem.n >= LONG
    scale = problem.scale if long else problem.scale.copy()
    least = FLATTEST * floor_power(np.array([problem.typical]))
    np.maximum(scale, least, out=scale)
    narrow = long and least >= 2.0**-RANGE and np.max(scale) <= 2.0**RANGE
    return signed_probes(rng, count, problem.n, scale, np.float32 if narrow else np.float64)


def _length(problem: Problem, size: RealArray, share: RealArray) -> float:
    """Choose how far probes reach: as little as the rounding of values allows, to stay clear of kinks.

    Args:
        problem: the function whose values are differenced.
        size: how large values are, shape (r,).
        share: what a typical entry contributes to a product with a probe of length 1, shape (r,).

    Returns:
        A power of two: 1 moves every input by steps of its own scale, `probe_shrink(n)` all of them together.
    """
    shortest = probe_shrink(problem.n)
    fine = 2.0 ** -Grid(problem.precision, 0, problem.value_bits).group(0)[2]
    noise = 2.0 ** -max(problem.precision, problem.value_bits) * np.where(np.isfinite(size), size, 0.0) / fine
    known = (share > 0) & np.isfinite(share)
    needed = float(np.median(MARGIN * noise[known] / (SINGLE_SHARE * share[known]))) if np.any(known) else 0.0
    return float(np.clip(2.0 ** np.ceil(np.log2(max(needed, shortest))), shortest, 1.0))


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
    pull: Product
    outputs: RealArray
    precision: int
    unconnected: Callable[[], tuple[str, ...]] = tuple
    exact: Callable[[], Product] | None = None

    def planted(self, planted: Plants) -> PulledRows:
        """Return the same claim with errors in it, in the reference's precision as well."""
        exact = self.exact
        wide = None if exact is None else lambda: plant_in_pull(exact(), planted)
        return replace(self, pull=plant_in_pull(self.pull, planted), exact=wide)

    def remembered(self) -> PulledRows:
        """Return the same claim, pulling back no cotangent twice."""
        exact = self.exact
        wide = None if exact is None else cache(lambda: remembering(exact()))
        return replace(self, pull=remembering(self.pull), exact=wide)


def pulled_rows(arena: Arena, plain: bool = False) -> PulledRows:
    """Run a backend's reverse mode; for a single output all of it, so that the tape can be let go.

    Cotangents are pulled back enlarged, and the gradients divided by that, unless `plain`: it changes nothing where the
    rule is linear.

    Raises:
        NotImplementedError: there is no reverse rule.
    """
    problem = arena.problem
    reverse = Reverse(problem)
    pull = reverse.pull if plain else reverse.pull_enlarged
    rows = PulledRows(
        f"{problem.backend.name}/vjp",
        pull,
        reverse.outputs,
        problem.precision,
        lambda: reverse.unconnected,
        lambda: Reverse(arena.wide).pull,
    )
    if problem.m != 1:
        return rows
    gradient, unconnected = pull(np.ones(1)), reverse.unconnected
    return replace(rows, pull=lambda w: gradient if w[0] == 1 else w[0] * gradient, unconnected=lambda: unconnected)


@dataclass(frozen=True)
class Products:
    """Products of a claimed Jacobian with probes of length 1.

    Attributes:
        source: whose claim it is.
        claimed: shape (d, r): `J v` for forward mode, `w^T J v` for reverse mode.
        weights: the cotangents w, shape (r, m); None for forward mode, whose products are the outputs themselves.
        share: what a typical entry contributes to each product, shape (d, r).
        size: how large values are, shape (r,).
        allowance: the rounding that products are allowed, shape (r,).
        precision: significand bits of the claim's arithmetic.
        unconnected: names that the framework returned None for.
        exact: makes the same products in the reference's precision.
        locate: finds the entries behind a wrong product, from which of the products it is and what group testing needs.
        gradients: what the cotangents were pulled back to, shape (r, n), for reverse mode.
    """

    source: str
    claimed: RealArray
    weights: RealArray | None
    share: RealArray
    size: RealArray
    allowance: RealArray
    precision: int
    unconnected: tuple[str, ...]
    exact: Callable[[], RealArray] | None
    locate: Callable[[int, Suspect], Located]
    gradients: RealArray | None = None


@dataclass(frozen=True)
class Located:
    """Entries that group testing leads to.

    Attributes:
        inputs: the suspicious inputs, in order.
        columns: the claim's derivatives by them, shape (len(inputs), m); NaN where they are not under suspicion.
        more: whether other inputs are, or may be, wrong too.
    """

    inputs: list[int]
    columns: RealArray
    more: bool


def reverse_products(arena: Arena, rows: PulledRows, vectors: RealArray) -> Products:
    """Pull random cotangents back, one for every probe; a single one for a single output."""
    problem, reference = arena.problem, arena.reference
    weights = np.ones((1, 1))
    if problem.m > 1:
        weights = signed_probes(np.random.default_rng((arena.seed, 4)), len(vectors), problem.m)
    gradients = rows.pull(weights[0])[None] if len(weights) == 1 else np.array([rows.pull(w) for w in weights])
    products, norms = _products_and_norms(vectors, gradients)
    other_precision = rows.exact
    fill = partial(_fill_columns, arena, rows) if problem.m > 1 else None  # else the tape is let go

    def exact() -> RealArray:
        assert other_precision is not None
        better = other_precision()
        return _products_and_norms(vectors, np.array([better(w) for w in weights]))[0]

    def locate(k: int, suspect: Suspect) -> Located:
        gradient = gradients[k]
        claimed = replace(suspect, claimed=lambda v, span: _product(v, gradient, span))
        inputs, more = wrong_inputs(claimed)
        columns = np.full((len(inputs), problem.m), np.nan)
        if fill is None:
            columns[:, 0] = gradient[sorted(inputs)] / weights[k, 0]
        elif inputs:
            fill(weights[k], sorted(inputs), columns)
        return Located(sorted(inputs), columns, more)

    return Products(
        rows.source,
        products,
        weights,
        _typical_share(vectors, gradients),
        np.linalg.norm(weights * reference.y, axis=1),
        _rounding_of_products(arena, rows, norms, weights),
        rows.precision,
        rows.unconnected(),
        exact if other_precision else None,
        locate,
        gradients,
    )


@dataclass(frozen=True)
class Pushes:
    """A claim that can be asked for `J v`.

    Attributes:
        forward: the backend's forward mode.
        push: from tangents (n,) to (m,).
        exact: makes the same pushforward in the reference's precision.
    """

    forward: Forward
    push: Product
    exact: Callable[[], Product]

    def planted(self, planted: Plants) -> Pushes:
        """Return the same claim with errors in it, in the reference's precision as well."""
        exact = self.exact
        return replace(self, push=plant_in_push(self.push, planted), exact=lambda: plant_in_push(exact(), planted))

    def remembered(self) -> Pushes:
        """Return the same claim, pushing no tangent forward twice."""
        exact = self.exact
        return replace(self, push=remembering(self.push), exact=cache(lambda: remembering(exact())))


def pushes(arena: Arena) -> Pushes:
    """Prepare a backend's forward mode; nothing is evaluated yet.

    Raises:
        NotImplementedError: the backend has no forward mode.
    """
    forward = Forward(arena.problem)
    return Pushes(forward, forward.push, lambda: Forward(arena.wide).push)


def forward_products(arena: Arena, columns: Pushes, vectors: RealArray) -> Products:
    """Push every probe forward.

    Raises:
        NotImplementedError: there is no forward rule.
    """
    problem, forward, push = arena.problem, columns.forward, columns.push
    claimed = np.array([push(v) for v in vectors])
    share = np.max(np.abs(claimed), axis=0) / np.sqrt(problem.n)

    def exact() -> RealArray:
        better = columns.exact()
        return np.array([better(v) for v in vectors])

    def locate(output: int, suspect: Suspect) -> Located:
        inputs, more = wrong_inputs(replace(suspect, claimed=lambda v, _: float(push(v)[output])))
        found = [push(_unit(problem.n, j)) for j in sorted(inputs)]
        return Located(sorted(inputs), np.array(found).reshape(len(inputs), problem.m), more)

    return Products(
        f"{problem.backend.name}/jvp",
        claimed,
        None,
        np.broadcast_to(share, claimed.shape),
        np.abs(arena.reference.y),
        _rounding_of_pushes(arena, claimed, forward.outputs),
        problem.precision,
        forward.unconnected,
        exact,
        locate,
    )


@dataclass(frozen=True)
class Judged:
    """Products as judged.

    Attributes:
        products: the claim.
        witness: measured the products of the reference.
        claimed: the products with probes of the length that was chosen, shape (d, r).
        judgement: the verdict on each of them.
        length: how long the probes were.
        longer: how many times longer steps have to be for what is wrong to show.
    """

    products: Products
    witness: Witness
    claimed: RealArray
    judgement: Judgement
    length: float
    longer: float = 1.0


def judge_products(arena: Arena, vectors: RealArray, claims: Sequence[Products]) -> list[Judged]:
    """Judge products by differences along the probes.

    Costs four evaluations for every probe, whatever the number of claims, and ten for every claim whose bars are wide
    next to what a single entry contributes, of very many inputs two.

    Args:
        arena: the function and its reference.
        vectors: probes of length 1, shape (d, n).
        claims: what was claimed of their products.
    """
    reference = arena.reference
    length = max(_length(reference, claim.size, np.max(claim.share, axis=0)) for claim in claims)
    directions = Probes(reference, vectors, 0.25 / length, length)
    raw = None
    if any(claim.weights is None for claim in claims):
        raw = Witness(reference, directions, arena.seed)
    few = arena.problem.n >= MANY and arena.budget is None
    planned = PER_DIRECTION * len(vectors) + FIXED + cost(few) * len(claims)
    close = not isinstance(arena.budget, int) or planned <= arena.budget  # whatever was spent: trials do the same
    found = []
    for claim in claims:
        if claim.weights is None:
            assert raw is not None
            witness = raw
        elif raw is not None:
            witness = raw.projected(claim.weights.T, reference.n)
        else:
            witness = Witness(reference, directions, arena.seed, project=claim.weights.T, entries=reference.n)
        judged = _judge_products(arena, claim, witness, length)
        found.append(_looked_at_closely(judged, few) if close else judged)
    return found


def own_error(judged: Judged, vectors: RealArray, output: int, place: int) -> tuple[float, float]:
    """Return 1, and by how much one entry would have to be off to explain the product that is seen most sharply."""
    weights, found = judged.products.weights, judged.judgement
    share = np.abs(vectors[:, [place]].astype(np.float64) * judged.length)
    share = share if weights is None else share * np.abs(weights[:, output])
    columns = slice(output, output + 1) if weights is None else slice(None)
    sharpest = np.unravel_index(np.argmin(found.resolution[:, columns] / share), (len(vectors), share.shape[1]))
    off = np.abs(judged.claimed - found.value)[:, columns] / share
    return 1.0, float(np.nan_to_num(off[sharpest]))


def _judge_products(arena: Arena, claim: Products, witness: Witness, length: float) -> Judged:
    claimed, exact = claim.claimed * length, claim.exact
    judgement = judge(
        witness,
        claimed,
        min(claim.precision, arena.precision),
        exact=None if exact is None else lambda: exact() * length,
        allowance=claim.allowance * length,
        share=claim.share * length,
    )
    return Judged(claim, witness, claimed, judgement, length)


def _looked_at_closely(judged: Judged, few: bool) -> Judged:
    """Narrow the bars of a claim that is precise enough; what is wrong by them alone is looked for at longer steps."""
    claim, witness, length = judged.products, judged.witness, judged.length
    if claim.precision < witness.grid.precision:
        return judged
    rounding, share = claim.allowance * length, claim.share * length
    wrong = sharpen(witness, judged.judgement, judged.claimed, rounding, share, few)
    return replace(judged, longer=LONGER) if wrong else judged


def summarise_products(arena: Arena, vectors: RealArray, judged: Judged) -> Comparison:
    """Compare products as judged; on a mismatch find the entries."""
    claim, claimed, found, length = judged.products, judged.claimed, judged.judgement, judged.length
    shortest = length * np.array([_least(v) for v in vectors])
    result = _summary(arena, claim, claimed, found, shortest)
    if result.verdict is not Verdict.DISAGREE:
        return result
    row, k = _worst_of(found, claimed)
    suspect = Suspect(
        arena.reference,
        vectors[row] * length,
        _unit(arena.problem.m, k)[:, None] if claim.weights is None else claim.weights[k][:, None],
        lambda _v, _span: float("nan"),
        2.0 ** -min(claim.precision, arena.precision),
        float(claim.allowance[k] * length),
        judged.witness.noise()[[k]] * judged.witness.sampler.size[[k]],
        arena.seed,
        max(1.0, min(judged.longer, FARTHEST * probe_shrink(arena.problem.n) / length)),
    )
    return _with_entries(arena, result, claim.locate(k, suspect))


def _fill_columns(arena: Arena, rows: PulledRows, weight: RealArray, inputs: list[int], columns: RealArray) -> None:
    """Find the outputs whose derivatives by `inputs` are wrong, by halving the cotangent, and put the claims there."""
    reference = arena.reference
    witness = Witness(reference, Coordinates(reference, np.array(inputs)), arena.seed, entries=arena.problem.n)
    measured = witness.measure(np.arange(len(inputs)), np.ones(columns.shape, bool)).scaled(witness.units)
    bars = np.where(np.isfinite(measured.bar), measured.bar, 0.0)
    for place, j in enumerate(inputs):
        slopes = np.nan_to_num(measured.value[place])
        tolerance = 4 * bars[place] + 256 * 2.0**-rows.precision * np.abs(slopes)

        def is_wrong(w: RealArray, j: int = j, slopes: RealArray = slopes, tolerance: RealArray = tolerance) -> bool:
            return not abs(rows.pull(w)[j] - w @ slopes) <= np.abs(w) @ tolerance

        for i in wrong_outputs(weight, is_wrong):
            columns[place, i] = rows.pull(_unit(arena.problem.m, i))[j]


def compare_diagonal(arena: Arena, claim: Claim, result: Judgement, at_once: int) -> Comparison:
    """Summarise what `judge_diagonal` found."""
    notes = (f"{at_once} entries were measured at once, with {arena.plan.probes} probes",) if at_once else ()
    name = arena.problem.entry
    return compare(claim, claim.value[None], result, lambda _, i: name(i, i), arena.reference.how, notes)


def judge_diagonal(arena: Arena, claim: Claim, columns: NDArray[np.bool_]) -> tuple[Judgement, int]:
    """Judge a claimed diagonal by products first: where nothing lies beside it, `J v` is `d v` for every v.

    Costs four evaluations for every probe, and for every input whose entry the products do not settle.

    Returns:
        The judgement, shape (1, n), and how many entries the products settled.
    """
    problem, reference = arena.problem, arena.reference
    diagonal, precision = claim.value, min(claim.precision, arena.precision)
    vectors = input_probes(problem, arena.seed, arena.plan.probes)
    witness = Witness(reference, Probes(reference, vectors), arena.seed)
    products = judge(witness, vectors * diagonal, precision, shift=arena.shift(problem.y))
    result = _read_diagonal(products, vectors, diagonal)
    result.verdict[0, ~columns], result.reason[0, ~columns] = SKIPPED, 0
    open_ = np.flatnonzero((result.verdict[0] != AGREE) & columns)
    if len(open_):
        by_entry = Witness(reference, Coordinates(reference, open_), arena.seed, entries=problem.n)
        wanted = np.zeros((len(open_), problem.m), bool)
        wanted[np.arange(len(open_)), open_] = True
        claimed = np.where(wanted, diagonal[open_, None], 0.0)
        found = judge(by_entry, claimed, precision, wanted, arena.shift(problem.y))
        result.take_over(found, wanted)
    return result, int(np.count_nonzero(columns)) - len(open_)


def _read_diagonal(products: Judgement, vectors: RealArray, diagonal: RealArray) -> Judgement:
    """Turn a judgement of `J v` into one of J's diagonal, (1, n): agreed where all products agree, by the sharpest."""
    sharpest = np.argmin(products.resolution / np.abs(vectors), axis=0)
    at = (sharpest, np.arange(len(diagonal)))
    size = np.abs(vectors[at])
    agreed = np.all(products.verdict == AGREE, axis=0)
    return Judgement(
        np.where(agreed, AGREE, INCONCLUSIVE).astype(np.int8)[None],
        np.zeros((1, len(diagonal)), np.int8),
        (products.value[at] / vectors[at])[None],
        (products.bar[at] / size)[None],
        (products.rounding[at] / size)[None],
        *np.zeros((2, 1, len(diagonal)), bool),
    )


def _rounding_of_pushes(arena: Arena, claimed: RealArray, outputs: RealArray) -> RealArray:
    """Allow `J v` the rounding of a forward derivative: shape (m,), user units."""
    unit = 2.0**-arena.problem.precision
    largest = np.max(np.abs(np.nan_to_num(claimed, posinf=0.0, neginf=0.0)), axis=0)
    return np.asarray(32 * unit * largest + 8 * _errors_of_values(arena, outputs, unit))


def _errors_of_values(arena: Arena, outputs: RealArray, unit: float) -> RealArray:
    """Return the errors of a claim's forward values beyond the rounding of the result, shape (m,)."""
    shift = arena.shift(outputs)
    if shift is None:
        return np.zeros(arena.problem.m)
    values = np.abs(np.nan_to_num(arena.reference.y))
    return np.asarray(np.maximum(np.abs(np.nan_to_num(shift)) - 2 * unit * values, 0.0))


def _rounding_of_products(arena: Arena, rows: PulledRows, norms: RealArray, weights: RealArray) -> RealArray:
    """Allow `<J^T w, v>` the rounding of its terms, which add up like independent errors: shape (r,), user units."""
    unit = 2.0**-rows.precision
    off = np.linalg.norm(weights * _errors_of_values(arena, rows.outputs, unit), axis=1)
    return np.asarray(32 * unit * np.max(norms, axis=0) + 8 * off)


def _products_and_norms(vectors: RealArray, gradients: RealArray) -> tuple[RealArray, RealArray]:
    """Return inner products, and the lengths of the vectors of their terms, (d, r) each, with no copy of the whole."""
    products, squares = np.zeros((2, len(vectors), len(gradients)))
    for d, vector in enumerate(vectors):
        for r, gradient in enumerate(gradients):
            for part in stretches(len(vector)):
                terms = gradient[part] * vector[part]
                products[d, r] += np.sum(terms)
                squares[d, r] += np.sum(np.square(terms, out=terms))
    return products, np.sqrt(squares)


def _product(vector: RealArray, gradient: RealArray, span: Span) -> float:
    """Return the inner product over some inputs, on one thread."""
    parts = stretches(span[1] - span[0], span[0])
    return sum(float(np.sum(gradient[part] * vector[part])) for part in parts)


def _least(vector: RealArray) -> float:
    """Return the least magnitude in a vector."""
    return float(min(np.min(np.abs(vector[p])) for p in stretches(len(vector))))


def _typical_share(vectors: RealArray, gradients: RealArray) -> RealArray:
    """Return the median share of one input in every product, shape (d, r); 0 where the gradient is zero."""
    result = np.zeros((len(vectors), len(gradients)))
    for k, gradient in enumerate(gradients):
        count = int(np.count_nonzero(gradient))
        step = max(1, count // SAMPLED)
        every = slice(None, None, step)
        connected = every if count == gradient.size else np.flatnonzero(gradient)[every]
        if count:
            shares = np.abs(vectors[:, connected] * gradient[connected])
            shares = shares[:, ~np.isnan(gradient[connected])]
            result[:, k] = np.median(shares, axis=1) if shares.size else 0.0
    return result


def _summary(arena: Arena, claim: Products, claimed: RealArray, found: Judgement, shortest: RealArray) -> Comparison:
    """Summarise products; an error in a single entry is worth at least `shortest` of it, shape (d,), in each of them.

    It shows in all of them, so that the sharpest decides how large an error is seen.
    """
    problem = arena.problem

    def name(row: int, output: int) -> str:
        target = problem.outputs.entry(output) if claimed.shape[1] == problem.m else f"weighted outputs {output}"
        return f"d {target} along probe {row}"

    notes = (f"{problem.backend.name} returned None for: {', '.join(claim.unconnected)}",) if claim.unconnected else ()
    whose = Claim(quantity_of(problem), claimed, claim.source)
    result = compare(whose, claimed, found, name, arena.reference.how, notes, "probes")
    by_output = np.where(found.verdict == AGREE, found.resolution / shortest[:, None], np.inf).min(axis=0)
    limit = np.min(by_output) if claim.weights is not None else _largest_finite(by_output)
    return replace(result, detection_limit=float(limit))


def _largest_finite(limits: RealArray) -> float:
    finite = limits[np.isfinite(limits)]
    return float(np.max(finite)) if finite.size else float("inf")


def _worst_of(found: Judgement, claimed: RealArray) -> tuple[int, int]:
    gap = np.abs(claimed - found.value) / np.maximum(found.tolerance, np.finfo(np.float64).tiny)
    gap = np.where(found.verdict == DISAGREE, np.nan_to_num(gap, nan=np.inf), -1.0)
    row, output = np.unravel_index(int(np.argmax(gap)), gap.shape)
    return int(row), int(output)


def _with_entries(arena: Arena, result: Comparison, found: Located) -> Comparison:
    """Put the entries that group testing found in front, each measured by itself."""
    reference, problem, inputs = arena.reference, arena.problem, found.inputs
    if not inputs:
        return replace(result, notes=(*result.notes, "no part of the inputs is wrong by itself"))
    witness = Witness(reference, Coordinates(reference, np.array(inputs)), arena.seed, entries=problem.n)
    wanted = ~np.isnan(found.columns) | (problem.m == 1)
    judged = judge(witness, found.columns, arena.precision, wanted)
    claim = Claim(quantity_of(problem), found.columns, result.claim.source)
    entries = compare(claim, found.columns, judged, lambda k, i: problem.entry(i, inputs[k]), witness.source)
    if entries.verdict is not Verdict.DISAGREE:
        return result
    names = ", ".join(problem.inputs.entry(j) for j in inputs[:NAMED])
    others = " and others" if found.more or len(inputs) > NAMED else ""
    note = f"group testing leads to {names}{others}"
    return replace(result, worst=(*entries.worst, *result.worst)[:WORST], notes=(*result.notes, note))


def _unit(size: int, place: int) -> RealArray:
    vector = np.zeros(size)
    vector[place] = 1.0
    return vector
