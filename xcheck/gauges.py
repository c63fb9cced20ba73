"""Gauges recognised from values: outputs that differ by sign, phase, order or basis alone, and what reports say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xcheck.axes import Arranged
from xcheck.kinds import KINDS
from xcheck.pytree import flatten

LARGEST = 1_000_000
"""Up to this many numbers, outputs that differ are held against each other for a gauge that explains it."""

CLOSE = 1e-6
"""Invariants are the same if they differ by at most this share of their largest."""


def compared(functions: Mapping[str, Any]) -> list[str]:
    """Say what is compared instead of the outputs, by label of the implementation where not all are seen so."""
    said = {label: f.compared if isinstance(f, Arranged) else "" for label, f in functions.items()}
    if not any(said.values()):
        return []
    if len(set(said.values())) == 1:
        return [f"compared: {next(iter(said.values()))}"]
    return [f"{label}: compared: {text or 'its outputs as they are'}" for label, text in said.items()]


def suggested(outputs: Mapping[str, Sequence[NDArray[Any]]], usual: Sequence[str]) -> list[str]:
    """Say which implementations differ from the usual ones by a choice of gauge alone, and how to compare them.

    Args:
        outputs: by label, what each returns.
        usual: the labels of the largest group that agrees.
    """
    lines = []
    for label, own in outputs.items():
        kind = "" if label in usual else likely_gauge(own, outputs[usual[0]])
        if kind:
            lines.append(
                f"{label}: its outputs are those of {usual[0]} but for {_FREEDOM.get(kind, 'signs or phases')}; "
                f"xcheck.invariant(f, {kind!r}) around each compares what is defined"
            )
    return lines


_FREEDOM = {"projector": "the choice of a basis", "unordered": "their order", "eig": "order, signs or phases"}


def free_phases(outputs: Sequence[NDArray[Any]]) -> list[str]:
    """Say of complex vectors whose derivative is called wrong that it may be right for another choice of phase.

    Real vectors need no such remark: signs do not turn on the way from one point to the next, and phases do.
    """
    if sum(x.size for x in outputs) > LARGEST or not any(np.iscomplexobj(x) for x in outputs):
        return []
    kind = next((kind for kind in ("eigh", "svd", "qr", "eig") if _is_of(kind, outputs)), "")
    if not kind:
        return []
    line = "if the outputs are vectors that are defined up to phase, so is their derivative"
    return [f"{line}; xcheck.invariant(f, {kind!r}) compares what is defined"]


def _is_of(kind: str, outputs: Sequence[NDArray[Any]]) -> bool:
    """Tell whether complex outputs can be a decomposition of a kind: vectors of norm 1, orthogonal but for "eig"."""
    arrays = KINDS[kind].read(outputs)
    if arrays is None or not all(np.all(np.isfinite(x)) for x in arrays) or not _of_unit_norm(kind, arrays):
        return False
    vectors = arrays[1] if kind in ("eigh", "eig") else arrays[0]
    gram = np.swapaxes(vectors.conj(), -1, -2) @ vectors
    return np.iscomplexobj(vectors) and (kind == "eig" or bool(np.allclose(gram, np.eye(gram.shape[-1]), atol=CLOSE)))


def likely_gauge(a: Sequence[NDArray[Any]], b: Sequence[NDArray[Any]]) -> str:
    """Find the kind under which two implementations' outputs are the same; an empty string if there is none.

    Vectors must have norm 1: a matrix with some signs changed is otherwise just another matrix.
    """
    arrays = [*a, *b]
    if sum(x.size for x in arrays) > LARGEST or not all(np.all(np.isfinite(x)) for x in arrays):
        return ""
    return next((kind for kind in ("eigh", "svd", "qr", "eig", *_ALONE) if _explains(kind, a, b)), "")


_ALONE = ("columns", "rows", "projector", "unordered")


def _explains(kind: str, a: Sequence[NDArray[Any]], b: Sequence[NDArray[Any]]) -> bool:
    read = [KINDS[kind].read(x) for x in (a, b)]
    if read[0] is None or read[1] is None:
        return False
    if not all(_of_unit_norm(kind, x) for x in read if x is not None):
        return False
    with np.errstate(all="ignore"), suppress(ValueError):  # shapes that do not go together
        if kind == "unordered":
            return _same(*(_ordered(x[0]) for x in read if x is not None))
        one, two = (flatten(KINDS[kind].reduce(*x))[0] for x in read if x is not None)
        return len(one) == len(two) and all(map(_same, one, two))
    return False


def _of_unit_norm(kind: str, arrays: Sequence[NDArray[Any]]) -> bool:
    """Tell whether the vectors are normalised; a basis has to be orthonormal, and not one of the whole space."""
    if kind == "unordered":
        return True
    vectors = arrays[1] if kind in ("eigh", "eig") else np.swapaxes(arrays[0], -1, -2) if kind == "rows" else arrays[0]
    if kind == "projector":
        gram = np.swapaxes(vectors.conj(), -1, -2) @ vectors
        return vectors.shape[-1] < vectors.shape[-2] and bool(np.allclose(gram, np.eye(gram.shape[-1]), atol=CLOSE))
    return vectors.shape[-2] > 1 and bool(np.allclose(np.sum(np.abs(vectors) ** 2, axis=-2), 1, atol=CLOSE))


def _ordered(values: NDArray[Any]) -> NDArray[Any]:
    """Sort along the last axis, by real parts that are equal to rounding, then by imaginary parts."""
    coarse = np.round(values.real / max(float(np.max(np.abs(values), initial=0.0)), 1e-300), 9)
    return np.take_along_axis(values, np.lexsort((values.imag, coarse)), axis=-1)


def _same(one: Any, two: Any) -> bool:
    a, b = np.asarray(one), np.asarray(two)
    if a.shape != b.shape:
        return False
    size = max(float(np.max(np.abs(x), initial=0.0)) for x in (a, b))
    return bool(np.all(np.abs(a - b) <= CLOSE * size))
