"""Layers and losses with backward passes that are wrong as users' are; see `mistakes`."""

from __future__ import annotations

from typing import Any

import numpy as np
from mistakes import Draw, Planted, mistake

T = Any
XP = Any


def like(xp: XP, array: Any, x: T) -> T:
    """Turn a constant into an array of the dtype that x has."""
    return xp.asarray(np.asarray(array), dtype=x.dtype)


def mt(xp: XP, a: T) -> T:
    return xp.matrix_transpose(a)


def outer(a: T, b: T) -> T:
    return a[:, None] * b[None]


def sigmoid(xp: XP, x: T) -> T:
    return 1 / (1 + xp.exp(-x))


def softmax(xp: XP, x: T, axis: int = -1) -> T:
    e = xp.exp(x - xp.max(x, axis=axis, keepdims=True))
    return e / xp.sum(e, axis=axis, keepdims=True)


# Constant factors


def _least_squares(draw: Draw, share: str, wrong: float, sign: float = 1.0) -> Planted:
    """Return a sum or mean of squares over data; `wrong` is the factor in front of X^T r that the user writes."""
    count, width = draw.size(5, 9), draw.size(2, 4)
    data, target, w = draw.array(count, width), draw.array(count), draw.array(width)
    scale = {"sum": 1.0, "half": 0.5, "mean": 1.0 / count}[share]

    def forward(xp: XP, w: T, data: T) -> T:
        return scale * xp.sum((xp.matmul(data, w) - like(xp, target, w)) ** 2)

    def backward(xp: XP, g: T, w: T, data: T) -> tuple[T, T]:
        r = xp.matmul(data, w) - like(xp, target, w)
        factor = wrong if wrong else 1.0 / count
        return sign * g * factor * xp.matmul(mt(xp, data), r), 0 * data

    return Planted({"w": w, "data": data}, forward, backward, constant=("data",))


@mistake("factor 2", "factor")
def squares_with_a_two_too_many(draw: Draw) -> Planted:
    planted = _least_squares(draw, "half", 2.0)
    return Planted(**{**vars(planted), "words": ("twice",)})


@mistake("factor 1/2", "factor")
def squares_without_the_two(draw: Draw) -> Planted:
    planted = _least_squares(draw, "sum", 1.0)
    return Planted(**{**vars(planted), "words": ("half",)})


@mistake("factor N", "factor")
def mean_of_squares_without_the_mean(draw: Draw) -> Planted:
    planted = _least_squares(draw, "mean", 2.0)
    count = len(planted.inputs["data"])
    return Planted(**{**vars(planted), "words": (f"{count} times",)})


@mistake("factor 1/N", "factor")
def sum_of_half_squares_with_a_mean(draw: Draw) -> Planted:
    planted = _least_squares(draw, "half", 0.0)
    count = len(planted.inputs["data"])
    return Planted(**{**vars(planted), "words": (f"1/{count} times",)})


@mistake("factor -1", "factor")
def residual_the_other_way_round(draw: Draw) -> Planted:
    planted = _least_squares(draw, draw.choice("half"), 1.0, -1.0)
    return Planted(**{**vars(planted), "words": ("minus one",)})


@mistake("factor -1", "factor")
def cross_entropy_target_minus_prediction(draw: Draw) -> Planted:
    n = draw.size()
    k = draw.index(n)
    hot = np.eye(n)[k]

    def forward(xp: XP, z: T) -> T:
        return -xp.sum(like(xp, hot, z) * xp.log(softmax(xp, z)))

    def backward(xp: XP, g: T, z: T) -> tuple[T]:
        return (g * (like(xp, hot, z) - softmax(xp, z)),)

    return Planted({"z": draw.array(n)}, forward, backward, ("minus one",))


@mistake("factor -1", "factor")
def exponential_decay_without_its_sign(draw: Draw) -> Planted:
    rate, n = draw.scalar(), draw.size()

    def forward(xp: XP, t: T) -> T:
        return xp.exp(-rate * t)

    def backward(xp: XP, g: T, t: T) -> tuple[T]:
        return (g * rate * xp.exp(-rate * t),)

    return Planted({"t": draw.array(n)}, forward, backward, ("minus one",))


@mistake("batch size", "factor")
def cross_entropy_without_the_mean_over_the_batch(draw: Draw) -> Planted:
    batch, classes = draw.sizes(2, 3, 7)
    hot = np.eye(classes)[draw.rng.integers(classes, size=batch)]

    def forward(xp: XP, logits: T) -> T:
        return -xp.sum(like(xp, hot, logits) * xp.log(softmax(xp, logits))) / batch

    def backward(xp: XP, g: T, logits: T) -> tuple[T]:
        return (g * (softmax(xp, logits) - like(xp, hot, logits)),)

    words = (f"{batch} times (axis 0 of logits)",)
    return Planted({"logits": draw.array(batch, classes)}, forward, backward, words)


@mistake("batch size", "factor")
def bias_gradient_averaged_over_the_batch(draw: Draw) -> Planted:
    batch, a, b = draw.sizes(3, 3, 6)

    def forward(xp: XP, x: T, w: T, bias: T) -> T:
        return xp.tanh(xp.matmul(x, w) + bias)

    def backward(xp: XP, g: T, x: T, w: T, bias: T) -> tuple[T, T, T]:
        d = g * (1 - forward(xp, x, w, bias) ** 2)
        return xp.matmul(d, mt(xp, w)), xp.matmul(mt(xp, x), d), xp.mean(d, axis=0)

    inputs = {"x": draw.array(batch, a), "w": draw.array(a, b), "bias": draw.array(b)}
    return Planted(inputs, forward, backward, (f"1/{batch} times", "bias"))


@mistake("batch size", "factor")
def average_pooling_without_the_average(draw: Draw) -> Planted:
    window, count = draw.size(3, 5), draw.size(2, 4)

    def forward(xp: XP, x: T) -> T:
        return xp.mean(xp.reshape(x**2, (count, window)), axis=1)

    def backward(xp: XP, g: T, x: T) -> tuple[T]:
        spread = xp.reshape(xp.broadcast_to(g[:, None], (count, window)), (count * window,))
        return (spread * 2 * x,)

    return Planted({"x": draw.array(window * count)}, forward, backward, (f"{window} times",))


@mistake("constant", "factor")
def scaled_activation_without_its_scale(draw: Draw) -> Planted:
    c, n = draw.scalar(1.1, 1.9), draw.size()

    def forward(xp: XP, x: T) -> T:
        return c * xp.tanh(x)

    def backward(xp: XP, g: T, x: T) -> tuple[T]:
        return (g * (1 - xp.tanh(x) ** 2),)

    return Planted({"x": draw.array(n)}, forward, backward)


