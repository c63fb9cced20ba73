"""Importing xcheck is cheap: no framework comes along. The time itself is measured by benchmarks/import_time.py."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

FRAMEWORKS = {"jax", "jaxlib", "keras", "tensorflow", "torch"}


def modules_after(code: str) -> set[str]:
    """Run `code` in a new interpreter and tell which top-level modules are loaded then."""
    report = f"{code}\nimport json, sys\nprint(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "code",
    [
        "import xcheck",
        "import xcheck; assert xcheck.backends()",
        "import xcheck; xcheck.show_versions()",
        "import xcheck, numpy as np; xcheck.check(lambda x: x @ x, np.ones(3), gradient=lambda x: 2 * x)",
    ],
)
def test_no_framework_is_loaded_that_was_not_asked_for(code: str) -> None:
    loaded = modules_after(code)
    assert "xcheck" in loaded
    assert loaded & FRAMEWORKS == set()


@pytest.mark.parametrize("argument", ["--version", "--help"])
def test_the_command_line_answers_without_numpy(argument: str) -> None:
    code = f"from xcheck.cli import main\nmain([{argument!r}], standalone_mode=False)"
    loaded = modules_after(code)
    assert "xcheck" in loaded
    assert loaded & (FRAMEWORKS | {"numpy", "optree", "rich", "scipy"}) == set()


def test_the_public_names_are_what_the_package_says() -> None:
    import xcheck

    assert sorted(xcheck.__all__) == list(xcheck.__all__)
    for name in xcheck.__all__:
        assert getattr(xcheck, name) is not None
