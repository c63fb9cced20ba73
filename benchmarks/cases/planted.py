"""Planted errors: the frameworks' own operators with a derivative that is off by a known amount in a known place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np

from cases.case import Case, Truth

SIZES = tuple(10.0**-k for k in range(9))
"""Relative sizes of the errors: 1, 0.1, ..., 1e-8."""

KINDS = ("entry", "column", "row", "input")
"""One entry of the Jacobian; all that belongs to one number of the input, or of the output; one input's gradient."""

EACH = 3 * len(SIZES) * len(KINDS)
"""Cases of each framework: every size and kind three times."""

NEGLIGIBLE = 1e-3
"""An entry is chosen only if, times its input, it is at least this part of the largest of its row."""

TRIES = 20
"""Rows that are looked at before an operator is given up: its derivative may be zero nearly everywhere."""

FRAMEWORKS = ("torch", "jax", "tensorflow")

Function = Callable[..., Any]
Pull = Callable[[Any], Sequence[Any]]
Push = Callable[[Sequence[Any]], Any]


@dataclass(frozen=True)
class Flaw:
    """Where a derivative is wrong, and by how much.

    Attributes:
        kind: one of `KINDS`.
        mode: "vjp" if the framework's reverse mode is given the wrong rule, "jvp" if its forward mode is.
        size: the relative size of the error: every entry concerned is off by this part of itself.
        source, at: which input, and which of its numbers, flat.
        out: which number of the output, flat.
        value: the true derivative of that number of the output by that number of the input.
        largest: the largest magnitude in that row of the Jacobian.
    """

    kind: str
    mode: str
    size: float
    source: int
    at: int
    out: int
    value: float
    largest: float

    @property
    def error(self) -> float:
        """How far the chosen entry is off; others of the same column, row or input are off by the same part of them."""
        return self.size * abs(self.value)

    def pulled(self, pull: Pull, cotangent: Any, tools: Framework) -> list[Any]:
        """Return the wrong vjp out of the right one."""
        if self.kind == "row":
            cotangent = cotangent * tools.constant(1 + self.size * one_hot(cotangent, self.out), cotangent)
        gradients = list(pull(cotangent))
        right = gradients[self.source]
        if self.kind == "entry":
            chosen = tools.total(cotangent * tools.constant(one_hot(cotangent, self.out), cotangent))
            wrong = right + chosen * tools.constant(self.size * self.value * one_hot(right, self.at), right)
        elif self.kind == "column":
            wrong = right * tools.constant(1 + self.size * one_hot(right, self.at), right)
        else:
            wrong = right * (1 + self.size) if self.kind == "input" else right
        gradients[self.source] = wrong
        return gradients

    def pushed(self, push: Push, tangents: Sequence[Any], tools: Framework) -> Any:
        """Return the wrong jvp out of the right one."""
        given = tangents[self.source]
        changed = list(tangents)
        if self.kind == "column":
            changed[self.source] = given * tools.constant(1 + self.size * one_hot(given, self.at), given)
        elif self.kind == "input":
            changed[self.source] = given * (1 + self.size)
        right = push(changed)
        if self.kind == "row":
            return right * tools.constant(1 + self.size * one_hot(right, self.out), right)
        if self.kind == "entry":
            chosen = tools.total(given * tools.constant(one_hot(given, self.at), given))
            return right + chosen * tools.constant(self.size * self.value * one_hot(right, self.out), right)
        return right


class Framework(Protocol):
    """What planting asks of a framework."""

    modes: tuple[str, ...]

    def constant(self, array: np.ndarray, like: Any) -> Any:
        """Return `array` as a constant of the framework, in the dtype of `like`."""

    def total(self, array: Any) -> Any:
        """Add up all numbers of an array."""

    def pull(self, f: Function, inputs: tuple[Any, ...], cotangent: Callable[[Any], np.ndarray]) -> list[Any]:
        """Evaluate `f`, and return the vjp with a cotangent made of the output; None for what has no gradient."""

    def flawed(self, f: Function, flaw: Flaw, inputs: tuple[Any, ...]) -> Function | None:
        """Return `f` with the wrong rule and the same values; None if the right rule itself is missing."""


