"""What a report says, and that it says it in the user's words."""

from __future__ import annotations

import re

import numpy as np
import pytest

import xcheck
from xcheck import Verdict


def wrong_gradient_report():
    x = {"w": np.array([[1.0, 2.0], [3.0, 4.0]]), "b": np.array([0.5, -0.5])}

    def loss(params):
        return {"loss": np.sum(params["w"] ** 2) + np.sum(params["b"])}

    def gradient(params):
        w = 2 * params["w"]
        w[0, 1] = 5.0
        return {"w": w, "b": np.ones(2)}

    return xcheck.check(loss, x, gradient=gradient, raises=False)


def test_the_text_names_the_entry_and_both_numbers() -> None:
    text = str(wrong_gradient_report())
    assert "loss, numpy float64: DISAGREE" in text
    assert "gradient= vs finite differences: DISAGREE, 1 of 6 entries of the gradient" in text
    assert "d out['loss'] / d params['w'][0, 1]: 5 claimed, 4 ± " in text
    assert "(ratio 1.25)" in text
    assert "would have been seen" in text
    assert "evaluations" in text


def test_the_text_says_where_the_function_was_checked() -> None:
    report = wrong_gradient_report()
    assert report.point == ("params['b'] in [-0.5, 0.5]", "params['w'] in [1, 4]")
    assert "at        params['b'] in [-0.5, 0.5], params['w'] in [1, 4]; other points may differ" in str(report)


def test_unchecked_inputs_with_one_reason_share_a_line() -> None:
    report = xcheck.check(
        lambda x, n, k: np.sum(x) * n * k, np.ones(2), 2, 3, gradient=lambda x, n, k: 6 * np.ones(2), raises=False
    )
    assert "unchecked n, k: held constant, a Python int" in str(report)


def test_the_numbers_are_there_as_attributes() -> None:
    comparison = wrong_gradient_report().comparisons[0]
    entry = comparison.worst[0]
    assert (comparison.claim.source, comparison.reference.source) == ("gradient=", "finite differences")
    assert (comparison.wrong, comparison.total, comparison.quantity) == (1, 6, "gradient")
    assert (entry.claimed, entry.measured) == (5.0, pytest.approx(4.0, abs=entry.error_bar))
    assert entry.verdict is Verdict.DISAGREE
    assert entry.retested
    assert 0 < comparison.detection_limit < 1e-6


def test_an_inconclusive_report_says_why_and_shows_both_slopes() -> None:
    report = xcheck.check(lambda x: np.sum(np.abs(x)), np.array([0.0, 1.0]), gradient=np.sign, raises=False)
    text = str(report)
    assert "INCONCLUSIVE, 1 of 2 entries" in text
    assert "why     a kink at the point" in text
    assert re.search(r"slopes -1 ± \S+ on the left and 1 ± \S+ on the right measured", text)


def test_dictionaries_hold_no_infinities() -> None:
    report = xcheck.check(np.sqrt, 0.0, gradient=lambda x: np.asarray(np.inf), raises=False)
    worst = report.to_dict()["comparisons"][0]["worst"][0]
    assert worst["claimed"] == "inf"
    assert worst["error_bar"] == "inf"


def test_modes_that_differ_at_a_kink_follow_conventions(torch) -> None:
    class TwoConventions(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.abs()

        @staticmethod
        def backward(ctx, g):
            return 1.0 * g

        @staticmethod
        def jvp(ctx, t):
            return -1.0 * t

    report = xcheck.check(TwoConventions.apply, torch.zeros(1, dtype=torch.float64), raises=False)
    assert report.verdict is Verdict.INCONCLUSIVE
    report = xcheck.check(TwoConventions.apply, torch.ones(1, dtype=torch.float64), raises=False)
    assert report.verdict is Verdict.DISAGREE


def test_rounding_inside_a_rule_is_no_disagreement_of_the_modes(torch) -> None:
    x = torch.tensor([[30.0, 0.0, -30.0, 29.9]], dtype=torch.float64)
    for f in (lambda x: torch.softmax(x, -1), torch.corrcoef, lambda x: torch.sin(x.float()).double()):
        report = xcheck.check(f, x if f is not torch.corrcoef else torch.randn(3, 4, dtype=torch.float64), raises=False)
        modes = [c for c in report.comparisons if c.reference.source == "torch/vjp"]
        assert [c.verdict for c in modes] == [Verdict.AGREE]


def test_a_product_that_is_not_linear_is_not_excused(torch) -> None:
    class Nonlinear(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 3 * x

        @staticmethod
        def backward(ctx, g):
            return 3 * g

        @staticmethod
        def jvp(ctx, t):
            return 3 * t + 0.3 * t.abs()

    report = xcheck.check(Nonlinear.apply, torch.ones(100, dtype=torch.float64), raises=False)
    assert report.verdict is Verdict.DISAGREE


def test_the_modes_are_compared_with_each_other(torch) -> None:
    class Slightly(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 3 * x

        @staticmethod
        def backward(ctx, g):
            return 3 * g

        @staticmethod
        def jvp(ctx, t):
            return 3 * (1 + 1e-7) * t

    for n in (5, 100):
        report = xcheck.check(Slightly.apply, torch.ones(n, dtype=torch.float64), raises=False)
        verdicts = {(c.claim.source, c.reference.source): c.verdict for c in report.comparisons}
        assert verdicts["torch/jvp", "torch/vjp"] is Verdict.DISAGREE
        assert verdicts["torch/vjp", "finite differences"] is Verdict.AGREE
