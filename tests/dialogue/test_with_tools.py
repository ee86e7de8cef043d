"""What the dialogue asks of the tools is what the shipped ones take."""

from datetime import UTC, datetime

import pytest

from engine.dialogue.acts import Act, CallTool, Say
from engine.dialogue.dialogue import Dialogue
from engine.store.diary import MemoryDiary
from engine.store.memory import MemoryStore
from engine.tenants import examples
from engine.tenants.tenant import Person
from engine.tools.catalog import standard_catalog
from engine.tools.context import ToolContext
from tests.dialogue.conversation import CALLER

MONDAY = datetime(2026, 11, 23, 16, 0, tzinfo=UTC)


class Wishes:
    """What was asked of the call."""

    def __init__(self) -> None:
        self.transfers: list[str] = []
        self.ended = 0

    def request_transfer(self, person: Person) -> None:
        self.transfers.append(person.name)

    def request_end(self, reason: str) -> None:
        self.ended += 1


class Desk:
    """A dialogue and the shipped tools of its tenant."""

    def __init__(self, name: str) -> None:
        self.tenant = examples.load(name)
        self.wishes, self.diary, self.store = Wishes(), MemoryDiary(), MemoryStore()
        self._dialogue = Dialogue(self.tenant, caller=CALLER)
        self._tools = standard_catalog().for_tenant(self.tenant)
        self._calls = 0

    async def hear(self, text: str) -> str:
        return await self._follow(self._dialogue.hear(text, []))

    async def _follow(self, acts: tuple[Act, ...]) -> str:
        said = []
        for act in acts:
            if isinstance(act, Say):
                said.append(act.text)
                continue
            said.append(await self._follow(self._dialogue.tool_result(act.call_id, await self._run(act))))
        return " ".join(filter(None, said))

    async def _run(self, call: CallTool) -> dict[str, object]:
        self._calls += 1
        context = ToolContext(
            tenant=self.tenant,
            call_sid="CA1",
            caller=CALLER,
            control=self.wishes,
            follow_ups=self.store,
            diary=self.diary,
            now=lambda: MONDAY,
            effect_id=f"effect-{self._calls}",
        )
        return dict(await self._tools[call.name].tool.handler(context, call.arguments))


@pytest.mark.parametrize(
    ("tenant", "heard", "starts"),
    [
        ("harbor-dental", ["book me a cleaning next tuesday at half past two"], "2026-11-24T14:30:00"),
        ("kessler-plumbing", ["I need a plumber on Friday at nine", "12 Oak Street, the tap"], "2026-11-27T09:00:00"),
        ("olive-and-ember", ["I'd like a table for four on the 28th of november at seven"], "2026-11-28T19:00:00"),
    ],
)
async def test_what_was_agreed_on_stands_in_the_diary(tenant: str, heard: list[str], starts: str) -> None:
    desk = Desk(tenant)
    for text in [*heard, "Robin Lee"]:
        await desk.hear(text)
    assert "Booked for Robin Lee" in await desk.hear("yes please")
    (found,) = await desk.diary.find(desk.tenant.id, CALLER)
    assert (found.name, found.starts.isoformat()) == ("Robin Lee", starts)


async def test_a_taken_time_is_moved_to_one_that_is_free() -> None:
    desk = Desk("harbor-dental")
    await desk.hear("book me a cleaning on tuesday at ten, my name is Robin Lee")
    await desk.hear("yes")
    await desk.hear("book me a cleaning on tuesday at ten, my name is Tom Lee")
    said = await desk.hear("yes")
    assert said.startswith("That time is taken. Still free on that day:")
    assert "at 11 a.m." in await desk.hear("eleven then")
    assert "Booked for Tom Lee: Tuesday, November 24 at 11 a.m." in await desk.hear("yes")


async def test_a_booking_is_found_again_by_its_name() -> None:
    desk = Desk("harbor-dental")
    await desk.hear("book me a cleaning on tuesday at ten, my name is Robin Lee")
    await desk.hear("yes")
    await desk.hear("when is my appointment")
    assert "Tuesday, November 24 at 10 a.m." in await desk.hear("Robin Lee")


async def test_free_times_are_said_before_one_is_asked_for() -> None:
    desk = Desk("olive-and-ember")
    said = await desk.hear("what times are free on monday")
    assert said.startswith("Nothing is free on Monday, November 30. The next free day is Tuesday, December 1: 5 p.m.")
    assert "time" in said.rsplit(".", 1)[-1]


async def test_hours_are_said_as_the_tool_says_them() -> None:
    desk = Desk("harbor-dental")
    assert await desk.hear("are you open on wednesday") == "Wednesday, November 25: from 8 a.m. to 7 p.m."
    assert (await desk.hear("are you open right now")).startswith("Yes, we're open right now. Monday and Tuesday from")


async def test_a_message_reaches_the_team() -> None:
    desk = Desk("kessler-plumbing")
    await desk.hear("can you tell Ruth that the invoice is wrong, it's urgent")
    await desk.hear("Sam Ortiz")
    await desk.hear("yes")
    (kept,) = await desk.store.follow_ups(desk.tenant.id)
    assert kept.caller == CALLER
    assert kept.text.startswith("the invoice is wrong")
    assert kept.details == {"name": "Sam Ortiz", "urgent": True}


@pytest.mark.parametrize(
    ("tenant", "said", "person"),
    [
        ("harbor-dental", "put me through to the practice manager", "the practice manager"),
        ("kessler-plumbing", "can I speak with Ruth Kessler", "Ruth Kessler"),
        ("olive-and-ember", "can I talk to the events coordinator", "the events coordinator"),
    ],
)
async def test_whoever_is_named_is_put_through_to(tenant: str, said: str, person: str) -> None:
    desk = Desk(tenant)
    await desk.hear(said)
    assert desk.wishes.transfers == [person]


async def test_the_call_ends_once_after_goodbye() -> None:
    desk = Desk("harbor-dental")
    await desk.hear("thanks, goodbye")
    assert desk.wishes.ended == 1
