"""Torch's elementwise operators: arithmetic, special functions, activations, complex numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from cases.torch_points import Rule, between, compound, distinct, off, positive, real, together, twice

Group = tuple[Rule, str | dict[str, Callable[..., Any]]]
"""A rule for the inputs and the operators that it serves.

They are written as `module: name name:argument`, where arguments are numbers that follow the inputs, or as names with
the function to call.
"""

MASK = torch.tensor([True, False, True, True, False])

ELEMENTWISE: list[Group] = [
    (real(80), "torch: sin cos tanh sinh cosh asinh atan exp exp2 expm1 sigmoid neg square deg2rad rad2deg erf erfc"),
    (real(80), "torch: arctan arcsinh negative positive"),
    (real(8, 10), "torch.special: erf erfc erfcx exp2 expit expm1 i0e i1e log_ndtr ndtr sinc log_softmax:0 softmax:1"),
    (between(-6.0, 6.0, 80), "torch.special: i0 i1 expit log_ndtr ndtr erfcx"),
    (off(0.0)(80), "torch: abs absolute sgn sign reciprocal sinc i0"),
    (off(0.0, gap=0.3)(4, 5), "torch.Tensor: abs reciprocal square pow:3 pow:-2"),
    (between(-1.2, 1.2, 80), "torch: tan"),
    (between(-0.95, 0.95, 80), "torch: asin acos atanh arcsin arccos arctanh erfinv"),
    (between(-0.95, 0.95, 80), "torch.special: erfinv log1p"),
    (between(0.05, 0.95, 80), "torch: logit"),
    (between(0.05, 0.95, 80), "torch.special: logit ndtri entr"),
    (between(1.1, 8.0, 80), "torch: acosh arccosh"),
    (positive(80), "torch: log log2 log10 log1p sqrt rsqrt lgamma"),
    (positive(80), "torch.special: gammaln entr log1p"),
    (positive(8, 10), "torch.Tensor: log log2 log10 log1p sqrt rsqrt pow:0.3 float_power:1.7 xlogy:2.5"),
    (between(0.1, 0.9, 80), "torch: frac floor ceil trunc fix round"),
    (off(-1.0, 1.0)(80), "torch: clamp:-1:1 clip:-1:1 clamp_min:-1 clamp_max:1"),
    (
        positive(48),
        {
            "torch.polygamma": lambda x: torch.polygamma(3, x),
            "torch.special.polygamma": lambda x: torch.special.polygamma(2, x),
            "torch.mvlgamma": lambda x: torch.mvlgamma(x + 2, 3),
            "torch.special.multigammaln": lambda x: torch.special.multigammaln(x + 2, 3),
            "torch.special.zeta": lambda x: torch.special.zeta(torch.full_like(x, 2.5), x),
            "torch.float_power": lambda x: torch.float_power(x, -1.3),
            "torch.pow[exponent]": lambda x: torch.pow(2.5, x),
            "torch.nan_to_num": torch.nan_to_num,
            "torch.Tensor.mul_": lambda x: x.clone().mul_(x),
            "torch.Tensor.exp_": lambda x: (2 * x).exp_(),
            "torch.Tensor.div_": lambda x: torch.ones_like(x).div_(x),
            "torch.Tensor.clamp_": lambda x: (3 * x).clamp_(min=0.05),
            "torch.Tensor.lerp": lambda x: x.lerp(x.sqrt(), 0.3),
            "torch.Tensor.to": lambda x: x.to(torch.complex128),
        },
    ),
]

SEVERAL: list[Group] = [
    (twice(real(6, 8)), "torch: add sub subtract mul multiply rsub hypot atan2 arctan2 logaddexp logaddexp2"),
    (together(real(6, 8), positive(6, 8)), "torch: div divide true_divide xlogy"),
    (together(real(6, 8), positive(6, 8)), "torch.special: xlogy xlog1py"),
    (together(positive(6, 8), real(6, 8)), "torch: pow float_power"),
    (together(real(4, 1), real(5)), "torch: maximum minimum fmax fmin add mul"),
    (together(real(6, 8), off(0.0)(6, 8)), "torch: copysign"),
    (together(between(2.2, 2.9, 48), between(0.8, 1.05, 48)), "torch: fmod remainder"),
    (together(real(6, 8), real(6, 8), positive(6, 8)), "torch: addcmul addcdiv"),
    (together(real(6, 8), real(6, 8), between(0.1, 0.9, 6, 8)), "torch: lerp"),
    (
        twice(real(4, 5)),
        {
            "torch.where": lambda x, y: torch.where(MASK, x.sin(), y * x),
            "torch.Tensor.where": lambda x, y: x.where(MASK, y.exp()),
            "torch.masked_fill": lambda x, y: torch.masked_fill(x * y, MASK, 0.5),
            "torch.masked_select": lambda x, y: torch.masked_select(x * y, MASK),
            "torch.Tensor.masked_scatter": lambda x, y: x.masked_scatter(MASK, y),
            "torch.ldexp": lambda x, y: torch.ldexp(x, torch.tensor([1, 2, 0, 3, 1])) + y,
            "torch.Tensor.addcmul": lambda x, y: x.addcmul(x, y, value=0.5),
            "torch.Tensor.add_": lambda x, y: (x * y).add_(y, alpha=2.0),
            "torch.dist": lambda x, y: torch.dist(x, y, 3.0),
        },
    ),
]

COMPLEX: list[Group] = [
    (compound(48), "torch: exp sin cos tanh sinh square log sqrt reciprocal neg sigmoid abs angle sgn conj real imag"),
    (compound(48), "torch: view_as_real conj_physical asinh atan expm1 resolve_conj"),
    (twice(compound(3, 4)), "torch: add sub mul div pow"),
    (twice(compound(6)), "torch: dot vdot outer inner"),
    (together(compound(3, 4), compound(4, 2)), "torch: matmul mm"),
    (compound(3, 4), "torch: sum mean prod cumsum:0 adjoint cumprod:1 t"),
    (twice(real(48)), "torch: complex"),
    (together(positive(48), real(48)), "torch: polar"),
    (real(6, 2), "torch: view_as_complex"),
    (off(0.0)(48), {"torch.angle[real]": torch.angle, "torch.real[real]": torch.real}),
]

ACTIVATIONS: list[Group] = [
    (real(80), "torch.nn.functional: gelu silu mish softplus logsigmoid tanhshrink tanh sigmoid elu:2"),
    (off(0.0)(80), "torch.nn.functional: relu leaky_relu elu selu celu:2.0 softsign"),
    (off(0.0)(80), "torch: relu selu celu"),
    (off(0.0, 6.0)(80), "torch.nn.functional: relu6"),
    (off(-3.0, 3.0)(80), "torch.nn.functional: hardswish"),
    (off(-1.0, 1.0)(80), "torch.nn.functional: hardtanh"),
    (off(-0.5, 0.5)(80), "torch.nn.functional: softshrink hardshrink"),
    (together(off(0.0)(3, 4, 2), real(4)), "torch.nn.functional: prelu"),
    (real(3, 8), "torch.nn.functional: glu"),
    (real(4, 6), "torch.nn.functional: softmax:1 log_softmax:1 softmin:0"),
    (real(4, 6), "torch: softmax:1 log_softmax:0"),
    (
        off(0.0, 0.7)(80),
        {
            "torch.nn.functional.threshold": lambda x: F.threshold(x, 0.7, -1.0),
            "torch.nn.functional.gelu[tanh]": lambda x: F.gelu(x, approximate="tanh"),
            "torch.nn.functional.softplus[beta]": lambda x: F.softplus(x, beta=3.0, threshold=10.0),
            "torch.nn.functional.rrelu": lambda x: F.rrelu(x, training=False),
            "torch.Tensor.relu_": lambda x: (2 * x).relu_(),
        },
    ),
    (distinct(80), {"torch.Tensor.clamp[tensor]": lambda x: x.clamp(max=torch.full((80,), 0.1, dtype=x.dtype))}),
]

POINTWISE = [*ELEMENTWISE, *SEVERAL, *COMPLEX, *ACTIVATIONS]
