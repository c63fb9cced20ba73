"""Every file in examples/ runs, and ends as it says."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

from xcheck.verdict import Verdict

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def _floatx() -> Any:
    keras = pytest.importorskip("keras")
    before = keras.config.floatx()
    yield
    keras.config.set_floatx(before)


@pytest.mark.usefixtures("_floatx")
def test_a_ported_model() -> None:
    for framework in ("torch", "jax", "tensorflow"):
        pytest.importorskip(framework)
    import keras

    if keras.backend.backend() != "tensorflow":
        pytest.skip("Keras runs on another framework")
    found = runpy.run_path(str(EXAMPLES / "ported_model.py"))
    assert found["report"].verdict is Verdict.AGREE
    assert found["wrong"].verdict is Verdict.DISAGREE
    assert "jax's parameters are others: 4.weight[" in str(found["wrong"])
    text = (EXAMPLES / "ported_model.py").read_text()
    own = text.partition("# From here on it is xcheck's")[2].partition("print(report)")[0]
    assert len(own.splitlines()) < 20
