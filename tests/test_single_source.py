"""One function written once over the array-API names, compared in every framework."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import xcheck
from xcheck import registry
from xcheck.namespaces import namespace
from xcheck.verdict import Verdict

torch = pytest.importorskip("torch")
jax = pytest.importorskip("jax")
tf = pytest.importorskip("tensorflow")

ALL = ["numpy", "torch", "jax", "tensorflow"]

Written = Callable[..., Any]

FUNCTIONS: dict[str, Written] = {
    "sin": lambda x, xp: xp.sin(x),
    "acos": lambda x, xp: xp.acos(x / 2),
    "asinh": lambda x, xp: xp.asinh(x),
    "atan2": lambda x, xp: xp.atan2(x, 2 - x),
    "tanh": lambda x, xp: xp.tanh(x),
    "expm1": lambda x, xp: xp.expm1(x),
    "log1p": lambda x, xp: xp.log1p(xp.abs(x)),
    "log2": lambda x, xp: xp.log2(xp.square(x)),
    "pow": lambda x, xp: xp.pow(xp.abs(x), 2.5),
    "hypot": lambda x, xp: xp.hypot(x, x + 3),
    "logaddexp": lambda x, xp: xp.logaddexp(x, 2 * x),
    "reciprocal": lambda x, xp: xp.reciprocal(x),
    "remainder": lambda x, xp: xp.remainder(x, 0.7),
    "copysign": lambda x, xp: xp.copysign(x, -xp.ones_like(x)),
    "clip": lambda x, xp: xp.clip(x, -0.5, 0.5),
    "maximum": lambda x, xp: xp.maximum(x, 0.1),
    "where": lambda x, xp: xp.where(x > 0, xp.exp(x), 2 * x),
    "trunc": lambda x, xp: x * xp.trunc(3 * x),
    "astype": lambda x, xp: x * xp.astype(x > 0, x.dtype),
    "sum": lambda x, xp: xp.sum(x**2, axis=-1, keepdims=True),
    "prod": lambda x, xp: xp.prod(x, axis=0),
    "max": lambda x, xp: xp.max(x, axis=(0, 1)),
    "min": lambda x, xp: xp.min(x, axis=1),
    "mean": lambda x, xp: xp.mean(x, axis=0),
    "var": lambda x, xp: xp.var(x, axis=-1, correction=1),
    "std": lambda x, xp: xp.std(x, axis=0),
    "cumulative_sum": lambda x, xp: xp.cumulative_sum(x, axis=1, include_initial=True),
    "cumulative_prod": lambda x, xp: xp.cumulative_prod(x, axis=1),
    "sort": lambda x, xp: xp.sort(x, axis=0, descending=True),
    "argmax": lambda x, xp: xp.take(x, xp.argmax(x[0, :], axis=0)[None], axis=1),
    "take_along_axis": lambda x, xp: xp.take_along_axis(x, xp.argsort(x, axis=-1), axis=-1),
    "concat": lambda x, xp: xp.concat([x, xp.sin(x)], axis=1),
    "matmul": lambda x, xp: xp.matmul(x, xp.matrix_transpose(x)),
    "tensordot": lambda x, xp: xp.tensordot(x, x, axes=((0,), (0,))),
    "vecdot": lambda x, xp: xp.vecdot(x, x**2, axis=0),
    "outer": lambda x, xp: xp.linalg.outer(x[:, 0], x[:, 1]),
    "cross": lambda x, xp: xp.linalg.cross(x[0, :], x[1, :]),
    "inv": lambda x, xp: xp.linalg.inv(x),
    "det": lambda x, xp: xp.linalg.det(x),
    "slogdet": lambda x, xp: xp.linalg.slogdet(x)[1],
    "solve": lambda x, xp: xp.linalg.solve(x, x[:, 0] ** 2),
    "cholesky": lambda x, xp: xp.linalg.cholesky(x @ xp.matrix_transpose(x) + xp.eye(3, dtype=x.dtype)),
    "eigvalsh": lambda x, xp: xp.linalg.eigvalsh(x + xp.matrix_transpose(x)),
    "svdvals": lambda x, xp: xp.linalg.svdvals(x),
    "qr": lambda x, xp: xp.abs(xp.linalg.qr(x).R),
    "trace": lambda x, xp: xp.linalg.trace(x**2, offset=1),
    "diagonal": lambda x, xp: xp.linalg.diagonal(x) ** 2,
    "vector_norm": lambda x, xp: xp.linalg.vector_norm(x, axis=1),
    "matrix_norm": lambda x, xp: xp.linalg.matrix_norm(x),
    "matrix_power": lambda x, xp: xp.linalg.matrix_power(x, 3),
    "pinv": lambda x, xp: xp.linalg.pinv(x[:, :2]),
    "fft": lambda x, xp: xp.fft.fft(xp.astype(x, xp.complex128), axis=0, norm="ortho"),
    "ifft": lambda x, xp: xp.real(xp.fft.ifft(xp.astype(x, xp.complex128), n=4)),
    "rfft": lambda x, xp: xp.abs(xp.fft.rfft(x, n=5)),
    "irfft": lambda x, xp: xp.fft.irfft(xp.astype(x, xp.complex128), n=4, norm="forward"),
    "fftn": lambda x, xp: xp.imag(xp.fft.fftn(xp.astype(x**2, xp.complex128))),
    "fftshift": lambda x, xp: xp.fft.fftshift(x**2, axes=1),
}
"""Functions of the standard, by name."""


def shapes(x: Any, xp: Any) -> Any:
    return (
        xp.stack([x, x**2], axis=1),
        xp.permute_dims(x[None, ...], (2, 0, 1)) ** 2,
        xp.reshape(x**2, (-1,)),
        xp.flip(x**2, axis=0),
        x * xp.roll(x, 1, axis=0),
        xp.squeeze(xp.expand_dims(x**2, axis=1), axis=1),
        xp.broadcast_to(x[:1, :] ** 2, x.shape),
        xp.diff(x**2, axis=0),
        xp.tril(x**2),
        xp.unstack(x, axis=1)[0] * xp.unstack(x, axis=1)[1],
    )


def softmax(x: Any, xp: Any) -> Any:
    e = xp.exp(x - xp.max(x, axis=-1, keepdims=True))
    return e / xp.sum(e, axis=-1, keepdims=True)


def logsumexp(x: Any, /, xp: Any) -> Any:
    top = xp.max(x, axis=-1, keepdims=True)
    return xp.squeeze(top, axis=-1) + xp.log(xp.sum(xp.exp(x - top), axis=-1))


def layer_norm(x: Any, scale: Any, shift: Any, *, eps: float = 1e-5, xp: Any) -> Any:
    centred = x - xp.mean(x, axis=-1, keepdims=True)
    return scale * centred / xp.sqrt(xp.var(x, axis=-1, keepdims=True) + eps) + shift


def attention(q: Any, k: Any, v: Any, xp: Any, /) -> Any:
    return softmax(q @ xp.matrix_transpose(k) / q.shape[-1] ** 0.5, xp) @ v


def point(rows: int = 3, columns: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, columns))


@pytest.fixture(autouse=True)
def tensorflow_unchanged() -> Iterator[None]:
    """TensorFlow's NumPy behaviour is for the whole process; nothing here may switch it on."""
    yield
    assert not hasattr(tf.ones(3), "T")
    assert not hasattr(tf.ones(3), "sum")
    with pytest.raises((tf.errors.InvalidArgumentError, ValueError, TypeError)):
        tf.ones(3) + tf.ones(3, tf.float64)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_one_source_agrees_everywhere(name: str) -> None:
    x = point()
    x = np.clip(x, -1.4, 1.4) if name != "acos" else np.tanh(x)
    report = xcheck.crosscheck(FUNCTIONS[name], x, backends=ALL)
    assert report.ok
    assert [row.label for row in report.rows] == ALL
    assert [row.state for row in report.rows] == ["values only", "agree", "agree", "agree"]
    assert not report.notes
    assert min(digits for row in report.rows for digits in row.values.values()) > 11
    assert min(report.rows[1].derivatives[other] for other in ("jax", "tensorflow")) > 10


