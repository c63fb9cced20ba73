"""Right derivatives of JAX at hard points: tails, extreme sizes, near-ties, kinks, low precision, control flow.

Calling any of them wrong is a false alarm. Where the truth is a convention, the point has no derivative, or the values'
rounding cannot tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
from jax import lax, nn
from jax.scipy import special, stats
from numpy.random import Generator

from cases.case import Case, Truth

RIGHT, CONVENTION = Truth.RIGHT, Truth.CONVENTION
Row = tuple[str, Callable[..., Any], tuple[Any, ...], Truth]


def tricky(seed: int) -> Iterator[Case]:
    """Yield right derivatives at hard but legitimate points; random points follow from `seed`."""
    rng = np.random.default_rng([seed, 1])
    rows: list[Row] = []
    for family in (_tails, _sizes, _ties, _kinks, _precision, _large, _flow, _rules, _structures):
        rows += family(rng)
    for name, f, inputs, truth in rows:
        yield Case(f"jax.tricky.{name}", "jax", f, inputs, truth, options={"backend": "jax"})


def _near(rng: Generator, *values: float) -> np.ndarray:
    """Move each value by up to a tenth of its size, so that no constant fits the point."""
    return np.array(values) * rng.uniform(0.9, 1.1, size=len(values))


def _tails(rng: Generator) -> list[Row]:
    right, left = _near(rng, 9.0, 20.0, 60.0), _near(rng, -9.0, -20.0, -60.0)
    return [
        ("tails/softplus", nn.softplus, (left,), RIGHT),
        ("tails/log_sigmoid", nn.log_sigmoid, (right,), RIGHT),
        ("tails/sigmoid", nn.sigmoid, (left,), RIGHT),
        ("tails/sigmoid at 40", nn.sigmoid, (_near(rng, 45.0),), CONVENTION),
        ("tails/silu", nn.silu, (left,), RIGHT),
        ("tails/mish", nn.mish, (left,), RIGHT),
        ("tails/gelu exact", lambda x: nn.gelu(x, approximate=False), (_near(rng, -5.0, -8.0, -11.0),), RIGHT),
        ("tails/log_ndtr", special.log_ndtr, (np.concatenate([left, _near(rng, 5.0, 9.0)]),), RIGHT),
        ("tails/ndtr", special.ndtr, (_near(rng, -9.0, -15.0, -30.0),), RIGHT),
        ("tails/erfc", special.erfc, (_near(rng, 4.0, 9.0, 20.0),), RIGHT),
        ("tails/erfcx", special.erfcx, (_near(rng, 4.0, 20.0, 200.0),), RIGHT),
        ("tails/logaddexp", jnp.logaddexp, (_near(rng, 1.0, -700.0), _near(rng, 300.0, -650.0)), RIGHT),
        ("tails/logsumexp", nn.logsumexp, (_near(rng, 0.0, -20.0, -45.0, -600.0),), RIGHT),
        ("tails/softmax", nn.softmax, (_near(rng, 30.0, 0.0, -50.0, -300.0),), RIGHT),
        ("tails/log_softmax", nn.log_softmax, (_near(rng, 30.0, 0.0, -50.0, -300.0),), RIGHT),
        ("tails/tanh", jnp.tanh, (_near(rng, 8.0, -12.0, 15.0),), RIGHT),
        ("tails/tanh at 25", jnp.tanh, (_near(rng, 25.0),), CONVENTION),
        ("tails/expm1", jnp.expm1, (_near(rng, -12.0, -20.0),), RIGHT),
        ("tails/expm1 at -40", jnp.expm1, (_near(rng, -45.0),), CONVENTION),
        ("tails/elu", nn.elu, (_near(rng, -12.0, -20.0),), RIGHT),
        ("tails/i0e", special.i0e, (_near(rng, 30.0, 300.0, -3000.0),), RIGHT),
        ("tails/gammaincc", lambda x: special.gammaincc(2.3, x), (_near(rng, 20.0, 100.0, 400.0),), RIGHT),
        ("tails/gammainc", lambda x: special.gammainc(30.0, x), (_near(rng, 0.5, 2.0, 8.0),), RIGHT),
        ("tails/betainc", lambda x: special.betainc(8.0, 3.0, x), (_near(rng, 1e-6, 1e-3, 0.9),), RIGHT),
        ("tails/norm.logsf", stats.norm.logsf, (_near(rng, 5.0, 12.0, 37.0),), RIGHT),
        ("tails/norm.sf", stats.norm.sf, (_near(rng, 5.0, 12.0, 30.0),), RIGHT),
        ("tails/norm.logpdf", stats.norm.logpdf, (_near(rng, 1e3, -1e6),), RIGHT),
        ("tails/exp", jnp.exp, (_near(rng, -600.0, 600.0, 30.0),), RIGHT),
        ("tails/exp1", special.exp1, (_near(rng, 0.01, 20.0, 60.0),), RIGHT),
        ("tails/ndtri", special.ndtri, (_near(rng, 1e-12, 1e-100, 1e-280),), RIGHT),
        ("tails/digamma", special.digamma, (_near(rng, 1e-6, 1e6, -3.55),), RIGHT),
    ]


def _sizes(rng: Generator) -> list[Row]:
    tiny, huge = _near(rng, 1e-8, -3e-8, 2e-8), _near(rng, 1e8, -3e8, 2e8)
    both = np.concatenate([tiny, huge, [1.0]])
    return [
        ("sizes/sin of 1e8", jnp.sin, (huge,), RIGHT),
        ("sizes/square", jnp.square, (both,), RIGHT),
        ("sizes/cubes", lambda x: x**3, (both,), RIGHT),
        ("sizes/reciprocal", jnp.reciprocal, (both,), RIGHT),
        ("sizes/sqrt", jnp.sqrt, (np.abs(both),), RIGHT),
        ("sizes/log", jnp.log, (np.abs(both),), RIGHT),
        ("sizes/log1p", jnp.log1p, (np.abs(both),), RIGHT),
        ("sizes/expm1", jnp.expm1, (tiny,), RIGHT),
        ("sizes/arctan", jnp.arctan, (both,), RIGHT),
        ("sizes/arcsinh", jnp.arcsinh, (both,), RIGHT),
        ("sizes/cbrt", jnp.cbrt, (both,), RIGHT),
        ("sizes/tanh", jnp.tanh, (tiny,), RIGHT),
        ("sizes/hypot", jnp.hypot, (both, both[::-1].copy()), RIGHT),
        ("sizes/norm", jnp.linalg.norm, (both,), RIGHT),
        ("sizes/norm of tiny", jnp.linalg.norm, (tiny,), RIGHT),
        ("sizes/gammaln", special.gammaln, (np.abs(both),), RIGHT),
        ("sizes/xlogy", special.xlogy, (np.abs(both), np.abs(both[::-1])), RIGHT),
        ("sizes/std around 1e8", jnp.std, (1e8 + rng.normal(size=6),), RIGHT),
        ("sizes/softmax around 1e8", nn.softmax, (1e8 + rng.normal(size=6),), RIGHT),
        ("sizes/solve", jnp.linalg.solve, (np.diag([1e-8, 1.0, 1e8]) @ _square(rng, 3), rng.normal(size=3)), RIGHT),
        ("sizes/det", jnp.linalg.det, (1e-8 * _square(rng, 4),), RIGHT),
        ("sizes/inverse of ill-conditioned", jnp.linalg.inv, (_square(rng, 3) * np.array([1.0, 1e-4, 1e-6]),), RIGHT),
        ("sizes/product of 30", jnp.prod, (10.0 ** rng.uniform(-6, 6, size=30),), RIGHT),
        ("sizes/power", jnp.power, (_near(rng, 1e-8, 3.0, 1e8), _near(rng, 2.0, 30.0, -2.0)), RIGHT),
        ("sizes/1e8 times sin of 1e-8 x", lambda x: 1e8 * jnp.sin(1e-8 * x), (rng.normal(size=5),), RIGHT),
        (
            "sizes/1e-8 sin beside sin",
            lambda x: jnp.stack([1e-8 * jnp.sin(x), jnp.sin(x)]),
            (rng.normal(size=5),),
            RIGHT,
        ),
        ("sizes/1e8 plus sin", lambda x: 1e8 + jnp.sin(x), (rng.normal(size=5),), RIGHT),
        ("sizes/1 - cos", lambda x: 1 - jnp.cos(x), (_near(rng, 1e-3, 1e-2),), RIGHT),
        ("sizes/1 - cos at 1e-9", lambda x: 1 - jnp.cos(x), (_near(rng, 1e-9),), CONVENTION),
        ("sizes/sin of 1000 x", lambda x: jnp.sin(1000 * x), (rng.normal(size=6),), RIGHT),
        ("sizes/sinc near 0", jnp.sinc, (_near(rng, 1e-3, -1e-2, 0.1),), RIGHT),
    ]


def _ties(rng: Generator) -> list[Row]:
    gaps = np.array([0.0, 1e-6, 2.5e-6, 1.0, 1.0 + 1e-5, -1.0])
    x = rng.permutation(gaps + rng.normal())
    pair = rng.normal(size=5)
    near = pair + np.array([1e-5, -1e-6, 1e-4, -1e-7, 1e-3])
    u = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    close = u * np.array([1.0, 1.0 + 1e-4, 2.0, 3.0]) @ u.T
    return [
        ("ties/sort", jnp.sort, (x,), RIGHT),
        ("ties/max", jnp.max, (x,), RIGHT),
        ("ties/median", jnp.median, (x[:5],), RIGHT),
        ("ties/maximum", jnp.maximum, (pair, near), RIGHT),
        ("ties/relu", nn.relu, (_near(rng, 1e-6, -1e-6, 3e-7, -1e-4, 1.0),), RIGHT),
        ("ties/abs", jnp.abs, (_near(rng, 1e-6, -1e-7, 1.0),), RIGHT),
        ("ties/clip", lambda x: jnp.clip(x, 0.0, 1.0), (np.array([1e-6, -1e-6, 1 - 1e-6, 1 + 1e-6]),), RIGHT),
        ("ties/floor", jnp.floor, (np.array([3.0 + 1e-6, 2.0 - 1e-6, 0.5]),), RIGHT),
        ("ties/mod", lambda x: jnp.mod(x, 1.0), (np.array([1e-5, 1 - 1e-5, 0.5]),), RIGHT),
        ("ties/top_k", lambda x: lax.top_k(x, 3)[0], (x,), RIGHT),
        ("ties/max pool", lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (2,), (1,), "VALID"), (x,), RIGHT),
        ("ties/eigvalsh", lambda x: jnp.linalg.eigvalsh((x + x.T) / 2), (close,), RIGHT),
        ("ties/svd", lambda x: jnp.linalg.svd(x, compute_uv=False), (close,), RIGHT),
        ("ties/sqrt near 0", jnp.sqrt, (_near(rng, 1e-10, 1e-6, 1e-3),), RIGHT),
        ("ties/log near 0", jnp.log, (_near(rng, 1e-10, 1e-6, 1e-3),), RIGHT),
        ("ties/arccos near 1", jnp.arccos, (1 - _near(rng, 1e-8, 1e-5),), RIGHT),
        ("ties/power 0.1 near 0", lambda x: x**0.1, (_near(rng, 1e-8, 1e-4),), RIGHT),
        ("ties/norm near 0", jnp.linalg.norm, (1e-7 * rng.normal(size=4),), RIGHT),
        ("ties/std of nearly constant", jnp.std, (1.0 + 1e-6 * rng.normal(size=6),), RIGHT),
        (
            "ties/huber",
            lambda x: jnp.where(jnp.abs(x) < 1, x * x / 2, jnp.abs(x) - 0.5),
            (np.array([1 - 1e-6, 1.0]),),
            RIGHT,
        ),
        (
            "ties/interp",
            lambda x: jnp.interp(x, np.arange(4.0), np.array([0.0, 1, 0, 2])),
            (np.array([1e-6, 1.99999]),),
            RIGHT,
        ),
    ]


def _kinks(rng: Generator) -> list[Row]:
    zeros, equal = np.zeros(3), np.full(4, rng.normal())
    point = np.array([0.0, rng.normal(), 0.0])
    return [
        ("kinks/relu", nn.relu, (point,), CONVENTION),
        ("kinks/leaky_relu", nn.leaky_relu, (point,), CONVENTION),
        ("kinks/abs", jnp.abs, (point,), CONVENTION),
        ("kinks/sign", jnp.sign, (point,), CONVENTION),
        ("kinks/clip", lambda x: jnp.clip(x, 0.0, 1.0), (np.array([0.0, 1.0, 0.5]),), CONVENTION),
        ("kinks/maximum", lambda x: jnp.maximum(x, 0.0), (point,), CONVENTION),
        ("kinks/max", jnp.max, (equal,), CONVENTION),
        ("kinks/min", jnp.min, (equal,), CONVENTION),
        ("kinks/sort", jnp.sort, (equal,), CONVENTION),
        ("kinks/median", jnp.median, (equal,), CONVENTION),
        ("kinks/relu6", nn.relu6, (np.array([0.0, 6.0]),), CONVENTION),
        ("kinks/hard_tanh", nn.hard_tanh, (np.array([-1.0, 1.0]),), CONVENTION),
        ("kinks/floor", jnp.floor, (np.array([2.0, 0.5]),), CONVENTION),
        ("kinks/norm", jnp.linalg.norm, (zeros,), CONVENTION),
        ("kinks/std", jnp.std, (equal,), CONVENTION),
        ("kinks/sqrt", jnp.sqrt, (np.array([0.0, 1.0]),), CONVENTION),
        ("kinks/hypot", jnp.hypot, (zeros, zeros), CONVENTION),
        ("kinks/arctan2", jnp.arctan2, (zeros, zeros), CONVENTION),
        ("kinks/log", jnp.log, (np.array([0.0, 1.0]),), CONVENTION),
        ("kinks/xlogx", lambda x: special.xlogy(x, x), (np.array([0.0, 1.0]),), CONVENTION),
        ("kinks/power", lambda x: x**x, (np.array([0.0, 1.3]),), CONVENTION),
        ("kinks/cbrt", jnp.cbrt, (np.array([0.0, 1.0]),), CONVENTION),
        ("kinks/where log", lambda x: jnp.where(x > 0, jnp.log(x), 0.0), (np.array([0.0, 1.0]),), CONVENTION),
        ("kinks/arccos", jnp.arccos, (np.array([1.0, 0.2]),), CONVENTION),
        ("kinks/nuclear norm", lambda x: jnp.linalg.norm(x, "nuc"), (np.diag([1.0, 2.0, 0.0]),), CONVENTION),
        ("kinks/eigvalsh", jnp.linalg.eigvalsh, (np.eye(3),), CONVENTION),
        ("kinks/svd", lambda x: jnp.linalg.svd(x, compute_uv=False), (np.eye(3),), CONVENTION),
        ("kinks/eigh of symmetric", lambda x: jnp.linalg.eigh(x)[0], (_symmetric(rng, 4),), CONVENTION),
        ("kinks/cholesky of symmetric", jnp.linalg.cholesky, (_symmetric(rng, 4),), CONVENTION),
        ("kinks/logaddexp of equal", jnp.logaddexp, (equal, equal), RIGHT),
        ("kinks/softmax of equal", nn.softmax, (equal,), RIGHT),
        ("kinks/elu at 0", nn.elu, (point,), RIGHT),
        ("kinks/softplus at 0", nn.softplus, (point,), RIGHT),
        ("kinks/log_sigmoid at 0", nn.log_sigmoid, (point,), RIGHT),
        ("kinks/product with zeros", jnp.prod, (np.array([0.0, 3.0, 0.0, 4.0]),), RIGHT),
        ("kinks/cumprod with a zero", jnp.cumprod, (np.array([0.0, 3.0, 4.0]),), RIGHT),
        ("kinks/x abs x", lambda x: x * jnp.abs(x), (point,), RIGHT),
        ("kinks/sinc at 0", jnp.sinc, (point,), RIGHT),
        ("kinks/square at 0", jnp.square, (point,), RIGHT),
        ("kinks/integer power at 0", lambda x: x**3, (point,), RIGHT),
        ("kinks/det of singular", jnp.linalg.det, (np.diag([1.0, 2.0, 0.0]),), RIGHT),
        ("kinks/double where", _double_where, (np.array([0.0, -1.0, 2.0]),), CONVENTION),
        ("kinks/stationary", lambda x: jnp.sum((x - 1.0) ** 2), (np.ones(4),), RIGHT),
    ]


def _double_where(x: Any) -> Any:
    return jnp.where(x > 0, jnp.sqrt(jnp.where(x > 0, x, 1.0)), 0.0)


def _precision(rng: Generator) -> list[Row]:
    functions: dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...]]] = {
        "sin": (jnp.sin, (rng.normal(size=12),)),
        "exp": (jnp.exp, (rng.normal(size=12),)),
        "tanh": (jnp.tanh, (rng.normal(size=12),)),
        "softmax": (nn.softmax, (rng.normal(size=12),)),
        "gelu": (nn.gelu, (rng.normal(size=12),)),
        "log_softmax": (lambda x: nn.log_softmax(x, axis=1), (rng.normal(size=(3, 5)),)),
        "matmul": (jnp.matmul, (rng.normal(size=(4, 6)), rng.normal(size=(6, 3)))),
        "logsumexp": (nn.logsumexp, (rng.normal(size=12),)),
        "standardize": (nn.standardize, (rng.normal(size=12),)),
        "squares": (lambda x: jnp.sum(x * x), (rng.normal(size=60),)),
        "attention": (_attention, tuple(rng.normal(size=(4, 3)) for _ in range(3))),
        "norm": (jnp.linalg.norm, (rng.normal(size=12),)),
        "convolve": (jnp.convolve, (rng.normal(size=10), rng.normal(size=4))),
        "rsqrt": (lax.rsqrt, (rng.uniform(0.5, 3, size=12),)),
        "cumsum": (jnp.cumsum, (rng.normal(size=12),)),
        "relu": (nn.relu, (rng.choice([-1.0, 1.0], 12) * rng.uniform(0.2, 2, 12),)),
        "mean": (jnp.mean, (rng.normal(size=12),)),
        "sigmoid tail": (nn.sigmoid, (_near(rng, 12.0, -14.0),)),
    }
    wide = {
        "inv": (jnp.linalg.inv, (_square(rng, 4),)),
        "svd": (lambda x: jnp.linalg.svd(x, compute_uv=False), (_square(rng, 4),)),
        "rfft": (lambda x: jnp.abs(jnp.fft.rfft(x)) ** 2, (rng.normal(size=12),)),
        "erfinv": (special.erfinv, (rng.uniform(-0.9, 0.9, size=12),)),
        "gammaln": (special.gammaln, (rng.uniform(0.5, 4, size=12),)),
        "digamma": (special.digamma, (rng.uniform(0.5, 4, size=12),)),
        "i0e": (special.i0e, (rng.normal(size=12),)),
        "log_ndtr": (special.log_ndtr, (np.array([-9.0, -2.0, 1.0]),)),
        "std around 1000": (jnp.std, (1000 + rng.normal(size=8),)),
    }
    kinds: dict[str, Any] = {"float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}
    rows: list[Row] = []
    for kind, dtype in kinds.items():
        for name, (f, inputs) in {**functions, **(wide if kind == "float32" else {})}.items():
            truth = CONVENTION if name == "sigmoid tail" and kind != "float32" else RIGHT  # 1 - y is rounded away
            rows.append((f"{kind}/{name}", f, tuple(x.astype(dtype) for x in inputs), truth))
    rows.append(("float64/through float32", lambda x: jnp.sin(x.astype(jnp.float32)), (rng.normal(size=6),), RIGHT))
    rows.append(("float64/through bfloat16", lambda x: x.astype(jnp.bfloat16) ** 2, (rng.normal(size=6),), CONVENTION))
    heads = tuple(rng.normal(size=(1, 4, 2, 3)) for _ in range(3))
    rows.append(("float64/attention, softmax in float32", nn.dot_product_attention, heads, RIGHT))
    mixed = (rng.normal(size=4), rng.normal(size=4).astype(np.float32))
    rows.append(("float64/beside float32", lambda x, y: jnp.sin(x) * y, mixed, RIGHT))
    return rows


def _attention(q: Any, k: Any, v: Any) -> Any:
    return nn.softmax(q @ k.T) @ v


def _large(rng: Generator) -> list[Row]:
    x = rng.normal(size=100_000)
    return [
        ("large/sum of squares", lambda x: jnp.sum(x * x), (x,), RIGHT),
        ("large/mean", jnp.mean, (x,), RIGHT),
        ("large/logsumexp", nn.logsumexp, (x,), RIGHT),
        ("large/norm", jnp.linalg.norm, (x,), RIGHT),
        ("large/std", jnp.std, (x,), RIGHT),
        ("large/elementwise", jnp.sin, (x[:20_000],), RIGHT),
        ("large/max", jnp.max, (x[:3_000],), RIGHT),
        ("large/float32 sum of squares", lambda x: jnp.sum(x * x), (x.astype(np.float32),), RIGHT),
        ("large/float32 logsumexp", nn.logsumexp, (x.astype(np.float32),), RIGHT),
        ("large/float32 mean", jnp.mean, (x.astype(np.float32),), RIGHT),
        ("large/float32 mean of cosines", lambda x: jnp.mean(jnp.cos(x)), (x.astype(np.float32),), RIGHT),
    ]


def _flow(rng: Generator) -> list[Row]:
    x = rng.uniform(0.5, 2.0, size=6)
    return [
        ("flow/while_loop", _square_root, (x,), RIGHT),
        ("flow/while_loop until converged", _converge, (x,), RIGHT),
        ("flow/scan", lambda x: lax.scan(lambda h, v: (jnp.sin(h + v), h * v), 0.1, x), (x,), RIGHT),
        ("flow/long scan", lambda x: lax.scan(lambda h, _: (0.9 * jnp.sin(h), None), x, None, 500)[0], (x,), RIGHT),
        (
            "flow/chaotic scan",
            lambda x: lax.scan(lambda h, _: (3.9 * h * (1 - h), None), x / 4, None, 20)[0],
            (x,),
            RIGHT,
        ),
        ("flow/cond", lambda x: lax.cond(x[0] > 0.1, jnp.sin, jnp.cos, x), (x,), RIGHT),
        ("flow/cond per row", jax.vmap(lambda v: lax.cond(v > 1.0, jnp.sin, jnp.exp, v)), (x + 0.01,), RIGHT),
        ("flow/python branch", lambda x: jnp.sin(x) if x[0] > 0 else jnp.exp(x), (x,), RIGHT),
        ("flow/steps from the values", _steps_from_values, (x,), RIGHT),
        ("flow/fori_loop", lambda x: lax.fori_loop(0, 9, lambda i, h: h + x / (i + 1.0), x), (x,), RIGHT),
        ("flow/switch", lambda x: lax.switch(jnp.int32(x[0]), [jnp.sin, jnp.cos, jnp.exp], x), (x + 0.001,), RIGHT),
        ("flow/associative_scan", lambda x: lax.associative_scan(lambda a, b: a * b + b, x), (x,), RIGHT),
    ]


def _square_root(x: Any) -> Any:
    return lax.while_loop(lambda s: s[0] < 8, lambda s: (s[0] + 1, (s[1] + x / s[1]) / 2), (0, jnp.ones_like(x)))[1]


def _converge(x: Any) -> Any:
    def more(state: Any) -> Any:
        return jnp.max(jnp.abs(state[0] - state[1])) > 1e-13

    return lax.while_loop(more, lambda s: (jnp.cos(s[0]) * x / 3, s[0]), (x, x + 1))[0]


def _steps_from_values(x: Any) -> Any:
    return lax.while_loop(lambda h: jnp.max(h) < 50.0, lambda h: h * 1.7 + x, x)


@jax.custom_vjp
def _own_vjp(x: Any) -> Any:
    return jnp.log1p(jnp.exp(x))


_own_vjp.defvjp(lambda x: (_own_vjp(x), x), lambda x, g: (g * nn.sigmoid(x),))


@jax.custom_jvp
def _own_jvp(x: Any, y: Any) -> Any:
    return jnp.sin(x) * y


_own_jvp.defjvp(lambda p, t: (_own_jvp(*p), jnp.cos(p[0]) * p[1] * t[0] + jnp.sin(p[0]) * t[1]))


def _in_numpy(x: Any) -> Any:
    return jax.pure_callback(np.sin, jax.ShapeDtypeStruct(x.shape, x.dtype), x, vmap_method="expand_dims")


_callback = jax.custom_vjp(_in_numpy)
_callback.defvjp(lambda x: (_in_numpy(x), x), lambda x, g: (g * jnp.cos(x),))


def _rules(rng: Generator) -> list[Row]:
    x, y = rng.normal(size=6), rng.normal(size=6)
    return [
        ("rules/custom_vjp", _own_vjp, (x,), RIGHT),
        ("rules/custom_vjp under jit", jax.jit(_own_vjp), (x,), RIGHT),
        ("rules/custom_vjp under vmap", jax.vmap(_own_vjp), (x,), RIGHT),
        ("rules/custom_jvp", _own_jvp, (x, y), RIGHT),
        ("rules/custom_jvp under jit", jax.jit(_own_jvp), (x, y), RIGHT),
        ("rules/callback", _callback, (x,), RIGHT),
        ("rules/checkpoint", jax.checkpoint(lambda x: jnp.sin(jnp.sin(x))), (x,), RIGHT),
        ("rules/stop_gradient of what cancels", lambda x: x - lax.stop_gradient(x * 0) + jnp.cos(x), (x,), RIGHT),
        ("rules/stabilised by stop_gradient", _stable, (x,), RIGHT),
        ("rules/unused input", lambda x, y: jnp.sin(x) + 0 * y, (x, y), RIGHT),
        ("rules/unconnected input", lambda x, y: jnp.sin(x) if len(y) else x, (x, y), RIGHT),
        ("rules/constant output", lambda x: (jnp.sin(x), jnp.ones(3, x.dtype)), (x,), RIGHT),
        ("rules/integer output", lambda x: (jnp.sin(x), jnp.argmax(x)), (x,), RIGHT),
        ("rules/linear", lambda x: 3.0 * x + 1.0, (x,), RIGHT),
        ("rules/normal samples", lambda m: m + m**2 * jax.random.normal(jax.random.key(1), m.shape), (x,), RIGHT),
        ("rules/gradient", jax.grad(lambda x: jnp.prod(jnp.sin(x))), (x,), RIGHT),
        ("rules/hessian-vector", lambda x, v: jax.jvp(jax.grad(lambda z: jnp.sum(z**4)), (x,), (v,))[1], (x, y), RIGHT),
        ("rules/jacfwd of jacrev", jax.jacfwd(jax.jacrev(lambda x: jnp.sum(jnp.sin(x[:3]) ** 2))), (x,), RIGHT),
        ("rules/conjugate gradients", _conjugate_gradients, (x,), RIGHT),
    ]


def _stable(x: Any) -> Any:
    top = lax.stop_gradient(jnp.max(x))
    return top + jnp.log(jnp.sum(jnp.exp(x - top)))


def _conjugate_gradients(x: Any) -> Any:
    matrix = jnp.diag(2.0 + x**2) + 0.1
    return jax.scipy.sparse.linalg.cg(matrix, jnp.cos(x), tol=1e-14)[0]


def _network(p: Any, x: Any) -> Any:
    h = jnp.tanh(x @ p["first"]["w"] + p["first"]["b"])
    return {"y": h @ p["second"][0], "size": jnp.sum(h * h)}


def _structures(rng: Generator) -> list[Row]:
    weights = {"first": {"w": rng.normal(size=(3, 4)), "b": rng.normal(size=4)}, "second": [rng.normal(size=(4, 2))]}
    z = rng.normal(size=5) + 1j * rng.normal(size=5)
    x = rng.normal(size=(2, 3))
    return [
        ("structures/network", _network, (weights, x), RIGHT),
        ("structures/jit of network", jax.jit(_network), (weights, x), RIGHT),
        ("structures/vmap of network", jax.vmap(_network, (None, 0)), (weights, x), RIGHT),
        ("structures/tuple", lambda p: (p[0] * p[1], {"s": jnp.sum(p[0])}), ((x, x + 1),), RIGHT),
        ("structures/none", lambda p: p["a"] ** 2, ({"a": x, "b": None},), RIGHT),
        ("structures/integers", lambda p, i: p[i], (rng.normal(size=6), np.array([1, 1, 4])), RIGHT),
        ("structures/scalar", lambda x: jnp.sin(x), (np.asarray(rng.normal()),), RIGHT),
        ("structures/complex exp", jnp.exp, (z,), RIGHT),
        ("structures/complex abs", jnp.abs, (z,), RIGHT),
        ("structures/complex conj", lambda z: jnp.conj(z) * z**2, (z,), RIGHT),
        ("structures/complex log", jnp.log, (z,), RIGHT),
        ("structures/complex sqrt", jnp.sqrt, (z,), RIGHT),
        ("structures/complex tanh", jnp.tanh, (z,), RIGHT),
        ("structures/complex power", lambda z: z ** (1.5 + 0.5j), (z,), RIGHT),
        ("structures/complex angle", jnp.angle, (z,), RIGHT),
        ("structures/complex fft", jnp.fft.fft, (z,), RIGHT),
        ("structures/complex norm", jnp.linalg.norm, (z,), RIGHT),
        ("structures/complex solve", jnp.linalg.solve, (_square(rng, 3) + 1j * _square(rng, 3), z[:3]), RIGHT),
        ("structures/complex eigvals", jnp.linalg.eigvals, (_square(rng, 3) + 0.3j * _square(rng, 3),), RIGHT),
        ("structures/complex det", jnp.linalg.det, (_square(rng, 3) + 1j * _square(rng, 3),), RIGHT),
        ("structures/real of complex", lambda z: jnp.real(z * jnp.exp(z)), (z,), RIGHT),
        ("structures/complex64", jnp.sin, (z.astype(np.complex64),), RIGHT),
    ]


def _square(rng: Generator, n: int) -> np.ndarray:
    return rng.normal(size=(n, n)) / 2 + 2 * np.diag(np.arange(1.0, n + 1))


def _symmetric(rng: Generator, n: int) -> np.ndarray:
    matrix = rng.normal(size=(n, n)) / 3
    return matrix + matrix.T + 3 * np.diag(np.arange(1.0, n + 1))
