"""Points without a derivative: what they are, their one-sided slopes with bars, and how to get away from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import xcheck
from xcheck import Verdict

KINK, JUMP, EDGE, NO_SLOPE = "kink at the point", "jumps at the point", "edge of the", "do not converge to a slope"

Case = tuple[Callable[[Any], Any], list[float], str, tuple[float, float] | None]


def torch_cases(torch: Any) -> dict[str, Case]:
    functional = torch.nn.functional
    return {
        "relu": (torch.relu, [0.0], KINK, (0, 1)),
        "abs": (torch.abs, [0.0], KINK, (-1, 1)),
        "maximum": (lambda x: torch.maximum(x, torch.zeros_like(x)), [0.0], KINK, (0, 1)),
        "clamp": (lambda x: torch.clamp(x, 0, 1), [1.0, 0.5], KINK, (1, 0)),
        "hinge": (lambda x: torch.relu(1 - x), [1.0], KINK, (-1, 0)),
        "leaky_relu": (functional.leaky_relu, [0.0], KINK, (0.01, 1)),
        "scaled": (lambda x: 1e-8 * torch.abs(x - 3), [3.0], KINK, (-1e-8, 1e-8)),
        "curved": (lambda x: torch.abs(x - 1) * torch.exp(x), [1.0], KINK, (-np.e, np.e)),
        "norm": (torch.linalg.vector_norm, [0.0, 0.0], KINK, (-1, 1)),
        "norm by hand": (lambda x: torch.sqrt(torch.sum(x**2)), [0.0, 0.0], KINK, (-1, 1)),
        "max of three": (torch.max, [2.0, 2.0, 1.0], KINK, (0, 1)),
        "sort": (lambda x: torch.sort(x).values, [1.0, 1.0, 2.0], KINK, None),
        "sqrt of abs": (lambda x: torch.sqrt(torch.abs(x)), [0.0], NO_SLOPE, None),
        "cusp": (lambda x: torch.abs(x) ** (2 / 3), [0.0], NO_SLOPE, None),
        "jump": (lambda x: torch.where(x >= 1, x + 1, x), [1.0], JUMP, None),
        "sign": (torch.sign, [0.0], JUMP, None),
        "edge": (torch.sqrt, [0.0], EDGE, None),
    }


def jax_cases(jax: Any) -> dict[str, Case]:
    jnp = jax.numpy
    return {
        "relu": (jax.nn.relu, [0.0], KINK, (0, 1)),
        "abs": (jnp.abs, [0.0], KINK, (-1, 1)),
        "maximum": (lambda x: jnp.maximum(x, 0), [0.0], KINK, (0, 1)),
        "clamp": (lambda x: jnp.clip(x, 0, 1), [1.0, 0.5], KINK, (1, 0)),
        "hinge": (lambda x: jax.nn.relu(1 - x), [1.0], KINK, (-1, 0)),
        "leaky_relu": (jax.nn.leaky_relu, [0.0], KINK, (0.01, 1)),
        "scaled": (lambda x: 1e-8 * jnp.abs(x - 3), [3.0], KINK, (-1e-8, 1e-8)),
        "curved": (lambda x: jnp.abs(x - 1) * jnp.exp(x), [1.0], KINK, (-np.e, np.e)),
        "norm": (jnp.linalg.norm, [0.0, 0.0], KINK, (-1, 1)),
        "norm by hand": (lambda x: jnp.sqrt(jnp.sum(x**2)), [0.0, 0.0], KINK, (-1, 1)),
        "max of three": (jnp.max, [2.0, 2.0, 1.0], KINK, (0, 1)),
        "sort": (jnp.sort, [1.0, 1.0, 2.0], KINK, None),
        "sqrt of abs": (lambda x: jnp.sqrt(jnp.abs(x)), [0.0], NO_SLOPE, None),
        "cusp": (lambda x: jnp.abs(x) ** (2 / 3), [0.0], NO_SLOPE, None),
        "jump": (lambda x: jnp.where(x >= 1, x + 1, x), [1.0], JUMP, None),
        "sign": (jnp.sign, [0.0], JUMP, None),
        "edge": (jnp.sqrt, [0.0], EDGE, None),
    }


@pytest.fixture(params=["torch", "jax"])
def cases(request: Any) -> tuple[str, dict[str, Case]]:
    module = request.getfixturevalue(request.param)
    return request.param, (torch_cases if request.param == "torch" else jax_cases)(module)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_conventions_at_points_without_a_derivative_are_inconclusive(cases: Any, dtype: str) -> None:
    backend, functions = cases
    for name, (f, x, reason, slopes) in functions.items():
        report = xcheck.check(f, np.array(x, dtype), backend=backend, raises=False)
        first = report.comparisons[0]
        assert report.verdict is Verdict.INCONCLUSIVE, (name, str(report))
        assert reason in first.reason, (name, first.reason)
        assert first.without_derivative > 0
        if slopes is not None:
            entry = first.worst[0]
            for side, truth, bar in zip(entry.slopes, slopes, entry.slope_bars, strict=True):
                assert abs(side - truth) <= bar + 1e-15, (name, entry)
                assert bar <= 1e-6 * max(map(abs, slopes)), (name, entry)
            assert "±" in str(report).partition("on the left")[0].rpartition("slopes")[2]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_claims_between_the_slopes_are_valid_and_claims_outside_are_wrong(cases: Any, dtype: str) -> None:
    backend, functions = cases
    for name in ("relu", "abs", "maximum", "hinge", "leaky_relu", "scaled", "curved"):
        f, x, _, slopes = functions[name]
        low, high = sorted(slopes)
        inside = {
            low: True,
            (low + high) / 2: True,
            high: True,
            high + 0.01 * (high - low): False,
            2 * low - high: False,
        }
        for claim, valid in inside.items():
            report = xcheck.check(
                f,
                np.array(x, dtype),
                backend=backend,
                diagonal=lambda x, claim=claim: np.full(1, claim),
                raises=False,
            )
            if valid:
                assert report.verdict is Verdict.INCONCLUSIVE, (name, claim, str(report))
                assert "a valid generalised derivative" in report.comparisons[0].reason
            else:
                assert report.verdict is Verdict.DISAGREE, (name, claim, str(report))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("place", "slope"), [(0.0, -1.0), (2e-9, 1.0), (1e-9 + 1e-12, 1.0), (1e-3, 1.0)])
def test_a_kink_nearby_is_no_kink(cases: Any, dtype: str, place: float, slope: float) -> None:
    backend, functions = cases
    absolute = functions["abs"][0]
    wrong = {Verdict.DISAGREE} if place in (2e-9, 1e-3) else {Verdict.DISAGREE, Verdict.INCONCLUSIVE}
    for claim, verdicts in ((slope, {Verdict.AGREE}), (-slope, wrong), (0.0, wrong)):
        report = xcheck.check(
            lambda x: absolute(x - 1e-9),
            np.array([place], dtype),
            backend=backend,
            diagonal=lambda x, claim=claim: np.full(1, claim),
            raises=False,
        )
        assert report.verdict in verdicts, (claim, str(report))


@pytest.mark.parametrize("claim", [0.0, 1e2, 1e4, np.inf, np.nan])
def test_a_cusp_has_no_slopes_for_a_claim_to_lie_between(claim: float) -> None:
    for power in (0.3, 0.5, 2 / 3, 0.9):
        report = xcheck.check(
            lambda x, p=power: np.abs(x - 1) ** p, np.ones(1), diagonal=lambda x: np.full(1, claim), raises=False
        )
        assert report.verdict is Verdict.INCONCLUSIVE, str(report)
        assert "generalised" not in report.comparisons[0].reason
        assert report.comparisons[0].worst[0].slopes is None


def test_one_side_of_an_edge_has_a_slope_and_the_other_has_none() -> None:
    report = xcheck.check(
        lambda x: np.where(x < 0, np.nan, 2 * x), np.zeros(1), diagonal=lambda x: np.full(1, 2.0), raises=False
    )
    entry = report.comparisons[0].worst[0]
    assert np.isnan(entry.slopes[0])
    assert np.isinf(entry.slope_bars[0])
    assert entry.slopes[1] == pytest.approx(2, abs=entry.slope_bars[1] + 1e-15)
    assert "slopes none on the left and 2 ± " in str(report)


# Smooth points nearby


def test_a_smooth_point_nearby_is_found_for_every_one_of_them(cases: Any) -> None:
    backend, functions = cases
    dtype = {"torch": "float64", "jax": "float32"}[backend]
    for name, (f, x, reason, _) in functions.items():
        given = np.array(x, dtype)
        report = xcheck.check(f, given, backend=backend, smooth_points=True)
        assert report.ok
        note = report.notes[0]
        assert note.startswith("the point was moved, every input by up to 0.00"), (name, note)
        assert reason in note
        np.testing.assert_array_equal(given, np.array(x, dtype))  # the user's array stays where it was


def test_a_smooth_point_is_left_alone() -> None:
    plain = xcheck.check(np.sin, np.ones(2), diagonal=np.cos)
    report = xcheck.check(np.sin, np.ones(2), diagonal=np.cos, smooth_points=True)
    assert (report.notes, report.evaluations) == (plain.notes, plain.evaluations)


def test_only_what_varies_is_moved_and_its_dtype_stays(torch: Any) -> None:
    seen = []

    def f(x: Any, n: Any, scale: Any) -> Any:
        seen.append((x.dtype, n, float(scale)))
        return torch.relu(x) * n * scale

    x, scale = torch.zeros(3, dtype=torch.bfloat16), torch.tensor(2.0)
    report = xcheck.check(f, x, 3, scale, wrt="x", smooth_points=True, raises=False)
    assert report.comparisons[0].without_derivative == 0
    assert torch.equal(x, torch.zeros(3, dtype=torch.bfloat16))
    assert {(n, s) for _, n, s in seen} == {(3, 2.0)}
    assert {dtype for dtype, *_ in seen} <= {torch.bfloat16, torch.float64}
    assert "every input by up to 0.03" in report.notes[0]


def test_the_same_seed_moves_to_the_same_point() -> None:
    def moved(seed: int) -> str:
        report = xcheck.check(np.abs, np.zeros(3), diagonal=np.sign, smooth_points=True, seed=seed)
        return report.notes[0]

    assert moved(1) == moved(1) != moved(2)


def test_a_claim_outside_the_slopes_is_reported_where_it_is() -> None:
    report = xcheck.check(np.abs, np.zeros(1), diagonal=lambda x: np.full(1, 1.5), smooth_points=True, raises=False)
    assert report.verdict is Verdict.DISAGREE
    assert not any("moved" in note for note in report.notes)


def test_a_wrong_derivative_beside_the_kink_is_found() -> None:
    def wrong(x: Any) -> Any:
        return np.where(x > 0, 1.1, 0.0)

    report = xcheck.check(lambda x: np.maximum(x, 0), np.zeros(8), diagonal=wrong, smooth_points=True, raises=False)
    assert report.verdict is Verdict.DISAGREE
    assert "the point was moved" in report.notes[0]


def test_the_domain_is_entered_from_its_edge_however_many_inputs_are_on_it() -> None:
    report = xcheck.check(np.sqrt, np.zeros(40), diagonal=lambda x: 0.5 / np.sqrt(x), smooth_points=True)
    assert report.ok


def test_a_function_without_any_smooth_point_keeps_its_report() -> None:
    def nowhere(x: Any) -> Any:
        return np.where(x == 5.0, 0.0, np.nan)

    report = xcheck.check(nowhere, np.ones(2), diagonal=lambda x: x, smooth_points=True, raises=False)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.notes[-1] == "no smooth point was found in 6 tries, up to 0.031 of every input's scale away"
    assert report.point == ("x in [1, 1]",)


def test_parameters_of_a_module_are_moved_and_the_module_is_not(torch: Any) -> None:
    class Gate(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.threshold = torch.nn.Parameter(torch.ones(2, dtype=torch.float64))

        def forward(self, x: Any) -> Any:
            return torch.relu(x - self.threshold)

    gate = Gate()
    report = xcheck.check(gate, torch.ones(2, dtype=torch.float64), smooth_points=True)
    assert report.ok
    assert torch.equal(gate.threshold, torch.ones(2, dtype=torch.float64))


def test_products_with_probes_meet_kinks_too() -> None:
    def f(x: Any) -> Any:
        return np.sum(np.abs(x))

    assert xcheck.check(f, np.zeros(5), gradient=np.sign, budget=1, raises=False).verdict is Verdict.INCONCLUSIVE
    assert xcheck.check(f, np.zeros(5), gradient=np.sign, budget=1, smooth_points=True).ok


def test_values_that_are_finite_nowhere_beside_the_point_are_not_flat(torch) -> None:
    edge = torch.tensor([0.0, 1.0], dtype=torch.float64)
    report = xcheck.check(torch.special.xlogy, edge, edge.clone(), raises=False)
    assert report.verdict is Verdict.INCONCLUSIVE
