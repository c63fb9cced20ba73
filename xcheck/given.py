"""Hand-written derivatives as claims: calls them, reads what they return, and says what does not fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter, signature
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xcheck.call import Call, Leaf
from xcheck.claim import Claim, Quantity
from xcheck.derivatives import quantity_of
from xcheck.nesting import inputs_like, outputs_like
from xcheck.problem import Problem, describe_point, output_leaves, run_native
from xcheck.protocol import RealArray
from xcheck.pytree import descend, flatten, is_leaf
from xcheck.space import PRECISION, Block

Derivative = Callable[..., Any]
Shape = tuple[int, ...]
Arrays = list[NDArray[Any] | None]
"""One array for each varying input; None for an input that nothing is said about."""


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
    """Read `gradient(*inputs)`: the structure of the inputs, of the first input alone, or a dictionary by name.

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
    return _read_row(problem, _run(problem, gradient, kwargs, name), name, quantity_of(problem))


def given_jacobian(problem: Problem, jacobian: Derivative, kwargs: Mapping[str, Any]) -> Given:
    """Read `jacobian(*inputs)`: an (m, n) matrix, or blocks of shape `output.shape + input.shape`, nested.

    Raises:
        ValueError: a shape does not fit; the message says which would, and whether it is the transpose.
    """
    returned = _run(problem, jacobian, kwargs, "jacobian=")
    notes = _notes(problem, returned, "jacobian=")
    several = len(problem.outputs.blocks) * len(problem.inputs.blocks) > 1
    if several and is_leaf(returned):
        whole = problem.as_array(returned)
        matrix = _real(_fit(whole, (problem.m, problem.n), "jacobian=", "the whole Jacobian"), "jacobian=", "the whole")
        claim = Claim(quantity_of(problem), matrix, "jacobian=", _precision([whole]))
        return Given(claim, np.ones(problem.n, bool), notes)
    rows = _read_rows(problem, returned)
    spoken = [any(row[k] is not None for row in rows) for k in range(len(problem.inputs.blocks))]
    matrix = np.zeros((problem.m, problem.n))
    for out, row in zip(problem.outputs.blocks, rows, strict=True):
        for x, cell, meant in zip(problem.inputs.blocks, row, spoken, strict=True):
            if cell is None and meant:
                raise ValueError(f"jacobian= returned None for d {out.name} / d {x.name}; give zeros if it vanishes.")
            if cell is not None:
                matrix[out.slice, x.slice] = _real_cell(out, x, cell)
    claim = Claim(quantity_of(problem), matrix, "jacobian=", _precision([a for row in rows for a in row]))
    return Given(claim, _columns(problem, spoken), notes, _unspoken(problem, spoken, "jacobian="))


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
    if any(block.is_complex for block in (*problem.inputs.blocks, *problem.outputs.blocks)):
        raise ValueError("diagonal= is for real functions; give jacobian= or vjp= for complex ones.")
    given = _read_row(problem, _run(problem, diagonal, kwargs, "diagonal="), "diagonal=", "Jacobian diagonal")
    claim = Claim("Jacobian diagonal", given.claim.value[0], "diagonal=", given.claim.precision)
    return Given(claim, given.columns, given.notes, given.unchecked)


CHANGED = "changes its cotangent in place; whoever else uses it, such as another branch, gets the changed one"
"""What is said of such a rule, whoever's it is."""


def given_vjp(
    problem: Problem, vjp: Derivative, kwargs: Mapping[str, Any], cotangents: RealArray | None = None
) -> Given:
    """Read `vjp(*inputs, cotangent)` for every unit cotangent; a cotangent has the structure of the output.

    Costs m calls, or one for each of the `cotangents`, shape (k, m), if they are given. Returns what `gradient=`
    returns, for the product of cotangent and Jacobian.
    """
    likes, changed = output_leaves(problem), False
    rows: list[Given] = []
    for unit in np.eye(problem.m) if cotangents is None else cotangents:
        parts = problem.outputs.unpack(unit)
        natives = [problem.backend.from_numpy(a, like=like) for a, like in zip(parts, likes, strict=True)]
        returned = _run(problem, vjp, kwargs, "vjp=", (outputs_like(problem, natives),))
        rows.append(_read_row(problem, returned, "vjp=", "Jacobian"))
        changed |= any(not np.array_equal(problem.as_array(n), a) for n, a in zip(natives, parts, strict=True))
    value = np.concatenate([row.claim.value for row in rows])
    claim = Claim(quantity_of(problem), value, "vjp=", min(row.claim.precision for row in rows))
    columns = np.logical_and.reduce([row.columns for row in rows])
    notes = rows[0].notes + ((f"vjp= {CHANGED}",) if changed else ())
    return Given(claim, columns, notes, tuple(dict.fromkeys(line for row in rows for line in row.unchecked)))


