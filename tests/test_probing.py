"""Problems too large for all entries: probes, budgets, and the way from a wrong product to the wrong entries."""

from __future__ import annotations

import numpy as np
import pytest

import xcheck
from xcheck import Verdict
from xcheck.localisation import wrong_outputs


def spoiled_mean(*places: int):
    def gradient(x):
        result = np.full(x.shape, 1 / x.size)
        result[list(places)] *= 1.5
        return result

    return gradient


def test_one_wrong_entry_of_120000_is_named() -> None:
    x = np.random.default_rng(1).normal(size=120_000)
    report = xcheck.check(lambda x: np.mean(x), x, gradient=spoiled_mean(77_777), raises=False)
    assert report.verdict is Verdict.DISAGREE
    worst = report.comparisons[0].worst[0]
    assert worst.name == "d out / d x[77777]"
    assert worst.claimed == pytest.approx(1.5 / x.size)
    assert abs(worst.measured - 1 / x.size) <= worst.error_bar < 1e-3 / x.size
    assert report.evaluations < 1000
    assert "random probes stand for the entries" in str(report)


def test_several_wrong_entries_are_named() -> None:
    x = np.random.default_rng(2).normal(size=50_000)
    report = xcheck.check(lambda x: np.mean(x), x, gradient=spoiled_mean(5, 20_000, 20_001, 49_999), raises=False)
    names = {entry.name for entry in report.comparisons[0].worst if entry.verdict is Verdict.DISAGREE}
    assert {f"d out / d x[{j}]" for j in (5, 20_000, 20_001, 49_999)} <= names
    assert "group testing leads to x[5], x[20000], x[20001], x[49999]" in str(report)


def test_an_error_everywhere_names_some_and_says_that_there_are_others() -> None:
    x = np.random.default_rng(2).normal(size=20_000)
    report = xcheck.check(lambda x: np.mean(x), x, gradient=lambda x: np.full(x.shape, 1.1 / x.size), raises=False)
    assert report.comparisons[0].worst[0].ratio == pytest.approx(1.1)
    assert "and others" in str(report)


def test_a_right_gradient_of_many_inputs_agrees() -> None:
    x = np.random.default_rng(3).normal(size=120_000)
    report = xcheck.check(lambda x: np.sum(np.sin(x)), x, gradient=np.cos)
    assert report.comparisons[0].detection_limit < 0.25


@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_scaling_changes_no_verdict_of_a_large_problem(scale: float) -> None:
    x = np.random.default_rng(4).normal(size=30_000)
    right = xcheck.check(lambda x: scale * np.mean(np.sin(x)), x, gradient=lambda x: scale * np.cos(x) / x.size)
    assert right.ok
    wrong = xcheck.check(lambda x: scale * np.mean(x), x, gradient=lambda x: scale * spoiled_mean(7)(x), raises=False)
    assert wrong.comparisons[0].worst[0].name == "d out / d x[7]"


