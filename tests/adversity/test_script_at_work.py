"""The script in whole calls: what keys and silence lead to, how it ends, and how a worker that drains lets go."""

from dataclasses import replace
from pathlib import Path

import pytest
import trio
import trio.testing

from engine.call.lineup import LOSSES_TOLERATED
from engine.call.tool_calls import COMPANY_S
from engine.fallback.steps import LISTEN, State
from engine.sim.caller import CallOptions
from engine.sim.carrier_call import CarrierOptions, DialOutcome, HowEnded
from engine.sim.carrier_rest import Mood as RestMood
from engine.sim.moods import Cut, Refuse, Rule
from engine.sim.recognise import find_clip
from engine.sim.scenario import HangUp, Listen, Moment, Press, Say, StayOn, Wait
from engine.sim.world import STATUS_URL
from engine.store.diary import MemoryDiary
from engine.voice.cache import VoiceCache
from tests.adversity.crowd import counted, crashes, ends_counted, slow_down
from tests.calls import BOOKING, MESSAGE, PARKING, TENANT, WHITENING, Call, Stage, stage

WITHOUT_MODEL = TENANT.model_copy(update={"models": ()})
USUAL = CallOptions(status_url=STATUS_URL)
OFFERED_S = 6.0  # from the answer until the script's offer is under way, where there is no model at all
HANDOVER_MS = 500
UNEXPLAINED_MS = 2000
SLACK_MS = 600  # of which a line's own quiet edges are most


def lines(call: Call) -> list[str]:
    """Names of the script's lines, in order."""
    return [moment["facts"]["line"] for moment in call.moments("script")]


def sounds(call: Call) -> list[tuple[float, float]]:
    """All that the caller heard or said, as ms on the call's clock, in order."""
    report = call.report
    static = [(one.at, one.until) for one in report.said_by_static_verbs]
    spoken = [(one.voiced_at, one.voiced_until) for one in report.said]
    return sorted([*report.agent_sound, *static, *spoken])


def silence_after(call: Call, moment_ms: float) -> float:
    """From this instant (or the end of what sounded in it) to the next sound."""
    quiet_from = max((end for start, end in sounds(call) if start <= moment_ms), default=moment_ms)
    return next(start for start, _ in sounds(call) if start > quiet_from) - quiet_from


async def settled(on: Stage) -> None:
    """What holds after every call here."""
    assert ends_counted(on) == 1
    assert crashes(on) == 0


