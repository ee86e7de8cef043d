"""What the carrier is told, over real HTTP, by its own rules."""

import httpx
import pytest
import trio
import trio.testing

from engine.call.switchboard_types import Admission, EndState
from engine.tenants.directory import MemoryDirectory
from engine.wire.twilio_signature import sign
from tests.server.carrier import ACCOUNT, AUTH_TOKEN, CALL, PUBLIC_URL, STREAM, static_script_of, token_in, verbs
from tests.server.world import NUMBER, FakeSwitchboard, open_world

NAMES = ["voice", "recover", "status", "stream-status", "dial-done", "amd", "recording"]


@pytest.mark.parametrize("name", NAMES)
async def test_an_unsigned_or_wrongly_signed_request_is_forbidden(name: str) -> None:
    async with open_world() as world:
        assert (await world.post(name, sign_with=None)).status_code == 403
        assert (await world.post(name, sign_with="guessed")).status_code == 403
        assert (await world.http.get(f"/twilio/{name}", params={"CallSid": CALL})).status_code == 403
        assert world.counted(name, "no_signature") == 2
        assert world.counted(name, "signature") == 1
        assert not world.switchboard.rung
        assert not world.switchboard.told_ended


async def test_a_signature_by_a_shared_key_is_not_believed() -> None:
    async with open_world() as world:
        headers = {"X-Twilio-Webhooks-Signature-Settings": "key=1,algorithm=HMAC_SHA256"}
        assert (await world.post("voice", headers=headers)).status_code == 403


async def test_a_call_is_connected_and_announced() -> None:
    async with open_world() as world:
        answer = await world.post("voice")
        assert answer.headers["content-type"] == "text/xml; charset=utf-8"
        assert verbs(answer.text) == ["Connect"]
        assert f'action="{PUBLIC_URL}/twilio/recover"' in answer.text
        assert 'url="wss://voice.example.com/twilio/media"' in answer.text
        assert f'statusCallback="{PUBLIC_URL}/twilio/stream-status"' in answer.text
        assert world.switchboard.rung == [(CALL, "bakery", "+15005550006", NUMBER)]


async def test_a_call_may_be_asked_about_by_get() -> None:
    async with open_world() as world:
        query = str(httpx.QueryParams({"CallSid": CALL, "AccountSid": ACCOUNT, "To": NUMBER, "CallerName": ""}))
        url = f"/twilio/voice?{query}"
        answer = await world.http.get(url, headers={"X-Twilio-Signature": sign(AUTH_TOKEN, PUBLIC_URL + url)})
        assert verbs(answer.text) == ["Connect"]


async def test_a_path_with_a_slash_at_its_end_is_served() -> None:
    async with open_world() as world:
        assert verbs((await world.post("voice/")).text) == ["Connect"]


async def test_an_outbound_call_belongs_to_the_business_that_calls() -> None:
    async with open_world() as world:
        answer = await world.post("voice", Direction="outbound-api", From=NUMBER, To="+15005550006")
        assert verbs(answer.text) == ["Connect"]


async def test_a_repeated_webhook_gets_the_same_bytes_while_nobody_has_come() -> None:
    async with open_world() as world:
        first = await world.post("voice")
        world.wall[0] += 5  # a token issued now would be another
        assert (await world.post("voice")).content == first.content
        assert len(world.switchboard.rung) == 1
        assert world.counted("voice", "repeated") == 1


async def test_a_webhook_repeated_after_the_token_went_stale_gets_a_new_one(
    mock_clock: trio.testing.MockClock,
) -> None:
    mock_clock.rate = 50
    async with open_world() as world:
        first = token_in((await world.post("voice")).text)
        await trio.sleep(26)
        world.wall[0] += 26
        assert token_in((await world.post("voice")).text) != first


async def test_a_webhook_repeated_while_the_call_is_live_neither_ends_it_nor_opens_a_second_stream() -> None:
    async with open_world() as world, world.dial() as websocket:
        await world.start(websocket, await world.token())
        await world.wait_for(lambda: CALL in world.switchboard.lines)
        answer = await world.post("voice")
        assert verbs(answer.text) == ["Pause", "Redirect"]
        assert f"{PUBLIC_URL}/twilio/recover" in answer.text
        assert CALL in world.switchboard.lines


async def test_a_stream_displaced_by_a_repeated_webhook_is_recovered_though_it_looked_like_a_hang_up() -> None:
    board = FakeSwitchboard(ended_on=lambda lost: EndState.ENDED)
    async with open_world(switchboard=board) as world:
        async with world.dial() as websocket:
            await world.start(websocket, await world.token())
            await world.wait_for(lambda: CALL in board.lines)
            assert verbs((await world.post("voice")).text) == ["Pause", "Redirect"]
        await world.wait_for(lambda: not board.lines)
        assert verbs((await world.post("recover", CallStatus="in-progress")).text) == ["Connect"]
        assert verbs((await world.post("recover", CallStatus="in-progress")).text) == ["Hangup"]


async def test_a_number_that_nobody_has_is_told_politely() -> None:
    async with open_world() as world:
        answer = await world.post("voice", To="+15005559999")
        assert verbs(answer.text) == ["Say", "Hangup"]
        assert world.counted("voice", "unknown_number") == 1
        assert not world.switchboard.rung


