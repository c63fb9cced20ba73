"""Between the (m, n) matrix and the nested shapes that users write and expect.

A Jacobian of one array with respect to one array has the shape `output.shape + input.shape`. With several of either it
is nested: the structure of the output around the structure of the inputs. A gradient has the structure of the inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xcheck.problem import Problem
from xcheck.protocol import RealArray
from xcheck.space import Block

Wrap = Callable[[NDArray[Any], int], Any]
"""Turns a NumPy array for the k-th varying input into what the user gets back."""


def nest_jacobian(problem: Problem, matrix: RealArray, wrap: Wrap) -> Any:
    """Cut an (m, n) matrix into the output's structure of the inputs' structure of arrays.

    Raises:
        ValueError: a complex function of a complex input is not holomorphic, so that no complex Jacobian exists.
    """
    rows = []
    for out in problem.outputs.blocks:
        cells = [_cell(out, x, matrix[out.slice, x.slice]) for x in problem.inputs.blocks]
        rows.append(_inputs_like(problem, [wrap(cell, k) for k, cell in enumerate(cells)]))
    if len(problem.output.varying) != problem.output.leaves:
        return rows[0] if len(rows) == 1 else tuple(rows)
    return problem.output.structure.unflatten(rows)


def nest_inputs(problem: Problem, vector: RealArray, wrap: Wrap) -> Any:
    """Cut a vector `(n,)` into the structure of the inputs."""
    arrays = [_from_pairs(vector[x.slice].reshape(1, -1), x).reshape(x.shape) for x in problem.inputs.blocks]
    return _inputs_like(problem, [wrap(array, k) for k, array in enumerate(arrays)])


def _inputs_like(problem: Problem, values: Sequence[Any]) -> Any:
    """Return one value as it is, several as the positional inputs that hold them; flat where that is impossible."""
    varying = problem.call.varying
    if any(leaf.position is None for leaf in varying):  # parameters of a module, or keyword inputs named in wrt=
        return dict(zip([leaf.name for leaf in varying], values, strict=True))
    args = problem.call.positional(values)
    picked = [args[p] for p in sorted({leaf.position for leaf in varying if leaf.position is not None})]
    return picked[0] if len(picked) == 1 else tuple(picked)


def _cell(out: Block, x: Block, part: RealArray) -> NDArray[Any]:
    shape = (*out.shape, *x.shape)
    if not out.is_complex:
        return _from_pairs(part, x).reshape(shape)
    real, imaginary = _from_pairs(part[0::2], x), _from_pairs(part[1::2], x)
    if not x.is_complex:
        return (real + 1j * imaginary).reshape(shape)
    # f = u + iv of z = x + iy: `real` is u_x + i u_y, `imaginary` is v_x + i v_y; Cauchy-Riemann makes the second
    # i times the first, and f' = u_x + i v_x = conj(real)
    off = np.abs(imaginary - 1j * real)
    scale = np.max(np.abs(real), initial=0.0) + np.max(np.abs(imaginary), initial=0.0)
    if np.any(off > 1e-6 * scale):
        raise ValueError(
            f"{out.name} is not a holomorphic function of {x.name}: it has no complex Jacobian. Split the output into "
            "its real and imaginary parts to get their gradients."
        )
    return np.conj(real).reshape(shape)


def _from_pairs(rows: RealArray, x: Block) -> NDArray[Any]:
    return rows[:, 0::2] + 1j * rows[:, 1::2] if x.is_complex else rows
