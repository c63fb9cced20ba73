"""Check derivatives: automatic or hand-written, in PyTorch, JAX, TensorFlow and NumPy, with a verdict to defend.

The names below are imported when they are first used: a mere `import xcheck` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xcheck.axes import layout
    from xcheck.baselines.archive import load_baseline
    from xcheck.baselines.baseline import Baseline
    from xcheck.benchmarking.report import BenchmarkReport
    from xcheck.benchmarks import benchmark
    from xcheck.checks import check
    from xcheck.comparison import Comparison, Entry
    from xcheck.crosschecks import crosscheck
    from xcheck.gauges.invariants import invariant
    from xcheck.jacobians import (
        batch_jacobian,
        hessian,
        jacobian,
        jacobian_diagonal,
        jacobian_function,
        plan,
        sparse_jacobian,
    )
    from xcheck.measurement import finite_difference, gradient
    from xcheck.registry import backends
    from xcheck.report import CrossReport, DerivativeError, InconclusiveError, Power, Report
    from xcheck.strategies.assumptions import AssumptionError
    from xcheck.strategies.plans import Plan
    from xcheck.strategies.repeated import JacobianFunction
    from xcheck.traces import estimate_diagonal, estimate_trace, jacobian_trace
    from xcheck.verdict import Verdict
    from xcheck.versions import show_versions

__version__ = "0.1.0"

__all__ = [
    "AssumptionError",
    "Baseline",
    "BenchmarkReport",
    "Comparison",
    "CrossReport",
    "DerivativeError",
    "Entry",
    "InconclusiveError",
    "JacobianFunction",
    "Plan",
    "Power",
    "Report",
    "Verdict",
    "backends",
    "batch_jacobian",
    "benchmark",
    "check",
    "crosscheck",
    "estimate_diagonal",
    "estimate_trace",
    "finite_difference",
    "gradient",
    "hessian",
    "invariant",
    "jacobian",
    "jacobian_diagonal",
    "jacobian_function",
    "jacobian_trace",
    "layout",
    "load_baseline",
    "plan",
    "show_versions",
    "sparse_jacobian",
]

_HOMES = {
    "baselines.archive": ("load_baseline",),
    "axes": ("layout",),
    "baselines.baseline": ("Baseline",),
    "benchmarking.report": ("BenchmarkReport",),
    "benchmarks": ("benchmark",),
    "checks": ("check",),
    "comparison": ("Comparison", "Entry"),
    "crosschecks": ("crosscheck",),
    "gauges.invariants": ("invariant",),
    "jacobians": (
        "batch_jacobian",
        "hessian",
        "jacobian",
        "jacobian_diagonal",
        "jacobian_function",
        "plan",
        "sparse_jacobian",
    ),
    "measurement": ("finite_difference", "gradient"),
    "registry": ("backends",),
    "report": ("CrossReport", "DerivativeError", "InconclusiveError", "Power", "Report"),
    "strategies.assumptions": ("AssumptionError",),
    "strategies.plans": ("Plan",),
    "strategies.repeated": ("JacobianFunction",),
    "traces": ("estimate_diagonal", "estimate_trace", "jacobian_trace"),
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
