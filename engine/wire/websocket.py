"""RFC 6455 frames <-> messages, for either side of a connection.

Theory of operation.  A frame is two bytes (final, reserved bits, opcode; masked, size), up to eight more of size, four
of mask where the sender is the client, and the payload.  Nearly all that a frame may not be is said by its head, so it
is refused as soon as the head is there, before memory is spent on its payload.  Bytes are only copied aside where a
frame is incomplete; a peer that sends byte by byte costs one append per byte, as nothing is parsed before the bytes
that the next step needs are there.  Memory is bounded by ``max_message``, over all fragments of a message too.

No compression and no extension: reserved bits are always a fault.  The codec keeps no outbound state: that nothing
follows our own close frame is the caller's affair.

Every frame of every call goes through ``receive_data`` and ``text``: they are written for few steps.
"""

import codecs
import os
from collections.abc import Callable
from enum import Enum

from engine.errors import MisuseError, WebSocketFault
from engine.wire.masking import masked, whole_texts

TEXT = 1
BINARY = 2
CLOSE = 8
PING = 9
PONG = 10

MAX_CONTROL = 125
MAX_REASON = MAX_CONTROL - 2

_FINAL = 0x80
_MASKED = 0x80
_CONTROL = 0x08
_HEADS = frozenset({0x00, 0x01, 0x02, 0x80, 0x81, 0x82, 0x88, 0x89, 0x8A})
# 1004 to 1006 and 1015 are never sent; 1016 to 2999 are kept for the protocol's future.
_CLOSE_CODES = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)})


class Role(Enum):
    """Which side of the connection we are: a client masks what it sends, a server never does."""

    CLIENT = "client"
    SERVER = "server"


