"""A synthetic caller: places one call through the simulated carrier and reports what it was like.

place_call
└─ background nursery ........ callbacks, closing sockets: may outlive the conversation, never place_call
   └─ call nursery
      ├─ the scenario          what the caller does; when it is over, the caller hangs up
      └─ the TwiML             what the carrier does; when it is over, so is the call
"""

import random
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urljoin

import httpx
import trio

from engine.sim.carrier_call import CarrierOptions, HowEnded, LiveCall
from engine.sim.carrier_rest import Updatable
from engine.sim.carrier_run import run_twiml
from engine.sim.carrier_web import CarrierAccount, CarrierWeb, Document, Signing
from engine.sim.debugger import Debugger
from engine.sim.handset import Handset
from engine.sim.network import NullNetwork, Route
from engine.sim.report import PhoneReport, report_call
from engine.sim.scenario import HangUp, Listen, LoseStream, Moment, Press, Say, SayOver, StayOn, Wait
from engine.telephony.plane import MediaPlane

NO_NETWORK = NullNetwork()
AGAIN_QUIET_MS, AGAIN_TIMEOUT_S = 1500.0, 20.0  # an apology, and what is said after it, have been listened to


class Exchange(Protocol):
    """Where live calls are entered, so that the gateway can reach them: ``CarrierRest``, or the way to one."""

    def add(self, call: Updatable) -> None:
        """From now on this call can be updated."""

    def remove(self, call: Updatable) -> None:
        """The call is over."""


@dataclass(frozen=True, slots=True)
class CallOptions:
    """How this call is placed. URLs may be relative to the gateway's public origin.

    Attributes:
        webhook: the signature on webhooks.
        duplicate_webhook: ask twice, at once, and run the second answer: both must serve the same call.
        voice_url: where the number's voice webhook points.
        fallback_url: asked, with ``ErrorCode`` and ``ErrorUrl``, where TwiML cannot be had.
        status_url: told when the call has ended.
        carrier: how the carrier behaves.
        webhook_params: more form parameters, or others than usual.
        seed: of the call's identifiers; None for fresh ones.
        hang_up_after_s: put the phone down so long after the answer, whatever the scenario is doing then.
    """

    webhook: Signing = Signing.GOOD
    duplicate_webhook: bool = False
    voice_url: str = "/twilio/voice"
    fallback_url: str | None = None
    status_url: str | None = None
    carrier: CarrierOptions = field(default_factory=CarrierOptions)
    webhook_params: dict[str, str] = field(default_factory=dict)
    seed: int | None = None
    hang_up_after_s: float | None = None


async def place_call(
    *,
    line: CarrierAccount,
    caller: str,
    called: str,
    scenario: Sequence[Moment],
    plane: MediaPlane,
    network: Route = NO_NETWORK,
    rest: Exchange | None = None,
    http: httpx.AsyncClient | None = None,
    options: CallOptions = CallOptions(),
) -> PhoneReport:
    """Call ``called`` from ``caller``, play the scenario, and measure. No task and no socket outlives this.

    Args:
        line: the account at the carrier, and where its gateway is.
        caller: E.164, or whatever a carrier says instead.
        called: E.164.
        scenario: what the caller does; hangs up at its end.
        plane: a running plane; drives the media stream.
        network: the way from the carrier to the server; one object per call.
        rest: where the gateway can reach this call; None: nowhere.
        http: shared by many calls; None: an own one, which costs tens of ms of CPU.
        options: everything else.
    """
    source = random.Random(options.seed)
    call_sid = _sid(source, "CA")
    began = trio.current_time()
    debugger = Debugger(began)
    async with _client(http) as client, trio.open_nursery() as background:
        web = CarrierWeb(
            line,
            client,
            standard=_standard_params(line, source, call_sid, caller, called) | options.webhook_params,
            signing=options.webhook,
            fallback_url=options.fallback_url,
            debugger=debugger,
        )
        call = LiveCall(
            sid=call_sid,
            account=line,
            web=web,
            handset=Handset(began),
            plane=plane,
            route=network,
            debugger=debugger,
            options=options.carrier,
            background=background,
            new_sid=lambda kind: _sid(source, kind),
            dials=deque(options.carrier.dial_outcomes),
        )
        first, duplicate_agreed = await _ask_for_twiml(call, options)
        await _converse(call, first, scenario, rest, options.hang_up_after_s)
        ended_at = trio.current_time()
        if options.status_url is not None:
            background.start_soon(_report_status, call, urljoin(f"{line.origin}/", options.status_url), ended_at)
    return report_call(call, ended_at=ended_at, duplicate_agreed=duplicate_agreed)


