"""No effect twice and no call unanswered, with an endpoint over real sockets that misbehaves and counts."""

import math
import random
from collections import Counter
from typing import Any

import pytest
import trio

from engine.errors import ToolFailed
from engine.messages import Effect, ToolCall
from engine.sim.leaks import open_sockets
from engine.sim.tool_endpoint import ToolEndpoint
from engine.sim.tool_moods import (
    EVERY_NONSENSE,
    Drops,
    Fails,
    Fine,
    Garbage,
    Huge,
    Kills,
    LosesAnswer,
    Nonsense,
    Redirects,
    Slow,
    ToolMood,
    TooMany,
)
from engine.store.ledger import ClaimRequest
from engine.tools import answers
from engine.tools.http_transport import LARGEST_ANSWER
from engine.tools.ledger import effect_key
from tests.tools.http_room import a_spec, a_tenant, an_endpoint, ask, catalog, served
from tests.tools.room import TENANT, Room, World, a_room

LOST: tuple[ToolMood, ...] = (LosesAnswer(), Fails(502, done=True), Garbage("cut_short"), Garbage("no_http"))


async def test_a_call_comes_through_and_is_counted_once() -> None:
    endpoint = an_endpoint()
    async with served(endpoint) as tools:
        tenant = a_tenant(endpoint.url)
        async with a_room(World(), tenant=tenant, catalog=catalog(tools)) as room:
            await room.ask("1", "book", what="Ann")
            response = (await room.hear()).response
        (request,) = endpoint.requests
        assert response == answers.ok("Done.", data={"reference": request.key[:8]})
        assert (request.tool, request.arguments) == ("book", {"what": "Ann"})
    assert endpoint.effects == {request.key: 1}
    assert endpoint.faults == []


@pytest.mark.parametrize("lost", LOST, ids=str)
async def test_a_lost_answer_of_an_idempotent_write_is_asked_for_again_and_done_once(lost: ToolMood) -> None:
    endpoint = an_endpoint()
    endpoint.script([lost])
    async with (
        served(endpoint) as tools,
        a_room(World(), tenant=a_tenant(endpoint.url), catalog=catalog(tools)) as room,
    ):
        await room.ask("1", "book")
        assert (await room.hear()).response["status"] == "ok"
        assert await room.world.store.follow_ups("acme") == []
    assert list(endpoint.effects.values()) == [1]
    assert len(endpoint.requests) == 2
    assert len({request.key for request in endpoint.requests}) == 1
    assert endpoint.faults == []


@pytest.mark.parametrize("lost", [*LOST, Drops()], ids=str)
async def test_a_lost_answer_of_any_other_write_is_for_a_person(lost: ToolMood) -> None:
    endpoint = an_endpoint(idempotent=False)
    endpoint.script([lost])
    async with (
        served(endpoint) as tools,
        a_room(World(), tenant=a_tenant(endpoint.url), catalog=catalog(tools)) as room,
    ):
        for call_id in ("1", "2"):  # nor when the model asks for it again
            await room.ask(call_id, "write", what="Ann")
            assert (await room.hear()).response == answers.CALL_BACK
        (task,) = await room.world.store.follow_ups("acme")
        assert "may or may not have been done" in task.text
    assert len(endpoint.requests) == 1
    assert list(endpoint.effects.values()) == ([] if lost == Drops() else [1])


@pytest.mark.parametrize("how", [how for how in EVERY_NONSENSE if how not in {"cut_short", "no_http"}])
async def test_nonsense_is_a_call_back_and_not_asked_for_again(how: Nonsense) -> None:
    endpoint = an_endpoint()
    endpoint.script([Garbage(how)])
    async with (
        served(endpoint) as tools,
        a_room(World(), tenant=a_tenant(endpoint.url), catalog=catalog(tools)) as room,
    ):
        await room.ask("1", "book")
        assert (await room.hear()).response == answers.CALL_BACK
        assert len(await room.world.store.follow_ups("acme")) == 1
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_without_end_is_left_where_it_gets_too_long(declared: bool) -> None:
    endpoint = an_endpoint()
    endpoint.script([Huge(1024 * LARGEST_ANSWER, declared)])
    async with served(endpoint) as tools:
        with trio.fail_after(2), pytest.raises(ToolFailed, match="longer than 65536 bytes"):
            await ask(tools, a_spec("book", endpoint.url))


