"""What Gemini is sent of the caller: once worked out for two streams, and bit for bit a streaming resampler's."""

import numpy as np

from engine.audio import g711
from engine.audio.resample import Resampler
from engine.model import gemini_sound
from engine.model.gemini_sound import CallerSound
from engine.wire import gemini_live as codec

SIZES = [2400, 800, 800, 160, 40, 5, 1, 30, 800, 320]


def windows(seed: int = 1) -> list[bytes]:
    noise = np.random.default_rng(seed)
    return [noise.integers(0, 256, size, dtype=np.uint8).tobytes() for size in SIZES]


def streamed(turn: list[bytes]) -> list[bytes]:
    resampler = Resampler(g711.SAMPLE_RATE_HZ, codec.INPUT_RATE_HZ)
    return [codec.audio_message(resampler.process(g711.decode(window)).tobytes()) for window in turn]


def test_at_the_telephones_own_rate_windows_go_as_they_are() -> None:
    sound, listener, turn = CallerSound(), CallerSound(8_000), windows()
    for window in turn:
        message = sound.message(window)
        assert message == codec.audio_message(g711.decode(window).astype("<i2").tobytes(), 8_000)
        assert b"rate=8000" in message
        assert listener.message(window) is message


def test_windows_become_what_one_resampler_makes_of_the_whole_turn() -> None:
    sound, turn = CallerSound(16_000), windows()
    assert [sound.message(window) for window in turn] == streamed(turn)
    sound.reset()
    assert [sound.message(window) for window in turn] == streamed(turn), "a turn follows nothing"


def test_a_second_stream_gets_the_very_same_message() -> None:
    model, listener = CallerSound(16_000), CallerSound(16_000)
    for window in windows(2):
        assert model.message(window) is listener.message(window)


def test_a_stream_that_missed_a_window_gets_its_own() -> None:
    model, listener, turn = CallerSound(16_000), CallerSound(16_000), windows(3)
    for window in turn[:2]:
        model.message(window)
    listener.message(turn[0])
    assert listener.message(turn[2]) != model.message(turn[2])
    again = Resampler(g711.SAMPLE_RATE_HZ, codec.INPUT_RATE_HZ)
    again.process(g711.decode(turn[0]))
    again.process(g711.decode(turn[2]))
    assert listener.message(turn[3]) == codec.audio_message(again.process(g711.decode(turn[3])).tobytes())


def test_what_is_kept_is_bounded() -> None:
    sound = CallerSound(16_000)
    for seed in range(20):
        for window in windows(10 + seed):
            sound.message(window)
    kept = gemini_sound._message.cache_info()
    assert kept.maxsize is not None
    assert kept.currsize <= kept.maxsize <= 256
