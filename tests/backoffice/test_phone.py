"""The browser phone without a browser: who may call, what the gateway gets, how a call ends. In real time."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trio
from pydantic import SecretStr

from engine.audio import g711
from engine.backoffice import phone_wire
from engine.backoffice.app import build_backoffice
from engine.backoffice.office import Office
from engine.backoffice.phone_pass import LASTS_S, new_pass
from engine.sim.recognise import find_clip
from engine.sim.serving import free_ports
from engine.store.interface import CallEnd
from engine.tenants.tenant import Tenant
from engine.voice.cache import VoiceCache
from tests.backoffice.conftest import TOKEN, Desk, key_of
from tests.backoffice.phoning import PAGE, Exchange, phoning

pytestmark = pytest.mark.real_time

CALLER = "+15550100199"
LOUD = 500
LINE = "We will call you back."


@pytest.fixture
async def exchange(url: str, tmp_path: Path, speech: VoiceCache) -> AsyncIterator[Exchange]:
    async with phoning(url, tmp_path, speech) as opened:
        yield opened


async def on_the_board(exchange: Exchange, sid: str) -> None:
    with trio.fail_after(10):
        while sid not in (await exchange.office.live.board()).calls:
            await trio.sleep(0.1)


async def ended(exchange: Exchange, sid: str) -> CallEnd:
    with trio.fail_after(15):
        while True:
            for end in await exchange.world.composed.store.calls(exchange.tenant.id):
                if end.call_sid == sid:
                    return end
            await trio.sleep(0.1)


async def outcome(exchange: Exchange, sid: str) -> str:
    return (await ended(exchange, sid)).outcome_reason


async def test_a_browser_is_answered_as_any_caller(exchange: Exchange) -> None:
    async with exchange.page() as page:
        rung = await exchange.ring(page)
        async with exchange.line(rung["line"], page) as phone:
            await phone.until("mark")
            await on_the_board(exchange, rung["call_sid"])
            await trio.sleep(2.0)  # of its greeting
            await phone.say("dtmf", dtmf={"digit": "5"})
            await phone.say("stop")
            assert (await phone.until("ended"))["why"] == "You hung up."
            assert (await phone.until("ended"))["problems"] == []
    voiced = np.abs(g711.decode(bytes(phone.heard))) > LOUD
    assert np.count_nonzero(voiced) > 8000  # a second's worth of samples that are no silence
    assert await outcome(exchange, rung["call_sid"]) == "caller_hung_up"


async def test_a_ticket_is_good_once_and_for_its_own_session(exchange: Exchange) -> None:
    async with exchange.page() as page, exchange.page() as other:
        rung = await exchange.ring(page)
        other.cookies.clear()
        async with exchange.line(rung["line"], other) as stranger:
            with trio.fail_after(5):
                while stranger.closed is None:
                    await trio.sleep(0.01)
        assert (stranger.closed, stranger.told) == (4404, [])
        async with exchange.line(rung["line"], page) as late:
            with trio.fail_after(5):
                while late.closed is None:
                    await trio.sleep(0.01)
        assert late.closed == 4404


async def test_nonsense_on_the_line_ends_the_call(exchange: Exchange) -> None:
    async with exchange.page() as page:
        rung = await exchange.ring(page)
        async with exchange.line(rung["line"], page) as phone:
            await phone.until("start")
            await phone.socket.send_message('{"event":"start"}')
            with trio.fail_after(10):
                while phone.closed is None:
                    await trio.sleep(0.01)
        assert phone.closed == 1003
    assert await outcome(exchange, rung["call_sid"]) == "caller_hung_up"


# --- what the gateway orders -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("known", [True, False], ids=["carrier knows the call", "carrier answers 404"])
async def test_the_gateway_can_end_the_call(url: str, tmp_path: Path, speech: VoiceCache, *, known: bool) -> None:
    async with phoning(url, tmp_path, speech, known_to_the_carrier=known) as exchange, exchange.page() as page:
        rung = await exchange.ring(page)
        async with exchange.line(rung["line"], page) as phone:
            await phone.until("mark")
            await on_the_board(exchange, rung["call_sid"])
            await exchange.office.live.order(rung["call_sid"], exchange.tenant.id, "hang_up", {"by": "test"})
            assert (await phone.until("ended"))["why"] == "The other side hung up."
        assert bool(exchange.world.rest.updates) is known
        assert find_clip(bytes(phone.heard), speech.mulaw(exchange.tenant.script.goodbye)) is not None


async def test_a_transfer_is_shown_as_what_would_ring(exchange: Exchange) -> None:
    async with exchange.page() as page:
        rung = await exchange.ring(page)
        async with exchange.line(rung["line"], page) as phone:
            await phone.until("mark")
            await on_the_board(exchange, rung["call_sid"])
            person = exchange.tenant.people[0]
            body = {"by": "test", "to": person.name}
            await exchange.office.live.order(rung["call_sid"], exchange.tenant.id, "transfer", body)
            assert (await phone.until("dial"))["number"] == person.number
            await phone.until("ended")
    assert await outcome(exchange, rung["call_sid"]) == "transferred"


# --- who may, and what is missing ------------------------------------------------------------------------------------


def desk_of(office: Office, token: str | None, **settings: Any) -> Desk:
    told = office.settings.model_copy(update=settings)
    return Desk(build_backoffice(replace(office, settings=told)), token)


async def ring(desk: Desk, tenant_id: str, **given: Any) -> tuple[int, str]:
    answer = await desk.ask("POST", "/phone/calls", {"tenant_id": tenant_id, "caller": CALLER}, **given)
    return answer.status_code, (await answer.get_json()).get("detail", "")


async def test_without_the_carriers_token_the_page_says_which_setting_is_missing(
    office: Office, dental: Tenant
) -> None:
    desk = desk_of(office, TOKEN)
    status, said = await ring(desk, dental.id)
    assert status == 409
    assert "FRONTDESK_TWILIO_AUTH_TOKEN" in said
    setup = await desk.get("/phone/setup")
    assert setup["trouble"] == said
    assert setup["tenants"] == [{"id": dental.id, "name": dental.name, "numbers": list(dental.numbers)}]
    assert setup["captions"] is False


async def test_a_gateway_that_is_away_is_named(office: Office, dental: Tenant) -> None:
    (port,) = free_ports(1)
    desk = desk_of(office, TOKEN, twilio_auth_token=SecretStr("x"), public_url=f"http://127.0.0.1:{port}")
    status, said = await ring(desk, dental.id)
    assert status == 502
    assert f"http://127.0.0.1:{port} (FRONTDESK_PUBLIC_URL) cannot be reached" in said


async def test_another_token_than_the_gateways_is_said_to_be_that(exchange: Exchange) -> None:
    desk = desk_of(exchange.office, TOKEN, twilio_auth_token=SecretStr("another"))
    status, said = await ring(desk, exchange.tenant.id)
    assert status == 502
    assert "the same FRONTDESK_TWILIO_AUTH_TOKEN" in said


async def test_only_who_may_take_calls_over_may_place_one(office: Office, dental: Tenant, plumbing: Tenant) -> None:
    assert (await ring(desk_of(office, None), dental.id))[0] == 401
    assert (await ring(desk_of(office, await key_of(office, dental, "read", "write")), dental.id))[0] == 403
    own = desk_of(office, await key_of(office, dental, "calls"))
    assert (await ring(own, plumbing.id))[0] == 404
    assert (await ring(own, dental.id))[0] == 409  # and nothing else is in the way
    assert [one["id"] for one in (await own.get("/phone/setup"))["tenants"]] == [dental.id]


async def test_a_foreign_page_cannot_call_with_somebodys_cookie(exchange: Exchange) -> None:
    async with exchange.page() as page:
        body = {"tenant_id": exchange.tenant.id, "caller": CALLER}
        del page.headers["x-frontdesk-page"]
        answer = await page.post("/phone/calls", json=body)
    assert answer.status_code == 403


async def enter(desk: Desk, token: str, **given: Any) -> int:
    headers = given.pop("headers", PAGE)
    return (await desk.ask("POST", "/phone/login", {"token": token}, headers=headers)).status_code


async def test_a_pass_opens_once(office: Office) -> None:
    desk = desk_of(office, None)
    one = new_pass(office)
    assert await enter(desk, one, headers={}) == 403
    answer = await desk.ask("POST", "/phone/login", {"token": one}, headers=PAGE)
    cookie = answer.headers["set-cookie"].partition(";")[0]
    assert (await desk.get("/ops/me", headers={"cookie": cookie}))["name"] == "operator"
    assert await enter(desk, one) == 401
    assert await enter(desk, new_pass(office)) == 204


async def test_a_pass_opens_neither_late_nor_elsewhere(office: Office) -> None:
    one = new_pass(office)
    later = replace(office, now=lambda: office.now() + timedelta(seconds=LASTS_S + 5))
    assert await enter(desk_of(later, None), one) == 401
    assert await enter(desk_of(office, None, admin_token=SecretStr("another")), one) == 401
    assert await enter(desk_of(office, None), one[:-1] + ("A" if one[-1] != "A" else "B")) == 401
    for nonsense in ("", ".", "~", "zz.zz.zz", "ä.ö.ü"):
        assert await enter(desk_of(office, None), nonsense) in {401, 422}


@pytest.mark.parametrize(
    "message",
    [
        "",
        "[]",
        '{"event":"start"}',
        '{"event":"media"}',
        '{"event":"media","media":{"payload":""}}',
        '{"event":"media","media":{"payload":"' + "/" * 4000 + '"}}',
        '{"event":"dtmf","dtmf":{"digit":"12"}}',
        '{"event":"dtmf","dtmf":{"digit":"A"}}',
        '{"event":"stop","streamSid":"MZ"}',
    ],
)
def test_what_no_page_sends_is_not_understood(message: str) -> None:
    with pytest.raises(phone_wire.Garbled):
        phone_wire.read(message)
