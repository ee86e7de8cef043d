"""What callers say, and the ear that tells it apart by length alone."""

import random

import numpy as np
import pytest

from engine.audio import g711
from engine.loadtest.plan import Plan
from engine.loadtest.talk import BEGINNING, QUESTIONS, LengthEar, Talk, clips, endpointing_ms
from engine.sim.scenario import Clip, HangUp, Say, SayOver
from engine.voice.cache import VoiceCache

SILENCE = np.zeros(1600, np.int16)


@pytest.fixture(scope="module")
def said(speech: VoiceCache) -> tuple[Clip, ...]:
    return clips(speech)


def heard(clip: Clip) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    return np.concatenate((SILENCE, g711.decode(clip.mulaw), SILENCE, SILENCE))


def test_every_question_is_known_by_its_length(said: tuple[Clip, ...]) -> None:
    ear = LengthEar.of(said)
    assert [ear.hear(heard(clip), 8000) for clip in said] == list(QUESTIONS)


def test_a_click_is_no_question(said: tuple[Clip, ...]) -> None:
    assert LengthEar.of(said).hear(np.concatenate((SILENCE, np.full(160, 9000, np.int16), SILENCE)), 8000) is None


def test_all_of_them_begin_alike(said: tuple[Clip, ...]) -> None:
    ear = LengthEar.of(said)
    assert {ear.partial(g711.decode(clip.mulaw), 8000) for clip in said} == {BEGINNING}
    assert ear.partial(SILENCE[:800], 8000) is None


def test_the_end_of_speech_is_known_about_one_pause_after_it(said: tuple[Clip, ...]) -> None:
    for clip in said:
        # A word that dies away ("costs") is no speech to the detector long before it is silence to the ear.
        assert 200 < endpointing_ms(clip, pause_ms=500) < 560


def test_a_call_has_a_turn_every_four_seconds() -> None:
    short = (Clip("a short one", b"\xff" * 8 * 900),)
    moments = Talk.of(Plan(), short, random.Random(1), seconds=20).moments
    assert sum(isinstance(one, Say) for one in moments) == 5
    assert isinstance(moments[-1], HangUp)


def test_long_questions_are_fewer_so_that_a_call_lasts_as_long_as_planned() -> None:
    long = (
        Clip("a long one", b"\xff" * 8 * 3900),
    )  # 3.9 s, 0.5 to notice its end, 0.25 to think, 1.5 of answer, a rest
    moments = Talk.of(Plan(think_ms=250), long, random.Random(1), seconds=63.5).moments
    assert sum(isinstance(one, Say) for one in moments) == 10


def test_in_the_scenario_of_that_name_every_other_answer_is_interrupted(said: tuple[Clip, ...]) -> None:
    moments = Talk.of(Plan(scenario="barge-in"), said, random.Random(1), seconds=40).moments
    asked = [type(one) for one in moments if isinstance(one, Say | SayOver)]
    assert len(asked) >= 6
    assert (set(asked[::2]), set(asked[1::2])) == ({Say}, {SayOver})


def test_the_same_seed_is_the_same_call(said: tuple[Clip, ...]) -> None:
    plan = Plan(scenario="mixed")
    calls = [Talk.of(plan, said, random.Random(seed), seconds=60) for seed in (7, 7, 8)]
    assert calls[0] == calls[1] != calls[2]
