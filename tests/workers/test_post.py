"""The child's end of the link: what an order does, and what becomes of a child whose parent has died."""

import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import trio
import trio.testing

from engine.workers import post as post_module
from engine.workers.link import BEAT_S, Beat, BeatReader, Order, send
from engine.workers.post import Post, Station, manned
from tests.workers.conftest import Place

pytestmark = pytest.mark.real_time


@dataclass
class Manned:
    post: Post
    parent: socket.socket
    ended: trio.Event

    def beats(self) -> list[Beat]:
        return list(BeatReader().feed(self.parent.recv(65536)))


@asynccontextmanager
async def at_post(place: Place, *, ready: bool) -> AsyncIterator[Manned]:
    began: list[Post] = []
    ended = trio.Event()

    async def child(task_status: trio.TaskStatus[None]) -> None:
        async with manned(place.station) as post:
            began.append(post)
            if ready:
                post.serving()
            task_status.started()
            await trio.Event().wait()
        ended.set()

    async with trio.open_nursery() as nursery:
        await nursery.start(child)
        yield Manned(began[0], place.parent, ended)
        nursery.cancel_scope.cancel()


def test_a_station_survives_the_command_line() -> None:
    assert Station.parse(str(Station(3, 14, 15))) == Station(3, 14, 15)
    with pytest.raises(ValueError, match="unpack"):
        Station.parse("3,14")


async def test_a_child_beats_and_says_at_once_that_it_is_ready(
    place: Place, autojump_clock: trio.testing.MockClock
) -> None:
    async with at_post(place, ready=False) as at:
        at.post.calls = lambda: 7
        await trio.sleep(2.5 * BEAT_S)
        assert [beat.ready for beat in at.beats()] == [False] * 3
        at.post.serving()
        assert at.beats() == [Beat(ready=True, calls=7)]


@pytest.mark.parametrize(("order", "left"), [(Order.LEAVE, True), (Order.END, False)])
async def test_a_serving_child_goes_in_the_way_that_it_is_told(order: Order, place: Place, *, left: bool) -> None:
    async with at_post(place, ready=True) as at:
        send(at.parent, order.value)
        with trio.fail_after(2):
            await (at.post.leave if left else at.post.end).wait()
        assert at.post.leave.is_set() is left
        assert not at.ended.is_set()


@pytest.mark.parametrize(("ready", "order"), [(False, Order.LEAVE), (False, Order.END), (True, Order.NOW)])
async def test_a_child_ends_at_once_where_nothing_is_to_be_finished(order: Order, place: Place, *, ready: bool) -> None:
    async with at_post(place, ready=ready) as at:
        send(at.parent, order.value)
        with trio.fail_after(2):
            await at.ended.wait()


async def test_a_child_whose_parent_has_died_leaves_the_port_then_ends(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post_module, "ORPHANED_S", 0.3)
    async with at_post(place, ready=True) as at:
        at.parent.close()
        with trio.fail_after(0.2):
            await at.post.leave.wait()
        assert not at.ended.is_set()
        with trio.fail_after(2):
            await at.ended.wait()


STUCK = """
import socket, sys, threading, time
from engine.workers import post
post.ORPHANED_STUCK_S = 0.2
threading.Thread(target=post._outlive_nobody, args=(int(sys.argv[1]),), daemon=True).start()
print("up", flush=True)
while True:
    pass
"""


def test_not_even_a_loop_that_stands_still_outlives_its_parent_for_long() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        child = subprocess.Popen(
            [sys.executable, "-c", STUCK, str(theirs.fileno())], pass_fds=(theirs.fileno(),), stdout=subprocess.PIPE
        )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"up\n"
        assert child.poll() is None
        ours.close()
        assert child.wait(10) == post_module.ORPHANED
    finally:
        child.kill()
        child.communicate()
