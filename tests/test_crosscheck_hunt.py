"""Planted errors, look-alikes and bad input for `crosscheck`: who is blamed, and who must not be."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import xcheck
from xcheck.agreement import Cause
from xcheck.verdict import Verdict

torch = pytest.importorskip("torch")
jax = pytest.importorskip("jax")
tf = pytest.importorskip("tensorflow")
jnp = jax.numpy

Functions = dict[str, Any]
NAMES = ("torch", "jax", "tensorflow")
X = np.array([[0.3, -1.2, 0.8], [1.1, 0.4, -0.6], [-0.9, 0.2, 1.5]])

SQUARE_OF_TANH: dict[str, Callable[..., Any]] = {
    "torch": lambda x: torch.tanh(x) ** 2,
    "jax": lambda x: jnp.tanh(x) ** 2,
    "tensorflow": lambda x: tf.tanh(x) ** 2,
}
SINES: Functions = {"torch": torch.sin, "jax": jnp.sin, "tensorflow": tf.sin}

MISTAKES: dict[str, Callable[[Any, Any, Any], Any]] = {
    "sign": lambda g, x, xp: -g,
    "factor": lambda g, x, xp: 2 * g,
    "share of 1e-3": lambda g, x, xp: g * (1 + 1e-3),
    "share of 1e-6": lambda g, x, xp: g * (1 + 1e-6),
    "negative entries": lambda g, x, xp: xp.where(x < 0, 0.5 * g, g),
    "transposed": lambda g, x, xp: xp.permute(g, (1, 0)) if xp is torch else xp.transpose(g),
}


def torch_with(f: Callable[..., Any], mistake: Callable[..., Any]) -> Callable[..., Any]:
    class Planted(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return f(x)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            (x,) = ctx.saved_tensors
            return mistake(g * 2 * torch.tanh(x) * (1 - torch.tanh(x) ** 2), x, torch)

    return Planted.apply


def jax_with(f: Callable[..., Any], mistake: Callable[..., Any]) -> Callable[..., Any]:
    planted = jax.custom_vjp(lambda x: f(x))
    planted.defvjp(lambda x: (f(x), x), lambda x, g: (mistake(jax.vjp(f, x)[1](g)[0], x, jnp),))
    return lambda x: planted(x)


def tensorflow_with(f: Callable[..., Any], mistake: Callable[..., Any]) -> Callable[..., Any]:
    @tf.custom_gradient
    def planted(x: Any) -> Any:
        return f(x), lambda g: mistake(g * 2 * tf.tanh(x) * (1 - tf.tanh(x) ** 2), x, tf)

    return lambda x: planted(x)


PLANTERS = {"torch": torch_with, "jax": jax_with, "tensorflow": tensorflow_with}


def blamed(report: xcheck.CrossReport) -> set[str]:
    return {label for d in report.differences if d.cause in (Cause.WRONG, Cause.FUNCTION) for label in d.blamed}


def causes(report: xcheck.CrossReport) -> set[Cause]:
    return {d.cause for d in report.differences}


def wrong_sine() -> Callable[..., Any]:
    """Return torch's sine with a gradient of the wrong sign."""

    class Planted(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return torch.sin(x)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return -g * torch.cos(ctx.saved_tensors[0])

    return Planted.apply


# Wrong derivatives


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("whose", NAMES)
def test_exactly_the_one_that_is_wrong_is_blamed(whose: str, mistake: str) -> None:
    functions = SQUARE_OF_TANH | {whose: PLANTERS[whose](SQUARE_OF_TANH[whose], MISTAKES[mistake])}
    report = xcheck.crosscheck(functions, X, raises=False)
    assert report.verdict is Verdict.DISAGREE
    assert causes(report) == {Cause.WRONG}
    assert blamed(report) == {whose}
    json.dumps(report.to_dict())


@pytest.mark.parametrize("right", NAMES)
def test_two_that_are_wrong_alike_do_not_outvote_the_third(right: str) -> None:
    functions = {
        name: f if name == right else PLANTERS[name](f, MISTAKES["sign"]) for name, f in SQUARE_OF_TANH.items()
    }
    report = xcheck.crosscheck(functions, X, raises=False)
    assert blamed(report) == set(NAMES) - {right}
    assert report.reports[right].verdict is Verdict.AGREE


def test_all_may_be_wrong() -> None:
    functions = {name: PLANTERS[name](f, MISTAKES["factor"]) for name, f in SQUARE_OF_TANH.items()}
    assert blamed(xcheck.crosscheck(functions, X, raises=False)) == set(NAMES)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_blame_in_low_precision(dtype: str) -> None:
    functions = SQUARE_OF_TANH | {"jax": jax_with(SQUARE_OF_TANH["jax"], lambda g, x, xp: g * 1.25)}
    report = xcheck.crosscheck(functions, torch.tensor(X, dtype=getattr(torch, dtype)), raises=False)
    assert blamed(report) == {"jax"}


def test_a_forgotten_conjugate_is_wrong_and_conventions_of_complex_gradients_are_not() -> None:
    z = np.array([1 + 2j, -0.3 + 0.5j])
    real = {
        "torch": lambda z: (z**3).real.sum(),
        "jax": lambda z: (z**3).real.sum(),
        "tensorflow": lambda z: tf.reduce_sum(tf.math.real(z * z * z)),
    }
    assert xcheck.crosscheck(real, z).ok
    planted = jax.custom_vjp(lambda z: z**2)
    planted.defvjp(lambda z: (z**2, z), lambda z, g: (g * 2 * jnp.conj(z),))
    functions = {"torch": torch.square, "jax": lambda z: planted(z), "tensorflow": tf.square}
    assert blamed(xcheck.crosscheck(functions, z, raises=False)) == {"jax"}


def test_a_rule_that_raises_in_forward_mode_only_is_still_blamed_in_reverse_mode() -> None:
    """In TensorFlow a gradient with a tape in it cannot be pushed forward; it says None there."""

    @tf.custom_gradient
    def planted(x: Any) -> Any:
        def gradient(g: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = tf.sin(x)
            return 2 * tape.gradient(y, x, output_gradients=g)

        return tf.sin(x), gradient

    report = xcheck.crosscheck(SINES | {"tensorflow": lambda x: planted(x)}, np.linspace(0.1, 1, 9), raises=False)
    assert blamed(report) == {"tensorflow"}
    assert "unchecked tensorflow/jvp: raised TypeError" in str(report)


def without_zeros(x: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        return np.asarray(np.prod(x) / x)


def test_a_product_s_gradient_by_division_is_wrong_at_a_zero() -> None:
    functions = {"torch": torch.prod, "jax": jnp.prod, "numpy": (np.prod, without_zeros)}
    report = xcheck.crosscheck(functions, np.array([0.0, 3.0, 4.0]), raises=False)
    (wrong,) = report.differences
    assert (wrong.cause, wrong.blamed, wrong.place) == (Cause.WRONG, ("numpy",), (0, 0))
    assert "numpy is wrong and stands alone: d out / d x[0] is 12 by torch and jax, nan by numpy" in str(report)
    assert xcheck.crosscheck(functions, np.array([2.0, 3.0, 4.0])).ok


def test_autograd_s_product_is_wrong_at_a_zero() -> None:
    autograd = pytest.importorskip("autograd")
    anp = pytest.importorskip("autograd.numpy")
    functions = {"torch": torch.prod, "jax": jnp.prod, "numpy": (anp.prod, autograd.grad(anp.prod))}
    report = xcheck.crosscheck(functions, np.array([0.0, 3.0, 4.0]), raises=False)
    (wrong,) = report.differences
    assert (wrong.cause, wrong.blamed, wrong.place) == (Cause.WRONG, ("numpy",), (0, 0))
    pair = {"torch": torch.tanh, "numpy": (anp.tanh, autograd.jacobian(anp.tanh))}
    assert xcheck.crosscheck(pair, np.array([0.3, -1.2])).ok


def test_an_input_without_a_gradient_is_no_other_function() -> None:
    functions = {
        "torch": lambda x, y: (x * y).sum(),
        "numpy": (lambda x, y: np.sum(x * y), lambda x, y: y),
    }
    report = xcheck.crosscheck(functions, np.array([0.3, -1.2]), np.array([0.5, 2.0]), raises=False)
    assert Cause.FUNCTION not in causes(report)


def test_one_wrong_entry_among_many_names_its_owner() -> None:
    class Planted(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return torch.sin(x)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            (x,) = ctx.saved_tensors
            return g * torch.where(x > 2.5, 1.1, 1.0) * torch.cos(x)

    x = np.clip(np.random.default_rng(0).normal(size=6000), -2.4, 2.4)
    x[123] = 2.7
    report = xcheck.crosscheck(SINES | {"torch": Planted.apply}, x, raises=False)
    assert report.verdict is Verdict.DISAGREE
    assert blamed(report) == {"torch"}
    assert report.rows[0].agreement["jax"] == "wrong"
    assert "They agree with each other" not in str(report)


def test_a_wrong_forward_mode_is_no_agreement() -> None:
    class Planted(torch.autograd.Function):
        @staticmethod
        def forward(x: Any) -> Any:
            return torch.sin(x)

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.save_for_backward(*inputs)
            ctx.save_for_forward(*inputs)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * torch.cos(ctx.saved_tensors[0])

        @staticmethod
        def jvp(ctx: Any, t: Any) -> Any:
            return 1.001 * t * torch.cos(ctx.saved_tensors[0])

    report = xcheck.crosscheck(SINES | {"torch": Planted.apply}, np.array([0.3, -1.2]), raises=False)
    assert report.verdict is Verdict.DISAGREE
    assert "They agree with each other" not in str(report)


def test_a_wrong_derivative_does_not_agree_with_measured_slopes() -> None:
    report = xcheck.crosscheck({"torch": wrong_sine(), "numpy": np.sin}, np.array([0.3, -1.2]), raises=False)
    assert report.verdict is Verdict.DISAGREE
    assert report.rows[0].agreement["numpy"] == "wrong"
    assert "zero to rounding" not in str(report)


def test_measured_slopes_are_held_against_every_implementation() -> None:
    planted = jax.custom_vjp(lambda x: x**2)
    planted.defvjp(lambda x: (x**2, x), lambda x, g: (5 * g * x,))
    functions = {"jax": lambda x: planted(x), "torch": torch.square, "numpy": lambda x: x**3}
    report = xcheck.crosscheck(functions, np.ones(2), raises=False)
    assert "jax" in blamed(report)
    assert report.rows[1].agreement["numpy"] == "another function"


def test_measured_slopes_are_looked_at_beside_another_function() -> None:
    functions = {"torch": torch.square, "jax": lambda x: x**2 + 1, "numpy": lambda x: x**3}
    report = xcheck.crosscheck(functions, np.ones(2), raises=False)
    assert report.rows[0].agreement["numpy"] == "another function"


# Other functions


def test_the_one_with_other_slopes_at_the_same_values_stands_alone() -> None:
    functions = {"torch": torch.square, "jax": lambda x: x**3, "tensorflow": tf.square}
    report = xcheck.crosscheck(functions, np.ones(2), raises=False)
    assert causes(report) == {Cause.FUNCTION}
    assert blamed(report) == {"jax"}


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_other_functions_are_told_apart_in_low_precision(dtype: str) -> None:
    x = torch.tensor([-1.0, 0.3, 0.5], dtype=getattr(torch, dtype))
    report = xcheck.crosscheck({"torch": torch.sin, "jax": jnp.tanh}, x, raises=False)
    assert causes(report) == {Cause.FUNCTION}
    louder = xcheck.crosscheck(
        {"torch": torch.tanh, "jax": lambda x: jnp.tanh(x) * 1.1, "tensorflow": tf.tanh}, x, raises=False
    )
    assert blamed(louder) == {"jax"}
    assert xcheck.crosscheck({"torch": torch.tanh, "jax": jnp.tanh, "tensorflow": tf.tanh}, x).ok


@pytest.mark.parametrize(
    ("functions", "inputs", "other"),
    [
        ({"torch": torch.std, "jax": jnp.std, "tensorflow": tf.math.reduce_std}, [X[0]], {"torch"}),
        ({"torch": torch.log10, "jax": jnp.log, "tensorflow": tf.math.log}, [np.abs(X[0])], {"torch"}),
        ({"torch": lambda x: x.softmax(0), "jax": jax.nn.softmax, "tensorflow": tf.nn.softmax}, [X], {"torch"}),
        (
            {"torch": torch.fmod, "jax": jnp.remainder, "tensorflow": tf.math.floormod},
            [np.array([-3.3, 4.1]), np.array([2.0, 3.0])],
            {"torch"},
        ),
        (
            {"torch": torch.median, "jax": jnp.median, "tensorflow": lambda x: tf.sort(x)[1]},
            [np.array([1.0, 3.0, 2.0, 5.0])],
            {"jax"},
        ),
        ({"torch": torch.sin, "jax": jnp.cos, "tensorflow": tf.tan}, [X[0]], set()),
        (
            {"torch": lambda a, b: a @ b, "jax": lambda a, b: a @ b.T, "tensorflow": lambda a, b: a @ b},
            [X, X + 0.3],
            {"jax"},
        ),
    ],
)
def test_look_alikes_are_other_functions(functions: Functions, inputs: list[np.ndarray], other: set[str]) -> None:
    report = xcheck.crosscheck(functions, *inputs, raises=False)
    assert report.verdict is Verdict.DISAGREE
    assert causes(report) == {Cause.FUNCTION}
    assert blamed(report) == other


def test_two_other_functions_are_both_named() -> None:
    functions = {
        "torch": lambda x: (torch.sin(x), torch.cos(x)),
        "jax": lambda x: (jnp.sin(x), jnp.cos(x)),
        "tensorflow": lambda x: (tf.sin(x), tf.cos(x) + 0.5),
        "numpy": lambda x: (np.sin(x) + 1, np.cos(x)),
    }
    report = xcheck.crosscheck(functions, np.array([0.3, -1.2]), raises=False)
    assert blamed(report) == {"tensorflow", "numpy"}
    assert report.rows[0].agreement["tensorflow"] == "another function"


def test_a_chain_of_close_values() -> None:
    functions = {
        "torch": torch.sin,
        "jax": lambda x: jnp.sin(x) * (1 + 8e-7),
        "tensorflow": lambda x: tf.sin(x) * (1 + 16e-7),
    }
    report = xcheck.crosscheck(functions, np.array([0.3, -1.2]), raises=False)
    assert report.verdict is Verdict.DISAGREE


@pytest.mark.parametrize("reduced", [True, False])
def test_other_slopes_at_the_same_values_of_a_large_input(reduced: bool) -> None:
    functions = (
        {"torch": lambda x: (x**2).sum(), "tensorflow": lambda x: tf.reduce_sum(x**3)}
        if reduced
        else {"torch": lambda x: x**2, "tensorflow": lambda x: x**3}
    )
    assert xcheck.crosscheck(functions, np.ones(6000), raises=False).verdict is not Verdict.AGREE


def test_slopes_of_a_large_plain_function_do_not_agree_unmeasured() -> None:
    functions = {"torch": lambda x: x**2, "numpy": lambda x: x**3}
    report = xcheck.crosscheck(functions, np.ones(6000), raises=False)
    assert report.verdict is not Verdict.AGREE or report.notes


@pytest.mark.parametrize(
    "functions",
    [
        {"torch": lambda x: (x.max(), x.argmax()), "jax": lambda x: (x.max(), x.argmin())},
        {"torch": lambda x: (x.sin(), x > 0), "jax": lambda x: (jnp.sin(x), x < 0)},
    ],
)
def test_integers_that_differ_are_other_functions(functions: Functions) -> None:
    report = xcheck.crosscheck(functions, np.array([0.3, -1.2]), raises=False)
    assert report.verdict is not Verdict.AGREE


def test_a_witness_tells_who_computes_another_function() -> None:
    mpmath = pytest.importorskip("mpmath")
    functions = {"torch": torch.sin, "jax": jnp.cos, "tensorflow": tf.sin}
    report = xcheck.crosscheck(
        functions, np.array([0.3, -1.2]), witness=lambda x: np.array([mpmath.sin(v) for v in x]), raises=False
    )
    assert report.verdict is Verdict.DISAGREE


# Precision


@pytest.mark.parametrize("reduced", [True, False])
def test_float32_inside_is_found_in_few_numbers(reduced: bool) -> None:
    def inside(x: Any) -> Any:
        y = jnp.sin(x.astype(jnp.float32))
        return (y.sum() if reduced else y).astype(jnp.float64)

    functions = {"torch": (lambda x: torch.sin(x).sum()) if reduced else torch.sin, "jax": inside}
    report = xcheck.crosscheck(functions, np.array([0.3, -1.2, 0.8]), raises=False)
    assert any("float32" in note for note in report.notes)


# Points without a derivative


def test_values_that_differ_at_a_step_are_not_called_the_same() -> None:
    functions = {"torch": torch.round, "jax": jnp.round, "tensorflow": lambda x: tf.floor(x + 0.5)}
    report = xcheck.crosscheck(functions, np.array([0.5, 1.2]), raises=False)
    assert "0 by torch and jax, 1 by tensorflow" in str(report)


def test_a_slope_that_cannot_be_measured_may_exist() -> None:
    report = xcheck.crosscheck({"torch": torch.sin, "jax": jnp.sin}, np.array([1e22]), raises=False)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "no derivative there" not in str(report)


def test_nan_beside_a_point_without_a_derivative() -> None:
    functions = {"torch": torch.sqrt, "jax": jnp.sqrt, "tensorflow": tf.sqrt}
    report = xcheck.crosscheck(functions, np.array([0.0, 1.0]), raises=False)
    assert "No derivative exists at this point: d out[1] / d x[0]" not in str(report)


def test_a_claim_beyond_the_slopes_of_a_kink_is_wrong() -> None:
    planted = tf.custom_gradient(lambda x: (tf.abs(x), lambda g: 5 * g))
    functions = {"torch": torch.abs, "jax": jnp.abs, "tensorflow": planted}
    report = xcheck.crosscheck(functions, np.array([0.0]), raises=False)
    assert blamed(report) == {"tensorflow"}


# Bad input


def test_infinite_values_are_compared_without_warnings() -> None:
    functions = {
        "torch": torch.log,
        "jax": lambda x: jnp.where(x > 0, jnp.log(x), jnp.nan),
        "tensorflow": tf.math.log,
    }
    report = xcheck.crosscheck(functions, np.array([0.0, 4.0]), raises=False)
    assert blamed(report) == {"jax"}


def test_more_outputs_are_not_complex_ones() -> None:
    functions = {"torch": lambda x: torch.sin(x), "jax": lambda x: (jnp.sin(x), jnp.cos(x))}
    report = xcheck.crosscheck(functions, np.array([0.3, -1.2]), raises=False)
    assert report.rows[1].state == "another shape"
    assert "complex numbers against real ones" not in str(report)
    assert "of its inputs vary" not in str(report)


def test_complex_outputs_against_real_ones_are_named() -> None:
    functions = {"torch": lambda x: torch.complex(x, 0 * x), "jax": lambda x: 1 * x}
    report = xcheck.crosscheck(functions, np.array([0.3, -1.2]), raises=False)
    assert "(complex numbers against real ones)" in str(report)
    assert "xcheck.invariant" not in str(report)


def test_outputs_of_other_names_are_told() -> None:
    functions = {
        "torch": lambda x: {"loss": torch.sin(x), "z": torch.cos(x)},
        "jax": lambda x: {"loss": jnp.sin(x), "y": jnp.cos(x)},
    }
    report = xcheck.crosscheck(functions, np.array([0.3, -1.2]), raises=False)
    assert any("'y'" in note and "'z'" in note for note in report.notes)


def test_modules_without_parameters_are_functions() -> None:
    keras = tf.keras.layers.Activation("tanh", dtype="float64")
    functions = {"torch": torch.nn.Tanh(), "tensorflow": keras, "jax": jnp.tanh}
    assert xcheck.crosscheck(functions, X).ok


def test_values_are_compared_where_a_derivative_raises() -> None:
    def broken(x: Any) -> Any:
        raise RuntimeError("not implemented")

    functions = {"torch": lambda x: torch.sin(x).sum(), "numpy": (lambda x: np.cos(x).sum(), broken)}
    report = xcheck.crosscheck(functions, np.array([0.3, -1.2]), raises=False)
    assert report.verdict is Verdict.DISAGREE


@pytest.mark.parametrize(
    ("gradient", "message"),
    [
        (lambda x: np.ones(5), "gradient= returned shape (5,) for x, whose shape is (2,)"),
        (lambda x: None, "gradient= returned None"),
        (lambda x: 1.0, "gradient= returned shape () for x"),
    ],
)
def test_a_bad_gradient_is_named_and_the_others_compared(gradient: Callable[..., Any], message: str) -> None:
    functions = {
        "torch": lambda x: torch.sin(x).sum(),
        "jax": lambda x: jnp.sin(x).sum(),
        "numpy": (lambda x: np.sin(x).sum(), gradient),
    }
    report = xcheck.crosscheck(functions, np.array([0.3, -1.2]), raises=False)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert any(message in note for note in report.notes)
    assert report.rows[0].derivatives["jax"] > 14


# What is left behind


def test_nothing_is_changed() -> None:
    x = np.array([0.3, -1.2])
    kept, native = x.copy(), torch.tensor(x)
    torch.manual_seed(1)
    np.random.seed(1)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), tf.random.get_global_generator().state.numpy()
    settings = jax.config.jax_enable_x64, torch.get_default_dtype(), str(np.geterr())
    functions = {
        "torch": lambda x: x.mul_(2) if not x.requires_grad else 2 * x,
        "jax": lambda x: 2 * x,
        "tensorflow": lambda x: 2 * x,
        "numpy": lambda x: np.multiply(x, 2, out=x),
    }
    for given in (x, native):
        json.dumps(xcheck.crosscheck(functions, given, raises=False).to_dict())
    np.testing.assert_array_equal(x, kept)
    np.testing.assert_array_equal(native.numpy(), kept)
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])
    np.testing.assert_array_equal(tf.random.get_global_generator().state.numpy(), before[2])
    assert (jax.config.jax_enable_x64, torch.get_default_dtype(), str(np.geterr())) == settings
