"""PyTorch's ways to make many products, its own calls for Jacobians, and what in a function chooses by values."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest

Arrays = Sequence[Any]

EAGER = ["tape loop", "tape batched", "func.vjp vmapped", "dual loop", "func.jvp vmapped"]
LOOPS = ["tape loop", "dual loop"]


@pytest.fixture
def adapter(torch: Any) -> Any:
    from xcheck_backends.torch_ import TorchBackend

    torch.manual_seed(0)
    return TorchBackend()


def engine(adapter: Any, name: str) -> Any:
    return next(e for e in adapter.engines() if e.name == name)


def products(finish_products: Arrays, seeds: Arrays) -> Arrays:
    return finish_products


def seeds_like(torch: Any, arrays: Arrays, k: int) -> list[Any]:
    return [torch.randn(k, *a.shape, dtype=a.dtype) for a in arrays]


def expected(torch: Any, mode: str, jacobian: Any, xs: Arrays, ys: Arrays, seeds: Arrays) -> list[Any]:
    """Multiply by the blocks `jacobian[output][input]`, each of shape (m, n)."""
    k = len(seeds[0])
    flat = [s.reshape(k, math.prod(s.shape[1:])) for s in seeds]
    if mode == "vjp":
        columns = [[row[i] for row in jacobian] for i in range(len(xs))]
        return [
            sum(s @ b for s, b in zip(flat, column, strict=True)).reshape(k, *x.shape)
            for column, x in zip(columns, xs, strict=True)
        ]
    return [
        sum(s @ b.T for s, b in zip(flat, row, strict=True)).reshape(k, *y.shape)
        for row, y in zip(jacobian, ys, strict=True)
    ]


def several(torch: Any, dtype: Any) -> tuple[Callable[..., list[Any]], list[Any], list[Any], Any]:
    """A function of three inputs, one of which nothing depends on, its inputs, held arrays, and Jacobian by hand."""
    w = torch.tensor([[1.0, -2.0, 0.5], [0.25, 3.0, -1.0]], dtype=dtype)
    x, s, u = torch.tensor([0.3, -0.7, 1.1], dtype=dtype), torch.tensor(1.5, dtype=dtype), torch.ones(2, 2, dtype=dtype)

    def f(xs: Arrays, held: Arrays) -> list[Any]:
        return [torch.sin(held[0] @ xs[0]) * xs[1], xs[1] ** 2, xs[0].sum().reshape(1, 1)]

    z = w @ x
    none = torch.zeros(2, 4, dtype=dtype)
    jacobian = [
        [torch.cos(z)[:, None] * s * w, torch.sin(z)[:, None], none],
        [torch.zeros(1, 3, dtype=dtype), (2 * s).reshape(1, 1), none[:1]],
        [torch.ones(1, 3, dtype=dtype), torch.zeros(1, 1, dtype=dtype), none[:1]],
    ]
    return f, [x, s, u], [w], jacobian


# Engines


@pytest.mark.parametrize("name", EAGER)
@pytest.mark.parametrize("k", [0, 1, 3])
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_products_are_those_of_a_jacobian_by_hand(torch: Any, adapter: Any, name: str, k: int, precision: str) -> None:
    f, xs, held, jacobian = several(torch, getattr(torch, precision))
    ys, way = f(xs, held), engine(adapter, name)
    seeds = seeds_like(torch, ys if way.mode == "vjp" else xs, k)
    run = way.prepare(f, xs, held, seeds, products)
    wanted = expected(torch, way.mode, jacobian, xs, ys, seeds)
    for found in (run(xs, held), run(xs, held)):
        for a, b in zip(found, wanted, strict=True):
            torch.testing.assert_close(a, b)
            assert not a.requires_grad


@pytest.mark.parametrize("name", EAGER)
def test_a_run_takes_other_inputs_and_other_held_arrays(torch: Any, adapter: Any, name: str) -> None:
    way = engine(adapter, name)
    ones = [torch.ones(2, 2, dtype=torch.float64)]
    x, h = torch.tensor([1.0, 2.0], dtype=torch.float64), torch.tensor([5.0, 7.0], dtype=torch.float64)
    run = way.prepare(lambda xs, held: [xs[0] ** 2 * held[0]], [x * 0], [h * 0], ones, products)
    run([x * 0], [h * 0])
    torch.testing.assert_close(run([x], [h])[0], (2 * x * h).expand(2, 2))


@pytest.mark.parametrize("name", EAGER)
def test_finish_gets_products_and_seeds(torch: Any, adapter: Any, name: str) -> None:
    x, seeds = torch.ones(2, dtype=torch.float64), [torch.eye(2, dtype=torch.float64)]
    run = engine(adapter, name).prepare(
        lambda xs, held: [xs[0].exp()], [x], [], seeds, lambda made, given: [(made[0] * given[0]).sum(0)]
    )
    torch.testing.assert_close(run([x], [])[0], x.exp())


@pytest.mark.parametrize("name", EAGER)
@pytest.mark.parametrize("kind", ["leaf", "not a leaf", "made in inference mode"])
def test_inputs_gradients_and_modes_are_left_alone(torch: Any, adapter: Any, name: str, kind: str) -> None:
    x = torch.tensor([0.5, -1.5], dtype=torch.float64, requires_grad=kind == "leaf")
    if kind == "not a leaf":
        x = x.requires_grad_() * 2
    elif kind != "leaf":
        with torch.inference_mode():
            x = x * 2
    weight = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    before, state = x.detach().clone(), torch.get_rng_state()
    seeds = [torch.eye(2, dtype=torch.float64)]
    for mode in (torch.no_grad, torch.inference_mode, torch.enable_grad):
        with mode():
            recording = torch.is_grad_enabled()
            run = engine(adapter, name).prepare(lambda xs, held: [xs[0] ** 2 * held[0]], [x], [weight], seeds, products)
            found = run([x], [weight])[0]
            assert torch.is_grad_enabled() == recording
        assert not found.requires_grad
        assert not found.is_inference()
        torch.testing.assert_close(found, torch.diag(6 * before))
    assert x.requires_grad == (kind in ("leaf", "not a leaf"))
    assert kind != "leaf" or x.grad is None
    assert weight.grad is None
    assert torch.equal(x.detach(), before)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", EAGER)
@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("quietly", [False, True])
def test_functions_may_change_their_inputs(torch: Any, adapter: Any, name: str, k: int, quietly: bool) -> None:
    def f(xs: Arrays, held: Arrays) -> list[Any]:
        if quietly:
            with torch.no_grad():
                xs[0].mul_(2)
        else:
            xs[0].mul_(2)
        return [xs[0].sin()]

    x, seeds = torch.tensor([0.1, 0.2], dtype=torch.float64), [torch.eye(2, dtype=torch.float64)[:k].clone()]
    before = x.clone()
    run = engine(adapter, name).prepare(f, [x], [], seeds, products)
    hidden = quietly and engine(adapter, name).mode == "vjp"  # forward mode sees what is not recorded
    slope = (2 * before).cos() * (1 if hidden else 2)
    for _ in range(2):
        torch.testing.assert_close(run([x], [])[0], torch.diag(slope)[:k])
        assert torch.equal(x, before)
        assert torch.equal(seeds[0], torch.eye(2, dtype=torch.float64)[:k])


def test_a_function_that_changes_its_input_leaves_the_tangent_alone(torch: Any, adapter: Any) -> None:
    x, tangent = torch.tensor([0.1, 0.2], dtype=torch.float64), torch.ones(2, dtype=torch.float64)
    _, pushed = adapter.jvp(lambda xs: [xs[0].mul_(2).sin()], [x], [tangent])
    torch.testing.assert_close(pushed[0], 2 * (2 * x).cos())
    assert torch.equal(tangent, torch.ones(2, dtype=torch.float64))


def old_style(torch: Any) -> Any:
    class Square(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return 2 * ctx.saved_tensors[0] * g

    return Square


def test_rules_of_the_older_style_are_for_the_tape(torch: Any, adapter: Any) -> None:
    square = old_style(torch)
    x = torch.tensor([3.0, 4.0], dtype=torch.float64)
    for way in adapter.engines():
        if way.compiles:
            continue
        run = way.prepare(lambda xs, held: [square.apply(xs[0])], [x], [], [torch.eye(2, dtype=x.dtype)], products)
        if way.name.startswith("tape"):
            torch.testing.assert_close(run([x], [])[0], torch.diag(2 * x))
        else:
            with pytest.raises(NotImplementedError, match=r"setup_context|jvp function"):
                run([x], [])


def test_forward_mode_refuses_operators_whose_tangents_torch_drops(torch: Any, adapter: Any) -> None:
    square = torch.library.custom_op(
        "xcheck_test::forward_square", lambda x: x * x, mutates_args=(), schema="(Tensor x) -> Tensor"
    )

    x = torch.tensor([3.0, 4.0], dtype=torch.float64)
    assert not torch.func.jacfwd(square)(x).any()  # the reason: the truth is diag(6, 8)
    refusing = [e for e in adapter.engines() if e.mode == "jvp"]
    for way in refusing:
        run = way.prepare(lambda xs, held: [square(xs[0])], [x], [], [torch.eye(2, dtype=x.dtype)], products)
        with pytest.raises(NotImplementedError):
            run([x], [])
    for call in adapter.own_calls("jacobian"):
        if call.mode == "jvp":
            with pytest.raises(NotImplementedError, match="forward_square"):
                call.prepare(lambda xs, held: [square(xs[0])], [x], [])([x], [])


@pytest.mark.parametrize("name", EAGER)
def test_gradients_are_functions_too(torch: Any, adapter: Any, name: str) -> None:
    one = torch.ones((), dtype=torch.float64)

    def gradient(xs: Arrays, held: Arrays) -> Any:
        return adapter.pull(lambda zs: [(zs[0] ** 3).sum() + zs[0][0] * zs[0][1]], xs, [one])

    x = torch.tensor([2.0, -1.0], dtype=torch.float64)
    hessian = torch.diag(6 * x) + torch.tensor([[0.0, 1.0], [1.0, 0.0]], dtype=x.dtype)
    for k in (1, 2):
        run = engine(adapter, name).prepare(gradient, [x], [], [torch.eye(2, dtype=x.dtype)[:k]], products)
        torch.testing.assert_close(run([x], [])[0], hessian[:k])


@pytest.mark.parametrize("name", EAGER)
def test_all_products_are_of_the_same_random_function(torch: Any, adapter: Any, name: str) -> None:
    x = torch.ones(64, dtype=torch.float64)
    seeds = [torch.ones(3, 64, dtype=torch.float64)]
    run = engine(adapter, name).prepare(
        lambda xs, held: [torch.nn.functional.dropout(xs[0], 0.5)], [x], [], seeds, products
    )
    for _ in range(2):
        found = run([x], [])[0]
        assert 0 < (found[0] == 0).sum() < 64
        assert torch.equal(found[0], found[1])
        assert torch.equal(found[0], found[2])


@pytest.mark.parametrize("name", LOOPS)
def test_loops_make_products_of_complex_functions(torch: Any, adapter: Any, name: str) -> None:
    x = torch.tensor([1.0 + 2.0j, -0.5j], dtype=torch.complex128)
    seeds = [torch.tensor([[1.0, 1.0], [1j, 1j]], dtype=torch.complex128)]
    run = engine(adapter, name).prepare(lambda xs, held: [xs[0] ** 2], [x], [], seeds, products)
    slope = (2 * x).conj() if name == "tape loop" else 2 * x
    torch.testing.assert_close(run([x], [])[0], seeds[0] * slope)


# Own calls


def quiet_calls(adapter: Any, quantity: str) -> list[Any]:
    return [c for c in adapter.own_calls(quantity) if not c.compiles]


def test_every_quantity_has_one_default_and_other_words_none(adapter: Any) -> None:
    for quantity in ("jacobian", "diagonal", "batch", "hessian"):
        calls = adapter.own_calls(quantity)
        assert [c.default for c in calls].count(True) == 1
        assert len({c.name for c in calls}) == len(calls)
    assert not adapter.own_calls("trace")


def test_own_jacobians_are_those_by_hand(torch: Any, adapter: Any) -> None:
    f, xs, held, jacobian = several(torch, torch.float64)
    wanted = [
        block.reshape((*y.shape, *x.shape))
        for row, y in zip(jacobian, f(xs, held), strict=True)
        for block, x in zip(row, xs, strict=True)
    ]
    for call in quiet_calls(adapter, "jacobian"):
        for found, block in zip(call.prepare(f, xs, held)(xs, held), wanted, strict=True):
            torch.testing.assert_close(found, block)


def test_own_jacobians_of_more_rows_than_a_chunk(torch: Any, adapter: Any) -> None:
    x = torch.linspace(0.0, 1.0, 100, dtype=torch.float64)
    for call in quiet_calls(adapter, "jacobian"):
        found = call.prepare(lambda xs, held: [xs[0].sin()], [x], [])([x], [])
        torch.testing.assert_close(found, [torch.diag(x.cos())])


def test_own_batched_jacobians(torch: Any, adapter: Any) -> None:
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], dtype=torch.float64)
    s = torch.tensor([0.5, 1.5, 2.5], dtype=torch.float64)

    def f(xs: Arrays, held: Arrays) -> list[Any]:
        return [xs[0] ** 2 * xs[1][:, None] * held[0], xs[0].sum(1)]

    wanted = [
        torch.diag_embed(4 * x * s[:, None]),
        2 * x**2,
        torch.ones(3, 2, dtype=x.dtype),
        torch.zeros(3, dtype=x.dtype),
    ]
    held = [torch.tensor(2.0, dtype=torch.float64)]
    for call in quiet_calls(adapter, "batch"):
        assert call.samples_alone == (not call.default)
        torch.testing.assert_close(call.prepare(f, [x, s], held)([x, s], held), wanted)


def test_own_diagonals(torch: Any, adapter: Any) -> None:
    x, u = torch.tensor([1.0, 2.0], dtype=torch.float64), torch.ones(2, 2, dtype=torch.float64)

    def f(xs: Arrays, held: Arrays) -> list[Any]:
        return [xs[0] * xs[0].sum(), xs[1].exp() + xs[0][0]]

    for call in quiet_calls(adapter, "diagonal"):
        torch.testing.assert_close(call.prepare(f, [x, u], [])([x, u], []), [x.sum() + x, u.exp()])


def test_own_hessians(torch: Any, adapter: Any) -> None:
    x, s = torch.tensor([1.0, 2.0], dtype=torch.float64), torch.tensor(3.0, dtype=torch.float64)
    wanted = [torch.diag(6 * x * s), 3 * x**2, 3 * x**2, torch.zeros((), dtype=x.dtype)]
    for call in quiet_calls(adapter, "hessian"):
        found = call.prepare(lambda xs, held: [(xs[0] ** 3).sum() * xs[1]], [x, s], [])([x, s], [])
        torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("quantity", ["jacobian", "diagonal", "batch"])
def test_own_calls_leave_everything_alone(torch: Any, adapter: Any, quantity: str) -> None:
    def f(xs: Arrays, held: Arrays) -> list[Any]:
        return [xs[0].mul_(2).sin() * held[0]]

    x = torch.tensor([0.1, 0.2], dtype=torch.float64, requires_grad=True)
    weight = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    before, state = x.detach().clone(), torch.get_rng_state()
    for call in quiet_calls(adapter, quantity):
        with torch.no_grad():
            found = call.prepare(f, [x], [weight])([x], [weight])
            assert not torch.is_grad_enabled()
        assert not any(a.requires_grad for a in found)
        assert math.isclose(found[0].reshape(-1)[0], 2 * math.cos(0.2), rel_tol=1e-12)
    assert x.grad is None
    assert weight.grad is None
    assert torch.equal(x.detach(), before)
    assert torch.equal(torch.get_rng_state(), state)


# Compiled


def test_compiled_products_and_what_cannot_be_compiled(torch: Any, adapter: Any) -> None:
    way = engine(adapter, "compiled vjp")
    x, w = torch.tensor([0.5, 1.5], dtype=torch.float64), torch.tensor([2.0, 3.0], dtype=torch.float64)
    seeds = [torch.eye(2, dtype=torch.float64)]
    run = way.prepare(
        lambda xs, held: [xs[0].mul_(held[0]).sin()], [x], [w], seeds, lambda made, given: [made[0] + given[0]]
    )
    for _ in range(2):
        torch.testing.assert_close(run([x], [w])[0], torch.diag((x * w).cos() * w + 1))
    assert x.tolist() == [0.5, 1.5]
    assert torch.is_grad_enabled()
    refused = way.prepare(lambda xs, held: [xs[0] if xs[0].sum() > 0 else -xs[0]], [x], [], seeds, products)
    with pytest.raises(RuntimeError, match=r"torch\.compile refuses the function: .*[Bb]ranch"):
        refused([x], [])


def test_a_compiled_hessian_of_a_gradient(torch: Any, adapter: Any) -> None:
    one, x = torch.ones((), dtype=torch.float64), torch.tensor([0.5, 1.5], dtype=torch.float64)

    def gradient(xs: Arrays, held: Arrays) -> Any:
        return adapter.pull(lambda zs: [(zs[0] ** 3).sum()], xs, [one])

    way = engine(adapter, "compiled jvp")
    run = way.prepare(gradient, [x], [], [torch.eye(2, dtype=torch.float64)], products)
    torch.testing.assert_close(run([x], [])[0], torch.diag(6 * x))


# Waiting


def test_waiting_for_arrays_of_the_cpu_does_nothing(torch: Any, adapter: Any) -> None:
    adapter.wait([torch.ones(2)])
    adapter.wait([])


# Choices


def chosen(torch: Any, adapter: Any, f: Callable[[Any], Any]) -> Any:
    x = torch.tensor([0.5, -1.0, 2.0, 0.25, -0.75, 1.5], dtype=torch.float64)
    before, state = x.clone(), torch.get_rng_state()
    found = adapter.choices(lambda xs: [f(xs[0])], [x])
    assert torch.equal(x, before)
    assert torch.equal(torch.get_rng_state(), state)
    return found


SMOOTH: dict[str, Callable[[Any, Any], Any]] = {
    "an MLP": lambda t, x: t.tanh(t.ones(6, 6, dtype=x.dtype) @ x).softmax(0).logsumexp(0),
    "normalisation": lambda t, x: t.nn.functional.layer_norm(x, (6,)),
    "a convolution": lambda t, x: t.nn.functional.conv1d(x.reshape(1, 1, 6), t.ones(1, 1, 3, dtype=x.dtype)),
    "attention": lambda t, x: t.nn.functional.scaled_dot_product_attention(*3 * [x.reshape(1, 1, 3, 2)]),
    "dropout": lambda t, x: t.nn.functional.dropout(x, 0.5),
    "a constant mask": lambda t, x: t.where(t.arange(6) > 2, x, 2 * x).masked_fill(t.arange(6) > 4, 0.0),
    "constant indices": lambda t, x: x[t.tensor([2, 0, 1])] + x.flip(0)[:3],
    "a linear system": lambda t, x: t.linalg.solve(t.diag(x), x),
    "in place": lambda t, x: x.mul_(2).sin_(),
    "mapped": lambda t, x: t.func.vmap(t.func.grad(lambda z: z.sin() * z))(x),
    "no flat piece": lambda t, x: t.nn.functional.elu(t.nn.functional.leaky_relu(x)) + x.abs(),
    "shapes": lambda t, x: x * t.ones_like(x).gt(0) * len(x),
}

CHOOSING: dict[str, Callable[[Any, Any], Any]] = {
    "bool": lambda t, x: x if x.sum() > 0 else -x,
    "item": lambda t, x: x * x.sum().item(),
    "float": lambda t, x: x * float(x.detach().sum()),
    "int": lambda t, x: x[: int(x.sum().abs()) % 3 + 1],
    "numpy": lambda t, x: x * t.from_numpy(x.detach().numpy()),
    "array": lambda t, x: x * float(x.detach().__array__()[0]),
    "tolist": lambda t, x: x * x.tolist()[0],
    "where": lambda t, x: t.where(x > 0, x, 2 * x),
    "gt": lambda t, x: x.masked_fill(x > 0, 0.0),
    "sort": lambda t, x: x[x.argsort()],
    "topk": lambda t, x: x.topk(2)[0],
    "max": lambda t, x: x.max(0)[0],
    "amax": lambda t, x: x.amax(),
    "argmax": lambda t, x: x * x.argmax(),
    "median": lambda t, x: x.median(),
    "kthvalue": lambda t, x: x.kthvalue(2)[0],
    "cummax": lambda t, x: x.cummax(0)[0],
    "cast to integers": lambda t, x: x[x.sum().long().clamp(0, 2)],
    "nonzero": lambda t, x: x[x.nonzero()[:, 0]],
    "bucketize": lambda t, x: x * t.bucketize(x, t.arange(3.0, dtype=x.dtype)),
    "linalg_vector_norm": lambda t, x: x.norm(p=math.inf),
    "linalg_eigh": lambda t, x: t.linalg.eigvalsh(t.diag(x)),
    "max_pool2d_with_indices": lambda t, x: t.nn.functional.max_pool1d(x.reshape(1, 1, 6), 2),
    "grid_sampler_2d": lambda t, x: t.nn.functional.grid_sample(
        t.ones(1, 1, 3, 3, dtype=x.dtype), x.reshape(1, 1, 3, 2).tanh(), align_corners=False
    ),
    "scatter_reduce": lambda t, x: t.zeros(3, dtype=x.dtype).scatter_reduce(0, t.arange(6) // 2, x, "amax"),
    "relu (flat pieces)": lambda t, x: x.relu(),
    "clamp (flat pieces)": lambda t, x: x.clamp(-1, 1),
    "hardtanh (flat pieces)": lambda t, x: t.nn.functional.relu6(x),
    "maximum (flat pieces)": lambda t, x: t.maximum(x, 2 * x),
    "sign (flat pieces)": lambda t, x: x.sign(),
    "floor (flat pieces)": lambda t, x: x.floor(),
    "remainder (flat pieces)": lambda t, x: x % 2,
    "leaky_relu (flat pieces)": lambda t, x: t.nn.functional.leaky_relu(x, 0.0),
    "opaque: Square": lambda t, x: old_style(t).apply(x),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_what_does_not_choose_is_not_named(torch: Any, adapter: Any, name: str) -> None:
    assert chosen(torch, adapter, lambda x: SMOOTH[name](torch, x)) == ()


@pytest.mark.parametrize("name", CHOOSING)
def test_what_chooses_by_values_is_named(torch: Any, adapter: Any, name: str) -> None:
    assert name in chosen(torch, adapter, lambda x: CHOOSING[name](torch, x))


def test_operators_of_users_are_opaque(torch: Any, adapter: Any) -> None:
    square = torch.library.custom_op(
        "xcheck_test::opaque_square", lambda x: x * x, mutates_args=(), schema="(Tensor x) -> Tensor"
    )

    assert chosen(torch, adapter, square) == ("opaque: xcheck_test::opaque_square",)


def test_choices_of_a_gradient_are_those_of_its_function(torch: Any, adapter: Any) -> None:
    one = torch.ones((), dtype=torch.float64)

    def gradient(inner: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda x: adapter.pull(lambda zs: [inner(zs[0]).sum()], [x], [one])[0]

    assert chosen(torch, adapter, gradient(torch.tanh)) == ()
    assert "relu (flat pieces)" in chosen(torch, adapter, gradient(torch.relu))


def test_looking_for_choices_does_not_import_the_compiler() -> None:
    program = """
import sys
import torch
from xcheck_backends.torch_ import TorchBackend
before = "torch._dynamo" in sys.modules
TorchBackend().choices(lambda xs: [xs[0].sin()], [torch.ones(2)])
assert before or "torch._dynamo" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
