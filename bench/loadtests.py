"""``frontdesk loadtest`` as a child process: what benches that need more than one load have in common."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Report = Mapping[str, Any]


class LoadtestFailed(Exception):
    """It left no report."""


def loadtest(flags: Sequence[str]) -> Report:
    """Run it to its end; its report, whether or not quality held. Blocks. Its progress is not shown.

    Raises:
        LoadtestFailed: it left no report; says what it said last.
    """
    with tempfile.TemporaryDirectory(prefix="frontdesk-bench-") as folder:
        command = [sys.executable, "-m", "engine", "loadtest", *flags, "--json", "--out", folder]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
        path = Path(folder) / "report.json"
        if not path.exists():
            said = done.stderr.strip().splitlines()
            raise LoadtestFailed(f"{' '.join(flags)}: {said[-1] if said else f'status {done.returncode}'}")
        report: Report = json.loads(path.read_text("utf-8"))
    return report


def at(document: object, path: str) -> Any:
    """What stands at ``a.b.c``; None where there is no such thing, or where it is null."""
    for name in path.split("."):
        document = document.get(name) if isinstance(document, Mapping) else None
    return document


def number(document: object, path: str) -> float | None:
    """The same, where it is a number."""
    found = at(document, path)
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None