@pytest.mark.parametrize(
    ("function", "inputs"),
    [
        (shapes, [point()]),
        (softmax, [point(3, 4)]),
        (logsumexp, [point(3, 4)]),
        (layer_norm, [point(2, 5), point(1, 5)[0], point(1, 5, 1)[0]]),
        (attention, [point(3, 4), point(2, 4, 1), point(2, 3, 2)]),
    ],
)
def test_whole_operators_agree_everywhere(function: Written, inputs: list[np.ndarray]) -> None:
    report = xcheck.crosscheck(function, *inputs, backends=ALL)
    assert report.ok
    assert str(report).startswith(f"{function.__name__}, float64")


def test_float32_is_kept() -> None:
    inputs = [x.astype(np.float32) for x in (point(2, 5), point(1, 5)[0], point(1, 5, 1)[0])]
    report = xcheck.crosscheck(layer_norm, *inputs, backends=ALL)
    assert report.ok
    assert not report.notes


def test_measured_slopes_of_numpy_are_as_precise_as_its_numbers() -> None:
    report = xcheck.crosscheck(lambda x, xp: xp.sin(x) * 2.0, np.array([0.3, 1.5], np.float16), backends=ALL)
    assert report.ok


def test_complex_functions_agree_everywhere() -> None:
    x = np.array([1 + 2j, 0.3 - 1j, -2j])
    report = xcheck.crosscheck(lambda x, xp: xp.add(xp.vecdot(x, xp.fft.fft(x)), xp.abs(x)), x, backends=ALL)
    assert report.ok


