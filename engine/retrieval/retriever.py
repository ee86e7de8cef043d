"""Actor: questions in, what the business knows out.

While the caller still speaks, the turn-keeper asks on the text so far (*speculative* queries); when the caller is done
it asks once more with the *final* text. So at most moments one search is worth running:

* a speculative search waits a moment for more words, as services tell them in bursts, and ends as soon as another query
  comes that says something else, or belongs to a later turn;
* a final search is never given up: each final query gets exactly one outcome, unless this actor is cancelled;
* what a speculative search found is kept for its turn: where the final text says the same, the answer is there at
  once; where that search is still running, it becomes the final one;
* a search that heeds no end (a driver that hangs, one that computes) goes on to cost the process something. Another
  one begins with each turn, so a call has a few at work and no more (later ones wait for these, within their own
  time), or it would slow its neighbours down more with every question.
"""

from contextlib import suppress
from dataclasses import dataclass, field, replace

import trio

from engine.errors import MisuseError, RemoteError
from engine.log import get_logger
from engine.messages import FloorEvent, Notes, NothingFound, Query, Skipped
from engine.retrieval.search import Search
from engine.retrieval.words import plain

SEARCH_S = 3.0  # well above any turn's budget: a search that takes longer is of no use to anybody
AT_ONCE = 3  # searches of one call at work: two that are ending, and the one that is wanted
SETTLE_S = 0.04  # words of one burst come together; a tenth of what the caller's end takes to be noticed
KEPT_PER_TURN = 16  # partial texts of one turn whose results are kept; the oldest goes

_log = get_logger("retrieval")


@dataclass(slots=True, eq=False)
class _Running:
    """One search under way. ``query`` becomes the final one where the final text says the same."""

    query: Query
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    wanted: trio.Event = field(default_factory=trio.Event)  # now: the caller is done


@dataclass(slots=True)
class _Desk:
    """What the actor remembers: of the newest turn only."""

    tenant_id: str
    inbox: trio.MemorySendChannel[FloorEvent]
    search: Search
    limit: int
    turn_id: int = -1
    speculative: _Running | None = None
    kept: dict[str, Notes | NothingFound] = field(default_factory=dict)
    at_once: trio.Semaphore = field(default_factory=lambda: trio.Semaphore(AT_ONCE))

    async def take(self, query: Query, nursery: trio.Nursery) -> None:
        """Decide what this query needs: an answer at once, a search, or nothing."""
        if query.tenant_id != self.tenant_id:
            raise MisuseError(f"the retriever of {self.tenant_id} was asked by {query.tenant_id}")
        if query.turn_id > self.turn_id:
            self.turn_id = query.turn_id
            self.kept.clear()
        elif query.turn_id < self.turn_id and not query.final:
            return
        said = plain(query.text)
        if self._joins(query, said):
            return
        if not said:
            if query.final:
                await self._tell(Skipped(query.turn_id, "no query text"))
        elif query.turn_id == self.turn_id and said in self.kept:
            await self._tell(replace(self.kept[said], query=query.text))
        else:
            running = _Running(query)
            if not query.final:
                self.speculative = running
            nursery.start_soon(self._run, running)

    def _joins(self, query: Query, said: str) -> bool:
        """Let the running speculative search serve this query if it says the same; else end that search if outdated."""
        running = self.speculative
        if running is None or query.turn_id < running.query.turn_id:
            return False
        same = query.turn_id == running.query.turn_id and said == plain(running.query.text)
        if same:
            running.query = query
            if query.final:
                running.wanted.set()
        else:
            running.scope.cancel()
        if query.final or not same:
            self.speculative = None
        return same

    async def _run(self, running: _Running) -> None:
        """Search, and tell what was found; a search that fails is told for final queries only."""
        with running.scope:
            if not running.query.final:
                with trio.move_on_after(SETTLE_S):
                    await running.wanted.wait()
            began = trio.current_time()
            try:
                with trio.fail_after(SEARCH_S):
                    async with self.at_once:
                        found = await self.search.search(self.tenant_id, running.query.text, limit=self.limit)
            except (RemoteError, OSError, trio.TooSlowError) as error:
                # Only peers that fail; anything else is a bug, which ends this actor and is for the supervisor.
                _log.warning("search failed", error=repr(error), final=running.query.final)
                if running.query.final:
                    await self._tell(Skipped(running.query.turn_id, "retriever failed"))
                return
            finally:
                if self.speculative is running:
                    self.speculative = None
            for passage in found:
                if passage.tenant_id != self.tenant_id:
                    raise MisuseError(f"a search for {self.tenant_id} brought a passage of {passage.tenant_id}")
            query, took_ms = running.query, 1000 * (trio.current_time() - began)
            outcome: Notes | NothingFound = NothingFound(query.turn_id, query.text, took_ms)
            if passages := tuple(found[: self.limit]):
                outcome = Notes(query.turn_id, query.text, passages, took_ms)
            self._keep(outcome)
            await self._tell(outcome)

    def _keep(self, outcome: Notes | NothingFound) -> None:
        if outcome.turn_id != self.turn_id:
            return
        if len(self.kept) >= KEPT_PER_TURN:
            del self.kept[next(iter(self.kept))]
        self.kept[plain(outcome.query)] = outcome

    async def _tell(self, outcome: Notes | NothingFound | Skipped) -> None:
        with suppress(trio.BrokenResourceError):  # nobody holds the floor any longer: the call is ending
            await self.inbox.send(outcome)


async def run_retriever(
    *,
    tenant_id: str,
    queries: trio.MemoryReceiveChannel[Query],
    inbox: trio.MemorySendChannel[FloorEvent],
    search: Search,
    limit: int = 3,
) -> None:
    """Answer queries until their channel closes; finals still searched for then get their outcome first.

    Sends ``Notes`` or ``NothingFound`` for every search that was still current when it ended (speculative ones too;
    the query's own text comes along), and ``Skipped`` for a final query whose search failed or that has no words.
    ``search_ms`` is what the search took, also where its result was kept from before. Waits where ``inbox`` is full.

    Raises:
        ExceptionGroup: of a ``MisuseError`` (a query or passage of another tenant; nothing of it was told), or of
            whatever a search raised that is no failure of a peer.
    """
    desk = _Desk(tenant_id, inbox, search, limit)
    async with queries, inbox, trio.open_nursery() as nursery:
        async for query in queries:
            await desk.take(query, nursery)
        if desk.speculative is not None:
            desk.speculative.scope.cancel()
