"""Where each call stands now, kept where other workers find it: types and protocol, and the in-memory twin.

A call belongs to one worker at a time. Whoever serves it writes its state behind; whoever is asked for it next
*claims* it, which begins a new epoch: from then on everything that the worker before it still writes is ignored, and
that worker learns with its next write that the call has moved. One row's life::

    claim -> ringing | live --keep--> live, lost, ended, transferring --finish--> a tombstone without content
               ^                            |
               +------- claim (stream, recovery, sweep): epoch + 1, with all that was kept

Rules that the twins share:

* a stream's claim carries the nonce of its token; a nonce opens one stream, on whichever worker. The same worker may
  claim again with the nonce of its own last claim, after an answer that was lost.
* a stream that was not asked for by a recovery cannot claim a call that is live: it would be its second stream.
* ``keep_many`` writes only where the worker and epoch of the row are the writer's, or where there is no row.
* ages are counted on one clock, the store's own: the clocks of two machines differ.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Protocol, TypeAlias

import orjson
import trio

from engine.store.records import safe_name

NONCES_KEPT = 8  # tokens live 30 s, and a call is invited once and recovered three times


class LiveState(StrEnum):
    """How a call stands."""

    RINGING = "ringing"  # announced, and never on a line yet
    LIVE = "live"  # a line of it is being served
    LOST = "lost"  # its line is gone, and the carrier may bring it back
    ENDED = "ended"  # it is over; ``reason`` says how
    TRANSFERRING = "transferring"  # the carrier has been told to put it through


class ClaimRefused(StrEnum):
    """Why a stream may not have a call."""

    USED = "used"  # its token has opened a stream before
    LIVE = "live"  # another worker serves the call, and nobody asked for a recovery


@dataclass(frozen=True, slots=True)
class LiveCall:
    """A call as it was last kept.

    Attributes:
        worker: the process that it belongs to.
        epoch: counts claims, from 1.
        attempts: recoveries so far.
        reason: of the outcome, where one is known.
        snapshot: see ``call/record_state.py``; None where nothing was kept, or is kept any more.
        messages: what the caller left, in mu-law at 8 kHz.
        carrier_over: the carrier has said that the call is over.
        saved_ago_s: since the snapshot was written, on the store's clock.
        touched_ago_s: since its worker last gave a sign.
    """

    tenant_id: str
    call_sid: str
    worker: str
    epoch: int
    attempts: int
    state: LiveState
    reason: str = ""
    caller: str = ""
    snapshot: dict[str, Any] | None = None
    messages: tuple[bytes, ...] = ()
    carrier_over: bool = False
    saved_ago_s: float = 0.0
    touched_ago_s: float = 0.0


@dataclass(frozen=True, slots=True)
class StreamProof:
    """What a media stream claims a call with: the digest of its token, and the recovery that invited it (0: none)."""

    nonce: str
    attempt: int


@dataclass(frozen=True, slots=True)
class KeptCall:
    """What a call's worker writes.

    Attributes:
        snapshot: JSON; None leaves what is there.
        messages: all of them; None leaves what is there.
        finished: its end has been kept elsewhere: only how it stands is remembered, nothing of what was said.
    """

    tenant_id: str
    call_sid: str
    worker: str
    epoch: int
    attempts: int
    state: LiveState
    reason: str = ""
    caller: str = ""
    snapshot: str | None = None
    messages: tuple[bytes, ...] | None = None
    finished: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """Whose a call is."""

    call_sid: str
    worker: str
    epoch: int
    carrier_over: bool


CallKey: TypeAlias = tuple[str, str]
"""Tenant and CallSid."""


class LiveCalls(Protocol):
    """See the module. Each method is one round trip, and may raise ``RemoteError`` where the place is away."""

    @property
    def shared(self) -> bool:
        """Whether another process, or the next one, finds what is kept here."""

    async def claim(
        self, tenant_id: str, call_sid: str, worker: str, *, stream: StreamProof | None = None, caller: str = ""
    ) -> LiveCall | ClaimRefused:
        """Take the call over, known or not; as it stands from now on.

        Args:
            stream: None for a recovery, which is counted; its stream is still to come.
            caller: where the store does not know who calls.
        """

    async def keep_many(self, kept: Sequence[KeptCall], ask: Sequence[CallKey] = ()) -> list[Standing]:
        """Write these where they are still the writer's; how they, and those asked for besides, stand now."""

    async def find(self, tenant_id: str, call_sid: str) -> LiveCall | None:
        """As it was last kept; takes nothing over."""

    async def mark_over(self, tenant_id: str, call_sid: str) -> None:
        """The carrier says that it is over: whoever serves it learns it. Nothing where it is not known."""

    async def abandoned(self, worker: str, *, older_than_s: float, most: int = 50) -> list[LiveCall]:
        """Claim calls whose worker gave no sign for so long, and of which something is kept. Also forgets old ones."""


