"""Differences between implementations in plain words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from xcheck.agreement import Cause, Difference


def describe(
    difference: Difference,
    labels: Sequence[str],
    witness: bool = False,
    causes: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """Write one difference as a sentence or two.

    Args:
        difference: what was found.
        labels: all implementations that were compared, for saying who stands alone.
        witness: whether slopes were measured on a witness.
        causes: why each implementation is wrong, where that is known.
    """
    if difference.cause is Cause.WRONG:
        return _wrong(difference, labels, witness) + _more(difference) + _why(difference, causes or {})
    who = {
        Cause.FUNCTION: _another_function,
        Cause.CONVENTION: _convention,
        Cause.NOT_FINITE: _not_finite,
        Cause.UNSETTLED: _unsettled,
    }[difference.cause]
    return who(difference, difference.name) + _more(difference)


def _more(difference: Difference) -> str:
    return f" So at {difference.count - 1} more." if difference.count > 1 else ""


def _why(d: Difference, causes: Mapping[str, Sequence[str]]) -> str:
    """Say why each is wrong, once for those that are wrong for the same cause."""
    known = {label: causes[label] for label in d.blamed if causes.get(label)}
    owners: dict[str, list[str]] = {}
    for label, own in known.items():
        for cause in own:
            owners.setdefault(cause, []).append(label)
    alone = len(d.blamed) == 1
    return "".join(f" Cause{'' if alone else f' in {_listed(who)}'}: {cause}." for cause, who in owners.items())


def _another_function(d: Difference, name: str) -> str:
    numbers = _numbers(d, 9)
    if len(d.place) == 2:
        who = f"{_listed(d.blamed)} {_compute(d.blamed)} another function" if d.blamed else "these are other functions"
        return f"Each is right for its own values, and yet {name} is {numbers}: {who}, with the same value here."
    if d.blamed:
        return f"{_listed(d.blamed)} {_compute(d.blamed)} another function: {name} is {numbers}."
    return f"These are not the same function: {name} is {numbers}."


def _compute(labels: Sequence[str]) -> str:
    return "computes" if len(labels) == 1 else "compute"


def _wrong(d: Difference, labels: Sequence[str], witness: bool) -> str:
    verb = "is" if len(d.blamed) == 1 else "are"
    alone = " and stands alone" if len(d.blamed) == 1 and len(labels) > 2 else ""
    if d.source:
        measured = f", not {_measured(d)}" if d.measured else ""
        numbers = _numbers(d, apart=d.measured)
        return f"{_listed(d.blamed)} {verb} wrong{alone} ({d.source}): {d.name} is {numbers}{measured}."
    whose = "witness=" if witness else f"{d.blamed[0]}'s own values"
    own = f"; finite differences of {whose} give {_measured(d)}" if d.measured else ""
    return f"{_listed(d.blamed)} {verb} wrong{alone}: {d.name} is {_numbers(d, apart=d.measured)}{own}."


def _measured(d: Difference) -> str:
    """Write the measured slope, or both one-sided ones, with as many figures as tell it from the claim."""
    assert d.measured is not None
    value, bar = d.measured
    if math.isfinite(value) and math.isfinite(bar) and (bar <= abs(value) or bar < 1):
        figures = _figures([value, *(d.numbers[label] for label in d.blamed if label in d.numbers)], 6)
        if bar and value:
            figures = min(figures, max(6, 2 + math.ceil(math.log10(abs(value) / bar))))
        return f"{0.0 if abs(value) <= bar else value:.{figures}g} ± {bar:.1g}"
    if d.slopes is not None:
        return f"{_slope(d.slopes[0])} and {_slope(d.slopes[1])} to the two sides"
    return "no such slope"


def _convention(d: Difference, name: str) -> str:
    kind = "different conventions" if len(d.groups) > 1 else "the same convention"
    return f"They follow {kind}: {name} is {_numbers(d)}; {_ground(d)}."


def _ground(d: Difference) -> str:
    """Say what leaves a choice at this place."""
    if d.symmetric:
        return "of a symmetric matrix one triangle is read, and each of these is right for symmetric changes of it"
    if d.slopes is None:
        return "there is no derivative there"
    where = f"the slopes to its two sides are {_slope(d.slopes[0])} and {_slope(d.slopes[1])}"
    valid = all(_between(v, d.slopes) for v in d.numbers.values())
    return f"{where}, and all of these are valid generalised derivatives" if valid else where


def _between(value: float, slopes: tuple[float, float]) -> bool:
    low, high = min(slopes), max(slopes)
    slack = 1e-6 * max(abs(low), abs(high), 1e-300)
    return low - slack <= value <= high + slack


def _slope(value: float) -> str:
    return f"{value + 0.0:.6g}" if math.isfinite(value) else "none"


def _not_finite(d: Difference, name: str) -> str:
    if not d.exists:
        return f"No derivative exists at this point: {name} is {_numbers(d)}. Finite numbers are chosen, NaN is not."
    if not any(map(math.isfinite, d.numbers.values())):
        return f"NaN stands against infinity: {name} is {_numbers(d)}."
    known = f"; finite differences give {_measured(d)}" if d.measured else ""
    return (
        f"NaN or infinity stands against a number: {name} is {_numbers(d)}{known}. It may have spread from elsewhere."
    )


def _unsettled(d: Difference, name: str) -> str:
    if len(d.place) == 1:
        return (
            f"Their values differ, and a few ulps of the inputs change them by as much: {name} is {_numbers(d, 9)}. A "
            "step is near, or rounding is magnified."
        )
    if len(d.groups) == 1 and not math.isfinite(d.numbers[d.groups[0][0]]):
        return f"No slope can be measured: {name} is {_numbers(d)}."
    if len(d.groups) == 1:
        return f"They agree where values cannot settle it: {name} is {_numbers(d)}. A witness= in higher precision can."
    return (
        f"They differ where values cannot settle it: {name} is {_numbers(d)}. A witness= in higher precision can tell "
        "who is wrong."
    )


def _numbers(d: Difference, figures: int = 6, apart: tuple[float, float] | None = None) -> str:
    """List what each group gives, with as many figures as tell them apart."""
    values = [d.numbers[group[0]] + 0.0 for group in d.groups]
    own = [d.numbers[label] for label in d.blamed if label in d.numbers]
    figures = max(_figures(values, figures), _figures([*own, apart[0]], figures) if apart and own else 0)
    return ", ".join(f"{v:.{figures}g} by {_listed(group)}" for v, group in zip(values, d.groups, strict=True))


def _figures(values: Sequence[float], figures: int) -> int:
    while figures < 17 and len({f"{v:.{figures}g}" for v in values}) < len({repr(float(v)) for v in values}):
        figures += 1
    return figures


def _listed(labels: Sequence[str]) -> str:
    return labels[0] if len(labels) == 1 else f"{', '.join(labels[:-1])} and {labels[-1]}"
