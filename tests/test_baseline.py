"""Baselines: values and derivatives from a file, of another process, framework or version."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import xcheck
from xcheck.comparison import Comparison
from xcheck.verdict import Verdict

X = np.array([0.3, -1.0, 2.0])


def saved(path: Path, f: Callable[..., Any], *inputs: Any, **options: Any) -> Path:
    """Save the baseline of a check, whatever its verdict."""
    xcheck.check(f, *inputs, **options, raises=False).save_baseline(path)
    return path


def against(report: xcheck.Report) -> dict[str, Comparison]:
    """Return the comparisons with a baseline, by what was compared."""
    return {c.claim.source: c for c in report.comparisons if c.reference.source == "baseline"}


def edited(path: Path, **changes: Callable[[np.ndarray], Any]) -> Path:
    """Write the file anew with other arrays."""
    with np.load(path, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    for name, change in changes.items():
        arrays[name] = change(arrays[name].copy())
    zipped(path, **arrays)
    return path


def zipped(path: Path, **arrays: Any) -> None:
    with path.open("wb") as file:
        np.savez(file, **arrays)


def told(path: Path, **changes: Any) -> Path:
    """Write the file anew with other words in its text."""
    return edited(path, about=lambda text: np.array(json.dumps(json.loads(str(text)) | changes)))


def square(x: np.ndarray) -> np.ndarray:
    return x**2 * np.sin(x)


def slope(x: np.ndarray) -> np.ndarray:
    return 2 * x * np.sin(x) + x**2 * np.cos(x)


def of_numpy(path: Path) -> Path:
    return saved(path, square, X, diagonal=slope)


# What is in the file


def test_a_baseline_has_inputs_and_outputs_by_name(tmp_path: Path) -> None:
    path = saved(
        tmp_path / "op.npz", lambda p, q: p["a"] @ q, {"a": X}, X + 1, gradient=lambda p, q: ({"a": q}, p["a"])
    )
    baseline = xcheck.load_baseline(path)
    assert list(baseline.inputs) == ["p['a']", "q"]
    np.testing.assert_array_equal(baseline.inputs["q"], X + 1)
    np.testing.assert_array_equal(baseline.outputs["out"], X @ (X + 1))
    assert baseline.backend == "numpy"
    assert baseline.verdict is Verdict.AGREE
    assert baseline.versions["numpy"] == np.__version__
    (record,) = baseline.derivatives
    assert record.source == "gradient="
    np.testing.assert_array_equal(record.claimed, np.concatenate([X + 1, X])[:, None])


def test_what_is_loaded_is_what_was_saved(tmp_path: Path) -> None:
    first = xcheck.load_baseline(of_numpy(tmp_path / "op.npz"))
    first.save(tmp_path / "again")
    second = xcheck.load_baseline(tmp_path / "again")
    for name in ("x", "y", "allowed"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    for name in ("claimed", "tolerance", "verdict", "missing"):
        np.testing.assert_array_equal(getattr(first.derivatives[0], name), getattr(second.derivatives[0], name))
    assert second.input_space == first.input_space
    assert second.versions == first.versions


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_inputs_keep_their_dtype(tmp_path: Path, torch: Any, dtype: str) -> None:
    x = torch.tensor([0.5, -1.25], dtype=getattr(torch, dtype))
    path = saved(tmp_path / "op.npz", torch.sin, x)
    (again,) = xcheck.load_baseline(path).inputs.values()
    assert again.dtype.name == dtype
    assert against(xcheck.check(torch.sin, again, backend="torch", baseline=path, raises=False))["sin"].verdict is (
        Verdict.AGREE
    )


def test_a_report_without_its_numbers_says_so(tmp_path: Path) -> None:
    report = xcheck.check(square, X, diagonal=slope)
    for other in (pickle.loads(pickle.dumps(report)), copy.deepcopy(report)):
        assert other == report
        with pytest.raises(ValueError, match="does not hold the numbers that it is about"):
            other.save_baseline(tmp_path / "op.npz")
    assert "_keep" not in report.to_dict()


def test_saving_leaves_generators_and_inputs_alone(tmp_path: Path) -> None:
    x = X.copy()
    report = xcheck.check(lambda x: np.sum(x * np.random.rand(3)), x, gradient=lambda x: np.random.rand(3))
    x[:] = 7.0
    before = np.random.get_state(legacy=False)["state"]["key"].copy()
    report.save_baseline(tmp_path / "op.npz")
    np.testing.assert_array_equal(np.random.get_state(legacy=False)["state"]["key"], before)
    baseline = xcheck.load_baseline(tmp_path / "op.npz")
    np.testing.assert_array_equal(baseline.inputs["x"], X)
    assert baseline.random


# The same function elsewhere


def test_torch_s_baseline_holds_in_jax_tensorflow_and_numpy(tmp_path: Path, torch: Any, jax: Any, tf: Any) -> None:
    path = saved(tmp_path / "op.npz", lambda x: torch.logsumexp(torch.sin(x), 0), torch.tensor(X))

    def gradient(x: np.ndarray) -> np.ndarray:
        return np.exp(np.sin(x)) / np.sum(np.exp(np.sin(x))) * np.cos(x)

    reports = [
        xcheck.check(lambda x: jax.nn.logsumexp(jax.numpy.sin(x)), X, backend="jax", baseline=path),
        xcheck.check(lambda x: tf.reduce_logsumexp(tf.sin(x)), X, backend="tensorflow", baseline=path),
        xcheck.check(lambda x: np.log(np.sum(np.exp(np.sin(x)))), X, gradient=gradient, baseline=path),
    ]
    assert all(report.ok for report in reports)
    assert list(against(reports[0])) == ["f", "jax/vjp", "jax/jvp"]
    assert list(against(reports[2])) == ["f", "gradient="]
    assert "the baseline is of f, torch float64" in str(reports[0])
    assert f"torch {torch.__version__}" in str(reports[0])


def test_another_function_is_found_by_its_value(tmp_path: Path) -> None:
    path = of_numpy(tmp_path / "op.npz")
    report = xcheck.check(
        lambda x: square(x) + 1e-5 * np.array([0, 0, 1.0]), X, diagonal=slope, baseline=path, raises=False
    )
    assert report.verdict is Verdict.DISAGREE
    (value,) = against(report).values()
    assert (value.wrong, value.total) == (1, 3)
    assert value.worst[0].name == "out[2]"
    assert value.worst[0].error_bar < 1e-12
    assert "out[2]: 3.637199707 here, 3.637189707 in the baseline (off by 1e-05" in str(report)
    assert "derivatives vs baseline: the values are those of another function" in report.unchecked
    with pytest.raises(xcheck.DerivativeError):
        xcheck.check(lambda x: 2 * square(x), X, diagonal=lambda x: 2 * slope(x), baseline=path)


def test_a_value_that_changed_by_very_little_is_told_and_left_open(tmp_path: Path) -> None:
    path = of_numpy(tmp_path / "op.npz")
    report = xcheck.check(
        lambda x: square(x) * (1 + 1e-9), X, diagonal=lambda x: slope(x) * (1 + 1e-9), baseline=path, raises=False
    )
    assert report.verdict is Verdict.INCONCLUSIVE
    value = against(report)["f"]
    assert value.verdict is Verdict.INCONCLUSIVE
    assert value.inconclusive == 3
    assert "fewer digits than rounding explains" in value.reason


def test_a_function_with_the_same_value_and_another_slope_is_found(tmp_path: Path) -> None:
    path = of_numpy(tmp_path / "op.npz")
    report = xcheck.check(
        lambda x: square(x) + 0.1 * (x - X), X, diagonal=lambda x: slope(x) + 0.1, baseline=path, raises=False
    )
    assert report.verdict is Verdict.DISAGREE
    found = against(report)
    assert found["f"].verdict is Verdict.AGREE
    assert found["diagonal="].wrong == 3
    assert found["diagonal="].total == 3
    assert {entry.name for entry in found["diagonal="].worst} == {f"d out[{i}] / d x[{i}]" for i in range(3)}
    assert "another function than the baseline's, with the same value" in found["diagonal="].reason


def test_an_entry_that_was_edited_in_the_file_is_named(tmp_path: Path, torch: Any) -> None:
    path = saved(tmp_path / "op.npz", torch.cumprod, torch.tensor(X), 0)

    def plant(claimed: np.ndarray) -> np.ndarray:
        claimed[0, 2] += 1e-3
        return claimed

    assert xcheck.check(torch.cumprod, torch.tensor(X), 0, baseline=path).ok
    edited(path, claimed_0=plant)
    report = xcheck.check(torch.cumprod, torch.tensor(X), 0, baseline=path, raises=False)
    assert report.verdict is Verdict.DISAGREE
    found = against(report)["torch/vjp"]
    assert (found.wrong, found.total) == (1, 9)
    assert found.worst[0].name == "d out[2] / d x0[0]"
    assert found.worst[0].measured == pytest.approx(found.worst[0].claimed + 1e-3)


@pytest.mark.parametrize(("factor", "verdict"), [(0.9, Verdict.AGREE), (1.1, Verdict.DISAGREE)])
def test_the_stated_limit_is_what_is_seen(tmp_path: Path, factor: float, verdict: Verdict) -> None:
    path = saved(tmp_path / "op.npz", lambda x: np.exp(20 * np.sin(3 * x)), X, diagonal=lambda x: steep(x))
    first = xcheck.check(lambda x: np.exp(20 * np.sin(3 * x)), X, diagonal=lambda x: steep(x), baseline=path)
    limit = against(first)["diagonal="].detection_limit
    assert 0 < limit < np.inf
    at = int(np.argmax(np.diagonal(xcheck.load_baseline(path).derivatives[0].tolerance)))

    def plant(claimed: np.ndarray) -> np.ndarray:
        claimed[at, at] += factor * limit
        return claimed

    edited(path, claimed_0=plant)
    report = xcheck.check(
        lambda x: np.exp(20 * np.sin(3 * x)), X, diagonal=lambda x: steep(x), baseline=path, raises=False
    )
    found = against(report)["diagonal="]
    assert (found.verdict is Verdict.AGREE) is (verdict is Verdict.AGREE)


def steep(x: np.ndarray) -> np.ndarray:
    return 60 * np.cos(3 * x) * np.exp(20 * np.sin(3 * x))


def test_a_wrong_derivative_here_disagrees_with_the_baseline_too(tmp_path: Path) -> None:
    path = of_numpy(tmp_path / "op.npz")
    report = xcheck.check(square, X, diagonal=lambda x: 1.01 * slope(x), baseline=path, raises=False)
    found = against(report)["diagonal="]
    assert found.verdict is Verdict.DISAGREE
    assert "finite differences exclude" in found.reason


def test_a_baseline_that_was_wrong_blames_nobody_here(tmp_path: Path) -> None:
    path = saved(tmp_path / "op.npz", square, X, diagonal=lambda x: 1.01 * slope(x))
    report = xcheck.check(square, X, diagonal=slope, baseline=path, raises=False)
    assert report.verdict is Verdict.INCONCLUSIVE
    found = against(report)["diagonal="]
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "found wrong when it was saved" in found.reason
    assert "the check that saved it was disagree" in str(report)


# Where there is no derivative


def test_a_point_that_was_moved_is_the_one_that_is_saved(tmp_path: Path, torch: Any) -> None:
    path = saved(tmp_path / "op.npz", torch.abs, torch.zeros(2, dtype=torch.float64), smooth_points=True)
    (x,) = xcheck.load_baseline(path).inputs.values()
    assert np.all(x != 0)
    assert xcheck.check(torch.abs, torch.tensor(x), baseline=path).ok


def test_conventions_at_a_kink_are_no_disagreement(tmp_path: Path, torch: Any, jax: Any) -> None:
    x = np.array([0.0, 1.5])
    path = saved(tmp_path / "op.npz", torch.abs, torch.tensor(x))
    report = xcheck.check(jax.numpy.abs, x, backend="jax", baseline=path, raises=False)
    found = against(report)["jax/vjp"]
    assert found.verdict is Verdict.INCONCLUSIVE
    assert (found.inconclusive, found.without_derivative, found.total) == (1, 1, 4)
    assert found.worst[0].name == "d out[0] / d x[0]"
    assert (found.worst[0].claimed, found.worst[0].measured) == (1.0, 0.0)
    assert "another convention" in found.reason
    same = xcheck.check(torch.abs, torch.tensor(x), baseline=path, raises=False)
    assert against(same)["torch/vjp"].verdict is Verdict.AGREE


def test_nan_against_a_chosen_number_is_no_disagreement(tmp_path: Path, torch: Any, jax: Any) -> None:
    path = saved(tmp_path / "op.npz", torch.linalg.norm, torch.zeros(2, dtype=torch.float64))
    report = xcheck.check(jax.numpy.linalg.norm, np.zeros(2), backend="jax", baseline=path, raises=False)
    assert report.verdict is Verdict.INCONCLUSIVE
    found = against(report)["jax/vjp"]
    assert found.verdict is Verdict.INCONCLUSIVE
    assert np.isnan(found.worst[0].claimed)


def test_infinities_and_nan_of_a_pole_are_no_disagreement(tmp_path: Path) -> None:
    def f(x: np.ndarray, at_pole: float) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return np.where(x == 0, at_pole, 1 / x)

    x, options = np.array([0.0, 2.0]), {"diagonal": lambda x: -1 / x**2, "raises": False}
    with np.errstate(divide="ignore"):
        path = saved(tmp_path / "op.npz", lambda x: f(x, np.nan), x, diagonal=lambda x: -1 / x**2)
        values = [
            against(xcheck.check(lambda x, y=y: f(x, y), x, baseline=path, **options))["f"] for y in (np.nan, np.inf, 0)
        ]
    assert [value.verdict for value in values] == [Verdict.AGREE, Verdict.INCONCLUSIVE, Verdict.DISAGREE]
    assert "neither is a number" in values[1].reason


# Dtypes


def test_overflow_in_the_coarser_dtype_is_no_disagreement(tmp_path: Path, torch: Any) -> None:
    x = torch.tensor([25.0, 1.0], dtype=torch.float64)
    path = saved(tmp_path / "op.npz", lambda x: torch.log(torch.exp(4 * x)), x)
    report = xcheck.check(lambda x: torch.log(torch.exp(4 * x)), x.float(), baseline=path, raises=False)
    value = against(report)["f"]
    assert value.verdict is Verdict.INCONCLUSIVE
    assert "may overflow on the way" in value.reason


@pytest.mark.parametrize(("coarse", "fine"), [("float32", "float64"), ("bfloat16", "float64"), ("float16", "float32")])
def test_a_kernel_of_low_precision_is_held_against_a_finer_baseline(
    tmp_path: Path, torch: Any, coarse: str, fine: str
) -> None:
    x = torch.linspace(-1.1, 2.3, 5, dtype=getattr(torch, fine))
    path = saved(tmp_path / "op.npz", lambda x: torch.softmax(x, 0), x)
    low = x.to(getattr(torch, coarse))
    report = xcheck.check(lambda x: torch.softmax(x, 0), low, baseline=path, raises=False)
    assert {c.verdict for c in against(report).values()} == {Verdict.AGREE}
    assert "the baseline's point was rounded to the dtypes here" in report.notes
    for factor, verdicts in ((1.2, (Verdict.DISAGREE, Verdict.INCONCLUSIVE)), (3.0, (Verdict.DISAGREE,))):
        other = xcheck.check(lambda x, factor=factor: torch.softmax(factor * x, 0), low, baseline=path, raises=False)
        assert against(other)["f"].verdict in verdicts


def test_cancellation_in_the_coarser_dtype_is_no_disagreement(tmp_path: Path, torch: Any) -> None:
    def f(x: Any) -> Any:
        return 1 - torch.cos(1e-3 * x)

    x = torch.tensor([0.42, 1.3], dtype=torch.float64)
    path = saved(tmp_path / "op.npz", f, x)
    value = against(xcheck.check(f, x.float(), baseline=path, raises=False))["f"]
    assert value.verdict is Verdict.INCONCLUSIVE
    assert "of size one inside the function" in value.reason


def test_a_function_that_bends_much_may_be_moved_by_rounding_of_its_point(tmp_path: Path, torch: Any) -> None:
    x = torch.tensor([1.1, 1.2], dtype=torch.float64)
    path = saved(tmp_path / "op.npz", lambda x: torch.sin(500 * x), x)
    report = xcheck.check(lambda x: torch.sin(500 * x), x.float(), baseline=path, raises=False)
    assert Verdict.DISAGREE not in {c.verdict for c in against(report).values()}


def test_a_finer_check_takes_the_point_of_a_coarse_baseline(tmp_path: Path, torch: Any) -> None:
    path = saved(tmp_path / "op.npz", torch.tanh, torch.tensor(X, dtype=torch.float32))
    with pytest.raises(ValueError, match=r"saved at another point: x\[0\] is 0\.3000000119.* in it and 0\.29999"):
        xcheck.check(torch.tanh, torch.tensor(X), baseline=path)
    (x,) = xcheck.load_baseline(path).inputs.values()
    report = xcheck.check(torch.tanh, torch.tensor(x).double(), baseline=path)
    assert report.ok


def test_complex_functions(tmp_path: Path, torch: Any, jax: Any) -> None:
    z = np.array([0.3 + 0.2j, -1.0 + 0.5j])
    path = saved(tmp_path / "op.npz", lambda z: z * torch.conj(z) + torch.exp(z), torch.tensor(z))
    assert xcheck.load_baseline(path).inputs["z"].dtype == np.complex128
    report = xcheck.check(lambda z: z * jax.numpy.conj(z) + jax.numpy.exp(z), z, backend="jax", baseline=path)
    assert report.ok
    other = xcheck.check(lambda z: z * z + jax.numpy.exp(z), z, backend="jax", baseline=path, raises=False)
    assert against(other)["f"].worst[0].name.startswith("out[")
    assert against(other)["f"].verdict is Verdict.DISAGREE
    with pytest.raises(ValueError, match=r"has other inputs: z of shape \(2,\) \(complex\)\. Here they are x of shape"):
        xcheck.check(jax.numpy.exp, z.real, backend="jax", baseline=path)


# Modules and inputs


def test_modules_have_their_parameters_compared(tmp_path: Path, torch: Any) -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Tanh()).double()
    path = saved(tmp_path / "net.npz", net, torch.tensor(X))
    assert set(xcheck.load_baseline(path).inputs) == {"0.weight", "0.bias", "input"}
    assert xcheck.check(net, torch.tensor(X), baseline=path).ok
    with torch.no_grad():
        net[0].weight[1, 2] += 0.25
    with pytest.raises(ValueError, match=r"another point: 0\.weight\[1, 2\] is .* the farthest of 1 of 11 numbers"):
        xcheck.check(net, torch.tensor(X), baseline=path)


def network(torch: Any) -> Any:
    """Make a network whose biases are equal, so that only names tell them apart."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Tanh(), torch.nn.Linear(2, 2)).double()
    for layer in (net[0], net[2]):
        torch.nn.init.zeros_(layer.bias)
    return net


