"""Numbers with an infinitesimal imaginary part that notice what drops it.

A function is run on arrays whose entries are `Number`s: a real value and the imaginary part that a step of size h gave
it. `Traced` arrays hand NumPy's functions to plain complex arrays and wrap what comes back; entries that leave them,
through `np.asarray(x)` or `np.array([x[0], x[1]])`, go on tracing one by one, since such arrays hold objects. So
nothing leaves unseen: whatever turns a number into a float calls `Number.__float__`.

What is known to be analytic is listed in `analytic.py`; the rest is noted with its place in the user's source, and goes
on with real parts alone.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import NDArray

from xcheck.reference.analytic import (
    COMPARES,
    NOT_ANALYTIC,
    NOT_KNOWN,
    PREDICATES,
    QUESTIONS,
    STRUCTURAL,
    SUMMING,
    is_elementwise,
    is_rounded,
    objection,
)

MOST = 2**17
"""Numbers that one run may make; beyond, tracing them one by one takes longer than it is worth."""

REAL_PART = "goes on with the real part alone"
BRANCH_CUT = "takes another branch for complex numbers than for real ones"
OWN_COMPLEX = "makes complex numbers of its own, among which the step's imaginary part is lost"
TOO_MANY = "makes more numbers than can be traced"

PACKAGE, NUMPY = Path(__file__).parents[1], Path(np.__file__).parent

PLAIN = (float, int, np.floating, np.integer, np.bool_)
"""Real numbers that may stand among traced ones."""


class TooLarge(Exception):
    """A run makes more than `MOST` numbers."""


@dataclass
class Trace:
    """What happened in one run.

    Attributes:
        rng: perturbs every rounded result by an ulp up or down (Monte Carlo arithmetic, Parker 1997; Vignes 1993); None
            for a plain run.
        causes: one sentence for every way in which imaginary parts were lost.
        count: numbers made so far.
    """

    rng: np.random.Generator | None = None
    causes: dict[str, None] = field(default_factory=dict)
    count: int = 0

    def note(self, what: str, why: str) -> None:
        """Remember that `what` was called on a number with an imaginary part."""
        self.causes[f"{what} {why}: {place(_frames(sys._getframe(1)))}"] = None

    def rounded(self, values: NDArray[Any], inexact: Any = True) -> NDArray[Any]:
        """Move inexact values by an ulp up, down or not at all, where this run is a perturbed one.

        Zeros too, by the smallest number there is: they may be what is left of an underflow.
        """
        if self.rng is None:
            return values
        moved = values + np.spacing(values) * self.rng.integers(-1, 2, np.shape(values))
        return np.asarray(np.where(inexact & np.isfinite(values), moved, values))


class Number(NDArrayOperatorsMixin):
    """One traced number; its operators are NumPy's ufuncs."""

    __slots__ = ("im", "re", "record")

    shape: tuple[int, ...] = ()
    ndim = 0
    size = 1

    def __init__(self, re: float, im: float, trace: Trace) -> None:
        """Take both parts as plain floats."""
        self.re, self.im, self.record = re, im, trace

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """Apply a ufunc."""
        return _call_ufunc(self.record, ufunc, method, inputs, kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Apply a function of NumPy."""
        return _call_function(self.record, func, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        """Offer ufuncs as methods: on an array of objects `np.sin` calls `element.sin()`."""
        ufunc = None if name.startswith("_") else getattr(np, name, None)
        if isinstance(ufunc, np.ufunc):
            return lambda *others: ufunc(self, *others)
        raise AttributeError(f"a number that carries a complex step has no attribute {name!r}")

    def _drop(self, what: str, why: str = REAL_PART) -> float:
        if self.im != 0:
            self.record.note(what, why)
        return self.re

    def __float__(self) -> float:
        """Give up the imaginary part, as `math.sin` and an assignment into a real array do."""
        return self._drop("float()")

    def __complex__(self) -> complex:
        """Give up the imaginary part, since nothing would trace it from here."""
        return complex(self._drop("complex()"))

    def __int__(self) -> int:
        """Cut off the fraction."""
        return int(self._drop("int()"))

    def __bool__(self) -> bool:
        """Branch on the value."""
        return bool(self._drop("bool()", COMPARES))

    def __round__(self, digits: int | None = None) -> Any:
        """Round the value."""
        return round(self._drop("round()", COMPARES), digits)

    def __trunc__(self) -> int:
        """Cut off the fraction."""
        return int(self._drop("math.trunc", COMPARES))

    def __floor__(self) -> int:
        """Round down."""
        return int(np.floor(self._drop("math.floor", COMPARES)))

    def __ceil__(self) -> int:
        """Round up."""
        return int(np.ceil(self._drop("math.ceil", COMPARES)))

    def __repr__(self) -> str:
        """Write the real part."""
        return repr(self._drop("text of the number"))

    def __format__(self, spec: str) -> str:
        """Write the real part."""
        return format(self._drop("text of the number"), spec)

    @property
    def real(self) -> float:
        """The real part, which is not analytic."""
        return self._drop(".real", NOT_ANALYTIC)

    @property
    def imag(self) -> float:
        """Zero, as for the real number that this stands for."""
        self._drop(".imag", NOT_ANALYTIC)
        return 0.0

    @property
    def T(self) -> Number:
        """The number itself."""
        return self

    def item(self) -> Number:
        """Return the number itself."""
        return self

    def copy(self) -> Number:
        """Return the number itself; it cannot change."""
        return self

    def __copy__(self) -> Number:
        """Return the number itself."""
        return self

    def __deepcopy__(self, memo: Any) -> Number:
        """Return the number itself: a copy would note losses in a record that nobody reads."""
        return self

    def __reduce__(self) -> Any:
        """Refuse to be pickled."""
        raise TypeError("a number that carries a complex step cannot be pickled")


class Traced(np.ndarray[Any, Any]):
    """An array of `Number`s and plain floats."""

    record: Trace | None

    def __array_finalize__(self, parent: Any) -> None:
        """Views belong to the run of the array that they look at."""
        self.record = getattr(parent, "record", None)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """Apply a ufunc."""
        return _call_ufunc(_trace_of(self), ufunc, method, inputs, kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Apply a function of NumPy."""
        return _call_function(_trace_of(self), func, args, kwargs)

    def _drop(self, what: str, why: str = REAL_PART) -> NDArray[Any]:
        re, im = parts(self)
        if np.any(im != 0):
            _trace_of(self).note(what, why)
        return np.asarray(re)

    @property  # type: ignore[misc]
    def real(self) -> Any:
        """The real parts, which are not analytic."""
        return self._drop(".real", NOT_ANALYTIC)

    @property  # type: ignore[misc]
    def imag(self) -> Any:
        """Zeros, as for the real array that this stands for."""
        return np.zeros_like(self._drop(".imag", NOT_ANALYTIC))

    def astype(self, dtype: Any, *args: Any, **kwargs: Any) -> Any:
        """Copy in the same precision; other dtypes get the real parts."""
        if np.dtype(dtype) in (np.dtype(np.float64), np.dtype(object)):
            return self.copy()
        return self._drop(f"a cast to {np.dtype(dtype)}", NOT_ANALYTIC).astype(dtype, *args, **kwargs)

    def tobytes(self, order: Any = None) -> bytes:
        """Refuse: bytes become keys, and results that are kept under them would outlive the run."""
        del order
        raise TypeError("an array that carries a complex step has no bytes")

    @property
    def ctypes(self) -> Any:
        """Refuse: C would read and write references as if they were floats."""
        raise TypeError("an array that carries a complex step has no memory of floats")


def wrapped(trace: Trace, re: Any, im: Any) -> Any:
    """Join real and imaginary parts into a traced array, or into a number where they are 0-d."""
    re, im = np.asarray(re, np.float64), np.asarray(im, np.float64)
    trace.count += re.size
    if trace.count > MOST:
        trace.note("the function", TOO_MANY)
        raise TooLarge
    if not re.ndim:
        return Number(float(re), float(im), trace)
    number = np.frompyfunc(lambda a, b: Number(a, b, trace), 2, 1)  # an assignment would ask each what it is
    return _as_traced(trace, np.asarray(number(re, im), object))


def carries(value: Any) -> bool:
    """Tell whether numbers are traced in `value`."""
    if isinstance(value, np.ndarray) and value.dtype == object:
        return any(type(item) is Number for item in value.ravel().view(np.ndarray).tolist())
    return isinstance(value, Number)


def parts(value: Any) -> tuple[Any, Any]:
    """Split a number or an array of objects into real and imaginary parts, float64.

    Raises:
        TypeError: an entry is no real number.
    """
    if isinstance(value, Number):
        return np.float64(value.re), np.float64(value.im)
    items = value.ravel().view(np.ndarray).tolist()
    re = [item.re if type(item) is Number else item for item in items]
    if not all(type(item) is float or isinstance(item, PLAIN) for item in re):
        raise TypeError("an array of objects that are not all real numbers")
    im = [item.im if type(item) is Number else 0.0 for item in items]
    return np.array(re, np.float64).reshape(value.shape), np.array(im, np.float64).reshape(value.shape)


def place(frames: Iterable[tuple[str, str, int]]) -> str:
    """Name the innermost of some frames that is the user's: `in loss (model.py:12)`."""
    for name, file, line in frames:
        path = Path(file)
        if path.parent == PACKAGE:
            break
        inside = path.parent == PACKAGE / "reference" or NUMPY in path.parents or "scipy" in path.parts
        if not inside and not file.startswith("<"):
            return f"in {name} ({path.name}:{line})"
    return "in the function"


def _frames(frame: FrameType | None) -> Iterator[tuple[str, str, int]]:
    while frame is not None:
        yield frame.f_code.co_name, frame.f_code.co_filename, frame.f_lineno
        frame = frame.f_back


def _as_traced(trace: Trace, array: NDArray[Any]) -> Any:
    result = array.view(Traced)
    result.record = trace
    return result


def _trace_of(array: Traced) -> Trace:
    if array.record is not None:
        return array.record
    found = next((item.record for item in array.ravel().view(np.ndarray).tolist() if isinstance(item, Number)), None)
    return found or Trace()


# Functions


def _call_ufunc(trace: Trace, ufunc: Any, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    out = kwargs.pop("out", None)
    if all(kind.strip("O->") == "" for kind in ufunc.types):  # np.frompyfunc, np.vectorize: Python on every number
        result = getattr(ufunc, method)(*(_bare(x) for x in inputs), **kwargs)
        result = _rewrapped(trace, result)
    else:
        result = _apply_ufunc(trace, ufunc, method, inputs, kwargs)
    return result if out is None else _write(out, result)


def _apply_ufunc(trace: Trace, ufunc: Any, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    name = ufunc.__name__
    folding = method in ("reduce", "accumulate", "reduceat") and ufunc in (np.add, np.multiply)
    summing = folding or (ufunc is np.matmul and method == "__call__")
    known = summing or (method in ("__call__", "outer") and is_elementwise(ufunc))
    bound = getattr(ufunc, method)
    shown = f"np.{name}" if hasattr(np, name) else name
    if kwargs.get("where") is True:
        kwargs.pop("where")  # what array methods pass along
    if not known or "where" in kwargs or not _is_double(kwargs.get("dtype")):
        return _real_alone(trace, shown, bound, inputs, kwargs, objection(ufunc), ufunc in PREDICATES)
    kwargs.pop("dtype", None)
    if method == "__call__" and ufunc in _RULES:
        return _by_rule(trace, shown, ufunc, inputs)
    inexact = _inexact(trace, ufunc, inputs) if method == "__call__" and not summing else True
    return _analytic(trace, shown, bound, inputs, kwargs, summing, inexact)


def _call_function(trace: Trace, func: Any, args: Any, kwargs: Any) -> Any:
    if func in STRUCTURAL and _is_double(kwargs.get("dtype")):
        bare = {key: _mapped(value, _bare) for key, value in kwargs.items() if key != "dtype"}
        return _rewrapped(trace, func(*_mapped(args, _bare), **bare))
    if func is np.where and len(args) == 3 and not _has_step(args[0]):
        return _rewrapped(trace, func(_real(args[0]), *_mapped(args[1:], _bare)))
    if func in SUMMING and _is_double(kwargs.get("dtype")) and kwargs.get("out") is None and "where" not in kwargs:
        rest = {key: value for key, value in kwargs.items() if key not in ("dtype", "out")}
        return _analytic(trace, _shown(func), func, args, rest, summing=True)
    return _real_alone(trace, _shown(func), func, args, kwargs, objection(func), func in QUESTIONS)


def _analytic(
    trace: Trace, name: str, call: Any, args: Any, kwargs: Any, summing: bool = False, inexact: Any = True
) -> Any:
    """Call once on real parts, for the real part that the function itself computes, and once on complex numbers."""
    pairs: dict[int, tuple[Any, Any]] = {}

    def split(value: Any) -> tuple[Any, Any]:
        if id(value) not in pairs:
            pairs[id(value)] = _operand(trace, value, summing)
        return pairs[id(value)]

    def real(value: Any) -> Any:
        return split(value)[0]

    def wide(value: Any) -> Any:
        re, im = split(value)
        return re if im is None else re + 1j * im

    plain = call(*_mapped(args, real), **_mapped(kwargs, real))
    if isinstance(plain, (tuple, list)):
        return _real_alone(trace, name, call, args, kwargs)
    if np.iscomplexobj(plain):
        if _has_step((args, kwargs)):
            trace.note(name, OWN_COMPLEX)
        return plain
    full = call(*_mapped(args, wide), **_mapped(kwargs, wide))
    return _joined(trace, name, plain, np.imag(full), np.isfinite(np.real(full)), inexact)


def _joined(trace: Trace, name: str, re: Any, im: Any, finite: Any, inexact: Any) -> Any:
    re, im = np.asarray(re, np.float64), np.asarray(im)
    if np.any(finite != np.isfinite(re)):
        trace.note(name, BRANCH_CUT)
    return wrapped(trace, trace.rounded(re, inexact), trace.rounded(im))


def _operand(trace: Trace, value: Any, summing: bool) -> tuple[Any, Any]:
    if carries(value) or (isinstance(value, np.ndarray) and value.dtype == object):
        re, im = parts(value)
        return (trace.rounded(re) if summing else re), trace.rounded(im)
    if summing and isinstance(value, np.ndarray) and value.dtype == np.float64:
        return trace.rounded(value), None
    return value, None


def _real_alone(
    trace: Trace, name: str, call: Any, args: Any, kwargs: Any, why: str = NOT_KNOWN, silent: bool = False
) -> Any:
    """Call on real parts; what the function does not need the imaginary parts for is no loss."""
    if not silent and _has_step((args, kwargs)):
        trace.note(name, why)
    return call(*_mapped(args, _real), **_mapped(kwargs, _real))


def _write(out: tuple[Any, ...], result: Any) -> Any:
    results = result if isinstance(result, tuple) else (result,)
    kept = tuple(_written(target, value) for target, value in zip(out, results, strict=True))
    return kept if isinstance(result, tuple) else kept[0]


def _written(target: Any, value: Any) -> Any:
    if target is None or isinstance(target, Number):  # `number += 1` binds another number
        return value
    target[...] = _bare(value)
    return target


# Derivatives that NumPy's complex loops do not keep to rounding


def _power(a: Any, b: Any, r: Any, da: Any, db: Any) -> Any:
    along = np.where(da == 0, 0.0, b * np.power(a, b - 1.0) * da)
    return along + np.where(db == 0, 0.0, r * np.log(a) * db)


def _exp2(a: Any, r: Any, da: Any) -> Any:
    del a
    return r * np.log(2.0) * da


_RULES: dict[Any, Callable[..., Any]] = {np.power: _power, np.float_power: _power, np.exp2: _exp2}
"""Their imaginary part from the real value: the complex power loses digits in `exp(b log a)`."""


def _by_rule(trace: Trace, name: str, ufunc: Any, inputs: tuple[Any, ...]) -> Any:
    split = [_operand(trace, value, False) for value in inputs]
    res = [re if im is None else np.asarray(re) for re, im in split]
    steps = [np.zeros(()) if im is None else im for _, im in split]
    plain = ufunc(*res)
    if np.iscomplexobj(plain):
        trace.note(name, OWN_COMPLEX)
        return plain
    im = _RULES[ufunc](*(np.asarray(re, np.float64) for re in res), plain, *steps)
    return _joined(trace, name, plain, im, np.isfinite(plain), True)


def _inexact(trace: Trace, ufunc: Any, inputs: tuple[Any, ...]) -> Any:
    """Tell where the real result is rounded; only perturbed runs ask."""
    return trace.rng is None or is_rounded(ufunc, [np.asarray(_real(value)) for value in inputs])


# Arguments


def _mapped(tree: Any, function: Callable[[Any], Any]) -> Any:
    """Apply a function to the leaves of nested tuples, lists and dicts."""
    if isinstance(tree, (tuple, list)) and type(tree) in (tuple, list):
        return type(tree)(_mapped(item, function) for item in tree)
    if type(tree) is dict:
        return {key: _mapped(value, function) for key, value in tree.items()}
    return function(tree)


def _leaves(tree: Any) -> list[Any]:
    if type(tree) in (tuple, list):
        return reduce(list.__add__, (_leaves(item) for item in tree), [])
    return _leaves(list(tree.values())) if type(tree) is dict else [tree]


def _has_step(tree: Any) -> bool:
    return any(carries(leaf) and bool(np.any(parts(leaf)[1] != 0)) for leaf in _leaves(tree))


def _real(value: Any) -> Any:
    return parts(value)[0] if carries(value) or isinstance(value, Traced) else value


def _bare(value: Any) -> Any:
    if isinstance(value, Number):
        return np.array(value, object)
    return value.view(np.ndarray) if isinstance(value, Traced) else value


def _rewrapped(trace: Trace, result: Any) -> Any:
    def back(value: Any) -> Any:
        return _as_traced(trace, value) if isinstance(value, np.ndarray) and value.dtype == object else value

    return _mapped(result, back)


def _is_double(dtype: Any) -> bool:
    return dtype is None or np.dtype(dtype) in (np.dtype(np.float64), np.dtype(object))


def _shown(func: Any) -> str:
    module = getattr(func, "__module__", "") or ""
    return f"{module.replace('numpy', 'np', 1)}.{func.__name__}" if module.startswith("numpy") else str(func.__name__)
