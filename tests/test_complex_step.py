"""The complex step: right to its bar where it is called valid, and never called valid where it is wrong."""

from __future__ import annotations

import copy
import math
import pickle
import warnings

import mpmath as mp
import numpy as np
import pytest
from expressions import random_expression, random_point
from scipy import special

import xcheck
from xcheck import judgement
from xcheck.call import read_call
from xcheck.checking.findings import prepared
from xcheck.reference import confirm
from xcheck.reference.complex_step import ComplexStep, complex_step, held, quiet
from xcheck.reference.witness import Witness

AGREE, DISAGREE, INCONCLUSIVE = xcheck.Verdict.AGREE, xcheck.Verdict.DISAGREE, xcheck.Verdict.INCONCLUSIVE


def stepped(f, *inputs) -> ComplexStep:
    with prepared(read_call(f, inputs), 0) as arena:
        return complex_step(arena.problem)


def causes(f, *inputs) -> str:
    found = stepped(f, *inputs)
    assert not np.any(found.valid[0])
    assert np.all(np.isinf(found.bar[0]))
    return "; ".join(found.causes[0])


def checked(f, x, claim):
    return xcheck.check(f, x, gradient=lambda _: np.asarray(claim), raises=False)


def naive(f, x: float) -> float:
    """Take the complex step as a user would, with nothing that tells whether it is valid."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(np.imag(f(np.complex128(complex(x, 1e-30)))) / 1e-30)


# Where it is valid


@pytest.mark.parametrize("seed", [11, 12])
def test_bars_cover_the_truth_of_random_functions_and_kinks_are_refused(seed: int) -> None:
    rng = np.random.default_rng(seed)
    valid = sharp = refused = 0
    with mp.workdps(40):
        for i in range(120):
            kinks = i % 3 == 0
            f, x = random_expression(rng, int(rng.integers(1, 6)), kinks), random_point(rng)
            _, slope = f.dual(mp.mpf(x))
            found = stepped(f, x)
            non_analytic = "abs" in repr(f) or "relu" in repr(f)
            refused += not found.valid[0, 0]
            assert found.valid[0, 0] or non_analytic or float(slope) == 0 or not np.isfinite(f(x))
            if found.valid[0, 0] and not (non_analytic and slope == 0):
                valid += 1
                assert abs(found.value[0, 0] - float(slope)) <= found.bar[0, 0]
                sharp += found.bar[0, 0] <= 1e-11 * abs(float(slope))
    assert refused > 5
    assert valid > 80
    assert sharp > 0.85 * valid


SATURATED = [
    (np.expm1, -40.0, mp.expm1),
    (np.tanh, 21.0, mp.tanh),
    (special.erf, 6.5, mp.erf),
    (lambda x: 1 / (1 + np.exp(-x)), 38.0, lambda x: 1 / (1 + mp.exp(-x))),
    (lambda x: np.log(1 + np.exp(x)), -20.0, lambda x: mp.log(1 + mp.exp(x))),
    (lambda x: x**37.5 / np.power(3.3, x), 6.1, lambda x: x ** mp.mpf(37.5) / mp.mpf(3.3) ** x),
    (lambda x: np.exp2(x), 480.25, lambda x: mp.mpf(2) ** x),
]


@pytest.mark.parametrize(("f", "x", "exact"), SATURATED)
def test_tails_are_right_to_fourteen_digits(f, x: float, exact) -> None:
    with mp.workdps(60):
        truth = float(mp.diff(exact, mp.mpf(x)))
    found = stepped(f, x)
    assert found.valid.all()
    assert abs(found.value[0, 0] - truth) <= found.bar[0, 0] <= 1e-12 * abs(truth)


CANCELLING = [
    (lambda x: (1 - np.cos(x)) / x**2, lambda x: (1 - mp.cos(x)) / x**2),
    (lambda x: (np.exp(x) - 1) / x, lambda x: (mp.exp(x) - 1) / x),
    (lambda x: np.log(1 + x) / x, lambda x: mp.log(1 + x) / x),
    (lambda x: 1 / np.tanh(x) - 1 / x, lambda x: mp.coth(x) - 1 / x),
    (lambda x: np.sqrt(1 + x**-2) - 1 / x, lambda x: mp.sqrt(1 + x**-2) - 1 / x),
]


@pytest.mark.parametrize(("f", "exact"), CANCELLING)
@pytest.mark.parametrize("x", [3e-10, 2.6e-8, 7.7e-6, 1.3e-3])
def test_cancellation_inside_the_function_widens_the_bar(f, exact, x: float) -> None:
    with mp.workdps(80):
        truth = float(mp.diff(exact, mp.mpf(x)))
    found = stepped(f, x)
    assert abs(found.value[0, 0] - truth) <= found.bar[0, 0]


def test_linear_algebra_is_followed() -> None:
    rng = np.random.default_rng(3)
    for n in (2, 4):
        a, b, x = rng.normal(size=(n, n)), rng.normal(size=n), rng.normal(size=n)
        with mp.workdps(40):
            inverse = (mp.matrix(a.tolist()) + mp.diag(x.tolist())) ** -1
            y = inverse * mp.matrix(b.tolist())
            truth = np.array([[float(-inverse[i, j] * y[j]) for i in range(n)] for j in range(n)])
        for f in (
            lambda x, a=a, b=b: np.linalg.solve(a + np.diag(x), b),
            lambda x, a=a, b=b: np.linalg.inv(a + np.diag(x)) @ b,
        ):
            found = stepped(f, x)
            assert found.valid.all()
            assert np.all(np.abs(found.value - truth) <= found.bar)


def slices_and_writes(x):
    y = np.zeros_like(x)
    y[:-1] = x[1:] ** 2
    y[-1] += x[0]
    y *= 2
    return y


def loop(x):
    total = 0.0
    for i, v in enumerate(x):
        total = total + (i + 1) * np.sin(v)
        total += v
    return total


COMFORTABLE = [
    (lambda x: [x[0] ** 2, 3.0 * x[1]], [[1.0, 0.0], [0.0, 3.0]]),
    (lambda x: np.array([x[0] ** 2, x[0] * x[1]]), [[1.0, -1.25], [0.0, 0.5]]),
    (lambda x: np.sum(np.asarray(x) ** 2), [[1.0], [-2.5]]),
    (lambda x: np.exp(np.array([x[0], x[1]])), [[np.exp(0.5), 0.0], [0.0, np.exp(-1.25)]]),
    (lambda x: np.mean(x * x) + x.mean() + x.sum(), [[2.0], [0.25]]),
    (lambda x: np.einsum("i,i->", x, x) + x @ x, [[2.0], [-5.0]]),
    (np.vectorize(lambda t: 3 * t**2), [[3.0, 0.0], [0.0, -7.5]]),
    (lambda x: np.where(np.array([True, False]), x, 2 * x), [[1.0, 0.0], [0.0, 2.0]]),
    (lambda x: np.hstack([x[1], np.stack([x, x]).T[0]]), [[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]]),
    (lambda x: {"a": x[0] / x[1], "b": (x[1], -x[0])}, [[-0.8, 0.0, -1.0], [-0.32, 1.0, 0.0]]),
    (lambda x: x.astype(float).reshape(1, 2).ravel() if np.all(np.isfinite(x)) else x, [[1.0, 0.0], [0.0, 1.0]]),
    (lambda x: copy.deepcopy(x) * 2, [[2.0, 0.0], [0.0, 2.0]]),
    (slices_and_writes, [[0.0, 2.0], [-5.0, 0.0]]),
    (loop, [[np.cos(0.5) + 1], [2 * np.cos(-1.25) + 1]]),
]


@pytest.mark.parametrize(("f", "truth"), COMFORTABLE)
def test_ordinary_numpy_code_is_traced(f, truth) -> None:
    found = stepped(f, np.array([0.5, -1.25]))
    assert found.valid.all(), found.causes
    assert np.all(np.abs(found.value - truth) <= found.bar)
    assert np.all(found.bar <= 1e-12)


@pytest.mark.parametrize("x", [0.3, np.float64(0.3), np.array(0.3), [0.3]])
def test_numbers_and_lists_are_inputs(x) -> None:
    found = stepped(lambda x: np.sin(x) * 2.0 if not isinstance(x, list) else np.sin(x[0]) * 2.0, x)
    assert found.valid.all()
    assert abs(found.value[0, 0] - 2 * np.cos(0.3)) <= found.bar[0, 0]


# Where it is not


def assigns(x):
    y = np.zeros(2)
    y[0], y[1] = x[0], x[1] ** 2
    return y


def looks_at_type(x):
    return 2 * x if isinstance(x[0], float) else 3 * x


def table(x):
    return np.array([1.0, 2.0, 5.0])[int(x[0])] * x[0]


CAUSES = [
    (lambda x: np.abs(x), "np.absolute is not analytic: in <lambda> (test_complex_step.py:"),
    (lambda x: np.abs(np.asarray(x)), "np.absolute is not analytic"),
    (lambda x: abs(x[0]), "np.absolute is not analytic"),
    (lambda x: x.T.conj() @ x, "np.conjugate is not analytic"),
    (lambda x: np.vdot(x, x), "np.vdot is not analytic"),
    (lambda x: x.real * 2, ".real is not analytic"),
    (lambda x: x * (1 + x.imag), ".imag is not analytic"),
    (lambda x: np.real(x) * 2, "np.real is not analytic"),
    (lambda x: x * np.cos(np.angle(x)), "np.angle is not analytic"),
    (lambda x: np.linalg.norm(x), "np.linalg.norm is not analytic"),
    (lambda x: np.linalg.svd(np.outer(x, x) + np.eye(2))[1], "np.linalg.svd is not analytic"),
    (lambda x: np.linalg.eigh(np.outer(x, x))[0], "np.linalg.eigh is not analytic"),
    (lambda x: np.linalg.cholesky(np.outer(x, x) + np.eye(2)), "np.linalg.cholesky is not analytic"),
    (lambda x: np.std(x), "np.std is not analytic"),
    (lambda x: x.var(), "np.conjugate is not analytic"),
    (lambda x: np.maximum(x, 0), "np.maximum compares or branches, which is right only away from where"),
    (lambda x: x * (x > 0), "np.greater compares"),
    (lambda x: x if x[0] == 3.0 else 2 * x, "np.equal compares"),
    (lambda x: 2 * x if x[0] else x, "bool() compares"),
    (lambda x: np.where(x > 0, x, 0.1 * x), "np.greater compares"),
    (lambda x: np.piecewise(x, [x > 0], [lambda t: t, lambda t: -t]), "np.greater compares"),
    (lambda x: x.clip(0, 1), "np.clip compares"),
    (lambda x: np.sort(x), "np.sort compares"),
    (lambda x: x.max(), "np.maximum compares"),
    (lambda x: max(x), "compares"),
    (lambda x: x[np.argmax(x)], "np.argmax compares"),
    (lambda x: x * np.sign(x), "np.sign compares"),
    (lambda x: x - np.floor(x), "np.floor compares"),
    (lambda x: x % 1.0, "np.remainder compares"),
    (lambda x: np.round(x, 3) * x, "np.round compares"),
    (lambda x: round(x[0], 3) * x, "round() compares"),
    (lambda x: x * np.isclose(x, 0.5), "np.isclose compares"),
    (lambda x: np.interp(x, [-2.0, 0.0, 2.0], [0.0, 1.0, 3.0]), "np.interp compares"),
    (lambda x: np.float64(x.astype(np.float32)), "a cast to float32 is not analytic"),
    (lambda x: np.float64(x.astype("float16")) * x, "a cast to float16 is not analytic"),
    (lambda x: np.float64(np.float32(x[0])), "float() goes on with the real part alone"),
    (lambda x: np.sum(x, dtype=np.float32) * x, "np.sum"),
    (lambda x: math.sin(x[0]), "float() goes on with the real part alone"),
    (lambda x: float(x[0]) ** 2, "float() goes on with the real part alone"),
    (lambda x: complex(x[0]).real, "complex() goes on with the real part alone"),
    (lambda x: x * float(f"{x[0]:.3f}"), "text of the number goes on with the real part alone"),
    (lambda x: np.multiply(x, 2, out=np.empty(2)), "float() goes on with the real part alone"),
    (lambda x: np.asarray(x, dtype=float) * 2, "float() goes on with the real part alone"),
    (lambda x: np.exp(1j * x).real, "makes complex numbers of its own"),
    (lambda x: np.fft.fft(x).real, "np.fft.fft is not known to be analytic"),
    (lambda x: np.nan_to_num(np.log(-x)), "np.log takes another branch for complex numbers than for real ones"),
    (lambda x: np.cbrt(x), "np.cbrt is not known to be analytic"),
    (lambda x: special.jv(1, x), "jv is not known to be analytic"),
    (lambda x: pickle.loads(pickle.dumps(x)), "raises TypeError on complex numbers"),
    (lambda x: {0.5: 1.0}[x[0]] * x, "raises TypeError on complex numbers"),
    (lambda x: np.frombuffer(x.tobytes()) * 2, "raises TypeError on complex numbers"),
    (assigns, "float() goes on with the real part alone: in assigns (test_complex_step.py:"),
    (table, "int() goes on with the real part alone: in table"),
    (looks_at_type, "the function's value is another on traced numbers than on floats"),
]


@pytest.mark.parametrize(("f", "cause"), CAUSES)
def test_what_loses_the_imaginary_part_is_named_with_its_place(f, cause: str) -> None:
    assert cause in causes(f, np.array([0.5, -1.25]))


def test_an_operation_counts_only_along_inputs_that_reach_it() -> None:
    found = stepped(lambda x: np.abs(x[0]) + np.sin(x[1]), np.array([0.5, -1.25]))
    assert found.valid.ravel().tolist() == [False, True]
    assert found.causes[1] == ()


@pytest.mark.parametrize("x", [np.float32(0.5), 0.5 + 1j])
def test_real_float64_numbers_are_asked_for(x) -> None:
    assert "float64" in causes(lambda x: x * x, x) or "real inputs" in causes(lambda x: x * x, x)


def test_exceptions_of_the_function_do_not_pass_through() -> None:
    def picky(x):
        if not isinstance(x, (float, np.ndarray)):
            raise RuntimeError("floats only")
        return x * 1.0

    assert "raises RuntimeError on complex numbers (floats only): in picky (test_complex_step.py:" in causes(picky, 0.5)


def test_very_many_numbers_are_not_traced() -> None:
    assert "more numbers than can be traced" in causes(lambda x: np.sum(np.sin(x * np.ones(2**17))), 0.5)
    found = stepped(lambda x: np.sum(x * x), np.linspace(0.1, 1.0, 2**14))
    assert found.valid[0, 0]
    assert "more numbers than can be traced" in found.causes[-1][0]


def test_a_direction_of_very_many_numbers_is_not_begun_or_not_repeated() -> None:
    calls = []

    def f(x):
        calls.append(1)
        return np.sum(np.sin(np.cos(x)))

    for n, runs in ((50_000, 0), (30_000, 1), (5_000, 7)):
        with prepared(read_call(f, [np.linspace(0.1, 1.0, n)]), seed=0) as arena:
            calls.clear()
            found = complex_step(arena.problem, np.array([3]))
        assert len(calls) == runs
        assert found.valid[0, 0] == (runs == 7)
        assert runs == 7 or found.causes[0] == ("the function makes more numbers than can be traced",)


def test_the_users_arrays_and_settings_stay_as_they_are() -> None:
    buffer, complex_buffer, data = np.zeros(2), np.zeros(2, complex), np.array([3.0, 4.0])
    seen = []

    def f(x):
        buffer[:] = x
        complex_buffer[:] = x
        seen.append((np.geterr(), len(warnings.filters)))
        return np.sum(np.sin(x) * data + buffer)

    x = np.array([0.5, -1.25])
    before, filters = np.geterr(), list(warnings.filters)
    state = np.random.get_state()[1].tolist()
    stepped(f, x)
    assert np.geterr() == before
    assert warnings.filters == filters
    assert np.random.get_state()[1].tolist() == state
    assert x.tolist() == buffer.tolist() == complex_buffer.real.tolist() == [0.5, -1.25]
    assert complex_buffer.imag.tolist() == [0.0, 0.0]
    assert buffer.dtype == np.float64
    assert data.tolist() == [3.0, 4.0]


# As a second opinion


def hashed(x) -> float:
    return np.random.default_rng(abs(hash(float(np.real(x)))) % 2**32).normal()


WRONG = {
    "abs": (np.abs, -0.7, -1.0),
    "max": (lambda x: np.maximum(x, 2 * x), 0.7, 2.0),
    "float32": (lambda x: np.float64(np.float32(np.real(x))), 0.7, 1.0),
    "float16": (lambda x: np.float64(np.float16(np.real(x))), 0.7, 1.0),
    "compare": (lambda x: np.where(x > 0.5, x * np.real(x), x), 0.7, 1.4),
    "real": (lambda x: np.real(x) * x, 0.7, 1.4),
    "table": (lambda x: np.array([1.0, 3.0])[int(np.real(x))] * np.real(x), 0.7, 1.0),
    "interp": (lambda x: np.interp(np.real(x), [0.0, 1.0], [0.0, 3.0]) * x, 0.7, 4.2),
    "hash": (lambda x: x * (1 + 1e-9 * hashed(x)), 0.7, 1.0),
    "conj": (lambda x: np.conj(x) * x, 0.7, 1.4),
}


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("offset", [0.0, 1e12, 1e15, 3e16])
def test_no_wrong_complex_step_changes_a_verdict(case: str, offset: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside a large offset the values' rounding hides a slope, so finite differences hold right and wrong alike."""
    f, x, slope = WRONG[case]

    def beside(x):
        return f(x) + offset

    assert not stepped(beside, x).valid.any()
    claims = {naive(beside, x), 0.5 * slope, slope, -slope}
    found = [checked(beside, x, claim).verdict for claim in claims]
    monkeypatch.setattr(judgement, "applies", lambda witness: False)
    assert [checked(beside, x, claim).verdict for claim in claims] == found


