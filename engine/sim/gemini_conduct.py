"""PURE: when a Live client may send what it sends. Whatever the service would refuse is a ``Refusal``."""

from collections import Counter

from engine.sim.gemini_rules import (
    ActivityEnd,
    ActivityStart,
    AudioStreamEnd,
    ClientMessage,
    ContentIn,
    ContextUpdate,
    Setup,
    ToolAnswers,
)
from engine.sim.gemini_schema import Refusal


class Conduct:
    """Whether a message may come now. Knows nothing of time: only of what came before."""

    def __init__(self) -> None:
        self.setup: Setup | None = None
        self.activity_open = False
        self.seeding = False
        self._asked: Counter[str] = Counter()
        self._answered: Counter[str] = Counter()

    def ask(self, call_id: str) -> None:
        """The server sent this tool call (twice, where it is in a bad mood: then two answers are taken)."""
        self._asked[call_id] += 1

    def lose(self, call_id: str) -> None:
        """The server never got this answer (in a bad mood): it may come again."""
        self._answered[call_id] -= 1

    def admit(self, message: ClientMessage) -> None:
        """Take note of the message.

        Raises:
            Refusal: it may not come now.
        """
        if isinstance(message, Setup):
            if self.setup is not None:
                raise Refusal("setup must be sent once, as the first message")
            self.setup, self.seeding = message, message.seeds_history
            return
        if self.setup is None:
            raise Refusal(f"setup must be the first message, got {type(message).__name__}")
        match message:
            case ActivityStart() | ActivityEnd():
                self._admit_activity(self.setup, opens=isinstance(message, ActivityStart))
            case AudioStreamEnd() if self.setup.manual:
                raise Refusal("audio_stream_end is not allowed when automatic activity detection is disabled")
            case ToolAnswers():
                self._admit_answers(message)
            case ContentIn() if self.seeding:
                self.seeding = not message.complete
            case ContextUpdate() if "3.8" not in self.setup.model:
                raise Refusal(f"context_update is not supported by {self.setup.model}")
            case _:
                pass

    def _admit_activity(self, setup: Setup, *, opens: bool) -> None:
        name = "activity_start" if opens else "activity_end"
        if not setup.manual:
            raise Refusal(f"{name}: explicit activity control is not allowed with automatic activity detection")
        if opens == self.activity_open:
            raise Refusal(f"{name} while {'an' if self.activity_open else 'no'} activity is open")
        self.activity_open = opens

    def _admit_answers(self, message: ToolAnswers) -> None:
        for answer in message.answers:
            self._answered[answer.call_id] += 1
            if self._answered[answer.call_id] > self._asked[answer.call_id]:
                why = "was answered before" if self._asked[answer.call_id] else "was never asked for"
                raise Refusal(f"tool_response: function call {answer.call_id!r} {why}")
