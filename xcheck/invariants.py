"""Invariants: outputs that are defined up to sign, phase, order or basis, seen through numbers that are not.

Eigenvectors, singular vectors and QR factors are one choice of many, and every library makes its own. What is compared
instead is computed from the outputs in their own framework, so that its derivatives follow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from xcheck.axes import Arranged
from xcheck.kinds import KINDS
from xcheck.pytree import flatten

Kinds: TypeAlias = Any
"""The name of a kind, None for outputs that stay as they are, or a mapping or sequence of these."""


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
        said = [f"{KINDS[kind].told}{f' ({place})' if place != 'out' else ''}" for place, kind in _places(self.kinds)]
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
        if kinds not in KINDS:
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
        f"Accepted: {', '.join(map(repr, KINDS))}, or a tree of them laid out as the outputs, None for any that stay."
    )


def _seen(value: Any, kinds: Kinds, place: str) -> Any:
    """Replace the outputs that a tree of kinds speaks of."""
    if kinds is None:
        return value
    if isinstance(kinds, str):
        return KINDS[kinds].seen(kinds, flatten(value)[0], place)
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
