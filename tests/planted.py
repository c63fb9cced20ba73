"""Small functions in every framework, their exact Jacobians, and wrong claims planted into them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Operator = Callable[[Any], Any]

MATRIX = np.random.default_rng(5).uniform(-1.0, 1.0, (8, 8))
NAMES = ("sin", "tanh", "exp", "log", "abs", "sum", "mean")


def operations(name: str) -> SimpleNamespace:
    """Return the framework's own `sin tanh exp log abs sum mean maximum`, and `matvec(x)` with the leading matrix."""
    module = import_module({"jax": "jax.numpy"}.get(name, name))
    if name == "tensorflow":
        found = {n: getattr(module.math, n, None) or getattr(module.math, f"reduce_{n}") for n in NAMES}
    else:
        found = {n: getattr(module, n) for n in NAMES}

    def matvec(x: Any) -> Any:
        n = int(x.shape[0])
        return (constant(name, MATRIX[:n, :n]) * x).sum(-1) if name != "tensorflow" else _tf_matvec(x, n)

    def _tf_matvec(x: Any, n: int) -> Any:
        return module.linalg.matvec(module.constant(MATRIX[:n, :n]), x)

    return SimpleNamespace(**found, matvec=matvec)


def constant(name: str, array: Array) -> Any:
    """Turn an array into the framework's own."""
    if name == "torch":
        return import_module("torch").from_numpy(np.array(array))
    return import_module("tensorflow").constant(array) if name == "tensorflow" else array


@dataclass(frozen=True)
class Case:
    """A function of a vector with its Jacobian; neither the point nor a step near it meets a kink."""

    f: Callable[[SimpleNamespace, Any], Any]
    jacobian: Callable[[Array], Array]


def _matrix(x: Array) -> Array:
    return MATRIX[: x.size, : x.size]


def _softmax(x: Array) -> Array:
    p = np.exp(x) / np.sum(np.exp(x))
    return np.diag(p) - np.outer(p, p)


CASES = {
    "wave": Case(lambda o, x: o.sin(3 * x) + x, lambda x: np.diag(3 * np.cos(3 * x) + 1)),
    "loss": Case(lambda o, x: o.sum(o.tanh(x) * x), lambda x: (np.tanh(x) + x / np.cosh(x) ** 2)[None]),
    "mean of squares": Case(lambda o, x: o.mean(x * x), lambda x: (2 * x / x.size)[None]),
    "layer": Case(lambda o, x: o.tanh(o.matvec(x)), lambda x: _matrix(x) / np.cosh(_matrix(x) @ x)[:, None] ** 2),
    "quadratic": Case(lambda o, x: o.sum(x * o.matvec(x)), lambda x: ((_matrix(x) + _matrix(x).T) @ x)[None]),
    "softmax": Case(lambda o, x: o.exp(x) / o.sum(o.exp(x)), _softmax),
    "logarithms": Case(lambda o, x: o.sum(o.log(o.abs(x))), lambda x: (1 / x)[None]),
    "kinks elsewhere": Case(lambda o, x: x * o.abs(x) + o.abs(x - 40), lambda x: np.diag(2 * np.abs(x) - 1)),
}
ERRORS = ("factor", "entry", "sign", "zero", "swapped")


def plant(jacobian: Array, error: str, place: int) -> Array:
    """Return a Jacobian that is wrong by at least a thousandth in an entry of some size."""
    order = np.argsort(-np.abs(jacobian), axis=None, kind="stable")
    i, j = np.unravel_index(
        order[place % max(1, int(np.sum(np.abs(jacobian) > 0.1 * np.max(np.abs(jacobian)))))], jacobian.shape
    )
    wrong = jacobian.copy()
    if error == "factor":
        wrong *= 1.001
    elif error == "entry":
        wrong[i, j] *= 1.001
    elif error == "sign":
        wrong[i, j] *= -1
    elif error == "zero":
        wrong[i, j] = 0
    elif error == "swapped":
        other = int(np.argmax(np.abs(jacobian[i] - jacobian[i, j])))
        wrong[i, [j, other]] = jacobian[i, [other, j]]
    return wrong


def pulled(name: str, jacobian: Array, cotangent: Any) -> Any:
    """Multiply a cotangent, of any shape, with a claimed Jacobian."""
    if name == "tensorflow":
        tf = import_module("tensorflow")
        return tf.linalg.matvec(tf.constant(jacobian), tf.reshape(cotangent, [-1]), transpose_a=True)
    return cotangent.reshape(-1) @ constant(name, jacobian)


def with_backward(name: str, f: Operator, pull: Callable[[Array], Array]) -> Operator:
    """Give `f` a backward pass of its own in the framework: `pull` maps native cotangents to native gradients."""
    if name == "torch":
        torch = import_module("torch")

        class Custom(torch.autograd.Function):  # type: ignore[misc, name-defined]
            @staticmethod
            def forward(ctx: Any, x: Any) -> Any:
                with torch.no_grad():
                    return f(x)

            @staticmethod
            def backward(ctx: Any, cotangent: Any) -> Any:
                return pull(cotangent)

        return Custom.apply
    if name == "jax":
        jax = import_module("jax")
        rule = jax.custom_vjp(f)
        rule.defvjp(lambda x: (f(x), None), lambda _, cotangent: (pull(cotangent),))
        return rule
    tf = import_module("tensorflow")
    return tf.custom_gradient(lambda x: (f(x), pull))
