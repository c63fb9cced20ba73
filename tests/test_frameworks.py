"""A draw of the functions that the frameworks have in common: what differs has an explanation."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

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


def test_there_are_functions_enough(frameworks: Any) -> None:
    names = [common.name for common in frameworks.functions()]
    assert len(set(names)) == len(names) >= 120


@pytest.mark.parametrize(
    "name",
    [
        "exp",
        "expm1",
        "sinc",
        "abs",
        "gelu",
        "pow",
        "maximum",
        "logaddexp",
        "cumprod",
        "standard deviation",
        "solve",
        "fft",
    ],
)
def test_what_differs_is_explained(frameworks: Any, name: str) -> None:
    (common,) = (c for c in frameworks.functions() if c.name == name)
    for finding in frameworks.compare(common):
        agrees = finding.report.verdict is Verdict.AGREE
        assert agrees or frameworks.explain(finding.name, finding.point), str(finding.report)
