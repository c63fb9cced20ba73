"""Claims in which the derivative of an activation comes once too often, or not at all, or at the wrong place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from xcheck.diagnosis.explanation import Explanation
from xcheck.diagnosis.region import Region
from xcheck.protocol import RealArray


@dataclass(frozen=True)
class Activation:
    """An activation function whose derivative is known from its value.

    Attributes:
        name: as users say it.
        by_value: the derivative, given the value.
        slope: the derivative, given the input.
        low, high: between which all values lie.
    """

    name: str
    by_value: Callable[[RealArray], RealArray]
    slope: Callable[[RealArray], RealArray]
    low: float
    high: float


def _sigmoid_slope(x: RealArray) -> RealArray:
    s = 1 / (1 + np.exp(-x))
    return np.asarray(s * (1 - s))


ACTIVATIONS = (
    Activation("sigmoid", lambda y: y * (1 - y), _sigmoid_slope, 0.0, 1.0),
    Activation("tanh", lambda y: 1 - y * y, lambda x: 1 - np.tanh(x) ** 2, -1.0, 1.0),
    Activation("softplus", lambda y: -np.expm1(-y), lambda x: 1 / (1 + np.exp(-x)), 0.0, np.inf),
    Activation("exponential", lambda y: y, np.exp, 0.0, np.inf),
)


def activation(region: Region) -> Iterator[Explanation]:
    """Recognise a last activation that is differentiated wrongly, by the values of the outputs.

    Evidence: every output's slopes are off by a ratio that its value gives, to all digits; two outputs at least, since
    one ratio is near one of the sixteen that are tried too easily.
    """
    block = region.target
    if block is None or block.is_complex or not np.all(np.isfinite(region.y)):
        return
    if np.count_nonzero(np.any(region.wrong, axis=0)) < 2:
        return
    for one in ACTIVATIONS:
        y = region.y
        if not np.all((y > one.low) & (y < one.high)):
            continue
        for ratio, kind, text in _ratios(one, y):
            if region.fits(ratio * region.measured, np.abs(ratio) * region.tolerance):
                yield Explanation(kind, text)
                return


def _ratios(one: Activation, y: RealArray) -> Iterator[tuple[RealArray, str, str]]:
    own, beyond = one.by_value(y), one.slope(y)
    name = one.name
    yield own, "applied twice", f"the derivative of the {name} comes twice in the claim"
    yield 1 / own, "derivative left out", f"the derivative of the {name} that comes last is left out of the claim"
    yield (
        beyond / own,
        "applied twice",
        f"the claim takes the derivative of the {name} at its output and not at its input: the {name} is applied twice",
    )
    yield beyond, "applied twice", f"the {name} is applied twice in the claim, and once in the function"