@pytest.mark.parametrize(("f", "x", "exact"), SATURATED)
def test_it_settles_what_values_cannot(f, x: float, exact) -> None:
    with mp.workdps(60):
        truth = float(mp.diff(exact, mp.mpf(x)))
    report = checked(f, x, truth)
    assert report.verdict is not DISAGREE
    for wrong in (truth * (1 + 1e-6), -truth, 2 * truth):
        report = checked(f, x, wrong)
        assert report.verdict is not AGREE or abs(wrong - truth) <= report.comparisons[0].detection_limit


def test_a_tail_agrees_with_a_limit_of_its_own_size() -> None:
    report = checked(np.expm1, -40.0, math.exp(-40.0))
    assert report.verdict is AGREE
    assert report.comparisons[0].detection_limit < 1e-7 * math.exp(-40.0)
    assert "the complex step settled 1" in str(report)
    assert checked(np.expm1, -40.0, 0.0).verdict is INCONCLUSIVE
    assert checked(np.expm1, -40.0, 1.001 * math.exp(-40.0)).verdict is INCONCLUSIVE


def test_it_contradicts_but_never_condemns(monkeypatch: pytest.MonkeyPatch) -> None:
    def swallowed(x):
        return (x + 1e17) - 1e17 + 0 * x

    assert checked(swallowed, 1.5, 2.0).verdict is DISAGREE  # flat
    report = checked(swallowed, 1.5, 1.0)
    assert report.verdict is INCONCLUSIVE
    assert report.comparisons[0].reason == judgement.CONTRADICTED
    assert checked(np.sin, 0.3, 2.0).verdict is DISAGREE
    monkeypatch.setattr(judgement, "applies", lambda witness: False)
    assert checked(swallowed, 1.5, 1.0).verdict is DISAGREE


