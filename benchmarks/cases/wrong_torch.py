"""Wrong derivatives in PyTorch, by their names in `cases.wrong`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from cases.case import Case, Truth
from cases.scales import FACTORS
from cases.witnesses import expm1

Tensor = torch.Tensor
RIGHT, WRONG, CONVENTION = Truth.RIGHT, Truth.WRONG, Truth.CONVENTION


def operator(value: Callable[..., Tensor], backward: Callable[..., Any]) -> Callable[..., Tensor]:
    """Make an operator with a backward of its own, called as `backward(cotangent, *inputs)`."""

    class Operator(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *xs: Tensor) -> Tensor:
            ctx.save_for_backward(*xs)
            return value(*xs)

        @staticmethod
        def backward(ctx: Any, g: Tensor) -> Any:
            return backward(g, *ctx.saved_tensors)

    return Operator.apply


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Draw a float64 tensor."""
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def uniform(*shape: int) -> Tensor:
    """Draw a float64 tensor from (0, 1)."""
    return torch.from_numpy(np.random.default_rng(0).uniform(size=shape))


def wrong() -> Iterator[Case]:
    """Yield the cases; they share nothing and draw from fixed seeds."""
    yield from few_entries()
    yield from scales()
    yield from contracts()
    yield from conditional()
    yield from second_order()
    yield from frameworks_own()


def few_entries() -> Iterator[Case]:
    """Yield gross errors in few entries of a large Jacobian."""

    def one_entry(g: Tensor, _: Tensor) -> Tensor:
        gradient = 2 * g
        gradient[7] += g[7]
        return gradient

    about = "a diagonal Jacobian with one entry 3 instead of 2"
    yield Case("P1", "torch", operator(lambda x: 2 * x, one_entry), (normal(400),), WRONG, about=about)
    for n in (1000, 2000):
        weight = uniform(n, n) + 0.01

        def column(g: Tensor, _: Tensor, weight: Tensor = weight) -> Tensor:
            gradient = weight.T @ g
            gradient[3] = 0
            return gradient

        product = operator(lambda x, weight=weight: weight @ x, column)
        yield Case(f"P2/{n}", "torch", product, (normal(n),), WRONG, about="one column of a positive matrix is zero")

    def renorm(x: Tensor) -> Tensor:
        return torch.renorm(x, 2, 0, 1.0)

    def no_norm(g: Tensor, x: Tensor) -> Tensor:
        return g * (renorm(x) / x)

    about = "renorm whose backward forgets that the norm depends on the input"
    yield Case("P3", "torch", operator(renorm, no_norm), (normal(20, 30),), WRONG, about=about)

    def swapped(g: Tensor, x: Tensor) -> Tensor:
        order = torch.argsort(x)
        order[[10, 11]] = order[[11, 10]]
        return torch.zeros_like(x).index_put((order,), g)

    about = "sort whose backward exchanges two neighbours"
    yield Case("P4", "torch", operator(lambda x: x.sort().values, swapped), (uniform(800),), WRONG, about=about)


def scales() -> Iterator[Case]:
    """Yield errors of 100 % that are tiny or huge in absolute size."""
    for c, s in FACTORS:
        zero = operator(lambda x, c=c, s=s: c * torch.sin(x / s), lambda _, x: torch.zeros_like(x))
        about = "the gradient of c sin(x / s) is zero"
        yield Case(f"P5/c={c:g},s={s:g}", "torch", zero, (s * normal(3),), WRONG, about=about)
    small = operator(lambda x: 2.24e-4 * x, lambda g, _: 4.84e-5 * g)
    for dtype in (torch.float32, torch.float64):
        name, point = f"P20/{str(dtype).removeprefix('torch.')}", normal(5).to(dtype)
        yield Case(name, "torch", small, (point,), WRONG, about="4.84e-5 instead of 2.24e-4")


def contracts() -> Iterator[Case]:
    """Yield operators that break autograd's contract, in a use where that makes the derivative wrong."""

    def strides(g: Tensor, _: Tensor) -> Tensor:
        return 3 * torch.as_strided(g, g.shape, torch.empty(g.shape).stride()).clone()

    raw = operator(lambda x: 3 * x, strides)
    weight = normal(4, 3, seed=1)
    about = "contract, in use: the backward reads its cotangent's memory without its strides, and that is "
    uses: dict[str, Callable[[Tensor], Tensor]] = {
        "transposed": lambda x: (raw(x).T * weight).sum(),
        "narrowed": lambda x: torch.cat([raw(x), x], 1) ** 2,
    }
    for name, f in uses.items():
        yield Case(f"P6/{name}", "torch", f, (normal(3, 4),), WRONG, about=about + name)

    doubled = operator(lambda x: 2 * x, lambda g, _: g.mul_(2))
    yield Case(
        "P7",
        "torch",
        lambda x: x.exp() + doubled(x),
        (normal(3),),
        WRONG,
        about="contract, in use: the backward doubles its cotangent in place, and a sum shares it with another term",
    )

    class Remembered(torch.autograd.Function):
        slope: Tensor

        @staticmethod
        def forward(_ctx: Any, x: Tensor) -> Tensor:
            Remembered.slope = x.cos()
            return x.sin()

        @staticmethod
        def backward(_ctx: Any, g: Tensor) -> Tensor:
            return g * Remembered.slope

    about = "contract, in use: the slope is kept on the class, and the operator is used "
    once, twice = Remembered.apply, lambda x: Remembered.apply(x) + Remembered.apply(2 * x)
    yield Case("P9/once", "torch", once, (normal(3),), WRONG, about=about + "once: its contract is broken")
    yield Case("P9/twice", "torch", twice, (normal(3),), WRONG, about=about + "twice")

    forgets = operator(torch.matmul, lambda g, _, w: (g @ w.T, None))
    about = "the backward has no gradient for its second input; "
    point = (normal(2, 3), normal(3, 2, seed=1))
    yield Case("P10/wrt", "torch", forgets, point, RIGHT, options={"wrt": 0}, about=about + "which is left out")
    yield Case("P10", "torch", forgets, point, WRONG, about=about + "which varies")

    def constant(x: Tensor) -> Tensor:
        return torch.nn.init.constant_(x.clone(), 0.3)

    yield Case(
        "P40", "torch", constant, (normal(3),), WRONG, about="init.constant_ hides from the tape: 1 instead of 0"
    )


