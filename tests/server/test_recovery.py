"""``/twilio/recover``: who is given a new stream, how often, and who is let go."""

import pytest
import trio
import trio.testing

from engine.call.switchboard_types import Admission, EndState
from engine.server import reception
from engine.store.live_calls import ClaimRefused
from tests.server.carrier import ACCOUNT, CALL, static_script_of, token_in, verbs
from tests.server.world import FakeSwitchboard, World, open_world


async def take(world: World, token: str) -> None:
    """Open and close a stream with this token."""
    async with world.dial() as websocket:
        await world.start(websocket, token)
        await world.wait_for(lambda: CALL in world.switchboard.lines)
    await world.wait_for(lambda: not world.switchboard.lines and not world.gateway.plane.statistics().members)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (EndState.ENDED, ["Hangup"]),
        (EndState.TRANSFERRING, []),
        (EndState.LOST, ["Connect"]),
        (EndState.UNKNOWN, ["Connect"]),
    ],
)
async def test_a_stream_that_ended_is_recovered_unless_it_was_meant(state: EndState, expected: list[str]) -> None:
    async with open_world(switchboard=FakeSwitchboard(states={CALL: state})) as world:
        assert verbs((await world.post("recover", CallStatus="in-progress")).text) == expected


async def test_a_call_is_recovered_three_times_and_then_given_to_the_static_script(
    mock_clock: trio.testing.MockClock,
) -> None:
    mock_clock.rate = 50
    async with open_world() as world:
        tokens = []
        for attempt in (1, 2, 3):
            tokens.append(token_in((await world.post("recover")).text))
            claims = world.gateway.tokens.verify(tokens[-1], call_sid=CALL, account_sid=ACCOUNT)
            assert claims.attempt == attempt
        assert len(set(tokens)) == 3
        assert static_script_of(await world.post("recover"))
        assert world.counted("recover", "given_up") == 1


async def test_a_recovery_asked_twice_by_the_same_request_counts_once() -> None:
    async with open_world() as world:
        headers = {"I-Twilio-Idempotency-Token": "one"}
        first = await world.post("recover", headers=headers)
        assert (await world.post("recover", headers=headers)).content == first.content
        assert world.switchboard.attempts == {CALL: 1}


async def test_an_invitation_that_nobody_could_follow_counts_as_an_attempt() -> None:
    """The handshake failed, so the carrier asks what next: the same answer again would pin the caller in a loop."""
    async with open_world() as world:
        first = await world.post("voice")
        assert (await world.post("recover")).content != first.content
        assert world.switchboard.attempts == {CALL: 1}


async def test_a_line_that_still_hangs_is_ended_when_the_carrier_asks_for_a_recovery() -> None:
    async with open_world() as world, world.dial() as websocket:
        await world.start(websocket, await world.token())
        await world.wait_for(lambda: CALL in world.switchboard.lines)
        answer = await world.post("recover", CallStatus="in-progress")
        assert not world.switchboard.lines
        await take(world, token_in(answer.text))
        assert [claims.attempt for _, _, claims in world.switchboard.taken] == [0, 1]


async def test_a_recovery_of_a_call_that_is_over_hangs_up() -> None:
    async with open_world() as world:
        assert verbs((await world.post("recover", CallStatus="completed")).text) == ["Hangup"]
        assert not world.switchboard.attempts


async def test_a_recovery_without_room_hears_the_static_script() -> None:
    async with open_world(switchboard=FakeSwitchboard(admit=Admission.FULL)) as world:
        assert static_script_of(await world.post("recover"))


async def test_a_call_whose_stream_was_lost_may_come_in_by_the_front_again() -> None:
    async with open_world(switchboard=FakeSwitchboard(states={CALL: EndState.LOST})) as world:
        assert verbs((await world.post("voice")).text) == ["Connect"]
        assert world.switchboard.attempts == {CALL: 1}


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (EndState.ENDED, ["Hangup"]),
        (EndState.TRANSFERRING, []),
        (EndState.LOST, ["Connect"]),
        (EndState.LIVE, ["Connect"]),
    ],
)
async def test_a_recovery_asks_how_the_call_stands_at_other_workers(state: EndState, expected: list[str]) -> None:
    async with open_world(switchboard=FakeSwitchboard(elsewhere={CALL: state})) as world:
        assert verbs((await world.post("recover", CallStatus="in-progress")).text) == expected
        assert world.switchboard.looked_up == [CALL]


async def test_a_repeated_webhook_for_a_call_that_another_worker_serves_is_put_on_hold() -> None:
    async with open_world(switchboard=FakeSwitchboard(elsewhere={CALL: EndState.LIVE})) as world:
        assert verbs((await world.post("voice")).text) == ["Pause", "Redirect"]


@pytest.mark.parametrize("path", ["voice", "recover"])
async def test_a_request_that_comes_twice_while_other_workers_are_asked_is_answered_alike(path: str) -> None:
    async with open_world(switchboard=FakeSwitchboard(looks_s=0.05)) as world:
        answers: list[bytes] = []

        async def ask(after_s: float) -> None:
            await trio.sleep(after_s)
            headers = {"I-Twilio-Idempotency-Token": "one"}
            answers.append((await world.post(path, headers=headers)).content)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, 0.0)
            nursery.start_soon(ask, 0.02)
        assert answers[0] == answers[1]
        assert world.counted(path, "repeated") == 1


@pytest.mark.parametrize(
    ("refused", "reason"), [(ClaimRefused.USED, "token_used"), (ClaimRefused.LIVE, "second_stream")]
)
async def test_a_stream_that_another_worker_has_let_in_is_refused_as_here(refused: ClaimRefused, reason: str) -> None:
    async with open_world(switchboard=FakeSwitchboard(refuse=refused)) as world, world.dial() as websocket:
        await world.start(websocket, await world.token())
        await world.wait_for(lambda: world.refused(reason) == 1)
        assert world.switchboard.taken == []
        assert world.counted("voice", "connect") == 1


async def test_the_end_of_a_call_is_told_with_its_tenant_for_whoever_serves_it() -> None:
    async with open_world() as world:
        await world.post("status", CallStatus="completed")
        assert world.switchboard.told_of == ["bakery"]


def test_every_recovery_has_its_pause_and_all_fit_into_the_carriers_patience() -> None:
    assert len(reception.BACK_OFF_S) == reception.RECOVERIES
    assert max(reception.BACK_OFF_S) < 5