def test_all_that_are_installed_are_compared_if_none_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    report = xcheck.crosscheck(lambda x, xp: xp.sin(x), np.ones(2))
    assert {row.label for row in report.rows} >= set(ALL)
    found = registry.find_spec
    monkeypatch.setattr(registry, "find_spec", lambda name: None if name == "jax" else found(name))
    report = xcheck.crosscheck(lambda x, xp: xp.sin(x), np.ones(2))
    assert "jax" not in [row.label for row in report.rows]


def test_a_framework_that_is_missing_is_named_and_the_rest_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    found = registry.find_spec
    monkeypatch.setattr(registry, "find_spec", lambda name: None if name == "jax" else found(name))
    report = xcheck.crosscheck(softmax, point(), backends=["torch", "jax", "tensorflow"])
    assert report.rows[-1].state == "not installed"
    assert any("pip install jax" in note for note in report.notes)
    with pytest.raises(ModuleNotFoundError, match="at least two"):
        xcheck.crosscheck(softmax, point(), backends=["torch", "jax"])


def test_inputs_keep_their_names_and_keywords() -> None:
    inputs = [point(2, 5), point(1, 5)[0], point(1, 5, 1)[0]]
    report = xcheck.crosscheck(
        layer_norm, *inputs, backends=["torch", "tensorflow"], kwargs={"eps": 0.5}, wrt=["scale"]
    )
    assert report.ok
    assert any("scale" in line for line in report.reports["torch"].point)
    assert "xp" not in str(report.reports["torch"])


def test_what_is_not_one_function_is_told_from_a_wrong_derivative() -> None:
    def other(x: Any, xp: Any) -> Any:
        return xp.sin(x) + (1e-3 if xp is namespace("jax") else 0.0)

    report = xcheck.crosscheck(other, np.ones(2), backends=["torch", "jax", "numpy"], raises=False)
    assert report.verdict is Verdict.DISAGREE
    assert "jax computes another function" in str(report)


def test_a_name_that_the_shim_lacks_is_told() -> None:
    report = xcheck.crosscheck(lambda x, xp: xp.unique_values(x), np.array([1.0, 2.0]), backends=ALL, raises=False)
    row = next(row for row in report.rows if row.label == "tensorflow")
    assert row.state == "raised AttributeError"
    told = "the TensorFlow namespace has no 'unique_values'; TensorFlow's nearest by name is tf.unique"
    assert f"tensorflow: raised AttributeError: {told}" in report.notes


@pytest.mark.parametrize(
    ("function", "framework", "method"),
    [
        (lambda x, xp: x.T, "tensorflow", "T"),
        (lambda x, xp: x.sum(), "tensorflow", "sum"),
        (lambda x, xp: x.astype(xp.float64), "torch", "astype"),
    ],
)
def test_methods_are_told_from_functions(function: Written, framework: str, method: str) -> None:
    report = xcheck.crosscheck(function, point(), backends=ALL, raises=False)
    told = f"{framework}: raised AttributeError: arrays of {framework} have no {method!r}; call functions of xp"
    assert any(note.startswith(told) for note in report.notes)


