"""Every backend against every scenario, and the suite itself against backends that were spoiled on purpose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from xcheck.conformance import SCENARIOS, Scenario, verify

MODES = {
    "numpy": {"value", "namespace"},
    "torch": {"value", "vjp", "jvp", "pull", "push", "batch", "random_state", "namespace"},
    "jax": {"value", "vjp", "jvp", "pull", "push", "batch", "namespace"},
    "tensorflow": {"value", "vjp", "jvp", "pull", "push", "batch", "random_state", "namespace"},
}
ASYMMETRIC = next(s for s in SCENARIOS if s.name == "a Jacobian that is not symmetric")
TWO_INPUTS = next(s for s in SCENARIOS if s.name == "two inputs and two outputs")


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_backend_conforms(backend: Any, scenario: Scenario) -> None:
    verified = verify(backend, scenario)

    assert set(verified) >= MODES.get(backend.name, {"value"})


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_hand_worked_jacobian_is_the_limit_of_difference_quotients(scenario: Scenario) -> None:
    wide = {"float16": np.float64, "float32": np.float64, "complex64": np.complex128}
    xs = [x.astype(wide.get(x.dtype.name, x.dtype)) for x in scenario.inputs]
    columns = []
    for i, x in enumerate(xs):
        steps = [(1e-6,), (1e-6, 1e-6j)][x.dtype.kind == "c"]
        for place in np.ndindex(x.shape):
            for step in steps:
                ends = []
                for sign in (1, -1):
                    moved = [a.copy() for a in xs]
                    moved[i][place] += sign * step
                    ends.append(_real(scenario.function(moved)))
                columns.append((ends[0] - ends[1]) / 2e-6)

    np.testing.assert_allclose(np.array(columns).T.reshape(scenario.jacobian.shape), scenario.jacobian, atol=1e-8)


def _real(ys: Sequence[Any]) -> np.ndarray:
    parts = [np.ravel(y) for y in ys]
    return np.concatenate([np.stack([p.real, p.imag], -1).ravel() if p.dtype.kind == "c" else p for p in parts])


class Spoiled:
    """Any backend, with one thing about it changed."""

    def __init__(self, backend: Any) -> None:
        self.inner = backend
        self.name = f"spoiled {backend.name}"

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def through_numpy(self, native: Any, change: Callable[[np.ndarray], np.ndarray]) -> Any:
        """Change a native array as a NumPy array."""
        return self.inner.from_numpy(np.asarray(change(self.inner.to_numpy(native))))


class Gradients(Spoiled):
    """Changes what pullbacks and pushforwards return."""

    def __init__(self, backend: Any, change: Callable[[Spoiled, list[Any]], list[Any]]) -> None:
        super().__init__(backend)
        self.change = change

    def vjp(self, f: Any, xs: Any) -> Any:
        ys, pullback = self.inner.vjp(f, xs)
        return ys, lambda cotangents: self.change(self, list(pullback(cotangents)))

    def jvp(self, f: Any, xs: Any, tangents: Any) -> Any:
        ys, dys = self.inner.jvp(f, xs, tangents)
        return ys, self.change(self, list(dys))


class Pushes(Spoiled):
    """Changes what `push` returns."""

    def __init__(self, backend: Any, change: Callable[[Any], Any]) -> None:
        super().__init__(backend)
        self.change = change

    def push(self, f: Any, xs: Any, tangents: Any) -> Any:
        return [self.change(dy) for dy in self.inner.push(f, xs, tangents)]


class MutatesInput(Spoiled):
    """Overwrites its input after the fact."""

    def __init__(self, backend: Any) -> None:
        super().__init__(backend)
        self.scribbled: set[int] = set()

    def vjp(self, f: Any, xs: Any) -> Any:
        self.scribbled |= {id(x) for x in xs}
        return self.inner.vjp(f, xs)

    def to_numpy(self, native: Any) -> Any:  # immutable arrays cannot be overwritten: say that they were
        array = self.inner.to_numpy(native)
        return array * 0 - 1 if id(native) in self.scribbled else array


class PullsBackOnce(Spoiled):
    """Frees its tape after one pullback."""

    def vjp(self, f: Any, xs: Any) -> Any:
        ys, pullback = self.inner.vjp(f, xs)
        calls = iter([pullback])
        return ys, lambda cotangents: next(calls, lambda _: [None] * len(xs))(cotangents)


class WrongValue(Spoiled):
    """Evaluates something else."""

    def value(self, f: Any, xs: Any) -> Any:
        return [self.through_numpy(y, lambda a: a + a) for y in self.inner.value(f, xs)]


class WrongBatch(Spoiled):
    """Gives every point the answer of the first."""

    def batch(self, f: Any) -> Any:
        return lambda xs: [self.through_numpy(y, lambda a: a * 0 + a[:1]) for y in self.inner.batch(f)(xs)]


class Narrows(Spoiled):
    """Converts everything to float32, as JAX does by default."""

    def from_numpy(self, array: Any, like: Any = None) -> Any:
        return self.inner.from_numpy(array.astype(np.float32), like=like)


class Aliases(Spoiled):
    """Hands out the array that it was given."""

    def from_numpy(self, array: Any, like: Any = None) -> Any:
        return array

    def owns(self, leaf: Any) -> bool:
        return True

    def to_numpy(self, array: Any) -> Any:
        return np.array(array)


def each(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Spoiled, list[Any]], list[Any]]:
    return lambda spoiled, natives: [None if g is None else spoiled.through_numpy(g, change) for g in natives]


SPOILS: dict[str, Callable[[Any], Spoiled]] = {
    "zero": lambda b: Gradients(b, each(lambda g: g * 0)),
    "None": lambda b: Gradients(b, lambda _, gs: [None] * len(gs)),
    "0.1 % too large": lambda b: Gradients(b, each(lambda g: g * 1.001)),
    "sign": lambda b: Gradients(b, each(lambda g: -g)),
    "order": lambda b: Gradients(b, lambda _, gs: gs[::-1]),
    "one too many": lambda b: Gradients(b, lambda _, gs: [*gs, gs[0]]),
    "shape": lambda b: Gradients(b, each(lambda g: g[None])),
    "dtype": lambda b: Gradients(b, each(lambda g: g.astype(np.float32))),
    "mutated input": MutatesInput,
    "one pullback only": PullsBackOnce,
}
PLAIN_SPOILS: dict[str, Callable[[Any], Spoiled]] = {"value": WrongValue, "narrowed": Narrows, "aliased": Aliases}


@pytest.mark.parametrize("spoil", SPOILS)
def test_spoiled_derivatives_are_caught(backend: Any, spoil: str) -> None:
    if not hasattr(backend, "vjp"):
        pytest.skip("no derivatives to spoil")

    with pytest.raises(AssertionError, match=f"spoiled {backend.name}, two inputs"):
        verify(SPOILS[spoil](backend), TWO_INPUTS)


def test_spoiled_pushes_are_caught(backend: Any) -> None:
    if not hasattr(backend, "push"):
        pytest.skip("no push to spoil")

    def still(dy: Any) -> Any:
        if backend.name == "torch":
            return dy.detach()
        module = pytest.importorskip({"jax": "jax.lax", "tensorflow": "tensorflow"}[backend.name])
        return module.stop_gradient(dy)

    verify(Pushes(backend, lambda dy: dy), TWO_INPUTS)
    with pytest.raises(AssertionError, match="two outputs: push, column 0"):
        verify(Pushes(backend, lambda dy: dy + dy), TWO_INPUTS)
    with pytest.raises(AssertionError, match="two outputs: vjp of push"):
        verify(Pushes(backend, still), TWO_INPUTS)


@pytest.mark.parametrize("spoil", PLAIN_SPOILS)
def test_spoiled_values_are_caught(backend: Any, spoil: str) -> None:
    with pytest.raises(AssertionError, match="spoiled"):
        verify(PLAIN_SPOILS[spoil](backend), ASYMMETRIC)


def test_spoiled_batch_is_caught(backend: Any) -> None:
    if not hasattr(backend, "batch"):
        pytest.skip("no batch to spoil")

    with pytest.raises(AssertionError, match="batched function"):
        verify(WrongBatch(backend), ASYMMETRIC)


def test_transposed_jacobian_is_caught(backend: Any) -> None:
    if not hasattr(backend, "vjp"):
        pytest.skip("no derivatives to spoil")

    class Transposed(Spoiled):
        def vjp(self, f: Any, xs: Any) -> Any:
            return self.inner.vjp(f, xs)[0], lambda cotangents: self.inner.jvp(f, xs, cotangents)[1]

    two_to_two = Scenario(
        "(x y, x - 2 y)",
        lambda xs: [xs[0] * xs[1], xs[0] - 2 * xs[1]],
        (np.array(3.0), np.array(5.0)),
        (np.array(15.0), np.array(-7.0)),
        np.array([[5.0, 3.0], [1.0, -2.0]]),
    )

    verify(backend, two_to_two)
    with pytest.raises(AssertionError, match="vjp, row 0"):
        verify(Transposed(backend), two_to_two)


def test_a_wrong_conjugate_is_caught(backend: Any) -> None:
    class Twice(Spoiled):
        def conjugate(self, array: Any) -> Any:
            return self.inner.conjugate(self.inner.conjugate(array))

    class Uncast(Spoiled):
        def cast(self, array: Any, like: Any) -> Any:
            return array

    factor = next(s for s in SCENARIOS if s.name == "a complex factor")
    with pytest.raises(AssertionError, match="conjugate of input 0"):
        verify(Twice(backend), factor)
    with pytest.raises(AssertionError, match="input 0 cast to complex numbers"):
        verify(Uncast(backend), ASYMMETRIC)


@pytest.mark.parametrize("name", ["multiply", "permute_dims", "reshape", "stack", "sum"])
def test_a_wrong_namespace_is_caught(backend: Any, name: str) -> None:
    class Other(Spoiled):
        def namespace(self) -> Any:
            inner = self.inner.namespace()
            return SimpleNamespace(**{name: lambda *args, **kwargs: getattr(inner, name)(*args, **kwargs) + 1})

    with pytest.raises(AssertionError, match=f"namespace\\(\\).{name} of input 0"):
        verify(Other(backend), ASYMMETRIC)


def test_an_empty_namespace_is_caught(backend: Any) -> None:
    class Empty(Spoiled):
        def namespace(self) -> Any:
            return SimpleNamespace()

    with pytest.raises(AssertionError, match="the namespace has none of"):
        verify(Empty(backend), ASYMMETRIC)


def test_suite_that_compares_nothing_does_not_pass(backend: Any) -> None:
    empty = Scenario("nothing", lambda xs: list(xs), (np.zeros((0,)),), (np.zeros((0,)),), np.zeros((0, 0)))

    with pytest.raises(AssertionError, match="nothing was compared"):
        verify(backend, empty)
