"""What the ops page is told as it happens: server-sent events, a second apart, and only what has changed.

``board``: ``{full, calls: {set: {sid: row or what changed of it}, gone: [sid]}, gateways, alarms, tenants}``.
``call``: a call in full at first, then its newer moments; ``gone`` once it is not on the line any more.

A stream ends after ten minutes: the browser opens the next one, which asks again who it is.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import orjson
import trio

from engine.backoffice import alarms
from engine.backoffice.access import TenantKey, Who
from engine.backoffice.live import Board
from engine.backoffice.office import Office
from engine.backoffice.problems import Problem

EVERY_S = 1.0
CALL_EVERY_S = 0.5
LASTS_S = 600.0
GONE_AFTER = 3  # looks in vain: a call that changes its worker is on no line for a moment


class Delta:
    """What changed from one board to the next. PURE."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, Any]] = {}

    def of(self, board: Board) -> dict[str, Any]:
        """JSON-ready: rows that are new, in full; of others what is different; who is gone."""
        rows = {sid: alarms.with_alarms(row) for sid, row in board.calls.items()}
        changed = {sid: _difference(self._rows.get(sid, {}), row) for sid, row in rows.items()}
        gone = [sid for sid in self._rows if sid not in rows]
        self._rows = rows
        return {"set": {sid: one for sid, one in changed.items() if one}, "gone": gone}


def _difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in new.items() if name not in old or old[name] != value}


def event(name: str, document: Any) -> bytes:
    """One server-sent event."""
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(document) + b"\n\n"


async def board_events(office: Office, who: Who) -> AsyncIterator[bytes]:
    """For one page, as long as it listens."""
    delta, full = Delta(), True
    for at in _beats(EVERY_S):
        board = await office.live.board()
        if isinstance(who, TenantKey):
            board = board.of_tenant(who.tenant_id)
        yield event(
            "board",
            {
                "full": full,
                "at": office.now().timestamp(),
                "calls": delta.of(board),
                "gateways": [asdict(state) for state in board.gateways],
                "alarms": [asdict(alarm) for alarm in alarms.of_board(board)],
            },
        )
        full = False
        await trio.sleep_until(at)


async def call_events(office: Office, tenant_id: str, call_sid: str) -> AsyncIterator[bytes]:
    """Of one call, until it is over."""
    after, missed = 0, 0
    for at in _beats(CALL_EVERY_S):
        try:
            found = await office.live.call(call_sid, tenant_id, after)
        except Problem as problem:
            missed += 1
            if problem.details.status == 404 and missed >= GONE_AFTER:
                yield event("gone", {"call_sid": call_sid})
                return
            yield event("away", {"says": problem.details.detail})
        else:
            missed, after = 0, found["after"]
            yield event("call", found | {"call": alarms.with_alarms(found["call"])})
        await trio.sleep_until(at)


def _beats(every_s: float) -> Iterator[float]:
    """When to look again: for ten minutes, and never to make up for looks that were missed."""
    ends_at = trio.current_time() + LASTS_S
    while (now := trio.current_time()) < ends_at:
        yield now + every_s
