"""An open Gemini Live stream against a strict scripted server: what goes up, what comes down."""

import base64
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import pytest
import trio
import trio.testing

from engine.audio import g711
from engine.errors import MisuseError, ModelClosed
from engine.messages import (
    Asked,
    CallerAudio,
    CallerTranscript,
    CommitTurn,
    Notes,
    NothingFound,
    Passage,
    ReportHeard,
    ResumeHandle,
    SessionExpiring,
    Skipped,
    Speak,
    TimedOut,
    ToolCallRequested,
    ToolCallsCancelled,
    ToolResult,
    UsageReported,
)
from engine.model.provider import (
    AudioDelta,
    GenerationComplete,
    Interrupted,
    Nonsense,
    StreamEvent,
    TranscriptDelta,
    TurnComplete,
)
from engine.model.setup import NO_NOTES
from tests.model.conftest import Open
from tests.model.fake_gemini import FakeGemini

Connect = Callable[[], FakeGemini]
WINDOW = CallerAudio(bytes(800))
SPOKEN_AT_ONCE = Skipped(1, "small talk")

Clock = trio.testing.MockClock


async def take(events: AsyncIterator[StreamEvent], count: int) -> list[StreamEvent]:
    return [await anext(events) for _ in range(count)]


async def take_until(events: AsyncIterator[StreamEvent], last: StreamEvent) -> list[StreamEvent]:
    taken: list[StreamEvent] = []
    async for event in events:
        if event == last:
            break
        taken.append(event)
    return taken


# --- up --------------------------------------------------------------------------------------------------------------


async def test_a_turn_goes_up_as_start_sound_notes_end(open_session: Open, autojump_clock: Clock) -> None:
    tone = (8000 * np.sin(np.arange(800) * 2 * np.pi * 440 / 8000)).astype(np.int16)
    found = Notes(1, "how much", (Passage("acme", "prices.md", "A visit costs 80.", 0.9),), 1.0)
    async with open_session() as (stream, fake):
        await stream.open_turn()
        await stream.send_audio(CallerAudio(g711.encode(tone)))
        await stream.send_audio(CallerAudio(b""))
        await stream.commit_turn(CommitTurn(Asked(1), found))
        assert await fake.expect() == {"realtimeInput": {"activityStart": {}}}
        audio = (await fake.expect())["realtimeInput"]["audio"]
        notes = (await fake.expect())["realtimeInput"]["text"]
        assert await fake.expect() == {"realtimeInput": {"activityEnd": {}}}
    assert audio["mimeType"] == "audio/pcm;rate=8000"
    sent = np.frombuffer(base64.b64decode(audio["data"]), "<i2")
    assert sent.size == 800
    spectrum = np.abs(np.fft.rfft(sent * np.hanning(800)))
    assert spectrum.argmax() * 8000 / 800 == pytest.approx(440, abs=12)
    assert "prices.md" in notes
    assert "A visit costs 80." in notes


async def test_each_turn_starts_its_sound_afresh(open_session: Open, autojump_clock: Clock) -> None:
    loud = CallerAudio(g711.encode(np.full(800, 20000, np.int16)))
    async with open_session() as (stream, fake):
        heard = []
        for turn_id in (1, 2):
            await stream.open_turn()
            await stream.send_audio(loud)
            await stream.commit_turn(CommitTurn(Asked(turn_id), Skipped(turn_id, "x")))
            heard.append([await fake.expect() for _ in range(3)])
    assert heard[0] == heard[1]


@pytest.mark.parametrize(
    ("outcome", "text"),
    [(NothingFound(1, "q", 1.0), NO_NOTES), (TimedOut(1, "q", 250.0), None), (SPOKEN_AT_ONCE, None)],
)
async def test_a_turn_without_notes_says_so_or_says_nothing(
    open_session: Open, outcome: Any, text: str | None, autojump_clock: Clock
) -> None:
    async with open_session() as (stream, fake):
        await stream.open_turn()
        await stream.commit_turn(CommitTurn(Asked(1), outcome))
        await fake.expect()
        if text is not None:
            assert await fake.expect() == {"realtimeInput": {"text": text}}
        assert await fake.expect() == {"realtimeInput": {"activityEnd": {}}}


