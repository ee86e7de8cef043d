"""The questions of a conversation, one for each of the caller's turns, and their way to the retriever."""

import trio

from engine.call.channels import FloorEnds
from engine.call.question import Question
from engine.call.record import CallRecord
from engine.messages import Query
from engine.metrics import Metrics
from engine.tenants.tenant import Tenant


class Questions:
    """``current`` is the question of the turn that is open, or was last."""

    def __init__(self, tenant: Tenant, record: CallRecord, ends: FloorEnds, metrics: Metrics) -> None:
        self._tenant = tenant
        self._record = record
        self._ends = ends
        self._metrics = metrics
        self.current = self._question()

    def next_turn(self) -> int:
        """A turn opens; returns its number."""
        self._record.turns += 1
        self.current = self._question()
        return self.current.turn_id

    def hear(self, text: str, *, by_listener: bool) -> None:
        """New or better text of the open turn; what it asks is looked up while the caller still speaks."""
        self._send(self.current.hear(text, by_listener=by_listener))

    def ask(self, now: float) -> None:
        """The caller is done: ask for good, and let the budget begin."""
        self._send(self.current.ask(now))

    def keep_unanswered(self, turn_id: int | None) -> None:
        """The session is gone while this turn is open: whoever goes on is to know what was said of it so far."""
        if turn_id is not None and self.current.text:
            self._record.caller_said(turn_id, self.current.text)

    def _question(self) -> Question:
        budget_s = max(self._tenant.timing.retrieval_budget_ms / 1000, self._ends.words_within_s)
        return Question(self._tenant.id, self._record.turns, budget_s, listening=self._ends.listening)

    def _send(self, query: Query | None) -> None:
        if query is None:
            return
        try:
            self._ends.queries.send_nowait(query)
        except trio.WouldBlock:
            # The retriever is behind or restarting; the turn's budget stands in for it.
            self._metrics.dropped_messages.labels("queries").inc()
