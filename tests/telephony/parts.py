"""What tests attach to a line, and what they say into it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from engine.audio import g711
from engine.audio.pacer import Send

SILENCE = b"\xff" * 160


class LevelVad:
    """Whatever is not silent is speech."""

    def is_speech(self, pcm: bytes) -> bool:
        return bool(np.abs(np.frombuffer(pcm, np.int16).astype(np.int32)).max() > 500)


def loud(number: int) -> bytes:
    """A frame of speech that tells which one it is."""
    pcm = np.resize(np.array([8000 + 20 * number, -8000 - 20 * number], np.int16), 160)
    return g711.encode(pcm)


@dataclass
class Ear:
    """An inbound part that remembers."""

    frames: list[tuple[int, bytes]] = field(default_factory=list)
    pumps: list[float] = field(default_factory=list)
    patience_s: float = 0.0

    def insert(self, timestamp_ms: int, payload: bytes, now: float) -> None:
        self.frames.append((timestamp_ms, payload))

    def pump(self, now: float) -> float:
        self.pumps.append(now)
        return now + self.patience_s


@dataclass
class Mouth:
    """An outbound part with something to say."""

    queue: list[Send] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)
    asked_at: list[float] = field(default_factory=list)

    def due(self, now: float) -> Sequence[Send]:
        self.asked_at.append(now)
        said, self.queue = self.queue, []
        return said

    def on_mark(self, name: str, now: float) -> None:
        self.marks.append(name)
