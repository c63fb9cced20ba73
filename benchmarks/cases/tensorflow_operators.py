"""TensorFlow's public differentiable functions at ordinary points: every derivative is right.

A table of names and domains for what takes tensors alone, and one of closures for the rest. Inputs are float64 tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import reduce
from typing import Any

import numpy as np
import tensorflow as tf

from cases.case import Case, Truth
from cases.domains import (
    Domain,
    above_one,
    colours,
    distinct,
    draw,
    fraction,
    nonzero,
    positive,
    probability,
    real,
    simplex,
    spd,
    square,
    triangular,
    unit,
    within,
    zeros,
)

Operator = tuple[Callable[..., Any], tuple[Domain, ...]]

N = 24
"""Entries of an input of an elementwise function."""

BY_NAME: list[tuple[tuple[Domain, ...], str, str]] = [
    (
        (real(N),),
        "math",
        (
            "sin cos sinh cosh tanh atan asinh exp expm1 square negative sigmoid softplus softsign log_sigmoid softmax "
            "log_softmax erf erfc bessel_i0 bessel_i0e bessel_i1 bessel_i1e reduce_sum reduce_mean reduce_prod "
            "reduce_std "
            "reduce_variance reduce_logsumexp reduce_euclidean_norm cumsum cumprod cumulative_logsumexp l2_normalize"
        ),
    ),
    ((nonzero(N),), "math", "abs reciprocal reciprocal_no_nan sign"),
    ((positive(N),), "math", "log log1p sqrt rsqrt lgamma digamma lbeta"),
    ((above_one(N),), "math", "acosh"),
    ((unit(N),), "math", "asin acos atanh tan erfinv"),
    ((probability(N),), "math", "ndtri erfcinv"),
    ((distinct(N),), "math", "reduce_max reduce_min"),
    ((real(N), real(N)), "math", "add subtract multiply squared_difference"),
    ((nonzero(N), nonzero(N)), "math", "divide truediv divide_no_nan atan2 xdivy"),
    ((positive(N), positive(N)), "math", "pow xlogy xlog1py"),
    ((real(3, 8), distinct(3, 8)), "math", "maximum minimum"),
    ((real(N),), "math.special", "dawsn fresnel_cos fresnel_sin"),
    (
        (positive(N),),
        "math.special",
        "bessel_j0 bessel_j1 bessel_k0 bessel_k0e bessel_k1 bessel_k1e bessel_y0 bessel_y1",
    ),
    ((positive(N),), "math.special", "expint spence"),
    ((real(N),), "nn", "silu gelu l2_loss tanh"),
    ((fraction(N),), "nn", "relu relu6 elu selu leaky_relu crelu"),
    ((square(5),), "linalg", "inv det slogdet pinv qr matrix_transpose trace diag_part adjoint expm"),
    ((square(5), real(5, 3)), "linalg", "solve"),
    ((real(4, 5), real(5, 4)), "linalg", "matmul"),
    ((real(4, 5), real(5)), "linalg", "matvec"),
    ((real(8, 3), real(8, 3)), "linalg", "cross"),
    ((triangular(5), real(5, 2)), "linalg", "triangular_solve cholesky_solve"),
    ((real(5, 6),), "linalg", "norm normalize"),
    ((real(8),), "linalg", "diag tensor_diag"),
    ((real(4, 4), real(4)), "linalg", "set_diag"),
    ((real(16),), "signal", "rfft dct fftshift ifftshift"),
    ((real(6, 5, 3),), "image", "flip_left_right flip_up_down rot90 transpose total_variation rgb_to_yuv rgb_to_yiq"),
    ((real(6, 5, 3),), "image", "yuv_to_rgb yiq_to_rgb per_image_standardization"),
    ((real(N),), "keras.activations", "mish silu softplus softsign tanh_shrink squareplus glu"),
    ((fraction(N),), "keras.activations", "celu hard_sigmoid hard_silu hard_tanh soft_shrink hard_shrink sparse_plus"),
    ((real(4, 6),), "keras.activations", "softmax log_softmax"),
    ((distinct(4, 6), real(4, 6)), "keras.losses", "mse cosine_similarity logcosh"),
    ((simplex(4, 6), simplex(4, 6)), "keras.losses", "kld categorical_crossentropy dice tversky"),
    ((positive(4, 6), positive(4, 6)), "keras.losses", "poisson msle"),
]
"""Domains, the module under `tf`, and its functions that take nothing but tensors."""

LABELS = np.array([0, 2, 1, 4])
INDEX = np.array([0, 2, 2, 5, 1])
SEGMENTS = np.array([0, 0, 1, 1, 1, 2, 2, 3])
UNSORTED = np.array([0, 2, 1, 0, 1, 2, 2, 0])


def symmetric(x: Any) -> Any:
    """Make a square matrix symmetric: what takes a symmetric matrix is then a function of every entry."""
    return (x + tf.transpose(x)) / 2


def _gram(x: Any) -> Any:
    return tf.matmul(x, x, transpose_b=True) + tf.eye(x.shape[0], dtype=x.dtype) / 2


def _loop(x: Any) -> Any:
    return tf.while_loop(lambda i, _: i < 5, lambda i, h: (i + 1, tf.sin(h + x)), (0, x))[1]


def _scan(x: Any) -> Any:
    return tf.scan(lambda h, row: tf.tanh(h * row + row), x)


@tf.function
def _traced(x: Any) -> Any:
    return tf.reduce_sum(tf.tanh(tf.matmul(x, x, transpose_b=True)))


@tf.recompute_grad
def _recomputed(x: Any) -> Any:
    return tf.sin(tf.exp(tf.tanh(x)))


def _batch_norm(x: Any, offset: Any, scale: Any) -> Any:
    mean, variance = tf.nn.moments(x, [0])
    return tf.nn.batch_normalization(x, mean, variance, offset, scale, 1e-3)


def _tridiagonal(x: Any, b: Any) -> Any:
    return tf.linalg.tridiagonal_solve((x[0], 4.0 + x[1], x[2]), b, diagonals_format="sequence")


def _ragged(x: Any) -> Any:
    return tf.reduce_sum(tf.RaggedTensor.from_row_lengths(x, [3, 0, 5, 4]) ** 3, axis=1)


def _sparse(x: Any) -> Any:
    indices = [[0, 1], [1, 0], [2, 3], [3, 3]]
    return tf.sparse.sparse_dense_matmul(tf.SparseTensor(indices, x[:4], [4, 4]), tf.reshape(x[4:], (4, 5)))


def _attention(q: Any, k: Any, v: Any) -> Any:
    return tf.matmul(tf.nn.softmax(tf.matmul(q, k, transpose_b=True)), v)


def _grad(x: Any) -> Any:
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(tf.tanh(x) ** 3)
    return tape.gradient(y, x)


ARRAYS: dict[str, Operator] = {
    "reduce_prod/axis": (lambda x: tf.reduce_prod(x, axis=0), (real(4, 8),)),
    "reduce_std/axis": (lambda x: tf.math.reduce_std(x, axis=0), (real(6, 5),)),
    "reduce_max/axis": (lambda x: tf.reduce_max(x, axis=1), (distinct(5, 6),)),
    "reduce_logsumexp/axis": (lambda x: tf.reduce_logsumexp(x, axis=1), (real(5, 6),)),
    "cumsum/reverse": (lambda x: tf.cumsum(x, axis=1, exclusive=True, reverse=True), (real(4, 6),)),
    "cumprod/exclusive": (lambda x: tf.math.cumprod(x, axis=1, exclusive=True), (nonzero(4, 6),)),
    "cumprod/reverse": (lambda x: tf.math.cumprod(x, axis=0, reverse=True), (nonzero(6, 4),)),
    "cumulative_logsumexp/reverse": (
        lambda x: tf.math.cumulative_logsumexp(x, axis=1, reverse=True),
        (real(4, 6),),
    ),
    "add_n": (lambda x, y: tf.add_n([x, y, x]), (real(4, 5), real(4, 5))),
    "accumulate_n": (lambda x, y: tf.math.accumulate_n([x, y]), (real(4, 5), real(4, 5))),
    "angle": (lambda x, y: tf.math.angle(tf.complex(x, y)), (positive(12), real(12))),
    "complex/exp": (lambda x, y: tf.exp(tf.complex(x, y)), (real(12), real(12))),
    "complex/abs": (lambda x, y: tf.abs(tf.complex(x, y)), (nonzero(12), real(12))),
    "complex/sqrt": (lambda x, y: tf.sqrt(tf.complex(x, y)), (positive(12), real(12))),
    "math.betainc/x": (
        lambda x: tf.math.betainc(tf.fill(x.shape, tf.constant(2.3, x.dtype)), tf.fill(x.shape, x[0] * 0 + 1.7), x),
        (probability(N),),
    ),
    "math.igamma/x": (lambda x: tf.math.igamma(tf.constant(2.3, x.dtype), x), (positive(N),)),
    "math.igammac/x": (lambda x: tf.math.igammac(tf.constant(2.3, x.dtype), x), (positive(N),)),
    "math.igamma/a": (lambda a: tf.math.igamma(a, tf.constant(2.3, a.dtype)), (within(0.5, 6.0, N),)),
    "math.igammac/a": (lambda a: tf.math.igammac(a, tf.constant(2.3, a.dtype)), (within(0.5, 6.0, N),)),
    "math.polygamma": (lambda x: tf.math.polygamma(tf.constant(2.0, x.dtype), x), (positive(N),)),
    "math.zeta/q": (lambda x: tf.math.zeta(tf.constant(2.5, x.dtype), x), (positive(N),)),
    "math.polyval": (lambda x, c: tf.math.polyval(tf.unstack(c), x), (real(12), real(5))),
    "math.multiply_no_nan": (lambda x, y: tf.math.multiply_no_nan(x, y), (real(12), nonzero(12))),
    "math.mod": (lambda x, y: tf.math.mod(x, y), (within(0.2, 0.8, N), within(1.0, 2.0, N))),
    "math.floordiv": (lambda x: tf.math.floor(x) + tf.math.ceil(x) * x, (fraction(N),)),
    "math.segment_sum": (lambda x: tf.math.segment_sum(x, SEGMENTS), (real(8, 3),)),
    "math.segment_mean": (lambda x: tf.math.segment_mean(x, SEGMENTS), (real(8, 3),)),
    "math.segment_max": (lambda x: tf.math.segment_max(x, SEGMENTS), (distinct(8, 3),)),
    "math.segment_min": (lambda x: tf.math.segment_min(x, SEGMENTS), (distinct(8, 3),)),
    "math.segment_prod": (lambda x: tf.math.unsorted_segment_prod(x, UNSORTED, 3), (nonzero(8, 3),)),
    "math.unsorted_segment_sum": (lambda x: tf.math.unsorted_segment_sum(x, UNSORTED, 3), (real(8, 3),)),
    "math.unsorted_segment_mean": (lambda x: tf.math.unsorted_segment_mean(x, UNSORTED, 3), (real(8, 3),)),
    "math.unsorted_segment_max": (lambda x: tf.math.unsorted_segment_max(x, UNSORTED, 3), (distinct(8, 3),)),
    "math.unsorted_segment_sqrt_n": (lambda x: tf.math.unsorted_segment_sqrt_n(x, UNSORTED, 3), (real(8, 3),)),
    "math.top_k": (lambda x: tf.math.top_k(x, 5)[0], (distinct(N),)),
    "math.l2_normalize/axis": (lambda x: tf.math.l2_normalize(x, axis=1), (real(5, 4),)),
    "sort": (lambda x: tf.sort(x, direction="DESCENDING"), (distinct(5, 6),)),
    "where": (lambda x, y: tf.where(x > y, x * y, x - y), (real(3, 8), distinct(3, 8))),
    "clip_by_value": (lambda x: tf.clip_by_value(x, -0.5, 0.5), (fraction(N),)),
    "clip_by_norm": (lambda x: tf.clip_by_norm(x, 1.5), (nonzero(N),)),
    "clip_by_global_norm": (lambda x, y: tf.clip_by_global_norm([x, y], 1.0)[0], (nonzero(6), nonzero(6))),
    "reshape": (lambda x: tf.reshape(x, (4, 6)) ** 2, (real(N),)),
    "transpose": (lambda x: tf.transpose(x, (2, 0, 1)), (real(2, 3, 4),)),
    "concat": (lambda x, y: tf.concat([x, 2 * y, x], 1), (real(3, 4), real(3, 5))),
    "stack": (lambda x, y: tf.stack([x, y], axis=1), (real(3, 4), real(3, 4))),
    "unstack": (lambda x: tf.unstack(x, axis=1), (real(5, 4),)),
    "split": (lambda x: tf.split(x, [2, 5], 1), (real(3, 7),)),
    "pad/reflect": (lambda x: tf.pad(x, [[1, 2], [2, 1]], "REFLECT"), (real(4, 5),)),
    "pad/symmetric": (lambda x: tf.pad(x, [[1, 2], [2, 1]], "SYMMETRIC"), (real(4, 5),)),
    "tile": (lambda x: tf.tile(x, (2, 3)), (real(4, 5),)),
    "repeat": (lambda x: tf.repeat(x, [1, 2, 0, 3], axis=0), (real(4, 5),)),
    "roll": (lambda x: tf.roll(x, 2, 1) * x, (real(4, 6),)),
    "reverse": (lambda x: tf.reverse(x, [1]), (real(4, 6),)),
    "reverse_sequence": (lambda x: tf.reverse_sequence(x, [2, 4, 1, 5], 1), (real(4, 6),)),
    "gather": (lambda x: tf.gather(x, INDEX), (real(6, 4),)),
    "gather/batch": (lambda x: tf.gather(x, [[0, 2], [1, 1], [3, 0]], batch_dims=1), (real(3, 4),)),
    "gather_nd": (lambda x: tf.gather_nd(x, [[0, 1], [2, 3], [0, 1]]), (real(4, 5),)),
    "scatter_nd": (lambda x: tf.scatter_nd([[1], [3], [1]], x, (5, 4)), (real(3, 4),)),
    "tensor_scatter_nd_update": (
        lambda x, y: tf.tensor_scatter_nd_update(x, [[1], [3]], y),
        (real(5, 4), real(2, 4)),
    ),
    "tensor_scatter_nd_add": (lambda x, y: tf.tensor_scatter_nd_add(x, [[1], [1]], y), (real(5, 4), real(2, 4))),
    "tensor_scatter_nd_max": (
        lambda x, y: tf.tensor_scatter_nd_max(x, [[1], [3]], y),
        (distinct(5, 4), real(2, 4)),
    ),
    "strided_slice": (lambda x: x[1:4:2, ::-1], (real(5, 6),)),
    "boolean_mask": (lambda x: tf.boolean_mask(x, [True, False, True, True]), (real(4, 6),)),
    "dynamic_partition": (lambda x: tf.dynamic_partition(x, UNSORTED, 3), (real(8, 3),)),
    "dynamic_stitch": (lambda x, y: tf.dynamic_stitch([[0, 2], [1, 3]], [x, y]), (real(2, 6), real(2, 6))),
    "meshgrid": (lambda x, y: tf.meshgrid(x, y), (real(5), real(6))),
    "broadcast_to": (lambda x: tf.broadcast_to(x, (3, 4, 5)), (real(4, 5),)),
    "tensordot": (lambda x, y: tf.tensordot(x, y, 2), (real(3, 4, 5), real(4, 5, 2))),
    "einsum": (lambda x, y, z: tf.einsum("ij,jk,ik->i", x, y, z), (real(3, 4), real(4, 5), real(3, 5))),
    "space_to_batch": (lambda x: tf.space_to_batch(x, [2, 2], [[0, 0], [0, 0]]), (real(1, 4, 4, 2),)),
    "batch_to_space": (lambda x: tf.batch_to_space(x, [2, 2], [[0, 0], [0, 0]]), (real(4, 2, 2, 2),)),
    "extract_patches": (
        lambda x: tf.image.extract_patches(x, [1, 2, 2, 1], [1, 1, 1, 1], [1, 1, 1, 1], "VALID"),
        (real(1, 4, 4, 2),),
    ),
    "map_fn": (lambda x: tf.map_fn(lambda r: tf.sin(r) * tf.reduce_sum(r), x), (real(4, 5),)),
    "vectorized_map": (lambda x: tf.vectorized_map(lambda r: tf.sin(r) * tf.reduce_sum(r), x), (real(4, 5),)),
    "scan": (_scan, (real(5, 4),)),
    "while_loop": (_loop, (real(N),)),
    "cond": (lambda x: tf.cond(tf.reduce_sum(x) > 0, lambda: tf.sin(x), lambda: tf.exp(x)), (positive(N),)),
    "switch_case": (lambda x: tf.switch_case(tf.constant(1), [lambda: tf.sin(x), lambda: tf.tanh(x)]), (real(N),)),
    "function": (_traced, (real(4, 5),)),
    "recompute_grad": (_recomputed, (real(N),)),
    "gradient": (_grad, (real(N),)),
    "ragged": (_ragged, (real(12),)),
    "sparse_dense_matmul": (_sparse, (real(24),)),
    "linalg.cholesky": (lambda x: tf.linalg.cholesky(_gram(x)), (real(5, 5),)),
    "linalg.logdet": (lambda x: tf.linalg.logdet(_gram(x)), (real(5, 5),)),
    "linalg.eigvalsh": (lambda x: tf.linalg.eigvalsh(symmetric(x)), (spd(5),)),
    "linalg.eigh/projector": (lambda x: tf.linalg.eigh(symmetric(x))[1][:, 0] ** 2, (spd(5),)),
    "linalg.svd": (lambda x: tf.linalg.svd(x, compute_uv=False), (square(5),)),
    "linalg.svd/projector": (lambda x: tf.linalg.svd(x)[1][:, 0] ** 2, (square(5),)),
    "linalg.sqrtm": (lambda x: tf.linalg.sqrtm(_gram(x)), (real(4, 4),)),
    "linalg.lstsq": (lambda a, b: tf.linalg.lstsq(a, b), (real(8, 3), real(8, 2))),
    "linalg.qr/tall": (lambda x: tf.linalg.qr(x), (real(7, 3),)),
    "linalg.band_part": (lambda x: tf.linalg.band_part(x, 1, 2), (real(5, 6),)),
    "linalg.tridiagonal_solve": (_tridiagonal, (within(0.1, 0.9, 3, 6), real(6, 2))),
    "linalg.tridiagonal_matmul": (
        lambda x, y: tf.linalg.tridiagonal_matmul(x, y, diagonals_format="compact"),
        (real(3, 6), real(6, 2)),
    ),
    "linalg.banded_triangular_solve": (
        lambda x, y: tf.linalg.banded_triangular_solve(x, y),
        (above_one(2, 6), real(6, 2)),
    ),
    "linalg.norm/euclidean": (lambda x: tf.linalg.norm(x, axis=1), (real(5, 6),)),
    "linalg.norm/1": (lambda x: tf.linalg.norm(x, 1, axis=1), (nonzero(5, 6),)),
    "linalg.norm/3": (lambda x: tf.linalg.norm(x, 3, axis=1), (nonzero(5, 6),)),
    "linalg.global_norm": (lambda x, y: tf.linalg.global_norm([x, y]), (real(8), real(3, 4))),
    "linalg.pinv/tall": (lambda x: tf.linalg.pinv(x), (real(7, 3),)),
    "signal.fft": (lambda x, y: tf.signal.fft(tf.complex(x, y)), (real(12), real(12))),
    "signal.ifft2d": (lambda x, y: tf.signal.ifft2d(tf.complex(x, y)), (real(3, 4), real(3, 4))),
    "signal.irfft": (lambda x: tf.signal.irfft(tf.signal.rfft(x) ** 2), (real(16),)),
    "signal.rfft2d": (lambda x: tf.signal.rfft2d(x), (real(4, 6),)),
    "signal.power": (lambda x: tf.abs(tf.signal.rfft(x)) ** 2, (real(16),)),
    "signal.idct": (lambda x: tf.signal.idct(x, norm="ortho"), (real(16),)),
    "signal.frame": (lambda x: tf.signal.frame(x, 6, 3), (real(N),)),
    "signal.overlap_and_add": (lambda x: tf.signal.overlap_and_add(x, 2), (real(5, 4),)),
    "signal.mdct": (lambda x: tf.signal.mdct(x, 8), (real(N),)),
    "nn.conv1d": (lambda x, k: tf.nn.conv1d(x, k, 1, "SAME"), (real(1, 8, 2), real(3, 2, 3))),
    "nn.conv2d": (lambda x, k: tf.nn.conv2d(x, k, 1, "SAME"), (real(1, 5, 5, 2), real(3, 3, 2, 3))),
    "nn.conv2d/stride": (lambda x, k: tf.nn.conv2d(x, k, 2, "VALID"), (real(2, 6, 5, 2), real(2, 3, 2, 2))),
    "nn.conv2d_transpose": (
        lambda x, k: tf.nn.conv2d_transpose(x, k, (1, 6, 6, 2), 2),
        (real(1, 3, 3, 3), real(3, 3, 2, 3)),
    ),
    "nn.conv3d": (lambda x, k: tf.nn.conv3d(x, k, [1] * 5, "SAME"), (real(1, 3, 3, 4, 1), real(2, 2, 2, 1, 2))),
    "nn.depthwise_conv2d": (
        lambda x, k: tf.nn.depthwise_conv2d(x, k, [1] * 4, "SAME"),
        (real(1, 4, 4, 2), real(3, 3, 2, 2)),
    ),
    "nn.separable_conv2d": (
        lambda x, k, p: tf.nn.separable_conv2d(x, k, p, [1] * 4, "SAME"),
        (real(1, 4, 4, 2), real(3, 3, 2, 1), real(1, 1, 2, 3)),
    ),
    "nn.atrous_conv2d": (
        lambda x, k: tf.nn.atrous_conv2d(x, k, 2, "SAME"),
        (real(1, 6, 6, 2), real(3, 3, 2, 2)),
    ),
    "nn.max_pool2d": (lambda x: tf.nn.max_pool2d(x, 2, 2, "VALID"), (distinct(1, 4, 4, 3),)),
    "nn.avg_pool2d": (lambda x: tf.nn.avg_pool2d(x, 3, 1, "SAME"), (real(1, 4, 4, 3),)),
    "nn.dilation2d": (
        lambda x, k: tf.nn.dilation2d(x, k, (1, 1, 1, 1), "VALID", "NHWC", (1, 1, 1, 1)),
        (distinct(1, 4, 4, 2), within(0.0, 0.01, 2, 2, 2)),
    ),
    "nn.bias_add": (lambda x, b: tf.nn.bias_add(x, b), (real(5, 4), real(4))),
    "nn.moments": (lambda x: tf.nn.moments(x, [0]), (real(6, 4),)),
    "nn.batch_normalization": (_batch_norm, (real(6, 4), real(4), real(4))),
    "nn.softmax/axis": (lambda x: tf.nn.softmax(x, axis=0), (real(5, 4),)),
    "nn.gelu/approximate": (lambda x: tf.nn.gelu(x, approximate=True), (real(N),)),
    "nn.sigmoid_cross_entropy": (
        lambda z, x: tf.nn.sigmoid_cross_entropy_with_logits(z, x),
        (probability(12), nonzero(12)),
    ),
    "nn.weighted_cross_entropy": (
        lambda z, x: tf.nn.weighted_cross_entropy_with_logits(z, x, 1.7),
        (probability(12), nonzero(12)),
    ),
    "nn.softmax_cross_entropy": (
        lambda x: tf.nn.softmax_cross_entropy_with_logits(np.eye(6)[LABELS], x),
        (real(4, 6),),
    ),
    "nn.sparse_softmax_cross_entropy": (
        lambda x: tf.nn.sparse_softmax_cross_entropy_with_logits(LABELS, x),
        (real(4, 6),),
    ),
    "nn.log_poisson_loss": (lambda z, x: tf.nn.log_poisson_loss(z, x), (positive(12), real(12))),
    "nn.embedding_lookup": (lambda x: tf.nn.embedding_lookup(x, INDEX), (real(6, 4),)),
    "nn.depth_to_space": (lambda x: tf.nn.depth_to_space(x, 2), (real(1, 3, 2, 8),)),
    "nn.space_to_depth": (lambda x: tf.nn.space_to_depth(x, 2), (real(1, 4, 4, 3),)),
    "nn.attention": (_attention, (real(4, 3), real(5, 3), real(5, 2))),
    "image.adjust_gamma": (lambda x: tf.image.adjust_gamma(x, 1.7), (positive(4, 4, 3),)),
    "image.central_crop": (lambda x: tf.image.central_crop(x, 0.5), (real(6, 6, 3),)),
    "image.image_gradients": (lambda x: tf.image.image_gradients(x), (real(1, 4, 5, 2),)),
    "image.sobel_edges": (lambda x: tf.image.sobel_edges(x), (real(1, 4, 5, 2),)),
    "image.rgb_to_hsv": (lambda x: tf.image.rgb_to_hsv(x), (colours(5, 4),)),
    "image.pad_to_bounding_box": (lambda x: tf.image.pad_to_bounding_box(x, 1, 2, 7, 8), (real(4, 5, 3),)),
    "losses.huber": (lambda z, x: tf.keras.losses.huber(z, x, delta=0.35), (zeros(4, 6), fraction(4, 6))),
    "losses.mae": (lambda z, x: tf.keras.losses.mae(z, x), (zeros(4, 6), nonzero(4, 6))),
    "losses.mape": (lambda z, x: tf.keras.losses.mape(z, x), (within(1.0, 2.0, 4, 6), within(3.0, 4.0, 4, 6))),
    "losses.hinge": (lambda x: tf.keras.losses.hinge(np.sign(np.arange(24.0) - 9.5).reshape(4, 6), x), (unit(4, 6),)),
    "losses.squared_hinge": (
        lambda x: tf.keras.losses.squared_hinge(np.sign(np.arange(24.0) - 9.5).reshape(4, 6), x),
        (unit(4, 6),),
    ),
    "losses.binary_crossentropy": (
        lambda z, x: tf.keras.losses.binary_crossentropy(z, x),
        (probability(4, 6), probability(4, 6)),
    ),
    "losses.binary_crossentropy/logits": (
        lambda z, x: tf.keras.losses.binary_crossentropy(z, x, from_logits=True),
        (probability(4, 6), nonzero(4, 6)),
    ),
    "losses.binary_focal_crossentropy": (
        lambda x: tf.keras.losses.binary_focal_crossentropy(np.eye(6)[LABELS], x),
        (probability(4, 6),),
    ),
    "losses.sparse_categorical_crossentropy": (
        lambda x: tf.keras.losses.sparse_categorical_crossentropy(LABELS, x, from_logits=True),
        (real(4, 6),),
    ),
    "activations.elu": (lambda x: tf.keras.activations.elu(x, 1.3), (nonzero(N),)),
    "activations.softmax/axis": (lambda x: tf.keras.activations.softmax(x, axis=0), (real(5, 4),)),
}
"""What takes more than tensors, or is smooth only after a rearrangement."""


def operators(seed: int, points: int) -> Iterator[Case]:
    """Yield every operator at `points` random interior points, in float64; all derivatives are right."""
    for name, (f, domains) in {**_by_name(), **ARRAYS}.items():
        for point in range(points):
            inputs = tuple(tf.constant(x, tf.float64) for x in draw(domains, name, seed, point))
            yield Case(f"tf.{name}/{point}", "tensorflow", f, inputs, Truth.RIGHT, smooth=True)


def _by_name() -> dict[str, Operator]:
    found: dict[str, Operator] = {}
    for domains, module, names in BY_NAME:
        for name in names.split():
            path = f"{module}.{name}"
            found[path] = (reduce(getattr, path.split("."), tf), domains)
    return found
