"""Who may open a media stream, and what the others are told."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
import trio_websocket

from engine.call.switchboard_types import Admission, EndState
from engine.wire.twilio_signature import sign
from tests.server.carrier import (
    ACCOUNT,
    AUTH_TOKEN,
    CALL,
    OTHER_CALL,
    STREAM_URL,
    key_press,
    read_response,
    upgrade_head,
)
from tests.server.world import FakeSwitchboard, World, open_world

OTHER_STREAM = "MZ" + "2" * 32


@asynccontextmanager
async def on_the_line(world: World) -> AsyncIterator[trio_websocket.WebSocketConnection]:
    """A call that is being served."""
    token = await world.token()
    async with world.dial() as websocket:
        await world.start(websocket, token)
        await world.wait_for(lambda: CALL in world.switchboard.lines)
        yield websocket


async def close_code(websocket: trio_websocket.WebSocketConnection) -> int:
    """With what the other side closed."""
    with trio.fail_after(60), pytest.raises(trio_websocket.ConnectionClosed) as closed:
        await websocket.get_message()
    assert closed.value.reason is not None
    return int(closed.value.reason.code)


async def test_an_invited_stream_reaches_the_switchboard_with_its_tenant_and_claims() -> None:
    async with open_world() as world, on_the_line(world) as websocket:
        [(start, tenant, claims)] = world.switchboard.taken
        assert (start.call_sid, tenant.id, claims.account_sid, claims.attempt) == (CALL, "bakery", ACCOUNT, 0)
        await websocket.send_message(key_press("7"))
        await world.wait_for(lambda: world.switchboard.keys == ["7"])


@pytest.mark.parametrize("signed", [STREAM_URL, STREAM_URL + "/"])
@pytest.mark.parametrize("path", ["/twilio/media", "/twilio/media/", "/twilio/media?x=y"])
async def test_either_slash_form_may_be_asked_for_and_signed(path: str, signed: str) -> None:
    async with open_world() as world, world.dial(path=path, signature=sign(AUTH_TOKEN, signed)):
        pass


@pytest.mark.parametrize(
    ("signature", "reason"),
    [
        (sign("another secret", STREAM_URL), "signature"),
        (sign(AUTH_TOKEN, STREAM_URL.replace("wss", "https")), "signature"),
        (sign(AUTH_TOKEN, "wss://elsewhere.example.com/twilio/media"), "signature"),
        ("", "no_signature"),
    ],
)
async def test_a_handshake_not_signed_by_the_carrier_is_refused(signature: str, reason: str) -> None:
    async with open_world() as world:
        assert await world.refused_with(signature=signature) == 403
        assert world.refused(reason) == 1


@pytest.mark.parametrize("configured", [None, ""])
async def test_without_an_auth_token_nobody_is_believed(configured: str | None) -> None:
    async with open_world(settings={"twilio_auth_token": configured}) as world:
        assert await world.refused_with(signature=sign("", STREAM_URL)) == 403
        assert (await world.post("voice", sign_with="")).status_code == 403


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (upgrade_head(version="8"), 426),
        (upgrade_head().replace(b"Upgrade: websocket", b"Upgrade: h2c"), 426),
        (upgrade_head().replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"short"), 400),
    ],
)
async def test_what_is_no_websocket_is_told_so(head: bytes, status: int) -> None:
    async with open_world() as world, await trio.open_tcp_stream("127.0.0.1", world.serving.port) as stream:
        await stream.send_all(head)
        assert await read_response(stream) == (status, b"not_a_websocket")


async def test_a_token_opens_one_stream_only() -> None:
    async with open_world() as world:
        token = await world.token()
        async with world.dial() as first:
            await world.start(first, token)
            await world.wait_for(lambda: CALL in world.switchboard.lines)
        await world.wait_for(lambda: not world.switchboard.lines)
        async with world.dial() as second:
            await world.start(second, token)
            assert await close_code(second) == 1008
        assert world.refused("token_used") == 1
        assert len(world.switchboard.taken) == 1


@pytest.mark.parametrize("changes", [{"call_sid": OTHER_CALL}, {"account_sid": "AC" + "9" * 32}])
async def test_a_token_opens_no_stream_of_another_call_or_account(changes: dict[str, str]) -> None:
    async with open_world() as world, world.dial() as websocket:
        await world.start(websocket, await world.token(), **changes)
        assert await close_code(websocket) == 1008
        assert world.refused("token_foreign") == 1
        assert not world.switchboard.taken


async def test_a_token_opens_nothing_after_its_time() -> None:
    async with open_world() as world, world.dial() as websocket:
        token = await world.token()
        world.wall[0] += 31
        await world.start(websocket, token)
        assert await close_code(websocket) == 1008
        assert world.refused("token_expired") == 1


@pytest.mark.parametrize(("token", "reason"), [("", "token_malformed"), ("WyJhIl0.AAAA", "token_forged")])
async def test_a_token_that_we_never_made_is_refused(token: str, reason: str) -> None:
    async with open_world() as world, world.dial() as websocket:
        await world.start(websocket, token)
        assert await close_code(websocket) == 1008
        assert world.refused(reason) == 1


async def test_a_token_of_a_tenant_gone_meanwhile_is_refused() -> None:
    async with open_world() as world, world.dial() as websocket:
        token = world.gateway.tokens.issue(call_sid=CALL, account_sid=ACCOUNT, tenant_id="closed-down", attempt=0)
        await world.start(websocket, token)
        assert await close_code(websocket) == 1008
        assert world.refused("unknown_tenant") == 1


async def test_a_stream_that_does_not_start_is_closed_after_five_seconds(mock_clock: trio.testing.MockClock) -> None:
    mock_clock.rate = 50
    async with open_world() as world, world.dial() as websocket:
        began = trio.current_time()
        assert await close_code(websocket) == 1008
        assert 4 < trio.current_time() - began < 30
        assert world.refused("no_start") == 1


async def test_a_second_stream_of_a_live_call_is_refused_and_the_first_goes_on() -> None:
    async with open_world() as world, on_the_line(world) as first:
        token = world.gateway.tokens.issue(call_sid=CALL, account_sid=ACCOUNT, tenant_id="bakery", attempt=0)
        world.wall[0] += 1
        other = world.gateway.tokens.issue(call_sid=CALL, account_sid=ACCOUNT, tenant_id="bakery", attempt=0)
        assert token != other
        async with world.dial() as second:
            await world.start(second, other, stream_sid=OTHER_STREAM)
            assert await close_code(second) == 1008
        assert world.refused("second_stream") == 1
        await first.send_message(key_press("1"))
        await world.wait_for(lambda: world.switchboard.keys == ["1"])


async def test_a_recovered_stream_takes_the_place_of_a_line_that_still_hangs() -> None:
    async with open_world() as world, on_the_line(world):
        token = world.gateway.tokens.issue(call_sid=CALL, account_sid=ACCOUNT, tenant_id="bakery", attempt=1)
        async with world.dial() as second:
            await world.start(second, token, stream_sid=OTHER_STREAM)
            await world.wait_for(lambda: len(world.switchboard.taken) == 2)
            assert world.switchboard.told_ended == [(CALL, "a recovered stream has come")]
            assert world.switchboard.states[CALL] is EndState.LIVE


async def test_a_stream_for_which_there_is_no_room_is_told_to_try_later() -> None:
    async with open_world() as world, world.dial() as websocket:
        token = await world.token()
        world.switchboard.admit = Admission.TENANT_FULL
        await world.start(websocket, token)
        assert await close_code(websocket) == 1013
        assert world.refused("tenant_full") == 1


async def test_a_bug_of_ours_ends_one_stream_and_is_counted() -> None:
    async with open_world(switchboard=FakeSwitchboard(crash=True)) as world:
        async with world.dial() as websocket:
            await world.start(websocket, await world.token())
            assert await close_code(websocket) == 1011
        await world.wait_for(lambda: world.crashes("media_entrance") == 1)
        assert (await world.http.get("/health/live")).status_code == 200


async def test_sockets_waiting_without_a_start_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.server.media.WAITING_MOST", 2)
    async with open_world() as world, world.dial(), world.dial():
        assert await world.refused_with() == 503
        assert world.refused("too_many_waiting") == 1
