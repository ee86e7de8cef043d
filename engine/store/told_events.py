"""What there is to tell of an event: read from the fact itself when it is sent. What has been deleted is not told.

A document that cannot be read as it is meant tells what it has; none of it can keep other events back.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from engine.store.sql import Connection, Row, query
from engine.store.webhooks import TEST

_OF_AN_END = ("caller", "outcome", "duration_s", "ended_at", "sessions", "turns", "handovers", "transcript")


async def read_fact(connection: Connection, tenant_id: str, event: Row) -> dict[str, Any] | None:
    """JSON-ready; None where the fact is not there any more.

    Args:
        event: with ``type``, ``call_sid``, ``key`` and ``at``.
    """
    key, call_sid = event["key"], event["call_sid"]
    match event["type"]:
        case "call.started":
            row = await connection.fetchrow(query("told_live_call"), tenant_id, call_sid)
            return None if row is None else {"call_sid": call_sid, "caller": row["caller"], "started_at": event["at"]}
        case "call.ended" | "escalation":
            return await _of_call(connection, tenant_id, event)
        case "message.taken" if key.startswith("sound "):
            return await _sound(connection, tenant_id, call_sid, int(key.rpartition(" ")[2]))
        case "message.taken" | "task.created":
            document = await connection.fetchval(query("told_follow_up"), tenant_id, key)
            return None if document is None else _without(orjson.loads(document), "tenant_id", "kind")
        case "appointment.booked":
            row = await connection.fetchrow(query("told_appointment"), tenant_id, key)
            return None if row is None else {"call_sid": call_sid, **dict(row)}
        case "usage.closed":
            row = await connection.fetchrow(query("statement"), tenant_id, key)
            return None if row is None else {"closed_at": row["closed_at"], **orjson.loads(row["document"])}
        case other:
            return {"says": "Your endpoint can be reached."} if other == TEST else {}


async def _of_call(connection: Connection, tenant_id: str, event: Row) -> dict[str, Any] | None:
    call_sid = event["call_sid"]
    end = await _end(connection, tenant_id, call_sid)
    if event["type"] == "call.ended":
        if end is None:
            return None
        told = {name: end["document"].get(name) for name in _OF_AN_END}
        return {"call_sid": call_sid, **told, "messages": len(end.get("messages", ()))}
    caller, to = "", ""
    if end is not None:
        caller, to = end["document"].get("caller", ""), (end["document"].get("outcome") or {}).get("detail", "")
    else:
        row = await connection.fetchrow(query("told_live_call"), tenant_id, call_sid)
        if row is None:
            return None
        caller = row["caller"]
    return {"call_sid": call_sid, "caller": caller, "to": to, "asked_at": event["at"]}


async def _sound(connection: Connection, tenant_id: str, call_sid: str, position: int) -> dict[str, Any] | None:
    """A message left as sound: who left it, and when; the sound itself is fetched over the API."""
    end = await _end(connection, tenant_id, call_sid)
    if end is None:
        return None
    kept = end.get("messages", [])
    found = kept[position - 1] if 0 < position <= len(kept) else {}
    return {"call_sid": call_sid, "position": position, "caller": found.get("caller"), "left_at": found.get("left_at")}


async def _end(connection: Connection, tenant_id: str, call_sid: str) -> dict[str, Any] | None:
    document = await connection.fetchval(query("told_call_end"), tenant_id, call_sid)
    if document is None:
        return None
    end: dict[str, Any] = orjson.loads(document)
    if not isinstance(end.get("document"), dict):
        end["document"] = {}
    return end


def _without(document: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in names}
