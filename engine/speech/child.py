"""A speech process from its worker's side: start it, ask it, and notice when it is gone."""

import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from engine.errors import ConfigurationError, ModelLost
from engine.speech import pipe

START_S = 60.0  # loading takes two seconds; a busy machine that starts many workers at once takes long
_CHUNK = 65_536


class ProcessGone(ModelLost):
    """It ended, or says what no speech process says."""


class SpeechProcess:
    """One process, loaded. One request at a time; after ``ProcessGone`` or a cancelled request, not one more."""

    def __init__(self, process: trio.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._requests, self._answers = process.stdin, process.stdout
        self.pid = process.pid
        self._process = process
        self._begun = bytearray()

    async def watch(self) -> None:
        """Wait for its end.

        Raises:
            ProcessGone: always.
        """
        status = await self._process.wait()
        raise ProcessGone(f"speech process {self.pid} ended with status {status}")

    async def ask(self, kind: bytes, payload: bytes) -> bytes:
        """Send a request and wait for its answer.

        Raises:
            ProcessGone: there will be none.
            ModelLost: what was sent cannot be used.
        """
        try:
            await self._requests.send_all(pipe.frame(kind, payload))
        except trio.BrokenResourceError:
            raise ProcessGone(f"speech process {self.pid} is gone") from None
        answer, content = await self.receive()
        if answer == pipe.DONE:
            return content
        raise ModelLost(f"speech process {self.pid} cannot do that: {content.decode(errors='replace')}")

    async def receive(self) -> tuple[bytes, bytes]:
        """The next frame: kind and content.

        Raises:
            ProcessGone: there is none.
        """
        kind, size = pipe.HEAD.unpack(await self._exactly(pipe.HEAD.size))
        if kind not in {pipe.READY, pipe.DONE, pipe.FAILED} or size > pipe.LARGEST:
            raise ProcessGone(f"speech process {self.pid} talks nonsense")
        return kind, await self._exactly(size)

    async def _exactly(self, size: int) -> bytes:
        while len(self._begun) < size:
            try:
                piece = await self._answers.receive_some(_CHUNK)
            except trio.BrokenResourceError:
                piece = b""
            if not piece:
                raise ProcessGone(f"speech process {self.pid} is gone")
            self._begun += piece
        whole = bytes(self._begun[:size])
        del self._begun[:size]
        return whole


def command(weights: Path) -> list[str]:
    """What starts a speech process with these weights."""
    return [sys.executable, "-m", "engine.speech.process", str(weights)]


@asynccontextmanager
async def open_process(command: Sequence[str]) -> AsyncIterator[SpeechProcess]:
    """Start one and wait until it has loaded; it is gone when the context ends.

    A process of our own making rather than ``multiprocessing``'s, which runs the main program's imports in each: 1.5 s
    and 104 MB of them, where this takes 0.1 s and 26 MB before the weights.

    Raises:
        ConfigurationError: the weights cannot be used.
        ProcessGone: it could not be started, ended meanwhile, or was not ready in time.
    """
    try:
        process = await trio.lowlevel.open_process(list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    except OSError as error:
        raise ProcessGone(f"no speech process could be started: {error}") from error
    try:
        speech = SpeechProcess(process)
        with trio.move_on_after(START_S) as patience:
            kind, content = await speech.receive()
            if kind == pipe.FAILED:
                raise ConfigurationError(content.decode(errors="replace"))
        if patience.cancelled_caught:
            raise ProcessGone(f"speech process {process.pid} was not ready within {START_S:.0f} s")
        yield speech
    finally:
        with trio.CancelScope(shield=True):
            process.kill()  # it holds nothing that would be lost
            await process.wait()
            for end in (process.stdin, process.stdout):
                assert end is not None
                await end.aclose()