def test_contradicted_entries_stand_for_the_others() -> None:
    x = np.linspace(1.0, 2.0, 40)

    def swallowed(x):
        return np.sum((x + 1e17) - 1e17)

    assert checked(swallowed, x, np.ones(40)).verdict is INCONCLUSIVE
    assert checked(swallowed, x, np.where(np.arange(40) == 37, 2.0, 1.0)).verdict is DISAGREE


def test_rounding_inside_the_function_is_no_error_of_the_claim() -> None:
    report = checked(lambda x: (1 - np.cos(x)) / x**2, 2.6388230015729688e-08, -2.199019167977474e-09)
    assert report.verdict is INCONCLUSIVE
    assert report.comparisons[0].reason in (judgement.ILL_CONDITIONED, confirm.VETOES[confirm.STEPPED])


def test_finite_differences_must_hold_it() -> None:
    with prepared(read_call(np.sin, (0.3,)), 0) as arena:
        witness = Witness(arena.reference)
        slope, bar = np.array([[np.cos(0.3)]]), np.array([[1e-9]])

        def step(value: float) -> ComplexStep:
            return ComplexStep(np.array([[value]]), np.array([[1e-15]]), np.array([[True]]), ((),))

        assert held(witness, step(np.cos(0.3)), slope, bar).all()
        assert not held(witness, step(np.cos(0.3) + 1e-8), slope, bar).any()
        assert not held(witness, step(0.0), 0 * slope, bar).any()
        assert not held(witness, step(np.cos(0.3)), slope, np.array([[np.inf]])).any()


def test_noise_beyond_rounding_is_no_analytic_function() -> None:
    for level, expected in ((0.0, True), (1e-9, False)):
        with prepared(read_call(lambda x, level=level: np.sin(x) * (1 + level * hashed(x)), (0.3,)), 0) as arena:
            assert bool(quiet(Witness(arena.reference)).all()) is expected


def test_finite_difference_uses_no_complex_step(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args, **kwargs):
        raise AssertionError("the complex step was taken")

    for name in ("applies", "complex_step", "held"):
        monkeypatch.setattr(judgement, name, refuse)
    value, bar = xcheck.finite_difference(np.expm1, -40.0)
    assert bar > 100 * math.exp(-40.0) > abs(value)
    assert abs(xcheck.finite_difference(np.sin, 0.3).value - np.cos(0.3)) < 1e-9


def test_easy_claims_do_not_pay_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args, **kwargs):
        raise AssertionError("the complex step was taken")

    monkeypatch.setattr(judgement, "complex_step", refuse)
    assert checked(lambda x: np.sum(np.sin(x)), np.array([0.3, 0.4]), np.cos([0.3, 0.4])).verdict is AGREE
