"""One media stream of a browser's call: what the gateway sends goes to the browser, and the other way round."""

import math
import secrets
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol
from urllib.parse import urlsplit

import trio
from trio_websocket import ConnectionClosed, HandshakeError, WebSocketConnection, wrap_client_stream

from engine.backoffice import phone_wire
from engine.backoffice.phone_wire import FromPage, Key, Played, Voice
from engine.sim.carrier_dial import DialFailed, stream_address
from engine.sim.carrier_twiml import Verb, stream_problem
from engine.sim.carrier_web import CarrierAccount, Signing, signature
from engine.sim.carrier_wire import CarrierWire, MediaSent, WireFault
from engine.sim.debugger import Debugger

CONNECT_S = 5.0
LETTING_GO_S = 2.0
QUEUED = 250  # messages to the gateway, of 20 ms each: a gateway that takes none for so long has its own cure
AHEAD_S = 2.0  # a page sends sound no faster than time passes; so much of a start it may have
LARGEST_MESSAGE = 1_048_576
BYTES_PER_S = 8000
BROKEN = 1006  # said by no peer: there was no word of goodbye


class OnTheLine(Protocol):
    """A call, as its stream needs it."""

    sid: str
    account: CarrierAccount
    debugger: Debugger
    tls: ssl.SSLContext | None
    stream: "Stream | None"


def new_sid(kind: str) -> str:
    """An identifier as the carrier makes them."""
    return f"{kind}{secrets.token_hex(16)}"


class Stream:
    """What a browser says is numbered and queued here, for whoever writes to the gateway."""

    def __init__(self, wire: CarrierWire) -> None:
        self.wire = wire
        self.dropped = 0
        self._sent_bytes = 0
        self._began_at = math.inf
        self._out, self.queued = trio.open_memory_channel[bytes](QUEUED)

    def begin(self, parameters: dict[str, str]) -> None:
        """Say what the carrier says first."""
        self._began_at = trio.current_time()
        self._put(self.wire.connected())
        self._put(self.wire.start(parameters))

    def take(self, told: FromPage) -> None:
        """Something of the browser's; what comes too fast, or cannot be sent, is dropped and counted."""
        if isinstance(told, Voice):
            ahead_s = self._sent_bytes / BYTES_PER_S - (trio.current_time() - self._began_at)
            if ahead_s > AHEAD_S:
                self.dropped += 1
                return
            self._put(self.wire.media(told.media.payload, self._sent_bytes * 1000 // BYTES_PER_S))
            self._sent_bytes += len(told.media.payload)
        elif isinstance(told, Played):
            self._put(self.wire.mark(told.mark.name))
        elif isinstance(told, Key):
            self._put(self.wire.dtmf(told.dtmf.digit))

    def _put(self, message: bytes) -> None:
        try:
            self._out.send_nowait(message)
        except trio.WouldBlock:
            self.dropped += 1


async def hold(call: OnTheLine, connect: Verb, tell: Callable[[str], Awaitable[None]]) -> None:
    """``<Connect><Stream>``: from dialling until either side ends it; why it did not come about is in the debugger."""
    verb = next((child for child in connect.children if child.name == "Stream"), None)
    problem = (12200, "<Connect> without <Stream>") if verb is None else stream_problem(verb)
    if verb is None or problem is not None:
        assert problem is not None
        _note(call, *problem)
        return
    address = stream_address(call.account, verb.attributes["url"])
    if isinstance(address, DialFailed):
        _note(call, address.code, address.detail)
        return
    sid = new_sid("MZ")
    stream = Stream(CarrierWire(account_sid=call.account.account_sid, call_sid=call.sid, stream_sid=sid))
    signed = signature(call.account, address[0], {}, Signing.GOOD)
    headers = [(name.encode(), value.encode()) for name, value in signed.items()]
    done = trio.Event()
    async with trio.open_nursery() as nursery:
        try:
            socket: WebSocketConnection = await nursery.start(_keep_open, address[0], headers, call.tls, done)
            given = {child.attributes.get("name", ""): child.attributes.get("value", "") for child in verb.children}
            stream.begin(given)
            call.stream = stream
            await tell(phone_wire.tell("start", streamSid=sid))
            broken = await _relay(socket, stream, call, tell)
            await tell(phone_wire.tell("stopped", streamSid=sid, broken=broken))
        except* HandshakeError as refused:
            _note(call, 31920, f"{address[0]} was not opened: {_first(refused)}")
        except* trio.TooSlowError:
            _note(call, 31901, f"{address[0]} did not answer within {CONNECT_S:g} s")
        except* OSError as away:
            _note(call, 31904, f"{address[0]} cannot be reached: {_first(away)}")
        finally:
            call.stream = None
            done.set()


async def _keep_open(
    url: str,
    headers: list[tuple[bytes, bytes]],
    tls: ssl.SSLContext | None,
    done: trio.Event,
    *,
    task_status: trio.TaskStatus[WebSocketConnection],
) -> None:
    with trio.CancelScope() as ours:
        with trio.fail_after(CONNECT_S):
            stream = await _connect(url, tls)
        async with stream, trio.open_nursery() as nursery:
            parts = urlsplit(url)
            with trio.fail_after(CONNECT_S):
                socket = await wrap_client_stream(
                    nursery,
                    stream,
                    parts.netloc,
                    parts.path,
                    extra_headers=headers,
                    max_message_size=LARGEST_MESSAGE,
                    message_queue_size=64,
                )
            await trio.lowlevel.checkpoint()  # cancelled by now: then nobody is left to say when it is done
            # A call that is cancelled from here on still has a goodbye to send; that has its own deadlines.
            ours.shield = True
            task_status.started(socket)
            await done.wait()
            with trio.move_on_after(LETTING_GO_S):
                await socket.aclose()
            nursery.cancel_scope.cancel()


async def _connect(url: str, tls: ssl.SSLContext | None) -> trio.SocketStream | trio.SSLStream[trio.SocketStream]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "wss":
        return await trio.open_ssl_over_tcp_stream(host, parts.port or 443, ssl_context=tls, https_compatible=True)
    return await trio.open_tcp_stream(host, parts.port or 80)


def _note(call: OnTheLine, code: int, detail: str) -> None:
    call.debugger.note(code, detail, trio.current_time())


def _first(group: BaseExceptionGroup[BaseException]) -> str:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) or type(error).__name__


async def _relay(
    socket: WebSocketConnection, stream: Stream, call: OnTheLine, tell: Callable[[str], Awaitable[None]]
) -> bool:
    """Until the gateway's side ends; whether it broke, that is, nobody closed it."""
    broken = False
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_send, socket, stream)
        try:
            while True:
                message = await socket.get_message()
                text = message if isinstance(message, str) else message.decode("utf-8", "replace")
                told = stream.wire.decode(text.encode())
                if isinstance(told, WireFault):
                    _note(call, told.code, told.detail)
                elif not isinstance(told, MediaSent) or told.media.payload:
                    await tell(text)
        except ConnectionClosed as closed:
            broken = closed.reason is None or closed.reason.code == BROKEN
        finally:
            nursery.cancel_scope.cancel()
            # Also on a hang-up and an order: the gateway is to hear the end of its stream, not to miss it.
            with trio.move_on_after(LETTING_GO_S, shield=True), suppress(ConnectionClosed):
                await socket.send_message(stream.wire.stop().decode())
    return broken


async def _send(socket: WebSocketConnection, stream: Stream) -> None:
    with suppress(ConnectionClosed):
        async for message in stream.queued:
            await socket.send_message(message.decode())
