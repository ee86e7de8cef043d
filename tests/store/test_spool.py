"""What the spool promises whatever is behind it; with PostgreSQL behind it, see ``tests/postgres/test_spool.py``."""

import os
from pathlib import Path

import pytest
import trio

from engine.errors import MisuseError, StoreUnavailable
from engine.store.follow_ups import FollowUp
from engine.store.interface import CallEnd
from engine.store.memory import MemoryStore
from engine.store.spool import SpooledStore
from tests.store.suites.records import a_follow_up, a_usage, an_end


class Moody(MemoryStore):
    """A store that can be told to be away, or to refuse one call for good."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.refused = ""
        self.order: list[str] = []

    async def keep_call(self, end: CallEnd) -> bool:
        await trio.lowlevel.checkpoint()
        if self.away:
            raise StoreUnavailable("away")
        if end.call_sid == self.refused:
            raise ValueError("never")
        self.order.append(end.call_sid)
        return await super().keep_call(end)

    async def keep_follow_up(self, item: FollowUp) -> bool:
        if self.away:
            raise StoreUnavailable("away")
        self.order.append(item.key)
        return await super().keep_follow_up(item)


def files(path: Path, suffix: str = ".json") -> list[str]:
    return sorted(name for name in os.listdir(path) if name.endswith(suffix)) if path.exists() else []


async def test_while_the_store_answers_nothing_touches_the_disk(tmp_path: Path) -> None:
    inner = Moody()
    store = SpooledStore(inner, tmp_path / "spool")
    assert await store.keep_call(an_end()) is True
    assert await store.keep_call(an_end()) is False
    assert not (tmp_path / "spool").exists()


async def test_what_came_while_it_was_away_is_replayed_in_order_before_what_comes_later(tmp_path: Path) -> None:
    inner = Moody()
    store = SpooledStore(inner, tmp_path)
    inner.away = True
    for sid in ("CA3", "CA1", "CA2"):
        assert await store.keep_call(an_end(call_sid=sid, messages=1)) is True
    await store.keep_follow_up(a_follow_up(key="k1"))
    inner.away = False
    await store.keep_call(an_end(call_sid="CA0"))
    assert inner.order == []
    assert store.statistics().waiting == 5
    assert await store.replay() == 5
    assert inner.order == ["CA3", "CA1", "CA2", "k1", "CA0"]
    assert (await inner.calls("acme"))[0] == an_end(call_sid="CA3", messages=1)
    await store.keep_call(an_end(call_sid="CA9"))
    assert inner.order[-1] == "CA9"
    assert files(tmp_path) == []


async def test_another_process_replays_what_the_first_one_left(tmp_path: Path) -> None:
    inner = Moody()
    inner.away = True
    await SpooledStore(inner, tmp_path).keep_call(an_end())
    await SpooledStore(inner, tmp_path).keep_usage(a_usage(call_sid="CA7"))
    inner.away = False
    later = SpooledStore(inner, tmp_path)
    assert later.statistics().waiting == 2  # usage went behind the call
    await later.keep_call(an_end(call_sid="CA2"))
    assert inner.order == []
    await later.replay()
    assert inner.order == ["CA1", "CA2"]


async def test_it_goes_on_by_itself_when_the_store_is_back(tmp_path: Path) -> None:
    """In real time: a virtual clock would jump while a thread is at the disk."""
    inner = Moody()
    store = SpooledStore(inner, tmp_path)
    inner.away = True
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        await store.keep_call(an_end())
        await trio.sleep(0.1)
        assert inner.order == []
        inner.away = False
        with trio.fail_after(5):
            while store.statistics().waiting:
                await trio.sleep(0.02)
        assert inner.order == ["CA1"]
        nursery.cancel_scope.cancel()


async def test_a_record_that_is_refused_for_good_is_set_aside_and_holds_nothing_up(tmp_path: Path) -> None:
    inner = Moody()
    store = SpooledStore(inner, tmp_path)
    inner.away = True
    for sid in ("CA1", "CA2", "CA3"):
        await store.keep_call(an_end(call_sid=sid))
    inner.away, inner.refused = False, "CA2"
    (tmp_path / files(tmp_path)[0]).write_bytes(b'{"what": "ca')
    assert await store.replay() == 1
    assert inner.order == ["CA3"]
    assert (len(files(tmp_path, ".damaged")), len(files(tmp_path, ".refused")), files(tmp_path)) == (1, 1, [])
    assert store.statistics().set_aside == 2


async def test_a_record_that_the_store_chokes_on_is_not_lost(tmp_path: Path) -> None:
    inner = Moody()
    inner.refused = "CA1"
    store = SpooledStore(inner, tmp_path)
    await store.keep_call(an_end())
    assert len(files(tmp_path)) == 1
    with pytest.raises(MisuseError):
        await store.keep_call(an_end(call_sid="../up"))
    assert len(files(tmp_path)) == 1


async def test_a_disk_that_fails_too_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    inner = Moody()
    store = SpooledStore(inner, tmp_path / "file" / "spool")
    inner.away = True
    with pytest.raises(OSError, match="file"):
        await store.keep_call(an_end())
    inner.away = False
    assert await store.keep_call(an_end()) is True


async def test_records_kept_at_once_during_an_outage_are_all_there(tmp_path: Path) -> None:
    inner = Moody()
    store = SpooledStore(inner, tmp_path)
    inner.away = True
    async with trio.open_nursery() as nursery:
        for number in range(30):
            nursery.start_soon(store.keep_call, an_end(call_sid=f"CA{number}"))
    inner.away = False
    async with trio.open_nursery() as nursery:
        for number in range(30, 60):
            nursery.start_soon(store.keep_call, an_end(call_sid=f"CA{number}"))
        nursery.start_soon(store.replay)
    await store.replay()
    assert sorted(inner.order) == sorted(f"CA{number}" for number in range(60))
