"""xcheck and its peers behind one call: `run(checker, case)` gives an `Outcome`.

Each peer runs as its users run it: its defaults, and where it gives no verdict of its own, the threshold that its users
assert. What it cannot be asked is "not applicable" and counts for nothing.

| checker | what runs, and what passes |
| --- | --- |
| gradcheck, slow | `torch.autograd.gradcheck`, defaults; `gradgradcheck` at second order |
| gradcheck, fast | the same with `fast_mode=True` |
| check_grads, fwd and rev | `jax.test_util.check_grads` with the case's order and one mode |
| compute_gradient | `tf.test.compute_gradient`, default step; passes if no entry differs by more than 1e-4 |
| scipy check_grad | `scipy.optimize.check_grad`, default step, of a random projection; passes up to 1e-5 |
| HIPS check_grads | `autograd.test_util.check_grads(modes=["rev"], order=1)` of a primitive with the claimed vjp |
| numdifftools | `numdifftools.Jacobian` against the claimed Jacobian, within ten of its error estimates |
| Taylor rate | remainders along a random direction at 0.01/2^i, i = 0..3; passes if every rate exceeds 1.9 |
| xcheck | `xcheck.check`, defaults |

A torch, JAX or TensorFlow function reaches SciPy, HIPS autograd, numdifftools and the Taylor test through
`projection.py`, as NumPy functions for its value and its vjp; only where all inputs are float64.
"""

from __future__ import annotations

from peers.outcome import Answer, Outcome
from peers.running import CHECKERS, run

__all__ = ["CHECKERS", "Answer", "Outcome", "run"]
