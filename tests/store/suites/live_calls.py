"""What every ``LiveCalls`` promises. The fixture ``twin`` is a ``LiveTwin``."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
import trio

from engine.errors import MisuseError
from engine.store.live_calls import (
    FORGOTTEN_AFTER_S,
    ClaimRefused,
    KeptCall,
    LiveCall,
    LiveCalls,
    LiveState,
    Standing,
    StreamProof,
)

SAID: dict[str, Any] = {"said": ["no\x00ne", "snö ☃", {"deep": [1, 2.5, None]}]}


@dataclass(frozen=True)
class LiveTwin:
    """The store, and how to let its time pass."""

    live: LiveCalls
    pass_time: Callable[[float], Awaitable[None]]


def proof(nonce: str = "n1", attempt: int = 0) -> StreamProof:
    return StreamProof(nonce, attempt)


def kept(call_sid: str = "CA1", tenant_id: str = "acme", worker: str = "a", epoch: int = 1, **changes: Any) -> KeptCall:
    body: dict[str, Any] = {"attempts": 0, "state": LiveState.LIVE, "snapshot": orjson.dumps(SAID).decode()}
    return KeptCall(tenant_id, call_sid, worker, epoch, **(body | changes))


async def claim(twin: LiveTwin, worker: str, stream: StreamProof | None, tenant_id: str = "acme") -> LiveCall:
    claimed = await twin.live.claim(tenant_id, "CA1", worker, stream=stream, caller="+15550100001")
    assert isinstance(claimed, LiveCall)
    return claimed


async def test_a_call_nobody_knows_is_claimed_in_its_first_epoch(twin: LiveTwin) -> None:
    assert await twin.live.find("acme", "CA1") is None
    first = await claim(twin, "a", proof())
    assert (first.worker, first.epoch, first.attempts, first.state) == ("a", 1, 0, LiveState.LIVE)
    assert (first.snapshot, first.messages, first.caller) == (None, (), "+15550100001")


async def test_what_was_kept_is_handed_to_whoever_takes_the_call_over(twin: LiveTwin) -> None:
    await claim(twin, "a", proof())
    await twin.live.keep_many([kept(messages=(b"\x00\xff", b""), caller="+1", reason="line_broken", attempts=1)])
    over = await claim(twin, "b", None)
    assert (over.worker, over.epoch, over.attempts, over.state) == ("b", 2, 2, LiveState.LOST)
    assert (over.snapshot, over.messages, over.caller) == (SAID, (b"\x00\xff", b""), "+1")
    again = await claim(twin, "c", proof("n2", 2))
    assert (again.worker, again.epoch, again.attempts, again.state) == ("c", 3, 2, LiveState.LIVE)
    assert again.snapshot == SAID


async def test_what_the_worker_before_still_writes_is_ignored_and_it_learns_why(twin: LiveTwin) -> None:
    await claim(twin, "a", proof())
    await twin.live.keep_many([kept()])
    await claim(twin, "b", None)
    late = kept(snapshot='{"said": "too late"}', messages=(b"late",), state=LiveState.ENDED, finished=True)
    assert await twin.live.keep_many([late]) == [Standing("CA1", "b", 2, carrier_over=False)]
    found = await twin.live.find("acme", "CA1")
    assert found is not None
    assert (found.worker, found.state, found.snapshot, found.messages) == ("b", LiveState.LOST, SAID, ())


async def test_a_worker_that_claims_again_ignores_what_it_wrote_in_the_epoch_before(twin: LiveTwin) -> None:
    await claim(twin, "a", proof())
    await claim(twin, "a", None)
    assert await twin.live.keep_many([kept()]) == [Standing("CA1", "a", 2, carrier_over=False)]
    assert await twin.live.keep_many([kept(epoch=2)]) == [Standing("CA1", "a", 2, carrier_over=False)]
    found = await twin.live.find("acme", "CA1")
    assert found is not None
    assert found.snapshot == SAID


async def test_a_nonce_opens_one_stream_on_whichever_worker(twin: LiveTwin) -> None:
    await claim(twin, "a", proof())
    again = await claim(twin, "a", proof())  # its answer was lost
    assert again.epoch == 1
    await claim(twin, "b", proof("n2", 1))
    for worker in ("a", "b", "c"):
        assert await twin.live.claim("acme", "CA1", worker, stream=proof()) is ClaimRefused.USED
    assert await twin.live.claim("acme", "CA1", "c", stream=proof("n2", 1)) is ClaimRefused.USED


async def test_a_live_call_gets_a_second_stream_by_a_recovery_only(twin: LiveTwin) -> None:
    await claim(twin, "a", proof())
    assert await twin.live.claim("acme", "CA1", "b", stream=proof("n2")) is ClaimRefused.LIVE
    await claim(twin, "b", None)
    assert (await claim(twin, "c", proof("n3"))).epoch == 3


async def test_a_call_that_only_rang_still_rings_after_a_recovery(twin: LiveTwin) -> None:
    assert (await claim(twin, "a", None)).state is LiveState.RINGING
    assert (await claim(twin, "a", None)).attempts == 2


async def test_of_many_who_want_one_stream_one_gets_it(twin: LiveTwin) -> None:
    answers: list[LiveCall | ClaimRefused] = []

    async def want(number: int) -> None:
        answers.append(await twin.live.claim("acme", "CA1", f"w{number}", stream=proof("n1", 1)))

    async with trio.open_nursery() as nursery:
        for number in range(30):
            nursery.start_soon(want, number)
    assert sum(isinstance(answer, LiveCall) for answer in answers) == 1
    assert answers.count(ClaimRefused.USED) == 29


async def test_many_calls_of_many_tenants_are_written_at_once_and_told_apart(twin: LiveTwin) -> None:
    tenants = ("acme", "bakery", "clinic")
    rows = [kept(f"CA{n}", tenant, snapshot=f'{{"of": "{tenant}"}}') for n in range(20) for tenant in tenants]
    assert await twin.live.keep_many([]) == []
    standings = await twin.live.keep_many(rows, [("acme", "CA7"), ("acme", "CA99"), ("nobody", "CA1")])
    assert len({(one.call_sid, one.worker) for one in standings}) == 20
    for tenant in tenants:
        found = await twin.live.find(tenant, "CA7")
        assert found is not None
        assert found.snapshot == {"of": tenant}


async def test_a_write_without_a_snapshot_is_a_sign_of_life_and_changes_nothing_said(twin: LiveTwin) -> None:
    await twin.live.keep_many([kept(messages=(b"1",))])
    await twin.pass_time(50)
    await twin.live.keep_many([kept(snapshot=None, messages=None, state=LiveState.LOST)])
    found = await twin.live.find("acme", "CA1")
    assert found is not None
    assert (found.snapshot, found.messages, found.state) == (SAID, (b"1",), LiveState.LOST)
    assert 49 < found.saved_ago_s < 60
    assert found.touched_ago_s < 10


async def test_only_how_it_stands_is_remembered_of_a_finished_call(twin: LiveTwin) -> None:
    await twin.live.keep_many([kept(messages=(b"1",))])
    await twin.live.keep_many([kept(snapshot=None, state=LiveState.ENDED, reason="agent_ended", finished=True)])
    found = await twin.live.find("acme", "CA1")
    assert found is not None
    assert (found.state, found.reason, found.snapshot, found.messages) == (LiveState.ENDED, "agent_ended", None, ())


async def test_the_carriers_word_reaches_whoever_serves_the_call(twin: LiveTwin) -> None:
    await twin.live.mark_over("acme", "CA1")
    assert await twin.live.find("acme", "CA1") is None
    await claim(twin, "a", proof())
    assert await twin.live.keep_many([], [("acme", "CA1")]) == [Standing("CA1", "a", 1, carrier_over=False)]
    await twin.live.mark_over("bakery", "CA1")
    assert await twin.live.keep_many([], [("acme", "CA1")]) == [Standing("CA1", "a", 1, carrier_over=False)]
    await twin.live.mark_over("acme", "CA1")
    assert await twin.live.keep_many([], [("acme", "CA1")]) == [Standing("CA1", "a", 1, carrier_over=True)]
    assert (await claim(twin, "b", None)).carrier_over


async def test_calls_left_by_their_worker_go_to_one_who_asks_each_to_one(twin: LiveTwin) -> None:
    left = [kept(f"CA{n}", tenant) for n in range(9) for tenant in ("acme", "bakery")]
    await twin.live.keep_many(left)
    await twin.live.claim("acme", "CAempty", "a")  # nothing is kept of it, so nothing is to be ended
    await twin.pass_time(100)
    await twin.live.keep_many([kept("CAfresh")])
    found: list[LiveCall] = []

    async def sweep(worker: str) -> None:
        found.extend(await twin.live.abandoned(worker, older_than_s=90))

    assert await twin.live.abandoned("x", older_than_s=110) == []
    async with trio.open_nursery() as nursery:
        for worker in ("x", "y", "z"):
            nursery.start_soon(sweep, worker)
    assert sorted((one.tenant_id, one.call_sid) for one in found) == sorted(
        (one.tenant_id, one.call_sid) for one in left
    )
    assert all(one.snapshot == SAID and one.epoch == 2 and one.worker in "xyz" for one in found)
    assert await twin.live.abandoned("x", older_than_s=90) == []
    assert await twin.live.keep_many([kept("CA3")]) == [
        Standing(
            "CA3", next(one.worker for one in found if one.call_sid == "CA3" and one.tenant_id == "acme"), 2, False
        )
    ]


async def test_no_more_abandoned_calls_are_taken_than_wanted(twin: LiveTwin) -> None:
    await twin.live.keep_many([kept(f"CA{n}", tenant) for n in range(4) for tenant in ("acme", "bakery")])
    await twin.pass_time(100)
    taken = [await twin.live.abandoned("x", older_than_s=90, most=3) for _ in range(4)]
    assert [len(some) for some in taken] == [3, 3, 2, 0]


async def test_how_a_call_ended_is_forgotten_in_the_end(twin: LiveTwin) -> None:
    await twin.live.keep_many([kept(snapshot=None, state=LiveState.ENDED, finished=True), kept("CA2")])
    await twin.pass_time(FORGOTTEN_AFTER_S)
    await twin.live.abandoned("x", older_than_s=90)
    assert await twin.live.find("acme", "CA1") is not None
    await twin.pass_time(91)
    await twin.live.abandoned("x", older_than_s=90)
    assert await twin.live.find("acme", "CA1") is None
    assert await twin.live.find("acme", "CA2") is not None


@pytest.mark.parametrize("name", ["", "../up", "a'b", "x" * 200])
async def test_what_cannot_be_a_name_is_refused(twin: LiveTwin, name: str) -> None:
    for ask in (
        lambda: twin.live.claim(name, "CA1", "a"),
        lambda: twin.live.claim("acme", name, "a"),
        lambda: twin.live.find("acme", name),
        lambda: twin.live.mark_over("acme", name),
        lambda: twin.live.keep_many([kept(name)]),
        lambda: twin.live.keep_many([kept(tenant_id=name)]),
    ):
        with pytest.raises(MisuseError):
            await ask()
