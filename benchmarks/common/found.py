"""Derivatives of the frameworks that are wrong: what they give, and the truth from mpmath or worked out by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import tensorflow as tf
import torch

VERSIONS = {"torch": torch.__version__.partition("+")[0], "JAX": jax.__version__, "TensorFlow": tf.__version__}

Numbers = Sequence[float]


@dataclass(frozen=True)
class Found:
    """One wrong derivative.

    Attributes:
        framework: whose it is, a key of `VERSIONS`.
        what: the function and the point.
        given: makes the framework compute the entries shown.
        truth: the same from mpmath, or by hand.
        why: the cause, or what else there is to say.
        thread: where it is known upstream, if it is.
    """

    framework: str
    what: str
    given: Callable[[], Any]
    truth: Callable[[], Numbers]
    why: str
    thread: str = ""

    def numbers(self) -> tuple[list[float], list[float]]:
        """Return what the framework gives now, and the truth."""
        with jax.enable_x64(True):
            given = np.asarray(self.given(), np.float64)
        return np.ravel(given).tolist(), [float(v) for v in self.truth()]

    def reproduces(self) -> bool:
        """Tell whether the framework is still wrong."""
        given, truth = self.numbers()
        return not np.allclose(given, truth, rtol=1e-11, atol=1e-300)

    def line(self) -> str:
        """Write it as an item of a list."""
        given, truth = (_listed(numbers) for numbers in _told_apart(*self.numbers()))
        known = f" Known: <{self.thread}>." if self.thread else ""
        return (
            f"- {self.what}, {self.framework} {VERSIONS[self.framework]}: {given}; right is {truth}. {self.why}{known}"
        )


def _told_apart(given: Numbers, truth: Numbers) -> tuple[list[str], list[str]]:
    """Write two lists of numbers with as many figures as their difference asks for."""
    for figures in range(6, 18):
        texts = [[f"{v + 0.0:.{figures}g}" for v in numbers] for numbers in (given, truth)]
        if texts[0] != texts[1]:
            break
    return texts[0], texts[1]


def _listed(numbers: list[str]) -> str:
    return numbers[0] if len(numbers) == 1 else f"({', '.join(numbers)})"


def _in_torch(f: Callable[[Any], Any], *x: float) -> Any:
    given = torch.tensor(x, dtype=torch.float64)
    return torch.func.grad(lambda x: f(x).sum())(given)


def _in_jax(f: Callable[[Any], Any], *x: float) -> Any:
    return jax.grad(lambda x: jnp.sum(f(x)))(jnp.array(x, dtype=float))


def _in_tensorflow(f: Callable[[Any], Any], x: Any) -> Any:
    given = tf.constant(x, tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(given)
        y = tf.reduce_sum(f(given))
    return tape.gradient(y, given)


def _restored(x: Any) -> Any:
    s, u, v = tf.linalg.svd(x)
    return tf.matmul(u * s, v, transpose_b=True)


def _curvature(x: torch.Tensor) -> torch.Tensor:
    """Differentiate eigenvectors in forward mode, and that in reverse mode."""

    def largest(a: torch.Tensor) -> torch.Tensor:
        return (torch.linalg.eigh((a + a.mT) / 2).eigenvectors ** 4).sum()

    return torch.func.grad(lambda a: torch.func.jvp(largest, (a,), (torch.ones_like(a),))[1])(x)


MATRIX = torch.tensor([[2.0, 1.0], [1.0, 1.0]], dtype=torch.float64)


def _true_curvature() -> list[float]:
    """Return what `_curvature` ought to be at the first diagonal entry.

    The eigenvectors of ((a, b), (b, d)) are turned by t with tan 2t = 2 b / (a - d), and the sum of their fourth
    powers is 2 (cos^4 t + sin^4 t) = 2 - sin^2 2t = 1 + cos^2 2t. Its directional derivative along ones moves only b.
    """

    def along(a: Any) -> Any:
        def powers(b: Any) -> Any:
            return 1 + (a - 1) ** 2 / ((a - 1) ** 2 + 4 * b**2)

        return mpmath.diff(powers, 1)

    return [mpmath.diff(along, 2)]


def _singular() -> Any:
    x = torch.tensor([[1.0, 2.0], [2.0, 4.0]], dtype=torch.float64, requires_grad=True)
    return torch.autograd.grad(torch.linalg.det(x), x)[0]


FOUND = (
    Found(
        "TensorFlow",
        "`tf.experimental.numpy.sinc` at 0",
        lambda: _in_tensorflow(tf.experimental.numpy.sinc, [0.0]),
        lambda: [mpmath.diff(lambda x: mpmath.sinc(mpmath.pi * x), 0)],
        "The branch of `where` that is not taken divides zero by zero.",
        "https://github.com/tensorflow/tensorflow/issues/127226",
    ),
    Found(
        "TensorFlow",
        "`tf.experimental.numpy.logaddexp` at a tie (1, 1)",
        lambda: _in_tensorflow(lambda x: tf.experimental.numpy.logaddexp(x[0], x[1]), [1.0, 1.0]),
        lambda: [mpmath.diff(lambda x: mpmath.log(mpmath.exp(x) + mpmath.e), 1)] * 2,
        "Written with `maximum` and `abs`, whose kinks cancel and whose conventions do not.",
        "https://github.com/tensorflow/tensorflow/pull/127741",
    ),
    Found(
        "TensorFlow",
        "`tf.math.cumprod` at (0, 3, 4), the sum of its outputs",
        lambda: _in_tensorflow(tf.math.cumprod, [0.0, 3.0, 4.0]),
        lambda: [1 + 3 + 12, 0, 0],
        "The rule divides by the zero and drops what results.",
        "https://github.com/tensorflow/tensorflow/issues/119430",
    ),
    Found(
        "TensorFlow",
        "`tf.nn.weighted_cross_entropy_with_logits` at logit 0, label 0",
        lambda: _in_tensorflow(
            lambda x: tf.nn.weighted_cross_entropy_with_logits(tf.zeros_like(x), x, tf.constant(3.0, x.dtype)), [0.0]
        ),
        lambda: [mpmath.diff(lambda x: mpmath.log(1 + mpmath.exp(x)), 0)],
        "Written with `relu` and `abs`, as `logaddexp` is.",
    ),
    Found(
        "TensorFlow",
        "`tf.linalg.svd` of diag(2, 0, 0), multiplied together again: the sum's derivative by the matrix",
        lambda: _in_tensorflow(_restored, np.diag([2.0, 0.0, 0.0])),
        lambda: [1.0] * 9,
        "The product is the matrix itself. Terms between equal singular values are dropped; torch and JAX give NaN.",
    ),
    Found(
        "torch",
        "`torch.linalg.det` of ((1, 2), (2, 4)), of rank n - 1",
        _singular,
        lambda: [4, -2, -2, 1],
        "The derivative is the adjugate's transpose. With `create_graph=True` torch is right. TensorFlow raises here "
        "(<https://github.com/tensorflow/tensorflow/issues/119477>), JAX is right.",
        "https://github.com/pytorch/pytorch/issues/104675",
    ),
    Found(
        "torch",
        "`torch.nn.functional.hardsigmoid` in float64 at 0.4",
        lambda: _in_torch(torch.nn.functional.hardsigmoid, 0.4),
        lambda: [mpmath.mpf(1) / 6],
        "1/6 is rounded to float32.",
    ),
    Found(
        "torch",
        "`torch.digamma` in float64 at 2.4",
        lambda: _in_torch(torch.digamma, 2.4),
        lambda: [mpmath.polygamma(1, mpmath.mpf(2.4))],
        "Its `polygamma(1, x)` keeps nine digits there.",
    ),
    Found(
        "torch",
        "`torch.linalg.eigh`, eigenvectors to the fourth of ((2, 1), (1, 1)), differentiated forward, then in reverse",
        lambda: _curvature(MATRIX)[0, 0],
        _true_curvature,
        "Reverse over reverse gives it.",
    ),
    Found(
        "torch",
        "`torch.expm1` at -40",
        lambda: _in_torch(torch.expm1, -40.0),
        lambda: [mpmath.exp(-40)],
        "Computed as expm1(x) + 1.",
        "https://github.com/pytorch/pytorch/issues/192406",
    ),
    Found(
        "JAX",
        "`jax.numpy.expm1` at -40",
        lambda: _in_jax(jnp.expm1, -40.0),
        lambda: [mpmath.exp(-40)],
        "Computed as expm1(x) + 1.",
        "https://github.com/jax-ml/jax/issues/39794",
    ),
    Found(
        "JAX",
        "`jax.scipy.special.i0` at 0",
        lambda: _in_jax(jax.scipy.special.i0, 0.0),
        lambda: [mpmath.diff(lambda x: mpmath.besseli(0, x), 0)],
        "exp(|x|) i0e(x): the kinks of both factors cancel and their conventions do not.",
        "https://github.com/jax-ml/jax/issues/40628",
    ),
    Found(
        "JAX",
        "`jax.scipy.special.digamma` at -9.3",
        lambda: _in_jax(jax.scipy.special.digamma, -9.3),
        lambda: [mpmath.polygamma(1, mpmath.mpf(-9.3))],
        "The series behind `polygamma` holds for positive numbers and diverges here.",
        "https://github.com/jax-ml/jax/issues/37635",
    ),
    Found(
        "JAX",
        "`jax.numpy.sinc` in float32 at 1e-6, forward mode",
        lambda: jax.jvp(jnp.sinc, (jnp.float32(1e-6),), (jnp.float32(1),))[1],
        lambda: [mpmath.diff(lambda x: mpmath.sinc(mpmath.pi * x), mpmath.mpf(float(np.float32(1e-6))))],
        "cos(x) / x and sin(x) / x^2 cancel.",
        "https://github.com/jax-ml/jax/issues/40629",
    ),
)


def found() -> Iterator[str]:
    """Write every one as a line."""
    for entry in FOUND:
        yield entry.line()
