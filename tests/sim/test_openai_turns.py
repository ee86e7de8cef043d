import base64

import numpy as np
import pytest
import trio
from trio.testing import MockClock

from engine.audio import g711
from engine.sim.brain import GroundedBrain
from engine.sim.ear import PhraseEar
from engine.sim.openai import SimOpenAI
from engine.sim.tones import ToneVoice, identify, tone_clip

from .openai_client import (
    ANSWER,
    NOTES,
    QUESTION,
    SILENCE,
    VAD,
    dial,
    grounded,
    moment,
    mulaw_of,
    of,
    said_in,
    session,
)


async def test_a_turn_is_heard_and_answered_from_its_notes(autojump_clock: MockClock) -> None:
    sim = grounded()
    async with session(sim) as client:
        await client.turn()
        done = await client.done()
    assert said_in(client.got) == ANSWER
    assert identify(g711.decode(mulaw_of(client.got)), 8000) == ToneVoice.index_of(ANSWER)
    assert (done["status"], done["status_details"]) == ("completed", None)
    [commit] = sim.sessions[0].commits
    assert (commit.turn, commit.transcript) == (1, "tone 17")
    assert commit.notes_in_activity
    assert commit.notes[0].text == NOTES
    assert sim.sessions[0].spoken[0].complete
    assert sim.protocol_faults == []


async def test_audio_comes_at_its_pace_and_the_transcript_ahead_of_it(autojump_clock: MockClock) -> None:
    sim = grounded(pace=3.0, think_ms=250)
    async with session(sim) as client:
        await client.turn()
        done = await client.done()
    played = len(ANSWER.split()) * ToneVoice().ms_per_word / 1000
    commit, first, over = (moment(sim, what) for what in ("commit", "first_audio", "turn_complete"))
    assert first - commit == pytest.approx(0.25)
    assert over - first == pytest.approx(played / 3, abs=0.02)
    assert len(mulaw_of(client.got)) == played * 8000
    assert sim.sessions[0].spoken[0].audio_ms == pytest.approx(played * 1000)
    kinds = [event["type"] for event in client.got]
    last_word = max(at for at, kind in enumerate(kinds) if kind == "response.output_audio_transcript.delta")
    assert kinds[last_word:].count("response.output_audio.delta") > 15, "all is written while most is still to sound"
    assert done["usage"]["output_token_details"]["audio_tokens"] == round(played * 1000 / 50)


