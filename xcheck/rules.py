"""What a derivative rule has to be beside right: linear, repeatable, without side effects, silent about the value.

A pullback is a linear map of its cotangent, and a pushforward of its tangent. Scaling a vector by a power of two, and
changing its sign, scales every number in between exactly, so that the product has to scale bit for bit; only under- and
overflow are in the way. Sums of two vectors are held to less, since rounding differs there. Rules that iterate to a
tolerance of their own lose digits of small vectors: all that is asked of these is that nothing is lost that the verdict
on the values would have seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from xcheck.comparison import WORST, Comparison, Entry, Source
from xcheck.consistency import FARTHER, ROUNDING, neighbours
from xcheck.derivatives import LEAST, Forward, Reverse, enlarged, reduced, unit_cotangent
from xcheck.diagnosis import nonlinear
from xcheck.given import CHANGED
from xcheck.planting import Product
from xcheck.problem import Problem
from xcheck.protocol import RealArray
from xcheck.raised import first_line
from xcheck.reference.grid import signed_probes
from xcheck.space import Space
from xcheck.verdict import Verdict

SCALES_BY = 1e-3
"""A scaled product that misses the scaled result by more than this share of it is no rounding: that would be none."""

ADDS_UP = {53: 2.0**-4, 24: 2.0**-4, 11: 2.0**-3, 8: 2.0**-2}
"""The same where rounding inside may take part, by significand bits: sums of two products, other orders of a sum."""

LONG = 5
"""Vectors of many digits; sums of rounded ones may be right by luck."""

FINE = {53: 2.0**-22, 24: 0.0}
"""Slopes known to this share belong to values that are not rounded to half of their digits on the way."""

VALUE_OFF = {24: 2.0**-18, 11: 2.0**-9, 8: 2.0**-6}
"""How far, next to the largest, values may be off in the float64 shadow of a rule that rounds to its own dtype inside;
by significand bits of that."""

HALF = 11
"""Significand bits of float16, whose cotangents underflow."""

FURTHER = 4.0
"""How much larger still they are made then: a rule that is not linear goes on to change."""

SCATTER = 16
"""Times what a product misses of itself, made once more or as a sum, that its rounding may take other ones off."""

HARDLY_MORE = 2.0**-4
"""A product that changes by this share of itself over some ulps is hardly more than rounding."""

SHRUNK = (4, 7, 10, 13)
"""Binary orders by which vectors of a rule of lower precision than float64 shrink, one after the other."""

DROPPED = 0.25
"""So much of a product has to be missing then: what iterates to a tolerance loses its last digits first."""

ABRUPT = 2.0**-20
"""And no more than this one size before, where values are too coarse to tell what a tolerance costs."""

REPEATS = 2.0**-20
"""How far, next to its largest entry, a given derivative may be from what it said before."""

LOST = 2.0**24
"""Products within this factor of the smallest normal number lose bits and are left alone."""

NOT_LINEAR = (
    "the rule is not linear in its {vector}, as derivatives are; clipping it, normalising it or taking its sign is not"
)
NOT_REPEATABLE = "the rule gives different values for the same {vector}"
NOT_THE_SAME = "it gives different values for the same inputs"
LOSES_DIGITS = "the rule loses digits of its {vector}: somewhere on the way it is rounded to a lower precision"
LAYOUT = "the rule depends on how the cotangent lies in memory: for equal values with other strides, it gives others"
IN_PLACE = f"the rule {CHANGED}"
VALUE = "differentiating {title} changes its value: {name} is {with_:.6g} with, {without:.6g} without"


_Sum = tuple[NDArray[np.bool_], RealArray, RealArray, RealArray]
"""Where the product of a sum is not the sum of products, both of them, and how far apart they may be."""


@dataclass(frozen=True)
class _Rule:
    """A product to be tried out.

    Attributes:
        problem: the function.
        source: whose rule it is.
        quantity: what its products are called.
        vector: what it is linear in.
        product: the linear map.
        base: vectors that are not special, shape (3, k).
        space: names the places of a product.
        verb: how a product comes about.
        wide: makes the same rule in float64, if that is another one.
        limit: an error of this size, next to the largest of a product of the base vectors, was not seen.
        inner: what rounding of values, or of numbers of size 1 behind them, may do to a product that they cancel in.
        shadow: whether this is the float64 shadow of a rule of lower precision.
        of: returns the same product of another problem; None if that cannot be asked for.
    """

    problem: Problem
    source: str
    quantity: str
    vector: str
    product: Product
    base: RealArray
    space: Space
    verb: str
    wide: Callable[[], _Rule] | None = None
    limit: float = np.inf
    inner: float | RealArray = 0.0
    shadow: bool = False
    of: Callable[[Problem], Product] | None = None

    def differs(
        self, claimed: RealArray, expected: RealArray, magnitude: RealArray, share: float, slack: float = 0.0
    ) -> NDArray[np.bool_]:
        """Tell where finite products differ by more than a share of a magnitude, rounding of the largest and slack."""
        precision = self.problem.precision
        finite = np.isfinite(claimed) & np.isfinite(expected)
        if precision < 53:  # entries that cancel are mostly rounding
            magnitude = np.full(magnitude.shape, _largest(magnitude))
        bound = share * magnitude + ROUNDING[precision] * 2.0**-precision * min(1.0, share * 2**8) * _largest(magnitude)
        return finite & (np.abs(claimed - expected) > bound + LEAST[precision] + slack + self.inner)

    def verdict(
        self,
        wrong: NDArray[np.bool_],
        claimed: RealArray,
        expected: RealArray,
        bar: RealArray,
        against: str,
        reason: str,
        how: str,
    ) -> Comparison:
        """Summarise what differs."""

        def name(i: int) -> str:
            return f"{self.space.entry(i)} {self.verb} {how}"

        return disagreement((self.source, against), self.quantity, wrong, claimed, expected, bar, reason, name)


def examine_reverse(
    problem: Problem, wide: Problem | None = None, limit: float = np.inf
) -> tuple[list[Comparison], list[str]]:
    """Look closely at a pullback that showed something a linear map does not do.

    Returns what is wrong with it, and notes: a rule that raises for cotangents of other sizes or in other memory gives
    no wrong value.

    Costs one evaluation in reverse mode and about ten pullbacks.

    Args:
        problem: the function.
        wide: its float64 shadow. What is wrong with the size of a cotangent has to be wrong there as well, and larger
            ones are tried out there.
        limit: the relative size of an error in the pullbacks of unit cotangents that was not seen.

    Raises:
        NotImplementedError: there is no reverse rule.
    """
    reverse = Reverse(problem)
    rule = _reverse_rule(problem, reverse, limit)
    if wide is not None and wide is not problem:
        rule = replace(rule, wide=lambda: replace(_reverse_rule(wide, Reverse(wide), limit), shadow=True))
    with np.errstate(all="ignore"):
        found = [_fault(rule), _layout(rule, reverse), in_place(problem, reverse, rule.base[0])]
    return [c for c in found if isinstance(c, Comparison)], [line for line in found if isinstance(line, str)]


def examine_forward(
    problem: Problem, wide: Problem | None = None, limit: float = np.inf
) -> tuple[list[Comparison], list[str]]:
    """Look closely at a pushforward, as `examine_reverse` does at a pullback; costs about seven pushforwards.

    Raises:
        NotImplementedError: there is no forward rule.
    """
    rule = _forward_rule(problem, limit)
    if wide is not None and wide is not problem:
        rule = replace(rule, wide=lambda: replace(_forward_rule(wide, limit), shadow=True))
    with np.errstate(all="ignore"):
        found = _fault(rule)
    return [found] if isinstance(found, Comparison) else [], [found] if isinstance(found, str) else []


def scales(problem: Problem, mode: str) -> bool:
    """Tell whether a rule of low precision gives the same for a small vector as for a large one, each scaled back.

    Costs one evaluation in reverse mode and two pullbacks, or two pushforwards.

    Args:
        problem: the function, in float64 if it runs there: vectors may be larger and smaller than in its own dtype.
            Of float16 nothing is asked, whose small vectors are not kept.
        mode: "vjp" or "jvp".
    """
    if problem.precision == HALF:
        return True
    with np.errstate(all="ignore"):
        try:
            rule = _rule(problem, mode, np.inf)
            small, large = 2.0 ** -SHRUNK[-1], -enlarged(problem)
            a, b = (rule.product(size * rule.base[0]) / size for size in (small, large))
        except Exception:
            return True  # it does not run in float64
        return not np.any(rule.differs(a, b, np.abs(b), SCALES_BY) & _kept(rule, np.abs(b), small))


def _rule(problem: Problem, mode: str, limit: float) -> _Rule:
    return _reverse_rule(problem, Reverse(problem), limit) if mode == "vjp" else _forward_rule(problem, limit)


def _reverse_rule(problem: Problem, reverse: Reverse, limit: float) -> _Rule:
    base = signed_probes(np.random.default_rng(13), 3, problem.m) * unit_cotangent(problem)
    source = f"{problem.backend.name}/vjp"
    inner = _inner_rounding(problem) * unit_cotangent(problem) / problem.scale
    names = "pullback", "cotangent", reverse.pull, base, problem.inputs, "pulled back"
    return _Rule(problem, source, *names, limit=limit, inner=inner, of=lambda p: Reverse(p).pull)


def _forward_rule(problem: Problem, limit: float) -> _Rule:
    base = signed_probes(np.random.default_rng(13), 3, problem.n) * problem.scale
    source, push = f"{problem.backend.name}/jvp", Forward(problem).push
    inner = _inner_rounding(problem)
    names = "pushforward", "tangent", push, base, problem.outputs, "pushed forward"
    return _Rule(problem, source, *names, limit=limit, inner=inner, of=lambda p: Forward(p).push)


def _inner_rounding(problem: Problem) -> float:
    size = np.max(np.abs(problem.y), initial=1.0, where=np.isfinite(problem.y))
    return float(ROUNDING[problem.precision] * 2.0**-problem.precision * size)


def _fault(rule: _Rule) -> Comparison | str | None:
    """Return the first thing that is wrong with a rule, or that it raises for some vectors."""
    try:
        found = next(_faults_in_any_precision(rule), None)
        return found and next(_faults_in_any_precision(_knowing_its_rounding(rule)), None)
    except Exception as error:
        return f"{rule.source} raises {type(error).__name__} for some {rule.vector}s: {first_line(error)}"


def _knowing_its_rounding(rule: _Rule) -> _Rule:
    """Allow products that are hardly more than rounding to be so: they are others at points some ulps away."""
    if rule.of is None:
        return rule
    others = [p for farthest in (0.0, FARTHER) for p in neighbours(rule.problem, farthest)]
    found = [product(rule.base[0]) for product in (rule.product, *map(rule.of, others))]
    spread, size = np.ptp(found, axis=0), np.max(np.abs(found), axis=0)
    rounded = np.isfinite(spread) & (spread >= HARDLY_MORE * size)
    inner = np.where(rounded, SCATTER * np.max(spread, where=rounded, initial=0.0), 0.0)
    shadow = rule.wide
    wide = None if shadow is None else lambda: _knowing_its_rounding(shadow())
    return replace(rule, inner=np.maximum(rule.inner, inner), wide=wide)


def _faults_in_any_precision(rule: _Rule) -> Iterator[Comparison]:
    yield from _faults(rule)
    exact = rule if rule.wide is None else rule.wide()
    if exact is not rule:
        yield from _faults(exact)
    if exact is not rule or rule.problem.precision not in (53, HALF):
        yield from _drops(exact, exact.product(exact.base[0]))


def _faults(rule: _Rule) -> Iterator[Comparison]:
    a = rule.product(rule.base[0])
    sizes, share = np.abs(a), ADDS_UP[rule.problem.precision]
    again = rule.product(rule.base[0])
    wrong = rule.differs(again, a, sizes, share)
    if np.any(wrong):
        reason = NOT_REPEATABLE.format(vector=rule.vector)
        yield rule.verdict(wrong, again, a, share * sizes, "itself, once more", reason, "a second time")
        return
    for factor in (-enlarged(rule.problem), reduced(rule.problem)):
        scaled, wrong = _scaled(rule, a, factor, SCATTER * _largest(np.abs(again - a)))
        if np.any(wrong) and (rule.wide is None or _misses(rule.wide(), factor)):
            how = f"from {factor:.7g} times a {rule.vector}, and divided by that"
            reason = NOT_LINEAR.format(vector=rule.vector)
            found = rule.verdict(wrong, scaled, a, SCALES_BY * sizes, "itself, scaled", reason, how)
            yield replace(found, causes=nonlinear(scaled, a, factor, rule.vector))
    yield from _sums(rule, a)
    yield from _digits(rule)


def _scaled(rule: _Rule, a: RealArray, factor: float, slack: float = 0.0) -> tuple[RealArray, NDArray[np.bool_]]:
    """Return the product of the scaled vector, scaled back, and where it is not `a`."""
    scaled, sizes = rule.product(factor * rule.base[0]) / factor, np.abs(a)
    if abs(factor) > 1:
        slack += min(rule.limit, DROPPED) * _largest(sizes) if rule.shadow else 0.0
        wrong = rule.differs(scaled, a, sizes, SCALES_BY, slack)
        if np.any(wrong) and rule.problem.precision == HALF:  # what was lost below 2^-24 is lost no more: no fault
            larger = rule.product(FURTHER * factor * rule.base[0]) / (FURTHER * factor)
            wrong &= rule.differs(larger, scaled, sizes, SCALES_BY, slack)
        return scaled, wrong
    unseen = rule.limit / factor * _largest(sizes)
    return scaled, rule.differs(scaled, a, sizes, SCALES_BY, slack + unseen) & _kept(rule, sizes, factor)


def _kept(rule: _Rule, sizes: RealArray, factor: float) -> NDArray[np.bool_]:
    """Tell which products are far enough from underflow to keep their digits when scaled."""
    return factor * sizes >= LOST * LEAST[rule.problem.precision]


def _drops(rule: _Rule, a: RealArray) -> Iterator[Comparison]:
    """Look for small vectors that are dropped, in steps that tell this from a tolerance.

    What a tolerance leaves out grows as vectors shrink, from an error on that values have not shown. What falls below a
    threshold was all there one step before.
    """
    sizes, before = np.abs(a), np.zeros(a.shape)
    for order in SHRUNK:
        factor = 2.0**-order
        scaled = rule.product(factor * rule.base[0]) / factor
        lost = rule.differs(scaled, a, sizes, DROPPED) & _kept(rule, sizes, factor)
        apart = np.where(lost, np.abs(scaled - a), 0.0)
        seen = rule.limit / factor <= DROPPED / 4 and np.any(apart > DROPPED * _largest(sizes))
        abrupt = np.count_nonzero(lost & (before <= ABRUPT * sizes)) > np.count_nonzero(lost) / 2
        if seen or abrupt:
            how = f"from {factor:.7g} times a {rule.vector}, and divided by that"
            reason = NOT_LINEAR.format(vector=rule.vector)
            yield rule.verdict(lost, scaled, a, DROPPED * sizes, "itself, scaled", reason, how)
        before = np.abs(scaled - a)


def _misses(rule: _Rule, factor: float) -> bool:
    return bool(np.any(_scaled(rule, rule.product(rule.base[0]), factor)[1]))


def _largest(sizes: RealArray) -> float:
    return float(np.max(sizes, initial=0.0, where=np.isfinite(sizes)))


def _sums(rule: _Rule, a: RealArray) -> Iterator[Comparison]:
    """Two sums have to fail: rounding in an ill-conditioned rule may take one far off."""
    share = ADDS_UP[rule.problem.precision]
    found = [_sum(rule, rule.base[0], a, other, share) for other in rule.base[1:]]
    if all(np.any(wrong) for wrong, *_ in found):
        yield _of_sums(rule, found[0], NOT_LINEAR)


def _digits(rule: _Rule) -> Iterator[Comparison]:
    """Look for vectors that are rounded to a lower precision on the way: sums of those with many digits show it.

    Most entries of two sums in four have to fail, by more than the comparison of values could have seen, or by more
    than those of vectors that no rounding changes, where values tell that they are not rounded themselves.
    """
    precision = rule.problem.precision
    if precision < 24:
        return
    unseen = 2 * min(rule.limit, 1.0)
    if rule.limit <= FINE[precision] and not rule.shadow:
        unseen = min(unseen, _missed_without_digits(rule))
    share = 2.0 ** -(precision // 2 + 3) + unseen
    first, *others = _long_vectors(rule)
    a = rule.product(first)
    sums = [_sum(rule, first, a, other, share) for other in others]
    found = [s for s in sums if np.count_nonzero(s[0]) > np.count_nonzero(s[3]) / 2]
    if len(found) >= len(others) / 2:
        yield _of_sums(rule, found[0], LOSES_DIGITS)


def _missed_without_digits(rule: _Rule) -> float:
    """Return what sums of vectors of a single digit miss, as a share of their largest term: a rule's own tolerance."""
    whole = np.abs(rule.base[0])
    signs = np.random.default_rng(15).choice([-1.0, 1.0], (LONG, len(whole)))
    first, *others = signs * 2.0 ** np.floor(np.log2(np.where(whole > 0, whole, 1.0)))
    a, missed = rule.product(first), 0.0
    for other in others:
        _, both, expected, terms = _sum(rule, first, a, other, 1.0)
        missed = max(missed, _largest(np.abs(both - expected)) / max(_largest(terms), np.finfo(np.float64).tiny))
    return SCATTER * missed


