"""Files written are read back, in every kind that is taken; all others are refused with a reason."""

import wave
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.audio import g711, wav


def write(path: Path, samples: NDArray[np.int16], rate: int, *, channels: int = 1, width: int = 2) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return path


def tone(rate: int, hz: float = 600) -> NDArray[np.int16]:
    wave_form = np.sin(2 * np.pi * hz * np.arange(rate // 2) / rate)
    samples: NDArray[np.int16] = np.rint(9000 * wave_form).astype(np.int16)
    return samples


def test_both_sides_are_kept_and_the_shorter_is_followed_by_silence(tmp_path: Path) -> None:
    left, right = g711.encode(tone(8000)), g711.encode(tone(8000)[:1000])
    wav.write_stereo(tmp_path / "call.wav", left, right)
    with wave.open(str(tmp_path / "call.wav")) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate(), file.getnframes()) == (2, 2, 8000, 4000)
        samples = np.frombuffer(file.readframes(4000), dtype="<i2").reshape(-1, 2)
    np.testing.assert_array_equal(samples[:, 0], g711.decode(left))
    np.testing.assert_array_equal(samples[:1000, 1], g711.decode(right))
    assert not samples[1000:, 1].any()


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 48000])
def test_every_rate_comes_back_as_8_khz_and_not_shifted(tmp_path: Path, rate: int) -> None:
    read = wav.read_mono(write(tmp_path / "a.wav", tone(rate), rate)).astype(np.int32)
    assert read.size == 4000
    assert np.abs(read - tone(8000))[100:-100].max() <= 3


def test_stereo_is_mixed(tmp_path: Path) -> None:
    both = np.stack((tone(8000), -tone(8000)), axis=1)
    assert not wav.read_mono(write(tmp_path / "a.wav", both, 8000, channels=2)).any()


def test_empty_file_is_an_empty_array(tmp_path: Path) -> None:
    assert wav.read_mono(write(tmp_path / "a.wav", tone(16000)[:0], 16000)).size == 0


def test_file_cut_off_in_the_middle_of_a_sample_is_read_so_far(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", tone(8000), 8000)
    path.write_bytes(path.read_bytes()[:-7])
    assert wav.read_mono(path).size == 3996


@pytest.mark.parametrize(("rate", "channels", "width"), [(44100, 1, 2), (8000, 3, 2), (8000, 1, 1), (8000, 1, 4)])
def test_other_kinds_are_refused_by_name(tmp_path: Path, rate: int, channels: int, width: int) -> None:
    path = write(tmp_path / "a.wav", np.zeros(120, dtype=np.int16), rate, channels=channels, width=width)
    with pytest.raises(ValueError, match=f"is {8 * width}-bit, {channels} channels, {rate} Hz"):
        wav.read_mono(path)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"ID3 not a wave file at all, but long enough to look at"])
def test_what_is_no_wav_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="not a plain PCM WAV file"):
        wav.read_mono(path)
