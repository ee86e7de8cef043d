"""A line may say what a telephone can say, and a flood waits."""

import socket
from collections.abc import Iterator

import pytest

from engine.telephony.intake import AT_ONCE, BURST, LEAST, PER_S, Intake


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    with ours, theirs:
        yield ours, theirs


def read_beside_a_flood(pair: tuple[socket.socket, socket.socket], seconds: float, *, every: float = 0.005) -> int:
    ours, theirs = pair
    intake = Intake(ours, 0.0)
    for tick in range(round(seconds / every)):
        try:
            while True:
                theirs.send(bytes(65536))
        except BlockingIOError:
            pass
        data = intake.read(tick * every)
        assert data is None or len(data) <= AT_ONCE
    return intake.received_bytes


def test_a_flood_gets_its_burst_and_then_four_times_what_a_telephone_says(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    assert read_beside_a_flood(pair, 5.0) == pytest.approx(BURST + 5 * PER_S, rel=0.01)


def test_a_telephone_whose_line_was_held_for_five_seconds_is_heard_within_an_eighth_of_one(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    held = bytes(330 * 50 * 5)
    assert theirs.send(held) == len(held)
    intake = Intake(ours, 0.0)
    for tick in range(25):
        intake.read(5.0 + tick * 0.005)
    assert intake.received_bytes == len(held)


def test_an_end_is_told_and_an_empty_socket_waits(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    intake = Intake(ours, 0.0)
    assert intake.read(0.0) is None
    theirs.send(b"stop")
    theirs.close()
    assert intake.read(0.1) == b"stop"
    assert intake.read(0.2) == b""


def test_what_had_to_wait_is_read_once_there_is_time_for_it(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    intake = Intake(ours, 0.0)
    left = BURST
    while left:
        left -= theirs.send(bytes(min(left, 32768)))
        while intake.read(0.0):
            pass
    theirs.send(b"and this")
    assert intake.read(0.0) is None
    assert intake.read(LEAST / PER_S) == b"and this"