def _sum(rule: _Rule, first: RealArray, a: RealArray, other: RealArray, share: float) -> _Sum:
    """Hold the product of a sum against the sum of products, of which `a` is the first."""
    b, both = rule.product(other), rule.product(first + other)
    terms = np.abs(a) + np.abs(b)
    return rule.differs(both, a + b, terms, share), both, a + b, share * terms


def _of_sums(rule: _Rule, found: _Sum, reason: str) -> Comparison:
    return rule.verdict(
        *found, "its own sums", reason.format(vector=rule.vector), f"from the sum of two {rule.vector}s"
    )


def _long_vectors(rule: _Rule) -> RealArray:
    """Draw vectors like the rule's own, but of so many digits that their sums are just exact; shape (LONG, k)."""
    rng, steps = np.random.default_rng(14), 2.0 ** (rule.problem.precision - 10)
    signs = rng.choice([-1.0, 1.0], (LONG, rule.base.shape[1]))
    return np.asarray(signs * np.abs(rule.base[0]) * np.floor(rng.uniform(1.0, 2.0, signs.shape) * steps) / steps)


def _layout(rule: _Rule, reverse: Reverse) -> Comparison | str | None:
    """Pull back the same cotangents in other memory; both have to differ, by more than other orders of sums explain."""
    share, found = ADDS_UP[rule.problem.precision], []
    first, second = rule.base[:2]
    a, b = rule.product(first), rule.product(second)
    rounding = _largest(np.abs(rule.product(first + second) - (a + b)))
    for cotangent, plain in ((first, a), (second, b)):
        try:
            strided = reverse.pull_native(reverse.cotangents(cotangent, strided=True))
        except Exception as error:
            kind, line = type(error).__name__, first_line(error)
            return f"{rule.source} raises {kind} for a cotangent that is not contiguous in memory: {line}"
        bar = share * np.abs(plain) + SCATTER * rounding
        found.append((rule.differs(strided, plain, np.abs(plain), share, SCATTER * rounding), strided, plain, bar))
    if not all(np.any(wrong) for wrong, *_ in found):
        return None
    return rule.verdict(*found[0], "itself, contiguous", LAYOUT, "from a cotangent with other strides")


