"""The same function in higher precision: over mpmath numbers, or in NumPy's long double.

Differences `f(x + t) - f(x)` are taken in that precision and rounded afterwards, so that what cancels in float64 is
still there: the slope of `expm1` at -40 can be measured although its values are all -1.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from xcheck.call import Leaf
from xcheck.problem import NONE, Problem, Write, output_leaves
from xcheck.protocol import RealArray
from xcheck.pytree import flatten
from xcheck.space import Block, is_differentiable

DIGITS = (50, 200, 800)
"""Decimal digits of mpmath's arithmetic: as few as tell the values beside the point from the one at it."""

KEPT = 25
"""Decimal digits that a difference has to keep."""

FAR = 2.0**-10
"""Values that differ by more than this share of the output's size belong to two different functions."""


class OtherFunction(ValueError):
    """`witness=` is another function than the one that is checked."""


class Arithmetic(Protocol):
    """Numbers of higher precision."""

    @property
    def name(self) -> str:
        """What reports call it."""

    @property
    def bits(self) -> int:
        """Significand bits."""

    def active(self) -> Any:
        """Return a context in which its precision is set."""

    def from_float(self, array: NDArray[Any]) -> Any:
        """Turn a float64 or complex128 array into numbers of this arithmetic; a 0-d array into one number."""

    def read(self, leaf: Any, block: Block) -> NDArray[Any]:
        """Read a returned leaf as an array of such numbers; TypeError if it holds others."""


@dataclass(frozen=True)
class Multiprecision:
    """mpmath's numbers, in object arrays."""

    digits: int = DIGITS[0]

    @property
    def name(self) -> str:
        """What reports call it."""
        return f"mpmath, {self.digits} digits"

    @property
    def bits(self) -> int:
        """Significand bits."""
        return int(self.digits / np.log10(2))

    def active(self) -> Any:
        """Set mpmath's precision, and restore it."""
        import mpmath

        return mpmath.workdps(self.digits)

    def from_float(self, array: NDArray[Any]) -> Any:
        """Convert exactly."""
        import mpmath

        number = mpmath.mpc if array.dtype.kind == "c" else mpmath.mpf
        numbers = np.empty(array.shape, object)
        for place, value in np.ndenumerate(array):
            numbers[place] = number(value.item())
        return numbers if array.ndim else numbers[()]

    def read(self, leaf: Any, block: Block) -> NDArray[Any]:
        """Accept mpmath's numbers, Python integers, and arrays or lists of them."""
        import mpmath

        if isinstance(leaf, mpmath.matrix):
            leaf = np.array(leaf.tolist(), object)
        array = np.asarray(leaf, dtype=object)
        flat = [mpmath.mpmathify(v) if isinstance(v, (int, mpmath.mpf, mpmath.mpc)) else v for v in array.ravel()]
        strange = next((v for v in flat if not isinstance(v, (mpmath.mpf, mpmath.mpc))), None)
        if strange is not None:
            raise TypeError(f"it holds a {type(strange).__name__}")
        result = np.empty(array.size, object)
        result[:] = flat
        return _fitted(result.reshape(array.shape), block)


class LongDouble:
    """NumPy's long double, 64 significand bits on x86."""

    name = "long double"
    bits = int(np.finfo(np.longdouble).nmant) + 1

    @contextmanager
    def active(self) -> Iterator[None]:
        """There is nothing to set."""
        yield

    def from_float(self, array: NDArray[Any]) -> Any:
        """Convert exactly."""
        return array.astype(np.clongdouble if array.dtype.kind == "c" else np.longdouble)[()]

    def read(self, leaf: Any, block: Block) -> NDArray[Any]:
        """Accept arrays of long doubles."""
        array = np.asarray(leaf)
        if array.dtype not in (np.dtype(np.longdouble), np.dtype(np.clongdouble)):
            raise TypeError(f"its dtype is {array.dtype}")
        return _fitted(array, block)


def _fitted(array: NDArray[Any], block: Block) -> NDArray[Any]:
    if array.shape != block.shape:
        raise ValueError(f"its shape is {array.shape}, that of {block.name} is {block.shape}")
    return array