# --- keys --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rest", [None, RestMood.LOST, RestMood.SLOW, RestMood.TOO_MANY], ids=str)
async def test_two_puts_the_caller_through_once(
    rest: RestMood | None, tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    async with stage(tmp_path, speech, tenant=WITHOUT_MODEL) as on:
        on.world.rest.script([rest] if rest else [])
        call = await on.call([Wait(OFFERED_S), Press("2"), StayOn()])
        await settled(on)
        (update,) = on.world.rest.updates
        assert counted(on, "webhooks", path="dial-done", result="hang_up") == 1
        connecting = find_clip(call.report.right, on.prompts.connecting)
    assert connecting is not None, "the caller is told before the carrier is"
    assert "<Dial" in update.form["Twiml"]
    (dialled,) = call.report.said_by_static_verbs
    assert (dialled.verb, dialled.text) == ("Dial", TENANT.people[0].number)
    assert silence_after(call, connecting) <= UNEXPLAINED_MS
    assert (call.end.outcome_class, call.end.outcome_reason) == ("success", "transferred")
    assert call.report.how_ended is HowEnded.TWIML_ENDED
    assert call.report.streams == 1


@pytest.mark.parametrize("status", ["no-answer", "busy", "failed"])
async def test_a_person_who_cannot_be_reached_leaves_the_caller_a_voicemail(
    status: str, tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    async with stage(tmp_path, speech, tenant=WITHOUT_MODEL) as on:
        options = replace(USUAL, carrier=CarrierOptions(dial_outcomes=(DialOutcome(status, 8.0),)))
        scenario: list[Moment] = [Wait(OFFERED_S), Press("2"), Wait(4), Say(on.said[MESSAGE]), StayOn(90)]
        call = await on.call(scenario, options=options)
        await settled(on)
        (kept,) = await on.world.composed.services.follow_ups.follow_ups(TENANT.id)
    assert [one.verb for one in call.report.said_by_static_verbs] == ["Dial", "Say", "Record", "Say"]
    assert call.report.said_by_static_verbs[1].text.startswith(TENANT.script.no_person)
    assert (kept.kind, kept.call_sid, kept.caller) == ("message", call.end.call_sid, call.end.document["caller"])
    assert kept.details["url"].startswith("https://")
    assert call.report.how_ended is HowEnded.TWIML_ENDED


async def test_a_transfer_that_the_carrier_refuses_is_owned_up_to_and_ends_in_a_message(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    async with stage(tmp_path, speech, tenant=WITHOUT_MODEL) as on:
        on.world.rest.script([RestMood.UNAVAILABLE] * 3)
        call = await on.call(
            [Wait(OFFERED_S), Press("2"), Wait(12), Press("11"), Wait(0.5), Say(on.said[MESSAGE]), StayOn()]
        )
        await settled(on)
        connecting = find_clip(call.report.right, on.prompts.connecting)
        assert connecting is not None
        owned_up = find_clip(call.report.right, on.prompts.no_person, after_ms=connecting)
        assert owned_up is not None
    assert silence_after(call, connecting) <= UNEXPLAINED_MS
    assert lines(call)[2:5] == ["connecting", "no_person", "offer"]
    assert lines(call)[-2:] == ["message_kept", "goodbye"]
    assert call.end.outcome_reason == "message_taken"
    assert len(call.end.messages) == 1
    assert call.report.how_ended is HowEnded.COMPLETED_BY_REST


async def test_nine_says_goodbye_and_ends_the_call_at_the_carrier(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    async with stage(tmp_path, speech, tenant=WITHOUT_MODEL) as on:
        call = await on.call([Wait(OFFERED_S), Press("9"), StayOn()])
        await settled(on)
        (update,) = on.world.rest.updates
        goodbye = find_clip(call.report.right, on.prompts.goodbye)
    assert update.form == {"Status": "completed"}
    assert goodbye is not None, "the goodbye was heard to its end"
    assert goodbye - 1000 * OFFERED_S <= HANDOVER_MS, "the key cuts the offer short"
    assert call.report.how_ended is HowEnded.COMPLETED_BY_REST
    assert call.end.outcome_reason == "script_ended"


# --- the model comes and goes ------------------------------------------------------------------------------------


async def test_a_model_that_comes_back_during_a_message_waits_for_its_end(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    away = [Rule(Refuse(), connection=number) for number in range(2, 10)]  # for some 16 s
    async with stage(tmp_path, speech, Rule(Cut(1011, after_ms=900), turn=2), *away) as on:
        call = await on.call(
            [
                Listen(),
                Say(on.said[PARKING]),
                Wait(14.6),
                Press("11"),
                Wait(0.5),
                Say(on.said[MESSAGE]),
                Listen(quiet_ms=1500),
                Say(on.said[WHITENING]),
                Listen(),
                HangUp(),
            ]
        )
        await settled(on)
        back_at = next(
            moment.at - call.began_at for moment in on.model.moments if moment.what == "opened" and moment.session == 10
        )
    (spoken,) = [said for said in call.report.said if said.text == MESSAGE]
    assert spoken.voiced_at < 1000 * back_at < spoken.voiced_until, "it came back in the middle of the message"
    (message,) = call.end.messages
    assert len(message.mulaw) >= 0.9 * len(on.said[MESSAGE].mulaw)
    assert lines(call)[-1] == "message_kept"
    kinds = [moment["kind"] for moment in call.end.document["timeline"]]
    assert kinds.index("model", kinds.index("model") + 1) > len(kinds) - 1 - kinds[::-1].index("script")
    assert "Teeth whitening" in call.said("agent")[-1]
    assert call.end.outcome_reason == "caller_hung_up"


async def test_a_model_that_is_lost_again_and_again_leaves_the_floor_to_the_script_for_good(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    """And the caller, who says nothing at all, is led to the end: no call goes on for ever."""
    async with stage(tmp_path, speech, Rule(Cut(1011, after_ms=300), times=None)) as on:
        call = await on.call([StayOn(timeout_s=300)])
        await settled(on)
        apology = on.prompts.apology
    assert len(on.model.sessions) == LOSSES_TOLERATED
    assert len(call.moments("model_lost")) == LOSSES_TOLERATED
    assert lines(call)[:LOSSES_TOLERATED] == ["apology"] * LOSSES_TOLERATED
    assert lines(call)[-1] == "goodbye"
    assert call.end.outcome_reason == "script_ended"
    assert call.report.how_ended is HowEnded.COMPLETED_BY_REST
    # Every silence is one in which the caller was asked for something.
    gaps = [after - before for (_, before), (after, _) in zip(sounds(call), sounds(call)[1:], strict=False)]
    asked_s = {LISTEN[state].for_first_s for state in (State.OFFER, State.RECORDING)}
    assert all(gap <= UNEXPLAINED_MS or any(abs(gap / 1000 - wait) < 0.3 for wait in asked_s) for gap in gaps)
    for lost in call.moments("model_lost"):
        told = find_clip(call.report.right, apology, after_ms=lost["at_ms"])
        assert told is not None
        assert told - lost["at_ms"] <= HANDOVER_MS


async def test_nothing_of_a_lost_model_is_heard_once_the_script_has_begun(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    """It had sent six seconds within a tenth of one: all but what the carrier holds is dropped."""
    async with stage(tmp_path, speech, Rule(Cut(1011, after_ms=6000), turn=2, times=1), pace=50.0) as on:
        call = await on.call([Listen(), Say(on.said[PARKING]), Listen(quiet_ms=1500), HangUp()])
        await settled(on)
        (lost,) = call.moments("model_lost")
        apology = find_clip(call.report.right, on.prompts.apology, after_ms=lost["at_ms"])
        assert apology is not None
        assert apology - lost["at_ms"] <= HANDOVER_MS
        # The apology was heard whole and alone: nothing was mixed into it, and nothing came between it and the model.
        began = [moment["at_ms"] for moment in call.moments("model")][1]
        over = apology + len(on.prompts.apology) / 8
    assert not [span for span in call.report.agent_sound if over + 50 < span[0] < began]
    cut = next(line for line in call.end.document["transcript"] if line["role"] == "agent" and line["cut"])
    assert len(cut["text"].split()) <= 3, "the transcript has what was heard, not what was sent"


# --- a tool that takes its time ----------------------------------------------------------------------------------


async def test_a_tool_that_takes_its_time_does_not_leave_the_caller_alone(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage(tmp_path, speech) as on:
        diary = on.world.composed.services.diary
        assert isinstance(diary, MemoryDiary)
        slow_down(diary, monkeypatch, seconds=7.5)
        call = await on.call([Listen(), Say(on.said[BOOKING]), Listen(quiet_ms=6000), HangUp()])
        await settled(on)
    fillers = [moment["text"] for moment in call.moments("filler")]
    assert fillers == ["I'm putting that into the calendar for you.", TENANT.script.company[0]]
    assert "Booked for Robin Lee" in call.said("agent")[-1]
    asked = call.report.said[0].voiced_until
    answered = next(moment["at_ms"] for moment in call.moments("tool_result"))
    heard = [asked, *(edge for span in call.report.agent_sound for edge in span if asked < edge), answered]
    quiet = [after - before for before, after in zip(heard[::2], heard[1::2], strict=False) if before < answered]
    assert max(quiet) <= 1000 * COMPANY_S + SLACK_MS, "a wait that was announced, and no longer"


# --- drain -------------------------------------------------------------------------------------------------------


async def test_a_worker_that_drains_finishes_its_calls_and_sends_new_ones_to_the_static_script(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    async with stage(tmp_path, speech) as on:
        new = []

        async def drain() -> None:
            await trio.sleep(3.0)
            on.world.shutdown.set()
            await trio.sleep(1.0)
            new.append(await on.world.call([StayOn()]))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(drain)
            report = await on.world.call(
                [Listen(), Say(on.said[PARKING]), Listen(), Say(on.said[WHITENING]), Listen(), HangUp()]
            )
        assert (report.streams, report.unanswered, report.gaps_ms) == (1, 0, ())
        assert report.how_ended is HowEnded.CALLER_HUNG_UP
        assert counted(on, "webhooks", path="voice", result="draining") == 1
        await trio.sleep(10.0)
        with pytest.raises(OSError, match="all attempts to connect"):
            await trio.open_tcp_stream(on.world.serving.host, on.world.serving.port)
        end = await on.end_of(report.call_sid)
        await settled(on)
    assert end.outcome_reason == "caller_hung_up"
    (other,) = new
    assert other.streams == 0
    assert [one.verb for one in other.said_by_static_verbs] == ["Say", "Dial"]
    assert other.said_by_static_verbs[0].text == TENANT.script.apology


async def test_a_call_that_outstays_the_drain_of_the_last_process_is_given_the_static_script(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    async with stage(tmp_path, speech, drain_s=5.0) as on:

        async def drain() -> None:
            await trio.sleep(3.0)
            on.world.shutdown.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(drain)
            report = await on.world.call([StayOn(timeout_s=40)])
        end = await on.end_of(report.call_sid)
        await settled(on)
    assert end.outcome_reason == "drained"
    assert [round(ended_ms, -2) for _, ended_ms in report.stream_spans] == [8000]
    assert [one.verb for one in report.said_by_static_verbs] == ["Say", "Dial"]
    assert report.said_by_static_verbs[0].text == TENANT.script.apology
