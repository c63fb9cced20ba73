"""Check derivatives: automatic or hand-written, in PyTorch, JAX, TensorFlow and NumPy, with a verdict to defend."""

from xcheck.checks import check
from xcheck.comparison import Comparison, Entry
from xcheck.measurement import finite_difference, gradient, jacobian, jacobian_diagonal
from xcheck.registry import backends
from xcheck.report import DerivativeError, InconclusiveError, Report
from xcheck.verdict import Verdict

__version__ = "0.1.0"

__all__ = [
    "Comparison",
    "DerivativeError",
    "Entry",
    "InconclusiveError",
    "Report",
    "Verdict",
    "backends",
    "check",
    "finite_difference",
    "gradient",
    "jacobian",
    "jacobian_diagonal",
]
