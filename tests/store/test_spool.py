"""What the spool promises whatever is behind it; with PostgreSQL behind it, see ``tests/postgres/test_spool.py``."""

import errno
import os
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import MisuseError, StoreUnavailable
from engine.store import spool_files
from engine.store.follow_ups import FollowUp
from engine.store.held import Held, HeldRecord
from engine.store.interface import CallEnd
from engine.store.memory import MemoryStore
from engine.store.spool import KEEP_S, SpooledStore
from engine.store.spool_files import write_record
from tests.store.logs import heard_logs
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


class Slow(Moody):
    """A store that takes its time."""

    takes_s = 60.0

    async def keep_call(self, end: CallEnd) -> bool:
        await trio.sleep(self.takes_s)
        return await super().keep_call(end)


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
    assert store.statistics().refused == 1


class Full:
    """A disk that is full for as long as it is said to be."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = True
        monkeypatch.setattr(spool_files, "write_record", self.write)

    def write(self, directory: Path, name: str, data: bytes) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_record(directory, name, data)


async def test_what_a_full_disk_does_not_take_is_held_and_then_kept_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, inner = Full(monkeypatch), Moody()
    store = SpooledStore(inner, tmp_path)
    inner.away = True
    await store.keep_call(an_end(call_sid="CA1", messages=1))
    await store.keep_follow_up(a_follow_up(key="k1"))
    assert (store.statistics().held, store.statistics().waiting, files(tmp_path)) == (2, 0, [])
    with pytest.raises(StoreUnavailable):
        await store.replay()
    disk.full = False
    await store.keep_call(an_end(call_sid="CA2"))
    assert (store.statistics().held, store.statistics().waiting, len(files(tmp_path))) == (0, 3, 3)
    inner.away = False
    await store.replay()
    assert inner.order == ["CA1", "k1", "CA2"]
    assert (await inner.calls("acme"))[0] == an_end(call_sid="CA1", messages=1)


async def test_what_is_held_goes_straight_to_the_store_where_the_disk_stays_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Full(monkeypatch)
    inner = Moody()
    store = SpooledStore(inner, tmp_path)
    inner.away = True
    for sid in ("CA1", "CA2"):
        await store.keep_call(an_end(call_sid=sid))
    inner.away = False
    await store.keep_call(an_end(call_sid="CA3"))
    assert inner.order == [], "nothing overtakes what is held"
    await store.replay()
    assert inner.order == ["CA1", "CA2", "CA3"]
    assert await store.keep_call(an_end(call_sid="CA4")) is True
    assert inner.order[-1] == "CA4"


async def test_what_is_held_is_logged_without_its_sound_and_turned_away_beyond_its_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Full(monkeypatch)
    inner = Moody()
    store = SpooledStore(inner, tmp_path, held=Held(records=1))
    inner.away = True
    with heard_logs() as lines:
        await store.keep_call(an_end(call_sid="CA1", messages=1))
        with pytest.raises(OSError, match="No space"):
            await store.keep_follow_up(a_follow_up(key="k1"))
    held, turned_away = (line for line in lines if "record" in line)
    assert ("CA1" in held["record"]["document"], "audio" in held["record"]) == (True, False)
    assert (turned_away["log_level"], "k1" in turned_away["record"]["document"]) == ("critical", True)
    assert (store.statistics().held, store.statistics().turned_away) == (1, 1)


async def test_each_time_that_the_disk_still_takes_nothing_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, inner = Full(monkeypatch), Moody()
    store = SpooledStore(inner, tmp_path)
    inner.away = True
    await store.keep_call(an_end())
    await store._try_the_disk()
    await store._try_the_disk()
    assert store.statistics().disk_refused == 2
    disk.full = False
    await store._try_the_disk()
    assert store.statistics().disk_refused == 2


async def test_what_is_held_is_written_when_the_process_ends_if_the_disk_takes_it_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, inner = Full(monkeypatch), Moody()
    store = SpooledStore(inner, tmp_path)
    inner.away = True
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        await store.keep_call(an_end())
        disk.full = False
        nursery.cancel_scope.cancel()
    assert len(files(tmp_path)) == 1


async def test_a_store_that_takes_too_long_is_not_waited_for(tmp_path: Path) -> None:
    """In real time: there is a thread at the disk."""
    inner = Slow()
    store = SpooledStore(inner, tmp_path)
    began = trio.current_time()
    assert await store.keep_call(an_end()) is True
    assert trio.current_time() - began < KEEP_S + 0.5
    assert (len(files(tmp_path)), inner.order) == (1, [])
    inner.takes_s = 0.0
    await store.replay()
    assert inner.order == ["CA1"]


@given(st.lists(st.integers(0, 40), max_size=60), st.integers(1, 5), st.integers(0, 100))
def test_never_more_is_held_than_its_bounds(sizes: list[int], records: int, most: int) -> None:
    held, mine = Held(records=records, most_bytes=most), list[HeldRecord]()
    for number, size in enumerate(sizes):
        record = HeldRecord(str(number), bytes(size))
        if held.take(record):
            mine.append(record)
        elif mine and held.first() is not None:
            held.let_go(mine[0])
            held.let_go(mine[0])  # twice is harmless
            mine.pop(0)
        assert len(held) == len(mine) <= records
        assert sum(len(one.data) for one in mine) <= most
        assert held.first() is (mine[0] if mine else None)


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
