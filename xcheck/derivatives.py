"""Derivatives out of the two linear maps: products, and the Jacobians that they add up to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import floor, inf, log2
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xcheck.claim import Claim, Quantity
from xcheck.problem import CHUNK, Problem
from xcheck.protocol import Function, Native, RealArray, SupportsBatch, supports_batch, supports_jvp, supports_vjp
from xcheck.space import Block, combined

ENLARGED = {53: 10, 24: 2, 11: 4, 8: 4}
"""Binary orders by which vectors grow to see whether a rule is linear, by significand bits of the dtype.

No more, since a rule that iterates until steps are below 1e-6 in float32, or 1e-12 in float64, never ends where one
unit in the last place of what it iterates is larger than that; and matrix exponentials lose bits with its size.
"""

UNITS = {53: 10, 24: 10, 11: 4, 8: 10}
"""Binary orders by which cotangents of a function with small values are larger than 1 to begin with, at most."""

REDUCED = {53: 20, 24: 2, 11: 4, 8: 4}
"""Binary orders by which they shrink."""

LEAST = {53: 2.0**-1022, 24: 2.0**-126, 11: 2.0**-14, 8: 2.0**-126}
"""The smallest number with all its bits, by significand bits of the dtype."""

DOUBTFUL = {53: 256.0, 24: 256.0, 11: 32.0, 8: 32.0}
"""Units of roundoff, next to the terms, by which sums of products may differ without a closer look."""

LARGEST = 53
"""Significand bits of float64, in which small vectors lose nothing."""

FEW = 65
"""Up to this many pushforwards are made one by one: not every framework can map forward mode, and asking costs time."""


class Reverse:
    """The pullback of a problem at its point: `w -> w^T J`.

    Attributes:
        outputs: the value as computed on the way, shape (m,).
        unconnected: names of the inputs that the framework returned None for.
        doubtful: whether a product showed something that a linear map does not do.
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
        self.doubtful = False

    def pull(self, cotangent: RealArray) -> RealArray:
        """Pull one cotangent `(m,)` back to `(n,)`; places of unconnected inputs hold 0."""
        return self.pull_native(self.cotangents(cotangent))

    def gradients(self, cotangents: Sequence[Native]) -> list[Native | None]:
        """Pull one cotangent back, made of native arrays, to native gradients; None marks an unconnected input."""
        self.problem.pin()
        return list(self._native(cotangents))

    def pull_native(self, cotangents: Sequence[Native]) -> RealArray:
        """Pull one cotangent back, made of native arrays."""
        problem, gradients = self.problem, self.gradients(cotangents)
        blocks = problem.inputs.blocks
        self.unconnected = tuple(b.name for b, g in zip(blocks, gradients, strict=True) if g is None)
        result = np.empty(problem.n)
        for i, block in enumerate(blocks):
            result[block.slice] = _pack(problem, gradients[i], block, (), "vjp")
            gradients[i] = None  # large ones are let go before the next is copied
        return result

    def pull_enlarged(self, cotangent: RealArray) -> RealArray:
        """Pull a large multiple of a cotangent back and divide by it: the same, unless the rule is not linear."""
        size = -enlarged(self.problem) * unit_cotangent(self.problem)
        with np.errstate(all="ignore"):
            result = self.pull(size * cotangent)
            result /= size
            return result if np.isfinite(np.sum(result)) else self.pull(cotangent)  # it may have overflowed

    def pull_rows(self, cotangents: RealArray, tested: bool = False) -> RealArray:
        """Pull cotangents `(k, m)` back to `(k, n)`, in batched calls where that is possible and gives the same.

        The batched result is trusted only after a random combination of its rows equals one plain pullback. That one
        is of an enlarged cotangent in memory of other strides, so that it tells whether the rule is linear as well.

        Args:
            cotangents: what to pull back.
            tested: whether to make that pullback, one more, where nothing is batched too.
        """
        count, unit = len(cotangents), unit_cotangent(self.problem)
        size = enlarged(self.problem) * unit
        weights = _weights(count)
        if count >= getattr(self.problem.backend, "batch_from", 2) and not self.problem.random:
            expected = self._pull_tested(-size * combined(weights, cotangents)) / -size
            rows = self._pull_batched(cotangents, weights, expected)
            if rows is not None:
                return rows
        rows = np.array([self.pull(w) for w in cotangents]).reshape(count, self.problem.n)
        if tested and count:
            weights = unit * _large_and_small(self.problem, weights)  # they meet where outputs share an input
            self._doubt(rows, weights, self._pull_tested(combined(weights, cotangents)))
            if count == 1 and self.problem.precision == LARGEST:  # nothing small was beside the large ones
                weights = weights * reduced(self.problem) / enlarged(self.problem)
                self._doubt(rows, weights, self._pull_tested(combined(weights, cotangents)))
        return rows

    def _doubt(self, rows: RealArray, weights: RealArray, expected: RealArray) -> None:
        units = DOUBTFUL[self.problem.precision]
        self.doubtful = self.doubtful or not _is_combination(self.problem, rows, weights, expected, units)

    def _pull_tested(self, cotangent: RealArray) -> RealArray:
        """Pull one cotangent back, in memory of other strides than usual, and look at it again afterwards.

        A rule that raises, for the strides or for the size, is doubtful; what it gives is then unknown.
        """
        cotangents = self.cotangents(cotangent, strided=True)
        try:
            result = self.pull_native(cotangents)
        except Exception:
            self.doubtful = True
            try:
                return self.pull(cotangent)
            except Exception:
                return np.full(self.problem.n, np.nan)
        if self.changed(cotangents, cotangent) is not None:
            self.doubtful = True
        return result

    def _pull_batched(self, cotangents: RealArray, weights: RealArray, expected: RealArray) -> RealArray | None:
        backend = self.problem.backend
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

        small = reduced(self.problem)
        more = np.vstack([cotangents, small * combined(weights, cotangents)])
        rows = _batched(backend, pull, self.problem, more, self.cotangents, join)
        if rows is None or not _is_combination(self.problem, rows[:-1], weights, expected):
            return None
        if self.problem.precision < 24:
            self._doubt(rows[:-1], weights, expected)
        self._doubt(rows[:-1], small * weights, rows[-1])
        return rows[:-1]

    def cotangents(self, cotangents: RealArray, strided: bool = False) -> list[Native]:
        """Turn cotangents `(*lead, m)` into native arrays, in memory of other strides if asked, where there is such."""
        problem = self.problem
        arrays = problem.outputs.unpack(cotangents)
        places = zip(arrays, self._likes, strict=True)
        if strided:
            return [_strided(problem, a, like=y) for a, y in places]
        return [problem.backend.from_numpy(a, like=y) for a, y in places]

    def changed(self, cotangents: Sequence[Native], cotangent: RealArray) -> RealArray | None:
        """Return what native cotangents made of `cotangent` hold now, None if they hold the same."""
        if not any(_has_strides(g) for g in cotangents):
            return None  # nobody can write to it
        arrays, read = self.problem.outputs.unpack(cotangent), self.problem.backend.to_numpy
        if all(np.array_equal(read(g), a) for g, a in zip(cotangents, arrays, strict=True)):
            return None
        return self.problem.from_native(cotangents)

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
            weights = np.random.default_rng(0).uniform(1.0, 2.0, len(tangents))
            expected = self.push(combined(weights, tangents))
            rows = self._push_batched(tangents)
            if rows is not None and _is_combination(self.problem, rows, weights, expected):
                return rows
        return np.array([self.push(v) for v in tangents]).reshape(len(tangents), self.problem.m)

    def _push_batched(self, tangents: RealArray) -> RealArray | None:
        problem, backend = self.problem, self.backend
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

        return _batched(backend, push, problem, tangents, problem.to_native, join)

    def _join(self, dys: Sequence[Native | None], lead: tuple[int, ...]) -> RealArray:
        blocks = self.problem.outputs.blocks
        parts = [_pack(self.problem, dy, b, lead, "jvp") for dy, b in zip(dys, blocks, strict=True)]
        return np.concatenate(parts, axis=-1) if parts else np.zeros((*lead, 0))


