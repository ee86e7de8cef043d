"""What the demo is asked for, before any call is placed. The call itself is a check of its own: ``make demo``."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from engine.commands.demo import TENANT
from engine.config import Settings
from engine.sim.showcase_checks import SAYS, likeness
from engine.sim.stories import TO_ANYBODY, TO_SIMULATED, a_conversation, spoken, the_tour, with_provider
from engine.speech import weights
from engine.tenants import examples
from engine.voice.cache import VoiceCache
from tests.commands.conftest import Run

HARBOR = examples.load(TENANT)


def test_two_callers_at_once_are_refused(run: Run) -> None:
    ran = run("demo", "--say", "hello", "--wav", "x.wav")
    assert ran.status == 2
    assert "cannot both be the caller" in ran.err


@pytest.mark.parametrize("other", [("--say", "hello"), ("--wav", "x.wav"), ("--json",)])
def test_who_stays_is_the_caller(run: Run, other: tuple[str, ...]) -> None:
    ran = run("demo", "--stay", *other)
    assert ran.status == 2
    assert "you are the caller" in ran.err


def test_a_recording_that_cannot_be_played_is_one_line(run: Run, home: Path) -> None:
    (home / "x.wav").write_bytes(b"no sound")
    ran = run("demo", "--wav", "x.wav")
    assert (ran.status, ran.out) == (2, "")
    assert "x.wav: not a plain WAV file" in ran.err


def test_nothing_to_say_is_refused(run: Run) -> None:
    ran = run("demo", "--say", "hello", "--say", "  ")
    assert ran.status == 2
    assert "nothing to say" in ran.err


def test_without_a_key_or_a_voice_it_says_what_is_missing(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "available", lambda: False)
    ran = run("demo")
    assert ran.status == 2
    assert "not made for this platform" in ran.err
    assert "FRONTDESK_GEMINI_API_KEY" in ran.err


def test_the_tour_has_six_turns_that_the_simulated_model_cannot_understand(speech: VoiceCache) -> None:
    story = the_tour(HARBOR, speech)
    assert story.is_simulated
    assert story.tenant.models == ("gemini-live", "local")
    assert [clip.text for clip in story.asks] == [*TO_SIMULATED, *TO_ANYBODY]
    assert len(TO_ANYBODY) >= 6
    assert not set(TO_ANYBODY) & set(TO_SIMULATED)
    assert set(SAYS) < set(TO_ANYBODY)


def test_ones_own_words_go_to_the_local_voice_alone(speech: VoiceCache) -> None:
    story = a_conversation(HARBOR, spoken(speech, ("Where are you?",)))
    assert story.tenant.models == ("local",)
    assert not story.is_simulated
    assert story.settings["gemini_api_key"] is None


def test_a_key_puts_the_real_provider_in_the_same_place(speech: VoiceCache, home: Path) -> None:
    settings = Settings(openai_api_key=SecretStr("sk-x"))
    story = with_provider(HARBOR, spoken(speech, ("Where are you?",)), settings)
    assert not story.is_simulated
    assert story.tenant == HARBOR
    assert story.settings["openai_api_key"] == SecretStr("sk-x")
    assert story.settings["gemini_api_key"] is None
    assert str(story.settings["openai_url"]).startswith("wss://api.openai.com")


@pytest.mark.parametrize(
    ("understood", "alike"),
    [
        ("Thats all, thank you very much and good-bye", True),
        ("Do I have to climb any stairs?", False),
        ("", False),
    ],
)
def test_what_was_understood_is_compared_by_its_letters(understood: str, *, alike: bool) -> None:
    assert (likeness(TO_ANYBODY[-1], understood) > 0.9) is alike
