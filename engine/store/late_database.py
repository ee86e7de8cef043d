"""A database that may come late: whatever is built over it can be made before it has been reached.

Until then every unit of work is refused with ``StoreUnavailable``, as in any other outage, so that whoever keeps
something spools it; and whoever listens is heard as soon as there is something to listen to.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from engine.errors import StoreUnavailable
from engine.store.database import Database, DatabaseStatistics, P, T, Unit
from engine.store.listening import Callback


@dataclass(slots=True, eq=False)
class _Wish:
    """Somebody who listens; ``stop`` ends it at the database that is there now."""

    channel: str
    callback: Callback
    ended: bool = False
    stop: Callable[[], Awaitable[None]] | None = None


class LateDatabase(Database):
    """``Database`` of whichever is there now. Nothing of the base's own state is used, so none is made."""

    def __init__(self) -> None:
        self._inner: Database | None = None
        self._wishes: list[_Wish] = []

    @property
    def is_there(self) -> bool:
        """Whether it has been reached since the start; it may be away again all the same."""
        return self._inner is not None

    @asynccontextmanager
    async def backed_by(self, database: Database) -> AsyncIterator[None]:
        """For as long as the block it is this one. Who had been listening hears None at once: look at everything."""
        self._inner = database
        try:
            for wish in list(self._wishes):
                await self._begin(wish, database)
            yield
        finally:
            self._inner = None
            for wish in self._wishes:
                wish.stop = None

    async def run(self, unit: Unit[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """See ``Database``."""
        return await self._there().run(unit, *args, **kwargs)

    async def for_tenant(self, tenant_id: str, unit: Unit[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """See ``Database``."""
        return await self._there().for_tenant(tenant_id, unit, *args, **kwargs)

    async def read_for_tenant(self, tenant_id: str, unit: Unit[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """See ``Database``."""
        return await self._there().read_for_tenant(tenant_id, unit, *args, **kwargs)

    async def across_tenants(self, unit: Unit[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """See ``Database``."""
        return await self._there().across_tenants(unit, *args, **kwargs)

    async def autocommit(self, tenant_id: str, unit: Unit[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """See ``Database``."""
        return await self._there().autocommit(tenant_id, unit, *args, **kwargs)

    async def as_owner(self, unit: Unit[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """See ``Database``."""
        return await self._there().as_owner(unit, *args, **kwargs)

    async def listen(self, channel: str, callback: Callback) -> Callable[[], Awaitable[None]]:
        """See ``Database``; before it is there nothing is heard, not even None."""
        wish = _Wish(channel, callback)
        self._wishes.append(wish)
        if self._inner is not None:
            await self._begin(wish, self._inner)

        async def end() -> None:
            wish.ended = True
            if wish in self._wishes:
                self._wishes.remove(wish)
            if (stop := wish.stop) is not None:
                wish.stop = None
                await stop()

        return end

    def statistics(self) -> DatabaseStatistics:
        """See ``Database``.

        Raises:
            StoreUnavailable: there is none yet to speak of.
        """
        return self._there().statistics()

    def _there(self) -> Database:
        if self._inner is None:
            raise StoreUnavailable("the database has not been reached since the start")
        return self._inner

    async def _begin(self, wish: _Wish, database: Database) -> None:
        stop = await database.listen(wish.channel, wish.callback)
        if wish.ended:
            await stop()  # while we were asking
        else:
            wish.stop = stop
