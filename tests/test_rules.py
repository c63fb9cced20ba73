"""Rules that are right for unit vectors and no derivatives all the same, and right ones that look odd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import xcheck
from xcheck.verdict import Verdict

torch = pytest.importorskip("torch")
jax = pytest.importorskip("jax")

AGREE, DISAGREE = Verdict.AGREE, Verdict.DISAGREE
X = np.random.default_rng(0).normal(size=(3, 4))
DTYPES = ("float64", "float32", "bfloat16", "float16")


def operator(forward: Callable[..., Any], backward: Callable[..., Any]) -> Callable[..., Any]:
    """Make a custom operator of torch from `forward(x)` and `backward(x, cotangent)`."""

    class Operator(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return forward(x)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return backward(ctx.saved_tensors[0], g)

    return Operator.apply


def check(f: Callable[..., Any], *xs: Any, **options: Any) -> xcheck.Report:
    return xcheck.check(f, *xs, raises=False, **options)


def fault(report: xcheck.Report) -> Any:
    """Return the comparison that a rule failed; every other one has to agree."""
    assert report.verdict is DISAGREE, str(report)
    wrong = [c for c in report.comparisons if c.verdict is DISAGREE]
    assert len(wrong) == 1, str(report)
    return wrong[0]


NONLINEAR = {
    "clipped at 1": lambda x, g: g.clamp(-1, 1),
    "clipped at 10": lambda x, g: g.clamp(-10, 10),
    "its sign": lambda x, g: g.sign(),
    "normalised": lambda x, g: g / g.norm(),
    "guided": lambda x, g: g.clamp(min=0),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NONLINEAR)
def test_a_backward_that_is_not_linear_is_found(name: str, dtype: str) -> None:
    rule = operator(lambda x: x.clone(), NONLINEAR[name])
    x = torch.tensor(X).to(getattr(torch, dtype))
    for point in (x, x[0], x[0, 0]):
        wrong = fault(check(rule, point))
        assert wrong.claim.source == "torch/vjp"
        assert "not linear in its cotangent" in wrong.reason


@pytest.mark.parametrize("scale", [1.0, 1e3, 1e-3])
def test_the_size_of_the_function_around_a_clipped_gradient_does_not_matter(scale: float) -> None:
    rule = operator(lambda x: x.clone(), NONLINEAR["clipped at 10"])
    x = torch.tensor(X)
    for f in (lambda x: scale * rule(x) ** 2, lambda x: scale * (rule(x) ** 2).sum()):
        assert check(f, x).verdict is DISAGREE


def test_a_backward_that_drops_what_is_small_is_found() -> None:
    rule = operator(lambda x: 2 * x, lambda x, g: torch.where(g.abs() < 1e-5, 0.0, 2 * g))
    assert "from 9.536743e-07 times a cotangent" in fault(check(rule, torch.tensor(X))).worst[0].name


def test_a_backward_that_keeps_only_the_largest_is_found() -> None:
    rule = operator(lambda x: 2 * x, lambda x, g: torch.where(g.abs() >= 0.5 * g.abs().max(), 2 * g, 0.0))
    assert fault(check(rule, torch.tensor(X))).reference.source == "its own sums"


def test_a_clipped_gradient_of_very_many_inputs_is_found() -> None:
    rule = operator(lambda x: x.clone(), NONLINEAR["clipped at 10"])
    report = check(lambda x: rule(x).sum(), torch.tensor(X), budget=10)
    assert "not linear" in fault(report).reason
    assert report.comparisons[0].method == "probes"


def test_a_forward_rule_that_is_not_linear_is_found() -> None:
    @jax.custom_jvp
    def f(x: Any) -> Any:
        return 1.0 * x

    f.defjvp(lambda primals, tangents: (1.0 * primals[0], jax.numpy.clip(tangents[0], -1, 1)))
    for x in (X[0], X[0, 0], X.ravel()):
        wrong = fault(check(f, x, backend="jax"))
        assert wrong.claim.source == "jax/jvp"
        assert "not linear in its tangent" in wrong.reason


def test_a_clipped_gradient_of_jax_is_found() -> None:
    @jax.custom_vjp
    def f(x: Any) -> Any:
        return 1.0 * x

    f.defvjp(lambda x: (1.0 * x, None), lambda _, g: (jax.numpy.clip(g, -1, 1),))
    for x in (X, X[0, 0], X.astype(np.float32)):
        assert "not linear" in fault(check(f, x, backend="jax")).reason


def test_a_clipped_gradient_of_tensorflow_is_found() -> None:
    tf = pytest.importorskip("tensorflow")

    @tf.custom_gradient
    def f(x: Any) -> Any:
        return tf.identity(x), lambda g: tf.clip_by_value(g, -1.0, 1.0)

    for x in (X[0], X[0, 0]):
        report = check(f, tf.constant(x))
        assert any("not linear in its cotangent" in c.reason for c in report.comparisons), str(report)


def equilibrium(tolerance: float) -> Callable[..., Any]:
    """Make `z = tanh(z W + x)`; both directions iterate until a step is below `tolerance`, and raise if none is."""
    weights = torch.tensor(np.random.default_rng(1).normal(size=(4, 4)) / 6)

    def solve(step: Callable[[Any], Any], z: Any) -> Any:
        for _ in range(1000):
            before, z = z, step(z)
            if (z - before).abs().max() < tolerance:
                return z
        raise RuntimeError("it does not end")

    def forward(x: Any) -> Any:
        return solve(lambda z: torch.tanh(z @ weights.to(x.dtype) + x), torch.zeros_like(x))

    def backward(x: Any, g: Any) -> Any:
        slopes = 1 - forward(x) ** 2
        return slopes * solve(lambda u: g + (slopes * u) @ weights.to(x.dtype).T, g)

    return operator(forward, backward)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("float32", 1e-5), ("float64", 1e-12)])
@pytest.mark.parametrize("seed", range(4))
def test_a_backward_that_iterates_to_a_tolerance_ends_and_is_linear(dtype: str, tolerance: float, seed: int) -> None:
    x = torch.tensor(np.random.default_rng(seed).normal(size=(3, 4))).to(getattr(torch, dtype))
    report = check(equilibrium(tolerance), x)
    assert not any("raises" in note for note in report.notes), str(report)
    assert [c.quantity for c in report.comparisons] == ["Jacobian"]


def test_a_backward_that_raises_for_large_cotangents_is_told() -> None:
    def backward(x: Any, g: Any) -> Any:
        if g.abs().max() > 100:
            raise OverflowError("too large")
        return 2 * x * g

    report = check(operator(lambda x: x**2, backward), torch.tensor(X))
    assert report.ok
    assert any("torch/vjp raises OverflowError for some cotangents: too large" in note for note in report.notes)


@pytest.mark.parametrize("dtype", DTYPES[:2])
def test_a_matrix_exponential_that_squares_more_often_for_large_cotangents_is_right(dtype: str) -> None:
    for seed in range(4):
        x = torch.tensor(np.random.default_rng(seed).normal(size=(4, 4))).to(getattr(torch, dtype))
        assert check(torch.linalg.matrix_exp, x).verdict is not DISAGREE


def test_a_given_gradient_may_differ_by_what_an_iteration_leaves() -> None:
    calls = []

    def gradient(x: Any) -> Any:
        calls.append(0)
        return np.cos(x) * (1 + 1e-12 * len(calls))

    assert check(lambda x: np.sum(np.sin(x)), X[0], gradient=gradient).ok


RIGHT = {
    "large": lambda x: 1e150 * torch.sin(x),
    "small": lambda x: 1e-150 * torch.sin(x),
    "subnormal": lambda x: 1e-310 * x,
    "small on the way": lambda x: (1e-150 * x) ** 2 * 1e300,
    "large on the way": lambda x: 1e-300 * (1e300 * x),
    "an integer power": lambda x: x**7,
    "masked": lambda x: torch.where(x > 0, torch.sqrt(x), 0.0),
    "a matrix exponential": lambda x: torch.matrix_exp(x[:, :3]),
    "complex": lambda x: torch.view_as_real(torch.exp(1j * x)),
    "cancelling": lambda x: (x + 1e9) - 1e9,
    "a softmax of tails": lambda x: torch.softmax(300 * x, 0),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_rules_of_odd_sizes_are_linear(name: str) -> None:
    for x in (torch.tensor(X), torch.tensor(X)[:, ::2].contiguous()):
        if name == "a matrix exponential" and x.shape[1] < 3:
            continue
        report = check(RIGHT[name], x)
        assert report.verdict is not DISAGREE or name == "masked", str(report)  # torch's own NaN
        assert not any(c.quantity in ("pullback", "pushforward", "value", "cotangent") for c in report.comparisons)


@pytest.mark.parametrize("scale", [1e30, 1e-30, 1e-36, 1e-42])
def test_right_rules_in_float32_may_leave_its_range_on_the_way(scale: float) -> None:
    x = torch.tensor(X, dtype=torch.float32)
    for f in (lambda x: scale * torch.sin(x), lambda x: scale * (x * 0.5)):
        assert check(f, x).verdict is not DISAGREE


@pytest.mark.parametrize("dtype", DTYPES)
def test_common_operators_are_linear_in_every_dtype(dtype: str) -> None:
    x = torch.tensor(X).to(getattr(torch, dtype))
    for f in (
        torch.sin,
        lambda x: torch.softmax(x, 1),
        lambda x: torch.nn.functional.layer_norm(x, (4,)),
        torch.cumsum,
    ):
        g = (lambda x: torch.cumsum(x, 0)) if f is torch.cumsum else f
        report = check(g, x)
        assert not any(c.quantity in ("pullback", "pushforward", "value") for c in report.comparisons), str(report)


def test_a_backward_that_ignores_strides_is_found() -> None:
    def backward(x: Any, g: Any) -> Any:
        return 3 * torch.as_strided(g, g.shape, torch.empty(g.shape).stride()).clone()

    rule = operator(lambda x: 3 * x, backward)
    for x in (torch.tensor(X), torch.tensor(X[0])):
        assert "lies in memory" in fault(check(rule, x)).reason


def test_a_backward_that_refuses_strides_is_told() -> None:
    rule = operator(lambda x: x**2, lambda x, g: (g.view(-1) * 2 * x.reshape(-1)).view(x.shape))
    report = check(rule, torch.tensor(X))
    assert report.ok
    assert any("not contiguous in memory: view size is not compatible" in note for note in report.notes)


@pytest.mark.parametrize("shape", [(3, 4), (4,), ()])
def test_a_backward_that_changes_its_cotangent_is_found(shape: tuple[int, ...]) -> None:
    rule = operator(lambda x: x**2, lambda x, g: g.mul_(2) * x)
    x = torch.tensor(np.resize(X, shape))
    wrong = fault(check(rule, x))
    assert wrong.quantity == "cotangent"
    assert wrong.worst[0].ratio == 2


def test_a_backward_that_changes_from_call_to_call_is_found() -> None:
    calls = []

    def backward(x: Any, g: Any) -> Any:
        calls.append(0)
        return 2 * x * g * (1 + len(calls) % 2)

    assert check(operator(lambda x: x**2, backward), torch.tensor(X)).verdict is DISAGREE


def test_the_value_that_a_forward_rule_returns_is_compared() -> None:
    @jax.custom_jvp
    def f(x: Any) -> Any:
        return jax.numpy.sin(x)

    f.defjvp(lambda p, t: (jax.numpy.sin(1.1 * p[0]), jax.numpy.cos(p[0]) * t[0]))
    report = check(f, X[0], backend="jax")
    wrong = [c for c in report.comparisons if c.verdict is DISAGREE]
    assert [c.claim.source for c in wrong] == ["jax/vjp", "jax/jvp"]
    assert "differentiating f changes its value: out[" in wrong[0].reason


def test_the_value_that_a_backward_rule_keeps_is_compared() -> None:
    @jax.custom_vjp
    def f(x: Any) -> Any:
        return jax.numpy.sin(x)

    f.defvjp(lambda x: (1.1 * jax.numpy.sin(x), x), lambda x, g: (g * jax.numpy.cos(x),))
    for g, options in ((f, {}), (lambda x: f(x).sum(), {"budget": 10})):
        report = check(g, X[0], backend="jax", **options)
        assert any(c.quantity == "value" for c in report.comparisons), str(report)


def test_a_value_that_is_only_rounded_otherwise_is_the_same() -> None:
    @jax.custom_vjp
    def f(x: Any) -> Any:
        return jax.numpy.log(jax.numpy.sum(jax.numpy.exp(x)))

    def forward(x: Any) -> Any:
        return jax.nn.logsumexp(x), x

    f.defvjp(forward, lambda x, g: (g * jax.nn.softmax(x),))
    assert check(f, X.ravel(), backend="jax").ok
    assert not any(c.quantity == "value" for c in check(f, X.ravel().astype(np.float32), backend="jax").comparisons)


class Stateful:
    """A derivative of sin that is right until it has been called `right` times."""

    def __init__(self, right: int) -> None:
        self.right = right

    def __call__(self, x: Any, w: Any = 1.0) -> Any:
        self.right -= 1
        return w * np.cos(x) * (1.0 if self.right >= 0 else 1.1)


@pytest.mark.parametrize("kind", ["gradient", "jacobian", "diagonal", "vjp", "jvp"])
def test_a_given_derivative_that_changes_is_found(kind: str) -> None:
    x = X[0]
    slope = Stateful(4 if kind in ("vjp", "jvp") else 1)
    given = (lambda x: np.diag(slope(x))) if kind == "jacobian" else slope
    f = (lambda x: np.sum(np.sin(x))) if kind == "gradient" else np.sin
    assert "different values for the same inputs" in fault(check(f, x, **{kind: given})).reason


def test_a_given_derivative_may_read_what_the_function_kept() -> None:
    kept = {}

    def f(x: Any) -> Any:
        kept["x"] = x.copy()
        return np.sin(x)

    assert check(f, X[0], diagonal=lambda _: np.cos(kept["x"])).ok
    assert check(f, X[0], vjp=lambda _, w: w * np.cos(kept["x"])).ok


@pytest.mark.parametrize("kind", ["vjp", "jvp"])
def test_a_given_product_that_is_not_linear_is_found(kind: str) -> None:
    report = check(np.sin, X[0], **{kind: lambda x, w: np.clip(w, -1, 1) * np.cos(x)})
    assert "not linear" in fault(report).reason


def rotation_angle(w: Any) -> Any:
    zero = torch.zeros((), dtype=w.dtype)
    rows = [[zero, -w[2], w[1]], [w[2], zero, -w[0]], [-w[1], w[0], zero]]
    skew = torch.stack([torch.stack(row) for row in rows])
    return torch.acos((torch.trace(torch.matrix_exp(skew)) - 1) / 2)


@pytest.mark.parametrize("seed", range(6))
def test_modes_that_round_an_inner_one_differently_agree(seed: int) -> None:
    w = 1e-4 * np.random.default_rng(seed).normal(size=3)
    report = check(rotation_angle, torch.tensor(w), seed=seed)
    assert report.comparisons[-1].reference.source == "torch/vjp"
    assert report.comparisons[-1].verdict is AGREE, str(report)


def test_a_mode_that_is_off_by_little_disagrees_with_the_other() -> None:
    class Cube(torch.autograd.Function):
        @staticmethod
        def forward(x: Any) -> Any:
            return x**3

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.save_for_backward(*inputs)
            ctx.save_for_forward(*inputs)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return 3 * ctx.saved_tensors[0] ** 2 * g

        @staticmethod
        def jvp(ctx: Any, t: Any) -> Any:
            return 3 * (1 + 1e-7) * ctx.saved_tensors[0] ** 2 * t

    faults = [c for c in check(Cube.apply, torch.tensor(X)).comparisons if c.verdict is Verdict.DISAGREE]
    assert {c.reference.source for c in faults} == {"torch/vjp", "finite differences"}


@pytest.mark.parametrize(("dtype", "narrow"), [("float64", "float32"), ("float64", "float16"), ("float32", "bfloat16")])
def test_a_rule_that_rounds_its_cotangent_is_found(dtype: str, narrow: str) -> None:
    class Narrow(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return torch.sin(x)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            (x,) = ctx.saved_tensors
            return g.to(getattr(torch, narrow)).to(g.dtype) * torch.cos(x)

    x = torch.tensor([0.7], dtype=getattr(torch, dtype))
    report = check(Narrow.apply, x)
    assert report.verdict is DISAGREE
    assert "loses digits" in fault(report).reason


def test_a_double_backward_that_leaves_out_a_lone_cotangent_is_found() -> None:
    class Rule(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, g: Any) -> Any:
            ctx.save_for_backward(x)
            return 2 * x * g

        @staticmethod
        def backward(ctx: Any, h: Any) -> Any:
            (x,) = ctx.saved_tensors
            return 2 * h, (2 * x * h).sum()  # 2 * g * h

    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return (x * x).sum()

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return Rule.apply(ctx.saved_tensors[0], g)

    x = torch.tensor([0.3, 1.2], dtype=torch.float64)
    assert check(Square.apply, x).verdict is AGREE
    assert check(Square.apply, x, order=2).verdict is DISAGREE


def test_a_given_pullback_that_changes_its_cotangent_is_told() -> None:
    def pullback(x: Any, g: Any) -> Any:
        result = g * np.cos(x)
        g *= 2
        return result

    report = xcheck.check(np.sin, np.array([0.3, 0.7]), vjp=pullback, raises=False)
    assert any("in place" in note for comparison in report.comparisons for note in comparison.notes)


def without_small(g: Any) -> Any:
    """Drop what is below a thousandth, in any framework."""
    return g * (abs(g) >= 1e-3)


def clipped(g: Any) -> Any:
    return g.clip(-5, 5)


def operator_with_forward_mode(backward: Callable[..., Any], forward: Callable[..., Any]) -> Callable[..., Any]:
    """Make sin from `backward(cotangent)` and `forward(tangent)`, which stand before the multiplication by cos."""

    class Sine(torch.autograd.Function):
        @staticmethod
        def forward(x: Any) -> Any:
            return torch.sin(x)

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.save_for_backward(*inputs)
            ctx.save_for_forward(*inputs)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return backward(g) * torch.cos(ctx.saved_tensors[0])

        @staticmethod
        def jvp(ctx: Any, t: Any) -> Any:
            return forward(t) * torch.cos(ctx.saved_tensors[0])

    return Sine.apply


def same(g: Any) -> Any:
    return g


SHAPES = [(), (4,), (3, 4)]
LOW = DTYPES[1:]


@pytest.mark.parametrize("spoil", [without_small, clipped])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", LOW)
def test_rules_of_low_precision_that_drop_or_clip_are_found_in_both_modes(
    dtype: str, shape: tuple[int, ...], spoil: Callable[..., Any]
) -> None:
    for seed in range(2):
        x = torch.tensor(np.random.default_rng(seed).normal(size=shape)).to(getattr(torch, dtype))
        wrong = fault(check(operator_with_forward_mode(spoil, same), x))
        assert wrong.claim.source == "torch/vjp"
        assert "not linear in its cotangent" in wrong.reason
        wrong = fault(check(operator_with_forward_mode(same, spoil), x))
        assert wrong.claim.source == "torch/jvp"
        assert "not linear in its tangent" in wrong.reason


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_loss_around_a_backward_that_drops_what_is_small_is_found(dtype: str) -> None:
    rule = operator_with_forward_mode(without_small, same)
    x = torch.tensor(X).to(getattr(torch, dtype))
    assert "not linear" in fault(check(lambda x: rule(x).sum(), x)).reason


@pytest.mark.parametrize("shape", [(), (4,)])
def test_a_forward_rule_that_drops_what_is_small_is_found_in_float64(shape: tuple[int, ...]) -> None:
    x = torch.tensor(np.resize(X, shape))
    wrong = fault(check(operator_with_forward_mode(same, without_small), x))
    assert wrong.claim.source == "torch/jvp"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_rules_of_low_precision_that_drop_are_found_in_jax(dtype: str) -> None:
    @jax.custom_vjp
    def f(x: Any) -> Any:
        return jax.numpy.sin(x)

    f.defvjp(lambda x: (jax.numpy.sin(x), x), lambda x, g: (without_small(g) * jax.numpy.cos(x),))
    assert "not linear" in fault(check(f, jax.numpy.asarray(X[0]).astype(dtype), backend="jax")).reason


def test_a_rule_in_float32_that_drops_is_found_in_tensorflow() -> None:
    tf = pytest.importorskip("tensorflow")

    @tf.custom_gradient
    def f(x: Any) -> Any:
        return tf.sin(x), lambda g: tf.where(tf.abs(g) < 1e-3, 0.0, g) * tf.cos(x)

    report = check(lambda x: tf.cast(f(tf.cast(x, tf.float32)), x.dtype), tf.constant(X[0], tf.float32))
    assert any("not linear in its cotangent" in c.reason for c in report.comparisons), str(report)


def neumann(tolerance: float, dtype: str) -> Callable[..., Any]:
    """Make `sin(x) M^-1`, whose backward iterates until a step is below `tolerance`, from zero."""
    weights = torch.tensor(np.random.default_rng(1).normal(size=(4, 4))) / 10
    inverse = torch.linalg.inv(torch.eye(4, dtype=torch.float64) - weights)

    def backward(x: Any, g: Any) -> Any:
        u = torch.zeros_like(g)
        for _ in range(200):
            before, u = u, g + u @ weights.to(x.dtype).T
            if (u - before).abs().max() <= tolerance:
                break
        return u * torch.cos(x)

    return operator(lambda x: torch.sin(x) @ inverse.to(x.dtype), backward)


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [("float32", 1e-6), ("float32", 1e-4), ("float32", 1e-3), ("bfloat16", 1e-2), ("float16", 1e-2), ("float64", 1e-8)],
)
def test_a_tolerance_is_no_threshold(dtype: str, tolerance: float) -> None:
    for seed in range(3):
        x = torch.tensor(np.random.default_rng(seed).normal(size=(3, 4))).to(getattr(torch, dtype))
        report = check(neumann(tolerance, dtype), x, budget=10_000)
        assert not any(c.quantity == "pullback" for c in report.comparisons), str(report)


@pytest.mark.parametrize("size", [1, 4, 16, 40])
def test_a_rule_that_rounds_to_float32_is_found_at_any_size(size: int) -> None:
    def rounded(g: Any) -> Any:
        return g.to(torch.float32).to(g.dtype)

    x = torch.tensor(np.random.default_rng(0).normal(size=size))
    for rules, source in (((rounded, same), "torch/vjp"), ((same, rounded), "torch/jvp")):
        wrong = fault(check(operator_with_forward_mode(*rules), x))
        assert wrong.claim.source == source
        assert "loses digits" in wrong.reason


@pytest.mark.parametrize("size", [4, 20])
def test_functions_that_compute_in_float32_may_round(size: int) -> None:
    x = torch.tensor(np.random.default_rng(0).normal(size=size))
    for f in (
        lambda x: (2 * x.float()).double(),
        lambda x: torch.sin(x.float()).double(),
        lambda x: x.float().sum().double(),
    ):
        assert not any(c.quantity in ("pullback", "pushforward") for c in check(f, x).comparisons)


@pytest.mark.parametrize(("dtype", "off"), [("float32", 1e-4), ("float32", 1e-5), ("float16", 1e-2)])
@pytest.mark.parametrize("size", [1, 4, 12])
def test_values_of_low_precision_are_compared_in_float64(dtype: str, off: float, size: int) -> None:
    @jax.custom_vjp
    def f(x: Any) -> Any:
        return jax.numpy.sin(x)

    f.defvjp(lambda x: (jax.numpy.sin(x) * (1 + off), x), lambda x, g: (g * jax.numpy.cos(x),))
    for seed in range(2):
        x = jax.numpy.asarray(np.random.default_rng(seed).normal(size=size)).astype(dtype)
        report = check(f, x, backend="jax")
        assert any(c.quantity == "value" for c in report.comparisons), str(report)


@pytest.mark.parametrize("dtype", LOW)
def test_values_of_low_precision_may_be_summed_in_another_order(dtype: str) -> None:
    @jax.custom_vjp
    def f(x: Any) -> Any:
        return jax.numpy.sum(x * x)

    def forward(x: Any) -> Any:
        single = x.astype("float32")
        return jax.lax.fori_loop(0, x.size, lambda i, s: s + single[i] ** 2, jax.numpy.float32(0)).astype(x.dtype), x

    f.defvjp(forward, lambda x, g: (2 * g * x,))
    x = jax.numpy.asarray(np.random.default_rng(0).normal(size=30)).astype(dtype)
    assert not any(c.quantity == "value" for c in check(f, x, backend="jax").comparisons)


CONSTANT = {
    "sin^2 + cos^2": lambda torch, x: torch.sin(x) ** 2 + torch.cos(x) ** 2,
    "sum of a softmax": lambda torch, x: torch.softmax(x, 1).sum(1),
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("name", "size"), [("sin^2 + cos^2", 1e3), ("sin^2 + cos^2", 1e6), ("sum of a softmax", 40.0)])
def test_products_that_are_nothing_but_rounding_show_no_fault(name: str, size: float, dtype: str) -> None:
    torch = pytest.importorskip("torch")
    for seed in range(4):
        x = torch.tensor(np.random.default_rng(seed).uniform(-size, size, (3, 4)), dtype=getattr(torch, dtype))
        report = xcheck.check(lambda x: CONSTANT[name](torch, x), x, raises=False)
        assert report.verdict is not Verdict.DISAGREE, report
