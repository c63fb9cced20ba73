"""Linear algebra, Fourier transforms, layers and losses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tensorflow as tf
import torch

import xcheck
from common.function import Common, normal, numbered, positive, symmetric, vector

F, L, JL, TL, M = torch.nn.functional, torch.linalg, jnp.linalg, tf.linalg, tf.math

A, B = normal(3, 3), normal(3, 3, seed=1)
SPD, V = symmetric(3), normal(3)
ONES = np.ones((2, 2))


def lower(a: Any) -> Any:
    """Keep a function's reading of one triangle out of it."""
    return (a + (a.mT if hasattr(a, "mT") else tf.linalg.matrix_transpose(a))) / 2


ALGEBRA: dict[str, tuple[Any, dict[str, Any]]] = {
    "matmul": ((torch.matmul, jnp.matmul, tf.matmul), {"ordinary": (A, B)}),
    "outer": ((torch.outer, jnp.outer, lambda x, y: tf.einsum("i,j->ij", x, y)), {"ordinary": (V, V + 1)}),
    "einsum": (
        tuple(lambda x, y, e=e: e("ij,kj->ik", x, y) for e in (torch.einsum, jnp.einsum, tf.einsum)),
        {"ordinary": (A, B)},
    ),
    "trace": ((torch.trace, jnp.trace, TL.trace), {"ordinary": A}),
    "inverse": ((L.inv, JL.inv, TL.inv), {"ordinary": A, "tail": np.diag([1.0, 1e-8])}),
    "determinant": ((L.det, JL.det, TL.det), {"ordinary": A, "kink": [np.zeros((2, 2)), ONES]}),
    "log determinant": (
        (lambda x: L.slogdet(x)[1], lambda x: JL.slogdet(x)[1], lambda x: TL.slogdet(x)[1]),
        {"ordinary": A},
    ),
    "solve": ((L.solve, JL.solve, lambda a, b: TL.solve(a, b)), {"ordinary": (A, B)}),
    "triangular solve": (
        (
            lambda a, b: L.solve_triangular(a, b, upper=False),
            lambda a, b: jax.scipy.linalg.solve_triangular(a, b, lower=True),
            lambda a, b: TL.triangular_solve(a, b, lower=True),
        ),
        {"ordinary": (np.tril(A) + 3 * np.eye(3), B)},
    ),
    "Cholesky": (
        tuple(lambda x, f=f: f(lower(x)) for f in (L.cholesky, JL.cholesky, TL.cholesky)),
        {"ordinary": SPD},
    ),
    "symmetric eigenvalues": (
        tuple(lambda x, f=f: f(lower(x)) for f in (L.eigvalsh, JL.eigvalsh, TL.eigvalsh)),
        {"ordinary": SPD, "kink": np.eye(2)},
    ),
    "singular values": (
        (L.svdvals, lambda x: JL.svd(x, compute_uv=False), lambda x: TL.svd(x, compute_uv=False)),
        {"ordinary": A, "kink": np.eye(2)},
    ),
    "matrix exponential": (
        (torch.matrix_exp, jax.scipy.linalg.expm, TL.expm),
        {"ordinary": A, "kink": np.zeros((2, 2))},
    ),
    "pseudo-inverse": ((L.pinv, JL.pinv, TL.pinv), {"ordinary": normal(4, 3)}),
    "Frobenius norm": ((L.norm, JL.norm, lambda x: tf.norm(x)), {"ordinary": A, "kink": np.zeros((2, 2))}),
    "nuclear norm": (
        (
            lambda x: L.norm(x, "nuc"),
            lambda x: JL.norm(x, "nuc"),
            lambda x: tf.reduce_sum(TL.svd(x, compute_uv=False)),
        ),
        {"ordinary": A, "kink": ONES},
    ),
    "cross product": ((L.cross, jnp.cross, TL.cross), {"ordinary": (V, V[::-1].copy())}),
    "Kronecker product": (
        (
            torch.kron,
            jnp.kron,
            lambda x, y: tf.reshape(tf.einsum("ij,kl->ikjl", x, y), (9, 9)),
        ),
        {"ordinary": (A, B)},
    ),
}