def quantity_of(problem: Problem) -> Quantity:
    """Call the derivative of a single 0-d output a gradient, anything else a Jacobian."""
    return "gradient" if problem.m == 1 and not problem.outputs.blocks[0].shape else "Jacobian"


def reverse_jacobian(problem: Problem) -> Claim:
    """Stack pullbacks of the standard basis as rows.

    Costs m + 1 pullbacks, in few batched calls where the backend can. The error is rounding only.

    Returns:
        A claim whose value has shape (m, n).

    Raises:
        NotImplementedError: there is no reverse rule.
    """
    reverse = Reverse(problem)
    value = reverse.pull_rows(np.eye(problem.m), tested=True)
    return Claim(
        quantity_of(problem),
        value,
        f"{problem.backend.name}/vjp",
        problem.precision,
        reverse.outputs,
        reverse.unconnected,
        reverse.doubtful,
    )


def forward_jacobian(problem: Problem, plain: bool = False) -> Claim:
    """Stack pushforwards of the standard basis as columns.

    Costs n pushforwards. The error is rounding only. Every other unit tangent, or a lone one, is enlarged by a power of
    two, which changes nothing unless the rule is not linear.

    Args:
        problem: the function.
        plain: whether to leave all unit tangents as they are.

    Returns:
        A claim whose value has shape (m, n).

    Raises:
        NotImplementedError: there is no forward rule.
    """
    forward = Forward(problem)
    sizes = np.ones(problem.n)
    if not plain and problem.n < FEW:
        sizes[1 if problem.n > 1 else 0 :: 2] = -enlarged(problem)
    value = (forward.push_rows(np.diag(sizes)) / sizes[:, None] + 0.0).T
    for j in np.flatnonzero((sizes != 1) & ~np.all(np.isfinite(value), axis=0)):
        value[:, j] = forward.push(np.eye(problem.n)[j])  # it may have overflowed
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


