"""To pause and to resume are done whenever they are asked for, also within one turn, but once for each id."""

from dataclasses import dataclass, field, replace

from trio.testing import MockClock

from engine.messages import ToolCall
from engine.recording.recorder import tools_done
from engine.tenants.tenant import Tenant
from engine.tools.catalog import Catalog
from engine.tools.context import ToolContext
from engine.tools.recording import PAUSE_RECORDING, RESUME_RECORDING
from tests.call.test_record import record
from tests.tools.room import Room, World, a_room

PAUSE, RESUME = PAUSE_RECORDING.spec.name, RESUME_RECORDING.spec.name
TENANT = Tenant(id="acme", name="Acme", greeting="Hi.", tools=(PAUSE_RECORDING.spec, RESUME_RECORDING.spec))


@dataclass
class Taped(World):
    """A call that is recorded."""

    done_to_it: list[str] = field(default_factory=list)

    def context(self, tenant: Tenant = TENANT, caller: str = "+15550100199") -> ToolContext:
        return replace(super().context(tenant, caller), recording=self)

    def pause(self) -> None:
        self.done_to_it.append(PAUSE)

    def resume(self) -> None:
        self.done_to_it.append(RESUME)

    def catalog(self) -> Catalog:
        return Catalog((PAUSE_RECORDING, RESUME_RECORDING))


async def asked(room: Room, *calls: tuple[str, str]) -> list[bool]:
    """Of each, all in one turn: was it merely told again?"""
    told = []
    for call_id, name in calls:
        await room.calls.send(ToolCall("acme", "CA1", 1, call_id, name, {}))
        told.append((await room.hear()).deduplicated)
    return told


async def test_a_second_pause_within_one_turn_pauses(autojump_clock: MockClock) -> None:
    world = Taped()
    async with a_room(world, tenant=TENANT) as room:
        assert await asked(room, ("1", PAUSE), ("2", RESUME), ("3", PAUSE)) == [False, False, False]
    assert world.done_to_it == [PAUSE, RESUME, PAUSE]


async def test_a_call_that_comes_twice_does_not_pause_what_was_resumed(autojump_clock: MockClock) -> None:
    world = Taped()
    async with a_room(world, tenant=TENANT) as room:
        assert await asked(room, ("1", PAUSE), ("2", RESUME), ("1", PAUSE)) == [False, False, True]
    assert world.done_to_it == [PAUSE, RESUME]


def test_a_line_that_comes_back_is_paused_by_what_was_done_not_by_what_was_told_again() -> None:
    kept = record()
    for name, again in ((PAUSE, False), (RESUME, False), (PAUSE, True)):
        kept.note(101.0, "tool_result", name, deduplicated=again, response={"status": "ok"})
    assert tools_done(kept.timeline) == [PAUSE, RESUME]
