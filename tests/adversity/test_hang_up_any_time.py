"""Callers who put the phone down at any instant, in any way a carrier can say so: nothing stays, one end each."""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio
import trio.testing

from engine.sim.moods import Cut, Rule
from engine.sim.scenario import Ending, Listen, Moment, Press, Say, SayOver, StayOn, Wait
from engine.sim.world import CALLER
from engine.store.diary import MemoryDiary
from engine.store.interface import CallEnd
from engine.tenants.tenant import Quotas
from engine.voice.cache import VoiceCache
from tests.adversity.crowd import HangUpAt, crashes, kept_ends, place_crowd, slow_down
from tests.calls import BOOKING, MESSAGE, PARKING, TENANT, stage

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
LEAST_MS = 1000  # of speech, after which a message counts as one
LOST_MS = 500  # onset and the window that was being filled
GREETED_S = 4.0  # the greeting takes longer


def goings(seed: int, count: int) -> list[HangUpAt]:
    """So many ways to go: each ending in turn, some half-open, some at the very first, some that nobody tells of."""
    source = random.Random(seed)
    found = []
    for index in range(count):
        ending = Ending.HALF_OPEN if index % 10 == 9 else ENDINGS[index % len(ENDINGS)]
        seconds = source.uniform(0.02, 0.1) if index % 12 == 5 else source.uniform(0.02, LONGEST_S)
        found.append(HangUpAt(seconds, ending, told=source.random() < 0.7))
    return found


def played(plan: Sequence[HangUpAt], long: bool) -> Sequence[HangUpAt]:
    """All of them, or every third: a stride at which every ending comes, and some at the very first instant."""
    return plan if long else plan[2::3]


def assert_the_end_says_how(going: HangUpAt, end: CallEnd) -> None:
    """The outcome is the stream's own where nobody told more; a call status may come first and is as good."""
    expected = BY_ITS_ENDING[going.ending]
    assert end.outcome_reason in ({expected, "caller_hung_up"} if going.told else {expected}), going
    assert [moment["kind"] for moment in end.document["timeline"]].count("ended") == 1
    assert "crash" not in [moment["kind"] for moment in end.document["timeline"]]


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_hang_up_at_any_instant_of_a_conversation_leaves_one_end_and_nothing_else(
    seed: int, long: bool, tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
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
        plan = played(goings(seed, 40), long)
        reports = await place_crowd(on, scenario, plan)
        ends = await kept_ends(on, reports)
        booked = await on.world.composed.services.diary.find(TENANT.id, CALLER)
        assert crashes(on) == 0
        assert on.model.protocol_faults == []
    for going, report in zip(plan, reports, strict=True):
        end = ends[report.call_sid]
        assert_the_end_says_how(going, end)
        assert report.protocol_fault_count == 0
        if going.seconds < GREETED_S and going.ending is not Ending.HALF_OPEN:
            said = " ".join(line["text"] for line in end.document["transcript"])
            assert len(said) < len(TENANT.greeting), "the transcript has only what was heard"
    assert len(booked) == 1, "the slot that all of them asked for"


@pytest.mark.parametrize("seed", [11, 12])
async def test_a_hang_up_at_any_instant_of_a_message_keeps_what_was_said(
    seed: int, long: bool, tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    """The script alone: greeting, offer, keys, the tone, and a message that is still being spoken at the end."""
    async with stage(tmp_path, speech, tenant=WITHOUT_MODEL) as on:
        scenario: list[Moment] = [Wait(5.8), Press("11"), Wait(0.5)]
        scenario += [Say(on.said[MESSAGE])] * 5
        plan = played(goings(seed, 60), long)
        reports = await place_crowd(on, scenario, plan)
        ends = await kept_ends(on, reports)
        assert crashes(on) == 0
    kept = 0
    for going, report in zip(plan, reports, strict=True):
        end = ends[report.call_sid]
        assert_the_end_says_how(going, end)
        spoken_ms = sum(one.voiced_until - one.voiced_at for one in report.said)
        message_ms = sum(len(message.mulaw) for message in end.messages) / 8
        if spoken_ms >= LEAST_MS:
            assert len(end.messages) == 1
            assert message_ms >= spoken_ms - LOST_MS, going
            kept += 1
        else:
            assert message_ms <= LEAST_MS + LOST_MS
    assert kept >= len(plan) // 3, "the instants must reach into the message"


def test_the_short_form_has_every_way_to_go_in_every_sixth_of_the_call() -> None:
    for seeds, count in (((1, 2), 40), ((11, 12), 60)):
        short = [going for seed in seeds for going in played(goings(seed, count), long=False)]
        assert {going.ending for going in short} == set(BY_ITS_ENDING)
        assert {going.told for going in short} == {True, False}
        assert {int(going.seconds / LONGEST_S * 6) for going in short} == set(range(6))
        assert min(going.seconds for going in short) <= 0.1
        assert len(short) >= 0.3 * 2 * count


async def test_a_hang_up_while_a_write_is_under_way_lets_it_finish_once(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for ending in (*ENDINGS, Ending.HALF_OPEN):
        async with stage(tmp_path / ending.value, speech) as on:
            diary = on.world.composed.services.diary
            assert isinstance(diary, MemoryDiary)
            begun, done = slow_down(diary, monkeypatch, seconds=3.0)
            placed_at = trio.current_time()
            going = HangUpAt(11.0, ending, told=True)
            (report,) = await place_crowd(on, [Listen(), Say(on.said[BOOKING]), StayOn()], [going])
            (end,) = (await kept_ends(on, [report])).values()
            booked = await diary.find(TENANT.id, CALLER)
            assert crashes(on) == 0
        assert len(begun) == len(done) == len(booked) == 1
        assert begun[0] < placed_at + report.duration_ms / 1000 < done[0], "the write must outlive the call"
        assert_the_end_says_how(going, end)
