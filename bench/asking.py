"""One caller who asks the same question again and again, for benches about the engine and not about what is said."""

import random

import numpy as np
from numpy.typing import NDArray

from engine.loadtest.plan import ANSWER_S, CYCLE_S
from engine.sim.scenario import Clip, HangUp, Listen, Moment, Say

QUESTION = "Is there somewhere I can park?"
_AROUND_MS = 750  # of a turn: endpointing, and the model's own thinking


class SureEar:
    """Hears the one question that there is, at no cost."""

    def hear(self, pcm: NDArray[np.int16], rate: int = 16000) -> str | None:  # noqa: ARG002 - whatever was said
        """See ``sim.ear.Ear``."""
        return QUESTION

    def partial(self, pcm: NDArray[np.int16], rate: int = 16000) -> str | None:
        """See ``sim.ear.Ear``."""
        return QUESTION if len(pcm) > rate // 2 else None


def scenario(clip: Clip, turns: int, rng: random.Random) -> list[Moment]:
    """Greeting, then a turn every four seconds; starts are spread so that calls do not move in step."""
    rest_ms = 1000 * (CYCLE_S - ANSWER_S) - len(clip.mulaw) / 8 - _AROUND_MS
    moments: list[Moment] = [Listen(quiet_ms=rng.uniform(200, 1500))]
    for _ in range(turns):
        moments += [Say(clip), Listen(quiet_ms=max(200.0, rest_ms), timeout_s=10)]
    return [*moments, HangUp()]
