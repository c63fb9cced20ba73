"""The command line: verdicts as exit codes, and messages for what it cannot use."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import xcheck
from xcheck import demo, registry, versions
from xcheck.cli import main
from xcheck.demos import Case

ROOT = Path(__file__).parent.parent

MODEL = """
import numpy as np

SCALE = np.array([1.0, 2.0, 4.0])
TEXT = "no function"

def cost(x):
    return (SCALE * x**2).sum()

def cost_gradient(x):
    return 2 * SCALE * x

def wrong_gradient(x):
    return 2 * SCALE * x * np.array([1.0, 1.01, 1.0])

def cost_and_gradient(x):
    return cost(x), cost_gradient(x)

def kink(x):
    return np.abs(x).sum()

def sign(x):
    return np.sign(x)

def weighted(x, w, power=2):
    return (w * x**power).sum()

def weighted_gradient(x, w, power=2):
    return w * power * x**(power - 1)

def fails(x):
    raise RuntimeError("no such luck")

class Square:
    @staticmethod
    def value(x):
        return x @ x

    @staticmethod
    def slope(x):
        return 2 * x
"""


@pytest.fixture
def model(tmp_path: Path) -> str:
    path = tmp_path / "model.py"
    path.write_text(MODEL)
    return str(path)


@pytest.fixture(autouse=True)
def nothing_stays_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Take back what the command line does to its own process: the search path, and the modules it loaded."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def flat(result: Result) -> str:
    """Everything that was printed, without the wrapping."""
    return " ".join(result.output.split())


@pytest.mark.parametrize(
    ("function", "at", "options", "code", "word"),
    [
        ("cost", "np.ones(3)", ["--gradient", "cost_gradient"], 0, "AGREE"),
        ("cost", "np.ones(3)", ["--gradient", "wrong_gradient"], 1, "DISAGREE"),
        ("kink", "np.zeros(2)", ["--gradient", "sign"], 3, "INCONCLUSIVE"),
        ("cost_and_gradient", "SCALE", ["--has-gradient"], 0, "AGREE"),
        ("cost", "randn(3)", ["--jacobian", "cost_gradient"], 0, "AGREE"),
    ],
)
def test_the_exit_code_is_the_verdict(
    model: str, function: str, at: str, options: list[str], code: int, word: str
) -> None:
    result = run("check", f"{model}:{function}", "--at", at, *options)
    assert result.exit_code == code, result.output
    assert word in result.output.splitlines()[0]


def test_a_wrong_entry_is_named_as_the_user_wrote_it(model: str) -> None:
    result = run("check", f"{model}:cost", "--at", "np.ones(3)", "--gradient", "wrong_gradient")
    assert "d x[1]" in result.output
    assert "d x[0]" not in result.output


def test_power_is_shown_below_the_report(model: str) -> None:
    arguments = ["check", f"{model}:Square.value", "--gradient", "Square.slope", "--power", "--at"]
    result = run(*arguments, "np.ones(2)")
    assert result.exit_code == 0
    assert "the stated limits hold" in result.output
    assert json.loads(run(*arguments, "np.ones(1)", "--format", "json").stdout)["power"]["holds"] is True


def test_power_of_nothing_is_left_away(model: str) -> None:
    result = run("check", f"{model}:kink", "--at", "np.zeros(2)", "--gradient", "sign", "--power")
    assert result.exit_code == 3
    assert "limits" not in result.output


def test_json_is_the_report(model: str) -> None:
    result = run("check", f"{model}:cost", "--at", "rand(3)", "--gradient", "wrong_gradient", "--format", "json")
    assert result.exit_code == 1
    told = json.loads(result.output)
    assert told["verdict"] == "disagree"
    assert told["comparisons"][0]["wrong"] == 1


def test_inputs_may_be_keywords_and_only_some_may_be_checked(model: str) -> None:
    point = ["--at", "rand(3)", "--at", "w=SCALE", "--at", "power = 3"]
    result = run("check", f"{model}:weighted", *point, "--wrt", "x", "--gradient", "weighted_gradient")
    assert result.exit_code == 0, result.output
    assert "w: held constant" in result.output


def test_the_seed_chooses_the_point(model: str) -> None:
    def claimed(seed: str) -> Any:
        options = ["--gradient", "wrong_gradient", "--format", "json", "--seed", seed]
        result = run("check", f"{model}:cost", "--at", "randn(3)", *options)
        return json.loads(result.output)["comparisons"][0]["worst"][0]["claimed"]

    assert claimed("1") == claimed("1")
    assert claimed("1") != claimed("2")


def test_a_module_is_imported_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model_of_cwd.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    result = run("check", "model_of_cwd:cost", "--at", "np.ones(3)", "--gradient", "cost_gradient")
    assert result.exit_code == 0, result.output


def test_a_function_may_sit_in_a_class(model: str) -> None:
    result = run("check", f"{model}:Square.value", "--at", "np.ones(2)", "--gradient", "Square.slope")
    assert result.exit_code == 0, result.output


def test_a_file_named_as_a_loaded_module_leaves_that_module_alone(tmp_path: Path) -> None:
    import random

    (tmp_path / "random.py").write_text(MODEL)
    result = run("check", f"{tmp_path / 'random.py'}:cost", "--at", "np.ones(3)", "--gradient", "cost_gradient")
    assert result.exit_code == 0, result.output
    assert sys.modules["random"] is random


def test_the_backend_is_inferred_from_the_point(torch: Any, tmp_path: Path) -> None:
    (tmp_path / "op.py").write_text("import torch\n\ndef op(x):\n    return x.sin()\n")
    point = "torch.ones(2, dtype=torch.float64)"
    result = run("check", f"{tmp_path / 'op.py'}:op", "--at", point)
    assert result.exit_code == 0, result.output
    assert "torch/vjp" in result.output


def test_a_function_that_raises_was_not_run(model: str) -> None:
    result = run("check", f"{model}:fails", "--at", "np.array([0.5, 0.25])", "--gradient", "sign")
    assert result.exit_code == 3
    assert "RuntimeError: no such luck" in result.output
    assert "0.25" in flat(result)


def test_a_function_that_raises_is_told_in_json(model: str) -> None:
    result = run("check", f"{model}:fails", "--at", "np.ones(2)", "--gradient", "sign", "--format", "json")
    assert result.exit_code == 3
    told = json.loads(result.output)
    assert told["verdict"] is None
    assert told["error"]["type"] == "RuntimeError"
    assert told["error"]["notes"]


def test_a_file_that_raises_was_not_run(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("1 / 0\n")
    result = run("check", f"{tmp_path / 'broken.py'}:f", "--at", "1.0")
    assert result.exit_code == 3
    assert "ZeroDivisionError" in result.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["{model}"], ["has no file or module", "path/to/file.py:function"]),
        (["{model}:"], ["has no function", "path/to/file.py:function"]),
        (["nowhere.py:f"], ["there is no file 'nowhere.py'", "module:function"]),
        (["no_such_module_anywhere:f"], ["there is no module 'no_such_module_anywhere'", "module:function"]),
        (["{model}:nothing"], ["'nothing' names nothing in model.py", "cost_gradient", "kink"]),
        (["{model}:TEXT"], ["is a str, not a function"]),
        (["{model}:cost", "--at", "ones(3)"], ["--at 'ones(3)' raised NameError", "randn(*shape)"]),
        (["{model}:cost", "--at", "np.ones("], ["--at 'np.ones('", "SyntaxError"]),
        (["{model}:cost", "--at", "rand(3)", "--gradient", "slope"], ["--gradient 'slope'", "cost_gradient"]),
        (["{model}:cost", "--at", "rand(3)", "--backend", "tourch"], ["'tourch'", "'torch'", "'numpy'"]),
        (["{model}:cost", "--at", "rand(3)", "--wrt", "y", "--gradient", "cost_gradient"], ["wrt='y'", "names x"]),
        (["{model}:cost"], ["no inputs"]),
        (["{model}:cost", "--format", "yaml"], ["'text', 'json'"]),
    ],
)
def test_what_cannot_be_used_is_named_with_what_is_accepted(model: str, arguments: list[str], told: list[str]) -> None:
    result = run("check", *(argument.format(model=model) for argument in arguments))
    assert result.exit_code == 2, result.output
    for words in told:
        assert words in flat(result)


def test_an_absent_framework_is_a_usage_error_with_its_command(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "find_spec", lambda name: None)
    result = run("check", f"{model}:cost", "--at", "rand(3)", "--backend", "jax")
    assert result.exit_code == 2, result.output
    assert "pip install jax" in result.output


def test_the_version_is_the_packages() -> None:
    result = run("--version")
    assert result.exit_code == 0
    assert xcheck.__version__ in result.output


def test_the_demo_gets_the_verdicts_it_promises() -> None:
    result = run("demo")
    assert result.exit_code == 0, result.output
    for heading in ("AGREE", "DISAGREE", "INCONCLUSIVE", "fails with matrices"):
        assert heading in result.output
    assert "UNEXPECTED" not in result.output


def test_the_demo_leaves_out_what_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "_is_installed", lambda name: name == "numpy")
    result = run("demo")
    assert result.exit_code == 0, result.output
    for name in ("torch", "jax", "tensorflow"):
        assert f"to see it: pip install {name}" in result.output
        assert f"the code: xcheck.demos.{name}_" not in result.output


def test_the_demo_fails_on_a_verdict_that_it_did_not_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    from xcheck.demos import numpy_

    case = numpy_.cases()[0]
    lying = Case(case.title, case.look, "disagree", case.function, case.inputs, case.options)
    monkeypatch.setattr(numpy_, "cases", lambda: [lying])
    monkeypatch.setattr(demo, "_is_installed", lambda name: name == "numpy")
    result = run("demo")
    assert result.exit_code == 1
    assert "UNEXPECTED" in result.output


def test_the_doctor_names_every_backend() -> None:
    result = run("doctor")
    assert result.exit_code == 0
    for words in ("xcheck", "python", "numpy", *xcheck.backends()):
        assert words in result.output


def test_show_versions_prints_where_it_is_told() -> None:
    out = io.StringIO()
    xcheck.show_versions(out)
    assert xcheck.__version__ in out.getvalue()
    assert "numpy" in out.getvalue()


class Chatty:
    """A third party's backend that tells about itself."""

    def describe(self) -> dict[str, str]:
        return {"devices": "one abacus"}


