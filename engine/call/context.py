"""What the floor's holders of one call share."""

from dataclasses import dataclass, field

import trio

from engine.call.channels import FloorEnds
from engine.call.desk import CallDesk
from engine.call.lineup import Lineup
from engine.call.record import CallRecord
from engine.call.services import Services
from engine.messages import FloorEvent
from engine.recording.recorder import Recorder
from engine.tenants.tenant import Tenant
from engine.tools.context import ToolContext


@dataclass(slots=True)
class CallContext:
    """What the floor's holders of one call share."""

    tenant: Tenant
    record: CallRecord
    services: Services
    desk: CallDesk
    ends: FloorEnds
    inbox_send: trio.MemorySendChannel[FloorEvent]
    recorder: Recorder | None = None
    lineup: Lineup = field(init=False)

    def __post_init__(self) -> None:
        offered = self.services.providers
        # Each model's own other endpoint comes before the tenant's next model.
        names = [name for model in self.tenant.models for name in (model, f"{model}-backup")]
        self.lineup = Lineup([offered[name] for name in names if name in offered], self.services.circuits)

    def note(self, what: str, text: str = "", **facts: object) -> None:
        """Add to the call's timeline, now."""
        self.record.note(trio.current_time(), what, text, **facts)

    def tool_context(self) -> ToolContext:
        """What this call's tools are given."""
        return ToolContext(
            tenant=self.tenant,
            call_sid=self.record.call_sid,
            caller=self.record.caller,
            control=self.desk,
            follow_ups=self.services.follow_ups,
            diary=self.services.diary,
            now=self.services.wall_clock,
            recording=self.recorder,
        )
