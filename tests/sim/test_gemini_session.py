from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
import pytest
import trio
from google.genai import types
from numpy.typing import NDArray
from trio.testing import MockClock
from trio_websocket import ConnectionRejected

from engine.sim.brain import EchoBrain, GroundedBrain, HeardTurn, Reply, ToolWish
from engine.sim.ear import PhraseEar, ToneEar
from engine.sim.gemini import PATH, SimGemini
from engine.sim.tones import ToneVoice, identify, tone_clip

from .gemini_client import Client, contents, dial, pcm_of, session, text_of

NOTES = "[reference notes k1 begin]\n(1) source: hours.md\nWe open at nine.\n[reference notes k1 end]"
ANSWER = "We open at nine."
QUESTION = tone_clip(17, 1200, 16000)


def grounded(**more: Any) -> SimGemini:
    wishes: dict[str, ToolWish | Sequence[ToolWish]] = {
        "tone 99": ToolWish("book", {"day": "tomorrow"}),
        "tone 98": (ToolWish("a"), ToolWish("b")),
    }
    told: dict[str, Any] = {"ear": ToneEar(), "brain": GroundedBrain(wishes)}
    return SimGemini(**told | more)


TOOLS = [{"functionDeclarations": [{"name": name} for name in ("book", "a", "b")]}]


def told(sim: SimGemini, what: str) -> list[float]:
    return [moment.at for moment in sim.moments if moment.what == what]


async def answer(client: Client, call: dict[str, Any], message: str = "Done.", **more: Any) -> None:
    one = {"id": call["id"], "name": call["name"], "response": {"status": "ok", "message": message}, **more}
    await client.send({"toolResponse": {"functionResponses": [one]}})


# --- a turn --------------------------------------------------------------------------------------------------------


async def test_a_turn_is_heard_transcribed_and_answered_from_its_notes(autojump_clock: MockClock) -> None:
    sim = grounded()
    async with session(sim) as client:
        await client.turn(QUESTION, NOTES)
        got = await client.until("turnComplete")
    assert text_of(got, "inputTranscription") == " tone 17"
    assert text_of(got, "outputTranscription") == ANSWER
    assert identify(pcm_of(got), 24000) == ToneVoice.index_of(ANSWER)
    [commit] = sim.sessions[0].commits
    assert (commit.turn, commit.transcript, commit.audio_ms) == (1, "tone 17", 1200.0)
    assert commit.notes_in_activity
    assert commit.notes[0].text == NOTES
    assert sim.protocol_faults == []


async def test_every_message_is_one_that_the_official_types_take(autojump_clock: MockClock) -> None:
    sim = grounded()
    async with session(sim, tools=TOOLS) as client:
        await client.turn(tone_clip(99, 600, 16000))
        call = (await client.until("toolCall"))[-1]["toolCall"]["functionCalls"][0]
        await answer(client, call)
        await client.until("sessionResumptionUpdate")
        await client.turn(QUESTION, NOTES)
        await client.until("modelTurn")
        await client.realtime(activityStart={})
        await client.until("turnComplete")
        kinds = set()
        for raw in client.raw:
            message = orjson.loads(raw)
            kinds |= set(message) | set(message.get("serverContent", {}))
            if "voiceActivity" in message:
                # The official client renames this key before it validates.
                message["voiceActivity"] = {"voiceActivityType": message["voiceActivity"].pop("type")}
            types.LiveServerMessage.model_validate_json(orjson.dumps(message))
    assert kinds >= {"setupComplete", "toolCall", "sessionResumptionUpdate", "usageMetadata", "voiceActivity"}
    assert kinds >= {"modelTurn", "inputTranscription", "outputTranscription", "generationComplete", "interrupted"}


async def test_audio_comes_at_its_pace_and_the_turn_ends_with_its_playback(autojump_clock: MockClock) -> None:
    sim = grounded(pace=3.0, think_ms=250)
    async with session(sim) as client:
        await client.turn(QUESTION, NOTES)
        await client.until("sessionResumptionUpdate")
    played = len(ANSWER.split()) * ToneVoice().ms_per_word / 1000
    (commit,), (first,), (generated,), (complete,) = (
        told(sim, what) for what in ("commit", "first_audio", "generation_complete", "turn_complete")
    )
    assert first - commit == pytest.approx(0.25)
    assert generated - first == pytest.approx(played / 3, abs=0.02)
    assert complete - first == pytest.approx(played)
    assert sim.sessions[0].spoken[0].audio_ms == pytest.approx(played * 1000)


