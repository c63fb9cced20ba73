"""What `xcheck.check` says of right claims, of planted errors, and at points without a derivative."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

import xcheck
from calibration.methods import Counted
from calibration.pair import Kind, Pair
from xcheck.report import Report

PLANTED = tuple(10.0**-k for k in range(1, 9))
"""Relative sizes of planted errors."""


def verdict(pair: Pair, claim: Any) -> tuple[Report, int]:
    """Check a claim; returns the report and the evaluations."""
    f = Counted(pair)
    claim = np.asarray(claim, dtype=pair.only or "float64")
    name = "gradient" if claim.ndim == np.ndim(pair.x) else "jacobian"
    return xcheck.check(f, pair.x, raises=False, **{name: lambda _: claim}), f.count


@dataclass
class Trial:
    """One pair's verdicts.

    Attributes:
        right: the verdict on the exact derivative.
        reason: why it is inconclusive.
        evaluations: of that check.
        limit: the stated detection limit of that check.
        claim: what was claimed.
        planted: by relative size, the verdict on a claim with an error of that size in one entry.
        passed: planted errors above the stated limit that were called right: size, error and limit.
    """

    pair: Pair
    right: xcheck.Verdict
    reason: str
    evaluations: int
    limit: float
    claim: Any
    planted: dict[float, xcheck.Verdict] = field(default_factory=dict)
    passed: list[tuple[float, float, float]] = field(default_factory=list)


def judge_right(pair: Pair) -> Trial:
    """Check the exact derivative; where two readings of the values are right, the one that xcheck takes counts."""
    trials = []
    for claim in dict.fromkeys((pair.exact.tobytes(), pair.bound(0).tobytes(), pair.bound(1).tobytes())):
        exact = np.frombuffer(claim).reshape(pair.exact.shape)
        report, count = verdict(pair, exact)
        first = report.comparisons[0]
        trials.append(Trial(pair, report.verdict, first.reason, count, first.detection_limit, exact))
        if report.verdict is not xcheck.Verdict.DISAGREE:
            break
    return trials[-1]


def judge_planted(trial: Trial, sizes: tuple[float, ...] = PLANTED, seed: int = 0) -> None:
    """Check the exact derivative with an error planted in its largest entry.

    The error is relative to that entry, or, where that is zero, to the function's value per size of the input.
    """
    pair, exact = trial.pair, trial.claim
    where = np.unravel_index(np.argmax(np.abs(exact)), exact.shape)
    unit = abs(float(exact[where]))
    if unit == 0:
        x, y = np.max(np.abs(pair.x)), np.max(np.abs(np.asarray(pair.f(pair.x), dtype=np.float64)))
        unit = float((y or 1.0) / (x or 1.0))
    sign = float(np.random.default_rng(seed).choice((-1.0, 1.0)))
    for size in sizes:
        claim = exact.copy()
        claim[where] += sign * size * unit
        claim = np.asarray(claim, dtype=pair.only or "float64")
        if np.array_equal(claim, exact.astype(claim.dtype)):
            continue  # lost in the claim's own dtype
        report, _ = verdict(pair, claim)
        trial.planted[size] = report.verdict
        error, limit = float(np.max(pair.errors(claim))), report.comparisons[0].detection_limit
        if report.verdict is xcheck.Verdict.AGREE and error > limit:
            trial.passed.append((size, error, limit))


@dataclass
class Rough:
    """Verdicts at a point without a derivative.

    Attributes:
        reason: what the report says of a claim in the middle.
        named: it says what kind of point this is.
        slopes: the one-sided slopes that it gives, at a kink.
        right_slopes: whether they are the true ones.
        called: verdicts on claims that a convention may make: both one-sided slopes and their mean.
        outside: the verdict on a claim outside of the two slopes.
    """

    pair: Pair
    reason: str
    named: bool
    slopes: tuple[float, float] | None
    right_slopes: bool
    called: tuple[xcheck.Verdict, ...]
    outside: xcheck.Verdict | None


WORDS = {Kind.KINK: "kink", Kind.JUMP: "jump", Kind.EDGE: ("edge", "not finite")}


def judge_rough(pair: Pair) -> Rough:
    """Check conventions at a kink, a jump or an edge."""
    words = WORDS[pair.kind]
    if pair.kind is not Kind.KINK:
        claims: tuple[float, ...] = (float(pair.low), 0.0) if pair.kind is Kind.JUMP else (1.0,)
    else:
        claims = (float(pair.exact), float(pair.low), float(pair.high))
    reports = [verdict(pair, claim)[0] for claim in claims]
    first = reports[0].comparisons[0]
    named = any(word in first.reason for word in ((words,) if isinstance(words, str) else words))
    called = tuple(report.verdict for report in reports)
    if pair.kind is not Kind.KINK:
        return Rough(pair, first.reason, named, None, True, called, None)
    slopes = first.worst[0].slopes
    gap = float(pair.high - pair.low)
    right = slopes is not None and all(
        abs(found - float(truth)) <= 1e-3 * gap for found, truth in zip(slopes, (pair.left, pair.right), strict=True)
    )
    outside = verdict(pair, float(pair.high) + 0.5 * gap)[0].verdict
    return Rough(pair, first.reason, named, slopes, right, called, outside)
