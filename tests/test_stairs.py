"""Numbers inside that are rounded: values move in steps, or not at all, and a clean slope between them is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
import torch

import xcheck
from xcheck.protocol import RealArray
from xcheck.verdict import Verdict

AGREE, DISAGREE, INCONCLUSIVE = Verdict.AGREE, Verdict.DISAGREE, Verdict.INCONCLUSIVE

Function = Callable[[RealArray], RealArray]


def naive_coth(x: RealArray) -> RealArray:
    return 1 / np.tanh(x) - 1 / x


def great_circle(x: RealArray) -> RealArray:
    return np.arccos(np.clip(np.sin(0.7) * np.sin(0.7 + x) + np.cos(0.7) * np.cos(0.7 + x), -1, 1))


def versine_ratio(x: RealArray) -> RealArray:
    return (1 - np.cos(x)) / x**2


def sine_ratio(x: RealArray) -> RealArray:
    return (x - np.sin(x)) / x**3


def compound(x: RealArray) -> RealArray:
    return (1 + 1 / x) ** x


def root_less_one(x: RealArray) -> RealArray:
    return np.sqrt(1 + x) - 1


CANCELLING: dict[str, tuple[Function, Callable[[mpmath.mpf], mpmath.mpf], float, float]] = {
    "coth": (naive_coth, lambda x: mpmath.coth(x) - 1 / x, -10, -5),
    "great circle": (great_circle, lambda x: x, -9, -5),
    "versine": (versine_ratio, lambda x: (1 - mpmath.cos(x)) / x**2, -8, -5),
    "sine": (sine_ratio, lambda x: (x - mpmath.sin(x)) / x**3, -6, -2),
    "compound": (compound, lambda x: mpmath.exp(x * mpmath.log1p(1 / x)), 6, 12),
    "root": (root_less_one, lambda x: mpmath.sqrt(1 + x) - 1, -15, -9),
}


@pytest.mark.parametrize("name", CANCELLING)
def test_cancellation_inside_makes_no_verdict(name: str) -> None:
    """What is right is never called wrong, and a slope of zero is not called right because values stand still."""
    f, exact, low, high = CANCELLING[name]
    rng = np.random.default_rng(4)
    with mpmath.workdps(60):
        for seed in range(12):
            x = np.array([10 ** rng.uniform(low, high)])
            point = mpmath.mpf(float(x[0]))
            slope = float(mpmath.diff(exact, point, h=point * mpmath.mpf(10) ** -20))
            right = xcheck.check(f, x, diagonal=lambda _, c=slope: np.array([c]), raises=False, seed=seed)
            assert right.verdict is not DISAGREE, str(right)
            zero = xcheck.check(f, x, diagonal=lambda _: np.zeros(1), raises=False, seed=seed)
            limit = zero.comparisons[0].detection_limit
            assert zero.verdict is not AGREE or (limit is not None and abs(slope) <= limit), str(zero)


def entropy(z: torch.Tensor) -> torch.Tensor:
    return -(torch.softmax(z, 0) * torch.log_softmax(z, 0)).sum()


@pytest.mark.parametrize(
    ("dtype", "ahead"), [(torch.float64, (25, 34)), (torch.float64, (5, 15)), (torch.float32, (8, 14))]
)
def test_a_confident_softmax_is_not_called_wrong(dtype: torch.dtype, ahead: tuple[int, int]) -> None:
    """The logarithm of its largest probability stands still between two roundings; the other terms move."""
    rng = np.random.default_rng(5)
    for seed in range(8):
        z = torch.tensor(np.append(rng.uniform(*ahead), rng.normal(size=3))).to(dtype)
        report = xcheck.check(entropy, z, raises=False, seed=seed)
        assert all(c.verdict is not DISAGREE for c in report.comparisons if "finite" in str(c.reference)), str(report)


def test_cancellation_beside_ordinary_entries() -> None:
    def f(x: RealArray) -> RealArray:
        return x * (1 - np.cos(x))

    def exact(x: float) -> float:
        with mpmath.workdps(60):
            return float(mpmath.diff(lambda t: t * (1 - mpmath.cos(t)), mpmath.mpf(x)))

    for seed, tiny in enumerate(10 ** np.random.default_rng(3).uniform(-9, -6, 12)):
        x = np.array([tiny, 0.7, -1.3])
        right = np.array([exact(float(t)) for t in x])
        report = xcheck.check(f, x, diagonal=lambda _, c=right: c, raises=False, seed=seed)
        assert report.verdict is not DISAGREE, str(report)
        wrong = right * [1.0, 1.01, 1.0]
        report = xcheck.check(f, x, diagonal=lambda _, c=wrong: c, raises=False, seed=seed)
        assert report.verdict is DISAGREE, str(report)


@pytest.mark.parametrize("f", [np.round, np.sign, lambda x: np.clip(x, -0.1, 0.1), lambda x: np.round(8 * x) / 8])
def test_tables_are_flat(f: Function) -> None:
    """Their steps are high: zero is right, and one is not."""
    x = np.array([1.3, -0.7, 0.2134, -3.01, 30.2])
    assert xcheck.check(f, x, diagonal=np.zeros_like, raises=False).verdict is AGREE
    assert xcheck.check(f, x, diagonal=np.ones_like, raises=False).verdict is DISAGREE


@pytest.mark.parametrize("point", [1.8322545066060894, 3.3229995166448827, 0.123456])
def test_a_slope_of_zero_between_two_steps_is_not_wrong(point: float) -> None:
    x = np.array([point, 0.7, -1.3])
    report = xcheck.check(lambda x: np.round(x, 6), x, diagonal=np.zeros_like, raises=False)
    assert report.verdict is not DISAGREE, str(report)


@pytest.mark.parametrize("scale", [1.0, 2.0**27])
def test_a_saturated_value_hides_slopes_of_its_own_size(scale: float) -> None:
    """The rounding of `1 - tanh(x)**2` is that of the one in it, however the result is scaled."""
    report = xcheck.check(
        lambda x: scale * (1 - np.tanh(x) ** 2),
        np.float64(21.0),
        gradient=lambda x: scale * -2 * np.tanh(x) / np.cosh(x) ** 2,
        raises=False,
    )
    assert report.verdict is not DISAGREE, str(report)


class Scaled(torch.autograd.Function):
    """The sine with a derivative that is too large by a factor."""

    factor = 1.0

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        ctx.save_for_backward(x)
        return torch.sin(x)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, g: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        (x,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return g * torch.cos(x) * Scaled.factor


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize(("factor", "verdict"), [(1.0, AGREE), (1.03, DISAGREE), (1.1, DISAGREE)])
def test_low_precision_excuses_no_factor(
    dtype: torch.dtype, factor: float, verdict: Verdict, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is allowed for rounding is gone when the same rule runs in float64; a factor is not."""
    monkeypatch.setattr(Scaled, "factor", factor)
    for seed in range(4):
        x = torch.tensor(np.random.default_rng(seed).normal(size=3)).to(dtype)
        assert xcheck.check(Scaled.apply, x, raises=False, seed=seed).verdict is verdict


