"""A live call at the carrier: what its TwiML, its caller and the REST interface act on together.

Whoever wants something of a running call gives an *order* (hang up, end it, run another document); the order cancels
the document under way wherever it stands, and ``carrier_run`` takes it from there.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias
from urllib.parse import urljoin

import trio

from engine.sim.carrier_twiml import Verb
from engine.sim.carrier_web import CarrierAccount, CarrierWeb, Document, Signing
from engine.sim.debugger import Debugger
from engine.sim.handset import Handset
from engine.sim.network import Route
from engine.sim.phone import Phone, PhoneOptions
from engine.sim.scenario import Ending
from engine.telephony.plane import MediaPlane


class HowEnded(StrEnum):
    """Who ended the call, and how."""

    CALLER_HUNG_UP = "caller_hung_up"
    TWIML_ENDED = "twiml_ended"  # <Hangup/>, or nothing left to run
    COMPLETED_BY_REST = "completed_by_rest"
    REJECTED = "rejected"
    APPLICATION_ERROR = "application_error"  # no TwiML to be had, not from the fallback either


@dataclass(frozen=True, slots=True)
class DialOutcome:
    """What becomes of one ``<Dial>``: its ``DialCallStatus``, and how long it takes or lasts."""

    status: str = "completed"
    seconds: float = 3.0


@dataclass(frozen=True, slots=True)
class CarrierOptions:
    """How the carrier handles this call.

    Attributes:
        handshake: the signature on the websocket's handshake.
        ending: how the stream ends when the caller hangs up.
        phone: chunk sizes and reading.
        dial_outcomes: of each ``<Dial>`` in turn, the last one again and again.
        stream_callbacks: send ``stream-started`` and its like where the TwiML asks for them.
        callbacks_first: ``stream-started`` is told, and answered, before the stream is opened; as a rule the two race.
        callbacks_late_s: all of them come so much later than what they tell of.
        say_chars_per_s: how fast ``<Say>`` speaks.
        play_s: how long a ``<Play>`` of a file lasts.
    """

    handshake: Signing = Signing.GOOD
    ending: Ending = Ending.STOP_THEN_CLOSE
    phone: PhoneOptions = field(default_factory=PhoneOptions)
    dial_outcomes: tuple[DialOutcome, ...] = (DialOutcome(),)
    stream_callbacks: bool = True
    callbacks_first: bool = False
    callbacks_late_s: float = 0.0
    say_chars_per_s: float = 15.0
    play_s: float = 3.0


@dataclass(frozen=True, slots=True)
class NewDocument:
    """Run this instead of what is running: TwiML as it stands, or a URL to fetch it from."""

    twiml: str | None
    url: str | None
    method: str = "POST"


Order: TypeAlias = HowEnded | NewDocument


@dataclass(slots=True, eq=False)
class LiveCall:
    """One call. ``background`` takes what may outlive the conversation: callbacks, closing sockets."""

    sid: str
    account: CarrierAccount
    web: CarrierWeb
    handset: Handset
    plane: MediaPlane
    route: Route
    debugger: Debugger
    options: CarrierOptions
    background: trio.Nursery
    new_sid: Callable[[str], str]
    phones: list[Phone] = field(default_factory=list)
    order: Order | None = None
    how_ended: HowEnded | None = None
    ending: Ending = Ending.STOP_THEN_CLOSE
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    dials: deque[DialOutcome] = field(default_factory=deque)

    @property
    def is_live(self) -> bool:
        """Can it still be updated?"""
        return self.how_ended is None and not isinstance(self.order, HowEnded)

    def hang_up(self) -> None:
        """The caller puts the phone down."""
        if self.is_live:
            self.ending = self.options.ending
            self._give(HowEnded.CALLER_HUNG_UP)

    def complete(self) -> None:
        """REST ``Status=completed``; harmless where it has ended."""
        if self.is_live:
            self._give(HowEnded.COMPLETED_BY_REST)

    def replace(self, document: NewDocument) -> None:
        """REST ``Twiml`` or ``Url``: what runs now is abandoned, with all its verbs."""
        if self.is_live:
            self._give(document)

    def lose_stream(self, how: Ending) -> None:
        """The way to the server breaks; the call lives on. Nothing where no stream is up."""
        if self.phones:
            self.phones[-1].hang_up(how)

    def next_dial(self) -> DialOutcome:
        """What becomes of the ``<Dial>`` that begins now."""
        return self.dials.popleft() if len(self.dials) > 1 else self.dials[0]

    async def follow(
        self, verb: Verb, document: Document, params: dict[str, str], *, default: str | None = None
    ) -> Document | HowEnded | None:
        """Request a verb's ``action`` and run its answer; None (go on with the next verb) where it has none."""
        action = verb.attributes.get("action", default)
        if action is None:
            return None
        method = verb.attributes.get("method", "POST")
        fetched = await self.web.fetch(urljoin(document.url, action), method, params)
        return fetched or HowEnded.APPLICATION_ERROR

    def callback(self, verb: Verb, name: str, document: Document, params: dict[str, str]) -> None:
        """Send a status callback in the background, where the verb's attribute ``name`` asks for one."""
        self.background.start_soon(self.call_back, verb, name, document, params)

    async def call_back(self, verb: Verb, name: str, document: Document, params: dict[str, str]) -> None:
        """The same, and wait for its answer."""
        url = verb.attributes.get(name)
        if url:
            await trio.sleep(self.options.callbacks_late_s)
            method = verb.attributes.get(f"{name}Method", "POST")
            await self.web.notify(urljoin(document.url, url), method, params)

    def _give(self, order: Order) -> None:
        self.order = order
        self.scope.cancel()
