"""Every file in examples/ runs, prints what stands in it, and ends as it says."""

from __future__ import annotations

import contextlib
import io
import re
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest

from xcheck.verdict import Verdict

EXAMPLES = Path(__file__).parents[1] / "examples"
QUESTIONS = sorted(path.name for path in EXAMPLES.glob("*.py"))
SHOWN = "# >"
"""Begins a line of an example that is printed."""

HEAD = re.compile(r"^\S.*: (AGREE|DISAGREE|INCONCLUSIVE)$")
"""Begins a report."""

VARIES = re.compile(
    r"(?<=± )[\d.e+-]+|(?<=an error of )[\d.e+-]+ \([\d.e+-]+|^  cost .*|\b\d+ of them settled.*|\b(\d+ digits|same)\b",
    re.MULTILINE,
)
"""What depends on the machine: error bars, limits, time, how many digits frameworks share."""


def shown(text: str) -> list[str]:
    """Return what an example says that it prints."""
    return [line[len(SHOWN) :].removeprefix(" ") for line in text.splitlines() if line.startswith(SHOWN)]


def without_what_varies(lines: list[str]) -> list[str]:
    """Return the words, sorted: a matrix is as wide as its digits, and where it is too wide it wraps."""
    text = "\n".join(line for line in lines if not line.startswith("  cost"))
    return sorted(VARIES.sub("", text).split())


@pytest.fixture
def _as_a_script(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give back what scripts change: Keras' default dtype. Compare all entries, however slow the machine is."""
    monkeypatch.setattr("xcheck.budget.SECONDS", 1e6)
    keras = pytest.importorskip("keras")
    before, policy = keras.config.floatx(), keras.config.dtype_policy()
    yield
    keras.config.set_floatx(before)
    keras.config.set_dtype_policy(policy)


@pytest.mark.usefixtures("_as_a_script")
@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("name", QUESTIONS)
def test_an_example_prints_what_stands_in_it(name: str) -> None:
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    for framework in ("torch", "jax", "tensorflow", "keras", "scipy"):
        if re.search(rf"^(import|from) {framework}\b", text, re.MULTILINE):
            pytest.importorskip(framework)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    assert without_what_varies(printed.getvalue().splitlines()) == without_what_varies(shown(text))


@pytest.mark.usefixtures("_as_a_script")
def test_the_ported_model_is_compared_in_few_lines() -> None:
    for framework in ("torch", "jax", "tensorflow"):
        pytest.importorskip(framework)
    import keras

    if keras.backend.backend() != "tensorflow":
        pytest.skip("Keras runs on another framework")
    found = runpy.run_path(str(EXAMPLES / "ported_model.py"))
    assert found["report"].verdict is Verdict.AGREE
    assert found["wrong"].verdict is Verdict.DISAGREE
    assert "jax's parameters are others: 4.weight[" in str(found["wrong"])
    text = (EXAMPLES / "ported_model.py").read_text(encoding="utf-8")
    own = text.partition("# From here on it is xcheck's")[2].partition("print(report)")[0]
    assert len(own.splitlines()) < 20


@pytest.mark.parametrize("name", [name for name in QUESTIONS if name != "ported_model.py"])
def test_an_example_goes_from_a_verdict_to_agreement(name: str) -> None:
    verdicts = [
        line.rpartition(": ")[2] for line in shown((EXAMPLES / name).read_text(encoding="utf-8")) if HEAD.match(line)
    ]
    assert verdicts[-1] == "AGREE"
    assert len(verdicts) > 1
