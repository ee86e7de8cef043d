"""All that was kept of faults, as the README shows it: the table, the long call, the neighbours.

    bench/reference/adversity.json    python -m bench.adversity --json ...
    bench/reference/long-call.json    python -m bench.adversity.long_call --json ...
    bench/reference/neighbours.json   python bench/neighbours.py --out ...

What was not measured is left out.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.adversity.long_call import Figures, as_line
from bench.adversity.table import as_markdown


def summary(reference: Path, *, table: Path | None = None) -> str:
    """Markdown.

    Args:
        reference: the directory of what was kept.
        table: the figures of the table, where they are others.
    """
    parts = [as_markdown(_read(table or reference / "adversity.json"))]
    if (path := reference / "long-call.json").exists():
        known = _read(path)
        figures = Figures(**{name: known[name] for name in Figures.__dataclass_fields__})
        parts.append(f"One call without an end: {as_line(figures)}.")
    if (path := reference / "neighbours.json").exists():
        parts.append(_neighbours(_read(path)))
    return "\n\n".join(parts)


def _neighbours(kept: Mapping[str, Any]) -> str:
    lines = [
        "| bad neighbour | lateness of the others, p99, quiet | beside it | ratio | memory |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['name']} | {row['quiet_p99_ms']:.1f} ms | {row['loud_p99_ms']:.1f} ms | {row['ratio']:.2f} "
        f"| {row['memory_mib']:+.0f} MiB |"
        for row in kept["rows"]
    ]
    return "\n".join(lines)


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found
