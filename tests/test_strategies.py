"""Strategies for Jacobians: every one gives the same numbers, and none gives a wrong one without a word."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import xcheck
from xcheck.call import read_call
from xcheck.problem import Problem
from xcheck.randomness import pinned
from xcheck.strategies.computing import quantity_of, strategies_for
from xcheck.strategies.once import compute_once, remembered
from xcheck.strategies.strategy import gather

RNG = np.random.default_rng(5)
X = RNG.uniform(0.5, 1.5, (6, 3))
W = RNG.uniform(-1, 1, (3, 4))
V = RNG.uniform(0.5, 1.5, 40)
PLENTY = 10**9


def tanh_layer(xp: Any, backend: Any) -> Any:
    weights = backend.from_numpy(W)
    return lambda x: xp.tanh(xp.matmul(x, weights))


def layer_jacobian(x: Any) -> Any:
    return np.einsum("bk,ik->bki", 1 - np.tanh(x @ W) ** 2, W)


def cumulative(xp: Any) -> Any:
    return lambda x: xp.cumulative_sum(xp.sin(x), axis=0)


def close(backend: Any, found: Any, expected: Any, rtol: float = 0.0) -> None:
    array = backend.to_numpy(found)
    assert array.shape == np.shape(expected)
    loose = rtol or (1e-9 if backend.name == "numpy" else 1e-12)
    np.testing.assert_allclose(array, expected, rtol=loose, atol=loose)


def every_strategy(f: Any, *inputs: Any, quantity: str) -> Any:
    """Yield the name and the result of every strategy that does not take seconds to compile."""
    call = read_call(f, inputs)
    with pinned(call.backend, 0) as rewind, np.errstate(all="ignore"):
        problem = Problem.at(call, rewind)
        asked = quantity_of(quantity, problem)
        for strategy in strategies_for(asked, PLENTY):
            if not strategy.slow_to_compile:
                run = strategy.prepare()
                for _ in range(2 if strategy.compiles else 1):  # the second run of those may be another program
                    result = run(asked.primal.xs, asked.primal.held)
                yield strategy.name, asked.nest(problem, result)


# All give the same


def test_every_strategy_gives_the_jacobian(backend: Any) -> None:
    xp = backend.namespace()
    x = backend.from_numpy(X)
    expected = np.zeros((6, 4, 6, 3))
    expected[np.arange(6), :, np.arange(6), :] = layer_jacobian(X)

    names = []
    for name, found in every_strategy(tanh_layer(xp, backend), x, quantity="jacobian"):
        close(backend, found, expected)
        names.append(name)
    assert len(names) == len(set(names)) >= 2


def test_every_strategy_gives_the_jacobians_of_a_batch(backend: Any) -> None:
    xp = backend.namespace()
    names = []
    for name, found in every_strategy(tanh_layer(xp, backend), backend.from_numpy(X), quantity="batch"):
        close(backend, found, layer_jacobian(X))
        names.append(name)
    assert any(name.startswith("batch sums") for name in names)
    assert any(name.startswith("unit vectors") for name in names)
    assert any(name.startswith("repeated batch") for name in names) == (backend.name != "numpy")


def test_every_strategy_gives_the_diagonal(backend: Any) -> None:
    xp = backend.namespace()
    names = []
    for name, found in every_strategy(lambda x: xp.sin(x) * x, backend.from_numpy(X), quantity="diagonal"):
        close(backend, found, np.cos(X) * X + np.sin(X))
        names.append(name)
    assert any(name.startswith("ones") for name in names)


def test_every_strategy_gives_the_hessian(backend: Any) -> None:
    if backend.name == "numpy":
        with pytest.raises(NotImplementedError, match="numpy has no reverse mode that can be differentiated"):
            xcheck.hessian(lambda x: np.sum(x**3), X)
        return
    xp = backend.namespace()
    x = backend.from_numpy(V[:5])
    expected = np.diag(6 * V[:5]) + np.ones((5, 5)) - np.eye(5)

    names = []
    for name, found in every_strategy(
        lambda x: xp.sum(x**3) + (xp.sum(x) ** 2 - xp.sum(x * x)) / 2, x, quantity="hessian"
    ):
        close(backend, found, expected)
        names.append(name)
    assert len(names) >= 3


def test_several_inputs_and_outputs(backend: Any) -> None:
    xp = backend.namespace()
    a, b = backend.from_numpy(X), backend.from_numpy(X[:, 0])

    def f(a: Any, b: Any) -> Any:
        return {"sum": xp.sum(a, axis=1) * b, "square": a * a}

    for _, found in every_strategy(f, a, b, quantity="batch"):
        close(backend, found["sum"][0], np.repeat(X[:, :1], 3, axis=1))
        close(backend, found["sum"][1], X.sum(1))
        close(backend, found["square"][0], np.einsum("bi,ij->bij", 2 * X, np.eye(3)))
        close(backend, found["square"][1], np.zeros((6, 3)))
    for _, found in every_strategy(f, a, b, quantity="jacobian"):
        close(backend, found["sum"][1], np.diag(X.sum(1)))
        assert backend.to_numpy(found["square"][0]).shape == (6, 3, 6, 3)


def test_chunks_give_the_same(backend: Any) -> None:
    xp = backend.namespace()
    call = read_call(cumulative(xp), [backend.from_numpy(V)])
    with pinned(call.backend, 0) as rewind, np.errstate(all="ignore"):
        problem = Problem.at(call, rewind)
        for name in ("jacobian", "diagonal"):
            asked = quantity_of(name, problem)
            whole = compute_once(asked, gather(asked, PLENTY), 0)
            tight = 40 * 40 * 8 + 8 * 1300  # a few seeds at a time
            few = [s for s in gather(asked, tight) if s.loops and not s.assumes]
            assert few
            for strategy in few:
                found = strategy.prepare()(asked.primal.xs, asked.primal.held)
                close(backend, found[0], backend.to_numpy(whole.result[0]), rtol=1e-9)


# What is relied on is proven


def test_a_function_that_is_not_elementwise_still_has_its_diagonal(backend: Any) -> None:
    xp = backend.namespace()
    found = xcheck.jacobian_diagonal(cumulative(xp), backend.from_numpy(V))
    close(backend, found, np.cos(V), rtol=1e-8)


def test_a_strategy_that_relies_on_what_is_not_so_is_refused_by_name(backend: Any) -> None:
    xp = backend.namespace()
    x = backend.from_numpy(V)
    name = next(name for name, _ in every_strategy(xp.sin, x, quantity="diagonal") if name.startswith("ones"))
    with pytest.raises(xcheck.AssumptionError, match=r"outputs depend on their own input alone. But d out\[") as caught:
        xcheck.jacobian_diagonal(cumulative(xp), x, strategy=name)
    output, source = (int(part.split("[")[1].split("]")[0]) for part in caught.value.entry.split(" / "))
    assert output > source  # a true entry beside the diagonal
    assert caught.value.value == pytest.approx(np.cos(V[source]), rel=1e-6)


def test_rounding_of_slopes_that_cancel_is_no_coupling(backend: Any) -> None:
    xp = backend.namespace()
    x = backend.from_numpy(np.random.default_rng((5, 100)).uniform(-2, 2, 5000))
    plan = xcheck.plan(lambda x: x * xp.sin(x) + xp.exp(-x * x), x, quantity="diagonal", budget=2)
    assert plan.strategy.startswith("ones")
    assert not [c.strategy.name for c in plan.candidates if c.status == "not valid"]


@pytest.mark.parametrize("coupling", [1e-3, 1.0])
def test_samples_that_mix_are_named_and_taken_row_by_row(backend: Any, coupling: float) -> None:
    xp = backend.namespace()

    def f(x: Any) -> Any:
        return x * x - coupling * xp.mean(x, axis=0)

    with pytest.warns(UserWarning, match=r"couples sample \d to sample \d, is .*samples do not mix") as caught:
        found = xcheck.batch_jacobian(f, backend.from_numpy(X))
    assert caught[0].filename == __file__
    close(backend, found, np.einsum("bi,ij->bij", 2 * X - coupling / 6, np.eye(3)), rtol=1e-7)
    with pytest.raises(xcheck.AssumptionError, match="couples sample") as error:
        xcheck.batch_jacobian(f, backend.from_numpy(X), strategy=batch_sums(f, backend))
    assert error.value.value == pytest.approx(-coupling / 6, rel=1e-6)


def batch_sums(f: Any, backend: Any) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names = [name for name, _ in every_strategy(f, backend.from_numpy(X), quantity="batch")]
    return next(name for name in names if name.startswith("batch sums"))


def test_batch_normalisation_in_training_and_in_evaluation(torch: Any) -> None:
    norm = torch.nn.BatchNorm1d(3).double()
    x = torch.tensor(X)
    whole = torch.autograd.functional.jacobian(lambda x: norm(x), x)
    with pytest.warns(UserWarning, match="samples do not mix"):
        found = xcheck.batch_jacobian(lambda x: norm(x), x)
    np.testing.assert_allclose(found, torch.stack([whole[b, :, b] for b in range(6)]), atol=1e-12)
    norm.eval()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = xcheck.batch_jacobian(lambda x: norm(x), x)
    scale = (norm.running_var + norm.eps).rsqrt()
    np.testing.assert_allclose(found, torch.diag(scale).expand(6, 3, 3), rtol=1e-12)


def test_failures_are_remembered_and_successes_are_proven_again(torch: Any) -> None:
    state = {"mixes": False}

    def f(x: Any) -> Any:
        return x * x + (x.sum(0) if state["mixes"] else 0.0)

    x = torch.tensor(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first = xcheck.batch_jacobian(f, x)
    state["mixes"] = True
    with pytest.warns(UserWarning, match="samples do not mix"):
        second = xcheck.batch_jacobian(f, x)
    np.testing.assert_allclose(second - first, torch.eye(3).expand(6, 3, 3), atol=1e-14)
    call = read_call(f, [x])
    with pinned(call.backend, 0) as rewind:
        assert "samples do not mix" in remembered(quantity_of("batch", Problem.at(call, rewind))).failed


def branching(xp: Any) -> Any:
    """Return a function that couples its entries where the first is negative."""

    def f(x: Any) -> Any:
        return x * x if x[0] > 0 else xp.cumulative_sum(x * x, axis=0)

    return f


def test_a_branch_on_values_does_not_make_a_prepared_diagonal_wrong(backend: Any) -> None:
    xp = backend.namespace()
    f = branching(xp)
    diagonal = xcheck.jacobian_function(f, backend.from_numpy(V), quantity="diagonal", budget=1)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for sign in (1, -1, -1, 1, -1):
            close(backend, diagonal(backend.from_numpy(sign * V)), sign * 2 * V, rtol=1e-7)


def test_where_that_couples_elsewhere_is_proven_at_every_call(backend: Any) -> None:
    xp = backend.namespace()

    def f(x: Any) -> Any:
        return xp.where(x[0] > 100, xp.cumulative_sum(x * x, axis=0), x * x)

    diagonal = xcheck.jacobian_function(f, backend.from_numpy(V), quantity="diagonal", budget=1)
    far = V + 1000
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for x in (V, V, far, far, V):
            close(backend, diagonal(backend.from_numpy(x)), 2 * x, rtol=1e-6)


# Estimates


def test_the_estimate_of_a_diagonal_scatters_as_its_standard_error_says(backend: Any) -> None:
    xp = backend.namespace()
    matrix = RNG.uniform(-1, 1, (40, 40))
    native = backend.from_numpy(matrix)
    found = xcheck.estimate_diagonal(lambda x: xp.matmul(native, x), backend.from_numpy(V), samples=200)
    value, error = (backend.to_numpy(part) for part in found)
    assert value.shape == error.shape == (40,)
    apart = (value - np.diag(matrix)) / error
    assert 0.6 < np.sqrt(np.mean(apart**2)) < 1.5
    beside = np.sqrt((matrix**2).sum(0) - np.diag(matrix) ** 2)
    columns = np.sqrt((matrix**2).sum(1) - np.diag(matrix) ** 2)
    assert np.all(error < 1.4 * np.maximum(beside, columns) / np.sqrt(200))


def test_traces_exact_and_estimated(backend: Any) -> None:
    xp = backend.namespace()
    x = backend.from_numpy(V)
    assert xcheck.jacobian_trace(cumulative(xp), x) == pytest.approx(np.cos(V).sum(), rel=1e-8)
    value, error = (float(part) for part in xcheck.estimate_trace(cumulative(xp), x, samples=100))
    assert abs(value - np.cos(V).sum()) < 5 * error
    value, error = (float(part) for part in xcheck.estimate_trace(xp.sin, x, samples=2))
    assert value == pytest.approx(np.cos(V).sum(), rel=1e-8)  # nothing beside the diagonal: exact
    assert error < 1e-8
    with pytest.raises(ValueError, match="samples is a whole number of at least 2"):
        xcheck.estimate_trace(xp.sin, x, samples=1)


# Prepared for repeated use


def test_a_prepared_jacobian_is_called_at_other_points_and_shapes(backend: Any) -> None:
    xp = backend.namespace()
    jacobians = xcheck.jacobian_function(tanh_layer(xp, backend), backend.from_numpy(X), quantity="batch", budget=1)
    for x in (X, X + 1, X[:4] - 1, X * 2):
        close(backend, jacobians(backend.from_numpy(x)), layer_jacobian(x))
    assert jacobians.plan.strategy == jacobians.strategy
    assert "the fastest of" in str(jacobians.plan)


def test_constants_may_change_between_calls(backend: Any) -> None:
    xp = backend.namespace()
    x, w = backend.from_numpy(X), backend.from_numpy(W)
    jacobians = xcheck.jacobian_function(
        lambda x, w, power: xp.tanh(xp.matmul(x, w)) ** power, x, w, 1, wrt="x", quantity="batch", budget=1
    )
    close(backend, jacobians(x, w, 1), layer_jacobian(X))
    close(
        backend, jacobians(x, backend.from_numpy(2 * W), 1), np.einsum("bk,ik->bki", 1 - np.tanh(2 * X @ W) ** 2, 2 * W)
    )
    squared = 2 * np.tanh(X @ W)[:, :, None] * layer_jacobian(X)
    close(backend, jacobians(x, w, 2), squared, rtol=1e-8)


def test_the_parameters_of_a_module_are_those_of_the_moment(torch: Any) -> None:
    layer = torch.nn.Linear(3, 2).double()
    jacobians = xcheck.jacobian_function(layer, torch.tensor(X), wrt=0, quantity="batch", budget=1)
    with torch.no_grad():
        layer.weight.mul_(2)
    np.testing.assert_allclose(jacobians(torch.tensor(X))[0].detach(), layer.weight.detach())
    assert layer.weight.grad is None


def test_a_function_that_changed_since_is_noticed(torch: Any) -> None:
    state = {"mixes": False}

    def f(x: Any) -> Any:
        return x * x + (x.sum(0) if state["mixes"] else 0.0)

    x = torch.tensor(RNG.uniform(0.5, 1.5, (500, 3)))  # so many that rows one by one cannot be the fastest
    jacobians = xcheck.jacobian_function(f, x, quantity="batch", budget=1)
    state["mixes"] = True
    with pytest.warns(UserWarning, match="Another strategy is chosen"):
        found = jacobians(x)
    np.testing.assert_allclose(found, torch.diag_embed(2 * x + 1), atol=1e-13)


def test_what_a_compiler_froze_is_seen_at_every_call_if_asked_for(jax: Any) -> None:
    state = {"scale": 2.0}
    x = jax.numpy.ones(3)
    options: dict[str, Any] = {"strategy": "jitted vjp", "recheck": "always"}
    jacobians = xcheck.jacobian_function(lambda x: state["scale"] * x, x, **options)
    for _ in range(4):
        np.testing.assert_array_equal(jacobians(x), 2 * np.eye(3))
    state["scale"] = 3.0
    for _ in range(3):  # and not only the first time
        with pytest.raises(xcheck.AssumptionError, match="is 3 and not 2"):
            jacobians(x)


# Bad input


def test_a_strategy_that_does_not_exist_lists_those_that_do(backend: Any) -> None:
    with pytest.raises(ValueError, match=r"strategy='fast' does not exist for the batch in .* Accepted: 'auto', '"):
        xcheck.batch_jacobian(lambda x: x * 2, backend.from_numpy(X), strategy="fast")


def test_batch_axes_of_different_lengths(backend: Any) -> None:
    xp = backend.namespace()
    with pytest.raises(ValueError, match=r"the same first axis.*x \(6, 3\), out \(3,\). Inputs that all samples share"):
        xcheck.batch_jacobian(lambda x: xp.sum(x, axis=0), backend.from_numpy(X))


def test_a_diagonal_needs_a_square_jacobian(backend: Any) -> None:
    with pytest.raises(ValueError, match="needs as many outputs as inputs, but f maps 18 numbers to 6"):
        xcheck.jacobian_diagonal(lambda x: x[:, 0], backend.from_numpy(X))
    with pytest.raises(ValueError, match="needs as many outputs as inputs"):
        xcheck.jacobian_function(lambda x: x[:, 0], backend.from_numpy(X), quantity="diagonal")


def test_a_jacobian_larger_than_memory_is_refused_with_its_size(backend: Any) -> None:
    x = backend.from_numpy(np.ones(10**6))
    for verb in (xcheck.jacobian, xcheck.jacobian_function):
        with pytest.raises(
            MemoryError, match=r"jacobian of f \(1000000 x 1000000\) takes 8 TB \(8000000000000 bytes\)"
        ):
            verb(lambda x: x * 2, x)
    with pytest.raises(MemoryError, match=r"288 bytes\), and 200 bytes may be used \(memory= sets the limit\)"):
        xcheck.jacobian(lambda x: x * 2, backend.from_numpy(V[:6]), memory=200)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quantity": "trace"}, "quantity='trace' is not known. Accepted: 'jacobian', 'diagonal', 'batch'"),
        ({"recheck": "sometimes"}, "recheck='sometimes'. Accepted: 'doubling', 'always', 'never'"),
        ({"compiled": "yes"}, "compiled='yes'. Accepted: None, True, False"),
        ({"budget": 0}, "budget is a positive number of seconds; given: 0"),
        ({"memory": -1}, "memory is the number of bytes that may be used"),
    ],
)
def test_options_are_looked_at(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        xcheck.jacobian_function(lambda x: x * 2, X, **options)


def test_complex_functions_have_no_strategies(torch: Any) -> None:
    z = torch.tensor([1 + 2j, 0.5 - 1j])
    with pytest.raises(ValueError, match="strategy='tape loop' cannot be used for f: it takes or returns complex"):
        xcheck.jacobian(lambda z: z**2, z, strategy="tape loop")
    with pytest.raises(NotImplementedError, match="complex"):
        xcheck.batch_jacobian(lambda z: z**2, z)
