"""One `backend` fixture for all tests, and which frameworks they run on."""

from __future__ import annotations

import os
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Any

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow is imported: its start-up messages
os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is: its threads would wait for each other's cores

BUILT_IN = {
    "numpy": "xcheck_backends.numpy_:NumpyBackend",
    "torch": "xcheck_backends.torch_:TorchBackend",
    "jax": "xcheck_backends.jax_:JaxBackend",
    "tensorflow": "xcheck_backends.tensorflow_:TensorflowBackend",
}
"""What a working tree that is not installed falls back to."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--backend",
        action="append",
        default=[],
        metavar="NAME",
        help="run on this backend only; may be repeated; a framework asked for by name must be there",
    )


def registered() -> dict[str, str]:
    """Name every backend, third parties' included."""
    return BUILT_IN | {entry.name: entry.value for entry in entry_points(group="xcheck.backends")}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "backend" in metafunc.fixturenames:
        names = metafunc.config.getoption("--backend") or list(registered())
        metafunc.parametrize("backend", names, indirect=True)


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> Any:
    """One backend after the other: those asked for with --backend, else all whose framework is installed."""
    return load(request, request.param)


@pytest.fixture
def torch(request: pytest.FixtureRequest) -> Any:
    """PyTorch; the test is skipped where it is absent or not asked for."""
    return framework(request, "torch")


@pytest.fixture
def jax(request: pytest.FixtureRequest) -> Any:
    """JAX; the test is skipped where it is absent or not asked for."""
    return framework(request, "jax")


@pytest.fixture
def tf(request: pytest.FixtureRequest) -> Any:
    """TensorFlow; the test is skipped where it is absent or not asked for."""
    return framework(request, "tensorflow")


def framework(request: pytest.FixtureRequest, name: str) -> Any:
    """Import a framework that a test is about."""
    asked = request.config.getoption("--backend")
    if asked and name not in asked:
        pytest.skip(f"--backend does not name {name}")
    load(request, name)
    return import_module(name)


def load(request: pytest.FixtureRequest, name: str) -> Any:
    """Make the backend called `name`; skip where its framework is absent, fail where it was asked for."""
    known = registered()
    if name not in known:
        pytest.fail(f"--backend {name}: no such backend; known are {', '.join(known)}")
    if name in BUILT_IN and find_spec(name) is None:
        give_up = pytest.fail if name in request.config.getoption("--backend") else pytest.skip
        give_up(f"{name} is not installed")
    module, _, attribute = known[name].partition(":")
    return getattr(import_module(module), attribute)()
