"""Benchmarks of real functions: what is wrong, not valid or refused is told and never ranked, and the others run."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import xcheck
from xcheck.benchmarking import lineup, running
from xcheck.benchmarking.case import Case
from xcheck.benchmarking.contender import NotTried
from xcheck.benchmarking.lineup import Lineup
from xcheck.benchmarking.measuring import Measuring
from xcheck.benchmarking.ranking import Block
from xcheck.benchmarking.report import BenchmarkReport
from xcheck.benchmarking.row import AUTO, Outcome, Row
from xcheck.cli import main
from xcheck.strategies import trial
from xcheck.strategies.certificate import Plain
from xcheck.verdict import Verdict

QUICK = {"seconds": 0.02, "progress": False}
X = np.random.default_rng(3).uniform(0.5, 1.5, 5)


def benchmark(f: Any, *inputs: Any, **options: Any) -> BenchmarkReport:
    return xcheck.benchmark(f, *inputs, **{**QUICK, **options})


def named(report: BenchmarkReport, part: str) -> list[Row]:
    found = [row for row in report.rows if part in row.strategy]
    assert found, f"no strategy has {part!r} in its name"
    return found


def outcomes(report: BenchmarkReport) -> set[Outcome]:
    """The outcomes of what was tried."""
    return {row.outcome for row in report.rows} - {Outcome.NOT_TRIED}


def only(report: BenchmarkReport) -> Block:
    (block,) = report.blocks
    return block


def strictly_read(report: BenchmarkReport) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    return json.loads(report.to_json(), parse_constant=refuse)


@pytest.fixture(autouse=True)
def quick(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time little, and look up versions only where they are what a test is about."""
    monkeypatch.setattr(trial, "RACE", 0.005)
    if "surroundings" not in request.node.name:
        monkeypatch.setattr(running, "surroundings", lambda _: {})


# Right ones


def test_every_strategy_of_a_right_function_is_right_and_ranked(backend: Any) -> None:
    xp = backend.namespace()
    report = benchmark(lambda x: xp.tanh(x) * x[0], backend.from_numpy(X), compiled=False)
    assert outcomes(report) == {Outcome.RIGHT}, str(report)
    assert AUTO in {row.strategy for row in report.rows}
    assert all("compiled=False" in row.reason for row in report.rows if row.outcome is Outcome.NOT_TRIED)
    assert only(report).fastest is not None
    assert report.verdict is Verdict.AGREE
    assert strictly_read(report)["rows"]


def test_the_naive_loop_is_known_and_evaluations_are_counted(torch: Any) -> None:
    report = benchmark(torch.sin, torch.from_numpy(X))
    naive = only(report).naive
    assert naive is not None
    assert (naive.products, naive.calls) == ("5 vjp", 1)
    (pushed,) = named(report, "dual loop")
    assert (pushed.products, pushed.calls) == ("5 jvp", 5)


def test_what_xcheck_chooses_is_named_with_its_products(torch: Any) -> None:
    (auto,) = named(benchmark(torch.sin, torch.from_numpy(X), quantity="diagonal"), AUTO)
    assert auto.how == 'xcheck.jacobian_function(f, x, quantity="diagonal")'
    assert auto.products.startswith("ones")
    assert auto.until_first is not None


def test_hessians_are_checked_as_second_derivatives(torch: Any) -> None:
    report = benchmark(lambda x: torch.sum(torch.sin(x)) ** 2, torch.from_numpy(X), quantity="hessian")
    assert only(report).ranked
    assert report.verdict is Verdict.AGREE, str(report)


def test_several_inputs_and_outputs_and_constants(torch: Any) -> None:
    def f(x: Any, w: Any, k: int, scale: Any) -> Any:
        return {"a": x @ w, "b": scale * x.sum() ** k}

    x, w = torch.from_numpy(X), torch.from_numpy(np.ones((5, 2)))
    report = benchmark(f, x, w, 2, kwargs={"scale": torch.tensor(2.0)}, wrt=[0, 1])
    assert outcomes(report) == {Outcome.RIGHT}, str(report)
    assert (only(report).inputs, only(report).outputs) == (15, 3)


def test_low_precision_is_no_reason_to_call_anything_wrong(torch: Any) -> None:
    report = benchmark(torch.tanh, torch.from_numpy(X.astype(np.float32)), quantity="diagonal")
    assert outcomes(report) == {Outcome.RIGHT}, str(report)


# Wrong ones


def planted(torch: Any, factor: float, with_jvp: bool) -> Callable[[Any], Any]:
    class Sine(torch.autograd.Function):  # type: ignore[misc,name-defined]
        generate_vmap_rule = True

        @staticmethod
        def forward(x: Any) -> Any:
            return torch.sin(x)

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.save_for_backward(inputs[0])
            ctx.save_for_forward(inputs[0])

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return factor * g * torch.cos(ctx.saved_tensors[0])

        if with_jvp:

            @staticmethod
            def jvp(ctx: Any, t: Any) -> Any:
                return t * torch.cos(ctx.saved_tensors[0])

    return lambda x: Sine.apply(x)


