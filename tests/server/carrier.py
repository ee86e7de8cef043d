"""What the carrier sends and is sent, as bytes and text."""

from contextlib import suppress
from xml.etree import ElementTree as ET

import httpx
import orjson
import trio

from engine.wire.twilio_signature import sign

AUTH_TOKEN = "the carrier's secret"
PUBLIC_URL = "https://voice.example.com"
STREAM_URL = "wss://voice.example.com/twilio/media"
ACCOUNT = "AC" + "1" * 32
CALL = "CA" + "1" * 32
OTHER_CALL = "CA" + "2" * 32
STREAM = "MZ" + "1" * 32


def opening(token: str, *, call_sid: str = CALL, account_sid: str = ACCOUNT, stream_sid: str = STREAM) -> list[str]:
    """``connected`` and ``start`` as the carrier writes them."""
    start = {
        "accountSid": account_sid,
        "streamSid": stream_sid,
        "callSid": call_sid,
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": {"token": token},
    }
    return [
        orjson.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}).decode(),
        orjson.dumps({"event": "start", "sequenceNumber": "1", "streamSid": stream_sid, "start": start}).decode(),
    ]


def key_press(digit: str, stream_sid: str = STREAM) -> str:
    """One DTMF message."""
    return orjson.dumps(
        {
            "event": "dtmf",
            "streamSid": stream_sid,
            "sequenceNumber": "2",
            "dtmf": {"track": "inbound_track", "digit": digit},
        }
    ).decode()


def token_in(xml: str) -> str:
    """The token in a ``<Connect><Stream>``."""
    parameter = ET.fromstring(xml).find("./Connect/Stream/Parameter[@name='token']")
    assert parameter is not None, xml
    return parameter.attrib["value"]


def verbs(xml: str) -> list[str]:
    """The document's verbs, in order."""
    return [verb.tag for verb in ET.fromstring(xml)]


def static_script_of(answer: httpx.Response) -> bool:
    """It apologises and rings the tenant's person."""
    return answer.status_code == 200 and verbs(answer.text) == ["Say", "Dial"] and "+15005550009" in answer.text


def upgrade_head(
    *, path: str = "/twilio/media", signature: str | None = None, version: str = "13", extra: str = ""
) -> bytes:
    """A handshake by hand, for what no client would send."""
    signature = sign(AUTH_TOKEN, STREAM_URL) if signature is None else signature
    return (
        f"GET {path} HTTP/1.1\r\nHost: voice.example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: {version}\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        f"X-Twilio-Signature: {signature}\r\n{extra}\r\n"
    ).encode()


async def read_response(stream: trio.SocketStream) -> tuple[int, bytes]:
    """Status and body of one answer with a Content-Length, or up to the end of the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = bytes(await stream.receive_some())
        assert more, f"the connection ended in the head: {data!r}"
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
    while lengths and len(body) < lengths[0]:
        body += bytes(await stream.receive_some())
    return int(head.split()[1]), body


async def wait_closed(stream: trio.SocketStream) -> None:
    """Read to the end, which must come: five minutes are longer than anything here may take."""
    with trio.fail_after(300), suppress(trio.BrokenResourceError):
        while await stream.receive_some():
            pass
