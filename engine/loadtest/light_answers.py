"""What a light model says, as frames that lie ready, and the one pacer that sends them for all sessions.

An answer is the same for all: it is cut, encoded and framed once for the process.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.loadtest.light_loop import Loop
from engine.sim import gemini_frames as frames
from engine.wire.websocket import Role, WebSocketCodec

GRID_S = 0.005  # what is due within one step of it is sent together

_codec = WebSocketCodec(Role.SERVER)


def framed(message: bytes) -> bytes:
    """As it is sent."""
    return _codec.binary(message)


@dataclass(frozen=True, slots=True)
class Sentence:
    """The answer: for each of its messages of ``chunk_ms``, the bytes and the words that go out with it."""

    text: str
    chunk_ms: int
    sound_ms: float
    with_text: tuple[bytes, ...]
    sound_alone: tuple[bytes, ...]
    words: tuple[str, ...]

    @classmethod
    def of(cls, sound: NDArray[np.int16], text: str, *, chunk_ms: int = 40) -> "Sentence":
        """``sound``: 16 bit at 24 kHz."""
        messages = frames.audio_frames(sound.astype("<i2").tobytes(), chunk_ms)
        words = frames.deltas(text, len(messages), first=True)
        alone = tuple(framed(message) for message in messages)
        return cls(
            text,
            chunk_ms,
            len(sound) * 1000 / frames.OUTPUT_RATE,
            tuple(
                (framed(frames.output_text(words[at])) if at in words else b"") + sent for at, sent in enumerate(alone)
            ),
            alone,
            tuple(words.get(at, "") for at in range(len(alone))),
        )


@dataclass(slots=True, eq=False)
class Speaking:
    """One answer on its way out; ``stop`` it at any time.

    Attributes:
        sent: messages so far.
        done: is called once all have been sent.
    """

    messages: Sequence[bytes]
    began_at: float
    send: Callable[[bytes], None]
    done: Callable[[], None]
    sent: int = 0
    stopped: bool = False

    def stop(self) -> None:
        """Not a message more."""
        self.stopped = True


class Pacer:
    """Sends all answers at ``pace`` times real time. The first message leaves at once, nothing is counted from *now*,
    and no message leaves more than half a step of the grid before it is due.
    """

    def __init__(self, loop: Loop, pace: float, chunk_ms: int = 40) -> None:
        self._loop = loop
        self._step_s = chunk_ms / 1000 / pace
        self._speaking: list[Speaking] = []
        self._is_armed = False

    def add(self, speaking: Speaking) -> None:
        """Begin now."""
        self._serve(speaking, speaking.began_at)
        if speaking.sent < len(speaking.messages):
            self._speaking.append(speaking)
            self._arm()

    def _arm(self) -> None:
        # One turn is due at a time, however late it is: each arms the next, so that a second one would never end.
        if self._speaking and not self._is_armed:
            self._is_armed = True
            self._loop.at((math.floor(self._loop.clock() / GRID_S) + 1) * GRID_S, self._turn)

    def _turn(self) -> None:
        now = self._loop.clock()
        for one in self._speaking:
            self._serve(one, now)
        self._speaking = [one for one in self._speaking if not one.stopped and one.sent < len(one.messages)]
        self._is_armed = False
        self._arm()

    def _serve(self, one: Speaking, now: float) -> None:
        if one.stopped:
            return
        due = min(len(one.messages), int((now + GRID_S / 2 - one.began_at) / self._step_s) + 1)
        if due > one.sent:
            data = one.messages[one.sent] if due == one.sent + 1 else b"".join(one.messages[one.sent : due])
            one.sent = due
            one.send(data)
            if due == len(one.messages):
                one.done()
