"""Answers to repeat: a key, the digest of what was asked under it, and, once it was done, what was answered.

A claim that nobody kept an answer for (its process died) is free again when its lease is over; the same request may
then be done once more. What must not be done twice even so goes through the effect ledger.
"""

from dataclasses import dataclass
from typing import TypeAlias

from engine.store.database import Database
from engine.store.sql import Connection, query

KEPT_S = 24 * 3600.0
LEASE_S = 90.0  # longer than any request takes


@dataclass(frozen=True, slots=True)
class Mine:
    """Do it, then ``keep`` or ``drop``."""


@dataclass(frozen=True, slots=True)
class Busy:
    """Somebody is at it."""


@dataclass(frozen=True, slots=True)
class OtherRequest:
    """The key was used for something else."""


@dataclass(frozen=True, slots=True)
class Answered:
    """It was done, and this was said."""

    answer: bytes


AnswerClaim: TypeAlias = Mine | Busy | OtherRequest | Answered


class Answers:
    """Every method may raise ``StoreUnavailable``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, tenant_id: str, who: str, key: str, digest: bytes) -> AnswerClaim:
        """Ask for the right to do it. Two who ask at once: one gets it."""
        return await self._database.for_tenant(tenant_id, _claim, (tenant_id, who, key), digest)

    async def keep(self, tenant_id: str, who: str, key: str, answer: bytes) -> None:
        """It was done."""
        await self._database.for_tenant(tenant_id, _execute, "keep_answer", (tenant_id, who, key, answer))

    async def drop(self, tenant_id: str, who: str, key: str) -> None:
        """Nothing was done: the key may be used again."""
        await self._database.for_tenant(tenant_id, _execute, "drop_answer", (tenant_id, who, key))


async def _claim(connection: Connection, mine: tuple[str, str, str], digest: bytes) -> AnswerClaim:
    await connection.execute(query("forget_answers"), mine[0], KEPT_S)
    if await connection.fetchval(query("claim_answer"), *mine, digest, LEASE_S, KEPT_S):
        return Mine()
    # A statement of its own sees what was committed while the one before waited for it.
    row = await connection.fetchrow(query("kept_answer"), *mine)
    if row is None:
        return Busy()  # dropped just now: the asker tries again
    if row["digest"] != digest:
        return OtherRequest()
    return Busy() if row["answer"] is None else Answered(row["answer"])


async def _execute(connection: Connection, name: str, row: tuple[object, ...]) -> None:
    await connection.execute(query(name), *row)
