"""A whole call with the local voice alone, over real recognition and rendering: nothing said is a known phrase."""

from pathlib import Path

import trio.testing

from engine.sim.scenario import Clip, Listen, Say, SayOver, StayOn
from engine.sim.showcase_checks import likeness
from engine.speech.inline import InlineSpeech
from engine.voice.cache import VoiceCache
from tests.calls import TENANT, stage

CANCEL = "What happens if I cancel an appointment on short notice?"
HOLD_ON = "Wait, sorry, are you open on Saturday?"
BYE = "That's all, thank you and goodbye!"
LOCAL = TENANT.model_copy(update={"models": ("local",)})


def says(cache: VoiceCache, text: str) -> Clip:
    return Clip(text, cache.mulaw(text, pitch=0.86))


async def test_a_conversation_in_words_that_nobody_knew_before(
    tmp_path: Path, speech: VoiceCache, inline_speech: InlineSpeech, autojump_clock: trio.testing.MockClock
) -> None:
    cancel, hold_on, bye = (says(speech, text) for text in (CANCEL, HOLD_ON, BYE))
    async with stage(tmp_path, speech, tenant=LOCAL, local=inline_speech, gemini_api_key=None) as on:
        call = await on.call([Listen(), Say(cancel), SayOver(hold_on, after_ms=2500), Listen(), Say(bye), StayOn(10)])
    greeting, policy, *hours, goodbye = call.said("agent")
    assert greeting == LOCAL.greeting
    understood = call.said("caller")
    assert all(likeness(*pair) > 0.9 for pair in zip((CANCEL, HOLD_ON, BYE), understood, strict=True)), understood
    (cut,) = call.moments("cut")
    assert "24 hours" in cut["text"], "answered from the practice's own notes"
    assert cut["text"].startswith(policy), "the record has only what was heard of it"
    assert 2000 < cut["facts"]["heard_ms"] < cut["facts"]["of_ms"]
    assert "closed" in " ".join(hours).lower()
    assert "goodbye" in goodbye.lower()
    assert call.end.outcome_reason == "agent_ended", "it says goodbye, then puts the phone down"
    assert call.said("script") == []
    assert max(call.report.responses) < 900
    assert call.report.underruns == 0
    retrieved = [moment["facts"] for moment in call.moments("retrieved")]
    assert retrieved[0]["outcome"] == "Notes"
    assert all(facts.get("why") != "no query text" for facts in retrieved), "words were there in time"
