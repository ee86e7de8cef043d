import numpy as np
import orjson
import pytest
import trio
from google.genai import types
from trio.testing import MockClock

from engine.sim.brain import GroundedBrain
from engine.sim.ear import PhraseEar
from engine.sim.gemini import SimGemini
from engine.sim.tones import ToneVoice, identify, tone_clip

from .gemini_client import (
    ANSWER,
    NOTES,
    QUESTION,
    TOOLS,
    answer,
    contents,
    dial,
    grounded,
    pcm_of,
    session,
    text_of,
    told,
)


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
    assert not sim.sessions[0].commits[0].notes_in_activity, "an instruction is no note"


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
