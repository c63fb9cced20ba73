"""Which products make a derivative, and how it is read off them.

A recipe names seeds, and three steps: `reduce` what a chunk of products leaves, join the chunks along the first axis,
`finish` the whole. All three are operations of the backend's array namespace, so that they can be compiled with the
products.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xcheck.protocol import Native
from xcheck.space import Block, Space
from xcheck.strategies.primal import Primal

SAMPLES = "samples do not mix"
ELEMENTWISE = "outputs depend on their own input alone"
PATTERN = "no entry lies outside of the pattern"

Seeds = Callable[[int, int], list[NDArray[Any]]]
"""Makes the seeds from the first to before the second number: one array for each block, with a leading axis."""


@dataclass(frozen=True)
class Recipe:
    """Seeds, and what is made of the products with them.

    Attributes:
        name: what is done, in a few words.
        mode: "vjp" or "jvp".
        count: how many products it takes.
        seeds: makes some of the seeds.
        reduce: what is kept of a chunk of products; its arrays have the chunk's axis first.
        finish: makes the result of the joined chunks.
        assumes: what it relies on; empty if on nothing.
    """

    name: str
    mode: str
    count: int
    seeds: Seeds
    reduce: Callable[[Sequence[Native], Sequence[Native]], list[Native]]
    finish: Callable[[Sequence[Native]], list[Native]]
    assumes: str = ""

    def whole(self, products: Sequence[Native], seeds: Sequence[Native]) -> list[Native]:
        """Make the result of all products at once."""
        return self.finish(self.reduce(products, seeds))


def jacobian_recipe(primal: Primal, mode: str) -> Recipe:
    """Make a Jacobian of its rows (m pullbacks) or its columns (n pushforwards)."""
    xp, outs, ins = _namespace(primal), primal.outputs.blocks, primal.inputs.blocks

    def by_rows(rows: Sequence[Native]) -> list[Native]:
        return [
            xp.reshape(_cut(rows[i], out, len(outs)), (*out.shape, *x.shape)) for out in outs for i, x in enumerate(ins)
        ]

    def by_columns(columns: Sequence[Native]) -> list[Native]:
        return [
            xp.reshape(_last(xp, _cut(columns[o], x, len(ins))), (*out.shape, *x.shape))
            for o, out in enumerate(outs)
            for x in ins
        ]

    space = primal.outputs if mode == "vjp" else primal.inputs
    finish = by_rows if mode == "vjp" else by_columns
    return Recipe("", mode, space.size, _units(space), _products, finish)


def batch_recipe(primal: Primal, mode: str) -> Recipe:
    """Make the Jacobians of all samples at once: an output's column of the whole batch is one pullback.

    Relies on samples that do not mix. Costs as many products as one sample has outputs (vjp) or inputs (jvp).
    """
    xp, outs, ins = _namespace(primal), primal.outputs.blocks, primal.inputs.blocks
    size = outs[0].shape[0]

    def by_rows(rows: Sequence[Native]) -> list[Native]:
        starts = np.cumsum([0, *(prod(out.shape[1:]) for out in outs)])
        return [
            xp.reshape(
                _second(xp, rows[i][int(a) : int(b)] if len(outs) > 1 else rows[i]),
                (size, *out.shape[1:], *x.shape[1:]),
            )
            for out, a, b in zip(outs, starts[:-1], starts[1:], strict=True)
            for i, x in enumerate(ins)
        ]

    def by_columns(columns: Sequence[Native]) -> list[Native]:
        starts = np.cumsum([0, *(prod(x.shape[1:]) for x in ins)])
        return [
            xp.reshape(
                _last(xp, columns[o][int(a) : int(b)] if len(ins) > 1 else columns[o]),
                (size, *out.shape[1:], *x.shape[1:]),
            )
            for o, out in enumerate(outs)
            for x, a, b in zip(ins, starts[:-1], starts[1:], strict=True)
        ]

    blocks = outs if mode == "vjp" else ins
    count = sum(prod(block.shape[1:]) for block in blocks)
    finish = by_rows if mode == "vjp" else by_columns
    return Recipe("batch sums", mode, count, _every_sample(blocks), _products, finish, SAMPLES)


def apart_recipe(primal: Primal, mode: str) -> Recipe:
    """Make the Jacobians of all samples of their rows (m pullbacks) or columns (n pushforwards), one by one.

    Relies on nothing: what a sample's output has of other samples is left out, and not added.
    """
    xp, outs, ins = _namespace(primal), primal.outputs.blocks, primal.inputs.blocks
    size = outs[0].shape[0]
    seeded, others = (outs, ins) if mode == "vjp" else (ins, outs)

    def reduce(products: Sequence[Native], seeds: Sequence[Native]) -> list[Native]:
        own = [xp.sum(xp.reshape(s, (s.shape[0], size, prod(s.shape[2:]))), axis=2) for s in seeds]
        whose = xp.reshape(sum(own[1:], own[0]), (seeds[0].shape[0], size, 1))
        cubes = [xp.reshape(p, (p.shape[0], size, prod(p.shape[2:]))) for p in products]
        return [xp.sum(xp.where(whose != 0, cube, xp.zeros_like(cube)), axis=1) for cube in cubes]

    def finish(parts: Sequence[Native]) -> list[Native]:
        found = {}
        for k, block in enumerate(seeded):
            for other, part in enumerate(parts):
                each = prod(block.shape[1:]), prod(others[other].shape[1:])
                cube = xp.reshape(_cut(part, block, len(seeded)), (size, *each))
                if mode == "vjp":
                    found[k, other] = cube
                else:
                    found[other, k] = xp.permute_dims(cube, (0, 2, 1))
        return [
            xp.reshape(found[o, i], (size, *out.shape[1:], *x.shape[1:]))
            for o, out in enumerate(outs)
            for i, x in enumerate(ins)
        ]

    space = primal.outputs if mode == "vjp" else primal.inputs
    return Recipe("unit vectors", mode, space.size, _units(space), reduce, finish)


def diagonal_recipe(primal: Primal, mode: str) -> Recipe:
    """Take every diagonal entry off the product with its unit vector: n products, of which n numbers are kept."""
    xp = _namespace(primal)

    def reduce(products: Sequence[Native], seeds: Sequence[Native]) -> list[Native]:
        shapes = [(p.shape[0], prod(p.shape[1:])) for p in products]
        flat = [(xp.reshape(p, k), xp.reshape(s, k)) for p, s, k in zip(products, seeds, shapes, strict=True)]
        terms = [xp.sum(xp.where(s != 0, p, xp.zeros_like(p)), axis=1) for p, s in flat]
        return [sum(terms[1:], terms[0])]

    def finish(parts: Sequence[Native]) -> list[Native]:
        return [xp.reshape(parts[0][b.slice], b.shape) for b in primal.inputs.blocks]

    space = primal.outputs if mode == "vjp" else primal.inputs
    return Recipe("unit vectors", mode, space.size, _units(space), reduce, finish)


def elementwise_recipe(primal: Primal, mode: str) -> Recipe:
    """Take the diagonal off one product with ones, which holds it where nothing lies beside it."""
    blocks = primal.outputs.blocks if mode == "vjp" else primal.inputs.blocks

    def seeds(start: int, stop: int) -> list[NDArray[Any]]:
        return [np.ones((stop - start, *block.shape)) for block in blocks]

    def finish(parts: Sequence[Native]) -> list[Native]:
        return [xp.reshape(part, x.shape) for part, x in _zipped(parts, primal.inputs.blocks)]

    xp = _namespace(primal)
    return Recipe("ones", mode, 1, seeds, _products, finish, ELEMENTWISE)


def sparse_recipe(primal: Primal, mode: str, seeds: NDArray[Any], places: NDArray[np.int64], name: str) -> Recipe:
    """Read the values of all entries of a pattern off the products with one seed for each colour.

    Args:
        primal: the function.
        mode: "vjp" for a colouring of rows, "jvp" for one of columns.
        seeds: which vectors have which colour, shape (colours, m or n).
        places: where in the flattened products, shape (colours, n or m), each entry is found, shape (nnz,).
        name: what tables call it.
    """
    xp = _namespace(primal)
    space = primal.outputs if mode == "vjp" else primal.inputs
    native = primal.backend.from_numpy(as_places(places), like=primal.xs[0])

    def cut(start: int, stop: int) -> list[NDArray[Any]]:
        return _cut_seeds(space, np.asarray(seeds[start:stop], dtype=np.float64))

    def finish(parts: Sequence[Native]) -> list[Native]:
        flat = [xp.reshape(p, (p.shape[0], -1)) for p in parts]
        whole = flat[0] if len(flat) == 1 else xp.concat(flat, axis=1)
        return [xp.take(xp.reshape(whole, (-1,)), native, axis=0)]

    return Recipe(name, mode, len(seeds), cut, _products, finish, PATTERN)


def as_places(places: NDArray[np.int64]) -> NDArray[Any]:
    """Return indices in 32 bits where that is enough: not every framework has 64 of them."""
    return places.astype(np.int32) if places.max(initial=0) < 2**31 else places


def _namespace(primal: Primal) -> Any:
    return primal.backend.namespace()  # type: ignore[attr-defined]


def _products(products: Sequence[Native], seeds: Sequence[Native]) -> list[Native]:
    del seeds
    return list(products)


def _zipped(one: Sequence[Any], other: Sequence[Any]) -> Any:
    return zip(one, other, strict=True)


def _cut(stack: Native, block: Block, count: int) -> Native:
    return stack if count == 1 else stack[block.slice]


def _last(xp: Any, stack: Native) -> Native:
    """Move the first axis behind all others."""
    axes = len(stack.shape)
    return stack if axes == 1 else xp.permute_dims(stack, (*range(1, axes), 0))


def _second(xp: Any, stack: Native) -> Native:
    """Exchange the first axis and the second, that of the samples."""
    return xp.permute_dims(stack, (1, 0, *range(2, len(stack.shape))))


def _units(space: Space) -> Seeds:
    def seeds(start: int, stop: int) -> list[NDArray[Any]]:
        rows = np.zeros((stop - start, space.size))
        rows[np.arange(stop - start), np.arange(start, stop)] = 1.0
        return _cut_seeds(space, rows)

    return seeds


def _cut_seeds(space: Space, rows: NDArray[Any]) -> list[NDArray[Any]]:
    return [rows[:, block.slice].reshape(len(rows), *block.shape) for block in space.blocks]


def _every_sample(blocks: Sequence[Block]) -> Seeds:
    """Make unit vectors of one sample, the same for every sample of the batch."""
    sizes = [prod(block.shape[1:]) for block in blocks]
    starts = np.cumsum([0, *sizes])

    def seeds(start: int, stop: int) -> list[NDArray[Any]]:
        arrays = []
        for block, size, first in zip(blocks, sizes, starts[:-1], strict=True):
            one = np.zeros((stop - start, 1, size))
            for k in range(max(start, first), min(stop, first + size)):
                one[k - start, 0, k - first] = 1.0
            whole = np.broadcast_to(one, (stop - start, block.shape[0], size))
            arrays.append(whole.reshape(stop - start, *block.shape))
        return arrays

    return seeds
