"""A third party's backend: NumPy functions on dual numbers, with a rule for every ufunc in `RULES`.

It imports nothing of xcheck. The folder beside this file is what `pip install` would leave behind; a path entry that
holds both is a distribution with an entry point.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

RULES: dict[Any, Any] = {
    np.add: lambda x, y, dx, dy: dx + dy,
    np.subtract: lambda x, y, dx, dy: dx - dy,
    np.multiply: lambda x, y, dx, dy: dx * y + x * dy,
    np.divide: lambda x, y, dx, dy: dx / y - x / y * (dy / y),
    np.matmul: lambda x, y, dx, dy: dx @ y + x @ dy,
    np.power: lambda x, y, dx, dy: y * x ** (y - 1) * dx,
    np.negative: lambda x, dx: -dx,
    np.absolute: lambda x, dx: (np.conj(x) * dx).real / np.abs(x),
    np.sin: lambda x, dx: np.cos(x) * dx,
    np.exp: lambda x, dx: np.exp(x) * dx,
}
"""The tangent of every ufunc that is known, from its operands and their tangents."""


class Dual(NDArrayOperatorsMixin):
    """A value with a tangent of the same shape."""

    def __init__(self, value: Any, tangent: Any, rules: dict[Any, Any]) -> None:
        self.value, self.rules = np.asarray(value), rules
        self.tangent = np.broadcast_to(np.asarray(tangent, self.value.dtype), self.value.shape)

    def __array_ufunc__(self, ufunc: Any, method: str, *operands: Any, **options: Any) -> Any:
        if method != "__call__" or options or ufunc not in self.rules:
            raise NotImplementedError(f"loopback has no rule for {ufunc.__name__}")
        values = [x.value if isinstance(x, Dual) else x for x in operands]
        tangents = [x.tangent if isinstance(x, Dual) else 0 for x in operands]
        return Dual(ufunc(*values), self.rules[ufunc](*values, *tangents), self.rules)

    def __getitem__(self, index: Any) -> Dual:
        return Dual(self.value[index], self.tangent[index], self.rules)

    def sum(self) -> Dual:
        return Dual(self.value.sum(), self.tangent.sum(), self.rules)


class LoopbackBackend:
    """NumPy with exact derivatives."""

    name = "loopback"
    rules = RULES

    def owns(self, leaf: object, /) -> bool:
        return isinstance(leaf, (np.ndarray, np.generic))

    def from_numpy(self, array: Any, /, like: Any = None) -> Any:
        return np.array(array, subok=False)

    def to_numpy(self, array: Any, /) -> Any:
        return np.array(array, subok=False)

    def value(self, f: Any, xs: Any, /) -> Any:
        return [np.asarray(y) for y in f(list(xs))]

    def jvp(self, f: Any, xs: Any, tangents: Any, /) -> Any:
        ys = f([Dual(x, t, self.rules) for x, t in zip(xs, tangents, strict=True)])
        values = [y.value if isinstance(y, Dual) else np.asarray(y) for y in ys]
        return values, [y.tangent if isinstance(y, Dual) else None for y in ys]

    def vjp(self, f: Any, xs: Any, /) -> Any:
        """Transpose pushforwards along every real place of the inputs."""
        ys = self.jvp(f, xs, [np.zeros_like(x) for x in xs])[0]

        def pullback(cotangents: Any) -> Any:
            gradients = [np.zeros_like(x) for x in xs]
            for i, x in enumerate(xs):
                for place in np.ndindex(x.shape):
                    for unit in (1, 1j) if x.dtype.kind == "c" else (1,):
                        tangents = [np.zeros_like(a) for a in xs]
                        tangents[i][place] = unit
                        pairs = zip(self.jvp(f, xs, tangents)[1], cotangents, strict=True)
                        gradients[i][place] += unit * sum(
                            (np.conj(g) * dy).sum().real for dy, g in pairs if dy is not None
                        )
            return gradients

        return ys, pullback
