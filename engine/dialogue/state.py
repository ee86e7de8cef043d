"""What one conversation remembers between two things said."""

from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Any, TypeAlias

from engine.dialogue.acts import Act, CallTool, Say
from engine.dialogue.answers import Weights
from engine.dialogue.forms import Form
from engine.dialogue.phrases import phrase
from engine.dialogue.spoken import LONGEST_SAID, bounded
from engine.messages import Passage
from engine.tenants.hours import Week, read_week
from engine.tenants.tenant import KnowledgeNote, Person, Tenant, ToolSpec

HOURS_TOOL, SLOTS_TOOL, FIND_TOOL = "opening_hours", "free_slots", "find_appointment"
BOOK_TOOL, MESSAGE_TOOL, TRANSFER_TOOL, END_TOOL = "book_appointment", "take_message", "transfer_call", "end_call"
OWN_TOOLS = frozenset({HOURS_TOOL, SLOTS_TOOL, FIND_TOOL, BOOK_TOOL, MESSAGE_TOOL, TRANSFER_TOOL, END_TOOL})


class Offer(Enum):
    """What a plain yes would mean now, where the caller was offered something."""

    MESSAGE = "message"
    PERSON = "person"
    ANYTHING_ELSE = "anything else"


class Topic(Enum):
    """What a question that leans on the last one leans on."""

    NOTHING = "nothing"
    PASSAGES = "passages"
    HOURS = "hours"


@dataclass(frozen=True, slots=True)
class Pending:
    """A tool at work. ``form`` is what it was filled from, to go on with where it is refused."""

    name: str
    form: Form | None = None
    text: str = ""


@dataclass(eq=False, slots=True)
class State:
    """All of it.

    Attributes:
        tools: the tenant's, by name.
        week: the hours; empty where the tenant has none.
        form: what is being filled in; at most one.
        person: who was offered, where one was.
        last: what was said last and is worth repeating.
        turn: how many things the caller has said; chooses between wordings.
        misses: how often in a row nothing was understood.
    """

    tenant: Tenant
    caller: str
    tools: dict[str, ToolSpec]
    week: Week
    weights: Weights
    earlier: int = 0
    form: Form | None = None
    offer: Offer | None = None
    person: Person | None = None
    pending: dict[str, Pending] = field(default_factory=dict)
    last: str = ""
    topic: Topic = Topic.NOTHING
    topic_text: str = ""
    topic_passages: tuple[Passage, ...] = ()
    turn: int = 0
    misses: int = 0
    _calls: int = 0

    def phrase(self, key: str, /, **parts: Any) -> str:
        """A sentence of the table, in this turn's wording."""
        return phrase(key, self.turn, **parts)

    def say(self, key: str, /, **parts: Any) -> tuple[Act, ...]:
        """The same as the only act."""
        return self.words(self.phrase(key, **parts))

    def words(self, *parts: str) -> tuple[Act, ...]:
        """Say these sentences, as many as a caller can take in; the last part, mostly a question, is never lost."""
        *before, last = [bounded(part) for part in parts if part] or [""]
        first = bounded(" ".join(before), LONGEST_SAID - len(last) - 1) if before else ""
        text = f"{first} {last}".strip()
        return (Say(text),) if text else ()

    def call(self, name: str, arguments: dict[str, Any], *, form: Form | None = None, text: str = "") -> CallTool:
        """Have a tool at work. A call's id is not used again, also not by a dialogue that follows on this one."""
        self._calls += 1
        call_id = f"{name}-{self.earlier}-{self._calls}"
        self.pending[call_id] = Pending(name, form, text)
        return CallTool(call_id, name, arguments)

    def offering(self, offer: Offer | None, person: Person | None = None) -> None:
        """What a plain yes means from here on."""
        self.offer, self.person = offer, person

    def offer_message(self) -> str:
        """The offer in words, or what to do instead where no message can be taken."""
        if MESSAGE_TOOL not in self.tools:
            return self.phrase("no_offer")
        self.offering(Offer.MESSAGE)
        return self.phrase("offer_message")


@lru_cache(maxsize=64)
def _weights(knowledge: tuple[KnowledgeNote, ...]) -> Weights:
    """Kept from call to call: counting a tenant's words takes a few milliseconds."""
    return Weights(f"{note.source}. {note.text}" for note in knowledge)


def new_state(tenant: Tenant, caller: str, earlier: int) -> State:
    """Of a conversation that begins; ``earlier`` is how much was said in this call before."""
    tools = {tool.name: tool for tool in tenant.tools}
    return State(
        tenant, caller, tools, read_week(tenant.hours) if tenant.hours else (), _weights(tenant.knowledge), earlier
    )


Acts: TypeAlias = tuple[Act, ...]
