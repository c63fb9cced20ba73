"""Derivatives that are wrong the way users get them wrong, drawn at random, and how well their cause is named.

Every mistake is a layer with a backward pass as somebody would write it by hand, run as a custom rule in each
framework. None is made by transforming the right derivative as the diagnosis does, so that agreement means something.

Two mistakes may give the very same numbers. Then either name is right, and the mistake says so where it is defined.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from importlib import import_module
from typing import Any

import numpy as np

import xcheck
from xcheck import Report, Verdict
from xcheck.diagnosis import Explanation
from xcheck.namespaces import namespace

Array = np.ndarray[Any, Any]
Forward = Callable[..., Any]
Backward = Callable[..., Any]
BACKENDS = ("numpy", "torch", "jax", "tensorflow")
SINGLE = 0.15
"""The share that is drawn in single precision, of the frameworks that compute in it."""

PLACES = {"one entry", "one input", "one output", "one index", "boundary"}
"""Kinds that only say where: true of anything that is wrong there and nowhere else."""


TYPED = 0.25
"""The share with values as people type them, multiples of a half, whose ratios are simple by chance."""


class Draw:
    """Random shapes and values; what a user happens to have."""

    def __init__(self, seed: int, backend: str) -> None:
        self.rng = np.random.default_rng(seed)
        self.backend = backend
        self.typed = bool(self.rng.random() < TYPED)

    def size(self, low: int = 3, high: int = 6) -> int:
        return int(self.rng.integers(low, high + 1))

    def sizes(self, count: int, low: int = 3, high: int = 6) -> list[int]:
        """Return lengths that all differ, so that no axis can be mistaken for another."""
        return [int(n) for n in self.rng.permutation(np.arange(low, high + 1))[:count]]

    def array(self, *shape: int) -> Array:
        if self.typed:
            return self.rng.integers(1, 7, shape) / 2 * self.rng.choice([-1.0, 1.0], shape)
        return self.rng.normal(size=shape)

    def positive(self, *shape: int) -> Array:
        if self.typed:
            return self.rng.integers(1, 5, shape) / 2
        return self.rng.uniform(0.3, 2.0, shape)

    def signs(self, *shape: int) -> Array:
        """Return numbers away from zero, of which at least two are negative and two positive."""
        values = self.positive(*shape)
        flip = np.arange(values.size) % 2 == 0
        self.rng.shuffle(flip)
        return np.where(flip.reshape(shape), -values, values)

    def index(self, length: int) -> int:
        return int(self.rng.integers(length))

    def scalar(self, low: float = 0.3, high: float = 3.0) -> float:
        found = float(self.rng.uniform(low, high))
        return max(low, round(found, 1)) if self.typed else found

    def choice(self, *options: Any) -> Any:
        return options[int(self.rng.integers(len(options)))]


@dataclass(frozen=True)
class Planted:
    """A layer with a wrong derivative.

    Attributes:
        inputs: by name.
        forward: `forward(xp, *inputs)`.
        backward: `backward(xp, g, *inputs)`, the gradients of all inputs; None if `call` is given.
        words: what the sentence must contain besides, such as the place.
        call: runs the check itself, for mistakes that are no custom rule.
        forward_mode: `jvp(xp, inputs, tangents)` in place of a backward pass.
        constant: names of inputs that do not vary.
        jacobian: a hand-written Jacobian in place of a backward pass, NumPy only.
    """

    inputs: dict[str, Array]
    forward: Forward | None = None
    backward: Backward | None = None
    words: tuple[str, ...] = ()
    call: Callable[[], Report] | None = None
    forward_mode: Callable[..., Any] | None = None
    constant: tuple[str, ...] = ()
    jacobian: Callable[..., Any] | None = None
    diagonal: Callable[..., Any] | None = None


@dataclass(frozen=True)
class Mistake:
    """A way to be wrong.

    Attributes:
        label: what the table calls it.
        kinds: the names that are right for it.
        draw: makes one.
        backends: where it can be made.
    """

    label: str
    kinds: frozenset[str]
    draw: Callable[[Draw], Planted]
    backends: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.draw.__name__


MISTAKES: list[Mistake] = []
UNKNOWN: list[Mistake] = []
"""Errors that no cause explains; nothing may be named but a true place."""

RIGHT: list[Mistake] = []
"""Right derivatives."""


def mistake(label: str, *kinds: str, backends: Sequence[str] = BACKENDS) -> Callable[[Any], Any]:
    """Register a mistake with the kinds of explanation that are right for it."""

    def register(draw: Callable[[Draw], Planted]) -> Callable[[Draw], Planted]:
        MISTAKES.append(Mistake(label, frozenset(kinds), draw, tuple(backends)))
        return draw

    return register


def unknown(draw: Callable[[Draw], Planted]) -> Callable[[Draw], Planted]:
    """Register an error without a cause."""
    UNKNOWN.append(Mistake("no cause", frozenset(), draw, BACKENDS))
    return draw


# Running


@cache
def _xp(backend: str) -> Any:
    return namespace(backend)


def _torch_rule(forward: Forward, backward: Backward) -> Callable[..., Any]:
    torch = import_module("torch")
    xp = _xp("torch")

    class Layer(torch.autograd.Function):  # type: ignore[name-defined,misc]
        @staticmethod
        def forward(ctx: Any, *xs: Any) -> Any:
            ctx.save_for_backward(*xs)
            return forward(xp, *xs)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return backward(xp, g, *ctx.saved_tensors)

    return lambda *xs: Layer.apply(*xs)


def _jax_rule(forward: Forward, backward: Backward) -> Callable[..., Any]:
    jax, xp = import_module("jax"), _xp("jax")
    layer = jax.custom_vjp(partial(forward, xp))
    layer.defvjp(lambda *xs: (forward(xp, *xs), xs), lambda xs, g: tuple(backward(xp, g, *xs)))
    return lambda *xs: layer(*xs)


def _jax_forward_rule(forward: Forward, jvp: Callable[..., Any]) -> Callable[..., Any]:
    jax, xp = import_module("jax"), _xp("jax")
    layer = jax.custom_jvp(partial(forward, xp))
    layer.defjvp(lambda xs, dxs: (forward(xp, *xs), jvp(xp, xs, dxs)))
    return lambda *xs: layer(*xs)


def _tensorflow_rule(forward: Forward, backward: Backward) -> Callable[..., Any]:
    tf, xp = import_module("tensorflow"), _xp("tensorflow")

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def layer(*xs: Any) -> Any:
        return forward(xp, *xs), lambda g: tuple(backward(xp, g, *xs))

    return lambda *xs: layer(*xs)


RULES = {"torch": _torch_rule, "jax": _jax_rule, "tensorflow": _tensorflow_rule}


def run(planted: Planted, backend: str, seed: int = 0, single: bool = False) -> Report:
    """Check what was planted, in single precision if that is asked for and the mistake is a custom rule."""
    if planted.call is not None:
        return planted.call()
    arrays = [np.asarray(a) for a in planted.inputs.values()]
    if single:
        arrays = [a.astype(np.complex64 if a.dtype.kind == "c" else np.float32) for a in arrays]
    forward, backward, jvp = planted.forward, planted.backward, planted.forward_mode
    assert forward is not None
    names = list(planted.inputs)
    varying = [k for k, name in enumerate(names) if name not in planted.constant]
    given: dict[str, Any] = {"raises": False, "seed": seed}
    if planted.constant:
        given["wrt"] = [names[k] for k in varying]
    if backend != "numpy":
        if backend == "jax" and jvp is not None:
            rule = _jax_forward_rule(forward, jvp)
        else:
            assert backward is not None
            rule = RULES[backend](forward, backward)
        return xcheck.check(_named(rule, names), *arrays, backend=backend, **given)
    xp = _xp("numpy")
    if planted.jacobian is not None:
        given["jacobian"] = partial(planted.jacobian, xp)
    elif planted.diagonal is not None:
        given["diagonal"] = partial(planted.diagonal, xp)
    elif jvp is not None:
        given["jvp"] = lambda *a: jvp(xp, a[: len(names)], a[len(names) :])
    elif np.ndim(forward(xp, *arrays)) == 0:
        given["gradient"] = lambda *xs: _only(backward(xp, 1.0, *xs), varying)  # type: ignore[misc]
    else:
        given["vjp"] = lambda *a: _only(backward(xp, a[-1], *a[:-1]), varying)  # type: ignore[misc]
    return xcheck.check(_named(partial(forward, xp), names), *arrays, **given)


def _only(gradients: Sequence[Any], varying: Sequence[int]) -> Any:
    own = [gradients[k] for k in varying]
    return own[0] if len(own) == 1 else tuple(own)


def _named(rule: Callable[..., Any], names: Sequence[str]) -> Callable[..., Any]:
    """Give a function the parameters that the user's has: reports call the inputs by them."""
    own = ", ".join(names)
    space: dict[str, Any] = {"rule": rule}
    exec(f"def layer({own}): return rule({own})", space)
    return space["layer"]  # type: ignore[no-any-return]


