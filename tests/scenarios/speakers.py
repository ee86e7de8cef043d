"""The three models as a scenario wants them: each alone in its world, wrong in the same ways, with what it can do."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import trio

from engine.errors import ModelLost
from engine.model import gemini_live, local, openai_realtime
from engine.model.provider import Capabilities
from engine.sim.brain import GroundedBrain
from engine.sim.moods import Cut, DoubleToolCall, Mood, Rule, Stalls
from engine.tenants.tenant import ModelName, OwnVoice
from engine.voice.cache import VoiceCache
from tests.calls import BOOK, TENANT, PhraseSpeech, Stage, stage

NAME = "Robin Lee."
YES = "Yes, please."
MORE = (NAME, YES)

Trouble: TypeAlias = Literal["cut", "stall", "double call"]
TROUBLES: dict[Trouble, Mood] = {
    "cut": Cut(1011, after_ms=900),
    "stall": Stalls(after_ms=900),
    "double call": DoubleToolCall(),
}
CAPABILITIES: dict[ModelName, Capabilities] = {
    "gemini-live": gemini_live.CAPABILITIES,
    "openai-realtime": openai_realtime.CAPABILITIES,
    "local": local.CAPABILITIES,
}


@dataclass(frozen=True)
class Speaker:
    """One model.

    Attributes:
        is_ours: it runs here: nobody limits its sessions, nobody calls its tools twice.
        own_voice: a voice of the tenant's own says what it writes.
    """

    name: ModelName
    is_ours: bool = False
    own_voice: OwnVoice | None = None

    @property
    def can(self) -> Capabilities:
        return CAPABILITIES[self.name]

    @asynccontextmanager
    async def on_stage(
        self,
        tmp_path: Path,
        cache: VoiceCache,
        troubles: dict[int, Trouble] | None = None,
        *,
        connection_s: float | None = None,
    ) -> AsyncIterator[Stage]:
        """A world in which the tenant has this model alone.

        Args:
            troubles: in which of the caller's turns (from 1) of its first session what goes wrong.
            connection_s: how long its sessions last.
        """
        troubles = troubles or {}
        # The simulators count the greeting as a turn; a double call lies in wait until there is one.
        rules = [
            Rule(TROUBLES[what], connection=None if what == "double call" else 1, turn=turn + 1)
            for turn, what in troubles.items()
        ]
        used: dict[str, Any] = {} if self.name == "gemini-live" else {"gemini_api_key": None}
        if connection_s is not None and not self.is_ours:
            used["gemini_connection_s" if self.name == "gemini-live" else "openai_connection_s"] = connection_s
        async with stage(
            tmp_path,
            cache,
            *(rules if self.name == "gemini-live" else ()),
            tenant=TENANT.model_copy(update={"models": (self.name,), "own_voice": self.own_voice}),
            openai=rules if self.name == "openai-realtime" else None,
            elevenlabs=() if self.own_voice is not None else None,
            local=TroubledSpeech(cache, list(troubles.values())) if self.name == "local" else None,
            brain=GroundedBrain(
                wishes={"yes please": BOOK},
                answers={
                    "book me a cleaning": "Of course. And what is your name?",
                    "robin lee": "On Monday at ten, for Robin Lee. Is that right?",
                    "one question about the prices": "Of course, what would you like to know?",
                },
            ),
            more=MORE,
            **used,
        ) as on:
            yield on


SPEAKERS = [
    Speaker("gemini-live"),
    Speaker("openai-realtime"),
    Speaker("openai-realtime", own_voice=OwnVoice(voice_id="21m00Tcm4TlvDq8ikWAM")),
    Speaker("local", is_ours=True),
]


class TroubledSpeech(PhraseSpeech):
    """The local model's troubles, each once: its process dies, or hangs, over the second sentence of an answer."""

    def __init__(self, cache: VoiceCache, troubles: Sequence[Trouble]) -> None:
        super().__init__(cache, MORE)
        self._troubles = [what for what in troubles if what != "double call"]

    async def say(self, text: str) -> bytes:
        if self._troubles and "the garage on Mill Street" in text:
            if self._troubles.pop(0) == "cut":
                raise ModelLost("the process died, and so did the next")
            await trio.sleep_forever()
        return await super().say(text)
