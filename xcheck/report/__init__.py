"""The report of a check, its faces, and the exceptions that carry it."""

from xcheck.report.document import DerivativeError, InconclusiveError, Report

__all__ = ["DerivativeError", "InconclusiveError", "Report"]