@pytest.mark.parametrize("x", [1e-18, 1e-17, 3e-17])
def test_a_root_that_steps_hide_may_be_steeper_than_any_secant(x: float) -> None:
    def slope(x: Any) -> Any:
        return 1 / np.sqrt(2 * x)

    report = xcheck.check(lambda x: np.arccos(1 - x), np.array([x]), diagonal=slope, raises=False)

    assert report.verdict is not Verdict.DISAGREE
    assert not any("does not depend" in note for note in report.notes)


@pytest.mark.parametrize("x", [0.3, 1.1364807160325432, 2.0])
def test_a_constant_made_of_rounded_numbers_has_slope_zero(x: float) -> None:
    def f(x: RealArray) -> RealArray:
        return np.cosh(x) ** 2 - np.sinh(x) ** 2

    report = xcheck.check(f, np.array([x]), diagonal=lambda x: 0 * x, raises=False)

    assert report.verdict is Verdict.AGREE
    assert report.comparisons[0].detection_limit < 1e-9
    assert xcheck.check(f, np.array([x]), diagonal=lambda x: 0 * x + 1e-9, raises=False).verdict is Verdict.DISAGREE


def test_a_rotation_by_a_tiny_angle_is_not_called_wrong() -> None:
    def rodrigues(w: torch.Tensor) -> torch.Tensor:
        nil, t = 0 * w[0], w.norm()
        rows = ((nil, -w[2], w[1]), (w[2], nil, -w[0]), (-w[1], w[0], nil))
        k = torch.stack([torch.stack(row) for row in rows])
        return torch.sin(t) / t * k + (1 - torch.cos(t)) / t**2 * k @ k

    w = [1.3003477911681844e-08, 1.7944784254393118e-08, -1.4047272156847982e-07]
    report = xcheck.check(rodrigues, torch.tensor(w, dtype=torch.float64), seed=2, raises=False)

    assert report.verdict is Verdict.INCONCLUSIVE
    assert "steps" in report.comparisons[0].reason


