"""Runs the Python snippets of README and docs as tests."""

from importlib.util import find_spec

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

FRAMEWORKS = ("torch", "jax")  # what the snippets need

if all(find_spec(name) for name in FRAMEWORKS):
    pytest_collect_file = Sybil(parsers=[PythonCodeBlockParser()], patterns=["README.md", "docs/*.md"]).pytest()


def pytest_configure(config: pytest.Config) -> None:
    """Keep a document's snippets, which share their names, in one worker where pytest-xdist runs several."""
    if getattr(config.option, "dist", "no") == "load":
        config.option.dist = "loadfile"
