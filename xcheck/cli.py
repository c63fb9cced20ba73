"""The command line: `xcheck demo`, `xcheck check`, `xcheck bench`, `xcheck doctor`.

Everything but click is imported by the commands themselves, so that `--help` and `--version` answer at once.
Exit codes: 0 agree, 1 disagree, 2 usage, 3 inconclusive or not run.
"""

from __future__ import annotations

import json
import math
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

    from xcheck.benchmarking.report import BenchmarkReport
    from xcheck.benchmarking.running import Point
    from xcheck.report import Power, Report

EXIT_CODES = {"agree": 0, "disagree": 1, "inconclusive": 3}
USAGE = 2
NOT_RUN = 3

DERIVATIVES = ("gradient", "jacobian", "diagonal", "vjp", "jvp")

QUANTITIES = ("jacobian", "diagonal", "batch", "hessian")

PICTURES = (".png", ".svg", ".pdf")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="xcheck-autodiff", prog_name="xcheck")
def main() -> None:
    """Check derivatives against an independent reference, with a verdict that carries an error bar.

    Exit codes: 0 agree, 1 disagree, 2 usage, 3 inconclusive or not run.
    """


@main.command()
def demo() -> None:
    """Show checks that agree, disagree and cannot tell, on every installed framework."""
    from xcheck.demo import run_demo

    sys.exit(0 if run_demo(_console()) else 1)


@main.command()
def doctor() -> None:
    """Print versions, devices and precision settings; imports every installed framework."""
    from xcheck.console import quieten_frameworks
    from xcheck.versions import collect_versions, format_versions

    quieten_frameworks()
    click.echo(format_versions(collect_versions(describe=True)))


def _given_options(command: Any) -> Any:
    """Add one option for each kind of hand-written derivative."""
    for name in reversed(DERIVATIVES):
        help_text = f"A hand-written {name} to check: the name of a function in the same file."
        command = click.option(f"--{name}", metavar="NAME", help=help_text)(command)
    return command


@main.command()
@click.argument("target")
@click.option("--at", multiple=True, metavar="EXPR", help="The point: one Python expression for each input, in order.")
@click.option("--backend", metavar="NAME", help="The framework; only needed where the inputs do not tell.")
@_given_options
@click.option("--has-gradient", is_flag=True, help="The function returns (value, gradient), as in SciPy's jac=True.")
@click.option("--wrt", multiple=True, metavar="NAME", help="Check only this input (a name or a position); repeatable.")
@click.option("--seed", default=0, show_default=True, help="For randn and rand, and for the check's own choices.")
@click.option("--power", "trials", is_flag=True, help="Plant errors in what agreed; show at which size they are seen.")
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text", show_default=True)
def check(
    target: str, at: tuple[str, ...], backend: str | None, has_gradient: bool, wrt: tuple[str, ...],
    seed: int, trials: bool, style: str, **given: str | None,
) -> None:  # fmt: skip
    """Check the derivatives of your own function.

    TARGET is path/to/file.py:function, or module:function with a module that can be imported from here.

    Each --at is evaluated among the names of the target's own file, with np, randn(*shape) and rand(*shape) besides;
    NAME=EXPR passes a keyword argument.

    \b
    xcheck check model.py:loss --at 'randn(3, 2)' --at 'np.ones(2)'
    xcheck check model.py:cost --at 'randn(5)' --gradient cost_gradient
    xcheck check ops.py:softplus --at 'torch.linspace(-3, 3, 7, dtype=torch.float64)' --format json
    """  # noqa: D301  # click looks for a backspace
    from xcheck.target import TargetError, load_target, read_point

    try:
        module, function = load_target(target)
        args, kwargs = read_point(at, module, seed)
        options = {name: _named(module, name, value) for name, value in given.items() if value}
    except TargetError as error:
        raise click.UsageError(str(error)) from error
    except Exception as error:
        sys.exit(_not_run(error, style))
    options |= {"backend": backend, "has_gradient": has_gradient, "kwargs": kwargs, "wrt": _wrt(wrt), "seed": seed}
    sys.exit(_check(function, args, options, style, trials))


@main.command()
@click.argument("target")
@click.option("--sizes", metavar="N,N,...", help="Sizes, called n in --at; 10,100,1000 if neither is given.")
@click.option("--at", multiple=True, metavar="EXPR", help="The point: one Python expression for each input; randn(n).")
@click.option(
    "--quantity", type=click.Choice(QUANTITIES), default=QUANTITIES[0], show_default=True, help="What to make."
)
@click.option("--backend", multiple=True, metavar="NAME", help="A framework; repeatable for f(x, xp).")
@click.option("--compiled", is_flag=True, help="Try strategies that take many seconds to compile too (torch.compile).")
@click.option("--seconds", default=0.25, show_default=True, help="For timing, for every strategy.")
@click.option("--seed", default=0, show_default=True, help="For randn and rand, and for the order of the runs.")
@click.option("--plot", metavar="FILE", help="Draw speed-ups, and times against n, into a .png, .svg or .pdf file.")
@click.option("--format", "style", type=click.Choice(["text", "markdown", "json"]), default="text", show_default=True)
def bench(
    target: str, sizes: str | None, at: tuple[str, ...], quantity: str, backend: tuple[str, ...], compiled: bool,
    seconds: float, seed: int, plot: str | None, style: str,
) -> None:  # fmt: skip
    """Find the fastest right way to a Jacobian, diagonal or Hessian of your own function.

    Every strategy is verified first; those that are right are timed in turns. TARGET and --at are those of
    `xcheck check`; with --sizes, n is the size in --at.

    \b
    xcheck bench model.py:residual --sizes 10,100,1000
    xcheck bench model.py:layer --sizes 16,64,256 --at 'randn(n, 3)' --quantity batch --plot layer.png
    xcheck bench ops.py:softplus --at 'torch.linspace(-3, 3, 700)' --quantity diagonal --format markdown

    Exit codes: 0 every strategy that ran is right, 1 one is wrong, 2 usage, 3 inconclusive or not run.
    """  # noqa: D301  # click looks for a backspace
    from xcheck.console import quieten_frameworks
    from xcheck.target import TargetError, load_target

    quieten_frameworks()
    try:
        _require_folder(plot)
        module, function = load_target(target)
        points = _points(module, sizes, at, seed)
    except TargetError as error:
        raise click.UsageError(str(error)) from error
    except Exception as error:
        sys.exit(_not_run(error, style))
    options = {"backends": list(backend) or None, "compiled": compiled or None, "seconds": seconds, "seed": seed}
    sys.exit(_bench(function, points, quantity, options, style, plot))