async def test_chunks_are_forty_milliseconds_and_usage_comes_with_the_end(autojump_clock: MockClock) -> None:
    sim = grounded()
    async with session(sim) as client:
        await client.turn(QUESTION, NOTES)
        got = await client.until("turnComplete")
    sizes = {len(pcm_of([one])) for one in got if "modelTurn" in one.get("serverContent", {})}
    assert sizes == {960}
    usage = got[-1]["usageMetadata"]
    assert usage["totalTokenCount"] == usage["promptTokenCount"] + usage["responseTokenCount"] > 0


async def test_real_phrases_have_interim_transcripts_while_the_caller_speaks(autojump_clock: MockClock) -> None:
    # Chords that change give a phrase a beginning that says less than the whole.
    phrase = np.concatenate([tone_clip(index, 400) for index in (5, 900, 77, 3000, 2222)])
    sim = SimGemini(ear=PhraseEar({"one two three four five": phrase}), brain=GroundedBrain())
    async with session(sim) as client:
        await client.realtime(activityStart={})
        for at in range(0, len(phrase), 800):
            await client.audio(phrase[at : at + 800], 8000)
            await trio.sleep(0.1)
        await client.realtime(activityEnd={})
        got = await client.until("turnComplete")
    interims = [one["text"] for one in contents(got, "interimInputTranscription")]
    assert len(interims) >= 3
    assert all("one two three four five".startswith(interim) for interim in interims)
    assert text_of(got, "inputTranscription") == " one two three four five"
    assert text_of(got, "outputTranscription") == "I'm sorry, I don't have that written down. Shall I take a message?"


async def test_nothing_is_transcribed_that_was_not_asked_for(autojump_clock: MockClock) -> None:
    async with dial(grounded()) as client:
        detection = {"automaticActivityDetection": {"disabled": True}}
        await client.send({"setup": {"model": "models/gemini-3.8-live", "realtimeInputConfig": detection}})
        await client.turn(QUESTION, NOTES)
        got = await client.until("turnComplete")
    assert not contents(got, "inputTranscription")
    assert not contents(got, "outputTranscription")
    assert not any("sessionResumptionUpdate" in one for one in got)


async def test_a_turn_of_text_alone_is_a_typed_turn(autojump_clock: MockClock) -> None:
    sim = grounded()
    async with session(sim) as client:
        await client.turn(None, 'Greet the caller with exactly these words: "Good day."')
        got = await client.until("turnComplete")
    assert text_of(got, "outputTranscription") == "Good day."
    assert sim.sessions[0].commits[0].transcript is None


async def test_audio_outside_an_activity_is_ignored_and_counted(autojump_clock: MockClock) -> None:
    sim = grounded()
    async with session(sim) as client:
        await client.audio(tone_clip(99, 300, 16000))
        await client.turn(QUESTION, NOTES)
        await client.until("turnComplete")
    assert sim.sessions[0].audio_outside == 3
    assert sim.sessions[0].commits[0].transcript == "tone 17"
    assert sim.protocol_faults == []


async def test_notes_that_come_after_the_commit_are_found_out(autojump_clock: MockClock) -> None:
    sim = grounded()
    async with session(sim) as client:
        await client.turn(QUESTION)
        await client.realtime(text=NOTES)
        got = await client.until("turnComplete")
        await client.turn(QUESTION)
        await client.until("turnComplete")
    assert "written down" in text_of(got, "outputTranscription")
    first, second = sim.sessions[0].commits
    assert first.notes == ()
    assert not second.notes_in_activity
    assert sim.sessions[0].text_outside == 1


async def test_notes_may_come_as_a_context_update(autojump_clock: MockClock) -> None:
    sim = grounded()
    async with session(sim) as client:
        await client.realtime(activityStart={})
        await client.audio(QUESTION)
        await client.send({"contextUpdate": {"systemInstruction": {"parts": [{"text": NOTES}]}}})
        await client.realtime(activityEnd={})
        assert text_of(await client.until("turnComplete"), "outputTranscription") == ANSWER
    assert sim.sessions[0].commits[0].notes[0].channel == "context_update"