@mistake("constant", "factor")
def temperature_forgotten_in_the_gradient(draw: Draw) -> Planted:
    t, n = draw.scalar(0.4, 3.0), draw.size(3, 5)

    def forward(xp: XP, z: T) -> T:
        return softmax(xp, z / t)

    def backward(xp: XP, g: T, z: T) -> tuple[T]:
        p = softmax(xp, z / t)
        return (p * (g - xp.sum(g * p)),)

    return Planted({"z": draw.array(n)}, forward, backward)


@mistake("constant", "factor")
def degrees_differentiated_as_radians(draw: Draw) -> Planted:
    n = draw.size(1, 5)

    def forward(xp: XP, angle: T) -> T:
        return xp.sin(angle * (np.pi / 180))

    def backward(xp: XP, g: T, angle: T) -> tuple[T]:
        return (g * xp.cos(angle * (np.pi / 180)),)

    return Planted({"angle": draw.array(n) * 90}, forward, backward, ("180/pi",))


@mistake("constant", "factor")
def base_two_logarithm_as_a_natural_one(draw: Draw) -> Planted:
    n = draw.size(1, 5)

    def forward(xp: XP, p: T) -> T:
        return xp.log(p) / np.log(2.0)

    def backward(xp: XP, g: T, p: T) -> tuple[T]:
        return (g / p,)

    return Planted({"p": draw.positive(n)}, forward, backward, ("ln 2",))


@mistake("factor 2", "factor", backends=("numpy", "jax"))
def forward_rule_with_a_two_too_many(draw: Draw) -> Planted:
    n = draw.size()

    def forward(xp: XP, x: T) -> T:
        return xp.sin(x) ** 2

    def jvp(xp: XP, xs: T, dxs: T) -> T:
        return 4 * xp.sin(xs[0]) * xp.cos(xs[0]) * dxs[0]

    return Planted({"x": draw.array(n)}, forward, forward_mode=jvp, words=("twice",))


@mistake("transposed", "transposed", backends=("numpy", "jax"))
def forward_rule_with_the_transpose(draw: Draw) -> Planted:
    n = draw.size(2, 5)
    w = draw.array(n, n)

    def forward(xp: XP, x: T) -> T:
        return xp.sin(xp.matmul(like(xp, w, x), x))

    def jvp(xp: XP, xs: T, dxs: T) -> T:
        v = like(xp, w, xs[0])
        return xp.matmul(mt(xp, v), xp.cos(xp.matmul(v, xs[0])) * dxs[0])

    return Planted({"x": draw.array(n)}, forward, forward_mode=jvp)


@mistake("missing input", "zero", backends=("numpy", "jax"))
def forward_rule_without_one_tangent(draw: Draw) -> Planted:
    batch, a, b = draw.sizes(3, 2, 4)

    def forward(xp: XP, x: T, w: T) -> T:
        return xp.tanh(xp.matmul(x, w))

    def jvp(xp: XP, xs: T, dxs: T) -> T:
        return (1 - forward(xp, *xs) ** 2) * xp.matmul(dxs[0], xs[1])

    return Planted({"x": draw.array(batch, a), "w": draw.array(a, b)}, forward, forward_mode=jvp, words=("w",))


# Right numbers in the wrong places


@mistake("transposed", "transposed")
def linear_layer_with_w_for_its_transpose(draw: Draw) -> Planted:
    n = draw.size(2, 6)
    w = draw.array(n, n)

    def forward(xp: XP, x: T) -> T:
        return xp.matmul(like(xp, w, x), x)

    def backward(xp: XP, g: T, x: T) -> tuple[T]:
        return (xp.matmul(like(xp, w, x), g),)

    return Planted({"x": draw.array(n)}, forward, backward)


@mistake("transposed", "transposed")
def dense_layer_with_w_for_its_transpose(draw: Draw) -> Planted:
    n = draw.size(2, 6)
    w = draw.rng.normal(size=(n, n))

    def forward(xp: XP, x: T) -> T:
        return xp.tanh(xp.matmul(like(xp, w, x), x))

    def backward(xp: XP, g: T, x: T) -> tuple[T]:
        return (xp.matmul(like(xp, w, x), g * (1 - forward(xp, x) ** 2)),)

    return Planted({"x": draw.rng.normal(size=n)}, forward, backward)


@mistake("transposed", "transposed")
def outer_product_the_other_way_round(draw: Draw) -> Planted:
    n = draw.size(2, 4)

    def forward(xp: XP, w: T, x: T) -> T:
        return xp.tanh(xp.matmul(w, x))

    def backward(xp: XP, g: T, w: T, x: T) -> tuple[T, T]:
        d = g * (1 - forward(xp, w, x) ** 2)
        return outer(x, d), xp.matmul(d, w)

    return Planted({"w": draw.array(n, n), "x": draw.array(n)}, forward, backward, ("w",))


@mistake("transposed", "transposed")
def bilinear_form_with_its_vectors_exchanged(draw: Draw) -> Planted:
    n = draw.size(2, 5)

    def forward(xp: XP, a: T, w: T, b: T) -> T:
        return xp.sum(a * xp.matmul(w, b))

    def backward(xp: XP, g: T, a: T, w: T, b: T) -> tuple[T, T, T]:
        return g * xp.matmul(w, b), g * outer(b, a), g * xp.matmul(a, w)

    return Planted({"a": draw.array(n), "w": draw.array(n, n), "b": draw.array(n)}, forward, backward, ("w",))


@mistake("transposed", "transposed")
def weights_of_a_square_layer_transposed(draw: Draw) -> Planted:
    n, batch = draw.size(2, 4), draw.size(3, 6)
    data, target = draw.array(batch, n), draw.array(batch, n)

    def forward(xp: XP, w: T) -> T:
        return xp.sum((xp.matmul(like(xp, data, w), w) - like(xp, target, w)) ** 2)

    def backward(xp: XP, g: T, w: T) -> tuple[T]:
        r = xp.matmul(like(xp, data, w), w) - like(xp, target, w)
        return (2 * g * xp.matmul(mt(xp, r), like(xp, data, w)),)

    return Planted({"w": draw.array(n, n)}, forward, backward)


@mistake("transposed", "transposed", backends=("numpy",))
def jacobian_with_rows_for_inputs(draw: Draw) -> Planted:
    n = draw.size(2, 6)
    w = draw.array(n, n)

    def forward(xp: XP, x: T) -> T:
        return xp.sin(xp.matmul(w, x)) + x**2

    def jacobian(xp: XP, x: T) -> T:
        return mt(xp, xp.cos(xp.matmul(w, x))[:, None] * w + np.diag(2 * x))

    return Planted({"x": draw.array(n)}, forward, jacobian=jacobian)


@mistake("axes permuted", "permuted")
def heads_reshaped_where_they_were_transposed(draw: Draw) -> Planted:
    t, h, d = draw.sizes(3, 2, 4)

    def forward(xp: XP, x: T) -> T:
        return xp.tanh(xp.permute_dims(x, (1, 0, 2)))

    def backward(xp: XP, g: T, x: T) -> tuple[T]:
        return (xp.reshape(g * (1 - forward(xp, x) ** 2), (t, h, d)),)

    return Planted({"x": draw.array(t, h, d)}, forward, backward)


