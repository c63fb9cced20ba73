"""Gauge: outputs that are defined up to sign, phase, order or basis, seen through numbers that are not.

Eigenvectors, singular vectors and QR factors are one choice of many, and every library makes its own. What is compared
instead is computed from the outputs in their own framework, so that its derivatives follow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from xcheck.axes import Arranged
from xcheck.protocol import Native, supports_conjugate, supports_transpose
from xcheck.pytree import flatten
from xcheck.registry import owner

Kinds: TypeAlias = Any
"""The name of a kind, None for outputs that stay as they are, or a mapping or sequence of these."""

LARGEST = 1_000_000
"""Up to this many numbers, outputs that differ are held against each other for a gauge that explains it."""

CLOSE = 1e-6
"""Invariants are the same if they differ by at most this share of their largest."""

SIGN = "which are defined up to sign (phase)"


@dataclass(frozen=True)
class Invariant(Arranged):
    """A function whose outputs are replaced by numbers that no choice of gauge changes.

    Attributes:
        kinds: what the outputs are: one kind, or a tree of them.
    """

    kinds: Kinds = None

    @property
    def compared(self) -> str:
        """What is compared instead of the outputs, as half a sentence."""
        said = [f"{_KINDS[kind].told}{f' ({place})' if place != 'out' else ''}" for place, kind in _places(self.kinds)]
        return "; ".join([*said, *([super().compared] if super().compared else [])])

    def around(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Call a function so, such as a module with its parameters bound."""
        return _seen(super().around(function, args, kwargs), self.kinds, "its output")


def invariant(f: Callable[..., Any], kind: Kinds) -> Invariant:
    """Replace outputs that are defined up to sign, phase, order or basis by numbers that are defined.

    `invariant(torch.linalg.eigh, "eigh")` returns the eigenvalues and, for every eigenvector v, the projector v vᴴ. The
    arithmetic is the framework's own, so derivatives follow; a wrong derivative of the outputs is one of these numbers
    too, unless it only moves the outputs along their freedom. Matrices may be batched. With V of shape (..., m, k):

    | kind | outputs of `f` | compared |
    | --- | --- | --- |
    | `"eigh"` | w (..., k) and V, either order | w; v vᴴ of every column (..., k, m, m) |
    | `"eig"` | w (..., n) and V (..., n, n) | p_j = Σ wʲ for j = 1 to n; Σ wʲ v vᴴ / vᴴv for j = 0 to n - 1 |
    | `"eigvals"` | w (..., n) | the same power sums of w as a complex number |
    | `"svd"` | U, S, Vᴴ, or TensorFlow's S, U, V | S; s u vᴴ of every pair (..., k, m, n); s uᴴu and s vᴴv |
    | `"qr"` | Q, R | column times row, q r (..., k, m, n); the squared norms of the rows of R |
    | `"columns"` | V, each column up to sign or phase | v vᴴ of every column |
    | `"rows"` | Vᴴ, each row up to sign or phase | vᴴ times v of every row |
    | `"projector"` | V, an orthonormal basis of a subspace | V Vᴴ (..., m, m) |
    | `"unordered"` | numbers in no order along the last axis (..., n) | p_j = Σ wʲ for j = 1 to n |
    | `"absolute"` | numbers up to sign or phase | their absolute values |

    Norms tell a wrong length in one factor that the other makes up for. They are weighted, as constants tell little.
    In complete decompositions, columns beyond the k = min(m, n) that the other factor meets are left out: they are any
    basis of what is left, and the projector onto it follows from the others.

    Numbers in no order are compared through their power sums (Newton), not sorted: where two of them meet, or where
    real parts tie, an order jumps and has a kink, and power sums stay smooth, as they are traces of powers of the
    matrix. The n of them determine the n numbers. They lose digits as n grows; use them for a dozen or so.

    Where eigenvalues repeat, single eigenvectors and their projectors have no derivative. The projector onto all that
    belong to the repeated one does: let `f` return those columns, and take `"projector"`.

    Args:
        f: the function, in any framework, a module of one, or what `layout` returned.
        kind: a kind; or a mapping or sequence of kinds, laid out as the outputs, None for those that stay:
            `{"loss": None, "basis": "projector"}`.

    Returns:
        A function for `check` and `crosscheck`; their reports say what was compared. It returns mappings with the
        entries "values", "power sums", "projectors", "products" and "norms", as the kind has them.

    Raises:
        TypeError: `f` is not callable, or a kind is no string. The function itself raises it for outputs of a backend
            that has no methods `transpose`, `conjugate` and `cast`.
        ValueError: a kind is unknown. The function itself raises it where the outputs are not those of the kind.
    """
    if not callable(f):
        raise TypeError(f"f must be callable; given: {type(f).__name__}. Pass the function itself.")
    if not list(_places(kind)):
        raise ValueError(f"kind={kind!r} names no output that is to be replaced. {_accepted()}")
    if type(f) is Arranged:
        return Invariant(f.function, f.inputs, f.outputs, f.names, f.parameters, kind)
    return Invariant(f, kinds=kind)


