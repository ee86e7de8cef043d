"""The detector behind its protocol, and the level meter."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.audio import g711
from engine.audio.vad import FAINTEST_SPEECH_DBFS, SILENT_DBFS, Vad, WebRtcVad, is_faint, level_dbfs, levels_dbfs
from engine.errors import MisuseError

TIME = np.arange(16000) / 8000


def vowel() -> bytes:
    """Two seconds of something voiced: a 120 Hz buzz through two formants, swelling four times a second."""
    harmonics = [(h * 120, math.exp(-(((h * 120 - 700) / 300) ** 2)) + 0.6 / h) for h in range(1, 28)]
    wave = sum(weight * np.sin(2 * np.pi * hz * TIME) for hz, weight in harmonics)
    swell = 0.6 + 0.4 * np.sin(2 * np.pi * 4 * TIME)
    return (wave * swell * 4000).astype(np.int16).tobytes()


def verdicts(vad: Vad, pcm: bytes) -> list[bool]:
    return [vad.is_speech(pcm[start : start + 320]) for start in range(0, len(pcm), 320)]


def test_a_voice_is_speech_and_silence_is_not() -> None:
    assert sum(verdicts(WebRtcVad(), vowel())) > 80
    assert sum(verdicts(WebRtcVad(), bytes(32000))) == 0


def test_streams_do_not_share_memory() -> None:
    first, second = WebRtcVad(), WebRtcVad()
    verdicts(first, vowel())
    assert verdicts(second, bytes(3200)) == [False] * 10


@pytest.mark.parametrize("size", [0, 160, 318, 640])
def test_other_frame_lengths_are_refused(size: int) -> None:
    with pytest.raises(MisuseError, match="320 bytes"):
        WebRtcVad().is_speech(bytes(size))


def test_unknown_mode_is_refused() -> None:
    with pytest.raises(MisuseError, match="0 to 3"):
        WebRtcVad(mode=4)


def test_level_of_known_signals() -> None:
    sine = np.rint(32767 * np.sin(2 * np.pi * 500 * TIME)).astype(np.int16)
    assert level_dbfs(sine) == pytest.approx(-3.01, abs=0.01)
    assert level_dbfs(sine // 10) == pytest.approx(-23.0, abs=0.1)
    assert level_dbfs(np.full(160, -32768, dtype=np.int16)) == pytest.approx(0.0)


def test_level_of_nothing_is_a_number() -> None:
    assert level_dbfs(np.zeros(160, dtype=np.int16)) == SILENT_DBFS
    assert level_dbfs(np.zeros(0, dtype=np.int16)) == SILENT_DBFS


@given(
    st.lists(
        st.binary(min_size=160, max_size=160) | st.binary(min_size=1, max_size=1).map(lambda b: b * 160), max_size=6
    )
)
def test_levels_of_many_frames_are_those_of_each(frames: list[bytes]) -> None:
    each = [level_dbfs(g711.decode(frame)) for frame in frames]
    assert levels_dbfs(g711.decode(b"".join(frames))) == pytest.approx(each, abs=1e-3)
    assert levels_dbfs(g711.decode(b"".join(frames) + b"\x00" * 159)) == pytest.approx(each, abs=1e-3)


@given(st.binary(min_size=160, max_size=160))
def test_what_is_as_loud_as_speech_is_not_faint(mulaw: bytes) -> None:
    """So that whoever knows the level need not ask."""
    assert level_dbfs(g711.decode(mulaw)) < FAINTEST_SPEECH_DBFS or not is_faint(mulaw)
    quiet = bytes(code | 0x60 for code in mulaw)
    assert level_dbfs(g711.decode(quiet)) < FAINTEST_SPEECH_DBFS or not is_faint(quiet)