@mistake("axes permuted", "permuted")
def channels_last_loss_with_a_reshape(draw: Draw) -> Planted:
    c, h, w = draw.sizes(3, 2, 5)
    target = draw.array(h, w, c)

    def forward(xp: XP, x: T) -> T:
        return xp.sum((xp.permute_dims(x, (1, 2, 0)) - like(xp, target, x)) ** 2)

    def backward(xp: XP, g: T, x: T) -> tuple[T]:
        return (xp.reshape(2 * g * (xp.permute_dims(x, (1, 2, 0)) - like(xp, target, x)), (c, h, w)),)

    return Planted({"x": draw.array(c, h, w)}, forward, backward)


@mistake("axes permuted", "permuted")
def cube_turned_back_the_wrong_way(draw: Draw) -> Planted:
    n = draw.size(2, 3)

    def forward(xp: XP, x: T) -> T:
        return xp.exp(xp.permute_dims(x, (1, 2, 0)))

    def backward(xp: XP, g: T, x: T) -> tuple[T]:
        return (xp.permute_dims(g * forward(xp, x), (1, 2, 0)),)

    return Planted({"x": draw.array(n, n, n)}, forward, backward)


@mistake("axes permuted", "permuted")
def fortran_order_read_as_c_order(draw: Draw) -> Planted:
    a, b = draw.sizes(2, 2, 5)

    def forward(xp: XP, x: T) -> T:
        return xp.sin(xp.reshape(mt(xp, x), (a * b,)))

    def backward(xp: XP, g: T, x: T) -> tuple[T]:
        return (xp.reshape(g * xp.cos(xp.reshape(mt(xp, x), (a * b,))), (a, b)),)

    return Planted({"x": draw.array(a, b)}, forward, backward)


def _complex(draw: Draw, *shape: int) -> Any:
    return draw.array(*shape) + 1j * draw.array(*shape)


def _pulled(xp: XP, backend: str, g: T, slope: T) -> T:
    """Pull back through a holomorphic function as the framework counts: JAX multiplies, the others conjugate."""
    return g * slope if backend == "jax" else g * xp.conj(slope)


def _pulled_wrong(xp: XP, backend: str, g: T, slope: T) -> T:
    return g * xp.conj(slope) if backend == "jax" else g * slope


@mistake("conjugated", "conjugated")
def complex_square_without_the_conjugate(draw: Draw) -> Planted:
    n = draw.size(1, 4)

    def forward(xp: XP, z: T) -> T:
        return z * z

    def backward(xp: XP, g: T, z: T) -> tuple[T]:
        return (_pulled_wrong(xp, draw.backend, g, 2 * z),)

    return Planted({"z": _complex(draw, n)}, forward, backward)


@mistake("conjugated", "conjugated")
def complex_matrix_without_the_conjugate(draw: Draw) -> Planted:
    n, m = draw.size(2, 3), draw.size(2, 3)
    w = _complex(draw, m, n)

    def forward(xp: XP, z: T) -> T:
        return xp.exp(xp.matmul(like(xp, w, z), z))

    def backward(xp: XP, g: T, z: T) -> tuple[T]:
        v = like(xp, w, z)
        d = _pulled_wrong(xp, draw.backend, g, forward(xp, z))
        return (xp.matmul(d, xp.conj(v) if draw.backend == "jax" else v),)

    return Planted({"z": 0.5 * _complex(draw, n)}, forward, backward)


@mistake("conjugated", "conjugated", backends=("numpy", "torch", "jax"))  # TensorFlow warns of its own forward mode
def squared_magnitude_conjugated(draw: Draw) -> Planted:
    n = draw.size(1, 4)
    centre = _complex(draw, n)

    def forward(xp: XP, z: T) -> T:
        d = z - like(xp, centre, z)
        return xp.sum(xp.real(d) ** 2 + xp.imag(d) ** 2)

    def backward(xp: XP, g: T, z: T) -> tuple[T]:
        d = z - like(xp, centre, z)
        own = 2 * (d if draw.backend == "jax" else xp.conj(d))
        return (g * own,)

    return Planted({"z": _complex(draw, n)}, forward, backward)


# Sums and diagonals


@mistake("diagonal only", "diagonal only")
def softmax_as_elementwise(draw: Draw) -> Planted:
    n = draw.size(2, 6)

    def forward(xp: XP, z: T) -> T:
        return softmax(xp, z)

    def backward(xp: XP, g: T, z: T) -> tuple[T]:
        p = softmax(xp, z)
        return (g * p * (1 - p),)

    return Planted({"z": draw.array(n)}, forward, backward)


@mistake("diagonal only", "diagonal only", "samples apart")
def softmax_of_rows_as_elementwise(draw: Draw) -> Planted:
    batch, n = draw.size(2, 3), draw.size(2, 4)

    def forward(xp: XP, z: T) -> T:
        return softmax(xp, z)

    def backward(xp: XP, g: T, z: T) -> tuple[T]:
        p = softmax(xp, z)
        return (g * p * (1 - p),)

    return Planted({"z": draw.array(batch, n)}, forward, backward)


@mistake("diagonal only", "diagonal only")
def unit_vector_as_elementwise(draw: Draw) -> Planted:
    n = draw.size(2, 6)

    def forward(xp: XP, x: T) -> T:
        return x / xp.sqrt(xp.sum(x * x))

    def backward(xp: XP, g: T, x: T) -> tuple[T]:
        r = xp.sqrt(xp.sum(x * x))
        return (g * (1 / r - x * x / r**3),)

    return Planted({"x": draw.array(n)}, forward, backward)


@mistake("diagonal only", "diagonal only", backends=("numpy",))
def jacobian_of_a_layer_as_a_diagonal(draw: Draw) -> Planted:
    n = draw.size(2, 6)
    w = draw.array(n, n)

    def forward(xp: XP, x: T) -> T:
        return xp.tanh(xp.matmul(w, x))

    def jacobian(xp: XP, x: T) -> T:
        return np.diag((1 - forward(xp, x) ** 2) * np.diag(w))

    return Planted({"x": draw.array(n)}, forward, jacobian=jacobian)


@mistake("diagonal only", "diagonal only")
def running_sum_as_elementwise(draw: Draw) -> Planted:
    n = draw.size(3, 6)

    def forward(xp: XP, x: T) -> T:
        return xp.cumulative_sum(x**3, axis=0)

    def backward(xp: XP, g: T, x: T) -> tuple[T]:
        return (g * 3 * x**2,)

    return Planted({"x": draw.array(n)}, forward, backward)


