"""The contract of a backend, as functions whose derivatives were worked out by hand.

Five lines test a backend of one's own:

    import pytest
    from xcheck.conformance import SCENARIOS, verify

    @pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
    def test_conformance(scenario):
        verify(MyBackend(), scenario)

Scenarios use only the operators that the arrays of every framework share. Jacobians are of maps R^n -> R^m: inputs
and outputs laid end to end, a complex number as its real part followed by its imaginary part.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xcheck.protocol import (
    Backend,
    Native,
    RealArray,
    SupportsBatch,
    SupportsCompiled,
    SupportsConjugate,
    SupportsCustomRules,
    SupportsJVP,
    SupportsLayouts,
    SupportsMapped,
    SupportsNamespace,
    SupportsPush,
    SupportsRandomState,
    SupportsReturned,
    SupportsSecondOrder,
    SupportsTranspose,
    SupportsVJP,
)

Arrays = tuple[NDArray[Any], ...]


@dataclass(frozen=True)
class Scenario:
    """A function at a point, with its value and its Jacobian.

    Attributes:
        name: what the function stands for.
        function: takes and returns a flat sequence of native arrays.
        inputs: the point, as NumPy arrays.
        value: what the function returns there.
        jacobian: shape (m, n), in real numbers.
    """

    name: str
    function: Callable[[Sequence[Native]], Sequence[Native]]
    inputs: Arrays
    value: Arrays
    jacobian: RealArray

    def __str__(self) -> str:
        """Return the name, which pytest then shows as the id."""
        return self.name


def verify(backend: Backend, scenario: Scenario) -> tuple[str, ...]:
    """Hold a backend against one scenario, in every mode that it supports.

    Returns:
        What was verified: "value" always, and "jvp", "vjp", "pull", "push", "batch", "random_state", "transpose",
        "conjugate", "namespace", "mapped", "compiled", "custom_rules", "returned", "layouts" where the backend has
        them.

    Raises:
        AssertionError: the backend broke the contract; the message names the backend, the scenario and the place.
    """
    check = _Check(backend, scenario)
    check.conversions()
    verified = ["value"]
    check.value()
    if isinstance(backend, SupportsVJP):
        check.vjp(backend)
        verified.append("vjp")
    if isinstance(backend, SupportsJVP):
        check.jvp(backend)
        verified.append("jvp")
    if isinstance(backend, SupportsSecondOrder):
        check.pull(backend)
        verified.append("pull")
    if isinstance(backend, SupportsPush):
        check.push(backend)
        verified.append("push")
    if isinstance(backend, SupportsBatch):
        check.batch(backend)
        verified.append("batch")
    if isinstance(backend, SupportsMapped):
        check.mapped(backend)
        verified.append("mapped")
    if isinstance(backend, SupportsCompiled):
        check.compiled(backend)
        verified.append("compiled")
    if isinstance(backend, SupportsCustomRules):
        check.custom_rules(backend)
        verified.append("custom_rules")
    if isinstance(backend, SupportsReturned):
        check.returned(backend)
        verified.append("returned")
    if isinstance(backend, SupportsLayouts):
        check.layouts(backend)
        verified.append("layouts")
    if isinstance(backend, SupportsRandomState):
        check.random_state(backend)
        verified.append("random_state")
    if isinstance(backend, SupportsTranspose):
        check.transpose(backend)
        verified.append("transpose")
    if isinstance(backend, SupportsConjugate):
        check.conjugate(backend)
        verified.append("conjugate")
    if isinstance(backend, SupportsNamespace):
        check.namespace(backend)
        verified.append("namespace")
    if not check.compared:
        raise AssertionError(f"{check.where}: nothing was compared")
    return tuple(verified)


def _transposed(backend: SupportsTranspose, axes: tuple[int, ...], xs: Sequence[Native]) -> list[Native]:
    return [backend.transpose(xs[0], axes)]


def _conjugated(backend: SupportsConjugate, xs: Sequence[Native]) -> list[Native]:
    return [backend.conjugate(xs[0]), backend.cast(xs[0], xs[1])]


def _called(xp: Any, names: Iterable[str], xs: Sequence[Native]) -> list[Native]:
    return [NAMES[name](xp, xs[0]) for name in names]


NAMES: dict[str, Callable[[Any, Any], Any]] = {
    "reshape": lambda xp, x: xp.reshape(x, (-1,)),
    "permute_dims": lambda xp, x: xp.permute_dims(x, tuple(reversed(range(len(x.shape))))),
    "stack": lambda xp, x: xp.stack((x, x)),
    "multiply": lambda xp, x: xp.multiply(x, x),
    "sum": lambda xp, x: xp.sum(x),
}
"""Calls of array-API names that mean the same in every namespace, NumPy's among them."""


