"""Differences between implementations in plain words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from xcheck.agreement import Cause, Difference


def describe(
    difference: Difference,
    name: str,
    labels: Sequence[str],
    witness: bool = False,
    causes: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """Write one difference as a sentence or two.

    Args:
        difference: what was found.
        name: names its place.
        labels: all implementations that were compared, for saying who stands alone.
        witness: whether slopes were measured on a witness.
        causes: why each implementation is wrong, where that is known.
    """
    if difference.cause is Cause.WRONG:
        text = _wrong(difference, name, labels, witness)
        return text + _more(difference) + _why(difference, causes or {})
    who = {
        Cause.FUNCTION: _another_function,
        Cause.CONVENTION: _convention,
        Cause.NOT_FINITE: _not_finite,
        Cause.UNSETTLED: _unsettled,
    }[difference.cause]
    return who(difference, name) + _more(difference)


def _more(difference: Difference) -> str:
    return f" So at {difference.count - 1} more." if difference.count > 1 else ""


def _why(d: Difference, causes: Mapping[str, Sequence[str]]) -> str:
    known = {label: causes[label] for label in d.blamed if causes.get(label)}
    if len(known) == 1 == len(d.blamed):
        return "".join(f" Cause: {cause}." for cause in next(iter(known.values())))
    return "".join(f" Cause in {label}: {cause}." for label, own in known.items() for cause in own)


def _another_function(d: Difference, name: str) -> str:
    numbers = _numbers(d, 9)
    if len(d.place) == 2:
        return (
            f"Each is right for its own values, and yet {name} is {numbers}: other functions, with the same value here."
        )
    if d.blamed:
        return f"{_listed(d.blamed)} {_compute(d.blamed)} another function: {name} is {numbers}."
    return f"These are not the same function: {name} is {numbers}."


def _compute(labels: Sequence[str]) -> str:
    return "computes" if len(labels) == 1 else "compute"


def _wrong(d: Difference, name: str, labels: Sequence[str], witness: bool) -> str:
    verb = "is" if len(d.blamed) == 1 else "are"
    whose = "witness=" if witness else f"{d.blamed[0]}'s own values"
    own = f"; finite differences of {whose} give {_measured(d)}" if d.measured else ""
    alone = " and stands alone" if len(d.blamed) == 1 and len(labels) > 2 else ""
    return f"{_listed(d.blamed)} {verb} wrong{alone}: {name} is {_numbers(d)}{own}."


def _measured(d: Difference) -> str:
    assert d.measured is not None
    value, bar = d.measured
    return f"{value:.6g} ± {bar:.1g}" if math.isfinite(bar) else "no slope"


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
    return f"No derivative exists at this point: {name} is {_numbers(d)}. Finite numbers are chosen, NaN is not."


def _unsettled(d: Difference, name: str) -> str:
    if len(d.groups) == 1:
        return f"They agree where values cannot settle it: {name} is {_numbers(d)}. A witness= in higher precision can."
    return (
        f"They differ where values cannot settle it: {name} is {_numbers(d)}. A witness= in higher precision can tell "
        "who is wrong."
    )


def _numbers(d: Difference, figures: int = 6) -> str:
    """List what each group gives, with as many figures as tell them apart."""
    values = [d.numbers[group[0]] + 0.0 for group in d.groups]
    while figures < 17 and len({f"{v:.{figures}g}" for v in values}) < len({repr(v) for v in values}):
        figures += 1
    return ", ".join(f"{v:.{figures}g} by {_listed(group)}" for v, group in zip(values, d.groups, strict=True))


def _listed(labels: Sequence[str]) -> str:
    return labels[0] if len(labels) == 1 else f"{', '.join(labels[:-1])} and {labels[-1]}"
