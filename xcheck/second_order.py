"""Second derivatives through the rule: the pullback as a function of its own.

`G(x, g) = J(x)^T g` is a map R^(n+m) -> R^n that the framework can differentiate again. As a problem it is like any
other: its values are what the rule of first order computes, finite differences of them are the reference, and the
framework's derivative of it is the claim. By x that is the second derivative of the function; by g it has to be the
Jacobian again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from xcheck.budget import plan
from xcheck.call import Call, Leaf
from xcheck.claim import Claim, Quantity
from xcheck.comparison import Comparison, Namer, Source, compare
from xcheck.derivatives import Reverse, quantity_of
from xcheck.judgement import Judgement, judge
from xcheck.planting import Plants, plant
from xcheck.probing import Arena
from xcheck.problem import Problem
from xcheck.protocol import Native, RealArray, SupportsSecondOrder
from xcheck.pytree import flatten
from xcheck.reference.grid import Probes, signed_probes
from xcheck.reference.witness import Witness
from xcheck.space import Space
from xcheck.verdict import Verdict

COTANGENT = "cotangent of "

LINEAR = 3
"""Cotangents along which the pullback is held against the Jacobian."""

UNITS = 64
"""Up to this many unit cotangents give the Jacobian that the pullback is held against; beyond, products do."""

ENTRIES = 4096
"""Up to this many inputs, every entry of the gradient is looked at in that; beyond, weighted sums of them."""

WRONG_GRADIENT = (
    "the gradient whose derivative this is disagrees itself, see above; finite differences of it tell whether it was "
    "differentiated rightly, and nothing of the function"
)


@dataclass(frozen=True)
class GradientCall(Call):
    """A call of `G(*xs, *cotangents)`.

    Attributes:
        primal: the function whose gradient it is.
        shadow: the same function in float64, if it has such a shadow.
    """

    primal: Problem | None = None
    shadow: Problem | None = None

    def constants(self) -> list[Any]:
        """Renew the constants of the function underneath; `G` has none of its own."""
        if self.primal is not None:
            self.primal.constants = self.primal.call.constants()
        return []

    def in_float64(self) -> GradientCall:
        """Return the pullback of the shadow.

        Raises:
            ValueError: the function has no shadow.
        """
        if self.shadow is None:
            raise ValueError("the function cannot be evaluated in float64")
        return replace(self, function=_gradient_of(self.shadow), primal=self.shadow, shadow=None)


@dataclass
class GradientProblem(Problem):
    """`G` at a point: the inputs and a cotangent."""

    order: ClassVar[int] = 2

    @classmethod
    def at(cls, call: Call, rewind: Callable[[], bool], space: Space | None = None) -> GradientProblem:
        """Evaluate `G` and name its outputs after the inputs that they are gradients by."""
        problem = super().at(call, rewind, space)
        names = zip(problem.outputs.blocks, call.varying, strict=False)
        problem.outputs = Space(tuple(replace(block, name=f"grad {leaf.name}") for block, leaf in names))
        if isinstance(call, GradientCall) and call.primal is not None:
            problem.inner = _size_behind(call.primal, problem.x[problem.m :])
        return problem

    @property
    def scalar(self) -> bool:
        """Whether the function returns one number, so that its second derivative is a Hessian."""
        return self.n == self.m + 1

    def entry(self, output: int, place: int) -> str:
        """Name a derivative of the gradient: `d² out / d x[0] d x[2]`, or `d (grad x[2]) / d x[0]`."""
        inner, outer = self.inputs.entry(output), self.inputs.entry(place)
        if self.scalar and place < self.m:
            return f"d² {self.inputs.entry(self.m).removeprefix(COTANGENT)} / d {inner} d {outer}"
        return f"d (grad {inner}) / d {outer if place < self.m else f'({outer})'}"


def gradient_arena(arena: Arena) -> Arena:
    """Return the problem of differentiating the pullback, at a random cotangent of few bits; at 1 if m = 1.

    Raises:
        NotImplementedError: there is no reverse rule to differentiate.
        ValueError: the backend cannot differentiate its gradients at all.
    """
    problem = arena.problem
    if not isinstance(problem.backend, SupportsSecondOrder):
        raise ValueError(
            f"order=2 needs a backend that differentiates its own gradients, and {problem.backend.name} does not "
            "(it has no method `pull`). Accepted with this backend: order=1."
        )
    Reverse(problem).pull(np.zeros(problem.m))  # some backends tell only now that they have no rule
    shadow = arena.wide if arena.wide is not problem else None
    call = _gradient_call(problem, _cotangent(problem, arena.seed), shadow)
    gradient = GradientProblem.at(call, problem.rewind)
    wide = gradient.in_float64() or gradient
    return Arena(gradient, wide, arena.seed, wide, plan(gradient, wide, arena.budget), arena.budget)


@dataclass(frozen=True)
class Linearity:
    """Products of the Jacobian with cotangents, as judged.

    Attributes:
        comparison: what was found.
        claimed: the products, shape (cotangents, outputs).
        judgement: the verdict on each of them.
        again: judges them with errors in them.
        name: names the product at (cotangent, output).
    """

    comparison: Comparison
    claimed: RealArray
    judgement: Judgement
    again: Callable[[Plants], Judgement]
    name: Namer


def compare_linearity(arena: Arena) -> Linearity:
    """Compare differences of the pullback along its cotangent with the Jacobian that unit cotangents give.

    A rule that is not linear in the cotangent, or leaves it out, is right for unit cotangents and wrong here. Costs
    about 12 evaluations of the gradient and at most m pullbacks, three if the Jacobian has many rows.

    It is the rule in the reference's precision that is held against itself: a float64 rule where there is one.

    Args:
        arena: the pullback as a problem.
    """
    problem = arena.reference
    assert isinstance(problem.call, GradientCall)
    primal = problem.call.primal
    assert primal is not None
    count = min(LINEAR, primal.m)
    tangents = signed_probes(np.random.default_rng((arena.seed, 6)), count, primal.m)
    claimed = _combined(Reverse(primal), tangents)
    vectors = np.hstack([np.zeros((count, primal.n)), tangents])
    project = None
    if primal.n > ENTRIES:
        project = signed_probes(np.random.default_rng((arena.seed, 7)), LINEAR, primal.n).T
        claimed = claimed @ project
    witness = Witness(problem, Probes(problem, vectors), arena.seed, project)
    before = witness.as_it_is()
    found = judge(witness, claimed, problem.precision)
    claim = Claim(quantity_of(primal), claimed, f"{problem.backend.name}/vjp")

    def name(row: int, output: int) -> str:
        target = arena.problem.outputs.entry(output) if project is None else f"weighted gradients {output}"
        return f"d ({target}) along cotangent {row}"

    def again(planted: Plants) -> Judgement:
        return judge(before.as_it_is(), plant(claimed, planted), problem.precision)

    comparison = compare(claim, claimed, found, name, "finite differences by the cotangent", (), "cotangents")
    return Linearity(comparison, claimed, found, again, name)


def _combined(reverse: Reverse, tangents: RealArray) -> RealArray:
    """Return `tangents @ J`, from unit cotangents where there are few."""
    m = tangents.shape[1]
    if m <= UNITS:
        return np.asarray(tangents @ reverse.pull_rows(np.eye(m)))
    return np.array([reverse.pull(w) for w in tangents])


def summarise(
    arena: Arena, comparisons: Sequence[Comparison], unchecked: Sequence[str], gradient_is_wrong: bool
) -> tuple[list[Comparison], list[str]]:
    """Name comparisons and gaps of the second order as such; where nothing was compared, say so in a comparison."""
    backend = arena.problem.backend.name
    names = {f"{backend}/{mode}": f"{backend}/{mode} of vjp" for mode in ("vjp", "jvp")}
    notes = (WRONG_GRADIENT,) if gradient_is_wrong else ()
    quantity = _quantity(arena.problem)
    found = [
        replace(
            c,
            claim=Source(names.get(c.claim.source, c.claim.source)),
            reference=Source(names.get(c.reference.source, c.reference.source)),
            quantity=quantity,
            notes=(*c.notes, *notes),
        )
        for c in comparisons
    ]
    lines = []
    for line in unchecked:
        source, colon, why = line.partition(":")
        lines.append(f"{names.get(source, source)}{colon}{why}")
    if not found:
        found = [nothing_compared(backend, "see what is unchecked", arena.problem.n * arena.problem.m, quantity)]
    return found, lines


def nothing_compared(backend: str, why: str, total: int = 0, quantity: Quantity = "second derivative") -> Comparison:
    """Return the comparison that stands for a second order of which nothing could be checked."""
    return Comparison(
        Source(f"{backend}/vjp of vjp"),
        Source("finite differences"),
        quantity,
        Verdict.INCONCLUSIVE,
        f"nothing of the second order was compared: {why}",
        (),
        0,
        total,
        total,
        float("inf"),
        float("inf"),
    )


def _quantity(problem: Problem) -> Quantity:
    return "Hessian" if isinstance(problem, GradientProblem) and problem.scalar else "second derivative"


def _size_behind(primal: Problem, cotangent: RealArray) -> RealArray:
    """Return the sizes of the numbers that a gradient is computed from: the function's value per scale of the input.

    Where a function saturates, its gradient is a small difference of numbers of that size. A value that sums over many
    inputs is shared among them.
    """
    value = np.max(np.abs(cotangent * np.nan_to_num(primal.y, posinf=0.0, neginf=0.0)), initial=0.0)
    return np.asarray(value / max(1.0, primal.n / primal.m) / primal.scale)


def _cotangent(problem: Problem, seed: int) -> RealArray:
    if problem.m == 1:
        return np.ones(1)
    return np.asarray(signed_probes(np.random.default_rng((seed, 5)), 1, problem.m)[0])


def _gradient_call(problem: Problem, cotangent: RealArray, shadow: Problem | None) -> GradientCall:
    varying = problem.call.varying
    leaves = [Leaf(x.name, x.name, k, (), x.value, x.array) for k, x in enumerate(varying)]
    for block, array in zip(problem.outputs.blocks, problem.outputs.unpack(cotangent), strict=True):
        name, native = f"{COTANGENT}{block.name}", problem.backend.from_numpy(array, like=leaves[0].value)
        leaves.append(Leaf(name, name, len(leaves), (), native, array))
    _, structure = flatten((tuple(leaf.value for leaf in leaves), {}))
    title = f"the gradient of {problem.call.title}"
    return GradientCall(
        _gradient_of(problem), problem.backend, structure, tuple(leaves), title, primal=problem, shadow=shadow
    )


def _gradient_of(problem: Problem) -> Callable[..., tuple[Native, ...]]:
    backend, blocks, varying = problem.backend, problem.inputs.blocks, problem.call.varying
    assert isinstance(backend, SupportsSecondOrder)

    def gradient(*arrays: Native) -> tuple[Native, ...]:
        found = backend.pull(problem.flat, arrays[: len(blocks)], arrays[len(blocks) :])
        places = zip(found, blocks, varying, strict=True)
        return tuple(_zeros(problem, b.shape, b.dtype, x.value) if g is None else g for g, b, x in places)

    return gradient


def _zeros(problem: Problem, shape: tuple[int, ...], dtype: np.dtype[Any], like: Native) -> Native:
    return problem.backend.from_numpy(np.zeros(shape, dtype), like=like)
