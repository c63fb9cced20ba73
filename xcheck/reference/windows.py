"""Three consecutive levels make an estimate with an error bar; the best of them makes the answer.

All arrays have the pair (direction, output) as their last axis; windows w use the levels w, w+1, w+2, coarse to fine.
The bar is a maximum of what was seen: truncation is what the last difference leaves unexplained, noise is measured.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from xcheck.protocol import RealArray

KAPPA = 1.5
"""Slack on every predicted contraction."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Ladder:
    """Difference quotients of P pairs at L levels, normalised.

    Attributes:
        levels: shape (L,), coarse to fine.
        plus, minus: displacements, shape (L, P).
        above, below: f(x + t+) - f(x) and f(x) - f(x - t-), shape (L, P).
        central, even, right, left: the quotients D, S, R and L of these, shape (L, P).
        sigma: standard deviation of a value, shape (L, P).
        inner: the size of values that may be rounded inside the function, |f(x)| or more, shape (P,).
        reach: the largest step that is allowed, shape (P,).
    """

    levels: NDArray[np.int64]
    plus: RealArray
    minus: RealArray
    above: RealArray
    below: RealArray
    central: RealArray
    even: RealArray
    right: RealArray
    left: RealArray
    sigma: RealArray
    inner: RealArray
    reach: RealArray

    @cached_property
    def h(self) -> RealArray:
        """Mean displacements."""
        return (self.plus + self.minus) / 2

    @cached_property
    def flat(self) -> Mask:
        """Where the function did not change on either side."""
        return np.asarray((self.above == 0) & (self.below == 0))

    def pairs(self, keep: Mask) -> Ladder:
        """Select pairs."""
        parts = {f.name: getattr(self, f.name)[..., keep] for f in fields(self) if f.name != "levels"}
        return Ladder(self.levels, **parts)

    def with_noise(self, sigma: RealArray) -> Ladder:
        """Raise the noise to at least `sigma`, shape (P,)."""
        return replace(self, sigma=np.maximum(self.sigma, sigma))


@dataclass(frozen=True)
class Windows:
    """Candidates, shape (W, P) each.

    Attributes:
        estimate, bar: what a window says; `bar` includes `noise`, its noise part.
        accepted: whether its three levels contract like those of a smooth function.
        contracts: whether a contraction was seen above the noise, which is evidence of a slope.
    """

    estimate: RealArray
    bar: RealArray
    noise: RealArray
    accepted: Mask
    contracts: Mask


def three_levels(a: RealArray, tau: RealArray, noise: RealArray, z: float, unit: float) -> Windows:
    """Extrapolate every three consecutive values of a sequence to tau = 0.

    Args:
        a: the sequence, shape (L, P).
        tau: what its leading error is proportional to (h^2 for central, t for one-sided quotients), shape (L, P).
        noise: standard deviations of `a`.
        z: quantile that the noise part covers.
        unit: unit roundoff.
    """
    a0, a1, a2 = a[:-2], a[1:-1], a[2:]
    t0, t1, t2 = tau[:-2], tau[1:-1], tau[2:]
    n0, n1, n2 = noise[:-2], noise[1:-1], noise[2:]
    q = (t1 - t2) / (t0 - t1)
    d1, d2 = a0 - a1, a1 - a2
    eta = z * np.sqrt(n1**2 + n2**2 + (KAPPA * q * n0) ** 2)
    w1, w2 = t1 / (t0 - t1), t2 / (t1 - t2)
    e1, e2 = a1 - d1 * w1, a2 - d2 * w2
    f = e2 + (e2 - e1) * t2 / (t0 - t2)
    unexplained = np.abs(d2 - q * d1)
    size1, size2 = q * np.abs(d1), np.abs(d2)
    abrupt = (size2 < size1 / 8) & (size1 / 8 > eta / 3) & (np.abs(a2) > 2 * q**2 * np.abs(a0))
    accepted = (size2 <= KAPPA * size1 + eta) & ~abrupt & np.isfinite(f)
    asymptotic = unexplained <= 0.2 * size1 + eta
    plain = 2 * np.maximum(size2, size1) * w2
    truncation = np.where(asymptotic, np.minimum(2 * np.abs(f - e2), plain), plain)
    estimate = np.where(asymptotic, f, e2)
    part = z * np.where(asymptotic, _lagrange_noise(tau, noise), np.hypot(w2 * n1, (1 + w2) * n2))
    bar = truncation + unexplained + part + 4 * unit * np.abs(estimate)
    contracts = (size2 > 2 * eta) & (size2 >= size1 / 30)
    return Windows(estimate, bar, part, accepted, contracts)


