"""Benchmarks: what is timed is right, who is fastest, and what a report says. Clocks are made up, so nothing waits."""

from __future__ import annotations

import gc
import json
import math
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from click.testing import CliRunner, Result

from xcheck import timing
from xcheck.benchmarking import memory, running
from xcheck.benchmarking.contender import Contender
from xcheck.benchmarking.contest import run_contest
from xcheck.benchmarking.load import Load
from xcheck.benchmarking.plot import _spread
from xcheck.benchmarking.ranking import blocks
from xcheck.benchmarking.report import BenchmarkReport
from xcheck.benchmarking.row import Outcome, Row
from xcheck.benchmarking.scaling import growth
from xcheck.benchmarking.units import interval_text, memory_text, ratio_text, seconds_text
from xcheck.cli import main
from xcheck.timing import ENOUGH, FEW, LEAST_ROUNDS, Timing, interleave, median_interval
from xcheck.verdict import Verdict


class Clock:
    """A clock that work turns on."""

    def __init__(self) -> None:
        self.now = 0.0
        self.log: list[str] = []

    def __call__(self) -> float:
        return self.now

    def work(self, seconds: float | Callable[[], float], name: str = "") -> Callable[[], str]:
        def run() -> str:
            self.now += seconds if isinstance(seconds, float) else seconds()
            self.log.append(name)
            return name

        return run


def restless(seed: int, seconds: float) -> Callable[[], float]:
    """Durations that no number of rounds makes narrow in time."""
    generator = np.random.default_rng(seed)
    return lambda: seconds * float(generator.uniform(0.5, 1.5))


# --- timing ---


def test_medians_are_those_of_the_runs() -> None:
    clock = Clock()
    found = interleave({"a": clock.work(0.01), "b": clock.work(0.03)}, 10.0, clock=clock)
    assert found["a"].median == pytest.approx(0.01)
    assert found["b"].median == pytest.approx(0.03)
    assert found["a"].interval == pytest.approx((0.01, 0.01))


def test_runs_take_turns_in_orders_that_change_and_can_be_repeated() -> None:
    def orders(seed: int) -> list[list[str]]:
        clock = Clock()
        runs = {name: clock.work(restless(i, 0.01), name) for i, name in enumerate("abcd")}
        interleave(runs, 2.0, seed, clock=clock)
        return [clock.log[i : i + 4] for i in range(0, len(clock.log) - 4, 4)]

    rounds = orders(0)
    assert len(rounds) > 20
    assert all(sorted(one) == list("abcd") for one in rounds)
    assert len({tuple(one) for one in rounds}) > 5
    assert rounds == orders(0)
    assert rounds != orders(1)


def test_rounds_end_when_the_intervals_are_narrow_or_the_time_is_up() -> None:
    clock = Clock()
    steady = interleave({"a": clock.work(0.01), "b": clock.work(0.02)}, 10.0, clock=clock)
    assert {len(one.samples) for one in steady.values()} == {LEAST_ROUNDS}
    clock = Clock()
    noisy = interleave({"a": clock.work(restless(0, 0.01)), "b": clock.work(restless(1, 0.01))}, 1.0, clock=clock)
    assert clock.now <= 0.03 + 1.0 + 0.03
    assert len(noisy["a"].samples) > 30


def test_what_is_slow_gets_few_rounds_and_leaves_the_others_theirs() -> None:
    clock = Clock()
    runs = {"fast": clock.work(restless(0, 0.001)), "slow": clock.work(0.04), "endless": clock.work(5.0)}
    found = interleave(runs, 1.0, clock=clock)
    assert len(found["slow"].samples) == FEW
    assert found["endless"].samples == (5.0,)
    assert found["endless"].interval is None
    assert len(found["fast"].samples) > 5 * FEW


def test_one_slow_moment_takes_nobody_out_of_the_race() -> None:
    clock, durations = Clock(), restless(1, 0.001)
    moments = iter([0.06])
    runs = {"steady": clock.work(restless(0, 0.001)), "disturbed": clock.work(lambda: next(moments, durations()))}
    found = interleave(runs, 1.0, clock=clock)
    assert found["disturbed"].median == pytest.approx(0.001, rel=0.2)
    assert len(found["disturbed"].samples) > 5 * FEW


def test_what_the_fast_ones_leave_is_for_the_slow_ones() -> None:
    clock = Clock()
    runs = {"fast": clock.work(0.001), **{f"slow{i}": clock.work(0.05) for i in range(3)}}
    found = interleave(runs, 1.0, clock=clock)
    assert [len(found[f"slow{i}"].samples) for i in range(3)] == [FEW] * 3


