"""What the command line points at: a function in a file or a module, and expressions for its inputs."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Sequence
from functools import reduce
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

KEYWORD = re.compile(r"\s*([A-Za-z_]\w*)\s*=(?!=)(.*)", re.DOTALL)
ACCEPTED_TARGETS = "Accepted: path/to/file.py:function, or module:function with a module importable from here."
ACCEPTED_POINTS = (
    "Accepted: a Python expression among the names of the target's file, np, randn(*shape) and rand(*shape), such as "
    "--at 'randn(3, 2)'; or NAME=EXPR for a keyword argument. With --sizes, n is the size."
)


class TargetError(ValueError):
    """The command line names something that is not there; the message says what is accepted."""


def load_target(target: str) -> tuple[ModuleType, Callable[..., Any]]:
    """Import the file or module of `target` and find its function.

    Whatever the file raises while it is imported passes through.

    Raises:
        TargetError: the target is malformed, or names no file, no module or no function.
    """
    place, _, name = target.rpartition(":")
    if not place or not name:
        raise TargetError(f"TARGET {target!r} has no {'file or module' if name else 'function'}. {ACCEPTED_TARGETS}")
    module = _load_file(target, Path(place)) if place.endswith(".py") else _load_module(target, place)
    return module, find(module, name, "TARGET")


def find(module: ModuleType, name: str, option: str) -> Callable[..., Any]:
    """Find a function by its name in `module`; dots go into classes and objects.

    Raises:
        TargetError: nothing callable has that name.
    """
    try:
        found: Any = reduce(getattr, name.split("."), module)
    except AttributeError:
        found = None
    if not callable(found):
        what = "names nothing" if found is None else f"is a {type(found).__name__}, not a function,"
        raise TargetError(f"{option} {name!r} {what} in {_file(module)}. Accepted: {_functions(module)}.")
    return found  # type: ignore[no-any-return]  # callable() has told


def read_point(
    expressions: Sequence[str], module: ModuleType, seed: int, size: int | None = None
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Evaluate the --at expressions: positional inputs in order, and NAME=EXPR as keyword arguments.

    The expressions are the user's own code, as the target itself is. A `size` is called n in them, whatever n may be in
    the target's file.

    Raises:
        TargetError: an expression does not evaluate.
    """
    generator = np.random.default_rng(seed)
    namespace = {
        "np": np,
        "randn": lambda *shape: generator.standard_normal(shape),
        "rand": lambda *shape: generator.random(shape),
        **vars(module),
        **({} if size is None else {"n": size}),
    }
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for expression in expressions:
        keyword = KEYWORD.fullmatch(expression)
        if keyword:
            kwargs[keyword[1]] = _evaluate(expression, keyword[2], namespace)
        else:
            args.append(_evaluate(expression, expression, namespace))
    return tuple(args), kwargs


def read_sizes(text: str) -> tuple[int, ...]:
    """Read the sizes of --sizes: positive integers with commas between them; a size that occurs twice counts once.

    Raises:
        TargetError: it is something else.
    """
    accepted = "Accepted: positive integers with commas between them, such as --sizes 10,100,1000."
    try:
        sizes = [int(part) for part in text.split(",")]
    except ValueError as error:
        raise TargetError(f"--sizes {text!r} are no integers. {accepted}") from error
    if min(sizes) < 1:
        raise TargetError(f"--sizes {text!r}: {min(sizes)} is not positive. {accepted}")
    return tuple(sorted(set(sizes)))


def speaks_of_size(expressions: Sequence[str]) -> bool:
    """Tell whether n occurs in any of the --at expressions."""
    return any([re.search(r"\bn\b", expression) for expression in expressions])


def refused_by_xcheck(error: Exception) -> bool:
    """Tell whether xcheck itself refused what it was given, rather than the user's function failing."""
    if not isinstance(error, (TypeError, ValueError, ModuleNotFoundError)):
        return False
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    module = trace.tb_frame.f_globals.get("__name__", "") if trace is not None else ""
    return not getattr(error, "__notes__", ()) and str(module).startswith("xcheck.")


def _load_file(target: str, path: Path) -> ModuleType:
    if not path.is_file():
        raise TargetError(f"TARGET {target!r}: there is no file {str(path)!r}. {ACCEPTED_TARGETS}")
    _make_importable(path.resolve().parent)
    name = path.stem if path.stem not in sys.modules else f"target_{path.stem}"  # random.py must not become `random`
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise TargetError(f"TARGET {target!r}: {str(path)!r} cannot be imported. {ACCEPTED_TARGETS}")
    module = module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickles look themselves up there
    spec.loader.exec_module(module)
    return module


def _load_module(target: str, name: str) -> ModuleType:
    _make_importable(Path.cwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # the module is there, and misses something itself
        raise TargetError(f"TARGET {target!r}: there is no module {error.name!r}. {ACCEPTED_TARGETS}") from error


def _make_importable(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _evaluate(given: str, expression: str, namespace: dict[str, Any]) -> Any:
    try:
        return eval(expression.strip(), namespace)  # the user's own code on the user's own machine
    except Exception as error:
        raise TargetError(f"--at {given!r} raised {type(error).__name__}: {error}. {ACCEPTED_POINTS}") from error


def _functions(module: ModuleType) -> str:
    """List the module's own functions and classes."""
    own = [n for n, v in vars(module).items() if callable(v) and getattr(v, "__module__", None) == module.__name__]
    return ", ".join(name for name in own if not name.startswith("_")) or "nothing: it defines no function"


def _file(module: ModuleType) -> str:
    return Path(module.__file__).name if module.__file__ else module.__name__
