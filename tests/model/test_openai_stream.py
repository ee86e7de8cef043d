"""An open OpenAI Realtime stream against a strict scripted server: turns, and how a session ends."""

import base64
from typing import Any

import pytest
import trio
import trio.testing

from engine.errors import MisuseError, ModelClosed
from engine.messages import (
    Asked,
    CallerAudio,
    CommitTurn,
    Notes,
    NothingFound,
    Passage,
    Speak,
    TimedOut,
)
from engine.model.setup import NO_NOTES
from tests.model.openai_open import Connect, at_once, nothing_more, opened, take, text_of, with_notes

Clock = trio.testing.MockClock
WINDOW = CallerAudio(bytes(range(200)) * 4)


# --- a turn ----------------------------------------------------------------------------------------------------------


async def test_a_turn_goes_up_as_sound_then_notes_then_the_request(connect_to: Connect, autojump_clock: Clock) -> None:
    async with opened(connect_to) as (stream, fake):
        await stream.open_turn()
        await stream.send_audio(WINDOW)
        await stream.send_audio(CallerAudio(b""))
        await stream.commit_turn(with_notes())
        sound = await fake.expect("input_audio_buffer.append")
        assert base64.b64decode(sound["audio"]) == WINDOW.mulaw
        await fake.expect("input_audio_buffer.commit")
        notes = await fake.expect("conversation.item.create")
        assert notes["item"]["role"] == "system"
        assert "prices.md" in text_of(notes)
        assert "A visit costs 80." in text_of(notes)
        assert (await fake.create("r1"))["turn"] == "1"
        await nothing_more(fake)


@pytest.mark.parametrize(("outcome", "text"), [(NothingFound(1, "q", 1.0), NO_NOTES), (TimedOut(1, "q", 250.0), None)])
async def test_a_turn_without_notes_says_so_or_says_nothing(
    connect_to: Connect, outcome: Any, text: str | None, autojump_clock: Clock
) -> None:
    async with opened(connect_to) as (stream, fake):
        await stream.open_turn()
        await stream.commit_turn(CommitTurn(Asked(1), outcome))
        if text is not None:
            assert text_of(await fake.expect("conversation.item.create")) == text
        await fake.create("r1")


async def test_what_the_service_took_by_itself_is_not_committed_again(
    connect_to: Connect, autojump_clock: Clock
) -> None:
    async with opened(connect_to) as (stream, fake):
        await stream.open_turn()
        await stream.send_audio(WINDOW)
        await fake.expect("input_audio_buffer.append")
        await fake.send("input_audio_buffer.speech_started", item_id="i1", audio_start_ms=0)
        await fake.send("input_audio_buffer.committed", item_id="i1")
        await fake.hear("i1", "Hello")
        await take(stream, 1)
        await stream.commit_turn(at_once())
        await fake.create("r1")


async def test_what_is_said_after_a_pause_is_committed_too(connect_to: Connect, autojump_clock: Clock) -> None:
    async with opened(connect_to) as (stream, fake):
        await stream.open_turn()
        await stream.send_audio(WINDOW)
        await fake.expect("input_audio_buffer.append")
        await fake.send("input_audio_buffer.committed", item_id="i1")
        await fake.send("input_audio_buffer.speech_started", item_id="i2", audio_start_ms=0)
        await fake.hear("i1", "Hello")
        await take(stream, 1)
        await stream.commit_turn(at_once())
        await fake.expect("input_audio_buffer.commit")


async def test_speaking_first_is_an_instruction_and_a_request(connect_to: Connect, autojump_clock: Clock) -> None:
    async with opened(connect_to) as (stream, fake):
        await stream.speak(Speak(0, "Greet the caller."))
        told = await fake.expect("conversation.item.create")
        assert (told["item"]["role"], text_of(told)) == ("system", "Greet the caller.")
        await fake.create("r1")


async def test_a_turn_cannot_be_committed_against_the_rules(connect_to: Connect, autojump_clock: Clock) -> None:
    foreign = Notes(1, "q", (Passage("other", "s", "t", 0.5),), 1.0)
    async with opened(connect_to) as (stream, fake):
        await stream.send_audio(WINDOW)
        with pytest.raises(MisuseError):
            await stream.commit_turn(at_once())
        await stream.open_turn()
        with pytest.raises(MisuseError):
            await stream.commit_turn(CommitTurn(Asked(1), foreign))
        for again in (stream.open_turn(), stream.speak(Speak(1, "x"))):
            with pytest.raises(MisuseError):
                await again
        await nothing_more(fake)
        assert stream.statistics().windows_outside_turn == 1


# --- the end ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["session_expired", "insufficient_quota", "invalid_api_key"])
async def test_an_error_that_nothing_can_be_had_after_ends_the_session(
    connect_to: Connect, code: str, autojump_clock: Clock
) -> None:
    async with opened(connect_to) as (stream, fake):
        await fake.complain(code)
        with pytest.raises(ModelClosed, match=code) as closed:
            await take(stream, 1)
        assert closed.value.resumable


async def test_a_response_that_failed_for_want_of_quota_ends_the_session(
    connect_to: Connect, autojump_clock: Clock
) -> None:
    async with opened(connect_to) as (stream, fake):
        await stream.speak(Speak(0, "Greet."))
        await fake.expect()
        await fake.create("r1")
        error = {"type": "insufficient_quota", "code": "insufficient_quota"}
        await fake.done("r1", "failed", status_details={"type": "failed", "error": error})
        with pytest.raises(ModelClosed, match="insufficient_quota"):
            await take(stream, 1)


async def test_a_close_says_its_code(connect_to: Connect, autojump_clock: Clock) -> None:
    async with opened(connect_to) as (stream, fake):
        await fake.close(1001, "session over")
        with pytest.raises(ModelClosed, match="session over") as closed:
            await take(stream, 1)
    assert closed.value.code == 1001
