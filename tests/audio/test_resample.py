"""The resampler measured with tones, and cut into every kind of chunk."""

from typing import TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.audio.resample import Resampler
from engine.errors import MisuseError

Samples: TypeAlias = NDArray[np.int16]
PAIRS = [(8000, 16000), (16000, 8000), (24000, 8000), (8000, 24000), (48000, 8000), (24000, 48000)]
RATES = pytest.mark.parametrize(("source", "target"), PAIRS)


def tone(hz: float, rate: int, seconds: float = 1.0, amplitude: float = 16000.0) -> Samples:
    time = np.arange(round(rate * seconds)) / rate
    return np.rint(amplitude * np.sin(2 * np.pi * hz * time)).astype(np.int16)


def spectrum_db(pcm: Samples, amplitude: float = 16000.0) -> NDArray[np.float64]:
    """Level of each 1 Hz bin of the stream's second second, 0 dB being a sine of ``amplitude``."""
    rate = pcm.size // 2
    window = np.kaiser(rate, 20)
    lines = np.abs(np.fft.rfft(pcm[rate:] * window)) / (window.sum() / 2 * amplitude)
    levels: NDArray[np.float64] = 20 * np.log10(np.maximum(lines, 1e-9))
    return levels


def noise(size: int, seed: int = 7) -> Samples:
    return np.random.default_rng(seed).integers(-32768, 32768, size).astype(np.int16)


@RATES
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_any_split_gives_the_same_bits(source: int, target: int, data: st.DataObject) -> None:
    pcm = noise(data.draw(st.integers(0, 1500)))
    cuts = sorted(data.draw(st.lists(st.integers(0, pcm.size), max_size=12)))
    whole, pieces = Resampler(source, target), Resampler(source, target)
    parts = [pieces.process(part) for part in np.split(pcm, cuts)]
    assert np.concatenate([*parts, pieces.flush()]).tobytes() == (
        whole.process(pcm).tobytes() + whole.flush().tobytes()
    )


def test_single_samples_give_the_same_bits_as_one_call() -> None:
    pcm, whole, pieces = noise(400), Resampler(24000, 8000), Resampler(24000, 8000)
    parts = [pieces.process(pcm[i : i + 1]) for i in range(pcm.size)]
    assert [part.size for part in parts[:7]] == [1, 0, 0, 1, 0, 0, 1]
    np.testing.assert_array_equal(np.concatenate(parts), whole.process(pcm))


@RATES
def test_every_frame_in_is_a_full_frame_out_from_the_first_on(source: int, target: int) -> None:
    resampler, frame = Resampler(source, target), noise(source // 50)
    assert {resampler.process(frame).size for _ in range(9)} == {target // 50}


@pytest.mark.parametrize(("source", "target"), PAIRS[:4])
@pytest.mark.parametrize("hz", [300, 1000, 2000, 3000, 3400])
def test_telephone_band_passes_with_little_ripple(source: int, target: int, hz: int) -> None:
    levels = spectrum_db(Resampler(source, target).process(tone(hz, source, 2.0)))
    assert abs(levels[hz]) < 0.3 if hz == 3400 else abs(levels[hz]) < 0.02


@pytest.mark.parametrize(("source", "hz"), [(s, f) for s in (16000, 24000) for f in range(4100, s // 2, 370)])
def test_what_would_alias_is_rejected_by_60_db(source: int, hz: int) -> None:
    levels = spectrum_db(Resampler(source, 8000).process(tone(hz, source, 2.0)))
    assert levels.max() < -60


@pytest.mark.parametrize("target", [16000, 24000])
@pytest.mark.parametrize("hz", [300, 1000, 2200, 3400, 3900])
def test_images_are_rejected_by_60_db(target: int, hz: int) -> None:
    levels = spectrum_db(Resampler(8000, target).process(tone(hz, 8000, 2.0)))
    assert levels[4000:].max() < -60


def test_borders_of_odd_chunks_do_not_click() -> None:
    resampler, pcm = Resampler(24000, 8000), tone(1000, 24000, 2.0)
    levels = spectrum_db(np.concatenate([resampler.process(part) for part in np.array_split(pcm, 271)]))
    levels[980:1020] = -200  # the tone itself
    assert levels.max() < -90


def test_delay_is_what_it_says_and_flush_brings_out_the_rest() -> None:
    resampler = Resampler(8000, 16000)
    pcm = np.zeros(160, dtype=np.int16)
    pcm[150] = 20000
    out = np.concatenate((resampler.process(pcm), resampler.flush()))
    assert resampler.delay_ms == 3.0
    assert out.size == 320 + 48
    assert int(np.argmax(np.abs(out))) == 2 * 150 + 48


def test_reset_and_flush_leave_nothing_behind() -> None:
    fresh, used = Resampler(24000, 8000), Resampler(24000, 8000)
    expected = fresh.process(noise(500))
    used.process(noise(77, seed=1))
    used.reset()
    np.testing.assert_array_equal(used.process(noise(500)), expected)
    used.flush()
    np.testing.assert_array_equal(used.process(noise(500)), expected)


def test_overshoot_is_clipped_and_not_wrapped() -> None:
    square = np.repeat(np.array([32767, -32768] * 20, dtype=np.int16), 40)
    out = Resampler(8000, 16000).process(square).astype(np.int32)
    expected = np.repeat(square, 2)
    middle = out.size // 2 + 48 + np.arange(20, 60)  # inside one half wave, past the filter's delay
    assert out.max() == 32767
    assert out.min() == -32768
    assert (np.sign(out[middle]) == np.sign(expected[middle - 48])).all()


def test_equal_rates_pass_untouched_and_without_delay() -> None:
    resampler, pcm = Resampler(8000, 8000), noise(333)
    np.testing.assert_array_equal(resampler.process(pcm), pcm)
    assert resampler.delay_ms == 0
    assert not resampler.flush().size


@pytest.mark.parametrize(("source", "target"), [(16000, 24000), (44100, 8000), (8000, 0)])
def test_other_ratios_are_refused(source: int, target: int) -> None:
    with pytest.raises(MisuseError, match="whole ratios"):
        Resampler(source, target)
