"""`xcheck demo`: what checks look like, on every framework that is installed.

The cases are in `xcheck.demos`. Each states the verdict that it has to get, so that the demo is a test of itself.
"""

from __future__ import annotations

import time
from importlib import import_module
from importlib.util import find_spec

from rich.console import Console
from rich.text import Text

from xcheck.checks import check
from xcheck.console import print_error, print_line, print_report, quieten_frameworks
from xcheck.demos import Case
from xcheck.registry import FRAMEWORKS

NAMES = ("numpy", *FRAMEWORKS)
"""The frameworks that have a demo, in the order of the show."""


def run_demo(console: Console) -> bool:
    """Run every case on every installed framework and print what a user would get.

    Returns:
        Whether every case got the verdict that it has to get.
    """
    start = time.perf_counter()
    quieten_frameworks()
    present = [name for name in NAMES if _is_installed(name)]
    results = [result for name in present for result in _show_framework(console, name)]
    console.rule("summary")
    for name in NAMES:
        if name not in present:
            print_line(console, f"{name} is not installed and was left out; to see it: pip install {FRAMEWORKS[name]}")
    seconds = time.perf_counter() - start
    print_line(console, f"{sum(results)} of {len(results)} checks got the verdict they should, in {seconds:.1f} s")
    print_line(console, "now your own: xcheck check path/to/file.py:function --at 'randn(3)'")
    return all(results)


def _is_installed(name: str) -> bool:
    return find_spec(name) is not None


def _show_framework(console: Console, name: str) -> list[bool]:
    console.rule(Text(name, style="bold"))
    try:
        module = import_module(f"xcheck.demos.{name}_")
        cases: list[Case] = module.cases()
    except Exception as error:  # a broken installation must not hide the other frameworks
        print_error(console, error)
        return [False]
    print_line(console, f"the code: {module.__name__}", "dim")
    return [_show_case(console, case) for case in cases]


def _show_case(console: Console, case: Case) -> bool:
    console.print()
    print_line(console, case.title, "bold")
    print_line(console, f"look at: {case.look}", "dim")
    try:
        report = check(case.function, *case.inputs, raises=False, **case.options)
    except Exception as error:
        print_error(console, error)
        return False
    print_report(console, report)
    if str(report.verdict) != case.expected:
        print_line(console, f"UNEXPECTED: this should have been {case.expected}", "bold red")
    return str(report.verdict) == case.expected
