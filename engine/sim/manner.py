"""How a simulated model speaks, whichever service it plays."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.sim.brain import Brain

Voice = Callable[[str], Awaitable[NDArray[np.int16]]]


@dataclass(frozen=True, slots=True)
class Manner:
    """How a model speaks.

    Attributes:
        voice: text -> 16 bit at 24 kHz.
        pace: times real time at which audio is sent.
        think_s: from the commit to the first audio.
        chunk_ms: audio per message.
    """

    brain: Brain
    voice: Voice
    pace: float = 3.0
    think_s: float = 0.25
    chunk_ms: int = 40