@mistake("column sums", "column sums")
def gradient_of_the_sum_times_the_cotangent(draw: Draw) -> Planted:
    """The gradient of the sum of all outputs, taken for a derivative of each."""
    n = draw.size(2, 6)
    w = draw.array(n, n)

    def forward(xp: XP, x: T) -> T:
        return xp.tanh(xp.matmul(like(xp, w, x), x))

    def backward(xp: XP, g: T, x: T) -> tuple[T]:
        return (g * xp.matmul(1 - forward(xp, x) ** 2, like(xp, w, x)),)

    return Planted({"x": draw.array(n)}, forward, backward)


@mistake("row sums", "row sums")
def push_of_ones_times_the_cotangent(draw: Draw) -> Planted:
    """What all inputs together do to each output, taken for a derivative by each."""
    n = draw.size(2, 6)
    w = draw.array(n, n)

    def forward(xp: XP, x: T) -> T:
        return xp.tanh(xp.matmul(like(xp, w, x), x))

    def backward(xp: XP, g: T, x: T) -> tuple[T]:
        v = like(xp, w, x)
        return (g * (1 - forward(xp, x) ** 2) * xp.matmul(v, xp.ones_like(x)),)

    return Planted({"x": draw.array(n)}, forward, backward)


@mistake("missing sum", "missing sum", "assigned")
def bias_gradient_of_one_sample(draw: Draw) -> Planted:
    """Taking the last sample in place of the sum is what assigning in a loop gives: the same numbers."""
    batch, a, b = draw.sizes(3, 2, 5)
    which = draw.choice(0, -1)

    def forward(xp: XP, x: T, w: T, bias: T) -> T:
        return xp.tanh(xp.matmul(x, w) + bias)

    def backward(xp: XP, g: T, x: T, w: T, bias: T) -> tuple[T, T, T]:
        d = g * (1 - forward(xp, x, w, bias) ** 2)
        return xp.matmul(d, mt(xp, w)), xp.matmul(mt(xp, x), d), d[which]

    inputs = {"x": draw.array(batch, a), "w": draw.array(a, b), "bias": draw.array(b)}
    return Planted(inputs, forward, backward, ("bias",))


@mistake("missing sum", "missing sum")
def embedding_of_positions_not_summed(draw: Draw) -> Planted:
    batch, t, d = draw.sizes(3, 2, 4)

    def forward(xp: XP, x: T, position: T) -> T:
        return xp.tanh(x + position)

    def backward(xp: XP, g: T, x: T, position: T) -> tuple[T, T]:
        own = g * (1 - forward(xp, x, position) ** 2)
        return own, own[0]

    return Planted({"x": draw.array(batch, t, d), "position": draw.array(t, d)}, forward, backward, ("position",))


@mistake("missing sum", "missing sum", "assigned")
def gain_summed_over_the_batch_and_not_over_time(draw: Draw) -> Planted:
    batch, t, d = draw.sizes(3, 2, 4)

    def forward(xp: XP, x: T, gain: T) -> T:
        return x * gain

    def backward(xp: XP, g: T, x: T, gain: T) -> tuple[T, T]:
        return g * gain, xp.sum(g * x, axis=0)[0]

    return Planted({"x": draw.array(batch, t, d), "gain": draw.array(d)}, forward, backward, ("gain",))


@mistake("extra sum", "extra sum")
def bias_of_each_sample_summed_over_the_batch(draw: Draw) -> Planted:
    batch, b = draw.sizes(2, 2, 5)
    mean = draw.choice(True, False)

    def forward(xp: XP, x: T, bias: T) -> T:
        return xp.tanh(x + bias)

    def backward(xp: XP, g: T, x: T, bias: T) -> tuple[T, T]:
        own = g * (1 - forward(xp, x, bias) ** 2)
        total = (xp.mean if mean else xp.sum)(own, axis=0)
        return own, xp.broadcast_to(total[None], (batch, b))

    return Planted({"x": draw.array(batch, b), "bias": draw.array(batch, b)}, forward, backward, ("bias",))


@mistake("extra sum", "extra sum")
def gate_of_each_feature_summed(draw: Draw) -> Planted:
    n = draw.size()

    def forward(xp: XP, x: T, gate: T) -> T:
        return x * sigmoid(xp, gate)

    def backward(xp: XP, g: T, x: T, gate: T) -> tuple[T, T]:
        s = sigmoid(xp, gate)
        total = xp.sum(g * x * s * (1 - s))
        return g * s, total * xp.ones_like(gate)

    return Planted({"x": draw.array(n), "gate": draw.array(n)}, forward, backward, ("gate",))


@mistake("swapped inputs", "swapped")
def product_with_its_own_factor(draw: Draw) -> Planted:
    shape = draw.choice((draw.size(),), (draw.size(2, 4), draw.size(2, 4)))

    def forward(xp: XP, a: T, b: T) -> T:
        return a * b

    def backward(xp: XP, g: T, a: T, b: T) -> tuple[T, T]:
        return g * a, g * b

    return Planted({"a": draw.array(*shape), "b": draw.array(*shape)}, forward, backward, ("a and b",))


@mistake("swapped inputs", "swapped")
def quotient_in_the_other_order(draw: Draw) -> Planted:
    n = draw.size(2, 6)

    def forward(xp: XP, a: T, b: T) -> T:
        return a / b

    def backward(xp: XP, g: T, a: T, b: T) -> tuple[T, T]:
        return -g * a / b**2, g / b

    return Planted({"a": draw.array(n), "b": draw.positive(n)}, forward, backward, ("a and b",))


@mistake("swapped inputs", "swapped")
def attention_score_in_the_other_order(draw: Draw) -> Planted:
    t, d = draw.sizes(2, 2, 4)

    def forward(xp: XP, q: T, k: T) -> T:
        return xp.matmul(q, mt(xp, k)) / np.sqrt(d)

    def backward(xp: XP, g: T, q: T, k: T) -> tuple[T, T]:
        return xp.matmul(mt(xp, g), q) / np.sqrt(d), xp.matmul(g, k) / np.sqrt(d)

    return Planted({"q": draw.array(t, d), "k": draw.array(t, d)}, forward, backward, ("q and k",))


@mistake("swapped inputs", "swapped")
def loss_of_two_in_the_other_order(draw: Draw) -> Planted:
    n = draw.size(2, 6)

    def forward(xp: XP, mu: T, s: T) -> T:
        return xp.sum(mu**2 * s + xp.exp(s))

    def backward(xp: XP, g: T, mu: T, s: T) -> tuple[T, T]:
        return g * (mu**2 + xp.exp(s)), g * 2 * mu * s

    return Planted({"mu": draw.array(n), "s": draw.array(n)}, forward, backward, ("mu and s",))


# Missing blocks and terms


