"""``.../calls``, ``.../messages``, ``.../callers``: what calls have left behind, newest first."""

from typing import Annotated, Any

from pydantic import Field
from quart import Blueprint, Response

from engine.audio.g711 import SAMPLE_RATE_HZ
from engine.backoffice.access import requires
from engine.backoffice.api_work import Appointment, TaskItem
from engine.backoffice.endpoint import Body, Moment, Page, Paging, asks, cursor_of, gives, gives_bytes, page
from engine.backoffice.office import Office
from engine.backoffice.problems import Problem
from engine.backoffice.sound import WAV, wav_response
from engine.call.outcome import OutcomeClass, Reason
from engine.store.postgres_history import Caller, CallFilter, EndedCall, VoiceMessage
from engine.store.postgres_work import SlotFilter

NEWEST = 20  # of each kind, of one caller
CallerText = Annotated[str, Field(pattern=r"^[^\x00]{1,64}$")]


class CallSummary(Body):
    """A call that has ended. ``caller`` is empty where the number was withheld."""

    call_sid: str
    caller: str
    outcome: str
    reason: str
    ended_at: Moment
    duration_s: float
    turns: int


class MessageItem(Body):
    """A message that a caller spoke; ``audio`` is where it can be heard."""

    call_sid: str
    position: int
    caller: str
    left_at: Moment
    duration_s: float
    audio: str


class CallDetail(CallSummary):
    """With all that was kept: who said what (as it was heard), and what happened when (seconds from its start)."""

    detail: str
    transcript: list[dict[str, Any]]
    timeline: list[dict[str, Any]]
    tokens: dict[str, Any]
    messages: list[MessageItem]


class CallerItem(Body):
    """Somebody who called."""

    caller: str
    calls: int
    first_at: Moment
    last_at: Moment


class CallerDetail(CallerItem):
    """With the newest of what they left."""

    newest_calls: list[CallSummary]
    newest_messages: list[MessageItem]
    newest_tasks: list[TaskItem]
    appointments: list[Appointment]


class Calls(Page[CallSummary]):
    """Calls that have ended."""


class Messages(Page[MessageItem]):
    """Messages; a page holds those of at most ``limit`` calls."""


class Callers(Page[CallerItem]):
    """Callers, who called last first."""


class CallsAsked(Paging):
    """Which calls; ``until`` is excluded."""

    since: Moment | None = None
    until: Moment | None = None
    outcome: OutcomeClass | None = None
    reason: Reason | None = None
    caller: CallerText | None = None


class MessagesAsked(Paging):
    """Whose messages."""

    caller: CallerText | None = None


def blueprint(office: Office) -> Blueprint:
    """See the module."""
    pages = Blueprint("calls", __name__, url_prefix="/v1/tenants/<slug:tenant_id>")
    history = office.history

    @pages.get("/calls")
    @gives(Calls)
    @asks(CallsAsked)
    @requires("read")
    async def calls(tenant_id: str, query: CallsAsked) -> Calls:
        """Calls, by when they ended, how, and who called."""
        which = CallFilter(query.since, query.until, query.outcome, query.reason, query.caller)
        found = await history.calls(tenant_id, which, before=query.before, limit=query.limit)
        return page(Calls, [summary(call) for call in found], [call.kept_order for call in found], query)

    @pages.get("/calls/<name:call_sid>")
    @gives(CallDetail)
    @requires("read")
    async def call(tenant_id: str, call_sid: str) -> CallDetail:
        """One call: outcome, transcript, timeline, messages."""
        found = await history.call(tenant_id, call_sid)
        if found is None:
            raise Problem(404, "no call of that id has ended")
        left = await history.messages(tenant_id, before=found.kept_order + 1, limit=1)
        return CallDetail(
            **summary(found).model_dump(),
            detail=str((found.document.get("outcome") or {}).get("detail") or ""),
            transcript=found.document.get("transcript") or [],
            timeline=found.document.get("timeline") or [],
            tokens=found.document.get("tokens") or {},
            messages=[message(tenant_id, one) for one in left if one.call_sid == call_sid],
        )

    @pages.get("/calls/<name:call_sid>/messages/<int(max=1000000):position>/audio")
    @gives_bytes(WAV, "The message, mono, 8 kHz.")
    @requires("read")
    async def audio(tenant_id: str, call_sid: str, position: int) -> Response:
        """A message to listen to."""
        mulaw = await history.audio(tenant_id, call_sid, position)
        if mulaw is None:
            raise Problem(404, "no such message")
        return wav_response(mulaw)

    @pages.get("/messages")
    @gives(Messages)
    @asks(MessagesAsked)
    @requires("read")
    async def messages(tenant_id: str, query: MessagesAsked) -> Messages:
        """Messages that callers spoke."""
        found = await history.messages(tenant_id, before=query.before, limit=query.limit, caller=query.caller)
        full = len({one.call_sid for one in found}) == query.limit
        items = [message(tenant_id, one) for one in found]
        return Messages(items=items, next_cursor=cursor_of(found[-1].kept_order) if full else None)

    @pages.get("/callers")
    @gives(Callers)
    @asks(Paging)
    @requires("read")
    async def callers(tenant_id: str, query: Paging) -> Callers:
        """Who called."""
        found = await history.callers(tenant_id, before=query.before, limit=query.limit)
        return page(Callers, [_caller(one) for one in found], [one.kept_order for one in found], query)

    @pages.get("/callers/<phone:number>")
    @gives(CallerDetail)
    @requires("read")
    async def caller(tenant_id: str, number: str) -> CallerDetail:
        """One caller, with the newest of what they left."""
        found = await history.caller(tenant_id, number)
        if found is None:
            raise Problem(404, "nobody called from that number")
        calls = await history.calls(tenant_id, CallFilter(caller=number), before=None, limit=NEWEST)
        left = await history.messages(tenant_id, before=None, limit=NEWEST, caller=number)
        tasks = await office.work.tasks(tenant_id, before=None, limit=NEWEST, caller=number)
        slots = await office.work.appointments(tenant_id, SlotFilter(phone=number), after=None, limit=NEWEST)
        return CallerDetail(
            **_caller(found).model_dump(),
            newest_calls=[summary(one) for one in calls],
            newest_messages=[message(tenant_id, one) for one in left],
            newest_tasks=[TaskItem.of(task) for task in tasks],
            appointments=[Appointment.of(slot) for slot in slots],
        )

    return pages


def summary(call: EndedCall) -> CallSummary:
    """A call as lists show it."""
    return CallSummary(
        call_sid=call.call_sid,
        caller=call.caller,
        outcome=call.outcome_class,
        reason=call.outcome_reason,
        ended_at=call.ended_at,
        duration_s=call.document.get("duration_s") or 0.0,
        turns=call.document.get("turns") or 0,
    )


def message(tenant_id: str, left: VoiceMessage) -> MessageItem:
    """A message as lists show it."""
    return MessageItem(
        call_sid=left.call_sid,
        position=left.position,
        caller=left.caller,
        left_at=left.left_at,
        duration_s=round(left.size / SAMPLE_RATE_HZ, 3),
        audio=f"/v1/tenants/{tenant_id}/calls/{left.call_sid}/messages/{left.position}/audio",
    )


def _caller(found: Caller) -> CallerItem:
    return CallerItem(caller=found.caller, calls=found.calls, first_at=found.first_at, last_at=found.last_at)
