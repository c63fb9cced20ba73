"""Correct operators of torch at hard but legitimate points: tails, huge and tiny inputs, ties, kinks, rounding."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import torch.utils.checkpoint
from torch import linalg, special

from cases.case import Case, Truth

Make = Callable[[np.random.Generator], Any]
Row = tuple[str, Callable[..., Any], Make, Truth]

RIGHT, CONVENTION = Truth.RIGHT, Truth.CONVENTION


def tricky(seed: int) -> Iterator[Case]:
    """Yield correct operators at hard points; truth CONVENTION means no derivative there, or none to measure."""
    for number, (name, f, make, truth) in enumerate([*TAILS, *SCALES, *KINKS, *ILL, *PRECISION, *LARGE, *MANNERS]):
        inputs = make(np.random.default_rng([seed, number]))
        inputs = inputs if isinstance(inputs, tuple) else (inputs,)
        yield Case(f"tricky:{name}", "torch", f, inputs, truth)


def near(*values: float, share: float = 0.01) -> Make:
    """Vary the values by up to `share` of themselves."""
    return lambda rng: torch.from_numpy(np.array(values) * (1 + share * rng.uniform(-1, 1, len(values))))


def at(*values: float) -> Make:
    """Take exactly these values."""
    return lambda _: torch.tensor(values, dtype=torch.float64)


def normal(*shape: int, size: float = 1.0, dtype: torch.dtype = torch.float64) -> Make:
    """Draw normal numbers."""
    return lambda rng: torch.from_numpy(rng.normal(0, size, shape)).to(dtype)


def several(*makes: Make) -> Make:
    """Make several inputs."""
    return lambda rng: tuple(make(rng) for make in makes)


def conditioned(number: float, size: int = 6) -> Make:
    """Draw a matrix of this condition number."""

    def make(rng: np.random.Generator) -> torch.Tensor:
        u, v = (np.linalg.qr(rng.normal(0, 1, (size, size)))[0] for _ in range(2))
        return torch.from_numpy(u * np.geomspace(1, 1 / number, size) @ v)

    return make


def close_pair(gap: float) -> Make:
    """Draw a symmetric matrix with eigenvalues 1, 1 + gap, 2, 3."""

    def make(rng: np.random.Generator) -> torch.Tensor:
        q = np.linalg.qr(rng.normal(0, 1, (4, 4)))[0]
        return torch.from_numpy(q * np.array([1, 1 + gap, 2, 3]) @ q.T)

    return make


TAILS: list[Row] = [
    ("log_ndtr(-20)", special.log_ndtr, near(-20.0, -37.0, -5.0), RIGHT),
    ("log_ndtr(+6)", special.log_ndtr, near(6.0, 5.0), RIGHT),
    ("erfcx(25)", special.erfcx, near(25.0, 8.0, -3.0), RIGHT),
    ("erfc(6)", torch.erfc, near(6.0, 10.0, 20.0), RIGHT),
    ("erf(4)", torch.erf, near(4.0, 5.0), CONVENTION),
    ("ndtr(-5)", special.ndtr, near(-3.0, -4.0, -5.0), CONVENTION),
    ("ndtr(-8)", special.ndtr, near(-8.0, -7.0), CONVENTION),
    ("softplus(50)", F.softplus, near(50.0, 19.0, 21.0), RIGHT),
    ("softplus(-40)", F.softplus, near(-40.0, -100.0), RIGHT),
    ("logsigmoid(-40)", F.logsigmoid, near(-40.0, -700.0), RIGHT),
    ("logsigmoid(40)", F.logsigmoid, near(40.0, 30.0), RIGHT),
    ("sigmoid(-40)", torch.sigmoid, near(-40.0, -300.0), RIGHT),
    ("sigmoid(30)", torch.sigmoid, near(30.0, 36.0), CONVENTION),
    ("tanh(15)", torch.tanh, near(15.0, -17.0), CONVENTION),
    ("tanh(8)", torch.tanh, near(8.0, -9.0), RIGHT),
    ("gelu(-10)", F.gelu, near(-10.0, -5.0), CONVENTION),
    ("gelu(-8)", F.gelu, near(-7.6, -7.9, -8.1, -8.4, share=0.02), CONVENTION),
    ("silu(-50)", F.silu, near(-50.0, 50.0), RIGHT),
    ("mish(-30)", F.mish, near(-30.0, 30.0), RIGHT),
    ("elu(-35)", F.elu, near(-35.0), CONVENTION),
    ("expm1(-40)", torch.expm1, near(-40.0), CONVENTION),
    ("softmax, far apart", lambda x: torch.softmax(x, 0), near(0.1, 40.0, -40.0, 20.0), RIGHT),
    ("log_softmax, far apart", lambda x: torch.log_softmax(x, 0), near(0.1, 40.0, -40.0, 20.0), RIGHT),
    ("logsumexp, far apart", lambda x: torch.logsumexp(x, 0), near(1.0, 700.0, 650.0), RIGHT),
    ("logaddexp(-800)", torch.logaddexp, several(near(-800.0), near(-801.0)), RIGHT),
    ("log1p(-1 + 1e-8)", torch.log1p, lambda rng: torch.from_numpy(-1 + rng.uniform(1e-8, 2e-8, 2)), RIGHT),
    ("erfinv(0.9999999)", torch.erfinv, lambda rng: torch.from_numpy(1 - rng.uniform(1e-7, 2e-7, 2)), RIGHT),
    ("logit(1e-12)", torch.logit, near(1e-12, 3e-10, share=0.3), RIGHT),
    ("lgamma(1e-6)", torch.lgamma, near(1e-6, 1e8), RIGHT),
    ("i0e(700)", special.i0e, near(700.0, 50.0), RIGHT),
    ("atan(1e8)", torch.atan, near(1e8), CONVENTION),
    ("acos, close to 1", torch.acos, lambda rng: torch.from_numpy(1 - rng.uniform(1e-8, 2e-8, 2)), RIGHT),
    (
        "bce with logits(60)",
        F.binary_cross_entropy_with_logits,
        lambda _: (torch.tensor([60.0, -60.0]).double(),) * 2,
        RIGHT,
    ),
    (
        "cross entropy, sure",
        lambda x: F.cross_entropy(x, torch.tensor([0])),
        lambda r: near(30.0, 0.1, 1.0)(r)[None],
        CONVENTION,
    ),
    ("kl_div, rare", lambda x: F.kl_div(x, torch.tensor([1e-9, 1 - 1e-9]).double()), near(-20.0, -0.1), RIGHT),
]

SCALES: list[Row] = [
    *[
        (f"{name}({size:g})", f, near(size, -size if signed else 2 * size, share=0.3), RIGHT)
        for name, f, signed in (
            ("sin", torch.sin, True),
            ("square", torch.square, True),
            ("tanh", torch.tanh, True),
            ("expm1", torch.expm1, True),
            ("sqrt", torch.sqrt, False),
            ("log", torch.log, False),
            ("asinh", torch.asinh, True),
            ("gelu", F.gelu, True),
            ("softplus", F.softplus, True),
            ("reciprocal", torch.reciprocal, True),
        )
        for size in (1e-8, 1e8)
        if (name, size) not in {("tanh", 1e8), ("expm1", 1e8)}
    ],
    ("sin(1e5)", torch.sin, near(1e5), RIGHT),
    ("exp(-700)", torch.exp, near(-700.0, 700.0), RIGHT),
    ("norm of 1e8", torch.linalg.norm, normal(5, size=1e8), RIGHT),
    ("norm of 1e-8", torch.linalg.norm, normal(5, size=1e-8), RIGHT),
    ("norm, mixed scales", torch.linalg.norm, near(1e-6, 1.0, 1e6), CONVENTION),
    ("layer_norm of 1e-3", lambda x: F.layer_norm(x, (6,)), normal(2, 6, size=1e-3), RIGHT),
    ("layer_norm of 1e6", lambda x: F.layer_norm(x, (6,)), normal(2, 6, size=1e6), RIGHT),
    ("var with a large mean", torch.var, lambda rng: torch.from_numpy(1e4 + rng.normal(0, 1, 8)), RIGHT),
    ("det of 1e-4", linalg.det, normal(4, 4, size=1e-4), RIGHT),
    (
        "logdet of 1e4",
        torch.logdet,
        lambda rng: torch.from_numpy(1e4 * (np.eye(4) + 0.1 * rng.normal(0, 1, (4, 4)))),
        RIGHT,
    ),
    ("prod of 20", torch.prod, normal(20, size=10.0), RIGHT),
    ("cumprod to 1e-20", lambda x: x.cumprod(0), near(*[0.1] * 20, share=0.5), RIGHT),
    ("mul, mixed scales", torch.mul, several(near(1e-8, 1e8), near(1e8, 1e-8)), RIGHT),
    ("add, mixed scales", torch.add, several(near(1e-8, 1.0), near(1e8, 1.0)), CONVENTION),
    (
        "cosine_similarity of 1e-4",
        lambda x, y: F.cosine_similarity(x, y, 0),
        several(normal(5, size=1e-4), normal(5)),
        RIGHT,
    ),
    ("atan2, near the axis", torch.atan2, several(near(1e-8), near(-1.0)), RIGHT),
    ("hypot, lopsided", torch.hypot, several(near(1e-3), near(1.0)), RIGHT),
    ("pow(x, 20)", lambda x: x**20, near(0.1, 3.0, -2.0), RIGHT),
    ("polar of 1e6", torch.polar, several(near(1e6), near(1.0)), RIGHT),
]

KINKS: list[Row] = [
    *[
        (f"{name} at its kink", f, make, CONVENTION)
        for name, f, make in (
            ("relu", torch.relu, at(0.0, 1.0, -1.0)),
            ("abs", torch.abs, at(0.0, 2.0)),
            ("leaky_relu", F.leaky_relu, at(0.0, -1.0)),
            ("relu6", F.relu6, at(6.0, 0.0)),
            ("hardtanh", F.hardtanh, at(1.0, -1.0, 0.3)),
            ("hardswish", F.hardswish, at(3.0, -3.0)),
            ("clamp", lambda x: x.clamp(-1, 1), at(1.0, -1.0, 0.5)),
            ("max", torch.max, at(1.0, 3.0, 3.0)),
            ("amax", lambda x: torch.amax(x, 0), at(2.0, 2.0, 2.0)),
            ("sort", lambda x: torch.sort(x).values, at(1.0, 1.0, 0.0)),
            ("median", torch.median, at(1.0, 2.0, 2.0)),
            ("max_pool1d", lambda x: F.max_pool1d(x[None, None], 2), at(1.0, 1.0, 0.5, 2.0)),
            ("maximum", torch.maximum, several(at(1.0, 2.0), at(1.0, 0.0))),
            ("l1_loss", F.l1_loss, several(at(1.0, 2.0), at(1.0, 0.0))),
            ("norm", torch.linalg.norm, at(0.0, 0.0, 0.0)),
            ("sqrt", torch.sqrt, at(0.0, 1.0)),
            ("dist", torch.dist, several(at(1.0, 2.0), at(1.0, 2.0))),
            ("cdist", torch.cdist, several(lambda _: torch.ones(1, 2).double(), lambda _: torch.ones(1, 2).double())),
            ("pow 0.5", lambda x: x**0.5, at(0.0, 2.0)),
            ("floor", torch.floor, at(1.0, 0.5)),
            ("round", torch.round, at(0.5, 0.2)),
            ("frac", torch.frac, at(1.0, 0.5)),
            ("sign", torch.sign, at(0.0, 0.5)),
            ("remainder", lambda x: torch.remainder(x, 1.0), at(2.0, 0.3)),
            ("threshold", lambda x: F.threshold(x, 0.5, 0.0), at(0.5, 1.0)),
            ("hardshrink", F.hardshrink, at(0.5, 1.0)),
            ("softshrink", F.softshrink, at(0.5, 1.0)),
            ("prelu", F.prelu, several(at(0.0, 1.0), at(0.25))),
            ("hinge", F.multi_margin_loss, lambda _: (torch.tensor([[0.5, 1.5, -0.5]]).double(), torch.tensor([1]))),
            ("smooth_l1, beta 0", lambda x: F.smooth_l1_loss(x, torch.zeros(2).double(), beta=0.0), at(0.0, 1.0)),
            ("eigvalsh, twice the same", lambda x: linalg.eigvalsh(x + x.mT), lambda _: torch.eye(3).double()),
            ("svdvals, zero", linalg.svdvals, lambda _: torch.diag(torch.tensor([2.0, 1.0, 0.0]).double())),
            ("cholesky, one triangle", linalg.cholesky, lambda r: close_pair(0.5)(r)),
            ("log at the edge", special.xlogy, several(at(0.0, 1.0), at(0.0, 1.0))),
            (
                "grid_sample on a pixel",
                lambda x, g: F.grid_sample(x, g, align_corners=True),
                several(normal(1, 1, 3, 3), lambda _: torch.zeros(1, 1, 1, 2).double()),
            ),
        )
    ],
    ("smooth at 0: silu", F.silu, at(0.0, 1.0), RIGHT),
    ("smooth at 0: x|x|", lambda x: x * x.abs(), at(0.0, 1.0), RIGHT),
    ("smooth at 0: huber", lambda x: F.huber_loss(x, torch.zeros(3).double()), at(0.0, 0.5, 2.0), RIGHT),
    ("smooth at 0: sinc", torch.sinc, at(0.0, 0.5), RIGHT),
    ("smooth at 0: elu", F.elu, at(0.0, 0.5), RIGHT),
    ("smooth at 0: prod with a zero", torch.prod, at(0.0, 2.0, 3.0), RIGHT),
    ("smooth at 0: prod with two zeros", torch.prod, at(0.0, 0.0, 3.0), RIGHT),
    ("smooth at 0: cumprod", lambda x: x.cumprod(0), at(2.0, 0.0, 3.0), RIGHT),
    ("smooth at 0: square", torch.square, at(0.0, 0.0), RIGHT),
    ("smooth at 0: var", torch.var, at(1.0, 1.0, 1.0), RIGHT),
    ("near a kink: relu", torch.relu, at(1e-6, -1e-9, 1e-3), RIGHT),
    ("near a kink: max", torch.max, at(1.0, 1.0 + 1e-7), RIGHT),
    ("near a kink: clamp", lambda x: x.clamp(0, 1), at(1 - 1e-8, 1 + 1e-8), RIGHT),
    ("near ties: sort", lambda x: x.sort().values, at(1.0, 1 + 1e-6, 1 - 1e-6, 1 + 3e-6), RIGHT),
    ("near ties: max_pool2d", lambda x: F.max_pool2d(x[None], 2), lambda r: 1 + 1e-5 * normal(4, 4)(r), RIGHT),
    ("near 0: sqrt", torch.sqrt, near(1e-12, 1e-20), RIGHT),
    ("near 0: norm", torch.linalg.norm, near(1e-10, 1e-10), RIGHT),
    ("near 0: x log x", lambda x: x * x.log(), near(1e-10, 1e-3), RIGHT),
]

ILL: list[Row] = [
    *[
        (f"{name}, condition 1e{power}", f, several(conditioned(10.0**power), *rest), RIGHT)
        for power in (3, 6)
        for name, f, rest in (
            ("solve", linalg.solve, (normal(6),)),
            ("inv", linalg.inv, ()),
            ("det", linalg.det, ()),
            ("slogdet", lambda a: linalg.slogdet(a).logabsdet, ()),
            ("lstsq", lambda a, b: linalg.lstsq(a, b).solution, (normal(6, 1),)),
            ("svdvals", linalg.svdvals, ()),
            ("qr", lambda a: linalg.qr(a).R, ()),
            ("cholesky", lambda a: linalg.cholesky(a @ a.mT + 1e-12 * torch.eye(6).double()), ()),
        )
        if (name, power) != ("cholesky", 6)
    ],
    *[
        (f"eigvalsh, gap {gap:g}", lambda x: linalg.eigvalsh((x + x.mT) / 2), close_pair(gap), RIGHT)
        for gap in (1e-3, 1e-6)
    ],
    ("eigh projector, gap 1e-3", lambda x: linalg.eigh((x + x.mT) / 2)[1][:, :1].abs(), close_pair(1e-3), RIGHT),
    ("svdvals, gap 1e-4", linalg.svdvals, close_pair(1e-4), RIGHT),
    ("matrix_exp, large", linalg.matrix_exp, normal(4, 4, size=4.0), RIGHT),
    ("pinv, rank one", linalg.pinv, lambda r: torch.outer(normal(4)(r), normal(3)(r)), CONVENTION),
]


def _low(name: str, f: Callable[..., Any], *shapes: tuple[int, ...], positive: bool = False) -> list[Row]:
    def make(dtype: torch.dtype) -> Make:
        def draw(rng: np.random.Generator) -> tuple[torch.Tensor, ...]:
            xs = [normal(*shape)(rng) for shape in shapes]
            return tuple((x.abs() + 0.2 if positive else x).to(dtype) for x in xs)

        return draw

    kinds = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    return [(f"{name}, {kind}", f, make(dtype), RIGHT) for kind, dtype in kinds.items()]


PRECISION: list[Row] = [
    *_low("sin", torch.sin, (12,)),
    *_low("exp", torch.exp, (12,)),
    *_low("log", torch.log, (12,), positive=True),
    *_low("tanh", torch.tanh, (12,)),
    *_low("gelu", F.gelu, (12,)),
    *_low("softmax", lambda x: torch.softmax(x, 1), (3, 5)),
    *_low("layer_norm", lambda x: F.layer_norm(x, (6,)), (3, 6)),
    *_low("matmul", torch.matmul, (3, 4), (4, 2)),
    *_low("conv1d", F.conv1d, (1, 2, 6), (3, 2, 3)),
    *_low("logsumexp", lambda x: torch.logsumexp(x, 0), (12,)),
    *_low("norm", torch.linalg.norm, (8,)),
    *_low("attention", F.scaled_dot_product_attention, (1, 3, 4), (1, 3, 4), (1, 3, 4)),
    *_low("cross_entropy", lambda x: F.cross_entropy(x, torch.tensor([0, 2])), (2, 4)),
    *_low("mse_loss", F.mse_loss, (8,), (8,)),
]

LARGE: list[Row] = [
    ("mean of 1e5", torch.mean, normal(100_000), RIGHT),
    ("sum of 1e5", torch.sum, normal(100_000), RIGHT),
    ("logsumexp of 1e5", lambda x: torch.logsumexp(x, 0), normal(100_000), RIGHT),
    ("norm of 1e5", torch.linalg.norm, normal(100_000), RIGHT),
    ("softmax of 2000", lambda x: torch.softmax(x, 0), normal(2000), RIGHT),
    ("mse_loss of 1e5", F.mse_loss, several(normal(50_000), normal(50_000)), RIGHT),
    ("float32 sum of 1e4", torch.sum, normal(10_000, dtype=torch.float32), RIGHT),
    ("float32 mean of 1e5", torch.mean, normal(100_000, dtype=torch.float32), RIGHT),
    ("std of 1e5", torch.std, normal(100_000), RIGHT),
    ("tanh of 1e5, elementwise", torch.tanh, normal(20_000), RIGHT),
]


def _overwritten(x: torch.Tensor) -> torch.Tensor:
    x.mul_(2.0).sin_()
    return x * x


def _dropped(x: torch.Tensor) -> torch.Tensor:
    return F.dropout(x.exp(), 0.4, training=True)


MANNERS: list[Row] = [
    ("in place on a copy", lambda x: x.clone().mul_(x).add_(1.0).sqrt_(), normal(3, 4), RIGHT),
    ("in place on the input", _overwritten, normal(5), RIGHT),
    (
        "in place on a slice",
        lambda x: torch.cat([x, x]).index_fill_(0, torch.tensor([1]), 0.0).square(),
        normal(4),
        RIGHT,
    ),
    ("transposed", torch.tanh, lambda r: normal(3, 4)(r).mT, RIGHT),
    ("strided", torch.sin, lambda r: normal(12)(r)[::3], RIGHT),
    ("matmul of transposed", torch.matmul, lambda r: (normal(4, 3)(r).mT, normal(5, 4)(r).mT), RIGHT),
    (
        "channels last",
        lambda x: F.avg_pool2d(x, 2),
        lambda r: normal(1, 2, 4, 4)(r).contiguous(memory_format=torch.channels_last),
        RIGHT,
    ),
    ("expanded", torch.exp, lambda r: normal(1, 4)(r).expand(3, 4), RIGHT),
    ("expanded number", lambda x: x.sin().sum(), lambda r: normal(1)(r).expand(5), RIGHT),
    ("conjugated view", lambda z: (z * z).real, lambda r: torch.complex(normal(3)(r), normal(3)(r)).conj(), RIGHT),
    ("number of no dimension", torch.exp, lambda r: normal()(r), RIGHT),
    ("dropout", _dropped, normal(12), RIGHT),
    ("feature_alpha_dropout", lambda x: F.alpha_dropout(x, 0.3, training=True), normal(12), RIGHT),
    ("gumbel_softmax", lambda x: F.gumbel_softmax(x, tau=0.7), normal(3, 4), RIGHT),
    ("rrelu, random", lambda x: F.rrelu(x, training=True), near(1.0, -1.0, 2.0, -2.0), RIGHT),
    ("ignores an argument", lambda x, y: x.sin() + 0 * y.detach().sum(), several(normal(3), normal(2)), RIGHT),
    ("unused argument", lambda x, y: x.sin(), several(normal(3), normal(2)), RIGHT),  # noqa: ARG005
    ("multiplied by zero", lambda x, y: x.sin() + 0 * y, several(normal(3), normal(3)), RIGHT),
    ("constant", lambda x: x.detach() * 0 + 1.0, normal(3), RIGHT),
    ("integers beside", lambda x: (x.square(), x.argmax(), (x > 0)), normal(4), RIGHT),
    ("topk with indices", lambda x: x.topk(2), near(1.0, 2.0, 3.0, 4.0), RIGHT),
    ("dictionary", lambda x: {"a": x.sin(), "b": [x.cos(), 3]}, normal(3), RIGHT),
    ("integer input", lambda x, i: x[i] ** 2, lambda r: (normal(5)(r), torch.tensor([0, 2, 2])), RIGHT),
    ("own branch", lambda x: torch.where(x > 0, x.clamp(min=1e-30).sqrt(), -x), near(1.0, -1.0, 4.0), RIGHT),
    ("python branch", lambda x: x.sin() if float(x.detach().sum()) > 0 else x.cos(), near(1.0, 2.0), RIGHT),
    ("loop to a fixed point", lambda x: _newton(x), near(2.0, 3.0, 10.0), RIGHT),
    ("gradient inside", lambda x: _force(x), normal(4), RIGHT),
    ("checkpointed", lambda x: torch.utils.checkpoint.checkpoint(torch.sin, x, use_reentrant=False), normal(4), RIGHT),
    ("module", torch.nn.Linear(3, 2).double(), normal(2, 3), RIGHT),
    ("complex to real", lambda z: z.abs().square().sum(), lambda r: torch.complex(normal(4)(r), normal(4)(r)), RIGHT),
    ("not holomorphic", lambda z: z.conj() * z * z, lambda r: torch.complex(normal(4)(r), normal(4)(r)), RIGHT),
    ("sparse product", lambda x: torch.sparse.mm(torch.eye(3).double().to_sparse(), x).tanh(), normal(3, 2), RIGHT),
]


def _newton(a: torch.Tensor) -> torch.Tensor:
    x = torch.ones_like(a) + a / 2
    for _ in range(12):
        x = (x + a / x) / 2
    return x


def _force(x: torch.Tensor) -> torch.Tensor:
    if not x.requires_grad:
        x = x.detach().requires_grad_()
    (force,) = torch.autograd.grad((x.sin() * x).sum(), x, create_graph=True)
    return force
