"""What a simulated OpenAI keeps of its sessions, for tests and reports to judge by. All instants: trio's clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from engine.sim.brain import Said, ToolAnswer
from engine.sim.model_record import Commit, Spoken


@dataclass(frozen=True, slots=True)
class Told:
    """One item as a response found it: ``kind`` and ``text`` as in ``openai_items.Item``.

    Attributes:
        fresh: it came since the response before was asked for.
    """

    id: str
    kind: str
    text: str
    fresh: bool


@dataclass(slots=True)
class ResponseRecord:
    """A response, and all that the model had been told when it was begun: for "was it looked up before?".

    Attributes:
        by: who asked for it; ``server`` where the service answers by itself (``create_response``).
        turn: of the caller; a response that goes on with a tool's result has the turn of the one before it.
        goes_on: it does.
        context: every item before it, in order.
        status: as its ``response.done`` says; ``in_progress`` until then.
    """

    at: float
    turn: int
    response_id: str
    by: Literal["client", "server"]
    goes_on: bool
    context: tuple[Told, ...]
    instructions: str
    metadata: Mapping[str, str] | None = None
    status: str = "in_progress"

    def fresh(self, kind: str) -> list[str]:
        """What came of this kind since the response before it."""
        return [told.text for told in self.context if told.fresh and told.kind == kind]


@dataclass(frozen=True, slots=True)
class Setup:
    """The session after the client's first update, in the words that tests use for every model."""

    model: str
    instruction: str
    tools: tuple[str, ...]
    raw: Mapping[str, Any] = field(repr=False)


@dataclass(slots=True)
class SessionRecord:
    """One connection, refused ones included, with the names of the other simulators and a few of its own.

    Attributes:
        setup: None until the client's first ``session.update`` was taken.
        commits: turns that the model was asked to answer.
        responses: every response, also those that go on after a tool.
        truncated: item id -> ms of it that were heard, as the client told it.
        closed_code: by whomever; 1006 where the connection just ended.
    """

    number: int
    opened_at: float
    path: str = ""
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    session_id: str = ""
    resumed: bool = False
    deaf: bool = False
    setup: Setup | None = None
    commits: list[Commit] = field(default_factory=list)
    responses: list[ResponseRecord] = field(default_factory=list)
    spoken: list[Spoken] = field(default_factory=list)
    tool_calls: list[str] = field(default_factory=list)
    tool_answers: list[ToolAnswer] = field(default_factory=list)
    history: list[Said] = field(default_factory=list)
    truncated: dict[str, int] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    late_answers: int = 0
    closed_at: float | None = None
    closed_code: int | None = None
