"""Shapes: joining, splitting and rearranging."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

tnp = tf.experimental.numpy


def broadcast_shapes(*shapes: Sequence[int]) -> tuple[int, ...]:
    """Return the shape that arrays of these shapes broadcast to."""
    return np.broadcast_shapes(*map(tuple, shapes))


def concat(arrays: Sequence[Any], /, *, axis: int | None = 0) -> Any:
    """Join tensors along an axis, or as flat ones."""
    return tnp.concatenate(list(arrays), axis)


def reshape(x: Any, /, shape: Sequence[int] | int, *, copy: bool | None = None) -> Any:
    """Reshape; there is nothing to copy, since tensors do not change."""
    return tnp.reshape(x, shape)


def unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    """Split into tensors of one axis less."""
    return tuple(tf.unstack(x, axis=axis))
