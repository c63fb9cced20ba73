"""The test of the test: planted errors are seen from the stated limit on, and a limit that is too fine is found out."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import numpy as np
import pytest

import xcheck
from xcheck import trials
from xcheck.judgement import Judgement
from xcheck.report import ClaimPower, Report, Size

X = np.array([0.3, -1.2, 2.0, 0.7])


def sine_report(**options: Any) -> Report:
    return xcheck.check(np.sin, X, jacobian=lambda x: np.diag(np.cos(x)), **options)


def assert_seen(claim: ClaimPower) -> None:
    """At the limit and above nothing passes, and not everything is seen as small as the errors get."""
    assert claim.holds
    assert claim.smallest_seen <= claim.limit
    assert all(size.passed == 0 for size in claim.sizes if size.multiple >= 1)
    assert claim.sizes[-1].seen > 0
    assert claim.sizes[0].passed > 0


@pytest.fixture
def few_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plant errors of four sizes instead of thirteen, where the claims are many or the framework is slow."""
    monkeypatch.setattr(trials, "MULTIPLES", (2.0**-6, 1.0, 4.0, 2.0**6))


def test_a_right_limit_holds() -> None:
    report = sine_report()
    power = report.power()
    assert power.holds
    (claim,) = power.claims
    assert_seen(claim)
    assert claim.limit == report.comparisons[0].detection_limit
    assert [size.multiple for size in claim.sizes] == [2.0**k for k in range(-6, 7)]
    assert {size.seen + size.left_open + size.passed for size in (*claim.sizes, *claim.by_entry)} == {power.trials}
    assert claim.holds_by_entry


def test_a_limit_that_is_too_fine_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Judgement.resolution
    monkeypatch.setattr(Judgement, "resolution", property(lambda self: honest.__get__(self) / 1000))
    power = sine_report().power()
    assert not power.holds
    assert not power.claims[0].holds
    assert power.claims[0].smallest_seen > power.claims[0].limit
    assert "A STATED LIMIT DOES NOT HOLD" in str(power)
    assert "called right: an error of" in str(power)
    assert "d out[" in power.claims[0].passed[0]


def test_the_modes_of_every_backend(backend: Any, few_sizes: None) -> None:
    given = {} if hasattr(backend, "vjp") else {"diagonal": lambda x: 3 * x**2 + 1}
    x, count = (X[:2], 4) if backend.name in ("jax", "tensorflow") else (X, 8)
    report = xcheck.check(lambda x: x**3 + x, backend.from_numpy(x), backend=backend, **given)
    power = report.power(count)
    assert power.holds, str(power)
    assert len(power.claims) == len(report.comparisons)


def test_a_large_gradient_by_probes() -> None:
    x = np.random.default_rng(0).normal(size=20_000)
    report = xcheck.check(lambda x: np.sum(np.sin(x)), x, gradient=np.cos, budget=200)
    assert report.comparisons[0].method == "probes"
    power = report.power(4)
    assert_seen(power.claims[0])
    assert power.claims[0].by_entry == ()


@pytest.mark.parametrize("name", ["squares", "sines", "logarithm of a sum"])
def test_the_limit_of_a_large_gradient_that_was_looked_at_more_closely(name: str) -> None:
    f, gradient = {
        "squares": (lambda x: x @ x, lambda x: 2 * x),
        "sines": (lambda x: np.sum(np.sin(3 * x)), lambda x: 3 * np.cos(3 * x)),
        "logarithm of a sum": (lambda x: np.log(np.sum(np.exp(x))), lambda x: np.exp(x) / np.sum(np.exp(x))),
    }[name]
    x = np.random.default_rng(0).uniform(0.5, 2.0, 60_000)
    report = xcheck.check(f, x, gradient=gradient, budget=40)  # the trials together take more than that
    assert report.evaluations <= 40
    claim = report.power(4).claims[0]
    assert_seen(claim)
    assert claim.limit < 2e-3 * np.median(np.abs(gradient(x)))


def test_a_small_budget_leaves_the_limit_of_a_large_gradient_wide() -> None:
    x = np.random.default_rng(0).uniform(0.5, 2.0, 60_000)
    limits = {}
    for budget in (30, 40):
        report = xcheck.check(lambda x: x @ x, x, gradient=lambda x: 2 * x, budget=budget)
        assert report.evaluations <= budget
        limits[budget] = report.comparisons[0].detection_limit
    assert limits[30] > 4 * limits[40]


def test_both_modes_by_probes(torch: Any) -> None:
    x = torch.linspace(-1, 1, 40, dtype=torch.float64)
    report = xcheck.check(torch.sin, x, budget=20)
    power = report.power(8)
    assert [claim.claim for claim in power.claims] == ["torch/vjp", "torch/jvp", "torch/jvp"]
    assert power.holds, str(power)


def test_a_long_diagonal() -> None:
    x = np.linspace(-2, 2, 300)
    report = xcheck.check(np.tanh, x, diagonal=lambda x: 1 - np.tanh(x) ** 2)
    power = report.power()
    assert_seen(power.claims[0])


def test_float32(torch: Any) -> None:
    report = xcheck.check(torch.sin, torch.linspace(-1, 1, 6))
    power = report.power(8)
    assert power.holds, str(power)
    assert power.claims[0].limit > 1e-8


def test_a_kernel_beside_its_reference(torch: Any) -> None:
    report = xcheck.check(lambda x: torch.sin(x.float()), torch.linspace(-1, 1, 6), reference=torch.sin)
    power = report.power(8)
    assert power.holds, str(power)


