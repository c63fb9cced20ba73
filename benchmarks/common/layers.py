"""Convolutions, pooling and resizing of every kind that the three frameworks share; all in torch's order of axes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tensorflow as tf
import torch

import xcheck
from common.function import Common, normal, numbered

F = torch.nn.functional

AXES = {1: ("NCW", "NWC", "OIW", "WIO"), 2: ("NCHW", "NHWC", "OIHW", "HWIO"), 3: ("NCDHW", "NDHWC", "OIDHW", "DHWIO")}
"""Axes by the number of spatial ones: of images in torch and TensorFlow, of kernels in torch and TensorFlow."""

ROW, ROWS = normal(1, 2, 6), normal(3, 2, 3, seed=1)
IMAGE, KERNEL = normal(1, 2, 5, 4), normal(3, 2, 2, 2, seed=1)
VOLUME, CUBE = normal(1, 1, 3, 3, 4), normal(2, 1, 2, 2, 2, seed=1)
SINGLE, SINGLES = IMAGE.astype(np.float32), VOLUME.astype(np.float32)
"""For what TensorFlow has in float32 only."""

EACH = normal(4, 1, 2, 2, seed=2)
"""Kernels of a depthwise convolution, two for each of two channels."""

Three = tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]


def channels_last(f: Callable[..., Any], spatial: int, kernel: str | None = None) -> Callable[..., Any]:
    """Give a function of TensorFlow's order of axes torch's."""
    torch_image, image, torch_kernel, own_kernel = AXES[spatial]
    images = f"{torch_image}->{image}"
    inputs = images if kernel is None else [images, kernel or f"{torch_kernel}->{own_kernel}"]
    return xcheck.layout(f, inputs=inputs, outputs=f"{image}->{torch_image}")


def convolution(spatial: int, stride: int = 1, dilation: int = 1, padding: str = "VALID") -> Three:
    """Return a convolution in the three frameworks."""
    in_torch = (F.conv1d, F.conv2d, F.conv3d)[spatial - 1]
    image, own, kernel, _ = AXES[spatial]

    def in_tensorflow(x: Any, w: Any) -> Any:
        return tf.nn.convolution(x, w, stride, padding, dilations=dilation, data_format=own)

    return (
        lambda x, w: in_torch(x, w, stride=stride, dilation=dilation, padding=padding.lower()),
        lambda x, w: jax.lax.conv_general_dilated(
            x,
            w,
            (stride,) * spatial,
            padding,
            rhs_dilation=(dilation,) * spatial,
            dimension_numbers=(image, kernel, image),
        ),
        channels_last(in_tensorflow, spatial, kernel=""),
    )


CONVOLUTIONS: dict[str, tuple[Three, dict[str, Any]]] = {
    "convolution in one dimension": (convolution(1), {"ordinary": (ROW, ROWS)}),
    "convolution in three dimensions": (convolution(3), {"ordinary": (VOLUME, CUBE)}),
    "dilated convolution": (convolution(2, dilation=2), {"ordinary": (IMAGE, KERNEL)}),
    "padded convolution": (convolution(1, padding="SAME"), {"ordinary": (ROW, ROWS)}),
    "transposed convolution": (
        (
            lambda x, w: F.conv_transpose2d(x, w, stride=2),
            lambda x, w: jax.lax.conv_transpose(
                x, w, (2, 2), "VALID", dimension_numbers=("NCHW", "OIHW", "NCHW"), transpose_kernel=True
            ),
            channels_last(
                lambda x, w: tf.nn.conv2d_transpose(x, w, (1, 2 * x.shape[1], 2 * x.shape[2], w.shape[2]), 2, "VALID"),
                2,
                kernel="IOHW->HWOI",
            ),
        ),
        {"ordinary": (IMAGE, normal(2, 3, 2, 2, seed=1))},
    ),
    "depthwise convolution": (
        (
            lambda x, w: F.conv2d(x, w, groups=2),
            lambda x, w: jax.lax.conv_general_dilated(x, w, (1, 1), "VALID", feature_group_count=2),
            lambda x, w: tf.transpose(
                tf.nn.depthwise_conv2d(
                    tf.transpose(x, (0, 2, 3, 1)),
                    tf.transpose(tf.reshape(w, (2, 2, 2, 2)), (2, 3, 0, 1)),
                    (1, 1, 1, 1),
                    "VALID",
                ),
                (0, 3, 1, 2),
            ),
        ),
        {"ordinary": (IMAGE, EACH)},
    ),
    "correlation": (
        (
            lambda x, y: F.conv1d(x[None, None], y[None, None])[0, 0],
            lambda x, y: jnp.correlate(x, y, "valid"),
            lambda x, y: tf.nn.conv1d(x[None, :, None], y[:, None, None], 1, "VALID")[0, :, 0],
        ),
        {"ordinary": (normal(6), normal(3, seed=1))},
    ),
}


def pooled(spatial: int, kind: str, size: int = 2, stride: int = 2) -> Three:
    """Return pooling in the three frameworks."""
    in_torch = getattr(F, f"{kind}_pool{spatial}d")
    window, steps = (1, 1) + (size,) * spatial, (1, 1) + (stride,) * spatial
    start, join = (-jnp.inf, jax.lax.max) if kind == "max" else (0.0, jax.lax.add)
    over = 1 if kind == "max" else size**spatial
    return (
        lambda x: in_torch(x, size, stride),
        lambda x: jax.lax.reduce_window(x, start, join, window, steps, "VALID") / over,
        channels_last(lambda x: tf.nn.pool(x, [size] * spatial, kind.upper(), [stride] * spatial), spatial),
    )


POOLING: dict[str, tuple[Three, dict[str, Any]]] = {
    "maximum pooling in one dimension": (
        pooled(1, "max"),
        {"ordinary": ROW, "kink": np.array([[[1.0, 1.0, 0.0, 2.0]]])},
    ),
    "average pooling in one dimension": (pooled(1, "avg"), {"ordinary": ROW}),
    "maximum pooling in three dimensions": (pooled(3, "max"), {"ordinary": SINGLES}),
    "average pooling in three dimensions": (pooled(3, "avg"), {"ordinary": SINGLES}),
    "overlapping maximum pooling": (
        pooled(2, "max", 3, 1),
        {"ordinary": IMAGE, "kink": np.array([[[[0.0, 1.0, 0.0], [2.0, 0.0, 2.0], [0.0, 1.0, 0.0]]]])},
    ),
    "overlapping average pooling": (pooled(2, "avg", 3, 1), {"ordinary": IMAGE}),
    "global average pooling": (
        (
            lambda x: F.adaptive_avg_pool2d(x, 1)[..., 0, 0],
            lambda x: jnp.mean(x, (2, 3)),
            lambda x: tf.keras.layers.GlobalAveragePooling2D("channels_first", dtype=x.dtype)(x),
        ),
        {"ordinary": IMAGE},
    ),
}


def resized(method: str, size: tuple[int, int], antialias: bool = True, **ours: Any) -> Three:
    """Return resizing in the three frameworks."""
    return (
        lambda x: F.interpolate(x, size, mode=method, antialias=antialias, **ours),
        lambda x: jax.image.resize(x, (*x.shape[:2], *size), method, antialias=antialias),
        channels_last(lambda x: tf.image.resize(x, size, method, antialias=antialias), 2),
    )


RESIZING: dict[str, tuple[Three, dict[str, Any]]] = {
    "bilinear reduction": (resized("bilinear", (3, 2), antialias=False), {"ordinary": IMAGE}),
    "bilinear reduction with antialiasing": (resized("bilinear", (3, 2)), {"ordinary": SINGLE}),
    "bicubic resizing": (resized("bicubic", (8, 8), antialias=False), {"ordinary": IMAGE}),
    "bicubic resizing with antialiasing": (resized("bicubic", (8, 8)), {"ordinary": SINGLE}),
    "nearest reduction": (
        (
            lambda x: F.interpolate(x, (2, 2), mode="nearest-exact"),
            lambda x: jax.image.resize(x, (*x.shape[:2], 2, 2), "nearest"),
            channels_last(lambda x: tf.image.resize(x, (2, 2), "nearest"), 2),
        ),
        {"ordinary": IMAGE},
    ),
    "space to depth": (
        (
            lambda x: F.pixel_unshuffle(x, 2),
            lambda x: x.reshape(1, 2, 2, 2, 2, 2).transpose(0, 1, 3, 5, 2, 4).reshape(1, 8, 2, 2),
            lambda x: tf.reshape(tf.transpose(tf.reshape(x, (1, 2, 2, 2, 2, 2)), (0, 1, 3, 5, 2, 4)), (1, 8, 2, 2)),
        ),
        {"ordinary": normal(1, 2, 4, 4)},
    ),
}


def layers() -> Iterator[Common]:
    """Yield them all."""
    for name, (functions, points) in (CONVOLUTIONS | POOLING | RESIZING).items():
        yield Common(name, dict(zip(("torch", "jax", "tensorflow"), functions, strict=True)), numbered(**points))