class _Check:
    """One backend at one scenario; counts the numbers that it has compared."""

    def __init__(self, backend: Backend, scenario: Scenario) -> None:
        self.backend = backend
        self.scenario = scenario
        self.where = f"{backend.name}, {scenario.name}"
        self.compared = 0

    def conversions(self) -> None:
        """Convert to the framework and back: same numbers, shape and dtype, in memory of its own."""
        for i, array in enumerate(self.scenario.inputs):
            source = array.copy()
            native = self.backend.from_numpy(source)
            self._require(self.backend.owns(native), f"owns() denies the result of from_numpy for input {i}")
            source[...] = 0
            back = self.backend.to_numpy(native)
            self._same(back, array, f"from_numpy then to_numpy of input {i}", exact=True)
            self._require(back.flags.writeable, f"to_numpy of input {i} gave a read-only array")
            back[...] = 0
            self._same(self.backend.to_numpy(native), array, f"input {i} after writing to a to_numpy copy", exact=True)
            other = self.backend.from_numpy(array, like=native)
            self._same(self.backend.to_numpy(other), array, f"from_numpy of input {i} with like=", exact=True)

    def transpose(self, backend: SupportsTranspose) -> None:
        """Reverse the axes of every input, alone and inside of a function."""
        for i, array in enumerate(self.scenario.inputs):
            axes = tuple(reversed(range(array.ndim)))
            (moved,) = self.backend.value(partial(_transposed, backend, axes), [self.backend.from_numpy(array)])
            back = self.backend.to_numpy(moved)
            self._same(back, np.transpose(array, axes), f"transpose of input {i}", exact=True)

    def conjugate(self, backend: SupportsConjugate) -> None:
        """Conjugate every input, and convert it to the complex dtype of its size."""
        for i, array in enumerate(self.scenario.inputs):
            like = np.zeros(1, np.complex128 if array.dtype.itemsize >= 8 else np.complex64)
            natives = self._natives((array, like))
            conjugated, cast = self.backend.value(partial(_conjugated, backend), natives)
            same = partial(self._same, exact=True)
            same(self.backend.to_numpy(conjugated), np.conjugate(array), f"conjugate of input {i}")
            same(self.backend.to_numpy(cast), array.astype(like.dtype), f"input {i} cast to complex numbers")

    def namespace(self, backend: SupportsNamespace) -> None:
        """Call a few array-API names on every input, next to NumPy's; they may be missing, all but one, not wrong."""
        xp = backend.namespace()
        known = [name for name in NAMES if hasattr(xp, name)]
        self._require(known, f"the namespace has none of {', '.join(NAMES)}")
        before = self.compared
        for i, array in enumerate(self.scenario.inputs):
            natives = self.backend.value(partial(_called, xp, known), [self.backend.from_numpy(array)])
            for name, found, expected in zip(known, natives, _called(np, known, [array]), strict=True):
                what = f"namespace().{name} of input {i}"
                self._require(self.backend.owns(found), f"{what} is not the framework's")
                self._same(self.backend.to_numpy(found), np.asarray(expected), what)
        self.compared = before  # a sum of nothing is a number, and tells nothing of the scenario

    def value(self) -> None:
        """Evaluate twice."""
        xs = self._natives(self.scenario.inputs)
        for _ in range(2):
            ys = self.backend.value(self.scenario.function, xs)
            self._values(ys, "value")
        self._untouched(xs, "value")

    def vjp(self, backend: SupportsVJP) -> None:
        """Compare every row of the Jacobian, calling the one pullback once for each and once more for the first."""
        xs = self._natives(self.scenario.inputs)
        ys, pullback = backend.vjp(self.scenario.function, xs)
        self._values(ys, "vjp")
        m = len(self.scenario.jacobian)
        for row in [*range(m), *range(m)[:1]]:
            cotangents = self._natives(_unit(self.scenario.value, row))
            gradients = pullback(cotangents)
            found = self._vector(gradients, self.scenario.inputs, f"vjp, row {row}")
            self._close(found, self.scenario.jacobian[row], f"vjp, row {row} of the Jacobian")
            self._untouched(cotangents, f"pullback of row {row}", _unit(self.scenario.value, row))
        self._untouched(xs, "vjp")

    def jvp(self, backend: SupportsJVP) -> None:
        """Compare every column of the Jacobian."""
        for column in range(self.scenario.jacobian.shape[1]):
            xs = self._natives(self.scenario.inputs)
            tangents = self._natives(_unit(self.scenario.inputs, column))
            ys, dys = backend.jvp(self.scenario.function, xs, tangents)
            self._values(ys, "jvp")
            found = self._vector(dys, self.scenario.value, f"jvp, column {column}")
            self._close(found, self.scenario.jacobian[:, column], f"jvp, column {column} of the Jacobian")
            self._untouched(xs, "jvp")
            self._untouched(tangents, "jvp", _unit(self.scenario.inputs, column))

    def pull(self, backend: SupportsSecondOrder) -> None:
        """Pull every unit cotangent back; the same differentiated by the cotangent has to be the Jacobian again."""
        jacobian, inputs = self.scenario.jacobian, self.scenario.inputs
        for row in range(len(jacobian)):
            xs, cotangents = self._natives(inputs), self._natives(_unit(self.scenario.value, row))
            found = self._vector(
                backend.pull(self.scenario.function, xs, cotangents), inputs, f"pull, row {row} of the Jacobian"
            )
            self._close(found, jacobian[row], f"pull, row {row} of the Jacobian")
            self._untouched(xs, "pull")
            self._untouched(cotangents, "pull", _unit(self.scenario.value, row))
        if isinstance(self.backend, SupportsVJP) and len(jacobian):
            self._pull_again(backend, self.backend)

    def _pull_again(self, backend: SupportsSecondOrder, reverse: SupportsVJP) -> None:
        xs, cotangents = self._natives(self.scenario.inputs), self._natives(_unit(self.scenario.value, 0))
        connected = [i for i, g in enumerate(backend.pull(self.scenario.function, xs, cotangents)) if g is not None]
        inputs = tuple(self.scenario.inputs[i] for i in connected)

        def pulled(arrays: Sequence[Native]) -> list[Native]:
            found = backend.pull(self.scenario.function, arrays[: len(xs)], arrays[len(xs) :])
            return [found[i] for i in connected]

        _, again = reverse.vjp(pulled, [*xs, *cotangents])
        places = _real([_ones(a) * (i in connected) for i, a in enumerate(self.scenario.inputs)]) != 0
        columns = self.scenario.jacobian[:, places]
        for k in range(columns.shape[1]):
            gradients = again(self._natives(_unit(inputs, k)))[len(xs) :]
            found = self._vector(gradients, self.scenario.value, f"vjp of pull, entry {k}")
            self._close(found, columns[:, k], f"vjp of pull by the cotangent, entry {k} of the gradient")

    def push(self, backend: SupportsPush) -> None:
        """Push every unit tangent forward; the same differentiated by the tangent has to be the Jacobian again."""
        jacobian, inputs = self.scenario.jacobian, self.scenario.inputs
        for column in range(jacobian.shape[1]):
            xs, tangents = self._natives(inputs), self._natives(_unit(inputs, column))
            found = self._vector(
                backend.push(self.scenario.function, xs, tangents), self.scenario.value, f"push, column {column}"
            )
            self._close(found, jacobian[:, column], f"push, column {column} of the Jacobian")
            self._untouched(xs, "push")
            self._untouched(tangents, "push", _unit(inputs, column))
        if isinstance(self.backend, SupportsVJP) and jacobian.size:
            self._push_again(backend, self.backend)

    def _push_again(self, backend: SupportsPush, reverse: SupportsVJP) -> None:
        xs, tangents = self._natives(self.scenario.inputs), self._natives(_unit(self.scenario.inputs, 0))
        first = backend.push(self.scenario.function, xs, tangents)
        connected = [i for i, dy in enumerate(first) if dy is not None]
        values = tuple(self.scenario.value[i] for i in connected)
        rows = self.scenario.jacobian[
            _real([_ones(a) * (i in connected) for i, a in enumerate(self.scenario.value)]) != 0
        ]

        def pushed(arrays: Sequence[Native]) -> list[Native]:
            found = backend.push(self.scenario.function, arrays[: len(xs)], arrays[len(xs) :])
            return [found[i] for i in connected]

        _, again = reverse.vjp(pushed, [*xs, *tangents])
        second = np.zeros_like(rows)
        for k in range(len(rows)):
            gradients = again(self._natives(_unit(values, k)))
            found = self._vector(gradients[len(xs) :], self.scenario.inputs, f"vjp of push, row {k}")
            self._close(found, rows[k], f"vjp of push by the tangent, row {k}")
            second[k] = self._vector(gradients[: len(xs)], self.scenario.inputs, f"vjp of push, row {k}")
        for column in range(second.shape[1]):
            if not isinstance(self.backend, SupportsJVP):
                break
            directions = self._natives(_unit(self.scenario.inputs, column))
            _, dys = self.backend.jvp(lambda arrays: pushed([*arrays, *tangents]), xs, directions)
            found = self._vector(dys, values, f"jvp of push, column {column}")
            self._close(found, second[:, column], f"jvp of push, column {column}, next to the vjp of push")

    def batch(self, backend: SupportsBatch) -> None:
        """Compare three points in one call with the same points one by one, and pullbacks likewise."""
        points = [tuple((a * factor).astype(a.dtype) for a in self.scenario.inputs) for factor in (1.0, 2.0, 0.5)]
        single = [self._arrays(self.backend.value(self.scenario.function, self._natives(p))) for p in points]
        stacked = self._natives([np.stack(column) for column in zip(*points, strict=True)])
        together = self._arrays(self.backend.value(backend.batch(self.scenario.function), stacked))
        for i, parts in enumerate(zip(*single, strict=True)):
            self._same(together[i], np.stack(parts), f"output {i} of the batched function")
        if isinstance(self.backend, SupportsVJP):
            self._batched_pullback(self.backend, backend)

    def mapped(self, backend: SupportsMapped) -> None:
        """Compare two points in one call with the same points one by one."""
        points = [tuple((a * factor).astype(a.dtype) for a in self.scenario.inputs) for factor in (1.0, 0.5)]
        single = [self._arrays(self.backend.value(self.scenario.function, self._natives(p))) for p in points]
        stacked = self._natives([np.stack(column) for column in zip(*points, strict=True)])
        together = self._arrays(backend.mapped(self.scenario.function)(stacked))
        for i, parts in enumerate(zip(*single, strict=True)):
            self._same(together[i], np.stack(parts), f"output {i} of the mapped function")

    def compiled(self, backend: SupportsCompiled) -> None:
        """Compare the value and every row of the Jacobian, with one compilation for all of them."""
        run = backend.compiled(self.scenario.function)
        for row in range(len(self.scenario.jacobian)):
            xs, cotangents = self._natives(self.scenario.inputs), self._natives(_unit(self.scenario.value, row))
            ys, gradients = run(xs, cotangents)
            self._values(ys, "compiled")
            found = self._vector(gradients, self.scenario.inputs, f"compiled, row {row}")
            self._close(found, self.scenario.jacobian[row], f"compiled, row {row} of the Jacobian")
            self._untouched(xs, "compiled")

    def custom_rules(self, backend: SupportsCustomRules) -> None:
        """The operators of every framework are no users'."""
        names = list(backend.custom_rules(self.scenario.function, self._natives(self.scenario.inputs)))
        self._require(not names, f"custom_rules names {names}, and the function has none")

    def returned(self, backend: SupportsReturned) -> None:
        """The frameworks' own rules return what they have to."""
        cotangents = self._natives(_ones(a) for a in self.scenario.value)
        told = list(backend.returned(self.scenario.function, self._natives(self.scenario.inputs), cotangents))
        self._require(not told, f"returned tells {told} of operators of the framework")

    def layouts(self, backend: SupportsLayouts) -> None:
        """Every layout has the same values; what is expanded has to be equal throughout."""
        for i, array in enumerate(self.scenario.inputs):
            for source in (array, _ones(array)):
                made = backend.layouts(source, like=self.backend.from_numpy(array))
                for layout, native in made.items():
                    self._same(self.backend.to_numpy(native), source, f"input {i}, {layout}", exact=True)
                equal = bool(source.size) and bool(np.all(source == source.flat[0]))
                self._require(equal or "expanded" not in made, f"layouts expands input {i}, whose entries differ")

    def _batched_pullback(self, reverse: SupportsVJP, batch: SupportsBatch) -> None:
        _, pullback = reverse.vjp(self.scenario.function, self._natives(self.scenario.inputs))
        rows = [_unit(self.scenario.value, row) for row in range(len(self.scenario.jacobian))]
        if not rows:
            return
        single = [pullback(self._natives(row)) for row in rows]
        connected = [i for i, g in enumerate(single[0]) if g is not None]
        if not connected:
            return
        stacked = self._natives([np.stack(column) for column in zip(*rows, strict=True)])
        together = batch.batch(lambda cotangents: [pullback(cotangents)[i] for i in connected])(stacked)
        for i, native in zip(connected, together, strict=True):
            expected = np.stack([self.backend.to_numpy(gradients[i]) for gradients in single])
            self._same(self.backend.to_numpy(native), expected, f"the batched pullback, gradient {i}")

    def random_state(self, backend: SupportsRandomState) -> None:
        """Pin the generators around an evaluation that draws nothing; leave those of Python and NumPy alone."""
        before: Any = random.getstate(), np.random.get_state()
        with backend.random_state(3) as rewind:
            self._require(not rewind(), "rewind() tells of draws before there were any")
            self.backend.value(self.scenario.function, self._natives(self.scenario.inputs))
            self._require(not rewind(), "rewind() tells of draws by a function that is not random")
        after: Any = random.getstate(), np.random.get_state()
        kept = before[0] == after[0] and np.array_equal(before[1][1], after[1][1])
        self._require(kept, "random_state moved the generators of Python or NumPy")

    # Comparing

    def _require(self, condition: object, message: str) -> None:
        __tracebackhide__ = True
        if not condition:
            raise AssertionError(f"{self.where}: {message}")

    def _close(self, found: NDArray[Any], expected: NDArray[Any], what: str) -> None:
        __tracebackhide__ = True
        eps = max((np.finfo(a.dtype).eps for a in (*self.scenario.inputs, *self.scenario.value)), default=0.0)
        scale = np.max(np.abs(expected), initial=1.0)
        self._require(
            np.all(np.abs(found - expected) <= 16 * eps * scale), f"{what} is\n{found}\nand must be\n{expected}"
        )
        self.compared += found.size

    def _same(self, found: NDArray[Any], expected: NDArray[Any], what: str, exact: bool = False) -> None:
        __tracebackhide__ = True
        self._require(isinstance(found, np.ndarray), f"{what}: a {type(found).__name__}, not a NumPy array")
        self._require(found.dtype == expected.dtype, f"{what}: dtype {found.dtype}, must be {expected.dtype}")
        self._require(found.shape == expected.shape, f"{what}: shape {found.shape}, must be {expected.shape}")
        if exact:
            self._require(np.array_equal(found, expected), f"{what} is\n{found}\nand must be\n{expected}")
        else:
            self._close(found, expected, what)

    def _values(self, ys: Sequence[Native], what: str) -> None:
        __tracebackhide__ = True
        expected = self.scenario.value
        self._require(len(ys) == len(expected), f"{what}: {len(ys)} outputs, must be {len(expected)}")
        for i, (y, array) in enumerate(zip(self._arrays(ys), expected, strict=True)):
            self._same(y, array, f"{what}, output {i}")

    def _vector(self, natives: Sequence[Native | None], like: Arrays, what: str) -> RealArray:
        """Lay native arrays end to end as real numbers, after comparing their shapes and dtypes; None is zero."""
        __tracebackhide__ = True
        self._require(len(natives) == len(like), f"{what}: {len(natives)} arrays, must be {len(like)}")
        parts = []
        for i, (native, array) in enumerate(zip(natives, like, strict=True)):
            found = np.zeros_like(array) if native is None else self.backend.to_numpy(native)
            self._require(found.dtype == array.dtype, f"{what}, array {i}: dtype {found.dtype}, must be {array.dtype}")
            self._require(found.shape == array.shape, f"{what}, array {i}: shape {found.shape}, must be {array.shape}")
            parts.append(found)
        return _real(parts)

    def _untouched(self, natives: Sequence[Native], what: str, arrays: Arrays | None = None) -> None:
        __tracebackhide__ = True
        for i, (native, array) in enumerate(zip(natives, arrays or self.scenario.inputs, strict=True)):
            same = np.array_equal(self.backend.to_numpy(native), array)
            self._require(same, f"{what} changed argument {i} in place")

    def _natives(self, arrays: Iterable[NDArray[Any]]) -> list[Native]:
        return [self.backend.from_numpy(array) for array in arrays]

    def _arrays(self, natives: Sequence[Native]) -> list[NDArray[Any]]:
        return [self.backend.to_numpy(native) for native in natives]


