"""What users get: the sdist, the wheel built from it, and that wheel installed."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = {"xcheck": ROOT / "xcheck", "xcheck_backends": ROOT / "backends" / "xcheck_backends"}

USE = """
import pathlib, sys
import numpy as np, xcheck, xcheck_backends
target = pathlib.Path(sys.argv[1]).resolve()
assert target in pathlib.Path(xcheck.__file__).resolve().parents, xcheck.__file__
assert target in pathlib.Path(xcheck_backends.__file__).resolve().parents, xcheck_backends.__file__
assert set(xcheck.backends()) >= {"jax", "numpy", "tensorflow", "torch"}
assert xcheck.check(lambda x: x @ x, np.ones(3), gradient=lambda x: 2 * x).ok
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist of the working tree, and the wheel made from that sdist."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


def tree() -> set[str]:
    """Name every file of the two packages as the wheel should hold it."""
    return {
        f"{name}/{path.relative_to(folder).as_posix()}"
        for name, folder in PACKAGES.items()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_holds_the_tree_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    metadata = {name for name in names if name.startswith("xcheck_autodiff-0.1.0.dist-info/")}
    assert names - metadata == tree()
    assert {"xcheck/py.typed", "xcheck_backends/py.typed"} <= names
    assert "xcheck_autodiff-0.1.0.dist-info/licenses/LICENSE" in metadata


def test_the_wheel_announces_backends_and_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read("xcheck_autodiff-0.1.0.dist-info/entry_points.txt").decode()
    parser = ConfigParser()
    parser.read_string(text)
    assert dict(parser["console_scripts"]) == {"xcheck": "xcheck.cli:main"}
    assert dict(parser["xcheck.backends"]) == {
        "jax": "xcheck_backends.jax_:JaxBackend",
        "numpy": "xcheck_backends.numpy_:NumpyBackend",
        "tensorflow": "xcheck_backends.tensorflow_:TensorflowBackend",
        "torch": "xcheck_backends.torch_:TorchBackend",
    }


def test_the_wheel_needs_no_framework(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        lines = archive.read("xcheck_autodiff-0.1.0.dist-info/METADATA").decode().splitlines()
    required = [line for line in lines if line.startswith("Requires-Dist:") and "extra ==" not in line]
    assert required
    assert not [line for line in required if any(name in line for name in ("torch", "jax", "tensorflow", "keras"))]
    assert "License-Expression: Apache-2.0" in lines


def test_the_sdist_can_be_built_and_tested(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    sources = {name.replace("xcheck_backends/", "backends/xcheck_backends/") for name in tree()}
    assert sources <= names
    assert {"LICENSE", "README.md", "pyproject.toml", "tests/test_packaging.py"} <= names


def test_the_installed_wheel_works(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(target)]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True)
    assert not {"backends", "benchmarks", "docs", "examples", "tests"} & {path.name for path in target.iterdir()}
    environment = os.environ | {"PYTHONPATH": str(target)}
    command = [sys.executable, "-c", USE, str(target)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
