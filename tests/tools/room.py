"""A tool executor at work, with tools that a test can slow down, break and count."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import trio

from engine.messages import Effect, FloorEvent, ToolCall, ToolCallsCancelled, ToolResult, ToolStarted
from engine.store.diary import MemoryDiary
from engine.store.memory import MemoryStore
from engine.tenants.tenant import Person, Tenant, ToolSpec
from engine.tools import answers
from engine.tools.catalog import Catalog
from engine.tools.context import Tool, ToolContext
from engine.tools.executor import run_tool_executor
from engine.tools.ledger import Ledger, MemoryLedger

NOW = datetime(2026, 11, 3, 14, 0, tzinfo=UTC)  # a Tuesday, nine in the morning in New York
PARAMETERS: dict[str, Any] = {"type": "object", "properties": {"what": {"type": "string"}}, "required": ["what"]}
READ = ToolSpec(
    name="look", description="", parameters=PARAMETERS, effect=Effect.READS, timeout_s=5, filler="Let me see."
)
WRITE = ToolSpec(name="write", description="", parameters=PARAMETERS, effect=Effect.WRITES, timeout_s=5)
PRESS = ToolSpec(name="press", description="", parameters=PARAMETERS, effect=Effect.WRITES, timeout_s=5)
PERSON = Person.model_validate({"name": "the boss", "for": "bills", "number": "+15550100111"})
TENANT = Tenant(id="acme", name="Acme", greeting="Hi.", tools=(READ, WRITE, PRESS), people=(PERSON,))


@dataclass
class Control:
    """Remembers wishes."""

    transfers: list[Person] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)

    def request_transfer(self, person: Person) -> None:
        self.transfers.append(person)

    def request_end(self, reason: str) -> None:
        self.ends.append(reason)


@dataclass
class World:
    """What tools do to it is counted. ``works_s`` is how long one takes; what it does may be broken."""

    works_s: float = 1.0
    breaks: BaseException | None = None
    response: Any = None
    begun: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    effect_ids: list[str] = field(default_factory=list)
    store: MemoryStore = field(default_factory=MemoryStore)
    ledger: Ledger = field(default_factory=MemoryLedger)
    control: Control = field(default_factory=Control)

    async def work(self, context: ToolContext, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        what: str = arguments["what"]
        self.begun.append(what)
        self.effect_ids.append(context.effect_id)
        await trio.sleep(self.works_s)
        if self.breaks is not None:
            raise self.breaks
        self.done.append(what)
        response: Mapping[str, Any] = answers.ok(f"done: {what}") if self.response is None else self.response
        return response

    def catalog(self) -> Catalog:
        return Catalog((Tool(READ, self.work), Tool(WRITE, self.work), Tool(PRESS, self.work, again=True)))

    def context(self, tenant: Tenant = TENANT, caller: str = "+15550100199") -> ToolContext:
        return ToolContext(
            tenant=tenant,
            call_sid="CA1",
            caller=caller,
            control=self.control,
            follow_ups=self.store,
            diary=MemoryDiary(),
            now=lambda: NOW,
        )


@dataclass
class Room:
    """One executor: ``ask`` it, ``hear`` what it says."""

    world: World
    calls: trio.MemorySendChannel[ToolCall | ToolCallsCancelled]
    inbox: trio.MemoryReceiveChannel[FloorEvent]
    scope: trio.CancelScope
    started: list[ToolStarted] = field(default_factory=list)

    async def ask(self, call_id: str, name: str = "write", turn_id: int = 1, **arguments: Any) -> None:
        await self.calls.send(ToolCall("acme", "CA1", turn_id, call_id, name, arguments or {"what": "a"}))

    async def cancel(self, *call_ids: str) -> None:
        await self.calls.send(ToolCallsCancelled(call_ids))

    async def hear(self) -> ToolResult:
        """The next result; what was started meanwhile is noted."""
        with trio.fail_after(100):
            async for event in self.inbox:
                if isinstance(event, ToolResult):
                    return event
                assert isinstance(event, ToolStarted)
                self.started.append(event)
        raise AssertionError("the executor ended")

    async def close(self) -> list[ToolResult]:
        """Let it end; all that it still answered."""
        self.calls.close()
        events = [event async for event in self.inbox]
        self.started += [event for event in events if isinstance(event, ToolStarted)]
        return [event for event in events if isinstance(event, ToolResult)]


@asynccontextmanager
async def a_room(
    world: World, inbox_holds: int = 1000, tenant: Tenant = TENANT, catalog: Catalog | None = None
) -> AsyncIterator[Room]:
    send_call, calls = trio.open_memory_channel[ToolCall | ToolCallsCancelled](16)
    inbox, hear = trio.open_memory_channel[FloorEvent](inbox_holds)

    async with trio.open_nursery() as nursery:
        room = Room(world, send_call, hear, trio.CancelScope())

        async def executor() -> None:
            with room.scope:
                await run_tool_executor(
                    tenant=tenant,
                    call_sid="CA1",
                    calls=calls,
                    inbox=inbox,
                    catalog=catalog or world.catalog(),
                    ledger=world.ledger,
                    context=world.context(tenant),
                )

        nursery.start_soon(executor)
        with send_call, hear:
            yield room
