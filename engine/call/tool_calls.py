"""The tool calls of one model session: passed to the executor, and answered to the model that asked, once."""

import math

from engine.call.channels import FloorEnds
from engine.call.company import Company
from engine.call.record import CallRecord
from engine.call.session_link import SessionLink
from engine.messages import ToolCall, ToolCallRequested, ToolCallsCancelled, ToolResult, ToolStarted
from engine.tenants.tenant import Tenant

COMPANY_S = 3.5  # a wait that was announced may last so long, as in the script, until it is announced again


class ToolCalls:
    """Which calls this session asked for, and which of them it still waits for; keeps the caller company meanwhile.

    A provider refuses answers that it did not ask for, so a result for an earlier session's call stays here; one for a
    cancelled call goes up all the same, because the model should know what was done (the stream finds a way to say it).
    """

    def __init__(
        self,
        tenant: Tenant,
        record: CallRecord,
        ends: FloorEnds,
        link: SessionLink,
        company: Company,
    ) -> None:
        self._tenant = tenant
        self._record = record
        self._ends = ends
        self._link = link
        self._company = company
        self.pending: set[str] = set()
        self._asked: set[str] = set()
        self.company_at = math.inf  # when ``keep_company`` has something to say

    async def on_event(
        self, event: ToolCallRequested | ToolCallsCancelled | ToolStarted | ToolResult, turn_id: int, now: float
    ) -> None:
        """Take one event of the model or of the executor."""
        match event:
            case ToolCallRequested(call_id, name, arguments):
                self._record.use.tool_calls += 1
                self.pending.add(call_id)
                self._asked.add(call_id)
                self.company_at = min(self.company_at, now + self._tenant.timing.filler_after_ms / 1000)
                self._record.note(now, "tool_call", name, arguments=dict(arguments), call_id=call_id)
                await self._ends.tool_calls.send(
                    ToolCall(self._tenant.id, self._record.call_sid, turn_id, call_id, name, arguments)
                )
            case ToolCallsCancelled(call_ids):
                self.pending.difference_update(call_ids)
                await self._ends.tool_calls.send(event)
            case ToolStarted(filler=text):
                said_s = self._company.say_prompt(text)
                if said_s and self.pending:
                    self.company_at = now + said_s + COMPANY_S
            case ToolResult(call_id, name):
                self._record.use.tool_answered(name, event.response, deduplicated=event.deduplicated)
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
                    await self._link.send(event)
        if not self.pending:
            self.company_at = math.inf

    def forget_session(self) -> None:
        """Another session serves now: it asked for none of these."""
        self._asked.clear()

    def keep_company(self, now: float, *, aloud: bool) -> None:
        """What was asked for takes its time: say that we are still there, unless the caller is speaking."""
        said_s = self._company.still_there() if aloud else 0.0
        self.company_at = now + (said_s + COMPANY_S if said_s else 1.0)