def test_what_is_slow_may_take_half_of_the_time() -> None:
    clock = Clock()
    runs = {"fast": clock.work(restless(0, 0.001)), **{f"slow{i}": clock.work(0.2) for i in range(3)}}
    interleave(runs, 1.0, clock=clock)
    slow = sum(name.startswith("slow") for name in clock.log)
    assert slow * 0.2 <= 3 * 0.2 + 0.5


def test_short_runs_are_timed_many_at_once() -> None:
    clock = Clock()
    found = interleave({"short": clock.work(1e-6), "long": clock.work(1e-2)}, 1.0, clock=clock)
    assert found["short"].block * 1e-6 >= timing.BLOCK
    assert found["short"].median == pytest.approx(1e-6)
    assert found["long"].block == 1


def test_reading_the_clock_costs_less_than_a_hundredth_of_a_sample() -> None:
    clock = Clock()

    def expensive() -> float:
        clock.now += 1e-5  # what one reading costs
        return clock.now

    found = interleave({"short": clock.work(1e-6)}, 1.0, clock=expensive)
    assert found["short"].median == pytest.approx(1e-6, rel=0.011)


@pytest.mark.parametrize("enabled", [True, False])
def test_garbage_is_not_collected_during_samples_and_as_before_afterwards(enabled: bool) -> None:
    clock, seen = Clock(), []

    def run() -> None:
        clock.now += 0.01
        seen.append(gc.isenabled())

    before = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        interleave({"a": run}, 1.0, clock=clock)
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if before else gc.disable)()
    assert seen
    assert not any(seen)


def test_a_run_that_fails_drops_out_and_the_others_go_on() -> None:
    clock, error = Clock(), RuntimeError("no more")
    left = iter(range(4))

    def fails() -> None:
        clock.now += 0.01
        if next(left, None) is None:
            raise error

    found = interleave({"fails": fails, "goes on": clock.work(0.01)}, 1.0, clock=clock)
    assert found["fails"].error is error
    assert found["fails"].median == math.inf
    assert found["goes on"].median == pytest.approx(0.01)
    assert len(found["goes on"].samples) == LEAST_ROUNDS


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.nan])
def test_time_has_to_be_positive(seconds: float) -> None:
    with pytest.raises(ValueError, match="seconds= must be positive; given"):
        interleave({"a": lambda: None}, seconds)


def test_nothing_to_time_is_nothing() -> None:
    assert interleave({}, 1.0) == {}


def test_intervals_hold_the_median_as_often_as_they_say() -> None:
    generator = np.random.default_rng(0)
    held = 0
    for _ in range(300):
        low, high = median_interval(generator.standard_exponential(25)) or (0.0, 0.0)
        held += low <= math.log(2) <= high
    assert 0.91 <= held / 300 <= 0.99


def test_few_samples_have_no_interval() -> None:
    assert median_interval([1.0] * (ENOUGH - 1)) is None
    assert median_interval([1.0] * ENOUGH) == (1.0, 1.0)


# --- memory ---

MEGABYTES = 1_000_000


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has a high-water mark")
def test_the_peak_is_seen_though_it_is_gone_when_the_run_ends() -> None:
    if not memory._reset():
        pytest.skip("the system does not allow to reset the high-water mark")
    result, peak = memory.peak_memory(lambda: float(np.ones(8 * MEGABYTES).sum()))
    assert result == 8 * MEGABYTES
    assert peak.method == "high-water mark"
    assert peak.additional is not None
    assert 60 * MEGABYTES < peak.additional < 90 * MEGABYTES


def test_elsewhere_a_thread_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_reset", lambda: False)
    result, peak = memory.peak_memory(lambda: np.ones(8 * MEGABYTES))
    assert result.shape == (8 * MEGABYTES,)
    assert peak.method == "sampled"
    assert peak.additional is not None
    assert 60 * MEGABYTES < peak.additional < 90 * MEGABYTES


def test_memory_that_nobody_tells_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise psutil.AccessDenied

    monkeypatch.setattr(memory, "_reset", lambda: False)
    monkeypatch.setattr(psutil, "Process", refuse)
    result, peak = memory.peak_memory(lambda: 3)
    assert (result, peak.additional) == (3, None)
    assert peak.method == "not known: AccessDenied"


def test_what_a_run_raises_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    for reset in (memory._reset, lambda: False):
        monkeypatch.setattr(memory, "_reset", reset)
        with pytest.raises(ZeroDivisionError):
            memory.peak_memory(lambda: 1 / 0)


# --- growth ---


