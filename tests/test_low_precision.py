"""Claims of lower precision than float64: errors in ulps, and kernels beside a float64 implementation."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import xcheck
from xcheck import Verdict
from xcheck.ulps import figure, ulp_of

DTYPES = ["float32", "float16", "bfloat16"]
MISTAKES = {"float32": 1.01, "float16": 1.02, "bfloat16": 1.05}


def kernel(
    torch: Any, dtype: str, value: Callable[[Any], Any], slope: Callable[[Any], Any], factor: float = 1.0
) -> Any:
    """An elementwise operator that exists in one dtype only, and whose gradient is off by a factor."""

    class Kernel(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            if x.dtype != getattr(torch, dtype):
                raise TypeError(f"no kernel for {x.dtype}")
            ctx.save_for_backward(x)
            return value(x)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return factor * slope(ctx.saved_tensors[0]) * g

    return Kernel.apply


def composed(torch: Any, dtype: str, f: Callable[[Any], Any], factor: float = 1.0) -> Any:
    """A function of one dtype, every operation of which rounds; its derivative is the framework's, off by a factor."""

    class Scaled(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x.clone()

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return factor * g

    def only(x: Any) -> Any:
        if x.dtype != getattr(torch, dtype):
            raise TypeError(f"no kernel for {x.dtype}")
        return f(Scaled.apply(x))

    return only


def point(torch: Any, dtype: str, n: int = 7, seed: int = 0) -> Any:
    return (1.5 * torch.randn(n, generator=torch.Generator().manual_seed(seed))).to(getattr(torch, dtype))


def compositions(torch: Any) -> dict[str, tuple[Any, Any]]:
    functional = torch.nn.functional

    def softmax(x: Any) -> Any:
        e = torch.exp(x - x.max())
        return e / e.sum()

    def layer_norm(x: Any) -> Any:
        centred = x - x.mean()
        return centred / torch.sqrt((centred * centred).mean() + 1e-5)

    def attention(x: Any) -> Any:
        e = torch.exp(x[:, None] * x[None])
        return ((e / e.sum(1, keepdim=True)) * x[None]).sum(1)

    return {
        "softmax": (softmax, lambda x: torch.softmax(x, 0)),
        "layer_norm": (layer_norm, lambda x: functional.layer_norm(x, x.shape)),
        "silu": (lambda x: x / (1 + torch.exp(-x)), functional.silu),
        "gelu": (lambda x: 0.5 * x * (1 + torch.erf(x / 2**0.5)), functional.gelu),
        "cumprod": (lambda x: torch.stack([torch.prod(x[: i + 1]) for i in range(len(x))]), lambda x: x.cumprod(0)),
        "attention": (attention, attention),
        "steep": (lambda x: torch.exp(torch.sin(3 * x)) * x, lambda x: torch.exp(torch.sin(3 * x)) * x),
    }


# Kernels beside a reference


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_right_kernel_agrees_and_a_mistake_is_found(torch: Any, dtype: str) -> None:
    for seed in range(3):
        x = point(torch, dtype, seed=seed)
        for name, (f, reference) in compositions(torch).items():
            report = xcheck.check(composed(torch, dtype, f), x, reference=reference, raises=False)
            assert report.ok, (name, str(report))
            wrong = composed(torch, dtype, f, MISTAKES[dtype])
            report = xcheck.check(wrong, x, reference=reference, raises=False)
            assert report.verdict is Verdict.DISAGREE, (name, str(report))


@pytest.mark.parametrize("dtype", DTYPES)
def test_no_right_kernel_is_called_wrong_at_any_scale(torch: Any, dtype: str) -> None:
    cases = {
        "tanh": (lambda x: (torch.exp(2 * x) - 1) / (torch.exp(2 * x) + 1), torch.tanh),
        "softplus": (lambda x: torch.log(1 + torch.exp(x)), torch.nn.functional.softplus),
        "variance": (lambda x: (x * x).mean() - x.mean() ** 2, lambda x: x.var(unbiased=False)),
        **compositions(torch),
    }
    points = [point(torch, dtype) * scale for scale in (1e-2, 0.3, 3.0)]
    points += [torch.full((5,), 3.0, dtype=getattr(torch, dtype)), torch.linspace(2.9, 3.1, 5).to(points[0].dtype)]
    for name, (f, reference) in cases.items():
        for x in points:
            report = xcheck.check(composed(torch, dtype, f), x, reference=reference, raises=False)
            assert report.verdict is not Verdict.DISAGREE, (name, x, str(report))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("sx", "sf"), [(1.0, 1.0), (2.0**-10, 2.0**-10), (2.0**6, 2.0**6)])
