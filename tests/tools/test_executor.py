"""Every call is answered exactly once, whatever becomes of it; under virtual time."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from engine.errors import ConfigurationError, MisuseError, RemoteError
from engine.messages import Effect, FloorEvent, ToolCall, ToolCallsCancelled, ToolStarted
from engine.store.follow_ups import FollowUp
from engine.store.ledger import Claim, ClaimRequest, EffectKey, Response
from engine.tenants.tenant import Tenant, ToolSpec
from engine.tools import answers
from engine.tools.executor import ANSWERING_S, AT_ONCE, BOOKKEEPING_S, run_tool_executor
from engine.tools.ledger import MemoryLedger
from tests.store.logs import heard_logs
from tests.tools.room import PARAMETERS, TENANT, World, a_room


async def test_a_call_is_announced_run_and_answered(autojump_clock: MockClock) -> None:
    async with a_room(World()) as room:
        await room.ask("1", "look", what="the diary")
        result = await room.hear()
        assert room.started == [ToolStarted("1", "look", Effect.READS, "Let me see.")]
        assert result.response == answers.ok("done: the diary")
        assert (result.call_id, result.name, result.deduplicated) == ("1", "look", False)
        assert result.took_ms == pytest.approx(1000)
        assert await room.close() == []


async def test_a_slow_call_holds_up_no_other(autojump_clock: MockClock) -> None:
    async with a_room(World(works_s=1)) as room:
        began = trio.current_time()
        for n in range(10):
            await room.ask(str(n), what=f"w{n}")
        assert {(await room.hear()).call_id for _ in range(10)} == set(map(str, range(10)))
        assert trio.current_time() - began == pytest.approx(1)


@pytest.mark.parametrize(
    ("name", "arguments", "said", "retryable"),
    [
        ("fly", {"what": "a"}, "no tool of that name. There are: look, write, press", False),
        ("write", {"what": 5}, "what must be of type string", True),
        ("write", {"where": "a"}, "what is missing; 'where' is not known", True),
        ("write", {"what": "\ud800"}, "cannot be written down", True),
    ],
)
async def test_what_cannot_be_run_is_refused_with_the_reason(
    name: str, arguments: dict[str, Any], said: str, retryable: bool, autojump_clock: MockClock
) -> None:
    async with a_room(World()) as room:
        await room.ask("1", name, **arguments)
        result = await room.hear()
        assert result.response["status"] == "refused"
        assert said in result.response["message"]
        assert result.response["retryable"] is retryable
        assert room.world.begun == []
        assert room.started == []


async def test_a_cancelled_read_ends_at_once_and_is_answered(autojump_clock: MockClock) -> None:
    async with a_room(World(works_s=4)) as room:
        await room.ask("1", "look")
        await trio.sleep(1)
        await room.cancel("1", "never heard of")
        result = await room.hear()
        assert result.response == answers.STOPPED
        assert result.took_ms == pytest.approx(1000)
        assert room.world.done == []
        assert await room.close() == []


@pytest.mark.parametrize("name", ["look", "write"])
async def test_a_call_cancelled_before_it_began_is_called_off_and_answered(
    name: str, autojump_clock: MockClock
) -> None:
    async with a_room(World()) as room:
        room.calls.send_nowait(ToolCall("acme", "CA1", 1, "1", name, {"what": "a"}))
        room.calls.send_nowait(ToolCallsCancelled(("1",)))
        assert (await room.hear()).response == answers.STOPPED
        assert room.world.begun == []
        await room.ask("1", name)
        assert (await room.hear()).response == answers.ok("done: a")


async def test_a_cancelled_write_goes_on_and_says_how_it_ended(autojump_clock: MockClock) -> None:
    async with a_room(World(works_s=4)) as room:
        await room.ask("1", "write")
        await trio.sleep(1)
        await room.cancel("1")
        assert (await room.hear()).response == answers.ok("done: a")
        assert room.world.done == ["a"]
        assert await room.close() == []


async def test_a_write_goes_on_though_the_call_has_ended(autojump_clock: MockClock) -> None:
    world = World(works_s=4)
    async with a_room(world) as room:
        await room.ask("1", "write", what="w")
        await room.ask("2", "look", what="r")
        await trio.sleep(1)
        room.scope.cancel()
        answered = {result.call_id: result.response for result in await room.close()}
    assert answered == {"1": answers.ok("done: w"), "2": answers.STOPPED}
    assert world.done == ["w"]


async def test_a_write_that_hangs_is_let_go_at_its_deadline_also_after_the_call(autojump_clock: MockClock) -> None:
    world = World(works_s=1e9)
    began = trio.current_time()
    async with a_room(world) as room:
        await room.ask("1", "write")
        await trio.sleep(1)
        room.scope.cancel()
    assert trio.current_time() - began == pytest.approx(5)
    assert [task.kind for task in await world.store.follow_ups("acme")] == ["task"]


async def test_an_answer_nobody_takes_holds_up_the_end_of_a_call_for_a_moment_only(autojump_clock: MockClock) -> None:
    world = World(works_s=1)
    began = trio.current_time()
    async with a_room(world, inbox_holds=0) as room:
        await room.ask("1", "write")
        await trio.sleep(0.5)
        room.scope.cancel()
        await trio.sleep(100)
    assert world.done == ["a"]
    assert trio.current_time() - began == pytest.approx(100.5)


async def test_the_end_of_a_call_waits_no_longer_for_an_answer_than_it_says(autojump_clock: MockClock) -> None:
    async with a_room(World(works_s=10), inbox_holds=0) as room:
        await room.ask("1", "look")
        await trio.sleep(1)
        room.scope.cancel()
        ended = trio.current_time()
        while room.calls.statistics().open_receive_channels:
            await trio.sleep(0.01)
        assert trio.current_time() - ended < ANSWERING_S + 0.1


@pytest.mark.parametrize("name", ["look", "write"])
@pytest.mark.parametrize(
    ("breaks", "works_s"),
    [(ZeroDivisionError("bug"), 1), (RemoteError("no"), 1), (OSError("down"), 1), (trio.TooSlowError(), 1), (None, 99)],
)
async def test_a_tool_that_fails_leaves_the_team_a_task_and_the_caller_a_promise(
    name: str, breaks: Exception | None, works_s: float, autojump_clock: MockClock
) -> None:
    async with a_room(World(breaks=breaks, works_s=works_s)) as room:
        await room.ask("1", name, what="a crown")
        with heard_logs() as logs:
            assert (await room.hear()).response == answers.CALL_BACK
        (line,) = logs
        assert line.get("exc_info", False) == isinstance(breaks, ZeroDivisionError)
        assert "a crown" not in str(line)
        (task,) = await room.world.store.follow_ups("acme")
        assert (task.kind, task.caller, task.details["arguments"]) == ("task", "+15550100199", {"what": "a crown"})
        assert name in task.text
        room.world.breaks, room.world.works_s = None, 1
        await room.ask("2", name, what="something else")
        assert (await room.hear()).response["status"] == "ok"


@pytest.mark.parametrize(
    "response",
    [None, "done", [], {}, {"status": "fine", "message": "x"}, {"status": "ok"}, {"status": "ok", "message": b""}],
)
async def test_an_answer_of_the_wrong_shape_counts_as_a_crash(response: Any, autojump_clock: MockClock) -> None:
    world = World()
    world.response = response if response is not None else {"status": None}
    async with a_room(world) as room:
        await room.ask("1")
        assert (await room.hear()).response == answers.CALL_BACK


async def test_a_failed_write_is_never_run_again_and_a_failed_read_may_be(autojump_clock: MockClock) -> None:
    async with a_room(World(breaks=OSError("down"))) as room:
        for name in ("look", "write"):
            await room.ask(f"{name} 1", name)
            assert (await room.hear()).response == answers.CALL_BACK
        room.world.breaks = None
        await room.ask("look 2", "look")
        assert (await room.hear()).response["status"] == "ok"
        await room.ask("write 2", "write")
        again = await room.hear()
        assert (again.response, again.deduplicated) == (answers.CALL_BACK, True)
        assert len(room.world.begun) == 3
        assert len(await room.world.store.follow_ups("acme")) == 2


async def test_a_refused_write_may_be_tried_again_but_the_same_call_keeps_its_answer(autojump_clock: MockClock) -> None:
    async with a_room(World()) as room:
        room.world.response = answers.refused("The slot is taken.")
        await room.ask("1")
        assert (await room.hear()).response["status"] == "refused"
        room.world.response = None
        await room.ask("1")
        again = await room.hear()
        assert (again.response["message"], again.deduplicated) == ("The slot is taken.", True)
        await room.ask("2")
        assert (await room.hear()).response == answers.ok("done: a")


async def test_more_than_a_call_may_do_at_once_is_refused_at_once(autojump_clock: MockClock) -> None:
    async with a_room(World()) as room:
        for n in range(AT_ONCE + 5):
            await room.ask(str(n), what=f"w{n}")
        results = [await room.hear() for _ in range(AT_ONCE + 5)]
        assert [result.response["status"] for result in results] == ["refused"] * 5 + ["ok"] * AT_ONCE
        assert max(result.took_ms for result in results[:5]) == 0
        assert len(room.world.done) == AT_ONCE


async def test_a_full_inbox_costs_the_announcement_but_never_the_answer(autojump_clock: MockClock) -> None:
    async with a_room(World(), inbox_holds=0) as room:
        await room.ask("1")
        await trio.sleep(50)
        assert (await room.hear()).response["status"] == "ok"
        assert room.started == []


async def test_a_call_of_another_tenant_or_call_crashes_the_actor(autojump_clock: MockClock) -> None:
    for stranger in (ToolCall("other", "CA1", 1, "1", "write", {}), ToolCall("acme", "CA2", 1, "1", "write", {})):
        world = World()
        with pytest.RaisesGroup(MisuseError, flatten_subgroups=True):
            async with a_room(world) as room:
                await room.calls.send(stranger)
                await trio.sleep(10)
        assert world.begun == []


async def test_a_context_of_another_tenant_is_misuse() -> None:
    world = World()
    _, calls = trio.open_memory_channel[ToolCall | ToolCallsCancelled](1)
    inbox, _ = trio.open_memory_channel[FloorEvent](1)
    other = Tenant(id="other", name="Other", greeting="Hi.")
    with pytest.raises(MisuseError, match="given the context of other"):
        await run_tool_executor(
            tenant=TENANT,
            call_sid="CA1",
            calls=calls,
            inbox=inbox,
            catalog=world.catalog(),
            ledger=world.ledger,
            context=world.context(other),
        )


async def test_a_tool_that_nothing_can_do_is_a_configuration_error() -> None:
    spec = ToolSpec(name="fly", description="", parameters=PARAMETERS)
    with pytest.raises(ConfigurationError, match="fly: nothing can do that"):
        World().catalog().for_tenant(TENANT.model_copy(update={"tools": (spec,)}))


class BrokenLedger(MemoryLedger):
    """Cannot be reached for some of its methods: they fail, or hang."""

    def __init__(self, broken: str, how: Exception | None) -> None:
        super().__init__()
        self.broken, self.how = broken, how

    async def _maybe(self, method: str) -> None:
        if method == self.broken:
            if self.how is not None:
                raise self.how
            await trio.sleep_forever()

    async def claim(self, key: EffectKey, request: ClaimRequest) -> Claim:
        await self._maybe("claim")
        return await super().claim(key, request)

    async def finish(self, key: EffectKey, attempt: str, response: Response) -> bool:
        await self._maybe("finish")
        return await super().finish(key, attempt, response)


@pytest.mark.parametrize("how", [None, OSError("down"), RemoteError("no")])
async def test_without_a_ledger_nothing_is_done_and_somebody_calls_back(
    how: Exception | None, autojump_clock: MockClock
) -> None:
    async with a_room(World(ledger=BrokenLedger("claim", how))) as room:
        await room.ask("1")
        result = await room.hear()
        assert result.response == answers.CALL_BACK
        assert result.took_ms <= 1000 * BOOKKEEPING_S + 1
        assert room.world.begun == []
        assert len(await room.world.store.follow_ups("acme")) == 1


@pytest.mark.parametrize("how", [None, OSError("down")])
async def test_a_write_the_ledger_could_not_note_is_answered_and_never_repeated(
    how: Exception | None, autojump_clock: MockClock
) -> None:
    async with a_room(World(ledger=BrokenLedger("finish", how))) as room:
        await room.ask("1")
        assert (await room.hear()).response == answers.ok("done: a")
        await room.ask("2")  # waits for the first until its lease is over, and is then for a person
        assert (await room.hear()).response == answers.CALL_BACK
        assert room.world.done == ["a"]
        assert len(await room.world.store.follow_ups("acme")) == 1


async def test_a_task_that_cannot_be_noted_is_not_promised(autojump_clock: MockClock) -> None:
    world = World(breaks=OSError("down"))

    async def keep_follow_up(item: FollowUp) -> bool:
        raise OSError("disk full")

    world.store.keep_follow_up = keep_follow_up  # type: ignore[method-assign]
    async with a_room(world) as room:
        await room.ask("1")
        assert (await room.hear()).response == answers.CALL_BACK_UNNOTED
