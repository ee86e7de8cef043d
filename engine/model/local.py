"""The local voice as a provider: recognition, a dialogue and rendering on this machine, without any key."""

from contextlib import AbstractAsyncContextManager
from typing import Final

from engine.dialogue.dialogue import Dialogue
from engine.model.local_stream import LocalStream, open_local_stream
from engine.model.provider import Capabilities, SessionSetup
from engine.speech.interface import Speech

CAPABILITIES: Final = Capabilities(
    server_turn_events=False,
    truncation=True,
    forced_tool=False,
    per_turn_context=True,
    resume=False,  # a fresh session is told what was said before; what a dialogue was asking for is in that
    text_output=False,
    g711=True,
    interim_transcripts=True,
    transcripts_within_s=0.6,  # p95 of the last reading on a full machine is 0.4 s; without words there is no answer
)


class LocalProvider:
    """Sessions that need nothing from outside.

    Args:
        speech: shared by all calls of the worker; how many it takes at once is its own business (``Speech.admit``).
        name: as in a tenant's model order.
    """

    capabilities = CAPABILITIES

    def __init__(self, speech: Speech, *, name: str = "local") -> None:
        self.name = name
        self._speech = speech

    def open_stream(self, setup: SessionSetup) -> AbstractAsyncContextManager[LocalStream]:
        """A session at once, or none.

        Raises:
            ModelRefused: as many calls as can be served well are being served.
        """
        history = [(item.role, item.text) for item in setup.history]
        return open_local_stream(self._speech, Dialogue(setup.tenant, caller=setup.caller, history=history), setup)
