"""Second derivatives through the rule: the pullback and the pushforward as functions of their own.

`G(x, g) = J(x)^T g` is a map R^(n+m) -> R^n that the framework can differentiate again. As a problem it is like any
other: its values are what the rule of first order computes, finite differences of them are the reference, and the
framework's derivative of it is the claim. By x that is the second derivative of the function; by g it has to be the
Jacobian again. `P(x) = J(x) v`, a map R^n -> R^m, is the same of forward mode. Its tangent is held constant: by that it
is linear, which differences of it tell.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from xcheck.budget import Plan, plan
from xcheck.call import Call, Leaf
from xcheck.claim import Claim, Quantity
from xcheck.comparison import Comparison, Namer, Source, compare
from xcheck.derivatives import Forward, Reverse, quantity_of
from xcheck.judgement import Judgement, judge
from xcheck.planting import Plants, plant
from xcheck.probing import Arena
from xcheck.problem import Problem
from xcheck.protocol import Native, RealArray, SupportsPush, SupportsSecondOrder
from xcheck.pytree import flatten
from xcheck.reference.grid import Probes, mirrored, signed_probes
from xcheck.reference.witness import Witness
from xcheck.second_witness import gradient_witness, push_witness
from xcheck.space import Block, Space
from xcheck.verdict import Verdict

COTANGENT = "cotangent of "

TANGENT = "tangent of "

HELD = "held constant"

PUSHED = "jvp "
"""Outputs of the pushforward are named after those of the function."""

LONE = -2.0
"""What a lone cotangent of 1 is multiplied by, and the gradient divided by: rules that leave it out are right for 1."""

LINEAR = 3
"""Cotangents along which the pullback is held against the Jacobian."""

PUSHED_WHOLE = 8
"""Up to this many inputs every second derivative by the pushforward is compared; beyond, products with probes stand
for them: the pullback's are compared one by one already."""

UNITS = 64
"""Up to this many unit cotangents give the Jacobian that the pullback is held against; beyond, products do."""

ENTRIES = 4096
"""Up to this many inputs, every entry of the gradient is looked at in that; beyond, weighted sums of them."""

WRONG_GRADIENT = (
    "the gradient whose derivative this is disagrees itself, see above; finite differences of it tell whether it was "
    "differentiated rightly, and nothing of the function"
)

WRONG_PUSH = WRONG_GRADIENT.replace("the gradient", "the forward derivative", 1)


Derive = Callable[[Problem], Callable[..., tuple[Native, ...]]]
"""Makes a derivative of a problem into a function of native arrays."""


@dataclass(frozen=True, kw_only=True)
class DerivedCall(Call):
    """A call of `G(*xs, *cotangents)` or `P(*xs, *tangents)`; the tangents are held constant.

    Attributes:
        primal: the function whose derivative it is.
        shadow: the same function in float64, if it has such a shadow.
        derive: makes the derivative of either.
        vector: the cotangent or tangent.
    """

    primal: Problem
    shadow: Problem | None
    derive: Derive
    vector: RealArray

    def constants(self) -> list[Any]:
        """Renew the constants of the function underneath, and the derivative's own."""
        self.primal.constants = self.primal.call.constants()
        return super().constants()

    def in_float64(self) -> DerivedCall:
        """Return the same derivative of the shadow.

        Raises:
            ValueError: the function has no shadow.
        """
        if self.shadow is None:
            raise ValueError("the function cannot be evaluated in float64")
        call = replace(self, function=self.derive(self.shadow), primal=self.shadow, shadow=None)
        return replace(call, leaves=Call.in_float64(call).leaves)

    def turned(self) -> DerivedCall:
        """Return the call in which what was held constant varies, and the rest is held constant."""
        leaves = (replace(leaf, constant=HELD if leaf.varies else "") for leaf in self.leaves)
        return replace(self, leaves=tuple(leaves))


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
        if isinstance(call, DerivedCall):
            problem.inner = _size_behind_gradient(call.primal, call.vector)
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


