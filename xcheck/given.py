"""Hand-written derivatives as claims: calls them, reads what they return, and says what does not fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter, signature
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xcheck.claim import Claim
from xcheck.derivatives import quantity_of
from xcheck.problem import Problem, run_native
from xcheck.protocol import RealArray
from xcheck.pytree import flatten, leaf_names
from xcheck.space import PRECISION, Block, Space

Derivative = Callable[..., Any]


@dataclass(frozen=True)
class Given:
    """A hand-written derivative as a claim.

    Attributes:
        claim: what it says.
        columns: which inputs it speaks about, shape (n,).
        notes: remarks for the report.
        unchecked: inputs that it says nothing about.
    """

    claim: Claim
    columns: NDArray[np.bool_]
    notes: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()


def given_gradient(problem: Problem, gradient: Derivative, kwargs: Mapping[str, Any], name: str = "gradient=") -> Given:
    """Read `gradient(*inputs)`: the structure of the inputs, or of the first input alone.

    Raises:
        ValueError: the function's output is not a single number, or a returned shape does not fit its input's.
        TypeError: something else than arrays came back.
    """
    if problem.m != 1 or problem.outputs.blocks[0].is_complex:
        shapes = ", ".join(f"{b.name} of shape {b.shape}" for b in problem.outputs.blocks)
        raise ValueError(
            f"{name} needs a function with one real number as output, but {problem.call.title} returned {shapes}. Give "
            "jacobian= for all partial derivatives, diagonal= for an elementwise function, or vjp= for a backward pass."
        )
    returned = run_native(problem, lambda args: _call(gradient, args, kwargs))
    return _read_inputs(problem, returned, name, quantity_of(problem))


def given_jacobian(problem: Problem, jacobian: Derivative, kwargs: Mapping[str, Any]) -> Given:
    """Read `jacobian(*inputs)`: an (m, n) matrix, or blocks of shape `output.shape + input.shape`, nested.

    Raises:
        ValueError: a shape does not fit; the message says which would, and whether it is the transpose.
    """
    returned = run_native(problem, lambda args: _call(jacobian, args, kwargs))
    arrays, notes = _arrays(problem, returned, "jacobian=")
    outs, ins = problem.outputs.blocks, problem.inputs.blocks
    matrix = np.empty((problem.m, problem.n))
    if len(arrays) == 1 and len(outs) * len(ins) > 1:
        matrix[:] = _fit(arrays[0], (problem.m, problem.n), "jacobian=", "the whole Jacobian")
    elif len(arrays) == len(outs) * len(ins):
        cells = iter(arrays)
        for out in outs:
            for x in ins:
                matrix[out.slice, x.slice] = _real_cell(out, x, next(cells))
    else:
        raise ValueError(
            f"jacobian= returned {len(arrays)} arrays; expected {len(outs) * len(ins)}, one for each of {len(outs)} "
            f"outputs and {len(ins)} inputs, or one matrix of shape {(problem.m, problem.n)}."
        )
    claim = Claim(quantity_of(problem), matrix, "jacobian=", _precision(arrays))
    return Given(claim, np.ones(problem.n, bool), notes)


def given_diagonal(problem: Problem, diagonal: Derivative, kwargs: Mapping[str, Any]) -> Given:
    """Read `diagonal(*inputs)`: d out_i / d x_i, the shape of the input.

    Raises:
        ValueError: inputs and outputs differ in number, so that there is no diagonal; or the shape does not fit.
    """
    if problem.m != problem.n:
        raise ValueError(
            f"diagonal= needs as many outputs as inputs, but {problem.call.title} maps {problem.n} numbers to "
            f"{problem.m}. Name the one input that is meant in wrt=, or give jacobian=."
        )
    returned = run_native(problem, lambda args: _call(diagonal, args, kwargs))
    given = _read_inputs(problem, returned, "diagonal=", "Jacobian diagonal")
    claim = Claim("Jacobian diagonal", given.claim.value[0], "diagonal=", given.claim.precision)
    return Given(claim, given.columns, given.notes, given.unchecked)


def given_vjp(problem: Problem, vjp: Derivative, kwargs: Mapping[str, Any]) -> Given:
    """Read `vjp(*inputs, cotangent)` for every unit cotangent; a cotangent has the structure of the output.

    Costs m calls. Returns what `gradient=` returns, for the product of cotangent and Jacobian.
    """
    rows: list[Given] = []
    for unit in np.eye(problem.m):
        cotangent = _structured(problem, problem.outputs, unit)
        returned = run_native(problem, lambda args, ct=cotangent: _call(vjp, (*args, ct), kwargs))
        rows.append(_read_inputs(problem, returned, "vjp=", "Jacobian"))
    value = np.concatenate([row.claim.value for row in rows])
    claim = Claim(quantity_of(problem), value, "vjp=", min(row.claim.precision for row in rows))
    return Given(claim, rows[0].columns, rows[0].notes, rows[0].unchecked)


def given_jvp(problem: Problem, jvp: Derivative, kwargs: Mapping[str, Any]) -> Given:
    """Read `jvp(*inputs, *tangents)` for every unit tangent; one tangent for each varying input.

    Costs n calls. Returns what the function returns, for the product of Jacobian and tangent.
    """
    value = np.empty((problem.m, problem.n))
    precision, notes = 53, ()
    for j, unit in enumerate(np.eye(problem.n)):
        tangents = problem.to_native(unit)
        returned = run_native(problem, lambda args, ts=tangents: _call(jvp, (*args, *ts), kwargs))
        arrays, notes = _arrays(problem, returned, "jvp=")
        if len(arrays) != len(problem.outputs.blocks):
            raise ValueError(f"jvp= returned {len(arrays)} arrays; expected {len(problem.outputs.blocks)}, as the function.")
        for out, array in zip(problem.outputs.blocks, arrays, strict=True):
            value[out.slice, j] = out.pack(_fit(array, out.shape, "jvp=", out.name))
        precision = min(precision, _precision(arrays))
    claim = Claim(quantity_of(problem), value, "jvp=", precision)
    return Given(claim, np.ones(problem.n, bool), notes)


def _call(derivative: Derivative, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    return derivative(*args, **{k: v for k, v in kwargs.items() if _accepts(derivative, k)})


def _accepts(derivative: Derivative, keyword: str) -> bool:
    try:
        parameters = signature(derivative).parameters
    except (TypeError, ValueError):
        return True
    return keyword in parameters or any(p.kind is Parameter.VAR_KEYWORD for p in parameters.values())


def _read_inputs(problem: Problem, returned: Any, name: str, quantity: Any) -> Given:
    arrays, notes = _arrays(problem, returned, name)
    blocks = problem.inputs.blocks
    columns = np.ones(problem.n, bool)
    row = np.zeros((1, problem.n))
    skipped: tuple[str, ...] = ()
    if len(arrays) == 1 and len(blocks) > 1:
        if all(not b.shape for b in blocks) and arrays[0].shape == (len(blocks),):
            arrays = list(arrays[0])  # a list of numbers in, an array of numbers out
        else:
            columns[blocks[0].start + blocks[0].size :] = False
            skipped = tuple(f"{b.name}: {name} returned one array, for {blocks[0].name} alone" for b in blocks[1:])
            blocks = blocks[:1]
    if len(arrays) != len(blocks):
        expected = ", ".join(f"{b.name} of shape {b.shape}" for b in problem.inputs.blocks)
        raise ValueError(f"{name} returned {len(arrays)} arrays; expected {len(blocks)}, one for each of {expected}.")
    for block, array in zip(blocks, arrays, strict=True):
        row[0, block.slice] = block.pack(_fit(np.asarray(array), block.shape, name, block.name))
    claim = Claim(quantity, row, name, _precision(arrays))
    return Given(claim, columns, notes, skipped)


def _arrays(problem: Problem, returned: Any, name: str) -> tuple[list[NDArray[Any]], tuple[str, ...]]:
    leaves, _ = flatten(returned)
    names = leaf_names(returned, name.rstrip("="))
    if not leaves:
        raise TypeError(f"{name} returned {returned!r}; it must return an array, or a tuple or dict of arrays.")
    arrays = [problem.as_array(leaf) for leaf in leaves]
    notes = []
    for leaf, array in zip(names, arrays, strict=True):
        if array.dtype.kind not in "fciub" and array.dtype.name not in PRECISION:
            raise TypeError(f"{name} returned {leaf} of dtype {array.dtype}; it must return numbers.")
        if array.dtype.kind in "iub":
            notes.append(f"{name} returned {array.dtype} numbers: an integer array truncates what is stored in it")
    return arrays, tuple(notes)


def _precision(arrays: Sequence[NDArray[Any]]) -> int:
    return min((PRECISION.get(np.asarray(a).dtype.name, 53) for a in arrays), default=53)


def _fit(array: NDArray[Any], shape: tuple[int, ...], name: str, target: str) -> NDArray[Any]:
    if array.shape == shape:
        return array
    if array.shape == (1, *shape) or (array.size == 1 and shape in ((), (1,))):
        return array.reshape(shape)
    hint = ""
    if array.ndim == 2 and array.shape[::-1] == shape:
        hint = " It has the shape of the transpose."
    elif array.ndim == len(shape) + 1 and array.shape[1:] == shape:
        hint = " Its first axis is extra: is a sum over that axis missing?"
    elif array.shape in ((shape[0], 1), (1, shape[0])) if len(shape) == 1 else False:
        hint = " It is a row or column matrix; return it with .ravel()."
    elif _broadcasts(array.shape, shape):
        hint = " It would broadcast to that shape: is a sum over an axis too many, or a product missing?"
    raise ValueError(f"{name} returned shape {array.shape} for {target}, whose shape is {shape}.{hint}")


def _broadcasts(given: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(given, shape) == shape
    except ValueError:
        return False


def _real_cell(out: Block, x: Block, array: NDArray[Any]) -> RealArray:
    """Turn a block of a given Jacobian into rows and columns of reals; complex of complex is taken as holomorphic."""
    places = (out.size // (2 if out.is_complex else 1), x.size // (2 if x.is_complex else 1))
    if array.shape not in ((*out.shape, *x.shape), places):
        _fit(array, (*out.shape, *x.shape), "jacobian=", f"d {out.name} / d {x.name}")
    cell = array.reshape(places)
    if not out.is_complex and not x.is_complex:
        return np.asarray(cell.real, dtype=np.float64)
    result = np.zeros((out.size, x.size))
    if out.is_complex and x.is_complex:
        result[0::2, 0::2], result[0::2, 1::2] = cell.real, -cell.imag
        result[1::2, 0::2], result[1::2, 1::2] = cell.imag, cell.real
    elif out.is_complex:
        result[0::2], result[1::2] = cell.real, cell.imag
    else:
        result[:, 0::2], result[:, 1::2] = cell.real, cell.imag
    return result


def _structured(problem: Problem, space: Space, vector: RealArray) -> Any:
    arrays = [problem.backend.from_numpy(a) for a in space.unpack(vector)]
    if len(problem.output.varying) == problem.output.leaves:
        return problem.output.structure.unflatten(arrays)
    return arrays[0] if len(arrays) == 1 else tuple(arrays)