# Trees of kinds


def _places(kinds: Kinds, place: str = "out") -> Iterator[tuple[str, str]]:
    """Name every kind of a tree and its place.

    Raises:
        TypeError: a leaf of the tree is no string.
        ValueError: a kind is unknown.
    """
    if isinstance(kinds, str):
        if kinds not in _KINDS:
            raise ValueError(f"kind={kinds!r} is unknown. {_accepted()}")
        yield place, kinds
    elif isinstance(kinds, Mapping):
        for key, inner in kinds.items():
            yield from _places(inner, f"{place}[{key!r}]")
    elif isinstance(kinds, (tuple, list)):
        for i, inner in enumerate(kinds):
            yield from _places(inner, f"{place}[{i}]")
    elif kinds is not None:
        raise TypeError(f"kind={kinds!r} is a {type(kinds).__name__}. {_accepted()}")


def _accepted() -> str:
    return (
        f"Accepted: {', '.join(map(repr, _KINDS))}, or a tree of them laid out as the outputs, None for any that stay."
    )


def _seen(value: Any, kinds: Kinds, place: str) -> Any:
    """Replace the outputs that a tree of kinds speaks of."""
    if kinds is None:
        return value
    if isinstance(kinds, str):
        return _KINDS[kinds].seen(kinds, flatten(value)[0], place)
    if isinstance(kinds, Mapping):
        if not isinstance(value, Mapping) or set(kinds) != set(value):
            given = f"a mapping of {sorted(map(str, value))}" if isinstance(value, Mapping) else type(value).__name__
            raise ValueError(f"kind= has kinds for {sorted(map(str, kinds))} of {place}, which is {given}.")
        return {key: _seen(value[key], inner, f"{place}[{key!r}]") for key, inner in kinds.items()}
    if not isinstance(value, (tuple, list)) or len(kinds) != len(value):
        given = f"a sequence of {len(value)}" if isinstance(value, (tuple, list)) else type(value).__name__
        raise ValueError(f"kind= has {len(kinds)} kinds for {place}, which is {given}.")
    pairs = enumerate(zip(value, kinds, strict=True))
    return tuple(_seen(inner, kind, f"{place}[{i}]") for i, (inner, kind) in pairs)


# Kinds


def _eigh(values: Native, vectors: Native) -> dict[str, Native]:
    values = _ops(values).cast(values, vectors)  # TensorFlow's are complex where the vectors are
    return {"values": values, "projectors": _projectors(vectors)}


def _eig(values: Native, vectors: Native) -> dict[str, Any]:
    values = _complex(values)
    vectors = _ops(vectors).cast(vectors, values)
    weight = 1 / _ops(vectors).cast(_norms(_swapped(vectors)), values)
    found = []
    for _ in range(_shape(values)[-1]):
        found.append((vectors * weight[..., None, :]) @ _adjoint(vectors))
        weight = weight * values
    return {"power sums": _power_sums(values), "projectors": tuple(found)}


def _svd(u: Native, s: Native, vh: Native) -> dict[str, Any]:
    k = _shape(s)[-1]
    left, right = _swapped(u)[..., :k, :], vh[..., :k, :]
    scale = _ops(s).cast(s, left)
    norms = {"u": scale * _norms(left), "v": scale * _norms(right)}
    return {"values": s, "products": _dyads(scale[..., None] * left, right), "norms": norms}


