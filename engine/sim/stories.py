"""What the demo tells: who speaks as the caller, which model answers, and what of it is simulated.

* ``the_tour``, without any key. A simulated Gemini Live greets and books an appointment, twice over, which a calendar
  of somebody else's, over HTTP, does once. In the middle of its next answer it is cut off for good. The script takes
  the line, and hands it to the local voice: real recognition, the dialogue and rendering on this machine, which answers
  the interrupted question and every other one, in whatever words it is asked.
* ``a_conversation`` of somebody's own questions with the local voice alone.
* ``with_provider``: the same questions to a real provider, where there is a key. Nothing is cut off then.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.config import Settings
from engine.sim.scenario import Clip
from engine.tenants.tenant import ModelName, Tenant
from engine.voice.cache import VoiceCache

CALLER_PITCH = 0.86  # so that caller and agent are told apart by ear
TO_SIMULATED = (
    "Could you book me a cleaning, next Monday at ten?",
    "And what does teeth whitening cost?",
)
"""All that the simulated model understands."""

TO_ANYBODY = (
    "Do I have to climb any stairs to get to you?",
    "How much is a check-up for a small child?",
    "I might be running a bit late, is that a problem?",
    "Are you open on Saturday?",
    "Can I come to you by bus?",
    "That's all, thank you very much and goodbye!",
)
"""What nothing and nobody that answers has been told before."""

_NO_KEYS: Mapping[str, Any] = {"gemini_api_key": None, "openai_api_key": None}


@dataclass(frozen=True, slots=True)
class Story:
    """One call to be told.

    Attributes:
        asks: what the caller says, one after the other.
        cut_in: the question whose answer the simulated model does not finish; empty where no model is simulated.
        settings: of the gateway, over those of every demo.
    """

    tenant: Tenant
    asks: tuple[Clip, ...]
    cut_in: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_simulated(self) -> bool:
        """Whether a simulated model begins, and is cut off."""
        return bool(self.cut_in)


def spoken(cache: VoiceCache, texts: Sequence[str]) -> tuple[Clip, ...]:
    """Texts in the caller's voice; slow where one is new.

    Raises:
        ConfigurationError: nothing of a text can be spoken.
    """
    return tuple(Clip(text, cache.mulaw(text, pitch=CALLER_PITCH)) for text in texts)


def served_by(tenant: Tenant, *models: ModelName) -> Tenant:
    """The tenant with these models, the last of them the local one."""
    return tenant.model_copy(update={"models": models})


def the_tour(tenant: Tenant, cache: VoiceCache) -> Story:
    """A simulated model that is lost, and the local voice after it; slow where a line is new."""
    asks = spoken(cache, (*TO_SIMULATED, *TO_ANYBODY))
    # The simulated model writes down what it hears; a transcriber beside it would only know its two questions.
    return Story(served_by(tenant, "gemini-live", "local"), asks, TO_SIMULATED[-1], {"gemini_transcribe_model": "off"})


def a_conversation(tenant: Tenant, asks: tuple[Clip, ...]) -> Story:
    """With the local voice alone."""
    return Story(served_by(tenant, "local"), asks, settings=_NO_KEYS)


def with_provider(tenant: Tenant, asks: tuple[Clip, ...], settings: Settings) -> Story:
    """With whom the settings have a key for; the local voice stands behind them."""
    names = [name for name in Settings.model_fields if name.startswith(("gemini_", "openai_", "elevenlabs_"))]
    return Story(tenant, asks, settings={name: getattr(settings, name) for name in names})
