"""Functions and points with exact derivatives, drawn from rules with random parameters.

from calibration import draw

pairs = draw(seed=1)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from zlib import crc32

import numpy as np

from calibration import many, rough, smooth
from calibration.dice import Dice
from calibration.pair import Draft, Kind, Pair, settle

RULES: dict[str, tuple[Callable[[Dice], Draft], ...]] = {**smooth.RULES, **rough.RULES, **many.RULES}
"""By family: the rules, used in turn."""

PER_FAMILY = 28

ATTEMPTS = 100


def draw(
    seed: int, dtype: str = "float64", per_family: int = PER_FAMILY, families: Iterable[str] = tuple(RULES)
) -> list[Pair]:
    """Draw pairs, the same number from each family.

    Half of the float32 functions exist in float32 only, so that they can't be measured in float64.

    Args:
        seed: another seed gives other parameters throughout.
        dtype: "float64" or "float32", of the points.
        per_family: pairs from each of the families.
        families: names among `RULES`; what is drawn from one does not depend on the others.

    Raises:
        RuntimeError: a rule hardly ever gives a function with a finite value and derivative.
    """
    pairs: list[Pair] = []
    for family in families:
        rules = RULES[family]
        rng = np.random.default_rng((seed, crc32(family.encode()), dtype == "float32"))
        pairs += [_one(family, rules[i % len(rules)], Dice(rng, dtype)) for i in range(per_family)]
    return pairs


def _one(family: str, rule: Callable[[Dice], Draft], dice: Dice) -> Pair:
    only = "" if dice.wide else dice.pick(("", "float32"))
    for _ in range(ATTEMPTS):
        pair = settle(family, rule.__name__, rule(dice), dice.dtype, only)
        if pair is not None:
            return pair
    raise RuntimeError(f"{family}/{rule.__name__} gave nothing finite in {ATTEMPTS} draws")


__all__ = ["PER_FAMILY", "RULES", "Kind", "Pair", "draw"]
