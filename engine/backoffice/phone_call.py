"""One call from a browser: the back office is its carrier, and runs the TwiML that the gateway answers with.

    browser ══ /phone/line/... ══ back office ══ webhooks, media websocket, signed as the carrier signs ══ gateway

So the gateway has no second way in, and no weaker check. A gateway's own orders (end this call, put it through) go to
``FRONTDESK_TWILIO_API_URL``. The real carrier does not know this call and says so (404); then the gateway closes its
stream, asks to be asked what next, and says hang up; only a transfer cannot be had. A simulated carrier beside us, as
in ``frontdesk demo --stay``, takes the orders (``Exchange``).
"""

import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import urljoin

import trio

from engine.backoffice import phone_wire
from engine.backoffice.phone_stream import Stream, hold
from engine.backoffice.phone_wire import FromPage, HungUp, Spoken
from engine.sim.carrier_call import HowEnded, NewDocument
from engine.sim.carrier_twiml import Unreadable, Verb, read_twiml
from engine.sim.carrier_web import CarrierAccount, CarrierWeb, Document
from engine.sim.debugger import Debugger

MOST_DOCUMENTS = 50  # a gateway that sends its caller round and round is cut off here
RINGS_S = 3.0  # before what would ring is said to have answered
STATUS_S = 5.0

Tell: TypeAlias = Callable[[str], Awaitable[None]]
Step: TypeAlias = Document | NewDocument
Next: TypeAlias = Document | NewDocument | HowEnded

WHY = {
    HowEnded.CALLER_HUNG_UP: "You hung up.",
    HowEnded.TWIML_ENDED: "The other side hung up.",
    HowEnded.COMPLETED_BY_REST: "The other side hung up.",
    HowEnded.REJECTED: "The call was rejected.",
    HowEnded.APPLICATION_ERROR: "The gateway did not say what to do with the call.",
}
AWAY, GATEWAY_LOST = 11205, "The gateway cannot be reached any more: the call is lost. Once it is back, call again."