@dataclass
class HighPrecision(Problem):
    """A problem whose values are differences from the value at the point, taken in higher precision.

    Attributes:
        arithmetic: the numbers.
        origin: the outputs at the point, unrounded.
        function: called with the inputs as numbers of that arithmetic.
        title: what reports call it.
        settling: whether it was given to settle what the values of the function itself cannot.
    """

    arithmetic: Arithmetic | None = None
    origin: tuple[NDArray[Any], ...] = ()
    function: Callable[..., Any] | None = None
    title: str = ""
    settling: bool = False

    @classmethod
    def of(
        cls, problem: Problem, function: Callable[..., Any], arithmetic: Arithmetic, title: str, settling: bool
    ) -> HighPrecision:
        """Evaluate `function` at the problem's point.

        Args:
            problem: the function in the framework's own arithmetic.
            function: the same function over the numbers of `arithmetic`, called like the original.
            arithmetic: the numbers.
            title: what reports call it.
            settling: see the class.

        Raises:
            TypeError, ValueError: it returned something that does not fit the problem's outputs.
        """
        shadow = cls(
            problem.call,
            problem.rewind,
            problem.inputs.in_float64(),
            problem.outputs.in_float64(),
            problem.x,
            problem.y,
            problem.output,
            problem.native_value,
            problem.constants,
            batched=False,
            arithmetic=arithmetic,
            function=function,
            title=title,
            settling=settling,
        )
        with arithmetic.active():
            shadow.origin = tuple(shadow._outputs(problem.x))
            shadow.y = shadow.outputs.pack([_rounded(y, b) for y, b in shadow._pairs(shadow.origin)])
        return shadow

    @property
    def how(self) -> str:
        """What differences of these values are called."""
        return f"finite differences of {self.title}"

    @property
    def value_bits(self) -> int:
        """Significand bits of the arithmetic."""
        assert self.arithmetic is not None
        return self.arithmetic.bits

    @property
    def relative(self) -> bool:
        """Values are differences from the value at the point."""
        return True

    @property
    def forgiven(self) -> float:
        """A claim is allowed errors of this share of the value: none, where the values were to settle them."""
        return 0.0 if self.settling else 2.0**-53

    def value_of(self, write: Write) -> RealArray:
        """Evaluate at one point that `write(out, part)` puts down; returns `(1, m)`."""
        point = np.empty((1, self.n))
        write(point[0], slice(0, self.n))
        return self._evaluated(point)

    def _evaluated(self, points: RealArray, spare: slice = NONE) -> RealArray:
        """Evaluate at points `(k, n)` one by one, but `spare` ones; returns `f(point) - f(x)`, shape (k, m)."""
        assert self.arithmetic is not None
        asked = np.delete(np.arange(len(points)), spare)
        self.evaluations += len(asked)
        result = np.full((len(points), self.m), np.nan)
        with self.arithmetic.active():
            for row, point in ((result[k], points[k]) for k in asked):
                try:
                    outputs = self._outputs(point)
                except Exception as error:
                    self._record(error, point)
                    continue
                moved = [y - y0 for y, y0 in zip(outputs, self.origin, strict=True)]
                row[:] = self.outputs.pack([_rounded(y, b) for y, b in self._pairs(moved)])
        return result

    def moving(self) -> NDArray[np.bool_]:
        """Tell which outputs keep `KEPT` digits of their change when all inputs move by 2^-26 of their scales."""
        rng = np.random.default_rng(0)
        point = self.x + self.scale * 2.0**-26 * rng.choice([-1.0, 1.0], size=self.n)
        change = np.abs(self.values(point[None])[0])
        least = 10.0 ** (KEPT - self.value_bits * np.log10(2)) * np.abs(self.y)
        return np.asarray((change > least) | np.isnan(change))

    def _outputs(self, point: RealArray) -> list[NDArray[Any]]:
        assert self.arithmetic is not None
        return self.outputs_of([self.arithmetic.from_float(a) for a in self.inputs.unpack(point)])

    def outputs_of(self, numbers: Sequence[Any]) -> list[NDArray[Any]]:
        """Evaluate at one array, or one number, of the arithmetic for each input, in the precision that is set."""
        assert self.function is not None
        self.pin()
        constants = [self._constant(leaf) for leaf in self.call.constant]
        args, kwargs = self.call.arguments(numbers, constants)
        leaves = _leaves_of(self.function(*args, **kwargs), self)
        return [self._read(leaf, block) for leaf, block in self._pairs(leaves)]

    def _pairs(self, arrays: Sequence[Any]) -> Iterator[tuple[Any, Block]]:
        return zip(arrays, self.outputs.blocks, strict=True)

    def _read(self, leaf: Any, block: Block) -> NDArray[Any]:
        assert self.arithmetic is not None
        try:
            return self.arithmetic.read(leaf, block)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{self.title} returned something else than {self.call.title}: {error}.") from None

    def _constant(self, leaf: Leaf) -> Any:
        assert self.arithmetic is not None
        if leaf.array is None or not is_differentiable(leaf.array.dtype) or not self.backend.owns(leaf.value):
            return leaf.value if leaf.array is None or not self.backend.owns(leaf.value) else leaf.array
        return self.arithmetic.from_float(leaf.array.astype(np.complex128 if leaf.array.dtype.kind == "c" else float))


