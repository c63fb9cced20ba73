"""Laws that no verdict may break: the scales of f and x, the size of the problem, the order of the inputs."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from planted import CASES, ERRORS, constant, operations, plant, pulled, with_backward

import xcheck
from xcheck import Verdict

POWERS = st.integers(-26, 26)  # 2^26 is about 7e7
ORDINARY = st.floats(-1e3, 1e3).filter(lambda v: v == 0 or abs(v) > 1e-100)
FACTORS = st.sampled_from([0.0, 1e-3, 0.1, -2.0])


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
@given(POWERS, POWERS, FACTORS, st.integers(1, 6), st.data())
def test_scaling_x_or_f_never_changes_a_verdict(px: int, pf: int, error: float, n: int, data) -> None:
    wrong = data.draw(st.integers(0, n - 1))
    expected = Verdict.DISAGREE if error else Verdict.AGREE
    assert verdict(1.0, 1.0, error, n, wrong) is expected
    assert verdict(2.0**px, 2.0**pf, error, n, wrong) is expected


@settings(max_examples=12, deadline=None)
@given(st.sampled_from([1, 10, 100, 1000]), FACTORS)
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


# The same laws on every backend


class Setting(NamedTuple):
    case: str
    error: str
    place: int
    budget: int | None
    own_rule: bool


BY_BACKEND = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SLOW = ("jax", "tensorflow")
"""Frameworks that evaluate small functions slowly: they get fewer examples, which differ from run to run."""
SCALES = st.one_of(st.sampled_from([1e-8, 1e8]), st.floats(-8, 8).map(lambda power: 10.0**power))
"""Powers of two are among them only by chance."""
POINTS = st.lists(st.floats(0.05, 2.0).flatmap(lambda v: st.sampled_from([v, -v])), min_size=3, max_size=5)
SETTINGS = st.builds(
    Setting,
    st.sampled_from(list(CASES)),
    st.sampled_from(["", *ERRORS]),
    st.integers(0, 99),
    st.sampled_from([None, 10, 14]),  # fewer than all entries take: one probe, or two
    st.booleans(),
)


def judged(name: str, setting: Setting, point: np.ndarray[Any, Any], scale_f: float, scale_x: float) -> Verdict:
    """Check `c f(x / s)` at `s x0`, with its exact Jacobian or a spoiled one as the claim."""
    case, library, x = CASES[setting.case], operations(name), point * scale_x
    claim = case.jacobian(x / scale_x) * (scale_f / scale_x)
    claim = plant(claim, setting.error, setting.place) if setting.error else claim

    def f(x: Any) -> Any:
        return case.f(library, x / scale_x) * scale_f

    given: dict[str, Any] = {}
    if name == "numpy":
        is_gradient = len(claim) == 1
        given = {"gradient": lambda x: claim[0]} if is_gradient else {"jacobian": lambda x: claim}
    elif setting.error or setting.own_rule:
        f = with_backward(name, f, lambda cotangent: pulled(name, claim, cotangent))
    return xcheck.check(f, x, backend=name, budget=setting.budget, raises=False, **given).verdict


def test_scales_change_no_verdict_on_any_backend(backend: Any) -> None:
    @settings(BY_BACKEND, max_examples=4 if backend.name in SLOW else 8)
    @given(SETTINGS, POINTS, SCALES, SCALES)
    def law(setting: Setting, point: list[float], scale_f: float, scale_x: float) -> None:
        x, expected = np.array(point), Verdict.DISAGREE if setting.error else Verdict.AGREE
        assert judged(backend.name, setting, x, 1.0, 1.0) is expected
        assert judged(backend.name, setting, x, scale_f, scale_x) is expected

    law()


TILED = 100_000
SLOPES = {
    "sin": (lambda o, x: o.sin(x) + 2 * x, lambda x: np.cos(x) + 2),
    "square": (lambda o, x: x * x, lambda x: 2 * x),
    "log": (lambda o, x: o.log(o.abs(x)), lambda x: 1 / x),
}
REDUCTIONS = {"mean": 1 / TILED, "sum": 1.0, "elementwise": 1.0}
SPOILED = {"half": 0.5, "sign": -1.0, "zero": 0.0}


@settings(BY_BACKEND, max_examples=5)
@given(
    st.sampled_from(list(REDUCTIONS)),
    st.sampled_from(list(SLOPES)),
    st.lists(st.floats(0.5, 2.0), min_size=1, max_size=8),
    st.sampled_from([1e-8, 1.0, 1e8]),
    st.sampled_from(["", *SPOILED]),
    st.integers(0, TILED - 1),
)
def test_tiling_to_100000_entries_dilutes_no_error(
    backend: Any, reduction: str, slope: str, tile: list[float], scale: float, error: str, place: int
) -> None:
    name, library, (f, derivative) = backend.name, operations(backend.name), SLOPES[slope]
    x = np.resize(np.array(tile), TILED)
    claim = derivative(x) * REDUCTIONS[reduction] * scale
    if error:
        claim[place] *= SPOILED[error]

    def function(x: Any) -> Any:
        values = f(library, x) * scale
        return values if reduction == "elementwise" else getattr(library, reduction)(values)

    given: dict[str, Any] = {}
    if name == "numpy":
        given = {"diagonal" if reduction == "elementwise" else "gradient": lambda x: claim}
    else:
        function = with_backward(name, function, lambda cotangent: cotangent * constant(name, claim))
    report = xcheck.check(function, x, backend=name, raises=False, **given)
    assert report.verdict is (Verdict.DISAGREE if error else Verdict.AGREE)
    if error:
        assert report.comparisons[0].worst[0].name.endswith(f"x[{place}]")