@dataclass(slots=True, eq=False)
class PhoneCall:
    """A call that is on the line, or about to be. ``tell`` reaches its browser; ``tls``: whom to trust on ``wss``."""

    sid: str
    tenant_id: str
    account: CarrierAccount
    web: CarrierWeb
    debugger: Debugger
    first: Document
    tls: ssl.SSLContext | None = None
    began_at: float = field(default_factory=trio.current_time)
    stream: Stream | None = None
    how_ended: HowEnded | None = None
    _order: HowEnded | NewDocument | None = None
    _scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    _spoken: trio.Event = field(default_factory=trio.Event)

    # --- orders: of the caller, and of whoever reaches it as the carrier (``carrier_rest.Updatable``) ---------------

    @property
    def is_live(self) -> bool:
        """Can it still be updated?"""
        return self.how_ended is None and not isinstance(self._order, HowEnded)

    def complete(self) -> None:
        """End it."""
        self._give(HowEnded.COMPLETED_BY_REST)

    def replace(self, document: NewDocument) -> None:
        """Run this instead."""
        self._give(document)

    def take(self, told: FromPage) -> None:
        """What its browser says; nothing waits."""
        if isinstance(told, HungUp):
            self._give(HowEnded.CALLER_HUNG_UP)
        elif isinstance(told, Spoken):
            self._spoken.set()
        elif self.stream is not None:
            self.stream.take(told)

    def _give(self, order: HowEnded | NewDocument) -> None:
        if self.is_live:
            self._order = order
            self._scope.cancel()

    # --- what the gateway wants done ------------------------------------------------------------------------------

    async def run(self, tell: Tell) -> None:
        """Run what the gateway answered, and all that follows from it; says at last why it is over.

        Where this is cancelled we are leaving: that is a hang-up, and the gateway is told so.
        """
        self.web.call_status = "in-progress"
        try:
            self.how_ended = await self._run(tell)
            problems = [f"{entry.code}: {entry.detail}" for entry in self.debugger.entries]
            await tell(phone_wire.tell("ended", why=self._why(self.how_ended), problems=problems[-5:]))
        finally:
            self.how_ended = self.how_ended or HowEnded.CALLER_HUNG_UP
            self.web.call_status = "completed"
            with trio.move_on_after(STATUS_S, shield=True):
                seconds = max(1, round(trio.current_time() - self.began_at))
                done = {"CallStatus": "completed", "CallDuration": str(seconds)}
                await self.web.notify(f"{self.account.origin}/twilio/status", "POST", done)

    def _why(self, how: HowEnded) -> str:
        entries = self.debugger.entries
        is_away = how is HowEnded.APPLICATION_ERROR and bool(entries) and entries[-1].code == AWAY
        return GATEWAY_LOST if is_away else WHY[how]

    async def _run(self, tell: Tell) -> HowEnded:
        step: Step = self.first
        for _ in range(MOST_DOCUMENTS):
            self._scope = trio.CancelScope()
            following: Next | None = None
            if self._order is None:
                with self._scope:
                    following = await self._run_step(step, tell)
            if self._order is not None:
                following, self._order = self._order, None
            assert following is not None, "cancelled without an order"
            if isinstance(following, HowEnded):
                return following
            step = following
        self.debugger.note(11215, f"more than {MOST_DOCUMENTS} documents", trio.current_time())
        return HowEnded.APPLICATION_ERROR

    async def _run_step(self, step: Step, tell: Tell) -> Next:
        document = step if isinstance(step, Document) else await self._obtain(step)
        if document is None:
            return HowEnded.APPLICATION_ERROR
        for verb in document.twiml.verbs:
            following = await self._run_verb(verb, document, tell)
            if following is not None:
                return following
        return HowEnded.TWIML_ENDED

    async def _run_verb(self, verb: Verb, document: Document, tell: Tell) -> Next | None:
        match verb.name:
            case "Connect":
                await hold(self, verb, tell)
                return await self._follow(verb, document, {})
            case "Say":
                await self._say(verb, tell)
            case "Pause":
                await trio.sleep(_whole(verb, "length", 1))
            case "Dial":
                number = verb.text or next((child.text for child in verb.children), "")
                await tell(phone_wire.tell("dial", number=number))
                await trio.sleep(RINGS_S)
                return await self._follow(verb, document, {"DialCallStatus": "completed", "DialCallDuration": "1"})
            case "Redirect":
                url = urljoin(document.url, verb.text)
                return await self.web.fetch(url, verb.attributes.get("method", "POST")) or HowEnded.APPLICATION_ERROR
            case "Hangup":
                return HowEnded.TWIML_ENDED
            case "Reject":
                return HowEnded.REJECTED
            case "Record":  # where a recording would be is nobody's to ask: the gateway is told of none
                await tell(phone_wire.tell("note", says="The carrier would record a message now."))
            case _:
                await tell(phone_wire.tell("note", says=f"The carrier would run <{verb.name}> now."))
        return None

    async def _say(self, verb: Verb, tell: Tell) -> None:
        self._spoken = trio.Event()
        await tell(phone_wire.tell("say", text=verb.text, language=verb.attributes.get("language", "en-US")))
        with trio.move_on_after(3.0 + len(verb.text) / 8):  # slower than any voice
            await self._spoken.wait()

    async def _follow(self, verb: Verb, document: Document, params: dict[str, str]) -> Next | None:
        if (action := verb.attributes.get("action")) is None:
            return None
        url, method = urljoin(document.url, action), verb.attributes.get("method", "POST")
        return await self.web.fetch(url, method, params) or HowEnded.APPLICATION_ERROR

    async def _obtain(self, new: NewDocument) -> Document | None:
        if new.twiml is None:
            return await self.web.fetch(new.url or "", new.method)
        twiml = read_twiml(new.twiml.encode(), "text/xml")
        if isinstance(twiml, Unreadable):
            self.debugger.note(twiml.code, twiml.detail, trio.current_time())
            return None
        return Document(twiml, self.account.origin)


def _whole(verb: Verb, name: str, default: int) -> int:
    value = verb.attributes.get(name, "")
    return int(value) if value.isdigit() else default
