"""A function at a point on a backend, as a map R^n -> R^m.

`Problem` owns every evaluation: it counts them, pins the random generators before each, maps many points through one
call where the backend can, and turns what the function returns into vectors whose places have names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from sys import getrefcount
from time import perf_counter
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from xcheck.call import Call, Leaf
from xcheck.protocol import Backend, Native, RealArray, SupportsBatch, supports_batch
from xcheck.pytree import Path, Structure, flatten, named_paths
from xcheck.space import LONG, Block, Space, is_differentiable

CHUNK = 2**22
"""Numbers in one batched call: inputs and outputs of all its points together."""

NONE = slice(0, 0)
"""No points."""

ALONE = 2
"""What `sys.getrefcount` says of an array that only the one who asks knows of."""

NEIGHBOURS = 8
"""Points a few ulps away that show how far rounding inside a function moves its values."""

SCATTERED = 16.0
"""A value in float64 may be so many times as far off as values in the function's own precision scatter."""

SLOW = 0.02
"""Seconds for one point from which a batched call pays for few points too; some frameworks compile at every call."""


Write = Callable[[RealArray, slice], None]
"""Puts the places of a vector that the slice names into an array."""


class OutputChanged(ValueError):
    """The function returned something of another structure, shape or kind than at the point."""


@dataclass(frozen=True)
class Output:
    """What the function returned at the point.

    Attributes:
        structure: rebuilds it from all its leaves.
        varying: which of the leaves have derivatives.
        paths: the keys that lead to each of those.
        unchecked: what the other leaves are.
    """

    structure: Structure
    varying: tuple[int, ...]
    paths: tuple[Path, ...]
    unchecked: tuple[str, ...]


