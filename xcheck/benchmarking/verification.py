"""Whether a result is right: plain products are checked against differences, and results against plain products.

Nothing is ranked that was not held against both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from xcheck.benchmarking.case import Case
from xcheck.benchmarking.row import Outcome
from xcheck.checks import check
from xcheck.comparison import Comparison
from xcheck.measurement import finite_difference
from xcheck.protocol import Native, RealArray
from xcheck.raised import first_line
from xcheck.report import Report
from xcheck.strategies.certificate import BY_DIFFERENCES, UNITS, Plain, Violation, find_violation, find_wrong_row
from xcheck.strategies.computing import has_products
from xcheck.strategies.once import LEAST_PRECISION
from xcheck.strategies.primal import Primal
from xcheck.strategies.quantities import Quantity
from xcheck.strategies.strategy import Strategy
from xcheck.verdict import Verdict

PROBES = 4
"""Plain products that every result is held against."""

OPPOSITE = {"vjp": "jvp", "jvp": "vjp"}


@dataclass(frozen=True)
class Trust:
    """What is known of the plain products that results are held against.

    Attributes:
        verdict: whether they agree with differences.
        reason: why not.
    """

    verdict: Verdict
    reason: str = ""


@dataclass
class Verification:
    """Verifies the results of all strategies at one point.

    Attributes:
        case: the function at the point.
        quantity: what is made of it.
        seed: of the check and of the probes.
    """

    case: Case
    quantity: Quantity
    seed: int = 0
    report: Report | None = None
    failure: str = ""
    asked: bool = field(default=False)

    def verify(self, strategy: Strategy, result: Sequence[Native]) -> tuple[Outcome, str]:
        """Tell whether a result is right, and why not."""
        misshapen = self._misshapen(result)
        if misshapen:
            return Outcome.WRONG, misshapen
        trust = self.trust(strategy.mode)
        if trust.verdict is Verdict.DISAGREE:
            return Outcome.WRONG, trust.reason
        violation = self._violation(strategy, result)
        if violation is not None:
            if strategy.assumes and not violation.claimed:
                return Outcome.NOT_VALID, f"relies on this: {strategy.assumes}; but {violation}"
            return Outcome.WRONG, str(violation)
        if trust.verdict is Verdict.INCONCLUSIVE:
            return Outcome.INCONCLUSIVE, trust.reason
        if strategy.assumes and self.quantity.primal.precision < LEAST_PRECISION:
            bits = self.quantity.primal.precision
            return Outcome.INCONCLUSIVE, f"cannot be proven in a precision of {bits} bits: {strategy.assumes}"
        return Outcome.RIGHT, ""

    def trust(self, mode: str) -> Trust:
        """Tell whether plain products of a mode agree with differences; the first call makes the check."""
        if not has_products(self.quantity.primal.backend):
            return Trust(Verdict.AGREE)  # results are held against differences themselves
        if not self.asked:
            self._ask()
        if self.report is None:
            return Trust(Verdict.INCONCLUSIVE, f"the derivative could not be checked: {self.failure}")
        return self._by_reference(self.report, mode) or self._by_other_mode(self.report, mode)

    def said(self) -> str:
        """Say what the check found, in a sentence without an end; empty before it was made."""
        backend = self.quantity.primal.backend
        if not has_products(backend):
            return f"{backend.name} has no derivatives: results are held against finite differences with error bars"
        if not self.asked:
            return ""
        found = {mode: self.trust(mode) for mode in ("vjp", "jvp") if self._speaks_of(mode)}
        verdicts = {trust.verdict for trust in found.values()}
        if not found:
            return self.trust("vjp").reason
        if len(verdicts) == 1:
            trust = next(iter(found.values()))
            return self._sentence(" and ".join(found), trust, len(found) > 1)
        return "; ".join(self._sentence(mode, trust, False) for mode, trust in found.items())

    def _sentence(self, modes: str, trust: Trust, several: bool) -> str:
        words = {
            Verdict.AGREE: "agree with" if several else "agrees with",
            Verdict.DISAGREE: "disagree with" if several else "disagrees with",
            Verdict.INCONCLUSIVE: "could not be checked against",
        }
        told = f"plain {modes} {words[trust.verdict]} finite differences"
        return told if trust.verdict is Verdict.AGREE else f"{told}: {trust.reason}"

    def _ask(self) -> None:
        case, self.asked = self.case, True
        order = 2 if self.quantity.name == "hessian" else 1
        try:
            self.report = check(
                case.function, *case.args, backend=case.backend, kwargs=case.kwargs, wrt=case.wrt, order=order,
                contract=False, raises=False, seed=self.seed,
            )  # fmt: skip
        except Exception as error:
            self.failure = f"{type(error).__name__}: {first_line(error)}"

    def _claim(self, mode: str) -> str:
        """Name the plain products as the check does."""
        of = " of vjp" if self.quantity.name == "hessian" else ""
        return f"{self.quantity.primal.backend.name}/{mode}{of}"

    def _speaks_of(self, mode: str) -> bool:
        return self.report is not None and any([c.claim.source == self._claim(mode) for c in self.report.comparisons])

    def _by_reference(self, report: Report, mode: str) -> Trust | None:
        """Tell what the comparisons with differences say; None if there are none."""
        other = self._claim(OPPOSITE[mode])
        own = [c for c in report.comparisons if c.claim.source == self._claim(mode) and c.reference.source != other]
        return _worst(own) if own else None

    def _by_other_mode(self, report: Report, mode: str) -> Trust:
        """Follow from the other mode, where this one was compared with it alone, or not at all."""
        other = self._by_reference(report, OPPOSITE[mode])
        if other is None:
            unchecked = "; ".join(report.unchecked) or "nothing was compared"
            return Trust(Verdict.INCONCLUSIVE, f"the derivative could not be checked: {unchecked}")
        between = [c for c in report.comparisons if c.claim.source == self._claim(mode)]
        if not between or all([c.verdict is Verdict.AGREE for c in between]) or other.verdict is Verdict.AGREE:
            return _worst(between) if between and other.verdict is Verdict.AGREE else other
        return Trust(Verdict.INCONCLUSIVE, f"{mode} differs from {OPPOSITE[mode]}, which is not right either")

    def _misshapen(self, result: Sequence[Native]) -> str:
        found, due = [tuple(map(int, part.shape)) for part in result], self.quantity.shapes()
        return "" if found == due else f"returned arrays of shapes {found}, and {due} are due"

    def _violation(self, strategy: Strategy, result: Sequence[Native]) -> Violation | None:
        primal = self._alone(strategy.mode)
        plain = self._measured if not has_products(primal.backend) else Plain.of(primal)
        violation = find_violation(primal, self.quantity, result, self.seed, PROBES, plain)
        if violation is None or not self.quantity.assumes or strategy.assumes:
            return violation
        if has_products(primal.backend):  # what it leaves out on purpose may have shown
            return find_wrong_row(primal, self.quantity, result, self.seed, PROBES)
        return _wrong_columns(primal, self.quantity, result, plain, self.seed)

    def _alone(self, mode: str) -> Primal:
        """Return the function with the products of one mode, where the other mode is not to be trusted."""
        primal = self.quantity.primal
        if not has_products(primal.backend) or self.trust(OPPOSITE[mode]).verdict is Verdict.AGREE:
            return primal
        if not self._speaks_of(mode):
            return primal
        return replace(primal, backend=_OneMode(primal.backend, mode))  # type: ignore[arg-type]

    @cached_property
    def _measured(self) -> Plain:
        return measured_products(self.quantity.primal, self.seed)


@dataclass(frozen=True)
class _OneMode:
    """A backend without the products of the other mode."""

    backend: Any
    mode: str

    def __getattr__(self, name: str) -> Any:
        if name == OPPOSITE[self.mode]:
            raise AttributeError(name)
        return getattr(self.backend, name)


def measured_products(primal: Primal, seed: int = 0) -> Plain:
    """Return pushforwards by finite differences with error bars: of `t -> f(x + t v)`, at t = 0.

    A product that cannot be measured raises a ValueError.
    """
    point = primal.inputs.pack([primal.backend.to_numpy(x) for x in primal.xs])
    typical = primal.inputs.typical(point)
    widest = [0.0]

    def push(v: RealArray) -> RealArray:
        size = float(np.max(np.abs(v), initial=0.0))
        if not size:
            return np.zeros(primal.m)
        step = typical / size

        def along(t: Any) -> RealArray:
            ys = primal.closed()(primal.to_native(point + float(t) * step * v))
            return np.concatenate([np.asarray(primal.backend.to_numpy(y), np.float64).reshape(-1) for y in ys])

        value, bar = (np.reshape(part, (primal.m,)) for part in finite_difference(along, 0.0, precise=True, seed=seed))
        if not np.all(np.isfinite(bar)):
            place = int(np.flatnonzero(~np.isfinite(bar))[0])
            raise ValueError(f"the slope of {primal.outputs.entry(place)} could not be measured")
        widest[0] = max(widest[0], float(np.max(bar, initial=0.0) / max(np.max(np.abs(value), initial=0.0), 1e-300)))
        return value / step

    push(np.random.default_rng((seed, 23)).choice([-1.0, 1.0], primal.n))
    unit = max(BY_DIFFERENCES, 2.0**-primal.precision, min(widest[0], 1.0) / (UNITS / 16))
    return Plain("jvp", push, unit)


def _wrong_columns(
    primal: Primal, quantity: Quantity, result: Sequence[Native], plain: Plain, seed: int
) -> Violation | None:
    """Hold some columns of a result, in the places that it has, against measured ones."""
    for j in np.random.default_rng((seed, 18)).integers(0, primal.n, PROBES):
        one = np.zeros(primal.n)
        one[j] = 1.0
        places = quantity.related(int(j), "jvp")
        expected, (value, terms) = plain.product(one), quantity.product(result, one, "jvp")
        bound = UNITS * plain.unit * np.maximum(terms, np.max(np.abs(expected), initial=0.0))
        wrong = places[~(np.abs(value - expected) <= bound)[places]]
        if len(wrong):
            i = int(wrong[0])
            return Violation(quantity.entry(i, int(j)), float(value[i]), float(expected[i]))
    return None


def _worst(comparisons: Iterable[Comparison]) -> Trust:
    """Return the worst verdict of comparisons with why it is so."""
    found = list(comparisons)
    verdict = Verdict.worst(c.verdict for c in found)
    worst = next(c for c in found if c.verdict is verdict)
    return Trust(verdict, "" if verdict is Verdict.AGREE else _why(worst))


def _why(c: Comparison) -> str:
    if c.verdict is not Verdict.DISAGREE:
        return f"the check of plain {_mode(c)} is inconclusive: {c.reason}"
    if c.causes:
        return f"the derivative itself is wrong, {_mode(c)} against {c.reference.source}: {c.causes[0]}"
    entry = f": {c.worst[0].name} is {c.worst[0].claimed:.6g}, {c.worst[0].measured:.6g} measured" if c.worst else ""
    return f"the derivative itself is wrong, {_mode(c)} against {c.reference.source}{entry}"


def _mode(c: Comparison) -> str:
    return c.claim.source.partition("/")[2]
