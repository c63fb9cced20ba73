"""NumPy: values and no derivatives, for hand-written gradients and for functions of other array libraries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xcheck_backends import numpy_jacobians
from xcheck_backends.offers import Engine


class NumpyBackend:
    """NumPy arrays and scalars."""

    name = "numpy"

    def owns(self, leaf: object, /) -> bool:
        """Tell whether `leaf` is a NumPy array or scalar."""
        return isinstance(leaf, (np.ndarray, np.generic))

    def from_numpy(self, array: NDArray[Any], /, like: Any = None) -> Any:
        """Copy `array`; a 0-d array becomes a NumPy scalar where `like` is a scalar, so that `math.sin` takes it."""
        copy = np.array(array, order="C", subok=False)
        is_scalar = isinstance(like, (np.generic, float, complex))
        return copy[()] if is_scalar and not copy.ndim else copy

    def to_numpy(self, array: Any, /) -> NDArray[Any]:
        """Copy an array, a number or a nested list of numbers."""
        return np.array(array, subok=False)

    def describe(self) -> dict[str, str]:
        """Tell which BLAS NumPy was built with, and how precise its longest float is."""
        blas = np.show_config(mode="dicts").get("Build Dependencies", {}).get("blas", {})
        return {
            "devices": "cpu",
            "BLAS": f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip(),
            "bits of np.longdouble": str(np.finfo(np.longdouble).nmant + 1),
        }

    def transpose(self, array: Any, axes: Sequence[int], /) -> Any:
        """Transpose an array."""
        return np.transpose(array, axes)

    def namespace(self) -> Any:
        """Return NumPy's functions under the names of the array-API standard."""
        return import_module("array_api_compat.numpy")

    def conjugate(self, array: Any, /) -> Any:
        """Conjugate an array."""
        return np.conjugate(array)

    def cast(self, array: Any, like: Any, /) -> Any:
        """Convert an array to the dtype of another."""
        return array.astype(like.dtype)

    def value(self, f: Callable[[Sequence[Any]], Sequence[Any]], xs: Sequence[Any], /) -> list[Any]:
        """Evaluate `f(xs)`."""
        return list(f(list(xs)))

    def engines(self) -> list[Engine]:
        """Return what makes products of values alone: differences and complex steps."""
        return numpy_jacobians.engines()
