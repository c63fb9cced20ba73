"""PyTorch: the tape for reverse mode, dual numbers for forward mode.

Dual numbers do not nest: where a function differentiates forward by itself, `torch.func.jvp` does it, which does nest.
The tape and not `torch.func`: functorch refuses an `autograd.Function` that has no `setup_context`, which is what most
custom operators are. Gradient recording is switched on inside every evaluation, whatever the caller's mode is, because
functions may themselves differentiate (forces from an energy); outputs are detached before they are returned.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xcheck_backends import torch_choices, torch_jacobians, torch_products
from xcheck_backends.keras_layers import bind_layer
from xcheck_backends.offers import Engine, OwnCall
from xcheck_backends.torch_mapping import Mapper, map_flat
from xcheck_backends.torch_tape import (
    as_tensors,
    custom_nodes,
    default_generators,
    detached,
    inside_functorch,
    missing_rules,
    not_leaf,
    pushed,
    quiet,
    recording,
    started,
    variable,
)

Function = Callable[[Sequence[Any]], Sequence[Any]]

PLAIN = frozenset(np.dtype(name) for name in ("float64", "float32", "complex128", "complex64"))
"""Dtypes, in the machine's byte order, of arrays whose memory torch can use."""


class TorchBackend:
    """Tensors of `torch`, on any device."""

    name = "torch"
    complex_convention = "torch's gradient is dL/dRe + i dL/dIm"
    batch_from = 4
    """From this many points on, `batch` is faster than a loop: measured, 4 for values and for pullbacks."""
    compile_seconds = 0.2
    """What `torch.compile` takes for a function of one operator: measured, 0.1 to 0.2 s, and 1 s for the first."""

    def owns(self, leaf: object, /) -> bool:
        """Tell whether `leaf` is a tensor or parameter."""
        return isinstance(leaf, getattr(sys.modules.get("torch"), "Tensor", ()))

    def from_numpy(self, array: NDArray[Any], /, like: Any = None) -> Any:
        """Copy `array` into a tensor of the same dtype that requires no gradient, on the device of `like`."""
        import torch

        if array.dtype in PLAIN:
            return _placed(torch.from_numpy(np.array(array, order="C", subok=False)), like)
        copy = np.array(array, dtype=array.dtype.newbyteorder("="), order="C", subok=False)
        known = copy.dtype.kind in "biufc"
        dtype = None if known else getattr(torch, copy.dtype.name, None)
        if isinstance(dtype, torch.dtype):  # bfloat16 and float8, of ml_dtypes
            tensor = torch.from_numpy(copy.view(f"uint{8 * copy.itemsize}")).view(dtype)
        else:
            tensor = torch.from_numpy(copy)
        return _placed(tensor, like)

    def adopt(self, array: NDArray[Any], /, like: Any = None) -> Any:
        """Turn an array that nobody else keeps into a tensor, on the CPU without a copy."""
        import torch

        if array.dtype not in PLAIN or not array.flags.c_contiguous:
            return self.from_numpy(array, like)
        return _placed(torch.from_numpy(array), like)

    def to_numpy(self, array: Any, /) -> NDArray[Any]:
        """Copy a tensor of any device and layout, or a number."""
        import torch

        if not isinstance(array, torch.Tensor):
            return np.array(array)
        if array._is_zerotensor():  # what forward mode hands out for a zero tangent has no memory
            array = torch.zeros(array.shape, dtype=array.dtype)
        tensor = array if array.layout == torch.strided else array.detach().to_dense()
        name = str(tensor.dtype)
        if name.startswith(("torch.bfloat", "torch.float8")):
            import ml_dtypes

            bits = tensor.detach().cpu().resolve_neg()
            width, kind = 8 * tensor.element_size(), getattr(ml_dtypes, name.removeprefix("torch."))
            return np.array(bits.view(getattr(torch, f"uint{width}")).numpy()).view(kind)
        return np.array(tensor.numpy(force=True))

    def view(self, array: Any, /) -> NDArray[Any]:
        """Return the memory of a dense tensor on the CPU as a NumPy array.

        Raises:
            BufferError: it is on another device, sparse, a view that conjugates or negates, or of a dtype that DLPack
                and NumPy do not have.
        """
        import torch

        if array.layout != torch.strided or not array.is_cpu or array.is_conj() or array.is_neg():
            raise BufferError(f"a tensor ({array.layout}, on {array.device}) has no memory that NumPy could read")
        try:
            return np.from_dlpack(array.detach())
        except (RuntimeError, TypeError) as error:
            raise BufferError(str(error)) from error

    def describe(self) -> dict[str, str]:
        """Tell the devices, and the settings that numbers depend on."""
        import torch

        gpus = [f"cuda:{i} ({torch.cuda.get_device_name(i)})" for i in range(torch.cuda.device_count())]
        return {
            "devices": ", ".join(["cpu", *gpus, *(["mps"] if torch.backends.mps.is_available() else [])]),
            "default dtype": str(torch.get_default_dtype()),
            "float32 matmul precision": torch.get_float32_matmul_precision(),
            "cudnn.allow_tf32": str(torch.backends.cudnn.allow_tf32),
        }

    def transpose(self, array: Any, axes: Sequence[int], /) -> Any:
        """Transpose a tensor."""
        return array.permute(tuple(axes))

    def conjugate(self, array: Any, /) -> Any:
        """Conjugate a tensor."""
        return array.conj()

    def cast(self, array: Any, like: Any, /) -> Any:
        """Convert a tensor to the dtype of another."""
        return array.to(like.dtype)

    def namespace(self) -> Any:
        """Return torch's functions under the names of the array-API standard."""
        return import_module("array_api_compat.torch")

    def value(self, f: Function, xs: Sequence[Any], /) -> list[Any]:
        """Evaluate `f` at `xs` themselves: if it changes them in place, that shows."""
        with recording():
            return [y.detach() for y in as_tensors(f([detached(x) for x in xs]))]

    def vjp(self, f: Function, xs: Sequence[Any], /) -> tuple[list[Any], Callable[[Sequence[Any]], list[Any]]]:
        """Record `f` at `xs`, or at copies of them, on the tape; nobody's `.grad` is touched.

        Raises:
            NotImplementedError: something in `f` has no backward. Torch tells so only when the pullback is called.
        """
        import torch

        with recording():
            leaves = [variable(x) for x in xs]
            ys = as_tensors(f([started(x) for x in leaves]))
        wanted = [x for x in leaves if x.requires_grad]

        def pullback(cotangents: Sequence[Any]) -> list[Any]:
            pairs = [(y, g) for y, g in zip(ys, cotangents, strict=True) if y.requires_grad]
            if not pairs or not wanted:
                return [None] * len(leaves)
            with missing_rules():
                targets, weights = [y for y, _ in pairs], [g for _, g in pairs]
                gradients = torch.autograd.grad(targets, wanted, weights, retain_graph=True, allow_unused=True)
            found = iter(gradients)
            return [next(found) if x.requires_grad else None for x in leaves]

        return [y.detach() for y in ys], pullback

    def jvp(self, f: Function, xs: Sequence[Any], tangents: Sequence[Any], /) -> tuple[list[Any], list[Any]]:
        """Evaluate `f` on dual numbers.

        The primals are recorded on the tape as well: without it, operators made by `torch.library.custom_op` drop
        their tangents without a word, with it they say that they have no forward rule.

        Raises:
            NotImplementedError: something in `f` has no forward rule.
        """
        ys, dys = pushed(f, xs, tangents)
        return [y.detach() for y in ys], [None if t is None else t.detach() for t in dys]

    def push(self, f: Function, xs: Sequence[Any], tangents: Sequence[Any], /) -> list[Any]:
        """Push `tangents` forward, recording that on the tape where `xs` or `tangents` are recorded.

        Inside `batch` and inside forward mode, where dual numbers cannot be started, `torch.func.jvp` does it.

        Raises:
            NotImplementedError: something in `f` has no forward rule, or none that can be nested.
        """
        return pushed(f, xs, tangents)[1]

    def pull(self, f: Function, xs: Sequence[Any], cotangents: Sequence[Any], /) -> list[Any]:
        """Pull `cotangents` back, recording the backward pass on the tape where `xs` or `cotangents` are recorded.

        Inside `batch` and inside of what is compiled, where no tape can be started, `torch.func.vjp` does it, which not
        every function allows.

        Raises:
            NotImplementedError: something in `f` has no backward.
        """
        import torch

        if torch.compiler.is_compiling() or inside_functorch():
            return _pull_mapped(f, xs, cotangents)
        again = any(t.requires_grad for t in (*xs, *cotangents))
        with recording(), missing_rules():
            leaves = [x if x.requires_grad else variable(x) for x in xs]
            ys = as_tensors(f([not_leaf(x) for x in leaves]))
            wanted = [x for x in leaves if x.requires_grad]
            pairs = [(y, g) for y, g in zip(ys, cotangents, strict=True) if y.requires_grad]
            if not pairs or not wanted:
                return [None] * len(leaves)
            targets, weights = [y for y, _ in pairs], [g for _, g in pairs]
            gradients = torch.autograd.grad(targets, wanted, weights, create_graph=again, allow_unused=True)
        if again:
            _require_second_rule(gradients)
        found = iter(gradients)
        return [next(found) if x.requires_grad else None for x in leaves]

    def batch(self, f: Function, /) -> Function:
        """Map `f` as `torch.func.vmap` does; pullbacks and pushforwards of this adapter may be mapped too.

        Operators that it has no rule for, such as `torch.lstm`, are taken apart where torch makes them of others.
        """
        mapper = Mapper()
        return lambda xs: mapper(map_flat, f, xs)

    def custom_rules(self, f: Function, xs: Sequence[Any], /) -> tuple[str, ...]:
        """Name the nodes of `f`'s tape that no part of torch made.

        These are subclasses of `torch.autograd.Function`, operators of `torch.library.custom_op`, and
        `torch::autograd::Function` of C++ extensions.
        """
        with recording():
            ys = as_tensors(f([not_leaf(variable(x)) for x in xs]))
        return tuple(dict.fromkeys(name for name, _ in custom_nodes(ys)))

    def layouts(self, array: NDArray[Any], /, like: Any = None) -> dict[str, Any]:
        """Copy `array` into other memory: transposed, narrowed, of stride 2, expanded, lazily conjugated."""
        import torch

        plain = self.from_numpy(array, like)
        found = {}
        if array.ndim >= 2:
            found["transposed"] = self.from_numpy(np.swapaxes(array, 0, -1), like).transpose(0, -1)
        wide = torch.full([k + 2 for k in array.shape] or [3], torch.nan, dtype=plain.dtype, device=plain.device)
        narrowed = wide[tuple(slice(1, 1 + k) for k in array.shape)] if array.ndim else wide[1]
        found["narrowed"] = narrowed.copy_(plain)
        if array.ndim:
            gaps = torch.full((*array.shape, 2), torch.nan, dtype=plain.dtype, device=plain.device)[..., 0]
            found["of stride 2"] = gaps.copy_(plain)
        if array.ndim and array.size and np.all(array == array.flat[0]):
            found["expanded"] = plain.flatten()[0].clone().expand(plain.shape)
        if plain.is_complex():
            found["lazily conjugated"] = plain.conj().resolve_conj().conj()
        return found

    def returned(
        self, f: Function, xs: Sequence[Any], cotangents: Sequence[Any], /
    ) -> list[tuple[str, int, str, str, str]]:
        """Look at what users' rules return before the engine casts it: a gradient of a lower precision lost digits.

        Raises:
            NotImplementedError: something in `f` has no backward.
        """
        import torch

        with recording():
            leaves = [variable(x) for x in xs]
            ys = as_tensors(f([not_leaf(x) for x in leaves]))
        nodes = [(name, node) for name, node in custom_nodes(ys) if isinstance(node, torch._C._FunctionBase)]
        reached: dict[Any, Sequence[Any]] = {}
        for _, node in nodes:
            node.register_prehook(partial(reached.__setitem__, node))
        pairs = [(y, g) for y, g in zip(ys, cotangents, strict=True) if y.requires_grad]
        wanted = [x for x in leaves if x.requires_grad]
        if not pairs or not wanted or not nodes:
            return []
        targets, weights = [y for y, _ in pairs], [g for _, g in pairs]
        with missing_rules():
            torch.autograd.grad(targets, wanted, weights, retain_graph=True, allow_unused=True)
        return [odd for name, node in nodes if node in reached for odd in _odd_gradients(name, node, reached[node])]

    def compiled(self, f: Function, /) -> Callable[[Sequence[Any], Sequence[Any]], tuple[list[Any], list[Any]]]:
        """Compile `f` by `torch.compile` without a code generator: what it captures and differentiates is what counts.

        The tape is recorded through the compiled function. The function that is compiled has code of its own, so that
        no other one's compilations count towards a limit.
        """
        import torch

        def entry(*inputs: Any) -> list[Any]:
            return as_tensors(f(list(inputs)))

        entry.__code__ = entry.__code__.replace(co_name="compiled")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            traced = torch.compile(entry, backend="aot_eager", dynamic=False)

        def run(xs: Sequence[Any], cotangents: Sequence[Any]) -> tuple[list[Any], list[Any]]:
            with warnings.catch_warnings(), quiet("torch._dynamo"):
                warnings.simplefilter("ignore")  # of what is inside torch
                ys, pullback = self.vjp(lambda zs: traced(*zs), xs)
                return ys, pullback(cotangents)

        return run

    def engines(self) -> list[Engine]:
        """Return ways to make many products: by the tape, by dual numbers, by `torch.func`, compiled."""
        return torch_products.engines()

    def own_calls(self, quantity: str, /) -> list[OwnCall]:
        """Return torch's calls for "jacobian", "diagonal", "batch" or "hessian"."""
        return torch_jacobians.own_calls(quantity)

    def wait(self, arrays: Sequence[Any], /) -> None:
        """Return when the CUDA devices of `arrays` have done all their work."""
        torch_products.wait(arrays)

    def sparse(self, rows: Any, columns: Any, shape: tuple[int, int], like: Any, /) -> Callable[[Any], Any]:
        """Return what makes a coalesced `torch.sparse_coo_tensor` of values."""
        import torch

        places = _placed(torch.from_numpy(np.array([rows, columns], dtype=np.int64)), like)

        def make(values: Any) -> Any:
            return torch.sparse_coo_tensor(places, values, shape, is_coalesced=True, check_invariants=False)

        return make

    def choices(self, f: Function, xs: Sequence[Any], /) -> tuple[str, ...]:
        """Name what in `f` chooses by values at `xs`, from the operators that one evaluation runs.

        "opaque: NAME" is a user's rule or operator, "opaque" alone what cannot be run while it is looked at.
        """
        return torch_choices.choices(f, xs)

    @contextmanager
    def random_state(self, seed: int, /) -> Iterator[Callable[[], bool]]:
        """Pin the default generators of the CPU and, where CUDA is in use, of its devices."""
        generators = default_generators()
        before = [g.get_state() for g in generators]
        start = [g.manual_seed(seed).get_state() for g in generators]

        def read(generator: Any) -> bytes:
            return bytes(generator.get_state().numpy().data)  # a quarter of the time of comparing tensors

        untouched = [read(g) for g in generators]

        def rewind() -> bool:
            used = [read(g) != s for g, s in zip(generators, untouched, strict=True)]
            for generator, state, drawn in zip(generators, start, used, strict=True):
                if drawn:
                    generator.set_state(state)
            return any(used)

        try:
            yield rewind
        finally:
            for generator, state in zip(generators, before, strict=True):
                generator.set_state(state)

    def bind(self, f: object, /) -> tuple[Callable[..., Any], dict[str, Any]] | None:
        """Split a `torch.nn.Module` into a function of its parameters that require gradients, and those parameters.

        Buffers and frozen parameters are copied for every call, so that batch normalisation does not move its
        statistics; they follow the given parameters to float64.
        """
        torch = sys.modules.get("torch")
        if torch is None or not isinstance(f, torch.nn.Module):
            return None
        if layer := bind_layer(f, self.name):  # a Keras layer on torch is a module, but not by its parameters
            return layer
        module: Any = f
        trainable = {name: p for name, p in module.named_parameters() if p.requires_grad}

        def function(parameters: dict[str, Any], /, *args: Any, **kwargs: Any) -> Any:
            wide = any(p.dtype in (torch.float64, torch.complex128) for p in parameters.values())
            rest = {**dict(module.named_parameters()), **dict(module.named_buffers())}
            state = {n: _copy(t, wide) for n, t in rest.items() if n not in trainable}
            return torch.func.functional_call(module, {**state, **parameters}, args, kwargs)

        return function, trainable


