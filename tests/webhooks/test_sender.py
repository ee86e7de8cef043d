"""Every event reaches every endpoint at least once, whatever the receiver does, and nobody waits for another's."""

from collections.abc import Callable

import pytest
import trio

from engine.store.diary import Appointment
from engine.store.follow_ups import FollowUp
from engine.store.live_calls import KeptCall, LiveState
from engine.store.postgres_diary import PostgresDiary
from engine.store.postgres_live_calls import PostgresLiveCalls
from engine.store.webhooks import EVENT_TYPES, Claimed
from engine.tools.http_guard import AddressGuard
from engine.tools.http_transport import tool_client
from engine.webhooks import attempt, schedule
from engine.webhooks.seal import new_secret
from tests.postgres.test_isolation import NOON
from tests.store.suites.records import a_follow_up, an_end
from tests.webhooks.conftest import SOON_S, Post
from tests.webhooks.receiver import Receiver, receiving

pytestmark = pytest.mark.real_time


async def until(what: Callable[[], bool]) -> None:
    with trio.fail_after(SOON_S):
        while not what():
            await trio.sleep(0.02)


async def settled(post: Post, tenant_id: str) -> None:
    with trio.fail_after(SOON_S):
        while await post.webhooks.deliveries(tenant_id, before=None, limit=1, state="waiting"):
            await trio.sleep(0.02)


def a_live_call(tenant_id: str, call_sid: str, state: LiveState = LiveState.LIVE) -> KeptCall:
    return KeptCall(tenant_id, call_sid, "w", 1, 0, state, caller="+15550100199")


async def a_call(post: Post, tenant_id: str, call_sid: str) -> None:
    """A call with everything in it that is told of."""
    live = PostgresLiveCalls(post.database)
    await live.keep_many([a_live_call(tenant_id, call_sid)])
    await post.store.keep_follow_up(
        FollowUp(tenant_id, call_sid, f"task-{call_sid}", "task", "+15550100199", "Do it.", "2026-11-02T10:00:00+00:00")
    )
    await live.keep_many([a_live_call(tenant_id, call_sid, LiveState.TRANSFERRING)])
    await post.store.keep_call(an_end(tenant_id, call_sid, reason="transferred"))


OF_A_CALL = ["call.started", "task.created", "escalation", "call.ended"]


async def test_every_fact_is_told_signed_in_the_order_of_its_call(post: Post) -> None:
    receiver = Receiver()
    await post.tenant("acme")
    async with receiving(receiver), post.sending():
        await post.endpoint("acme", receiver)
        await a_call(post, "acme", "CA1")
        await until(lambda: len(receiver.taken) == 4)
        assert receiver.types() == OF_A_CALL
        await post.store.keep_follow_up(a_follow_up("acme", "m1"))
        await PostgresDiary(post.database).book(Appointment("acme", "r1", NOON, "Robin Lee", "+15550100199"))
        await until(lambda: len(receiver.taken) == 6)
    assert set(receiver.types()) <= set(EVENT_TYPES)
    ended = receiver.taken[3].body
    assert (ended["tenant_id"], ended["type"]) == ("acme", "call.ended")
    assert ended["data"]["transcript"] == [{"who": "caller", "text": "hé"}]
    booked = next(one.body["data"] for one in receiver.taken if one.type == "appointment.booked")
    assert (booked["name"], booked["starts"]) == ("Robin Lee", NOON.isoformat())


async def test_a_fact_kept_twice_is_one_event_and_one_nobody_wants_is_none(post: Post) -> None:
    receiver = Receiver()
    await post.tenant("acme")
    async with receiving(receiver), post.sending():
        await post.endpoint("acme", receiver, "call.ended")
        await a_call(post, "acme", "CA1")
        await post.store.keep_call(an_end("acme", "CA1"))
        await post.store.keep_call(an_end("acme", "CA2"))
        await until(lambda: len(receiver.taken) == 2)
        await settled(post, "acme")
    found = await post.webhooks.deliveries("acme", before=None, limit=50)
    assert [(one.call_sid, one.type, one.state) for one in found] == [
        ("CA2", "call.ended", "done"),
        ("CA1", "call.ended", "done"),
    ]


async def test_a_receiver_that_fails_and_hangs_and_restarts_gets_everything_while_others_do_not_wait(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "ATTEMPT_S", 60.0)  # far longer than this test: whoever waited for it would be found
    bad, good = Receiver(), Receiver()
    calls = [f"CA{number}" for number in range(6)]
    for tenant_id in ("acme", "other"):
        await post.tenant(tenant_id)
    async with receiving(bad, good) as listeners, post.sending():
        await post.endpoint("acme", bad)
        await post.endpoint("other", good)
        for number, call_sid in enumerate(calls):
            bad.manner = ("fails", "hangs", "redirects")[number % 3]
            await a_call(post, "acme", call_sid)
            await a_call(post, "other", call_sid)
            # "until" has less patience than what hangs: an unrelated tenant's are not delayed.
            await until(lambda call_sid=call_sid: len(good.taken) == 4 * (calls.index(call_sid) + 1))  # type: ignore[misc]
        bad.down()
        await trio.sleep(0.5)
        assert bad.taken == []
        bad.manner = "well"
        await bad.up(listeners)
        await until(lambda: len({one.event_id for one in bad.taken}) == 4 * len(calls))
    for call_sid in calls:
        of_it = [one.type for one in bad.taken if one.body["data"]["call_sid"] == call_sid]
        assert list(dict.fromkeys(of_it)) == OF_A_CALL, "in the order of the call"
    assert bad.most_at_once <= 4, "a receiver in trouble is not flooded"
    assert len(bad.got) > len(bad.taken)


