"""The one thread of a process that seals recordings and writes them: nothing of a call ever waits for a disk.

Chunks go to it through a bounded queue. A recording for which there is no room, or whose file cannot be written, is
given up as a whole from there on, and counted: its calls go on. What it has written so far stays good.
"""

import os
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

from engine.audio.g711 import BYTES_PER_MS
from engine.log import get_logger
from engine.recording.files import RecordingFiles, name_of
from engine.recording.sealed import Sealer
from engine.store.recordings import Recording

CHUNKS_QUEUED = 1000  # some 16 kB each

log = get_logger("recording.writer")


@dataclass(slots=True, eq=False)
class OpenRecording:
    """One that is being written. ``given_up``: nothing more of it is taken.

    Attributes:
        samples: of each track, handed over so far.
    """

    tenant_id: str
    call_sid: str
    part: int
    caller: str
    started_at: str
    samples: int = 0
    given_up: bool = False
    file: BinaryIO | None = field(default=None, repr=False)
    sealer: Sealer | None = field(default=None, repr=False)
    written: int = 0


class RecordingWriter:
    """``on_done`` gets each recording that has been written to its end; ``on_fate`` counts what became of each.

    ``kept``; ``given_up`` where the disk takes nothing more of it; ``crashed`` where nobody foresaw why.

    Both are called on the thread, and must not raise.
    """

    def __init__(
        self,
        files: RecordingFiles,
        secret: bytes,
        *,
        on_done: Callable[[Recording], None],
        on_fate: Callable[[str], None],
        queued: int = CHUNKS_QUEUED,
    ) -> None:
        self._files, self._secret = files, secret
        self._on_done, self._on_fate = on_done, on_fate
        self._queue: queue.Queue[tuple[OpenRecording, bytes, bool] | None] = queue.Queue(queued)
        self._being_written: set[OpenRecording] = set()
        self._thread = threading.Thread(target=self._run, name="recordings", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def write(self, recording: OpenRecording, chunk: bytes, *, last: bool = False) -> None:
        """Take a chunk (the caller's track, then as much of the agent's). Returns at once."""
        if recording.given_up:
            return
        recording.samples += len(chunk) // 2
        try:
            self._queue.put_nowait((recording, chunk, last))
        except queue.Full:
            recording.given_up = True
            self._on_fate("given_up")

    def close(self, patience_s: float) -> None:
        """Write what waits, for so long at most. Blocks: not for trio's thread."""
        try:
            self._queue.put(None, timeout=patience_s)
        except queue.Full:
            return  # the disk takes nothing, and the thread ends with the process
        self._thread.join(patience_s)

    def _run(self) -> None:
        while (taken := self._queue.get()) is not None:
            recording, chunk, last = taken
            if recording.given_up:
                self._let_go(recording)
                continue
            try:
                self._write(recording, chunk, last=last)
            except Exception as error:
                # A full disk, a name that is none, a bug: one recording's trouble must not stop all others'.
                log.exception("a recording is given up", call_sid=recording.call_sid, tenant_id=recording.tenant_id)
                recording.given_up = True
                self._on_fate("given_up" if isinstance(error, OSError) else "crashed")
                self._let_go(recording)
        for recording in list(self._being_written):
            self._let_go(recording)  # of calls that are cut off: good as far as they go

    def _let_go(self, recording: OpenRecording) -> None:
        self._being_written.discard(recording)
        if recording.file is not None:
            try:
                recording.file.close()
            except OSError as error:
                log.error("a recording's file could not be closed", call_sid=recording.call_sid, detail=str(error))

    def _write(self, recording: OpenRecording, chunk: bytes, *, last: bool) -> None:
        if recording.file is None:
            self._open(recording)
        assert recording.file is not None
        assert recording.sealer is not None
        sealed = recording.sealer.seal(chunk, last=last)
        recording.written += recording.file.write(sealed)
        recording.file.flush()
        if last:
            os.fsync(recording.file.fileno())
            self._let_go(recording)
            self._on_fate("kept")
            self._on_done(
                Recording(
                    recording.tenant_id,
                    recording.call_sid,
                    recording.part,
                    recording.caller,
                    recording.started_at,
                    recording.samples // BYTES_PER_MS,
                    recording.written,
                )
            )

    def _open(self, recording: OpenRecording) -> None:
        path = self._files.path(recording.tenant_id, recording.call_sid, recording.part)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        while path.exists():  # two lines of one recovery: the carrier asked twice
            recording.part += 1
            path = self._files.path(recording.tenant_id, recording.call_sid, recording.part)
        recording.file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        self._being_written.add(recording)
        recording.sealer = Sealer(self._secret, recording.tenant_id, name_of(recording.call_sid, recording.part))
        recording.written = recording.file.write(recording.sealer.head)