def _points(module: Any, sizes: str | None, at: tuple[str, ...], seed: int) -> list[Point]:
    """Evaluate the inputs of every size, or those of --at alone where no size is given."""
    from xcheck.benchmarking.running import Point
    from xcheck.target import TargetError, read_point, read_sizes, speaks_of_size

    if sizes is None and at:
        return [Point(*read_point(at, module, seed))]
    if at and not speaks_of_size(at):
        raise TargetError(
            "--sizes are given, and no --at speaks of n. Accepted: expressions with n in them: 'randn(n)'."
        )
    numbers = read_sizes("10,100,1000" if sizes is None else sizes)
    return [Point(*read_point(at or ("randn(n)",), module, seed, n)) for n in numbers]


def _bench(
    function: Any, points: list[Point], quantity: str, options: dict[str, Any], style: str, plot: str | None
) -> int:
    from xcheck.benchmarking.running import run_benchmark
    from xcheck.target import refused_by_xcheck

    try:
        report = run_benchmark(function, points, quantity, **options)
    except Exception as error:
        if refused_by_xcheck(error):
            raise click.UsageError(str(error)) from error
        return _not_run(error, style)
    _print_benchmark(report, style)
    if plot is not None:
        _save_plot(report, plot)
    return EXIT_CODES[str(report.verdict)]


def _print_benchmark(report: BenchmarkReport, style: str) -> None:
    if style != "text":
        click.echo(report.to_json() if style == "json" else report.to_markdown())
        return
    from xcheck.console import print_report

    print_report(_console(), report)


def _save_plot(report: BenchmarkReport, path: str) -> None:
    """Draw into a file; what cannot be drawn is told, and the report stays."""
    try:
        report.save_plot(path)
    except (ImportError, ValueError, OSError) as error:
        raise click.UsageError(f"--plot {path!r}: {error}") from error
    click.echo(f"drawn: {path}", err=True)


def _require_folder(plot: str | None) -> None:
    """Refuse a picture that cannot be written before minutes have gone by."""
    from xcheck.target import TargetError

    if plot is None:
        return
    if not Path(plot).parent.is_dir():
        raise TargetError(f"--plot {plot!r}: there is no folder {str(Path(plot).parent)!r}.")
    if Path(plot).suffix.lower() not in PICTURES:
        raise TargetError(f"--plot {plot!r} has no suffix of a picture. Accepted: {', '.join(PICTURES)}.")
    if find_spec("matplotlib") is None:
        raise TargetError("--plot needs matplotlib, which is not installed: pip install matplotlib")


def _check(function: Any, args: tuple[Any, ...], options: dict[str, Any], style: str, trials: bool) -> int:
    from xcheck.checks import check as check_derivatives
    from xcheck.target import refused_by_xcheck

    try:
        report = check_derivatives(function, *args, raises=False, **options)
    except Exception as error:
        if refused_by_xcheck(error):
            raise click.UsageError(str(error)) from error
        return _not_run(error, style)
    limits = [c.detection_limit for c in report.comparisons]
    _print(report, report.power() if trials and any(map(math.isfinite, limits)) else None, style)
    return EXIT_CODES[str(report.verdict)]


def _print(report: Report, power: Power | None, style: str) -> None:
    if style == "json":
        more = {} if power is None else {"power": power.to_dict()}
        click.echo(json.dumps({**report.to_dict(), **more}, indent=2))
        return
    from xcheck.console import print_power, print_report

    print_report(_console(), report)
    if power is not None:
        print_power(_console(), power)


def _not_run(error: Exception, style: str) -> int:
    """Tell that the user's own code raised, and where."""
    from xcheck.console import print_error

    if style == "json":
        notes = list(getattr(error, "__notes__", ()))
        told = {"type": type(error).__name__, "message": str(error), "notes": notes}
        click.echo(json.dumps({"verdict": None, "ok": False, "error": told}, indent=2))
    else:
        print_error(_console(stderr=True), error)
    return NOT_RUN


def _named(module: Any, option: str, name: str) -> Any:
    from xcheck.target import find

    return find(module, name, f"--{option}")


def _wrt(names: tuple[str, ...]) -> list[int | str] | None:
    return [int(name) if name.isdigit() else name for name in names] or None


def _console(stderr: bool = False) -> Console:
    from rich.console import Console

    return Console(stderr=stderr, highlight=False)
