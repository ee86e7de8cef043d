"""The stream breaks while the caller stays on: the call comes back where it stood, and the caller is told at once."""

from pathlib import Path

import pytest
import trio
import trio.testing

from engine.server import reception
from engine.sim.brain import GroundedBrain, ToolWish
from engine.sim.carrier_call import HowEnded
from engine.sim.carrier_rest import Mood as RestMood
from engine.sim.moods import Refuse, Rule
from engine.sim.network import Hole
from engine.sim.recognise import find_clip
from engine.sim.scenario import Ending, HangUp, Listen, LoseStream, Moment, Press, Say, StayOn, Wait
from engine.sim.world import CALLER
from engine.store.diary import MemoryDiary
from engine.voice.cache import VoiceCache
from tests.adversity.crowd import counted, crashes, ends_counted, slow_down
from tests.adversity.raw_stream import post, verbs
from tests.calls import BOOKING, BYE, HOLD_ON, MESSAGE, PARKING, TENANT, WHITENING, Call, Stage, stage

BREAKS = (Ending.RESET, Ending.CLOSE_ONLY, Ending.HALF_OPEN)
FIRST_SOUND_MS = 150  # from the carrier's new stream to the apology in the caller's ear
SILENCE_MS = 2000


def first_sounds_ms(call: Call) -> list[float]:
    """For each new stream after the first: how long until the caller heard something."""
    lines = [moment["at_ms"] for moment in call.moments("line")][1:]
    return [next(start for start, _ in call.report.agent_sound if start > at) - at for at in lines]


def was_told(on: Stage, call: Call, times: int = 1) -> bool:
    """The caller heard the apology, whole, once for each new stream."""
    heard_at = -1.0
    for _ in range(times):
        found = find_clip(call.report.right, on.prompts.apology, after_ms=heard_at + 1)
        if found is None:
            return False
        heard_at = found
    return True


