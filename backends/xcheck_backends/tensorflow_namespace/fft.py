"""Fourier transforms with the standard's arguments, on `tf.signal`, which transforms last axes without scaling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from xcheck_backends.tensorflow_namespace.lacking import lacking

tnp = tf.experimental.numpy
NORMS = {"backward": 0.0, "ortho": 0.5, "forward": 1.0}
"""The power of 1 / n that multiplies the forward transform; the rest multiplies the inverse."""


def fft(x: Any, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Any:
    """Transform along an axis."""
    return _forward(tf.signal.fft, _complex(x), n, axis, norm)


def ifft(x: Any, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Any:
    """Transform back along an axis."""
    size = x.shape[axis] if n is None else n
    return _inverse(tf.signal.ifft, _complex(x), size, size, axis, norm)


def rfft(x: Any, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Any:
    """Transform real numbers along an axis, to the half of the frequencies that is not redundant."""
    return _forward(tf.signal.rfft, x, n, axis, norm)


def irfft(x: Any, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Any:
    """Transform the half of the frequencies back to `n` real numbers, an even number if not given."""
    size = 2 * (x.shape[axis] - 1) if n is None else n
    return _inverse(lambda y: tf.signal.irfft(y, [size]), _complex(x), size, size // 2 + 1, axis, norm)


def fftn(
    x: Any, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str = "backward"
) -> Any:
    """Transform along several axes, all if none are named."""
    for n, axis in _sizes(x, s, axes):
        x = fft(x, n=n, axis=axis, norm=norm)
    return x


def ifftn(
    x: Any, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str = "backward"
) -> Any:
    """Transform back along several axes, all if none are named."""
    for n, axis in _sizes(x, s, axes):
        x = ifft(x, n=n, axis=axis, norm=norm)
    return x


def rfftn(
    x: Any, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str = "backward"
) -> Any:
    """Transform real numbers along several axes, all if none are named; the last of them is halved."""
    *others, (n, axis) = _sizes(x, s, axes)
    x = rfft(x, n=n, axis=axis, norm=norm)
    for n, axis in others:
        x = fft(x, n=n, axis=axis, norm=norm)
    return x


def irfftn(
    x: Any, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str = "backward"
) -> Any:
    """Transform back to real numbers along several axes, all if none are named."""
    *others, last = _sizes(x, s, axes)
    for n, axis in others:
        x = ifft(x, n=n, axis=axis, norm=norm)
    return irfft(x, n=last[0], axis=last[1], norm=norm)


def fftfreq(n: int, /, *, d: float = 1.0, dtype: Any = None) -> Any:
    """Return the frequencies of `fft`, in cycles per unit of the spacing `d`."""
    upper = (n - 1) // 2
    return tf.cast(tnp.concatenate([tnp.arange(upper + 1), tnp.arange(-(n // 2), 0)]), dtype or tf.float64) / (n * d)


def rfftfreq(n: int, /, *, d: float = 1.0, dtype: Any = None) -> Any:
    """Return the frequencies of `rfft`, in cycles per unit of the spacing `d`."""
    return tf.cast(tnp.arange(n // 2 + 1), dtype or tf.float64) / (n * d)


def fftshift(x: Any, /, *, axes: Any = None) -> Any:
    """Bring the frequency zero to the middle."""
    return tf.signal.fftshift(x, axes)


def ifftshift(x: Any, /, *, axes: Any = None) -> Any:
    """Bring the frequency zero back to the start."""
    return tf.signal.ifftshift(x, axes)


def __getattr__(name: str) -> Any:
    raise lacking(f"fft.{name}")


def _forward(transform: Callable[[Any], Any], x: Any, n: int | None, axis: int, norm: str) -> Any:
    size = x.shape[axis] if n is None else n
    y = transform(_resized(tnp.moveaxis(x, axis, -1), size))
    return tnp.moveaxis(_scaled(y, size, -_power(norm)), -1, axis)


def _inverse(transform: Callable[[Any], Any], x: Any, size: int, read: int, axis: int, norm: str) -> Any:
    """Transform back `read` numbers into `size`; TensorFlow divides by `size`."""
    y = transform(_resized(tnp.moveaxis(x, axis, -1), read))
    return tnp.moveaxis(_scaled(y, size, _power(norm)), -1, axis)


def _power(norm: str) -> float:
    if norm not in NORMS:
        raise ValueError(f"norm={norm!r} is unknown. Accepted: {', '.join(map(repr, NORMS))}.")
    return NORMS[norm]


def _scaled(y: Any, size: int, power: float) -> Any:
    return y if not power else y * tf.constant(float(size) ** power, y.dtype)


def _complex(x: Any) -> Any:
    if x.dtype.is_complex:
        return x
    return tf.cast(x, tf.complex64 if x.dtype == tf.float32 else tf.complex128)


def _resized(x: Any, size: int) -> Any:
    """Cut the last axis off, or fill it up with zeros."""
    lacking = size - x.shape[-1]
    if lacking <= 0:
        return x[..., :size]
    return tf.pad(x, [[0, 0]] * (len(x.shape) - 1) + [[0, lacking]])


def _sizes(x: Any, s: Sequence[int] | None, axes: Sequence[int] | None) -> list[tuple[int | None, int]]:
    axes = range(-len(s or x.shape), 0) if axes is None else axes
    return list(zip(s or [None] * len(axes), axes, strict=True))
