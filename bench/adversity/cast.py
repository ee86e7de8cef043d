"""Who takes part: a small business, a caller with a few sentences, and the model's voice and mind."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import trio
from numpy.typing import NDArray

from engine.audio import g711
from engine.audio.resample import Resampler
from engine.fallback.prompts import PromptLibrary
from engine.sim.brain import GroundedBrain, ToolWish
from engine.sim.ear import PhraseEar
from engine.sim.scenario import Clip
from engine.sim.world import CALLER
from engine.tenants import examples
from engine.tenants.tenant import KnowledgeNote, Tenant
from engine.voice.cache import VoiceCache

PARKING = "Hi there, is there somewhere I can park?"
WHITENING = "And what does teeth whitening cost?"
BOOKING = "Could you book me a cleaning, next Monday at ten?"
BYE = "Perfect, thank you very much and goodbye!"
HOLD_ON = "Wait, sorry, just one question about the prices."
MESSAGE = "This is Robin Lee. Please call me back about my appointment tomorrow."
MM_HM = "Mm-hm."
PHRASES = (PARKING, WHITENING, BOOKING, BYE, HOLD_ON, MESSAGE, MM_HM)
CALLER_PITCH = 0.86  # so that caller and agent are told apart by ear
BOOK = ToolWish(
    "book_appointment",
    {"name": "Robin Lee", "day": "monday", "time": "10:00", "reason": "cleaning", "phone": CALLER},
)
TRANSFER = ToolWish("transfer_call", {"to": "the practice manager", "reason": "prices"})
# Short answers keep fifty calls a row affordable; the longest is still long enough to be cut in the middle.
_KNOWS = (
    ("Parking", "Parking is free for patients in the yard behind our building."),
    ("Whitening", "Teeth whitening at the practice takes one hour and costs 390 dollars."),
)
TENANT = examples.load("harbor-dental").model_copy(
    update={
        "greeting": "Harbor Dental, how can I help you?",
        "knowledge": tuple(KnowledgeNote(source=source, text=text) for source, text in _KNOWS),
    }
)


class Cast:
    """Everybody's speech, rendered once per machine."""

    def __init__(self, directory: Path) -> None:
        """Args: ``directory``: of rendered speech; its parent is a gateway's data directory."""
        self.data_dir = directory.parent
        self.cache = VoiceCache(directory)
        self.said: Mapping[str, Clip] = {
            text: Clip(text, self.cache.mulaw(text, pitch=CALLER_PITCH)) for text in PHRASES
        }
        self.ear = PhraseEar({text: g711.decode(clip.mulaw) for text, clip in self.said.items()})
        self._all_rendered = False
        self._rendered: dict[str, NDArray[np.int16]] = {}

    def render(self) -> None:
        """Everything else that is said, as good as: before several processes want it at once."""
        if self._all_rendered:
            return
        self._all_rendered = True
        PromptLibrary(self.cache).prepare(TENANT)
        for _, text in _KNOWS:
            self.cache.mulaw(text)

    async def voice(self, text: str) -> NDArray[np.int16]:
        """The model's: rendered in place, since the virtual clock would run away from a thread."""
        await trio.lowlevel.checkpoint()
        if text not in self._rendered:
            self._rendered[text] = Resampler(8000, 24000).process(g711.decode(self.cache.mulaw(text)))
        return self._rendered[text]


def brain(*wishes: tuple[str, ToolWish]) -> GroundedBrain:
    """Answers from its notes, books when asked to, and says goodbye; ``wishes``: more phrases to call tools at."""
    return GroundedBrain(wishes={"book me a cleaning": BOOK, **dict(wishes)}, answers={"goodbye": "Goodbye, then!"})


def tenant_with(**timing: int) -> Tenant:
    """The business, with other patience."""
    return TENANT.model_copy(update={"timing": TENANT.timing.model_copy(update=timing)})
