"""What a carrier or a stranger may send: each is refused or survived, counted by kind, and noticed by no other."""

import json
import time
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import trio
import trio.testing

from engine.server import reception
from engine.sim.caller import CallOptions
from engine.sim.carrier_call import CarrierOptions, HowEnded
from engine.sim.carrier_web import Signing
from engine.sim.scenario import HangUp, Listen, Say
from engine.sim.world import STATUS_URL
from engine.voice.cache import VoiceCache
from engine.wire.stream_token import StreamTokens
from tests.adversity.beside import beside_a_healthy_call
from tests.adversity.crowd import counted
from tests.adversity.raw_stream import SILENT, RawStream, new_sid, post, raw_stream, token_in, verbs
from tests.calls import PARKING, TENANT, Stage, stage

SECRET = "a secret that these tests share with their gateway"
POLICY = 1008
USUAL = CallOptions(status_url=STATUS_URL)


def issued(on: Stage, call_sid: str, *, secret: str = SECRET, age_s: float = 0.0) -> str:
    """A token as the gateway would have written it so long ago."""
    tokens = StreamTokens(secret, clock=lambda: time.time() - age_s)
    return tokens.issue(call_sid=call_sid, account_sid=on.world.account.account_sid, tenant_id=TENANT.id, attempt=0)


# --- who may speak to us at all ----------------------------------------------------------------------------------


