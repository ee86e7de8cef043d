"""``LiveCalls`` in PostgreSQL: other workers, and the next process, find what is kept here."""

from collections.abc import Sequence
from itertools import groupby

import orjson

from engine.store.database import Database
from engine.store.live_calls import (
    FORGOTTEN_AFTER_S,
    NONCES_KEPT,
    CallKey,
    ClaimRefused,
    KeptCall,
    LiveCall,
    LiveState,
    Standing,
    StreamProof,
)
from engine.store.records import safe_name
from engine.store.sql import Connection, Row, plain, query


class PostgresLiveCalls:
    """Every method may raise ``StoreUnavailable``; all may be repeated after it, though a recovery counts anew."""

    shared = True

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(
        self, tenant_id: str, call_sid: str, worker: str, *, stream: StreamProof | None = None, caller: str = ""
    ) -> LiveCall | ClaimRefused:
        """See ``LiveCalls``."""
        key = (tenant_id, safe_name("call_sid", call_sid))
        return await self._database.for_tenant(tenant_id, _claim, key, worker, stream, plain(caller))

    async def keep_many(self, kept: Sequence[KeptCall], ask: Sequence[CallKey] = ()) -> list[Standing]:
        """See ``LiveCalls``: all tenants in one transaction, each under its own name."""
        return await self._database.run(_keep_many, list(kept), list(ask))

    async def find(self, tenant_id: str, call_sid: str) -> LiveCall | None:
        """See ``LiveCalls``. A cancelled caller goes on at once."""
        row = await self._database.read_for_tenant(tenant_id, _find, tenant_id, safe_name("call_sid", call_sid))
        return None if row is None else _live_call(row)

    async def mark_over(self, tenant_id: str, call_sid: str) -> None:
        """See ``LiveCalls``."""
        await self._database.for_tenant(tenant_id, _mark_over, tenant_id, safe_name("call_sid", call_sid))

    async def abandoned(self, worker: str, *, older_than_s: float, most: int = 50) -> list[LiveCall]:
        """See ``LiveCalls``."""
        rows = await self._database.across_tenants(_abandoned, worker, older_than_s, most)
        return [_live_call(row) for row in rows]


async def _claim(
    connection: Connection, key: CallKey, worker: str, stream: StreamProof | None, caller: str
) -> LiveCall | ClaimRefused:
    nonce, attempt = (None, 0) if stream is None else (stream.nonce, stream.attempt)
    row = await connection.fetchrow(query("claim_call"), *key, worker, nonce, attempt, caller, NONCES_KEPT)
    if row is None:
        # Refused, unless it is our own claim that is repeated. A statement of its own sees who was faster.
        row = await _find(connection, *key)
        assert row is not None, "a row that refused a claim is there"
        if nonce not in row["nonces"]:
            return ClaimRefused.LIVE
        if row["worker"] != worker or row["nonces"][-1] != nonce:
            return ClaimRefused.USED
    return _live_call(row)


async def _keep_many(connection: Connection, kept: list[KeptCall], ask: list[CallKey]) -> list[Standing]:
    standings: list[Standing] = []
    # In one order, so that two workers which write the same rows wait for each other, and not both at once.
    kept.sort(key=lambda one: (one.tenant_id, one.call_sid))
    by_tenant = {tenant: list(rows) for tenant, rows in groupby(kept, key=lambda one: one.tenant_id)}
    asked = {tenant: [sid for owner, sid in ask if owner == tenant] for tenant in {owner for owner, _ in ask}}
    for tenant in sorted(by_tenant.keys() | asked.keys()):
        await connection.execute(query("for_this_tenant"), safe_name("tenant_id", tenant))
        rows = by_tenant.get(tenant, [])
        if rows:
            await _keep(connection, tenant, rows)
        wanted = [*(one.call_sid for one in rows), *asked.get(tenant, ())]
        found = await connection.fetch(query("standings"), tenant, wanted)
        standings += [Standing(row["call_sid"], row["worker"], row["epoch"], row["carrier_over"]) for row in found]
    return standings


async def _keep(connection: Connection, tenant_id: str, rows: list[KeptCall]) -> None:
    await connection.execute(
        query("keep_live_calls"),
        tenant_id,
        [safe_name("call_sid", one.call_sid) for one in rows],
        [one.worker for one in rows],
        [one.epoch for one in rows],
        [one.attempts for one in rows],
        [str(one.state) for one in rows],
        [plain(one.reason) for one in rows],
        [plain(one.caller) for one in rows],
        [one.snapshot for one in rows],
    )
    if over := [one for one in rows if one.finished]:
        columns = [one.call_sid for one in over], [one.worker for one in over], [one.epoch for one in over]
        await connection.execute(query("finish_live_calls"), tenant_id, *columns)
    for one in rows:
        if one.messages is not None and not one.finished:
            audio = list(one.messages)
            await connection.execute(query("keep_live_messages"), tenant_id, one.call_sid, one.worker, one.epoch, audio)


async def _find(connection: Connection, tenant_id: str, call_sid: str) -> Row | None:
    return await connection.fetchrow(query("live_call"), tenant_id, call_sid)


async def _mark_over(connection: Connection, tenant_id: str, call_sid: str) -> None:
    await connection.execute(query("mark_call_over"), tenant_id, call_sid)


async def _abandoned(connection: Connection, worker: str, older_than_s: float, most: int) -> list[Row]:
    return await connection.fetch(query("abandoned_calls"), worker, older_than_s, FORGOTTEN_AFTER_S, most)


def _live_call(row: Row) -> LiveCall:
    return LiveCall(
        tenant_id=row["tenant_id"],
        call_sid=row["call_sid"],
        worker=row["worker"],
        epoch=row["epoch"],
        attempts=row["attempts"],
        state=LiveState(row["state"]),
        reason=row["reason"],
        caller=row["caller"],
        snapshot=None if row["snapshot"] is None else orjson.loads(row["snapshot"]),
        messages=tuple(row["messages"]),
        carrier_over=row["carrier_over"],
        saved_ago_s=row["saved_ago_s"],
        touched_ago_s=row["touched_ago_s"],
    )
