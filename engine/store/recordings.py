"""Which recordings of calls there are; their sound is in sealed files (``engine/recording``)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Recording:
    """One line of one call.

    Attributes:
        part: the number of the line within the call, from 0.
        started_at: ISO 8601 with offset.
        bytes: of the file.
    """

    tenant_id: str
    call_sid: str
    part: int
    caller: str
    started_at: str
    duration_ms: int
    bytes: int
