"""TensorFlow's ways to whole Jacobians: engines for many products, and its own calls.

What is compiled is one `tf.function` for each run, without autograph, traced at its first call. Eager pfor traces at
every call, for as long as a hundred products of a small function take.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from xcheck_backends.offers import Engine, OwnCall, Run
from xcheck_backends.tensorflow_calls import (
    as_tensors,
    has_derivative,
    is_missing_rule,
    pushed,
    recorded,
    without_messages,
)

FlatMap = Callable[[Sequence[Any], Sequence[Any]], Sequence[Any]]
Finish = Callable[[Sequence[Any], Sequence[Any]], Sequence[Any]]
Flat = Callable[[Sequence[Any]], Sequence[Any]]
Product = Callable[[Sequence[Any]], list[Any]]
Products = Callable[[Product, Sequence[Any], Sequence[Any]], list[Any]]
"""Takes what makes one product, the seeds, and an example of every product."""

UNROLLED = 16
"""The number of products up to which a loop in a graph is written out: sixteen trace in a tenth of a second."""


def engines() -> tuple[Engine, ...]:
    """Return the ways to make many products."""
    return (
        Engine("tape loop", "vjp", _engine(_pulls, _one_by_one), loops=True, pays_from=1),
        Engine("pfor vjp", "vjp", _engine(_pulls, _mapped), pays_from=48),
        Engine("tf.function vjp loop", "vjp", _engine(_pulls, _looped, {}), compiles=True, loops=True),
        Engine("tf.function pfor vjp", "vjp", _engine(_pulls, _mapped, {}), compiles=True),
        Engine("XLA vjp", "vjp", _engine(_pulls, _mapped, XLA), compiles=True),
        Engine("accumulator loop", "jvp", _engine(_pushes, _one_by_one), loops=True, pays_from=1),
        Engine("pfor jvp", "jvp", _engine(_pushes, _mapped), pays_from=32),
        Engine("tf.function jvp loop", "jvp", _engine(_pushes, _looped, {}), compiles=True, loops=True),
        Engine("tf.function pfor jvp", "jvp", _engine(_pushes, _mapped, {}), compiles=True),
        Engine("XLA jvp", "jvp", _engine(_pushes, _mapped, XLA), compiles=True),
    )


def own_calls(quantity: str) -> tuple[OwnCall, ...]:
    """Return TensorFlow's calls for a quantity: eager, and under `tf.function`."""
    if quantity not in _PIECES:
        return ()
    name, pieces = _PIECES[quantity]
    serial, alone = f"{name}(experimental_use_pfor=False)", quantity == "batch"  # which sums over the samples

    def call(name: str, prepare: Callable[..., Run], **more: bool) -> OwnCall:
        return OwnCall(name, "vjp", prepare, samples_alone=alone, **more)

    return (
        call(name, _own(pieces, pfor=True), default=True),
        call(serial, _own(pieces, pfor=False)),
        call(f"tf.function({name})", _own(pieces, pfor=True, options={}), compiles=True),
        call(f"tf.function({serial})", _own(pieces, pfor=False, options={}), compiles=True),
        call(f"tf.function({name}, jit_compile=True)", _own(pieces, pfor=True, options=XLA), compiles=True),
    )


def wait(arrays: Sequence[Any]) -> None:
    """Return when all tensors have been computed: on the CPU they are when they are returned."""
    import tensorflow as tf

    for array in arrays:
        if not array.device.endswith("CPU:0"):
            tf.reshape(array, [-1])[-1:].numpy()


XLA: dict[str, Any] = {"jit_compile": True}
"""What makes a `tf.function` be compiled by XLA."""


