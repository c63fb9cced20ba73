"""Time what the contract costs: checks of small custom operators with it and without, interleaved, medians, in one run.

    python benchmarks/contract.py [--repeats 15] [--framework torch]

A ratio of 3 means that the contract takes twice what the check takes by itself. Times are the processor's,
since the clock tells little on a busy machine; they depend on it all the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from statistics import median
from time import process_time
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.table import Table

import xcheck

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

Operators = dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]

X = np.random.default_rng(0).normal(size=(3, 4))
W = np.random.default_rng(1).normal(size=(4, 5))
LIMIT = 3.0
"""What the ratio may be."""


def of_torch() -> Operators:
    """Return two subclasses of `torch.autograd.Function`, with and without a rule for vmap, and a `custom_op`."""
    torch = import_module("torch")
    torch.set_num_threads(1)

    class Sine(torch.autograd.Function):  # type: ignore[misc]
        generate_vmap_rule = True

        @staticmethod
        def forward(x: Any) -> Any:
            return x.sin()

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            del output
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * ctx.saved_tensors[0].cos()

    class Product(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, a: Any, b: Any) -> Any:
            ctx.save_for_backward(a, b)
            return a @ b

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            a, b = ctx.saved_tensors
            return g @ b.mT, a.mT @ g

    @torch.library.custom_op("xcheck_benchmark::cube", mutates_args=(), schema="(Tensor x) -> Tensor")  # type: ignore[misc]
    def cube(x: Any) -> Any:
        return x**3

    def keep(ctx: Any, inputs: Any, output: Any) -> None:
        del output
        ctx.save_for_backward(*inputs)

    cube.register_autograd(lambda ctx, g: 3 * g * ctx.saved_tensors[0] ** 2, setup_context=keep)
    x, w = torch.tensor(X), torch.tensor(W)
    return {
        "sine": (Sine.apply, (x,)),
        "sine, a number": (Sine.apply, (x[0, 0],)),
        "product": (Product.apply, (x, w)),
        "custom_op": (lambda x: cube(x), (x,)),
        "inside a function": (lambda x, w: (Sine.apply(x) @ w).exp().sum(), (x, w)),
    }


def of_jax() -> Operators:
    """Return two `jax.custom_vjp` and a `jax.custom_jvp`."""
    jax = import_module("jax")
    jnp = jax.numpy
    sine = jax.custom_vjp(lambda x: jnp.sin(x))
    sine.defvjp(lambda x: (jnp.sin(x), x), lambda x, g: (g * jnp.cos(x),))
    product = jax.custom_vjp(lambda a, b: a @ b)
    product.defvjp(lambda a, b: (a @ b, (a, b)), lambda s, g: (g @ s[1].T, s[0].T @ g))
    tanh = jax.custom_jvp(lambda x: jnp.tanh(x))
    tanh.defjvps(lambda t, y, _: t * (1 - y**2))
    return {"sine": (sine, (X,)), "product": (product, (X, W)), "tanh": (tanh, (X,))}


def of_tensorflow() -> Operators:
    """Return two `tf.custom_gradient`."""
    tf = import_module("tensorflow")

    @tf.custom_gradient  # type: ignore[misc]
    def sine(x: Any) -> Any:
        return tf.sin(x), lambda g: g * tf.cos(x)

    @tf.custom_gradient  # type: ignore[misc]
    def product(a: Any, b: Any) -> Any:
        return a @ b, lambda g: (g @ tf.transpose(b), tf.transpose(a) @ g)

    return {"sine": (sine, (tf.constant(X),)), "product": (product, (tf.constant(X), tf.constant(W)))}


FRAMEWORKS = {"torch": of_torch, "jax": of_jax, "tensorflow": of_tensorflow}


def time_both(f: Callable[..., Any], inputs: tuple[Any, ...], backend: str, repeats: int) -> tuple[float, float]:
    """Check without and with the contract in turn, after a warm-up of each; returns median seconds of the processor."""
    times: dict[bool, list[float]] = {False: [], True: []}
    for k in range(repeats + 1):
        for contract in times:
            start = process_time()
            report = xcheck.check(f, *inputs, backend=backend, contract=contract, raises=False)
            if k:
                times[contract].append(process_time() - start)
            if not report.ok:
                raise click.ClickException(str(report))
    return median(times[False]), median(times[True])


@click.command()
@click.option("--repeats", default=15, show_default=True)
@click.option("--framework", type=click.Choice([*FRAMEWORKS]), multiple=True, default=tuple(FRAMEWORKS))
def main(repeats: int, framework: tuple[str, ...]) -> None:
    """Print the table, and fail where a ratio is above the limit."""
    table = Table("framework", "operator", "without [ms]", "with [ms]", "ratio")
    worst = 0.0
    for name in framework:
        for title, (f, inputs) in FRAMEWORKS[name]().items():
            without, with_ = time_both(f, inputs, name, repeats)
            worst = max(worst, with_ / without)
            table.add_row(name, title, f"{1e3 * without:.1f}", f"{1e3 * with_:.1f}", f"{with_ / without:.2f}")
    Console().print(table)
    if worst > LIMIT:
        raise click.ClickException(f"the contract costs {worst:.2f} times the check without it; at most {LIMIT:g}")


if __name__ == "__main__":
    main()
