"""A back office that shows any number of calls, of which there is not one: for the page itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import trio

from engine.backoffice.app import serve_backoffice
from engine.backoffice.live import Board, GatewayState, Live
from engine.backoffice.office import Office
from engine.server.app import listen
from tests.backoffice.test_live import PAGE, call


class ManyCalls(Live):
    """A gateway with so many calls, all of which change every second."""

    def __init__(self, calls: int) -> None:
        self.calls, self.looks = calls, 0

    async def board(self) -> Board:
        self.looks += 1
        kinds: tuple[dict[str, Any], ...] = (
            {},
            {"floor": "script"},
            {"response_ms": 2500},
            {"faults": {"model_lost": 1}},
        )
        rows = {
            f"CA{n:032d}": call(
                call_sid=f"CA{n:032d}",
                caller=f"+1555{n:07d}",
                turn=self.looks,
                queues={},
                worker="worker-0",
                gateway="http://gateway-a:9100",
                since=1_700_000_000.0 + n,
                **kinds[n % 20] if n % 20 < len(kinds) else {},
            )
            for n in range(self.calls)
        }
        state = {name: PAGE[name] for name in ("worker", "status", "parts")}
        state["parts"] = {**state["parts"], "clock": "late"}
        loop = {
            "lag_p90_ms": 31.0 + self.looks,
            "lag_max_ms": 40.0,
            "late_p99_ms": 2.0,
            "memory_mib": 300.0,
            "faults": 0.0,
        }
        gateway = GatewayState("http://gateway-a:9100", now=self.calls, capacity=600, loop=loop, **state)
        return Board((gateway, GatewayState("http://gateway-b:9100", away="connection refused")), rows)


@asynccontextmanager
async def shown(office: Office, calls: int) -> AsyncIterator[str]:
    """The back office with so many calls."""
    async with trio.open_nursery() as nursery:
        stop = trio.Event()
        yield await nursery.start(serve, replace(office, live=ManyCalls(calls)), stop)
        stop.set()
        nursery.cancel_scope.cancel()


async def serve(office: Office, stop: trio.Event, *, task_status: trio.TaskStatus[str]) -> None:
    async with trio.open_nursery() as nursery:
        listener = listen("127.0.0.1:0")
        serving = await nursery.start(
            lambda task_status: serve_backoffice(office, shutdown=stop, listener=listener, task_status=task_status)
        )
        task_status.started(serving.url)