# Scoring


@dataclass
class Outcome:
    """One drawn mistake and what was said of it.

    Attributes:
        status: right, silent, place (only where, and that is true), wrong, missed (not even seen) or passed.
    """

    mistake: Mistake
    backend: str
    seed: int
    status: str
    causes: tuple[Explanation, ...] = ()
    report: Report | None = None

    def __str__(self) -> str:
        said = "; ".join(f"[{e.kind}] {e}" for e in self.causes) or "nothing"
        return f"{self.mistake.name} on {self.backend}, seed {self.seed}: {self.status}: {said}"


def examine(kind: Mistake, backend: str, seed: int, single: bool = False) -> Outcome:
    """Draw a mistake, check it and read what was named."""
    planted = kind.draw(Draw(seed, backend))
    report = run(planted, backend, seed, single)
    wrong = [c for c in report.comparisons if c.verdict is Verdict.DISAGREE]
    values = [c for c in wrong if "values" in c.reference.source or "differences" in c.reference.source] or wrong
    causes = tuple(e for c in wrong for e in c.causes)
    outcome = partial(Outcome, kind, f"{backend}{', float32' if single else ''}", seed, causes=causes, report=report)
    if not wrong:
        return outcome("missed" if kind.kinds else "passed")
    if not kind.kinds:
        return outcome("silent" if not causes else "place" if _only_places(causes) else "wrong")
    named = {e.kind for e in causes}
    text = " ".join(map(str, causes))
    if not named:
        return outcome("silent")
    if not named <= kind.kinds:
        return outcome("place" if _only_places(causes) else "wrong")
    full = not any(c.unexplained for c in values)
    return outcome("right" if full and all(word in text for word in planted.words) else "wrong")


