"""Implementations of one function in several frameworks: who is wrong, and who only follows another convention."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import xcheck
from xcheck import registry
from xcheck.agreement import Cause, group
from xcheck.axes import read_axes
from xcheck.verdict import Verdict

torch = pytest.importorskip("torch")
jax = pytest.importorskip("jax")
tf = pytest.importorskip("tensorflow")
jnp = jax.numpy

Functions = dict[str, Any]


def everywhere(name: str, tensorflow: Callable[..., Any] | None = None) -> Functions:
    """Return the function of one name in all three frameworks."""
    return {"torch": getattr(torch, name), "jax": getattr(jnp, name), "tensorflow": tensorflow or getattr(tf, name)}


def causes(report: xcheck.CrossReport) -> set[Cause]:
    return {d.cause for d in report.differences}


def test_functions_that_are_the_same_agree() -> None:
    functions = everywhere("tanh") | {"numpy": (np.tanh, lambda x: np.diag(1 - np.tanh(x) ** 2))}
    report = xcheck.crosscheck(functions, np.array([0.3, -1.0]))
    assert report.ok
    assert not report.findings
    assert all(row.state == "agree" for row in report.rows)
    assert min(d for row in report.rows for d in row.derivatives.values()) > 14


def test_tensorflow_s_cumprod_at_a_zero_is_wrong_and_named() -> None:
    functions = {
        "torch": lambda x: torch.cumprod(x, 0).sum(),
        "jax": lambda x: jnp.cumprod(x).sum(),
        "tensorflow": lambda x: tf.reduce_sum(tf.math.cumprod(x)),
    }
    report = xcheck.crosscheck(functions, np.array([0.0, 3.0, 4.0]), raises=False)
    assert report.verdict is Verdict.DISAGREE
    (wrong,) = (d for d in report.differences if d.cause is Cause.WRONG)
    assert wrong.blamed == ("tensorflow",)
    assert wrong.numbers == {"torch": 16.0, "jax": 16.0, "tensorflow": 0.0}
    assert "tensorflow is wrong and stands alone: d out / d x[0] is 16 by torch and jax, 0 by tensorflow" in str(report)
    with pytest.raises(xcheck.DerivativeError) as caught:
        xcheck.crosscheck(functions, np.array([0.0, 3.0, 4.0]))
    assert caught.value.report.verdict is Verdict.DISAGREE


@pytest.mark.parametrize(
    ("functions", "x", "numbers"),
    [
        ({"torch": torch.relu, "jax": jax.nn.relu, "tensorflow": tf.nn.relu}, [0.0], (0.0, 0.0, 0.0)),
        (everywhere("abs"), [0.0], (0.0, 1.0, 0.0)),
        (
            {
                "torch": lambda x: torch.maximum(x, torch.zeros_like(x)),
                "jax": lambda x: jnp.maximum(x, 0.0),
                "tensorflow": lambda x: tf.maximum(x, tf.zeros_like(x)),
            },
            [0.0],
            (0.5, 0.5, 1.0),
        ),
        (
            {
                "torch": lambda x: torch.clamp(x, 0.0, 1.0),
                "jax": lambda x: jnp.clip(x, 0.0, 1.0),
                "tensorflow": lambda x: tf.clip_by_value(x, np.float64(0), np.float64(1)),
            },
            [1.0],
            (1.0, 0.5, 1.0),
        ),
    ],
)
def test_kinks_are_conventions(functions: Functions, x: list[float], numbers: tuple[float, ...]) -> None:
    report = xcheck.crosscheck(functions, np.array(x), raises=False)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert causes(report) == {Cause.CONVENTION}
    assert tuple(report.differences[0].numbers.values()) == numbers
    assert "valid generalised derivatives" in str(report)
    with pytest.raises(xcheck.InconclusiveError):
        xcheck.crosscheck(functions, np.array(x))


def test_rounding_of_a_constant_is_no_other_function() -> None:
    functions = {
        "torch": lambda x: ((x / x.norm()) ** 2).sum(),
        "jax": lambda x: jnp.sum((x / jnp.linalg.norm(x)) ** 2),
    }
    assert xcheck.crosscheck(functions, np.random.default_rng(0).normal(size=4)).ok


def test_ties_are_conventions_too() -> None:
    functions = {"torch": torch.amax, "jax": jnp.max, "tensorflow": tf.reduce_max}
    report = xcheck.crosscheck(functions, np.array([2.0, 2.0, 1.0]), raises=False)
    assert causes(report) == {Cause.CONVENTION}


@pytest.mark.parametrize(
    ("functions", "x"),
    [
        ({"torch": torch.linalg.norm, "jax": jnp.linalg.norm, "tensorflow": tf.norm}, np.zeros(2)),
        ({"torch": lambda x: torch.std(x, correction=0), "jax": jnp.std, "tensorflow": tf.math.reduce_std}, np.ones(3)),
    ],
)
def test_where_no_derivative_exists_nan_stands_against_a_chosen_number(functions: Functions, x: np.ndarray) -> None:
    report = xcheck.crosscheck(functions, x, raises=False)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert Cause.NOT_FINITE in causes(report)
    assert "No derivative exists" in str(report)
    assert "nan by jax and tensorflow" in str(report)


def test_what_values_cannot_settle_a_witness_does() -> None:
    mpmath = pytest.importorskip("mpmath")
    functions = {"torch": torch.expm1, "jax": jnp.expm1, "tensorflow": tf.math.expm1}
    x = np.array([-40.0])
    report = xcheck.crosscheck(functions, x, raises=False)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert causes(report) == {Cause.UNSETTLED}
    settled = xcheck.crosscheck(functions, x, witness=lambda x: np.array([mpmath.expm1(v) for v in x]), raises=False)
    (wrong,) = settled.differences
    assert wrong.cause is Cause.WRONG
    assert wrong.blamed == ("torch", "jax")
    assert "finite differences of witness=" in str(settled)


def test_another_function_is_not_a_wrong_derivative() -> None:
    functions = {"torch": torch.nn.functional.gelu, "jax": jax.nn.gelu, "tensorflow": tf.nn.gelu}
    report = xcheck.crosscheck(functions, np.array([1.0, -0.3]), raises=False)
    assert report.verdict is Verdict.DISAGREE
    assert causes(report) == {Cause.FUNCTION}
    assert report.differences[0].blamed == ("jax",)
    assert "jax computes another function" in str(report)


def test_a_plain_numpy_function_is_compared_by_value_and_measured() -> None:
    functions = {"torch": torch.sin, "numpy": np.sin}
    report = xcheck.crosscheck(functions, np.array([0.3, 2.0]))
    assert report.ok
    assert report.rows[1].state == "values only"
    assert report.rows[1].derivatives["torch"] > 8
    other = xcheck.crosscheck({"torch": torch.sin, "numpy": lambda x: np.sin(x) + 1e-3}, np.ones(2), raises=False)
    assert causes(other) == {Cause.FUNCTION}


def test_a_wrong_gradient_in_numpy_is_blamed() -> None:
    functions = {
        "torch": lambda x: (x**3).sum(),
        "numpy": (lambda x: np.sum(x**3), lambda x: 2 * x**2),
        "jax": lambda x: (x**3).sum(),
    }
    report = xcheck.crosscheck(functions, np.array([0.3, 2.0]), raises=False)
    assert [d.blamed for d in report.differences] == [("numpy",)]


def test_one_that_raises_leaves_the_others_compared() -> None:
    def broken(x: Any) -> Any:
        raise ZeroDivisionError("here")

    report = xcheck.crosscheck({"torch": torch.tanh, "jax": broken, "numpy": np.tanh}, np.ones(2), raises=False)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.rows[1].state == "raised ZeroDivisionError"
    assert "jax: raised ZeroDivisionError: here" in report.notes
    assert report.rows[0].values == {"numpy": pytest.approx(16, abs=2)}


def test_float32_inside_is_named() -> None:
    def inside(x: Any) -> Any:
        return tf.cast(tf.sin(tf.cast(x, tf.float32)), tf.float64)

    functions = {"torch": torch.sin, "jax": jnp.sin, "tensorflow": inside}
    report = xcheck.crosscheck(functions, np.linspace(0.1, 1, 5), raises=False)
    assert any("every number of out is one of float32" in note for note in report.notes)
    narrow = {"torch": torch.sin, "tensorflow": lambda x: tf.sin(tf.cast(x, tf.float32))}
    report = xcheck.crosscheck(narrow, np.linspace(0.1, 1, 5), raises=False)
    assert any("out is float32, though its inputs are float64" in note for note in report.notes)


def test_another_order_of_axes_is_found_and_made_to_fit() -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 6))

    def pooled(x: Any) -> Any:
        return tf.nn.avg_pool2d(x, 2, 2, "VALID")

    functions = {
        "torch": lambda x: torch.nn.functional.avg_pool2d(x, 2),
        "tensorflow": xcheck.layout(pooled, inputs="NCHW->NHWC"),
    }
    report = xcheck.crosscheck(functions, x, raises=False)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert any("xcheck.layout(f, outputs='NHWC->NCHW') would make them fit" in note for note in report.notes)
    functions["tensorflow"] = xcheck.layout(pooled, inputs="NCHW->NHWC", outputs="NHWC->NCHW")
    assert xcheck.crosscheck(functions, x).ok


def test_inputs_come_from_any_framework() -> None:
    x = torch.tensor([0.3, 0.4], dtype=torch.float64)
    assert xcheck.crosscheck({"jax": jnp.sin, "tensorflow": tf.sin}, x).ok
    assert xcheck.crosscheck({"jax": lambda x, a: a * x, "torch": lambda x, a: a * x}, x, 2.0).ok


def models() -> tuple[Any, Any, dict[str, Any], dict[str, Any]]:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2)).double()
    own = {name: p.detach().numpy() for name, p in net.named_parameters()}
    tree = {
        "hidden": {"kernel": own["0.weight"].T, "bias": own["0.bias"]},
        "out": {"kernel": own["2.weight"].T, "bias": own["2.bias"]},
    }
    names = {
        "0.weight": ("hidden/kernel", "OI->IO"),
        "0.bias": "hidden/bias",
        "2.weight": ("out/kernel", "OI->IO"),
        "2.bias": "out/bias",
    }

    def apply(w: Any, x: Any) -> Any:
        y = jnp.tanh(x @ w["hidden"]["kernel"] + w["hidden"]["bias"])
        return y @ w["out"]["kernel"] + w["out"]["bias"]

    return net, apply, tree, names


def test_models_are_compared_by_the_names_of_their_parameters() -> None:
    net, apply, tree, names = models()
    x = np.random.default_rng(0).normal(size=(2, 3))
    functions = {"torch": net, "jax": xcheck.layout(apply, names=names, parameters=tree)}
    report = xcheck.crosscheck(functions, x)
    assert report.ok
    assert any(line.startswith("0.weight in ") for line in report.reports["jax"].point)
    tree["out"]["kernel"] = tree["out"]["kernel"] + 1e-3
    report = xcheck.crosscheck(functions, x, raises=False)
    assert report.verdict is Verdict.DISAGREE
    assert "jax's parameters are others: 2.weight[" in report.findings[0]


def test_parameters_that_do_not_match_are_named() -> None:
    net, apply, tree, names = models()
    x = np.ones((2, 3))
    with pytest.raises(ValueError, match="'torch' has parameters and 'jax' has none"):
        xcheck.crosscheck({"torch": net, "jax": jnp.tanh}, x)
    with pytest.raises(ValueError, match=r"the parameter '0.bias' has shape .* in 'torch' and none in 'jax'"):
        xcheck.crosscheck({"torch": net, "jax": xcheck.layout(apply, parameters=tree)}, x)
    wrong = names | {"0.bias": "hidden/offset"}
    with pytest.raises(ValueError, match="names= of 'jax' speaks of 'hidden/offset'; its parameters are"):
        xcheck.crosscheck({"torch": net, "jax": xcheck.layout(apply, names=wrong, parameters=tree)}, x)


@pytest.mark.parametrize(
    ("functions", "error", "message"),
    [
        ({"torch": torch.sin}, ValueError, "at least two implementations; given: 1 \\('torch'\\)"),
        ({"torch": torch.sin, "theano": np.sin}, ValueError, "the label 'theano' begins with no backend's name"),
        ({"torch": torch.sin, "jax": 3}, TypeError, "'jax' must be callable; given: int"),
        ({"torch": torch.sin, "numpy": (np.sin, 3)}, TypeError, "'numpy' must be a function, or a pair"),
        ({"torch": torch.sin, 1: np.sin}, TypeError, "labels must be strings"),
        (torch.sin, TypeError, "functions must map labels to functions"),
    ],
)
def test_bad_functions_are_named(functions: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        xcheck.crosscheck(functions, np.ones(2))


def test_a_framework_that_is_missing_is_named_and_the_rest_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    found = registry.find_spec
    monkeypatch.setattr(registry, "find_spec", lambda name: None if name == "jax" else found(name))
    report = xcheck.crosscheck(everywhere("sin"), np.ones(2), raises=False)
    assert report.rows[-1].state == "not installed"
    assert any("pip install jax" in note for note in report.notes)
    assert report.rows[0].derivatives["tensorflow"] > 14
    with pytest.raises(ModuleNotFoundError, match="at least two"):
        xcheck.crosscheck({"torch": torch.sin, "jax": jnp.sin}, np.ones(2))


@pytest.mark.parametrize("order", ["NCHW", "NCHW->NHW", "NN->NN", "AB->AC"])
def test_orders_of_axes_are_checked(order: str) -> None:
    with pytest.raises(ValueError, match="is no order of axes"):
        xcheck.layout(np.sin, inputs=order)


def test_orders_of_axes() -> None:
    assert read_axes("inputs", "NCHW->NHWC") == (0, 2, 3, 1)
    with pytest.raises(ValueError, match="an order of 2 axes was given for an array of shape"):
        xcheck.layout(np.sin, inputs="AB->BA")(np.ones(3))


def test_reports_become_plain_data() -> None:
    report = xcheck.crosscheck(everywhere("sin"), np.ones(2))
    told = json.loads(json.dumps(report.to_dict()))
    assert told["verdict"] == "agree"
    assert told["rows"]["torch"]["derivatives"]["jax"] > 14
    with pytest.raises(TypeError, match="three verdicts"):
        bool(report)


def test_what_cannot_be_measured_does_not_agree() -> None:
    functions = {"numpy": lambda x: np.where(x == 1.0, np.sin(x), np.nan), "torch": torch.sin}
    report = xcheck.crosscheck(functions, np.ones(2), raises=False)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert any("2 of 4 slopes could not be measured" in note for note in report.notes)


def test_generators_are_left_as_they_were() -> None:
    torch.manual_seed(3)
    np.random.seed(3)
    expected = torch.rand(2), np.random.rand(2)
    torch.manual_seed(3)
    np.random.seed(3)
    xcheck.crosscheck({"torch": lambda x: x + torch.rand(2), "numpy": np.sin}, np.ones(2), raises=False)
    assert torch.equal(torch.rand(2), expected[0])
    np.testing.assert_array_equal(np.random.rand(2), expected[1])


def test_nothing_compared_is_said() -> None:
    def broken(x: Any) -> Any:
        raise ValueError("no")

    report = xcheck.crosscheck({"torch": broken, "jax": broken}, np.ones(2), raises=False)
    assert "Nothing was compared" in str(report)


def test_every_cell_says_what_two_implementations_are_to_each_other() -> None:
    functions = {
        "torch": torch.relu,
        "jax": lambda x: jnp.where(x >= 0, x, 0.0),
        "tensorflow": lambda x: tf.nn.relu(x) + 1.0,
        "numpy": lambda x: np.maximum(x, 0.0),
    }
    report = xcheck.crosscheck(functions, np.array([0.0, 1.0]), raises=False)
    rows = {row.label: row for row in report.rows}
    assert rows["torch"].agreement == {"jax": "convention", "tensorflow": "another function", "numpy": "agree in part"}
    assert rows["jax"].agreement["torch"] == "convention"
    assert rows["numpy"].derivatives["torch"] > 8
    assert json.loads(json.dumps(report.to_dict()))["rows"]["torch"]["agreement"]["jax"] == "convention"
    assert "convention" in str(report)
    assert "Jacobian differs" in str(report)


def test_derivatives_that_are_zero_but_for_rounding_agree() -> None:
    functions = {"torch": lambda x: torch.sin(x) ** 2 + torch.cos(x) ** 2, "jax": lambda x: jnp.ones_like(x) + 0 * x}
    report = xcheck.crosscheck(functions, np.array([0.3, 1.1]))
    assert report.rows[0].agreement == {"jax": "agree"}
    assert "differs" not in str(report)


def test_one_triangle_of_a_symmetric_matrix_is_a_convention() -> None:
    matrix = np.array([[3.0, 0.5, 0.2], [0.5, 2.0, -0.3], [0.2, -0.3, 1.0]])
    functions = dict(zip(("torch", "jax", "tensorflow"), LINALG, strict=True))
    report = xcheck.crosscheck(functions, matrix, raises=False)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert causes(report) == {Cause.CONVENTION}
    assert "each of these is right for symmetric changes of it" in report.findings[0]
    report = xcheck.crosscheck(functions | {"tensorflow": spoiled_eigenvalues}, matrix, raises=False)
    assert {label for d in report.differences if d.cause is Cause.WRONG for label in d.blamed} == {"tensorflow"}


LINALG = (torch.linalg.eigvalsh, jnp.linalg.eigvalsh, tf.linalg.eigvalsh)


@tf.custom_gradient
def spoiled_eigenvalues(x: Any) -> Any:
    values, vectors = tf.linalg.eigh(x)

    def pull(cotangent: Any) -> Any:
        return 1.01 * vectors @ tf.linalg.diag(cotangent) @ tf.transpose(vectors)

    return values, pull


def test_inputs_and_outputs_that_do_not_correspond_are_counted() -> None:
    two = {"torch": lambda x: (x, x), "jax": lambda x: (x, x), "tensorflow": lambda x: x}
    report = xcheck.crosscheck(two, np.ones(2), raises=False)
    assert any("tensorflow: returns 1 array, and torch 2; it is left out" in n for n in report.notes)


def test_long_failures_are_short_in_the_table_and_whole_below() -> None:
    def broken(x: Any) -> Any:
        raise ValueError("a long story: of a failure")

    report = xcheck.crosscheck({"torch": torch.sin, "jax": jnp.sin, "tensorflow": broken}, np.ones(2), raises=False)
    assert report.rows[2].state == "raised ValueError"
    assert any("a long story: of a failure" in note for note in report.notes)


def test_groups_hold_only_those_that_are_all_the_same() -> None:
    same = np.array([[True, True, False], [True, True, True], [False, True, True]])
    groups = group(("a", "b", "c"), same)
    assert sorted(map(len, groups)) == [1, 2]
    assert {"a", "c"} not in [set(g) for g in groups]
    assert group(("a", "b", "c"), np.ones((3, 3), bool)) == (("a", "b", "c"),)
