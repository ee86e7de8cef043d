"""Whole calls in a tenant's own voice: OpenAI's model writes, and a cloned voice says it; and what a caller hears when
that voice is lost.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
import trio
import trio.testing
from numpy.typing import NDArray

from engine.audio import g711
from engine.audio.resample import Resampler
from engine.sim.elevenlabs import SimElevenLabs
from engine.sim.moods import Cut, Mood, Refuse, Rule, Silent, Stalls
from engine.sim.recognise import find_clip
from engine.sim.scenario import HangUp, Listen, Say, SayOver
from engine.tenants.tenant import OwnVoice, Tenant
from engine.voice.cache import VoiceCache
from tests.calls import BOOKING, BYE, HOLD_ON, PARKING, TENANT, WHITENING, Stage, stage

OURS: Tenant = TENANT.model_copy(update={"own_voice": OwnVoice(voice_id="harbor42"), "models": ("openai-realtime",)})


class Cloned:
    """The tenant's voice, rendered in place: the model's upside down, which sounds the same in other bytes."""

    def __init__(self, cache: VoiceCache) -> None:
        self._cache = cache

    async def __call__(self, text: str) -> NDArray[np.int16]:
        await trio.lowlevel.checkpoint()
        return -Resampler(8000, 24000).process(g711.decode(self._cache.mulaw(text)))

    async def mulaw(self, text: str) -> bytes:
        """As it comes out of the service."""
        return g711.encode(Resampler(24000, 8000).process(await self(text)))


@asynccontextmanager
async def on_stage(
    tmp_path: Path, cache: VoiceCache, *moods: Mood, rules: Sequence[Rule] = ()
) -> AsyncIterator[tuple[Stage, SimElevenLabs]]:
    voice = SimElevenLabs(
        voice=Cloned(cache), voices=["harbor42"], rules=[*rules, *(Rule(mood, turn=2) for mood in moods)]
    )
    async with trio.open_nursery() as nursery:
        url = await nursery.start(voice.serve)
        async with stage(tmp_path, cache, tenant=OURS, openai=[], elevenlabs_api_key="key", elevenlabs_url=url) as on:
            yield on, voice
        nursery.cancel_scope.cancel()
    assert voice.protocol_faults == []
    assert on.world.openai is not None
    assert on.world.openai.protocol_faults == []


async def test_a_conversation_is_held_in_the_tenants_own_voice(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    async with on_stage(tmp_path, speech) as (on, voice):
        call = await on.call(
            [
                Listen(),
                Say(on.said[PARKING]),
                Listen(),
                Say(on.said[BOOKING]),
                Listen(quiet_ms=1500),
                Say(on.said[BYE]),
                Listen(),
            ]
        )
    assert call.said("agent")[0] == OURS.greeting
    assert "Parking is free for patients" in " ".join(call.said("agent"))
    assert any("Booked for Robin Lee" in text for text in call.said("agent"))
    assert " ".join(call.said("agent")) == " ".join(voice.sessions[0].texts)
    assert len(voice.sessions) == 1
    assert [moment["facts"]["outcome"] for moment in call.moments("retrieved")][:1] == ["Notes"]
    assert call.report.underruns == 0
    assert call.report.longest_silence_ms is not None
    assert call.report.longest_silence_ms < 2000
    assert find_clip(call.report.right, await Cloned(speech).mulaw(voice.sessions[0].texts[0])) is not None


async def test_who_interrupts_the_tenants_voice_is_answered_by_a_model_that_knows_what_was_heard(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    async with on_stage(tmp_path, speech) as (on, _):
        call = await on.call(
            [Listen(), Say(on.said[PARKING]), SayOver(on.said[HOLD_ON], after_ms=1500), Listen(), HangUp()]
        )
        assert on.world.openai is not None
        context = on.world.openai.sessions[0].responses[-1].context
    heard = next(line["text"] for line in call.end.document["transcript"] if line["cut"])
    known = [told.text for told in context if told.kind == "assistant"][-1]
    assert known.startswith("Parking is free")
    assert abs(len(known.split()) - len(heard.split())) <= 1


FAILURES = (Cut(after_ms=1200), Stalls(1200), Silent())  # more kinds of them: tests/model/test_own_voice.py


@pytest.mark.parametrize("mood", FAILURES, ids=lambda mood: type(mood).__name__)
async def test_who_loses_the_tenants_voice_in_mid_answer_hears_the_rest_of_it_after_a_short_gap(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock, mood: Mood
) -> None:
    async with on_stage(tmp_path, speech, mood) as (on, voice):
        call = await on.call([Listen(), Say(on.said[PARKING]), Listen(), Say(on.said[WHITENING]), Listen()])
    said = " ".join(call.said("agent"))
    assert "Parking is free for patients in the yard behind our building; drive in from Mill Street." in said
    assert call.said("script") == []
    assert len(voice.sessions) == 1
    assert call.report.longest_silence_ms is not None
    assert call.report.longest_silence_ms <= 2000


async def test_a_call_whose_tenants_voice_is_away_is_answered_in_the_models_own(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    async with on_stage(tmp_path, speech, rules=[Rule(Refuse("http", status=401))]) as (on, _):
        call = await on.call([Listen(), Say(on.said[PARKING]), Listen()])
        counted = on.world.composed.services.metrics.model_lost.labels("elevenlabs", "refused")
        assert counted._value.get() == 1
    assert call.said("agent")[0] == OURS.greeting
    assert "Parking is free for patients" in " ".join(call.said("agent"))
