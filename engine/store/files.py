"""The durable twin without a database: a spool of plain files that a person can read and another store can replay.

    DIRECTORY/<tenant_id>/calls/<call_sid>/call.json  message-1.ul  message-1.wav  kept
    DIRECTORY/<tenant_id>/follow-ups/<key>/follow-up.json  kept
    DIRECTORY/<tenant_id>/usage/<call_sid>.<kind>/usage.json  kept

A record is a directory, written under a hidden name, synced, and then renamed: it is there wholly or not at all, and
renaming onto a directory that is not empty fails, which is what makes a repeat harmless, also between processes.
``kept`` holds the instant of keeping in nanoseconds, for the order. A hidden directory is what a killed process left
unfinished; it is never read.
"""

import errno
import io
import os
import shutil
import time
import wave
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import trio

from engine.audio import g711
from engine.log import get_logger
from engine.store.follow_ups import FollowUp
from engine.store.interface import CallEnd
from engine.store.records import (
    decode_call,
    decode_follow_up,
    decode_usage,
    encode_call,
    encode_follow_up,
    encode_usage,
    safe_name,
)
from engine.store.usage import UsageRecord

_log = get_logger("store")
_T = TypeVar("_T")
_RATE = 8000  # of every message; mu-law as it came from the phone
_ALREADY_THERE = {errno.EEXIST, errno.ENOTEMPTY}


class FileStore:
    """``Store``, ``FollowUps`` and ``Usage`` in a directory. May raise ``OSError`` (disk full, not permitted)."""

    def __init__(self, directory: Path, clock_ns: Callable[[], int] = time.time_ns) -> None:
        """Nothing is touched before the first record; ``clock_ns`` only orders them."""
        self._directory = directory
        self._clock_ns = clock_ns
        self._last_ns = 0

    async def keep_call(self, end: CallEnd) -> bool:
        """See ``Store``. Not cancellable once begun: a record half kept would be worse than a late one."""
        files = {"call.json": encode_call(end)}
        folder = self._directory / end.tenant_id / "calls" / end.call_sid
        return await trio.to_thread.run_sync(_keep_call, folder, files, end, self._stamp())

    async def calls(self, tenant_id: str) -> list[CallEnd]:
        """See ``Store``. A damaged record is logged and left out, so that it hides no other."""
        folder = self._directory / safe_name("tenant_id", tenant_id) / "calls"
        return await trio.to_thread.run_sync(partial(_read_all, folder, _read_call))

    async def keep_follow_up(self, item: FollowUp) -> bool:
        """See ``FollowUps``."""
        files = {"follow-up.json": encode_follow_up(item), "kept": self._stamp()}
        folder = self._directory / item.tenant_id / "follow-ups" / item.key
        return await trio.to_thread.run_sync(_keep, folder, files)

    async def follow_ups(self, tenant_id: str) -> list[FollowUp]:
        """See ``FollowUps``."""
        folder = self._directory / safe_name("tenant_id", tenant_id) / "follow-ups"
        return await trio.to_thread.run_sync(partial(_read_all, folder, _read_follow_up))

    async def keep_usage(self, record: UsageRecord) -> bool:
        """See ``Usage``."""
        files = {"usage.json": encode_usage(record), "kept": self._stamp()}
        folder = self._directory / record.tenant_id / "usage" / f"{record.call_sid}.{record.kind}"
        return await trio.to_thread.run_sync(_keep, folder, files)

    async def usage(self, tenant_id: str) -> list[UsageRecord]:
        """See ``Usage``."""
        folder = self._directory / safe_name("tenant_id", tenant_id) / "usage"
        return await trio.to_thread.run_sync(partial(_read_all, folder, _read_usage))

    def _stamp(self) -> bytes:
        """Now, but always after the stamp before: two records of one process never change places."""
        self._last_ns = max(self._last_ns + 1, self._clock_ns())
        return str(self._last_ns).encode()


def _keep_call(folder: Path, files: dict[str, bytes], end: CallEnd, stamp: bytes) -> bool:
    files["kept"] = stamp
    for number, message in enumerate(end.messages, start=1):
        files[f"message-{number}.ul"] = message.mulaw
        files[f"message-{number}.wav"] = _wav(message.mulaw)
    return _keep(folder, files)


def _keep(folder: Path, files: dict[str, bytes]) -> bool:
    """Write the record; False where it is there already."""
    if folder.exists():
        return False
    parents = [parent for parent in (folder.parent, *folder.parent.parents) if not parent.exists()]
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for parent in reversed(parents):
        _sync(parent.parent)
    unfinished = folder.parent / f".{uuid4().hex}"
    unfinished.mkdir(mode=0o700)
    try:
        for name, data in files.items():
            with (unfinished / name).open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        _sync(unfinished)
        unfinished.rename(folder)
    except OSError as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        if error.errno in _ALREADY_THERE:
            return False
        raise
    _sync(folder.parent)
    return True


def _sync(directory: Path) -> None:
    """Make names in this directory survive a power cut."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _read_all(folder: Path, read: Callable[[Path], _T]) -> list[_T]:
    def records() -> Iterator[tuple[int, str, _T]]:
        for entry in folder.iterdir() if folder.is_dir() else ():
            if entry.name.startswith("."):
                continue
            try:
                yield int((entry / "kept").read_bytes()), entry.name, read(entry)
            except (OSError, ValueError) as error:
                _log.error("damaged record", path=str(entry), error=str(error))

    return [record for _, _, record in sorted(records(), key=lambda found: found[:2])]


def _read_call(entry: Path) -> CallEnd:
    document = (entry / "call.json").read_bytes()
    count = len(list(entry.glob("message-*.ul")))
    return decode_call(document, [(entry / f"message-{n}.ul").read_bytes() for n in range(1, count + 1)])


def _read_follow_up(entry: Path) -> FollowUp:
    return decode_follow_up((entry / "follow-up.json").read_bytes())


def _read_usage(entry: Path) -> UsageRecord:
    return decode_usage((entry / "usage.json").read_bytes())


def _wav(mulaw: bytes) -> bytes:
    """What any player opens: PCM16, mono, 8 kHz."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE)
        file.writeframes(g711.decode(mulaw).astype("<i2").tobytes())
    return out.getvalue()
