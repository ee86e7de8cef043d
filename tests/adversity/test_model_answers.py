"""The model owes an answer and does not give it: no dead air, and the call goes on with the same model where it can.

Measured by the simulated caller at its playback head, in virtual time: the engine's own delays, not the machine's.
"""

from pathlib import Path

import pytest
import trio.testing

from engine.sim.moods import (
    Deaf,
    DoubleToolCall,
    Garbled,
    InvalidArguments,
    LosesToolResult,
    Mood,
    PhantomMidway,
    Rule,
    Runaway,
    Silent,
    Slow,
    Stalls,
    TextOnly,
    Unanswered,
    UnknownTool,
)
from engine.sim.scenario import HangUp, Listen, Say
from engine.voice.cache import VoiceCache
from tests.calls import BOOKING, PARKING, Call, Stage, stage

Clock = trio.testing.MockClock
LONGEST_SILENCE_MS = 2000
SLACK_MS = 25  # a tick of each plane


async def parking(on: Stage) -> Call:
    return await on.call([Listen(), Say(on.said[PARKING]), Listen(quiet_ms=2500), HangUp()])


def kept_well(on: Stage, call: Call) -> None:
    """No dead air, no drop, nothing that the service would have refused."""
    assert call.report.longest_silence_ms is not None
    assert call.report.longest_silence_ms <= LONGEST_SILENCE_MS + SLACK_MS
    assert call.end.outcome_reason == "caller_hung_up"
    assert on.model.protocol_faults == []


@pytest.mark.parametrize(
    "mood",
    [Unanswered(), Slow(6.0), TextOnly(), Garbled(("text_only",), instead=True)],
    ids=["unanswered", "slow", "text only", "text without an end"],
)
async def test_an_answer_that_does_not_come_is_asked_for_again_of_the_same_session(
    mood: Mood, tmp_path: Path, speech: VoiceCache, autojump_clock: Clock
) -> None:
    async with stage(tmp_path, speech, Rule(mood, turn=2)) as on:
        call = await parking(on)
        assert len(on.model.sessions) == 1
        kept_well(on, call)
    assert call.moments("model_lost") == []
    assert "Parking is free" in " ".join(call.said("agent")[-1:])


@pytest.mark.parametrize(
    ("mood", "kind"),
    [(Silent(), "stalled"), (Deaf(), "stalled"), (Stalls(after_ms=900), "stalled"), (Runaway(at_once=True), "runaway")],
    ids=["silent", "deaf", "stalls in mid-answer", "runaway"],
)
async def test_a_model_that_is_not_mended_by_asking_is_followed_by_another_session(
    mood: Mood, kind: str, tmp_path: Path, speech: VoiceCache, autojump_clock: Clock
) -> None:
    async with stage(tmp_path, speech, Rule(mood, turn=2)) as on:
        call = await parking(on)
        assert len(on.model.sessions) == 2
        kept_well(on, call)
    assert [moment["facts"]["kind"] for moment in call.moments("model_lost")] == [kind]
    assert "Parking is free" in " ".join(call.said("agent")[-1:])


async def test_an_answer_that_broke_off_for_no_reason_is_finished(
    tmp_path: Path, speech: VoiceCache, autojump_clock: Clock
) -> None:
    async with stage(tmp_path, speech, Rule(PhantomMidway(after_ms=500), turn=2)) as on:
        call = await parking(on)
        assert len(on.model.sessions) == 1
        kept_well(on, call)
    assert call.moments("model_lost") == []
    assert on.model.sessions[0].spoken[-1].complete


@pytest.mark.parametrize(
    "mood",
    [
        LosesToolResult(),
        UnknownTool(),
        InvalidArguments(),
        DoubleToolCall("same_id", one_frame=True),
        DoubleToolCall("same_id", after_s=1.5),
        DoubleToolCall("new_id"),
    ],
    ids=["lost result", "unknown tool", "invalid arguments", "same id", "same id again later", "new id"],
)
async def test_whatever_becomes_of_a_tool_call_the_caller_is_booked_once(
    mood: Mood, tmp_path: Path, speech: VoiceCache, autojump_clock: Clock
) -> None:
    async with stage(tmp_path, speech, Rule(mood, turn=2)) as on:
        call = await on.call([Listen(), Say(on.said[BOOKING]), Listen(quiet_ms=2500), HangUp()])
        kept_well(on, call)
        assert len(on.model.sessions) == 1
        assert on.model.moods.left == ()
        (record,) = on.model.sessions
    done = [moment for moment in call.moments("tool_result") if moment["facts"]["response"].get("status") == "ok"]
    assert len([moment for moment in done if not moment["facts"]["deduplicated"]]) == 1
    assert len({answer.call_id for answer in record.tool_answers}) == len(record.tool_answers)
    assert "booked" in " ".join(call.said("agent")[-1:]).lower()
