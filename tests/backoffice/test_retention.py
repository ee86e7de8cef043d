"""What is kept no longer goes, and what a caller wants forgotten: from every table and every file."""

from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
import trio

from engine.backoffice.chores import expire_all, run_chores
from engine.backoffice.office import Office
from engine.messages import Effect
from engine.recording.files import RecordingFiles
from engine.store.connect import SCHEMA
from engine.store.diary import Appointment
from engine.store.follow_ups import FollowUp
from engine.store.interface import CallEnd, Message
from engine.store.ledger import ClaimRequest, EffectKey
from engine.store.live_calls import KeptCall, LiveState
from engine.store.postgres_live_calls import PostgresLiveCalls
from engine.store.postgres_outbox import Outbox
from engine.store.sql import Connection
from engine.store.usage import UsageRecord
from engine.store.webhooks import Tried
from engine.tenants.tenant import Tenant
from tests.backoffice.conftest import Desk, key_of

CALLER, OTHER = "+15550100777", "+15550100888"
DIGITS = CALLER[1:]
NOON = "2026-11-03T12:00:00+00:00"


async def dump(office: Office) -> dict[str, list[str]]:
    """Every row of every table, as text."""

    async def unit(connection: Connection) -> dict[str, list[str]]:
        names = await connection.fetch("select tablename from pg_tables where schemaname = $1", SCHEMA)
        return {
            row["tablename"]: [
                one["text"] for one in await connection.fetch(f"select t::text as text from {row['tablename']} t")
            ]
            for row in names
        }

    return await office.database.as_owner(unit)


async def execute(office: Office, statement: str, *args: object) -> None:
    async def unit(connection: Connection) -> None:
        await connection.execute(statement, *args)

    await office.database.as_owner(unit)


def end(tenant: Tenant, call_sid: str, caller: str, said: str) -> CallEnd:
    document = {"caller": caller, "ended_at": NOON, "transcript": [{"role": "caller", "text": said}]}
    message = Message(tenant.id, call_sid, caller, b"\xff" * 80, NOON)
    return CallEnd(tenant.id, call_sid, "success", "caller_hung_up", document, (message,))


async def leave(office: Office, tenant: Tenant, call_sid: str, caller: str, said: str = "Hello.") -> Path:
    """All that a call can leave behind; where its recording lies."""
    await office.store.keep_call(end(tenant, call_sid, caller, said))
    task = FollowUp(tenant.id, call_sid, f"key-{call_sid}", "message", caller, said, NOON, {"back": caller})
    await office.store.keep_follow_up(task)
    await office.store.keep_usage(UsageRecord(tenant.id, call_sid, "minutes", 2.5, NOON, {}))
    live = KeptCall(tenant.id, call_sid, "w", 1, 0, LiveState.LIVE, caller=caller, snapshot=orjson.dumps(said).decode())
    await PostgresLiveCalls(office.database).keep_many([live])
    await execute(office, "update live_call set touched_at = now() - interval '10 minutes'")
    key = EffectKey(tenant.id, call_sid, "book", "d", "call")
    await office.ledger.claim(key, ClaimRequest("id", "a", Effect.WRITES, 60))
    await office.ledger.finish(key, "a", {"status": "ok", "message": f"We call {caller} back."})
    path = RecordingFiles(office.settings.data_dir).path(tenant.id, call_sid, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"sound")
    row = "insert into recording (tenant_id, call_sid, part, caller, started_at, duration_ms, bytes) values "
    await execute(office, row + "($1, $2, 0, $3, $4::text::timestamptz, 1, 5)", tenant.id, call_sid, caller, NOON)
    return path


async def book(office: Office, tenant: Tenant, reference: str, phone: str, hour: int) -> None:
    starts = datetime(2027, 1, 4, hour)  # noqa: DTZ001 - the business's own time
    await office.diary.book(Appointment(tenant.id, reference, starts, "Robin Lee", phone, f"for {phone}"))


