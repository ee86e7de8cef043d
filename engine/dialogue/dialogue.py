"""One caller's conversation with the offline voice."""

from collections.abc import Mapping, Sequence
from typing import Any

from engine.dialogue.acts import Act, Say
from engine.messages import Passage
from engine.tenants.tenant import Tenant


class Dialogue:
    """Remembers what is being asked for and what is still missing for it.

    Args:
        caller: their number; empty where it is withheld.
        history: what was said before this dialogue began, oldest first: ("caller" or "agent", text).
    """

    def __init__(self, tenant: Tenant, *, caller: str = "", history: Sequence[tuple[str, str]] = ()) -> None:
        self._tenant = tenant
        self._caller = caller
        self._history = tuple(history)

    def hear(self, text: str, passages: Sequence[Passage]) -> tuple[Act, ...]:
        """The caller has said this (empty: something that was not understood); the turn's passages, best first."""
        raise NotImplementedError

    def tool_result(self, call_id: str, response: Mapping[str, Any]) -> tuple[Act, ...]:
        """What came of a ``CallTool``. Never more than a few acts; none where nothing is to be said."""
        raise NotImplementedError

    def told_to_say(self, text: str) -> tuple[Act, ...]:
        """Words decided elsewhere (the greeting): said as they are."""
        return (Say(text),) if text else ()

    def cut(self, heard: str) -> None:
        """The caller cut the last answer off, having heard only this of it."""
