"""A simulated transcribe model in a process of its own, as late as a real one: for ``bench.retrieval``.

    python -m bench.transcriber VOICE_DIRECTORY --seed 1        (prints its URL; ends when its input is closed)

It knows the committed questions and tells them apart by their sound. Of its own process, so that its hearing (some
10 ms of a core each time) does not stand in the gateway's way; and whatever it says arrives as late as words come back
from a service on the network: a round trip and some work, different each time, always in order.
"""

import argparse
import random
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import trio
from numpy.typing import NDArray

from bench.retrieval_quality import read_questions
from engine.audio import g711
from engine.sim.brain import EchoBrain
from engine.sim.ear import PhraseEar
from engine.sim.gemini import SimGemini
from engine.sim.scenario import Clip
from engine.voice.cache import VoiceCache

CALLER_PITCH = 0.86
LATE_MS, SPREAD_MS = 200.0, 60.0  # median and standard deviation of what words take to come back
EARLIEST_MS, LATEST_MS = 80.0, 600.0


def clips(voice: Path) -> Mapping[str, Clip]:
    """The committed questions as sound; some seconds where they have not been rendered before."""
    cache = VoiceCache(voice)
    return {q.ask: Clip(q.ask, cache.mulaw(q.ask, pitch=CALLER_PITCH)) for q in read_questions()[0]}


class LateStream(trio.abc.Stream):
    """A stream whose every write arrives later by a draw from ``rng``, never before the write that preceded it."""

    def __init__(self, inner: trio.abc.Stream, rng: random.Random) -> None:
        self._inner, self._rng = inner, rng
        self._send, self._receive = trio.open_memory_channel[tuple[float, bytes]](10_000)

    async def run(self) -> None:
        """Deliver until cancelled, or until the other side is gone."""
        try:
            async for due, data in self._receive:
                await trio.sleep_until(due)
                await self._inner.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._receive.close()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """See ``trio.abc.SendStream``; returns at once."""
        late_ms = min(LATEST_MS, max(EARLIEST_MS, self._rng.gauss(LATE_MS, SPREAD_MS)))
        await self._send.send((trio.current_time() + late_ms / 1000, bytes(data)))

    async def wait_send_all_might_not_block(self) -> None:
        """See ``trio.abc.SendStream``."""
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """See ``trio.abc.ReceiveStream``."""
        return await self._inner.receive_some(max_bytes)

    async def aclose(self) -> None:
        """See ``trio.abc.AsyncResource``; what is under way is lost, as with a connection that breaks."""
        await self._inner.aclose()


class LateTranscriber(SimGemini):
    """``SimGemini`` behind late streams; each connection has its own draws, by its number and the seed."""

    def __init__(self, ear: PhraseEar, seed: int) -> None:
        super().__init__(ear=ear, brain=EchoBrain(np.zeros(0, np.int16)), seed=seed)
        self._seed, self._opened = seed, 0

    async def serve_stream(self, stream: trio.abc.Stream) -> None:
        """See ``SimGemini``."""
        self._opened += 1
        late = LateStream(stream, random.Random(f"{self._seed}/{self._opened}"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(late.run)
            await super().serve_stream(late)
            nursery.cancel_scope.cancel()


async def serve(voice: Path, seed: int) -> None:
    """Until standard input ends."""
    sounds: dict[str, NDArray[np.int16]] = {text: g711.decode(clip.mulaw) for text, clip in clips(voice).items()}
    async with trio.open_nursery() as nursery:
        url: str = await nursery.start(LateTranscriber(PhraseEar(sounds), seed).serve)
        sys.stdout.write(url + "\n")
        sys.stdout.flush()
        await trio.to_thread.run_sync(sys.stdin.buffer.read, abandon_on_cancel=True)
        nursery.cancel_scope.cancel()


def main() -> None:
    parser = argparse.ArgumentParser(description="The simulated transcribe model of bench.retrieval.")
    parser.add_argument("voice", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    trio.run(serve, asked.voice, asked.seed)


if __name__ == "__main__":
    main()