def _real(arrays: Sequence[NDArray[Any]]) -> RealArray:
    flat = [np.ravel(a) for a in arrays]
    parts = [np.stack([a.real, a.imag], axis=-1).ravel() if a.dtype.kind == "c" else a for a in flat]
    return np.concatenate([np.zeros(0), *parts]).astype(np.float64)


def _ones(array: NDArray[Any]) -> NDArray[Any]:
    return np.full_like(array, 1 + 1j if array.dtype.kind == "c" else 1)


def _unit(like: Arrays, place: int) -> Arrays:
    """Build arrays of the dtypes and shapes of `like` that hold 1 at one real place and 0 elsewhere."""
    vector = np.zeros(len(_real(like)))
    vector[place] = 1.0
    arrays, start = [], 0
    for array in like:
        width = 2 if array.dtype.kind == "c" else 1
        part = vector[start : start + array.size * width]
        part = part[::2] + 1j * part[1::2] if width == 2 else part
        arrays.append(part.reshape(array.shape).astype(array.dtype))
        start += array.size * width
    return tuple(arrays)


def _scenario(
    name: str,
    function: Callable[..., tuple[Native, ...]],
    inputs: Sequence[ArrayLike],
    value: Sequence[ArrayLike],
    jacobian: ArrayLike,
    dtype: str = "float64",
    value_dtype: str = "",
) -> Scenario:
    xs = tuple(np.asarray(x, dtype) for x in inputs)
    ys = tuple(np.asarray(y, value_dtype or dtype) for y in value)
    shape = len(_real(ys)), len(_real(xs))
    return Scenario(name, lambda natives: function(*natives), xs, ys, np.asarray(jacobian, np.float64).reshape(shape))


