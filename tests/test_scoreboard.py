"""Derivatives of known truth: no wrong one is called right, no right one wrong; the scoreboard counts as it says."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from inspect import signature
from typing import Any

import numpy as np
import pytest
from board.page import page
from board.sources import Chunk
from board.tally import detection, is_above_limit, side_by_side, tally
from board.worker import Row, rows
from cases.case import Case, Truth
from cases.right import right
from cases.wrong import FRAMEWORKS, wrong
from peers import Answer, Outcome, run

import xcheck
from xcheck import Verdict

LARGE = ("P2/2000", "P12/100000")
"""Problems that take ten seconds; the scoreboard runs them."""

EDGES = tuple(f"c={c},s={s}" for c, s in (("1", "1e-08"), ("1", "1e+08"), ("1e-08", "1"), ("1e+08", "1")))
"""Of nine scales of `c f(x / s)`, those where one is 1; where a framework is slow, the corners and the centre do."""

KNOWN = signature(xcheck.check).parameters


@pytest.fixture
def framework(backend: Any) -> str:
    if backend.name not in FRAMEWORKS:
        pytest.skip("no cases for other backends")
    return str(backend.name)


def runnable(cases: Iterator[Case]) -> Iterator[Case]:
    """Leave out what is large, and what needs an option that `check` does not have."""
    for case in cases:
        needed = set(case.options) | ({"order"} if case.order != 1 else set())
        slow = case.framework in ("jax", "tensorflow") and case.name.endswith(EDGES)
        if not slow and not case.name.startswith(LARGE) and needed <= set(KNOWN):
            yield case


def examine(case: Case) -> xcheck.Report:
    order = {"order": case.order} if case.order != 1 else {}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return xcheck.check(case.f, *case.inputs, raises=False, **case.options, **order)


def misjudged(cases: Iterator[Case]) -> list[str]:
    """Name every case with a verdict that its truth forbids, with the report."""
    found = []
    for case in runnable(cases):
        report = examine(case)
        allowed = {
            Truth.WRONG: {Verdict.DISAGREE, Verdict.INCONCLUSIVE},
            Truth.CONVENTION: {Verdict.AGREE, Verdict.INCONCLUSIVE},
            Truth.RIGHT: {Verdict.AGREE} if case.smooth else {Verdict.AGREE, Verdict.INCONCLUSIVE},
        }[case.truth]
        if report.verdict not in allowed:
            found.append(f"{case.name} ({case.truth.value}): {report}")
    return found


def test_no_wrong_derivative_is_called_right(framework: str) -> None:
    found = misjudged(wrong([framework]))

    assert not found, "\n\n".join(found)


def test_no_right_derivative_is_called_wrong(framework: str) -> None:
    found = misjudged(right([framework]))

    assert not found, "\n\n".join(found)


@pytest.mark.parametrize("option", ["order", "witness"])
def test_cases_that_need_an_option_are_run(option: str) -> None:
    if option not in KNOWN:
        pytest.skip(f"check has no {option}= yet: the cases that need it are left out")


def test_names_are_unique(framework: str) -> None:
    names = [case.name for case in (*wrong([framework]), *right([framework]))]

    assert len(names) == len(set(names))
    assert names


def test_what_is_left_out_of_wrt_is_listed_as_unchecked(torch: Any) -> None:
    case = next(case for case in wrong(["torch"]) if case.name == "P10/wrt")

    report = examine(case)

    assert report.ok
    assert any("wrt" in line for line in report.unchecked), report


def test_the_range_that_was_covered_is_stated(torch: Any) -> None:
    case = next(case for case in wrong(["torch"]) if case.name == "P8/inside")

    assert "[-1.2, 2]" in str(examine(case))


# Peers


def test_peers_are_asked_as_their_users_ask_them(torch: Any) -> None:
    cases = {case.name: case for case in (*wrong(["torch"]), *right(["torch"])) if case.name != "P2/2000"}

    assert run("gradcheck, slow", cases["P1"]).answer is Answer.DISAGREE
    assert run("gradcheck, fast", cases["P1"]).answer is Answer.AGREE  # its false pass
    assert run("gradcheck, slow", cases["A1/relu,torch"]).answer is Answer.DISAGREE  # its false alarm
    assert run("gradcheck, slow", cases["P9/once"]).answer is Answer.AGREE
    assert run("compute_gradient", cases["P1"]).answer is Answer.NOT_APPLICABLE
    assert run("gradcheck, slow", cases["P11"]).answer is Answer.DISAGREE


@pytest.mark.parametrize("checker", ["scipy check_grad", "HIPS check_grads", "numdifftools", "Taylor rate", "xcheck"])
def test_checkers_without_a_framework_judge_plain_gradients(checker: str) -> None:
    pytest.importorskip({"HIPS check_grads": "autograd", "numdifftools": "numdifftools"}.get(checker, "numpy"))

    def case(truth: Truth, factor: float) -> Case:
        gradient = {"gradient": lambda x: factor * np.cos(x)}
        return Case("sin", "numpy", lambda x: np.sum(np.sin(x)), (np.array([0.4, -1.3]),), truth, options=gradient)

    good, bad = run(checker, case(Truth.RIGHT, 1.0)), run(checker, case(Truth.WRONG, 1.5))

    assert good.answer is Answer.AGREE, good
    assert bad.answer is Answer.DISAGREE, bad
    assert good.evaluations > 0


def test_what_a_peer_raises_is_its_own_outcome() -> None:
    def broken(x: np.ndarray) -> float:
        raise OSError("disk full")

    gradient = {"gradient": np.zeros_like}
    case = Case("broken", "numpy", broken, (np.zeros(2),), Truth.RIGHT, options=gradient)

    outcome = run("scipy check_grad", case)

    assert outcome.answer is Answer.ERROR
    assert "disk full" in outcome.detail


# Sums


def row(checker: str, answer: Answer, truth: str = "wrong", planted: float = 0.0, **outcome: float) -> Row:
    said = Outcome(answer, 0.5, 10, "a report", **outcome)
    return Row("planted", "torch", f"case {planted:g}", truth, 1, planted, True, "", checker, said)


def test_only_an_error_below_the_stated_limit_excuses_a_pass() -> None:
    assert is_above_limit(row("xcheck", Answer.AGREE, error=1e-3, limit=1e-5))
    assert is_above_limit(row("xcheck", Answer.AGREE))  # no limit was stated
    assert not is_above_limit(row("xcheck", Answer.AGREE, error=1e-7, limit=1e-5))
    assert not is_above_limit(row("xcheck", Answer.DISAGREE, error=1e-3, limit=1e-5))
    assert not is_above_limit(row("xcheck", Answer.AGREE, "right"))


def test_every_answer_is_counted_once() -> None:
    answers = [Answer.AGREE, Answer.DISAGREE, Answer.INCONCLUSIVE, Answer.ERROR, Answer.NOT_APPLICABLE]
    found = [row("xcheck", a, truth) for a in answers for truth in ("wrong", "right", "convention")]

    t = tally(found)

    assert t is not None
    assert (t.wrong, t.right, t.convention) == (4, 4, 4)
    assert (t.caught, t.false_passes, t.wrong_open, t.wrong_errors) == (1, 1, 1, 1)
    assert (t.passes, t.false_alarms, t.alarms_convention, t.right_open, t.right_errors) == (1, 2, 1, 1, 2)
    assert tally([row("xcheck", Answer.NOT_APPLICABLE)]) is None


def test_checkers_are_compared_on_the_same_cases() -> None:
    found = [row("xcheck", Answer.AGREE, planted=s) for s in (1.0, 0.1)]
    found += [row("peer", Answer.DISAGREE, planted=1.0), row("peer", Answer.NOT_APPLICABLE, planted=0.1)]

    theirs, ours = side_by_side(found, "peer", "xcheck")

    assert [r.name for r in theirs] == [r.name for r in ours] == ["case 1"]
    assert detection(found, "peer") == {1.0: (1, 1)}


def test_the_page_names_every_false_verdict_with_its_report() -> None:
    found = [
        row("xcheck", Answer.AGREE, planted=1e-3, error=1e-3, limit=1e-5),
        replace(row("xcheck", Answer.AGREE, planted=1e-8, error=1e-8, limit=1e-5), name="below"),
        row("gradcheck, slow", Answer.AGREE, planted=1e-3),
    ]

    text = page(found, "python benchmarks/scoreboard.py", 3, 2, ["right: jax is not installed"])

    assert "`case 0.001` (planted, torch, wrong; no remark)\n\n```\na report" in text
    assert "`below`" not in text
    assert "1 planted errors lie below the limit" in text
    assert "| xcheck | 2 + 0 + 0 | 2 | 1 |" in text
    assert "right: jax is not installed" in text


def test_rows_come_back_from_the_process_that_runs_them() -> None:
    said: list[str] = []

    found = list(
        rows(
            Chunk("right", "numpy", "cases.right:right", (("numpy",),), most=2),
            ["xcheck", "Taylor rate"],
            60.0,
            said.append,
        )
    )

    assert not said
    assert [(r.name, r.checker) for r in found] == [
        ("A15", "xcheck"),
        ("A15", "Taylor rate"),
        ("A16/constant", "Taylor rate"),
        ("A16/constant", "xcheck"),
    ]
    assert [Row.from_dict(r.to_dict()).name for r in found] == [r.name for r in found]
    assert found[0].outcome.answer is Answer.AGREE


def test_a_chunk_that_cannot_be_made_is_told() -> None:
    said: list[str] = []

    found = list(rows(Chunk("operators", "", "cases.no_such:operators", (0, 1)), ["xcheck"], 60.0, said.append))

    assert not found
    assert "No module named 'cases.no_such'" in said[0]
