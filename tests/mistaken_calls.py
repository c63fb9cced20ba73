"""Mistakes that need a framework's own words: detach, stop_gradient, .numpy(), `where` at a pole; see `mistakes`."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
from mistaken_layers import like, mt, outer, softmax
from mistakes import RIGHT, UNKNOWN, Draw, Mistake, Planted, mistake, unknown

import xcheck
from xcheck.namespaces import namespace

AUTOMATIC = ("torch", "jax", "tensorflow")


def _checked(draw: Draw, f: Callable[..., Any], inputs: dict[str, Any], words: tuple[str, ...] = ()) -> Planted:
    """Return a check of the framework's own derivative."""
    arrays = list(inputs.values())
    call = lambda: xcheck.check(f, *arrays, backend=draw.backend, raises=False)  # noqa: E731
    return Planted(inputs, words=words, call=call)


def _cut_off(draw: Draw) -> Callable[[Any], Any]:
    """Return one of the ways in which a framework loses a gradient."""
    if draw.backend == "torch":
        torch = import_module("torch")
        return draw.choice(
            lambda x: x.detach(),
            lambda x: torch.from_numpy(np.array(x.detach().numpy())),
            lambda x: x.data,
            lambda x: torch.tensor(x.tolist(), dtype=x.dtype),
        )
    if draw.backend == "jax":
        return import_module("jax").lax.stop_gradient
    tf = import_module("tensorflow")
    return draw.choice(tf.stop_gradient, lambda x: tf.constant(x.numpy()))


@mistake("missing input", "zero", backends=AUTOMATIC)
def weights_cut_off(draw: Draw) -> Planted:
    cut, xp = _cut_off(draw), namespace(draw.backend)
    batch, a, b = draw.sizes(3, 2, 4)

    def layer(x: Any, w: Any, bias: Any) -> Any:
        return xp.tanh(xp.matmul(x, cut(w)) + bias)

    inputs = {"x": draw.array(batch, a), "w": draw.array(a, b), "bias": draw.array(b)}
    return _checked(draw, layer, inputs, ("w",))


@mistake("missing input", "zero", backends=AUTOMATIC)
def loss_of_a_copy(draw: Draw) -> Planted:
    cut, xp = _cut_off(draw), namespace(draw.backend)
    n = draw.size(1, 5)

    def loss(x: Any, s: Any) -> Any:
        return xp.sum(xp.exp(cut(x)) * xp.sin(xp.sum(s)))

    return _checked(draw, loss, {"x": draw.array(n), "s": draw.array(2)}, ("x",))


@mistake("missing input", "zero", backends=AUTOMATIC)
def keys_of_an_attention_cut_off(draw: Draw) -> Planted:
    cut, xp = _cut_off(draw), namespace(draw.backend)
    t, d = draw.sizes(2, 2, 4)

    def attention(q: Any, k: Any, v: Any) -> Any:
        return xp.matmul(softmax(xp, xp.matmul(q, xp.matrix_transpose(cut(k)))), v)

    inputs = {name: draw.array(t, d) for name in "qkv"}
    return _checked(draw, attention, inputs, ("k",))


@mistake("not finite", "not finite", backends=AUTOMATIC)
def where_at_a_pole(draw: Draw) -> Planted:
    xp = namespace(draw.backend)
    n = draw.size(2, 5)
    x, k = draw.signs(n), draw.index(n)
    x[k] = 0.0

    def sinc(x: Any) -> Any:
        return xp.where(x == 0, xp.ones_like(x), xp.sin(x) / x)

    return _checked(draw, sinc, {"x": x}, (f"x[{k}]", "zero"))


@mistake("not finite", "not finite", backends=AUTOMATIC)
def root_of_a_square_at_zero(draw: Draw) -> Planted:
    xp = namespace(draw.backend)
    n, power = draw.size(1, 5), draw.choice(2, 4)

    def energy(x: Any) -> Any:
        return xp.sqrt(xp.sum(x**2)) ** power

    return _checked(draw, energy, {"x": np.zeros(n)}, ("zero",))