async def test_a_caller_who_is_forgotten_is_in_no_table_and_no_file(
    office: Office, operator: Desk, dental: Tenant, plumbing: Tenant
) -> None:
    theirs = await leave(office, dental, "CA1", CALLER, f"I am at {CALLER}.")
    others = await leave(office, dental, "CA2", OTHER, f"My friend has {CALLER}, that is {DIGITS}.")
    elsewhere = await leave(office, plumbing, "CA1", CALLER)
    await book(office, dental, "r1", CALLER, 9)
    await book(office, dental, "r2", CALLER, 10)
    await book(office, dental, "r3", OTHER, 11)
    assert (await operator.ask("POST", f"/v1/tenants/{dental.id}/appointments/r2/cancel")).status_code == 200
    await office.audit.note(dental.id, who="key x", method="PUT", path=f"/v1/callers/{CALLER}", status=404)
    before = {name: [row for row in rows if dental.id in row] for name, rows in (await dump(office)).items()}
    holding = {name for name, rows in before.items() if any(DIGITS in row for row in rows)}
    assert {"call_end", "follow_up", "live_call", "recording", "tool_ledger", "audit_entry"} <= holding

    response = await operator.ask("DELETE", f"/v1/tenants/{dental.id}/callers/{CALLER}")
    assert response.status_code == 200
    told = await response.get_json()
    assert (told["calls"], told["tasks"], told["recordings"], told["on_line"], told["spooled"]) == (1, 1, 1, 0, 0)

    after = await dump(office)
    left = {name: [row for row in rows if dental.id in row and DIGITS in row] for name, rows in after.items()}
    assert {name: rows for name, rows in left.items() if rows} == {}
    assert not theirs.exists()
    assert others.exists()
    assert elsewhere.exists(), "another tenant's are another business's"
    assert any(plumbing.id in row and CALLER in row for row in after["call_end"])
    (kept,) = await office.store.calls(dental.id)
    assert kept.call_sid == "CA2"
    assert "My friend has +99999999999" in kept.document["transcript"][0]["text"]
    usage = await office.store.usage(dental.id)
    assert {record.call_sid: record.quantity for record in usage} == {"CA1": 2.5, "CA2": 2.5}
    (entry, *_) = await office.audit.page(dental.id, before=None, limit=1)
    assert (entry.method, entry.path, entry.status) == ("DELETE", f"/v1/tenants/{dental.id}/callers/*", 200)


async def book_in_call(office: Office, tenant: Tenant, call_sid: str, phone: str, words: str, hour: int) -> str:
    """As the tool does it: under the effect's id, which the ledger holds while the call lasts. The reference."""
    key = EffectKey(tenant.id, call_sid, "book", f"digest {hour}", "call")
    await office.ledger.claim(key, ClaimRequest(f"id {hour}", "a", Effect.WRITES, 60))
    starts = datetime(2027, 1, 5, hour)  # noqa: DTZ001 - the business's own time
    await office.diary.book(Appointment(tenant.id, key.effect_id, starts, words, phone, words))
    await office.ledger.finish(key, "a", {"status": "ok", "message": f"Booked for {words}."})
    return key.effect_id


async def end_and_wrap_up(office: Office, tenant: Tenant, call_sid: str, words: str) -> None:
    await office.store.keep_call(end(tenant, call_sid, CALLER, words))
    await office.ledger.forget_call(tenant.id, call_sid)


