"""Jacobians of functions that are not kind to strategies: wrong numbers and false refusals that were once found."""

from __future__ import annotations

import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pytest

import xcheck

RNG = np.random.default_rng(11)
X = RNG.uniform(0.5, 1.5, (6, 3))
V = RNG.uniform(0.5, 1.5, 30)


def close(backend: Any, found: Any, expected: Any, rtol: float = 1e-12) -> None:
    array = backend.to_numpy(found)
    assert array.shape == np.shape(expected)
    np.testing.assert_allclose(array, expected, rtol=rtol, atol=rtol)


# Sizes


@pytest.mark.parametrize("largest", [1e8, 1e12])
def test_coupling_of_small_entries_is_seen_beside_a_large_one(torch: Any, largest: float) -> None:
    def f(x: Any) -> Any:
        return torch.cat([largest * x[:1], torch.cumsum(x[1:], 0)])

    found = xcheck.jacobian_diagonal(f, torch.tensor(V, dtype=torch.float32))
    assert found[1:].tolist() == [1.0] * 29


def test_samples_of_different_sizes_that_mix(torch: Any) -> None:
    def f(x: Any) -> Any:
        centred = x - x.mean(0)
        return torch.cat([1e12 * x[:1], centred[1:]])

    with pytest.warns(UserWarning, match="samples do not mix"):
        found = xcheck.batch_jacobian(f, torch.tensor(V.reshape(10, 3), dtype=torch.float32))
    np.testing.assert_allclose(found[1:], np.broadcast_to(0.9 * np.eye(3), (9, 3, 3)), rtol=1e-5)


@pytest.mark.parametrize("f", ["tanh", "sigmoid", "relu"])
def test_saturated_functions_are_elementwise(torch: Any, f: str) -> None:
    x = torch.linspace(-40, 40, 400)
    diagonal = xcheck.jacobian_function(getattr(torch, f), x, quantity="diagonal", budget=1)
    assert all(c.status != "not valid" for c in diagonal.plan.candidates)


# Infinite slopes


def test_an_infinite_slope_leaves_the_other_entries_alone(backend: Any) -> None:
    if backend.name == "numpy":
        pytest.skip("measures the slope at the root")
    xp = backend.namespace()
    x = backend.from_numpy(np.array([0.0, 1.0, 4.0]))
    close(backend, xcheck.jacobian_diagonal(xp.sqrt, x), [np.inf, 0.5, 0.25])
    close(backend, xcheck.jacobian_diagonal(lambda x: xp.sqrt(x) + xp.sum(x), x), [np.inf, 1.5, 1.25])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = xcheck.batch_jacobian(lambda x: xp.sqrt(x) + xp.mean(x), xp.reshape(x, (3, 1)))
    close(backend, found, np.array([np.inf, 0.5 + 1 / 3, 0.25 + 1 / 3])[:, None, None])


# Nothing at all


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0)])
def test_empty_arrays_have_empty_derivatives(backend: Any, shape: tuple[int, ...]) -> None:
    xp = backend.namespace()
    x = backend.from_numpy(np.zeros(shape))
    close(backend, xcheck.jacobian(xp.sin, x), np.zeros(shape + shape))
    close(backend, xcheck.jacobian_diagonal(xp.sin, x), np.zeros(shape))
    close(backend, xcheck.batch_jacobian(xp.sin, x), np.zeros(shape + shape[1:]))
    prepared = xcheck.jacobian_function(xp.sin, x, quantity="batch", compiled=False)
    close(backend, prepared(x), np.zeros(shape + shape[1:]))


def test_one_empty_input_of_two(torch: Any) -> None:
    x, nothing = torch.tensor(V[:3]), torch.zeros(0, dtype=torch.float64)
    found = xcheck.jacobian_diagonal(lambda x, e: (x.cumsum(0), e * 2), x, nothing)
    assert [part.tolist() for part in found] == [[1.0, 1.0, 1.0], []]


# Patterns


def test_a_wrong_pattern_is_not_held_against_the_right_one(backend: Any) -> None:
    x = backend.from_numpy(V)

    def f(x: Any) -> Any:
        return x[1:] * x[:-1]

    right = np.eye(29, 30) + np.eye(29, 30, 1) > 0
    wrong = right.copy()
    wrong[7, 8] = False
    with pytest.raises(xcheck.AssumptionError, match=r"d out\[7\] / d x\[8\]"):
        xcheck.sparse_jacobian(f, x, pattern=wrong)
    found = xcheck.sparse_jacobian(f, x, pattern=right).toarray()
    np.testing.assert_allclose(found[7, 7:9], [V[8], V[7]], rtol=1e-7)


def test_places_are_no_wider_than_jax_has_integers(jax: Any) -> None:
    x = jax.numpy.asarray(V.astype(np.float32))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = xcheck.sparse_jacobian(lambda x: x * x, x, pattern=np.eye(30))
    np.testing.assert_allclose(found.toarray(), np.diag(2 * V), rtol=1e-6)


# Between calls


@pytest.mark.parametrize("name", ["matrix", "places"])
def test_constants_that_decide_what_mixes_are_proven_at_every_call(backend: Any, name: str) -> None:
    xp = backend.namespace()

    def f(x: Any, how: Any) -> Any:
        return xp.matmul(how, x) if name == "matrix" else xp.take(x, how, axis=0) * 2.0

    order = np.array([3, 1, 0, 5, 4, 2])
    plain, mixing = (np.eye(6), np.eye(6)[order] + 0.5) if name == "matrix" else (np.arange(6), order)
    x = backend.from_numpy(X)
    jacobians = xcheck.jacobian_function(f, x, backend.from_numpy(plain), wrt=0, quantity="batch", compiled=False)
    own = np.diag(mixing) if name == "matrix" else 2.0 * (order == np.arange(6))
    jacobians(x, backend.from_numpy(plain))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = jacobians(x, backend.from_numpy(mixing))  # the third call, at which nothing is proven else
    close(backend, found, own[:, None, None] * np.eye(3), rtol=1e-7)


