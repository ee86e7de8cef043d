"""The question of one turn: what the caller seems to ask, and what retrieval answered. Pure; time is an argument.

``CommitTurn`` cannot be built without the ``Asked`` that only ``Question.ask`` makes, so an answer that nothing was
asked for does not pass the type checker, and one with another turn's notes not the constructor.
"""

from engine.errors import MisuseError
from engine.messages import Asked, CommitTurn, Query, RetrievalOutcome, Skipped, TimedOut
from engine.retrieval.small_talk import is_small_talk


class Question:
    """Query text and retrieval outcome of one turn."""

    def __init__(self, tenant_id: str, turn_id: int, budget_s: float, *, listening: bool = False) -> None:
        """``listening``: words of a listener are to be expected, and waited for within the budget."""
        self._listening = listening
        self._by_listener = False
        self._tenant_id = tenant_id
        self.turn_id = turn_id
        self._budget_s = budget_s
        self._found: RetrievalOutcome | None = None
        self._asked: Asked | None = None
        self._asked_at = 0.0
        self.text = ""

    def hear(self, text: str, *, by_listener: bool = False) -> Query | None:
        """New or better text; returns what to ask the retriever now, if anything.

        Once a listener has been heard in this turn, what the speaking model thinks it understood is no longer asked:
        two texts that differ in a comma would chase each other through the retriever.
        """
        text = text.strip()
        if not text or text == self.text or (self._by_listener and not by_listener):
            return None
        self._by_listener = by_listener
        self.text = text
        if is_small_talk(text):
            if self._is_final:
                self._found = Skipped(self.turn_id, "small talk")
            return None
        return Query(self._tenant_id, self.turn_id, text, self._is_final)

    def ask(self, now: float) -> Query | None:
        """The caller is done: returns the final query, or None where there is nothing to wait for."""
        self._asked = Asked(self.turn_id)
        self._asked_at = now
        if not self.text:
            if not self._listening:
                self._found = Skipped(self.turn_id, "no query text")
        elif is_small_talk(self.text):
            self._found = Skipped(self.turn_id, "small talk")
        elif self.outcome is None:
            return Query(self._tenant_id, self.turn_id, self.text, final=True)
        return None

    def keep_open(self) -> None:
        """The caller goes on: what was final is not."""
        self._asked = None
        if isinstance(self._found, Skipped):
            self._found = None

    def answer(self, outcome: RetrievalOutcome) -> None:
        """What the retriever found. Ignored: another turn's, and older text's where this text's is known."""
        if outcome.turn_id == self.turn_id and self.outcome is None:
            self._found = outcome

    @property
    def _is_final(self) -> bool:
        return self._asked is not None

    @property
    def outcome(self) -> RetrievalOutcome | None:
        """The outcome for the text as it is known now, or None while it is not there."""
        found = self._found
        if found is None or isinstance(found, Skipped):
            return found
        return found if found.query.strip() == self.text else None

    @property
    def deadline(self) -> float:
        """When to stop waiting, once asked."""
        return self._asked_at + self._budget_s

    def held_ms(self, now: float) -> float:
        """How long the answer has been held back for its notes."""
        return 1000 * (now - self._asked_at)

    def commit(self) -> CommitTurn:
        """The turn with its outcome; with the best there is once the budget is spent (or ``TimedOut``).

        An older partial's passages are better than none.

        Raises:
            MisuseError: nothing was asked.
        """
        if self._asked is None:
            raise MisuseError(f"turn {self.turn_id} cannot be committed: nothing was asked about it")
        outcome = self.outcome or self._found or TimedOut(self.turn_id, self.text, 1000 * self._budget_s)
        return CommitTurn(self._asked, outcome)