@pytest.mark.parametrize(
    ("function", "backends", "error", "message"),
    [
        (np.sin, ALL, TypeError, "one function with a parameter `xp`"),
        (lambda x: x, None, TypeError, "The parameters of <lambda> are: x"),
        (3, ALL, TypeError, "or be one function f\\(x, xp\\) written for any array namespace; given: int"),
        (softmax, "torch", TypeError, "backends must be a list of names, as in .*; given: 'torch'"),
        (softmax, ["torch", 3], TypeError, "backends must be names of backends; given: 3"),
        (softmax, ["torch"], ValueError, "backends must name at least two of .*; given: 'torch'"),
        (softmax, [], ValueError, "backends must name at least two of .*; given: none"),
        (softmax, ["torch", "theano"], ValueError, "backends names 'theano', which is unknown. Accepted: 'jax', "),
        (softmax, ["torch", "jax", "torch"], ValueError, "backends names 'torch' twice"),
        ({"torch": torch.sin, "jax": jax.numpy.sin}, ["torch"], TypeError, "backends= goes with a single function"),
    ],
)
def test_bad_input_is_named(function: Any, backends: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        xcheck.crosscheck(function, np.ones(2), backends=backends)


def test_a_backend_without_a_namespace_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(registry.resolve("jax")), "namespace", None)
    with pytest.raises(ValueError, match="backends names 'jax', which has no array namespace"):
        xcheck.crosscheck(softmax, point(), backends=["torch", "jax"])
    assert "jax" not in [row.label for row in xcheck.crosscheck(softmax, point()).rows]
    with pytest.raises(ValueError, match="the backend 'jax' has no array namespace"):
        namespace("jax")


