"""What each adapter owes beyond the scenarios: dtypes, settings left alone, and its framework's own traps."""

from __future__ import annotations

import logging
import math
import os
import subprocess
import sys
import threading
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import xcheck

FLOATS = ["float16", "bfloat16", "float32", "float64", "complex64", "complex128"]
DTYPES = [*FLOATS, "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]


def dtype_of(name: str) -> np.dtype[Any]:
    return np.dtype(getattr(ml_dtypes, name) if name.startswith("b") and name != "bool" else name)


def arrays(backend: Any, *values: Any) -> list[Any]:
    return [backend.from_numpy(np.asarray(v)) for v in values]


def differentiating(backend: Any) -> Any:
    if not hasattr(backend, "vjp"):
        pytest.skip(f"{backend.name} has no derivatives")
    return backend


def pulled(backend: Any, f: Any, x: Any) -> np.ndarray | None:
    ys, pullback = backend.vjp(lambda xs: [f(xs[0])], [x])
    gradient = pullback([backend.from_numpy(np.ones_like(backend.to_numpy(ys[0])))])[0]
    return None if gradient is None else backend.to_numpy(gradient)


def pushed(backend: Any, f: Any, x: Any) -> np.ndarray | None:
    ones = backend.from_numpy(np.ones_like(backend.to_numpy(x)))
    _, dys = backend.jvp(lambda xs: [f(xs[0])], [x], [ones])
    return None if dys[0] is None else backend.to_numpy(dys[0])


# All adapters


def test_loading_the_adapters_and_asking_who_owns_what_imports_no_framework() -> None:
    program = """
import sys
import numpy as np
from xcheck_backends import jax_, numpy_, tensorflow_, torch_
backends = [numpy_.NumpyBackend(), torch_.TorchBackend(), jax_.JaxBackend(), tensorflow_.TensorflowBackend()]
assert [b.name for b in backends if b.owns(np.zeros(2))] == ["numpy"]
assert not any(b.owns(leaf) for b in backends for leaf in (1.0, 2j, 3, "s", None, [1.0], object()))
assert not any(b.bind(len) for b in backends[1:])
for b in (backends[1], backends[3]):
    with b.random_state(0) as rewind:
        assert not rewind()
loaded = {"torch", "jax", "tensorflow", "keras"} & set(sys.modules)
assert not loaded, loaded
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=_environment())
    assert done.returncode == 0, done.stderr


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3)], ids=str)
def test_arrays_come_back_as_they_went(backend: Any, dtype: str, shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype_of(dtype))

    native = backend.from_numpy(array)
    back = backend.to_numpy(native)

    assert backend.owns(native)
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.flags.writeable
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize("layout", ["reversed", "transposed", "strided", "read-only", "broadcast", "big-endian"])
def test_any_memory_layout_is_copied(backend: Any, layout: str) -> None:
    array = np.arange(12.0).reshape(3, 4)
    array = {
        "reversed": array[::-1, ::-1],
        "transposed": array.T,
        "strided": array[:, ::2],
        "read-only": np.broadcast_to(array, array.shape),
        "broadcast": np.broadcast_to(array[0], (3, 4)),
        "big-endian": array.astype(">f8"),
    }[layout]

    np.testing.assert_array_equal(backend.to_numpy(backend.from_numpy(array)), array)


def test_numbers_and_lists_are_read_too(backend: Any) -> None:
    assert backend.to_numpy(2.5) == 2.5
    np.testing.assert_array_equal(backend.to_numpy([[1.0, 2.0]]), [[1.0, 2.0]])


def test_exceptions_of_the_function_pass_through_unwrapped(backend: Any) -> None:
    class Mine(Exception):
        pass

    def f(xs: Any) -> Any:
        raise Mine

    xs = arrays(backend, [1.0, 2.0])
    with pytest.raises(Mine):
        backend.value(f, xs)
    if hasattr(backend, "vjp"):
        with pytest.raises(Mine):
            backend.vjp(f, xs)
        with pytest.raises(Mine):
            backend.jvp(f, xs, xs)


@pytest.mark.parametrize("kind", [RuntimeError, TypeError, ValueError, AttributeError, LookupError])
def test_only_missing_rules_become_not_implemented(backend: Any, kind: type[Exception]) -> None:
    differentiating(backend)

    def f(xs: Any) -> Any:
        raise kind("of my own")

    xs = arrays(backend, [1.0, 2.0])
    with pytest.raises(kind, match="of my own"):
        backend.vjp(f, xs)
    with pytest.raises(kind, match="of my own"):
        backend.jvp(f, xs, xs)


def test_value_may_return_nothing(backend: Any) -> None:
    assert list(backend.value(lambda xs: [], arrays(backend, [1.0]))) == []


def test_outputs_that_are_no_arrays_are_constants(backend: Any) -> None:
    differentiating(backend)
    xs = arrays(backend, [1.0, 2.0])

    def f(xs: Any) -> Any:
        return [xs[0] * 2, 1.5, np.array([3.0])]

    assert [backend.to_numpy(y).shape for y in backend.value(f, xs)] == [(2,), (), (1,)]
    ys, pullback = backend.vjp(f, xs)
    ones = [backend.from_numpy(np.ones_like(backend.to_numpy(y))) for y in ys]
    np.testing.assert_array_equal(backend.to_numpy(pullback(ones)[0]), [2.0, 2.0])
    _, dys = backend.jvp(f, xs, xs)
    np.testing.assert_array_equal(backend.to_numpy(dys[0]), [2.0, 4.0])
    assert all(dy is None or not np.any(backend.to_numpy(dy)) for dy in dys[1:])


def test_integers_have_no_derivative(backend: Any) -> None:
    differentiating(backend)
    xs = arrays(backend, [1.0, 2.0], [3, 4])

    def f(xs: Any) -> Any:
        return [xs[0] * xs[0], xs[1] * 2]

    ys, pullback = backend.vjp(f, xs)
    gradients = pullback([xs[0], xs[1]])
    _, dys = backend.jvp(f, xs, [xs[0], xs[1]])

    np.testing.assert_array_equal(backend.to_numpy(ys[1]), [6, 8])
    np.testing.assert_array_equal(backend.to_numpy(gradients[0]), [2.0, 8.0])
    assert gradients[1] is None
    np.testing.assert_array_equal(backend.to_numpy(dys[0]), [2.0, 8.0])
    assert dys[1] is None


def test_nothing_connected_gives_none_or_zero(backend: Any) -> None:
    differentiating(backend)
    constant = backend.from_numpy(np.array([5.0]))
    x = backend.from_numpy(np.array([1.0, 2.0]))

    for found in (pulled(backend, lambda _: constant, x), pushed(backend, lambda _: constant, x)):
        assert found is None or not found.any()


@pytest.mark.parametrize("dtype", [d for d in FLOATS if d != "bfloat16"] + ["bfloat16"])
def test_derivatives_keep_the_dtype(backend: Any, dtype: str) -> None:
    differentiating(backend)
    x = backend.from_numpy(np.array([1.0, 2.0]).astype(dtype_of(dtype)))

    for found in (pulled(backend, lambda x: x * x, x), pushed(backend, lambda x: x * x, x)):
        assert found is not None
        assert found.dtype == dtype_of(dtype)
        np.testing.assert_array_equal(found.astype(complex), [2.0, 4.0])


def test_backends_may_be_used_from_several_threads(backend: Any) -> None:
    differentiating(backend)
    x = backend.from_numpy(np.array([1.0, 2.0]))
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(pulled(backend, lambda x: x * x, x))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 4
    for gradient in found:
        np.testing.assert_array_equal(gradient, [2.0, 4.0])


# NumPy


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_numpy_scalars_stay_scalars() -> None:
    from xcheck_backends.numpy_ import NumpyBackend

    backend = NumpyBackend()
    for like in (1.0, np.float32(1.0), 2j):
        assert isinstance(backend.from_numpy(np.array(0.5), like=like), np.generic)
    assert isinstance(backend.from_numpy(np.array(0.5), like=np.array(1.0)), np.ndarray)
    assert backend.value(lambda xs: [math.sin(xs[0])], [backend.from_numpy(np.array(0.5), like=1.0)]) == [math.sin(0.5)]
    assert type(backend.from_numpy(np.matrix([[1.0]]))) is np.ndarray


# PyTorch


@pytest.fixture
def torch_backend(torch: Any) -> Any:
    from xcheck_backends.torch_ import TorchBackend

    return TorchBackend()


@pytest.fixture
def legacy_square(torch: Any) -> Any:
    """A custom operator as most are: no `setup_context`, no `jvp`, no `vmap`."""

    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            (x,) = ctx.saved_tensors
            return 2 * x * g

    return Square.apply


def test_torch_differentiates_legacy_functions_in_reverse(torch: Any, torch_backend: Any, legacy_square: Any) -> None:
    x = torch.tensor([1.0, 2.0])

    np.testing.assert_array_equal(pulled(torch_backend, legacy_square, x), [2.0, 4.0])
    with pytest.raises(NotImplementedError, match="must implement the jvp"):
        pushed(torch_backend, legacy_square, x)


def test_torch_batches_pullbacks_of_legacy_functions(torch: Any, torch_backend: Any, legacy_square: Any) -> None:
    _, pullback = torch_backend.vjp(lambda xs: [legacy_square(xs[0])], [torch.tensor([1.0, 2.0])])

    for context in (torch.enable_grad, torch.no_grad):
        with context():
            (rows,) = torch_backend.batch(pullback)([torch.eye(2)])
        np.testing.assert_array_equal(rows, [[2.0, 0.0], [0.0, 4.0]])


def test_torch_takes_operators_without_a_batching_rule_apart(torch: Any, torch_backend: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    x, *weights = (torch.randn(*shape, generator=generator) for shape in [(6, 5, 2, 3), (12, 3), (12, 3), (12,), (12,)])
    first = [torch.zeros(1, 2, 3), torch.ones(1, 2, 3)]

    def recur(xs: Any) -> Any:
        return torch.lstm(xs[0].moveaxis(0, 1), first, weights, True, 1, 0.0, False, False, False)[:2]

    mapped = torch_backend.batch(recur)([x.transpose(1, 2)])

    for k in range(len(x)):
        for all_, single in zip(mapped, recur([x[k].transpose(0, 1)]), strict=True):
            torch.testing.assert_close(all_[k], single)


def test_torch_does_not_map_what_it_can_neither_map_nor_take_apart(torch: Any, torch_backend: Any) -> None:
    with pytest.raises(RuntimeError, match="rrelu"):
        torch_backend.batch(lambda xs: [torch.rrelu(xs[0])])([torch.ones(3, 2)])


@pytest.mark.parametrize("mode", ["enable_grad", "no_grad", "inference_mode"])
def test_torch_modes_of_the_caller_do_not_matter_and_survive(torch: Any, torch_backend: Any, mode: str) -> None:
    def force(x: Any) -> Any:
        x = x.requires_grad_(True)
        return torch.autograd.grad((x**3).sum(), x, create_graph=True)[0]

    with getattr(torch, mode)():
        before = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        x = torch.tensor([1.0, 2.0], dtype=torch.float64)
        np.testing.assert_array_equal(torch_backend.value(lambda xs: [force(xs[0])], [x])[0], [3.0, 12.0])
        np.testing.assert_array_equal(pulled(torch_backend, force, x), [6.0, 12.0])
        np.testing.assert_array_equal(pushed(torch_backend, force, x), [6.0, 12.0])
        assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == before


def test_torch_leaves_the_users_tensors_alone(torch: Any, torch_backend: Any) -> None:
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    w = torch.tensor([3.0, 4.0], requires_grad=True)

    pulled(torch_backend, lambda x: x.mul_(2) * w, x)
    pushed(torch_backend, lambda x: x.mul_(2) * w, x)
    (y,) = torch_backend.value(lambda xs: [xs[0] * w], [x])

    assert x.grad is None
    assert w.grad is None
    assert not y.requires_grad
    np.testing.assert_array_equal(x.detach(), [1.0, 2.0])


def test_torch_value_shows_a_mutated_input(torch: Any, torch_backend: Any) -> None:
    x = torch_backend.from_numpy(np.array([1.0, 2.0]))

    torch_backend.value(lambda xs: [xs[0].mul_(2)], [x])

    np.testing.assert_array_equal(x, [2.0, 4.0])


def test_torch_detached_outputs_are_unconnected(torch: Any, torch_backend: Any) -> None:
    x = torch.tensor([1.0, 2.0])

    assert pulled(torch_backend, lambda x: x.detach() * 2, x) is None
    assert pushed(torch_backend, lambda x: x.detach() * 2, x) is None


def test_torch_custom_ops_without_rules_say_so(torch: Any, torch_backend: Any) -> None:
    @torch.library.custom_op("xcheck_tests::square", mutates_args=(), schema="(Tensor x) -> Tensor")
    def square(x: Any) -> Any:
        return x * x

    x = torch.tensor([1.0, 2.0])
    with pytest.raises(NotImplementedError, match="no autograd formula"):
        pulled(torch_backend, square, x)
    # Beside a term that has a tangent, torch would otherwise return that term's tangent alone.
    with pytest.raises(NotImplementedError):
        pushed(torch_backend, lambda x: square(x) + x, x)

    square.register_autograd(
        lambda ctx, g: 2 * ctx.saved_tensors[0] * g,
        setup_context=lambda ctx, inputs, output: ctx.save_for_backward(inputs[0]),
    )
    np.testing.assert_array_equal(pulled(torch_backend, square, x), [2.0, 4.0])
    with pytest.raises(NotImplementedError):
        pushed(torch_backend, lambda x: square(x) + x, x)


def test_torch_reads_every_kind_of_tensor(torch: Any, torch_backend: Any) -> None:
    z = torch.tensor([1 + 2j, 3 - 1j])
    matrix = torch.arange(6.0).reshape(2, 3)
    kinds = {
        "conjugated": (z.conj(), [1 - 2j, 3 + 1j]),
        "negated": (z.conj().imag, [-2.0, 1.0]),
        "requires grad": (torch.tensor([1.0], requires_grad=True), [1.0]),
        "not contiguous": (matrix.T[::2], [[0.0, 3.0], [2.0, 5.0]]),
        "sparse": (torch.tensor([[0.0, 2.0]]).to_sparse(), [[0.0, 2.0]]),
        "transposed bfloat16": (matrix.bfloat16().T, matrix.T.tolist()),
        "parameter": (torch.nn.Parameter(torch.tensor([1.0])), [1.0]),
    }
    for kind, (tensor, expected) in kinds.items():
        assert torch_backend.owns(tensor), kind
        np.testing.assert_array_equal(torch_backend.to_numpy(tensor), np.array(expected), err_msg=kind)
    torch_backend.to_numpy(matrix)[...] = 7
    assert matrix[0, 0] == 0


def test_torch_generators_are_pinned_and_restored(torch: Any, torch_backend: Any) -> None:
    torch.manual_seed(5)
    first, second = torch.rand(2), torch.rand(2)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(2), first)

    with torch_backend.random_state(3) as rewind:
        draws = []
        for _ in range(2):
            draws.append(torch.rand(2))
            assert rewind()
            assert not rewind()
    assert torch.equal(*draws)
    assert torch.equal(torch.rand(2), second)


def test_torch_modules_are_bound_and_left_as_they_were(torch: Any, torch_backend: Any) -> None:
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2)).train()
    module[2].bias.requires_grad_(False)
    before = {name: t.clone() for name, t in module.state_dict().items()}
    function, parameters = torch_backend.bind(module)
    x = torch.randn(5, 3)

    assert "2.bias" not in parameters
    assert "0.weight" in parameters
    y = function(parameters, x)
    wide = function({name: p.detach().double() for name, p in parameters.items()}, x.double())

    assert y.dtype == torch.float32
    assert wide.dtype == torch.float64
    np.testing.assert_allclose(wide.detach(), y.detach(), atol=1e-5)
    assert module.training
    assert all(torch.equal(t, before[name]) for name, t in module.state_dict().items())
    assert all(p.grad is None for p in module.parameters())
    assert torch_backend.bind(lambda x: x) is None


def test_torch_bound_parameters_are_what_the_module_computes_with(torch: Any, torch_backend: Any) -> None:
    class Tied(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = torch.nn.Linear(2, 2, bias=False)
            self.b = torch.nn.Linear(2, 2, bias=False)
            self.b.weight = self.a.weight

        def forward(self, x: Any) -> Any:
            return self.b(self.a(x))

    function, parameters = torch_backend.bind(Tied())
    assert list(parameters) == ["a.weight"]
    np.testing.assert_array_equal(function({"a.weight": 3 * torch.eye(2)}, torch.ones(1, 2)), [[9.0, 9.0]])

    lstm = torch.nn.LSTM(2, 3)
    function, parameters = torch_backend.bind(lstm)
    zeros = {name: torch.zeros_like(p) for name, p in parameters.items()}
    assert not function(zeros, torch.ones(4, 2))[0].any()
    assert lstm(torch.ones(4, 2))[0].any()


# JAX


@pytest.fixture
def jax_backend(jax: Any) -> Any:
    from xcheck_backends.jax_ import JaxBackend

    return JaxBackend()


def test_jax_computes_in_64_bits_where_the_inputs_are(jax: Any, jax_backend: Any) -> None:
    before = jax.config.jax_enable_x64
    seen = []

    def f(xs: Any) -> Any:
        seen.append(str(jax.numpy.zeros(1).dtype))  # of the default dtype
        return [xs[0] * jax.numpy.ones(2)]

    for dtype in ("float64", "float32"):
        x = jax_backend.from_numpy(np.array([1.0, 2.0], dtype))
        ys = jax_backend.value(f, [x])
        _, pullback = jax_backend.vjp(f, [x])
        jax_backend.jvp(f, [x], [x])
        jax_backend.batch(f)([jax_backend.from_numpy(np.ones((3, 2), dtype))])
        assert str(ys[0].dtype) == dtype
        assert str(pullback([x])[0].dtype) == dtype
        assert jax.config.jax_enable_x64 == before
    assert set(seen[:4]) == {"float64"}
    assert set(seen[4:]) == {"float64" if before else "float32"}


def test_jax_missing_rules_say_so(jax: Any, jax_backend: Any) -> None:
    @jax.custom_vjp
    def square(x: Any) -> Any:
        return x * x

    square.defvjp(lambda x: (x * x, x), lambda x, g: (2 * x * g,))

    def loop(x: Any) -> Any:
        return jax.lax.while_loop(lambda c: c[0] < 2, lambda c: (c[0] + 1, c[1] * x), (0, x))[1]

    def callback(x: Any) -> Any:
        return jax.pure_callback(lambda v: np.asarray(v) ** 2, jax.ShapeDtypeStruct(x.shape, x.dtype), x)

    x = jax_backend.from_numpy(np.array([1.0, 2.0], np.float32))
    np.testing.assert_array_equal(pulled(jax_backend, square, x), [2.0, 4.0])
    np.testing.assert_array_equal(pushed(jax_backend, loop, x), [3.0, 12.0])
    np.testing.assert_array_equal(jax_backend.value(lambda xs: [callback(xs[0])], [x])[0], [1.0, 4.0])
    for derive, f in ((pushed, square), (pulled, loop), (pushed, callback), (pulled, callback)):
        with pytest.raises(NotImplementedError):
            derive(jax_backend, f, x)


# TensorFlow


@pytest.fixture
def tensorflow_backend(tf: Any) -> Any:
    from xcheck_backends.tensorflow_ import TensorflowBackend

    return TensorflowBackend()


def test_tensorflow_sparse_gradients_become_dense(tf: Any, tensorflow_backend: Any) -> None:
    x = tf.constant([1.0, 2.0, 3.0])

    np.testing.assert_array_equal(pulled(tensorflow_backend, lambda x: tf.gather(x, [0, 0, 2]), x), [2.0, 0.0, 1.0])
    slices = tf.IndexedSlices(tf.constant([1.0, 2.0]), tf.constant([1, 1]), tf.constant([3]))
    np.testing.assert_array_equal(tensorflow_backend.to_numpy(slices), [0.0, 3.0, 0.0])
    assert tensorflow_backend.owns(slices)


def test_tensorflow_variables_are_owned(tf: Any, tensorflow_backend: Any) -> None:
    variable = tf.Variable([1.0, 2.0])

    assert tensorflow_backend.owns(variable)
    np.testing.assert_array_equal(tensorflow_backend.to_numpy(variable), [1.0, 2.0])
    tensorflow_backend.to_numpy(variable)[...] = 0
    np.testing.assert_array_equal(variable, [1.0, 2.0])


def test_tensorflow_missing_rules_say_so(tf: Any, tensorflow_backend: Any) -> None:
    @tf.custom_gradient
    def through_numpy(x: Any) -> Any:
        return tf.constant(x.numpy() ** 2), lambda g: tf.constant(2 * x.numpy() * g.numpy())

    def count(x: Any) -> Any:
        return tf.raw_ops.Bincount(arr=[0, 1, 1], size=2, weights=x)

    x = tf.constant([1.0, 2.0, 3.0])
    for derive in (pulled, pushed):
        with pytest.raises(NotImplementedError, match="Bincount"):
            derive(tensorflow_backend, count, x)
    np.testing.assert_array_equal(pulled(tensorflow_backend, through_numpy, x), [2.0, 4.0, 6.0])
    with pytest.raises(NotImplementedError, match="lost the tangent"):
        pushed(tensorflow_backend, through_numpy, x)
    assert pulled(tensorflow_backend, tf.stop_gradient, x) is None
    assert pushed(tensorflow_backend, tf.stop_gradient, x) is None


def test_tensorflow_forward_mode_consults_custom_gradients_only_where_it_must(tf: Any, tensorflow_backend: Any) -> None:
    @tf.custom_gradient
    def body_with_rules(x: Any) -> Any:
        return x * x, lambda g: 5 * x * g

    @tf.custom_gradient
    def body_without(x: Any) -> Any:
        return tf.constant(x.numpy() ** 2), lambda g: 5 * x * g

    x = tf.constant([1.0, 2.0])
    for f, forward in ((body_with_rules, [2.0, 4.0]), (body_without, [5.0, 10.0])):
        np.testing.assert_array_equal(pulled(tensorflow_backend, f, x), [5.0, 10.0])
        np.testing.assert_array_equal(pushed(tensorflow_backend, f, x), forward)


def test_tensorflow_maps_no_control_flow_on_values(tf: Any, tensorflow_backend: Any) -> None:
    mapped = tensorflow_backend.batch(lambda xs: [xs[0] if xs[0][0] > 0 else -xs[0]])

    with pytest.raises(Exception, match="bool"):
        mapped([tf.constant([[1.0], [-1.0]])])


def test_tensorflow_generators_are_pinned_and_restored(tf: Any, tensorflow_backend: Any) -> None:
    from tensorflow.python.eager import context
    from tensorflow.python.ops import stateful_random_ops

    keras = pytest.importorskip("keras")
    sources = {
        "global seed": lambda: tf.random.normal((2,)),
        "global generator": lambda: tf.random.get_global_generator().normal((2,)),
        "keras": lambda: keras.random.normal((2,)),
    }
    state = context.context()
    before = state._seed, stateful_random_ops.global_generator
    for name, draw in sources.items():
        values = []
        with tensorflow_backend.random_state(3) as rewind:
            assert not rewind(), name
            for _ in range(3):
                values.append(np.asarray(draw()))
                assert rewind(), name
        np.testing.assert_array_equal(values[0], values[1], err_msg=name)
        np.testing.assert_array_equal(values[0], values[2], err_msg=name)
    assert (state._seed, stateful_random_ops.global_generator) == before


def test_tensorflow_global_seed_goes_on_where_it_was(tf: Any, tensorflow_backend: Any) -> None:
    from tensorflow.python.eager import context

    seed = context.context()._seed
    try:
        tf.random.set_seed(3)
        expected = [tf.random.normal((2,)).numpy() for _ in range(3)]
        tf.random.set_seed(3)
        found = [tf.random.normal((2,)).numpy()]
        with tensorflow_backend.random_state(7) as rewind:
            tf.random.normal((2,))
            rewind()
        found += [tf.random.normal((2,)).numpy() for _ in range(2)]
    finally:
        context.context()._seed = seed

    np.testing.assert_array_equal(found, expected)


KERAS_LAYERS = {
    "dense": (lambda k: k.layers.Dense(3, activation="tanh"), (2, 5)),
    "convolution": (lambda k: k.layers.Conv2D(2, 3), (1, 5, 5, 2)),
    "layer normalisation": (lambda k: k.layers.LayerNormalization(), (2, 5)),
    "batch normalisation": (lambda k: k.layers.BatchNormalization(), (4, 3)),
    "lstm": (lambda k: k.layers.LSTM(3), (2, 4, 3)),
    "sequential": (lambda k: k.Sequential([k.layers.Dense(4, activation="gelu"), k.layers.Dense(2)]), (3, 5)),
}


@pytest.mark.parametrize("kind", KERAS_LAYERS)
def test_keras_layers_are_bound_and_left_as_they_were(tf: Any, tensorflow_backend: Any, kind: str) -> None:
    keras = pytest.importorskip("keras")
    if keras.config.backend() != "tensorflow":
        pytest.skip("Keras runs on another framework")
    make, shape = KERAS_LAYERS[kind]
    layer = make(keras)
    x = np.random.default_rng(0).standard_normal(shape)
    with pytest.raises(ValueError, match="has no variables yet"):
        tensorflow_backend.bind(layer)
    layer(tf.constant(x, tf.float32))
    before = [v.numpy().copy() for v in layer.variables]
    dtypes = [v.dtype for v in layer.variables], [x.dtype_policy for x in layer._flatten_layers()]

    function, parameters = tensorflow_backend.bind(layer)
    wide = {name: tf.cast(p, tf.float64) for name, p in parameters.items()}
    narrow = function(parameters, tf.constant(x, tf.float32), training=True)

    def along(step: float) -> np.ndarray:
        moved = {name: p + step for name, p in wide.items()}
        return function(moved, tf.constant(x + step), training=True).numpy()

    slopes = [(along(h) - along(-h)) / (2 * h) for h in (1e-5, 2e-6)]
    assert narrow.dtype == tf.float32
    assert along(0).dtype == np.float64
    np.testing.assert_allclose(along(0), narrow, atol=1e-5)
    np.testing.assert_allclose(slopes[0], slopes[1], atol=1e-7)  # rounding to float32 anywhere would show as 1e-2
    assert all(np.array_equal(v.numpy(), b) for v, b in zip(layer.variables, before, strict=True))
    assert ([v.dtype for v in layer.variables], [x.dtype_policy for x in layer._flatten_layers()]) == dtypes


def test_keras_parameters_have_their_paths_as_names(tf: Any, tensorflow_backend: Any) -> None:
    keras = pytest.importorskip("keras")
    if keras.config.backend() != "tensorflow":
        pytest.skip("Keras runs on another framework")
    layer = keras.layers.Dense(2, name="head")
    layer.build((None, 3))

    function, parameters = tensorflow_backend.bind(layer)
    given = {"head/kernel": tf.ones((3, 2)), "head/bias": tf.constant([10.0, 20.0])}

    assert set(parameters) == {"head/kernel", "head/bias"}
    np.testing.assert_array_equal(function(given, tf.ones((1, 3))), [[13.0, 23.0]])
    with tf.GradientTape() as tape:
        tape.watch(given["head/kernel"])
        y = function(given, tf.ones((1, 3)))
    np.testing.assert_array_equal(tape.gradient(y, given["head/kernel"]), np.ones((3, 2)))


def test_torch_lets_functions_change_long_inputs_in_place_too(torch: Any) -> None:
    from xcheck_backends.torch_ import TorchBackend
    from xcheck_backends.torch_tape import LONG

    def f(xs: Any) -> Any:
        xs[0].mul_(2.0)
        return [(torch.sin(xs[0]) * xs[0]).sum()]

    def point() -> Any:
        return torch.linspace(0.1, 1.0, LONG, dtype=torch.float64)

    backend, z, one = TorchBackend(), 2 * point(), torch.ones((), dtype=torch.float64)
    slope = 2 * (torch.cos(z) * z + torch.sin(z))
    _, pullback = backend.vjp(f, [point()])
    assert torch.allclose(pullback([one])[0], slope)
    _, tangents = backend.jvp(f, [point()], [torch.ones_like(z)])
    assert torch.allclose(tangents[0], slope.sum())


# Forward mode inside forward mode


def test_torch_functions_that_differentiate_forward_themselves_have_a_jvp(torch: Any) -> None:
    def slope(x: Any) -> Any:
        return torch.func.jvp(torch.sin, (x,), (torch.ones_like(x),))[1]

    report = xcheck.check(slope, torch.tensor([0.3, 0.7], dtype=torch.float64))

    assert not report.unchecked
    assert "torch/jvp" in {c.claim.source for c in report.comparisons}


def test_torch_nested_forward_mode_draws_the_same_random_numbers(torch: Any) -> None:
    def noisy(x: Any) -> Any:
        kept = torch.nn.functional.dropout(x, 0.5)
        return kept * torch.func.jvp(torch.sin, (x,), (torch.ones_like(x),))[1]

    assert xcheck.check(noisy, torch.linspace(0.3, 0.9, 7, dtype=torch.float64)).ok


def test_what_tensorflow_cannot_map_is_not_logged(tf: Any, tensorflow_backend: Any) -> None:
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]
    logger = tf.get_logger()
    logger.addHandler(handler)
    filters = list(logger.filters)
    try:
        image, kernel = np.ones((1, 3, 3, 1)), np.arange(4.0).reshape(2, 2, 1, 1)
        report = xcheck.check(lambda x, w: tf.nn.conv2d(x, w, 1, "VALID"), image, kernel, backend="tensorflow")
    finally:
        logger.removeHandler(handler)
    assert report.ok
    assert not records
    assert logger.filters == filters