def test_a_power_is_found_exactly() -> None:
    found = growth([10, 100, 1000, 10000], [1e-3 * n**1.5 for n in (10, 100, 1000, 10000)])
    assert found.exponent == pytest.approx(1.5)
    assert found.uncertainty == pytest.approx(0, abs=1e-9)
    assert found.sizes == (100, 1000, 10000)
    assert str(found) == "n^1.50 ± 0.01"


def test_overhead_at_small_sizes_is_left_out() -> None:
    sizes = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000]
    found = growth(sizes, [100 + n for n in sizes])
    assert found.sizes == (1000, 10_000, 100_000, 1_000_000)
    assert found.exponent == pytest.approx(1.0, abs=0.02)


def test_the_uncertainty_holds_the_power_as_often_as_it_says() -> None:
    generator, sizes, held = np.random.default_rng(0), [10, 20, 40, 80], 0
    for _ in range(400):
        seconds = [n**2 * math.exp(0.1 * generator.standard_normal()) for n in sizes]
        found = growth(sizes, seconds)
        held += abs((found.exponent or 0) - 2) <= (found.uncertainty or 0)
    assert 0.92 <= held / 400 <= 0.98


@pytest.mark.parametrize("sizes", [[], [10], [10, 100], [10, 10, 100]])
def test_too_few_sizes_are_said(sizes: list[int]) -> None:
    found = growth(sizes, [1.0] * len(sizes))
    assert found.exponent is None
    assert str(found) == f"too few sizes: {len(set(sizes))}, and 3 are needed"


# --- load ---


@pytest.mark.parametrize(
    ("busy", "own", "others"), [(18.0, 9.0, 0.9), (9.0, 9.0, 0.0), (8.0, 9.0, 0.0), (0.0, 0.0, 0.0), (11.0, 10.0, 0.1)]
)
def test_other_programs_are_counted_and_told(busy: float, own: float, others: float) -> None:
    clock, used = Clock(), [(100.0, 50.0), (100.0 + busy, 50.0 + own)]
    load = Load(lambda: used.pop(0) if len(used) > 1 else used[0], clock)
    clock.now += 10.0
    assert load.others() == pytest.approx(others)
    assert load.note().startswith("other programs kept 0.9 of") is (others > 0.25)


def test_where_the_system_does_not_tell_nothing_is_said() -> None:
    def refuse() -> tuple[float, float]:
        raise psutil.AccessDenied

    load = Load(refuse)
    assert load.others() is None
    assert load.note() == ""
    assert (Load().others() or 0.0) >= 0.0


# --- contests ---


def right(result: Any) -> tuple[Outcome, str]:
    return Outcome.RIGHT, ""


def contender(name: str, run: Callable[[], Any], **given: Any) -> Contender:
    options = {"backend": "numpy", "inputs": 10, "outputs": 3, "prepare": lambda: run, "verify": right}
    return Contender(name, **{**options, **given})


def contest(contenders: Sequence[Contender], clock: Clock, **options: Any) -> dict[str, Row]:
    rows = run_contest(contenders, clock=clock, progress=False, **options)
    return {row.strategy: row for row in rows}


def test_what_raises_is_refused_and_the_others_go_on() -> None:
    clock = Clock()

    def raises(error: Exception) -> Callable[[], Any]:
        def prepare() -> Any:
            raise error

        return prepare

    rows = contest(
        [
            contender("cannot be mapped", clock.work(0.1), prepare=raises(RuntimeError("vmap: no rule\nand more"))),
            contender("too large", raises(MemoryError("Unable to allocate 7 GiB"))),
            contender("too large there", raises(RuntimeError("CUDA out of memory. Tried"))),
            contender("fine", clock.work(0.01)),
        ],
        clock,
    )
    assert [(row.outcome, row.reason) for row in rows.values()] == [
        (Outcome.REFUSED, "vmap: no rule"),
        (Outcome.REFUSED, "out of memory: Unable to allocate 7 GiB"),
        (Outcome.REFUSED, "out of memory: CUDA out of memory. Tried"),
        (Outcome.RIGHT, ""),
    ]
    assert rows["cannot be mapped"].timing is None
    assert rows["fine"].median == pytest.approx(0.01)


def test_what_is_wrong_is_run_once_and_has_no_place() -> None:
    clock = Clock()
    rows = run_contest(
        [
            contender("wrong", clock.work(0.001, "wrong"), verify=lambda _: (Outcome.WRONG, "d out[1] / d x[2]")),
            contender("open", clock.work(0.002, "open"), verify=lambda _: (Outcome.INCONCLUSIVE, "a kink")),
            contender("right", clock.work(0.1, "right")),
        ],
        clock=clock,
    )
    (block,) = blocks(rows)
    assert [row.strategy for row in block.rows] == ["right", "open", "wrong"]
    assert [row.strategy for row in block.ranked] == ["right"]
    assert clock.log.count("wrong") == 1
    assert block.rows[2].reason == "d out[1] / d x[2]"
    assert block.rows[1].median == pytest.approx(0.002)
    assert block.speed_up(block.rows[1], block.rows[0]) is None


