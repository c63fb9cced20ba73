"""`CrossReport`: what a comparison of implementations found out. It computes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import StringIO
from os import PathLike
from typing import Any

from rich.console import Console
from rich.table import Table

from xcheck.agreement import MOST_DIGITS, Difference
from xcheck.report.document import Report
from xcheck.report.judged import Judged
from xcheck.report.plain import plain
from xcheck.verdict import Verdict

WIDTH = 110
"""Columns of the text."""


@dataclass(frozen=True)
class Row:
    """One implementation.

    Attributes:
        label: what it is called.
        state: its own verdict, "values only" for one without a derivative, or why it could not be compared.
        quantity: gradient or Jacobian.
        verdicts: of its own comparisons, such as "vjp vs finite differences".
        values: to how many decimal digits its values agree with those of every other one.
        derivatives: the same of its derivative.
        agreement: what each other one is to it: "agree", or why they differ.
    """

    label: str
    state: str
    quantity: str = ""
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    values: Mapping[str, float] = field(default_factory=dict)
    derivatives: Mapping[str, float] = field(default_factory=dict)
    agreement: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CrossReport(Judged):
    """What a cross-check found.

    Attributes:
        function: how the function is called, and the dtypes of its inputs.
        rows: one for every implementation.
        findings: who stands alone, and why, one sentence each; empty if all agree.
        differences: the same as numbers.
        verdict: DISAGREE if one is wrong or computes another function, INCONCLUSIVE if they differ where there is no
            derivative or where values settle nothing, or if one could not be compared, else the worst of their own.
        notes: implementations that could not be compared, and dtypes that are not what they should be.
        reports: each implementation's own report.
        evaluations: how often the functions were evaluated.
        seconds: wall time.
    """

    function: str
    rows: tuple[Row, ...]
    findings: tuple[str, ...]
    differences: tuple[Difference, ...]
    verdict: Verdict
    notes: tuple[str, ...] = ()
    reports: Mapping[str, Report] = field(default_factory=dict)
    evaluations: int = 0
    seconds: float = field(default=0.0, compare=False)

    def __str__(self) -> str:
        """Return the report as plain text: the verdict, the matrix, who is wrong, what was not compared."""
        lines = [f"{self.function}: {str(self.verdict).upper()}", _matrix(self.rows)]
        lines += [f"  {sentence}" for sentence in self.findings or (self._all(),)]
        lines += [f"  note      {note}" for note in self.notes]
        lines += [f"  unchecked {line}" for line in _unchecked(self.reports)]
        points = next((report.point for report in self.reports.values() if report.point), ())
        lines += [f"  at        {', '.join(points[:3])}; other points may differ"] if points else []
        lines.append(f"  cost      {self.evaluations} evaluations, {self.seconds:.2g} s")
        return "\n".join(lines)

    def _all(self) -> str:
        if self.verdict is Verdict.AGREE:
            return "All agree, with each other and with finite differences of their own values."
        if sum(bool(row.values) for row in self.rows) < 2:
            able = [row.label for row in self.rows if row.state in ("agree", "disagree", "inconclusive", "values only")]
            only = (
                f"only {able[0]} could be evaluated"
                if len(able) == 1
                else "fewer than two could be, or none as another"
            )
            return f"Nothing was compared: {only}; see the notes."
        return (
            "They agree with each other as far as they were compared; the notes and their own reports say what was not."
        )

    def save_baseline(self, path: str | PathLike[str], of: str) -> None:
        """Write the point, the value and the derivatives of one implementation to a file; see `Report.save_baseline`.

        Args:
            path: the file.
            of: the label of the implementation.

        Raises:
            FileNotFoundError: the folder of `path` does not exist.
            TypeError: `path` is no path.
            ValueError: no implementation with a derivative has that label.
        """
        if of not in self.reports:
            known = ", ".join(map(repr, self.reports)) or "none"
            raise ValueError(f"of={of!r} is no implementation that was checked here. Accepted: {known}.")
        self.reports[of].save_baseline(path)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain dictionaries, lists, strings and numbers, ready for JSON."""
        told: dict[str, Any] = plain(self)
        rows = {row["label"]: {k: _plain_mapping(v) for k, v in row.items() if k != "label"} for row in told["rows"]}
        reports = {label: report.to_dict() for label, report in self.reports.items()}
        return {**told, "ok": self.ok, "rows": rows, "reports": reports}


def _unchecked(reports: Mapping[str, Report]) -> list[str]:
    """List what was not checked, once where all say the same, and with whose it is where they do not."""
    counts = Counter(line.partition(": ")[2] for report in reports.values() for line in set(report.unchecked))
    lines = [
        line if counts[line.partition(": ")[2]] < len(reports) or line in next(iter(reports.values())).unchecked else ""
        for report in reports.values()
        for line in report.unchecked
    ]
    return [line for line in dict.fromkeys(lines) if line]


def _plain_mapping(value: Any) -> Any:
    return {key: plain(item) for key, item in value.items()} if isinstance(value, Mapping) else value


def _matrix(rows: tuple[Row, ...]) -> str:
    """Draw the agreement matrix: every implementation's own verdicts, and its digits in common with each other one."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("  implementation")
    table.add_column("by itself")
    for row in rows:
        table.add_column(f"with {row.label}")
    for row in rows:
        table.add_row(f"  {row.label}", row.state, *(_cell(row, other) for other in rows))
    text = StringIO()
    Console(file=text, width=WIDTH, no_color=True, highlight=False).print(table)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def _cell(row: Row, other: Row) -> str:
    """Write what two implementations are to each other, and to how many digits; one line each."""
    if row is other or other.label not in row.values:
        return "-"
    word = row.agreement.get(other.label, "")
    lines = [word, f"value {_digits(row.values[other.label], word)}"]
    if other.label in row.derivatives:
        lines.append(f"{row.quantity or 'slopes'} {_digits(row.derivatives[other.label], word)}")
    return "\n".join(lines)


def _digits(number: float, word: str) -> str:
    if number >= MOST_DIGITS:
        return "same"
    if number >= 1:
        return f"{int(number)} digits"
    return "0 digits" if word.startswith("agree") else "differs"
