"""A draw of the functions that the frameworks have in common: what differs has an explanation."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from xcheck.verdict import Verdict

for framework in ("torch", "jax", "tensorflow"):
    pytest.importorskip(framework)

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def frameworks() -> Any:
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import frameworks
    finally:
        sys.path.remove(str(BENCHMARKS))
    return frameworks


def find(frameworks: Any, name: str) -> Any:
    (common,) = (c for c in frameworks.functions() if c.name == name)
    return common


def test_there_are_functions_enough(frameworks: Any) -> None:
    names = [common.name for common in frameworks.functions()]
    assert len(set(names)) == len(names) >= 180


DRAWN = (
    "exp",
    "expm1",
    "sinc",
    "abs",
    "gelu",
    "pow",
    "maximum",
    "logaddexp",
    "remainder",
    "cumprod",
    "standard deviation",
    "solve",
    "determinant",
    "fft",
    "transposed convolution",
    "bicubic resizing",
    "binary cross-entropy with a weight of positives",
    "product by segment",
)


@pytest.mark.parametrize("name", DRAWN)
def test_what_differs_is_explained_and_blame_is_true(frameworks: Any, name: str) -> None:
    found = list(frameworks.compare(find(frameworks, name)))
    assert frameworks.problems(found) == []


@pytest.mark.parametrize(("name", "seed", "dtype"), [("remainder", 2, "float64"), ("softsign", 1, "float32")])
def test_other_points_agree(frameworks: Any, name: str, seed: int, dtype: str) -> None:
    common = find(frameworks, name)
    points = frameworks.drawn(common, seed, dtype)
    assert {x.dtype.name for inputs in points.values() for x in inputs} == {dtype}
    assert any((a != b).any() for a, b in zip(points["ordinary"], common.points["ordinary"], strict=True))
    (finding,) = (f for f in frameworks.compare(common, seed, dtype) if f.point == "ordinary")
    assert finding.report.verdict is Verdict.AGREE, str(finding.report)


def test_points_that_float32_does_not_hold_are_left_out(frameworks: Any) -> None:
    assert "tail 0" not in frameworks.drawn(find(frameworks, "reciprocal"), 0, "float32")


def test_a_difference_without_explanation_is_a_problem(frameworks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = list(frameworks.compare(find(frameworks, "sinc")))
    monkeypatch.delitem(frameworks.WHY, ("sinc", "kink"))
    assert "unexplained: sinc (kink)" in frameworks.problems(found)


def test_an_explanation_of_nothing_is_a_problem(frameworks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = list(frameworks.compare(find(frameworks, "sinc")))
    monkeypatch.setattr(frameworks, "FOUND", ())
    for key in [key for key in frameworks.WHY if key != ("sinc", "kink")]:
        monkeypatch.delitem(frameworks.WHY, key)
    assert frameworks.problems(found, whole=True) == []
    monkeypatch.setitem(frameworks.WHY, ("sinc", "ordinary"), "was true once")
    assert frameworks.problems(found, whole=True) == ["explains nothing any more: sinc (ordinary)"]


def test_blame_that_mpmath_contradicts_is_a_problem(frameworks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = list(frameworks.compare(find(frameworks, "logaddexp")))
    assert frameworks.problems(found) == []
    monkeypatch.setattr(frameworks, "truth", lambda *_: 1.0)  # as if TensorFlow's 1 were right
    assert any(line.startswith("blamed though it is right: tensorflow") for line in frameworks.problems(found))
    monkeypatch.setattr(frameworks, "truth", lambda *_: None)
    assert any(line.startswith("blamed without a true value") for line in frameworks.problems(found))


def test_problems_end_in_exit_status_1(frameworks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run = CliRunner().invoke
    assert run(frameworks.main, ["--only", "sinc"]).exit_code == 0
    monkeypatch.delitem(frameworks.WHY, ("sinc", "kink"))
    assert run(frameworks.main, ["--only", "sinc"]).exit_code == 1


def test_what_was_found_in_the_frameworks_is_still_so(frameworks: Any) -> None:
    assert [entry.what for entry in frameworks.FOUND if not entry.reproduces()] == []