def test_a_result_that_cannot_be_verified_is_inconclusive() -> None:
    clock = Clock()

    def verify(result: Any) -> tuple[Outcome, str]:
        raise ValueError("shapes (3,) and (4,)")

    row = contest([contender("odd", clock.work(0.1), verify=verify)], clock)["odd"]
    assert (row.outcome, row.reason) == (Outcome.INCONCLUSIVE, "could not be verified: shapes (3,) and (4,)")


def test_what_becomes_wrong_when_it_is_run_again_is_wrong() -> None:
    clock = Clock()
    run, counted = clock.work(0.01), iter(range(1000))

    def verify(result: int) -> tuple[Outcome, str]:
        return (Outcome.RIGHT, "") if result == 0 else (Outcome.WRONG, f"run {result}")

    row = contest([contender("stale", lambda: (run(), next(counted))[1], verify=verify)], clock)["stale"]
    assert row.outcome is Outcome.WRONG
    assert row.reason.startswith("when it was run again: run ")
    assert row.timing is None


def test_what_fails_when_it_is_run_again_is_refused() -> None:
    clock = Clock()
    results = iter([0.01])
    row = contest([contender("once", clock.work(lambda: next(results)))], clock)["once"]
    assert row.outcome is Outcome.REFUSED
    assert row.reason == "when it was run again: StopIteration"


def test_preparing_and_the_first_run_are_apart_from_the_steady_state() -> None:
    clock = Clock()
    taken = iter([2.0])
    run = clock.work(lambda: next(taken, 0.01))

    def prepare() -> Callable[[], Any]:
        clock.now += 3.0
        return run

    row = contest([contender("compiled", run, prepare=prepare)], clock)["compiled"]
    assert (row.prepare_seconds, row.first_seconds, row.until_first) == (3.0, 2.0, 5.0)
    assert row.median == pytest.approx(0.01)


def test_evaluations_are_counted_in_one_run_and_in_the_first() -> None:
    clock, counted = Clock(), [0]

    def compiled() -> Callable[[], Any]:
        counted[0] += 1
        return clock.work(0.01)

    def eager() -> None:
        clock.now += 0.01
        counted[0] += 4

    def count() -> int:
        return counted[0]

    given = [contender("compiled", compiled, prepare=compiled, calls=count), contender("eager", eager, calls=count)]
    rows = contest([*given, contender("uncounted", eager)], clock)
    assert (rows["compiled"].first_calls, rows["compiled"].calls) == (1, 0)
    assert (rows["eager"].first_calls, rows["eager"].calls) == (4, 4)
    assert (rows["uncounted"].first_calls, rows["uncounted"].calls) == (None, None)


def test_what_would_take_too_long_at_a_size_is_not_tried_there() -> None:
    clock = Clock()
    sizes = [contender("naive", clock.work(n / 100, str(n)), inputs=n) for n in (1000, 10, 10_000, 100)]
    rows = run_contest(sizes, clock=clock, longest=5.0)
    assert [row.inputs for row in rows] == [10, 100, 1000, 10_000]
    assert [row.outcome for row in rows] == [Outcome.RIGHT, Outcome.RIGHT, Outcome.NOT_TRIED, Outcome.NOT_TRIED]
    assert rows[2].reason == "it took 1 s at n = 100, so 10 s or more here, and 5 s are allowed"
    assert "10000" not in clock.log
    assert rows[3].reason == rows[2].reason


@pytest.mark.parametrize("name", ["seconds", "longest"])
def test_limits_of_a_contest_have_to_be_positive(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}= must be positive; given: 0"):
        run_contest([], **{name: 0})


def test_progress_is_shown_on_standard_error_if_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    run_contest([contender("vjp [loop]", clock.work(0.01))], clock=clock)
    assert capsys.readouterr() == ("", "")
    run_contest([contender("vjp [loop]", clock.work(0.01))], clock=clock, progress=True)
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines()[0] == "0/2 numpy, n = 10: verifying vjp [loop]"


# --- reports ---


