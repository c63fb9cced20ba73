"""The same function in higher precision: witness= over mpmath or long double, and NumPy's own long double shadow."""

from __future__ import annotations

import numpy as np
import pytest

import xcheck
from xcheck import Verdict
from xcheck.high_precision import LongDouble

mpmath = pytest.importorskip("mpmath")

needs_long_double = pytest.mark.skipif(LongDouble.bits <= 53, reason="long double is float64 on this platform")


def each(f):
    """Lift a function of one number to object arrays, and to the single number that a 0-d input is."""

    def lifted(x):
        if not isinstance(x, np.ndarray):
            return f(x)
        result = np.empty(x.shape, object)
        for place, value in np.ndenumerate(x):
            result[place] = f(value)
        return result

    return lifted


# Tails that float64 values cannot settle


def test_expm1_at_minus_40_is_settled_by_a_witness_and_by_nothing_else(torch) -> None:
    x = torch.tensor([-40.0, -1.0], dtype=torch.float64)
    alone = xcheck.check(torch.expm1, x, raises=False)
    assert alone.verdict is Verdict.INCONCLUSIVE
    assert "values cannot settle" in alone.comparisons[0].reason
    assert "witness=" in alone.comparisons[0].reason
    report = xcheck.check(torch.expm1, x, witness=each(mpmath.expm1), raises=False)
    assert report.verdict is Verdict.DISAGREE
    worst = report.comparisons[0].worst[0]
    assert worst.claimed == 0
    assert abs(worst.measured - np.exp(-40.0)) <= worst.error_bar < 1e-12 * np.exp(-40.0)
    assert report.comparisons[0].wrong == 1
    assert "finite differences of witness= (mpmath, 50 digits)" in str(report)


@pytest.mark.parametrize("x", [-700.0, -40.0, -1.0, 1e-9, 3.0])
def test_right_tails_agree_with_a_witness(x: float) -> None:
    assert xcheck.check(np.expm1, x, gradient=np.exp, witness=mpmath.expm1).ok
    off = xcheck.check(np.expm1, x, gradient=lambda x: np.exp(x) * (1 + 1e-6), witness=mpmath.expm1, raises=False)
    assert off.verdict is Verdict.DISAGREE


def test_a_removable_singularity_is_settled_by_a_witness() -> None:
    def f(x):
        return (1 - np.cos(x)) / x**2

    def slope(x):
        return -x / 12 + x**3 / 180

    witness = each(lambda x: (1 - mpmath.cos(x)) / x**2)
    x = np.array([1e-3, 1e-6])
    assert xcheck.check(f, x, diagonal=slope, witness=witness).ok
    report = xcheck.check(f, x, diagonal=lambda x: 2 * slope(x), witness=witness, raises=False)
    assert report.comparisons[0].wrong == 2


def test_rounding_inside_a_right_rule_is_no_error(torch) -> None:
    torch.manual_seed(3)
    x = torch.randn(6, 6, dtype=torch.float64)
    report = xcheck.check(torch.linalg.inv, x, witness=lambda x: mpmath.matrix(x.tolist()) ** -1)
    assert report.comparisons[0].relative_limit < 1e-6


def test_a_witness_sees_kinks() -> None:
    x = np.array([0.0, 1.0])
    report = xcheck.check(np.abs, x, diagonal=np.sign, witness=each(abs), raises=False)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.comparisons[0].worst[0].slopes == pytest.approx((-1.0, 1.0))


def test_structures_constants_and_keywords_reach_the_witness() -> None:
    weights = np.array([[0.5, 2.0], [1.0, -1.0]])

    def f(params, weights, *, shift):
        return {"y": weights @ params["x"] + shift, "n": np.arange(3)}

    seen = []

    def witness(params, weights, *, shift):
        seen.append((type(params["x"][0]), type(weights[0, 0]), shift))
        return {"y": weights @ params["x"] + shift, "n": None}

    report = xcheck.check(
        f,
        {"x": np.array([0.3, 0.7])},
        weights,
        wrt="params",
        kwargs={"shift": 1},
        jacobian=lambda params, weights: {"y": {"x": weights}},
        witness=lambda *a, **k: {"y": witness(*a, **k)["y"], "n": np.arange(3)},
    )
    assert report.ok
    assert seen[0] == (mpmath.mpf, mpmath.mpf, 1)


def test_complex_functions_have_witnesses(torch) -> None:
    z = torch.tensor([0.3 + 0.4j, -1.0 + 2.0j], dtype=torch.complex128)
    assert xcheck.check(torch.exp, z, witness=each(mpmath.exp)).ok


def test_mpmath_is_left_as_it_was() -> None:
    before = mpmath.mp.dps
    xcheck.check(np.sin, np.array([0.3]), diagonal=np.cos, witness=each(mpmath.sin))
    assert mpmath.mp.dps == before


