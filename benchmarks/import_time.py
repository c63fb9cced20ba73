"""How long `import xcheck` takes in a new interpreter, as a median; NumPy alone and the bare interpreter beside it.

Run it with `python benchmarks/import_time.py [REPEATS]`.
"""

from __future__ import annotations

import subprocess
import sys
from statistics import median

STATEMENTS = {
    "nothing": "pass",
    "numpy": "import numpy",
    "xcheck": "import xcheck",
    "xcheck, names of backends": "import xcheck; xcheck.backends()",
    "xcheck.check": "from xcheck import check",
    "xcheck --version": "from xcheck.cli import main; main(['--version'], standalone_mode=False)",
}

TIMED = """
import contextlib, io, time
start = time.perf_counter()
with contextlib.redirect_stdout(io.StringIO()):
    {statement}
print(time.perf_counter() - start)
"""


def seconds(statement: str) -> float:
    """Time `statement` once, inside a new interpreter: the interpreter's own start is not counted."""
    done = subprocess.run(
        [sys.executable, "-c", TIMED.format(statement=statement)], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def main(repeats: int = 11) -> None:
    """Print a table; the statements take turns, so that a busy moment hits all of them alike."""
    times: dict[str, list[float]] = {name: [] for name in STATEMENTS}
    for _ in range(repeats):
        for name, statement in STATEMENTS.items():
            times[name].append(seconds(statement))
    print(f"{'import':<28}{'median':>9}{'least':>9}   of {repeats}")
    for name, found in times.items():
        print(f"{name:<28}{median(found) * 1e3:>6.0f} ms{min(found) * 1e3:>6.0f} ms")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
