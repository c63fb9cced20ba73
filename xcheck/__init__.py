"""Check derivatives: automatic or hand-written, in PyTorch, JAX, TensorFlow and NumPy, with a verdict to defend.

The names below are imported when they are first used: a mere `import xcheck` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xcheck.archive import load_baseline
    from xcheck.axes import layout
    from xcheck.baseline import Baseline
    from xcheck.checks import check
    from xcheck.comparison import Comparison, Entry
    from xcheck.crosschecks import crosscheck
    from xcheck.invariants import invariant
    from xcheck.measurement import finite_difference, gradient, jacobian, jacobian_diagonal
    from xcheck.registry import backends
    from xcheck.report import CrossReport, DerivativeError, InconclusiveError, Power, Report
    from xcheck.verdict import Verdict
    from xcheck.versions import show_versions

__version__ = "0.1.0"

__all__ = [
    "Baseline",
    "Comparison",
    "CrossReport",
    "DerivativeError",
    "Entry",
    "InconclusiveError",
    "Power",
    "Report",
    "Verdict",
    "backends",
    "check",
    "crosscheck",
    "finite_difference",
    "gradient",
    "invariant",
    "jacobian",
    "jacobian_diagonal",
    "layout",
    "load_baseline",
    "show_versions",
]

_HOMES = {
    "archive": ("load_baseline",),
    "axes": ("layout",),
    "baseline": ("Baseline",),
    "checks": ("check",),
    "comparison": ("Comparison", "Entry"),
    "crosschecks": ("crosscheck",),
    "invariants": ("invariant",),
    "measurement": ("finite_difference", "gradient", "jacobian", "jacobian_diagonal"),
    "registry": ("backends",),
    "report": ("CrossReport", "DerivativeError", "InconclusiveError", "Power", "Report"),
    "verdict": ("Verdict",),
    "versions": ("show_versions",),
}
"""The module that each public name comes from."""


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, and keep it."""
    for module, names in _HOMES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(f"{__name__}.{module}"), name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names, those not yet imported as well."""
    return sorted({*globals(), *__all__})
