"""Bytes out of a socket that takes what it likes: all of them, in order, or an error."""

import socket
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.telephony.outbox import BACKLOG_BYTES, Outbox, OutboxBroken


class Reluctant:
    """A socket whose kernel takes as many bytes as it was told to, each time."""

    def __init__(self, takes: list[int]) -> None:
        self._takes = iter(takes)
        self.taken = b""

    def send(self, data: bytes) -> int:
        takes = next(self._takes, 0)
        if not takes:
            raise BlockingIOError
        self.taken += data[:takes]
        return min(takes, len(data))


def outbox_over(kernel: object) -> Outbox:
    return Outbox(cast("socket.socket", kernel))


@given(st.lists(st.binary(max_size=300), max_size=20), st.lists(st.integers(0, 400), max_size=60))
def test_nothing_is_lost_doubled_or_reordered(writes: list[bytes], takes: list[int]) -> None:
    kernel = Reluctant(takes)
    outbox = outbox_over(kernel)
    written = b""
    for data in writes:
        outbox.write(data)
        written += data
        assert kernel.taken + bytes(outbox._backlog) == written
        assert outbox.sent_bytes == len(kernel.taken)
        assert outbox.backlog_bytes == len(written) - len(kernel.taken)
    for _ in range(60):
        outbox.write()
    kernel._takes = iter([10_000])
    outbox.write()
    assert kernel.taken == written
    assert outbox.backlog_bytes == 0


def test_a_real_socket_takes_a_part_and_then_the_rest() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        outbox = Outbox(ours)
        data = bytes(range(256)) * 400
        outbox.write(data)
        assert 0 < outbox.sent_bytes < len(data)
        read = b""
        while len(read) < len(data):
            read += theirs.recv(1_000_000)
            outbox.write()
        assert read == data
        assert outbox.backlog_bytes == 0


def test_nothing_to_send_asks_the_kernel_nothing() -> None:
    class Untouchable:
        def send(self, data: bytes) -> int:
            raise AssertionError("asked")

    outbox_over(Untouchable()).write()


def test_a_peer_that_reads_nothing_is_given_up_at_the_bound_and_not_before() -> None:
    outbox = outbox_over(Reluctant([]))
    outbox.write(b"x" * BACKLOG_BYTES)
    with pytest.raises(OutboxBroken, match="reads nothing"):
        outbox.write(b"x")


@pytest.mark.parametrize("error", [ConnectionResetError(104, "Connection reset by peer"), BrokenPipeError()])
def test_a_peer_that_is_gone_is_told(error: OSError) -> None:
    class Gone:
        def send(self, data: bytes) -> int:
            raise error

    with pytest.raises(OutboxBroken, match="reset"):
        outbox_over(Gone()).write(b"x")