def _placed(tensor: Any, like: Any) -> Any:
    """Move a tensor to where `like` is, if that is a tensor."""
    import torch

    return tensor.to(like.device) if isinstance(like, torch.Tensor) and not like.is_cpu else tensor


def _require_second_rule(gradients: Sequence[Any]) -> None:
    """Look for what `once_differentiable` leaves on the tape.

    A backward pass that runs into it raises, but `torch.autograd.grad` leaves out what leads to no input, and this
    leads to none: the terms behind it would be missing without a word.
    """
    todo = [g.grad_fn for g in gradients if g is not None and g.grad_fn is not None]
    seen = set(todo)
    while todo:
        node = todo.pop()
        if node.name().endswith("Error"):
            raise NotImplementedError("a backward marked with @once_differentiable cannot be differentiated")
        following = {n for n, _ in node.next_functions if n is not None} - seen
        seen |= following
        todo += following


def _odd_gradients(rule: str, node: Any, cotangents: Sequence[Any]) -> Iterator[tuple[str, int, str, str, str]]:
    """Call the rule once more, by itself, and tell which gradients are not what the nodes they go to were made of."""
    import torch

    own = node._forward_cls
    with torch.no_grad():
        gradients = (own.vjp if own.backward is torch.autograd.Function.backward else own.backward)(node, *cotangents)
    gradients = gradients if isinstance(gradients, tuple) else (gradients,)
    for i, (gradient, (target, place)) in enumerate(zip(gradients, node.next_functions, strict=False)):
        if not isinstance(gradient, torch.Tensor) or target is None:
            continue
        wanted = target._input_metadata[place]
        if gradient.dtype != wanted.dtype:
            yield rule, i, "dtype", _dtype_name(gradient.dtype), _dtype_name(wanted.dtype)
        if gradient.device != wanted.device:
            yield rule, i, "device", str(gradient.device), str(wanted.device)
        if tuple(gradient.shape) != tuple(wanted.shape):
            yield rule, i, "shape", str(tuple(gradient.shape)), str(tuple(wanted.shape))


def _dtype_name(dtype: Any) -> str:
    return str(dtype).removeprefix("torch.")


def _pull_mapped(f: Function, xs: Sequence[Any], cotangents: Sequence[Any]) -> list[Any]:
    import torch

    _, pullback = torch.func.vjp(lambda *inputs: tuple(as_tensors(f(list(inputs)))), *xs)
    return list(pullback(tuple(cotangents)))


def _copy(tensor: Any, wide: bool) -> Any:
    copy = tensor.detach().clone()
    return copy.double() if wide and copy.is_floating_point() else copy
