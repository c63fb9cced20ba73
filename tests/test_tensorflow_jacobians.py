"""TensorFlow's engines for many products, its own calls, and what chooses by values in its graphs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import jacobian_cases as cases
import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from xcheck_backends.tensorflow_ import TensorflowBackend  # noqa: E402
from xcheck_backends.tensorflow_jacobians import engines, own_calls  # noqa: E402

backend = TensorflowBackend()
xp = backend.namespace()
ENGINES = {engine.name: engine for engine in engines()}
CALLS = [(quantity, call) for quantity in ("jacobian", "batch", "diagonal", "hessian") for call in own_calls(quantity)]


@pytest.mark.parametrize("name", ENGINES)
def test_engines_make_the_products_of_a_jacobian_worked_out_by_hand(name: str) -> None:
    for k, dtype in ((1, "float64"), (3, "float32")):
        cases.assert_engine(backend, ENGINES[name], cases.several(xp, dtype), k, dtype)


@pytest.mark.parametrize("name", ["tf.function vjp loop", "tf.function jvp loop"])
def test_a_long_loop_is_not_written_out(name: str) -> None:
    calls = []
    case = cases.several(xp, "float64")
    counted = cases.Case(lambda xs, held: (calls.append(1), case.f(xs, held))[1], case.xs, case.held, case.blocks)
    cases.assert_engine(backend, ENGINES[name], counted, 40, "float64")
    assert len(calls) < 10


@pytest.mark.parametrize("name", ENGINES)
def test_engines_take_numbers_for_outputs(name: str) -> None:
    cases.assert_engine(backend, ENGINES[name], cases.numbers(xp, "float32"), 2, "float32")


@pytest.mark.parametrize("name", ENGINES)
def test_engines_differentiate_a_gradient_that_was_pulled_back(name: str) -> None:
    case = cases.gradient(backend, "float64")
    cases.assert_engine(backend, ENGINES[name], case, 3, "float64")


@pytest.mark.parametrize("name", ENGINES)
def test_an_output_of_integers_has_no_slope(name: str) -> None:
    x, seed = tf.constant([0.5, 2.0]), tf.ones((2, 2))
    seeds = [seed, seed] if ENGINES[name].mode == "vjp" else [seed]
    run = ENGINES[name].prepare(lambda xs, held: [tf.argsort(xs[0]), 3 * xs[0]], [x], [], seeds, lambda p, s: p)
    found = [np.asarray(array) for array in run([x], [])]
    np.testing.assert_array_equal(found[-1], np.full((2, 2), 3.0))
    assert not np.any(found[0]) or len(found) == 1


@pytest.mark.parametrize("name", ENGINES)
def test_an_input_given_twice_or_held_as_well_is_told_apart(name: str) -> None:
    x, seed = tf.constant([1.0, 2.0]), tf.eye(2)
    vjp = ENGINES[name].mode == "vjp"
    seeds = [seed] if vjp else [seed, 0 * seed]
    run = ENGINES[name].prepare(lambda xs, held: [xs[0] * xs[1] * held[0]], [x, x], [x], seeds, lambda p, s: p)
    for found in run([x, x], [x])[: 2 if vjp else 1]:
        np.testing.assert_array_equal(found, np.diag([1.0, 4.0]))


@pytest.mark.parametrize("name", ENGINES)
def test_a_function_is_traced_for_the_first_call_only_unless_it_is_eager(name: str) -> None:
    graphs = []

    def f(xs: Any, held: Any) -> list[Any]:
        graphs.append(not tf.executing_eagerly())
        return [tf.sin(xs[0]) * held[0]]

    x, seed = tf.constant([1.0, 2.0]), tf.eye(2)
    run = ENGINES[name].prepare(f, [x], [x], [seed], lambda p, s: p)
    run([x], [x])
    first = len(graphs)
    for factor in (2.0, 3.0):
        run([factor * x], [factor * x])
    assert (len(graphs) == first) == ENGINES[name].compiles


@pytest.mark.parametrize("name", ENGINES)
def test_variables_are_read_anew(name: str) -> None:
    x, scale, seed = tf.Variable([1.0, 2.0]), tf.Variable(3.0), tf.eye(2)
    run = ENGINES[name].prepare(lambda xs, held: [xs[0] ** 2 * scale], [x], [], [seed], lambda p, s: p)
    run([x], [])
    x.assign([5.0, 0.5])
    scale.assign(2.0)
    np.testing.assert_array_equal(run([x], [])[0], np.diag([20.0, 2.0]))


@pytest.mark.parametrize("name", ENGINES)
def test_what_tensorflow_has_no_gradient_for_is_a_missing_rule(name: str) -> None:
    def f(xs: Any, held: Any) -> list[Any]:
        return [tf.raw_ops.Bincount(arr=[0, 1], size=2, weights=xs[0])]

    x, seed = tf.constant([1.0, 2.0]), tf.eye(2)
    run = ENGINES[name].prepare(f, [x], [], [seed], lambda p, s: p)
    with pytest.raises(NotImplementedError, match="Bincount"):
        run([x], [])


def test_a_rule_in_numpy_is_missing_forward() -> None:
    @tf.custom_gradient
    def double(x: Any) -> Any:
        return tf.constant(2 * x.numpy()), lambda g: tf.constant(2 * g.numpy())

    x, seed = tf.constant([1.0, 2.0]), tf.eye(2)
    run = ENGINES["accumulator loop"].prepare(lambda xs, held: [double(xs[0])], [x], [], [seed], lambda p, s: p)
    with pytest.raises(NotImplementedError, match="no forward rule"):
        run([x], [])


@pytest.mark.parametrize("name", ENGINES)
def test_a_branch_on_a_value_is_refused_in_graphs(name: str) -> None:
    x, seed = tf.constant([1.0, 2.0]), tf.eye(2)
    run = ENGINES[name].prepare(lambda xs, held: [xs[0] if xs[0][0] > 0 else -xs[0]], [x], [], [seed], lambda p, s: p)
    if ENGINES[name].compiles or name == "pfor jvp":
        with pytest.raises(tf.errors.OperatorNotAllowedInGraphError):
            run([x], [])
    else:
        np.testing.assert_array_equal(run([x], [])[0], np.eye(2))


@pytest.mark.parametrize(("quantity", "call"), CALLS, ids=lambda v: getattr(v, "name", v))
def test_own_calls_return_the_blocks(quantity: str, call: Any) -> None:
    made: dict[str, Callable[[Any, str], cases.Case]] = {
        "jacobian": cases.several,
        "batch": cases.batch,
        "diagonal": cases.diagonal,
        "hessian": cases.scalar,
    }
    cases.assert_call(backend, call, made[quantity](xp, "float64"), "float64")


@pytest.mark.parametrize("quantity", ["jacobian", "batch", "diagonal", "hessian"])
def test_one_own_call_is_what_users_write(quantity: str) -> None:
    assert sum(call.default for call in own_calls(quantity)) == 1


def test_there_are_no_own_calls_for_other_quantities() -> None:
    assert backend.own_calls("trace") == ()


def test_nothing_is_logged() -> None:
    records: list[logging.LogRecord] = []
    listening = logging.Handler()
    listening.emit = records.append  # type: ignore[method-assign]
    tf.get_logger().addHandler(listening)
    x, seed = tf.constant([1.0, 2.0]), tf.eye(2)
    try:
        for name in ("pfor vjp", "tf.function vjp loop", "tf.function pfor vjp"):
            for _ in range(6):  # TensorFlow warns of the fifth trace
                ENGINES[name].prepare(lambda xs, held: [tf.sin(xs[0])], [x], [], [seed], lambda p, s: p)([x], [])
        run = next(call for call in own_calls("jacobian") if call.default).prepare(
            lambda xs, held: [tf.sin(xs[0])], [x], []
        )
        for _ in range(6):
            run([x], [])
    finally:
        tf.get_logger().removeHandler(listening)
    assert [record.getMessage() for record in records] == []


@tf.custom_gradient
def mine(x: Any) -> Any:
    return 2 * x, lambda g: 2 * g


CHOICES: dict[str, tuple[Callable[[Any], Any], tuple[str, ...]]] = {
    "smooth": (lambda x: tf.tanh(x @ tf.transpose(x)) / tf.reduce_sum(x), ()),
    "abs": (tf.abs, ()),
    "softmax": (tf.nn.softmax, ()),
    "logsumexp": (lambda x: tf.reduce_logsumexp(x, 1), ()),
    "silu": (tf.nn.silu, ()),
    "where on a constant": (lambda x: tf.where([True, False, True], x, x[0, 0]), ()),
    "constant index": (lambda x: tf.gather(x, [1, 0]), ()),
    "counted loop": (lambda x: tf.while_loop(lambda i, h: i < 3, lambda i, h: (i + 1, tf.sin(h)), (0, x))[1], ()),
    "map": (lambda x: tf.map_fn(tf.sin, x), ()),
    "shape": (lambda x: x / tf.cast(tf.shape(x)[0], x.dtype), ()),
    "unused": (lambda x: (tf.sort(x), tf.sin(x))[1], ()),
    "tf.function": (tf.function(tf.sin, autograph=False), ()),
    "where": (lambda x: tf.where(x > 1, x, x[0, 0]), ("SelectV2",)),
    "sort": (tf.sort, ("TopKV2",)),
    "sort in a tf.function": (tf.function(tf.sort, autograph=False), ("TopKV2",)),
    "sort in a map": (lambda x: tf.map_fn(tf.sort, x), ("TopKV2",)),
    "index": (lambda x: tf.gather(x, tf.argmax(x[:, 0])), ("GatherV2",)),
    "boolean index": (lambda x: tf.boolean_mask(x, x > 1), ("GatherV2",)),
    "max": (tf.reduce_max, ("Max",)),
    "cond": (lambda x: tf.cond(x[0, 0] > 1, lambda: tf.sin(x), lambda: x), ("StatelessIf",)),
    "while": (
        lambda x: tf.while_loop(lambda h: tf.reduce_sum(h) < 30, lambda h: (2 * h,), (x,))[0],
        ("StatelessWhile",),
    ),
    "mask": (lambda x: tf.cast(x > 1, x.dtype) * x[0, 0], ("Cast of bool (flat pieces)",)),
    "relu": (tf.nn.relu, ("Relu (flat pieces)",)),
    "clip": (lambda x: tf.clip_by_value(x, 0, 1), ("Minimum (flat pieces)", "Maximum (flat pieces)")),
    "floor": (tf.floor, ("Floor (flat pieces)",)),
    "eigh": (lambda x: tf.linalg.eigh(x @ tf.transpose(x))[0], ("SelfAdjointEigV2",)),
    "numpy_function": (lambda x: tf.numpy_function(np.sin, [x], tf.float64), ("opaque: PyFunc",)),
    "a user's rule": (mine, ("opaque: tf.custom_gradient",)),
    "branch": (lambda x: x if x[0, 0] > 0 else -x, ("a Python branch on a value",)),
    "NumPy": (lambda x: tf.constant(np.sin(x)), ("opaque: NumPy",)),
}


@pytest.mark.parametrize("name", CHOICES)
def test_what_lets_values_decide_is_named(name: str) -> None:
    f, expected = CHOICES[name]
    x = backend.from_numpy(np.linspace(0.1, 2, 6).reshape(2, 3))
    assert backend.choices(lambda xs: [f(xs[0])], [x]) == expected


def test_a_gradient_can_be_looked_through() -> None:
    x, one = tf.constant([1.0, 2.0]), tf.constant(1.0)

    def gradient(xs: Any) -> Any:
        return backend.pull(lambda v: [tf.reduce_sum(tf.nn.softmax(v[0]) ** 3)], xs, [one])

    assert backend.choices(gradient, [x]) == ()
