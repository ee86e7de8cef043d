"""The playout queue: against a plain model of one, and rule by rule."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.sim.playback import Playback

LOUD = b"\x10"


class PlainQueue:
    """Theory of a carrier's queue, sample by sample: what ``Playback`` must equal."""

    def __init__(self) -> None:
        self.queue: deque[int | str] = deque()
        self.heard = bytearray()
        self.echoed: list[str] = []

    def run(self, samples: int) -> None:
        for _ in range(samples):
            self.echo()
            self.heard.append(self.queue.popleft() if self.queue else 0xFF)  # type: ignore[arg-type]
        self.echo()

    def echo(self) -> None:
        while self.queue and isinstance(self.queue[0], str):
            self.echoed.append(str(self.queue.popleft()))

    def clear(self) -> None:
        self.echoed += [name for name in self.queue if isinstance(name, str)]
        self.queue.clear()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.integers(0, 60)),
        st.tuples(st.just("mark"), st.just(0)),
        st.tuples(st.just("clear"), st.just(0)),
        st.tuples(st.just("run"), st.integers(0, 80)),
    ),
    max_size=40,
)


@given(STEPS)
def test_it_plays_and_echoes_as_a_plain_queue_does(steps: list[tuple[str, int]]) -> None:
    plain, playback = PlainQueue(), Playback(100.0)
    samples, echoed, count = 0, list[str](), 0
    for number, (what, size) in enumerate(steps):
        now = 100.0 + samples / 8000
        match what:
            case "push":
                audio = bytes((number * 7 + n) % 251 for n in range(size))
                playback.push(audio, now)
                plain.queue.extend(audio)
            case "mark":
                count += 1
                playback.mark(f"m{count}", now)
                plain.queue.append(f"m{count}")
            case "clear":
                playback.clear(now)
                plain.clear()
            case _:
                samples += size
                now = 100.0 + samples / 8000
                plain.run(size)
        plain.echo()
        echoed += playback.advance(now)
        assert echoed == plain.echoed
    assert playback.heard(100.0 + samples / 8000) == bytes(plain.heard)


def test_a_dry_queue_in_mid_utterance_is_an_underrun() -> None:
    playback = Playback(0.0)
    playback.push(LOUD * 800, 0.0)
    playback.mark("u1:1", 0.0)
    playback.push(LOUD * 800, 0.150)
    playback.mark("u1:end", 0.150)
    assert playback.statistics(1.0).gaps_ms == (50.0,)
    assert playback.statistics(1.0).lateness_ms == (50.0,)


@pytest.mark.parametrize("last", ["u1:end", None])
def test_between_utterances_the_queue_may_run_dry(last: str | None) -> None:
    playback = Playback(0.0)
    playback.push(LOUD * 800, 0.0)
    playback.mark("u1:1", 0.0)
    if last:
        playback.mark(last, 0.5)  # an end that is told late is an end all the same
    playback.push(LOUD * 800, 1.0)
    playback.mark("u2:end", 1.0)
    assert playback.statistics(2.0).gaps_ms == ()


def test_after_a_clear_nothing_ran_dry() -> None:
    playback = Playback(0.0)
    playback.push(LOUD * 8000, 0.0)
    playback.mark("u1:1", 0.0)
    playback.clear(0.1)
    playback.push(LOUD * 800, 0.5)
    assert playback.statistics(1.0).gaps_ms == ()


def test_audio_that_no_mark_explains_counts() -> None:
    playback = Playback(0.0)
    for at in (0.0, 0.2, 0.4):
        playback.push(LOUD * 800, at)
    assert playback.statistics(1.0).gaps_ms == pytest.approx((100.0, 100.0))


def test_lead_is_negative_lateness() -> None:
    playback = Playback(0.0)
    playback.push(LOUD * 800, 0.0)
    playback.push(LOUD * 800, 0.030)
    assert playback.statistics(1.0).lateness_ms == (-70.0,)


def test_more_than_ten_minutes_are_thrown_away() -> None:
    playback = Playback(0.0)
    assert playback.push(b"\xff" * 8000 * 600, 0.0)
    assert not playback.push(b"\xff", 0.0)
    assert playback.push(b"\xff" * 8, 0.001)
    assert playback.statistics(0.0).discarded_ms == 0.125


def test_it_knows_when_the_agent_sounds() -> None:
    playback = Playback(10.0)
    playback.push(b"\xff" * 800 + LOUD * 800 + b"\xff" * 800, 10.0)
    assert playback.sound_since == pytest.approx(10.1)
    assert playback.sound_until == pytest.approx(10.2)
    playback.push(LOUD * 80, 10.2)
    assert playback.sound_since == pytest.approx(10.1), "a short pause does not end an utterance"
    playback.clear(10.15)
    assert playback.sound_until == pytest.approx(10.15)
    playback.push(LOUD * 80, 11.0)
    assert playback.sound_since == pytest.approx(11.0)
