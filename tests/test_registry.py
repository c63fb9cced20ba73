"""Backends by name, by object, by the inputs' types, and from other people's distributions."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import xcheck
from xcheck import registry
from xcheck.conformance import SCENARIOS, Scenario, verify

PLUGIN = Path(__file__).parent / "plugin"
LoopbackBackend: Any = runpy.run_path(str(PLUGIN / "xcheck_loopback.py"))["LoopbackBackend"]


@pytest.fixture
def backends_of(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Replace the registered backends by `name=object path` pairs, with empty caches."""

    def replace(*entries: tuple[str, str]) -> None:
        from importlib.metadata import EntryPoint

        points = [EntryPoint(name, value, registry.GROUP) for name, value in entries]
        monkeypatch.setattr(registry, "entry_points", lambda group: points)
        clear()

    def clear() -> None:
        for cached in (registry._entries, registry._adapter, registry._adapter_or_none):
            cached.cache_clear()

    yield replace
    monkeypatch.undo()
    clear()


def python(program: str, *paths: Path) -> subprocess.CompletedProcess[str]:
    search = os.pathsep.join([*(str(p) for p in paths), *(p for p in sys.path if p)])
    environment = os.environ | {"PYTHONPATH": search}
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, env=environment
    )


# Names


def test_the_built_in_backends_are_registered() -> None:
    assert set(xcheck.backends()) >= {"numpy", "torch", "jax", "tensorflow"}


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"backend='pytorch' is unknown. Known: .*'numpy'.*'torch'"):
        xcheck.check(np.sin, np.ones(2), backend="pytorch")


def test_an_absent_framework_comes_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "find_spec", lambda name: None)

    with pytest.raises(ModuleNotFoundError, match=r"needs jax, which is not installed.*pip install jax$"):
        xcheck.check(np.sin, np.ones(2), backend="jax")


def test_two_distributions_that_claim_one_name_are_both_named(backends_of: Any) -> None:
    backends_of(("mine", "one:Backend"), ("mine", "two:Backend"))

    with pytest.raises(RuntimeError, match=r"'mine': one:Backend and two:Backend.*Uninstall"):
        xcheck.backends()


def test_a_broken_adapter_is_reported_and_does_not_stop_the_others(backends_of: Any) -> None:
    backends_of(("numpy", "xcheck_backends.numpy_:NumpyBackend"), ("broken", "no_such_module:Backend"))

    with pytest.warns(RuntimeWarning, match=r"'broken' \(no_such_module:Backend\) cannot be loaded.*No module named"):
        report = xcheck.check(np.sin, np.ones(2), diagonal=np.cos)

    assert report.ok
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        xcheck.check(np.sin, np.ones(2), backend="broken")


# Objects


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (LoopbackBackend, "is a class; pass an instance"),
        (object(), "lacks name, owns, from_numpy, to_numpy, value"),
        (3, "lacks name"),
    ],
)
def test_something_that_is_no_backend_is_refused(given: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message) as caught:
        xcheck.check(np.sin, np.ones(2), backend=given)

    assert "'numpy'" in str(caught.value)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_a_third_partys_backend_conforms(scenario: Scenario) -> None:
    assert verify(LoopbackBackend(), scenario) == ("value", "vjp", "jvp")


def test_a_backend_object_is_checked_in_both_modes() -> None:
    report = xcheck.check(lambda x: np.sin(x) * x[0], np.array([0.5, 1.5]), backend=LoopbackBackend())

    assert [c.claim.source for c in report.comparisons] == ["loopback/vjp", "loopback/jvp", "loopback/jvp"]
    assert report.ok


def test_a_wrong_rule_of_a_backend_object_is_found_where_it_is() -> None:
    class Wrong(LoopbackBackend):
        rules = LoopbackBackend.rules | {np.exp: lambda x, dx: np.exp(x) * dx * (1 + 0.001 * (x > 1))}

    report = xcheck.check(np.exp, np.array([0.5, 1.5]), backend=Wrong(), raises=False)

    assert report.verdict is xcheck.Verdict.DISAGREE
    assert {entry.name for entry in report.comparisons[0].worst if entry.verdict is xcheck.Verdict.DISAGREE} == {
        "d out[1] / d x[1]"
    }


def test_a_rule_that_a_backend_lacks_is_no_failure() -> None:
    report = xcheck.check(np.tan, np.ones(2), backend=LoopbackBackend(), raises=False)

    assert report.verdict is xcheck.Verdict.INCONCLUSIVE
    assert any("no rule for tan" in line for line in report.unchecked)


def test_python_numbers_vary_on_a_backend_of_numpy_arrays() -> None:
    assert xcheck.gradient(lambda x: x * x, 3.0, backend=LoopbackBackend()) == 6.0


def test_a_backend_object_may_own_the_arrays_of_a_framework(torch: Any) -> None:
    from xcheck_backends.torch_ import TorchBackend

    class Wrapped(TorchBackend):
        name = "wrapped"

    report = xcheck.check(torch.sin, torch.ones(2), backend=Wrapped())

    assert report.comparisons[0].claim.source == "wrapped/vjp"


# Inference


def test_inputs_choose_the_backend(backend: Any) -> None:
    x = backend.from_numpy(np.ones(2))

    assert registry.infer([("s", "text"), ("n", 3), ("x", x), ("a", np.zeros(2))]).name == backend.name


def test_plain_numbers_mean_numpy() -> None:
    assert registry.infer([("x", 1.0), ("y", None)]).name == "numpy"


def test_two_frameworks_are_refused_by_the_names_of_their_arguments(torch: Any, jax: Any) -> None:
    with pytest.raises(TypeError, match=r"two frameworks: a is torch, b\['w'\] is jax"):
        xcheck.check(lambda a, b: a, torch.ones(2), {"w": jax.numpy.ones(2)})


def test_a_backend_that_is_not_the_inputs_is_refused(torch: Any, jax: Any) -> None:
    with pytest.raises(
        TypeError, match=r"backend='jax' was asked for, but x is an array of torch.*leave backend= away"
    ):
        xcheck.check(lambda x: x, torch.ones(2), backend="jax")


def test_numpy_inputs_are_converted_without_losing_digits(backend: Any) -> None:
    seen = []

    def f(x: Any) -> Any:
        seen.append(x)
        return x * x

    x = np.array([1.0, 1 + 2**-50])
    xcheck.finite_difference(f, x, backend=backend.name)

    assert backend.owns(seen[0])
    assert backend.to_numpy(seen[0]).dtype == np.float64
    np.testing.assert_array_equal(backend.to_numpy(seen[0]), x)


# Other people's distributions


def test_an_installed_backend_is_found_by_its_entry_point_and_by_name() -> None:
    done = python(
        """
        import numpy as np, sys, xcheck
        assert "loopback" in xcheck.backends()
        assert "xcheck_loopback" not in sys.modules
        report = xcheck.check(lambda x: np.sin(x).sum(), np.ones(3), backend="loopback")
        print(report.comparisons[0].claim.source, report.verdict.value)
        """,
        PLUGIN,
    )

    assert done.stdout.split() == ["loopback/vjp", "agree"], done.stderr


def test_listing_backends_loads_no_adapter_and_no_framework() -> None:
    done = python(
        """
        import sys, xcheck
        xcheck.backends()
        print([m for m in sys.modules if m.split(".")[0] in ("torch", "jax", "tensorflow", "keras", "xcheck_backends")])
        """
    )

    assert done.stdout.strip() == "[]", done.stderr
