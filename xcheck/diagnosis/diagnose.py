"""Name the cause of wrong entries: the simplest explanation that fits all of them, or none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial as bound
from itertools import combinations

from xcheck.diagnosis.activations import activation
from xcheck.diagnosis.arrays import differences, sum_of_outputs, truncated
from xcheck.diagnosis.explanation import Explanation
from xcheck.diagnosis.factors import conjugated, factor, ignored, missing
from xcheck.diagnosis.orders import permuted, shifted, transposed, turned, weights_transposed
from xcheck.diagnosis.places import at_one_place, not_finite, where_a_mask_holds
from xcheck.diagnosis.products import other_product, slopes_as_matrix
from xcheck.diagnosis.region import Region, part
from xcheck.diagnosis.sums import cotangent_ignored, elementwise, mixing, partial, summed, swapped, without_mixing
from xcheck.diagnosis.terms import additive, applied_twice, one_sample, skipped

Rule = Callable[[Region], Iterator[Explanation]]

OF_ALL: tuple[Rule, ...] = (
    not_finite,
    missing,
    ignored,
    bound(factor, named=True),
    conjugated,
    cotangent_ignored,
    additive,
)
"""Rules that make sense for several inputs and outputs together."""

OF_ONE: tuple[Rule, ...] = (
    not_finite,
    missing,
    ignored,
    bound(factor, named=True),
    conjugated,
    transposed,
    permuted,
    elementwise,
    other_product,
    cotangent_ignored,
    partial,
    without_mixing,
    summed,
    shifted,
    turned,
    truncated,
    differences,
    slopes_as_matrix,
    additive,
    skipped,
    weights_transposed,
    activation,
    mixing,
)
"""Rules for one input, the simplest first."""

MEASURING: tuple[Rule, ...] = (sum_of_outputs, applied_twice, one_sample)
"""Rules that cost measurements."""

PLACES: tuple[Rule, ...] = (bound(factor, named=False), where_a_mask_holds, at_one_place)
"""Rules that come last: they name a place, or a number without a meaning."""

ENTRIES = 2**20
"""Larger Jacobians are explained by their places alone: every rule looks at all entries several times."""


@dataclass(frozen=True)
class Diagnosis:
    """Why a claim is wrong.

    Attributes:
        explanations: one for every part that has its own; empty if nothing fits.
        unexplained: how many wrong entries none of them is about.
    """

    explanations: tuple[Explanation, ...]
    unexplained: int


FACTS = ("zero", "not finite", "one entry", "one index", "one input", "one output", "boundary", "wrong where")
"""Beginnings of kinds that say what is seen at the point, and need no other."""


def diagnose(region: Region) -> Diagnosis:
    """Find the simplest explanations that fit all wrong entries: of everything, else of every input, else of pairs.

    What explains the claim at the point has to explain it at another point too, if the claim is known there: at 2, any
    number of mistakes in `x**2` are off by a factor of two, and at 2.07 one is.

    Args:
        region: all entries.
    """
    if len(region.sources) * len(region.targets) > 1:
        found = _first(region, OF_ALL)
        if found is not None:
            return Diagnosis((found,), 0)
    pairs = _swapped(region)
    explained: list[tuple[Explanation, str]] = [(e, "") for e in pairs]
    left = 0
    for source in region.sources:
        own = part(region, source)
        if not own.wrong.any() or any(source.name in e.where for e in pairs):
            continue
        found = _of(own)
        if found is not None:
            explained.append((found, source.name))
            continue
        for target in region.targets if len(region.targets) > 1 else ():
            pair = part(region, source, target)
            if not pair.wrong.any():
                continue
            found = _of(pair)
            if found is None:
                left += int(pair.wrong.sum())
            else:
                explained.append((found, f"d {target.name} / d {source.name}"))
        if len(region.targets) == 1:
            left += int(own.wrong.sum())
    single = len(region.sources) * len(region.targets) == 1
    return Diagnosis(tuple(_merged(explained, single)), left)


def _of(region: Region) -> Explanation | None:
    if region.claimed.size > ENTRIES:
        return _first(region, PLACES)
    if len(region.targets) > 1:
        return _first(region, (*OF_ALL, *MEASURING))  # places are named output by output
    return _first(region, (*OF_ONE, *MEASURING, *PLACES))


def _first(region: Region, rules: Sequence[Rule]) -> Explanation | None:
    for rule in rules:
        for explanation in rule(region):
            if _holds(explanation, rule, region.again):
                return explanation
    return None


def _holds(explanation: Explanation, rule: Rule, again: Region | None) -> bool:
    """Tell whether the same is found at another point."""
    if again is None or explanation.kind.startswith(FACTS):
        return True
    return any((e.kind, e.text) == (explanation.kind, explanation.text) for e in rule(again))


def _swapped(region: Region) -> list[Explanation]:
    """Find inputs that have each other's derivatives."""
    found = []
    wrong = [block for block in region.sources if part(region, block).wrong.any()]
    for a, b in combinations(wrong, 2):
        if all(swapped(part(r, a), part(r, b)) for r in (region, region.again) if r is not None):
            found.append(
                Explanation("swapped", "the derivatives of these two inputs are exchanged", f"{a.name} and {b.name}")
            )
    return found


def _merged(explained: Sequence[tuple[Explanation, str]], single: bool) -> Iterator[Explanation]:
    """Put places with the same explanation together; a lone input needs no name."""
    places: dict[tuple[str, str], list[str]] = {}
    for explanation, where in explained:
        places.setdefault((explanation.kind, explanation.text), []).append(explanation.where or where)
    first = {(e.kind, e.text): e for e, _ in reversed(explained)}
    for key, names in places.items():
        yield replace(first[key], where="" if single else ", ".join(names))
