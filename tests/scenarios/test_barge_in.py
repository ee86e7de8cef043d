"""Callers who speak over the agent: it falls silent within 200 ms, and only for those who interrupt it."""

import random
from pathlib import Path

import pytest
import trio.testing

from engine.sim.echo import EchoPath
from engine.sim.report import Spread
from engine.sim.scenario import Clip, HangUp, Listen, Moment, Say, SayOver
from engine.store.diary import MemoryDiary
from engine.voice.cache import VoiceCache
from tests.adversity.crowd import crashes, slow_down
from tests.calls import BOOKING, HOLD_ON, stage
from tests.scenarios.interrupting import (
    BACKCHANNELS,
    INTERRUPTIONS,
    SENTENCES,
    TALKATIVE,
    WordByWord,
    clips,
    mended,
    place_all,
)

SILENT_WITHIN_MS = 200
LONGEST_GAP_MS = 750  # of the longest backchannel: its own 500 ms, and what it takes to be sure of its end


def over(clip: Clip, seed: int, earliest_ms: float, latest_ms: float) -> list[Moment]:
    """Say it over the agent, at some instant."""
    return [SayOver(clip, after_ms=random.Random(seed).uniform(earliest_ms, latest_ms))]


async def test_the_agent_falls_silent_within_200_ms(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    said = clips(INTERRUPTIONS, speech)
    callers = [over(said[index % len(said)], index, 300, 3300) for index in range(34)]
    async with stage(tmp_path, speech, tenant=TALKATIVE) as on:
        calls = await place_all(on, callers)
        assert crashes(on) == 0
    measured = [ms for call in calls for ms in call.report.barge_in_ms]
    spread = Spread.of(measured)
    assert spread is not None
    assert len(measured) >= 30, "the others began in a pause of the agent's"
    assert spread.p95 <= SILENT_WITHIN_MS, spread
    assert [len(call.facts("cut")) for call in calls] == [1] * len(calls)


async def test_a_backchannel_costs_the_caller_nothing_of_the_answer(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    said = clips(BACKCHANNELS, speech)
    nods = [[*over(said[index % len(said)], index, 200, 3300), Listen(900)] for index in range(15)]
    async with stage(tmp_path, speech, tenant=TALKATIVE) as on:
        quiet, *calls = await place_all(on, [[Listen(900)], *nods])
    assert quiet.facts("backchannel") == []
    for call in calls:
        assert call.facts("cut") == call.facts("speech") == []
        places = mended(call.report.right, quiet.report.right)
        assert len(places) == len(call.facts("backchannel")) <= 1
        for place in places:
            assert place.gap_ms <= LONGEST_GAP_MS
            assert 0 <= place.again_ms <= 250
    assert sum(len(call.facts("backchannel")) for call in calls) >= 10


async def test_the_agents_own_echo_neither_pauses_nor_interrupts_it(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    def echo(index: int) -> EchoPath | None:
        draw = random.Random(index)
        return EchoPath(draw.uniform(12, 30), draw.uniform(20, 400), seed=index)

    async with stage(tmp_path, speech, tenant=TALKATIVE) as on:
        calls = await place_all(on, [[Listen(1200)]] * 12, echo=echo)
    for call in calls:
        assert {"backchannel", "cut", "speech"}.isdisjoint(call.kinds())
        assert call.report.underruns == 0


async def test_a_caller_interrupts_through_an_echo(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    said = clips(INTERRUPTIONS[1:], speech)
    callers = [over(said[index % len(said)], index, 300, 3300) for index in range(12)]
    async with stage(tmp_path, speech, tenant=TALKATIVE) as on:
        calls = await place_all(on, callers, echo=lambda index: EchoPath(12 + 1.5 * index, 20 + 33 * index, seed=index))
    assert all(len(call.facts("cut")) == 1 for call in calls)


async def test_what_was_heard_is_known_to_the_word(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    """Against where the words end that the phone really played."""
    (clip,) = clips(["I need to change it."], speech)
    brain = WordByWord(speech)
    callers = [[SayOver(clip, after_ms=300 + 350 * index)] for index in range(12)]
    tenant = TALKATIVE.model_copy(update={"greeting": SENTENCES})
    async with stage(tmp_path, speech, tenant=tenant, brain=brain) as on:
        calls = await place_all(on, callers)
    _, ends_ms = brain.say(SENTENCES)
    errors = []
    for call in calls:
        (cut,) = call.facts("cut")
        begin, until = call.report.agent_sound[0]
        known = next(line["text"] for line in call.end.document["transcript"] if line["role"] == "agent")
        heard = sum(end_ms <= until - begin + 20 for end_ms in ends_ms)
        errors.append(len(known.split()) - heard)
        assert cut["heard_ms"] == pytest.approx(until - begin, abs=250)
    assert max(map(abs, errors)) <= 1, (errors, [call.facts("cut") for call in calls])


async def test_a_booking_goes_on_while_the_caller_interrupts(
    tmp_path: Path, speech: VoiceCache, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    async with stage(tmp_path, speech) as on:
        diary = on.world.composed.services.diary
        assert isinstance(diary, MemoryDiary)
        begun, done = slow_down(diary, monkeypatch, seconds=4.0)
        call = await on.call(
            [
                Listen(),
                Say(on.said[BOOKING]),
                SayOver(on.said[HOLD_ON], after_ms=200),
                Listen(quiet_ms=5000),
                HangUp(),
            ]
        )
        booked = await diary.find("harbor-dental", call.end.document["caller"])
    (said,) = [one for one in call.report.said if one.over]
    began_s = begun[0] - call.began_at
    assert began_s < said.voiced_at / 1000 < done[0] - call.began_at, "the caller spoke beside the booking"
    assert len(begun) == len(done) == len(booked) == 1
