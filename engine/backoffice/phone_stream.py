"""One media stream of a browser's call: what the gateway sends goes to the browser, and the other way round."""

import math
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

import trio
from trio_websocket import (
    ConnectionClosed,
    ConnectionTimeout,
    DisconnectionTimeout,
    HandshakeError,
    WebSocketConnection,
    open_websocket_url,
)

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
CARRIER_CLOSES = 1000


class OnTheLine(Protocol):
    """A call, as its stream needs it."""

    sid: str
    account: CarrierAccount
    debugger: Debugger
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
        call.debugger.note(*problem, trio.current_time())
        return
    address = stream_address(call.account, verb.attributes["url"])
    if isinstance(address, DialFailed):
        call.debugger.note(address.code, address.detail, trio.current_time())
        return
    sid = new_sid("MZ")
    stream = Stream(CarrierWire(account_sid=call.account.account_sid, call_sid=call.sid, stream_sid=sid))
    signed = signature(call.account, address[0], {}, Signing.GOOD)
    headers = [(name.encode(), value.encode()) for name, value in signed.items()]
    try:
        async with open_websocket_url(
            address[0],
            extra_headers=headers,
            connect_timeout=CONNECT_S,
            disconnect_timeout=LETTING_GO_S,
            max_message_size=LARGEST_MESSAGE,
            message_queue_size=64,
        ) as socket:
            stream.begin(
                {child.attributes.get("name", ""): child.attributes.get("value", "") for child in verb.children}
            )
            call.stream = stream
            await tell(phone_wire.tell("start", streamSid=sid))
            await _relay(socket, stream, call, tell)
        await tell(phone_wire.tell("stopped", streamSid=sid))
    except HandshakeError as error:
        code = 31901 if isinstance(error, ConnectionTimeout) else 31920
        call.debugger.note(
            code, f"{address[0]} was not opened: {str(error) or type(error).__name__}", trio.current_time()
        )
    except DisconnectionTimeout:
        pass  # it is over all the same
    except OSError as error:
        call.debugger.note(31904, f"{address[0]} cannot be reached: {error}", trio.current_time())
    finally:
        call.stream = None


async def _relay(
    socket: WebSocketConnection, stream: Stream, call: OnTheLine, tell: Callable[[str], Awaitable[None]]
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_send, socket, stream)
        try:
            while True:
                message = await socket.get_message()
                text = message if isinstance(message, str) else message.decode("utf-8", "replace")
                told = stream.wire.decode(text.encode())
                if isinstance(told, WireFault):
                    call.debugger.note(told.code, told.detail, trio.current_time())
                elif not isinstance(told, MediaSent) or told.media.payload:
                    await tell(text)
        except ConnectionClosed:
            pass
        finally:
            nursery.cancel_scope.cancel()
            # Also on a hang-up and an order: the gateway is to hear the end of its stream, not to miss it.
            with trio.move_on_after(LETTING_GO_S, shield=True), suppress(ConnectionClosed):
                await socket.send_message(stream.wire.stop())
                await socket.aclose(CARRIER_CLOSES)


async def _send(socket: WebSocketConnection, stream: Stream) -> None:
    with suppress(ConnectionClosed):
        async for message in stream.queued:
            await socket.send_message(message.decode())
