import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.audio import g711
from engine.errors import MisuseError
from engine.sim.tones import CLIPS, ToneVoice, identify, tone_clip

indexes = st.integers(0, CLIPS - 1)


@given(index=indexes, rate=st.sampled_from([8000, 16000, 24000]), ms=st.integers(60, 700))
@settings(max_examples=60, deadline=None)
def test_every_clip_is_recognised_at_every_rate(index: int, rate: int, ms: int) -> None:
    assert identify(tone_clip(index, ms, rate), rate) == index


@given(index=indexes, seed=st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_a_clip_survives_the_telephone(index: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    line = np.concatenate([np.zeros(1600, np.int16), tone_clip(index, 600), np.zeros(2000, np.int16)])
    frames = line[: len(line) // 160 * 160].reshape(-1, 160).copy()
    frames[random.random(len(frames)) < 0.05] = 0
    heard = g711.decode(g711.encode(frames.reshape(-1)))
    # Every second sample a straight line between its neighbours: a crude 8 to 16 kHz.
    wide = np.interp(np.arange(2 * len(heard)) / 2, np.arange(len(heard)), heard).astype(np.int16)
    assert identify(wide, 16000) == index


@pytest.mark.parametrize("rate", [8000, 16000])
def test_silence_noise_and_a_single_tone_are_none_of_ours(rate: int) -> None:
    noise = np.random.default_rng(1).normal(0, 3000, rate).astype(np.int16)
    dial_tone = (8000 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)).astype(np.int16)
    others: list[NDArray[np.int16]] = [np.zeros(rate, np.int16), noise, dial_tone, np.zeros(0, np.int16)]
    assert [identify(pcm, rate) for pcm in others] == [None] * 4


def test_two_clips_at_once_are_neither() -> None:
    first, second = 0, CLIPS - 1
    assert identify((tone_clip(first, 400) // 2 + tone_clip(second, 400) // 2).astype(np.int16), 8000) is None


@pytest.mark.parametrize("index", [-1, CLIPS])
def test_a_clip_that_does_not_exist_is_refused(index: int) -> None:
    with pytest.raises(MisuseError, match="does not exist"):
        tone_clip(index, 100)


async def test_a_tone_voice_says_each_text_in_its_own_clip() -> None:
    voice = ToneVoice(ms_per_word=100)
    said = await voice("We open at nine.")
    assert len(said) == 4 * 2400
    assert identify(said, 24000) == voice.index_of("We open at nine.") != voice.index_of("We open at ten.")