def enlarged(problem: Problem) -> float:
    """Return the power of two by which vectors grow to see whether a rule is linear."""
    return float(2.0 ** ENLARGED[problem.precision])


def reduced(problem: Problem) -> float:
    """Return the power of two by which they shrink."""
    return float(2.0 ** -REDUCED[problem.precision])


def unit_cotangent(problem: Problem) -> float:
    """Return a power of two, 1 or more, by which cotangents do to small values what those of 1 do to others.

    A rule inside a function that divides by a thousand gets cotangents of a thousandth.
    """
    largest = float(np.abs(problem.y).max(initial=0.0))
    known = 0 < largest < inf and 0 < problem.typical < inf
    orders = log2(problem.typical) - log2(largest) if known else 0.0
    return float(2.0 ** floor(min(max(orders, 0.0), UNITS[problem.precision])))


@lru_cache(maxsize=64)
def _weights(count: int) -> RealArray:
    """Draw the weights of a sum of products, every other one small."""
    weights = np.random.default_rng(0).uniform(1.0, 2.0, count)
    weights[::2] /= 8
    weights.flags.writeable = False
    return weights


def _large_and_small(problem: Problem, weights: RealArray) -> RealArray:
    scales = np.full(len(weights), -enlarged(problem))
    scales[1::3] = reduced(problem)
    return np.asarray(weights * scales)


def is_linear(
    problem: Problem, rows: RealArray, product: Callable[[RealArray], RealArray], sizes: RealArray | None = None
) -> bool:
    """Tell whether the product with one vector, large in some places and small in others, is that with a matrix.

    Args:
        problem: whose precision counts.
        rows: the products with unit vectors, shape (k, r).
        product: of a vector (k,), shape (r,).
        sizes: powers of two, how large its entries are instead, shape (k,).
    """
    weights = _weights(len(rows))
    weights = _large_and_small(problem, weights) if sizes is None else weights * sizes
    try:
        expected: RealArray = product(weights)
    except Exception:  # which says nothing of other vectors
        return False
    return _is_combination(problem, rows, weights, expected, DOUBTFUL[problem.precision])


def _is_combination(
    problem: Problem, rows: RealArray, weights: RealArray, expected: RealArray, units: float = 256.0
) -> bool:
    """Tell whether `weights @ rows` is what was `expected`, up to rounding."""
    unit, least = 2.0**-problem.precision, LEAST[problem.precision]
    with np.errstate(all="ignore"):
        terms = combined(np.abs(weights), np.abs(rows))
        bound = unit * (units * terms + 2 * (1 + np.abs(weights).sum()) * least)
        return bool(((np.abs(combined(weights, rows) - expected) <= bound) | ~np.isfinite(terms)).all())


def _has_strides(native: Native) -> bool:
    return callable(getattr(native, "stride", None))


def _strided(problem: Problem, array: NDArray[Any], like: Native) -> Native:
    """Copy `array` into native memory in which neighbouring entries lie apart; as usual where nobody sees memory."""
    make = problem.backend.from_numpy
    if not _has_strides(like) or array.size < 2:
        return make(array, like=like)
    if array.ndim == 1:
        return make(np.stack([array, np.zeros_like(array)], axis=1), like=like)[:, 0]
    return make(np.swapaxes(array, 0, -1), like=like).transpose(0, -1)


def _batched(
    backend: SupportsBatch,
    product: Function,
    problem: Problem,
    vectors: RealArray,
    to_native: Callable[[RealArray], list[Native]],
    join: Callable[[Sequence[Native], int], RealArray],
) -> RealArray | None:
    """Map a product over many vectors; None if the framework cannot."""
    step = max(1, CHUNK // max(1, problem.n + problem.m))
    parts = []
    try:
        mapped = backend.batch(product)
        for start in range(0, len(vectors), step):
            part = vectors[start : start + step]
            parts.append(join(mapped(to_native(part)), len(part)))
    except Exception:
        return None  # an operator without a batching rule: the plain loop is always right
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


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
