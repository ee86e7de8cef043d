"""Whole calls in which the script greets, or says all there is said: recorded as any other, once that was heard."""

from pathlib import Path

import pytest
import trio
import trio.testing

from engine.audio import g711
from engine.recording.consent import was_heard
from engine.recording.files import RecordingFiles
from engine.sim.moods import Cut, Refuse, Rule
from engine.sim.recognise import find_clip
from engine.sim.scenario import HangUp, Listen, Say, Wait
from engine.voice.cache import VoiceCache
from tests.calls import MESSAGE, PARKING, cache_dir, stage
from tests.recording.test_calls import CONSENT, RECORDED, SECRET, fates, recorded

WITHOUT_MODEL = RECORDED.model_copy(update={"models": ()})
OFFERED_S = 18.0  # greeting, consent and offer have been said, and the script listens


def between(one_ms: float | None, other_ms: float | None) -> float:
    assert one_ms is not None
    assert other_ms is not None
    return other_ms - one_ms


async def test_a_call_that_the_script_serves_alone_is_recorded_once_its_greeting_was_heard(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    async with stage(tmp_path, speech, tenant=WITHOUT_MODEL, secret_key=SECRET) as on:
        call, caller, agent = await recorded(on, speech, [Wait(OFFERED_S), Say(on.said[MESSAGE]), Wait(4), HangUp()])
        ear, mouth = call.report.right, call.report.left
        assert find_clip(agent, on.prompts.greeting) is None, "it was before"
        apart_ms = [
            between(find_clip(agents, on.prompts.offer_person), find_clip(callers, on.said[MESSAGE].mulaw))
            for agents, callers in ((agent, caller), (ear, mouth))
        ]
    assert apart_ms[0] == pytest.approx(apart_ms[1], abs=100), "begun into the offer, and in step with the caller"
    assert was_heard(CONSENT, call.said("script")[:1])


async def test_a_call_that_the_script_greets_and_a_model_goes_on_with_is_told_of_it_once(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    refused = [Rule(Refuse(), connection=number) for number in range(1, 4)]
    async with stage(tmp_path, speech, *refused, tenant=RECORDED, secret_key=SECRET) as on:
        call, caller, _ = await recorded(
            on, speech, [Wait(20), Listen(), Say(on.said[PARKING]), Listen(), Wait(1), HangUp()]
        )
        assert find_clip(caller, on.said[PARKING].mulaw) is not None
    assert call.moments("model"), "a model came in the end"
    told = [text for role in ("script", "agent") for text in call.said(role) if was_heard(CONSENT, [text])]
    assert len(told) == 1


async def test_a_caller_who_hangs_up_into_the_scripts_greeting_is_not_recorded(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    async with stage(tmp_path, speech, tenant=WITHOUT_MODEL, secret_key=SECRET) as on:
        whole_s = len(on.prompts.greeting) / g711.SAMPLE_RATE_HZ
        call = await on.call([Wait(whole_s - 0.3), HangUp()])
        assert call.report.agent_sound, "it was being said"
        assert fates(on) == {"no_consent": 1.0}
    assert not RecordingFiles(cache_dir(speech)).path(RECORDED.id, call.report.call_sid, 0).exists()


@pytest.mark.parametrize("handle_is_good", [True, False], ids=["resumed", "afresh"])
async def test_what_a_lost_greeting_did_not_come_to_is_said_by_whoever_goes_on(
    handle_is_good: bool, tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    refuse = [] if handle_is_good else [Rule(Refuse(), connection=2)]
    cut = Rule(Cut(1011, after_ms=700), connection=1, turn=1)
    async with stage(tmp_path, speech, cut, *refuse, tenant=RECORDED, secret_key=SECRET) as on:
        call, caller, _ = await recorded(on, speech, [Wait(20), Say(on.said[PARKING]), Listen(), Wait(1), HangUp()])
        assert find_clip(caller, on.said[PARKING].mulaw) is not None
    agent = call.said("agent")
    assert not was_heard(CONSENT, agent[:1]), "it was cut before"
    assert was_heard(CONSENT, agent[1:])