async def test_speaking_first_is_a_turn_of_text(open_session: Open, autojump_clock: Clock) -> None:
    async with open_session() as (stream, fake):
        await stream.speak(Speak(0, "Greet the caller."))
        assert [await fake.expect() for _ in range(3)] == [
            {"realtimeInput": {"activityStart": {}}},
            {"realtimeInput": {"text": "Greet the caller."}},
            {"realtimeInput": {"activityEnd": {}}},
        ]


async def test_sound_outside_a_turn_is_counted_and_not_sent(open_session: Open, autojump_clock: Clock) -> None:
    async with open_session() as (stream, fake):
        await stream.send_audio(WINDOW)
        await stream.report_heard(ReportHeard(1, 20.0))
        await stream.open_turn()
        assert await fake.expect() == {"realtimeInput": {"activityStart": {}}}
        assert stream.statistics().windows_outside_turn == 1


async def test_a_turn_cannot_be_committed_against_the_rules(open_session: Open, autojump_clock: Clock) -> None:
    foreign = Notes(1, "q", (Passage("other", "s", "t", 0.5),), 1.0)
    async with open_session() as (stream, fake):
        with pytest.raises(MisuseError):
            await stream.commit_turn(CommitTurn(Asked(1), SPOKEN_AT_ONCE))
        await stream.open_turn()
        with pytest.raises(MisuseError):
            await stream.commit_turn(CommitTurn(Asked(1), foreign))
        for again in (stream.open_turn(), stream.speak(Speak(1, "x"))):
            with pytest.raises(MisuseError):
                await again
        await stream.commit_turn(CommitTurn(Asked(1), SPOKEN_AT_ONCE))
        assert await fake.expect() == {"realtimeInput": {"activityStart": {}}}
        assert await fake.expect() == {"realtimeInput": {"activityEnd": {}}}


async def test_tool_results_go_up_and_those_of_cancelled_calls_with_the_next_turn(
    open_session: Open, autojump_clock: Clock
) -> None:
    async with open_session() as (stream, fake):
        await stream.send_tool_result(ToolResult("c1", "book", {"status": "ok", "message": "done"}))
        assert (await fake.expect())["toolResponse"]["functionResponses"] == [
            {"id": "c1", "name": "book", "response": {"status": "ok", "message": "done"}}
        ]
        await fake.say(toolCallCancellation={"ids": ["c2"]})
        assert await take(stream.events(), 1) == [ToolCallsCancelled(("c2",))]
        await stream.send_tool_result(ToolResult("c2", "book", {"status": "ok", "message": "booked"}))
        await stream.open_turn()
        await stream.commit_turn(CommitTurn(Asked(1), SPOKEN_AT_ONCE))
        assert await fake.expect() == {"realtimeInput": {"activityStart": {}}}
        late = (await fake.expect())["realtimeInput"]["text"]
        assert "book" in late
        assert "booked" in late
        assert await fake.expect() == {"realtimeInput": {"activityEnd": {}}}


# --- down ------------------------------------------------------------------------------------------------------------


async def test_sound_comes_as_mulaw_at_8_khz_with_nothing_lost(open_session: Open, autojump_clock: Clock) -> None:
    tone = (8000 * np.sin(np.arange(24000) * 2 * np.pi * 440 / 24000)).astype("<i2")
    async with open_session() as (stream, fake):
        for start in range(0, tone.size, 960):
            await fake.sound(tone[start : start + 960].tobytes())
        await fake.content(generationComplete=True)
        events = await take_until(stream.events(), GenerationComplete())
    pieces = [event.mulaw for event in events if isinstance(event, AudioDelta)]
    assert pieces == [piece for piece in pieces if piece]
    assert sum(map(len, pieces)) == pytest.approx(8000, abs=50)
    heard = g711.decode(b"".join(pieces)).astype(float)[100:7900]
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(heard.size)))
    assert spectrum.argmax() * 8000 / heard.size == pytest.approx(440, abs=2)
    clean = spectrum.copy()
    clean[spectrum.argmax() - 4 : spectrum.argmax() + 5] = 0
    assert clean.max() < spectrum.max() / 100  # no clicks where pieces meet