async def test_events_of_an_answer_come_in_their_order(autojump_clock: MockClock) -> None:
    async with session(grounded()) as client:
        item_id = await client.say()
        await client.respond(metadata={"turn": "7"})
        await client.done()
    kinds = [event["type"] for event in client.got]
    assert kinds[3:8] == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
    ]
    answer = kinds[kinds.index("response.created") :]
    assert answer[:5] == [
        "response.created",
        "rate_limits.updated",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
    ]
    assert answer[-7:] == [
        "response.output_audio.delta",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    [added] = [event for event in of(client.got, "conversation.item.added") if event["item"]["role"] == "assistant"]
    assert added["previous_item_id"] == item_id
    assert added["item"]["content"] == []
    for kind in ("response.created", "response.done"):
        assert of(client.got, kind)[0]["response"]["metadata"] == {"turn": "7"}


async def test_the_offsets_of_speech_count_padding_and_silence(autojump_clock: MockClock) -> None:
    async with session(grounded()) as client:
        detection = {"type": "server_vad", "prefix_padding_ms": 200, "silence_duration_ms": 240}
        await client.update(audio={"input": {"turn_detection": {**detection, "create_response": False}}})
        await client.audio(np.zeros(8000, np.int16))
        await client.audio(tone_clip(17, 600))
        await client.audio(SILENCE)
        await client.until("input_audio_buffer.committed")
        await client.audio(tone_clip(18, 400))
        await client.audio(SILENCE)
        await client.until("input_audio_buffer.committed")
    starts = [event["audio_start_ms"] for event in of(client.got, "input_audio_buffer.speech_started")]
    ends = [event["audio_end_ms"] for event in of(client.got, "input_audio_buffer.speech_stopped")]
    assert (starts[0], ends[0]) == (800, 1840)
    # What followed the first commit is 160 ms of silence: less than the padding, so all of it.
    assert (starts[1], ends[1]) == (1840, 2640)


async def test_a_higher_threshold_needs_a_louder_voice(autojump_clock: MockClock) -> None:
    quiet = (tone_clip(17, 600) // 13).astype(np.int16)
    async with session(grounded()) as client:
        for threshold, heard in ((1.0, 0), (0.5, 1)):
            await client.update(audio={"input": {"turn_detection": {"type": "server_vad", "threshold": threshold}}})
            await client.audio(quiet)
            await client.audio(np.concatenate((SILENCE, SILENCE)))
            with trio.move_on_after(5):
                await client.until("response.done")
            assert len(of(client.got, "input_audio_buffer.speech_started")) == heard


async def test_what_was_said_is_written_down_later_and_in_pieces(autojump_clock: MockClock) -> None:
    sim = grounded(transcribe_ms=700)
    async with session(sim) as client:
        item_id = await client.say()
        said_at = trio.current_time()
        got = await client.until("conversation.item.input_audio_transcription.completed")
        assert trio.current_time() - said_at == pytest.approx(0.7)
    deltas = of(got, "conversation.item.input_audio_transcription.delta")
    assert [event["delta"] for event in deltas] == ["tone", " 17"]
    assert (got[-1]["item_id"], got[-1]["transcript"]) == (item_id, "tone 17")


async def test_nothing_is_written_down_that_was_not_asked_for(autojump_clock: MockClock) -> None:
    async with session(grounded()) as client:
        await client.update(audio={"input": {"transcription": None}})
        await client.turn()
        await client.done()
        with trio.move_on_after(10):
            await client.get()
    assert not any("transcription" in event["type"] for event in client.got)


async def test_nothing_is_answered_before_the_client_asks(autojump_clock: MockClock) -> None:
    sim = grounded()
    async with session(sim) as client:
        await client.say()
        with trio.move_on_after(60):
            await client.until("response.created")
        assert not of(client.got, "response.created")
    assert sim.sessions[0].responses == []


async def test_every_response_says_what_the_model_was_told_before(autojump_clock: MockClock) -> None:
    sim = grounded()
    async with session(sim) as client:
        for tone in (17, 18):
            await client.turn(tone_clip(tone, 600))
            await client.done()
        await client.say(tone_clip(19, 600))
        await client.respond()
        await client.done()
    first, second, third = sim.sessions[0].responses
    assert (first.fresh("caller"), first.fresh("system")) == (["tone 17"], [NOTES])
    assert (second.fresh("caller"), second.fresh("system")) == (["tone 18"], [NOTES])
    assert third.fresh("system") == [], "this one was asked for without having looked"
    assert [told.kind for told in second.context] == ["caller", "system", "assistant", "caller", "system"]
    assert {asked.by for asked in (first, second, third)} == {"client"}


async def test_the_service_answers_by_itself_where_it_may(autojump_clock: MockClock) -> None:
    sim = grounded()
    async with session(sim) as client:
        await client.update(audio={"input": {"turn_detection": {"type": "server_vad"}}})
        await client.audio(QUESTION)
        await client.audio(np.concatenate((SILENCE, SILENCE)))
        await client.done()
    [asked] = sim.sessions[0].responses
    assert (asked.by, asked.fresh("system")) == ("server", [])


@pytest.mark.parametrize("interrupts", [True, False])
async def test_speech_interrupts_where_it_may(autojump_clock: MockClock, interrupts: bool) -> None:
    sim = grounded(pace=1.0)
    async with session(sim) as client:
        detection = {"type": "server_vad", "create_response": False, "interrupt_response": interrupts}
        await client.update(audio={"input": {"turn_detection": {**detection, "silence_duration_ms": 300}}})
        await client.turn()
        await client.until("response.output_audio.delta")
        await client.audio(QUESTION)
        done = await client.done()
    assert done["status"] == ("cancelled" if interrupts else "completed")
    assert sim.sessions[0].spoken[0].interrupted == interrupts
    if interrupts:
        assert done["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
        assert done["output"][0]["status"] == "incomplete"


async def test_without_detection_the_client_commits(autojump_clock: MockClock) -> None:
    sim = grounded()
    async with session(sim) as client:
        await client.update(audio={"input": {"turn_detection": None}})
        await client.audio(tone_clip(99, 400))
        await client.send("input_audio_buffer.clear")
        await client.until("input_audio_buffer.cleared")
        await client.audio(QUESTION)
        await client.send("input_audio_buffer.commit")
        await client.until("input_audio_buffer.committed")
        await client.note()
        await client.respond()
        await client.done()
    assert not of(client.got, "input_audio_buffer.speech_started")
    [commit] = sim.sessions[0].commits
    assert (commit.transcript, commit.audio_ms) == ("tone 17", 600.0)
    assert said_in(client.got) == ANSWER


@pytest.mark.parametrize("detected", [True, False])
async def test_an_empty_buffer_cannot_be_committed(autojump_clock: MockClock, detected: bool) -> None:
    sim = grounded()
    async with session(sim) as client:
        if not detected:
            await client.update(audio={"input": {"turn_detection": None}})
        await client.audio(QUESTION[:640])
        await client.send("input_audio_buffer.commit", event_id="mine")
        error = await client.error()
    assert (error["code"], error["event_id"]) == ("input_audio_buffer_commit_empty", "mine")
    assert "80.00ms" in error["message"]
    assert len(sim.protocol_faults) == (not detected), "with detection on it is a race"


async def test_a_commit_in_the_middle_of_speech_makes_the_item_that_was_announced(autojump_clock: MockClock) -> None:
    async with session(grounded()) as client:
        await client.audio(QUESTION)
        await client.send("input_audio_buffer.commit")
        got = await client.until("input_audio_buffer.committed")
        await client.audio(SILENCE)
        with trio.move_on_after(5):
            await client.until("input_audio_buffer.speech_stopped")
        assert not of(client.got, "input_audio_buffer.speech_stopped")
    [started] = of(got, "input_audio_buffer.speech_started")
    assert started["item_id"] == got[-1]["item_id"]


async def test_detection_can_be_turned_off_in_the_middle_of_speech(autojump_clock: MockClock) -> None:
    sim = grounded()
    async with session(sim) as client:
        await client.audio(QUESTION)
        await client.until("input_audio_buffer.speech_started")
        await client.update(audio={"input": {"turn_detection": None}})
        await client.audio(SILENCE)
        await client.send("input_audio_buffer.commit")
        await client.until("input_audio_buffer.committed")
        for detection in (VAD, None, VAD):
            await client.update(audio={"input": {"turn_detection": detection}})
            await client.audio(QUESTION)
        assert len(of(client.got, "input_audio_buffer.speech_started")) == 2
        await client.until("input_audio_buffer.speech_started")
        await client.respond()
        await client.done()
    assert sim.sessions[0].commits[0].transcript == "tone 17"


async def test_notes_that_come_after_the_request_are_found_out(autojump_clock: MockClock) -> None:
    sim = grounded()
    async with session(sim) as client:
        await client.turn(notes=None)
        await client.note()
        await client.done()
        await client.turn(notes=None)
        await client.done()
    assert "written down" in said_in(client.got)
    first, second = sim.sessions[0].commits
    assert first.notes == ()
    assert not second.notes_in_activity


async def test_a_sentence_with_a_pause_is_understood_as_one(autojump_clock: MockClock) -> None:
    first, second = (np.concatenate([tone_clip(at, 400) for at in part]) for part in ((5, 900, 77), (3000, 2222, 8)))
    pause = np.zeros(8 * 350, np.int16)
    ear = PhraseEar({"one two three four five six": np.concatenate((first, pause, second))})
    sim = SimOpenAI(ear=ear, brain=GroundedBrain())
    async with session(sim) as client:
        await client.audio(np.concatenate((first, pause)))
        await client.say(second)
        await client.respond()
        await client.done()
    [commit] = sim.sessions[0].commits
    assert commit.transcript == "one two three four five six"
    assert [told.kind for told in sim.sessions[0].responses[0].context] == ["caller", "caller"]


async def test_an_instruction_alone_is_carried_out(autojump_clock: MockClock) -> None:
    sim = grounded()
    async with session(sim) as client:
        await client.note('Greet the caller with exactly these words: "Good day."')
        await client.respond()
        await client.done()
        await client.respond(instructions='Say exactly: "Are you there?"')
        await client.done()
    assert [spoken.text for spoken in sim.sessions[0].spoken] == ["Good day.", "Are you there?"]
    assert [commit.transcript for commit in sim.sessions[0].commits] == [None, None]
    assert [commit.notes[0].channel for commit in sim.sessions[0].commits] == ["item", "instructions"]
    assert not any(commit.notes_in_activity for commit in sim.sessions[0].commits), "an instruction is no note"


async def test_a_seeded_history_is_known_to_the_answer(autojump_clock: MockClock) -> None:
    sim = grounded()
    async with session(sim) as client:
        await client.note()
        for role, kind, text in (("assistant", "output_text", "Hello."), ("user", "input_text", "When do you open?")):
            item = {"id": f"seed_{role}", "type": "message", "role": role, "content": [{"type": kind, "text": text}]}
            await client.send("conversation.item.create", item=item)
        await client.note(NOTES)
        await client.note("Please answer the caller's last words now.")
        await client.respond()
        await client.done()
    assert sim.sessions[0].commits[0].transcript is None
    assert [said.text for said in sim.sessions[0].history if said.role == "model"] == [
        "Hello.",
        sim.sessions[0].spoken[0].text,
    ]


async def test_sound_in_an_item_is_listened_to(autojump_clock: MockClock) -> None:
    sim = grounded()
    async with session(sim) as client:
        content = [{"type": "input_audio", "audio": base64.b64encode(g711.encode(QUESTION)).decode()}]
        await client.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})
        await client.note()
        await client.respond()
        await client.done()
    [commit] = sim.sessions[0].commits
    assert (commit.transcript, commit.audio_ms, commit.notes_in_activity) == ("tone 17", 600.0, True)


async def test_an_instruction_goes_before_what_a_history_ends_with(autojump_clock: MockClock) -> None:
    sim = grounded()
    async with session(sim) as client:
        content = [{"type": "input_text", "text": "Book it, tone 99."}]
        await client.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})
        await client.note('Say exactly: "Sorry, we were cut off."')
        await client.respond()
        await client.done()
    assert sim.sessions[0].spoken[0].text == "Sorry, we were cut off."


