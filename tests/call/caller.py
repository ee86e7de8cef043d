"""One whole call without a gateway: the supervisor's tree over a line on a plane, a fake model, a caller who speaks."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import trio

from engine.call.outcome import Outcome
from engine.call.record import CallRecord
from engine.call.services import Services
from engine.call.supervisor import run_call
from engine.errors import CarrierError
from engine.tenants.tenant import KnowledgeNote, Person, Tenant
from engine.tools.end_call import END_CALL
from engine.tools.opening_hours import OPENING_HOURS
from engine.tools.transfer import TRANSFER_CALL
from tests.call.desk import services
from tests.call.model import FakeModel, Session
from tests.telephony.carrier import Player, Rig, open_line
from tests.telephony.parts import SILENCE, LevelVad, loud

PARKING = "Is there parking?"
TENANT = Tenant(
    id="acme",
    name="Acme",
    greeting="Hi.",
    knowledge=(KnowledgeNote(source="faq", text="Parking is free for patients, behind the house."),),
    hours=dict.fromkeys(("monday", "tuesday", "wednesday", "thursday", "friday"), "09:00-17:00"),
    tools=(END_CALL.spec, OPENING_HOURS.spec, TRANSFER_CALL.spec),
    people=(Person(name="Ann", number="+15550100200"),),
)


@dataclass
class FakeCarrier:
    """REST of the carrier: remembers, and fails as told."""

    fails: bool = False
    ended: list[str] = field(default_factory=list)
    redirected: list[tuple[str, str]] = field(default_factory=list)
    on_redirect: Callable[[], None] = lambda: None
    answers_after_s: float = 0.1

    async def end_call(self, call_sid: str) -> None:
        await trio.sleep(self.answers_after_s)
        self.ended.append(call_sid)
        if self.fails:
            raise CarrierError("no answer")

    async def redirect_call(self, call_sid: str, twiml: str) -> None:
        await trio.sleep(self.answers_after_s)
        self.redirected.append((call_sid, twiml))
        if self.fails:
            raise CarrierError("no answer")
        self.on_redirect()
        await trio.sleep(0.2)


@dataclass
class OnCall:
    """A call that runs. The caller is silent but when they ``say`` something."""

    rig: Rig
    model: FakeModel
    record: CallRecord
    services: Services
    over: trio.Event = field(default_factory=trio.Event)
    outcome: Outcome | None = None
    speaking: bool = False
    at_ms: int = 0

    @property
    def session(self) -> Session:
        return self.model.sessions[-1]

    async def until(self, condition: Callable[[], bool], within_s: float = 30.0) -> None:
        with trio.fail_after(within_s):
            while not condition():
                await trio.sleep(0.02)

    async def quiet(self) -> None:
        """Until the agent has spoken and nobody has the floor."""
        await self.until(lambda: self.record.floor == "nobody" and "floor" in self.kinds())

    async def say(self, ms: int = 600) -> None:
        """Speak, and pause for as long as the endpointer needs to be sure."""
        self.speaking = True
        await trio.sleep(ms / 1000)
        self.speaking = False
        await trio.sleep(0.6)

    def kinds(self) -> list[str]:
        return [moment.kind for moment in self.record.timeline]

    def moments(self, kind: str) -> list[dict[str, Any]]:
        return [moment.facts for moment in self.record.timeline if moment.kind == kind]

    def crashes(self, place: str) -> float:
        return float(self.services.metrics.crashes.labels(place)._value.get())

    async def end(self) -> Outcome:
        with trio.fail_after(60):
            await self.over.wait()
        assert self.outcome is not None
        return self.outcome

    async def hang_up(self) -> Outcome:
        self.rig.phone.stop()
        return await self.end()

    async def phone(self) -> None:
        """The carrier's side: a frame each 20 ms, and playback."""
        player = Player(self.rig.phone)
        began = trio.current_time()
        while not self.over.is_set():
            self.rig.phone.media(self.at_ms, loud(1) if self.speaking else SILENCE)
            player.play(trio.current_time())
            self.at_ms += 20
            await trio.sleep_until(began + self.at_ms / 1000)


@asynccontextmanager
async def on_call(
    model: FakeModel | None = None,
    *,
    tenant: Tenant = TENANT,
    before: Callable[[CallRecord], None] = lambda record: None,
    **changes: Any,
) -> AsyncIterator[OnCall]:
    """A call from its start to its end; asserts that it leaves no session open.

    Args:
        before: what an earlier line of the call left on record.
    """
    used = model or FakeModel()
    given = services(tenant, **{"providers": {used.name: used}, "new_vad": LevelVad, **changes})
    async with open_line() as rig:
        await rig.started()
        record = CallRecord(
            call_sid="CA1",
            tenant_id=tenant.id,
            caller="+15550100001",
            started_at=trio.current_time(),
            observe=given.observe,
        )
        before(record)
        call = OnCall(rig, used, record, given)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_serve, call, tenant)
            nursery.start_soon(call.phone)
            yield call
            nursery.cancel_scope.cancel()


async def _serve(call: OnCall, tenant: Tenant) -> None:
    call.outcome = await run_call(line=call.rig.line, tenant=tenant, record=call.record, services=call.services)
    assert all(session.closed for session in call.model.sessions)
    call.over.set()
