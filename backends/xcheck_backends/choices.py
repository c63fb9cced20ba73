"""Programs of a framework, looked through for what lets values decide which inputs an output depends on.

An adapter translates its own program into steps; what depends on what is followed here. Besides operators that
choose, such as sorting, values decide wherever integers or booleans that were made from values come back to real
numbers: as the condition of a `where`, as an index, as a number. That a maximum is subtracted before an exponential,
as softmax does against overflow, decides nothing, if the maximum is not differentiated: it cancels.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum

FLAT = " (flat pieces)"
"""What follows the name of an operator that has pieces of zero slope."""

BRANCH_ON_VALUE = "a Python branch on a value"
"""What a function that branches in Python is said to have."""


class Kind(Enum):
    """What a step does with what depends on the inputs."""

    PLAIN = "every result depends on every operand"
    LAYOUT = "every entry of the result is one of an operand's"
    LINEAR = "what is added to an operand is added to the result, times a constant"
    PRODUCT = "linear in every operand"
    QUOTIENT = "linear in the first operand"
    EXPONENTIAL = "what is added to the operand becomes a factor that is never zero"
    UNDERIVED = "the result is not differentiated"
    CONSTANT = "the result depends on no value, such as a shape"
    MAXIMUM = "the largest entry"
    BOUND = "the larger or smaller of two"
    CALL = "a body is run"
    LOOP = "bodies are run again and again"
    BRANCH = "one of the bodies is run, as the first operand says"


class Level(IntEnum):
    """How a value depends on the inputs; the larger of two holds for what is made of both."""

    FREE = 0
    DEPENDENT = 1
    SHIFTED = 2  # a maximum that is not differentiated was added to it
    MAXIMAL = 3  # a maximum that is differentiated so far


@dataclass(frozen=True)
class Body:
    """A program: what it takes, its steps in order, what it gives. Values that no step gives depend on nothing."""

    takes: Sequence[Hashable]
    steps: Sequence[Step]
    gives: Sequence[Hashable]


@dataclass(frozen=True)
class Inner:
    """A body inside of a step, and the positions of the step's operands that it takes."""

    body: Body
    positions: Sequence[int]
    decides: bool = False


@dataclass(frozen=True)
class Step:
    """One operator.

    Attributes:
        name: what it is called where values decide.
        kind: what it does.
        takes: the operands.
        gives: the results.
        deciding: positions of the operands by whose values the step chooses, such as an index.
        bodies: what it runs.
        feeds: in a loop, the position of the operand that every result of the last body is the next value of.
    """

    name: str
    kind: Kind
    takes: Sequence[Hashable]
    gives: Sequence[Hashable]
    deciding: Sequence[int] = ()
    bodies: Sequence[Inner] = ()
    feeds: Sequence[int] = ()


def found(body: Body) -> tuple[str, ...]:
    """Name what in a program lets values decide, if everything that it takes is an input; each once."""
    search = _Search()
    for level in search.run(body, [Level.DEPENDENT] * len(body.takes)):
        search.settled(level)
    return tuple(search.names)


@dataclass
class _Search:
    names: dict[str, None] = field(default_factory=dict)
    maximum: str = ""

    def run(self, body: Body, given: Sequence[Level]) -> list[Level]:
        levels: dict[Hashable, Level] = dict(zip(body.takes, given, strict=True))
        for step in _used(body):
            operands = [levels.get(value, Level.FREE) for value in step.takes]
            results = self.step(step, operands) if any(operands) else [Level.FREE] * len(step.gives)
            levels.update(zip(step.gives, results, strict=True))
        return [levels.get(value, Level.FREE) for value in body.gives]

    def step(self, step: Step, operands: list[Level]) -> list[Level]:
        match step.kind:
            case Kind.CALL | Kind.BRANCH | Kind.LOOP:
                return self.bodies(step, operands)
            case Kind.CONSTANT:
                return [Level.FREE] * len(step.gives)
        return [self.result(step, operands)] * len(step.gives)

    def result(self, step: Step, operands: list[Level]) -> Level:
        top = max(operands)
        if top is Level.MAXIMAL:
            if step.kind is Kind.UNDERIVED:
                return Level.SHIFTED
            if step.kind in (Kind.LAYOUT, Kind.BOUND) and set(operands) <= {Level.FREE, Level.MAXIMAL}:
                return top
        if step.kind is Kind.BOUND or any(operands[i] for i in step.deciding):
            self.names[step.name] = None
        self.settled(top)
        if step.kind is Kind.MAXIMUM:
            self.maximum = step.name
            return Level.MAXIMAL
        if top is Level.SHIFTED:
            if _is_linear(step.kind, operands):
                return top
            if step.kind is not Kind.EXPONENTIAL:
                self.names[self.maximum] = None
        return Level.DEPENDENT

    def bodies(self, step: Step, operands: list[Level]) -> list[Level]:
        if step.kind is not Kind.CALL:
            operands = [self.settled(level) for level in operands]
        if step.kind is Kind.BRANCH and operands[0]:
            self.names[step.name] = None
        while True:
            ran = [self.run(inner.body, [operands[i] for i in inner.positions]) for inner in step.bodies]
            if any(any(levels) for inner, levels in zip(step.bodies, ran, strict=True) if inner.decides):
                self.names[step.name] = None
            results = [levels for inner, levels in zip(step.bodies, ran, strict=True) if not inner.decides]
            merged = [max(levels) for levels in zip(*results, strict=True)]
            fed = list(operands)
            for i, level in zip(step.feeds, merged, strict=False):
                fed[i] = max(fed[i], self.settled(level))
            if fed == operands:
                return [max(level, fed[i]) for i, level in zip(step.feeds, merged, strict=False)] + merged[
                    len(step.feeds) :
                ]
            operands = fed

    def settled(self, level: Level) -> Level:
        """Name the maximum if a value is one that is differentiated; it is a value like any other from here on."""
        if level is Level.MAXIMAL:
            self.names[self.maximum] = None
            return Level.DEPENDENT
        return level


def _is_linear(kind: Kind, operands: Sequence[Level]) -> bool:
    match kind:
        case Kind.LAYOUT | Kind.LINEAR | Kind.UNDERIVED:
            return True
        case Kind.PRODUCT:
            return sum(map(bool, operands)) == 1
        case Kind.QUOTIENT:
            return not any(operands[1:])
    return False


def _used(body: Body) -> list[Step]:
    """Return the steps whose results are used."""
    wanted, steps = set(body.gives), []
    for step in reversed(body.steps):
        if wanted.intersection(step.gives):
            wanted.update(step.takes)
            steps.append(step)
    return steps[::-1]