async def test_written_words_are_answered_like_spoken_ones(autojump_clock: MockClock) -> None:
    sim = SimOpenAI(ear=grounded().ear, brain=GroundedBrain(answers={"thank you": "You're welcome."}))
    async with session(sim) as client:
        content = [{"type": "input_text", "text": "Thank you!"}]
        await client.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})
        await client.respond()
        await client.done()
    assert said_in(client.got) == "You're welcome."


async def test_an_answer_may_be_in_writing(autojump_clock: MockClock) -> None:
    sim = grounded()
    async with session(sim, output_modalities=["text"]) as client:
        await client.turn()
        done = await client.done()
    assert "".join(event["delta"] for event in of(client.got, "response.output_text.delta")) == ANSWER
    assert of(client.got, "response.output_text.done")[0]["text"] == ANSWER
    assert mulaw_of(client.got) == b""
    assert done["output"][0]["content"] == [{"type": "output_text", "text": ANSWER}]
    assert (sim.sessions[0].spoken[0].text, sim.sessions[0].spoken[0].audio_ms) == (ANSWER, 0.0)


async def test_one_response_may_be_in_another_way_than_the_session(autojump_clock: MockClock) -> None:
    async with session(grounded(), output_modalities=["text"]) as client:
        await client.say()
        await client.note()
        await client.respond(output_modalities=["audio"])
        await client.done()
    assert said_in(client.got) == ANSWER


