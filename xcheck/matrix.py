"""The rows of the agreement matrix: how far each implementation agrees with itself and with every other one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from xcheck.agreement import Cause, Difference, digits
from xcheck.protocol import RealArray
from xcheck.report import Row
from xcheck.runs import Run

GRAVITY = (Cause.FUNCTION, Cause.WRONG, Cause.NOT_FINITE, Cause.UNSETTLED, Cause.CONVENTION)
"""Of several reasons why two implementations differ, the first one stands in their cell."""

AGREE = "agree"


def draw_up(
    runs: Sequence[Run],
    alike: Sequence[Run],
    entries: Mapping[str, RealArray],
    pulled: Mapping[str, RealArray],
    differences: Sequence[Difference],
) -> list[Row]:
    """Summarise every implementation, next to every other one.

    Derivatives that were not compared entry by entry are compared by one product of each with the same cotangent.

    Args:
        runs: all implementations.
        alike: those that can be compared.
        entries: the derivatives that were compared entry by entry, by label, shape (n, m).
        pulled: a product of each with the same cotangent, by label, shape (n,).
        differences: what was found.
    """
    return [_row(run, alike, entries, pulled, differences) for run in runs]


def _row(
    run: Run,
    alike: Sequence[Run],
    entries: Mapping[str, RealArray],
    pulled: Mapping[str, RealArray],
    differences: Sequence[Difference],
) -> Row:
    if run.problem is None:
        return Row(run.label, run.failure.partition(":")[0])
    if all(run is not other for other in alike):
        return Row(run.label, "another shape")
    values: dict[str, float] = {}
    derivatives: dict[str, float] = {}
    agreement: dict[str, str] = {}
    for other in alike:
        if other is run or other.problem is None:
            continue
        values[other.label] = digits(run.problem.y, other.problem.y)
        agreement[other.label] = _word(run.label, other.label, differences)
        if agreement[other.label] == AGREE and _without_slopes(entries, run, other):
            agreement[other.label] = "agree in part"
        for numbers in (entries, pulled):
            if run.label in numbers and other.label in numbers:
                derivatives.setdefault(other.label, _digits(numbers[run.label], numbers[other.label], run, other))
    if run.examined is None:
        return Row(run.label, "values only", "", {}, values, derivatives, agreement)
    report = run.examined.report
    quantity = report.comparisons[0].quantity if report.comparisons else ""
    verdicts = {_what(c.claim.source, c.reference.source): c.verdict for c in report.comparisons}
    return Row(run.label, str(report.verdict), quantity, verdicts, values, derivatives, agreement)


def _without_slopes(entries: Mapping[str, RealArray], *runs: Run) -> bool:
    """Tell whether one of them is a plain function of which some slopes could not be measured, as at a kink."""
    return any(not run.examined and not np.all(np.isfinite(entries.get(run.label, 0.0))) for run in runs)


def _digits(a: RealArray, b: RealArray, *runs: Run) -> float:
    """Compare derivatives; measured slopes only where there are any."""
    if all(run.examined for run in runs):
        return digits(a, b)
    both = np.isfinite(a) & np.isfinite(b)
    return digits(a[both], b[both])


def _word(one: str, other: str, differences: Sequence[Difference]) -> str:
    """Say in a word why two implementations differ, or that they agree with each other."""
    causes = {d.cause for d in differences if d.separates(one, other)}
    return next((cause.value for cause in GRAVITY if cause in causes), AGREE)


def _what(claim: str, reference: str) -> str:
    return f"{claim.rpartition('/')[2]} vs {reference.rpartition('/')[2]}"