def test_numbers_that_change_are_no_reason_to_choose_anew(torch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.tensor(X)
    jacobians = xcheck.jacobian_function(lambda x, t: torch.sin(t * x), x, 0.5, wrt=0, quantity="batch", budget=2)
    chosen = jacobians.strategy
    monkeypatch.setattr(jacobians, "prepare", None)
    for t in np.linspace(1, 3, 20):
        expected = torch.diag_embed(t * torch.cos(t * x))
        np.testing.assert_allclose(jacobians(x, float(t)), expected, rtol=1e-12)
    assert jacobians.strategy == chosen
    assert len(jacobians._ready) <= 16


def test_a_changed_number_may_make_the_strategy_invalid(torch: Any) -> None:
    x = torch.tensor(X)
    jacobians = xcheck.jacobian_function(lambda x, t: x * x + t * x.sum(0), x, 0.0, wrt=0, quantity="batch", budget=2)
    np.testing.assert_allclose(jacobians(x, 2.0), torch.diag_embed(2 * x + 2.0), rtol=1e-12)


def test_plain_numbers_are_taken_as_what_was_prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    slope = xcheck.jacobian_function(np.sin, 0.5, budget=2)
    monkeypatch.setattr(slope, "prepare", None)
    assert float(slope(0.75)) == pytest.approx(np.cos(0.75), rel=1e-8)


def test_a_failure_to_choose_anew_leaves_what_was_prepared(torch: Any) -> None:
    state = {"mixes": False}

    def f(x: Any) -> Any:
        return x * x + (x.sum(0) if state["mixes"] else 0.0)

    x = torch.tensor(X)
    jacobians = xcheck.jacobian_function(f, x, quantity="batch", budget=1)

    def failing(*_: Any) -> Any:
        raise ArithmeticError("now it fails")

    state["mixes"] = True
    jacobians.prepare, prepare = failing, jacobians.prepare  # type: ignore[method-assign]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ArithmeticError, match="now it fails"):
            jacobians(x)
    jacobians.prepare = prepare  # type: ignore[method-assign]
    state["mixes"] = False
    np.testing.assert_allclose(jacobians(x), torch.diag_embed(2 * x), rtol=1e-12)


def test_an_array_on_another_device_is_prepared_for(torch: Any) -> None:
    x = torch.tensor(X)
    prepared = xcheck.jacobian_function(lambda x: x * x, x, quantity="batch", budget=1)._ready[0]
    assert prepared.is_like(x)
    assert not prepared.is_like(x.to("meta"))
    assert not prepared.fits([x.to("meta")])


# The framework's own calls


def test_what_depends_on_the_size_of_the_batch_may_still_not_mix_samples(torch: Any) -> None:
    plan = xcheck.plan(lambda x: x * x * len(x), torch.tensor(X), quantity="batch", budget=3)
    status = {c.strategy.name: (c.status, c.reason) for c in plan.candidates}
    assert not [name for name, (said, _) in status.items() if name.startswith("batch sums") and said == "not valid"]
    assert not any("the same" in reason for name, (_, reason) in status.items() if name.startswith("batch sums"))
    wrong = status["torch.func.vmap of torch.func.jacrev"]
    assert wrong[0] == "not valid"
    assert "couples" not in wrong[1]


def test_own_calls_of_other_shapes_are_refused(torch: Any) -> None:
    name = "torch.func.vmap of torch.func.jacrev"
    with pytest.raises(RuntimeError, match=r"gave shapes \(5, 1\), and \(5, 5\) are due"):
        xcheck.batch_jacobian(lambda v: torch.outer(v, v), torch.tensor(V[:5]), strategy=name)


def test_batch_jacobian_of_tensorflow_relies_on_samples_that_do_not_mix(tf: Any) -> None:
    x = tf.constant(np.arange(60.0))
    with pytest.raises(xcheck.AssumptionError, match=r"samples do not mix. But d out\[7\] / d x\[8\]"):
        xcheck.batch_jacobian(  # one output in sixty depends on another sample
            lambda x: x + tf.scatter_nd([[7]], [x[8]], [60]), x, strategy="tape.batch_jacobian"
        )


def test_warnings_of_a_batch_of_one_are_kept_back(torch: Any) -> None:
    def f(x: Any) -> Any:
        return (x - x.mean(0)) / x.std(0)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        xcheck.plan(f, torch.tensor(X), quantity="batch", compiled=False)
    assert not caught


def test_forward_mode_leaks_no_warning_of_its_import(torch: Any) -> None:
    code = """
import warnings, torch, xcheck
warnings.simplefilter("error")
with torch.inference_mode():
    x = torch.ones(5, 3)
    found = xcheck.jacobian(torch.sin, x, strategy="func.jvp vmapped")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_results_are_not_recorded(torch: Any) -> None:
    layer = torch.nn.Linear(3, 2).double()
    name = 'torch.autograd.functional.jacobian(strategy="forward-mode")'
    assert not xcheck.jacobian(lambda x: layer(x), torch.tensor(X), strategy=name).requires_grad