def _lagrange_noise(tau: RealArray, noise: RealArray) -> RealArray:
    t0, t1, t2 = tau[:-2], tau[1:-1], tau[2:]
    l0 = t1 * t2 / ((t0 - t1) * (t0 - t2))
    l1 = t0 * t2 / ((t1 - t0) * (t1 - t2))
    l2 = t0 * t1 / ((t2 - t0) * (t2 - t1))
    return np.asarray(np.sqrt((l0 * noise[:-2]) ** 2 + (l1 * noise[1:-1]) ** 2 + (l2 * noise[2:]) ** 2))


def central_sequence(ladder: Ladder) -> tuple[RealArray, RealArray, RealArray]:
    """Return the central quotients, the squares of their displacements and their noise."""
    return ladder.central, ladder.h**2, ladder.sigma / (np.sqrt(2) * ladder.h)


def central_windows(ladder: Ladder, z: float, unit: float) -> Windows:
    """Build windows on central differences; the even part must contract as well.

    `f(x+h) + f(x-h) - 2 f(x)` goes like h^2 for a smooth function, like h at a kink and stays at a jump. Nothing else
    in a central difference shows a kink at the point itself.
    """
    h = ladder.h
    windows = three_levels(*central_sequence(ladder), z, unit)
    q_values, q_noise = ladder.even / h**2, np.sqrt(6) * ladder.sigma / h**2
    first, second = np.abs(q_values[:-2] - q_values[1:-1]), np.abs(q_values[1:-1] - q_values[2:])
    ratio = (h[1:-1] ** 2 - h[2:] ** 2) / (h[:-2] ** 2 - h[1:-1] ** 2)
    slack = z * np.sqrt(q_noise[1:-1] ** 2 + q_noise[2:] ** 2 + (KAPPA * ratio * q_noise[:-2]) ** 2)
    smooth = second <= KAPPA * ratio * first + slack
    curved = _even_contracts(ladder, z)
    return Windows(windows.estimate, windows.bar, windows.noise, windows.accepted & smooth, windows.contracts | curved)


def one_sided_sequence(ladder: Ladder, side: str) -> tuple[RealArray, RealArray, RealArray]:
    """Return the one-sided quotients of side "right" or "left", their displacements and their noise."""
    a, t = (ladder.right, ladder.plus) if side == "right" else (ladder.left, ladder.minus)
    return a, t, np.sqrt(2) * ladder.sigma / t


def select(
    windows: Windows, ladder: Ladder, sequence: RealArray, tau: RealArray, noise: RealArray, rules: Rules
) -> tuple[RealArray, RealArray, NDArray[np.int64]]:
    """Choose each pair's window.

    Returns:
        Estimates and bars, shape (P,), and the chosen windows' indices; the bar is inf and the index -1 where no
        window passes.
    """
    usable = windows.accepted & rules.allowed(windows, ladder)
    usable &= _explains_finer_levels(windows, sequence, tau, noise, rules)
    if rules.need_evidence:
        usable &= _has_evidence(windows, usable, ladder, rules)
    bars = np.where(usable, windows.bar, np.inf)
    best = np.argmin(bars, axis=0)
    pairs = np.arange(bars.shape[1])
    for w in range(len(bars)):  # the derivative is local: a finer window that contradicts the chosen one wins
        apart = np.abs(windows.estimate[w] - windows.estimate[best, pairs]) > windows.bar[w] + bars[best, pairs]
        best = np.where(usable[w] & (w > best) & apart, w, best)
    bar = bars[best, pairs]
    found = np.isfinite(bar)
    return np.where(found, windows.estimate[best, pairs], np.nan), bar, np.where(found, best, -1)