def planted(seed: int, each: int = EACH, frameworks: Sequence[str] = FRAMEWORKS) -> Iterator[Case]:
    """Yield `each` wrong derivatives for each of the `frameworks` that is installed, the same for the same seed.

    The error is relative to the entries that it changes. `case.f.flaw` tells where it sits and how large it is.
    """
    for framework in frameworks:
        spec = f"cases.{framework}_operators"
        if find_spec(framework) is not None and find_spec(spec) is not None:
            tools: Framework = import_module(f"cases.planted_{framework}").Tools()
            right = list(import_module(spec).operators(seed, 1))
            yield from plant(right, tools, np.random.default_rng([seed, FRAMEWORKS.index(framework)]), each)


def plant(right: Sequence[Case], tools: Framework, rng: np.random.Generator, each: int) -> Iterator[Case]:
    """Plant errors of all sizes and kinds in right cases of one framework, drawn without repetition where they last."""
    order: list[int] = []
    number = unfit = 0
    while number < each and unfit < 2 * len(right):
        order = order or [int(k) for k in rng.permutation(len(right))]
        case = right[order.pop()]
        size, kind = SIZES[number % len(SIZES)], KINDS[number // len(SIZES) % len(KINDS)]
        mode = tools.modes[number // (len(SIZES) * len(KINDS)) % len(tools.modes)]
        flaw = _choose(case, tools, rng, kind, mode, size)
        f = flaw and tools.flawed(case.f, flaw, case.inputs)
        if flaw is None or f is None:
            unfit += 1
            continue
        f.flaw = flaw
        about = f"{kind} of the {mode} off by {size:g} of itself, at input {flaw.source}[{flaw.at}], out[{flaw.out}]"
        name = f"planted:{number}:{case.name}"
        yield replace(case, name=name, f=f, truth=Truth.WRONG, planted=size, about=about)
        number, unfit = number + 1, 0


def one_hot(like: Any, place: int) -> np.ndarray:
    """Return zeros in the shape of `like` with a one at the flat index `place`."""
    shape = tuple(int(n) for n in like.shape)
    array = np.zeros(int(np.prod(shape)))
    array[place] = 1.0
    return array.reshape(shape)


def _choose(case: Case, tools: Framework, rng: np.random.Generator, kind: str, mode: str, size: float) -> Flaw | None:
    """Choose an entry of the Jacobian that is not negligible; None if the operator has none that will do."""
    if set(case.options) - {"backend"} or case.truth is not Truth.RIGHT:
        return None
    for _ in range(TRIES):
        out, compound = -1, False

        def unit(y: Any) -> np.ndarray:
            nonlocal out, compound
            compound = "complex" in str(y.dtype)
            out = int(rng.integers(int(np.prod(y.shape))))
            return one_hot(y, out)

        try:
            row = tools.pull(case.f, case.inputs, unit)
        except (NotImplementedError, LookupError):  # no rule, as JAX and TensorFlow say it
            return None
        if not row or (kind == "entry" and (compound or any(np.iscomplexobj(g) for g in row))):
            return None
        chosen = _entry(row, case.inputs, rng)
        if chosen is not None:
            largest = max(float(np.max(np.abs(g), initial=0.0)) for g in row if g is not None)
            source, at = chosen
            value = row[source].flat[at]
            part = value.imag if abs(value.imag) > abs(value.real) else value.real
            return Flaw(kind, mode, size, source, at, out, float(part), largest)
    return None


def _entry(row: list[Any], inputs: tuple[Any, ...], rng: np.random.Generator) -> tuple[int, int] | None:
    weights = [
        np.zeros(0) if g is None else np.abs(g).ravel() * _scale(np.asarray(x)).ravel()
        for g, x in zip(row, inputs, strict=True)
    ]
    largest = max((float(np.max(w, initial=0.0)) for w in weights), default=0.0)
    if not largest > 0 or not np.isfinite(largest):
        return None
    places = [(k, int(j)) for k, w in enumerate(weights) for j in np.flatnonzero(w >= NEGLIGIBLE * largest)]
    return places[int(rng.integers(len(places)))]


def _scale(x: np.ndarray) -> np.ndarray:
    size = np.abs(x)
    typical = np.median(size[size > 0]) if np.any(size > 0) else 1.0
    return np.asarray(np.where(size > 0, size, typical))
