"""What is installed, for bug reports: versions, and on request devices and precision settings."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, packages_distributions, version
from importlib.util import find_spec
from typing import TextIO

from xcheck.registry import FRAMEWORKS, GROUP

DISTRIBUTION = "xcheck-autodiff"

LIBRARIES = ("array-api-compat", "numpy", "scipy", "optree", "ml_dtypes", "psutil", "click", "rich")

Versions = dict[str, dict[str, str]]
"""Sections, each a table of names and values."""


def show_versions(file: TextIO | None = None) -> None:
    """Print the versions that a bug report needs: xcheck, Python, the libraries, and the framework of every backend.

    No framework is imported. `xcheck doctor` prints the same with devices and precision settings.

    Args:
        file: where to print; standard output if not given.
    """
    print(format_versions(collect_versions()), file=file or sys.stdout)


def collect_versions(describe: bool = False) -> Versions:
    """Collect versions by section: "system", "libraries", "backends".

    Args:
        describe: also import each installed framework, and add one section each with what its adapter's `describe()`
            tells: devices and precision settings.
    """
    entries = sorted(entry_points(group=GROUP), key=lambda entry: entry.name)
    found: Versions = {
        "system": {
            "xcheck": _version(DISTRIBUTION),
            "python": f"{platform.python_version()} ({platform.python_implementation()})",
            "platform": platform.platform(),
        },
        "libraries": {name: _version(name) for name in LIBRARIES},
        "backends": {entry.name: _backend_version(entry) for entry in entries},
    }
    if describe:
        found |= {entry.name: _describe(entry) for entry in entries if _is_installed(entry)}
    return found


def versions_behind(backend: str) -> dict[str, str]:
    """Return the versions that numbers of a backend rest on: xcheck's, Python's, NumPy's, the framework's."""
    entry = next((e for e in entry_points(group=GROUP) if e.name == backend), None)
    if entry is None or backend == "numpy":
        own = {}
    elif backend in FRAMEWORKS:
        own = _distributions(FRAMEWORKS[backend])
    else:
        own = {entry.dist.name: entry.dist.version} if entry.dist is not None else {}
    usual = {"xcheck": _version(DISTRIBUTION), "python": platform.python_version(), "numpy": _version("numpy")}
    return usual | own


def format_versions(versions: Mapping[str, Mapping[str, str]]) -> str:
    """Write sections as plain text, names in one column and values in the next."""
    width = max((len(name) for table in versions.values() for name in table), default=0)
    lines = []
    for section, table in versions.items():
        lines.append(section)
        lines += [f"  {name:<{width}}  {value}" for name, value in table.items()]
    return "\n".join(lines)


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"


def _distributions(package: str) -> dict[str, str]:
    return {name: _version(name) for name in sorted(set(packages_distributions().get(package, [])))}


def _is_installed(entry: EntryPoint) -> bool:
    package = FRAMEWORKS.get(entry.name)
    return package is None or find_spec(package) is not None


def _backend_version(entry: EntryPoint) -> str:
    if entry.name in FRAMEWORKS:
        if not _is_installed(entry):
            return f"not installed (pip install {FRAMEWORKS[entry.name]})"
        found = _distributions(FRAMEWORKS[entry.name])
        return ", ".join(f"{name} {number}" for name, number in found.items()) or "version unknown"
    if entry.dist is not None and entry.dist.name == DISTRIBUTION:
        return f"{entry.name} {_version(entry.name)}"
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else entry.value


def _describe(entry: EntryPoint) -> dict[str, str]:
    try:
        backend = entry.load()()
        describe = getattr(backend, "describe", None)
        return dict(describe()) if describe is not None else {"settings": "its adapter does not tell"}
    except Exception as error:  # a broken framework is what the doctor is there to find
        return {"broken": f"{type(error).__name__}: {error}"}
