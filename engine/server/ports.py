"""What the gateway needs from below: the switchboard as a protocol, and all dependencies in one frozen record."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from engine.call.oversight import Oversight
from engine.call.switchboard_types import Admission, CarrierRecording, EndState, SwitchboardStatistics
from engine.config import Settings
from engine.metrics import Metrics
from engine.server.loop_lag import LoopLag
from engine.store.live_calls import ClaimRefused
from engine.telephony.line import MediaLine
from engine.telephony.plane import MediaPlane
from engine.tenants.directory import Directory
from engine.tenants.tenant import Tenant
from engine.wire.stream_token import StreamClaims, StreamTokens
from engine.wire.twilio_media import Start


class Switchboard(Protocol):
    """All calls of this worker. Plain methods return at once and never raise for what a carrier may send."""

    def admission(self, tenant: Tenant, *, call_sid: str = "", recovery: bool = False) -> Admission:
        """May one more call of this tenant be taken now?

        Args:
            call_sid: of a call that is taken if it may be: it has its place from here on, while its token lives.
            recovery: it is in progress, and has lost its stream: no quota of its tenant is held against it.
        """

    async def take_line(self, line: MediaLine, start: Start, tenant: Tenant, claims: StreamClaims) -> None:
        """Run the whole call; return when it is over. Never raises for call failures."""

    def end_reason(self, call_sid: str) -> EndState:
        """How this call stands."""

    async def look_up(self, call_sid: str, tenant_id: str, *, within_s: float, patient: bool = True) -> None:
        """Learn how a call stands that another worker may serve, or have served, for ``end_reason`` to say.

        Args:
            within_s: how long that may take; what has not been learnt by then is not known.
            patient: False where it is not to be tried at all while answers do not come in time.
        """

    async def take_over(self, call_sid: str) -> int:
        """Make this call ours, of which ``ring`` has told and whose stream is to be invited anew.

        It takes a second at most. Returns which recovery of the call this is, counted over all workers; the first is 1.
        """

    async def claim_line(self, start: Start, claims: StreamClaims) -> ClaimRefused | None:
        """Make this call ours for a stream that is about to be served, in 0.3 s at most; None where it may be."""

    def carrier_says_ended(self, call_sid: str, why: str, *, tenant_id: str = "") -> None:
        """The carrier told us by another way that this call's line is over: end it if it still hangs.

        ``why`` begins with ``call status`` where the call itself is over; else the call goes on, on a new line. Where
        it is over and not served here, whoever serves it is told; for that ``tenant_id`` is needed.
        """

    def ring(self, call_sid: str, tenant_id: str, caller: str, called: str) -> None:
        """A call is coming, or is coming back; its line follows within the token's lifetime, or not at all.

        Safe to repeat; a call that is known stays as it is.
        """

    def begin_drain(self) -> None:
        """Admit no more calls; the live ones go on. Safe to repeat."""

    def move_all(self) -> None:
        """End every line so that the carrier asks for a recovery, which another worker answers."""

    async def flush(self) -> None:
        """Write how all calls stand for other workers to find; gives up after a second."""

    def statistics(self) -> SwitchboardStatistics:
        """A snapshot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """What the gateway is made of; built in the composition root (or by a test) and handed down.

    Attributes:
        plane: not yet running; ``serve_gateway`` runs it.
        loop_lag: run by whoever made the gateway; until then the loop counts as on time.
        keep_recording: takes the word of a message that the carrier recorded; must not block.
        oversight: the calls on the line, for operators.
        parts: a word on each part beside calls and clock, for the health pages; none of them keeps calls away.
    """

    settings: Settings
    directory: Directory
    switchboard: Switchboard
    plane: MediaPlane
    tokens: StreamTokens
    metrics: Metrics
    keep_recording: Callable[[CarrierRecording], None]
    parts: Callable[[], Mapping[str, str]] = dict
    loop_lag: LoopLag = field(default_factory=LoopLag)
    oversight: Oversight = field(default_factory=Oversight)

    @property
    def auth_tokens(self) -> tuple[str, ...]:
        """Keys that may have signed the carrier's requests; none configured means that every one is refused."""
        token = self.settings.twilio_auth_token
        return (token.get_secret_value(),) if token is not None and token.get_secret_value() else ()