SHIM: dict[str, Written] = {
    "argmax": lambda x, xp: xp.argmax(x, keepdims=True),
    "argmin": lambda x, xp: xp.argmin(x, axis=1, keepdims=True),
    "argsort": lambda x, xp: xp.argsort(xp.round(x), axis=1, descending=True),
    "sort": lambda x, xp: xp.sort(xp.astype(xp.round(x), xp.int64), axis=1),
    "sum of integers": lambda x, xp: xp.sum(xp.astype(3 * x, xp.int32)),
    "prod": lambda x, xp: xp.prod(x, axis=(0, 1), dtype=xp.float32),
    "count_nonzero": lambda x, xp: xp.count_nonzero(x > 0, axis=0),
    "all": lambda x, xp: xp.all(x > -9, axis=(0, 1)) & xp.any(x > 9),
    "logical": lambda x, xp: xp.logical_xor(xp.isfinite(x), xp.signbit(x)),
    "bitwise": lambda x, xp: xp.bitwise_invert(xp.bitwise_left_shift(xp.asarray([1, 5]), xp.asarray([2, 1]))),
    "clip": lambda x, xp: xp.clip(x, max=0.25),
    "trunc": lambda x, xp: xp.trunc(xp.asarray([3, -2])),
    "concat": lambda x, xp: xp.concat([x, x], axis=None),
    "cumulative": lambda x, xp: xp.cumulative_prod(x[0, :], include_initial=True),
    "creation": lambda x, xp: xp.linspace(0, 1, 5) + xp.arange(5.0) + xp.full(5, 2.0) + xp.zeros(5) + xp.ones(5),
    "finfo": lambda x, xp: x * float(xp.finfo(x.dtype).eps) + xp.iinfo(xp.int32).max,
    "isdtype": lambda x, xp: xp.asarray([xp.isdtype(x.dtype, k) for k in ("real floating", xp.float64, "integral")]),
    "can_cast": lambda x, xp: xp.asarray([xp.can_cast(x.dtype, xp.float32), xp.can_cast(xp.int8, x.dtype)]),
    "broadcast_shapes": lambda x, xp: xp.zeros(xp.broadcast_shapes((3, 1), (2,))),
    "meshgrid": lambda x, xp: xp.meshgrid(x[0, :], x[:, 0], indexing="ij")[1],
    "searchsorted": lambda x, xp: xp.searchsorted(xp.sort(x[0, :]), x[1, :]),
    "repeat": lambda x, xp: xp.tile(xp.repeat(x, 2, axis=0), (1, 2)),
    "rounded": lambda x, xp: (
        xp.round(4 * x) + xp.ceil(x) + xp.floor(x) + xp.trunc(x) * xp.floor(xp.asarray([1.0, 2.0, 3.0]))
    ),
    "tests": lambda x, xp: xp.isnan(x) | xp.isinf(x * xp.inf) & xp.isfinite(xp.astype(x, xp.complex128)),
    "promoted": lambda x, xp: xp.logaddexp(x, xp.hypot(xp.astype(x, xp.float32), 2.0)),
    "solve, batched": lambda x, xp: xp.linalg.solve(xp.stack([x, 2 * x]), x),
    "flip": lambda x, xp: xp.add(xp.flip(x, axis=(0, 1)), xp.linspace(0, 1, 3, dtype=xp.float32)),
    "rfftn": lambda x, xp: xp.fft.irfftn(xp.fft.rfftn(x, axes=(0, 1)) ** 2, s=(3, 3), axes=(0, 1)),
    "constants": lambda x, xp: x[xp.newaxis, :] * xp.pi + xp.e,
    "eigh": lambda x, xp: xp.linalg.eigh(x + xp.matrix_transpose(x)).eigenvalues,
    "qr": lambda x, xp: xp.abs(xp.linalg.qr(x[:, :2], mode="complete").Q),
    "svd": lambda x, xp: xp.abs(xp.linalg.svd(x[:, :2]).U),
    "svd, reduced": lambda x, xp: xp.abs(xp.linalg.svd(x[:, :2], full_matrices=False).Vh),
    "slogdet": lambda x, xp: xp.linalg.slogdet(x).sign,
    "solve": lambda x, xp: xp.linalg.solve(x, x**2),
    "upper": lambda x, xp: xp.linalg.cholesky(x @ xp.matrix_transpose(x), upper=True),
    "matrix_rank": lambda x, xp: xp.linalg.matrix_rank(xp.linalg.outer(x[:, 0], x[:, 1])),
    "matrix_power": lambda x, xp: xp.linalg.matrix_power(x, -2),
    "fftfreq": lambda x, xp: xp.fft.fftshift(xp.fft.fftfreq(5, d=0.5)),
    "rfftfreq": lambda x, xp: xp.fft.ifftshift(xp.fft.rfftfreq(5)),
    "ifftn": lambda x, xp: xp.fft.ifftn(xp.astype(x, xp.complex128), s=(4, 2), axes=(0, 1), norm="ortho"),
    "irfft, odd": lambda x, xp: xp.fft.irfft(xp.astype(x, xp.complex128), n=5, axis=0),
}
SHIM |= {f"matrix_norm {k}": lambda x, xp, k=k: xp.linalg.matrix_norm(x, ord=k, keepdims=True) for k in ("nuc", "fro")}
SHIM |= {f"matrix_norm {k}": lambda x, xp, k=k: xp.linalg.matrix_norm(x, ord=k) for k in (1, -1, 2, -2)}
SHIM |= {f"vector_norm {k}": lambda x, xp, k=k: xp.linalg.vector_norm(x, ord=k) for k in (0, 1, 2, 3, float("inf"))}
"""What the shim does by itself, and calls that are not differentiable."""


SINGLE = ("prod", "promoted", "flip")


@pytest.mark.parametrize("name", SHIM)
def test_the_shim_computes_what_numpy_does(name: str) -> None:
    x = point()
    ours = np.asarray(SHIM[name](tf.constant(x), namespace("tensorflow")))
    theirs = np.asarray(SHIM[name](x, namespace("numpy")))
    assert ours.shape == theirs.shape
    assert ours.dtype.kind == theirs.dtype.kind
    np.testing.assert_allclose(ours, theirs, rtol=1e-6 if name in SINGLE else 1e-12, atol=1e-14)


def test_the_shim_says_what_it_does_not_take() -> None:
    xp = namespace("tensorflow")
    x = tf.constant(point())
    with pytest.raises(ValueError, match="axis= must be given for an array of 2 axes"):
        xp.cumulative_sum(x)
    with pytest.raises(ValueError, match="norm='unitary' is unknown"):
        xp.fft.rfft(x, norm="unitary")
    with pytest.raises(ValueError, match="mode='full' is unknown"):
        xp.linalg.qr(x, mode="full")
    for function, name in ((lambda: xp.from_dlpack, "from_dlpack"), (lambda: xp.fft.hfft, "fft.hfft")):
        with pytest.raises(AttributeError, match=f"the TensorFlow namespace has no '{name}'"):
            function()
