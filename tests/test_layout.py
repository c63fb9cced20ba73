"""Parameters seen through layouts and invariants: found by name, checked, or said to be unchecked."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import xcheck
from xcheck.verdict import Verdict

X = np.array([[0.3, -1.0, 0.7], [1.1, 0.2, -0.4]])


def network(torch: Any) -> Any:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2)).double()


def varied(report: xcheck.Report) -> list[str]:
    """Name the inputs that varied."""
    return [line.split(" in ")[0] for line in report.point]


def negated(torch: Any) -> Any:
    """Return a linear layer whose derivative by its weight has the wrong sign, and only that."""

    class Product(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, weight: Any) -> Any:
            ctx.save_for_backward(x, weight)
            return x @ weight.T

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            x, weight = ctx.saved_tensors
            return g @ weight, -g.T @ x

    class Linear(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.tensor([[0.5, -1.0, 2.0]], dtype=torch.float64))

        def forward(self, x: Any) -> Any:
            return Product.apply(x, self.weight)

    return Linear()


WRAPPED = {
    "layout": lambda f: xcheck.layout(f, inputs="AB->AB"),
    "invariant": lambda f: xcheck.invariant(f, "absolute"),
    "layout of layout": lambda f: xcheck.layout(xcheck.layout(f, outputs="AB->BA"), outputs="AB->BA"),
    "invariant of layout": lambda f: xcheck.invariant(xcheck.layout(f, outputs="AB->BA"), "absolute"),
    "layout of invariant": lambda f: xcheck.layout(xcheck.invariant(f, "absolute"), outputs="AB->BA"),
    "invariant of invariant": lambda f: xcheck.invariant(xcheck.invariant(f, "absolute"), "absolute"),
}


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
def test_modules_keep_their_names(torch: Any, wrap: Callable[..., Any]) -> None:
    bare, seen = (xcheck.check(f, X) for f in (network(torch), wrap(network(torch))))
    assert varied(seen) == varied(bare) == ["0.bias", "0.weight", "2.bias", "2.weight", "input"]
    assert seen.function == bare.function


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
def test_wrong_derivatives_by_parameters_are_found(torch: Any, wrap: Callable[..., Any]) -> None:
    report = xcheck.check(wrap(negated(torch)), X, raises=False)
    assert report.verdict is Verdict.DISAGREE
    assert all("/ d weight[" in entry.name for entry in report.comparisons[0].worst)
    assert report.comparisons[0].wrong == 6


def test_names_and_axes_are_those_of_the_outermost_layout(torch: Any) -> None:
    inner = xcheck.layout(network(torch), names={"kernel": ("0.weight", "IO->OI"), "offset": "0.bias"})
    outer = xcheck.layout(xcheck.invariant(inner, "absolute"), names={"w": ("kernel", "OI->IO")})
    for f, name, shape in ((inner, "kernel", (3, 4)), (outer, "w", (4, 3))):
        call = xcheck.call.read_call(f, [X])
        leaf = next(leaf for leaf in call.leaves if leaf.name == name)
        assert leaf.array is not None
        assert leaf.array.shape == shape
        assert "offset" in [leaf.name for leaf in call.leaves]
        assert xcheck.check(f, X, wrt=[name]).ok


def test_trees_of_parameters_in_jax(jax: Any) -> None:
    tree = {"dense": {"kernel": np.full((3, 2), 0.3), "bias": np.array([0.1, -0.2])}, "scale": 2.0, "layers": 1}

    def apply(p: Any, x: Any) -> Any:
        return p["scale"] * jax.numpy.tanh(x @ p["dense"]["kernel"] + p["dense"]["bias"])

    report = xcheck.check(xcheck.layout(apply, parameters=tree), X, backend="jax")
    assert varied(report) == ["dense/bias", "dense/kernel", "x"]
    assert [line.partition(":")[0] for line in report.unchecked] == ["layers", "scale"]
    names = {"weight": ("kernel", "OI->IO"), "offset": "bias"}
    report = xcheck.check(xcheck.layout(apply, parameters=tree, names=names), X, backend="jax")
    assert varied(report) == ["offset", "weight", "x"]


def test_trees_tell_the_framework(jax: Any) -> None:
    tree = {"w": jax.numpy.ones(3, "float32")}
    report = xcheck.check(xcheck.layout(lambda p, x: jax.numpy.sin(x @ p["w"]), parameters=tree), np.float32(X))
    assert report.backend == "jax float32"
    assert varied(report) == ["w", "x"]


def test_a_wrong_derivative_by_a_tree_is_found(jax: Any) -> None:
    @jax.custom_vjp
    def product(x: Any, w: Any) -> Any:
        return x @ w

    product.defvjp(lambda x, w: (x @ w, (x, w)), lambda saved, g: (g @ saved[1].T, 2 * saved[0].T @ g))
    f = xcheck.layout(lambda p, x: product(x, p["w"]), parameters={"w": np.ones((3, 1))})
    report = xcheck.check(xcheck.invariant(f, "absolute"), X, backend="jax", raises=False)
    assert report.verdict is Verdict.DISAGREE
    assert all("/ d w[" in entry.name for entry in report.comparisons[0].worst)


def test_numpy_trees_may_be_a_single_array_and_go_with_gradients_by_name() -> None:
    tree = np.array([0.5, -1.0, 2.0])
    f = xcheck.layout(lambda p, x: x @ p, parameters=tree)
    assert varied(xcheck.check(f, X[0], gradient=lambda x: {"x": tree, "parameters": x})) == ["parameters", "x"]
    report = xcheck.check(f, X[0], gradient=lambda x: {"x": tree, "parameters": 2 * x}, raises=False)
    assert report.comparisons[0].wrong == 3
    report = xcheck.check(f, X[0], gradient=lambda x: {"x": tree})
    assert any(line.startswith("parameters") for line in report.unchecked)


def keras_layer(tf: Any, shape: tuple[int, ...]) -> Any:
    layer = tf.keras.layers.Dense(2, activation="tanh", dtype="float64")
    layer.build(shape)
    return layer


def test_keras_layers_keep_their_names(tf: Any) -> None:
    if tf.keras.backend.backend() != "tensorflow":
        pytest.skip("Keras runs on another framework")
    layer = keras_layer(tf, (None, 3))
    bare = xcheck.check(layer, X)
    for wrap in WRAPPED.values():
        assert varied(xcheck.check(wrap(layer), X)) == varied(bare)
    names = {"weight": ("kernel", "OI->IO"), "offset": "bias"}
    report = xcheck.check(xcheck.layout(layer, names=names), X)
    assert varied(report)[:2] == ["offset", "weight"]


@pytest.mark.parametrize("wrap", [lambda f: f, lambda f: xcheck.layout(f, outputs="AB->BA")])
def test_modules_that_cannot_be_opened_are_said_to_be_unchecked(torch: Any, wrap: Callable[..., Any]) -> None:
    net = network(torch)
    for f, name in ((net.forward, "Sequential"), (functools.partial(net), "Sequential"), (X.dot, "")):
        lines = [line for line in xcheck.call.read_call(wrap(f), [X], backend="torch").unchecked() if "param" in line]
        assert [line.startswith(f"parameters of {name}: held constant") for line in lines] == [True] * bool(name)


def test_float64_references_may_be_layouts(torch: Any) -> None:
    names = {"w": ("0.weight", "IO->OI")}
    kernel, reference = (xcheck.layout(f, names=names) for f in (network(torch).float(), network(torch)))
    assert xcheck.check(kernel, np.float32(X), reference=reference).ok
    with pytest.raises(ValueError, match=r"module with the parameters of Sequential, 0\.bias, .*, w; given: 0\.bias"):
        xcheck.check(kernel, np.float32(X), reference=network(torch))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"names": {"w": "kernel"}}, "names= of 'tanh' speaks of 'kernel'; it has no parameters"),
        ({"names": {"a": "w", "b": "w"}, "parameters": {"w": X}}, "gives the parameter 'w' to 'a' and 'b'"),
        ({"names": {"a": ("w", "ABC->BAC")}, "parameters": {"w": X}}, "an order of 3 axes, for a parameter of shape"),
        ({"parameters": {"a/b": X, "a": {"b": X}}}, "has two leaves called 'a/b'"),
    ],
)
def test_bad_names_are_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        xcheck.check(xcheck.layout(np.tanh, **given), X, diagonal=np.cos)


def test_numbers_have_no_axes() -> None:
    f = xcheck.layout(lambda p, x: x * p["s"], parameters={"s": 2.0}, names={"t": ("s", "AB->BA")})
    with pytest.raises(TypeError, match=r"names\['t'\] has an order of axes, and a float has none"):
        xcheck.check(f, X, diagonal=np.cos)


def test_a_tree_beside_a_module_is_refused(torch: Any) -> None:
    with pytest.raises(ValueError, match="parameters= of 'Sequential' is for plain functions"):
        xcheck.check(xcheck.layout(network(torch), parameters={"w": X}), X)
