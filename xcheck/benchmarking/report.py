"""`BenchmarkReport`: what a benchmark found out, and its faces. It times nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from os import PathLike
from typing import TYPE_CHECKING, Any

from xcheck.benchmarking.advice import advise
from xcheck.benchmarking.plot import draw, save
from xcheck.benchmarking.ranking import Block, blocks
from xcheck.benchmarking.row import Outcome, Row
from xcheck.benchmarking.scaling import Growth, growth
from xcheck.benchmarking.table import (
    LEGEND,
    Table,
    as_html,
    as_markdown,
    as_text,
    escape_markdown,
    tabulate,
)
from xcheck.benchmarking.units import seconds_text
from xcheck.report.judged import Judged
from xcheck.report.plain import plain
from xcheck.verdict import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame


@dataclass(frozen=True)
class BenchmarkReport(Judged):
    """What a benchmark found.

    Attributes:
        function: how the function is called.
        quantity: "jacobian", "diagonal", "batch" or "hessian".
        rows: one for every strategy of every backend and size.
        notes: what a reader has to know besides.
        environment: versions, processor, threads: what the times rest on.
        seconds: wall time of the benchmark.
    """

    function: str
    quantity: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    seconds: float = field(default=0.0, compare=False)

    @property
    def verdict(self) -> Verdict:
        """DISAGREE if a strategy is wrong, AGREE if all that ran are right, else INCONCLUSIVE."""
        verdicts = {
            Outcome.RIGHT: Verdict.AGREE, Outcome.WRONG: Verdict.DISAGREE, Outcome.INCONCLUSIVE: Verdict.INCONCLUSIVE
        }  # fmt: skip
        return Verdict.worst(verdicts[row.outcome] for row in self.rows if row.outcome in verdicts)

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The rows by backend and size, ranked."""
        return blocks(self.rows)

    @property
    def fastest(self) -> dict[tuple[str, int], str]:
        """The fastest right strategy for every backend and number of inputs; those without one are missing."""
        return {(b.backend, b.inputs): b.fastest.strategy for b in self.blocks if b.fastest is not None}

    @property
    def advice(self) -> tuple[str, ...]:
        """What to call, how much faster that is, and what was refused or wrong."""
        return advise(self.blocks)

    def growth(self, backend: str, strategy: str) -> Growth:
        """Return how the time of a strategy grows with the number of inputs, where it was right.

        Raises:
            ValueError: no strategy of that backend has that name.
        """
        rows = [row for row in self.rows if (row.backend, row.strategy) == (backend, strategy)]
        if not rows:
            known = ", ".join(f"{b}: {s}" for b, s in self._contenders())
            raise ValueError(f"no strategy {strategy!r} of {backend!r} took part. Accepted: {known}.")
        timed = [(row.inputs, row.median) for row in rows if row.outcome is Outcome.RIGHT and row.median is not None]
        return growth([n for n, _ in timed], [median for _, median in timed])

    def __str__(self) -> str:
        """Return the report as plain text: who is right, a table for every backend and size, and what to call."""
        lines = [self._headline()]
        for table in self._tables():
            lines += ["", *as_text(table)]
        lines += ["", f"  {LEGEND}", ""]
        lines += [f"  {sentence}" for sentence in self.advice]
        lines += [f"  note      {note}" for note in self.notes]
        if self.environment:
            lines.append(f"  with      {self._surroundings()}")
        lines.append(f"  cost      {seconds_text(self.seconds)}")
        return "\n".join(lines)

    def to_markdown(self) -> str:
        """Return the report as Markdown."""
        sentences = [LEGEND.replace("   ", "; "), *self.advice, *(f"Note: {note}" for note in self.notes)]
        sentences += [f"With {self._surroundings()}."] if self.environment else []
        parts = [[f"### {escape_markdown(self._headline())}"]]
        parts += [as_markdown(table) for table in self._tables()]
        parts += [[escape_markdown(sentence)] for sentence in sentences]
        return "\n\n".join("\n".join(part) for part in parts) + "\n"

    def _repr_html_(self) -> str:
        """Return the report as HTML, for notebooks."""
        paragraphs = [LEGEND.replace("   ", "; "), *self.advice, *(f"Note: {note}" for note in self.notes)]
        paragraphs += [f"With {self._surroundings()}."] if self.environment else []
        tables = [as_html(table) for table in self._tables()]
        told = "".join(f"<p>{escape(paragraph)}</p>" for paragraph in paragraphs)
        return f"<div><p><b>{escape(self._headline())}</b></p>{''.join(tables)}{told}</div>"

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain dictionaries, lists, strings and numbers, ready for JSON: what is unknown is None.

        Times are in seconds, memory in bytes.
        """
        rows = [_told(block, row) for block in self.blocks for row in block.rows]
        exponents = [
            {"backend": backend, "strategy": strategy, **plain(self.growth(backend, strategy))}
            for backend, strategy in self._contenders()
        ]
        head = {"verdict": self.verdict.value, "ok": self.ok, "function": self.function, "quantity": self.quantity}
        tail = {"notes": list(self.notes), "environment": dict(self.environment), "seconds": self.seconds}
        return {**head, "rows": rows, "growth": exponents, "advice": list(self.advice), **tail}

    def to_json(self, indent: int | None = 2) -> str:
        """Return `to_dict()` as strict JSON."""
        return json.dumps(self.to_dict(), indent=indent, allow_nan=False, ensure_ascii=False)

    def to_pandas(self) -> DataFrame:
        """Return the rows as a pandas DataFrame, in the order of the ranking, without the single samples.

        Raises:
            ImportError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError("to_pandas() needs pandas, which is not installed: pip install pandas") from error
        told = [_told(block, row) for block in self.blocks for row in block.rows]
        return pd.DataFrame([{name: value for name, value in row.items() if name != "samples"} for row in told])

    def plot(self, kind: str | None = None, ax: Axes | None = None) -> Axes:
        """Draw the right strategies with matplotlib.

        Args:
            kind: "scaling": time against n, with the powers; "speedup": bars at the largest size of each backend, next
                to the naive loop, or next to the slowest where that is missing. None for "scaling" where there are two
                sizes or more.
            ax: where to draw; a new figure if not given.

        Raises:
            ImportError: matplotlib is not installed.
            ValueError: `kind` is not known, or nothing is right.
        """
        return draw(self, kind, ax)

    def save_plot(self, path: str | PathLike[str]) -> None:
        """Draw the speed-ups, and beside them the times against n where there are two sizes or more, into a file.

        Args:
            path: its suffix is the format: .png, .svg, .pdf.

        Raises:
            ImportError: matplotlib is not installed.
            ValueError: nothing is right, or matplotlib does not know the format.
        """
        save(self, path)

    def _contenders(self) -> list[tuple[str, str]]:
        return list(dict.fromkeys((row.backend, row.strategy) for block in self.blocks for row in block.rows))

    def _tables(self) -> list[Table]:
        return tabulate(self.blocks, self.growth)

    def _headline(self) -> str:
        counts = [(sum(row.outcome is outcome for row in self.rows), outcome) for outcome in Outcome]
        told = ", ".join(f"{count} {outcome}" for count, outcome in counts if count)
        return f"{self.function}, {self.quantity}: {told or 'nothing took part'}"

    def _surroundings(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self.environment.items())


def _told(block: Block, row: Row) -> dict[str, Any]:
    """Write a row as plain values, one level deep."""
    timing = row.timing
    low, high = (None, None) if timing is None or timing.interval is None else timing.interval
    default = block.default
    return {
        "backend": row.backend,
        "strategy": row.strategy,
        "inputs": row.inputs,
        "outputs": row.outputs,
        "outcome": row.outcome.value,
        "reason": row.reason,
        "fastest": row is block.fastest,
        "tied": any([row is other for other in block.tied]),
        "naive": row.naive,
        "default": row.default,
        "call": row.how,
        "prepare_seconds": row.prepare_seconds,
        "first_seconds": row.first_seconds,
        "median_seconds": row.median,
        "low_seconds": low,
        "high_seconds": high,
        "speed_up_over_naive": block.speed_up(row),
        "speed_up_over_default": None if default is None else block.speed_up(row, default),
        "memory_bytes": row.memory,
        "memory_method": row.memory_method,
        "products": row.products,
        "calls": row.calls,
        "first_calls": row.first_calls,
        "runs_per_sample": None if timing is None else timing.block,
        "samples": [] if timing is None else list(timing.samples),
    }
