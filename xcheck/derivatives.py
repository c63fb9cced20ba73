"""Derivatives out of the two linear maps: products, and the Jacobians that they add up to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from xcheck.claim import Claim, Quantity
from xcheck.problem import CHUNK, Problem
from xcheck.protocol import Function, Native, RealArray, SupportsBatch, supports_batch, supports_jvp, supports_vjp
from xcheck.space import Block

FEW = 65
"""Up to this many pushforwards are made one by one: not every framework can map forward mode, and asking costs time."""


class Reverse:
    """The pullback of a problem at its point: `w -> w^T J`.

    Attributes:
        outputs: the value as computed on the way, shape (m,).
        unconnected: names of the inputs that the framework returned None for.
    """

    def __init__(self, problem: Problem) -> None:
        """Run the function once in reverse mode.

        Raises:
            NotImplementedError: the backend has no reverse mode, or no reverse rule for this function.
        """
        if not supports_vjp(problem.backend):
            raise NotImplementedError(f"{problem.backend.name} has no reverse mode")
        self.problem = problem
        problem.pin()
        ys, self._native = problem.backend.vjp(problem.flat, problem.to_native(problem.x))
        self._likes = list(ys)
        self.outputs = problem.from_native(ys)
        self.unconnected: tuple[str, ...] = ()

    def pull(self, cotangent: RealArray) -> RealArray:
        """Pull one cotangent `(m,)` back to `(n,)`; places of unconnected inputs hold 0."""
        problem = self.problem
        problem.pin()
        gradients = list(self._native(self._cotangents(cotangent)))
        blocks = problem.inputs.blocks
        self.unconnected = tuple(b.name for b, g in zip(blocks, gradients, strict=True) if g is None)
        result = np.empty(problem.n)
        for i, block in enumerate(blocks):
            result[block.slice] = _pack(problem, gradients[i], block, (), "vjp")
            gradients[i] = None  # large ones are let go before the next is copied
        return result

    def pull_rows(self, cotangents: RealArray) -> RealArray:
        """Pull cotangents `(k, m)` back to `(k, n)`, in batched calls where that is possible and gives the same.

        The batched result is trusted only after a random combination of its rows equals one plain pullback.
        """
        if len(cotangents) >= getattr(self.problem.backend, "batch_from", 2) and not self.problem.random:
            rows = self._pull_batched(cotangents)
            if rows is not None:
                return rows
        return np.array([self.pull(w) for w in cotangents]).reshape(len(cotangents), self.problem.n)

    def _pull_batched(self, cotangents: RealArray) -> RealArray | None:
        backend = self.problem.backend
        weights = np.random.default_rng(0).uniform(1.0, 2.0, len(cotangents))
        expected = self.pull(combined(weights, cotangents))
        connected = [i for i, b in enumerate(self.problem.inputs.blocks) if b.name not in self.unconnected]
        if not supports_batch(backend) or not connected:
            return None

        def pull(ws: Sequence[Native]) -> list[Native]:
            gradients = self._native(ws)
            return [gradients[i] for i in connected]

        def join(found: Sequence[Native], count: int) -> RealArray:
            parts = iter(found)
            blocks = self.problem.inputs.blocks
            return self._join([next(parts) if i in connected else None for i in range(len(blocks))], (count,))

        return _batched(backend, pull, self.problem, cotangents, self._cotangents, join, weights, expected)

    def _cotangents(self, cotangents: RealArray) -> list[Native]:
        problem = self.problem
        arrays = problem.outputs.unpack(cotangents)
        return [problem.backend.from_numpy(a, like=y) for a, y in zip(arrays, self._likes, strict=True)]

    def _join(self, gradients: Sequence[Native | None], lead: tuple[int, ...]) -> RealArray:
        blocks = self.problem.inputs.blocks
        parts = [_pack(self.problem, g, b, lead, "vjp") for g, b in zip(gradients, blocks, strict=True)]
        return np.concatenate(parts, axis=-1) if parts else np.zeros((*lead, 0))


class Forward:
    """The pushforward of a problem at its point: `v -> J v`."""

    def __init__(self, problem: Problem) -> None:
        """Prepare forward mode; nothing is evaluated yet.

        Raises:
            NotImplementedError: the backend has no forward mode.
        """
        if not supports_jvp(problem.backend):
            raise NotImplementedError(f"{problem.backend.name} has no forward mode")
        self.problem = problem
        self.backend = problem.backend
        self.outputs = np.full(problem.m, np.nan)
        self.unconnected: tuple[str, ...] = ()

    def push(self, tangent: RealArray) -> RealArray:
        """Push one tangent `(n,)` forward to `(m,)`; places of unconnected outputs hold 0.

        Raises:
            NotImplementedError: the framework has no forward rule for something in this function.
        """
        problem = self.problem
        problem.pin()
        xs, tangents = problem.to_native(problem.x), problem.to_native(tangent)
        ys, dys = self.backend.jvp(problem.flat, xs, tangents)
        self.outputs = problem.from_native(ys)
        blocks = problem.outputs.blocks
        self.unconnected = tuple(b.name for b, dy in zip(blocks, dys, strict=True) if dy is None)
        return self._join(dys, ())

    def push_rows(self, tangents: RealArray) -> RealArray:
        """Push tangents `(k, n)` forward to `(k, m)`, in batched calls where that is possible and gives the same.

        The batched result is trusted only after a random combination of its rows equals one plain pushforward.
        """
        if len(tangents) >= max(getattr(self.backend, "batch_from", 2), FEW) and not self.problem.random:
            rows = self._push_batched(tangents)
            if rows is not None:
                return rows
        return np.array([self.push(v) for v in tangents]).reshape(len(tangents), self.problem.m)

    def _push_batched(self, tangents: RealArray) -> RealArray | None:
        problem, backend = self.problem, self.backend
        weights = np.random.default_rng(0).uniform(1.0, 2.0, len(tangents))
        expected = self.push(combined(weights, tangents))
        connected = [i for i, b in enumerate(problem.outputs.blocks) if b.name not in self.unconnected]
        if not supports_batch(backend) or not connected:
            return None
        xs = problem.to_native(problem.x)

        def push(vs: Sequence[Native]) -> list[Native]:
            _, dys = self.backend.jvp(problem.flat, xs, vs)
            return [dys[i] for i in connected]

        def join(found: Sequence[Native], count: int) -> RealArray:
            parts = iter(found)
            blocks = problem.outputs.blocks
            return self._join([next(parts) if i in connected else None for i in range(len(blocks))], (count,))

        return _batched(backend, push, problem, tangents, problem.to_native, join, weights, expected)

    def _join(self, dys: Sequence[Native | None], lead: tuple[int, ...]) -> RealArray:
        blocks = self.problem.outputs.blocks
        parts = [_pack(self.problem, dy, b, lead, "jvp") for dy, b in zip(dys, blocks, strict=True)]
        return np.concatenate(parts, axis=-1) if parts else np.zeros((*lead, 0))


def quantity_of(problem: Problem) -> Quantity:
    """Call the derivative of a single 0-d output a gradient, anything else a Jacobian."""
    return "gradient" if problem.m == 1 and not problem.outputs.blocks[0].shape else "Jacobian"


def reverse_jacobian(problem: Problem) -> Claim:
    """Stack pullbacks of the standard basis as rows.

    Costs m pullbacks, in few batched calls where the backend can. The error is rounding only.

    Returns:
        A claim whose value has shape (m, n).

    Raises:
        NotImplementedError: there is no reverse rule.
    """
    reverse = Reverse(problem)
    value = reverse.pull_rows(np.eye(problem.m))
    source = f"{problem.backend.name}/vjp"
    return Claim(quantity_of(problem), value, source, problem.precision, reverse.outputs, reverse.unconnected)


def forward_jacobian(problem: Problem) -> Claim:
    """Stack pushforwards of the standard basis as columns.

    Costs n pushforwards. The error is rounding only.

    Returns:
        A claim whose value has shape (m, n).

    Raises:
        NotImplementedError: there is no forward rule.
    """
    forward = Forward(problem)
    value = forward.push_rows(np.eye(problem.n)).T
    source = f"{problem.backend.name}/jvp"
    return Claim(quantity_of(problem), value, source, problem.precision, forward.outputs, forward.unconnected)


def first_claim(problem: Problem) -> Claim | None:
    """Return the Jacobian by reverse mode, or by forward mode where that has no rule; None where neither works."""
    for derive in (reverse_jacobian, forward_jacobian):
        try:
            return derive(problem)
        except Exception:  # no such mode, no rule, or none in this dtype
            continue
    return None


def _batched(
    backend: SupportsBatch,
    product: Function,
    problem: Problem,
    vectors: RealArray,
    to_native: Callable[[RealArray], list[Native]],
    join: Callable[[Sequence[Native], int], RealArray],
    weights: RealArray,
    expected: RealArray,
) -> RealArray | None:
    """Map a product over many vectors; None if the framework cannot, or if the result is not the plain one."""
    step = max(1, CHUNK // max(1, problem.n + problem.m))
    parts = []
    try:
        mapped = backend.batch(product)
        for start in range(0, len(vectors), step):
            part = vectors[start : start + step]
            parts.append(join(mapped(to_native(part)), len(part)))
    except Exception:
        return None  # an operator without a batching rule: the plain loop is always right
    rows = parts[0] if len(parts) == 1 else np.concatenate(parts)
    bound = 2.0 ** (8 - problem.precision) * combined(weights, np.abs(rows)) + np.finfo(np.float64).tiny
    return rows if np.all(np.abs(combined(weights, rows) - expected) <= bound) else None


def combined(weights: RealArray, rows: RealArray) -> RealArray:
    """Return `weights @ rows`, without the threads of a matrix product, which go on waiting for work after it."""
    return np.asarray(np.einsum("k,kj->j", weights, rows))


def _pack(problem: Problem, native: Native | None, block: Block, lead: tuple[int, ...], mode: str) -> RealArray:
    if native is None:
        return np.zeros((*lead, block.size))
    array: Any = np.asarray(problem.backend.to_numpy(native))
    if array.shape != (*lead, *block.shape):
        raise ValueError(
            f"{problem.backend.name}'s {mode} of {problem.call.title} returned shape {array.shape[len(lead) :]} for "
            f"{block.name}, whose shape is {block.shape}."
        )
    return block.pack(array)