@asynccontextmanager
async def _client(http: httpx.AsyncClient | None) -> AsyncIterator[httpx.AsyncClient]:
    if http is not None:
        yield http
        return
    async with httpx.AsyncClient() as own:
        yield own


def _sid(source: random.Random, kind: str) -> str:
    return f"{kind}{source.getrandbits(128):032x}"


def _standard_params(
    line: CarrierAccount, source: random.Random, call_sid: str, caller: str, called: str
) -> dict[str, str]:
    return {
        "AccountSid": line.account_sid,
        "ApiVersion": "2010-04-01",
        "CallSid": call_sid,
        "CallToken": f"%7B%22parentCallInfoToken%22%3A%22{source.getrandbits(64):x}%22%7D",
        "Direction": "inbound",
        "From": caller,
        "To": called,
        "Caller": caller,
        "Called": called,
        "FromCity": "",
        "FromCountry": "US",
        "ToCountry": "US",
        "StirVerstat": "TN-Validation-Passed-A",
    }


async def _ask_for_twiml(call: LiveCall, options: CallOptions) -> tuple[Document | None, bool | None]:
    url = urljoin(f"{call.account.origin}/", options.voice_url)
    if not options.duplicate_webhook:
        return await call.web.fetch(url), None
    answers: list[Document | None] = []

    async def ask() -> None:
        answers.append(await call.web.fetch(url))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        nursery.start_soon(ask)
    return answers[1], answers[0] == answers[1]


async def _converse(
    call: LiveCall,
    first: Document | None,
    scenario: Sequence[Moment],
    rest: Exchange | None,
    hang_up_after_s: float | None,
) -> None:
    if first is None:
        call.how_ended = HowEnded.APPLICATION_ERROR
        return
    call.web.call_status = "in-progress"
    call.handset.answered(trio.current_time())
    if rest is not None:
        rest.add(call)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_follow, call, scenario)
            if hang_up_after_s is not None:
                nursery.start_soon(_hang_up_after, call, hang_up_after_s)
            await run_twiml(call, first)
            nursery.cancel_scope.cancel()
    finally:
        call.web.call_status = "completed"
        if rest is not None:
            rest.remove(call)


async def _follow(call: LiveCall, scenario: Sequence[Moment]) -> None:
    for moment in scenario:
        if isinstance(moment, HangUp):
            break
        await _do(call, moment)
    call.hang_up()


async def _hang_up_after(call: LiveCall, seconds: float) -> None:
    await trio.sleep(seconds)
    call.hang_up()


async def _do(call: LiveCall, moment: Moment) -> None:
    handset = call.handset
    match moment:
        case Listen(quiet_ms, timeout_s):
            if not await handset.listen(quiet_ms, timeout_s):
                handset.given_up += 1
        case Say(clip, again):
            await handset.say(clip)
            if again and handset.said[-1].cut:
                await handset.listen(AGAIN_QUIET_MS, AGAIN_TIMEOUT_S)
                await handset.say(clip)
        case SayOver(clip, after_ms, timeout_s):
            over = await handset.wait_agent_speaking(after_ms, timeout_s)
            await handset.say(clip, over=over)
        case Wait(seconds):
            await handset.wait(seconds)
        case Press(digits):
            await handset.press(digits)
        case LoseStream(how):
            call.lose_stream(how)
        case StayOn(timeout_s):
            await handset.stay_on(timeout_s)
        case HangUp():
            pass


async def _report_status(call: LiveCall, url: str, ended_at: float) -> None:
    seconds = max(1, round(ended_at - call.handset.began_at))
    params = {
        "CallStatus": "no-answer" if call.how_ended is HowEnded.REJECTED else "completed",
        "CallDuration": str(seconds),
        "Duration": str(-(-seconds // 60)),
        "SequenceNumber": "0",
        "CallbackSource": "call-progress-events",
    }
    await call.web.notify(url, "POST", params)
