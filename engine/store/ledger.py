"""What was done to the world during a call, so that it is done once: the effect ledger. Types and protocol only.

One entry per *effect key*; any number of call ids may lead to it. An entry's life::

                      finish  -> done      every later claim is AlreadyDone(response), for good
    claim -> claimed -+
                      abandon -> gone      nothing was done: a new call id may claim it again; the ids that were told
                                           a response keep getting that response
                      lease over           nobody knows: a read is simply claimed anew, a write is OutcomeUnknown
                                           (a person must look), never run again, unless its endpoint does one effect
                                           id once: then it is run again under the same id

What the database twin must hold to (each point has cost somebody an effect):

* ``claim`` is one statement and is committed before anything is run; callers shield it from cancellation, because a
  cancelled claim may have been committed all the same.
* the attempt token is made by the caller beforehand: the same attempt may claim again after a lost answer.
* ``finish`` and ``abandon`` write only where the attempt still owns the entry.
* ids are remembered beside their key; the same id with another tool or other arguments is ``IdReused``.
* only ``writes`` need to be durable: claims of reads may live in the process.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Protocol, TypeAlias

from engine.messages import Effect

Response: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class EffectKey:
    """What makes two tool calls one effect.

    Attributes:
        digest: of the normalised arguments.
        scope: how far sameness reaches: ``call``, ``turn-<id>``, or ``id-<call id>``.
    """

    tenant_id: str
    call_sid: str
    tool: str
    digest: str
    scope: str

    @property
    def effect_id(self) -> str:
        """32 hex digits, the same for the same effect in every process; fit for an idempotency key."""
        parts = (self.tenant_id, self.call_sid, self.tool, self.digest, self.scope)
        return sha256("\x00".join(parts).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """Who claims. ``lease_s`` is how long this attempt can take at the very most."""

    call_id: str
    attempt: str
    effect: Effect
    lease_s: float


@dataclass(frozen=True, slots=True)
class Claimed:
    """It is yours: run it, then ``finish`` or ``abandon`` this key."""

    key: EffectKey


@dataclass(frozen=True, slots=True)
class AlreadyDone:
    """It was answered before; say the same."""

    response: Response


@dataclass(frozen=True, slots=True)
class InFlight:
    """Another attempt is at it: ``wait_settled`` on this key."""

    key: EffectKey


@dataclass(frozen=True, slots=True)
class OutcomeUnknown:
    """An earlier attempt of a write never came back. The entry is yours for the lease that you asked for.

    It is to be finished without running anything, unless the tool does the same ``effect_id`` once by itself.
    """

    key: EffectKey


@dataclass(frozen=True, slots=True)
class IdReused:
    """This call id stood for another tool or other arguments before; nothing was claimed."""


Claim: TypeAlias = Claimed | AlreadyDone | InFlight | OutcomeUnknown | IdReused


class Ledger(Protocol):
    """Once, though the model calls twice. May raise ``RemoteError`` or ``OSError`` where it cannot be reached."""

    async def claim(self, key: EffectKey, request: ClaimRequest) -> Claim:
        """Ask for the right to run this effect."""

    async def finish(self, key: EffectKey, attempt: str, response: Response) -> bool:
        """It was done (or must never be tried again); False where this attempt owns the entry no longer."""

    async def abandon(self, key: EffectKey, attempt: str, response: Response | None) -> bool:
        """Nothing was done. ``response`` is what was answered; None where the attempt was stopped before it had one."""

    async def wait_settled(self, key: EffectKey) -> Response | None:
        """Wait until the running attempt ends: its response, or None where the caller should claim again.

        An attempt whose lease is over has ended too: nobody waits longer for it than it was given, however late they
        came to wait.
        """

    async def forget_call(self, tenant_id: str, call_sid: str) -> None:
        """This call is over and wrapped up: its entries may go."""
