"""Opening a call: names, what varies, what is held constant and why, wrt=, modules."""

from __future__ import annotations

import functools
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import xcheck
from xcheck.call import Call, read_call

Point = namedtuple("Point", "u v")


@dataclass(frozen=True)
class Params:
    w: Any
    scale: float = 2.0
    steps: int = 3


def names(call: Call) -> list[str]:
    return [leaf.name for leaf in call.varying]


def constants(call: Call) -> dict[str, str]:
    return {leaf.name: leaf.constant for leaf in call.constant}


class Callable:
    def __call__(self, theta: Any) -> Any:
        return np.sum(theta)

    def method(self, theta: Any) -> Any:
        return np.sum(theta)


def f(x: Any, *rest: Any, **options: Any) -> Any:
    return np.sum(x)


# Names


@pytest.mark.parametrize(
    ("function", "inputs", "title", "expected"),
    [
        (lambda theta: theta, [1.0], "f", ["theta"]),
        (lambda a, b: a, [1.0, 2.0], "f", ["a", "b"]),
        (f, [1.0, 2.0, 3.0], "f", ["x", "rest[0]", "rest[1]"]),
        (np.sin, [1.0], "sin", ["x"]),
        (np.hypot, [1.0, 2.0], "hypot", None),
        (functools.partial(lambda n, x: x, 3), [1.0], "f", ["x"]),
        (functools.partial(f, scale=3), [1.0], "f", ["x"]),
        (Callable(), [1.0], "Callable", ["theta"]),
        (Callable().method, [1.0], "method", ["theta"]),
        (lambda p: p, [{"w": [np.ones(1), np.ones(1)]}], "f", ["p['w'][0]", "p['w'][1]"]),
        (lambda p: p, [Point(1.0, (2.0,))], "f", ["p.u", "p.v[0]"]),
        (lambda p: p, [Params(np.ones(2))], "f", ["p.w", "p.scale"]),
        (lambda p: p, [OrderedDict(z=1.0, a=2.0)], "f", ["p['z']", "p['a']"]),
        (lambda p, q: p, [None, 2.0], "f", ["q"]),
    ],
)
def test_functions_and_their_inputs_are_named_as_in_the_users_code(
    function: Any, inputs: list[Any], title: str, expected: list[str] | None
) -> None:
    call = read_call(function, inputs)

    assert call.title == title
    assert len(set(names(call))) == len(names(call))
    if expected is not None:
        assert names(call) == expected


def test_an_autograd_function_is_named_by_its_class_and_the_arguments_of_its_forward(torch: Any) -> None:
    class WithContext(torch.autograd.Function):
        @staticmethod
        def forward(context: Any, vector: Any, scale: Any) -> Any:
            return vector * scale

    class WithSetup(torch.autograd.Function):
        @staticmethod
        def forward(vector: Any, scale: Any) -> Any:
            return vector * scale

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None: ...

    for rule in (WithContext, WithSetup):
        call = read_call(rule.apply, [torch.ones(2), torch.ones(2)])
        assert (call.title, names(call)) == (rule.__name__, ["vector", "scale"])


def test_functions_of_the_frameworks_need_no_signature(torch: Any) -> None:
    assert names(read_call(torch.sin, [torch.ones(2)])) == ["x"]
    assert names(read_call(torch.mul, [torch.ones(2), torch.ones(2)])) == ["x0", "x1"]


# What varies


def test_leaves_without_derivatives_are_held_constant_and_reported() -> None:
    def g(x: Any, n: Any, flag: Any, mode: Any, index: Any, nothing: Any, thing: Any) -> Any:
        return np.sum(x)

    call = read_call(g, [np.ones(2), 3, True, "sum", np.arange(2), None, Callable()])

    assert names(call) == ["x"]
    assert constants(call) == {
        "n": "held constant, a Python int",
        "flag": "held constant, a Python bool",
        "mode": "held constant, a Python str",
        "index": "held constant, its dtype is int64",
        "thing": f"held constant, of type {Callable.__module__}.Callable",
    }
    assert set(constants(call)) == {line.partition(":")[0] for line in call.unchecked()}


def test_python_floats_vary_in_numpy_functions_and_not_as_keywords() -> None:
    call = read_call(f, [1.0, 2 + 1j], {"scale": 3.0, "table": np.ones(2)})

    assert names(call) == ["x", "rest[0]", "table"]
    assert constants(call) == {"scale": 'held constant, a keyword number (wrt="scale" makes it vary)'}


