"""Between the (m, n) matrix and the nested shapes that users write and expect.

A Jacobian of one array with respect to one array has the shape `output.shape + input.shape`. With several of either it
is nested: the structure of the output around the structure of the inputs. A gradient has the structure of the inputs.
Places that have no derivative, such as an integer among the inputs, hold None.

Complex numbers: the derivative of a real output by a complex input is `d/dRe + 1j * d/dIm`, that of a complex output by
a real one is `d Re + 1j * d Im`, and that of a complex output by a complex input is the complex derivative, which only
a holomorphic function has.
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


def nest_jacobian(problem: Problem, matrix: RealArray, wrap: Wrap, bar: RealArray | None = None) -> Any:
    """Cut an (m, n) matrix into the output's structure of the inputs' structure of arrays.

    Args:
        bar: the error bars of the matrix, where it was measured; they tell how holomorphic a function has to look.

    Raises:
        ValueError: a complex function of a complex input is not holomorphic, so that no complex Jacobian exists.
    """
    bar = np.full(matrix.shape, 0.0) if bar is None else bar
    return _nest_blocks(problem, wrap, lambda out, x: _cell(problem, out, x, _part(matrix, out, x), _part(bar, out, x)))


def nest_bars(problem: Problem, bar: RealArray, wrap: Wrap) -> Any:
    """Cut the error bars of an (m, n) matrix like the matrix; that of a complex number is the radius of a disc."""
    return _nest_blocks(problem, wrap, lambda out, x: _radius(out, x, _part(bar, out, x)))


def nest_diagonal(problem: Problem, matrix: RealArray, wrap: Wrap) -> Any:
    """Cut the diagonal of a complex function's (m, n) matrix into the structure of the inputs.

    Raises:
        ValueError: outputs and inputs do not pair up one to one, or the function is not holomorphic.
    """
    outs, ins = problem.outputs.blocks, problem.inputs.blocks
    if [(out.size, out.is_complex) for out in outs] != [(x.size, x.is_complex) for x in ins]:
        raise ValueError(
            "the diagonal of a complex function needs outputs of the sizes and dtypes of the inputs, in order"
        )
    zero = np.zeros(matrix.shape)
    arrays = []
    for out, x in zip(outs, ins, strict=True):
        cell = _cell(problem, out, x, _part(matrix, out, x), _part(zero, out, x))
        count = x.size // 2 if x.is_complex else x.size
        arrays.append(np.diag(cell.reshape(count, count)).reshape(x.shape))
    return inputs_like(problem, [wrap(array, k) for k, array in enumerate(arrays)])


def nest_inputs(problem: Problem, vector: RealArray, wrap: Wrap) -> Any:
    """Cut a vector `(n,)` into the structure of the inputs."""
    arrays = [_from_pairs(vector[None, x.slice], x).reshape(x.shape) for x in problem.inputs.blocks]
    return inputs_like(problem, [wrap(array, k) for k, array in enumerate(arrays)])


def inputs_like(problem: Problem, values: Sequence[Any]) -> Any:
    """Put one value for each varying input where that input is.

    Returns:
        The value of a single positional input as it is; several as the tuple of those that vary; with the parameters
        of a module or keyword inputs among them, a dictionary by name.
    """
    varying = problem.call.varying
    if any(leaf.position is None for leaf in varying):
        return dict(zip([leaf.name for leaf in varying], values, strict=True))
    args, _ = problem.call.given(values, [None] * len(problem.call.constant))
    picked = [args[p] for p in sorted({leaf.position for leaf in varying if leaf.position is not None})]
    return picked[0] if len(picked) == 1 else tuple(picked)


def outputs_like(problem: Problem, values: Sequence[Any]) -> Any:
    """Put one value for each differentiable output where that output is."""
    places: list[Any] = [None] * len(problem.output.structure)
    for place, value in zip(problem.output.varying, values, strict=True):
        places[place] = value
    return problem.output.structure.unflatten(places)


def _nest_blocks(problem: Problem, wrap: Wrap, cell: Callable[[Block, Block], NDArray[Any]]) -> Any:
    rows = []
    for out in problem.outputs.blocks:
        cells = [wrap(cell(out, x), k) for k, x in enumerate(problem.inputs.blocks)]
        rows.append(inputs_like(problem, cells))
    return outputs_like(problem, rows)


def _part(matrix: RealArray, out: Block, x: Block) -> RealArray:
    return matrix[out.slice, x.slice]


def _cell(problem: Problem, out: Block, x: Block, part: RealArray, bar: RealArray) -> NDArray[Any]:
    shape = (*out.shape, *x.shape)
    if not out.is_complex:
        return _from_pairs(part, x).reshape(shape)
    real, imaginary = _from_pairs(part[0::2], x), _from_pairs(part[1::2], x)
    if x.is_complex:
        # f = u + iv of z = x + iy: `real` is u_x + i u_y, `imaginary` is v_x + i v_y; Cauchy-Riemann makes the second
        # i times the first, and f' = u_x + i v_x = conj(real)
        _require_holomorphic(problem, out, x, real, imaginary, bar)
        return np.asarray(np.conj(real).reshape(shape))
    return _complex(real, imaginary).reshape(shape)


def _require_holomorphic(
    problem: Problem, out: Block, x: Block, real: NDArray[Any], imaginary: NDArray[Any], bar: RealArray
) -> None:
    off = np.abs(imaginary - 1j * real)
    scale = np.max(np.abs([real, imaginary]), initial=0.0, where=np.isfinite([real, imaginary]))
    allowed = (
        2.0 ** (-problem.precision / 2) * scale + bar[0::2, 0::2] + bar[0::2, 1::2] + bar[1::2, 0::2] + bar[1::2, 1::2]
    )
    if np.any(off > allowed):
        raise ValueError(
            f"{out.name} is not a holomorphic function of {x.name}: it has no complex Jacobian. Split the output into "
            "its real and imaginary parts to get their gradients."
        )


def _radius(out: Block, x: Block, bar: RealArray) -> RealArray:
    """Join the bars of real and imaginary part, which are those of the first row where both are complex."""
    if x.is_complex:
        bar = np.hypot(bar[:, 0::2], bar[:, 1::2])
    if out.is_complex:
        bar = bar[0::2] if x.is_complex else np.hypot(bar[0::2], bar[1::2])
    return np.asarray(bar).reshape((*out.shape, *x.shape))


def _from_pairs(rows: RealArray, x: Block) -> NDArray[Any]:
    return _complex(rows[:, 0::2], rows[:, 1::2]) if x.is_complex else rows


def _complex(real: RealArray, imaginary: RealArray) -> NDArray[np.complex128]:
    """Join two parts; `real + 1j * imaginary` would turn an infinite part into NaN in the other."""
    joined = np.empty(real.shape, np.complex128)
    joined.real, joined.imag = real, imaginary
    return joined
