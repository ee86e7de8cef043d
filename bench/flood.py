"""The worst that one media stream may be fed, as fast as its socket takes it, by a thread that costs no time of ours.

A sender in the loop that is measured would be measured too: what is sent is written once, and a blocking ``send`` lets
go of the interpreter while it waits and copies.
"""

import secrets
import socket
import threading
import time
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress

import httpx
import trio

from engine.sim.carrier_dial import DialFailed, dial_stream
from engine.sim.carrier_web import CarrierAccount, Signing
from engine.sim.carrier_wire import CarrierWire
from engine.wire.twilio_signature import sign
from engine.wire.websocket import Role, WebSocketCodec

BLOB = 512 * 1024  # bytes written at a time
AGAIN_S = 0.05  # a flood whose line was ended calls again at once
SILENT = b"\xff" * 160


def inputs(stream_sid: str) -> dict[str, bytes]:
    """By name: one message of each kind, as text."""
    sid = f'"streamSid":"{stream_sid}"'.encode()
    sound = b64encode(SILENT)
    return {
        "keys": b'{"event":"dtmf",' + sid + b',"dtmf":{"track":"inbound_track","digit":"5"}}',
        "unknown": b'{"event":"surprise",' + sid + b',"surprise":{"of":[1,2,3]}}',
        "garbage": b'{"event":"media",' + sid + b',"media":{"payload":"!!not base64!!"}}',
        "media": b'{"event":"media",'
        + sid
        + b',"media":{"track":"inbound","chunk":"1","timestamp":"5000","payload":"'
        + sound
        + b'"}}',
        "large": b'{"event":"surprise",' + sid + b',"x":"' + b"x" * 1_048_576 + b'"}',
    }


class Flood:
    """One tenant's caller, over and over again while ``loud``; ``calls`` and ``sent_mib`` say what came of it."""

    def __init__(self, kind: str, account: CarrierAccount, stream_url: str, called: str) -> None:
        self._kind, self._account, self._url, self._called = kind, account, stream_url, called
        self._stopped = threading.Event()
        self.loud = False
        self.calls = self.refused = 0
        self.sent_mib = 0.0

    async def run(self, http: httpx.AsyncClient) -> None:
        """Until cancelled."""
        try:
            while True:
                if self.loud:
                    await self._once(http)
                await trio.sleep(AGAIN_S)
        finally:
            self._stopped.set()

    async def _once(self, http: httpx.AsyncClient) -> None:
        call_sid, stream_sid = (kind + secrets.token_hex(16) for kind in ("CA", "MZ"))
        token = await self._ring(http, call_sid)
        if token is None:
            self.refused += 1
            return
        dialled = await dial_stream(self._account, self._url, Signing.GOOD)
        if isinstance(dialled, DialFailed):
            self.refused += 1
            return
        self.calls += 1
        codec = WebSocketCodec(Role.CLIENT, max_message=2 * BLOB)
        wire = CarrierWire(account_sid=self._account.account_sid, call_sid=call_sid, stream_sid=stream_sid)
        opening = codec.text(wire.connected()) + codec.text(wire.start({"token": token}))
        message = codec.text(inputs(stream_sid)[self._kind])
        with dialled.sock as sock:
            await trio.to_thread.run_sync(self._pump, sock, opening, message, abandon_on_cancel=True)

    async def _ring(self, http: httpx.AsyncClient, call_sid: str) -> str | None:
        form = {
            "CallSid": call_sid,
            "AccountSid": self._account.account_sid,
            "From": "+15550100666",
            "To": self._called,
            "CallStatus": "ringing",
            "Direction": "inbound",
        }
        url = f"{self._account.origin}/twilio/voice"
        signed = {"X-Twilio-Signature": sign(self._account.auth_token, url, form.items())}
        answer = await http.post(url, data=form, headers=signed)
        _, found, rest = answer.text.partition('name="token" value="')
        return rest.partition('"')[0] if found else None

    def _pump(self, sock: socket.socket, opening: bytes, message: bytes) -> None:
        """Send until the other side has had enough; what it says itself is thrown away."""
        sock.settimeout(0.2)
        reader = threading.Thread(target=_drain, args=(sock, self._stopped.is_set), daemon=True)
        reader.start()
        with suppress(OSError):
            sock.sendall(opening)
            blob = message * max(1, BLOB // len(message))
            while not self._stopped.is_set():
                at = 0
                while at < len(blob) and not self._stopped.is_set():
                    if not self.loud:
                        time.sleep(AGAIN_S)
                        continue
                    with suppress(TimeoutError):
                        sent = sock.send(memoryview(blob)[at:])
                        at += sent
                        self.sent_mib += sent / 2**20
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        reader.join()


def _drain(sock: socket.socket, stopped: Callable[[], bool]) -> None:
    while not stopped():
        try:
            if not sock.recv(65536):
                return
        except TimeoutError:
            continue
        except OSError:
            return
