"""What the carrier is told to do with a call: TwiML decided from a verified request, without any HTTP.

Every answer keeps the caller on the line until somebody decided otherwise. The rules that are easy to get wrong:

* The carrier may ask twice for one call; a second, different ``<Connect><Stream>`` ends the first stream. While the
  first answer stands unused, the same bytes are said again. Once its stream is live, the answer is *hold*: a short
  pause, then ``/twilio/recover``. If the carrier drops that answer, nothing happened. If it follows it, the first
  document is abandoned and its stream gets a ``stop`` that nobody meant; the pause keeps the call up (an empty document
  would end it) and the recovery gives it a new stream.
* ``/twilio/recover`` is asked whenever a stream has ended, and does not say why; our own record does. A repetition is
  known by the carrier's id for the request alone: an invitation that nobody followed means here that the handshake
  failed, and must count as an attempt, or the caller is pinned in a loop.
* Outside of all that stands the static script, which the carrier can follow with all of our servers gone.
"""

import html
from contextlib import suppress
from dataclasses import dataclass

import trio

from engine.call.switchboard_types import Admission, CarrierRecording, EndState
from engine.log import get_logger
from engine.server.invitations import Invitations
from engine.server.media import MediaEntrance
from engine.server.ports import Gateway
from engine.server.readiness import Readiness
from engine.tenants.tenant import Tenant
from engine.wire import twiml

RECOVERIES = 3
BACK_OFF_S = (0.0, 0.5, 1.5)  # before each recovery; the carrier waits up to 15 s for an answer
LOOK_UP_S = 0.3  # a new call waits so long at most for what other workers know of it, which is nearly always nothing
RECOVER_LOOK_UP_S = 1.0  # what was said in the call is worth this silence
HOLD_S = 1  # the least that can be said; a caller whose stream was displaced waits for it in silence
TERMINAL = frozenset({"completed", "busy", "no-answer", "failed", "canceled"})
NOT_IN_SERVICE = "Sorry, this number is not in service. Please check it and call again. Goodbye."
APOLOGY = "Sorry, we cannot take your call right now. Please call again in a few minutes. Goodbye."

log = get_logger("server.reception")


@dataclass(frozen=True, slots=True)
class CarrierRequest:
    """A verified request. ``request_id`` is the carrier's, the same on a repetition; empty where it gave none."""

    params: dict[str, str]
    request_id: str = ""

    def get(self, name: str) -> str:
        """A parameter; empty where it is missing."""
        return self.params.get(name, "")

    @property
    def call_sid(self) -> str:
        """Which call this is about."""
        return self.get("CallSid")


@dataclass(frozen=True, slots=True)
class Answer:
    """What to say. ``twiml`` None is "no content"; ``result`` is for metrics, one of a small set."""

    twiml: str | None
    result: str


