"""Derivatives for use: the shapes, dtypes and structures that the users of each framework expect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import optree
import pytest

import xcheck
from xcheck.call import read_call
from xcheck.nesting import nest_bars
from xcheck.problem import Problem
from xcheck.randomness import pinned

RNG = np.random.default_rng(3)
X, Y = RNG.uniform(0.5, 1.5, (2, 3)), RNG.uniform(0.5, 1.5, 3)
Z = np.array([1 + 2j, 0.5 - 1j])


@dataclass(frozen=True)
class Params:
    w: Any
    n: int = 3


def as_numpy(a: Any) -> Any:
    return np.asarray(a.float() if "bfloat16" in str(a.dtype) else a)


def assert_same(found: Any, expected: Any) -> None:
    """Compare structure, type, dtype and values."""
    leaves, structure = optree.tree_flatten(found)
    wanted, other = optree.tree_flatten(expected)
    assert structure == other
    for a, b in zip(leaves, wanted, strict=True):
        assert type(a) is type(b)
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(as_numpy(a), as_numpy(b), rtol=1e-6)


# As the frameworks do it


@pytest.mark.parametrize(
    ("f", "inputs"),
    [
        (lambda x: (x**2).sum(0), [X]),
        (lambda x: x.sin(), [Y[0]]),
        (lambda x, y: (x * y).sum(1), [X, Y]),
        (lambda x, y: ((x * y).sum(1), x @ y, y.prod()), [X, Y]),
        (lambda x: (x.sum(), x**2), [X]),
    ],
    ids=["matrix", "number", "two-inputs", "two-of-both", "two-outputs"],
)
def test_jacobians_are_those_of_torch(torch: Any, f: Any, inputs: list[Any]) -> None:
    xs = tuple(torch.tensor(x) for x in inputs)

    assert_same(xcheck.jacobian(f, *xs), torch.autograd.functional.jacobian(f, xs if len(xs) > 1 else xs[0]))


def test_gradients_are_those_of_torch(torch: Any) -> None:
    x, y = (torch.tensor(a, dtype=torch.float32, requires_grad=True) for a in (X, Y))

    def f(x: Any, y: Any) -> Any:
        return (x * y.exp()).sum()

    assert_same(xcheck.gradient(f, x, y), torch.autograd.grad(f(x, y), (x, y)))
    assert_same(xcheck.gradient(f, x, y, wrt="y"), torch.autograd.grad(f(x, y), y)[0])
    assert x.grad is None


def test_nested_inputs_and_outputs_are_those_of_jax(jax: Any) -> None:
    params, x = {"w": jax.numpy.array(Y), "b": jax.numpy.array(1.0)}, jax.numpy.array(X)

    def f(p: Any, x: Any) -> Any:
        return {"loss": (p["w"] * x).sum(), "out": [p["w"] + p["b"]]}

    def loss(p: Any, x: Any) -> Any:
        return f(p, x)["loss"] * p["b"]

    assert_same(xcheck.jacobian(f, params, x), jax.jacobian(f, argnums=(0, 1))(params, x))
    assert_same(xcheck.gradient(loss, params, x), jax.grad(loss, argnums=(0, 1))(params, x))
    assert_same(xcheck.gradient(loss, params, x, wrt=0), jax.grad(loss)(params, x))


def test_complex_jacobians_are_those_of_jax(jax: Any) -> None:
    z = jax.numpy.array(Z.astype(np.complex64))

    assert_same(xcheck.jacobian(lambda z: z**3, z), jax.jacobian(lambda z: z**3, holomorphic=True)(z))


def test_jacobians_and_gradients_are_those_of_tensorflow(tf: Any) -> None:
    x, y = tf.constant(X), tf.constant(Y)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([x, y])
        out = tf.reduce_sum(x * y, axis=1)
        loss = tf.reduce_sum(out**2)

    found = xcheck.jacobian(lambda x, y: tf.reduce_sum(x * y, axis=1), x, y)
    assert_same(found, tuple(tape.jacobian(out, [x, y])))
    found = xcheck.gradient(lambda x, y: tf.reduce_sum(tf.reduce_sum(x * y, axis=1) ** 2), x, y)
    assert_same(found, tuple(tape.gradient(loss, [x, y])))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_derivatives_come_in_the_dtype_of_the_input(torch: Any, dtype: str) -> None:
    x = torch.tensor([1.0, 2.0], dtype=getattr(torch, dtype))

    assert_same(xcheck.gradient(lambda x: (x * x).sum(), x), 2 * x)
    assert_same(xcheck.jacobian_diagonal(lambda x: x * x, x), 2 * x)


def test_numpy_inputs_of_a_framework_keep_their_64_bits(backend: Any) -> None:
    found = xcheck.gradient(lambda x: x[0] * x[1], np.array([1 / 3, 3.0]), backend=backend.name)

    assert backend.owns(found)
    assert backend.to_numpy(found).dtype == np.float64
    np.testing.assert_allclose(backend.to_numpy(found), [3.0, 1 / 3], rtol=1e-9)
    if backend.name != "numpy":
        assert backend.to_numpy(found)[1] == 1 / 3


# Structures


def test_constants_among_the_inputs_have_no_derivative() -> None:
    found = xcheck.gradient(lambda p: np.sum(p.w**p.n), Params(Y))

    assert found.n is None
    np.testing.assert_allclose(found.w, 3 * Y**2, rtol=1e-9)


def test_outputs_without_derivatives_have_none() -> None:
    found = xcheck.jacobian(lambda x: {"y": x * 2, "count": 3, "name": "n"}, Y)

    assert found["count"] is None
    assert found["name"] is None
    np.testing.assert_allclose(found["y"], 2 * np.eye(3), atol=1e-9)


def test_parameters_of_a_module_come_by_name(torch: Any) -> None:
    model = torch.nn.Linear(3, 2)
    x = torch.ones(3)

    found = xcheck.jacobian(model, x)

    assert {name: tuple(part.shape) for name, part in found.items()} == {
        "weight": (2, 2, 3),
        "bias": (2, 2),
        "input": (2, 3),
    }
    assert torch.equal(found["input"], model.weight)
    assert list(xcheck.jacobian(model, x, wrt="bias")) == ["bias"]


def test_a_keyword_input_comes_by_name() -> None:
    found = xcheck.gradient(lambda x, s: s * np.sum(x), Y, kwargs={"s": 2.0}, wrt="s")

    assert found == {"s": pytest.approx(np.sum(Y))}


def test_a_list_of_numbers_is_an_array() -> None:
    found = xcheck.jacobian(lambda x: [x[0] ** 2, x[1] * x[0]], [1.0, 2.0])

    np.testing.assert_allclose(found, [[2, 0], [2, 1]], atol=1e-9)


# Complex numbers


def test_a_real_function_of_complex_numbers_has_the_gradient_that_torch_has(torch: Any) -> None:
    z = torch.tensor(Z, requires_grad=True)

    def f(z: Any) -> Any:
        return (z.abs() ** 2 * z.real).sum()

    f(z).backward()

    assert_same(xcheck.gradient(f, z.detach()), z.grad)
    found = xcheck.finite_difference(lambda z: np.sum(np.abs(z) ** 2 * z.real), Z)
    np.testing.assert_allclose(found.value, z.grad.numpy(), rtol=1e-8)


def test_a_complex_function_of_real_numbers_has_a_complex_jacobian(torch: Any) -> None:
    found = xcheck.jacobian(lambda x: torch.exp(1j * x), torch.tensor(Y))

    assert_same(found, torch.tensor(np.diag(1j * np.exp(1j * Y))))
    assert xcheck.jacobian(lambda x: torch.exp(1j * x), torch.ones(1)).dtype == torch.complex64


def test_a_holomorphic_function_has_its_complex_derivative(torch: Any) -> None:
    assert_same(xcheck.jacobian(lambda z: z**3, torch.tensor(Z)), torch.tensor(np.diag(3 * Z**2)))
    assert_same(xcheck.jacobian_diagonal(lambda z: z**3, torch.tensor(Z)), torch.tensor(3 * Z**2))


@pytest.mark.parametrize("verb", [xcheck.jacobian, xcheck.jacobian_diagonal, xcheck.finite_difference])
def test_a_function_that_is_not_holomorphic_has_no_complex_derivative(verb: Any) -> None:
    with pytest.raises(ValueError, match=r"out is not a holomorphic function of z: it has no complex Jacobian. Split"):
        verb(lambda z: np.conj(z), Z)


@pytest.mark.parametrize(
    ("f", "x", "jacobian"),
    [
        (lambda z: z**3, Z, np.diag(3 * Z**2)),
        (lambda z: np.abs(z) ** 2, Z, np.diag(2 * Z)),
        (lambda x: np.exp(1j * x), Y, np.diag(1j * np.exp(1j * Y))),
        (lambda z: np.sum(z.real * z.imag), Z, Z.imag + 1j * Z.real),
    ],
    ids=["C-C", "C-R", "R-C", "gradient"],
)
def test_the_bar_of_a_complex_number_is_the_radius_of_a_disc_that_holds_the_truth(
    f: Any, x: Any, jacobian: Any
) -> None:
    value, bar = xcheck.finite_difference(f, x)

    assert bar.shape == value.shape == jacobian.shape
    assert bar.dtype == np.float64
    assert value.dtype == np.complex128
    assert np.all(np.abs(value - jacobian) <= bar)
    assert np.all(bar <= 1e-6 * np.max(np.abs(jacobian)))


def test_the_bars_of_both_parts_make_the_radius() -> None:
    def radius(f: Any, x: Any, bar: Any) -> Any:
        call = read_call(f, [x])
        with pinned(call.backend, 0) as rewind:
            return nest_bars(Problem.at(call, rewind), np.array(bar), lambda array, k: array.tolist())

    assert radius(abs, 1j, [[3.0, 4.0]]) == 5
    assert radius(lambda x: x * 1j, 1.0, [[3.0], [4.0]]) == 5
    assert radius(lambda z: z * z, 1j, [[3.0, 4.0], [6.0, 8.0]]) == 5


# Diagonals


def test_the_diagonal_of_an_elementwise_function_costs_a_few_products(torch: Any) -> None:
    calls = []

    class Sin(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x.sin()

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            calls.append(1)
            return g * ctx.saved_tensors[0].cos()

    x = torch.linspace(0, 1, 500, dtype=torch.float64)
    found = xcheck.jacobian_diagonal(Sin.apply, x)

    np.testing.assert_allclose(found, x.cos(), rtol=1e-14)
    assert len(calls) == 4


@pytest.mark.parametrize("seed", range(20))
def test_one_entry_beside_the_diagonal_is_never_mixed_into_it(torch: Any, seed: int) -> None:
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[1, 0] = 2.0

    found = xcheck.jacobian_diagonal(lambda x: matrix @ x, torch.ones(4, dtype=torch.float64), seed=seed)

    assert found.tolist() == [1, 1, 1, 1]


def test_diagonals_of_several_inputs_and_of_numpy_functions() -> None:
    a, b = xcheck.jacobian_diagonal(lambda a, b: (a**2, np.sin(b)), Y, X)

    np.testing.assert_allclose(a, 2 * Y, rtol=1e-8)
    np.testing.assert_allclose(b, np.cos(X), rtol=1e-8)


def test_a_kink_beside_the_diagonal_does_not_matter_to_it() -> None:
    found = xcheck.jacobian_diagonal(lambda x: np.array([x[0] ** 2, abs(x[0] - 1) + x[1]]), np.ones(2))

    np.testing.assert_allclose(found, [2, 1], rtol=1e-8)


def test_a_function_without_a_diagonal_is_refused() -> None:
    with pytest.raises(ValueError, match=r"as many outputs as inputs, but f maps 3 numbers to 1. Name the one input"):
        xcheck.jacobian_diagonal(lambda x: np.sum(x), Y)


# Finite differences


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_the_bar_holds_the_truth_at_every_scale(scale: float) -> None:
    value, bar = xcheck.finite_difference(lambda x: np.sin(x / scale) * scale, Y * scale)

    assert np.all(np.abs(value - np.diag(np.cos(Y))) <= bar)
    assert np.all(np.diag(bar) < 1e-8)
    assert np.all(bar < 1e-5)


def test_gradients_and_jacobians_have_the_shapes_of_the_other_verbs() -> None:
    assert xcheck.finite_difference(lambda x: np.sum(x), X).value.shape == (2, 3)
    assert xcheck.finite_difference(lambda x: x[0], X).value.shape == (3, 2, 3)
    value, bar = xcheck.finite_difference(lambda p, x: {"y": p["w"] * x}, {"w": Y}, 2.0)
    assert value["y"][0]["w"].shape == bar["y"][0]["w"].shape == (3, 3)
    assert value["y"][1].shape == (3,)
    loss, _ = xcheck.finite_difference(lambda x: {"loss": np.sum(x)}, X)
    assert loss.shape == (2, 3)


def test_there_is_no_slope_at_a_kink() -> None:
    value, bar = xcheck.finite_difference(abs, 0.0)
    assert np.isnan(value)
    assert bar == np.inf

    value, bar = xcheck.finite_difference(np.abs, np.array([0.0, 1.0]))
    assert np.isnan(value[0, 0])
    assert bar[0, 0] == np.inf
    assert abs(value[1, 1] - 1) <= bar[1, 1] < 1e-8

    gradient, bar = xcheck.finite_difference(lambda z: np.abs(z), 0j)
    assert np.isnan(gradient)
    assert bar == np.inf


def test_a_numpy_jacobian_that_cannot_be_measured_is_an_error_that_names_the_entry() -> None:
    with pytest.raises(
        ValueError, match=r"d out\[0\] / d x\[0\] could not be measured: a kink.*finite_difference returns"
    ):
        xcheck.jacobian(np.abs, np.array([0.0, 1.0]))


def test_measured_values_are_numpy_arrays_whatever_the_framework(backend: Any) -> None:
    value, bar = xcheck.finite_difference(lambda x: x * x, backend.from_numpy(np.array([1.0, 2.0])))

    assert type(value) is type(bar) is np.ndarray
    np.testing.assert_allclose(value, [[2, 0], [0, 4]], atol=1e-8)


# Nothing is lost without a word


def test_an_input_that_the_framework_calls_unconnected_is_a_warning_and_not_a_silent_zero(torch: Any) -> None:
    x = torch.ones(2)
    for verb in (xcheck.gradient, xcheck.jacobian):
        with pytest.warns(UserWarning, match="torch returned None for b: .*Zeros are returned") as caught:
            found = verb(lambda a, b: (a * b.detach()).sum(), x, x)
        assert found[1].tolist() == [0, 0]
        assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="None for x") as caught:
        xcheck.jacobian_diagonal(lambda x: x.detach(), x)
    assert caught[0].filename == __file__


def test_a_function_without_a_reverse_rule_is_pushed_forward() -> None:
    class Forward:
        name = "forward"

        def __init__(self) -> None:
            from xcheck_backends.numpy_ import NumpyBackend

            inner = NumpyBackend()
            self.owns, self.from_numpy, self.to_numpy, self.value = (
                inner.owns,
                inner.from_numpy,
                inner.to_numpy,
                inner.value,
            )

        def vjp(self, f: Any, xs: Any, /) -> Any:
            raise NotImplementedError("no reverse rule")

        def jvp(self, f: Any, xs: Any, tangents: Any, /) -> Any:
            return f(xs), [3 * tangents[0]]

    forward: Any = Forward()
    np.testing.assert_array_equal(xcheck.jacobian(lambda x: 3 * x, Y, backend=forward), 3 * np.eye(3))
    np.testing.assert_array_equal(xcheck.jacobian_diagonal(lambda x: 3 * x, Y, backend=forward), [3, 3, 3])
    np.testing.assert_array_equal(xcheck.gradient(lambda x: 3 * x, 2.0, backend=forward), 3)


@pytest.mark.parametrize("f", [lambda x: x, lambda x: x[0] * 1j], ids=["several", "complex"])
def test_a_gradient_needs_one_real_number(f: Any) -> None:
    with pytest.raises(ValueError, match=r"gradient needs a function with one real number as output.*xcheck.jacobian"):
        xcheck.gradient(f, Y)