def test_scaling_a_kernel_changes_no_verdict(torch: Any, dtype: str, sx: float, sf: float) -> None:
    x = torch.tensor([0.5, 1.25, 2.0, -3.0, 0.7], dtype=getattr(torch, dtype)) * sx
    for factor, verdict in ((1.0, Verdict.AGREE), (MISTAKES[dtype], Verdict.DISAGREE), (0.0, Verdict.DISAGREE)):
        f = kernel(torch, dtype, lambda x: sf * torch.sin(x / sx), lambda x: sf / sx * torch.cos(x / sx), factor)
        report = xcheck.check(f, x, reference=lambda x: sf * torch.sin(x / sx), raises=False)
        assert report.verdict is verdict, (factor, str(report))


def test_a_mistake_below_the_dtype_s_resolution_is_not_claimed_and_the_limit_says_so(torch: Any) -> None:
    x = torch.tensor([0.5, 1.25, 2.0, -3.0, 0.1], dtype=torch.bfloat16)
    report = xcheck.check(kernel(torch, "bfloat16", torch.sin, torch.cos, 1.01), x, reference=torch.sin, raises=False)
    assert report.ok
    assert report.comparisons[0].relative_limit > 0.01
    assert report.comparisons[0].ulps.worst > 1


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_wrong_entry_is_named(torch: Any, dtype: str) -> None:
    def slope(x: Any) -> Any:
        cos = torch.cos(x)
        cos[3] *= 1.2
        return cos

    x = torch.tensor([0.5, 1.25, 2.0, -3.0, 0.1], dtype=getattr(torch, dtype))
    report = xcheck.check(kernel(torch, dtype, torch.sin, slope), x, reference=torch.sin, raises=False)
    assert report.verdict is Verdict.DISAGREE
    assert report.comparisons[0].wrong == 1
    assert report.comparisons[0].worst[0].name == "d out[3] / d x[3]"


def test_the_kernel_s_error_is_compared_with_the_framework_s_own(torch: Any) -> None:
    x = point(torch, "float16")
    f, reference = compositions(torch)["softmax"]
    (note,) = xcheck.check(composed(torch, "float16", f), x, reference=reference).comparisons[0].notes
    found = re.fullmatch(
        r"error of torch/vjp: (\S+) ulp at worst, (\S+) in the median; "
        r"of the reference's own rule in float16: (\S+) and (\S+)",
        note,
    )
    worst, median, own_worst, own_median = map(float, found.groups())
    assert 0 < own_median <= median <= worst < 20
    assert own_worst <= worst


def test_ulps_are_those_of_the_exact_derivative(torch: Any) -> None:
    for dtype, bits in (("float32", 24), ("float16", 11), ("bfloat16", 8)):
        x = point(torch, dtype, n=40)
        ulps = xcheck.check(kernel(torch, dtype, torch.sin, torch.cos), x, reference=torch.sin).comparisons[0].ulps
        exact = np.cos(x.double().numpy())
        error = np.abs(torch.cos(x).double().numpy() - exact) / ulp_of(exact, bits)
        assert ulps.resolved
        assert ulps.entries == ulps.total == 40
        assert ulps.worst == pytest.approx(np.max(error), abs=0.02)
        assert ulps.median == pytest.approx(np.median(error), abs=0.02)


def test_a_common_factor_is_told_from_rounding(torch: Any) -> None:
    f, reference = compositions(torch)["attention"]
    x = point(torch, "bfloat16")
    report = xcheck.check(composed(torch, "bfloat16", f, 1.05), x, reference=reference, raises=False)
    assert report.verdict is Verdict.DISAGREE
    assert any("times the reference in the median of" in note for note in report.comparisons[0].notes)


# Another function is not a wrong derivative


def test_a_kernel_that_computes_another_function_is_inconclusive(torch: Any) -> None:
    gelu = torch.nn.functional.gelu
    x = torch.tensor([0.5, 1.25, 2.0, -3.0, 0.1])
    report = xcheck.check(
        kernel(torch, "float32", gelu, torch.cos), x, reference=lambda x: gelu(x, approximate="tanh"), raises=False
    )
    assert report.verdict is Verdict.INCONCLUSIVE
    (comparison,) = report.comparisons
    assert comparison.quantity == "value"
    assert comparison.reason.startswith("Kernel and reference= are not the same function: out[")
    entry = comparison.worst[0]
    assert f"{entry.name} is {entry.claimed:.9g} by Kernel and {entry.measured:.9g} by reference=" in comparison.reason
    assert any(line.startswith("all derivatives: ") for line in report.unchecked)
    with pytest.raises(xcheck.InconclusiveError, match="not the same function"):
        xcheck.check(kernel(torch, "float32", gelu, torch.cos), x, reference=torch.sin)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_condition_of_the_function_counts(torch: Any, dtype: str) -> None:
    # 40 sin(40 x) - x: what a rounding of 40 x does to the value is 40 times what it does to x
    x = torch.tensor([1.1, 2.3, -0.7], dtype=getattr(torch, dtype))
    f = kernel(torch, dtype, lambda x: torch.sin(40 * x), lambda x: 40 * torch.cos(40 * x))
    report = xcheck.check(f, x, reference=lambda x: torch.sin(40 * x), raises=False)
    assert report.comparisons[0].quantity != "value", str(report)
    assert report.verdict is not Verdict.DISAGREE