@pytest.mark.parametrize("how", BREAKS, ids=lambda how: how.value)
async def test_a_call_whose_stream_breaks_in_an_answer_goes_on_from_there(
    how: Ending, tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    async with stage(tmp_path, speech) as on:
        call = await on.call(
            [
                Listen(),
                Say(on.said[HOLD_ON]),
                Listen(),
                Say(on.said[PARKING]),
                Wait(4.0),
                LoseStream(how),
                Listen(quiet_ms=1500),
                Say(on.said[WHITENING]),
                Listen(),
                HangUp(),
            ]
        )
        assert was_told(on, call)
        assert crashes(on) == 0
        assert ends_counted(on) == 1
    assert call.report.streams == 2
    assert [moment["facts"]["attempt"] for moment in call.moments("line")] == [0, 1]
    assert all(0 < ms <= FIRST_SOUND_MS for ms in first_sounds_ms(call))
    assert call.report.longest_silence_ms is not None
    assert call.report.longest_silence_ms <= SILENCE_MS
    # One transcript, in order, and of the answer that was cut off only what was heard: 3.4 s of 11.
    roles = [line["role"] for line in call.end.document["transcript"]]
    assert roles == ["agent", "caller", "agent", "caller", "agent", "script", "agent", "caller", "agent"]
    before, again = call.said("agent")[2:4]
    assert again.startswith(before)
    assert 0.15 < len(before) / len(again) < 0.45
    assert call.said("caller") == [HOLD_ON, PARKING, WHITENING]
    # The same conversation at the model, too: resumed, and asked to go on from what the caller had heard.
    first, second = on.model.sessions
    assert not first.resumed
    assert second.resumed
    assert before in " ".join(note.text for note in second.commits[0].notes)
    assert on.model.protocol_faults == []


async def test_a_model_that_does_not_know_the_call_any_more_is_told_what_was_said(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    refused = Rule(Refuse("close", code=1008, reason="the session is not known"), connection=2)
    async with stage(tmp_path, speech, refused) as on:
        call = await on.call(
            [Listen(), Say(on.said[PARKING]), Wait(4.0), LoseStream(), Listen(quiet_ms=1500), HangUp()]
        )
        assert was_told(on, call)
    assert all(0 < ms <= FIRST_SOUND_MS for ms in first_sounds_ms(call))
    last = on.model.sessions[-1]
    assert not last.resumed
    assert PARKING in [said.text for said in last.history if said.role == "user"]
    assert "Parking is free" in call.said("agent")[-1]


async def test_a_line_on_which_nothing_comes_any_more_is_taken_up_anew(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    """Five seconds are borne, ten are not: our side gives the line up, and the carrier brings the caller back."""
    async with stage(tmp_path, speech) as on:
        call = await on.call(
            [Listen(), Wait(10.0), Listen(quiet_ms=1500), Say(on.said[PARKING]), Listen(), HangUp()],
            network=Hole(trio.current_time() + 4.0, 13.0, kept=False),
        )
        assert was_told(on, call)
        assert ends_counted(on) == 1
        assert crashes(on) == 0
    assert call.report.streams == 2
    assert all(0 < ms <= FIRST_SOUND_MS for ms in first_sounds_ms(call))
    assert call.said("caller") == [PARKING]
    assert "Parking is free" in call.said("agent")[-1]
    assert call.end.outcome_reason == "caller_hung_up"


@pytest.mark.parametrize("how", BREAKS, ids=lambda how: how.value)
async def test_a_call_that_breaks_again_and_again_is_given_to_the_static_script(
    how: Ending, tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    async with stage(tmp_path, speech) as on:
        again: list[Moment] = [LoseStream(how), Wait(3.0)]
        call = await on.call([Listen(), *again, *again, *again, LoseStream(how), StayOn()])
        told = was_told(on, call, times=reception.RECOVERIES)
        assert ends_counted(on) == 1
        assert crashes(on) == 0
        assert counted(on, "webhooks", path="recover", result="recover") == reception.RECOVERIES
        assert counted(on, "webhooks", path="recover", result="given_up") == 1
    assert told
    assert call.report.streams == 1 + reception.RECOVERIES
    assert all(0 < ms <= FIRST_SOUND_MS for ms in first_sounds_ms(call))
    assert [one.verb for one in call.report.said_by_static_verbs] == ["Say", "Dial"]
    assert call.report.how_ended is HowEnded.TWIML_ENDED
    assert call.end.outcome_reason in {"line_broken", "line_silent"}


@pytest.mark.parametrize(("write_s", "silence_ms"), [(1.5, SILENCE_MS), (3.0, 3500)])
async def test_a_stream_that_breaks_during_a_write_neither_loses_nor_repeats_it(
    write_s: float,
    silence_ms: float,
    tmp_path: Path,
    speech: VoiceCache,
    autojump_clock: trio.testing.MockClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The new stream waits until the old one's call has let go: as long as the write takes, where that is longer."""
    for how in BREAKS:
        async with stage(tmp_path / how.value, speech) as on:
            diary = on.world.composed.services.diary
            assert isinstance(diary, MemoryDiary)
            begun, done = slow_down(diary, monkeypatch, seconds=write_s)
            call = await on.call(
                [Listen(), Say(on.said[BOOKING]), Wait(1.2), LoseStream(how), Listen(quiet_ms=1500), HangUp()]
            )
            booked = await diary.find(TENANT.id, CALLER)
            assert crashes(on) == 0
            assert ends_counted(on) == 1
        assert len(begun) == len(done) == len(booked) == 1
        assert call.report.streams == 2
        assert any("Booked for Robin Lee" in text for text in call.said("agent"))
        assert call.report.longest_silence_ms is not None
        assert call.report.longest_silence_ms <= silence_ms


async def test_a_stream_that_breaks_in_a_message_keeps_it(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    gone = [Rule(Refuse(), connection=number) for number in range(1, 80)]
    async with stage(tmp_path, speech, *gone) as on:
        call = await on.call(
            [
                Wait(18),
                Press("11"),
                Wait(0.5),
                Say(on.said[MESSAGE]),
                LoseStream(),
                Listen(quiet_ms=1000),
                HangUp(),
            ]
        )
        assert was_told(on, call)
    assert len(call.end.messages) == 1
    assert len(call.end.messages[0].mulaw) >= 0.9 * len(on.said[MESSAGE].mulaw)


# --- ends that were meant ----------------------------------------------------------------------------------------


async def test_a_call_that_we_ended_is_hung_up_though_the_carriers_interface_is_down(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    brain = GroundedBrain(wishes={"goodbye": ToolWish("end_call", {"reason": "done"})})
    async with stage(tmp_path, speech, brain=brain) as on:
        on.world.rest.script([RestMood.UNAVAILABLE] * 3)
        call = await on.call([Listen(), Say(on.said[BYE]), StayOn()])
        assert ends_counted(on) == 1
        assert counted(on, "webhooks", path="recover", result="hang_up") == 1
    assert call.report.how_ended is HowEnded.TWIML_ENDED
    assert call.report.streams == 1
    assert call.end.outcome_reason == "agent_ended"


async def test_a_caller_who_hung_up_is_not_called_back_by_a_late_recovery(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    async with stage(tmp_path, speech) as on:
        call = await on.call([Listen(), HangUp()])
        assert verbs(await post(on, "recover", call.end.call_sid)) == ["Hangup"]
        assert ends_counted(on) == 1


# --- a webhook that comes again ----------------------------------------------------------------------------------


async def test_a_repeated_webhook_of_a_live_call_changes_nothing_where_its_answer_is_dropped(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    async with stage(tmp_path, speech) as on:
        answers = []

        async def repeat() -> None:
            await trio.sleep(3.0)
            (live,) = on.world.composed.switchboard.statistics().calls
            answers.append(verbs(await post(on, "voice", live.call_sid)))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(repeat)
            report = await on.world.call([Listen(), Say(on.said[PARKING]), Listen(), HangUp()])
        await on.end_of(report.call_sid)
    assert answers == [["Pause", "Redirect"]]
    assert (report.streams, report.unanswered, report.gaps_ms) == (1, 0, ())


async def test_a_repeated_webhook_of_a_live_call_that_is_followed_brings_the_call_back(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    """The carrier drops the first document and its stream with a ``stop`` that nobody meant."""
    async with stage(tmp_path, speech) as on:

        async def repeat() -> None:
            await trio.sleep(12.0)
            (live,) = on.world.composed.switchboard.statistics().calls
            answer = await post(on, "voice", live.call_sid)
            carrier = on.world.composed.services.carrier
            assert carrier is not None
            await carrier.redirect_call(live.call_sid, answer.text)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(repeat)
            call = await on.call(
                [
                    Listen(),
                    Say(on.said[PARKING]),
                    Wait(6.0),
                    Listen(quiet_ms=1500),
                    Say(on.said[WHITENING]),
                    Listen(),
                    HangUp(),
                ]
            )
        assert was_told(on, call)
        assert ends_counted(on) == 1
        assert crashes(on) == 0
    assert call.report.streams == 2
    assert call.end.outcome_reason == "caller_hung_up"
    assert call.said("caller") == [PARKING, WHITENING]
    (back_at,) = (moment["at_ms"] for moment in call.moments("line")[1:])
    last_heard = max(end for _, end in call.report.agent_sound if end <= back_at)
    assert back_at + first_sounds_ms(call)[0] - last_heard <= SILENCE_MS
