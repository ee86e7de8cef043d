"""A browser's call of which a way breaks: the page's to us, or ours to the gateway. In real time."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from engine.backoffice import phone_line
from engine.sim.recognise import find_clip
from engine.voice.cache import VoiceCache
from tests.backoffice.phoning import Exchange, Phone, phoning
from tests.backoffice.test_phone import ended, exchange, on_the_board, outcome
from tests.backoffice.wire import Wire

__all__ = ["exchange"]  # the fixture

pytestmark = pytest.mark.real_time

LINE = "We will call you back."


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    async with trio.open_nursery() as nursery:
        wire = Wire()
        await nursery.start(wire.serve)
        yield wire
        nursery.cancel_scope.cancel()


async def say_aloud(exchange: Exchange, phone: Phone, sid: str, speech: VoiceCache) -> None:
    """A line of the operator's reaches that phone."""
    await on_the_board(exchange, sid)
    await exchange.office.live.order(sid, exchange.tenant.id, "say", {"by": "test", "text": LINE})
    with trio.fail_after(10):
        while find_clip(bytes(phone.heard), speech.mulaw(LINE)) is None:
            await trio.sleep(0.2)


async def test_a_page_whose_socket_broke_takes_the_call_up_again(exchange: Exchange, speech: VoiceCache) -> None:
    async with exchange.page() as page:
        rung = await exchange.ring(page)
        async with exchange.line(rung["line"], page) as phone:
            await phone.until("mark")
            phone.break_off()
            with trio.fail_after(5):
                while phone.closed is None:
                    await trio.sleep(0.01)
        await trio.sleep(1.0)  # of a tunnel
        async with exchange.line(rung["line"], page) as again:
            assert (await again.until("start"))["streamSid"] == phone.told[0]["streamSid"]
            await say_aloud(exchange, again, rung["call_sid"], speech)
            await again.say("stop")
            await again.until("ended")
    end = await ended(exchange, rung["call_sid"])
    assert end.outcome_reason == "caller_hung_up"
    assert [one["kind"] for one in end.document["timeline"]].count("line") == 1  # to the gateway nothing broke


async def test_a_page_that_stays_away_has_hung_up(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phone_line, "AWAY_S", 1.0)
    async with exchange.page() as page:
        rung = await exchange.ring(page)
        async with exchange.line(rung["line"], page) as phone:
            await phone.until("mark")
        assert await outcome(exchange, rung["call_sid"]) == "caller_hung_up"
        async with exchange.line(rung["line"], page) as late:  # it was, say, a tunnel of eleven seconds
            assert (await late.until("ended"))["why"] == "You hung up."


async def test_a_line_has_one_page_which_is_the_newest(exchange: Exchange) -> None:
    async with exchange.page() as page:
        rung = await exchange.ring(page)
        async with exchange.line(rung["line"], page) as first:
            await first.until("start")
            async with exchange.line(rung["line"], page) as second:
                await second.until("mark")
                with trio.fail_after(5):
                    while first.closed is None:
                        await trio.sleep(0.01)
                await second.say("stop")
                await second.until("ended")
    assert [one["event"] for one in first.told if one["event"] == "ended"] == []


async def test_a_stream_that_breaks_is_taken_up_anew(url: str, tmp_path: Path, speech: VoiceCache, wire: Wire) -> None:
    async with phoning(url, tmp_path, speech, wire=wire) as exchange, exchange.page() as page:
        rung = await exchange.ring(page)
        async with exchange.line(rung["line"], page) as phone:
            await phone.until("mark")
            wire.cut()
            assert (await phone.until("stopped"))["broken"] is True
            await phone.until("start", times=2)
            await say_aloud(exchange, phone, rung["call_sid"], speech)
            await phone.say("stop")
            await phone.until("ended")
        end = await ended(exchange, rung["call_sid"])
    assert [one["facts"]["attempt"] for one in end.document["timeline"] if one["kind"] == "line"] == [0, 1]
    assert find_clip(bytes(phone.heard), speech.mulaw(exchange.tenant.script.apology)) is not None


async def test_who_hangs_up_while_the_stream_is_opened_is_let_go(
    url: str, tmp_path: Path, speech: VoiceCache, wire: Wire
) -> None:
    async with phoning(url, tmp_path, speech, wire=wire) as exchange, exchange.page() as page:
        rung = await exchange.ring(page)
        wire.slow_s = 1.0
        async with exchange.line(rung["line"], page) as phone:
            await trio.sleep(0.5)
            await phone.say("stop")
            assert (await phone.until("ended"))["why"] == "You hung up."
    assert phone.told[0]["event"] == "ended"


async def test_a_gateway_that_is_gone_is_said_to_be_that(
    url: str, tmp_path: Path, speech: VoiceCache, wire: Wire
) -> None:
    async with phoning(url, tmp_path, speech, wire=wire) as exchange, exchange.page() as page:
        rung = await exchange.ring(page)
        async with exchange.line(rung["line"], page) as phone:
            await phone.until("mark")
            wire.down()
            over = await phone.until("ended")
    assert over["why"].startswith("The gateway cannot be reached any more")
    assert any(wire.url in problem for problem in over["problems"])
