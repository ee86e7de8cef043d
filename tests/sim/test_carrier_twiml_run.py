"""What a call runs through beside its stream: recovery, REST, static verbs, failing webhooks."""

from dataclasses import replace
from functools import partial
from urllib.parse import urlsplit

import httpx
import pytest
import trio

from engine.errors import CarrierError
from engine.sim.caller import CallOptions, place_call
from engine.sim.carrier_call import CarrierOptions, DialOutcome, HowEnded
from engine.sim.carrier_dial import DialFailed, Dialled, dial_stream, stream_address
from engine.sim.carrier_rest import CarrierRest, Mood
from engine.sim.carrier_web import Signing, reachable
from engine.sim.report import PhoneReport
from engine.sim.scenario import HangUp, Listen, LoseStream, Moment, Press, Say, StayOn, Wait
from engine.telephony.rest import TwilioRest
from tests.sim.phone_world import ACCOUNT, Stream, World, clip, tone, world


async def call(here: World, scenario: list[Moment], **more: object) -> PhoneReport:
    with trio.fail_after(600):
        return await place_call(
            line=ACCOUNT,
            caller="+15005550006",
            called="+15005550001",
            scenario=scenario,
            plane=here.plane,
            http=here.http,
            **more,  # type: ignore[arg-type]
        )


async def quiet(stream: Stream) -> None:
    await trio.sleep_forever()


async def greets(stream: Stream) -> None:
    await stream.play(tone(400), "u1:end")
    await trio.sleep_forever()


async def closes_at_once(stream: Stream) -> None:
    await stream.play(tone(200), "u1:end")
    await trio.sleep(1)
    await stream.ws.aclose(1000)


