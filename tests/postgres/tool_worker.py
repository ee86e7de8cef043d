"""A worker that can be killed: tool executors over PostgreSQL and HTTP, one for each call, in a process of their own.

    python -m tests.postgres.tool_worker '[{"url": ..., "endpoint": ..., "tool": ..., "call_sid": ...}, ...]'

In each call the tool is asked for twice, the second time under another id, as a model does after a recovery. Prints the
answers by call as one line of JSON, and ends. Where it is told to, it kills itself at the result, in the two places
that no endpoint can see.
"""

import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import orjson
import trio

from engine.messages import FloorEvent, ToolCall, ToolCallsCancelled, ToolResult
from engine.store.database import DatabaseConfig, open_database
from engine.store.diary import MemoryDiary
from engine.store.ledger import EffectKey, Ledger, Response
from engine.store.postgres_ledger import open_ledger
from engine.store.postgres_store import PostgresStore
from engine.tools.catalog import Catalog
from engine.tools.context import ToolContext
from engine.tools.executor import run_tool_executor
from engine.tools.http_tool import open_http_tools
from tests.tools.http_room import SECRETS, a_tenant
from tests.tools.room import NOW, Control

TIMEOUT_S = 1.0
Dies = Literal["", "before_result", "after_result"]


@dataclass(frozen=True, slots=True)
class Orders:
    """What a worker is told. ``tool``: ``book`` is declared idempotent, ``write`` is not."""

    url: str
    endpoint: str
    tool: str
    call_sid: str
    dies: Dies = ""


class MortalLedger:
    """A ledger whose process ends at the result, in the way of ``kill -9``."""

    def __init__(self, inner: Ledger, dies: Dies) -> None:
        self._inner, self._dies = inner, dies
        self.claim, self.abandon = inner.claim, inner.abandon
        self.wait_settled, self.forget_call = inner.wait_settled, inner.forget_call

    async def finish(self, key: EffectKey, attempt: str, response: Response) -> bool:
        if self._dies == "before_result":
            os.kill(os.getpid(), signal.SIGKILL)
        done = await self._inner.finish(key, attempt, response)
        if self._dies == "after_result":
            os.kill(os.getpid(), signal.SIGKILL)
        return done


async def work(orders: list[Orders]) -> dict[str, list[ToolResult]]:
    """All calls at once; both answers of each, in order."""
    came: dict[str, list[ToolResult]] = {}
    async with (
        open_database(DatabaseConfig(orders[0].url, Path("unused"))) as database,
        open_ledger(database) as ledger,
        open_http_tools(SECRETS, allow_private=True) as http,
        trio.open_nursery() as nursery,
    ):
        catalog, follow_ups = Catalog((), http), PostgresStore(database)

        async def one(order: Orders) -> None:
            context = ToolContext(
                tenant=a_tenant(order.endpoint, timeout_s=TIMEOUT_S),
                call_sid=order.call_sid,
                caller="+15550100199",
                control=Control(),
                follow_ups=follow_ups,
                diary=MemoryDiary(),
                now=lambda: NOW,
            )
            came[order.call_sid] = await ask_twice(order, context, catalog, MortalLedger(ledger, order.dies))

        for order in orders:
            nursery.start_soon(one, order)
    return came


async def ask_twice(orders: Orders, context: ToolContext, catalog: Catalog, ledger: Ledger) -> list[ToolResult]:
    """One after the other."""
    results: list[ToolResult] = []
    send, calls = trio.open_memory_channel[ToolCall | ToolCallsCancelled](2)
    inbox, hear = trio.open_memory_channel[FloorEvent](10)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(
            lambda: run_tool_executor(
                tenant=context.tenant,
                call_sid=orders.call_sid,
                calls=calls,
                inbox=inbox,
                catalog=catalog,
                ledger=ledger,
                context=context,
            )
        )
        async with send, hear:
            for call_id in ("first", "again"):
                arguments = {"what": "a table for two"}
                await send.send(ToolCall(context.tenant.id, orders.call_sid, 1, call_id, orders.tool, arguments))
                async for event in hear:
                    if isinstance(event, ToolResult):
                        results.append(event)
                        break
    return results


def main() -> None:
    """See the module."""
    came = trio.run(work, [Orders(**order) for order in orjson.loads(sys.argv[1])])
    said = {sid: [(dict(one.response), one.deduplicated) for one in results] for sid, results in came.items()}
    sys.stdout.write(orjson.dumps(said).decode())


if __name__ == "__main__":
    main()