async def test_a_dump_of_the_database_has_neither_number_nor_words_of_who_was_forgotten(
    office: Office, operator: Desk, dental: Tenant
) -> None:
    words = "quokka"  # said by them alone
    webhook = {"url": "https://example.com/hook"}
    assert (await operator.ask("POST", f"/v1/tenants/{dental.id}/webhooks", json=webhook)).status_code == 201
    await office.store.keep_call(end(dental, "CA0", OTHER, "wombat"))
    await book_in_call(office, dental, "CA0", OTHER, "wombat", 8)
    # A call that ended, with an appointment under another number, one called off, and one in its own way of writing.
    await book_in_call(office, dental, "CA1", "+15550100555", words, 9)
    called_off = await book_in_call(office, dental, "CA1", "+15550100556", words, 10)
    assert (await operator.ask("POST", f"/v1/tenants/{dental.id}/appointments/{called_off}/cancel")).status_code == 200
    await end_and_wrap_up(office, dental, "CA1", words)
    for reference, phone, hour in (("r1", "555-010 0777", 11), ("r2", "001 555 0100777", 12)):
        starts = datetime(2027, 1, 5, hour)  # noqa: DTZ001 - the business's own time
        await office.diary.book(Appointment(dental.id, reference, starts, words, phone, words))
    # A call that a lost worker has left: without an end, with its snapshot, a message, a task and the ledger's answers.
    snapshot = orjson.dumps({"utterances": [words]}).decode()
    live = KeptCall(dental.id, "CA2", "w", 1, 0, LiveState.LOST, caller=CALLER, snapshot=snapshot)
    await PostgresLiveCalls(office.database).keep_many([live])
    await execute(office, "update live_call set touched_at = now() - interval '10 minutes'")
    await book_in_call(office, dental, "CA2", "+15550100557", words, 13)
    task = FollowUp(dental.id, "CA2", "a-task", "task", "", words, NOON, {"arguments": {"name": words}})
    await office.store.keep_follow_up(task)
    unfinished = EffectKey(dental.id, "CA2", "look", "d", "turn-1")
    await office.ledger.claim(unfinished, ClaimRequest("id 9", "b", Effect.READS, 60))
    await office.ledger.abandon(unfinished, "b", {"status": "refused", "message": words})

    def holding(found: dict[str, list[str]]) -> set[str]:
        return {name for name, rows in found.items() if any(words in row or DIGITS in row for row in rows)}

    assert holding(await dump(office)) == {
        *("appointment", "call_end", "cancelled_appointment", "follow_up", "live_call"),
        *("tool_call_id", "tool_ledger"),
    }
    response = await operator.ask("DELETE", f"/v1/tenants/{dental.id}/callers/{CALLER}")
    assert (await response.get_json())["appointments"] == 5
    after = await dump(office)
    assert holding(after) == set()
    assert after["delivery"], "what was to be told of it still waits"
    assert [row for row in after["appointment"] if "wombat" in row], "and others keep what is theirs"
    assert [row for row in after["tool_ledger"] if "wombat" in row]


async def test_what_waited_to_be_told_of_a_forgotten_caller_is_not_told(
    office: Office, operator: Desk, dental: Tenant
) -> None:
    webhook = {"url": "https://example.com/hook"}
    made = await (await operator.ask("POST", f"/v1/tenants/{dental.id}/webhooks", json=webhook)).get_json()
    await leave(office, dental, "CA1", CALLER, "quokka")
    await book(office, dental, "r1", CALLER, 9)
    await operator.ask("DELETE", f"/v1/tenants/{dental.id}/callers/{CALLER}")
    turns = []
    while turn := await Outbox(office.database).claim(dental.id, made["id"], most=20, lease_s=60):
        turns.append(turn)
        for event in turn.events:
            await Outbox(office.database).settle(dental.id, made["id"], event, Tried("gone"))
    told = [event for turn in turns for event in turn.events]
    assert {event.type for event in told} >= {"call.started", "call.ended", "message.taken", "appointment.booked"}
    assert [event.data for event in told] == [None] * len(told)


async def test_forgetting_twice_finds_nothing_the_second_time(office: Office, operator: Desk, dental: Tenant) -> None:
    await leave(office, dental, "CA1", CALLER)
    path = f"/v1/tenants/{dental.id}/callers/{CALLER}"
    first = await (await operator.ask("DELETE", path)).get_json()
    second = await (await operator.ask("DELETE", path)).get_json()
    assert first["calls"] == 1
    assert set(second.values()) == {0}


async def test_a_call_on_the_line_is_left_alone_and_told(office: Office, operator: Desk, dental: Tenant) -> None:
    live = KeptCall(dental.id, "CA9", "w", 1, 0, LiveState.LIVE, caller=CALLER, snapshot="{}")
    await PostgresLiveCalls(office.database).keep_many([live])
    told = await (await operator.ask("DELETE", f"/v1/tenants/{dental.id}/callers/{CALLER}")).get_json()
    assert told["on_line"] == 1
    assert len((await dump(office))["live_call"]) == 1


