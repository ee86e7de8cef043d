from typing import Any

import orjson
import pytest
import trio
from trio.testing import MockClock

from engine.sim.brain import HELLO, GroundedBrain, HeardTurn, Reply, ToolWish
from engine.sim.ear import ToneEar
from engine.sim.moods import DoubleToolCall, InvalidArguments, LosesToolResult, Rule, UnknownTool
from engine.sim.openai import SimOpenAI
from engine.sim.tones import ToneVoice

from .openai_client import (
    ANSWER,
    BOOK,
    BOOKING,
    NOTES,
    Client,
    grounded,
    mulaw_of,
    of,
    said_in,
    session,
)

PLAYED_MS = len(ANSWER.split()) * ToneVoice().ms_per_word


def calls_in(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [
        (event["item"]["call_id"], event["item"]["arguments"])
        for event in of(events, "response.output_item.done")
        if event["item"]["type"] == "function_call"
    ]


def answers_in(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    done = [event["item"] for event in of(events, "response.output_item.done")]
    return [item for item in done if item.get("role") == "assistant"]


# --- items -----------------------------------------------------------------------------------------------------------


async def test_an_item_takes_the_place_it_was_given(autojump_clock: MockClock) -> None:
    sim = grounded()
    async with session(sim) as client:
        content = [{"type": "input_text", "text": "x"}]
        for item_id, after in (("a", None), ("b", None), ("c", "a"), ("d", "root")):
            item = {"id": item_id, "type": "message", "role": "system", "content": content}
            await client.send("conversation.item.create", item=item, previous_item_id=after)
            await client.until("conversation.item.done")
        await client.respond()
        await client.done()
    assert [told.id for told in sim.sessions[0].responses[0].context] == ["d", "a", "c", "b"]
    assert [event["previous_item_id"] for event in of(client.got, "conversation.item.added")][:4] == [
        None,
        "a",
        "a",
        None,
    ]


@pytest.mark.parametrize(
    ("kind", "body", "code"),
    [
        ("conversation.item.retrieve", {"item_id": "nobody"}, "item_retrieve_invalid_item_id"),
        ("conversation.item.delete", {"item_id": "nobody"}, "item_delete_invalid_item_id"),
        (
            "conversation.item.truncate",
            {"item_id": "nobody", "content_index": 0, "audio_end_ms": 0},
            "item_truncate_invalid_item_id",
        ),
        (
            "conversation.item.create",
            {"item": {"type": "message", "role": "system", "content": []}, "previous_item_id": "nobody"},
            "item_create_invalid_previous_item_id",
        ),
        (
            "conversation.item.create",
            {"item": {"id": "taken", "type": "message", "role": "system", "content": []}},
            "item_create_duplicate_item_id",
        ),
        (
            "conversation.item.create",
            {"item": {"type": "function_call_output", "call_id": "nobodys", "output": ""}},
            "invalid_tool_call_id",
        ),
    ],
)
async def test_what_is_not_there_cannot_be_meant(
    autojump_clock: MockClock, kind: str, body: dict[str, Any], code: str
) -> None:
    sim = grounded()
    async with session(sim) as client:
        item = {"id": "taken", "type": "message", "role": "system", "content": []}
        await client.send("conversation.item.create", item=item)
        await client.send(kind, **body)
        assert (await client.error())["code"] == code
    assert [fault.code for fault in sim.protocol_faults] == [code]


async def test_a_deleted_note_is_told_no_more(autojump_clock: MockClock) -> None:
    sim = grounded()
    async with session(sim) as client:
        await client.turn()
        await client.done()
        [note] = [
            event["item"]["id"]
            for event in of(client.got, "conversation.item.done")
            if event["item"]["role"] == "system"
        ]
        await client.send("conversation.item.delete", item_id=note)
        assert (await client.until("conversation.item.deleted"))[-1]["item_id"] == note
        await client.turn(notes=None)
        await client.done()
    assert NOTES not in [told.text for told in sim.sessions[0].responses[1].context]
    assert sim.sessions[0].deleted == [note]


async def test_an_answer_is_cut_to_what_was_heard(autojump_clock: MockClock) -> None:
    sim = grounded()
    async with session(sim) as client:
        await client.turn()
        item_id = (await client.done())["output"][0]["id"]
        await client.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=500)
        assert (await client.until("conversation.item.truncated"))[-1]["audio_end_ms"] == 500
        await client.send("conversation.item.retrieve", item_id=item_id)
        item = (await client.until("conversation.item.retrieved"))[-1]["item"]
        assert item["content"][0]["transcript"] is None, "what is written of it is gone"
        await client.turn()
        await client.done()
    assert sim.sessions[0].truncated == {item_id: 500}
    [kept] = [told.text for told in sim.sessions[0].responses[1].context if told.kind == "assistant"]
    assert kept == "We open", "two words of four in 500 of 1120 ms"


async def test_more_cannot_have_been_heard_than_was_sent(autojump_clock: MockClock) -> None:
    sim = grounded(pace=1.0)
    async with session(sim) as client:
        await client.turn()
        for _ in range(5):
            await client.until("response.output_audio.delta")
        await client.send("response.cancel")
        item_id = (await client.done())["output"][0]["id"]
        heard = len(mulaw_of(client.got)) // 8
        for ms in (heard + 1, heard):
            await client.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=ms)
        error = await client.error()
        await client.until("conversation.item.truncated")
    assert (error["code"], error["param"]) == ("invalid_value", "audio_end_ms")
    assert error["message"] == f"Audio content of {heard}ms is already shorter than {heard + 1}ms"
    assert len(sim.protocol_faults) == 1