def _compiled(compute: Run, count: int, options: dict[str, Any], concrete: bool) -> Run:
    """Make a `tf.function` of `compute`, or the one graph in it, which takes a third less time to call.

    Its arguments are flat: with lists, a call takes 30 microseconds longer. Of them, `count` are what varies.
    """
    import tensorflow as tf

    traced = tf.function(lambda *flat: compute(flat[:count], flat[count:]), autograph=False, **options)
    traced._omit_frequent_tracing_warning = True  # one trace for each prepared run is what is meant
    if not concrete:
        return lambda xs, held: traced(*xs, *held)
    graphs: list[Any] = []

    def run(xs: Sequence[Any], held: Sequence[Any]) -> Sequence[Any]:
        if not graphs:
            graphs.append(traced.get_concrete_function(*xs, *held))
        found: Sequence[Any] = graphs[0](*xs, *held)
        return found

    return run


def _ruled(run: Run) -> Run:
    """Tell missing rules as such."""

    def ruled(xs: Sequence[Any], held: Sequence[Any]) -> Sequence[Any]:
        try:
            return run(xs, held)
        except LookupError as error:
            if not is_missing_rule(error):
                raise
            raise NotImplementedError(str(error)) from error

    return ruled


def _quiet(run: Run, once: bool) -> Run:
    """Keep back what TensorFlow logs while it traces: at the first call, or at all of them."""
    traced: list[bool] = []

    def quiet(xs: Sequence[Any], held: Sequence[Any]) -> Sequence[Any]:
        if traced and once:
            return run(xs, held)
        with without_messages():
            found = run(xs, held)
        traced[:] = [True]
        return found

    return quiet


Source = Callable[[Flat, Sequence[Any]], tuple[Product, Callable[[], list[Any]]]]
"""Takes a function and its inputs; returns what makes one product, and examples of products for `tf.map_fn`."""


def _engine(source: Source, products: Products, options: dict[str, Any] | None = None) -> Callable[..., Run]:
    def prepare(f: FlatMap, xs: Sequence[Any], held: Sequence[Any], seeds: Sequence[Any], finish: Finish) -> Run:  # noqa: ARG001
        def compute(inputs: Sequence[Any], constants: Sequence[Any]) -> list[Any]:
            import tensorflow as tf

            # A tensor may be given twice, or be used by the function besides: the tape tells copies apart.
            apart = [tf.identity(x) for x in inputs]
            product, examples = source(lambda variables: f(list(variables), constants), apart)
            return list(finish(products(product, seeds, examples()), seeds))

        run = compute if options is None else _compiled(compute, len(xs), options, concrete=True)
        return _ruled(_quiet(run, once=options is not None) if products is _mapped else run)

    return prepare


def _pulls(f: Flat, xs: Sequence[Any]) -> tuple[Product, Callable[[], list[Any]]]:
    import tensorflow as tf

    _, pullback = recorded(f, xs)

    def pull(row: Sequence[Any]) -> list[Any]:
        return [tf.zeros_like(x) if g is None else g for x, g in zip(xs, pullback(row), strict=True)]

    return pull, lambda: list(xs)


def _pushes(f: Flat, xs: Sequence[Any]) -> tuple[Product, Callable[[], list[Any]]]:
    import tensorflow as tf

    def push(row: Sequence[Any]) -> list[Any]:
        ys, dys = pushed(f, xs, row)
        zero = [tf.zeros_like(y, dtype=y.dtype if has_derivative(y) else xs[0].dtype) for y in ys]
        return [z if dy is None else dy for z, dy in zip(zero, dys, strict=True)]

    return push, lambda: as_tensors(f(xs))


def _one_by_one(product: Product, seeds: Sequence[Any], examples: Sequence[Any]) -> list[Any]:  # noqa: ARG001
    import tensorflow as tf

    rows = zip(*(tf.unstack(seed) for seed in seeds), strict=True)
    return [tf.stack(column) for column in zip(*(product(row) for row in rows), strict=True)]


def _looped(product: Product, seeds: Sequence[Any], examples: Sequence[Any]) -> list[Any]:
    import tensorflow as tf

    if seeds[0].shape[0] <= UNROLLED:
        return _one_by_one(product, seeds, examples)
    types = [tf.TensorSpec(y.shape, y.dtype) for y in examples]
    return list(tf.map_fn(product, list(seeds), fn_output_signature=types))


