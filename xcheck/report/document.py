"""`Report`: everything a check found out. It computes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from os import PathLike
from typing import TYPE_CHECKING, Any

from xcheck.comparison import Comparison
from xcheck.report.judged import Judged
from xcheck.report.plain import plain
from xcheck.report.power import Power
from xcheck.report.text import render
from xcheck.verdict import Verdict

if TYPE_CHECKING:
    from xcheck.baselines.baseline import Baseline
    from xcheck.report.cross import CrossReport


@dataclass(frozen=True)
class Report(Judged):
    """What a check found.

    Attributes:
        function: how the function is called.
        backend: the framework and the dtypes of the inputs.
        comparisons: one for every claim and reference.
        point: where it was checked, the range of every input; nothing is said of other points.
        unchecked: every derivative that was not checked, and why.
        notes: findings beside the derivatives, such as inputs that the function changes in place.
        evaluations: how often the function was evaluated.
        seconds: wall time of the check.
    """

    function: str
    backend: str
    comparisons: tuple[Comparison, ...]
    point: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    evaluations: int = 0
    seconds: float = field(default=0.0, compare=False)
    _plant: Callable[[Report, int, int], Power] | None = field(default=None, compare=False, repr=False)
    _keep: Callable[[Report], Baseline] | None = field(default=None, compare=False, repr=False)

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of the comparisons; INCONCLUSIVE if there are none."""
        return Verdict.worst(c.verdict for c in self.comparisons)

    def __str__(self) -> str:
        """Return the report as plain text."""
        return render(self)

    def power(self, trials: int = 16, seed: int = 0) -> Power:
        """Plant errors of known sizes in the claims that agreed, and tell at which size they are seen.

        The check is made again, from a copy of its inputs and with its seed, and then judged with errors in random
        entries, from 1/64 of the stated detection limit to 64 of it and 3 % more, of either sign. An error counts from
        the claim or from what was measured, whichever is farther. Costs a check, and few evaluations more for every
        planted error.

        Args:
            trials: how many errors of every size are planted in every claim.
            seed: chooses the entries.

        Raises:
            ValueError: nothing agreed; `trials` is not positive; or the report has been pickled or copied, which leaves
                the function behind.
        """
        for name, number, least in (("trials", trials, 1), ("seed", seed, 0)):
            if isinstance(number, bool) or not isinstance(number, int):
                raise TypeError(f"{name} must be an int; given: {type(number).__name__}.")
            if number < least:
                raise ValueError(f"{name} must be at least {least}; given: {number}.")
        if self._plant is None:
            raise ValueError(
                "this report does not hold the function that it is about: it was pickled, copied or made by hand. "
                "Run xcheck.check again in this process, and call power() on the report that it returns."
            )
        return self._plant(self, trials, seed)

    def save_baseline(self, path: str | PathLike[str]) -> None:
        """Write the point, the value and the derivatives to a file, for `check(f, x, baseline=path)` elsewhere.

        The file holds NumPy arrays and one text, no framework's objects, and is never unpickled. Every entry keeps its
        tolerance and its verdict; of a problem too large for single entries, one product with the derivative is kept.
        Inputs that are held constant and keyword arguments are not. Costs five evaluations of the function, and for a
        large problem three products.

        Args:
            path: the file, by convention `something.npz`; one that is there is replaced.

        Raises:
            FileNotFoundError: its folder does not exist.
            TypeError: `path` is no path.
            ValueError: the report has been pickled or copied, which leaves the numbers behind.
        """
        if self._keep is None:
            raise ValueError(
                "this report does not hold the numbers that it is about: it was pickled, copied or made by hand. Run "
                "xcheck.check again in this process, and call save_baseline() on the report that it returns."
            )
        self._keep(self).save(path)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the function and its numbers behind: they may not be picklable, and may be large."""
        return {name: value for name, value in vars(self).items() if name not in ("_plant", "_keep")}

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain dictionaries, lists, strings and numbers, ready for JSON.

        Infinities and NaN become the strings "inf", "-inf" and "nan", which strict JSON can hold.
        """
        told: dict[str, Any] = plain(self)
        return {"verdict": self.verdict.value, "ok": self.ok, **told}


class DerivativeError(AssertionError):
    """A derivative is wrong.

    Attributes:
        report: the whole report.
    """

    def __init__(self, report: Report | CrossReport) -> None:
        """Carry `report`; its text is the message."""
        super().__init__(str(report))
        self.report = report


class InconclusiveError(AssertionError):
    """A derivative could not be decided.

    Attributes:
        report: the whole report.
    """

    def __init__(self, report: Report | CrossReport) -> None:
        """Carry `report`; its text is the message."""
        super().__init__(str(report))
        self.report = report


def require_agreement(report: Report | CrossReport) -> None:
    """Raise on anything but agreement.

    Raises:
        DerivativeError: the verdict is DISAGREE.
        InconclusiveError: it is INCONCLUSIVE.
    """
    __tracebackhide__ = True
    if report.verdict is Verdict.DISAGREE:
        raise DerivativeError(report)
    if report.verdict is Verdict.INCONCLUSIVE:
        raise InconclusiveError(report)
