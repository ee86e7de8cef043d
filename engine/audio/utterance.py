"""One generation's audio on its way out: how much was queued, sent and heard. The pacer's bookkeeping."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from engine.audio.g711 import BYTES_PER_MS, FRAME_BYTES
from engine.audio.rewind import LONGEST_MS

_FORGET_AFTER: Final = 1000 * BYTES_PER_MS  # heard audio is dropped in pieces of a second
_KEPT: Final = LONGEST_MS * BYTES_PER_MS  # of what was heard: it may be said again


@dataclass(slots=True, eq=False)
class Utterance:
    """Audio of one generation. Counts are bytes of it; the silence that fills its last frame counts nowhere.

    What was sent is kept until it has been heard: a clear that was meant for an older generation takes it from the
    carrier too, and then it is sent again.

    Attributes:
        ended: nothing more will come.
        cut: its end is not the speaker's own, and has been reported.
        queued: bytes accepted.
        sent: of them, those given to the carrier.
        marks: how many periodic marks were asked for; their names are never used twice.
        marked: ``sent`` at the last mark.
        reached: how far the caller had heard it when it last was rewound; said again or not, that stays heard.
        rewinds: how often it had to be sent again from where it was heard.
        start: the place of its first byte on the carrier's axis; None where the next byte to send decides.
    """

    generation: int
    ended: bool = False
    cut: bool = False
    queued: int = 0
    sent: int = 0
    marks: int = 0
    marked: int = 0
    reached: int = 0
    rewinds: int = 0
    start: int | None = None
    _audio: bytearray = field(default_factory=bytearray)
    _forgotten: int = 0

    @property
    def unsent(self) -> int:
        """Bytes accepted and not sent."""
        return self.queued - self.sent

    def sendable(self) -> int:
        """Bytes that could be sent now, in whole frames; the last frame of an ended utterance counts as whole."""
        unsent = self.queued - self.sent
        part = unsent % FRAME_BYTES
        if not part:
            return unsent
        return unsent - part + (FRAME_BYTES if self.ended else 0)

    def add(self, mulaw: bytes) -> int:
        """Queue audio behind the rest; how many bytes waited before it."""
        waited = self.queued - self.sent
        self._audio += mulaw
        self.queued += len(mulaw)
        return waited

    def take(self, size: int, position: int) -> bytes:
        """Send the next ``size`` bytes, filled up with silence, to this place on the carrier's axis."""
        if self.start is None:
            self.start = position - self.sent
        begin = self.sent - self._forgotten
        piece = bytes(self._audio[begin : begin + size])
        self.sent += len(piece)
        return piece if len(piece) == size else piece + b"\xff" * (size - len(piece))

    def heard(self, position: int) -> int:
        """Bytes of it that have been played when the carrier's playback stands at ``position``."""
        if self.start is None:
            return self.sent
        return min(self.sent, max(self._forgotten, position - self.start))

    def forget(self, position: int) -> None:
        """Drop what has long been heard."""
        heard = self.heard(position) - _KEPT
        if heard - self._forgotten >= _FORGET_AFTER:
            del self._audio[: heard - self._forgotten]
            self._forgotten = heard

    def rewind(self, heard: int) -> None:
        """Send again all that lies behind ``heard``."""
        self.sent = self.marked = heard
        self.reached = max(self.reached, heard)
        self.rewinds += 1
        self.start = None

    def step_back(self, how_far: Callable[[bytes], int]) -> int:
        """After a rewind: say again as much as ``how_far`` finds good, given the last of what was heard.

        Returns the bytes. However often it is interrupted, it never falls further behind ``reached`` than once.
        """
        farthest = max(self._forgotten, self.reached - _KEPT)
        back = how_far(bytes(self._audio[farthest - self._forgotten : self.sent - self._forgotten]))
        self.sent -= back
        self.marked = self.sent
        return back

    def drop_unsent(self) -> None:
        """Nothing more of it will be sent."""
        del self._audio[self.sent - self._forgotten :]
        self.queued = self.sent
        self.ended = self.cut = True

    def next_mark(self, *, end: bool) -> str:
        """A name for a mark behind what was sent, unlike all others of this call."""
        self.marked = self.sent
        if end:
            return f"u{self.generation}:end{self.rewinds or ''}"
        self.marks += 1
        return f"u{self.generation}:{self.marks}"