@mistake("missing input", "zero")
def weights_left_out_of_the_rule(draw: Draw) -> Planted:
    batch, a, b = draw.sizes(3, 2, 4)

    def forward(xp: XP, x: T, w: T) -> T:
        return xp.tanh(xp.matmul(x, w))

    def backward(xp: XP, g: T, x: T, w: T) -> tuple[T, T]:
        d = g * (1 - forward(xp, x, w) ** 2)
        return xp.matmul(d, mt(xp, w)), xp.zeros_like(w)

    return Planted({"x": draw.array(batch, a), "w": draw.array(a, b)}, forward, backward, ("w",))


@mistake("ignored argument", "ignored")
def layer_that_uses_a_captured_weight(draw: Draw) -> Planted:
    n = draw.size(2, 5)
    captured = draw.array(n, n)

    def forward(xp: XP, x: T, w: T) -> T:
        return xp.matmul(like(xp, captured, x), x)

    def backward(xp: XP, g: T, x: T, w: T) -> tuple[T, T]:
        return xp.matmul(g, like(xp, captured, x)), outer(g, x)

    return Planted({"x": draw.array(n), "w": captured}, forward, backward, ("w", "ignores"))


@mistake("ignored argument", "ignored", backends=("numpy",))
def cost_of_a_global(draw: Draw) -> Planted:
    n = draw.size(1, 5)
    theta = draw.array(n)
    data, target = draw.array(6, n), draw.array(6)

    def forward(xp: XP, x: T) -> T:
        return xp.sum((xp.matmul(data, theta) - target) ** 2)

    def backward(xp: XP, g: T, x: T) -> tuple[T]:
        return (2 * xp.matmul(data.T, xp.matmul(data, x) - target),)

    return Planted({"x": theta.copy()}, forward, backward, ("ignores",))


@mistake("additive term", "additive term")
def ridge_without_its_gradient(draw: Draw) -> Planted:
    count, n = draw.size(5, 8), draw.size(3, 6)
    lam = draw.choice(0.01, 0.1, 1.0, draw.scalar())
    data, target = draw.array(count, n), draw.array(count)

    def forward(xp: XP, w: T) -> T:
        r = xp.matmul(like(xp, data, w), w) - like(xp, target, w)
        return 0.5 * xp.sum(r**2) + 0.5 * lam * xp.sum(w**2)

    def backward(xp: XP, g: T, w: T) -> tuple[T]:
        v = like(xp, data, w)
        return (g * xp.matmul(mt(xp, v), xp.matmul(v, w) - like(xp, target, w)),)

    return Planted({"w": draw.array(n)}, forward, backward, ("lacks", f"{lam:.4g}"[:4]))


@mistake("additive term", "additive term")
def lasso_without_its_gradient(draw: Draw) -> Planted:
    n = draw.size(4, 7)
    lam, c = draw.scalar(), draw.array(n)

    def forward(xp: XP, w: T) -> T:
        return xp.sum(xp.cos(w) * like(xp, c, w)) + lam * xp.sum(xp.abs(w))

    def backward(xp: XP, g: T, w: T) -> tuple[T]:
        return (-g * xp.sin(w) * like(xp, c, w),)

    return Planted({"w": draw.signs(n)}, forward, backward, ("lacks",))


@mistake("additive term", "additive term")
def weight_decay_only_in_the_gradient(draw: Draw) -> Planted:
    count, a, b = draw.size(4, 6), draw.size(2, 3), draw.size(2, 3)
    lam = draw.scalar(0.05, 1.0)
    data, target = draw.array(count, a), draw.array(count, b)

    def forward(xp: XP, w: T, bias: T) -> T:
        return 0.5 * xp.sum((xp.matmul(like(xp, data, w), w) + bias - like(xp, target, w)) ** 2)

    def backward(xp: XP, g: T, w: T, bias: T) -> tuple[T, T]:
        v = like(xp, data, w)
        r = xp.matmul(v, w) + bias - like(xp, target, w)
        return g * (xp.matmul(mt(xp, v), r) + lam * w), g * xp.sum(r, axis=0)

    return Planted({"w": draw.array(a, b), "bias": draw.array(b)}, forward, backward, ("w", "too many"))


@mistake("additive term", "constant term", "additive term")
def linear_term_without_its_gradient(draw: Draw) -> Planted:
    n, c = draw.size(3, 6), draw.scalar()

    def forward(xp: XP, x: T) -> T:
        return xp.sum(xp.exp(x)) + c * xp.sum(x)

    def backward(xp: XP, g: T, x: T) -> tuple[T]:
        return (g * xp.exp(x),)

    return Planted({"x": draw.array(n)}, forward, backward)


@mistake("additive term", "skip connection")
def residual_without_the_skip(draw: Draw) -> Planted:
    n = draw.size(2, 6)
    w = draw.array(n, n)

    def forward(xp: XP, x: T) -> T:
        return x + xp.tanh(xp.matmul(like(xp, w, x), x))

    def backward(xp: XP, g: T, x: T) -> tuple[T]:
        v = like(xp, w, x)
        return (xp.matmul(g * (1 - xp.tanh(xp.matmul(v, x)) ** 2), v),)

    return Planted({"x": draw.array(n)}, forward, backward)


# Places


@mistake("one index", "one entry", "one input")
def activation_wrong_at_one_index(draw: Draw) -> Planted:
    n = draw.size(4, 8)
    k = draw.index(n)

    def forward(xp: XP, x: T) -> T:
        return xp.sin(x)

    def backward(xp: XP, g: T, x: T) -> tuple[T]:
        own = g * xp.cos(x)
        return (xp.where(like(xp, np.arange(n) == k, x) > 0, 0.25 * own + g, own),)

    return Planted({"x": draw.array(n)}, forward, backward, (f"x[{k}]",))


@mistake("one row", "one index")
def weight_row_forgotten(draw: Draw) -> Planted:
    count, a, b = draw.sizes(3, 3, 5)
    k, axis = draw.index(min(a, b)), draw.choice(0, 1)
    data, target = draw.array(count, a), draw.array(count, b)
    keep = np.ones((a, b))
    np.moveaxis(keep, axis, 0)[k] = 0.0

    def forward(xp: XP, w: T) -> T:
        return xp.sum((xp.matmul(like(xp, data, w), w) - like(xp, target, w)) ** 2)

    def backward(xp: XP, g: T, w: T) -> tuple[T]:
        v = like(xp, data, w)
        r = xp.matmul(v, w) - like(xp, target, w)
        return (2 * g * xp.matmul(mt(xp, v), r) * like(xp, keep, w),)

    place = f"w[{k}, :]" if axis == 0 else f"w[:, {k}]"
    return Planted({"w": draw.array(a, b)}, forward, backward, (place,))