@dataclass
class Problem:
    """A function R^n -> R^m at a point, with its derivative products.

    Attributes:
        call: the user's function and inputs.
        inputs: the named space R^n.
        outputs: the named space R^m.
        x: the point, shape (n,).
        y: the value there, shape (m,).
        output: what the function returned there, without the numbers.
        native_value: what the function returned there.
        constants: fresh values of the inputs that are held constant.
        evaluations: how often the function has been evaluated, a batch of k counting as k.
        failures: exceptions that the function raised at perturbed points.
        mutated: names of the inputs that the function changed in place.
        inner: sizes of the numbers that the outputs are computed from, where those are known to be larger, shape (m,).
        seconds: how long the latest evaluation of one point beside x took.
        first_seconds: how long the first evaluation took, which may include compilation.
        memory: the values of points that were asked for before, by their digest, for a check that is made over and
            over; None to evaluate every time.
    """

    call: Call
    rewind: Callable[[], bool]
    inputs: Space
    outputs: Space
    x: RealArray
    y: RealArray
    output: Output
    native_value: Any
    constants: list[Any]
    evaluations: int = 1
    random: bool = False
    batched: bool = True
    batch_trusted: bool = False
    seconds: float = 0.0
    first_seconds: float = 0.0
    failures: list[str] = field(default_factory=list)
    mutated: tuple[str, ...] = ()
    inner: RealArray | None = None
    memory: dict[bytes, RealArray] | None = None
    _spare: dict[int, RealArray] = field(default_factory=dict, repr=False)
    order: ClassVar[int] = 1
    """How many derivatives its own derivative makes; 2 where its values are gradients."""

    @classmethod
    def at(cls, call: Call, rewind: Callable[[], bool], space: Space | None = None) -> Self:
        """Evaluate `call` at its inputs, or at the same numbers in the dtypes of `space`.

        Raises:
            TypeError: the function returned something that has no derivative at all.
        """
        arrays = [leaf.array for leaf in call.varying if leaf.array is not None]
        inputs = Space.of([leaf.name for leaf in call.varying], arrays)
        x = inputs.pack(arrays)
        inputs = space or inputs
        natives, constants = _natives(call, inputs, x), call.constants()
        rewind()
        start = perf_counter()
        try:
            tree, replaced = _evaluate(call.backend, lambda xs: call.watched(xs, constants), natives)
        except Exception as error:
            error.add_note(f"xcheck: raised by {call.title} at the point that was given, {_point(inputs, x)}.")
            raise
        seconds = perf_counter() - start
        used = rewind()
        output, values, names = _read_output(call, tree)
        outputs = Space.of(names, values)
        y = np.array(outputs.pack(values))  # a copy: functions may return a buffer that they use again
        changed = (*_changed(call, natives, inputs, x), *_changed_constants(call, constants), *replaced)
        return cls(
            call,
            rewind,
            inputs,
            outputs,
            x,
            y,
            output,
            tree,
            constants=call.constants(),
            random=used,
            mutated=tuple(dict.fromkeys(changed)),
            first_seconds=seconds,
        )

    @property
    def backend(self) -> Backend:
        """The framework of the arrays."""
        return self.call.backend

    @property
    def n(self) -> int:
        """The number of inputs, as real numbers."""
        return self.inputs.size

    @property
    def m(self) -> int:
        """The number of outputs, as real numbers."""
        return self.outputs.size

    @cached_property
    def _scales(self) -> tuple[RealArray, float]:
        return self.inputs.scales(self.x)

    @property
    def scale(self) -> RealArray:
        """The scale of every input, a power of two, shape (n,); of very many inputs it is not kept."""
        return self._scales[0] if self.n < LONG else self.inputs.scales(self.x)[0]

    @cached_property
    def typical(self) -> float:
        """The median size of the inputs that are not zero."""
        return self._scales[1] if self.n < LONG else self.inputs.typical(self.x)

    @property
    def how(self) -> str:
        """What differences of these values are called."""
        return "finite differences"

    @property
    def value_bits(self) -> int:
        """Significand bits of the function's arithmetic."""
        return self.precision

    @property
    def relative(self) -> bool:
        """Whether `values` are differences from the value at the point."""
        return False

    @property
    def forgiven(self) -> float:
        """The unit roundoff of the function's value, which a claim may have been computed from."""
        return float(2.0**-self.precision)

    @cached_property
    def precision(self) -> int:
        """Significand bits of the coarsest dtype among inputs and outputs."""
        return min(self.inputs.precision, self.outputs.precision)

    def entry(self, output: int, place: int) -> str:
        """Name the derivative of one output by the input at `place`."""
        return f"d {self.outputs.entry(output)} / d {self.inputs.entry(place)}"

    def in_float64(self) -> Self | None:
        """Return the same problem evaluated in float64, or None where the function does not allow it.

        It does not when it raises on float64 inputs, returns a lower precision all the same, or gives another value
        than rounding explains.
        """
        if self.precision == 53:
            return None
        try:
            shadow = self.at(self.call.in_float64(), self.rewind, self.inputs.in_float64())
        except Exception:
            return None
        self.evaluations += 1
        if shadow.precision < 53 or shadow.y.shape != self.y.shape:
            return None
        if not np.array_equal(np.isfinite(shadow.y), np.isfinite(self.y)):
            return None
        scale = np.max(np.abs(self.y), initial=0.0, where=np.isfinite(self.y))
        apart = np.where(np.isfinite(self.y), np.abs(shadow.y - self.y), 0.0)
        far = apart > 2.0 ** (-self.precision / 2) * max(scale, np.finfo(np.float64).tiny)
        return None if np.any(far) and np.any((apart > SCATTERED * self._scatter())[far]) else shadow

    def _scatter(self) -> RealArray:
        """Return how far the values move over a few ulps of the inputs: rounding inside, where they cancel; (m,)."""
        rng = np.random.default_rng(9)
        ulps = rng.choice([-32.0, -8.0, -3.0, -1.0, 1.0, 3.0, 8.0, 32.0], (NEIGHBOURS, self.n))
        values = self.values(self.x * (1 + ulps * 2.0 ** (1 - self.precision)))
        return np.asarray(np.max(np.where(np.isfinite(values), np.abs(values - self.y), 0.0), axis=0))

    # Values

    def values(self, points: RealArray, spare: slice = NONE) -> RealArray:
        """Evaluate at points `(k, n)`, unless they are remembered; returns `(k, m)`, NaN where an evaluation raised.

        One batched call where the backend and the function allow it, else point by point, without the `spare` points:
        those are NaN then.
        """
        if self.memory is None:
            return self._evaluated(points, spare)
        key = blake2b(np.ascontiguousarray(points).data, digest_size=16).digest()
        if key not in self.memory:
            self.memory[key] = self._evaluated(points, spare)
        return self.memory[key].copy()

    def values_quietly(self, points: RealArray) -> RealArray:
        """Evaluate at points that may lie outside of the function's domain: what it raises there is no failure."""
        failures = list(self.failures)
        try:
            return self.values(points)
        finally:
            self.failures = failures

    def remember(self) -> None:
        """Evaluate no points twice from now on, if the function gives the same value twice."""
        first, second = (self._evaluated(self.x[None]) for _ in range(2))
        if self.memory is None and np.array_equal(first, second, equal_nan=True):
            self.memory = {}

    def _evaluated(self, points: RealArray, spare: slice = NONE) -> RealArray:
        self.evaluations += len(points)
        backend = self.backend
        enough = getattr(backend, "batch_from", 2) if self.seconds < SLOW else 4
        if self.batched and not self.random and len(points) >= enough and supports_batch(backend):
            result = self._values_batched(points, backend)
            if result is not None:
                return result
        asked = np.delete(np.arange(len(points)), spare)
        self.evaluations -= len(points) - len(asked)
        if len(asked) == len(points):
            return self._values_one_by_one(points)
        result = np.full((len(points), self.m), np.nan)
        result[asked] = self._values_one_by_one(points[asked])
        return result

    def value_of(self, write: Write) -> RealArray:
        """Evaluate at one point that `write(out, part)` puts down piece by piece; returns `(1, m)`.

        For vectors so long that every copy of them counts: none is made of the whole, and the memory of one point
        serves the next, unless the function keeps it.
        """
        self.evaluations += 1
        self.pin()
        start = perf_counter()
        result = np.full((1, self.m), np.nan)
        try:
            places = zip(self.inputs.blocks, self.call.varying, strict=True)
            natives = [self._written(block, x, write) for block, x in places]
            result[0] = self.from_native(self.backend.value(self.flat, natives))
        except OutputChanged:
            raise
        except Exception as error:
            point = np.empty(self.n)
            write(point, slice(0, self.n))
            self._record(error, point)
        self.seconds = perf_counter() - start
        return result

    def _written(self, block: Block, leaf: Leaf, write: Write) -> Native:
        numbers = self._spare.pop(block.start, None)
        if numbers is None or getrefcount(numbers) > ALONE:  # the function keeps what it was given
            numbers = np.empty(block.size)
        write(numbers, block.slice)
        self._spare[block.start] = numbers
        adopt: Callable[..., Native] = getattr(self.backend, "adopt", self.backend.from_numpy)
        return adopt(block.unpack(numbers), like=leaf.value)

    def _values_batched(self, points: RealArray, backend: SupportsBatch) -> RealArray | None:
        step = max(1, CHUNK // max(1, self.n + self.m))
        try:
            mapped = backend.batch(self.flat)
            parts = []
            for start in range(0, len(points), step):
                self.pin()
                xs = self.to_native(points[start : start + step])
                parts.append(self.from_native(self.backend.value(mapped, xs), lead=1))
        except Exception:
            self.batched = False  # control flow on values, an operator without a batching rule: no reason to fail
            return None
        result = parts[0] if len(parts) == 1 else np.concatenate(parts)
        if not self.batch_trusted and not self._agrees_with_one_by_one(points, result):
            self.batched = False
            return None
        self.batch_trusted = True
        return result

    def _agrees_with_one_by_one(self, points: RealArray, result: RealArray) -> bool:
        single = self._values_one_by_one(points[-1:])
        if np.array_equal(single, result[-1:]):
            return True
        scale = max(np.max(np.abs(single), initial=0.0, where=np.isfinite(single)), np.finfo(np.float64).tiny)
        close = np.abs(result[-1:] - single) <= 2.0 ** (10 - self.precision) * scale
        return bool(np.all(close | (result[-1:] == single) | (np.isnan(result[-1:]) & np.isnan(single))))

    def _values_one_by_one(self, points: RealArray) -> RealArray:
        result = np.full((len(points), self.m), np.nan)
        for row, point in zip(result, points, strict=True):
            self.pin()
            start = perf_counter()
            try:
                row[:] = self.from_native(self.backend.value(self.flat, self.to_native(point)))
            except OutputChanged:
                raise
            except Exception as error:
                self._record(error, point)
            self.seconds = perf_counter() - start
        return result

    def flat(self, xs: Sequence[Native]) -> list[Native]:
        """Call the function on flat native inputs; returns the flat native outputs that have derivatives."""
        tree = self.call(xs, self.constants)
        if type(tree) is self._bare:
            return [tree]
        leaves, structure = flatten(tree)
        if not structure.same_as(self.output.structure):
            raise OutputChanged(
                f"{self.call.title} returned {self.output.structure} at the point and {structure} beside it, where * "
                "is an array; a derivative needs the same structure everywhere."
            )
        return [_own(self.backend, leaves[i]) for i in self.output.varying]

    @cached_property
    def _bare(self) -> type | None:
        """The type of the value if it is one array of the backend and no container."""
        bare = len(self.output.structure) == 1 and self.backend.owns(self.native_value)
        return type(self.native_value) if bare else None

    def _record(self, error: Exception, point: RealArray) -> None:
        if len(self.failures) < 3:
            moved = np.flatnonzero(point != self.x)
            where = f"{self.inputs.entry(moved[0])} = {point[moved[0]]:.17g}" if moved.size else "the point itself"
            self.failures.append(f"raised {type(error).__name__} at {where}: {error}")

    def as_array(self, leaf: Any) -> NDArray[Any]:
        """Read one returned leaf, native or plain, as a NumPy array."""
        return _as_array(self.backend, leaf)

    # Conversions that derivative products need

    def pin(self) -> None:
        """Put the random generators back to the seed and renew the constants, as before every evaluation."""
        self.constants = self.call.constants()
        self.random = self.rewind() or self.random

    def to_native(self, points: RealArray) -> list[Native]:
        """Turn real vectors `(*lead, n)` into native inputs on the inputs' devices."""
        adopt: Callable[..., Native] = getattr(self.backend, "adopt", self.backend.from_numpy)
        self._spare.clear()
        natives = []
        for block, x in zip(self.inputs.blocks, self.call.varying, strict=True):
            array = block.unpack(points[..., block.slice])
            fresh = array.flags.owndata  # another dtype; nobody else keeps it
            natives.append((adopt if fresh else self.backend.from_numpy)(array, like=x.value))
        return natives

    def from_native(self, ys: Sequence[Native], lead: int = 0) -> RealArray:
        """Turn native outputs with `lead` leading axes into real vectors `(*lead, m)`.

        Raises:
            OutputChanged: an output has another shape than at the point, or is complex where it was real.
        """
        arrays = [_as_array(self.backend, y) for y in ys]
        for array, block in zip(arrays, self.outputs.blocks, strict=True):
            if array.shape[lead:] != block.shape:
                raise OutputChanged(
                    f"{self.call.title} returned {block.name} of shape {block.shape} at the point and "
                    f"{array.shape[lead:]} beside it; a derivative needs the same shape everywhere."
                )
            if array.dtype.kind == "c" and not block.is_complex:
                raise OutputChanged(
                    f"{self.call.title} returned {block.name} of dtype {block.dtype} at the point and {array.dtype} "
                    "beside it; make the input complex, or keep the output real."
                )
        return self.outputs.pack(arrays)


COPIED = 2**12
"""Arrays of up to so many bytes are compared by copies of them, which is faster than to look at their words."""

SHOWN = 4
"""Inputs that the description of a point spells out."""

PLAIN = (bool, int, float, complex, list, np.ndarray, np.generic)
"""Output leaves that NumPy reads by itself."""


def run_native(problem: Problem, g: Callable[[tuple[Any, ...], dict[str, Any]], Any]) -> Any:
    """Call `g` with fresh copies of the inputs, as the user gave them, where the backend's functions run.

    A module's parameters are not among them.
    """
    problem.pin()
    natives = problem.to_native(problem.x)
    return _evaluate(problem.backend, lambda xs: g(*problem.call.given(xs, problem.constants)), natives)


def output_leaves(problem: Problem) -> list[Any]:
    """Return the differentiable leaves of the function's value at the point, as it returned them."""
    leaves, _ = flatten(problem.native_value)
    return [leaves[i] for i in problem.output.varying]


def describe_point(problem: Problem) -> str:
    """Write down the point, such as `x = [1., 2.] (shape (2,), float64)`; large arrays by shape alone."""
    return _point(problem.inputs, problem.x)


def _evaluate(backend: Backend, g: Callable[[Sequence[Native]], Any], natives: Sequence[Native]) -> Any:
    caught: list[Any] = []

    def run(xs: Sequence[Native]) -> list[Native]:
        caught.append(g(xs))
        return []

    backend.value(run, natives)
    return caught[0]


def _own(backend: Backend, leaf: Any) -> Native:
    return backend.from_numpy(np.asarray(leaf)) if isinstance(leaf, PLAIN) and not backend.owns(leaf) else leaf


def _natives(call: Call, inputs: Space, x: RealArray) -> list[Native]:
    arrays = inputs.unpack(x)
    return [call.backend.from_numpy(a, like=leaf.value) for a, leaf in zip(arrays, call.varying, strict=True)]


def _changed(call: Call, natives: Sequence[Native], inputs: Space, x: RealArray) -> list[str]:
    places = zip(call.varying, natives, inputs.unpack(x), strict=True)
    return [leaf.name for leaf, a, b in places if not _same_bytes(call.backend.to_numpy(a), b)]


def _changed_constants(call: Call, constants: Sequence[Any]) -> list[str]:
    places = [(leaf, value) for leaf, value in zip(call.constant, constants, strict=True) if leaf.array is not None]
    return [leaf.name for leaf, value in places if not _same_bytes(_as_array(call.backend, value), leaf.array)]


def _same_bytes(a: NDArray[Any], b: NDArray[Any] | None) -> bool:
    if b is None or a.shape != b.shape:
        return False
    if a.nbytes <= COPIED or a.nbytes != b.nbytes or a.dtype.hasobject or b.dtype.hasobject:
        return a.tobytes() == b.tobytes()
    words = np.dtype(np.uint64 if a.nbytes % 8 == 0 else np.uint8)
    one, other = (np.ascontiguousarray(array).reshape(-1).view(words) for array in (a, b))
    return bool(np.array_equal(one, other))


def _as_array(backend: Backend, leaf: Any) -> NDArray[Any]:
    return np.asarray(leaf) if isinstance(leaf, PLAIN) else np.asarray(backend.to_numpy(leaf))


def _read_output(call: Call, tree: Any) -> tuple[Output, list[NDArray[Any]], list[str]]:
    leaves, structure = flatten(tree)
    if not leaves:
        raise TypeError(
            f"{call.title} returned {tree!r}, which has no arrays in it; it must return an array, a number, or a "
            "pytree of them. Is a return statement missing?"
        )
    named = named_paths(tree, "out")
    arrays = [_output_array(call, leaf, name) for leaf, (name, _) in zip(leaves, named, strict=True)]
    varying = tuple(i for i, array in enumerate(arrays) if array is not None and is_differentiable(array.dtype))
    rest = [i for i in range(len(leaves)) if i not in set(varying)]
    unchecked = tuple(f"{named[i][0]}: {_kind(leaves[i], arrays[i])}" for i in rest)
    if not varying:
        hint = " Return floats, 0.0 and not 0, on every branch." if any(isinstance(x, int) for x in leaves) else ""
        raise TypeError(f"{call.title} returned nothing that can be differentiated: {'; '.join(unchecked[:5])}.{hint}")
    names, paths = [named[i][0] for i in varying], tuple(named[i][1] for i in varying)
    values = [array for array in arrays if array is not None and is_differentiable(array.dtype)]
    return Output(structure, varying, paths, unchecked), values, names


def _kind(leaf: Any, array: NDArray[Any] | None) -> str:
    if array is None:
        return f"the {type(leaf).__name__} {leaf!r:.40}, which is no number"
    if isinstance(leaf, int) and not isinstance(leaf, bool):
        return f"the Python int {leaf}, which has no derivative"
    return f"an output of dtype {array.dtype}, which has no derivative"


def _output_array(call: Call, leaf: Any, name: str) -> NDArray[Any] | None:
    if isinstance(leaf, (str, bytes)):
        return None
    try:
        array = _as_array(call.backend, leaf)
    except Exception as error:
        kind = "a ragged list" if isinstance(leaf, list) else f"a {type(leaf).__name__}"
        raise TypeError(
            f"{call.title} returned {kind} as {name}, which is no array of {call.backend.name} ({error}). Return an "
            "array, or a tuple or dict of arrays."
        ) from error
    if array.dtype == object:
        raise TypeError(
            f"{call.title} returned {name} as an array of Python objects (dtype=object); return a numeric array. "
            "Ragged lists and mixed types end up like this."
        )
    return array


def _point(inputs: Space, x: RealArray) -> str:
    parts = []
    for block, array in list(zip(inputs.blocks, inputs.unpack(x), strict=True))[-SHOWN:]:  # a module's inputs come last
        shown = np.array2string(array, precision=6, separator=", ").replace("\n", "") if array.size <= 6 else "..."
        parts.append(f"{block.name} = {shown} (shape {array.shape}, {array.dtype})")
    more = len(inputs.blocks) - len(parts)
    return "; ".join(parts) + (f"; and {more} more" if more else "")