def read_witness(problem: Problem, witness: Callable[..., Any]) -> HighPrecision:
    """Take a user's function in higher precision: over mpmath numbers if it accepts them, else over long doubles.

    Raises:
        TypeError: it is not callable, or accepts neither.
        ValueError: it is another function: its values are not those of the function at the point.
    """
    if not callable(witness):
        raise TypeError(
            f"witness= must be the same function over mpmath numbers or np.longdouble arrays; given: "
            f"{type(witness).__name__}."
        )
    failures = []
    for arithmetic in _arithmetics():
        try:
            shadow = _with_enough_digits(problem, witness, arithmetic)
        except Exception as error:
            failures.append(f"with {arithmetic.name} it raised {type(error).__name__}: {str(error).rstrip('.')}")
            continue
        _require_same(problem, shadow)
        return shadow
    raise TypeError(
        "witness= must be the same function over mpmath numbers (in NumPy object arrays; a 0-d input is one number) or "
        f"np.longdouble arrays; {'; '.join(failures)}."
    )


def _with_enough_digits(problem: Problem, witness: Callable[..., Any], arithmetic: Arithmetic) -> HighPrecision:
    """Take as many of mpmath's digits as it needs for every output to move beside the point, if any number will do."""
    first = HighPrecision.of(problem, witness, arithmetic, f"witness= ({arithmetic.name})", settling=True)
    if not isinstance(arithmetic, Multiprecision):
        return first
    moving, best = first.moving(), first
    for digits in DIGITS[1:]:
        if np.all(moving):
            break
        more = Multiprecision(digits)
        other = HighPrecision.of(problem, witness, more, f"witness= ({more.name})", settling=True)
        if np.any(other.moving() & ~moving):
            moving, best = other.moving(), other
    return best


def long_double(problem: Problem) -> HighPrecision | None:
    """Return a NumPy function's long double shadow, or None where it does not hold.

    It does not where the function raises on long doubles, returns another dtype, or gives another value than rounding
    explains. How precise its values really are is measured like any other noise.
    """
    if problem.backend.name != "numpy" or problem.precision < 53 or LongDouble.bits <= 53 or problem.random:
        return None
    try:
        shadow = HighPrecision.of(problem, problem.call.function, LongDouble(), "long doubles", settling=False)
    except Exception:
        return None
    return None if _apart(problem, shadow, 2.0**-26).size else shadow


def _arithmetics() -> list[Arithmetic]:
    found: list[Arithmetic] = []
    if "mpmath" in sys.modules or _has_mpmath():
        found.append(Multiprecision())
    if LongDouble.bits > 53:
        found.append(LongDouble())
    return found


def _has_mpmath() -> bool:
    from importlib.util import find_spec

    return find_spec("mpmath") is not None


def _require_same(problem: Problem, shadow: HighPrecision) -> None:
    apart = _apart(problem, shadow, max(FAR, 2.0 ** (-problem.precision / 2)))
    if apart.size:
        i = int(apart[0])
        raise OtherFunction(
            f"witness= is another function than {problem.call.title}: {problem.outputs.entry(i)} is "
            f"{shadow.y[i]:.10g} there and {problem.y[i]:.10g} in {problem.call.title}."
        )


def _apart(problem: Problem, shadow: HighPrecision, share: float) -> NDArray[np.intp]:
    """Return the outputs whose values differ by more than `share` of the largest value of their array."""
    parts = []
    for block in problem.outputs.blocks:
        y, wide = problem.y[block.slice], shadow.y[block.slice]
        size = np.max(np.abs(y), initial=np.finfo(np.float64).tiny, where=np.isfinite(y))
        near = (np.abs(y - wide) <= share * size) | (y == wide) | (np.isnan(y) & ~np.isfinite(wide))
        parts.append(block.start + np.flatnonzero(~near))
    return np.concatenate(parts) if parts else np.zeros(0, np.intp)


def _leaves_of(tree: Any, problem: Problem) -> list[Any]:
    """Flatten what the function returned; a single output may come as a list or any array-like."""
    count = len(output_leaves(problem))
    if problem.output.paths == ((),):
        return [tree]
    leaves, _ = flatten(tree)
    if len(leaves) != count and len(leaves) > max(problem.output.varying, default=0):
        leaves = [leaves[i] for i in problem.output.varying]
    return leaves


def _rounded(array: NDArray[Any], block: Block) -> NDArray[Any]:
    """Round numbers of higher precision to the block's dtype, complex to complex."""
    array = np.asarray(array)  # differences of 0-d object arrays are plain numbers
    if block.is_complex:
        return np.array([complex(v) for v in array.ravel()], np.complex128).reshape(array.shape)
    if array.dtype != object:
        return array.astype(np.float64)
    real = [v if not hasattr(v, "imag") or not v.imag else np.nan for v in array.ravel()]
    return np.array([float(v) for v in real], np.float64).reshape(array.shape)