@dataclass
class PushedProblem(Problem):
    """`P` at a point."""

    order: ClassVar[int] = 2

    @classmethod
    def at(cls, call: Call, rewind: Callable[[], bool], space: Space | None = None) -> PushedProblem:
        """Evaluate `P` and name its outputs after the function's."""
        problem = super().at(call, rewind, space)
        if isinstance(call, DerivedCall):
            names = zip(problem.outputs.blocks, call.primal.outputs.blocks, strict=True)
            problem.outputs = Space(tuple(replace(block, name=f"{PUSHED}{out.name}") for block, out in names))
            problem.inner = _size_behind_push(call.primal, call.vector)
        return problem

    def entry(self, output: int, place: int) -> str:
        """Name a derivative of the pushforward: `d² out[1] / d x d x` of a single input, or `d (jvp out) / d x[0]`."""
        inner, outer = self.outputs.entry(output), self.inputs.entry(place)
        if self.n == 1:
            return f"d² {inner.removeprefix(PUSHED)} / d {outer} d {outer}"
        return f"d ({inner}) / d {outer}"

    def by_tangent(self) -> Problem:
        """Return the same product as a function of the tangent, at the same inputs."""
        assert isinstance(self.call, DerivedCall)
        call: Call = self.call.turned()
        space = Space.of(
            [leaf.name for leaf in call.varying], [leaf.array for leaf in call.varying if leaf.array is not None]
        )
        if self.inputs.precision == 53:
            call, space = Call.in_float64(call), space.in_float64()
        return PushedProblem.at(call, self.rewind, space)