def ported(torch: Any, jax: Any) -> tuple[Callable[..., Any], dict[str, Any], dict[str, Any]]:
    """Return the network in JAX, whose names come in the opposite order, its parameters, and what torch calls them."""
    own = {name: p.detach().numpy() for name, p in network(torch).named_parameters()}
    tree = {
        "z": {"kernel": own["0.weight"].T, "bias": own["0.bias"]},
        "a": {"kernel": own["2.weight"].T, "bias": own["2.bias"]},
    }
    names = {"0.weight": ("z/kernel", "OI->IO"), "0.bias": "z/bias", "2.weight": ("a/kernel", "OI->IO")}

    def apply(p: Any, x: Any) -> Any:
        hidden = jax.numpy.tanh(x @ p["z"]["kernel"] + p["z"]["bias"])
        return hidden @ p["a"]["kernel"] + p["a"]["bias"]

    return apply, tree, {**names, "2.bias": "a/bias"}


def test_parameters_are_paired_by_name_across_frameworks(tmp_path: Path, torch: Any, jax: Any) -> None:
    path = saved(tmp_path / "net.npz", network(torch), X)
    apply, tree, names = ported(torch, jax)
    report = xcheck.check(
        xcheck.layout(apply, names=names, parameters=tree), X, backend="jax", baseline=path, raises=False
    )
    assert report.ok
    assert [note for note in report.notes if "other names" in note] == [
        "inputs have other names in the baseline, and were taken in their order: x is input"
    ]
    back = saved(tmp_path / "back.npz", xcheck.layout(apply, names=names, parameters=tree), X, backend="jax")
    assert xcheck.check(network(torch), X, baseline=back).ok
    swapped = names | {"0.bias": "a/bias", "2.bias": "z/bias"}
    with pytest.raises(xcheck.DerivativeError):
        xcheck.check(xcheck.layout(apply, names=swapped, parameters=tree), X, backend="jax", baseline=path)