class WebSocketCodec:
    """One connection after its handshake.

    Args:
        role: our side.
        max_message: bytes of payload that one message may have, all fragments together; more is a 1009 fault.
        mask_source: gives unpredictable bytes; asked for four per frame on the client side.
    """

    def __init__(
        self, role: Role, *, max_message: int = 65536, mask_source: Callable[[int], bytes] = os.urandom
    ) -> None:
        self._masks = role is Role.CLIENT
        self._mask_bit = 0 if self._masks else _MASKED  # what the other side must have set
        self._max_message = max_message
        self._mask_source = mask_source
        self._held = bytearray()  # the beginning of an incomplete frame
        self._needed = 0  # bytes that ``_held`` must have before anything more can be said about it
        self._opcode = 0  # of the fragmented message under way; 0: none
        self._fragments = bytearray()
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._closed = False
        self._fault: WebSocketFault | None = None

    # --- in ----------------------------------------------------------------------------------------------------------

    def receive_data(self, data: bytes | memoryview) -> list[tuple[int, bytes]]:
        """Take bytes off the connection; give the messages that they complete, in order, as (opcode, payload).

        Opcodes are ``TEXT`` (payload is valid UTF-8), ``BINARY``, ``PING``, ``PONG`` and ``CLOSE`` (payload passes
        ``parse_close``).  What follows a close frame is discarded, as the RFC asks.

        Raises:
            WebSocketFault: the peer broke the protocol. Messages that these same bytes completed before the fault are
                in its ``decoded``. The connection cannot be read any further: each later call raises again.
        """
        if self._fault is not None:
            raise WebSocketFault(str(self._fault), self._fault.close_code)
        if self._closed:
            return []
        if self._held:
            self._held += data
            if len(self._held) < self._needed:
                return []
            data = bytes(self._held)
            self._held.clear()
        elif type(data) is not bytes:
            data = bytes(data)
        messages: list[tuple[int, bytes]] = []
        try:
            used = self._read_texts(data, messages) if self._mask_bit and not self._opcode else 0
            if used < len(data):
                used = self._read_frames(data, used, messages)
        except WebSocketFault as fault:
            self._fault = fault
            fault.decoded = tuple(messages)
            raise
        if used < len(data):
            self._held += data[used:]
        return messages

    def _read_texts(self, data: bytes, messages: list[tuple[int, bytes]]) -> int:
        """Read the whole messages that ``data`` begins with, in few steps, as nearly all that is read is those."""
        payloads, used = whole_texts(data, self._max_message)
        for payload in payloads:
            if not payload.isascii():
                _check_utf8(payload, "a text message")
            messages.append((TEXT, payload))
        return used

    def _read_frames(self, data: bytes, used: int, messages: list[tuple[int, bytes]]) -> int:
        """Read all complete frames of ``data`` from there on; give how many bytes have been read."""
        available = len(data)
        mask_bit = self._mask_bit
        while not self._closed:
            if available - used < 2:
                self._needed = 2
                break
            head = data[used]
            size = data[used + 1]
            if head not in _HEADS or size & _MASKED != mask_bit:
                raise _head_fault(head, self._masks)
            size &= 0x7F
            body = used + 2
            if size > MAX_CONTROL:
                body += 2 if size == 126 else 8
                if available < body:
                    self._needed = body - used
                    break
                size = int.from_bytes(data[used + 2 : body], "big")
                if size < 126 or body - used > 4:
                    _check_long_size(size, body - used - 2)
            if head != 0x81 or self._opcode or size > self._max_message:
                self._check_head(head, size)
            end = body + size + 4 if mask_bit else body + size
            if available < end:
                self._needed = end - used
                break
            used = end
            payload = masked(data[body : body + 4], data[body + 4 : end]) if mask_bit else data[body:end]
            if head == 0x81:
                if not payload.isascii():
                    _check_utf8(payload, "a text message")
                messages.append((TEXT, payload))
            elif (message := self._message_of(head, payload)) is not None:
                messages.append(message)
        return used

    def _check_head(self, head: int, size: int) -> None:
        """Judge a frame by its head and by the message under way."""
        if head & _CONTROL:
            if size > MAX_CONTROL:
                raise WebSocketFault(f"a control frame of {size} bytes")
            return
        continues = head & 0x0F == 0
        if continues and not self._opcode:
            raise WebSocketFault("a continuation of no message")
        if self._opcode and not continues:
            raise WebSocketFault("a new message inside a fragmented one")
        if len(self._fragments) + size > self._max_message:
            raise WebSocketFault(f"a message of more than {self._max_message} bytes", 1009)

    def _message_of(self, head: int, payload: bytes) -> tuple[int, bytes] | None:
        """Take a legal frame that is not a whole text message; None while its message is incomplete."""
        opcode = head & 0x0F
        if opcode == CLOSE:
            parse_close(payload)
            self._closed = True
        if head & _CONTROL or head == 0x80 | BINARY:
            return opcode, payload
        final = bool(head & _FINAL)
        if opcode:
            self._opcode = opcode
        if self._opcode == TEXT:
            try:
                self._utf8.decode(payload, final)
            except UnicodeDecodeError:
                raise WebSocketFault("a fragmented text message is not UTF-8", 1007) from None
        self._fragments += payload
        if not final:
            return None
        message = self._opcode, bytes(self._fragments)
        self._opcode = 0
        self._fragments.clear()
        return message

    # --- out ---------------------------------------------------------------------------------------------------------

    def text(self, payload: bytes) -> bytes:
        """A text message in one frame; that ``payload`` is UTF-8 is the caller's promise."""
        return self._frame(0x80 | TEXT, payload)

    def binary(self, payload: bytes) -> bytes:
        """A binary message in one frame."""
        return self._frame(0x80 | BINARY, payload)

    def ping(self, payload: bytes = b"") -> bytes:
        """A ping; ``MisuseError`` above 125 bytes."""
        return self._control(PING, payload)

    def pong(self, payload: bytes = b"") -> bytes:
        """The answer to a ping with this payload; ``MisuseError`` above 125 bytes."""
        return self._control(PONG, payload)

    def close(self, code: int | None = None, reason: str = "") -> bytes:
        """A close frame; a long reason is cut at 123 bytes, between characters.

        Raises:
            MisuseError: a code that may not be sent, or a reason without a code.
        """
        if code is None:
            if reason:
                raise MisuseError("a close frame has room for a reason only after a code")
            return self._control(CLOSE, b"")
        if code not in _CLOSE_CODES:
            raise MisuseError(f"close code {code} may not be sent")
        said = reason.encode("utf-8", "replace")[:MAX_REASON].decode("utf-8", "ignore").encode()
        return self._control(CLOSE, code.to_bytes(2, "big") + said)

    def _control(self, opcode: int, payload: bytes) -> bytes:
        if len(payload) > MAX_CONTROL:
            raise MisuseError(f"a control frame of {len(payload)} bytes")
        return self._frame(0x80 | opcode, payload)

    def _frame(self, head: int, payload: bytes) -> bytes:
        size = len(payload)
        mask_bit = _MASKED if self._masks else 0
        if size <= MAX_CONTROL:
            prefix = bytes((head, mask_bit | size))
        elif size < 65536:
            prefix = bytes((head, mask_bit | 126, size >> 8, size & 0xFF))
        else:
            prefix = bytes((head, mask_bit | 127)) + size.to_bytes(8, "big")
        if not mask_bit:
            return prefix + payload
        key = self._mask_source(4)
        return prefix + key + masked(key, payload)


def parse_close(payload: bytes) -> tuple[int | None, str]:
    """Code and reason of a close frame's payload; (None, "") where it is empty.

    Raises:
        WebSocketFault: half a code, a code that may not be sent, or a reason that is not UTF-8.
    """
    if not payload:
        return None, ""
    code = int.from_bytes(payload[:2], "big")
    if len(payload) == 1 or code not in _CLOSE_CODES:
        raise WebSocketFault("a close frame without a valid code")
    return code, _check_utf8(payload[2:], "a close reason")


def _check_utf8(payload: bytes, what: str) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        raise WebSocketFault(f"{what} is not UTF-8", 1007) from None


def _head_fault(head: int, from_server: bool) -> WebSocketFault:  # noqa: FBT001
    if head in _HEADS:
        return WebSocketFault("a masked frame of a server" if from_server else "an unmasked frame of a client")
    if head & 0x70:
        return WebSocketFault("a reserved bit is set")
    if head & 0x0F in {CLOSE, PING, PONG}:
        return WebSocketFault("a fragmented control frame")
    return WebSocketFault(f"reserved opcode {head & 0x0F}")


def _check_long_size(size: int, field_bytes: int) -> None:
    """Judge a size that came in a field of two or eight bytes; only the shortest form is legal."""
    if size < (126 if field_bytes == 2 else 65536):
        raise WebSocketFault(f"a size of {size} in {field_bytes} bytes")
    if size >> 63:
        raise WebSocketFault("the highest bit of a size is set")