def in_place(problem: Problem, reverse: Reverse, cotangent: RealArray) -> Comparison | None:
    """Tell whether a pullback writes to its cotangent; None if it does not. Costs one pullback."""
    natives = reverse.cotangents(cotangent)
    reverse.pull_native(natives)
    now = reverse.changed(natives, cotangent)
    if now is None:
        return None
    before = problem.outputs.pack(problem.outputs.unpack(cotangent))
    sources = (f"{problem.backend.name}/vjp", "the cotangent it was given")

    def name(i: int) -> str:
        return f"cotangent of {problem.outputs.entry(i)} afterwards"

    return disagreement(sources, "cotangent", now != before, now, before, np.zeros(len(now)), IN_PLACE, name)


def compare_again(
    problem: Problem, claimed: RealArray, source: str, again: Callable[[], RealArray], name: Callable[[int], str]
) -> Comparison | None:
    """Hold a derivative against what it says when asked once more; None if that is much the same.

    What starts from its last result may well differ by more than rounding; `REPEATS`, next to the largest entry, is
    beyond that.

    Args:
        problem: the function.
        claimed: what the derivative said, any shape.
        source: whose it is.
        again: asks once more.
        name: names an entry by its place in the flattened array.
    """
    with np.errstate(all="ignore"):
        before, now = claimed.ravel(), again().ravel()
        largest = np.max(np.abs(before), initial=0.0, where=np.isfinite(before))
        same = (before == now) | (np.isnan(before) & np.isnan(now))
        same |= np.abs(now - before) <= max(REPEATS, ROUNDING[problem.precision] * 2.0**-problem.precision) * largest
    if np.all(same):
        return None
    sources = (source, "itself, once more")
    return disagreement(sources, "derivative", ~same, now, before, np.zeros(before.size), NOT_THE_SAME, name)


