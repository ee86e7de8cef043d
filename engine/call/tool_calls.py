"""The tool calls of one model session: passed to the executor, and answered to the model that asked, once."""

import math

from engine.call.channels import Filler, FloorEnds
from engine.call.record import CallRecord
from engine.call.session_link import SessionLink
from engine.fallback.prompts import Prompts
from engine.messages import ToolCall, ToolCallRequested, ToolCallsCancelled, ToolResult, ToolStarted
from engine.tenants.tenant import Tenant

COMPANY_S = 3.5  # a wait that was announced may last so long, as in the script, until it is announced again
BYTES_PER_S = 8000


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
        prompts: Prompts,
        filler: Filler,
    ) -> None:
        self._tenant = tenant
        self._record = record
        self._ends = ends
        self._link = link
        self._prompts = prompts
        self._filler = filler
        self.pending: set[str] = set()
        self._asked: set[str] = set()
        self.company_at = math.inf  # when ``keep_company`` has something to say
        self._company_kept = 0

    async def on_event(
        self, event: ToolCallRequested | ToolCallsCancelled | ToolStarted | ToolResult, turn_id: int, now: float
    ) -> None:
        """Take one event of the model or of the executor."""
        match event:
            case ToolCallRequested(call_id, name, arguments):
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
                mulaw = self._prompts.fillers.get(text, b"")
                self._filler.say(text, mulaw)
                if mulaw and self.pending:
                    self.company_at = now + len(mulaw) / BYTES_PER_S + COMPANY_S
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
                    await self._link.send(event)
        if not self.pending:
            self.company_at = math.inf

    def forget_session(self) -> None:
        """Another session serves now: it asked for none of these."""
        self._asked.clear()

    def keep_company(self, now: float, *, aloud: bool) -> None:
        """What was asked for takes its time: say that we are still there, unless the caller is speaking."""
        number = self._company_kept % len(self._prompts.company)
        mulaw = self._prompts.company[number]
        if not aloud or self._ends.agent_sounding():
            self.company_at = now + 1.0
            return
        self._company_kept += 1
        self._filler.say(self._tenant.script.company[number], mulaw)
        self.company_at = now + len(mulaw) / BYTES_PER_S + COMPANY_S
