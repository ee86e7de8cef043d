"""The caller's voice as a stream sends it: which frames are due, what is in them, and when each leaves.

Frame *n* is due *n* x 20 ms after the first and nothing is ever counted from *now*, so a late tick is made up for and
pacing does not drift. A frame leaves when its 20 ms are over, as from a real telephone.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from engine.sim.carrier_wire import CarrierWire
from engine.sim.echo import EchoPath
from engine.sim.frame_clock import FrameClock
from engine.sim.handset import Handset
from engine.sim.hearing import BYTES_PER_MS, FRAME_BYTES, SILENCE
from engine.sim.network import Route
from engine.sim.playback import Playback
from engine.wire.websocket import WebSocketCodec


@dataclass(frozen=True, slots=True)
class Parts:
    """What a voice is made of; ``playback`` is what its caller hears."""

    wire: CarrierWire
    handset: Handset
    route: Route
    codec: WebSocketCodec
    playback: Playback
    started_at: float
    chunk_bytes: tuple[int, ...]
    echo: EchoPath | None


class Voice(Protocol):
    """One stream's."""

    @property
    def spoken(self) -> bytes:
        """All of it so far, mu-law since the stream began; empty where it is not kept."""

    def due(self, now: float, *, full: bool) -> Iterable[tuple[float, bytes | None]]:
        """What is due and was not given before: the instant at which it leaves, and the frame as it is sent.

        Args:
            now: the instant.
            full: nothing more can be sent; None stands for each frame that is thrown away because of that.
        """


class Mouth:
    """The ``Voice`` of a carrier: chunks of any size, with the line's echo if there is one."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._clock = FrameClock(parts.started_at, parts.chunk_bytes)
        self._spoken = bytearray()

    @property
    def spoken(self) -> bytes:
        """See ``Voice``; without the echo."""
        return bytes(self._spoken)

    def due(self, now: float, *, full: bool) -> Iterator[tuple[float, bytes | None]]:
        """See ``Voice``."""
        parts = self._parts
        for chunk in self._clock.due(now):
            if not self._spoken:
                self._spoken += SILENCE * (self._clock.first_timestamp_ms * BYTES_PER_MS)
            mulaw = parts.handset.take(chunk.size, parts.started_at + chunk.timestamp_ms / 1000)
            voice = mulaw or SILENCE * chunk.size
            self._spoken += voice
            if parts.echo is not None:
                voice = mulaw = parts.echo.mix(voice, chunk.timestamp_ms, parts.playback.between)
            leaves_at = parts.route.media(chunk.due_at)
            if leaves_at is None:
                parts.wire.skip_chunk()
            elif full:
                parts.wire.skip_chunk()
                yield leaves_at, None
            else:
                payload = mulaw if chunk.size == FRAME_BYTES else voice  # None is a frame of silence
                yield leaves_at, parts.codec.text(parts.wire.media(payload, int(chunk.timestamp_ms)))
