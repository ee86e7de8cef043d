"""What was played when, and whether a frame can be its echo."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.audio import g711
from engine.audio.carrier_queue import CarrierQueue
from engine.audio.echo import ECHO_S, LEAST_LOSS_DB, EchoGuard, PlayedSound
from engine.audio.vad import level_dbfs


def tone(ms: int, dbfs: float) -> bytes:
    peak = round(32768 * 10 ** (dbfs / 20))
    return g711.encode(np.resize(np.array([peak, -peak], np.int16), 8 * ms))


def playing(*pieces: tuple[int, float]) -> PlayedSound:
    """From 0 s on: milliseconds and level of each."""
    played, at = PlayedSound(), 0.0
    for ms, dbfs in pieces:
        played.add(tone(ms, dbfs), at, 0.0)
        at += ms / 1000
    return played


def test_levels_are_those_of_the_blocks_that_sounded_then() -> None:
    played = playing((100, -20), (100, -40))
    assert played.levels(0.05, 0.15) == pytest.approx([-20, -20, -20, -40, -40, -40], abs=0.5)
    assert played.levels(0.2, 9) == []
    assert played.until == pytest.approx(0.2)


def test_what_was_cleared_was_not_played() -> None:
    played = playing((100, -20), (100, -30), (100, -10))
    played.clear(0.15)
    assert len(played.levels(0, 9)) == 7
    assert max(played.levels(0.1, 9)) == pytest.approx(-30, abs=0.5)
    assert played.until == 0.15


@given(st.lists(st.tuples(st.sampled_from(["send", "wait", "clear"]), st.integers(1, 30)), max_size=40))
def test_it_knows_what_a_carrier_played(steps: list[tuple[str, int]]) -> None:
    """Against a model that writes each 20 ms block down as it is played."""
    queue, now = CarrierQueue(), 100.0
    waiting: list[float] = []
    heard: list[tuple[float, float]] = []
    for number, (what, count) in enumerate(steps):
        if what == "send":
            level = -10.0 - number % 40
            queue.send(tone(20 * count, level), now)
            waiting += [level] * count
        elif what == "clear":
            queue.clear(now)
            waiting.clear()
        for _ in range(count if what == "wait" else 0):
            if waiting:
                heard.append((now, waiting.pop(0)))
            now += 0.02
    recent = [level for at, level in heard if at >= now - 1.0]
    found = queue.played.levels(now - 0.99, now - 0.005)
    assert found == pytest.approx(recent, abs=1.5)


def frames(guard: EchoGuard, level: float, count: int, *, first: int, learn: bool = True) -> list[bool]:
    return [guard.admits(level, first + i, (first + i) * 0.02, learn=learn) for i in range(count)]


@pytest.mark.parametrize("loss_db", [12, 20, 30])
def test_an_echo_is_never_admitted(loss_db: float) -> None:
    rng = np.random.default_rng(int(loss_db))
    levels = [float(level) for level in rng.uniform(-45, -12, 500)]
    played, guard, at = PlayedSound(), None, 0.0
    for number, level in enumerate(levels):
        played.add(tone(20, level), at, at)
        guard = guard or EchoGuard(played)
        if number > 10:
            assert not guard.admits(levels[number - 10] - loss_db, number, at)
        at += 0.02


def test_a_line_that_stayed_quiet_proves_that_it_has_no_echo() -> None:
    guard = EchoGuard(playing((1200, -18)))
    assert guard.loss_db == LEAST_LOSS_DB
    assert guard.admits(-38, 60, 1.2)
    assert guard.loss_db > 20


def test_the_first_sound_of_a_call_proves_nothing() -> None:
    guard = EchoGuard(playing((400, -18)))
    assert not guard.admits(-30, 60, 0.4)


def test_a_caller_who_speaks_over_an_echo_is_admitted() -> None:
    guard = EchoGuard(playing((4000, -18)))
    assert not any(frames(guard, -34, 100, first=5))
    assert all(frames(guard, -22, 30, first=105, learn=False))


def test_a_line_that_begins_to_echo_is_learnt() -> None:
    """It was quiet, then a loudspeaker is switched on: the first frames pass, those of the next seconds do not."""
    guard = EchoGuard(playing(*[(100, -18)] * 100))
    assert frames(guard, -33, 1, first=60) == [True]
    passed = frames(guard, -33, 120, first=61)
    assert passed[0]
    assert not any(passed[90:])


def test_nothing_is_asked_once_no_echo_can_come() -> None:
    guard = EchoGuard(playing((100, -18)))
    assert guard.is_on_guard(0.1 + ECHO_S - 0.01)
    assert not guard.is_on_guard(0.1 + ECHO_S)


def test_too_faint_a_frame_is_nobodys() -> None:
    assert not EchoGuard(PlayedSound()).admits(-60, 1, 1.0)
    assert EchoGuard(PlayedSound()).admits(-40, 1, 1.0)


def test_a_tone_measures_what_it_says() -> None:
    assert level_dbfs(g711.decode(tone(20, -20))) == pytest.approx(-20, abs=0.5)


def test_what_was_loud_once_is_not_held_against_a_caller_who_speaks_long_after() -> None:
    guard = EchoGuard(playing((200, -20)))
    assert not guard.admits(-40, 10, 0.3)
    assert not guard.admits(-40, 11, 0.3), "another frame of the same moment"
    assert guard.admits(-40, 12, 0.2 + ECHO_S + 0.1)