def row(strategy: str, median: float | None = None, **given: Any) -> Row:
    """A row with seven samples around a median, or one that is not right."""
    given = {"backend": "torch", "inputs": 100, "outputs": 10, "outcome": Outcome.RIGHT, **given}
    if median is not None:
        samples = tuple(median * (1 + 0.001 * i) for i in range(-3, 4))
        given = {"prepare_seconds": 0.5, "first_seconds": 0.25, "timing": Timing(median, samples), **given}
    return Row(strategy, **given)


ROWS = (
    row("loop of vjp", 0.045, naive=True, products="10 vjp", calls=10, first_calls=10, memory=1_300_000_000),
    row("batched vjp", 0.001, products="10 vjp", calls=1, first_calls=1, memory=20_000),
    row("jacrev", 0.0021, default=True, call="torch.func.jacrev(f)(x)", calls=0, first_calls=1, memory=3_200_000),
    row("one_hot", outcome=Outcome.WRONG, reason="d out[2] / d x[0]: 0 claimed | 0.5 measured"),
    row("complex step", 0.0001, outcome=Outcome.INCONCLUSIVE, reason="a kink"),
    row("is_grads_batched", outcome=Outcome.REFUSED, reason="vmap: <no rule>"),
)


def report(rows: Sequence[Row] = ROWS, **given: Any) -> BenchmarkReport:
    return BenchmarkReport("model", "jacobian", tuple(rows), **given)


def at_sizes(sizes: Sequence[int], **medians: Callable[[int], float]) -> BenchmarkReport:
    return report([row(name, f(n), inputs=n, naive=name == "naive") for n in sizes for name, f in medians.items()])


def test_the_text_is_a_table_that_people_read() -> None:
    lines = str(report(notes=("the first output alone",), environment={"torch": "2.13"})).splitlines()
    assert lines[0] == "model, jacobian: 3 right, 1 inconclusive, 1 wrong, 1 refused"
    assert lines[2] == "  torch, 100 inputs, 10 outputs"
    assert " ".join(lines[3].split()) == "strategy verdict first call median [95 %] vs naive memory one run"
    cells = [" ".join(line.split()) for line in lines[4:10]]
    assert cells == [
        "* batched vjp right 750 ms 1.00 ms [0.998, 1.00] 45× < 1 MB 10 vjp, 1 call",
        "jacrev (default) right 750 ms 2.10 ms [2.10, 2.10] 21× 3.2 MB compiled from 1 call",
        "loop of vjp (naive) right 750 ms 45.0 ms [44.9, 45.1] 1.0× 1.3 GB 10 vjp, 10 calls",
        "complex step inconclusive 750 ms 100 µs [99.8, 100] not known",
        "one_hot wrong",
        "is_grads_batched refused",
    ]
    text = "\n".join(lines)
    assert "wrong         one_hot: d out[2] / d x[0]: 0 claimed" in text
    assert "refused       is_grads_batched: vmap: <no rule>" in text
    assert "note      the first output alone" in text
    assert "with      torch 2.13" in text


def test_the_closing_sentences_say_what_to_do() -> None:
    default = "the framework's own default, jacrev"
    assert report().advice == (
        f'torch: use strategy="batched vjp", 45× faster than the naive loop and 2.1× faster than {default}.',
        "Wrong, do not use: one_hot.",
        "Refused: is_grads_batched.",
    )


def test_the_default_is_recommended_where_it_is_fastest_and_ties_are_named() -> None:
    rows = [row("jacrev", 0.001, default=True), row("batched vjp", 0.00101), row("loop", 0.00102, naive=True)]
    (sentence,) = report(rows).advice
    own = "(the framework's own default)"
    assert sentence == f'torch: use strategy="jacrev" {own}; batched vjp and loop (naive) cannot be told from it.'
    assert [r.strategy for r in report(rows).blocks[0].tied] == ["jacrev", "batched vjp", "loop"]


def test_the_advice_changes_with_the_size_where_the_fastest_does() -> None:
    told = at_sizes((10, 100, 1000), naive=lambda n: 1.0 * n, a=lambda n: 0.1 * n, b=lambda n: 5.0)
    assert told.advice == (
        'torch at n = 10: use strategy="a", 10× faster than the naive loop.',
        'torch from n = 100 to 1000: use strategy="b"; at n = 1000 it is 200× faster than the naive loop.',
    )


def test_one_strategy_that_ties_everywhere_is_recommended_everywhere() -> None:
    told = at_sizes((10, 1000), a=lambda n: 1.0 if n == 10 else 1.01, b=lambda n: 1.01 if n == 10 else 1.0)
    (sentence,) = told.advice
    assert sentence.startswith('torch at every size: use strategy="b"')


