"""The tool calls of one model session: passed to the executor, and answered to the model that asked, once."""

import trio

from engine.call.channels import Filler, FloorEnds
from engine.call.record import CallRecord
from engine.fallback.prompts import Prompts
from engine.messages import ToolCall, ToolCallRequested, ToolCallsCancelled, ToolResult, ToolStarted, Uplink
from engine.tenants.tenant import Tenant


class ToolCalls:
    """Which calls this session asked for, and which of them it still waits for.

    A provider refuses answers that it did not ask for, so a result for an earlier session's call stays here; one for a
    cancelled call goes up all the same, because the model should know what was done (the stream finds a way to say it).
    """

    def __init__(
        self,
        tenant: Tenant,
        record: CallRecord,
        ends: FloorEnds,
        uplink: trio.MemorySendChannel[Uplink],
        prompts: Prompts,
        filler: Filler,
    ) -> None:
        self._tenant = tenant
        self._record = record
        self._ends = ends
        self._uplink = uplink
        self._prompts = prompts
        self._filler = filler
        self.pending: set[str] = set()
        self._asked: set[str] = set()

    async def on_event(
        self, event: ToolCallRequested | ToolCallsCancelled | ToolStarted | ToolResult, turn_id: int, now: float
    ) -> None:
        """Take one event of the model or of the executor."""
        match event:
            case ToolCallRequested(call_id, name, arguments):
                self.pending.add(call_id)
                self._asked.add(call_id)
                self._record.note(now, "tool_call", name, arguments=dict(arguments), call_id=call_id)
                await self._ends.tool_calls.send(
                    ToolCall(self._tenant.id, self._record.call_sid, turn_id, call_id, name, arguments)
                )
            case ToolCallsCancelled(call_ids):
                self.pending.difference_update(call_ids)
                await self._ends.tool_calls.send(event)
            case ToolStarted(filler=text):
                self._filler.say(text, self._prompts.fillers.get(text, b""))
            case ToolResult(call_id, name):
                self._record.note(
                    now,
                    "tool_result",
                    name,
                    deduplicated=event.deduplicated,
                    ms=round(event.took_ms),
                    response=dict(event.response),
                )
                self.pending.discard(call_id)
                if call_id in self._asked:
                    await self._uplink.send(event)
