"""Is a newer Python faster for us? ``python -m bench.pythons``: the micro benches on every interpreter that is found.

Looked for: this one, and ``python3.11`` to ``python3.13`` on the path or as given (``.venv-3.12/bin/python``). One that
is absent, or without what the engine needs, is named and left out. Interpreters run by turns (A B C A B C), so that a
host that is slow for a while is slow for all; a figure is the median over turns of its CPU time against the first's.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import machine

VERSIONS = ("3.11", "3.12", "3.13")
TURNS = 5
ROOT = Path(__file__).resolve().parent.parent
_PROBE = "import platform, bench.micro; print(platform.python_version())"


def candidates(given: Sequence[str]) -> list[str]:
    """Interpreters to try, this one first."""
    found = [shutil.which(one) or one for one in given] or [
        path for version in VERSIONS if (path := shutil.which(f"python{version}")) is not None
    ]
    return list(dict.fromkeys([sys.executable, *found]))


def usable(interpreters: Sequence[str], say: Callable[[str], None]) -> dict[str, str]:
    """Version -> the first interpreter of that version that can run the benches; says why not of the others."""
    found: dict[str, str] = {}
    for interpreter in interpreters:
        try:
            done = _run(interpreter, "-c", _PROBE)
        except OSError as error:
            say(f"{interpreter}: left out: {error.strerror}")
            continue
        if done.returncode:
            words = done.stderr.strip().splitlines()
            say(f"{interpreter}: left out: {words[-1] if words else f'status {done.returncode}'}")
        else:
            found.setdefault(done.stdout.strip(), interpreter)
    missing = [one for one in VERSIONS if not any(version.startswith(f"{one}.") for version in found)]
    if missing:
        say(f"not measured: Python {', '.join(missing)}")
    return found


def measure(interpreters: Mapping[str, str], turns: int, flags: Sequence[str]) -> dict[str, list[dict[str, float]]]:
    """Version -> for each turn: case -> ns of CPU per call-second."""
    found: dict[str, list[dict[str, float]]] = {version: [] for version in interpreters}
    for _ in range(turns):
        for version, interpreter in interpreters.items():
            done = _run(interpreter, "-m", "bench.micro", "--quick", "--json", *flags)
            if done.returncode:
                raise SystemExit(f"{interpreter}: {done.stderr.strip()}")
            cases = json.loads(done.stdout)["cases"]
            found[version].append({name: case["ns_middle"] for name, case in cases.items()})
    return found


def summary(measured: Mapping[str, Sequence[Mapping[str, float]]]) -> dict[str, Any]:
    """Of each version and case the time of the first version that it takes; ``all``: their geometric mean."""
    first = next(iter(measured))
    versions = {}
    for version, turns in measured.items():
        pairs = list(zip(turns, measured[first], strict=True))
        ratios = {name: statistics.median(turn[name] / base[name] for turn, base in pairs) for name in turns[0]}
        shown = {name: round(ratio, 3) for name, ratio in ratios.items()}
        versions[version] = {"all": round(statistics.geometric_mean(ratios.values()), 3), "cases": shown}
    return {"kind": "pythons", "first": first, "machine": machine.described(), "versions": versions}


def table(report: Mapping[str, Any]) -> str:
    """For people."""
    versions = report["versions"]
    rows = [" " * 22 + "".join(f"{version:>10}" for version in versions)]
    for name in (*versions[report["first"]]["cases"], "all"):
        ratios = ({**one["cases"], "all": one["all"]}[name] for one in versions.values())
        rows += [f"{name:<22}" + "".join(f"{ratio:>10.2f}" for ratio in ratios)]
    return "\n".join(rows)


def _run(interpreter: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([interpreter, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """See the module."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.pythons", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("interpreters", nargs="*", help="instead of those on the path; this one is always measured")
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--only", nargs="+", help="these cases")
    parser.add_argument("--out", type=Path, help="keep the report there")
    given = parser.parse_args(arguments)
    interpreters = usable(candidates(given.interpreters), lambda text: print(text, file=sys.stderr, flush=True))
    flags = ["--only", *given.only] if given.only else []
    report = summary(measure(interpreters, given.turns, flags))
    print(table(report))
    if given.out is not None:
        given.out.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