def test_frameworks_are_compared_where_all_have_an_answer() -> None:
    rows = [row("vjp", 0.004), row("vjp", 0.001, backend="jax"), row("vjp", 0.1, backend="jax", inputs=1000)]
    assert "Of the frameworks at n = 100: jax, 4.0× faster than torch's best." in report(rows).advice


def test_places_that_are_not_everywhere_are_named() -> None:
    rows = [
        row("dense", 0.1),
        row("dense", inputs=1000, outcome=Outcome.REFUSED, reason="too large"),
        row("dense", 0.1, backend="jax"),
        row("scan", backend="jax", outcome=Outcome.REFUSED, reason="no"),
    ]
    told = report(rows).advice
    assert told[-1] == "Refused: dense (torch at n = 1000), scan (jax)."
    assert "torch: nothing to recommend at n = 1000: no strategy was found right there." in told


def test_speed_ups_on_few_runs_are_rough() -> None:
    slow = row("loop", naive=True, timing=Timing(3.0, (3.0,)), prepare_seconds=0.0, first_seconds=3.0)
    told = report([row("batched vjp", 0.001), slow])
    assert "3.00 s (1 run)" in str(told)
    assert "~3000× faster than the naive loop" in told.advice[0]


def test_a_reason_is_told_once() -> None:
    rows = [row("scan", inputs=n, outcome=Outcome.REFUSED, reason="no rule") for n in (10, 100)]
    assert str(report(rows)).count("no rule") == 1
    assert report(rows).to_markdown().count("no rule") == 1


def test_growth_is_told_or_that_there_are_too_few_sizes() -> None:
    sizes = (10, 100, 1000)
    told = at_sizes(sizes, naive=lambda n: 1e-3 * n**2, a=lambda n: 1e-3 * n)
    assert told.growth("torch", "naive").exponent == pytest.approx(2)
    assert "n^2.00 ± 0.01" in str(told)
    assert "grows as" not in str(at_sizes((10, 100), a=float))
    assert "medians" not in str(report())
    with pytest.raises(ValueError, match=r"no strategy 'b' of 'torch' took part\. Accepted: torch: a, torch: naive"):
        told.growth("torch", "b")


@pytest.mark.parametrize(
    ("outcomes", "verdict"),
    [
        ([], Verdict.INCONCLUSIVE),
        ([Outcome.RIGHT, Outcome.REFUSED], Verdict.AGREE),
        ([Outcome.RIGHT, Outcome.INCONCLUSIVE], Verdict.INCONCLUSIVE),
        ([Outcome.RIGHT, Outcome.WRONG, Outcome.INCONCLUSIVE], Verdict.DISAGREE),
        ([Outcome.REFUSED], Verdict.INCONCLUSIVE),
    ],
)
def test_the_verdict_is_the_worst_of_what_ran(outcomes: list[Outcome], verdict: Verdict) -> None:
    told = report([row("a", outcome=outcome) for outcome in outcomes])
    assert told.verdict is verdict
    assert told.ok is (verdict is Verdict.AGREE)
    assert str(told)
    with pytest.raises(TypeError, match="no truth value"):
        bool(told)


def test_nothing_right_is_said() -> None:
    told = report([row("a", outcome=Outcome.REFUSED, reason="no")])
    assert told.advice[0] == "torch: nothing to recommend at n = 100: no strategy was found right there."
    with pytest.raises(ValueError, match="no strategy was found right"):
        told.plot()


def test_json_is_strict_and_complete() -> None:
    told = json.loads(report().to_json(), parse_constant=lambda word: pytest.fail(word))
    assert told["verdict"] == "disagree"
    assert len(told["rows"]) == len(ROWS)
    first = told["rows"][0]
    assert (first["strategy"], first["fastest"], first["speed_up_over_naive"]) == ("batched vjp", True, 45.0)
    assert first["speed_up_over_default"] == pytest.approx(2.1)
    assert len(first["samples"]) == 7
    assert told["rows"][-1]["median_seconds"] is None
    assert told["growth"][0]["exponent"] is None
    assert told["growth"][0]["reason"].startswith("too few sizes")


def test_markdown_has_a_row_for_every_strategy_and_escapes() -> None:
    lines = report().to_markdown().splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 2 + len(ROWS)
    assert {line.replace("\\|", "").count("|") for line in table} == {9}
    assert table[2].startswith("| \\* | batched vjp | right |")
    assert "one\\_hot" in table[6]
    assert "vmap: \\<no rule>" in "\n".join(lines)
    assert "Wrong, do not use: one\\_hot." in lines
    assert not [line for line in lines if "~" in line.replace("\\~", "")]  # two would strike through what is between


