"""Is what the line brings the caller's voice, or our own coming back?

Theory. An echo of the agent comes 20 to some 450 ms after it was played, and fainter, by a *return loss* of 10 to 40 dB
that belongs to the line. So a frame that is fainter than the loudest sound we played lately, less the loss, may be an
echo, and counts as nobody's speech; a caller who speaks over an echo is louder than that. ::

    admitted:  level > loudest played in the last 750 ms - loss

The loss is learned. It begins at the least that is believed, so that the first word of a call cannot interrupt itself,
and moves by two observations: a line that stayed quiet while we spoke *proves* that its loss is large (this is the
ordinary case, settled within the first second and a half of the agent's speech), and the frames that look like echoes
keep it below what they show, at once where they are louder than was believed, while it creeps upwards otherwise. What
is admitted lowers it slowly: it may be the echo of a line that has just been switched to a loudspeaker.

Nothing here runs while nobody speaks: the levels of what was played are worked out when they are first asked for.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from engine.audio.g711 import FRAME_BYTES, FRAME_MS, SAMPLE_RATE_HZ, decode
from engine.audio.vad import FAINTEST_SPEECH_DBFS, SILENT_DBFS, levels_dbfs

LEAST_LOSS_DB: Final = 10.0
MOST_LOSS_DB: Final = 60.0
ECHO_S: Final = 0.75
"""For so long after it was played may a sound come back: the echo's own delay, and bursts on the way to us."""

_KEPT_S: Final = 1.5
_LONGEST_DELAY_S: Final = 0.45
_QUIET_FRAMES: Final = 35  # of a line, before its silence proves anything
_PROVING_BLOCKS: Final = 5  # of 20 ms of loud sound that must have come back by now, if anything does
_MARGIN_DB: Final = 3.0
_UP_DB: Final = 0.01  # per frame that looks like an echo
_DOWN_DB: Final = 0.2  # per frame that does not


@dataclass(slots=True)
class _Piece:
    """Audio that plays from ``at`` on; ``levels`` of its whole 20 ms blocks and their maximum, once somebody asked."""

    at: float
    until: float
    mulaw: bytes
    levels: Sequence[float] = ()
    loudest: float | None = None

    @property
    def blocks(self) -> int:
        return len(self.mulaw) // FRAME_BYTES


class PlayedSound:
    """What the caller was given to hear lately, and when. Instants are seconds."""

    def __init__(self) -> None:
        self._pieces: deque[_Piece] = deque()
        self.until = float("-inf")
        """When the last of it ends, or ended."""

    def add(self, mulaw: bytes, at: float, now: float) -> None:
        """This will play from ``at`` on; pieces come in order."""
        pieces = self._pieces
        self.until = at + len(mulaw) / SAMPLE_RATE_HZ
        pieces.append(_Piece(at, self.until, mulaw))
        while pieces[0].until < now - _KEPT_S:
            pieces.popleft()

    def clear(self, now: float) -> None:
        """What has not been played by now never will be."""
        pieces = self._pieces
        while pieces and pieces[-1].at >= now:
            pieces.pop()
        if pieces and pieces[-1].until > now:
            last = pieces.pop()
            pieces.append(_Piece(last.at, now, last.mulaw[: round((now - last.at) * SAMPLE_RATE_HZ)]))
        self.until = min(self.until, now)

    def loudest(self, since: float, until: float) -> float:
        """The loudest block of the pieces that sounded, at least in part, between these instants, in dBFS."""
        loudest = [piece.loudest for piece in self._sounding(since, until) if piece.loudest is not None]
        return max(loudest, default=SILENT_DBFS)

    def levels(self, since: float, until: float) -> list[float]:
        """Levels in dBFS of the 20 ms blocks that sounded, at least in part, between these instants, in order."""
        block_s = FRAME_MS / 1000
        found: list[float] = []
        for piece in self._sounding(since, until):
            first = max(0, int((since - piece.at) / block_s))
            found += piece.levels[first : max(0, int((until - piece.at) / block_s) + 1)]
        return found

    def _sounding(self, since: float, until: float) -> list[_Piece]:
        """The pieces that sounded between these instants; their levels are worked out, those of all of them at once."""
        pieces = [piece for piece in self._pieces if piece.until > since and piece.at < until]
        unknown = [piece for piece in pieces if piece.loudest is None]
        if unknown:
            levels = levels_dbfs(decode(b"".join([piece.mulaw[: piece.blocks * FRAME_BYTES] for piece in unknown])))
            begin = 0
            for piece in unknown:
                piece.levels = levels[begin : begin + piece.blocks]
                piece.loudest = max(piece.levels, default=SILENT_DBFS)
                begin += piece.blocks
        return pieces


class EchoGuard:
    """Judges the loud frames of one line."""

    def __init__(self, played: PlayedSound) -> None:
        self._played = played
        self._loss = LEAST_LOSS_DB
        self._last_loud = 0  # number of the frame
        self._loudest_at, self._loudest = float("-inf"), SILENT_DBFS  # several frames may be judged at one instant

    @property
    def loss_db(self) -> float:
        """By how much an echo on this line is believed to be fainter, at least."""
        return self._loss

    def is_on_guard(self, now: float) -> bool:
        """Could anything of what we played still come back? If not, nothing needs to be asked."""
        return now < self._played.until + ECHO_S

    def admits(self, level_dbfs: float, frame: int, now: float, *, learn: bool = True) -> bool:
        """Is this frame louder than any echo of ours can be?

        Args:
            level_dbfs: of the frame.
            frame: its number on the line, in media time.
            now: when it came.
            learn: it is as good as any other example of what this line brings; not while the caller may be speaking.
        """
        if level_dbfs < FAINTEST_SPEECH_DBFS:
            return False
        quiet, self._last_loud = frame - self._last_loud - 1, frame
        if quiet >= _QUIET_FRAMES:
            self._learn_from_silence(quiet * FRAME_MS / 1000, now)
        if now != self._loudest_at:
            self._loudest_at, self._loudest = now, self._played.loudest(now - ECHO_S, now)
        if self._loudest < FAINTEST_SPEECH_DBFS:
            return True
        fainter = self._loudest - level_dbfs
        admitted = fainter < self._loss
        if admitted:
            self._loss = max(LEAST_LOSS_DB, self._loss - _DOWN_DB)
        elif learn:
            self._loss = max(LEAST_LOSS_DB, min(self._loss + _UP_DB, fainter - _MARGIN_DB))
        return admitted

    def _learn_from_silence(self, quiet_s: float, now: float) -> None:
        """What we played so long ago would have been heard by now, had it come back as loud as speech."""
        levels = sorted(self._played.levels(now - quiet_s, now - _LONGEST_DELAY_S))
        if len(levels) >= _PROVING_BLOCKS:
            proven = levels[-_PROVING_BLOCKS] - FAINTEST_SPEECH_DBFS
            self._loss = max(self._loss, min(MOST_LOSS_DB, proven))