@mistake("not finite", "not finite", backends=AUTOMATIC)
def untaken_branch_overflows(draw: Draw) -> Planted:
    xp = namespace(draw.backend)
    n = draw.size(2, 5)
    x, k = draw.signs(n), draw.index(n)
    x[k] = draw.scalar(800, 1500)

    def softplus(x: Any) -> Any:
        return xp.where(x > 30, x, xp.log1p(xp.exp(x)))

    return _checked(draw, softplus, {"x": x}, (f"x[{k}]",))


def _two_outputs(draw: Draw, w: Any, pull: Callable[..., Any]) -> Callable[..., Any]:
    """Return a layer with two outputs, x**3 and tanh(w x), whose rule is `pull(xp, w, x, g, h)`."""
    xp = namespace(draw.backend)

    def forward(x: Any) -> Any:
        return x**3, xp.tanh(xp.matmul(like(xp, w, x), x))

    if draw.backend == "torch":
        torch = import_module("torch")

        class Layer(torch.autograd.Function):  # type: ignore[name-defined,misc]
            @staticmethod
            def forward(ctx: Any, x: Any) -> Any:
                ctx.save_for_backward(x)
                return forward(x)

            @staticmethod
            def backward(ctx: Any, g: Any, h: Any) -> Any:
                (x,) = ctx.saved_tensors
                return pull(xp, like(xp, w, x), x, g, h)

        return lambda x: Layer.apply(x)
    if draw.backend == "jax":
        layer = import_module("jax").custom_vjp(forward)
        layer.defvjp(lambda x: (forward(x), x), lambda x, gs: (pull(xp, like(xp, w, x), x, *gs),))
        return lambda x: layer(x)
    tf = import_module("tensorflow")
    return lambda x: tf.custom_gradient(lambda x: (forward(x), lambda g, h: pull(xp, like(xp, w, x), x, g, h)))(x)


@mistake("one of several outputs", "factor", "transposed", "zero", backends=AUTOMATIC)
def rule_that_is_wrong_for_its_second_output(draw: Draw) -> Planted:
    n = draw.size(3, 5)
    w, kind = draw.rng.normal(size=(n, n)) / n, draw.choice("twice", "transpose", "zero")

    def pull(xp: Any, w: Any, x: Any, g: Any, h: Any) -> Any:
        d = h * (1 - xp.tanh(xp.matmul(w, x)) ** 2)
        own = {"twice": 2 * xp.matmul(d, w), "transpose": xp.matmul(w, d), "zero": 0 * x}[kind]
        return 3 * g * x**2 + own

    return _checked(draw, _two_outputs(draw, w, pull), {"x": draw.array(n)}, (kind, "d out[1] / d x"))


# What no cause explains


@unknown
def noise(draw: Draw) -> Planted:
    n, m = draw.size(1, 5), draw.size(1, 5)
    w, claim = draw.array(m, n), draw.array(m, n)

    def forward(xp: Any, x: Any) -> Any:
        return xp.sin(xp.matmul(like(xp, w, x), x))

    return Planted({"x": draw.array(n)}, forward, lambda xp, g, x: (xp.matmul(g, like(xp, claim, x)),))


@unknown
def noise_for_a_batch(draw: Draw) -> Planted:
    batch, n = draw.size(2, 3), draw.size(2, 3)
    claim = draw.array(batch * n, batch * n)

    def backward(xp: Any, g: Any, x: Any) -> Any:
        return (xp.reshape(xp.matmul(xp.reshape(g, (batch * n,)), like(xp, claim, x)), (batch, n)),)

    return Planted({"x": draw.array(batch, n)}, lambda xp, x: softmax(xp, x), backward)


@unknown
def another_function_of_the_same_input(draw: Draw) -> Planted:
    n = draw.size(1, 6)
    own = draw.choice(
        lambda xp, x: xp.exp(x),
        lambda xp, x: 1 / (1 + x**2),
        lambda xp, x: xp.cos(1.1 * x + 0.2),
        lambda xp, x: 3 * x**2,
    )
    return Planted({"x": draw.array(n)}, lambda xp, x: xp.sin(x) + 0.1 * x, lambda xp, g, x: (g * own(xp, x),))


