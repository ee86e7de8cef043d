"""A call's document -> the spans of it. PURE.

    call ............................ from the first line to the end; what is only an instant is an event of it
    ├─ model PROVIDER ............... one session, while it holds the floor
    ├─ turn N ....................... from the caller's first word to the last of the answer
    │  ├─ retrieval ................. for as long as the turn was held back for its notes
    │  ├─ response .................. from the commit to the first sound of the answer
    │  └─ tool NAME
    └─ hand-over .................... from the loss of the model to the script's first words
       script ....................... from there to a model that has the floor again, or to the end

Nothing that was said is in it, no number, no argument and no answer of a tool: names, times, counts, kinds.
Milliseconds count from the start of the call, as in its timeline. What is missing or out of shape there (another
version wrote it, the oldest moments were dropped) leaves a span out or a span short; it never raises for it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Plain: TypeAlias = str | int | float | bool
CALL = 0  # the index of the call's own span, which is always the first

# Of these moments the text is one of ours; of all others it may be the caller's, the model's or a tool's.
_TEXT_IS_OURS = frozenset({"floor", "handover", "model", "replayed", "tool_call", "tool_result"})
_FACTS = frozenset(
    {
        "attempt", "cause", "code", "deduplicated", "generation", "heard_ms", "held_ms", "kind", "line", "ms", "of_ms",
        "outcome", "paused_ms", "provider", "reason", "response_ms", "resumed", "search_ms", "session", "source",
        "speech_ms", "target", "time_left_s", "turn", "why",
    }
)  # fmt: skip
_IN_SPANS = frozenset({"agent", "caller", "floor", "response", "retrieved", "speech", "tool_call", "tool_result"})


@dataclass(slots=True)
class Span:
    """A stretch of a call. ``parent`` is an index into the story; None for the call itself."""

    name: str
    start_ms: float
    end_ms: float
    parent: int | None = CALL
    facts: dict[str, Plain] = field(default_factory=dict)
    failed: bool = False

    @property
    def seconds(self) -> float:
        """How long it took."""
        return max(0.0, self.end_ms - self.start_ms) / 1000


@dataclass(frozen=True, slots=True)
class Event:
    """An instant of a call."""

    name: str
    at_ms: float
    facts: Mapping[str, Plain]


@dataclass(frozen=True, slots=True)
class Story:
    """``spans[0]`` is the call; every other one has a parent that stands before it. ``events`` are the call's."""

    spans: tuple[Span, ...]
    events: tuple[Event, ...]

    def named(self, name: str) -> Iterator[Span]:
        """The spans of this name, or whose name begins with it and a space."""
        return (span for span in self.spans if span.name == name or span.name.startswith(f"{name} "))


@dataclass(frozen=True, slots=True)
class _Moment:
    at_ms: float
    kind: str
    text: str
    facts: Mapping[str, Any]


def tell(document: Mapping[str, Any]) -> Story:
    """The story of a call, from what ``CallRecord.document`` has made."""
    moments = list(_moments(document.get("timeline", ())))
    end_ms = max([moment.at_ms for moment in moments] + [1000 * _number(document.get("duration_s"))])
    teller = _Teller(end_ms, _call_facts(document))
    for moment in moments:
        teller.take(moment)
    return teller.told()


