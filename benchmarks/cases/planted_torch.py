"""Planting in torch: an `autograd.Function` around the operator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from cases.planted import Flaw, Function


class Tools:
    """Torch as `planted` needs it."""

    modes = ("vjp", "jvp")

    def constant(self, array: np.ndarray, like: torch.Tensor) -> torch.Tensor:
        """Return `array` in the dtype of `like`."""
        return torch.from_numpy(np.asarray(array)).to(like.dtype)

    def total(self, array: torch.Tensor) -> torch.Tensor:
        """Add up all numbers."""
        return array.sum()

    def pull(self, f: Function, inputs: tuple[Any, ...], cotangent: Callable[[Any], np.ndarray]) -> list[Any]:
        """Evaluate `f` and pull a cotangent back; empty where the output is no single tensor with a gradient."""
        leaves = [x.detach().clone().requires_grad_(x.is_floating_point() or x.is_complex()) for x in inputs]
        y = f(*leaves)
        if not isinstance(y, torch.Tensor) or not y.requires_grad or not y.numel():
            return []
        weight = self.constant(cotangent(y), y)
        wanted = [x for x in leaves if x.requires_grad]
        found = iter(torch.autograd.grad(y, wanted, weight, allow_unused=True))
        gradients = [next(found) if x.requires_grad else None for x in leaves]
        return [None if g is None else g.numpy(force=True) for g in gradients]

    def flawed(self, f: Function, flaw: Flaw, inputs: tuple[Any, ...]) -> Function | None:
        """Wrap `f`: a wrong backward without a forward rule, or a wrong forward rule beside a right backward."""
        tools = self
        if flaw.mode == "jvp":
            try:
                _pushforward(f, inputs)([torch.zeros_like(x) for x in inputs])
            except (NotImplementedError, RuntimeError):  # the operator cannot be differentiated twice
                return None

        class Reverse(torch.autograd.Function):
            generate_vmap_rule = True

            @staticmethod
            def forward(*inputs: Any) -> Any:
                return f(*inputs).clone()

            @staticmethod
            def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:  # noqa: ARG004
                ctx.save_for_backward(*inputs)
                ctx.save_for_forward(*inputs)

            @staticmethod
            def backward(ctx: Any, cotangent: Any) -> Any:
                right = _pullback(f, ctx.saved_tensors)
                return tuple(right(cotangent) if flaw.mode == "jvp" else flaw.pulled(right, cotangent, tools))

        class Both(Reverse):
            generate_vmap_rule = False

            @staticmethod
            def jvp(ctx: Any, *tangents: Any) -> Any:
                inputs = ctx.saved_tensors
                given = [torch.zeros_like(x) if t is None else t for x, t in zip(inputs, tangents, strict=True)]
                return flaw.pushed(_pushforward(f, inputs), given, tools)

        function = Both if flaw.mode == "jvp" else Reverse

        def wrong(*inputs: Any) -> Any:
            return function.apply(*inputs)

        wrong.__name__ = getattr(f, "__name__", "f").strip("<>")
        return wrong


def _pullback(f: Function, inputs: Sequence[torch.Tensor]) -> Callable[[Any], list[Any]]:
    def pull(cotangent: Any) -> list[Any]:
        with torch.enable_grad():
            leaves = [x.detach().requires_grad_() for x in inputs]
            y = f(*[x.clone() for x in leaves])
        found = torch.autograd.grad(y, leaves, cotangent, allow_unused=True)
        return [torch.zeros_like(x) if g is None else g for x, g in zip(leaves, found, strict=True)]

    return pull


def _pushforward(f: Function, inputs: Sequence[torch.Tensor]) -> Callable[[Sequence[Any]], Any]:
    """Differentiate the pullback, which is linear in its cotangent: forward mode cannot be nested."""

    def push(tangents: Sequence[Any]) -> Any:
        with torch.enable_grad():
            leaves = [x.detach().requires_grad_() for x in inputs]
            y = f(*[x.clone() for x in leaves])
            weight = torch.zeros_like(y, requires_grad=True)
            pulled = torch.autograd.grad(y, leaves, weight, create_graph=True, allow_unused=True)
            pairs = [(p, t) for p, t in zip(pulled, tangents, strict=True) if p is not None and p.requires_grad]
            (found,) = torch.autograd.grad([p for p, _ in pairs], [weight], [t for _, t in pairs])
        return found

    return push