def examine_products(
    problem: Problem, claimed: RealArray, source: str, product: Callable[[RealArray], RealArray]
) -> Comparison | str | None:
    """Look closely at a given `vjp=` or `jvp=` that showed something a linear map does not do; costs about seven calls.

    Returns what is wrong with it, or that it raises for some vectors.

    Args:
        problem: the function.
        claimed: the products with unit vectors, shape (k, r).
        source: "vjp=" or "jvp=".
        product: what it says of one vector.
    """
    reverse = source == "vjp="
    base = signed_probes(np.random.default_rng(13), 3, len(claimed)) * (1.0 if reverse else problem.scale)
    names = ("pullback", "cotangent") if reverse else ("pushforward", "tangent")
    verb = "pulled back" if reverse else "pushed forward"
    rule = _Rule(problem, source, *names, product, base, problem.inputs if reverse else problem.outputs, verb)
    with np.errstate(all="ignore"):
        return _fault(rule)


def repeats_itself(problem: Problem) -> bool:
    """Evaluate the function at the point once more, and tell whether it gives what it gave.

    A given derivative that reads what the function has kept then finds it.
    """
    return np.array_equal(problem.values(problem.x[None])[0], problem.y, equal_nan=True)


def compare_value(
    problem: Problem,
    outputs: RealArray,
    source: str,
    again: Callable[[Problem], RealArray],
    wide: Problem | None = None,
) -> Comparison | None:
    """Hold the value that came along with a derivative against the function's; None if they are the same.

    Values of low precision that are not the same to the last bit are compared in float64 as well.

    Differences below the square root of the dtype's roundoff, next to the output's largest number, are left to
    rounding, and so are those that values beside the point show, and those of a function that does not repeat itself.

    Args:
        problem: the function.
        outputs: the value that came along, shape (m,).
        source: whose derivative it is.
        again: differentiates a problem once more, and returns the value that comes along.
        wide: its float64 shadow, if that is another problem and runs.
    """
    if problem.random or np.shape(outputs) != problem.y.shape or np.array_equal(outputs, problem.y, equal_nan=True):
        return None
    found = _compare_value(problem, outputs, source, again, 2.0 ** (-problem.precision / 2))
    if found is not None or wide is None or wide is problem:
        return found
    try:
        return _compare_value(wide, again(wide), source, again, VALUE_OFF[problem.precision])
    except Exception:  # the function runs in float64, its rule does not
        return None


