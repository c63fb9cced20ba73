"""Laws that no verdict may break: the scales of f and x, the size of the problem, the order of the inputs."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import xcheck
from xcheck import Verdict

POWERS = st.integers(-26, 26)  # 2^26 is about 7e7
ORDINARY = st.floats(-1e3, 1e3).filter(lambda v: v == 0 or abs(v) > 1e-100)
ERRORS = st.sampled_from([0.0, 1e-3, 0.1, -2.0])


def verdict(scale_x: float, scale_f: float, error: float, n: int, wrong: int) -> Verdict:
    x = np.linspace(0.4, 1.9, n) * scale_x

    def f(x):
        return scale_f * np.sum(np.sin(x / scale_x) * np.linspace(1, 2, n))

    def gradient(x):
        g = scale_f / scale_x * np.cos(x / scale_x) * np.linspace(1, 2, n)
        g[wrong] *= 1 + error
        return g

    return xcheck.check(f, x, gradient=gradient, raises=False).verdict


@settings(max_examples=40, deadline=None)
@given(POWERS, POWERS, ERRORS, st.integers(1, 6), st.data())
def test_scaling_x_or_f_never_changes_a_verdict(px: int, pf: int, error: float, n: int, data) -> None:
    wrong = data.draw(st.integers(0, n - 1))
    expected = Verdict.DISAGREE if error else Verdict.AGREE
    assert verdict(1.0, 1.0, error, n, wrong) is expected
    assert verdict(2.0**px, 2.0**pf, error, n, wrong) is expected


@settings(max_examples=12, deadline=None)
@given(st.sampled_from([1, 10, 100, 1000]), ERRORS)
def test_size_never_dilutes_an_error(n: int, error: float) -> None:
    assert verdict(1.0, 1.0, error, n, n // 2) is (Verdict.DISAGREE if error else Verdict.AGREE)


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(5)))
def test_the_order_of_inputs_does_not_matter(order: list[int]) -> None:
    x = np.array([1e-6, 0.3, 1.0, 50.0, 1e5])[order]
    report = xcheck.check(lambda x: np.sum(np.log(x)), x, gradient=lambda x: 1 / x)
    assert report.ok


@settings(max_examples=20, deadline=None)
@given(ORDINARY, ORDINARY)
def test_linear_functions_agree_everywhere(a: float, x: float) -> None:
    report = xcheck.check(lambda x: a * x, x, gradient=lambda x: np.asarray(a), raises=False)
    assert report.verdict is Verdict.AGREE