@unknown
def gradient_of_another_loss(draw: Draw) -> Planted:
    n = draw.size(1, 6)
    c, d = draw.array(n), draw.array(n)

    def forward(xp: Any, w: Any) -> Any:
        return xp.sum(xp.cos(w) * like(xp, c, w)) ** 2

    def backward(xp: Any, g: Any, w: Any) -> Any:
        return (g * like(xp, d, w) * xp.exp(0.3 * w),)

    return Planted({"w": draw.array(n)}, forward, backward)


@unknown
def every_output_by_a_factor_of_its_own(draw: Draw) -> Planted:
    n, m = draw.size(2, 5), draw.size(2, 5)
    w, factors = draw.array(m, n), draw.rng.uniform(0.3, 2.0, m)

    def forward(xp: Any, x: Any) -> Any:
        return xp.tanh(xp.matmul(like(xp, w, x), x))

    def backward(xp: Any, g: Any, x: Any) -> Any:
        v = like(xp, w, x)
        return (xp.matmul(g * like(xp, factors, x) * (1 - forward(xp, x) ** 2), v),)

    return Planted({"x": draw.array(n)}, forward, backward)


@unknown
def wrong_exponent(draw: Draw) -> Planted:
    n, p = draw.size(2, 6), draw.scalar(1.2, 2.8)

    def forward(xp: Any, x: Any) -> Any:
        return xp.sum(x**p)

    return Planted({"x": draw.positive(n)}, forward, lambda xp, g, x: (g * p * x**p,))


@unknown
def a_weight_of_the_wrong_layer(draw: Draw) -> Planted:
    n = draw.size(2, 5)
    w, other = draw.array(n, n), draw.array(n, n)

    def forward(xp: Any, x: Any) -> Any:
        return xp.matmul(like(xp, w, x), xp.tanh(x))

    def backward(xp: Any, g: Any, x: Any) -> Any:
        return (xp.matmul(g, like(xp, other, x)) * (1 - xp.tanh(x) ** 2),)

    return Planted({"x": draw.array(n)}, forward, backward)


@unknown
def two_inputs_both_unrelated(draw: Draw) -> Planted:
    n = draw.size(1, 4)
    c, d = draw.array(n), draw.array(n)

    def backward(xp: Any, g: Any, a: Any, b: Any) -> Any:
        return g * like(xp, c, a) * xp.exp(a), g * like(xp, d, a) * xp.sin(a * b)

    return Planted({"a": draw.array(n), "b": draw.array(n)}, lambda xp, a, b: xp.sin(a) * b**2 + b, backward)


@unknown
def wrong_at_entries_by_chance(draw: Draw) -> Planted:
    n = draw.size(4, 9)
    hit = draw.rng.random(n) < 0.4
    amount = np.where(hit, draw.array(n), 0.0)

    def backward(xp: Any, g: Any, x: Any) -> Any:
        return (g * (xp.cos(x) + like(xp, amount, x)),)

    return Planted({"x": draw.array(n)}, lambda xp, x: xp.sin(x), backward)


@unknown
def a_slope_where_the_function_is_flat(draw: Draw) -> Planted:
    """A slope of zero does not mean that an input is ignored: dead units and even functions have it."""
    n = draw.size(1, 5)
    even = draw.choice(True, False)
    x = np.zeros(n) if even else -draw.positive(n)

    def forward(xp: Any, x: Any) -> Any:
        return xp.cos(x) if even else xp.maximum(x, 0 * x) * 2

    return Planted({"x": x}, forward, lambda xp, g, x: (g * (0.3 + xp.exp(x)),))


@unknown
def everything_equal(draw: Draw) -> Planted:
    """Of equal inputs every elementwise error is the same factor, and the same term; neither is the cause."""
    n = draw.size(3, 6)
    f, slope = draw.choice(
        (lambda xp, x: xp.exp(x), lambda xp, x: xp.sin(x) + x),
        (lambda xp, x: x**3, lambda xp, x: 2 * x),
        (lambda xp, x: xp.tanh(x), lambda xp, x: 1 - xp.tanh(x)),
    )
    total = draw.choice(True, False)

    def forward(xp: Any, x: Any) -> Any:
        return xp.sum(f(xp, x)) if total else f(xp, x)

    return Planted({"x": np.full(n, draw.choice(1.0, 2.0, 0.5))}, forward, lambda xp, g, x: (g * slope(xp, x),))


