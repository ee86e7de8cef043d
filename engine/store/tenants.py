"""Tenants' documents, as one protocol with twins. What one means is known above; here it is JSON with numbers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import orjson
import trio

from engine.store.records import json_text, safe_name


@dataclass(frozen=True, slots=True)
class TenantDocument:
    """One tenant, validated by whoever puts it.

    Attributes:
        document: JSON-ready; comes back as it was put.
        numbers: E.164, those that the document names.
        version: counts from 1 with every change; ignored by ``put``.
    """

    tenant_id: str
    document: Mapping[str, Any]
    numbers: tuple[str, ...] = ()
    version: int = 0


@dataclass(frozen=True, slots=True)
class TenantPut:
    """It is there. ``changed`` is False where it had been there just so before."""

    version: int
    changed: bool


@dataclass(frozen=True, slots=True)
class NumberTaken:
    """Another tenant has this number; nothing was written."""

    number: str
    owner: str
    wanted_by: str

    def __str__(self) -> str:
        return f"number {self.number} belongs to tenant {self.owner!r}; {self.wanted_by!r} cannot have it too"


Put: TypeAlias = TenantPut | NumberTaken
Changed: TypeAlias = Callable[[str | None], None]
Stop: TypeAlias = Callable[[], object]


class Tenants(Protocol):
    """Where they are. May raise ``RemoteError`` where that cannot be reached."""

    async def put(self, tenant: TenantDocument) -> Put:
        """Write it, unless one of its numbers is another tenant's: one atomic step."""

    async def get(self, tenant_id: str) -> TenantDocument | None:
        """The one of this id."""

    async def list(self) -> list[TenantDocument]:
        """All of them, by id."""

    async def delete(self, tenant_id: str) -> bool:
        """Its document, numbers and knowledge; what its calls left stays. False where there was none."""

    async def watch(self, changed: Changed) -> Any:
        """Call ``changed(tenant_id)`` whenever one was written or deleted, by any process, and ``changed(None)`` when
        that may have been missed (at first, too): then list them anew. Returns what, awaited as ``await stop()``, ends
        it."""


class MemoryTenants:
    """Tenants that live as long as the process."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[str, tuple[str, ...], int]] = {}
        self._watchers: list[Changed] = []

    async def put(self, tenant: TenantDocument) -> Put:
        """See ``Tenants``."""
        await trio.lowlevel.checkpoint()
        safe_name("tenant_id", tenant.tenant_id)
        document = json_text(dict(tenant.document), f"tenant {tenant.tenant_id}")
        for other, (_, numbers, _) in sorted(self._kept.items()):
            for number in sorted(set(numbers) & set(tenant.numbers)):
                if other != tenant.tenant_id:
                    return NumberTaken(number, other, tenant.tenant_id)
        numbers = tuple(sorted(set(tenant.numbers)))
        before, had, version = self._kept.get(tenant.tenant_id, ("", (), 0))
        if (before, had) == (document, numbers) and version:
            return TenantPut(version, changed=False)
        self._kept[tenant.tenant_id] = (document, numbers, version + 1)
        self._tell(tenant.tenant_id)
        return TenantPut(version + 1, changed=True)

    async def get(self, tenant_id: str) -> TenantDocument | None:
        """See ``Tenants``."""
        await trio.lowlevel.checkpoint()
        return self._read(safe_name("tenant_id", tenant_id)) if tenant_id in self._kept else None

    async def list(self) -> list[TenantDocument]:
        """See ``Tenants``."""
        await trio.lowlevel.checkpoint()
        return [self._read(tenant_id) for tenant_id in sorted(self._kept)]

    async def delete(self, tenant_id: str) -> bool:
        """See ``Tenants``."""
        await trio.lowlevel.checkpoint()
        if self._kept.pop(tenant_id, None) is None:
            return False
        self._tell(tenant_id)
        return True

    async def watch(self, changed: Changed) -> Any:
        """See ``Tenants``."""
        await trio.lowlevel.checkpoint()
        self._watchers.append(changed)
        changed(None)

        async def stop() -> None:
            await trio.lowlevel.checkpoint()
            self._watchers.remove(changed)

        return stop

    def _read(self, tenant_id: str) -> TenantDocument:
        document, numbers, version = self._kept[tenant_id]
        return TenantDocument(tenant_id, orjson.loads(document), numbers, version)

    def _tell(self, tenant_id: str) -> None:
        for watcher in list(self._watchers):
            watcher(tenant_id)