@mistake("one output", "one output")
def one_equation_of_a_system(draw: Draw) -> Planted:
    n, m = draw.size(3, 5), draw.size(3, 5)
    k = draw.index(m)
    w = draw.array(m, n)

    def forward(xp: XP, x: T) -> T:
        return xp.sin(xp.matmul(like(xp, w, x), x))

    def backward(xp: XP, g: T, x: T) -> tuple[T]:
        v = like(xp, w, x)
        z = xp.matmul(v, x)
        slope = xp.where(like(xp, np.arange(m) == k, x) > 0, xp.sin(z), xp.cos(z))
        return (xp.matmul(g * slope, v),)

    return Planted({"x": draw.array(n)}, forward, backward, (f"out[{k}]",))


@mistake("boundary", "boundary")
def smoothness_without_its_ends(draw: Draw) -> Planted:
    n = draw.size(5, 9)

    def forward(xp: XP, x: T) -> T:
        return xp.sum((x[1:] - x[:-1]) ** 2)

    def backward(xp: XP, g: T, x: T) -> tuple[T]:
        return (2 * g * (2 * x - xp.roll(x, 1) - xp.roll(x, -1)),)

    return Planted({"x": draw.rng.normal(size=n)}, forward, backward, ("both ends of x",))


@mistake("boundary", "boundary")
def laplacian_without_its_rim(draw: Draw) -> Planted:
    a, b = draw.size(4, 5), draw.size(4, 5)
    inner = np.zeros((a, b))
    inner[1:-1, 1:-1] = 1.0

    def forward(xp: XP, u: T) -> T:
        return xp.sum((u[1:] - u[:-1]) ** 2) + xp.sum((u[:, 1:] - u[:, :-1]) ** 2)

    def backward(xp: XP, g: T, u: T) -> tuple[T]:
        around = xp.roll(u, 1, axis=0) + xp.roll(u, -1, axis=0) + xp.roll(u, 1, axis=1) + xp.roll(u, -1, axis=1)
        return (2 * g * (4 * u - around) * like(xp, inner, u),)

    return Planted({"u": draw.array(a, b)}, forward, backward, ("rim of u",))


@mistake("mask: negative", "wrong where negative", "wrong where positive")
def leaky_relu_without_its_leak(draw: Draw) -> Planted:
    n, slope = draw.size(6, 12), draw.scalar(0.05, 0.4)

    def forward(xp: XP, x: T) -> T:
        return xp.where(x > 0, x, slope * x)

    def backward(xp: XP, g: T, x: T) -> tuple[T]:
        return (xp.where(x > 0, g, 0 * g),)

    return Planted({"x": draw.signs(n)}, forward, backward, ("negative",))


@mistake("mask: negative", "wrong where negative", "wrong where positive")
def elu_with_its_value_for_its_slope(draw: Draw) -> Planted:
    n = draw.size(6, 12)

    def forward(xp: XP, x: T) -> T:
        return xp.where(x > 0, x, xp.expm1(x))

    def backward(xp: XP, g: T, x: T) -> tuple[T]:
        return (g * xp.where(x > 0, xp.ones_like(x), xp.expm1(x)),)

    return Planted({"x": draw.signs(n)}, forward, backward, ("negative",))


@mistake("mask: negative", "wrong where negative", "wrong where positive")
def absolute_values_without_their_sign(draw: Draw) -> Planted:
    n = draw.size(6, 12)
    c = draw.positive(n)

    def forward(xp: XP, x: T) -> T:
        return xp.sum(like(xp, c, x) * xp.abs(x) ** 3)

    def backward(xp: XP, g: T, x: T) -> tuple[T]:
        return (3 * g * like(xp, c, x) * x**2,)

    return Planted({"x": draw.signs(n)}, forward, backward, ("negative",))


@mistake("mask: zero", "wrong where zero")
def padding_left_out_of_the_gradient(draw: Draw) -> Planted:
    n = draw.size(6, 10)
    x = draw.signs(n)
    x[n - draw.size(2, 3) :] = 0.0

    def forward(xp: XP, x: T) -> T:
        return xp.exp(x)

    def backward(xp: XP, g: T, x: T) -> tuple[T]:
        return (xp.where(x == 0, 0 * g, g * xp.exp(x)),)

    return Planted({"x": x}, forward, backward)


@mistake("mask: ties", "wrong where tied with another entry")
def gradient_shared_among_equals(draw: Draw) -> Planted:
    n = draw.size(8, 10)  # and ties fifty
    x = draw.rng.normal(size=n)
    pairs = draw.rng.permutation(n)[:4]
    x[pairs[:2]], x[pairs[2:]] = x[pairs[0]], x[pairs[2]]

    def forward(xp: XP, x: T) -> T:
        return xp.sum(xp.exp(x))

    def backward(xp: XP, g: T, x: T) -> tuple[T]:
        same = xp.where(x[:, None] == x[None], 1 + 0 * outer(x, x), 0 * outer(x, x))
        return (g * xp.exp(x) / xp.sum(same, axis=1),)

    return Planted({"x": x}, forward, backward)


@mistake("mask: padding", "wrong where zero")
def mask_only_in_the_gradient(draw: Draw) -> Planted:
    batch, t = draw.size(3, 4), draw.size(4, 5)
    mask = np.arange(t)[None] < draw.rng.integers(1, t, size=batch)[:, None]
    mask = mask.astype(float)

    def forward(xp: XP, x: T, mask: T) -> T:
        return xp.sum(xp.log(1 + x**2))

    def backward(xp: XP, g: T, x: T, mask: T) -> tuple[T, T]:
        return g * mask * 2 * x / (1 + x**2), 0 * mask

    return Planted({"x": draw.signs(batch, t), "mask": mask}, forward, backward, ("mask",), constant=("mask",))


