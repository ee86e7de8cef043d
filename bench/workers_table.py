"""What ``bench.workers`` found: one call, one row, the table, the log."""

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.sim.fleet import Fleet, comebacks_ms
from engine.sim.report import PhoneReport, Spread
from engine.store.interface import CallEnd


@dataclass(frozen=True, slots=True)
class Call:
    """One call that was on the line, or came, while the fault happened."""

    report: PhoneReport | None
    ends: Sequence[CallEnd]
    booked: int
    told_booked: bool

    def kept(self, *, static: bool) -> bool:
        """See the module."""
        if self.report is None or len(self.ends) > 1:
            return False
        if static and self.report.said_by_static_verbs:
            return True
        return self.report.how_ended == "caller_hung_up" and not self.report.said_by_static_verbs and bool(self.ends)


def row(fault: str, runs: int, calls: Sequence[Call], *, static: bool) -> dict[str, Any]:
    """The figures of one fault, JSON-ready."""
    reports = [call.report for call in calls if call.report is not None]
    returns = [ms for report in reports for ms in comebacks_ms(report)]
    silences = [report.longest_silence_ms for report in reports if report.longest_silence_ms is not None]
    return {
        "fault": fault,
        "runs": runs,
        "calls": len(calls),
        "kept": sum(call.kept(static=static) for call in calls),
        "moved": sum(report.streams > 1 or bool(report.said_by_static_verbs) for report in reports),
        "return_ms": _spread(returns),
        "silence_ms": _spread(silences),
        "effects": {
            "done": sum(call.booked for call in calls),
            "lost": sum(call.told_booked and not call.booked for call in calls),
            "doubled": sum(max(0, call.booked - 1) for call in calls),
        },
        "ends": dict(Counter(len(call.ends) for call in calls)),
        "protocol_faults": sum(report.protocol_fault_count for report in reports),
    }


def _spread(values: Sequence[float]) -> dict[str, int] | None:
    spread = Spread.of(values)
    return None if spread is None else {"p50": round(spread.p50), "p95": round(spread.p95), "max": round(spread.max)}


def write_log(log: Path, fleet: Fleet, calls: Sequence[Call], *, static: bool) -> None:
    """Append what the service has logged since, and each call's figures; the log in memory begins anew."""
    with log.open("a", encoding="utf-8") as file:
        for line in fleet.logged:
            file.write(json.dumps(line) + "\n")
        for call in calls:
            if (report := call.report) is not None:
                figures = {
                    "call_sid": report.call_sid,
                    "kept": call.kept(static=static),
                    "how_ended": report.how_ended,
                    "streams": report.stream_spans,
                    "returns_ms": comebacks_ms(report),
                    "silence_ms": report.longest_silence_ms,
                    "static": [one.text for one in report.said_by_static_verbs],
                    "debugger": [str(entry) for entry in report.debugger],
                    "ends": [[end.outcome_class, end.outcome_reason] for end in call.ends],
                    "booked": call.booked,
                }
                file.write(json.dumps({"event": "call", **figures}) + "\n")
    fleet.logged[:] = [line for line in fleet.logged if line["event"] in {"started", "workers"}]


def progress(fault: str, done: int, runs: int, calls: Sequence[Call], *, static: bool) -> None:
    """One line at the terminal, again and again."""
    kept = sum(call.kept(static=static) for call in calls)
    print(f"\r{fault}: {done}/{runs} runs, {kept}/{len(calls)} calls kept", end="", file=sys.stderr, flush=True)
    if done == runs:
        print(file=sys.stderr)


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """For people, and for Markdown."""
    head = ("fault", "runs", "calls", "kept", "moved", "return ms p50 / max", "silence ms p50 / max", "lost", "doubled")
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for row in rows:
        spreads = [
            "-" if (spread := row[name]) is None else f"{spread['p50']} / {spread['max']}"
            for name in ("return_ms", "silence_ms")
        ]
        counts = [str(row[name]) for name in ("fault", "runs", "calls", "kept", "moved")]
        effects = [str(row["effects"][name]) for name in ("lost", "doubled")]
        lines.append("| " + " | ".join([*counts, *spreads, *effects]) + " |")
    return "\n".join(lines)
