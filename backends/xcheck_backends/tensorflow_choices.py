"""TensorFlow's graphs, looked through for what lets values decide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xcheck_backends.choices import BRANCH_ON_VALUE, FLAT, Body, Inner, Kind, Step, found
from xcheck_backends.tensorflow_calls import as_tensors, has_derivative, is_custom

KINDS = {
    Kind.LAYOUT: {
        "BroadcastTo",
        "ConcatV2",
        "ExpandDims",
        "Gather",
        "GatherNd",
        "GatherV2",
        "Identity",
        "IsFinite",
        "Pack",
        "Pad",
        "PadV2",
        "Reshape",
        "ReverseV2",
        "Select",
        "SelectV2",
        "Slice",
        "Squeeze",
        "StridedSlice",
        "Tile",
        "Transpose",
        "Unpack",
    },
    Kind.LINEAR: {"Add", "AddV2", "AddN", "BiasAdd", "Cast", "Cumsum", "Mean", "Neg", "Sub", "Sum"},
    Kind.PRODUCT: {"BatchMatMulV2", "BatchMatMulV3", "Einsum", "MatMul", "Mul"},
    Kind.QUOTIENT: {"RealDiv", "Div"},
    Kind.EXPONENTIAL: {"Exp"},
    Kind.UNDERIVED: {"StopGradient", "PreventGradient"},
    Kind.CONSTANT: {"OnesLike", "Rank", "Shape", "ShapeN", "Size", "TensorListLength", "ZerosLike"},
    Kind.MAXIMUM: {"Max"},
}
"""Operators of which it matters what they do with a maximum that was subtracted."""

CHOOSING = {
    "Cummax",
    "Dilation2D",
    "Eig",
    "FractionalMaxPool",
    "MaxPool",
    "MaxPool3D",
    "MaxPoolV2",
    "MaxPoolWithArgmax",
    "Min",
    "SegmentMax",
    "SegmentMaxV2",
    "SegmentMin",
    "SegmentMinV2",
    "SelfAdjointEigV2",
    "Svd",
    "TensorScatterMax",
    "TensorScatterMin",
    "TopKV2",
    "UnsortedSegmentMax",
    "UnsortedSegmentMin",
}
"""Operators of real numbers of which values decide what becomes of them; eigenvalues are sorted."""

PIECES = {
    "Ceil",
    "ClipByValue",
    "DivNoNan",
    "FakeQuantWithMinMaxArgs",
    "FakeQuantWithMinMaxVars",
    "Floor",
    "FloorDiv",
    "Maximum",
    "Minimum",
    "MulNoNan",
    "Relu",
    "Relu6",
    "Rint",
    "Round",
    "Sign",
    "TruncateDiv",
}
"""Operators of real numbers with pieces of zero slope."""

REMAINDERS = {"FloorMod", "Mod", "TruncateMod"}
"""Operators whose slope by the divisor jumps, and is zero for large ones."""

OUTSIDE = {"EagerPyFunc", "PyFunc", "PyFuncStateless", "XlaCustomCallV2"}
"""Operators that cannot be looked into."""

CALLS = {"PartitionedCall": "f", "StatefulPartitionedCall": "f", "RemoteCall": "f", "XlaLaunch": "function"}
BRANCHES = {
    "If": ("then_branch", "else_branch"),
    "StatelessIf": ("then_branch", "else_branch"),
    "Case": ("branches",),
    "StatelessCase": ("branches",),
}
LOOPS = {"While", "StatelessWhile"}


def choices(f: Any, xs: Sequence[Any]) -> tuple[str, ...]:
    """Name what in `f`'s graph lets values decide which inputs an output depends on, each once."""
    import tensorflow as tf

    graph = tf.__internal__.FuncGraph("choices")
    with graph.as_default():
        inputs = [tf.compat.v1.placeholder(x.dtype, x.shape) for x in xs]
        try:
            ys = as_tensors(f(list(inputs)))
        except tf.errors.OperatorNotAllowedInGraphError:
            return (BRANCH_ON_VALUE,)
        except Exception as error:
            what = "NumPy" if "numpy" in str(error).lower() else f"cannot be traced ({type(error).__name__})"
            return (f"opaque: {what}",)
        return found(_body(graph, inputs, ys))


def _body(graph: Any, inputs: Sequence[Any], outputs: Sequence[Any]) -> Body:
    steps = [_step(graph, operation) for operation in graph.get_operations() if operation.type != "Placeholder"]
    return Body([t.name for t in inputs], steps, [t.name for t in outputs])


def _step(graph: Any, operation: Any) -> Step:
    kind, takes, gives = operation.type, [t.name for t in operation.inputs], [t.name for t in operation.outputs]
    everything = range(len(takes))

    def inner(attribute: str, positions: Sequence[int], decides: bool = False) -> list[Inner]:
        named = operation.get_attr(attribute)
        functions = [graph._get_function(one.name).graph for one in (named if isinstance(named, list) else [named])]
        return [Inner(_body(g, g.inputs, g.outputs), positions, decides) for g in functions]

    if kind in CALLS:
        return Step(kind, Kind.CALL, takes, gives, bodies=inner(CALLS[kind], everything))
    if kind in BRANCHES:
        bodies = [body for attribute in BRANCHES[kind] for body in inner(attribute, everything[1:])]
        return Step(kind, Kind.BRANCH, takes, gives, bodies=bodies)
    if kind in LOOPS:
        bodies = [*inner("cond", everything, decides=True), *inner("body", everything)]
        return Step(kind, Kind.LOOP, takes, gives, bodies=bodies, feeds=everything)
    name, deciding = _operator(operation)
    known = next((known for known, types in KINDS.items() if kind in types), Kind.PLAIN)
    if kind == "Maximum":
        known = Kind.BOUND
    return Step(name, known, takes, gives, deciding=() if known is Kind.BOUND else deciding)


def _operator(operation: Any) -> tuple[str, Sequence[int]]:
    """Return the name of what runs no graph, and the positions of the operands by which it chooses."""
    kind, everything = operation.type, range(len(operation.inputs))
    if kind in OUTSIDE:
        return f"opaque: {kind}", everything
    if kind == "IdentityN":
        frames = [(frame.filename, frame.name) for frame in operation.traceback]
        return "opaque: tf.custom_gradient", everything if is_custom(frames) else ()
    if not any(has_derivative(t) for t in operation.outputs):
        return kind, ()
    if kind in PIECES:
        return f"{kind}{FLAT}", everything
    if kind in REMAINDERS:
        return f"{kind}{FLAT}", (1,)
    if kind in CHOOSING:
        return kind, everything
    discrete = [i for i, t in enumerate(operation.inputs) if t.dtype.is_integer or t.dtype.is_bool]
    if kind == "Cast":
        return f"{kind} of {operation.inputs[0].dtype.name}{FLAT}", discrete
    return kind, discrete
