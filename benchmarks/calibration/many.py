"""Rules for functions of many inputs with many outputs."""

from __future__ import annotations

import numpy as np

from calibration.dice import Dice
from calibration.pair import Draft


def shape(d: Dice) -> tuple[int, int]:
    """Draw numbers of outputs and inputs."""
    return d.whole(2, 12), d.whole(2, 12)


def layer(d: Dice) -> Draft:
    """A layer of a network."""
    m, n = shape(d)
    text = d.pick(("tanh(A @ x + b)", "sin(A @ x + b)", "sigmoid(A @ x + b)", "log1p(exp(A @ x + b))"))
    return Draft(text, d.array(n), {"A": d.array(m, n, size=n**-0.5), "b": d.array(m)})


def two_layers(d: Dice) -> Draft:
    """Two layers."""
    m, n = shape(d)
    k = d.whole(2, 12)
    constants = {"A": d.array(k, n, size=n**-0.5), "B": d.array(m, k, size=k**-0.5)}
    return Draft("B @ tanh(A @ x)", d.array(n), constants)


def softmax(d: Dice) -> Draft:
    """Softmax, or its logarithm's sum."""
    _, n = shape(d)
    return Draft(d.pick(("exp(x) / sum(exp(x))", "x - log(sum(exp(x)))", "log(sum(exp(x)))")), d.array(n, size=2.0))


def mixed_units(d: Dice) -> Draft:
    """Inputs and outputs whose units differ by many decades."""
    m, n = shape(d)
    units = np.array([d.power(-6, 6) for _ in range(n)])
    results = np.array([d.power(-6, 6) for _ in range(m)])
    x = (d.array(n) * units).astype(d.dtype).astype(np.float64)
    return Draft("c * sin(A @ (x / u))", x, {"A": d.array(m, n), "u": units, "c": results})


def chained(d: Dice) -> Draft:
    """Running sums and products: triangular Jacobians with exact zeros."""
    _, n = shape(d)
    return Draft(d.pick(("cumsum(sin(x))", "cumsum(x * x) * x", "exp(0.125 * cumsum(x))")), d.array(n))


def elementwise(d: Dice) -> Draft:
    """A diagonal Jacobian over several decades of x."""
    _, n = shape(d)
    x = (d.array(n) * np.array([d.power(-4, 1) for _ in range(n)])).astype(d.dtype).astype(np.float64)
    return Draft(d.pick(("tanh(x)", "x * sigmoid(x)", "x ** 3", "expm1(x)", "sin(x) * x")), x)


def valley(d: Dice) -> Draft:
    """Rosenbrock's function of several variables."""
    _, n = shape(d)
    return Draft("sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)", d.array(n))


def distances(d: Dice) -> Draft:
    """Norms, and quotients of norms."""
    _, n = shape(d)
    text = d.pick(("sqrt(sum(x * x))", "x / sqrt(sum(x * x))", "sum(x) / sqrt(1 + sum(x * x))", "x * sum(x * x)"))
    return Draft(text, d.array(n) * d.pick((1.0, 64.0, 2.0**-10)))


def stacked(d: Dice) -> Draft:
    """Outputs of different sizes and kinds."""
    _, n = shape(d)
    return Draft(f"stack(x[0] * x[1], exp({d.number(1, 6)} * x[0]), 1e-6 * sin(x[1]), 0 * x[0], sum(x))", d.array(n))


RULES = {"Jacobian": (layer, two_layers, softmax, mixed_units, chained, elementwise, valley, distances, stacked)}