def test_cross_checks_save_parameters_by_name(tmp_path: Path, torch: Any, jax: Any) -> None:
    apply, tree, names = ported(torch, jax)
    functions = {"torch": network(torch), "jax": xcheck.layout(apply, names=names, parameters=tree)}
    xcheck.crosscheck(functions, X).save_baseline(tmp_path / "net.npz", of="jax")
    assert xcheck.check(network(torch), X, baseline=tmp_path / "net.npz").ok


def test_parameters_of_other_names_are_named(tmp_path: Path, torch: Any, jax: Any) -> None:
    path = saved(tmp_path / "net.npz", network(torch), X)
    apply, tree, names = ported(torch, jax)
    with pytest.raises(ValueError, match=r"has the parameter '0\.bias', and apply has none of that name\. .*: a/b"):
        xcheck.check(xcheck.layout(apply, parameters=tree), X, backend="jax", baseline=path)
    with pytest.raises(ValueError, match=r"has the parameter '0\.bias', and apply has none .*; here: none\."):
        xcheck.check(apply, tree, X, backend="jax", baseline=path)
    with pytest.raises(ValueError, match=r"has the parameter '0\.bias', and it is held constant here"):
        xcheck.check(network(torch), X, wrt="input", baseline=path)
    straight = names | {"0.weight": "z/kernel"}
    with pytest.raises(
        ValueError, match=r"other inputs: 0\.weight of shape \(2, 3\)\. Here they are 0\.weight of shape \(3, 2\)\."
    ):
        xcheck.check(xcheck.layout(apply, names=straight, parameters=tree), X, backend="jax", baseline=path)
    plain = saved(tmp_path / "plain.npz", apply, tree, X, backend="jax")
    with pytest.raises(ValueError, match=r"Sequential has the parameter '0\.bias', and baseline=.* has none of that"):
        xcheck.check(network(torch), X, baseline=plain)


