"""What xcheck asks of a framework.

A backend is any object with the attributes of `Backend`. There is no base class and nothing to register with:
an adapter need not import xcheck. Every further capability is the presence of a method, one `Supports*` protocol
each. Arrays are the framework's own ("native"); NumPy arrays appear only where the signatures say so. Functions
take and return flat sequences of native arrays: pytrees are flattened before they get here.

Complex arrays are vectors over the reals. A cotangent `g` of a complex output pairs with a tangent `t` through the
real inner product `Re(conj(g) * t)`, on both sides of `vjp`: for a real loss the gradient is
`dL/dRe(x) + 1j * dL/dIm(x)`. Adapters translate their framework's own convention to this one. An adapter may have an
attribute `complex_convention`, half a sentence for reports on what the framework's users get for such a loss, such as
"torch's gradient is dL/dRe + i dL/dIm".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeAlias, TypeGuard, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Native: TypeAlias = Any
"""An array of the backend's framework."""

Function: TypeAlias = Callable[[Sequence[Native]], Sequence[Native]]
"""A function from a flat sequence of native arrays to a flat sequence of native arrays."""

Pullback: TypeAlias = Callable[[Sequence[Native]], Sequence[Native | None]]
"""A linear map from output cotangents to input cotangents; None marks an input the framework calls unconnected."""

RealArray: TypeAlias = NDArray[np.float64]

FlatMap: TypeAlias = Callable[[Sequence[Native], Sequence[Native]], Sequence[Native]]
"""A function of flat native arrays that vary, and of others that are held constant."""

Finish: TypeAlias = Callable[[Sequence[Native], Sequence[Native]], Sequence[Native]]
"""What is made of products and of the seeds that they were taken with, in operations of the backend's namespace."""


@runtime_checkable
class Backend(Protocol):
    """The four things that every backend can do."""

    @property
    def name(self) -> str:
        """The name that users write, such as "torch"."""

    def owns(self, leaf: object, /) -> bool:
        """Tell whether `leaf` is an array of this framework, without importing anything.

        A framework that is not in `sys.modules` owns nothing.
        """

    def from_numpy(self, array: NDArray[Any], /, like: Native | None = None) -> Native:
        """Copy `array` into a native array of the same dtype, on the device of `like` if it is given."""

    def to_numpy(self, array: Native, /) -> NDArray[Any]:
        """Copy a native array (or tracer-free scalar) into NumPy memory, same dtype; wait for the device."""

    def value(self, f: Function, xs: Sequence[Native], /) -> Sequence[Native]:
        """Evaluate `f(xs)` under the settings that the framework needs, recording no derivatives."""


@runtime_checkable
class SupportsVJP(Protocol):
    """Reverse mode."""

    def vjp(self, f: Function, xs: Sequence[Native], /) -> tuple[Sequence[Native], Pullback]:
        """Evaluate `f(xs)` and return it with its pullback, which may be called many times.

        Raises:
            NotImplementedError: the framework has no reverse rule for something in `f`.
        """


@runtime_checkable
class SupportsJVP(Protocol):
    """Forward mode."""

    def jvp(
        self, f: Function, xs: Sequence[Native], tangents: Sequence[Native], /
    ) -> tuple[Sequence[Native], Sequence[Native | None]]:
        """Evaluate `f(xs)` and push `tangents` forward; None marks an output the framework calls unconnected.

        Raises:
            NotImplementedError: the framework has no forward rule for something in `f`.
        """


@runtime_checkable
class SupportsSecondOrder(Protocol):
    """Reverse mode that can be differentiated once more."""

    def pull(self, f: Function, xs: Sequence[Native], cotangents: Sequence[Native], /) -> Sequence[Native | None]:
        """Pull `cotangents` back through `f` at `xs`, in operations that `vjp`, `jvp` and `batch` can see through.

        As a function of `xs` and `cotangents` together, the result is what second derivatives are taken of. None marks
        an input that the framework calls unconnected.

        Raises:
            NotImplementedError: the framework has no reverse rule for something in `f`.
        """


@runtime_checkable
class SupportsPush(Protocol):
    """Forward mode that can be differentiated once more."""

    def push(self, f: Function, xs: Sequence[Native], tangents: Sequence[Native], /) -> Sequence[Native | None]:
        """Push `tangents` forward through `f` at `xs`, in operations that `vjp`, `jvp` and `batch` can see through.

        As a function of `xs` and `tangents` together, the result is what second derivatives are taken of. None marks
        an output that the framework calls unconnected.

        Raises:
            NotImplementedError: the framework has no forward rule for something in `f`.
        """


