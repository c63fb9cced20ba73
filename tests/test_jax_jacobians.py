"""JAX's engines for many products, its own calls for whole derivatives, and what chooses by values in its programs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jacobian_cases as cases
import numpy as np
import pytest

jax = pytest.importorskip("jax")

from xcheck_backends.jax_ import JaxBackend  # noqa: E402
from xcheck_backends.jax_jacobians import engines, own_calls  # noqa: E402

jnp = jax.numpy
backend = JaxBackend()
ENGINES = {engine.name: engine for engine in engines()}
CALLS = [(quantity, call) for quantity in ("jacobian", "batch", "diagonal", "hessian") for call in own_calls(quantity)]


@pytest.fixture(autouse=True)
def settings_are_left_alone() -> Any:
    before = jax.config.values.copy()
    yield
    assert jax.config.values == before
    assert not jax.config.jax_enable_x64


@pytest.mark.parametrize(("k", "dtype"), [(1, "float64"), (3, "float32"), (12, "float64")])
@pytest.mark.parametrize("name", ENGINES)
def test_engines_make_the_products_of_a_jacobian_worked_out_by_hand(name: str, k: int, dtype: str) -> None:
    cases.assert_engine(backend, ENGINES[name], cases.several(jnp, dtype), k, dtype)


@pytest.mark.parametrize("name", ENGINES)
def test_engines_take_numbers_for_outputs(name: str) -> None:
    cases.assert_engine(backend, ENGINES[name], cases.numbers(jnp, "float32"), 2, "float32")


@pytest.mark.parametrize("name", ENGINES)
def test_engines_differentiate_a_gradient_that_was_pulled_back(name: str) -> None:
    cases.assert_engine(backend, ENGINES[name], cases.gradient(backend, "float64"), 3, "float64")


@pytest.mark.parametrize("name", ENGINES)
def test_an_output_of_integers_has_no_slope(name: str) -> None:
    x = backend.from_numpy(np.array([0.5, 2.0], np.float32))
    seed = backend.from_numpy(np.ones((2, 2), np.float32))
    seeds = [seed, seed] if ENGINES[name].mode == "vjp" else [seed]
    run = ENGINES[name].prepare(lambda xs, held: [jnp.argsort(xs[0]), 3 * xs[0]], [x], [], seeds, lambda p, s: p)
    found = [np.asarray(array) for array in run([x], [])]
    np.testing.assert_array_equal(found[-1], np.full((2, 2), 3.0))
    assert not np.any(found[0]) or len(found) == 1


@pytest.mark.parametrize("name", ENGINES)
def test_what_is_held_is_given_anew(name: str) -> None:
    x, seed = backend.from_numpy(np.ones(2, np.float32)), backend.from_numpy(np.ones((2, 2), np.float32))
    run = ENGINES[name].prepare(lambda xs, held: [xs[0] * held[0]], [x], [x], [seed], lambda p, s: p)
    for factor in (1.0, 5.0):
        (found,) = run([x], [factor * x])
        np.testing.assert_array_equal(found, np.full((2, 2), factor))


@pytest.mark.parametrize("name", [name for name, engine in ENGINES.items() if engine.mode == "jvp"])
def test_a_rule_for_pullbacks_alone_is_missing_forward(name: str) -> None:
    @jax.custom_vjp
    def double(x: Any) -> Any:
        return 2 * x

    double.defvjp(lambda x: (2 * x, None), lambda _, g: (2 * g,))
    x, seed = backend.from_numpy(np.ones(2)), backend.from_numpy(np.eye(2))
    run = ENGINES[name].prepare(lambda xs, held: [double(xs[0])], [x], [], [seed], lambda p, s: p)
    with pytest.raises(NotImplementedError, match="forward-mode"):
        run([x], [])


@pytest.mark.parametrize("name", [name for name, engine in ENGINES.items() if engine.mode == "vjp"])
def test_a_loop_of_unknown_length_is_missing_backward(name: str) -> None:
    def f(xs: Any, held: Any) -> list[Any]:
        return [jax.lax.while_loop(lambda v: jnp.sum(v) < 9, lambda v: 2 * v, xs[0])]

    x, seed = backend.from_numpy(np.ones(2)), backend.from_numpy(np.eye(2))
    run = ENGINES[name].prepare(f, [x], [], [seed], lambda p, s: p)
    with pytest.raises(NotImplementedError, match="Reverse-mode"):
        run([x], [])


@pytest.mark.parametrize("name", [name for name, engine in ENGINES.items() if engine.compiles])
def test_a_function_is_traced_once(name: str) -> None:
    traces = []

    def f(xs: Any, held: Any) -> list[Any]:
        traces.append(1)
        return [jnp.sin(xs[0])]

    x, seed = backend.from_numpy(np.ones(2)), backend.from_numpy(np.eye(2))
    run = ENGINES[name].prepare(f, [x], [], [seed], lambda p, s: p)
    run([x], [])
    first = len(traces)
    for factor in (2, 3):
        run([backend.from_numpy(factor * np.ones(2))], [])
    assert len(traces) == first


@pytest.mark.parametrize("name", ENGINES)
def test_a_branch_on_a_value_is_refused_where_it_is_compiled_only(name: str) -> None:
    x, seed = backend.from_numpy(np.ones(2)), backend.from_numpy(np.eye(2))
    run = ENGINES[name].prepare(lambda xs, held: [xs[0] if xs[0][0] > 0 else -xs[0]], [x], [], [seed], lambda p, s: p)
    if ENGINES[name].compiles:
        with pytest.raises(jax.errors.TracerBoolConversionError):
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
    dtype = "float32" if call.compiles else "float64"
    cases.assert_call(backend, call, made[quantity](jnp, dtype), dtype)


def test_a_call_in_64_bits_is_one_whatever_the_setting() -> None:
    case = cases.several(jnp, "float64")
    for call in own_calls("jacobian"):
        with jax.enable_x64(True):
            cases.assert_call(backend, call, case, "float64")


@pytest.mark.parametrize("quantity", ["jacobian", "batch", "diagonal", "hessian"])
def test_one_own_call_is_what_users_write(quantity: str) -> None:
    assert sum(call.default for call in own_calls(quantity)) == 1


def test_there_are_no_own_calls_for_other_quantities() -> None:
    assert backend.own_calls("trace") == ()


def test_a_sample_alone_is_refused_if_the_function_makes_a_batch_of_it() -> None:
    x, y = backend.from_numpy(np.ones((3, 2))), backend.from_numpy(np.ones((3, 2)))
    alone = [call for call in own_calls("batch") if call.samples_alone]
    assert len(alone) == 4
    for call in alone:
        with pytest.raises(ValueError, match="batch of one sample"):
            call.prepare(lambda xs, held: [xs[0] * held[0]], [x], [y])([x], [y])


def mine() -> Any:
    @jax.custom_jvp
    def double(x: Any) -> Any:
        return 2 * x

    double.defjvp(lambda p, t: (2 * p[0], 2 * t[0]))
    return double


CHOICES: dict[str, tuple[Callable[[Any], Any], tuple[str, ...]]] = {
    "smooth": (lambda x: jnp.tanh(x @ x.T) / x.sum(), ()),
    "abs": (jnp.abs, ()),
    "softmax": (jax.nn.softmax, ()),
    "log_softmax": (jax.nn.log_softmax, ()),
    "attention": (lambda x: jax.nn.softmax(x @ x.T) @ x, ()),
    "softplus": (jax.nn.softplus, ()),
    "normalised": (lambda x: (x - x.mean(0)) / jnp.sqrt(x.var(0) + 1e-5), ()),
    "solve": (lambda x: jnp.linalg.solve(x @ x.T, x), ()),
    "where on a constant": (lambda x: jnp.where(jnp.arange(3) > 1, x, x[0, 0]), ()),
    "constant index": (lambda x: x[np.array([1, 0])], ()),
    "counted loop": (lambda x: jax.lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, 2 * c[1]), (0, x))[1], ()),
    "scan": (lambda x: jax.lax.scan(lambda c, r: (c + r, jnp.sin(c)), x[0], x)[1], ()),
    "unused": (lambda x: (jnp.sort(x), jnp.sin(x))[1], ()),
    "integers for an output": (jnp.argmax, ()),
    "where": (lambda x: jnp.where(x > 1, x, x[0, 0]), ("select_n",)),
    "sort": (jnp.sort, ("sort",)),
    "sort in a scan": (lambda x: jax.lax.scan(lambda c, r: (c + r, jnp.sort(c)), x[0], x)[1], ("sort",)),
    "sort in a checkpoint": (jax.checkpoint(jnp.sort), ("sort",)),
    "top_k": (lambda x: jax.lax.top_k(x, 2)[0], ("top_k",)),
    "index": (lambda x: x[jnp.argmax(x[:, 0])], ("dynamic_slice",)),
    "max": (jnp.max, ("reduce_max",)),
    "maximum that is differentiated": (lambda x: jnp.exp(x - x.max()), ("reduce_max",)),
    "maximum that is no shift": (lambda x: x * jax.lax.stop_gradient(x.max() - x), ("reduce_max",)),
    "cond": (lambda x: jax.lax.cond(x[0, 0] > 1, jnp.sin, lambda y: y * y[0, 0], x), ("cond",)),
    "while": (lambda x: jax.lax.while_loop(lambda v: v.sum() < 9, lambda v: 2 * v, x), ("while",)),
    "mask": (lambda x: (x > 1) * x[0, 0], ("convert_element_type of bool (flat pieces)",)),
    "relu": (jax.nn.relu, ("relu (flat pieces)",)),
    "clip": (lambda x: jnp.clip(x, 0, 1), ("max (flat pieces)", "min (flat pieces)")),
    "floor": (jnp.floor, ("floor (flat pieces)",)),
    "eigh": (lambda x: jnp.linalg.eigh(x @ x.T)[0], ("eigh",)),
    "callback": (lambda x: jax.pure_callback(np.sin, x, x), ("opaque: pure_callback",)),
    "a user's rule": (mine(), ("opaque: double",)),
    "branch": (lambda x: x if x[0, 0] > 0 else -x, ("a Python branch on a value",)),
    "boolean index": (lambda x: x[x > 1], ("a boolean index",)),
    "NumPy": (lambda x: jnp.asarray(np.sin(x)), ("opaque: NumPy",)),
}


@pytest.mark.parametrize("name", CHOICES)
def test_what_lets_values_decide_is_named(name: str) -> None:
    f, expected = CHOICES[name]
    x = backend.from_numpy(np.linspace(0.1, 2, 6).reshape(2, 3))
    assert backend.choices(lambda xs: [f(xs[0])], [x]) == expected


def test_a_gradient_can_be_looked_through() -> None:
    x = backend.from_numpy(np.ones(3))
    one = backend.from_numpy(np.ones(()))

    def gradient(xs: Any) -> Any:
        return backend.pull(lambda v: [jnp.sum(jax.nn.softmax(v[0]) ** 3)], xs, [one])

    assert backend.choices(gradient, [x]) == ()
