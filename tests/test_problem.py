"""A function at a point: what it returns, what it changes, and how often and in which precision it is evaluated."""

from __future__ import annotations

from collections import deque, namedtuple
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import xcheck
from xcheck.call import read_call
from xcheck.problem import OutputChanged, Problem
from xcheck.randomness import pinned

Pair = namedtuple("Pair", "first second")


@dataclass(frozen=True)
class Result:
    loss: Any
    state: Any = None


@contextmanager
def problem(f: Any, *inputs: Any, **options: Any) -> Iterator[Problem]:
    call = read_call(f, inputs, **options)
    with pinned(call.backend, 0) as rewind, np.errstate(all="ignore"):
        yield Problem.at(call, rewind)


# Inputs and outputs


@pytest.mark.parametrize(
    ("returned", "names"),
    [
        (lambda x: x.sum(), ["out"]),
        (lambda x: x[:1], ["out[0]"]),
        (lambda x: (x[0], x[:1]), ["out[0]", "out[1][0]"]),
        (lambda x: {"loss": x[0], "aux": [x[:1], x[:1]]}, ["out['aux'][0][0]", "out['aux'][1][0]", "out['loss']"]),
        (lambda x: Pair(x[0], (x[1],)), ["out.first", "out.second[0]"]),
        (lambda x: Result(x[0], Result(x[1])), ["out.loss", "out.state.loss"]),
        (lambda x: deque([x[0], None]), ["out[0]"]),
        (lambda x: [x[0], x[1]], ["out[0]", "out[1]"]),
        (lambda x: float(x[0]), ["out"]),
        (lambda x: x[:1] * 1j, ["out[0].real", "out[0].imag"]),
        (lambda x: (x[0], x[:0]), ["out[0]"]),
    ],
)
def test_outputs_are_named_as_users_would_reach_them(returned: Any, names: list[str]) -> None:
    with problem(returned, np.array([1.0, 2.0])) as p:
        assert [p.outputs.entry(i) for i in range(p.m)] == names


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 3), (2, 1, 2), (0,), (2, 0)], ids=str)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64", "complex128"])
def test_functions_see_their_inputs_unchanged(shape: tuple[int, ...], dtype: str) -> None:
    x = (np.arange(np.prod(shape, dtype=int)) / 3).reshape(shape).astype(dtype)
    seen = []
    with problem(lambda tree: seen.append(tree["x"]) or tree["x"], {"x": x, "n": 3}) as p:
        values = p.values(p.x[None])

    for given in seen:
        assert (given.dtype, given.shape) == (x.dtype, x.shape)
        np.testing.assert_array_equal(given, x)
    np.testing.assert_array_equal(values[0], p.x)


def test_bfloat16_is_told_from_the_other_dtypes(torch: Any) -> None:
    x = torch.tensor([1.0, 1.0078125], dtype=torch.bfloat16)
    with problem(lambda x: x, x) as p:
        assert p.precision == 8
        assert torch.equal(p.to_native(p.x)[0], x)


def test_outputs_without_derivatives_are_reported() -> None:
    report = xcheck.check(
        lambda x: {"loss": x.sum(), "count": np.arange(2), "n": 3, "status": "converged"},
        np.ones(2),
        gradient=lambda x: np.ones(2),
    )

    assert report.ok
    assert [line for line in report.unchecked if line.startswith("out")] == [
        "out['count']: an output of dtype int64, which has no derivative",
        "out['n']: the Python int 3, which has no derivative",
        "out['status']: the str 'converged', which is no number",
    ]


def test_empty_arrays_beside_full_ones_are_checked(torch: Any) -> None:
    report = xcheck.check(lambda x, y: (x * 2, y.sin()), torch.ones(0, 2), torch.ones(2))

    assert report.comparisons[0].total == 4


@pytest.mark.parametrize("f", [lambda x: x * 2, lambda x: np.zeros((0, 3))])
def test_nothing_but_empty_arrays_is_no_pass(f: Any) -> None:
    report = xcheck.check(f, np.ones(0), jacobian=lambda x: np.zeros((0, 0)), raises=False)

    assert report.verdict is xcheck.Verdict.INCONCLUSIVE
    assert any("empty" in note for note in report.notes)
    with pytest.raises(xcheck.InconclusiveError, match="nothing to compare"):
        xcheck.check(f, np.ones(0), jacobian=lambda x: np.zeros((0, 0)))