def test_another_module_is_compared_at_the_same_parameters(tmp_path: Path, torch: Any) -> None:
    path = saved(tmp_path / "net.npz", network(torch), X)

    class Other(torch.nn.Sequential):
        def forward(self, weight: Any) -> Any:
            return super().forward(weight)

    same = Other(*network(torch))
    report = xcheck.check(same, X, baseline=path)
    assert any("taken in their order: weight is input" in note for note in report.notes)
    relu = Other(network(torch)[0], torch.nn.Softsign(), network(torch)[2])
    assert xcheck.check(relu, X, baseline=path, raises=False).verdict is Verdict.DISAGREE
    other = Other(network(torch)[0], torch.nn.Tanh(), torch.nn.Linear(2, 2, bias=False).double())
    with pytest.raises(ValueError, match=r"has the parameter '2\.bias', and Other has none of that name"):
        xcheck.check(other, X, baseline=path)


def test_a_parameter_and_an_input_of_one_name(tmp_path: Path, torch: Any) -> None:
    class Scaled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.tensor(X))

    class Plain(Scaled):
        def forward(self, x: Any) -> Any:
            return self.weight * x.sin()

    class Named(Scaled):
        def forward(self, weight: Any) -> Any:
            return self.weight * weight.sin()

    path = saved(tmp_path / "op.npz", Named(), X)
    assert xcheck.load_baseline(path).parameters == {"self.weight": "weight"}
    assert xcheck.check(Plain(), X, baseline=path).ok


