"""A conversation with the offline voice as one reads it: what the caller says, what is said and done."""

from collections.abc import Mapping, Sequence
from typing import Any

from engine.dialogue.acts import Act, CallTool, Say
from engine.dialogue.dialogue import Dialogue
from engine.messages import Passage
from engine.tenants import examples
from engine.tenants.tenant import Tenant

CALLER = "+15550100199"


def notes(tenant: Tenant, *sources: str, score: float = 0.6) -> list[Passage]:
    """The tenant's notes of these names, as a search would find them, best first."""
    texts = {note.source: note.text for note in tenant.knowledge}
    return [Passage(tenant.id, source, texts[source], score - 0.05 * place) for place, source in enumerate(sources)]


def said(acts: Sequence[Act]) -> str:
    """All that is said, as one text."""
    return " ".join(act.text for act in acts if isinstance(act, Say))


def called(acts: Sequence[Act]) -> list[tuple[str, dict[str, Any]]]:
    """What is to be done: names and arguments."""
    return [(act.name, dict(act.arguments)) for act in acts if isinstance(act, CallTool)]


class Conversation:
    """A dialogue and the answers of its tools, which come at once.

    Args:
        results: by tool; one that is missing answers ``ok`` with ``done``.
    """

    def __init__(
        self,
        tenant: str | Tenant,
        *,
        caller: str = CALLER,
        results: Mapping[str, Mapping[str, Any]] | None = None,
        history: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.tenant = examples.load(tenant) if isinstance(tenant, str) else tenant
        self.dialogue = Dialogue(self.tenant, caller=caller, history=history)
        self.results = dict(results or {})
        self.done: list[tuple[str, dict[str, Any]]] = []

    def hear(self, text: str, *sources: str) -> str:
        """The caller says this, and the search finds these notes: all that is said then."""
        return self._follow(self.dialogue.hear(text, notes(self.tenant, *sources)))

    def _follow(self, acts: Sequence[Act]) -> str:
        parts = []
        for act in acts:
            if isinstance(act, Say):
                parts.append(act.text)
                continue
            self.done.append((act.name, dict(act.arguments)))
            result = self.results.get(act.name, {"status": "ok", "message": "It was done.", "retryable": False})
            parts.append(self._follow(self.dialogue.tool_result(act.call_id, result)))
        return " ".join(part for part in parts if part)


def ok(message: str, **facts: Any) -> dict[str, Any]:
    return {"status": "ok", "message": message, "retryable": False, **facts}


def refused(message: str, *, retryable: bool = True, **facts: Any) -> dict[str, Any]:
    return {"status": "refused", "message": message, "retryable": retryable, **facts}


def error(message: str) -> dict[str, Any]:
    return {"status": "error", "message": message, "retryable": False}


def without(tenant: str, *tools: str) -> Tenant:
    """The example without these tools."""
    document = examples.load(tenant)
    return document.model_copy(update={"tools": tuple(tool for tool in document.tools if tool.name not in tools)})
