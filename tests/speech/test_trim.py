import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.audio import g711
from engine.speech.trim import LONGEST_S, in_parts, spoken
from engine.voice.cache import VoiceCache

RATE = g711.SAMPLE_RATE_HZ


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 80), st.integers(0, 7999))
def test_parts_are_the_whole_again(seconds: int, rest: int) -> None:
    pcm = np.random.default_rng(seconds).integers(-900, 900, seconds * RATE + rest).astype(np.int16)
    parts = in_parts(pcm)
    assert np.array_equal(np.concatenate(parts), pcm)
    assert all(part.size <= LONGEST_S * RATE for part in parts)


def test_cut_is_made_in_a_pause() -> None:
    pcm = np.random.default_rng(1).integers(-9000, 9000, 30 * RATE).astype(np.int16)
    pcm[18 * RATE : 19 * RATE] = 0
    first, _ = in_parts(pcm)
    assert 18.1 < first.size / RATE < 18.9


def test_silence_around_speech_is_taken_away(speech: VoiceCache) -> None:
    sound = speech.mulaw("Hi there, is there somewhere I can park?")
    trimmed = spoken(g711.decode(g711.silence(3000) + sound + g711.silence(3000)))
    assert len(sound) - 0.2 * RATE < trimmed.size < len(sound) + 0.4 * RATE


def test_beginning_of_a_growing_sound_stays_where_it_is(speech: VoiceCache) -> None:
    # Else an earlier reading would be of another sound, and its draft of no help.
    sound = g711.silence(300) + speech.mulaw("Hi there, is there somewhere I can park?")
    early, late = spoken(g711.decode(sound[: 2 * RATE])), spoken(g711.decode(sound))
    assert np.array_equal(early[:RATE], late[:RATE])