def _qr(q: Native, r: Native) -> dict[str, Native]:
    k = min(_shape(q)[-2], _shape(r)[-1])
    rows = r[..., :k, :]
    return {"products": _dyads(_swapped(q)[..., :k, :], rows), "norms": _norms(rows)}


def _projectors(vectors: Native) -> Native:
    columns = _swapped(vectors)
    return _dyads(columns, _ops(columns).conjugate(columns))


def _row_projectors(rows: Native) -> Native:
    return _dyads(_ops(rows).conjugate(rows), rows)


def _projector(vectors: Native) -> Native:
    return vectors @ _adjoint(vectors)


def _eigvals(values: Native) -> tuple[Native, ...]:
    return _power_sums(_complex(values))


def _complex(values: Native) -> Native:
    """Return eigenvalues as complex numbers: NumPy's are real where all of them are, and other libraries' never."""
    return values * (1 + 0j)


def _power_sums(values: Native) -> tuple[Native, ...]:
    """Return Σ wʲ for j = 1 to n, an array each, so that large powers do not hide small ones."""
    found, power = [], values * 0 + 1
    for _ in range(_shape(values)[-1]):
        found.append((values[..., None, :] @ power[..., :, None])[..., 0, 0])
        power = power * values
    return tuple(found)


def _dyads(left: Native, right: Native) -> Native:
    """Multiply the rows of two arrays with each other, (..., k, m) and (..., k, n), to matrices (..., k, m, n)."""
    return left[..., :, None] * right[..., None, :]


def _norms(rows: Native) -> Native:
    """Return the squared norm of every row, shape (..., k)."""
    conjugate = _ops(rows).conjugate(rows)
    return (rows[..., None, :] @ conjugate[..., :, None])[..., 0, 0]


def _adjoint(matrix: Native) -> Native:
    return _ops(matrix).conjugate(_swapped(matrix))


def _swapped(matrix: Native) -> Native:
    """Transpose the last two axes."""
    axes = [*range(len(_shape(matrix)))]
    return _ops(matrix).transpose(matrix, [*axes[:-2], axes[-1], axes[-2]])


def _ops(x: Native) -> Any:
    """Return the backend of an array, which transposes, conjugates and casts it.

    Raises:
        TypeError: it is no array, or its backend does not.
    """
    backend = owner(x)
    if backend is None:
        raise TypeError(f"a {type(x).__name__} is no array, and invariants are made of arrays.")
    if not (supports_transpose(backend) and supports_conjugate(backend)):
        raise TypeError(
            f"the backend {backend.name!r} lacks one of the methods transpose, conjugate, cast, which invariants need."
        )
    return backend


def _shape(x: Native) -> tuple[int, ...]:
    return tuple(np.shape(x))


def _values_first(leaves: Sequence[Native]) -> list[Native] | None:
    """Put eigenvalues before eigenvectors; None if that is not what they are."""
    if len(leaves) != 2:
        return None
    values, vectors = sorted(leaves, key=lambda x: len(_shape(x)))
    few, many = _shape(values), _shape(vectors)
    return [values, vectors] if len(many) >= 2 and few == (*many[:-2], many[-1]) else None


def _square(leaves: Sequence[Native]) -> list[Native] | None:
    found = _values_first(leaves)
    return found if found and _shape(found[1])[-1] == _shape(found[1])[-2] else None


def _usv(leaves: Sequence[Native]) -> list[Native] | None:
    """Put singular values between U and the adjoint of V; None if that is not what they are.

    TensorFlow returns the singular values first, and V itself.
    """
    if len(leaves) != 3:
        return None
    u, s, vh = leaves
    if len(_shape(u)) < len(_shape(s)):
        u, s, vh = s, u, leaves[2]
        vh = _adjoint(vh) if len(_shape(vh)) >= 2 else vh
    one, few, two = _shape(u), _shape(s), _shape(vh)
    if len(one) < 2 or len(two) != len(one) or len(few) != len(one) - 1:
        return None
    k = min(one[-2], two[-1])
    return [u, s, vh] if few[-1] == k and one[-1] >= k and two[-2] >= k else None