@mistake("mask: large", "wrong where larger than 1 in size")
def huber_without_its_linear_part(draw: Draw) -> Planted:
    n = draw.size(10, 12)  # a threshold needs two hundred choices before it is named
    x = draw.signs(n)
    x = np.sign(x) * np.where(draw.rng.permutation(n) < n // 2, draw.rng.uniform(0.2, 0.9, n), np.abs(x) + 1)

    def forward(xp: XP, x: T) -> T:
        a = xp.abs(x)
        return xp.where(a <= 1, 0.5 * x**2, a - 0.5)

    def backward(xp: XP, g: T, x: T) -> tuple[T]:
        return (g * x,)

    return Planted({"x": x}, forward, backward)


@mistake("shifted", "shifted")
def next_value_for_this_one(draw: Draw) -> Planted:
    n = draw.size(4, 8)

    def forward(xp: XP, x: T) -> T:
        return xp.roll(xp.sin(x), 1)

    def backward(xp: XP, g: T, x: T) -> tuple[T]:
        return (g * xp.cos(x),)

    return Planted({"x": draw.array(n)}, forward, backward)


@mistake("shifted", "shifted")
def causal_convolution_off_by_one(draw: Draw) -> Planted:
    n = draw.size(5, 8)
    w = draw.array(3)

    def forward(xp: XP, x: T) -> T:
        pad = xp.concat([like(xp, np.zeros(2), x), x])
        return w[0] * pad[2:] + w[1] * pad[1:-1] + w[2] * pad[:-2]

    def backward(xp: XP, g: T, x: T) -> tuple[T]:
        pad = xp.concat([g, like(xp, np.zeros(3), x)])
        return (w[0] * pad[1 : n + 1] + w[1] * pad[2 : n + 2] + w[2] * pad[3 : n + 3],)

    return Planted({"x": draw.array(n)}, forward, backward)


@mistake("shifted", "shifted")
def gradient_array_one_place_late(draw: Draw) -> Planted:
    n = draw.size(5, 8)
    c = draw.array(n)

    def forward(xp: XP, x: T) -> T:
        return xp.sum(like(xp, c, x) * x**2 + x**4)

    def backward(xp: XP, g: T, x: T) -> tuple[T]:
        own = g * (2 * like(xp, c, x) * x + 4 * x**3)
        return (xp.concat([like(xp, [0.0], x), own[:-1]]),)

    return Planted({"x": draw.array(n)}, forward, backward, ("late",))


# Applied twice


@mistake("applied twice", "applied twice")
def sigmoid_of_the_sigmoid(draw: Draw) -> Planted:
    n = draw.size(2, 6)

    def forward(xp: XP, x: T) -> T:
        return sigmoid(xp, x)

    def backward(xp: XP, g: T, x: T) -> tuple[T]:
        s = sigmoid(xp, sigmoid(xp, x))
        return (g * s * (1 - s),)

    return Planted({"x": draw.array(n)}, forward, backward)


@mistake("applied twice", "applied twice")
def tanh_layer_with_tanh_of_its_output(draw: Draw) -> Planted:
    n, m = draw.sizes(2, 2, 5)
    w = draw.array(m, n)

    def forward(xp: XP, x: T, bias: T) -> T:
        return xp.tanh(xp.matmul(like(xp, w, x), x) + bias)

    def backward(xp: XP, g: T, x: T, bias: T) -> tuple[T, T]:
        d = g * (1 - xp.tanh(forward(xp, x, bias)) ** 2)
        return xp.matmul(d, like(xp, w, x)), d

    return Planted({"x": draw.array(n), "bias": draw.array(m)}, forward, backward)


@mistake("derivative applied twice", "applied twice")
def sigmoid_derivative_twice(draw: Draw) -> Planted:
    n, m = draw.sizes(2, 2, 5)
    w = draw.array(m, n)

    def forward(xp: XP, x: T, bias: T) -> T:
        return sigmoid(xp, xp.matmul(like(xp, w, x), x) + bias)

    def backward(xp: XP, g: T, x: T, bias: T) -> tuple[T, T]:
        s = forward(xp, x, bias)
        d = g * (s * (1 - s)) ** 2
        return xp.matmul(d, like(xp, w, x)), d

    return Planted({"x": draw.array(n), "bias": draw.array(m)}, forward, backward)


@mistake("derivative applied twice", "applied twice")
def tanh_derivative_twice(draw: Draw) -> Planted:
    batch, a, b = draw.sizes(3, 2, 4)

    def forward(xp: XP, x: T, w: T) -> T:
        return xp.tanh(xp.matmul(x, w))

    def backward(xp: XP, g: T, x: T, w: T) -> tuple[T, T]:
        d = g * (1 - forward(xp, x, w) ** 2) ** 2
        return xp.matmul(d, mt(xp, w)), xp.matmul(mt(xp, x), d)

    return Planted({"x": draw.array(batch, a), "w": draw.array(a, b)}, forward, backward)


@mistake("derivative left out", "derivative left out")
def layer_without_the_activation_derivative(draw: Draw) -> Planted:
    batch, a, b = draw.sizes(3, 2, 4)
    tanh = draw.choice(True, False)

    def forward(xp: XP, x: T, w: T) -> T:
        z = xp.matmul(x, w)
        return xp.tanh(z) if tanh else sigmoid(xp, z)

    def backward(xp: XP, g: T, x: T, w: T) -> tuple[T, T]:
        return xp.matmul(g, mt(xp, w)), xp.matmul(mt(xp, x), g)

    return Planted({"x": draw.array(batch, a), "w": draw.array(a, b)}, forward, backward)


# Assigned where it has to be accumulated


@mistake("= for +=", "assigned")
def embedding_rows_assigned(draw: Draw) -> Planted:
    rows, d = draw.size(3, 4), draw.size(2, 3)
    index = np.concatenate([np.arange(rows), draw.rng.integers(rows, size=draw.size(2, 4))])
    draw.rng.shuffle(index)
    last = np.array([np.flatnonzero(index == k)[-1] for k in range(rows)])

    def forward(xp: XP, table: T) -> T:
        return xp.tanh(xp.take(table, xp.asarray(index), axis=0))

    def backward(xp: XP, g: T, table: T) -> tuple[T]:
        own = g * (1 - forward(xp, table) ** 2)
        return (xp.take(own, xp.asarray(last), axis=0),)  # what table.grad[index] = own leaves

    return Planted({"table": draw.array(rows, d)}, forward, backward)


@mistake("= for +=", "assigned")
def convolution_windows_assigned(draw: Draw) -> Planted:
    n, k = draw.size(5, 8), 3
    w = draw.signs(k)

    def forward(xp: XP, x: T) -> T:
        return w[0] * x[:-2] + w[1] * x[1:-1] + w[2] * x[2:]

    def backward(xp: XP, g: T, x: T) -> tuple[T]:
        # for i: dx[i:i+3] = g[i] * w
        return (xp.concat([w[0] * g, w[1] * g[-1:], w[2] * g[-1:]]),)

    return Planted({"x": draw.array(n)}, forward, backward)


@mistake("= for +=", "assigned")
def kernel_gradient_assigned(draw: Draw) -> Planted:
    n = draw.size(5, 8)

    def forward(xp: XP, x: T, w: T) -> T:
        return w[0] * x[:-2] + w[1] * x[1:-1] + w[2] * x[2:]

    def backward(xp: XP, g: T, x: T, w: T) -> tuple[T, T]:
        zero = like(xp, np.zeros(2), x)
        pads = [xp.concat([g, zero]), xp.concat([zero[:1], g, zero[:1]]), xp.concat([zero, g])]
        dx = w[0] * pads[0] + w[1] * pads[1] + w[2] * pads[2]
        return dx, g[-1] * x[-3:]  # for i: dw = g[i] * x[i:i+3]

    return Planted({"x": draw.array(n), "w": draw.array(3)}, forward, backward, ("w",))


@mistake("= for +=", "one sample")
def gradient_of_the_last_sample(draw: Draw) -> Planted:
    count, n = draw.size(3, 7), draw.size(2, 5)
    data, target = draw.array(count, n), draw.array(count)

    def forward(xp: XP, w: T, data: T, target: T) -> T:
        return 0.5 * xp.sum((sigmoid(xp, xp.matmul(data, w)) - target) ** 2)

    def backward(xp: XP, g: T, w: T, data: T, target: T) -> tuple[T, T, T]:
        grad = 0 * w
        for k in range(count):
            s = sigmoid(xp, xp.sum(data[k] * w))
            grad = (s - target[k]) * s * (1 - s) * data[k]
        return g * grad, 0 * data, 0 * target

    inputs = {"w": draw.array(n), "data": data, "target": target}
    return Planted(inputs, forward, backward, ("data",), constant=("data", "target"))


# Samples


@mistake("cross-talk", "samples apart", "diagonal only")
def centring_each_sample_by_itself(draw: Draw) -> Planted:
    """Of a layer that only centres, what is left inside a sample is diagonal: both names are the same numbers."""
    batch, n = draw.sizes(2, 2, 5)

    def forward(xp: XP, x: T) -> T:
        return x - xp.mean(x, axis=0, keepdims=True)

    def backward(xp: XP, g: T, x: T) -> tuple[T]:
        return (g * (1 - 1 / batch),)

    return Planted({"x": draw.array(batch, n)}, forward, backward)


@mistake("cross-talk", "samples apart", backends=("numpy",))
def blocks_of_a_mixing_layer(draw: Draw) -> Planted:
    batch, n = draw.sizes(2, 2, 4)
    w = draw.array(n, n)

    def forward(xp: XP, x: T) -> T:
        return xp.matmul(xp.tanh(x), w) - xp.mean(xp.matmul(xp.tanh(x), w), axis=0, keepdims=True)

    def jacobian(xp: XP, x: T) -> T:
        whole = np.zeros((batch, n, batch, n))
        for k in range(batch):  # one sample's output by that sample
            whole[k, :, k, :] = (1 - 1 / batch) * w.T * (1 - np.tanh(x[k]) ** 2)
        return whole

    return Planted({"x": draw.array(batch, n)}, forward, jacobian=jacobian)


@mistake("cross-talk", "samples mixed")
def batch_norm_backward_for_fixed_statistics(draw: Draw) -> Planted:
    batch, n = draw.sizes(2, 3, 5)
    mean, sd = draw.array(n), draw.positive(n)

    def forward(xp: XP, x: T) -> T:
        return (x - like(xp, mean, x)) / like(xp, sd, x)

    def backward(xp: XP, g: T, x: T) -> tuple[T]:
        y = forward(xp, x)
        return ((g - xp.mean(g, axis=0) - y * xp.mean(g * y, axis=0)) / like(xp, sd, x),)

    return Planted({"x": draw.array(batch, n)}, forward, backward)


@mistake("cross-talk", "samples mixed")
def softmax_backward_along_the_batch(draw: Draw) -> Planted:
    batch, n = draw.sizes(2, 2, 4)

    def forward(xp: XP, z: T) -> T:
        return softmax(xp, z, axis=1)

    def backward(xp: XP, g: T, z: T) -> tuple[T]:
        p = softmax(xp, z, axis=1)
        return (p * (g - xp.sum(g * p, axis=0, keepdims=True)),)

    return Planted({"z": draw.array(batch, n)}, forward, backward)


# Cotangents


@mistake("unit cotangent", "cotangent ignored")
def gradient_of_the_sum_whatever_the_cotangent(draw: Draw) -> Planted:
    n, m = draw.size(2, 5), draw.size(2, 5)
    w = draw.array(m, n)

    def forward(xp: XP, x: T) -> T:
        return xp.exp(0.5 * xp.matmul(like(xp, w, x), x))

    def backward(xp: XP, g: T, x: T) -> tuple[T]:
        return (0.5 * xp.sum(g) * xp.matmul(forward(xp, x), like(xp, w, x)),)

    return Planted({"x": draw.array(n)}, forward, backward)


@mistake("unit cotangent", "cotangent ignored")
def mean_cotangent_for_all_samples(draw: Draw) -> Planted:
    """Right for a mean or a sum of the outputs, whose cotangents are all the same."""
    batch, n = draw.sizes(2, 2, 4)

    def forward(xp: XP, x: T) -> T:
        return xp.sum(x**2, axis=1)

    def backward(xp: XP, g: T, x: T) -> tuple[T]:
        return (xp.mean(g) * 2 * x,)

    return Planted({"x": draw.array(batch, n)}, forward, backward)


@mistake("unit cotangent", "cotangent ignored", backends=("torch", "jax", "tensorflow"))
def loss_that_forgets_what_comes_after_it(draw: Draw) -> Planted:
    n = draw.size()
    hot = np.eye(n)[draw.index(n)]

    def forward(xp: XP, z: T) -> T:
        return -xp.sum(like(xp, hot, z) * xp.log(softmax(xp, z)))

    def backward(xp: XP, g: T, z: T) -> tuple[T]:
        return (softmax(xp, z) - like(xp, hot, z),)

    return Planted({"z": draw.array(n)}, forward, backward)


# Not finite


@mistake("not finite", "not finite")
def sinc_at_zero(draw: Draw) -> Planted:
    n = draw.size(2, 6)
    k = draw.index(n)
    x = draw.signs(n)
    x[k] = 0.0

    def forward(xp: XP, x: T) -> T:
        safe = xp.where(x == 0, xp.ones_like(x), x)
        return xp.where(x == 0, xp.ones_like(x), xp.sin(safe) / safe)

    def backward(xp: XP, g: T, x: T) -> tuple[T]:
        with np.errstate(all="ignore"):
            return (g * (x * xp.cos(x) - xp.sin(x)) / x**2,)

    return Planted({"x": x}, forward, backward, (f"x[{k}]", "zero"))


@mistake("not finite", "not finite")
def power_of_a_norm_at_zero(draw: Draw) -> Planted:
    n = draw.size(2, 5)

    def forward(xp: XP, x: T) -> T:
        return xp.sum(x * x)

    def backward(xp: XP, g: T, x: T) -> tuple[T]:
        with np.errstate(all="ignore"):
            r = xp.sqrt(xp.sum(x * x))
            return (g * 2 * r * (x / r),)

    return Planted({"x": np.zeros(n)}, forward, backward, ("zero",))


@mistake("not finite", "not finite")
def softplus_of_a_large_number(draw: Draw) -> Planted:
    n = draw.size(2, 6)
    k = draw.index(n)
    x = draw.signs(n)
    x[k] = draw.scalar(800, 2000)

    def forward(xp: XP, x: T) -> T:
        return xp.maximum(x, 0 * x) + xp.log1p(xp.exp(-xp.abs(x)))

    def backward(xp: XP, g: T, x: T) -> tuple[T]:
        with np.errstate(all="ignore"):
            e = xp.exp(x)
            return (g * e / (1 + e),)

    return Planted({"x": x}, forward, backward, (f"x[{k}]",))
