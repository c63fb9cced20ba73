"""Functions computed to a tolerance: right rules are not called wrong, wrong ones are still found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import xcheck
from xcheck.judgement import TOLERANCE
from xcheck.protocol import RealArray
from xcheck.verdict import Verdict

AGREE, DISAGREE, INCONCLUSIVE = Verdict.AGREE, Verdict.DISAGREE, Verdict.INCONCLUSIVE

Solver = Callable[[RealArray, float], RealArray]


def equilibrium(p: RealArray, tolerance: float) -> RealArray:
    """Solve z = tanh(W z + p) by iteration."""
    z = np.zeros(3)
    for _ in range(500):
        z, before = np.tanh(WEIGHTS @ z + p), z
        if np.linalg.norm(z - before) < tolerance:
            break
    return z


def equilibrium_jacobian(p: RealArray) -> RealArray:
    z = equilibrium(p, 1e-16)
    d = np.diag(1 - z**2)
    return np.asarray(np.linalg.solve(np.eye(3) - d @ WEIGHTS, d))


def minimiser(p: RealArray, tolerance: float) -> RealArray:
    """Minimise by steps along the gradient."""
    z = np.zeros(3)
    for _ in range(2000):
        gradient = HESSIAN @ z + np.tanh(z) - p
        z = z - gradient / 6
        if np.max(np.abs(gradient)) < tolerance:
            break
    return z


def minimiser_jacobian(p: RealArray) -> RealArray:
    z = minimiser(p, 1e-15)
    return np.asarray(np.linalg.inv(HESSIAN + np.diag(1 - np.tanh(z) ** 2)))


WEIGHTS = np.array([[0.5, -0.2, 0.1], [0.3, 0.4, -0.1], [-0.2, 0.1, 0.6]])
HESSIAN = np.array([[3.0, 1.0, 0.2], [1.0, 2.5, 0.4], [0.2, 0.4, 2.0]])
SOLVERS = {"equilibrium": (equilibrium, equilibrium_jacobian), "minimiser": (minimiser, minimiser_jacobian)}


def judged(solver: Solver, tolerance: float, x: RealArray, claim: RealArray, seed: int = 0) -> Any:
    return xcheck.check(lambda p: solver(p, tolerance), x, jacobian=lambda _: claim, raises=False, seed=seed)


@pytest.mark.parametrize("tolerance", [1e-5, 1e-7, 1e-9])
@pytest.mark.parametrize("name", SOLVERS)
def test_a_right_derivative_of_a_solver_is_not_wrong(name: str, tolerance: float) -> None:
    solver, jacobian = SOLVERS[name]
    for seed in range(2 if name == "minimiser" else 4):  # which takes many more steps
        x = np.random.default_rng(seed).normal(size=3)
        report = judged(solver, tolerance, x, jacobian(x), seed)
        assert report.verdict is not DISAGREE, str(report)


@pytest.mark.parametrize("name", SOLVERS)
def test_errors_beyond_the_tolerance_are_found_in_their_place(name: str) -> None:
    solver, jacobian = SOLVERS[name]
    for seed in range(2):
        x = np.random.default_rng(seed).normal(size=3)
        right = jacobian(x)
        for factor in (1.02, -1.0, 0.0):
            wrong = right.copy()
            wrong[1, 1] *= factor
            report = judged(solver, 1e-8, x, wrong, seed)
            assert report.verdict is DISAGREE, str(report)
            assert report.comparisons[0].worst[0].name == "d out[1] / d p[1]", str(report)


def test_the_error_bar_holds_what_the_tolerance_hides() -> None:
    x = np.random.default_rng(1).normal(size=3)
    right = equilibrium_jacobian(x)
    comparison = judged(equilibrium, 1e-5, x, right).comparisons[0]
    assert comparison.verdict is INCONCLUSIVE
    assert TOLERANCE in comparison.reason
    for entry in comparison.worst:
        assert abs(entry.claimed - entry.measured) <= entry.error_bar < 1e-2


class Solved(torch.autograd.Function):
    """The solution of z = p cos(z), iterated until it moves by less than 1e-6, with its implicit derivative."""

    factor = 1.0

    @staticmethod
    def forward(ctx: Any, p: torch.Tensor) -> torch.Tensor:
        z, before = torch.full_like(p, 0.5), torch.full_like(p, 9.0)
        for _ in range(200):
            if bool((z - before).abs().max() <= 1e-6):
                break
            z, before = p * torch.cos(z), z
        ctx.save_for_backward(p, z)
        return z

    @staticmethod
    def backward(ctx: Any, w: torch.Tensor) -> torch.Tensor:
        p, z = ctx.saved_tensors
        return Solved.factor * w * torch.cos(z) / (1 + p * torch.sin(z))


@pytest.mark.parametrize(("factor", "wrong"), [(1.0, False), (1.01, True), (-1.0, True)])
def test_a_rule_of_torch_by_implicit_differentiation(
    factor: float, wrong: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Solved, "factor", factor)
    for seed in range(2):
        p = torch.tensor(np.random.default_rng(seed).uniform(0.3, 0.9, 2))
        report = xcheck.check(Solved.apply, p, raises=False, seed=seed)
        assert (report.verdict is DISAGREE) == wrong, str(report)


SMOOTH: dict[str, tuple[Callable[[RealArray], RealArray], Callable[[RealArray], RealArray]]] = {
    "oscillating": (lambda x: np.sin(1000 * x), lambda x: 1000 * np.cos(1000 * x)),
    "small ripple": (lambda x: x + 1e-6 * np.sin(300 * x), lambda x: 1 + 3e-4 * np.cos(300 * x)),
    "near a pole": (lambda x: 1 / (x - 0.01), lambda x: -1 / (x - 0.01) ** 2),
    "kinks": (
        lambda x: np.abs(np.sin(7 * x)) + 1e-5 * np.abs(x - 0.9),
        lambda x: 7 * np.cos(7 * x) * np.sign(np.sin(7 * x)) + 1e-5 * np.sign(x - 0.9),
    ),
    "high jumps": (lambda x: x**2 + np.floor(5 * x), lambda x: 2 * x),
    "one kink": (lambda x: x + 0.1 * np.abs(x - 1), lambda x: 1 + 0.1 * np.sign(x - 1)),
    "one high jump": (lambda x: x**2 + 0.5 * (x > 1), lambda x: 2 * x),
    "sorted": (lambda x: np.sort(x) ** 2, lambda x: np.where(np.argsort(np.argsort(x)) >= 0, 2 * x, 0)),
    "steep": (lambda x: np.exp(20 * x), lambda x: 20 * np.exp(20 * x)),
    "a root": (lambda x: np.sqrt(np.abs(x - 0.1)), lambda x: np.sign(x - 0.1) / (2 * np.sqrt(np.abs(x - 0.1)))),
}


ROUGH = ("kinks", "high jumps")
"""Farther off these look like values that move in steps."""


@pytest.mark.parametrize("name", SMOOTH)
def test_functions_without_small_jumps_are_not_excused(name: str) -> None:
    f, slope = SMOOTH[name]
    for seed, x in enumerate(np.sort(np.random.default_rng(2).uniform(0.2, 1.3, (4, 2)), axis=1)):
        right = xcheck.check(f, x, diagonal=slope, raises=False, seed=seed)
        assert right.verdict is not DISAGREE, str(right)
        wrong = xcheck.check(f, x, diagonal=lambda x: slope(x) * (1 + 1e-4), raises=False, seed=seed)
        assert wrong.comparisons[0].wrong == len(x) or name in ROUGH, str(wrong)
        assert TOLERANCE not in wrong.comparisons[0].reason, str(wrong)