def test_python_numbers_are_constants_of_framework_functions(torch: Any) -> None:
    call = read_call(f, [torch.ones(2), 2.0, [1.0, 2.0], np.int64(1)])

    assert names(call) == ["x"]
    assert "a Python number in a torch function (pass it as an array" in constants(call)["rest[0]"]
    assert "a list of Python numbers in a torch function" in constants(call)["rest[1]"]
    assert call.constants()[2] is call.leaves[3].value  # an integer may be an axis: it stays a NumPy scalar


def test_numpy_arrays_become_arrays_of_the_framework_of_the_others(torch: Any) -> None:
    call = read_call(f, [torch.ones(2), np.ones(3), np.arange(2), np.array(["a"])])

    assert [torch.is_tensor(leaf.value) for leaf in call.leaves] == [True, True, True, False]
    assert names(call) == ["x", "rest[0]"]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "complex64", "complex128"])
def test_every_floating_dtype_varies(torch: Any, dtype: str) -> None:
    call = read_call(lambda x: x, [torch.ones(2, dtype=getattr(torch, dtype))])

    assert call.varying[0].array is not None
    assert call.varying[0].array.dtype.name == dtype


def test_typed_random_keys_of_jax_are_constants(jax: Any) -> None:
    call = read_call(lambda x, key: x, [jax.numpy.ones(2), jax.random.key(0)])

    assert constants(call) == {"key": "held constant, its dtype is key<fry>"}


def test_constants_are_copied_for_every_call() -> None:
    index = np.arange(2)
    call = read_call(lambda x, index, names: x, [np.ones(2), index, [1, 2]])

    first, second = call.constants(), call.constants()

    assert first[0] is not index
    assert first[0] is not second[0]
    assert first[1] is not second[1]


def test_the_wide_call_widens_constant_arrays_too(torch: Any) -> None:
    call = read_call(f, [torch.ones(2), torch.ones(2), torch.arange(2)], wrt=0)

    wide = call.in_float64()

    assert [x.dtype for x in wide.constants()] == [torch.float64, torch.int64]
    assert [x.dtype for x in call.constants()] == [torch.float32, torch.int64]


# wrt=


@pytest.mark.parametrize(
    ("wrt", "expected"),
    [
        (0, ["p['a'].u", "p['a'].v", "p['w']"]),
        ("p", ["p['a'].u", "p['a'].v", "p['w']"]),
        ("p['w']", ["p['w']"]),
        ("p['a']", ["p['a'].u", "p['a'].v"]),
        ("p['a'].v", ["p['a'].v"]),
        (["q", "p['w']"], ["p['w']", "q"]),
        ((0, 1), ["p['a'].u", "p['a'].v", "p['w']", "q"]),
        ({"s"}, ["s"]),
    ],
)
def test_wrt_takes_positions_names_and_names_of_parts(wrt: Any, expected: list[str]) -> None:
    call = read_call(
        lambda p, q, s: q, [{"w": np.ones(2), "a": Point(1.0, 2.0), "n": 3}, np.ones(2)], {"s": 1.0}, wrt=wrt
    )

    assert names(call) == expected
    assert constants(call)["p['n']"] == "held constant, a Python int"


def test_inputs_that_wrt_leaves_out_are_reported() -> None:
    report = xcheck.check(lambda a, b: np.sum(a * b), np.ones(2), np.ones(2), wrt="a", gradient=lambda a, b: b)

    assert "b: held constant, not named in wrt=" in report.unchecked