def _compare_value(
    problem: Problem, outputs: RealArray, source: str, again: Callable[[Problem], RealArray], share: float
) -> Comparison | None:
    with np.errstate(all="ignore"):
        if outputs.shape != problem.y.shape or not np.any(_apart(problem, outputs, share)):
            return None
        repeated = [problem.values(problem.x[None])[0] for _ in range(2)]
        if not all(np.array_equal(y, problem.y, equal_nan=True) for y in repeated):
            return None  # a function with a state of its own, of which the reference tells
        wrong = _apart(problem, outputs, share) & _apart(problem, again(problem), share)
        beside = np.array([problem.y, *(problem.values(here.x[None])[0] for here in neighbours(problem, FARTHER))])
        scatter = np.nan_to_num(np.max(beside, axis=0) - np.min(beside, axis=0))
        wrong &= ~(np.abs(outputs - problem.y) <= 4 * scatter)
    if not np.any(wrong):
        return None
    worst = int(np.flatnonzero(wrong)[0])
    reason = VALUE.format(
        title=problem.call.title,
        name=problem.outputs.entry(worst),
        with_=outputs[worst],
        without=problem.y[worst],
    )
    name = problem.outputs.entry
    bars = np.zeros(problem.m)
    return disagreement((source, "the function"), "value", wrong, outputs, problem.y, bars, reason, name)


