"""Which calls are recorded, and what a recorder is given of a call. The recording itself is ``engine/recording``.

Consent is what the caller has heard of the sentence, whoever said it: the model, or the script where no model greeted.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from engine.call.record import CallRecord
from engine.metrics import Metrics
from engine.recording.consent import was_heard
from engine.recording.recorder import Recorded, Recorder, tools_done
from engine.recording.writer import RecordingWriter
from engine.tenants.tenant import Tenant

FIRST_LOOKED_AT = 10  # the consent is said with the greeting; of a call that comes back, long ago
LAST_LOOKED_AT = 4  # where the greeting was lost, by whoever went on


@dataclass(frozen=True, slots=True)
class Recordings:
    """Shared by all calls of a process. ``writer`` is None where nothing can be sealed: then nothing is recorded."""

    writer: RecordingWriter | None
    metrics: Metrics
    wall_clock: Callable[[], datetime]

    def recorder(self, tenant: Tenant, record: CallRecord, held_s: Callable[[], float]) -> Recorder | None:
        """For the line that has just been taken; None where the tenant does not record its calls.

        Args:
            held_s: seconds of our sound that the carrier holds and has not played yet.
        """
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
            held_s=held_s,
            tools_done=lambda: tools_done(record.timeline),
            wall_clock=self.wall_clock,
        )
        return Recorder(recorded, self.writer, lambda fate: self.metrics.recordings.labels(fate).inc())


def consent_owed(tenant: Tenant, record: CallRecord) -> str:
    """The sentence that the caller has to be told still; empty where they were, or nothing is recorded."""
    sentence = tenant.recording_consent
    return sentence if tenant.recording.enabled and not was_heard(sentence, _said(record)) else ""


def _said(record: CallRecord) -> Iterable[str]:
    """What is known to have been heard: of what is on its way now nobody can say yet."""
    spoken = [one for one in record.utterances if one.role != "caller" and one.settled]
    return (one.heard for one in (*spoken[:FIRST_LOOKED_AT], *spoken[FIRST_LOOKED_AT:][-LAST_LOOKED_AT:]))
