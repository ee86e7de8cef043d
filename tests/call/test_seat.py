"""One model session as a seat at the table, and the order in which seats are tried."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest
import trio
import trio.testing
from pydantic import ValidationError

from engine.call.circuits import Circuits
from engine.call.lineup import Lineup
from engine.call.seat import PAUSES_S, Attempt, Seat, attempts
from engine.call.use import ModelUse
from engine.errors import MisuseError, ModelClosed, ModelLost, ModelRefused
from engine.messages import AgentTranscript, FloorEvent, OpenTurn, PlayoutCommand, ResponseStarted, Speak
from engine.metrics import Metrics
from engine.model.liveness import COMPANY_EVERY_S
from engine.model.provider import SessionSetup
from engine.tenants.tenant import Tenant, Timing
from tests.call.model import CAPABILITIES, FakeModel

Clock = trio.testing.MockClock
TENANT = Tenant(id="acme", name="Acme", greeting="Hi.")
SETUP = SessionSetup(TENANT, "CA1")


def planned(count: int, *providers: FakeModel, handle: str | None, refused: str = "") -> list[Attempt]:
    lineup = Lineup(providers, Circuits(Metrics()))
    return list(itertools.islice(attempts(lineup, lambda: 0.0, handle, "one", refused=refused), count))


def test_a_handle_is_tried_first_then_afresh_then_the_next_provider_at_once_and_around_with_growing_pauses() -> None:
    one, two = FakeModel("one"), FakeModel("two")
    plan = planned(15, one, two, handle="h")
    assert [(a.provider.name, a.handle) for a in plan[:5]] == [
        ("one", "h"),
        ("one", None),
        ("two", None),
        ("one", None),
        ("two", None),
    ]
    assert all(attempt.handle is None for attempt in plan[1:])
    rounds = [pause_s for longer in (*PAUSES_S, PAUSES_S[-1]) for pause_s in (longer, 0.0)]
    assert [attempt.pause_s for attempt in plan] == [0.0, *rounds]


def test_who_is_left_of_a_single_provider_is_tried_with_growing_pauses() -> None:
    plan = planned(8, FakeModel("one"), handle="h")
    assert [attempt.pause_s for attempt in plan] == [0.0, *PAUSES_S, PAUSES_S[-1]]


def test_without_a_handle_or_without_the_means_to_use_it_the_plan_begins_afresh() -> None:
    one = FakeModel("one")
    forgetful = FakeModel("one", capabilities=replace(CAPABILITIES, resume=False))
    assert [attempt.handle for attempt in planned(2, one, handle=None)] == [None, None]
    assert [attempt.handle for attempt in planned(2, forgetful, handle="h")] == [None, None]


def test_a_handle_is_for_its_own_provider_alone() -> None:
    other, one = FakeModel("other"), FakeModel("one")
    assert [(a.provider.name, a.handle) for a in planned(4, other, one, handle="h")] == [
        ("one", "h"),
        ("one", None),
        ("other", None),
        ("one", None),
    ]


def test_who_has_just_refused_is_tried_after_all_others() -> None:
    models = [FakeModel("other"), FakeModel("one"), FakeModel("third")]
    assert [a.provider.name for a in planned(3, *models, handle=None, refused="one")] == ["third", "other", "one"]


def test_without_providers_there_is_nothing_to_try() -> None:
    assert planned(1, handle="h") == []


@dataclass
class Sitting:
    """A seat at work."""

    seat: Seat
    inbox: trio.MemoryReceiveChannel[FloorEvent]
    playout: trio.MemoryReceiveChannel[PlayoutCommand]
    crashed: list[BaseException] = field(default_factory=list)


@asynccontextmanager
async def sitting(model: FakeModel, setup: SessionSetup = SETUP) -> AsyncIterator[Sitting]:
    inbox_send, inbox = trio.open_memory_channel[FloorEvent](50)
    playout_send, playout = trio.open_memory_channel[PlayoutCommand](50)
    numbers = itertools.count(1)
    at_work = Sitting(Seat(model), inbox, playout)

    async def run() -> None:
        try:
            await at_work.seat.run(
                setup,
                inbox=inbox_send,
                playout=playout_send,
                next_generation=lambda: next(numbers),
                use=ModelUse(),
            )
        except (MisuseError, BaseExceptionGroup) as error:
            at_work.crashed.append(error)

    with inbox, playout:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run)
            yield at_work
            nursery.cancel_scope.cancel()


async def test_a_seat_is_ready_when_its_session_is_open_and_carries_commands(autojump_clock: Clock) -> None:
    model = FakeModel(opens_after_s=0.5)
    async with sitting(model) as at_work:
        began = trio.current_time()
        assert await at_work.seat.wait_settled()
        assert trio.current_time() - began == pytest.approx(0.5)
        await at_work.seat.uplink.send(Speak(0, "Greet."))
        assert [type(await at_work.inbox.receive()) for _ in range(2)] == [AgentTranscript, ResponseStarted]
        assert model.sessions[0].spoke == [Speak(0, "Greet.")]
        at_work.seat.leave()
        await at_work.seat.over.wait()
        assert at_work.seat.lost is None
        assert isinstance(at_work.seat.why(), ModelLost)
        assert model.sessions[0].closed


async def test_a_seat_that_could_not_be_had_is_over_and_says_why(autojump_clock: Clock) -> None:
    refusal = ModelRefused("no", resumable=False)
    async with sitting(FakeModel(refusals=[refusal])) as at_work:
        assert not await at_work.seat.wait_settled()
        assert at_work.seat.why() is refusal
        assert not at_work.seat.ready.is_set()
        with pytest.raises(trio.ClosedResourceError):
            await at_work.seat.uplink.send(OpenTurn(1))


async def test_a_session_that_is_lost_closes_its_uplink_under_whoever_holds_the_floor(autojump_clock: Clock) -> None:
    model = FakeModel()
    async with sitting(model) as at_work:
        assert await at_work.seat.wait_settled()
        lost = ModelClosed("gone", code=1006)
        model.sessions[0].emit([lost])
        await at_work.seat.over.wait()
        assert at_work.seat.why() is lost
        assert not await at_work.seat.wait_settled()
        with pytest.raises((trio.ClosedResourceError, trio.BrokenResourceError)):
            await at_work.seat.uplink.send(OpenTurn(1))


async def test_a_seat_left_before_it_was_had_is_over(autojump_clock: Clock) -> None:
    model = FakeModel(opens_after_s=100)
    async with sitting(model) as at_work:
        at_work.seat.leave()
        assert not await at_work.seat.wait_settled()
        assert model.sessions == []


async def test_a_slow_model_is_told_of_to_whoever_holds_the_floor_by_then(autojump_clock: Clock) -> None:
    model = FakeModel(answer=lambda session: [])
    told: list[float] = []
    async with sitting(model) as at_work:
        assert await at_work.seat.wait_settled()
        await at_work.seat.uplink.send(OpenTurn(1))

        async def say_nothing(speak: Speak) -> None:
            await trio.lowlevel.checkpoint()

        model.sessions[0].speak = say_nothing  # type: ignore[method-assign]
        began = trio.current_time()
        await at_work.seat.uplink.send(Speak(0, "Greet."))
        await trio.sleep(1)
        at_work.seat.on_slow = lambda: told.append(trio.current_time() - began)
        await at_work.seat.over.wait()
        # Told from when there is somebody to tell: the model was slow before, and goes on being slow.
        slow_s = TENANT.timing.filler_after_ms / 1000
        assert told == pytest.approx([slow_s + COMPANY_EVERY_S, slow_s + 2 * COMPANY_EVERY_S])
        assert at_work.seat.why().kind == "stalled"
        assert trio.current_time() - began == pytest.approx(TENANT.timing.stall_after_ms / 1000)


async def test_a_bug_of_ours_is_not_taken_for_a_lost_model(autojump_clock: Clock) -> None:
    patience = Timing.model_construct(**{**Timing().model_dump(), "filler_after_ms": 4000, "stall_after_ms": 4000})
    setup = SessionSetup(TENANT.model_copy(update={"timing": patience}), "CA1")
    async with sitting(FakeModel(), setup) as at_work:
        await at_work.seat.over.wait()
        await trio.testing.wait_all_tasks_blocked()
        assert len(at_work.crashed) == 1
        assert at_work.seat.lost is None


@pytest.mark.parametrize("filler_ms", [4000, 5000])
def test_a_document_that_would_crash_each_call_is_refused_beforehand(filler_ms: int) -> None:
    with pytest.raises(ValidationError, match="filler_after_ms must be less than stall_after_ms"):
        Timing(filler_after_ms=filler_ms, stall_after_ms=4000)