@unknown
def two_mistakes_at_once(draw: Draw) -> Planted:
    n = draw.size(3, 5)
    w, c = draw.array(n, n), draw.array(n)

    def forward(xp: Any, x: Any) -> Any:
        return xp.matmul(like(xp, w, x), x) + xp.sin(x)

    def backward(xp: Any, g: Any, x: Any) -> Any:
        return (2 * xp.matmul(like(xp, w, x), g) + g * like(xp, c, x),)

    return Planted({"x": draw.array(n)}, forward, backward)


@unknown
def statistics_taken_for_constants(draw: Draw) -> Planted:
    """A normalisation whose backward divides by the deviation and forgets the rest; no transformation of the slopes."""
    n = draw.size(3, 6)

    def forward(xp: Any, x: Any) -> Any:
        d = x - xp.mean(x)
        return d / xp.sqrt(xp.mean(d * d) + 0.1)

    def backward(xp: Any, g: Any, x: Any) -> Any:
        d = x - xp.mean(x)
        return (g / xp.sqrt(xp.mean(d * d) + 0.1),)

    return Planted({"x": draw.rng.normal(size=n)}, forward, backward)


@unknown
def one_of_three_terms(draw: Draw) -> Planted:
    n = draw.size(2, 6)
    c = draw.array(n)

    def forward(xp: Any, w: Any) -> Any:
        return xp.sum(xp.exp(w)) + xp.sum(like(xp, c, w) * w) ** 2 + xp.sum(xp.cos(w))

    return Planted({"w": draw.array(n)}, forward, lambda xp, g, w: (g * (xp.exp(w) + 2 * xp.sum(like(xp, c, w) * w)),))


@unknown
def a_complex_function_all_wrong(draw: Draw) -> Planted:
    n = draw.size(1, 3)
    c = draw.array(n) + 1j * draw.array(n)
    z = draw.array(n) + 1j * draw.array(n)
    return Planted({"z": z}, lambda xp, z: z**3, lambda xp, g, z: (g * like(xp, c, z) * z,))


def right(draw_one: Callable[[Draw], Planted]) -> Callable[[Draw], Planted]:
    """Register a right derivative."""
    RIGHT.append(Mistake("right", frozenset(), draw_one, ("numpy", "torch", "jax", "tensorflow")))
    return draw_one


@right
def dense_layer(draw: Draw) -> Planted:
    batch, a, b = draw.size(1, 4), draw.size(1, 4), draw.size(1, 4)

    def forward(xp: Any, x: Any, w: Any, bias: Any) -> Any:
        return xp.tanh(xp.matmul(x, w) + bias)

    def backward(xp: Any, g: Any, x: Any, w: Any, bias: Any) -> Any:
        d = g * (1 - forward(xp, x, w, bias) ** 2)
        return xp.matmul(d, mt(xp, w)), xp.matmul(mt(xp, x), d), xp.sum(d, axis=0)

    inputs = {"x": draw.array(batch, a), "w": draw.array(a, b), "bias": draw.array(b)}
    return Planted(inputs, forward, backward)


@right
def softmax_layer(draw: Draw) -> Planted:
    def forward(xp: Any, z: Any) -> Any:
        return softmax(xp, z)

    def backward(xp: Any, g: Any, z: Any) -> Any:
        p = softmax(xp, z)
        return (p * (g - xp.sum(g * p, axis=-1, keepdims=True)),)

    return Planted({"z": draw.array(draw.size(1, 3), draw.size(1, 4))}, forward, backward)


@right
def quadratic_form(draw: Draw) -> Planted:
    n = draw.size(1, 5)

    def forward(xp: Any, w: Any, x: Any) -> Any:
        return xp.sum(x * xp.matmul(w, x))

    def backward(xp: Any, g: Any, w: Any, x: Any) -> Any:
        return g * outer(x, x), g * (xp.matmul(w, x) + xp.matmul(x, w))

    return Planted({"w": draw.array(n, n), "x": draw.array(n)}, forward, backward)


assert UNKNOWN