class _Teller:
    """Takes moments in their order; what is open when there are no more of them ends with the call."""

    def __init__(self, end_ms: float, facts: dict[str, Plain]) -> None:
        outcome = facts.get("frontdesk.outcome", "")
        self._end_ms = end_ms
        self._spans = [Span("call", 0.0, end_ms, None, facts, failed=outcome in {"server", "upstream"})]
        self._events: list[Event] = []
        self._turns = 0
        # Spans that are open, by their index; and since when the model has been silent, or lost.
        self._model: int | None = None
        self._turn: int | None = None
        self._script: int | None = None
        self._committed_ms: float | None = None
        self._lost_ms: float | None = None
        self._script_has_spoken = False
        self._tools: dict[str, list[int]] = {}

    def take(self, moment: _Moment) -> None:
        """One more of them."""
        at_ms = moment.at_ms
        match moment.kind:
            case "model":
                self._close(self._model, at_ms)
                self._model = self._open(f"model {moment.text}", at_ms, moment.facts)
            case "model_lost":
                self._fail_model(moment)
            case "handover":
                self._hand_over(moment)
            case "script":
                self._script_speaks(at_ms)
            case "speech":
                self._turns += 1
                self._turn = self._open(f"turn {self._turns}", at_ms - _number(moment.facts.get("speech_ms")), {})
            case "retrieved":
                held_ms = _number(moment.facts.get("held_ms"))
                self._close(self._open("retrieval", at_ms - held_ms, moment.facts, self._turn), at_ms)
                self._committed_ms = at_ms
            case "response":
                self._respond(moment)
            case "tool_call":
                self._tools.setdefault(moment.text, []).append(self._open(f"tool {moment.text}", at_ms, {}, self._turn))
            case "tool_result":
                self._tool_answered(moment)
        if self._turn is not None and moment.kind in {"agent", "cut", "retrieved", "response", "tool_result"}:
            self._spans[self._turn].end_ms = at_ms
        if moment.kind not in _IN_SPANS:
            text = {"what": moment.text} if moment.kind in _TEXT_IS_OURS and moment.text else {}
            self._events.append(Event(moment.kind, at_ms, text | _plain(moment.facts)))

    def told(self) -> Story:
        """All of it."""
        return Story(tuple(self._spans), tuple(self._events))

    def _open(self, name: str, at_ms: float, facts: Mapping[str, Any], parent: int | None = None) -> int:
        """Its end is the call's, or the turn's own last moment, until it is closed."""
        end_ms = at_ms if name.startswith("turn ") else self._end_ms
        self._spans.append(Span(name, max(0.0, at_ms), end_ms, parent or CALL, _plain(facts)))
        return len(self._spans) - 1

    def _close(self, index: int | None, at_ms: float) -> None:
        if index is not None:
            self._spans[index].end_ms = at_ms

    def _fail_model(self, moment: _Moment) -> None:
        if self._model is not None:
            span = self._spans[self._model]
            span.end_ms, span.failed, span.facts = moment.at_ms, True, span.facts | _plain(moment.facts)
        self._model, self._lost_ms, self._script_has_spoken = None, moment.at_ms, False

    def _hand_over(self, moment: _Moment) -> None:
        if moment.facts.get("target") == "script":
            self._close(self._model, moment.at_ms)
            self._model = None
            self._script = self._open("script", moment.at_ms, {"cause": moment.text})
        elif moment.facts.get("source") == "script":
            self._close(self._script, moment.at_ms)
            self._script = None
            if self._lost_ms is not None:
                self._close(self._open("hand-over to model", self._lost_ms, {}), moment.at_ms)
                self._lost_ms = None
        else:  # from one session to the next: ``model`` is not told, since the tenure goes on
            self._close(self._model, moment.at_ms)
            self._model = self._open(f"model {moment.facts.get('target', '')}", moment.at_ms, {})

    def _script_speaks(self, at_ms: float) -> None:
        if self._lost_ms is not None and not self._script_has_spoken:
            self._script_has_spoken = True
            self._close(self._open("hand-over to script", self._lost_ms, {}), at_ms)

    def _respond(self, moment: _Moment) -> None:
        if self._committed_ms is not None:
            self._close(self._open("response", self._committed_ms, moment.facts, self._turn), moment.at_ms)
            self._committed_ms = None

    def _tool_answered(self, moment: _Moment) -> None:
        waiting = self._tools.get(moment.text)
        if waiting:
            span = self._spans[waiting.pop(0)]
        else:  # it was asked for in a part of the timeline that is not there any more
            span = self._spans[self._open(f"tool {moment.text}", moment.at_ms - _number(moment.facts.get("ms")), {})]
        response = moment.facts.get("response")
        status = response.get("status") if isinstance(response, Mapping) else None
        span.end_ms, span.failed = moment.at_ms, status == "error"
        span.facts |= _plain(moment.facts) | {"status": str(status)}


def _call_facts(document: Mapping[str, Any]) -> dict[str, Plain]:
    facts: dict[str, Plain] = {
        "frontdesk.call_sid": str(document.get("call_sid", "")),
        "frontdesk.tenant_id": str(document.get("tenant_id", "")),
    }
    outcome = document.get("outcome")
    if isinstance(outcome, Mapping):
        facts |= {"frontdesk.outcome": str(outcome.get("outcome")), "frontdesk.reason": str(outcome.get("reason"))}
    for name in ("turns", "sessions", "handovers"):
        facts[f"frontdesk.{name}"] = _number(document.get(name))
    return facts


def _moments(timeline: Iterable[Any]) -> Iterator[_Moment]:
    for one in timeline:
        if isinstance(one, Mapping) and isinstance(one.get("kind"), str):
            facts = one.get("facts")
            facts = facts if isinstance(facts, Mapping) else {}
            yield _Moment(_number(one.get("at_ms")), one["kind"], str(one.get("text", "")), facts)


def _plain(facts: Mapping[str, Any]) -> dict[str, Plain]:
    return {
        name: value for name, value in facts.items() if name in _FACTS and isinstance(value, str | int | float | bool)
    }


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
