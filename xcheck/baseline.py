"""Baselines: what a check found at a point, in a file that needs no framework to be read.

The file is NumPy's `.npz`: plain arrays, and one JSON text for names, dtypes and versions. It is never unpickled.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xcheck.claim import Claim
from xcheck.judgement import Judgement
from xcheck.protocol import RealArray
from xcheck.space import Space
from xcheck.verdict import Verdict

MAGIC = "xcheck baseline"
"""What the JSON text calls the file."""

FORMAT = 1
"""The format that is written, and the newest that is read."""

TEXT = "about"
"""The name of the JSON text in the file."""


@dataclass(frozen=True, eq=False)
class Recorded:
    """A derivative with what was found of its entries.

    Attributes:
        source: whose it is, such as "torch/vjp".
        quantity: gradient, Jacobian or Jacobian diagonal.
        precision: significand bits of the arithmetic that it was computed in.
        claimed: its entries, inputs first, shape (n, m), user units.
        tolerance: by how much each may differ from the slope of its own values: error bar and rounding, shape (n, m);
            inf where nothing is known.
        verdict: `AGREE`, `DISAGREE`, `INCONCLUSIVE` or `SKIPPED` of `xcheck.judgement`, shape (n, m).
        missing: where the function has no derivative, shape (n, m).
    """

    source: str
    quantity: str
    precision: int
    claimed: RealArray
    tolerance: RealArray
    verdict: NDArray[np.int8]
    missing: NDArray[np.bool_]

    @classmethod
    def of(cls, claim: Claim, claimed: RealArray, judgement: Judgement) -> Recorded:
        """Keep of a judgement what a baseline needs.

        Args:
            claim: whose derivative it is.
            claimed: its entries, shape (n, m).
            judgement: what was found of them.
        """
        tolerance = np.where(np.isfinite(judgement.tolerance), judgement.tolerance, np.inf)
        verdict = np.asarray(judgement.verdict, np.int8)
        return cls(claim.source, claim.quantity, claim.precision, claimed, tolerance, verdict, judgement.missing())


@dataclass(frozen=True, eq=False)
class Pulled:
    """One cotangent pulled back, which stands for a derivative that is too large to be kept whole.

    Attributes:
        source: whose rule pulled it back.
        precision: significand bits of the rule's arithmetic.
        cotangent: shape (m,).
        value: the result, shape (n,).
        allowed: how far rounding may take it, shape (n,).
        verdict: what the check found of this rule.
        limit: an error of this size in an entry of the derivative would have been seen.
    """

    source: str
    precision: int
    cotangent: RealArray
    value: RealArray
    allowed: RealArray
    verdict: Verdict
    limit: float


@dataclass(frozen=True, eq=False)
class Baseline:
    """Values and derivatives of a function at a point, as some process found them.

    Attributes:
        function: how the function was called.
        backend: the framework, such as "torch".
        versions: of xcheck, Python, NumPy and the framework.
        input_space: names, shapes and dtypes of the inputs that varied.
        output_space: those of the outputs.
        x: the point, shape (n,); complex numbers are pairs.
        y: the value there, shape (m,).
        allowed: how far rounding, and a few ulps of the inputs, take the value, shape (m,).
        derivatives: those that were judged entry by entry.
        pulled: what stands for the derivative of a problem that is too large for that; None otherwise.
        random: whether the function drew random numbers.
        verdict: of the check.
        path: the file that it was read from.
        parameters: which of the inputs are parameters of the function, by their names; and what it calls them itself.
    """

    function: str
    backend: str
    versions: Mapping[str, str]
    input_space: Space
    output_space: Space
    x: RealArray
    y: RealArray
    allowed: RealArray
    derivatives: tuple[Recorded, ...] = ()
    pulled: Pulled | None = None
    random: bool = False
    verdict: Verdict = Verdict.INCONCLUSIVE
    path: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def inputs(self) -> dict[str, NDArray[Any]]:
        """The inputs that varied, by name, as NumPy arrays of their shapes and dtypes."""
        return _by_name(self.input_space, self.x)

    @property
    def outputs(self) -> dict[str, NDArray[Any]]:
        """The outputs by name, as NumPy arrays of their shapes and dtypes."""
        return _by_name(self.output_space, self.y)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the baseline to a file, over one that is there.

        Args:
            path: the file, by convention `something.npz`.

        Raises:
            TypeError: `path` is no path.
            OSError: the file cannot be written.
        """
        target = require_path("path", path)
        if not target.parent.is_dir():
            raise FileNotFoundError(f"path={str(path)!r} cannot be written: there is no folder {str(target.parent)!r}.")
        arrays: dict[str, Any] = {"x": self.x, "y": self.y, "allowed": self.allowed}
        for k, record in enumerate(self.derivatives):
            arrays |= {f"{name}_{k}": getattr(record, name) for name in ("claimed", "tolerance", "verdict", "missing")}
        if self.pulled is not None:
            arrays |= {f"pulled_{name}": getattr(self.pulled, name) for name in ("cotangent", "value", "allowed")}
        arrays[TEXT] = np.array(json.dumps(self._about()))
        with target.open("wb") as file:  # np.savez would add an ending of its own to a name
            np.savez_compressed(file, **arrays)

    def _about(self) -> dict[str, Any]:
        pulled = self.pulled
        return {
            "what": MAGIC,
            "format": FORMAT,
            "function": self.function,
            "backend": self.backend,
            "versions": dict(self.versions),
            "inputs": _described(self.input_space),
            "outputs": _described(self.output_space),
            "parameters": dict(self.parameters),
            "derivatives": [
                {"source": d.source, "quantity": d.quantity, "precision": d.precision} for d in self.derivatives
            ],
            "pulled": pulled
            and {
                "source": pulled.source,
                "precision": pulled.precision,
                "verdict": pulled.verdict.value,
                "limit": pulled.limit if np.isfinite(pulled.limit) else None,
            },
            "random": self.random,
            "verdict": self.verdict.value,
        }


def require_path(argument: str, path: object) -> Path:
    """Read the path of a baseline.

    Args:
        argument: what errors call it.
        path: what was given.

    Raises:
        TypeError: it is no path.
    """
    if isinstance(path, (str, os.PathLike)) and isinstance(os.fspath(path), str) and str(path):
        return Path(path)
    given = "an empty string" if path == "" else type(path).__name__
    also = ", or what xcheck.load_baseline returned" if argument == "baseline" else ""
    raise TypeError(f"{argument} must be the path of a file, a str or pathlib.Path{also}; given: {given}.")


def _described(space: Space) -> list[dict[str, Any]]:
    return [{"name": b.name, "shape": list(b.shape), "dtype": b.dtype.name} for b in space.blocks]


def _by_name(space: Space, vector: RealArray) -> dict[str, NDArray[Any]]:
    return {block.name: np.array(array) for block, array in zip(space.blocks, space.unpack(vector), strict=True)}