def _apart(problem: Problem, outputs: RealArray, share: float) -> NDArray[np.bool_]:
    """Tell which values differ by more than a share of the largest of their output."""
    y = problem.y
    if np.array_equal(outputs, y):
        return np.zeros(problem.m, bool)
    result = np.empty(problem.m, bool)
    for block in problem.outputs.blocks:
        own, other = y[block.slice], outputs[block.slice]
        largest = np.max(np.abs(own), initial=0.0, where=np.isfinite(own))
        same = (own == other) | (np.isnan(own) & np.isnan(other))
        result[block.slice] = ~same & ~(np.abs(other - own) <= share * largest + LEAST[problem.precision])
    return result


def disagreement(
    sources: tuple[str, str],
    quantity: str,
    wrong: NDArray[np.bool_],
    claimed: RealArray,
    expected: RealArray,
    bar: RealArray,
    reason: str,
    name: Callable[[int], str],
) -> Comparison:
    """Summarise what a rule says of itself that differs.

    Args:
        sources: whose rule it is, and what it is held against.
        quantity: what is compared.
        wrong: where it differs, shape (k,).
        claimed: what the rule gives, shape (k,).
        expected: what it should have given, shape (k,).
        bar: by how much these may differ, shape (k,).
        reason: what is wrong with the rule.
        name: names a place.
    """
    with np.errstate(all="ignore"):
        gap = np.nan_to_num(np.abs(claimed - expected), nan=np.inf)
    order = np.flatnonzero(wrong)[np.argsort(-gap[wrong], kind="stable")][:WORST]
    entries = tuple(
        Entry(name(int(i)), float(claimed[i]), float(expected[i]), float(bar[i]), Verdict.DISAGREE) for i in order
    )
    claim, against = (Source(source) for source in sources)
    count, none = int(np.count_nonzero(wrong)), float("inf")
    return Comparison(
        claim, against, quantity, Verdict.DISAGREE, reason, entries, count, 0, int(wrong.size), none, none
    )