def test_a_noisy_function() -> None:
    def noisy(x):
        return np.sum(np.sin(x)) + 1e-8 * np.sin(1e13 * np.sum(x))

    report = xcheck.check(noisy, X, gradient=np.cos, raises=False)
    power = report.power(4)
    assert power.holds, str(power)
    assert power.claims[0].limit > 1e-8


def test_second_order(torch: Any, few_sizes: None) -> None:
    report = xcheck.check(lambda x: (x**3).sum() + x[0] * x[1], torch.tensor(X[:2]), order=2)
    power = report.power(4)
    assert power.holds, str(power)
    assert {claim.quantity for claim in power.claims} == {"gradient", "Hessian", "second derivative"}
    assert any(claim.method == "cotangents" for claim in power.claims)
    assert len(power.claims) == len(report.comparisons)


def test_a_function_that_draws_is_pinned_again() -> None:
    def dropout(x):
        return np.sum(x**2 * (np.random.uniform(size=x.shape) < 0.5))

    def gradient(x):
        return 2 * x * (np.random.uniform(size=x.shape) < 0.5)

    before = np.random.get_state()[1].copy()
    report = xcheck.check(dropout, np.linspace(1, 2, 20), gradient=gradient)
    assert report.power(4).holds
    assert np.array_equal(np.random.get_state()[1], before)


def test_inputs_that_changed_since_do_not_matter() -> None:
    x = X.copy()
    report = xcheck.check(np.sin, x, diagonal=np.cos)
    first = report.power(1)
    x[:] = 100.0
    assert report.power(1) == first


def test_the_same_seed_gives_the_same_tables() -> None:
    report = sine_report()
    first = report.power(2, seed=1)
    assert report.power(2, seed=1) == first
    assert report.power(2, seed=2).claims != first.claims


def test_an_error_that_is_drawn_again_is_judged_once_and_counts_again() -> None:
    report = xcheck.check(lambda x: x**3, 0.7, gradient=lambda x: 3 * x**2)
    few, many = report.power(2), report.power(8)
    assert many.evaluations == few.evaluations
    for one, other in zip(few.claims[0].sizes, many.claims[0].sizes, strict=True):
        assert (other.seen, other.left_open, other.passed) == (4 * one.seen, 4 * one.left_open, 4 * one.passed)


def test_what_did_not_agree_is_left_out() -> None:
    def square(x):
        return np.sum(x**2)

    report = xcheck.check(square, X, gradient=lambda x: 2 * x, jvp=lambda x, t: np.sum(x * t), raises=False)
    power = report.power(1)
    assert [claim.claim for claim in power.claims] == ["gradient="]
    assert power.left_out == ("jvp= vs finite differences, gradient: disagree, nothing agreed",)
    assert "left out  jvp=" in str(power)


def test_entries_beside_wrong_ones_are_tried() -> None:
    wrong = np.cos(X) * np.array([1.0, 1.1, 1.0, 1.0])
    report = xcheck.check(np.sin, X, diagonal=lambda x: wrong, raises=False)
    assert not report.ok
    assert_seen(report.power(4).claims[0])


def test_nothing_that_agrees_is_an_error() -> None:
    report = xcheck.check(np.abs, np.zeros(2), diagonal=np.sign, raises=False)
    with pytest.raises(ValueError, match=r"none did in this report: .*inconclusive, nothing agreed"):
        report.power()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"trials": 0}, ValueError, "trials must be at least 1; given: 0"),
        ({"trials": 2.0}, TypeError, "trials must be an int; given: float"),
        ({"trials": True}, TypeError, "trials must be an int; given: bool"),
        ({"seed": -1}, ValueError, "seed must be at least 0; given: -1"),
    ],
)
def test_bad_arguments(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        sine_report().power(**options)


def test_a_report_leaves_the_function_behind_when_it_is_pickled() -> None:
    report = sine_report()
    for other in (pickle.loads(pickle.dumps(report)), copy.deepcopy(report)):
        assert other == report
        assert other.to_dict() == report.to_dict()
        with pytest.raises(ValueError, match=r"Run xcheck\.check again in this process"):
            other.power()
    assert not any(name.startswith("_") for name in report.to_dict())
    assert "_plant" not in repr(report)


def test_power_is_plain_data() -> None:
    power = sine_report().power(2)
    told = json.loads(json.dumps(power.to_dict()))
    assert told["holds"] is True
    assert told["claims"][0]["smallest_seen"] == power.claims[0].smallest_seen
    assert pickle.loads(pickle.dumps(power)) == power


def test_the_smallest_seen_is_above_all_that_passed() -> None:
    sizes = tuple(Size(m, m, m, 1, 0, passed) for m, passed in ((0.5, 1), (1.0, 0), (2.0, 1), (4.0, 0), (8.0, 0)))
    claim = ClaimPower("a", "b", "gradient", "every entry", 1.0, sizes)
    assert claim.smallest_seen == 4.0
    assert not claim.holds
    assert ClaimPower("a", "b", "gradient", "every entry", 1.0, sizes[:3]).smallest_seen == np.inf


def test_long_double_overrules_nothing_that_was_measured_more_sharply() -> None:
    x, kink = np.float64(1.15646625132), 1.1564670338537115

    def claim(x):
        return -1.884 * np.sign(x - kink) + 3e-4

    report = xcheck.check(lambda x: -1.884 * np.abs(x - kink), x, gradient=claim, raises=False)
    assert report.verdict is xcheck.Verdict.DISAGREE