class Broken:
    """A backend whose framework cannot be imported."""

    def __init__(self) -> None:
        raise ImportError("its library is missing a symbol")


class Silent:
    """A backend without `describe`."""


def test_the_doctor_asks_adapters_to_describe_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    class Entry:
        dist = None

        def __init__(self, kind: type) -> None:
            self.name, self.value, self.load = kind.__name__, f"somewhere:{kind.__name__}", lambda: kind

    monkeypatch.setattr(versions, "entry_points", lambda group: [Entry(kind) for kind in (Chatty, Broken, Silent)])
    found = versions.collect_versions(describe=True)
    assert found["backends"]["Chatty"] == "somewhere:Chatty"
    assert found["Chatty"] == {"devices": "one abacus"}
    assert found["Broken"] == {"broken": "ImportError: its library is missing a symbol"}
    assert "does not tell" in found["Silent"]["settings"]


def test_an_absent_framework_comes_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "find_spec", lambda name: None)
    entry = EntryPoint("jax", "xcheck_backends.jax_:JaxBackend", "xcheck.backends")
    monkeypatch.setattr(versions, "entry_points", lambda group: [entry])
    found = versions.collect_versions(describe=True)
    assert found["backends"] == {"jax": "not installed (pip install jax)"}
    assert "jax" not in found


def test_nobody_is_told_to_install_the_unrelated_package() -> None:
    """`xcheck` on PyPI is somebody else's."""
    unwanted = re.compile(r"pip install\s+(-\S+\s+)*['\"]?xcheck(?!-autodiff)\b")
    files = [*ROOT.glob("*.*"), *ROOT.glob("xcheck/**/*.py"), *ROOT.glob("backends/**/*.py"), *ROOT.glob("docs/**/*")]
    texts = {path: path.read_text(encoding="utf-8", errors="replace") for path in files if path.is_file()}
    assert texts
    assert [str(path) for path, text in texts.items() if unwanted.search(text)] == []
