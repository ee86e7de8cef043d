"""The process of the simulated model: ``python -m engine.loadtest.peers``. Speaks, transcribes and embeds, on loopback.

It ends when its stdin does, so that it never outlives a parent that was killed.
"""

import gc
import random
import socket
from pathlib import Path

import msgspec
import numpy as np
import trio
from numpy.typing import NDArray

from engine.loadtest.child import read_part, stdin, tell
from engine.loadtest.light_answers import Pacer, Sentence
from engine.loadtest.light_link import LightEmbeddings, LightLink
from engine.loadtest.light_loop import Loop
from engine.loadtest.light_model import LightHouse
from engine.loadtest.plan import ANSWER_S, Faults, Plan
from engine.loadtest.talk import Busy, LengthEar, clips
from engine.loadtest.wire import PeersEnd, PeersPart, PeersUp, line
from engine.sim.brain import EchoBrain
from engine.sim.embeddings import SimEmbeddings
from engine.sim.gemini import SimGemini
from engine.sim.moods import Cut, Refuse, Rule, Slow, Stalls
from engine.voice.cache import VoiceCache

FAULTY_TURN = 3
REFUSED = range(3, 10_000, 3)


def rules(faults: Faults) -> list[Rule]:
    """How the model misbehaves, again and again."""
    match faults:
        case "none":
            return []
        case "cut":
            return [Rule(Cut(1011, after_ms=600), turn=FAULTY_TURN, times=None)]
        case "stall":
            return [Rule(Stalls(after_ms=600), turn=FAULTY_TURN, times=None)]
        case "slow":
            return [Rule(Slow(first_audio_s=4.0), turn=FAULTY_TURN, times=None)]
        case "refuse":
            return [Rule(Refuse(), connection=number) for number in REFUSED]


def answer_sound() -> NDArray[np.int16]:
    """What the model says to everything: a tone, 16 bit at 24 kHz."""
    at = np.arange(int(24000 * ANSWER_S)) / 24000
    sound: NDArray[np.int16] = (6000 * np.sin(2 * np.pi * 440 * at)).astype(np.int16)
    return sound


class Deaf:
    """An ear for a load without retrieval: where nothing is written down there is nothing to look up."""

    def hear(self, pcm: NDArray[np.int16], rate: int = 16000) -> str | None:
        """See ``sim.ear.Ear``."""

    def partial(self, pcm: NDArray[np.int16], rate: int = 16000) -> str | None:
        """See ``sim.ear.Ear``."""


def strict_model(plan: Plan, speech: Path) -> SimGemini:
    """The model of the tests, with an ear and a brain that cost little."""
    echo = EchoBrain(answer_sound())
    return SimGemini(
        ear=LengthEar.of(clips(VoiceCache(speech))) if plan.retrieval else Deaf(),
        brain=Busy(echo.answer) if plan.tools == "used" else echo,
        pace=plan.pace,
        think_ms=plan.think_ms,
        seed=plan.seed,
        rules=rules(plan.faults),
    )


def light_house(plan: Plan, speech: Path, loop: Loop) -> LightHouse:
    """The same for load; it has no moods."""
    return LightHouse(
        loop,
        Sentence.of(answer_sound(), EchoBrain(answer_sound()).answer.text),
        Pacer(loop, plan.pace),
        LengthEar.of(clips(VoiceCache(speech))) if plan.retrieval else None,
        plan.think_ms / 1000,
        plan.tools,
        random.Random(plan.seed),
    )


async def _serve_strict(part: PeersPart) -> None:
    model = await trio.to_thread.run_sync(strict_model, part.plan, Path(part.speech))
    transcriber = SimGemini(ear=model.ear, brain=model.manner.brain)
    async with trio.open_nursery() as nursery:
        up = PeersUp(
            await nursery.start(model.serve),
            await nursery.start(transcriber.serve),
            await nursery.start(SimEmbeddings().serve),
        )
        tell(line(up))
        gc.collect()
        gc.freeze()
        async with trio.lowlevel.FdStream(stdin()) as parent:
            async for _ in parent:
                pass
        tell(line(PeersEnd(len(model.protocol_faults) + len(transcriber.protocol_faults))))
        nursery.cancel_scope.cancel()


def _serve_lightly(part: PeersPart) -> None:
    loop = Loop()
    house = light_house(part.plan, Path(part.speech), loop)
    embeddings = LightEmbeddings(loop, SimEmbeddings())

    def connected(sock: socket.socket) -> None:
        LightLink(house, sock)

    model, embed = loop.listen(connected), loop.listen(embeddings.take)
    url = f"ws://127.0.0.1:{model}"
    tell(line(PeersUp(url, url, f"http://127.0.0.1:{embed}")))
    loop.watch(stdin(), loop.stop)  # nothing is ever said there: it ends
    gc.collect()
    gc.freeze()
    loop.run()
    loop.close()
    tell(line(PeersEnd(len(house.faults))))


def main() -> None:
    """Be told, and serve."""
    part = msgspec.json.decode(read_part()[0], type=PeersPart)
    if part.plan.model_checks == "light":
        _serve_lightly(part)
    else:
        trio.run(_serve_strict, part)


if __name__ == "__main__":
    main()
