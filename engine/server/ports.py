"""What the gateway needs from below: the switchboard as a protocol, and all dependencies in one frozen record."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from engine.call.switchboard_types import Admission, CarrierRecording, EndState, SwitchboardStatistics
from engine.config import Settings
from engine.metrics import Metrics
from engine.telephony.line import MediaLine
from engine.telephony.plane import MediaPlane
from engine.tenants.directory import Directory
from engine.tenants.tenant import Tenant
from engine.wire.stream_token import StreamClaims, StreamTokens
from engine.wire.twilio_media import Start


class Switchboard(Protocol):
    """All calls of this worker. Plain methods return at once and never raise for what a carrier may send."""

    def admission(self, tenant: Tenant) -> Admission:
        """May one more call of this tenant be taken now?"""

    async def take_line(self, line: MediaLine, start: Start, tenant: Tenant, claims: StreamClaims) -> None:
        """Run the whole call; return when it is over. Never raises for call failures."""

    def end_reason(self, call_sid: str) -> EndState:
        """How this call stands."""

    def note_attempt(self, call_sid: str) -> int:
        """Count one more recovery of this call, of which ``ring`` has told; the first is 1."""

    def carrier_says_ended(self, call_sid: str, why: str) -> None:
        """The carrier told us by another way that this call's line is over: end it if it still hangs.

        ``why`` begins with ``call status`` where the call itself is over; else the call goes on, on a new line.
        """

    def ring(self, call_sid: str, tenant_id: str, caller: str, called: str) -> None:
        """A call is coming, or is coming back; its line follows within the token's lifetime, or not at all.

        Safe to repeat; a call that is known stays as it is.
        """

    def begin_drain(self) -> None:
        """Admit no more calls; the live ones go on. Safe to repeat."""

    def statistics(self) -> SwitchboardStatistics:
        """A snapshot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """What the gateway is made of; built in the composition root (or by a test) and handed down.

    Attributes:
        plane: not yet running; ``serve_gateway`` runs it.
        keep_recording: takes the word of a message that the carrier recorded; must not block.
    """

    settings: Settings
    directory: Directory
    switchboard: Switchboard
    plane: MediaPlane
    tokens: StreamTokens
    metrics: Metrics
    keep_recording: Callable[[CarrierRecording], None]

    @property
    def auth_tokens(self) -> tuple[str, ...]:
        """Keys that may have signed the carrier's requests; none configured means that every one is refused."""
        token = self.settings.twilio_auth_token
        return (token.get_secret_value(),) if token is not None and token.get_secret_value() else ()
