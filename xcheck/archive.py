"""Baselines read from files: what is damaged, or of another kind, is named, and nothing in the file is executed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any
from zipfile import BadZipFile
from zlib import error as BadStream

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from xcheck.baseline import FORMAT, MAGIC, TEXT, Baseline, Pulled, Recorded, require_path
from xcheck.judgement import AGREE, DISAGREE, INCONCLUSIVE, SKIPPED
from xcheck.protocol import RealArray
from xcheck.raised import first_line
from xcheck.space import PRECISION, Block, Space
from xcheck.verdict import Verdict

BROKEN = (ValueError, KeyError, TypeError, AttributeError, EOFError, OSError, BadZipFile, BadStream)
"""What reading a file raises that is damaged, or another kind of file."""


def load_baseline(path: str | PathLike[str]) -> Baseline:
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
    source = require_path(argument, path)
    given = f"{argument}={str(path)!r}"
    if not source.is_file():
        kind = "a folder, not a file" if source.is_dir() else "no file"
        raise FileNotFoundError(f"{given} is {kind}. xcheck.check(f, x).save_baseline({str(path)!r}) makes one.")
    with _opened(given, source) as archive:
        about = _read_about(given, archive)
        try:
            return _read(about, archive, str(path))
        except BROKEN as error:
            raise ValueError(f"{given} is a damaged baseline: {first_line(error).rstrip('.')}.") from error


@contextmanager
def _opened(given: str, path: Path) -> Iterator[Mapping[str, NDArray[Any]]]:
    other = f"{given} is no baseline of xcheck; accepted: what report.save_baseline(path) wrote."
    with path.open("rb") as file:  # np.load leaves a damaged one open
        try:
            archive = np.load(file, allow_pickle=False)
        except BROKEN as error:
            raise ValueError(f"{other} ({first_line(error).rstrip('.')})") from error
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
        raise ValueError(
            f"{given} is no baseline of xcheck, or a damaged one: {first_line(error).rstrip('.')}."
        ) from error
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
