"""The frameworks' own gradient checkers."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
from cases.case import Case

from peers.inputs import flaw_mode, merged, no_verdict, require_plain, varying
from peers.outcome import Answer, NotApplicable

Said = tuple[Answer, str]

TENSORFLOW_TOLERANCE = 1e-4
"""The largest difference that users of tf.test.compute_gradient usually let pass."""


def gradcheck(case: Case, fast: bool) -> Said:
    """Run torch's gradcheck, or gradgradcheck at second order; defaults apart from `fast_mode`.

    Forward mode is switched on where an error was planted in it, as someone who had written a forward rule would do.
    """
    require_plain(case, ("torch",))
    import torch

    failed = import_module("torch.autograd.gradcheck").GradcheckError  # the package's attribute is the function
    positions = varying(case)
    inputs = [x.detach().requires_grad_(k in positions) for k, x in enumerate(case.inputs)]
    try:
        if case.order == 2:
            torch.autograd.gradgradcheck(case.f, inputs, fast_mode=fast)
        else:
            torch.autograd.gradcheck(case.f, inputs, fast_mode=fast, check_forward_ad=flaw_mode(case) == "jvp")
    except failed as error:
        return Answer.DISAGREE, _first_lines(error)
    return Answer.AGREE, ""


def check_grads(case: Case, mode: str) -> Said:
    """Run JAX's check_grads in one mode, in 64 bits where an input has them."""
    require_plain(case, ("jax",))
    import jax
    from jax.test_util import check_grads as check

    positions = varying(case)
    wide = any(str(x.dtype).endswith(("64", "complex128")) for x in case.inputs)

    def function(*xs: Any) -> Any:
        return case.f(*merged(case, positions, xs))

    try:
        with jax.enable_x64(wide):
            check(function, tuple(case.inputs[k] for k in positions), order=case.order, modes=(mode,))
    except AssertionError as error:
        return Answer.DISAGREE, _first_lines(error)
    except TypeError as error:
        if "can't apply forward-mode" in str(error):
            raise NotApplicable("no forward rule") from error
        raise
    return Answer.AGREE, ""


def compute_gradient(case: Case) -> Said:
    """Run TensorFlow's compute_gradient; it returns two Jacobians, and users assert on the largest difference."""
    require_plain(case, ("tensorflow",), order=1)
    import tensorflow as tf

    positions = varying(case)

    def function(*xs: Any) -> Any:
        return case.f(*merged(case, positions, xs))

    claimed, measured = tf.test.compute_gradient(function, [case.inputs[k] for k in positions])
    gaps = [np.abs(np.asarray(a) - np.asarray(b)).astype(float) for a, b in zip(claimed, measured, strict=True)]
    error = max((float(np.max(gap)) for gap in gaps if gap.size), default=0.0)
    error = float("nan") if any(np.isnan(gap).any() for gap in gaps) else error
    if no_verdict(error):
        return Answer.ERROR, "the largest difference is NaN"
    return Answer.AGREE if error <= TENSORFLOW_TOLERANCE else Answer.DISAGREE, f"largest difference {error:.3g}"


def _first_lines(error: Exception) -> str:
    return "\n".join(str(error).splitlines()[:6])[:600]