@runtime_checkable
class SupportsBatch(Protocol):
    """Many points in one call.

    A backend may have an attribute `batch_from`, the number of points from which a batched call is the faster one.
    """

    def batch(self, f: Function, /) -> Function:
        """Return `f` mapped over a new leading axis of every input and output.

        The result may raise for functions that the framework cannot map; callers then evaluate point by point.
        """


@runtime_checkable
class SupportsRandomState(Protocol):
    """Random functions made repeatable."""

    def random_state(self, seed: int, /) -> AbstractContextManager[Callable[[], bool]]:
        """Pin the framework's global generators inside the context and restore them on leaving it.

        The context yields `rewind()`, which puts the generators back to the pinned state and tells whether
        anything had drawn from them since the last call. A framework that is not imported is left alone.
        """


@runtime_checkable
class SupportsModules(Protocol):
    """Callables that carry parameters, such as `torch.nn.Module`."""

    def bind(self, f: object, /) -> tuple[Callable[..., Any], dict[str, Native]] | None:
        """Split a module into `function(parameters, *args, **kwargs)` and its named trainable parameters.

        Calling the function must leave the module as it was. Returns None if `f` is no module of this framework.
        """


@runtime_checkable
class SupportsTranspose(Protocol):
    """Axes in another order."""

    def transpose(self, array: Native, axes: Sequence[int], /) -> Native:
        """Transpose an array, in operations that every other method can see through; `axes` as NumPy takes them."""


@runtime_checkable
class SupportsView(Protocol):
    """Arrays whose memory NumPy can read."""

    def view(self, array: Native, /) -> NDArray[Any]:
        """Return the memory of a native array as a NumPy array, without a copy.

        Raises:
            BufferError: NumPy cannot read it where it is, or has no such dtype.
        """


@runtime_checkable
class SupportsNamespace(Protocol):
    """Functions under the names of the array-API standard."""

    def namespace(self) -> Any:
        """Return the module, or an object like one, that has them; those that the framework lacks may be missing."""


@runtime_checkable
class SupportsConjugate(Protocol):
    """Complex conjugates, and real numbers among complex ones."""

    def conjugate(self, array: Native, /) -> Native:
        """Conjugate an array, in operations that every other method can see through; a real one stays as it is."""

    def cast(self, array: Native, like: Native, /) -> Native:
        """Convert an array to the dtype of another, in operations that every other method can see through."""


@runtime_checkable
class SupportsCustomRules(Protocol):
    """Derivative rules that users wrote, told from the framework's own."""

    def custom_rules(self, f: Function, xs: Sequence[Native], /) -> Sequence[str]:
        """Name the rules that `f` uses at `xs` and that are no part of the framework, each once; () if there are none.

        It costs one evaluation or one trace. What cannot be told, such as a rule behind a call into NumPy, is left out.
        """


@runtime_checkable
class SupportsLayouts(Protocol):
    """Arrays whose memory a rule can see."""

    def layouts(self, array: NDArray[Any], /, like: Native | None = None) -> Mapping[str, Native]:
        """Copy `array` into native arrays that lie differently in memory, by what the layouts are called.

        All have the same values. "expanded", of stride 0, is there only if all entries of `array` are equal.
        """


@runtime_checkable
class SupportsReturned(Protocol):
    """Gradients as a user's rule returns them, where the framework converts them afterwards."""

    def returned(
        self, f: Function, xs: Sequence[Native], cotangents: Sequence[Native], /
    ) -> Sequence[tuple[str, int, str, str, str]]:
        """Pull `cotangents` back and tell which gradients were returned as something else than they have to be.

        Each is told as (rule, position of the input, "dtype" or "shape" or "device", what was returned, what it has to
        be).
        """


@runtime_checkable
class SupportsCompiled(Protocol):
    """Functions and their pullbacks, compiled.

    A backend may have an attribute `compile_seconds`, what compiling takes at least, if that is longer than a check of
    a small function.
    """

    def compiled(self, f: Function, /) -> Callable[[Sequence[Native], Sequence[Native]], tuple[Any, Any]]:
        """Return `run(xs, cotangents) -> ys, gradients`, compiled as users compile; None marks what is unconnected."""


