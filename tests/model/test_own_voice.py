"""A model that writes and a tenant's voice that says it, against the simulated voice."""

import pytest
import trio
import trio.testing

from engine.errors import ModelRefused
from engine.messages import ToolCallRequested, ToolResult, UsageReported
from engine.model.elevenlabs import ElevenLabs
from engine.model.own_voice import OwnVoiceProvider
from engine.model.provider import (
    AudioDelta,
    SessionSetup,
    TurnComplete,
)
from engine.sim.moods import Slow
from tests.model.own_voice import (
    ANSWER,
    FIRST,
    SECOND,
    TENANT,
    VOICE_ID,
    Make,
    WriterProvider,
    open_duet,
)

Clock = trio.testing.MockClock


# --- the voice speaks -----------------------------------------------------------------------------------------------


async def test_what_the_model_writes_is_said_by_the_voice(make: Make, autojump_clock: Clock) -> None:
    async with open_duet(make()) as duet:
        await duet.ask()
        duet.writer.writes(ANSWER)
        await duet.until(TurnComplete)
    assert duet.kinds() == ["AudioDelta", "GenerationComplete", "TurnComplete"]
    assert duet.text == ANSWER
    assert len(duet.sound) == 8 * duet.voice.sessions[0].contexts[0].said_ms
    assert duet.voice.sessions[0].texts == [FIRST, SECOND]
    assert not duet.voice.protocol_faults


async def test_a_sentence_is_said_before_the_next_is_written(make: Make, autojump_clock: Clock) -> None:
    async with open_duet(make()) as duet:
        await duet.ask()
        duet.writer.writes(f"{FIRST} Shall", ends=False)
        await duet.until(AudioDelta, within_s=0.3)
        duet.writer.writes(SECOND.removeprefix("Shall"))
        await duet.until(TurnComplete)
    assert duet.text == ANSWER


async def test_the_transcript_runs_with_the_sound(make: Make, autojump_clock: Clock) -> None:
    async with open_duet(make(pace=1.0)) as duet:
        await duet.ask()
        duet.writer.writes(ANSWER)
        await duet.until(AudioDelta, times=3)
        assert 0 < len(duet.text) < len(FIRST)


async def test_the_session_is_opened_in_writing_with_the_voices_settings(make: Make, autojump_clock: Clock) -> None:
    inner = WriterProvider()
    async with open_duet(make(), inner=inner) as duet:
        await duet.ask()
        duet.writer.writes(FIRST)
        await duet.until(TurnComplete)
    assert inner.setups[0].in_writing
    session = duet.voice.sessions[0]
    assert session.wanted is not None
    assert (session.wanted.voice_id, session.wanted.language) == (VOICE_ID, "en")
    assert session.contexts[0].settings is not None
    assert session.contexts[0].settings.speed == 1.1


async def test_each_answer_has_a_context_of_its_own(make: Make, autojump_clock: Clock) -> None:
    async with open_duet(make()) as duet:
        for times in (1, 2, 3):
            await duet.ask()
            duet.writer.writes(f"Answer number {times}.")
            await duet.until(TurnComplete, times=times)
    said = [context.texts for context in duet.voice.sessions[0].contexts]
    assert said == [["Answer number 1."], ["Answer number 2."], ["Answer number 3."], []]
    assert duet.writer.names().count("heard_only") == 0


async def test_other_events_do_not_wait_for_the_voice(make: Make, autojump_clock: Clock) -> None:
    async with open_duet(make(Slow(0.8))) as duet:
        await duet.ask()
        duet.writer.writes(ANSWER)
        duet.writer.does(UsageReported({"totalTokenCount": 5}))
        await duet.until(TurnComplete)
    assert duet.kinds() == ["UsageReported", "AudioDelta", "GenerationComplete", "TurnComplete"]


async def test_a_tool_is_called_after_what_was_written_before_it(make: Make, autojump_clock: Clock) -> None:
    call = ToolCallRequested("call-1", "opening_hours", {})
    async with open_duet(make()) as duet:
        await duet.ask()
        duet.writer.writes("Let me look. ", ends=False)
        duet.writer.does(call)
        await duet.until(ToolCallRequested)
        assert duet.kinds() == ["AudioDelta", "ToolCallRequested"]
        assert duet.text.strip() == "Let me look."
        await duet.stream.send_tool_result(ToolResult("call-1", "opening_hours", {"now": "open"}))
        duet.writer.writes(FIRST)
        await duet.until(TurnComplete)
    assert duet.voice.sessions[0].texts == ["Let me look.", FIRST]


async def test_an_answer_that_cannot_be_said_ends_without_a_sound(make: Make, autojump_clock: Clock) -> None:
    async with open_duet(make()) as duet:
        await duet.ask()
        duet.writer.writes("… — !")
        await duet.until(TurnComplete, within_s=0.1)
    assert duet.kinds() == ["GenerationComplete", "TurnComplete"]


async def test_the_connection_is_kept_alive_while_nobody_speaks(make: Make, autojump_clock: Clock) -> None:
    async with open_duet(make()) as duet:
        await trio.sleep(1000.0)
        await duet.ask()
        duet.writer.writes(FIRST)
        await duet.until(TurnComplete)
    assert len(duet.voice.sessions) == 1
    assert duet.voice.sessions[0].contexts[0].kept_alive == 16
    assert duet.text == FIRST


async def test_a_tenant_without_a_voice_gets_the_model_as_it_is(make: Make, autojump_clock: Clock) -> None:
    inner = WriterProvider()
    plain = TENANT.model_copy(update={"own_voice": None})
    async with open_duet(make(), tenant=plain, inner=inner) as duet:
        assert duet.stream is inner.writer
    assert not inner.setups[0].in_writing
    assert duet.voice.sessions == []


# --- the model fails ------------------------------------------------------------------------------------------------


async def test_the_loss_of_the_model_is_the_loss_of_the_session(make: Make, autojump_clock: Clock) -> None:
    async with open_duet(make()) as duet:
        await duet.ask()
        duet.writer.hangs_up()
        await trio.sleep(0.1)
    assert duet.lost is duet.writer.end


async def test_a_model_that_refuses_is_told_as_it_is(make: Make, autojump_clock: Clock) -> None:
    make()
    inner = WriterProvider()
    inner.refusal = ModelRefused("no place")
    provider = OwnVoiceProvider(inner, ElevenLabs("ws://voice.test", "key"))
    with pytest.raises(ModelRefused, match="no place") as caught:
        async with provider.open_stream(SessionSetup(TENANT, "CA1")):
            pass
    assert caught.value is inner.refusal


async def test_what_the_holder_of_the_stream_raises_comes_out_plain(make: Make, autojump_clock: Clock) -> None:
    with pytest.raises(LookupError, match="of the holder"):
        async with OwnVoiceProvider(WriterProvider(), _voices(make)).open_stream(SessionSetup(TENANT, "CA1")):
            raise LookupError("of the holder")


def test_it_goes_by_the_models_name() -> None:
    inner = WriterProvider()
    provider = OwnVoiceProvider(inner, ElevenLabs("ws://voice.test", "key"))
    assert (provider.name, provider.capabilities) == (inner.name, inner.capabilities)


def _voices(make: Make) -> ElevenLabs:
    make()
    return ElevenLabs("ws://voice.test", "key")