# Changes in place


def test_a_numpy_function_that_changes_its_input_is_reported_and_the_users_array_is_not_touched() -> None:
    def f(x: Any) -> Any:
        x += 1
        return np.sum(x**2)

    x = np.ones(2)
    report = xcheck.check(f, x, gradient=lambda x: 2 * (x + 1))

    assert report.ok
    assert "f changes its input in place: x" in report.notes
    np.testing.assert_array_equal(x, [1, 1])


def test_a_torch_function_that_changes_its_input_is_reported_and_the_users_tensor_is_not_touched(torch: Any) -> None:
    def f(params: Any) -> Any:
        params["w"].mul_(2)
        return params["w"].sum()

    params = {"w": torch.ones(2), "b": torch.ones(1)}
    report = xcheck.check(f, params, wrt="params['w']")

    assert "f changes its input in place: params['w']" in report.notes
    assert torch.equal(params["w"], torch.ones(2))


def test_a_changed_constant_is_reported_and_does_not_drift_between_evaluations() -> None:
    def f(x: Any, counts: Any) -> Any:
        counts += 1
        return np.sum(x * counts)

    counts = np.array([1, 2])
    report = xcheck.check(f, np.ones(2), counts, gradient=lambda x, counts: counts + 1.0)

    assert report.ok
    assert "f changes its input in place: counts" in report.notes
    np.testing.assert_array_equal(counts, [1, 2])


@pytest.mark.parametrize("change", ["replace", "remove", "add"])
def test_a_changed_container_is_reported_and_the_users_is_not_touched(change: str) -> None:
    def f(params: Any) -> Any:
        w = params["w"]
        if change == "replace":
            params["w"] = w * 2
        elif change == "remove":
            del params["w"]
        else:
            params["more"] = w
        return np.sum(w**2)

    params = {"w": np.ones(2), "b": np.ones(1)}
    report = xcheck.check(f, params, gradient=lambda p: {"w": 2 * p["w"], "b": np.zeros(1)})

    assert "f changes its input in place: params" in report.notes
    assert list(params) == ["w", "b"]
    np.testing.assert_array_equal(params["w"], [1, 1])


def test_a_derivative_that_changes_its_inputs_touches_nothing_of_the_users() -> None:
    def gradient(x: Any, *, table: Any) -> Any:
        x *= 0
        table *= 0
        return np.ones(2)

    x, table = np.ones(2), np.ones(2)
    xcheck.check(lambda x, table: np.sum(x), x, kwargs={"table": table}, wrt="x", gradient=gradient)

    np.testing.assert_array_equal([x, table], np.ones((2, 2)))


def test_a_function_that_changes_nothing_is_not_accused(backend: Any) -> None:
    xs = [backend.from_numpy(np.ones(2)), backend.from_numpy(np.arange(2))]
    with problem(lambda x, n: x * x, *xs) as p:
        assert p.mutated == ()


def test_a_buffer_that_a_function_returns_again_and_again_does_not_change_its_value_at_the_point() -> None:
    buffer = np.zeros(2)

    def f(x: Any) -> Any:
        return np.multiply(x, x, out=buffer)

    with problem(f, np.array([1.0, 2.0])) as p:
        p.values(np.array([[5.0, 5.0]]))
        np.testing.assert_array_equal(p.y, [1, 4])
    assert xcheck.check(f, np.ones(2), diagonal=lambda x: 2 * x).ok


