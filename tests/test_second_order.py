"""`check(..., order=2)`: the derivative of the gradient through the rule."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import xcheck
from xcheck import Verdict

X = np.array([0.7, -0.4, 1.3])
MODES = ("vjp", "jvp")


def second(report: xcheck.Report) -> dict[str, Any]:
    """Return the comparisons of the second order with differences, by source."""
    found = [c for c in report.comparisons if c.quantity in ("Hessian", "second derivative")]
    return {c.claim.source: c for c in found if c.reference.source.startswith("finite differences")}


def first(report: xcheck.Report) -> list[Any]:
    return [c for c in report.comparisons if c.quantity not in ("Hessian", "second derivative")]


def rule(torch: Any, forward: Any, backward: Any, jvp: Any = None) -> Any:
    """Make an operator of a torch Function; `backward(ctx, g)` and `jvp(x, t)` are its rules."""

    class Rule(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            ctx.kept = torch.exp(x)
            return forward(x)

    Rule.backward = staticmethod(backward)
    return Rule.apply


def saved(ctx: Any) -> Any:
    return ctx.saved_tensors[0]


# Wrong second derivatives, torch


def test_an_intermediate_kept_on_ctx_is_caught(torch: Any) -> None:
    op = rule(torch, torch.exp, lambda ctx, g: g * ctx.kept)
    report = xcheck.check(op, torch.tensor(X), order=2, raises=False)

    assert all(c.verdict is Verdict.AGREE for c in first(report))
    found = second(report)["torch/vjp of vjp"]
    assert found.verdict is Verdict.DISAGREE
    assert {e.name for e in found.worst} == {f"d (grad x[{i}]) / d x[{i}]" for i in range(3)}
    assert found.notes == ("torch returned None for: x",)
    with pytest.raises(xcheck.DerivativeError):
        xcheck.check(op, torch.tensor(X), order=2)


@pytest.mark.parametrize("lost", ["data", "detach"])
def test_a_backward_that_leaves_the_tape_is_caught(torch: Any, lost: str) -> None:
    def backward(ctx: Any, g: Any) -> Any:
        x, g = (saved(ctx).data, g.data) if lost == "data" else (saved(ctx).detach(), g.detach())
        return 2 * x * g

    found = second(xcheck.check(rule(torch, torch.square, backward), torch.tensor(X), order=2, raises=False))

    assert found["torch/vjp of vjp"].verdict is Verdict.DISAGREE
    assert found["torch/vjp of vjp"].notes == ("torch returned None for: x, cotangent of out",)


def test_a_backward_in_numpy_is_no_pass(torch: Any) -> None:
    op = rule(torch, torch.square, lambda ctx, g: torch.from_numpy(2 * saved(ctx).numpy() * g.numpy()))
    report = xcheck.check(op, torch.tensor(X), order=2, raises=False)

    assert report.verdict is Verdict.INCONCLUSIVE
    assert any("torch/vjp of vjp: raised RuntimeError" in line for line in report.unchecked)


@pytest.mark.parametrize("alone", [True, False])
def test_once_differentiable_is_no_rule_and_no_pass(torch: Any, alone: bool) -> None:
    once = torch.autograd.function.once_differentiable
    op = rule(torch, torch.square, once(lambda ctx, g: 2 * saved(ctx) * g))
    report = xcheck.check(op if alone else lambda x: (op(x) * x).sum(), torch.tensor(X), order=2, raises=False)

    assert report.verdict is Verdict.INCONCLUSIVE
    assert any("torch/vjp of vjp: no rule" in line and "once_differentiable" in line for line in report.unchecked)
    assert any(line.startswith("torch/jvp of jvp, torch/vjp of jvp: no rule") for line in report.unchecked)


def test_forward_over_reverse_is_checked_by_itself(torch: Any) -> None:
    class Slope(torch.autograd.Function):
        @staticmethod
        def forward(x: Any) -> Any:
            return 3 * x**2

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.save_for_backward(*inputs)
            ctx.save_for_forward(*inputs)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return 6 * saved(ctx) * g

        @staticmethod
        def jvp(ctx: Any, t: Any) -> Any:
            return 5 * saved(ctx) * t

    class Cube(Slope):
        @staticmethod
        def forward(x: Any) -> Any:
            return x**3

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return Slope.apply(saved(ctx)) * g

        @staticmethod
        def jvp(ctx: Any, t: Any) -> Any:
            return 3 * saved(ctx) ** 2 * t

    report = xcheck.check(Cube.apply, torch.tensor(X), order=2, raises=False)

    assert all(c.verdict is Verdict.AGREE for c in first(report))
    found = second(report)
    assert found["torch/vjp of vjp"].verdict is Verdict.AGREE
    assert found["torch/jvp of vjp"].verdict is Verdict.DISAGREE
    assert found["torch/jvp of vjp"].worst[0].ratio == pytest.approx(5 / 6)


@pytest.mark.parametrize("wrong", ["ignored", "squared"])
def test_a_rule_that_is_not_linear_in_the_cotangent_is_caught(torch: Any, wrong: str) -> None:
    def backward(ctx: Any, g: Any) -> Any:
        return 2 * saved(ctx) * (torch.ones_like(g) if wrong == "ignored" else g * g)

    op = rule(torch, torch.square, backward)
    report = xcheck.check(lambda x: op(x), torch.tensor(X[:1])[0], order=2, raises=False)

    assert xcheck.check(lambda x: op(x), torch.tensor(X[:1])[0], raises=False).ok
    linear = next(c for c in report.comparisons if c.reference.source == "finite differences by the cotangent")
    assert linear.verdict is Verdict.DISAGREE


def test_a_wrong_gradient_is_noted_beside_its_derivative(torch: Any) -> None:
    report = xcheck.check(
        rule(torch, torch.square, lambda ctx, g: 3 * saved(ctx) * g), torch.tensor(X), order=2, raises=False
    )

    found = second(report)["torch/vjp of vjp"]
    assert found.verdict is Verdict.AGREE
    assert any("disagrees itself" in note for note in found.notes)
    assert report.verdict is Verdict.DISAGREE


# Wrong second derivatives in forward mode


def square_of(torch: Any) -> Any:
    """Make x² with a rule for each mode; torch 2.13 differentiates its `jvp` forward to nothing."""

    class Square(torch.autograd.Function):
        @staticmethod
        def forward(x: Any) -> Any:
            return x * x

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.save_for_backward(*inputs)
            ctx.save_for_forward(*inputs)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return 2 * saved(ctx) * g

        @staticmethod
        def jvp(ctx: Any, t: Any) -> Any:
            return 2 * saved(ctx) * t

    return Square


def test_a_torch_jvp_that_nests_wrongly_is_caught(torch: Any) -> None:
    square = square_of(torch).apply
    report = xcheck.check(lambda x: square(square(x)), torch.tensor(3.0, dtype=torch.float64), order=2, raises=False)

    assert all(c.verdict is Verdict.AGREE for c in first(report))
    found = second(report)
    wrong = torch.func.jvp(lambda x: torch.func.jvp(square, (x,), (x,))[1], (torch.ones(1),), (torch.ones(1),))[1]
    if wrong.item() == 4.0:
        pytest.skip("this torch nests them rightly")
    assert {m: c.verdict.name for m, c in found.items() if c.verdict is not Verdict.AGREE} == {
        "torch/jvp of jvp": "DISAGREE"
    }
    assert found["torch/jvp of jvp"].worst[0].name == "d² out / d x d x"
    assert found["torch/jvp of jvp"].worst[0].measured == pytest.approx(108)


@pytest.mark.parametrize("n", [2, 20])
def test_a_torch_jvp_that_leaves_the_tape_is_caught(torch: Any, n: int) -> None:
    base = square_of(torch)

    class Detached(base):  # type: ignore[misc]
        @staticmethod
        def jvp(ctx: Any, t: Any) -> Any:
            return 2 * saved(ctx).detach() * t

    x = torch.randn(n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    report = xcheck.check(Detached.apply, x, order=2, raises=False)

    assert all(c.verdict is Verdict.AGREE for c in first(report))
    found = second(report)
    assert found["torch/vjp of vjp"].verdict is Verdict.AGREE
    assert found["torch/vjp of jvp"].verdict is Verdict.DISAGREE
    assert found["torch/vjp of jvp"].worst[0].name.startswith("d (jvp out[")
    assert found["torch/vjp of jvp"].method == ("probes" if n == 20 else "every entry")


def wrong_in_torch(torch: Any, name: str) -> tuple[Any, Any]:
    functional = torch.nn.functional
    t = torch.tensor({"cumprod": 1.0}.get(name, 0.7), dtype=torch.float64)
    weights = torch.arange(1.0, 7.0, dtype=torch.float64).reshape(2, 3)
    return {
        "det": lambda t: torch.det(torch.stack((t + 2, t * 0 + 1, t * 0 + 1, 2 * t + 3)).reshape(2, 2)),
        "solve": lambda t: torch.linalg.solve(torch.stack((t + 2, t * 0 + 1, t * 0, t + 3)).reshape(2, 2), t.expand(2)),
        "layer norm": lambda t: functional.layer_norm(torch.stack((t, 0 * t)), [2], weight=weights[0, :2], eps=0.25),
        "cumprod": lambda t: (torch.cumprod(torch.stack((t, t + 1, t - 1, t + 3)), 0) * weights.ravel()[:4]).sum(),
    }[name], t


@pytest.mark.parametrize("name", ["det", "solve", "layer norm", "cumprod"])
def test_what_torch_gets_wrong_forward_over_forward_is_caught(torch: Any, name: str) -> None:
    f, t = wrong_in_torch(torch, name)
    one = torch.ones_like(t)
    forward = torch.func.jvp(lambda t: torch.func.jvp(f, (t,), (one,))[1], (t,), (one,))[1]
    reverse = torch.func.jacrev(torch.func.jacrev(f))(t)
    if torch.allclose(forward, reverse):
        pytest.skip("this torch has it right")

    found = second(xcheck.check(f, t, order=2, raises=False))

    assert found["torch/jvp of vjp"].verdict is Verdict.AGREE
    assert found["torch/jvp of jvp"].verdict is Verdict.DISAGREE


def test_a_wrong_jvp_is_not_blamed_on_its_derivative(torch: Any) -> None:
    base = square_of(torch)

    class Tripled(base):  # type: ignore[misc]
        @staticmethod
        def jvp(ctx: Any, t: Any) -> Any:
            return 3 * saved(ctx) * t

    report = xcheck.check(Tripled.apply, torch.tensor(X), order=2, raises=False)

    assert any(c.verdict is Verdict.DISAGREE and c.claim.source == "torch/jvp" for c in first(report))
    found = second(report)["torch/vjp of jvp"]
    assert found.verdict is Verdict.AGREE
    assert any(note.startswith("the forward derivative whose derivative this is disagrees") for note in found.notes)
    assert second(report)["torch/vjp of vjp"].verdict is Verdict.AGREE


@pytest.mark.parametrize("wrong", ["ignored", "squared"])
def test_a_jvp_that_is_not_linear_in_the_tangent_is_caught(torch: Any, wrong: str) -> None:
    base = square_of(torch)

    class Bent(base):  # type: ignore[misc]
        @staticmethod
        def jvp(ctx: Any, t: Any) -> Any:
            return 2 * saved(ctx) * (torch.ones_like(t) if wrong == "ignored" else t * t)

    report = xcheck.check(Bent.apply, torch.tensor(X[0]), order=2, raises=False)

    linear = next(c for c in report.comparisons if c.reference.source == "finite differences by the tangent")
    assert linear.verdict is Verdict.DISAGREE


def test_a_function_without_a_forward_rule_lists_it(torch: Any) -> None:
    op = rule(torch, torch.square, lambda ctx, g: 2 * saved(ctx) * g)
    report = xcheck.check(op, torch.tensor(X), order=2)

    assert any(line.startswith("torch/jvp of jvp, torch/vjp of jvp: no rule") for line in report.unchecked)


def test_a_torch_function_of_the_older_style_lists_what_does_not_nest(torch: Any) -> None:
    class Old(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            ctx.save_for_forward(x)
            return x * x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return 2 * saved(ctx) * g

        @staticmethod
        def jvp(ctx: Any, t: Any) -> Any:
            return 2 * saved(ctx) * t

    for n in (2, 20):
        report = xcheck.check(Old.apply, torch.linspace(1.0, 2.0, n, dtype=torch.float64), order=2)

        assert second(report)["torch/vjp of jvp"].verdict is Verdict.AGREE
        assert any("torch/jvp of jvp: no rule (In order to use an autograd.Function" in x for x in report.unchecked)


def test_a_backend_without_push_lists_it(torch: Any) -> None:
    from xcheck_backends.torch_ import TorchBackend

    class Plain:
        def __init__(self) -> None:
            self.inner = TorchBackend()
            self.name = "plain"
            for method in ("owns", "from_numpy", "to_numpy", "value", "vjp", "jvp", "pull"):
                setattr(self, method, getattr(self.inner, method))

    report = xcheck.check(torch.sin, torch.tensor(X), backend=Plain(), order=2)

    assert any("plain does not differentiate its forward mode" in line for line in report.unchecked)


@pytest.mark.parametrize("n", [3, 20])
def test_a_jax_rule_with_a_wrong_derivative_of_its_own_is_caught(jax: Any, n: int) -> None:
    stop = jax.lax.stop_gradient

    @jax.custom_jvp
    def op(x: Any) -> Any:
        return jax.numpy.sin(x)

    op.defjvp(lambda p, t: (jax.numpy.sin(p[0]), jax.numpy.cos(stop(p[0])) * t[0]))
    report = xcheck.check(op, np.linspace(0.3, 1.2, n), backend="jax", order=2, raises=False)

    assert all(c.verdict is Verdict.AGREE for c in first(report))
    assert second(report)["jax/jvp of jvp"].verdict is Verdict.DISAGREE
    assert second(report)["jax/vjp of jvp"].verdict is Verdict.DISAGREE


@pytest.mark.parametrize("n", [3, 20])
def test_tensorflow_forward_over_forward_is_caught(tf: Any, n: int) -> None:
    def f(x: Any) -> Any:
        m = tf.sin(x)
        return (m * m) * m  # TensorFlow 2.21 gets this wrong in eager mode, forward over forward

    x = np.linspace(0.3, 1.2, n)
    point, one = tf.constant(x), tf.ones(n, tf.float64)
    with (
        tf.autodiff.ForwardAccumulator(point, one) as outer,
        tf.autodiff.ForwardAccumulator(point, one) as inner,
    ):
        y = f(point)
    if np.allclose(outer.jvp(inner.jvp(y)), 6 * np.sin(x) * np.cos(x) ** 2 - 3 * np.sin(x) ** 3):
        pytest.skip("this TensorFlow has it right")
    report = xcheck.check(f, x, backend="tensorflow", order=2, raises=False)

    assert all(c.verdict is Verdict.AGREE for c in first(report))
    found = second(report)
    assert found["tensorflow/vjp of jvp"].verdict is Verdict.AGREE
    assert found["tensorflow/jvp of jvp"].verdict is Verdict.DISAGREE


# Wrong second derivatives, JAX and TensorFlow


def test_jax_rules_that_stop_the_gradient_are_caught(jax: Any) -> None:
    stop = jax.lax.stop_gradient

    @jax.custom_jvp
    def by_jvp(x: Any) -> Any:
        return x**3

    by_jvp.defjvp(lambda p, t: (p[0] ** 3, 3 * stop(p[0]) ** 2 * t[0]))

    @jax.custom_vjp
    def by_vjp(x: Any) -> Any:
        return x**3

    by_vjp.defvjp(lambda x: (x**3, x), lambda x, g: (3 * stop(x) ** 2 * g,))
    for op in (by_jvp, by_vjp):
        report = xcheck.check(op, X, backend="jax", order=2, raises=False)

        assert all(c.verdict is Verdict.AGREE for c in first(report))
        modes = ["vjp of vjp", "jvp of vjp", *(["vjp of jvp", "jvp of jvp"] if op is by_jvp else [])]
        assert {k: c.verdict for k, c in second(report).items()} == {f"jax/{m}": Verdict.DISAGREE for m in modes}
        gap = [line for line in report.unchecked if line.startswith("jax/jvp of jvp, jax/vjp of jvp: no rule")]
        assert len(gap) == (op is by_vjp)


def test_jax_without_a_reverse_rule_is_checked_forward_and_says_so(jax: Any) -> None:
    def loop(x: Any) -> Any:
        return jax.lax.while_loop(lambda c: c[1] < 3, lambda c: (c[0] * x, c[1] + 1), (x, 0))[0]

    report = xcheck.check(loop, X, backend="jax", order=2)

    assert set(second(report)) == {"jax/jvp of jvp"}
    assert any("jax/vjp of vjp, jax/jvp of vjp: there is no reverse rule" in line for line in report.unchecked)
    assert any("jax/vjp of jvp: no rule" in line for line in report.unchecked)


@pytest.mark.parametrize("way", ["stop", "numpy"])
def test_tensorflow_gradients_that_cannot_be_differentiated_are_caught(tf: Any, way: str) -> None:
    @tf.custom_gradient
    def op(x: Any) -> Any:
        def grad(g: Any) -> Any:
            return 3 * tf.stop_gradient(x) ** 2 * g if way == "stop" else tf.constant(3 * x.numpy() ** 2 * g.numpy())

        return x**3, grad

    report = xcheck.check(op, X, backend="tensorflow", order=2, raises=False)

    assert all(c.verdict is Verdict.AGREE for c in first(report))
    found = second(report)["tensorflow/vjp of vjp"]
    assert found.verdict is Verdict.DISAGREE
    assert found.notes[0].startswith("tensorflow returned None for: x")


# Right ones


def right_torch(torch: Any) -> dict[str, tuple[Any, ...]]:
    generator = torch.Generator().manual_seed(1)

    def draw(*shape: int, dtype: Any = torch.float64) -> Any:
        return torch.randn(*shape, generator=generator, dtype=dtype)

    functional, linalg = torch.nn.functional, torch.linalg
    eye = torch.eye(3, dtype=torch.float64)
    torch.manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.GELU(), torch.nn.Linear(4, 2))
    return {
        "sin": (torch.sin, draw(3)),
        "matrix chain": (lambda a, b: a @ b @ a, draw(2, 2), draw(2, 2)),
        "tanh layer": (lambda w, x, b: torch.tanh(w @ x + b), draw(3, 2), draw(2), draw(3)),
        "relu": (torch.relu, draw(4)),
        "abs": (torch.abs, draw(4)),
        "linear": (lambda x: 3 * x, draw(4)),
        "bilinear": (lambda a, b: a @ b, draw(2, 3), draw(3, 2)),
        "constant": (lambda x: 0 * x.detach() + 1, draw(3)),
        "max-pool": (lambda x: functional.max_pool1d(x, 2), draw(1, 1, 6)),
        "log-sum-exp": (lambda x: torch.logsumexp(x, 0), draw(4)),
        "norm": (linalg.norm, draw(4)),
        "softmax": (lambda x: torch.softmax(x, 0), draw(4)),
        "layer norm": (lambda x: functional.layer_norm(x, (4,)), draw(2, 4)),
        "convolution": (functional.conv1d, draw(1, 2, 5), draw(2, 2, 3)),
        "cholesky": (lambda a: linalg.cholesky(a @ a.T + eye), draw(3, 3)),
        "cholesky of one triangle": (linalg.cholesky, (lambda a: a @ a.T + eye)(draw(3, 3))),
        "eigvalsh": (lambda a: linalg.eigvalsh(a @ a.T), draw(3, 3)),
        "solve": (linalg.solve, draw(3, 3) + 3 * eye, draw(3)),
        "det": (linalg.det, draw(3, 3)),
        "float32": (lambda x: torch.tanh(x) * x.sum(), draw(3, dtype=torch.float32)),
        "float32 softmax": (lambda x: torch.softmax(x, 0), draw(4, dtype=torch.float32)),
        "complex": (lambda z: z * z.conj() * z, draw(2, dtype=torch.complex128)),
        "modulus": (torch.abs, draw(2, dtype=torch.complex128)),
        "pytree": (lambda d: {"a": d["x"] * d["y"].exp(), "b": d["y"].sin()}, {"x": draw(2), "y": draw(1)[0]}),
        "module": (model.double(), draw(2, 3)),
        "dropout": (lambda x: functional.dropout(x**2, 0.5), draw(4)),
        "an output returned as it is": (lambda x: (x, x**2), draw(2)),
    }


RIGHT = (
    "sin",
    "matrix chain",
    "tanh layer",
    "relu",
    "abs",
    "linear",
    "bilinear",
    "constant",
    "max-pool",
    "log-sum-exp",
    "norm",
    "softmax",
    "layer norm",
    "convolution",
    "cholesky",
    "eigvalsh",
    "solve",
    "det",
    "float32",
    "float32 softmax",
    "complex",
    "modulus",
    "pytree",
    "module",
    "dropout",
    "an output returned as it is",
)


@pytest.mark.parametrize("name", RIGHT)
def test_right_torch_functions_agree(torch: Any, name: str) -> None:
    f, *inputs = right_torch(torch)[name]
    report = xcheck.check(f, *inputs, order=2, raises=False)

    assert {"torch/vjp of vjp"} <= set(second(report))
    assert "torch/jvp of vjp" in str(report)
    assert "torch/vjp of jvp" in str(report)
    assert "torch/jvp of jvp" in str(report)
    assert {c.claim.source for c in report.comparisons if c.verdict is not Verdict.AGREE} <= torch_gets_wrong(name)


def torch_gets_wrong(name: str) -> set[str]:
    """Name the modes in which torch 2.13 differentiates its own forward rules wrongly."""
    return {"torch/jvp of jvp", "torch/vjp of jvp"} if name in ("layer norm", "solve", "det") else set()


def test_conventions_for_symmetric_matrices_are_not_called_wrong(torch: Any) -> None:
    f, a = right_torch(torch)["cholesky of one triangle"]

    assert xcheck.check(f, a, order=2, raises=False).verdict is not Verdict.DISAGREE


@pytest.mark.parametrize("seed", range(6))
def test_rounding_of_saturated_float32_functions_is_no_error(torch: Any, seed: int) -> None:
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Tanh(), torch.nn.LayerNorm(2))
    for name, f, x in (("layer norm", model, torch.randn(3)), ("", lambda x: torch.tanh(4 * x), torch.randn(4))):
        report = xcheck.check(f, x, order=2, raises=False)
        wrong = {c.claim.source for c in report.comparisons if c.verdict is Verdict.DISAGREE}
        assert wrong <= torch_gets_wrong(name)


def test_a_kink_of_the_gradient_is_inconclusive(torch: Any) -> None:
    report = xcheck.check(lambda x: x * x.abs(), torch.tensor([0.0, 1.0], dtype=torch.float64), order=2, raises=False)

    assert all(c.verdict is Verdict.AGREE for c in first(report))
    found = second(report)["torch/vjp of vjp"]
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.worst[0].slopes is not None


def test_right_jax_functions_agree(jax: Any) -> None:
    jnp = jax.numpy
    rng = np.random.default_rng(2)
    cases = {
        "sin": (jnp.sin, rng.normal(size=2)),
        "tanh layer": (lambda p: jnp.tanh(p["w"] @ p["x"]), {"w": rng.normal(size=(3, 2)), "x": rng.normal(size=2)}),
        "matrix chain": (lambda a: a @ a @ a, rng.normal(size=(3, 3))),
        "softmax": (jax.nn.softmax, rng.normal(size=4)),
        "log-sum-exp of float32": (jax.nn.logsumexp, rng.normal(size=4).astype(np.float32)),
        "complex": (lambda z: z * jnp.conj(z) * z, rng.normal(size=2) + 1j * rng.normal(size=2)),
        "pytree": (lambda d: {"a": d["x"] * d["y"]}, {"x": rng.normal(size=2), "y": rng.normal(size=())}),
    }
    for f, x in cases.values():
        report = xcheck.check(f, x, backend="jax", order=2)
        assert all(f"jax/{outer} of {inner}" in str(report) for outer in MODES for inner in MODES)
        assert not any(" of " in line for line in report.unchecked)


def test_right_tensorflow_functions_agree(tf: Any) -> None:
    rng = np.random.default_rng(2)
    cases = {
        "sin": (tf.sin, rng.normal(size=2)),
        "tanh layer": (
            lambda p: tf.tanh(p["w"] @ p["x"]),
            {"w": rng.normal(size=(3, 2)), "x": rng.normal(size=(2, 1))},
        ),
        "matrix chain": (lambda a: a @ a @ a, rng.normal(size=(3, 3))),
        "cube": (lambda x: x * x * x, rng.normal(size=3)),
        "softmax": (tf.nn.softmax, rng.normal(size=4)),
        "float32": (tf.reduce_logsumexp, rng.normal(size=4).astype(np.float32)),
        "complex": (lambda z: z * tf.math.conj(z) * z, rng.normal(size=2) + 1j * rng.normal(size=2)),
        "gather": (lambda x: tf.gather(x, [0, 2]) ** 2, rng.normal(size=3)),
    }
    for f, x in cases.values():
        report = xcheck.check(f, x, backend="tensorflow", order=2)
        assert all(f"tensorflow/{outer} of {inner}" in str(report) for outer in MODES for inner in MODES)
        assert not any(" of " in line for line in report.unchecked)


# Names, sizes, bad input


def test_entries_of_a_hessian_are_named_after_both_inputs(torch: Any) -> None:
    op = rule(torch, torch.exp, lambda ctx, g: g * ctx.kept)
    report = xcheck.check(lambda w: {"loss": op(w).prod()}, torch.tensor(X), order=2, raises=False)

    found = second(report)["torch/vjp of vjp"]
    assert found.quantity == "Hessian"
    assert found.worst[0].name.startswith("d² out['loss'] / d w[")


def test_the_derivative_by_the_cotangent_is_named_so(torch: Any) -> None:
    op = rule(torch, torch.square, lambda ctx, g: 2 * saved(ctx) * g.detach())
    found = second(xcheck.check(op, torch.tensor(X), order=2, raises=False))["torch/vjp of vjp"]

    assert {e.name for e in found.worst} == {f"d (grad x[{i}]) / d (cotangent of out[{i}])" for i in range(3)}


def test_large_problems_are_probed_and_the_wrong_entry_is_found(torch: Any) -> None:
    def backward(ctx: Any, g: Any) -> Any:
        slope = (3 * saved(ctx) ** 2).clone()
        slope[1234] = slope[1234].detach()
        return g * slope

    op = rule(torch, lambda x: x**3, backward)
    x = torch.randn(3000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = second(xcheck.check(lambda x: (op(x) * x.roll(1)).sum(), x, order=2, raises=False))["torch/vjp of vjp"]

    assert found.method == "probes"
    assert found.worst[0].name == "d² out / d x[1234] d x[1234]"


@pytest.mark.parametrize("order", [0, 3, 1.5, True, "2", None])
def test_other_orders_are_refused(order: Any) -> None:
    with pytest.raises(ValueError, match="order must be 1 or 2; given: "):
        xcheck.check(np.sum, X, gradient=np.ones_like, order=order)


def test_hand_written_derivatives_have_no_second_order() -> None:
    with pytest.raises(ValueError, match="with gradient= given there is nothing to differentiate"):
        xcheck.check(np.sum, X, gradient=np.ones_like, order=2)
    with pytest.raises(ValueError, match="has_gradient= given"):
        xcheck.check(lambda x: (x.sum(), np.ones(3)), X, has_gradient=True, order=2)
    with pytest.raises(ValueError, match="numpy has no automatic derivative"):
        xcheck.check(np.sum, X, order=2)


def test_a_backend_without_the_capability_is_refused(torch: Any) -> None:
    from xcheck_backends.torch_ import TorchBackend

    class Plain:
        def __init__(self) -> None:
            self.inner = TorchBackend()
            self.name = "plain"
            for method in ("owns", "from_numpy", "to_numpy", "value", "vjp"):
                setattr(self, method, getattr(self.inner, method))

    with pytest.raises(ValueError, match="plain does not"):
        xcheck.check(torch.sin, torch.tensor(X), backend=Plain(), order=2)


def test_the_first_order_is_reported_as_without_it(torch: Any) -> None:
    x = torch.tensor(X)
    one, two = xcheck.check(torch.tanh, x), xcheck.check(torch.tanh, x, order=2)

    assert two.comparisons[: len(one.comparisons)] == one.comparisons
    assert two.evaluations > one.evaluations


# A witness in higher precision


def silu_of_mpmath(x: Any) -> Any:
    import mpmath

    values = np.array([v / (1 + mpmath.exp(-v)) for v in np.ravel(x)], object)
    return values.reshape(np.shape(x)) if np.ndim(x) else values[0]


def test_a_witness_settles_the_tail_of_a_second_derivative(torch: Any) -> None:
    x = torch.tensor(40.410841513445845, dtype=torch.float64)
    report = xcheck.check(torch.nn.functional.silu, x, order=2, witness=silu_of_mpmath, raises=False)
    found = second(report)["torch/vjp of jvp"]

    assert found.verdict is Verdict.DISAGREE
    assert found.worst[0].claimed == 0
    assert found.worst[0].measured == pytest.approx(-1.08205e-16, rel=1e-5)
    assert "mpmath" in found.reference.source


def test_right_second_derivatives_agree_with_a_witness(torch: Any) -> None:
    x = torch.tensor([0.5, -2.0], dtype=torch.float64)
    report = xcheck.check(torch.nn.functional.silu, x, order=2, witness=silu_of_mpmath)

    assert all("mpmath" in c.reference.source for c in second(report).values())
    assert not any("witness" in note for note in report.notes)


def test_a_witness_that_the_second_order_cannot_use_is_noted(torch: Any) -> None:
    x = torch.tensor([1.0, 2.0], dtype=torch.float64)
    report = xcheck.check(
        lambda x: (x**3).sum(), x, order=2, witness=lambda x: np.sum(np.asarray(x, np.longdouble) ** 3)
    )
    assert sum("witness= is not used" in note and "long doubles" in note for note in report.notes) == 2

    many = torch.arange(1.0, 10.0, dtype=torch.float64)
    report = xcheck.check(lambda x: (x**3).sum(), many, order=2, witness=lambda x: np.sum(x**3))
    assert sum("witness= is not used" in note and "9 inputs" in note for note in report.notes) == 1


def test_a_wrong_gradient_is_not_taken_for_a_wrong_witness(torch: Any) -> None:
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return 3 * saved(ctx) * g

    x = torch.tensor([1.0, 2.0], dtype=torch.float64)
    report = xcheck.check(Wrong.apply, x, order=2, witness=lambda x: x * x, raises=False)

    assert report.verdict is Verdict.DISAGREE
    assert any("another one" in note for note in report.notes)


# Second derivatives that are not finite


@pytest.mark.parametrize("seed", range(4))
def test_nan_at_a_removable_singularity_is_wrong_at_every_seed(torch: Any, seed: int) -> None:
    def f(t: Any) -> Any:
        y = torch.sinc(torch.stack([t, 2 * t + 1, 2 - t / 2]))
        return 2 * y[0] - 3 * y[1] + 5 * y[2]

    t = torch.tensor(-0.5, dtype=torch.float64)
    found = second(xcheck.check(f, t, order=2, raises=False, seed=seed))["torch/vjp of vjp"]

    assert found.verdict is Verdict.DISAGREE
    assert found.worst[0].measured == pytest.approx(35.56400, abs=1e-3)


@pytest.mark.parametrize("name", ["norm", "sqrt", "x log x", "x norm", "5/3"])
def test_nan_where_no_second_derivative_exists_is_not_wrong(torch: Any, name: str) -> None:
    f, x = {
        "norm": (lambda x: x.norm(), [0.0, 0.0]),
        "sqrt": (lambda x: x.abs().sqrt().sum(), [0.0, 1.0]),
        "x log x": (lambda x: (x.abs() * x.abs().log()).sum(), [0.0, 1.0]),
        "x norm": (lambda x: x[0] * x.norm(), [0.0, 0.0]),
        "5/3": (lambda x: (x.abs() ** (5 / 3)).sum(), [0.0, 1.0]),
    }[name]
    report = xcheck.check(f, torch.tensor(x, dtype=torch.float64), order=2, raises=False)

    assert not any(c.wrong for c in second(report).values())
