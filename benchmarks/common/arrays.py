"""Functions of arrays: of two numbers, reductions, selections, and shapes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import tensorflow as tf
import torch

from common.function import Common, normal, numbered, positive, vector

F, M, K = torch.nn.functional, tf.math, tf.experimental.numpy

A, B = vector(-1.3, 0.4, 2.2), vector(0.7, 1.9, -0.6)
P, Q = positive(3), positive(3, seed=1)
TIE = (vector(1.0, 2.0), vector(1.0, 0.5))
Z = vector(0.0)

TWO: dict[str, tuple[Any, dict[str, Any]]] = {
    "multiply": ((torch.mul, jnp.multiply, tf.multiply), {"ordinary": (A, B), "kink": (Z, Z)}),
    "divide": ((torch.div, jnp.divide, tf.divide), {"ordinary": (A, B), "tail": (vector(1.0), vector(1e-150))}),
    "pow": ((torch.pow, jnp.power, tf.pow), {"ordinary": (P, B), "kink": [(Z, vector(2.0)), (Z, Z), (Z, vector(1.0))]}),
    "atan2": (
        (torch.atan2, jnp.arctan2, tf.atan2),
        {"ordinary": (A, B), "kink": (Z, Z), "tail": (vector(1e-200), vector(1.0))},
    ),
    "hypot": ((torch.hypot, jnp.hypot, K.hypot), {"ordinary": (A, B), "kink": (Z, Z)}),
    "maximum": ((torch.maximum, jnp.maximum, tf.maximum), {"ordinary": (A, B), "kink": TIE}),
    "minimum": ((torch.minimum, jnp.minimum, tf.minimum), {"ordinary": (A, B), "kink": TIE}),
    "logaddexp": (
        (torch.logaddexp, jnp.logaddexp, K.logaddexp),
        {"ordinary": (A, B), "kink": TIE, "tail": (vector(-50.0), vector(0.0))},
    ),
    "squared difference": (
        (lambda x, y: (x - y) ** 2, lambda x, y: (x - y) ** 2, M.squared_difference),
        {"ordinary": (A, B)},
    ),
    "remainder": (
        (torch.remainder, jnp.remainder, M.floormod),
        {"ordinary": (A, P), "kink": (vector(2.0), vector(1.0))},
    ),
    "where of a log": (
        (
            lambda x: torch.where(x > 0, torch.log(x), torch.zeros_like(x)),
            lambda x: jnp.where(x > 0, jnp.log(x), 0.0),
            lambda x: tf.where(x > 0, M.log(x), tf.zeros_like(x)),
        ),
        {"ordinary": P, "kink": Z},
    ),
}

X = normal(3, 4)
REDUCTIONS: dict[str, tuple[Any, dict[str, Any]]] = {
    "sum": ((torch.sum, jnp.sum, tf.reduce_sum), {"ordinary": X}),
    "mean": ((torch.mean, jnp.mean, tf.reduce_mean), {"ordinary": X}),
    "prod": (
        (torch.prod, jnp.prod, tf.reduce_prod),
        {"ordinary": A, "kink": [vector(0.0, 3.0, 4.0), vector(0.0, 0.0, 4.0)]},
    ),
    "amax": ((torch.amax, jnp.max, tf.reduce_max), {"ordinary": A, "kink": vector(2.0, 2.0, 1.0)}),
    "amin": ((torch.amin, jnp.min, tf.reduce_min), {"ordinary": A, "kink": vector(1.0, 2.0, 1.0)}),
    "variance": (
        (lambda x: torch.var(x, correction=0), jnp.var, M.reduce_variance),
        {"ordinary": A, "kink": vector(1.0, 1.0)},
    ),
    "standard deviation": (
        (lambda x: torch.std(x, correction=0), jnp.std, M.reduce_std),
        {"ordinary": A, "kink": vector(1.0, 1.0, 1.0)},
    ),
    "Euclidean norm": (
        (torch.linalg.norm, jnp.linalg.norm, tf.norm),
        {"ordinary": A, "kink": vector(0.0, 0.0), "tail": vector(1e-170, 1e-170)},
    ),
    "1-norm": (
        (lambda x: torch.linalg.norm(x, 1), lambda x: jnp.linalg.norm(x, 1), lambda x: tf.norm(x, 1)),
        {"ordinary": A, "kink": vector(0.0, 1.0)},
    ),
    "largest-number norm": (
        (
            lambda x: torch.linalg.norm(x, torch.inf),
            lambda x: jnp.linalg.norm(x, jnp.inf),
            lambda x: tf.norm(x, float("inf")),
        ),
        {"ordinary": A, "kink": vector(1.0, -1.0)},
    ),
    "logsumexp": (
        (lambda x: torch.logsumexp(x, 0), jax.nn.logsumexp, tf.reduce_logsumexp),
        {"ordinary": A, "kink": vector(1.0, 1.0), "tail": [vector(0.0, -50.0), vector(1000.0, 999.0)]},
    ),
    "softmax": (
        (lambda x: torch.softmax(x, -1), jax.nn.softmax, tf.nn.softmax),
        {"ordinary": A, "tail": vector(0.0, -40.0)},
    ),
    "log_softmax": (
        (lambda x: torch.log_softmax(x, -1), jax.nn.log_softmax, tf.nn.log_softmax),
        {"ordinary": A, "tail": vector(0.0, -40.0)},
    ),
    "cumsum": ((lambda x: torch.cumsum(x, 0), jnp.cumsum, tf.cumsum), {"ordinary": A}),
    "cumprod": (
        (lambda x: torch.cumprod(x, 0), jnp.cumprod, M.cumprod),
        {"ordinary": A, "kink": [vector(0.0, 3.0, 4.0), vector(2.0, 0.0, 0.0)]},
    ),
    "cumulative logsumexp": (
        (lambda x: torch.logcumsumexp(x, 0), jax.lax.cumlogsumexp, M.cumulative_logsumexp),
        {"ordinary": A, "tail": vector(0.0, -30.0, -60.0)},
    ),
    "sort": ((lambda x: torch.sort(x).values, jnp.sort, tf.sort), {"ordinary": A, "kink": vector(1.0, 1.0, 0.0)}),
    "top two": (
        (lambda x: torch.topk(x, 2).values, lambda x: jax.lax.top_k(x, 2)[0], lambda x: M.top_k(x, 2)[0]),
        {"ordinary": A, "kink": vector(1.0, 1.0, 1.0)},
    ),
    "median of three": (
        (torch.median, jnp.median, lambda x: tf.sort(x)[1]),
        {"ordinary": A, "kink": vector(1.0, 1.0, 3.0)},
    ),
    "normalise": (
        (
            lambda x: F.normalize(x, dim=0),
            lambda x: x / jnp.maximum(jnp.linalg.norm(x), 1e-12),
            lambda x: M.l2_normalize(x, epsilon=1e-24),
        ),
        {"ordinary": A, "kink": vector(0.0, 0.0)},
    ),
    "cosine similarity": (
        (
            lambda x, y: F.cosine_similarity(x, y, dim=0),
            lambda x, y: x @ y / (jnp.linalg.norm(x) * jnp.linalg.norm(y)),
            lambda x, y: tf.reduce_sum(M.l2_normalize(x) * M.l2_normalize(y)),
        ),
        {"ordinary": (A, B)},
    ),
}

T = normal(2, 3, 4)
SHAPES: dict[str, tuple[Any, dict[str, Any]]] = {
    "transpose": (
        (lambda x: x.permute(2, 0, 1), lambda x: x.transpose(2, 0, 1), lambda x: tf.transpose(x, (2, 0, 1))),
        {"ordinary": T},
    ),
    "reshape": (
        (lambda x: x.reshape(4, 6), lambda x: x.reshape(4, 6), lambda x: tf.reshape(x, (4, 6))),
        {"ordinary": T},
    ),
    "flip": ((lambda x: torch.flip(x, (1,)), lambda x: jnp.flip(x, 1), lambda x: tf.reverse(x, (1,))), {"ordinary": T}),
    "roll": ((lambda x: torch.roll(x, 2, 0), lambda x: jnp.roll(x, 2, 0), lambda x: tf.roll(x, 2, 0)), {"ordinary": X}),
    "tile": ((lambda x: x.tile(2, 3), lambda x: jnp.tile(x, (2, 3)), lambda x: tf.tile(x, (2, 3))), {"ordinary": X}),
    "concatenate": (
        (lambda x, y: torch.cat((x, y)), lambda x, y: jnp.concatenate((x, y)), lambda x, y: tf.concat((x, y), 0)),
        {"ordinary": (A, B)},
    ),
    "stack": (
        (lambda x, y: torch.stack((x, y), 1), lambda x, y: jnp.stack((x, y), 1), lambda x, y: tf.stack((x, y), 1)),
        {"ordinary": (A, B)},
    ),
    "pad": (
        (lambda x: F.pad(x, (1, 2)), lambda x: jnp.pad(x, (1, 2)), lambda x: tf.pad(x, ((1, 2),))),
        {"ordinary": A},
    ),
    "pad by reflection": (
        (
            lambda x: F.pad(x[None], (1, 2), mode="reflect")[0],
            lambda x: jnp.pad(x, (1, 2), mode="reflect"),
            lambda x: tf.pad(x, ((1, 2),), mode="REFLECT"),
        ),
        {"ordinary": A},
    ),
    "gather": (
        (
            lambda x: x[torch.tensor([2, 0, 2])],
            lambda x: x[jnp.array([2, 0, 2])],
            lambda x: tf.gather(x, [2, 0, 2]),
        ),
        {"ordinary": X},
    ),
    "sum by segment": (
        (
            lambda x: torch.zeros(2, 4, dtype=x.dtype).index_add(0, torch.tensor([0, 1, 0]), x),
            lambda x: jax.ops.segment_sum(x, jnp.array([0, 1, 0]), 2),
            lambda x: M.unsorted_segment_sum(x, [0, 1, 0], 2),
        ),
        {"ordinary": X},
    ),
    "maximum by segment": (
        (
            lambda x: torch.stack((x[[0, 2]].amax(0), x[1])),
            lambda x: jax.ops.segment_max(x, jnp.array([0, 1, 0]), 2),
            lambda x: M.unsorted_segment_max(x, [0, 1, 0], 2),
        ),
        {"ordinary": X, "kink": vector(1.0, 2.0, 1.0)[:, None]},
    ),
    "diagonal": ((torch.diagonal, jnp.diagonal, tf.linalg.diag_part), {"ordinary": normal(3, 3)}),
    "lower triangle": ((torch.tril, jnp.tril, lambda x: tf.linalg.band_part(x, -1, 0)), {"ordinary": normal(3, 3)}),
}


def arrays() -> Iterator[Common]:
    """Yield them all."""
    for name, (functions, points) in (TWO | REDUCTIONS | SHAPES).items():
        yield Common(name, dict(zip(("torch", "jax", "tensorflow"), functions, strict=True)), numbered(**points))