@dataclass(frozen=True)
class Rules:
    """What a window must satisfy besides contracting.

    Attributes:
        z: quantile of the noise.
        unit: unit roundoff.
        finest_base: windows that end at finer levels than this need evidence of a slope.
        floor: the rounding part of the noise, shape (L, P).
        group: the ratio of step sizes between one group of levels and the next.
        need_evidence: whether the evidence rule applies.
    """

    z: float
    unit: float
    finest_base: int
    floor: RealArray
    group: float = 512.0
    need_evidence: bool = True

    def allowed(self, windows: Windows, ladder: Ladder) -> Mask:
        """Refuse flat and blind windows.

        Flat: at its finest level the function did not change, so an inner value no longer moves by an ulp; unless one
        side is flat all the way up to a quarter of the scale (a dead ReLU). Blind: the bar covers zero; such a window
        says something near the point only, and nothing at all where the noise is not plain rounding.
        """
        near = ladder.h <= 0.25
        above_flat = np.logical_and.accumulate((ladder.above == 0) | ~near, axis=0)
        below_flat = np.logical_and.accumulate((ladder.below == 0) | ~near, axis=0)
        flat = ladder.flat[2:] & ~(above_flat[2:] | below_flat[2:])
        blind = np.abs(windows.estimate) <= windows.bar
        noisy = ladder.sigma[2:] > 64 * np.maximum(self.floor[2:], np.finfo(np.float64).tiny)
        return ~flat & ~(blind & (noisy | (ladder.h[:-2] > 0.26)))


def _explains_finer_levels(
    windows: Windows, sequence: RealArray, tau: RealArray, noise: RealArray, rules: Rules
) -> Mask:
    """A window must explain every finer level (Lepski's principle; Lu and Pereverzev, Math. Comp. 75, 2006)."""
    result = np.ones(windows.bar.shape, bool)
    for w in range(len(windows.bar)):
        k = w + 2
        est, bar = windows.estimate[w], windows.bar[w] + 4 * rules.unit * np.abs(windows.estimate[w])
        off = KAPPA * np.abs(sequence[k] - est) / tau[k]
        for j in range(k + 1, len(sequence)):
            result[w] &= ~(np.abs(sequence[j] - est) > bar + rules.z * noise[j] + off * tau[j])
    return result


def _has_evidence(windows: Windows, usable: Mask, ladder: Ladder, rules: Rules) -> Mask:
    """Windows finer than the base need a contraction seen above the noise, there or in a consistent coarser one.

    A one-sided limit from the base or coarser levels is as good: beside a kink only one side reaches that far.
    Without evidence the window may be a piece between two roundings: (1 - cos x) / x^2 at 1e-3 has a clean fine slope.
    """
    result = np.zeros(windows.bar.shape, bool)
    for w in range(len(windows.bar)):
        result[w] = windows.contracts[w] | (ladder.levels[w + 2] <= rules.finest_base)
        for v in range(w):
            near = np.abs(windows.estimate[v] - windows.estimate[w]) <= windows.bar[v] + windows.bar[w]
            result[w] |= usable[v] & (windows.contracts[v] | (ladder.levels[v + 2] <= rules.finest_base)) & near
    missing = usable & ~result
    if np.any(missing):
        for side in ("right", "left"):
            estimate, bar = _coarse_side(ladder, side, rules)
            near = np.abs(estimate - windows.estimate) <= bar + windows.bar
            result |= missing & near & (bar <= 2 * windows.bar)
    return result


def _coarse_side(ladder: Ladder, side: str, rules: Rules) -> tuple[RealArray, RealArray]:
    sequence, tau, noise = one_sided_sequence(ladder, side)
    windows = three_levels(sequence, tau, noise, rules.z, rules.unit)
    usable = windows.accepted & (ladder.levels[2:] <= rules.finest_base)[:, None]
    usable &= _explains_finer_levels(windows, sequence, tau, noise, rules)
    bars = np.where(usable, windows.bar, np.inf)
    best = np.argmin(bars, axis=0)
    pairs = np.arange(bars.shape[1])
    return windows.estimate[best, pairs], bars[best, pairs]


def _even_contracts(ladder: Ladder, z: float) -> Mask:
    s, tau = ladder.even, ladder.h**2
    seen = np.abs(s[1:-1]) > 2 * z * np.sqrt(6) * ladder.sigma[1:-1]
    predicted = s[:-2] * tau[1:-1] / tau[:-2]
    return np.asarray(seen & (np.abs(s[1:-1] - predicted) <= 0.25 * np.abs(predicted)))
