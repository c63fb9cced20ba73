"""The command line: `xcheck demo`, `xcheck check`, `xcheck doctor`.

Everything but click is imported by the commands themselves, so that `--help` and `--version` answer at once.
Exit codes: 0 agree, 1 disagree, 2 usage, 3 inconclusive or not run.
"""

from __future__ import annotations

import json
import math
import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

    from xcheck.report import Power, Report

EXIT_CODES = {"agree": 0, "disagree": 1, "inconclusive": 3}
USAGE = 2
NOT_RUN = 3

DERIVATIVES = ("gradient", "jacobian", "diagonal", "vjp", "jvp")


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
    r"""Check the derivatives of your own function.

    TARGET is path/to/file.py:function, or module:function with a module that can be imported from here.

    Each --at is evaluated among the names of the target's own file, with np, randn(*shape) and rand(*shape) besides;
    NAME=EXPR passes a keyword argument.

    \b
    xcheck check model.py:loss --at 'randn(3, 2)' --at 'np.ones(2)'
    xcheck check model.py:cost --at 'randn(5)' --gradient cost_gradient
    xcheck check ops.py:softplus --at 'torch.linspace(-3, 3, 7, dtype=torch.float64)' --format json
    """
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
