"""Reading hand-written derivatives: every layout that users write, and what does not fit."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import xcheck
from xcheck import Verdict

Pair = namedtuple("Pair", "u v")


@dataclass
class Params:
    w: Any
    b: Any


A, B, C = np.array([0.5, 1.5]), np.array([[1.0, 2.0], [3.0, 4.0]]), 0.25


def cost(a: Any, b: Any, c: Any) -> Any:
    return np.sum(a**2) + np.sum(b**3) * c


PARTS = {"a": lambda a, b, c: 2 * a, "b": lambda a, b, c: 3 * b**2 * c, "c": lambda a, b, c: np.sum(b**3)}


def parts(*names: str) -> Any:
    return lambda a, b, c: tuple(PARTS[name](a, b, c) for name in names)


# Gradients


@pytest.mark.parametrize(
    ("gradient", "wrt", "unchecked"),
    [
        (parts("a", "b", "c"), None, []),
        (lambda *x: list(parts("a", "b", "c")(*x)), None, []),
        (lambda *x: dict(zip("cba", parts("c", "b", "a")(*x), strict=True)), None, []),
        (lambda *x: {"b": PARTS["b"](*x)}, None, ["a", "c"]),
        (lambda *x: (None, PARTS["b"](*x), None), None, ["a", "c"]),
        (PARTS["a"], None, ["b", "c"]),
        (PARTS["b"], "b", ["a", "c"]),
        (parts("a", "b", "c"), "b", ["a", "c"]),
        (parts("a", "c"), [0, 2], ["b"]),
        (lambda *x: {"c": PARTS["c"](*x)}, ["a", "c"], ["a", "b"]),
    ],
)
def test_every_layout_of_a_gradient_is_read(gradient: Any, wrt: Any, unchecked: list[str]) -> None:
    report = xcheck.check(cost, A, B, C, gradient=gradient, wrt=wrt)

    assert report.ok
    assert sorted(line.partition(":")[0] for line in report.unchecked) == unchecked
    checked = {"a": 2, "b": 4, "c": 1}
    assert report.comparisons[0].total == sum(n for name, n in checked.items() if name not in unchecked)


@pytest.mark.parametrize("wrong", ["a", "b", "c"])
def test_a_wrong_part_is_named(wrong: str) -> None:
    def gradient(*x: Any) -> Any:
        return [part * (1.001 if name == wrong else 1) for name, part in zip("abc", parts(*"abc")(*x), strict=True)]

    report = xcheck.check(cost, A, B, C, gradient=gradient, raises=False)

    assert report.verdict is Verdict.DISAGREE
    assert report.comparisons[0].worst[0].name.startswith(f"d out / d {wrong}")


@pytest.mark.parametrize(
    "point",
    [
        {"w": A, "b": B},
        {"b": B, "w": A, "steps": 3},
        Pair(B, A),
        Params(A, B),
        (A, [B, (A,)]),
        {"layers": [Params(A, B), None]},
    ],
    ids=["dict", "with-a-constant", "namedtuple", "dataclass", "nested", "deep"],
)
def test_a_gradient_may_have_the_structure_of_its_input(point: Any) -> None:
    from xcheck.pytree import flatten

    def f(p: Any, shift: Any) -> Any:
        return sum(np.sum(leaf**2) for leaf in flatten(p)[0] if isinstance(leaf, np.ndarray)) + shift

    def gradient(p: Any, shift: Any) -> Any:
        leaves, structure = flatten(p)
        return structure.unflatten([2 * leaf if isinstance(leaf, np.ndarray) else None for leaf in leaves])

    assert xcheck.check(f, point, 1.0, gradient=gradient).ok
    assert xcheck.check(f, point, 1.0, gradient=lambda p, shift: (gradient(p, shift), 1.0)).ok


@pytest.mark.parametrize(
    ("f", "point", "gradient"),
    [
        (lambda x: x[0] * x[1], A, lambda x: (x[1], x[0])),
        (lambda x: x[0] * x[1], A, lambda x: [x[1], x[0]]),
        (lambda x: x[0] * x[1], [0.5, 1.5], lambda x: [x[1], x[0]]),
        (lambda x: x[0] * x[1], (0.5, 1.5), lambda x: np.array([x[1], x[0]])),
        (lambda x: x[0] * x[1], A, lambda x: np.array([[x[1], x[0]]])),
        (lambda x: x**2, 3.0, lambda x: np.array([[2 * x]])),
        (lambda x: np.sum(x), B, lambda x: [[1, 1], [1, 1]]),
        (lambda x: np.sum(x), B, lambda x: (np.ones(2), np.ones(2))),
    ],
)
def test_numbers_in_lists_and_tuples_stand_for_arrays(f: Any, point: Any, gradient: Any) -> None:
    assert xcheck.check(f, point, gradient=gradient).ok


def test_a_row_is_taken_as_a_vector_and_noted() -> None:
    report = xcheck.check(lambda x: np.sum(x**2), A, gradient=lambda x: 2 * x[None])

    assert report.comparisons[0].notes == ("gradient= returned shape (1, 2) for x, taken as (2,)",)


def test_keyword_arguments_go_to_the_derivatives_that_take_them() -> None:
    def f(x: Any, *, scale: Any) -> Any:
        return scale * np.sum(x**2)

    for gradient in (lambda x, scale: 2 * scale * x, lambda x, **k: 2 * k["scale"] * x, lambda x: 6 * x):
        assert xcheck.check(f, A, kwargs={"scale": 3.0}, gradient=gradient).ok


def test_a_keyword_input_named_in_wrt_is_checked() -> None:
    def f(x: Any, scale: Any = 1.0) -> Any:
        return scale * np.sum(x**2)

    assert xcheck.check(f, A, kwargs={"scale": 3.0}, wrt="scale", gradient=lambda x, scale: np.sum(x**2)).ok


def test_a_gradient_that_returns_whole_numbers_is_noted() -> None:
    report = xcheck.check(lambda x: np.sum(x**2), A, gradient=lambda x: (2 * x).astype(int), raises=False)

    assert "integer array truncates" in report.comparisons[0].notes[0]
    assert xcheck.check(lambda x: 2 * x, 3.0, gradient=lambda x: 2).comparisons[0].notes == ()


def test_value_and_gradient_in_one(torch: Any) -> None:
    assert xcheck.check(lambda x: (np.sum(x**2), 2 * x), A, has_gradient=True).ok
    assert xcheck.check(lambda x: ((x**2).sum(), 2 * x), torch.ones(2), has_gradient=True).ok
    report = xcheck.check(lambda x: (np.sum(x**2), 3 * x), A, has_gradient=True, raises=False)
    assert report.verdict is Verdict.DISAGREE


def test_gradients_of_framework_functions_get_and_return_native_arrays(torch: Any) -> None:
    def gradient(x: Any) -> Any:
        assert torch.is_tensor(x)
        return 2 * x

    assert xcheck.check(lambda x: (x**2).sum(), torch.ones(2), gradient=gradient).ok


def test_a_gradient_of_a_modules_parameters_is_read_by_name(torch: Any) -> None:
    model = torch.nn.Linear(2, 1, dtype=torch.float64)
    x = torch.tensor([1.0, 2.0], dtype=torch.float64)

    def gradient(x: Any) -> Any:
        return {"weight": x[None], "bias": torch.ones(1), "input": model.weight[0]}

    assert xcheck.check(model, x, gradient=gradient).comparisons[0].total == 5


# Jacobians, diagonals, products


def pair(x: Any, s: Any) -> Any:
    return {"y": x * s, "t": np.sum(x**2)}


def nested(x: Any, s: Any) -> Any:
    return {"t": (2 * x, 0.0), "y": (s * np.eye(2), x)}


@pytest.mark.parametrize(
    "jacobian",
    [
        nested,
        lambda x, s: {"y": {"x": s * np.eye(2), "s": x}, "t": {"x": 2 * x, "s": np.array(0.0)}},
        lambda x, s: np.array([[2 * x[0], 2 * x[1], 0], [s, 0, x[0]], [0, s, x[1]]]),
    ],
    ids=["structure", "names", "matrix"],
)
def test_every_layout_of_a_jacobian_is_read(jacobian: Any) -> None:
    assert xcheck.check(pair, A, 2.0, jacobian=jacobian).comparisons[0].total == 9


def test_a_jacobian_of_some_inputs_leaves_the_others_unchecked() -> None:
    report = xcheck.check(pair, A, 2.0, jacobian=lambda x, s: {"y": (s * np.eye(2), None), "t": (2 * x, None)})

    assert report.comparisons[0].total == 6
    assert any(line.startswith("s: jacobian= returned nothing") for line in report.unchecked)


def test_a_jacobian_with_a_hole_is_refused() -> None:
    with pytest.raises(ValueError, match=r"None for d out\['t'\] / d s; give zeros"):
        xcheck.check(pair, A, 2.0, jacobian=lambda x, s: {"y": (s * np.eye(2), x), "t": (2 * x, None)})


@pytest.mark.parametrize("shape", [(4, 4), (2, 2, 2, 2)], ids=str)
def test_a_jacobian_of_matrices_may_be_flat_or_not(shape: tuple[int, ...]) -> None:
    assert xcheck.check(lambda x: x**2, B, jacobian=lambda x: np.diag(2 * x.ravel()).reshape(shape)).ok


def test_jacobians_of_complex_functions() -> None:
    z = np.array([1 + 2j, 0.5 - 1j])

    assert xcheck.check(lambda z: z**2, z, jacobian=lambda z: np.diag(2 * z)).ok
    assert xcheck.check(lambda x: np.exp(1j * x), A, jacobian=lambda x: np.diag(1j * np.exp(1j * x))).ok
    assert xcheck.check(lambda z: np.abs(z) ** 2, z, jacobian=lambda z: np.diag(2 * z)).ok
    assert xcheck.check(lambda z: np.sum(np.abs(z) ** 2), z, gradient=lambda z: 2 * z).ok
    report = xcheck.check(lambda z: np.sum(np.abs(z) ** 2), z, gradient=lambda z: 2 * np.conj(z), raises=False)
    assert [e.name for e in report.comparisons[0].worst[:1]] == ["d out / d z[0].imag"]


def test_a_diagonal_of_an_elementwise_function() -> None:
    assert xcheck.check(np.sin, B, diagonal=np.cos).comparisons[0].total == 4


def test_a_vjp_gets_cotangents_in_the_structure_of_the_output() -> None:
    def vjp(x: Any, s: Any, ct: Any) -> Any:
        return s * ct["y"] + 2 * x * ct["t"], np.sum(x * ct["y"])

    assert xcheck.check(pair, A, 2.0, vjp=vjp).comparisons[0].total == 9


def test_a_vjp_gets_none_for_outputs_without_derivatives() -> None:
    seen = []

    def vjp(x: Any, ct: Any) -> Any:
        seen.append(ct[1])
        return 2 * x * ct[0]

    assert xcheck.check(lambda x: (x**2, 3), A, vjp=vjp).ok
    assert seen == [None] * 3


def test_a_jvp_gets_tangents_in_the_structure_of_the_inputs() -> None:
    def jvp(x: Any, s: Any, dx: Any, ds: Any) -> Any:
        return {"y": dx * s + x * ds, "t": np.sum(2 * x * dx)}

    assert xcheck.check(pair, A, 2.0, jvp=jvp).ok
    assert xcheck.check(
        lambda p: p["x"] * p["s"],
        {"x": A, "s": 2.0, "n": 3},
        jvp=lambda p, dp: dp["x"] * p["s"] + p["x"] * dp["s"],
    ).ok


def test_products_of_complex_functions_pair_by_the_real_inner_product() -> None:
    z = np.array([1 + 2j, 0.5 - 1j])

    assert xcheck.check(lambda z: z**2, z, vjp=lambda z, g: np.conj(2 * z) * g).ok
    assert xcheck.check(lambda z: z**2, z, jvp=lambda z, t: 2 * z * t).ok
    assert xcheck.check(lambda z: z**2, z, vjp=lambda z, g: 2 * z * g, raises=False).verdict is Verdict.DISAGREE


@pytest.mark.parametrize("name", ["vjp", "jvp"])
def test_a_wrong_product_is_found(name: str) -> None:
    wrong = {"vjp": lambda x, ct: 2 * x * ct * np.array([1, 1.01]), "jvp": lambda x, t: 2 * x * t * np.array([1, 1.01])}

    report = xcheck.check(lambda x: x**2, A, **{name: wrong[name]}, raises=False)

    assert report.comparisons[0].worst[0].name == "d out[1] / d x[1]"
