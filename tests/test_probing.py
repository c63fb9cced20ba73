"""Problems too large for all entries: probes, budgets, and the way from a wrong product to the wrong entries."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import xcheck
from xcheck import Verdict
from xcheck.call import read_call
from xcheck.checking.findings import prepared
from xcheck.localisation import EXAMPLES, wrong_outputs
from xcheck.probing import input_probes, pulled_rows
from xcheck.space import LONG


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


@pytest.mark.parametrize("name", ["sum of squares", "mean", "weighted sines"])
def test_naming_one_of_120000_takes_few_evaluations_and_none_on_traced_numbers(name: str) -> None:
    x, w = np.random.default_rng(1).uniform(0.5, 2.0, (2, 120_000))
    f, gradient = {
        "sum of squares": (lambda x: x @ x, lambda x: 2 * x),
        "mean": (np.mean, lambda x: np.full(x.shape, 1 / x.size)),
        "weighted sines": (lambda x: np.sum(np.sin(x) * w), lambda x: np.cos(x) * w),
    }[name]
    kinds = []

    def watched(x):
        kinds.append(x.dtype)
        return f(x)

    def wrong(x):
        result = gradient(x)
        result[77_777] *= 0.5
        return result

    report = xcheck.check(watched, x, gradient=wrong, raises=False)
    assert report.comparisons[0].worst[0].name == "d out / d x[77777]"
    assert len(kinds) < 400
    assert set(kinds) == {np.dtype(np.float64)}


@pytest.mark.parametrize("share", [0.1, 0.01, 0.002])
def test_small_errors_in_one_of_100000_are_named(share: float) -> None:
    x = np.random.default_rng(1).uniform(0.5, 2.0, 100_000)

    def wrong(x):
        result = 2 * x
        result[31_415] *= 1 + share
        return result

    report = xcheck.check(lambda x: x @ x, x, gradient=wrong, raises=False)
    assert report.comparisons[0].worst[0].name == "d out / d x[31415]"
    assert report.comparisons[0].worst[0].ratio == pytest.approx(1 + share)


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
    assert sum(" / d x[" in entry.name for entry in report.comparisons[0].worst) == EXAMPLES
    assert report.evaluations < 500


def test_a_right_gradient_of_many_inputs_agrees() -> None:
    x = np.random.default_rng(3).normal(size=120_000)
    report = xcheck.check(lambda x: np.sum(np.sin(x)), x, gradient=np.cos)
    assert report.comparisons[0].detection_limit < 2e-3
    assert report.evaluations <= 30


@pytest.mark.parametrize("n", [1_000, 30_000, 1_000_000])
def test_the_limit_of_an_entry_does_not_grow_with_size(n: int) -> None:
    x = np.random.default_rng(3).uniform(0.5, 2.0, n)
    report = xcheck.check(lambda x: x @ x, x, gradient=lambda x: 2 * x, budget=200)
    assert report.comparisons[0].method == "probes"
    assert report.comparisons[0].detection_limit < 4e-3


def test_bars_are_not_narrowed_across_kinks() -> None:
    x = np.random.default_rng(3).uniform(0.5, 2.0, 40_000)
    report = xcheck.check(lambda x: np.sum(np.abs(x - 1.2)), x, gradient=lambda x: np.sign(x - 1.2))
    assert 1e-3 < report.comparisons[0].detection_limit < 1
    assert report.power(1).holds


# Very many inputs


@pytest.fixture
def long() -> np.ndarray:
    return np.random.default_rng(7).uniform(0.5, 2.0, LONG)


def test_a_gradient_of_a_million_inputs_takes_fourteen_evaluations(long: np.ndarray) -> None:
    report = xcheck.check(lambda x: np.sum(np.sin(x)), long, gradient=np.cos)
    assert report.evaluations <= 14
    assert report.comparisons[0].detection_limit < 0.25


def test_a_longer_step_finds_an_error_among_a_million_inputs(long: np.ndarray) -> None:
    def wrong(x):
        result = np.cos(x)
        result[654_321] += 0.2
        return result

    report = xcheck.check(lambda x: np.sum(np.sin(x)), long, gradient=wrong, raises=False)
    assert report.comparisons[0].worst[0].name == "d out / d x[654321]"
    assert report.evaluations < 400


def test_noise_of_very_long_problems_is_seen(long: np.ndarray) -> None:
    def noisy(x):
        total = np.sum(np.sin(x))
        return total * (1 + 1e-9 * np.sin(1e12 * total))

    report = xcheck.check(noisy, long, gradient=np.cos, raises=False)
    assert report.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(("tiny", "dtype"), [(0.5, np.float32), (1e-30, np.float64)])
def test_long_probes_are_held_in_single_precision_where_it_is_exact(long, tiny: float, dtype: type) -> None:
    with prepared(read_call(np.sum, [long * tiny]), seed=0) as arena:
        probes = input_probes(arena.problem, 0, 2)
        bits, _ = np.frexp(probes / arena.problem.scale)
    assert probes.dtype == dtype
    assert np.array_equal(bits * 128, np.rint(bits * 128))
    assert np.min(np.abs(probes) / arena.problem.scale) >= 1


def test_a_point_keeps_its_memory_where_the_function_keeps_the_point() -> None:
    kept: list[np.ndarray] = []

    def remembers(x):
        kept.append(x)
        return np.sum(x)

    with prepared(read_call(remembers, [np.ones(4)]), seed=0) as arena:
        kept.clear()
        for step in (1.0, 2.0, 3.0):
            arena.problem.value_of(lambda out, part, step=step: out.fill(step))
    assert [x[0] for x in kept] == [1.0, 2.0, 3.0]


def test_the_tape_of_a_gradient_is_let_go(torch) -> None:
    taped = []

    class Op(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            taped.append(weakref.ref(ctx))
            ctx.save_for_backward(x)
            return (x * x).sum()

        @staticmethod
        def backward(ctx, g):
            return 2 * g * ctx.saved_tensors[0]

    with prepared(read_call(Op.apply, [torch.ones(5, dtype=torch.float64)]), seed=0) as arena:
        rows = pulled_rows(arena)
        gc.collect()
        assert all(ref() is None for ref in taped)
        assert rows.pull(np.ones(1)).tolist() == [2.0] * 5
        assert rows.pull(np.full(1, -3.0)).tolist() == [-6.0] * 5


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