async def test_notes_may_come_as_content_before_the_activity(autojump_clock: MockClock) -> None:
    sim = grounded()
    async with session(sim) as client:
        turn = {"role": "user", "parts": [{"text": NOTES}]}
        await client.send({"clientContent": {"turns": [turn], "turnComplete": False}})
        await client.turn(QUESTION)
        assert text_of(await client.until("turnComplete"), "outputTranscription") == ANSWER
    assert not sim.sessions[0].commits[0].notes_in_activity


# --- interruption ----------------------------------------------------------------------------------------------------


async def test_a_barge_in_stops_the_answer_and_ends_its_turn(autojump_clock: MockClock) -> None:
    sim = grounded(pace=1.0)
    async with session(sim) as client:
        await client.turn(QUESTION, NOTES)
        await client.until("modelTurn")
        await client.realtime(activityStart={})
        got = await client.until("turnComplete")
        assert "interrupted" in got[-2]["serverContent"]
        assert not contents(got, "generationComplete")
        await client.audio(QUESTION)
        await client.realtime(text=NOTES)
        await client.realtime(activityEnd={})
        assert text_of(await client.until("turnComplete"), "outputTranscription") == ANSWER
    first, second = sim.sessions[0].spoken
    assert first.interrupted
    assert not first.complete
    assert 0 < first.audio_ms < 400
    assert second.complete


async def test_only_what_was_sent_before_a_barge_in_stays_in_history(autojump_clock: MockClock) -> None:
    sim = grounded(pace=1.0)
    async with session(sim) as client:
        await client.turn(QUESTION, NOTES)
        await client.until("modelTurn")
        await client.realtime(activityStart={})
        await client.until("sessionResumptionUpdate")
    said = [one.text for one in sim.sessions[0].history if one.role == "model"]
    assert said == ["We"]


async def test_an_activity_does_not_interrupt_where_that_was_asked_for(autojump_clock: MockClock) -> None:
    sim = grounded(pace=1.0)
    config = {"automaticActivityDetection": {"disabled": True}, "activityHandling": "NO_INTERRUPTION"}
    async with session(sim, realtimeInputConfig=config) as client:
        await client.turn(QUESTION, NOTES)
        await client.until("modelTurn")
        await client.turn(QUESTION, NOTES)
        first = await client.until("turnComplete")
        second = await client.until("turnComplete")
    assert contents(first, "generationComplete")
    assert text_of(second, "outputTranscription") == ANSWER
    assert not contents(first + second, "interrupted")


async def test_a_barge_in_cancels_pending_tool_calls(autojump_clock: MockClock) -> None:
    sim = grounded()
    async with session(sim, tools=TOOLS) as client:
        await client.turn(tone_clip(99, 600, 16000))
        call = (await client.until("toolCall"))[-1]["toolCall"]["functionCalls"][0]
        await client.realtime(activityStart={})
        got = await client.until("turnComplete")
        assert [one["toolCallCancellation"]["ids"] for one in got if "toolCallCancellation" in one] == [[call["id"]]]
        await answer(client, call)
        await client.audio(QUESTION)
        await client.realtime(text=NOTES)
        await client.realtime(activityEnd={})
        assert text_of(await client.until("turnComplete"), "outputTranscription") == ANSWER
    assert sim.sessions[0].late_answers == 1
    assert sim.protocol_faults == []


# --- tools -----------------------------------------------------------------------------------------------------------


async def test_a_tool_is_called_and_its_result_is_spoken(autojump_clock: MockClock) -> None:
    sim = grounded()
    async with session(sim, tools=TOOLS) as client:
        await client.turn(tone_clip(99, 600, 16000))
        got = await client.until("toolCall")
        [call] = got[-1]["toolCall"]["functionCalls"]
        assert (call["name"], call["args"]) == ("book", {"day": "tomorrow"})
        assert not contents(got, "modelTurn")
        await trio.sleep(30)
        await answer(client, call, "You are booked.")
        got = await client.until("turnComplete")
    assert text_of(got, "outputTranscription") == "You are booked."
    assert [one.call_id for one in sim.sessions[0].tool_answers] == [call["id"]] == sim.sessions[0].tool_calls


async def test_several_calls_are_waited_for_together(autojump_clock: MockClock) -> None:
    async with session(grounded(), tools=TOOLS) as client:
        await client.turn(tone_clip(98, 600, 16000))
        first, second = (await client.until("toolCall"))[-1]["toolCall"]["functionCalls"]
        await answer(client, second, "Second.")
        await answer(client, first, "First.")
        assert text_of(await client.until("turnComplete"), "outputTranscription") == "Second. First."