def given_jvp(problem: Problem, jvp: Derivative, kwargs: Mapping[str, Any], tangents: RealArray | None = None) -> Given:
    """Read `jvp(*inputs, *tangents)` for every unit tangent; one tangent for each input that varies, in its structure.

    Costs n calls, or one for each of the `tangents`, shape (k, n), if they are given. Returns what the function
    returns, for the product of Jacobian and tangent.
    """
    vectors = np.eye(problem.n) if tangents is None else tangents
    value = np.empty((problem.m, len(vectors)))
    precision = 53
    notes: tuple[str, ...] = ()
    for j, vector in enumerate(vectors):
        parts = inputs_like(problem, problem.to_native(vector))
        several = len({leaf.position for leaf in problem.call.varying}) > 1 and not isinstance(parts, dict)
        returned = _run(problem, jvp, kwargs, "jvp=", parts if several else (parts,))
        notes = _notes(problem, returned, "jvp=")
        arrays = _read_outputs(problem, returned)
        for out, array in zip(problem.outputs.blocks, arrays, strict=True):
            fitted = _fit(array, out.shape, "jvp=", out.name)
            value[out.slice, j] = out.pack(fitted if out.is_complex else _real(fitted, "jvp=", out.name))
        precision = min(precision, _precision(arrays))
    claim = Claim(quantity_of(problem), value, "jvp=", precision)
    return Given(claim, np.ones(problem.n, bool), notes)


# Calling


def _run(
    problem: Problem, derivative: Derivative, kwargs: Mapping[str, Any], name: str, more: Sequence[Any] = ()
) -> Any:
    """Call a derivative with the inputs and `more`, and with those keyword arguments that it accepts."""

    def call(args: tuple[Any, ...], fresh: dict[str, Any]) -> Any:
        return derivative(*args, *more, **{k: v for k, v in fresh.items() if k in kwargs and _accepts(derivative, k)})

    try:
        return run_native(problem, call)
    except Exception as error:
        error.add_note(f"xcheck: raised by {name} at the point that was given, {describe_point(problem)}.")
        raise


def _accepts(derivative: Derivative, keyword: str) -> bool:
    try:
        parameters = signature(derivative).parameters
    except (TypeError, ValueError):
        return True
    return keyword in parameters or any(p.kind is Parameter.VAR_KEYWORD for p in parameters.values())


# Reading


def _read_row(problem: Problem, returned: Any, name: str, quantity: Quantity) -> Given:
    """Read one number for every input."""
    notes = _notes(problem, returned, name)
    blocks = problem.inputs.blocks
    arrays = _read_inputs(problem, returned, name, [{b.shape, (1, *b.shape)} for b in blocks])
    row = np.zeros((1, problem.n))
    for block, array in zip(blocks, arrays, strict=True):
        if array is not None:
            fitted = _fit(array, block.shape, name, block.name)
            if array.ndim > len(block.shape) > 0:
                notes = (*notes, f"{name} returned shape {array.shape} for {block.name}, taken as {block.shape}")
            row[0, block.slice] = block.pack(fitted if block.is_complex else _real(fitted, name, block.name))
    spoken = [array is not None for array in arrays]
    claim = Claim(quantity, row, name, _precision(arrays))
    return Given(claim, _columns(problem, spoken), notes, _unspoken(problem, spoken, name))


def _read_rows(problem: Problem, returned: Any) -> list[Arrays]:
    """Read a Jacobian's blocks, nested as outputs of inputs, or side by side."""
    outs, ins = problem.outputs.blocks, problem.inputs.blocks
    leaves, structure = flatten(returned)
    try:
        subtrees = [descend(returned, path) for path in problem.output.paths]
        return [
            _read_inputs(problem, tree, "jacobian=", _cells(out, ins)) for tree, out in zip(subtrees, outs, strict=True)
        ]
    except LookupError:
        if len(leaves) != len(outs) * len(ins) or "{" in str(structure):
            raise ValueError(
                f"jacobian= returned {structure}, where * is an array; expected {len(outs) * len(ins)}, one for each "
                f"of {len(outs)} outputs and {len(ins)} inputs, or one matrix of shape {(problem.m, problem.n)}."
            ) from None
    arrays = [problem.as_array(leaf) for leaf in leaves]
    return [list(arrays[i * len(ins) : (i + 1) * len(ins)]) for i in range(len(outs))]


def _cells(out: Block, ins: Sequence[Block]) -> list[set[Shape]]:
    return [{(*out.shape, *x.shape), _places(out, x)} for x in ins]


