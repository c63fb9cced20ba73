"""Checkers that know no framework; they are given NumPy functions for the value and the vjp."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from cases.case import Case

from peers.outcome import Answer
from peers.projection import Flat, flat

Said = tuple[Answer, str]

SCIPY_TOLERANCE = 1e-5
"""SciPy states none; its own tests ask for 1.5e-7 to 5e-7 of functions of size one, users for 1e-6 to 1e-4."""

ESTIMATES = 10.0
"""How many of numdifftools' own error estimates a claim may be off."""

ROUNDING = 1e-12
"""What a claim may be off besides, of the largest entry: the estimate can be zero where rounding is not."""

VAGUE = 1e-2
"""An estimate times `ESTIMATES` above this part of the largest entry tells nothing."""

RATE = 1.9
"""What users of pyadjoint's taylor_test assert."""

TINY_REMAINDER = 1e-15
"""Below this pyadjoint's taylor_test warns that a remainder is close to machine precision."""


def scipy_check_grad(case: Case) -> Said:
    """Run scipy.optimize.check_grad on a random projection of the outputs."""
    from scipy.optimize import check_grad

    problem = flat(case)
    value, gradient = projected(problem)
    error = float(check_grad(value, gradient, problem.x))
    if np.isnan(error):
        return Answer.ERROR, "the difference is NaN"
    return Answer.AGREE if error <= SCIPY_TOLERANCE else Answer.DISAGREE, f"returned {error:.3g}"


def hips_check_grads(case: Case) -> Said:
    """Run HIPS autograd's check_grads on a primitive with the claimed vjp."""
    from autograd.extend import defvjp, primitive
    from autograd.test_util import check_grads

    problem = flat(case)
    operator = primitive(problem.value)
    defvjp(operator, lambda _, x: lambda g: problem.vjp(x, g))
    try:
        check_grads(operator, modes=["rev"], order=1)(problem.x)
    except AssertionError as error:
        return Answer.DISAGREE, str(error)[:600]
    return Answer.AGREE, ""


def numdifftools_jacobian(case: Case) -> Said:
    """Compare the claimed Jacobian with numdifftools' within its own error estimate."""
    import numdifftools

    problem = flat(case)
    claimed = problem.jacobian()
    found = numdifftools.Jacobian(problem.value, full_output=True)(problem.x)
    measured = np.reshape(found.estimate, claimed.shape)
    estimate = np.reshape(found.error_estimate, claimed.shape)
    if np.isnan(measured).any() or np.isnan(estimate).any():
        return Answer.ERROR, "the measured Jacobian is NaN"
    largest = np.max(np.abs(measured), initial=0.0)
    tolerance = ESTIMATES * estimate + ROUNDING * largest
    gap = np.abs(claimed - measured)
    if not np.all(gap <= tolerance):
        return Answer.DISAGREE, f"off by up to {np.max(gap):.3g}, estimates up to {np.max(estimate):.3g}"
    if largest and np.any(ESTIMATES * estimate > VAGUE * largest):
        return Answer.INCONCLUSIVE, f"estimates up to {np.max(estimate):.3g} for entries up to {largest:.3g}"
    return Answer.AGREE, ""


def taylor_rate(case: Case) -> Said:
    """Test that the remainder of the first Taylor polynomial shrinks like the square of the step."""
    problem = flat(case)
    value, gradient = projected(problem)
    direction = np.random.default_rng(1).normal(size=problem.x.size)
    here, slope = value(problem.x), gradient(problem.x) @ direction
    steps = 0.01 / 2.0 ** np.arange(4)
    remainders = np.array([abs(value(problem.x + h * direction) - here - h * slope) for h in steps])
    with np.errstate(all="ignore"):
        rates = np.log2(remainders[:-1] / remainders[1:])
    worst = float(np.min(rates))
    if worst > RATE:
        return Answer.AGREE, f"rates down to {worst:.3g}"
    if remainders.min() < TINY_REMAINDER:
        return Answer.INCONCLUSIVE, f"rates down to {worst:.3g}, remainders close to machine precision"
    if np.isnan(worst):
        return Answer.ERROR, "the rate is NaN"
    return Answer.DISAGREE, f"rates down to {worst:.3g}"


def projected(problem: Flat) -> tuple[Callable[[np.ndarray], float], Callable[[np.ndarray], np.ndarray]]:
    """Return value and gradient of the inner product of the outputs with a random vector; of 1 if there is one."""
    m = problem.value(problem.x).size
    weights = np.random.default_rng(0).normal(size=m) if m > 1 else np.ones(1)
    return lambda x: float(weights @ problem.value(x)), lambda x: problem.vjp(x, weights)
