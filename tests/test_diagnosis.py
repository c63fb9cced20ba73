"""Why a derivative is wrong: named where it is known, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import mistaken_calls
import mistaken_layers
import numpy as np
import pytest
from mistakes import BACKENDS, MISTAKES, RIGHT, UNKNOWN, Draw, Mistake, Outcome, Tally, drawn, examine, run

import xcheck
from xcheck.diagnosis import Region
from xcheck.space import Space

assert mistaken_calls
assert mistaken_layers

FIXED = 20261121
COUNT = {FIXED: 12, None: 20}
"""Mistakes that are drawn; benchmarks/diagnosis.py draws more."""

INSTALLED = [name for name in BACKENDS if name == "numpy" or find_spec(name)]


def _fresh() -> int:
    """Return a seed of this run's own; XCHECK_SEED repeats one."""
    return int(os.environ.get("XCHECK_SEED") or np.random.default_rng().integers(2**31))


def _backends(request: pytest.FixtureRequest) -> list[str]:
    asked = request.config.getoption("--backend")
    return [name for name in INSTALLED if not asked or name in asked]


def _shown(outcomes: Iterator[Outcome] | list[Outcome], seed: int) -> str:
    return "\n".join([f"XCHECK_SEED={seed} draws these again", *map(str, outcomes)])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", [FIXED, None], ids=["fixed", "fresh"])
def test_the_cause_of_a_mistake_is_named_and_no_other(seed: int | None, request: pytest.FixtureRequest) -> None:
    count, seed = COUNT[seed], _fresh() if seed is None else seed
    outcomes = list(drawn(MISTAKES, seed, count, _backends(request)))
    tally = Tally()
    for outcome in outcomes:
        tally.add(outcome)
    assert not [o for o in outcomes if o.status in ("wrong", "missed")], _shown(
        [o for o in outcomes if o.status in ("wrong", "missed")], seed
    )
    assert tally.rate() >= 0.95, _shown([o for o in outcomes if o.status != "right"], seed)


@pytest.mark.filterwarnings("ignore")
def test_every_mistake_is_recognised_once(request: pytest.FixtureRequest) -> None:
    """A rule that stops to work is seen, whatever is drawn: each mistake on the first backend that can make it."""
    found = [_first_of(kind, _backends(request)) for kind in MISTAKES]
    assert not [str(o) for o in found if o is not None and o.status != "right"]


def _first_of(kind: Mistake, backends: list[str]) -> Outcome | None:
    own = [name for name in kind.backends if name in backends]
    return examine(kind, own[0], 11) if own else None


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", [FIXED, None], ids=["fixed", "fresh"])
def test_nothing_but_a_true_place_is_named_where_nothing_fits(seed: int | None, request: pytest.FixtureRequest) -> None:
    seed = _fresh() if seed is None else seed
    outcomes = list(drawn(UNKNOWN, seed, len(UNKNOWN), _backends(request)))
    assert not [o for o in outcomes if o.status == "wrong"], _shown([o for o in outcomes if o.status == "wrong"], seed)


@pytest.mark.filterwarnings("ignore")
def test_a_right_derivative_has_no_cause(request: pytest.FixtureRequest) -> None:
    for outcome in drawn(RIGHT, _fresh(), 2 * len(RIGHT), _backends(request)):
        assert outcome.report is not None
        assert outcome.report.ok, str(outcome.report)
        assert not outcome.causes


