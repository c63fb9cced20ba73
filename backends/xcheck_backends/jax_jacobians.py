"""JAX's ways to whole Jacobians: engines for many products, and its own calls.

Every run is in 64 bits exactly where the inputs are, as in the adapter; that costs two microseconds at most. Seeds are
arguments of what is compiled: as constants, XLA would fold them for seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from xcheck_backends.jax_calls import as_arrays, is_missing_rule, is_wide, wide_scope
from xcheck_backends.offers import Engine, OwnCall, Run

FlatMap = Callable[[Sequence[Any], Sequence[Any]], Sequence[Any]]
Finish = Callable[[Sequence[Any], Sequence[Any]], Sequence[Any]]
Pieces = Callable[[FlatMap, Sequence[Any], Sequence[Any]], list[Any]]
"""Takes `f`, `xs` and `held`; returns flat arrays, in operations that JAX can trace."""

UNROLLED = 8
"""The number of products up to which a compiled loop is written out: measured, a fifth faster than mapping for four."""


def engines() -> tuple[Engine, ...]:
    """Return the ways to make many products.

    Measured: mapping pullbacks pays from four on. In a new process, JAX compiles operator by operator what is not
    compiled as a whole, for new shapes anew, so that the first run of "jitted vjp" takes half as long as theirs.
    """
    return (
        Engine("vjp loop", "vjp", _vjp_loop, loops=True, pays_from=1),
        Engine("vmapped vjp", "vjp", _eager(_mapped_pulls), pays_from=4),
        Engine("jitted vjp", "vjp", _jitted(_mapped_pulls), compiles=True),
        Engine("jitted vjp loop", "vjp", _jitted(_looped_pulls), compiles=True, loops=True),
        Engine("jvp loop", "jvp", _jvp_loop, loops=True, pays_from=1),
        Engine("vmapped jvp", "jvp", _eager(_mapped_pushes)),
        Engine("jitted jvp", "jvp", _jitted(_mapped_pushes), compiles=True),
    )


def own_calls(quantity: str) -> tuple[OwnCall, ...]:
    """Return JAX's calls for a quantity, each by itself and compiled."""
    return tuple(
        call
        for name, mode, pieces, default in _CALLS.get(quantity, ())
        for call in _both(name, mode, pieces, default, alone=quantity == "batch" and "vmap" in name)
    )


def _both(name: str, mode: str, pieces: Pieces, default: bool, alone: bool) -> tuple[OwnCall, OwnCall]:
    def eager(f: FlatMap, xs: Sequence[Any], held: Sequence[Any]) -> Run:  # noqa: ARG001
        return _scoped(lambda inputs, constants: pieces(f, inputs, constants), xs)

    def compiled(f: FlatMap, xs: Sequence[Any], held: Sequence[Any]) -> Run:  # noqa: ARG001
        import jax

        return _scoped(jax.jit(lambda inputs, constants: pieces(f, inputs, constants)), xs)

    return (
        OwnCall(name, mode, eager, default=default, samples_alone=alone),
        OwnCall(f"jax.jit({name})", mode, compiled, compiles=True, samples_alone=alone),
    )


def _scoped(compute: Run, xs: Sequence[Any]) -> Run:
    """Run in 64 bits if `xs` are, and tell missing rules as such."""
    import jax

    wide, settings = is_wide(xs), jax.config

    def run(xs: Sequence[Any], held: Sequence[Any]) -> Sequence[Any]:
        try:
            if not wide or settings.jax_enable_x64:
                return compute(list(xs), list(held))
            with wide_scope():
                return compute(list(xs), list(held))
        except (TypeError, ValueError, AttributeError) as error:
            if not is_missing_rule(error):
                raise
            raise NotImplementedError(str(error)) from error

    return run


Products = Callable[[Callable[..., list[Any]], Sequence[Any], Sequence[Any]], list[Any]]
"""Takes a function of positional inputs, the inputs and the seeds; returns the products."""


def _eager(products: Products) -> Callable[..., Run]:
    def prepare(f: FlatMap, xs: Sequence[Any], held: Sequence[Any], seeds: Sequence[Any], finish: Finish) -> Run:  # noqa: ARG001
        return _scoped(
            lambda inputs, constants: list(finish(products(_positional(f, constants), inputs, seeds), seeds)), xs
        )

    return prepare


def _jitted(products: Products) -> Callable[..., Run]:
    def prepare(f: FlatMap, xs: Sequence[Any], held: Sequence[Any], seeds: Sequence[Any], finish: Finish) -> Run:  # noqa: ARG001
        import jax

        @jax.jit
        def compiled(inputs: list[Any], constants: list[Any], given: list[Any]) -> list[Any]:
            return list(finish(products(_positional(f, constants), inputs, given), given))

        rows = list(seeds)
        return _scoped(lambda inputs, constants: compiled(inputs, constants, rows), xs)

    return prepare