# Outputs that change


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (lambda x: x[x >= 1] ** 2, r"returned out of shape \(2,\) at the point and \([01],\) beside it"),
        (lambda x: x[0] if x[0] == 1 else (x[0], x[1]), r"returned \* at the point and \(\*, \*\) beside it"),
        (lambda x: {("a" if x[0] == 1 else "b"): x[0]}, r"returned \{'a': \*\} at the point and \{'b': \*\} beside"),
        (lambda x: (x[0], None) if x[0] == 1 else (x[0], x[1]), r"\(\*, None\) at the point and \(\*, \*\) beside"),
        (lambda x: np.emath.sqrt(x - 1), "of dtype float64 at the point and complex128 beside it"),
    ],
)
def test_an_output_that_changes_between_calls_is_an_error_that_names_both(f: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        xcheck.finite_difference(f, np.ones(2))


def test_an_output_that_changes_shape_is_an_error_on_a_framework_that_batches_too(torch: Any) -> None:
    with pytest.raises(OutputChanged, match=r"shape \(3,\) at the point and \([0-2],\) beside"):
        xcheck.check(lambda x: x[x >= 1] ** 2, torch.ones(3))


def test_integers_on_one_branch_are_numbers_beside_the_point() -> None:
    measured = xcheck.finite_difference(lambda x: 0 if x < -1e9 else x * 3, 2.0)

    assert measured.value == pytest.approx(3)


# Precision, batches, failures


@pytest.mark.parametrize("dtype", ["float16", "float32", "complex64"])
def test_the_shadow_computes_in_64_bits_at_the_same_numbers(dtype: str) -> None:
    x = np.array([0.1, 0.7]).astype(dtype)
    with problem(lambda x: x * x, x) as p:
        shadow = p.in_float64()

    assert shadow is not None
    assert shadow.precision == 53
    np.testing.assert_array_equal(shadow.x, p.x)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x.astype(np.float32) * 2,
        lambda x: x * (2 if x.dtype == np.float32 else 3),
        lambda x: x * 2 if x.dtype == np.float32 else 1 / 0,
        lambda x: x * 2 if x.dtype == np.float32 else (x * 2)[:1],
    ],
    ids=["casts", "other-values", "raises", "other-shape"],
)
def test_there_is_no_shadow_of_a_function_that_is_another_in_64_bits(f: Any) -> None:
    with problem(f, np.ones(2, np.float32)) as p:
        assert p.in_float64() is None


def test_a_64_bit_function_needs_no_shadow() -> None:
    with problem(lambda x: x, np.ones(2)) as p:
        assert p.in_float64() is None


def test_constants_follow_the_inputs_into_the_shadow(torch: Any) -> None:
    with problem(lambda x, w: x @ w, torch.ones(2), torch.ones(2, 2), wrt="x") as p:
        assert p.in_float64() is not None


def test_batched_values_are_the_values_one_by_one(backend: Any) -> None:
    x = backend.from_numpy(np.array([1.0, 2.0, 3.0]))
    points = np.random.default_rng(0).uniform(1, 2, (max(5, getattr(backend, "batch_from", 0)), 3))
    with problem(lambda x: x * x / (1 + x), x) as p:
        together = p.values(points)

        assert p.evaluations == 1 + len(points)
        assert p.batched
        np.testing.assert_allclose(together, points**2 / (1 + points), rtol=1e-15)


def test_a_function_with_branches_is_evaluated_point_by_point(torch: Any) -> None:
    with problem(lambda x: x * 2 if x.sum() > 3 else x * 3, torch.ones(2, dtype=torch.float64)) as p:
        values = p.values(np.array([[1.0, 1.0]] * 4 + [[2.0, 2.0]]))

        assert not p.batched
        np.testing.assert_array_equal(values, [[3, 3]] * 4 + [[4, 4]])


def test_a_mapped_function_with_other_values_is_not_trusted(torch: Any) -> None:
    def f(x: Any) -> Any:
        return x * (2 if torch._C._functorch.is_batchedtensor(x) else 3)

    with problem(f, torch.ones(2, dtype=torch.float64)) as p:
        np.testing.assert_array_equal(p.values(np.ones((5, 2))), np.full((5, 2), 3.0))
        assert not p.batched


def test_a_function_that_raises_beside_the_point_gives_a_note_and_no_crash() -> None:
    def f(x: Any) -> Any:
        if x[0] < 1:
            raise ArithmeticError("outside")
        return np.sum(x**2)

    report = xcheck.check(f, np.array([1.0, 2.0]), gradient=lambda x: 2 * x, raises=False)

    assert report.verdict is xcheck.Verdict.INCONCLUSIVE
    assert any("raised ArithmeticError at x[0] = 0." in note and "outside" in note for note in report.notes)