def _mapped(product: Product, seeds: Sequence[Any], examples: Sequence[Any]) -> list[Any]:
    import tensorflow as tf

    if seeds[0].shape[0] == 1:
        return _one_by_one(product, seeds, examples)
    return list(tf.vectorized_map(product, list(seeds), fallback_to_while_loop=False))


Pieces = Callable[[Flat, Sequence[Any], bool], list[Any]]
"""Takes a function, its inputs and whether to use pfor; returns flat tensors."""


def _own(pieces: Pieces, pfor: bool, options: dict[str, Any] | None = None) -> Callable[..., Run]:
    def prepare(f: FlatMap, xs: Sequence[Any], held: Sequence[Any]) -> Run:  # noqa: ARG001
        def compute(inputs: Sequence[Any], constants: Sequence[Any]) -> list[Any]:
            import tensorflow as tf

            return pieces(lambda xs: f(list(xs), constants), [tf.identity(x) for x in inputs], pfor)

        run = compute if options is None else _compiled(compute, len(xs), options, concrete=False)
        return _ruled(_quiet(run, once=options is not None))

    return prepare


def _taped(f: Flat, xs: Sequence[Any]) -> tuple[Any, list[Any]]:
    import tensorflow as tf

    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch(xs)
        return tape, as_tensors(f(xs))


def _zero() -> Any:
    import tensorflow as tf

    return tf.UnconnectedGradients.ZERO


def _jacobian(f: Flat, xs: Sequence[Any], pfor: bool) -> list[Any]:
    tape, ys = _taped(f, xs)
    return [
        block for y in ys for block in tape.jacobian(y, xs, unconnected_gradients=_zero(), experimental_use_pfor=pfor)
    ]


def _batch(f: Flat, xs: Sequence[Any], pfor: bool) -> list[Any]:
    """Call `tape.batch_jacobian`, which takes samples of one number for a mistake, and gets them as rows of one."""
    import tensorflow as tf

    def rows(array: Any) -> Any:
        return array[:, None] if array.shape.rank == 1 else array

    def of_rows(inputs: Sequence[Any]) -> list[Any]:
        found = as_tensors(f([tf.reshape(row, x.shape) for row, x in zip(inputs, xs, strict=True)]))
        shapes.extend(y.shape for y in found)
        return [rows(y) for y in found]

    shapes: list[Any] = []
    inputs = [rows(x) for x in xs]
    tape, ys = _taped(of_rows, inputs)
    return [
        tf.reshape(
            tape.batch_jacobian(y, row, unconnected_gradients=_zero(), experimental_use_pfor=pfor),
            [*shape, *x.shape[1:]],
        )
        for y, shape in zip(ys, shapes, strict=True)
        for row, x in zip(inputs, xs, strict=True)
    ]


def _diagonal(f: Flat, xs: Sequence[Any], pfor: bool) -> list[Any]:
    import tensorflow as tf

    tape, ys = _taped(f, xs)
    found = []
    for x, y in zip(xs, ys, strict=True):
        block = tape.jacobian(y, x, unconnected_gradients=_zero(), experimental_use_pfor=pfor)
        size = x.shape.num_elements()
        found.append(tf.reshape(tf.linalg.diag_part(tf.reshape(block, [size, size])), x.shape))
    return found


def _hessian(f: Flat, xs: Sequence[Any], pfor: bool) -> list[Any]:
    import tensorflow as tf

    def gradient(inputs: Sequence[Any]) -> list[Any]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(inputs)
            value = as_tensors(f(inputs))[0]
        return list(tape.gradient(value, list(inputs), unconnected_gradients=_zero()))

    return _jacobian(gradient, xs, pfor)


_PIECES: dict[str, tuple[str, Pieces]] = {
    "jacobian": ("tape.jacobian", _jacobian),
    "batch": ("tape.batch_jacobian", _batch),
    "diagonal": ("tf.linalg.diag_part(tape.jacobian)", _diagonal),
    "hessian": ("tape.jacobian(tape.gradient)", _hessian),
}