def _positional(f: FlatMap, held: Sequence[Any]) -> Callable[..., list[Any]]:
    return lambda *inputs: as_arrays(f(list(inputs), held))


def _mapped_pulls(g: Callable[..., list[Any]], xs: Sequence[Any], seeds: Sequence[Any]) -> list[Any]:
    import jax

    pull = _pullback(g, xs)
    return _of_one(pull, seeds) if seeds[0].shape[0] == 1 else list(jax.vmap(pull)(list(seeds)))


def _looped_pulls(g: Callable[..., list[Any]], xs: Sequence[Any], seeds: Sequence[Any]) -> list[Any]:
    import jax

    pull, k = _pullback(g, xs), seeds[0].shape[0]
    if k <= UNROLLED:
        return _stacked([pull([seed[i] for seed in seeds]) for i in range(k)])
    return list(jax.lax.map(pull, list(seeds)))


def _mapped_pushes(g: Callable[..., list[Any]], xs: Sequence[Any], seeds: Sequence[Any]) -> list[Any]:
    import jax

    def push(row: Sequence[Any]) -> list[Any]:
        return _pushed(g, xs, row)

    return _of_one(push, seeds) if seeds[0].shape[0] == 1 else list(jax.vmap(push)(list(seeds)))


def _of_one(product: Callable[[Sequence[Any]], list[Any]], seeds: Sequence[Any]) -> list[Any]:
    return [result[None] for result in product([seed[0] for seed in seeds])]


def _vjp_loop(f: FlatMap, xs: Sequence[Any], held: Sequence[Any], seeds: Sequence[Any], finish: Finish) -> Run:  # noqa: ARG001
    rows = _rows(seeds, xs)

    def compute(inputs: Sequence[Any], constants: Sequence[Any]) -> list[Any]:
        pull = _pullback(_positional(f, constants), inputs)
        return list(finish(_stacked([pull(row) for row in rows]), seeds))

    return _scoped(compute, xs)


def _jvp_loop(f: FlatMap, xs: Sequence[Any], held: Sequence[Any], seeds: Sequence[Any], finish: Finish) -> Run:  # noqa: ARG001
    rows = _rows(seeds, xs)

    def compute(inputs: Sequence[Any], constants: Sequence[Any]) -> list[Any]:
        g = _positional(f, constants)
        return list(finish(_stacked([_pushed(g, inputs, row) for row in rows]), seeds))

    return _scoped(compute, xs)