def test_html_escapes_what_users_wrote() -> None:
    html = report()._repr_html_()
    assert "vmap: &lt;no rule&gt;" in html
    assert html.count("<tr>") == 1 + len(ROWS)


def test_pandas_gets_a_row_for_every_strategy() -> None:
    pytest.importorskip("pandas")
    frame = report().to_pandas()
    assert list(frame["strategy"])[:2] == ["batched vjp", "jacrev"]
    assert frame["median_seconds"][0] == 0.001
    assert "samples" not in frame


@pytest.mark.parametrize(
    ("package", "face"),
    [
        ("pandas", lambda r: r.to_pandas()),
        ("matplotlib", lambda r: r.plot()),
        ("matplotlib", lambda r: r.save_plot("a")),
    ],
)
def test_what_is_not_installed_is_named(package: str, face: Callable[[Any], Any], monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=f"pip install {package}"):
        face(report())


def test_ranks_are_by_backend_and_number_of_inputs() -> None:
    assert report().fastest == {("torch", 100): "batched vjp"}


# --- pictures ---


@pytest.fixture
def mpl() -> Any:
    matplotlib = pytest.importorskip("matplotlib")
    before = matplotlib.get_backend()
    matplotlib.use("Agg")
    yield matplotlib
    sys.modules["matplotlib.pyplot"].close("all") if "matplotlib.pyplot" in sys.modules else None
    matplotlib.use(before)


def texts(axes: Any) -> str:
    return "\n".join(text.get_text() for text in axes.texts)


def test_bars_are_speed_ups_and_what_is_not_right_has_none(mpl: Any) -> None:
    axes = report().plot()
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([44, 20.4285714, 0], abs=1e-6)
    assert "45×   1.00 ms" in texts(axes)
    assert texts(axes).count("not ranked") == 3
    assert len(axes.get_yticklabels()) == len(ROWS)


def test_lines_are_times_with_their_powers(mpl: Any) -> None:
    told = at_sizes((10, 100, 1000), naive=lambda n: 1e-3 * n**2, a=lambda n: 1e-3 * n)
    axes = told.plot()
    handles, labels = axes.get_legend_handles_labels()
    assert labels == ["a  $n^{1.00 \\pm 0.01}$", "naive (naive)  $n^{2.00 \\pm 0.01}$"]
    assert list(handles[0].lines[0].get_ydata()) == pytest.approx([0.01, 0.1, 1.0])
    assert axes.get_xscale() == axes.get_yscale() == "log"
    assert "naive (naive)" in texts(axes)


def test_pictures_go_where_they_are_told(mpl: Any, tmp_path: Path) -> None:
    figure = mpl.figure.Figure()
    axes = figure.subplots()
    assert report().plot("scaling", ax=axes) is axes
    told = at_sizes((10, 100, 1000), naive=lambda n: 1e-3 * n**2, a=lambda n: 1e-3 * n)
    for name in ("bench.png", "bench.svg", "bench.pdf"):
        told.save_plot(tmp_path / name)
        assert (tmp_path / name).stat().st_size > 1000
    assert (
        "time against size" in (tmp_path / "bench.svg").read_text() or "<path" in (tmp_path / "bench.svg").read_text()
    )


def test_pictures_that_are_not_known_are_refused(mpl: Any) -> None:
    with pytest.raises(
        ValueError, match=r"kind='pie' is no picture of a benchmark\. Accepted: 'scaling', 'speedup', None"
    ):
        report().plot("pie")


@pytest.mark.parametrize("heights", [[], [0.5], [0.1] * 8, [0.0, 0.95, 0.96, 1.0], list(np.linspace(0.4, 0.9, 12))])
def test_labels_do_not_overlap_and_stay_inside(heights: list[float]) -> None:
    gap = 0.08
    placed = _spread(heights, gap)
    assert len(placed) == len(heights)
    assert all(b - a >= gap - 1e-12 for a, b in pairwise(placed))
    assert all(-1e-12 <= place <= 1 + 1e-12 for place in placed)


