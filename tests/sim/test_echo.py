"""The simulated line's echo: as late and as faint as it was told, and only of what was in the ear."""

import numpy as np
import pytest

from engine.audio import g711
from engine.audio.vad import level_dbfs
from engine.errors import MisuseError
from engine.sim.echo import EchoPath
from engine.sim.playback import Playback

NOISE = g711.encode((np.random.default_rng(1).normal(0, 4000, 8000)).astype(np.int16))


def echoed(path: EchoPath, playback: Playback, frames: int) -> np.ndarray:
    line = b"".join(path.mix(b"\xff" * 160, 20.0 * n, playback.between) for n in range(frames))
    return g711.decode(line)


@pytest.mark.parametrize(("loss_db", "delay_ms"), [(12, 20), (20, 237), (30, 400)])
def test_it_comes_back_as_late_and_as_faint_as_it_was_told(loss_db: float, delay_ms: float) -> None:
    playback = Playback(0.0)
    playback.push(NOISE, 0.5)
    line = echoed(EchoPath(loss_db, delay_ms, seed=3), playback, 120)
    begins = int(8 * (500 + delay_ms))
    assert not line[: begins - 8].any()
    during = line[begins + 80 : begins + 7900]
    assert level_dbfs(during) == pytest.approx(level_dbfs(g711.decode(NOISE)) - loss_db, abs=1.5)
    assert not line[begins + 8100 :].any()


def test_the_callers_own_voice_is_left_as_it_is() -> None:
    assert EchoPath(12, 100).mix(NOISE[:160], 0.0, Playback(0.0).between) == NOISE[:160]


def test_what_was_cleared_does_not_come_back() -> None:
    playback = Playback(0.0)
    playback.push(NOISE, 0.0)
    playback.clear(0.1)
    line = echoed(EchoPath(12, 50), playback, 60)
    assert line[400:1100].any()
    assert not line[1300:].any()


def test_an_echo_before_its_sound_is_refused() -> None:
    with pytest.raises(MisuseError):
        EchoPath(12, -1)