async def test_a_silent_result_ends_the_turn_without_a_sound(autojump_clock: MockClock) -> None:
    async with session(grounded(), tools=TOOLS) as client:
        await client.turn(tone_clip(99, 600, 16000))
        call = (await client.until("toolCall"))[-1]["toolCall"]["functionCalls"][0]
        await answer(client, call, scheduling="SILENT")
        assert not contents(await client.until("turnComplete"), "modelTurn")


async def test_a_brain_that_never_stops_calling_is_stopped(autojump_clock: MockClock) -> None:
    class Greedy:
        def reply(self, turn: HeardTurn) -> Reply:
            return Reply("", (ToolWish("book"),))

    async with session(grounded(brain=Greedy()), tools=TOOLS) as client:
        await client.turn(QUESTION)
        for _ in range(5):
            await answer(client, (await client.until("toolCall"))[-1]["toolCall"]["functionCalls"][0])
        await client.until("turnComplete")


# --- sessions --------------------------------------------------------------------------------------------------------


async def handle_after_a_turn(sim: SimGemini) -> str:
    async with session(sim) as client:
        await client.turn(QUESTION, NOTES)
        update = (await client.until("sessionResumptionUpdate"))[-1]["sessionResumptionUpdate"]
    assert update["resumable"]
    return str(update["newHandle"])


async def test_a_handle_brings_the_history_back(autojump_clock: MockClock) -> None:
    sim = grounded()
    handle = await handle_after_a_turn(sim)
    async with session(sim, sessionResumption={"handle": handle}) as client:
        await client.turn(None, "Please answer the caller's last words now.")
        assert text_of(await client.until("turnComplete"), "outputTranscription") == ANSWER
    first, second = sim.sessions
    assert second.resumed
    assert second.session_id == first.session_id
    assert second.history[: len(first.history)] == first.history


async def test_resuming_a_session_that_is_still_connected_is_refused(autojump_clock: MockClock) -> None:
    sim = grounded()
    async with session(sim) as client:
        await client.turn(QUESTION, NOTES)
        update = (await client.until("sessionResumptionUpdate"))[-1]["sessionResumptionUpdate"]
        async with dial(sim) as second:
            setup = {"model": "models/gemini-3.8-live", "sessionResumption": {"handle": update["newHandle"]}}
            await second.send({"setup": setup})
            assert await second.closed_with() == 1011
    assert sim.protocol_faults[0].code == 1011


@pytest.mark.parametrize("age_s", [0.0, 7300.0])
async def test_a_handle_that_is_unknown_or_too_old_is_not_found(autojump_clock: MockClock, age_s: float) -> None:
    sim = grounded()
    handle = await handle_after_a_turn(sim) if age_s else "handle-of-somebody-else"
    await trio.sleep(age_s)
    async with dial(sim) as client:
        setup = {"model": "models/gemini-3.8-live", "sessionResumption": {"handle": handle}}
        await client.send({"setup": setup})
        assert await client.closed_with() == 1008
    assert sim.protocol_faults == [], "a client cannot know that"


async def test_history_is_seeded_without_an_answer(autojump_clock: MockClock) -> None:
    sim = grounded()
    turns = [{"role": role, "parts": [{"text": text}]} for role, text in (("user", NOTES), ("user", "When?"))]
    async with session(sim, historyConfig={"initialHistoryInClientContent": True}) as client:
        await client.send({"clientContent": {"turns": turns, "turnComplete": True}})
        with trio.move_on_after(10) as waited:
            await client.get()
        assert waited.cancelled_caught, "nothing is said to history"
        await client.turn(None, "Please answer the caller's last words now.")
        assert text_of(await client.until("turnComplete"), "outputTranscription") == ANSWER


async def test_content_without_seeding_is_answered(autojump_clock: MockClock) -> None:
    turn = {"role": "user", "parts": [{"text": 'Say: "Hello there."'}]}
    async with session(grounded()) as client:
        await client.send({"clientContent": {"turns": [turn], "turnComplete": True}})
        assert text_of(await client.until("turnComplete"), "outputTranscription") == "Hello there."


