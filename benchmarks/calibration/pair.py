"""A function, a point and the exact derivative there."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import mpmath as mp
import numpy as np

from calibration.arithmetic import DIGITS, EXACT, FLOATS, Dual

FORWARD_ERROR = {"float64": 1e-9, "float32": 1e-3}
"""A function whose value is off by more is ill-computed: what its values show is another function's derivative."""


class Kind(Enum):
    """What there is to measure at the point."""

    SMOOTH = "smooth"
    KINK = "kink"
    JUMP = "jump"
    EDGE = "edge"


@dataclass(frozen=True)
class Draft:
    """What a rule draws: a formula as text, in the names of `arithmetic.FLOATS`, and a point.

    Attributes:
        text: such as "sin(3.0 * x)".
        x: the point, a number or a vector.
        constants: arrays that the text names.
        ideal: the formula of the true derivative where it is not `text` itself.
        hull: the derivative of `text` itself counts as well, and so does all between: a solver that stops early, or a
            value rounded inside, gives the function one slope near the point and the ideal one over longer distances.
        noisy: the values are off by more than rounding, by design.
        edge: the point lies on the edge of the domain.
    """

    text: str
    x: Any
    constants: dict[str, Any] = field(default_factory=dict)
    ideal: str = ""
    hull: bool = False
    noisy: bool = False
    edge: bool = False


class Formula:
    """A text as a NumPy function of one argument, elementwise for numbers.

    Raises:
        TypeError: it exists in float32 only and was given something else.
    """

    def __init__(self, text: str, constants: dict[str, Any], only: str = "") -> None:
        """Compile the text; `only` names the one dtype that the function accepts."""
        self.text = text
        self.__name__ = text if len(text) < 60 else text[:57] + "..."
        self._code = compile(text, "<formula>", "eval")
        self._constants = constants
        self._only = only
        self._names = {**FLOATS, **constants}

    def __call__(self, x: Any) -> Any:
        """Evaluate in the dtype of `x`."""
        if self._only and np.asarray(x).dtype != self._only:
            raise TypeError(f"{self._only} only")
        names = self._names
        if self._constants and x.dtype != np.float64:
            names = {**names, **{k: v.astype(x.dtype) for k, v in self._constants.items()}}
        return eval(self._code, {**names, "x": x})

    def exactly(self, x: Any) -> Any:
        """Evaluate on dual numbers."""
        constants = {name: value.astype(object) for name, value in self._constants.items()}
        return eval(self._code, {**EXACT, **constants, "x": x})


@dataclass(frozen=True)
class Pair:
    """A function, a point and the truth.

    Attributes:
        family, rule: where it comes from.
        f: the function, in NumPy.
        x: the point, a NumPy scalar or vector of `dtype`.
        dtype: "float64" or "float32".
        kind: what there is to measure.
        low, high: the derivative, shape `output.shape + input.shape`, as mpmath numbers; two bounds where
            two readings of the values are right, else the same. At a kink the lesser and the greater of the slopes.
        claim: the derivative that a right claim holds: that of the program itself where two readings are right.
        left, right: the one-sided slopes at a kink.
        ill: the float value itself is off.
        only: the one dtype that `f` accepts, empty if it takes any.
        noisy: the values are off by more than rounding, by design.
    """

    family: str
    rule: str
    f: Formula
    x: Any
    dtype: str
    kind: Kind
    low: Any
    high: Any
    claim: Any = None
    left: Any = None
    right: Any = None
    ill: bool = False
    only: str = ""
    noisy: bool = False

    @property
    def text(self) -> str:
        """The pair in one line, enough to build it again where it has no arrays."""
        x = repr(float(self.x)) if np.ndim(self.x) == 0 else f"{self.x.size} inputs"
        return f"{self.family}/{self.rule} {self.f.text} at {x}, {self.only + ' only' if self.only else self.dtype}"

    @property
    def exact(self) -> Any:
        """A right claim, rounded to float64; the mean of both slopes at a kink."""
        with mp.workdps(DIGITS):
            return np.asarray((self.low + self.high) / 2 if self.claim is None else self.claim).astype(np.float64)

    def bound(self, which: int) -> Any:
        """Return the low (0) or the high (1) bound, rounded to float64."""
        return np.asarray((self.low, self.high)[which]).astype(np.float64)

    def errors(self, measured: Any) -> Any:
        """Return how far measured derivatives are from the truth, floats of the derivative's shape."""
        with mp.workdps(DIGITS):
            return np.asarray(_distance(np.asarray(measured, dtype=np.float64), self.low, self.high), dtype=np.float64)


