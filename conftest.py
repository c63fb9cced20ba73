"""Runs the Python snippets of README and docs as tests."""

from importlib.util import find_spec

from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

FRAMEWORKS = ("torch", "jax")  # what the snippets need

if all(find_spec(name) for name in FRAMEWORKS):
    pytest_collect_file = Sybil(parsers=[PythonCodeBlockParser()], patterns=["README.md", "docs/*.md"]).pytest()
