"""Which calls are recorded, and what a recorder is given of a call. The recording itself is ``engine/recording``."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from engine.call.record import CallRecord
from engine.metrics import Metrics
from engine.recording.recorder import Recorded, Recorder, tools_done
from engine.recording.writer import RecordingWriter
from engine.tenants.tenant import Tenant

UTTERANCES_LOOKED_AT = 10  # the consent is said with the greeting; of a call that comes back, long ago


@dataclass(frozen=True, slots=True)
class Recordings:
    """Shared by all calls of a process. ``writer`` is None where nothing can be sealed: then nothing is recorded."""

    writer: RecordingWriter | None
    metrics: Metrics
    wall_clock: Callable[[], datetime]

    def recorder(self, tenant: Tenant, record: CallRecord, agent_sounding: Callable[[], bool]) -> Recorder | None:
        """For the line that has just been taken; None where the tenant does not record its calls."""
        if not tenant.recording.enabled:
            return None
        if self.writer is None:
            self.metrics.recordings.labels("no_key").inc()
            return None
        # A call that comes back on another line goes on in another part.
        part = next((int(one.facts.get("attempt", 0)) for one in reversed(record.timeline) if one.kind == "line"), 0)
        recorded = Recorded(
            tenant_id=tenant.id,
            call_sid=record.call_sid,
            part=part,
            caller=record.caller,
            consent=tenant.recording_consent,
            said=lambda: _said(record),
            silent=lambda: not agent_sounding(),
            tools_done=lambda: tools_done(record.timeline),
            wall_clock=self.wall_clock,
        )
        return Recorder(recorded, self.writer, lambda fate: self.metrics.recordings.labels(fate).inc())


def _said(record: CallRecord) -> Iterable[str]:
    spoken = (one for one in record.utterances if one.role == "agent")
    return (one.heard for one in islice(spoken, UTTERANCES_LOOKED_AT))
