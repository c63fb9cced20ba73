"""What every call into TensorFlow needs: tensors, its tape and its accumulator, and missing rules told as such."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

Function = Callable[[Sequence[Any]], Sequence[Any]]

NO_RULE = ("gradient registry has no entry", "No gradient defined for operation")
"""What a LookupError of TensorFlow says when it means that an operator has no rule."""


@contextmanager
def missing_rules() -> Iterator[None]:
    """Raise NotImplementedError for what TensorFlow raises where a rule is missing."""
    try:
        yield
    except LookupError as error:
        if not is_missing_rule(error):
            raise
        raise NotImplementedError(str(error)) from error


def is_missing_rule(error: Exception) -> bool:
    """Tell whether TensorFlow raised an error because a rule is missing."""
    return any(text in str(error) for text in NO_RULE)


def as_tensors(ys: Sequence[Any]) -> list[Any]:
    """Make tensors of a function's outputs, which may be numbers, variables or sparse gradients."""
    import tensorflow as tf

    return [tf.convert_to_tensor(y) for y in ys]


def has_derivative(x: Any) -> bool:
    """Tell whether a tensor is of real or complex numbers."""
    return bool(x.dtype.is_floating or x.dtype.is_complex)


def recorded(f: Function, xs: Sequence[Any]) -> tuple[list[Any], Callable[[Sequence[Any]], list[Any]]]:
    """Record `f(xs)` on a persistent tape; return its values and its pullback, with None for what is unconnected.

    Raises:
        NotImplementedError: something in `f` has no gradient. TensorFlow tells so when the pullback is called.
    """
    import tensorflow as tf

    wanted = [x for x in xs if has_derivative(x)]

    def record() -> tuple[Any, list[Any]]:
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(wanted)
            return tape, as_tensors(f(list(xs)))

    tape, ys = record()

    def pullback(cotangents: Sequence[Any]) -> list[Any]:
        pairs = [(y, g) for y, g in zip(ys, cotangents, strict=True) if has_derivative(y)]
        if not pairs or not wanted:
            return [None] * len(xs)
        targets, weights = [y for y, _ in pairs], [g for _, g in pairs]
        with missing_rules():
            try:
                gradients = iter(tape.gradient(targets, wanted, output_gradients=weights))
            except tf.errors.UnknownError as error:
                if "pyfunc_" not in str(error):  # tf.py_function forgets its own tape after one gradient
                    raise
                again, values = record()
                targets = [y for y in values if has_derivative(y)]
                gradients = iter(again.gradient(targets, wanted, output_gradients=weights))
        return [_dense(next(gradients)) if has_derivative(x) else None for x in xs]

    return ys, pullback


def _dense(gradient: Any) -> Any:
    return None if gradient is None else as_tensors([gradient])[0]


def pushed(f: Function, xs: Sequence[Any], tangents: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Push tangents forward through `f`; return its values and their tangents, with None for what is unconnected.

    Raises:
        NotImplementedError: something in `f` has no forward rule.
    """
    import tensorflow as tf

    primals = [part for x in xs for part in _real_parts(x)]
    directions = [part for x, t in zip(xs, tangents, strict=True) if has_derivative(x) for part in _real_parts(t)]
    with missing_rules(), tf.autodiff.ForwardAccumulator(primals, directions) as accumulator:
        parts = iter(primals)
        ys = as_tensors(f([_from_real_parts(x, parts) for x in xs]))
    dys = [_dense(accumulator.jvp(y)) if has_derivative(y) else None for y in ys]
    silent = [i for i, (y, dy) in enumerate(zip(ys, dys, strict=True)) if dy is None and has_derivative(y)]
    if silent and _connected(f, xs, silent):
        raise NotImplementedError(
            "ForwardAccumulator lost the tangent of an output that the tape connects to the inputs: something "
            "between them has no forward rule, such as a tf.custom_gradient whose rule computes with NumPy"
        )
    return ys, dys


def _real_parts(x: Any) -> list[Any]:
    """Forward mode watches real tensors only; a complex one is put together from two."""
    import tensorflow as tf

    if not has_derivative(x):
        return []
    return [tf.math.real(x), tf.math.imag(x)] if x.dtype.is_complex else [x]


def _from_real_parts(x: Any, parts: Iterator[Any]) -> Any:
    import tensorflow as tf

    if not has_derivative(x):
        return x
    return tf.complex(next(parts), next(parts)) if x.dtype.is_complex else next(parts)


def _connected(f: Function, xs: Sequence[Any], outputs: Sequence[int]) -> bool:
    import tensorflow as tf

    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        wanted = [x for x in xs if has_derivative(x)]
        tape.watch(wanted)
        ys = as_tensors(f(list(xs)))
    with missing_rules():
        return any(g is not None for i in outputs for g in tape.gradient(ys[i], wanted))


@contextmanager
def without_messages() -> Iterator[None]:
    """Keep back what TensorFlow logs of operators that it cannot map: their points are evaluated one by one."""
    import tensorflow as tf

    logger = tf.get_logger()
    silent = logging.Filter("nobody")
    logger.addFilter(silent)
    try:
        yield
    finally:
        logger.removeFilter(silent)


DECORATOR = "/tensorflow/python/ops/custom_gradient.py"
"""The file that applies `tf.custom_gradient`."""

OWN = ("/tensorflow/", "/keras/", "/tf_keras/", "/tensorflow_probability/")
"""Packages whose custom gradients are no user's, as they stand in paths."""


def is_custom(frames: Sequence[tuple[str, str]]) -> bool:
    """Tell whether a stack of (file, function) has a `tf.custom_gradient` that was called from a user's code."""
    files = [path.replace("\\", "/") for path, _ in frames]
    first = next((i for i, path in enumerate(files) if path.endswith(DECORATOR)), 0)
    return first > 0 and not any(f"-packages{package}" in files[first - 1] for package in OWN)