def _factors(leaves: Sequence[Native]) -> list[Native] | None:
    if len(leaves) != 2:
        return None
    q, r = map(_shape, leaves)
    return list(leaves) if len(q) == len(r) >= 2 and q[-1] == r[-2] else None


def _one_matrix(leaves: Sequence[Native]) -> list[Native] | None:
    return list(leaves) if len(leaves) == 1 and len(_shape(leaves[0])) >= 2 else None


def _one_row(leaves: Sequence[Native]) -> list[Native] | None:
    return list(leaves) if len(leaves) == 1 and len(_shape(leaves[0])) >= 1 else None


def _one(leaves: Sequence[Native]) -> list[Native] | None:
    return list(leaves) if len(leaves) == 1 else None


@dataclass(frozen=True)
class _Kind:
    """One kind of outputs.

    Attributes:
        told: what is compared instead of what, for reports.
        needs: what a function of this kind returns, for errors.
        read: puts the outputs in the order that `reduce` takes, or returns None if they are not of this kind.
        reduce: computes what no gauge changes.
    """

    told: str
    needs: str
    read: Callable[[Sequence[Native]], list[Native] | None]
    reduce: Callable[..., Any]

    def seen(self, name: str, leaves: Sequence[Native], place: str) -> Any:
        for leaf in leaves:
            _ops(leaf)
        found = self.read(leaves)
        if found is None:
            shapes = ", ".join(str(_shape(leaf)) for leaf in leaves) or "nothing"
            raise ValueError(f"kind={name!r} needs {self.needs}; {place} has the shapes {shapes}.")
        return self.reduce(*found)


_KINDS = {
    "eigh": _Kind(
        f"eigenvalues, and projectors onto the eigenvectors instead of the eigenvectors, {SIGN}",
        "two arrays, eigenvalues (..., k) and eigenvectors (..., m, k)",
        _values_first,
        _eigh,
    ),
    "eig": _Kind(
        "power sums of the eigenvalues, and of their projectors, instead of eigenvalues and eigenvectors, which come "
        "in no order, the latter up to phase",
        "two arrays, eigenvalues (..., n) and eigenvectors (..., n, n)",
        _square,
        _eig,
    ),
    "eigvals": _Kind(
        "power sums of the eigenvalues instead of the eigenvalues, which come in no order",
        "one array of one dimension or more",
        _one_row,
        _eigvals,
    ),
    "svd": _Kind(
        f"singular values, and products s u v^H instead of the singular vectors, {SIGN}",
        "three arrays, U, S and V^H (or TensorFlow's S, U and V), with S (..., k) of one axis less",
        _usv,
        _svd,
    ),
    "qr": _Kind(
        f"products of the columns of Q with the rows of R instead of Q and R, {SIGN}",
        "two arrays, Q (..., m, k) and R (..., k, n)",
        _factors,
        _qr,
    ),
    "columns": _Kind(
        f"projectors onto the columns instead of the columns, {SIGN}",
        "one array of two dimensions or more",
        _one_matrix,
        _projectors,
    ),
    "rows": _Kind(
        f"projectors onto the rows instead of the rows, {SIGN}",
        "one array of two dimensions or more",
        _one_matrix,
        _row_projectors,
    ),
    "projector": _Kind(
        "the projector onto the span of the columns instead of the columns, which are one basis of many",
        "one array of two dimensions or more",
        _one_matrix,
        _projector,
    ),
    "unordered": _Kind(
        "power sums instead of the numbers themselves, which come in no order",
        "one array of one dimension or more",
        _one_row,
        _power_sums,
    ),
    "absolute": _Kind(
        f"absolute values instead of the numbers, {SIGN}",
        "one array",
        _one,
        abs,
    ),
}


# For reports


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
    arrays = _KINDS[kind].read(outputs)
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
    read = [_KINDS[kind].read(x) for x in (a, b)]
    if read[0] is None or read[1] is None:
        return False
    if not all(_of_unit_norm(kind, x) for x in read if x is not None):
        return False
    with np.errstate(all="ignore"), suppress(ValueError):  # shapes that do not go together
        if kind == "unordered":
            return _same(*(_ordered(x[0]) for x in read if x is not None))
        one, two = (flatten(_KINDS[kind].reduce(*x))[0] for x in read if x is not None)
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