def test_keras_layers_are_compared_by_name_with_torch(tmp_path: Path, torch: Any, tf: Any) -> None:
    if tf.keras.backend.backend() != "tensorflow":
        pytest.skip("Keras runs on another framework")
    linear = torch.nn.Linear(3, 3).double()
    path = saved(tmp_path / "linear.npz", linear, X[None])
    layer = tf.keras.layers.Dense(3, dtype="float64")
    layer.build((None, 3))
    layer.set_weights([linear.weight.detach().numpy().T, linear.bias.detach().numpy()])
    with pytest.raises(ValueError, match=r"has the parameter 'bias', and Dense has none of that name"):
        xcheck.check(layer, X[None], baseline=path)
    seen = xcheck.layout(layer, names={"weight": ("kernel", "OI->IO"), "bias": "bias"})
    assert xcheck.check(seen, X[None], baseline=path).ok


def test_inputs_are_found_by_their_names_in_another_order(tmp_path: Path) -> None:
    u, v = X, X + 1
    path = saved(tmp_path / "op.npz", lambda u, v: u @ v**2, u, v, gradient=lambda u, v: (v**2, 2 * u * v))
    report = xcheck.check(lambda v, u: u @ v**2, v, u, gradient=lambda v, u: (2 * u * v, v**2), baseline=path)
    assert report.ok
    assert not any("other names" in note for note in report.notes)