def _distance_of(value: float, low: Any, high: Any) -> float:
    if np.isnan(value):
        return float("nan")
    if np.isinf(value):
        return float("inf")
    exact = mp.mpf(float(value))
    return float(max(low - exact, exact - high, 0))


_distance = np.frompyfunc(_distance_of, 3, 1)


def settle(family: str, rule: str, draft: Draft, dtype: str, only: str = "") -> Pair | None:
    """Find the truth of a draft; None where the function has no finite value or derivative there."""
    f = Formula(draft.text, draft.constants, only)
    x = np.asarray(draft.x, dtype=dtype)[()]
    with np.errstate(all="ignore"):
        value = np.asarray(f(x), dtype=np.float64)
    if draft.edge:
        nothing = np.asarray(mp.nan, dtype=object)
        return Pair(family, rule, f, x, dtype, Kind.EDGE, nothing, nothing, only=only)
    if not np.all(np.isfinite(value)):
        return None
    with mp.workdps(DIGITS):
        try:
            found = _vector_truth(draft, f, x) if np.ndim(x) else _scalar_truth(draft, f, x)
        except (ZeroDivisionError, ValueError, TypeError, OverflowError):
            return None
        if found is None or not all(mp.isfinite(v) and abs(v) < 1e300 for v in np.ravel(found[1])):
            return None
        kind, low, high, claim, left, right = found
        limit = FORWARD_ERROR["float32" if only else "float64"]
        ill = kind is Kind.SMOOTH and not draft.noisy and _forward_error(f, x, only) > limit
    return Pair(family, rule, f, x, dtype, kind, low, high, claim, left, right, ill, only, draft.noisy)


def _scalar_truth(draft: Draft, f: Formula, x: Any) -> tuple[Kind, Any, Any, Any, Any, Any] | None:
    ideal = Formula(draft.ideal, draft.constants) if draft.ideal else f
    at, ahead, behind = (_as_dual(ideal.exactly(Dual(float(x), s))) for s in (0, 1, -1))
    left, right = np.asarray(-behind.slope, dtype=object), np.asarray(ahead.slope, dtype=object)
    if not at.value == ahead.value == behind.value:
        return Kind.JUMP, left, right, None, None, None
    if abs(left[()] - right[()]) > mp.mpf(10) ** (10 - DIGITS) * abs(right[()]):
        return Kind.KINK, min(left, right), max(left, right), None, left, right
    bounds = [right]
    if draft.hull:
        bounds.append(np.asarray(_as_dual(f.exactly(Dual(float(x), 1))).slope, dtype=object))
    return Kind.SMOOTH, min(bounds), max(bounds), bounds[-1], None, None


def _vector_truth(draft: Draft, f: Formula, x: Any) -> tuple[Kind, Any, Any, Any, Any, Any]:
    del draft
    unit = np.array([[mp.mpf(int(i == j)) for j in range(x.size)] for i in range(x.size)], dtype=object)
    point = np.array([Dual(float(v), unit[i]) for i, v in enumerate(x)], dtype=object)
    result = f.exactly(point)
    if isinstance(result, Dual):
        slopes = result.slope
    else:
        slopes = np.array([row.slope + np.zeros(x.size, object) for row in result], dtype=object)
    return Kind.SMOOTH, slopes, slopes, slopes, None, None


def _forward_error(f: Formula, x: Any, only: str) -> float:
    """Return the largest relative error of the value at the point and a few floats beside it."""
    worst = 0.0
    for ulps in (0, 1, -1, 37, -37) if np.ndim(x) == 0 else (0,):
        beside = (x + ulps * np.spacing(np.abs(x))).astype(np.asarray(x).dtype)
        with np.errstate(all="ignore"):
            values = np.ravel(np.asarray(f(beside if only else np.asarray(beside, np.float64)[()]), dtype=np.float64))
        duals = np.array([Dual(float(v)) for v in np.ravel(beside)], dtype=object)
        exact = f.exactly(duals if np.ndim(x) else duals[0])
        for value, truth in zip(values, np.ravel(np.asarray(exact, dtype=object)), strict=True):
            off = abs(mp.mpf(float(value)) - _as_dual(truth).value) if np.isfinite(value) else mp.inf
            worst = max(worst, float(off / abs(_as_dual(truth).value)) if off else 0.0)
    return worst


def _as_dual(value: Any) -> Dual:
    return value if isinstance(value, Dual) else Dual(value)