@runtime_checkable
class SupportsMapped(Protocol):
    """Many points in one call, without compiling what `batch` compiles."""

    def mapped(self, f: Function, /) -> Function:
        """Return `f` mapped over a new leading axis of every input and output."""


class Engine(Protocol):
    """A way to make many products at once: pullbacks of many cotangents, or pushforwards of many tangents.

    `seeds` has one array for every output (vjp) or every input (jvp), each with a new leading axis of k seeds. The
    products are one array for every input (vjp) or every output (jvp), with the same leading axis; zeros stand for what
    is unconnected. `finish` makes the result of products and seeds, inside of what is compiled.
    """

    @property
    def name(self) -> str:
        """What tables call it, such as "vmapped vjp"."""

    @property
    def mode(self) -> str:
        """Either "vjp" or "jvp"."""

    @property
    def compiles(self) -> bool:
        """Whether preparing it, or its first run, takes a compiler."""

    @property
    def slow_to_compile(self) -> bool:
        """Whether that compiler takes many seconds for a small function."""

    @property
    def loops(self) -> bool:
        """Whether products are made one by one, each as the framework makes any other."""

    @property
    def pays_from(self) -> int:
        """The number of products from which it is the fastest of those that do not compile."""

    def prepare(
        self, f: FlatMap, xs: Sequence[Native], held: Sequence[Native], seeds: Sequence[Native], finish: Finish, /
    ) -> Callable[[Sequence[Native], Sequence[Native]], Sequence[Native]]:
        """Return `run(xs, held)`; what takes long is done at its first call at the latest."""


class OwnCall(Protocol):
    """A framework's own call for a whole derivative, such as `torch.func.jacrev`.

    Its result is flat: blocks of shape `out.shape + in.shape`, those of the first output first ("jacobian", "hessian");
    `(B, *out.shape[1:], *in.shape[1:])` ("batch"); one array like every input ("diagonal").
    """

    @property
    def name(self) -> str:
        """What users write, such as "torch.func.jacrev"."""

    @property
    def mode(self) -> str:
        """Which products it takes: "vjp" or "jvp"."""

    @property
    def compiles(self) -> bool:
        """Whether preparing it, or its first run, takes a compiler."""

    @property
    def slow_to_compile(self) -> bool:
        """Whether that compiler takes many seconds for a small function."""

    @property
    def default(self) -> bool:
        """Whether it is what the framework's users call, given no advice."""

    @property
    def samples_alone(self) -> bool:
        """Whether it evaluates every sample of a batch by itself, or else relies on samples that do not mix."""

    def prepare(
        self, f: FlatMap, xs: Sequence[Native], held: Sequence[Native], /
    ) -> Callable[[Sequence[Native], Sequence[Native]], Sequence[Native]]:
        """Return `run(xs, held)`; what takes long is done at its first call at the latest."""


@runtime_checkable
class SupportsEngines(Protocol):
    """Ways of its own to make many products."""

    def engines(self) -> Sequence[Engine]:
        """Return them; imports nothing."""


@runtime_checkable
class SupportsOwnCalls(Protocol):
    """Calls of its own for whole derivatives."""

    def own_calls(self, quantity: str, /) -> Sequence[OwnCall]:
        """Return those for "jacobian", "diagonal", "batch" or "hessian"; imports nothing."""


@runtime_checkable
class SupportsWaiting(Protocol):
    """Arrays that may be computed later."""

    def wait(self, arrays: Sequence[Native], /) -> None:
        """Return when all of them have been computed."""


@runtime_checkable
class SupportsStructure(Protocol):
    """Programs whose sparsity can be read off."""

    def structure(self, f: Function, xs: Sequence[Native], /) -> tuple[NDArray[Any], NDArray[Any]] | None:
        """Return the rows and columns of all entries of the Jacobian that are not zero at every point.

        Outputs and inputs are laid end to end. None if it cannot be read off, or what reads it is not installed.
        """


@runtime_checkable
class SupportsSparse(Protocol):
    """Sparse matrices of its own."""

    def sparse(
        self, rows: NDArray[Any], columns: NDArray[Any], shape: tuple[int, int], like: Native, /
    ) -> Callable[[Native], Native]:
        """Return what makes a sparse matrix of the framework from values, whose places are in the order of the rows.

        The places are converted once, to the device of `like`.
        """


