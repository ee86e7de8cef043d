"""Keep it now in the database, or else on the disk until the database is back: nobody who keeps something waits.

    DIRECTORY/<instant in ns>-<random>.json      one record, written under a hidden name, synced and renamed

What is spooled is replayed in the order in which it came, and only then unlinked. A process that dies in between
replays it again, and the store, which keeps every record once per key, changes nothing: that makes it exactly once.
Several processes may share a directory. While anything is spooled, what comes goes behind it. A record that the store
refuses for good is set aside (``.refused``, or ``.damaged`` where it cannot be read) and holds nothing up.

A disk that takes nothing either (full, or not ours) makes no difference to who keeps something: it is held in memory,
as much as ``held.py`` allows, and goes to the disk or the database as soon as one of them takes it.
"""

import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import orjson
import trio

from engine.errors import MisuseError, StoreUnavailable
from engine.log import get_logger
from engine.store import spool_files
from engine.store.follow_ups import FollowUp, FollowUps
from engine.store.held import Held, HeldRecord
from engine.store.interface import CallEnd, Store
from engine.store.records import (
    decode_call,
    decode_follow_up,
    decode_usage,
    encode_call,
    encode_follow_up,
    encode_usage,
)
from engine.store.usage import Usage, UsageRecord

KEEP_S = 1.0  # for the database to take a record; whoever keeps something may be on a call (``tools/executor.py``)
PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0)  # between attempts to replay
LOOK_AGAIN_S = 30.0  # another process that shares the directory may have died with something left

_log = get_logger("store.spool")


class Keeper(Store, FollowUps, Usage, Protocol):
    """What is spooled for: everything that a call leaves behind."""


@dataclass(frozen=True, slots=True)
class SpoolStatistics:
    """``waiting`` (on the disk) and ``held`` (in memory) are now; the others count since start.

    Attributes:
        turned_away: neither database nor disk nor memory had room: whoever kept it was told so, by ``OSError``.
        refused: the database did not want it, for no reason that we know of: spooled all the same.
        disk_refused: what was held was tried at the disk once more, which took nothing.
    """

    waiting: int
    spooled: int
    replayed: int
    set_aside: int
    held: int = 0
    turned_away: int = 0
    refused: int = 0
    disk_refused: int = 0


