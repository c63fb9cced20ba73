"""JAX's programs, looked through for users' own rules and for what lets values decide."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from itertools import pairwise
from typing import Any

from xcheck_backends.choices import BRANCH_ON_VALUE, FLAT, Body, Inner, Kind, Step, found
from xcheck_backends.jax_calls import as_arrays, scope_of

OWN = ("jax", "flax", "optax", "keras")
"""Packages whose custom rules are no user's."""

RULED = {"logaddexp": True, "logaddexp2": True, "relu": False, "relu6": False}
"""Functions of JAX with a rule of their own, and whether they are smooth, whatever they choose inside."""

KINDS = {
    Kind.LAYOUT: {
        "broadcast_in_dim",
        "concatenate",
        "copy",
        "expand_dims",
        "gather",
        "is_finite",
        "pad",
        "reshape",
        "rev",
        "select_n",
        "slice",
        "squeeze",
        "transpose",
    },
    Kind.LINEAR: {"add", "add_any", "sub", "neg", "reduce_sum", "cumsum", "convert_element_type"},
    Kind.PRODUCT: {"mul", "dot_general", "conv_general_dilated"},
    Kind.QUOTIENT: {"div"},
    Kind.EXPONENTIAL: {"exp", "exp2"},
    Kind.UNDERIVED: {"stop_gradient"},
    Kind.MAXIMUM: {"reduce_max"},
    Kind.BOUND: {"max"},
}
"""Operators of which it matters what they do with a maximum that was subtracted."""

CHOOSING = {
    "sort",
    "top_k",
    "approx_top_k",
    "reduce_min",
    "cummax",
    "cummin",
    "reduce_window_max",
    "reduce_window_min",
    "select_and_gather_add",
    "select_and_scatter_add",
    "scatter_max",
    "scatter_min",
    "scatter-max",
    "scatter-min",
    "eig",
    "eigh",
    "schur",
    "svd",
}
"""Operators of real numbers of which values decide what becomes of them; eigenvalues are sorted."""

PIECES = {"max", "min", "clamp", "floor", "ceil", "round", "sign"}
"""Operators of real numbers with pieces of zero slope."""

OUTSIDE = {"pure_callback", "io_callback", "ffi_call", "custom_call", "pallas_call", "triton_kernel_call"}
"""Operators that cannot be looked into."""


def choices(f: Any, xs: Sequence[Any]) -> tuple[str, ...]:
    """Name what in `f`'s jaxpr lets values decide which inputs an output depends on, each once."""
    import jax

    try:
        with scope_of(xs):
            closed = jax.make_jaxpr(lambda *inputs: as_arrays(f(list(inputs))))(*xs)
    except (jax.errors.ConcretizationTypeError, jax.errors.TracerIntegerConversionError):
        return (BRANCH_ON_VALUE,)
    except jax.errors.NonConcreteBooleanIndexError:
        return ("a boolean index",)
    except jax.errors.TracerArrayConversionError:
        return ("opaque: NumPy",)
    except Exception as error:
        return (f"opaque: cannot be traced ({type(error).__name__})",)
    return found(_body(closed.jaxpr))


def users_rules(jaxpr: Any) -> Iterator[str]:
    """Walk through a jaxpr and those inside of it for rules that are not all JAX's own code."""
    for equation in jaxpr.eqns:
        if (name := _users_rule(equation)) is not None:
            yield name
        for inner in _inside(equation):
            yield from users_rules(inner)


def _users_rule(equation: Any) -> str | None:
    """Name a custom rule that is not all JAX's own; the files where function and rule were written tell."""
    if not equation.primitive.name.startswith(("custom_vjp", "custom_jvp", "custom_transpose", "custom_lin")):
        return None
    known = [getattr(value, "debug_info", None) for value in equation.params.values()]
    users = [i for i in known if i is not None and i.func_filename and not _in_packages(i.func_filename)]
    return str(users[0].func_name) if users else None


def _in_packages(path: str) -> bool:
    parts = path.replace("\\", "/").split("/")
    pairs = pairwise(parts)
    return any(parent.endswith("-packages") and package in OWN for parent, package in pairs)


def _inside(equation: Any) -> Iterator[Any]:
    for value in equation.params.values():
        for part in value if isinstance(value, (tuple, list)) else (value,):
            inner = getattr(part, "jaxpr", part)
            if hasattr(inner, "eqns"):
                yield inner


