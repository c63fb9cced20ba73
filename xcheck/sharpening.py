"""Products with probes that agree, looked at once more at longer steps.

The rounding of values grows with the number of inputs and a single input's share does not, so that a product agrees
within ever wider bars. Along a probe so many inputs move together that truncation is far below rounding: steps 512
times as long as the first narrow the bar by as much.
"""

from __future__ import annotations

import numpy as np

from xcheck.judgement import AGREE, DISAGREE, INCONCLUSIVE, SENTENCES, Judgement
from xcheck.protocol import RealArray
from xcheck.reference.confirm import VETOES
from xcheck.reference.estimate import Estimate, estimate
from xcheck.reference.status import Status
from xcheck.reference.windows import Mask
from xcheck.reference.witness import Witness

BLUNT = 2.0**-13
"""Bars that would hide an error of more than this share of a typical entry are narrowed."""

SHARPEST = 2.0**-16
"""And not further than to this share, which leaves a claim some rounding of its own."""

LEVELS = 3
"""Longer steps, each of them to both sides."""

COST = 4 * LEVELS
"""Evaluations that it may take: along one probe, and along another before a claim is called wrong."""


def sharpen(
    witness: Witness, judgement: Judgement, claimed: RealArray, rounding: RealArray, share: RealArray
) -> tuple[int, int] | None:
    """Narrow the bars of the first probe's products, and judge anew those that agree; changes `judgement`.

    An error in a single entry shows in every probe, so that one probe's bars are the check's. Whether a bar can be
    narrowed is read off the function's values alone: what it promises holds for any claim. Where it excludes a claim
    that agreed, the second probe decides between wrong and not decided.

    Args:
        witness: measured the products.
        judgement: the verdicts on them, shape (d, r), user units.
        claimed: the products, shape (d, r), user units.
        rounding: the rounding of the products themselves, shape (r,), user units.
        share: what a typical entry contributes to every product, shape (d, r), user units.

    Returns:
        The product (probe, output) that is wrong by most, where one is that agreed before; else None.
    """
    wanted = (judgement.verdict[0] == AGREE) & (share[0] > 0)
    wanted &= judgement.resolution[0] > BLUNT * share[0]
    if not np.any(wanted) or witness.grid.precision < 53:
        return None
    first = _longer(witness, 0, wanted)
    bar = np.maximum(first.bar, SHARPEST * share[0])
    known = wanted & (first.status == Status.OK) & ~first.noisy & (bar < judgement.bar[0] / 2)
    allowed = judgement.rounding[0] + rounding
    inside = np.abs(claimed[0] - first.value) <= bar + allowed
    judgement.value[0, known], judgement.bar[0, known] = first.value[known], bar[known]
    judgement.rounding[0, known] = allowed[known]
    suspects = known & ~inside
    if not np.any(suspects):
        return None
    other = min(1, len(claimed) - 1)
    second = _longer(witness if other else witness.fresh(np.array([0])), other, suspects)
    apart = np.abs(claimed[other] - second.value)
    second_bar = np.maximum(second.bar, SHARPEST * share[other])
    sure = suspects & (second.status == Status.OK) & ~second.noisy
    sure &= apart > second_bar + judgement.rounding[other] + rounding
    judgement.verdict[0, suspects], judgement.reason[0, suspects] = INCONCLUSIVE, SENTENCES.index(VETOES[1])
    judgement.verdict[0, sure], judgement.reason[0, sure], judgement.retested[0, sure] = DISAGREE, 0, True
    if not np.any(sure):
        return None
    gap = np.abs(claimed[0] - judgement.value[0]) / (judgement.bar[0] + judgement.rounding[0])
    return 0, int(np.argmax(np.where(sure, gap, -1.0)))


def _longer(witness: Witness, row: int, wanted: Mask) -> Estimate:
    """Measure the wanted products along one probe at longer steps, shape (r,), user units."""
    coarse, _, fine = witness.grid.group(0)
    levels = (*witness.reachable(witness.grid.group(1), row), coarse, fine)
    result = Estimate.unknown(wanted.shape)
    if len(levels) < LEVELS + 2:
        return result
    ladder, floor = witness.ladder(levels, np.array([row]), wanted[None])
    result.put(wanted, estimate(ladder, witness.rules(floor)))
    return result.scaled(witness.units[row])
