"""A switchboard whose calls are played by the test: lines that end when told, outcomes of its choosing."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import pytest
import trio

from engine.audio.vad import WebRtcVad
from engine.call import switchboard as module
from engine.call.circuits import Circuits
from engine.call.outcome import Outcome, Reason
from engine.call.record import CallRecord
from engine.call.services import Services
from engine.call.switchboard import Switchboard
from engine.errors import LineLost
from engine.fallback.prompts import PromptLibrary
from engine.metrics import Metrics
from engine.retrieval.lexical import MemorySearch
from engine.store.diary import MemoryDiary
from engine.store.interface import CallEnd
from engine.store.live_calls import ClaimRefused, LiveCalls
from engine.store.memory import MemoryStore
from engine.store.memory_ledger import MemoryLedger
from engine.telephony.line import MediaLine
from engine.tenants.tenant import Quotas, Tenant
from engine.tools.catalog import standard_catalog
from engine.wire.stream_token import StreamClaims
from engine.wire.twilio_media import Start
from tests.fallback.stage import SpellingVoice

NOW = datetime(2026, 11, 3, 14, 0, tzinfo=UTC)
TENANT = Tenant(id="acme", name="Acme", greeting="Hi.", quotas=Quotas(concurrent_calls=3))
OTHER = Tenant(id="bakery", name="Bakery", greeting="Hello.")


def services(*tenants: Tenant, **changes: Any) -> Services:
    """Everything in memory, no model, no carrier."""
    library = PromptLibrary(SpellingVoice())
    for tenant in tenants:
        library.prepare(tenant)
    metrics = changes.get("metrics") or Metrics()
    made: dict[str, Any] = {
        "providers": {},
        "circuits": Circuits(metrics),
        "search": MemorySearch(tenants),
        "catalog": standard_catalog(),
        "ledger": MemoryLedger(),
        "follow_ups": MemoryStore(),
        "diary": MemoryDiary(),
        "wall_clock": lambda: NOW,
        "prompts": library,
        "carrier": None,
        "dial_done_url": "https://frontdesk.test/twilio/dial-done",
        "new_vad": WebRtcVad,
        "metrics": metrics,
        **changes,
    }
    return Services(**made)


@dataclass
class Leg:
    """One line of one call, being served until ``end``."""

    call_sid: str
    tenant: Tenant
    attempt: int = 0
    token: str = ""
    refused: ClaimRefused | None = None
    record: CallRecord | None = None
    over: trio.Event = field(default_factory=trio.Event)
    left: trio.Event = field(default_factory=trio.Event)
    outcome: Outcome = field(default_factory=lambda: Outcome.of(Reason.CALLER_HUNG_UP))
    told: list[LineLost] = field(default_factory=list)

    def end(self, lost: LineLost) -> None:
        """As a line's: told from outside that it is over."""
        self.told.append(lost)
        if not self.over.is_set():
            self.outcome = Outcome.of_line(lost.reason, lost.detail)
        self.over.set()

    def finish(self, reason: Reason) -> None:
        self.outcome = Outcome.of(reason)
        self.over.set()


@dataclass
class Desk:
    """The switchboard, and what left it."""

    board: Switchboard
    services: Services
    nursery: trio.Nursery
    ends: trio.MemoryReceiveChannel[CallEnd]
    running: trio.CancelScope
    kept: list[CallEnd] = field(default_factory=list)

    async def take(self, call_sid: str = "CA1", tenant: Tenant = TENANT, attempt: int = 0, *, token: str = "") -> Leg:
        """Begin to serve a line of this call; with a token it is claimed first."""
        leg = Leg(call_sid, tenant, attempt, token)
        self.nursery.start_soon(self._serve, leg)
        await trio.testing.wait_all_tasks_blocked()
        return leg

    async def end(self, leg: Leg, reason: Reason) -> None:
        """The line ends so, and all is let go."""
        leg.finish(reason)
        await leg.left.wait()
        await trio.testing.wait_all_tasks_blocked()

    def left(self) -> list[CallEnd]:
        """All ends so far."""
        while self.ends.statistics().current_buffer_used:
            self.kept.append(self.ends.receive_nowait())
        return self.kept

    def reasons(self) -> list[tuple[str, str]]:
        return [(end.call_sid, end.outcome_reason) for end in self.left()]

    def tasks(self) -> int:
        """How many calls are waited for."""
        return len(self.board._waiting)

    async def _serve(self, leg: Leg) -> None:
        parameters = {"token": leg.token, "caller": "+15550100001"}
        start = Start("MZ1", leg.call_sid, "AC1", parameters, ("inbound",), "audio/x-mulaw", 8000, 1)
        claims = StreamClaims(leg.call_sid, "AC1", leg.tenant.id, leg.attempt, 0)
        try:
            if leg.token:
                leg.refused = await self.board.claim_line(start, claims)
            if leg.refused is None:
                await self.board.take_line(cast("MediaLine", leg), start, leg.tenant, claims)
        finally:
            leg.left.set()


async def fake_run(*, line: MediaLine, tenant: Tenant, record: CallRecord, services: Services) -> Outcome:
    """Serve a leg as the supervisor does: the record's outcome is set before it returns."""
    leg = cast("Leg", line)
    leg.record = record
    # As the real tree: what is cancelled inside it comes out as a group.
    async with trio.open_nursery() as nursery:
        nursery.start_soon(leg.over.wait)
    record.outcome = leg.outcome
    return leg.outcome


@asynccontextmanager
async def open_desk(
    monkeypatch: pytest.MonkeyPatch,
    *,
    max_calls: int = 10,
    ends_queued: int = 1000,
    run: Callable[..., Any] = fake_run,
    live: LiveCalls | None = None,
) -> AsyncIterator[Desk]:
    """A running switchboard."""
    monkeypatch.setattr(module, "run_call", run)
    ends_send, ends = trio.open_memory_channel[CallEnd](ends_queued)
    given = services(TENANT, OTHER)
    board = Switchboard(services=given, ends=ends_send, max_calls=max_calls, wall_clock=NOW.isoformat, live_calls=live)
    async with trio.open_nursery() as keepers:
        running = trio.CancelScope()

        async def run_board(task_status: trio.TaskStatus[None]) -> None:
            with running:
                await board.run(task_status=task_status)

        await keepers.start(run_board)
        await keepers.start(board.write_behind)
        async with trio.open_nursery() as lines:
            yield Desk(board, given, lines, ends, running)
            lines.cancel_scope.cancel()
        keepers.cancel_scope.cancel()