def _read_outputs(problem: Problem, returned: Any) -> list[NDArray[Any]]:
    """Read one array for every output."""
    outs = problem.outputs.blocks
    try:
        found = [_as_array(problem, descend(returned, path)) for path in problem.output.paths]
    except LookupError:
        found = [problem.as_array(leaf) for leaf in flatten(returned)[0]]
    arrays = [array for array in found if array is not None]
    if len(arrays) != len(outs):
        raise ValueError(f"jvp= returned {len(arrays)} arrays; expected {len(outs)}, as {problem.call.title} returns.")
    return arrays


def _read_inputs(problem: Problem, returned: Any, name: str, shapes: Sequence[set[Shape]]) -> Arrays:
    """Find the array that belongs to each varying input.

    What was returned may be laid out in several ways; the first whose shapes all fit counts, else the first.

    Raises:
        ValueError: there are more or fewer arrays than inputs, or other keys.
    """
    if len(shapes) > 1 and all(() in fitting for fitting in shapes) and is_leaf(returned):
        numbers = problem.as_array(returned)
        if numbers.shape == (len(shapes),):  # an array of k numbers for k numbers
            return [np.asarray(number) for number in numbers]
    found: list[Arrays] = []
    for lookup in _lookups(problem.call, returned):
        arrays = _collect(problem, returned, lookup)
        if arrays is None:
            continue
        if all(a is None or a.shape in fitting for a, fitting in zip(arrays, shapes, strict=True)):
            return arrays
        found.append(arrays)
    if found:
        return found[0]
    expected = ", ".join(f"{b.name} of shape {b.shape}" for b in problem.inputs.blocks)
    leaves, structure = flatten(returned)
    layout = f"{len(leaves)} arrays" + (f" as {structure}, where * is an array" if len(leaves) > 1 else "")
    raise ValueError(
        f"{name} returned {layout}; expected {len(shapes)}, one for each of {expected}, laid out as the inputs."
    )


def _lookups(call: Call, returned: Any) -> Iterator[Callable[[Leaf], Any]]:
    """List the ways to find an input's derivative in what was returned, likeliest first."""
    positions = sorted({leaf.position for leaf in call.varying if leaf.position is not None})
    if positions and len(positions) == len({leaf.position for leaf in call.varying}):
        if isinstance(returned, (tuple, list)) and len(returned) == call.count and call.count > 1:
            yield lambda leaf: descend(_at(returned, leaf.position), leaf.path)
        if isinstance(returned, (tuple, list)) and len(returned) == len(positions):
            order: dict[int | None, int] = {position: place for place, position in enumerate(positions)}
            yield lambda leaf: descend(_at(returned, order.get(leaf.position)), leaf.path)
        yield lambda leaf: descend(returned, leaf.path) if leaf.position == positions[0] else None
    if isinstance(returned, Mapping):
        names = {leaf.name for leaf in call.leaves} | {leaf.argument for leaf in call.leaves}
        if set(returned) <= names:
            yield lambda leaf: _by_name(returned, leaf)
    leaves, structure = flatten(returned)
    keyed = any(leaf.position is None or any(isinstance(key, str) for key in leaf.path) for leaf in call.varying)
    if len(leaves) == len(call.varying) and "{" not in str(structure) and (len(leaves) == 1 or not keyed):
        places = {leaf.name: value for leaf, value in zip(call.varying, leaves, strict=True)}
        yield lambda leaf: places[leaf.name]


def _at(returned: Sequence[Any], position: int | None) -> Any:
    if position is None:
        raise LookupError
    return returned[position]


def _by_name(returned: Mapping[str, Any], leaf: Leaf) -> Any:
    if leaf.name in returned:
        return returned[leaf.name]
    return descend(returned[leaf.argument], leaf.path) if leaf.argument in returned else None


def _collect(problem: Problem, returned: Any, lookup: Callable[[Leaf], Any]) -> Arrays | None:
    """Look every input up; None if one is missing, or if something was returned that no input asks for."""
    used = 0
    arrays: Arrays = []
    for leaf in problem.call.leaves:
        try:
            value = lookup(leaf)
            array = _as_array(problem, value) if leaf.varies else None
        except (LookupError, ValueError):
            if leaf.varies:
                return None
            continue
        used += len(flatten(value)[0])
        if leaf.varies:
            arrays.append(array)
    all_none = all(array is None for array in arrays)
    return None if all_none or used != len(flatten(returned)[0]) else arrays


def _as_array(problem: Problem, value: Any) -> NDArray[Any] | None:
    """Read a leaf, or a sequence of leaves of one shape, as an array; None stays None.

    Raises:
        LookupError: the value is some other container.
    """
    if value is None:
        return None
    if is_leaf(value):
        return problem.as_array(value)
    leaves, structure = flatten(value)
    arrays = [problem.as_array(leaf) for leaf in leaves]
    if not arrays or "{" in str(structure) or len({array.shape for array in arrays}) != 1:
        raise LookupError
    return np.array(structure.unflatten(arrays))


