"""The report of a check, its faces, and the exceptions that carry it."""

from xcheck.report.cross import CrossReport, Row
from xcheck.report.document import DerivativeError, InconclusiveError, Report, require_agreement
from xcheck.report.power import ClaimPower, Power, Size

__all__ = [
    "ClaimPower",
    "CrossReport",
    "DerivativeError",
    "InconclusiveError",
    "Power",
    "Report",
    "Row",
    "Size",
    "require_agreement",
]
