"""The ear of a local session: what the caller says in the open turn, understood whenever they pause.

The recogniser takes whole sounds, not streams. So the turn is given to it where the caller pauses, and again where they
had only paused: the words are known, and looked up, by the time endpointing has decided. While they speak it is not
asked: half a sentence would be taken for the question, if the whole came late, and would be answered; and on a busy
machine that very work makes the whole late. One job at a time; what is understood of a turn that is over is dropped.
Nothing is cancelled, since a process that is at work cannot be; it is only no longer waited for.

Positions are bytes of mu-law since the turn began. What is *quiet* in it needs no recognition of its own: a pause that
follows the last word does not change what was said.
"""

from collections import deque
from collections.abc import Callable

import trio

from engine.audio import g711
from engine.audio.vad import FAINTEST_SPEECH_DBFS, level_dbfs
from engine.speech.interface import Speech

KEPT_S = 30.0  # of a turn; what was said before is not understood any more
_PAUSE_BYTES = 1600  # 200 ms: no word is silent for so long
_BELOW_PEAK_DB = 25.0  # so far below the turn's loudest window it is the room that is heard, not the caller
_PER_S = 1000 * g711.BYTES_PER_MS


class Ear:
    """One caller's turns, one after the other.

    Args:
        tell: gets the text so far of the open turn where the caller pauses, if it is another one; never blank.
        window_bytes: of a window that is full; a shorter one was sent early, because the caller paused.
    """

    def __init__(self, speech: Speech, tell: Callable[[str], None], *, window_bytes: int) -> None:
        self._speech = speech
        self._tell = tell
        self._window_bytes = window_bytes
        self._work = trio.lowlevel.ParkingLot()  # the task that recognises
        self._known = trio.lowlevel.ParkingLot()  # those who wait for words
        self._turn = 0
        self._last: tuple[bytes, str] = (b"", "")  # what was recognised last, of whichever turn
        self.opened()

    def opened(self) -> None:
        """A turn begins: nothing is known of it."""
        self._turn += 1
        self._windows: deque[bytes] = deque()
        self._kept = self._end = 0
        self._last_loud = -1  # where speech ends
        self._loudest = FAINTEST_SPEECH_DBFS
        self._begun = self._covered = -1  # how far the newest job reaches, and the newest result
        self._text = ""
        self._paused = self._wanted = False

    def window(self, mulaw: bytes) -> None:
        """More of the open turn."""
        if not mulaw:
            return
        self._windows.append(mulaw)
        self._kept += len(mulaw)
        while self._kept > KEPT_S * _PER_S:
            self._kept -= len(self._windows.popleft())
        level = level_dbfs(g711.decode(mulaw))
        self._loudest = max(self._loudest, level)
        if level > max(FAINTEST_SPEECH_DBFS, self._loudest - _BELOW_PEAK_DB):
            self._last_loud, self._paused = self._end + len(mulaw), False
        self._end += len(mulaw)
        # The beginning of a turn comes in one piece, longer or shorter than a window.
        self._paused |= self._end - len(mulaw) > 0 and len(mulaw) < self._window_bytes
        self._paused |= self._end - self._last_loud >= _PAUSE_BYTES
        if self._is_due:
            self._work.unpark_all()

    async def wait_text(self) -> str:
        """The turn is over: all that was said in the turn, once that is known; empty where nothing was.

        Of a turn that is followed by another meanwhile, whatever is known of it.
        """
        turn, self._wanted = self._turn, True
        while turn == self._turn and self._end and self._covered < max(0, self._last_loud):
            self._work.unpark_all()
            await self._known.park()
        return self._text if turn == self._turn else ""

    async def run(self) -> None:
        """Recognise what is due, until cancelled.

        Raises:
            ModelLost: the recogniser cannot.
        """
        while True:
            if not self._is_due:
                await self._work.park()
                continue
            turn, begun, heard = self._turn, self._end, b"".join(self._windows)
            self._begun = begun
            before, text = self._last
            if heard != before:  # else the same turn is asked again
                text = (await self._speech.recognise(heard)).strip()
                self._last = heard, text
            if turn == self._turn:
                self._covered = begun
                # Told only while it is all that was said: one who goes on has not asked yet.
                if text and text != self._text and self._last_loud <= begun and not self._wanted:
                    self._tell(text)
                self._text = text
            self._known.unpark_all()

    @property
    def _is_due(self) -> bool:
        if self._wanted:
            return bool(self._end) and self._begun < max(0, self._last_loud)
        return self._paused and self._last_loud > self._begun
