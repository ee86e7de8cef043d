"""The model is lost in every way the first issue names: the script sounds within half a second, without a gap.

Measured by the simulated caller at its playback head, in virtual time: the engine's own delays, not the machine's.
"""

from pathlib import Path

import pytest
import trio.testing

from engine.sim.moods import Cut, Garbled, Mood, Refuse, Rule, Silent
from engine.sim.recognise import find_clip
from engine.sim.scenario import HangUp, Listen, Press, Say, StayOn, Wait
from engine.tenants.tenant import Timing
from engine.voice.cache import VoiceCache
from tests.calls import MESSAGE, PARKING, TENANT, Call, Stage, stage

HANDOVER_MS = 500
GAP_MS = 60
SLACK_MS = 25  # a tick of each plane


def heard_at(call: Call, sound: bytes, *, after_ms: float = 0) -> float:
    found = find_clip(call.report.right, sound, after_ms=after_ms)
    assert found is not None, "the caller never heard it"
    return found


def moment_ms(on: Stage, call: Call, what: str) -> float:
    return next(1000 * (moment.at - call.began_at) for moment in on.model.moments if moment.what == what)


@pytest.mark.parametrize(
    "mood",
    [Cut(1011, after_ms=900), Cut(1006, after_ms=900), Cut(1007, after_ms=900), Cut(1008, after_ms=0), Cut(1000)],
    ids=["1011", "reset", "1007", "1008 before any sound", "1000"],
)
@pytest.mark.parametrize("pace", [1.0, 3.0])
async def test_a_cut_model_is_followed_by_the_script_without_a_gap(
    mood: Mood, pace: float, tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    async with stage(tmp_path, speech, Rule(mood, turn=2), pace=pace) as on:
        call = await on.call([Listen(), Say(on.said[PARKING]), Listen(quiet_ms=1500), HangUp()])
        cut_ms = moment_ms(on, call, "cut")
        apology_ms = heard_at(call, on.prompts.apology, after_ms=cut_ms)
    assert apology_ms - cut_ms <= HANDOVER_MS
    assert all(gap <= GAP_MS for gap in call.report.gaps_ms)
    # The model comes back and answers what was cut off, from that turn's notes.
    assert len([session for session in on.model.sessions if session.setup is not None]) == 2
    assert "Parking is free" in " ".join(call.said("agent")[-1:])
    assert call.report.longest_silence_ms is not None
    assert call.report.longest_silence_ms <= 2000


async def test_a_silent_model_is_given_a_filler_and_then_the_script(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    async with stage(tmp_path, speech, Rule(Silent(), turn=2)) as on:
        call = await on.call([Listen(), Say(on.said[PARKING]), Listen(quiet_ms=2500), HangUp()])
        filler, *_ = call.moments("filler")
        (lost,) = call.moments("model_lost")
        line_ms = call.moments("line")[0]["at_ms"]
        apology_ms = heard_at(call, on.prompts.apology)
    assert filler["text"] == TENANT.script.filler
    assert lost["facts"]["kind"] == "stalled"
    began_ms = apology_ms - (lost["at_ms"] - line_ms)
    # The line's clock starts when its stream does; the phone's with the ring: the difference is the set-up.
    assert began_ms <= HANDOVER_MS + 500
    committed = next(m for m in call.moments("retrieved"))["at_ms"]
    assert lost["at_ms"] - committed == pytest.approx(Timing().stall_after_ms, abs=100)
    assert call.report.longest_silence_ms is not None
    assert call.report.longest_silence_ms <= 2000 + SLACK_MS


@pytest.mark.parametrize(
    "kind", ["invalid_json", "wrong_shape", "bad_base64", "odd_pcm", "huge_frame"], ids=lambda kind: kind
)
async def test_a_model_that_talks_garbage_is_lost(
    kind: str, tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    garbled = Garbled(kinds=(kind,), repeat=8, instead=True)  # type: ignore[arg-type]
    async with stage(tmp_path, speech, Rule(garbled, turn=2)) as on:
        call = await on.call([Listen(), Say(on.said[PARKING]), Listen(quiet_ms=1500), HangUp()])
        (lost,) = call.moments("model_lost")
        script = call.moments("script")[0]
        apology_ms = heard_at(call, on.prompts.apology)
    assert lost["facts"]["kind"] in {"garbled", "closed"}
    assert script["at_ms"] - lost["at_ms"] <= 5
    mood_ms = moment_ms(on, call, "mood")
    assert apology_ms - mood_ms <= HANDOVER_MS + 250  # the model's own thinking time lies between


async def test_a_model_that_cannot_be_reached_leaves_the_greeting_to_the_script(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    for how in ("reset", "http", "close"):
        refuse = Rule(Refuse(how), times=3)
        async with stage(tmp_path / how, speech, refuse) as on:
            call = await on.call([Listen(quiet_ms=1500), Say(on.said[PARKING]), Listen(quiet_ms=1500), HangUp()])
            greeting_ms = heard_at(call, on.prompts.greeting)
        assert greeting_ms <= HANDOVER_MS
        assert all(gap <= GAP_MS for gap in call.report.gaps_ms)
        assert call.end.outcome_reason == "caller_hung_up"


async def test_a_model_that_never_comes_back_ends_in_a_kept_message(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    gone = [Rule(Refuse(), connection=number) for number in range(2, 60)]
    async with stage(tmp_path, speech, Rule(Cut(1011, after_ms=500), turn=2), *gone) as on:
        call = await on.call(
            [
                Listen(),
                Say(on.said[PARKING]),
                Wait(18),
                Press("1"),
                Listen(quiet_ms=600),
                Say(on.said[MESSAGE]),
                StayOn(),
            ]
        )
    assert call.end.outcome_reason == "message_taken"
    assert call.end.outcome_class == "upstream"
    (message,) = call.end.messages
    assert len(message.mulaw) >= len(on.said[MESSAGE].mulaw) * 0.9
    assert call.report.how_ended == "completed_by_rest"
    assert "message_kept" in [moment["facts"]["line"] for moment in call.moments("script")]