async def test_all_else_is_told_in_the_streams_words(open_session: Open, autojump_clock: Clock) -> None:
    async with open_session() as (stream, fake):
        await fake.content(
            outputTranscription={"text": "Hello"}, turnComplete=True, turnCompleteReason="NEED_MORE_INPUT"
        )
        await fake.say(toolCall={"functionCalls": [{"id": "c", "name": "book", "args": {"day": "Monday"}}]})
        await fake.say(goAway={"timeLeft": "50s"})
        await fake.say(sessionResumptionUpdate={"newHandle": "no", "resumable": False})
        await fake.say(sessionResumptionUpdate={"newHandle": "h2", "resumable": True})
        await fake.say(usageMetadata={"totalTokenCount": 12, "trafficType": "x"})
        await fake.raw(b"{")
        await fake.sound(b"\x00")
        await fake.content(interrupted=True, turnComplete=True)
        assert await take(stream.events(), 10) == [
            TranscriptDelta("Hello"),
            TurnComplete("NEED_MORE_INPUT"),
            ToolCallRequested("c", "book", {"day": "Monday"}),
            SessionExpiring(50.0),
            ResumeHandle("h2"),
            UsageReported({"totalTokenCount": 12}),
            Nonsense("not JSON: unexpected end of data: line 1 column 2 (char 1)"),
            Nonsense("audio ends within a sample"),
            Interrupted(),
            TurnComplete(""),
        ]
        assert stream.statistics().nonsense == 2


async def test_the_callers_words_add_up_and_are_final_once_answered(open_session: Open, autojump_clock: Clock) -> None:
    async with open_session() as (stream, fake):
        events = stream.events()
        await stream.open_turn()
        await fake.content(interimInputTranscription={"text": "are"})
        await fake.content(inputTranscription={"text": " Are you"})
        assert await take(events, 2) == [CallerTranscript("are", final=False), CallerTranscript("Are you", final=False)]
        await stream.commit_turn(CommitTurn(Asked(1), SPOKEN_AT_ONCE))
        await fake.content(inputTranscription={"text": " open?"})
        await fake.sound()
        await fake.content(inputTranscription={"text": " Today?"})
        told = [event for event in await take(events, 4) if isinstance(event, CallerTranscript)]
        assert told == [
            CallerTranscript("Are you open?", final=False),
            CallerTranscript("Are you open?", final=True),
            CallerTranscript("Are you open? Today?", final=True),
        ]
        await stream.open_turn()
        await fake.content(interrupted=True, turnComplete=True)
        await fake.content(inputTranscription={"text": " Wait", "finished": True})
        assert (await take(events, 3))[-1] == CallerTranscript("Wait", final=True)


async def test_waiting_for_input_ends_the_turn_once(open_session: Open, autojump_clock: Clock) -> None:
    async with open_session() as (stream, fake):
        await fake.content(waitingForInput=True)
        await fake.content(turnComplete=True)
        await fake.content(turnComplete=True)
        assert await take(stream.events(), 2) == [TurnComplete("WAITING_FOR_INPUT"), TurnComplete("")]


async def test_sound_at_a_rate_that_cannot_be_had_is_nonsense(open_session: Open, autojump_clock: Clock) -> None:
    async with open_session() as (stream, fake):
        await fake.content(modelTurn={"parts": [{"inlineData": {"mimeType": "audio/pcm;rate=22050", "data": "AAAA"}}]})
        (event,) = await take(stream.events(), 1)
        assert isinstance(event, Nonsense)


@pytest.mark.parametrize(("code", "resumable"), [(1007, False), (1008, False), (1011, True), (1000, True)])
async def test_a_close_says_whether_the_session_can_be_resumed(
    open_session: Open, code: int, resumable: bool, autojump_clock: Clock
) -> None:
    async with open_session() as (stream, fake):
        await fake.close(code, "said why")
        with pytest.raises(ModelClosed, match="said why") as closed:
            await anext(stream.events())
    assert (closed.value.code, closed.value.resumable) == (code, resumable)


async def test_an_error_frame_ends_the_session(open_session: Open, autojump_clock: Clock) -> None:
    async with open_session() as (stream, fake):
        await fake.say(error={"code": 400, "message": "bad argument"})
        with pytest.raises(ModelClosed, match="bad argument") as closed:
            await anext(stream.events())
    assert not closed.value.resumable