def _rows(seeds: Sequence[Any], xs: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Take seeds apart, once: to slice an array takes JAX as long as a small product."""
    take = _scoped(lambda arrays, _: [list(array) for array in arrays], xs)
    return list(zip(*take(seeds, ()), strict=True))


def _stacked(products: Sequence[Sequence[Any]]) -> list[Any]:
    import jax.numpy as jnp

    return [jnp.stack(column) for column in zip(*products, strict=True)]


def _pullback(g: Callable[..., list[Any]], xs: Sequence[Any]) -> Callable[[Sequence[Any]], list[Any]]:
    """Linearise `g`, and leave the outputs of integers out of what its pullback takes."""
    import jax
    import numpy as np

    ys, transpose = jax.vjp(g, *xs)
    fixed = [None if _is_real(y) else np.zeros(y.shape, jax.dtypes.float0) for y in ys]

    def pull(row: Sequence[Any]) -> list[Any]:
        return list(transpose([g if zero is None else zero for g, zero in zip(row, fixed, strict=True)]))

    return pull


def _pushed(g: Callable[..., list[Any]], xs: Sequence[Any], row: Sequence[Any]) -> list[Any]:
    import jax
    import jax.numpy as jnp

    ys, dys = jax.jvp(g, tuple(xs), tuple(row))
    return [dy if _is_real(y) else jnp.zeros(y.shape, xs[0].dtype) for y, dy in zip(ys, dys, strict=True)]


def _is_real(y: Any) -> bool:
    import jax.numpy as jnp

    return bool(jnp.issubdtype(y.dtype, jnp.inexact))


def _all(xs: Sequence[Any]) -> tuple[int, ...]:
    return tuple(range(len(xs)))


def _jacobian(transform: str) -> Pieces:
    def pieces(f: FlatMap, xs: Sequence[Any], held: Sequence[Any]) -> list[Any]:
        import jax

        return jax.tree.leaves(getattr(jax, transform)(_positional(f, held), argnums=_all(xs))(*xs))

    return pieces


def _batch(transform: str) -> Pieces:
    def pieces(f: FlatMap, xs: Sequence[Any], held: Sequence[Any]) -> list[Any]:
        import jax

        def one(*sample: Any) -> list[Any]:
            ys = as_arrays(f([x[None] for x in sample], held))
            for y in ys:
                if y.shape[:1] != (1,):
                    raise ValueError(f"of a batch of one sample, the function makes an output of shape {y.shape}")
            return [y[0] for y in ys]

        return jax.tree.leaves(jax.vmap(getattr(jax, transform)(one, argnums=_all(xs)))(*xs))

    return pieces


def _blocks_of_samples(f: FlatMap, xs: Sequence[Any], held: Sequence[Any]) -> list[Any]:
    """Take the Jacobian of the whole batch, and of that what belongs to one sample."""
    import jax
    import jax.numpy as jnp

    found = jax.jacrev(_positional(f, held), argnums=_all(xs))(*xs)
    pairs = [(block, block.ndim - x.ndim) for of_one in found for block, x in zip(of_one, xs, strict=True)]
    return [jnp.moveaxis(jnp.diagonal(block, axis1=0, axis2=axis), -1, 0) for block, axis in pairs]


def _diagonal_of_jacobian(f: FlatMap, xs: Sequence[Any], held: Sequence[Any]) -> list[Any]:
    import jax
    import jax.numpy as jnp

    found = jax.jacrev(_positional(f, held), argnums=_all(xs))(*xs)
    return [
        jnp.diagonal(of_one[i].reshape(x.size, x.size)).reshape(x.shape)
        for i, (of_one, x) in enumerate(zip(found, xs, strict=True))
    ]


def _entries_of_pushes(f: FlatMap, xs: Sequence[Any], held: Sequence[Any]) -> list[Any]:
    """Push every unit vector forward in one mapped call, and take its own entry of the result."""
    import jax
    import jax.numpy as jnp

    g = _positional(f, held)

    def diagonal(i: int) -> Any:
        def entry(j: Any) -> Any:
            unit = jnp.zeros(xs[i].size, xs[i].dtype).at[j].set(1).reshape(xs[i].shape)
            dy = jax.jvp(lambda x: g(*xs[:i], x, *xs[i + 1 :])[i], (xs[i],), (unit,))[1]
            if dy.size != xs[i].size:
                raise ValueError(
                    f"output {i} of shape {dy.shape} and its input of shape {xs[i].shape} have no diagonal"
                )
            return dy.ravel()[j]

        return jax.vmap(entry)(jnp.arange(xs[i].size)).reshape(xs[i].shape)

    return [diagonal(i) for i in range(len(xs))]


def _hessian(outer: str, inner: str) -> Pieces:
    def pieces(f: FlatMap, xs: Sequence[Any], held: Sequence[Any]) -> list[Any]:
        import jax

        scalar, every = _positional(f, held), _all(xs)
        gradient = getattr(jax, inner)(lambda *inputs: scalar(*inputs)[0], argnums=every)
        return jax.tree.leaves(getattr(jax, outer)(gradient, argnums=every)(*xs))

    return pieces


def _jax_hessian(f: FlatMap, xs: Sequence[Any], held: Sequence[Any]) -> list[Any]:
    import jax

    scalar = _positional(f, held)
    return jax.tree.leaves(jax.hessian(lambda *inputs: scalar(*inputs)[0], argnums=_all(xs))(*xs))


_CALLS: dict[str, tuple[tuple[str, str, Pieces, bool], ...]] = {
    "jacobian": (
        ("jax.jacrev", "vjp", _jacobian("jacrev"), True),
        ("jax.jacfwd", "jvp", _jacobian("jacfwd"), False),
    ),
    "batch": (
        ("jax.vmap(jax.jacrev)", "vjp", _batch("jacrev"), True),
        ("jax.vmap(jax.jacfwd)", "jvp", _batch("jacfwd"), False),
        ("jax.jacrev and its blocks", "vjp", _blocks_of_samples, False),
    ),
    "diagonal": (
        ("jnp.diagonal(jax.jacrev)", "vjp", _diagonal_of_jacobian, True),
        ("jax.vmap(jax.jvp)", "jvp", _entries_of_pushes, False),
    ),
    "hessian": (
        ("jax.hessian", "jvp", _jax_hessian, True),
        ("jax.jacrev(jax.jacrev)", "vjp", _hessian("jacrev", "jacrev"), False),
        ("jax.jacrev(jax.jacfwd)", "vjp", _hessian("jacrev", "jacfwd"), False),
    ),
}
"""By quantity: name, mode, pieces, and whether it is what users call; `jax.hessian` is jacfwd(jacrev)."""