async def test_a_body_of_just_the_size_is_taken() -> None:
    body: dict[str, Any] = {"status": "ok", "message": "Done.", "data": {"a": ""}}
    empty = len('{"status": "ok", "message": "Done.", "data": {"a": ""}}')
    endpoint = an_endpoint(answer=lambda _: body)
    async with served(endpoint) as tools:
        body["data"]["a"] = "b" * (LARGEST_ANSWER - empty)
        assert (await ask(tools, a_spec("look", endpoint.url)))["status"] == "ok"
        body["data"]["a"] += "b"
        with pytest.raises(ToolFailed, match="longer"):
            await ask(tools, a_spec("look", endpoint.url), "f" * 32)


@pytest.mark.parametrize("to", ["http://169.254.169.254/latest/meta-data", "http://127.0.0.1:1/", "/tools/elsewhere"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(to: str, status: int) -> None:
    endpoint = an_endpoint()
    endpoint.script([Redirects(to, status)])
    async with served(endpoint) as tools:
        with pytest.raises(ToolFailed, match=f"it answered {status}"):
            await ask(tools, a_spec("look", endpoint.url, Effect.READS))
    assert len(endpoint.requests) == 1
    assert endpoint.faults == []


async def test_too_many_is_waited_for_as_long_as_it_says() -> None:
    endpoint = an_endpoint()
    endpoint.script([TooMany("1"), TooMany(None)])
    async with served(endpoint) as tools:
        began = trio.current_time()
        assert (await ask(tools, a_spec("look", endpoint.url, Effect.READS)))["status"] == "ok"
        assert trio.current_time() - began >= 1
    assert len(endpoint.requests) == 3


async def test_a_slow_endpoint_is_let_go_at_the_tools_deadline() -> None:
    endpoint = an_endpoint(idempotent=False)
    endpoint.script([Slow(math.inf)])
    async with served(endpoint) as tools:
        tenant = a_tenant(endpoint.url, timeout_s=0.3)
        async with a_room(World(), tenant=tenant, catalog=catalog(tools)) as room:
            await room.ask("1", "write")
            result = await room.hear()
            assert result.response == answers.CALL_BACK
            assert 300 <= result.took_ms < 1500
            (task,) = await room.world.store.follow_ups("acme")
            assert "took too long" in task.text
    assert list(endpoint.effects.values()) == [1]


async def test_a_write_whose_worker_died_is_asked_again_only_where_the_endpoint_knows_the_key() -> None:
    """The ledger holds a claim whose lease is over, and the effect was done: the answer died with the worker."""
    for name, idempotent in (("book", True), ("write", False)):
        endpoint = an_endpoint(idempotent=idempotent)
        world = World()
        call = ToolCall("acme", "CA1", 1, "0", name, {"what": "Ann"})
        key = effect_key(call, once_per_call=True)
        await world.ledger.claim(key, ClaimRequest("0", "dead", Effect.WRITES, 0.05))
        async with served(endpoint) as tools:
            tenant = a_tenant(endpoint.url)
            spec = next(spec for spec in tenant.tools if spec.name == name)
            await ask(tools, spec, key.effect_id, what="Ann")
            await trio.sleep(0.06)
            async with a_room(world, tenant=tenant, catalog=catalog(tools)) as room:
                await room.ask("1", name, what="Ann")
                response = (await room.hear()).response
                await room.ask("2", name, what="Ann")
                again = await room.hear()
        assert (response["status"], response == answers.CALL_BACK) == (("ok", False) if idempotent else ("error", True))
        assert (again.response, again.deduplicated) == (response, True)
        assert endpoint.effects == {key.effect_id: 1}
        assert len(endpoint.requests) == (2 if idempotent else 1)


async def test_the_moment_after_the_effect_can_be_caught() -> None:
    """As ``kill -9`` of the worker will: the request dies with an effect done and no answer."""
    endpoint = an_endpoint()
    scope = trio.CancelScope()
    endpoint.script([Kills(scope.cancel, "before"), Kills(lambda: scope.cancel(), "after")])
    async with served(endpoint) as tools:
        with scope:
            await ask(tools, a_spec("book", endpoint.url))
        assert scope.cancelled_caught
        assert sum(endpoint.effects.values()) == 0
        scope = trio.CancelScope()
        with scope:
            await ask(tools, a_spec("book", endpoint.url))
        assert scope.cancelled_caught
        assert sum(endpoint.effects.values()) == 1
        await ask(tools, a_spec("book", endpoint.url))
    assert list(endpoint.effects.values()) == [1]
    assert len(endpoint.requests) == 3


# --- storms ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["book", "write"])
async def test_two_hundred_duplicates_through_executors_are_one_effect_each_and_all_answered(name: str) -> None:
    """Five meanings, four executors of one call on one ledger, calls cancelled at random.

    The endpoint does as it is told every time, so that only we keep it at one.
    """
    rng = random.Random(7)
    endpoint = an_endpoint(idempotent=False, works_s=0.05)
    world = World()
    asked: Counter[str] = Counter()
    answered: Counter[str] = Counter()
    async with served(endpoint) as tools:
        tenant, offers = a_tenant(endpoint.url), catalog(tools)

        async def one_executor(leg: int) -> None:
            async with a_room(world, tenant=tenant, catalog=offers) as room:
                await ask_all(room, leg)
                for result in await room.close():
                    answered[result.call_id] += 1
                    assert result.response["status"] == "ok" or result.response == answers.STOPPED

        async def ask_all(room: Room, leg: int) -> None:
            for n in range(50):
                call_id = f"{leg} {n}"
                asked[call_id] += 1
                await room.ask(call_id, name, what=f"{rng.choice(('Ann', ' ANN'))} {n % 5}")
                if rng.random() < 0.3:
                    await trio.sleep(rng.random() * 0.01)
                    await room.cancel(call_id)

        async with trio.open_nursery() as nursery:
            for leg in range(4):
                nursery.start_soon(one_executor, leg)
    assert sum(asked.values()) == 200
    assert answered == asked
    assert sorted(endpoint.effects.values()) == [1] * 5
    assert endpoint.faults == []


async def test_two_hundred_requests_of_a_few_keys_at_once_are_one_effect_each() -> None:
    """Past the ledger, as after a worker's death: what the key alone must hold; the endpoint loses answers besides."""
    rng = random.Random(7)
    endpoint = an_endpoint(works_s=0.02)
    endpoint.script(rng.choice((Fine(), Fine(), Fine(), LosesAnswer(), Fails(503, done=True))) for _ in range(200))
    outcomes: Counter[str] = Counter()
    before = open_sockets()
    async with served(endpoint) as tools:
        spec = a_spec("book", endpoint.url, timeout_s=20, idempotent=True, retries=5)

        async def one(n: int) -> None:
            outcomes[(await ask(tools, spec, f"{n % 5}" * 32, what=f"{n % 5}"))["status"]] += 1

        async with trio.open_nursery() as nursery:
            for n in range(200):
                nursery.start_soon(one, n)
    assert outcomes == {"ok": 200}
    assert sorted(endpoint.effects.items()) == [(f"{n}" * 32, 1) for n in range(5)]
    assert len(endpoint.requests) == 200 + tools.statistics().repeated
    assert tools.statistics().repeated > 50
    assert endpoint.faults == []
    assert open_sockets() == before


@pytest.mark.parametrize("seed", range(3))
async def test_in_a_storm_of_moods_every_call_is_answered_once_and_nothing_is_done_twice(seed: int) -> None:
    rng = random.Random(seed)
    moods: list[ToolMood] = [Fine(), LosesAnswer(), Drops(), Fails(), Fails(502, done=True), Garbage(), Garbage("deep")]
    moods += [Redirects("http://10.0.0.1/"), Slow(0.05), TooMany(None), Huge(200_000)]
    endpoints: dict[str, ToolEndpoint] = {"book": an_endpoint(), "write": an_endpoint(idempotent=False)}
    world = World()
    asked: Counter[str] = Counter()
    async with served(endpoints["book"]) as tools, served(endpoints["write"]):
        specs = tuple(
            a_spec(name, endpoint.url, timeout_s=3, idempotent=name == "book") for name, endpoint in endpoints.items()
        )
        tenant = TENANT.model_copy(update={"tools": specs})
        for endpoint in endpoints.values():
            endpoint.script(rng.choice(moods) for _ in range(60))
        async with a_room(world, tenant=tenant, catalog=catalog(tools)) as room:
            for n in range(80):
                name = rng.choice(("book", "write"))
                call_id = f"{name} {n}"
                asked[call_id] += 1
                await room.ask(call_id, name, what=f"w{rng.randrange(20)}")
                if rng.random() < 0.3:
                    await room.cancel(call_id)
                await trio.sleep(rng.random() * 0.02)
            results = await room.close()
        assert Counter(result.call_id for result in results) == asked
    assert {result.response["status"] for result in results} <= {"ok", "error", "refused"}
    for endpoint in endpoints.values():
        assert set(endpoint.effects.values()) == {1}
        assert endpoint.faults == []
