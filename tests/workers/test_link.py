"""What a worker and its parent say to each other."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.workers.link import Beat, BeatReader, Order, encode, send

pytestmark = pytest.mark.real_time

beats = st.builds(Beat, ready=st.booleans(), calls=st.integers(0, 10_000))


@given(st.lists(beats, max_size=10), st.integers(1, 40))
def test_beats_come_through_whole_however_they_are_cut(sent: list[Beat], cut: int) -> None:
    data, reader = b"".join(map(encode, sent)), BeatReader()
    read = [beat for start in range(0, len(data), cut) for beat in reader.feed(data[start : start + cut])]
    assert read == sent


@given(st.binary(max_size=200), beats)
def test_rubbish_costs_no_beat_that_follows_it(rubbish: bytes, beat: Beat) -> None:
    reader = BeatReader()
    list(reader.feed(rubbish + b"\n"))
    assert list(reader.feed(encode(beat))) == [beat]


def test_a_line_that_never_ends_is_not_kept() -> None:
    reader = BeatReader()
    for _ in range(100):
        assert list(reader.feed(b"x" * 1000)) == []
    assert len(reader._rest) <= 4096


def test_sending_to_somebody_stuck_or_dead_returns_at_once() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            for _ in range(100_000):
                send(ours, b"x" * 100)
        send(ours, Order.NOW.value)
