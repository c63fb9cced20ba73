"""Reports as plain text, for terminals, tracebacks and logs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from xcheck.comparison import Comparison, Entry
from xcheck.verdict import Verdict

if TYPE_CHECKING:
    from xcheck.report.document import Report

SHOWN = 3
"""Entries that the text shows; the report has more."""


def render(report: Report) -> str:
    """Write the whole report: verdict first, then every comparison, then what was not checked."""
    lines = [f"{report.function}, {report.backend}: {str(report.verdict).upper()}"]
    told: set[str] = set()
    for comparison in report.comparisons:
        lines += _comparison(comparison, told)
    if not report.comparisons:
        lines.append("  nothing was compared")
    lines += [f"  note      {note}" for note in report.notes]
    lines += [f"  unchecked {line}" for line in _grouped(report.unchecked)]
    if report.point:
        more = f", and {len(report.point) - SHOWN} more inputs" if len(report.point) > SHOWN else ""
        lines.append(f"  at        {', '.join(report.point[:SHOWN])}{more}; other points may differ")
    lines.append(f"  cost      {report.evaluations} evaluations, {_seconds(report.seconds)}")
    return "\n".join(lines)


def _grouped(unchecked: tuple[str, ...]) -> list[str]:
    """Put names with the same reason on one line."""
    names: dict[str, list[str]] = {}
    for line in unchecked:
        name, _, reason = line.partition(": ")
        names.setdefault(reason, []).append(name)
    return [f"{', '.join(group)}: {reason}" for reason, group in names.items()]


def _comparison(c: Comparison, told: set[str]) -> list[str]:
    """Write one comparison; causes that were told of another one are not written out again."""
    lines = [f"  {c.claim.source} vs {c.reference.source}: {str(c.verdict).upper()}, {_count(c)}"]
    if c.reason:
        lines.append(f"    why     {c.reason}")
    if c.verdict is not Verdict.AGREE:
        labels = ["worst", *[""] * SHOWN]
        show = _saved if c.reference.source == "baseline" else _entry
        lines += [f"    {label:<7} {show(e)}" for label, e in zip(labels, c.worst[:SHOWN], strict=False)]
    causes = [str(cause) for cause in c.causes]
    lines += [f"    cause   {cause}" for cause in causes if cause not in told]
    lines += ["    cause   as above"] if causes and told.issuperset(causes) else []
    told.update(causes)
    if c.causes and c.unexplained:
        lines.append(f"    cause   {c.unexplained} more wrong entries have another one, that was not recognised")
    lines += [f"    note    {note}" for note in c.notes]
    if math.isfinite(c.detection_limit):
        lines.append(f"    limit   {_limit(c)}")
    return lines


def _count(c: Comparison) -> str:
    what = f"{c.total} {'entries' if c.total != 1 else 'entry'} of the {c.quantity}"
    if c.method != "every entry":
        what = f"{c.total} products ({c.method}) with the {c.quantity}"
    if c.verdict is Verdict.DISAGREE:
        return f"{c.wrong} of {what}" + (f", {c.inconclusive} more inconclusive" if c.inconclusive else "")
    if c.verdict is Verdict.INCONCLUSIVE:
        return f"{c.inconclusive} of {what}"
    return f"all {what}" if c.total != 1 else f"the {c.quantity}" if c.method == "every entry" else what


def _entry(e: Entry) -> str:
    text = f"{e.name}: {_number(e.claimed)} claimed, {_measured(e)}"
    alike = math.isfinite(e.ratio) and abs(e.ratio - 1) < 5e-4
    if not math.isfinite(e.ratio) or (e.verdict is not Verdict.DISAGREE and not alike):
        return text
    if alike:
        return f"{text} (off by {abs(e.claimed - e.measured):.2g}, {abs(e.ratio - 1):.1g} of it)"
    return f"{text} (ratio {e.ratio:.4g})" if e.claimed else text


def _saved(e: Entry) -> str:
    """Write an entry that is held against a baseline, with digits enough to tell both numbers apart."""
    apart = abs(e.claimed - e.measured) / max(abs(e.measured), 1e-300)
    figures = 6 if not 0 < apart < 1e-3 else min(17, 4 - math.floor(math.log10(apart)))
    off = f" (off by {abs(e.claimed - e.measured):.2g}, {e.error_bar:.1g} allowed)" if math.isfinite(apart) else ""
    return f"{e.name}: {e.claimed + 0.0:.{figures}g} here, {e.measured + 0.0:.{figures}g} in the baseline{off}"


def _measured(e: Entry) -> str:
    if e.slopes is not None:
        bars = e.slope_bars or (math.inf, math.inf)
        left, right = (_side(slope, bar) for slope, bar in zip(e.slopes, bars, strict=True))
        return f"slopes {left} on the left and {right} on the right measured"
    if not math.isfinite(e.error_bar):
        return "no slope measured"
    measured = 0.0 if abs(e.measured) <= e.error_bar else e.measured
    return f"{_number(measured)} ± {e.error_bar:.1g} measured"


def _side(slope: float, bar: float) -> str:
    return f"{_number(slope)} ± {bar:.1g}" if math.isfinite(bar) else "none"


def _limit(c: Comparison) -> str:
    agree = c.total - c.wrong - c.inconclusive
    where = "the entry" if c.total == 1 else "the one that agrees" if agree == 1 else f"any of the {agree} that agree"
    if c.method != "every entry":
        where = "any single entry" if c.method == "probes" else "any of the products"
    if not c.detection_limit:
        return f"any error in {where} would have been seen: both are exact"
    shown = c.method == "every entry" and c.relative_limit > 0
    relative = f" ({c.relative_limit:.1g} of the output's largest)" if shown else ""
    return f"an error of {c.detection_limit:.1g}{relative} in {where} would have been seen"


def _number(value: float) -> str:
    return f"{value + 0.0:.6g}"  # adding zero turns -0 into 0


def _seconds(seconds: float) -> str:
    return f"{seconds * 1e3:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