class SpooledStore:
    """``Store``, ``FollowUps`` and ``Usage`` around another. ``run`` replays, and has to run as long as it is used.

    Keeping raises ``OSError`` where the disk fails too and too much is held already, never ``StoreUnavailable``;
    reading raises what the inner does. True of a record that was spooled means only that nothing is known against it.
    """

    def __init__(
        self, inner: Keeper, directory: Path, clock_ns: Callable[[], int] = time.time_ns, held: Held | None = None
    ) -> None:
        """``clock_ns`` only orders records."""
        self._inner = inner
        self._directory = directory
        self._clock_ns = clock_ns
        self._last_ns = 0
        self._waiting = len(spool_files.record_names(directory))
        self._behind = self._waiting > 0  # something may be spooled: what comes goes behind it
        self._writing = 0
        self._spooled = self._replayed = self._set_aside = self._turned_away = 0
        self._refused = self._disk_refused = 0
        self._held = Held() if held is None else held
        self._something = trio.Event()

    async def keep_call(self, end: CallEnd) -> bool:
        """See ``Store``."""
        audio = [b64encode(message.mulaw).decode() for message in end.messages]
        record = {"what": "call", "document": encode_call(end).decode(), "audio": audio}
        return await self._keep(record, lambda: self._inner.keep_call(end))

    async def keep_follow_up(self, item: FollowUp) -> bool:
        """See ``FollowUps``."""
        record = {"what": "follow_up", "document": encode_follow_up(item).decode()}
        return await self._keep(record, lambda: self._inner.keep_follow_up(item))

    async def keep_usage(self, record: UsageRecord) -> bool:
        """See ``Usage``."""
        spooled = {"what": "usage", "document": encode_usage(record).decode()}
        return await self._keep(spooled, lambda: self._inner.keep_usage(record))

    async def calls(self, tenant_id: str) -> list[CallEnd]:
        """See ``Store``: those that have been replayed."""
        return await self._inner.calls(tenant_id)

    async def follow_ups(self, tenant_id: str) -> list[FollowUp]:
        """See ``FollowUps``: those that have been replayed."""
        return await self._inner.follow_ups(tenant_id)

    async def usage(self, tenant_id: str) -> list[UsageRecord]:
        """See ``Usage``: those that have been replayed."""
        return await self._inner.usage(tenant_id)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Replay whatever is spooled, as soon as the store takes it, until cancelled."""
        task_status.started()
        failures = 0
        try:
            while True:
                self._something = trio.Event()
                try:
                    await self.replay()
                except (StoreUnavailable, OSError) as error:
                    _log.warning("what is spooled cannot be replayed yet", detail=str(error), waiting=self._waiting)
                    await self._try_the_disk()
                    await trio.sleep(PAUSES_S[min(failures, len(PAUSES_S) - 1)])
                    failures += 1
                else:
                    failures = 0
                    with trio.move_on_after(LOOK_AGAIN_S):
                        await self._something.wait()
        finally:
            with trio.CancelScope(shield=True):
                await self._try_the_disk()
            if self._held:
                _log.critical("records are lost with this process; each was logged when it came", count=len(self._held))

    async def replay(self) -> int:
        """All that is spooled now, in order; how many records.

        Raises:
            StoreUnavailable, OSError: it stopped there; what is left stays in its order.
        """
        count = 0
        while True:
            spooled = self._spooled
            names = await trio.to_thread.run_sync(spool_files.record_names, self._directory)
            self._waiting = len(names)
            if not names and not self._held and spooled == self._spooled:
                self._behind = False
                return count
            for name in names:
                count += await self._replay_one(self._directory / name)
                self._waiting -= 1
            while (record := self._held.first()) is not None:
                count += await self._replay_held(record)

    def statistics(self) -> SpoolStatistics:
        """A snapshot."""
        counts = (self._spooled, self._replayed, self._set_aside)
        lost = (self._turned_away, self._refused, self._disk_refused)
        return SpoolStatistics(self._waiting, *counts, len(self._held), *lost)

    async def _keep(self, record: dict[str, Any], keep: Callable[[], Any]) -> bool:
        if not self._behind and not self._writing:
            try:
                with trio.fail_after(KEEP_S):
                    return bool(await keep())
            except MisuseError:
                raise
            except (StoreUnavailable, trio.TooSlowError) as error:
                _log.warning("the database is away: spooling", detail=str(error) or "it takes too long")
            except Exception:  # noqa: BLE001 - whatever the database says: what a call left must not be lost
                self._refused += 1
                _log.exception("the database refuses a record: spooling")
        self._writing += 1
        try:
            with trio.CancelScope(shield=True):  # half a write would be worse than a late one
                await self._spool(HeldRecord(self._name(), orjson.dumps(record)), record)
        finally:
            self._writing -= 1
        self._something.set()
        return True

    async def _spool(self, record: HeldRecord, said: dict[str, Any]) -> None:
        self._behind = True
        try:
            await self._write_held()
            await trio.to_thread.run_sync(spool_files.write_record, self._directory, record.name, record.data)
        except OSError as error:
            told = {name: part for name, part in said.items() if name != "audio"}
            if not self._held.take(record):
                self._turned_away += 1
                _log.critical("a record is turned away: no room is left anywhere", record=told, detail=str(error))
                raise
            _log.error("neither database nor disk: a record is held in memory", record=told, detail=str(error))
        else:
            self._waiting += 1
        self._spooled += 1

    async def _write_held(self) -> None:
        """Raises ``OSError`` where the disk still takes nothing."""
        while (record := self._held.first()) is not None:
            await trio.to_thread.run_sync(spool_files.write_record, self._directory, record.name, record.data)
            self._held.let_go(record)
            self._waiting += 1

    async def _try_the_disk(self) -> None:
        try:
            await self._write_held()
        except OSError:  # why was said when they came
            self._disk_refused += 1

    async def _replay_one(self, path: Path) -> bool:
        try:
            refused = await self._hand_on(await trio.to_thread.run_sync(path.read_bytes))
        except FileNotFoundError:
            return False  # another process has replayed it
        if refused is not None:
            return await self._put_aside(path, *refused)
        await trio.to_thread.run_sync(_unlink, path)
        self._replayed += 1
        return True

    async def _replay_held(self, record: HeldRecord) -> bool:
        refused = await self._hand_on(record.data)
        self._held.let_go(record)
        if refused is not None:
            self._set_aside += 1
            _log.critical("a record is lost: the database does not want it", name=record.name, error=repr(refused[1]))
            return False
        self._replayed += 1
        return True

    async def _hand_on(self, data: bytes) -> tuple[str, Exception] | None:
        """To the store; a suffix and the reason where it can never be kept."""
        try:
            keep = self._read(orjson.loads(data))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return ".damaged", error
        try:
            await keep()
        except (StoreUnavailable, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - one record that cannot be kept must not hold up the others
            return ".refused", error
        return None

    async def _put_aside(self, path: Path, suffix: str, error: Exception) -> bool:
        _log.error("a spooled record cannot be kept, set aside", path=str(path.with_suffix(suffix)), error=repr(error))
        self._set_aside += 1
        await trio.to_thread.run_sync(path.replace, path.with_suffix(suffix))
        return False

    def _read(self, record: dict[str, Any]) -> Callable[[], Any]:
        document = record["document"].encode()
        match record["what"]:
            case "call":
                end = decode_call(document, [b64decode(audio) for audio in record["audio"]])
                return lambda: self._inner.keep_call(end)
            case "follow_up":
                item = decode_follow_up(document)
                return lambda: self._inner.keep_follow_up(item)
            case "usage":
                usage = decode_usage(document)
                return lambda: self._inner.keep_usage(usage)
            case other:
                raise ValueError(f"no such kind: {other!r}")

    def _name(self) -> str:
        """Now, but always after the one before: two records of one process never change places."""
        self._last_ns = max(self._last_ns + 1, self._clock_ns())
        return f"{self._last_ns:020}-{uuid4().hex[:12]}.json"


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)  # not synced: a record that comes again changes nothing