def test_inputs_of_other_names_are_taken_in_order_and_said_so(tmp_path: Path) -> None:
    path = of_numpy(tmp_path / "op.npz")
    report = xcheck.check(lambda theta: square(theta), X, diagonal=slope, baseline=path)
    assert any("taken in their order: theta is x" in note for note in report.notes)


@pytest.mark.parametrize(
    ("f", "x", "message"),
    [
        (np.sum, X[:2], r"has other inputs: x of shape \(3,\)\. Here they are a of shape \(2,\)\."),
        (np.sum, X, r"has other outputs: out of shape \(3,\)\. Here they are out of shape \(\)\."),
        (
            square,
            X * (1 + 1e-15),
            r"another point: x\[\d\] is .* the farthest of \d of 3 numbers that differ\. Check at",
        ),
    ],
)
def test_other_points_and_shapes_are_refused(tmp_path: Path, f: Any, x: np.ndarray, message: str) -> None:
    path = of_numpy(tmp_path / "op.npz")
    with pytest.raises(ValueError, match=message):
        xcheck.check(f, x, jacobian=lambda x: np.ones((np.size(f(x)), 3)), baseline=path)


def test_cross_checks_save_one_of_their_implementations(tmp_path: Path, torch: Any, jax: Any) -> None:
    report = xcheck.crosscheck({"torch": torch.tanh, "jax": jax.numpy.tanh}, X)
    report.save_baseline(tmp_path / "op.npz", of="torch")
    assert xcheck.load_baseline(tmp_path / "op.npz").backend == "torch"
    assert xcheck.check(np.tanh, X, diagonal=lambda x: 1 - np.tanh(x) ** 2, baseline=tmp_path / "op.npz").ok
    with pytest.raises(
        ValueError, match=r"of='numpy' is no implementation that was checked here. Accepted: 'torch', 'j"
    ):
        report.save_baseline(tmp_path / "op.npz", of="numpy")


def test_power_leaves_the_baseline_out(tmp_path: Path) -> None:
    path = of_numpy(tmp_path / "op.npz")
    power = xcheck.check(square, X, diagonal=slope, baseline=path).power(trials=2)
    assert any("numbers from a file" in line for line in power.left_out)
    assert len(power.claims) == 1


# Processes


