"""Callers who say nothing, and lines that never pause: the conversation does not wait for ever."""

from pathlib import Path

import numpy as np
import trio.testing

from engine.audio import g711
from engine.call.deadlines import ASKED_TWICE, LONGEST_TURN_S
from engine.sim.scenario import Clip, HangUp, Listen, Moment, Say, StayOn, Wait
from engine.voice.cache import VoiceCache
from tests.calls import PARKING, stage


async def test_a_silent_caller_is_asked_twice_and_then_the_call_ends(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    async with stage(tmp_path, speech) as on:
        call = await on.call([Listen(), StayOn(timeout_s=120)])
    assert len(call.moments("silence")) == ASKED_TWICE + 1
    assert call.end.outcome_reason == "agent_ended"
    assert call.report.how_ended == "completed_by_rest"
    asked = [commit for commit in on.model.sessions[0].commits if commit.transcript is None]
    assert len(asked) == 1 + ASKED_TWICE  # the greeting, and each question


async def test_a_caller_who_speaks_again_is_not_given_up(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    async with stage(tmp_path, speech) as on:
        moments: list[Moment] = [
            Listen(),
            Wait(30),
            Say(on.said[PARKING]),
            Listen(),
            Wait(30),
            Say(on.said[PARKING]),
            Listen(),
        ]
        call = await on.call([*moments, HangUp()])
    assert call.end.outcome_reason == "caller_hung_up"


async def test_a_line_that_never_pauses_is_answered_all_the_same(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    rng = np.random.default_rng(1)
    talk = g711.decode(speech.mulaw(PARKING)).astype(np.float64)
    babble = np.tile(talk, 40)[: 8000 * int(LONGEST_TURN_S + 15)] + rng.normal(0, 900, 8000 * int(LONGEST_TURN_S + 15))
    noise = Clip("noise", g711.encode(np.clip(babble, -32000, 32000).astype(np.int16)))
    async with stage(tmp_path, speech) as on:
        call = await on.call([Listen(), Say(noise), HangUp()])
    assert call.moments("endless")
    committed = call.moments("retrieved")[0]["at_ms"]
    assert any(moment["at_ms"] > committed for moment in call.moments("response"))
