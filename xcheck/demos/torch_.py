"""PyTorch: operations written as `torch.autograd.Function`."""

from __future__ import annotations

from typing import Any

import torch

from xcheck.demos import Case

EPSILON = 1e-5


class RMSNorm(torch.autograd.Function):
    """Divide every row by its root mean square, then scale the columns."""

    @staticmethod
    def forward(ctx: Any, x: Any, weight: Any) -> Any:
        """Normalise."""
        inverse = (x.square().mean(-1, keepdim=True) + EPSILON).rsqrt()
        ctx.save_for_backward(x, weight, inverse)
        return x * inverse * weight

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        """Pull back through the scale, the division and the mean."""
        x, weight, inverse = ctx.saved_tensors
        scaled = grad * weight
        along = (scaled * x).mean(-1, keepdim=True)
        return inverse * scaled - x * along * inverse**3, (grad * x * inverse).sum(0)


class RMSNormForgetful(RMSNorm):
    """The same, with a backward that takes the root mean square for a constant."""

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        """Pull back through the scale and the division alone."""
        x, weight, inverse = ctx.saved_tensors
        return inverse * grad * weight, (grad * x * inverse).sum(0)


class ReLU(torch.autograd.Function):
    """The positive part."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        """Cut off below zero."""
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        """Pass on where the input is positive."""
        (x,) = ctx.saved_tensors
        return grad * (x > 0)


def rms_norm(x: Any, weight: Any) -> Any:
    """Apply `RMSNorm`."""
    return RMSNorm.apply(x, weight)


def rms_norm_forgetful(x: Any, weight: Any) -> Any:
    """Apply `RMSNormForgetful`."""
    return RMSNormForgetful.apply(x, weight)


def relu(x: Any) -> Any:
    """Apply `ReLU`."""
    return ReLU.apply(x)


def cases() -> list[Case]:
    """List the checks."""
    x = torch.tensor([[0.3, -1.2, 0.8], [1.5, 0.4, -0.7]], dtype=torch.float64)
    weight = torch.tensor([1.1, 0.9, -0.5], dtype=torch.float64)
    return [
        Case(
            "RMSNorm with a backward that is right",
            "nothing but tensors went in: torch was inferred, the reference and its error bar were measured",
            "agree",
            rms_norm,
            (x, weight),
        ),
        Case(
            "RMSNorm with a backward that forgets that the norm depends on x",
            "entries d out / d x are named as you would index them; those of `weight` are right and are not listed",
            "disagree",
            rms_norm_forgetful,
            (x, weight),
        ),
        Case(
            "ReLU at a point where one entry is exactly 0",
            "the other entries are checked; at the kink there is no derivative to compare with",
            "inconclusive",
            relu,
            (torch.tensor([-1.0, 0.0, 2.0], dtype=torch.float64),),
        ),
    ]