def power(z: Any) -> Any:
    """Return |z|^2 of complex numbers, in any framework."""
    if isinstance(z, tf.Tensor):
        return tf.math.real(z) ** 2 + tf.math.imag(z) ** 2
    return z.real**2 + z.imag**2


S = normal(8)
FOURIER: dict[str, tuple[Any, dict[str, Any]]] = {
    "fft of real numbers": (
        (
            lambda x: power(torch.fft.rfft(x)),
            lambda x: power(jnp.fft.rfft(x)),
            lambda x: power(tf.signal.rfft(x)),
        ),
        {"ordinary": S},
    ),
    "fft": ((torch.fft.fft, jnp.fft.fft, tf.signal.fft), {"ordinary": S + 1j * S[::-1]}),
    "inverse fft": ((torch.fft.ifft, jnp.fft.ifft, tf.signal.ifft), {"ordinary": S + 1j * S[::-1]}),
    "fft in two dimensions": (
        (torch.fft.fft2, jnp.fft.fft2, tf.signal.fft2d),
        {"ordinary": normal(2, 3) + 1j * normal(2, 3, seed=1)},
    ),
    "complex abs": (
        (torch.abs, jnp.abs, tf.abs),
        {"ordinary": vector(1.0, 2.0) + 1j * vector(0.3, -1.0), "kink": vector(0.0) + 0j},
    ),
    "complex conjugate product": (
        (
            lambda z: z * torch.conj(z) * z,
            lambda z: z * jnp.conj(z) * z,
            lambda z: z * tf.math.conj(z) * z,
        ),
        {"ordinary": vector(1.0, 2.0) + 1j * vector(0.3, -1.0)},
    ),
}

IMAGE, KERNEL = normal(1, 2, 4, 4), normal(3, 2, 2, 2, seed=1)
NHWC = {"inputs": ["NCHW->NHWC", "OIHW->HWIO"], "outputs": "NHWC->NCHW"}
LABELS = np.array([0, 2])
C = normal(2, 3)


def conv(x: Any, w: Any, stride: int = 1) -> Any:
    """Convolve as JAX does by default, in torch's order of axes."""
    return jax.lax.conv(x, w, (stride, stride), "VALID")


LAYERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "convolution": (
        (F.conv2d, conv, xcheck.layout(lambda x, w: tf.nn.conv2d(x, w, 1, "VALID"), **NHWC)),
        {"ordinary": (IMAGE, KERNEL)},
    ),
    "strided convolution": (
        (
            lambda x, w: F.conv2d(x, w, stride=2),
            lambda x, w: conv(x, w, 2),
            xcheck.layout(lambda x, w: tf.nn.conv2d(x, w, 2, "VALID"), **NHWC),
        ),
        {"ordinary": (IMAGE, KERNEL)},
    ),
    "maximum pooling": (
        (
            lambda x: F.max_pool2d(x, 2),
            lambda x: jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID"),
            xcheck.layout(lambda x: tf.nn.max_pool2d(x, 2, 2, "VALID"), "NCHW->NHWC", "NHWC->NCHW"),
        ),
        {"ordinary": IMAGE, "kink": np.ones((1, 1, 2, 2))},
    ),
    "average pooling": (
        (
            lambda x: F.avg_pool2d(x, 2),
            lambda x: jax.lax.reduce_window(x, 0.0, jax.lax.add, (1, 1, 2, 2), (1, 1, 2, 2), "VALID") / 4,
            xcheck.layout(lambda x: tf.nn.avg_pool2d(x, 2, 2, "VALID"), "NCHW->NHWC", "NHWC->NCHW"),
        ),
        {"ordinary": IMAGE},
    ),
    "nearest resizing": (
        (
            lambda x: F.interpolate(x, (8, 8), mode="nearest"),
            lambda x: jax.image.resize(x, (1, 2, 8, 8), "nearest"),
            xcheck.layout(lambda x: tf.image.resize(x, (8, 8), "nearest"), "NCHW->NHWC", "NHWC->NCHW"),
        ),
        {"ordinary": IMAGE},
    ),
    "bilinear resizing": (
        (
            lambda x: F.interpolate(x, (8, 8), mode="bilinear"),
            lambda x: jax.image.resize(x, (1, 2, 8, 8), "bilinear"),
            xcheck.layout(lambda x: tf.image.resize(x, (8, 8), "bilinear"), "NCHW->NHWC", "NHWC->NCHW"),
        ),
        {"ordinary": IMAGE},
    ),
    "layer normalisation": (
        (
            lambda x: F.layer_norm(x, (3,)),
            lambda x: jax.nn.standardize(x, epsilon=1e-5),
            lambda x: (
                (x - tf.reduce_mean(x, -1, keepdims=True)) * M.rsqrt(M.reduce_variance(x, -1, keepdims=True) + 1e-5)
            ),
        ),
        {"ordinary": C, "kink": np.ones((1, 3))},
    ),
    "batch normalisation": (
        (
            lambda x: F.batch_norm(x, None, None, training=True),
            lambda x: jax.nn.standardize(x, axis=0, epsilon=1e-5),
            lambda x: tf.nn.batch_normalization(x, *tf.nn.moments(x, 0), None, None, 1e-5),
        ),
        {"ordinary": normal(4, 3)},
    ),
    "cross-entropy": (
        (
            lambda x: F.cross_entropy(x, torch.tensor(LABELS)),
            lambda x: -jnp.mean(jax.nn.log_softmax(x)[jnp.arange(2), LABELS]),
            lambda x: tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(LABELS, x)),
        ),
        {"ordinary": C, "tail": np.array([[50.0, 0.0, -50.0], [0.0, 0.0, 40.0]])},
    ),
    "binary cross-entropy of logits": (
        (
            F.binary_cross_entropy_with_logits,
            lambda x, t: jnp.mean(jnp.maximum(x, 0) - x * t + jnp.log1p(jnp.exp(-jnp.abs(x)))),
            lambda x, t: tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(t, x)),
        ),
        {
            "ordinary": (V, vector(0.2, 0.9, 0.5)),
            "kink": (vector(0.0), vector(1.0)),
            "tail": (vector(40.0), vector(1.0)),
        },
    ),
    "mean squared error": (
        (F.mse_loss, lambda x, y: jnp.mean((x - y) ** 2), lambda x, y: tf.reduce_mean((x - y) ** 2)),
        {"ordinary": (V, V + 1), "kink": (V, V)},
    ),
    "mean absolute error": (
        (F.l1_loss, lambda x, y: jnp.mean(jnp.abs(x - y)), lambda x, y: tf.reduce_mean(tf.abs(x - y))),
        {"ordinary": (V, V + 1), "kink": (vector(1.0), vector(1.0))},
    ),
    "Huber loss": (
        (
            F.huber_loss,
            lambda x, y: jnp.mean(jnp.where(jnp.abs(x - y) <= 1, 0.5 * (x - y) ** 2, jnp.abs(x - y) - 0.5)),
            lambda x, y: tf.reduce_mean(tf.where(tf.abs(x - y) <= 1, 0.5 * (x - y) ** 2, tf.abs(x - y) - 0.5)),
        ),
        {"ordinary": (V, 3 * V + 1), "kink": (vector(1.0), vector(0.0))},
    ),
    "Kullback-Leibler divergence": (
        (
            lambda p, q: (p * (torch.log(p) - torch.log(q))).sum(),
            lambda p, q: jnp.sum(jax.scipy.special.rel_entr(p, q)),
            lambda p, q: tf.reduce_sum(p * M.log(p / q)),
        ),
        {"ordinary": (positive(3), positive(3, seed=1))},
    ),
    "attention": (
        (
            lambda q, k, v: F.scaled_dot_product_attention(q, k, v),
            lambda q, k, v: jax.nn.softmax(q @ jnp.swapaxes(k, -1, -2) / np.sqrt(3)) @ v,
            lambda q, k, v: tf.nn.softmax(tf.matmul(q, k, transpose_b=True) / np.sqrt(3)) @ v,
        ),
        {"ordinary": (normal(1, 2, 3), normal(1, 2, 3, seed=1), normal(1, 2, 3, seed=2))},
    ),
}


def algebra() -> Iterator[Common]:
    """Yield them all."""
    for name, (functions, points) in (ALGEBRA | FOURIER | LAYERS).items():
        yield Common(name, dict(zip(("torch", "jax", "tensorflow"), functions, strict=True)), numbered(**points))
