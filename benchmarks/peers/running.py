"""Run any checker on any case, timed and counted, whatever happens."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
from cases.case import Case

import xcheck
from peers.anywhere import hips_check_grads, numdifftools_jacobian, scipy_check_grad, taylor_rate
from peers.frameworks import check_grads, compute_gradient, gradcheck
from peers.inputs import native
from peers.outcome import Answer, NotApplicable, Outcome

XCHECK = "xcheck"

CHECKERS: dict[str, Callable[[Case], tuple[Answer, str]] | None] = {
    XCHECK: None,
    "gradcheck, slow": partial(gradcheck, fast=False),
    "gradcheck, fast": partial(gradcheck, fast=True),
    "check_grads, fwd": partial(check_grads, mode="fwd"),
    "check_grads, rev": partial(check_grads, mode="rev"),
    "compute_gradient": compute_gradient,
    "scipy check_grad": scipy_check_grad,
    "HIPS check_grads": hips_check_grads,
    "numdifftools": numdifftools_jacobian,
    "Taylor rate": taylor_rate,
}
"""Every checker by its name in the tables."""


def run(checker: str, case: Case) -> Outcome:
    """Run one checker on one case; nothing that it raises gets out."""
    ask = CHECKERS[checker]
    counted = _Counted(case.f)
    np.random.seed(0)
    start = perf_counter()
    try:
        plain = case if ask is None else native(case)
        start = perf_counter()
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            if ask is None:
                return ask_xcheck(case)
            answer, detail = ask(replace(plain, f=counted))
    except NotApplicable as error:
        return Outcome(Answer.NOT_APPLICABLE, detail=str(error))
    except Exception as error:
        answer, detail = Answer.ERROR, f"{type(error).__name__}: {str(error)[:600]}"
    return Outcome(answer, perf_counter() - start, counted.calls, detail)


def ask_xcheck(case: Case) -> Outcome:
    """Run xcheck with its defaults; an option that this version does not have makes the case not applicable."""
    options: dict[str, Any] = dict(case.options) | ({"order": case.order} if case.order != 1 else {})
    missing = set(options) - set(inspect.signature(xcheck.check).parameters)
    if missing:
        raise NotApplicable(f"no {', '.join(sorted(missing))}=")
    start = perf_counter()
    report = xcheck.check(case.f, *case.inputs, raises=False, **options)
    seconds = perf_counter() - start
    error, limit = _planted(case, report)
    return Outcome(Answer(report.verdict.value), seconds, report.evaluations, str(report), limit, error)


def _planted(case: Case, report: xcheck.Report) -> tuple[float, float]:
    """Return the size of a planted error and the limit that the report states for its place."""
    if not case.planted or not report.comparisons:
        return float("nan"), float("nan")
    flaw = getattr(case.f, "flaw", None)
    if flaw is None:
        return case.planted, report.comparisons[0].relative_limit
    error = flaw.size * flaw.largest if flaw.kind == "row" else flaw.error
    about = [c for c in report.comparisons if c.claim.source.endswith(f"/{flaw.mode}")] or report.comparisons[:1]
    return float(error), max(c.detection_limit for c in about)


class _Counted:
    def __init__(self, f: Callable[..., Any]) -> None:
        self.f, self.calls = f, 0
        self.flaw = getattr(f, "flaw", None)
        self.__name__ = getattr(f, "__name__", "f")

    def __call__(self, *inputs: Any) -> Any:
        self.calls += 1
        return self.f(*inputs)
