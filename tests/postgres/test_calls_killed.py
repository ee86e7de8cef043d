"""One effect for one key, counted by a real endpoint: through ``kill -9`` at every point, and through a storm."""

import itertools
import random
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import orjson
import pytest
import trio

from engine.sim.tool_endpoint import Answer, ToolEndpoint
from engine.sim.tool_moods import Kills, ToolMood
from engine.sim.tool_requests import ToolRequest
from engine.store.database import Database
from engine.store.postgres_ledger import open_ledger
from engine.store.postgres_store import PostgresStore
from engine.tools import answers, executor
from tests.postgres.tool_worker import Dies, Orders
from tests.tools.http_room import a_tenant, an_endpoint, catalog, served
from tests.tools.room import Room, World, a_room

pytestmark = pytest.mark.real_time

ROOT = Path(__file__).parents[2]
POINTS = ("before_effect", "after_effect", "before_result", "after_result")
CASES = tuple(itertools.product(POINTS, ("book", "write")))
PATIENCE_S = 60.0
PATIENT_S = 30.0  # four hundred claims at once are seconds of a busy machine


class Worker:
    """The process; ``kill`` is ``kill -9``."""

    def __init__(self) -> None:
        self._process: trio.Process | None = None

    def kill(self) -> None:
        """At once."""
        assert self._process is not None
        self._process.kill()

    async def run(self, *orders: Orders) -> tuple[int, Any]:
        """From its start to its end: exit status (-9 where it was killed), and the answers that it got to say."""
        told = orjson.dumps([asdict(order) for order in orders]).decode()
        command = [sys.executable, "-m", "tests.postgres.tool_worker", told]
        said = b""
        with trio.fail_after(PATIENCE_S):
            async with trio.open_nursery() as nursery:
                self._process = await nursery.start(_start, command)
                assert self._process.stdout is not None
                async for part in self._process.stdout:
                    said += bytes(part)
        status = self._process.returncode
        assert status is not None
        return status, orjson.loads(said) if said else None


async def _start(command: list[str], task_status: trio.TaskStatus[trio.Process]) -> None:
    await trio.run_process(command, capture_stdout=False, stdout=-1, check=False, cwd=ROOT, task_status=task_status)


def numbered() -> Callable[[ToolRequest], Answer]:
    """The work of an endpoint whose every effect can be told from the others."""
    numbers = itertools.count(1)
    return lambda _: {"status": "ok", "message": "Done.", "data": {"number": next(numbers)}}


async def killed(point: str, endpoint: ToolEndpoint, orders: Orders) -> None:
    """A worker serves the call and is killed there."""
    worker = Worker()
    moods: dict[str, ToolMood] = {
        "before_effect": Kills(worker.kill, "before"),
        "after_effect": Kills(worker.kill, "after"),
    }
    endpoint.script([moods[point]] if point in moods else [])
    assert await worker.run(orders) == (-9, None), "the worker was not killed"
    assert len(endpoint.requests) == 1
    assert sum(endpoint.effects.values()) == (0 if point == "before_effect" else 1)


async def test_a_worker_killed_at_any_point_leaves_no_effect_twice_and_none_forgotten(
    database: Database, url: str
) -> None:
    """Eight workers die, each at its point; one takes all their calls up, and waits their leases out in real time."""
    endpoints = {case: an_endpoint(idempotent=case[1] == "book", answer=numbered()) for case in CASES}
    orders: dict[tuple[str, str], Orders] = {}
    async with AsyncExitStack() as stack:
        for point, tool in CASES:
            await stack.enter_async_context(served(endpoints[point, tool]))
            orders[point, tool] = Orders(url, endpoints[point, tool].url, tool, f"CA-{point}-{tool}")
        async with trio.open_nursery() as nursery:
            for (point, tool), order in orders.items():
                dies: dict[str, Dies] = {"before_result": "before_result", "after_result": "after_result"}
                nursery.start_soon(killed, point, endpoints[point, tool], replace(order, dies=dies.get(point, "")))
        status, said = await Worker().run(*orders.values())
        assert status == 0
    came = {case: (endpoints[case], said[order.call_sid]) for case, order in orders.items()}

    done = answers.ok("Done.", data={"number": 1})
    for point in POINTS:
        endpoint, (first, again) = came[point, "book"]
        assert first == [done, point == "after_result"], point
        assert again == [done, True], point
        assert list(endpoint.effects.values()) == [1], point
        assert len({request.key for request in endpoint.requests}) == 1
        assert endpoint.faults == []

        endpoint, (first, again) = came[point, "write"]
        expected = done if point == "after_result" else answers.CALL_BACK
        assert first == [expected, point == "after_result"], point
        assert again == [expected, True], point
        assert len(endpoint.requests) == 1, "never run again"
        assert list(endpoint.effects.values()) == ([] if point == "before_effect" else [1]), point

    tasks = await PostgresStore(database).follow_ups("acme")
    assert sorted(task.call_sid for task in tasks) == sorted(f"CA-{point}-write" for point in POINTS[:3])
    assert all(task.kind == "task" and "an earlier attempt never came back" in task.text for task in tasks)


@pytest.mark.parametrize("cancelled", [False, True])
async def test_400_duplicates_at_once_are_one_effect_for_each_key(
    database: Database, cancelled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight executors, five meanings. The endpoint does as it is told: only the ledger keeps it at one."""
    monkeypatch.setattr(executor, "BOOKKEEPING_S", PATIENT_S)
    rng = random.Random(7)
    endpoint = an_endpoint(idempotent=False, works_s=0.1)
    asked: Counter[str] = Counter()
    heard: Counter[str] = Counter()
    said: dict[str, set[str]] = {}
    async with served(endpoint) as tools, open_ledger(database) as ledger:
        world = World(ledger=ledger)

        async def ask_all(room: Room, leg: int) -> None:
            for number in range(50):
                call_id = f"{leg}-{number}"
                asked[call_id] += 1
                await room.ask(call_id, "write", what=f"{rng.choice(('Ann', ' ANN'))} {number % 5}")
                if cancelled and rng.random() < 0.3:
                    await trio.sleep(rng.random() * 0.01)
                    await room.cancel(call_id)

        async def one_executor(leg: int) -> None:
            patient = a_tenant(endpoint.url, timeout_s=PATIENT_S)
            async with a_room(world, tenant=patient, catalog=catalog(tools)) as room:
                await ask_all(room, leg)
                for result in await room.close():
                    heard[result.call_id] += 1
                    if result.response != answers.STOPPED:
                        meaning = str(int(result.call_id.partition("-")[2]) % 5)
                        said.setdefault(meaning, set()).add(orjson.dumps(dict(result.response)).decode())

        async with trio.open_nursery() as nursery:
            for leg in range(8):
                nursery.start_soon(one_executor, leg)
    assert sum(asked.values()) == 400
    assert heard == asked
    assert sorted(endpoint.effects.values()) == [1] * 5
    assert len(endpoint.requests) == 5
    assert endpoint.faults == []
    assert {meaning: len(answer) for meaning, answer in said.items()} == {str(n): 1 for n in range(5)}
    assert await world.store.follow_ups("acme") == []