def test_another_process_reads_it_without_the_framework(tmp_path: Path, torch: Any) -> None:
    path = saved(tmp_path / "op.npz", lambda x: (x * torch.sin(x)).sum(), torch.tensor(X))
    code = f"""
import sys
import numpy as np
import xcheck
baseline = xcheck.load_baseline({str(path)!r})
report = xcheck.check(
    lambda x: np.sum(x * np.sin(x)), baseline.inputs["x"], gradient=lambda x: np.sin(x) + x * np.cos(x),
    baseline=baseline,
)
assert "torch" not in sys.modules
print(report.verdict)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "agree"


# Large problems


def long_sum(x: np.ndarray) -> np.float64:
    return np.sum(np.sin(x) * x)


def long_gradient(x: np.ndarray) -> np.ndarray:
    return np.sin(x) + x * np.cos(x)


def test_large_problems_keep_one_product(tmp_path: Path, torch: Any) -> None:
    x = np.linspace(-2.0, 2.0, 3000)
    budget = {"budget": 200}
    path = saved(tmp_path / "op.npz", lambda x: torch.sin(x) * x, torch.tensor(x), **budget)
    baseline = xcheck.load_baseline(path)
    assert not baseline.derivatives
    assert baseline.pulled is not None
    assert baseline.pulled.value.shape == (3000,)
    assert path.stat().st_size < 400_000
    report = xcheck.check(lambda x: torch.sin(x) * x, torch.tensor(x), baseline=path, **budget)
    found = against(report)["torch/vjp"]
    assert found.verdict is Verdict.AGREE
    assert found.method == "one random product"

    def plant(value: np.ndarray) -> np.ndarray:
        value[17] += 1.0
        return value

    edited(path, pulled_value=plant)
    report = xcheck.check(lambda x: torch.sin(x) * x, torch.tensor(x), baseline=path, raises=False, **budget)
    found = against(report)["torch/vjp"]
    assert found.wrong == 1
    assert found.worst[0].name == "w^T J at x[17]"


def test_large_gradients_by_hand_keep_one_product_too(tmp_path: Path) -> None:
    x = np.linspace(-2.0, 2.0, 3000)
    path = saved(tmp_path / "op.npz", long_sum, x, gradient=long_gradient, budget=200)
    assert xcheck.load_baseline(path).pulled is not None
    assert xcheck.check(long_sum, x, gradient=long_gradient, baseline=path, budget=200).ok
    bent = xcheck.check(
        lambda x: long_sum(x) + 0.5 * (x[17] - (-2.0 + 17 * 4 / 2999)),
        x,
        gradient=lambda x: long_gradient(x) + 0.5 * (np.arange(3000) == 17),
        baseline=path,
        budget=200,
        raises=False,
    )
    assert against(bent)["gradient="].worst[0].name == "w^T J at x[17]"


def test_entries_and_products_are_compared_by_a_product(tmp_path: Path, torch: Any) -> None:
    x = torch.linspace(-2.0, 2.0, 60, dtype=torch.float64)
    small, large = {"budget": 30}, {"budget": 10.0}
    for one, other in ((small, large), (large, small)):
        path = saved(tmp_path / "op.npz", lambda x: torch.sin(x) * x, x, **one)
        assert bool(xcheck.load_baseline(path).derivatives) is (one is large)
        report = xcheck.check(lambda x: torch.sin(x) * x, x, baseline=path, **other)
        assert against(report)["torch/vjp"].method == "one random product"


# Randomness


def test_random_functions_settle_nothing_where_numbers_differ(tmp_path: Path) -> None:
    def f(x: np.ndarray) -> np.ndarray:
        return x * np.random.rand(3)

    def diagonal(x: np.ndarray) -> np.ndarray:
        return np.random.rand(3)

    path = saved(tmp_path / "op.npz", f, X, diagonal=diagonal)
    assert xcheck.check(f, X, diagonal=diagonal, baseline=path).ok
    other = xcheck.check(f, X, diagonal=diagonal, baseline=path, seed=1, raises=False)
    assert {c.verdict for c in against(other).values()} == {Verdict.INCONCLUSIVE}
    assert "other generators draw other ones" in against(other)["f"].reason


# Bad input


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (3, TypeError, "baseline must be the path of a file, a str or pathlib.Path, or what .* given: int"),
        ("", TypeError, "given: an empty string"),
        ("nowhere.npz", FileNotFoundError, r"baseline='nowhere.npz' is no file. xcheck.check\(f, x\)"),
        (".", FileNotFoundError, "baseline='.' is a folder"),
    ],
)
def test_arguments_that_are_no_baseline(given: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        xcheck.check(square, X, diagonal=slope, baseline=given)


def test_arguments_of_the_other_functions(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"^path must be the path of a file, a str or pathlib.Path; given: NoneType"):
        xcheck.load_baseline(None)  # type: ignore[arg-type]
    report = xcheck.check(square, X, diagonal=slope)
    with pytest.raises(TypeError, match=r"^path must be .* given: int"):
        report.save_baseline(3)  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        report.save_baseline(tmp_path / "nowhere" / "op.npz")
    with pytest.raises(ValueError, match="baseline= holds one point, and smooth_points=True may leave it"):
        xcheck.check(square, X, diagonal=slope, smooth_points=True, baseline=tmp_path)


def test_files_that_are_no_baseline(tmp_path: Path) -> None:
    path = tmp_path / "other"
    contents: list[tuple[Callable[[Path], object], str]] = [
        (lambda p: p.write_bytes(b""), "is no baseline of xcheck; accepted: what report.save_baseline"),
        (lambda p: p.write_text("hello"), "is no baseline of xcheck"),
        (lambda p: p.write_bytes(pickle.dumps([1])), "is no baseline of xcheck"),
        (lambda p: np.save(p.with_suffix(".npy"), X) or p.with_suffix(".npy").rename(p), "it holds a lone array"),
        (lambda p: zipped(p, a=X), "it holds a"),
        (lambda p: zipped(p, about=X), "is no baseline of xcheck, or a damaged one"),
        (lambda p: zipped(p, about="{}"), "or a damaged one: 'what' is missing"),
        (lambda p: zipped(p, about=json.dumps({"what": "a cake"})), "it calls itself 'a cake'"),
    ]
    for write, message in contents:
        write(path)
        with pytest.raises(ValueError, match=message):
            xcheck.load_baseline(path)


def test_pickles_inside_the_file_are_refused(tmp_path: Path) -> None:
    class Loud:
        def __reduce__(self) -> Any:
            return print, ("executed",)

    path = edited(of_numpy(tmp_path / "op.npz"), x=lambda _: np.array([Loud()], object))
    with pytest.raises(ValueError, match="is a damaged baseline: Object arrays cannot be loaded"):
        xcheck.load_baseline(path)
    about = edited(of_numpy(tmp_path / "op.npz"), about=lambda _: np.array(Loud(), object))
    with pytest.raises(ValueError, match="Object arrays cannot be loaded"):
        xcheck.load_baseline(about)


def test_files_cut_off_anywhere_are_named(tmp_path: Path) -> None:
    whole = of_numpy(tmp_path / "op.npz").read_bytes()
    for size in range(0, len(whole), max(1, len(whole) // 40)):
        (tmp_path / "cut.npz").write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"no baseline of xcheck|damaged baseline"):
            xcheck.check(square, X, diagonal=slope, baseline=tmp_path / "cut.npz")


def test_files_without_parameters_are_read_as_before(tmp_path: Path, torch: Any) -> None:
    path = saved(tmp_path / "net.npz", network(torch), X)

    def forget(text: np.ndarray) -> np.ndarray:
        about = json.loads(str(text))
        del about["parameters"]
        return np.array(json.dumps(about))

    assert xcheck.check(network(torch), X, baseline=edited(path, about=forget)).ok


def test_damaged_files_are_named(tmp_path: Path) -> None:
    changes: list[tuple[Callable[[Path], object], str]] = [
        (
            lambda p: edited(p, x=lambda x: x[:2]),
            r"damaged baseline: x has shape \(2,\) and dtype float64, where \(3,\)",
        ),
        (lambda p: edited(p, verdict_0=lambda v: v + 9), "verdict_0 holds numbers that are no verdict"),
        (lambda p: edited(p, y=lambda y: y.astype(np.float32)), "y has shape"),
        (lambda p: told(p, derivatives=[{"source": "a", "quantity": "b", "precision": 7}]), "7 is the precision of no"),
        (lambda p: told(p, inputs=[{"name": "x", "shape": [3], "dtype": "object"}]), "'object' is no dtype"),
        (lambda p: told(p, parameters={"w": "w"}), "'w' is said to be a parameter, and no input has that name"),
        (lambda p: told(p, parameters=3), "is a damaged baseline"),
        (lambda p: edited(p, claimed_0=lambda c: c.astype(object)), "Object arrays cannot be loaded"),
        (lambda p: edited(p, y=lambda y: y.astype(int)), "y has shape .* and dtype int64, where .* float64 are due"),
        (lambda p: edited(p, x=lambda x: x + 0j), "x has shape .* and dtype complex128"),
        (lambda p: told(p, verdict="maybe"), "'maybe' is not a valid Verdict"),
        (lambda p: told(p, format=99), "is of format 99, written by xcheck .*; this version reads formats up to 1"),
        (lambda p: p.write_bytes(p.read_bytes()[:-400]), "is no baseline of xcheck"),
    ]
    for change, message in changes:
        path = of_numpy(tmp_path / "op.npz")
        change(path)
        with pytest.raises(ValueError, match=message):
            xcheck.load_baseline(path)