# --- units ---


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.577, "577 ms"), (0.000532, "532 µs"), (2.2, "2.20 s"), (3.4e-9, "3.40 ns"), (0.0009999, "1.00 ms"),
     (45, "45.0 s"), (0, "0 ns"), (1234.5, "1234 s"), (9.999e-6, "10.0 µs")],
)  # fmt: skip
def test_times_have_three_digits_and_a_unit(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text


def test_other_units() -> None:
    assert interval_text(532e-6, (529e-6, 1040e-6), 20) == "532 µs [529, 1040]"
    assert interval_text(1.0, None, 1) == "1.00 s (1 run)"
    assert [memory_text(n) for n in (None, 0, 999_999, 1_300_000_000, 61e6)] == [
        "not known", "< 1 MB", "< 1 MB", "1.3 GB", "61 MB"
    ]  # fmt: skip
    assert [ratio_text(r) for r in (1.0, 45.2, 0.0039, 1088.0, 9.99)] == ["1.0×", "45×", "0.0039×", "1100×", "10×"]
    assert ratio_text(45.2, sure=False) == "~45×"


# --- the command line ---

MODEL = "import numpy as np\n\nn = 7\n\ndef f(x):\n    return np.tanh(x)\n"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the command line asks for; it is given the rows above."""
    calls: list[Any] = []

    def run(function: Any, points: Any, quantity: str, **options: Any) -> BenchmarkReport:
        calls.append((function, points, quantity, options))
        return report()

    monkeypatch.setattr(running, "run_benchmark", run)
    return calls


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    path = tmp_path / "benchmarked_model.py"
    path.write_text(MODEL)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield f"{path}:f"
    sys.modules.pop("benchmarked_model", None)


def bench(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["bench", *arguments])


def test_sizes_are_called_n(model: str, asked: list[Any]) -> None:
    result = bench(model, "--sizes", "100,10,10", "--at", "randn(n, 3)", "--at", "w=np.ones(n)", "--quantity", "batch")
    assert result.exit_code == 1, result.output  # a strategy is wrong
    ((_, points, quantity, options),) = asked
    assert [point.args[0].shape for point in points] == [(10, 3), (100, 3)]
    assert [point.kwargs["w"].shape for point in points] == [(10,), (100,)]
    assert quantity == "batch"
    assert options == {"backends": None, "compiled": None, "seconds": 0.25, "seed": 0}


@pytest.mark.parametrize(
    ("options", "shapes"),
    [
        ([], [(10,), (100,), (1000,)]),
        (["--sizes", "5"], [(5,)]),
        (["--at", "np.ones(4)"], [(4,)]),
        (["--at", "np.ones(n)"], [(7,)]),  # without sizes n is the file's
    ],
)
def test_points_are_drawn_where_none_is_given(
    model: str, asked: list[Any], options: list[str], shapes: list[tuple[int, ...]]
) -> None:
    bench(model, *options)
    assert [point.args[0].shape for point in asked[0][1]] == shapes


def test_faces_and_pictures_are_chosen(model: str, asked: list[Any], mpl: Any, tmp_path: Path) -> None:
    options = ["--backend", "torch", "--backend", "jax", "--seconds", "0.5"]
    assert "45×" in bench(model, *options).stdout
    assert bench(model, "--format", "markdown").stdout.startswith("### model, jacobian")
    assert json.loads(bench(model, "--format", "json").stdout)["quantity"] == "jacobian"
    assert asked[0][3] == {"backends": ["torch", "jax"], "compiled": None, "seconds": 0.5, "seed": 0}
    result = bench(model, "--format", "json", "--plot", str(tmp_path / "a.png"))
    assert json.loads(result.stdout)["rows"]
    assert (tmp_path / "a.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--sizes", "ten"], "--sizes 'ten' are no integers. Accepted: positive integers"),
        (["--sizes", "10,0"], "0 is not positive"),
        (["--sizes", "10", "--at", "randn(3)"], "no --at speaks of n"),
        (["--at", "randn(k)"], "With --sizes, n is the size"),
        (["--quantity", "curl"], "'jacobian', 'diagonal', 'batch', 'hessian'"),
        (["--plot", "no/such/folder/a.png"], "there is no folder 'no/such/folder'"),
        (["--plot", "a.xyz"], "has no suffix of a picture. Accepted: .png, .svg, .pdf"),
    ],
)
def test_what_the_command_cannot_use_is_named(model: str, asked: list[Any], options: list[str], told: str) -> None:
    result = bench(model, *options)
    assert result.exit_code == 2, result.output
    assert told in " ".join(result.output.replace("│", " ").split())
    assert asked == []


@pytest.mark.parametrize("command", ["bench", "check"])
def test_examples_stand_on_lines_of_their_own(command: str) -> None:
    told = CliRunner().invoke(main, [command, "--help"]).output
    assert sum(line.strip().startswith(f"xcheck {command} ") for line in told.splitlines()) == 3
    assert "\\b" not in told


def test_what_the_function_raises_is_not_a_verdict(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: Any, **__: Any) -> BenchmarkReport:
        raise RuntimeError("no such luck")

    monkeypatch.setattr(running, "run_benchmark", run)
    result = bench(model)
    assert result.exit_code == 3
    assert "RuntimeError: no such luck" in result.output
