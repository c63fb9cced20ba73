"""What of a case varies, and what a peer has to leave alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from cases.case import Case

from peers.outcome import NotApplicable

GIVEN = ("gradient", "jacobian", "diagonal", "vjp")
"""Options that carry a hand-written derivative."""


def native(case: Case) -> Case:
    """Turn NumPy inputs that are meant for a framework, `backend=`, into arrays of that framework."""
    options = dict(case.options)
    if options.pop("backend", case.framework) != case.framework:
        raise NotApplicable("another backend")
    make = {"torch": _to_torch, "jax": _to_jax, "tensorflow": _to_tensorflow}.get(case.framework)
    if make is None or not any(isinstance(x, (np.ndarray, np.generic)) for x in case.inputs):
        return replace(case, options=options)
    inputs = tuple(make(x) if isinstance(x, (np.ndarray, np.generic)) else x for x in case.inputs)
    return replace(case, inputs=inputs, options=options)


def _to_torch(array: Any) -> Any:
    import torch

    return torch.from_numpy(np.array(array))


def _to_jax(array: Any) -> Any:
    import jax

    with jax.enable_x64(True):
        return jax.numpy.asarray(array)


def _to_tensorflow(array: Any) -> Any:
    import tensorflow as tf

    return tf.constant(array)


def require_plain(case: Case, frameworks: tuple[str, ...], order: int = 2) -> None:
    """Refuse cases of other frameworks, of higher order, and with options that only xcheck knows.

    Raises:
        NotApplicable: it is such a case.
    """
    if case.framework not in frameworks:
        raise NotApplicable(f"not for {case.framework}")
    if case.order > order:
        raise NotApplicable("no second order")
    allowed = {"wrt", *(GIVEN if case.framework == "numpy" else ())}
    if not set(case.options) <= allowed:
        raise NotApplicable(f"no {', '.join(sorted(set(case.options) - allowed))}=")


def varying(case: Case) -> list[int]:
    """Return the positions of the inputs to differentiate by: floating or complex, and named in `wrt`.

    Raises:
        NotApplicable: an input is no array, or `wrt` names something else than positions.
    """
    wrt = case.options.get("wrt")
    meant = range(len(case.inputs)) if wrt is None else [wrt] if isinstance(wrt, int) else list(wrt)
    if not all(isinstance(k, int) for k in meant):
        raise NotApplicable("wrt= names inputs")
    if not all(hasattr(x, "dtype") and hasattr(x, "shape") for x in case.inputs):
        raise NotApplicable("nested inputs")
    return [k for k in meant if kind(case.inputs[k]) in "fc"]


def kind(array: Any) -> str:
    """Return "f", "c" or another letter for the dtype of an array of any framework."""
    name = str(getattr(array.dtype, "name", array.dtype)).removeprefix("torch.")
    return "f" if "float" in name else "c" if "complex" in name else "i"


def is_float64(array: Any) -> bool:
    """Tell whether the dtype is float64."""
    return str(getattr(array.dtype, "name", array.dtype)).removeprefix("torch.") == "float64"


def merged(case: Case, positions: list[int], values: Any) -> list[Any]:
    """Return the inputs with new values at `positions`."""
    inputs = list(case.inputs)
    for position, value in zip(positions, values, strict=True):
        inputs[position] = value
    return inputs


def flaw_mode(case: Case) -> str | None:
    """Return "vjp" or "jvp" where one of the modes was given a planted error, else None."""
    return getattr(getattr(case.f, "flaw", None), "mode", None)


def no_verdict(error: float) -> bool:
    """Tell whether a measured difference is no number."""
    return bool(np.isnan(error))