def test_float32_kernels_may_have_a_witness(torch) -> None:
    x = torch.tensor([0.5, -1.0, 2.0])
    erfcx = each(lambda v: mpmath.erfc(v) * mpmath.exp(v * v))
    assert xcheck.check(torch.special.erfcx, x, witness=erfcx).ok


def test_a_large_gradient_with_a_witness_is_probed() -> None:
    x = np.linspace(0.1, 1.0, 60)

    def loss(x):
        return sum(np.sin(x))

    def witness(x):
        return mpmath.fsum(mpmath.sin(v) for v in x)

    assert xcheck.check(loss, x, gradient=np.cos, witness=witness, budget=30).comparisons[0].method == "probes"
    wrong = xcheck.check(
        loss, x, gradient=lambda x: np.cos(x) * np.where(x > 0.99, 1.001, 1), witness=witness, budget=30, raises=False
    )
    assert wrong.comparisons[0].worst[0].name == "d out / d x[59]"


# Long doubles


@needs_long_double
def test_long_double_witnesses_are_taken_where_mpmath_does_not_fit() -> None:
    report = xcheck.check(np.sin, np.array([0.3]), diagonal=np.cos, witness=lambda x: np.sin(x))
    assert "long double" in report.comparisons[0].reference.source


@needs_long_double
def test_numpy_functions_have_a_long_double_shadow_by_themselves() -> None:
    x = np.array([15.0, 16.0])
    right = xcheck.check(np.tanh, x, diagonal=lambda x: 1 / np.cosh(x) ** 2)
    assert right.ok
    wrong = xcheck.check(np.tanh, x, diagonal=lambda x: 1.1 / np.cosh(x) ** 2, raises=False)
    assert wrong.verdict is Verdict.DISAGREE
    assert "settled in long double" in str(wrong)


def test_a_shadow_that_is_another_function_is_not_used() -> None:
    def f(x):
        return np.tanh(x) if x.dtype == np.float64 else np.sinh(x)

    report = xcheck.check(f, np.array([16.0]), diagonal=lambda x: 1.1 / np.cosh(x) ** 2, raises=False)
    assert "long double" not in str(report)


# Bad input


def test_a_witness_that_is_another_function_is_refused() -> None:
    with pytest.raises(ValueError, match=r"witness= is another function than sin: out\[0\] is 0.95.* and 0.29"):
        xcheck.check(np.sin, np.array([0.3]), diagonal=np.cos, witness=each(mpmath.cos))


@pytest.mark.parametrize(
    ("witness", "said"),
    [
        (3.0, "given: float"),
        (lambda x: float(x[0]), r"its shape is \(\)|it holds a float"),
        (lambda x: x[:1], r"its shape is \(1,\), that of out is \(2,\)"),
        (lambda x: x.astype(float), "it holds a float"),
    ],
)
def test_bad_witnesses(witness, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        xcheck.check(np.sin, np.array([0.3, 0.4]), diagonal=np.cos, witness=witness)


# Measuring


@pytest.mark.parametrize(
    ("f", "slope"),
    [
        (np.sin, np.cos),
        (np.exp, np.exp),
        (np.log, lambda x: 1 / x),
        (lambda x: 1 / (1 + 25 * x * x), lambda x: -50 * x / (1 + 25 * x * x) ** 2),
        (lambda x: abs(x - 1.001), lambda x: np.sign(x - 1.001)),
    ],
)
@pytest.mark.parametrize("x", [0.3, 1.0, 2.7])
def test_precise_bars_are_near_1e_12_and_hold(f, slope, x: float) -> None:
    calls = []

    def counted(x):
        calls.append(1)
        return f(x)

    value, bar = xcheck.finite_difference(counted, x, precise=True)
    assert abs(value - slope(x)) <= bar <= 1e-11 * abs(slope(x))
    assert len(calls) <= 60


def test_precise_bars_hold_where_extrapolation_does_not_help() -> None:
    value, bar = xcheck.finite_difference(lambda x: np.sin(1000 * x), 1.0, precise=True)
    assert abs(value - 1000 * np.cos(1000.0)) <= bar
    rng = np.random.default_rng(0)

    def noisy(x: float) -> float:
        bits = np.float64(x).view(np.uint64)
        return float(np.sin(x) * (1 + 1e-9 * np.random.default_rng(bits).normal()))

    for x in rng.uniform(0.3, 1.2, 6):
        rough, sharp = xcheck.finite_difference(noisy, x), xcheck.finite_difference(noisy, x, precise=True)
        assert abs(sharp.value - np.cos(x)) <= sharp.error_bar <= rough.error_bar
