"""Functions that come to a constant gradually have tiny slopes there; those that are constant somewhere have none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import xcheck
from xcheck.reference.status import REASONS, Status
from xcheck.verdict import Verdict

GRADUAL: dict[str, tuple[Callable[..., Any], float]] = {
    "tanh": (np.tanh, 25.0),
    "tanh, far": (np.tanh, 100.0),
    "tanh, below": (np.tanh, -30.0),
    "tanh with an offset": (lambda x: 3 + 1e-3 * np.tanh(x), 25.0),
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), 45.0),
    "exponential": (lambda x: 1 - np.exp(-x), 50.0),
    "bell on a base": (lambda x: 1 + np.exp(-x * x), 8.0),
    "tanh of a small input": (lambda x: np.tanh(1e8 * x), 25e-8),
    "large tanh": (lambda x: 1e8 * np.tanh(x), 25.0),
}


def fit(x: Any) -> Any:
    t = np.clip(x, 0, 1)
    return t * t * (3 - 2 * t)


def bump(x: Any) -> Any:
    return 1 + np.where(np.abs(x) < 1, np.exp(-1 / np.maximum(1 - x * x, 1e-300)), 0.0)


CONSTANT: dict[str, tuple[Callable[..., Any], float]] = {
    "clip": (lambda x: np.clip(x, 0, 6), 9.0),
    "floor": (np.floor, 7.3),
    "round": (np.round, 25.3),
    "sign": (np.sign, -3.0),
    "a branch": (lambda x: np.where(x > 10, 1.0, np.tanh(x / 10)), 25.0),
    "a clipped tanh": (lambda x: np.minimum(np.tanh(x), 0.5), 25.0),
    "a constant": (lambda x: 0 * x + 3, 2.0),
    "fitted smoothly": (fit, 2.0),
    "a bump": (bump, 2.0),
    "rounding": (lambda x: np.cosh(x) ** 2 - np.sinh(x) ** 2, 1.5),
}


def check(f: Callable[..., Any], x: Any, claim: float, **options: Any) -> xcheck.Report:
    return xcheck.check(f, x, diagonal=lambda x: claim + 0 * x, raises=False, **options)


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("name", GRADUAL)
def test_a_slope_of_zero_cannot_be_settled_where_values_come_to_a_constant_gradually(name: str, size: int) -> None:
    f, x = GRADUAL[name]
    report = check(f, np.full(size, x), 0.0)
    assert report.verdict is Verdict.INCONCLUSIVE, str(report)
    assert report.comparisons[0].reason == REASONS[Status.SATURATED]
    assert not any("does not depend" in note for note in report.notes)


@pytest.mark.parametrize("name", CONSTANT)
def test_a_constant_has_a_slope_of_zero(name: str) -> None:
    f, x = CONSTANT[name]
    for seed in range(3):
        assert check(f, np.array([x]), 0.0, seed=seed).verdict is Verdict.AGREE


@pytest.mark.parametrize("claim", [1e-12, -1e-12, 1e-3, 1.0])
def test_a_wrong_slope_of_a_saturated_function_is_wrong(claim: float) -> None:
    assert check(np.tanh, np.array([25.0]), claim).verdict is Verdict.DISAGREE


def test_a_witness_settles_a_saturated_slope() -> None:
    mpmath = pytest.importorskip("mpmath")
    tanh = np.vectorize(mpmath.tanh, otypes=[object])
    assert check(np.tanh, np.array([25.0]), float(mpmath.sech(25) ** 2), witness=tanh).verdict is Verdict.AGREE
    assert check(np.tanh, np.array([25.0]), 0.0, witness=tanh).verdict is Verdict.DISAGREE


def test_zeros_beside_a_saturated_slope_are_no_slopes() -> None:
    torch = pytest.importorskip("torch")
    report = xcheck.check(torch.tanh, torch.tensor([25.0, 0.5, -0.3], dtype=torch.float64), raises=False)
    (reverse, *_) = report.comparisons
    assert reverse.inconclusive == 1
    assert [entry.name for entry in reverse.worst][:1] == ["d out[0] / d x[0]"], str(report)


def test_nothing_more_is_evaluated_where_values_move() -> None:
    assert xcheck.check(np.sin, np.array([0.7]), diagonal=np.cos).evaluations < 20
