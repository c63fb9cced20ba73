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
from xcheck.reference.windows import KAPPA, Ladder, Mask
from xcheck.reference.witness import Witness

BLUNT = 2.0**-13
"""Bars that would hide an error of more than this share of a typical entry are narrowed."""

SHARPEST = BLUNT / 2
"""And not further than to this share: what agrees without a closer look agrees within bars that are no wider."""

LEVELS = 3
"""Longer steps, each of them to both sides; of very many inputs one has to do."""

HIDDEN = 4.0
"""With one longer step, kinks that stay below the rounding of even parts may be that much of the bar."""


def cost(few: bool) -> int:
    """Return how many evaluations it may take: along one probe, and along another before a claim is called wrong."""
    return 4 if few else 4 * LEVELS + 4


def sharpen(
    witness: Witness, judgement: Judgement, claimed: RealArray, rounding: RealArray, share: RealArray, few: bool
) -> bool:
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
        few: whether evaluations cost so much that one longer step has to do.

    Returns:
        Whether a product is wrong that agreed before.
    """
    wanted = (judgement.verdict[0] == AGREE) & (share[0] > 0)
    wanted &= judgement.resolution[0] > BLUNT * share[0]
    if not np.any(wanted) or witness.grid.precision < 53:
        return False
    if not few:
        witness.measure_noise()  # on all points, as if the claim had not agreed at once
    first = _longer(witness, 0, wanted, few)
    bar = np.maximum(first.bar, SHARPEST * share[0])
    known = wanted & (first.status == Status.OK) & ~first.noisy & (bar < judgement.bar[0])
    allowed = judgement.rounding[0] + rounding
    inside = np.abs(claimed[0] - first.value) <= bar + allowed
    judgement.value[0, known], judgement.bar[0, known] = first.value[known], bar[known]
    judgement.rounding[0, known] = allowed[known]
    suspects = known & ~inside
    if not np.any(suspects):
        return False
    other = min(1, len(claimed) - 1)
    second = _longer(witness if other else witness.fresh(np.array([0])), other, suspects, few)
    apart = np.abs(claimed[other] - second.value)
    second_bar = np.maximum(second.bar, SHARPEST * share[other])
    sure = suspects & (second.status == Status.OK) & ~second.noisy
    sure &= apart > second_bar + judgement.rounding[other] + rounding
    judgement.verdict[0, suspects], judgement.reason[0, suspects] = INCONCLUSIVE, SENTENCES.index(VETOES[1])
    judgement.verdict[0, sure], judgement.reason[0, sure], judgement.retested[0, sure] = DISAGREE, 0, True
    return bool(np.any(sure))


def _longer(witness: Witness, row: int, wanted: Mask, few: bool) -> Estimate:
    """Measure the wanted products along one probe at longer steps, shape (r,), user units."""
    coarse, _, fine = witness.grid.group(0)
    group = witness.grid.group(1)
    longer = witness.reachable(group[1:2] if few else group, row)
    result = Estimate.unknown(wanted.shape)
    if len(longer) < (1 if few else LEVELS):
        return result
    ladder, floor = witness.ladder((*longer, coarse, fine), np.array([row]), wanted[None])
    found = _of_three(ladder, witness.z) if few else estimate(ladder, witness.rules(floor))
    result.put(wanted, found)
    return result.scaled(witness.units[row])


def _of_three(ladder: Ladder, z: float) -> Estimate:
    """Extrapolate from the two coarser of three levels where all of them are those of a smooth function."""
    far, near, fine = ladder.central
    q = (ladder.h[1:] / ladder.h[:-1]) ** 2
    result = Estimate.unknown(near.shape)
    result.value = near + (near - far) * q[0] / (1 - q[0])
    noise = z / np.sqrt(2) * ladder.sigma / ladder.h
    result.noise = HIDDEN * noise[1]
    result.bar = KAPPA * q[0] * np.abs(far - near) + result.noise
    even, unexplained = np.abs(ladder.even), z * np.sqrt(6) * ladder.sigma
    smooth = np.all(even[1:] <= KAPPA * q * even[:-1] + unexplained[1:], axis=0)
    smooth &= np.abs(fine - result.value) <= result.bar + noise[2]
    result.status = np.where(smooth, Status.OK, Status.UNRESOLVED).astype(np.int8)
    return result