@runtime_checkable
class SupportsChoices(Protocol):
    """Programs that can be looked through for what chooses by values."""

    def choices(self, f: Function, xs: Sequence[Native], /) -> Sequence[str]:
        """Name what in `f` lets values decide which inputs an output depends on, each once.

        Such are a Python branch on a value, `where`, sorting, and indices that are computed; also "opaque" for what
        cannot be looked through. An empty answer means that where a derivative is zero at random points it is zero
        everywhere. It costs one evaluation or one trace.
        """


# `isinstance` says the same, but takes fifty microseconds in Python 3.11, and a check asks a dozen times.


def supports_vjp(backend: object) -> TypeGuard[SupportsVJP]:
    """Tell whether a backend has reverse mode."""
    return callable(getattr(backend, "vjp", None))


def supports_jvp(backend: object) -> TypeGuard[SupportsJVP]:
    """Tell whether a backend has forward mode."""
    return callable(getattr(backend, "jvp", None))


def supports_batch(backend: object) -> TypeGuard[SupportsBatch]:
    """Tell whether a backend evaluates many points in one call."""
    return callable(getattr(backend, "batch", None))


def supports_random_state(backend: object) -> TypeGuard[SupportsRandomState]:
    """Tell whether a backend has random generators to pin."""
    return callable(getattr(backend, "random_state", None))


def supports_modules(backend: object) -> TypeGuard[SupportsModules]:
    """Tell whether a backend has callables that carry parameters."""
    return callable(getattr(backend, "bind", None))


def supports_transpose(backend: object) -> TypeGuard[SupportsTranspose]:
    """Tell whether a backend transposes arrays."""
    return callable(getattr(backend, "transpose", None))


def supports_view(backend: object) -> TypeGuard[SupportsView]:
    """Tell whether a backend's arrays can be read in place."""
    return callable(getattr(backend, "view", None))


def supports_namespace(backend: object) -> TypeGuard[SupportsNamespace]:
    """Tell whether a backend has functions under the names of the array-API standard."""
    return callable(getattr(backend, "namespace", None))


def supports_conjugate(backend: object) -> TypeGuard[SupportsConjugate]:
    """Tell whether a backend conjugates arrays, and converts them to the dtype of others."""
    return callable(getattr(backend, "conjugate", None)) and callable(getattr(backend, "cast", None))


def supports_custom_rules(backend: object) -> TypeGuard[SupportsCustomRules]:
    """Tell whether a backend tells users' rules from its own."""
    return callable(getattr(backend, "custom_rules", None))


def supports_layouts(backend: object) -> TypeGuard[SupportsLayouts]:
    """Tell whether a backend's arrays can lie differently in memory."""
    return callable(getattr(backend, "layouts", None))


def supports_returned(backend: object) -> TypeGuard[SupportsReturned]:
    """Tell whether a backend tells what users' rules return."""
    return callable(getattr(backend, "returned", None))


def supports_compiled(backend: object) -> TypeGuard[SupportsCompiled]:
    """Tell whether a backend compiles functions and their pullbacks."""
    return callable(getattr(backend, "compiled", None))


def supports_mapped(backend: object) -> TypeGuard[SupportsMapped]:
    """Tell whether a backend maps functions without compiling them."""
    return callable(getattr(backend, "mapped", None))


def supports_engines(backend: object) -> TypeGuard[SupportsEngines]:
    """Tell whether a backend has ways of its own to make many products."""
    return callable(getattr(backend, "engines", None))


def supports_own_calls(backend: object) -> TypeGuard[SupportsOwnCalls]:
    """Tell whether a backend has calls of its own for whole derivatives."""
    return callable(getattr(backend, "own_calls", None))


def supports_waiting(backend: object) -> TypeGuard[SupportsWaiting]:
    """Tell whether a backend's arrays may be computed later."""
    return callable(getattr(backend, "wait", None))


def supports_choices(backend: object) -> TypeGuard[SupportsChoices]:
    """Tell whether a backend finds what in a program chooses by values."""
    return callable(getattr(backend, "choices", None))


def supports_structure(backend: object) -> TypeGuard[SupportsStructure]:
    """Tell whether a backend reads sparsity off programs."""
    return callable(getattr(backend, "structure", None))


def supports_sparse(backend: object) -> TypeGuard[SupportsSparse]:
    """Tell whether a backend has sparse matrices of its own."""
    return callable(getattr(backend, "sparse", None))