def test_a_wrong_backward_is_reported_and_never_ranked(torch: Any) -> None:
    report = benchmark(planted(torch, 1.1, with_jvp=False), torch.from_numpy(X))
    assert not only(report).ranked
    assert only(report).fastest is None
    assert report.verdict is Verdict.DISAGREE
    pulled = [row for row in report.rows if row.outcome is Outcome.WRONG]
    assert any("1.1 times the derivative" in row.reason for row in pulled), str(report)
    assert all(row.timing is None for row in pulled)
    assert any("disagrees with finite differences" in note for note in report.notes)
    assert "nothing to recommend" in str(report)


def test_the_mode_that_is_right_is_ranked_all_the_same(torch: Any) -> None:
    report = benchmark(planted(torch, 1.1, with_jvp=True), torch.from_numpy(X))
    right = [row for row in report.rows if row.outcome is Outcome.RIGHT and row.strategy != AUTO]
    assert right, str(report)
    assert all("jvp" in row.products for row in right)
    assert all(row.outcome is Outcome.WRONG for row in report.rows if "vjp" in row.products)
    assert only(report).fastest in only(report).ranked


def test_a_strategy_that_is_wrong_where_products_are_right_names_the_entry(
    torch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    gather = lineup.strategies_for

    def spoilt(quantity: Any, limit: int) -> Any:
        found = gather(quantity, limit)
        first = found[0]

        def prepare() -> Any:
            run = first.prepare()

            def wrong(xs: Any, held: Any) -> Any:
                (block,) = run(xs, held)
                block = block.clone()
                block[3, 2] += 1e-6
                return [block]

            return wrong

        return [replace(first, prepare=prepare), *found[1:]]

    monkeypatch.setattr(lineup, "strategies_for", spoilt)
    report = benchmark(torch.sin, torch.from_numpy(X))
    (wrong,) = [row for row in report.rows if row.outcome is Outcome.WRONG]
    assert "d out[3] / d x[2] is 0 and not 1e-06" in wrong.reason
    assert only(report).ranked
    assert wrong not in only(report).ranked


def test_arrays_of_other_shapes_are_wrong(torch: Any) -> None:
    made = Lineup.of(Case("torch", lambda x: x[:2] ** 2, None, (torch.from_numpy(X),)), "jacobian", None, 0, 30.0)
    strategy = lineup.strategies_for(made.quantity, 10**9)[0]
    outcome, reason = made.verification.verify(strategy, [torch.zeros(5, 2)])
    assert outcome is Outcome.WRONG
    assert "(5, 2)" in reason
    assert "(2, 5)" in reason


def test_no_finite_value_is_not_right(torch: Any) -> None:
    report = benchmark(lambda x: torch.sqrt(x - x), torch.from_numpy(X))
    assert not only(report).ranked
    assert strictly_read(report)["verdict"] != "agree"


def test_a_kink_is_inconclusive_with_its_reason(torch: Any) -> None:
    report = benchmark(lambda x: torch.relu(x - X[0]), torch.from_numpy(X))
    rows = [row for row in report.rows if row.outcome is Outcome.INCONCLUSIVE]
    assert rows, str(report)
    assert all("inconclusive: " in row.reason for row in rows)
    assert not only(report).ranked


# What a function does not keep to


def test_strategies_that_rely_on_samples_apart_are_not_valid_for_batch_normalisation(torch: Any) -> None:
    def normalised(x: Any) -> Any:
        return (x - x.mean(0)) / torch.sqrt(x.var(0) + 1e-5)

    x = torch.from_numpy(np.random.default_rng(0).standard_normal((4, 2)))
    report = benchmark(normalised, x, quantity="batch")
    invalid = named(report, "batch sums")
    assert {row.outcome for row in invalid} <= {Outcome.NOT_VALID, Outcome.NOT_TRIED}, str(report)
    assert any("couples sample" in row.reason for row in invalid)
    assert only(report).ranked
    assert not {row.strategy for row in only(report).ranked} & {row.strategy for row in invalid}
    assert report.verdict is Verdict.AGREE
    assert "Not valid for this function: " in str(report)


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_a_diagonal_with_something_beside_it(name: str, request: pytest.FixtureRequest) -> None:
    if name == "torch":
        torch = request.getfixturevalue("torch")
        report = benchmark(lambda x: torch.cumsum(torch.sin(x), 0), torch.from_numpy(X), quantity="diagonal")
    else:
        report = benchmark(lambda x: np.cumsum(np.sin(x)), X, quantity="diagonal")
    assert {row.outcome for row in named(report, "ones")} <= {Outcome.NOT_VALID, Outcome.NOT_TRIED}, str(report)
    assert any(row.outcome is Outcome.RIGHT for row in named(report, "unit vectors"))
    assert "ones" not in report.fastest[name, 5]


def test_what_cannot_be_mapped_is_refused_and_the_others_run(torch: Any) -> None:
    class Sine(torch.autograd.Function):  # type: ignore[misc,name-defined]  # of the old kind, which vmap refuses
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return torch.sin(x)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * torch.cos(ctx.saved_tensors[0])

    report = benchmark(lambda x: Sine.apply(x), torch.from_numpy(X))
    (mapped,) = named(report, "func.vjp vmapped")
    assert mapped.outcome is Outcome.REFUSED
    assert mapped.reason
    assert only(report).naive is not None
    assert "Refused: " in str(report)


# NumPy, which has no derivatives


def test_results_without_derivatives_are_held_against_measured_ones() -> None:
    report = benchmark(lambda x: np.sin(x) * np.sum(x), X)
    assert outcomes(report) == {Outcome.RIGHT}, str(report)
    assert any("finite differences with error bars" in note for note in report.notes)


def test_a_complex_step_through_an_absolute_value_is_wrong() -> None:
    report = benchmark(lambda x: np.sqrt((x * np.conj(x)).real + 0j * x).real + 0 * x if np.isrealobj(x) else abs(x), X)
    assert Outcome.WRONG not in {row.outcome for row in named(report, "differences")}
    assert all(row.outcome in (Outcome.WRONG, Outcome.REFUSED) for row in named(report, "complex step")), str(report)


def test_measured_products_are_those_of_the_jacobian() -> None:
    made = Lineup.of(Case("numpy", np.exp, None, (X,)), "jacobian", None, 0, 30.0)
    primal = replace(made.quantity.primal, backend=Measuring(made.quantity.primal.backend))
    plain = Plain.of(primal, "jvp")
    v = np.array([1.0, -2.0, 0.0, 0.5, 3.0])
    np.testing.assert_allclose(plain.product(v), np.exp(X) * v, rtol=1e-9, atol=1e-10)
    assert np.all(plain.product(np.zeros(5)) == 0)


def test_what_cannot_be_measured_is_inconclusive() -> None:
    report = benchmark(lambda x: np.where(x > X[0], x, 2 * x) + x, X)
    assert not only(report).ranked
    assert any("could not be measured well enough" in row.reason for row in report.rows), str(report)


# Sizes, frameworks, limits


def test_sizes_give_growth() -> None:
    report = benchmark(lambda x: x**2, lambda n: np.linspace(1.0, 2.0, n), sizes=[8, 2, 4, 4])
    assert [block.inputs for block in report.blocks] == [2, 4, 8]
    assert report.growth("numpy", "differences").exponent is not None
    assert {row["inputs"] for row in strictly_read(report)["rows"]} == {2, 4, 8}


def written_once(x: Any, xp: Any) -> Any:
    return xp.sin(x) * xp.sum(x)


def test_frameworks_are_compared_in_one_report(torch: Any) -> None:
    report = benchmark(written_once, X, backends=["numpy", "torch"])
    assert [block.backend for block in report.blocks] == ["numpy", "torch"]
    assert all(block.ranked for block in report.blocks)
    assert {row.backend for row in benchmark(written_once, X, backends=["torch"]).rows} == {"torch"}


def test_functions_by_label(torch: Any) -> None:
    report = benchmark({"numpy": np.sin, "torch, mine": torch.sin}, X)
    assert [block.backend for block in report.blocks] == ["numpy", "torch, mine"]


def test_what_one_framework_cannot_do_is_noted_and_the_others_go_on(torch: Any) -> None:
    report = benchmark(lambda x, xp: xp.sum(xp.sin(x)), X, backends=["numpy", "torch"], quantity="hessian")
    assert {row.backend for row in report.rows} == {"torch"}
    assert any(note.startswith("numpy: numpy has no reverse mode") for note in report.notes)
    with pytest.raises(NotImplementedError, match="numpy has no reverse mode"):
        benchmark(lambda x, xp: xp.sum(xp.sin(x)), X, backends=["numpy"], quantity="hessian")


def test_what_does_not_fit_is_refused_with_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lineup, "memory_limit", lambda _: 200)
    report = benchmark(lambda x: x**2, X)
    assert outcomes(report) == {Outcome.REFUSED}
    assert any("bytes" in row.reason and "out of memory" in row.reason for row in report.rows)
    assert report.verdict is Verdict.INCONCLUSIVE


