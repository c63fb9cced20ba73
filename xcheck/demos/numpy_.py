"""NumPy: cost functions with gradients written by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xcheck.demos import Case

Array = NDArray[Any]

SAMPLES = np.array([[0.2, -1.3, 0.7], [1.1, 0.4, -0.6], [-0.8, 0.9, 0.3], [0.5, -0.2, 1.4]])
LABELS = np.array([1.0, -1.0, -1.0, 1.0])
TARGETS = np.array([[0.3, -0.9, 0.4], [1.2, 0.1, -0.5], [-0.7, 0.6, 0.8]])
SQUARE = SAMPLES[:3]
"""Three samples of three features: with a square matrix `*` and `@` both run, and only one of them is right."""


def logistic_loss(w: Array) -> Any:
    """Logistic regression with an L2 penalty."""
    return np.log1p(np.exp(-LABELS * (SAMPLES @ w))).sum() + 0.05 * w @ w


def logistic_gradient(w: Array) -> Array:
    """Return the gradient of `logistic_loss`."""
    weights = -LABELS / (1 + np.exp(LABELS * (SAMPLES @ w)))
    return SAMPLES.T @ weights + 0.1 * w


def gradient_without_penalty(w: Array) -> Array:
    """Return the gradient of the logistic part alone: the penalty is forgotten."""
    return logistic_gradient(w) - 0.1 * w


def hinge_loss(w: Array) -> Any:
    """Return the hinge loss of one sample; its kink is where the margin is 1."""
    return np.maximum(0.0, 1.0 - w @ np.array([1.0, 2.0]))


def hinge_gradient(w: Array) -> Array:
    """Return the gradient of `hinge_loss` to the left of the kink."""
    return -np.array([1.0, 2.0]) * float(w @ np.array([1.0, 2.0]) <= 1.0)


def least_squares(W: Array) -> Any:
    """Fit `SQUARE @ W` to `TARGETS`."""
    return ((SQUARE @ W - TARGETS) ** 2).sum()


def elementwise_gradient(W: Array) -> Array:
    """Return the gradient of `least_squares` with `*` where a matrix product belongs."""
    return 2 * SQUARE.T * (SQUARE @ W - TARGETS)


def matrix_gradient(W: Array) -> Array:
    """Return the gradient of `least_squares`."""
    return 2 * SQUARE.T @ (SQUARE @ W - TARGETS)


def cases() -> list[Case]:
    """List the checks."""
    w = np.array([0.4, -0.7, 1.2])
    W = np.array([[0.5, -0.1, 0.9], [1.3, 0.2, -0.4], [-0.6, 0.8, 0.7]])
    return [
        Case(
            "a gradient written by hand that is right",
            "the verdict, and on the line `limit` how small an error would have been seen",
            "agree",
            logistic_loss,
            (w,),
            {"gradient": logistic_gradient},
        ),
        Case(
            "the same gradient without the term of the penalty",
            "every entry is off; claimed and measured stand side by side, worst first",
            "disagree",
            logistic_loss,
            (w,),
            {"gradient": gradient_without_penalty},
        ),
        Case(
            "a hinge loss at its kink",
            "neither right nor wrong: the slopes on the two sides differ, so there is no derivative to compare with",
            "inconclusive",
            hinge_loss,
            (np.array([0.5, 0.25]),),
            {"gradient": hinge_gradient},
        ),
        Case(
            'a question from forums: "my gradient check passes with numbers and fails with matrices"',
            "2 * X.T * (X @ W - Y) has the right shape and the wrong entries: `*` multiplies entry by entry",
            "disagree",
            least_squares,
            (W,),
            {"gradient": elementwise_gradient},
        ),
        Case(
            "the same with a matrix product, 2 * X.T @ (X @ W - Y)",
            "now it agrees",
            "agree",
            least_squares,
            (W,),
            {"gradient": matrix_gradient},
        ),
    ]
