"""Which PostgreSQL, and a connection to it whatever has become of it meanwhile. On the database's thread.

An external one is asked, and answers or does not. Our own is started again when it does not answer.
"""

from contextlib import ExitStack
from typing import Any

from engine.errors import StoreUnavailable
from engine.log import get_logger
from engine.store.bridge import DbThread, in_worker, new_signal, pause
from engine.store.connect import Options, connect
from engine.store.embedded import EmbeddedServer

ATTEMPTS = 5  # a server that was just killed may take a connection in and drop it
BETWEEN_S = 0.05

_log = get_logger("store.server")


class ExternalServer:
    """Somebody else's, by URL."""

    restarts = 0

    def __init__(self, url: str) -> None:
        self._url = url

    async def connect(self) -> Any:
        """A plain connection. Raises ``ConfigurationError`` or ``StoreUnavailable``."""
        return await connect({"dsn": self._url})

    async def close(self) -> None:
        """Nothing of ours."""


class OwnServer:
    """The embedded one."""

    def __init__(self, thread: DbThread, server: EmbeddedServer) -> None:
        self._thread, self._server = thread, server
        self._exit = ExitStack()
        self._reviving: Any = None
        self._failure: BaseException | None = None

    @property
    def restarts(self) -> int:
        """Times that this process had to start it after the first time."""
        return max(0, self._server.started - 1)

    async def start(self) -> None:
        """Have it running. Raises ``ConfigurationError`` or ``StoreUnavailable``."""
        await in_worker(self._exit.enter_context, self._server)

    async def connect(self) -> Any:
        """A plain connection; brings the server back up if need be. Raises ``StoreUnavailable``."""
        for _ in range(ATTEMPTS):
            try:
                return await connect(self._options())
            except StoreUnavailable:
                await self._revive()
                await pause(BETWEEN_S)
        return await connect(self._options())

    async def close(self) -> None:
        """Leave it; the last one waits until it has ended."""
        await in_worker(self._exit.close)

    def _options(self) -> Options:
        at = self._server.address
        return {"host": at.host, "port": at.port, "user": at.user, "database": at.database}

    async def _revive(self) -> None:
        """One attempt for all who wait; it goes on when they stop waiting."""
        if self._reviving is None:
            self._reviving = new_signal()
            self._thread.start_soon(self._ensure)
        await self._reviving.wait()
        if self._failure is not None:
            raise StoreUnavailable(f"the embedded PostgreSQL does not come back: {self._failure}")

    async def _ensure(self) -> None:
        self._failure = None
        try:
            await in_worker(self._server.ensure)
        except Exception as error:  # noqa: BLE001 - told to each who waits, as what it means to them
            self._failure = error
            _log.error("the embedded PostgreSQL does not come back", error=repr(error))
        finally:
            self._reviving.set()
            self._reviving = None