_WEIGHTS = (2, -3)  # integers closed over, as functions close over exponents and counts

SCENARIOS: tuple[Scenario, ...] = (
    # d(x^3) = 3 x^2 dx
    _scenario("a cube of a number", lambda x: (x * x * x,), [2.0], [8.0], [[12.0]]),
    # d(1/x) = -dx/x^2, entry by entry
    _scenario(
        "a reciprocal, entry by entry",
        lambda x: (1 / x,),
        [[1.0, 2.0, -4.0]],
        [[1.0, 0.5, -0.25]],
        [[-1.0, 0.0, 0.0], [0.0, -0.25, 0.0], [0.0, 0.0, -0.0625]],
    ),
    # y = (x1 x0, x0^2 / x1): not symmetric, so that rows and columns cannot be confused
    _scenario(
        "a Jacobian that is not symmetric",
        lambda x: (x[0] * x[1], x[0] ** 2 / x[1]),
        [[3.0, 2.0]],
        [6.0, 4.5],
        [[2.0, 3.0], [3.0, -2.25]],
    ),
    # y_ik = sum_j a_ij b_jk
    _scenario(
        "a matrix product",
        lambda a, b: (a @ b,),
        [[[1.0, 2.0]], [[3.0, 4.0, 5.0], [6.0, 7.0, 8.0]]],
        [[[15.0, 18.0, 21.0]]],
        [
            [3.0, 6.0, 1.0, 0.0, 0.0, 2.0, 0.0, 0.0],
            [4.0, 7.0, 0.0, 1.0, 0.0, 0.0, 2.0, 0.0],
            [5.0, 8.0, 0.0, 0.0, 1.0, 0.0, 0.0, 2.0],
        ],
    ),
    # u = x y, v = x - 2 y with x of shape (2,) and y of shape ()
    _scenario(
        "two inputs and two outputs",
        lambda x, y: (x * y, x - 2 * y),
        [[1.0, 5.0], 3.0],
        [[3.0, 15.0], [-5.0, -1.0]],
        [[3.0, 0.0, 1.0], [0.0, 3.0, 5.0], [1.0, 0.0, -2.0], [0.0, 1.0, -2.0]],
    ),
    _scenario(
        "an input that is not used",
        lambda x, _: (-x,),
        [[1.0, 2.0], [3.0]],
        [[-1.0, -2.0]],
        [[-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]],
    ),
    _scenario(
        "an output that is constant",
        lambda x: (x + 1, x[:1] * 0 + 7),
        [[1.0, 2.0]],
        [[2.0, 3.0], [7.0]],
        [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]],
    ),
    _scenario("an input returned as it is", lambda x: (x,), [[1.0, 2.0]], [[1.0, 2.0]], [[1.0, 0.0], [0.0, 1.0]]),
    _scenario(
        "an input used twice",
        lambda x: (x[1:] * x[:-1],),
        [[1.0, 2.0, 4.0]],
        [[2.0, 8.0]],
        [[2.0, 1.0, 0.0], [0.0, 4.0, 2.0]],
    ),
    _scenario(
        "constants closed over",
        lambda x: (x ** _WEIGHTS[0] * _WEIGHTS[1],),
        [[1.0, 0.5]],
        [[-3.0, -0.75]],
        [[-6.0, 0.0], [0.0, -3.0]],
    ),
    _scenario("float32", lambda x: (x * x,), [[0.5, -3.0]], [[0.25, 9.0]], [[1.0, 0.0], [0.0, -6.0]], "float32"),
    _scenario("float16", lambda x: (x + x,), [[0.5, -3.0]], [[1.0, -6.0]], [[2.0, 0.0], [0.0, 2.0]], "float16"),
    _scenario("an array of one row and one column", lambda x: (x / 2,), [[[8.0]]], [[[4.0]]], [[0.5]]),
    _scenario(
        "an empty array beside a full one",
        lambda x, y: (x * 2, y * 3),
        [np.zeros((0, 2)), [1.0]],
        [np.zeros((0, 2)), [3.0]],
        [[3.0]],
    ),
    # z^2 = (a + ib)^2, holomorphic: dz^2 = 2z dz, as the matrix [[2a, -2b], [2b, 2a]]
    _scenario("a complex square", lambda z: (z * z,), [[1 + 2j]], [[-3 + 4j]], [[2.0, -4.0], [4.0, 2.0]], "complex128"),
    # c z with c = 2 + 3i: the matrix [[2, -3], [3, 2]], whose transpose is multiplication by conj(c)
    _scenario(
        "a complex factor", lambda z: (z * (2 + 3j),), [1 - 1j], [5 + 1j], [[2.0, -3.0], [3.0, 2.0]], "complex64"
    ),
    # |a + ib| is not holomorphic: its gradient is (a, b) / |z|
    _scenario("a modulus", lambda z: (abs(z),), [[3 + 4j]], [[5.0]], [[0.6, 0.8]], "complex128", "float64"),
    # two complex inputs, so that conjugating one side only shows: d(z w) = w dz + z dw
    _scenario(
        "a complex product",
        lambda z, w: (z * w,),
        [1 + 2j, 3 - 1j],
        [5 + 5j],
        [[3.0, 1.0, 1.0, -2.0], [-1.0, 3.0, 2.0, 1.0]],
        "complex128",
    ),
)
"""One scenario for each thing that a backend can get wrong by itself."""
