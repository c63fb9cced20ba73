"""Losses with their parameters, normalisation, and functions that select, scatter and accumulate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tensorflow as tf
import torch

from common.function import Common, normal, numbered, positive, vector

F, M, K = torch.nn.functional, tf.math, tf.keras

LOGITS = normal(3, 4)
LABELS = np.array([0, 3, 1])
HOT = np.eye(4)[LABELS]
WEIGHTS = np.array([1.0, 0.5, 2.0, 3.0])
GIVEN, TARGET = vector(0.2, 0.7, 0.9), vector(0.0, 1.0, 0.6)


def _weighted(x: Any) -> Any:
    logs = jax.nn.log_softmax(x)[jnp.arange(3), LABELS]
    return -jnp.sum(WEIGHTS[LABELS] * logs) / jnp.sum(WEIGHTS[LABELS])


def _weighted_in_tensorflow(x: Any) -> Any:
    weights = tf.constant(WEIGHTS[LABELS], x.dtype)
    each = tf.nn.sparse_softmax_cross_entropy_with_logits(LABELS, x)
    return tf.reduce_sum(weights * each) / tf.reduce_sum(weights)


LOSSES: dict[str, tuple[Any, dict[str, Any]]] = {
    "cross-entropy, summed": (
        (
            lambda x: F.cross_entropy(x, torch.tensor(LABELS), reduction="sum"),
            lambda x: -jnp.sum(jax.nn.log_softmax(x) * HOT),
            lambda x: tf.reduce_sum(tf.nn.softmax_cross_entropy_with_logits(tf.constant(HOT, x.dtype), x)),
        ),
        {"ordinary": LOGITS},
    ),
    "cross-entropy, each": (
        (
            lambda x: F.cross_entropy(x, torch.tensor(LABELS), reduction="none"),
            lambda x: -jnp.sum(jax.nn.log_softmax(x) * HOT, -1),
            lambda x: tf.nn.sparse_softmax_cross_entropy_with_logits(LABELS, x),
        ),
        {"ordinary": LOGITS},
    ),
    "cross-entropy with smoothed labels": (
        (
            lambda x: F.cross_entropy(x, torch.tensor(LABELS), label_smoothing=0.1),
            lambda x: -jnp.mean(jnp.sum(jax.nn.log_softmax(x) * (0.9 * HOT + 0.025), -1)),
            lambda x: tf.reduce_mean(
                K.losses.categorical_crossentropy(tf.constant(HOT, x.dtype), x, True, label_smoothing=0.1)
            ),
        ),
        {"ordinary": LOGITS},
    ),
    "cross-entropy with weights of classes": (
        (
            lambda x: F.cross_entropy(x, torch.tensor(LABELS), torch.tensor(WEIGHTS, dtype=x.dtype)),
            _weighted,
            _weighted_in_tensorflow,
        ),
        {"ordinary": LOGITS},
    ),
    "binary cross-entropy of probabilities": (
        (
            lambda x: F.binary_cross_entropy(x, torch.tensor(TARGET, dtype=x.dtype)),
            lambda x: -jnp.mean(jax.scipy.special.xlogy(TARGET, x) + jax.scipy.special.xlog1py(1 - TARGET, -x)),
            lambda x: (
                -tf.reduce_mean(
                    M.xlogy(tf.constant(TARGET, x.dtype), x) + M.xlog1py(tf.constant(1 - TARGET, x.dtype), -x)
                )
            ),
        ),
        {"ordinary": GIVEN},
    ),
    "binary cross-entropy with a weight of positives": (
        (
            lambda x: F.binary_cross_entropy_with_logits(
                x, torch.tensor(TARGET, dtype=x.dtype), pos_weight=torch.tensor(3.0, dtype=x.dtype)
            ),
            lambda x: -jnp.mean(3 * TARGET * jax.nn.log_sigmoid(x) + (1 - TARGET) * jax.nn.log_sigmoid(-x)),
            lambda x: tf.reduce_mean(
                tf.nn.weighted_cross_entropy_with_logits(tf.constant(TARGET, x.dtype), x, tf.constant(3.0, x.dtype))
            ),
        ),
        {"ordinary": vector(-1.3, 0.4, 2.2), "kink": vector(0.0, 0.4, 2.2)},
    ),
    "Huber loss with delta 1/2": (
        (
            lambda x: F.huber_loss(x, torch.zeros_like(x), delta=0.5),
            lambda x: jnp.mean(jnp.where(jnp.abs(x) <= 0.5, x * x / 2, 0.5 * (jnp.abs(x) - 0.25))),
            lambda x: K.losses.huber(tf.zeros_like(x), x, 0.5),
        ),
        {"ordinary": vector(-1.3, 0.4, 2.2), "kink": vector(0.5, 1.0)},
    ),
    "hinge loss": (
        (
            lambda x: F.multi_margin_loss(x, torch.tensor(LABELS)),
            lambda x: jnp.sum(jnp.maximum(0, 1 - x[jnp.arange(3), LABELS][:, None] + x) * (1 - HOT)) / 12,
            lambda x: (
                tf.reduce_sum(
                    tf.nn.relu(1 - tf.gather(x, LABELS, axis=1, batch_dims=1)[:, None] + x)
                    * tf.constant(1 - HOT, x.dtype)
                )
                / 12
            ),
        ),
        {"ordinary": LOGITS},
    ),
    "Poisson loss": (
        (
            lambda x, t: F.poisson_nll_loss(x, t),
            lambda x, t: jnp.mean(jnp.exp(x) - t * x),
            lambda x, t: tf.reduce_mean(tf.nn.log_poisson_loss(t, x)),
        ),
        {"ordinary": (vector(-1.3, 0.4, 2.2), positive(3))},
    ),
    "log-cosh loss": (
        (
            lambda x: (x + F.softplus(-2 * x) - np.log(2.0)).mean(),
            lambda x: jnp.mean(jnp.logaddexp(x, -x) - np.log(2.0)),
            lambda x: K.losses.LogCosh(dtype=x.dtype.name)(tf.zeros_like(x), x),
        ),
        {"ordinary": vector(-1.3, 0.4, 2.2), "kink": vector(0.0, 0.0)},
    ),
    "group normalisation": (
        (
            lambda x: F.group_norm(x, 2, eps=1e-5),
            lambda x: jax.nn.standardize(x.reshape(2, 2, -1), epsilon=1e-5).reshape(x.shape),
            lambda x: tf.reshape(
                tf.nn.batch_normalization(
                    tf.reshape(x, (2, 2, -1)),
                    *tf.nn.moments(tf.reshape(x, (2, 2, -1)), -1, keepdims=True),
                    None,
                    None,
                    1e-5,
                ),
                x.shape,
            ),
        ),
        {"ordinary": normal(2, 4, 3)},
    ),
    "normalisation by the root mean square": (
        (
            lambda x, w: F.rms_norm(x, (4,), w, eps=1e-6),
            lambda x, w: x * jax.lax.rsqrt(jnp.mean(x**2, -1, keepdims=True) + 1e-6) * w,
            lambda x, w: x * M.rsqrt(tf.reduce_mean(x**2, -1, keepdims=True) + 1e-6) * w,
        ),
        {"ordinary": (LOGITS, WEIGHTS), "kink": (np.zeros((1, 4)), WEIGHTS)},
    ),
    "local response normalisation": (
        (
            lambda x: F.local_response_norm(x[..., None], 3, alpha=3.0, beta=0.75, k=1.0)[..., 0],
            lambda x: x * (1 + sum(jnp.pad(x**2, ((0, 0), (1, 1)))[:, i : i + 4] for i in range(3))) ** -0.75,
            lambda x: tf.nn.local_response_normalization(x[:, None, None], 1, 1.0, 1.0, 0.75)[:, 0, 0],
        ),
        {"ordinary": LOGITS.astype(np.float32)},
    ),
}

X, NEW = normal(4, 3), normal(2, 3, seed=1)
ROWS = np.array([2, 0])
Z = normal(6) + 1j * normal(6, seed=1)
SELECTED: dict[str, tuple[Any, dict[str, Any]]] = {
    "scatter": (
        (
            lambda x, u: x.index_copy(0, torch.tensor(ROWS), u),
            lambda x, u: x.at[ROWS].set(u),
            lambda x, u: tf.tensor_scatter_nd_update(x, ROWS[:, None], u),
        ),
        {"ordinary": (X, NEW)},
    ),
    "scatter by adding": (
        (
            lambda x, u: x.index_add(0, torch.tensor([2, 2]), u),
            lambda x, u: x.at[jnp.array([2, 2])].add(u),
            lambda x, u: tf.tensor_scatter_nd_add(x, [[2], [2]], u),
        ),
        {"ordinary": (X, NEW)},
    ),
    "scatter by the maximum": (
        (
            lambda x, u: x.index_reduce(0, torch.tensor(ROWS), u, "amax"),
            lambda x, u: x.at[ROWS].max(u),
            lambda x, u: tf.tensor_scatter_nd_max(x, ROWS[:, None], u),
        ),
        {"ordinary": (X, NEW), "kink": (np.ones((3, 1)), np.ones((2, 1)))},
    ),
    "take along an axis": (
        (
            lambda x: torch.take_along_dim(x, torch.argsort(x, 0), 0),
            lambda x: jnp.take_along_axis(x, jnp.argsort(x, 0), 0),
            lambda x: tf.transpose(tf.gather(tf.transpose(x), tf.argsort(tf.transpose(x)), batch_dims=1, axis=1)),
        ),
        {"ordinary": X},
    ),
    "product by segment": (
        (
            lambda x: torch.stack((x[[0, 2, 3]].prod(0), x[1])),
            lambda x: jax.ops.segment_prod(x, jnp.array([0, 1, 0, 0]), 2),
            lambda x: M.unsorted_segment_prod(x, [0, 1, 0, 0], 2),
        ),
        {"ordinary": X, "kink": vector(0.0, 2.0, 3.0, 4.0)[:, None]},
    ),
    "mean by segment": (
        (
            lambda x: torch.stack((x[[0, 2, 3]].mean(0), x[1])),
            lambda x: jax.ops.segment_sum(x, jnp.array([0, 1, 0, 0]), 2) / np.array([[3.0], [1.0]]),
            lambda x: M.unsorted_segment_mean(x, [0, 1, 0, 0], 2),
        ),
        {"ordinary": X},
    ),
    "cumulative maximum": (
        (
            lambda x: torch.cummax(x, 0).values,
            jax.lax.cummax,
            lambda x: M.reduce_max(
                tf.where(np.tri(x.shape[0], dtype=bool), x[None], tf.constant(-np.inf, x.dtype)), -1
            ),
        ),
        {"ordinary": vector(0.3, -1.0, 0.9, 0.2), "kink": vector(1.0, 1.0, 0.0)},
    ),
    "reversed cumulative sum": (
        (
            lambda x: torch.flip(torch.cumsum(torch.flip(x, (0,)), 0), (0,)),
            lambda x: jax.lax.cumsum(x, reverse=True),
            lambda x: tf.cumsum(x, reverse=True),
        ),
        {"ordinary": X},
    ),
    "inverse fft of half of the frequencies": (
        (
            lambda z: torch.fft.irfft(z, 10),
            lambda z: jnp.fft.irfft(z, 10),
            lambda z: tf.signal.irfft(z, [10]),
        ),
        {"ordinary": Z},
    ),
    "complex fft of real numbers": ((torch.fft.rfft, jnp.fft.rfft, tf.signal.rfft), {"ordinary": normal(7)}),
    "fft of real images": ((torch.fft.rfft2, jnp.fft.rfft2, tf.signal.rfft2d), {"ordinary": normal(3, 4)}),
    "fft in three dimensions": (
        (torch.fft.fftn, jnp.fft.fftn, tf.signal.fft3d),
        {"ordinary": normal(2, 2, 3) + 1j * normal(2, 2, 3, seed=1)},
    ),
    "shifted frequencies": (
        (
            lambda z: torch.fft.fftshift(torch.fft.fft(z)),
            lambda z: jnp.fft.fftshift(jnp.fft.fft(z)),
            lambda z: tf.signal.fftshift(tf.signal.fft(z)),
        ),
        {"ordinary": Z},
    ),
    "angle": (
        (torch.angle, jnp.angle, M.angle),
        {"ordinary": vector(1.0, -2.0) + 1j * vector(0.3, -1.0), "kink": vector(0.0) + 0j},
    ),
    "einsum of three": (
        tuple(lambda x, y, z, e=e: e("bij,jk,bk->bi", x, y, z) for e in (torch.einsum, jnp.einsum, tf.einsum)),
        {"ordinary": (normal(2, 3, 2), normal(2, 4, seed=1), normal(2, 4, seed=2))},
    ),
    "matmul of complex numbers": (
        (torch.matmul, jnp.matmul, tf.matmul),
        {"ordinary": (normal(2, 2) + 1j * normal(2, 2, seed=1), normal(2, 2, seed=2) + 1j * normal(2, 2, seed=3))},
    ),
}


def losses() -> Iterator[Common]:
    """Yield them all."""
    for name, (functions, points) in (LOSSES | SELECTED).items():
        yield Common(name, dict(zip(("torch", "jax", "tensorflow"), functions, strict=True)), numbered(**points))