def test_wrong_rows_and_columns_are_found_through_the_framework(torch) -> None:
    class Op(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return torch.sin(x)

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            slope = torch.cos(x)
            slope[123] *= 1.01
            slope[2500] = 0
            return g * slope

    x = torch.linspace(-2, 2, 3000, dtype=torch.float64)
    report = xcheck.check(Op.apply, x, budget=100, raises=False)
    names = [entry.name for entry in report.comparisons[0].worst[:2]]
    assert names == ["d out[2500] / d x[2500]", "d out[123] / d x[123]"]


def test_forward_mode_alone_is_localised(jax) -> None:
    import jax.numpy as jnp

    @jax.custom_jvp
    def op(x):
        return jnp.sin(x)

    @op.defjvp
    def rule(primals, tangents):
        (x,), (t,) = primals, tangents
        return jnp.sin(x), jnp.cos(x).at[321].mul(1.5) * t

    report = xcheck.check(op, np.linspace(-2, 2, 2000), backend="jax", budget=100, raises=False)
    forward = next(c for c in report.comparisons if c.claim.source == "jax/jvp" and c.method == "probes")
    assert forward.worst[0].name == "d out[321] / d x[321]"


def test_the_modes_are_tied_together_by_inner_products(torch) -> None:
    x = torch.linspace(-2, 2, 3000, dtype=torch.float64)
    report = xcheck.check(lambda x: torch.tanh(x) * 2, x, budget=50)
    kinds = [(c.claim.source, c.reference.source) for c in report.comparisons]
    assert kinds == [
        ("torch/vjp", "finite differences"),
        ("torch/jvp", "finite differences"),
        ("torch/jvp", "torch/vjp"),
    ]
    assert report.evaluations <= 50


# Diagonals


def test_a_diagonal_costs_no_more_for_being_long() -> None:
    x = np.random.default_rng(5).normal(size=20_000)
    report = xcheck.check(np.sin, x, diagonal=np.cos)
    assert report.evaluations < 40
    assert report.comparisons[0].total == 20_000


def test_a_wrong_entry_of_a_long_diagonal_is_named() -> None:
    def slope(x):
        result = np.cos(x)
        result[[17, 4_000]] *= 1.001
        return result

    x = np.random.default_rng(5).uniform(0.2, 1.2, size=5_000)
    report = xcheck.check(np.sin, x, diagonal=slope, raises=False)
    assert report.comparisons[0].wrong == 2
    assert {e.name for e in report.comparisons[0].worst} == {"d out[17] / d x[17]", "d out[4000] / d x[4000]"}


def test_the_diagonal_of_a_full_jacobian_is_measured_entry_by_entry() -> None:
    matrix = np.random.default_rng(6).normal(size=(40, 40))
    x = np.ones(40)
    assert xcheck.check(lambda x: matrix @ x, x, diagonal=lambda _: np.diag(matrix)).ok
    wrong = np.diag(matrix).copy()
    wrong[3] += 0.1
    report = xcheck.check(lambda x: matrix @ x, x, diagonal=lambda _: wrong, raises=False)
    assert report.comparisons[0].wrong == 1
    assert report.comparisons[0].worst[0].name == "d out[3] / d x[3]"


# Budgets


def test_a_budget_of_evaluations_is_kept() -> None:
    x = np.linspace(0.1, 1.0, 300)
    whole = xcheck.check(lambda x: np.sum(x**3), x, gradient=lambda x: 3 * x**2)
    assert whole.comparisons[0].method == "every entry"
    probed = xcheck.check(lambda x: np.sum(x**3), x, gradient=lambda x: 3 * x**2, budget=60)
    assert probed.comparisons[0].method == "probes"
    assert probed.evaluations <= 60
    assert "budget=60" in str(probed)


def test_a_slow_function_of_many_inputs_is_probed_by_default() -> None:
    from time import sleep

    def slow(x):
        sleep(0.01)
        return float(np.sum(np.sin(x)))

    x = np.linspace(0.1, 1.0, 100)
    assert xcheck.check(slow, x, gradient=np.cos).comparisons[0].method == "probes"
    assert xcheck.check(slow, x, gradient=np.cos, budget=60.0).comparisons[0].method == "every entry"


@pytest.mark.parametrize(
    ("budget", "error", "said"),
    [
        ("1s", TypeError, "budget= must be a number; given: str"),
        (True, TypeError, "given: bool"),
        (0, ValueError, "budget= must be positive; given: 0"),
        (-1.5, ValueError, "seconds as a float"),
        (float("nan"), ValueError, "must be positive"),
    ],
)
def test_bad_budgets(budget, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        xcheck.check(np.sum, np.ones(3), gradient=np.ones_like, budget=budget)


# Group testing


@pytest.mark.parametrize("places", [[0], [3, 99], [16, 17, 50], []])
def test_halving_finds_every_wrong_output(places: list[int]) -> None:
    assert sorted(wrong_outputs(np.ones(100), lambda v: bool(np.any(v[places])))) == places