SCALED: list[Callable[[Draw], Any]] = [
    mistaken_layers.squares_with_a_two_too_many,
    mistaken_layers.linear_layer_with_w_for_its_transpose,
    mistaken_layers.softmax_as_elementwise,
    mistaken_layers.gradient_of_the_sum_times_the_cotangent,
    mistaken_layers.product_with_its_own_factor,
    mistaken_layers.gradient_of_the_sum_whatever_the_cotangent,
    mistaken_layers.leaky_relu_without_its_leak,
    mistaken_layers.smoothness_without_its_ends,
    mistaken_layers.ridge_without_its_gradient,
    mistaken_layers.gradient_array_one_place_late,
    mistaken_layers.embedding_of_positions_not_summed,
    mistaken_layers.complex_square_without_the_conjugate,
    mistaken_layers.sinc_at_zero,
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("plant", SCALED, ids=lambda plant: plant.__name__)
@pytest.mark.parametrize(("of_f", "of_x"), [(1e8, 1.0), (1e-8, 1.0), (1.0, 1e8), (1.0, 1e-8)])
def test_scaling_changes_no_cause(plant: Callable[[Draw], Any], of_f: float, of_x: float) -> None:
    planted = plant(Draw(3, "numpy"))
    plain = run(planted, "numpy").comparisons[0].causes
    inner, pull = planted.forward, planted.backward
    assert inner is not None
    assert pull is not None

    def back(xp: Any, g: Any, *xs: Any) -> Any:
        return tuple(of_f / of_x * part for part in pull(xp, g, *(x / of_x for x in xs)))

    changed = mistaken_calls.Planted(
        {name: of_x * array for name, array in planted.inputs.items()},
        lambda xp, *xs: of_f * inner(xp, *(x / of_x for x in xs)),
        back,
        constant=planted.constant,
    )
    found = run(changed, "numpy").comparisons[0].causes
    assert plain
    assert [(e.kind, e.where) for e in found] == [(e.kind, e.where) for e in plain]


def test_three_lines_tell_what_is_wrong_where_and_why() -> None:
    rng = np.random.default_rng(2)
    w = rng.normal(size=(60, 60))

    def system(x: np.ndarray) -> np.ndarray:
        return np.sin(w @ x)

    def jacobian(x: np.ndarray) -> np.ndarray:
        found = np.cos(w @ x)[:, None] * w
        found[17, 42] *= 3
        return found

    report = xcheck.check(system, rng.normal(size=60), jacobian=jacobian, raises=False)
    lines = str(report).splitlines()
    assert "DISAGREE, 1 of 3600 entries of the Jacobian" in lines[1]
    assert "d out[17] / d x[42]" in lines[2]
    assert lines[3].strip() == (
        "cause   wrong in one entry only, d out[17] / d x[42]: the claim is 3 times the derivative there"
    )
    assert len(lines) <= 8
    assert max(map(len, lines)) < 200


def test_a_slope_of_zero_is_not_called_an_input_that_is_ignored() -> None:
    report = xcheck.check(lambda x: np.sum(np.cos(x)), np.zeros(3), gradient=lambda x: x + 1.0, raises=False)
    assert not [e for e in report.comparisons[0].causes if e.kind == "ignored"]
    report = xcheck.check(lambda x: np.ones(1) @ np.ones(1), np.zeros(3), gradient=lambda x: x + 1.0, raises=False)
    assert [e.kind for e in report.comparisons[0].causes] == ["ignored"]


def test_what_is_so_at_one_point_alone_is_no_cause() -> None:
    """At 2, the slope of x**2 is 4, and x**3 is twice that; at 2.1 it is not."""
    for x in (2.0, np.array([2.0, 2.0, 2.0])):
        report = xcheck.check(lambda x: x**2, x, diagonal=lambda x: x**3, raises=False)
        assert report.verdict is xcheck.Verdict.DISAGREE
        assert not report.comparisons[0].causes


def test_a_long_diagonal_has_its_cause() -> None:
    x = np.linspace(-1.0, 1.0, 40)
    report = xcheck.check(np.tanh, x, diagonal=lambda x: 2 * (1 - np.tanh(x) ** 2), raises=False)
    assert [str(e) for e in report.comparisons[0].causes] == ["the claim is twice the derivative"]


def test_each_of_several_inputs_has_its_own_cause() -> None:
    rng = np.random.default_rng(4)
    w, b, s = rng.normal(size=(3, 3)), rng.normal(size=3), rng.normal(size=3)

    def loss(w: Any, b: Any, s: Any) -> Any:
        return np.sum(np.sin(w @ s) * b)

    def gradient(w: Any, b: Any, s: Any) -> Any:
        d = np.cos(w @ s) * b
        return np.outer(d, s).T, 2 * np.sin(w @ s), w.T @ d

    (comparison,) = xcheck.check(loss, w, b, s, gradient=gradient, raises=False).comparisons
    assert {(e.kind, e.where) for e in comparison.causes} == {("transposed", "w"), ("factor", "b")}
    assert comparison.unexplained == 0


def test_what_is_left_unexplained_is_counted() -> None:
    rng = np.random.default_rng(4)
    a, b, noise = rng.normal(size=4), rng.normal(size=3), rng.normal(size=3)

    def loss(a: Any, b: Any) -> Any:
        return np.sum(np.exp(a)) + np.sum(b**3)

    def gradient(a: Any, b: Any) -> Any:
        return 2 * np.exp(a), noise

    (comparison,) = xcheck.check(loss, a, b, gradient=gradient, raises=False).comparisons
    assert [(e.kind, e.where) for e in comparison.causes] == [("factor", "a")]
    assert comparison.unexplained == 3


def test_the_mask_is_named_as_the_user_calls_it() -> None:
    rng = np.random.default_rng(6)
    x, weights = rng.normal(size=(4, 6)), np.array([[1, 1, 1, 0, 0, 0]] * 2 + [[1] * 6, [1, 1, 1, 1, 1, 0]])
    report = xcheck.check(
        lambda x, weights: np.sum(np.exp(x)), x, weights, gradient=lambda x, weights: np.exp(x) * weights, raises=False
    )
    (cause,) = report.comparisons[0].causes
    assert cause.kind == "wrong where zero"
    assert str(cause) == "wrong exactly where weights is zero (7 of 24 entries of x): the claim is zero there"


def test_a_cross_check_says_why(torch: Any) -> None:
    class Twice(torch.autograd.Function):  # type: ignore[name-defined,misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x.exp()

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return 2 * g * ctx.saved_tensors[0].exp()

    right = (np.exp, lambda x: np.diag(np.exp(x)))
    report = xcheck.crosscheck({"torch": Twice.apply, "numpy": right}, np.array([0.3, 1.0]), raises=False)
    assert any(finding.endswith("Cause: the claim is twice the derivative.") for finding in report.findings)


@pytest.mark.parametrize(("tolerance", "fits"), [(1e-9, True), (0.02, False)])
def test_a_prediction_has_to_be_sharp_to_be_evidence(tolerance: float, fits: bool) -> None:
    """A wide bar holds whatever is near: that is no reason to name a cause."""
    measured, claimed = np.array([[0.9], [0.5]]), np.array([[1.8], [0.25]])
    blocks = Space.of(["x"], [np.zeros(2)]).blocks, Space.of(["out"], [np.zeros(())]).blocks
    region = Region(
        claimed, measured, np.full((2, 1), tolerance), np.ones((2, 1), bool), np.ones(2), np.ones(1), *blocks
    )
    assert region.fits(claimed + tolerance) is fits
    assert not region.fits(claimed + 5 * tolerance)
