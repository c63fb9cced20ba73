"""Functions of any framework as NumPy functions R^n -> R^m with a vjp: what checkers without a framework take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from cases.case import Case

from peers.inputs import flaw_mode, is_float64, kind, merged, require_plain, varying
from peers.outcome import NotApplicable

Array = np.ndarray


@dataclass(frozen=True)
class Flat:
    """A case, flat.

    Attributes:
        x: the point, shape (n,), float64.
        value: maps (n,) to all floating outputs laid end to end, (m,).
        vjp: maps a point (n,) and a cotangent (m,) to the claimed product, (n,).
    """

    x: Array
    value: Callable[[Array], Array]
    vjp: Callable[[Array, Array], Array]

    def jacobian(self) -> Array:
        """Return the claimed Jacobian at the point, (m, n); m vjps."""
        m = self.value(self.x).size
        return np.array([self.vjp(self.x, unit) for unit in np.eye(m)])


def flat(case: Case) -> Flat:
    """Flatten a case whose varying inputs are all float64.

    Raises:
        NotApplicable: they are not, or forward mode is at stake.
    """
    require_plain(case, ("torch", "jax", "tensorflow", "numpy"), order=1)
    if flaw_mode(case) == "jvp" and case.framework != "jax":
        raise NotApplicable("no forward mode")
    positions = varying(case)
    chosen = [case.inputs[k] for k in positions]
    if not chosen or not all(is_float64(x) for x in chosen):
        raise NotApplicable("for float64 only")
    shapes = [tuple(np.shape(x)) for x in chosen]
    call, pull = _CALLS[case.framework](case, positions)
    x = np.concatenate([np.ravel(_to_numpy(x)) for x in chosen]).astype(np.float64)
    sizes = np.cumsum([int(np.prod(s)) for s in shapes])[:-1]

    def split(x: Array) -> list[Array]:
        return [part.reshape(s) for part, s in zip(np.split(x, sizes), shapes, strict=True)]

    def value(x: Array) -> Array:
        return _joined(call(split(x)))

    def vjp(x: Array, w: Array) -> Array:
        return np.concatenate([np.ravel(g) for g in pull(split(x), np.asarray(w, np.float64))]).astype(np.float64)

    return Flat(x, value, vjp)


def leaves(tree: Any) -> Iterator[Any]:
    """Yield the leaves of nested tuples, lists and dictionaries."""
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, (tuple, list)):
        for item in tree:
            yield from leaves(item)
    else:
        yield tree


def _to_numpy(array: Any) -> Array:
    return np.asarray(array.detach().numpy() if hasattr(array, "detach") else array)


def _joined(outputs: list[Array]) -> Array:
    return np.concatenate([np.ravel(y) for y in outputs]).astype(np.float64)


def _real(outputs: list[Any]) -> list[Any]:
    if any(kind(y) == "c" for y in outputs):
        raise NotApplicable("complex outputs")
    floating = [y for y in outputs if kind(y) == "f"]
    if not floating:
        raise NotApplicable("no floating outputs")
    return floating


def _pieces(w: Array, outputs: list[Any]) -> list[Array]:
    ends = np.cumsum([int(np.prod(np.shape(y))) for y in outputs])[:-1]
    return [part.reshape(tuple(np.shape(y))) for part, y in zip(np.split(w, ends), outputs, strict=True)]


Calls = tuple[Callable[[list[Array]], list[Array]], Callable[[list[Array], Array], list[Array]]]


def _torch(case: Case, positions: list[int]) -> Calls:
    import torch

    def run(xs: list[Array], grad: bool) -> tuple[list[Any], list[Any]]:
        tensors = [torch.tensor(x, dtype=torch.float64, requires_grad=grad) for x in xs]
        return tensors, _real(list(leaves(case.f(*merged(case, positions, tensors)))))

    def call(xs: list[Array]) -> list[Array]:
        return [y.detach().numpy() for y in run(xs, False)[1]]

    def pull(xs: list[Array], w: Array) -> list[Array]:
        tensors, outputs = run(xs, True)
        pairs = [(y, torch.tensor(g).to(y.dtype)) for y, g in zip(outputs, _pieces(w, outputs), strict=True)]
        pairs = [(y, g) for y, g in pairs if y.requires_grad]
        if not pairs:
            return [np.zeros_like(x) for x in xs]
        found = torch.autograd.grad([y for y, _ in pairs], tensors, [g for _, g in pairs], allow_unused=True)
        return [np.zeros_like(x) if g is None else g.detach().numpy() for x, g in zip(xs, found, strict=True)]

    return call, pull


def _jax(case: Case, positions: list[int]) -> Calls:
    import jax
    import jax.numpy as jnp

    def function(*xs: Any) -> list[Any]:
        return _real(list(leaves(case.f(*merged(case, positions, xs)))))

    def call(xs: list[Array]) -> list[Array]:
        with jax.enable_x64(True):
            return [np.asarray(y) for y in function(*[jnp.asarray(x) for x in xs])]

    def pull(xs: list[Array], w: Array) -> list[Array]:
        with jax.enable_x64(True):
            outputs, back = jax.vjp(function, *[jnp.asarray(x) for x in xs])
            weights = [jnp.asarray(g).astype(y.dtype) for y, g in zip(outputs, _pieces(w, outputs), strict=True)]
            return [np.asarray(g) for g in back(weights)]

    return call, pull


def _tensorflow(case: Case, positions: list[int]) -> Calls:
    import tensorflow as tf

    def run(xs: list[Any]) -> list[Any]:
        return _real(list(leaves(case.f(*merged(case, positions, xs)))))

    def call(xs: list[Array]) -> list[Array]:
        return [y.numpy() for y in run([tf.constant(x) for x in xs])]

    def pull(xs: list[Array], w: Array) -> list[Array]:
        tensors = [tf.constant(x) for x in xs]
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            outputs = run(tensors)
        weights = [tf.cast(g, y.dtype) for y, g in zip(outputs, _pieces(w, outputs), strict=True)]
        found = tape.gradient(outputs, tensors, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return [tf.convert_to_tensor(g).numpy() for g in found]

    return call, pull


def _numpy(case: Case, positions: list[int]) -> Calls:
    given = next((name for name in ("gradient", "jacobian", "diagonal", "vjp") if name in case.options), None)
    if given is None:
        raise NotApplicable("no vjp, gradient or Jacobian was given")
    derivative = case.options[given]

    def native(xs: list[Array]) -> list[Any]:
        return merged(case, positions, [x if x.ndim else x[()] for x in xs])

    def call(xs: list[Array]) -> list[Array]:
        return _real([np.asarray(y) for y in leaves(case.f(*native(xs)))])

    def pull(xs: list[Array], w: Array) -> list[Array]:
        if given == "vjp":
            outputs = call(xs)
            if len(outputs) > 1:
                raise NotApplicable("a vjp of several outputs")
            return [np.asarray(g) for g in leaves(derivative(*native(xs), w.reshape(outputs[0].shape)))]
        claimed = derivative(*native(xs))
        if given == "gradient":
            return [w[0] * np.asarray(g) for g in leaves(claimed)]
        if given == "diagonal":
            return [w.reshape(np.shape(claimed)) * claimed]
        n, cells = sum(x.size for x in xs), [np.ravel(cell) for cell in leaves(claimed)]
        if len(cells) > 1 and any(y.size > 1 for y in call(xs)):
            raise NotApplicable("a nested Jacobian of arrays")
        return np.split(w @ np.concatenate(cells).reshape(w.size, n), np.cumsum([x.size for x in xs])[:-1])

    return call, pull


_CALLS: dict[str, Callable[[Case, list[int]], Calls]] = {
    "torch": _torch,
    "jax": _jax,
    "tensorflow": _tensorflow,
    "numpy": _numpy,
}
