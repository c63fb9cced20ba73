"""Right derivatives of TensorFlow at hard points: tails, extreme sizes, near-ties, kinks, low precision, control flow.

Calling any of them wrong is a false alarm. Where the truth is a convention, the point has no derivative, or the values'
rounding cannot tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import ml_dtypes
import numpy as np
import tensorflow as tf
from numpy.random import Generator

from cases.case import Case, Truth

RIGHT, CONVENTION = Truth.RIGHT, Truth.CONVENTION
Row = tuple[str, Callable[..., Any], tuple[Any, ...], Truth]


def tricky(seed: int) -> Iterator[Case]:
    """Yield right derivatives at hard but legitimate points; random points follow from `seed`."""
    rng = np.random.default_rng([seed, 2])
    rows: list[Row] = []
    for family in (_tails, _sizes, _ties, _kinks, _precision, _large, _flow, _rules, _structures):
        rows += family(rng)
    for name, f, inputs, truth in rows:
        native = tf.nest.map_structure(lambda x: tf.constant(x) if isinstance(x, np.ndarray) else x, inputs)
        yield Case(f"tf.tricky.{name}", "tensorflow", f, native, truth)


def _near(rng: Generator, *values: float) -> np.ndarray:
    """Move each value by up to a tenth of its size, so that no constant fits the point."""
    return np.array(values) * rng.uniform(0.9, 1.1, size=len(values))


def _tails(rng: Generator) -> list[Row]:
    right, left = _near(rng, 9.0, 20.0, 60.0), _near(rng, -9.0, -20.0, -60.0)
    m, s, n = tf.math, tf.math.special, tf.nn
    return [
        ("tails/softplus", m.softplus, (left,), RIGHT),
        ("tails/log_sigmoid", m.log_sigmoid, (right,), RIGHT),
        ("tails/sigmoid", m.sigmoid, (left,), RIGHT),
        ("tails/sigmoid at 40", m.sigmoid, (_near(rng, 45.0),), CONVENTION),
        ("tails/silu", n.silu, (left,), RIGHT),
        ("tails/gelu", n.gelu, (_near(rng, -5.0, -8.0, -11.0),), RIGHT),
        ("tails/mish", tf.keras.activations.mish, (left,), RIGHT),
        ("tails/softmax", n.softmax, (_near(rng, 30.0, 0.0, -50.0, -300.0),), RIGHT),
        ("tails/log_softmax", n.log_softmax, (_near(rng, 25.0, 0.0, -50.0, -300.0),), RIGHT),
        ("tails/reduce_logsumexp", tf.reduce_logsumexp, (_near(rng, 0.0, -20.0, -45.0, -600.0),), RIGHT),
        ("tails/cumulative_logsumexp", m.cumulative_logsumexp, (_near(rng, -60.0, 0.0, -20.0, 30.0),), RIGHT),
        ("tails/erfc", m.erfc, (_near(rng, 4.0, 9.0, 20.0),), RIGHT),
        ("tails/tanh", m.tanh, (_near(rng, 8.0, -12.0),), RIGHT),
        ("tails/tanh at 25", m.tanh, (_near(rng, 25.0),), CONVENTION),
        ("tails/expm1", m.expm1, (_near(rng, -12.0, -20.0),), RIGHT),
        ("tails/expm1 at -40", m.expm1, (_near(rng, -45.0),), CONVENTION),
        ("tails/elu", n.elu, (_near(rng, -12.0, -20.0),), RIGHT),
        ("tails/bessel_i0e", m.bessel_i0e, (_near(rng, 30.0, 300.0, -3000.0),), RIGHT),
        ("tails/bessel_k0e", s.bessel_k0e, (_near(rng, 1e-6, 30.0, 300.0),), RIGHT),
        ("tails/bessel_k1", s.bessel_k1, (_near(rng, 1e-6, 30.0, 300.0),), RIGHT),
        ("tails/bessel_j1", s.bessel_j1, (_near(rng, 1e-6, 30.0, 300.0),), RIGHT),
        ("tails/dawsn", s.dawsn, (_near(rng, -20.0, 200.0, 1e3),), RIGHT),
        ("tails/igammac", lambda x: m.igammac(_like(x, 2.3), x), (_near(rng, 20.0, 100.0, 400.0),), RIGHT),
        ("tails/igamma", lambda x: m.igamma(_like(x, 30.0), x), (_near(rng, 0.5, 2.0, 8.0),), RIGHT),
        ("tails/igamma by a", lambda a: m.igamma(a, _like(a, 2.3)), (_near(rng, 0.01, 10.0, 40.0),), RIGHT),
        ("tails/ndtri", m.ndtri, (_near(rng, 1e-12, 1e-100, 1e-280),), RIGHT),
        ("tails/lgamma", m.lgamma, (_near(rng, 1e-6, 1e6, -3.55),), RIGHT),
        ("tails/binary cross entropy", _binary, (_near(rng, -30.0, 30.0, -300.0),), RIGHT),
        ("tails/logcosh", lambda x: tf.keras.losses.logcosh(0 * x, x), (_near(rng, -30.0, 30.0, 300.0),), RIGHT),
        ("tails/exp", m.exp, (_near(rng, -600.0, 600.0, 30.0),), RIGHT),
    ]


def _like(x: Any, value: float) -> Any:
    return tf.constant(value, x.dtype)


def _binary(x: Any) -> Any:
    return tf.nn.sigmoid_cross_entropy_with_logits(tf.constant([0.0, 1.0, 0.0], x.dtype), x)


def _sizes(rng: Generator) -> list[Row]:
    tiny, huge = _near(rng, 1e-8, -3e-8, 2e-8), _near(rng, 1e8, -3e8, 2e8)
    both = np.concatenate([tiny, huge, [1.0]])
    scaled = np.diag([1e-8, 1.0, 1e8]) @ _square(rng, 3)
    return [
        ("sizes/sin of 1e8", tf.sin, (huge,), RIGHT),
        ("sizes/square", tf.square, (both,), RIGHT),
        ("sizes/cubes", lambda x: x**3, (both,), RIGHT),
        ("sizes/reciprocal", tf.math.reciprocal, (both,), RIGHT),
        ("sizes/sqrt", tf.sqrt, (np.abs(both),), RIGHT),
        ("sizes/log", tf.math.log, (np.abs(both),), RIGHT),
        ("sizes/log1p", tf.math.log1p, (np.abs(both),), RIGHT),
        ("sizes/expm1", tf.math.expm1, (tiny,), RIGHT),
        ("sizes/atan", tf.atan, (both,), RIGHT),
        ("sizes/asinh", tf.asinh, (both,), RIGHT),
        ("sizes/norm", tf.norm, (both,), RIGHT),
        ("sizes/norm of tiny", tf.norm, (tiny,), RIGHT),
        ("sizes/lgamma", tf.math.lgamma, (np.abs(both),), RIGHT),
        ("sizes/xlogy", tf.math.xlogy, (np.abs(both), np.abs(both[::-1]).copy()), RIGHT),
        ("sizes/std around 1e8", tf.math.reduce_std, (1e8 + rng.normal(size=6),), RIGHT),
        ("sizes/softmax around 1e8", tf.nn.softmax, (1e8 + rng.normal(size=6),), RIGHT),
        ("sizes/solve", tf.linalg.solve, (scaled, rng.normal(size=(3, 1))), RIGHT),
        ("sizes/det", tf.linalg.det, (1e-8 * _square(rng, 4),), RIGHT),
        ("sizes/product of 30", tf.reduce_prod, (10.0 ** rng.uniform(-6, 6, size=30),), RIGHT),
        ("sizes/power", tf.pow, (_near(rng, 1e-8, 3.0, 1e8), _near(rng, 2.0, 30.0, -2.0)), RIGHT),
        ("sizes/1e8 times sin of 1e-8 x", lambda x: 1e8 * tf.sin(1e-8 * x), (rng.normal(size=5),), RIGHT),
        ("sizes/1e8 plus sin", lambda x: 1e8 + tf.sin(x), (rng.normal(size=5),), RIGHT),
        ("sizes/1 - cos", lambda x: 1 - tf.cos(x), (_near(rng, 1e-3, 1e-2),), RIGHT),
        ("sizes/1 - cos at 1e-9", lambda x: 1 - tf.cos(x), (_near(rng, 1e-9),), CONVENTION),
        ("sizes/sin of 1000 x", lambda x: tf.sin(1000 * x), (rng.normal(size=6),), RIGHT),
        (
            "sizes/l2_normalize of tiny",
            lambda x: tf.math.l2_normalize(x, epsilon=0.0),
            (1e-6 * rng.normal(size=5),),
            RIGHT,
        ),
    ]


def _ties(rng: Generator) -> list[Row]:
    x = rng.permutation(np.array([0.0, 1e-6, 2.5e-6, 1.0, 1.0 + 1e-5, -1.0]) + rng.normal())
    pair = rng.normal(size=5)
    near = pair + np.array([1e-5, -1e-6, 1e-4, -1e-7, 1e-3])
    u = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    close = u * np.array([1.0, 1.0 + 1e-4, 2.0, 3.0]) @ u.T
    return [
        ("ties/sort", tf.sort, (x,), RIGHT),
        ("ties/reduce_max", tf.reduce_max, (x,), RIGHT),
        ("ties/maximum", tf.maximum, (pair, near), RIGHT),
        ("ties/relu", tf.nn.relu, (_near(rng, 1e-6, -1e-6, 3e-7, -1e-4, 1.0),), RIGHT),
        ("ties/abs", tf.abs, (_near(rng, 1e-6, -1e-7, 1.0),), RIGHT),
        ("ties/clip", _clip, (np.array([1e-6, -1e-6, 1 - 1e-6, 1 + 1e-6]),), RIGHT),
        ("ties/mod", lambda x: tf.math.mod(x, 1.0), (np.array([1e-5, 1 - 1e-5, 0.5]),), RIGHT),
        ("ties/top_k", lambda x: tf.math.top_k(x, 3)[0], (x,), RIGHT),
        ("ties/max_pool", lambda x: tf.nn.max_pool2d(x, 2, 2, "VALID"), (x[[0, 1, 2, 3]].reshape(1, 2, 2, 1),), RIGHT),
        ("ties/eigvalsh", lambda x: tf.linalg.eigvalsh((x + tf.transpose(x)) / 2), (close,), RIGHT),
        ("ties/svd", lambda x: tf.linalg.svd(x, compute_uv=False), (close,), RIGHT),
        ("ties/sqrt near 0", tf.sqrt, (_near(rng, 1e-10, 1e-6, 1e-3),), RIGHT),
        ("ties/log near 0", tf.math.log, (_near(rng, 1e-10, 1e-6, 1e-3),), RIGHT),
        ("ties/acos near 1", tf.acos, (1 - _near(rng, 1e-8, 1e-5),), RIGHT),
        ("ties/norm near 0", tf.norm, (1e-7 * rng.normal(size=4),), RIGHT),
        ("ties/std of nearly constant", tf.math.reduce_std, (1.0 + 1e-6 * rng.normal(size=6),), RIGHT),
        ("ties/floor", tf.floor, (np.array([3.0 + 1e-6, 2.0 - 1e-6, 0.5]),), RIGHT),
    ]


def _clip(x: Any) -> Any:
    return tf.clip_by_value(x, 0.0, 1.0)


def _kinks(rng: Generator) -> list[Row]:
    zeros, equal = np.zeros(3), np.full(4, rng.normal())
    point = np.array([0.0, rng.normal(), 0.0])
    k = tf.keras.activations
    return [
        ("kinks/relu", tf.nn.relu, (point,), CONVENTION),
        ("kinks/leaky_relu", tf.nn.leaky_relu, (point,), CONVENTION),
        ("kinks/abs", tf.abs, (point,), CONVENTION),
        ("kinks/sign", tf.sign, (point,), CONVENTION),
        ("kinks/clip", _clip, (np.array([0.0, 1.0, 0.5]),), CONVENTION),
        ("kinks/maximum", lambda x: tf.maximum(x, tf.zeros_like(x)), (point,), CONVENTION),
        ("kinks/reduce_max", tf.reduce_max, (equal,), CONVENTION),
        ("kinks/sort", tf.sort, (equal,), CONVENTION),
        ("kinks/relu6", tf.nn.relu6, (np.array([0.0, 6.0]),), CONVENTION),
        ("kinks/hard_sigmoid", k.hard_sigmoid, (np.array([-3.0, 3.0]),), CONVENTION),
        ("kinks/hard_shrink", k.hard_shrink, (np.array([-0.5, 0.5]),), CONVENTION),
        ("kinks/floor", tf.floor, (np.array([4.0, 0.5]),), CONVENTION),
        ("kinks/norm", tf.norm, (zeros,), CONVENTION),
        ("kinks/std", tf.math.reduce_std, (equal,), CONVENTION),
        ("kinks/sqrt", tf.sqrt, (np.array([0.0, 1.0]),), CONVENTION),
        ("kinks/atan2", tf.atan2, (zeros, zeros), CONVENTION),
        ("kinks/log", tf.math.log, (np.array([0.0, 1.0]),), CONVENTION),
        ("kinks/xlogx", lambda x: tf.math.xlogy(x, x), (np.array([0.0, 1.0]),), CONVENTION),
        ("kinks/power", lambda x: x**x, (np.array([0.0, 1.3]),), CONVENTION),
        ("kinks/where log", lambda x: tf.where(x > 0, tf.math.log(x), 0 * x), (np.array([0.0, 1.0]),), CONVENTION),
        ("kinks/l1 loss", lambda x: tf.keras.losses.mae(0 * x, x), (point,), CONVENTION),
        ("kinks/hinge", lambda x: tf.keras.losses.hinge(tf.ones_like(x), x), (np.array([1.0, 0.5]),), CONVENTION),
        ("kinks/eigvalsh", tf.linalg.eigvalsh, (np.eye(3),), CONVENTION),
        ("kinks/svd", lambda x: tf.linalg.svd(x, compute_uv=False), (np.eye(3),), CONVENTION),
        ("kinks/eigh of symmetric", lambda x: tf.linalg.eigh(x)[0], (_symmetric(rng, 4),), CONVENTION),
        ("kinks/cholesky of symmetric", tf.linalg.cholesky, (_symmetric(rng, 4),), CONVENTION),
        ("kinks/max_pool of equal", lambda x: tf.nn.max_pool2d(x, 2, 2, "VALID"), (np.ones((1, 2, 2, 1)),), CONVENTION),
        (
            "kinks/image through float32",
            lambda x: tf.image.rgb_to_grayscale(x),
            (rng.uniform(size=(3, 3, 3)),),
            CONVENTION,
        ),
        ("kinks/divide_no_nan", tf.math.divide_no_nan, (np.ones(2), np.array([0.0, 2.0])), CONVENTION),
        ("kinks/huber", lambda x: tf.keras.losses.huber(0 * x, x), (np.array([1.0, 0.3]),), RIGHT),
        ("kinks/elu at 0", tf.nn.elu, (point,), RIGHT),
        ("kinks/softplus at 0", tf.nn.softplus, (point,), RIGHT),
        ("kinks/softsign at 0", tf.nn.softsign, (point,), RIGHT),
        ("kinks/softmax of equal", tf.nn.softmax, (equal,), RIGHT),
        ("kinks/product with zeros", tf.reduce_prod, (np.array([0.0, 3.0, 0.0, 4.0]),), RIGHT),
        ("kinks/x abs x", lambda x: x * tf.abs(x), (point,), RIGHT),
        ("kinks/square at 0", tf.square, (point,), RIGHT),
        ("kinks/det nearly singular", tf.linalg.det, (np.diag([1.0, 2.0, 1e-9]),), RIGHT),
        ("kinks/stationary", lambda x: tf.reduce_sum((x - 1) ** 2), (np.ones(4),), RIGHT),
    ]


def _precision(rng: Generator) -> list[Row]:
    conv = (rng.normal(size=(1, 4, 4, 2)), rng.normal(size=(3, 3, 2, 2)))
    functions: dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...]]] = {
        "sin": (tf.sin, (rng.normal(size=12),)),
        "exp": (tf.exp, (rng.normal(size=12),)),
        "tanh": (tf.tanh, (rng.normal(size=12),)),
        "softmax": (tf.nn.softmax, (rng.normal(size=(3, 4)),)),
        "gelu": (tf.nn.gelu, (rng.normal(size=12),)),
        "matmul": (tf.matmul, (rng.normal(size=(4, 6)), rng.normal(size=(6, 3)))),
        "logsumexp": (tf.reduce_logsumexp, (rng.normal(size=12),)),
        "squares": (lambda x: tf.reduce_sum(x * x), (rng.normal(size=60),)),
        "norm": (tf.norm, (rng.normal(size=12),)),
        "rsqrt": (tf.math.rsqrt, (rng.uniform(0.5, 3, size=12),)),
        "cumsum": (tf.cumsum, (rng.normal(size=12),)),
        "relu": (tf.nn.relu, (rng.choice([-1.0, 1.0], 12) * rng.uniform(0.2, 2, 12),)),
        "mean": (tf.reduce_mean, (rng.normal(size=12),)),
        "conv2d": (lambda x, k: tf.nn.conv2d(x, k, 1, "SAME"), conv),
        "sigmoid tail": (tf.sigmoid, (_near(rng, 12.0, -14.0),)),
    }
    wide = {
        "inv": (tf.linalg.inv, (_square(rng, 4),)),
        "svd": (lambda x: tf.linalg.svd(x, compute_uv=False), (_square(rng, 4),)),
        "rfft": (lambda x: tf.abs(tf.signal.rfft(x)) ** 2, (rng.normal(size=12),)),
        "erfinv": (tf.math.erfinv, (rng.uniform(-0.9, 0.9, size=12),)),
        "lgamma": (tf.math.lgamma, (rng.uniform(0.5, 4, size=12),)),
        "digamma": (tf.math.digamma, (rng.uniform(0.5, 4, size=12),)),
        "bessel_i0e": (tf.math.bessel_i0e, (rng.normal(size=12),)),
        "std around 1000": (tf.math.reduce_std, (1000 + rng.normal(size=8),)),
    }
    blocks = rng.permutation(np.arange(32.0)).reshape(1, 4, 4, 2, 1) / 8
    wide["max_pool3d"] = (lambda x: tf.nn.max_pool3d(x, 2, 2, "VALID"), (blocks,))
    kinds: dict[str, Any] = {"float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}
    rows: list[Row] = []
    for kind, dtype in kinds.items():
        for name, (f, inputs) in {**functions, **(wide if kind == "float32" else {})}.items():
            truth = CONVENTION if name == "sigmoid tail" and kind != "float32" else RIGHT  # 1 - y is rounded away
            rows.append((f"{kind}/{name}", f, tuple(x.astype(dtype) for x in inputs), truth))
    rows.append(("float64/through float32", lambda x: tf.sin(tf.cast(x, tf.float32)), (rng.normal(size=6),), RIGHT))
    rows.append(("float64/through bfloat16", lambda x: tf.cast(x, tf.bfloat16) ** 2, (rng.normal(size=6),), CONVENTION))
    return rows


def _large(rng: Generator) -> list[Row]:
    x = rng.normal(size=100_000)
    small = x.astype(np.float32)
    return [
        ("large/sum of squares", lambda x: tf.reduce_sum(x * x), (x,), RIGHT),
        ("large/mean", tf.reduce_mean, (x,), RIGHT),
        ("large/logsumexp", tf.reduce_logsumexp, (x,), RIGHT),
        ("large/norm", tf.norm, (x,), RIGHT),
        ("large/std", tf.math.reduce_std, (x,), RIGHT),
        ("large/elementwise", tf.sin, (x[:10_000],), RIGHT),
        ("large/float32 sum of squares", lambda x: tf.reduce_sum(x * x), (small,), RIGHT),
        ("large/float32 logsumexp", tf.reduce_logsumexp, (small,), RIGHT),
        ("large/float32 mean of cosines", lambda x: tf.reduce_mean(tf.cos(x)), (small,), RIGHT),
    ]


@tf.function
def _branches(x: Any) -> Any:
    y = tf.cos(x)
    if tf.reduce_sum(x) > 0:
        y = tf.sin(x) * 2
    return y


@tf.function
def _loop_in_graph(x: Any) -> Any:
    h = x
    for _ in tf.range(5):
        h = tf.sin(h + x)
    return h


def _until_large(x: Any) -> Any:
    return tf.while_loop(lambda h: tf.reduce_max(h) < 50.0, lambda h: (h * 1.7 + x,), (x,))[0]


def _collected(x: Any) -> Any:
    array = tf.TensorArray(x.dtype, size=3)
    for i in range(3):
        array = array.write(i, x ** (i + 1))
    return array.stack()


def _flow(rng: Generator) -> list[Row]:
    x = rng.uniform(0.5, 2.0, size=6)
    return [
        (
            "flow/while_loop",
            lambda x: tf.while_loop(lambda i, _: i < 5, lambda i, h: (i + 1, tf.sin(h + x)), (0, x)),
            (x,),
            RIGHT,
        ),
        ("flow/while_loop on the values", _until_large, (x,), RIGHT),
        ("flow/function", tf.function(lambda x: tf.tanh(x) * tf.reduce_sum(x)), (x,), RIGHT),
        ("flow/function with a branch", _branches, (x,), RIGHT),
        ("flow/function with a loop", _loop_in_graph, (x,), RIGHT),
        ("flow/compiled function", tf.function(lambda x: tf.tanh(x) * tf.reduce_sum(x), jit_compile=True), (x,), RIGHT),
        ("flow/cond", lambda x: tf.cond(x[0] > 0.1, lambda: tf.sin(x), lambda: tf.cos(x)), (x,), RIGHT),
        ("flow/python branch", lambda x: tf.sin(x) if x[0] > 0 else tf.exp(x), (x,), RIGHT),
        ("flow/scan", lambda x: tf.scan(lambda h, v: tf.sin(h + v), x), (x,), RIGHT),
        ("flow/map_fn", lambda x: tf.map_fn(tf.sin, x), (x,), RIGHT),
        ("flow/vectorized_map", lambda x: tf.vectorized_map(lambda v: tf.sin(v) * v, x), (x,), RIGHT),
        ("flow/TensorArray", _collected, (x,), RIGHT),
        ("flow/foldl", lambda x: tf.foldl(lambda h, v: tf.sin(h) * v, x), (x,), RIGHT),
    ]


@tf.custom_gradient
def _own_rule(x: Any) -> Any:
    return tf.math.log1p(tf.exp(x)), lambda g: g * tf.sigmoid(x)


@tf.custom_gradient
def _own_rule_of_two(x: Any, y: Any) -> Any:
    return tf.sin(x) * y, lambda g: (g * tf.cos(x) * y, g * tf.sin(x))


@tf.custom_gradient
def _in_numpy(x: Any) -> Any:
    y = tf.numpy_function(np.sin, [x], x.dtype)
    return tf.ensure_shape(y, x.shape), lambda g: g * tf.cos(x)


def _stable(x: Any) -> Any:
    top = tf.stop_gradient(tf.reduce_max(x))
    return top + tf.math.log(tf.reduce_sum(tf.exp(x - top)))


def _inner_gradient(x: Any) -> Any:
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_prod(tf.sin(x))
    return tape.gradient(y, x)


def _rules(rng: Generator) -> list[Row]:
    x, y = rng.normal(size=6), rng.normal(size=6)
    return [
        ("rules/custom_gradient", _own_rule, (x,), RIGHT),
        ("rules/custom_gradient in a function", tf.function(lambda x: 2 * _own_rule(x)), (x,), RIGHT),
        ("rules/custom_gradient of two", _own_rule_of_two, (x, y), RIGHT),
        ("rules/custom_gradient in NumPy", _in_numpy, (x,), RIGHT),
        ("rules/py_function", lambda x: tf.py_function(lambda v: tf.sin(v) * v, [x], x.dtype), (x,), RIGHT),
        ("rules/recompute_grad", tf.recompute_grad(lambda x: tf.sin(tf.sin(x))), (x,), RIGHT),
        ("rules/stabilised by stop_gradient", _stable, (x,), RIGHT),
        ("rules/stop_gradient of what cancels", lambda x: x - tf.stop_gradient(0 * x) + tf.cos(x), (x,), RIGHT),
        ("rules/unused input", lambda x, y: tf.sin(x) + 0 * y, (x, y), RIGHT),
        ("rules/unconnected input", lambda x, y: tf.sin(x) if len(y) else x, (x, y), RIGHT),
        ("rules/constant output", lambda x: (tf.sin(x), tf.ones(3, x.dtype)), (x,), RIGHT),
        ("rules/integer output", lambda x: (tf.sin(x), tf.argmax(x)), (x,), RIGHT),
        ("rules/gather, sparse gradient", lambda x: tf.gather(x, [1, 1, 4]), (rng.normal(size=(6, 2)),), RIGHT),
        (
            "rules/gather and dense",
            lambda x: tf.reduce_sum(tf.gather(x, [1, 1, 4]) ** 2) + tf.reduce_sum(x**3),
            (x,),
            RIGHT,
        ),
        (
            "rules/embedding squared",
            lambda x: tf.nn.embedding_lookup(x, [0, 2, 0]) ** 2,
            (rng.normal(size=(4, 3)),),
            RIGHT,
        ),
        ("rules/gradient", _inner_gradient, (x,), RIGHT),
        (
            "rules/normal samples",
            lambda m: m + m**2 * tf.random.stateless_normal([6], (1, 2), dtype=m.dtype),
            (x,),
            RIGHT,
        ),
        ("rules/seeded dropout", lambda x: tf.nn.experimental.stateless_dropout(x, 0.5, seed=(1, 2)), (x,), RIGHT),
    ]


def _network(p: Any, x: Any) -> Any:
    h = tf.tanh(tf.matmul(x, p["first"]["w"]) + p["first"]["b"])
    return {"y": tf.matmul(h, p["second"][0]), "size": tf.reduce_sum(h * h)}


def _structures(rng: Generator) -> list[Row]:
    weights = {"first": {"w": rng.normal(size=(3, 4)), "b": rng.normal(size=4)}, "second": [rng.normal(size=(4, 2))]}
    z = rng.normal(size=5) + 1j * rng.normal(size=5)
    x = rng.normal(size=(2, 3))
    matrix = _square(rng, 3) + 1j * _square(rng, 3)
    return [
        ("structures/network", _network, (weights, x), RIGHT),
        ("structures/tuple", lambda p: (p[0] * p[1], {"s": tf.reduce_sum(p[0])}), ((x, x + 1),), RIGHT),
        ("structures/scalar", tf.sin, (np.asarray(rng.normal()),), RIGHT),
        ("structures/complex exp", tf.exp, (z,), RIGHT),
        ("structures/complex abs", tf.abs, (z,), RIGHT),
        ("structures/complex conj", lambda z: tf.math.conj(z) * z * z, (z,), RIGHT),
        ("structures/complex log", tf.math.log, (z,), RIGHT),
        ("structures/complex sqrt", tf.sqrt, (z,), RIGHT),
        ("structures/complex tanh", tf.tanh, (z,), RIGHT),
        ("structures/complex power", lambda z: z ** tf.constant(1.5 + 0.5j, z.dtype), (z,), RIGHT),
        ("structures/complex angle", tf.math.angle, (z,), RIGHT),
        ("structures/complex fft", tf.signal.fft, (z,), RIGHT),
        ("structures/complex matmul", lambda a, b: tf.matmul(a, b, adjoint_a=True), (matrix, matrix + 1), RIGHT),
        ("structures/complex solve", tf.linalg.solve, (matrix, z[:3, None]), RIGHT),
        ("structures/complex inv", tf.linalg.inv, (matrix,), RIGHT),
        ("structures/complex prod", tf.reduce_prod, (z,), RIGHT),
        ("structures/real of complex", lambda z: tf.math.real(z * tf.exp(z)), (z,), RIGHT),
        ("structures/complex64", tf.sin, (z.astype(np.complex64),), RIGHT),
        ("structures/ragged", _ragged, (rng.normal(size=12),), RIGHT),
    ]


def _ragged(x: Any) -> Any:
    return tf.reduce_mean(tf.RaggedTensor.from_row_lengths(x, [3, 1, 5, 3]) ** 2, axis=1)


def _square(rng: Generator, n: int) -> np.ndarray:
    return rng.normal(size=(n, n)) / 2 + 2 * np.diag(np.arange(1.0, n + 1))


def _symmetric(rng: Generator, n: int) -> np.ndarray:
    matrix = rng.normal(size=(n, n)) / 3
    return matrix + matrix.T + 3 * np.diag(np.arange(1.0, n + 1))
