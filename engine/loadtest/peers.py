"""The process of the simulated model: ``python -m engine.loadtest.peers``. Speaks, transcribes and embeds, on loopback.

It ends when its stdin does, so that it never outlives a parent that was killed.
"""

import gc
from pathlib import Path

import msgspec
import numpy as np
import trio

from engine.loadtest.child import read_part, stdin, tell
from engine.loadtest.plan import ANSWER_S, Faults, Plan
from engine.loadtest.talk import LengthEar, clips
from engine.loadtest.wire import PeersPart, PeersUp, line
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


def make_model(plan: Plan, speech: Path) -> SimGemini:
    """Answers every question with two seconds of a tone."""
    tone = (6000 * np.sin(2 * np.pi * 440 * np.arange(int(24000 * ANSWER_S)) / 24000)).astype(np.int16)
    ear = LengthEar.of(clips(VoiceCache(speech)))
    return SimGemini(
        ear=ear,
        brain=EchoBrain(tone),
        pace=plan.pace,
        think_ms=plan.think_ms,
        seed=plan.seed,
        rules=rules(plan.faults),
    )


async def _run() -> None:
    told, _ = await trio.to_thread.run_sync(read_part)
    part = msgspec.json.decode(told, type=PeersPart)
    model = await trio.to_thread.run_sync(make_model, part.plan, Path(part.speech))
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
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(_run)
