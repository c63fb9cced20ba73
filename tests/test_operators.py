"""Operators that nobody here wrote: right ones are not called wrong, planted errors are."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import scipy.integrate
import scipy.interpolate
import scipy.linalg
import scipy.optimize
import scipy.special as sp

import xcheck
from xcheck import Verdict

AGREE, DISAGREE, INCONCLUSIVE = Verdict.AGREE, Verdict.DISAGREE, Verdict.INCONCLUSIVE

SIGNED = np.array([-2.3, -1.1, -0.4, 0.3, 0.9, 1.7])
POSITIVE = np.array([0.2, 0.7, 1.4, 2.6, 5.3])
UNIT = np.array([0.05, 0.2, 0.45, 0.7, 0.93])
TAIL = np.array([20.0, 60.0, 300.0, -20.0, -60.0, -300.0])


def examine(f: Any, *inputs: Any, **settings: Any) -> xcheck.Report:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return xcheck.check(f, *inputs, raises=False, **settings)


def matrix(n: int = 4) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, n)) + 3 * np.eye(n)


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=shape)


# Hand-written derivatives of SciPy's functions


SPECIAL = {
    "gammaln": (sp.gammaln, sp.digamma, POSITIVE),
    "erf": (sp.erf, lambda x: 2 / np.sqrt(np.pi) * np.exp(-x * x), SIGNED),
    "ndtri": (sp.ndtri, lambda x: np.sqrt(2 * np.pi) * np.exp(sp.ndtri(x) ** 2 / 2), UNIT),
    "j0": (sp.j0, lambda x: -sp.j1(x), POSITIVE),
    "kv": (lambda x: sp.kv(1.5, x), lambda x: sp.kvp(1.5, x), POSITIVE),
    "airy": (lambda x: sp.airy(x)[0], lambda x: sp.airy(x)[1], SIGNED),
    "ellipe": (sp.ellipe, lambda m: (sp.ellipe(m) - sp.ellipk(m)) / (2 * m), UNIT),
    "gammainc": (lambda x: sp.gammainc(2.5, x), lambda x: x**1.5 * np.exp(-x) / sp.gamma(2.5), POSITIVE),
    "betainc": (lambda x: sp.betainc(2, 3, x), lambda x: x * (1 - x) ** 2 / sp.beta(2, 3), UNIT),
    "lambertw": (
        lambda x: sp.lambertw(x).real,
        lambda x: 1 / (x + np.exp(sp.lambertw(x).real)),
        POSITIVE,
    ),
    "hyp2f1": (lambda x: sp.hyp2f1(1, 2, 3.5, x), lambda x: 2 / 3.5 * sp.hyp2f1(2, 3, 4.5, x), -UNIT),
    "dawsn": (sp.dawsn, lambda x: 1 - 2 * x * sp.dawsn(x), SIGNED),
    "chebyshev": (lambda x: sp.eval_chebyt(7, x), lambda x: 7 * sp.eval_chebyu(6, x), UNIT),
    "sin at 1000 x": (lambda x: np.sin(1e3 * x), lambda x: 1e3 * np.cos(1e3 * x), SIGNED),
    "1e8 + sin": (lambda x: 1e8 + np.sin(x), np.cos, SIGNED),
    "noise 1e-8": (lambda x: np.sin(x) + 1e-8 * np.sin(1e11 * x), np.cos, SIGNED),
    "float32 inside": (lambda x: np.sin(x.astype(np.float32)).astype(float), np.cos, SIGNED),
    "cosine of 1e8": (np.cos, lambda x: -np.sin(x), np.array([1e8, 3.3e8])),
    "square root, 20 orders": (np.sqrt, lambda x: 0.5 / np.sqrt(x), np.array([1e-10, 1e-3, 4.0, 1e10])),
    "erfc tail": (sp.erfc, lambda x: -2 / np.sqrt(np.pi) * np.exp(-x * x), np.array([3.0, 8.0, 15.0, 25.0])),
}


@pytest.mark.parametrize("name", SPECIAL)
def test_special_functions_with_their_derivatives_agree(name: str) -> None:
    f, derivative, x = SPECIAL[name]

    report = examine(f, x, diagonal=derivative)

    assert report.verdict is AGREE, report


@pytest.mark.parametrize("name", SPECIAL)
@pytest.mark.parametrize("factor", [1.001, -1.0, 0.0])
def test_a_factor_on_their_derivatives_is_seen(name: str, factor: float) -> None:
    f, derivative, x = SPECIAL[name]
    report = examine(f, x, diagonal=lambda x: factor * derivative(x))

    limit = report.comparisons[0].detection_limit
    error = abs(factor - 1) * np.max(np.abs(derivative(x)))
    assert report.verdict is DISAGREE or error <= limit, report


FLAT = {
    # Rounding to 1 inside hides a slope that exists: the values cannot tell.
    "1 - cos": (lambda x: 1 - np.cos(x), np.sin, 1e-12),
    "log(1 + x^2)": (lambda x: np.log(1 + x * x), lambda x: 2 * x / (1 + x * x), 1e-10),
    "sqrt(1 + x^2) - 1": (lambda x: np.sqrt(1 + x * x) - 1, lambda x: x / np.sqrt(1 + x * x), 1e-12),
    "expm1 tail": (np.expm1, np.exp, -40.0),
    "tanh - 1 tail": (lambda x: np.tanh(x) - 1, lambda x: np.cosh(x) ** -2.0, 25.0),
}


@pytest.mark.parametrize("name", FLAT)
def test_a_slope_hidden_by_rounding_is_not_called_wrong(name: str) -> None:
    f, derivative, x = FLAT[name]

    assert examine(f, x, gradient=derivative).verdict is not DISAGREE


# Hand-written derivatives of numerical methods


def decay(k: np.ndarray) -> float:
    return float(scipy.integrate.solve_ivp(lambda t, y: -k[0] * y, (0, 1), [1.0], rtol=1e-10, atol=1e-12).y[0, -1])


def test_methods_with_exact_derivatives() -> None:
    a, b, m, x = normal(8, 4), normal(8), matrix(), normal(4)
    spline = scipy.interpolate.CubicSpline(np.linspace(0, 6, 20), np.sin(np.linspace(0, 6, 20)))
    quad = lambda x: scipy.integrate.quad(lambda t: np.exp(-x[0] * t) * np.sin(t), 0, 3)[0]  # noqa: E731
    slope = lambda x: np.array([-scipy.integrate.quad(lambda t: t * np.exp(-x[0] * t) * np.sin(t), 0, 3)[0]])  # noqa: E731
    reports = [
        examine(lambda x: np.sum((a @ x - b) ** 2), x, gradient=lambda x: 2 * a.T @ (a @ x - b)),
        examine(lambda b: np.linalg.lstsq(a, b, rcond=None)[0], b, jacobian=lambda b: np.linalg.pinv(a)),
        examine(lambda x: np.linalg.slogdet(x)[1], m, gradient=lambda x: np.linalg.inv(x).T),
        examine(lambda x: np.trace(scipy.linalg.expm(x)), m / 4, gradient=lambda x: scipy.linalg.expm(x).T),
        examine(sp.logsumexp, np.array([0.0, -20.0, -50.0, -700.0]), gradient=sp.softmax),
        examine(quad, np.array([0.7]), gradient=slope),
        examine(spline, POSITIVE, diagonal=lambda x: spline(x, 1)),
        examine(scipy.optimize.rosen, POSITIVE, gradient=scipy.optimize.rosen_der),
        examine(np.sort, np.array([3.0, 1, 2, 5]), jacobian=lambda x: np.eye(4)[np.argsort(x)]),
    ]

    assert [r.verdict for r in reports] == [AGREE] * len(reports)


def test_an_ode_solver_with_the_exact_derivative() -> None:
    assert examine(decay, np.array([1.3]), gradient=lambda k: -np.exp(-k)).verdict is not DISAGREE


# JAX


JAX = {
    "sigmoid": (lambda jnp, jax: jax.nn.sigmoid, SIGNED),
    "softplus": (lambda jnp, jax: jax.nn.softplus, SIGNED),
    "gelu": (lambda jnp, jax: jax.nn.gelu, SIGNED),
    "log_sigmoid": (lambda jnp, jax: jax.nn.log_sigmoid, SIGNED),
    "erfinv": (lambda jnp, jax: jax.scipy.special.erfinv, 2 * UNIT - 1),
    "gammaln": (lambda jnp, jax: jax.scipy.special.gammaln, POSITIVE),
    "i0e": (lambda jnp, jax: jax.scipy.special.i0e, SIGNED),
    "log_ndtr": (lambda jnp, jax: jax.scipy.special.log_ndtr, SIGNED),
    "x to the x": (lambda jnp, jax: lambda x: x**x, POSITIVE),
    "guarded log": (lambda jnp, jax: lambda x: jnp.where(x > 0, jnp.log(jnp.where(x > 0, x, 1)), 0 * x), SIGNED),
    "softmax": (lambda jnp, jax: jax.nn.softmax, SIGNED),
    "cumprod": (lambda jnp, jax: jnp.cumprod, SIGNED),
    "product with a zero": (lambda jnp, jax: jnp.prod, np.array([0.0, 3.0, 4.0])),
    "log-sum-exp at 1000": (lambda jnp, jax: jax.nn.logsumexp, 1000 + SIGNED),
    "normalise": (lambda jnp, jax: lambda x: (x - x.mean()) * jax.lax.rsqrt(x.var() + 1e-5), SIGNED),
    "inverse": (lambda jnp, jax: jnp.linalg.inv, matrix()),
    "determinant": (lambda jnp, jax: jnp.linalg.det, matrix()),
    "singular values": (lambda jnp, jax: lambda x: jnp.linalg.svd(x, compute_uv=False), matrix()),
    "Cholesky": (lambda jnp, jax: lambda x: jnp.linalg.cholesky(x @ x.T), matrix()),
    "power spectrum": (lambda jnp, jax: lambda x: jnp.abs(jnp.fft.rfft(x)) ** 2, SIGNED),
    "resize": (lambda jnp, jax: lambda x: jax.image.resize(x, (6, 5), "cubic"), matrix()),
    "table": (
        lambda jnp, jax: lambda x: jnp.interp(x, jnp.linspace(-3, 3, 10), jnp.linspace(-3, 3, 10) ** 3),
        SIGNED,
    ),
    "loop": (lambda jnp, jax: jax.jit(lambda x: jax.lax.fori_loop(0, 5, lambda i, h: jnp.sin(h + x), x)), SIGNED),
    "convolution": (
        lambda jnp, jax: lambda x: jax.lax.conv(x, normal(3, 2, 3, 3).astype(x.dtype), (1, 1), "SAME"),
        normal(1, 2, 4, 4),
    ),
}


@pytest.mark.parametrize("name", JAX)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_jax_operators_agree_at_ordinary_points(jax: Any, name: str, dtype: str) -> None:
    build, x = JAX[name]

    report = examine(build(jax.numpy, jax), x.astype(dtype), backend="jax")

    assert report.verdict is AGREE, report


JAX_TAILS = ["sigmoid", "softplus", "gelu", "log_sigmoid", "log_ndtr", "softmax", "i0e"]


@pytest.mark.parametrize("name", JAX_TAILS)
def test_jax_operators_are_not_called_wrong_in_their_tails(jax: Any, name: str) -> None:
    assert examine(JAX[name][0](jax.numpy, jax), TAIL, backend="jax").verdict is not DISAGREE


# What float32 rounds away is not an error of the derivative: cancellation in y (1 - y) and i0e - i1e, and numbers below
# its smallest one.
FLOAT32 = {
    "underflow of erfc": (lambda jnp, jax: jax.scipy.special.erfc, [15.0]),
    "underflow of softmax": (lambda jnp, jax: jax.nn.softmax, [80.0, -80.0, -30.0]),
    "sigmoid at 15": (lambda jnp, jax: jax.nn.sigmoid, [15.0]),
    "tanh at 8": (lambda jnp, jax: jnp.tanh, [8.0]),
    "elu at -15": (lambda jnp, jax: jax.nn.elu, [-15.0]),
    "i1e at 1.7": (lambda jnp, jax: jax.scipy.special.i1e, SIGNED),
    "i0e in the tail": (lambda jnp, jax: jax.scipy.special.i0e, [8.0, 30.0, 60.0]),
}


@pytest.mark.parametrize("name", FLOAT32)
def test_rounding_of_float32_is_not_called_wrong(jax: Any, name: str) -> None:
    build, x = FLOAT32[name]

    assert examine(build(jax.numpy, jax), np.array(x, np.float32), backend="jax").verdict is not DISAGREE


# gamma(60) overflows in float32 alone; the float32 derivative of log_ndtr at -85 loses four digits to cancellation.
HARD_FLOAT32 = {
    "overflow of gamma": (lambda jnp, jax: jax.scipy.special.gamma, [8.0, 60.0]),
    "log_ndtr at -85": (lambda jnp, jax: jax.scipy.special.log_ndtr, [-85.0]),
}


@pytest.mark.parametrize("name", HARD_FLOAT32)
def test_hard_rounding_of_float32_is_not_called_wrong(jax: Any, name: str) -> None:
    build, x = HARD_FLOAT32[name]

    assert examine(build(jax.numpy, jax), np.array(x, np.float32), backend="jax").verdict is not DISAGREE


KINKS = {
    "relu": (lambda jnp, jax: jax.nn.relu, [0.0, 1.0]),
    "leaky relu": (lambda jnp, jax: jax.nn.leaky_relu, [0.0]),
    "abs": (lambda jnp, jax: jnp.abs, [0.0]),
    "clip": (lambda jnp, jax: lambda x: jnp.clip(x, 0, 1), [0.0, 1.0]),
    "max of a tie": (lambda jnp, jax: jnp.max, [2.0, 2.0, 1.0]),
    "sort of a tie": (lambda jnp, jax: jnp.sort, [2.0, 2.0, 1.0]),
    "norm": (lambda jnp, jax: jnp.linalg.norm, [0.0, 0.0]),
    "standard deviation": (lambda jnp, jax: jnp.std, [1.0, 1.0, 1.0]),
    "degenerate eigenvalues": (lambda jnp, jax: jnp.linalg.eigvalsh, np.eye(3)),
    "equal singular values": (lambda jnp, jax: lambda x: jnp.linalg.svd(x, compute_uv=False), np.eye(3)),
}


@pytest.mark.parametrize("name", KINKS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_conventions_at_kinks_are_not_called_wrong(jax: Any, name: str, dtype: str) -> None:
    build, x = KINKS[name]

    assert examine(build(jax.numpy, jax), np.array(x, dtype), backend="jax").verdict is INCONCLUSIVE


def test_jax_gets_the_reverse_mode_of_spence_wrong(jax: Any) -> None:
    """JAX 0.10: NaN in reverse mode at 1.4, where forward mode has log(x) / (1 - x)."""
    spence = jax.scipy.special.spence
    if np.isfinite(jax.grad(spence)(1.4)):
        pytest.skip("this JAX is right")

    report = examine(spence, np.array([1.4]), backend="jax")

    assert report.verdict is DISAGREE
    assert next(c.verdict for c in report.comparisons if c.claim.source == "jax/jvp") is AGREE


# TensorFlow and Keras


TENSORFLOW = {
    "softplus": (lambda tf: tf.math.softplus, SIGNED),
    "digamma": (lambda tf: tf.math.digamma, POSITIVE),
    "erfinv": (lambda tf: tf.math.erfinv, 2 * UNIT - 1),
    "igamma": (lambda tf: lambda x: tf.math.igamma(tf.constant(2.5, x.dtype), x), POSITIVE),
    "log_softmax": (lambda tf: tf.nn.log_softmax, SIGNED),
    "l2_normalize": (lambda tf: lambda x: tf.math.l2_normalize(x), SIGNED),
    "logdet": (lambda tf: lambda x: tf.linalg.logdet(tf.matmul(x, x, transpose_b=True)), matrix()),
    "solve": (lambda tf: lambda x: tf.linalg.solve(x, x[:, :1] ** 2), matrix()),
    "svd": (lambda tf: lambda x: tf.linalg.svd(x, compute_uv=False), matrix()),
    "conv2d": (
        lambda tf: lambda x: tf.nn.conv2d(x, tf.constant(normal(3, 3, 2, 2), x.dtype), 1, "SAME"),
        normal(1, 4, 4, 2),
    ),
    "max_pool": (lambda tf: lambda x: tf.nn.max_pool2d(x, 2, 2, "VALID"), normal(1, 4, 4, 2)),
    "cross entropy": (
        lambda tf: lambda x: tf.nn.sparse_softmax_cross_entropy_with_logits(tf.constant([0, 2]), x),
        normal(2, 4),
    ),
}


@pytest.mark.parametrize("name", TENSORFLOW)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_tensorflow_operators_agree_at_ordinary_points(tf: Any, name: str, dtype: str) -> None:
    build, x = TENSORFLOW[name]

    report = examine(build(tf), tf.constant(x.astype(dtype)))

    assert report.verdict is AGREE, report


def test_tensorflow_gets_cumprod_at_zero_wrong(tf: Any) -> None:
    """The derivative of 0 + 0*3 + 0*3*4 by the first factor is 16; TensorFlow says 0."""
    x = tf.constant([0.0, 3.0, 4.0], tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(tf.math.cumprod(x))
    if tape.gradient(y, x)[0] == 16:
        pytest.skip("this TensorFlow is right")

    assert examine(lambda x: tf.reduce_sum(tf.math.cumprod(x)), x).verdict is DISAGREE


def layers(keras: Any) -> dict[str, tuple[Any, np.ndarray, dict[str, Any]]]:
    return {
        "dense": (keras.layers.Dense(3, activation="gelu"), normal(2, 4), {}),
        "gru": (keras.layers.GRU(2), normal(1, 2, 2), {}),
        "batch norm, training": (keras.layers.BatchNormalization(), normal(4, 3), {"training": True}),
        "dropout, training": (keras.layers.Dropout(0.5), normal(3, 4), {"training": True}),
    }


def test_keras_layers_agree(tf: Any) -> None:
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(0)
    found = {}
    for name, (layer, x, settings) in layers(keras).items():
        native = tf.constant(x, tf.float32)
        layer(native)
        found[name] = examine(layer, native, kwargs=settings).verdict

    assert set(found.values()) == {AGREE}, found


# Planted errors in the frameworks' own mechanisms for custom derivatives


def block(xp: Any, x: Any) -> Any:
    """A small layer: tanh of a product, beside a square."""
    return xp.tanh(x @ x.T) + x * x


def pulled(xp: Any, x: Any, g: Any) -> Any:
    t = g * (1 - xp.tanh(x @ x.T) ** 2)
    return t @ x + t.T @ x + 2 * g * x


def only_one(factor: float) -> Any:
    def spoil(xp: Any, x: Any, g: Any) -> Any:
        mask = np.ones((3, 3))
        mask[1, 2] = factor
        return pulled(xp, x, g) * xp.asarray(mask, dtype=x.dtype)

    return spoil


ERRORS = {
    "factor 1.001": lambda xp, x, g: 1.001 * pulled(xp, x, g),
    "one entry 1.01": only_one(1.01),
    "one entry zero": only_one(0.0),
    "sign": lambda xp, x, g: -pulled(xp, x, g),
    "zero": lambda xp, x, g: 0 * x,
    "transposed": lambda xp, x, g: pulled(xp, x, g).T,
    "1/N": lambda xp, x, g: pulled(xp, x, g) / 9,
    "stopped branch": lambda xp, x, g: pulled(xp, x, g) - 2 * g * x,
    "half of the symmetric product": lambda xp, x, g: pulled(xp, x, g) - (g * (1 - xp.tanh(x @ x.T) ** 2)).T @ x,
    "wrong where x > 1": lambda xp, x, g: xp.where(x > 1, 1.0 + 0 * x, pulled(xp, x, g)),
    "input instead of output": lambda xp, x, g: g * (1 - x * x),
}
POINT = np.array([[0.3, -0.7, 0.2], [0.5, 1.2, -0.4], [-0.2, 0.6, 0.8]])


def spoiled_jax(jax: Any, backward: Any) -> Any:
    f = jax.custom_vjp(lambda x: block(jax.numpy, x))
    f.defvjp(lambda x: (block(jax.numpy, x), x), lambda x, g: (backward(jax.numpy, x, g),))
    return f


def spoiled_torch(torch: Any, backward: Any) -> Any:
    class Spoiled(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return block(torch, x)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return backward(torch, *ctx.saved_tensors, g)

    return Spoiled.apply


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("error", ["none", *ERRORS])
def test_errors_planted_in_jax(jax: Any, error: str, dtype: str) -> None:
    report = examine(spoiled_jax(jax, ERRORS.get(error, pulled)), POINT.astype(dtype), backend="jax")

    assert report.verdict is (AGREE if error == "none" else DISAGREE), report


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("error", ["none", *ERRORS])
def test_errors_planted_in_torch(torch: Any, error: str, dtype: str) -> None:
    report = examine(spoiled_torch(torch, ERRORS.get(error, pulled)), torch.tensor(POINT.astype(dtype)))

    assert report.verdict is (AGREE if error == "none" else DISAGREE), report


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("factor", [1.0, 1.001, -1.0, 0.0])
def test_errors_planted_in_tensorflow(tf: Any, factor: float, dtype: str) -> None:
    @tf.custom_gradient
    def f(x: Any) -> Any:
        return tf.sin(x), lambda g: factor * g * tf.cos(x)

    report = examine(f, tf.constant(POINT.astype(dtype)))

    assert report.verdict is (AGREE if factor == 1 else DISAGREE), report


# Scale and size change nothing


@pytest.mark.parametrize(("sf", "sx"), [(1e8, 1.0), (1e-8, 1.0), (1.0, 1e8), (1.0, 1e-8), (1e-8, 1e-8)])
@pytest.mark.parametrize("factor", [1.0, 1.001, 0.0])
def test_scale_changes_no_verdict(sf: float, sx: float, factor: float) -> None:
    a = normal(4, 4)
    x = normal(4)
    report = examine(
        lambda z: sf * np.tanh(a @ (z / sx)),
        x * sx,
        jacobian=lambda z: factor * sf / sx * (1 - np.tanh(a @ (z / sx)) ** 2)[:, None] * a,
    )

    assert report.verdict is (AGREE if factor == 1 else DISAGREE), report


@pytest.mark.parametrize("n", [10, 1000])
def test_right_entries_do_not_hide_a_wrong_one(n: int) -> None:
    mask = np.ones(n)
    mask[n // 3] = 1.01
    report = examine(lambda x: np.sum(np.sin(x)), normal(n), gradient=lambda x: mask * np.cos(x))

    assert report.verdict is DISAGREE
    assert report.comparisons[0].wrong == 1
    assert report.comparisons[0].worst[0].name.endswith(f"[{n // 3}]")


@pytest.mark.parametrize("wrong", [0.0, -1.0, 2.0])
def test_a_wrong_slope_at_a_tiny_input_does_not_pass(wrong: float) -> None:
    x = np.array([1.0, 1e-12])

    assert examine(lambda x: np.sum(np.sin(x)), x, gradient=lambda x: np.array([np.cos(1), wrong])).verdict is not AGREE


@pytest.mark.parametrize("size", [1e-16, 1e-20, 1e-100])
def test_a_wrong_zero_of_a_small_function_does_not_pass(size: float) -> None:
    wrong = np.array([[np.cos(0.3), 2.0], [0.0, np.cos(0.7)]])

    report = examine(lambda x: size * np.sin(x), np.array([0.3, 0.7]), jacobian=lambda x: size * wrong)

    assert report.verdict is not AGREE


# Staircases, and scales that say nothing


@pytest.mark.parametrize("x", [-8.6, -8.357627118644068, -8.264406779661016, -8.033141882853643, -7.7, -7.5])
def test_a_derivative_that_follows_the_steps_of_its_values_is_not_called_wrong(torch: Any, x: float) -> None:
    point = torch.tensor([x], dtype=torch.float64)
    for seed in range(4):
        assert xcheck.check(torch.nn.functional.gelu, point, seed=seed, raises=False).verdict is not Verdict.DISAGREE


def test_the_derivative_of_a_rounding_function_is_still_wrong(torch: Any) -> None:
    class StraightThrough(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return torch.round(x)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g

    x = torch.tensor([0.3, 1.7], dtype=torch.float64)
    assert xcheck.check(StraightThrough.apply, x, raises=False).verdict is Verdict.DISAGREE


@pytest.mark.parametrize("x", [1e-12, 1e-10, 1e-7])
def test_a_tiny_input_is_measured_at_the_scale_at_which_the_function_moves(x: float) -> None:
    def slope(x: Any) -> Any:
        return -x / 3

    def f(x: Any) -> Any:
        return np.sin(x) / x

    assert xcheck.check(f, np.array([x]), diagonal=slope, raises=False).verdict is not Verdict.DISAGREE
    wrong = xcheck.check(f, np.array([x]), diagonal=lambda x: slope(x) - 1e-4, raises=False)
    assert wrong.verdict is Verdict.DISAGREE


def test_bfloat16_limits_mean_something(tf: Any) -> None:
    x = tf.constant(np.random.default_rng(0).normal(size=12), tf.bfloat16)
    for comparison in xcheck.check(tf.sin, x, raises=False).comparisons:
        assert comparison.detection_limit < 0.5


def test_slopes_that_underflow_agree_with_zero() -> None:
    report = xcheck.check(lambda x: 1e-200 * np.sin(1e-200 * x), np.array(1e200), gradient=lambda x: 0.0 * x)
    assert report.ok


def test_an_operator_without_any_rule_is_said_to_be_unchecked(torch: Any) -> None:
    half = torch.tensor(0.5, dtype=torch.float64)
    x = torch.tensor([0.3, -0.7], dtype=torch.float64)

    report = xcheck.check(lambda x: torch.heaviside(x, half), x, raises=False)

    assert report.verdict is Verdict.INCONCLUSIVE
    assert [text.split(":")[0] for text in report.unchecked] == ["torch/vjp", "torch/jvp"]


def test_how_fast_torch_maps_an_operator_does_not_reach_the_user(torch: Any) -> None:
    x = torch.tensor([[0.3], [-0.7], [1.1]], dtype=torch.float64)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        report = xcheck.check(torch.pdist, x, raises=False)

    assert report.verdict is Verdict.AGREE
    assert not caught


@pytest.mark.parametrize("gap", [1e-3, 1e-5, 1e-7])
def test_one_triangle_is_a_convention_where_close_eigenvalues_amplify_rounding(torch: Any, gap: float) -> None:
    def exponential(a: Any) -> Any:
        values, vectors = torch.linalg.eigh(a)
        return vectors @ torch.diag(values.exp()) @ vectors.mT

    a = torch.diag(torch.tensor([1.0, 1.0 + gap, 2.0], dtype=torch.float64))
    assert xcheck.check(exponential, a, raises=False).verdict is not DISAGREE


@pytest.mark.parametrize("name", ["eigvalsh", "cholesky"])
def test_one_triangle_in_float32_is_a_convention(torch: Any, name: str) -> None:
    a = torch.tensor([[1.0, 0.999, 0.99], [0.999, 1.0, 0.995], [0.99, 0.995, 1.0]])
    assert xcheck.check(getattr(torch.linalg, name), a, raises=False).verdict is not DISAGREE
