"""The verb `benchmark`: which way to a derivative is right, and which of those is the fastest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from xcheck.benchmarking.contest import LONGEST, SECONDS
from xcheck.benchmarking.report import BenchmarkReport
from xcheck.benchmarking.running import Point, run_benchmark
from xcheck.call import Wrt


def benchmark(
    f: Callable[..., Any] | Mapping[str, Callable[..., Any]],
    *inputs: Any,
    quantity: str = "jacobian",
    backends: Sequence[str] | None = None,
    sizes: Sequence[int] | None = None,
    compiled: bool | None = None,
    seconds: float = SECONDS,
    longest: float = LONGEST,
    kwargs: Mapping[str, Any] | None = None,
    wrt: Wrt = None,
    seed: int = 0,
    progress: bool | None = None,
) -> BenchmarkReport:
    """Find the fastest right way to a derivative: verify every strategy, then time those that are right in turns.

    Strategies are those of `jacobian` and its like, the framework's own calls, and "xcheck auto", what
    `jacobian_function` makes, called as users call it. First `check` tells whether the framework's derivative of `f`
    agrees with finite differences; then every result is held against plain products. What is wrong, not valid for this
    function, or raised is told with the reason and has no rank.

    Costs a check for every framework and size, about a second or less; every strategy is run four times at least, and
    timed for about `seconds`.

    Args:
        f: the function; or one written once, `f(x, xp)`, where `xp` is a framework's namespace of array-API names; or
            one for each framework, as in `{"torch": f, "jax": g}`. With several frameworks, inputs are converted.
        *inputs: the point. With `sizes`, functions of a size that return inputs: `lambda n: torch.randn(n)`.
        quantity: "jacobian", "diagonal", "batch" (the Jacobians of all samples) or "hessian".
        backends: names of frameworks: for `f(x, xp)`, those to run it on, all that are installed if None; for another
            function, the one that it is written for, if the inputs do not tell.
        sizes: positive integers; the report then tells how times grow.
        compiled: whether strategies that compile take part: those that take a moment if None (JAX, TensorFlow), all if
            True (`torch.compile` takes from seconds to minutes), none if False.
        seconds: for timing, for every strategy; those of one framework and size share it.
        longest: seconds of a single run; strategies that would take longer are not tried.
        kwargs: keyword arguments for `f`.
        wrt: which inputs vary: positions or names; all that can if None.
        seed: of the check, of the vectors of proofs, and of the order of the runs.
        progress: show a bar on standard error; None for only on a terminal.

    Returns:
        The report: `str()` is a table for every framework and size with what to call; `to_markdown()`, `to_json()`,
        `to_pandas()`, `plot()` and `save_plot()` are its other faces.

    Raises:
        TypeError: an argument is of the wrong kind, or nothing varies.
        ValueError: an argument is none of those that are accepted, or there is no such quantity of the function.
        NotImplementedError: no strategy takes the function, such as one of complex numbers.
    """
    return run_benchmark(
        f, _points(inputs, sizes, dict(kwargs or {})), quantity, backends=_names(backends), compiled=compiled,
        seconds=seconds, longest=longest, wrt=wrt, seed=seed, progress=progress,
    )  # fmt: skip


def _points(inputs: tuple[Any, ...], sizes: Sequence[int] | None, kwargs: dict[str, Any]) -> list[Point]:
    """Make the inputs of every size.

    Raises:
        TypeError: sizes are no integers, or an input is no function of them; or is one, and there are no sizes.
        ValueError: there are none, or one is not positive.
    """
    if not inputs:
        raise TypeError("benchmark needs the inputs of f: benchmark(f, x), or benchmark(f, make_x, sizes=[10, 100]).")
    if sizes is None:
        if all([callable(x) for x in inputs]):
            raise TypeError("the inputs are functions, and no sizes= are given, such as sizes=[10, 100].")
        return [Point(inputs, kwargs)]
    read = _read_sizes(sizes)
    for i, make in enumerate(inputs):
        if not callable(make):
            raise TypeError(
                f"with sizes=, every input is a function of n; inputs[{i}] is of type {type(make).__name__}. Accepted: "
                "such as lambda n: torch.randn(n)."
            )
    return [Point(tuple(make(n) for make in inputs), kwargs) for n in read]


def _read_sizes(sizes: Any) -> list[int]:
    accepted = "Accepted: positive integers, such as sizes=[10, 100, 1000]."
    try:
        read = list(sizes)
    except TypeError as error:
        raise TypeError(f"sizes= is a sequence; given: {sizes!r}. {accepted}") from error
    for size in read:
        if isinstance(size, bool) or not hasattr(size, "__index__"):
            raise TypeError(f"sizes= has {size!r}, which is no integer. {accepted}")
    numbers = sorted({int(size) for size in read})
    if not numbers or numbers[0] < 1:
        raise ValueError(f"sizes={sizes!r} {'has none' if not numbers else f'has {numbers[0]}'}. {accepted}")
    return numbers


def _names(backends: Any) -> list[str] | None:
    if backends is None:
        return None
    if isinstance(backends, str) or not all([isinstance(name, str) for name in backends]):
        raise TypeError(f"backends= is a list of names, as in ['torch', 'jax']; given: {backends!r}.")
    return list(backends)
