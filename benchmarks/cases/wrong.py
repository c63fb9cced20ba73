"""Wrong derivatives that some checker has called right, and wrong ones that today's frameworks ship.

They are taken from bug reports and from what the checkers were seen to do. P1 to P40 are their names; A6 and E/... are
wrong by the same measure. Where an error of 100 % hides behind a checker's absolute tolerance (P5, P12, P13, P25, P26),
the function and its input are scaled by 1e-8 to 1e8 as well.

Operators that break a contract (P6: the strides of a cotangent; P7: a cotangent changed in place; P9: state kept on the
class) are used such that the derivative of the whole is wrong: to find the breach in a bare operator is another check.
What is wrong only elsewhere (P8) is right at this point.

| left out | because |
| --- | --- |
| P15 | a checker whose verdicts were all "right"; there was no derivative behind it |
| P18 | the same: its result was a type, which is true |
| P19 | the same: the second order was never looked at; P11 and P34 are wrong at second order |
| P30 | the step that the user chose was ignored; no wrong derivative |
| P33 | `torch.func.vmap` over `torch.autograd.functional.jacobian` is refused today |

P3, P4, P14, P16, P17, P20, P22 to P24, P29, P31, P32 and P34 stem from other versions or other tools; the nearest wrong
derivative that can be written down here stands for each.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from importlib import import_module
from importlib.util import find_spec

from cases.case import Case

FRAMEWORKS = ("torch", "jax", "tensorflow", "numpy")


def wrong(frameworks: Collection[str] = FRAMEWORKS) -> Iterator[Case]:
    """Yield the cases of those `frameworks` that are installed."""
    for name in FRAMEWORKS:
        if name in frameworks and find_spec(name):
            yield from import_module(f"cases.wrong_{name}").wrong()
