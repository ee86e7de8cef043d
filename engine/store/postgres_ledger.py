"""``Ledger`` in PostgreSQL: once, across processes and their deaths. Leases run on the database's clock.

A claim is one statement (``ledger_claim`` of the first migration), committed when it returns. Waiting for another
attempt is a notice, and a look now and then for a notice that was missed.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

import orjson
import trio

from engine.errors import MisuseError, StoreUnavailable
from engine.messages import Effect
from engine.store.database import Database
from engine.store.ledger import (
    AlreadyDone,
    Claim,
    Claimed,
    ClaimRequest,
    EffectKey,
    IdReused,
    InFlight,
    OutcomeUnknown,
    Response,
)
from engine.store.sql import Connection, Row, plain, query

CHANNEL = "ledger_settled"
LOOK_AGAIN_S = 1.0
LEASE_OVER_S = 0.01  # beyond the lease's end, so that the next look finds it over
CLAIM_AGAIN_S = (0.1, 0.3)  # a server that was just lost may be back; a caller hears nothing meanwhile


class PostgresLedger:
    """Made by ``open_ledger``. Every method may raise ``StoreUnavailable``; all may be repeated after it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[str, set[trio.Event]] = {}

    async def claim(self, key: EffectKey, request: ClaimRequest) -> Claim:
        """See ``Ledger``."""
        row = await self._claim_row(key, request)
        first = EffectKey(key.tenant_id, key.call_sid, row["tool"], row["digest"], row["scope"])
        match row["verdict"]:
            case "claimed":
                return Claimed(first)
            case "already_done":
                return AlreadyDone(orjson.loads(row["response"]))
            case "in_flight":
                return InFlight(first)
            case "unknown":
                return OutcomeUnknown(first)
            case "id_reused":
                return IdReused()
            case other:
                raise MisuseError(f"ledger_claim answered {other!r}")

    async def _claim_row(self, key: EffectKey, request: ClaimRequest) -> Row:
        """The same attempt may claim again, so an answer that was lost with its server is asked for once more."""
        for pause_s in CLAIM_AGAIN_S:
            try:
                return await self._database.autocommit(key.tenant_id, _claim, key, request)
            except StoreUnavailable:
                await trio.sleep(pause_s)
        return await self._database.autocommit(key.tenant_id, _claim, key, request)

    async def finish(self, key: EffectKey, attempt: str, response: Response) -> bool:
        """See ``Ledger``."""
        return await self._database.for_tenant(key.tenant_id, _finish, key, attempt, _dumps(response))

    async def abandon(self, key: EffectKey, attempt: str, response: Response | None) -> bool:
        """See ``Ledger``."""
        words = None if response is None else _dumps(response)
        return await self._database.for_tenant(key.tenant_id, _abandon, key, attempt, words)

    async def wait_settled(self, key: EffectKey) -> Response | None:
        """See ``Ledger``."""
        running: str | None = None
        with self._woken(key) as woken:
            while True:
                woken.renew()
                row = await self._database.read_for_tenant(key.tenant_id, _entry, key)
                if row is None:
                    return await self._told(key, running)
                if row["state"] == "done":
                    return _loads(row["response"])
                running = running or row["attempt"]
                if row["attempt"] != running or row["lease_left_s"] <= 0:
                    return None  # taken over, or to be
                with trio.move_on_after(min(LOOK_AGAIN_S, row["lease_left_s"] + LEASE_OVER_S)):
                    await woken.wait()

    async def forget_call(self, tenant_id: str, call_sid: str) -> None:
        """See ``Ledger``."""
        await self._database.for_tenant(tenant_id, _forget, tenant_id, call_sid)

    async def _told(self, key: EffectKey, attempt: str | None) -> Response | None:
        if attempt is None:
            return None  # it was gone before we looked: claiming again tells
        told = await self._database.read_for_tenant(key.tenant_id, _read_told, key, attempt)
        return None if told is None else _loads(told)

    def _woken(self, key: EffectKey) -> "_Woken":
        return _Woken(self._waiting, key.effect_id)

    def on_notice(self, effect_id: str | None) -> None:
        """Somebody settled it; None: something may have been missed, so that all look again."""
        for one in [effect_id] if effect_id is not None else list(self._waiting):
            for event in self._waiting.get(one, ()):
                event.set()


@asynccontextmanager
async def open_ledger(database: Database) -> AsyncIterator[PostgresLedger]:
    """A ledger that hears what other processes settle."""
    ledger = PostgresLedger(database)
    stop = await database.listen(CHANNEL, ledger.on_notice)
    try:
        yield ledger
    finally:
        with trio.CancelScope(shield=True):
            await stop()


class _Woken:
    """An event that is set by notices for one effect, and renewed before each look."""

    def __init__(self, waiting: dict[str, set[trio.Event]], effect_id: str) -> None:
        self._waiting, self._effect_id = waiting, effect_id
        self._event = trio.Event()

    def __enter__(self) -> Self:
        self._waiting.setdefault(self._effect_id, set()).add(self._event)
        return self

    def __exit__(self, *_: object) -> None:
        mine = self._waiting[self._effect_id]
        mine.discard(self._event)
        if not mine:
            del self._waiting[self._effect_id]

    def renew(self) -> None:
        """From now on."""
        mine = self._waiting[self._effect_id]
        mine.discard(self._event)
        self._event = trio.Event()
        mine.add(self._event)

    async def wait(self) -> None:
        """Until somebody settled it since ``renew``."""
        await self._event.wait()


async def _claim(connection: Connection, key: EffectKey, request: ClaimRequest) -> Row:
    row = await connection.fetchrow(
        query("claim"),
        key.tenant_id,
        key.call_sid,
        plain(request.call_id),
        key.effect_id,
        key.tool,
        key.digest,
        key.scope,
        request.attempt,
        request.effect is Effect.READS,
        request.lease_s,
    )
    assert row is not None
    return row


async def _finish(connection: Connection, key: EffectKey, attempt: str, response: str) -> bool:
    mine = (key.tenant_id, key.call_sid, key.effect_id)
    if await connection.fetchval(query("finish"), *mine, attempt, response) is None:
        return False
    await connection.execute(query("settled"), key.effect_id)
    return True


async def _abandon(connection: Connection, key: EffectKey, attempt: str, response: str | None) -> bool:
    mine = (key.tenant_id, key.call_sid, key.effect_id)
    await connection.execute(query("lock_ids"), *mine)
    if await connection.fetchval(query("abandon"), *mine, attempt) is None:
        return False
    if response is not None:
        await connection.execute(query("tell"), *mine, response, attempt)
    await connection.execute(query("settled"), key.effect_id)
    return True


async def _entry(connection: Connection, key: EffectKey) -> Row | None:
    return await connection.fetchrow(query("entry"), key.tenant_id, key.call_sid, key.effect_id)


async def _read_told(connection: Connection, key: EffectKey, attempt: str) -> str | None:
    told: str | None = await connection.fetchval(query("told"), key.tenant_id, key.call_sid, key.effect_id, attempt)
    return told


async def _forget(connection: Connection, tenant_id: str, call_sid: str) -> None:
    # In the order in which everybody locks: call ids, then effects.
    await connection.execute(query("forget_ids"), tenant_id, call_sid)
    await connection.execute(query("forget_entries"), tenant_id, call_sid)


def _dumps(response: Response) -> str:
    try:
        return orjson.dumps(dict(response)).decode()
    except TypeError as error:
        raise MisuseError(f"a tool's response is not JSON-ready: {error}") from None


def _loads(document: str) -> Response:
    response: Response = orjson.loads(document)
    return response
