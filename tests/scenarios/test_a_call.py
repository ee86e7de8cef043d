"""Whole calls that go well: the caller asks, is answered from the tenant's knowledge, and something is left behind."""

import time
from pathlib import Path

import trio.testing

from engine.sim.moods import DoubleToolCall, GoAway, Rule
from engine.sim.recognise import find_clip
from engine.sim.scenario import HangUp, Listen, Press, Say, SayOver, Wait
from engine.voice.cache import VoiceCache
from tests.calls import BOOKING, BYE, HOLD_ON, MM_HM, PARKING, WHITENING, stage


async def test_a_question_is_answered_from_the_tenants_own_knowledge(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    async with stage(tmp_path, speech) as on:
        call = await on.call([Listen(), Say(on.said[PARKING]), Listen(), Say(on.said[BYE]), Listen()])
    assert call.end.outcome_reason == "caller_hung_up"
    assert call.said("caller")[0] == PARKING
    assert "Parking is free for patients" in " ".join(call.said("agent"))
    assert call.report.underruns == 0
    assert call.report.protocol_fault_count == 0
    assert on.model.protocol_faults == []
    assert len(call.report.responses) == 2
    assert max(call.report.responses) < 1500


async def test_no_turn_is_committed_before_its_retrieval(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    async with stage(tmp_path, speech) as on:
        call = await on.call([Listen(), Say(on.said[PARKING]), Listen(), Say(on.said[WHITENING]), Listen()])
    spoken = [commit for commit in on.model.sessions[0].commits if commit.transcript]
    assert [commit.transcript for commit in spoken] == [PARKING, WHITENING]
    assert all(commit.notes_in_activity for commit in spoken)
    assert [moment["facts"]["outcome"] for moment in call.moments("retrieved")] == ["Notes", "Notes"]


async def test_an_effect_happens_once_though_the_model_asks_twice(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    for how in ("same_id", "new_id", "part"):
        async with stage(tmp_path / how, speech, Rule(DoubleToolCall(how))) as on:
            call = await on.call([Listen(), Say(on.said[BOOKING]), Listen(quiet_ms=1500), Say(on.said[BYE]), Listen()])
            booked = await on.world.composed.services.diary.find("harbor-dental", call.end.document["caller"])
        assert len(booked) == 1
        assert any("Booked for Robin Lee" in text for text in call.said("agent"))
        assert on.model.protocol_faults == []


async def test_a_caller_who_barges_in_is_heard_and_the_agent_falls_silent(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    async with stage(tmp_path, speech) as on:
        call = await on.call(
            [Listen(), Say(on.said[PARKING]), SayOver(on.said[HOLD_ON], after_ms=1500), Listen(), HangUp()]
        )
    (cut,) = call.moments("cut")
    assert 1000 < cut["facts"]["heard_ms"] < cut["facts"]["of_ms"]
    (barge_in_ms,) = call.report.barge_in_ms
    assert barge_in_ms < 800
    heard = next(line for line in call.end.document["transcript"] if line["cut"])
    assert "Parking is free".startswith(heard["text"][:15])
    assert HOLD_ON in call.said("caller")


async def test_a_backchannel_does_not_interrupt(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    async with stage(tmp_path, speech) as on:
        call = await on.call(
            [Listen(), Say(on.said[PARKING]), SayOver(on.said[MM_HM], after_ms=1500), Listen(), HangUp()]
        )
    assert call.moments("cut") == []


async def test_keys_are_noted_and_harmless(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    async with stage(tmp_path, speech) as on:
        call = await on.call([Listen(), Press("1#"), Wait(1), HangUp()])
    assert [moment["text"] for moment in call.moments("key")] == ["1", "#"]


async def test_a_session_that_must_end_is_succeeded_between_turns(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    async with stage(tmp_path, speech, Rule(GoAway(time_left_s=30.0, quiet=True), turn=2)) as on:
        call = await on.call(
            [Listen(), Say(on.said[PARKING]), Listen(), Wait(2), Say(on.said[WHITENING]), Listen(), HangUp()]
        )
    assert call.said("script") == []
    first, second = on.model.sessions
    assert not second.resumed, "that would need the first to be closed before"
    assert first.closed_at is not None
    assert second.opened_at <= first.closed_at, "the successor was there before the first one left"
    assert first.closed_code == 1000
    assert "Teeth whitening" in " ".join(call.said("agent"))
    assert find_clip(call.report.right, on.prompts.apology) is None


async def test_two_callers_at_once_do_not_hear_each_other(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    async with stage(tmp_path, speech) as on:
        ends = {}

        async def place(text: str) -> None:
            report = await on.world.call([Listen(), Say(on.said[text]), Listen(), HangUp()])
            ends[text] = await on.end_of(report.call_sid)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(place, PARKING)
            nursery.start_soon(place, WHITENING)
    for text, words in ((PARKING, "Parking is free"), (WHITENING, "whitening at the practice")):
        transcript = [line["text"] for line in ends[text].document["transcript"]]
        assert transcript[1] == text
        assert words in transcript[2]


async def test_what_a_call_used_is_kept_once(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    async with stage(tmp_path, speech) as on:
        call = await on.call([Listen(), Say(on.said[PARKING]), Listen(), HangUp()])
        while len(records := await on.world.composed.usage.usage("harbor-dental")) < 5:
            await trio.to_thread.run_sync(time.sleep, 0.01)  # a thread writes them, which the clock does not wait for
    used = {record.kind: record.quantity for record in records}
    reported = sum(moment["facts"]["tokens"]["totalTokenCount"] for moment in call.moments("usage"))
    assert used["line-seconds"] == call.end.document["duration_s"]
    assert 6 < used["line-seconds"] < call.report.duration_ms / 1000
    assert used["gemini-live-tokens-in"] + used["gemini-live-tokens-out"] == reported > 0
    assert used["gemini-live-audio-out-seconds"] > 1
    assert 0 < used["gemini-live-audio-in-seconds"] < used["line-seconds"]
