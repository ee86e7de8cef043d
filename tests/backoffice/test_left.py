"""What calls have left behind: calls, messages, callers, tasks, appointments."""

import io
import wave
from datetime import datetime, timedelta

from engine.audio import g711
from engine.backoffice.office import Office
from engine.store.diary import Appointment, Booked
from engine.store.follow_ups import FollowUp
from engine.store.interface import CallEnd, Message
from engine.tenants.tenant import Tenant
from tests.backoffice.conftest import Desk

ANN, BOB = "+15550101111", "+15550102222"
DAY = datetime.fromisoformat("2026-03-14T09:00:00+01:00")
SOUND = bytes(range(256)) * 40


async def end(office: Office, tenant: Tenant, index: int, caller: str, *, reason: str = "agent_ended") -> str:
    sid, at = f"CA{index:032x}", (DAY + timedelta(days=index)).isoformat()
    document = {
        "caller": caller,
        "ended_at": at,
        "duration_s": 61.5,
        "turns": 3,
        "outcome": {"detail": "said goodbye"},
        "transcript": [{"role": "caller", "text": "odd \x00 sign", "turn": 1, "cut": False}],
        "timeline": [{"at_s": 0.5, "what": "started"}],
    }
    outcome = "success" if reason == "agent_ended" else "server"
    messages = (Message(tenant.id, sid, caller, SOUND, at),) if index % 2 else ()
    await office.store.keep_call(CallEnd(tenant.id, sid, outcome, reason, document, messages))
    return sid


async def test_calls_are_found_newest_first_by_time_outcome_and_caller(
    operator: Desk, office: Office, dental: Tenant
) -> None:
    path = f"/v1/tenants/{dental.id}/calls"
    sids = [await end(office, dental, index, ANN if index < 3 else BOB) for index in range(4)]
    sids.append(await end(office, dental, 4, BOB, reason="crashed"))

    async def found(query: str) -> list[str]:
        return [call["call_sid"] for call in (await operator.get(f"{path}?{query}"))["items"]]

    assert await found("") == sids[::-1]
    assert await found(f"caller=%2B{ANN[1:]}") == sids[2::-1]
    assert await found("outcome=server") == await found("reason=crashed") == sids[4:]
    assert await found("since=2026-03-15T08:00:00Z&until=2026-03-17T08:00:00Z") == [sids[2], sids[1]]
    first = await operator.get(f"{path}?limit=3")
    await end(office, dental, 9, ANN)  # while somebody turns the page
    second = await operator.get(f"{path}?limit=3&cursor={first['next_cursor']}")
    assert [call["call_sid"] for call in second["items"]] == sids[1::-1]
    assert second["next_cursor"] is None
    call = first["items"][0]
    assert (call["ended_at"], call["duration_s"], call["turns"]) == ("2026-03-18T08:00:00Z", 61.5, 3)


async def test_one_call_is_told_in_full_with_its_message_to_listen_to(
    operator: Desk, office: Office, dental: Tenant
) -> None:
    sid = await end(office, dental, 1, ANN)
    call = await operator.get(f"/v1/tenants/{dental.id}/calls/{sid}")
    assert (call["detail"], call["transcript"][0]["text"]) == ("said goodbye", "odd \x00 sign")
    assert call["timeline"] == [{"at_s": 0.5, "what": "started"}]
    (message,) = call["messages"]
    assert (await operator.get(f"/v1/tenants/{dental.id}/messages"))["items"] == [message]
    response = await operator.ask("GET", message["audio"])
    assert response.content_type == "audio/wav"
    with wave.open(io.BytesIO(await response.get_data(as_text=False))) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (8000, 1, 2)
        assert sound.readframes(len(SOUND)) == g711.decode(SOUND).tobytes()
    assert (await operator.ask("GET", message["audio"], headers={"accept": "image/png"})).status_code == 406
    assert (await operator.ask("GET", message["audio"].replace("/1/", "/2/"))).status_code == 404


