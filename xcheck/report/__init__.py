"""The report of a check, its faces, and the exceptions that carry it."""

from xcheck.report.document import DerivativeError, InconclusiveError, Report
from xcheck.report.power import ClaimPower, Power, Size

__all__ = ["ClaimPower", "DerivativeError", "InconclusiveError", "Power", "Report", "Size"]
