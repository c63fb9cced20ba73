"""The benchmark of Jacobian strategies: its functions are what their formulas say, its page has what it should."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.sparse import issparse
from workloads.cell import RIGHT, WRONG, Cell, First, Line
from workloads.first_results import first_results
from workloads.frameworks import FRAMEWORKS, framework
from workloads.functions import QUICK, workloads
from workloads.page import page
from workloads.picture import draw
from workloads.ratios import every, failures
from workloads.reading import of_whole
from workloads.workload import MEASURED, relative_error

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def strategies() -> Any:
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import strategies
    finally:
        sys.path.remove(str(BENCHMARKS))
    return strategies


@pytest.fixture
def there(backend: Any) -> Any:
    if backend.name not in FRAMEWORKS:
        pytest.skip("no workloads for other backends")
    return framework(backend.name)


@pytest.mark.parametrize("letter", list(QUICK))
def test_the_formula_of_the_derivative_is_right(letter: str) -> None:
    """Differences know nothing of the formulas; all frameworks are held against NumPy's values below."""
    there = framework("numpy")
    (workload,) = (w for w in workloads() if w.letter == letter)
    for size in QUICK[letter]:
        function = workload.of(there, size)
        f, x = function.make(), function.point
        read = of_whole(workload.quantity, np.asarray, x.shape, f(x).shape)
        found = read(there.naive(f, x)())
        assert relative_error(found, function.truth()) < MEASURED / 10


@pytest.mark.parametrize("letter", list(QUICK))
def test_every_framework_has_the_same_function(letter: str, there: Any) -> None:
    if there.name == "jax":
        wide = pytest.importorskip("jax").config.jax_enable_x64
        try:
            _same_values(letter, there)
        finally:
            pytest.importorskip("jax").config.update("jax_enable_x64", wide)
    else:
        _same_values(letter, there)


def _same_values(letter: str, there: Any) -> None:
    (workload,) = (w for w in workloads() if w.letter == letter)
    size = QUICK[letter][0]
    function, known = workload.of(there, size), workload.of(framework("numpy"), size)
    found = there.numpy(function.make()(there.native(function.point)))
    np.testing.assert_allclose(found, known.make()(known.point), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("letter", ["d", "g"])
def test_inputs_of_one_colour_share_no_output(letter: str) -> None:
    (workload,) = (w for w in workloads() if w.letter == letter)
    function = workload.of(framework("numpy"), QUICK[letter][0])
    truth, colours = function.truth(), function.colours
    assert issparse(truth)
    assert colours is not None
    for colour in range(colours.max() + 1):
        assert (abs(truth[:, np.flatnonzero(colours == colour)]) > 0).sum(axis=1).max() <= 1


def test_a_quick_run_is_right_and_writes_its_page(
    strategies: Any, tmp_path: Path, torch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(strategies, "first_results", lambda *given: iter(()))
    monkeypatch.setattr(strategies, "measured_again", lambda *given: None)
    kept = tmp_path / "kept.json"
    arguments = ["--quick", "--only", "d,f", "--backend", "numpy,torch", "--seconds", "0.05", "--longest", "0.1"]
    result = CliRunner().invoke(strategies.main, [*arguments, "--write", "--out", str(tmp_path), "--keep", str(kept)])
    assert result.exit_code in (0, 1), result.output  # ratios of so short runs may be anything
    cells = [Cell.from_dict(cell) for cell in json.loads(kept.read_text())["cells"]]

    assert [(cell.letter, cell.framework) for cell in cells] == [
        ("d", "numpy"), ("d", "torch"), ("f", "numpy"), ("f", "torch"),
    ]  # fmt: skip
    for cell in cells:
        roles = {line.role for line in cell.lines if line.outcome == RIGHT}
        assert {"auto", "native", "strategy", "naive"} <= roles
        assert {"default", "yardstick"} <= roles or cell.framework == "numpy"
        assert not [line for line in cell.lines if line.outcome == WRONG]
        assert max(line.error for line in cell.lines if line.outcome == RIGHT) < MEASURED

    text = (tmp_path / "strategies.md").read_text()
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings[:2] == ["# Strategies for Jacobians, measured", "## What must hold"]
    assert [line for line in headings if line.startswith("## (")] == [
        "## (d) Bratu residual, tridiagonal: sparse",
        "## (f) softmax of rows: batch",
    ]
    assert headings.count("### torch") == 2
    assert "| **xcheck** |" in text
    assert "strategies-d.svg" in text
    assert (tmp_path / "strategies-d.svg").read_bytes().startswith(b"<?xml")


def a_cell() -> Cell:
    lines = [
        Line("xcheck", "auto", RIGHT, median=2e-3, low=1.9e-3, high=2.1e-3, error=0.0),
        Line("one", "native", RIGHT, median=1e-3, low=1e-3, high=1e-3, error=0.0),
        Line("two", "strategy", RIGHT, median=0.5e-3, low=0.5e-3, high=0.5e-3, error=0.0),
        Line("usual", "default", RIGHT, median=1.5e-3, low=1.5e-3, high=1.5e-3, error=0.0),
    ]
    return Cell("a", "a network", "batch", "10", "torch", 10, 40, lines, "one", 0.1)


def test_what_does_not_hold_is_named() -> None:
    lines = failures([a_cell()], [First("torch", "xcheck.jacobian", "small", 4.0, 1.0, 0.0)])
    for what in (
        "choice: the chosen strategy over the fastest: 2,",
        "default: 1.33,",
        "naive evaluation: 4, at most 3",
    ):
        assert any(what in line for line in lines), (what, lines)


def test_what_holds_is_not_named() -> None:
    cell = a_cell()
    cell.lines[0].median, cell.lines[2].median = 1.01e-3, 2e-3
    assert failures([cell], []) == []
    assert len(every([cell], [])) == 3


def test_a_wrong_result_fails_unless_it_is_another_tools() -> None:
    cell = a_cell()
    cell.lines = [
        *cell.lines[:2],
        Line("bad", "strategy", WRONG, "off by 1"),
        Line("other", "peer", WRONG, "off by 2"),
    ]
    found = [line for line in failures([cell], []) if "WRONG" in line]
    assert len(found) == 1
    assert "strategy bad" in found[0]
    assert "other (" not in found[0]
    assert "other, off by 2" in page([cell], [], "command", ["somewhere"], [])


def test_pictures_have_the_same_bytes_again(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    for name in ("one.svg", "two.svg"):
        draw([a_cell()], tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


def test_first_results_are_those_of_a_naive_evaluation(torch: Any) -> None:
    found = list(first_results("torch", 0.02, 0))
    assert len(found) == 6
    assert not [first.reason for first in found if first.reason]
    assert max(first.error for first in found) < 1e-12
