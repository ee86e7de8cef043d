"""A worker that can be killed: one tool executor over PostgreSQL and HTTP, serving one call, as a process of its own.

    python -m tests.postgres.tool_worker '{"url": ..., "endpoint": ..., "tool": ..., "call_sid": ..., ...}'

It asks for the tool twice, the second time under another id, as a model does after a recovery; prints both answers as
one line of JSON; and ends. Where it is told to, it kills itself at the ledger, the two places no endpoint can see.
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
from engine.store.postgres_ledger import PostgresLedger, open_ledger
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


class MortalLedger(PostgresLedger):
    """Ends its process at the result, in the way of ``kill -9``."""

    dies: Dies = ""

    async def finish(self, key: EffectKey, attempt: str, response: Response) -> bool:
        if self.dies == "before_result":
            os.kill(os.getpid(), signal.SIGKILL)
        done = await super().finish(key, attempt, response)
        if self.dies == "after_result":
            os.kill(os.getpid(), signal.SIGKILL)
        return done


async def work(orders: Orders) -> list[ToolResult]:
    """Both answers, in order."""
    tenant = a_tenant(orders.endpoint, timeout_s=TIMEOUT_S)
    async with (
        open_database(DatabaseConfig(orders.url, Path("unused"), max_connections=2)) as database,
        open_ledger(database) as ledger,
        open_http_tools(SECRETS, allow_private=True) as http,
    ):
        context = ToolContext(
            tenant=tenant,
            call_sid=orders.call_sid,
            caller="+15550100199",
            control=Control(),
            follow_ups=PostgresStore(database),
            diary=MemoryDiary(),
            now=lambda: NOW,
        )
        mortal = MortalLedger(database)
        mortal.dies = orders.dies
        mortal._waiting = ledger._waiting
        return await ask_twice(orders, context, Catalog((), http), mortal)


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


if __name__ == "__main__":
    came = trio.run(work, Orders(**orjson.loads(sys.argv[1])))
    sys.stdout.write(orjson.dumps([[dict(one.response), one.deduplicated] for one in came]).decode())