def gradient_arena(arena: Arena) -> tuple[Arena, tuple[str, ...]]:
    """Return the problem of differentiating the pullback, at a random cotangent of few bits; at 1 if m = 1.

    A witness of the function is differentiated as well; why it cannot be is the second thing returned.

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
    call = _derived_call(arena, _gradient_of, _cotangent(problem, arena.seed), problem.outputs, COTANGENT)
    gradient = GradientProblem.at(call, problem.rewind)
    wide = gradient.in_float64() or gradient
    reference, note = _reference(arena, gradient, wide, gradient_witness)
    return Arena(gradient, reference, arena.seed, wide, plan(gradient, reference, arena.budget), arena.budget), note


def pushed_arena(arena: Arena) -> tuple[Arena, tuple[str, ...]]:
    """Return the problem of differentiating the pushforward, at a random tangent of few bits; at 1 if n = 1.

    A witness of the function is differentiated as well; why it cannot be is the second thing returned.

    Raises:
        NotImplementedError: there is no forward rule to differentiate, or the backend cannot differentiate it.
    """
    problem = arena.problem
    if not isinstance(problem.backend, SupportsPush):
        raise NotImplementedError(f"{problem.backend.name} does not differentiate its forward mode: no method `push`")
    call = _derived_call(arena, _push_of, _tangent(problem, arena.seed), problem.inputs, TANGENT)
    pushed = PushedProblem.at(call, problem.rewind)
    wide = pushed.in_float64() or pushed
    probed = problem.n > PUSHED_WHOLE and not np.any(_imaginary_diagonal(problem))
    reference, note = _reference(arena, pushed, wide, push_witness)
    planned = Plan(False, arena.plan.probes) if probed else plan(pushed, reference, arena.budget)
    return Arena(pushed, reference, arena.seed, wide, planned, arena.budget), note


def _reference(
    arena: Arena, derived: Problem, wide: Problem, differentiated: Callable[[Problem, Problem], Problem | str]
) -> tuple[Problem, tuple[str, ...]]:
    """Return what the second order is measured on: the witness if there is one and it can be, and why it cannot."""
    if not arena.reference.relative:
        return wide, ()
    found = differentiated(derived, arena.reference)
    return (wide, (found,)) if isinstance(found, str) else (found, ())


@dataclass(frozen=True)
class Linearity:
    """Products of the Jacobian with cotangents or tangents, as judged.

    Attributes:
        comparison: what was found.
        claimed: the products, shape (vectors, outputs).
        judgement: the verdict on each of them.
        again: judges them with errors in them.
        name: names the product at (vector, output).
    """

    comparison: Comparison
    claimed: RealArray
    judgement: Judgement
    again: Callable[[Plants], Judgement]
    name: Namer


def compare_linearity(arena: Arena) -> Linearity:
    """Compare differences of a product along its cotangent or tangent with the Jacobian that unit vectors give.

    A rule that is not linear in the cotangent, or leaves it out, is right for unit cotangents and wrong here. Costs
    about 12 evaluations of the pullback and as many more as there are unit cotangents, three if there are many; of the
    pushforward, which unit tangents and random ones are compared of already, four and as many as unit tangents, or one.

    It is the rule in the widest precision that is held against itself: a float64 rule where there is one.

    Args:
        arena: the pullback or the pushforward as a problem.
    """
    problem = arena.wide
    assert isinstance(problem.call, DerivedCall)
    primal, rng = problem.call.primal, np.random.default_rng((arena.seed, 6))
    if isinstance(problem, PushedProblem):
        mode, word = "jvp", "tangent"
        measured: Problem = problem.by_tangent()
        vectors = signed_probes(rng, 1, primal.n, primal.scale)
        forward = Forward(primal)
        claimed = _combined(forward.push_rows, forward.push, vectors, PUSHED_WHOLE)
        directions = vectors
    else:
        mode, word, measured = "vjp", "cotangent", problem
        vectors = signed_probes(rng, min(LINEAR, primal.m), primal.m)
        reverse = Reverse(primal)
        claimed = _combined(reverse.pull_rows, reverse.pull, vectors, UNITS)
        directions = np.hstack([np.zeros((len(vectors), primal.n)), vectors])
    project = None
    if measured.m > ENTRIES:
        project = signed_probes(np.random.default_rng((arena.seed, 7)), LINEAR, measured.m).T
        claimed = claimed @ project
    witness = Witness(measured, Probes(measured, directions), arena.seed, project)
    before = witness.as_it_is()
    found = judge(witness, claimed, measured.precision)
    if measured is not problem:
        problem.evaluations += measured.evaluations
    claim = Claim(quantity_of(primal), claimed, f"{problem.backend.name}/{mode}")

    def name(row: int, output: int) -> str:
        target = arena.problem.outputs.entry(output) if project is None else f"weighted entries {output}"
        return f"d ({target}) along {word} {row}"

    def again(planted: Plants) -> Judgement:
        return judge(before.as_it_is(), plant(claimed, planted), problem.precision)

    comparison = compare(claim, claimed, found, name, f"finite differences by the {word}", (), f"{word}s")
    return Linearity(comparison, claimed, found, again, name)


def _combined(
    rows: Callable[[RealArray], RealArray], one: Callable[[RealArray], RealArray], vectors: RealArray, units: int
) -> RealArray:
    """Return the products with `vectors`, from unit vectors where there are few."""
    size = vectors.shape[1]
    if size <= units:
        return np.asarray(vectors @ rows(np.eye(size)))
    return np.array([one(v) for v in vectors])


def mirror(problem: Problem, vectors: RealArray) -> RealArray:
    """Return directions `(k, n)` made symmetric where the input is a symmetric (Hermitian) matrix.

    One triangle is copied to the other, so that every entry keeps a share. Frameworks give functions that read one
    triangle the derivative for symmetric changes, which is a convention and right along such directions only.
    """
    partner, sign = mirrored(problem)
    first = partner >= np.arange(problem.n)  # imaginary parts of a diagonal stay: no entry of a probe may be 0
    copied = vectors[:, partner] * sign
    copied[:, first] = vectors[:, first]
    return np.asarray(copied)


def summarise(
    arena: Arena, comparisons: Sequence[Comparison], unchecked: Sequence[str], first_is_wrong: bool
) -> tuple[list[Comparison], list[str]]:
    """Name comparisons and gaps of the second order as such; where nothing was compared, say so in a comparison.

    The pushforward has no such comparison: what is missing of it is listed as unchecked.
    """
    backend, pushed = arena.problem.backend.name, isinstance(arena.problem, PushedProblem)
    names = {f"{backend}/{mode}": f"{backend}/{mode} of {'jvp' if pushed else 'vjp'}" for mode in ("vjp", "jvp")}
    notes = ((WRONG_PUSH if pushed else WRONG_GRADIENT),) if first_is_wrong else ()
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
    if not found and not pushed:
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
    scalar = isinstance(problem, GradientProblem) and problem.scalar
    return "Hessian" if scalar else "second derivative"


def _size_behind_gradient(primal: Problem, cotangent: RealArray) -> RealArray:
    """Return the sizes of the numbers that a gradient is computed from: the function's value per scale of the input.

    Where a function saturates, its gradient is a small difference of numbers of that size. A value that sums over many
    inputs is shared among them.
    """
    value = np.max(np.abs(cotangent * np.nan_to_num(primal.y, posinf=0.0, neginf=0.0)), initial=0.0)
    return np.asarray(value / max(1.0, primal.n / primal.m) / primal.scale)


def _size_behind_push(primal: Problem, tangent: RealArray) -> RealArray:
    """Return the sizes of the numbers that a pushforward is computed from: values, times how far the tangent goes."""
    sizes = np.abs(np.nan_to_num(primal.y, posinf=0.0, neginf=0.0))
    return np.asarray(sizes * np.max(np.abs(tangent) / primal.scale, initial=0.0))


def _cotangent(problem: Problem, seed: int) -> RealArray:
    if problem.m == 1:
        return np.ones(1)
    return np.asarray(signed_probes(np.random.default_rng((seed, 5)), 1, problem.m)[0])


def _tangent(problem: Problem, seed: int) -> RealArray:
    """Draw a tangent on the inputs' own scales, so that no input's share hides beside another's.

    What is symmetric in the input is symmetric in it too: functions that read one triangle have a convention else.
    """
    if problem.n == 1:
        return np.ones(1)
    tangent = mirror(problem, signed_probes(np.random.default_rng((seed, 8)), 1, problem.n, problem.scale))[0]
    return np.where(_imaginary_diagonal(problem), 0.0, tangent)


def _imaginary_diagonal(problem: Problem) -> NDArray[np.bool_]:
    partner, sign = mirrored(problem)
    return np.asarray((partner == np.arange(problem.n)) & (sign < 0))


def _derived_call(arena: Arena, derive: Derive, vector: RealArray, space: Space, prefix: str) -> DerivedCall:
    """Open a call of a derivative at the point and `vector`, whose blocks are those of `space`."""
    problem = arena.problem
    varying = problem.call.varying
    leaves = [Leaf(x.name, x.name, k, (), x.value, x.array) for k, x in enumerate(varying)]
    likes = [x.value for x in varying] if prefix == TANGENT else [leaves[0].value] * len(space.blocks)
    for block, array, like in zip(space.blocks, space.unpack(vector), likes, strict=True):
        name, native = f"{prefix}{block.name}", problem.backend.from_numpy(array, like=like)
        leaves.append(Leaf(name, name, len(leaves), (), native, array, HELD if prefix == TANGENT else ""))
    _, structure = flatten((tuple(leaf.value for leaf in leaves), {}))
    return DerivedCall(
        derive(problem),
        problem.backend,
        structure,
        tuple(leaves),
        f"the {'derivative along a tangent' if prefix == TANGENT else 'gradient'} of {problem.call.title}",
        primal=problem,
        shadow=arena.wide if arena.wide is not problem else None,
        derive=derive,
        vector=vector,
    )


def _gradient_of(problem: Problem) -> Callable[..., tuple[Native, ...]]:
    backend, blocks, varying = problem.backend, problem.inputs.blocks, problem.call.varying
    assert isinstance(backend, SupportsSecondOrder)

    def pull(xs: Sequence[Native], cotangents: Sequence[Native]) -> Sequence[Native | None]:
        if problem.m != 1:
            return backend.pull(problem.flat, xs, cotangents)
        found = backend.pull(problem.flat, xs, [LONE * g for g in cotangents])
        return [None if g is None else g / LONE for g in found]

    def gradient(*arrays: Native) -> tuple[Native, ...]:
        found = pull(arrays[: len(blocks)], arrays[len(blocks) :])
        places = zip(found, blocks, varying, strict=True)
        return tuple(_zeros(problem, b, x.value) if g is None else g for g, b, x in places)

    return gradient


def _push_of(problem: Problem) -> Callable[..., tuple[Native, ...]]:
    backend, count = problem.backend, len(problem.inputs.blocks)
    assert isinstance(backend, SupportsPush)

    def push(*arrays: Native) -> tuple[Native, ...]:
        found = backend.push(problem.flat, arrays[:count], arrays[count:])
        places = zip(found, problem.outputs.blocks, strict=True)
        return tuple(_zeros(problem, b, arrays[0]) if dy is None else dy for dy, b in places)

    return push


def _zeros(problem: Problem, block: Block, like: Native) -> Native:
    return problem.backend.from_numpy(np.zeros(block.shape, block.dtype), like=like)
