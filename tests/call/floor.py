"""A turn-keeper at work, between channels that a test holds the other ends of."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import trio
import trio.testing

from engine.call.channels import FloorEnds
from engine.call.conversation import Conversation
from engine.call.desk import CallDesk, Wish
from engine.call.opening import Instruction
from engine.call.record import CallRecord
from engine.errors import ModelLost
from engine.fallback.prompts import PromptLibrary, Prompts
from engine.messages import (
    CallerTranscript,
    CommitTurn,
    CutPlayout,
    Effect,
    Floor,
    FloorEvent,
    Notes,
    OpenTurn,
    Passage,
    PlayoutCommand,
    Query,
    ResponseFinished,
    ResponseStarted,
    SpeechEnded,
    SpeechStarted,
    ToolCall,
    ToolCallsCancelled,
    Uplink,
    UtterancePlayed,
)
from engine.metrics import Metrics
from engine.shortcut import SendEnd
from engine.telephony.jitter import CallerAudioGate
from engine.tenants.tenant import Tenant, ToolSpec
from tests.fallback.stage import SpellingVoice

M = TypeVar("M")

LOOK = ToolSpec(name="look", description="", effect=Effect.READS, filler="Let me look.")
TENANT = Tenant(id="acme", name="Acme", greeting="Hi.", tools=(LOOK,))
OPENING = Instruction("Greet the caller.", "Hello.")
PASSAGE = Passage("acme", "faq", "Parking is free.", 0.9)


def notes(query: str, turn_id: int = 1) -> Notes:
    return Notes(turn_id, query, (PASSAGE,), 3.0)


def prompts() -> Prompts:
    library = PromptLibrary(SpellingVoice())
    library.prepare(TENANT)
    return library.for_tenant(TENANT)


@dataclass
class Gate:
    """Remembers whether it is open; every change with what had gone up before it."""

    changes: list[str] = field(default_factory=list)
    after: Callable[[], int] = lambda: 0
    rerouted_to: SendEnd[Uplink] | None = None

    def open(self, turn_id: int = 0) -> None:
        self.changes.append("open")

    def close(self) -> None:
        self.changes.append("close")

    def turn_so_far(self) -> bytes:
        return b"\x20" * 20_000

    def forget_turn(self) -> None:
        pass

    def reroute_to(self, uplink: SendEnd[Uplink]) -> None:
        self.rerouted_to = uplink


@dataclass
class Talk:
    """One tenure. ``tell`` it events; see what goes ``up`` to the model, and out to the line."""

    inbox: trio.MemorySendChannel[FloorEvent]
    uplink: trio.MemoryReceiveChannel[Uplink]
    playout: trio.MemoryReceiveChannel[PlayoutCommand]
    queries: trio.MemoryReceiveChannel[Query]
    tool_calls: trio.MemoryReceiveChannel[ToolCall | ToolCallsCancelled]
    record: CallRecord
    desk: CallDesk
    metrics: Metrics
    gate: Gate
    talk: Conversation = field(init=False)
    sounding: bool = False
    end: Wish | None = None
    ended_at: float | None = None
    lost: ModelLost | None = None
    over: trio.Event = field(default_factory=trio.Event)

    def floor(self) -> Floor:
        """Who may speak now; a call, since it changes while the type checker is not looking."""
        return self.record.floor

    async def tell(self, *events: FloorEvent) -> None:
        for event in events:
            await self.inbox.send(event)
            await trio.testing.wait_all_tasks_blocked()

    def up(self) -> list[Uplink]:
        return list(waiting(self.uplink))

    def out(self) -> list[PlayoutCommand]:
        return list(waiting(self.playout))

    def asked(self) -> list[Query]:
        return list(waiting(self.queries))

    def called(self) -> list[ToolCall | ToolCallsCancelled]:
        return list(waiting(self.tool_calls))

    def kinds(self) -> list[str]:
        return [moment.kind for moment in self.record.timeline]

    async def starts(self) -> None:
        """The caller begins to speak."""
        await self.tell(SpeechStarted(trio.current_time()))

    async def stops(self) -> None:
        """The caller pauses for so long that they are done."""
        now = trio.current_time()
        await self.tell(SpeechEnded(now - 0.5, now, 900))

    async def asks(self, text: str, *, final: bool = True) -> None:
        """A whole turn, up to where it waits for its notes."""
        await self.starts()
        await self.tell(CallerTranscript(text, final))
        await self.stops()

    async def answers(self, generation: int) -> None:
        """A whole response, heard to its end."""
        await self.tell(
            ResponseStarted(generation, trio.current_time()),
            ResponseFinished(generation),
            UtterancePlayed(generation, 800.0),
        )

    async def greeted(self) -> "Talk":
        """The opening is over, and nobody speaks."""
        await self.answers(self.next_generation())
        self.up()
        return self

    async def owed(self) -> "Talk":
        """A turn was committed, and the model owes an answer."""
        await self.greeted()
        await self.asks("okay")
        self.up()
        return self

    def next_generation(self) -> int:
        return self.record.next_generation()


def waiting(channel: trio.MemoryReceiveChannel[M]) -> Iterator[M]:
    """All that lies in a channel now."""
    while channel.statistics().current_buffer_used:
        yield channel.receive_nowait()


def of(messages: list[Any], kind: type[M]) -> list[M]:
    return [message for message in messages if isinstance(message, kind)]


def cuts(commands: list[PlayoutCommand]) -> list[int]:
    return [command.through_generation for command in of(commands, CutPlayout)]


def commits(messages: list[Uplink]) -> list[CommitTurn]:
    return of(messages, CommitTurn)


def opened(messages: list[Uplink]) -> list[int]:
    return [message.turn_id for message in of(messages, OpenTurn)]


@asynccontextmanager
async def talking(*, playout_queued: int = 64, queries_queued: int = 8, tenant: Tenant = TENANT) -> AsyncIterator[Talk]:
    """A tenure that has begun with ``OPENING``."""
    inbox_send, inbox = trio.open_memory_channel[FloorEvent](256)
    uplink_send, uplink = trio.open_memory_channel[Uplink](64)
    playout_send, playout = trio.open_memory_channel[PlayoutCommand](playout_queued)
    queries_send, queries = trio.open_memory_channel[Query](queries_queued)
    tools_send, tools = trio.open_memory_channel[ToolCall | ToolCallsCancelled](16)
    record = CallRecord(call_sid="CA1", tenant_id="acme", caller="", started_at=trio.current_time())
    desk, metrics, gate = CallDesk(), Metrics(), Gate()
    talk = Talk(inbox_send, uplink, playout, queries, tools, record, desk, metrics, gate)
    ends = FloorEnds(
        inbox=inbox,
        playout=playout_send,
        queries=queries_send,
        tool_calls=tools_send,
        gate=cast("CallerAudioGate", gate),
        agent_sounding=lambda: talk.sounding,
        next_generation=record.next_generation,
    )
    talk.talk = Conversation(
        tenant=tenant, record=record, ends=ends, uplink=uplink_send, prompts=prompts(), desk=desk, metrics=metrics
    )

    async def run() -> None:
        try:
            talk.end = await talk.talk.run(OPENING)
        except ModelLost as lost:
            talk.lost = lost
        talk.ended_at = trio.current_time()
        talk.over.set()

    with inbox_send, inbox, uplink_send, uplink, playout_send, playout, queries_send, queries, tools_send, tools:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run)
            await trio.testing.wait_all_tasks_blocked()
            yield talk
            nursery.cancel_scope.cancel()
