"""A carrier's playback queue, byte by byte: what the pacer believes in is compared with this."""

from collections import deque

from engine.audio.pacer import Clear, Mark, Media, Send

BYTES_PER_MS = 8


class Carrier:
    """Plays at 1x what it was given; ``echoes`` are the marks that come back, in order."""

    def __init__(self) -> None:
        self.queue: deque[int | str] = deque()  # a byte to play, or a mark's name
        self.played = bytearray()
        self.cleared = 0
        self.silent_ms = 0
        self.echoes: list[str] = []

    @property
    def unplayed(self) -> int:
        return sum(isinstance(item, int) for item in self.queue)

    def receive(self, message: Send) -> None:
        if isinstance(message, Media):
            assert message.mulaw
            assert len(message.mulaw) % 160 == 0
            self.queue.extend(message.mulaw)
        elif isinstance(message, Mark):
            self.queue.append(message.name)
        else:
            assert isinstance(message, Clear)
            self.cleared += self.unplayed
            self.echoes += [item for item in self.queue if isinstance(item, str)]
            self.queue.clear()
        self._reach_marks()

    def play(self, ms: int) -> None:
        for _ in range(ms):
            if not self.queue:
                self.silent_ms += 1
            for _ in range(BYTES_PER_MS):
                if self.queue:
                    item = self.queue.popleft()
                    assert isinstance(item, int)
                    self.played.append(item)
                self._reach_marks()

    def take_echoes(self) -> list[str]:
        echoes, self.echoes = self.echoes, []
        return echoes

    def _reach_marks(self) -> None:
        while self.queue and isinstance(name := self.queue[0], str):
            self.queue.popleft()
            self.echoes.append(name)
