"""Write into every example what it prints now: `python tests/refresh_examples.py [NAME ...]`. Read it afterwards."""

from __future__ import annotations

import contextlib
import io
import runpy
import sys
from pathlib import Path

from xcheck import budget

EXAMPLES = Path(__file__).parents[1] / "examples"


def refreshed(path: Path) -> str:
    """Return an example with its printed lines below the calls of `print` that printed them."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("# >")]
    printed: dict[int, list[str]] = {}

    def record(*values: object) -> None:
        text = io.StringIO()
        print(*values, file=text)
        number = sys._getframe(1).f_lineno
        printed.setdefault(number, []).extend(text.getvalue().rstrip("\n").splitlines())

    bare = path.with_suffix(".bare.py")
    bare.write_text("\n".join(lines) + "\n", encoding="utf-8")
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            runpy.run_path(str(bare), init_globals={"print": record}, run_name="__main__")
    finally:
        bare.unlink()
    result: list[str] = []
    for number, line in enumerate(lines, start=1):
        result.append(line)
        result += [f"# > {text}".rstrip() for text in printed.get(number, [])]
    return "\n".join(result) + "\n"


if __name__ == "__main__":
    budget.SECONDS = 1e6  # compare all entries, however slow the machine is
    for path in sorted(EXAMPLES.glob("*.py")):
        if not sys.argv[1:] or path.name in sys.argv[1:]:
            path.write_text(refreshed(path), encoding="utf-8")
