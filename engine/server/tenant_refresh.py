"""Tenants that change while the gateway runs: heard from the database, prepared, and only then answered for.

What a new or changed tenant needs before its first call (prompts rendered, tools checked) is made ready first; calls
that are on the line keep the tenant they began with. While the database is away, what was known goes on being served.
"""

from collections.abc import Awaitable, Callable, Iterable

import trio

from engine.errors import ConfigurationError, RemoteError
from engine.fallback.prompts import PromptLibrary
from engine.log import get_logger
from engine.tenants.directory import Directory, MemoryDirectory
from engine.tenants.tenant import Tenant
from engine.tools.catalog import Catalog

PAUSE_S = 0.1  # several changes that come together (an import of many) are taken in at once
RETRY_S = 5.0

log = get_logger("server.tenant_refresh")


class LiveDirectory(Directory):
    """A directory whose tenants can be exchanged; look-ups are plain and instant."""

    def __init__(self, tenants: Iterable[Tenant]) -> None:
        self._tenants = tuple(tenants)
        self._now = MemoryDirectory(self._tenants)

    def tenant_for_number(self, number: str) -> Tenant | None:
        """See ``Directory``."""
        return self._now.tenant_for_number(number)

    def tenant(self, tenant_id: str) -> Tenant | None:
        """See ``Directory``."""
        return self._now.tenant(tenant_id)

    def tenants(self) -> tuple[Tenant, ...]:
        """All of them."""
        return self._tenants

    def replace(self, tenants: Iterable[Tenant]) -> None:
        """From now on these.

        Raises:
            ConfigurationError: two of them have one number; then nothing has changed.
        """
        fresh = tuple(tenants)
        self._now = MemoryDirectory(fresh)
        self._tenants = fresh


async def run_tenant_refresh(
    *,
    watch: Callable[[Callable[[str | None], None]], Awaitable[Callable[[], Awaitable[object]]]],
    load: Callable[[], Awaitable[list[Tenant]]],
    directory: LiveDirectory,
    library: PromptLibrary,
    catalog: Catalog,
) -> None:
    """Take changes in until cancelled.

    Args:
        watch: calls back for every change, and with None when some may have been missed.
        load: all tenants as they are now.
    """
    heard = trio.Event()

    def changed(_: str | None) -> None:
        heard.set()

    stop = await watch(changed)
    try:
        while True:
            await heard.wait()
            await trio.sleep(PAUSE_S)
            heard = trio.Event()
            try:
                await _take_in(await load(), directory, library, catalog)
            except (RemoteError, ConfigurationError) as error:
                log.warning("tenants could not be loaded; those known go on being served", detail=str(error))
                await trio.sleep(RETRY_S)
                heard.set()
    finally:
        with trio.CancelScope(shield=True), trio.move_on_after(RETRY_S):
            await stop()


async def _take_in(tenants: list[Tenant], directory: LiveDirectory, library: PromptLibrary, catalog: Catalog) -> None:
    ready = []
    for tenant in tenants:
        try:
            catalog.for_tenant(tenant)
            await trio.to_thread.run_sync(library.prepare, tenant)
        except ConfigurationError as error:
            # One tenant's mistake must not keep the others' changes out; it goes on as it was known.
            log.error("a changed tenant cannot be served", tenant_id=tenant.id, detail=str(error))
            before = directory.tenant(tenant.id)
            ready += [before] if before is not None else []
        else:
            ready.append(tenant)
    directory.replace(ready)
    log.info("tenants are up to date", tenants=len(ready))