async def test_only_sound_of_the_model_can_be_truncated(autojump_clock: MockClock) -> None:
    async with session(grounded()) as client:
        item_id = await client.say()
        await client.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=0)
        assert (await client.error())["code"] == "invalid_value"


# --- responses -------------------------------------------------------------------------------------------------------


async def test_there_is_one_response_at_a_time(autojump_clock: MockClock) -> None:
    sim = grounded(pace=1.0)
    async with session(sim) as client:
        await client.turn()
        await client.send("response.create", event_id="second")
        error = await client.error()
        assert (await client.done())["status"] == "completed"
    assert (error["code"], error["event_id"]) == ("conversation_already_has_active_response", "second")
    assert len(sim.sessions[0].responses) == len(sim.protocol_faults) == 1


async def test_a_response_can_be_cancelled_and_only_once(autojump_clock: MockClock) -> None:
    sim = grounded(pace=1.0)
    async with session(sim) as client:
        await client.turn()
        await client.until("response.output_audio.delta")
        await client.send("response.cancel")
        done = await client.done()
        await client.send("response.cancel", event_id="late")
        error = await client.error()
        heard = len(mulaw_of(client.got))
        with trio.move_on_after(10):
            await client.get()
        assert len(mulaw_of(client.got)) == heard, "nothing of it comes after its end"
    assert done["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    assert (error["code"], error["event_id"]) == ("response_cancel_not_active", "late")
    assert sim.protocol_faults == [], "that is a race which nobody can avoid"


async def test_a_response_may_begin_as_soon_as_the_one_before_is_over(autojump_clock: MockClock) -> None:
    sim = grounded()
    async with session(sim) as client:
        for _ in range(3):
            await client.turn()
            await client.done()
            await client.note('Say "More."')
            await client.respond()
            await client.done()
    assert [asked.status for asked in sim.sessions[0].responses] == ["completed"] * 6
    assert sim.protocol_faults == []


# --- tools -----------------------------------------------------------------------------------------------------------


async def booked(client: Client) -> dict[str, Any]:
    """The caller wants something done: the response that calls for it."""
    await client.turn(BOOKING, notes=None)
    return await client.done()


async def test_a_tool_is_called_and_its_result_spoken(autojump_clock: MockClock) -> None:
    sim = grounded()
    async with session(sim) as client:
        done = await booked(client)
        [(call_id, arguments)] = calls_in(client.got)
        deltas = of(client.got, "response.function_call_arguments.delta")
        assert "".join(event["delta"] for event in deltas) == arguments == '{"day":"tomorrow"}'
        assert of(client.got, "response.function_call_arguments.done")[0]["name"] == "book"
        assert (done["status"], done["output"][0]["type"]) == ("completed", "function_call")
        with trio.move_on_after(30):
            await client.until("response.created")
        await client.result(call_id, "You are booked.")
        await client.respond()
        await client.done()
        assert said_in(client.got) == "You are booked."
        record = sim.sessions[0]
        assert len(record.commits) == 1, "one turn of the caller's, two responses"
        await client.respond()
        await client.done()
    assert [asked.goes_on for asked in record.responses] == [False, True, False]
    assert [asked.turn for asked in record.responses] == [1, 1, 2], "a result is gone on with once"
    assert record.tool_answers[0].response == {"status": "ok", "message": "You are booked."}
    assert [spoken.text for spoken in record.spoken] == ["You are booked.", HELLO]
    assert all(spoken.complete for spoken in record.spoken)


async def test_a_result_is_wanted_once(autojump_clock: MockClock) -> None:
    sim = grounded()
    async with session(sim) as client:
        await booked(client)
        [(call_id, _)] = calls_in(client.got)
        await client.result(call_id)
        await client.result(call_id)
        assert (await client.error())["code"] == "invalid_tool_call_id"
    assert len(sim.protocol_faults) == 1


async def test_several_tools_are_called_in_one_response(autojump_clock: MockClock) -> None:
    brain = GroundedBrain({"tone 99": (ToolWish("a"), ToolWish("b"))})
    sim = SimOpenAI(ear=ToneEar(), brain=brain)
    async with session(sim, tools=[{**BOOK, "name": name} for name in "ab"]) as client:
        done = await booked(client)
        for call_id, _ in calls_in(client.got):
            await client.result(call_id, call_id[-2:])
        await client.respond()
        await client.done()
    assert [item["name"] for item in done["output"]] == ["a", "b"]
    assert said_in(client.got) == " ".join(call_id[-2:] for call_id, _ in calls_in(client.got))


async def test_arguments_may_be_broken_off(autojump_clock: MockClock) -> None:
    brain = GroundedBrain({"tone 99": ToolWish("book", {"reason": "cleaning " * 20})})
    async with session(SimOpenAI(ear=ToneEar(), brain=brain)) as client:
        await client.turn(BOOKING, notes=None)
        await client.until("response.function_call_arguments.delta")
        await client.send("response.cancel")
        done = await client.done()
    [told] = of(client.got, "response.function_call_arguments.done")
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(told["arguments"])
    assert (done["status"], done["output"][0]["status"]) == ("cancelled", "incomplete")


async def test_a_tool_can_be_demanded_and_forbidden(autojump_clock: MockClock) -> None:
    sim = grounded()
    async with session(sim) as client:
        await client.say()
        await client.respond(tool_choice={"type": "function", "name": "book"})
        assert (await client.done())["output"][0]["name"] == "book"
        await client.say(BOOKING)
        await client.respond(tool_choice="none")
        assert (await client.done())["output"][0]["type"] == "message"
        await client.respond(tools=[], tool_choice="required")
        assert (await client.error())["param"] == "response.tool_choice"


@pytest.mark.parametrize("how", ["same_id", "new_id", "part"])
async def test_a_call_comes_twice(autojump_clock: MockClock, how: Any) -> None:
    sim = grounded(DoubleToolCall(how))
    async with session(sim) as client:
        done = await booked(client)
        ids = [call_id for call_id, _ in calls_in(client.got)]
        assert len(ids) == 2
        assert len(set(ids)) == (2 if how == "new_id" else 1)
        assert len(done["output"]) == (1 if how == "part" else 2)
        for call_id in set(ids):
            await client.result(call_id, "Booked.")
        await client.respond()
        await client.done()
    assert said_in(client.got) == "Booked." if how != "new_id" else "Booked. Booked."
    assert sim.protocol_faults == []


async def test_a_call_comes_again_long_after_its_response(autojump_clock: MockClock) -> None:
    sim = grounded(DoubleToolCall("same_id", after_s=1.0))
    async with session(sim) as client:
        await booked(client)
        [(call_id, arguments)] = calls_in(client.got)
        await client.until("response.output_item.done")
    assert calls_in(client.got) == [(call_id, arguments)] * 2


async def test_a_result_may_be_lost(autojump_clock: MockClock) -> None:
    sim = grounded(LosesToolResult())
    async with session(sim) as client:
        await booked(client)
        [(call_id, _)] = calls_in(client.got)
        await client.result(call_id)
        await client.respond()
        before = len(client.got)
        with trio.move_on_after(60):
            await client.until("response.created")
        assert [event["type"] for event in client.got[before:] if "transcription" not in event["type"]] == []
        await client.result(call_id, "At last.")
        await client.respond()
        await client.done()
    assert said_in(client.got) == "At last."
    assert sim.protocol_faults == []


@pytest.mark.parametrize("mood", [UnknownTool(), InvalidArguments()])
async def test_a_wrong_call_is_made_right_after_its_answer(autojump_clock: MockClock, mood: Any) -> None:
    sim, arguments = grounded(mood), ""
    async with session(sim) as client:
        for message in ("No such thing.", "You are booked."):
            await client.turn(BOOKING, notes=None) if not client.got[-1]["type"].startswith("response") else None
            await client.done()
            call_id, arguments = calls_in(client.got)[-1]
            await client.result(call_id, message)
            await client.respond()
        await client.done()
    assert arguments == '{"day":"tomorrow"}'
    assert said_in(client.got) == "You are booked."
    assert len(sim.sessions[0].tool_answers) == 2
    assert sim.sessions[0].late_answers == 0


class Announcing:
    """Says what it is about to do."""

    def reply(self, turn: HeardTurn) -> Reply:
        return Reply("Booked.") if turn.results else Reply("One moment.", (ToolWish("book"),))


async def test_what_was_said_before_a_wrong_call_is_not_said_again(autojump_clock: MockClock) -> None:
    sim = SimOpenAI(ear=ToneEar(), brain=Announcing(), rules=[Rule(InvalidArguments())])
    async with session(sim) as client:
        done = await booked(client)
        assert [item["type"] for item in done["output"]] == ["message", "function_call"]
        for _ in range(2):
            await client.result(calls_in(client.got)[-1][0])
            await client.respond()
            await client.done()
    assert sim.sessions[0].spoken[0].text == "One moment. Booked."
