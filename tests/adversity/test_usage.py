"""What a call is billed for is what the simulated services themselves have counted, whatever goes wrong in it."""

import time
from pathlib import Path

import pytest
import trio
import trio.testing

from engine.call.wrap_up import used
from engine.sim.moods import Cut, DoubleToolCall, Garbled, GoAway, Mood, Rule, Unanswered
from engine.sim.scenario import HangUp, Listen, Say
from engine.store.usage import UsageRecord
from engine.voice.cache import VoiceCache
from tests.calls import BOOKING, PARKING, TENANT, Call, Stage, stage

Clock = trio.testing.MockClock
PER_TURN_S = 0.05  # what a filter's beginning and end may hold back
PER_CUT_S = 0.15  # a window that was on its way when the connection was cut


async def booking(on: Stage) -> Call:
    return await on.call(
        [Listen(), Say(on.said[PARKING]), Listen(), Say(on.said[BOOKING]), Listen(quiet_ms=4000), HangUp()]
    )


async def billed(on: Stage, call: Call) -> dict[str, float]:
    records: list[UsageRecord] = []
    for _ in range(200):
        records = await on.world.composed.usage.usage(TENANT.id)
        if len(records) == len(used(call.end)):
            break
        await trio.to_thread.run_sync(time.sleep, 0.02)  # written by a thread, for which the virtual clock waits not
    assert {record.call_sid for record in records} == {call.report.call_sid}
    assert len({record.kind for record in records}) == len(records), "each kind once"
    return {record.kind: record.quantity for record in records}


MOODS: dict[str, tuple[tuple[Mood, int], ...]] = {
    "well": (),
    "cut twice": ((Cut(after_ms=300), 2), (Cut(after_ms=300), 3)),
    "one tool call said twice": ((DoubleToolCall(), 3),),
    "goes away": ((GoAway(time_left_s=5.0), 2),),
    "unanswered": ((Unanswered(), 2),),
    "garbled": ((Garbled(), 2),),
}


@pytest.mark.parametrize("moods", MOODS.values(), ids=list(MOODS))
async def test_the_bill_is_what_the_services_counted(
    moods: tuple[tuple[Mood, int], ...], tmp_path: Path, speech: VoiceCache, autojump_clock: Clock
) -> None:
    async with stage(tmp_path, speech, *(Rule(mood, turn=turn) for mood, turn in moods)) as on:
        call = await booking(on)
        bill = await billed(on, call)
        sessions = on.model.sessions
        lost = sum(one.closed_code not in {None, 1000, 1005} for one in sessions)
        turns = sum(len(one.commits) for one in sessions)
        slack_s = PER_TURN_S * turns + PER_CUT_S * lost

        assert bill["gemini-live-tokens-in"] == sum(one.tokens_in for one in sessions)
        assert bill["gemini-live-tokens-out"] == sum(one.tokens_out for one in sessions)
        heard_s = sum(one.heard_ms for one in sessions) / 1000
        assert bill["gemini-live-audio-in-seconds"] == pytest.approx(heard_s, abs=slack_s)
        spoken_s = sum(spoken.audio_ms for one in sessions for spoken in one.spoken) / 1000
        assert bill["gemini-live-audio-out-seconds"] == pytest.approx(spoken_s, abs=slack_s)
        assert bill["line-seconds"] == pytest.approx(call.end.document["duration_s"])
        assert bill.get("tool-calls", 0) == 1, "the booking, however often it was asked for"
        assert "transfers" not in bill
        assert "messages" not in bill