async def test_two_senders_share_the_work_and_what_a_dead_one_had_comes_again(post: Post) -> None:
    receiver = Receiver()
    await post.tenant("acme")
    await post.tenant("third")
    async with receiving(receiver):
        await post.endpoint("acme", receiver)
        for number in range(5):
            await a_call(post, "acme", f"CA{number}")
        async with post.sending(), post.sending():
            await until(lambda: len(receiver.taken) == 20)
        assert len({one.event_id for one in receiver.got}) == len(receiver.got), "none was sent twice"

        outbox = post.sender()._outbox
        await post.store.keep_call(an_end("acme", "CA9"))
        assert await outbox.claim("acme", "main", most=4, lease_s=0.5) is not None  # by somebody who dies with it
        async with post.sending():
            await until(lambda: "CA9" in {one.body["data"]["call_sid"] for one in receiver.taken})


async def test_a_letter_that_dies_lets_its_followers_go_and_can_be_replayed(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule, "MOST_ATTEMPTS", 2)
    receiver = Receiver(manner="fails")
    await post.tenant("acme")
    async with receiving(receiver), post.sending():
        await post.endpoint("acme", receiver, "call.started", "call.ended")
        await post.store.keep_call(an_end("acme", "CA1"))
        await until(lambda: len(receiver.got) == 4)

        async def dead() -> int:
            found = await post.webhooks.deliveries("acme", before=None, limit=50, state="dead")
            assert all(one.attempts == 2 and one.status == 500 for one in found)
            return len(found)

        with trio.fail_after(SOON_S):
            while await dead() < 2:
                await trio.sleep(0.02)
        receiver.manner = "well"
        assert await post.webhooks.replay("acme", "main") == 2
        await until(lambda: len(receiver.taken) == 2)
    assert {one.event_id for one in receiver.taken} == {one.event_id for one in receiver.got}
    assert receiver.types() == ["call.started", "call.ended"]


@pytest.mark.parametrize("why", ["gone", "fails"])
async def test_an_endpoint_that_takes_nothing_for_too_long_is_turned_off(
    post: Post, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.webhooks.sender.FAILS_AFTER_S", 0.3)
    receiver = Receiver(manner="gone" if why == "gone" else "fails")
    await post.tenant("acme")
    async with receiving(receiver), post.sending():
        await post.endpoint("acme", receiver)
        await a_call(post, "acme", "CA1")
        await until(lambda: len(post.turned_off) == 1)
        asked = len(receiver.got)
        await post.store.keep_call(an_end("acme", "CA2"))
        await trio.sleep(0.5)
        assert len(receiver.got) == asked, "nothing more is sent there"
    endpoint = await post.webhooks.get("acme", "main")
    assert endpoint is not None
    assert endpoint.state == "failed"
    assert (asked == 1) == (why == "gone")
    assert {one.state for one in await post.webhooks.deliveries("acme", before=None, limit=9)} == {"dead"}
    assert await post.webhooks.replay("acme", "main") == 0, "not before it is turned on again"


async def test_while_a_secret_is_replaced_both_are_good(post: Post) -> None:
    receiver = Receiver()
    await post.tenant("acme")
    async with receiving(receiver), post.sending():
        await post.endpoint("acme", receiver)
        fresh = new_secret()
        await post.webhooks.rotate("acme", "main", post.sealer.seal("acme", "main", fresh))
        assert await post.webhooks.send_test("acme", "main", "evt_1")
        await until(lambda: len(receiver.taken) == 1)  # checked with the old one
        receiver.secrets.insert(0, fresh)
        assert await post.webhooks.send_test("acme", "main", "evt_2")
        await until(lambda: len(receiver.taken) == 2)
    assert receiver.types() == ["test", "test"]


async def test_what_was_deleted_is_not_told(post: Post) -> None:
    receiver = Receiver()
    await post.tenant("acme")
    async with receiving(receiver):
        await post.endpoint("acme", receiver, "call.ended")
        await post.store.keep_call(an_end("acme", "CA1"))
        await post.database.as_owner(lambda connection: connection.execute("delete from call_end"))
        async with post.sending():
            with trio.fail_after(SOON_S):
                while (await post.webhooks.deliveries("acme", before=None, limit=1))[0].state != "gone":
                    await trio.sleep(0.02)
    assert receiver.got == []


async def test_a_private_address_is_refused_where_nobody_allowed_it(post: Post) -> None:
    receiver = Receiver()
    await post.tenant("acme")
    async with receiving(receiver), tool_client(AddressGuard(allow_private=False)) as guarded:
        post.client = guarded
        async with post.sending():
            await post.endpoint("acme", receiver, "call.ended")
            await post.store.keep_call(an_end("acme", "CA1"))
            with trio.fail_after(SOON_S):
                while not (tried := await post.webhooks.deliveries("acme", before=None, limit=1))[0].error:
                    await trio.sleep(0.02)
    assert "may not reach" in tried[0].error
    assert receiver.got == []


async def test_what_nobody_foresaw_of_one_event_is_counted_and_keeps_nothing_from_the_others(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    body_of = attempt.body_of

    def odd(event: Claimed, tenant_id: str) -> bytes:
        if event.call_sid == "CA1":
            raise ZeroDivisionError("of an unforeseen shape")
        return body_of(event, tenant_id)

    monkeypatch.setattr("engine.webhooks.sender.body_of", odd)
    receiver = Receiver()
    await post.tenant("acme")
    async with receiving(receiver), post.sending():
        await post.endpoint("acme", receiver, "call.ended")
        for call_sid in ("CA1", "CA2"):
            await post.store.keep_call(an_end("acme", call_sid))
        await until(lambda: bool(receiver.taken and post.crashes))
    assert [one.body["data"]["call_sid"] for one in receiver.taken] == ["CA2"]
    assert post.crashes == 1
