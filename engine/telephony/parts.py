"""What a call's actors attach to a line: plain calls, made by the media plane, that must return at once."""

from collections.abc import Sequence
from typing import Protocol

from engine.audio.pacer import Send


class InboundPart(Protocol):
    """The jitter actor's part of a line."""

    def insert(self, timestamp_ms: int, payload: bytes, now: float) -> object:
        """A media message came."""

    def pump(self, now: float) -> float:
        """All that was read has been inserted; when it wants to be called again, whatever comes before."""


class OutboundPart(Protocol):
    """Egress's part of a line."""

    def due(self, now: float) -> Sequence[Send]:
        """What to send now."""

    def on_mark(self, name: str, now: float) -> None:
        """The carrier echoed a mark."""
