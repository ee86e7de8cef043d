"""What only the durable twin promises."""

import itertools
import os
import wave
from pathlib import Path

import pytest
import trio

from engine.audio import g711
from engine.store.files import FileStore
from tests.store.logs import heard_logs
from tests.store.suites.records import a_follow_up, an_end
from tests.store.test_twins import under


async def test_records_outlive_the_store_that_kept_them(tmp_path: Path) -> None:
    await FileStore(tmp_path).keep_call(an_end(messages=2))
    await FileStore(tmp_path).keep_follow_up(a_follow_up())
    later = FileStore(tmp_path)
    assert await later.calls("acme") == [an_end(messages=2)]
    assert await later.follow_ups("acme") == [a_follow_up()]
    assert await later.keep_call(an_end()) is False


async def test_a_message_can_be_played_by_any_player(tmp_path: Path) -> None:
    await FileStore(tmp_path).keep_call(an_end(messages=2))
    record = tmp_path / "acme" / "calls" / "CA1"
    assert (record / "message-2.ul").read_bytes() == b"\x01" * 800
    with wave.open(str(record / "message-2.wav")) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 8000)
        assert file.readframes(10_000) == g711.decode(b"\x01" * 800).astype("<i2").tobytes()


@pytest.mark.parametrize("step", range(1, 12))
async def test_a_write_that_fails_anywhere_leaves_nothing_and_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Fail the n-th thing that is synced: each file, the record, the folders above it."""
    store = FileStore(tmp_path)
    await store.keep_call(an_end(call_sid="CA0"))
    real_sync = os.fsync
    count = itertools.count(1)

    def failing(handle: int) -> None:
        if next(count) == step:
            raise OSError(28, "No space left on device")
        real_sync(handle)

    monkeypatch.setattr(os, "fsync", failing)
    failed = False
    try:
        await store.keep_call(an_end(messages=2))
    except OSError:
        failed = True
    monkeypatch.undo()
    synced_files = 6  # call.json, kept, and two for each message; then the record itself, and after it the folder
    assert failed == (step <= synced_files + 2)
    there = [end.call_sid for end in await store.calls("acme")]
    assert there == (["CA0"] if step <= synced_files + 1 else ["CA0", "CA1"])
    await store.keep_call(an_end(messages=2))
    assert (await store.calls("acme"))[-1] == an_end(messages=2)
    assert not under(tmp_path, ".*")


async def test_what_a_killed_process_left_unfinished_is_never_read(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    await store.keep_call(an_end())
    unfinished = tmp_path / "acme" / "calls" / ".0123456789abcdef"
    unfinished.mkdir()
    (unfinished / "call.json").write_bytes(b'{"tenant_id": "ac')
    assert [end.call_sid for end in await store.calls("acme")] == ["CA1"]


async def test_a_damaged_record_is_named_in_the_log_and_hides_no_other(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    for sid in ("CA1", "CA2", "CA3", "CA4"):
        await store.keep_call(an_end(call_sid=sid, messages=1))
    calls = tmp_path / "acme" / "calls"
    (calls / "CA1" / "call.json").write_bytes(b"[]")
    (calls / "CA2" / "message-1.ul").unlink()
    (calls / "CA3" / "kept").unlink()
    with heard_logs() as logs:
        assert [end.call_sid for end in await store.calls("acme")] == ["CA4"]
    assert sorted(line["path"] for line in logs) == [str(calls / sid) for sid in ("CA1", "CA2", "CA3")]


async def test_two_stores_on_one_directory_keep_a_call_once(tmp_path: Path) -> None:
    firsts: list[bool] = []

    async def keep(store: FileStore) -> None:
        firsts.append(await store.keep_call(an_end(messages=1)))

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(keep, FileStore(tmp_path))
    assert sum(firsts) == 1
    assert not under(tmp_path, ".*")


async def test_order_survives_a_clock_that_goes_back(tmp_path: Path) -> None:
    ticks = iter((300, 200, 100))
    store = FileStore(tmp_path, clock_ns=lambda: next(ticks))
    for sid in ("CA3", "CA1", "CA2"):
        await store.keep_call(an_end(call_sid=sid))
    assert [end.call_sid for end in await store.calls("acme")] == ["CA3", "CA1", "CA2"]


async def test_a_directory_that_cannot_be_written_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    with pytest.raises(OSError, match="file"):
        await FileStore(tmp_path / "file").keep_call(an_end())


async def test_records_are_for_their_owner_only(tmp_path: Path) -> None:
    await FileStore(tmp_path).keep_call(an_end())
    assert (tmp_path / "acme" / "calls" / "CA1").stat().st_mode & 0o077 == 0
