"""The calibration suite: its truths are true, and on its draws bars hold and verdicts are right."""

from __future__ import annotations

import secrets

import mpmath as mp
import numpy as np
import pytest
from calibration import RULES, Kind, Pair, draw
from calibration.arithmetic import DIGITS, Dual
from calibration.methods import measure, own
from calibration.verdicts import judge_planted, judge_right, judge_rough

import xcheck

SMOOTH = sorted(set(RULES) - {"kink at", "jump at", "edge"})


def missed(pair: Pair) -> bool:
    outcome = measure("xcheck", own()["xcheck"], pair)
    return bool(np.any(np.isfinite(outcome.bar) & ~(pair.errors(outcome.value) <= outcome.bar)))


def sound(seed: int, per_family: int, family: str, dtype: str = "float64") -> list[Pair]:
    return [p for p in draw(seed, dtype, per_family, (family,)) if not p.ill and p.kind is Kind.SMOOTH]


def test_a_draw_is_large_and_another_seed_gives_other_functions() -> None:
    first, again, other = (
        [pair.text for pair in draw(seed, per_family=count)] for seed, count in ((1, 28), (1, 28), (2, 28))
    )
    assert len(first) >= 400
    assert first == again
    assert len(set(first) & set(other)) < 0.05 * len(first)


def test_exact_derivatives_are_those_of_the_exact_function() -> None:
    pairs = [pair for family in ("smooth", "oscillatory", "kink beside") for pair in sound(3, 8, family)]
    assert len(pairs) == 24
    for pair in pairs:
        with mp.workdps(2 * DIGITS):
            f, x = (lambda t, f=pair.f: f.exactly(Dual(t)).value), mp.mpf(float(pair.x))
            h = mp.mpf(10) ** -30 * abs(x)
            slope = (f(x + h) - f(x - h)) / (2 * h)
            assert abs(slope - pair.low[()]) <= mp.mpf(10) ** -25 * (abs(slope) + 1)


def test_points_without_a_derivative_are_what_they_are_called() -> None:
    for pair in draw(4, per_family=6, families=("kink at", "jump at", "edge")):
        assert pair.kind.value == pair.family.removesuffix(" at")
        if pair.kind is Kind.KINK:
            with np.errstate(all="ignore"):
                h = 1e-6 * (abs(float(pair.x)) or 1.0)
                right, left = ((pair.f(pair.x + t) - pair.f(pair.x)) / t for t in (h, -h))
            gap = float(pair.high - pair.low)
            assert abs(right - float(pair.right)) < 0.2 * gap
            assert abs(left - float(pair.left)) < 0.2 * gap


def test_ill_computed_values_are_told_from_others() -> None:
    pairs = draw(5, per_family=60, families=("cancellation",))
    assert 0 < sum(pair.ill for pair in pairs) < 0.2 * len(pairs)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("family", SMOOTH)
def test_error_bars_hold(family: str, dtype: str) -> None:
    pairs = sound(1, 12, family, dtype)
    assert len(pairs) >= 6
    assert [pair.text for pair in pairs if missed(pair)] == []


def test_error_bars_hold_on_a_fresh_draw() -> None:
    seed = secrets.randbelow(2**31)
    pairs = [pair for family in SMOOTH for pair in sound(seed, 14, family)]
    lost = [pair.text for pair in pairs if missed(pair)]
    assert len(lost) <= 0.01 * len(pairs), f"seed {seed}: {lost}"


@pytest.mark.parametrize("family", SMOOTH)
def test_right_claims_raise_no_alarm_and_planted_errors_above_the_limit_do_not_pass(family: str) -> None:
    trials = [judge_right(pair) for pair in sound(2, 4, family)]
    assert [t.pair.text for t in trials if t.right is xcheck.Verdict.DISAGREE] == []
    for trial in trials:
        judge_planted(trial, sizes=(1e-1, 1e-6))
    assert [(t.pair.text, t.passed) for t in trials if t.passed] == []
    if family not in ("rounded", "noisy", "cancellation"):
        assert sum(t.right is xcheck.Verdict.AGREE for t in trials) >= len(trials) - 1
    if family in ("smooth", "scaled", "linear"):
        assert all(t.planted[1e-1] is xcheck.Verdict.DISAGREE for t in trials)


@pytest.mark.parametrize("family", ["kink at", "jump at", "edge"])
def test_no_convention_is_called_wrong_where_there_is_no_derivative(family: str) -> None:
    found = [judge_rough(pair) for pair in draw(2, per_family=8, families=(family,))]
    assert [r.pair.text for r in found if xcheck.Verdict.DISAGREE in r.called] == []
    assert [r.pair.text for r in found if r.named and not r.right_slopes] == []
    assert sum(r.named for r in found) >= 6