@pytest.mark.parametrize("factor", [1.01, 0.0])
def test_a_curve_is_no_staircase(factor: float) -> None:
    for x in np.linspace(0.05, 2.5, 12):
        report = xcheck.check(
            lambda x: x**3 + 0.3 * np.sin(2 * x),
            np.array([x]),
            diagonal=lambda x: factor * (3 * x**2 + 0.6 * np.cos(2 * x)),
            raises=False,
        )
        assert report.verdict is Verdict.DISAGREE, x


@pytest.mark.parametrize("factor", [2.0, 1.001, 1.00001])
def test_kinks_of_a_network_are_no_steps(factor: float) -> None:
    rng = np.random.default_rng(1)
    first, second, third = (rng.normal(size=shape) / 3 for shape in ((16, 6), (16, 16), (1, 16)))

    def network(x: np.ndarray) -> float:
        return float((third @ np.maximum(second @ np.maximum(first @ x, 0), 0))[0])

    def gradient(x: np.ndarray) -> np.ndarray:
        inner = first @ x
        outer = second @ np.maximum(inner, 0)
        return ((third * (outer > 0)) @ (second * (inner > 0)) @ first)[0]

    for seed in range(3):
        x = np.random.default_rng(seed).normal(size=6)
        assert xcheck.check(network, x, gradient=gradient, raises=False).verdict is not Verdict.DISAGREE
        wrong = xcheck.check(network, x, gradient=lambda x: factor * gradient(x), raises=False)
        assert wrong.verdict is Verdict.DISAGREE, wrong


@pytest.mark.parametrize("x", [2.1, 2.15, 2.2, 2.203])
def test_a_remainder_is_no_rounded_number(x: float) -> None:
    """Each of its steps takes back what the slope did before it: there is no other slope that they could hide."""
    report = xcheck.check(lambda x: np.mod(x, 0.31472587), np.array([x]), diagonal=np.ones_like, raises=False)
    assert report.verdict is AGREE, str(report)


@pytest.mark.parametrize("x", [3.003, 3.01])
def test_steps_are_seen_where_points_are_evaluated_one_by_one(x: float) -> None:
    """JAX maps small batches in a loop; the points farther off are looked at nevertheless."""
    jax = pytest.importorskip("jax")

    def rounded(x: Any) -> Any:
        return (1e13 + x) - 1e13

    @jax.custom_vjp
    def f(x: Any) -> Any:
        return x * rounded(x)

    f.defvjp(lambda x: (f(x), rounded(x)), lambda kept, g: (g * kept,))
    with jax.enable_x64(True):
        report = xcheck.check(f, jax.numpy.array([x]), raises=False)
    assert report.verdict is not AGREE, str(report)