def _body(jaxpr: Any) -> Body:
    steps = [_step(equation) for equation in jaxpr.eqns]
    return Body([_key(v) for v in jaxpr.invars], steps, [_key(v) for v in jaxpr.outvars])


def _key(variable: Any) -> Hashable:
    return id(variable)  # the jaxpr keeps all of them


def _step(equation: Any) -> Step:
    name, params = equation.primitive.name, equation.params
    takes, gives = [_key(v) for v in equation.invars], [_key(v) for v in equation.outvars]
    everything, inside = range(len(takes)), list(_inside(equation))

    def chooses(what: str) -> Step:
        return Step(what, Kind.PLAIN, takes, gives, deciding=everything)

    def runs(jaxpr: Any, positions: Sequence[int]) -> Step:
        return Step(name, Kind.CALL, takes, gives, bodies=[Inner(_body(jaxpr), positions)])

    rule = _users_rule(equation)
    if rule is not None or name in OUTSIDE:
        return chooses(f"opaque: {rule or name}")
    if name == "while":
        return _while(name, params, takes, gives)
    if name == "scan":
        first = params["num_consts"]
        inner = Inner(_body(params["jaxpr"].jaxpr), everything)
        feeds = range(first, first + params["num_carry"])
        return Step(name, Kind.LOOP, takes, gives, bodies=[inner], feeds=feeds)
    if name == "cond":
        bodies = [Inner(_body(branch.jaxpr), everything[1:]) for branch in params["branches"]]
        return Step(name, Kind.BRANCH, takes, gives, bodies=bodies)
    if name == "custom_linear_solve":  # what solves it, such as LU with its pivots, does not matter
        constants, known = params["const_lengths"].matvec, sum(params["const_lengths"])
        return runs(params["jaxprs"].matvec.jaxpr, [*range(constants), *everything[known:]])
    if name == "custom_jvp_call" and (function := params["call_jaxpr"].jaxpr.debug_info.func_name) in RULED:
        return Step(name, Kind.PLAIN, takes, gives) if RULED[function] else chooses(f"{function}{FLAT}")
    if inside and not name.startswith("scatter") and name not in CHOOSING:
        fits = len(inside) == 1 and len(inside[0].invars) == len(takes) and len(inside[0].outvars) == len(gives)
        return runs(inside[0], everything) if fits and name != "reduce" else chooses(f"opaque: {name}")
    return Step(*_operator(equation)[:2], takes, gives, deciding=_operator(equation)[2])


def _while(name: str, params: Any, takes: Sequence[Hashable], gives: Sequence[Hashable]) -> Step:
    of_test, of_body = params["cond_nconsts"], params["body_nconsts"]
    start = of_test + of_body
    state = range(start, len(takes))
    test = Inner(_body(params["cond_jaxpr"].jaxpr), [*range(of_test), *state], decides=True)
    body = Inner(_body(params["body_jaxpr"].jaxpr), [*range(of_test, start), *state])
    return Step(name, Kind.LOOP, takes, gives, bodies=[test, body], feeds=state)


def _operator(equation: Any) -> tuple[str, Kind, Sequence[int]]:
    """Return name, kind, and the positions of operands that decide, of what runs no other program."""
    name, operands = equation.primitive.name, equation.invars
    if not any(map(_is_real, equation.outvars)):
        return name, Kind.LAYOUT if name == "is_finite" else Kind.PLAIN, ()
    if name in PIECES:
        return f"{name}{FLAT}", _kind(name), () if _kind(name) is Kind.BOUND else range(len(operands))
    if name == "rem":  # by the divisor, its slope jumps, and is zero for large ones
        return f"{name}{FLAT}", Kind.PLAIN, (1,)
    if name == "sort":
        return name, Kind.PLAIN, range(equation.params["num_keys"])
    if name in CHOOSING:
        return name, Kind.PLAIN, range(len(operands))
    discrete = [i for i, v in enumerate(operands) if not _is_real(v)]
    if name == "convert_element_type" and discrete:
        return f"{name} of {operands[0].aval.dtype}{FLAT}", Kind.PLAIN, discrete
    return name, _kind(name), discrete


def _kind(name: str) -> Kind:
    return next((kind for kind, names in KINDS.items() if name in names), Kind.PLAIN)


def _is_real(variable: Any) -> bool:
    import jax.numpy as jnp

    return bool(jnp.issubdtype(variable.aval.dtype, jnp.inexact))
