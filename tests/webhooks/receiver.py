"""A tenant's own system: takes webhooks, checks their signatures with the standard's own library, and misbehaves."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import h11
import orjson
import trio
from standardwebhooks import Webhook

Manner = Literal["well", "fails", "hangs", "redirects", "gone"]


@dataclass(frozen=True)
class Got:
    """One request whose signature was good."""

    at: float
    event_id: str
    type: str
    body: dict[str, Any]


@dataclass
class Receiver:
    """``got``: everything that came, also what was then not taken; ``taken``: what was answered 200."""

    secrets: list[str] = field(default_factory=list)
    manner: Manner = "well"
    port: int = 0
    got: list[Got] = field(default_factory=list)
    taken: list[Got] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    _listeners: trio.CancelScope | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def types(self) -> list[str]:
        return [one.type for one in self.taken]

    async def up(self, nursery: trio.Nursery) -> None:
        """Begin to listen; on the same port as before."""
        (listener,) = await trio.open_tcp_listeners(self.port, host="127.0.0.1")
        self.port = listener.socket.getsockname()[1]
        self._listeners = trio.CancelScope()

        async def serve() -> None:
            assert self._listeners is not None
            with self._listeners:
                await trio.serve_listeners(self._handle, [listener])

        nursery.start_soon(serve)
        await trio.testing.wait_all_tasks_blocked()

    def down(self) -> None:
        """Die, with whatever is being answered."""
        assert self._listeners is not None
        self._listeners.cancel()

    async def _handle(self, stream: trio.SocketStream) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self._answer(stream)
        except trio.BrokenResourceError:
            pass
        finally:
            self.at_once -= 1
            await trio.aclose_forcefully(stream)

    async def _answer(self, stream: trio.SocketStream) -> None:
        headers, body = await _read(stream)
        if not headers:
            return
        told = Webhook(self.secrets[0]).verify(body, headers)
        got = Got(trio.current_time(), headers["webhook-id"], told["type"], orjson.loads(body))
        self.got.append(got)
        if self.manner == "hangs":
            await trio.sleep_forever()
        status = {"well": 200, "fails": 500, "redirects": 302, "gone": 410}[self.manner]
        if status == 200:
            self.taken.append(got)
        where = b"location: http://127.0.0.1:1/\r\n" if status == 302 else b""
        await stream.send_all(b"HTTP/1.1 %d x\r\n%scontent-length: 0\r\nconnection: close\r\n\r\n" % (status, where))


async def _read(stream: trio.SocketStream) -> tuple[dict[str, str], bytes]:
    connection, headers, body = h11.Connection(h11.SERVER), {}, b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await stream.receive_some(65536))
        elif isinstance(event, h11.Request):
            headers = {name.decode().lower(): value.decode() for name, value in event.headers}
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        else:
            return headers, body


@asynccontextmanager
async def receiving(*receivers: Receiver) -> AsyncIterator[trio.Nursery]:
    """They listen for as long as the block."""
    async with trio.open_nursery() as nursery:
        for receiver in receivers:
            await receiver.up(nursery)
        yield nursery
        nursery.cancel_scope.cancel()
