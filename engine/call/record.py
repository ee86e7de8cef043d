"""What happened in one call, as it happens: transcript, timeline, and what a successor session must know.

The record outlives sessions and legs of its call. It is written by the floor's holders, read by hand-over, wrap-up,
health and (through ``observe``) by whoever watches live. Agent text is what was *heard*, not what was generated.
"""

import secrets
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from engine.call.heard import Pace, letters, words_heard
from engine.call.outcome import Outcome
from engine.call.probe import CallProbe
from engine.call.use import CallUse
from engine.messages import Floor, Notes, RetrievalOutcome, Skipped
from engine.model.provider import HistoryItem
from engine.model.setup import notes_text

TIMELINE_KEPT = 2000  # entries; a long call keeps its newest
GENERATIONS_KEPT = 200  # utterances that something may still be learned about: far more than can be on their way
LONGEST_TEXT = 20_000  # characters of one utterance: twenty minutes of speech
HISTORY_CHARS = 30_000  # some 8,000 tokens: less than half of what a session holds before it forgets by itself
ADDED_CHARS = 100  # of these, for what a provider says before them: that the agent spoke first


@dataclass(frozen=True, slots=True)
class Moment:
    """One entry of the timeline. ``at_ms`` counts from the start of the call; ``kind`` is a short field word."""

    at_ms: float
    kind: str
    text: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Utterance:
    """What one side said in one go.

    Attributes:
        heard_share: of its sound.
        heard_letters: how far into the text that reaches (``heard.py``), where the sound known was not all of it.
        settled: the carrier has told how much of it was heard; before, all of it is taken to be.
    """

    role: str
    text: str
    turn_id: int
    generation: int | None = None
    heard_share: float = 1.0
    heard_letters: float | None = None
    complete: bool = True
    settled: bool = False

    @property
    def heard(self) -> str:
        """The text up to the last word that was heard to its end."""
        if self.heard_letters is not None:
            return words_heard(self.text, self.heard_letters)
        if self.heard_share >= 1.0:
            return self.text.strip()
        return words_heard(self.text, letters(self.text) * self.heard_share)