async def test_webhooks_that_are_not_the_carriers_are_refused_and_counted(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    async with stage(tmp_path, speech) as on:

        async def strangers() -> None:
            for signing, counted_as in ((Signing.NONE, "no_signature"), (Signing.BAD, "signature")):
                report = await on.world.call([Listen()], options=CallOptions(webhook=signing))
                assert report.how_ended is HowEnded.APPLICATION_ERROR
                assert counted(on, "webhooks", path="voice", result=counted_as) == 1

        await beside_a_healthy_call(on, strangers)


async def test_a_stream_whose_handshake_is_not_the_carriers_ends_in_a_spoken_sentence(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    """The webhooks are genuine, so there is a caller: who hears the static script once the attempts are spent."""
    async with stage(tmp_path, speech) as on:

        async def stranger() -> None:
            for signing, counted_as in ((Signing.NONE, "no_signature"), (Signing.BAD, "signature")):
                options = replace(USUAL, carrier=CarrierOptions(handshake=signing))
                report = await on.world.call([Listen(), HangUp()], options=options)
                assert counted(on, "media_refused", reason=counted_as) == 1 + reception.RECOVERIES
                apology, *_ = report.said_by_static_verbs
                assert (apology.verb, apology.text) == ("Say", TENANT.script.apology)
                assert apology.at < 1000 * (sum(reception.BACK_OFF_S) + 0.1)

        await beside_a_healthy_call(on, stranger)
        assert counted(on, "webhooks", path="recover", result="given_up") == 2


async def test_a_token_opens_its_own_stream_once_and_no_other(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    async with stage(tmp_path, speech, secret_key=SECRET) as on:
        call = new_sid("CA")

        async def try_tokens() -> None:
            used = token_in(await post(on, "voice", call))
            async with raw_stream(on, call, started_with=used) as first:
                await first.stay_silent(1.0)
                for token, refused_as in (
                    (used, "token_used"),
                    (issued(on, new_sid("CA")), "token_foreign"),
                    (issued(on, call, age_s=31), "token_expired"),
                    (issued(on, call, secret="a secret of somebody else's"), "token_forged"),
                    ("nonsense", "token_malformed"),
                    ("", "token_malformed"),
                ):
                    before = counted(on, "media_refused", reason=refused_as)
                    async with raw_stream(on, call, started_with=token) as stranger:
                        await stranger.closed.wait()
                    assert stranger.close_code == POLICY
                    assert stranger.heard["media"] == 0
                    assert counted(on, "media_refused", reason=refused_as) == before + 1
                await first.stay_silent(1.0)
                assert not first.closed.is_set()
                assert first.heard["media"] > 0

        await beside_a_healthy_call(on, try_tokens)


async def test_a_second_stream_of_a_live_call_is_refused_and_the_first_goes_on(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    async with stage(tmp_path, speech, secret_key=SECRET) as on:
        call = new_sid("CA")
        token = token_in(await post(on, "voice", call))
        second = issued(on, call, age_s=2)

        async def twice() -> None:
            async with raw_stream(on, call, started_with=token) as first:
                await first.stay_silent(0.5)
                async with raw_stream(on, call, started_with=second) as other:
                    await other.closed.wait()
                assert other.close_code == POLICY
                heard = first.heard["media"]
                await first.stay_silent(1.0)
                assert first.heard["media"] > heard
                first.text(first.wire.stop())
                await first.closed.wait()
                assert first.close_code == 1000

        await beside_a_healthy_call(on, twice)
        assert counted(on, "media_refused", reason="second_stream") == 1
        await post(on, "status", call, CallStatus="completed")
        assert (await on.end_of(call)).outcome_reason == "caller_hung_up"


# --- what comes on a stream --------------------------------------------------------------------------------------


def media(stream: RawStream, **fields: object) -> bytes:
    """A media message with these fields changed; a field that is None is left out."""
    body: dict[str, object] = {
        "track": "inbound",
        "chunk": "1",
        "timestamp": "1000",
        "payload": b64encode(SILENT).decode(),
    }
    body.update(fields)
    kept = {name: value for name, value in body.items() if value is not None}
    return json.dumps(
        {"event": "media", "streamSid": stream.wire.stream_sid, "sequenceNumber": "9", "media": kept}
    ).encode()


BAD_MESSAGES: dict[str, tuple[str, Callable[[RawStream], bytes]]] = {
    "half of a message": ("malformed", lambda s: media(s)[:40]),
    "no object": ("malformed", lambda s: b"[1, 2, 3]"),
    "media without its object": (
        "malformed",
        lambda s: b'{"event":"media","streamSid":"%s"}' % s.wire.stream_sid.encode(),
    ),
    "a time before the beginning": ("malformed", lambda s: media(s, timestamp="-20")),
    "a chunk that is no number": ("malformed", lambda s: media(s, chunk="many")),
    "no payload": ("malformed", lambda s: media(s, payload=None)),
    "an empty payload": ("bad_payload", lambda s: media(s, payload="")),
    "a payload that is no base64": ("bad_payload", lambda s: media(s, payload="%%%%")),
    "too large": ("oversized", lambda s: media(s, payload=b64encode(SILENT * 400).decode())),
    "another stream's": (
        "wrong_stream",
        lambda s: json.dumps({**json.loads(media(s)), "streamSid": new_sid("MZ")}).encode(),
    ),
    "a second start": ("second_start", lambda s: s.wire.start({"token": "nonsense"})),
    "connected again": ("out_of_order", lambda s: s.wire.connected()),
    "a key that no telephone has": ("bad_digit", lambda s: s.wire.dtmf("E")),
    "a mark without its object": (
        "malformed",
        lambda s: b'{"event":"mark","streamSid":"%s"}' % s.wire.stream_sid.encode(),
    ),
}


async def test_stray_messages_are_counted_by_kind_and_survived(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    async with stage(tmp_path, speech) as on:

        async def sender() -> None:
            call = new_sid("CA")
            async with raw_stream(on, call, started_with=token_in(await post(on, "voice", call))) as stream:
                await stream.stay_silent(0.5)
                for what, (kind, message) in BAD_MESSAGES.items():
                    before = counted(on, "media_faults", kind=kind)
                    stream.text(message(stream))
                    await stream.stay_silent(0.2)
                    assert counted(on, "media_faults", kind=kind) == before + 1, what
                before = counted(on, "media_faults", kind="binary")
                stream.binary(b"\x00\x01\x02")
                stream.text(b'{"event":"invented","streamSid":"MZ","invented":{"by":"the carrier"}}')
                await stream.stay_silent(0.2)
                assert counted(on, "media_faults", kind="binary") == before + 1
                # The caller is still understood: a question is answered after all of that.
                await stream.stay_silent(3.0)
                heard = stream.heard["media"]
                await stream.say(on.said[PARKING].mulaw)
                await stream.stay_silent(3.0)
                assert stream.heard["media"] > heard
                assert not stream.closed.is_set()
                stream.text(stream.wire.stop())
                await stream.closed.wait()
            await post(on, "status", call, CallStatus="completed")
            end = await on.end_of(call)
            assert PARKING in [line["text"] for line in end.document["transcript"]]

        await beside_a_healthy_call(on, sender)


async def test_a_peer_that_talks_nothing_but_nonsense_is_closed_upon(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    async with stage(tmp_path, speech) as on:

        async def nonsense() -> None:
            call = new_sid("CA")
            async with raw_stream(on, call, started_with=token_in(await post(on, "voice", call))) as stream:
                await stream.stay_silent(0.5)
                for _ in range(30):
                    stream.text(b"{}")
                await stream.closed.wait()
            assert stream.close_code == POLICY
            await post(on, "status", call, CallStatus="completed")
            assert (await on.end_of(call)).outcome_reason == "bad_media"
            # Bytes that are no websocket, and a message before the start: from a peer that was never let in.
            async with raw_stream(on, new_sid("CA")) as early:
                early.text(media(early))
                await early.closed.wait()
            assert early.close_code == POLICY
            async with raw_stream(on, new_sid("CA")) as garbage:
                garbage.raw(b"\xff\xff\xff\xff garbage")
                await garbage.closed.wait()
            assert garbage.close_code == 1002
            async with raw_stream(on, new_sid("CA")) as mute:
                await mute.closed.wait()
            assert mute.close_code == POLICY

        await beside_a_healthy_call(on, nonsense)
        assert counted(on, "media_refused", reason="lost_before_start") == 2
        assert counted(on, "media_refused", reason="no_start") == 1
        assert counted(on, "media_faults", kind="websocket") == 1


# --- webhooks ----------------------------------------------------------------------------------------------------


async def test_a_number_that_nobody_has_is_told_so_in_words(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    async with stage(tmp_path, speech) as on:

        async def wrong_number() -> None:
            report = await on.world.call([Listen()], called="+15550109999")
            assert [one.text for one in report.said_by_static_verbs] == [reception.NOT_IN_SERVICE]
            assert report.how_ended is HowEnded.TWIML_ENDED
            assert report.streams == 0

        await beside_a_healthy_call(on, wrong_number)
        assert counted(on, "webhooks", path="voice", result="unknown_number") == 1


async def test_a_webhook_that_comes_twice_is_answered_alike_and_makes_one_stream(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    async with stage(tmp_path, speech) as on:

        async def twice() -> None:
            options = replace(USUAL, duplicate_webhook=True)
            report = await on.world.call([Listen(), Say(on.said[PARKING]), Listen(), HangUp()], options=options)
            assert report.duplicate_agreed
            assert (report.streams, report.unanswered, report.gaps_ms) == (1, 0, ())
            await on.end_of(report.call_sid)

        await beside_a_healthy_call(on, twice)
        assert counted(on, "webhooks", path="voice", result="repeated") == 1
        assert counted(on, "webhooks", path="voice", result="connect") == 2
        assert len(on.model.sessions) == 2


async def test_webhooks_that_cannot_be_read_are_refused(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    async with stage(tmp_path, speech) as on:

        async def unreadable() -> None:
            too_long = await post(on, "voice", "C" * 65)
            assert (too_long.status_code, counted(on, "webhooks", path="voice", result="no_call_sid")) == (400, 1)
            too_large = await post(on, "status", new_sid("CA"), Noise="x" * 70_000)
            assert (too_large.status_code, counted(on, "webhooks", path="status", result="too_large")) == (413, 1)
            for name in ("status", "stream-status", "amd"):
                assert (await post(on, name, new_sid("CA"), CallStatus="completed")).status_code == 204
            assert verbs(await post(on, "recover", new_sid("CA"), CallStatus="completed")) == ["Hangup"]

        await beside_a_healthy_call(on, unreadable)