def _only_places(causes: Sequence[Explanation]) -> bool:
    return all(e.kind in PLACES or e.kind.startswith("wrong where") for e in causes)


def drawn(kinds: Sequence[Mistake], seed: int, count: int, backends: Sequence[str] = BACKENDS) -> Iterator[Outcome]:
    """Draw `count` mistakes, every kind in turn, on a backend by chance."""
    rng = np.random.default_rng(seed)
    able = [kind for kind in kinds if set(kind.backends) & set(backends)]
    order: list[Mistake] = []
    while len(order) < count:
        order += [able[k] for k in rng.permutation(len(able))]
    for kind in order[:count]:
        own = [b for b in backends if b in kind.backends]
        chosen, single = own[int(rng.integers(len(own)))], bool(rng.random() < SINGLE)
        yield examine(kind, chosen, int(rng.integers(2**31)), single and chosen != "numpy")


@dataclass
class Tally:
    """Counts of outcomes by label of the mistake."""

    counts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def add(self, outcome: Outcome) -> None:
        self.counts[outcome.mistake.label][outcome.status] += 1

    @property
    def total(self) -> Counter[str]:
        return sum(self.counts.values(), Counter())

    def rate(self, label: str | None = None) -> float:
        own = self.total if label is None else self.counts[label]
        return own["right"] / max(1, own.total())
