"""What is wrong now, in the order in which somebody should look at it. PURE: a board in, alarms out.

``bad`` is what callers suffer from at this moment; ``watch`` is what may come to that, or has been survived.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from engine.backoffice.live import Board, GatewayState, Row

SLOW_MS = 2000.0  # longer than this nobody should wait for an answer
FULL = 0.9  # of a worker's calls
LATE_MS = 20.0
QUEUED = 32  # messages: half of the smallest channel that matters

Weight: TypeAlias = Literal["bad", "watch"]


@dataclass(frozen=True, slots=True)
class Alarm:
    """One line of the summary.

    Attributes:
        about: what a page filters calls by to show which (``script``, ``down``, ``slow``, ``fault``); empty for a
            gateway's.
    """

    weight: Weight
    says: str
    about: str = ""


def of_call(row: Row) -> tuple[tuple[Weight, str, str], ...]:
    """What is wrong with one call: weight, kind, and how to say it in two words."""
    found: list[tuple[Weight, str, str]] = []
    if row["floor"] == "script":
        found.append(("bad", "script", "script speaks"))
    if row["down"]:
        found.append(("bad", "down", f"{', '.join(row['down'])} down"))
    if row["response_ms"] is not None and row["response_ms"] > SLOW_MS:
        found.append(("watch", "slow", f"answers in {row['response_ms'] / 1000:.1f} s"))
    if row["restarted"]:
        found.append(("watch", "fault", f"{', '.join(row['restarted'])} restarted"))
    if faults := sum(row["faults"].values()):
        found.append(("watch", "fault", f"{faults} fault{'s' * (faults != 1)}"))
    if full := [name for name, waiting in row["queues"].items() if waiting >= QUEUED]:
        found.append(("watch", "queue", f"{', '.join(full)} filling up"))
    return tuple(found)


def of_gateway(state: GatewayState) -> tuple[Alarm, ...]:
    """What is wrong with one worker."""
    name = state.worker or state.url
    if state.away:
        return (Alarm("bad", f"{name} is away: {state.away}"),)
    found: list[Alarm] = []
    if state.status == "unavailable":
        found.append(Alarm("bad", f"{name} is unavailable"))
    elif state.status == "draining":
        found.append(Alarm("watch", f"{name} is draining"))
    for part, word in state.parts.items():
        if part == "calls" and word in {"full", "nearly full"}:
            found.append(Alarm("bad" if word == "full" else "watch", f"{name} is {word}"))
        elif part == "clock" and word != "ok":
            late_ms = max(state.loop.get("lag_p90_ms") or 0.0, state.loop.get("late_p99_ms") or 0.0)
            found.append(Alarm("bad", f"{name}'s clock is late by {late_ms:.0f} ms"))
        elif part not in {"server", "calls", "clock"} and word != "ok":
            found.append(Alarm("bad", f"{part} {word} at {name}"))
    return tuple(found)


def of_board(board: Board) -> tuple[Alarm, ...]:
    """All of it, the worst first; calls are counted by kind."""
    found = [alarm for state in board.gateways for alarm in of_gateway(state)]
    found += _of_calls(board.calls.values())
    return tuple(sorted(found, key=lambda alarm: alarm.weight != "bad"))


_SAYS: Mapping[str, str] = {
    "script": "on the script: no model speaks",
    "down": "with an actor down",
    "slow": f"waited more than {SLOW_MS / 1000:.0f} s for an answer",
    "fault": "survived a fault",
    "queue": "with a queue filling up",
}


def _of_calls(rows: Iterable[Row]) -> list[Alarm]:
    counted: dict[tuple[Weight, str], int] = {}
    for row in rows:
        for weight, kind in dict.fromkeys((weight, kind) for weight, kind, _ in of_call(row)):
            counted[weight, kind] = counted.get((weight, kind), 0) + 1
    return [
        Alarm(weight, f"{count} call{'s' * (count != 1)} {_SAYS[kind]}", kind)
        for (weight, kind), count in counted.items()
    ]


def with_alarms(row: Row) -> dict[str, Any]:
    """A list's row, with what is wrong with it."""
    wrong = of_call(row)
    weight = "bad" if any(one[0] == "bad" for one in wrong) else "watch" if wrong else ""
    return dict(row) | {
        "weight": weight,
        "wrong": [{"kind": kind, "says": says} for _, kind, says in wrong],
    }
