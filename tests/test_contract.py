"""What a rule owes beyond right values: broken ones are named, right ones are left in peace, refusals are told."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np
import pytest

import xcheck
from xcheck.verdict import Verdict

X = np.random.default_rng(0).normal(size=(3, 4))
W = np.random.default_rng(1).normal(size=(3, 4))
RUNS_COMPILER = 10.0
"""Seconds of budget that let torch compile."""


def look(f: Callable[..., Any], *inputs: Any, **options: Any) -> xcheck.Report:
    return xcheck.check(f, *inputs, raises=False, **options)


def reasons(report: xcheck.Report) -> list[str]:
    """Return what is wrong with the rule, without what is wrong with its values."""
    return [c.reason for c in report.comparisons if c.verdict is Verdict.DISAGREE and c.reason]


# Planted in torch


def operators(torch: Any) -> dict[str, tuple[str, Any, tuple[Any, ...]]]:
    """Make one operator for every way of breaking the contract, with a part of the sentence that has to name it."""
    Function = torch.autograd.Function
    x, w = torch.tensor(X), torch.tensor(W)
    ticks = count()

    def operator(forward: Callable[..., Any], backward: Callable[..., Any]) -> Callable[..., Any]:
        class Operator(Function):
            @staticmethod
            def forward(ctx: Any, *inputs: Any) -> Any:
                ctx.save_for_backward(*inputs)
                ctx.set_materialize_grads(False)
                return forward(*inputs)

            @staticmethod
            def backward(ctx: Any, *cotangents: Any) -> Any:
                return backward(ctx, *cotangents)

        return Operator.apply

    def ignores_strides(ctx: Any, g: Any) -> Any:
        return 3 * torch.as_strided(g, g.shape, torch.empty(g.shape).stride()).clone()

    def mishandles_expanded(ctx: Any, g: Any) -> Any:
        return (6 if g.stride(0) == 0 else 3) * g

    def keeps_input(ctx: Any, g: Any) -> Any:
        ctx.saved_tensors[0].data.zero_()
        return 2 * g

    def sometimes(ctx: Any, g: Any) -> Any:
        return 2 * g + 0.25 * (next(ticks) > 60)

    class LastOne(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            LastOne.slope = x.cos()
            return x.sin()

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * LastOne.slope

    class Saved(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.slope = x.cos()
            return x.sin()

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return ctx.slope.mul_(g).clone()

    buffer = torch.empty_like(x)

    def shared_buffer(ctx: Any, g: Any) -> Any:
        return buffer.copy_(g * ctx.saved_tensors[0].cos())

    def one_of_two(ctx: Any, a: Any, b: Any) -> Any:
        (x,) = ctx.saved_tensors
        return a if b is None else (0 if a is None else a * x.cos()) - b * x.sin()

    def crashes_on_none(ctx: Any, a: Any, b: Any) -> Any:
        (x,) = ctx.saved_tensors
        return a * x.cos() - b * x.sin()

    def swapped_when_alone(ctx: Any, g: Any) -> Any:
        x, w = ctx.saved_tensors
        return (
            (g * w, g * x) if all(ctx.needs_input_grad) else tuple(g * w if n else None for n in ctx.needs_input_grad)
        )

    def sine_pair(x: Any) -> Any:
        return x.sin(), x.cos()

    class MappedWrongly(Function):
        @staticmethod
        def forward(x: Any) -> Any:
            return x.sin()

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * ctx.saved_tensors[0].cos()

        @staticmethod
        def vmap(info: Any, in_dims: Any, x: Any) -> Any:
            return x.cos(), in_dims[0]

    class Slope(Function):
        @staticmethod
        def forward(g: Any, x: Any) -> Any:
            return g * x.cos()

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            pass

        @staticmethod
        def vmap(info: Any, in_dims: Any, g: Any, x: Any) -> Any:
            return g + x, 0

    class PulledWrongly(Function):
        generate_vmap_rule = False

        @staticmethod
        def forward(x: Any) -> Any:
            return x.sin()

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return Slope.apply(g, ctx.saved_tensors[0])

        @staticmethod
        def vmap(info: Any, in_dims: Any, x: Any) -> Any:
            return PulledWrongly.apply(x), in_dims[0]

    return {
        "strides are ignored": ("how the cotangent lies in memory", operator(lambda x: 3 * x, ignores_strides), (x,)),
        "expanded cotangents": ("memory: expanded", operator(lambda x: 3 * x, mishandles_expanded), (x,)),
        "the cotangent is changed": ("changes its cotangent", operator(lambda x: 2 * x, lambda c, g: g.mul_(2)), (x,)),
        "a contiguous one is changed": (
            "changes its cotangent",
            operator(lambda x: 2 * x, lambda c, g: g.mul_(2) if g.is_contiguous() else 2 * g),
            (x,),
        ),
        "an input is changed": ("changes inputs[0] in place", operator(lambda x: 2 * x, keeps_input), (x,)),
        "what was saved is changed": ("changes what the forward saved", Saved.apply, (x,)),
        "state on the class": ("keeps state between calls", LastOne.apply, (x,)),
        "one buffer for all gradients": ("used twice in one graph", operator(torch.sin, shared_buffer), (x,)),
        "zero gives NaN": (
            "of zero has to give zero",
            operator(lambda x: 2 * x, lambda c, g: 2 * g / g.norm() * g.norm()),
            (x,),
        ),
        "zero raises": (
            "take a cotangent of zero",
            operator(lambda x: 2 * x, lambda c, g: 2 * g if g.any() else {}["a largest entry"]),
            (x,),
        ),
        "one output alone": ("out[0] used and the other outputs not", operator(sine_pair, one_of_two), (x,)),
        "None raises": ("with out[0] used alone, the rule fails", operator(sine_pair, crashes_on_none), (x,)),
        "one input alone": ("asked for", operator(lambda x, w: x * w, swapped_when_alone), (x, w)),
        "a lower precision": ("loses digits", operator(lambda x: 2 * x, lambda c, g: (2 * g).float()), (x,)),
        "not the same twice": ("different values for the same", operator(lambda x: 2 * x, sometimes), (x,)),
        "not linear": ("not linear in its cotangent", operator(torch.clone, lambda c, g: g.clamp(-1, 1)), (x,)),
        "mapped values": ("mapped over points, the function", MappedWrongly.apply, (x,)),
        "mapped gradients": ("mapped over points, the rule", PulledWrongly.apply, (x,)),
    }


NAMES = (
    "strides are ignored",
    "expanded cotangents",
    "the cotangent is changed",
    "a contiguous one is changed",
    "an input is changed",
    "what was saved is changed",
    "state on the class",
    "one buffer for all gradients",
    "zero gives NaN",
    "zero raises",
    "one output alone",
    "None raises",
    "one input alone",
    "a lower precision",
    "not linear",
    "mapped values",
    "mapped gradients",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_broken_rule_of_torch_is_found_and_named(torch: Any, name: str) -> None:
    words, f, inputs = operators(torch)[name]
    report = look(f, *inputs)
    assert report.verdict is Verdict.DISAGREE, str(report)
    assert words in reasons(report)[0], str(report)
    inside = look(lambda *xs: f(*xs), *inputs)  # behind a lambda, the tape still tells that there is a custom rule
    assert inside.verdict is Verdict.DISAGREE, str(inside)


def test_a_finding_shows_both_numbers_and_the_place(torch: Any) -> None:
    _, f, inputs = operators(torch)["state on the class"]
    found = next(c for c in look(f, *inputs).comparisons if c.reason)
    worst = found.worst[0]
    assert worst.name.startswith("x[")
    assert worst.name.endswith("pulled back after a call with other data")
    assert np.all(np.isfinite([worst.claimed, worst.measured]))
    assert worst.claimed != worst.measured
    assert 0 < found.wrong <= found.total == X.size


def test_the_contract_can_be_left_out_and_asked_for(torch: Any) -> None:
    _, f, inputs = operators(torch)["expanded cotangents"]
    assert look(f, *inputs, contract=False).ok
    plain, asked = look(torch.sin, torch.tensor(X)), look(torch.sin, torch.tensor(X), contract=True)
    assert not any("contract" in line for line in (*plain.notes, *plain.unchecked))
    assert any(line.startswith("contract kept: repeated backward, layouts") for line in asked.notes), str(asked)
    with pytest.raises(TypeError, match="contract= must be True, False or None; given: str"):
        look(torch.sin, torch.tensor(X), contract="yes")


def test_a_gradient_of_a_lower_precision_is_named_by_its_dtype(torch: Any) -> None:
    class Halved(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return 2 * x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return (2 * g).to(torch.bfloat16 if g.dtype == torch.float16 else torch.float64)

    narrow, wide = (look(Halved.apply, torch.tensor(X).to(dtype)) for dtype in (torch.float16, torch.float32))
    assert any("dtype bfloat16" in line for line in (*reasons(narrow), *narrow.notes)) or not narrow.ok
    assert wide.ok
    assert any("of dtype float64 for input 0 of Halved, of dtype float32" in note for note in wide.notes)


def test_what_torch_compile_changes_is_found_where_the_budget_allows_it(torch: Any) -> None:
    class Compiled(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * (5.0 if torch.compiler.is_compiling() else 2.0)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return 2 * g

    x = torch.tensor(X)
    assert any(line.startswith("contract, compiled: takes") for line in look(Compiled.apply, x).unchecked)
    assert "compiled, the function gives other values" in reasons(look(Compiled.apply, x, budget=RUNS_COMPILER))[0]


def test_an_evaluation_beyond_the_budget_skips_the_contract_with_a_word(torch: Any) -> None:
    _, f, inputs = operators(torch)["expanded cotangents"]
    report = look(f, *inputs, budget=1e-9)
    assert any(line.startswith("contract: one evaluation takes") for line in report.unchecked), str(report)


# Bad input


def bad(torch: Any) -> dict[str, tuple[str, Callable[..., Any]]]:
    def returning(result: Callable[[Any], Any]) -> Callable[..., Any]:
        class Bad(torch.autograd.Function):
            @staticmethod
            def forward(ctx: Any, x: Any) -> Any:
                return x.sin()

            @staticmethod
            def backward(ctx: Any, g: Any) -> Any:
                return result(g)

        return Bad.apply

    class Once(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.slope = x.cos()
            return x.sin()

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            slope = ctx.slope
            del ctx.slope
            return slope * g

    return {
        "raises": ("raises KeyError: 'weights'", returning(lambda g: {}["weights"])),
        "too many": ("incorrect number of gradients (expected 1, got 2)", returning(lambda g: (g, g))),
        "a scalar": ("got float", returning(lambda g: 1.0)),
        "NumPy": ("got numpy.ndarray", returning(lambda g: g.numpy())),
        "shape": ("got [2, 4] but expected shape compatible with [3, 4]", returning(lambda g: g[:2])),
        "device": ("expected device cpu but got meta", returning(lambda g: g.to("meta"))),
        "once": ("runs once through a graph that is kept", Once.apply),
    }


@pytest.mark.parametrize("name", ["raises", "too many", "a scalar", "NumPy", "shape", "device", "once"])
def test_a_backward_that_gives_nothing_usable_is_a_finding(torch: Any, name: str) -> None:
    words, f = bad(torch)[name]
    report = look(f, torch.tensor(X))
    assert report.verdict is Verdict.DISAGREE
    assert words in reasons(report)[0], str(report)
    with pytest.raises(xcheck.DerivativeError):
        xcheck.check(f, torch.tensor(X))


def test_too_few_gradients_are_a_finding(torch: Any) -> None:
    class Few(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, w: Any) -> Any:
            return x * w

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g

    assert (
        "incorrect number of gradients (expected 2, got 1)"
        in reasons(look(Few.apply, torch.tensor(X), torch.tensor(W)))[0]
    )


def test_a_rule_that_is_missing_and_one_that_refuses_batching_are_told(torch: Any) -> None:
    class NoRule(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x.sin()

    class Plain(NoRule):
        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return torch.zeros_like(g)

    report = look(NoRule.apply, torch.tensor(X))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert any(line.startswith("torch/vjp: no rule") for line in report.unchecked)
    assert any(line.startswith("contract: no reverse rule") for line in report.unchecked)
    report = look(Plain.apply, torch.tensor(X))
    assert any(line.startswith("torch/vmap: not supported (RuntimeError: ") for line in report.notes)
    assert any(line.startswith("torch/jvp: no rule") for line in report.unchecked)


def test_a_backward_that_needs_contiguous_cotangents_is_told(torch: Any) -> None:
    class Viewed(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return 2 * x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return 2 * g.view(-1).view(g.shape)

    notes = look(Viewed.apply, torch.tensor(X)).notes
    assert any("raises RuntimeError for a cotangent that is transposed" in note for note in notes)


# JAX and TensorFlow


def test_broken_rules_of_jax_are_found_and_named(jax: Any) -> None:
    jnp, last = jax.numpy, {}

    def rule(forward: Callable[..., Any], backward: Callable[..., Any]) -> Any:
        f = jax.custom_vjp(lambda x: jnp.sin(x))
        f.defvjp(forward, backward)
        return f

    def remember(x: Any) -> Any:
        last["slope"] = jnp.cos(x)
        return jnp.sin(x), None

    def keep(x: Any) -> Any:
        return jnp.sin(x), jnp.cos(x)

    def traced(slope: Any, g: Any) -> Any:
        return (g * slope * (2.0 if isinstance(g, jax.core.Tracer) else 1.0),)

    @jax.custom_batching.custom_vmap
    def mapped(x: Any) -> Any:
        return jnp.sin(x)

    mapped.def_vmap(lambda size, batched, x: (jnp.cos(x), batched[0]))
    broken = jax.custom_vjp(mapped)
    broken.defvjp(lambda x: (mapped(x), jnp.cos(x)), lambda slope, g: (g * slope,))
    planted = {
        "keeps state between calls": rule(remember, lambda _, g: (g * last["slope"],)),
        "of zero has to give zero": rule(
            keep, lambda slope, g: (g / jnp.max(jnp.abs(g)) * jnp.max(jnp.abs(g)) * slope,)
        ),
        "the rule gives other gradients": rule(keep, traced),
        "mapped over points, the function gives other values": broken,
        "not linear in its cotangent": rule(keep, lambda slope, g: (jnp.clip(g, -1, 1) * slope,)),
        "differentiating": rule(keep, lambda slope, g: (g, g)),
    }
    for words, f in planted.items():
        report = look(lambda x, f=f: f(x), X, backend="jax")
        assert any(words in reason for reason in reasons(report)), f"{words}\n{report}"


def test_broken_rules_of_tensorflow_are_found_and_named(tf: Any) -> None:
    last = {}

    def rule(backward: Callable[..., Any]) -> Any:
        @tf.custom_gradient
        def f(x: Any) -> Any:
            last["slope"] = tf.cos(x)
            return tf.sin(x), lambda g: backward(x, g)

        return f

    def norm(g: Any) -> Any:
        return tf.reduce_max(tf.abs(g))

    def traced(x: Any, g: Any) -> Any:
        return g * tf.cos(x) * (1.0 if tf.executing_eagerly() else 2.0)

    planted = {
        "keeps state between calls": rule(lambda x, g: g * last["slope"]),
        "of zero has to give zero": rule(lambda x, g: g / norm(g) * norm(g) * tf.cos(x)),
        "other gradients": rule(traced),
        "returned shape (2, 4) for x": rule(lambda x, g: g[:2]),
        "differentiating": rule(lambda x, g: (g, g)),
    }
    for words, f in planted.items():
        report = look(f, tf.constant(X))
        assert any(words in reason for reason in reasons(report)), f"{words}\n{report}"


def test_a_gradient_of_another_dtype_in_tensorflow_is_named(tf: Any) -> None:
    @tf.custom_gradient
    def f(x: Any) -> Any:
        return 2 * x, lambda g: tf.cast(2 * g, tf.float32)

    found = reasons(look(f, tf.constant(X)))
    assert any("loses digits" in reason or "dtype float32 for x" in reason for reason in found)


# Right ones


def right_of_torch(torch: Any) -> dict[str, tuple[Any, tuple[Any, ...]]]:
    Function = torch.autograd.Function
    x, w = torch.tensor(X), torch.tensor(W)

    class Sine(Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(x: Any) -> Any:
            return x.sin()

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.save_for_backward(*inputs)
            ctx.save_for_forward(*inputs)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * ctx.saved_tensors[0].cos()

        @staticmethod
        def jvp(ctx: Any, t: Any) -> Any:
            return t * ctx.saved_tensors[0].cos()

    class Product(Function):
        @staticmethod
        def forward(ctx: Any, a: Any, b: Any) -> Any:
            ctx.save_for_backward(a, b)
            return a @ b.mT

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            a, b = ctx.saved_tensors
            return g @ b if ctx.needs_input_grad[0] else None, g.mT @ a if ctx.needs_input_grad[1] else None

    class Pair(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            ctx.set_materialize_grads(False)
            index = x.argmax()
            ctx.mark_non_differentiable(index)
            return x.sin(), x.sum(), index

        @staticmethod
        def backward(ctx: Any, a: Any, b: Any, _: Any) -> Any:
            (x,) = ctx.saved_tensors
            return (0 if a is None else a * x.cos()) + (torch.zeros_like(x) if b is None else b.expand_as(x))

    class InPlace(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.mark_dirty(x)
            return x.mul_(2)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return 2 * g

    class Power(Function):
        @staticmethod
        def forward(ctx: Any, x: Any, n: int) -> Any:
            ctx.save_for_backward(x)
            ctx.n = n
            return x**n

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * ctx.n * ctx.saved_tensors[0] ** (ctx.n - 1), None

    class Softmax(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            y = torch.softmax(x, -1)
            ctx.save_for_backward(y)
            return y

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx: Any, g: Any) -> Any:
            (y,) = ctx.saved_tensors
            return y * (g - (g * y).sum(-1, keepdim=True))

    class Modulus(Function):
        @staticmethod
        def forward(ctx: Any, z: Any) -> Any:
            ctx.save_for_backward(z)
            return z.abs() ** 2

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return 2 * g * ctx.saved_tensors[0]

    class Spinning(Function):
        @staticmethod
        def forward(ctx: Any, z: Any) -> Any:
            ctx.save_for_backward(z)
            return z.exp()

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * ctx.saved_tensors[0].exp().conj()

    class Branching(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.positive = bool(x.sum() > 0)
            return 2 * x if ctx.positive else 3 * x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return 2 * g if ctx.positive else 3 * g

    z = torch.complex(x, w)
    return {
        "sine": (Sine.apply, (x,)),
        "sine in float32": (Sine.apply, (x.float(),)),
        "sine in bfloat16": (Sine.apply, (x.bfloat16(),)),
        "sine of a number": (Sine.apply, (x[0, 0],)),
        "transposed input": (lambda x: Sine.apply(x.T), (x,)),
        "inside": (lambda x: (Sine.apply(x).exp() * x).sum(), (x,)),
        "nested": (lambda x: Sine.apply(Sine.apply(x)), (x,)),
        "product": (Product.apply, (x, w)),
        "product in float32": (Product.apply, (x.float(), w.float())),
        "pair": (Pair.apply, (x,)),
        "in place": (lambda x: InPlace.apply(x + 1), (x,)),
        "power": (lambda x: Power.apply(x, 3), (x,)),
        "softmax": (Softmax.apply, (x,)),
        "softmax in float32": (Softmax.apply, (x.float(),)),
        "modulus": (Modulus.apply, (z,)),
        "exponential": (Spinning.apply, (z,)),
        "branching": (Branching.apply, (x,)),
    }


RIGHT = (
    "sine",
    "sine in float32",
    "sine in bfloat16",
    "sine of a number",
    "transposed input",
    "inside",
    "nested",
    "product",
    "product in float32",
    "pair",
    "in place",
    "power",
    "softmax",
    "softmax in float32",
    "modulus",
    "exponential",
    "branching",
)


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_operator_of_torch_has_no_finding(torch: Any, name: str) -> None:
    f, inputs = right_of_torch(torch)[name]
    report = look(f, *inputs)
    assert report.verdict is Verdict.AGREE, str(report)
    kept = "contract kept: repeated backward, layouts of the cotangent, zero"
    assert any(note.startswith(kept) for note in report.notes)
    assert not any("raised" in line for line in report.unchecked), str(report)


def test_right_operators_of_jax_have_no_finding(jax: Any) -> None:
    jnp = jax.numpy
    sine = jax.custom_vjp(jnp.sin)
    sine.defvjp(lambda x: (jnp.sin(x), x), lambda x, g: (g * jnp.cos(x),))
    tangent = jax.custom_jvp(lambda x: jnp.tanh(x))
    tangent.defjvps(lambda t, y, x: t * (1 - y**2))
    turn = jax.custom_vjp(jnp.exp)
    turn.defvjp(lambda z: (jnp.exp(z),) * 2, lambda y, g: (g * y,))
    pair = jax.custom_vjp(lambda x, w: (x * w, jnp.sum(x)))
    pair.defvjp(lambda x, w: (pair(x, w), (x, w)), lambda s, g: (g[0] * s[1] + g[1], g[0] * s[0]))
    cases = {
        "sine": (sine, (X,)),
        "sine in float32": (sine, (X.astype(np.float32),)),
        "under jit": (jax.jit(lambda x: sine(x) * x), (X,)),
        "tangent": (tangent, (X[0],)),
        "complex": (turn, (X[0] + 1j * W[0],)),
        "pair": (pair, (X, W)),
    }
    for name, (f, inputs) in cases.items():
        report = look(f, *inputs, backend="jax")
        assert report.verdict is Verdict.AGREE, f"{name}\n{report}"
        kept = [note for note in report.notes if note.startswith("contract kept: repeated backward")]
        assert "vmap, compiled" in kept[0]


def test_right_operators_of_tensorflow_have_no_finding(tf: Any) -> None:
    @tf.custom_gradient
    def sine(x: Any) -> Any:
        return tf.sin(x), lambda g: g * tf.cos(x)

    @tf.custom_gradient
    def by_numpy(x: Any) -> Any:
        return tf.constant(np.sin(x.numpy())), lambda g: g * tf.cos(x)

    @tf.custom_gradient
    def pair(x: Any, w: Any) -> Any:
        return (x * w, tf.reduce_sum(x)), lambda a, b: (a * w + b, a * x)

    cases = {
        "sine": (sine, (tf.constant(X),)),
        "sine in float32": (sine, (tf.constant(X, tf.float32),)),
        "a body in NumPy": (by_numpy, (tf.constant(X),)),
        "inside": (lambda x: tf.reduce_sum(sine(x) ** 2), (tf.constant(X),)),
        "pair": (pair, (tf.constant(X), tf.constant(W))),
    }
    for name, (f, inputs) in cases.items():
        report = look(f, *inputs)
        assert report.verdict is Verdict.AGREE, f"{name}\n{report}"
        assert any(note.startswith("contract kept: repeated backward") for note in report.notes), str(report)


def test_frameworks_own_rules_are_nobodys(jax: Any, tf: Any) -> None:
    for f, x, backend in ((jax.nn.silu, X, "jax"), (jax.nn.relu, X, "jax"), (tf.nn.silu, tf.constant(X), "tensorflow")):
        report = look(f, x, backend=backend)
        assert not any("contract" in line for line in (*report.notes, *report.unchecked)), str(report)


# The anchors


def test_an_input_whose_gradient_is_none_is_wrong_where_it_varies_and_else_named_unchecked(
    torch: Any,
) -> None:
    class Half(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, w: Any) -> Any:
            ctx.save_for_backward(w)
            return x * w

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * ctx.saved_tensors[0], None

    x, w = torch.tensor(X[0]), torch.tensor(W[0])
    both, one = look(Half.apply, x, w), look(Half.apply, x, w, wrt=0)
    assert both.verdict is Verdict.DISAGREE
    assert "torch returned None for: w" in both.comparisons[0].notes
    assert one.ok
    assert "w: held constant, not named in wrt=" in one.unchecked


def test_an_intermediate_saved_on_the_context_shows_in_second_order(torch: Any) -> None:
    class Saved(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.slope = torch.exp(x)
            return ctx.slope.clone()

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * ctx.slope

    x = torch.tensor(X[0])
    assert look(Saved.apply, x).ok
    report = look(Saved.apply, x, order=2)
    wrong = [c.claim.source for c in report.comparisons if c.verdict is Verdict.DISAGREE]
    assert wrong[0] == "torch/vjp of vjp", str(report)


def test_renorm_to_nothing_has_no_slope(torch: Any) -> None:
    report = look(lambda x: torch.renorm(x, 2, 0, 0.0), torch.zeros(2, 3, dtype=torch.float64), contract=True)
    worst = report.comparisons[0].worst[0]
    assert report.verdict is Verdict.DISAGREE
    assert (worst.claimed, worst.measured) == (1.0, 0.0)


def test_the_modulus_of_complex_numbers_is_right_twice_and_in_every_order_of_modes(torch: Any) -> None:
    report = look(torch.abs, torch.complex(torch.tensor(X[0]), torch.tensor(W[0])), order=2, contract=True)
    assert report.ok, str(report)
    assert {"torch/vjp of vjp", "torch/vjp of jvp", "torch/jvp of jvp"} <= {c.claim.source for c in report.comparisons}


def test_a_jacobian_inside_of_a_function_is_mapped_rightly_or_refused(torch: Any) -> None:
    from torch.autograd.functional import jacobian

    report = look(
        lambda x: jacobian(lambda y: y.sin() * y.sum(), x, create_graph=True), torch.tensor(X[0]), contract=True
    )
    assert report.ok, str(report)
    told = [line for line in report.notes if line.startswith(("torch/vmap", "contract kept: repeated"))]
    assert any("vmap" in line for line in told), str(report)