async def test_automatic_detection_finds_the_turn_by_itself(autojump_clock: MockClock) -> None:
    sim = grounded()
    silence: NDArray[np.int16] = np.zeros(16000, np.int16)
    async with session(sim, realtimeInputConfig={"automaticActivityDetection": {"silenceDurationMs": 400}}) as client:
        await client.audio(np.concatenate([silence, QUESTION, silence]))
        got = await client.until("turnComplete")
        assert text_of(got, "inputTranscription") == " tone 17"
        await client.audio(np.concatenate([silence, QUESTION]))
        await client.realtime(audioStreamEnd=True)
        assert text_of(await client.until("turnComplete"), "inputTranscription") == " tone 17"
        await client.realtime(text='Say: "Hello there."')
        assert text_of(await client.until("turnComplete"), "outputTranscription") == "Hello there."
    assert [commit.transcript for commit in sim.sessions[0].commits] == ["tone 17", "tone 17", None]
    assert 1500 <= sim.sessions[0].commits[0].audio_ms <= 2000


# --- the door --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/", [(b"x-goog-api-key", b"k")], 404),
        (PATH.replace("v1beta", "v2"), [(b"x-goog-api-key", b"k")], 404),
        (PATH, [], 403),
        (PATH, [(b"x-goog-api-key", b"")], 403),
        (PATH, [(b"x-goog-api-key", b"wrong")], 403),
    ],
)
async def test_a_wrong_path_or_key_gets_no_further_than_the_handshake(
    autojump_clock: MockClock, path: str, headers: Any, status: int
) -> None:
    sim = grounded(api_key="k")
    with pytest.RaisesGroup(ConnectionRejected, flatten_subgroups=True) as refused:
        async with dial(sim, path=path, headers=headers):
            pass
    rejected = refused.value.exceptions[0]
    assert isinstance(rejected, ConnectionRejected)
    assert rejected.status_code == status
    assert sim.sessions[0].closed_code == 1006


async def test_the_key_may_be_in_the_query(autojump_clock: MockClock) -> None:
    async with dial(grounded(api_key="k"), path=f"{PATH.replace('v1beta', 'v1')}?key=k", headers=[]) as client:
        await client.send({"setup": {"model": "models/gemini-3.8-live"}})
        assert "setupComplete" in await client.get()


@pytest.mark.parametrize(
    "message",
    [
        {"realtimeInput": {"mediaChunks": []}},
        {"realtimeInput": {"activityEnd": {}}},
        {"setup": {"model": "models/gemini-3.8-live"}},
        {"toolResponse": {"functionResponses": [{"id": "x", "name": "book", "response": {}}]}},
        {"realtimeInput": {"audioStreamEnd": True}},
    ],
)
async def test_a_client_that_breaks_the_rules_is_closed_and_recorded(autojump_clock: MockClock, message: Any) -> None:
    sim = grounded()
    async with session(sim) as client:
        await client.send(message)
        assert await client.closed_with() == 1007
    [fault] = sim.protocol_faults
    assert (fault.session, fault.code) == (1, 1007)
    assert sim.sessions[0].closed_code == 1007
    assert sim.sessions[0].closed_at is not None


async def test_nothing_but_setup_opens_a_session(autojump_clock: MockClock) -> None:
    sim = grounded()
    async with dial(sim) as client:
        await client.audio(QUESTION[:1600])
        assert await client.closed_with() == 1007
    assert "setup must be the first" in sim.protocol_faults[0].reason


async def test_the_same_seed_gives_the_same_identifiers(autojump_clock: MockClock) -> None:
    async def identifiers(seed: int) -> str:
        async with session(SimGemini(ear=ToneEar(), brain=EchoBrain(tone_clip(1, 200, 24000)), seed=seed)) as client:
            await client.turn(QUESTION)
            return str((await client.until("sessionResumptionUpdate"))[-1]["sessionResumptionUpdate"]["newHandle"])

    assert await identifiers(1) == await identifiers(1) != await identifiers(2)


async def test_a_canned_answer_is_sent_as_it_is(autojump_clock: MockClock) -> None:
    sound = tone_clip(321, 400, 24000)
    async with session(SimGemini(ear=ToneEar(), brain=EchoBrain(sound, "Hello."))) as client:
        for _ in range(2):
            await client.turn(QUESTION)
            got = await client.until("turnComplete")
            assert (pcm_of(got) == sound).all()
