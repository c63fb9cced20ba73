"""Implementations with parameters of their own: all are opened at the parameters of the first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xcheck.binding import Bound
from xcheck.call import Wrt, read_call
from xcheck.implementation import Implementation
from xcheck.parameters import bind_parameters
from xcheck.runs import Run


def read_runs(
    found: Sequence[Implementation], arrays: tuple[Any, ...], kwargs: dict[str, Any], wrt: Wrt
) -> tuple[list[Run], list[str]]:
    """Open the calls, at the first implementation's parameters where there are any.

    Returns:
        The calls, and a line for every implementation whose own parameters are others.

    Raises:
        ValueError: some have parameters and some have none, or they are not the same by name and shape.
    """
    bound = {given.label: bind_parameters(given) for given in found}
    first = next((b for b in bound.values() if b is not None), None)
    if first is None:
        return [Run(g, read_call(g.function, arrays, kwargs, g.backend, wrt)) for g in found], []
    runs, ported = [], []
    for given in found:
        own = bound[given.label]
        _require_the_same(found[0].label, first, given.label, own)
        assert own is not None
        runs.append(Run(given, read_call(given.function, arrays, kwargs, given.backend, wrt, first.values)))
        ported += _other_parameters(found[0].label, first.values, given.label, own.values)
    return runs, ported


def _require_the_same(label: str, first: Bound, other: str, own: Bound | None) -> None:
    if own is None:
        raise ValueError(
            f"{label!r} has parameters and {other!r} has none; give them with "
            "xcheck.layout(f, parameters=tree, names={...})."
        )
    shapes, others = ({name: v.shape for name, v in b.values.items()} for b in (first, own))
    for name in (*shapes, *others):
        if shapes.get(name) != others.get(name):
            raise ValueError(
                f"the parameter {name!r} has shape {shapes.get(name, 'none')} in {label!r} and "
                f"{others.get(name, 'none')} in {other!r}. Map names and axes with xcheck.layout(f, names={{common: "
                "(own, 'OI->IO')})."
            )


def _other_parameters(
    label: str, values: Mapping[str, NDArray[Any]], other: str, own: Mapping[str, NDArray[Any]]
) -> list[str]:
    """Say which parameters were not ported as they are; all are compared at the first implementation's."""
    lines = []
    for name, value in values.items():
        gap = np.abs(np.asarray(own[name], np.complex128) - value)
        coarse = max(np.finfo(x.dtype).eps if x.dtype.kind in "fc" else 2.0**-7 for x in (value, own[name]))
        if np.any(gap > coarse * np.abs(value)):
            at = np.unravel_index(int(np.argmax(gap)), gap.shape)
            place = f"{name}[{', '.join(map(str, at))}]" if at else name
            lines.append(
                f"{other}'s parameters are others: {place} is {own[name][at]:.6g} in it and {value[at]:.6g} in "
                f"{label}. All were compared at {label}'s."
            )
    return lines