@dataclass(slots=True)
class _Row:
    worker: str
    caller: str
    epoch: int = 0
    attempts: int = 0
    state: LiveState = LiveState.RINGING
    reason: str = ""
    snapshot: str | None = None
    messages: tuple[bytes, ...] = ()
    nonces: list[str] = field(default_factory=list)
    carrier_over: bool = False
    saved_at: float = 0.0
    touched_at: float = 0.0


class MemoryLiveCalls:
    """The in-memory twin: atomic because nothing waits between looking and writing. Ages run on trio's clock.

    Args:
        shared: several gateways of this process are given the same one, so that they stand for processes.
    """

    def __init__(self, *, shared: bool = False) -> None:
        self.shared = shared
        self._rows: dict[CallKey, _Row] = {}

    async def claim(
        self, tenant_id: str, call_sid: str, worker: str, *, stream: StreamProof | None = None, caller: str = ""
    ) -> LiveCall | ClaimRefused:
        """See ``LiveCalls``."""
        await trio.lowlevel.checkpoint()
        key = _key(tenant_id, call_sid)
        row = self._rows.setdefault(key, _Row(worker, caller))
        if stream is not None and stream.nonce in row.nonces:
            is_mine = row.worker == worker and row.nonces[-1] == stream.nonce
            return self._seen(key) if is_mine else ClaimRefused.USED
        if stream is not None and row.state is LiveState.LIVE and row.worker != worker and not stream.attempt:
            return ClaimRefused.LIVE
        row.worker, row.epoch, row.touched_at = worker, row.epoch + 1, trio.current_time()
        row.caller = row.caller or caller
        if stream is None:
            row.attempts += 1
            row.state = row.state if row.state is LiveState.RINGING else LiveState.LOST
        else:
            row.nonces = [*row.nonces, stream.nonce][-NONCES_KEPT:]
            row.state = LiveState.LIVE
        return self._seen(key)

    async def keep_many(self, kept: Sequence[KeptCall], ask: Sequence[CallKey] = ()) -> list[Standing]:
        """See ``LiveCalls``."""
        await trio.lowlevel.checkpoint()
        for one in kept:
            self._keep(one)
        wanted = dict.fromkeys([*((one.tenant_id, one.call_sid) for one in kept), *ask])
        return [
            Standing(key[1], row.worker, row.epoch, row.carrier_over)
            for key in wanted
            if (row := self._rows.get(key)) is not None
        ]

    async def find(self, tenant_id: str, call_sid: str) -> LiveCall | None:
        """See ``LiveCalls``."""
        await trio.lowlevel.checkpoint()
        key = _key(tenant_id, call_sid)
        return self._seen(key) if key in self._rows else None

    async def mark_over(self, tenant_id: str, call_sid: str) -> None:
        """See ``LiveCalls``."""
        await trio.lowlevel.checkpoint()
        if (row := self._rows.get(_key(tenant_id, call_sid))) is not None:
            row.carrier_over = True

    async def abandoned(self, worker: str, *, older_than_s: float, most: int = 50) -> list[LiveCall]:
        """See ``LiveCalls``."""
        await trio.lowlevel.checkpoint()
        before = trio.current_time() - older_than_s
        self._rows = {
            key: row
            for key, row in self._rows.items()
            if row.snapshot is not None or row.touched_at > before - FORGOTTEN_AFTER_S
        }
        stale = [key for key, row in self._rows.items() if row.snapshot is not None and row.touched_at < before]
        for key in stale[:most]:
            row = self._rows[key]
            row.worker, row.epoch, row.touched_at = worker, row.epoch + 1, trio.current_time()
        return [self._seen(key) for key in stale[:most]]

    def _keep(self, one: KeptCall) -> None:
        row = self._rows.setdefault(_key(one.tenant_id, one.call_sid), _Row(one.worker, one.caller, one.epoch))
        if (row.worker, row.epoch) != (one.worker, one.epoch):
            return
        row.attempts, row.state, row.reason, row.caller = one.attempts, one.state, one.reason, one.caller
        row.touched_at = trio.current_time()
        if one.snapshot is not None:
            row.snapshot, row.saved_at = one.snapshot, row.touched_at
        if one.messages is not None:
            row.messages = one.messages
        if one.finished:
            row.snapshot, row.messages = None, ()

    def _seen(self, key: CallKey) -> LiveCall:
        row, now = self._rows[key], trio.current_time()
        snapshot = None if row.snapshot is None else orjson.loads(row.snapshot)
        seen = LiveCall(*key, row.worker, row.epoch, row.attempts, row.state, row.reason, row.caller, snapshot)
        return replace(
            seen,
            messages=row.messages,
            carrier_over=row.carrier_over,
            saved_ago_s=now - row.saved_at,
            touched_ago_s=now - row.touched_at,
        )


FORGOTTEN_AFTER_S = 900.0  # how long it is known how a call ended, counted from when it would be taken for abandoned


def _key(tenant_id: str, call_sid: str) -> CallKey:
    return safe_name("tenant_id", tenant_id), safe_name("call_sid", call_sid)
