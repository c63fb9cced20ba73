"""Baselines: what a check found at a point, in a file that needs no framework to be read.

The file is NumPy's `.npz`: plain arrays, and one JSON text for names, dtypes and versions. It is never unpickled.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile
from zlib import error as BadStream

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from xcheck.claim import Claim
from xcheck.judgement import AGREE, DISAGREE, INCONCLUSIVE, SKIPPED, Judgement
from xcheck.protocol import RealArray
from xcheck.space import PRECISION, Block, Space
from xcheck.verdict import Verdict

MAGIC = "xcheck baseline"
"""What the JSON text calls the file."""

FORMAT = 1
"""The format that is written, and the newest that is read."""

TEXT = "about"
"""The name of the JSON text in the file."""

BROKEN = (ValueError, KeyError, TypeError, AttributeError, EOFError, OSError, BadZipFile, BadStream)
"""What reading a file raises that is damaged, or another kind of file."""


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
        target = _require_path("path", path)
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


def load_baseline(path: str | os.PathLike[str]) -> Baseline:
    """Read a baseline, such as for its inputs: `check(f, *load_baseline(path).inputs.values(), baseline=path)`.

    Nothing in the file is executed: it is read with `allow_pickle=False`.

    Args:
        path: a file that `Report.save_baseline` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        TypeError: `path` is no path.
        ValueError: it is no baseline, is damaged, or was written in a newer format than this version reads.
    """
    return _load("path", path)


def read_baseline(baseline: object) -> Baseline:
    """Read the argument `baseline=`: a path, or a baseline that was read before.

    Raises:
        FileNotFoundError: there is no such file.
        TypeError: it is neither.
        ValueError: the file is no baseline.
    """
    return baseline if isinstance(baseline, Baseline) else _load("baseline", baseline)


def _load(argument: str, path: object) -> Baseline:
    source = _require_path(argument, path)
    given = f"{argument}={str(path)!r}"
    if not source.is_file():
        kind = "a folder, not a file" if source.is_dir() else "no file"
        raise FileNotFoundError(f"{given} is {kind}. xcheck.check(f, x).save_baseline({str(path)!r}) makes one.")
    with _opened(given, source) as archive:
        about = _read_about(given, archive)
        try:
            return _read(about, archive, str(path))
        except BROKEN as error:
            raise ValueError(f"{given} is a damaged baseline: {_first_line(error)}.") from error


@contextmanager
def _opened(given: str, path: Path) -> Iterator[Mapping[str, NDArray[Any]]]:
    other = f"{given} is no baseline of xcheck; accepted: what report.save_baseline(path) wrote."
    with path.open("rb") as file:  # np.load leaves a damaged one open
        try:
            archive = np.load(file, allow_pickle=False)
        except BROKEN as error:
            raise ValueError(f"{other} ({_first_line(error)})") from error
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ValueError(f"{other} (it holds a lone array)")
        with archive:
            if TEXT not in archive.files:
                raise ValueError(f"{other} (it holds {', '.join(archive.files[:5]) or 'nothing'})")
            yield archive


def _read_about(given: str, archive: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    try:
        about = json.loads(str(archive[TEXT][()]))
        if about["what"] != MAGIC:
            raise ValueError(f"it calls itself {about['what']!r}")
        newest = int(about["format"])
    except BROKEN as error:
        raise ValueError(f"{given} is no baseline of xcheck, or a damaged one: {_first_line(error)}.") from error
    if newest > FORMAT:
        by = dict(about.get("versions") or {}).get("xcheck", "a newer version")
        raise ValueError(
            f"{given} is of format {newest}, written by xcheck {by}; this version reads formats up to {FORMAT}. "
            "Update xcheck, or save the baseline again."
        )
    return dict(about)


def _read(about: Mapping[str, Any], archive: Mapping[str, NDArray[Any]], path: str) -> Baseline:
    inputs, outputs = _space(about["inputs"]), _space(about["outputs"])
    n, m = inputs.size, outputs.size
    records = []
    for k, told in enumerate(about["derivatives"]):
        claimed, tolerance = (_reals(archive, f"{name}_{k}", (n, m)) for name in ("claimed", "tolerance"))
        verdict = _array(archive, f"verdict_{k}", (n, m), np.int8)
        if not np.all(np.isin(verdict, (AGREE, DISAGREE, INCONCLUSIVE, SKIPPED))):
            raise ValueError(f"verdict_{k} holds numbers that are no verdict")
        missing = _array(archive, f"missing_{k}", (n, m), np.bool_)
        names = str(told["source"]), str(told["quantity"]), _bits(told["precision"])
        records.append(Recorded(*names, claimed, tolerance, verdict, missing))
    pulled, told = None, about["pulled"]
    if told is not None:
        pulled = Pulled(
            str(told["source"]),
            _bits(told["precision"]),
            _reals(archive, "pulled_cotangent", (m,)),
            _reals(archive, "pulled_value", (n,)),
            _reals(archive, "pulled_allowed", (n,)),
            Verdict(told["verdict"]),
            float("inf") if told["limit"] is None else float(told["limit"]),
        )
    return Baseline(
        str(about["function"]),
        str(about["backend"]),
        {str(name): str(number) for name, number in about["versions"].items()},
        inputs,
        outputs,
        _reals(archive, "x", (n,)),
        _reals(archive, "y", (m,)),
        _reals(archive, "allowed", (m,)),
        tuple(records),
        pulled,
        bool(about["random"]),
        Verdict(about["verdict"]),
        path,
        _parameters(about, inputs),
    )


def _parameters(about: Mapping[str, Any], inputs: Space) -> dict[str, str]:
    """Read which inputs are parameters; files that were written before that was kept do not tell."""
    found = {str(name): str(own) for name, own in dict(about.get("parameters", {})).items()}
    unknown = [name for name in found if name not in {block.name for block in inputs.blocks}]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is said to be a parameter, and no input has that name")
    return found


def _reals(archive: Mapping[str, NDArray[Any]], name: str, shape: tuple[int, ...]) -> RealArray:
    return _array(archive, name, shape, np.float64)


def _array(archive: Mapping[str, NDArray[Any]], name: str, shape: tuple[int, ...], dtype: type) -> NDArray[Any]:
    array = archive[name]
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(
            f"{name} has shape {array.shape} and dtype {array.dtype}, where {shape} and {np.dtype(dtype)} are due"
        )
    return array


def _bits(number: Any) -> int:
    if number not in PRECISION.values():
        raise ValueError(f"{number!r} is the precision of no dtype")
    return int(number)


def _described(space: Space) -> list[dict[str, Any]]:
    return [{"name": b.name, "shape": list(b.shape), "dtype": b.dtype.name} for b in space.blocks]


def _space(described: Sequence[Mapping[str, Any]]) -> Space:
    blocks: list[Block] = []
    for d in described:
        start = blocks[-1].slice.stop if blocks else 0
        blocks.append(Block(str(d["name"]), tuple(int(k) for k in d["shape"]), _dtype(str(d["dtype"])), start))
    return Space(tuple(blocks))


def _dtype(name: str) -> np.dtype[Any]:
    if name not in PRECISION:
        raise ValueError(f"{name!r} is no dtype with derivatives")
    return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


def _by_name(space: Space, vector: RealArray) -> dict[str, NDArray[Any]]:
    return {block.name: np.array(array) for block, array in zip(space.blocks, space.unpack(vector), strict=True)}


def _require_path(argument: str, path: object) -> Path:
    if isinstance(path, (str, os.PathLike)) and isinstance(os.fspath(path), str) and str(path):
        return Path(path)
    given = "an empty string" if path == "" else type(path).__name__
    also = ", or what xcheck.load_baseline returned" if argument == "baseline" else ""
    raise TypeError(f"{argument} must be the path of a file, a str or pathlib.Path{also}; given: {given}.")


def _first_line(error: BaseException) -> str:
    text = str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
    return f"{text} is missing" if isinstance(error, KeyError) else text