@pytest.mark.parametrize("admission", [Admission.FULL, Admission.TENANT_FULL, Admission.DRAINING])
async def test_a_call_that_cannot_be_served_hears_the_static_script(admission: Admission) -> None:
    async with open_world(switchboard=FakeSwitchboard(admit=admission)) as world:
        assert static_script_of(await world.post("voice"))
        assert world.counted("voice", str(admission)) == 1
        assert not world.switchboard.rung


@pytest.mark.parametrize("name", ["voice", "recover"])
async def test_a_bug_of_ours_still_leaves_the_caller_with_the_static_script(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world() as world:
        monkeypatch.setattr(world.switchboard, "end_reason", lambda call_sid: 1 / 0)
        assert static_script_of(await world.post(name))
        assert world.counted(name, "failed") == 1
        assert world.crashes("webhook") == 1


async def test_the_caller_hears_something_even_if_the_directory_is_what_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_world() as world:
        monkeypatch.setattr(MemoryDirectory, "tenant_for_number", lambda self, number: 1 / 0)
        assert verbs((await world.post("voice")).text) == ["Say", "Hangup"]
        assert verbs((await world.post("dial-done")).text) == ["Say", "Hangup"]
        assert (await world.post("status", CallStatus="completed")).status_code == 204


# --- notices -------------------------------------------------------------------------------------------------------


async def test_the_end_of_a_call_is_passed_on_and_its_progress_is_not() -> None:
    async with open_world() as world:
        assert (await world.post("status", CallStatus="in-progress")).status_code == 204
        assert not world.switchboard.told_ended
        assert (await world.post("status", CallStatus="completed")).status_code == 204
        assert world.switchboard.told_ended == [(CALL, "call status completed")]


async def test_a_stream_error_ends_the_line_of_that_stream_only() -> None:
    async with open_world() as world, world.dial() as websocket:
        await world.start(websocket, await world.token())
        await world.wait_for(lambda: CALL in world.switchboard.lines)
        for stream_sid, expected in (("MZ" + "9" * 32, 0), (STREAM, 1)):
            answer = await world.post(
                "stream-status", StreamEvent="stream-error", StreamSid=stream_sid, StreamError="31924"
            )
            assert answer.status_code == 204
            assert len(world.switchboard.told_ended) == expected


async def test_the_start_and_stop_of_a_stream_are_only_noted() -> None:
    async with open_world() as world:
        for event in ("stream-started", "stream-stopped"):
            assert (await world.post("stream-status", StreamEvent=event, StreamSid=STREAM)).status_code == 204
        assert not world.switchboard.told_ended


@pytest.mark.parametrize(
    ("status", "expected"), [("completed", ["Hangup"]), ("no-answer", ["Say", "Record", "Hangup"])]
)
async def test_a_person_who_does_not_answer_is_replaced_by_a_recorder(status: str, expected: list[str]) -> None:
    async with open_world() as world:
        answer = await world.post("dial-done", DialCallStatus=status)
        assert verbs(answer.text) == expected
        assert ("/twilio/recording" in answer.text) == (status == "no-answer")


async def test_a_message_that_the_carrier_recorded_is_passed_on() -> None:
    async with open_world() as world:
        told = {"RecordingUrl": "https://api.example.com/RE1", "RecordingSid": "RE1", "RecordingDuration": "12"}
        assert verbs((await world.post("recording", more=told)).text) == ["Say", "Hangup"]
        assert (await world.post("recording", more=told, RecordingStatus="completed")).status_code == 204
        first, second = world.recordings
        assert first == second
        assert (first.tenant_id, first.url, first.duration_s) == ("bakery", "https://api.example.com/RE1", 12.0)


async def test_who_answered_an_outbound_call_is_noted() -> None:
    async with open_world() as world:
        assert (await world.post("amd", AnsweredBy="machine_start")).status_code == 204
        assert world.counted("amd", "noted") == 1


# --- input that nobody should send ---------------------------------------------------------------------------------


async def test_a_body_above_the_bound_is_refused() -> None:
    async with open_world() as world:
        assert (await world.post("voice", Extra="x" * 70_000)).status_code == 413
        assert world.counted("voice", "too_large") == 1


async def test_a_request_without_a_call_is_refused() -> None:
    async with open_world() as world:
        assert (await world.post("voice", CallSid="")).status_code == 400
        assert (await world.post("voice", CallSid="C" * 65)).status_code == 400


async def test_a_body_of_more_fields_than_anybody_sends_is_refused() -> None:
    async with open_world() as world:
        answer = await world.post("voice", more={f"Field{number}": "" for number in range(600)})
        assert answer.status_code == 400


async def test_a_body_that_is_no_form_is_not_believed() -> None:
    async with open_world() as world:
        headers = {"X-Twilio-Signature": sign(AUTH_TOKEN, f"{PUBLIC_URL}/twilio/voice"), "content-type": "text/plain"}
        answer = await world.http.post("/twilio/voice", content=b"\xff\xfe CallSid=CA1", headers=headers)
        assert answer.status_code == 400


async def test_other_methods_and_paths_are_refused_briefly() -> None:
    async with open_world() as world:
        assert (await world.http.put("/twilio/voice")).status_code == 405
        answer = await world.http.get("/twilio/nothing")
        assert (answer.status_code, answer.text) == (404, "Not Found\n")
