"""PURE: the carrier's side of Media Streams: writes what a carrier writes, refuses what a carrier refuses.

Decoding is strict on purpose, where the engine's own decoder is tolerant: a missing or an extra field, an unknown
event, another stream's ``streamSid`` are 31951, a binary frame 31950, exactly as the carrier's debugger would list
them. Audio that would be heard as a click or a buzz (a file header, a run of 0x00) has no code of the carrier's and
is reported as ``BAD_AUDIO``.
"""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import msgspec
import orjson

from engine.sim.hearing import FRAME_BYTES, SILENCE

BINARY_FRAME = 31950
INVALID_MESSAGE = 31951
BAD_AUDIO = 0
ZERO_RUN = b"\x00" * 80  # 10 ms of full-scale negative: silence written as if it were PCM
CONNECTED = b'{"event":"connected","protocol":"Call","version":"1.0.0"}'
MEDIA_END = b'"}}'
_SILENT_FRAME = b64encode(SILENCE * FRAME_BYTES)


class MediaBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """``payload`` is mu-law, already out of its base64."""

    payload: bytes


class MarkBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """``name`` comes back unchanged."""

    name: str


class _Message(msgspec.Struct, forbid_unknown_fields=True, frozen=True, tag_field="event"):
    streamSid: str  # noqa: N815  the carrier's own spelling


class MediaSent(_Message, tag="media", frozen=True, forbid_unknown_fields=True):
    """Audio to play."""

    media: MediaBody


class MarkSent(_Message, tag="mark", frozen=True, forbid_unknown_fields=True):
    """Say when all so far has been played."""

    mark: MarkBody


class ClearSent(_Message, tag="clear", frozen=True, forbid_unknown_fields=True):
    """Throw away what has not been played."""


@dataclass(frozen=True, slots=True)
class WireFault:
    """A message of the server's that breaks the protocol; it is dropped and the stream goes on."""

    code: int
    detail: str


Decoded: TypeAlias = MediaSent | MarkSent | ClearSent | WireFault

_decoder: msgspec.json.Decoder[MediaSent | MarkSent | ClearSent] = msgspec.json.Decoder(
    MediaSent | MarkSent | ClearSent
)


class CarrierWire:
    """One stream's messages, numbered as the carrier numbers them; numbers travel as strings.

    Attributes:
        media_begin: of a media message, for whoever puts it together otherwise: wants the numbers of ``next_chunk`` and
            the timestamp; base64 and ``MEDIA_END`` follow.
    """

    def __init__(self, *, account_sid: str, call_sid: str, stream_sid: str) -> None:
        self.stream_sid = stream_sid
        self._account_sid = account_sid
        self._call_sid = call_sid
        self._sequence = self._chunk = 0
        sid = stream_sid.encode()
        self.media_begin = (
            b'{"event":"media","sequenceNumber":"%d","streamSid":"' + sid + b'","media":'
            b'{"track":"inbound","chunk":"%d","timestamp":"%d","payload":"'
        )

    # --- carrier to server -------------------------------------------------------------------------------------

    def connected(self) -> bytes:
        """The first message; it carries no number."""
        return CONNECTED

    def start(self, parameters: Mapping[str, str]) -> bytes:
        """The second message, number 1."""
        return self._numbered(
            "start",
            {
                "accountSid": self._account_sid,
                "streamSid": self.stream_sid,
                "callSid": self._call_sid,
                "tracks": ["inbound"],
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                "customParameters": dict(parameters),
            },
        )

    def media(self, mulaw: bytes | None, timestamp_ms: int) -> bytes:
        """A chunk of the caller's voice; None is 20 ms of silence, which most frames of most calls are."""
        payload = _SILENT_FRAME if mulaw is None else b64encode(mulaw)
        return self.media_begin % (*self.next_chunk(), timestamp_ms) + payload + MEDIA_END

    def next_chunk(self) -> tuple[int, int]:
        """The numbers of the media message that is sent now: of all messages, and of its chunk."""
        self._sequence += 1
        self._chunk += 1
        return self._sequence, self._chunk

    def skip_chunk(self) -> None:
        """A chunk was lost before it was sent: its number is never seen."""
        self._chunk += 1

    def dtmf(self, digit: str) -> bytes:
        """A key was pressed; its track has another name than that of media."""
        return self._numbered("dtmf", {"track": "inbound_track", "digit": digit})

    def mark(self, name: str) -> bytes:
        """Everything before this mark has been played, or was cleared; which, the carrier does not say."""
        return self._numbered("mark", {"name": name})

    def stop(self) -> bytes:
        """The last message."""
        return self._numbered("stop", {"accountSid": self._account_sid, "callSid": self._call_sid})

    def _numbered(self, event: str, body: object) -> bytes:
        self._sequence += 1
        return orjson.dumps(
            {"event": event, "sequenceNumber": str(self._sequence), "streamSid": self.stream_sid, event: body}
        )

    # --- server to carrier -------------------------------------------------------------------------------------

    def decode(self, text: bytes) -> Decoded:
        """Understand one text message, strictly; never raises."""
        try:
            message = _decoder.decode(text)
        except msgspec.DecodeError as error:  # includes a message of the wrong shape
            return WireFault(INVALID_MESSAGE, str(error))
        if message.streamSid != self.stream_sid:
            return WireFault(INVALID_MESSAGE, f"streamSid {message.streamSid!r} is not this stream")
        return message


def audio_fault(mulaw: bytes) -> WireFault | None:
    """What a caller would hear as a click or a buzz; the audio is played all the same."""
    if mulaw.startswith(b"RIFF"):
        return WireFault(BAD_AUDIO, "a WAV header was sent as sound")
    if ZERO_RUN in mulaw:
        return WireFault(BAD_AUDIO, "0x00 was sent for silence: mu-law silence is 0xFF")
    return None
