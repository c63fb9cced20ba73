"""Right derivatives in PyTorch that some checker has called wrong, by their names in `cases.right`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.checkpoint import checkpoint

from cases.case import Case, Truth

Tensor = torch.Tensor
RIGHT, CONVENTION = Truth.RIGHT, Truth.CONVENTION
F = torch.nn.functional


def _f64(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def _normal(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(size=shape)).to(dtype)


def _uniform(*shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).uniform(size=shape))


def right() -> Iterator[Case]:
    """Yield the cases."""
    yield from kinks()
    yield from beside_kinks()
    yield from scales()
    yield from precisions()
    yield from randomness()
    yield from shapes()
    yield from methods()


def kinks() -> Iterator[Case]:
    """Yield points without a derivative, where the framework has a convention."""
    table: dict[str, tuple[Any, Tensor]] = {
        "A1/relu": (torch.relu, _f64(1.0, 0.0, -1.0)),
        "A1/abs": (torch.abs, _f64(0.0, 2.0)),
        "A1/clamp": (lambda x: torch.clamp(x, 0, 1), _f64(0.0, 1.0, 0.5)),
        "A1/maximum": (lambda x: torch.maximum(x, torch.zeros_like(x)), _f64(0.0, 1.0)),
        "A1/leaky_relu": (F.leaky_relu, _f64(0.0, 1.0)),
        "A1/hardtanh": (F.hardtanh, _f64(-1.0, 1.0, 0.2)),
        "A1/amax": (lambda x: x.amax(), _f64(2.0, 2.0, 1.0)),
        "A1/max": (lambda x: x.max(), _f64(2.0, 2.0, 1.0)),
        "A1/floor": (torch.floor, _f64(4.0, 2.5)),
        "A10/eigvalsh": (torch.linalg.eigvalsh, torch.eye(3).double()),
        "A10/eigh": (lambda x: torch.linalg.eigh(x).eigenvectors, torch.eye(3).double()),
        "A10/svdvals": (torch.linalg.svdvals, torch.eye(3).double()),
        "A27/norm": (torch.linalg.vector_norm, _f64(0.0, 0.0)),
        "A27/std": (torch.std, _f64(1.0, 1.0, 1.0)),
        "E/power": (lambda x: x**x, _f64(0.0, 1.5)),
        "E/where": (lambda x: torch.where(x > 0, x.log(), 0.0), _f64(0.0, 1.5)),
        "E/atan2": (lambda x: torch.atan2(x, x), _f64(0.0, 1.5)),
        "E/xlogy": (lambda x: torch.xlogy(x, x), _f64(0.0, 1.5)),
    }
    for name, (f, x) in table.items():
        yield Case(f"{name},torch", "torch", f, (x,), CONVENTION, about="no derivative exists at this point")


def beside_kinks() -> Iterator[Case]:
    """Yield points close to a kink or a jump, where there is a derivative."""
    for x in (3e-7, -3e-7, 1e-12):
        yield Case(f"A1/relu at {x:g}", "torch", torch.relu, (_f64(x),), RIGHT, about="a kink within many a step")
    yield Case("A1/abs at 1e-9", "torch", torch.abs, (_f64(1e-9, -1e-9),), RIGHT, about="a kink within many a step")
    for x in (2.3, 2.5, 2.6, 2.999, 3.000001):
        f = lambda x: x * torch.remainder(x, 1)  # noqa: E731
        yield Case(f"A23/{x:g}", "torch", f, (_f64(x),), RIGHT, about="a jump at every whole number")
    about = "sorted numbers, some of them closer than a step"
    yield Case("P4/sort", "torch", lambda x: x.sort().values, (_uniform(1000),), RIGHT, about=about)


def scales() -> Iterator[Case]:
    """Yield arguments and values of unusual size."""
    table: dict[str, tuple[Any, tuple[float, ...]]] = {
        "log": (torch.log, (1e-5, 1e-12, 1e8)),
        "sqrt": (torch.sqrt, (1e-7, 1e-12, 1e10)),
        "sin far out": (torch.sin, (1e10, 1e6)),
        "exp": (torch.exp, (700.0, -700.0)),
        "square": (torch.square, (1e8, 1e-8)),
        "sine of 1000 x": (lambda x: torch.sin(1000 * x), (1.0, 0.3)),
        "reciprocal": (torch.reciprocal, (1e-9, 1e9)),
        "constant": (lambda x: 0 * x + 3.0, (0.7, 0.0)),
        "linear": (lambda x: 3 * x - 1, (0.7, 0.0)),
        "prod at zero": (torch.cumprod, (0.0, 3.0, 4.0)),
        "sinc": (torch.sinc, (0.0, 0.5)),
    }
    for name, (f, xs) in table.items():
        item = {"constant": "A16", "linear": "A19", "prod at zero": "P35", "sinc": "E"}.get(name, "A2")
        g = (lambda x: torch.cumprod(x, 0)) if name == "prod at zero" else f
        inputs = (_f64(*xs),)
        if item == "A2":
            for x in xs:
                yield Case(f"A2/{name} at {x:g}", "torch", g, (_f64(x),), RIGHT, about="one number")
        yield Case(f"{item}/{name}", "torch", g, inputs, RIGHT, about="several sizes in one vector")
    yield Case("A25", "torch", lambda x: 1e-4 * (x**4).sum(), (_normal(4),), RIGHT, smooth=True, about="scaled by 1e-4")
    yield Case("A18", "torch", lambda x: x[0] + 2.7e-8 * x[1], (_f64(1.0, 2.0),), RIGHT, about="a slope of 2.7e-8")


def precisions() -> Iterator[Case]:
    """Yield functions of low precision, outside or inside."""
    ops = {"sin": torch.sin, "exp": torch.exp, "tanh": torch.tanh, "softmax": lambda x: torch.softmax(x, 0)}
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        word, item = str(dtype).removeprefix("torch."), "A3" if dtype is torch.float32 else "A11"
        for name, f in ops.items():
            x = _normal(5, dtype=dtype)
            yield Case(f"{item}/{name},{word}", "torch", f, (x,), RIGHT, smooth=True, about="low precision")
        pair = (_normal(3, 4, dtype=dtype), _normal(4, 2, dtype=dtype))
        yield Case(f"{item}/mm,{word}", "torch", torch.mm, pair, RIGHT, smooth=True, about="low precision")
    torch_state = torch.random.get_rng_state()
    try:
        torch.manual_seed(0)
        linear, cell = torch.nn.Linear(8, 5), torch.nn.LSTMCell(6, 12)
    finally:
        torch.random.set_rng_state(torch_state)
    for parameter in (*linear.parameters(), *cell.parameters()):
        parameter.requires_grad_(False)
    x = (_normal(3, 8, dtype=torch.float32),)
    yield Case("A3/Linear", "torch", lambda x: linear(x), x, RIGHT, smooth=True, about="a float32 layer")
    state = tuple(_normal(2, n, dtype=torch.float32) for n in (6, 12, 12))
    lstm = lambda x, h, c: cell(x, (h, c))[0]  # noqa: E731
    yield Case("A24/LSTM", "torch", lstm, state, RIGHT, smooth=True, about="a float32 cell")
    inside = lambda x: torch.sin(x.float()).double()  # noqa: E731
    yield Case("A4", "torch", inside, (_normal(4),), RIGHT, about="float32 inside a float64 function")


def randomness() -> Iterator[Case]:
    """Yield functions that draw random numbers."""
    yield Case("A5/dropout", "torch", lambda x: F.dropout(x, 0.5), (_normal(10),), RIGHT, about="draws a mask")
    wide = (_normal(1, 6, 2, 2),)
    yield Case("A5/dropout2d", "torch", lambda x: F.dropout2d(x, 0.5), wide, RIGHT, about="draws a mask")


def shapes() -> Iterator[Case]:
    """Yield unusual inputs and outputs."""
    expanded = (_normal(1).expand(4),)
    yield Case("A7", "torch", lambda x: x.sin(), expanded, RIGHT, smooth=True, about="an input of stride 0")
    yield Case("A8", "torch", IndexAndDouble.apply, (_normal(3),), RIGHT, about="one output has no derivative")

    def in_place(x: Tensor) -> Tensor:
        y = x * 2
        y[1:3].mul_(x[0])
        return y.exp()

    def recomputed(x: Tensor) -> Tensor:
        return checkpoint(lambda x: torch.tanh(x @ x), x, use_reentrant=False)

    yield Case("A26/view", "torch", in_place, (_normal(4),), RIGHT, smooth=True, about="writes into a view")
    yield Case("A26/checkpoint", "torch", recomputed, (_normal(3, 3),), RIGHT, smooth=True, about="recomputes")


class IndexAndDouble(torch.autograd.Function):
    """A floating-point index without derivative, and twice the input."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return both."""
        index = x.argmax().double()
        ctx.mark_non_differentiable(index)
        return index, 2 * x

    @staticmethod
    def backward(_ctx: Any, _: Tensor, g: Tensor) -> Tensor:
        """Return the second output's share."""
        return 2 * g


def methods() -> Iterator[Case]:
    """Yield second derivatives and iterations."""
    about = "second derivative at ordinary numbers"
    product = lambda x: torch.cumprod(x, 0)  # noqa: E731
    yield Case("A9", "torch", product, (_f64(0.5, -1.2, 2.0),), RIGHT, order=2, smooth=True, about=about)
    composed = lambda x: torch.tanh(x @ x).sum()  # noqa: E731
    yield Case("A9/tanh", "torch", composed, (_normal(3, 3),), RIGHT, order=2, smooth=True, about="second derivative")

    def root(a: Tensor) -> Tensor:
        x = torch.ones_like(a)
        for _ in range(20):
            x = x - (x**3 + x - a) / (3 * x**2 + 1)
        return x

    yield Case("A21/Newton", "torch", root, (_f64(0.5, 3.0),), RIGHT, smooth=True, about="through Newton's iteration")