class Reception:
    """One method per path. Those that speak are asked while a caller waits."""

    def __init__(
        self, gateway: Gateway, invitations: Invitations, entrance: MediaEntrance, readiness: Readiness
    ) -> None:
        self._gateway = gateway
        self._invitations = invitations
        self._entrance = entrance
        self._readiness = readiness

    async def voice(self, request: CarrierRequest) -> Answer:
        """A call comes in, or (outbound) has been answered."""
        if (standing := self._invitations.standing(request.call_sid, now=trio.current_time())) is not None:
            return Answer(standing, "repeated")
        tenant = self._tenant(request)
        if tenant is None:
            log.warning("call for a number nobody has", call_sid=request.call_sid)
            return Answer(twiml.say_and_hang_up(NOT_IN_SERVICE, "en-US"), "unknown_number")
        await self._gateway.switchboard.look_up(request.call_sid, tenant.id, within_s=LOOK_UP_S, patient=False)
        # The same request may have come twice at once, and the other one may have been answered meanwhile.
        if (standing := self._invitations.standing(request.call_sid, now=trio.current_time())) is not None:
            return Answer(standing, "repeated")
        match self._state(request.call_sid):
            case EndState.LIVE | EndState.TRANSFERRING:
                self._invitations.note_displaced(request.call_sid, now=trio.current_time())
                return Answer(_hold(self._url("recover")), "hold")
            case EndState.ENDED:
                return Answer(twiml.hang_up(), "hang_up")
            case EndState.LOST:
                return await self.recover(request)
        admission = self._admission(tenant, request.call_sid)
        if admission is not Admission.ADMITTED:
            return self._not_admitted(tenant, request, admission)
        self._gateway.switchboard.ring(request.call_sid, tenant.id, request.get("From"), request.get("To"))
        return self._invite(request, tenant, attempt=0)

    async def recover(self, request: CarrierRequest) -> Answer:
        """A stream of this call has ended, or was never opened."""
        call_sid, switchboard = request.call_sid, self._gateway.switchboard
        repeated = self._invitations.repeated(call_sid, request.request_id, now=trio.current_time())
        if repeated is not None:
            return Answer(repeated, "repeated")
        tenant = self._tenant(request)
        if request.get("CallStatus") in TERMINAL or tenant is None:
            return Answer(twiml.hang_up(), "hang_up")
        await switchboard.look_up(call_sid, tenant.id, within_s=RECOVER_LOOK_UP_S)
        repeated = self._invitations.repeated(call_sid, request.request_id, now=trio.current_time())
        if repeated is not None:
            return Answer(repeated, "repeated")
        state = self._state(call_sid)
        if not self._invitations.was_displaced(call_sid, now=trio.current_time()):
            if state is EndState.ENDED:
                return Answer(twiml.hang_up(), "hang_up")
            if state is EndState.TRANSFERRING:
                return Answer(twiml.empty(), "transferring")
        # A worker that never saw this call before must know it from here on: it becomes this worker's.
        switchboard.ring(call_sid, tenant.id, request.get("From"), request.get("To"))
        attempt = await switchboard.take_over(call_sid)
        if state is EndState.LIVE:
            # Whatever the caller is told next: an old line must not end, or transfer, a call that has left it.
            await self._entrance.end_old(call_sid, "the carrier asks for a recovery")
        if attempt > RECOVERIES:
            log.warning("call given up to the static script", call_sid=call_sid, attempts=attempt - 1)
            return self._static(tenant, "given_up")
        await trio.sleep(BACK_OFF_S[attempt - 1])
        admission = self._admission(tenant, request.call_sid, recovery=True)
        if admission is not Admission.ADMITTED:
            return self._not_admitted(tenant, request, admission)
        return self._invite(request, tenant, attempt=attempt)

    async def dial_done(self, request: CarrierRequest) -> Answer:
        """The tenant's person was rung: either they spoke, or the caller may leave a message."""
        tenant = self._tenant(request)
        if request.get("DialCallStatus") in {"completed", "answered"} or tenant is None:
            return Answer(twiml.hang_up(), "hang_up")
        prompt = f"{tenant.script.no_person} {tenant.script.message_prompt}"
        return Answer(
            twiml.record_message(prompt=prompt, language=tenant.language, action_url=self._url("recording")), "record"
        )

    async def recording(self, request: CarrierRequest) -> Answer:
        """A message was recorded: by the script (it waits to be told what next), or told once more when it is ready."""
        tenant = self._tenant(request)
        if tenant is not None and request.get("RecordingUrl"):
            self._gateway.keep_recording(
                CarrierRecording(
                    call_sid=request.call_sid,
                    tenant_id=tenant.id,
                    caller=request.get("From"),
                    recording_sid=request.get("RecordingSid"),
                    url=request.get("RecordingUrl"),
                    duration_s=_number(request.get("RecordingDuration")),
                )
            )
        if request.get("RecordingStatus"):
            return Answer(None, "noted")
        if tenant is None:
            return Answer(twiml.hang_up(), "hang_up")
        said = f"{tenant.script.message_kept} {tenant.script.goodbye}"
        return Answer(twiml.say_and_hang_up(said, tenant.language), "recorded")

    async def status(self, request: CarrierRequest) -> Answer:
        """The call's own progress; only its end matters, for a line whose ``stop`` never came."""
        status = request.get("CallStatus")
        if status not in TERMINAL:
            return Answer(None, "progress")
        tenant = self._tenant_if_possible(request)
        self._gateway.switchboard.carrier_says_ended(
            request.call_sid, f"call status {status}", tenant_id=tenant.id if tenant else ""
        )
        return Answer(None, "ended")

    async def stream_status(self, request: CarrierRequest) -> Answer:
        """A stream's progress; an error ends its line at once, but not the line of a later stream of the call."""
        if request.get("StreamEvent") != "stream-error":
            return Answer(None, "progress")
        stream_sid = request.get("StreamSid")
        log.warning(
            "stream error", call_sid=request.call_sid, stream_sid=stream_sid, error=request.get("StreamError")[:200]
        )
        if stream_sid == self._entrance.stream_sid(request.call_sid):
            self._gateway.switchboard.carrier_says_ended(request.call_sid, "stream error")
        return Answer(None, "stream_error")

    async def amd(self, request: CarrierRequest) -> Answer:
        """Who answered an outbound call. Noted only: what to do about a machine is not the gateway's to decide."""
        log.info("answered by", call_sid=request.call_sid, answered_by=request.get("AnsweredBy")[:40])
        return Answer(None, "noted")

    def last_resort(self, request: CarrierRequest) -> Answer:
        """Code of ours has failed while a caller waits."""
        tenant = self._tenant_if_possible(request)
        return self.excuse(request) if tenant is None else self._static(tenant, "failed")

    def excuse(self, _: CarrierRequest) -> Answer:
        """As ``last_resort``, where the static script has already had its turn and must not begin anew."""
        return Answer(twiml.say_and_hang_up(APOLOGY, "en-US"), "failed")

    def _state(self, call_sid: str) -> EndState:
        state = self._gateway.switchboard.end_reason(call_sid)
        if state in {EndState.UNKNOWN, EndState.LOST} and self._entrance.stream_sid(call_sid) is not None:
            return EndState.LIVE  # its stream has just been let in
        return state

    def _invite(self, request: CarrierRequest, tenant: Tenant, *, attempt: int) -> Answer:
        token = self._invitations.token(
            call_sid=request.call_sid, account_sid=request.get("AccountSid"), tenant_id=tenant.id, attempt=attempt
        )
        answer = twiml.connect_stream(
            stream_url=self._gateway.settings.stream_url,
            action_url=self._url("recover"),
            status_callback_url=self._url("stream-status"),
            # The stream may reach a worker that has heard nothing of this call.
            parameters={"token": token} | ({"caller": caller} if (caller := request.get("From")) else {}),
        )
        now = trio.current_time()
        self._invitations.remember(request.call_sid, answer, request_id=request.request_id, now=now)
        return Answer(answer, "recover" if attempt else "connect")

    def _not_admitted(self, tenant: Tenant, request: CarrierRequest, admission: Admission) -> Answer:
        log.warning("call not admitted", call_sid=request.call_sid, tenant_id=tenant.id, why=str(admission))
        self._gateway.metrics.not_admitted.labels(str(admission)).inc()
        return self._static(tenant, str(admission))

    def _static(self, tenant: Tenant, result: str) -> Answer:
        answer = twiml.static_script(
            apology=tenant.script.apology,
            language=tenant.language,
            person=tenant.people[0].number if tenant.people else None,
            dial_action_url=self._url("dial-done"),
            recording_action_url=self._url("recording"),
        )
        return Answer(answer, result)

    def _admission(self, tenant: Tenant, call_sid: str, *, recovery: bool = False) -> Admission:
        if self._readiness.draining:
            return Admission.DRAINING
        return self._gateway.switchboard.admission(tenant, call_sid=call_sid, recovery=recovery)

    def _tenant(self, request: CarrierRequest) -> Tenant | None:
        # On a call that we placed the business is the one that calls.
        outbound = request.get("Direction").startswith("outbound")
        number = request.get("From" if outbound else "To") or request.get("Caller" if outbound else "Called")
        return self._gateway.directory.tenant_for_number(number)

    def _tenant_if_possible(self, request: CarrierRequest) -> Tenant | None:
        # What has failed may well be the look-up: a caller must hear something, and a line must end, all the same.
        with suppress(Exception):
            return self._tenant(request)
        return None

    def _url(self, name: str) -> str:
        return f"{self._gateway.settings.public_url}/twilio/{name}"


def _hold(then_url: str) -> str:
    pause = f'<Pause length="{HOLD_S}"/><Redirect method="POST">{html.escape(then_url)}</Redirect>'
    return f'<?xml version="1.0" encoding="UTF-8"?><Response>{pause}</Response>'


def _number(text: str) -> float | None:
    return float(text) if text.isdecimal() else None