def test_overflow_is_named_as_a_possible_cause(torch: Any) -> None:
    x = torch.tensor([300.0, 1.0], dtype=torch.float16)
    f = kernel(torch, "float16", lambda x: x * x, lambda x: 2 * x)
    report = xcheck.check(f, x, reference=lambda x: x * x, raises=False)
    assert "out[0] is inf by Kernel and 90000 by reference=, unless float16 overflows" in report.comparisons[0].reason


# What does not fit is explained


def test_a_reference_that_does_not_fit_is_refused_with_both_sides_named(torch: Any) -> None:
    x, f = torch.ones(3), kernel(torch, "float32", torch.sin, torch.cos)
    with pytest.raises(TypeError, match=r"reference= must be a function.*given: Tensor of shape \(3,\)"):
        xcheck.check(f, x, reference=torch.sin(x))
    with pytest.raises(
        ValueError, match=r"must return what Kernel returns: out of shape \(3,\).*given: out of shape \(\)"
    ):
        xcheck.check(f, x, reference=lambda x: x.sum())
    with pytest.raises(
        ValueError, match="must compute in float64, but for float64 inputs it returned out of dtype float32"
    ):
        xcheck.check(f, x, reference=lambda x: torch.sin(x.float()))
    with pytest.raises(TypeError) as wrong:
        xcheck.check(f, x, reference=lambda x, y: x)
    assert any("reference= is called exactly as Kernel is" in note for note in wrong.value.__notes__)


def test_a_reference_gets_constants_and_keywords_in_float64(torch: Any) -> None:
    seen = []

    def reference(x: Any, n: Any, scale: Any, *, shift: Any) -> Any:
        seen.append((x.dtype, n, scale.dtype, shift.dtype))
        return scale * x**n + shift

    def low(x: Any, n: Any, scale: Any, *, shift: Any) -> Any:
        assert x.dtype == torch.float32
        return scale * x**n + shift

    two = torch.tensor(2.0)
    assert xcheck.check(low, torch.ones(3), 2, two, kwargs={"shift": two}, wrt="x", reference=reference).ok
    assert (torch.float64, 2, torch.float64, torch.float64) in seen


def test_modules_have_modules_for_reference(torch: Any) -> None:
    class Low(torch.nn.Linear):
        def forward(self, x: Any) -> Any:
            assert x.dtype == torch.float32
            return super().forward(x)

    x, low = torch.ones(2), Low(2, 3)
    assert xcheck.check(low, x, reference=torch.nn.Linear(2, 3)).ok
    with pytest.raises(TypeError, match="Low is a module, so reference= must be a module with the same parameters"):
        xcheck.check(low, x, reference=lambda x: x)
    with pytest.raises(ValueError, match="module with the parameters of Low, bias, weight; given: weight"):
        xcheck.check(low, x, reference=torch.nn.Linear(2, 3, bias=False))


def test_hand_written_gradients_have_references_too() -> None:
    x = np.array([0.5, -1.25, 2.0, 0.1], np.float32)

    def low(x: Any) -> Any:
        assert x.dtype == np.float32
        return np.sin(x)

    report = xcheck.check(low, x, diagonal=np.cos, reference=np.sin)
    assert report.comparisons[0].ulps.worst < 1
    report = xcheck.check(low, x, diagonal=lambda x: np.float32(1.01) * np.cos(x), reference=np.sin, raises=False)
    assert report.verdict is Verdict.DISAGREE


def test_jax_kernels_have_references(jax: Any) -> None:
    jnp = jax.numpy

    def make(factor: float) -> Any:
        @jax.custom_vjp
        def low(x: Any) -> Any:
            if x.dtype != jnp.bfloat16:
                raise TypeError("bfloat16 only")
            return jnp.sin(x)

        low.defvjp(lambda x: (low(x), x), lambda x, g: ((factor * jnp.cos(x) * g).astype(x.dtype),))
        return low

    x = jnp.array([0.5, 1.25, 2.0, -3.0, 0.7], jnp.bfloat16)
    report = xcheck.check(make(1.0), x, reference=jnp.sin)
    assert "of the reference's own rule in bfloat16" in report.comparisons[0].notes[0]
    assert xcheck.check(make(1.05), x, reference=jnp.sin, raises=False).verdict is Verdict.DISAGREE