def conditional() -> Iterator[Case]:
    """Yield derivatives that are wrong in a part of the domain."""
    beyond = operator(lambda x: x**2, lambda g, x: torch.where(x > 3, 4 * x * g, 2 * x * g))
    inside, outside = torch.tensor([0.5, -1.2, 2.0]), torch.tensor([0.5, -1.2, 4.0])
    about = "wrong only where x > 3, and the point lies "
    yield Case("P8/inside", "torch", beyond, (inside.double(),), RIGHT, smooth=True, about=about + "inside")
    yield Case("P8/beyond", "torch", beyond, (outside.double(),), WRONG, about=about + "beyond")
    through = operator(torch.round, lambda g, _: g)
    about = "a straight-through estimator: no derivative of its function"
    yield Case("A6", "torch", through, (torch.tensor([0.3, 1.2, -0.8]).double(),), WRONG, about=about)


def second_order() -> Iterator[Case]:
    """Yield right first derivatives whose own derivative is wrong."""
    about = "exp saved on ctx: the double backward takes it for a constant; "
    yield Case("P11/first", "torch", Saved.apply, (normal(3),), RIGHT, smooth=True, about=about + "first order")
    yield Case("P11", "torch", Saved.apply, (normal(3),), WRONG, order=2, about=about + "second order")
    about = "modulus of complex numbers: double backward is right, forward over reverse forgets a term"
    yield Case("P34", "torch", Modulus.apply, (torch.complex(normal(3), normal(3, seed=1)),), WRONG, 2, about=about)


class Saved(torch.autograd.Function):
    """exp whose backward uses a value that the tape does not know."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Return exp(x)."""
        ctx.e = x.exp()
        return ctx.e.clone()

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        """Return the cotangent times exp(x)."""
        return g * ctx.e


class Modulus(torch.autograd.Function):
    """|x| of complex numbers, with a backward that has derivatives of its own."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Return |x|."""
        ctx.save_for_backward(x)
        ctx.save_for_forward(x)
        return x.abs()

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        """Return g x / |x|."""
        return _ModulusBackward.apply(g, ctx.saved_tensors[0])

    @staticmethod
    def jvp(ctx: Any, t: Tensor) -> Tensor:
        """Return Re(conj(x) t) / |x|."""
        return (t * ctx.saved_tensors[0].sgn().conj()).real


class _ModulusBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, g: Tensor, x: Tensor) -> Tensor:
        ctx.save_for_backward(g, x)
        ctx.save_for_forward(g, x)
        return g * x.sgn()

    @staticmethod
    def backward(ctx: Any, h: Tensor) -> tuple[Tensor, Tensor]:
        g, x = ctx.saved_tensors
        r, inner = x.abs(), (h.conj() * x).real
        return inner / r, g * (h / r - x * inner / r**3)

    @staticmethod
    def jvp(ctx: Any, tg: Tensor | None, _tx: Tensor | None) -> Tensor:
        _, x = ctx.saved_tensors
        return torch.zeros_like(x) if tg is None else tg * x.sgn()  # the tangent of x is forgotten


def frameworks_own() -> Iterator[Case]:
    """Yield what PyTorch itself gets wrong."""
    tail = torch.tensor([-40.0, -50.0]).double()
    about = "exp(-40) is claimed to be 0; in float64 the function is -1 all around"
    yield Case("P37/torch", "torch", torch.expm1, (tail,), CONVENTION, about=about + ", so values cannot tell")
    witness = {"witness": expm1}
    yield Case("P37/torch,witness", "torch", torch.expm1, (tail,), WRONG, options=witness, about=about)

    zeros = torch.zeros(2, 2).double()
    about = "renorm to a norm of 0: the identity is claimed, the function is 0"
    yield Case("P38", "torch", lambda x: torch.renorm(x, 2, 0, 0.0), (zeros,), WRONG, about=about)

    indices = torch.tensor([[[[1, 1, 5, 7]]]])

    def unpool(x: Tensor) -> Tensor:
        return torch.nn.functional.max_unpool2d(x, indices, (1, 2), output_size=(1, 8))

    about = "two inputs are written to one place; both are given the gradient of the one that stays"
    yield Case("P39", "torch", unpool, (normal(1, 1, 1, 4),), WRONG, about=about)

    product = lambda x: torch.cumprod(x, 0)  # noqa: E731
    zero = torch.tensor([0.0, 3.0, 4.0]).double()
    about = "forward mode of forward mode at a zero: 0 and NaN for a finite second derivative"
    yield Case("A9/forward", "torch", product, (zero,), WRONG, order=2, about=about)
