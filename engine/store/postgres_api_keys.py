"""Tenants' API keys: who they are, what they may; never the secret itself. Each is seen under its own tenant alone."""

from dataclasses import dataclass
from datetime import datetime

from engine.store.database import Database
from engine.store.sql import Connection, Row, plain, query


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key. ``kept_order`` grows with age of creation and is what lists go by."""

    tenant_id: str
    key_id: str
    name: str
    scopes: tuple[str, ...]
    created_by: str
    created_at: datetime
    rotated_at: datetime | None
    revoked_at: datetime | None
    kept_order: int


@dataclass(frozen=True, slots=True)
class KeyProof:
    """What a key has to be checked against. ``served`` is False where its tenant is not there any more."""

    digest: bytes
    scopes: tuple[str, ...]
    revoked: bool
    served: bool


class ApiKeys:
    """Every method may raise ``StoreUnavailable``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self, tenant_id: str, key_id: str, *, name: str, scopes: tuple[str, ...], digest: bytes, created_by: str
    ) -> ApiKey | None:
        """A new one; None where there is no such tenant."""
        row = (tenant_id, key_id, plain(name), list(scopes), digest, plain(created_by))
        return await self._database.for_tenant(tenant_id, _one, "add_api_key", row)

    async def proof(self, tenant_id: str, key_id: str) -> KeyProof | None:
        """What to check it against; None where it was never made."""
        return await self._database.for_tenant(tenant_id, _proof, tenant_id, key_id)

    async def page(self, tenant_id: str, *, before: int | None, limit: int) -> list[ApiKey]:
        """A page, newest first; revoked ones too."""
        return await self._database.for_tenant(tenant_id, _page, tenant_id, before, limit)

    async def get(self, tenant_id: str, key_id: str) -> ApiKey | None:
        """One."""
        return await self._database.for_tenant(tenant_id, _one, "api_key", (tenant_id, key_id))

    async def rotate(self, tenant_id: str, key_id: str, digest: bytes) -> ApiKey | None:
        """Another secret from now on; None where there is no such key, or it was revoked."""
        return await self._database.for_tenant(tenant_id, _one, "rotate_api_key", (tenant_id, key_id, digest))

    async def revoke(self, tenant_id: str, key_id: str) -> ApiKey | None:
        """Opens nothing from now on; None where there is no such key. Safe to repeat."""
        return await self._database.for_tenant(tenant_id, _one, "revoke_api_key", (tenant_id, key_id))


async def _one(connection: Connection, name: str, row: tuple[object, ...]) -> ApiKey | None:
    found = await connection.fetchrow(query(name), *row)
    return None if found is None else _key(found)


async def _proof(connection: Connection, tenant_id: str, key_id: str) -> KeyProof | None:
    row = await connection.fetchrow(query("api_key_digest"), tenant_id, key_id)
    return None if row is None else KeyProof(row["digest"], tuple(row["scopes"]), row["revoked"], row["served"])


async def _page(connection: Connection, tenant_id: str, before: int | None, limit: int) -> list[ApiKey]:
    return [_key(row) for row in await connection.fetch(query("api_keys"), tenant_id, before, limit)]


def _key(row: Row) -> ApiKey:
    fields = {name: value for name, value in dict(row).items() if name != "digest"}
    return ApiKey(**fields | {"scopes": tuple(row["scopes"])})
