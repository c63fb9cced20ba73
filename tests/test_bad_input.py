"""What users get wrong, and the sentence that each mistake gets. The place and the way out have to be in it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import xcheck
from xcheck import Verdict

X = np.array([1.0, 2.0, 3.0])
M = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


class Thing:
    def __repr__(self) -> str:
        return "thing"


def total(x: Any) -> Any:
    return np.sum(x**2)


def gradient(x: Any) -> Any:
    return 2 * x


# The function


@pytest.mark.parametrize(
    ("given", "what"), [(np.ones(2), r"ndarray of shape \(2,\)"), (3.0, "float"), (None, "NoneType"), ("sin", "str")]
)
def test_something_that_is_no_function(given: Any, what: str) -> None:
    with pytest.raises(TypeError, match=rf"f must be callable; given: {what}.*check\(f, x\), not check\(f\(x\), x\)"):
        xcheck.check(given, X)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("text", "f returned nothing that can be differentiated: out: the str 'text', which is no number"),
        ({"a": "s", "b": "t"}, r"out\['a'\]: the str 's', which is no number; out\['b'\]: the str 't'"),
        (None, "f returned None, which has no arrays in it; .*Is a return statement missing?"),
        ((), r"f returned \(\), which has no arrays in it"),
        ({"a": None}, r"f returned \{'a': None\}, which has no arrays"),
        ([[1.0, 2.0], [3.0]], "f returned a ragged list as out.*Return an array, or a tuple or dict of arrays"),
        (np.array([X, None], dtype=object), r"out as an array of Python objects \(dtype=object\).*Ragged lists"),
        (Thing(), "out as an array of Python objects"),
        (np.arange(3), "out: an output of dtype int64, which has no derivative"),
        (np.array(["a"]), "out: an output of dtype <U1, which has no derivative"),
        (X > 1, "out: an output of dtype bool, which has no derivative"),
        (0, r"out: the Python int 0, which has no derivative. Return floats, 0.0 and not 0, on every branch"),
    ],
    ids=str,
)
def test_a_function_that_returns_no_numbers(returned: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        xcheck.check(lambda x: returned, X, gradient=gradient)


def test_a_framework_function_that_returns_no_numbers(torch: Any) -> None:
    for returned, message in ((None, "returned None"), ("s", "the str 's'"), ([[1.0], [2.0, 3.0]], "a ragged list")):
        with pytest.raises(TypeError, match=message):
            xcheck.check(lambda x, r=returned: r, torch.ones(2))


def test_an_exception_of_the_function_passes_through_with_the_point_named(backend: Any) -> None:
    class Mine(Exception):
        pass

    def fail(x: Any, w: Any) -> Any:
        raise Mine("of my own")

    small, large = backend.from_numpy(np.array([1.5, 2.5])), backend.from_numpy(np.ones((10, 10)))
    with pytest.raises(Mine, match="of my own") as caught:
        xcheck.check(fail, small, large, gradient=gradient)

    assert str(caught.value) == "of my own"
    note = caught.value.__notes__[0]
    assert note.startswith("xcheck: raised by fail at the point that was given, x = [1.5, 2.5] (shape (2,), float64)")
    assert "w = ... (shape (10, 10), float64)" in note


def test_the_note_of_a_large_model_stays_short(torch: Any) -> None:
    model = torch.nn.Sequential(*[torch.nn.Linear(2, 2) for _ in range(10)])
    with pytest.raises(RuntimeError, match="same dtype") as caught:
        xcheck.check(model, np.ones(2))

    (note,) = caught.value.__notes__
    assert "(shape (2,), float64)" in note
    assert note.endswith("and 17 more.")


def test_an_exception_of_a_derivative_passes_through_with_the_point_named() -> None:
    def fail(x: Any) -> Any:
        raise KeyError("w")

    with pytest.raises(KeyError, match="w") as caught:
        xcheck.check(total, X, gradient=fail)

    assert "raised by gradient= at the point that was given, x = [1., 2., 3.]" in caught.value.__notes__[0]


def test_wrong_numbers_of_arguments_are_the_functions_own_message() -> None:
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'y'"):
        xcheck.check(lambda x, y: x, X, gradient=gradient)


@pytest.mark.parametrize("f", [lambda x: np.sum(np.sqrt(x - 5)), lambda x: np.sum(x) / 0.0], ids=["nan", "inf"])
def test_a_value_that_is_not_finite_is_inconclusive_with_the_reason(f: Any) -> None:
    report = xcheck.check(f, X, gradient=gradient, raises=False)

    assert report.verdict is Verdict.INCONCLUSIVE
    assert "value at the point is not finite" in report.comparisons[0].reason
    with pytest.raises(xcheck.InconclusiveError, match="not finite"):
        xcheck.check(f, X, gradient=gradient)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_point_that_is_not_finite_is_inconclusive(bad: float) -> None:
    report = xcheck.check(total, np.array([bad, 1.0]), gradient=gradient, raises=False)

    assert report.verdict is Verdict.INCONCLUSIVE


def test_nan_of_a_framework_function_is_inconclusive(torch: Any) -> None:
    report = xcheck.check(lambda x: torch.log(x).sum(), -torch.ones(2), raises=False)

    assert report.verdict is Verdict.INCONCLUSIVE


def test_a_function_that_ignores_its_input_says_so(torch: Any) -> None:
    report = xcheck.check(lambda x, y: x.sin().sum(), torch.ones(2), torch.ones(2))

    assert report.ok  # zero is what it is, and the zero was compared
    assert report.comparisons[0].notes[0] == "torch returned None for: y"


def test_a_detached_input_is_a_wrong_derivative_by_name(torch: Any) -> None:
    report = xcheck.check(lambda x, y: (x * y.detach()).sum(), torch.ones(2), torch.ones(2), raises=False)

    assert report.verdict is Verdict.DISAGREE
    assert report.comparisons[0].worst[0].name.endswith(("d y[0]", "d y[1]"))


# Inputs


@pytest.mark.parametrize(
    ("inputs", "why"),
    [
        ((np.zeros(3, dtype=int),), "x: held constant, its dtype is int64"),
        ((3,), "x: held constant, a Python int"),
        (([1, 2, 3],), "x: held constant, a list of Python integers"),
        ((np.array([True]),), "x: held constant, its dtype is bool"),
    ],
)
def test_integers_where_floats_are_needed(inputs: Any, why: str) -> None:
    message = rf"Nothing to differentiate: {why}.*np.zeros\(3\) instead of np.zeros\(3, dtype=int\)"
    with pytest.raises(TypeError, match=message):
        xcheck.check(lambda x: total(x), *inputs, gradient=gradient)


def test_integer_tensors_where_floats_are_needed(backend: Any) -> None:
    with pytest.raises(TypeError, match=r"Nothing to differentiate: x: held constant, its dtype is int32"):
        xcheck.check(lambda x: x * x, backend.from_numpy(np.zeros(3, np.int32)), gradient=gradient)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("abc", "a Python str"),
        (np.array(["a"]), "its dtype is <U1"),
        (np.array([1.0, None]), "its dtype is object"),
        (np.ones(2, np.longdouble), "its dtype is float128|its dtype is longdouble"),
        (Thing(), r"of type .*Thing"),
    ],
    ids=str,
)
def test_inputs_that_cannot_vary(value: Any, why: str) -> None:
    with pytest.raises(
        TypeError, match=f"Nothing to differentiate: x: held constant, ({why}). Pass floating-point"
    ) as e:
        xcheck.check(lambda x: 1.0, value, gradient=gradient)

    assert "Integers" not in str(e.value)


def test_no_inputs_at_all() -> None:
    with pytest.raises(ValueError, match=r"f was given no inputs; pass the point at which to check it: check\(f, x\)"):
        xcheck.check(lambda: 1.0)
    with pytest.raises(ValueError, match="given no inputs"):
        xcheck.gradient(lambda x: 1.0, None)


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_matrices_of_numpy_are_explained() -> None:
    with pytest.raises(
        TypeError, match=r"p\['w'\] is an np.matrix: its \* is the matrix product.*Pass np.asarray\(p\['w'\]\)"
    ):
        xcheck.check(lambda p: np.sum(p["w"]), {"w": np.matrix([[1.0]])}, gradient=gradient)


def test_masked_arrays_are_explained() -> None:
    with pytest.raises(TypeError, match=r"y is a masked array.*y.filled\(...\) or y.compressed\(\)"):
        xcheck.check(lambda x, y: x, X, np.ma.array([1.0, 2.0], mask=[0, 1]), gradient=gradient)


def test_ragged_lists_are_explained() -> None:
    with pytest.raises(TypeError, match=r"x is a ragged list of numbers.*pass an array, or a tuple of arrays"):
        xcheck.check(lambda x: 1.0, [[1.0, 2.0], [3.0]], gradient=gradient)


def test_numpy_functions_need_a_derivative_to_check() -> None:
    with pytest.raises(
        ValueError, match=r"numpy has no automatic derivative to check. Give one.*xcheck.finite_difference"
    ):
        xcheck.check(total, X)


# Given derivatives


@pytest.mark.parametrize("name", ["gradient", "jacobian", "diagonal", "vjp", "jvp"])
def test_an_array_in_place_of_a_derivative(name: str) -> None:
    with pytest.raises(TypeError, match=rf"{name}= must be a function.*ndarray.*{name}=lambda \*inputs: array"):
        xcheck.check(total, X, **{name: 2 * X})


@pytest.mark.parametrize(
    ("x", "shape", "hint"),
    [
        (M, (3, 2), "It has the shape of the transpose."),
        (np.ones((2, 3, 4)), (4, 2, 3), "It has the shape with its axes in another order: is it transposed?"),
        (M, (3,), "It would broadcast to that shape: is a sum over an axis too many, or a product missing?"),
        (X, (), "It would broadcast to that shape"),
        (X, (5, 3), "Its axis 0 is extra: is a sum over that axis missing?"),
        (X, (3, 5), "Its axis 1 is extra: is a sum over that axis missing?"),
        (X, (3, 1), "It has an extra axis of length 1"),
        (M, (6,), "The number of entries is right: is a reshape missing?"),
        (X, (4,), ""),
        (np.float64(1.0), (3,), "Its axis 0 is extra: is a sum over that axis missing?"),
    ],
    ids=str,
)
def test_a_gradient_of_the_wrong_shape(x: Any, shape: tuple[int, ...], hint: str) -> None:
    with pytest.raises(ValueError, match="gradient= returned shape") as caught:
        xcheck.check(total, x, gradient=lambda x: np.ones(shape))

    start = f"gradient= returned shape {shape} for x, whose shape is {np.shape(x)}."
    assert str(caught.value).startswith(start)
    assert str(caught.value)[len(start) :].strip().startswith(hint)
    assert bool(hint) == (str(caught.value) != start)


@pytest.mark.parametrize(
    ("name", "returned", "message"),
    [
        (
            "jacobian",
            np.ones((3, 2)),
            r"shape \(3, 2\) for d out / d x, whose shape is \(2, 3\). It has the shape of the tr",
        ),
        ("jacobian", np.ones(3), r"shape \(3,\) for d out / d x, whose shape is \(2, 3\)"),
        ("vjp", np.ones(2), r"vjp= returned shape \(2,\) for x, whose shape is \(3,\)"),
        ("jvp", np.ones(3), r"jvp= returned shape \(3,\) for out, whose shape is \(2,\)"),
        ("jvp", (np.ones(2), np.ones(3)), r"jvp= returned 2 arrays; expected 1, as f returns"),
        (
            "jacobian",
            {"a": M, "b": M},
            r"returned .*\{'a': \*, 'b': \*\}, where \* is an array; expected 1, one for each of",
        ),
        ("jacobian", None, "jacobian= returned None; it must return an array"),
    ],
)
def test_other_derivatives_of_the_wrong_shape(name: str, returned: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        xcheck.check(lambda x: M @ x, X, **{name: lambda *_: returned})


@pytest.mark.parametrize(
    ("returned", "error", "message"),
    [
        (None, TypeError, "gradient= returned None; it must return an array"),
        ("abc", TypeError, "gradient= returned an array of dtype <U3; it must return numbers"),
        (np.array([1.0, None, 2.0]), TypeError, "an array of dtype object; it must return numbers"),
        ([[1.0], [2.0, 3.0]], TypeError, "gradient= returned a list, which is no array"),
        (2 * X + 1j, TypeError, "gradient= returned complex numbers for x, which is real"),
        (
            {"x": X, "w": X},
            ValueError,
            r"2 arrays as \{'x': \*, 'w': \*\}.*expected 1, one for each of x of shape \(3,\)",
        ),
        ({"y": X}, ValueError, r"gradient= returned .*expected 1, one for each of x of shape \(3,\)"),
    ],
    ids=str,
)
def test_a_gradient_that_is_no_gradient(returned: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        xcheck.check(total, X, gradient=lambda x: returned)


def test_imaginary_parts_that_are_zero_are_no_matter() -> None:
    assert xcheck.check(total, X, gradient=lambda x: 2 * x + 0j).ok


def test_a_flat_gradient_of_a_dictionary_is_refused_since_its_order_is_in_doubt() -> None:
    params = {"w": np.ones(2), "b": np.ones(2)}
    with pytest.raises(
        ValueError, match=r"2 arrays as \(\*, \*\).*expected 2, one for each of p\['b'\].*laid out as the inp"
    ):
        xcheck.check(lambda p: np.sum(p["w"]), params, gradient=lambda p: (np.ones(2), np.zeros(2)))


def test_a_gradient_of_something_that_is_no_input_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\{'w': \*, 'v': \*\}.*expected 1, one for each of p\['w'\]"):
        xcheck.check(lambda p: np.sum(p["w"]), {"w": np.ones(2)}, gradient=lambda p: {"w": np.ones(2), "v": np.ones(2)})


@pytest.mark.parametrize("f", [lambda x: x, lambda x: np.sum(x) * 1j, lambda x: (x[0], x[1])], ids=["3", "C", "pair"])
def test_a_gradient_of_more_than_one_number(f: Any) -> None:
    with pytest.raises(ValueError, match=r"gradient= needs a function with one real number as output.*Give jacobian="):
        xcheck.check(f, X, gradient=gradient)


def test_a_diagonal_where_there_is_none() -> None:
    with pytest.raises(ValueError, match="diagonal= needs as many outputs as inputs, but total maps 3 numbers to 1"):
        xcheck.check(total, X, diagonal=gradient)
    with pytest.raises(ValueError, match="diagonal= is for real functions; give jacobian= or vjp="):
        xcheck.check(lambda z: z**2, X + 1j, diagonal=gradient)


@pytest.mark.parametrize("returned", [1.0, (1.0,), (1.0, X, X)], ids=str)
def test_has_gradient_needs_a_pair(returned: Any) -> None:
    def pair(x: Any) -> Any:
        return returned

    with pytest.raises(
        TypeError, match=r"has_gradient=True needs a function that returns \(value, gradient\); pair returned"
    ):
        xcheck.check(pair, X, has_gradient=True)


# Every verb


@pytest.mark.parametrize("verb", [xcheck.gradient, xcheck.jacobian, xcheck.jacobian_diagonal, xcheck.finite_difference])
def test_all_verbs_explain_alike(verb: Any) -> None:
    with pytest.raises(TypeError, match="f must be callable"):
        verb(X, X)
    with pytest.raises(TypeError, match="Nothing to differentiate: x: held constant"):
        verb(total, np.zeros(3, int))
    with pytest.raises(ValueError, match=r"wrt='y' names no input. Accepted: positions from 0, and the names x"):
        verb(total, X, wrt="y")
    with pytest.raises(ValueError, match="backend='tensorfow' is unknown"):
        verb(total, X, backend="tensorfow")
    with pytest.raises(TypeError, match="f returned None"):
        verb(lambda x: None, X)
