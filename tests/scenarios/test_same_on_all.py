"""The same conversations with every model: what one lacks is made up for, or expected otherwise by what it *can* do."""

import math
from pathlib import Path

import pytest
import trio.testing

from engine.sim.scenario import HangUp, Listen, Say, SayOver, Wait
from engine.sim.world import CALLER
from engine.voice.cache import VoiceCache
from tests.adversity.crowd import crashes
from tests.calls import BOOKING, HOLD_ON, PARKING, TENANT, WHITENING, Call, Stage
from tests.scenarios.speakers import NAME, SPEAKERS, YES, Speaker, Trouble

Clock = trio.testing.MockClock
LONGEST_SILENCE_MS = 2000
SLACK_MS = 25  # a tick of each plane
BARGE_IN_MS = 200
on_all = pytest.mark.parametrize("who", SPEAKERS, ids=["gemini", "openai", "own voice", "local"])


def went_well(on: Stage, call: Call) -> None:
    """No dead air, nothing that a service would have refused, nothing unforeseen."""
    assert call.report.longest_silence_ms is not None
    assert call.report.longest_silence_ms <= LONGEST_SILENCE_MS + SLACK_MS
    assert crashes(on) == 0
    for service in (on.model, on.world.openai, on.world.elevenlabs):
        assert service is None or service.protocol_faults == []


@on_all
async def test_a_conversation_with_a_question_an_interruption_and_a_booking(
    who: Speaker, tmp_path: Path, speech: VoiceCache, autojump_clock: Clock
) -> None:
    async with who.on_stage(tmp_path, speech, {5: "double call"}) as on:
        call = await on.call(
            [
                Listen(),
                Say(on.said[PARKING]),
                SayOver(on.said[HOLD_ON], 1500),
                Listen(),
                Say(on.said[BOOKING]),
                Listen(),
                Say(on.said[NAME]),
                Listen(),
                Say(on.said[YES]),
                Listen(),
                HangUp(),
            ]
        )
        went_well(on, call)
        booked = await on.world.composed.services.diary.find(TENANT.id, CALLER)
        truncated = [one.truncated for one in on.world.openai.sessions] if on.world.openai else []
    assert [moment["text"] for moment in call.moments("model")] == [who.name]
    assert call.moments("script") == []

    # Greeted with the tenant's words; and answered from the notes of the turn, which came in time.
    agent = call.said("agent")
    assert agent[0] == TENANT.greeting
    (notes,) = [one for one in call.moments("retrieved") if one["text"] == PARKING]
    assert notes["facts"]["outcome"] == "Notes"
    assert notes["facts"]["held_ms"] <= TENANT.timing.retrieval_budget_ms

    # Cut off by the caller: silent at once, and on record with what was heard; told to the model where it can take it.
    (cut,) = [line for line in call.end.document["transcript"] if line["cut"]]
    assert cut["text"].startswith("Parking is free")
    assert len(cut["text"].split()) <= 8, "that is how far it came in a second and a half"
    assert call.report.barge_in_ms[0] <= BARGE_IN_MS
    if who.can.truncation and not who.is_ours and who.own_voice is None:
        (heard_ms,) = truncated[0].values()
        assert heard_ms == pytest.approx(call.moments("cut")[0]["facts"]["heard_ms"], abs=1)

    # Done once, however often it was asked for.
    assert "Booked for Robin Lee" in agent[-1]
    assert len(booked) == 1
    assert len(call.moments("tool_result")) == 1


@on_all
async def test_a_session_that_is_at_its_time_limit_and_a_caller_who_has_nothing_more_to_say(
    who: Speaker, tmp_path: Path, speech: VoiceCache, autojump_clock: Clock
) -> None:
    async with who.on_stage(tmp_path, speech, connection_s=70.0) as on:
        limit_s = on.world.composed.services.providers[who.name].capabilities.connection_limit_s
        call = await on.call(
            [Listen(), Say(on.said[PARKING]), Listen(1500), Say(on.said[WHITENING]), Listen(1500), Wait(60)]
        )
        went_well(on, call)
    # A successor goes on in its place, unheard; where nobody limits a session there is one.
    handed_over = [one["facts"]["target"] for one in call.moments("handover")]
    assert handed_over.count(who.name) == len(handed_over)
    assert (len(handed_over) >= 2) is math.isfinite(limit_s)
    assert [moment["text"] for moment in call.moments("model")] == [who.name]
    assert "Parking is free" in call.said("agent")[1]
    assert "390 dollars" in call.said("agent")[2]
    # Asked whether they are still there, and then let go.
    assert len(call.moments("silence")) == 3
    assert len(call.said("agent")) == 3 + 2
    assert (call.end.outcome_reason, call.end.outcome_class) == ("agent_ended", "success")


@on_all
@pytest.mark.parametrize(("trouble", "kinds"), [("cut", {"closed", "lost"}), ("stall", {"stalled"})])
async def test_an_answer_that_breaks_off_is_given_by_the_next_session(
    who: Speaker, trouble: Trouble, kinds: set[str], tmp_path: Path, speech: VoiceCache, autojump_clock: Clock
) -> None:
    async with who.on_stage(tmp_path, speech, {1: trouble}) as on:
        call = await on.call([Listen(), Say(on.said[PARKING]), Listen(quiet_ms=2500), HangUp()])
        went_well(on, call)
    assert "we pay for the first hour" in call.said("agent")[-1]
    assert call.end.outcome_reason == "caller_hung_up"
    if trouble == "stall" and who.own_voice is not None:
        # It stopped before a sentence was there to be said. So nothing was heard of it, and the same session is asked.
        assert [moment["text"] for moment in call.moments("replayed")] == ["audio"]
        assert call.moments("model_lost") == []
        return
    (lost,) = call.moments("model_lost")
    assert lost["facts"]["kind"] in kinds
    assert [moment["facts"]["line"] for moment in call.moments("script")] == ["apology"]
    # Resumed where there are handles for it; else a fresh session is told what was said.
    assert [moment["facts"]["resumed"] for moment in call.moments("model")] == [False, who.can.resume]


def test_what_a_scenario_expects_is_what_the_providers_say_of_themselves() -> None:
    """The suite would pass with a model that can nothing; so this is what it is about."""
    assert [who.can.resume for who in SPEAKERS] == [True, False, False, False]
    assert [who.can.truncation for who in SPEAKERS] == [False, True, True, True]
