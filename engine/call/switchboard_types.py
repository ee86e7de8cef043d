"""What the switchboard says about calls: pure values, known to the gateway and to the switchboard alike."""

from dataclasses import dataclass
from enum import StrEnum


class Admission(StrEnum):
    """May one more call of this tenant be taken now?"""

    ADMITTED = "admitted"
    FULL = "full"  # the worker serves as many calls as it may
    TENANT_FULL = "tenant_full"  # the tenant has as many calls as it may
    TENANT_RATE = "tenant_rate"  # the tenant's calls come faster than they may
    TENANT_MINUTES = "tenant_minutes"  # the tenant's minutes of this day or month are used up
    DRAINING = "draining"  # the worker takes no new calls
    OVERLOADED = "overloaded"  # the worker's clock is late: one more call would be heard by all others
    MEMORY = "memory"  # the process is as large as it may be


class EndState(StrEnum):
    """How a call stands, judged by its CallSid; decides what the carrier is told when a stream has ended."""

    ENDED = "ended"  # on purpose, by us or by the caller: hang up
    TRANSFERRING = "transferring"  # the carrier has been told to put it through: nothing to do
    LIVE = "live"  # a line of it is being served now (a call that only rings is UNKNOWN)
    LOST = "lost"  # its line broke and nobody meant it to: recover
    UNKNOWN = "unknown"  # never served here, or forgotten: recover


@dataclass(frozen=True, slots=True)
class CallSnapshot:
    """One live call, for the health page.

    Attributes:
        floor: who may speak, a ``Floor`` value.
        age_s: seconds since its line was taken.
        queues: messages waiting, by channel name.
        actors: the actors of its tree that run now.
    """

    call_sid: str
    tenant_id: str
    floor: str
    age_s: float
    attempt: int = 0
    queues: tuple[tuple[str, int], ...] = ()
    actors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SwitchboardStatistics:
    """A snapshot of all calls of this worker."""

    calls_now: int
    capacity: int
    draining: bool
    calls: tuple[CallSnapshot, ...] = ()


@dataclass(frozen=True, slots=True)
class CarrierRecording:
    """A message that the carrier recorded while the static script ran; the sound stays with the carrier.

    Attributes:
        url: where the carrier keeps it (WAV; ``.mp3`` appended gives MP3); fetching may need the account's credentials.
        duration_s: None where the carrier did not say.
    """

    call_sid: str
    tenant_id: str
    caller: str
    recording_sid: str
    url: str
    duration_s: float | None