def test_what_would_take_too_long_is_not_tried() -> None:
    report = benchmark(lambda x: x**2, np.linspace(1, 2, 300), longest=1e-4)
    (row,) = named(report, "differences")
    assert row.outcome is Outcome.NOT_TRIED
    assert "300 products would take about" in row.reason


def test_compilers_that_take_long_are_tried_on_request_only(torch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    gather = lineup.strategies_for

    def with_slow(quantity: Any, limit: int) -> Any:
        first = gather(quantity, limit)[0]
        return [replace(first, name="slow", compiles=True, slow_to_compile=True)]

    monkeypatch.setattr(lineup, "strategies_for", with_slow)
    case = Case("torch", torch.sin, None, (torch.from_numpy(X),))
    for compiled in (None, False):
        slow, _ = Lineup.of(case, "jacobian", compiled, 0, 30.0).contenders()
        with pytest.raises(NotTried, match="compiled="):
            slow.prepare()
    slow, _ = Lineup.of(case, "jacobian", True, 0, 30.0).contenders()
    assert slow.verify(slow.prepare()()) == (Outcome.RIGHT, "")
    assert slow.calls is None  # nobody counts in what a compiler reads


@pytest.mark.parametrize(
    ("f", "inputs", "options", "error", "told"),
    [
        (np.sin, (), {}, TypeError, "benchmark needs the inputs of f"),
        (np.sin, (lambda n: np.ones(n),), {}, TypeError, "no sizes= are given"),
        (np.sin, (X,), {"sizes": [3]}, TypeError, r"inputs\[0\] is of type ndarray. Accepted: such as lambda n"),
        (np.sin, (np.ones,), {"sizes": 3}, TypeError, "sizes= is a sequence; given: 3"),
        (np.sin, (np.ones,), {"sizes": [2.5]}, TypeError, "sizes= has 2.5, which is no integer"),
        (np.sin, (np.ones,), {"sizes": [0]}, ValueError, "has 0. Accepted: positive integers"),
        (np.sin, (np.ones,), {"sizes": []}, ValueError, "has none. Accepted: positive integers"),
        (np.sin, (X,), {"quantity": "curl"}, ValueError, "quantity='curl' is not known. Accepted: 'jacobian'"),
        (np.sin, (X,), {"backends": "numpy"}, TypeError, "backends= is a list of names"),
        (np.sin, (X,), {"backends": ["numpy", "torch"]}, TypeError, r"f\(x, xp\)"),
        (np.sin, (X,), {"backends": ["nump"]}, ValueError, "nump"),
        (np.sin, (X,), {"compiled": "yes"}, ValueError, "compiled='yes'. Accepted: None, True, False"),
        (np.sin, (X,), {"seconds": 0}, ValueError, "seconds= must be positive"),
        ({"numpy": (np.sin, np.cos)}, (X,), {}, TypeError, "takes functions alone"),
        ({}, (X,), {}, ValueError, "at least one implementation"),
        (lambda x: x + 0j, (X,), {}, NotImplementedError, "complex numbers"),
        (lambda x: x[:2], (X,), {"quantity": "diagonal"}, ValueError, "as many outputs as inputs"),
        (lambda x: 1 / 0, (X,), {}, ZeroDivisionError, "division by zero"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_named(f: Any, inputs: Any, options: Any, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        benchmark(f, *inputs, **options)


def test_surroundings_are_told() -> None:
    with_ = benchmark(np.sin, X).environment
    assert {"xcheck", "python", "numpy", "on"} <= set(with_)
    assert "processor" in with_["on"]


# The command line

FILE = "import numpy as np\n\ndef residual(x, xp):\n    return xp.exp(x) * xp.sum(x)\n"


@pytest.fixture
def users_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    path = tmp_path / "users_model.py"
    path.write_text(FILE)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield f"{path}:residual"
    sys.modules.pop("users_model", None)


def command(*arguments: str) -> Any:
    return CliRunner().invoke(main, ["bench", "--seconds", "0.02", "--backend", "numpy", *arguments])


def test_the_command_gives_a_table_and_a_picture(users_file: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / "picture.png"
    result = command(users_file, "--sizes", "2,4,8", "--plot", str(picture))
    assert result.exit_code == 0, result.output
    assert "residual, jacobian: " in result.stdout
    assert "numpy, 8 inputs, 8 outputs" in result.stdout
    assert picture.stat().st_size > 1000


@pytest.mark.parametrize("style", ["markdown", "json"])
def test_the_command_gives_other_faces(users_file: str, style: str) -> None:
    result = command(users_file, "--at", "randn(3)", "--format", style)
    assert result.exit_code == 0, result.output
    if style == "json":
        assert json.loads(result.stdout)["verdict"] == "agree"
    else:
        assert "| * | complex step | right |" in result.stdout.replace("\\", "")
