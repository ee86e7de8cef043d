"""Ends of calls are kept in order, for as long as it takes; one that cannot be kept holds no other up."""

from dataclasses import dataclass, field

import pytest
import trio
import trio.testing

from engine.call.wrap_up import RETRY_PAUSES_S, offer_end, run_wrap_up
from engine.errors import MisuseError
from engine.metrics import Metrics
from engine.store.interface import CallEnd

Clock = trio.testing.MockClock


def end_of(call_sid: str) -> CallEnd:
    return CallEnd("acme", call_sid, "success", "agent_ended")


@dataclass
class Store:
    """Fails as it is told, then keeps."""

    failures: list[Exception] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    tried: list[tuple[float, str]] = field(default_factory=list)
    cannot_keep: dict[str, Exception] = field(default_factory=dict)

    async def keep_call(self, end: CallEnd) -> bool:
        await trio.lowlevel.checkpoint()
        self.tried.append((trio.current_time(), end.call_sid))
        if end.call_sid in self.cannot_keep:
            raise self.cannot_keep[end.call_sid]
        if self.failures:
            raise self.failures.pop(0)
        self.kept.append(end.call_sid)
        return True

    async def calls(self, tenant_id: str) -> list[CallEnd]:
        raise NotImplementedError


async def kept_by(store: Store, *call_sids: str) -> int:
    """Returns how many records were lost."""
    lost: list[None] = []
    send, receive = trio.open_memory_channel[CallEnd](10)
    for call_sid in call_sids:
        offer_end(send, end_of(call_sid), Metrics())
    send.close()
    await run_wrap_up(ends=receive, store=store, crashed=lambda: lost.append(None))
    with pytest.raises(trio.ClosedResourceError):
        receive.receive_nowait()
    return len(lost)


async def test_every_end_is_kept_in_order_and_then_the_actor_ends() -> None:
    store = Store()
    await kept_by(store, "CA1", "CA2", "CA3")
    assert store.kept == ["CA1", "CA2", "CA3"]


async def test_a_store_that_is_away_is_tried_again_in_order_with_growing_pauses(autojump_clock: Clock) -> None:
    store = Store(failures=[OSError("away") for _ in range(6)])
    await kept_by(store, "CA1", "CA2")
    assert store.kept == ["CA1", "CA2"]
    assert [call_sid for _, call_sid in store.tried] == ["CA1"] * 7 + ["CA2"]
    pauses = [b - a for (a, _), (b, _) in zip(store.tried, store.tried[1:7], strict=False)]
    assert pauses == pytest.approx([*RETRY_PAUSES_S, RETRY_PAUSES_S[-1], RETRY_PAUSES_S[-1]])


@pytest.mark.parametrize("bug", [MisuseError("an id cannot be a name"), ZeroDivisionError("a bug")])
async def test_an_end_that_can_never_be_kept_holds_no_other_up(bug: Exception, autojump_clock: Clock) -> None:
    """This actor serves every call of the process: a bug met by one end must not cost the others theirs."""
    store = Store(cannot_keep={"CA1": bug})
    assert await kept_by(store, "CA1", "CA2") == 1
    assert store.kept == ["CA2"]


async def test_a_full_queue_is_counted_and_nobody_waits() -> None:
    metrics = Metrics()
    send, receive = trio.open_memory_channel[CallEnd](1)
    with send, receive:
        offer_end(send, end_of("CA1"), metrics)
        offer_end(send, end_of("CA2"), metrics)
        assert metrics.dropped_messages.labels("wrap_up")._value.get() == 1
        assert receive.receive_nowait().call_sid == "CA1"