class CallRecord:
    """The record of one call."""

    def __init__(
        self,
        *,
        call_sid: str,
        tenant_id: str,
        caller: str,
        started_at: float,
        observe: Callable[[str, Moment], None] | None = None,
    ) -> None:
        self.call_sid = call_sid
        self.tenant_id = tenant_id
        self.caller = caller
        self.started_at = started_at
        self.handle: str | None = None
        self.outcome: Outcome | None = None
        self.floor = Floor.NOBODY
        self.probe: CallProbe | None = None
        self.notes_text = ""
        self.provider = ""
        self.tokens: Counter[str] = Counter()
        self.use = CallUse()
        self.duration_s = 0.0
        self.sessions = 0
        self.turns = 0
        self.handovers = 0
        self.messages: list[bytes] = []
        self.utterances: list[Utterance] = []
        self.timeline: list[Moment] = []
        self._observe = observe
        self._by_generation: dict[int, Utterance] = {}
        self._settled: deque[int] = deque(maxlen=GENERATIONS_KEPT)
        self._pace = Pace()
        self.generation = 0  # the last number that was given

    def next_generation(self) -> int:
        """Number one more utterance; counted through all legs of the call, since what was said is kept by it."""
        self.generation += 1
        return self.generation

    def take_up(self, said: Sequence[Utterance], generation: int) -> None:
        """Put what was said while another worker served the call before what has been said here."""
        self.utterances[:0] = said
        earlier = {one.generation: one for one in said if one.generation is not None}
        self._by_generation = earlier | self._by_generation
        self.generation = max(self.generation, generation)

    def note(self, now: float, what: str, text: str = "", **facts: Any) -> None:
        """Add a moment to the timeline and show it to whoever watches."""
        moment = Moment(round(1000 * (now - self.started_at), 1), what, text, facts)
        self.timeline.append(moment)
        if len(self.timeline) > TIMELINE_KEPT:
            del self.timeline[0]
        if self._observe is not None:
            self._observe(self.call_sid, moment)

    def caller_said(self, turn_id: int, text: str) -> None:
        """Final (or best known) text of the caller's turn; replaces what was known of the same turn."""
        for utterance in reversed(self.utterances):
            if utterance.role == "caller" and utterance.turn_id == turn_id:
                utterance.text = text
                return
        self.utterances.append(Utterance("caller", text, turn_id))

    def retrieved(self, now: float, asked: str, outcome: RetrievalOutcome, held_ms: float) -> None:
        """The turn's question (as far as it is known) was committed with this outcome."""
        if asked:
            self.caller_said(outcome.turn_id, asked)
        # The notes stay for a session that takes over in mid-answer: it answers from what was retrieved.
        self.notes_text = notes_text(outcome, secrets.token_hex(8)) or ""
        facts: dict[str, Any] = {"outcome": type(outcome).__name__, "held_ms": round(held_ms, 1)}
        match outcome:
            case Notes(passages=passages, search_ms=search_ms):
                facts["passages"] = [(passage.source, round(passage.score, 3)) for passage in passages]
                facts["search_ms"] = round(search_ms, 1)
            case Skipped(why=why):
                facts["why"] = why
            case _:
                pass
        self.note(now, "retrieved", asked, turn=outcome.turn_id, **facts)

    def agent_says(self, turn_id: int, generation: int, delta: str) -> None:
        """More text of an utterance that is on its way to the caller."""
        utterance = self._by_generation.get(generation)
        if utterance is None:
            utterance = self._begin(Utterance("agent", "", turn_id, generation, complete=False))
        utterance.text += delta[: max(0, LONGEST_TEXT - len(utterance.text))]

    def _begin(self, utterance: Utterance) -> Utterance:
        self.utterances.append(utterance)
        if (generation := utterance.generation) is not None:
            utterance.settled = generation in self._settled  # its words came after its sound
            self._by_generation[generation] = utterance
            if len(self._by_generation) > GENERATIONS_KEPT:
                del self._by_generation[next(iter(self._by_generation))]
        return utterance

    def _settle(self, generation: int) -> Utterance | None:
        self._settled.append(generation)
        if (utterance := self._by_generation.get(generation)) is not None:
            utterance.settled = True
        return utterance

    def finished(self, generation: int) -> None:
        """The model has said all it wanted to say with this."""
        utterance = self._by_generation.get(generation)
        if utterance is not None:
            utterance.complete = True

    def cut(self, generation: int, heard_ms: float, queued_ms: float, *, whole: bool = True) -> None:
        """The caller heard only the first ``heard_ms`` of ``queued_ms``; ``whole``: more would not have come."""
        utterance = self._settle(generation)
        if utterance is None or queued_ms <= 0:
            return
        utterance.heard_share = min(1.0, heard_ms / queued_ms)
        if utterance.role == "script":
            return  # all of its sound was there, and its voice has a pace of its own
        if whole:
            self._pace.learn(utterance.text, queued_ms)
        else:
            utterance.heard_letters = heard_ms / self._pace.in_step(utterance.text, queued_ms)

    def played(self, generation: int, heard_ms: float) -> None:
        """The caller heard all of it, and it was so long."""
        utterance = self._settle(generation)
        if utterance is None or utterance.role == "agent":
            self._pace.learn(self.text_of(generation), heard_ms)

    def backchannel(self, now: float, paused_s: float) -> None:
        """The agent paused because the caller made a sound, and went on: it was no interruption."""
        self.note(now, "backchannel", paused_ms=round(1000 * paused_s))

    def used(self, now: float, tokens: Mapping[str, int]) -> None:
        """What a turn of the session that holds the floor cost, by its provider's own count."""
        self.tokens[self.provider] += tokens.get("totalTokenCount", 0)
        self.note(now, "usage", tokens=dict(tokens))

    def script_said(self, now: float, name: str, text: str, generation: int | None = None) -> None:
        """A line of the scripted voice went out; how much of it is heard is learnt where it has a generation."""
        self._begin(Utterance("script", text, self.turns, generation))
        self.note(now, "script", text, line=name)

    def keep_message(self, mulaw: bytes) -> None:
        """A message that the caller left, in mu-law at 8 kHz."""
        self.messages.append(mulaw)

    def text_of(self, generation: int) -> str:
        """What that utterance says, as far as it is known."""
        utterance = self._by_generation.get(generation)
        return utterance.text.strip() if utterance else ""

    def history(self, *, but_turn: int | None = None) -> tuple[HistoryItem, ...]:
        """The conversation so far, for seeding a fresh session: the newest of it, oldest first.

        Args:
            but_turn: what the caller said in this turn is left out.
        """
        items: list[HistoryItem] = []
        room = HISTORY_CHARS - ADDED_CHARS
        for utterance in reversed(self.utterances):
            text = utterance.heard
            is_left_out = utterance.role == "caller" and utterance.turn_id == but_turn
            if not text or utterance.role not in {"caller", "agent"} or is_left_out:
                continue
            room -= len(text) + 1  # neighbours of one role are joined
            if room < 0:
                break
            items.append(HistoryItem("caller" if utterance.role == "caller" else "agent", text))
        return tuple(reversed(items))

    def transcript(self) -> list[dict[str, Any]]:
        """JSON-ready: role, text as heard, turn."""
        return [
            {"role": u.role, "text": u.heard, "turn": u.turn_id, "cut": u.heard_share < 1.0}
            for u in self.utterances
            if u.heard
        ]

    def remains(self) -> "CallRecord":
        """What is worth remembering of a call whose end is kept elsewhere: how it ended, and nothing that was said."""
        remains = CallRecord(
            call_sid=self.call_sid,
            tenant_id=self.tenant_id,
            caller=self.caller,
            started_at=self.started_at,
            observe=self._observe,
        )
        remains.outcome, remains.floor, remains.duration_s = self.outcome, self.floor, self.duration_s
        remains.provider, remains.generation = self.provider, self.generation
        return remains

    def document(self) -> dict[str, Any]:
        """JSON-ready: all of it."""
        return {
            "call_sid": self.call_sid,
            "tenant_id": self.tenant_id,
            "caller": self.caller,
            "outcome": asdict(self.outcome) if self.outcome else None,
            "duration_s": round(self.duration_s, 3),
            "tokens": dict(self.tokens),
            "used": self.use.quantities(),
            "sessions": self.sessions,
            "turns": self.turns,
            "handovers": self.handovers,
            "transcript": self.transcript(),
            "timeline": [asdict(moment) for moment in self.timeline],
        }