@pytest.mark.parametrize("scopes", [("read", "write", "calls")])
async def test_a_key_needs_the_scope_for_it_and_an_attempt_names_nobody(
    scopes: tuple[str, ...], app: Any, office: Office, dental: Tenant
) -> None:
    desk = Desk(app, await key_of(office, dental, *scopes))
    response = await desk.ask("DELETE", f"/v1/tenants/{dental.id}/callers/{CALLER}")
    assert response.status_code == 403
    assert not any(DIGITS in row for row in (await dump(office))["audit_entry"])


async def test_what_is_too_old_goes_and_nothing_else(office: Office, dental: Tenant) -> None:
    old, new = await leave(office, dental, "CA1", CALLER), await leave(office, dental, "CA2", OTHER)
    await book(office, dental, "r1", CALLER, 9)
    age = f"interval '{dental.retention_days} days 1 hour'"
    fresh = "now() - interval '1 hour'"
    for table, column in (
        ("call_end", "ended_at"),
        ("follow_up", "kept_at"),
        ("live_call", "touched_at"),
        ("tool_ledger", "kept_at"),
        ("tool_call_id", "kept_at"),
        ("recording", "started_at"),
    ):
        await execute(
            office, f"update {table} set {column} = case call_sid when 'CA1' then now() - {age} else {fresh} end"
        )
    await execute(office, "update tool_ledger set lease_until = kept_at")
    assert await expire_all(office)
    after = await dump(office)
    for table in ("call_end", "message", "follow_up", "live_call", "tool_ledger", "tool_call_id", "recording"):
        assert len(after[table]) == 1, table
        assert "CA2" in after[table][0], table
    assert not old.exists()
    assert new.exists()
    assert len(after["usage_record"]) == 2, "sums stay"
    assert len(after["appointment"]) == 1, "the diary is the business's"
    counted = office.watch.metrics.exposition().decode()
    assert 'frontdesk_expired_total{what="calls"} 1.0' in counted
    assert 'frontdesk_expired_total{what="recordings"} 1.0' in counted


async def test_more_than_one_transaction_s_worth_goes_too(office: Office, dental: Tenant) -> None:
    many = "insert into call_end (tenant_id, call_sid, outcome_class, outcome_reason, document, ended_at) "
    many += "select $1, 'CA' || n, 's', 'r', '{}', now() - interval '400 days' from generate_series(1, 1203) n"
    await execute(office, many, dental.id)
    assert await expire_all(office)
    assert (await dump(office))["call_end"] == []


async def test_one_tenant_that_cannot_be_cleaned_keeps_no_other_s(
    office: Office, dental: Tenant, plumbing: Tenant
) -> None:
    await leave(office, plumbing, "CA1", CALLER)
    await execute(office, "update call_end set ended_at = now() - interval '400 days'")
    document = (
        'update tenant set document = (document::jsonb || \'{"retention_days": "long"}\')::json where tenant_id = $1'
    )
    await execute(office, document, dental.id)
    assert await expire_all(office) is False
    assert (await dump(office))["call_end"] == []


async def test_the_back_office_says_how_webhooks_stand_and_when_it_cleaned_up(office: Office, dental: Tenant) -> None:
    await execute(
        office,
        "insert into webhook_endpoint (tenant_id, endpoint_id, url, secret) values ($1, 'e', 'https://h', 'x')",
        dental.id,
    )
    await leave(office, dental, "CA1", CALLER)
    await execute(office, "update outbox set at = now() - interval '100 seconds'")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_chores, office)
        with trio.fail_after(10):
            while office.watch.seen is None or office.watch.retention_ran_at is None:
                await trio.sleep(0.02)
        nursery.cancel_scope.cancel()
    state = office.watch.state()
    assert state is not None
    assert state.waiting > 0
    assert 100 <= state.oldest_s < 200
    assert state.retention_ran_at is not None