def _notes(problem: Problem, returned: Any, name: str) -> tuple[str, ...]:
    """Remark on integer arrays, and refuse what is no number."""
    leaves, _ = flatten(returned)
    if not leaves:
        raise TypeError(f"{name} returned {returned!r}; it must return an array, or a tuple or dict of arrays.")
    notes = []
    for leaf in leaves:
        array = _numbers(problem, leaf, name)
        if array.dtype.kind in "iu" and hasattr(leaf, "dtype"):
            notes.append(f"{name} returned {array.dtype} numbers: an integer array truncates what is stored in it")
    return tuple(dict.fromkeys(notes))


def _numbers(problem: Problem, leaf: Any, name: str) -> NDArray[Any]:
    try:
        array = problem.as_array(leaf)
    except Exception as error:
        raise TypeError(f"{name} returned a {type(leaf).__name__}, which is no array ({error}).") from error
    if array.dtype.kind not in "fciub" and array.dtype.name not in PRECISION:
        raise TypeError(f"{name} returned an array of dtype {array.dtype}; it must return numbers.")
    return array


def _columns(problem: Problem, spoken: Sequence[bool]) -> NDArray[np.bool_]:
    columns = np.zeros(problem.n, bool)
    for block, meant in zip(problem.inputs.blocks, spoken, strict=True):
        columns[block.slice] = meant
    return columns


def _unspoken(problem: Problem, spoken: Sequence[bool], name: str) -> tuple[str, ...]:
    blocks = zip(problem.inputs.blocks, spoken, strict=True)
    return tuple(f"{block.name}: {name} returned nothing for it" for block, meant in blocks if not meant)


def _precision(arrays: Sequence[NDArray[Any] | None]) -> int:
    return min((PRECISION.get(a.dtype.name, 53) for a in arrays if a is not None), default=53)


# Fitting


def _fit(array: NDArray[Any], shape: Shape, name: str, target: str) -> NDArray[Any]:
    if array.shape == shape:
        return array
    if array.shape == (1, *shape) or (array.size == 1 and shape in ((), (1,))):
        return array.reshape(shape)
    raise ValueError(
        f"{name} returned shape {array.shape} for {target}, whose shape is {shape}.{_hint(array.shape, shape)}"
    )


def _hint(given: Shape, shape: Shape) -> str:
    extra = next((axis for axis in range(len(given)) if given[:axis] + given[axis + 1 :] == shape), None)
    if extra is not None and given[extra] == 1:
        return " It has an extra axis of length 1; return it with .reshape() or .ravel()."
    if extra is not None:
        return f" Its axis {extra} is extra: is a sum over that axis missing?"
    if len(given) == len(shape) == 2 and given[::-1] == shape:
        return " It has the shape of the transpose."
    if len(given) == len(shape) <= 6 and shape in permutations(given):
        return " It has the shape with its axes in another order: is it transposed?"
    if _broadcasts(given, shape):
        return " It would broadcast to that shape: is a sum over an axis too many, or a product missing?"
    if np.prod(given) == np.prod(shape):
        return " The number of entries is right: is a reshape missing?"
    return ""


def _broadcasts(given: Shape, shape: Shape) -> bool:
    try:
        return np.broadcast_shapes(given, shape) == shape
    except ValueError:
        return False


def _real(array: NDArray[Any], name: str, target: str) -> NDArray[Any]:
    """Drop imaginary parts that are all zero.

    Raises:
        TypeError: they are not.
    """
    if array.dtype.kind != "c":
        return np.asarray(array, dtype=np.float64)
    if np.any(array.imag != 0):
        raise TypeError(
            f"{name} returned complex numbers for {target}, which is real. Return what is meant, such as .real."
        )
    return np.asarray(array.real, dtype=np.float64)


def _places(out: Block, x: Block) -> Shape:
    return out.size // (2 if out.is_complex else 1), x.size // (2 if x.is_complex else 1)


def _real_cell(out: Block, x: Block, array: NDArray[Any]) -> RealArray:
    """Turn a block of a given Jacobian into rows and columns of reals; complex of complex is taken as holomorphic."""
    target = f"d {out.name} / d {x.name}"
    places = _places(out, x)
    cell = array if array.shape == places else _fit(array, (*out.shape, *x.shape), "jacobian=", target)
    cell = cell.reshape(places)
    if not out.is_complex and not x.is_complex:
        return np.asarray(_real(cell, "jacobian=", target))
    result = np.zeros((out.size, x.size))
    if out.is_complex and x.is_complex:
        result[0::2, 0::2], result[0::2, 1::2] = cell.real, -cell.imag
        result[1::2, 0::2], result[1::2, 1::2] = cell.imag, cell.real
    elif out.is_complex:
        result[0::2], result[1::2] = cell.real, cell.imag
    else:
        result[:, 0::2], result[:, 1::2] = cell.real, cell.imag
    return result