def test_a_reference_that_does_not_run_in_the_kernel_s_dtype_is_still_a_reference(torch: Any) -> None:
    def reference(x: Any) -> Any:
        assert x.dtype == torch.float64
        return torch.sin(x)

    x = point(torch, "float32")
    report = xcheck.check(kernel(torch, "float32", torch.sin, torch.cos), x, reference=reference)
    assert "gives nothing to compare with in float32" in report.comparisons[0].notes[0]
    wrong = kernel(torch, "float32", torch.sin, torch.cos, 1.01)
    assert xcheck.check(wrong, x, reference=reference, raises=False).verdict is Verdict.DISAGREE


def test_large_problems_have_references(torch: Any) -> None:
    x = point(torch, "float32", n=50)
    for factor, verdict in ((1.0, Verdict.AGREE), (1.01, Verdict.DISAGREE)):
        f = kernel(torch, "float32", torch.sin, torch.cos, factor)
        report = xcheck.check(
            lambda x, f=f: f(x).sum(), x, reference=lambda x: torch.sin(x).sum(), budget=1, raises=False
        )
        assert report.comparisons[0].method == "probes"
        assert report.verdict is verdict, str(report)


# Without a reference


def test_every_claim_of_low_precision_has_its_error_in_ulps(torch: Any, jax: Any, tf: Any) -> None:
    x = np.array([0.5, 1.25, 2.0, -3.0, 0.7], np.float32)
    for f, backend in ((torch.sin, "torch"), (jax.numpy.sin, "jax"), (tf.sin, "tensorflow")):
        for comparison in xcheck.check(f, x, backend=backend).comparisons[:2]:
            assert comparison.ulps.worst < 1
            assert comparison.notes[0].startswith(f"error of {comparison.claim.source}: 0.")
    report = xcheck.check(np.sin, x, diagonal=np.cos)
    assert report.comparisons[0].ulps.worst < 1
    assert xcheck.check(np.sin, x.astype(float), diagonal=np.cos).comparisons[0].ulps is None


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_kernel_by_itself_gets_what_its_values_allow(torch: Any, dtype: str) -> None:
    x = torch.tensor([0.5, 1.25, 2.0, -3.0, 0.7], dtype=getattr(torch, dtype))
    report = xcheck.check(kernel(torch, dtype, torch.sin, torch.cos), x)
    share = {"float32": "0.01 %", "float16": "2 %", "bfloat16": "10 %"}[dtype]
    assert any(f"whose values resolve {share} of a slope at best" in note for note in report.notes)
    ulps = report.comparisons[0].ulps
    assert not ulps.resolved
    assert "at most" in report.comparisons[0].notes[0]
    report = xcheck.check(kernel(torch, dtype, torch.sin, torch.cos, 1.5), x, raises=False)
    assert report.verdict is Verdict.DISAGREE


def test_modes_that_rounding_parts_are_compared_in_float64(torch: Any) -> None:
    def tanh(x: Any) -> Any:
        e = torch.exp(2 * x)
        return (e - 1) / (e + 1)

    report = xcheck.check(tanh, torch.linspace(2.9, 3.1, 7).half())
    assert any("compared in float64" in note for note in report.comparisons[-1].notes)


def test_figures_of_ulps() -> None:
    assert [figure(x) for x in (0.001, 0.27, 3.14, 99.4, 150.2, 2e7)] == ["0", "0.27", "3.1", "99", "150", "2e+07"]
    np.testing.assert_array_equal(
        ulp_of(np.array([1.0, 1.99, -2.0, 0.0, 1e-8]), 11), [2.0**-10, 2.0**-10, 2.0**-9, 2.0**-24, 2.0**-24]
    )


def test_a_reference_excludes_a_witness_and_a_second_order() -> None:
    x = np.ones(2)
    with pytest.raises(ValueError, match="witness= or reference=, not both"):
        xcheck.check(np.sin, x, diagonal=np.cos, reference=np.sin, witness=np.sin)
    with pytest.raises(ValueError, match="order=2 takes no reference="):
        xcheck.check(np.sin, x, reference=np.sin, order=2)


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, Verdict.AGREE), (1.1, Verdict.DISAGREE)])
def test_a_rule_that_does_not_run_in_float64_is_judged_in_its_own_dtype(
    tf: Any, factor: float, verdict: Verdict
) -> None:
    weights = tf.constant(factor * np.ones(4), tf.float32)

    @tf.custom_gradient
    def squares(x: Any) -> Any:
        return tf.reduce_sum(x**2), lambda g: 2 * x * g * weights

    for x in (
        [0.0016122470842674375, 1.1358791589736938, 0.4675913155078888, -1.9305380582809448],
        [0.3, -1.0, 2.0, 0.7],
    ):
        assert xcheck.check(squares, tf.constant(x, tf.float32), raises=False).verdict is verdict