async def test_a_caller_is_all_that_they_left(operator: Desk, office: Office, dental: Tenant) -> None:
    sids = [await end(office, dental, index, ANN) for index in (1, 2)]
    await end(office, dental, 3, BOB)
    at = DAY.isoformat()
    await office.store.keep_follow_up(FollowUp(dental.id, sids[0], "t1", "task", ANN, "call back", at))
    await office.diary.book(Appointment(dental.id, "r1", datetime(2026, 4, 1, 9), "Ann", ANN))  # noqa: DTZ001
    path = f"/v1/tenants/{dental.id}/callers"
    assert [one["caller"] for one in (await operator.get(path))["items"]] == [BOB, ANN]
    ann = await operator.get(f"{path}/{ANN}")
    assert (ann["calls"], ann["first_at"]) == (2, "2026-03-15T08:00:00Z")
    assert [call["call_sid"] for call in ann["newest_calls"]] == sids[::-1]
    assert [one[0]["call_sid"] for one in (ann["newest_messages"], ann["newest_tasks"])] == [sids[0]] * 2
    assert ann["appointments"][0]["reference"] == "r1"
    assert (await operator.ask("GET", f"{path}/+15550103333")).status_code == 404


async def test_a_task_is_done_by_whoever_was_first(operator: Desk, office: Office, dental: Tenant) -> None:
    for index in range(3):
        item = FollowUp(dental.id, "CA1", f"t{index}", "message" if index else "task", ANN, "text", DAY.isoformat())
        await office.store.keep_follow_up(item)
    path = f"/v1/tenants/{dental.id}/tasks"
    done = await (await operator.ask("PATCH", f"{path}/t1", {"done": True})).get_json()
    again = await (await operator.ask("PATCH", f"{path}/t1", {"done": True})).get_json()
    assert done["done_by"] == "operator"
    assert again["done_at"] == done["done_at"]

    async def found(query: str) -> list[str]:
        return [task["key"] for task in (await operator.get(f"{path}?{query}"))["items"]]

    assert [await found(query) for query in ("done=false", "done=true", "kind=task")] == [["t2", "t0"], ["t1"], ["t0"]]
    undone = await (await operator.ask("PATCH", f"{path}/t1", {"done": False})).get_json()
    assert (undone["done"], undone["done_by"]) == (False, None)
    assert (await operator.ask("PATCH", f"{path}/t9", {"done": True})).status_code == 404


async def test_a_cancelled_appointment_frees_its_slot_and_stays_known(
    operator: Desk, office: Office, dental: Tenant
) -> None:
    path = f"/v1/tenants/{dental.id}/appointments"
    slots = [Appointment(dental.id, f"r{hour}", datetime(2026, 4, 1, hour), "Ann", ANN) for hour in (9, 10, 11)]  # noqa: DTZ001
    for slot in slots:
        await office.diary.book(slot)
    cancelled = await (await operator.ask("POST", f"{path}/r10/cancel")).get_json()
    assert (cancelled["starts"], cancelled["cancelled_by"]) == ("2026-04-01T10:00:00", "operator")
    assert (await (await operator.ask("POST", f"{path}/r10/cancel")).get_json()) == cancelled
    again = Appointment(dental.id, "r10b", slots[1].starts, "Bob", BOB)
    assert isinstance(await office.diary.book(again), Booked)

    async def found(query: str) -> list[str]:
        return [slot["reference"] for slot in (await operator.get(f"{path}?{query}"))["items"]]

    assert await found("") == ["r9", "r10", "r10b", "r11"]
    assert [await found("cancelled=true"), await found("cancelled=false&limit=2")] == [["r10"], ["r9", "r10b"]]
    assert [await found("until=2026-04-01"), await found("phone=%2B15550102222")] == [[], ["r10b"]]
    first = await operator.get(f"{path}?limit=2")
    assert await found(f"limit=3&cursor={first['next_cursor']}") == ["r10b", "r11"]
    assert (await operator.ask("GET", f"{path}?cursor=ff")).status_code == 422
    assert (await operator.ask("POST", f"{path}/r99/cancel")).status_code == 404
