"""Whether a result is right: plain products are checked against differences, and results against plain products.

Nothing is ranked that was not held against both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from xcheck.benchmarking.case import Case
from xcheck.benchmarking.measuring import Measuring
from xcheck.benchmarking.row import Outcome
from xcheck.checks import check
from xcheck.comparison import Comparison
from xcheck.protocol import Native
from xcheck.raised import first_line
from xcheck.report import Report
from xcheck.strategies.certificate import Violation, find_violation, find_wrong_row
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
        report: what the check of the framework's own products found, once it was made.
        failure: what it raised.
        asked: whether it was made.
    """

    case: Case
    quantity: Quantity
    seed: int = 0
    report: Report | None = None
    failure: str = ""
    asked: bool = False

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
            return "no derivatives of its own; results are held against finite differences with error bars"
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
        return f"plain {modes} {words[trust.verdict]} finite differences"

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
        violation = find_violation(self._trusted, self.quantity, result, self.seed, PROBES, strategy.mode)
        if violation is None or not self.quantity.assumes or strategy.assumes:
            return violation  # else what it leaves out on purpose may have shown
        return find_wrong_row(self._trusted, self.quantity, result, self.seed, PROBES, strategy.mode)

    @cached_property
    def _trusted(self) -> Primal:
        """The function with the products that results are held against."""
        primal = self.quantity.primal
        if has_products(primal.backend):
            return primal
        return replace(primal, backend=Measuring(primal.backend, self.seed))


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