async def test_a_response_aside_leaves_no_trace(autojump_clock: MockClock) -> None:
    sim = grounded(pace=1.0)
    async with session(sim) as client:
        await client.turn()
        await client.until("response.output_audio.delta")
        content = [{"type": "input_text", "text": 'Say "Aside."'}]
        asked = {"type": "message", "role": "system", "content": content}
        await client.respond(conversation="none", input=[asked], output_modalities=["text"], metadata={"aside": "1"})
        done = await client.done()
        assert (done["conversation_id"], done["metadata"]) == (None, {"aside": "1"})
        assert done["output"][0]["content"][0]["text"] == "Aside."
        assert (await client.done())["status"] == "completed"
    assert len(sim.sessions[0].commits) == 1
    added = [event["item"]["role"] for event in of(client.got, "conversation.item.added")]
    assert added == ["user", "system", "assistant"]


async def test_an_answer_ends_with_its_tokens(autojump_clock: MockClock) -> None:
    async with session(grounded()) as client:
        await client.say()
        await client.note()
        await client.respond(max_output_tokens=10)
        done = await client.done()
    assert done["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}
    assert 0 < len(mulaw_of(client.got)) < len(ANSWER.split()) * 280 * 8 / 2


async def test_sound_may_be_wide_band_both_ways(autojump_clock: MockClock) -> None:
    sim = grounded()
    async with dial(sim) as client:
        await client.until("conversation.created")
        pcm = np.concatenate((tone_clip(17, 600, 24000), np.zeros(24000, np.int16)))
        for at in range(0, len(pcm), 2400):
            sound = base64.b64encode(pcm[at : at + 2400].astype("<i2").tobytes()).decode()
            await client.send("input_audio_buffer.append", audio=sound)
        await client.done()
    heard = np.frombuffer(mulaw_of(client.got), "<i2")
    assert sim.sessions[0].commits[0].transcript == "tone 17"
    assert identify(heard, 24000) == ToneVoice.index_of(sim.sessions[0].spoken[0].text)


async def test_the_same_seed_gives_the_same_session(autojump_clock: MockClock) -> None:
    seen = []
    for _ in range(2):
        async with session(grounded(seed=5)) as client:
            await client.turn()
            await client.done()
        seen.append([event for event in client.got if not event["type"].startswith("session.")])
    assert seen[0] == seen[1]


async def test_what_a_turn_costs_grows_with_the_conversation(autojump_clock: MockClock) -> None:
    costs = []
    async with session(grounded()) as client:
        for _ in range(2):
            await client.turn()
            costs.append((await client.done())["usage"])
    first, second = costs
    assert first["input_token_details"]["cached_tokens"] == 0
    assert 0 < second["input_token_details"]["cached_tokens"] < second["input_tokens"]
    assert second["input_tokens"] > first["input_tokens"]
    for usage in costs:
        assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