async def test_a_closed_stream_on_a_live_call_asks_the_action_and_goes_on(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def script(stream: Stream) -> None:
        if stream is here.streams[0]:
            await trio.sleep(0.5)
            await stream.play(tone(300, 500), "u1:1")
            await trio.sleep(0.5)
            await stream.ws.aclose(1011)
        else:
            await trio.sleep(0.5)
            await greets(stream)

    async with world(script) as here:
        here.twiml["/twilio/voice"] = here.connect(action="/twilio/recover")
        here.twiml["/twilio/recover"] = here.connect()
        report = await call(here, [Listen(), Say(clip(300)), HangUp()])
        first, second = here.streams
    (recover,) = here.forms("/twilio/recover")
    (voice,) = here.forms("/twilio/voice")
    assert recover["CallSid"] == voice["CallSid"] == first.start["callSid"] == second.start["callSid"]
    assert (voice["CallStatus"], recover["CallStatus"]) == ("ringing", "in-progress")
    assert first.sid != second.sid
    assert second.messages[1]["sequenceNumber"] == "1"
    assert second.of("media")[0]["media"]["chunk"] == "1"
    # The greeting of the lost stream does not count: the caller listens to the new one before it speaks.
    assert first.caller.rstrip(b"\xff") == b""
    assert second.caller.rstrip(b"\xff") != b""
    assert report.streams == 2
    assert len(report.agent_sound) == 2
    assert 31921 in [entry.code for entry in report.debugger]
    assert report.protocol_faults == ()


async def test_without_an_action_the_next_verb_runs(autojump_clock: trio.testing.MockClock) -> None:
    async with world(closes_at_once) as here:
        here.twiml["/twilio/voice"] = here.connect(after="<Say>We are sorry.</Say><Dial>+15005550009</Dial>")
        report = await call(here, [StayOn(60)])
    assert [(one.verb, one.text) for one in report.said_by_static_verbs] == [
        ("Say", "We are sorry."),
        ("Dial", "+15005550009"),
    ]
    assert report.how_ended is HowEnded.TWIML_ENDED


async def test_a_stream_lost_while_the_caller_speaks_cuts_the_clip(autojump_clock: trio.testing.MockClock) -> None:
    async def script(stream: Stream) -> None:
        if stream is here.streams[0]:
            await stream.until(lambda: len(stream.caller.rstrip(b"\xff")) > 4000)
            await stream.ws.aclose(1001)
        else:
            await greets(stream)

    async with world(script) as here:
        here.twiml["/twilio/voice"] = here.connect(action="/twilio/recover")
        here.twiml["/twilio/recover"] = here.connect()
        report = await call(here, [Say(clip(5000)), Listen(), HangUp()])
    (said,) = report.said
    assert said.cut
    assert said.voiced_until - said.voiced_at < 1000
    assert report.responses == ()


async def test_the_way_can_break_while_the_caller_stays(autojump_clock: trio.testing.MockClock) -> None:
    async with world(greets) as here:
        here.twiml["/twilio/voice"] = here.connect(action="/twilio/recover")
        here.twiml["/twilio/recover"] = here.connect()
        report = await call(here, [Listen(), LoseStream(), Listen(), HangUp()])
        assert [stream.closed for stream in here.streams] == [1006, 1000]
    assert report.streams == 2
    assert report.given_up == 0


async def test_an_update_by_rest_replaces_the_document(autojump_clock: trio.testing.MockClock) -> None:
    async with world(greets) as here, trio.open_nursery() as nursery, httpx.AsyncClient() as http:
        rest = CarrierRest.of(ACCOUNT)
        url = await nursery.start(rest.serve)
        carrier = TwilioRest(http, api_url=url, account_sid=ACCOUNT.account_sid, auth_token=ACCOUNT.auth_token)
        here.twiml["/twilio/voice"] = here.connect(after="<Say>never heard</Say>")
        here.twiml["/twilio/dial-done"] = "<Response><Hangup/></Response>"

        async def transfer() -> None:
            await trio.sleep(3)
            (form,) = here.forms("/twilio/voice")
            dial = '<Dial action="http://gateway.test/twilio/dial-done"><Number>+15005550009</Number></Dial>'
            await carrier.redirect_call(form["CallSid"], f"<Response>{dial}</Response>")

        nursery.start_soon(transfer)
        outcome = CallOptions(carrier=CarrierOptions(dial_outcomes=(DialOutcome("no-answer", 10),)))
        report = await call(here, [StayOn(60)], rest=rest, options=outcome)
        (stream,) = here.streams
        nursery.cancel_scope.cancel()
    assert stream.messages[-1]["event"] == "stop"
    assert [one.verb for one in report.said_by_static_verbs] == ["Dial"]
    (done,) = here.forms("/twilio/dial-done")
    assert done["DialCallStatus"] == "no-answer"
    assert report.how_ended is HowEnded.TWIML_ENDED


async def test_completed_by_rest_ends_the_call_once(autojump_clock: trio.testing.MockClock) -> None:
    async with world(greets) as here, trio.open_nursery() as nursery, httpx.AsyncClient() as http:
        rest = CarrierRest.of(ACCOUNT)
        url = await nursery.start(rest.serve)
        carrier = TwilioRest(http, api_url=url, account_sid=ACCOUNT.account_sid, auth_token=ACCOUNT.auth_token)
        rest.script([Mood.TOO_MANY, Mood.UNAVAILABLE, Mood.LOST])

        async def end() -> None:
            await trio.sleep(3)
            (form,) = here.forms("/twilio/voice")
            await carrier.end_call(form["CallSid"])  # refused, refused, done without an answer: gives up
            pytest.fail("the third answer was lost")

        async def end_tolerantly() -> None:
            with pytest.raises(CarrierError, match="no answer"):
                await end()
            (form,) = here.forms("/twilio/voice")
            await carrier.end_call(form["CallSid"])  # 404: has ended

        here.twiml["/twilio/voice"] = here.connect(action="/twilio/recover")
        nursery.start_soon(end_tolerantly)
        report = await call(here, [StayOn(60)], rest=rest)
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert report.how_ended is HowEnded.COMPLETED_BY_REST
    assert [update.form for update in rest.updates] == [{"Status": "completed"}]
    assert here.forms("/twilio/recover") == []


@pytest.mark.parametrize(
    ("path", "password", "form", "status", "code"),
    [
        ("/2010-04-01/Accounts/{ac}/Calls/CA1.json", "wrong", {"Status": "completed"}, 401, 20003),
        ("/2010-04-01/Accounts/{ac}/Calls/CA2.json", None, {"Status": "completed"}, 404, 20404),
        ("/2010-04-01/Accounts/AC9/Calls/CA1.json", None, {"Status": "completed"}, 404, 20404),
        ("/2010-04-01/Accounts/{ac}/Calls/CA1.json", None, {"Status": "canceled"}, 400, 21218),
        ("/2010-04-01/Accounts/{ac}/Calls/CA1.json", None, {"Twiml": "x" * 4001}, 400, 20422),
        ("/2010-04-01/Accounts/{ac}/Calls/CA1.json", None, {"Colour": "red"}, 400, 20422),
    ],
)
async def test_rest_refuses_what_the_carrier_refuses(
    path: str, password: str | None, form: dict[str, str], status: int, code: int
) -> None:
    class Untouched:
        sid = "CA1"
        is_live = True

        def complete(self) -> None:
            pytest.fail("was ended")

        def replace(self, document: object) -> None:
            pytest.fail("was updated")

    async with trio.open_nursery() as nursery, httpx.AsyncClient() as http:
        rest = CarrierRest.of(ACCOUNT)
        url = await nursery.start(rest.serve)
        rest.add(Untouched())
        auth = httpx.BasicAuth(ACCOUNT.account_sid, password or ACCOUNT.auth_token)
        answer = await http.post(url + path.format(ac=ACCOUNT.account_sid), data=form, auth=auth)
        nursery.cancel_scope.cancel()
    assert answer.status_code == status
    assert answer.json()["code"] == code
    assert rest.updates == []


async def test_a_message_is_recorded_after_the_prompt(autojump_clock: trio.testing.MockClock) -> None:
    async with world(quiet) as here:
        here.twiml["/twilio/voice"] = (
            "<Response><Say>Please leave a message after the tone.</Say>"
            '<Record action="/twilio/recording" recordingStatusCallback="/twilio/recorded" timeout="3"/></Response>'
        )
        here.twiml["/twilio/recording"] = "<Response><Hangup/></Response>"
        here.twiml["/twilio/recorded"] = "<Response/>"
        report = await call(here, [Listen(), Say(clip(4000)), StayOn(60)])
    (form,) = here.forms("/twilio/recording")
    assert 7 <= int(form["RecordingDuration"]) <= 9
    assert here.forms("/twilio/recorded")[0]["RecordingStatus"] == "completed"
    assert [one.verb for one in report.said_by_static_verbs] == ["Say", "Record"]
    assert report.said[0].voiced_at >= report.said_by_static_verbs[1].at


async def test_hanging_up_in_a_recording_still_tells_of_it(autojump_clock: trio.testing.MockClock) -> None:
    async with world(quiet) as here:
        here.twiml["/twilio/voice"] = '<Response><Record recordingStatusCallback="/twilio/recorded"/></Response>'
        report = await call(here, [Listen(), Say(clip(1000)), HangUp()])
    assert report.how_ended is HowEnded.CALLER_HUNG_UP
    assert len(here.forms("/twilio/recorded")) == 1


async def test_keys_are_gathered(autojump_clock: trio.testing.MockClock) -> None:
    async with world(quiet) as here:
        here.twiml["/twilio/voice"] = (
            '<Response><Gather action="/keys" numDigits="2"><Say>Press two keys, please, when you are ready.</Say>'
            "</Gather><Redirect>/nothing</Redirect></Response>"
        )
        here.twiml["/keys"] = "<Response/>"
        report = await call(here, [Wait(0.5), Press("42"), StayOn(10)])
    assert [form["Digits"] for form in here.forms("/keys")] == ["42"]
    assert here.forms("/nothing") == []
    (prompt,) = report.said_by_static_verbs
    assert prompt.until - prompt.at == pytest.approx(500, abs=20), "the first key ends the prompt"


async def test_nothing_gathered_goes_on_with_the_next_verb(autojump_clock: trio.testing.MockClock) -> None:
    async with world(quiet) as here:
        here.twiml["/twilio/voice"] = (
            '<Response><Gather action="/keys" timeout="2"/><Redirect method="GET">/next?a=1</Redirect></Response>'
        )
        here.twiml["/next"] = "<Response><Reject/></Response>"
        report = await call(here, [StayOn(30)])
    assert here.forms("/keys") == []
    assert report.how_ended is HowEnded.REJECTED


async def test_a_failing_webhook_is_answered_by_the_fallback(autojump_clock: trio.testing.MockClock) -> None:
    async with world(quiet) as here:
        del here.twiml["/twilio/voice"]
        here.twiml["/elsewhere"] = "<Response><Say>Please call later.</Say></Response>"
        report = await call(here, [StayOn(30)], options=CallOptions(fallback_url="/elsewhere"))
    (form,) = here.forms("/elsewhere")
    assert form["ErrorCode"] == "11200"
    assert form["ErrorUrl"].endswith("/twilio/voice")
    assert [one.text for one in report.said_by_static_verbs] == ["Please call later."]


async def test_an_unreachable_gateway_is_tried_twice(autojump_clock: trio.testing.MockClock) -> None:
    tries = 0

    def refuse(request: httpx.Request) -> httpx.Response:
        nonlocal tries
        tries += 1
        raise httpx.ConnectError("refused", request=request)

    async with world(quiet) as here, httpx.AsyncClient(transport=httpx.MockTransport(refuse)) as http:
        here.http = http
        report = await call(here, [StayOn(30)])
    assert tries == 2
    assert report.how_ended is HowEnded.APPLICATION_ERROR
    assert [entry.code for entry in report.debugger] == [11205]


async def test_a_duplicated_webhook_is_one_call(autojump_clock: trio.testing.MockClock) -> None:
    async with world(greets) as here:
        report = await call(here, [Listen(), HangUp()], options=CallOptions(duplicate_webhook=True))
        assert len(here.streams) == 1
    first, second = here.forms("/twilio/voice")
    assert first == second
    assert report.duplicate_agreed is True


async def test_the_end_is_reported_to_the_status_url(autojump_clock: trio.testing.MockClock) -> None:
    async with world(greets) as here:
        here.twiml["/twilio/status"] = "<Response/>"
        await call(here, [Listen(), HangUp()], options=CallOptions(status_url="/twilio/status"))
    (form,) = here.forms("/twilio/status")
    assert form["CallStatus"] == "completed"
    assert form["CallDuration"] == "1"


async def test_stream_callbacks_are_sent_where_asked_for(autojump_clock: trio.testing.MockClock) -> None:
    async with world(greets) as here:
        here.twiml["/told"] = "<Response/>"
        here.twiml["/twilio/voice"] = here.connect().replace("<Stream ", '<Stream statusCallback="/told" ')
        await call(here, [Listen(), HangUp()])
        (stream,) = here.streams
    told = here.forms("/told")
    assert [form["StreamEvent"] for form in told] == ["stream-started", "stream-stopped"]
    assert {form["StreamSid"] for form in told} == {stream.sid}


async def test_unknown_verbs_are_warned_of_and_skipped(autojump_clock: trio.testing.MockClock) -> None:
    async with world(quiet) as here:
        here.twiml["/twilio/voice"] = '<Response><Dance/><Say tone="loud">Hello.</Say></Response>'
        report = await call(here, [StayOn(30)])
    assert [entry.code for entry in report.protocol_faults] == [12200, 12200]
    assert [one.text for one in report.said_by_static_verbs] == ["Hello."]


@pytest.mark.parametrize(
    ("stream", "code"),
    [
        ('<Stream url="https://gateway.test/media"/>', 31922),
        ('<Stream url="{url}" track="both_tracks"/>', 31941),
        ('<Stream url="ws://127.0.0.1:1/media"/>', 31902),
        ("<Stream/>", 31923),
    ],
)
async def test_a_stream_that_cannot_be_is_refused_by_its_code(
    autojump_clock: trio.testing.MockClock, stream: str, code: int
) -> None:
    async with world(quiet) as here:
        here.twiml["/twilio/voice"] = (
            f"<Response><Connect>{stream.format(url=here.media_url)}</Connect><Say>Sorry.</Say></Response>"
        )
        report = await call(here, [StayOn(30)])
    assert [entry.code for entry in report.debugger] == [code]
    assert [one.text for one in report.said_by_static_verbs] == ["Sorry."]


async def test_many_calls_share_one_plane(autojump_clock: trio.testing.MockClock) -> None:
    reports: list[PhoneReport] = []

    async def one(here: World) -> None:
        reports.append(await call(here, [Listen(), Wait(1), HangUp()]))

    async with world(greets) as here, trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(partial(one, here))
    assert len({report.call_sid for report in reports}) == 20
    assert {report.how_ended for report in reports} == {HowEnded.CALLER_HUNG_UP}


async def test_the_public_url_is_signed_and_the_gateway_dialled(autojump_clock: trio.testing.MockClock) -> None:
    async with world(greets) as here:
        port = urlsplit(here.media_url).port
        here.media_url = "wss://voice.example.com/twilio/media"
        account = replace(ACCOUNT, gateway_url=f"http://127.0.0.1:{port}", public_url="https://voice.example.com")
        assert reachable(account, "https://voice.example.com/a?b=c") == f"http://127.0.0.1:{port}/a?b=c"
        assert reachable(account, "https://elsewhere.example.com/a") == "https://elsewhere.example.com/a"
        dialled = await dial_stream(account, here.media_url, Signing.GOOD)
        assert isinstance(dialled, Dialled)
        dialled.sock.close()
        refused = await dial_stream(replace(account, auth_token="other"), here.media_url, Signing.GOOD)
        assert isinstance(refused, DialFailed)
        assert refused.code == 31920
        assert isinstance(stream_address(account, "ws://voice.example.com/twilio/media"), DialFailed)
        assert stream_address(account, f"{here.media_url}?a=1") == (
            here.media_url,
            "the query string of the stream's URL is dropped",
        )
