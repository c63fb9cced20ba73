"""The finite-difference reference: its error bars hold, and it says what it cannot measure."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from expressions import random_expression, random_point

import xcheck


def measure(f, x):
    value, bar = xcheck.finite_difference(f, x)
    return float(value), float(bar)


@pytest.mark.parametrize("kinks", [False, True])
def test_error_bars_cover_the_truth_of_random_functions(kinks: bool) -> None:
    rng = np.random.default_rng(2026 + kinks)
    measured = missed = sharp = 0
    with mp.workdps(40):
        for _ in range(80):
            f, x = random_expression(rng, int(rng.integers(1, 5)), kinks), random_point(rng)
            value, slope = f.dual(mp.mpf(x))
            if abs(f(x) - float(value)) > 1e-9 * abs(float(value)):
                continue  # the float64 value itself is off, so its slope is another function's
            found, bar = measure(f, x)
            if np.isfinite(bar):
                measured += 1
                missed += abs(found - float(slope)) > bar
                sharp += bar <= 1e-6 * abs(float(slope))
    assert measured > 60
    assert missed == 0
    assert sharp > 0.85 * measured


def test_error_bars_cover_the_truth_under_noise() -> None:
    rng = np.random.default_rng(7)
    for level in (1e-12, 1e-10, 1e-8, 1e-6):

        def noisy(x: float, level: float = level) -> float:
            bits = np.float64(x).view(np.uint64)
            return float(np.sin(x) * (1 + level * np.random.default_rng(bits).normal()))

        for x in rng.uniform(0.3, 1.2, 6):
            found, bar = measure(noisy, float(x))
            assert abs(found - np.cos(x)) <= bar
            assert bar <= max(3e4 * level, 8e-7)  # at the latter an entry counts as resolved


@pytest.mark.parametrize(
    ("f", "x", "truth"),
    [
        (lambda x: np.sin(1000 * x), 1.0, 1000 * np.cos(1000.0)),
        (np.sin, 1e10, np.cos(1e10)),
        (lambda x: np.abs(x - 1.001), 1.0, -1.0),
        (lambda x: np.abs(x - 1.0000003), 1.0, -1.0),
        (np.log, 1e-5, 1e5),
        (np.sqrt, 1e-7, 0.5 / np.sqrt(1e-7)),
        (np.exp, 700.0, np.exp(700.0)),
        (lambda x: x * x, 1e8, 2e8),
        (lambda x: np.maximum(x, 0), 3e-7, 1.0),
        (lambda x: np.maximum(x, 0), -3e-7, 0.0),
        (lambda x: 1e300 * np.sin(x), 1.0, 1e300 * np.cos(1.0)),
        (lambda x: 1e-300 * np.sin(x), 1.0, 1e-300 * np.cos(1.0)),
        (lambda x: x**3, 0.0, 0.0),
        (lambda x: np.exp(-x * x), 6.0, -12 * np.exp(-36.0)),
        (lambda x: 1e8 + np.sin(x), 1.0, np.cos(1.0)),
    ],
)
def test_hard_points_have_a_bar_that_holds(f, x: float, truth: float) -> None:
    found, bar = measure(f, x)
    assert abs(found - truth) <= bar
    assert bar <= max(1e-3 * abs(truth), 1e-7)


@pytest.mark.parametrize(
    ("f", "x", "reason", "slopes"),
    [
        (np.abs, 0.0, "kink", (-1.0, 1.0)),
        (lambda x: np.maximum(x, 0), 0.0, "kink", (0.0, 1.0)),
        (lambda x: 1e8 * np.abs(x - 2), 2.0, "kink", (-1e8, 1e8)),
        (lambda x: np.where(x > 1, 2 * x, x + 1), 1.0, "kink", (1.0, 2.0)),
        (np.floor, 4.0, "jumps", None),
        (np.sqrt, 0.0, "edge", None),
        (np.log, 0.0, "not finite", None),
    ],
)
def test_points_without_a_derivative_are_named(f, x: float, reason: str, slopes) -> None:
    _, bar = measure(f, x)
    assert bar == np.inf
    between = np.asarray(np.mean(slopes or 0.5))
    report = xcheck.check(f, x, gradient=lambda x: between, raises=False)
    assert report.verdict is xcheck.Verdict.INCONCLUSIVE
    assert reason in report.comparisons[0].reason
    if slopes is not None:
        assert report.comparisons[0].worst[0].slopes == pytest.approx(slopes, rel=1e-9, abs=1e-9)


def test_a_saturated_function_is_not_called_flat() -> None:
    for claim in (0.0, 1.001 * float(np.exp(-40.0))):
        report = xcheck.check(np.expm1, -40.0, gradient=lambda x, c=claim: np.asarray(c), raises=False)
        assert report.verdict is xcheck.Verdict.INCONCLUSIVE


def test_a_function_without_repeatable_values_is_called_random() -> None:
    generator = np.random.default_rng()
    report = xcheck.check(lambda x: x * generator.normal(), 1.0, gradient=lambda x: np.asarray(1.0), raises=False)
    assert report.verdict is xcheck.Verdict.INCONCLUSIVE
    assert "random" in report.comparisons[0].reason


def test_low_precision_is_measured_in_its_own_precision_where_float64_is_refused() -> None:
    def only_float32(x):
        if x.dtype != np.float32:
            raise TypeError("float32 only")
        return np.sin(x)

    x = np.array([0.5, 1.0, 1.5], np.float32)
    value, bar = xcheck.finite_difference(only_float32, x)
    truth = np.diag(np.cos(x.astype(np.float64)))
    assert np.all(np.abs(value - truth) <= bar)
    assert np.all(np.diag(bar) < 1e-3)
    assert np.all(np.diag(bar) > 1e-8)


def test_an_easy_function_costs_few_evaluations() -> None:
    x = np.linspace(0.5, 1.5, 10)
    report = xcheck.check(lambda x: np.sum(np.sin(x)), x, gradient=np.cos)
    assert report.evaluations <= 4 * 10 + 12  # two levels, both sides; the point; eight for the noise