@pytest.mark.parametrize(
    ("wrt", "error", "message"),
    [
        ("c", ValueError, r"wrt='c' names no input. Accepted: positions from 0, and the names a, n"),
        (7, ValueError, "wrt=7 names no input"),
        ("n", ValueError, "wrt='n' cannot vary: n is held constant, a Python int. Accepted: floating-point or complex"),
        ([], ValueError, "wrt= is empty"),
        (True, TypeError, "positions, names, or a list of them; given: bool"),
        (np.ones(2), TypeError, "given: ndarray"),
        (["a", 1.5], TypeError, "given: float"),
    ],
)
def test_a_wrt_that_makes_no_sense_is_explained(wrt: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        read_call(lambda a, n: a, [np.ones(2), 3], wrt=wrt)


# Modules


def test_a_torch_module_brings_its_parameters_and_names_them(torch: Any) -> None:
    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(2, 2)
            self.x = torch.nn.Parameter(torch.ones(2))
            self.frozen = torch.nn.Parameter(torch.ones(2), requires_grad=False)

        def forward(self, x: Any, *, gain: Any = 1.0) -> Any:
            return self.layer(x) * self.x * gain

    call = read_call(Model(), [torch.ones(2)], {"gain": 2.0})

    assert call.title == "Model"
    assert names(call) == ["layer.bias", "layer.weight", "self.x", "x"]  # the parameter x is not the input x
    assert call.count == 1


@pytest.mark.parametrize(
    ("wrt", "expected"),
    [("weight", ["weight"]), ("input", ["input"]), (0, ["input"]), (["bias", 0], ["bias", "input"])],
)
def test_wrt_chooses_among_the_parameters_of_a_module(torch: Any, wrt: Any, expected: list[str]) -> None:
    assert names(read_call(torch.nn.Linear(2, 1), [torch.ones(2)], wrt=wrt)) == expected


def test_wrt_names_a_whole_layer(torch: Any) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Tanh(), torch.nn.Linear(2, 1))

    assert names(read_call(model, [torch.ones(2)], wrt="2")) == ["2.bias", "2.weight"]


def test_a_module_takes_numpy_inputs(torch: Any) -> None:
    report = xcheck.check(torch.nn.Linear(2, 1), np.ones(2, np.float32))

    assert report.backend == "torch float32"


def test_a_module_without_inputs_is_checked_by_its_parameters(torch: Any) -> None:
    class Bias(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.b = torch.nn.Parameter(torch.ones(2))

        def forward(self) -> Any:
            return self.b.sin()

    assert xcheck.check(Bias()).ok


def test_a_module_is_checked_in_training_and_left_as_it_was(torch: Any) -> None:
    torch.manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2), torch.nn.Dropout(0.5))
    x = torch.rand(3, 2, requires_grad=True)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    generator = torch.get_rng_state()

    report = xcheck.check(model, x)

    assert report.ok
    assert any("draws random numbers" in note for note in report.notes)
    assert model.training
    assert x.grad is None
    assert torch.equal(torch.get_rng_state(), generator)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(p.grad is None and p.requires_grad for p in model.parameters())


def test_a_wrong_parameter_gradient_is_named_by_the_parameter(torch: Any) -> None:
    class Scale(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, w: Any) -> Any:
            ctx.save_for_backward(x, w)
            return x * w

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            x, w = ctx.saved_tensors
            wrong = g * x
            wrong[1] *= 2
            return g * w, wrong

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.full((3,), 0.5))

        def forward(self, x: Any) -> Any:
            return Scale.apply(x, self.weight)

    report = xcheck.check(Model(), torch.ones(3), raises=False)

    assert report.comparisons[0].worst[0].name == "d out[1] / d weight[1]"
    assert report.comparisons[0].wrong == 1


def test_a_module_and_inputs_of_another_framework_are_told_apart(torch: Any, jax: Any) -> None:
    with pytest.raises(TypeError, match="Linear is a module of torch, but input is an array of jax"):
        read_call(torch.nn.Linear(2, 1), [jax.numpy.ones(2)])


def test_a_keras_model_names_its_variables_by_path(tf: Any) -> None:
    import keras

    if keras.config.backend() != "tensorflow":
        pytest.skip("Keras runs on another framework")
    model = keras.Sequential([keras.layers.Dense(2, name="dense"), keras.layers.BatchNormalization(name="norm")])
    x = np.array([[1, 2], [3, 5], [-2, 1]], np.float32)
    model(x)
    before = [v.numpy() for v in model.variables]

    call = read_call(model, [x], {"training": True})

    assert names(call)[:2] == [f"{model.name}/dense/bias", f"{model.name}/dense/kernel"]
    assert xcheck.check(model, x, kwargs={"training": True}, wrt=f"{model.name}/dense/kernel").ok
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def test_a_keras_layer_that_was_never_built_is_explained(tf: Any) -> None:
    import keras

    with pytest.raises(ValueError, match="has no variables yet; call it on an input once"):
        read_call(keras.layers.Dense(2), [np.ones((1, 2), np.float32)], backend=keras.config.backend())
