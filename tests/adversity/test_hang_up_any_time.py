"""Callers who put the phone down at any instant, in any way a carrier can say so: nothing stays, one end each."""

import random
from pathlib import Path

import pytest
import trio
import trio.testing

from engine.sim.caller import CallOptions
from engine.sim.moods import Cut, Rule
from engine.sim.scenario import Ending, HangUp, Listen, Moment, Press, Say, SayOver, StayOn, Wait
from engine.sim.world import CALLER
from engine.store.diary import Appointment, Booking, MemoryDiary
from engine.store.interface import CallEnd
from engine.tenants.tenant import Quotas
from engine.voice.cache import VoiceCache
from tests.adversity.crowd import HangUpAt, crashes, ends_counted, kept_ends, place_crowd
from tests.calls import BOOKING, MESSAGE, PARKING, TENANT, Stage, stage

LONGEST_S = 25.0
ENDINGS = (Ending.STOP_THEN_CLOSE, Ending.STOP_ONLY, Ending.CLOSE_ONLY, Ending.RESET)
BY_ITS_ENDING = {
    Ending.STOP_THEN_CLOSE: "caller_hung_up",
    Ending.STOP_ONLY: "caller_hung_up",
    Ending.CLOSE_ONLY: "line_broken",
    Ending.RESET: "line_broken",
    Ending.HALF_OPEN: "line_silent",
}
BUSY = TENANT.model_copy(update={"quotas": Quotas(concurrent_calls=100)})
WITHOUT_MODEL = BUSY.model_copy(update={"models": ()})
ASKED_ONE_MS, ASKED_HALF_MS = 1000, 500


def goings(seed: int, count: int) -> list[HangUpAt]:
    """So many ways to go: every ending in its turn, some half-open, some at the very first, some that nobody tells of."""
    source = random.Random(seed)
    found = []
    for index in range(count):
        ending = Ending.HALF_OPEN if index % 10 == 9 else ENDINGS[index % len(ENDINGS)]
        seconds = source.uniform(0.02, 0.1) if index % 12 == 5 else source.uniform(0.02, LONGEST_S)
        found.append(HangUpAt(seconds, ending, told=source.random() < 0.7))
    return found


def assert_the_end_says_how(going: HangUpAt, end: CallEnd) -> None:
    """The outcome is the stream's own where nobody told more; a call status may come first and is as good."""
    expected = BY_ITS_ENDING[going.ending]
    assert end.outcome_reason in ({expected, "caller_hung_up"} if going.told else {expected}), going
    assert [moment["kind"] for moment in end.document["timeline"]].count("ended") == 1
    assert "crash" not in [moment["kind"] for moment in end.document["timeline"]]


@pytest.mark.parametrize("seed", range(3))
async def test_a_hang_up_at_any_instant_of_a_conversation_leaves_one_end_and_nothing_else(
    seed: int, tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    """A greeting, a question, a model that is cut off in its answer, a hand-over and back, a booking."""
    cut = Rule(Cut(1011, after_ms=900), turn=2, times=None)
    async with stage(tmp_path, speech, cut, tenant=BUSY) as on:
        scenario: list[Moment] = [
            Listen(),
            Say(on.said[PARKING]),
            Wait(5.6),
            SayOver(on.said[BOOKING], after_ms=900),
            StayOn(),
        ]
        plan = goings(seed, 50)
        reports = await place_crowd(on, scenario, plan)
        ends = await kept_ends(on, reports)
        booked = await on.world.composed.services.diary.find(TENANT.id, CALLER)
        assert crashes(on) == 0
        assert on.model.protocol_faults == []
    for going, report in zip(plan, reports, strict=True):
        assert_the_end_says_how(going, ends[report.call_sid])
        assert report.protocol_fault_count == 0
    assert len(booked) == 1, "the slot that all of them asked for"


@pytest.mark.parametrize("seed", [11])
async def test_a_hang_up_at_any_instant_of_a_message_keeps_what_was_said(
    seed: int, tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    """The script alone: greeting, offer, a key, the tone, a message that is still being spoken when the call ends."""
    async with stage(tmp_path, speech, tenant=WITHOUT_MODEL) as on:
        scenario: list[Moment] = [Wait(5.8), Press("11"), Wait(0.5)]
        scenario += [Say(on.said[MESSAGE])] * 5
        plan = goings(seed, 50)
        reports = await place_crowd(on, scenario, plan)
        ends = await kept_ends(on, reports)
        assert crashes(on) == 0
    kept = 0
    for going, report in zip(plan, reports, strict=True):
        end = ends[report.call_sid]
        assert_the_end_says_how(going, end)
        spoken_ms = sum(one.voiced_until - one.voiced_at for one in report.said)
        message_ms = sum(len(message.mulaw) for message in end.messages) / 8
        if spoken_ms >= ASKED_ONE_MS:
            assert len(end.messages) == 1
            assert message_ms >= spoken_ms - ASKED_HALF_MS, going
            kept += 1
        else:
            assert message_ms <= ASKED_ONE_MS + ASKED_HALF_MS
    assert kept >= 8, "the instants must reach into the message"
